// SPDX-License-Identifier: BSD-3-Clause
// sign.c -- does the signal lie on the right side of delay zero?
//
// The sign of the delay differs between facilities and is configured, never inferred (science.md 3); but before the
// pump nothing can happen, so a signal at t < 0 with none at t > 0 is worth a warning (science.md S4).  Two kinds:
//
// It moves before zero and not after.  A constant offset of laser-on against laser-off is no sign of dynamics, so each
// side is taken about its own mean.
// With errors: chi^2 per bin averaged over the groups, each term limited to 25 so that single bad groups do not
// decide.  An error estimated from n shots makes the expectation (n-1)/(n-3), divided out.  It warns when the excess
// over 1 before zero is above 5 %, above 5 standard deviations of the scatter between the bins after zero (which holds
// noise common to all groups too), and five times the excess after zero.
// Without errors: the median over the groups of variance before / variance after is above 4, and the values after zero
// are as rough as noise: variance over half the mean squared step (von Neumann) is 1 for noise, larger for anything
// smooth; its median must be below 2.
// Jitter lets a step at zero begin before it, and a wrong zero more so.  So what is near zero is the same on either
// side: sums are compared, not means, where the side after has more bins.  And where the levels of the farther halves
// of the two sides differ by more than the signal moves before zero, its nearer half may hold such an edge: the farther
// one decides.
//
// It is level in the farther halves of both sides, a step.  The side where nothing happened is the one whose level is
// an offset common to all groups: where the groups differ, the side on which they agree three times better; where they
// step alike, the side whose level is three times nearer to 0.  (A uniform step that cancels an offset cannot be told
// from one reversed.)
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
#define LEAST_LEVEL_RATIO 3.0
#define LARGEST_LEVEL 100.0 // in its errors
#define ALIKE 0.3           // of the step: groups differ by less
#define LEAST_VARIANCE 1e-12
#define MOST_GROUPS 4096 // evenly spread: enough for the averages, and the cube is not walked as a whole

typedef struct level {              // of one group: of the farther halves before and after zero
    double before, after, variance; // of their difference
} level;

typedef struct sides {
    const xn_cube *c;
    int64_t stride;
    int n[2];        // bins before and after
    signed char *at; // (bins) -1, 1: before or after zero; -2, 2: in the farther half of them; 0: not used
    double *room;    // (bins) or 3 (groups)
    level *level;    // (groups that are used)
    int64_t levels;
} sides;

static int64_t stride_of(const xn_cube *c) { return xn_max64(1, c->ny * c->nx / MOST_GROUPS); }

// -1 or +1: side of zero of a bin that can be used, 0 none.
static int side_of(const xn_cube *c, int b)
{
    double guard = isfinite(c->time_resolution_ps) ? 3.0 * c->time_resolution_ps : 0.0;
    double shots = c->on.shots != NULL ? (double)c->on.shots[b] : INFINITY;
    if (!(c->weight[b] > 0) || (c->errors_counting && shots < FEWEST_SHOTS)) return 0;
    return c->delay_ps[b] < -guard ? -1 : c->delay_ps[b] > guard ? 1 : 0;
}

static void find_sides(sides *s)
{
    const xn_cube *c = s->c;
    int n[2] = {0, 0};
    for (int b = 0; b < c->nbins; b++) {
        s->at[b] = (signed char)side_of(c, b);
        if (s->at[b] != 0) s->n[s->at[b] > 0]++;
    }
    for (int k = 0; k < c->nbins; k++) // from the middle outwards on each side: bins are in the order of delay
        for (int side = -1; side <= 1; side += 2) {
            int b = side > 0 ? k : c->nbins - 1 - k;
            if (s->at[b] == side && ++n[side > 0] > s->n[side > 0] / 2) s->at[b] = (signed char)(2 * side);
        }
}

// part: -1 or 1 a side, -2 or 2 its farther half.
static bool in(const sides *s, int b, int part) { return s->at[b] == part || s->at[b] == 2 * part; }

static bool known(const xn_cube *c, int64_t i)
{
    return isfinite(c->signal[i]) && (!c->errors_counting || c->errors[i] > 0);
}

static double weight_of(const xn_cube *c, int64_t i)
{
    return c->errors_counting ? 1.0 / ((double)c->errors[i] * c->errors[i]) : 1.0;
}

typedef struct mean { // of one group over a part
    double value, weight, n;
    double variance; // of the values
} mean;

static mean mean_of(const sides *s, int64_t p, int part)
{
    const xn_cube *c = s->c;
    int64_t npix = c->ny * c->nx;
    mean m = {0};
    for (int b = 0; b < c->nbins; b++) {
        if (!in(s, b, part) || !known(c, b * npix + p)) continue;
        double w = weight_of(c, b * npix + p);
        m.value += w * c->signal[b * npix + p];
        m.weight += w;
        m.n++;
    }
    m.value /= m.weight;
    for (int b = 0; b < c->nbins; b++)
        if (in(s, b, part) && known(c, b * npix + p)) m.variance += pow(c->signal[b * npix + p] - m.value, 2);
    m.variance /= m.n - 1.0;
    return m;
}

static double variance_of(const xn_cube *c, const mean *m)
{
    return c->errors_counting ? 1.0 / m->weight : m->variance / m->n;
}

static void find_levels(sides *s)
{
    const xn_cube *c = s->c;
    s->levels = 0;
    for (int64_t p = 0; p < c->ny * c->nx; p += s->stride) {
        if (c->mask[p] != 0) continue;
        mean before = mean_of(s, p, -2), after = mean_of(s, p, 2);
        double variance = variance_of(c, &before) + variance_of(c, &after);
        if (isfinite(variance))
            s->level[s->levels++] = (level){before.value, after.value, fmax(variance, LEAST_VARIANCE)};
    }
}

// ---- a step

static double mean_level(const sides *s, bool after)
{
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < s->levels; i++) {
        const level *l = &s->level[i];
        sum += (after ? l->after : l->before) / l->variance;
        weight += 1.0 / l->variance;
    }
    return sum / weight;
}

static double in_errors(double value, const level *l) { return fmin(fabs(value) / sqrt(l->variance), LARGEST_LEVEL); }

static bool reversed_step(const sides *s)
{
    double step = 0, about_zero[2] = {0, 0}, spread[2] = {0, 0},
           common[2] = {mean_level(s, false), mean_level(s, true)};
    for (int64_t i = 0; i < s->levels; i++) {
        double value[2] = {s->level[i].before, s->level[i].after};
        step += in_errors(value[1] - value[0], &s->level[i]) / (double)s->levels;
        for (int k = 0; k < 2; k++) {
            about_zero[k] += in_errors(value[k], &s->level[i]) / (double)s->levels;
            spread[k] += in_errors(value[k] - common[k], &s->level[i]) / (double)s->levels;
        }
    }
    const double *decides = fmax(spread[0], spread[1]) > ALIKE * step ? spread : about_zero;
    return step > LEAST_SIGMA && decides[0] > LEAST_LEVEL_RATIO * fmax(decides[1], 1.0);
}

// ---- with errors

typedef struct excess { // of chi^2 over 1 in the bins of a part
    double mean, scatter, n;
} excess;

// chi^2 of each bin, averaged over the groups; 1 for noise.
static excess excess_of(const sides *s, int part)
{
    const xn_cube *c = s->c;
    int64_t npix = c->ny * c->nx, used = 0;
    double *chi2 = s->room;
    excess e = {0};
    for (int b = 0; b < c->nbins; b++) chi2[b] = 0;
    for (int64_t p = 0; p < npix; p += s->stride) {
        if (c->mask[p] != 0) continue;
        mean m = mean_of(s, p, part);
        used++;
        for (int b = 0; b < c->nbins; b++) {
            if (!in(s, b, part) || !known(c, b * npix + p)) continue;
            double w = weight_of(c, b * npix + p), y = c->signal[b * npix + p] - m.value;
            double share = w / m.weight; // taken up by the mean
            chi2[b] += fmin(y * y * w / fmax(1.0 - share, 1e-3), LARGEST_TERM);
        }
    }
    for (int b = 0; b < c->nbins; b++) {
        if (!in(s, b, part)) continue;
        double n = c->on.shots != NULL ? (double)c->on.shots[b] : INFINITY;
        chi2[b] *= (isfinite(n) ? (n - 3.0) / (n - 1.0) : 1.0) / (double)xn_max64(used, 1);
        e.mean += chi2[b];
        e.n++;
    }
    e.mean = e.mean / e.n - 1.0;
    for (int b = 0; b < c->nbins; b++)
        if (in(s, b, part)) e.scatter += pow(chi2[b] - 1.0 - e.mean, 2) / (e.n - 1.0);
    return e;
}

// The step between the levels as a chi^2 of a bin is meant.
static double step_of_bins(const sides *s)
{
    double sum = 0, bins = s->n[0] * s->n[1] / (2.0 * (s->n[0] + s->n[1])); // as many make up the error of the step
    for (int64_t i = 0; i < s->levels; i++)
        sum += fmin(pow(s->level[i].after - s->level[i].before, 2) / (s->level[i].variance * bins), LARGEST_TERM);
    return sum / (double)xn_max64(s->levels, 1);
}

static double many_after(const sides *s) { return fmax(1.0, (double)s->n[1] / s->n[0]); }

static bool reversed_with_errors(const sides *s)
{
    excess before = excess_of(s, -1), after = excess_of(s, 1);
    double step = step_of_bins(s);
    if (reversed_step(s) && excess_of(s, 2).mean < step / LEAST_RATIO) return true;
    if (before.mean < step) before = excess_of(s, -2);
    double noise = sqrt(after.scatter * (1.0 / before.n + 1.0 / after.n));
    return before.mean > LEAST_EXCESS && before.mean > LEAST_SIGMA * noise &&
           before.mean > LEAST_RATIO * after.mean * many_after(s);
}

// ---- without errors

// Variance over half the mean squared step.
static double smoothness_of(const sides *s, int64_t p, int part)
{
    const xn_cube *c = s->c;
    int64_t npix = c->ny * c->nx;
    mean m = mean_of(s, p, part);
    double steps = 0, last = NAN;
    for (int b = 0; b < c->nbins; b++) {
        double y = c->signal[b * npix + p];
        if (!in(s, b, part) || !isfinite(y)) continue;
        if (!isnan(last)) steps += (y - last) * (y - last);
        last = y;
    }
    return steps > 0 ? 2.0 * (m.n - 1.0) * m.variance / steps : 1.0;
}

static double median(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    return v[n / 2];
}

static bool reversed_without_errors(const sides *s)
{
    const xn_cube *c = s->c;
    int64_t npix = c->ny * c->nx, n = 0, used = 0;
    double *ratio = s->room, *smoothness = ratio + npix, *moves = smoothness + npix;
    for (int64_t p = 0; p < npix; p += s->stride) {
        if (c->mask[p] != 0) continue;
        mean before = mean_of(s, p, -1), after = mean_of(s, p, 1), far[2] = {mean_of(s, p, -2), mean_of(s, p, 2)};
        double step = pow(far[1].value - far[0].value, 2);
        moves[used++] = step > 0 ? far[1].variance / step : INFINITY;
        if (before.variance < step) before = far[0];
        smoothness[n] = smoothness_of(s, p, 1);
        if (before.variance > 0 || after.variance > 0)
            ratio[n++] = after.variance > 0 ? before.variance / after.variance : INFINITY;
    }
    if (used > 0 && median(moves, used) < 1.0 / LEAST_RATIO && reversed_step(s)) return true;
    return n > 0 && median(ratio, n) > LEAST_VARIANCE_RATIO * many_after(s) &&
           median(smoothness, n) < LARGEST_SMOOTHNESS;
}

bool xn_sign_check(xn_ctx *ctx, const xn_cube *c)
{
    size_t groups = (size_t)(c->ny * c->nx);
    sides s = {.c = c,
               .stride = stride_of(c),
               .at = xn_alloc((size_t)c->nbins, sizeof *s.at),
               .room = xn_alloc(3 * groups + (size_t)c->nbins, sizeof *s.room),
               .level = xn_alloc(groups, sizeof *s.level)};
    bool reversed = false;
    if (s.at != NULL && s.room != NULL && s.level != NULL) { // a check only: the result does not depend on it
        find_sides(&s);
        if (s.n[0] >= FEWEST_BINS && s.n[1] >= FEWEST_BINS) {
            find_levels(&s);
            reversed = c->errors_counting ? reversed_with_errors(&s) : reversed_without_errors(&s);
        }
    }
    xn_free(s.at);
    xn_free(s.room);
    xn_free(s.level);
    if (reversed)
        xn_warn(ctx,
                "there is signal at negative delays and none at positive ones: input.delay.sign may be reversed, or "
                "input.delay.zero_ps wrong");
    return reversed;
}
