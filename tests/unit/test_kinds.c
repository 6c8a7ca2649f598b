// SPDX-License-Identifier: BSD-3-Clause
// test_kinds.c -- every function of kinds.def: derivatives against differences, values against known ones, guesses.
#include "context.h"

#include "lsq/kinds.h"

enum { N = 60 };

static xani_model *make(const char *expression)
{
    xani_model *m = NULL;
    ck_assert_msg(xani_model_create(ctx, expression, NULL, 0, &m) == XANI_OK, "%s", xani_error_text(ctx));
    return m;
}

// Values of order one in which every function is smooth on x = 0.05 .. 3; different for every parameter.
static double sample_value(const char *name, int k)
{
    if (strstr(name, "fraction") != NULL) return 0.37;
    if (strstr(name, "centre") != NULL) return 1.31;
    return 0.62 + 0.23 * k - (k % 3 == 2 ? 0.31 : 0.0);
}

static void check_derivatives(const char *expression)
{
    xani_model *m = make(expression);
    const int n = xani_model_count(m);
    double x[N], y[N], d[64 * N], up[4][N], p[64];
    for (int i = 0; i < N; i++) x[i] = 0.05 + 0.05 * i;
    for (int k = 0; k < n; k++) p[k] = sample_value(xani_model_parameter(m, k), k);
    ck_assert_int_eq(xani_model_evaluate(ctx, m, p, x, N, y, d), XANI_OK);
    for (int k = 0; k < n; k++) {
        static const double steps[] = {5e-4, -5e-4, 2.5e-4, -2.5e-4};
        const double own = p[k];
        for (int s = 0; s < 4; s++) {
            p[k] = own + steps[s];
            ck_assert_int_eq(xani_model_evaluate(ctx, m, p, x, N, up[s], NULL), XANI_OK);
        }
        p[k] = own;
        double largest = 0.0, size = 0.0;
        for (int i = 0; i < N; i++) {
            largest = fmax(largest, fabs(d[k * N + i]));
            size = fmax(size, fabs(y[i]));
        }
        ck_assert_msg(largest > 0.0, "%s: %s has no effect", expression, xani_model_parameter(m, k));
        for (int i = 0; i < N; i++) {
            const double wide = (up[0][i] - up[1][i]) / 1e-3, near = (up[2][i] - up[3][i]) / 5e-4;
            const double expected = (4.0 * near - wide) / 3.0;
            ck_assert_msg(fabs(d[k * N + i] - expected) <= 2e-9 * (largest + 1.0) + 1e-12 * size,
                          "%s: d/d %s at %g is %.12g, not %.12g", expression, xani_model_parameter(m, k), x[i],
                          d[k * N + i], expected);
        }
    }
    xani_model_destroy(&m);
}

START_TEST(test_derivatives)
{
    // The derivatives of every function, of every order of a family, equal differences of its values.
    const xani_model_info *info;
    for (int i = 0; (info = xani_model_table(i)) != NULL; i++) {
        char name[64];
        const size_t length = strlen(info->name);
        if (info->name[length - 1] != '#') {
            check_derivatives(info->name);
            continue;
        }
        for (int order = info->order_min; order <= info->order_max; order++) {
            snprintf(name, sizeof name, "%.*s%d", (int)length - 1, info->name, order);
            check_derivatives(name);
        }
    }
    ck_assert_int_ge(xn_n_kinds, 20);
    ck_assert_ptr_null(xani_model_table(-1));
    check_derivatives("gaussian * s:sine + polynomial2");
    check_derivatives("a:gaussian * b:exponential * c:linear + d:constant * e:lorentzian");
}
END_TEST

typedef struct known {
    const char *model;
    double p[4], x, y;
} known;

START_TEST(test_values)
{
    // Values equal those of lmfit 1.3.4's lineshapes and scipy 1.17's special functions, far from the centre too.
    static const known table[] = {
#include "kinds_known.h"
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const known *k = &table[i];
        xani_model *m = make(k->model);
        double y;
        ck_assert_int_eq(xani_model_evaluate(ctx, m, k->p, &k->x, 1, &y, NULL), XANI_OK);
        ck_assert_msg(fabs(y - k->y) <= 1e-12 * fabs(k->y) + 1e-14, "%s at %g: %.15g, not %.15g", k->model, k->x, y,
                      k->y);
        xani_model_destroy(&m);
    }
}
END_TEST

typedef struct limit {
    const char *model;
    double at[4], near[4]; // parameters on the bound, and close to it
} limit;

START_TEST(test_limits)
{
    // On their bound of 0 widths and decays give the values and derivatives that they tend to, on the centre too; one
    // that is 0/0 or infinite there has none.
    static const limit table[] = {
        {"voigt", {2, 1, 0, 0.5}, {2, 1, 1e-7, 0.5}},
        {"moffat", {2, 1, 0, 1.5}, {2, 1, 1e-9, 1.5}},
        {"fano", {2, 1, 0, 1.5}, {2, 1, 1e-9, 1.5}},
        {"damped_oscillator", {2, 0, 0.2}, {2, 1e-6, 0.2}},
        {"exponential", {2, 0}, {2, 1e-3}},
        {"exponentials2", {2, 0, 3, 4}, {2, 1e-3, 3, 4}},
        {"stretched_exponential", {2, 0, 0.5}, {2, 1e-7, 0.5}},
        {"exponential_step", {2, 1, 0, 3}, {2, 1, 1e-9, 3}},
        {"exponential_step", {2, 1, 0.7, 0}, {2, 1, 0.7, 5e-6}},
        {"step_erf", {2, 1, 0}, {2, 1, 1e-9}},
        {"step_arctan", {2, 1, 0}, {2, 1, 1e-9}},
        {"logistic", {2, 1, 0}, {2, 1, 1e-9}},
    };
    static const double x[] = {0.0, 0.5, 1.0, 1.7, 4.0};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const limit *l = &table[i];
        xani_model *m = make(l->model);
        const int n = xani_model_count(m);
        double y[2][5], d[2][20];
        ck_assert_int_eq(xani_model_evaluate(ctx, m, l->at, x, 5, y[0], d[0]), XANI_OK);
        ck_assert_int_eq(xani_model_evaluate(ctx, m, l->near, x, 5, y[1], d[1]), XANI_OK);
        for (int k = 0; k < 5; k++)
            ck_assert_msg(fabs(y[0][k] - y[1][k]) < 1e-5, "%s at %g: %g, not %g", l->model, x[k], y[0][k], y[1][k]);
        for (int k = 0; k < 5 * n; k++) {
            ck_assert_msg(isfinite(d[0][k]), "%s: derivative %d at %g is %g", l->model, k / 5, x[k % 5], d[0][k]);
            const bool on_centre = x[k % 5] == l->at[1]; // where a derivative may grow without limit
            ck_assert_msg(on_centre || fabs(d[0][k] - d[1][k]) < 2e-5, "%s: derivative %d at %g is %g, not %g",
                          l->model, k / 5, x[k % 5], d[0][k], d[1][k]);
        }
        xani_model_destroy(&m);
    }
    xani_model *m = make("gaussian");
    static const double nothing[] = {2, 1, 0};
    double y[5];
    ck_assert_int_eq(xani_model_evaluate(ctx, m, nothing, x, 5, y, NULL), XANI_OK);
    ck_assert(!isfinite(y[2]));
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_voigt_narrow)
{
    // A voigt function goes over into the series of its tail without a step, and into the lorentzian at sigma 0.
    xani_model *voigt = make("voigt"), *lorentzian = make("lorentzian");
    const double x = 1.9, width = sqrt(2.5e-4 * (0.9 * 0.9 + 0.4 * 0.4));
    double y[2], d[2][4];
    for (int i = 0; i < 2; i++) {
        const double p[] = {2.0, 1.0, width * (1.0 + (i ? 1e-13 : -1e-13)), 0.4};
        ck_assert_int_eq(xani_model_evaluate(ctx, voigt, p, &x, 1, &y[i], d[i]), XANI_OK);
    }
    ck_assert_double_eq_tol(y[0] / y[1], 1.0, 1e-12);
    for (int k = 0; k < 4; k++) ck_assert_double_eq_tol(d[0][k] / d[1][k], 1.0, 1e-8);
    const double p[] = {2.0, 1.0, 0.0, 0.4}, q[] = {2.0, 1.0, 0.4};
    ck_assert_int_eq(xani_model_evaluate(ctx, voigt, p, &x, 1, &y[0], d[0]), XANI_OK);
    ck_assert_int_eq(xani_model_evaluate(ctx, lorentzian, q, &x, 1, &y[1], d[1]), XANI_OK);
    ck_assert_double_eq_tol(y[0] / y[1], 1.0, 1e-14);
    static const int same[] = {0, 1, 3};
    for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(d[0][same[k]] / d[1][k], 1.0, 1e-13);
    ck_assert_double_eq(d[0][2], 0.0);
    xani_model_destroy(&voigt);
    xani_model_destroy(&lorentzian);
}
END_TEST

START_TEST(test_special)
{
    // erfcx goes over into its asymptotic series without a step, and does not overflow where erfc underflows.
    ck_assert_double_eq_tol(xn_erfcx(0.0), 1.0, 1e-16);
    ck_assert_double_eq_tol(xn_erfcx(1.0), 0.427583576155807004, 1e-15);
    ck_assert_double_eq_tol(xn_erfcx(25.0 - 1e-12) / xn_erfcx(25.0), 1.0, 2e-13);
    ck_assert_double_eq_tol(xn_erfcx(1e10) * 1e10, 0.564189583547756287, 1e-15);
    double re, im;
    xn_faddeeva(0.0, 0.0, &re, &im);
    ck_assert_double_eq_tol(re, 1.0, 3e-15);
    ck_assert_double_eq_tol(im, 0.0, 3e-15);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_derivatives);
    tcase_add_test(t, test_values);
    tcase_add_test(t, test_limits);
    tcase_add_test(t, test_voigt_narrow);
    tcase_add_test(t, test_special);
}
XN_TEST_MAIN("kinds", add)
