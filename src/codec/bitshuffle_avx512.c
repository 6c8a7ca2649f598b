// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_avx512.c -- the shuffles where the processor has AVX-512 with VBMI and GFNI.
//
// An 8 x 8 matrix of bits times the unit vectors gives its columns: GFNI's affine instruction, given the matrix of 8
// rows of a column and a constant, transposes eight columns at once.  To have the rows of a column side by side, bytes
// go through three rounds of unpacking (bitshuffle_kernel.h), which work within lanes of 16 bytes; so that a vector
// ends with eight columns in order, columns are first put in the order that the rounds undo.
//
// Elements of 2 and 4 bytes go from rows to elements in registers: with lane l holding columns 8 k + l and 8 k + 4 + l,
// two planes unpacked give four columns of words in order.  Other elements are woven by the compiler, from the same
// source as in the other variants.
#include <immintrin.h>

#define OWN_BITS
#include "codec/bitshuffle_kernel.h"
#include "codec/lz4_block.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,gfni")))

// Lane l, bytes 2 k and 2 k + 1: columns 8 k + 2 l and the next.
static const uint8_t columns_in_lanes[64] __attribute__((aligned(64))) = {
#define PAIR(l, k) 8 * k + 2 * l, 8 * k + 2 * l + 1
#define LANE(l) PAIR(l, 0), PAIR(l, 1), PAIR(l, 2), PAIR(l, 3), PAIR(l, 4), PAIR(l, 5), PAIR(l, 6), PAIR(l, 7)
    LANE(0), LANE(1), LANE(2), LANE(3)};
// The inverse: column 8 k + 2 l + h is byte 2 k + h of lane l.
static const uint8_t lanes_in_columns[64] __attribute__((aligned(64))) = {
#define EIGHT(k) 2 * k, 2 * k + 1, 2 * k + 16, 2 * k + 17, 2 * k + 32, 2 * k + 33, 2 * k + 48, 2 * k + 49
    EIGHT(0), EIGHT(1), EIGHT(2), EIGHT(3), EIGHT(4), EIGHT(5), EIGHT(6), EIGHT(7)};

// Lane l, bytes 2 k and 2 k + 1: columns 8 k + l and 8 k + 4 + l.
static const uint8_t columns_for_words[64] __attribute__((aligned(64))) = {
#define APART(l, k) 8 * k + l, 8 * k + 4 + l
#define APARTS(l) APART(l, 0), APART(l, 1), APART(l, 2), APART(l, 3), APART(l, 4), APART(l, 5), APART(l, 6), APART(l, 7)
    APARTS(0), APARTS(1), APARTS(2), APARTS(3)};

TARGET static inline __attribute__((always_inline)) void rotate(__m512i w[8], int rounds)
{
    __m512i r[8];
    UNROLL for (int round = 0; round < rounds; round++)
    {
        UNROLL for (int k = 0; k < 4; k++)
        {
            r[2 * k] = _mm512_unpacklo_epi8(w[k], w[k + 4]);
            r[2 * k + 1] = _mm512_unpackhi_epi8(w[k], w[k + 4]);
        }
        UNROLL for (int k = 0; k < 8; k++) w[k] = r[k];
    }
}

// 64 columns of 8 rows, `stride` apart: each vector 8 columns of bytes.
TARGET static inline __attribute__((always_inline)) void plane(__m512i w[8], const uint8_t *rows, size_t stride,
                                                               const uint8_t *columns)
{
    const __m512i order = _mm512_load_si512(columns), units = _mm512_set1_epi64(0x8040201008040201ll);
    UNROLL for (int k = 0; k < 8; k++) w[k] =
        _mm512_permutexvar_epi8(order, _mm512_loadu_si512(rows + (size_t)(7 - k) * stride));
    rotate(w, 3);
    UNROLL for (int k = 0; k < 8; k++) w[k] = _mm512_gf2p8affine_epi64_epi8(units, w[k], 0);
}

TARGET static void rows_to_bytes(const uint8_t *restrict rows, uint8_t *restrict out, size_t columns)
{
    size_t j = 0;
    for (; j + 64 <= columns; j += 64) {
        __m512i w[8];
        plane(w, rows + j, columns, columns_in_lanes);
        UNROLL for (int k = 0; k < 8; k++) _mm512_storeu_si512(out + 8 * j + 64 * k, w[k]);
    }
    rest_to_bytes(rows, out, columns, j);
}

// Where a vector goes: to the caches, or past them, whole or in quarters as the address allows.
enum { CACHED, PAST, PAST_QUARTERS };

TARGET static inline __attribute__((always_inline)) void put(uint8_t *out, __m512i x, int way)
{
    if (way == CACHED) {
        _mm512_storeu_si512(out, x);
    } else if (way == PAST) {
        _mm512_stream_si512((__m512i *)out, x);
    } else {
        _mm_stream_si128((__m128i *)out, _mm512_castsi512_si128(x));
        _mm_stream_si128((__m128i *)(out + 16), _mm512_extracti32x4_epi32(x, 1));
        _mm_stream_si128((__m128i *)(out + 32), _mm512_extracti32x4_epi32(x, 2));
        _mm_stream_si128((__m128i *)(out + 48), _mm512_extracti32x4_epi32(x, 3));
    }
}

// Vectors 2 k and 2 k + 1: words of columns 8 k to 8 k + 3 and of the next four.
TARGET static inline __attribute__((always_inline)) void words(__m512i v[16], const uint8_t *rows, size_t stride)
{
    __m512i low[8], high[8];
    plane(low, rows, stride, columns_for_words);
    plane(high, rows + 8 * stride, stride, columns_for_words);
    UNROLL for (int k = 0; k < 8; k++)
    {
        v[2 * k] = _mm512_unpacklo_epi8(low[k], high[k]);
        v[2 * k + 1] = _mm512_unpackhi_epi8(low[k], high[k]);
    }
}

TARGET static inline __attribute__((always_inline)) size_t
to_elements(const uint8_t *restrict rows, uint8_t *restrict out, size_t columns, size_t elem, int way)
{
    const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0),
                  second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    size_t j = 0;
    for (; j + 64 <= columns; j += 64) {
        __m512i v[16], u[16];
        uint8_t *to = out + 8 * elem * j;
        words(v, rows + j, columns);
        if (elem == 2) {
            UNROLL for (int k = 0; k < 16; k++) put(to + 64 * k, v[k], way);
            continue;
        }
        words(u, rows + 16 * columns + j, columns);
        UNROLL for (int k = 0; k < 16; k++)
        {
            const __m512i halves[2] = {_mm512_unpacklo_epi16(v[k], u[k]), _mm512_unpackhi_epi16(v[k], u[k])};
            put(to + 128 * k, _mm512_permutex2var_epi64(halves[0], first, halves[1]), way);
            put(to + 128 * k + 64, _mm512_permutex2var_epi64(halves[0], second, halves[1]), way);
        }
    }
    return 8 * j;
}

TARGET static size_t rows_to_elements(const uint8_t *rows, uint8_t *out, size_t n, size_t elem, bool stream)
{
    const int way = !stream || (uintptr_t)out % 16 != 0 ? CACHED : (uintptr_t)out % 64 != 0 ? PAST_QUARTERS : PAST;
    if (elem == 2 && way == CACHED) return to_elements(rows, out, n / 8, 2, CACHED);
    if (elem == 2 && way == PAST) return to_elements(rows, out, n / 8, 2, PAST);
    if (elem == 2) return to_elements(rows, out, n / 8, 2, PAST_QUARTERS);
    if (elem == 4 && way == CACHED) return to_elements(rows, out, n / 8, 4, CACHED);
    if (elem == 4 && way == PAST) return to_elements(rows, out, n / 8, 4, PAST);
    if (elem == 4) return to_elements(rows, out, n / 8, 4, PAST_QUARTERS);
    return 0;
}

TARGET static void bytes_to_rows(const uint8_t *restrict in, uint8_t *restrict rows, size_t columns)
{
    const __m512i order = _mm512_load_si512(lanes_in_columns), units = _mm512_set1_epi64(0x8040201008040201ll),
                  backwards = _mm512_set4_epi32(0x08090a0b, 0x0c0d0e0f, 0x00010203, 0x04050607);
    size_t j = 0;
    for (; j + 64 <= columns; j += 64) {
        __m512i w[8];
        UNROLL for (int k = 0; k < 8; k++)
        {
            w[k] = _mm512_shuffle_epi8(_mm512_loadu_si512(in + 8 * j + 64 * k), backwards);
            w[k] = _mm512_gf2p8affine_epi64_epi8(units, w[k], 0);
        }
        rotate(w, 4);
        UNROLL for (int k = 0; k < 8; k++)
            _mm512_storeu_si512(rows + (size_t)k * columns + j, _mm512_permutexvar_epi8(order, w[k]));
    }
    rest_to_rows(in, rows, columns, j);
}

extern const xn_shuffle_kernel xn_shuffle_avx512;
const xn_shuffle_kernel xn_shuffle_avx512 = {"avx512",   rows_to_bytes, rows_to_elements, bytes_to_rows,
                                             interleave, deinterleave,  decode_lz4,       fletcher32};
