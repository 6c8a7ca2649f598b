// SPDX-License-Identifier: BSD-3-Clause
// curve.c -- is I0 in proportion to the photons, and what to do when it is not.
//
// The signal is a ratio of sums, R = sum I / sum I0, compared between laser-on bins and laser-off shots.  It is
// unbiased only if the expected photons of a shot are proportional to its I0; with a monitor that bends, a bin whose
// shots happen to be brighter than the laser-off ones shows a change that is none, easily as large as a phonon
// (science.md 2; van Driel et al., J. Synchrotron Rad. 22 (2015)).  The remedy is to put in place of I0 what the
// photons of laser-off shots are expected to be at that reading, E[photons | I0]: then sum I / sum f(I0) is unbiased
// whatever the I0 of a bin, and also where the cause is noise of the monitor (a shot that reads high was partly noise,
// which bends the curve towards its mean).  Laser-on shots are never used: what they show is the signal.
//
//   curve   photons ~ c_0 + c_1 I0 + c_2 I0^2 by weights 1/I0^2 (relative scatter is about the same at all I0) and
//   Tukey's
//           biweight on the relative residuals; divided by sum f / sum I0, so that I0 keeps its unit
//   check   a robust line through photons/I0 against I0, both over their medians; its slope is the relative
//   non-linearity:
//           1 + n (I0/median - 1)
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/internal.h"
#include "reduce/windows.h"

#define FEWEST_SHOTS 30
#define ROUNDS 30
#define BIWEIGHT 4.685
#define LEAST_SIGMA 5.0
#define SPIKE_TOP 0.999    // quantile of I0
#define SPIKE_WIDTH 0.05   // of the range of I0
#define SPIKE_SHARE 0.01   // of the shots
#define LEAST_CHANGE 0.003 // of photons per I0 between the 5 % and 95 % quantiles of I0

// Laser-off shots with photons and I0: x and y are filled, n of them.
static int64_t collect(const xn_shots *s, const double *photons, double *x, double *y)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->verdict[i] != XN_CUT_NONE || s->laser[i] != XN_LASER_OFF) continue;
        if (!isfinite(photons[i]) || !(s->i0[i] > 0)) continue;
        x[n] = s->i0[i];
        y[n++] = photons[i];
    }
    return n;
}

// ---- the curve

// Solves m c = b by elimination with pivots; false when singular.
static bool solve3(double m[3][3], double b[3], double c[3])
{
    for (int k = 0; k < 3; k++) {
        int pivot = k;
        for (int r = k + 1; r < 3; r++)
            if (fabs(m[r][k]) > fabs(m[pivot][k])) pivot = r;
        if (!(fabs(m[pivot][k]) > 1e-13 * fabs(m[0][0]))) return false;
        for (int j = 0; j < 3; j++) {
            double swap = m[k][j];
            m[k][j] = m[pivot][j];
            m[pivot][j] = swap;
        }
        double swap = b[k];
        b[k] = b[pivot];
        b[pivot] = swap;
        for (int r = k + 1; r < 3; r++) {
            double f = m[r][k] / m[k][k];
            for (int j = k; j < 3; j++) m[r][j] -= f * m[k][j];
            b[r] -= f * b[k];
        }
    }
    for (int k = 2; k >= 0; k--) {
        c[k] = b[k];
        for (int j = k + 1; j < 3; j++) c[k] -= m[k][j] * c[j];
        c[k] /= m[k][k];
    }
    return true;
}

// One round in u = x/scale: c from the points, those beyond reach (relative to x) left out. reach infinite: all.
static bool fit_round(const double *x, const double *y, int64_t n, double scale, double reach, double c[3])
{
    double m[3][3] = {{0}}, b[3] = {0}, before[3] = {c[0], c[1], c[2]};
    for (int64_t i = 0; i < n; i++) {
        double u = x[i] / scale, w = 1.0;
        double z = (y[i] - before[0] - u * (before[1] + u * before[2])) / u / reach;
        if (isfinite(reach)) {
            if (!(fabs(z) < 1.0)) continue;
            w = (1.0 - z * z) * (1.0 - z * z);
        }
        w /= u * u;
        double p[3] = {1.0, u, u * u};
        for (int j = 0; j < 3; j++) {
            for (int k = 0; k < 3; k++) m[j][k] += w * p[j] * p[k];
            b[j] += w * p[j] * y[i];
        }
    }
    return solve3(m, b, c);
}

static double relative_spread(const double *x, const double *y, int64_t n, double scale, const double c[3],
                              double *work)
{
    double median;
    for (int64_t i = 0; i < n; i++) {
        double u = x[i] / scale;
        work[i] = (y[i] - c[0] - u * (c[1] + u * c[2])) / u;
    }
    return xn_median_spread(work, n, &median);
}

static bool fit_curve(const double *x, const double *y, int64_t n, double *work, double c[3])
{
    memcpy(work, x, (size_t)n * sizeof *work);
    qsort(work, (size_t)n, sizeof *work, xn_double_compare);
    double scale = xn_quantile(work, n, 0.5), reach = INFINITY, mean = 0, kept = 0;
    if (!(work[n - 1] > 1.001 * work[0])) return false; // one intensity tells nothing about others
    for (int round = 0; round < ROUNDS; round++) {
        if (!fit_round(x, y, n, scale, reach, c)) return false;
        reach = BIWEIGHT * relative_spread(x, y, n, scale, c, work);
        if (!(reach > 0)) break; // exact
    }
    for (int64_t i = 0; i < n; i++) {
        double u = x[i] / scale;
        mean += c[0] + u * (c[1] + u * c[2]);
        kept += x[i];
    }
    for (int k = 0; k < 3; k++) c[k] *= kept / mean / pow(scale, k);
    return kept > 0 && mean > 0;
}

xani_status xn_curve_fit(xn_ctx *ctx, const xn_shots *s, const double *photons, double c[3])
{
    size_t n = (size_t)s->n;
    double *x = xn_alloc(n, sizeof *x), *y = xn_alloc(n, sizeof *y), *work = xn_alloc(n, sizeof *work);
    xani_status st = x && y && work ? XANI_OK : xn_fail_memory(ctx, "select.i0_correction", n * 24);
    int64_t used = st == XANI_OK ? collect(s, photons, x, y) : 0;
    if (st == XANI_OK && used < FEWEST_SHOTS)
        st = xn_fail(ctx, XANI_ERR_INPUT, "select.i0_correction.auto: %lld laser-off shots are too few, %d are needed",
                     (long long)used, FEWEST_SHOTS);
    if (st == XANI_OK && !fit_curve(x, y, used, work, c))
        st = xn_fail(ctx, XANI_ERR_INPUT,
                     "select.i0_correction.auto: the laser-off shots do not vary enough in I0 to find a curve");
    xn_free(x);
    xn_free(y);
    xn_free(work);
    return st;
}

xani_status xn_curve_apply(xn_ctx *ctx, const double *c, int n, xn_cube *cube)
{
    xn_shots *s = &cube->shots;
    double *before;
    int64_t left[3] = {0, 0, 0};
    XN_TRY(xn_shots_column(ctx, XN_COLUMN_I0, s, &before));
    memcpy(before, s->i0, (size_t)s->n * sizeof *before);
    for (int64_t i = 0; i < s->n; i++) {
        double value = 0.0;
        for (int k = n - 1; k >= 0; k--) value = value * before[i] + c[k];
        if (isfinite(before[i])) s->i0[i] = value;
        if (s->verdict[i] == XN_CUT_NONE && !(value > 0 && isfinite(value))) {
            s->verdict[i] = XN_CUT_CURVE;
            s->bin[i] = -1;
        }
        if (s->verdict[i] == XN_CUT_NONE) left[s->laser[i]]++;
    }
    if (left[XN_LASER_ON] < 1 || left[XN_LASER_OFF] < 2)
        return xn_fail(ctx, XANI_ERR_INPUT, "select.i0_correction leaves no I0 above 0 in nearly all shots");
    return xn_cutflow_add(ctx, &cube->cutflow, "I0 correction", left[XN_LASER_ON], left[XN_LASER_OFF], 0);
}

// ---- the check

typedef struct bend {
    double slope, error; // of photons/I0 against I0, relative to their medians
    double change;       // of photons/I0 between the 5 % and 95 % quantiles of I0
    double noise;        // relative scatter of a shot
    double median;       // of I0
    double dilution;     // slope that this scatter alone would make if all of it were the monitor's
} bend;

static xani_status measure(xn_ctx *ctx, double *x, double *y, int64_t n, double *work, bend *b, bool *found)
{
    xn_line line;
    double sum = 0, squares = 0;
    memcpy(work, x, (size_t)n * sizeof *work);
    qsort(work, (size_t)n, sizeof *work, xn_double_compare);
    double median = xn_quantile(work, n, 0.5),
           span = (xn_quantile(work, n, 0.95) - xn_quantile(work, n, 0.05)) / median;
    for (int64_t i = 0; i < n; i++) work[i] = y[i] / x[i];
    qsort(work, (size_t)n, sizeof *work, xn_double_compare);
    double ratio = xn_quantile(work, n, 0.5);
    for (int64_t i = 0; i < n; i++) {
        y[i] /= x[i] * ratio;
        x[i] /= median;
        sum += x[i];
        squares += x[i] * x[i];
    }
    double variance = squares / (double)n - sum / (double)n * (sum / (double)n);
    XN_TRY(xn_line_robust(ctx, x, y, n, &line, found));
    *found = *found && variance > 0 && isfinite(ratio);
    if (!*found) return XANI_OK;
    b->slope = line.slope;
    b->median = median;
    b->noise = line.sigma;
    b->error = 1.03 * line.sigma / sqrt(variance * (double)n); // 95 % efficiency of the biweight
    b->change = line.slope * span;
    // all of the scatter: what the line takes up of it is the noise's too if it made the line
    b->dilution = -(line.sigma * line.sigma / variance + line.slope * line.slope);
    return XANI_OK;
}

// A monitor at the end of its range: a spike on top of the distribution of I0, twice as many as in the same width below
// it, whose shots have more photons per I0 than the others.  Steps of a coarse monitor, the cut of a window or a beam
// of two intensities have no such excess of photons. x, y: as measure() leaves them.
static void say_clipped(xn_ctx *ctx, const double *x, const double *y, int64_t n, double *work, double scale)
{
    int64_t in = 0, below = 0, out = 0;
    memcpy(work, x, (size_t)n * sizeof *work);
    qsort(work, (size_t)n, sizeof *work, xn_double_compare);
    double top = xn_quantile(work, n, SPIKE_TOP), width = SPIKE_WIDTH * (top - xn_quantile(work, n, 0.05)), usual,
           excess;
    for (int64_t i = 0; i < n; i++) {
        below += x[i] <= top - width && x[i] > top - 2 * width;
        if (x[i] > top - width) work[in++] = y[i];
    }
    if (in < FEWEST_SHOTS || (double)in < SPIKE_SHARE * (double)n || in < 2 * below) return;
    double error = 1.25 * xn_median_spread(work, in, &excess) / sqrt((double)in); // of a median
    for (int64_t i = 0; i < n; i++)
        if (x[i] <= top - width) work[out++] = y[i];
    (void)xn_median_spread(work, out, &usual);
    if (!(excess - usual > fmax(LEAST_SIGMA * error, LEAST_CHANGE))) return;
    xn_warn(ctx,
            "I0 saturates: %.1f %% of the laser-off shots read about %.4g, the most there is, and have %.1f %% more "
            "photons per I0 than the others; leave them out (select.i0: {max: %.4g})",
            100.0 * (double)in / (double)n, (top - 0.5 * width) * scale, 100 * (excess / usual - 1),
            (top - width) * scale);
}

static void say(xn_ctx *ctx, const bend *b, int64_t n, bool corrected)
{
    const char *what = corrected ? " after select.i0_correction" : "";
    xn_note(ctx,
            "I0 against photons of %lld laser-off shots%s: photons per I0 change by %+.2f %% between low and high I0 "
            "(slope %.4f +- %.4f), a shot scatters by %.2f %%",
            (long long)n, what, 100 * b->change, b->slope, b->error, 100 * b->noise);
    // noise of the monitor tilts the line downwards, by as much as dilution at most
    double beyond = b->slope < 0 ? fmin(b->slope - b->dilution, 0.0) : b->slope;
    if (!(fabs(beyond) > LEAST_SIGMA * b->error && fabs(b->change * beyond / b->slope) > LEAST_CHANGE)) return;
    xn_warn(
        ctx,
        "I0 is not in proportion to the photons%s: bins of other mean I0 than the laser-off shots' get a false signal; "
        "%s",
        what, corrected ? "more coefficients may be needed" : "see select.i0_correction ({auto: off})");
}

xani_status xn_curve_check(xn_ctx *ctx, const xn_cube *cube)
{
    const xn_shots *s = &cube->shots;
    const double *photons = xn_shots_find(s, XN_COLUMN_PHOTONS);
    if (photons == NULL) return XANI_OK;
    size_t n = (size_t)s->n;
    double *x = xn_alloc(n, sizeof *x), *y = xn_alloc(n, sizeof *y), *work = xn_alloc(n, sizeof *work);
    xani_status st = x && y && work ? XANI_OK : xn_fail_memory(ctx, "the check of I0", n * 24);
    int64_t used = st == XANI_OK ? collect(s, photons, x, y) : 0;
    bend b = {0};
    bool found = false;
    if (used >= FEWEST_SHOTS) st = measure(ctx, x, y, used, work, &b, &found);
    bool corrected = xn_shots_find(s, XN_COLUMN_I0) != NULL;
    if (found) say(ctx, &b, used, corrected);
    if (found && !corrected) say_clipped(ctx, x, y, used, work, b.median);
    xn_free(x);
    xn_free(y);
    xn_free(work);
    return st;
}
