// SPDX-License-Identifier: BSD-3-Clause
// file.h -- what an xn_file is, for the files of this folder that look inside.
//
// Private to src/reader; file.c says how descriptors are kept, file_read.c reads and maps.
#ifndef XN_READER_FILE_H
#define XN_READER_FILE_H

#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "reader/internal.h"

typedef struct xn_descriptor {
    int fd;           // -1: none
    atomic_int pins;  // -1: none
    atomic_bool used; // since the hand passed
    struct xn_descriptor *next, *previous;
} xn_descriptor;

struct xn_file {
    char *path;
    dev_t device;
    ino_t inode;
    int64_t bytes;
    struct timespec time;
    atomic_bool follow, refuses_direct;
    atomic_int owners, local;    // local: choose.c
    xn_descriptor plain, direct; // direct: past the page cache
    xn_alignment alignment;      // of direct reads, set with its descriptor
    _Atomic(uint8_t *) map;
};

#endif
