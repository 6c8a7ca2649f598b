// SPDX-License-Identifier: BSD-3-Clause
// test_fit_rounds.c -- weights of samples and second rounds: outliers, counting noise, against known truth and referee.
#include "context.h"

#include "core/rng.h"
#include "fit/reweight.h"
#include "fit_referee.h"
#include "xani/xani.h"

#define TWO_PI 6.28318530717958647693
enum { N = 200, P = 600 };

static float y[N * P], weight[N * P];
static double t[N];
static double truth[P][4]; // f, g, A, phase

static xani_fit_options options(void)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 1;
    o.background = 0;
    o.threads = 2;
    return o;
}

static double signal(int p, double time)
{
    const double *m = truth[p];
    return m[2] * exp(-m[1] * time) * cos(TWO_PI * m[0] * time + m[3]);
}

static void modes(uint64_t seed)
{
    for (int i = 0; i < N; i++) t[i] = 0.1 + 0.05 * i;
    for (int p = 0; p < P; p++) {
        xn_rng r;
        xn_rng_init(&r, seed, (uint64_t)p);
        truth[p][0] = 1.0 + 6.0 * xn_rng_uniform(&r);
        truth[p][1] = 1.0 / (2.0 + 6.0 * xn_rng_uniform(&r));
        truth[p][2] = 0.7 + 0.6 * xn_rng_uniform(&r);
        truth[p][3] = TWO_PI * xn_rng_uniform(&r);
    }
}

// Normal noise of 0.2, and a share of samples that are off by 10 to 20 times that, upwards
static void contaminate(double share, uint64_t seed)
{
    modes(seed);
    for (int p = 0; p < P; p++) {
        xn_rng r;
        xn_rng_init(&r, seed + 1, (uint64_t)p);
        for (int i = 0; i < N; i++) {
            double v = signal(p, t[i]) + 0.5 + 0.2 * xn_rng_normal(&r);
            if (xn_rng_uniform(&r) < share) v += 2.0 + 2.0 * xn_rng_uniform(&r);
            y[i * P + p] = (float)v;
        }
    }
}

typedef struct {
    int found;           // within 0.15 THz
    double rms, pull[4]; // rms of f; rms of the pulls of f, g, A, phase
} summary;

static summary summarise(const xani_fit_result *r)
{
    summary s = {0};
    for (int p = 0; p < P; p++) {
        const double d = r[p].frequency_thz[0] - truth[p][0];
        if (r[p].n_modes != 1 || r[p].status != 0 || !(fabs(d) < 0.15)) continue;
        const double phase = r[p].phase[0] - truth[p][3];
        const double pull[4] = {d / r[p].frequency_error[0],
                                (r[p].damping_per_ps[0] - truth[p][1]) / r[p].damping_error[0],
                                (r[p].amplitude[0] - truth[p][2]) / r[p].amplitude_error[0],
                                atan2(sin(phase), cos(phase)) / r[p].phase_error[0]};
        for (int q = 0; q < 4; q++) s.pull[q] += pull[q] * pull[q];
        s.rms += d * d;
        s.found++;
    }
    for (int q = 0; q < 4; q++) s.pull[q] = sqrt(s.pull[q] / s.found);
    s.rms = sqrt(s.rms / s.found);
    return s;
}

static summary run(const xani_fit_options *o, const float *sigma, xani_fit_result *r)
{
    ck_assert_int_eq(xani_fit_traces(ctx, o, y, t, N, P, sigma, r), XANI_OK);
    return summarise(r);
}

START_TEST(test_outliers)
{
    // 5 % of samples far off: the robust round has at most 0.65 of the spread of f, finds every mode that plain least
    // squares finds and more, and its errors hold (pulls of all parameters within 12 % of 1).
    static xani_fit_result r[P];
    contaminate(0.05, 21);
    xani_fit_options o = options();
    const summary plain = run(&o, NULL, r);
    for (o.robust = XN_ROBUST_HUBER; o.robust <= XN_ROBUST_TUKEY; o.robust++) {
        const summary s = run(&o, NULL, r);
        const char *what = o.robust == XN_ROBUST_HUBER ? "Huber" : "Tukey";
        ck_assert_msg(s.rms < 0.65 * plain.rms, "%s: spread %.2e, plain %.2e", what, s.rms, plain.rms);
        ck_assert_msg(s.found >= plain.found && s.found >= P * 99 / 100, "%s: %d found, plain %d", what, s.found,
                      plain.found);
        for (int q = 0; q < 4; q++)
            ck_assert_msg(fabs(s.pull[q] - 1.0) < 0.12, "%s: pull of parameter %d has width %.3f", what, q, s.pull[q]);
    }
}
END_TEST

START_TEST(test_outliers_none)
{
    // Clean normal noise: the robust round loses at most 6 % of spread (95 % efficiency), errors hold, and pure noise
    // is not taken for modes more often than without.
    static xani_fit_result r[P];
    contaminate(0.0, 22);
    xani_fit_options o = options();
    const summary plain = run(&o, NULL, r);
    for (o.robust = XN_ROBUST_HUBER; o.robust <= XN_ROBUST_TUKEY; o.robust++) {
        const summary s = run(&o, NULL, r);
        ck_assert_msg(s.rms < 1.06 * plain.rms, "%d: spread %.3e, plain %.3e", o.robust, s.rms, plain.rms);
        for (int q = 0; q < 4; q++)
            ck_assert_msg(fabs(s.pull[q] - 1.0) < 0.12, "%d: pull %d is %.3f", o.robust, q, s.pull[q]);
    }
    int alarms[3] = {0};
    for (int seed = 0; seed < 4; seed++) {
        contaminate(0.0, (uint64_t)(30 + seed));
        for (int p = 0; p < P; p++)
            for (int i = 0; i < N; i++) y[i * P + p] -= (float)signal(p, t[i]);
        for (o.robust = 0; o.robust <= XN_ROBUST_TUKEY; o.robust++) {
            ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
            for (int p = 0; p < P; p++) alarms[o.robust] += r[p].n_modes > 0;
        }
    }
    ck_assert_msg(alarms[1] <= alarms[0] + 12 && alarms[2] <= alarms[0] + 12, "%d, Huber %d, Tukey %d of %d", alarms[0],
                  alarms[1], alarms[2], 4 * P);
}
END_TEST

START_TEST(test_outliers_known)
{
    // With sigma given it stays the scale of the errors; a missing sample stays missing; a trace without scatter and
    // one of nothing but NaN come back as without the round.
    static xani_fit_result r[2][P];
    contaminate(0.05, 23);
    float sigma[P];
    for (int p = 0; p < P; p++) sigma[p] = 0.2F;
    for (int p = 0; p < P; p += 3) y[17 * P + p] = NAN;
    for (int i = 0; i < N; i++) y[i * P + 7] = 1.5F, y[i * P + 8] = NAN;
    xani_fit_options o = options();
    o.robust = XN_ROBUST_TUKEY;
    const summary s = run(&o, sigma, r[0]);
    ck_assert_int_ge(s.found, (P - 2) * 98 / 100);
    for (int q = 0; q < 4; q++) ck_assert_msg(fabs(s.pull[q] - 1.0) < 0.12, "pull %d is %.3f", q, s.pull[q]);
    o.robust = XN_ROBUST_NONE;
    run(&o, sigma, r[1]);
    ck_assert_int_eq(r[0][7].status, 1);
    ck_assert_int_eq(r[0][8].status, 3);
    ck_assert_int_eq(memcmp(&r[0][8], &r[1][8], sizeof r[0][8]), 0);
}
END_TEST

START_TEST(test_sample_weights)
{
    // Weights of samples, different in every trace, some zero: the minimum and the errors of an independent weighted
    // fit; factors per trace cancel, also for sigma when it is scaled along.
    modes(24);
    static xani_fit_result r[P], s[P];
    static float sigma[P], many[P];
    for (int p = 0; p < P; p++) {
        xn_rng g;
        xn_rng_init(&g, 24, (uint64_t)(P + p));
        for (int i = 0; i < N; i++) {
            const double w = (i + p) % 13 == 0 ? 0.0 : 0.2 + 3.0 * xn_rng_uniform(&g);
            weight[i * P + p] = (float)w;
            y[i * P + p] = (float)(signal(p, t[i]) + 0.5 + (w > 0.0 ? 0.1 / sqrt(w) : 50.0) * xn_rng_normal(&g));
        }
        sigma[p] = 0.1F;
    }
    xani_fit_options o = options();
    o.tolerance = 1e-6;
    o.sample_weight = weight;
    run(&o, sigma, s);
    const summary all = run(&o, NULL, r);
    ck_assert_int_ge(all.found, P * 98 / 100);
    for (int p = 0; p < P; p++) {
        if (r[p].n_modes != 1 || r[p].status != 0 || fabs(r[p].frequency_thz[0] - truth[p][0]) > 0.15) continue;
        double v[N], w[N];
        int n = 0;
        for (int i = 0; i < N; i++) v[i] = y[i * P + p], w[i] = weight[i * P + p], n += w[i] > 0.0;
        referee_data d = {v, t, w, N, 1, 1, {t[0], t[N - 1]}};
        referee_fit f = {.p = {truth[p][0], truth[p][1], truth[p][2], truth[p][3], 0.5}};
        ck_assert(referee_run(&d, &f));
        const double s2 = f.chi2 / (n - 5), error = sqrt(s2 * f.inverse[0][0]);
        ck_assert_double_eq_tol((r[p].frequency_thz[0] - f.p[0]) / error, 0.0, 0.01);
        ck_assert_double_eq_tol(r[p].frequency_error[0] / error, 1.0, 5e-3);
        ck_assert_double_eq_tol(r[p].amplitude_error[0] / sqrt(s2 * f.inverse[2][2]), 1.0, 5e-3);
        ck_assert_double_eq_tol(r[p].chi2_reduced / s2, 1.0, 1e-4);
        ck_assert_double_eq_tol(s[p].frequency_error[0] / (0.1 * sqrt(f.inverse[0][0])), 1.0, 5e-3);
        ck_assert_double_eq_tol(s[p].chi2_reduced / (s2 / 0.01), 1.0, 1e-4);
    }
    for (int p = 0; p < P; p++) {
        const float times = p % 2 ? 4096.0F : 1.0F / 4096.0F; // 1/64 and 64 of sigma
        for (int i = 0; i < N; i++) weight[i * P + p] *= times;
        many[p] = sigma[p] * sqrtf(times);
    }
    run(&o, many, r);
    for (int p = 0; p < P; p++) {
        ck_assert_double_eq_tol(r[p].frequency_thz[0], s[p].frequency_thz[0], 1e-5);
        ck_assert_double_eq_tol(r[p].frequency_error[0] / s[p].frequency_error[0], 1.0, 1e-4);
        ck_assert_double_eq_tol(r[p].chi2_reduced / s[p].chi2_reduced, 1.0, 1e-4);
    }
}
END_TEST

START_TEST(test_counting)
{
    // Traces in counts whose level falls twentyfold: weights from the model bring the fit to that with the true
    // variances (spread within 4 %, and at most 0.87 of that without weights), reduced chi^2 is 1, pulls are 1 and the
    // level is not biased; traces without counts come back unweighted.
    modes(25);
    static xani_fit_result plain[P], r[P], best[P];
    static float one[P];
    for (int p = 0; p < P; p++) {
        xn_rng g;
        xn_rng_init(&g, 25, (uint64_t)(P + p));
        one[p] = 1.0F;
        truth[p][1] *= 0.5;
        for (int i = 0; i < N; i++) { // normal approximation of the noise
            const double mu = 1000.0 - 94.0 * t[i] + 40.0 * signal(p, t[i]) / truth[p][2];
            weight[i * P + p] = (float)(1.0 / mu);
            y[i * P + p] = (float)(mu + sqrt(mu) * xn_rng_normal(&g));
        }
        truth[p][2] = 40.0;
    }
    xani_fit_options o = options();
    o.background = 1;
    const summary without = run(&o, one, plain);
    o.counting = 1;
    const summary counted = run(&o, one, r);
    o.counting = 0;
    o.sample_weight = weight;
    const summary ideal = run(&o, one, best);
    ck_assert_msg(counted.rms < 1.04 * ideal.rms && counted.rms < 0.87 * without.rms,
                  "spread %.3e, with true variances %.3e, without %.3e", counted.rms, ideal.rms, without.rms);
    ck_assert_int_ge(counted.found, P * 98 / 100);
    double chi2 = 0.0, level = 0.0;
    for (int p = 0; p < P; p++) chi2 += r[p].chi2_reduced / P, level += (r[p].background[0] - 523.0) / P;
    ck_assert_double_eq_tol(chi2, 1.0, 0.015);
    ck_assert_double_eq_tol(level, -94.0 * 0.5 * (t[0] + t[N - 1]) + 477.0, 0.35); // weights 1/y: one less
    for (int q = 0; q < 4; q++) ck_assert_msg(fabs(counted.pull[q] - 1.0) < 0.1, "pull %d is %.3f", q, counted.pull[q]);
    for (int i = 0; i < N * P; i++) y[i] = -y[i];
    o.sample_weight = NULL;
    run(&o, NULL, plain);
    o.counting = 1;
    run(&o, NULL, r);
    ck_assert_int_eq(memcmp(plain, r, sizeof r), 0);
}
END_TEST

START_TEST(test_weights_of_residual)
{
    // The weights themselves: Huber's and Tukey's functions of the residual over 1.4826 times the median; inflate makes
    // the variance that of the M-estimate; nothing is done without a residual.
    double scale2[9], work[27];
    float rest[9] = {0.1F, -0.1F, 0.1F, -0.1F, 0.1F, -0.1F, 0.1F, 1.0F, -0.05F}, w[9], sample[9] = {0};
    for (int kind = XN_ROBUST_HUBER; kind <= XN_ROBUST_TUKEY; kind++) {
        for (int i = 0; i < 9; i++) scale2[i] = 1.0, w[i] = 1.0F;
        xn_reweight_trace x = {9, sample, 1, rest, w, 1, scale2, work, 0.0, 0.0};
        const xn_reweight_rule rule = {.robust = kind};
        ck_assert(xn_reweight(&rule, &x));
        double psi2 = 0, slope = 0, mean = 0, weighted = 0;
        int kept = 0;
        for (int i = 0; i < 9; i++) {
            const double u = rest[i] / (1.4826 * (double)0.1F), a = fabs(u), v = u / 4.685;
            const double huber = a < 1.345 ? 1.0 : 1.345 / a, tukey = a < 4.685 ? (1 - v * v) * (1 - v * v) : 0.0;
            const double want = kind == XN_ROBUST_HUBER ? huber : tukey;
            ck_assert_double_eq_tol(w[i], want, 1e-6);
            psi2 += want * u * want * u, mean += want, weighted += want * u * u, kept += want > 0.0;
            slope += kind == XN_ROBUST_HUBER ? (a < 1.345) : a < 4.685 ? (1 - v * v) * (1 - 5 * v * v) : 0.0;
        }
        ck_assert_double_eq_tol(x.inflate, (psi2 / 9) / (slope / 9 * slope / 9) * (mean / 9) / (weighted / kept), 1e-6);
        float none[9] = {0};
        x.rest = none;
        ck_assert(!xn_reweight(&rule, &x));
    }
}
END_TEST

START_TEST(test_threads_and_refusals)
{
    // Rounds give the same bits for any number of threads; wrong options are refused by name.
    static xani_fit_result a[P], b[P];
    contaminate(0.05, 26);
    xani_fit_options o = options();
    o.robust = XN_ROBUST_TUKEY;
    o.threads = 1;
    run(&o, NULL, a);
    o.threads = 2;
    run(&o, NULL, b);
    ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
    o.robust = 3;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, a), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "robust is 3"));
    o = options();
    o.counting = 2;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, a), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "counting is 2"));
    o = options();
    o.counting_zero = NAN;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, a), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "counting_zero"));
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_outliers);
    tcase_add_test(c, test_outliers_none);
    tcase_add_test(c, test_outliers_known);
    tcase_add_test(c, test_sample_weights);
    tcase_add_test(c, test_counting);
    tcase_add_test(c, test_weights_of_residual);
    tcase_add_test(c, test_threads_and_refusals);
}
XN_TEST_MAIN("fit rounds", add)
