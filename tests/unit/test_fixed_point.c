// SPDX-License-Identifier: BSD-3-Clause
// test_fixed_point.c -- the unit of I0: what it leaves the usual shots, whatever one of them reads.
#include "context.h"

#include "reduce/internal.h"

START_TEST(test_glitch_of_i0)
{
    // One I0 ten thousand times the others' leaves them their bits; a larger one, which would not, is refused and
    // named.
    xn_shots s;
    xn_fixed_point usual, fixed;
    ck_assert_int_eq(xn_shots_alloc(ctx, 60000, 0, &s), XANI_OK);
    for (int i = 0; i < 60000; i++) {
        s.pulse_id[i] = 7000 + (uint64_t)i;
        s.bin[i] = i % 2 ? i / 2 % 10 : -1;
        s.i0[i] = 0.5 + (i % 100) * 1e-2;
    }
    ck_assert_int_eq(xn_fixed_point_of(ctx, &s, 10, 1, &usual), XANI_OK);
    for (double times = 10; times < 2e4; times *= 10) {
        s.i0[4321] = times;
        ck_assert_int_eq(xn_fixed_point_of(ctx, &s, 10, 1, &fixed), XANI_OK);
        ck_assert_double_ge(fixed.i0_scale, 0x1p16); // 17 bits of 1, which is the median
        ck_assert_double_le(fixed.i0_scale, usual.i0_scale);
    }
    static const double absurd[] = {1e6, 1e9, 1e30, 1e300};
    for (int k = 0; k < 4; k++) {
        s.i0[4321] = absurd[k];
        ck_assert_int_eq(xn_fixed_point_of(ctx, &s, 10, 1, &fixed), XANI_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "shot 11321 has an I0 of 1e+"));
        xn_clear_error(ctx);
    }
    s.verdict[4321] = XN_CUT_I0; // one that is cut does not matter
    ck_assert_int_eq(xn_fixed_point_of(ctx, &s, 10, 1, &fixed), XANI_OK);
    ck_assert_double_eq(fixed.i0_scale, usual.i0_scale);
    for (int i = 0; i < 60000; i++) s.i0[i] = 1e-320; // the scale stays a number
    ck_assert_int_eq(xn_fixed_point_of(ctx, &s, 10, 1, &fixed), XANI_ERR_INPUT);
    xn_clear_error(ctx);
    xn_shots_free(&s);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_glitch_of_i0);
}
XN_TEST_MAIN("fixed point", add)
