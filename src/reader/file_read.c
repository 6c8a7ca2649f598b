// SPDX-License-Identifier: BSD-3-Clause
// file_read.c -- bytes of one file without a reader: all of them or an error; the mapping.
//
// A read that ends early is continued until the system says that there is no more.  Then the file's present size tells
// a file that is too short from one that became shorter.
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reader/file.h"

bool xn_read_again(int error, int *tries)
{
    if (error == EINTR) return true;
    if (error != EAGAIN || ++*tries > 1000) return false;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return true;
}

// As pread(2), with the hook in front.
static ssize_t read_some(int fd, const xn_file *f, int64_t offset, void *dst, size_t n)
{
    int injected = xn_read_injected("pread", f->path, offset, n);
    if (injected > 0) {
        errno = injected;
        return -1;
    }
    return pread(fd, dst, injected < 0 ? (n + 1) / 2 : n, offset);
}

static int ended(const xn_file *f, int fd)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_size < f->bytes ? XN_READ_CHANGED : XN_READ_SHORT;
}

int xn_file_read(xn_file *f, int64_t offset, void *dst, size_t n)
{
    int error, tries = 0, fd = xn_file_pin(f, &error);
    if (fd < 0) return error;
    for (uint8_t *to = dst; n > 0 && error == 0;) {
        ssize_t got = read_some(fd, f, offset, to, n);
        if (got > 0)
            to += got, offset += got, n -= (size_t)got;
        else if (got == 0)
            error = ended(f, fd);
        else if (!xn_read_again(errno, &tries))
            error = errno;
    }
    xn_file_unpin(f);
    return error;
}

const uint8_t *xn_file_map(xn_file *f)
{
    uint8_t *map = atomic_load(&f->map);
    if (map != NULL || f->bytes <= 0) return map;
    int error, fd = xn_file_pin(f, &error);
    if (fd < 0) return NULL;
    struct stat now;
    bool whole = fstat(fd, &now) == 0 && now.st_size >= f->bytes;
    if (xn_read_injected("mmap", f->path, 0, (size_t)f->bytes)) whole = false;
    uint8_t *mine = whole ? mmap(NULL, (size_t)f->bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    xn_file_unpin(f);
    if (mine == MAP_FAILED) return NULL;
    if (atomic_compare_exchange_strong(&f->map, &map, mine)) return mine;
    munmap(mine, (size_t)f->bytes); // another thread was first
    return map;
}
