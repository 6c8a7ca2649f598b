// SPDX-License-Identifier: BSD-3-Clause
// test_reduce_kernels.c -- every variant of reduce's row kernels gives the bits of the one-pixel formulas.
#include "test.h"

#include "core/rng.h"
#include "kernel/bin.h"
#include "kernel/reduce_kernels.h"

enum { N = 517 }; // not a multiple of any vector

static const char *const variants[] = {"scalar", "avx2", "avx512"};

static const xn_reduce_kernels *variant(int i)
{
    const xn_reduce_kernels *k = xn_reduce_kernels_find(variants[i]);
    if (k == NULL) xn_skip("this processor lacks a variant of reduce's kernels");
    return k;
}

typedef struct planes {
    float p[3][N], f[3][N];
    const float *pedestal[3], *factor[3];
} planes;

static void fill_planes(xn_rng *r, planes *c)
{
    static const double gain[3] = {40, -1.4, -0.1}, pedestal[3] = {3000, 14500, 14000};
    for (int s = 0; s < 3; s++) {
        for (int i = 0; i < N; i++) {
            c->p[s][i] = (float)(pedestal[s] + 50 * xn_rng_normal(r));
            c->f[s][i] = XN_CALIB_ONE / (float)(gain[s] * 11 * (1 + 0.02 * xn_rng_normal(r)));
            if (i % 37 == 5) c->p[s][i] = c->f[s][i] = 0.0f;                        // masked
            if (i % 41 == 7 && s > 0) c->f[s][i] = XN_CALIB_LIMIT, c->p[s][i] = -1; // stage without calibration
        }
        c->pedestal[s] = c->p[s];
        c->factor[s] = c->f[s];
    }
}

// mode 0: stage 0 only; 1: some of every code; 2: anything
static void fill_words(xn_rng *r, int mode, uint16_t *w)
{
    for (int i = 0; i < N; i++) {
        w[i] = (uint16_t)(3000 + 300 * xn_rng_uniform(r));
        if (mode == 1 && i % 97 == 3) w[i] = (uint16_t)((xn_rng_u32(r) % 4) << 14 | (xn_rng_u32(r) & 0x3fff));
        if (mode == 2) w[i] = (uint16_t)xn_rng_u32(r);
    }
    if (mode == 1) {
        w[200] = XN_JUNGFRAU_FULL;
        w[201] = XN_JUNGFRAU_FULL_G0;
        w[202] = 0xffff;
    }
}

START_TEST(test_jungfrau)
{
    // Words of every stage, masked pixels, stages without calibration, saturation: equal to the formula, with and
    // without threshold; `bad` is returned exactly when a pixel has no number.
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 1, 0);
    planes c;
    uint16_t w[N];
    fill_planes(&r, &c);
    for (int round = 0; round < 60; round++) {
        fill_words(&r, round % 3, w);
        int32_t threshold = round % 2 ? 40000 : 0, n = N - round, col[N], expected[N];
        bool bad = false;
        for (int i = 0; i < n; i++) {
            float p[3] = {c.p[0][i], c.p[1][i], c.p[2][i]}, f[3] = {c.f[0][i], c.f[1][i], c.f[2][i]};
            int32_t q = xn_calib_jungfrau(w[i], p, f);
            bad |= q == XN_CALIB_BAD;
            col[i] = i - 7;
            expected[i] = i - 7 + xn_calib_threshold(q, threshold);
        }
        ck_assert_int_eq(k->jungfrau(w, c.pedestal, c.factor, n, threshold, col), bad);
        ck_assert_mem_eq(col, expected, (size_t)n * sizeof *col);
    }
}
END_TEST

START_TEST(test_jungfrau_rows)
{
    // One to four rows at once: the sum of the rows one by one, for words of every kind and any width.
    enum { W = 131, NEXT = 140 };
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 7, 0);
    static float plane[6][4 * NEXT];
    static uint16_t w[N];
    const float *p[3], *f[3];
    for (int s = 0; s < 3; s++) {
        for (int i = 0; i < 4 * NEXT; i++) {
            plane[s][i] = (float)((s == 0 ? 3000 : 14000) + 50 * xn_rng_normal(&r));
            plane[3 + s][i] = i % 37 == 5 ? 0.0f : (float)(65536 / ((s == 0 ? 440 : s == 1 ? -15 : -1.1)));
            if (i % 41 == 7 && s > 0) plane[3 + s][i] = XN_CALIB_LIMIT;
        }
        p[s] = plane[s];
        f[s] = plane[3 + s];
    }
    int bads = 0;
    for (int round = 0; round < 240; round++) {
        int rows = 1 + round % 4, n = W - round % 20;
        int32_t threshold = round % 3 == 2 ? 40000 : 0, col[W], expected[W] = {0};
        bool bad = false;
        fill_words(&r, round % 5 == 0 ? 2 : round % 2, w);
        for (int i = 0; i < rows; i++) {
            const float *pi[3], *fi[3];
            for (int s = 0; s < 3; s++) pi[s] = p[s] + i * NEXT, fi[s] = f[s] + i * NEXT;
            bad |= xn_reduce_scalar.jungfrau(w + i * (W - 4), pi, fi, n, threshold, expected);
        }
        for (int i = 0; i < n; i++) col[i] = -1;
        ck_assert_int_eq(k->jungfrau_rows(w, W - 4, p, f, NEXT, rows, n, threshold, col), bad);
        ck_assert_mem_eq(col, expected, (size_t)n * sizeof *col);
        bads += bad;
    }
    ck_assert(bads > 40 && bads < 200);
}
END_TEST

START_TEST(test_jungfrau_long_rows)
{
    // Rows of any length, all words in other stages among them.
    enum { W = 2600 };
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 8, 0);
    static float plane[6][4 * W];
    static uint16_t w[4 * W];
    static int32_t col[W], expected[W];
    const float *p[3] = {plane[0], plane[1], plane[2]}, *f[3] = {plane[3], plane[4], plane[5]};
    for (int i = 0; i < 4 * W; i++)
        for (int s = 0; s < 3; s++) {
            plane[s][i] = (float)(3000 + 50 * xn_rng_normal(&r));
            plane[3 + s][i] = (float)(30 * (s + 1));
        }
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 4 * W; i++)
            w[i] = (uint16_t)(xn_rng_uniform(&r) < 0.2 * round ? 0x4000 | i % 16000 : 2000 + i);
        int n = W - 7 * round;
        memset(expected, 0, sizeof expected);
        for (int i = 0; i < 4; i++) {
            const float *pi[3] = {p[0] + i * W, p[1] + i * W, p[2] + i * W};
            const float *fi[3] = {f[0] + i * W, f[1] + i * W, f[2] + i * W};
            ck_assert(!xn_reduce_scalar.jungfrau(w + i * W, pi, fi, n, 0, expected));
        }
        ck_assert(!k->jungfrau_rows(w, W, p, f, W, 4, n, 0, col));
        ck_assert_mem_eq(col, expected, (size_t)n * sizeof *col);
    }
}
END_TEST

START_TEST(test_jungfrau_formula)
{
    // The formula itself, by hand: stages, codes, saturation, mask.
    const float p[3] = {3000, 14500, 14000}, f[3] = {655.36f, -6553.6f, -65536.0f}, none[3] = {0, 1, 1};
    ck_assert_int_eq(xn_calib_jungfrau(3100, p, f), 65536);                   // 100 / 100 photons
    ck_assert_int_eq(xn_calib_jungfrau(2950, p, f), -32768);                  // noise below zero stays
    ck_assert_int_eq(xn_calib_jungfrau(1u << 14 | 14400, p, f), 655360);      // stage 1, negative gain
    ck_assert_int_eq(xn_calib_jungfrau(3u << 14 | 13000, p, f), 65536000);    // stage 2
    ck_assert_int_eq(xn_calib_jungfrau(2u << 14 | 3100, p, f), XN_CALIB_BAD); // no such code
    ck_assert_int_eq(xn_calib_jungfrau(0xc000, p, f), XN_CALIB_BAD);          // full
    ck_assert_int_eq(xn_calib_jungfrau(0x3fff, p, f), XN_CALIB_BAD);
    ck_assert_int_eq(xn_calib_jungfrau(2u << 14, p, none), 0); // masked: whatever the word
    ck_assert_int_eq(xn_calib_jungfrau(3u << 14 | 1, p, f),
                     (14000 - 1) * 65536 < XN_CALIB_BAD ? 13999 * 65536 : XN_CALIB_BAD);
    ck_assert_int_eq(xn_calib_threshold(30000, 32768), 0);
    ck_assert_int_eq(xn_calib_threshold(40000, 32768), 40000);
    ck_assert_int_eq(xn_calib_threshold(-5, 0), -5);
}
END_TEST

START_TEST(test_scale)
{
    // Stored numbers of every type: the value times the factor, rounded; NaN, infinity and what is too large are bad
    // unless the pixel is masked.
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 2, 0);
    float factor[N];
    double value[N];
    for (int i = 0; i < N; i++) {
        factor[i] = i % 29 == 4 ? 0.0f : 65536.0f * 0.37f;
        value[i] = floor(120 * xn_rng_uniform(&r));
    }
    for (int type = XN_F32; type <= XN_U64; type++) {
        union {
            float f32[N];
            double f64[N];
            int8_t i8[N];
            uint8_t u8[N];
            int16_t i16[N];
            uint16_t u16[N];
            int32_t i32[N];
            uint32_t u32[N];
            int64_t i64[N];
            uint64_t u64[N];
        } v;
        bool wide = type != XN_F32 && type != XN_I8 && type != XN_U8 && type != XN_I16 && type != XN_U16;
        int32_t col[N] = {0};
        for (int i = 0; i < N; i++) {
            switch (type) {
            case XN_F32:
                v.f32[i] = (float)value[i] - 0.3f;
                break;
            case XN_F64:
                v.f64[i] = value[i] - 0.3;
                break;
            case XN_I8:
                v.i8[i] = (int8_t)(value[i] - 60);
                break;
            case XN_U8:
                v.u8[i] = (uint8_t)value[i];
                break;
            case XN_I16:
                v.i16[i] = (int16_t)(value[i] - 60);
                break;
            case XN_U16:
                v.u16[i] = (uint16_t)value[i];
                break;
            case XN_I32:
                v.i32[i] = (int32_t)value[i] - 60;
                break;
            case XN_U32:
                v.u32[i] = (uint32_t)value[i];
                break;
            case XN_I64:
                v.i64[i] = (int64_t)value[i] - 60;
                break;
            default:
                v.u64[i] = (uint64_t)value[i];
                break;
            }
        }
        ck_assert(!k->scale(&v, (xn_type)type, factor, N, 0, col));
        for (int i = 0; i < N; i++) {
            bool is_signed = type == XN_I8 || type == XN_I16 || type == XN_I32 || type == XN_I64;
            double x = type == XN_F32 ? (double)v.f32[i] : type == XN_F64 ? v.f64[i] : value[i] - (is_signed ? 60 : 0);
            int32_t expected = factor[i] == 0.0f ? 0
                               : wide            ? (int32_t)rint(x * factor[i])
                                                 : (int32_t)rintf((float)x * factor[i]);
            ck_assert_int_eq(col[i], expected);
        }
    }
    const float odd[4] = {NAN, INFINITY, 3e9f, -3e9f}, one[4] = {65536, 65536, 65536, 65536}, zero[4] = {0};
    const double odd64[4] = {NAN, -INFINITY, 1e30, 8192.0};
    for (int i = 0; i < 4; i++) {
        int32_t q = 0;
        ck_assert(k->scale(&odd[i], XN_F32, one, 1, 0, &q));
        ck_assert_int_eq(q, XN_CALIB_BAD);
        ck_assert(!k->scale(&odd[i], XN_F32, zero, 1, 0, &q));
        ck_assert_int_eq(q, XN_CALIB_BAD); // a masked pixel adds nothing
        ck_assert(k->scale(&odd64[i], XN_F64, one, 1, 0, &q));
    }
    int32_t q = 0;
    ck_assert(k->scale(odd, XN_STR, one, 1, 0, &q)); // never silently
}
END_TEST

START_TEST(test_scale_rows)
{
    // One to four rows at once: the sum of the rows one by one, for every type, with values and factors that have no
    // number among them.
    enum { W = 131, NEXT = 140, ROWS = 4 };
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 9, 0);
    static float factor[ROWS * NEXT];
    static uint64_t v[ROWS * NEXT];
    int bads = 0, rounds = 0;
    for (int type = XN_F32; type <= XN_U64; type++)
        for (int round = 0; round < 48; round++, rounds++) {
            int rows = 1 + round % 4, n = W - round % 20;
            int32_t threshold = round % 3 == 2 ? 40000 : 0, col[W], expected[W] = {0};
            bool bad = false, odd = round % 2 != 0;
            size_t size = xn_type_size((xn_type)type);
            for (int i = 0; i < ROWS * NEXT; i++) {
                uint64_t whole = xn_rng_u32(&r) % 100;
                float f = (float)whole - 20.5f;
                double d = (double)f;
                factor[i] = i % 29 == 4 ? 0.0f : 65536.0f * 0.37f;
                if (odd && i % 83 == 70) factor[i] = i % 2 ? NAN : INFINITY;
                if (odd && i % 53 == 9) f = i % 2 ? NAN : 1e9f, d = i % 2 ? -INFINITY : 1e9, whole = UINT64_MAX >> 1;
                const void *from = type == XN_F32 ? (void *)&f : type == XN_F64 ? (void *)&d : (void *)&whole;
                memcpy((char *)v + (size_t)i * size, from, size);
            }
            for (int i = 0; i < rows; i++)
                bad |= xn_reduce_scalar.scale((const char *)v + (size_t)i * (W - 4) * size, (xn_type)type,
                                              factor + i * NEXT, n, threshold, expected);
            for (int i = 0; i < n; i++) col[i] = -1;
            ck_assert_int_eq(k->scale_rows(v, W - 4, (xn_type)type, factor, NEXT, rows, n, threshold, col), bad);
            ck_assert_mem_eq(col, expected, (size_t)n * sizeof *col);
            bads += bad;
        }
    ck_assert_int_eq(2 * bads, rounds);
    ck_assert(k->scale_rows(v, W, XN_STR, factor, NEXT, 1, 1, 0, (int32_t[1]){0})); // never silently
}
END_TEST

START_TEST(test_gather_and_bin)
{
    // Groups of k columns add up exactly; the sums of a shot are the integers of data/cube.h; a value beyond the
    // bound is reported, either sign.
    const xn_reduce_kernels *k = variant(_i);
    if (k == NULL) return;
    xn_rng r;
    xn_rng_init(&r, 3, 0);
    static int32_t col[N];
    static int64_t v[N], s1[N], s2[N], x[N], peak[N];
    for (int size = 1; size <= 16; size++) {
        int64_t groups = N / size;
        for (int i = 0; i < N; i++) col[i] = (int32_t)xn_rng_u32(&r) / 4;
        memset(v, 0, sizeof v);
        k->gather(col, size, groups, v);
        k->gather(col, size, groups, v);
        for (int64_t g = 0; g < groups; g++) {
            int64_t sum = 0;
            for (int j = 0; j < size; j++) sum += col[g * size + j];
            ck_assert_int_eq(v[g], 2 * sum);
        }
    }
    for (int side = 1; side <= 1024; side = 3 * side / 2 + 1) {
        const int shift = xn_bin_shift(side);
        ck_assert_int_eq(shift, 8 + ilogb(side));
        memset(s1, 0, sizeof s1);
        memset(s2, 0, sizeof s2);
        memset(x, 0, sizeof x);
        memset(peak, 0, sizeof peak);
        for (int i = 0; i < N; i++) v[i] = (int64_t)(xn_rng_normal(&r) * 3e10);
        int64_t all = 0;
        for (int i = 0; i < N; i++) all += v[i];
        ck_assert_int_eq(k->bin(v, N, 777777, shift, s1, s2, x, peak), all);
        ck_assert_int_eq(k->bin(v, N, 3, shift, s1, s2, x, peak), all);
        for (int i = 0; i < N; i++) {
            int64_t w = (int64_t)floor(ldexp((double)v[i], -shift) + 0.5);
            ck_assert_int_eq(s1[i], 2 * v[i]);
            ck_assert_int_eq(s2[i], 2 * w * w);
            ck_assert_int_eq(x[i], w * 777780);
            ck_assert_int_eq(peak[i], v[i] < 0 ? -v[i] : v[i]);
        }
    }
    for (int sign = -1; sign <= 1; sign += 2) {
        memset(v, 0, sizeof v);
        for (int i = 0; i < N; i++) peak[i] = 1000;
        v[N - 2] = sign * 1001;
        v[N - 1] = sign * 999;
        k->bin(v, N, 1, 8, s1, s2, x, peak);
        ck_assert_int_eq(peak[N - 2], 1001);
        ck_assert_int_eq(peak[N - 1], 1000);
        ck_assert_int_eq(peak[0], 1000);
    }
}
END_TEST

START_TEST(test_choice)
{
    // auto finds a variant; a name nobody knows finds none.
    ck_assert_ptr_nonnull(xn_reduce_kernels_find("auto"));
    ck_assert_str_eq(xn_reduce_kernels_find("scalar")->name, "scalar");
    ck_assert_ptr_null(xn_reduce_kernels_find("avx1024"));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_loop_test(t, test_jungfrau, 0, 3);
    tcase_add_loop_test(t, test_jungfrau_rows, 0, 3);
    tcase_add_loop_test(t, test_jungfrau_long_rows, 0, 3);
    tcase_add_test(t, test_jungfrau_formula);
    tcase_add_loop_test(t, test_scale, 0, 3);
    tcase_add_loop_test(t, test_scale_rows, 0, 3);
    tcase_add_loop_test(t, test_gather_and_bin, 0, 3);
    tcase_add_test(t, test_choice);
}
XN_TEST_MAIN("reduce kernels", add)
