// SPDX-License-Identifier: BSD-3-Clause
// walk.h -- the order in which the kernels take a tile through the fit: that of greedy.h and finish.h.
//
// List 0: traces that may get another mode; list 1: those under work; 2 and 3: stragglers, packed anew after a few
// passes.  The length of a list is a counter on the device, one for each list that is made.
#ifndef XN_CUDA_WALK_H
#define XN_CUDA_WALK_H

#include "cuda/lane.h"

// Tests compile fewer to look at their registers.
#ifndef XN_DEVICE_MODES
#define XN_DEVICE_MODES XANI_MAX_MODES
#endif
#define XN_MODES(k) ((k) < XN_DEVICE_MODES ? (k) : XN_DEVICE_MODES)

namespace
{

const int passes_before[] = {XN_PASSES_TOGETHER, 10}; // stragglers are packed after so many; the rest in one launch

template <int K> stage_kernel fit_of(int moments)
{
    return moments == XN_MOMENTS_GOERTZEL ? kernel_fit<K, XN_MOMENTS_GOERTZEL>
           : moments == XN_MOMENTS_HORNER ? kernel_fit<K, XN_MOMENTS_HORNER>
                                          : kernel_fit<K, XN_MOMENTS_EXPLICIT>;
}

stage_kernel fit_kernel(int K, int moments)
{
    return K == 1   ? fit_of<XN_MODES(1)>(moments)
           : K == 2 ? fit_of<XN_MODES(2)>(moments)
           : K == 3 ? fit_of<XN_MODES(3)>(moments)
                    : fit_of<XN_MODES(4)>(moments);
}

stage_kernel rest_kernel(int K)
{
    return K == 1 ? kernel_rest<XN_MODES(1)> : K == 2 ? kernel_rest<XN_MODES(2)> : kernel_rest<XN_MODES(3)>;
}

stage_kernel finish_kernel(int K)
{
    return K == 0   ? kernel_finish<0>
           : K == 1 ? kernel_finish<XN_MODES(1)>
           : K == 2 ? kernel_finish<XN_MODES(2)>
           : K == 3 ? kernel_finish<XN_MODES(3)>
                    : kernel_finish<XN_MODES(4)>;
}

struct walk {
    xn_device_lane *lane;
    struct stage stage;
    int moments;
};

// One launch over list `from` (-1: all traces); appends to list `to` (-1: none). block_bytes: memory of each block,
// which has as many threads as that serves.
void launch(struct walk *w, stage_kernel kernel, int from, const int *count, int to, size_t block_bytes = 0)
{
    xn_device_lane *l = w->lane;
    struct stage *s = &w->stage;
    s->list = from < 0 ? NULL : l->list[from];
    s->count = count;
    s->next = to < 0 ? NULL : l->list[to];
    s->next_count = to < 0 ? NULL : l->counter + l->counters_used++;
    const int threads = block_bytes > 0 ? XN_START_THREADS : XN_THREADS;
    const int blocks = (s->tile.count + threads - 1) / threads;
    XN_LAUNCH_WITH(kernel, blocks, threads, block_bytes, l->stream, *s);
}

// Fits K modes of list 1 to the tolerance; stragglers go through lists 2 and 3.
void refine(struct walk *w, int K, const int *count, real tolerance)
{
    const stage_kernel kernel = fit_kernel(K, w->moments);
    const int launches = sizeof passes_before / sizeof passes_before[0];
    int left = w->stage.plan.passes_max, from = 1;
    w->stage.tolerance = tolerance;
    w->stage.resume = false;
    for (int i = 0; i <= launches && left > 0; i++) {
        const int to = from == 2 ? 3 : 2;
        w->stage.passes = i < launches && passes_before[i] < left ? passes_before[i] : left;
        left -= w->stage.passes;
        w->stage.last = left == 0;
        launch(w, kernel, from, count, to);
        count = w->stage.next_count;
        from = to;
        w->stage.resume = true;
    }
}

void walk_stages(struct walk *w)
{
    const xn_fit_plan *p = &w->stage.plan;
    const size_t block_bytes = start_bytes(p, w->lane->block_memory);
    const bool at_once = block_bytes > 0 && p->closed && p->uniform && p->n_grid >= 32 && p->modes_max > 0;
    int *begun = w->lane->counter + w->lane->counters_used++;
    w->stage.under_work_count = begun, w->stage.under_work = w->lane->list[1];
    if (at_once)
        launch(w, kernel_begin, -1, NULL, 0, block_bytes);
    else
        launch(w, kernel_prepare, -1, NULL, 0);
    const int *count = w->stage.next_count;
    for (int K = 1; K <= p->modes_max; K++) {
        w->stage.modes = K;
        if (K == 1 && at_once) {
            count = begun;
        } else {
            launch(w, kernel_open, 0, count, 1);
            count = w->stage.next_count;
            if (K > 1) launch(w, rest_kernel(K - 1), 1, count, -1);
            launch(w, block_bytes > 0 ? kernel_start_near : kernel_start, 1, count, -1, block_bytes);
        }
        refine(w, K, count, XN_TOLERANCE(p, K));
        launch(w, kernel_close, 1, count, 0);
        count = w->stage.next_count;
    }
    for (int K = 1; K < p->modes_max; K++) {
        w->stage.modes = K;
        launch(w, kernel_choose, -1, NULL, 1);
        refine(w, K, w->stage.next_count, (real)p->tolerance);
    }
    for (int K = 0; K <= p->modes_max; K++) {
        w->stage.modes = K;
        launch(w, kernel_choose, -1, NULL, 1);
        launch(w, finish_kernel(K), 1, w->stage.next_count, -1);
    }
}

} // namespace

#endif
