// SPDX-License-Identifier: BSD-3-Clause
// reduce_data.c -- see reduce_data.h.  Realistic words: Poisson photons of 11 keV with charge noise, a pedestal and
// gain of each pixel, 1 % of the pixels in gain stage 1, 0.1 % masked; bitshuffle+LZ4 shrinks them about as real ones.
#include "bench/reduce_data.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/rng.h"
#include "io/write/publish.h"

#define ENERGY_KEV 11.0

static bool alloc_planes(xn_bench_data *d)
{
    bool ok = (d->words = xn_alloc((size_t)XN_BENCH_FRAMES * XN_BENCH_PIXELS, sizeof *d->words)) != NULL;
    ok = ok && (d->mask = xn_calloc(XN_BENCH_PIXELS, sizeof *d->mask)) != NULL;
    for (int s = 0; ok && s < 3; s++) {
        d->pedestal[s] = xn_alloc(XN_BENCH_PIXELS, sizeof(float));
        d->factor[s] = xn_alloc(XN_BENCH_PIXELS, sizeof(float));
        ok = d->pedestal[s] != NULL && d->factor[s] != NULL;
    }
    return ok;
}

static void fill_planes(xn_bench_data *d)
{
    static const double gain[3] = {40, -1.4, -0.1}, pedestal[3] = {3000, 14500, 14000};
    xn_rng r;
    xn_rng_init(&r, 1, 0);
    for (int64_t p = 0; p < XN_BENCH_PIXELS; p++) {
        d->mask[p] = xn_rng_uniform(&r) < 1e-3;
        for (int s = 0; s < 3; s++) {
            d->pedestal[s][p] = (float)(pedestal[s] + 40 * xn_rng_normal(&r));
            d->factor[s][p] = (float)(1 / (gain[s] * (1 + 0.02 * xn_rng_normal(&r)) * ENERGY_KEV));
        }
    }
}

static uint16_t word_of(const xn_bench_data *d, int64_t pixel, xn_rng *r)
{
    bool bright = pixel % 100 == 17;
    double photons = (double)xn_rng_poisson(r, bright ? 40 : 1.5);
    if (d->kind == XN_BENCH_PHOTONS) return (uint16_t)photons;
    int s = photons > 25;
    double value = (photons + 0.03 * xn_rng_normal(r)) / (double)d->factor[s][pixel] + (double)d->pedestal[s][pixel];
    return (uint16_t)((unsigned)fmin(fmax(rint(value), 1), 16382) | (unsigned)s << 14);
}

static void fill_words(xn_bench_data *d)
{
#pragma omp parallel for schedule(dynamic)
    for (int f = 0; f < XN_BENCH_FRAMES; f++) {
        xn_rng r;
        xn_rng_init(&r, 2, (uint64_t)f);
        for (int64_t p = 0; p < XN_BENCH_PIXELS; p++) d->words[(int64_t)f * XN_BENCH_PIXELS + p] = word_of(d, p, &r);
    }
}

// ---- the file

static xani_status write_compressed(const xn_bench_data *d, xn_writer *w)
{
    const xn_rows_layout rows = {
        .type = XN_U16, .rank = 3, .dims = {XN_BENCH_FRAMES, XN_BENCH_NY, XN_BENCH_NX}, .filter = "bslz4"};
    XN_TRY(xn_writer_rows_begin(w, "data", &rows));
    return xn_writer_rows(w, "data", XN_BENCH_FRAMES, d->words);
}

static xani_status write_file(xn_ctx *ctx, xn_bench_data *d)
{
    static const int64_t dims[3] = {XN_BENCH_FRAMES, XN_BENCH_NY, XN_BENCH_NX};
    bool plain = d->kind == XN_BENCH_PHOTONS;
    xn_writer *w = NULL;
    XN_TRY(xn_writer_create(ctx, d->file, plain ? XN_LAYOUT_PLAIN : XN_LAYOUT_RESULT, &w));
    xani_status st = plain ? xn_writer_data(w, "data", XN_U16, 3, dims, NULL, d->words) : write_compressed(d, w);
    if (st == XANI_OK) return xn_writer_publish(&w);
    xn_writer_abort(&w);
    return st;
}

static xani_status open_file(xn_ctx *ctx, xn_bench_data *d)
{
    XN_TRY(xn_frames_open(ctx, (const char *const[]){d->file}, 1, "data", NULL, &d->frames));
    const xn_frames_info *info = xn_frames_get_info(d->frames);
    d->frame_bytes = info->frame_bytes;
    struct stat s;
    d->fd = open(d->file, O_RDONLY | O_CLOEXEC);
    if (d->fd < 0 || fstat(d->fd, &s) != 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s cannot be opened", d->file);
    d->file_bytes = s.st_size;
    return XANI_OK;
}

xani_status xn_bench_data_make(xn_ctx *ctx, xn_bench_kind kind, xn_bench_data *d)
{
    memset(d, 0, sizeof *d);
    d->kind = kind;
    d->fd = -1;
    const char *tmp = getenv("TMPDIR");
    d->folder = xn_format("%s/xani-bench-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    if (d->folder == NULL || !alloc_planes(d))
        return xn_fail_memory(ctx, "the benchmark", (size_t)XN_BENCH_FRAMES << 20);
    if (mkdtemp(d->folder) == NULL) {
        xani_status st = xn_fail(ctx, XANI_ERR_OUTPUT, "%s: no folder for the benchmark can be made", d->folder);
        xn_free(d->folder);
        d->folder = NULL;
        return st;
    }
    if ((d->file = xn_format("%s/frames.h5", d->folder)) == NULL) return xn_fail_memory(ctx, "the benchmark", 64);
    fill_planes(d);
    fill_words(d);
    XN_TRY(write_file(ctx, d));
    return open_file(ctx, d);
}

void xn_bench_data_free(xn_bench_data *d)
{
    static const char *const names[] = {"frames.h5", "frames.h5.manifest.json", "words", "planes"};
    xn_frames_close(&d->frames);
    if (d->fd >= 0) close(d->fd);
    for (size_t i = 0; d->folder != NULL && i < sizeof names / sizeof names[0]; i++) {
        char *path = xn_format("%s/%s", d->folder, names[i]);
        if (path != NULL) (void)unlink(path);
        xn_free(path);
    }
    if (d->folder != NULL) (void)rmdir(d->folder);
    for (int s = 0; s < 3; s++) {
        xn_free(d->pedestal[s]);
        xn_free(d->factor[s]);
    }
    xn_free(d->words);
    xn_free(d->mask);
    xn_free(d->folder);
    xn_free(d->file);
    memset(d, 0, sizeof *d);
    d->fd = -1;
}

// ---- the source

static xani_status read_frame(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    xn_bench_data *d = s->impl;
    (void)scratch;
    return xn_frames_read(ctx, d->frames, frame, dst);
}

static xani_status read_list(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    xn_bench_data *d = s->impl;
    return xn_frames_read_list(ctx, d->frames, frames, n, dst, 1);
}

static xani_status copy_frame(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    const xn_bench_data *d = s->impl;
    (void)ctx, (void)scratch;
    memcpy(dst, d->words + frame * XN_BENCH_PIXELS, d->frame_bytes);
    return XANI_OK;
}

static const xn_frames *frames_of(const xn_source *s) { return ((const xn_bench_data *)s->impl)->frames; }

static const xn_source_ops ops[] = {
    [XN_BENCH_READ] = {.layout = "bench", .read_frame = read_frame, .frames = frames_of},
    [XN_BENCH_BATCHES] = {.layout = "bench", .read_frame = read_frame, .read_frames = read_list},
    [XN_BENCH_MEMORY] = {.layout = "bench", .read_frame = copy_frame},
};

xani_status xn_bench_data_source(xn_ctx *ctx, xn_bench_data *d, xn_bench_way way, xn_source *s)
{
    *s = (xn_source){.ops = &ops[way],
                     .impl = d,
                     .ny = XN_BENCH_NY,
                     .nx = XN_BENCH_NX,
                     .n_modules = 1,
                     .type = XN_U16,
                     .together = way == XN_BENCH_BATCHES ? 2 : 0,
                     .mask = d->mask,
                     .stored_bytes = d->file_bytes};
    s->cal.kind = d->kind == XN_BENCH_JUNGFRAU ? XN_CAL_JUNGFRAU : XN_CAL_SCALE;
    s->cal.photons_per_unit = 1;
    for (int k = 0; k < 3; k++) {
        s->cal.pedestal[k] = d->pedestal[k];
        s->cal.factor[k] = d->factor[k];
    }
    XN_TRY(xn_shots_alloc(ctx, XN_BENCH_SHOTS, 0, &s->shots));
    xn_rng r;
    xn_rng_init(&r, 3, 0);
    for (int64_t i = 0; i < XN_BENCH_SHOTS; i++) {
        s->shots.pulse_id[i] = (uint64_t)i;
        s->shots.frame[i] = i % XN_BENCH_FRAMES;
        s->shots.laser[i] = i % 4 == 3 ? XN_LASER_OFF : XN_LASER_ON;
        s->shots.i0[i] = xn_rng_gamma(&r, 20) / 20;
        s->shots.delay_ps[i] = i % 4 == 3 ? NAN : 10 * xn_rng_uniform(&r);
    }
    return XANI_OK;
}
