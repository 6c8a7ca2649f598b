// SPDX-License-Identifier: BSD-3-Clause
// test_sign.c -- a signal on the wrong side of delay zero is noticed, and one on the right side never, whatever its
// shape, the offset of the whole trace and the jitter; with errors and without.
#include "context.h"

#include "core/rng.h"
#include "reduce/internal.h"

enum { GROUPS = 16, MOST_BINS = 120, SHOTS = 100 };

typedef struct trace {
    double start, stop, step; // of the bins, ps
    double height, f, decay;  // height (1 - cos(2 pi f t)) exp(-decay t) from t = 0 on; f 0: height exp(-decay t)
    double vary;              // of the height between groups
    double jitter, offset, noise, common, zero;
} trace;

static float signal[MOST_BINS * GROUPS], errors[MOST_BINS * GROUPS];
static double delay[MOST_BINS], weight[MOST_BINS];
static int64_t shots[MOST_BINS];
static uint32_t mask[GROUPS];

static double response(const trace *r, double height, double t)
{
    if (!(t > 0)) return 0;
    return height * (r->f > 0 ? 1 - cos(2 * M_PI * r->f * t) : 1) * exp(-r->decay * t);
}

static double blurred(const trace *r, double height, double t)
{
    double sum = 0, weights = 0;
    if (!(r->jitter > 0)) return response(r, height, t);
    for (double z = -4; z <= 4; z += 0.05) {
        sum += exp(-z * z / 2) * response(r, height, t + z * r->jitter);
        weights += exp(-z * z / 2);
    }
    return sum / weights;
}

// sign -1: the same trace with its delay turned round, over the bins turned round.
static xn_cube make(const trace *r, double sign, bool counting, uint64_t seed)
{
    xn_cube c = {
        .delay_ps = delay, .weight = weight, .signal = signal, .errors = errors, .mask = mask, .ny = 4, .nx = 4};
    xn_rng g;
    xn_rng_init(&g, seed, 8);
    c.on.shots = shots;
    c.errors_counting = counting;
    c.time_resolution_ps = NAN;
    c.nbins = (int)rint((r->stop - r->start) / r->step);
    for (int b = 0; b < c.nbins; b++) {
        double common = r->common * xn_rng_normal(&g);
        int at = sign > 0 ? b : c.nbins - 1 - b;
        double t = r->start + (b + 0.5) * r->step;
        delay[at] = sign * t;
        weight[at] = 1;
        shots[at] = SHOTS;
        for (int p = 0; p < GROUPS; p++) {
            double height = r->height * (1 + r->vary * (p % 4 - 1.5));
            double e = hypot(r->noise, r->common);
            signal[at * GROUPS + p] =
                (float)(r->offset + blurred(r, height, t - r->zero) + common + r->noise * xn_rng_normal(&g));
            errors[at * GROUPS + p] = counting ? (float)e : NAN;
        }
    }
    return c;
}

static int alarms(const trace *r, double sign, bool counting)
{
    int n = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        xn_cube c = make(r, sign, counting, seed);
        n += xn_sign_check(ctx, &c);
    }
    return n;
}

START_TEST(test_both_signs)
{
    // Steps, decays and oscillations, blurred or not, with and without an offset common to both sides, over sides of
    // different length: each of 20 runs of the wrong sign warns, none of the right one.
    static const trace cases[] = {
        {.start = -0.9, .stop = 4.9, .step = 0.1, .height = 0.06, .jitter = 0.15, .noise = 0.0025},
        {.start = -0.95, .stop = 4.95, .step = 0.1, .height = -0.04, .jitter = 0.08, .noise = 0.005},
        {.start = -2, .stop = 2, .step = 0.1, .height = 0.06, .noise = 0.005, .offset = 0.01},
        {.start = -2, .stop = 2, .step = 0.1, .height = 0.06, .noise = 0.005, .offset = -0.012, .jitter = 0.2},
        {.start = -2, .stop = 2, .step = 0.1, .height = 0.04, .vary = 0.6, .noise = 0.005, .offset = -0.04},
        {.start = -2, .stop = 4, .step = 0.1, .height = 0.06, .f = 1, .noise = 0.01},
        {.start = -2, .stop = 4, .step = 0.1, .height = 0.06, .f = 1, .noise = 0.01, .offset = 0.1},
        {.start = -2, .stop = 4, .step = 0.1, .height = 0.06, .f = 1, .noise = 0.01, .offset = -0.05},
        {.start = -2, .stop = 2, .step = 0.05, .height = 0.06, .f = 2, .decay = 1, .noise = 0.01, .offset = -0.02},
        {.start = -3, .stop = 3, .step = 0.1, .height = 0.2, .decay = 3, .noise = 0.01, .offset = 0.05},
        {.start = -2, .stop = 2, .step = 0.1, .height = 0.06, .noise = 0.003, .common = 0.003},
    };
    for (int counting = 0; counting < 2; counting++) {
        ck_assert_msg(alarms(&cases[_i], 1, counting) == 0, "case %d, right sign, errors %d: %d alarms", _i, counting,
                      alarms(&cases[_i], 1, counting));
        ck_assert_msg(alarms(&cases[_i], -1, counting) == 20, "case %d, wrong sign, errors %d: %d alarms", _i, counting,
                      alarms(&cases[_i], -1, counting));
    }
}
END_TEST

START_TEST(test_none)
{
    // Nothing, an offset, noise common to all groups, a zero that is off by some of the jitter: no alarm with either
    // sign in 20 runs.
    static const trace cases[] = {
        {.start = -2, .stop = 2, .step = 0.1, .noise = 0.01},
        {.start = -0.9, .stop = 4.9, .step = 0.1, .noise = 0.01, .offset = 0.2},
        {.start = -2, .stop = 4, .step = 0.1, .noise = 0.002, .common = 0.01, .offset = 0.02},
    };
    static const trace off_zero = {
        .start = -0.95, .stop = 4.95, .step = 0.1, .height = 0.06, .jitter = 0.15, .noise = 0.0025, .zero = -0.25};
    for (int counting = 0; counting < 2; counting++) {
        for (int k = 0; k < 3; k++)
            for (int sign = -1; sign <= 1; sign += 2)
                ck_assert_msg(alarms(&cases[k], sign, counting) == 0, "case %d, errors %d", k, counting);
        ck_assert_int_eq(alarms(&off_zero, 1, counting), 0);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_both_signs, 0, 11);
    tcase_add_test(t, test_none);
}
XN_TEST_MAIN("sign of the delay", add)
