// SPDX-License-Identifier: BSD-3-Clause
// test_calibration_kernels.c -- fixed gain, ePix10ka and linear rows: every variant gives the bits of the formulas.
#include "test.h"

#include "core/rng.h"
#include "kernel/reduce_kernels.h"

enum { N = 517 };

static const char *const variants[] = {"scalar", "avx2", "avx512"};

static const xn_reduce_kernels *variant(int i)
{
    const xn_reduce_kernels *k = xn_reduce_kernels_find(variants[i]);
    if (k == NULL) xn_skip("this processor lacks a variant of reduce's kernels");
    return k;
}

typedef struct planes {
    float p[2][N], f[2][N];
    const float *pedestal[2], *factor[2];
} planes;

// Every 37th pixel is masked; every 41st has no calibration in the second stage.
static void fill(xn_rng *r, planes *c)
{
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < N; i++) {
            c->p[s][i] = (float)((s ? 5000 : 2900) + 40 * xn_rng_normal(r));
            c->f[s][i] = XN_CALIB_ONE / (float)((s ? 0.164 : 16.4) * 9.5 * (1 + 0.02 * xn_rng_normal(r)));
            if (i % 37 == 5) c->p[s][i] = c->f[s][i] = 0.0f;
            if (i % 41 == 7 && s > 0) c->f[s][i] = XN_CALIB_LIMIT, c->p[s][i] = -1;
        }
        c->pedestal[s] = c->p[s];
        c->factor[s] = c->f[s];
    }
}

START_TEST(test_formulas)
{
    // By hand: every state of the words, the ends of the range, masked pixels.
    const float p[2] = {3000, 5000}, f[2] = {655.36f, 65536.0f}, none[2] = {0, 1};
    ck_assert_int_eq(xn_calib_epix10ka(3100, p, f), 65536);
    ck_assert_int_eq(xn_calib_epix10ka(0x8000 | 3100, p, f), 65536);         // the top bit says nothing
    ck_assert_int_eq(xn_calib_epix10ka(0x4000 | 5003, p, f), 3 * 65536);     // switched
    ck_assert_int_eq(xn_calib_epix10ka(0x3fff, p, f), XN_CALIB_BAD);         // full
    ck_assert_int_eq(xn_calib_epix10ka(0x7fff, p, f), XN_CALIB_BAD);         // full, switched
    ck_assert_int_eq(xn_calib_epix10ka(0x4000 | 16000, p, f), XN_CALIB_BAD); // beyond the range of photons
    ck_assert_int_eq(xn_calib_epix10ka(0x3fff, p, none), 0);
    ck_assert_int_eq(xn_calib_fixed_gain(3100, 0, 3000, 655.36f), 65536);
    ck_assert_int_eq(xn_calib_fixed_gain(1u << 14 | 14400, 1, 14500, -6553.6f), 655360);
    ck_assert_int_eq(xn_calib_fixed_gain(3u << 14 | 13000, 3, 14000, -65536.0f), 65536000);
    ck_assert_int_eq(xn_calib_fixed_gain(1u << 14 | 3100, 0, 3000, 655.36f), XN_CALIB_BAD); // another stage
    ck_assert_int_eq(xn_calib_fixed_gain(3100, 3, 14000, -65536.0f), XN_CALIB_BAD);
    ck_assert_int_eq(xn_calib_fixed_gain(2u << 14 | 3100, 1, 3000, 655.36f), XN_CALIB_BAD); // no such stage
    ck_assert_int_eq(xn_calib_fixed_gain(0x3fff, 0, 3000, 655.36f), XN_CALIB_BAD);          // full
    ck_assert_int_eq(xn_calib_fixed_gain(0xc000, 3, 14000, -6553.6f), XN_CALIB_BAD);
    ck_assert_int_eq(xn_calib_fixed_gain(0x4000, 1, 14000, -6553.6f), XN_CALIB_BAD);
    ck_assert_int_eq(xn_calib_fixed_gain(0xc000, 3, 14000, 0), 0);
    ck_assert_int_eq(xn_calib_linear(110, 10, 655.36f, INFINITY), 65536);
    ck_assert_int_eq(xn_calib_linear(65535, 10, 1, 65535), XN_CALIB_BAD);
    ck_assert_int_eq(xn_calib_linear(65534, 10, 1, 65535), 65524);
    ck_assert_int_eq(xn_calib_linear(NAN, 10, 1, INFINITY), XN_CALIB_BAD);
    ck_assert_int_eq(xn_calib_linear(NAN, 10, 0, INFINITY), 0);
    ck_assert_int_eq(xn_calib_linear_f64(1e12, 10, 1, INFINITY), XN_CALIB_BAD);
}
END_TEST

START_TEST(test_words)
{
    // Random words of every kind: the bits of the one-pixel formula, and `bad` exactly when a pixel has no number.
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    static const unsigned codes[] = {0, 1, 3};
    xn_rng r;
    xn_rng_init(&r, 4, 0);
    planes c;
    uint16_t w[N];
    fill(&r, &c);
    for (int round = 0; round < 60; round++) {
        int32_t threshold = round % 2 ? 40000 : 0, n = N - round, epix[N], gain[N], e_epix[N], e_gain[N];
        unsigned code = codes[round % 3];
        bool bad_epix = false, bad_gain = false;
        for (int i = 0; i < n; i++) {
            w[i] = round < 30 ? (uint16_t)(code << 14 | (2900 + xn_rng_u32(&r) % 400)) : (uint16_t)xn_rng_u32(&r);
            float p[2] = {c.p[0][i], c.p[1][i]}, f[2] = {c.f[0][i], c.f[1][i]};
            int32_t q = xn_calib_epix10ka(w[i], p, f), g = xn_calib_fixed_gain(w[i], code, p[0], f[0]);
            bad_epix |= q == XN_CALIB_BAD;
            bad_gain |= g == XN_CALIB_BAD;
            epix[i] = gain[i] = i - 7;
            e_epix[i] = i - 7 + xn_calib_threshold(q, threshold);
            e_gain[i] = i - 7 + xn_calib_threshold(g, threshold);
        }
        ck_assert_int_eq(k->epix10ka(w, c.pedestal, c.factor, n, threshold, epix), bad_epix);
        ck_assert_int_eq(k->fixed_gain(w, code, c.p[0], c.f[0], n, threshold, gain), bad_gain);
        ck_assert_mem_eq(epix, e_epix, (size_t)n * sizeof *epix);
        ck_assert_mem_eq(gain, e_gain, (size_t)n * sizeof *gain);
    }
}
END_TEST

#define LINEAR(type, T, value, formula, real)                                                                          \
    do {                                                                                                               \
        static T v[N];                                                                                                 \
        int32_t col[N], expected[N];                                                                                   \
        bool bad = false;                                                                                              \
        for (int i = 0; i < N; i++) {                                                                                  \
            v[i] = (T)(value);                                                                                         \
            int32_t q = formula((real)v[i], (real)c.p[0][i], (real)c.f[0][i], (real)full);                             \
            bad |= q == XN_CALIB_BAD;                                                                                  \
            col[i] = 3 - i;                                                                                            \
            expected[i] = 3 - i + xn_calib_threshold(q, threshold);                                                    \
        }                                                                                                              \
        ck_assert_int_eq(k->linear(v, type, c.p[0], c.f[0], full, N, threshold, col), bad);                            \
        ck_assert_mem_eq(col, expected, sizeof col);                                                                   \
    } while (0)

START_TEST(test_linear)
{
    // Stored numbers of every type, saturated ones, NaN.
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 5, 0);
    planes c;
    fill(&r, &c);
    for (int round = 0; round < 4; round++) {
        int32_t threshold = round % 2 ? 40000 : 0;
        double full = round < 2 ? INFINITY : 3000;
        LINEAR(XN_F32, float, i % 61 == 3 ? NAN : 2800 + 400 * xn_rng_uniform(&r), xn_calib_linear, float);
        LINEAR(XN_F64, double, i % 61 == 3 ? NAN : 2800 + 400 * xn_rng_uniform(&r), xn_calib_linear_f64, double);
        LINEAR(XN_I8, int8_t, xn_rng_u32(&r), xn_calib_linear, float);
        LINEAR(XN_U8, uint8_t, xn_rng_u32(&r), xn_calib_linear, float);
        LINEAR(XN_I16, int16_t, xn_rng_u32(&r), xn_calib_linear, float);
        LINEAR(XN_U16, uint16_t, xn_rng_u32(&r), xn_calib_linear, float);
        LINEAR(XN_I32, int32_t, 2900 + xn_rng_u32(&r) % 300, xn_calib_linear_f64, double);
        LINEAR(XN_U32, uint32_t, xn_rng_u32(&r), xn_calib_linear_f64, double);
        LINEAR(XN_I64, int64_t, 2900 + xn_rng_u32(&r) % 300, xn_calib_linear_f64, double);
        LINEAR(XN_U64, uint64_t, 2900 + xn_rng_u32(&r) % 300, xn_calib_linear_f64, double);
    }
    int32_t q = 0;
    ck_assert(k->linear(&q, XN_STR, c.p[0], c.f[0], INFINITY, 1, 0, &q)); // never silently
}
END_TEST

START_TEST(test_add)
{
    // Photons that are in fixed point already are added as they are; what has no number is said.
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    int32_t q[N], col[N];
    for (int i = 0; i < N; i++) q[i] = (i - 200) * 1000, col[i] = i;
    ck_assert(!k->add(q, N, 0, col));
    for (int i = 0; i < N; i++) ck_assert_int_eq(col[i], i + q[i]);
    ck_assert(!k->add(q, N, 65536, col));
    for (int i = 0; i < N; i++) ck_assert_int_eq(col[i], i + q[i] + (q[i] < 65536 ? 0 : q[i]));
    q[N - 1] = XN_CALIB_BAD;
    ck_assert(k->add(q, N, 0, col));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_formulas);
    tcase_add_loop_test(t, test_words, 0, 3);
    tcase_add_loop_test(t, test_linear, 0, 3);
    tcase_add_loop_test(t, test_add, 0, 3);
}
XN_TEST_MAIN("calibration kernels", add)
