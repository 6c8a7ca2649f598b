// SPDX-License-Identifier: BSD-3-Clause
// internal.h -- what the ways of reading share: the test hook, direct descriptors, the rules of trying again.
//
// Private to src/reader.  A hook (reader.h) stands in front of each system call; without one the question costs a load
// and a branch.
#ifndef XN_READER_INTERNAL_H
#define XN_READER_INTERNAL_H

#include <sys/types.h>

#include "reader/reader.h"

extern const xn_reader_ops xn_reader_pread, xn_reader_uring, xn_reader_mmap;

// 0: go on; XN_READ_SHORT: half of it; else the errno that the call fails with.
int xn_read_injected(const char *call, const char *path, int64_t offset, size_t bytes);

// Whether an error is worth another try: always after an interruption, for about a second after EAGAIN, in which it
// sleeps. *tries is 0 at first.
bool xn_read_again(int error, int *tries);

// A descriptor that reads past the page cache, pinned until xn_file_unpin_direct, and what offset, length and memory of
// such reads must be multiples of. Where the file refuses it (need->offset 0) it is the one of xn_file_pin.
typedef struct xn_alignment {
    uint32_t offset, memory;
} xn_alignment;
int xn_file_pin_direct(xn_file *file, xn_alignment *need, int *error);
void xn_file_unpin_direct(xn_file *file);
void xn_file_refuse_direct(xn_file *file); // it was tried, and did not work

#endif
