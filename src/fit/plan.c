// SPDX-License-Identifier: BSD-3-Clause
// plan.c -- see plan.h.
//
// Grid: a straight line through delay against bin number.  Whether the delays may be replaced by it depends on the
// trace: a timing error of rms j adds noise of 2 pi f A j, harmless below 0.2 sigma.  Where even A = sigma at the top
// of the band would break that, all traces use exact delays; else each is judged after its first fit (engine.c).
// Step: the line's, or what window.c makes of delays far from a line.
// Bounds: 0.1/T <= g <= 1/(3 dt), 1/T <= f <= 0.95 f_Nyquist, T = n dt.  Below them a mode is an offset or a slope,
// above them a spike of three samples.  A fit that started inside the widest band may end half a line above it.
// An exponential in the background has a rate of 0.3/T to 1/(3 dt) and stands beside a constant; its sums are explicit.
// A response of rms s takes exp(-(2 pi f s)^2/2) of a mode: the band ends where a thousandth is left, 2 pi f s = 3.72,
// and damping at g s = 1.  T is then counted from time zero, lines and bounds with it.
#include "fit/plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fit/window.h"
#include "kernel/grid.h"

#define TWO_PI 6.28318530717958647693
#define HARMLESS 0.2      // of sigma
#define ALIKE 0.2         // relative spread of weights below which they are ignored
#define PADDING 1.15      // grid of the start: next power of two above this many times the trace
#define NEAR_GRID 0.1     // rms distance in steps: at Nyquist a third of a radian, no matter for a start
#define BEYOND 0.5        // lines 1/T above 0.95 of Nyquist where a fit may end: noise moves what lies just below
#define HIGHEST 3.1       // rad per step
#define LONGEST (1 << 21) // steps
#define LET_THROUGH 3.7169221888498384 // sqrt(2 ln 1000)
#define SWITCHED 3.0 // rms after time zero: with no earlier delay the background counts as on all the time
#define LATE_LEAST 8 // delays for a start

static bool exponential(const xn_fit_setup *s) { return s->background == XANI_BACKGROUND_EXPONENTIAL; }
static double square(double x) { return x * x; }
static double weight_of(const xn_fit_setup *s, int i) { return s->weight == NULL ? 1.0 : s->weight[i]; }

// The first filled delay, from time zero
static double begin_of(const xn_fit_setup *s)
{
    int first = 0;
    while (first + 1 < s->n && weight_of(s, first) <= 0.0) first++;
    return s->delay_ps[first] - s->time_zero_ps;
}

bool xn_fit_level_before(const xn_fit_setup *s)
{
    const bool room = s->background >= 0 && s->background != XN_FIT_COLUMNS - 1;
    return s->response_ps > 0.0 && s->n > 0 && room && begin_of(s) < SWITCHED * s->response_ps;
}

// Linear columns of the background, without that of an exponential
static int columns_of(const xn_fit_setup *s)
{
    return (exponential(s) ? 1 : s->background + 1) + xn_fit_level_before(s);
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

static void make_grid(const xn_fit_setup *s, const xn_fit_plans *all, xn_fit_plan *p)
{
    const double unit_ps = all->step_ps, seen = p->length - (p->n_near > 0 ? fmax(p->t_zero, 0.0) : 0.0);
    const bool widest = all->band_thz[1] >= all->widest_thz[1];
    const double w_top = TWO_PI * all->band_thz[1] * unit_ps;
    p->w_lo = TWO_PI * all->band_thz[0] * unit_ps;
    p->w_hi = widest ? fmin(w_top + BEYOND * TWO_PI / seen, HIGHEST) : w_top;
    p->g_lo = 0.0;
    p->g_hi = p->response > 0.0 ? fmin(XN_FIT_DAMPING_MOST, 1.0 / p->response) : XN_FIT_DAMPING_MOST;
    p->exponential = exponential(s);
    p->r_lo = 0.3 / seen;
    p->r_hi = p->g_hi;
    p->window_rate = fmin(fmax(2.0 / seen, XN_WINDOW_PER_PS * unit_ps), p->g_hi);
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
    p->freedom = s->significance > 0.0 ? 0.0 : all->freedom;
    p->filled = all->filled;
    p->lobe = all->lobe_thz / all->thz;
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
    p->t_zero += s->time_zero_ps / all->step_ps;
    p->response = all->response_ps / all->step_ps;
    while (all->near && p->n_near < p->n && p->time[p->n_near] - p->t_zero < XN_RESPONSE_SPAN * p->response)
        p->n_near++;
    p->length = p->n > 0 ? p->time[p->n - 1] + 1.0 : 1.0;
    p->near_grid =
        p->uniform || p->gridded || (all->grid && all->jitter_ps < NEAR_GRID * all->step_ps && slots_differ(p));
    make_grid(s, all, p);
    xn_fit_background(p, all->level_before, all->legendre[kind]);
    if (p->gridded && !p->uniform) make_room(p);
    return XANI_OK;
}

// From where on delays show modes
static double shown_from(const xn_fit_setup *s, const xn_fit_plans *all)
{
    return all->near ? fmax(s->delay_ps[0], s->time_zero_ps) : s->delay_ps[0];
}

// Step, band and threshold, common to all plans.
static xani_status common_settings(xn_ctx *ctx, const xn_fit_setup *s, xn_fit_plans *all, int filled)
{
    const double begin = shown_from(s, all);
    all->jitter_ps = fit_grid(s, &all->first_ps, &all->step_ps);
    all->grid = all->step_ps > 0.0 && all->jitter_ps < 0.3 * all->step_ps;
    // far from a line its slope means nothing
    if (!all->grid) XN_TRY(xn_fit_window_step(ctx, s, begin, &all->step_ps));
    all->per_ps = 1.0 / all->step_ps;
    all->thz = all->per_ps / TWO_PI;
    const double span = fmax(s->delay_ps[s->n - 1] - begin, 0.0) + all->step_ps;
    all->nyquist_thz = 0.5 / all->step_ps;
    all->widest_thz[0] = 1.0 / span;
    all->widest_thz[1] = 0.95 * all->nyquist_thz;
    if (s->response_ps > 0.0) all->widest_thz[1] = fmin(all->widest_thz[1], LET_THROUGH / (TWO_PI * s->response_ps));
    const bool asked = s->band_thz[1] > 0.0;
    all->band_thz[0] = asked ? fmin(fmax(s->band_thz[0], all->widest_thz[0]), all->widest_thz[1]) : all->widest_thz[0];
    all->band_thz[1] = asked ? fmin(fmax(s->band_thz[1], all->band_thz[0]), all->widest_thz[1]) : all->widest_thz[1];
    // A band within one line is still a search there, and at the widest end fits go on beyond it.
    const double least = all->band_thz[1] >= all->widest_thz[1] ? 1.0 + BEYOND : 1.0;
    const double lines = fmax((all->band_thz[1] - all->band_thz[0]) * span, least);
    const double samples = filled - columns_of(s) - (exponential(s) ? 2 : 0);
    all->filled = filled;
    all->freedom = XN_FIT_FREEDOM(samples);
    const int tests = s->tests > 1 ? s->tests : 1;
    all->threshold = xn_fit_threshold(s->significance, lines, samples, tests, &all->false_alarm);
    all->test_alarm = all->false_alarm / tests;
    return XANI_OK;
}

// How the response meets the delays.
static void place_response(const xn_fit_setup *s, xn_fit_plans *all)
{
    const double begin = begin_of(s);
    all->response_ps = s->response_ps;
    all->time_zero_ps = s->time_zero_ps;
    all->near = s->response_ps > 0.0 && begin < XN_RESPONSE_SPAN * s->response_ps;
    if (!all->near) return;
    while (all->late < s->n && s->delay_ps[all->late] - s->time_zero_ps < XN_RESPONSE_RISEN * s->response_ps)
        all->late++;
    all->level_before = xn_fit_level_before(s);
}

bool xn_fit_band_fine(const xn_fit_setup *s, const xn_fit_plans *all, char *why, size_t room)
{
    const double *asked = s->band_thz, *can = all->widest_thz;
    if (!(asked[1] > 0.0) || (asked[0] < can[1] && asked[1] > can[0])) return true;
    (void)snprintf(why, room, "[%g, %g] THz lies outside of what the delays can show, %.4g to %.4g THz", asked[0],
                   asked[1], can[0], can[1]);
    return false;
}

bool xn_fit_response_fine(const xn_fit_setup *s, const xn_fit_plans *all, char *why, size_t room)
{
    int late = 0;
    if (s->response_ps == 0.0) return true;
    for (int i = all->late; i < s->n; i++) late += weight_of(s, i) > 0.0;
    if (late < LATE_LEAST)
        (void)snprintf(why, room, "only %d delays lie later than time zero and twice its rms of %.4g ps", late,
                       s->response_ps);
    else if (all->widest_thz[1] <= all->widest_thz[0])
        (void)snprintf(why, room, "lets nothing above %.4g THz through; the delays need at least %.4g THz",
                       all->widest_thz[1], all->widest_thz[0]);
    else if (s->background == 3 && begin_of(s) < SWITCHED * s->response_ps)
        (void)snprintf(
            why, room,
            "background of degree 3 leaves no room for a level before time zero: at most 2, or later delays");
    else
        return true;
    return false;
}

// The grid of the start has a place for every step, and each thread has one for many traces.
static xani_status check_length(xn_ctx *ctx, const xn_fit_setup *s, const xn_fit_plans *all)
{
    const double span = s->delay_ps[s->n - 1] - s->delay_ps[0];
    const double most = fmin(fmax(1 << 17, 64.0 * s->n), LONGEST);
    if (span / all->step_ps <= most) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT,
                   "delays of %.4g to %.4g ps, but mostly %.4g ps apart: more than %.0f steps; leave out those that "
                   "lie far away (fit.delay_ps)",
                   s->delay_ps[0], s->delay_ps[s->n - 1], all->step_ps, most);
}

xani_status xn_fit_plans_create(xn_ctx *ctx, const xn_fit_setup *s, xn_fit_plans *all)
{
    memset(all, 0, sizeof *all);
    all->weight = s->weight;
    int filled;
    const double spread = weight_spread(s, &filled);
    if (filled < 2) return xn_fail(ctx, XANI_ERR_INPUT, "only %d delays hold data: nothing can be fitted", filled);
    place_response(s, all);
    XN_TRY(common_settings(ctx, s, all, filled));
    if (!(all->step_ps > 0.0)) return xn_fail(ctx, XANI_ERR_INPUT, "delays do not increase: nothing can be fitted");
    XN_TRY(check_length(ctx, s, all));
    const bool same = all->grid && TWO_PI * all->band_thz[1] * all->jitter_ps < HARMLESS;
    const bool exact = !same || all->jitter_ps > 1e-9 * all->step_ps;
    const bool sums = exponential(s) || all->near, closed = same && filled == s->n && spread < ALIKE && !sums;
    xani_status st = XANI_OK;
    if (!closed)
        XN_TRY(xn_fit_window_lobe(ctx, s, shown_from(s, all), all->band_thz[1] - all->band_thz[0], &all->lobe_thz));
    if (closed) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_CLOSED));
    if (same && !closed && !sums) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_WEIGHTED));
    if (same && !(all->near && exact)) XN_GOTO(out, st, make_plan(ctx, s, all, XN_PLAN_EXPLICIT));
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
