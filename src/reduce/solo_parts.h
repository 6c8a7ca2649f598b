// SPDX-License-Identifier: BSD-3-Clause
// solo_parts.h -- what solo.c and solo_strips.c share.
#ifndef XN_REDUCE_SOLO_PARTS_H
#define XN_REDUCE_SOLO_PARTS_H

#include <omp.h>

#include "io/strips.h"
#include "reduce/solo.h"

// Frames of a thread that are read by strips.
typedef struct xn_solo_strips {
    int n;               // frames at once; 0: they are not
    int64_t rows, bytes; // group rows of a strip; most bytes of one
    uint8_t *memory;     // (threads, n, bytes)
    xn_strips **of;      // (threads)
    bool half_added;     // a frame failed behind its first strip
} xn_solo_strips;

struct xn_solo {
    int64_t slots, at_once, shots; // frames of a thread in memory; that it takes at once; of a batch
    uint8_t *frames;               // (threads, slots)
    uint8_t *done;                 // (threads, rows)
    omp_lock_t *lock;              // (rows)
    xn_solo_strips strips;
};

// Adds rows [begin, end) of groups of the frames of a thread: first those that nobody else is at, then the others.
void xn_solo_rows(const xn_accumulator *a, const xn_pass *pass, const xn_batch *own, int64_t begin, int64_t end);

// solo_strips.c: whether frames are read by strips; where there is no memory for that, they are not.
void xn_solo_strips_open(xn_accumulator *a, int64_t shots);
void xn_solo_strips_close(xn_accumulator *a);
// The n frames of the batch from number `first` of its order on, in the calling thread. False: not these.
bool xn_solo_strips_begin(const xn_accumulator *a, const xn_batch *b, int64_t first, int64_t n);
// Then reads and adds them. *at: the one that cannot be read.
xani_status xn_solo_strips_add(const xn_accumulator *a, const xn_pass *pass, const xn_batch *b, int64_t first,
                               int64_t n, int64_t *at);

#endif
