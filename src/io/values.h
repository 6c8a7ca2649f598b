// SPDX-License-Identifier: BSD-3-Clause
// values.h -- values of any type of HDF5: strings, compounds, sequences, references; their hash, and references that
// are made to point into another file.
#ifndef XN_IO_VALUES_H
#define XN_IO_VALUES_H

#include "io/tree.h"

// Has parts that lie elsewhere (sequences and texts of variable length), or references: its bytes are not its value.
bool xn_type_indirect(hid_t type);
bool xn_type_references(hid_t type);

// The hash of values as they lie in a file's own type, of rows one after another. References count as the paths, in
// `tree`, of what they point to. Inside enter/leave.
typedef struct xn_values_hash xn_values_hash;
xn_values_hash *xn_values_hash_open(void); // NULL: out of memory
// Rows first ... last - 1 of a dataset (a scalar: 0, 1).
xani_status xn_values_hash_rows(xn_ctx *ctx, const xn_h5 *file, const char *name, const xn_tree *tree, int64_t first,
                                int64_t last, xn_values_hash *hash);
uint64_t xn_values_hash_close(xn_values_hash **hash);
xani_status xn_values_hash_attribute(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t attribute,
                                     const xn_tree *tree, uint64_t *hash);

// Where references of one file lead in another.
typedef struct xn_relocation {
    hid_t from, to;      // files
    const xn_tree *tree; // of `from`
    int64_t lost;        // references to nothing that has a name, left empty
} xn_relocation;
// n values of `type`, as in memory.
bool xn_values_relocate(hid_t type, void *values, int64_t n, xn_relocation *r);

#endif
