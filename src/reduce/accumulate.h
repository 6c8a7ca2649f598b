// SPDX-License-Identifier: BSD-3-Clause
// accumulate.h -- what accumulate.c (batches, blocks, passes) and rows.c (one row of groups) share.
#ifndef XN_REDUCE_ACCUMULATE_H
#define XN_REDUCE_ACCUMULATE_H

#include "reduce/internal.h"

typedef struct xn_batch {
    uint8_t *frames;      // decoded, plan->frame_bytes apart
    xn_work_shot **shots; // frame i belongs to shots[i]
    int32_t *order;       // 0 .. n-1 sorted by bin, laser off first
    int64_t *frame;       // numbers of the frames, in the order of shots
    int32_t *reads;       // read k is of the frames reads[k] ... reads[k + 1] - 1: those that are decoded together
    int64_t n, n_reads;
} xn_batch;

// keep.c: sums so far are saved and handed out, between batches and only where no block of time is half added.
typedef struct xn_keep xn_keep;
xani_status xn_keep_between(xn_keep *keep, const xn_pass *pass, bool block_open);
void xn_keep_interrupted(xn_keep *keep, const xn_pass *pass);

struct xn_accumulator {
    xn_ctx *ctx;
    xn_source *source;
    const xn_reduce_kernels *kernels;
    xn_groups *groups;
    xn_work *work;
    const xn_layout_plan *plan;
    int64_t *peak;    // (group) largest |v|
    int64_t *photons; // (row of the shot table) all groups of a shot, in 2^-16; NULL: not wanted
    xn_keep *keep;    // what is done between batches, or NULL
    int threads;
    xn_batch batch[2]; // one is added while the other is read
    // room of each thread
    uint8_t *scratch, *room; // of the source; of the corrections
    int32_t *col;            // a row of detector columns
    int64_t *v;              // a row of groups
    size_t scratch_stride, room_stride, col_stride, v_stride;
};

// Intensity of the groups of row y in one frame, in 2^-16 photons; flags pixels without a valid number.
void xn_rows_group(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t y, int32_t *col, int64_t *v);
// Adds row y of all frames of the batch to the sums of the pass.
void xn_rows_add(const xn_accumulator *a, const xn_pass *pass, const xn_batch *batch, int64_t y, int thread);

#endif
