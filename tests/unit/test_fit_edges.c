// SPDX-License-Identifier: BSD-3-Clause
// test_fit_edges.c -- traces that hold nothing to fit: flagged, at no cost, and without a trace in their neighbours.
#include "context.h"
#include "no_memory.h"

#include <float.h>

#include "core/rng.h"
#include "fit/engine.h"
#include "xani/xani.h"

#define TWO_PI 6.28318530717958647693
enum { N = 160, GOOD = 120, KINDS = 12, P = 2 * GOOD };

static double t[N];
static float alone[N * GOOD], mixed[N * P]; // the good traces; between any two of them one of the odd kinds
static xani_fit_result single[GOOD], results[P];

typedef enum {
    ALL_NAN,
    ALL_INF,
    MINUS_INF,
    ZERO,
    CONSTANT,
    LARGE_CONSTANT,
    TWO_SAMPLES,
    ONE_SAMPLE,
    SEVEN_SAMPLES,
    TINY,        // below the smallest normal number
    OVERFLOWING, // squares are not finite in float
    MIXED_INF,   // NaN and both infinities
} kind;

static const int status_of[KINDS] = {3, 3, 3, 1, 1, 1, 3, 3, 3, 1, 3, 3};

static float odd_value(kind k, int i, xn_rng *r)
{
    switch (k) {
    case ALL_NAN:
        return NAN;
    case ALL_INF:
        return INFINITY;
    case MINUS_INF:
        return -INFINITY;
    case ZERO:
        return 0.0F;
    case CONSTANT:
        return -3.25F;
    case LARGE_CONSTANT:
        return 1.2345678e6F;
    case TWO_SAMPLES:
        return i == 20 || i == 90 ? (float)xn_rng_normal(r) : NAN;
    case ONE_SAMPLE:
        return i == 77 ? 1.0F : NAN;
    case SEVEN_SAMPLES:
        return i % 23 == 3 ? (float)xn_rng_normal(r) : NAN;
    case TINY:
        return (float)(3e-42 * xn_rng_normal(r));
    case OVERFLOWING:
        return (i % 2 ? -1.0F : 1.0F) * 0.9F * FLT_MAX;
    case MIXED_INF:
        return i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    }
    return NAN;
}

static void make(bool jitter)
{
    xn_rng r;
    xn_rng_init(&r, 1, 1);
    for (int i = 0; i < N; i++) t[i] = 0.05 * (i + (jitter ? 0.9 * (xn_rng_uniform(&r) - 0.5) : 0.0));
    for (int p = 0; p < GOOD; p++) {
        xn_rng_init(&r, 2, (uint64_t)p);
        const double f = 1.0 + 5.0 * xn_rng_uniform(&r), g = 0.1 + 0.4 * xn_rng_uniform(&r);
        for (int i = 0; i < N; i++) {
            alone[i * GOOD + p] = (float)(exp(-g * t[i]) * cos(TWO_PI * f * t[i] + p) + 0.2 * xn_rng_normal(&r));
            mixed[i * P + 2 * p] = alone[i * GOOD + p];
            mixed[i * P + 2 * p + 1] = odd_value((kind)(p % KINDS), i, &r);
        }
    }
}

static xani_fit_options options(int start)
{
    xani_fit_options o;
    static const float f = 2.0F;
    xani_fit_options_init(&o);
    o.modes_max = 2;
    o.background = 1;
    o.threads = 1;
    o.start = start;
    o.start_modes = o.start_shared = 1;
    o.start_frequency_thz = &f;
    return o;
}

static void compare(const char *what)
{
    for (int p = 0; p < GOOD; p++) {
        ck_assert_msg(memcmp(&results[2 * p], &single[p], sizeof single[p]) == 0, "%s: trace %d changed", what, p);
        const xani_fit_result *r = &results[2 * p + 1];
        ck_assert_msg(r->n_modes == 0 && r->status == status_of[p % KINDS], "%s: kind %d: %d modes, status %d", what,
                      p % KINDS, r->n_modes, r->status);
        ck_assert(isnan(r->frequency_thz[0]) && isnan(r->amplitude_error[0]) && isnan(r->significance[0]));
        ck_assert(r->status != 3 || (isnan(r->chi2_reduced) && isnan(r->background[0])));
    }
}

START_TEST(test_odd_traces)
{
    // Every kind has its status and nothing but NaN beside it, from every start, on uniform and jittered delays, in
    // float and double, with known errors and with second rounds; the traces between them keep every bit.
    static const int starts[] = {0, 1, 2, 4};
    static float sigma[P], sigma_alone[GOOD];
    for (int p = 0; p < P; p++) sigma[p] = sigma_alone[p / 2] = 0.2F;
    for (int jitter = 0; jitter < 2; jitter++) {
        make(jitter == 1);
        for (int s = 0; s < 4; s++)
            for (int variant = 0; variant < 5; variant++) {
                char what[80];
                xani_fit_options o = options(starts[s]);
                snprintf(what, sizeof what, "start %d, jitter %d, variant %d", starts[s], jitter, variant);
                if (variant == 1) o.precision = 64;
                if (variant == 2) o.robust = 2;
                if (variant == 3) o.kernels = "scalar";
                const float *known = variant == 4 ? sigma : NULL;
                ck_assert_int_eq(
                    xani_fit_traces(ctx, &o, alone, t, N, GOOD, known != NULL ? sigma_alone : NULL, single), XANI_OK);
                ck_assert_int_eq(xani_fit_traces(ctx, &o, mixed, t, N, P, known, results), XANI_OK);
                compare(what);
            }
    }
}
END_TEST

START_TEST(test_no_cost)
{
    // Evaluations of the functional: with as many odd traces between them exactly as many as for the good traces alone.
    make(false);
    for (int jitter = 0; jitter < 2; jitter++) {
        make(jitter == 1);
        int64_t evaluations[2][XANI_MAX_MODES] = {{0}};
        for (int with = 0; with < 2; with++) {
            const xn_fit_setup s = {.delay_ps = t, .n = N, .background = 1, .modes_max = 2};
            xn_fit_plans plans;
            ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans), XANI_OK);
            const xn_fit_job job = {.plans = &plans,
                                    .n_delays = N,
                                    .background = 1,
                                    .y = with ? mixed : alone,
                                    .row_stride = with ? P : GOOD,
                                    .count = with ? P : GOOD,
                                    .start = XN_FROM_PERIODOGRAM,
                                    .kernels = "auto",
                                    .threads = 1,
                                    .results = with ? results : single,
                                    .evaluations = evaluations[with]};
            ck_assert_int_eq(xn_fit_run(ctx, &job), XANI_OK);
            xn_fit_plans_free(&plans);
        }
        ck_assert_int_gt(evaluations[0][0], GOOD);
        for (int k = 0; k < 2; k++) ck_assert_int_eq(evaluations[1][k], evaluations[0][k]);
    }
}
END_TEST

START_TEST(test_huge_offset)
{
    // An offset of 1e6 amplitudes: samples are then rounded to 0.06 amplitudes, no more; f, A and phase come back
    // within five of their errors, errors say how large the rounding is, and no second mode is made of it.
    make(false);
    static float y[N * GOOD], small[N * GOOD];
    for (int i = 0; i < N * GOOD; i++) y[i] = (float)(1e6 + 4.0 * (double)alone[i]), small[i] = 4.0F * alone[i];
    xani_fit_options o = options(0);
    o.background = 0;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, small, t, N, GOOD, NULL, single), XANI_OK);
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, GOOD, NULL, results), XANI_OK);
    int same = 0;
    for (int p = 0; p < GOOD; p++) {
        const xani_fit_result *a = &single[p], *b = &results[p];
        same += a->n_modes == b->n_modes && a->status == b->status &&
                fabs(a->frequency_thz[0] - b->frequency_thz[0]) < a->frequency_error[0] &&
                fabs(a->amplitude[0] - b->amplitude[0]) < a->amplitude_error[0];
        if (b->n_modes > 0 && a->n_modes > 0) ck_assert_double_eq_tol(b->background[0] / 1e6, 1.0, 1e-6);
    }
    ck_assert_msg(same >= GOOD * 95 / 100, "%d of %d as without the offset", same, GOOD);
}
END_TEST

START_TEST(test_flagged)
{
    // A spike, a step and a slope are no modes, whatever their size; a mode that does not decay stands at a bound, is
    // reported so, and has no error of damping.
    static float y[N * 4];
    make(false);
    for (int i = 0; i < N; i++) {
        y[i * 4] = i == 70 ? 1e6F : 0.0F;
        y[i * 4 + 1] = i < 80 ? 0.0F : 1.0F;
        y[i * 4 + 2] = 1e3F * (float)t[i];
        y[i * 4 + 3] = (float)(cos(TWO_PI * 3.0 * t[i]) + 1e-3 * (i * 7919 % 13 - 6));
    }
    xani_fit_options o = options(0);
    o.modes_max = 1;
    o.background = 2;
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, 4, NULL, results), XANI_OK);
    ck_assert_int_eq(results[2].n_modes, 0);
    ck_assert_int_eq(results[2].status, 1);
    ck_assert_int_eq(results[3].n_modes, 1);
    ck_assert_int_eq(results[3].status, 5);
    ck_assert(isnan(results[3].damping_error[0]) && results[3].frequency_error[0] > 0.0);
    ck_assert_double_eq_tol(results[3].frequency_thz[0], 3.0, 1e-3);
    o.robust = 2; // with outliers taken for what they are, the spike leaves nothing
    xn_rng r;
    xn_rng_init(&r, 8, 8);
    for (int i = 0; i < N; i++) y[i * 4] = (i == 70 ? 1e3F : 0.0F) + (float)xn_rng_normal(&r);
    ck_assert_int_eq(xani_fit_traces(ctx, &o, y, t, N, 4, NULL, results), XANI_OK);
    ck_assert_int_eq(results[0].n_modes, 0);
}
END_TEST

START_TEST(test_errors_name_options)
{
    // Each option out of its range is refused with a line that names it.
    make(false);
    for (int i = 0; i < 10; i++) {
        static const char *const names[] = {"modes_max", "background", "frequency_thz", "significance", "start",
                                            "kernels",   "threads",    "tolerance",     "precision",    "size"};
        xani_fit_options o = options(0);
        if (i == 0) o.modes_max = -1;
        if (i == 1) o.background = 5;
        if (i == 2) o.frequency_thz[0] = -1.0;
        if (i == 3) o.significance = -1.0;
        if (i == 4) o.start = -1;
        if (i == 5) o.kernels = "mmx";
        if (i == 6) o.threads = -1;
        if (i == 7) o.tolerance = INFINITY;
        if (i == 8) o.precision = 33;
        if (i == 9) o.size = sizeof o + 1;
        ck_assert_int_eq(xani_fit_traces(ctx, &o, alone, t, N, GOOD, NULL, single), XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), names[i]) != NULL, "%s: %s", names[i], xani_error_text(ctx));
    }
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation fails, the answer is "out of memory" and nothing leaks or hangs: given starts with a second
    // round and covariance, and neighbourhoods.
    make(false);
    static double covariance[GOOD * 64];
    for (int start = 3; start <= 4; start++) {
        xani_fit_options o = options(start);
        o.image_width = 12;
        o.robust = start == 4;
        o.covariance = covariance;
        int failed = 0;
        for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
            no_memory_begin(&n);
            const xani_status st = xani_fit_traces(ctx, &o, alone, t, N, GOOD, NULL, single);
            no_memory_end();
            ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
            failed += st != XANI_OK;
        }
        ck_assert_int_gt(failed, 20);
        ck_assert_int_lt(failed, 400);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_checked_fixture(c, set_up, tear_down);
    tcase_add_test(c, test_odd_traces);
    tcase_add_test(c, test_no_cost);
    tcase_add_test(c, test_huge_offset);
    tcase_add_test(c, test_flagged);
    tcase_add_test(c, test_errors_name_options);
    tcase_add_test(c, test_memory);
}
XN_TEST_MAIN("fit edges", add)
