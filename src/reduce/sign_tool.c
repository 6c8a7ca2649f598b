// SPDX-License-Identifier: BSD-3-Clause
// sign_tool.c -- does the time tool explain the scatter of the signal where the signal changes?
//
// The tool's sign is configured, never inferred; but a wrong one doubles the jitter instead of removing it, and that
// shows.  Take the laser-on shots in the order of their delay without the tool's part.  There the signal y (photons/I0)
// is a smooth m(d), and a shot that came late by tau, as the tool says, has seen m at d + tau: its residual r = y - m
// goes with g tau, g = dm/dd.  Regress r on g tau through 0:
//     beta = sum r g tau / sum (g tau)^2,    standard error from the scatter of the summands
// For Gaussian jitter beta is 1 even where m is blurred by it (Stein's lemma: cov(f(d + tau), tau) = var(tau) m'(d)),
// less by the tool's own share of noise; -1 when the sign is wrong, 0 when the tool tells nothing.  Below 1/2 the
// correction blurs more than it removes. m and g come from the means of as many shots before and after as lie within
// about twice the tool's spread; only shots whose g exceeds its noise threefold count.  A verdict takes five standard
// errors.
// A scan in steps has many shots at one delay: their order is that of the shots, for an order by tau would compare each
// shot with shots of its own tau.  Steps farther apart than the tool reaches tell no slope: no verdict.
#include <math.h>
#include <stdlib.h>

#include "reduce/internal.h"
#include "reduce/windows.h"

#define FEWEST_SHOTS 200
#define FEWEST_SLOPES 40
#define LEAST_SIGMA 5.0
#define SLOPE_SIGMA 3.0
#define SAME_PS 1e-6    // delays closer than this are one step, told apart by rounding only
#define WIDEST_STEP 1.0 // of the tool's spread: a slope is not taken across wider ones

typedef struct shot {
    double delay, tau, y; // without the tool; what the tool adds, about its median; photons/I0
    int64_t row;
} shot;

typedef struct check {
    int64_t n;
    shot *shot;
    double *sum_y, *sum_d, *work; // (n + 1), (n + 1), (n)
    int64_t *wide;                // (n + 1) wide steps before each shot
    double tool_rms;
    double beta, error;
    int64_t used;
} check;

static int by_delay(const void *a, const void *b)
{
    const shot *x = a, *y = b;
    if (x->delay != y->delay) return x->delay < y->delay ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void free_check(check *c)
{
    xn_free(c->shot);
    xn_free(c->sum_y);
    xn_free(c->sum_d);
    xn_free(c->work);
    xn_free(c->wide);
}

static bool collect(const xn_shots *s, check *c)
{
    const double *tool = xn_shots_find(s, XN_COLUMN_TOOL), *photons = xn_shots_find(s, XN_COLUMN_PHOTONS);
    if (tool == NULL || photons == NULL) return false;
    size_t n = (size_t)s->n;
    c->shot = xn_alloc(n, sizeof *c->shot);
    c->sum_y = xn_alloc(n + 1, sizeof *c->sum_y);
    c->sum_d = xn_alloc(n + 1, sizeof *c->sum_d);
    c->work = xn_alloc(n, sizeof *c->work);
    c->wide = xn_alloc(n + 1, sizeof *c->wide);
    if (!c->shot || !c->sum_y || !c->sum_d || !c->work || !c->wide) return false;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->verdict[i] != XN_CUT_NONE || s->laser[i] != XN_LASER_ON) continue;
        if (!isfinite(photons[i]) || !isfinite(tool[i]) || !(s->i0[i] > 0)) continue;
        double delay = SAME_PS * rint((s->delay_ps[i] - tool[i]) / SAME_PS);
        c->shot[c->n++] = (shot){delay, tool[i], photons[i] / s->i0[i], i};
    }
    return c->n >= FEWEST_SHOTS;
}

// Outliers of y are pulled in to five sigma, of tau to four; tau is about its median. False: nothing to judge.
static bool prepare(check *c)
{
    double tau, y, sigma;
    for (int64_t i = 0; i < c->n; i++) c->work[i] = c->shot[i].tau;
    c->tool_rms = xn_median_spread(c->work, c->n, &tau);
    for (int64_t i = 0; i < c->n; i++) c->work[i] = c->shot[i].y;
    sigma = xn_median_spread(c->work, c->n, &y);
    for (int64_t i = 0; i < c->n; i++) {
        shot *s = &c->shot[i];
        s->tau = fmax(-4 * c->tool_rms, fmin(4 * c->tool_rms, s->tau - tau));
        s->y = fmax(y - 5 * sigma, fmin(y + 5 * sigma, s->y));
    }
    qsort(c->shot, (size_t)c->n, sizeof *c->shot, by_delay);
    c->sum_y[0] = c->sum_d[0] = 0;
    c->wide[0] = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double step = i > 0 ? c->shot[i].delay - c->shot[i - 1].delay : 0;
        if (i > 0) c->wide[i] = c->wide[i - 1] + (step > WIDEST_STEP * c->tool_rms);
        c->sum_y[i + 1] = c->sum_y[i] + c->shot[i].y;
        c->sum_d[i + 1] = c->sum_d[i] + c->shot[i].delay;
    }
    return c->tool_rms > 0 && sigma > 0;
}

typedef struct local {
    double r, step, distance; // residual; difference of the means after and before; of their delays
} local;

static local around(const check *c, int64_t i, int64_t reach)
{
    double n = (double)reach;
    double y0 = (c->sum_y[i] - c->sum_y[i - reach]) / n, y1 = (c->sum_y[i + 1 + reach] - c->sum_y[i + 1]) / n;
    double d0 = (c->sum_d[i] - c->sum_d[i - reach]) / n, d1 = (c->sum_d[i + 1 + reach] - c->sum_d[i + 1]) / n;
    double slope = d1 > d0 ? (y1 - y0) / (d1 - d0) : 0.0;
    double r = c->shot[i].y - 0.5 * (y0 + y1) - slope * (c->shot[i].delay - 0.5 * (d0 + d1));
    return (local){r, y1 - y0, d1 - d0};
}

// beta and its error; false: too little slope anywhere.
static bool regress(check *c, int64_t reach)
{
    double squares = 0, xy = 0, xx = 0, scatter = 0;
    for (int64_t i = reach; i + reach < c->n; i++) squares += pow(around(c, i, reach).r, 2);
    double least = SLOPE_SIGMA * sqrt(2.0 * squares / (double)(c->n - 2 * reach) / (double)reach);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = reach; i + reach < c->n; i++) {
            local l = around(c, i, reach);
            if (!(fabs(l.step) > least) || !(l.distance > 0) || c->wide[i + reach] > c->wide[i - reach]) continue;
            double x = l.step / l.distance * c->shot[i].tau, rest = l.r - c->beta * x;
            if (pass == 0) {
                xy += x * l.r;
                xx += x * x;
                c->used++;
            } else {
                scatter += x * x * rest * rest;
            }
            c->beta = pass == 0 && xx > 0 ? xy / xx : c->beta;
        }
    c->error = sqrt(scatter) / xx;
    return c->used >= FEWEST_SLOPES && xx > 0 && scatter > 0;
}

static xn_tool_verdict judge(xn_ctx *ctx, check *c)
{
    if (!prepare(c)) return XN_TOOL_UNKNOWN;
    int64_t low = c->n / 20, high = c->n - 1 - low; // of the middle nine tenths, where the shots are
    double spacing = (c->shot[high].delay - c->shot[low].delay) / (double)(high - low);
    if (!(spacing > 0)) return XN_TOOL_UNKNOWN;
    double wide = fmax(10.0, fmin(2.0 * c->tool_rms / spacing, (double)c->n / 10.0));
    if (!regress(c, (int64_t)wide)) return XN_TOOL_UNKNOWN;
    if (c->beta < -LEAST_SIGMA * c->error) {
        xn_warn(ctx,
                "where the signal changes, shots scatter against the time tool's correction (%.2f +- %.2f of it, 1 is "
                "right): input.delay.time_tool.sign may be reversed",
                c->beta, c->error);
        return XN_TOOL_REVERSED;
    }
    if (c->beta < 0.5 - LEAST_SIGMA * c->error) {
        xn_warn(
            ctx,
            "where the signal changes, the time tool explains %.2f +- %.2f of what it corrects (1 is right): it blurs "
            "the delay; check its coefficients_ps and the ids of its channel",
            c->beta, c->error);
        return XN_TOOL_BLURS;
    }
    if (c->beta < LEAST_SIGMA * c->error) return XN_TOOL_UNKNOWN;
    xn_note(ctx, "the time tool sharpens the signal: it explains %.2f +- %.2f of what it corrects (1 is right)",
            c->beta, c->error);
    return XN_TOOL_SHARPENS;
}

xn_tool_verdict xn_sign_check_tool(xn_ctx *ctx, const xn_cube *cube)
{
    check c = {0};
    xn_tool_verdict v = collect(&cube->shots, &c) ? judge(ctx, &c) : XN_TOOL_UNKNOWN; // a check only
    free_check(&c);
    return v;
}
