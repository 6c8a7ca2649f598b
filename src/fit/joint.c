// SPDX-License-Identifier: BSD-3-Clause
// joint.c -- see joint.h.
//
// Threshold of E.  E of pure noise is the largest value, over frequency and damping, of a chi^2 with two degrees of
// freedom per trace; the expected number of its peaks above x goes as
//   lines c (x/2)^M exp(-x/2)/(M-1)!,   c = 0.07 + 0.51 M^-0.85,   M traces.
// M = 1 is the single trace's lines 0.29 x exp(-x/2) (threshold.c); the rest of c was fitted to noise (16 000 and more
// neighbourhoods of 6, 9, 25 and 49 traces, 60 to 200 samples).  Quantiles 90, 99 and 99.5 % of E for 200 samples and
// M = 9: measured 45.1, 51.9, 54.1, from the formula 45.2, 52.5, 54.7.  s^2 from few residuals makes the tail heavier:
// D has the mean 2 m/(m - 2) instead of 2, m its degrees of freedom, and x counts in units of that.
// tests/science/test_neighbours.c measures the share.
//
// Most pixels of an image are noise and converge slowly, to nothing: after a few passes those whose neighbourhood is
// far from its threshold are given up, and only the others, in batches of their own, are taken to the end.
#include "fit/joint.h"

#include <math.h>
#include <string.h>

#define TWO_PI 6.28318530717958647693
#define PASSES 40
#define TRIAL_PASSES 6
#define PROMISING 0.75 // of the threshold
#define PITCH XN_JOINT_PIXELS
#define Q_MOST XN_FIT_PARAMETERS

double xn_joint_threshold(const xn_fit_plans *plans, int traces)
{
    const xn_fit_plan *p = &plans->plan[plans->first];
    const double lines = (plans->band_thz[1] - plans->band_thz[0]) * p->length * plans->step_ps;
    const double freedom = fmax(p->n - p->n_columns - 4.0, 3.0), heavier = freedom / (freedom - 2.0);
    const double c = 0.07 + 0.51 * pow(traces, -0.85);
    double lo = 0.0, hi = 1000.0 + 10.0 * traces;
    for (int i = 0; i < 60; i++) {
        const double x = 0.5 * (lo + hi), h = 0.5 * x / heavier;
        // below the most likely value the number of peaks falls again, but the share is 1
        const double peaks = h < traces ? 1e30 : lines * exp(traces * log(h) - h - lgamma(traces) + log(c));
        if (-expm1(-peaks) > plans->test_alarm)
            lo = x;
        else
            hi = x;
    }
    return hi;
}

xani_status xn_joint_create(xn_ctx *ctx, xn_joint *j)
{
    const size_t traces = (size_t)j->neighbours * PITCH, room = traces + 32;
    size_t work = 0, grid = 0, n = 0;
    bool ok = true;
    for (int p = 0; p < XN_PLANS; p++) {
        if (!j->plans->has[p]) continue;
        const xn_fit_plan *plan = &j->plans->plan[p];
        const size_t need = j->kernel->work_bytes(plan, (int)traces);
        work = need > work ? need : work;
        grid = (size_t)plan->n_grid / 2 + 2 > grid ? (size_t)plan->n_grid / 2 + 2 : grid;
        n = (size_t)plan->n > n ? (size_t)plan->n : n;
        ok = ok && (j->table[p] = xn_alloc(j->kernel->table_bytes(plan), 1)) != NULL;
        if (ok) j->kernel->tabulate(plan, j->table[p]);
    }
    double **by_trace[] = {&j->before, &j->variance}, **by_mode[] = {&j->given_w, &j->given_g};
    double **by_sample[] = {&j->time, &j->weight};
    for (int i = 0; i < 2 && ok; i++) {
        ok = (*by_trace[i] = xn_alloc(room, sizeof(double))) != NULL;
        ok = ok && (*by_mode[i] = xn_calloc(room * XANI_MAX_MODES, sizeof(double))) != NULL;
        ok = ok && (*by_sample[i] = xn_alloc(n, sizeof(double))) != NULL;
    }
    ok = ok && (j->work = xn_alloc(work, 1)) != NULL;
    ok = ok && (j->out = xn_alloc(XN_POOL_SLOTS * room, sizeof(double))) != NULL;
    ok = ok && (j->powers = xn_alloc(grid * room, sizeof(float))) != NULL;
    ok = ok && (j->pixel = xn_alloc(room, sizeof(int64_t))) != NULL;
    ok = ok && (j->use = xn_alloc(room, 1)) != NULL && (j->flags = xn_alloc(room, 1)) != NULL;
    if (ok) return XANI_OK;
    xn_joint_free(j);
    return xn_fail_memory(ctx, "the fit of neighbourhoods", work + room * (XN_POOL_SLOTS + grid) * 8);
}

void xn_joint_free(xn_joint *j)
{
    void *all[] = {j->work,    j->out,     j->powers, j->pixel,    j->use,  j->flags,
                   j->given_w, j->given_g, j->before, j->variance, j->time, j->weight};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    for (int p = 0; p < XN_PLANS; p++) xn_free(j->table[p]);
    memset(j, 0, sizeof *j);
}

// ---- one neighbourhood

typedef struct {
    double parameter[Q_MOST], trial[Q_MOST], lambda;      // g_1, w_1, ... per step
    double chi2, gradient[Q_MOST], schur[Q_MOST][Q_MOST]; // of the sum over traces, at `parameter`
    bool fixed[Q_MOST];
    bool active, stuck;
    int n_modes; // accepted
    double accepted[Q_MOST];
} hood;

typedef struct {
    xn_joint *joint;
    const xn_fit_plan *plan;
    const void *table;
    xn_fit_tile tile;
    int count;
    hood *hoods;
} batch;

static double out(const batch *b, int slot, int trace) { return xn_fit_out(b->joint->kernel, &b->tile, slot, trace); }
static double bound(const xn_fit_plan *p, int j, bool high)
{
    return j % 2 == 0 ? (high ? p->g_hi : p->g_lo) : (high ? p->w_hi : p->w_lo);
}

// Evaluates K modes of every trace at its neighbourhood's trial.
static void evaluate(batch *b, int K)
{
    xn_joint *j = b->joint;
    for (int k = 0; k < K; k++)
        for (int t = 0; t < b->tile.count; t++) {
            const int at = k * (int)b->tile.given_stride + t, i = t % PITCH < b->count ? t % PITCH : b->count - 1;
            j->given_g[at] = b->hoods[i].trial[2 * k];
            j->given_w[at] = b->hoods[i].trial[2 * k + 1];
        }
    j->kernel->evaluate(b->plan, b->table, j->work, &b->tile, K);
}

// Sum over the traces of neighbourhood i of what `evaluate` gave, each over its variance.
static void add_up(const batch *b, int K, int i, hood *sum)
{
    memset(sum->gradient, 0, sizeof sum->gradient);
    memset(sum->schur, 0, sizeof sum->schur);
    sum->chi2 = 0.0;
    for (int t = i; t < b->tile.count; t += PITCH) {
        if (!b->joint->use[t]) continue;
        const double per = 1.0 / b->joint->variance[t];
        sum->chi2 += out(b, XN_POOL_CHI2, t) * per;
        for (int q = 0; q < 2 * K; q++) {
            sum->gradient[q] += out(b, XN_POOL_GRADIENT + q, t) * per;
            for (int r = 0; r <= q; r++) sum->schur[q][r] += out(b, XN_POOL_SCHUR + q * (q + 1) / 2 + r, t) * per;
        }
    }
}

// Solves (S + lambda diag S) step = gradient without the fixed parameters; returns gradient step. step may be NULL.
static double solve(const hood *h, int Q, double lambda, double *step)
{
    double l[Q_MOST][Q_MOST], v[Q_MOST], decrease = 0.0;
    for (int i = 0; i < Q; i++) {
        double right = h->fixed[i] ? 0.0 : h->gradient[i];
        for (int k = 0; k <= i; k++) {
            const bool out_of = h->fixed[i] || h->fixed[k];
            double x = out_of ? (i == k ? 1.0 : 0.0) : h->schur[i][k] * (i == k ? 1.0 + lambda : 1.0);
            for (int q = 0; q < k; q++) x -= l[i][q] * l[k][q];
            l[i][k] = i == k ? sqrt(fmax(x, 1e-12 * fmax(h->schur[i][i], 1e-300))) : x / l[k][k];
        }
        for (int k = 0; k < i; k++) right -= l[i][k] * v[k];
        v[i] = right / l[i][i];
        decrease += v[i] * v[i];
    }
    for (int i = Q - 1; i >= 0 && step != NULL; i--) {
        double x = v[i];
        for (int k = i + 1; k < Q; k++) x -= l[k][i] * step[k];
        step[i] = x / l[i][i];
    }
    return decrease;
}

// As lm.h: accepts or refuses what was tried, stops on the undamped predicted decrease, makes the next trial.
static void advance(const batch *b, int K, int i)
{
    hood *h = &b->hoods[i], tried = *h;
    const xn_fit_plan *p = b->plan;
    const int Q = 2 * K;
    double step[Q_MOST];
    add_up(b, K, i, &tried);
    const bool better = tried.chi2 <= h->chi2 * (1.0 + 1e-6);
    if (better) {
        memcpy(h->parameter, h->trial, sizeof h->parameter);
        memcpy(h->gradient, tried.gradient, sizeof h->gradient);
        memcpy(h->schur, tried.schur, sizeof h->schur);
        h->chi2 = tried.chi2;
    }
    h->lambda = better ? fmax(0.1 * h->lambda, 1e-7) : fmin(8.0 * h->lambda, 1e6);
    for (int q = 0; q < Q; q++)
        h->fixed[q] = (h->parameter[q] <= bound(p, q, false) && h->gradient[q] < 0.0) ||
                      (h->parameter[q] >= bound(p, q, true) && h->gradient[q] > 0.0);
    const bool done = solve(h, Q, 0.0, NULL) < p->tolerance;
    h->stuck = !done && h->lambda > 1e5;
    h->active = !done && !h->stuck;
    solve(h, Q, h->lambda, step);
    const double unit = 1.0 / p->length;
    for (int q = 0; q < Q; q++) {
        const double x = h->parameter[q], furthest = 60.0 * unit;
        const double down = q % 2 == 0 ? -0.7 * x : -furthest, up = q % 2 == 0 ? 1.5 * x + 0.4 * unit : furthest;
        const double next = x + fmin(fmax(step[q] * unit, down), up);
        h->trial[q] = h->active ? fmin(fmax(next, bound(p, q, false)), bound(p, q, true)) : x;
    }
}

// Minimises over K modes of every neighbourhood that is active, from `parameter`, with the variances as they are.
static void minimise(batch *b, int K, int passes)
{
    for (int i = 0; i < b->count; i++) {
        hood *h = &b->hoods[i];
        memcpy(h->trial, h->parameter, sizeof h->trial);
        h->lambda = 0.1;
        h->chi2 = 1e300;
    }
    for (int pass = 0; pass < passes; pass++) {
        bool any = false;
        for (int i = 0; i < b->count; i++) any |= b->hoods[i].active;
        if (!any) return;
        evaluate(b, K);
        for (int i = 0; i < b->count; i++)
            if (b->hoods[i].active) advance(b, K, i);
    }
}

// chi^2 and variances of all traces at the parameters reached
static void take_variances(batch *b, int K, double *chi2)
{
    for (int i = 0; i < b->count; i++) memcpy(b->hoods[i].trial, b->hoods[i].parameter, sizeof b->hoods[i].trial);
    evaluate(b, K);
    for (int t = 0; t < b->tile.count; t++) {
        b->joint->variance[t] = out(b, XN_POOL_VARIANCE, t);
        if (chi2 != NULL) chi2[t] = out(b, XN_POOL_CHI2, t);
    }
}

// Evidence for the last of K modes of neighbourhood i, over its threshold.
static double evidence_of(const batch *b, int i, const double *chi2)
{
    const xn_joint *j = b->joint;
    const double cap = 0.5 * j->plans->threshold;
    double evidence = 0.0;
    int traces = 0;
    for (int t = i; t < b->tile.count; t += PITCH) {
        if (!j->use[t]) continue;
        evidence += fmin((j->before[t] - chi2[t]) / j->variance[t], cap);
        traces++;
    }
    return traces > 0 ? evidence / j->threshold[traces] : 0.0;
}

// Highest local maximum of the powers summed over the neighbourhood, refined by a parabola.
static double pooled_peak(const batch *b, int i)
{
    const xn_fit_plan *p = b->plan;
    const int64_t stride = b->tile.given_stride;
    double sum[3] = {0.0}, best = -1.0, at = p->grid_lo;
    for (int j = p->grid_lo - 1; j <= p->grid_hi + 1; j++) {
        sum[0] = sum[1], sum[1] = sum[2], sum[2] = 0.0;
        for (int t = i; t < b->tile.count; t += PITCH) sum[2] += b->joint->powers[j * stride + t];
        if (j < p->grid_lo + 1 || !(sum[1] > sum[0] && sum[1] >= sum[2] && sum[1] > best)) continue;
        best = sum[1];
        at = j - 1 + 0.5 * (sum[0] - sum[2]) / (sum[0] - 2.0 * sum[1] + sum[2]);
    }
    return fmin(fmax(at * TWO_PI / p->n_grid, p->w_lo), p->w_hi);
}

// One more mode for every neighbourhood that still searches. Returns whether any accepted it. trial: only looks which
// are worth the effort.
static bool stage(batch *b, int K, bool trial, xn_joint_pixel *pixels, double *chi2)
{
    xn_joint *j = b->joint;
    bool any = false;
    if (K > 1) {
        for (int i = 0; i < b->count; i++) memcpy(b->hoods[i].trial, b->hoods[i].parameter, sizeof b->hoods[i].trial);
        take_variances(b, K - 1, j->before);
        j->kernel->powers(b->plan, b->table, j->work, &b->tile, K - 1, j->powers, b->tile.given_stride);
    } else {
        take_variances(b, 0, j->before);
    }
    for (int i = 0; i < b->count; i++) {
        hood *h = &b->hoods[i];
        h->active = h->n_modes == K - 1;
        const double g = K == 1 && pixels[i].start_g > 0.0 ? pixels[i].start_g : b->plan->window_rate;
        h->parameter[2 * K - 2] = fmin(fmax(g, b->plan->g_lo), b->plan->g_hi);
        h->parameter[2 * K - 1] = K == 1 ? pixels[i].start_w : pooled_peak(b, i);
    }
    if (trial) {
        minimise(b, K, TRIAL_PASSES);
        take_variances(b, K, chi2);
        for (int i = 0; i < b->count; i++) {
            pixels[i].promising = b->hoods[i].n_modes == 0 && evidence_of(b, i, chi2) > PROMISING;
            pixels[i].start_g = b->hoods[i].parameter[0];
            pixels[i].start_w = b->hoods[i].parameter[1];
        }
        return false;
    }
    for (int round = 0; round < 2; round++) { // with the variances before, then with its own
        minimise(b, K, PASSES);
        take_variances(b, K, chi2);
        for (int i = 0; i < b->count; i++) b->hoods[i].active = b->hoods[i].n_modes == K - 1 && !b->hoods[i].stuck;
    }
    for (int i = 0; i < b->count; i++) {
        hood *h = &b->hoods[i];
        if (h->n_modes != K - 1 || h->stuck || !(evidence_of(b, i, chi2) > 1.0)) continue;
        h->n_modes = K;
        memcpy(h->accepted, h->parameter, sizeof h->accepted);
        any = true;
    }
    return any;
}

// ---- results

// The modes of neighbourhood i, with what all its traces but its own pixel's tell of them.
static void modes_of(const batch *b, int i, xn_shared_modes *m)
{
    const hood *h = &b->hoods[i];
    const int Q = 2 * h->n_modes;
    const double length = b->plan->length, step = b->joint->plans->step_ps;
    hood sum;
    const int own = b->joint->neighbours / 2 * PITCH + i;
    const uint8_t kept = b->joint->use[own];
    b->joint->use[own] = 0;
    add_up(b, h->n_modes, i, &sum);
    b->joint->use[own] = kept;
    m->n_modes = h->n_modes;
    for (int k = 0; k < h->n_modes; k++) {
        m->g[k] = h->accepted[2 * k];
        m->w[k] = h->accepted[2 * k + 1];
        m->g_fixed[k] = m->g[k] <= b->plan->g_lo || m->g[k] >= b->plan->g_hi;
        m->w_fixed[k] = m->w[k] <= b->plan->w_lo || m->w[k] >= b->plan->w_hi;
    }
    for (int q = 0; q < Q; q++) // S is for (length g, length w), `known` for (f, g)
        for (int r = 0; r < Q; r++) {
            const double s = q >= r ? sum.schur[q][r] : sum.schur[r][q];
            const double to_q = length * step * (q % 2 == 1 ? TWO_PI : 1.0);
            const double to_r = length * step * (r % 2 == 1 ? TWO_PI : 1.0);
            const int row = q % 2 == 1 ? q - 1 : q + 1, column = r % 2 == 1 ? r - 1 : r + 1;
            m->known[row * Q + column] = s * to_q * to_r;
        }
}

static void finish(batch *b, int plan, xn_joint_pixel *pixels)
{
    for (int K = 1; K <= b->plan->modes_max; K++) {
        bool any = false;
        for (int i = 0; i < b->count; i++) {
            any |= b->hoods[i].n_modes == K;
            memcpy(b->hoods[i].trial, b->hoods[i].n_modes == K ? b->hoods[i].accepted : b->hoods[i].parameter,
                   sizeof b->hoods[i].trial);
        }
        if (!any) continue;
        evaluate(b, K);
        for (int t = 0; t < b->tile.count; t++) b->joint->variance[t] = out(b, XN_POOL_VARIANCE, t);
        for (int i = 0; i < b->count; i++) {
            if (b->hoods[i].n_modes != K) continue;
            xn_shared_modes m;
            modes_of(b, i, &m);
            pixels[i].found = xn_shared_finish(b->joint, plan, &m, &pixels[i]);
        }
    }
}

void xn_joint_fit(xn_joint *j, int plan, bool trial, xn_joint_pixel *pixels, int count)
{
    hood hoods[PITCH];
    double chi2[XN_JOINT_MOST * PITCH];
    batch b = {.joint = j, .plan = &j->plans->plan[plan], .table = j->table[plan], .count = count, .hoods = hoods};
    memset(hoods, 0, sizeof hoods);
    b.tile = (xn_fit_tile){.count = j->neighbours * PITCH,
                           .y = j->y,
                           .row = j->plans->row[plan],
                           .row_stride = j->row_stride,
                           .pixel = j->pixel,
                           .sigma = j->sigma,
                           .given_w = j->given_w,
                           .given_g = j->given_g,
                           .given_stride = j->neighbours * PITCH,
                           .out = j->out,
                           .out_stride = j->neighbours * PITCH,
                           .n_modes = j->use,
                           .flags = j->flags};
    for (int t = 0; t < b.tile.count; t++) { // where there is no neighbour the pixel itself is read, but not used
        const xn_joint_pixel *p = &pixels[t % PITCH < count ? t % PITCH : count - 1];
        const int64_t q = p->neighbour[t / PITCH];
        j->pixel[t] = q >= 0 ? q : p->neighbour[j->neighbours / 2];
    }
    j->kernel->load(b.plan, b.table, j->work, &b.tile);
    for (int i = 0; i < count; i++) pixels[i].found = pixels[i].missing = pixels[i].promising = false;
    for (int t = 0; t < b.tile.count; t++) {
        const bool there = t % PITCH < count && pixels[t % PITCH].neighbour[t / PITCH] >= 0;
        if (!there) j->use[t] = 0;
        if (there && j->flags[t] & XN_FLAG_MISSING) pixels[t % PITCH].missing = true;
    }
    const int own = j->neighbours / 2 * PITCH; // without data of its own a pixel cannot be fitted
    for (int i = 0; i < count; i++) hoods[i].n_modes = j->use[own + i] && !pixels[i].missing ? 0 : -1;
    for (int K = 1; K <= b.plan->modes_max && stage(&b, K, trial, pixels, chi2); K++) continue;
    if (!trial) finish(&b, plan, pixels);
}
