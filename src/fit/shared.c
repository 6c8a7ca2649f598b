// SPDX-License-Identifier: BSD-3-Clause
// shared.c -- a pixel's own amplitudes, phases and background where frequency and damping are its neighbourhood's.
//
// Linear least squares in double over columns: background, then exp(-g t) cos wt and sin wt of each mode, t in steps
// from the first sample.  The errors are those of the pixel's normal matrix with the neighbours' information on f and g
// added to it: f and g have the neighbourhood's errors, amplitude and phase what follows from both.  The significance
// of a mode is, as everywhere, what this pixel's chi^2 would rise by without its two amplitudes, over s^2.
#include <math.h>

#include "data/modes.h"
#include "fit/covariance.h"
#include "fit/engine.h"
#include "fit/joint.h"

#define TWO_PI 6.28318530717958647693
#define MOST XN_COVARIANCE_MOST

typedef struct {
    const xn_fit_plan *plan;
    int n_columns, n_all;
    double mean, chi2, samples;
    double x[MOST], inverse[MOST][MOST]; // solution, inverse of the Gram matrix
} linear;

static void columns_at(const xn_joint *j, const xn_fit_plan *p, const xn_shared_modes *m, int i, double *c)
{
    for (int b = 0; b < p->n_columns; b++) c[b] = p->column[(size_t)b * (size_t)p->n + (size_t)i];
    for (int k = 0; k < m->n_modes; k++) {
        const double e = exp(-m->g[k] * p->time[i]), x = m->w[k] * p->time[i];
        c[p->n_columns + 2 * k] = e * cos(x);
        c[p->n_columns + 2 * k + 1] = e * sin(x);
    }
    (void)j;
}

// Weights of the samples, and their weighted mean.
static void read_trace(xn_joint *j, int plan, int64_t pixel, linear *l)
{
    double sum = 0.0, weight = 0.0;
    l->samples = 0.0;
    for (int i = 0; i < l->plan->n; i++) {
        const double y = j->y[(int64_t)j->plans->row[plan][i] * j->row_stride + pixel];
        j->time[i] = (l->plan->time[i] - l->plan->t_zero) * j->plans->step_ps;
        j->weight[i] = isfinite(y) ? l->plan->scale[i] * l->plan->scale[i] : 0.0;
        if (!(j->weight[i] > 0.0)) continue;
        sum += j->weight[i] * y;
        weight += j->weight[i];
        l->samples += 1.0;
    }
    l->mean = l->n_columns > 0 && weight > 0.0 ? sum / weight : 0.0;
}

static bool solve(xn_joint *j, int plan, const xn_shared_modes *m, int64_t pixel, linear *l)
{
    double right[MOST] = {0.0}, c[MOST];
    const int *row = j->plans->row[plan];
    l->plan = &j->plans->plan[plan];
    l->n_columns = l->plan->n_columns;
    l->n_all = l->n_columns + 2 * m->n_modes;
    read_trace(j, plan, pixel, l);
    for (int a = 0; a < l->n_all; a++)
        for (int b = 0; b < l->n_all; b++) l->inverse[a][b] = 0.0;
    for (int i = 0; i < l->plan->n; i++) {
        if (!(j->weight[i] > 0.0)) continue;
        const double y = j->y[(int64_t)row[i] * j->row_stride + pixel] - l->mean;
        columns_at(j, l->plan, m, i, c);
        for (int a = 0; a < l->n_all; a++) {
            right[a] += j->weight[i] * c[a] * y;
            for (int b = 0; b <= a; b++) l->inverse[a][b] += j->weight[i] * c[a] * c[b];
        }
    }
    if (!xn_covariance_invert(l->n_all, l->inverse)) return false;
    for (int a = 0; a < l->n_all; a++) {
        l->x[a] = 0.0;
        for (int b = 0; b < l->n_all; b++) l->x[a] += l->inverse[a][b] * right[b];
        if (!isfinite(l->x[a])) return false;
    }
    l->chi2 = 0.0;
    for (int i = 0; i < l->plan->n; i++) {
        if (!(j->weight[i] > 0.0)) continue;
        double r = j->y[(int64_t)row[i] * j->row_stride + pixel] - l->mean;
        columns_at(j, l->plan, m, i, c);
        for (int a = 0; a < l->n_all; a++) r -= c[a] * l->x[a];
        l->chi2 += j->weight[i] * r * r;
    }
    return true;
}

// What chi^2 would rise by without mode k
static double rise(const linear *l, int k)
{
    const int at = l->n_columns + 2 * k;
    const double a = l->x[at], b = l->x[at + 1];
    const double m11 = l->inverse[at][at], m12 = l->inverse[at][at + 1], m22 = l->inverse[at + 1][at + 1];
    return (m22 * a * a - 2.0 * m12 * a * b + m11 * b * b) / (m11 * m22 - m12 * m12);
}

static void put_mode(const double *value, const double *covariance, int side, double significance, int n,
                     xani_fit_result *r)
{
    double *to[4] = {&r->frequency_thz[n], &r->damping_per_ps[n], &r->amplitude[n], &r->phase[n]};
    double *error[4] = {&r->frequency_error[n], &r->damping_error[n], &r->amplitude_error[n], &r->phase_error[n]};
    for (int q = 0; q < 4; q++) {
        *to[q] = value[q];
        *error[q] = sqrt(covariance[q * side + q]);
    }
    r->significance[n] = significance;
}

static void background(const xn_joint *j, int plan, const linear *l, xani_fit_result *r)
{
    for (int q = 0; q < 4; q++) r->background[q] = NAN;
    for (int q = 0; q < l->n_columns; q++) {
        r->background[q] = q == 0 ? l->mean : 0.0;
        for (int b = 0; b < l->n_columns; b++) r->background[q] += l->x[b] * j->plans->legendre[plan][b][q];
    }
}

bool xn_shared_finish(xn_joint *j, int plan, const xn_shared_modes *m, xn_joint_pixel *pixel)
{
    linear l;
    xn_covariance_mode modes[XANI_MAX_MODES];
    double full[16 * XANI_MAX_MODES * XANI_MAX_MODES], significance[XANI_MAX_MODES];
    const int64_t own = pixel->neighbour[j->neighbours / 2];
    const int K = m->n_modes, side = 4 * K, wide = XN_COVARIANCE_SIDE(j->plans->plan[plan].modes_max);
    int order[XANI_MAX_MODES], n = 0;
    xani_fit_result *r = &pixel->result;
    if (!solve(j, plan, m, own, &l)) return false;
    const double freedom = fmax(l.samples - 4.0 * K - l.n_columns, 1.0), step = j->plans->step_ps;
    const double sigma = j->sigma != NULL ? j->sigma[own] : 0.0;
    const double s2 = sigma > 0.0 && isfinite(sigma) ? sigma * sigma : l.chi2 / freedom;
    for (int k = 0; k < K; k++) {
        const double a = l.x[l.n_columns + 2 * k], b = l.x[l.n_columns + 2 * k + 1], t = l.plan->t_zero;
        modes[k] = (xn_covariance_mode){m->w[k] / (TWO_PI * step),
                                        m->g[k] / step,
                                        hypot(a, b) * exp(-m->g[k] * t),
                                        remainder(atan2(-b, a) + m->w[k] * t, TWO_PI),
                                        m->w_fixed[k],
                                        m->g_fixed[k]};
        significance[k] = rise(&l, k) / s2;
    }
    const xn_covariance_samples samples = {l.plan->n, l.n_columns,    j->time,
                                           j->weight, l.plan->column, j->plans->response_ps};
    xn_covariance_of(K, modes, &samples, s2, m->known, full);
    for (int k = 0; k < K; k++) { // the most significant first
        const double df = sqrt(full[4 * k * side + 4 * k]);
        if (!xn_fit_determined(modes[k].f, df) || m->g[k] >= 0.999999 * l.plan->g_hi) continue;
        int at = n++;
        for (; at > 0 && significance[order[at - 1]] < significance[k]; at--) order[at] = order[at - 1];
        order[at] = k;
    }
    if (n == 0) return false;
    bool bound = false;
    for (int k = 0; k < K; k++) bound |= m->g_fixed[k] || m->w_fixed[k];
    *r = (xani_fit_result){.n_modes = n, .status = bound ? XN_FIT_AT_BOUND : XN_FIT_MODES};
    r->chi2_reduced = sigma > 0.0 && isfinite(sigma) ? l.chi2 / freedom / s2 : s2;
    for (int k = 0; k < XANI_MAX_MODES; k++) {
        const double none[4] = {NAN, NAN, NAN, NAN},
                     nothing[4 * 4] = {NAN, 0, 0, 0, 0, NAN, 0, 0, 0, 0, NAN, 0, 0, 0, 0, NAN};
        const xn_covariance_mode *c = k < n ? &modes[order[k]] : NULL;
        const double value[4] = {c ? c->f : NAN, c ? c->g : NAN, c ? c->amplitude : NAN, c ? c->phase : NAN};
        put_mode(c ? value : none, c ? full + (4 * order[k] * side + 4 * order[k]) : nothing, c ? side : 4,
                 c ? significance[order[k]] : NAN, k, r);
    }
    background(j, plan, &l, r);
    for (int a = 0; a < wide * wide && j->covariance; a++) {
        const int p = a / wide, q = a % wide;
        const bool there = p < 4 * n && q < 4 * n;
        pixel->covariance[a] = there ? full[(4 * order[p / 4] + p % 4) * side + 4 * order[q / 4] + q % 4] : NAN;
    }
    return true;
}
