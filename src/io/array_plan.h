// SPDX-License-Identifier: BSD-3-Clause
// array_plan.h -- one read on its way: views, jobs, tasks.
//
// A view is what a read wants of one part: a box of a store, and where its elements go.  A job is what a view wants of
// one block.  A task is one run of bytes of a file and the jobs that find their blocks in it.
#ifndef XN_IO_ARRAY_PLAN_H
#define XN_IO_ARRAY_PLAN_H

#include "io/array_parts.h"
#include "io/convert.h"

typedef struct xn_view {
    xn_store *store;
    int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK]; // of the store
    uint8_t *dst;                                // of its first element
    int64_t stride[XANI_MAX_RANK];               // bytes of dst, along the axes of the store
} xn_view;

typedef struct xn_job {
    int64_t view, block;
    int64_t offset; // in the file
    size_t bytes;   // 0: not to be read as a run of bytes
} xn_job;

typedef struct xn_task {
    int64_t first, n; // jobs
    int64_t offset;
    size_t bytes; // 0: none to be read
    uint8_t *dst; // the bytes are the answer: where they go
} xn_task;

typedef struct xn_plan {
    xn_ctx *ctx;
    xn_array *array;
    xn_type type; // wanted
    size_t elem;
    int threads;
    bool device; // the destination is memory of the array's device
    bool stream; // the answer is larger than caches: written past them
    xn_view *view;
    int64_t n_views, views_room;
    xn_job *job;
    int64_t n_jobs, jobs_room;
    xn_task *task;
    int64_t n_tasks, tasks_room;
    size_t largest; // task without a place of its own
} xn_plan;

// array_plan.c: makes views and jobs of the selection and calls xn_plan_run as often as memory asks for.
xani_status xn_plan_read(xn_plan *plan, const xn_selection *selection, uint8_t *dst);
// What job wants of its block: box of the store.
void xn_job_box(const xn_view *view, int64_t block, int64_t *lo, int64_t *n);

// array_run.c: the jobs at hand, read and decoded.
xani_status xn_plan_run(xn_plan *plan);

// array_put.c: a box of n elements from src (strides in bytes) to its place in the view, byte order and type changed on
// the way. lo: the box's first element in the store.
xani_status xn_view_put(const xn_plan *plan, const xn_view *view, const int64_t *lo, const int64_t *n,
                        const uint8_t *src, const int64_t *src_stride, bool swap);
xani_status xn_view_fill(const xn_plan *plan, const xn_view *view, const int64_t *lo, const int64_t *n);
uint8_t *xn_view_at(const xn_view *view, const int64_t *lo); // where element lo of the store goes
// The box is one run of bytes in the destination.
bool xn_view_is_run(const xn_plan *plan, const xn_view *view, const int64_t *n);

#endif
