// SPDX-License-Identifier: BSD-3-Clause
// reduce_body.h -- the row kernels, compiled once per instruction set by a shell that defines XN_REDUCE_NAME.
//
// Plain loops that the compiler turns into vectors.  JUNGFRAU: nearly all pixels are in gain stage 0, so a block of
// 64 words is tested at once; only a block with another stage (or a full converter) takes the path that selects
// among three planes.  In stage 0 no limit has to be tested: the caller masks pixels whose stage 0 could exceed it.
#include <string.h>

#include "kernel/bin.h"
#include "kernel/calib.h"
#include "kernel/reduce_kernels.h"

#define BLOCK 64

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

static bool row_jungfrau(const uint16_t *words, const float *const pedestal[3], const float *const factor[3], int64_t n,
                         int32_t threshold, int32_t *col)
{
    bool bad = false;
    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t m = n - at < BLOCK ? n - at : BLOCK;
        if (only_stage_0(words + at, m)) {
            if (threshold > 0)
                stage_0_threshold(words + at, pedestal[0] + at, factor[0] + at, m, threshold, col + at);
            else if (m == BLOCK)
                stage_0(words + at, pedestal[0] + at, factor[0] + at, BLOCK, col + at);
            else
                stage_0(words + at, pedestal[0] + at, factor[0] + at, m, col + at);
            continue;
        }
        for (int64_t i = at; i < at + m; i++) {
            float p[3] = {pedestal[0][i], pedestal[1][i], pedestal[2][i]};
            float f[3] = {factor[0][i], factor[1][i], factor[2][i]};
            int32_t q = xn_calib_jungfrau(words[i], p, f);
            bad |= q == XN_CALIB_BAD;
            col[i] += xn_calib_threshold(q, threshold);
        }
    }
    return bad;
}

// float32 holds 8- and 16-bit values exactly; wider ones go through float64.
#define SCALE_F32(T)                                                                                                   \
    static bool scale_##T(const T *restrict v, const float *restrict f, int64_t n, int32_t threshold,                  \
                          int32_t *restrict col)                                                                       \
    {                                                                                                                  \
        int32_t bad = 0;                                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            int32_t q = f[i] == 0.0f ? 0 : xn_calib_fixed((float)v[i] * f[i]);                                         \
            bad |= q == XN_CALIB_BAD;                                                                                  \
            col[i] += xn_calib_threshold(q, threshold);                                                                \
        }                                                                                                              \
        return bad != 0;                                                                                               \
    }
#define SCALE_F64(T)                                                                                                   \
    static bool scale_##T(const T *restrict v, const float *restrict f, int64_t n, int32_t threshold,                  \
                          int32_t *restrict col)                                                                       \
    {                                                                                                                  \
        int32_t bad = 0;                                                                                               \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            int32_t q = f[i] == 0.0f ? 0 : xn_calib_fixed_f64((double)v[i] * (double)f[i]);                            \
            bad |= q == XN_CALIB_BAD;                                                                                  \
            col[i] += xn_calib_threshold(q, threshold);                                                                \
        }                                                                                                              \
        return bad != 0;                                                                                               \
    }
SCALE_F32(float)
SCALE_F32(int8_t)
SCALE_F32(uint8_t)
SCALE_F32(int16_t)
SCALE_F32(uint16_t)
SCALE_F64(double)
SCALE_F64(int32_t)
SCALE_F64(uint32_t)
SCALE_F64(int64_t)
SCALE_F64(uint64_t)

static bool row_scale(const void *values, xn_type type, const float *factor, int64_t n, int32_t threshold, int32_t *col)
{
    switch (type) {
    case XN_F32:
        return scale_float(values, factor, n, threshold, col);
    case XN_F64:
        return scale_double(values, factor, n, threshold, col);
    case XN_I8:
        return scale_int8_t(values, factor, n, threshold, col);
    case XN_U8:
        return scale_uint8_t(values, factor, n, threshold, col);
    case XN_I16:
        return scale_int16_t(values, factor, n, threshold, col);
    case XN_U16:
        return scale_uint16_t(values, factor, n, threshold, col);
    case XN_I32:
        return scale_int32_t(values, factor, n, threshold, col);
    case XN_U32:
        return scale_uint32_t(values, factor, n, threshold, col);
    case XN_I64:
        return scale_int64_t(values, factor, n, threshold, col);
    case XN_U64:
        return scale_uint64_t(values, factor, n, threshold, col);
    default:
        return true;
    }
}

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

static bool row_bin(const int64_t *restrict v, int64_t groups, int32_t i0q, int64_t bound, int64_t *restrict s1,
                    int64_t *restrict s2, int64_t *restrict x)
{
    int64_t beyond = 0;
    for (int64_t g = 0; g < groups; g++) {
        beyond |= xn_bin_beyond(v[g], bound);
        xn_bin_add(v[g], i0q, &s1[g], &s2[g], &x[g]);
    }
    return beyond != 0;
}

#define XN_TEXT2(x) #x
#define XN_TEXT(x) XN_TEXT2(x)
#define XN_JOIN2(a, b) a##b
#define XN_JOIN(a, b) XN_JOIN2(a, b)
const xn_reduce_kernels XN_JOIN(xn_reduce_, XN_REDUCE_NAME) = {XN_TEXT(XN_REDUCE_NAME), row_jungfrau, row_scale,
                                                               row_gather, row_bin};
