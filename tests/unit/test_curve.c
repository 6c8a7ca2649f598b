// SPDX-License-Identifier: BSD-3-Clause
// test_curve.c -- a monitor that is not linear is noticed, and corrected so that the ratio of sums is unbiased whatever
// the intensities of a bin; a linear one raises no alarm.
#include "no_memory.h"
#include "test.h"

#include "fake_source.h"
#include "reduce/internal.h"

static xn_ctx *ctx;
static char said[16384];

static void on_log(void *user, xani_log_level level, const char *text) // all of it, unlike fake_log
{
    (void)user;
    (void)fake_log;
    size_t n = strlen(said);
    snprintf(said + n, sizeof said - n, "%d %s\n", level, text);
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    said[0] = '\0';
    xani_set_log(ctx, on_log, NULL);
}
static void tear_down(void) { xani_destroy(&ctx); }

static double reading(double w, double bend, double noise, xn_rng *r)
{
    return 3.5 * w * (1 + bend * (w - 1)) * (1 + noise * xn_rng_normal(r));
}

// n laser-off shots of `modes` modes with 1e5 photons on average.
static void make(int64_t n, double modes, double bend, double noise, uint64_t seed, xn_shots *s, double **photons)
{
    xn_rng r;
    xn_rng_init(&r, seed, 3);
    ck_assert_int_eq(xn_shots_alloc(ctx, n, 0, s), XANI_OK);
    ck_assert_int_eq(xn_shots_column(ctx, XN_COLUMN_PHOTONS, s, photons), XANI_OK);
    for (int64_t i = 0; i < n; i++) {
        double w = xn_rng_gamma(&r, modes) / modes;
        s->laser[i] = XN_LASER_OFF;
        s->bin[i] = -1;
        s->i0[i] = reading(w, bend, noise, &r);
        (*photons)[i] = (double)xn_rng_poisson(&r, 1e5 * w);
    }
}

static double curve(const double c[3], double x) { return c[0] + x * (c[1] + x * c[2]); }

START_TEST(test_unbiased)
{
    // Ratio of sums of the brightest and of the dimmest third against all: with the curve it is 1 within 4 standard
    // errors, without it is wrong by more than 15 of them; I0 keeps its mean. 2 % of the shots are spoiled.
    static const struct {
        double modes, bend, noise;
    } cases[] = {{20, 0.05, 0.01}, {20, -0.05, 0.01}, {4, 0.03, 0.01}, {200, 0.1, 0.002}, {50, 0, 0.1}};
    double modes = cases[_i].modes, noise = cases[_i].noise;
    xn_shots s;
    double *photons, c[3];
    make(6000, modes, cases[_i].bend, noise, 11, &s, &photons);
    for (int64_t i = 0; i < 6000; i += 50) photons[i] *= i % 100 ? 3 : 0.1;
    ck_assert_msg(xn_curve_fit(ctx, &s, photons, c) == XANI_OK, "%s", xani_error_text(ctx));
    double mean = 0, kept = 0;
    for (int64_t i = 0; i < 6000; i++) {
        mean += s.i0[i] / 6000;
        kept += curve(c, s.i0[i]) / 6000;
    }
    ck_assert_double_eq_tol(kept, mean, 1e-9 * mean);
    xn_shots_free(&s);
    // other shots than those the curve was fitted to
    make(60000, modes, cases[_i].bend, noise, 12, &s, &photons);
    double sorted[60000], p[3] = {0}, x[3] = {0}, f[3] = {0};
    memcpy(sorted, s.i0, sizeof sorted);
    qsort(sorted, 60000, sizeof *sorted, xn_double_compare);
    for (int64_t i = 0; i < 60000; i++) {
        int third = s.i0[i] < sorted[20000] ? 0 : s.i0[i] < sorted[40000] ? 1 : 2;
        p[third] += photons[i];
        x[third] += s.i0[i];
        f[third] += curve(c, s.i0[i]);
    }
    double all_x = (p[0] + p[1] + p[2]) / (x[0] + x[1] + x[2]), all_f = (p[0] + p[1] + p[2]) / (f[0] + f[1] + f[2]);
    double sigma = noise / sqrt(2000); // of a third of the shots that the curve is from
    for (int third = 0; third < 3; third += 2) {
        double with = p[third] / f[third] / all_f - 1, without = p[third] / x[third] / all_x - 1;
        ck_assert_msg(fabs(with) < 4 * sigma, "third %d: %g, sigma %g", third, with, sigma);
        ck_assert_msg(fabs(without) > 15 * sigma, "third %d without: %g, sigma %g", third, without, sigma);
    }
    xn_shots_free(&s);
}
END_TEST

static bool alarm_of(double modes, double bend, double noise, uint64_t seed)
{
    double *photons;
    xn_cube c = {0};
    make(1500, modes, bend, noise, seed, &c.shots, &photons);
    said[0] = '\0';
    ck_assert_int_eq(xn_curve_check(ctx, &c), XANI_OK);
    ck_assert_ptr_nonnull(strstr(said, "I0 against photons of 1500 laser-off shots"));
    xn_shots_free(&c.shots);
    return strstr(said, "I0 is not in proportion") != NULL;
}

START_TEST(test_alarms)
{
    // Monitors that bend by 2 % raise the alarm in each of 40 runs; linear ones, noisy or not, in none of 120.
    for (uint64_t seed = 0; seed < 40; seed++) {
        ck_assert(alarm_of(20, 0.02, 0.01, 100 + seed));
        ck_assert(alarm_of(20, -0.03, 0.01, 200 + seed));
        ck_assert(!alarm_of(20, 0, 0.01, 300 + seed));
        ck_assert(!alarm_of(50, 0, 0.05, 400 + seed));
        ck_assert(!alarm_of(4, 0, 0.01, 500 + seed));
    }
}
END_TEST

START_TEST(test_noisy_monitor)
{
    // A linear monitor whose noise is half of the spread of I0, equal to it or larger tilts the line by what its noise
    // explains: no alarm in 20 runs of 5000 shots each; one that bends as well does raise it.
    static const struct {
        double modes, noise;
    } cases[] = {{25, 0.1}, {25, 0.2}, {50, 0.2}, {10, 0.1}, {100, 0.05}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            double *photons;
            xn_cube c = {0};
            make(5000, cases[k].modes, 0, cases[k].noise, 900 + seed, &c.shots, &photons);
            said[0] = '\0';
            ck_assert_int_eq(xn_curve_check(ctx, &c), XANI_OK);
            ck_assert_msg(strstr(said, "I0 is not in proportion") == NULL, "case %zu seed %d: %s", k, (int)seed, said);
            xn_shots_free(&c.shots);
        }
    ck_assert(alarm_of(25, 0.3, 0.05, 1) && alarm_of(25, -0.2, 0.02, 1));
}
END_TEST

typedef enum { CLIPPED, CUT, COARSE, TWO_BEAMS, OPEN } range;

static bool saturates(range r, double noise, uint64_t seed)
{
    double *photons;
    xn_cube c = {0};
    xn_rng g;
    xn_rng_init(&g, seed, 4);
    make(5000, 25, 0, noise, seed, &c.shots, &photons);
    for (int64_t i = 0; i < 5000; i++) {
        double w = c.shots.i0[i] / 3.5;
        if (r == CLIPPED) w = fmin(w, 1.25) * (1 + 0.003 * xn_rng_normal(&g));
        if (r == CUT && w > 1.1) c.shots.verdict[i] = XN_CUT_I0;
        if (r == COARSE) w = 0.2 * rint(w / 0.2);
        if (r == TWO_BEAMS) {
            w = (i % 3 ? 1 : 0.5) * (1 + 0.002 * xn_rng_normal(&g));
            photons[i] = (double)xn_rng_poisson(&g, 1e5 * w);
        }
        c.shots.i0[i] = 3.5 * w;
    }
    said[0] = '\0';
    ck_assert_int_eq(xn_curve_check(ctx, &c), XANI_OK);
    xn_shots_free(&c.shots);
    return strstr(said, "I0 saturates") != NULL;
}

START_TEST(test_saturated)
{
    // A monitor at the end of its range in a tenth of the shots is told in each of 10 runs, with the window that leaves
    // them out; a window's cut, coarse steps, a beam of two intensities, or nothing of it, never.
    for (uint64_t seed = 0; seed < 10; seed++) {
        for (range r = CUT; r <= OPEN; r++)
            for (int noisy = 0; noisy < 2; noisy++)
                ck_assert_msg(!saturates(r, noisy ? 0.1 : 0.005, seed), "%d, seed %d: %s", (int)r, (int)seed, said);
        ck_assert(saturates(CLIPPED, 0.005, seed));
        const char *most = strstr(said, "select.i0: {max: ");
        ck_assert_ptr_nonnull(most);
        double at = strtod(most + 17, NULL) / 3.5;
        ck_assert_msg(at > 1.2 && at < 1.245, "max %g", at);
    }
}
END_TEST

static double none(void *user, double delay_ps, int64_t pixel, int64_t shot)
{
    (void)user;
    (void)delay_ps;
    (void)pixel;
    (void)shot;
    return 0;
}

#define YAML "reduce: {delay_bins_ps: {start: -1, stop: 3, step: 1}}\n"

// Mean signal of each bin and its error; the bins of even number have the bright laser-on shots only, the others the
// dim ones. No shot has a real change.
static void reduced(const char *yaml, double mean[4], double error[4], xn_cube *c)
{
    fake f;
    fake_make(&f, 3000, none, NULL, 21);
    xn_shots *s = &f.source.shots;
    xn_rng r;
    xn_rng_init(&r, 4, 4);
    for (int64_t i = 0; i < s->n; i++) {
        double w = s->i0[i] / 3.5;
        s->i0[i] = reading(w, 0.1, 0.003, &r);
        bool even = (int64_t)floor(s->delay_ps[i] + 1) % 2 == 0;
        if (s->laser[i] == XN_LASER_ON && even != (w > 1)) s->verdict[i] = XN_CUT_BAD_FRAME;
    }
    xn_config *config = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config), XANI_OK);
    said[0] = '\0';
    xani_status st = xn_reduce(ctx, config, &f.source, c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    for (int b = 0; b < 4; b++) {
        double w = 0, sum = 0;
        for (int64_t p = 0; p < c->ny * c->nx; p++) {
            double e = c->errors[b * c->ny * c->nx + p];
            if (c->mask[p] != 0 || !(e > 0)) continue;
            w += 1 / (e * e);
            sum += c->signal[b * c->ny * c->nx + p] / (e * e);
        }
        mean[b] = sum / w;
        error[b] = 1.5 / sqrt(w); // the reference is common to all
    }
    xani_config_destroy(&config);
    fake_free(&f);
}

START_TEST(test_through_reduce)
{
    // Bright and dim bins without a real change: false signals of opposite sign and a warning without correction; none
    // with it, found from the laser-off shots or given. The cut-flow has its row, the readings are kept.
    double mean[4], error[4];
    xn_cube c;
    reduced(YAML, mean, error, &c);
    ck_assert_ptr_nonnull(strstr(said, "I0 is not in proportion to the photons"));
    for (int b = 0; b < 4; b++)
        ck_assert_msg((b % 2 ? mean[b] : -mean[b]) > 6 * error[b], "bin %d: %g +- %g", b, mean[b], error[b]);
    xn_cube_free(&c);

    reduced(YAML "select: {i0_correction: {auto: off}}\n", mean, error, &c);
    ck_assert_ptr_null(strstr(said, "I0 is not in proportion"));
    for (int b = 0; b < 4; b++) ck_assert_msg(fabs(mean[b]) < 4 * error[b], "bin %d: %g +- %g", b, mean[b], error[b]);
    ck_assert_str_eq(c.cutflow.name[c.cutflow.n - 1], "I0 correction");
    const double *before = xn_shots_find(&c.shots, XN_COLUMN_I0), *photons = xn_shots_find(&c.shots, XN_COLUMN_PHOTONS);
    ck_assert(before != NULL && photons != NULL);
    double coefficients[3];
    const char *found = strstr(said, "coefficients: [");
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(sscanf(found, "coefficients: [%lf, %lf, %lf]", coefficients, coefficients + 1, coefficients + 2),
                     3);
    for (int64_t i = 0; i < c.shots.n; i++) {
        ck_assert_double_eq_tol(c.shots.i0[i], curve(coefficients, before[i]), 1e-6 * before[i]);
        ck_assert_int_eq(isfinite(photons[i]), c.shots.verdict[i] == XN_CUT_NONE);
    }
    xn_cube_free(&c);

    char yaml[512];
    snprintf(yaml, sizeof yaml, YAML "select: {i0_correction: {coefficients: [%.12g, %.12g, %.12g]}}\n",
             coefficients[0], coefficients[1], coefficients[2]);
    double given[4];
    reduced(yaml, given, error, &c);
    for (int b = 0; b < 4; b++) ck_assert_double_eq_tol(given[b], mean[b], 1e-5);
    xn_cube_free(&c);
}
END_TEST

START_TEST(test_photons_of_each_shot)
{
    // The column frame/photons is the sum over good pixels of each used shot, in one pass and in several, with one
    // reference and with blocks.
    static const char *const more[] = {"", "engine: {memory_gib: 0.00028}\n",
                                       "  off: {mode: blocks, block_shots: 60}\n"};
    for (int k = 0; k < 3; k++) {
        fake f;
        fake_make(&f, 400, none, NULL, 22);
        char yaml[512];
        snprintf(yaml, sizeof yaml, "reduce:\n  delay_bins_ps: {start: -1, stop: 3, step: 0.25}\n%s", more[k]);
        xn_config *config = NULL;
        ck_assert_int_eq(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config), XANI_OK);
        xn_cube c;
        said[0] = '\0';
        xani_status st = xn_reduce_batched(ctx, config, &f.source, NULL, 8, &c);
        ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_int_eq(strstr(said, "passes") != NULL, k == 1);
        const double *photons = xn_shots_find(&c.shots, XN_COLUMN_PHOTONS);
        for (int64_t i = 0; i < c.shots.n; i++) {
            double sum = 0;
            for (int64_t p = 0; p < f.slab; p++) sum += f.photons[c.shots.frame[i] * f.slab + p];
            if (c.shots.verdict[i] == XN_CUT_NONE)
                ck_assert_double_eq_tol(photons[i], sum, 1e-3);
            else
                ck_assert(isnan(photons[i]));
        }
        xn_cube_free(&c);
        xani_config_destroy(&config);
        fake_free(&f);
    }
}
END_TEST

START_TEST(test_refusals)
{
    // Too few laser-off shots, all of one intensity, a curve that leaves nothing: said, not guessed.
    xn_shots s;
    double *photons, c[3];
    make(29, 20, 0, 0.01, 1, &s, &photons);
    ck_assert_int_eq(xn_curve_fit(ctx, &s, photons, c), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "29 laser-off shots are too few"));
    xn_shots_free(&s);
    xn_clear_error(ctx);
    make(100, 20, 0, 0.01, 1, &s, &photons);
    for (int i = 0; i < 100; i++) s.i0[i] = 2;
    ck_assert_int_eq(xn_curve_fit(ctx, &s, photons, c), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "do not vary enough"));
    xn_shots_free(&s);
    xn_clear_error(ctx);
    xn_cube cube = {0};
    make(100, 20, 0, 0.01, 1, &cube.shots, &photons);
    ck_assert_int_eq(xn_cutflow_add(ctx, &cube.cutflow, "seen", 0, 100, 0), XANI_OK);
    ck_assert_int_eq(xn_curve_apply(ctx, (double[]){-100, 1}, 2, &cube), XANI_ERR_INPUT);
    xn_cube_free(&cube);
}
END_TEST

START_TEST(test_memory)
{
    fake f;
    fake_make(&f, 200, none, NULL, 23);
    xn_config *config = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, YAML "select: {i0_correction: {auto: off}}\nengine: {threads: 1}\n",
                                     "exp.yaml", ".", &config),
                     XANI_OK);
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_source source = f.source;
        fake_shots_copy(&f, &source.shots);
        xn_cube c;
        no_memory_begin(&n);
        xani_status st = xn_reduce(ctx, config, &source, &c);
        no_memory_end();
        if (st != XANI_OK) ck_assert(n.reached && st == XANI_ERR_MEMORY);
        if (st == XANI_OK) xn_cube_free(&c);
        xn_shots_free(&source.shots);
        xn_clear_error(ctx);
    }
    ck_assert_uint_gt(n.at, 20);
    xani_config_destroy(&config);
    fake_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_unbiased, 0, 5);
    tcase_add_test(t, test_alarms);
    tcase_add_test(t, test_noisy_monitor);
    tcase_add_test(t, test_saturated);
    tcase_add_test(t, test_through_reduce);
    tcase_add_test(t, test_photons_of_each_shot);
    tcase_add_test(t, test_refusals);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("I0 curve", add)
