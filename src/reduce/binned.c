// SPDX-License-Identifier: BSD-3-Clause
// binned.c -- cubes whose shots were binned before: group pixels, rebin on request, signal and errors.
//
// The sums come at the detector's resolution as float64 (readers) and are grouped like shots: good pixels of k x k
// blocks within a module.  Delays stay as they are unless reduce.delay_bins_ps gives edges; then bins are added up
// and the delay is the mean weighted by shots.  Without variances there are two kinds of errors:
//   input.counts_per_photon given   Poisson: N = S1 / counts_per_photon photons, sigma(y) = sqrt(N) / N_expected,
//                                   N_expected = photons of the off class scaled by I0; errors_counting
//   not given                       unknown: NaN; the fit takes them from its residual
// A bin without counts uses the expected photons as its variance, so that it does not get an infinite weight.
#include <math.h>
#include <string.h>

#include "reduce/internal.h"

static void group_plane(const xn_groups *g, const uint32_t *mask, const double *plane, double *out)
{
    for (int64_t y = 0; y < g->ny; y++)
        for (int64_t x = 0; x < g->nx; x++) {
            double sum = 0;
            for (int64_t p = 0; p < (int64_t)g->k * g->k; p++) {
                int64_t i = (g->first_row[y] + p / g->k) * g->det_nx + x * g->k + p % g->k;
                if (mask[i] == 0) sum += plane[i];
            }
            out[y * g->nx + x] = sum;
        }
}

// Pixels that are not a number in a bin that has shots are masked like the others.
static xani_status complete_mask(xn_ctx *ctx, xn_cube *c)
{
    size_t pixels = (size_t)(c->ny * c->nx);
    if (c->mask == NULL && (c->mask = xn_calloc(pixels, sizeof *c->mask)) == NULL)
        return xn_fail_memory(ctx, "the mask", pixels * sizeof *c->mask);
    for (size_t i = 0; i < pixels; i++)
        if (c->mask[i] == 0 && !isfinite(c->off_float[i])) c->mask[i] = XN_MASK_INVALID;
    for (int b = 0; b < c->nbins; b++)
        for (size_t i = 0; c->on_count[b] > 0 && i < pixels; i++)
            if (c->mask[i] == 0 && !isfinite(c->on_float[(size_t)b * pixels + i])) c->mask[i] = XN_MASK_INVALID;
    return XANI_OK;
}

// Replaces the planes by planes of groups. threads share the bins.
static xani_status group_cube(xn_ctx *ctx, xn_groups *g, int threads, xn_cube *c)
{
    size_t npix = (size_t)(g->ny * g->nx), pixels = (size_t)(g->det_ny * g->det_nx);
    double *on = xn_alloc((size_t)c->nbins * npix, sizeof *on), *off = xn_alloc(npix, sizeof *off);
    g->pixel_flags = xn_calloc(pixels, 1);
    g->group_flags = xn_calloc(npix, 1);
    if (on == NULL || off == NULL || g->pixel_flags == NULL || g->group_flags == NULL) {
        xn_free(on);
        xn_free(off);
        return xn_fail_memory(ctx, "the grouped cube", (size_t)c->nbins * npix * sizeof *on);
    }
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int b = 0; b < c->nbins; b++) group_plane(g, c->mask, c->on_float + (size_t)b * pixels, on + (size_t)b * npix);
    group_plane(g, c->mask, c->off_float, off);
    xn_free(c->on_float);
    xn_free(c->off_float);
    c->on_float = on;
    c->off_float = off;
    g->mask = c->mask; // g owns the detector's mask from here
    c->mask = NULL;
    XN_TRY(xn_groups_mask(ctx, g, &c->mask));
    c->ny = g->ny;
    c->nx = g->nx;
    c->spatial_bin = g->of_detector;
    c->n_modules = g->n_modules;
    int64_t *rows = xn_realloc(c->module_rows, (size_t)g->n_modules, sizeof *rows);
    if (rows == NULL) return xn_fail_memory(ctx, "the modules", (size_t)g->n_modules * sizeof *rows);
    c->module_rows = rows;
    memcpy(rows, g->module_rows, (size_t)g->n_modules * sizeof *rows);
    return XANI_OK;
}

// ---- rebinning

typedef struct rebinned {
    double *on, *i0, *count, *delay;
} rebinned;

static void add_bins(const xn_bins *bins, const xn_cube *c, rebinned *r)
{
    size_t npix = (size_t)(c->ny * c->nx);
    for (int b = 0; b < c->nbins; b++) {
        int to = xn_bins_find(bins, c->delay_ps[b]);
        if (to < 0 || !(c->on_count[b] > 0)) continue;
        r->i0[to] += c->on_i0[b];
        r->count[to] += c->on_count[b];
        r->delay[to] += c->on_count[b] * c->delay_ps[b];
        for (size_t p = 0; p < npix; p++) r->on[(size_t)to * npix + p] += c->on_float[(size_t)b * npix + p];
    }
    for (int b = 0; b < bins->n; b++)
        r->delay[b] = r->count[b] > 0 ? r->delay[b] / r->count[b] : 0.5 * (bins->edges_ps[b] + bins->edges_ps[b + 1]);
}

static xani_status rebin(xn_ctx *ctx, const xn_config *config, xn_cube *c)
{
    if (!xn_config_has(config, "reduce.delay_bins_ps")) return XANI_OK;
    if (!xn_config_has(config, "reduce.delay_bins_ps.edges")) {
        xn_warn(ctx, "reduce.delay_bins_ps: cubes keep their delays; only edges rebin them");
        return XANI_OK;
    }
    xn_bins bins;
    XN_TRY(xn_bins_make(ctx, config, NULL, 0, &bins));
    size_t n = (size_t)bins.n, npix = (size_t)(c->ny * c->nx);
    rebinned r = {.on = xn_calloc(n * npix, sizeof(double)),
                  .i0 = xn_calloc(n, sizeof(double)),
                  .count = xn_calloc(n, sizeof(double)),
                  .delay = xn_calloc(n, sizeof(double))};
    bool ok = r.on && r.i0 && r.count && r.delay;
    if (ok) add_bins(&bins, c, &r);
    double *drop[] = {ok ? c->on_float : r.on, ok ? c->on_i0 : r.i0, ok ? c->on_count : r.count,
                      ok ? c->delay_ps : r.delay};
    for (int i = 0; i < 4; i++) xn_free(drop[i]);
    if (!ok) {
        xn_bins_free(&bins);
        return xn_fail_memory(ctx, "the rebinned cube", n * npix * sizeof(double));
    }
    c->on_float = r.on;
    c->on_i0 = r.i0;
    c->on_count = r.count;
    c->delay_ps = r.delay;
    c->nbins = bins.n;
    xn_free(c->edges_ps);
    c->edges_ps = bins.edges_ps;
    return XANI_OK;
}

// ---- signal

static void finish_bin(const xn_cube *c, int b, double counts_per_photon)
{
    size_t npix = (size_t)(c->ny * c->nx);
    float *signal = c->signal + (size_t)b * npix, *errors = c->errors + (size_t)b * npix;
    bool filled = c->on_count[b] > 0 && c->on_i0[b] > 0;
    for (size_t p = 0; p < npix; p++) {
        signal[p] = errors[p] = NAN;
        double on = c->on_float[(size_t)b * npix + p], expected = c->off_float[p] / c->off_i0 * c->on_i0[b];
        if (!filled || c->mask[p] != 0) continue;
        signal[p] = (float)(on / expected - 1.0);
        if (!isfinite(signal[p])) signal[p] = NAN;
        if (isnan(counts_per_photon)) continue;
        double photons = on > 0 ? on : expected;
        errors[p] = (float)(sqrt(photons * counts_per_photon) / expected);
    }
}

static xani_status finish(xn_ctx *ctx, const xn_config *config, xn_cube *c)
{
    size_t npix = (size_t)(c->ny * c->nx), bins = (size_t)c->nbins;
    double per_photon = xn_config_double(config, "input.counts_per_photon"), sum = 0;
    int filled = 0;
    c->errors_counting = !isnan(per_photon);
    c->weight = xn_calloc(bins, sizeof *c->weight);
    c->signal = xn_alloc(bins * npix, sizeof *c->signal);
    c->errors = xn_alloc(bins * npix, sizeof *c->errors);
    c->mean_frame = xn_alloc(npix, sizeof *c->mean_frame);
    if (!c->weight || !c->signal || !c->errors || !c->mean_frame)
        return xn_fail_memory(ctx, "the cube", bins * npix * 8);
    if (!(c->off_i0 > 0))
        return xn_fail(ctx, XANI_ERR_INPUT, "no laser-off shots: the I0 sum of the off cube is %g", c->off_i0);
    for (size_t b = 0; b < bins; b++)
        if (c->on_count[b] > 0 && c->on_i0[b] > 0) {
            sum += c->on_i0[b];
            filled++;
        }
    if (filled == 0) return xn_fail(ctx, XANI_ERR_INPUT, "every delay bin is empty");
    for (size_t b = 0; b < bins; b++)
        c->weight[b] = c->on_count[b] > 0 && c->on_i0[b] > 0 ? c->on_i0[b] * filled / sum : 0.0;
    double shots = c->off_count > 0 ? c->off_count : c->off_i0;
    for (size_t p = 0; p < npix; p++) {
        if (c->mask[p] == 0 && !(c->off_float[p] > 0)) c->mask[p] = XN_MASK_DEAD;
        c->mean_frame[p] =
            c->mask[p] == 0 ? (float)(c->off_float[p] / (c->errors_counting ? per_photon : 1.0) / shots) : NAN;
    }
    for (int b = 0; b < c->nbins; b++) finish_bin(c, b, per_photon);
    return xn_finish_check(ctx, false, c);
}

xani_status xn_reduce_binned(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_cube *c)
{
    int threads = xn_threads((int)xn_config_int(config, "engine.threads"));
    xn_groups g = {0};
    xani_status st;
    XN_TRY(source->ops->read_cube(ctx, source, c));
    if (strcmp(xn_config_string(config, "reduce.off.mode"), "all") != 0)
        xn_warn(ctx, "reduce.off.mode: cubes have one laser-off sum; \"all\" is used");
    XN_GOTO(out, st, xn_check_interrupt(ctx));
    XN_GOTO(out, st, xn_groups_shape(ctx, config, source, &g));
    XN_GOTO(out, st, complete_mask(ctx, c));
    XN_GOTO(out, st, group_cube(ctx, &g, threads, c));
    XN_GOTO(out, st, rebin(ctx, config, c));
    XN_GOTO(out, st, finish(ctx, config, c));
    if (c->run == NULL && (c->run = xn_strdup(source->run ? source->run : "")) == NULL)
        st = xn_fail_memory(ctx, "the name of the run", 64);
    memcpy(c->angles_deg, source->angles_deg, sizeof c->angles_deg);
    c->n_angles = source->n_angles;
    if (st == XANI_OK) (void)xn_sign_check(ctx, c);
out:
    xn_groups_free(&g);
    return st;
}
