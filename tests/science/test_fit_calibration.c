// SPDX-License-Identifier: BSD-3-Clause
// test_fit_calibration.c -- errors mean what they say: pulls and coverage of 100,000 fits, and dampings as a referee
// has.
//
// Traces as everywhere (bench/traces.h), K = 1, SNR 10, sigma known.  All traces count, also those whose frequency is
// far from the truth; a pull beyond 6 is counted apart.  The error of a mean of 100,000 pulls is 0.0032 and of their
// width 0.0022: the bounds 0.013 and 0.009 are four of them.  The estimate of a damping is skewed by nature, so its
// pulls are compared with those of an independent fit in double precision (tests/fit_referee.h), not with zero.
#include "fit_common.h"

#include "data/modes.h"
#include "fit/fit.h"
#include "fit_referee.h"

enum { N = XN_TRACE_SAMPLES, MOST = 10000, QUANTITIES = 4 };
enum { FREQUENCY = 0, AMPLITUDE, PHASE, DAMPING };
static const char *const names[QUANTITIES] = {"frequency", "amplitude", "phase", "damping"};

static xn_ctx *ctx;
static float *y, *sigma;
static xn_truth *truth;
static xani_fit_result *results;
static double delay_ps[N];
static xani_fit_options options;

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    y = malloc(sizeof(float) * N * MOST);
    sigma = malloc(sizeof(float) * MOST);
    truth = malloc(sizeof(xn_truth) * MOST);
    results = malloc(sizeof(xani_fit_result) * MOST);
    ck_assert(y && sigma && truth && results);
    xn_traces_delays(N, delay_ps);
    options = (xani_fit_options){.size = sizeof options, .kernels = "auto", .significance = 1e-9};
}

static void tear_down(void)
{
    free(y);
    free(sigma);
    free(truth);
    free(results);
    xani_destroy(&ctx);
}

static void fit(uint64_t seed, int modes, double snr, bool sigma_known)
{
    xn_traces_make(seed, modes, snr, delay_ps, N, MOST, y, truth);
    for (int i = 0; i < MOST; i++) sigma[i] = (float)(1 / snr);
    options.modes_max = modes;
    xani_status st = xn_fit_traces(ctx, &options, y, delay_ps, N, MOST, sigma_known ? sigma : NULL, results);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}

enum { BARS = 50 }; // of 0.2, from -5
static int histogram[QUANTITIES][BARS];

static void pull_add(gather pull[QUANTITIES], int q, double v)
{
    const double at = floor((v + 5) / 0.2);
    gather_add(&pull[q], v);
    if (at >= 0 && at < BARS) histogram[q][(int)at]++;
}

static void histogram_record(void)
{
    for (int q = 0; q < QUANTITIES; q++) {
        char text[BARS * 12] = "";
        for (int i = 0, at = 0; i < BARS; i++)
            at += snprintf(text + at, sizeof text - (size_t)at, "%s%d", i > 0 ? ", " : "", histogram[q][i]);
        record("histogram", "\"of\": \"%s\", \"from\": -5, \"step\": 0.2, \"counts\": [%s]", names[q], text);
    }
}

// Pulls of the first true mode
static void pulls_add(gather pull[QUANTITIES], int i)
{
    const xani_fit_result *r = &results[i];
    const xn_truth *t = &truth[i];
    int order[XN_TRACE_MODES];
    xn_truth_found(t, r->frequency_thz, order);
    const int j = order[0];
    pull_add(pull, FREQUENCY, (r->frequency_thz[j] - t->f[0]) / r->frequency_error[j]);
    pull_add(pull, AMPLITUDE, (r->amplitude[j] - t->a[0]) / r->amplitude_error[j]);
    pull_add(pull, PHASE, turn(r->phase[j] - t->phase[0]) / r->phase_error[j]);
    pull_add(pull, DAMPING, (r->damping_per_ps[j] - t->g[0]) / r->damping_error[j]);
}

static void pulls_measure(gather pull[QUANTITIES], int modes, double snr, bool sigma_known)
{
    const int blocks = 10 * accuracy_times();
    int left_out = 0;
    for (int b = 0; b < blocks; b++) {
        fit(9000 + (uint64_t)b, modes, snr, sigma_known);
        for (int i = 0; i < MOST; i++)
            if (results[i].status == XN_FIT_MODES && results[i].n_modes == modes)
                pulls_add(pull, i);
            else
                left_out++;
    }
    for (int q = 0; q < QUANTITIES; q++)
        record("pulls",
               "\"modes\": %d, \"snr\": %g, \"sigma\": \"%s\", \"of\": \"%s\", \"fits\": %d, \"mean\": %.4f, "
               "\"width\": %.4f, "
               "\"within1\": %.4f, \"within2\": %.4f, \"beyond6\": %d, \"left_out\": %d",
               modes, snr, sigma_known ? "known" : "residual", names[q], pull[q].n + pull[q].far, gather_mean(&pull[q]),
               gather_spread(&pull[q]), gather_within(&pull[q], 1), gather_within(&pull[q], 2), pull[q].far, left_out);
}

START_TEST(test_known_sigma)
{
    // 100,000 fits at SNR 10: pulls of frequency, amplitude and phase have mean 0 +- 0.013 and width 1 +- 0.009; 68.27
    // % and 95.45 % lie within one and two errors, to 0.6 points; none is left out.
    gather pull[QUANTITIES] = {{0}};
    pulls_measure(pull, 1, 10, true);
    histogram_record();
    for (int q = 0; q < DAMPING; q++) {
        ck_assert_msg(fabs(gather_mean(&pull[q])) <= 0.013, "%s: mean %g", names[q], gather_mean(&pull[q]));
        ck_assert_msg(fabs(gather_spread(&pull[q]) - 1) <= 0.009, "%s: width %g", names[q], gather_spread(&pull[q]));
        ck_assert_msg(fabs(gather_within(&pull[q], 1) - 0.6827) <= 0.006, "%s: %g", names[q],
                      gather_within(&pull[q], 1));
        ck_assert_msg(fabs(gather_within(&pull[q], 2) - 0.9545) <= 0.006, "%s: %g", names[q],
                      gather_within(&pull[q], 2));
        ck_assert_int_le(pull[q].far, 5 * accuracy_times());
        ck_assert_int_ge(pull[q].n + pull[q].far, 99990 * accuracy_times());
    }
}
END_TEST

START_TEST(test_sigma_from_residual)
{
    // With sigma from the residual of 200 - 5 degrees of freedom a pull follows Student's distribution: its width is
    // sqrt(195/193) = 1.0052, within the same bounds.
    const double excess = sqrt(195.0 / 193.0);
    gather pull[QUANTITIES] = {{0}};
    pulls_measure(pull, 1, 10, false);
    for (int q = 0; q < DAMPING; q++) {
        ck_assert_msg(fabs(gather_mean(&pull[q])) <= 0.013, "%s: mean %g", names[q], gather_mean(&pull[q]));
        ck_assert_msg(fabs(gather_spread(&pull[q]) - excess) <= 0.009, "%s: %g", names[q], gather_spread(&pull[q]));
    }
}
END_TEST

START_TEST(test_other_cells)
{
    // Two modes at SNR 10, and lower SNR: measured and recorded; at SNR 3 within 0.03 and 0.05 of a normal
    // distribution.
    static const struct {
        int modes;
        double snr, mean, width;
    } rows[] = {{2, 10, 0.03, 0.02}, {1, 3, 0.03, 0.05}, {2, 3, 0.03, 0.05}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gather pull[QUANTITIES] = {{0}};
        pulls_measure(pull, rows[i].modes, rows[i].snr, true);
        for (int q = 0; q < DAMPING; q++) {
            ck_assert_msg(fabs(gather_mean(&pull[q])) <= rows[i].mean, "%s: %g", names[q], gather_mean(&pull[q]));
            ck_assert_msg(fabs(gather_spread(&pull[q]) - 1) <= rows[i].width, "%s: %g", names[q],
                          gather_spread(&pull[q]));
        }
    }
}
END_TEST

// The referee's minimum, from the truth of trace i.
static bool referee_trace(int i, referee_fit *f)
{
    static double one[N], v[N];
    for (int n = 0; n < N; n++) {
        one[n] = 1;
        v[n] = (double)y[n * MOST + i];
    }
    const referee_data data = {.y = v,
                               .t = delay_ps,
                               .w = one,
                               .n = N,
                               .n_modes = 1,
                               .n_background = 1,
                               .span = {delay_ps[0], delay_ps[N - 1]}};
    const double start[] = {truth[i].f[0], truth[i].g[0], truth[i].a[0], truth[i].phase[0], truth[i].offset};
    memcpy(f->p, start, sizeof start);
    return referee_run(&data, f);
}

// Differences to the referee in its errors, at one tolerance of the stop rule; pulls of both dampings on the way.
static void compare_with_referee(double tolerance, gather difference[QUANTITIES], gather pull[2], double *largest)
{
    const int blocks = accuracy_times();
    *largest = 0;
    options.tolerance = tolerance;
    for (int b = 0; b < blocks; b++) {
        fit(9000 + (uint64_t)b, 1, 10, true);
        for (int i = 0; i < MOST; i++) {
            const xani_fit_result *r = &results[i];
            referee_fit f;
            if (r->status != XN_FIT_MODES || !referee_trace(i, &f)) continue;
            double error[QUANTITIES];
            static const int place[QUANTITIES] = {0, 2, 3, 1}; // of the referee's parameters
            for (int q = 0; q < QUANTITIES; q++) error[q] = 0.1 * sqrt(f.inverse[place[q]][place[q]]);
            gather_add(&difference[FREQUENCY], (r->frequency_thz[0] - f.p[0]) / error[FREQUENCY]);
            gather_add(&difference[AMPLITUDE], (r->amplitude[0] - f.p[2]) / error[AMPLITUDE]);
            gather_add(&difference[PHASE], turn(r->phase[0] - f.p[3]) / error[PHASE]);
            const double damping = (r->damping_per_ps[0] - f.p[1]) / error[DAMPING];
            gather_add(&difference[DAMPING], damping);
            *largest = fmax(*largest, fabs(damping));
            gather_add(&pull[0], (r->damping_per_ps[0] - truth[i].g[0]) / r->damping_error[0]);
            gather_add(&pull[1], (f.p[1] - truth[i].g[0]) / error[DAMPING]);
        }
    }
    for (int q = 0; q < QUANTITIES; q++)
        record("referee",
               "\"tolerance\": %g, \"of\": \"%s\", \"fits\": %d, \"mean\": %.5f, \"rms\": %.5f, \"beyond6\": %d",
               tolerance > 0 ? tolerance : 1e-3, names[q], difference[q].n, gather_mean(&difference[q]),
               gather_rms(&difference[q]), difference[q].far);
    record("damping",
           "\"tolerance\": %g, \"ours\": {\"mean\": %.4f, \"width\": %.4f}, \"referee\": {\"mean\": %.4f, \"width\": "
           "%.4f}, "
           "\"largest\": %.4f",
           tolerance > 0 ? tolerance : 1e-3, gather_mean(&pull[0]), gather_spread(&pull[0]), gather_mean(&pull[1]),
           gather_spread(&pull[1]), *largest);
}

START_TEST(test_damping_of_referee)
{
    // Dampings agree with the referee's to 0.01 of their error: root mean square at the default tolerance, and mean and
    // width of the pulls; each single one at tolerance 1e-5.
    for (int fine = 0; fine < 2; fine++) {
        gather difference[QUANTITIES] = {{0}}, pull[2] = {{0}};
        double largest;
        compare_with_referee(fine ? 1e-5 : 0, difference, pull, &largest);
        ck_assert_int_ge(pull[0].n, (int)(0.999 * MOST) * accuracy_times());
        for (int q = 0; q < QUANTITIES; q++) {
            ck_assert_int_eq(difference[q].far, 0);
            ck_assert_msg(gather_rms(&difference[q]) <= (fine ? 0.002 : 0.01), "%s: rms %g", names[q],
                          gather_rms(&difference[q]));
        }
        ck_assert_double_le(fabs(gather_mean(&pull[0]) - gather_mean(&pull[1])), 0.01);
        ck_assert_double_le(fabs(gather_spread(&pull[0]) - gather_spread(&pull[1])), 0.01);
        if (fine) ck_assert_double_le(largest, 0.01);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_known_sigma);
    tcase_add_test(t, test_sigma_from_residual);
    tcase_add_test(t, test_other_cells);
    tcase_add_test(t, test_damping_of_referee);
}

XN_TEST_MAIN("fit calibration", add)
