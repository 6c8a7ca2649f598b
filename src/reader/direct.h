// SPDX-License-Identifier: BSD-3-Clause
// direct.h -- one read past the page cache: what to ask the system for, and where it lands.
//
// Direct reads move whole blocks to aligned memory (internal.h, xn_alignment).  Here a read becomes requests that obey
// this; who sends them (uring.c) is not known here.  A read that the page cache serves (need.offset 0) is one request.
#ifndef XN_READER_DIRECT_H
#define XN_READER_DIRECT_H

#include "reader/internal.h"

typedef struct xn_direct {
    xn_read *read;
    xn_alignment need;     // offset 0: through the page cache
    size_t done;           // bytes of the read that are in place
    int64_t at;            // of the request: offset in the file, bytes, memory
    size_t asked;          //
    uint8_t *to;           //
    int64_t base;          // offset in the file of memory[0], where the read has no place of its own
    uint8_t *memory, *raw; // where requests land; as allocated, if it is its own
    size_t room;
} xn_direct;

// Memory that several reads have shares of.
typedef struct xn_direct_memory {
    uint8_t *memory, *raw; // aligned; as allocated
    size_t share, largest; // largest: of the reads to come, as far as known
} xn_direct_memory;

// Starts `read` as number `index` of `n`; d keeps its memory between reads. False: out of memory.
bool xn_direct_start(xn_direct *d, xn_read *read, xn_alignment need, xn_direct_memory *all, int index, int n);
void xn_direct_plan(xn_direct *d);            // the next request
size_t xn_direct_got(xn_direct *d, int got);  // it brought `got` bytes; how many of the read's they are
uint8_t *xn_direct_place(const xn_direct *d); // of the next byte of the read

#endif
