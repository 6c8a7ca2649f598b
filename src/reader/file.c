// SPDX-License-Identifier: BSD-3-Clause
// file.c -- files by name and identity, over a cache of descriptors.
//
// A run may have thousands of source files and a process often no more than 1024 descriptors, of which the HDF5 library
// and the caller want some.  So an xn_file is open only while it is used: at most half of the limit are kept, and when
// the system refuses one (EMFILE) another is closed first.  Which one is found by the clock algorithm (Corbato 1968): a
// hand goes round the open files, takes the mark off those used since it passed, closes the first without.
//
// `pins` is -1 while there is no descriptor.  Pinning an open file is one compare-and-swap; opening, closing and the
// ring of open files are behind one lock.  A descriptor opened again must show the device, inode, size and time of the
// first one: addresses found in one file are never used on another.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reader/internal.h"

struct xn_file {
    char *path;
    dev_t device;
    ino_t inode;
    int64_t bytes;
    struct timespec time;
    atomic_bool follow;
    atomic_int owners, pins; // pins: -1 without descriptor
    atomic_bool used;        // since the hand passed
    int fd;
    xn_file *next, *previous; // ring of open files
    _Atomic(uint8_t *) map;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of all below, and of opening and closing
static xn_file *hand;
static int64_t n_open;

// ---- the ring of open files, all with the lock held

static void ring_add(xn_file *f)
{
    if (hand == NULL) {
        hand = f->next = f->previous = f;
    } else { // behind the hand: it comes to it last
        f->next = hand;
        f->previous = hand->previous;
        f->previous->next = hand->previous = f;
    }
    n_open++;
}

static void ring_remove(xn_file *f)
{
    if (hand == f) hand = f->next == f ? NULL : f->next;
    f->next->previous = f->previous;
    f->previous->next = f->next;
    n_open--;
}

// Closes the file nearest to the hand that is neither pinned nor marked. False: all are pinned.
static bool close_one(void)
{
    for (int64_t left = 2 * n_open; left > 0; left--) { // twice round: marks come off in the first
        xn_file *f = hand;
        hand = f->next;
        int unpinned = 0;
        if (atomic_exchange(&f->used, false)) continue;
        if (!atomic_compare_exchange_strong(&f->pins, &unpinned, -1)) continue;
        ring_remove(f);
        close(f->fd);
        f->fd = -1;
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
static int open_path(const char *path)
{
    while (n_open >= most_open() && close_one()) {}
    int tries = 0;
    for (;;) {
        int error = xn_read_injected("open", path, 0, 0);
        int fd = error > 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
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

int xn_read_ended(const xn_file *f, int fd)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_size < f->bytes ? XN_READ_CHANGED : XN_READ_SHORT;
}

void xn_file_follow(xn_file *f) { atomic_store(&f->follow, true); }

// ---- open, share, close

static xani_status refuse(xn_ctx *ctx, const char *path, int error)
{
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", path, xn_read_why(error));
}

static xani_status open_first(xn_ctx *ctx, xn_file *f)
{
    struct stat now = {0};
    pthread_mutex_lock(&lock);
    int fd = open_path(f->path), error = 0;
    if (fd < 0 || fstat(fd, &now) != 0)
        error = errno;
    else if (!S_ISREG(now.st_mode))
        error = S_ISDIR(now.st_mode) ? EISDIR : ESPIPE;
    if (error == 0) {
        f->device = now.st_dev;
        f->inode = now.st_ino;
        f->bytes = now.st_size;
        f->time = now.st_mtim;
        f->fd = fd;
        atomic_store(&f->pins, 0);
        ring_add(f);
    } else if (fd >= 0)
        close(fd);
    pthread_mutex_unlock(&lock);
    if (error == ESPIPE) return xn_fail(ctx, XANI_ERR_INPUT, "%s: is not an ordinary file", f->path);
    return error ? refuse(ctx, f->path, error) : XANI_OK;
}

xani_status xn_file_open(xn_ctx *ctx, const char *path, xn_file **file)
{
    *file = NULL;
    xn_file *f = xn_calloc(1, sizeof *f);
    if (f == NULL) return xn_fail_memory(ctx, path, sizeof *f);
    f->fd = -1;
    atomic_init(&f->owners, 1);
    atomic_init(&f->pins, -1);
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

void xn_file_close(xn_file **file)
{
    xn_file *f = *file;
    *file = NULL;
    if (f == NULL || atomic_fetch_sub(&f->owners, 1) > 1) return;
    pthread_mutex_lock(&lock);
    if (f->fd >= 0) {
        ring_remove(f);
        close(f->fd);
    }
    pthread_mutex_unlock(&lock);
    uint8_t *map = atomic_load(&f->map);
    if (map) munmap(map, (size_t)f->bytes);
    xn_free(f->path);
    xn_free(f);
}

const char *xn_file_path(const xn_file *f) { return f->path; }
int64_t xn_file_bytes(const xn_file *f) { return f->bytes; }

// ---- descriptors

// With the lock held: opens f again. 0 or an error.
static int open_again(xn_file *f)
{
    int fd = open_path(f->path);
    if (fd < 0) return errno == ENOENT ? XN_READ_CHANGED : errno;
    struct stat now;
    int error = fstat(fd, &now) != 0 ? errno : compare(f, &now);
    if (error != 0) {
        close(fd);
        return error;
    }
    f->fd = fd;
    ring_add(f);
    return 0;
}

int xn_file_pin(xn_file *f, int *error)
{
    *error = 0;
    int pins = atomic_load(&f->pins);
    while (pins >= 0 && !atomic_compare_exchange_weak(&f->pins, &pins, pins + 1)) {}
    if (pins < 0) {
        pthread_mutex_lock(&lock);
        pins = atomic_load(&f->pins); // not -1 where another thread was first
        while (pins >= 0 && !atomic_compare_exchange_weak(&f->pins, &pins, pins + 1)) {}
        if (pins < 0 && (*error = open_again(f)) == 0) atomic_store(&f->pins, 1);
        pthread_mutex_unlock(&lock);
        if (*error != 0) {
            errno = *error > 0 ? *error : ESTALE;
            return -1;
        }
    }
    if (!atomic_load_explicit(&f->used, memory_order_relaxed)) atomic_store(&f->used, true);
    return f->fd;
}

void xn_file_unpin(xn_file *f) { atomic_fetch_sub(&f->pins, 1); }

const uint8_t *xn_file_map(xn_file *f)
{
    uint8_t *map = atomic_load(&f->map);
    if (map != NULL || f->bytes <= 0) return map;
    int error, fd = xn_file_pin(f, &error);
    if (fd < 0) return NULL;
    struct stat now;
    bool whole =
        fstat(fd, &now) == 0 && now.st_size >= f->bytes && !xn_read_injected("mmap", f->path, 0, (size_t)f->bytes);
    uint8_t *mine = whole ? mmap(NULL, (size_t)f->bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    xn_file_unpin(f);
    if (mine == MAP_FAILED) return NULL;
    if (atomic_compare_exchange_strong(&f->map, &map, mine)) return mine;
    munmap(mine, (size_t)f->bytes); // another thread was first
    return map;
}

// ---- reading

bool xn_read_again(int error, int *tries)
{
    if (error == EINTR) return true;
    if (error != EAGAIN || ++*tries > 1000) return false;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return true;
}

ssize_t xn_read_some(int fd, const xn_file *f, int64_t offset, void *dst, size_t n)
{
    int injected = xn_read_injected("pread", f->path, offset, n);
    if (injected > 0) {
        errno = injected;
        return -1;
    }
    return pread(fd, dst, injected < 0 ? (n + 1) / 2 : n, offset);
}

int xn_file_read(xn_file *f, int64_t offset, void *dst, size_t n)
{
    int error, tries = 0, fd = xn_file_pin(f, &error);
    if (fd < 0) return error;
    for (uint8_t *to = dst; n > 0 && error == 0;) {
        ssize_t got = xn_read_some(fd, f, offset, to, n);
        if (got > 0)
            to += got, offset += got, n -= (size_t)got;
        else if (got == 0)
            error = xn_read_ended(f, fd);
        else if (!xn_read_again(errno, &tries))
            error = errno;
    }
    xn_file_unpin(f);
    return error;
}
