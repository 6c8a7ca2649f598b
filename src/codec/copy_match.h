// SPDX-License-Identifier: BSD-3-Clause
// copy_match.h -- what stands `distance` bytes before, copied on, overlap included; for the shells with 32-byte
// vectors.
//
// Matches of LZ4 and of deflate are mostly shorter than a vector, and where one overlaps itself no branch foresees it.
// So the first 16 bytes are always written by the same few instructions: those bytes of the source that are there, put
// in their order by one shuffle.  Only a longer match asks what its distance is; a run is that vector again and again.
// Up to 63 bytes behind the end are written too: the caller sees to it that they are there.
#ifndef XN_CODEC_COPY_MATCH_H
#define XN_CODEC_COPY_MATCH_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

// Row `distance`: byte i of a run is its byte i % distance. The last row: the vector as it is.
#define ROW(d)                                                                                                         \
    {                                                                                                                  \
        0 % d, 1 % d, 2 % d, 3 % d, 4 % d, 5 % d, 6 % d, 7 % d, 8 % d, 9 % d, 10 % d, 11 % d, 12 % d, 13 % d, 14 % d,  \
            15 % d                                                                                                     \
    }
static const uint8_t repeated[17][16]
    __attribute__((aligned(16))) = {ROW(1), ROW(1),  ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7), ROW(8),
                                    ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16)};

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

// The first 16 bytes of a match.
static inline __m128i start_match(uint8_t *d, size_t distance)
{
    __m128i order = _mm_load_si128((const __m128i *)repeated[distance < 16 ? distance : 16]);
    __m128i run = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(d - distance)), order);
    _mm_storeu_si128((__m128i *)d, run);
    return run;
}

// All of it up to end, and up to 63 bytes more; run: what start_match gave.
static inline void finish_match(uint8_t *d, size_t distance, const uint8_t *end, __m128i run)
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

#endif
