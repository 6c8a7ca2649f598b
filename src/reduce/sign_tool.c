// SPDX-License-Identifier: BSD-3-Clause
// sign_tool.c -- does the time tool explain the scatter of the signal where the signal changes?
//
// The tool's sign is configured, never inferred; but a wrong one doubles the jitter instead of removing it, and that
// shows.  With d the delay without the tool and tau what the tool adds, a shot of signal y (photons/I0) saw
// y = f(d + tau).  Put all laser-on shots at d + beta tau: what is left of the scatter within narrow bins,
//     q(beta) = <(f(d + tau) - E[f | d + beta tau])^2> + noise,
// is least where beta tau is the best guess of the true lateness, and symmetrical about it whatever the shape of f:
// 1 for a right tool, less by its own share of noise; 1/k for one that reads k times too much; -1 when the sign is
// wrong, 0 when the tool tells nothing.  (A slope taken from smoothed data would be too small, and the factor too
// large.)  q is scanned, a parabola through the points about its minimum gives beta; the points are means over shots,
// so beta is one too, and its error the scatter of the summands.  Each bin's variance has n - 1 in it, so that more
// bins at larger beta do not explain noise.  Below 1/2 the correction blurs more than it removes. A verdict takes five
// standard errors, and a minimum four of its own deep.
// Only where the signal changes is there anything to gain: shots within three times the tool's spread of a change of
// the means of those before and after that exceeds its noise threefold; all of them where that is not enough, since a
// fast oscillation may be blurred away in d.
// A scan in steps has many shots at one delay: their order is that of the shots.  Steps farther apart than the tool
// reaches tell nothing, since no two of them meet in a bin: no verdict.
#include <math.h>
#include <stdlib.h>

#include "reduce/internal.h"
#include "reduce/windows.h"

#define FEWEST_SHOTS 200
#define MOST_SHOTS 200000 // spread evenly: enough, and the scan reads them many times
#define LEAST_SIGMA 5.0
#define LEAST_DEPTH 4.0
#define SLOPE_SIGMA 3.0
#define OUTLIER_TAU 4.0 // of the tool's spread
#define OUTLIER_Y 5.0
#define SAME_PS 1e-6    // delays closer than this are one step, told apart by rounding only
#define WIDEST_STEP 2.0 // of the tool's spread: wider ones do not overlap
#define NEAR 3.0        // of the tool's spread, from a change
#define FAR 30.0        // of the tool's spread: a gap that no factor bridges
#define BIN 3.0         // in the tool's spread
#define FIRST_BETA (-3.0)
#define BETA_STEP 0.05
#define BETAS 131
#define LEAST_REACH 3 // points of the parabola on either side
#define MOST_REACH 12
#define NEAR_REACH 5
#define NEAR_ERROR 0.03 // of beta

typedef struct shot {
    double delay, tau, y; // without the tool; what the tool adds, about its median; photons/I0
    int64_t row;
} shot;

typedef struct check {
    int64_t n, m;               // shots, those that tell
    shot *shot, *told;          // by delay; told: gaps that no factor bridges are closed
    double *sum_y, *sum_d;      // (n + 1)
    int64_t *wide, *mark;       // (n + 1) wide steps before each shot; beginnings less ends of stretches that tell
    double *each, *tilt, *bend; // (n) of one beta, and what each shot adds to the parabola
    int32_t *place;             // (n) bin
    double *bin_sum, *bin_count;
    double tool_rms;
    double beta, error, depth; // depth: of the minimum, in its standard errors
} check;

static int by_delay(const void *a, const void *b)
{
    const shot *x = a, *y = b;
    if (x->delay != y->delay) return x->delay < y->delay ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static void free_check(check *c)
{
    void *all[] = {c->shot, c->told, c->sum_y, c->sum_d, c->wide,    c->mark,
                   c->each, c->tilt, c->bend,  c->place, c->bin_sum, c->bin_count};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
}

static bool alloc_check(size_t n, check *c)
{
    c->shot = xn_alloc(n, sizeof *c->shot);
    c->told = xn_alloc(n, sizeof *c->told);
    c->sum_y = xn_alloc(n + 1, sizeof *c->sum_y);
    c->sum_d = xn_alloc(n + 1, sizeof *c->sum_d);
    c->wide = xn_alloc(n + 1, sizeof *c->wide);
    c->mark = xn_alloc(n + 1, sizeof *c->mark);
    c->each = xn_alloc(n, sizeof *c->each);
    c->tilt = xn_alloc(n, sizeof *c->tilt);
    c->bend = xn_alloc(n, sizeof *c->bend);
    c->place = xn_alloc(n, sizeof *c->place);
    return c->shot && c->told && c->sum_y && c->sum_d && c->wide && c->mark && c->each && c->tilt && c->bend &&
           c->place;
}

static bool counts(const xn_shots *s, const double *tool, const double *photons, int64_t i)
{
    return s->verdict[i] == XN_CUT_NONE && s->laser[i] == XN_LASER_ON && isfinite(photons[i]) && isfinite(tool[i]) &&
           s->i0[i] > 0;
}

static bool collect(const xn_shots *s, check *c)
{
    const double *tool = xn_shots_find(s, XN_COLUMN_TOOL), *photons = xn_shots_find(s, XN_COLUMN_PHOTONS);
    int64_t all = 0, seen = 0;
    if (tool == NULL || photons == NULL) return false;
    for (int64_t i = 0; i < s->n; i++) all += counts(s, tool, photons, i);
    if (all < FEWEST_SHOTS || !alloc_check((size_t)xn_min64(all, MOST_SHOTS), c)) return false;
    int64_t step = (all + MOST_SHOTS - 1) / MOST_SHOTS;
    for (int64_t i = 0; i < s->n; i++) {
        if (!counts(s, tool, photons, i) || seen++ % step != 0) continue;
        double delay = SAME_PS * rint((s->delay_ps[i] - tool[i]) / SAME_PS);
        c->shot[c->n++] = (shot){delay, tool[i], photons[i] / s->i0[i], i};
    }
    return true;
}

// Shots of outlying tau are left out, outliers of y are pulled in; tau is about its median. False: nothing to judge.
static bool prepare(check *c)
{
    double tau, y, sigma;
    int64_t kept = 0;
    for (int64_t i = 0; i < c->n; i++) c->each[i] = c->shot[i].tau;
    c->tool_rms = xn_median_spread(c->each, c->n, &tau);
    for (int64_t i = 0; i < c->n; i++) c->each[i] = c->shot[i].y;
    sigma = xn_median_spread(c->each, c->n, &y);
    for (int64_t i = 0; i < c->n; i++) {
        shot s = c->shot[i];
        s.tau -= tau;
        s.y = fmax(-OUTLIER_Y * sigma, fmin(OUTLIER_Y * sigma, s.y - y));
        if (fabs(s.tau) <= OUTLIER_TAU * c->tool_rms) c->shot[kept++] = s;
    }
    c->n = kept;
    if (c->n < FEWEST_SHOTS || !(c->tool_rms > 0) || !(sigma > 0)) return false;
    qsort(c->shot, (size_t)c->n, sizeof *c->shot, by_delay);
    c->sum_y[0] = c->sum_d[0] = 0;
    c->wide[0] = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double step = i > 0 ? c->shot[i].delay - c->shot[i - 1].delay : 0;
        if (i > 0) c->wide[i] = c->wide[i - 1] + (step > WIDEST_STEP * c->tool_rms);
        c->sum_y[i + 1] = c->sum_y[i] + c->shot[i].y;
        c->sum_d[i + 1] = c->sum_d[i] + c->shot[i].delay;
    }
    return true;
}

// ---- the shots that tell

typedef struct local {
    double r, step, distance; // y less the mean around; difference of the means after and before; of their delays
} local;

static local around(const check *c, int64_t i, int64_t reach)
{
    double n = (double)reach;
    double y0 = (c->sum_y[i] - c->sum_y[i - reach]) / n, y1 = (c->sum_y[i + 1 + reach] - c->sum_y[i + 1]) / n;
    double d0 = (c->sum_d[i] - c->sum_d[i - reach]) / n, d1 = (c->sum_d[i + 1 + reach] - c->sum_d[i + 1]) / n;
    return (local){c->shot[i].y - 0.5 * (y0 + y1), y1 - y0, d1 - d0};
}

// least: of a change of the means, 0: all places with steps that overlap.
static void mark(check *c, int64_t reach, double least)
{
    int64_t begin = 0, end = 0;
    for (int64_t i = 0; i <= c->n; i++) c->mark[i] = 0;
    for (int64_t i = reach; i + reach < c->n; i++) {
        local l = around(c, i, reach);
        if (!(fabs(l.step) >= least) || !(l.distance > 0) || c->wide[i + reach] > c->wide[i - reach]) continue;
        while (c->shot[begin].delay < c->shot[i].delay - NEAR * c->tool_rms) begin++;
        while (end < c->n && c->shot[end].delay <= c->shot[i].delay + NEAR * c->tool_rms) end++;
        c->mark[begin]++;
        c->mark[end]--;
    }
}

static void choose(check *c)
{
    int64_t inside = 0;
    double closed = 0, last = NAN;
    c->m = 0;
    for (int64_t i = 0; i < c->n; i++) {
        shot s = c->shot[i];
        inside += c->mark[i];
        if (inside <= 0) continue;
        closed += fmax(0.0, s.delay - last - FAR * c->tool_rms); // 0 for the first
        last = s.delay;
        s.delay -= closed;
        c->told[c->m++] = s;
    }
}

// ---- the scan

static double beta_at(int k) { return FIRST_BETA + k * BETA_STEP; }

static bool alloc_bins(check *c)
{
    double reach = 2 * OUTLIER_TAU * fmax(-FIRST_BETA, beta_at(BETAS - 1));
    size_t bins = (size_t)(BIN * ((c->told[c->m - 1].delay - c->told[0].delay) / c->tool_rms + reach)) + 2;
    xn_free(c->bin_sum);
    xn_free(c->bin_count);
    c->bin_sum = xn_calloc(bins, sizeof *c->bin_sum);
    c->bin_count = xn_calloc(bins, sizeof *c->bin_count);
    return c->bin_sum != NULL && c->bin_count != NULL;
}

// q(beta). each: what every shot adds to it.
static double unexplained(check *c, double beta)
{
    double low = c->told[0].delay - OUTLIER_TAU * fabs(beta) * c->tool_rms, used = 0, sum = 0;
    for (int64_t i = 0; i < c->m; i++) {
        c->place[i] = (int32_t)(BIN * (c->told[i].delay + beta * c->told[i].tau - low) / c->tool_rms);
        c->bin_sum[c->place[i]] += c->told[i].y;
        c->bin_count[c->place[i]]++;
    }
    for (int64_t i = 0; i < c->m; i++) {
        double n = c->bin_count[c->place[i]], r = c->told[i].y - c->bin_sum[c->place[i]] / n;
        c->each[i] = n > 1 ? r * r * n / (n - 1) : 0;
        used += n > 1;
        sum += c->each[i];
    }
    for (int64_t i = 0; i < c->m; i++) {
        c->bin_sum[c->place[i]] = c->bin_count[c->place[i]] = 0;
        c->each[i] /= used;
    }
    return sum / used;
}

// The lowest point of q, of means of three, and how far from it q has risen half-way.
static int lowest(const double *q, int *reach)
{
    double sorted[BETAS], least = INFINITY;
    int at = 1, from, to;
    for (int k = 0; k < BETAS; k++) sorted[k] = q[k];
    qsort(sorted, BETAS, sizeof *sorted, xn_double_compare);
    for (int k = 1; k + 1 < BETAS; k++) {
        double mean = (q[k - 1] + q[k] + q[k + 1]) / 3.0;
        if (!(mean < least)) continue;
        least = mean;
        at = k;
    }
    double half = 0.5 * (least + xn_quantile(sorted, BETAS, 0.75));
    for (from = at; from > 0 && q[from] < half;) from--;
    for (to = at; to + 1 < BETAS && q[to] < half;) to++;
    *reach = (int)fmax(LEAST_REACH, fmin(MOST_REACH, rint(0.5 * (to - from))));
    return at;
}

typedef struct parabola { // least squares: tilt u + bend u^2 about the middle of 2 reach + 1 points
    int middle, reach;
    double uu, u2, v2; // sum u^2, mean u^2, sum (u^2 - mean)^2
} parabola;

static parabola parabola_of(int middle, int reach)
{
    parabola p = {.middle = middle, .reach = reach};
    for (int k = -reach; k <= reach; k++) p.uu += pow(k * BETA_STEP, 2);
    p.u2 = p.uu / (2 * reach + 1);
    for (int k = -reach; k <= reach; k++) p.v2 += pow(pow(k * BETA_STEP, 2) - p.u2, 2);
    return p;
}

static double tilt_of(const parabola *p, int k) { return k * BETA_STEP / p->uu; }
static double bend_of(const parabola *p, int k) { return (pow(k * BETA_STEP, 2) - p->u2) / p->v2; }

// The errors of tilt and bend from what each shot adds to them.
static void find_errors(check *c, const parabola *p, double bend)
{
    double tilt2 = 0, bend2 = 0;
    for (int64_t i = 0; i < c->m; i++) c->tilt[i] = c->bend[i] = 0;
    for (int k = -p->reach; k <= p->reach; k++) {
        (void)unexplained(c, beta_at(p->middle + k));
        for (int64_t i = 0; i < c->m; i++) {
            c->tilt[i] += tilt_of(p, k) * c->each[i];
            c->bend[i] += bend_of(p, k) * c->each[i];
        }
    }
    for (int64_t i = 0; i < c->m; i++) {
        tilt2 += c->tilt[i] * c->tilt[i];
        bend2 += c->bend[i] * c->bend[i];
    }
    c->error = sqrt(tilt2) / (2 * bend);
    c->depth = bend / sqrt(bend2);
}

// beta, its error and how deep the minimum is, by points up to `reach` from it; false: there is none.
static bool find_minimum(check *c, const double *q, int middle, int reach)
{
    for (int round = 0;; round++) {
        double tilt = 0, bend = 0;
        if (middle - reach < 0 || middle + reach >= BETAS) return false;
        parabola p = parabola_of(middle, reach);
        for (int k = -reach; k <= reach; k++) {
            tilt += tilt_of(&p, k) * q[middle + k];
            bend += bend_of(&p, k) * q[middle + k];
        }
        double shift = -tilt / (2 * bend);
        if (!(bend > 0) || !(fabs(shift) < reach * BETA_STEP)) return false;
        int next = middle + (int)rint(shift / BETA_STEP);
        if (next == middle || round == MOST_REACH) {
            c->beta = beta_at(middle) + shift;
            find_errors(c, &p, bend);
            return c->depth > LEAST_DEPTH;
        }
        middle = next;
    }
}

// Far from the minimum, delays in steps may not overlap any more: nearer points decide where they suffice.
static bool scan(check *c)
{
    double q[BETAS];
    int reach;
    if (c->m < FEWEST_SHOTS || !alloc_bins(c)) return false;
    for (int k = 0; k < BETAS; k++) q[k] = unexplained(c, beta_at(k));
    int middle = lowest(q, &reach);
    if (!find_minimum(c, q, middle, reach)) return false;
    double beta = c->beta, error = c->error;
    if (reach > NEAR_REACH && find_minimum(c, q, middle, NEAR_REACH) && c->error < NEAR_ERROR) return true;
    c->beta = beta;
    c->error = error;
    return true;
}

static bool find_beta(check *c)
{
    int64_t low = c->n / 20, high = c->n - 1 - low; // of the middle nine tenths, where the shots are
    double spacing = (c->shot[high].delay - c->shot[low].delay) / (double)(high - low), squares = 0;
    if (!(spacing > 0)) return false;
    int64_t reach = (int64_t)fmax(10.0, fmin(2.0 * c->tool_rms / spacing, (double)c->n / 10.0));
    for (int64_t i = reach; i + reach < c->n; i++) squares += pow(around(c, i, reach).r, 2);
    double noise = sqrt(2.0 * squares / (double)(c->n - 2 * reach) / (double)reach);
    for (int all = 0; all < 2; all++) {
        mark(c, reach, all ? 0.0 : SLOPE_SIGMA * noise);
        choose(c);
        if (scan(c)) return true;
    }
    return false;
}

static xn_tool_verdict judge(xn_ctx *ctx, check *c)
{
    if (!prepare(c) || !find_beta(c)) return XN_TOOL_UNKNOWN;
    if (c->beta < -LEAST_SIGMA * c->error) {
        xn_warn(ctx,
                "where the signal changes, shots scatter against the time tool's correction (%.3f +- %.3f of it, 1 is "
                "right): input.delay.time_tool.sign may be reversed",
                c->beta, c->error);
        return XN_TOOL_REVERSED;
    }
    if (c->beta < 0.5 - LEAST_SIGMA * c->error) {
        xn_warn(
            ctx,
            "where the signal changes, the time tool explains %.3f +- %.3f of what it corrects (1 is right): it blurs "
            "the delay; check its coefficients_ps and the ids of its channel",
            c->beta, c->error);
        return XN_TOOL_BLURS;
    }
    if (c->beta < LEAST_SIGMA * c->error) return XN_TOOL_UNKNOWN;
    xn_note(ctx, "the time tool sharpens the signal: it explains %.3f +- %.3f of what it corrects (1 is right)",
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
