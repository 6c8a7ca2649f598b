// SPDX-License-Identifier: BSD-3-Clause
// uring.c -- reading past the page cache: io_uring keeps the disk busy while the thread decodes what came before.
//
// Direct reads (O_DIRECT) move bytes from the disk to memory without the processor; direct.c makes requests of them.
// Each slot has at most one request under way: what is longer than its memory, or came back short, takes several, one
// after another.
//
// Anything unusual ends in xn_file_read, which knows all answers: a block cut by the end of the file, a ring that does
// not work any more.  Files that refuse direct reads (tmpfs, some network file systems) are read through the page cache
// by the same ring.  Interface of the kernel: J. Axboe, "Efficient IO with io_uring", 2019; io_uring(7).
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "reader/direct.h"

#ifdef XN_HAVE_URING
#include <liburing.h>

enum {
    DEPTH = 16,
    DEEPEST = 1024,
    MEMORY = 256 << 20, // bytes of all slots together, unless a depth is asked for
    AT_ONCE = 64 << 10, // a request this long goes to the system at once; shorter ones a few together
    TOGETHER = 8
};

typedef struct slot {
    xn_direct io;
    int fd;            // -1: no file is pinned
    int result, tries; // as the request ended; EAGAINs
    uint8_t *lost;     // memory into which the system may still write
    struct slot *next;
} slot;

typedef struct list {
    slot *first, *last;
} list;

typedef struct uring_reader {
    xn_reader base;
    struct io_uring ring;
    int broken; // errno: there is no ring (any more)
    xn_direct_memory memory;
    int n_ring, n_unsubmitted; // requests that the ring has; of them not yet told to the system
    bool has_ring;
    uint8_t *lost; // as in slot, of all
    slot *slots, *free;
    list ended, ready; // requests that ended without the ring; reads to hand out
    struct uring_reader *next_lost;
} uring_reader;

static _Atomic(uring_reader *) all_lost;

static void push(list *l, slot *s)
{
    s->next = NULL;
    if (l->first)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

static slot *pop(list *l)
{
    slot *s = l->first;
    if (s) l->first = s->next;
    return s;
}

static bool works(char why[160])
{
    struct io_uring ring;
    int error = xn_read_injected("uring_setup", "", 0, 0);
    if (error <= 0) error = -io_uring_queue_init(2, &ring, 0);
    if (error == 0) {
        struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
        bool reads = probe && io_uring_opcode_supported(probe, IORING_OP_READ);
        if (probe) io_uring_free_probe(probe);
        io_uring_queue_exit(&ring);
        snprintf(why, 160, "%s", reads ? "" : "io_uring of this kernel cannot read (Linux 5.6 can)");
        return reads;
    }
    if (error == ENOSYS)
        snprintf(why, 160, "this kernel has no io_uring, or a filter of system calls hides it");
    else if (error == EPERM || error == EACCES)
        snprintf(why, 160, "io_uring is forbidden here (sysctl kernel.io_uring_disabled, or the container's filter)");
    else if (error == ENOMEM)
        snprintf(why, 160, "io_uring may not lock memory (ulimit -l)");
    else
        snprintf(why, 160, "io_uring: %s", xn_read_why(error));
    return false;
}

// ---- one request

static void unpin(slot *s)
{
    if (s->fd < 0) return;
    if (s->io.need.offset > 0)
        xn_file_unpin_direct(s->io.read->file);
    else
        xn_file_unpin(s->io.read->file);
    s->fd = -1;
}

static void finish(uring_reader *r, slot *s, int error)
{
    unpin(s);
    s->io.done = 0; // so that the place of the next byte is that of the first
    s->io.read->error = error;
    s->io.read->data = error ? NULL : xn_direct_place(&s->io);
    push(&r->ready, s);
}

static void finish_by_hand(uring_reader *r, slot *s)
{
    const xn_read *read = s->io.read;
    int64_t where = read->offset + (int64_t)s->io.done;
    finish(r, s, xn_file_read(read->file, where, xn_direct_place(&s->io), read->bytes - s->io.done));
}

static void flush(uring_reader *r)
{
    while (r->n_unsubmitted > 0) {
        int n = io_uring_submit(&r->ring);
        if (n == -EINTR) continue;
        if (n < 0 && n != -EAGAIN && n != -EBUSY) r->broken = -n;
        if (n <= 0) return;
        r->n_unsubmitted -= n;
    }
}

static void request(uring_reader *r, slot *s)
{
    xn_direct_plan(&s->io);
    const char *path = xn_file_path(s->io.read->file);
    int injected = xn_read_injected("uring", path, s->io.at, s->io.asked);
    struct io_uring_sqe *sqe = injected > 0 || r->broken ? NULL : io_uring_get_sqe(&r->ring);
    if (sqe == NULL) {
        s->result = injected > 0 ? -injected : 0;
        push(&r->ended, s);
        return;
    }
    if (injected < 0) {
        size_t block = s->io.need.offset ? s->io.need.offset : 1;
        s->io.asked = s->io.asked / 2 > block ? s->io.asked / 2 / block * block : s->io.asked;
    }
    io_uring_prep_read(sqe, s->fd, s->io.to, (unsigned)s->io.asked, (uint64_t)s->io.at);
    io_uring_sqe_set_data(sqe, s);
    r->n_ring++;
    r->n_unsubmitted++;
    if (s->io.asked >= AT_ONCE || r->n_unsubmitted >= TOGETHER) flush(r);
}

// ---- its answer

static void failed(uring_reader *r, slot *s, int error)
{
    if (s->io.need.offset > 0 && (error == EINVAL || error == ENOTSUP)) { // direct reads were promised, and are refused
        xn_file_refuse_direct(s->io.read->file);
        unpin(s);
        s->io.need = (xn_alignment){0, 0};
        s->fd = xn_file_pin(s->io.read->file, &error);
        if (s->fd < 0)
            finish(r, s, error);
        else
            request(r, s);
    } else if (xn_read_again(error, &s->tries))
        request(r, s);
    else
        finish(r, s, error);
}

static void answered(uring_reader *r, slot *s)
{
    if (s->result < 0) {
        failed(r, s, -s->result);
        return;
    }
    size_t n = xn_direct_got(&s->io, s->result), block = s->io.need.offset;
    bool torn = block > 0 && (size_t)s->result % block != 0; // the file ends in this block
    if (s->io.done == s->io.read->bytes)
        finish(r, s, 0);
    else if (n == 0 || torn)
        finish_by_hand(r, s);
    else
        request(r, s);
}

// The slot of an answer of the ring, after waiting for one; NULL: none came, ask again.
static slot *wait_answer(uring_reader *r)
{
    struct io_uring_cqe *cqe;
    flush(r);
    if (r->n_unsubmitted == r->n_ring) { // the system has taken none: it is short of memory
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        return NULL;
    }
    int error = xn_read_injected("uring_wait", "", 0, 0);
    if (error <= 0) error = -io_uring_wait_cqe(&r->ring, &cqe);
    if (error != 0) {
        if (error != EINTR && error != EAGAIN && error != EBUSY) r->broken = error;
        return NULL;
    }
    slot *s = io_uring_cqe_get_data(cqe);
    s->result = cqe->res;
    io_uring_cqe_seen(&r->ring, cqe);
    r->n_ring--;
    return s;
}

// ---- the reader

// The ring is gone, and what it had with it: each read ends with the reason, and memory is made anew.
static void give_up(uring_reader *r)
{
    for (int i = 0; i < r->base.depth; i++) {
        slot *s = &r->slots[i];
        if (s->fd >= 0) finish(r, s, r->broken);
        s->lost = s->io.raw;
        s->io.raw = s->io.memory = NULL;
        s->io.room = 0;
    }
    r->lost = r->memory.raw;
    r->memory.raw = r->memory.memory = NULL;
    r->ended.first = NULL;
    r->n_ring = r->n_unsubmitted = 0;
}

static void close_reader(xn_reader *reader)
{
    uring_reader *r = (uring_reader *)reader;
    if (r == NULL) return;
    while (r->n_ring > 0 && !r->broken) wait_answer(r);
    if (r->n_ring > 0) give_up(r);
    if (r->has_ring) io_uring_queue_exit(&r->ring);
    for (int i = 0; r->slots && i < r->base.depth; i++) unpin(&r->slots[i]);
    for (int i = 0; r->slots && i < r->base.depth; i++) xn_free(r->slots[i].io.raw);
    xn_free(r->memory.raw);
    if (r->lost) { // kept for good
        r->next_lost = atomic_exchange(&all_lost, r);
        return;
    }
    xn_free(r->slots);
    xn_free(r);
}

static xn_reader *open_reader(int depth, size_t largest)
{
    int bounded = (int)(MEMORY / (largest + 1) < DEPTH ? MEMORY / (largest + 1) : DEPTH);
    depth = depth > DEEPEST ? DEEPEST : depth > 0 ? depth : bounded > 2 ? bounded : 2;
    uring_reader *r = xn_calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->base = (xn_reader){&xn_reader_uring, depth};
    r->memory.largest = largest;
    r->slots = xn_calloc((size_t)depth, sizeof *r->slots);
    if (r->slots == NULL) {
        close_reader(&r->base);
        return NULL;
    }
    for (int i = depth - 1; i >= 0; i--) {
        r->slots[i].fd = -1;
        r->slots[i].next = r->free;
        r->free = &r->slots[i];
    }
    int injected = xn_read_injected("uring_setup", "", 0, 0);
    r->broken = injected > 0 ? injected : -io_uring_queue_init((unsigned)depth, &r->ring, 0);
    r->has_ring = r->broken == 0;
    return &r->base;
}

static bool submit(xn_reader *reader, xn_read *read)
{
    uring_reader *r = (uring_reader *)reader;
    slot *s = r->free;
    if (s == NULL) return false;
    r->free = s->next;
    read->slot = s;
    read->data = NULL;
    read->error = 0;
    s->io.read = read;
    s->tries = 0;
    xn_alignment need;
    s->fd = xn_file_pin_direct(read->file, &need, &read->error);
    bool sane = read->offset >= 0 && read->bytes <= PTRDIFF_MAX / 2, room = false;
    if (s->fd >= 0 && sane)
        room = xn_direct_start(&s->io, read, need, &r->memory, (int)(s - r->slots), r->base.depth);
    else
        s->io.need = need;
    if (s->fd < 0 || !room)
        finish(r, s, s->fd < 0 ? read->error : sane ? ENOMEM : EINVAL);
    else if (read->bytes == 0)
        finish(r, s, 0);
    else
        request(r, s);
    return true;
}

static void release(xn_reader *reader, xn_read *read)
{
    uring_reader *r = (uring_reader *)reader;
    slot *s = read->slot;
    read->slot = NULL;
    if (s == NULL) return;
    s->next = r->free;
    r->free = s;
}

static xn_read *next(xn_reader *reader)
{
    uring_reader *r = (uring_reader *)reader;
    for (;;) {
        if (!r->broken) flush(r);
        slot *s = pop(&r->ready);
        if (s != NULL) {
            xn_read *read = s->io.read;
            if (read->dst != NULL) release(reader, read);
            return read;
        }
        if (r->broken && r->n_ring > 0) {
            give_up(r);
            continue;
        }
        if (r->n_ring == 0 && r->ended.first == NULL) return NULL;
        s = pop(&r->ended);
        if (s == NULL) s = wait_answer(r);
        if (s != NULL) answered(r, s);
    }
}

const xn_reader_ops xn_reader_uring = {"uring", works, open_reader, close_reader, submit, next, release};

#else

static bool works(char why[160])
{
    snprintf(why, 160, "this xani was built without liburing");
    return false;
}

static xn_reader *open_reader(int depth, size_t largest)
{
    (void)depth, (void)largest;
    return NULL;
}

const xn_reader_ops xn_reader_uring = {"uring", works, open_reader, NULL, NULL, NULL, NULL};

#endif
