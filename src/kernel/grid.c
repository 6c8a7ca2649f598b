// SPDX-License-Identifier: BSD-3-Clause
// grid.c -- see grid.h.  All of it in double, once for a plan.
//
// Points where taps are fitted: 40 on each long edge of the band's rectangle, gathered towards w_hi, and 12 on the
// short one; conjugates are implied, because taps are real.  A row for each tap times a small number (ridge) keeps taps
// of order 1, where two dozen exponentials in so small a band are the same to 16 digits.
#include "kernel/grid.h"

#include <complex.h>
#include <math.h>
#include <string.h>

#define EDGE 40
#define END 12
#define POINTS (2 * EDGE + END)
#define MOST XN_GRID_TAPS_DOUBLE
#define PLACES 18
#define EQUATIONS (2 * POINTS + MOST)

int xn_grid_points(const xn_fit_plan *p, double step, int taps)
{
    const double last = p->time[p->n - 1] / step;
    const int points = taps == 1 ? (int)lrint(last) + 1 : (int)floor(last) + taps / 2 + 1;
    return (points + 7) / 8 * 8;
}

// ---- taps: Householder's triangulation, kept so that each sample costs one right side

typedef struct {
    int taps;
    double step;
    double g[POINTS], w[POINTS], weight[POINTS];
    double complex over[POINTS]; // 1/D
    double a[EQUATIONS][MOST];   // reflectors below, triangle above the diagonal
    double diagonal[MOST], scale[MOST];
} solver;

double xn_grid_window(const xn_fit_plan *p, double step, int taps)
{
    const double band = step * p->w_hi / 6.28318530717958647693; // of the grid's sampling rate
    const double inner = taps * (1.0 - band);
    return taps == 1 ? 0.0 : 3.14159265358979323846 * sqrt(inner * inner - 0.8);
}

static void place_points(const xn_fit_plan *p, solver *s)
{
    const double b = xn_grid_window(p, s->step, s->taps), half = 0.5 * s->taps * s->step;
    for (int i = 0; i < POINTS; i++) {
        const double along = sin(1.57079632679489661923 * (i % EDGE) / (EDGE - 1.0));
        s->w[i] = i < 2 * EDGE ? p->w_hi * along : p->w_hi;
        s->g[i] = i < EDGE ? 0.0 : i < 2 * EDGE ? p->g_hi : p->g_hi * (i - 2 * EDGE + 0.5) / END;
        s->weight[i] = exp(-6.0 * s->g[i]); // what decays within a few samples has little to say
        const double complex h = half * (-s->g[i] + I * s->w[i]), q = csqrt(b * b + h * h);
        s->over[i] = q / b * cexp(-h * h / (q + b));
    }
}

// Real and imaginary parts of exp(s t), or of that over D, at all points.
static void exponentials(const solver *s, double t, bool over, double *out)
{
    for (int i = 0; i < POINTS; i++) {
        const double size = s->weight[i] * exp(-s->g[i] * t);
        const double complex x = size * cexp(I * s->w[i] * t) * (over ? s->over[i] : 1.0);
        out[2 * i] = creal(x);
        out[2 * i + 1] = cimag(x);
    }
}

static void triangulate(const xn_fit_plan *p, double step, int taps, double ridge, solver *s)
{
    double column[2 * POINTS];
    memset(s->a, 0, sizeof s->a);
    s->taps = taps;
    s->step = step;
    place_points(p, s);
    for (int j = 0; j < taps; j++) {
        exponentials(s, step * (j - 0.5 * (taps - 1)), true, column);
        for (int i = 0; i < 2 * POINTS; i++) s->a[i][j] = column[i];
        s->a[2 * POINTS + j][j] = ridge;
    }
    for (int j = 0; j < taps; j++) {
        double norm = 0.0;
        for (int i = j; i < EQUATIONS; i++) norm += s->a[i][j] * s->a[i][j];
        norm = s->a[j][j] > 0.0 ? -sqrt(norm) : sqrt(norm);
        s->diagonal[j] = norm;
        s->a[j][j] -= norm;
        s->scale[j] = -1.0 / (norm * s->a[j][j]); // 2/(v v)
        for (int k = j + 1; k < taps; k++) {
            double dot = 0.0;
            for (int i = j; i < EQUATIONS; i++) dot += s->a[i][j] * s->a[i][k];
            for (int i = j; i < EQUATIONS; i++) s->a[i][k] -= dot * s->scale[j] * s->a[i][j];
        }
    }
}

static void solve(const solver *s, double t, double *tap)
{
    double b[EQUATIONS] = {0};
    exponentials(s, t, false, b);
    for (int j = 0; j < s->taps; j++) {
        double dot = 0.0;
        for (int i = j; i < EQUATIONS; i++) dot += s->a[i][j] * b[i];
        for (int i = j; i < EQUATIONS; i++) b[i] -= dot * s->scale[j] * s->a[i][j];
    }
    for (int j = s->taps - 1; j >= 0; j--) {
        double x = b[j];
        for (int k = j + 1; k < s->taps; k++) x -= s->a[j][k] * tap[k];
        tap[j] = x / s->diagonal[j];
    }
}

// Taps as functions of the place between two grid points, x = -1..1 from one to the other: they are entire, so that
// interpolation between Chebyshev's points is exact to rounding.
typedef struct {
    double x[PLACES], sign[PLACES], tap[PLACES][MOST];
} places;

static void make_places(const xn_fit_plan *p, double step, int taps, places *c)
{
    solver s;
    triangulate(p, step, taps, taps == XN_GRID_TAPS_DOUBLE ? 1e-12 : 1e-8, &s);
    for (int i = 0; i < PLACES; i++) {
        const double angle = 3.14159265358979323846 * (i + 0.5) / PLACES;
        c->x[i] = cos(angle);
        c->sign[i] = (i & 1 ? -1.0 : 1.0) * sin(angle); // weight of Lagrange's formula in barycentric form
        solve(&s, 0.5 * c->x[i] * step, c->tap[i]);
    }
}

static void interpolate(const places *c, double x, int taps, double *tap)
{
    double sum = 0.0, weight[PLACES];
    for (int i = 0; i < PLACES; i++) {
        const double away = x - c->x[i];
        weight[i] = c->sign[i] / (fabs(away) > 1e-15 ? away : 1e-15);
        sum += weight[i];
    }
    for (int k = 0; k < taps; k++) {
        tap[k] = 0.0;
        for (int i = 0; i < PLACES; i++) tap[k] += weight[i] * c->tap[i][k];
        tap[k] /= sum;
    }
}

void xn_grid_tabulate(const xn_fit_plan *p, double step, int taps, int *base, double *tap)
{
    places c = {.x = {0.0}};
    if (taps > 1) make_places(p, step, taps, &c);
    for (int i = 0; i < p->n; i++) {
        const double at = p->time[i] / step;
        base[i] = taps == 1 ? (int)lrint(at) : (int)floor(at) - taps / 2 + 1;
        if (taps == 1)
            tap[i] = 1.0;
        else
            interpolate(&c, 2.0 * (at - base[i]) - (taps - 1), taps, tap + (size_t)i * (size_t)taps);
    }
}

// ---- rows of the table

// sum_{k >= m} x^k/k!
static double tail(double x, int m)
{
    double term = 1.0, sum = 0.0;
    for (int k = 1; k <= m; k++) term *= x / k;
    for (int k = m + 1; term > 1e-6 * sum; k++) {
        sum += term;
        term *= x / k;
    }
    return sum;
}

// Relative error of the highest derivative used, at distance r from a node at g; all times in units of the length.
static double row_error(const xn_fit_plan *p, int terms, double g, double r)
{
    const int highest = p->n_columns > 1 ? p->n_columns : 1, stride = p->n / 24 + 1; // a share of them is enough
    double error = 0.0, size = 0.0;
    for (int i = 0; i < p->n; i += stride) {
        const double nu = p->time[i] / p->length, first = p->time[0] / p->length;
        double f = p->scale[i] * p->scale[i] * exp(-g * (nu - first));
        for (int q = 0; q < highest; q++) f *= nu;
        size += f;
        error += f * tail(r * nu, terms - highest);
    }
    return error / size;
}

// A node serves a square of half side `half` around it.
static double half_height(const xn_fit_plan *p, int terms, double tolerance, double reach, double lo)
{
    double small = 0.0, large = reach;
    for (int i = 0; i < 10; i++) {
        const double half = 0.5 * (small + large);
        if (row_error(p, terms, lo + half, 1.41421356237309504880 * half) < tolerance)
            small = half;
        else
            large = half;
    }
    return small;
}

int xn_grid_rows(const xn_fit_plan *p, int bits, xn_grid_row *rows, int *nodes)
{
    // far from a node large terms cancel: float reaches 2 in length |s - s_node|, double 4
    const int terms = XN_GRID_TERMS(bits);
    const double tolerance = bits == 32 ? 1e-7 : 1e-14, reach = bits == 32 ? 1.4 : 2.8;
    const double end = 2.0 * p->g_hi * p->length, width = 2.0 * p->w_hi * p->length;
    double lo = p->g_lo * p->length, at_most = reach;
    int n = 0;
    for (*nodes = 0; lo < end; n++) {
        const double half = half_height(p, terms, tolerance, at_most, lo);
        if (n == XN_GRID_ROWS || !(half > 0.0) || *nodes > XN_GRID_NODES) return 0;
        const int count = (int)ceil(width / (2.0 * half)) + 1;
        rows[n] = (xn_grid_row){.g = (lo + half) / p->length,
                                .half = half / p->length,
                                .step = 2.0 * half / p->length,
                                .first = *nodes,
                                .count = count};
        *nodes += count;
        lo += 2.0 * half;
        at_most = 2.0 * half; // rows grow with g, but not at once
    }
    return n;
}

bool xn_grid_worth(const xn_fit_plan *p)
{
    xn_grid_row rows[XN_GRID_ROWS];
    int nodes;
    if (xn_grid_points(p, p->grid_step, XN_GRID_TAPS_FLOAT) > 8 * p->n) return false;
    return xn_grid_rows(p, 32, rows, &nodes) > 0; // double needs fewer
}
