// SPDX-License-Identifier: BSD-3-Clause
// cube_fields.h -- the datasets of cube.h5, one table for writing (cube.c) and reading (cube_read.c).
//
// Needed are those that others may rely on (signal, delay, mask, ...); what only xani writes may be missing in a cube
// that another program made.
#ifndef XN_RESULT_CUBE_FIELDS_H
#define XN_RESULT_CUBE_FIELDS_H

#include "result/nexus.h"

enum { BIN, EDGE, Y, X, MODULE, OFF, SHOT, DET_Y, DET_X, EXTENTS }; // BIN first: nexus.c chunks by it

typedef struct xn_cube_table {
    const xn_field *fields, *shots;
    const xn_scalar *scalars, *off; // off: of binned input only
    int n_fields, n_shots, n_scalars, n_off;
} xn_cube_table;

extern const xn_cube_table xn_cube_datasets;

#define XN_CUBE_EXTRA "/entry/shots/extra_%d" // readings, in the order of extra_names

#endif
