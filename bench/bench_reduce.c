// SPDX-License-Identifier: BSD-3-Clause
// bench_reduce.c -- `xani bench reduce`: shots to sums, in GB/s of decoded frames.
//
// One detector of 1024 x 512 pixels, 128 frames in a file in a temporary folder, read over and over by 1024 shots
// (a quarter laser-off, 100 delay bins, random delays, groups of 4 x 4).  Two cases: JUNGFRAU words in chunks of one
// frame, bitshuffle+LZ4, as detectors write them; photons as uint16 in one contiguous piece.  Ours is the whole stage,
// select to signal.
// engine: what reading and decoding a frame costs inside the stage (its CPU time less that of the same stage on frames
// that are copied from memory, and plus that of the copies) beside the engine's own CPU time for it.  floor:threads:
// the fraction of their time in which all threads work, so what of reading, decoding and adding does not overlap.
// Floors, with the same threads: reading and decoding the frames only; adding decoded frames in memory to one frame of
// uint32; pread of the stored bytes (all three as decoded bytes per second).  numpy and numba reduce the first 128
// shots, decoded already and in memory: they are spared file and decoder.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
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

static double run_stage(runner *r, bool memory)
{
    xn_ctx *ctx = r->bench->context;
    char yaml[256];
    snprintf(yaml, sizeof yaml,
             "reduce: {delay_bins_ps: {start: 0, stop: 10, step: 0.1}, spatial_bin: %d}\nengine: {threads: %d, device: "
             "cpu}\n",
             GROUP, r->threads);
    xn_config *config = NULL;
    xn_source source;
    xn_cube cube;
    if (xn_config_parse(ctx, yaml, "bench", ".", &config) != XANI_OK) return NAN;
    double seconds = NAN, begin = 0;
    xani_status st = xn_bench_data_source(ctx, r->data, memory, &source);
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

static double run_ours(runner *r) { return run_stage(r, false); }
static double run_memory(runner *r) { return run_stage(r, true); }

static double run_copy(runner *r)
{
    const xn_bench_data *d = r->data;
    uint8_t *room = xn_alloc((size_t)r->threads, d->frame_bytes + 64);
    if (room == NULL) return NAN;
    double begin = xn_seconds();
#pragma omp parallel for schedule(dynamic) num_threads(r->threads)
    for (int64_t i = 0; i < XN_BENCH_SHOTS; i++)
        memcpy(room + (size_t)omp_get_thread_num() * (d->frame_bytes + 64),
               d->words + i % XN_BENCH_FRAMES * XN_BENCH_PIXELS, d->frame_bytes);
    double seconds = xn_seconds() - begin;
    xn_free(room);
    return seconds;
}

// Into a ring of frames, as the benchmark of reading does.
static double run_decode(runner *r)
{
    enum { RING = 64 };
    const xn_bench_data *d = r->data;
    int64_t failed = 0;
    uint8_t *ring = xn_alloc(RING, d->frame_bytes);
    if (ring == NULL) return NAN;
    double begin = xn_seconds();
#pragma omp parallel for schedule(dynamic) num_threads(r->threads) reduction(+ : failed)
    for (int64_t i = 0; i < XN_BENCH_SHOTS; i++)
        failed += xn_frames_read(r->bench->context, d->frames, i % XN_BENCH_FRAMES,
                                 ring + (size_t)(i % RING) * d->frame_bytes) != XANI_OK;
    double seconds = xn_seconds() - begin;
    xn_free(ring);
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

static double process_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { OURS, MEMORY, COPY, DECODE, SUM, PREAD, RUNS };

// CPU seconds of all threads, medians.
static void report_cpu(const runner *r, double wall, double *const cpu[RUNS], int repeats)
{
    double gb = (double)XN_BENCH_SHOTS * XN_BENCH_PIXELS * 2e-9, m[RUNS];
    for (int k = 0; k < RUNS; k++) m[k] = median(cpu[k], repeats);
    double inside = m[OURS] - m[MEMORY] + m[COPY], busy = m[OURS] / (wall * r->threads);
    xn_bench_line line = {.bench = "reduce",
                          .name = r->name,
                          .peer = "engine",
                          .ours = inside / gb,
                          .theirs = m[DECODE] / gb,
                          .unit = "CPU s/GB",
                          .ratio = m[DECODE] / inside,
                          .ratio_cpu = NAN};
    r->bench->emit(r->bench->user, &line);
    line.peer = "floor:threads";
    line.unit = "threads";
    line.ours = busy * r->threads;
    line.theirs = r->threads;
    line.ratio = busy;
    r->bench->emit(r->bench->user, &line);
}

static xani_status run_case(const xn_bench *b, const char *name, xn_bench_kind kind)
{
    static const char *const floors[] = {"floor:decode", "floor:sum", "floor:pread"};
    static double (*const run[RUNS])(runner *) = {run_ours, run_memory, run_copy, run_decode, run_sum, run_pread};
    xn_bench_data data = {0};
    runner r = {.bench = b, .data = &data, .threads = xn_threads(b->threads), .name = name};
    int repeats = b->repeats > 5 ? b->repeats : 5;
    double *all = xn_calloc((size_t)repeats * (2 * RUNS + 2), sizeof *all), *wall[RUNS], *cpu[RUNS], *peers[2];
    if (all == NULL) return xn_fail_memory(b->context, "the benchmark", (size_t)repeats * 112);
    for (int k = 0; k < RUNS; k++) {
        wall[k] = all + 2 * k * repeats;
        cpu[k] = wall[k] + repeats;
    }
    for (int p = 0; p < 2; p++) peers[p] = all + (2 * RUNS + p) * repeats;
    xani_status st = xn_bench_data_make(b->context, kind, &data);
    xn_bench_python *python = st == XANI_OK ? xn_bench_python_start(&data, r.threads, GROUP) : NULL;
    if (st == XANI_OK) (void)run_ours(&r); // warms caches and threads
    double bytes = (double)XN_BENCH_SHOTS * XN_BENCH_PIXELS * 2;
    for (int i = 0; st == XANI_OK && i < repeats; i++) {
        for (int k = 0; k < RUNS; k++) {
            double begin = process_seconds();
            wall[k][i] = run[k](&r);
            cpu[k][i] = process_seconds() - begin;
            if (isnan(wall[k][i])) st = xn_fail(b->context, XANI_ERR_INTERNAL, "bench reduce %s failed", name);
        }
        for (int p = 0; python != NULL && p < 2; p++) peers[p][i] = xn_bench_python_run(python, p);
        if (st == XANI_OK) st = xn_check_interrupt(b->context);
    }
    double ours = st == XANI_OK ? median(wall[OURS], repeats) : NAN;
    if (st == XANI_OK) report_cpu(&r, ours, cpu, repeats);
    for (int f = 0; st == XANI_OK && f < 3; f++)
        report(&r, floors[f], ours, bytes / median(wall[DECODE + f], repeats) / 1e9, NULL);
    for (int p = 0; st == XANI_OK && python != NULL && p < 2; p++) {
        const char *why = xn_bench_python_why(python, p);
        double rate = why ? NAN : (double)XN_BENCH_PYTHON_SHOTS * XN_BENCH_PIXELS * 2 / median(peers[p], repeats) / 1e9;
        report(&r, p == 0 ? "numpy" : "numba", ours, rate, why);
    }
    xn_bench_python_stop(&python);
    xn_bench_data_free(&data);
    xn_free(all);
    return st;
}

xani_status xn_bench_reduce(const xn_bench *b)
{
    XN_TRY(run_case(b, "jungfrau-bslz4", XN_BENCH_JUNGFRAU));
    return run_case(b, "photons-contiguous", XN_BENCH_PHOTONS);
}
