// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_avx512.c -- the shuffles where the processor has AVX-512 with VBMI and GFNI.
//
// An 8 x 8 matrix of bits times the unit vectors gives its columns: GFNI's affine instruction, given the matrix of 8
// rows of a column and a constant, transposes eight columns at once.  To have the rows of a column side by side, bytes
// go through three rounds of unpacking (bitshuffle_kernel.h), which work within lanes of 16 bytes; so that a vector
// ends with eight columns in order, columns are first put in the order that the rounds undo.  Bytes are woven by the
// compiler, from the same source as in the other variants.
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

TARGET static void rows_to_bytes(const uint8_t *restrict rows, uint8_t *restrict out, size_t columns)
{
    const __m512i order = _mm512_load_si512(columns_in_lanes), units = _mm512_set1_epi64(0x8040201008040201ll);
    size_t j = 0;
    for (; j + 64 <= columns; j += 64) {
        __m512i w[8];
        UNROLL for (int k = 0; k < 8; k++) w[k] =
            _mm512_permutexvar_epi8(order, _mm512_loadu_si512(rows + (size_t)(7 - k) * columns + j));
        rotate(w, 3);
        UNROLL for (int k = 0; k < 8; k++)
            _mm512_storeu_si512(out + 8 * j + 64 * k, _mm512_gf2p8affine_epi64_epi8(units, w[k], 0));
    }
    rest_to_bytes(rows, out, columns, j);
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
const xn_shuffle_kernel xn_shuffle_avx512 = {"avx512",     rows_to_bytes, bytes_to_rows, interleave,
                                             deinterleave, decode_lz4,    fletcher32};
