// SPDX-License-Identifier: BSD-3-Clause
// test_lsq_model.c -- models: expressions, names, settings as calls and text, the caller's functions, batches, errors.
#include <omp.h>
#include <stdatomic.h>

#include "lsq_common.h"
#include "lsq_reference.h"
#include "no_memory.h"

enum { N = 60 };

START_TEST(test_names)
{
    // Parameters are named after their functions' lists, with the prefix and the number of a family.
    static const struct {
        const char *expression, *names;
    } table[] = {
        {"gaussian", "amplitude centre sigma"},
        {" gaussian+polynomial1 ", "amplitude centre sigma c0 c1"},
        {"f1:gaussian + f2 : lorentzian+constant", "f1.amplitude f1.centre f1.sigma f2.amplitude f2.centre f2.sigma c"},
        {"damped_cosines2", "amplitude1 damping1 frequency1 phase1 amplitude2 damping2 frequency2 phase2"},
        {"exponential * w:sine + polynomial0", "amplitude decay w.amplitude w.frequency w.phase c0"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        xani_model *m = make(table[i].expression);
        char names[256] = "";
        for (int k = 0; k < xani_model_count(m); k++) {
            const size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", k ? " " : "", xani_model_parameter(m, k));
            ck_assert_int_eq(xani_model_find(m, xani_model_parameter(m, k)), k);
        }
        ck_assert_str_eq(names, table[i].names);
        ck_assert_ptr_null(xani_model_parameter(m, xani_model_count(m)));
        ck_assert_ptr_null(xani_model_parameter(m, -1));
        ck_assert_int_eq(xani_model_find(m, "nothing"), -1);
        xani_model_destroy(&m);
        ck_assert_ptr_null(m);
    }
}
END_TEST

START_TEST(test_wrong_expressions)
{
    // A wrong expression is refused with a line that names the word that is wrong.
    static const struct {
        const char *expression, *text;
    } table[] = {
        {"", "a function is missing"},
        {"gausian", "unknown function gausian; did you mean gaussian?"},
        {"gaus", "unknown function gaus; did you mean gaussian?"},
        {"exponentials0", "unknown function exponentials0; # of exponentials# is 1 to 6"},
        {"damped_cosines12", "unknown function damped_cosines12; # of damped_cosines# is 1 to 8"},
        {"nonsense", "unknown function nonsense"},
        {"gaussian +", "a function is missing"},
        {"1:gaussian", "prefix 1 does not begin with a letter"},
        {"gaussian + 1e3:linear", "prefix 1e3 does not begin with a letter"},
        {".a:gaussian", "prefix .a does not begin with a letter"},
        {"gaussian gaussian", "+ or * is expected at \"gaussian\""},
        {"gaussian + gaussian", "two parameters are called amplitude; name the functions"},
        {"a:gaussian + a:lorentzian", "two parameters are called a.amplitude"},
        {"a: + b", "a function is missing"},
        {"polynomial", "unknown function polynomial; did you mean polynomial#?"},
        {"exponentials0", "unknown function exponentials0"},
        {"exponentials12", "unknown function exponentials12"},
        {"gaussian - constant", "+ or * is expected at \"- constant\""},
        {"a:constant+b:constant+c:constant+d:constant+e:constant+f:constant+g:constant+h:constant+i:constant+j:"
         "constant+"
         "k:constant+l:constant+m:constant+n:constant+o:constant+p:constant+q:constant",
         "more than 16 functions"},
        {"a:damped_cosines8+b:damped_cosines8+c", "unknown function c"},
        {"a:damped_cosines8+b:damped_cosines8+constant", "more than 64 parameters"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        xani_model *m = NULL;
        ck_assert_msg(xani_model_create(ctx, table[i].expression, NULL, 0, &m) == XANI_ERR_USAGE, "%s",
                      table[i].expression);
        ck_assert_ptr_null(m);
        ck_assert_msg(strstr(xani_error_text(ctx), table[i].text) != NULL, "%s", xani_error_text(ctx));
    }
}
END_TEST

START_TEST(test_wrong_settings)
{
    // A setting that cannot be is refused with a line that names the parameter.
    static const struct {
        const char *setting, *text;
    } table[] = {
        {"center=4", "has no parameter center; did you mean centre?"},
        {"=4", "the name of a parameter is missing"},
        {"centre", "centre: \"centre\" is not understood"},
        {"centre=4,mim=2", "centre: \"centre=4,mim=2\" is not understood"},
        {"centre=4,min=x", "centre: \"centre=4,min=x\" is not understood"},
        {"centre=4,min=5", "centre: the start value 4 lies outside its bounds [5, inf]"},
        {"centre=4,min=3,max=2", "centre: the bounds [3, 2] leave no room"},
        {"centre=4,min=4,max=4", "leave no room; fix it instead"},
        {"centre=inf", "centre: an infinite start value"},
        {"centre=2*center", "centre: tie \"2*center\": no parameter at \"center\"; did you mean centre?"},
        {"centre=2*centre", "centre: tie \"2*centre\": it is tied to itself"},
        {"centre=2*sigma*slope", "ties are linear"},
        {"centre=sigma*slope", "ties are linear"},
        {"centre=sigma/0", "ties are linear"},
        {"centre=2*sigma +", "centre: tie"},
        {"centre=sigma+1,max=3", "centre: it is tied; bound the parameters it is tied to"},
        {"sigma=-1", "sigma: the start value -1 lies outside its bounds [0, inf]"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        xani_model *m = make("gaussian + linear");
        ck_assert_msg(xani_model_set(ctx, m, table[i].setting) == XANI_ERR_USAGE, "%s", table[i].setting);
        ck_assert_msg(strstr(xani_error_text(ctx), table[i].text) != NULL, "%s: %s", table[i].setting,
                      xani_error_text(ctx));
        xani_model_destroy(&m);
    }
    xani_model *m = make("gaussian + linear");
    single s;
    single_init(&s, N, peak_x, peak_y);
    set(m, "centre=sigma");
    set(m, "sigma=2*slope");
    set(m, "slope=centre - 1");
    xani_model_results r;
    xani_model_results_init(&r);
    ck_assert_int_eq(xani_model_fit(ctx, m, &s.data, NULL, &r), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "its tie leads back to itself"));
    xani_model_destroy(&m);
    m = make("gaussian * s:sine");
    ck_assert_int_eq(xani_model_fit(ctx, m, &s.data, NULL, &r), XANI_ERR_USAGE);
    ck_assert_str_eq(xani_error_text(ctx),
                     "amplitude: it needs a start value: none is guessed for products of functions");
    s.data.x_columns = 2;
    ck_assert_int_eq(xani_model_fit(ctx, m, &s.data, NULL, &r), XANI_ERR_USAGE);
    r.size = 7;
    ck_assert_int_eq(xani_model_fit(ctx, m, &s.data, NULL, &r), XANI_ERR_USAGE);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_settings_text)
{
    // Settings as text are those of the calls.
    xani_model *a = make("gaussian + linear"), *b = make("gaussian + linear");
    set(a, "centre=4.2,min=3.9,max=4.25");
    set(a, " sigma = 0.8 , fix ");
    set(a, "intercept=-2*slope+1.5");
    ck_assert_int_eq(xani_model_start(ctx, b, "centre", 4.2), XANI_OK);
    ck_assert_int_eq(xani_model_bound(ctx, b, "centre", 3.9, 4.25), XANI_OK);
    ck_assert_int_eq(xani_model_fix(ctx, b, "sigma", 0.8), XANI_OK);
    ck_assert_int_eq(xani_model_tie(ctx, b, "intercept", "1.5 - slope*2"), XANI_OK);
    single s, t;
    single_init(&s, N, peak_x, peak_y);
    single_init(&t, N, peak_x, peak_y);
    ck_assert_int_eq(single_fit(&s, a), XANI_MODEL_AT_BOUND);
    ck_assert_int_eq(single_fit(&t, b), XANI_MODEL_AT_BOUND);
    ck_assert_int_eq(memcmp(s.values, t.values, sizeof s.values), 0);
    ck_assert_double_eq(s.values[1], 4.25);
    ck_assert_double_eq(s.values[2], 0.8);
    ck_assert_double_eq_tol(s.values[4], 1.5 - 2.0 * s.values[3], 1e-12);
    set(a, "sigma,vary");
    ck_assert_int_eq(single_fit(&s, a), XANI_MODEL_AT_BOUND);
    ck_assert_double_ne(s.values[2], 0.8);
    xani_model_destroy(&a);
    xani_model_destroy(&b);
}
END_TEST

START_TEST(test_product)
{
    // A product is fitted with the product rule; the redundant amplitude is fixed.
    xani_model *m = make("exponential * s:sine + constant");
    double x[N], y[N];
    static const double p[] = {2.0, 3.0, 1.0, 0.7, 0.4, 1.5};
    ramp(x, N, 0.0, 6.0);
    simulate(m, p, x, N, 0.01, 3, y);
    set(m, "amplitude=1.5");
    set(m, "decay=2");
    set(m, "s.amplitude=1,fix");
    set(m, "s.frequency=0.69");
    set(m, "s.phase=0.2");
    set(m, "c=0");
    single s;
    single_init(&s, N, x, y);
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
    for (int k = 0; k < 6; k++) ck_assert_double_le(fabs(s.values[k] - p[k]), 4.0 * s.errors[k] + 1e-15);
    set(m, "s.amplitude,vary");
    ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_SINGULAR);
    xani_model_destroy(&m);
}
END_TEST

// ---- the caller's functions

typedef struct own {
    atomic_int calls;
    bool refuse_negative;
} own;

static int saturation(void *user, const double *x, int64_t n, const double *p, double *y)
{
    own *o = user;
    atomic_fetch_add(&o->calls, 1);
    if (o->refuse_negative && p[1] < 0.0) return 1;
    for (int64_t i = 0; i < n; i++) y[i] = p[0] * x[i] / (p[1] + x[i]);
    return 0;
}

static int saturation_slopes(void *user, const double *x, int64_t n, const double *p, double *const *d)
{
    (void)user;
    for (int64_t i = 0; i < n; i++) {
        d[0][i] = x[i] / (p[1] + x[i]);
        d[1][i] = -p[0] * x[i] / ((p[1] + x[i]) * (p[1] + x[i]));
    }
    return 0;
}

static int saturation_guess(void *user, const double *x, const double *y, int64_t n, double *p)
{
    (void)user;
    p[0] = y[n - 1];
    p[1] = 0.5 * (x[0] + x[n - 1]);
    return 0;
}

static xani_function saturation_function(own *o)
{
    return (xani_function){.size = sizeof(xani_function),
                           .name = "saturation",
                           .parameters = "top* half[0,]",
                           .value = saturation,
                           .jacobian = saturation_slopes,
                           .guess = saturation_guess,
                           .user = o};
}

START_TEST(test_own_function)
{
    // The caller's function fits with and without derivatives, alone and joined with others, to the same result.
    own o = {0};
    xani_function f = saturation_function(&o);
    double x[N], y[N];
    static const double p[] = {5.0, 2.0, 1.0};
    ramp(x, N, 0.1, 10.0);
    xani_model *m = NULL;
    ck_assert_int_eq(xani_model_create(ctx, "saturation + constant", &f, 1, &m), XANI_OK);
    ck_assert_str_eq(xani_model_parameter(m, 1), "half");
    simulate(m, p, x, N, 0.05, 5, y);
    single a, b;
    single_init(&a, N, x, y);
    single_init(&b, N, x, y);
    ck_assert_int_eq(single_fit(&a, m), XANI_MODEL_CONVERGED);
    xani_model_destroy(&m);
    f.jacobian = NULL;
    ck_assert_int_eq(xani_model_create(ctx, "saturation + constant", &f, 1, &m), XANI_OK);
    o.calls = 0;
    ck_assert_int_eq(single_fit(&b, m), XANI_MODEL_CONVERGED);
    ck_assert_int_ge(o.calls, (int)b.evaluations);
    ck_assert_int_gt(b.evaluations, a.evaluations);
    for (int k = 0; k < 3; k++) {
        ck_assert_double_le(fabs(a.values[k] - p[k]), 4.0 * a.errors[k]);
        ck_assert_double_eq_tol(a.values[k], b.values[k], 1e-6 * a.errors[k]);
        ck_assert_double_eq_tol(a.errors[k] / b.errors[k], 1.0, 1e-7);
    }
    xani_model_destroy(&m);
    f.guess = NULL;
    ck_assert_int_eq(xani_model_create(ctx, "saturation", &f, 1, &m), XANI_OK);
    xani_model_results r;
    xani_model_results_init(&r);
    ck_assert_int_eq(xani_model_fit(ctx, m, &a.data, NULL, &r), XANI_ERR_USAGE);
    ck_assert_str_eq(xani_error_text(ctx), "top: it needs a start value: its function has no guess");
    xani_model_destroy(&m);
    f.parameters = "top 2half";
    ck_assert_int_eq(xani_model_create(ctx, "saturation", &f, 1, &m), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "malformed"));
    f.value = NULL;
    ck_assert_int_eq(xani_model_create(ctx, "saturation", &f, 1, &m), XANI_ERR_USAGE);
}
END_TEST

START_TEST(test_own_wrong)
{
    // A function that cannot be is refused with a line that names it.
    own o = {0};
    static const struct {
        const char *name, *parameters, *text;
        int x_columns;
    } table[] = {
        {"saturation", "top[2,1] half", "the list of parameters \"top[2,1] half\" is malformed", 1},
        {"saturation", "top[1,1] half", "malformed", 1},
        {"saturation", "top half", "function saturation: x_columns is -1", -1},
        {"2nd", "top half", "function 1: \"2nd\" is no name", 1},
        {"satu ration", "top half", "function 1: \"satu ration\" is no name", 1},
        {"other", "top half", "function other: two have this name", 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        xani_function f[2] = {saturation_function(&o), saturation_function(&o)};
        f[0].name = "other";
        f[1].name = table[i].name, f[1].parameters = table[i].parameters, f[1].x_columns = table[i].x_columns;
        xani_model *m = NULL;
        ck_assert_int_eq(xani_model_create(ctx, "saturation", f, 2, &m), XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), table[i].text) != NULL, "%s", xani_error_text(ctx));
    }
}
END_TEST

static int plane(void *user, const double *x, int64_t n, const double *p, double *y)
{
    (void)user;
    for (int64_t i = 0; i < n; i++) y[i] = p[0] * x[2 * i] + p[1] * x[2 * i + 1];
    return 0;
}

START_TEST(test_two_columns)
{
    // A function with an x of two columns goes with a constant, before or behind it, and with no other.
    const xani_function f = {.size = sizeof f, .name = "plane", .parameters = "a* b*", .x_columns = 2, .value = plane};
    double x[2 * N], y[N];
    for (int i = 0; i < N; i++) x[2 * i] = i % 8, x[2 * i + 1] = i / 8, y[i] = 2.0 * x[2 * i] - x[2 * i + 1] + 3.0;
    static const char *const models[] = {"plane + constant", "constant + plane"};
    for (int i = 0; i < 2; i++) {
        xani_model *m = NULL;
        ck_assert_msg(xani_model_create(ctx, models[i], &f, 1, &m) == XANI_OK, "%s", xani_error_text(ctx));
        single s;
        single_init(&s, N, x, y);
        s.data.x_columns = 2;
        xani_model_results r;
        xani_model_results_init(&r);
        ck_assert_int_eq(xani_model_fit(ctx, m, &s.data, NULL, &r), XANI_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "none is guessed where x has several columns"));
        set(m, "a=1"), set(m, "b=1"), set(m, "c=0");
        ck_assert_int_eq(single_fit(&s, m), XANI_MODEL_CONVERGED);
        ck_assert_double_eq_tol(s.values[xani_model_find(m, "b")], -1.0, 1e-9);
        ck_assert_double_eq_tol(s.values[xani_model_find(m, "c")], 3.0, 1e-9);
        s.data.x_columns = -1;
        ck_assert_int_eq(xani_model_fit(ctx, m, &s.data, NULL, &r), XANI_ERR_USAGE);
        ck_assert_str_eq(xani_error_text(ctx), "model data: x_columns is -1");
        xani_model_destroy(&m);
    }
    xani_model *m = NULL;
    ck_assert_int_eq(xani_model_create(ctx, "plane + linear", &f, 1, &m), XANI_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "linear takes x of 1 columns, another function 2"));
}
END_TEST

START_TEST(test_arguments)
{
    // What is missing or negative is refused with a line, never read.
    xani_model *m = make("gaussian"), *none = NULL;
    double p[3] = {1.0, 2.0, 3.0}, y[N], ends[2];
    const double level = 0.68;
    single s;
    single_init(&s, N, peak_x, peak_y);
    xani_model_results r;
    xani_model_results_init(&r);
    const xani_status calls[] = {
        xani_model_create(ctx, NULL, NULL, 0, &none),
        xani_model_create(ctx, "gaussian", NULL, 0, NULL),
        xani_model_create(ctx, "gaussian", NULL, 1, &none),
        xani_model_start(ctx, NULL, "centre", 1.0),
        xani_model_start(ctx, m, NULL, 1.0),
        xani_model_fix(ctx, m, NULL, 1.0),
        xani_model_vary(ctx, m, NULL),
        xani_model_bound(ctx, m, NULL, 1.0, 2.0),
        xani_model_tie(ctx, m, "centre", NULL),
        xani_model_set(ctx, NULL, "centre=1"),
        xani_model_set(ctx, m, NULL),
        xani_model_evaluate(ctx, NULL, p, peak_x, N, y, NULL),
        xani_model_evaluate(ctx, m, NULL, peak_x, N, y, NULL),
        xani_model_evaluate(ctx, m, p, NULL, N, y, NULL),
        xani_model_evaluate(ctx, m, p, peak_x, N, NULL, NULL),
        xani_model_evaluate(ctx, m, p, peak_x, -1, y, NULL),
        xani_model_fit(ctx, NULL, &s.data, NULL, &r),
        xani_model_fit(ctx, m, NULL, NULL, &r),
        xani_model_fit(ctx, m, &s.data, NULL, NULL),
        xani_model_interval(ctx, NULL, &s.data, NULL, p, "centre", &level, 1, ends),
        xani_model_interval(ctx, m, &s.data, NULL, NULL, "centre", &level, 1, ends),
        xani_model_interval(ctx, m, &s.data, NULL, p, NULL, &level, 1, ends),
        xani_model_interval(ctx, m, &s.data, NULL, p, "centre", NULL, 1, ends),
        xani_model_interval(ctx, m, &s.data, NULL, p, "centre", &level, -1, ends),
        xani_model_interval(ctx, m, &s.data, NULL, p, "centre", &level, 1, NULL),
        xani_model_fit_file(ctx, NULL, m, NULL, NULL, "x.h5", NULL),
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        ck_assert_msg(calls[i] == XANI_ERR_USAGE, "call %zu: %d", i, calls[i]);
    ck_assert_int_eq(xani_model_evaluate(ctx, m, p, NULL, 0, NULL, NULL), XANI_OK);
    ck_assert_int_eq(xani_model_count(NULL), 0);
    ck_assert_ptr_null(xani_model_parameter(NULL, 0));
    ck_assert_int_eq(xani_model_find(NULL, "centre"), -1);
    ck_assert_int_eq(xani_model_find(m, NULL), -1);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_own_refuses)
{
    // Where the caller's function has no value a shorter step is taken; at the start it is a bad start, for that set
    // only.
    own o = {.refuse_negative = true};
    xani_function f = saturation_function(&o);
    f.parameters = "top half";
    double x[N], y[2][N], values[4];
    static const double p[] = {5.0, 0.05};
    ramp(x, N, 0.1, 10.0);
    for (int analytic = 0; analytic < 2; analytic++) {
        f.jacobian = analytic ? saturation_slopes : NULL;
        xani_model *m = NULL;
        ck_assert_int_eq(xani_model_create(ctx, "saturation", &f, 1, &m), XANI_OK);
        for (int i = 0; i < 2; i++) simulate(m, p, x, N, 0.01, 6, y[i]);
        const double start[] = {1.0, -1.0, 4.0, 0.4};
        xani_model_data data;
        xani_model_data_init(&data);
        data.n_sets = 2, data.n_points = N, data.x = x, data.y = y[0], data.start = start;
        xani_model_results r;
        xani_model_results_init(&r);
        uint8_t status[2];
        r.values = values, r.status = status;
        ck_assert_int_eq(xani_model_fit(ctx, m, &data, NULL, &r), XANI_OK);
        ck_assert_int_eq(status[0], XANI_MODEL_BAD_START);
        ck_assert_double_nan(values[0]);
        ck_assert_int_eq(status[1], XANI_MODEL_CONVERGED);
        ck_assert_double_eq_tol(values[3], 0.05, 0.01);
        xani_model_destroy(&m);
    }
}
END_TEST

// ---- batches

enum { SETS = 300 };

static void fit_batch(const xani_model *m, const xani_model_data *data, int threads, double *values, uint8_t *status)
{
    xani_model_results r;
    xani_model_results_init(&r);
    r.values = values, r.status = status;
    xani_model_options o;
    xani_model_options_init(&o);
    o.threads = threads;
    ck_assert_msg(xani_model_fit(ctx, m, data, &o, &r) == XANI_OK, "%s", xani_error_text(ctx));
}

START_TEST(test_batch)
{
    // Sets are independent: any number of threads, any neighbours, any layout in memory give the same bits.
    static double y[SETS][N], cube[N][SETS], values[4][SETS * 3];
    static uint8_t status[4][SETS];
    xani_model *m = make("gaussian");
    static const double p[] = {5.0, 4.4, 0.9};
    for (int i = 0; i < SETS; i++) {
        simulate(m, p, peak_x, N, 0.3, (uint64_t)i, y[i]);
        for (int j = 0; i % 11 == 3 && j < N; j++) y[i][j] = j % 2 ? NAN : 1e300;
        for (int j = 0; j < N; j++) cube[j][i] = y[i][j];
    }
    xani_model_data data;
    xani_model_data_init(&data);
    data.n_sets = SETS, data.n_points = N, data.x = peak_x, data.y = y[0];
    fit_batch(m, &data, 1, values[0], status[0]);
    fit_batch(m, &data, 3, values[1], status[1]);
    data.y = cube[0], data.y_set = 1, data.y_point = SETS;
    fit_batch(m, &data, 2, values[2], status[2]);
    data.y_set = data.y_point = 0, data.n_sets = 1;
    for (int i = 0; i < SETS; i++) {
        data.y = y[i];
        fit_batch(m, &data, 1, values[3] + 3 * i, status[3] + i);
    }
    for (int other = 1; other < 4; other++) {
        ck_assert_int_eq(memcmp(values[0], values[other], sizeof values[0]), 0);
        ck_assert_int_eq(memcmp(status[0], status[other], sizeof status[0]), 0);
    }
    for (int i = 0; i < SETS; i++) ck_assert(i % 11 == 3 || status[0][i] == XANI_MODEL_CONVERGED);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_each_set_its_own)
{
    // x, sigma and start may differ from set to set.
    enum { FEW = 8 };
    static double x[FEW][N], y[FEW][N], sigma[FEW][N], start[FEW][3], values[FEW * 3], chi2[FEW];
    static uint8_t status[FEW];
    xani_model *m = make("gaussian");
    xani_model_data data;
    xani_model_data_init(&data);
    for (int i = 0; i < FEW; i++) {
        const double p[] = {5.0 + i, 4.0 + 0.2 * i, 0.8};
        ramp(x[i], N, 0.1 * i, 9.0 + i);
        simulate(m, p, x[i], N, 0.1 * (i + 1), (uint64_t)i, y[i]);
        for (int j = 0; j < N; j++) sigma[i][j] = 0.1 * (i + 1);
        start[i][0] = NAN, start[i][1] = p[1] + 0.3, start[i][2] = 1.0;
    }
    data.n_sets = FEW, data.n_points = N, data.x = x[0], data.x_set = N, data.y = y[0];
    data.sigma = sigma[0], data.sigma_set = N, data.start = start[0];
    xani_model_results r;
    xani_model_results_init(&r);
    r.values = values, r.chi2 = chi2, r.status = status;
    ck_assert_int_eq(xani_model_fit(ctx, m, &data, NULL, &r), XANI_OK);
    for (int i = 0; i < FEW; i++) {
        ck_assert_int_eq(status[i], XANI_MODEL_CONVERGED);
        ck_assert_double_eq_tol(values[3 * i + 1], 4.0 + 0.2 * i, 0.25);
        ck_assert(chi2[i] > 25.0 && chi2[i] < 100.0); // 57 degrees of freedom
    }
    xani_model_destroy(&m);
}
END_TEST

typedef struct watch {
    xani_context *context;
    int calls;
    int64_t last, total;
} watch;

static void watch_progress(void *user, const char *stage, int64_t done, int64_t total, const char *unit, double seconds)
{
    watch *w = user;
    ck_assert_str_eq(stage, "fit");
    ck_assert_str_eq(unit, "data sets");
    ck_assert(seconds >= 0.0 && done <= total);
    w->calls++, w->last = done, w->total = total;
    if (w->context != NULL) xani_interrupt(w->context);
}

START_TEST(test_progress)
{
    // Progress runs to the number of sets; an interrupt ends the fit with its status.
    static double y[SETS][N], values[SETS * 3];
    static uint8_t status[SETS];
    xani_model *m = make("gaussian");
    static const double p[] = {5.0, 4.4, 0.9};
    for (int i = 0; i < SETS; i++) simulate(m, p, peak_x, N, 0.3, (uint64_t)i, y[i]);
    xani_model_data data;
    xani_model_data_init(&data);
    data.n_sets = SETS, data.n_points = N, data.x = peak_x, data.y = y[0];
    watch w = {0};
    xani_set_progress(ctx, watch_progress, &w);
    fit_batch(m, &data, 2, values, status);
    ck_assert_int_ge(w.calls, 2);
    ck_assert_int_eq(w.last, SETS);
    w.context = ctx;
    xani_model_results r;
    xani_model_results_init(&r);
    r.values = values;
    ck_assert_int_eq(xani_model_fit(ctx, m, &data, NULL, &r), XANI_INTERRUPTED);
    xani_model_destroy(&m);
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation fails, the call says so and nothing is lost; with enough memory it succeeds.
    double ends[2], values[5];
    xani_model_data data;
    xani_model_data_init(&data);
    data.n_sets = 1, data.n_points = N, data.x = peak_x, data.y = peak_y;
    xani_model_results r;
    xani_model_results_init(&r);
    r.values = values;
    int failures = 0;
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        xani_model *m = NULL;
        no_memory_begin(&n);
        xani_status st = xani_model_create(ctx, "gaussian + linear", NULL, 0, &m);
        if (st == XANI_OK) st = xani_model_set(ctx, m, "intercept=2*slope+1");
        if (st == XANI_OK) st = xani_model_set(ctx, m, "intercept,vary");
        if (st == XANI_OK) st = xani_model_fit(ctx, m, &data, NULL, &r);
        const double level = 0.68;
        if (st == XANI_OK) st = xani_model_interval(ctx, m, &data, NULL, values, "centre", &level, 1, ends);
        no_memory_end();
        xani_model_destroy(&m);
        ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        if (n.reached) ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "out of memory"));
        failures += n.reached;
    }
    ck_assert_int_ge(failures, 12);
    ck_assert(ends[0] < values[1] && values[1] < ends[1]);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_names);
    tcase_add_test(t, test_wrong_expressions);
    tcase_add_test(t, test_wrong_settings);
    tcase_add_test(t, test_settings_text);
    tcase_add_test(t, test_product);
    tcase_add_test(t, test_own_function);
    tcase_add_test(t, test_own_wrong);
    tcase_add_test(t, test_two_columns);
    tcase_add_test(t, test_arguments);
    tcase_add_test(t, test_own_refuses);
    tcase_add_test(t, test_batch);
    tcase_add_test(t, test_each_set_its_own);
    tcase_add_test(t, test_progress);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("lsq model", add)
