// SPDX-License-Identifier: BSD-3-Clause
// refine.c -- regularised least squares of force constants to measured frequencies: see refine.h.
//
// A point is taken for the branch that explains it best: the smallest (nu - nu_b)^2 / s^2 - 2 ln(visibility), with the
// visibility |a.e_b|^2 coth / nu_b of the branch's pair line among all branches at that Q; s begins wide and narrows,
// so that a wrong first guess of the constants does not fix wrong branches.  d nu_b / d theta follows from first-order
// perturbation, e_b^+ (dD/dtheta) e_b / (8 pi^2 nu_b) (Hellmann and Feynman), so that one step of Gauss and Newton
// costs no more than the frequencies.  Points beyond `reach` sigma of every branch are refused and counted.  The
// covariance is the inverse of the normal matrix, scaled by chi^2 per degree of freedom where that exceeds 1.
#include "physics/forces/refine.h"

#include <math.h>
#include <string.h>

#define lapack_complex_float float _Complex
#define lapack_complex_double double _Complex
#include <lapacke.h>

#define U_KG 1.66053906660e-27
#define HALF_QUANTUM_K 23.99621537 // h / 2 kB, K per THz
#define ROUNDS_MOST 40
#define WIDE 4.0     // first widths of branches, in final ones
#define SETTLED 1e-4 // of a parameter's standard error
#define FAINT 1e-3   // least visibility: what is nearly invisible may still be seen by its neighbours

typedef struct {
    xn_ctx *ctx;
    const xn_forces *start;
    const xn_shells *shells;
    const xn_observed *points;
    int64_t n_points;
    const xn_refine_options *o;
    int32_t *branch;
    double width; // factor of sigma
    double *normal, *right, chi2;
    int64_t used;
} state;

typedef struct {
    double *nu, *slope; // (branches), (parameters)
    double complex *e, *work, *d;
    double *normal, *right, chi2;
    int64_t used;
} room;

static void close_room(room *r)
{
    void *all[] = {r->nu, r->slope, r->e, r->work, r->d, r->normal, r->right};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
}

static bool open_room(const state *s, room *r)
{
    size_t n = 3 * (size_t)s->start->n_atoms, k = (size_t)s->shells->n;
    *r = (room){.nu = xn_alloc(n, sizeof *r->nu),
                .slope = xn_alloc(k, sizeof *r->slope),
                .e = xn_alloc(n * n, sizeof *r->e),
                .work = xn_alloc(xn_forces_work(s->start), sizeof *r->work),
                .d = xn_alloc(n * n, sizeof *r->d),
                .normal = xn_calloc(k * k, sizeof *r->normal),
                .right = xn_calloc(k, sizeof *r->right)};
    return r->nu && r->slope && r->e && r->work && r->d && r->normal && r->right;
}

static double sigma_of(const state *s, const xn_observed *p) { return hypot(p->sigma_thz, s->o->least_sigma_thz); }

// Share of branch b in the oscillation of its Q, up to a common factor.
static double visibility(const state *s, const xn_observed *p, const room *r, int b)
{
    const xn_forces *f = s->start;
    size_t n = 3 * (size_t)f->n_atoms;
    double length = sqrt(p->q[0] * p->q[0] + p->q[1] * p->q[1] + p->q[2] * p->q[2]), nu = fmax(r->nu[b], 0.05);
    double complex sum = 0.0;
    for (int i = 0; i < f->n_atoms; i++) {
        double a = xn_form_factor(f, i, length) / sqrt(f->mass_u[i]);
        if (!isfinite(a)) a = 1.0 / sqrt(f->mass_u[i]);
        for (int c = 0; c < 3; c++) sum += a * p->q[c] * r->e[(size_t)b * n + 3 * (size_t)i + (size_t)c];
    }
    return creal(sum * conj(sum)) / tanh(HALF_QUANTUM_K * nu / (s->o->temperature_k + 1e-9)) / nu;
}

static int best_branch(const state *s, const xn_observed *p, const room *r)
{
    int n = 3 * s->start->n_atoms, best = -1;
    double sigma = sigma_of(s, p) * s->width, least = INFINITY, strongest = 0.0;
    for (int b = 0; b < n; b++) strongest = fmax(strongest, visibility(s, p, r, b));
    for (int b = 0; b < n; b++) {
        double z = (p->nu_thz - r->nu[b]) / sigma, share = visibility(s, p, r, b) / strongest;
        double cost = z * z - 2 * log(share + FAINT);
        if (fabs(z) > s->o->reach || !(cost < least)) continue;
        least = cost;
        best = b;
    }
    return best;
}

// d nu_b / d theta_k of all k.
static void set_slopes(const state *s, const xn_observed *p, room *r, int b)
{
    size_t n = 3 * (size_t)s->start->n_atoms;
    const double complex *e = r->e + (size_t)b * n;
    for (int k = 0; k < s->shells->n; k++) {
        double complex sum = 0.0;
        memset(r->d, 0, n * n * sizeof *r->d);
        xn_shells_matrix(s->shells, s->start, k, p->q, r->d);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) sum += conj(e[i]) * r->d[i * n + j] * e[j];
        double w = 2 * M_PI * 1e12 * fmax(fabs(r->nu[b]), 0.05);
        r->slope[k] = creal(sum) / U_KG / (2 * w) / (2 * M_PI) * 1e-12;
    }
}

static void add_point(const state *s, const xn_forces *now, int64_t i, room *r)
{
    const xn_observed *p = &s->points[i];
    int n = s->shells->n, b = -1;
    if (xn_forces_solve(now, p->q, NULL, r->work, r->nu, r->e)) b = best_branch(s, p, r);
    s->branch[i] = b;
    if (b < 0) return;
    set_slopes(s, p, r, b);
    double sigma = sigma_of(s, p), z = (p->nu_thz - r->nu[b]) / sigma;
    r->chi2 += z * z;
    r->used++;
    for (int k = 0; k < n; k++) {
        r->right[k] += r->slope[k] / sigma * z;
        for (int m = 0; m <= k; m++) r->normal[k * n + m] += r->slope[k] * r->slope[m] / (sigma * sigma);
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
            for (int64_t i = k; i < s->n_points; i += SHARES) add_point(s, now, i, &share[k]);
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

static xani_status rounds(state *s, xn_refined *r, double *step)
{
    int n = r->n;
    for (; r->iterations < ROUNDS_MOST && !r->converged; r->iterations++) {
        xn_forces now;
        XN_TRY(xn_shells_apply(s->ctx, s->shells, s->start, r->theta, &now));
        xani_status st = pass(s, &now);
        xn_forces_free(&now);
        XN_TRY(st);
        if (r->iterations == 0) r->chi2_before = s->chi2;
        if (!solve(s, r->prior, r->theta, step, r->covariance))
            return xn_fail(s->ctx, XANI_ERR_INTERNAL, "the normal equations of the force constants cannot be solved");
        double largest = 0.0;
        for (int k = 0; k < n; k++) {
            r->theta[k] += step[k];
            largest = fmax(largest, fabs(step[k]) / sqrt(r->covariance[k * n + k]));
        }
        r->converged = s->width == 1.0 && largest < SETTLED;
        s->width = fmax(1.0, s->width * 0.7);
    }
    return XANI_OK;
}

static void judge(const state *s, xn_refined *r)
{
    int n = r->n, determined = 0;
    for (int k = 0; k < n; k++) {
        r->determined[k] = sqrt(r->covariance[k * n + k]) < 0.5 * r->prior[k];
        determined += r->determined[k];
    }
    r->chi2 = s->chi2;
    r->used = s->used;
    r->refused = s->n_points - s->used;
    r->dof = (int)xn_max64(1, s->used - determined);
    double scale = fmax(1.0, r->chi2 / r->dof);
    for (int k = 0; k < n * n; k++) r->covariance[k] *= scale;
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
               .width = WIDE,
               .normal = xn_calloc(n * n, sizeof(double)),
               .right = xn_calloc(n, sizeof(double)),
               .branch = xn_calloc((size_t)n_points, sizeof(int32_t))};
    double *step = xn_calloc(n, sizeof *step);
    xani_status st = XANI_OK;
    if (!out->theta || !out->covariance || !out->prior || !out->determined || !s.normal || !s.right || !s.branch ||
        !step)
        st = xn_fail_memory(ctx, "the refinement", n * n * 16 + (size_t)n_points * 4);
    if (st == XANI_OK) set_priors(shells, options->prior, out->prior);
    if (st == XANI_OK) st = rounds(&s, out, step);
    if (st == XANI_OK) judge(&s, out);
    if (st == XANI_OK && branch != NULL) memcpy(branch, s.branch, (size_t)n_points * sizeof *branch);
    xn_free(s.normal);
    xn_free(s.right);
    xn_free(s.branch);
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
