// SPDX-License-Identifier: BSD-3-Clause
// test_frame.c -- corrections of whole frames: common mode, double pixels, photons by rounding, neighbours and
// droplets.
#include "test.h"

#include "core/rng.h"
#include "kernel/frame.h"

#define ONE 65536
#define Q(photons) ((int32_t)rint((photons)*ONE))

static int32_t out[4096], queue[4096];
static uint8_t room[4096];

START_TEST(test_round)
{
    // Nearest whole photon, never below 0; no number stays none, and what cannot be held becomes none.
    int32_t q[] = {Q(0.49), Q(0.5), Q(1.4999), Q(2.5), Q(-3), 0, XN_CALIB_BAD, XN_CALIB_BAD - 1};
    const int32_t expected[] = {0, ONE, ONE, 3 * ONE, 0, 0, XN_CALIB_BAD, XN_CALIB_BAD};
    xn_frame_round(q, 8);
    ck_assert_mem_eq(q, expected, sizeof q);
}
END_TEST

START_TEST(test_pairs)
{
    // Whole parts stay; a largest rest and the best free rest beside it make one photon from 0.9 on, in the brighter.
    int32_t q[] = {Q(0.6),  Q(0.35), 0,       Q(1.2), //
                   Q(0.1),  0,       0,       Q(0.7), //
                   Q(0.45), Q(0.45), 0,       0,      //
                   Q(2.3),  0,       Q(0.95), Q(-5)};
    const int32_t expected[] = {ONE,     0, 0,   ONE, // 0.6 + 0.35
                                0,       0, 0,   ONE, // 0.7 + the rest of 1.2
                                0,       0, 0,   0,   // below the seed
                                2 * ONE, 0, ONE, 0};  // whole part; 0.95 alone
    xn_frame_neighbours(q, 4, 4, Q(0.5), Q(0.9), out, room);
    ck_assert_mem_eq(q, expected, sizeof q);
}
END_TEST

START_TEST(test_pairs_busy)
{
    // A rest is used once: two bright pixels cannot share the one between them. Equal rests: the first is the peak.
    int32_t q[] = {Q(0.6), Q(0.35), Q(0.6)}, equal[] = {Q(0.5), Q(0.5)}, bad[] = {Q(0.6), XN_CALIB_BAD, Q(0.6)};
    const int32_t expected[] = {ONE, 0, 0}, first[] = {ONE, 0}, kept[] = {0, XN_CALIB_BAD, 0};
    xn_frame_neighbours(q, 1, 3, Q(0.5), Q(0.9), out, room);
    ck_assert_mem_eq(q, expected, sizeof q);
    xn_frame_neighbours(equal, 1, 2, Q(0.5), Q(0.9), out, room);
    ck_assert_mem_eq(equal, first, sizeof equal);
    xn_frame_neighbours(bad, 1, 3, Q(0.5), Q(0.9), out, room); // what has no number lends nothing
    ck_assert_mem_eq(bad, kept, sizeof bad);
}
END_TEST

START_TEST(test_droplets)
{
    // Connected pixels above `low` count together where the brightest reaches the seed; corners do not connect.
    const int32_t start[] = {Q(0.4), Q(0.4), 0,       Q(0.3), //
                             Q(0.3), 0,      0,       Q(0.6), //
                             0,      0,      Q(0.45), 0,      //
                             Q(2.2), Q(1.1), 0,       Q(0.55)};
    int32_t q[16];
    // 1.1 photons but no seed; 0.9; 0.45 alone; 3.3; 0.55 alone
    const int32_t greedy[] = {0, 0, 0, 0, 0, 0, 0, ONE, 0, 0, 0, 0, 2 * ONE, ONE, 0, ONE};
    const int32_t centre[] = {0, 0, 0, 0, 0, 0, 0, ONE, 0, 0, 0, 0, 3 * ONE, 0, 0, ONE};
    memcpy(q, start, sizeof q);
    xn_frame_droplets(q, 4, 4, &(xn_droplets){Q(0.5), Q(0.2), true}, out, room, queue);
    ck_assert_mem_eq(q, greedy, sizeof q);
    memcpy(q, start, sizeof q);
    xn_frame_droplets(q, 4, 4, &(xn_droplets){Q(0.5), Q(0.2), false}, out, room, queue);
    ck_assert_mem_eq(q, centre, sizeof q);
    int32_t bad[] = {Q(0.6), XN_CALIB_BAD, Q(0.6)};
    const int32_t apart[] = {ONE, XN_CALIB_BAD, ONE};
    xn_frame_droplets(bad, 1, 3, &(xn_droplets){Q(0.5), Q(0.2), true}, out, room, queue);
    ck_assert_mem_eq(bad, apart, sizeof bad);
}
END_TEST

START_TEST(test_greedy)
{
    // Giving photons one by one to the pixel with most charge left is what the rule by rests gives; no photon is lost.
    enum { NY = 9, NX = 11, N = NY * NX };
    xn_rng r;
    xn_rng_init(&r, 6, 0);
    for (int round = 0; round < 200; round++) {
        int32_t q[N], left[N], expected[N] = {0};
        int64_t sum = 0;
        for (int i = 0; i < N; i++) sum += left[i] = q[i] = Q(0.3 + 3 * xn_rng_uniform(&r));
        for (int64_t n = (sum + ONE / 2) / ONE; n > 0; n--) {
            int best = 0;
            for (int i = 1; i < N; i++)
                if (left[i] > left[best]) best = i;
            left[best] -= ONE;
            expected[best] += ONE;
        }
        xn_frame_droplets(q, NY, NX, &(xn_droplets){Q(0.5), Q(0.2), true}, out, room, queue);
        ck_assert_mem_eq(q, expected, sizeof q); // no two of these rests are equal
    }
}
END_TEST

START_TEST(test_double)
{
    // Even light: wide pixels become as the others, those in corners too; a slope is kept; without neighbours a half.
    enum { NY = 8, NX = 12, CY = 4, CX = 4, N = NY * NX };
    int32_t q[N];
    uint32_t mask[N] = {0};
    for (int i = 0; i < N; i++) {
        unsigned wide = xn_frame_wide(i / NX, i % NX, NY, NX, CY, CX);
        int x = i % NX, y = i / NX;
        ck_assert_uint_eq(wide & 1, x == 3 || x == 4 || x == 7 || x == 8);
        ck_assert_uint_eq(wide >> 1, y == 3 || y == 4);
        q[i] = Q(10) * ((wide & 1) ? 2 : 1) * ((wide & 2) ? 2 : 1);
    }
    xn_frame_double_pixels(q, mask, NY, NX, CY, CX);
    for (int i = 0; i < N; i++) ck_assert_int_eq(q[i], Q(10));
    // v1 = 8, v2 = 18, v3 = 20 and, seen from the other side, 12, 20, 18
    int32_t row[] = {0, 0, Q(8), Q(18), Q(20), Q(12), 0, 0};
    uint32_t none[8] = {0}, masked[8] = {[2] = 1};
    xn_frame_double_pixels(row, none, 1, 8, 4, 4);
    ck_assert_int_eq(row[3], Q(18.0 * (4 * 8 + 20) / (6 * 8 + 3 * 20)));
    ck_assert_int_eq(row[4], Q(20.0 * (4 * 12 + 18) / (6 * 12 + 3 * 18)));
    ck_assert_int_eq(row[2], Q(8));
    int32_t half[] = {0, 0, Q(8), Q(18), XN_CALIB_BAD, Q(12), 0, 0}, again[] = {0, 0, Q(8), Q(18), Q(20), Q(-1), 0, 0};
    xn_frame_double_pixels(half, none, 1, 8, 4, 4);
    ck_assert_int_eq(half[3], Q(9));
    ck_assert_int_eq(half[4], XN_CALIB_BAD);
    xn_frame_double_pixels(again, masked, 1, 8, 4, 4);
    ck_assert_int_eq(again[3], Q(9));  // masked neighbour
    ck_assert_int_eq(again[4], Q(10)); // neighbour below zero
}
END_TEST

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float median_by_sorting(float *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) * 0.5f;
}

START_TEST(test_median)
{
    // As sorting says, for every length, with many equal values.
    xn_rng r;
    xn_rng_init(&r, 7, 0);
    for (int n = 1; n < 300; n++) {
        float a[300], b[300];
        for (int i = 0; i < n; i++) a[i] = b[i] = n % 3 ? (float)xn_rng_normal(&r) : (float)(xn_rng_u32(&r) % 5);
        float m = xn_frame_median(a, n);
        ck_assert_float_eq(m, median_by_sorting(b, n));
    }
}
END_TEST

// One step of the rule, by sorting: rows x columns from (y0, x0).
static void plain_step(float *adu, int nx, int y0, int rows, int x0, int columns, const xn_common_mode *how)
{
    float v[4096];
    int n = 0;
    for (int y = y0; y < y0 + rows; y++)
        for (int x = x0; x < x0 + columns; x++)
            if (!isnan(adu[y * nx + x])) v[n++] = adu[y * nx + x];
    if (n <= how->min_pixels) return;
    float m = median_by_sorting(v, n);
    for (int y = y0; y < y0 + rows && fabsf(m) < how->max_correction; y++)
        for (int x = x0; x < x0 + columns; x++) adu[y * nx + x] -= m;
}

START_TEST(test_common_mode)
{
    // Banks, rows of banks, columns, in this order and in every choice of them; masked pixels take no part; offsets
    // beyond max_correction and banks with too few pixels stay. The shift is what was subtracted.
    enum { NY = 8, NX = 24, N = NY * NX };
    xn_rng r;
    xn_rng_init(&r, 8, 0);
    for (int choice = 0; choice < 8; choice++) {
        xn_common_mode how = {choice & 1, (choice & 2) != 0, (choice & 4) != 0, NY, 6, 4, 30};
        float adu[N], start[N], plain[N], shift[N], space[NY * 6];
        for (int i = 0; i < N; i++) {
            int x = i % NX, y = i / NX;
            adu[i] = (float)(10 * (x / 6) - 5 * (y % 3) + 2 * (x % 2) + xn_rng_normal(&r));
            if (x >= 18) adu[i] += 100; // beyond max_correction
            if (x < 6 && y == 2 && x > 2) adu[i] = NAN;
            if (x < 6 && y == 2) adu[i] = x < 3 ? adu[i] : NAN; // three pixels are not enough
            if (i % 17 == 0) adu[i] = NAN;
        }
        memcpy(start, adu, sizeof adu);
        memcpy(plain, adu, sizeof adu);
        for (int x = 0; how.banks && x < NX; x += 6) plain_step(plain, NX, 0, NY, x, 6, &how);
        for (int y = 0; how.rows && y < NY; y++)
            for (int x = 0; x < NX; x += 6) plain_step(plain, NX, y, 1, x, 6, &how);
        for (int x = 0; how.columns && x < NX; x++) plain_step(plain, NX, 0, NY, x, 1, &how);
        xn_frame_common_mode(adu, NX, &how, shift, space);
        for (int i = 0; i < N; i++) {
            ck_assert_int_eq(isnan(adu[i]) != 0, isnan(start[i]) != 0);
            if (isnan(adu[i]))
                ck_assert_float_eq(shift[i], 0);
            else {
                ck_assert_float_eq(adu[i], plain[i]);
                ck_assert_float_eq_tol(start[i] - shift[i], adu[i], 1e-4F);
            }
        }
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, test_round);
    tcase_add_test(t, test_pairs);
    tcase_add_test(t, test_pairs_busy);
    tcase_add_test(t, test_droplets);
    tcase_add_test(t, test_greedy);
    tcase_add_test(t, test_double);
    tcase_add_test(t, test_median);
    tcase_add_test(t, test_common_mode);
}
XN_TEST_MAIN("frame", add)
