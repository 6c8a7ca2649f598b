// SPDX-License-Identifier: BSD-3-Clause
// test_vmath.c -- own exponential, sine, cosine and arctangent against the C library, in every variant.
#include "test.h"

#include "core/rng.h"
#include "kernel/kernels.h"

enum { N = 20000 };
static double x[N], y[N], a[N], b[N];

// Rounded to the kernel's precision: its argument, so that only its own error counts.
static double as(const xn_fit_kernel *k, double v) { return k->bits == 32 ? (double)(float)v : v; }
static double epsilon(const xn_fit_kernel *k) { return k->bits == 32 ? 1.1920929e-07 : 2.220446e-16; }

static void fill(const xn_fit_kernel *k, double lo, double hi)
{
    xn_rng r;
    xn_rng_init(&r, 3, 0);
    for (int i = 0; i < N; i++) {
        x[i] = as(k, lo + (hi - lo) * (i == 0 ? 0.0 : i == 1 ? 1.0 : xn_rng_uniform(&r)));
        y[i] = as(k, lo + (hi - lo) * xn_rng_uniform(&r));
    }
}

START_TEST(test_exp)
{
    // exp is within 2 units of the last place (relative) over all arguments, and finite and tiny far below.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    fill(k, k->bits == 32 ? -86.0 : -700.0, 2.0);
    k->math(XN_MATH_EXP, N, x, NULL, a, NULL);
    for (int i = 0; i < N; i++)
        ck_assert_msg(fabs(a[i] / exp(x[i]) - 1.0) < 2.0 * epsilon(k), "%s%d exp(%g) = %g", k->name, k->bits, x[i],
                      a[i]);
    fill(k, -1e6, -1e3);
    k->math(XN_MATH_EXP, N, x, NULL, a, NULL);
    for (int i = 0; i < N; i++) ck_assert(a[i] >= 0.0 && a[i] < 1e-30);
}
END_TEST

START_TEST(test_sincos)
{
    // sin and cos are within 1.5 units of the last place of 1 for phases of thousands of radians.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    const double ranges[][2] = {{-3.2, 3.2}, {0, 700}, {-5000, 20000}};
    for (int r = 0; r < 3; r++) {
        fill(k, ranges[r][0], ranges[r][1]);
        k->math(XN_MATH_SINCOS, N, x, NULL, a, b);
        for (int i = 0; i < N; i++)
            ck_assert_msg(fabs(a[i] - sin(x[i])) < 1.5 * epsilon(k) && fabs(b[i] - cos(x[i])) < 1.5 * epsilon(k),
                          "%s%d at %.9g: %g %g", k->name, k->bits, x[i], a[i] - sin(x[i]), b[i] - cos(x[i]));
    }
}
END_TEST

START_TEST(test_atan2)
{
    // The angle is right in all quadrants and on the axes to 4 units of the last place of pi, 0 for the origin.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    fill(k, -2.0, 2.0);
    const double axes[9][2] = {{0, 0}, {1, 0}, {0, 1}, {-1, 0}, {0, -1}, {1, 1}, {-1, 1}, {-1, -1}, {1e-20, 1}};
    for (int i = 0; i < 9; i++) {
        x[i] = as(k, axes[i][0]);
        y[i] = as(k, axes[i][1]);
    }
    k->math(XN_MATH_ATAN2, N, x, y, a, NULL);
    for (int i = 0; i < N; i++)
        ck_assert_msg(fabs(a[i] - atan2(y[i], x[i])) < 16.0 * epsilon(k), "%s%d atan2(%g, %g) = %.9g, off %g", k->name,
                      k->bits, y[i], x[i], a[i], a[i] - atan2(y[i], x[i]));
}
END_TEST

START_TEST(test_names)
{
    // Every variant is found by its name and precision; "auto" is the widest; unknown names are not found.
    int n = 0;
    for (const xn_fit_kernel *k; (k = xn_fit_kernel_list(n)) != NULL; n++) {
        ck_assert_ptr_eq(xn_fit_kernel_find(k->name, k->bits), k);
        ck_assert_int_ge(xn_fit_kernel_find("auto", k->bits)->width, k->width);
    }
    ck_assert_int_ge(n, 2);
    ck_assert_ptr_null(xn_fit_kernel_find("sse", 32));
    ck_assert_ptr_null(xn_fit_kernel_find("scalar", 16));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_loop_test(t, test_exp, 0, 6);
    tcase_add_loop_test(t, test_sincos, 0, 6);
    tcase_add_loop_test(t, test_atan2, 0, 6);
    tcase_add_test(t, test_names);
}
XN_TEST_MAIN("vmath", add)
