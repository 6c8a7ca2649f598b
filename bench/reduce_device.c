// SPDX-License-Identifier: BSD-3-Clause
// reduce_device.c -- reduce's sums on a graphics processor, in GB/s of decoded frames, beside what bounds them.
//
// The whole stage, on the data of bench_reduce.c: with frames read straight into the device (compressed ones are
// decoded there), with frames that the host reads, and by the processor with all its threads; the three must give the
// same integers.  The kernels alone: the frames lie on the device already, sorted by bin, for groups of 4 x 4 and for
// single pixels.  Floors of the same run: the device's memory for what must be moved (words once; the 48 bytes of a
// group's sums once per run of a bin), and the bus for the stored or decoded bytes.
#include "bench/reduce_device.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/figures.h"
#include "bench/reduce_data.h"
#include "io/device/device.h"

enum { COPY = 64 << 20, MOST = 31, BINS = XN_BENCH_BINS + 1 }; // with the laser-off class

typedef struct bench {
    const xn_bench *bench;
    const xn_sum_tables *tables;
    const char *name;
    xn_bench_data data;
    int repeats;
    double memory, bus; // bytes/s
    char why[XN_SUM_WHY];
} bench;

static void emit(const bench *b, const char *what, const char *peer, double ours, double theirs, const char *why)
{
    char name[96];
    (void)snprintf(name, sizeof name, "%s-%s", b->name, what);
    xn_bench_emit_rates(b->bench, "reduce", name, peer, ours, theirs, why);
}

static xani_status device_fails(const bench *b)
{
    return xn_fail(b->bench->context, XANI_ERR_INTERNAL, "device 0: %s", b->why);
}

// ---- the stage

static uint64_t sum_of(const xn_cube *c)
{
    uint64_t h = 0;
    for (int64_t i = 0; i < c->nbins * c->ny * c->nx; i++)
        h = 31 * h + (uint64_t)c->on.s1[i] + 7 * (uint64_t)c->on.s2[i] + 11 * (uint64_t)c->on.x[i];
    return h;
}

static xani_status run_stage(bench *b, const char *device, bool memory, double *rate, uint64_t *sum)
{
    xn_ctx *ctx = b->bench->context;
    char yaml[256];
    double seconds[MOST] = {0};
    xn_config *config = NULL;
    (void)snprintf(yaml, sizeof yaml,
                   "reduce: {delay_bins_ps: {start: 0, stop: 10, step: 0.1}, spatial_bin: 4}\n"
                   "engine: {threads: %d, device: %s}\n",
                   b->bench->threads, device);
    XN_TRY(xn_config_parse(ctx, yaml, "bench", ".", &config));
    xani_status st = XANI_OK;
    for (int i = -1; st == XANI_OK && i < b->repeats; i++) { // -1: does not count
        xn_source source;
        xn_cube cube;
        st = xn_bench_data_source(ctx, &b->data, memory ? XN_BENCH_MEMORY : XN_BENCH_READ, &source);
        const double begin = xn_seconds();
        if (st == XANI_OK) st = xn_reduce_on(ctx, config, &source, NULL, 0, b->tables, &cube);
        if (i >= 0) seconds[i] = xn_seconds() - begin;
        if (st == XANI_OK) {
            *sum = sum_of(&cube);
            xn_cube_free(&cube);
        }
        xn_shots_free(&source.shots);
        if (st == XANI_OK) st = xn_check_interrupt(ctx);
    }
    xani_config_destroy(&config);
    if (st == XANI_OK) *rate = (double)XN_BENCH_SHOTS * XN_BENCH_PIXELS * 2 / xn_bench_median(seconds, b->repeats);
    return st;
}

static xani_status measure_stage(bench *b)
{
    double direct, host, processor;
    uint64_t sum[3] = {0};
    XN_TRY(run_stage(b, "cpu", false, &processor, &sum[0]));
    XN_TRY(run_stage(b, "'cuda', devices: [0]", false, &direct, &sum[1]));
    XN_TRY(run_stage(b, "'cuda', devices: [0]", true, &host, &sum[2]));
    if (sum[0] != sum[1] || sum[0] != sum[2])
        return xn_fail(b->bench->context, XANI_ERR_INTERNAL, "%s: the device's sums are not those of the processor",
                       b->name);
    const double stored = (double)b->data.file_bytes / ((double)XN_BENCH_FRAMES * XN_BENCH_PIXELS * 2);
    emit(b, "device-end", "processor", direct, processor, "end to end, memory and planes of the device included");
    emit(b, "device-end", "floor:bus", direct, b->bus / stored, "bytes over the bus as they are stored");
    emit(b, "device-host-end", "floor:bus", host, b->bus, "frames of the host");
    return XANI_OK;
}

// ---- the kernels alone

typedef struct there {
    const xn_device_io *io;
    xn_device_stream *stream;
    xn_device_mark *begin, *end;
    uint8_t *pinned, *block;
    size_t at, room;
} there;

static void *put(there *t, const void *data, size_t bytes, char *why)
{
    uint8_t *to = t->block + t->at;
    t->at += (bytes + 255) / 256 * 256;
    if (t->at > t->room) {
        (void)snprintf(why, XN_SUM_WHY, "the data of the benchmark are too large");
        return NULL;
    }
    for (size_t at = 0; data != NULL && at < bytes; at += COPY) {
        const size_t n = bytes - at < COPY ? bytes - at : COPY;
        memcpy(t->pinned, (const uint8_t *)data + at, n);
        if (!t->io->copy_in(t->stream, to + at, t->pinned, n, why, XN_SUM_WHY) ||
            !t->io->mark(t->stream, t->end, why, XN_SUM_WHY) || !t->io->wait(t->end, why, XN_SUM_WHY))
            return NULL;
    }
    if (data == NULL && !t->io->clear(t->stream, to, bytes, why, XN_SUM_WHY)) return NULL;
    return to;
}

static bool copy_rate(bench *b, there *t, void *to, const void *from, bool in, double *rate)
{
    double seconds[MOST] = {0};
    for (int i = 0; i < b->repeats; i++)
        if (!t->io->mark(t->stream, t->begin, b->why, XN_SUM_WHY) ||
            !(in ? t->io->copy_in : t->io->copy_within)(t->stream, to, from, COPY, b->why, XN_SUM_WHY) ||
            !t->io->mark(t->stream, t->end, b->why, XN_SUM_WHY) || !t->io->wait(t->end, b->why, XN_SUM_WHY) ||
            !t->io->between(t->begin, t->end, &seconds[i], b->why, XN_SUM_WHY))
            return false;
    *rate = COPY / xn_bench_median(seconds, b->repeats);
    return true;
}

static bool lay_out(bench *b, there *t, const xn_groups *g, xn_sum_job *job)
{
    const size_t plane = XN_BENCH_PIXELS * sizeof(float), groups = (size_t)(g->ny * g->nx);
    xn_sum_shot shot[XN_BENCH_FRAMES];
    for (int i = 0; i < XN_BENCH_FRAMES; i++)
        shot[i] = (xn_sum_shot){.frame = i, .slot = i * BINS / XN_BENCH_FRAMES, .i0q = 1000 + i};
    *job = (xn_sum_job){.detector = {.kind = b->data.kind == XN_BENCH_JUNGFRAU ? XN_SUM_JUNGFRAU : XN_SUM_SCALE,
                                     .type = XN_U16,
                                     .k = g->k,
                                     .full = (double)INFINITY,
                                     .det_ny = g->det_ny,
                                     .det_nx = g->det_nx,
                                     .ny = g->ny,
                                     .nx = g->nx},
                        .frame_step = (int64_t)b->data.frame_bytes,
                        .n = XN_BENCH_FRAMES};
    xn_sum_detector *d = &job->detector;
    bool ok = (d->first_row = put(t, g->first_row, (size_t)g->ny * 8, b->why)) != NULL;
    for (int i = 0; ok && i < g->n_stages; i++) {
        ok = (d->factor[i] = put(t, g->factor[i], plane, b->why)) != NULL;
        if (ok && g->pedestal[i] != NULL) ok = (d->pedestal[i] = put(t, g->pedestal[i], plane, b->why)) != NULL;
    }
    return ok && (job->frames = put(t, b->data.words, XN_BENCH_FRAMES * b->data.frame_bytes, b->why)) != NULL &&
           (job->shot = put(t, shot, sizeof shot, b->why)) != NULL &&
           (job->s1 = put(t, NULL, BINS * groups * 8, b->why)) != NULL &&
           (job->s2 = put(t, NULL, BINS * groups * 8, b->why)) != NULL &&
           (job->x = put(t, NULL, BINS * groups * 8, b->why)) != NULL &&
           (job->peak = put(t, NULL, groups * 8, b->why)) != NULL &&
           (job->flags = put(t, NULL, XN_BENCH_PIXELS, b->why)) != NULL &&
           (job->parts = put(t, NULL, xn_sum_parts((int64_t)groups, XN_BENCH_FRAMES) * 8, b->why)) != NULL &&
           (job->photons = put(t, NULL, XN_BENCH_FRAMES * 8, b->why)) != NULL;
}

static bool time_kernels(bench *b, there *t, const xn_sum_job *job, double *rate)
{
    double seconds[MOST] = {0};
    for (int i = -1; i < b->repeats; i++) {
        double one;
        if (!t->io->mark(t->stream, t->begin, b->why, XN_SUM_WHY) ||
            !b->tables->sums->add(t->stream, job, b->why, XN_SUM_WHY) ||
            !t->io->mark(t->stream, t->end, b->why, XN_SUM_WHY) || !t->io->wait(t->end, b->why, XN_SUM_WHY) ||
            !t->io->between(t->begin, t->end, &one, b->why, XN_SUM_WHY))
            return false;
        if (i >= 0) seconds[i] = one;
    }
    *rate = (double)XN_BENCH_FRAMES * XN_BENCH_PIXELS * 2 / xn_bench_median(seconds, b->repeats);
    return true;
}

static bool open_there(bench *b, there *t)
{
    t->io = b->tables->io;
    t->room = (size_t)2 << 30; // the sums of single pixels
    return t->io->use(0, b->why, XN_SUM_WHY) && (t->stream = t->io->open(b->why, XN_SUM_WHY)) != NULL &&
           (t->begin = t->io->mark_create(b->why, XN_SUM_WHY)) != NULL &&
           (t->end = t->io->mark_create(b->why, XN_SUM_WHY)) != NULL &&
           (t->pinned = t->io->pin(COPY, b->why, XN_SUM_WHY)) != NULL &&
           (t->block = t->io->take(t->room, b->why, XN_SUM_WHY)) != NULL;
}

static void close_there(there *t)
{
    if (t->block != NULL) t->io->give(t->block);
    if (t->pinned != NULL) t->io->unpin(t->pinned);
    if (t->begin != NULL) t->io->mark_destroy(t->begin);
    if (t->end != NULL) t->io->mark_destroy(t->end);
    if (t->stream != NULL) t->io->close(t->stream);
}

// Groups of k x k pixels.
static xani_status measure_kernels(bench *b, there *t, int k)
{
    char yaml[64], what[32], why[96];
    xn_ctx *ctx = b->bench->context;
    xn_config *config = NULL;
    xn_source source;
    xn_groups g = {0};
    xn_sum_job job;
    double rate;
    (void)snprintf(yaml, sizeof yaml, "reduce: {spatial_bin: %d}\n", k);
    XN_TRY(xn_config_parse(ctx, yaml, "bench", ".", &config));
    xani_status st = xn_bench_data_source(ctx, &b->data, XN_BENCH_MEMORY, &source);
    if (st == XANI_OK) st = xn_groups_make(ctx, config, &source, &g);
    xn_shots_free(&source.shots);
    xani_config_destroy(&config);
    XN_TRY(st);
    t->at = 0;
    const bool ok = lay_out(b, t, &g, &job) && time_kernels(b, t, &job, &rate);
    const double words = 2.0 * XN_BENCH_PIXELS * XN_BENCH_FRAMES, sums = 48.0 * BINS * (double)(g.ny * g.nx);
    xn_groups_free(&g);
    if (!ok) return device_fails(b);
    (void)snprintf(what, sizeof what, "device-%dx%d", k, k);
    (void)snprintf(why, sizeof why, "kernels alone; memory %.0f GB/s as a copy has it", 2e-9 * b->memory);
    emit(b, what, "floor:memory", rate, 2 * b->memory * words / (words + sums), why);
    return XANI_OK;
}

static xani_status run_case(const xn_bench *of, const xn_sum_tables *tables, const char *name, xn_bench_kind kind)
{
    bench b = {.bench = of, .tables = tables, .name = name};
    there t = {0};
    b.repeats = of->repeats < 5 ? 5 : of->repeats > MOST ? MOST : of->repeats;
    const int before = tables->io->current();
    xani_status st = xn_bench_data_make(of->context, kind, &b.data);
    const bool ok = st == XANI_OK && open_there(&b, &t) && copy_rate(&b, &t, t.block, t.pinned, true, &b.bus) &&
                    copy_rate(&b, &t, t.block, t.block + COPY, false, &b.memory);
    if (st == XANI_OK && !ok) st = device_fails(&b);
    if (st == XANI_OK) st = measure_kernels(&b, &t, 4);
    if (st == XANI_OK) st = measure_kernels(&b, &t, 1);
    close_there(&t);
    if (st == XANI_OK) st = measure_stage(&b);
    if (before > 0) (void)tables->io->use(before, b.why, sizeof b.why);
    xn_bench_data_free(&b.data);
    return st;
}

xani_status xn_reduce_bench_device(const xn_bench *of, const xn_sum_tables *tables, bool aloud)
{
    char why[XN_SUM_WHY] = "this xani was built without CUDA";
    const bench b = {.bench = of, .name = "jungfrau-bslz4"};
    if (tables->io == NULL || tables->sums == NULL || tables->io->count(why, sizeof why) == 0) {
        if (aloud) emit(&b, "device", "device", NAN, NAN, why);
        return XANI_OK;
    }
    XN_TRY(run_case(of, tables, b.name, XN_BENCH_JUNGFRAU));
    return run_case(of, tables, "photons-contiguous", XN_BENCH_PHOTONS);
}
