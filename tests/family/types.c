// SPDX-License-Identifier: BSD-3-Clause
// types.c -- see family.h: element types in both byte orders, and values that suit them.
//
// Integers and floats of all sizes, booleans as h5py writes them (an enumeration of int8), an enumeration of uint16,
// bit fields, and integers with unused bits (12 of 16, 20 of 32, shifted up), which only a conversion can read.
#include "family.h"

#define BOTH(name, kind, type, sign)                                                                                   \
    {name, kind, type, sign, false}, { name " big-endian", kind, type, sign, true }

static const family_type types[] = {
    {"u1", FAMILY_INTEGER, XN_U8, false, false},
    {"i1", FAMILY_INTEGER, XN_I8, true, false},
    BOTH("u2", FAMILY_INTEGER, XN_U16, false),
    BOTH("i2", FAMILY_INTEGER, XN_I16, true),
    BOTH("u4", FAMILY_INTEGER, XN_U32, false),
    BOTH("i4", FAMILY_INTEGER, XN_I32, true),
    BOTH("u8", FAMILY_INTEGER, XN_U64, false),
    BOTH("i8", FAMILY_INTEGER, XN_I64, true),
    BOTH("f4", FAMILY_FLOAT, XN_F32, true),
    BOTH("f8", FAMILY_FLOAT, XN_F64, true),
    {"boolean", FAMILY_ENUM, XN_I8, true, false},
    BOTH("enumeration", FAMILY_ENUM, XN_U16, false),
    {"b1", FAMILY_BITS, XN_U8, false, false},
    BOTH("b2", FAMILY_BITS, XN_U16, false),
    BOTH("b4", FAMILY_BITS, XN_U32, false),
    BOTH("b8", FAMILY_BITS, XN_U64, false),
    BOTH("12 bits of u2", FAMILY_NARROW, XN_U16, false),
    {"20 bits of i4", FAMILY_NARROW, XN_I32, true, false},
};

int family_types(void) { return sizeof types / sizeof types[0]; }
const family_type *family_type_at(int index) { return &types[index]; }

static hid_t integer(xn_type type, bool big)
{
    switch (type) {
    case XN_I8:
        return H5T_STD_I8LE;
    case XN_U8:
        return H5T_STD_U8LE;
    case XN_I16:
        return big ? H5T_STD_I16BE : H5T_STD_I16LE;
    case XN_U16:
        return big ? H5T_STD_U16BE : H5T_STD_U16LE;
    case XN_I32:
        return big ? H5T_STD_I32BE : H5T_STD_I32LE;
    case XN_U32:
        return big ? H5T_STD_U32BE : H5T_STD_U32LE;
    case XN_I64:
        return big ? H5T_STD_I64BE : H5T_STD_I64LE;
    case XN_U64:
        return big ? H5T_STD_U64BE : H5T_STD_U64LE;
    case XN_F32:
        return big ? H5T_IEEE_F32BE : H5T_IEEE_F32LE;
    default:
        return big ? H5T_IEEE_F64BE : H5T_IEEE_F64LE;
    }
}

static hid_t bits(xn_type type, bool big)
{
    switch (xn_type_size(type)) {
    case 1:
        return H5T_STD_B8LE;
    case 2:
        return big ? H5T_STD_B16BE : H5T_STD_B16LE;
    case 4:
        return big ? H5T_STD_B32BE : H5T_STD_B32LE;
    default:
        return big ? H5T_STD_B64BE : H5T_STD_B64LE;
    }
}

static hid_t enumeration(const family_type *t, bool big)
{
    static const struct {
        const char *name;
        uint16_t value;
    } members[] = {{"OFF", 0}, {"ON", 1}, {"OPEN", 2}, {"FAILED", 4097}, {"NONE", 65535}};
    hid_t id = H5Tenum_create(integer(t->type, big));
    for (int i = 0; i < (t->type == XN_I8 ? 2 : 5); i++) {
        uint8_t one = (uint8_t)members[i].value;
        uint16_t two = big ? __builtin_bswap16(members[i].value) : members[i].value;
        const char *name = t->type == XN_I8 ? (i ? "TRUE" : "FALSE") : members[i].name;
        H5Tenum_insert(id, name, t->type == XN_I8 ? (const void *)&one : &two);
    }
    return id;
}

static hid_t make(const family_type *t, bool big, bool narrow)
{
    hid_t id;
    if (t->kind == FAMILY_ENUM) return enumeration(t, big);
    id = H5Tcopy(t->kind == FAMILY_BITS ? bits(t->type, big) : integer(t->type, big));
    if (narrow && t->type == XN_U16) H5Tset_precision(id, 12);
    if (narrow && t->type == XN_I32) {
        H5Tset_precision(id, 20);
        H5Tset_offset(id, 7);
    }
    return id;
}

hid_t family_type_file(const family_type *t) { return make(t, t->big, t->kind == FAMILY_NARROW); }
hid_t family_type_memory(const family_type *t) { return make(t, false, false); }

// Counts, noise, a constant, extremes.
static uint64_t whole(const family_type *t, xn_rng *r, int style, uint64_t constant)
{
    uint64_t noise = (uint64_t)xn_rng_u32(r) << 32 | xn_rng_u32(r);
    switch (style) {
    case 0:
        return t->is_signed ? (uint64_t)(xn_rng_poisson(r, 3.0) - 2) : (uint64_t)xn_rng_poisson(r, 3.0);
    case 1:
        return noise;
    case 2:
        return constant;
    default: {
        const uint64_t extremes[] = {0,
                                     UINT64_MAX,
                                     1,
                                     0x8000000000000000u,
                                     0x7fffffffffffffffu,
                                     0x80000000u,
                                     0x7fffffffu,
                                     0x8000u,
                                     0x7fffu,
                                     0x80u,
                                     0x7fu,
                                     0xffffu};
        return extremes[noise % 12];
    }
    }
}

static double floating(xn_rng *r, int style, double constant)
{
    static const double extremes[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 1e-310, 3e38, -1e300, 1e-42, 1.0};
    switch (style) {
    case 0:
        return (double)xn_rng_poisson(r, 3.0) * 0.25 - 1;
    case 1:
        return xn_rng_normal(r) * 1e3;
    case 2:
        return constant;
    default:
        return extremes[xn_rng_u32(r) % 10];
    }
}

void family_values(const family_type *t, xn_rng *r, int style, void *values, size_t n)
{
    static const uint16_t members[] = {0, 1, 2, 4097, 65535};
    uint64_t constant = xn_rng_u32(r) & 0x7f;
    for (size_t i = 0; i < n; i++) {
        if (t->kind == FAMILY_FLOAT) {
            double v = floating(r, style, (double)constant);
            if (t->type == XN_F32)
                ((float *)values)[i] = (float)v;
            else
                ((double *)values)[i] = v;
            continue;
        }
        uint64_t v = whole(t, r, style, constant);
        if (t->kind == FAMILY_ENUM) v = members[v % (t->type == XN_I8 ? 2 : 5)];
        if (t->kind == FAMILY_NARROW) v = t->type == XN_U16 ? v & 0xfff : (uint64_t)((int64_t)(v & 0xfffff) - 0x80000);
        memcpy((char *)values + i * xn_type_size(t->type), &v, xn_type_size(t->type)); // little-endian machine
    }
}
