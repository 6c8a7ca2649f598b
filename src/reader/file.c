// SPDX-License-Identifier: BSD-3-Clause
// file.c -- files by name and identity, over a cache of descriptors.
//
// A run may have thousands of source files and a process often no more than 1024 descriptors, of which the HDF5 library
// and the caller want some.  So an xn_file is open only while it is used: at most half of the limit are kept, and when
// the system refuses one (EMFILE) another is closed first.  Which one is found by the clock algorithm (Corbato 1968): a
// hand goes round the open descriptors, takes the mark off those used since it passed, closes the first without.
//
// A file has up to two of them, through the page cache and past it (O_DIRECT).  `pins` is -1 while there is none.
// Pinning an open one is one compare-and-swap; opening, closing and the ring of open ones are behind one lock.  A file
// opened again must show the device, inode, size and time of the first time: addresses found in one file are never used
// on another.
#include "reader/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of all below, and of opening and closing
static xn_descriptor *hand;
static int64_t n_open;
static _Atomic int64_t all_bytes; // of all files

// ---- the ring of open descriptors, all with the lock held

static void ring_add(xn_descriptor *d)
{
    if (hand == NULL) {
        hand = d->next = d->previous = d;
    } else { // behind the hand: it comes to it last
        d->next = hand;
        d->previous = hand->previous;
        d->previous->next = hand->previous = d;
    }
    n_open++;
}

static void ring_remove(xn_descriptor *d)
{
    if (hand == d) hand = d->next == d ? NULL : d->next;
    d->next->previous = d->previous;
    d->previous->next = d->next;
    n_open--;
}

// Closes the one nearest to the hand that is neither pinned nor marked. False: all are pinned.
static bool close_one(void)
{
    for (int64_t left = 2 * n_open; left > 0; left--) { // twice round: marks come off in the first
        xn_descriptor *d = hand;
        hand = d->next;
        int unpinned = 0;
        if (atomic_exchange(&d->used, false)) continue;
        if (!atomic_compare_exchange_strong(&d->pins, &unpinned, -1)) continue;
        ring_remove(d);
        close(d->fd);
        d->fd = -1;
        return true;
    }
    return false;
}

static int64_t most_open(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
    return limit.rlim_cur / 2 > 65536 ? 65536 : xn_max64((int64_t)(limit.rlim_cur / 2), 1);
}

// A descriptor of the path, others closed for it where need be; -1 with errno.
static int open_path(const char *path, int flags)
{
    while (n_open >= most_open() && close_one()) {}
    int tries = 0;
    for (;;) {
        int error = xn_read_injected(flags & O_DIRECT ? "open_direct" : "open", path, 0, 0);
        int fd = error > 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC | flags);
        if (fd >= 0) return fd;
        if (error <= 0) error = errno;
        bool again = (error == EMFILE || error == ENFILE) ? close_one() : xn_read_again(error, &tries);
        errno = error;
        if (!again) return -1;
    }
}

// ---- identity

static int compare(const xn_file *f, const struct stat *now)
{
    if (now->st_dev != f->device || now->st_ino != f->inode) return XN_READ_CHANGED;
    if (atomic_load(&f->follow)) return now->st_size < f->bytes ? XN_READ_CHANGED : 0;
    bool same =
        now->st_size == f->bytes && now->st_mtim.tv_sec == f->time.tv_sec && now->st_mtim.tv_nsec == f->time.tv_nsec;
    return same ? 0 : XN_READ_CHANGED;
}

int xn_file_check(xn_file *f)
{
    struct stat now;
    return stat(f->path, &now) != 0 ? errno : compare(f, &now);
}

void xn_file_follow(xn_file *f) { atomic_store(&f->follow, true); }

// ---- open, share, close

static void descriptor_init(xn_descriptor *d)
{
    d->fd = -1;
    atomic_init(&d->pins, -1);
}

static xani_status open_first(xn_ctx *ctx, xn_file *f)
{
    struct stat now = {0};
    pthread_mutex_lock(&lock);
    int fd = open_path(f->path, 0), error = 0;
    if (fd < 0 || fstat(fd, &now) != 0)
        error = errno;
    else if (!S_ISREG(now.st_mode))
        error = S_ISDIR(now.st_mode) ? EISDIR : ESPIPE;
    if (error == 0) {
        f->device = now.st_dev;
        f->inode = now.st_ino;
        f->bytes = now.st_size;
        atomic_fetch_add(&all_bytes, f->bytes);
        f->time = now.st_mtim;
        f->plain.fd = fd;
        atomic_store(&f->plain.pins, 0);
        ring_add(&f->plain);
    } else if (fd >= 0)
        close(fd);
    pthread_mutex_unlock(&lock);
    const char *why = error == ESPIPE ? "is not an ordinary file" : xn_read_why(error);
    return error ? xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", f->path, why) : XANI_OK;
}

xani_status xn_file_open(xn_ctx *ctx, const char *path, xn_file **file)
{
    *file = NULL;
    xn_file *f = xn_calloc(1, sizeof *f);
    if (f == NULL) return xn_fail_memory(ctx, path, sizeof *f);
    descriptor_init(&f->plain);
    descriptor_init(&f->direct);
    atomic_init(&f->owners, 1);
    f->path = xn_strdup(path);
    xani_status st = f->path ? open_first(ctx, f) : xn_fail_memory(ctx, path, strlen(path) + 1);
    if (st != XANI_OK) xn_file_close(&f);
    *file = f;
    return st;
}

xn_file *xn_file_share(xn_file *f)
{
    atomic_fetch_add(&f->owners, 1);
    return f;
}

static void descriptor_close(xn_descriptor *d)
{
    if (d->fd < 0) return;
    ring_remove(d);
    close(d->fd);
}

void xn_file_close(xn_file **file)
{
    xn_file *f = *file;
    *file = NULL;
    if (f == NULL || atomic_fetch_sub(&f->owners, 1) > 1) return;
    pthread_mutex_lock(&lock);
    descriptor_close(&f->plain);
    descriptor_close(&f->direct);
    pthread_mutex_unlock(&lock);
    atomic_fetch_sub(&all_bytes, f->bytes);
    uint8_t *map = atomic_load(&f->map);
    if (map) munmap(map, (size_t)f->bytes);
    xn_free(f->path);
    xn_free(f);
}

const char *xn_file_path(const xn_file *f) { return f->path; }
int64_t xn_file_bytes(const xn_file *f) { return f->bytes; }
int64_t xn_file_all_bytes(void) { return atomic_load(&all_bytes); }

// ---- descriptors

// What direct reads of the descriptor have to be multiples of, where the system says so (statx since Linux 6.1); else a
// page, which suits all disks there are.  {0, 0}: no direct reads.
static xn_alignment alignment_of(int fd)
{
    xn_alignment page = {4096, 4096};
#ifdef STATX_DIOALIGN
    struct statx s;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &s) == 0 && (s.stx_mask & STATX_DIOALIGN)) {
        xn_alignment said = {s.stx_dio_offset_align, s.stx_dio_mem_align};
        bool usable = said.offset <= 4096 && said.memory <= 4096 && said.memory > 0;
        return usable ? said : (xn_alignment){0, 0};
    }
#else
    (void)fd;
#endif
    return page;
}

// With the lock held: opens f once more. 0 or an error.
static int open_again(xn_file *f, xn_descriptor *d, int flags)
{
    int fd = open_path(f->path, flags);
    if (fd < 0) return errno == ENOENT ? XN_READ_CHANGED : errno;
    struct stat now;
    int error = fstat(fd, &now) != 0 ? errno : compare(f, &now);
    if (error != 0) {
        close(fd);
        return error;
    }
    d->fd = fd;
    if (d == &f->direct) f->alignment = alignment_of(fd);
    ring_add(d);
    return 0;
}

static bool pin_open(xn_descriptor *d)
{
    int pins = atomic_load(&d->pins);
    while (pins >= 0 && !atomic_compare_exchange_weak(&d->pins, &pins, pins + 1)) {}
    return pins >= 0;
}

static int pin(xn_file *f, xn_descriptor *d, int flags, int *error)
{
    *error = 0;
    if (!pin_open(d)) {
        pthread_mutex_lock(&lock);
        if (!pin_open(d) && (*error = open_again(f, d, flags)) == 0) atomic_store(&d->pins, 1);
        pthread_mutex_unlock(&lock);
        if (*error != 0) {
            errno = *error > 0 ? *error : ESTALE;
            return -1;
        }
    }
    if (!atomic_load_explicit(&d->used, memory_order_relaxed)) atomic_store(&d->used, true);
    return d->fd;
}

int xn_file_pin(xn_file *f, int *error) { return pin(f, &f->plain, 0, error); }
void xn_file_unpin(xn_file *f) { atomic_fetch_sub(&f->plain.pins, 1); }

int xn_file_pin_direct(xn_file *f, xn_alignment *need, int *error)
{
    *need = (xn_alignment){0, 0};
    if (!atomic_load(&f->refuses_direct)) {
        int fd = pin(f, &f->direct, O_DIRECT, error);
        if (fd >= 0 && (*need = f->alignment).offset > 0) return fd;
        if (fd >= 0) xn_file_unpin_direct(f);
        if (fd < 0 && *error != EINVAL && *error != ENOTSUP) return -1;
        atomic_store(&f->refuses_direct, true);
    }
    *need = (xn_alignment){0, 0};
    return xn_file_pin(f, error);
}

void xn_file_unpin_direct(xn_file *f) { atomic_fetch_sub(&f->direct.pins, 1); }
void xn_file_refuse_direct(xn_file *f) { atomic_store(&f->refuses_direct, true); }
