// SPDX-License-Identifier: BSD-3-Clause
// frame.h -- pandas data frames in HDF5 files (HDFStore), both formats, read without Python.
//
//   fixed   group with @pandas_type "frame": axis1 the index, block<i>_items names of columns, block<i>_values
//           (rows, columns of the block)
//   table   group with @pandas_type "frame_table": one dataset `table` of compound values, index and either
//           values_block_<i> of several columns, whose names are pickled in @values_block_<i>_kind, or columns
//
// Blocks of Python objects are pickled values, which only pandas reads; asking for one of their columns says so.
//
// Private to src/source.
#ifndef XN_SOURCE_PAL_FRAME_H
#define XN_SOURCE_PAL_FRAME_H

#include "core/config.h"
#include "io/h5.h"

typedef struct xn_pd_column {
    char *name;
    int block;
    int64_t place; // within the block
} xn_pd_column;

typedef struct xn_pd_block {
    char *name;    // dataset of a fixed frame, member of a table
    xn_type type;  // XN_OTHER: Python objects; XN_STR: text
    int64_t width; // columns
} xn_pd_block;

typedef struct xn_pd_frame {
    char group[XN_KEY_LENGTH]; // "" where there is none
    bool table;
    int64_t n; // rows
    int n_blocks, n_columns;
    xn_pd_block *block;
    xn_pd_column *column;
} xn_pd_frame;

bool xn_pd_is_frame(xn_ctx *ctx, const xn_h5 *h5, const char *group);
xani_status xn_pd_open(xn_ctx *ctx, const xn_h5 *h5, const char *group, xn_pd_frame *frame);
void xn_pd_close(xn_pd_frame *frame);
// (n) values of the index: whole numbers, or times as nanoseconds since 1970; owned.
xani_status xn_pd_index(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *frame, uint64_t **id);
const xn_pd_column *xn_pd_column_named(const xn_pd_frame *frame, const char *name); // NULL: none
// (n) values; owned. Objects and text are refused.
xani_status xn_pd_read(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *frame, const xn_pd_column *column,
                       double **value);
// The group's array `name` is one that pandas made of an empty one: a placeholder of extent 1.
bool xn_pd_is_empty(const xn_h5 *h5, const char *dataset);

// pickle.c: the texts and whole numbers of a pickled list (protocols 0 to 4, nothing else in it), as texts; owned,
// NULL-terminated (xn_h5_names_free). NULL: it is no such list, or memory is short.
char **xn_pickled_names(const char *bytes, size_t n, int64_t *count);

#endif
