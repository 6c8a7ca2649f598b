// SPDX-License-Identifier: BSD-3-Clause
// lm.c -- see lm.h.
#include "lsq/lm.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "lsq/qr.h"

#define MEMORY 0.9     // of a column's largest norm from step to step: none forgets the valley it is in, all starves it
#define ACCEPT 1e-4    // of the predicted decrease must be real
#define SMALLEST 1e-15 // relative decrease and step below which nothing more is to be had
#define BLIND_STEPS 4  // taken where the decrease is below the rounding of the sum of squares
#define ORTHOGONAL 1e-4 // standard errors: a stalled point counts as a minimum below this
#define NEAR 1e-2       // standard errors: differences are taken more accurately from here on
#define ROUNDING 16.0   // units of the last place of the data
#define DEPENDENT 1e-13 // sine of the angle between columns below which they are one
#define DEPENDENT_NUMERIC 1e-10

// ---- memory

static size_t padded(size_t n) { return (n + 7) & ~(size_t)7; }

void *xn_cut(char **at, size_t n, size_t size)
{
    void *p = *at;
    *at += (n * size + 63) & ~(size_t)63;
    return p;
}

static double *cut(char **at, size_t n) { return xn_cut(at, n, sizeof(double)); }

size_t xn_lm_work_bytes(int64_t m, int n)
{
    size_t rows = (size_t)m, columns = (size_t)n;
    return sizeof(double) * (13 * padded(columns) + 3 * padded(rows) + 2 * padded(rows * columns) +
                             padded(columns * columns) + padded(columns * (columns + 3)));
}

void xn_lm_work_bind(xn_lm_work *w, void *memory, int64_t m, int n)
{
    char *at = memory;
    size_t rows = (size_t)m, columns = (size_t)n;
    double **vectors[] = {&w->z, &w->trial_z, &w->step, &w->scale, &w->norm, &w->trial_norm, &w->v, &w->move, &w->rest};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) *vectors[i] = cut(&at, columns);
    w->r = cut(&at, rows);
    w->trial_r = cut(&at, rows);
    w->c = cut(&at, rows);
    w->j = cut(&at, rows * columns);
    w->trial_j = cut(&at, rows * columns);
    w->small = cut(&at, columns * columns);
    w->trust = cut(&at, columns * (columns + 3));
    w->pivot = xn_cut(&at, columns, sizeof(int));
    w->free = xn_cut(&at, columns, sizeof(int));
    w->loose = xn_cut(&at, columns, sizeof(int));
    w->small_pivot = xn_cut(&at, columns, sizeof(int));
}

static void swap(double **a, double **b)
{
    double *t = *a;
    *a = *b;
    *b = t;
}

// ---- the linear model at the current point

// Norms of the Jacobian's columns. false: not all are finite.
static bool measure(const double *j, int64_t m, int n, double *norm)
{
    double sum = 0.0;
    for (int k = 0; k < n; k++) sum += norm[k] = xn_norm(j + k * m, m);
    return isfinite(sum);
}

// A variable on a bound stays there while the sum of squares falls only outside.
static bool is_held(const xn_lm_problem *p, const xn_lm_work *w, int k)
{
    const bool low = w->z[k] <= p->low[k], high = w->z[k] >= p->high[k];
    if (!low && !high) return false;
    const double gradient = xn_dot(w->j + k * p->m, w->r, p->m);
    return (low && gradient >= 0.0) || (high && gradient <= 0.0);
}

// Free variables, and the factor of their scaled columns in place of the Jacobian; w->c = Q^T r; w->offset.
static void linearise(const xn_lm_problem *p, xn_lm_work *w)
{
    const int64_t m = p->m;
    w->n_free = 0;
    for (int k = 0; k < p->n; k++) {
        w->scale[k] = fmax(w->norm[k], MEMORY * w->scale[k]);
        if (!is_held(p, w, k)) w->free[w->n_free++] = k;
    }
    for (int f = 0; f < w->n_free; f++) {
        const int k = w->free[f];
        const double inverse = 1.0 / (w->scale[k] > 0.0 ? w->scale[k] : 1.0), size = w->norm[k] * inverse;
        for (int64_t i = 0; i < m; i++) w->j[f * m + i] = w->j[k * m + i] * inverse;
        w->v[f] = size * size;
    }
    memcpy(w->c, w->r, (size_t)m * sizeof *w->c);
    xn_qr_factor(w->j, m, w->n_free, m, w->c, w->pivot, w->v);
    const double along = xn_dot(w->c, w->c, w->n_free), across = w->chi2 - along;
    const int64_t left = m - w->n_free;
    w->offset = 0.0;
    if (along == 0.0) return;
    w->offset = across > 0.0 && left > 0 ? sqrt(along / w->n_free / (across / (double)left)) : INFINITY;
}

// Whether a column of the factor is zero or lies in the span of those before it.
static bool is_dependent(const xn_lm_problem *p, const xn_lm_work *w)
{
    const double least = p->numeric ? DEPENDENT_NUMERIC : DEPENDENT;
    for (int f = 0; f < w->n_free; f++) {
        const int k = w->free[w->pivot[f]];
        if (!(fabs(w->j[f * p->m + f]) * w->scale[k] > least * w->norm[k])) return true;
    }
    return false;
}

static bool is_rounding(const xn_lm_problem *p, const xn_lm_work *w)
{
    return xn_norm(w->c, w->n_free) <= ROUNDING * DBL_EPSILON * p->data_norm;
}

// ---- one step

// Puts the step of free variable f at its bound if v would pass it. v is scaled.
static bool clip(const xn_lm_problem *p, const xn_lm_work *w, int f, double v, double *at_bound)
{
    const int k = w->free[f];
    const double scale = w->scale[k] > 0.0 ? w->scale[k] : 1.0, z = w->z[k] + v / scale;
    if (z >= p->low[k] && z <= p->high[k]) return false;
    *at_bound = ((z < p->low[k] ? p->low[k] : p->high[k]) - w->z[k]) * scale;
    return true;
}

// Keeps in w->loose the columns whose step stays in the box; the others move to their bounds. false: all stay.
static bool split(const xn_lm_problem *p, xn_lm_work *w, int *n_loose)
{
    int kept = 0;
    for (int i = 0; i < *n_loose; i++) {
        const int column = w->loose[i];
        if (!clip(p, w, w->pivot[column], w->v[i], &w->move[column])) {
            w->move[column] = w->v[i];
            w->loose[kept++] = column;
        }
    }
    bool clipped = kept < *n_loose;
    *n_loose = kept;
    return clipped;
}

// The step w->move within the trust region and the box, scaled, in the order of the factor's columns. Variables that
// would leave the box are put on their bounds and the rest is solved again. Returns lambda.
static double bounded_step(const xn_lm_problem *p, xn_lm_work *w, double radius, double lambda)
{
    const int n = w->n_free;
    int loose = n;
    for (int i = 0; i < n; i++) w->loose[i] = i;
    lambda = xn_qr_trust(w->j, n, p->m, w->c, radius, lambda, w->v, w->trust);
    while (split(p, w, &loose) && loose > 0) {
        double used = 0.0;
        memcpy(w->rest, w->c, (size_t)n * sizeof *w->rest);
        for (int column = 0, next = 0; column < n; column++) {
            const double *r = w->j + column * p->m;
            if (next < loose && w->loose[next] == column) {
                for (int i = 0; i < n; i++) w->small[next * n + i] = i <= column ? r[i] : 0.0;
                next++;
                continue;
            }
            for (int i = 0; i <= column; i++) w->rest[i] += r[i] * w->move[column];
            used += w->move[column] * w->move[column];
        }
        for (int i = 0; i < loose; i++) w->v[i] = xn_dot(w->small + i * n, w->small + i * n, n);
        xn_qr_factor(w->small, n, loose, n, w->rest, w->small_pivot, w->v);
        const double left = sqrt(fmax(radius * radius - used, 0.01 * radius * radius));
        xn_qr_trust(w->small, loose, n, w->rest, left, lambda, w->trial_z, w->trust);
        for (int i = 0; i < loose; i++) w->v[w->small_pivot[i]] = w->trial_z[i];
    }
    return lambda;
}

// Sets w->trial_z; returns the decrease of |r|^2 that the linear model predicts.
static double predict(const xn_lm_problem *p, xn_lm_work *w, double *length)
{
    const int n = w->n_free;
    memcpy(w->rest, w->c, (size_t)n * sizeof *w->rest);
    memcpy(w->trial_z, w->z, (size_t)p->n * sizeof *w->trial_z);
    for (int column = 0; column < n; column++) {
        const int k = w->free[w->pivot[column]];
        const double step = w->move[column] / (w->scale[k] > 0.0 ? w->scale[k] : 1.0);
        for (int i = 0; i <= column; i++) w->rest[i] += w->j[column * p->m + i] * w->move[column];
        w->trial_z[k] = fmin(fmax(w->z[k] + step, p->low[k]), p->high[k]);
    }
    *length = xn_norm(w->move, n);
    double gain = 0.0; // |c|^2 - |R v + c|^2 without cancellation
    for (int i = 0; i < n; i++) gain += (w->c[i] - w->rest[i]) * (w->c[i] + w->rest[i]);
    return gain;
}

// |r|^2 - |trial|^2, exact to the rounding of the residuals.
static double decrease(const xn_lm_work *w, int64_t m)
{
    double s[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= m; i += 8)
        for (int k = 0; k < 8; k++) s[k] += (w->r[i + k] - w->trial_r[i + k]) * (w->r[i + k] + w->trial_r[i + k]);
    for (int k = 0; i < m; i++, k++) s[k] += (w->r[i] - w->trial_r[i]) * (w->r[i] + w->trial_r[i]);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static double scaled_size(const xn_lm_problem *p, const xn_lm_work *w)
{
    double sum = 0.0;
    for (int k = 0; k < p->n; k++) sum += w->scale[k] * w->z[k] * w->scale[k] * w->z[k];
    return sqrt(sum);
}

// ---- the iteration

typedef struct trust_state {
    double radius, lambda;
    int blind_steps;
    bool first, stalled, moved;
} trust_state;

// The trust region after a trial of this length with these decreases (More 1978).
static void adapt(trust_state *t, double predicted, double actual, double slope, double length)
{
    if (!(actual > 0.25 * predicted)) {
        double factor = 0.5;
        if (!(actual >= 0.0)) factor = isfinite(actual) ? 0.5 * slope / (slope - 0.5 * actual) : 0.1;
        if (!(factor >= 0.1)) factor = 0.1;
        t->radius = factor * fmin(t->radius, 10.0 * length);
        t->lambda /= factor;
    } else if (t->lambda == 0.0 || actual >= 0.75 * predicted) {
        t->radius = 2.0 * length;
        t->lambda *= 0.5;
    }
}

// Residuals at the trial point, and the Jacobian where it costs little. false: not finite.
static bool try_out(const xn_lm_problem *p, xn_lm_work *w, int accuracy)
{
    if (!p->evaluate(p->user, w->trial_z, w->trial_r, p->numeric ? NULL : w->trial_j, accuracy)) return false;
    if (!isfinite(xn_dot(w->trial_r, w->trial_r, p->m))) return false;
    return p->numeric || measure(w->trial_j, p->m, p->n, w->trial_norm);
}

static void attempt(const xn_lm_problem *p, xn_lm_work *w, trust_state *t, int accuracy)
{
    double length;
    t->lambda = bounded_step(p, w, t->radius, t->lambda);
    const double predicted = predict(p, w, &length);
    if (t->first) t->radius = fmin(t->radius, fmax(length, DBL_MIN));
    t->first = false;
    const bool finite = predicted > 0.0 && try_out(p, w, accuracy);
    const double actual = finite ? decrease(w, p->m) : -INFINITY;
    double slope = 0.0; // half the derivative of |r|^2 along the step, downwards
    for (int i = 0; i < w->n_free; i++) slope += (w->c[i] - w->rest[i]) * w->c[i];
    adapt(t, predicted, actual, slope, length);
    // Below the rounding of |r|^2 no decrease can be seen; a few Gauss-Newton steps still bring z nearer.
    const double noise = 4.0 * DBL_EPSILON * sqrt(w->chi2) * (p->data_norm + sqrt(w->chi2));
    const bool blind = predicted <= noise;
    t->moved = finite && (actual >= ACCEPT * predicted || (blind && actual >= -noise));
    if (blind) t->blind_steps += t->moved ? 1 : BLIND_STEPS;
    if (t->moved) {
        swap(&w->z, &w->trial_z);
        swap(&w->r, &w->trial_r);
        swap(&w->j, &w->trial_j);
        swap(&w->norm, &w->trial_norm);
        w->chi2 = xn_dot(w->r, w->r, p->m);
    }
    t->stalled = t->blind_steps >= BLIND_STEPS || t->radius <= SMALLEST * scaled_size(p, w) || t->radius < DBL_MIN;
}

static bool differentiate(const xn_lm_problem *p, xn_lm_work *w, int accuracy)
{
    return p->evaluate(p->user, w->z, w->trial_r, w->j, accuracy) && measure(w->j, p->m, p->n, w->norm);
}

static xn_lm_outcome judge(const xn_lm_problem *p, const xn_lm_work *w)
{
    if (is_dependent(p, w)) return XN_LM_SINGULAR;
    return w->offset <= ORTHOGONAL || is_rounding(p, w) ? XN_LM_CONVERGED : XN_LM_STALLED;
}

static xn_lm_outcome iterate(const xn_lm_problem *p, xn_lm_work *w)
{
    trust_state t = {.first = true, .moved = true};
    int accuracy = XN_LM_FORWARD;
    const int finest = p->numeric ? XN_LM_ACCURACIES - 1 : XN_LM_FORWARD;
    memcpy(w->trial_z, w->z, (size_t)p->n * sizeof *w->z);
    if (!try_out(p, w, accuracy)) return XN_LM_BAD_START;
    swap(&w->r, &w->trial_r);
    swap(&w->j, &w->trial_j);
    swap(&w->norm, &w->trial_norm);
    w->chi2 = xn_dot(w->r, w->r, p->m);
    for (;;) {
        bool refine = false;
        if (t.moved) {
            if (p->numeric && !differentiate(p, w, accuracy)) return t.first ? XN_LM_BAD_START : XN_LM_STALLED;
            linearise(p, w);
            if (t.first) {
                t.radius = p->first_radius * scaled_size(p, w);
                if (!(t.radius > 0.0)) t.radius = p->first_radius;
            }
            refine = accuracy < finest && w->offset <= NEAR;
            if (!refine && w->offset <= p->tolerance) return judge(p, w);
        }
        if (accuracy < finest && (refine || t.stalled)) { // look again with a better Jacobian
            accuracy++;
            t.radius = fmax(t.radius, 0.01 * scaled_size(p, w));
            t.moved = true;
            t.stalled = false;
            t.blind_steps = 0;
            continue;
        }
        if (t.stalled) return judge(p, w);
        if (*p->evaluations >= p->max_evaluations) return XN_LM_LIMIT;
        attempt(p, w, &t, accuracy);
    }
}

xn_lm_outcome xn_lm_minimise(const xn_lm_problem *p, xn_lm_work *w, double *z)
{
    memcpy(w->z, z, (size_t)p->n * sizeof *z);
    memset(w->scale, 0, (size_t)p->n * sizeof *w->scale);
    w->n_free = 0;
    w->offset = INFINITY;
    w->chi2 = NAN;
    xn_lm_outcome outcome = iterate(p, w);
    memcpy(z, w->z, (size_t)p->n * sizeof *z);
    return outcome;
}

void xn_lm_covariance(const xn_lm_problem *p, xn_lm_work *w, double *covariance)
{
    const int n = p->n, f = w->n_free;
    for (int i = 0; i < n * n; i++) covariance[i] = NAN;
    xn_qr_covariance(w->j, f, p->m, w->pivot, w->small, w->trust);
    for (int i = 0; i < f; i++)
        for (int j = 0; j < f; j++)
            covariance[w->free[i] * n + w->free[j]] =
                w->small[i * f + j] / (w->scale[w->free[i]] * w->scale[w->free[j]]);
}
