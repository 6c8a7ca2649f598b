// SPDX-License-Identifier: BSD-3-Clause
// bench_reduce.c -- `xani bench reduce`: shots to sums, in GB/s of decoded frames.
//
// One detector of 1024 x 512 pixels, 128 frames in a file in a temporary folder, read over and over by 16384 shots
// (a quarter laser-off, 100 delay bins, random delays, groups of 4 x 4).  Two cases: JUNGFRAU words in chunks of one
// frame, bitshuffle+LZ4, as detectors write them; photons as uint16 in one contiguous piece.  Ours is the whole stage,
// select to signal; with so many shots, two and a half minutes at 120 Hz, what is done once per run (memory, signal,
// errors) is a few percent of it.
// engine: what reading and decoding a frame costs inside the stage (its CPU time less that of the same stage on frames
// that are copied from memory, and plus that of the copies) beside the engine's own CPU time for it: less than that,
// since frames from memory are whole ones while those of a file are decoded and added strip by strip.  floor:threads:
// the fraction of their time in which all threads work, so what of reading, decoding and adding does not overlap.
// batches: the same stage where a batch is decoded and then added, as frames are that share chunks.
// Floors, with the same threads: reading and decoding the frames only; a plain loop that adds words in memory to the
// same sums of the bins, as if they were photons; adding them to one frame of uint32; pread of the stored bytes (all as
// decoded bytes per second).  numpy and numba reduce the first 512 shots, decoded already and in memory; h5py+numpy and
// h5py+numba, loops as beamlines have them, read them from the file like ours (with hdf5plugin's decoder, if it is
// there).
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/figures.h"
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

static double run_stage(runner *r, xn_bench_way way)
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
    xani_status st = xn_bench_data_source(ctx, r->data, way, &source);
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

static double run_ours(runner *r) { return run_stage(r, XN_BENCH_READ); }
static double run_batches(runner *r) { return run_stage(r, XN_BENCH_BATCHES); }
static double run_memory(runner *r) { return run_stage(r, XN_BENCH_MEMORY); }

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

// The plain loop: words as if they were photons, groups of pixels into the three sums of their bin, each thread some
// rows of the detector, shot after shot.
typedef struct bin_sums {
    int64_t *s1, *s2, *x; // (bin, group)
} bin_sums;

enum { GROUPS_X = XN_BENCH_NX / GROUP, GROUPS = XN_BENCH_PIXELS / (GROUP * GROUP) };

static void add_groups(const uint16_t *restrict w, int64_t i0, int64_t *restrict s1, int64_t *restrict s2,
                       int64_t *restrict x)
{
    int32_t col[XN_BENCH_NX];
    for (int i = 0; i < XN_BENCH_NX; i++)
        col[i] = w[i] + w[XN_BENCH_NX + i] + w[2 * XN_BENCH_NX + i] + w[3 * XN_BENCH_NX + i];
    for (int g = 0; g < GROUPS_X; g++) {
        int64_t v = col[GROUP * g] + col[GROUP * g + 1] + col[GROUP * g + 2] + col[GROUP * g + 3];
        s1[g] += v;
        s2[g] += v * v;
        x[g] += v * i0;
    }
}

static void add_shots(const runner *r, const xn_shots *shots, bin_sums to)
{
#pragma omp parallel num_threads(r->threads)
    for (int64_t i = 0; i < shots->n; i++) {
        int64_t bin = shots->laser[i] == XN_LASER_OFF ? XN_BENCH_BINS : (int64_t)(shots->delay_ps[i] / 0.1);
        int64_t i0 = (int64_t)(shots->i0[i] * 65536.0);
        const uint16_t *w = r->data->words + shots->frame[i] * XN_BENCH_PIXELS;
#pragma omp for schedule(static) nowait
        for (int64_t y = 0; y < XN_BENCH_NY / GROUP; y++) {
            int64_t at = bin * GROUPS + y * GROUPS_X;
            add_groups(w + y * GROUP * XN_BENCH_NX, i0, to.s1 + at, to.s2 + at, to.x + at);
        }
    }
}

static double run_bins(runner *r)
{
    xn_source source = {0};
    double seconds = NAN;
    int64_t n = (int64_t)(XN_BENCH_BINS + 1) * GROUPS, *sums = xn_calloc((size_t)n, 3 * sizeof *sums);
    if (sums != NULL && xn_bench_data_source(r->bench->context, r->data, XN_BENCH_MEMORY, &source) == XANI_OK) {
        double begin = xn_seconds();
        add_shots(r, &source.shots, (bin_sums){sums, sums + n, sums + 2 * n});
        seconds = xn_seconds() - begin;
    }
    xn_shots_free(&source.shots);
    xn_free(sums);
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

// ratio_cpu: NAN where theirs is another process
static void report(const runner *r, const char *peer, double ours, double theirs, double ratio_cpu, const char *why)
{
    xn_bench_line line = {
        .bench = "reduce", .name = r->name, .peer = peer, .unit = "GB/s", .ratio_cpu = ratio_cpu, .why = why};
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

enum { OURS, MEMORY, COPY, BATCHES, DECODE, BINNED, SUM, PREAD, RUNS };

// CPU seconds of all threads, medians.
static void report_cpu(const runner *r, double wall, double *const cpu[RUNS], int repeats)
{
    double gb = (double)XN_BENCH_SHOTS * XN_BENCH_PIXELS * 2e-9, m[RUNS];
    for (int k = 0; k < RUNS; k++) m[k] = xn_bench_median(cpu[k], repeats);
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
    static const char *const peer[RUNS] = {[BATCHES] = "batches",
                                           [DECODE] = "floor:decode",
                                           [BINNED] = "floor:bins",
                                           [SUM] = "floor:sum",
                                           [PREAD] = "floor:pread"};
    static const char *const python_peer[XN_BENCH_PYTHON_PEERS] = {"numpy", "numba", "h5py+numpy", "h5py+numba"};
    static double (*const run[RUNS])(runner *) = {run_ours,   run_memory, run_copy, run_batches,
                                                  run_decode, run_bins,   run_sum,  run_pread};
    xn_bench_data data = {0};
    runner r = {.bench = b, .data = &data, .threads = xn_threads(b->threads), .name = name};
    int repeats = b->repeats > 5 ? b->repeats : 5;
    double *all = xn_calloc((size_t)repeats * (2 * RUNS + XN_BENCH_PYTHON_PEERS), sizeof *all), *wall[RUNS], *cpu[RUNS];
    double *peers[XN_BENCH_PYTHON_PEERS];
    if (all == NULL)
        return xn_fail_memory(b->context, "the benchmark",
                              (size_t)repeats * (2 * RUNS + XN_BENCH_PYTHON_PEERS) * sizeof *all);
    for (int k = 0; k < RUNS; k++) {
        wall[k] = all + 2 * k * repeats;
        cpu[k] = wall[k] + repeats;
    }
    for (int p = 0; p < XN_BENCH_PYTHON_PEERS; p++) peers[p] = all + (2 * RUNS + p) * repeats;
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
        for (int p = 0; python != NULL && p < XN_BENCH_PYTHON_PEERS; p++) peers[p][i] = xn_bench_python_run(python, p);
        if (st == XANI_OK) st = xn_check_interrupt(b->context);
    }
    double ours = st == XANI_OK ? xn_bench_median(wall[OURS], repeats) : NAN;
    if (st == XANI_OK) report_cpu(&r, ours, cpu, repeats);
    for (int k = BATCHES; st == XANI_OK && k < RUNS; k++)
        report(&r, peer[k], ours, bytes / xn_bench_median(wall[k], repeats) / 1e9,
               xn_bench_median(cpu[k], repeats) / xn_bench_median(cpu[OURS], repeats), NULL);
    for (int p = 0; st == XANI_OK && python != NULL && p < XN_BENCH_PYTHON_PEERS; p++) {
        const char *why = xn_bench_python_why(python, p);
        double rate =
            why ? NAN : (double)XN_BENCH_PYTHON_SHOTS * XN_BENCH_PIXELS * 2 / xn_bench_median(peers[p], repeats) / 1e9;
        report(&r, python_peer[p], ours, rate, NAN, why);
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
