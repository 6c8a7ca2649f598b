// SPDX-License-Identifier: BSD-3-Clause
// finish.c -- integer sums to relative change and its standard error.
//
// For each bin and group, with e = I0 R_off the intensity expected without the pump (R_off = S1_off / M1_off, of the
// whole run or of the shot's block of time):
//   E = sum e,  E2 = sum e^2,  C = sum I e,      rho = S1 / E,      y = rho - 1
//   var(y) = n/(n-1) (S2 - 2 rho C + rho^2 E2) / E^2
// With one reference this is the exact variance of the ratio of sums (science.md 4),
//   R = S1/M1,  var(R) = n/(n-1) (S2 - 2 R X + R^2 M2) / M1^2,  y = R/R_off - 1,  var(y) = var(R)/R_off^2,
// and with blocks it is the mean of the blocks' y weighted by E, the expected photons (their inverse Poisson
// variance); a block's few photons never stand in a denominator alone.  The error of R_off is common to all bins and
// is left out here on purpose: the fit's constant takes it up.
//
// The residual cannot be known better than the fixed point it was summed in; its variance is the floor (it matters
// for noiseless simulations only).  Where no photon was seen there is no residual: the error is that of the expected
// photons, var(S1) = E.  One shot gives a signal but no error (NaN); its bin keeps its weight, the I0 sum.
#include <math.h>
#include <string.h>

#include "reduce/internal.h"

xani_status xn_sums_alloc_bins(xn_ctx *ctx, int nbins, int64_t npix, xn_sums *s)
{
    memset(s, 0, sizeof *s);
    s->nbins = nbins;
    s->npix = npix;
    int64_t **all[] = {&s->shots, &s->i0_sum, &s->i0_sq_sum, &s->delay_sum, &s->delay_sq_sum};
    bool ok = true;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        ok = (*all[i] = xn_calloc((size_t)nbins, sizeof(int64_t))) && ok;
    if (ok) return XANI_OK;
    xn_sums_free(s);
    return xn_fail_memory(ctx, "the sums of the bins", (size_t)nbins * 40);
}

static xani_status add_shot(xn_ctx *ctx, const xn_shots *shots, int64_t i, double i0_scale, xn_sums *s, int bin)
{
    int64_t i0q = xn_i0_fixed(shots->i0[i], i0_scale), d = 0, d2 = 0;
    if (shots->laser[i] == XN_LASER_ON) {
        double square = shots->delay_ps[i] * shots->delay_ps[i] * XN_DELAY_SCALE;
        if (!(square < 0x1p62)) goto too_large;
        d = llrint(shots->delay_ps[i] * XN_DELAY_SCALE);
        d2 = llrint(square);
    }
    s->shots[bin]++;
    s->i0_sum[bin] += i0q;
    s->i0_sq_sum[bin] += i0q * i0q;
    if (__builtin_add_overflow(s->delay_sum[bin], d, &s->delay_sum[bin]) ||
        __builtin_add_overflow(s->delay_sq_sum[bin], d2, &s->delay_sq_sum[bin]))
        goto too_large;
    return XANI_OK;
too_large:
    return xn_fail(ctx, XANI_ERR_INPUT,
                   "delays as large as %g ps cannot be summed: check input.delay (scale_ps in ps per unit)",
                   shots->delay_ps[i]);
}

xani_status xn_finish_shots(xn_ctx *ctx, double i0_scale, xn_cube *c)
{
    const xn_shots *shots = &c->shots;
    for (int64_t i = 0; i < shots->n; i++) {
        if (shots->verdict[i] != XN_CUT_NONE) continue;
        bool on = shots->bin[i] >= 0;
        XN_TRY(add_shot(ctx, shots, i, i0_scale, on ? &c->on : &c->off, on ? shots->bin[i] : 0));
    }
    double sum = 0;
    int filled = 0;
    for (int b = 0; b < c->nbins; b++) {
        int64_t n = c->on.shots[b];
        c->delay_ps[b] = n > 0 ? (double)c->on.delay_sum[b] / XN_DELAY_SCALE / (double)n
                               : 0.5 * (c->edges_ps[b] + c->edges_ps[b + 1]);
        sum += (double)c->on.i0_sum[b];
        filled += n > 0;
    }
    for (int b = 0; b < c->nbins; b++) c->weight[b] = filled ? (double)c->on.i0_sum[b] * filled / sum : 0;
    c->i0_scale = i0_scale;
    return XANI_OK;
}

enum { KEEP, NO_SIGNAL, CLEAR }; // what becomes of a group

typedef struct numbers { // of one bin
    double n, m1, m2;
    double unit; // of w in S2 and X, in those of v (data/cube.h)
} numbers;

static void finish_pixel(const numbers *b, double s1, double s2, double e, double e2, double cross, float *signal,
                         float *error)
{
    *signal = *error = NAN;
    if (!(e > 0)) return;
    double rho = s1 / e, r = e / b->m1;
    *signal = (float)(rho - 1.0);
    if (b->n < 2) return;
    double residual = s2 * b->unit * b->unit - 2.0 * rho * cross * b->unit + rho * rho * e2;
    double floor = b->n * (b->unit * b->unit / 12.0 + rho * rho * r * r / 12.0);
    if (s1 == 0 && s2 == 0) floor = fmax(floor, e * XN_PHOTON_SCALE);
    *error = (float)(sqrt(b->n / (b->n - 1.0) * fmax(residual, floor)) / e);
}

static void finish_bin(const xn_pass *pass, int bin, const double *r_off, xn_cube *c)
{
    int64_t npix = c->ny * c->nx, at = (bin - pass->first) * npix;
    float *signal = c->signal + bin * npix, *errors = c->errors + bin * npix;
    numbers b = {(double)c->on.shots[bin], (double)c->on.i0_sum[bin], (double)c->on.i0_sq_sum[bin],
                 XN_PHOTON_SCALE / xn_photon_scale2(c->spatial_bin)};
    for (int64_t p = 0; p < npix; p++) {
        double s1 = (double)pass->s1[at + p], s2 = (double)pass->s2[at + p];
        if (b.n < 1)
            signal[p] = errors[p] = NAN;
        else if (pass->expect != NULL)
            finish_pixel(&b, s1, s2, pass->expect[at + p], pass->expect_sq[at + p], pass->cross[at + p], &signal[p],
                         &errors[p]);
        else
            finish_pixel(&b, s1, s2, b.m1 * r_off[p], b.m2 * r_off[p] * r_off[p], (double)pass->x[at + p] * r_off[p],
                         &signal[p], &errors[p]);
    }
}

xani_status xn_finish_pass(xn_ctx *ctx, const xn_pass *pass, int threads, xn_cube *c)
{
    int64_t npix = c->ny * c->nx;
    double *r_off = xn_alloc((size_t)npix, sizeof *r_off);
    if (r_off == NULL) return xn_fail_memory(ctx, "the laser-off reference", (size_t)npix * sizeof *r_off);
    for (int64_t p = 0; p < npix; p++) r_off[p] = (double)c->off.s1[p] / (double)c->off.i0_sum[0];
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int b = pass->first; b < pass->first + pass->n; b++) finish_bin(pass, b, r_off, c);
    xn_free(r_off);
    return XANI_OK;
}

static void clear_integers(int64_t *plane, const uint8_t *what, int64_t npix)
{
    for (int64_t p = 0; plane != NULL && p < npix; p++)
        if (what[p] == CLEAR) plane[p] = 0;
}

static void clear_bin(xn_cube *c, const uint8_t *what, int b)
{
    int64_t npix = c->ny * c->nx, at = b * npix;
    int64_t *sums[] = {c->on.s1, c->on.s2, c->on.x};
    double *expected[] = {c->on.expect, c->on.expect_sq, c->on.cross};
    for (int k = 0; k < 3; k++) {
        if (sums[k] != NULL) clear_integers(sums[k] + at, what, npix);
        for (int64_t p = 0; expected[k] != NULL && p < npix; p++)
            if (what[p] == CLEAR) expected[k][at + p] = 0;
        if (sums[k] != NULL) xn_cube_let_go(c, sums[k] + at, (size_t)npix * 8);
        if (expected[k] != NULL) xn_cube_let_go(c, expected[k] + at, (size_t)npix * 8);
    }
    for (int64_t p = 0; p < npix; p++)
        if (what[p] != KEEP) c->signal[at + p] = c->errors[at + p] = NAN;
    xn_cube_let_go(c, c->signal + at, (size_t)npix * 4);
    xn_cube_let_go(c, c->errors + at, (size_t)npix * 4);
}

int64_t xn_finish_bright(xn_ctx *ctx, int64_t bound, const xn_cube *c)
{
    int64_t bright = 0, largest = 0, most = c->off.shots[0];
    for (int64_t p = 0; p < c->ny * c->nx; p++) {
        if (c->mask[p] != 0 || c->peak[p] <= bound) continue;
        bright++;
        largest = xn_max64(largest, c->peak[p]);
    }
    for (int b = 0; b < c->nbins; b++) most = xn_max64(most, c->on.shots[b]);
    if (bright > 0)
        xn_warn(ctx,
                "%lld pixel groups are masked because their sums would overflow: up to %.3g photons in a shot, where "
                "sums of %lld shots take %.3g; smaller groups (reduce.spatial_bin, now %d) hold fewer, or the unit of "
                "photons is wrong (input.calibration, experiment.energy_kev)",
                (long long)bright, (double)largest / XN_PHOTON_SCALE, (long long)most, (double)bound / XN_PHOTON_SCALE,
                c->spatial_bin);
    return bright;
}

xani_status xn_finish_beyond(xn_ctx *ctx)
{
    return xn_fail(ctx, XANI_ERR_INPUT,
                   "all pixels are masked, because they hold more photons in a shot than can be summed (%d in a pixel, "
                   "in a group what its sums take): check the unit of photons, input.calibration (photons_per_unit, "
                   "kev_per_unit, gain) and experiment.energy_kev, and reduce.spatial_bin",
                   XN_PIXEL_PHOTONS);
}

xani_status xn_finish_check(xn_ctx *ctx, bool beyond_range, const xn_cube *c)
{
    int64_t npix = c->ny * c->nx, seen = 0;
    for (int64_t p = 0; p < npix; p++) seen += c->mask[p] == 0;
    if (seen == 0 && beyond_range) return xn_finish_beyond(ctx);
    if (seen == 0) xn_warn(ctx, "no pixel has intensity in laser-off shots and no mask: all of the signal is NaN");
    return XANI_OK;
}

// What was added to a masked group before a shot of it turned out bad depends on what was read first: it goes.  Groups
// without laser-off photons have no reference, but their sums are sums.
xani_status xn_finish_mask(xn_ctx *ctx, int64_t bound, xn_cube *c)
{
    int64_t npix = c->ny * c->nx;
    uint8_t *what = xn_alloc((size_t)npix, sizeof *what);
    if (what == NULL) return xn_fail_memory(ctx, "the mask", (size_t)npix);
    for (int64_t p = 0; p < npix; p++) {
        if (c->peak[p] > bound) c->mask[p] |= XN_MASK_RANGE;
        what[p] = c->mask[p] != 0 ? CLEAR : KEEP;
        if (what[p] == KEEP && c->off.s1[p] <= 0) {
            c->mask[p] = XN_MASK_DEAD;
            what[p] = NO_SIGNAL;
        }
        c->mean_frame[p] =
            what[p] == KEEP ? (float)((double)c->off.s1[p] / XN_PHOTON_SCALE / (double)c->off.shots[0]) : NAN;
    }
    int64_t *planes[] = {c->off.s1, c->off.s2, c->off.x, c->peak};
    for (int k = 0; k < 4; k++) clear_integers(planes[k], what, npix);
    for (int b = 0; b < c->nbins; b++) clear_bin(c, what, b);
    xn_free(what);
    return XANI_OK;
}
