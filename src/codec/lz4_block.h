// SPDX-License-Identifier: BSD-3-Clause
// lz4_block.h -- one LZ4 block decoded where there is room to write past its end; for the shells with vectors of 32
// bytes.
//
// Blocks of bitshuffled counts are a hundred sequences of a few bytes and one long run: there, branches that cannot be
// foreseen cost more than copying.  So short literals and matches are 16 bytes whatever their length, and a match that
// overlaps itself is no case of its own: its first bytes, repeated by one shuffle, are the 16 bytes to write, and a
// longer run is that vector again and again.  Format: lz4/doc/lz4_Block_format.md.
//
// Bounds: 17 bytes of the source must be left for a copy of literals by 16, else it is exact; the destination has
// XN_LZ4_SLACK bytes behind its end to write in.  A distance beyond the bytes written, a length beyond the ends, and a
// block that does not give exactly `bytes` are errors.
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { LEAST_MATCH = 4, SHORT_MATCH = 12 };

// Row `distance`: byte i of a run is its byte i % distance. The last row: the vector as it is.
#define ROW(d)                                                                                                         \
    {                                                                                                                  \
        0 % d, 1 % d, 2 % d, 3 % d, 4 % d, 5 % d, 6 % d, 7 % d, 8 % d, 9 % d, 10 % d, 11 % d, 12 % d, 13 % d, 14 % d,  \
            15 % d                                                                                                     \
    }
static const uint8_t repeated[17][16]
    __attribute__((aligned(16))) = {ROW(1), ROW(1),  ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7), ROW(8),
                                    ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16)};

// Adds the bytes that prolong a length of 15. False: the source ends in them.
static inline bool more_length(const uint8_t **src, const uint8_t *end, size_t *length)
{
    const uint8_t *s = *src;
    unsigned byte;
    do {
        if (s == end) return false;
        byte = *s++;
        *length += byte;
    } while (byte == 255);
    *src = s;
    return true;
}

static inline void copy16(uint8_t *d, const uint8_t *s)
{
    _mm_storeu_si128((__m128i *)d, _mm_loadu_si128((const __m128i *)s));
}
static inline void copy32(uint8_t *d, const uint8_t *s)
{
    _mm256_storeu_si256((__m256i *)d, _mm256_loadu_si256((const __m256i *)s));
}

// Vectors may be stored at steps of any multiple of the distance: the run is in phase there.
static inline void copy_run(uint8_t *d, size_t distance, const uint8_t *end, __m128i run)
{
    size_t step = 16 / distance * distance;
    for (size_t i = 0; i < 4; i++) _mm_storeu_si128((__m128i *)(d + i * step), run);
    if ((size_t)(end - d) <= 4 * step) return;
    __m256i longer = _mm256_loadu_si256((const __m256i *)d);
    for (step = 32 / distance * distance; d < end; d += 2 * step) {
        _mm256_storeu_si256((__m256i *)d, longer);
        _mm256_storeu_si256((__m256i *)(d + step), longer);
    }
}

// Writes from d to end and up to 63 bytes more: what stands `distance` before them; `run`: the first 16 of them.
static inline void copy_match(uint8_t *d, size_t distance, const uint8_t *end, __m128i run)
{
    if (distance < 16) {
        copy_run(d, distance, end, run);
    } else if (distance < 32) {
        for (; d < end; d += 16) copy16(d, d - distance);
    } else {
        for (; d < end; d += 64) {
            copy32(d, d - distance);
            copy32(d + 32, d + 32 - distance);
        }
    }
}

static bool decode_lz4(const uint8_t *src, size_t n, uint8_t *dst, size_t bytes)
{
    const uint8_t *s = src, *s_end = src + n, *end = dst + bytes;
    uint8_t *d = dst;
    while (s < s_end && d <= end) {
        size_t literals = *s >> 4, match = *s & 15;
        s++;
        if (__builtin_expect(literals < 15 && s_end - s > 16, 1)) {
            copy16(d, s);
        } else {
            if (literals == 15 && !more_length(&s, s_end, &literals)) return false;
            if ((size_t)(s_end - s) < literals || (size_t)(end - d) < literals) return false;
            if (literals <= 64 && s_end - s >= 66) {
                copy32(d, s);
                copy32(d + 32, s + 32);
            } else {
                memcpy(d, s, literals);
                if ((size_t)(s_end - s) == literals) return d + literals == end; // the last sequence has no match
                if ((size_t)(s_end - s) - literals < 2) return false;
            }
        }
        s += literals;
        d += literals;
        size_t distance = (size_t)s[0] | (size_t)s[1] << 8;
        s += 2;
        if (distance - 1 >= (size_t)(d - dst)) return false; // 0, too
        __m128i order = _mm_load_si128((const __m128i *)repeated[distance < 16 ? distance : 16]);
        __m128i run = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(d - distance)), order);
        _mm_storeu_si128((__m128i *)d, run);
        if (match > SHORT_MATCH) {
            if (match == 15 && !more_length(&s, s_end, &match)) return false;
            if (d > end || (size_t)(end - d) < match + LEAST_MATCH) return false;
            copy_match(d, distance, d + match + LEAST_MATCH, run);
        }
        d += match + LEAST_MATCH;
    }
    return false;
}
