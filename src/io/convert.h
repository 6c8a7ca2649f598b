// SPDX-License-Identifier: BSD-3-Clause
// convert.h -- numbers of one type as another, with every value that does not fit found.
//
// What the library converts silently (5e9 as 32 bits gives 4294967295) is refused here.  Whole numbers fit where they
// are in range; floating-point numbers become whole ones only where they are whole; float64 becomes float32 rounded,
// beyond its range infinite; whole numbers become floating-point ones rounded.
#ifndef XN_IO_CONVERT_H
#define XN_IO_CONVERT_H

#include "core/core.h"
#include "core/type.h"

// n numbers from src (any alignment) to dst; -1, or the index of the first that does not fit.
typedef int64_t (*xn_converter)(const void *src, void *dst, int64_t n);
xn_converter xn_converter_for(xn_type from, xn_type to); // NULL: strings and others
void xn_value_text(xn_type type, const void *value, char text[48]);
void xn_swap_bytes(void *values, size_t n, size_t elem); // byte order, in place; elem 1, 2, 4, 8

#endif
