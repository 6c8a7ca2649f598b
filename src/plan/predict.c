// SPDX-License-Identifier: BSD-3-Clause
// predict.c -- significance of every branch in every pixel group looked at, for each grouping of the pixels.
//
// A shot of relative intensity W (mean 1, variance v) gives a group of G pixels Poisson counts of mean mu W (1 + y),
// detector noise, and a monitor reading with relative error m.  The reduction sums I - R I0 over the shots of a bin, so
// the variance of one shot, relative to mu, is
//   (1 + o)/mu + G n^2/mu^2 + (1 + v) (1 + o)^2 m^2 + (1 + v) sum_k A_k^2/2 <exp(-2 g t)> (1 - L_k^2)
// counting, detector, monitor, and the signal's own spread over the delays of a bin, of which L is left in the mean
// (the variance of a cosine of random phase less that of its mean).  o = -sum_k A_k is what the pumped crystal scatters
// more on average: y begins at 0, so a sudden change leaves an offset opposite to its lines (science.md 13.3).  The fit
// gives all samples of a group one such variance, its mean.  The error of the laser-off reference is common to all bins
// and goes into the background's constant (science.md 4).
//
// The last two are the same noise in all pixels.  rho as found has unit noise (Kay 1993), of which the root of their
// share of the variance moves all groups together.
//
// Lines nearer than half the resolution max(1/T, g/pi) are seen as one, by the stronger branch.  At most fit.modes_max
// lines of a group count, and only those that the fit would report: inside its band, sigma_f < 0.3 THz and < f/4.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fit/plan.h"
#include "plan/plan.h"

#define FAINT 0.3     // rho below which a line is no company for another
#define NEVER 1e300   // a number, so that groups that will not see a mode count in medians
#define ANY_SHOTS 1e6 // where the number of shots is not known

static double monitor_variance(const xn_plan *p, double offset)
{
    double i0 = xn_plan_v(p, XN_PLAN_I0), m = (1.0 + offset) * xn_plan_v(p, XN_PLAN_MONITOR);
    return (1.0 + i0 * i0) * m * m;
}

double xn_plan_shot_variance(const xn_plan *p, double mu, int pixels, double offset)
{
    double noise = xn_plan_v(p, XN_PLAN_NOISE);
    return (1.0 + offset) / mu + pixels * noise * noise / (mu * mu) + monitor_variance(p, offset);
}

double xn_plan_left(const xn_plan *p, double f)
{
    return xn_plan_clock(f, xn_plan_v(p, XN_PLAN_TIMING)) * xn_plan_box(f, p->trace.width_ps);
}

// Share of the shots that lie in the samples.
static double covered(const xn_plan_trace *t)
{
    double sum = 0.0;
    for (int i = 0; i < t->n; i++) sum += t->share[i];
    return sum;
}

// Mean of exp(-2 g t) over the samples.
static double decay_mean(const xn_plan_trace *t, double g)
{
    double sum = 0.0, all = 0.0;
    for (int i = 0; i < t->n; i++) {
        all += t->share[i];
        sum += t->share[i] * (t->t_ps[i] >= 0.0 ? exp(-2.0 * g * t->t_ps[i]) : 0.0);
    }
    return sum / all;
}

// ---- lines of a group as the fit sees them

typedef struct {
    xn_plan_line line;
    int branch;
    double rho; // amplitude that timing and bins leave, by which lines are compared
} seen_line;

static int by_frequency(const void *a, const void *b)
{
    double x = ((const seen_line *)a)->line.f_thz, y = ((const seen_line *)b)->line.f_thz;
    return (x > y) - (x < y);
}

static int by_strength(const void *a, const void *b)
{
    double x = ((const seen_line *)a)->rho, y = ((const seen_line *)b)->rho;
    return (x < y) - (x > y);
}

// Branches from ... end - 1 to lines, unresolved ones joined; strongest first.
static int lines_of(const xn_plan *p, const xn_plan_group *g, const xn_plan_sight *s, int from, int end, int n,
                    seen_line *out)
{
    int count = 0;
    double span = p->trace.end_ps - p->trace.begin_ps;
    for (int b = from; b < end; b++) {
        double a = s[b].amplitude * g->dilution * p->amplitude_scale;
        if (!(s[b].f_thz > 0.0) || !isfinite(a) || a == 0.0) continue;
        out[count++] =
            (seen_line){{s[b].f_thz, a, 0.0, p->damping_per_ps[b], {n * s[b].slope_thz[0], n * s[b].slope_thz[1]}},
                        b,
                        fabs(a * xn_plan_left(p, s[b].f_thz))};
    }
    qsort(out, (size_t)count, sizeof *out, by_frequency);
    int kept = 0;
    for (int i = 0; i < count; i++) {
        double width = 0.5 * fmax(1.0 / span, out[i].line.damping_per_ps / M_PI);
        if (kept == 0 || out[i].line.f_thz - out[kept - 1].line.f_thz > width) {
            out[kept++] = out[i];
            continue;
        }
        seen_line *last = &out[kept - 1];
        double sum = last->line.amplitude + out[i].line.amplitude;
        if (out[i].rho > last->rho) *last = out[i];
        last->line.amplitude = sum;
        last->rho = fabs(sum * xn_plan_left(p, last->line.f_thz));
    }
    qsort(out, (size_t)kept, sizeof *out, by_strength);
    return kept;
}

// What the sudden change leaves, -1 at least; of modes as given it is not known, 0.
static double offset_of(const xn_plan *p, const seen_line *l, int n)
{
    double sum = 0.0;
    for (int k = 0; k < n && p->has_crystal; k++) sum -= l[k].line.amplitude;
    return fmax(sum, -1.0);
}

static double variance_of_signal(const xn_plan *p, const seen_line *l, int n)
{
    double sum = 0.0, i0 = xn_plan_v(p, XN_PLAN_I0);
    for (int k = 0; k < n; k++) {
        double left = xn_plan_left(p, l[k].line.f_thz), a = l[k].line.amplitude;
        sum += 0.5 * a * a * decay_mean(&p->trace, l[k].line.damping_per_ps) * (1.0 - left * left);
    }
    return (1.0 + i0 * i0) * sum;
}

// What the spread of frequencies over a group leaves of a line's energy, as an amplitude.
static double spread_of(const xn_plan_trace *t, const xn_plan_line *l)
{
    double with = 0.0, without = 0.0;
    for (int i = 0; i < t->n; i++) {
        double x = t->t_ps[i];
        if (x < 0.0) continue;
        double e = t->share[i] * exp(-2.0 * l->damping_per_ps * x), a = xn_plan_box(l->across_thz[0], x),
               b = xn_plan_box(l->across_thz[1], x);
        with += e * a * a * b * b;
        without += e;
    }
    return without > 0.0 ? sqrt(with / without) : NAN;
}

typedef struct {
    const xn_plan *p;
    const xn_plan_group *g;
    const xn_plan_sight *s;
    int n; // pixels along the edge
    double on, least, *work, *spread;
    xn_plan_odds *odds;
} request;

static void odds_of(const request *r, int from, int end)
{
    const xn_plan *p = r->p;
    seen_line l[XN_PLAN_BRANCHES];
    int count = lines_of(p, r->g, r->s, from, end, r->n, l), company = 0;
    int most = (int)xn_min64(xn_config_int(p->config, "fit.modes_max"), XN_PLAN_TOGETHER);
    double mu = r->g->photons * r->n * r->n, offset = offset_of(p, l, count), spread = variance_of_signal(p, l, count);
    double variance = p->noise_scale * xn_plan_shot_variance(p, mu, r->n * r->n, offset) + spread;
    double common = (p->noise_scale * monitor_variance(p, offset) + spread) / variance;
    double scale = sqrt(r->on / variance), alone[XN_PLAN_TOGETHER]; // rho, roughly
    xn_plan_line line[XN_PLAN_TOGETHER];
    int branch[XN_PLAN_TOGETHER];
    for (int i = 0; i < count && company < most; i++) {
        double decay = decay_mean(&p->trace, l[i].line.damping_per_ps);
        double rho = l[i].rho * scale * sqrt(0.5 * decay * covered(&p->trace));
        if (company > 0 && rho < FAINT) continue;
        alone[company] = rho;
        branch[company] = l[i].branch;
        line[company++] = l[i].line;
    }
    for (int i = 0; i < company; i++) {
        if (alone[i] < r->least) continue;
        xn_plan_odds o = xn_plan_line_odds(&p->trace, line, company, i, r->work);
        r->odds[branch[i]] = (xn_plan_odds){o.rho * scale, o.amplitude_snr * scale, o.sigma_f_thz / scale, common};
        r->spread[branch[i]] = spread_of(&p->trace, &line[i]);
    }
}

void xn_plan_group_odds(const xn_plan *p, const xn_plan_group *g, const xn_plan_sight *s, int n, double on,
                        double least, double *work, xn_plan_odds *odds, double *clock, double *spread)
{
    const request r = {p, g, s, n, on, least, work, spread, odds};
    bool known = isfinite(g->photons);
    for (int b = 0; b < p->branches; b++) {
        odds[b] = known ? (xn_plan_odds){0.0, 0.0, INFINITY, NAN} : (xn_plan_odds){NAN, NAN, NAN, NAN};
        clock[b] = xn_plan_left(p, s[b].f_thz);
        spread[b] = NAN;
    }
    if (!known || !(g->photons > 0.0)) return;
    if (p->has_crystal) odds_of(&r, 0, p->branches);
    for (int b = 0; !p->has_crystal && b < p->branches; b++) odds_of(&r, b, b + 1); // one or the other is there
}

// Whether the fit would report such a mode, however many shots there are.
static bool reported(const xn_plan *p, double f, double damping)
{
    const xn_plan_trace *t = &p->trace;
    return f >= t->band_thz[0] && f <= t->band_thz[1] &&
           damping * (t->end_ps - t->begin_ps) < XN_FIT_DAMPING_MOST * t->n;
}

double xn_plan_found_in(const xn_plan *p, const xn_plan_odds *o, const xn_plan_sight *s, int b)
{
    bool seen = reported(p, s[b].f_thz, p->damping_per_ps[b]) && xn_fit_determined(s[b].f_thz, o->sigma_f_thz);
    return seen ? xn_plan_found(o->rho, p->trace.threshold) : 0.0;
}

// Times the shots until rho and the error of f are as they must be, both going as their root; NEVER, NaN: unknown.
static double needed(const xn_plan *p, const xn_plan_odds *o, const xn_plan_sight *s, int b)
{
    if (isnan(o->rho)) return NAN;
    if (!(o->rho > 0.0) || !reported(p, s[b].f_thz, p->damping_per_ps[b])) return NEVER;
    double by_rho = p->rho_needed / o->rho, by_error = o->sigma_f_thz / xn_fit_error_most(s[b].f_thz);
    return fmin(fmax(by_rho * by_rho, by_error * by_error), NEVER);
}

// ---- all groups

double xn_plan_reference(const xn_plan *p)
{
    double shots = xn_plan_on_shots(p);
    return isnan(shots) ? ANY_SHOTS : shots;
}

typedef struct {
    double *rho, *snr, *sigma, *clock, *spread, *common, *need,
        *found; // (branch, group), then the clearest of each group
} columns;

// The clearest branch of group i, found where any is.
static void add_clearest(const xn_plan *p, const columns *c, int64_t i)
{
    int64_t at = p->branches * p->n_groups + i, best = i;
    double missed = 1.0;
    for (int b = 0; b < p->branches; b++) {
        int64_t k = b * p->n_groups + i;
        missed *= 1.0 - c->found[k];
        if (c->rho[k] > c->rho[best]) best = k;
    }
    double *const all[] = {c->rho, c->snr, c->sigma, c->clock, c->spread, c->common, c->need};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) all[k][at] = all[k][best];
    c->found[at] = 1.0 - missed;
}

static double possible(double need) { return need < NEVER ? need : NAN; }

static void sum_up(const xn_plan *p, const columns *c, int b, int n, xn_plan_outcome *o)
{
    int64_t m = p->n_groups, at = b * m;
    double found = 0.0, scale = (double)p->bin * p->bin / ((double)n * n);
    for (int64_t i = 0; i < m; i++) {
        found += c->found[at + i];
        if (c->found[at + i] < 0.5) c->sigma[at + i] = NAN;
    }
    o->groups = p->all_groups * scale;
    o->share = found / (double)m;
    o->found = o->share * o->groups;
    o->rho_best = xn_plan_quantile(c->rho + at, m, 0.9);
    o->rho_median = xn_plan_median(c->rho + at, m);
    o->need_best = possible(xn_plan_quantile(c->need + at, m, 0.1));
    o->need_median = possible(xn_plan_median(c->need + at, m));
    o->snr_best = xn_plan_quantile(c->snr + at, m, 0.9);
    o->snr_median = xn_plan_median(c->snr + at, m);
    o->sigma_nu_thz = 0.5 * xn_plan_median(c->sigma + at, m);
    o->clock = xn_plan_median(c->clock + at, m);
    o->spread = xn_plan_median(c->spread + at, m);
    o->common = xn_plan_median(c->common + at, m);
}

static xani_status predict_grouping(xn_plan *p, int n, columns *c, xn_plan_outcome *out)
{
    bool memory = false;
    const bool known = isfinite(xn_plan_on_shots(p)) && isfinite(xn_plan_v(p, XN_PLAN_PHOTONS));
    double on = xn_plan_reference(p);
#pragma omp parallel num_threads(p->threads)
    {
        double *work = xn_alloc(xn_plan_work(&p->trace), sizeof *work);
        xn_plan_odds odds[XN_PLAN_BRANCHES];
        double clock[XN_PLAN_BRANCHES], spread[XN_PLAN_BRANCHES];
        if (work == NULL) {
#pragma omp atomic write
            memory = true;
        }
#pragma omp for schedule(dynamic, 16)
        for (int64_t i = 0; i < p->n_groups; i++) {
            const xn_plan_sight *s = p->sight + i * p->branches;
            if (work == NULL) continue;
            xn_plan_group_odds(p, &p->group[i], s, n, on, 0.0, work, odds, clock, spread);
            for (int b = 0; b < p->branches; b++) {
                int64_t at = b * p->n_groups + i;
                c->rho[at] = odds[b].rho;
                c->snr[at] = odds[b].amplitude_snr;
                c->sigma[at] = odds[b].sigma_f_thz;
                c->clock[at] = clock[b];
                c->spread[at] = spread[b];
                c->common[at] = odds[b].common;
                c->found[at] = known ? xn_plan_found_in(p, &odds[b], s, b) : NAN;
                c->need[at] = needed(p, &odds[b], s, b);
            }
            add_clearest(p, c, i);
        }
        xn_free(work);
    }
    if (memory) return xn_fail_memory(p->ctx, "samples of a trace", xn_plan_work(&p->trace) * 8);
    for (int b = 0; b <= p->branches; b++) sum_up(p, c, b, n, &out[b]);
    return XANI_OK;
}

xani_status xn_plan_predict(xn_plan *p)
{
    p->trace.timing_ps = xn_plan_v(p, XN_PLAN_TIMING);
    if (p->trace.n == 0 || p->n_groups == 0) return XANI_OK;
    size_t size = (size_t)(p->branches + 1) * (size_t)p->n_groups;
    columns c = {NULL};
    double **const column[] = {&c.rho, &c.snr, &c.sigma, &c.clock, &c.spread, &c.common, &c.need, &c.found};
    const size_t columns_n = sizeof column / sizeof column[0];
    double *all = xn_alloc(columns_n * size, sizeof *all);
    if (all == NULL) return xn_fail_memory(p->ctx, "the modes of the pixel groups", columns_n * size * sizeof *all);
    for (size_t k = 0; k < columns_n; k++) *column[k] = all + k * size;
    xani_status st = XANI_OK;
    for (int k = 0; k <= XN_PLAN_GROUPINGS && st == XANI_OK; k++) {
        xn_plan_outcome **out = k < XN_PLAN_GROUPINGS ? &p->outcome[k] : &p->now;
        *out = xn_calloc((size_t)p->branches + 1, sizeof **out);
        st = *out == NULL ? xn_fail_memory(p->ctx, "the plan", (size_t)p->branches * sizeof **out)
                          : predict_grouping(p, k < XN_PLAN_GROUPINGS ? 1 << k : p->bin, &c, *out);
        if (st == XANI_OK) st = xn_check_interrupt(p->ctx);
    }
    xn_free(all);
    return st;
}
