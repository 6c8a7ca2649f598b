// SPDX-License-Identifier: BSD-3-Clause
// choose.c -- which way of reading suits some bytes, where the user leaves it open.
//
// pread is the answer unless all of this holds: the bytes are not in the page cache; they lie on a disk of this
// machine, not on a network file system, whose client has its own read-ahead; a read is long enough for direct reads,
// which have no read-ahead at all; and the files that this process has open exceed half of the memory that is
// available, so that the page cache could not keep them for a second pass anyway.
//
// Measured on 2 shared cores, ext4 on a virtual disk, Linux 6.18, one thread, file of 0.8 GB dropped from the cache
// (POSIX_FADV_DONTNEED), offset 2056, GB/s and CPU seconds per GB, pread beside io_uring at depth 16:
//   reads of   8 KiB  3.4  0.071   0.33 0.60          256 KiB  3.1  0.038   3.3 0.019
//             64 KiB  2.9  0.049   2.1  0.071           1 MiB  3.1  0.044   3.7 0.008
// Depth 8 is as good from 256 KiB on, depth 4 is 0-20 % slower.  Once read, pread gives the same bytes again at 7-10.
//
// Whether bytes are in the page cache is asked by cachestat (Linux 6.5), which touches nothing; before that, or for
// files of others, by a read of one byte that may not wait (RWF_NOWAIT, 4.14) at three places.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "reader/file.h"

enum { LEAST = 256 << 10 }; // bytes of a read

#ifndef SYS_cachestat
#define SYS_cachestat 451 // the same on all architectures
#endif

static pthread_once_t probed = PTHREAD_ONCE_INIT;
static bool have_uring;

static void probe(void)
{
    char why[160];
    have_uring = xn_reader_uring.works(why);
}

// ---- where the file lies

// linux/magic.h and the file systems' own sources: a disk here, and nothing else.
bool xn_file_is_local(xn_file *f)
{
    static const uint32_t local[] = {
        0xEF53,     // ext2, ext3, ext4
        0x58465342, // xfs
        0x9123683E, // btrfs
        0xF2F52010, // f2fs
        0x2FC12FC1, // zfs
        0xCA451A4E, // bcachefs
        0x794C7630, // overlayfs
    };
    int state = atomic_load(&f->local); // 0: not asked yet
    if (state == 0) {
        struct statfs s;
        int error, fd = xn_file_pin(f, &error);
        bool known = fd >= 0 && fstatfs(fd, &s) == 0;
        state = -1;
        for (size_t i = 0; known && i < sizeof local / sizeof local[0]; i++)
            if ((uint32_t)s.f_type == local[i]) state = 1;
        if (fd >= 0) xn_file_unpin(f);
        atomic_store(&f->local, state);
    }
    return state > 0;
}

// ---- whether it is in memory

static bool byte_cached(int fd, int64_t offset)
{
    uint8_t byte;
    struct iovec place = {&byte, 1};
    return preadv2(fd, &place, 1, offset, RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

double xn_file_cached(xn_file *f, int64_t offset, int64_t bytes)
{
    struct {
        uint64_t offset, bytes;
    } range = {(uint64_t)offset, (uint64_t)bytes};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } count;
    int error, fd = bytes > 0 && offset >= 0 ? xn_file_pin(f, &error) : -1;
    if (fd < 0) return 1.0;
    int64_t page = sysconf(_SC_PAGESIZE), pages = (offset + bytes + page - 1) / page - offset / page;
    double part;
    if (!xn_read_injected("cachestat", f->path, offset, (size_t)bytes) &&
        syscall(SYS_cachestat, fd, &range, &count, 0) == 0)
        part = (double)count.cached / (double)pages;
    else
        part =
            (byte_cached(fd, offset) + byte_cached(fd, offset + bytes / 2) + byte_cached(fd, offset + bytes - 1)) / 3.0;
    xn_file_unpin(f);
    return part;
}

// Asked once a second: a frame is read in less than a millisecond.
static double memory_available(void)
{
    static _Atomic double bytes, asked_s;
    double now_s = xn_seconds(), known = atomic_load(&bytes);
    if (known > 0.0 && now_s - atomic_load(&asked_s) < 1.0) return known;
    known = (double)xn_memory_free();
    atomic_store(&bytes, known);
    atomic_store(&asked_s, now_s);
    return known;
}

const xn_reader_ops *xn_reader_choose(xn_file *f, int64_t offset, int64_t bytes)
{
    if (bytes < LEAST || xn_file_cached(f, offset, bytes) >= 0.5 || !xn_file_is_local(f)) return &xn_reader_pread;
    if ((double)xn_file_all_bytes() < 0.5 * memory_available()) return &xn_reader_pread;
    pthread_once(&probed, probe);
    return have_uring ? &xn_reader_uring : &xn_reader_pread;
}
