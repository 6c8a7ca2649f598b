// SPDX-License-Identifier: BSD-3-Clause
// test_lsq_interval.c -- confidence intervals by profile: lmfit's numbers, exact ones where the model is linear,
// bounds.
#include "lsq_common.h"
#include "lsq_reference.h"

enum { N = 60 };

static const double sigma_levels[] = {0.682689492137085897, 0.954499736103641586, 0.997300203936739811};

static void find(single *s, const xani_model *m, const char *parameter, const double *levels, int n, double *ends)
{
    ck_assert_msg(xani_model_interval(ctx, m, &s->data, &s->options, s->values, parameter, levels, n, ends) == XANI_OK,
                  "%s", xani_error_text(ctx));
}

static void check(single *s, const xani_model *m, const char *parameter, const double *reference)
{
    double ends[6];
    const double best = s->values[xani_model_find(m, parameter)];
    find(s, m, parameter, sigma_levels, 3, ends);
    for (int i = 0; i < 6; i++)
        ck_assert_msg(fabs(ends[i] - reference[i]) < 1e-3 * fabs(reference[i] - best),
                      "%s, end %d: %.9g, lmfit has %.9g", parameter, i, ends[i], reference[i]);
}

START_TEST(test_lmfit)
{
    // Ends at 1, 2 and 3 sigma are those of lmfit's conf_interval to 1e-3 of their distance from the best value.
    single s;
    xani_model *m = make("gaussian + linear");
    single_init(&s, N, peak_x, peak_y);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    check(&s, m, "amplitude", peak_interval_amplitude);
    check(&s, m, "centre", peak_interval_centre);
    check(&s, m, "sigma", peak_interval_sigma);
    check(&s, m, "slope", peak_interval_slope);
    check(&s, m, "intercept", peak_interval_intercept);
    xani_model_destroy(&m);
    m = make("exponentials2");
    set(m, "decay1=4");
    set(m, "decay2=0.5");
    single_init(&s, N, peak_x, decay_y);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    check(&s, m, "amplitude1", decay_interval_amplitude1);
    check(&s, m, "decay1", decay_interval_decay1);
    check(&s, m, "amplitude2", decay_interval_amplitude2);
    check(&s, m, "decay2", decay_interval_decay2);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_linear)
{
    // A straight line: with known sigma the ends are z standard errors away, with estimated sigma Student's t of them.
    static const double levels[] = {0.6826894921370859, 0.95, 0.99, 0.999};
    static const double z[] = {1.0, 1.9599639845400545, 2.5758293035489004, 3.2905267314919255};
    static const double t[] = {1.0086953258382088, 2.0017174841452356, 2.6632869536,
                               3.4663287949}; // scipy.stats.t, 58 degrees
    xani_model *m = make("linear");
    single s;
    double ends[8], sigma[N];
    for (int i = 0; i < N; i++) sigma[i] = 0.1 + 0.01 * i;
    single_init(&s, N, peak_x, peak_y);
    s.data.sigma = sigma;
    for (int absolute = 0; absolute < 2; absolute++) {
        s.options.absolute_sigma = absolute;
        ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
        for (int k = 0; k < 2; k++) {
            find(&s, m, xani_model_parameter(m, k), levels, 4, ends);
            for (int l = 0; l < 4; l++) {
                const double off = (absolute ? z[l] : t[l]) * s.errors[k];
                ck_assert_double_eq_tol((s.values[k] - ends[2 * l]) / off, 1.0, 2e-6);
                ck_assert_double_eq_tol((ends[2 * l + 1] - s.values[k]) / off, 1.0, 2e-6);
            }
        }
    }
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_bounds)
{
    // An end beyond a bound is infinite; one before it is not touched; a fit that failed has NaN.
    xani_model *m = make("gaussian + linear");
    single s;
    double free_ends[2], ends[2];
    single_init(&s, N, peak_x, peak_y);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    find(&s, m, "centre", sigma_levels + 1, 1, free_ends);
    ck_assert_int_eq(xani_model_bound(ctx, m, "centre", s.values[1] - 0.5 * s.errors[1], 10.0), XANI_OK);
    find(&s, m, "centre", sigma_levels + 1, 1, ends);
    ck_assert_double_eq(ends[0], -INFINITY);
    ck_assert_double_eq_tol(ends[1], free_ends[1], 1e-5 * s.errors[1]);
    s.values[2] = NAN;
    find(&s, m, "centre", sigma_levels + 1, 1, ends);
    ck_assert_double_nan(ends[0]);
    ck_assert_double_nan(ends[1]);
    // With a tie the interval is that of the tied model: wider than with the other parameters fixed.
    xani_model_destroy(&m);
    m = make("a:gaussian + b:gaussian");
    set(m, "b.centre=a.centre+3");
    set(m, "b.sigma=0.5*a.sigma");
    set(m, "a.centre=3");
    set(m, "a.sigma=0.7");
    single_init(&s, N, peak_x, tied_y);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    find(&s, m, "a.sigma", sigma_levels, 1, ends);
    ck_assert_double_eq_tol(ends[1] - ends[0], 2.0 * s.errors[2], 0.05 * s.errors[2]);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_on_bound)
{
    // A parameter on its bound has an interval away from it: where chi^2 rises over that of the bounded minimum.
    xani_model *m = make("linear");
    single s;
    double x[10], y[10], ends[4];
    ramp(x, 10, 0.0, 9.0);
    static const double truth[] = {2.0, 1.0};
    simulate(m, truth, x, 10, 0.5, 1, y);
    double sigma = 0.5, slopes[2], mean = 0.0, xy = 0.0, xx = 0.0; // chi^2(slope): a parabola
    for (int i = 0; i < 10; i++) mean += y[i] / 10.0;
    for (int i = 0; i < 10; i++) xy += (x[i] - 4.5) * (y[i] - mean), xx += (x[i] - 4.5) * (x[i] - 4.5);
    const double best = xy / xx, low = best + 0.2, off = 0.2;
    single_init(&s, 10, x, y);
    double errors[10];
    for (int i = 0; i < 10; i++) errors[i] = sigma;
    s.data.sigma = errors;
    s.options.absolute_sigma = 1;
    for (int upper = 0; upper < 2; upper++) {
        const double bounds[2][2] = {{low, 90.0}, {-90.0, best - 0.2}};
        ck_assert_int_eq(xani_model_bound(ctx, m, "slope", bounds[upper][0], bounds[upper][1]), XANI_OK);
        ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_AT_BOUND);
        find(&s, m, "slope", sigma_levels, 2, ends);
        for (int l = 0; l < 2; l++) {
            slopes[l] = sqrt(off * off + (l + 1) * (l + 1) * sigma * sigma / xx);
            ck_assert_double_eq(ends[2 * l + upper], upper ? INFINITY : -INFINITY);
            ck_assert_double_eq_tol(ends[2 * l + 1 - upper], upper ? best - slopes[l] : best + slopes[l], 1e-6);
        }
    }
    xani_model_destroy(&m);
}
END_TEST

// chi^2 of an exponential of this decay with the best amplitude.
static double decay_chi2(const double *x, const double *y, double decay)
{
    double ee = 0.0, ey = 0.0, sum = 0.0;
    for (int i = 0; i < N; i++) ee += exp(-2.0 * x[i] / decay), ey += exp(-x[i] / decay) * y[i];
    for (int i = 0; i < N; i++) sum += pow(y[i] - ey / ee * exp(-x[i] / decay), 2.0);
    return sum;
}

START_TEST(test_without_value)
{
    // The search is not ended by a bound or a point where the model has no value, nor by one where the others are not
    // determined: the end lies before it, or is infinite.
    xani_model *m = make("exponential");
    double x[N], y[N], ends[2];
    single s;
    ramp(x, N, 0.0, 2.0);
    for (uint64_t seed = 0; seed < 30; seed++) {
        static const double truth[] = {3.0, 20.0};
        simulate(m, truth, x, N, 0.3, seed, y);
        single_init(&s, N, x, y);
        if (single_fit(&s, m) != XANI_MODEL_CONVERGED) continue;
        const double level = 0.9545, t = 2.0437; // Student's t of it, 58 degrees
        find(&s, m, "decay", &level, 1, ends);
        ck_assert_msg(ends[0] > 0.0 && ends[0] < s.values[1] && ends[1] > s.values[1], "%g %g", ends[0], ends[1]);
        ck_assert_double_eq_tol(decay_chi2(x, y, ends[0]) / s.chi2, 1.0 + t * t / 58.0, 1e-4);
    }
    xani_model_destroy(&m);
    m = make("gaussian + constant");
    int finite = 0, infinite = 0;
    ramp(x, N, 0.0, 10.0);
    for (uint64_t seed = 0; seed < 60; seed++) {
        static const double truth[] = {1.0, 5.0, 0.3, 1.0};
        simulate(m, truth, x, N, 0.4, seed, y);
        single_init(&s, N, x, y);
        s.data.start = truth;
        if (single_fit(&s, m) != XANI_MODEL_CONVERGED) continue;
        find(&s, m, "sigma", sigma_levels, 1, ends);
        finite += ends[0] > 0.0 && ends[0] < s.values[2];
        infinite += isinf(ends[0]) && ends[0] < 0.0;
    }
    ck_assert_msg(finite >= 45 && finite + infinite >= 50, "%d and %d", finite, infinite);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_batch)
{
    // Intervals of many sets are those of each alone, for any number of threads.
    enum { SETS = 40 };
    static double y[SETS][N], values[SETS][3], ends[3][SETS][2];
    xani_model *m = make("gaussian");
    static const double p[] = {5.0, 4.4, 0.9};
    for (int i = 0; i < SETS; i++) simulate(m, p, peak_x, N, 0.2, (uint64_t)i, y[i]);
    xani_model_data data;
    xani_model_data_init(&data);
    data.n_sets = SETS;
    data.n_points = N;
    data.x = peak_x;
    data.y = y[0];
    xani_model_results r;
    xani_model_results_init(&r);
    r.values = values[0];
    ck_assert_int_eq(xani_model_fit(ctx, m, &data, NULL, &r), XANI_OK);
    xani_model_options o;
    xani_model_options_init(&o);
    for (int threads = 1; threads <= 2; threads++) {
        o.threads = threads;
        ck_assert_int_eq(xani_model_interval(ctx, m, &data, &o, values[0], "centre", sigma_levels, 1, ends[threads][0]),
                         XANI_OK);
    }
    ck_assert_int_eq(memcmp(ends[1], ends[2], sizeof ends[1]), 0);
    data.n_sets = 1;
    for (int i = 0; i < SETS; i++) {
        data.y = y[i];
        ck_assert_int_eq(xani_model_interval(ctx, m, &data, &o, values[i], "centre", sigma_levels, 1, ends[0][i]),
                         XANI_OK);
    }
    ck_assert_int_eq(memcmp(ends[0], ends[2], sizeof ends[1]), 0);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_errors)
{
    // What has no interval is refused by name.
    xani_model *m = make("gaussian + linear");
    single s;
    double ends[2];
    single_init(&s, N, peak_x, peak_y);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    const struct {
        const char *setting, *parameter, *text;
        double level;
    } table[] = {{"centre=4,fix", "centre", "centre: it is fixed", 0.5},
                 {"sigma=2*slope", "sigma", "sigma: it is tied", 0.5},
                 {"slope=0", "slop", "has no parameter slop", 0.5},
                 {"slope=0", "slope", "slope: level 1.5", 1.5}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        set(m, table[i].setting);
        ck_assert_int_eq(
            xani_model_interval(ctx, m, &s.data, NULL, s.values, table[i].parameter, &table[i].level, 1, ends),
            XANI_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), table[i].text));
    }
    xani_model_destroy(&m);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_lmfit);
    tcase_add_test(t, test_linear);
    tcase_add_test(t, test_bounds);
    tcase_add_test(t, test_on_bound);
    tcase_add_test(t, test_without_value);
    tcase_add_test(t, test_batch);
    tcase_add_test(t, test_errors);
}
XN_TEST_MAIN("lsq interval", add)
