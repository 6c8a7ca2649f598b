// SPDX-License-Identifier: BSD-3-Clause
// internal.h -- what the ways of reading share: the test hook and the loop that makes a read whole.
//
// Private to src/reader.  A hook (reader.h) stands in front of each system call; without one the question costs a load
// and a branch.
#ifndef XN_READER_INTERNAL_H
#define XN_READER_INTERNAL_H

#include <sys/types.h>

#include "reader/reader.h"

extern const xn_reader_ops xn_reader_pread;

// 0: go on; XN_READ_SHORT: half of it; else the errno that the call fails with.
int xn_read_injected(const char *call, const char *path, int64_t offset, size_t bytes);

// Bytes got, 0 at the end of the file, or -1 with errno: as pread(2), with the hook in front.
ssize_t xn_read_some(int fd, const xn_file *file, int64_t offset, void *dst, size_t n);
// Whether an error is worth another try: always after an interruption, for about a second after EAGAIN, in which it
// sleeps. *tries is 0 at first.
bool xn_read_again(int error, int *tries);
// The end of the file was met where bytes were to be: XN_READ_CHANGED where the file shrank, else XN_READ_SHORT.
int xn_read_ended(const xn_file *file, int fd);

#endif
