// SPDX-License-Identifier: BSD-3-Clause
// refine.c -- regularised least squares of force constants to measured frequencies: see refine.h.
//
// What a point should read, and its branch, tells match.h; doubt about the branches begins large, so that a wrong
// first guess of the constants does not fix wrong branches, and no round moves a constant by more than half its prior,
// or a twentieth of the strongest where its own is less; the doubt gets less when steps are no longer shortened by
// that. d nu_b / d theta follows from first-order perturbation, e_b^+ (dD/dtheta) e_b / (8 pi^2 nu_b) (Hellmann and
// Feynman), so that one step of Gauss and Newton costs no more than the frequencies.  Points that no branch explains
// are refused and counted; of those left, the ones beyond HUBER sigma weigh as if they lay there (Huber 1964).  What
// the model may be wrong by (match.h: extent of the pixels, lines that pull each other) is a bound, not a standard
// error: it counts by the share that brings chi^2 to its number of degrees of freedom, 0 to 2, found from the points.
// The covariance is the inverse of the normal matrix, scaled by chi^2 per degree of freedom where that exceeds 1, and
// what it would mean if lines were off together: refine_common.c.
#include <math.h>
#include <string.h>

#include "physics/forces/refine_common.h"

#define lapack_complex_float float _Complex
#define lapack_complex_double double _Complex
#include <lapacke.h>

#define U_KG 1.66053906660e-27
#define ROUNDS_MOST 60
#define SLACK 0.02 // first doubt about a branch, of its frequency
#define LESS 0.5   // of it in the next round, until below LEAST
#define LEAST 2e-3
#define SETTLED 0.02       // of a parameter's standard error
#define SHARE_SETTLED 0.02 // of it
#define MOST_SHARE 2.0
#define LEAST_MODEL 1e-9
#define NEARLY 0.1       // of a standard error: until the steps are so short all of the model's errors count
#define STEP_MOST 0.5    // of a prior, in a round
#define STEP_SHARE 0.1   // priors are taken for at least so much of the strongest, where steps are limited
#define ROUGH_LINES 1500 // that rounds with slack look at
#define SLOWING 0.8      // of the step before
#define LEAST_SHARE 1e-3

typedef struct {
    xn_ctx *ctx;
    const xn_forces *start;
    const xn_shells *shells;
    const xn_observed *points;
    int64_t n_points;
    const xn_refine_options *o;
    int32_t *branch;
    xn_residual *residual;
    double *slope;      // (points, parameters) d nu / d theta
    double model_share; // how much of the model's errors counts
    double slack;       // doubt about branches, of their frequency
    double *normal, *right, chi2;
    int64_t used;
} state;

typedef struct {
    xn_matcher match;
    double *normal, *right, chi2;
    double complex *d; // (places, parameters, branches, branches)
    int64_t used;
} room;

static void close_room(room *r)
{
    xn_matcher_close(&r->match);
    xn_free(r->normal);
    xn_free(r->right);
    xn_free(r->d);
}

static bool open_room(const state *s, room *r)
{
    size_t n = 3 * (size_t)s->start->n_atoms, k = (size_t)s->shells->n;
    *r = (room){.d = xn_alloc(XN_MATCH_PLACES * k * n * n, sizeof *r->d),
                .normal = xn_calloc(k * k, sizeof *r->normal),
                .right = xn_calloc(k, sizeof *r->right)};
    return xn_matcher_open(s->start, &r->match) && r->d && r->normal && r->right;
}

// d nu / d theta_k of all k, of the places and branches that make a line.
static void set_slopes(const state *s, const xn_matched *line, const room *r, double *slope)
{
    const xn_matcher *m = &r->match;
    size_t n = (size_t)m->branches, square = n * n;
    memset(slope, 0, (size_t)s->shells->n * sizeof *slope);
    for (size_t i = 0; i < (size_t)m->places * n; i++) {
        const double complex *e = m->e + i * n, *d = r->d + i / n * (size_t)s->shells->n * square;
        double w = 2 * M_PI * 1e12 * fmax(fabs(m->nu[i]), 0.05);
        if (fabs(line->mix[i]) < LEAST_SHARE) continue;
        for (int k = 0; k < s->shells->n; k++, d += square) {
            double complex sum = 0.0;
            for (size_t a = 0; a < n; a++)
                for (size_t b = 0; b < n; b++) sum += conj(e[a]) * d[a * n + b] * e[b];
            slope[k] += line->mix[i] * creal(sum) / U_KG / (2 * w) / (2 * M_PI) * 1e-12;
        }
    }
}

static void add_line(const state *s, int64_t i, const xn_matched *line, room *r)
{
    int n = s->shells->n;
    xn_residual *e = &s->residual[i];
    double *slope = s->slope + i * n;
    e->away = s->points[i].nu_thz - line->nu_thz;
    e->own = s->points[i].sigma_thz;
    e->model = line->model_thz;
    double sigma = xn_residual_error(e, s->model_share), z = e->away / sigma, weight = xn_residual_weight(z);
    set_slopes(s, line, r, slope);
    r->chi2 += weight * z * z;
    r->used++;
    for (int k = 0; k < n; k++) {
        r->right[k] += weight * slope[k] / sigma * z;
        for (int m = 0; m <= k; m++) r->normal[k * n + m] += weight * slope[k] * slope[m] / (sigma * sigma);
    }
}

// chi^2 of the last pass with another share of the model's errors.
static double chi2_with(const state *s, double share)
{
    double chi2 = 0.0;
    for (int64_t i = 0; i < s->n_points; i++) {
        const xn_residual *e = &s->residual[i];
        double z = s->branch[i] < 0 ? 0.0 : e->away / xn_residual_error(e, share);
        chi2 += xn_residual_weight(z) * z * z;
    }
    return chi2;
}

// The share with which chi^2 of the last pass is its number of degrees of freedom.
static double find_share(const state *s)
{
    double low = LEAST_MODEL, high = MOST_SHARE, want = (double)xn_max64(1, s->used - s->shells->n);
    if (chi2_with(s, high) >= want) return high;
    if (chi2_with(s, 0.0) <= want) return 0.0;
    for (int step = 0; step < 24; step++) {
        double share = sqrt(low * high);
        *(chi2_with(s, share) < want ? &high : &low) = share;
    }
    return high;
}

// The lines of one pixel group, points[first] and the `count` behind it.
static void add_group(const state *s, const xn_forces *now, int64_t first, int count, room *r)
{
    const xn_observed *p = &s->points[first];
    size_t square = (size_t)r->match.branches * (size_t)r->match.branches, parameters = (size_t)s->shells->n;
    xn_matched line[XN_MATCH_LINES];
    bool good = xn_match(&r->match, now, p, count, &s->o->match, s->slack, line);
    for (size_t i = 0; good && i < (size_t)r->match.places * parameters; i++) {
        memset(r->d + i * square, 0, square * sizeof *r->d);
        xn_shells_matrix(s->shells, s->start, (int)(i % parameters), r->match.at[i / parameters], r->d + i * square);
    }
    for (int j = 0; j < count; j++) {
        s->branch[first + j] = good ? line[j].branch : -1;
        if (s->branch[first + j] >= 0) add_line(s, first + j, &line[j], r);
    }
}

// First point of the group behind the one that begins at i.
static int64_t group_end(const state *s, int64_t i)
{
    int64_t end = i + 1;
    while (end < s->n_points && end - i < XN_MATCH_LINES && xn_same_group(&s->points[i], &s->points[end])) end++;
    return end;
}

// Share k of the groups: those that begin in its part of the points.
static void add_share(const state *s, const xn_forces *now, int64_t begin, int64_t end, room *r)
{
    int64_t stride = s->slack > 0.0 ? s->n_points / ROUGH_LINES + 1 : 1, group = 0;
    while (begin > 0 && begin < end && xn_same_group(&s->points[begin - 1], &s->points[begin])) begin++;
    for (int64_t i = begin, next; i < end; i = next) {
        next = group_end(s, i);
        if (group++ % stride == 0) add_group(s, now, i, (int)(next - i), r);
    }
}

#define SHARES 16 // fixed, so that sums have the same bits for any number of threads

static xani_status pass(state *s, const xn_forces *now)
{
    size_t n = (size_t)s->shells->n;
    room share[SHARES];
    bool ok = true;
    for (int k = 0; k < SHARES; k++) ok = open_room(s, &share[k]) && ok;
    if (ok) {
#pragma omp parallel for num_threads(s->o->threads) schedule(dynamic)
        for (int k = 0; k < SHARES; k++)
            add_share(s, now, k * s->n_points / SHARES, (k + 1) * s->n_points / SHARES, &share[k]);
    }
    memset(s->normal, 0, n * n * sizeof *s->normal);
    memset(s->right, 0, n * sizeof *s->right);
    s->chi2 = 0.0;
    s->used = 0;
    for (int k = 0; k < SHARES; k++) {
        for (size_t i = 0; ok && i < n * n; i++) s->normal[i] += share[k].normal[i];
        for (size_t i = 0; ok && i < n; i++) s->right[i] += share[k].right[i];
        s->chi2 += share[k].chi2;
        s->used += share[k].used;
        close_room(&share[k]);
    }
    return ok ? xn_check_interrupt(s->ctx) : xn_fail_memory(s->ctx, "the refinement", n * n * SHARES * 8);
}

// Solves (normal + prior) step = right - prior theta; the inverse of the matrix goes to `inverse`.
static bool solve(const state *s, const double *prior, const double *theta, double *step, double *inverse)
{
    int n = s->shells->n;
    for (int k = 0; k < n; k++) {
        double w = 1.0 / (prior[k] * prior[k]);
        step[k] = s->right[k] - w * theta[k];
        for (int m = 0; m <= k; m++) inverse[k * n + m] = inverse[m * n + k] = s->normal[k * n + m];
        inverse[k * n + k] += w;
    }
    if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', n, inverse, n) != 0) return false;
    if (LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', n, 1, inverse, n, step, 1) != 0) return false;
    if (LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', n, inverse, n) != 0) return false;
    for (int k = 0; k < n; k++)
        for (int m = 0; m < k; m++) inverse[m * n + k] = inverse[k * n + m];
    return true;
}

static xani_status pass_with(state *s, const double *theta)
{
    xn_forces now;
    XN_TRY(xn_shells_apply(s->ctx, s->shells, s->start, theta, &now));
    xani_status st = pass(s, &now);
    xn_forces_free(&now);
    return st;
}

// Factor of a step: the longest that moves no constant too far for its branches to be told.
static double shortening(int n, const double *prior, const double *step)
{
    double strongest = 0.0, factor = 1.0;
    for (int k = 0; k < n; k++) strongest = fmax(strongest, prior[k]);
    for (int k = 0; k < n; k++)
        factor = fmin(factor, STEP_MOST * fmax(prior[k], STEP_SHARE * strongest) / fmax(fabs(step[k]), 1e-30));
    return factor;
}

static xani_status rounds(state *s, xn_refined *r, double *step)
{
    int n = r->n;
    double before = INFINITY, gain = 1.0; // lines that go to and fro between maxima turn steps back: half of them, then
    for (; r->iterations < ROUNDS_MOST && !r->converged; r->iterations++) {
        double share = s->model_share;
        XN_TRY(pass_with(s, r->theta));
        if (!solve(s, r->prior, r->theta, step, r->covariance))
            return xn_fail(s->ctx, XANI_ERR_INTERNAL, "the normal equations of the force constants cannot be solved");
        double largest = 0.0, shorten = shortening(n, r->prior, step);
        for (int k = 0; k < n; k++) {
            r->theta[k] += gain * shorten * step[k];
            largest = fmax(largest, gain * fabs(step[k]) / sqrt(r->covariance[k * n + k]));
        }
        if (s->slack == 0.0) {
            if (largest < NEARLY) s->model_share = find_share(s);
            r->converged = largest < SETTLED && fabs(s->model_share - share) <= SHARE_SETTLED * share;
            if (largest > SLOWING * before) gain *= 0.5;
            before = largest;
        }
        if (shorten == 1.0) s->slack = s->slack * LESS < LEAST ? 0.0 : s->slack * LESS;
    }
    return XANI_OK;
}

static xani_status judge(const state *s, xn_refined *r)
{
    int n = r->n, determined = 0;
    for (int k = 0; k < n; k++) {
        r->determined[k] = sqrt(r->covariance[k * n + k]) < 0.5 * r->prior[k];
        determined += r->determined[k];
    }
    r->chi2 = chi2_with(s, s->model_share);
    r->model_share = s->model_share;
    r->used = s->used;
    r->refused = s->n_points - s->used;
    r->dof = (int)xn_max64(1, s->used - determined);
    double scale = fmax(1.0, r->chi2 / r->dof), *statistical = s->normal; // no longer needed
    memcpy(statistical, r->covariance, (size_t)(n * n) * sizeof *statistical);
    for (int k = 0; k < n * n; k++) r->covariance[k] *= scale;
    const xn_refine_lines lines = {.n = s->n_points,
                                   .parameters = n,
                                   .determined = determined,
                                   .points = s->points,
                                   .residual = s->residual,
                                   .branch = s->branch,
                                   .slope = s->slope,
                                   .model_share = s->model_share};
    XN_TRY(xn_refine_add_branches(s->ctx, &lines, 3 * s->start->n_atoms, s->o->match.least_sigma_thz, statistical,
                                  r->covariance));
    return xn_refine_add_runs(s->ctx, &lines, statistical, r->covariance, &r->common);
}

// chi^2 of the constants begun with, by the same errors; as wide as lines were looked for at first.
static xani_status look_back(state *s, xn_refined *r, double *theta)
{
    memset(theta, 0, (size_t)r->n * sizeof *theta);
    s->slack = SLACK;
    XN_TRY(pass_with(s, theta));
    r->chi2_before = s->used > 0 ? s->chi2 / (double)s->used * (double)r->used : 0.0;
    return XANI_OK;
}

// A fraction of the shell's constants, but not less than a thousandth of the strongest shell's.
static void set_priors(const xn_shells *s, double fraction, double *prior)
{
    double strongest = 0.0;
    for (int k = 0; k < s->n; k++) {
        double square = 0.0;
        for (int m = 0; m < s->n; m++)
            if (s->parameter[m].orbit == s->parameter[k].orbit) square += s->parameter[m].start * s->parameter[m].start;
        prior[k] = fraction * sqrt(square);
        strongest = fmax(strongest, prior[k]);
    }
    for (int k = 0; k < s->n; k++) prior[k] = fmax(prior[k], 1e-3 * strongest);
}

xani_status xn_forces_refine(xn_ctx *ctx, const xn_forces *start, const xn_shells *shells, const xn_observed *points,
                             int64_t n_points, const xn_refine_options *options, int32_t *branch, xn_refined *out)
{
    size_t n = (size_t)shells->n;
    memset(out, 0, sizeof *out);
    if (n == 0) return xn_fail(ctx, XANI_ERR_CONFIG, "the shells have no force constants to refine");
    out->n = shells->n;
    out->theta = xn_calloc(n, sizeof *out->theta);
    out->covariance = xn_calloc(n * n, sizeof *out->covariance);
    out->prior = xn_calloc(n, sizeof *out->prior);
    out->determined = xn_calloc(n, sizeof *out->determined);
    state s = {.ctx = ctx,
               .start = start,
               .shells = shells,
               .points = points,
               .n_points = n_points,
               .o = options,
               .slack = SLACK,
               .model_share = 1.0,
               .residual = xn_calloc((size_t)n_points, sizeof(xn_residual)),
               .slope = xn_calloc((size_t)n_points * n, sizeof(double)),
               .normal = xn_calloc(n * n, sizeof(double)),
               .right = xn_calloc(n, sizeof(double)),
               .branch = xn_calloc((size_t)n_points, sizeof(int32_t))};
    double *step = xn_calloc(n, sizeof *step);
    xani_status st = XANI_OK;
    if (!out->theta || !out->covariance || !out->prior || !out->determined || !s.normal || !s.right || !s.slope ||
        !s.branch || !s.residual || !step)
        st = xn_fail_memory(ctx, "the refinement", n * n * 16 + (size_t)n_points * (n + 4) * 8);
    if (st == XANI_OK) set_priors(shells, options->prior, out->prior);
    if (st == XANI_OK) st = rounds(&s, out, step);
    if (st == XANI_OK) st = judge(&s, out);
    if (st == XANI_OK && branch != NULL) memcpy(branch, s.branch, (size_t)n_points * sizeof *branch);
    if (st == XANI_OK) st = look_back(&s, out, step);
    xn_free(s.normal);
    xn_free(s.right);
    xn_free(s.slope);
    xn_free(s.branch);
    xn_free(s.residual);
    xn_free(step);
    if (st != XANI_OK) xn_refined_free(out);
    return st;
}

void xn_refined_free(xn_refined *r)
{
    void *all[] = {r->theta, r->covariance, r->prior, r->determined};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(r, 0, sizeof *r);
}
