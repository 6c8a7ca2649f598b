// SPDX-License-Identifier: BSD-3-Clause
// convert.c -- see convert.h: one loop per pair of types, made by a macro so that the compiler turns each into vectors.
//
// Whether all values fit is gathered without leaving the loop, block by block; only a block that holds one that does
// not is gone through again to find it.
#include "io/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 1024 };

// Limits of the whole types as the two floating-point ones hold them: lo <= v < hi, exact powers of two.
#define LO_i8 (-0x1p7)
#define HI_i8 0x1p7
#define LO_u8 0.0
#define HI_u8 0x1p8
#define LO_i16 (-0x1p15)
#define HI_i16 0x1p15
#define LO_u16 0.0
#define HI_u16 0x1p16
#define LO_i32 (-0x1p31)
#define HI_i32 0x1p31
#define LO_u32 0.0
#define HI_u32 0x1p32
#define LO_i64 (-0x1p63)
#define HI_i64 0x1p63
#define LO_u64 0.0
#define HI_u64 0x1p64

typedef float f32;
typedef double f64;
typedef int8_t i8;
typedef uint8_t u8;
typedef int16_t i16;
typedef uint16_t u16;
typedef int32_t i32;
typedef uint32_t u32;
typedef int64_t i64;
typedef uint64_t u64;

// GOOD(v): v of type FROM fits TO, in plain comparisons.
#define CONVERTER(FROM, TO, GOOD)                                                                                      \
    static int64_t FROM##_to_##TO(const void *src, void *dst, int64_t n)                                               \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i += BLOCK) {                                                                       \
            int64_t m = xn_min64(BLOCK, n - i);                                                                        \
            const char *s = (const char *)src + (size_t)i * sizeof(FROM);                                              \
            TO *d = (TO *)dst + i;                                                                                     \
            int bad = 0;                                                                                               \
            for (int64_t k = 0; k < m; k++) {                                                                          \
                FROM v;                                                                                                \
                memcpy(&v, s + (size_t)k * sizeof v, sizeof v);                                                        \
                int good = GOOD(v, TO);                                                                                \
                bad |= !good;                                                                                          \
                d[k] = good ? (TO)v : (TO)0;                                                                           \
            }                                                                                                          \
            for (int64_t k = 0; bad && k < m; k++) {                                                                   \
                FROM v;                                                                                                \
                memcpy(&v, s + (size_t)k * sizeof v, sizeof v);                                                        \
                if (!(GOOD(v, TO))) return i + k;                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        return -1;                                                                                                     \
    }

#define ALWAYS(v, TO) ((void)(v), 1)
#define WHOLE(v, TO) ((v) >= LO_##TO && (v) < HI_##TO && trunc((double)(v)) == (double)(v))
// Back to where it came from, of one sign.
#define RANGE(v, TO) ((__typeof__(v))(TO)(v) == (v) && (((TO)(v)) < 0) == ((v) < 0))

#define CONVERTERS(FROM, FITS)                                                                                         \
    CONVERTER(FROM, f32, ALWAYS)                                                                                       \
    CONVERTER(FROM, f64, ALWAYS)                                                                                       \
    CONVERTER(FROM, i8, FITS)                                                                                          \
    CONVERTER(FROM, u8, FITS)                                                                                          \
    CONVERTER(FROM, i16, FITS)                                                                                         \
    CONVERTER(FROM, u16, FITS)                                                                                         \
    CONVERTER(FROM, i32, FITS)                                                                                         \
    CONVERTER(FROM, u32, FITS)                                                                                         \
    CONVERTER(FROM, i64, FITS)                                                                                         \
    CONVERTER(FROM, u64, FITS)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtype-limits"
#pragma GCC diagnostic ignored "-Wsign-compare"
CONVERTERS(f32, WHOLE)
CONVERTERS(f64, WHOLE)
CONVERTERS(i8, RANGE)
CONVERTERS(u8, RANGE)
CONVERTERS(i16, RANGE)
CONVERTERS(u16, RANGE)
CONVERTERS(i32, RANGE)
CONVERTERS(u32, RANGE)
CONVERTERS(i64, RANGE)
CONVERTERS(u64, RANGE)
#pragma GCC diagnostic pop

// In the order of xn_type.
#define ROW(FROM)                                                                                                      \
    {                                                                                                                  \
        FROM##_to_f32, FROM##_to_f64, FROM##_to_i8, FROM##_to_u8, FROM##_to_i16, FROM##_to_u16, FROM##_to_i32,         \
            FROM##_to_u32, FROM##_to_i64, FROM##_to_u64                                                                \
    }
static const xn_converter table[10][10] = {ROW(f32), ROW(f64), ROW(i8),  ROW(u8),  ROW(i16),
                                           ROW(u16), ROW(i32), ROW(u32), ROW(i64), ROW(u64)};
_Static_assert(XN_F32 == 0 && XN_F64 == 1 && XN_I8 == 2 && XN_U8 == 3 && XN_U64 == 9, "order of the table");

xn_converter xn_converter_for(xn_type from, xn_type to)
{
    return (unsigned)from <= XN_U64 && (unsigned)to <= XN_U64 ? table[from][to] : NULL;
}

void xn_value_text(xn_type type, const void *value, char text[48])
{
    if (type == XN_F32 || type == XN_F64) {
        double v = 0;
        table[type][XN_F64](value, &v, 1);
        snprintf(text, 48, "%g", v);
    } else if (type == XN_U64) {
        uint64_t v;
        memcpy(&v, value, sizeof v);
        snprintf(text, 48, "%llu", (unsigned long long)v);
    } else {
        int64_t v = 0;
        if ((unsigned)type <= XN_U64) table[type][XN_I64](value, &v, 1);
        snprintf(text, 48, "%lld", (long long)v);
    }
}

void xn_swap_bytes(void *values, size_t n, size_t elem)
{
    switch (elem) {
    case 2:
        for (uint16_t *v = values, *end = v + n; v < end; v++) *v = __builtin_bswap16(*v);
        break;
    case 4:
        for (uint32_t *v = values, *end = v + n; v < end; v++) *v = __builtin_bswap32(*v);
        break;
    case 8:
        for (uint64_t *v = values, *end = v + n; v < end; v++) *v = __builtin_bswap64(*v);
        break;
    default:
        break;
    }
}
