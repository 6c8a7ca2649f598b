// SPDX-License-Identifier: BSD-3-Clause
// plan.c -- see plan.h.
//
// Grid: a straight line through delay against bin number.  Whether the delays may be replaced by it depends on the
// trace: a timing error of rms j adds noise of 2 pi f A j, harmless below 0.2 sigma.  Where even A = sigma at the top
// of the band would break that, all traces use exact delays; else each is judged after its first fit (engine.c).
// Bounds: 0.1/T <= g <= 1/(3 dt), 1/T <= f <= 0.95 f_Nyquist, T = n dt.  Below them a mode is an offset or a slope,
// above them a spike of three samples.  A fit that started inside the widest band may end half a line above it.
// An exponential in the background has a rate of 0.3/T to 1/(3 dt) and stands beside a constant; its sums are explicit.
// Background columns are Legendre polynomials on the span of the delays, made orthonormal under the weights.
#include "fit/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/grid.h"

#define TWO_PI 6.28318530717958647693
#define HARMLESS 0.2      // of sigma
#define ALIKE 0.2         // relative spread of weights below which they are ignored
#define PADDING 1.15      // grid of the start: next power of two above this many times the trace
#define NEAR_GRID 0.1     // rms distance in steps: at Nyquist a third of a radian, no matter for a start
#define BEYOND 0.5        // lines 1/T above 0.95 of Nyquist where a fit may end: noise moves what lies just below
#define HIGHEST 3.1       // rad per step
#define WINDOW_PER_PS 0.2 // about the damping of a phonon; twice 1/T for shorter traces

static bool exponential(const xn_fit_setup *s) { return s->background == XANI_BACKGROUND_EXPONENTIAL; }
// Linear columns of the background, without that of an exponential
static int columns_of(const xn_fit_setup *s) { return exponential(s) ? 1 : s->background + 1; }
static double square(double x) { return x * x; }
static double weight_of(const xn_fit_setup *s, int i) { return s->weight == NULL ? 1.0 : s->weight[i]; }

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_step(const double *t, int n, double *work)
{
    for (int i = 0; i + 1 < n; i++) work[i] = t[i + 1] - t[i];
    qsort(work, (size_t)(n - 1), sizeof *work, compare);
    return work[(n - 1) / 2];
}

// Straight line through the delays of filled bins; returns the rms distance from it.
static double fit_grid(const xn_fit_setup *s, double *first, double *step)
{
    double n = 0, si = 0, st = 0, sii = 0, sit = 0, rest = 0;
    const double i0 = 0.5 * (s->n - 1), t0 = s->delay_ps[0];
    for (int i = 0; i < s->n; i++) {
        if (weight_of(s, i) <= 0.0) continue;
        double x = i - i0, t = s->delay_ps[i] - t0;
        n += 1.0, si += x, st += t, sii += x * x, sit += x * t;
    }
    *step = (n * sit - si * st) / (n * sii - si * si);
    double middle = (st - *step * si) / n;
    for (int i = 0; i < s->n; i++)
        if (weight_of(s, i) > 0.0) rest += square(s->delay_ps[i] - t0 - middle - *step * (i - i0));
    *first = t0 + middle - *step * i0;
    return sqrt(rest / n);
}

// Relative spread of the weights of filled bins; empty: their number.
static double weight_spread(const xn_fit_setup *s, int *filled)
{
    double n = 0, sum = 0, sum2 = 0;
    for (int i = 0; i < s->n; i++) {
        double w = weight_of(s, i);
        if (w > 0.0) n += 1.0, sum += w, sum2 += w * w;
    }
    *filled = (int)n;
    return n > 0.0 ? sqrt(fmax(0.0, sum2 / n - square(sum / n))) / (sum / n) : 0.0;
}

// Powers of nu of the Legendre polynomial P_b(2 nu stretch - 1).
static void legendre_powers(int b, double stretch, double *out)
{
    static const double p[XN_FIT_COLUMNS][XN_FIT_COLUMNS] = {
        {1}, {-1, 2}, {1, -6, 6}, {-1, 12, -30, 20}}; // shifted Legendre polynomials of u = nu stretch
    double f = 1.0;
    for (int q = 0; q < XN_FIT_COLUMNS; q++) {
        out[q] = p[b][q] * f;
        f *= stretch;
    }
}

static double polynomial(const double *c, double x) { return ((c[3] * x + c[2]) * x + c[1]) * x + c[0]; }

// Gram-Schmidt, twice, of the Legendre columns under the row weights.
static void make_columns(xn_fit_plan *p, double (*legendre)[XN_FIT_COLUMNS])
{
    const double last = p->length - 1.0, stretch = last > 0.0 ? p->length / last : 1.0;
    for (int b = 0; b < p->n_columns; b++) {
        double *u = p->column + (size_t)b * (size_t)p->n;
        memset(legendre[b], 0, sizeof legendre[b]);
        legendre[b][b] = 1.0;
        legendre_powers(b, stretch, p->monomial[b]);
        for (int i = 0; i < p->n; i++) u[i] = polynomial(p->monomial[b], p->time[i] / p->length);
        for (int pass = 0; pass < 2; pass++)
            for (int c = 0; c <= b; c++) { // the last: its own norm
                double *v = p->column + (size_t)c * (size_t)p->n, dot = 0.0;
                for (int i = 0; i < p->n; i++) dot += square(p->scale[i]) * u[i] * v[i];
                const double take = c < b ? dot : 0.0, times = c < b ? 1.0 : 1.0 / sqrt(dot);
                for (int i = 0; i < p->n; i++) u[i] = (u[i] - take * v[i]) * times;
                for (int q = 0; q < XN_FIT_COLUMNS; q++) {
                    legendre[b][q] = (legendre[b][q] - take * legendre[c][q]) * times;
                    p->monomial[b][q] = (p->monomial[b][q] - take * p->monomial[c][q]) * times;
                }
            }
    }
}

static void make_grid(const xn_fit_setup *s, const xn_fit_plans *all, xn_fit_plan *p)
{
    const double unit_ps = all->step_ps;
    const bool widest = all->band_thz[1] >= all->widest_thz[1];
    const double w_top = TWO_PI * all->band_thz[1] * unit_ps;
    p->w_lo = TWO_PI * all->band_thz[0] * unit_ps;
    p->w_hi = widest ? fmin(w_top + BEYOND * TWO_PI / p->length, HIGHEST) : w_top;
    p->g_lo = 0.1 / p->length;
    p->g_hi = 1.0 / 3.0;
    p->exponential = exponential(s);
    p->r_lo = 0.3 / p->length;
    p->r_hi = 1.0 / 3.0;
    p->window_rate = fmin(fmax(2.0 / p->length, WINDOW_PER_PS * unit_ps), p->g_hi);
    p->n_grid = 16;
    const bool finer = p->gridded && !p->uniform;
    p->grid_step = finer ? fmin(0.5 * TWO_PI / (XN_GRID_FINER * p->w_hi), 1.0) : 1.0;
    p->start_step = finer ? fmin(0.5 * TWO_PI / (XN_GRID_FINER_START * p->w_hi), 1.0) : 1.0;
    while (p->n_grid * p->start_step < PADDING * p->length) p->n_grid *= 2;
    const double line = TWO_PI / (p->n_grid * p->start_step), last = 0.5 * p->n_grid - 1.0;
    p->grid_lo = (int)fmax(1.0, ceil(p->w_lo / line));
    // the point above the top is nearest to a mode just below it
    p->grid_hi = (int)fmin(last, widest ? ceil(w_top / line) : floor(w_top / line));
    if (p->grid_hi < p->grid_lo) p->grid_lo = p->grid_hi = (int)fmax(1.0, fmin(last, rint(p->w_lo / line)));
    p->modes_max = s->modes_max;
    p->tolerance = s->tolerance > 0.0 ? s->tolerance : 1e-3;
    p->passes_max = 60;
    p->threshold = all->threshold;
}

// No two samples round to the same place.
static bool slots_differ(const xn_fit_plan *p)
{
    for (int i = 1; i < p->n; i++)
        if (lrint(p->time[i]) <= lrint(p->time[i - 1])) return false;
    return true;
}

// Moves the origin of time, so that all taps of the first sample have their points on the grid.
static void make_room(xn_fit_plan *p)
{
    const double shift = XN_GRID_MARGIN * p->grid_step, length = p->length + shift;
    for (int i = 0; i < p->n; i++) p->time[i] += shift;
    p->t_zero += shift;
    for (int b = 0; b < p->n_columns; b++) { // columns are polynomials of (t - shift)/length
        double m[XN_FIT_COLUMNS] = {0}, power[XN_FIT_COLUMNS] = {1.0};
        for (int q = 0; q < XN_FIT_COLUMNS; q++) {
            for (int i = 0; i <= q; i++) m[i] += p->monomial[b][q] * power[i];
            for (int i = XN_FIT_COLUMNS - 1; i >= 0; i--)
                power[i] = ((i > 0 ? power[i - 1] * length : 0.0) - power[i] * shift) / p->length;
        }
        memcpy(p->monomial[b], m, sizeof m);
    }
    p->length = length;
}

static xani_status make_plan(xn_ctx *ctx, const xn_fit_setup *s, xn_fit_plans *all, int kind)
{
    xn_fit_plan *p = &all->plan[kind];
    const size_t n = (size_t)s->n;
    p->n_columns = columns_of(s);
    p->gridded = kind == XN_PLAN_WEIGHTED || kind == XN_PLAN_UNEVEN;
    p->closed = kind == XN_PLAN_CLOSED || p->gridded;
    p->uniform = !xn_plan_exact(kind);
    p->time = xn_calloc(n, sizeof(double));
    p->scale = xn_calloc(n, sizeof(double));
    p->column = xn_calloc(n * XN_FIT_COLUMNS, sizeof(double));
    all->row[kind] = xn_calloc(n, sizeof(int));
    all->has[kind] = true;
    if (!p->time || !p->scale || !p->column || !all->row[kind])
        return xn_fail_memory(ctx, "the plan of the fit", n * (XN_FIT_COLUMNS + 3) * sizeof(double));
    const bool alike = all->has[XN_PLAN_CLOSED]; // a trace keeps its weights when it moves on from there
    const double first = p->uniform ? all->first_ps : s->delay_ps[0];
    for (int i = 0; i < s->n; i++) {
        const double w = weight_of(s, i);
        if (!p->uniform && w <= 0.0) continue;
        p->time[p->n] = p->uniform ? i : (s->delay_ps[i] - first) / all->step_ps;
        p->scale[p->n] = w <= 0.0 ? 0.0 : alike ? 1.0 : sqrt(w);
        all->row[kind][p->n++] = i;
    }
    if (!p->uniform && p->n > 0) { // time starts at the first filled bin
        const double origin = p->time[0];
        for (int i = 0; i < p->n; i++) p->time[i] -= origin;
        p->t_zero = -(first / all->step_ps + origin);
    } else {
        p->t_zero = -first / all->step_ps;
    }
    p->length = p->n > 0 ? p->time[p->n - 1] + 1.0 : 1.0;
    p->near_grid =
        p->uniform || p->gridded || (all->grid && all->jitter_ps < NEAR_GRID * all->step_ps && slots_differ(p));
    make_grid(s, all, p);
    make_columns(p, all->legendre[kind]);
    if (p->gridded && !p->uniform) make_room(p);
    return XANI_OK;
}

// Step, band and threshold, common to all plans.
static void common_settings(const xn_fit_setup *s, xn_fit_plans *all, int filled, double *work)
{
    all->jitter_ps = fit_grid(s, &all->first_ps, &all->step_ps);
    const double usual = median_step(s->delay_ps, s->n, work);
    // far from a line: its slope means nothing, the usual distance does
    all->grid = all->step_ps > 0.0 && all->jitter_ps < 0.3 * all->step_ps;
    if (!all->grid) all->step_ps = usual;
    all->per_ps = 1.0 / all->step_ps;
    all->thz = all->per_ps / TWO_PI;
    const double span = s->delay_ps[s->n - 1] - s->delay_ps[0] + all->step_ps;
    all->nyquist_thz = 0.5 / all->step_ps;
    all->widest_thz[0] = 1.0 / span;
    all->widest_thz[1] = 0.95 * all->nyquist_thz;
    const bool asked = s->band_thz[1] > 0.0;
    all->band_thz[0] = asked ? fmin(fmax(s->band_thz[0], all->widest_thz[0]), all->widest_thz[1]) : all->widest_thz[0];
    all->band_thz[1] = asked ? fmin(fmax(s->band_thz[1], all->band_thz[0]), all->widest_thz[1]) : all->widest_thz[1];
    const double lines = (all->band_thz[1] - all->band_thz[0]) * span;
    all->threshold =
        xn_fit_threshold(s->significance, lines, filled - columns_of(s) - (exponential(s) ? 2 : 0), &all->false_alarm);
}

xani_status xn_fit_plans_create(xn_ctx *ctx, const xn_fit_setup *s, xn_fit_plans *all)
{
    memset(all, 0, sizeof *all);
    all->weight = s->weight;
    int filled;
    const double spread = weight_spread(s, &filled);
    if (filled < 2) return xn_fail(ctx, XANI_ERR_INPUT, "only %d delays hold data: nothing can be fitted", filled);
    double *work = xn_alloc((size_t)s->n, sizeof *work);
    if (work == NULL) return xn_fail_memory(ctx, "the delays", (size_t)s->n * sizeof *work);
    common_settings(s, all, filled, work);
    xn_free(work);
    if (!(all->step_ps > 0.0)) return xn_fail(ctx, XANI_ERR_INPUT, "delays do not increase: nothing can be fitted");
    const bool same = all->grid && TWO_PI * all->band_thz[1] * all->jitter_ps < HARMLESS;
    const bool exact = !same || all->jitter_ps > 1e-9 * all->step_ps;
    const bool sums = exponential(s), closed = same && filled == s->n && spread < ALIKE && !sums;
    xani_status st = XANI_OK;
    if (closed) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_CLOSED));
    if (same && !closed && !sums) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_WEIGHTED));
    if (same) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_EXPLICIT));
    if (exact && !sums) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_UNEVEN));
    if (exact) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_EXACT));
    for (int i = 0; i < XN_PLANS; i++)
        if (all->has[i] && all->plan[i].gridded && !xn_grid_worth(&all->plan[i])) all->has[i] = false;
    while (!all->has[all->first]) all->first++;
out:
    if (st != XANI_OK) xn_fit_plans_free(all);
    return st;
}

void xn_fit_plans_free(xn_fit_plans *all)
{
    for (int i = 0; i < XN_PLANS; i++) {
        xn_free(all->plan[i].time);
        xn_free(all->plan[i].scale);
        xn_free(all->plan[i].column);
        xn_free(all->row[i]);
    }
    memset(all, 0, sizeof *all);
}
