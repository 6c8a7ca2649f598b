// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_kernel.h -- the one source of the shuffles; a shell defines LANES and VARIANT and includes it.
//
// 8 rows of bytes become, column by column, 8 bytes: a transposition of 8 x 8 bits per column.  Eight columns
// at once fill eight 64-bit words: their 8 x 8 bytes are transposed by swapping halves, quarters and eighths
// between words, then each word's 8 x 8 bits likewise inside it (H. S. Warren, Hacker's Delight, 7-3).  Both
// transpositions are their own inverse.  A lane is one such word; LANES of them go through at once as a
// vector of the compiler, no intrinsics.
#include <string.h>

#include "io/bitshuffle.h"

#if LANES == 1
typedef uint64_t word;
#else
typedef uint64_t word __attribute__((vector_size(8 * LANES)));
#endif

#define SWAP(a, b, shift, mask)                                                                                        \
    do {                                                                                                               \
        word swap_ = (((a) >> (shift)) ^ (b)) & (mask);                                                                \
        (b) ^= swap_;                                                                                                  \
        (a) ^= swap_ << (shift);                                                                                       \
    } while (0)
#define SWAP_INSIDE(x, shift, mask)                                                                                    \
    do {                                                                                                               \
        word swap_ = ((x) ^ ((x) >> (shift))) & (mask);                                                                \
        (x) ^= swap_ ^ (swap_ << (shift));                                                                             \
    } while (0)

static inline __attribute__((always_inline)) void transpose_bytes(word w[8])
{
    for (int k = 0; k < 4; k++) SWAP(w[k], w[k + 4], 32, 0x00000000FFFFFFFFull);
    for (int k = 0; k < 6; k += k == 1 ? 3 : 1) SWAP(w[k], w[k + 2], 16, 0x0000FFFF0000FFFFull);
    for (int k = 0; k < 8; k += 2) SWAP(w[k], w[k + 1], 8, 0x00FF00FF00FF00FFull);
}

static inline __attribute__((always_inline)) void transpose_bits(word w[8])
{
    for (int k = 0; k < 8; k++) {
        SWAP_INSIDE(w[k], 7, 0x00AA00AA00AA00AAull);
        SWAP_INSIDE(w[k], 14, 0x0000CCCC0000CCCCull);
        SWAP_INSIDE(w[k], 28, 0x00000000F0F0F0F0ull);
    }
}

static inline uint64_t one_column(uint64_t x)
{
    x ^= ((x ^ (x >> 7)) & 0x00AA00AA00AA00AAull) * 129; // t ^ (t << 7) without carries
    x ^= ((x ^ (x >> 14)) & 0x0000CCCC0000CCCCull) * 16385;
    x ^= ((x ^ (x >> 28)) & 0x00000000F0F0F0F0ull) * 268435457;
    return x;
}

static void rows_to_bytes(const uint8_t *restrict rows, uint8_t *restrict bytes, size_t columns)
{
    size_t j = 0;
    for (; j + 8 * LANES <= columns; j += 8 * LANES) {
        word w[8];
        for (int k = 0; k < 8; k++) memcpy(&w[k], rows + (size_t)k * columns + j, sizeof w[k]);
        transpose_bytes(w);
        transpose_bits(w);
        uint64_t out[8][LANES];
        memcpy(out, w, sizeof w);
        for (int lane = 0; lane < LANES; lane++)
            for (int k = 0; k < 8; k++) memcpy(bytes + 8 * (j + 8 * (size_t)lane + (size_t)k), &out[k][lane], 8);
    }
    for (; j < columns; j++) {
        uint64_t x = 0;
        for (int k = 0; k < 8; k++) x |= (uint64_t)rows[(size_t)k * columns + j] << (8 * k);
        x = one_column(x);
        memcpy(bytes + 8 * j, &x, 8);
    }
}

static void bytes_to_rows(const uint8_t *restrict bytes, uint8_t *restrict rows, size_t columns)
{
    size_t j = 0;
    for (; j + 8 * LANES <= columns; j += 8 * LANES) {
        uint64_t in[8][LANES];
        for (int lane = 0; lane < LANES; lane++)
            for (int k = 0; k < 8; k++) memcpy(&in[k][lane], bytes + 8 * (j + 8 * (size_t)lane + (size_t)k), 8);
        word w[8];
        memcpy(w, in, sizeof w);
        transpose_bits(w);
        transpose_bytes(w);
        for (int k = 0; k < 8; k++) memcpy(rows + (size_t)k * columns + j, &w[k], sizeof w[k]);
    }
    for (; j < columns; j++) {
        uint64_t x;
        memcpy(&x, bytes + 8 * j, 8);
        x = one_column(x);
        for (int k = 0; k < 8; k++) rows[(size_t)k * columns + j] = (uint8_t)(x >> (8 * k));
    }
}

// elem is a constant where this is inlined, so that the compiler turns the loops into unpack instructions.
static inline __attribute__((always_inline)) void weave(const uint8_t *restrict planes, uint8_t *restrict elements,
                                                        size_t n, size_t elem)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < elem; b++) elements[i * elem + b] = planes[b * n + i];
}

static inline __attribute__((always_inline)) void unweave(const uint8_t *restrict elements, uint8_t *restrict planes,
                                                          size_t n, size_t elem)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < elem; b++) planes[b * n + i] = elements[i * elem + b];
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
        unweave(elements, planes, n, 2);
        break;
    case 4:
        unweave(elements, planes, n, 4);
        break;
    case 8:
        unweave(elements, planes, n, 8);
        break;
    default:
        unweave(elements, planes, n, elem);
        break;
    }
}

extern const xn_shuffle_kernel VARIANT;
const xn_shuffle_kernel VARIANT = {VARIANT_NAME, rows_to_bytes, bytes_to_rows, interleave, deinterleave};
