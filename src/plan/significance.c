// SPDX-License-Identifier: BSD-3-Clause
// significance.c -- see significance.h: projections of weighted columns, and the noncentral chi^2.
//
// The background and the cosines and sines of the other lines are orthonormalised by Gram-Schmidt, twice; what the
// line's own four derivatives have beside them gives rho and the normal matrix of the errors.  P(chi'^2_4(l) > x) is
// the Poisson mixture of central ones with 4 + 2j degrees of freedom, whose tails are finite sums (Johnson, Kotz and
// Balakrishnan, Continuous Univariate Distributions 2, 29.3).
#include "plan/significance.h"

#include <math.h>
#include <string.h>

#define OWN 4
#define TINY 1e-18  // of a column's square: rounding
#define LARGE 600.0 // exp(-threshold) is still a number here
#define COLUMNS (4 + 2 * (XN_PLAN_TOGETHER - 1) + OWN + 1)

void xn_plan_trace_free(xn_plan_trace *t)
{
    xn_free(t->t_ps);
    xn_free(t->share);
    memset(t, 0, sizeof *t);
}

double xn_plan_clock(double f_thz, double timing_ps)
{
    double x = M_PI * f_thz * timing_ps;
    return exp(-2.0 * x * x);
}

double xn_plan_box(double f_thz, double width_ps)
{
    double x = M_PI * f_thz * width_ps;
    return fabs(x) < 1e-6 ? 1.0 - x * x / 6.0 : sin(x) / x;
}

size_t xn_plan_work(const xn_plan_trace *t) { return (size_t)t->n * COLUMNS; }

// ---- columns

static double dot(int n, const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// Takes from v what lies along the first k columns, which are orthonormal.
static void reduce(int n, const double *q, int k, double *v)
{
    for (int pass = 0; pass < 2; pass++)
        for (int c = 0; c < k; c++) {
            const double *u = q + (size_t)c * (size_t)n;
            double along = dot(n, u, v);
            for (int i = 0; i < n; i++) v[i] -= along * u[i];
        }
}

// Adds column k to the orthonormal ones unless it is made up of them; returns their number.
static int keep(int n, double *q, int k)
{
    double *v = q + (size_t)k * (size_t)n, before = dot(n, v, v);
    reduce(n, q, k, v);
    double after = dot(n, v, v);
    if (!(after > TINY * before) || !(after > 0.0)) return k;
    for (int i = 0; i < n; i++) v[i] /= sqrt(after);
    return k + 1;
}

static int add_background(const xn_plan_trace *t, double *q)
{
    int k = 0;
    double span = fmax(t->t_ps[t->n - 1] - t->t_ps[0], 1e-12);
    for (int p = 0; p <= t->degree; p++) {
        for (int i = 0; i < t->n; i++)
            q[(size_t)k * (size_t)t->n + (size_t)i] =
                sqrt(t->share[i]) * pow(2.0 * (t->t_ps[i] - t->t_ps[0]) / span - 1.0, p);
        k = keep(t->n, q, k);
    }
    return k;
}

// sqrt(share) times the envelope, 0 before time zero.
static double envelope(const xn_plan_trace *t, const xn_plan_line *l, int i)
{
    double x = t->t_ps[i];
    if (x < 0.0) return 0.0;
    double group = xn_plan_box(l->across_thz[0], x) * xn_plan_box(l->across_thz[1], x);
    return sqrt(t->share[i]) * group * exp(-l->damping_per_ps * x);
}

static int add_other(const xn_plan_trace *t, const xn_plan_line *l, double *q, int k)
{
    double *cosine = q + (size_t)k * (size_t)t->n, *sine = cosine + t->n;
    for (int i = 0; i < t->n; i++) {
        double e = envelope(t, l, i), angle = 2.0 * M_PI * l->f_thz * t->t_ps[i];
        cosine[i] = e * cos(angle);
        sine[i] = e * sin(angle);
    }
    int next = keep(t->n, q, k);
    if (next == k) memcpy(cosine, sine, (size_t)t->n * sizeof *sine);
    return keep(t->n, q, next);
}

// Derivatives of a line of amplitude 1 to amplitude, phase, frequency and damping, from column k on, less what lies
// along the columns before; gram: their products.
static void own_products(const xn_plan_trace *t, const xn_plan_line *l, double *q, int k, double gram[OWN][OWN])
{
    double *column[OWN];
    for (int c = 0; c < OWN; c++) column[c] = q + (size_t)(k + c) * (size_t)t->n;
    for (int i = 0; i < t->n; i++) {
        double e = envelope(t, l, i), x = t->t_ps[i], angle = 2.0 * M_PI * l->f_thz * x + l->phase;
        double c = e * cos(angle), s = e * sin(angle);
        column[0][i] = c;
        column[1][i] = -s;
        column[2][i] = -2.0 * M_PI * x * s;
        column[3][i] = -x * c;
    }
    for (int c = 0; c < OWN; c++) reduce(t->n, q, k, column[c]);
    for (int c = 0; c < OWN; c++)
        for (int d = 0; d <= c; d++) gram[c][d] = gram[d][c] = dot(t->n, column[c], column[d]);
}

// Variance of parameter `which`: one over what of its column stands on the others, by elimination of those.
static double variance(const double gram[OWN][OWN], int which)
{
    double g[OWN][OWN], before = gram[which][which];
    memcpy(g, gram, sizeof g);
    for (int c = 0; c < OWN; c++) {
        if (c == which || !(g[c][c] > TINY * gram[c][c])) continue; // made up of others already
        for (int i = 0; i < OWN; i++) {
            double along = g[i][c] / g[c][c];
            for (int j = 0; i != c && j < OWN; j++) g[i][j] -= along * g[c][j];
        }
        for (int i = 0; i < OWN; i++) g[i][c] = g[c][i] = i == c ? g[c][c] : 0.0;
    }
    return g[which][which] > TINY * before ? 1.0 / g[which][which] : INFINITY;
}

xn_plan_odds xn_plan_line_odds(const xn_plan_trace *t, const xn_plan_line *line, int n, int which, double *work)
{
    const xn_plan_line *l = &line[which];
    double a = fabs(l->amplitude) * xn_plan_clock(l->f_thz, t->timing_ps) * fabs(xn_plan_box(l->f_thz, t->width_ps));
    double gram[OWN][OWN];
    int k = add_background(t, work);
    for (int i = 0; i < n; i++)
        if (i != which) k = add_other(t, &line[i], work, k);
    own_products(t, l, work, k, gram);
    return (xn_plan_odds){.common = NAN,
                          .rho = a * sqrt(gram[0][0]),
                          .amplitude_snr = a / sqrt(variance((const double(*)[OWN])gram, 0)),
                          .sigma_f_thz = sqrt(variance((const double(*)[OWN])gram, 2)) / a};
}

// ---- detection

double xn_plan_mean_significance(double rho) { return rho * rho + OWN; }

double xn_plan_found(double rho, double threshold)
{
    if (!(rho >= 0.0)) return 0.0;
    if (rho > sqrt(threshold) + 8.0) return 1.0;
    if (threshold > LARGE) // many degrees: nearly normal
        return 0.5 * erfc((threshold - 4.0 - rho * rho) / sqrt(4.0 * (4.0 + 2.0 * rho * rho)));
    double half = 0.5 * threshold, mean = 0.5 * rho * rho;
    double poisson = exp(-mean), term = exp(-half), tail = term; // tail: of 2 degrees of freedom
    double sum = 0.0, left = 1.0;
    for (int j = 0; j < 2000 && left > 1e-12; j++) {
        term *= half / (j + 1); // of 4 + 2 j
        tail += term;
        sum += poisson * tail;
        left -= poisson;
        poisson *= mean / (j + 1);
    }
    return fmin(sum + fmax(left, 0.0), 1.0);
}

double xn_plan_rho_for(double p, double threshold)
{
    double lo = 0.0, hi = sqrt(threshold) + 8.0;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (lo + hi);
        if (xn_plan_found(middle, threshold) < p)
            lo = middle;
        else
            hi = middle;
    }
    return hi;
}
