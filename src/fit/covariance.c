// SPDX-License-Identifier: BSD-3-Clause
// covariance.c -- see covariance.h.  Rows are scaled to a unit diagonal before the Cholesky factorisation, so that
// parameters of any size and unit go together.
#include "fit/covariance.h"

#include <math.h>
#include <string.h>

#include "fit/engine.h"
#include "kernel/response.h"

#define MOST XN_COVARIANCE_MOST
#define TWO_PI 6.28318530717958647693

// exp(z t), z = -g + i 2 pi f, and its derivative to z; through a response of rms s
static void pole_at(double g, double f, double s, double t, double u[2], double slope[2])
{
    if (s > 0.0) {
        xn_response(g, TWO_PI * f, s, t, u, slope);
        return;
    }
    u[0] = exp(-g * t) * cos(TWO_PI * f * t), u[1] = exp(-g * t) * sin(TWO_PI * f * t);
    slope[0] = t * u[0], slope[1] = t * u[1];
}

// Derivatives of the model Re(A exp(i phase) u) at t to all parameters; those that are fixed: 0
static void derivatives(int n_modes, const xn_covariance_mode *modes, double response, double t, double *d)
{
    for (int k = 0; k < n_modes; k++, d += 4) {
        const xn_covariance_mode *m = &modes[k];
        const double c = cos(m->phase), s = sin(m->phase);
        double u[2], slope[2];
        pole_at(m->g, m->f, response, t, u, slope);
        d[0] = m->f_fixed ? 0.0 : -TWO_PI * m->amplitude * (c * slope[1] + s * slope[0]);
        d[1] = m->g_fixed ? 0.0 : -m->amplitude * (c * slope[0] - s * slope[1]);
        d[2] = c * u[0] - s * u[1];
        d[3] = -m->amplitude * (c * u[1] + s * u[0]);
    }
}

bool xn_covariance_invert(int n, double a[MOST][MOST])
{
    double unit[MOST], l[MOST][MOST] = {{0.0}}, inverse[MOST][MOST] = {{0.0}};
    for (int i = 0; i < n; i++) {
        unit[i] = a[i][i] > 0.0 ? 1.0 / sqrt(a[i][i]) : 0.0;
        if (unit[i] == 0.0) a[i][i] = 1.0; // a row of its own
    }
    for (int j = 0; j < n; j++)
        for (int i = j; i < n; i++) {
            double x = unit[i] > 0.0 && unit[j] > 0.0 ? a[i][j] * unit[i] * unit[j] : i == j ? 1.0 : 0.0;
            for (int k = 0; k < j; k++) x -= l[i][k] * l[j][k];
            if (i == j && !(x > 1e-14)) return false;
            l[i][j] = i == j ? sqrt(x) : x / l[j][j];
        }
    for (int c = 0; c < n; c++) // columns of l^-1
        for (int i = c; i < n; i++) {
            double x = i == c ? 1.0 : 0.0;
            for (int k = c; k < i; k++) x -= l[i][k] * inverse[k][c];
            inverse[i][c] = x / l[i][i];
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double x = 0.0;
            for (int k = i > j ? i : j; k < n; k++) x += inverse[k][i] * inverse[k][j];
            a[i][j] = unit[i] > 0.0 && unit[j] > 0.0 ? x * unit[i] * unit[j] : NAN;
        }
    return true;
}

void xn_covariance_of(int n_modes, const xn_covariance_mode *modes, const xn_covariance_samples *s, double variance,
                      const double *known, double *out)
{
    const int Q = 4 * n_modes, all = Q + s->n_columns;
    double a[MOST][MOST] = {{0.0}}, d[MOST] = {0.0};
    for (int i = 0; i < s->n; i++) {
        if (!(s->weight[i] > 0.0)) continue;
        derivatives(n_modes, modes, s->response_ps, s->time_ps[i], d);
        for (int b = 0; b < s->n_columns; b++) d[Q + b] = s->column[(size_t)b * (size_t)s->n + (size_t)i];
        for (int j = 0; j < all; j++)
            for (int k = 0; k <= j; k++) a[j][k] += s->weight[i] * d[j] * d[k];
    }
    for (int j = 0; j < 2 * n_modes && known != NULL; j++)
        for (int k = 0; k <= j; k++) {
            const int row = 4 * (j / 2) + j % 2, column = 4 * (k / 2) + k % 2;
            if (a[row][row] > 0.0 && a[column][column] > 0.0) a[row][column] += known[j * 2 * n_modes + k] * variance;
        }
    const bool fine = xn_covariance_invert(all, a);
    for (int j = 0; j < Q; j++)
        for (int k = 0; k < Q; k++) out[j * Q + k] = fine ? a[j][k] * variance : NAN;
}

// The columns of the background; an exponential adds itself and, where its rate was fitted, its derivative.
static int background_columns(const xn_fit_plan *p, double rate, bool fitted, double *column)
{
    const size_t n = (size_t)p->n;
    int n_columns = p->n_columns;
    memcpy(column, p->column, n * (size_t)n_columns * sizeof *column);
    if (!p->exponential) return n_columns;
    double *own = column + n * (size_t)n_columns, *slope = own + n;
    for (size_t i = 0; i < n; i++) {
        double u[2], to[2];
        pole_at(rate, 0.0, p->response, p->time[i] - (p->response > 0.0 ? p->t_zero : 0.0), u, to);
        own[i] = u[0];
        if (fitted) slope[i] = to[0];
    }
    return n_columns + 1 + fitted;
}

void xn_covariance_trace(const xn_fit_plans *all, int kind, const xn_fit_kernel *kernel, const xn_fit_tile *tile, int i,
                         double *work, double *out)
{
    const xn_fit_plan *p = &all->plan[kind];
    const int side = XN_COVARIANCE_SIDE(p->modes_max), K = tile->n_modes[i];
    double *time = work, *weight = work + p->n, *column = work + 2 * p->n, full[16 * XANI_MAX_MODES * XANI_MAX_MODES];
    int order[XANI_MAX_MODES];
    xn_covariance_mode modes[XANI_MAX_MODES];
    for (int j = 0; j < side * side; j++) out[j] = NAN;
    const int n_modes = xn_fit_result_modes(all, kind, kernel, tile, i, order);
    if (n_modes == 0) return;
    for (int k = 0; k < K; k++)
        modes[k] = (xn_covariance_mode){xn_fit_out(kernel, tile, XN_OUT_W + k, i) / (TWO_PI * all->step_ps),
                                        xn_fit_out(kernel, tile, XN_OUT_G + k, i) / all->step_ps,
                                        xn_fit_out(kernel, tile, XN_OUT_AMPLITUDE + k, i),
                                        xn_fit_out(kernel, tile, XN_OUT_PHASE + k, i),
                                        isnan(xn_fit_out(kernel, tile, XN_OUT_W_ERROR + k, i)),
                                        isnan(xn_fit_out(kernel, tile, XN_OUT_G_ERROR + k, i))};
    for (int j = 0; j < p->n; j++) {
        const double own = tile->weight != NULL ? tile->weight[(int64_t)tile->row[j] * tile->weight_stride + i] : 1.0;
        time[j] = (p->time[j] - p->t_zero) * all->step_ps;
        weight[j] = p->scale[j] * p->scale[j] * own;
        if (!isfinite(tile->y[(int64_t)tile->row[j] * tile->row_stride + tile->pixel[i]]) || !(own > 0.0))
            weight[j] = 0.0;
    }
    const double rate = xn_fit_out(kernel, tile, XN_OUT_RATE, i);
    const bool fitted = isfinite(xn_fit_out(kernel, tile, XN_OUT_RATE_ERROR, i));
    const int n_columns = background_columns(p, rate, fitted, column);
    const xn_covariance_samples samples = {p->n, n_columns, time, weight, column, all->response_ps};
    xn_covariance_of(K, modes, &samples, xn_fit_result_variance(kernel, tile, i), NULL, full);
    for (int a = 0; a < 4 * n_modes; a++)
        for (int b = 0; b < 4 * n_modes; b++)
            out[a * side + b] = full[(4 * order[a / 4] + a % 4) * 4 * K + 4 * order[b / 4] + b % 4];
}
