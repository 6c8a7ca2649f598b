// SPDX-License-Identifier: BSD-3-Clause
// lz4_block.h -- one LZ4 block decoded where there is room to write past its end; for the shells with vectors of 32
// bytes.
//
// Blocks of bitshuffled counts are a hundred sequences of a few bytes and one long run: there, branches that cannot be
// foreseen cost more than copying.  So short literals and matches are 16 bytes whatever their length (copy_match.h).
// Format: lz4/doc/lz4_Block_format.md.
//
// Bounds: 17 bytes of the source must be left for a copy of literals by 16, else it is exact; the destination has
// XN_LZ4_SLACK bytes behind its end to write in.  A distance beyond the bytes written, a length beyond the ends, and a
// block that does not give exactly `bytes` are errors.
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "codec/copy_match.h"

enum { LEAST_MATCH = 4, SHORT_MATCH = 12 };

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
        __m128i run = start_match(d, distance);
        if (match > SHORT_MATCH) {
            if (match == 15 && !more_length(&s, s_end, &match)) return false;
            if (d > end || (size_t)(end - d) < match + LEAST_MATCH) return false;
            finish_match(d, distance, d + match + LEAST_MATCH, run);
        }
        d += match + LEAST_MATCH;
    }
    return false;
}
