// SPDX-License-Identifier: BSD-3-Clause
// significance.c -- see significance.h: projections of weighted columns, and the noncentral chi^2.
//
// Columns are orthonormalised twice by Gram-Schmidt: first the background and the cosines and sines of the other lines,
// then what is left of the line's own four derivatives.  P(chi'^2_4(l) > x) is the Poisson mixture of central ones with
// 4 + 2j degrees of freedom, whose tails are finite sums (Johnson, Kotz and Balakrishnan, Continuous Univariate
// Distributions 2, 29.3).
#include "plan/significance.h"

#include <math.h>
#include <string.h>

#define OWN 4
#define LARGE 600.0 // exp(-threshold) is still a number here
#define COLUMNS (4 + 2 * (XN_PLAN_TOGETHER - 1) + OWN + 1)

void xn_plan_trace_free(xn_plan_trace *t)
{
    xn_free(t->t_ps);
    xn_free(t->share);
    memset(t, 0, sizeof *t);
}

static double sinc(double x) { return fabs(x) < 1e-6 ? 1.0 - x * x / 6.0 : sin(x) / x; }

double xn_plan_clock(double f_thz, double timing_ps)
{
    double x = M_PI * f_thz * timing_ps;
    return exp(-2.0 * x * x);
}

double xn_plan_box(double f_thz, double width_ps) { return sinc(M_PI * f_thz * width_ps); }

size_t xn_plan_work(const xn_plan_trace *t) { return (size_t)t->n * COLUMNS; }

// ---- columns

static double dot(int n, const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

// Takes from column k what lies along columns 0 .. k - 1, which are orthonormal.
static void reduce(int n, double *q, int k)
{
    double *v = q + (size_t)k * (size_t)n;
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
    reduce(n, q, k);
    double after = dot(n, v, v);
    if (!(after > 1e-20 * before) || !(after > 0.0)) return k;
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
    double group = sinc(M_PI * l->across_thz[0] * x) * sinc(M_PI * l->across_thz[1] * x);
    return sqrt(t->share[i]) * group * exp(-l->damping_per_ps * x);
}

static int add_other(const xn_plan_trace *t, const xn_plan_line *l, double *q, int k)
{
    for (int part = 0; part < 2; part++) {
        for (int i = 0; i < t->n; i++) {
            double angle = 2.0 * M_PI * l->f_thz * t->t_ps[i];
            q[(size_t)k * (size_t)t->n + (size_t)i] = envelope(t, l, i) * (part == 0 ? cos(angle) : sin(angle));
        }
        k = keep(t->n, q, k);
    }
    return k;
}

// Derivatives to amplitude, phase, frequency, damping of a line of amplitude a, from column k on.
static void add_own(const xn_plan_trace *t, const xn_plan_line *l, double a, double *q, int k)
{
    double *column[OWN];
    for (int c = 0; c < OWN; c++) column[c] = q + (size_t)(k + c) * (size_t)t->n;
    for (int i = 0; i < t->n; i++) {
        double e = envelope(t, l, i), x = t->t_ps[i], angle = 2.0 * M_PI * l->f_thz * x + l->phase;
        column[0][i] = e * cos(angle);
        column[1][i] = -a * e * sin(angle);
        column[2][i] = -2.0 * M_PI * x * a * e * sin(angle);
        column[3][i] = -x * a * e * cos(angle);
    }
}

// Length of own column `which` beside everything else: one over its error.
static double alone(const xn_plan_trace *t, const xn_plan_line *l, double a, int which, double *q, int k)
{
    add_own(t, l, a, q, k);
    double *first = q + (size_t)(k + which) * (size_t)t->n, *last = q + (size_t)(k + OWN - 1) * (size_t)t->n;
    for (int i = 0; which != OWN - 1 && i < t->n; i++) {
        double x = first[i];
        first[i] = last[i];
        last[i] = x;
    }
    int from = k;
    for (int c = 0; c < OWN - 1; c++) { // those that are made up of others leave no gap
        double *to = q + (size_t)from * (size_t)t->n, *at = q + (size_t)(k + c) * (size_t)t->n;
        if (to != at) memcpy(to, at, (size_t)t->n * sizeof *to);
        from = keep(t->n, q, from);
    }
    double *v = q + (size_t)from * (size_t)t->n;
    if (v != last) memcpy(v, last, (size_t)t->n * sizeof *v);
    double before = dot(t->n, v, v);
    reduce(t->n, q, from);
    double after = dot(t->n, v, v);
    return after > 1e-18 * before ? sqrt(after) : 0.0;
}

xn_plan_odds xn_plan_line_odds(const xn_plan_trace *t, const xn_plan_line *line, int n, int which, double *work)
{
    const xn_plan_line *l = &line[which];
    double a = fabs(l->amplitude) * xn_plan_clock(l->f_thz, t->timing_ps) * fabs(xn_plan_box(l->f_thz, t->width_ps));
    int k = add_background(t, work);
    for (int i = 0; i < n; i++)
        if (i != which) k = add_other(t, &line[i], work, k);
    double *own = work + (size_t)k * (size_t)t->n;
    add_own(t, l, a, work, k);
    reduce(t->n, work, k);
    xn_plan_odds o = {.rho = a * sqrt(dot(t->n, own, own))};
    o.amplitude_snr = a * alone(t, l, a, 0, work, k);
    o.sigma_f_thz = 1.0 / alone(t, l, a, 2, work, k);
    return o;
}

// ---- detection

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
