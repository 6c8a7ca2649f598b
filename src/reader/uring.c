// SPDX-License-Identifier: BSD-3-Clause
// uring.c -- reading past the page cache: io_uring keeps the disk busy while the thread decodes what came before.
//
// Direct reads (O_DIRECT) move bytes from the disk to memory without the processor, but only whole blocks to aligned
// places (internal.h, xn_alignment).  HDF5 aligns nothing unless told to, so a read is widened to whole pages and lands
// in memory of its slot; where a place is given, the bytes are copied there, or come there straight where all is
// aligned.  What is longer than a slot, and what came back short, takes several requests, one after another.
//
// Anything unusual ends in xn_file_read, which knows all answers: a block cut by the end of the file, a ring that does
// not work any more.  Files that refuse direct reads (tmpfs, some network file systems) are read through the page cache
// by the same ring.  Interface of the kernel: J. Axboe, "Efficient IO with io_uring", 2019; io_uring(7).
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "reader/internal.h"

#ifdef XN_HAVE_URING
#include <liburing.h>

enum {
    DEPTH = 16,
    DEEPEST = 1024,
    PAGE = 4096,
    HUGE_PAGE = 2 << 20,
    LEAST_SHARE = (1 << 20) + PAGE, // bytes of a slot; what is not used is not taken
    BOUNCE = 4 << 20,               // bytes of a slot at most where reads have places of their own
    REQUEST = 1 << 30,              // bytes of a request at most
    AT_ONCE = 64 << 10,             // a request this long goes to the system at once; shorter ones a few together
    TOGETHER = 8
};

typedef struct slot {
    xn_read *read;
    uint8_t *raw, *memory; // of its own, as allocated; where its reads land
    size_t room;
    int fd;            // -1: no file is pinned
    xn_alignment need; // offset 0: through the page cache
    int64_t base;      // offset in the file of memory[0], where the read has no place of its own
    size_t done;       // bytes of the read that are in place
    int64_t at;        // of the request under way
    size_t asked;      //
    uint8_t *to;       //
    int result, tries; // as the request ended; EAGAINs
    struct slot *next;
} slot;

typedef struct list {
    slot *first, *last;
} list;

typedef struct uring_reader {
    xn_reader base;
    struct io_uring ring;
    int broken;                // errno: there is no ring (any more)
    size_t largest, share;     // bytes of a slot
    uint8_t *raw, *memory;     // of all slots: as allocated, aligned
    int n_ring, n_unsubmitted; // requests that the ring has; of them not yet told to the system
    bool lost;                 // it broke with requests under way
    slot *slots, *free;
    list ended, ready; // requests that ended without the ring; reads to hand out
} uring_reader;

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

static uint8_t *place(const slot *s)
{
    const xn_read *read = s->read;
    return read->dst ? read->dst + s->done : s->memory + (read->offset - s->base) + s->done;
}

static void unpin(slot *s)
{
    if (s->fd < 0) return;
    if (s->need.offset > 0)
        xn_file_unpin_direct(s->read->file);
    else
        xn_file_unpin(s->read->file);
    s->fd = -1;
}

static void finish(uring_reader *r, slot *s, int error)
{
    unpin(s);
    s->read->error = error;
    s->read->data = error ? NULL : s->read->dst ? s->read->dst : s->memory + (s->read->offset - s->base);
    push(&r->ready, s);
}

static void finish_by_hand(uring_reader *r, slot *s)
{
    const xn_read *read = s->read;
    finish(r, s, xn_file_read(read->file, read->offset + (int64_t)s->done, place(s), read->bytes - s->done));
}

// Aligned memory in huge pages: direct reads into them cost an eighth of the processor's time that ordinary pages take,
// which the system must pin and list one by one (measured: 0.008 against 0.06 s/GB, and twice the speed).
static uint8_t *huge(uint8_t **raw, size_t bytes)
{
    *raw = xn_alloc(bytes + HUGE_PAGE, 1);
    if (*raw == NULL) return NULL;
    uint8_t *memory = *raw + (HUGE_PAGE - (uintptr_t)*raw % HUGE_PAGE) % HUGE_PAGE;
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

// Room of a slot for what its read needs besides its place: a share of the memory of all, which the first read sizes,
// or memory of its own. Reads with places of their own make do with a share.
static bool make_room(uring_reader *r, slot *s, size_t bytes)
{
    if (bytes == 0) return true;
    if (r->memory == NULL) {
        r->share = bytes > LEAST_SHARE ? bytes : LEAST_SHARE;
        r->memory = huge(&r->raw, (size_t)r->base.depth * r->share);
        if (r->memory == NULL) return false;
    }
    if (s->memory == NULL) {
        s->memory = r->memory + (size_t)(s - r->slots) * r->share;
        s->room = r->share;
    }
    if (s->room >= bytes || s->read->dst) return true;
    xn_free(s->raw);
    s->memory = huge(&s->raw, bytes);
    s->room = s->memory ? bytes : 0;
    return s->memory != NULL;
}

// The next range of the file to ask for.
static void plan(slot *s)
{
    const xn_read *read = s->read;
    int64_t where = read->offset + (int64_t)s->done;
    size_t left = read->bytes - s->done, block = s->need.offset;
    s->at = where;
    s->asked = left;
    s->to = place(s);
    if (block > 0) {
        bool aligned = where % (int64_t)block == 0 && (uintptr_t)s->to % PAGE == 0; // so by intention
        bool straight = read->dst && aligned && (left % block == 0 || left > BOUNCE);
        if (straight) {
            s->asked = left - left % block;
        } else {
            s->at = where / PAGE * PAGE;
            s->asked = ((size_t)(where - s->at) + left + PAGE - 1) / PAGE * PAGE;
            s->to = read->dst ? s->memory : s->memory + (s->at - s->base);
            size_t space = s->room - (size_t)(s->to - s->memory);
            if (s->asked > space) s->asked = space;
        }
    }
    if (s->asked > REQUEST) s->asked = REQUEST;
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
    plan(s);
    const char *path = xn_file_path(s->read->file);
    int injected = xn_read_injected("uring", path, s->at, s->asked);
    struct io_uring_sqe *sqe = injected > 0 || r->broken ? NULL : io_uring_get_sqe(&r->ring);
    if (sqe == NULL) {
        s->result = injected > 0 ? -injected : 0;
        push(&r->ended, s);
        return;
    }
    if (injected < 0) {
        size_t block = s->need.offset ? s->need.offset : 1;
        s->asked = s->asked / 2 > block ? s->asked / 2 / block * block : s->asked;
    }
    io_uring_prep_read(sqe, s->fd, s->to, (unsigned)s->asked, (uint64_t)s->at);
    io_uring_sqe_set_data(sqe, s);
    r->n_ring++;
    r->n_unsubmitted++;
    if (s->asked >= AT_ONCE || r->n_unsubmitted >= TOGETHER) flush(r);
}

// ---- its answer

static void failed(uring_reader *r, slot *s, int error)
{
    if (s->need.offset > 0 && (error == EINVAL || error == ENOTSUP)) { // direct reads were promised, and are refused
        xn_file_refuse_direct(s->read->file);
        unpin(s);
        s->need = (xn_alignment){0, 0};
        s->fd = xn_file_pin(s->read->file, &error);
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
    const xn_read *read = s->read;
    if (s->result < 0) {
        failed(r, s, -s->result);
        return;
    }
    int64_t where = read->offset + (int64_t)s->done, fresh = s->at + s->result - where;
    size_t left = read->bytes - s->done, n = fresh <= 0 ? 0 : (size_t)fresh < left ? (size_t)fresh : left;
    if (read->dst && s->to == s->memory && n > 0) memcpy(read->dst + s->done, s->memory + (where - s->at), n);
    s->done += n;
    bool torn = s->need.offset > 0 && (size_t)s->result % s->need.offset != 0; // the file ends in this block
    if (n == left)
        finish(r, s, 0);
    else if (n == 0 || torn)
        finish_by_hand(r, s);
    else
        request(r, s);
}

// Takes one answer, waiting for it where there is none.
static void reap(uring_reader *r)
{
    struct io_uring_cqe *cqe;
    slot *s = pop(&r->ended);
    if (s == NULL && r->n_unsubmitted == r->n_ring) { // the system has taken none: it is short of memory
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        return;
    }
    if (s == NULL) {
        int error = -io_uring_wait_cqe(&r->ring, &cqe);
        if (error == EINTR || error == EAGAIN || error == EBUSY) return;
        if (error != 0) {
            r->broken = error;
            return;
        }
        s = io_uring_cqe_get_data(cqe);
        s->result = cqe->res;
        io_uring_cqe_seen(&r->ring, cqe);
        r->n_ring--;
    }
    answered(r, s);
}

// ---- the reader

static void close_reader(xn_reader *reader)
{
    uring_reader *r = (uring_reader *)reader;
    if (r == NULL) return;
    while (r->n_ring > 0 && !r->broken) {
        struct io_uring_cqe *cqe;
        flush(r);
        if (r->n_unsubmitted == r->n_ring || io_uring_wait_cqe(&r->ring, &cqe) != 0) continue;
        io_uring_cqe_seen(&r->ring, cqe);
        r->n_ring--;
    }
    if (!r->broken) io_uring_queue_exit(&r->ring);
    for (int i = 0; r->slots && i < r->base.depth; i++) {
        unpin(&r->slots[i]);
        if (!r->lost) xn_free(r->slots[i].raw); // else the system may still write there
    }
    if (!r->lost) xn_free(r->raw);
    xn_free(r->slots);
    xn_free(r);
}

static xn_reader *open_reader(int depth, size_t largest)
{
    depth = depth <= 0 ? DEPTH : depth > DEEPEST ? DEEPEST : depth;
    uring_reader *r = xn_calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->base = (xn_reader){&xn_reader_uring, depth};
    r->largest = largest;
    r->broken = ENOSYS;
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
    return &r->base;
}

// Room for what `read` needs besides its place.
static size_t needs(const uring_reader *r, const slot *s, const xn_read *read)
{
    if (read->dst && s->need.offset == 0) return 0;
    size_t bytes = read->bytes > r->largest ? read->bytes : r->largest;
    if (read->dst && bytes > BOUNCE) bytes = BOUNCE;
    return (bytes + PAGE - 1) / PAGE * PAGE + PAGE;
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
    s->read = read;
    s->done = 0;
    s->tries = 0;
    s->fd = xn_file_pin_direct(read->file, &s->need, &read->error);
    s->base = s->need.offset > 0 ? read->offset / PAGE * PAGE : read->offset;
    if (s->fd < 0)
        finish(r, s, read->error);
    else if (read->offset < 0 || read->bytes > PTRDIFF_MAX / 2)
        finish(r, s, EINVAL);
    else if (!make_room(r, s, needs(r, s, read)))
        finish(r, s, ENOMEM);
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

// The ring is gone: what it had is lost. Each read ends with the reason.
static void give_up(uring_reader *r)
{
    for (int i = 0; i < r->base.depth; i++) {
        slot *s = &r->slots[i];
        if (s->fd < 0 || s->read == NULL) continue;
        finish(r, s, r->broken);
    }
    r->ended.first = NULL;
    r->n_ring = r->n_unsubmitted = 0;
    r->lost = true;
}

static xn_read *next(xn_reader *reader)
{
    uring_reader *r = (uring_reader *)reader;
    for (;;) {
        if (!r->broken) flush(r);
        slot *s = pop(&r->ready);
        if (s != NULL) {
            xn_read *read = s->read;
            if (read->dst != NULL) release(reader, read);
            return read;
        }
        if (r->broken && r->n_ring > 0)
            give_up(r);
        else if (r->n_ring == 0 && r->ended.first == NULL)
            return NULL;
        else
            reap(r);
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
