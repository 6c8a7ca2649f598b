// SPDX-License-Identifier: BSD-3-Clause
// word_lane.h -- the few vector operations of reduce's row kernels, by instruction set: 16, 8 or 1 pixels at once.
//
// Written out because a compiler finds neither the rounding conversion nor the choice of planes in plain loops.  All of
// them give what the scalar expression beside them gives, bit by bit: float32 without contraction, round to nearest
// even.
#ifndef XN_KERNEL_WORD_LANE_H
#define XN_KERNEL_WORD_LANE_H

#include <math.h>
#include <stdint.h>

#include "kernel/calib.h"

#if defined(__AVX512BW__)
#include <immintrin.h>
#define WORD_LANES 16
typedef __m512 lane_f;
typedef __m512i lane_i;
static inline lane_i lane_words(const uint16_t *w)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)w));
}
static inline lane_i lane_and(lane_i a, int32_t b) { return _mm512_and_si512(a, _mm512_set1_epi32(b)); }
static inline lane_f lane_float(lane_i a) { return _mm512_cvtepi32_ps(a); }
static inline lane_f lane_load(const float *p) { return _mm512_loadu_ps(p); }
static inline lane_f lane_sub(lane_f a, lane_f b) { return _mm512_sub_ps(a, b); }
static inline lane_f lane_mul(lane_f a, lane_f b) { return _mm512_mul_ps(a, b); }
static inline lane_i lane_round(lane_f a) { return _mm512_cvtps_epi32(a); }
static inline lane_i lane_zero(void) { return _mm512_setzero_si512(); }
static inline lane_i lane_get(const int32_t *p) { return _mm512_loadu_si512(p); }
static inline void lane_put(int32_t *p, lane_i a) { _mm512_storeu_si512(p, a); }
static inline lane_i lane_add(lane_i a, lane_i b) { return _mm512_add_epi32(a, b); }
// a where it is at least `least`, else 0
static inline lane_i lane_at_least(lane_i a, int32_t least)
{
    return _mm512_maskz_mov_epi32(_mm512_cmpge_epi32_mask(a, _mm512_set1_epi32(least)), a);
}
// Numbers that float32 holds, as such.
static inline lane_f lane_of_float(const float *v) { return lane_load(v); }
static inline lane_f lane_of_uint16_t(const uint16_t *v) { return lane_float(lane_words(v)); }
static inline lane_f lane_of_int16_t(const int16_t *v)
{
    return lane_float(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)v)));
}
static inline lane_f lane_of_uint8_t(const uint8_t *v)
{
    return lane_float(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)v)));
}
static inline lane_f lane_of_int8_t(const int8_t *v)
{
    return lane_float(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)v)));
}
// xn_calib_fixed(x); *bad: a lane has no number
static inline lane_i lane_number(lane_f x, int *bad)
{
    __mmask16 in = _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(XN_CALIB_LIMIT), _CMP_LT_OQ);
    *bad |= (__mmask16)~in;
    return _mm512_mask_cvtps_epi32(_mm512_set1_epi32(XN_CALIB_BAD), in, x);
}
// The same, but 0 where f is.
static inline lane_i lane_fixed(lane_f x, lane_f f, int *bad)
{
    __mmask16 in = _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(XN_CALIB_LIMIT), _CMP_LT_OQ);
    __mmask16 on = _mm512_cmp_ps_mask(f, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    *bad |= on & ~in;
    return _mm512_maskz_mov_epi32(on, _mm512_mask_cvtps_epi32(_mm512_set1_epi32(XN_CALIB_BAD), in, x));
}
// A word is in another stage, or full.
static inline bool lane_others(lane_i w) { return _mm512_cmpge_epi32_mask(w, _mm512_set1_epi32(0x3fff)) != 0; }
// xn_calib_jungfrau; planes at the first of the words
static inline lane_i lane_jungfrau(lane_i w, const float *const p[3], const float *const f[3], int64_t i, int *bad)
{
    const __m512i stage = _mm512_set1_epi32(0xc000);
    __mmask16 one = _mm512_cmpeq_epi32_mask(_mm512_and_si512(w, stage), _mm512_set1_epi32(0x4000));
    __mmask16 two = _mm512_cmpgt_epi32_mask(w, stage); // not full
    lane_f first = lane_load(f[0] + i), factor = _mm512_mask_loadu_ps(first, one, f[1] + i);
    lane_f pedestal = _mm512_mask_loadu_ps(lane_load(p[0] + i), one, p[1] + i);
    if (two != 0) {
        factor = _mm512_mask_loadu_ps(factor, two, f[2] + i);
        pedestal = _mm512_mask_loadu_ps(pedestal, two, p[2] + i);
    }
    lane_f x = lane_mul(lane_sub(lane_float(lane_and(w, 0x3fff)), pedestal), factor);
    __mmask16 in = _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(XN_CALIB_LIMIT), _CMP_LT_OQ);
    __mmask16 on = _mm512_cmp_ps_mask(first, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    in &= one | two | _mm512_cmplt_epi32_mask(w, _mm512_set1_epi32(XN_JUNGFRAU_FULL_G0));
    *bad |= on & ~in;
    return _mm512_maskz_mov_epi32(on, _mm512_mask_cvtps_epi32(_mm512_set1_epi32(XN_CALIB_BAD), in, x));
}
#elif defined(__AVX2__)
#include <immintrin.h>
#define WORD_LANES 8
typedef __m256 lane_f;
typedef __m256i lane_i;
static inline lane_i lane_words(const uint16_t *w)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)w));
}
static inline lane_i lane_and(lane_i a, int32_t b) { return _mm256_and_si256(a, _mm256_set1_epi32(b)); }
static inline lane_f lane_float(lane_i a) { return _mm256_cvtepi32_ps(a); }
static inline lane_f lane_load(const float *p) { return _mm256_loadu_ps(p); }
static inline lane_f lane_sub(lane_f a, lane_f b) { return _mm256_sub_ps(a, b); }
static inline lane_f lane_mul(lane_f a, lane_f b) { return _mm256_mul_ps(a, b); }
static inline lane_i lane_round(lane_f a) { return _mm256_cvtps_epi32(a); }
static inline lane_i lane_zero(void) { return _mm256_setzero_si256(); }
static inline lane_i lane_get(const int32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
static inline void lane_put(int32_t *p, lane_i a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
static inline lane_i lane_add(lane_i a, lane_i b) { return _mm256_add_epi32(a, b); }
static inline lane_i lane_at_least(lane_i a, int32_t least)
{
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(least), a), a);
}
static inline lane_f lane_of_float(const float *v) { return lane_load(v); }
static inline lane_f lane_of_uint16_t(const uint16_t *v) { return lane_float(lane_words(v)); }
static inline lane_f lane_of_int16_t(const int16_t *v)
{
    return lane_float(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(const void *)v)));
}
static inline lane_f lane_of_uint8_t(const uint8_t *v)
{
    return lane_float(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)v)));
}
static inline lane_f lane_of_int8_t(const int8_t *v)
{
    return lane_float(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)v)));
}
static inline lane_i lane_number(lane_f x, int *bad)
{
    __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
    __m256 in = _mm256_cmp_ps(size, _mm256_set1_ps(XN_CALIB_LIMIT), _CMP_LT_OQ);
    *bad |= _mm256_movemask_ps(in) ^ 0xff;
    return _mm256_blendv_epi8(_mm256_set1_epi32(XN_CALIB_BAD), _mm256_cvtps_epi32(x), _mm256_castps_si256(in));
}
static inline lane_i lane_fixed(lane_f x, lane_f f, int *bad)
{
    __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
    __m256i in = _mm256_castps_si256(_mm256_cmp_ps(size, _mm256_set1_ps(XN_CALIB_LIMIT), _CMP_LT_OQ));
    __m256i on = _mm256_castps_si256(_mm256_cmp_ps(f, _mm256_setzero_ps(), _CMP_NEQ_UQ));
    __m256i none = _mm256_set1_epi32(XN_CALIB_BAD);
    lane_i q = _mm256_and_si256(on, _mm256_blendv_epi8(none, _mm256_cvtps_epi32(x), in));
    *bad |= _mm256_movemask_epi8(_mm256_cmpeq_epi32(q, none)) != 0;
    return q;
}
static inline bool lane_others(lane_i w)
{
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(w, _mm256_set1_epi32(0x3ffe))) != 0;
}
static inline lane_f choose(lane_i code, const float *const p[3], int64_t i)
{
    __m256 one = _mm256_castsi256_ps(_mm256_cmpeq_epi32(code, _mm256_set1_epi32(1)));
    __m256 more = _mm256_castsi256_ps(_mm256_cmpgt_epi32(code, _mm256_set1_epi32(1)));
    return _mm256_blendv_ps(_mm256_blendv_ps(lane_load(p[0] + i), lane_load(p[1] + i), one), lane_load(p[2] + i), more);
}
static inline lane_i lane_jungfrau(lane_i w, const float *const p[3], const float *const f[3], int64_t i, int *bad)
{
    lane_i code = _mm256_srli_epi32(w, 14), none = _mm256_set1_epi32(XN_CALIB_BAD);
    lane_f x = lane_mul(lane_sub(lane_float(lane_and(w, 0x3fff)), choose(code, p, i)), choose(code, f, i));
    __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
    __m256i in = _mm256_castps_si256(_mm256_cmp_ps(size, _mm256_set1_ps(XN_CALIB_LIMIT), _CMP_LT_OQ));
    __m256i out = _mm256_or_si256(_mm256_cmpeq_epi32(code, _mm256_set1_epi32(2)),
                                  _mm256_or_si256(_mm256_cmpeq_epi32(w, _mm256_set1_epi32(XN_JUNGFRAU_FULL)),
                                                  _mm256_cmpeq_epi32(w, _mm256_set1_epi32(XN_JUNGFRAU_FULL_G0))));
    lane_i q = _mm256_blendv_epi8(none, _mm256_cvtps_epi32(x), _mm256_andnot_si256(out, in));
    __m256 on = _mm256_cmp_ps(lane_load(f[0] + i), _mm256_setzero_ps(), _CMP_NEQ_UQ);
    q = _mm256_and_si256(_mm256_castps_si256(on), q);
    *bad |= _mm256_movemask_epi8(_mm256_cmpeq_epi32(q, none)) != 0;
    return q;
}
#else
#define WORD_LANES 1
typedef float lane_f;
typedef int32_t lane_i;
static inline lane_i lane_words(const uint16_t *w) { return *w; }
static inline lane_i lane_and(lane_i a, int32_t b) { return a & b; }
static inline lane_f lane_float(lane_i a) { return (float)a; }
static inline lane_f lane_load(const float *p) { return *p; }
static inline lane_f lane_sub(lane_f a, lane_f b) { return a - b; }
static inline lane_f lane_mul(lane_f a, lane_f b) { return a * b; }
static inline lane_i lane_round(lane_f a) { return (int32_t)rintf(a); }
static inline lane_i lane_zero(void) { return 0; }
static inline lane_i lane_get(const int32_t *p) { return *p; }
static inline void lane_put(int32_t *p, lane_i a) { *p = a; }
static inline lane_i lane_add(lane_i a, lane_i b) { return a + b; }
static inline lane_i lane_at_least(lane_i a, int32_t least) { return a < least ? 0 : a; }
static inline lane_f lane_of_float(const float *v) { return *v; }
static inline lane_f lane_of_uint16_t(const uint16_t *v) { return (float)*v; }
static inline lane_f lane_of_int16_t(const int16_t *v) { return (float)*v; }
static inline lane_f lane_of_uint8_t(const uint8_t *v) { return (float)*v; }
static inline lane_f lane_of_int8_t(const int8_t *v) { return (float)*v; }
static inline lane_i lane_number(lane_f x, int *bad)
{
    int32_t q = xn_calib_fixed(x);
    *bad |= q == XN_CALIB_BAD;
    return q;
}
static inline lane_i lane_fixed(lane_f x, lane_f f, int *bad)
{
    int32_t q = f == 0.0f ? 0 : xn_calib_fixed(x);
    *bad |= q == XN_CALIB_BAD;
    return q;
}
static inline bool lane_others(lane_i w) { return w >= 0x3fff; }
static inline lane_i lane_jungfrau(lane_i w, const float *const p[3], const float *const f[3], int64_t i, int *bad)
{
    const float pedestal[3] = {p[0][i], p[1][i], p[2][i]}, factor[3] = {f[0][i], f[1][i], f[2][i]};
    int32_t q = xn_calib_jungfrau((uint16_t)w, pedestal, factor);
    *bad |= q == XN_CALIB_BAD;
    return q;
}
#endif

#endif
