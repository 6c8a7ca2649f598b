// SPDX-License-Identifier: BSD-3-Clause
// test_fit_parts.c -- a tile fitted in parts gives the bits of a tile fitted as a whole, whatever comes with it.
#include "test.h"

#include "core/rng.h"
#include "fit/plan.h"

enum { N = 60, P = 300, PLANES = XN_OUT_SLOTS, PITCH = P + 64 };
static float y[N * P], weight[N * P], own_sigma[P], inflate[P];
static double t[N], given_w[4 * P], given_g[4 * P];
static int row[N], given[P];
static int64_t pixel[P];
static xn_ctx *ctx;

static void set_up(void)
{
    xn_rng r;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xn_rng_init(&r, 5, 5);
    for (int i = 0; i < N; i++) row[i] = i, t[i] = 0.1 * i;
    for (int p = 0; p < P; p++) {
        const double f = 0.5 + 3 * xn_rng_uniform(&r), g = 0.1 + 0.2 * xn_rng_uniform(&r);
        pixel[p] = P - 1 - p;
        own_sigma[p] = p % 3 ? 0.1f : 0.0f;
        inflate[p] = 1 + 0.01f * (float)p;
        given[p] = p % 2;
        given_w[p] = 6.28318530717958647693 * f * 0.1, given_g[p] = g * 0.1;
        for (int i = 0; i < N; i++) {
            weight[i * P + p] = (float)(0.5 + xn_rng_uniform(&r));
            y[i * P + (P - 1 - p)] =
                (float)(exp(-g * t[i]) * cos(6.28318530717958647693 * f * t[i] + p) + 0.1 * xn_rng_normal(&r));
        }
    }
}
static void tear_down(void) { xani_destroy(&ctx); }

typedef struct {
    double out[PLANES * PITCH]; // of either precision
    float rest[N * P];
    uint8_t n_modes[PITCH], flags[PITCH];
} fits;

// Parts of `most` traces; 0: the tile as a whole.
static void fit(const xn_fit_kernel *k, const xn_fit_plan *plan, bool weighted, int start, int most, fits *f)
{
    void *table = xn_alloc(k->table_bytes(plan), 1), *work = xn_alloc(k->work_bytes(plan, most ? most : P), 1);
    memset(f, 0, sizeof *f);
    const xn_fit_tile tile = {.count = P,
                              .y = y,
                              .row = row,
                              .row_stride = P,
                              .pixel = pixel,
                              .start = start,
                              .given = given,
                              .given_w = given_w,
                              .given_g = given_g,
                              .given_stride = P,
                              .weight = weighted ? weight : NULL,
                              .weight_stride = P,
                              .own_sigma = own_sigma,
                              .inflate = inflate,
                              .rest = weighted ? f->rest : NULL,
                              .rest_stride = P,
                              .out = f->out,
                              .out_stride = PITCH,
                              .n_modes = f->n_modes,
                              .flags = f->flags};
    xn_fit_tile whole = tile;
    k->tabulate(plan, table);
    if (most > 0)
        xn_fit_in_parts(k, plan, table, work, most, &tile);
    else
        k->fit(plan, table, work, &whole);
    xn_free(table), xn_free(work);
}

static void compare(const xn_fit_kernel *k, const xn_fit_plan *plan, bool weighted, int start)
{
    static fits whole, parts;
    const int most[] = {64, 100, P};
    int modes = 0;
    fit(k, plan, weighted, start, 0, &whole);
    for (int i = 0; i < P; i++) modes += whole.n_modes[i];
    ck_assert_msg(modes > (start == XN_START_GIVEN ? P / 3 : P - 20), "%s: %d modes", k->name, modes);
    for (int m = 0; m < 3; m++) {
        fit(k, plan, weighted, start, most[m], &parts);
        ck_assert(memcmp(whole.n_modes, parts.n_modes, P) == 0 && memcmp(whole.flags, parts.flags, P) == 0);
        ck_assert(memcmp(whole.rest, parts.rest, sizeof whole.rest) == 0);
        const size_t size = (size_t)k->bits / 8;
        for (int s = XN_OUT_W; s <= XN_OUT_SNR2_W; s++) {
            if (s < XN_OUT_BACKGROUND && s % XANI_MAX_MODES > 0) continue; // one mode
            if (s > XN_OUT_BACKGROUND && s < XN_OUT_MEAN) continue;        // one column, no exponential
            for (int i = 0; i < P; i++) {
                const size_t at = ((size_t)s * PITCH + (size_t)i) * size;
                if (s != XN_OUT_MEAN && s != XN_OUT_UNSCALE && whole.n_modes[i] == 0) continue;
                ck_assert_msg(memcmp((char *)whole.out + at, (char *)parts.out + at, size) == 0,
                              "%s, parts of %d, slot %d, trace %d", k->name, most[m], s, i);
            }
        }
    }
}

START_TEST(test_parts)
{
    const xn_fit_setup setup = {.delay_ps = t, .n = N, .background = 0, .modes_max = 1};
    xn_fit_plans plans;
    const xn_fit_kernel *k;
    ck_assert_int_eq(xn_fit_plans_create(ctx, &setup, &plans), XANI_OK);
    for (int i = 0; (k = xn_fit_kernel_list(i)) != NULL; i++) {
        compare(k, &plans.plan[XN_PLAN_CLOSED], false, XN_START_PERIODOGRAM);
        compare(k, &plans.plan[XN_PLAN_CLOSED], false, XN_START_BOTH);
        compare(k, &plans.plan[XN_PLAN_CLOSED], false, XN_START_GIVEN);
        compare(k, &plans.plan[XN_PLAN_EXPLICIT], true, XN_START_PERIODOGRAM);
    }
    xn_fit_plans_free(&plans);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_parts);
}
XN_TEST_MAIN("fit in parts", add)
