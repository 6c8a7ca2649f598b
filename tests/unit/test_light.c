// SPDX-License-Identifier: BSD-3-Clause
// test_light.c -- a module without light is told by its number, one with few photons or masked pixels is not.
#include "test.h"

#include "core/rng.h"
#include "reduce/internal.h"

enum { NX = 20, ROWS = 10, MODULES = 3, SHOTS = 400, PIXELS = MODULES * ROWS * NX };

static xn_ctx *ctx;
static int64_t s1[PIXELS], s2[PIXELS], rows[MODULES] = {ROWS, ROWS, ROWS};
static uint32_t mask[PIXELS];
static xn_cube cube;

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    memset(mask, 0, sizeof mask);
    cube = (xn_cube){.ny = MODULES * ROWS, .nx = NX, .n_modules = MODULES, .module_rows = rows, .mask = mask};
    cube.off.s1 = s1;
    cube.off.s2 = s2;
}
static void tear_down(void) { xani_destroy(&ctx); }

// Pixels from `first` to before `last` see `photons` a shot, with noise of 0.1 photons.
static void expose(int first, int last, double photons, uint64_t seed)
{
    xn_rng r;
    xn_rng_init(&r, seed, 1);
    for (int p = first; p < last; p++) {
        s1[p] = s2[p] = 0;
        for (int i = 0; i < SHOTS; i++) {
            double seen = (double)xn_rng_poisson(&r, photons) + 0.1 * xn_rng_normal(&r);
            s1[p] += llrint(seen * XN_PHOTON_SCALE);
            s2[p] += llrint(pow(rint(seen * xn_photon_scale2(1)), 2));
        }
    }
}

static int said(const char *const **texts)
{
    xn_warnings_forget(ctx);
    xn_light_check(ctx, &cube);
    return xn_warnings(ctx, texts);
}

START_TEST(test_modules)
{
    const char *const *texts;
    expose(0, PIXELS, 0.1, 1);
    ck_assert_int_eq(said(&texts), 0); // 40 photons in all are light
    expose(ROWS * NX, 2 * ROWS * NX, 0.0, 2);
    ck_assert_int_eq(said(&texts), 1);
    ck_assert_ptr_nonnull(strstr(texts[0], "module 2 of 3 (rows 10 to 19 of the cube): 200 of 200 pixel groups"));
    for (int p = ROWS * NX; p < 2 * ROWS * NX; p++) mask[p] = 1;
    ck_assert_int_eq(said(&texts), 0); // known to be off
}
END_TEST

START_TEST(test_pixels)
{
    const char *const *texts;
    expose(0, PIXELS, 2.0, 3);
    expose(5, 11, 0.0, 4);
    ck_assert_int_eq(said(&texts), 0); // six of 600 are a few bad pixels
    expose(11, 25, 0.0, 5);
    ck_assert_int_eq(said(&texts), 1);
    ck_assert_ptr_nonnull(strstr(texts[0], "20 of 600 pixel groups hold no more than noise"));
    cube.off.s2 = NULL; // a cube that came binned
    ck_assert_int_eq(said(&texts), 0);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_modules);
    tcase_add_test(t, test_pixels);
}
XN_TEST_MAIN("light", add)
