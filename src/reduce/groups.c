// SPDX-License-Identifier: BSD-3-Clause
// groups.c -- detector pixels to pixel groups, and the calibration planes the kernels read.
//
// A group is k x k pixels of one module; rows and columns that do not fill a block are dropped.  A group sums its
// good pixels, the same ones laser-on and laser-off, so what is missing cancels in the ratio; a group without a good
// pixel is masked.  A pixel is good when its mask is 0 and its calibration is finite.  What turns out unusable while
// reading (saturated, invalid word, not a number) is never counted as zero photons: pixels that are so from the
// start are left out (accumulate.c, prescan), a later case masks the whole group, and both are said.
#include <math.h>
#include <string.h>

#include "reduce/internal.h"

#define STAGES 3
#define WORD_MAX 16383.0f

void xn_groups_free(xn_groups *g)
{
    void *all[] = {g->module_rows, g->det_module_rows, g->first_row, g->pixel_flags, g->group_flags, g->mask};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    for (int s = 0; s < STAGES; s++) {
        xn_free(g->pedestal[s]);
        xn_free(g->factor[s]);
    }
    memset(g, 0, sizeof *g);
}

static int stages(xn_cal_kind kind)
{
    static const int n[] = {[XN_CAL_JUNGFRAU] = 3, [XN_CAL_SCALE] = 1, [XN_CAL_EPIX10KA] = 2, [XN_CAL_LINEAR] = 1};
    return n[kind];
}

// What the kernels are given: a scale becomes a linear rule where it takes more than a factor, a JUNGFRAU with fixed
// gain has the one stage.
static void set_kind(const xn_source *source, xn_groups *g)
{
    const xn_calibration *cal = &source->cal;
    g->kind = cal->kind;
    g->type = source->type;
    g->full = cal->full > 0 ? cal->full : (double)INFINITY;
    if (g->kind == XN_CAL_SCALE && (cal->full > 0 || g->correct.common)) g->kind = XN_CAL_LINEAR;
    g->full_bit =
        g->kind == XN_CAL_SCALE || (g->kind == XN_CAL_LINEAR && isinf(g->full)) ? XN_MASK_RANGE : XN_MASK_FULL;
    g->fixed_stage = g->kind == XN_CAL_JUNGFRAU ? cal->fixed_stage : 0;
    g->n_stages = g->fixed_stage > 0 ? 1 : stages(g->kind);
    bool cells = cal->n_cells > 1 && cal->kind != XN_CAL_SCALE;
    g->n_cells = cells ? cal->n_cells : 1;
    g->cell = cells ? cal->cell : NULL;
    g->quiet = cal->quiet;
}

xani_status xn_groups_shape(xn_ctx *ctx, const xn_config *config, const xn_source *source, xn_groups *g)
{
    memset(g, 0, sizeof *g);
    int k = (int)xn_config_int(config, "reduce.spatial_bin");
    if (source->grouped > 1) { // what it says is of the detector's pixels
        if (k > 1 && k % source->grouped != 0)
            return xn_config_bad(ctx, config, "reduce.spatial_bin",
                                 "the cubes' pixels are groups of %d x %d pixels already; only multiples of %d can be "
                                 "made of them",
                                 source->grouped, source->grouped, source->grouped);
        k = k > 1 ? k / source->grouped : 1;
    }
    int64_t whole = source->ny;
    int n = source->n_modules > 0 && source->module_rows != NULL ? source->n_modules : 1;
    const int64_t *rows = n == source->n_modules && source->module_rows != NULL ? source->module_rows : &whole;
    g->k = k;
    g->of_detector = k * (source->grouped > 1 ? source->grouped : 1);
    g->det_ny = source->ny;
    g->det_nx = source->nx;
    g->n_modules = n;
    g->nx = source->nx / k;
    g->module_rows = xn_alloc((size_t)n, sizeof *g->module_rows);
    g->det_module_rows = xn_alloc((size_t)n, sizeof *g->det_module_rows);
    g->first_row = xn_alloc((size_t)(source->ny / k) + 1, sizeof *g->first_row);
    if (g->module_rows == NULL || g->det_module_rows == NULL || g->first_row == NULL) {
        xn_groups_free(g);
        return xn_fail_memory(ctx, "the pixel groups", (size_t)(source->ny / k + n) * sizeof(int64_t));
    }
    int64_t begin = 0;
    for (int m = 0; m < n; m++) {
        g->det_module_rows[m] = rows[m];
        g->module_rows[m] = rows[m] / k;
        for (int64_t r = 0; r < rows[m] / k; r++) g->first_row[g->ny++] = begin + r * k;
        begin += rows[m];
    }
    bool wrong = begin != source->ny;
    if (!wrong && g->ny > 0 && g->nx > 0) {
        xani_status st = xn_correct_load(ctx, config, source, &g->correct);
        set_kind(source, g);
        if (st != XANI_OK) xn_groups_free(g);
        return st;
    }
    int64_t ny = source->ny, nx = source->nx;
    xn_groups_free(g);
    if (wrong)
        return xn_fail(ctx, XANI_ERR_INTERNAL, "the modules' rows do not add up to the %lld rows of the detector",
                       (long long)ny);
    return xn_config_bad(ctx, config, "reduce.spatial_bin",
                         "no block of %d x %d pixels fits into a module (%lld x %lld)", k, k, (long long)ny / n,
                         (long long)nx);
}

static size_t plane_size(const xn_groups *g) { return (size_t)(g->n_cells * g->det_ny * g->det_nx); }

// The source's stage that becomes stage s.
static int stage_of(const xn_groups *g, int s) { return g->fixed_stage > 0 ? g->fixed_stage - 1 : s; }

// A plane for the kernels: the source's own, which is filled anew in place, or another one.
static bool take_plane(const xn_groups *g, bool movable, float **from, float **plane)
{
    if (movable && *from != NULL) {
        *plane = *from;
        *from = NULL;
    } else
        *plane = xn_alloc(plane_size(g), sizeof(float));
    return *plane != NULL;
}

// Returns false when memory is short.  A large detector's planes are much of what is needed: where the source can spare
// its own there is only one set.
static bool alloc_planes(xn_calibration *cal, xn_groups *g)
{
    size_t pixels = (size_t)(g->det_ny * g->det_nx);
    bool ok = true;
    for (int s = 0; s < g->n_stages; s++) {
        int from = stage_of(g, s);
        ok = ok && take_plane(g, cal->movable, &cal->factor[from], &g->factor[s]);
        ok = ok && (g->kind == XN_CAL_SCALE || take_plane(g, cal->movable, &cal->pedestal[from], &g->pedestal[s]));
    }
    for (int s = 0; cal->movable && s < STAGES; s++) { // of stages that no word has
        xn_free(cal->factor[s]);
        xn_free(cal->pedestal[s]);
        cal->factor[s] = cal->pedestal[s] = NULL;
    }
    g->pixel_flags = ok ? xn_calloc(pixels, 1) : NULL;
    g->group_flags = ok ? xn_calloc((size_t)(g->ny * g->nx), 1) : NULL;
    g->mask = ok ? xn_calloc(pixels, sizeof *g->mask) : NULL;
    return g->pixel_flags != NULL && g->group_flags != NULL && g->mask != NULL;
}

// Largest value that stage 0 of the kind can hold; only the fast path of JUNGFRAU relies on it.
static bool within_range(const xn_groups *g, float p, float f)
{
    float margin = g->correct.common ? 3.0f * g->correct.mode.max_correction : 0.0f;
    if (g->kind != XN_CAL_JUNGFRAU || g->fixed_stage > 0) return true;
    return fabsf(f) * (fmaxf(fabsf(p), fabsf(WORD_MAX - p)) + margin) < XN_CALIB_LIMIT;
}

// Pixel `at` of a plane, `i` of the mask; cal's plane may be the same one.  A stage without a finite calibration reads
// as beyond the range, so only shots in that stage are affected; without stage 0 there is no pixel.
static void set_planes(const xn_calibration *cal, int64_t at, int64_t i, xn_groups *g)
{
    for (int s = 0; s < g->n_stages; s++) {
        const float *pedestal = cal->pedestal[stage_of(g, s)], *factor = cal->factor[stage_of(g, s)];
        float p = (pedestal != NULL ? pedestal : g->pedestal[s])[at];
        float f = (factor != NULL ? factor : g->factor[s])[at] * XN_CALIB_ONE;
        bool good = isfinite(p) && isfinite(f) && f != 0.0f && (s > 0 || within_range(g, p, f));
        if (s == 0 && !good) g->mask[i] |= XN_MASK_INVALID;
        g->pedestal[s][at] = good ? p : -1.0f;
        g->factor[s][at] = good ? f : XN_CALIB_LIMIT;
    }
}

void xn_groups_mask_pixel(xn_groups *g, int64_t i)
{
    for (int s = 0; s < g->n_stages; s++)
        for (size_t at = (size_t)i; at < plane_size(g); at += (size_t)(g->det_ny * g->det_nx)) {
            g->factor[s][at] = 0.0f;
            if (g->pedestal[s] != NULL) g->pedestal[s][at] = 0.0f;
        }
}

static xani_status check_source(xn_ctx *ctx, const xn_source *source, const xn_groups *g)
{
    const xn_calibration *cal = &source->cal;
    bool words = g->kind == XN_CAL_JUNGFRAU || g->kind == XN_CAL_EPIX10KA;
    if (words ? source->type != XN_U16 : !xn_reduce_type_known(source->type))
        return xn_fail(ctx, XANI_ERR_INPUT, "frames of type %s cannot be turned into photons%s",
                       xn_type_name(source->type),
                       !words                       ? ""
                       : g->kind == XN_CAL_EPIX10KA ? ": ePix10ka words are uint16"
                                                    : ": JUNGFRAU words are uint16");
    for (int s = 0; s < stages(cal->kind) && cal->kind != XN_CAL_SCALE; s++)
        if (cal->pedestal[s] == NULL || cal->factor[s] == NULL)
            return xn_fail(ctx, XANI_ERR_INTERNAL, "the source gives no calibration of gain stage %d", s);
    if (g->n_cells > 1 && g->cell == NULL)
        return xn_fail(ctx, XANI_ERR_INTERNAL, "the source does not tell the memory cells of its frames");
    if (cal->kind == XN_CAL_SCALE && !(cal->photons_per_unit > 0 && isfinite(cal->photons_per_unit)))
        return xn_fail(ctx, XANI_ERR_CONFIG,
                       "input.calibration: photons per unit of the stored values must be above 0");
    return XANI_OK;
}

static void fill_planes(const xn_source *source, xn_groups *g)
{
    int64_t pixels = g->det_ny * g->det_nx;
    bool scale = source->cal.kind == XN_CAL_SCALE;
    for (int64_t i = 0; i < pixels; i++) g->mask[i] = source->mask ? source->mask[i] : 0;
    xn_correct_mark(g);
    for (int64_t at = 0; at < (int64_t)plane_size(g); at++) {
        if (!scale)
            set_planes(&source->cal, at, at % pixels, g);
        else {
            g->factor[0][at] = (float)(source->cal.photons_per_unit * (double)XN_CALIB_ONE);
            if (g->pedestal[0] != NULL) g->pedestal[0][at] = 0.0f;
        }
    }
    for (int64_t i = 0; i < pixels; i++)
        if (g->mask[i] != 0) xn_groups_mask_pixel(g, i);
}

xani_status xn_groups_make(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_groups *g)
{
    XN_TRY(xn_groups_shape(ctx, config, source, g));
    xani_status st = check_source(ctx, source, g);
    if (st == XANI_OK && !alloc_planes(&source->cal, g))
        st = xn_fail_memory(ctx, "the calibration planes", (size_t)xn_groups_planes_bytes(source, g));
    if (st != XANI_OK) {
        xn_groups_free(g);
        return st;
    }
    g->threshold = (int32_t)fmin(rint(xn_config_double(config, "reduce.threshold_photons") * (double)XN_CALIB_ONE),
                                 (double)XN_CALIB_BAD);
    fill_planes(source, g);
    return XANI_OK;
}

// Planes, flags and mask; the source's mask, and its planes where it keeps them.
int64_t xn_groups_planes_bytes(const xn_source *source, const xn_groups *g)
{
    int64_t floats = g->n_stages * g->n_cells * (g->kind == XN_CAL_SCALE ? 1 : 2);
    return g->det_ny * g->det_nx * (4 * floats * (source->cal.movable ? 1 : 2) + 1 + 4 + 4);
}

uint32_t xn_groups_flag_bits(const xn_groups *g, uint8_t flags)
{
    return (flags & XN_FLAG_INVALID ? XN_MASK_INVALID : 0) | (flags & XN_FLAG_FULL ? g->full_bit : 0);
}

void xn_groups_flagged(const xn_groups *g, uint32_t *mask)
{
    for (int64_t i = 0; g->k == 1 && i < g->det_ny * g->det_nx; i++)
        mask[i] |= xn_groups_flag_bits(g, g->pixel_flags[i]);
}

xani_status xn_groups_mask(xn_ctx *ctx, const xn_groups *g, uint32_t **mask)
{
    size_t n = (size_t)(g->ny * g->nx);
    uint32_t *out = xn_calloc(n, sizeof *out);
    if (out == NULL) return xn_fail_memory(ctx, "the mask", n * sizeof *out);
    for (int64_t y = 0; y < g->ny; y++)
        for (int64_t x = 0; x < g->nx; x++) {
            uint32_t bits = 0, flagged = xn_groups_flag_bits(g, g->group_flags[y * g->nx + x]);
            bool good = false;
            for (int64_t p = 0; p < (int64_t)g->k * g->k; p++) {
                int64_t i = (g->first_row[y] + p / g->k) * g->det_nx + x * g->k + p % g->k;
                good = good || g->mask[i] == 0;
                bits |= g->mask[i];
                flagged |= xn_groups_flag_bits(g, g->pixel_flags[i]);
            }
            out[y * g->nx + x] = (good ? 0 : bits) | flagged;
        }
    *mask = out;
    return XANI_OK;
}
