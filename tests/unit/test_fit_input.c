// SPDX-License-Identifier: BSD-3-Clause
// test_fit_input.c -- cubes that other programs made: what may be missing, types, units, order of delays, weights,
// errors.
#include "core/rng.h"
#include "h5write.h"

#define TWO_PI 6.28318530717958647693
enum { N = 100, NY = 4, NX = 6, P = NY * NX };
#define STEP 0.1
#define SIGMA 0.02

static const char *const path = "scratch-fit_input/cube.h5", *const out = "scratch-fit_input/modes.h5";
static xani_context *ctx;
static char logged[1024];
static double delay[N], signal_[N][P], errors[N][P];

static void on_log(void *user, xani_log_level level, const char *text)
{
    (void)user;
    if (level <= XANI_LOG_WARNING) snprintf(logged, sizeof logged, "%s", text);
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, on_log, NULL);
    logged[0] = '\0';
    xn_test_dir("fit_input");
}

static void tear_down(void) { xani_destroy(&ctx); }

static double f_of(int p) { return 1.0 + 0.1 * p; }

// Each pixel its own mode at the delays that stand in `delay`; noise of SIGMA times what `times` says.
static void simulate(const double *times)
{
    xn_rng r;
    xn_rng_init(&r, 41, 0);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < P; p++) {
            const double t = delay[i], sigma = SIGMA * (times != NULL ? times[i] : 1.0);
            signal_[i][p] = 0.2 * exp(-0.3 * t) * cos(TWO_PI * f_of(p) * t + 0.4) + sigma * xn_rng_normal(&r);
            errors[i][p] = sigma;
        }
}

static void even_delays(void)
{
    for (int i = 0; i < N; i++) delay[i] = STEP * i;
}

// What the contract lists, and nothing else.
static void write_cube(void)
{
    static const uint8_t mask[P] = {0};
    const int64_t one = 1;
    h5_make(path);
    h5_put(path, "entry/cube/signal", H5T_NATIVE_DOUBLE, H5_SHAPE(N, NY, NX), signal_);
    h5_put(path, "entry/cube/signal_errors", H5T_NATIVE_DOUBLE, H5_SHAPE(N, NY, NX), errors);
    h5_put(path, "entry/cube/delay", H5T_NATIVE_DOUBLE, H5_SHAPE(N), delay);
    h5_put(path, "entry/mask", H5T_NATIVE_UINT8, H5_SHAPE(NY, NX), mask);
    h5_put(path, "entry/spatial_bin", H5T_NATIVE_INT64, 0, NULL, &one);
}

static void put_units(const char *text)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), d = H5Dopen2(f, "entry/cube/delay", H5P_DEFAULT);
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    hid_t a = H5Acreate2(d, "units", type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(a >= 0 && H5Awrite(a, type, text) >= 0);
    H5Aclose(a), H5Sclose(space), H5Tclose(type), H5Dclose(d), H5Fclose(f);
}

static xani_status fit(const char *key)
{
    xani_config *c = NULL;
    if (key != NULL) {
        ck_assert_int_eq(xani_config_create(ctx, &c), XANI_OK);
        ck_assert_msg(xani_config_assign(ctx, c, key) == XANI_OK, "%s", xani_error_text(ctx));
    }
    xani_status st = xani_fit(ctx, c, path, out);
    xani_config_destroy(&c);
    return st;
}

static double *numbers(const char *dataset)
{
    xani_array a;
    ck_assert_msg(xani_array_read(ctx, out, dataset, &a) == XANI_OK, "%s", xani_error_text(ctx));
    double *v = malloc((size_t)a.size * sizeof *v);
    ck_assert_ptr_nonnull(v);
    for (int64_t i = 0; i < a.size; i++) v[i] = a.type == XANI_FLOAT64 ? a.f64[i] : (double)a.i64[i];
    xani_array_free(&a);
    return v;
}

// Every pixel its mode; returns the rms of (f - truth)/error.
static double pull(void)
{
    double *f = numbers("/entry/modes/frequency"), *e = numbers("/entry/modes/frequency_errors"), sum = 0.0;
    for (int p = 0; p < P; p++) {
        const double z = (f[p] - f_of(p)) / e[p];
        ck_assert_msg(fabs(z) < 6.0, "pixel %d: %g instead of %g THz", p, f[p], f_of(p));
        sum += z * z / P;
    }
    free(f);
    free(e);
    return sqrt(sum);
}

static void good(void)
{
    ck_assert_msg(fit(NULL) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_double_lt(pull(), 1.6);
}

static void refused(xani_status st, const char *word)
{
    ck_assert_msg(st == XANI_ERR_INPUT, "%d: %s", st, xani_error_text(ctx));
    ck_assert_msg(strstr(xani_error_text(ctx), "cube.h5") != NULL && strstr(xani_error_text(ctx), word) != NULL, "%s",
                  xani_error_text(ctx));
}

START_TEST(test_contract)
{
    // What the contract lists is enough, in whatever type, and gives the fit the same numbers as xani's own.
    even_delays();
    simulate(NULL);
    write_cube();
    good();
    float t[N];
    for (int i = 0; i < N; i++) t[i] = (float)delay[i];
    h5_put(path, "entry/cube/delay", H5T_NATIVE_FLOAT, H5_SHAPE(N), t);
    const int32_t mask[P] = {0, 0, 0, 3};
    h5_put(path, "entry/mask", H5T_NATIVE_INT32, H5_SHAPE(NY, NX), mask);
    ck_assert_int_eq(fit(NULL), XANI_OK);
    double *status = numbers("/entry/fit_status"), *chi2 = numbers("/entry/chi2_reduced");
    for (int p = 0; p < P; p++) ck_assert_int_eq((int)status[p], p == 3 ? 2 : 0);
    for (int p = 0; p < P; p++) ck_assert(p == 3 || (chi2[p] > 0.5 && chi2[p] < 1.6)); // errors are known
    free(status);
    free(chi2);
}
END_TEST

START_TEST(test_ranges)
{
    // A value that its place cannot hold is an error that names file and dataset, as are words for numbers; a merge
    // says what it lacks.
    even_delays();
    simulate(NULL);
    write_cube();
    int64_t mask[P] = {0, INT64_C(5000000000)};
    h5_put(path, "entry/mask", H5T_NATIVE_INT64, H5_SHAPE(NY, NX), mask);
    refused(fit(NULL), "/entry/mask");
    write_cube();
    h5_put(path, "entry/spatial_bin", H5T_NATIVE_INT64, 0, NULL, &mask[1]);
    refused(fit(NULL), "/entry/spatial_bin");
    h5_put(path, "entry/spatial_bin", H5T_C_S1, 0, NULL, "one");
    refused(fit(NULL), "/entry/spatial_bin");
    write_cube();
    refused(xani_merge(ctx, (const char *const[]){path, path}, 2, "scratch-fit_input/merged.h5"), "/entry/sums/on/s1");
}
END_TEST

START_TEST(test_units)
{
    // Delays in fs or s are those in ps; another unit is none.
    static const struct {
        const char *units;
        double factor;
    } known[] = {{"fs", 1e3}, {"s", 1e-12}, {"nanoseconds", 1e-3}, {"ps", 1.0}, {"", 1.0}};
    even_delays();
    simulate(NULL);
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
        even_delays();
        for (int i = 0; i < N; i++) delay[i] *= known[k].factor;
        write_cube();
        put_units(known[k].units);
        good();
    }
    write_cube();
    put_units("THz");
    refused(fit(NULL), "/entry/cube/delay");
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "THz"));
}
END_TEST

static void swap(int i, int k)
{
    const double t = delay[i];
    delay[i] = delay[k];
    delay[k] = t;
}

START_TEST(test_order)
{
    // Delays in any order give the same modes, bit by bit, as those in order; weights follow them.
    double weight[N], *sorted = NULL;
    xn_rng r;
    xn_rng_init(&r, 42, 0);
    for (int order = 0; order < 4; order++) {
        even_delays();
        for (int i = N - 1; i > 0; i--)
            if (order == 1) swap(i, (int)(xn_rng_u32(&r) % (unsigned)(i + 1)));
        for (int i = 0; i < N; i++) {
            if (order == 2) delay[i] = STEP * (i < N / 2 ? 2 * i : 2 * i - N + 1);
            if (order == 3) delay[i] = STEP * (N - 1 - i);
        }
        for (int i = 0; i < N; i++) {
            const int place = (int)lrint(delay[i] / STEP);
            xn_rng noise;
            xn_rng_init(&noise, 43, (uint64_t)place);
            weight[i] = place % 3 ? 1.0 : 0.5;
            for (int p = 0; p < P; p++) {
                errors[i][p] = SIGMA / sqrt(weight[i]);
                signal_[i][p] = 0.2 * exp(-0.3 * STEP * place) * cos(TWO_PI * f_of(p) * STEP * place + 0.4) +
                                errors[i][p] * xn_rng_normal(&noise);
            }
        }
        for (int i = 0; i < N; i++) delay[i] = STEP * (int)lrint(delay[i] / STEP);
        write_cube();
        h5_put(path, "entry/bins/weight", H5T_NATIVE_DOUBLE, H5_SHAPE(N), weight);
        good();
        double *f = numbers("/entry/modes/frequency");
        if (order == 0) sorted = f;
        for (int p = 0; p < P; p++) ck_assert_double_eq(f[p], sorted[p]);
        if (order > 0) free(f);
    }
    free(sorted);
}
END_TEST

START_TEST(test_repeated)
{
    // Each delay twice, one after the other or a scan after a scan, some twice: fitted, with errors that hold.
    for (int form = 0; form < 3; form++) {
        for (int i = 0; i < N; i++)
            delay[i] = form == 0   ? 1.4 * STEP * (i / 2)
                       : form == 1 ? 1.4 * STEP * (i % (N / 2))
                                   : STEP * (i < 70 ? i : i - 70);
        simulate(NULL);
        write_cube();
        good();
        const double p = pull();
        ck_assert_msg(p > 0.5 && p < 1.5, "form %d: pull %g", form, p);
    }
}
END_TEST

START_TEST(test_bad_delays)
{
    // A delay that is no number, infinite or absurdly far away ends with one line that names file and dataset, at once.
    static const double bad[] = {INFINITY, -INFINITY, NAN, 1e9, 1e300};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        even_delays();
        simulate(NULL);
        delay[N - 1] = bad[k];
        write_cube();
        refused(fit(NULL), "/entry/cube/delay");
    }
    for (int i = 0; i < N; i++) delay[i] = 1.0;
    write_cube();
    refused(fit(NULL), "/entry/cube/delay");
}
END_TEST

static const char *weights_from(void)
{
    static char text[64];
    hid_t f = H5Fopen(out, H5F_ACC_RDONLY, H5P_DEFAULT), g = H5Gopen2(f, "entry/modes", H5P_DEFAULT);
    hid_t a = H5Aopen(g, "weights_from", H5P_DEFAULT), type = H5Aget_type(a);
    ck_assert(a >= 0);
    memset(text, 0, sizeof text);
    if (H5Tis_variable_str(type) > 0) {
        char *v = NULL;
        H5Aread(a, type, &v);
        snprintf(text, sizeof text, "%s", v);
        H5free_memory(v);
    } else {
        H5Aread(a, type, text);
    }
    H5Tclose(type), H5Aclose(a), H5Gclose(g), H5Fclose(f);
    return text;
}

START_TEST(test_weights)
{
    // Errors that vary with the delay give the weights where the file has none, and where those it has contradict them,
    // which is said; weights that agree within what the errors can tell stay.
    double times[N], weight[N];
    int64_t shots[N];
    for (int i = 0; i < N; i++) times[i] = i < N / 2 ? 7.0 : 1.0;
    for (int file = 0; file < 4; file++) {
        even_delays();
        simulate(times);
        for (int i = 0; i < N; i++)
            weight[i] = file == 1 || file == 3 ? 1.0 : 1.1 * pow(times[i], -2.0) * (i % 2 ? 1.1 : 0.9);
        write_cube();
        if (file > 0) h5_put(path, "entry/bins/weight", H5T_NATIVE_DOUBLE, H5_SHAPE(N), weight);
        for (int i = 0; i < N; i++) shots[i] = file == 3 ? 3 : 1000;
        if (file % 2) h5_put(path, "entry/sums/on/shots", H5T_NATIVE_INT64, H5_SHAPE(N), shots);
        logged[0] = '\0';
        ck_assert_int_eq(fit("fit.modes_max=1"), XANI_OK);
        ck_assert_str_eq(weights_from(), file >= 2 ? "bins" : "errors");
        ck_assert_msg((strstr(logged, "/entry/bins/weight") != NULL) == (file == 1), "%s", logged);
        if (file == 3) break; // what three shots say of errors is not worth more than the weights
        double *f = numbers("/entry/modes/frequency"), *e = numbers("/entry/modes/frequency_errors");
        double *chi2 = numbers("/entry/chi2_reduced"), mean = 0.0;
        int found = 0, within = 0;
        for (int p = 0; p < P; p++) {
            mean += chi2[p] / P;
            if (!(fabs(f[p] - f_of(p)) < 0.3)) continue;
            found++;
            within += fabs(f[p] - f_of(p)) < 2.0 * e[p];
        }
        ck_assert_msg(fabs(mean - 1.0) < 0.12, "chi^2 %g", mean);
        ck_assert_msg(found > P / 2 && within >= 0.85 * found, "%d found, %d within two errors", found, within);
        free(f);
        free(e);
        free(chi2);
    }
}
END_TEST

START_TEST(test_broken_errors)
{
    // Pixels with broken errors at some delays do not move the weights; few shots, whose errors scatter, do not
    // contradict weights that are right.
    double weight[N];
    even_delays();
    simulate(NULL);
    xn_rng r;
    xn_rng_init(&r, 44, 0);
    for (int i = 0; i < N; i++) {
        weight[i] = 1.0;
        for (int p = 0; p < P; p++) // root of chi^2 of one degree, as from two shots
            errors[i][p] = SIGMA * fabs(xn_rng_normal(&r));
    }
    write_cube();
    h5_put(path, "entry/bins/weight", H5T_NATIVE_DOUBLE, H5_SHAPE(N), weight);
    ck_assert_int_eq(fit(NULL), XANI_OK);
    ck_assert_str_eq(weights_from(), "bins");
    simulate(NULL);
    for (int i = 0; i < N; i += 3)
        for (int p = 0; p < 5; p++) errors[i][p] = p % 2 ? 1e6 : 0.0;
    write_cube();
    ck_assert_int_eq(fit(NULL), XANI_OK);
    double *n = numbers("/entry/n_modes");
    for (int p = 5; p < P; p++) ck_assert_int_eq((int)n[p], 1);
    free(n);
}
END_TEST

START_TEST(test_pixels_without_errors)
{
    // A pixel none of whose errors is a number above 0 is masked, which is said; where that is so of all, errors come
    // from the residual, and the result says so.
    static const double bad[] = {0.0, NAN, INFINITY, -0.1};
    even_delays();
    simulate(NULL);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < N; i++) errors[i][k] = bad[k];
    for (int i = 0; i < N; i += 2) errors[i][4] = 0.0;
    write_cube();
    ck_assert_int_eq(fit(NULL), XANI_OK);
    double *status = numbers("/entry/fit_status"), *f = numbers("/entry/modes/frequency");
    for (int p = 0; p < P; p++) ck_assert_int_eq((int)status[p], p < 4 ? 2 : 0);
    ck_assert(isnan(f[0]) && !isnan(f[4]));
    ck_assert_ptr_nonnull(strstr(logged, "fit_status 2"));
    free(status);
    free(f);
    for (int i = 0; i < N; i++)
        for (int p = 0; p < P; p++) errors[i][p] = bad[p % 4];
    write_cube();
    good();
    double *chi2 = numbers("/entry/chi2_reduced");
    ck_assert_double_lt(chi2[0], 0.01); // a variance, not a ratio to one
    free(chi2);
}
END_TEST

// The field's pair of cubes, scan_var as `delay`; N delays used of all.
static int field_cubes(const char *config, const char *const *keys)
{
    static const char *const on = "scratch-fit_input/run0042_on.h5", *const off = "scratch-fit_input/run0042_off.h5";
    static double sums[2][N][P], count[N];
    xani_config *c = NULL;
    even_delays();
    simulate(NULL);
    for (int i = 0; i < N; i++) {
        count[i] = 100.0;
        for (int p = 0; p < P; p++) sums[0][i][p] = 1e4 * (1.0 + signal_[i][p]), sums[1][i][p] = 1e4;
    }
    for (int k = 0; k < 2; k++) {
        h5_make(k ? off : on);
        h5_put(k ? off : on, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(N), delay);
        h5_put(k ? off : on, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(N, NY, NX), sums[k]);
        h5_put(k ? off : on, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(N), count);
        h5_put(k ? off : on, "bin_counts", H5T_NATIVE_DOUBLE, H5_SHAPE(N), count);
    }
    if (config != NULL) {
        FILE *f = fopen("scratch-fit_input/exp.yaml", "w");
        fputs(config, f);
        fclose(f);
        ck_assert_int_eq(xani_config_open(ctx, "scratch-fit_input/exp.yaml", &c), XANI_OK);
    } else {
        ck_assert_int_eq(xani_config_create(ctx, &c), XANI_OK);
    }
    for (; *keys != NULL; keys++)
        ck_assert_msg(xani_config_assign(ctx, c, *keys) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_msg(xani_fit(ctx, c, on, out) == XANI_OK, "%s", xani_error_text(ctx));
    xani_config_destroy(&c);
    double *n = numbers("/entry/fit/n_delays");
    const int used = (int)n[0];
    free(n);
    return used;
}

START_TEST(test_field_keys)
{
    // What was set over the file holds for the field's cubes too, whatever layout the configuration has; the input of
    // another layout is left aside.
    static const char *const none[] = {NULL}, *const zero[] = {"input.delay.sign=1", "input.delay.zero_ps=0.5", NULL};
    static const char *const counts[] = {"input.delay.zero_ps=1", "input.counts_per_photon=1", NULL};
    static const char raw[] = "input:\n  layout: swissfel\n  files: [no.h5]\n  frames: JF\n  i0: I\n  laser: daq_rec\n"
                              "  delay: {parts: [{source: S}], sign: 1, zero_ps: 2}\n";
    static const char cube[] = "input:\n  layout: cube\n  files: [no.h5]\n  delay: {sign: 1, zero_ps: 2}\n";
    ck_assert_int_eq(field_cubes(NULL, none), N);
    ck_assert_int_eq(field_cubes(NULL, zero), N - 5);
    ck_assert_int_eq(field_cubes(raw, none), N);
    ck_assert_int_eq(field_cubes(raw, zero), N - 5);
    ck_assert_int_eq(field_cubes(cube, none), N - 20);
    ck_assert_int_eq(field_cubes(cube, counts), N - 10);
    double *chi2 = numbers("/entry/chi2_reduced");
    ck_assert_double_gt(chi2[0], 0.1); // errors from counting
    free(chi2);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_contract);
    tcase_add_test(t, test_ranges);
    tcase_add_test(t, test_units);
    tcase_add_test(t, test_order);
    tcase_add_test(t, test_repeated);
    tcase_add_test(t, test_bad_delays);
    tcase_add_test(t, test_weights);
    tcase_add_test(t, test_broken_errors);
    tcase_add_test(t, test_pixels_without_errors);
    tcase_add_test(t, test_field_keys);
}
XN_TEST_MAIN("fit_input", add)
