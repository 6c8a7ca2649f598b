// SPDX-License-Identifier: BSD-3-Clause
// test_drift.c -- a laser-off reference that drifts with the delay is told; one that is steady, one that drifts while
// delays change fast, and one of blocks of time are not.
#include "no_memory.h"
#include "test.h"

#include "core/rng.h"
#include "reduce/internal.h"

static xn_ctx *ctx;
static char said[4096];

static void on_log(void *user, xani_log_level level, const char *text)
{
    (void)user;
    snprintf(said, sizeof said, "%d %s", level, text);
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, on_log, NULL);
}
static void tear_down(void) { xani_destroy(&ctx); }

enum { BINS = 40 };

typedef struct scan {
    double drift, periods; // of the monitor's gain over the run
    double noise;          // of a shot
    int64_t shots, sweeps; // 0: delays at random
    double height;         // of the signal
} scan;

static void make(const scan *e, uint64_t seed, xn_cube *c)
{
    double *photons;
    xn_rng r;
    xn_rng_init(&r, seed, 6);
    *c = (xn_cube){.nbins = BINS};
    xn_shots *s = &c->shots;
    ck_assert_int_eq(xn_shots_alloc(ctx, e->shots, 0, s), XANI_OK);
    ck_assert_int_eq(xn_shots_column(ctx, XN_COLUMN_PHOTONS, s, &photons), XANI_OK);
    for (int64_t i = 0; i < e->shots; i++) {
        double time = (double)i / (double)e->shots, w = xn_rng_gamma(&r, 25) / 25;
        double at = e->sweeps > 0 ? fmod(time * (double)e->sweeps, 1) : xn_rng_uniform(&r);
        s->laser[i] = i % 4 == 0 ? XN_LASER_OFF : XN_LASER_ON;
        s->bin[i] = s->laser[i] == XN_LASER_ON ? (int32_t)(at * BINS) : -1;
        double y = s->laser[i] == XN_LASER_ON && at > 0.2 ? e->height : 0;
        photons[i] = 2e4 * w * (1 + y) * (1 + e->noise * xn_rng_normal(&r));
        s->i0[i] = w * (1 + e->drift * sin(2 * M_PI * e->periods * time));
        if (i % 300 == 0) photons[i] *= 0.2; // beam lost in part
    }
}

static int alarms(const scan *e, bool blocks)
{
    int n = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        xn_cube c;
        double reference = 0;
        make(e, seed, &c);
        if (blocks) c.on.expect = &reference;
        said[0] = '\0';
        xn_drift_check(ctx, &c);
        n += strstr(said, "reduce.off.mode: blocks") != NULL;
        xn_shots_free(&c.shots);
    }
    return n;
}

START_TEST(test_told)
{
    static const scan slow[] = {
        {.drift = 0.03, .periods = 1.5, .noise = 0.01, .shots = 20000, .sweeps = 2, .height = 0.03},
        {.drift = 0.01, .periods = 0.25, .noise = 0.015, .shots = 10000, .sweeps = 1},
        {.drift = 0.005, .periods = 0.5, .noise = 0.005, .shots = 5000, .sweeps = 1, .height = -0.1},
    };
    for (int k = 0; k < 3; k++) {
        int n = alarms(&slow[k], false);
        ck_assert_msg(n == 40, "case %d: %d of 40, %s", k, n, said);
        ck_assert_int_eq(alarms(&slow[k], true), 0);
    }
}
END_TEST

START_TEST(test_not_told)
{
    // Steady, with a signal; drift under delays in any order or swept fifty times; less drift than matters; few shots.
    static const scan quiet[] = {
        {.noise = 0.01, .shots = 20000, .sweeps = 1, .height = 0.1},
        {.noise = 0.1, .shots = 4000, .sweeps = 2},
        {.drift = 0.03, .periods = 1.5, .noise = 0.01, .shots = 20000, .height = 0.03},
        {.drift = 0.1, .periods = 0.5, .noise = 0.01, .shots = 4000},
        {.drift = 0.03, .periods = 0.5, .noise = 0.01, .shots = 20000, .sweeps = 50},
        {.drift = 0.0005, .periods = 1, .noise = 0.002, .shots = 20000, .sweeps = 1},
        {.drift = 0.1, .periods = 1, .noise = 0.01, .shots = 300, .sweeps = 1},
    };
    for (int k = 0; k < 7; k++) {
        int n = alarms(&quiet[k], false);
        ck_assert_msg(n == 0, "case %d: %d of 40, %s", k, n, said);
    }
}
END_TEST

START_TEST(test_memory)
{
    // A failing allocation is no warning and no error.
    const scan e = {.drift = 0.03, .periods = 1.5, .noise = 0.01, .shots = 20000, .sweeps = 2};
    xn_cube c;
    make(&e, 1, &c);
    for (no_memory n = NO_MEMORY; n.at < 3; n.at++) {
        said[0] = '\0';
        no_memory_begin(&n);
        xn_drift_check(ctx, &c);
        no_memory_end();
        ck_assert_str_eq(said, "");
    }
    xn_shots_free(&c.shots);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_told);
    tcase_add_test(t, test_not_told);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("drift of the reference", add)
