// SPDX-License-Identifier: BSD-3-Clause
// test_reduce_statistics.c -- the ratio of sums is unbiased, its error is the spread, a null experiment has chi2 of 1.
//
// A delay bin is one experiment: its own shots, the same laser-off reference. Two thousand of them, a thousand pixels,
// go through the kernel that adds and the formulas that finish; so the spread over bins is what the errors must say.
#include "test.h"

#include "fake_source.h"
#include "reduce/internal.h"

enum { EXPERIMENTS = 2000, PIXELS = 1000 };

typedef struct runs {
    xn_cube cube;
    xn_pass pass;
} runs;

// Every shot's I0 fluctuates as 20 modes of the Gamma distribution do; the monitor is exact.
static void simulate(runs *r, int shots, double photons_per_shot, double off_counts, uint64_t seed)
{
    size_t all = (size_t)EXPERIMENTS * PIXELS;
    xn_cube *c = &r->cube;
    memset(r, 0, sizeof *r);
    c->nbins = EXPERIMENTS;
    c->ny = 1;
    c->nx = PIXELS;
    ck_assert_int_eq(xn_sums_alloc_bins(NULL, EXPERIMENTS, PIXELS, &c->on), XANI_OK);
    ck_assert_int_eq(xn_sums_alloc_bins(NULL, 1, PIXELS, &c->off), XANI_OK);
    c->on.s1 = xn_calloc(all, 8);
    c->on.s2 = xn_calloc(all, 8);
    c->on.x = xn_calloc(all, 8);
    c->off.s1 = xn_calloc(PIXELS, 8);
    c->signal = xn_alloc(all, 4);
    c->errors = xn_alloc(all, 4);
    const double scale = 0x1p20;
    xn_rng g;
    xn_rng_init(&g, seed, 0);
    c->off.i0_sum[0] = (int64_t)(off_counts / photons_per_shot * scale); // so many counts at I0 = 1 a shot
    for (int p = 0; p < PIXELS; p++) c->off.s1[p] = xn_rng_poisson(&g, off_counts) * 65536;
#pragma omp parallel for schedule(dynamic)
    for (int b = 0; b < EXPERIMENTS; b++) {
        xn_rng own;
        int64_t v[PIXELS], peak[PIXELS] = {0}, at = (int64_t)b * PIXELS;
        xn_rng_init(&own, seed, 1 + (uint64_t)b);
        for (int s = 0; s < shots; s++) {
            double i0 = xn_rng_gamma(&own, 20) / 20;
            int32_t q = xn_i0_fixed(i0, scale);
            for (int p = 0; p < PIXELS; p++) v[p] = xn_rng_poisson(&own, photons_per_shot * i0) * 65536;
            xn_reduce_kernels_find("auto")->bin(v, PIXELS, q, 8, c->on.s1 + at, c->on.s2 + at, c->on.x + at, peak);
            c->on.i0_sum[b] += q;
            c->on.i0_sq_sum[b] += (int64_t)q * q;
            c->on.shots[b]++;
        }
    }
    r->pass = (xn_pass){.number = 1, .n = EXPERIMENTS, .s1 = c->on.s1, .s2 = c->on.s2, .x = c->on.x};
    ck_assert_int_eq(xn_finish_pass(NULL, &r->pass, 2, c), XANI_OK);
}

START_TEST(test_unbiased)
{
    // 3 photons in a bin of 10 shots, 100,000 in the reference: the mean of R_on/R_off - 1 is 0 within 0.1 %. The mean
    // of ratios shot by shot would be off by some percent: the reference of one shot stands in a denominator there.
    runs r;
    simulate(&r, 10, 0.3, 1e5, 51);
    double mean = 0;
    for (size_t i = 0; i < (size_t)EXPERIMENTS * PIXELS; i++) mean += (double)r.cube.signal[i];
    mean /= (double)EXPERIMENTS * PIXELS;
    ck_assert_msg(fabs(mean) < 1e-3, "mean %g", mean);
    xn_cube_free(&r.cube);
}
END_TEST

static const struct {
    int shots;
    double photons;
} levels[] = {{40, 0.5}, {40, 3}, {25, 20}};

START_TEST(test_variance)
{
    // The mean of the squared errors over pixels equals the mean over pixels of the spread of 2,000 experiments within
    // 1 %: counting noise alone, and where the fluctuation of I0 would dominate if it were not divided out.
    runs r;
    simulate(&r, levels[_i].shots, levels[_i].photons, 1e7, 52 + (uint64_t)_i);
    double spread = 0, said = 0;
    for (int p = 0; p < PIXELS; p++) {
        double sum = 0, squares = 0;
        for (int b = 0; b < EXPERIMENTS; b++) {
            double y = (double)r.cube.signal[(int64_t)b * PIXELS + p],
                   e = (double)r.cube.errors[(int64_t)b * PIXELS + p];
            sum += y;
            squares += y * y;
            said += e * e / EXPERIMENTS;
        }
        spread += (squares - sum * sum / EXPERIMENTS) / (EXPERIMENTS - 1);
    }
    ck_assert_msg(fabs(said / spread - 1) < 0.01, "errors^2 %g, spread %g, ratio %g", said / PIXELS, spread / PIXELS,
                  said / spread);
    double counting = 1 / (levels[_i].shots * levels[_i].photons);
    ck_assert_double_gt(spread / PIXELS, 0.9 * counting);
    ck_assert_double_lt(spread / PIXELS, 1.2 * counting);
    xn_cube_free(&r.cube);
}
END_TEST

START_TEST(test_few_photons)
{
    // Three photons in a bin: one bin in twenty sees none. Its error is that of the three that were expected, so that
    // it does not outweigh all others.
    runs r;
    simulate(&r, 40, 3.0 / 40, 1e5, 61);
    double chi2 = 0;
    int64_t empty = 0, all = (int64_t)EXPERIMENTS * PIXELS;
    for (int64_t i = 0; i < all; i++) {
        const double y = (double)r.cube.signal[i], e = (double)r.cube.errors[i];
        chi2 += y * y / (e * e);
        if (r.cube.on.s1[i] != 0) continue;
        empty++;
        ck_assert_double_eq_tol(y, -1, 1e-6);
        ck_assert_double_eq_tol(e, sqrt(1.0 / 3), 0.3); // I0 of 40 shots fluctuates
    }
    ck_assert_int_gt(empty, all / 40);
    ck_assert_msg(chi2 / (double)all < 1.5, "chi2 %g", chi2 / (double)all);
    xn_cube_free(&r.cube);
}
END_TEST

static const char *const modes[] = {"{mode: all}", "{mode: blocks, block_shots: 1500}",
                                    "{mode: nearest, block_shots: 400}"};

START_TEST(test_null)
{
    // Nothing changes with the laser: chi2 per degree of freedom of all traces about 0 is 1 within 0.02 (frames of
    // JUNGFRAU words through the whole stage, each way to take the reference).
    fake f;
    xn_cube c;
    xn_config *config = NULL;
    xn_ctx *ctx;
    heard said = {""};
    char yaml[256];
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, fake_log, &said);
    fake_make(&f, 9000, NULL, NULL, 55);
    snprintf(yaml, sizeof yaml, "reduce: {delay_bins_ps: {start: -1, stop: 3, step: 0.1}, spatial_bin: 1, off: %s}\n",
             modes[_i]);
    ck_assert_int_eq(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config), XANI_OK);
    xn_source source = f.source;
    fake_shots_copy(&f, &source.shots);
    ck_assert_msg(xn_reduce(ctx, config, &source, &c) == XANI_OK, "%s", xani_error_text(ctx));
    double chi2 = 0;
    int64_t n = 0, npix = c.ny * c.nx;
    for (int64_t p = 0; p < npix; p++) {
        // the reference's own error is common to all bins of a pixel: the mean is taken out, with one degree of freedom
        double w = 0, wy = 0;
        int bins = 0;
        for (int b = 0; b < c.nbins; b++) {
            double y = (double)c.signal[b * npix + p], e = (double)c.errors[b * npix + p];
            if (isfinite(y) && e > 0) w += 1 / (e * e), wy += y / (e * e), bins++;
        }
        for (int b = 0; b < c.nbins && bins > 1; b++) {
            double y = (double)c.signal[b * npix + p], e = (double)c.errors[b * npix + p];
            if (isfinite(y) && e > 0) chi2 += (y - wy / w) * (y - wy / w) / (e * e);
        }
        n += bins > 1 ? bins - 1 : 0;
    }
    ck_assert_int_gt(n, 20000);
    // errors from m shots of a bin are themselves uncertain: chi2 of Student's t is (m - 1)/(m - 3)
    double m = 0;
    for (int b = 0; b < c.nbins; b++) m += (double)c.on.shots[b] / c.nbins;
    double expected = (m - 1) / (m - 3);
    ck_assert_msg(fabs(chi2 / (double)n - expected) < 0.02, "chi2 %g, expected %g", chi2 / (double)n, expected);
    ck_assert_double_lt(fabs(expected - 1), 0.02);
    xn_cube_free(&c);
    xani_config_destroy(&config);
    xani_destroy(&ctx);
    fake_free(&f);
}
END_TEST

static void add(TCase *t)
{
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_unbiased);
    tcase_add_loop_test(t, test_variance, 0, (int)(sizeof levels / sizeof levels[0]));
    tcase_add_test(t, test_few_photons);
    tcase_add_loop_test(t, test_null, 0, 3);
}
XN_TEST_MAIN("reduce statistics", add)
