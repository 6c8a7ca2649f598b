// SPDX-License-Identifier: BSD-3-Clause
// accumulate.h -- what accumulate.c (blocks, passes), step.c (batches) and rows.c (one row of groups) share.
#ifndef XN_REDUCE_ACCUMULATE_H
#define XN_REDUCE_ACCUMULATE_H

#include "kernel/devices.h"
#include "reduce/internal.h"

typedef struct xn_sum_choice xn_sum_choice; // device.h
typedef struct xn_sum_devices xn_sum_devices;
typedef struct xn_solo xn_solo; // solo.h

typedef struct xn_batch {
    uint8_t *frames;      // decoded, from detector row first_row on
    int64_t step;         // bytes from one to the next
    int64_t first_row;    // 0 but for strips of them (solo_strips.c)
    xn_work_shot **shots; // frame i belongs to shots[i]
    int32_t *order;       // 0 .. n-1 sorted by bin, laser off first
    int64_t *key;         // work, for that
    int64_t *frame;       // numbers of the frames, in the order of shots
    int32_t *reads;       // read k is of the frames reads[k] ... reads[k + 1] - 1: those that are decoded together
    int64_t n, n_reads;
    // where devices add it
    int half;    // which of their two it is; -1: the processor adds it whatever there is
    bool direct; // frames are read straight into them, those [begin, end) into each
    int64_t begin[XN_DEVICES_MOST], end[XN_DEVICES_MOST];
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
    const xn_sum_choice *choice; // devices that may be used; NULL: none
    xn_sum_devices *devices;     // those in use, NULL: none
    xn_solo *solo;               // threads with frames of their own; NULL: the batches are read, then added
    bool torn;                   // one failed in such a way that the pass is to be made anew
    bool half_added;             // some frames are, so the sums of this pass are good for nothing any more
    int64_t batch_frames;        // that there is memory for
    xn_batch batch[2];           // one is added while the other is read
    // room of each thread
    uint8_t *scratch, *room; // of the source; of the corrections
    int32_t *col;            // a row of detector columns
    int64_t *v;              // a row of groups
    size_t scratch_stride, room_stride, col_stride, v_stride;
};

// What failed first in threads that work together on a batch.
typedef struct xn_step {
    xani_status failed;
    int64_t failed_at;        // frame of its batch
    const xn_work_shot *shot; // of it
} xn_step;
bool xn_step_failed(xn_step *step);
void xn_step_note(xn_step *step, xani_status st, const xn_batch *batch, int64_t frame);
// The status, with the words "while reading frame".
xani_status xn_step_status(const xn_accumulator *a, const xn_step *step);
// One frame, decoded and corrected, in the calling thread.
xani_status xn_step_frame(const xn_accumulator *a, int64_t frame, uint8_t *dst);

// step.c: memory of the threads and of so many batches of `frames` frames.
xani_status xn_step_open(xn_accumulator *a, int64_t frames, int batches);
void xn_step_close(xn_accumulator *a);
bool xn_batch_open(xn_accumulator *a, int64_t frames, int half, xn_batch *b); // false: no memory; close it all the same
void xn_batch_close(xn_accumulator *a, xn_batch *b);
// The shots of a batch: how their frames are read; and in which order they are added.
void xn_step_reads(const xn_accumulator *a, xn_batch *b, xn_work_shot *const *shots, int64_t n);
void xn_step_batch(const xn_accumulator *a, xn_batch *b, xn_work_shot *const *shots, int64_t n);
// Reads `next` and adds `now` (either may be empty).
xani_status xn_step_run(xn_accumulator *a, const xn_pass *pass, const xn_batch *now, xn_batch *next);

// Intensity of groups [x, x + n) of row y in one frame, in 2^-16 photons; flags pixels without a valid number.
typedef struct xn_span {
    int64_t y, x, n;
} xn_span;
void xn_rows_group(const xn_accumulator *a, const xn_batch *batch, int64_t frame, xn_span span, int32_t *col,
                   int64_t *v);
// Adds row y of all frames of the batch to the sums of the pass.
void xn_rows_add(const xn_accumulator *a, const xn_pass *pass, const xn_batch *batch, int64_t y, int thread);

// The sums that shots of a bin (-1: laser off) go to.
typedef struct xn_sums_row {
    int64_t *s1, *s2, *x;
} xn_sums_row;
xn_sums_row xn_rows_sums(const xn_accumulator *a, const xn_pass *pass, int32_t bin);
// Whether the photons of the shot are counted in this pass: laser-off shots are read in each where there are blocks of
// time.
bool xn_rows_counts(const xn_pass *pass, const xn_work_shot *shot);

#endif
