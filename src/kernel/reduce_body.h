// SPDX-License-Identifier: BSD-3-Clause
// reduce_body.h -- the row kernels, compiled once per instruction set by a shell that defines XN_REDUCE_NAME.
//
// Plain loops that the compiler turns into vectors; where it does not, vectors of word_lane.h.  JUNGFRAU: nearly all
// pixels are in gain stage 0, so a vector of words (a block of 32 in the row kernel) is tested at once; only one with
// another stage (or a full converter) takes the path that selects among three planes.  In stage 0 no limit has to be
// tested: the caller masks pixels whose stage 0 could exceed it.
#include <string.h>

#include "kernel/bin.h"
#include "kernel/calib.h"
#include "kernel/reduce_kernels.h"
#include "kernel/word_lane.h"

#define BLOCK 32

static inline bool only_stage_0(const uint16_t *w, int64_t n)
{
    unsigned any = 0;
    for (int64_t i = 0; i < n; i++) any |= w[i] | (uint16_t)(w[i] + 1u); // + 1 carries a full 0x3fff into bit 14
    return (any & 0xc000u) == 0;
}

static inline void stage_0(const uint16_t *restrict w, const float *restrict p, const float *restrict f, int64_t n,
                           int32_t *restrict col)
{
    for (int64_t i = 0; i < n; i++) col[i] += (int32_t)rintf(((float)w[i] - p[i]) * f[i]);
}

static inline void stage_0_threshold(const uint16_t *restrict w, const float *restrict p, const float *restrict f,
                                     int64_t n, int32_t threshold, int32_t *restrict col)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t q = (int32_t)rintf(((float)w[i] - p[i]) * f[i]);
        col[i] += q < threshold ? 0 : q;
    }
}

// Any stage: the formula with all three planes loaded, so that the choice among them is a select and not a branch.
static inline int32_t any_stage(const uint16_t *restrict w, const float *restrict p0, const float *restrict p1,
                                const float *restrict p2, const float *restrict f0, const float *restrict f1,
                                const float *restrict f2, int64_t n, int32_t threshold, int32_t *restrict col)
{
    int32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        float p[3] = {p0[i], p1[i], p2[i]}, f[3] = {f0[i], f1[i], f2[i]};
        int32_t q = xn_calib_jungfrau(w[i], p, f);
        bad |= q == XN_CALIB_BAD;
        col[i] += xn_calib_threshold(q, threshold);
    }
    return bad;
}

static bool row_jungfrau(const uint16_t *w, const float *const p[3], const float *const f[3], int64_t n,
                         int32_t threshold, int32_t *col)
{
    int32_t bad = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t m = n - i < BLOCK ? n - i : BLOCK;
        if (!only_stage_0(w + i, m))
            bad |= any_stage(w + i, p[0] + i, p[1] + i, p[2] + i, f[0] + i, f[1] + i, f[2] + i, m, threshold, col + i);
        else if (threshold > 0)
            stage_0_threshold(w + i, p[0] + i, f[0] + i, m, threshold, col + i);
        else if (m == BLOCK)
            stage_0(w + i, p[0] + i, f[0] + i, BLOCK, col + i);
        else
            stage_0(w + i, p[0] + i, f[0] + i, m, col + i);
    }
    return bad != 0;
}

// Several rows at once, a vector of columns at a time: their sum stays in registers.  Nearly always all words of the
// vector are in stage 0.  `rows` is a constant where it is called from, so that the inner loop is unrolled.
static inline int32_t sum_rows(const uint16_t *restrict w, int64_t w_next, const float *const p[3],
                               const float *const f[3], int64_t next, int rows, int64_t n, int32_t threshold,
                               int32_t *restrict col)
{
    int bad = 0;
    int64_t i = 0;
    for (; i + WORD_LANES <= n; i += WORD_LANES) {
        lane_i sum = lane_zero();
        for (int r = 0; r < rows; r++) {
            lane_i words = lane_words(w + r * w_next + i), q;
            int64_t at = r * next + i;
            if (lane_others(words))
                q = lane_jungfrau(words, p, f, at, &bad);
            else
                q = lane_round(lane_mul(lane_sub(lane_float(words), lane_load(p[0] + at)), lane_load(f[0] + at)));
            sum = lane_add(sum, threshold > 0 ? lane_at_least(q, threshold) : q);
        }
        lane_put(col + i, sum);
    }
    for (; i < n; i++) {
        col[i] = 0;
        for (int r = 0; r < rows; r++) {
            int64_t at = r * next + i;
            float pedestal[3] = {p[0][at], p[1][at], p[2][at]}, factor[3] = {f[0][at], f[1][at], f[2][at]};
            int32_t q = xn_calib_jungfrau(w[r * w_next + i], pedestal, factor);
            bad |= q == XN_CALIB_BAD;
            col[i] += xn_calib_threshold(q, threshold);
        }
    }
    return bad;
}

static bool rows_jungfrau(const uint16_t *w, int64_t w_next, const float *const p[3], const float *const f[3],
                          int64_t next, int rows, int64_t n, int32_t threshold, int32_t *col)
{
    if (threshold > 0) return sum_rows(w, w_next, p, f, next, rows, n, threshold, col) != 0;
    switch (rows) { // the usual ones as constants
    case 1:
        return sum_rows(w, w_next, p, f, next, 1, n, 0, col) != 0;
    case 2:
        return sum_rows(w, w_next, p, f, next, 2, n, 0, col) != 0;
    case 4:
        return sum_rows(w, w_next, p, f, next, 4, n, 0, col) != 0;
    default:
        return sum_rows(w, w_next, p, f, next, rows, n, 0, col) != 0;
    }
}

// The rest have no fast path: one formula, a select per pixel.
#define ADD_ROW(formula)                                                                                               \
    int32_t bad = 0;                                                                                                   \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        int32_t q = (formula);                                                                                         \
        bad |= q == XN_CALIB_BAD;                                                                                      \
        col[i] += xn_calib_threshold(q, threshold);                                                                    \
    }                                                                                                                  \
    return bad != 0

static bool row_fixed_gain(const uint16_t *restrict w, unsigned code, const float *restrict p, const float *restrict f,
                           int64_t n, int32_t threshold, int32_t *restrict col)
{
    ADD_ROW(xn_calib_fixed_gain(w[i], code, p[i], f[i]));
}

static inline bool epix10ka(const uint16_t *restrict w, const float *restrict p0, const float *restrict p1,
                            const float *restrict f0, const float *restrict f1, int64_t n, int32_t threshold,
                            int32_t *restrict col)
{
    ADD_ROW(xn_calib_epix10ka(w[i], ((const float[]){p0[i], p1[i]}), ((const float[]){f0[i], f1[i]})));
}

static bool row_epix10ka(const uint16_t *w, const float *const p[2], const float *const f[2], int64_t n,
                         int32_t threshold, int32_t *col)
{
    return epix10ka(w, p[0], p[1], f[0], f[1], n, threshold, col);
}

// float32 holds 8- and 16-bit values exactly; wider ones go through float64.
#define FOR_TYPE(T, real, scale, linear)                                                                               \
    static bool scale_##T(const T *restrict v, const float *restrict f, int64_t n, int32_t threshold,                  \
                          int32_t *restrict col)                                                                       \
    {                                                                                                                  \
        ADD_ROW(scale((real)v[i], (real)f[i]));                                                                        \
    }                                                                                                                  \
    static bool scale_rows_##T(const T *v, int64_t v_next, const float *f, int64_t next, int rows, int64_t n,          \
                               int32_t threshold, int32_t *col)                                                        \
    {                                                                                                                  \
        bool bad = false;                                                                                              \
        memset(col, 0, (size_t)n * sizeof *col);                                                                       \
        for (int r = 0; r < rows; r++) bad |= scale_##T(v + r * v_next, f + r * next, n, threshold, col);              \
        return bad;                                                                                                    \
    }                                                                                                                  \
    FOR_LINEAR(T, real, linear)
// Those that float32 holds, a vector at a time: the sum of rows stays in registers.  0 times a masked pixel's factor is
// 0 where the value is whole, but not where it is NaN.  `rows` and `onto` are constants where it is called from.
#define FOR_SHORT(T, whole)                                                                                            \
    static inline __attribute__((always_inline)) bool scaled_##T(                                                      \
        const T *restrict v, int64_t v_next, const float *restrict f, int64_t next, int rows, int64_t n,               \
        int32_t threshold, bool onto, int32_t *restrict col)                                                           \
    {                                                                                                                  \
        int bad = 0;                                                                                                   \
        int64_t done = n - n % WORD_LANES;                                                                             \
        for (int64_t i = 0; i < done; i += WORD_LANES) {                                                               \
            lane_i sum = onto ? lane_get(col + i) : lane_zero();                                                       \
            for (int r = 0; r < rows; r++) {                                                                           \
                lane_f factor = lane_load(f + r * next + i), x = lane_mul(lane_of_##T(v + r * v_next + i), factor);    \
                lane_i q = (whole) ? lane_number(x, &bad) : lane_fixed(x, factor, &bad);                               \
                sum = lane_add(sum, threshold > 0 ? lane_at_least(q, threshold) : q);                                  \
            }                                                                                                          \
            lane_put(col + i, sum);                                                                                    \
        }                                                                                                              \
        for (int64_t i = done; i < n; i++) {                                                                           \
            int32_t sum = onto ? col[i] : 0;                                                                           \
            for (int r = 0; r < rows; r++) {                                                                           \
                int32_t q = xn_calib_scale((float)v[r * v_next + i], f[r * next + i]);                                 \
                bad |= q == XN_CALIB_BAD;                                                                              \
                sum += xn_calib_threshold(q, threshold);                                                               \
            }                                                                                                          \
            col[i] = sum;                                                                                              \
        }                                                                                                              \
        return bad != 0;                                                                                               \
    }                                                                                                                  \
    static bool scale_##T(const T *v, const float *f, int64_t n, int32_t threshold, int32_t *col)                      \
    {                                                                                                                  \
        return scaled_##T(v, 0, f, 0, 1, n, threshold, true, col);                                                     \
    }                                                                                                                  \
    static bool scale_rows_##T(const T *v, int64_t v_next, const float *f, int64_t next, int rows, int64_t n,          \
                               int32_t threshold, int32_t *col)                                                        \
    {                                                                                                                  \
        if (threshold > 0) return scaled_##T(v, v_next, f, next, rows, n, threshold, false, col);                      \
        switch (rows) { /* the usual ones as constants */                                                              \
        case 1:                                                                                                        \
            return scaled_##T(v, v_next, f, next, 1, n, 0, false, col);                                                \
        case 2:                                                                                                        \
            return scaled_##T(v, v_next, f, next, 2, n, 0, false, col);                                                \
        case 4:                                                                                                        \
            return scaled_##T(v, v_next, f, next, 4, n, 0, false, col);                                                \
        default:                                                                                                       \
            return scaled_##T(v, v_next, f, next, rows, n, 0, false, col);                                             \
        }                                                                                                              \
    }                                                                                                                  \
    FOR_LINEAR(T, float, xn_calib_linear)
#define FOR_LINEAR(T, real, linear)                                                                                    \
    static bool linear_##T(const T *restrict v, const float *restrict p, const float *restrict f, double full,         \
                           int64_t n, int32_t threshold, int32_t *restrict col)                                        \
    {                                                                                                                  \
        ADD_ROW(linear((real)v[i], (real)p[i], (real)f[i], (real)full));                                               \
    }
FOR_SHORT(float, false)
FOR_SHORT(int8_t, true)
FOR_SHORT(uint8_t, true)
FOR_SHORT(int16_t, true)
FOR_SHORT(uint16_t, true)
FOR_TYPE(double, double, xn_calib_scale_f64, xn_calib_linear_f64)
FOR_TYPE(int32_t, double, xn_calib_scale_f64, xn_calib_linear_f64)
FOR_TYPE(uint32_t, double, xn_calib_scale_f64, xn_calib_linear_f64)
FOR_TYPE(int64_t, double, xn_calib_scale_f64, xn_calib_linear_f64)
FOR_TYPE(uint64_t, double, xn_calib_scale_f64, xn_calib_linear_f64)

// What cannot be a number is never added silently.
#define BY_TYPE(prefix, ...)                                                                                           \
    switch (type) {                                                                                                    \
    case XN_F32:                                                                                                       \
        return prefix##_float(values, __VA_ARGS__);                                                                    \
    case XN_F64:                                                                                                       \
        return prefix##_double(values, __VA_ARGS__);                                                                   \
    case XN_I8:                                                                                                        \
        return prefix##_int8_t(values, __VA_ARGS__);                                                                   \
    case XN_U8:                                                                                                        \
        return prefix##_uint8_t(values, __VA_ARGS__);                                                                  \
    case XN_I16:                                                                                                       \
        return prefix##_int16_t(values, __VA_ARGS__);                                                                  \
    case XN_U16:                                                                                                       \
        return prefix##_uint16_t(values, __VA_ARGS__);                                                                 \
    case XN_I32:                                                                                                       \
        return prefix##_int32_t(values, __VA_ARGS__);                                                                  \
    case XN_U32:                                                                                                       \
        return prefix##_uint32_t(values, __VA_ARGS__);                                                                 \
    case XN_I64:                                                                                                       \
        return prefix##_int64_t(values, __VA_ARGS__);                                                                  \
    case XN_U64:                                                                                                       \
        return prefix##_uint64_t(values, __VA_ARGS__);                                                                 \
    default:                                                                                                           \
        return true;                                                                                                   \
    }

static bool row_scale(const void *values, xn_type type, const float *factor, int64_t n, int32_t threshold, int32_t *col)
{
    BY_TYPE(scale, factor, n, threshold, col)
}

static bool rows_scale(const void *values, int64_t value_next, xn_type type, const float *factor, int64_t next,
                       int rows, int64_t n, int32_t threshold, int32_t *col)
{
    BY_TYPE(scale_rows, value_next, factor, next, rows, n, threshold, col)
}

static bool row_linear(const void *values, xn_type type, const float *pedestal, const float *factor, double full,
                       int64_t n, int32_t threshold, int32_t *col)
{
    BY_TYPE(linear, pedestal, factor, full, n, threshold, col)
}

static bool row_add(const int32_t *restrict q_, int64_t n, int32_t threshold, int32_t *restrict col) { ADD_ROW(q_[i]); }

static inline void gather_k(const int32_t *restrict col, int k, int64_t groups, int64_t *restrict v)
{
    for (int64_t g = 0; g < groups; g++) {
        int64_t sum = 0;
        for (int j = 0; j < k; j++) sum += col[g * k + j];
        v[g] += sum;
    }
}

static void row_gather(const int32_t *col, int k, int64_t groups, int64_t *v)
{
    switch (k) { // constants, so that the inner loop is unrolled
    case 1:
        gather_k(col, 1, groups, v);
        break;
    case 2:
        gather_k(col, 2, groups, v);
        break;
    case 4:
        gather_k(col, 4, groups, v);
        break;
    case 8:
        gather_k(col, 8, groups, v);
        break;
    default:
        gather_k(col, k, groups, v);
        break;
    }
}

static int64_t row_bin(const int64_t *restrict v, int64_t groups, int32_t i0q, int shift, int64_t *restrict s1,
                       int64_t *restrict s2, int64_t *restrict x, int64_t *restrict peak)
{
    uint64_t sum = 0;
    for (int64_t g = 0; g < groups; g++) {
        peak[g] = xn_bin_peak(v[g], peak[g]);
        xn_bin_add(v[g], i0q, shift, &s1[g], &s2[g], &x[g]);
        sum += (uint64_t)v[g];
    }
    return (int64_t)sum;
}

#define XN_TEXT2(x) #x
#define XN_TEXT(x) XN_TEXT2(x)
#define XN_JOIN2(a, b) a##b
#define XN_JOIN(a, b) XN_JOIN2(a, b)
const xn_reduce_kernels XN_JOIN(xn_reduce_, XN_REDUCE_NAME) = {XN_TEXT(XN_REDUCE_NAME),
                                                               row_jungfrau,
                                                               rows_jungfrau,
                                                               row_fixed_gain,
                                                               row_epix10ka,
                                                               row_linear,
                                                               row_scale,
                                                               rows_scale,
                                                               row_add,
                                                               row_gather,
                                                               row_bin};
