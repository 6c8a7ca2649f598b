// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_kernel.h -- the one source of the shuffles; a shell defines LANES and VARIANT and includes it.
//
// 8 rows of bytes become, column by column, 8 bytes: a transposition of 8 x 8 bits per column, then of the
// 8 rows x 16 bytes that a lane holds.  Bits: halves, quarters and eighths of bytes are swapped between rows
// (H. S. Warren, Hacker's Delight, 7-3); its own inverse.  Bytes: with the address (row, column) of a byte as
// 3 + 4 bits, one round of unpacking rotates the address left by one bit; three rounds give (column, row),
// four more lead back.  LANES lanes of 16 bytes are one vector of the compiler; there are no intrinsics.
#include <string.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "codec/bitshuffle.h"

// Unrolled, so that the eight vectors stay in registers.
#define UNROLL _Pragma("GCC unroll 8")

static inline uint64_t one_column(uint64_t x)
{
    x ^= ((x ^ (x >> 7)) & 0x00AA00AA00AA00AAull) * 129; // t ^ (t << 7) without carries
    x ^= ((x ^ (x >> 14)) & 0x0000CCCC0000CCCCull) * 16385;
    x ^= ((x ^ (x >> 28)) & 0x00000000F0F0F0F0ull) * 268435457;
    return x;
}

// Column j of 8 rows: 8 bytes in order.
static inline uint64_t column_of(const uint8_t *rows, size_t columns, size_t j)
{
    uint64_t x = 0;
    for (int k = 0; k < 8; k++) x |= (uint64_t)rows[(size_t)k * columns + j] << (8 * k);
    return one_column(x);
}

// Columns j and on, one at a time.
static void rest_to_bytes(const uint8_t *restrict rows, uint8_t *restrict out, size_t columns, size_t j)
{
    for (; j < columns; j++) {
        const uint64_t x = column_of(rows, columns, j);
        memcpy(out + 8 * j, &x, 8);
    }
}

static void rest_to_rows(const uint8_t *restrict in, uint8_t *restrict rows, size_t columns, size_t j)
{
    for (; j < columns; j++) {
        uint64_t x;
        memcpy(&x, in + 8 * j, 8);
        x = one_column(x);
        for (int k = 0; k < 8; k++) rows[(size_t)k * columns + j] = (uint8_t)(x >> (8 * k));
    }
}

#ifndef OWN_BITS // the shell brings its own
typedef uint8_t bytes_v __attribute__((vector_size(16 * LANES)));
typedef uint64_t words_v __attribute__((vector_size(16 * LANES)));

#if LANES == 1
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#else
#define LOW(a, b)                                                                                                      \
    __builtin_shufflevector(a, b, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 16, 48, 17, 49, 18, 50, 19,  \
                            51, 20, 52, 21, 53, 22, 54, 23, 55)
#define HIGH(a, b)                                                                                                     \
    __builtin_shufflevector(a, b, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47, 24, 56, 25, 57, 26,    \
                            58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63)
#endif

#define SWAP(a, b, shift, mask)                                                                                        \
    do {                                                                                                               \
        words_v swap_ = (((a) >> (shift)) ^ (b)) & (mask);                                                             \
        (b) ^= swap_;                                                                                                  \
        (a) ^= swap_ << (shift);                                                                                       \
    } while (0)

static inline __attribute__((always_inline)) void put16(uint8_t *to, const uint8_t *from, bool stream)
{
#if defined(__x86_64__)
    if (stream && (uintptr_t)to % 16 == 0) {
        _mm_stream_si128((__m128i *)to, _mm_loadu_si128((const __m128i *)from));
        return;
    }
#endif
    (void)stream;
    memcpy(to, from, 16);
}

static inline __attribute__((always_inline)) void transpose_bits(words_v w[8])
{
    UNROLL for (int k = 0; k < 4; k++) SWAP(w[k], w[k + 4], 4, 0x0F0F0F0F0F0F0F0Full);
    UNROLL for (int k = 0; k < 4; k++) SWAP(w[k + k / 2 * 2], w[k + k / 2 * 2 + 2], 2, 0x3333333333333333ull);
    UNROLL for (int k = 0; k < 8; k += 2) SWAP(w[k], w[k + 1], 1, 0x5555555555555555ull);
}

static inline __attribute__((always_inline)) void rotate_once(words_v w[8])
{
    words_v r[8];
    UNROLL for (int k = 0; k < 4; k++)
    {
        r[2 * k] = (words_v)LOW((bytes_v)w[k], (bytes_v)w[k + 4]);
        r[2 * k + 1] = (words_v)HIGH((bytes_v)w[k], (bytes_v)w[k + 4]);
    }
    UNROLL for (int k = 0; k < 8; k++) w[k] = r[k];
}

static void rows_to_bytes(const uint8_t *restrict rows, uint8_t *restrict out, size_t columns)
{
    size_t j = 0;
    for (; j + 16 * LANES <= columns; j += 16 * LANES) {
        words_v w[8];
        UNROLL for (int k = 0; k < 8; k++) memcpy(&w[k], rows + (size_t)k * columns + j, sizeof w[k]);
        transpose_bits(w);
        UNROLL for (int round = 0; round < 3; round++) rotate_once(w);
        UNROLL for (int lane = 0; lane < LANES; lane++) UNROLL for (int k = 0; k < 8; k++)
            memcpy(out + 8 * j + 128 * lane + 16 * k, (const char *)&w[k] + 16 * lane, 16);
    }
    rest_to_bytes(rows, out, columns, j);
}

// Words: of two planes the vectors of the same columns, unpacked, hold a column in each lane.
static size_t rows_to_elements(const uint8_t *rows, uint8_t *out, size_t n, size_t elem, bool stream)
{
    const size_t columns = n / 8;
    size_t j = 0;
    for (; elem == 2 && j + 16 * LANES <= columns; j += 16 * LANES) {
        words_v low[8], high[8];
        UNROLL for (int k = 0; k < 8; k++)
        {
            memcpy(&low[k], rows + (size_t)k * columns + j, sizeof low[k]);
            memcpy(&high[k], rows + (size_t)(8 + k) * columns + j, sizeof high[k]);
        }
        transpose_bits(low), transpose_bits(high);
        UNROLL for (int round = 0; round < 3; round++) rotate_once(low), rotate_once(high);
        UNROLL for (int k = 0; k < 8; k++)
        {
            const bytes_v even = LOW((bytes_v)low[k], (bytes_v)high[k]), odd = HIGH((bytes_v)low[k], (bytes_v)high[k]);
            UNROLL for (int lane = 0; lane < LANES; lane++)
            {
                uint8_t *to = out + 16 * (j + 16 * (size_t)lane + 2 * (size_t)k);
                put16(to, (const uint8_t *)&even + 16 * lane, stream);
                put16(to + 16, (const uint8_t *)&odd + 16 * lane, stream);
            }
        }
    }
    return 8 * j;
}

static void bytes_to_rows(const uint8_t *restrict in, uint8_t *restrict rows, size_t columns)
{
    size_t j = 0;
    for (; j + 16 * LANES <= columns; j += 16 * LANES) {
        words_v w[8];
        UNROLL for (int lane = 0; lane < LANES; lane++) UNROLL for (int k = 0; k < 8; k++)
            memcpy((char *)&w[k] + 16 * lane, in + 8 * j + 128 * lane + 16 * k, 16);
        UNROLL for (int round = 0; round < 4; round++) rotate_once(w);
        transpose_bits(w);
        UNROLL for (int k = 0; k < 8; k++) memcpy(rows + (size_t)k * columns + j, &w[k], sizeof w[k]);
    }
    rest_to_rows(in, rows, columns, j);
}
#endif

// elem is a constant where this is inlined, so that the compiler turns the loops into unpack instructions.
static inline __attribute__((always_inline)) void weave(const uint8_t *restrict planes, uint8_t *restrict elements,
                                                        size_t n, size_t elem)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < elem; b++) elements[i * elem + b] = planes[b * n + i];
}

// stride: from plane to plane.
static inline __attribute__((always_inline)) void unweave(const uint8_t *restrict elements, uint8_t *restrict planes,
                                                          size_t n, size_t elem, size_t stride)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < elem; b++) planes[b * stride + i] = elements[i * elem + b];
}

// Eight planes at once are more than the compiler finds shuffles for: halves first, then four planes of each.
static void unweave8(const uint8_t *restrict elements, uint8_t *restrict planes, size_t n)
{
    enum { BLOCK = 256 };
    uint32_t half[2][BLOCK], pair[2 * BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t count = n - i < BLOCK ? n - i : BLOCK;
        memcpy(pair, elements + 8 * i, 8 * count);
        for (size_t k = 0; k < count; k++) {
            half[0][k] = pair[2 * k];
            half[1][k] = pair[2 * k + 1];
        }
        unweave((const uint8_t *)half[0], planes + i, count, 4, n);
        unweave((const uint8_t *)half[1], planes + 4 * n + i, count, 4, n);
    }
}

static void interleave(const uint8_t *planes, uint8_t *elements, size_t n, size_t elem)
{
    switch (elem) {
    case 1:
        memcpy(elements, planes, n);
        break;
    case 2:
        weave(planes, elements, n, 2);
        break;
    case 4:
        weave(planes, elements, n, 4);
        break;
    case 8:
        weave(planes, elements, n, 8);
        break;
    default:
        weave(planes, elements, n, elem);
        break;
    }
}

static void deinterleave(const uint8_t *elements, uint8_t *planes, size_t n, size_t elem)
{
    switch (elem) {
    case 1:
        memcpy(planes, elements, n);
        break;
    case 2:
        unweave(elements, planes, n, 2, n);
        break;
    case 4:
        unweave(elements, planes, n, 4, n);
        break;
    case 8:
        unweave8(elements, planes, n);
        break;
    default:
        unweave(elements, planes, n, elem, n);
        break;
    }
}

// Words are taken in the other byte order: since 65536 is 1 in this arithmetic, the sums then have their bytes swapped.
static uint32_t fletcher32(const uint8_t *p, size_t n)
{
    enum { BLOCK = 128 }; // 128 * 129 / 2 words of 16 bits add up in 32
    uint64_t a = 0, b = 0;
    size_t i = 0, words = n / 2;
    for (; i + BLOCK <= words; i += BLOCK) {
        uint32_t sum = 0, weighted = 0;
        for (uint32_t k = 0; k < BLOCK; k++) {
            uint32_t w = (uint32_t)p[2 * (i + k)] | (uint32_t)p[2 * (i + k) + 1] << 8;
            sum += w;
            weighted += (BLOCK - k) * w;
        }
        b += BLOCK * a + weighted;
        a += sum;
        a = (a & 0xffff) + (a >> 16);
        b = (b & 0xffff) + (b >> 16);
    }
    for (; 2 * i < n; i++) {
        a += (uint32_t)p[2 * i] | (2 * i + 1 < n ? (uint32_t)p[2 * i + 1] << 8 : 0);
        b += a;
    }
    while (a >> 16) a = (a & 0xffff) + (a >> 16);
    while (b >> 16) b = (b & 0xffff) + (b >> 16);
    return (uint32_t)__builtin_bswap16((uint16_t)b) << 16 | __builtin_bswap16((uint16_t)a);
}

#ifndef OWN_BITS
extern const xn_shuffle_kernel VARIANT;
const xn_shuffle_kernel VARIANT = {VARIANT_NAME, rows_to_bytes, rows_to_elements, bytes_to_rows,
                                   interleave,   deinterleave,  decode_lz4,       fletcher32};
#endif
