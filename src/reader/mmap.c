// SPDX-License-Identifier: BSD-3-Clause
// mmap.c -- reading in place: the bytes are used where they lie in the page cache, without a copy.
//
// Touching a mapped page that is not there kills the process: behind the end of a file that was truncated (SIGBUS), or
// where the disk fails.  So the pages are asked for first (MADV_POPULATE_READ, Linux 5.14), which answers with an error
// instead; what is left is a file that is truncated between that and the use.  It costs 5 % where a megabyte is added
// up in place, a third of 64 KiB; reading by pread and adding up costs half as much again.  Without that call the size
// of the file is looked at.  Bytes that are copied anyway, because a place for them is given, are read by pread, which
// no truncation can hurt.
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader/line.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

static bool works(char why[160])
{
    why[0] = '\0';
    return true;
}

static xn_reader *open_reader(int depth, size_t largest) { return xn_line_open(&xn_reader_mmap, depth, largest); }

static int64_t size_now(xn_file *file)
{
    struct stat now;
    int error, fd = xn_file_pin(file, &error);
    if (fd < 0) return -1;
    if (fstat(fd, &now) != 0) now.st_size = -1;
    xn_file_unpin(file);
    return now.st_size;
}

// 0 where all of it can be touched now.
static int populate(const xn_read *read, const uint8_t *data)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (uintptr_t)data % page;
    int error = xn_read_injected("madvise", xn_file_path(read->file), read->offset, read->bytes), tries = 0;
    for (;;) {
        if (error <= 0 && madvise((void *)(uintptr_t)(data - before), read->bytes + before, MADV_POPULATE_READ) == 0)
            return 0;
        if (error <= 0) error = errno;
        if (!xn_read_again(error, &tries)) break;
        error = 0;
    }
    if (error == EINVAL || error == ENOSYS) error = 0; // an older system
    if (size_now(read->file) < xn_file_bytes(read->file)) return XN_READ_CHANGED;
    return error == EFAULT ? EIO : error;
}

// The bytes in place, or NULL where that cannot be had; error: they cannot be read at all.
static const uint8_t *in_place(xn_read *read)
{
    int64_t size = xn_file_bytes(read->file);
    if (read->offset < 0 || read->offset > size || read->bytes > (size_t)(size - read->offset)) return NULL;
    const uint8_t *map = xn_file_map(read->file);
    if (map == NULL || read->bytes == 0) return map;
    read->error = populate(read, map + read->offset);
    return map + read->offset;
}

static xn_read *next(xn_reader *reader)
{
    xn_read *read = xn_line_take(reader);
    if (read == NULL) return NULL;
    const uint8_t *data = read->dst ? NULL : in_place(read);
    if (data == NULL) {
        uint8_t *to = xn_line_room(reader, read);
        read->error = to ? xn_file_read(read->file, read->offset, to, read->bytes) : ENOMEM;
        data = to;
    }
    read->data = read->error ? NULL : data;
    if (read->dst != NULL) xn_line_release(reader, read);
    return read;
}

const xn_reader_ops xn_reader_mmap = {"mmap", works, open_reader, xn_line_close, xn_line_submit, next, xn_line_release};
