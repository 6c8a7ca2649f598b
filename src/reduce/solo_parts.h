// SPDX-License-Identifier: BSD-3-Clause
// solo_parts.h -- what solo.c and solo_strips.c share.
#ifndef XN_REDUCE_SOLO_PARTS_H
#define XN_REDUCE_SOLO_PARTS_H

#include <omp.h>

#include "io/strips.h"
#include "reduce/solo.h"

// Some shots of a batch as a batch of a thread's own.
enum { XN_SOLO_MOST = 16 };
typedef struct xn_solo_own {
    xn_batch batch; // of the arrays below
    int64_t frame[XN_SOLO_MOST];
    int32_t order[XN_SOLO_MOST];
    xn_work_shot *shots[XN_SOLO_MOST];
} xn_solo_own;

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

// The n shots from number `first` of the batch's order on; frames: where they come to lie, step bytes apart.
void xn_solo_take(const xn_batch *b, int64_t first, int64_t n, uint8_t *frames, int64_t step, xn_solo_own *own);
// All rows of them are in the sums: all or none, so that what an interrupted batch has is known.
void xn_solo_mark(const xn_solo_own *own, const xn_pass *pass);
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
