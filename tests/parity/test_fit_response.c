// SPDX-License-Identifier: BSD-3-Clause
// test_fit_response.c -- the functional near time zero: every kernel against direct sums in long double, its gradient
// against differences of chi^2, and whole fits against those of the scalar kernel in double.
#include "context.h"

#include "core/rng.h"
#include "fit/fit.h"
#include "fit/plan.h"
#include "kernel/response.h"

#define TWO_PI 6.28318530717958647693
enum { N = 150, P = 600, MOST = 20 };
static double delay[N], weight[N];
static const double G[3] = {0.02, 0.035, 0.011}, W[3] = {0.9, 1.4, 0.31}; // per step
typedef struct {
    double chi2, gradient[6], covariance[6][6]; // of (g, w), for s^2 = 1
    double beta[6];                             // of poles through the response
} reference;

// Solves a x = b for m right sides in place; both positive definite systems of n.
static void gauss(int n, int m, long double a[MOST][MOST], long double b[MOST][MOST])
{
    for (int c = 0; c < n; c++)
        for (int r = 0; r < n; r++) {
            if (r == c) continue;
            const long double f = a[r][c] / a[c][c];
            for (int j = c; j < n; j++) a[r][j] -= f * a[c][j];
            for (int j = 0; j < m; j++) b[r][j] -= f * b[c][j];
        }
    for (int r = 0; r < n; r++)
        for (int j = 0; j < m; j++) b[r][j] /= a[r][r];
}

typedef struct {
    const xn_fit_plan *p;
    const float *y;
    int K;
} problem;

// Linear columns at sample i, and the derivative to z of each pole behind them.
static void columns(const problem *q, int i, const double *g, const double *w, double *phi, double (*slope)[2])
{
    const int B = q->p->n_columns;
    for (int b = 0; b < B; b++) phi[b] = q->p->column[(size_t)b * (size_t)q->p->n + (size_t)i];
    for (int k = 0; k < q->K; k++)
        xn_response(g[k], w[k], q->p->response, q->p->time[i] - q->p->t_zero, phi + B + 2 * k, slope[k]);
}

static double weight_at(const problem *q, int i) { return isfinite(q->y[i]) ? q->p->scale[i] * q->p->scale[i] : 0.0; }

static double amplitudes(const problem *q, const double *g, const double *w, double *x)
{
    const int L = q->p->n_columns + 2 * q->K;
    long double a[MOST][MOST] = {{0}}, b[MOST][MOST] = {{0}}, chi2 = 0;
    double phi[MOST], slope[3][2];
    for (int i = 0; i < q->p->n; i++) {
        const double h2 = weight_at(q, i);
        if (h2 == 0) continue;
        columns(q, i, g, w, phi, slope);
        for (int c = 0; c < L; c++) {
            b[c][0] += (long double)h2 * phi[c] * q->y[i];
            for (int d = 0; d < L; d++) a[c][d] += (long double)h2 * phi[c] * phi[d];
        }
    }
    gauss(L, 1, a, b);
    for (int c = 0; c < L; c++) x[c] = (double)b[c][0];
    for (int i = 0; i < q->p->n; i++) {
        const double h2 = weight_at(q, i);
        if (h2 == 0) continue;
        columns(q, i, g, w, phi, slope);
        long double rest = q->y[i];
        for (int c = 0; c < L; c++) rest -= b[c][0] * phi[c];
        chi2 += h2 * rest * rest;
    }
    return (double)chi2;
}

static void direct(const problem *q, reference *r)
{
    const int B = q->p->n_columns, L = B + 2 * q->K, Q = 2 * q->K;
    long double m[MOST][MOST] = {{0}}, e[MOST][MOST] = {{0}};
    double x[MOST], phi[MOST], slope[3][2];
    r->chi2 = amplitudes(q, G, W, x);
    for (int j = 0; j < Q; j++) r->beta[j] = x[B + j];
    for (int j = 0; j < Q; j++) {
        double at[2][3] = {{G[0], G[1], G[2]}, {W[0], W[1], W[2]}}, none[MOST], side[4];
        const double h = 2e-4;
        for (int s = 0; s < 4; s++) {
            at[j & 1][j / 2] = (j & 1 ? W : G)[j / 2] + h * (s < 2 ? s - 2 : s - 1);
            side[s] = amplitudes(q, at[0], at[1], none);
        }
        r->gradient[j] = -0.5 * (side[0] - 8 * side[1] + 8 * side[2] - side[3]) / (12 * h);
    }
    for (int i = 0; i < q->p->n; i++) {
        const double h2 = weight_at(q, i);
        if (h2 == 0) continue;
        columns(q, i, G, W, phi, slope);
        for (int k = 0; k < q->K; k++) { // y = Re((a - i b) u), d/dg = -d/dz, d/dw = i d/dz
            const double a = r->beta[2 * k], b = r->beta[2 * k + 1];
            phi[L + 2 * k] = -(a * slope[k][0] + b * slope[k][1]);
            phi[L + 2 * k + 1] = b * slope[k][0] - a * slope[k][1];
        }
        for (int c = 0; c < L + Q; c++)
            for (int d = 0; d < L + Q; d++) m[c][d] += (long double)h2 * phi[c] * phi[d];
    }
    for (int c = 0; c < Q; c++) e[L + c][c] = 1;
    gauss(L + Q, Q, m, e);
    for (int c = 0; c < Q; c++)
        for (int d = 0; d < Q; d++) r->covariance[c][d] = (double)e[L + c][d];
}

// Delays from 35 steps before time zero, which lies between two of them; a response of `rms` steps.
static void make_plans(bool uneven, int background, double rms, xn_fit_plans *plans)
{
    xn_rng r;
    xn_rng_init(&r, 9, 9);
    for (int i = 0; i < N; i++) {
        delay[i] = 0.05 * (i - 35 + (uneven ? 0.6 * (xn_rng_uniform(&r) - 0.5) : 0.3));
        weight[i] = uneven ? 0.5 + xn_rng_uniform(&r) : 1.0;
    }
    const xn_fit_setup s = {.delay_ps = delay,
                            .weight = weight,
                            .n = N,
                            .background = background,
                            .modes_max = 3,
                            .response_ps = 0.05 * rms,
                            .time_zero_ps = uneven ? 0.7 : 0.0};
    ck_assert_int_eq(xn_fit_plans_create(ctx, &s, plans), XANI_OK);
    ck_assert(plans->near && plans->plan[plans->first].n_near > 35);
    ck_assert_int_eq(plans->first, uneven ? XN_PLAN_EXACT : XN_PLAN_EXPLICIT);
    ck_assert_int_eq(plans->plan[plans->first].n_columns, background < 0 ? 0 : background + 2);
}

static void compare(const xn_fit_kernel *k, const xn_fit_plans *plans, int K, const float *y)
{
    const xn_fit_plan *p = &plans->plan[plans->first];
    const problem q = {p, y, K};
    reference r;
    xn_fit_probe f;
    direct(&q, &r);
    const double s2 = p->response * p->response, tol = k->bits == 32 ? 3e-4 : 2e-9;
    int64_t pixel = 0;
    uint8_t n, flags;
    xn_fit_tile tile = {.count = 1,
                        .y = y,
                        .row = plans->row[plans->first],
                        .row_stride = 1,
                        .pixel = &pixel,
                        .n_modes = &n,
                        .flags = &flags};
    void *table = xn_alloc(k->table_bytes(p), 1), *work = xn_alloc(k->work_bytes(p, 1), 1);
    k->tabulate(p, table);
    k->probe(p, table, work, &tile, XN_MOMENTS_EXPLICIT, K, G, W, &f);
    xn_free(table);
    xn_free(work);
    ck_assert_msg(fabs(f.chi2 / r.chi2 - 1) < tol, "%s%d K %d: chi2 %.10g not %.10g", k->name, k->bits, K, f.chi2,
                  r.chi2);
    long double s[MOST][MOST] = {{0}}, e[MOST][MOST] = {{0}};
    for (int j = 0; j < 2 * K; j++)
        for (int i = 0; i < 2 * K; i++) s[j][i] = f.schur[j][i], e[j][i] = i == j;
    gauss(2 * K, 2 * K, s, e);
    for (int j = 0; j < 2 * K; j++) {
        const double sigma = sqrt(r.covariance[j][j]); // a gradient in units of the error: the step it causes
        ck_assert_msg(fabs(f.gradient[j] - r.gradient[j]) * sigma < 10 * tol + 1e-7,
                      "%s%d K %d: gradient %d: %g not %g", k->name, k->bits, K, j, f.gradient[j], r.gradient[j]);
        for (int i = 0; i < 2 * K; i++)
            ck_assert_double_eq_tol((double)e[j][i], r.covariance[j][i], 30 * tol * sigma * sqrt(r.covariance[i][i]));
        const int m = j / 2; // the kernel's poles are those over exp(z^2 s^2/2)
        const double grow = exp(0.5 * (W[m] * W[m] - G[m] * G[m]) * s2), turn = G[m] * W[m] * s2;
        const double re = grow * (cos(turn) * f.beta[2 * m] + sin(turn) * f.beta[2 * m + 1]);
        const double im = grow * (cos(turn) * f.beta[2 * m + 1] - sin(turn) * f.beta[2 * m]);
        ck_assert_double_eq_tol(j & 1 ? im : re, r.beta[j], 10 * tol * (1 + fabs(r.beta[j])));
    }
}

START_TEST(test_functional)
{
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 21, 0);
    float y[N];
    for (int uneven = 0; uneven < 2; uneven++)
        for (int background = -1; background <= 2; background++)
            for (double rms = 0.4; rms < 2.6; rms += 1.0) {
                xn_fit_plans plans;
                make_plans(uneven, background, rms, &plans);
                const xn_fit_plan *p = &plans.plan[plans.first];
                for (int i = 0; i < N; i++) {
                    double v = background < 0 ? 0 : i < 35 ? 3.0 : 3.5 - 0.01 * i;
                    for (int m = 0; m < 3; m++) {
                        double u[2], slope[2];
                        xn_response(1.1 * G[m], W[m] + 0.003, rms, p->time[i] - p->t_zero, u, slope);
                        v += (1 - 0.2 * m) * (u[0] * cos(m + 1) - u[1] * sin(m + 1));
                    }
                    y[i] = (float)(v + 0.1 * xn_rng_normal(&r));
                }
                y[12] = y[60] = NAN;
                for (int K = 1; K <= 3; K++) compare(k, &plans, K, y);
                xn_fit_plans_free(&plans);
            }
}
END_TEST

START_TEST(test_fits)
{
    // Whole fits by every kernel find what the scalar one finds in double: frequency, amplitude, phase, background.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    static float y[N * P];
    static xani_fit_result have[P], want[P];
    double t[N];
    xn_rng r;
    xn_rng_init(&r, 5, 1);
    for (int i = 0; i < N; i++) t[i] = 0.05 * (i - 30);
    for (int p = 0; p < P; p++) {
        const double f = 0.8 + 3 * xn_rng_uniform(&r), g = 0.3 + xn_rng_uniform(&r),
                     phase = TWO_PI * xn_rng_uniform(&r);
        for (int i = 0; i < N; i++) {
            double u[2], slope[2];
            xn_response(g, TWO_PI * f, 0.06, t[i], u, slope);
            y[i * P + p] = (float)(u[0] * cos(phase) - u[1] * sin(phase) + (t[i] > 0) + 0.1 * xn_rng_normal(&r));
        }
    }
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 2, o.background = 1, o.response_fwhm_ps = 0.06 * XN_FWHM, o.tolerance = 1e-6;
    o.kernels = "scalar", o.precision = 64;
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y, t, N, P, NULL, want), XANI_OK);
    o.kernels = k->name, o.precision = k->bits;
    ck_assert_int_eq(xn_fit_traces(ctx, &o, y, t, N, P, NULL, have), XANI_OK);
    int same = 0;
    const double tol = k->bits == 32 ? 0.02 : 1e-5;
    for (int p = 0; p < P; p++) {
        if (have[p].n_modes != want[p].n_modes || want[p].n_modes == 0) continue;
        bool close = true;
        for (int m = 0; m < want[p].n_modes; m++) {
            const double turn = (have[p].phase[m] - want[p].phase[m]) / TWO_PI;
            close &= fabs(have[p].frequency_thz[m] - want[p].frequency_thz[m]) < tol * want[p].frequency_error[m];
            close &= fabs(have[p].amplitude[m] - want[p].amplitude[m]) < tol * want[p].amplitude_error[m];
            close &= fabs(turn - rint(turn)) * TWO_PI < tol * want[p].phase_error[m];
            close &= fabs(have[p].frequency_error[m] / want[p].frequency_error[m] - 1) < tol;
        }
        for (int c = 0; c < 3; c++) close &= fabs(have[p].background[c] - want[p].background[c]) < 1e-3;
        ck_assert(isnan(have[p].background[3]));
        same += close;
    }
    ck_assert_msg(same > 0.985 * P, "%s%d: %d of %d alike", k->name, k->bits, same, P);
}
END_TEST

static void add(TCase *c)
{
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_loop_test(c, test_functional, 0, 6);
    tcase_add_loop_test(c, test_fits, 0, 6);
}
XN_TEST_MAIN("fit_response", add)
