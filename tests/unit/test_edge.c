// SPDX-License-Identifier: BSD-3-Clause
// test_edge.c -- edges of time-tool traces: true position on average, errors that are standard deviations, no pull
// towards whole pixels, nothing found counted as something.
#include "test.h"

#include "core/rng.h"
#include "source/shots/edge.h"

#define WIDTH 1024
#define WORK (2 * (WIDTH + 1))

// Light of a laser pulse along the pixels, and a trace of a shot: brighter or darker as a whole, with a step at p.
static void light(double *reference)
{
    for (int x = 0; x < WIDTH; x++)
        reference[x] = 2000 * exp(-0.5 * pow((x - 480.0) / 260, 2)) * (1 + 0.05 * sin(x / 23.0));
}

static void shot(const double *reference, double p, double amplitude, double width, double noise, xn_rng *r,
                 double *trace)
{
    double bright = 1 + 0.1 * xn_rng_normal(r);
    for (int x = 0; x < WIDTH; x++)
        trace[x] = bright * reference[x] * (1 + amplitude * 0.5 * erfc(-(x - p) / width / sqrt(2))) +
                   (noise > 0 ? noise * xn_rng_normal(r) : 0);
}

static const struct {
    double amplitude, width, assumed, noise;
    int sign;
} cases[] = {
    {-0.20, 5, 5, 20, -1}, {-0.20, 5, 5, 20, 0}, {0.10, 8, 8, 10, 1}, {-0.05, 12, 12, 4, -1}, {-0.30, 3, 3, 60, -1},
};

START_TEST(test_position_and_error)
{
    // Over 3000 shots: mean error below 4 standard errors, errors as scattered as each fit says (1 within 6 %), and
    // within 8 % of the bound of Cramer and Rao with level and step unknown.
    double reference[WIDTH], weight[WIDTH], trace[WIDTH], work[WORK];
    xn_edge_rule rule = {.first = 100, .end = 900, .reach = 60, .width_px = cases[_i].assumed, .sign = cases[_i].sign};
    light(reference);
    ck_assert(xn_edge_weights(&rule, reference, weight));
    const int n = 3000;
    double sum = 0, squares = 0, pulls = 0, amplitude = 0, bound = 0;
    for (int k = 0; k < n; k++) {
        xn_rng r;
        xn_rng_init(&r, 5, (uint64_t)(10000 * _i + k));
        double p = 350 + 300 * xn_rng_uniform(&r);
        shot(reference, p, cases[_i].amplitude, cases[_i].width, cases[_i].noise, &r, trace);
        xn_edge e;
        xn_edge_find(&rule, trace, reference, weight, work, &e);
        ck_assert_msg(fabs(e.position_px - p) < 10 * e.error_px, "shot %d: %g +- %g, true %g", k, e.position_px,
                      e.error_px, p);
        sum += e.position_px - p;
        squares += (e.position_px - p) * (e.position_px - p);
        pulls += pow((e.position_px - p) / e.error_px, 2);
        amplitude += e.amplitude / n;
        double rms = cases[_i].noise / reference[(int)p]; // of q
        bound += pow(rms / cases[_i].amplitude, 2) * 2 * sqrt(M_PI) * cases[_i].width / n;
    }
    double scatter = sqrt(squares / n);
    bound /= 1 - sqrt(M_PI) * cases[_i].width / (double)rule.reach; // the level of both sides is fitted too
    ck_assert_msg(fabs(sum / n) < 4 * scatter / sqrt(n), "bias %g of %g", sum / n, scatter);
    ck_assert_msg(fabs(sqrt(pulls / n) - 1) < 0.06, "pull %g", sqrt(pulls / n));
    ck_assert_msg(scatter < 1.08 * sqrt(bound), "scatter %g, bound %g", scatter, sqrt(bound));
    double expected = cases[_i].sign == 0 ? fabs(cases[_i].amplitude) : cases[_i].sign * cases[_i].amplitude;
    ck_assert_double_eq_tol(amplitude, expected, 0.01 * fabs(expected));
}
END_TEST

START_TEST(test_no_pull_to_pixels)
{
    // Without noise the position is right to 1e-3 pixels wherever it lies between two pixels, and to 0.04 when the
    // width is wrong by half.
    double reference[WIDTH], weight[WIDTH], trace[WIDTH], work[WORK];
    light(reference);
    for (int wrong = 0; wrong < 3; wrong++) {
        xn_edge_rule rule = {.end = WIDTH, .reach = 40, .width_px = 5 * (1 + 0.5 * (wrong - 1)), .sign = -1};
        ck_assert(xn_edge_weights(&rule, reference, weight));
        for (int k = 0; k <= 20; k++) {
            xn_rng r;
            xn_rng_init(&r, 6, (uint64_t)k);
            double p = 480 + 0.05 * k;
            shot(reference, p, -0.2, 5, 0, &r, trace);
            xn_edge e;
            xn_edge_find(&rule, trace, reference, weight, work, &e);
            ck_assert_msg(fabs(e.position_px - p) < (wrong == 1 ? 1e-3 : 0.04), "width %g, p %g: %g", rule.width_px, p,
                          e.position_px);
        }
    }
}
END_TEST

START_TEST(test_direction)
{
    // Asked for a falling edge it does not take a larger rising one.
    double reference[WIDTH], weight[WIDTH], trace[WIDTH], work[WORK];
    for (int x = 0; x < WIDTH; x++) {
        reference[x] = 1000;
        trace[x] = 1000 * (1 + 0.3 * 0.5 * erfc(-(x - 300.0) / 7) - 0.1 * 0.5 * erfc(-(x - 700.0) / 7));
    }
    static const double at[3] = {700, 300, 300}, height[3] = {0.1 / 1.3, 0.3, 0.3};
    for (int sign = -1; sign <= 1; sign++) {
        xn_edge_rule rule = {.end = WIDTH, .reach = 50, .width_px = 5, .sign = sign};
        ck_assert(xn_edge_weights(&rule, reference, weight));
        xn_edge e;
        xn_edge_find(&rule, trace, reference, weight, work, &e);
        ck_assert_double_eq_tol(e.position_px, at[sign + 1], 0.01);
        ck_assert_double_eq_tol(e.amplitude, height[sign + 1], 0.002);
    }
}
END_TEST

START_TEST(test_nothing_to_find)
{
    // Without an edge the amplitude stays small against a real one: a threshold at a fifth of it keeps out all of 2000.
    double reference[WIDTH], weight[WIDTH], trace[WIDTH], work[WORK];
    light(reference);
    xn_edge_rule rule = {.first = 100, .end = 900, .reach = 60, .width_px = 5, .sign = -1};
    ck_assert(xn_edge_weights(&rule, reference, weight));
    for (int k = 0; k < 2000; k++) {
        xn_rng r;
        xn_rng_init(&r, 8, (uint64_t)k);
        shot(reference, 500, 0, 5, 10, &r, trace);
        xn_edge e;
        xn_edge_find(&rule, trace, reference, weight, work, &e);
        ck_assert_double_lt(e.amplitude, 0.04);
    }
}
END_TEST

START_TEST(test_pixels_that_are_out)
{
    // NaN pixels, infinite ones and pixels without light are left out; none left gives NaN, never a number.
    double reference[WIDTH], weight[WIDTH], trace[WIDTH], work[WORK];
    light(reference);
    xn_edge_rule rule = {.end = WIDTH, .reach = 40, .width_px = 5, .sign = 0};
    reference[470] = NAN;
    reference[481] = 0;
    ck_assert(xn_edge_weights(&rule, reference, weight));
    ck_assert_double_eq(weight[470], 0);
    ck_assert_double_eq(weight[481], 0);
    xn_rng r;
    xn_rng_init(&r, 9, 1);
    light(trace);
    shot(trace, 476.3, -0.2, 5, 0, &r, trace);
    trace[478] = NAN;
    trace[479] = INFINITY;
    xn_edge e;
    xn_edge_find(&rule, trace, reference, weight, work, &e);
    ck_assert_double_eq_tol(e.position_px, 476.3, 1e-3);
    for (int x = 0; x < WIDTH; x++) trace[x] = NAN;
    xn_edge_find(&rule, trace, reference, weight, work, &e);
    ck_assert(isnan(e.position_px) && isnan(e.amplitude) && isnan(e.error_px));
    for (int x = 0; x < WIDTH; x++) reference[x] = 0;
    ck_assert(!xn_edge_weights(&rule, reference, weight));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_loop_test(t, test_position_and_error, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(t, test_no_pull_to_pixels);
    tcase_add_test(t, test_direction);
    tcase_add_test(t, test_nothing_to_find);
    tcase_add_test(t, test_pixels_that_are_out);
}
XN_TEST_MAIN("edge", add)
