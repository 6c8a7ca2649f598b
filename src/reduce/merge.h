// SPDX-License-Identifier: BSD-3-Clause
// merge.h -- sums of several cubes to the cube that one reduction of all their shots gives, bit by bit.
//
// In merge.c: adding and finishing.  In merge_check.c: what cubes must have in common.  In merge_shots.c: their shot
// tables and cut-flows.
#ifndef XN_REDUCE_MERGE_H
#define XN_REDUCE_MERGE_H

#include "reduce/internal.h"

struct xn_merge {
    xn_cube sum; // of the cubes so far; signal and errors are stale until the end
    int n;
    char *first; // name of the first cube
};

// XANI_ERR_INPUT says what cube lacks, or in what it differs from what there is already.
xani_status xn_merge_check(xn_ctx *ctx, const xn_merge *m, const xn_cube *cube, const char *name);

// One table of both, in the order of pulse ids; frame numbers of b are counted on from a. XANI_ERR_INPUT when a shot is
// in both.
xani_status xn_merge_tables(xn_ctx *ctx, const xn_merge *m, const xn_shots *b, const char *name, xn_shots *both);
void xn_merge_cutflow(xn_cutflow *sum, const xn_cutflow *add);

#endif
