// SPDX-License-Identifier: BSD-3-Clause
// test_delay_checks.c -- a time tool with the wrong sign is noticed and a right one is not; delay zero is found within
// its error, and never where there is none.
#include "no_memory.h"
#include "said_context.h"

#include "core/rng.h"
#include "reduce/internal.h"

enum { NB = 60 };

typedef struct experiment {
    double height, period_ps; // of the change: height (1 - cos) of that period, 0: a step that decays in 2 ps
    double jitter_ps, noise;  // noise: relative, of a shot's photons over I0
    double sign;              // in front of the tool's part: 1 is right
    bool stranger;            // the tool's readings are those of other shots
    double steps_ps;          // distance of the nominal delays, 0: continuous
} experiment;

static double change(const experiment *e, double t)
{
    if (t < 0) return 0;
    return e->period_ps > 0 ? e->height * (1 - cos(2 * M_PI * t / e->period_ps) * exp(-t / 2))
                            : e->height * exp(-t / 2);
}

static double delays[NB], edges[NB + 1];

// n shots, a quarter of them laser-off; zero at t0 of the configured delay.
static void make(const experiment *e, int64_t n, double t0, uint64_t seed, xn_cube *c)
{
    double *photons, *tool;
    xn_shots *s = &c->shots;
    xn_rng r;
    xn_rng_init(&r, seed, 5);
    memset(c, 0, sizeof *c);
    ck_assert_int_eq(xn_shots_alloc(ctx, n, 0, s), XANI_OK);
    ck_assert_int_eq(xn_shots_column(ctx, XN_COLUMN_PHOTONS, s, &photons), XANI_OK);
    ck_assert_int_eq(xn_shots_column(ctx, XN_COLUMN_TOOL, s, &tool), XANI_OK);
    c->nbins = NB;
    c->delay_ps = delays;
    for (int b = 0; b <= NB; b++) edges[b] = -1 + 4.0 * b / NB;
    for (int b = 0; b < NB; b++) delays[b] = 0.5 * (edges[b] + edges[b + 1]);
    double kept = 0;
    for (int64_t i = 0; i < n; i++) {
        s->laser[i] = i % 4 == 3 ? XN_LASER_OFF : XN_LASER_ON;
        s->i0[i] = xn_rng_gamma(&r, 20) / 20;
        double nominal = -1 + 4 * xn_rng_uniform(&r), arrival = e->jitter_ps * xn_rng_normal(&r);
        if (e->steps_ps > 0)
            nominal = e->steps_ps * rint(nominal / e->steps_ps) + 1e-15 * xn_rng_normal(&r); // rounding
        double measured = arrival + 0.01 * xn_rng_normal(&r), other = kept;
        kept = measured;
        tool[i] = e->sign * (e->stranger ? other : measured);
        bool on = s->laser[i] == XN_LASER_ON;
        s->delay_ps[i] = on ? nominal + tool[i] : NAN;
        s->bin[i] = on ? (int32_t)floor((s->delay_ps[i] + 1) / 4 * NB) : -1;
        if (on && (s->bin[i] < 0 || s->bin[i] >= NB)) {
            s->bin[i] = -1;
            s->verdict[i] = XN_CUT_BIN;
        }
        double y = on ? change(e, nominal + arrival - t0) : 0;
        photons[i] = 1e5 * s->i0[i] * (1 + y) * (1 + e->noise * xn_rng_normal(&r));
        if (xn_rng_uniform(&r) < 0.005) photons[i] *= 0.3; // beam lost in part
    }
}

static void drop(xn_cube *c) { xn_shots_free(&c->shots); }

static const experiment right[] = {
    {.height = 0.02, .jitter_ps = 0.08, .noise = 0.01, .sign = 1},
    {.height = -0.03, .jitter_ps = 0.15, .noise = 0.02, .sign = 1},
    {.height = 0.01, .period_ps = 0.4, .jitter_ps = 0.08, .noise = 0.01, .sign = 1},
    {.height = 0.02, .jitter_ps = 0.08, .noise = 0.01, .sign = 1, .steps_ps = 0.05},
};

START_TEST(test_tool)
{
    // 20000 shots: the wrong sign is noticed in each of 20 runs, the right one called sharpening in each and never
    // suspected; the readings of other shots blur.
    experiment e = right[_i];
    for (uint64_t seed = 0; seed < 20; seed++) {
        xn_cube c;
        e.sign = 1;
        make(&e, 20000, 0, 100 + seed, &c);
        ck_assert_msg(xn_sign_check_tool(ctx, &c) == XN_TOOL_SHARPENS, "seed %d: %s", (int)seed, said);
        ck_assert_ptr_nonnull(strstr(said, "the time tool sharpens"));
        drop(&c);
        said[0] = '\0';
        e.sign = -1;
        make(&e, 20000, 0, 200 + seed, &c);
        ck_assert_int_eq(xn_sign_check_tool(ctx, &c), XN_TOOL_REVERSED);
        ck_assert_ptr_nonnull(strstr(said, "input.delay.time_tool.sign may be reversed"));
        drop(&c);
        said[0] = '\0';
        e.sign = 1;
        e.stranger = true;
        make(&e, 40000, 0, 300 + seed, &c);
        ck_assert_msg(xn_sign_check_tool(ctx, &c) == XN_TOOL_BLURS, "seed %d: %s", (int)seed, said);
        drop(&c);
        said[0] = '\0';
        e.stranger = false;
    }
}
END_TEST

START_TEST(test_factor)
{
    // The factor is 1/k for a tool that reads k times too much, less by the tool's own noise, whatever the shape of the
    // signal and whatever the jitter blurs of it: within 2 % on average over 6 runs, and in four of its errors.
    static const experiment cases[] = {
        {.height = 0.06, .period_ps = 0.5, .jitter_ps = 0.1, .noise = 0.0125, .steps_ps = 0.1},
        {.height = 0.06, .period_ps = 1, .jitter_ps = 0.1, .noise = 0.0125},
        {.height = 0.06, .period_ps = 1, .jitter_ps = 0.25, .noise = 0.0125},
        {.height = 0.06, .period_ps = 0.33, .jitter_ps = 0.05, .noise = 0.0125},
        {.height = 0.06, .period_ps = 0.33, .jitter_ps = 0.3, .noise = 0.0125},
        {.height = 0.06, .jitter_ps = 0.1, .noise = 0.01},
        {.height = -0.06, .jitter_ps = 0.3, .noise = 0.01},
        {.height = 0.06, .period_ps = 0.5, .jitter_ps = 0.075, .noise = 0.0125, .steps_ps = 0.1},
    };
    static const double factors[] = {1, 0.7, 1.3, -1};
    experiment e = cases[_i];
    for (int k = 0; k < 4; k++) {
        double sum = 0, errors = 0, noise = 0.01 / e.jitter_ps, expected = 1 / factors[k] / (1 + noise * noise);
        e.sign = factors[k];
        for (uint64_t seed = 0; seed < 6; seed++) {
            double beta, error;
            xn_cube c;
            make(&e, 20000, 0, 700 + seed, &c);
            said[0] = '\0';
            ck_assert_int_eq(xn_sign_check_tool(ctx, &c), e.sign > 0 ? XN_TOOL_SHARPENS : XN_TOOL_REVERSED);
            const char *text = strstr(said, e.sign > 0 ? "explains " : "correction (");
            ck_assert_ptr_nonnull(text);
            ck_assert_int_eq(sscanf(text, "%*[^0-9-]%lf +- %lf", &beta, &error), 2);
            sum += beta / 6;
            errors += error / 6;
            drop(&c);
        }
        ck_assert_msg(fabs(sum - expected) < 0.02 * fabs(expected) + 4 * errors / sqrt(6),
                      "case %d, %g: %g +- %g, not %g", _i, e.sign, sum, errors, expected);
        ck_assert_msg(errors < 0.06, "case %d: error %g", _i, errors);
    }
}
END_TEST

START_TEST(test_tool_without_signal)
{
    // No change, a change too slow for the jitter to matter, a jitter smaller than the tool's own noise, or nominal
    // delays in steps wider than the jitter, or at one place only: no verdict against the configuration in any of 500
    // runs.
    static const experiment quiet[] = {
        {.height = 0, .jitter_ps = 0.08, .noise = 0.01, .sign = 1},
        {.height = 0.01, .period_ps = 20, .jitter_ps = 0.02, .noise = 0.01, .sign = 1},
        {.height = 0, .jitter_ps = 0.2, .noise = 0.003, .sign = -1, .steps_ps = 0.1},
        {.height = 0.1, .period_ps = 0.4, .jitter_ps = 0.05, .noise = 0.01, .sign = 1, .steps_ps = 0.25},
        {.height = 0.1, .period_ps = 0.4, .jitter_ps = 0.05, .noise = 0.01, .sign = 1, .steps_ps = 10}};
    static const double zero_ps[] = {0.5, 0.5, 0.5, 0.5, -0.1};
    for (int k = 0; k < 5; k++)
        for (uint64_t seed = 0; seed < 100; seed++) {
            xn_cube c;
            make(&quiet[k], 3000, zero_ps[k], 1000 + seed, &c);
            xn_tool_verdict v = xn_sign_check_tool(ctx, &c);
            ck_assert_msg(v == XN_TOOL_UNKNOWN || v == XN_TOOL_SHARPENS, "case %d seed %d: %s", k, (int)seed, said);
            said[0] = '\0';
            drop(&c);
        }
}
END_TEST

START_TEST(test_tool_needs_shots)
{
    // Without a time tool, without photons or with few shots there is nothing to say.
    xn_cube c;
    make(&right[0], 200, 0, 1, &c);
    ck_assert_int_eq(xn_sign_check_tool(ctx, &c), XN_TOOL_UNKNOWN);
    drop(&c);
    memset(&c, 0, sizeof c);
    ck_assert_int_eq(xn_sign_check_tool(ctx, &c), XN_TOOL_UNKNOWN);
    ck_assert_str_eq(said, "");
}
END_TEST

static void find(const xn_cube *c, double *zero, double *error)
{
    xn_config *config = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, "input: {delay: {zero_ps: 0.35}}\n", "exp.yaml", ".", &config), XANI_OK);
    xani_status st = xn_zero_find(ctx, config, c, zero, error);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    xani_config_destroy(&config);
}

START_TEST(test_zero)
{
    // A step that decays, blurred by jitter: over 60 runs the zero is right on average and its error is a standard
    // deviation; what is to be set counts from the zero that is set. A step within one bin is found too.
    double sum = 0, squares = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        experiment e = {.height = 0.02, .jitter_ps = 0.06, .noise = 0.01, .sign = 0};
        xn_cube c;
        double zero, error, t0 = 0.1 + 0.003 * (double)seed;
        make(&e, 6000, t0, 400 + seed, &c);
        said[0] = '\0';
        find(&c, &zero, &error);
        ck_assert_msg(error > 0.002 && error < 0.02, "error %g", error);
        sum += (zero - t0) / error / 60;
        squares += pow((zero - t0) / error, 2) / 60;
        const char *set = strstr(said, "set input.delay.zero_ps: ");
        ck_assert_ptr_nonnull(set);
        ck_assert_double_eq_tol(strtod(set + 25, NULL), 0.35 + zero, 1e-4);
        drop(&c);
    }
    for (uint64_t seed = 0; seed < 10; seed++) {
        experiment e = {.height = 0.02, .jitter_ps = 0.05, .noise = 0.01, .sign = 1};
        xn_cube c;
        double zero, error;
        make(&e, 6000, 0.1, 500 + seed, &c);
        find(&c, &zero, &error);
        ck_assert_msg(fabs(zero - 0.1) < 4.0 / NB, "%g +- %g", zero, error);
        drop(&c);
    }
    ck_assert_msg(fabs(sum) < 4 / sqrt(60), "mean pull %g", sum);
    ck_assert_msg(fabs(sqrt(squares) - 1) < 0.35, "pull width %g", sqrt(squares));
}
END_TEST

START_TEST(test_no_zero)
{
    // Without a change no zero is found in 100 runs; it is said so.
    for (uint64_t seed = 0; seed < 100; seed++) {
        experiment e = {.height = 0, .jitter_ps = 0.06, .noise = 0.01, .sign = 1};
        xn_cube c;
        double zero, error;
        make(&e, 3000, 0, 600 + seed, &c);
        said[0] = '\0';
        find(&c, &zero, &error);
        ck_assert_msg(isnan(zero) && isnan(error), "seed %d: %g", (int)seed, zero);
        ck_assert_ptr_nonnull(strstr(said, "shows no step in delay"));
        drop(&c);
    }
}
END_TEST

START_TEST(test_memory)
{
    // A failing allocation is an error of the search for zero, and no verdict of the check.
    xn_cube c;
    make(&right[0], 8000, 0, 1, &c);
    xn_config *config = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, "{}", "exp.yaml", ".", &config), XANI_OK);
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        double zero, error;
        no_memory_begin(&n);
        xani_status st = xn_zero_find(ctx, config, &c, &zero, &error);
        no_memory_end();
        if (st != XANI_OK) ck_assert(n.reached && st == XANI_ERR_MEMORY);
        if (!n.reached) ck_assert(!isnan(zero));
        xn_clear_error(ctx);
    }
    ck_assert_uint_gt(n.at, 3);
    for (n = NO_MEMORY; n.at < 5; n.at++) {
        no_memory_begin(&n);
        ck_assert_int_eq(xn_sign_check_tool(ctx, &c), XN_TOOL_UNKNOWN);
        no_memory_end();
    }
    xani_config_destroy(&config);
    drop(&c);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_tool, 0, (int)(sizeof right / sizeof right[0]));
    tcase_add_loop_test(t, test_factor, 0, 8);
    tcase_add_test(t, test_tool_without_signal);
    tcase_add_test(t, test_tool_needs_shots);
    tcase_add_test(t, test_zero);
    tcase_add_test(t, test_no_zero);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("delay checks", add)
