// SPDX-License-Identifier: BSD-3-Clause
// test_linear_prediction.c -- poles by HSVD: exact without noise up to 0.95 Nyquist, the spreads of the
// literature's test trace (N = 100, A/sigma 10, 5, 2.5), success on the standard traces of the fit
// (N = 200, dt = 0.05 ps, f 0.5-6 THz, tau 1-10 ps), nothing on traces that hold nothing.
#include "no_memory.h"
#include "test.h"

#include <pthread.h>

#include "core/rng.h"
#include "fit/linear_prediction.h"

#define PI 3.14159265358979323846
#define LONGEST 4096

static xn_ctx *ctx;
static xn_lp_work *work[XANI_MAX_MODES + 1]; // by modes

// The start's own settings, for traces of up to n samples.
static xn_lp_work *work_of(int n, int modes, int spare)
{
    xani_lp_options o;
    xn_lp_work *w;
    xn_lp_options_start(&o, modes, spare);
    ck_assert_int_eq(xn_lp_work_create(ctx, n, &o, XN_LP_TIGHT, &w), XANI_OK);
    return w;
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    for (int m = 1; m <= XANI_MAX_MODES; m++) work[m] = work_of(LONGEST, m, XN_LP_SPARE);
}

static void tear_down(void)
{
    for (int m = 1; m <= XANI_MAX_MODES; m++) xn_lp_work_destroy(&work[m]);
    xani_destroy(&ctx);
}

typedef struct {
    double w, g, a, phase;
} truth;

static void add_mode(double *y, int n, truth t)
{
    for (int i = 0; i < n; i++) y[i] += t.a * exp(-t.g * i) * cos(t.w * i + t.phase);
}

static void centre(double *y, int n)
{
    double mean = 0;
    for (int i = 0; i < n; i++) mean += y[i] / n;
    for (int i = 0; i < n; i++) y[i] -= mean;
}

START_TEST(test_noiseless_poles)
{
    // Without noise frequency, damping and amplitude of each mode come out to 1e-9, from one period per trace to 0.95
    // Nyquist, on the damped side of the unit circle, the strongest first; for every number of modes asked.
    double y[200], w[4], g[4], a[4];
    for (int n = 64; n <= 200; n += 68)
        for (int i = 1; i <= 95; i++) {
            truth t = {PI * i / 100.0, 0.002 + 0.0004 * i, 0.5 + i, 0.06 * i};
            if (t.w < 2 * PI / n) continue;
            memset(y, 0, sizeof y);
            add_mode(y, n, t);
            for (int asked = 1; asked <= 4; asked++) {
                ck_assert_int_ge(xn_lp_modes(y, n, asked, work[asked], w, g, a), 1);
                ck_assert_double_eq_tol(w[0], t.w, 1e-9);
                ck_assert_double_eq_tol(g[0], t.g, 1e-9);
                ck_assert_double_eq_tol(a[0] / t.a, 1, 1e-8);
            }
        }
}
END_TEST

START_TEST(test_noiseless_several)
{
    // Four modes of different strength and an undamped one are told apart exactly and ordered by energy.
    truth t[4] = {{0.3, 0.01, 1, 0.4}, {0.9, 0.02, 4, 2}, {1.6, 0, 0.5, -1}, {2.9, 0.03, 2.4, 3}};
    double y[200] = {0}, w[4], g[4], a[4], last = INFINITY;
    for (int k = 0; k < 4; k++) add_mode(y, 200, t[k]);
    ck_assert_int_eq(xn_lp_modes(y, 200, 4, work[4], w, g, a), 4);
    int seen = 0;
    for (int k = 0; k < 4; k++) {
        double energy = a[k] * a[k] * (g[k] > 1e-6 ? (1 - exp(-400 * g[k])) / (2 * g[k]) : 200);
        ck_assert_double_le(energy, last);
        last = energy;
        for (int j = 0; j < 4; j++)
            if (fabs(w[k] - t[j].w) < 1e-8 && fabs(g[k] - t[j].g) < 1e-8 && fabs(a[k] / t[j].a - 1) < 1e-6)
                seen |= 1 << j;
    }
    ck_assert_int_eq(seen, 15);
    // Fewer asked for than there are: the strongest of them.
    ck_assert_int_eq(xn_lp_modes(y, 200, 1, work[1], w, g, a), 1);
    ck_assert_double_eq_tol(w[0], 0.9, 0.05);
}
END_TEST

START_TEST(test_weak_mode_beside_strong)
{
    // The Gram matrix halves the digits; a mode 1e-4 of the strongest is still found where it is.
    double y[200] = {0}, w[4], g[4], a[4];
    add_mode(y, 200, (truth){0.7, 0.01, 1, 0});
    add_mode(y, 200, (truth){1.7, 0.02, 1e-4, 1});
    ck_assert_int_ge(xn_lp_modes(y, 200, 2, work[2], w, g, a), 2);
    ck_assert_double_eq_tol(w[0], 0.7, 1e-9);
    ck_assert_double_eq_tol(w[1], 1.7, 1e-4);
    ck_assert_double_eq_tol(a[1] / 1e-4, 1, 1e-2);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

START_TEST(test_reference_trace)
{
    // N = 100, dt = 0.1 ps, f = 2 THz, tau = 3 ps, phase 0.3.  With exactly the two poles of the mode: the spread of f
    // and median damping of the measured table (0.0041 THz, 0.338 and 0.0086, 0.348; 0.0329, 0.403, 4.5 % failures),
    // spread within 1.15 of the Cramer-Rao bound from A/sigma 5.  Spare poles cost some spread and halve the failures
    // at 2.5.
    static const struct {
        int spare;
        double snr, bound, spread, damping, failures;
    } rows[] = {{-1, 10, 0.0040, 1.10, 0.338, 0}, {-1, 5, 0.0080, 1.15, 0.348, 0}, {-1, 2.5, 0.0159, 2.3, 0.403, 0.055},
                {2, 10, 0.0040, 1.15, 0.338, 0},  {2, 5, 0.0080, 1.20, 0.348, 0},  {2, 2.5, 0.0159, 2.0, 0.403, 0.025}};
    enum { TRIALS = 2000, N = 100 };
    static double damping[TRIALS];
    for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        xn_lp_work *own = work_of(N, 1, rows[row].spare);
        double sum = 0, squares = 0;
        int good = 0, failed = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            double y[N] = {0}, w, g, a;
            xn_rng r;
            xn_rng_init(&r, 11, (uint64_t)trial);
            add_mode(y, N, (truth){2 * PI * 0.2, 0.1 / 3, 1, 0.3});
            for (int i = 0; i < N; i++) y[i] += xn_rng_normal(&r) / rows[row].snr;
            centre(y, N);
            int found = xn_lp_modes(y, N, 1, own, &w, &g, &a);
            double df = found ? w / (2 * PI * 0.1) - 2 : NAN;
            if (!(fabs(df) < 0.15)) {
                failed++;
                continue;
            }
            damping[good++] = g / 0.1;
            sum += df;
            squares += df * df;
        }
        xn_lp_work_destroy(&own);
        double mean = sum / good, spread = sqrt(squares / good - mean * mean);
        qsort(damping, (size_t)good, sizeof damping[0], by_value);
        double median = damping[good / 2];
        printf(
            "# A/sigma %4.1f, spare %2d: std(f) %.4f THz (bound %.4f), bias %+.4f, median g %.3f, failures %.1f %%\n",
            rows[row].snr, rows[row].spare, spread, rows[row].bound, mean, median, 100.0 * failed / TRIALS);
        ck_assert_double_le((double)failed / TRIALS, rows[row].failures);
        ck_assert_double_le(fabs(mean), 0.1 * rows[row].bound);
        ck_assert_double_le(fabs(median - rows[row].damping), rows[row].snr < 5 ? 0.04 : 0.008);
        ck_assert_double_le(spread, rows[row].spread * rows[row].bound);
    }
}
END_TEST

// Fraction of the standard traces whose every frequency comes out within 2 %.
static double success(int modes, double snr, int trials)
{
    enum { N = 200 };
    const double dt = 0.05;
    int good = 0;
    for (int trial = 0; trial < trials; trial++) {
        double y[N] = {0}, f[2], w[4], g[4], a[4];
        xn_rng r;
        xn_rng_init(&r, 100 + (uint64_t)modes, (uint64_t)trial);
        do
            for (int k = 0; k < modes; k++) f[k] = 0.5 + 5.5 * xn_rng_uniform(&r);
        while (modes == 2 && fabs(f[0] - f[1]) <= 0.5);
        for (int k = 0; k < modes; k++) {
            double amplitude = k ? 0.5 + 0.5 * xn_rng_uniform(&r) : 1, tau = 1 + 9 * xn_rng_uniform(&r);
            add_mode(y, N, (truth){2 * PI * f[k] * dt, dt / tau, amplitude, 2 * PI * xn_rng_uniform(&r)});
        }
        for (int i = 0; i < N; i++) y[i] += xn_rng_normal(&r) / snr;
        centre(y, N);
        int found = xn_lp_modes(y, N, modes, work[modes], w, g, a);
        bool all = found == modes;
        for (int k = 0; all && k < modes; k++) {
            bool one = false;
            for (int j = 0; j < modes; j++) one = one || fabs(w[j] / (2 * PI * dt) - f[k]) < 0.02 * f[k];
            all = one;
        }
        good += all;
    }
    return (double)good / trials;
}

START_TEST(test_standard_traces)
{
    // Success on the standard traces is that of the measured table, within three standard deviations of 1500 trials.
    static const struct {
        int modes;
        double snr, table;
    } rows[] = {{1, 1, .643}, {1, 3, .962}, {1, 10, .998}, {2, 1, .275}, {2, 3, .867}, {2, 10, .987}};
    enum { TRIALS = 1500 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double got = success(rows[i].modes, rows[i].snr, TRIALS), p = rows[i].table;
        printf("# K=%d SNR %2.0f: success %.3f (table %.3f)\n", rows[i].modes, rows[i].snr, got, p);
        ck_assert_double_ge(got, p - 3 * sqrt(p * (1 - p) / TRIALS));
    }
}
END_TEST

START_TEST(test_rate_and_long_traces)
{
    // A trace of 4096 samples costs less than ten of 200: the Hankel matrix is capped; its poles are as exact.
    static double y[LONGEST];
    double w[4], g[4], a[4], seconds[2];
    memset(y, 0, sizeof y);
    add_mode(y, LONGEST, (truth){0.8, 0.001, 1, 0.1});
    add_mode(y, LONGEST, (truth){0.4, 0.002, 0.5, 0.2});
    for (int pass = 0; pass < 2; pass++) {
        int n = pass ? LONGEST : 200;
        double start = xn_cpu_seconds();
        for (int i = 0; i < 50; i++) ck_assert_int_eq(xn_lp_modes(y, n, 2, work[2], w, g, a), 2);
        seconds[pass] = xn_cpu_seconds() - start;
        ck_assert_double_eq_tol(w[0], 0.8, 1e-8);
        ck_assert_double_eq_tol(w[1], 0.4, 1e-8);
        ck_assert_double_eq_tol(g[0], 0.001, 1e-8);
        printf("# %d samples: %.0f traces/s\n", n, 50 / seconds[pass]);
    }
    ck_assert_double_le(seconds[1], 10 * seconds[0]);
}
END_TEST

START_TEST(test_nothing_to_find)
{
    // Zero, constant-after-centring, too short, NaN and infinite traces give no pole and no NaN; noise gives finite
    // ones.
    double y[200] = {0}, w[4], g[4], a[4];
    ck_assert_int_eq(xn_lp_modes(y, 200, 4, work[4], w, g, a), 0);
    for (int i = 0; i < 200; i++) y[i] = 3.7;
    int found = xn_lp_modes(y, 200, 4, work[4], w, g, a); // not centred
    for (int k = 0; k < found; k++) ck_assert(isfinite(w[k]) && isfinite(g[k]) && isfinite(a[k]));
    centre(y, 200);
    found = xn_lp_modes(y, 200, 4, work[4], w, g, a);
    for (int k = 0; k < found; k++) ck_assert(isfinite(w[k]) && isfinite(g[k]) && a[k] < 1e-7); // of 3.7
    y[17] = NAN;
    ck_assert_int_eq(xn_lp_modes(y, 200, 4, work[4], w, g, a), 0);
    y[17] = INFINITY;
    ck_assert_int_eq(xn_lp_modes(y, 200, 4, work[4], w, g, a), 0);
    y[17] = 1;
    ck_assert_int_eq(xn_lp_modes(y, 7, 4, work[4], w, g, a), 0);
    for (int trial = 0; trial < 200; trial++) {
        int n = 8 + trial;
        double noise[208];
        xn_rng r;
        xn_rng_init(&r, 3, (uint64_t)trial);
        for (int i = 0; i < n; i++) noise[i] = 1e-9 * xn_rng_normal(&r);
        found = xn_lp_modes(noise, n, 4, work[4], w, g, a);
        for (int k = 0; k < found; k++)
            ck_assert(isfinite(w[k]) && isfinite(g[k]) && isfinite(a[k]) && w[k] > 0 && w[k] < PI && a[k] >= 0);
    }
    memset(y, 0, sizeof y); // one spike: the answer may be empty but not NaN
    y[60] = 1;
    found = xn_lp_modes(y, 200, 4, work[4], w, g, a);
    for (int k = 0; k < found; k++) ck_assert(isfinite(w[k]) && isfinite(g[k]) && isfinite(a[k]));
}
END_TEST

START_TEST(test_scale)
{
    // A factor on the trace is a factor on the amplitudes and changes nothing else, from 1e-12 to 1e12.
    double y[200] = {0}, z[200], w[2], g[2], a[2], w2[2], g2[2], a2[2];
    xn_rng r;
    xn_rng_init(&r, 5, 5);
    add_mode(y, 200, (truth){0.5, 0.01, 1, 0});
    for (int i = 0; i < 200; i++) y[i] += 0.3 * xn_rng_normal(&r);
    ck_assert_int_eq(xn_lp_modes(y, 200, 2, work[2], w, g, a), 2);
    for (double scale = 1e-12; scale < 1e13; scale *= 1e12) {
        for (int i = 0; i < 200; i++) z[i] = scale * y[i];
        ck_assert_int_eq(xn_lp_modes(z, 200, 2, work[2], w2, g2, a2), 2);
        for (int k = 0; k < 2; k++) {
            ck_assert_double_eq_tol(w2[k], w[k], 1e-9);
            ck_assert_double_eq_tol(a2[k] / scale, a[k], 1e-9);
        }
    }
}
END_TEST

typedef struct {
    double w;
    int found;
} answer;

static void *one_thread(void *user)
{
    answer *out = user;
    xn_lp_work *mine;
    xani_lp_options o;
    xn_lp_options_start(&o, 1, XN_LP_SPARE);
    if (xn_lp_work_create(NULL, 200, &o, XN_LP_TIGHT, &mine) != XANI_OK) return NULL;
    double y[200] = {0}, g, a;
    add_mode(y, 200, (truth){0.77, 0.01, 1, 0});
    for (int i = 0; i < 200; i++) out->found = xn_lp_modes(y, 200, 1, mine, &out->w, &g, &a);
    xn_lp_work_destroy(&mine);
    return NULL;
}

extern int openblas_get_num_threads(void) __attribute__((weak));
extern void openblas_set_num_threads(int n) __attribute__((weak));

START_TEST(test_threads)
{
    // Several threads with a work each get the same answer; OpenBLAS is left as it was found.
    for (int m = 1; m <= XANI_MAX_MODES; m++) xn_lp_work_destroy(&work[m]);
    bool open = openblas_get_num_threads != NULL && openblas_set_num_threads != NULL;
    if (open) openblas_set_num_threads(2);
    int before = open ? openblas_get_num_threads() : 0;
    pthread_t threads[3];
    answer answers[3] = {{0, 0}, {0, 0}, {0, 0}};
    for (int i = 0; i < 3; i++) ck_assert_int_eq(pthread_create(&threads[i], NULL, one_thread, &answers[i]), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(answers[i].found, 1);
        ck_assert_double_eq_tol(answers[i].w, 0.77, 1e-9);
        ck_assert(memcmp(&answers[i].w, &answers[0].w, sizeof(double)) == 0);
    }
    if (open) ck_assert_int_eq(openblas_get_num_threads(), before);
}
END_TEST

START_TEST(test_memory)
{
    // Any allocation that fails is reported, and nothing is lost or left behind.
    xn_lp_work *w = NULL;
    xani_lp_options o;
    xn_lp_options_start(&o, 2, XN_LP_SPARE);
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        no_memory_begin(&n);
        xani_status st = xn_lp_work_create(ctx, 100, &o, XN_LP_TIGHT, &w);
        no_memory_end();
        ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        ck_assert((w == NULL) == n.reached);
        xn_clear_error(ctx);
    }
    ck_assert_uint_ge(n.at, 3);
    ck_assert_uint_lt(n.at, 100);
    xn_lp_work_destroy(&w);
    xn_lp_work_destroy(&w);
    ck_assert_ptr_null(w);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_noiseless_poles);
    tcase_add_test(t, test_noiseless_several);
    tcase_add_test(t, test_weak_mode_beside_strong);
    tcase_add_test(t, test_reference_trace);
    tcase_add_test(t, test_standard_traces);
    tcase_add_test(t, test_rate_and_long_traces);
    tcase_add_test(t, test_nothing_to_find);
    tcase_add_test(t, test_scale);
    tcase_add_test(t, test_threads);
    tcase_add_test(t, test_memory);
}

XN_TEST_MAIN("linear prediction", add)
