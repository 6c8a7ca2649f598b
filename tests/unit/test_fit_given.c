// SPDX-License-Identifier: BSD-3-Clause
// test_fit_given.c -- starts given by the caller, full covariance, the threshold asked for: against referee and truth.
#include "context.h"

#include "core/rng.h"
#include "fit_referee.h"
#include "xani/xani.h"

#define TWO_PI 6.28318530717958647693
enum { N = 200, P = 300 };

static float y[N * P];
static double t[N];
static double truth[P][2][4]; // f, g, A, phase

static xani_fit_options options(int modes_max)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = modes_max;
    o.background = 0;
    o.threads = 1;
    return o;
}

// Two modes at least `apart` THz from each other, the first the stronger
static void make(double apart, double sigma, double jitter, uint64_t seed)
{
    xn_rng r;
    xn_rng_init(&r, seed, 77777);
    for (int i = 0; i < N; i++) t[i] = 0.1 + 0.05 * (i + jitter * (xn_rng_uniform(&r) - 0.5));
    for (int p = 0; p < P; p++) {
        xn_rng_init(&r, seed, (uint64_t)p);
        const double f = 1.0 + 5.0 * xn_rng_uniform(&r);
        for (int k = 0; k < 2; k++) {
            truth[p][k][0] = f + k * apart * (1.0 + xn_rng_uniform(&r));
            truth[p][k][1] = 1.0 / (2.0 + 5.0 * xn_rng_uniform(&r));
            truth[p][k][2] = k == 0 ? 1.0 : 0.6;
            truth[p][k][3] = TWO_PI * xn_rng_uniform(&r);
        }
        for (int i = 0; i < N; i++) {
            double v = 0.4 + sigma * xn_rng_normal(&r);
            for (int k = 0; k < 2; k++) {
                const double *m = truth[p][k];
                v += m[2] * exp(-m[1] * t[i]) * cos(TWO_PI * m[0] * t[i] + m[3]);
            }
            y[i * P + p] = (float)v;
        }
    }
}

static int near(const xani_fit_result *r, double f, double tolerance)
{
    for (int k = 0; k < r->n_modes; k++)
        if (fabs(r->frequency_thz[k] - f) < tolerance) return k;
    return -1;
}

START_TEST(test_given)
{
    // Starts of each trace's own, on uniform and jittered delays: the same minimum as found by the search where that
    // finds the truth; at signal to noise 1, where the search takes noise for the mode, a start near the truth misses
    // it in less than two thirds of the cases.
    static xani_fit_result found[P], given[P];
    static float f[2 * P], g[2 * P];
    for (int jitter = 0; jitter < 2; jitter++) {
        make(0.5, 0.1, jitter ? 0.9 : 0.0, 1);
        for (int k = 0; k < 2; k++)
            for (int p = 0; p < P; p++) f[k * P + p] = (float)truth[p][k][0] + 0.02F, g[k * P + p] = 0.3F;
        xani_fit_options o = options(2);
        o.tolerance = 1e-6;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, found), XANI_OK);
        o.start = 4;
        o.start_modes = 2;
        o.start_frequency_thz = f;
        o.start_damping_per_ps = g;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, given), XANI_OK);
        int same = 0;
        for (int p = 0; p < P; p++) {
            if (found[p].n_modes != 2 || given[p].n_modes != 2) continue;
            const double error = found[p].frequency_error[0];
            same += fabs(found[p].frequency_thz[0] - given[p].frequency_thz[0]) < 0.02 * error &&
                    fabs(found[p].chi2_reduced / given[p].chi2_reduced - 1.0) < 1e-4;
        }
        ck_assert_int_ge(same, P * 98 / 100);
    }
    make(0.5, 1.0, 0.0, 2);
    for (int p = 0; p < P; p++) f[p] = (float)truth[p][0][0] + 0.01F;
    xani_fit_options o = options(1);
    o.significance = 1e-30; // whatever is found
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, found), XANI_OK);
    o.start = 4;
    o.start_modes = 1;
    o.start_frequency_thz = f;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, given), XANI_OK);
    int missed[2] = {0};
    for (int p = 0; p < P; p++)
        for (int which = 0; which < 2; which++)
            missed[which] += near(which ? &given[p] : &found[p], truth[p][0][0], 0.02 * truth[p][0][0]) < 0;
    ck_assert_msg(missed[1] < missed[0] * 2 / 3, "missed %d, by search %d of %d", missed[1], missed[0], P);
}
END_TEST

START_TEST(test_given_shared)
{
    // One start for all traces; a far-off start stays at a minimum of its own (it is used, not replaced by a search);
    // modes beyond those given, and traces where NaN is given, are searched: there the bits are those of the search.
    static xani_fit_result found[P], given[P];
    make(0.5, 0.1, 0.0, 3);
    xani_fit_options o = options(2);
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, found), XANI_OK);
    const float nothing = NAN;
    o.start = 4;
    o.start_modes = 1;
    o.start_shared = 1;
    o.start_frequency_thz = &nothing;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, given), XANI_OK);
    ck_assert_int_eq(memcmp(found, given, sizeof found), 0);

    static float f[P];
    for (int p = 0; p < P; p++) f[p] = (float)truth[p][0][0];
    o.start_shared = 0;
    o.start_frequency_thz = f;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, given), XANI_OK);
    int both = 0;
    for (int p = 0; p < P; p++)
        both += near(&given[p], truth[p][0][0], 0.1) >= 0 && near(&given[p], truth[p][1][0], 0.1) >= 0;
    ck_assert_int_ge(both, P * 99 / 100); // the second mode was searched

    const float far = 9.3F, significance = 1e-30F; // accept whatever the start leads to
    o = options(1);
    o.significance = (double)significance;
    o.start = 4;
    o.start_modes = o.start_shared = 1;
    o.start_frequency_thz = &far;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, given), XANI_OK);
    int astray = 0;
    for (int p = 0; p < P; p++) astray += near(&given[p], truth[p][0][0], 0.1) < 0;
    ck_assert_int_ge(astray, P / 2);
}
END_TEST

// Largest difference of the covariance from the referee's, in units of the errors
static double difference(const double *c, int side, const double inverse[REFEREE_MOST][REFEREE_MOST], double s2,
                         const int *place)
{
    double most = 0.0;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            const double *row = inverse[place[i]], unit = s2 * sqrt(row[place[i]] * inverse[place[j]][place[j]]);
            most = fmax(most, fabs(c[i * side + j] - s2 * row[place[j]]) / unit);
        }
    return most;
}

START_TEST(test_covariance)
{
    // The matrix of all parameters of two modes is s^2 times the inverse of the full normal matrix of an independent
    // fit (1 % of the errors), on uniform and jittered delays, with a missing sample, and known sigma; its diagonal are
    // the errors' squares.
    static double c[P][64];
    static xani_fit_result r[P];
    static float sigma[P];
    for (int kind = 0; kind < 3; kind++) {
        make(0.3, 0.05, kind == 1 ? 0.9 : 0.0, 4);
        for (int p = 0; p < P; p++) sigma[p] = 0.05F;
        for (int p = 0; p < P && kind == 2; p++) y[(p % N) * P + p] = NAN;
        xani_fit_options o = options(2);
        o.tolerance = 1e-7;
        o.covariance = &c[0][0];
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, kind == 2 ? sigma : NULL, r), XANI_OK);
        int compared = 0;
        for (int p = 0; p < P; p++) {
            if (r[p].n_modes != 2 || r[p].status != 0) continue;
            const double error[8] = {r[p].frequency_error[0], r[p].damping_error[0],   r[p].amplitude_error[0],
                                     r[p].phase_error[0],     r[p].frequency_error[1], r[p].damping_error[1],
                                     r[p].amplitude_error[1], r[p].phase_error[1]};
            for (int i = 0; i < 8; i++) {
                ck_assert_double_eq_tol(sqrt(c[p][9 * i]) / error[i], 1.0, 5e-3);
                for (int j = 0; j < 8; j++) ck_assert_double_eq_tol(c[p][8 * i + j], c[p][8 * j + i], 1e-12);
            }
            double v[N], w[N];
            for (int i = 0; i < N; i++) w[i] = isfinite(y[i * P + p]), v[i] = w[i] > 0.0 ? (double)y[i * P + p] : 0.0;
            referee_data d = {v, t, w, N, 2, 1, {t[0], t[N - 1]}};
            referee_fit f = {.p = {r[p].frequency_thz[0], r[p].damping_per_ps[0], r[p].amplitude[0], r[p].phase[0],
                                   r[p].frequency_thz[1], r[p].damping_per_ps[1], r[p].amplitude[1], r[p].phase[1],
                                   r[p].background[0]}};
            ck_assert(referee_run(&d, &f));
            const int place[8] = {0, 1, 2, 3, 4, 5, 6, 7};
            const double s2 = kind == 2 ? (double)sigma[p] * (double)sigma[p] : f.chi2 / (N - 9);
            ck_assert_double_le(difference(c[p], 8, f.inverse, s2, place), 0.01);
            compared++;
        }
        ck_assert_int_ge(compared, P * 9 / 10);
    }
}
END_TEST

START_TEST(test_covariance_missing)
{
    // NaN for modes that are not there, for all of a trace without any, and for a damping at its lower bound, which
    // leaves the rest finite.
    static double c[P][64];
    static xani_fit_result r[P];
    make(0.5, 0.1, 0.0, 5);
    for (int p = 0; p < P; p++) {
        xn_rng g;
        xn_rng_init(&g, 6, (uint64_t)p);
        for (int i = 0; i < N; i++) {
            const double lasting = cos(TWO_PI * 2.345 * t[i] + p); // one mode that does not decay
            y[i * P + p] = (float)((p % 2 ? lasting : 0.0) + 0.1 * xn_rng_normal(&g));
        }
    }
    xani_fit_options o = options(2);
    o.covariance = &c[0][0];
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
    int bound = 0;
    for (int p = 0; p < P; p++) {
        for (int i = 0; i < 64; i++)
            if (i / 8 >= 4 * r[p].n_modes || i % 8 >= 4 * r[p].n_modes) ck_assert(isnan(c[p][i]));
        if (r[p].n_modes != 1 || r[p].status != 5) continue;
        bound++;
        ck_assert(isnan(r[p].damping_error[0]));
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) ck_assert_int_eq(isnan(c[p][8 * i + j]) != 0, i == 1 || j == 1);
        ck_assert_double_eq_tol(sqrt(c[p][0]) / r[p].frequency_error[0], 1.0, 5e-3);
        ck_assert_double_eq_tol(sqrt(c[p][27]) / r[p].phase_error[0], 1.0, 5e-3);
    }
    ck_assert_int_ge(bound, P / 8);
}
END_TEST

START_TEST(test_no_modes)
{
    // modes_max 0: background and chi^2 only, those of a straight least-squares fit; no covariance is written.
    static xani_fit_result r[P];
    double untouched = 42.0;
    make(0.5, 0.1, 0.0, 7);
    for (int background = -1; background < 4; background++) {
        xani_fit_options o = options(0);
        o.background = background;
        o.covariance = &untouched;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
        for (int p = 0; p < P; p += 10) {
            double v[N], w[N];
            for (int i = 0; i < N; i++) v[i] = y[i * P + p], w[i] = 1.0;
            referee_data d = {v, t, w, N, 0, background + 1, {t[0], t[N - 1]}};
            referee_fit f = {.p = {0}};
            if (background >= 0) ck_assert(referee_run(&d, &f));
            if (background < 0)
                for (int i = 0; i < N; i++) f.chi2 += v[i] * v[i];
            ck_assert_int_eq(r[p].n_modes, 0);
            ck_assert_int_eq(r[p].status, 1);
            ck_assert_double_eq_tol(r[p].chi2_reduced / (f.chi2 / (N - background - 1)), 1.0, 1e-5);
            for (int b = 0; b < 4; b++)
                if (b <= background)
                    ck_assert_double_eq_tol(r[p].background[b], f.p[b], 1e-5);
                else
                    ck_assert(isnan(r[p].background[b]));
        }
    }
    ck_assert_double_eq(untouched, 42.0);
}
END_TEST

START_TEST(test_threshold)
{
    // The threshold that xani_fit_threshold tells is the one that decides: significances of accepted modes lie above it
    // and its share of noise traces is accepted; an own one comes back with its share; errors name the option.
    static xani_fit_result r[P];
    make(0.5, 0.1, 0.0, 8);
    xani_fit_options o = options(1);
    double x, share, own;
    ck_assert_int_eq(xani_fit_threshold(ctx, &o, t, N, &x, &share), XANI_OK);
    ck_assert(x > 20.0 && x < 30.0 && share > 0.004 && share < 0.006);
    o.significance = 15.0;
    ck_assert_int_eq(xani_fit_threshold(ctx, &o, t, N, &own, NULL), XANI_OK);
    ck_assert_double_eq(own, 15.0);
    ck_assert_int_eq(xani_fit_threshold(ctx, &o, t, N, &own, &share), XANI_OK);
    ck_assert(share > 0.1 && share < 0.4);
    int alarms = 0;
    for (int seed = 0; seed < 10; seed++) {
        for (int p = 0; p < P; p++) {
            xn_rng g;
            xn_rng_init(&g, (uint64_t)seed, (uint64_t)p);
            for (int i = 0; i < N; i++) y[i * P + p] = (float)xn_rng_normal(&g);
        }
        ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_OK);
        for (int p = 0; p < P; p++) alarms += r[p].n_modes > 0;
    }
    const double got = alarms / (10.0 * P);
    ck_assert_msg(fabs(got - share) < 0.15 * share, "share %.3f, foretold %.3f", got, share);
    o.modes_max = 9;
    ck_assert_int_eq(xani_fit_threshold(ctx, &o, t, N, &own, NULL), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "modes_max"));
    o.modes_max = 1;
    ck_assert_int_eq(xani_fit_threshold(ctx, &o, t, 1, &own, NULL), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_fit_threshold(ctx, &o, t, 5, &own, NULL), XANI_ERR_USAGE); // no mode can be fitted to those
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "5 delays are too few"));
}
END_TEST

START_TEST(test_refused)
{
    // Starts that cannot be used are refused by name; so is linear prediction on delays that are not uniform.
    static xani_fit_result r[P];
    const float f = 2.0F;
    make(0.5, 0.1, 0.0, 9);
    xani_fit_options o = options(1);
    o.start = 4;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "start_modes"));
    o.start_modes = 1;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "start_frequency_thz"));
    o.start_frequency_thz = &f;
    o.start_modes = 5;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_ERR_USAGE);
    for (int i = 0; i < N; i++) t[i] += 0.001 * i * i;
    o = options(1);
    o.start = 1;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, P, NULL, r), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "uniform"));
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_given);
    tcase_add_test(c, test_given_shared);
    tcase_add_test(c, test_covariance);
    tcase_add_test(c, test_covariance_missing);
    tcase_add_test(c, test_no_modes);
    tcase_add_test(c, test_threshold);
    tcase_add_test(c, test_refused);
}
XN_TEST_MAIN("fit given", add)
