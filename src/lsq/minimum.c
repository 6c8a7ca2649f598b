// SPDX-License-Identifier: BSD-3-Clause
// minimum.c -- from start values to a minimum with its verdict and covariance, for one data set.
//
// A fit that does not end at a minimum is tried again from the same start with a larger and a smaller trust region:
// what helps when the first steps went astray.  The best end counts.
//
// A width that enters squared, as voigt's sigma, has a derivative of zero on its bound: no gradient tells whether that
// is the minimum.  The sum of squares inside does, and the fit goes on from there where it is lower.
#include <float.h>
#include <math.h>
#include <string.h>

#include "lsq/lsq.h"
#include "lsq/qr.h"

#define PI 3.14159265358979323846
#define VANISHED 100.0 // roundings of the data
#define LOOKS 8        // decades of a parameter

// In units of the scaled start values; 0.3 needs fewest evaluations over NIST's sets.
static const double radii[] = {0.3, 10.0, 0.03};
enum { ATTEMPTS = sizeof radii / sizeof radii[0] };

static bool is_size(const xn_parameter *p)
{
    const char *dot = strrchr(p->name, '.');
    return p->linear || strncmp(dot != NULL ? dot + 1 : p->name, "amplitude", 9) == 0;
}

static bool same_part(const xani_model *m, int k, int l)
{
    for (int i = 0; i < m->n_parts; i++) {
        const int first = m->part[i].first, end = first + m->part[i].count;
        if (k >= first && k < end) return l >= first && l < end;
    }
    return false;
}

static bool better(xn_lm_outcome a, double chi2_a, xn_lm_outcome b, double chi2_b)
{
    if ((a == XN_LM_CONVERGED) != (b == XN_LM_CONVERGED)) return a == XN_LM_CONVERGED;
    return chi2_a < chi2_b || isnan(chi2_b);
}

// Whether a term has shrunk to less than the data's rounding: what else stands in it, a centre or a width, is then
// arbitrary, although its columns are not zero.
static bool has_vanished(const xn_fitter *f, const double *z)
{
    const xn_scheme *s = f->scheme;
    const double least = VANISHED * DBL_EPSILON * f->data_norm;
    for (int v = 0; v < s->n_free; v++) {
        const int k = s->variable[v];
        if (!is_size(&s->model->parameter[k]) || fabs(z[v]) * f->lm.norm[v] > least) continue;
        for (int u = 0; u < s->n_free; u++)
            if (same_part(s->model, k, s->variable[u]) && !is_size(&s->model->parameter[s->variable[u]])) return true;
    }
    return false;
}

static xani_model_status status_of(const xn_fitter *f, xn_lm_outcome outcome, const double *z)
{
    const xn_scheme *s = f->scheme;
    switch (outcome) {
    case XN_LM_BAD_START:
        return XANI_MODEL_BAD_START;
    case XN_LM_SINGULAR:
        return XANI_MODEL_SINGULAR;
    case XN_LM_STALLED:
    case XN_LM_LIMIT:
        return XANI_MODEL_NOT_CONVERGED;
    case XN_LM_CONVERGED:
        break;
    }
    if (has_vanished(f, z)) return XANI_MODEL_SINGULAR;
    for (int k = 0; k < s->n_free; k++)
        if (z[k] <= s->low[k] || z[k] >= s->high[k]) return XANI_MODEL_AT_BOUND;
    return XANI_MODEL_CONVERGED;
}

// Angles that nothing else depends on come back to (-pi, pi].
static void wrap_angles(const xn_scheme *s, double *p)
{
    for (int v = 0; v < s->n_free; v++) {
        const int k = s->variable[v];
        bool plain = s->model->parameter[k].angle && isinf(s->low[v]) && isinf(s->high[v]);
        for (int t = 0; t < s->n_ties && plain; t++) plain = s->factor[(size_t)t * XN_MODEL_PARAMETERS + k] == 0.0;
        if (!plain || (p[k] > -PI && p[k] <= PI)) continue;
        p[k] -= 2.0 * PI * ceil(p[k] / (2.0 * PI) - 0.5);
    }
}

// Moves a variable without derivative on its bound inside, where that lowers the sum of squares. false: none does.
static bool leave_bound(xn_fitter *f, const xn_lm_problem *problem, const double *start, double *z)
{
    const xn_scheme *s = f->scheme;
    const double chi2 = f->lm.chi2, noise = 4.0 * DBL_EPSILON * sqrt(chi2) * (f->data_norm + sqrt(chi2));
    for (int v = 0; v < s->n_free; v++) {
        const double on = z[v];
        if ((on > s->low[v] && on < s->high[v]) || f->lm.norm[v] != 0.0) continue;
        double step = start[v] != on ? fabs(start[v] - on) : 1.0;
        for (int i = 0; i < LOOKS; i++) {
            z[v] = on <= s->low[v] ? fmin(on + step, s->high[v]) : fmax(on - step, s->low[v]);
            if (problem->evaluate(problem->user, z, f->lm.trial_r, NULL, XN_LM_FORWARD) &&
                xn_dot(f->lm.trial_r, f->lm.trial_r, f->n) < chi2 - noise)
                return true;
            step *= 0.1;
        }
        z[v] = on;
    }
    return false;
}

xani_model_status xn_fitter_minimise(xn_fitter *f, double *p)
{
    const xn_scheme *s = f->scheme;
    if (f->n == 0) return XANI_MODEL_MASKED;
    if (f->n < s->n_free) return XANI_MODEL_FEW_POINTS;
    double start[XN_MODEL_PARAMETERS] = {0}, z[XN_MODEL_PARAMETERS], best[XN_MODEL_PARAMETERS];
    xn_lm_problem problem = xn_fitter_problem(f);
    for (int k = 0; k < s->n_free; k++) start[k] = p[s->variable[k]];
    memcpy(f->full, p, (size_t)s->model->n_parameters * sizeof *p);
    xn_lm_outcome outcome = XN_LM_BAD_START;
    double chi2 = NAN;
    int last = 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        problem.first_radius = radii[attempt];
        problem.max_evaluations =
            f->evaluations + (s->max_evaluations - f->evaluations) / (attempt + 1 < ATTEMPTS ? 2 : 1);
        memcpy(z, start, sizeof z);
        const xn_lm_outcome now = xn_lm_minimise(&problem, &f->lm, z);
        if (attempt == 0 || better(now, f->lm.chi2, outcome, chi2)) {
            outcome = now;
            chi2 = f->lm.chi2;
            memcpy(best, z, sizeof best);
            last = attempt;
        }
        const bool done = outcome == XN_LM_CONVERGED || now == XN_LM_BAD_START || s->n_free == 0;
        if (done) break;
        if (attempt + 1 == ATTEMPTS && last != attempt) // the factor and the residuals must be those of the best
            outcome = xn_lm_minimise(&problem, &f->lm, best);
    }
    if (outcome != XN_LM_BAD_START && leave_bound(f, &problem, start, best))
        outcome = xn_lm_minimise(&problem, &f->lm, best);
    xn_fitter_expand(s, best, p);
    xani_model_status status = status_of(f, outcome, best);
    wrap_angles(s, p);
    return status;
}

// Rows and columns of all parameters from those of the variables: C = T C_z T^T with T = dp/dz.
void xn_fitter_covariance(xn_fitter *f, double *covariance)
{
    const xn_scheme *s = f->scheme;
    const int all = s->model->n_parameters, n = s->n_free;
    const xn_lm_problem problem = xn_fitter_problem(f);
    double *c = f->matrix, *t = c + (size_t)n * n, *row = t + (size_t)all * n;
    bool held[XN_MODEL_PARAMETERS] = {false};
    xn_lm_covariance(&problem, &f->lm, c);
    memset(t, 0, (size_t)all * n * sizeof *t);
    for (int v = 0; v < n; v++) {
        held[s->variable[v]] = isnan(c[v * n + v]);
        t[s->variable[v] * n + v] = 1.0;
        for (int k = 0; k < s->n_ties; k++)
            t[s->tied[k] * n + v] = s->factor[(size_t)k * XN_MODEL_PARAMETERS + s->variable[v]];
    }
    for (int i = 0; i < n * n; i++)
        if (isnan(c[i])) c[i] = 0.0; // held on a bound: as if fixed there
    for (int a = 0; a < all; a++) {
        for (int v = 0; v < n; v++) {
            row[v] = 0.0;
            for (int u = 0; u < n; u++) row[v] += t[a * n + u] * c[u * n + v];
        }
        for (int b = 0; b < all; b++) {
            double sum = 0.0;
            for (int v = 0; v < n; v++) sum += row[v] * t[b * n + v];
            covariance[a * all + b] = held[a] || held[b] ? NAN : sum;
        }
    }
    // Residuals are not known better than the rounding of the data: without noise, what only rounding determines must
    // not get an error of zero.
    const double rounding = DBL_EPSILON * f->data_norm, left = (double)(f->n - n);
    const double noise = left > 0.0 ? fmax(f->lm.chi2 / left, rounding * rounding / (double)f->n) : NAN;
    const double scale = s->absolute_sigma ? 1.0 : noise;
    for (int i = 0; i < all * all; i++) covariance[i] *= scale;
}
