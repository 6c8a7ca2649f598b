// SPDX-License-Identifier: BSD-3-Clause
// test_fit_kernels.c -- sums, functional, gradient and covariance of every kernel variant against direct double sums.
#include "test.h"

#include "core/rng.h"
#include "fit/plan.h"

enum { N = 150 };
static double delay[N], weight[N];
static const double G[4] = {0.02, 0.035, 0.011, 0.05}, W[4] = {0.9, 1.7, 0.31, 2.6}; // per step

typedef struct {
    double chi2, beta[8], gradient[8], covariance[8][8]; // of (g, w), for s^2 = 1
} reference;

// Solves a x = b for several right sides in place; a is n x n, b n x m.
static void gauss(int n, int m, long double a[24][24], long double b[24][24])
{
    for (int i = 0; i < n; i++) {
        int p = i;
        for (int r = i + 1; r < n; r++)
            if (fabsl(a[r][i]) > fabsl(a[p][i])) p = r;
        for (int c = 0; c < n; c++) {
            long double t = a[i][c];
            a[i][c] = a[p][c];
            a[p][c] = t;
        }
        for (int c = 0; c < m; c++) {
            long double t = b[i][c];
            b[i][c] = b[p][c];
            b[p][c] = t;
        }
        for (int r = 0; r < n; r++) {
            if (r == i) continue;
            long double f = a[r][i] / a[i][i];
            for (int c = i; c < n; c++) a[r][c] -= f * a[i][c];
            for (int c = 0; c < m; c++) b[r][c] -= f * b[i][c];
        }
    }
    for (int i = 0; i < n; i++)
        for (int c = 0; c < m; c++) b[i][c] /= a[i][i];
}

// Linear columns at sample i: Legendre 0..B-1, then cos and sin of each mode.
static int columns(int B, int K, double t, double last, const double *g, const double *w, double *phi)
{
    const double x = 2 * t / last - 1, p[4] = {1, x, 1.5 * x * x - 0.5, 2.5 * x * x * x - 1.5 * x};
    for (int b = 0; b < B; b++) phi[b] = p[b];
    for (int k = 0; k < K; k++) {
        phi[B + 2 * k] = exp(-g[k] * t) * cos(w[k] * t);
        phi[B + 2 * k + 1] = exp(-g[k] * t) * sin(w[k] * t);
    }
    return B + 2 * K;
}

// Linear least squares at given (g, w), then the full normal matrix of amplitudes and (g, w).
static void direct(const xn_fit_plan *p, const double *time, const float *y, int K, const double *g, const double *w,
                   reference *r)
{
    const int B = p->n_columns, L = B + 2 * K, Q = 2 * K;
    long double a[24][24] = {{0}}, x[24][24] = {{0}}, m[24][24] = {{0}}, e[24][24] = {{0}}, chi2 = 0;
    double phi[24];
    for (int i = 0; i < N; i++) {
        const double h2 = isfinite(y[i]) ? weight[i] : 0;
        columns(B, K, time[i], time[N - 1], g, w, phi);
        for (int c = 0; c < L && h2 > 0; c++) {
            x[c][0] += h2 * phi[c] * y[i];
            for (int d = 0; d < L; d++) a[c][d] += h2 * phi[c] * phi[d];
        }
    }
    gauss(L, 1, a, x);
    memset(r, 0, sizeof *r);
    for (int c = 0; c < Q; c++) r->beta[c] = (double)x[B + c][0];
    for (int i = 0; i < N; i++) {
        const double h2 = isfinite(y[i]) ? weight[i] : 0;
        if (h2 == 0) continue;
        columns(B, K, time[i], time[N - 1], g, w, phi);
        long double rest = y[i];
        for (int c = 0; c < L; c++) rest -= x[c][0] * phi[c];
        for (int k = 0; k < K; k++) {
            phi[L + 2 * k] = -time[i] * (r->beta[2 * k] * phi[B + 2 * k] + r->beta[2 * k + 1] * phi[B + 2 * k + 1]);
            phi[L + 2 * k + 1] = time[i] * (r->beta[2 * k + 1] * phi[B + 2 * k] - r->beta[2 * k] * phi[B + 2 * k + 1]);
        }
        chi2 += h2 * rest * rest;
        for (int c = 0; c < Q; c++) r->gradient[c] += (double)(h2 * phi[L + c] * rest);
        for (int c = 0; c < L + Q; c++)
            for (int d = 0; d < L + Q; d++) m[c][d] += h2 * phi[c] * phi[d];
    }
    r->chi2 = (double)chi2;
    for (int c = 0; c < Q; c++) e[L + c][c] = 1;
    gauss(L + Q, Q, m, e);
    for (int c = 0; c < Q; c++)
        for (int d = 0; d < Q; d++) r->covariance[c][d] = (double)e[L + c][d];
}

static void make_trace(uint64_t seed, double offset, float *y)
{
    xn_rng r;
    xn_rng_init(&r, seed, 1);
    for (int i = 0; i < N; i++) {
        double v = offset + 0.01 * i + 0.1 * xn_rng_normal(&r);
        for (int k = 0; k < 4; k++) v += (1.0 - 0.15 * k) * exp(-1.1 * G[k] * i) * cos((W[k] + 0.002) * i + k);
        y[i] = (float)v;
    }
}

static void probe(const xn_fit_kernel *k, const xn_fit_plan *p, const float *y, int moments, int K, const double *g,
                  const double *w, xn_fit_probe *out)
{
    static int row[N];
    for (int i = 0; i < N; i++) row[i] = i;
    int64_t pixel = 0;
    uint8_t n, flags;
    xn_fit_tile tile = {
        .count = 1, .y = y, .row = row, .row_stride = 1, .pixel = &pixel, .n_modes = &n, .flags = &flags};
    void *table = xn_alloc(k->table_bytes(p), 1), *work = xn_alloc(k->work_bytes(p, 1), 1);
    k->tabulate(p, table);
    k->probe(p, table, work, &tile, moments, K, g, w, out);
    ck_assert_int_eq(flags & XN_FLAG_MISSING, 0);
    xn_free(table);
    xn_free(work);
}

typedef enum { UNIFORM, GAPS, TIMES } kind;

static void make_plans(kind what, int background, xn_fit_plans *plans)
{
    xn_rng r;
    xn_rng_init(&r, 9, 9);
    for (int i = 0; i < N; i++) {
        delay[i] = 0.05 * (i + (what == TIMES && i > 0 && i < N - 1 ? 0.6 * (xn_rng_uniform(&r) - 0.5) : 0));
        weight[i] = what == UNIFORM ? 1 : 0.3 + xn_rng_uniform(&r);
    }
    if (what == GAPS) weight[7] = weight[40] = weight[41] = 0;
    double sum = 0, filled = 0;
    for (int i = 0; i < N; i++) sum += weight[i], filled += weight[i] > 0;
    for (int i = 0; i < N; i++) weight[i] *= filled / sum;
    const xn_fit_setup s = {.delay_ps = delay, .weight = weight, .n = N, .background = background, .modes_max = 4};
    ck_assert_int_eq(xn_fit_plans_create(NULL, &s, plans), XANI_OK);
}

static void compare(const xn_fit_kernel *k, const xn_fit_plans *plans, int plan, int moments, int K, const float *y)
{
    const xn_fit_plan *p = &plans->plan[plan];
    double time[N];
    for (int i = 0; i < N; i++) time[i] = xn_plan_exact(plan) ? (delay[i] - delay[0]) / plans->step_ps : i;
    reference r;
    xn_fit_probe q;
    direct(p, time, y, K, G, W, &r);
    probe(k, p, y, moments, K, G, W, &q);
    const double tol = k->bits == 32 ? 2e-4 : moments == XN_MOMENTS_GRIDDED ? 2e-8 : 1e-10;
    // a gridded plan's time begins elsewhere: its amplitudes are those there
    const double shift = p->time[0] - time[0];
    for (int m = 0; m < K; m++) {
        const double grow = exp(-G[m] * shift), c = grow * cos(W[m] * shift), d = grow * sin(W[m] * shift);
        const double re = q.beta[2 * m], im = q.beta[2 * m + 1];
        q.beta[2 * m] = c * re + d * im;
        q.beta[2 * m + 1] = c * im - d * re;
    }
    ck_assert_msg(fabs(q.chi2 / r.chi2 - 1) < tol, "%s%d plan %d moments %d K %d B %d: chi2 %.10g not %.10g", k->name,
                  k->bits, plan, moments, K, p->n_columns, q.chi2, r.chi2);
    for (int j = 0; j < 2 * K; j++) {
        ck_assert_double_eq_tol(q.beta[j], r.beta[j], tol);
        // in units of its own error: the step it causes
        const double sigma = sqrt(r.covariance[j][j]);
        ck_assert_msg(fabs(q.gradient[j] - r.gradient[j]) * sigma < 10 * tol,
                      "%s%d plan %d moments %d K %d: gradient %d: %g not %g", k->name, k->bits, plan, moments, K, j,
                      q.gradient[j], r.gradient[j]);
    }
    long double s[24][24] = {{0}}, e[24][24] = {{0}};
    for (int j = 0; j < 2 * K; j++)
        for (int i = 0; i < 2 * K; i++) s[j][i] = q.schur[j][i], e[j][i] = i == j;
    gauss(2 * K, 2 * K, s, e);
    for (int j = 0; j < 2 * K; j++)
        for (int i = 0; i < 2 * K; i++) {
            const double unit = sqrt(r.covariance[j][j] * r.covariance[i][i]);
            ck_assert_msg(fabs((double)e[j][i] - r.covariance[j][i]) < 20 * tol * unit,
                          "%s%d plan %d moments %d K %d: covariance %d %d: %g not %g", k->name, k->bits, plan, moments,
                          K, j, i, (double)e[j][i], r.covariance[j][i]);
        }
}

START_TEST(test_functional)
{
    // chi^2, amplitudes and gradient equal direct sums, and S^-1 is the (g, w) block of the inverse of the full normal
    // matrix: for 1 to 4 modes, every background, Goertzel, Horner, explicit and gridded sums, weights, gaps, uneven
    // times.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    static const struct {
        kind what;
        int plan, moments;
    } cases[] = {{UNIFORM, XN_PLAN_CLOSED, XN_MOMENTS_GOERTZEL},   {UNIFORM, XN_PLAN_CLOSED, XN_MOMENTS_HORNER},
                 {UNIFORM, XN_PLAN_EXPLICIT, XN_MOMENTS_EXPLICIT}, {GAPS, XN_PLAN_EXPLICIT, XN_MOMENTS_EXPLICIT},
                 {TIMES, XN_PLAN_EXACT, XN_MOMENTS_EXPLICIT},      {GAPS, XN_PLAN_WEIGHTED, XN_MOMENTS_GRIDDED},
                 {TIMES, XN_PLAN_UNEVEN, XN_MOMENTS_GRIDDED}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int background = -1; background < 4; background++) {
            xn_fit_plans plans;
            make_plans(cases[c].what, background, &plans);
            ck_assert(plans.has[cases[c].plan]);
            for (int K = 1; K <= 4; K++) {
                float y[N];
                make_trace((uint64_t)(K + 10 * background + 30), background < 0 ? 0 : 3, y);
                compare(k, &plans, cases[c].plan, cases[c].moments, K, y);
            }
            xn_fit_plans_free(&plans);
        }
}
END_TEST

START_TEST(test_missing_samples)
{
    // A missing sample is one with weight 0: chi^2, gradient and covariance are those of the samples that are there.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    xn_fit_plans plans;
    make_plans(UNIFORM, 2, &plans);
    float y[N];
    make_trace(4, 1, y);
    y[0] = y[17] = y[90] = y[91] = y[149] = NAN;
    y[60] = INFINITY;
    for (int K = 1; K <= 4; K++) compare(k, &plans, XN_PLAN_EXPLICIT, XN_MOMENTS_EXPLICIT, K, y);
    xn_fit_plans_free(&plans);
}
END_TEST

START_TEST(test_gradient)
{
    // -2 gradient is the derivative of the reduced chi^2 (central differences, double kernels).
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL || k->bits != 64) return;
    xn_fit_plans plans;
    make_plans(UNIFORM, 1, &plans);
    float y[N];
    make_trace(8, 1, y);
    for (int moments = XN_MOMENTS_GOERTZEL; moments <= XN_MOMENTS_HORNER; moments++) {
        xn_fit_probe at, up, down;
        probe(k, &plans.plan[XN_PLAN_CLOSED], y, moments, 3, G, W, &at);
        for (int j = 0; j < 6; j++) {
            double g[4], w[4], step = 1e-6, *p = j % 2 == 0 ? &g[j / 2] : &w[j / 2];
            memcpy(g, G, sizeof g);
            memcpy(w, W, sizeof w);
            *p += step;
            probe(k, &plans.plan[XN_PLAN_CLOSED], y, moments, 3, g, w, &up);
            *p -= 2 * step;
            probe(k, &plans.plan[XN_PLAN_CLOSED], y, moments, 3, g, w, &down);
            const double derivative = (up.chi2 - down.chi2) / (2 * step);
            ck_assert_double_eq_tol(-2 * at.gradient[j], derivative, 1e-6 * (1 + fabs(derivative)) + 1e-4);
        }
    }
    xn_fit_plans_free(&plans);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_loop_test(t, test_functional, 0, 6);
    tcase_add_loop_test(t, test_missing_samples, 0, 6);
    tcase_add_loop_test(t, test_gradient, 0, 6);
}
XN_TEST_MAIN("fit_kernels", add)
