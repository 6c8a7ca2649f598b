// SPDX-License-Identifier: BSD-3-Clause
// test_rng.c -- random numbers: reference values, independence of order, moments.
//
// Seeds are fixed, so the sampling errors are too; a moment must lie within 5 standard errors.
#include "test.h"

#include "core/rng.h"

enum { N = 200000 };

START_TEST(test_reference)
{
    // Philox4x32-10 with zero counter and key gives the published vector (Random123, kat_vectors).
    xn_rng r;
    xn_rng_init(&r, 0, 0);
    static const uint32_t want[4] = {0x9b00dbd8, 0xbc57ac4c, 0xe169c58d, 0x6627e8d5}; // words are handed out last first
    for (int i = 0; i < 4; i++) ck_assert_uint_eq(xn_rng_u32(&r), want[i]);
}
END_TEST

START_TEST(test_streams)
{
    // A stream is a function of seed and number only; different seeds and numbers give different ones.
    xn_rng a, b, c, d;
    xn_rng_init(&a, 5, 9);
    xn_rng_init(&b, 5, 9);
    xn_rng_init(&c, 5, 10);
    xn_rng_init(&d, 6, 9);
    int same_c = 0, same_d = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t x = xn_rng_u32(&a);
        ck_assert_uint_eq(x, xn_rng_u32(&b));
        same_c += x == xn_rng_u32(&c);
        same_d += x == xn_rng_u32(&d);
    }
    ck_assert_int_le(same_c, 1);
    ck_assert_int_le(same_d, 1);
}
END_TEST

// Mean and variance of N draws against theirs; kurtosis: excess kurtosis of the distribution.
static void check_moments(const char *what, const double *x, double mean, double variance, double kurtosis)
{
    double m = 0, v = 0;
    for (int i = 0; i < N; i++) m += x[i] / N;
    for (int i = 0; i < N; i++) v += (x[i] - m) * (x[i] - m) / (N - 1);
    double mean_error = sqrt(variance / N), variance_error = variance * sqrt((2.0 + kurtosis) / N);
    ck_assert_msg(fabs(m - mean) < 5 * mean_error, "%s: mean %g, not %g +- %g", what, m, mean, mean_error);
    ck_assert_msg(fabs(v - variance) < 5 * variance_error, "%s: variance %g, not %g +- %g", what, v, variance,
                  variance_error);
}

START_TEST(test_moments)
{
    // Uniform, normal, gamma and Poisson draws have the mean and variance of their distributions.
    static double x[N];
    static const double shapes[] = {0.3, 1.0, 4.0, 30.0}, means[] = {0.01, 0.7, 9.9, 10.1, 60.0, 4000.0};
    char what[64];
    xn_rng r;
    xn_rng_init(&r, 1, 1);
    for (int i = 0; i < N; i++) {
        x[i] = xn_rng_uniform(&r);
        ck_assert(x[i] >= 0.0 && x[i] < 1.0);
    }
    check_moments("uniform", x, 0.5, 1.0 / 12.0, -1.2);
    for (int i = 0; i < N; i++) x[i] = xn_rng_normal(&r);
    check_moments("normal", x, 0.0, 1.0, 0.0);
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        for (int i = 0; i < N; i++) x[i] = xn_rng_gamma(&r, shapes[k]);
        snprintf(what, sizeof what, "gamma of shape %g", shapes[k]);
        check_moments(what, x, shapes[k], shapes[k], 6.0 / shapes[k]);
    }
    for (size_t k = 0; k < sizeof means / sizeof means[0]; k++) {
        for (int i = 0; i < N; i++) x[i] = (double)xn_rng_poisson(&r, means[k]);
        snprintf(what, sizeof what, "Poisson of mean %g", means[k]);
        check_moments(what, x, means[k], means[k], 1.0 / means[k]);
    }
    ck_assert_int_eq(xn_rng_poisson(&r, 0.0), 0);
    ck_assert_int_eq(xn_rng_poisson(&r, -1.0), 0);
    ck_assert_int_eq(xn_rng_poisson(&r, NAN), 0);
}
END_TEST

// Pearson's chi2 of Poisson counts against their probabilities; bins with less than 20 expected are joined.
static double poisson_chi2(double mean, int *bins)
{
    enum { LARGEST = 200 };
    static int64_t count[LARGEST];
    memset(count, 0, sizeof count);
    xn_rng r;
    xn_rng_init(&r, 2, (uint64_t)(1000 * mean));
    for (int i = 0; i < N; i++) {
        int64_t k = xn_rng_poisson(&r, mean);
        count[k < LARGEST ? k : LARGEST - 1]++;
    }
    double chi2 = 0, expected = 0, seen = 0;
    *bins = 0;
    for (int k = 0; k < LARGEST; k++) {
        expected += N * exp(k * log(mean) - mean - lgamma(k + 1.0));
        seen += (double)count[k];
        if (expected < 20.0) continue;
        chi2 += (seen - expected) * (seen - expected) / expected;
        expected = seen = 0;
        ++*bins;
    }
    return chi2;
}

START_TEST(test_poisson_shape)
{
    // Counts follow the Poisson law itself, on both sides of the change of method at 10.
    static const double means[] = {1.5, 9.5, 10.5, 40.0};
    for (size_t k = 0; k < sizeof means / sizeof means[0]; k++) {
        int bins;
        double chi2 = poisson_chi2(means[k], &bins);
        ck_assert_int_gt(bins, 5);
        ck_assert_msg(chi2 < bins + 5.0 * sqrt(2.0 * bins), "mean %g: chi2 %g in %d bins", means[k], chi2, bins);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_reference);
    tcase_add_test(t, test_streams);
    tcase_add_test(t, test_moments);
    tcase_add_test(t, test_poisson_shape);
}
XN_TEST_MAIN("rng", add)
