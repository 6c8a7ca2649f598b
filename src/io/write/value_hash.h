// SPDX-License-Identifier: BSD-3-Clause
// value_hash.h -- the hash of a dataset's values, which does not depend on how they are stored.
//
// Chained over the lines along the fastest axis, h = XXH3(XXH3(line), seed h) from h = 0, on native bytes in C order;
// one line for scalars and one axis.  Lines are hashed by all threads, only the chain is serial; rows may come in
// parts.
#ifndef XN_IO_VALUE_HASH_H
#define XN_IO_VALUE_HASH_H

#include "core/core.h"
#include "core/type.h"

typedef struct xn_value_hash xn_value_hash;

xn_value_hash *xn_value_hash_open(size_t elem, int rank, const int64_t *dims); // NULL: out of memory
// The next n rows along axis 0 (rank 0: one). false: out of memory.
bool xn_value_hash_rows(xn_value_hash *h, const void *rows, int64_t n, int threads);
// The same in two steps for datasets of two axes and more: lines of n rows, in any order and from any thread; and
// chained.
int64_t xn_value_hash_lines_of(const xn_value_hash *h, int64_t n); // 0: in one step only
void xn_value_hash_lines(const xn_value_hash *h, const void *rows, int64_t n, uint64_t *lines);
void xn_value_hash_chain(xn_value_hash *h, const uint64_t *lines, int64_t n);
uint64_t xn_value_hash_get(const xn_value_hash *h); // of all rows so far
void xn_value_hash_close(xn_value_hash **h);

uint64_t xn_hash_values(const void *values, xn_type type, int rank, const int64_t *dims);
uint64_t xn_hash_texts(const char *const *texts, int64_t n); // each with its closing NUL

#endif
