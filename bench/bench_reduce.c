// SPDX-License-Identifier: BSD-3-Clause
// bench_reduce.c -- `xani bench reduce`: shots to sums, in GB/s of decoded frames.
//
// One detector of 1024 x 512 pixels, 128 frames in a file in a temporary folder, read over and over by 1024 shots
// (a quarter laser-off, 100 delay bins, random delays, groups of 4 x 4).  Two cases: JUNGFRAU words in chunks of one
// frame, bitshuffle+LZ4, as detectors write them; photons as uint16 in one contiguous piece.  Ours is the whole stage,
// select to signal.
// Floors, with the same threads: reading and decoding the frames only; adding decoded frames in memory to one frame of
// uint32; pread of the stored bytes (all three as decoded bytes per second).  numpy and numba reduce the first 128
// shots, decoded already and in memory: they are spared file and decoder.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/reduce_data.h"
#include "reduce/internal.h"

#define GROUP 4 // pixels, squared

typedef struct runner {
    const xn_bench *bench;
    xn_bench_data *data;
    int threads;
    const char *name;
} runner;

// ---- ours and the floors: seconds of one run, NaN with the error in the context when it fails

static double run_ours(runner *r)
{
    xn_ctx *ctx = r->bench->context;
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "reduce: {delay_bins_ps: {start: 0, stop: 10, step: 0.1}, spatial_bin: %d}\nengine: {threads: %d}\n",
             GROUP, r->threads);
    xn_config *config = NULL;
    xn_source source;
    xn_cube cube;
    if (xn_config_parse(ctx, yaml, "bench", ".", &config) != XANI_OK) return NAN;
    double seconds = NAN, begin = 0;
    xani_status st = xn_bench_data_source(ctx, r->data, &source);
    if (st == XANI_OK) {
        begin = xn_seconds();
        st = xn_reduce(ctx, config, &source, &cube);
    }
    if (st == XANI_OK) {
        seconds = xn_seconds() - begin;
        xn_cube_free(&cube);
    }
    xn_shots_free(&source.shots);
    xani_config_destroy(&config);
    return seconds;
}

static double run_decode(runner *r)
{
    const xn_bench_data *d = r->data;
    int64_t failed = 0;
    uint8_t *room = xn_alloc((size_t)r->threads, d->frame_bytes + 64);
    if (room == NULL) return NAN;
    size_t stride = d->frame_bytes + 64;
    double begin = xn_seconds();
#pragma omp parallel for schedule(dynamic) num_threads(r->threads) reduction(+ : failed)
    for (int64_t i = 0; i < XN_BENCH_SHOTS; i++) {
        uint8_t *mine = room + (size_t)omp_get_thread_num() * stride;
        failed += xn_frames_read(r->bench->context, d->frames, i % XN_BENCH_FRAMES, mine) != XANI_OK;
    }
    double seconds = xn_seconds() - begin;
    xn_free(room);
    return failed ? NAN : seconds;
}

static void add_words(uint32_t *restrict sum, const uint16_t *restrict v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) sum[i] += v[i];
}

static double run_sum(runner *r)
{
    enum { SLAB = 8192, SLABS = XN_BENCH_PIXELS / SLAB };
    uint32_t *sum = xn_calloc(XN_BENCH_PIXELS, sizeof *sum);
    if (sum == NULL) return NAN;
    double begin = xn_seconds();
#pragma omp parallel for schedule(static) num_threads(r->threads)
    for (int s = 0; s < SLABS; s++)
        for (int64_t i = 0; i < XN_BENCH_SHOTS; i++)
            add_words(sum + s * SLAB, r->data->words + (i % XN_BENCH_FRAMES) * XN_BENCH_PIXELS + s * SLAB, SLAB);
    double seconds = xn_seconds() - begin;
    xn_free(sum);
    return seconds;
}

static double run_pread(runner *r)
{
    enum { PIECE = 1 << 20 };
    const xn_bench_data *d = r->data;
    int64_t pieces = (d->file_bytes + PIECE - 1) / PIECE, got = 0;
    int rounds = XN_BENCH_SHOTS / XN_BENCH_FRAMES;
    uint8_t *room = xn_alloc((size_t)r->threads, PIECE);
    if (room == NULL) return NAN;
    double begin = xn_seconds();
#pragma omp parallel for schedule(dynamic) num_threads(r->threads) reduction(+ : got)
    for (int64_t i = 0; i < pieces * rounds; i++)
        got += pread(d->fd, room + (size_t)omp_get_thread_num() * PIECE, PIECE, (off_t)(i % pieces) * PIECE);
    double seconds = xn_seconds() - begin;
    xn_free(room);
    return got == d->file_bytes * rounds ? seconds : NAN;
}

// ---- in turn

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

static void report(const runner *r, const char *peer, double ours, double theirs, const char *why)
{
    xn_bench_line line = {
        .bench = "reduce", .name = r->name, .peer = peer, .unit = "GB/s", .ratio_cpu = NAN, .why = why};
    double bytes = (double)XN_BENCH_SHOTS * XN_BENCH_PIXELS * 2;
    line.ours = bytes / ours / 1e9;
    line.theirs = theirs;
    line.ratio = line.ours / theirs;
    r->bench->emit(r->bench->user, &line);
}

static xani_status run_case(const xn_bench *b, const char *name, xn_bench_kind kind)
{
    static const char *const floors[] = {"floor:decode", "floor:sum", "floor:pread"};
    static double (*const run[])(runner *) = {run_decode, run_sum, run_pread};
    xn_bench_data data = {0};
    runner r = {.bench = b, .data = &data, .threads = xn_threads(b->threads), .name = name};
    int repeats = b->repeats > 5 ? b->repeats : 5;
    double *times = xn_calloc((size_t)repeats * 6, sizeof *times);
    if (times == NULL) return xn_fail_memory(b->context, "the benchmark", (size_t)repeats * 48);
    xani_status st = xn_bench_data_make(b->context, kind, &data);
    xn_bench_python *python = st == XANI_OK ? xn_bench_python_start(&data, r.threads, GROUP) : NULL;
    if (st == XANI_OK) (void)run_ours(&r); // warms caches and threads
    double bytes = (double)XN_BENCH_SHOTS * XN_BENCH_PIXELS * 2;
    for (int i = 0; st == XANI_OK && i < repeats; i++) {
        times[i] = run_ours(&r);
        for (int f = 0; f < 3; f++) times[(f + 1) * repeats + i] = run[f](&r);
        for (int p = 0; python != NULL && p < 2; p++) times[(4 + p) * repeats + i] = xn_bench_python_run(python, p);
        if (isnan(times[i]) || isnan(times[repeats + i]) || isnan(times[3 * repeats + i]))
            st = xn_fail(b->context, XANI_ERR_INTERNAL, "bench reduce %s failed", name);
        if (st == XANI_OK) st = xn_check_interrupt(b->context);
    }
    double ours = st == XANI_OK ? median(times, repeats) : NAN;
    for (int f = 0; st == XANI_OK && f < 3; f++)
        report(&r, floors[f], ours, bytes / median(times + (f + 1) * repeats, repeats) / 1e9, NULL);
    for (int p = 0; st == XANI_OK && python != NULL && p < 2; p++) {
        const char *why = xn_bench_python_why(python, p);
        double rate = why ? NAN
                          : (double)XN_BENCH_PYTHON_SHOTS * XN_BENCH_PIXELS * 2 /
                                median(times + (4 + p) * repeats, repeats) / 1e9;
        report(&r, p == 0 ? "numpy" : "numba", ours, rate, why);
    }
    xn_bench_python_stop(&python);
    xn_bench_data_free(&data);
    xn_free(times);
    return st;
}

xani_status xn_bench_reduce(const xn_bench *b)
{
    XN_TRY(run_case(b, "jungfrau-bslz4", XN_BENCH_JUNGFRAU));
    return run_case(b, "photons-contiguous", XN_BENCH_PHOTONS);
}
