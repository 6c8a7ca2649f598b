// SPDX-License-Identifier: BSD-3-Clause
// sign.c -- does the signal lie on the right side of delay zero?
//
// The sign of the delay differs between facilities and is configured, never inferred (science.md 3); but before the
// pump nothing can happen, so a signal at t < 0 with none at t > 0 is worth a warning (science.md S4).
// With errors: on each side, chi^2 about the side's weighted mean (a constant offset of laser-on against laser-off is
// no sign of dynamics), per bin averaged over the groups, each term limited to 25 so that single bad groups do not
// decide.  An error estimated from n shots makes the expectation (n-1)/(n-3), divided out.  It warns when the excess
// over 1 before zero is above 5 %, above 5 standard deviations of the scatter between the bins after zero (which holds
// noise common to all groups too), and five times the excess after zero.
// Without errors: the median over the groups of variance before / variance after is above 4, and the values after zero
// are as rough as noise: variance over half the mean squared step (von Neumann) is 1 for noise, larger for anything
// smooth; its median must be below 2.
#include <math.h>
#include <stdlib.h>

#include "reduce/internal.h"

#define FEWEST_BINS 4
#define FEWEST_SHOTS 6
#define LARGEST_TERM 25.0
#define LEAST_EXCESS 0.05
#define LEAST_SIGMA 5.0
#define LEAST_RATIO 5.0
#define LEAST_VARIANCE_RATIO 4.0
#define LARGEST_SMOOTHNESS 2.0
#define MOST_GROUPS 4096 // evenly spread: enough for the averages, and the cube is not walked as a whole

static int64_t stride_of(const xn_cube *c) { return xn_max64(1, c->ny * c->nx / MOST_GROUPS); }

// -1 or +1: side of zero of a bin that can be used, 0 none.
static int side_of(const xn_cube *c, int b)
{
    double guard = isfinite(c->time_resolution_ps) ? 3.0 * c->time_resolution_ps : 0.0;
    double shots = c->on.shots != NULL ? (double)c->on.shots[b] : INFINITY;
    if (!(c->weight[b] > 0) || (c->errors_counting && shots < FEWEST_SHOTS)) return 0;
    return c->delay_ps[b] < -guard ? -1 : c->delay_ps[b] > guard ? 1 : 0;
}

// ---- with errors

static double mean_of_side(const xn_cube *c, int64_t p, int side, double *weight)
{
    int64_t npix = c->ny * c->nx;
    double sum = 0;
    *weight = 0;
    for (int b = 0; b < c->nbins; b++) {
        double y = c->signal[b * npix + p], e = c->errors[b * npix + p];
        if (side_of(c, b) != side || !isfinite(y) || !(e > 0)) continue;
        sum += y / (e * e);
        *weight += 1.0 / (e * e);
    }
    return sum / *weight;
}

// chi^2 of each bin, averaged over the groups; 1 for noise.
static void bin_chi2(const xn_cube *c, int side, double *chi2)
{
    int64_t npix = c->ny * c->nx, used = 0;
    for (int64_t p = 0; p < npix; p += stride_of(c)) {
        if (c->mask[p] != 0) continue;
        double weight, mean = mean_of_side(c, p, side, &weight);
        used++;
        for (int b = 0; b < c->nbins; b++) {
            double y = c->signal[b * npix + p], e = c->errors[b * npix + p];
            if (side_of(c, b) != side || !isfinite(y) || !(e > 0)) continue;
            double share = 1.0 / (e * e * weight); // taken up by the mean
            chi2[b] += fmin((y - mean) * (y - mean) / (e * e) / fmax(1.0 - share, 1e-3), LARGEST_TERM);
        }
    }
    for (int b = 0; b < c->nbins; b++) {
        if (side_of(c, b) != side) continue;
        double n = c->on.shots != NULL ? (double)c->on.shots[b] : INFINITY;
        chi2[b] *= (isfinite(n) ? (n - 3.0) / (n - 1.0) : 1.0) / (double)xn_max64(used, 1);
    }
}

static bool reversed_with_errors(const xn_cube *c, double *chi2)
{
    double mean[2] = {0, 0}, scatter = 0;
    int n[2] = {0, 0};
    for (int b = 0; b < c->nbins; b++) chi2[b] = 0;
    bin_chi2(c, -1, chi2);
    bin_chi2(c, 1, chi2);
    for (int b = 0; b < c->nbins; b++) {
        int side = side_of(c, b);
        if (side == 0) continue;
        mean[side > 0] += chi2[b];
        n[side > 0]++;
    }
    for (int s = 0; s < 2; s++) mean[s] = mean[s] / n[s] - 1.0;
    for (int b = 0; b < c->nbins; b++)
        if (side_of(c, b) > 0) scatter += (chi2[b] - 1.0 - mean[1]) * (chi2[b] - 1.0 - mean[1]);
    double noise = sqrt(scatter / (n[1] - 1) * (1.0 / n[0] + 1.0 / n[1]));
    return mean[0] > LEAST_EXCESS && mean[0] > LEAST_SIGMA * noise && mean[0] > LEAST_RATIO * mean[1];
}

// ---- without errors

static double variance_of_side(const xn_cube *c, int64_t p, int side, double *smoothness)
{
    int64_t npix = c->ny * c->nx;
    double n = 0, sum = 0, squares = 0, steps = 0, last = NAN;
    for (int b = 0; b < c->nbins; b++)
        if (side_of(c, b) == side && isfinite(c->signal[b * npix + p])) {
            sum += c->signal[b * npix + p];
            n++;
        }
    for (int b = 0; b < c->nbins; b++) {
        double y = c->signal[b * npix + p];
        if (side_of(c, b) != side || !isfinite(y)) continue;
        squares += (y - sum / n) * (y - sum / n);
        if (!isnan(last)) steps += (y - last) * (y - last);
        last = y;
    }
    *smoothness = steps > 0 ? 2.0 * squares / steps : 1.0;
    return squares / (n - 1.0);
}

static double median(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    return v[n / 2];
}

// work: two numbers for each group.
static bool reversed_without_errors(const xn_cube *c, double *work)
{
    int64_t npix = c->ny * c->nx, n = 0;
    double *ratio = work, *smoothness = work + npix, unused;
    for (int64_t p = 0; p < npix; p += stride_of(c)) {
        if (c->mask[p] != 0) continue;
        double before = variance_of_side(c, p, -1, &unused), after = variance_of_side(c, p, 1, &smoothness[n]);
        if (before > 0 || after > 0) ratio[n++] = after > 0 ? before / after : INFINITY;
    }
    return n > 0 && median(ratio, n) > LEAST_VARIANCE_RATIO && median(smoothness, n) < LARGEST_SMOOTHNESS;
}

bool xn_sign_check(xn_ctx *ctx, const xn_cube *c)
{
    int n[2] = {0, 0};
    for (int b = 0; b < c->nbins; b++) {
        int side = side_of(c, b);
        if (side != 0) n[side > 0]++;
    }
    if (n[0] < FEWEST_BINS || n[1] < FEWEST_BINS) return false;
    size_t room = c->errors_counting ? (size_t)c->nbins : 2 * (size_t)(c->ny * c->nx);
    double *work = xn_alloc(room, sizeof *work);
    if (work == NULL) return false; // a check only: the result does not depend on it
    bool reversed = c->errors_counting ? reversed_with_errors(c, work) : reversed_without_errors(c, work);
    xn_free(work);
    if (reversed)
        xn_warn(ctx,
                "there is signal at negative delays and none at positive ones: input.delay.sign may be reversed, or "
                "input.delay.zero_ps wrong");
    return reversed;
}
