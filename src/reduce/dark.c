// SPDX-License-Identifier: BSD-3-Clause
// dark.c -- mean and rms of each pixel over the good frames of a dark run.
//
// A frame counts when at most half a module of its pixels is not in the stage that the run was set to (the facility's
// rule, formats.md 4.1); a pixel counts in it when it is in that stage and not at the end of its range.  Cosmic rays
// and afterglow must not pull the mean: the median and MAD of some frames, spread over the run, give a first level and
// its noise (Rousseeuw and Croux 1993), and mean and rms are taken of values within CLIP noises of it.  Sums are of
// whole numbers around the level, in float64: exact, hence the same for any number of threads.  Units: stored.
#include "reduce/dark.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/internal.h"

#define CLIP 6.0f       // noises
#define CLIP_LEAST 6.0f // units, where frames are few or the noise is below a unit
#define LEVEL_FRAMES 25
#define BATCH_FRAMES 32

static const char *const jungfrau_names[] = {"g0", "g1", "g2", "hg0"};
static const char *const epix_names[] = {"fh", "fm", "fl", "ahl_h", "aml_m", "ahl_l", "aml_l"};
static const char *const other_names[] = {"all"};

static const xn_dark_stage stages[] = {
    {"g0", 0, 0, 0xc000, 0x0000, 0x3fff},
    {"g1", 0, 1, 0xc000, 0x4000, 0x3fff},
    {"g2", 0, 2, 0xc000, 0xc000, 0x3fff},
    {"hg0", 0, 3, 0xc000, 0x0000, 0x3fff},
    {"fh", 1, 0, 0, 0, 0x3fff},
    {"fm", 1, 1, 0, 0, 0x3fff},
    {"fl", 1, 2, 0, 0, 0x3fff},
    {"ahl_h", 1, 3, 0x4000, 0x0000, 0x3fff},
    {"aml_m", 1, 4, 0x4000, 0x0000, 0x3fff},
    {"ahl_l", 1, 5, 0x4000, 0x4000, 0x3fff},
    {"aml_l", 1, 6, 0x4000, 0x4000, 0x3fff},
    {"all", 2, 0, 0, 0, 0xffff},
};

const xn_dark_stage *xn_dark_find(const char *name)
{
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        if (strcmp(stages[i].name, name) == 0) return &stages[i];
    return NULL;
}

xani_status xn_dark_make(xn_ctx *ctx, int family, bool high, const xn_source *s, xn_dark *d)
{
    static const char *const *const names[] = {jungfrau_names, epix_names, other_names};
    const int planes[XN_DARK_FAMILIES] = {high ? 4 : 3, 7, 1};
    memset(d, 0, sizeof *d);
    d->n_stages = planes[family];
    d->stage = names[family];
    d->cells = s->cal.n_cells > 1 && s->cal.cell != NULL ? s->cal.n_cells : 1;
    d->ny = s->ny;
    d->nx = s->nx;
    d->n_modules = s->n_modules;
    size_t pixels = (size_t)(s->ny * s->nx), stage = (size_t)d->n_stages, all = stage * (size_t)d->cells * pixels;
    d->pedestal = xn_alloc(all, sizeof(float));
    d->rms = xn_alloc(all, sizeof(float));
    d->count = xn_calloc(all, sizeof *d->count);
    d->stage_mask = xn_calloc(stage * pixels, sizeof *d->stage_mask);
    d->mask = xn_calloc(pixels, sizeof *d->mask);
    d->used = xn_calloc(stage, sizeof *d->used);
    d->rejected = xn_calloc(stage, sizeof *d->rejected);
    d->module_rows = xn_alloc((size_t)s->n_modules, sizeof *d->module_rows);
    if (!d->pedestal || !d->rms || !d->count || !d->stage_mask || !d->mask || !d->used || !d->rejected ||
        !d->module_rows) {
        xn_dark_free(d);
        return xn_fail_memory(ctx, "the pedestals", all * 12);
    }
    memcpy(d->module_rows, s->module_rows, (size_t)s->n_modules * sizeof *d->module_rows);
    for (size_t i = 0; i < all; i++) d->pedestal[i] = d->rms[i] = NAN;
    return XANI_OK;
}

// ---- values of a frame

typedef struct {
    xn_ctx *ctx;
    xn_source *s;
    const xn_dark_stage *stage;
    int threads;
    int64_t pixels, allowed; // pixels of a frame that may be in another stage
    // room for frames
    uint8_t *frames, *scratch;
    size_t frame_bytes, scratch_stride;
    uint8_t *good; // (BATCH_FRAMES) counts
    // of the run, float64 for whole numbers up to 2^53
    float *level, *width; // (pixel)
    double *sum, *square; // (pixel) around the level
    int32_t *count;
} dark;

// The pixel's value, NaN where it is in another stage or at the end of its range.
static float value_of(const dark *d, const uint8_t *frame, int64_t i)
{
    const xn_dark_stage *stage = d->stage;
    if (stage->value == 0xffff) {
        double v = xn_number_at(d->s->type, frame, i);
        return isfinite(v) && !(d->s->cal.full > 0 && v >= d->s->cal.full) ? (float)v : NAN;
    }
    unsigned word = ((const uint16_t *)(const void *)frame)[i], value = word & stage->value;
    bool down = stage->family == 0 && stage->state != 0; // G1 and G2 run downwards
    if ((word & stage->select) != stage->state || value == (down ? 0u : stage->value)) return NAN;
    return (float)value;
}

static bool frame_counts(const dark *d, const uint8_t *frame)
{
    int64_t other = 0;
    if (d->stage->select == 0) return true;
    const uint16_t *word = (const uint16_t *)(const void *)frame;
    for (int64_t i = 0; i < d->pixels; i++)
        other += (word[i] & d->stage->select) != d->stage->state && (d->s->mask == NULL || d->s->mask[i] == 0);
    return other <= d->allowed;
}

// Reads n frames at once and says which count.
static xani_status read_frames(dark *d, const int64_t *list, int64_t n)
{
    xani_status st = xn_check_interrupt(d->ctx);
#pragma omp parallel for schedule(dynamic) num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) {
        uint8_t *frame = d->frames + (size_t)i * d->frame_bytes;
        xani_status before, one = XANI_OK;
#pragma omp atomic read
        before = st;
        if (before == XANI_OK)
            one = d->s->ops->read_frame(d->ctx, d->s, list[i], frame,
                                        d->scratch + (size_t)omp_get_thread_num() * d->scratch_stride);
        if (one != XANI_OK) {
#pragma omp atomic write
            st = one;
        } else if (before == XANI_OK)
            d->good[i] = frame_counts(d, frame);
    }
    return st;
}

// ---- the level of each pixel

static void median_and_mad(float *v, int64_t n, float *median, float *mad)
{
    *median = *mad = NAN;
    if (n == 0) return;
    *median = xn_frame_median(v, n);
    for (int64_t k = 0; k < n; k++) v[k] = fabsf(v[k] - *median);
    *mad = xn_frame_median(v, n);
}

static xani_status find_level(dark *d, const int64_t *list, int64_t n)
{
    int64_t chosen[LEVEL_FRAMES], m = xn_min64(n, LEVEL_FRAMES);
    for (int64_t k = 0; k < m; k++) chosen[k] = list[k * n / m];
    XN_TRY(read_frames(d, chosen, m));
#pragma omp parallel for schedule(static) num_threads(d->threads)
    for (int64_t i = 0; i < d->pixels; i++) {
        float v[LEVEL_FRAMES], median, mad;
        int64_t have = 0;
        for (int64_t k = 0; k < m; k++) {
            float x = d->good[k] ? value_of(d, d->frames + (size_t)k * d->frame_bytes, i) : NAN;
            if (!isnan(x)) v[have++] = x;
        }
        median_and_mad(v, have, &median, &mad);
        d->level[i] = rintf(median);
        d->width[i] = CLIP * 1.4826f * mad + CLIP_LEAST;
    }
    return XANI_OK;
}

// ---- sums around it

static void add_frames(dark *d, int64_t n)
{
#pragma omp parallel for schedule(static) num_threads(d->threads)
    for (int64_t i = 0; i < d->pixels; i++)
        for (int64_t k = 0; k < n; k++) {
            float x = d->good[k] ? value_of(d, d->frames + (size_t)k * d->frame_bytes, i) - d->level[i] : NAN;
            if (!(fabsf(x) <= d->width[i])) continue; // NaN too
            d->sum[i] += (double)x;
            d->square[i] += (double)x * (double)x;
            d->count[i]++;
        }
}

static void finish(const dark *d, float *pedestal, float *rms, int32_t *count)
{
    for (int64_t i = 0; i < d->pixels; i++) {
        double n = d->count[i], mean = d->sum[i] / n, variance = (d->square[i] - mean * d->sum[i]) / (n - 1.0);
        count[i] = d->count[i];
        pedestal[i] = d->count[i] > 0 ? (float)(mean + (double)d->level[i]) : NAN;
        rms[i] = d->count[i] > 1 ? (float)sqrt(fmax(variance, 0.0)) : NAN;
    }
}

// ---- the run

static void close_dark(dark *d)
{
    void *all[] = {d->frames, d->scratch, d->good, d->level, d->width, d->sum, d->square, d->count};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
}

static xani_status open_dark(dark *d)
{
    size_t n = (size_t)d->pixels;
    d->frame_bytes = (n * xn_type_size(d->s->type) + 63) / 64 * 64;
    d->scratch_stride = (d->s->scratch_bytes + 63) / 64 * 64;
    d->frames = xn_alloc(BATCH_FRAMES, d->frame_bytes);
    d->scratch = xn_alloc((size_t)d->threads, d->scratch_stride);
    d->good = xn_calloc(BATCH_FRAMES, 1);
    d->level = xn_alloc(n, sizeof *d->level);
    d->width = xn_alloc(n, sizeof *d->width);
    d->sum = xn_calloc(n, sizeof *d->sum);
    d->square = xn_calloc(n, sizeof *d->square);
    d->count = xn_calloc(n, sizeof *d->count);
    if (d->frames && d->scratch && d->good && d->level && d->width && d->sum && d->square && d->count) return XANI_OK;
    return xn_fail_memory(d->ctx, "dark frames", BATCH_FRAMES * d->frame_bytes + n * 28);
}

// Good frames of one cell until `most` of them counted; *used, *rejected are added to.
static xani_status sum_frames(dark *d, const int64_t *list, int64_t n, int64_t most, int64_t *used, int64_t *rejected)
{
    int64_t counted = 0;
    XN_TRY(find_level(d, list, n));
    for (int64_t at = 0, m; at < n && counted < most; at += m) {
        m = xn_min64(xn_min64(BATCH_FRAMES, n - at), most - counted);
        XN_TRY(read_frames(d, list + at, m));
        add_frames(d, m);
        for (int64_t k = 0; k < m; k++) *(d->good[k] ? &counted : rejected) += 1;
        xn_progress(d->ctx, "dark", xn_min64(at + m, n), n, "frames");
    }
    *used += counted;
    return XANI_OK;
}

static xani_status list_frames(xn_ctx *ctx, const xn_source *s, int64_t cell, int64_t **list, int64_t *n)
{
    *n = 0;
    *list = xn_alloc((size_t)s->shots.n + 1, sizeof **list);
    if (*list == NULL) return xn_fail_memory(ctx, "the list of frames", (size_t)s->shots.n * 8);
    for (int64_t i = 0; i < s->shots.n; i++) {
        int64_t frame = s->shots.frame[i];
        if (s->shots.verdict[i] == XN_CUT_NONE && (s->cal.cell == NULL || s->cal.cell[frame] == cell))
            (*list)[(*n)++] = frame;
    }
    return XANI_OK;
}

static xani_status one_cell(dark *d, const xn_config *config, int64_t cell, int64_t *used, xn_dark *out)
{
    int64_t *list = NULL, n = 0, plane = d->stage->plane, at = (plane * out->cells + cell) * d->pixels;
    xani_status st = list_frames(d->ctx, d->s, cell, &list, &n);
    if (st == XANI_OK) st = open_dark(d);
    if (st == XANI_OK && n > 0)
        st = sum_frames(d, list, n, xn_config_int(config, "dark.max_frames"), used, &out->rejected[plane]);
    if (st == XANI_OK) finish(d, out->pedestal + at, out->rms + at, out->count + at);
    close_dark(d);
    xn_free(list);
    out->used[plane] += *used;
    return st;
}

xani_status xn_dark_add(xn_ctx *ctx, const xn_config *config, xn_source *s, const xn_dark_stage *stage, xn_dark *out)
{
    int64_t bad = xn_config_int(config, "dark.bad_modules"), pixels = s->ny * s->nx;
    int threads = xn_threads((int)xn_config_int(config, "engine.threads"));
    if (s->ny != out->ny || s->nx != out->nx)
        return xn_fail(ctx, XANI_ERR_INPUT, "frames of %lld x %lld pixels, those of the runs before have %lld x %lld",
                       (long long)s->ny, (long long)s->nx, (long long)out->ny, (long long)out->nx);
    if (stage->value != 0xffff && s->type != XN_U16)
        return xn_fail(ctx, XANI_ERR_INPUT, "frames of type %s have no gain stages; give stage: all",
                       xn_type_name(s->type));
    int64_t *used = xn_calloc((size_t)out->cells, sizeof *used);
    xani_status st = used != NULL ? XANI_OK : xn_fail_memory(ctx, "counts", 8);
    for (int64_t cell = 0; cell < out->cells && st == XANI_OK; cell++) {
        dark d = {.ctx = ctx, .s = s, .stage = stage, .threads = threads, .pixels = pixels};
        d.allowed = (int64_t)(((double)bad + 0.5) * (double)pixels / (double)xn_max64(s->n_modules, 1));
        st = one_cell(&d, config, cell, &used[cell], out);
    }
    if (st == XANI_OK && out->used[stage->plane] < 2)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%lld frames are in stage %s, %lld are not; pedestals need two or more",
                     (long long)out->used[stage->plane], stage->name, (long long)out->rejected[stage->plane]);
    if (st == XANI_OK) st = xn_dark_judge(ctx, config, stage->plane, used, out);
    xn_free(used);
    return st;
}
