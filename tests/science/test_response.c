// SPDX-License-Identifier: BSD-3-Clause
// test_response.c -- modes that begin at time zero and are seen through a response: unbiased, with honest errors, from
// traces that include it; and what a fit that does not know of the response makes of them.
#include "context.h"

#include "core/rng.h"
#include "kernel/response.h"
#include "xani/xani.h"

#define TWO_PI 6.28318530717958647693
#define FWHM 0.15
#define RMS (FWHM / 2.35482004503094938202)
enum { N = 200, P = 4000 };

typedef struct {
    double f, g, phase;
} truth;

static float y[N * P];
static double t[N];
static truth tr[P];
static xani_fit_result res[P], other[P];
// A level of 0.3, from time zero `begin` on 0.7 - 0.02 t and modes of amplitude 1, frequencies 0.6-3 THz; 50 fs steps
// from 2 ps before, times uneven by `uneven` steps.
static void make_traces(int n_modes, double snr, double begin, double uneven, uint64_t seed)
{
    xn_rng r;
    xn_rng_init(&r, seed, 1);
    for (int i = 0; i < N; i++) t[i] = 0.05 * (i - 40 + uneven * (xn_rng_uniform(&r) - 0.5));
    for (int p = 0; p < P; p++) {
        truth m[2];
        for (int k = 0; k < 2; k++) do
                m[k] = (truth){0.6 + 2.4 * xn_rng_uniform(&r), 1 / (0.8 + 2.2 * xn_rng_uniform(&r)),
                               TWO_PI * (xn_rng_uniform(&r) - 0.5)};
            while (k == 1 && fabs(m[0].f - m[1].f) < 0.7);
        tr[p] = m[0];
        for (int i = 0; i < N; i++) {
            const double x = t[i] - begin, tau = x / RMS, on = 0.5 * erfc(-tau * M_SQRT1_2);
            const double slope = x * on + RMS * exp(-0.5 * tau * tau) / sqrt(TWO_PI); // x from 0 on, convolved
            double v = 0.3 * (1 - on) + 0.7 * on - 0.02 * slope + xn_rng_normal(&r) / snr;
            for (int k = 0; k < n_modes; k++) {
                double u[2], du[2];
                xn_response(m[k].g, TWO_PI * m[k].f, RMS, x, u, du);
                v += u[0] * cos(m[k].phase) - u[1] * sin(m[k].phase);
            }
            y[i * P + p] = (float)v;
        }
    }
}

// Fits delays from `from` ps on.
static void fit(int n_modes, double fwhm, double zero, double from, int start, xani_fit_result *r)
{
    int first = 0;
    while (t[first] < from) first++;
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = n_modes, o.background = 1, o.start = start;
    o.response_fwhm_ps = fwhm, o.time_zero_ps = zero;
    const xani_status st = xani_fit_traces(ctx, &o, y + first * P, t + first, N - first, P, NULL, r);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}

typedef struct {
    int n;
    double mean[4], width[4], one[4], two[4]; // (estimate - truth)/error of f, A, phase, g; shares within 1 and 2
    double error[4], ratio;                   // mean error; mean amplitude over the truth
} summary;

static summary judge(const xani_fit_result *r)
{
    summary s = {0};
    for (int p = 0; p < P; p++)
        for (int k = 0; k < r[p].n_modes; k++) {
            if (fabs(r[p].frequency_thz[k] - tr[p].f) > 0.3) continue; // the other mode
            const double turn = (r[p].phase[k] - tr[p].phase) / TWO_PI;
            const double off[4] = {r[p].frequency_thz[k] - tr[p].f, r[p].amplitude[k] - 1.0,
                                   TWO_PI * (turn - rint(turn)), r[p].damping_per_ps[k] - tr[p].g};
            const double error[4] = {r[p].frequency_error[k], r[p].amplitude_error[k], r[p].phase_error[k],
                                     r[p].damping_error[k]};
            s.n++;
            s.ratio += r[p].amplitude[k];
            for (int j = 0; j < 4; j++) {
                const double z = off[j] / error[j];
                s.mean[j] += z, s.width[j] += z * z, s.error[j] += error[j];
                s.one[j] += fabs(z) < 1, s.two[j] += fabs(z) < 2;
            }
        }
    s.ratio /= s.n;
    for (int j = 0; j < 4; j++) {
        s.mean[j] /= s.n, s.one[j] /= s.n, s.two[j] /= s.n, s.error[j] /= s.n;
        s.width[j] = sqrt(s.width[j] / s.n - s.mean[j] * s.mean[j]);
    }
    return s;
}

static void show(const char *what, const summary *s)
{
    static const char *const names[] = {"f", "A", "phase", "g"};
    for (int j = 0; j < 4; j++)
        printf("%-28s %5d fits %-6s pull %+.3f width %.3f within 1 %.3f, 2 %.3f, mean error %.4g\n", what, s->n,
               names[j], s->mean[j], s->width[j], s->one[j], s->two[j], s->error[j]);
}

// f, A and phase: mean 0, width 1, shares of a normal distribution; 4 standard errors of 4000 traces, and what few
// degrees of freedom and curvature add at this signal to noise. The damping is skewed by nature.
static void honest(const char *what, const summary *s)
{
    show(what, s);
    ck_assert_int_ge(s->n, (int)(0.995 * P));
    for (int j = 0; j < 3; j++) {
        ck_assert_msg(fabs(s->mean[j]) < 0.065, "%s: pull %d of mean %.3f", what, j, s->mean[j]);
        ck_assert_msg(fabs(s->width[j] - 1.01) < 0.05, "%s: pull %d of width %.3f", what, j, s->width[j]);
        ck_assert_msg(fabs(s->one[j] - 0.6827) < 0.03 && fabs(s->two[j] - 0.9545) < 0.015, "%s: %d: %.3f, %.3f", what,
                      j, s->one[j], s->two[j]);
    }
    ck_assert_double_eq_tol(s->width[3], 1.03, 0.08);
}

START_TEST(test_honest)
{
    make_traces(1, 20, 0, 0, 1);
    fit(1, FWHM, 0, -9, 0, res);
    summary s = judge(res);
    honest("one mode", &s);
    make_traces(2, 20, 0, 0, 2);
    fit(2, FWHM, 0, -9, 0, res);
    s = judge(res);
    honest("two modes", &s);
    make_traces(1, 20, 0.33, 0.8, 3);
    fit(1, FWHM, 0.33, -9, 0, res);
    s = judge(res);
    honest("uneven, zero at 0.33 ps", &s);
    make_traces(1, 20, 0, 0, 4);
    fit(1, FWHM, 0, -9, 2, res);
    s = judge(res);
    honest("start by both", &s);
}
END_TEST

START_TEST(test_what_it_saves_from)
{
    // Without the response: from time zero on, amplitude and phase are wrong by many errors; from three rms on the
    // frequency is right, but the amplitude is what the response lets through, and less is known of the phase. With it,
    // late delays alone give the same fit, amplitudes before the response.
    make_traces(1, 20, 0, 0, 5);
    fit(1, FWHM, 0, -9, 0, res);
    const summary with = judge(res);
    fit(1, 0, 0, 0, 0, other);
    const summary blind = judge(other);
    show("without, from time zero", &blind);
    ck_assert_double_gt(blind.width[2], 1.8);
    ck_assert_double_lt(blind.one[2], 0.45);
    ck_assert_double_lt(blind.mean[1], -4);
    fit(1, 0, 0, 3 * RMS, 0, other);
    const summary late = judge(other);
    show("without, from three rms", &late);
    ck_assert_double_lt(fabs(late.mean[0]), 0.07);
    ck_assert_double_lt(late.ratio, 0.83);
    ck_assert_double_lt(with.error[2], 0.85 * late.error[2]);
    ck_assert_double_lt(with.error[1] / with.ratio, 0.9 * late.error[1] / late.ratio);
    fit(1, FWHM, 0, 11 * RMS, 0, res); // closed sums, whose amplitudes alone are corrected
    fit(1, 0, 0, 11 * RMS, 0, other);
    for (int p = 0; p < P; p++) {
        ck_assert_int_eq(res[p].n_modes, other[p].n_modes);
        if (res[p].n_modes == 0) continue;
        const double w = TWO_PI * res[p].frequency_thz[0], g = res[p].damping_per_ps[0];
        ck_assert_double_eq_tol(res[p].frequency_thz[0], other[p].frequency_thz[0], 1e-6);
        ck_assert_double_eq_tol(res[p].amplitude[0] / other[p].amplitude[0], exp((w * w - g * g) * RMS * RMS / 2),
                                1e-5);
        const double turn = (res[p].phase[0] - other[p].phase[0] - g * w * RMS * RMS) / TWO_PI;
        ck_assert_double_eq_tol(turn, rint(turn), 1e-6);
    }
    const summary corrected = judge(res);
    show("with, from eleven rms", &corrected);
    ck_assert_double_lt(fabs(corrected.mean[2]), 0.08);
    ck_assert_double_eq_tol(corrected.width[1], 1.02, 0.08);
}
END_TEST

START_TEST(test_noise)
{
    // The threshold holds: one trace in 200 of noise, a level and a step is taken for a mode.
    make_traces(0, 20, 0, 0, 6);
    fit(1, FWHM, 0, -9, 0, res);
    int found = 0;
    for (int p = 0; p < P; p++) found += res[p].n_modes > 0;
    printf("false alarms %.4f\n", (double)found / P);
    ck_assert_int_lt(found, (int)(0.0095 * P));
    ck_assert_int_gt(found, (int)(0.001 * P));
}
END_TEST

static void add(TCase *c)
{
    tcase_set_timeout(c, 240);
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_honest);
    tcase_add_test(c, test_what_it_saves_from);
    tcase_add_test(c, test_noise);
}
XN_TEST_MAIN("response", add)
