// SPDX-License-Identifier: BSD-3-Clause
// type.c -- see type.h.
#include "core/type.h"

#include <stdio.h>

static const struct {
    size_t size;
    const char *name;
} types[] = {
    [XN_F32] = {4, "float32"}, [XN_F64] = {8, "float64"}, [XN_I8] = {1, "int8"},    [XN_U8] = {1, "uint8"},
    [XN_I16] = {2, "int16"},   [XN_U16] = {2, "uint16"},  [XN_I32] = {4, "int32"},  [XN_U32] = {4, "uint32"},
    [XN_I64] = {8, "int64"},   [XN_U64] = {8, "uint64"},  [XN_STR] = {0, "string"}, [XN_OTHER] = {0, "other"},
};

size_t xn_type_size(xn_type t) { return types[t].size; }
const char *xn_type_name(xn_type t) { return types[t].name; }

const char *xn_shape_text(char buf[128], int rank, const int64_t *dims)
{
    size_t used = (size_t)snprintf(buf, 128, "(");
    for (int i = 0; i < rank && used < 100; i++)
        used += (size_t)snprintf(buf + used, 128 - used, "%s%lld", i ? ", " : "", (long long)dims[i]);
    snprintf(buf + used, 128 - used, ")");
    return buf;
}
