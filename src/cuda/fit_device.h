// SPDX-License-Identifier: BSD-3-Clause
// fit_device.h -- the fit as kernels of a graphics processor: one thread is one trace, a lane of width one.
//
// The formulas are those of the processor (kernel/*.h); here stands only how a tile walks through them.  Samples lie
// [sample][trace], so that the threads of a warp read neighbours; the state of a fit stays in registers over all passes
// of a launch.  Each stage works on a list of traces and appends those that go on to the next list: after a few passes
// the traces that still move are so packed into full warps.  Lists are appended to in any order, which changes no
// result, because traces do not know of each other.  The host never reads a length: each launch has a thread for every
// trace of the tile, and those past the end of a list leave at once.
#ifndef XN_CUDA_FIT_DEVICE_H
#define XN_CUDA_FIT_DEVICE_H

#include "cuda/launch.h"

#define XN_DEVICE 1
#define XN_REAL_BITS 32
#define XN_VECTOR_BYTES 0
#include "kernel/finish.h"

#define XN_THREADS 128      // of a block
#define XN_START_THREADS 32 // of one whose memory holds their transforms

// What a launch is told. Pointers are the device's, those of plan.time, .scale, .column are not used.
struct stage {
    xn_fit_plan plan;
    struct table table;
    xn_fit_tile tile; // count, start, out, out_stride, n_modes, flags
    real *y, *h, *rest, *wave, *plane;
    const float *sigma; // (count) of a sample of each trace, or NULL
    int room;
    const int *count, *list;            // traces to work on; NULL: all
    int *next_count, *next;             // those that go on
    int *under_work_count, *under_work; // kernel_begin: and have a start
    int modes;                          // K of kernels that serve any
    int passes;
    real tolerance;
    bool resume; // goes on with a fit; else begins one
    bool last;   // what still moves at the end did not converge
};

// The thread's trace, and the kit of the headers. False: nothing to do for this thread.
XN_FN bool stage_trace(const struct stage *s, int moments, struct kit *kit, int *trace)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    const bool here = i < (s->list != NULL ? *s->count : s->tile.count);
    *trace = !here ? 0 : s->list != NULL ? s->list[i] : (int)i;
    kit->plan = &s->plan;
    kit->table = &s->table;
    kit->tile = &s->tile;
    kit->room = s->room;
    kit->pitch = kit->wave_pitch = (size_t)s->room;
    kit->y = s->y;
    kit->h = s->h;
    kit->rest = s->rest;
    kit->in_block = false;
    kit->base = 0;
    kit->wave = s->wave + *trace;
    kit->plane = s->plane;
    kit->moments = moments;
    return here;
}

XN_FN void stage_append(const struct stage *s, int trace) { s->next[atomicAdd(s->next_count, 1)] = trace; }

static __global__ void __launch_bounds__(XN_THREADS) kernel_prepare(const __grid_constant__ struct stage s)
{
    struct kit kit;
    int t;
    if (!stage_trace(&s, 0, &kit, &t)) return;
    prepare_groups(&kit, t);
    if (prepare_trace(&kit, t, s.sigma != NULL ? (double)s.sigma[t] : -1.0)) stage_append(&s, t);
}

static __global__ void __launch_bounds__(XN_THREADS) kernel_open(const __grid_constant__ struct stage s)
{
    struct kit kit;
    int t;
    if (stage_trace(&s, 0, &kit, &t) && stage_open(&kit, s.modes, t)) stage_append(&s, t);
}

static __global__ void __launch_bounds__(XN_THREADS) kernel_close(const __grid_constant__ struct stage s)
{
    struct kit kit;
    int t;
    if (stage_trace(&s, 0, &kit, &t) && stage_close(&kit, s.modes, t)) stage_append(&s, t);
}

// Traces that end with `modes` modes.
static __global__ void __launch_bounds__(XN_THREADS) kernel_choose(const __grid_constant__ struct stage s)
{
    struct kit kit;
    int t;
    if (stage_trace(&s, 0, &kit, &t) && finish_due(&s.tile, t, s.modes)) stage_append(&s, t);
}

static __global__ void __launch_bounds__(XN_THREADS) kernel_start(const __grid_constant__ struct stage s)
{
    struct kit kit;
    struct block b;
    int t;
    if (!stage_trace(&s, 0, &kit, &t)) return;
    block_open(&kit, &t, 1, &b);
    block_start(&b, s.modes);
}

// What a block has in memory of its own where transforms stand there: of each of its XN_START_THREADS traces n_grid
// numbers, and the tables.  In memory of the device a transform would be read and written over and over, several times
// the samples.
struct near {
    real *wave;
    struct table table;
};

// All threads of a block come by.
XN_FN void near_open(const struct stage *s, real *memory, struct near *near)
{
    const int n_grid = s->plan.n_grid, n = s->plan.n;
    struct table *t = &near->table;
    near->wave = memory;
    *t = s->table;
    t->cosine = memory + (size_t)n_grid * XN_START_THREADS;
    t->sine = t->cosine + n_grid;
    t->window = t->sine + n_grid;
    t->place = (int *)(t->window + n);
    XN_SHARE(i, n_grid) t->cosine[i] = s->table.cosine[i];
    XN_SHARE(i, n_grid) t->sine[i] = s->table.sine[i];
    XN_SHARE(i, n) t->window[i] = s->table.window[i];
    XN_SHARE(i, n_grid / 2) t->place[i] = s->table.place[i];
    XN_MEET();
}

XN_FN void near_kit(const struct near *near, struct kit *kit)
{
    kit->table = &near->table;
    kit->in_block = true;
    kit->wave = near->wave + threadIdx.x;
    kit->wave_pitch = XN_START_THREADS;
}

static __global__ void __launch_bounds__(XN_START_THREADS) kernel_start_near(const __grid_constant__ struct stage s)
{
    XN_BLOCK_MEMORY(real, memory);
    struct near near;
    struct kit kit;
    struct block b;
    int t;
    near_open(&s, memory, &near);
    if (!stage_trace(&s, 0, &kit, &t)) return;
    near_kit(&near, &kit);
    block_open(&kit, &t, 1, &b);
    block_start(&b, s.modes);
}

// Of closed plans on uniform delays the samples themselves pass through that memory: they are prepared, sent back, and
// in their place transformed for the start of the first mode.  They leave the device's memory once and return once.
static __global__ void __launch_bounds__(XN_START_THREADS) kernel_begin(const __grid_constant__ struct stage s)
{
    XN_BLOCK_MEMORY(real, memory);
    struct near near;
    struct kit kit;
    struct block b;
    int t;
    const bool here = stage_trace(&s, 0, &kit, &t);
    real *const own = memory + threadIdx.x, *const y = s.y + t;
    for (int i = 0; here && i < s.plan.n; i++) XN_SEND(own + i * XN_START_THREADS, y + (size_t)i * (size_t)s.room);
    near_open(&s, memory, &near);
    XN_THERE();
    if (!here) return;
    near_kit(&near, &kit);
    kit.y = own;
    kit.pitch = XN_START_THREADS;
    kit.base = t;
    prepare_groups(&kit, t);
    if (!prepare_trace(&kit, t, s.sigma != NULL ? (double)s.sigma[t] : -1.0)) return;
    for (int i = 0; i < s.plan.n; i++) y[(size_t)i * (size_t)s.room] = own[i * XN_START_THREADS];
    stage_append(&s, t);
    if (!stage_open(&kit, 1, t)) return;
    s.under_work[atomicAdd(s.under_work_count, 1)] = t;
    block_open(&kit, &t, 1, &b);
    block_start(&b, 1);
}

template <int K>
static __global__ void __launch_bounds__(XN_THREADS) kernel_rest(const __grid_constant__ struct stage s)
{
    struct kit kit;
    struct block b;
    int t;
    if (!stage_trace(&s, 0, &kit, &t)) return;
    block_open(&kit, &t, 1, &b);
    block_rest(&b, K);
}

template <int K, int moments>
static __global__ void __launch_bounds__(XN_THREADS) kernel_fit(const __grid_constant__ struct stage s)
{
    struct kit kit;
    struct block b;
    struct lm state[XN_GROUPS];
    int t, left[1];
    if (!stage_trace(&s, moments, &kit, &t)) return;
    block_open(&kit, &t, 1, &b);
    if (s.resume) {
        lm_resume(&b, K, state);
    } else {
        s.tile.flags[t] &= (uint8_t)~XN_FLAG_STUCK;
        lm_begin(&b, K, state);
    }
    for (int pass = 0; pass < s.passes && lm_active(state); pass++) lm_pass(K, &b, state, s.tolerance);
    if (lm_suspend(&b, K, state, left, 0) == 0) return;
    if (s.last)
        s.tile.flags[t] |= XN_FLAG_STUCK;
    else
        stage_append(&s, t);
}

// Of no mode: left alone, the assembler spills to fit in more blocks than there is need for.
template <int K>
static __global__ void __launch_bounds__(XN_THREADS, K == 0 ? 8 : 0)
    kernel_finish(const __grid_constant__ struct stage s)
{
    struct kit kit;
    struct block b;
    struct rest r;
    int t;
    if (!stage_trace(&s, 0, &kit, &t)) return;
    block_open(&kit, &t, 1, &b);
    rest_open(&b, K, &r);
    block_residual(&b, K, &r, NULL);
    finish_group(K, &b, 0, &r);
}

#endif
