// SPDX-License-Identifier: BSD-3-Clause
// test_lp_output.c -- what linear prediction hands out is what it promises: frequencies from 0 to Nyquist, finite
// amplitudes wherever time zero lies, a model that leaves the residual it states, limits named in refusals.
#include "test.h"

#include "core/rng.h"

#define PI 3.14159265358979323846

enum { N = 100, TRACES = 600, MOST = 10 };
#define STEP 0.1

static xani_context *ctx;
static double traces[N * TRACES], delay[N];
static xani_lp_component component[TRACES * MOST];
static xani_lp_result result[TRACES];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    for (int k = 0; k < TRACES; k++) {
        xn_rng rng;
        xn_rng_init(&rng, 5, (uint64_t)k);
        for (int i = 0; i < N; i++) traces[i * TRACES + k] = xn_rng_normal(&rng);
    }
}

static void tear_down(void) { xani_destroy(&ctx); }

static void predict(int method, int refine, double first_ps)
{
    xani_lp_options o;
    xani_lp_options_init(&o);
    o.method = method;
    o.rank_rule = XANI_LP_RANK_FIXED;
    o.rank = 9;
    o.refine = refine;
    for (int i = 0; i < N; i++) delay[i] = first_ps + STEP * i;
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, traces, delay, N, TRACES, MOST, component, result), XANI_OK);
}

START_TEST(test_frequencies)
{
    // Steps of the refinement that pass 0 or Nyquist are folded back, and the model leaves the residual stated.
    predict(_i, 10, 0.033);
    for (int k = 0; k < TRACES; k++) {
        double sum = 0;
        for (int i = 0; i < N; i++) {
            double rest = traces[i * TRACES + k];
            for (int j = 0; j < result[k].n_components; j++) {
                const xani_lp_component *c = &component[k * MOST + j];
                rest -= c->amplitude * exp(-c->damping_per_ps * delay[i]) *
                        cos(2 * PI * c->frequency_thz * delay[i] + c->phase);
            }
            sum += rest * rest;
        }
        ck_assert_double_eq_tol(sqrt(sum / N), result[k].residual, 1e-7);
        for (int j = 0; j < result[k].n_components; j++) {
            ck_assert_double_ge(component[k * MOST + j].frequency_thz, 0);
            ck_assert_double_le(component[k * MOST + j].frequency_thz, 0.5 / STEP * (1 + 1e-12));
        }
    }
}
END_TEST

START_TEST(test_far_from_time_zero)
{
    // Poles that die at once have no amplitude 1000 ps from their samples, and are left out; the others stay.
    int near = 0, far = 0;
    for (double first_ps = -1000; first_ps <= 1000; first_ps += 1000) {
        predict(_i, 0, first_ps);
        for (int k = 0; k < TRACES; k++)
            for (int j = 0; j < result[k].n_components; j++) {
                ck_assert(isfinite(component[k * MOST + j].amplitude) && component[k * MOST + j].amplitude > 0);
                *(first_ps == 0 ? &near : &far) += 1;
            }
    }
    ck_assert_int_gt(far, 0);
    ck_assert_int_le(far, 2 * near);
}
END_TEST

START_TEST(test_limits_are_named)
{
    // Too few delays, a negative count, no room: said with the limit.
    static const struct {
        int64_t delays, traces;
        int most;
        const char *words;
    } bad[] = {{7, 1, MOST, "n_delays is 7, not 8..1048576"},
               {N, -1, MOST, "n_traces is negative"},
               {N, 1, 0, "components_max is not above 0"}};
    xani_lp_options o;
    xani_lp_options_init(&o);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(xani_linear_prediction(ctx, &o, traces, delay, bad[i].delays, bad[i].traces, bad[i].most,
                                                component, result),
                         XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), bad[i].words) != NULL, "%s", xani_error_text(ctx));
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_frequencies, XANI_LP_HSVD, XANI_LP_LPSVD + 1);
    tcase_add_loop_test(t, test_far_from_time_zero, XANI_LP_HSVD, XANI_LP_LPSVD + 1);
    tcase_add_test(t, test_limits_are_named);
}
XN_TEST_MAIN("what linear prediction hands out", add)
