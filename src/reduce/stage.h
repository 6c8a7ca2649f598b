// SPDX-License-Identifier: BSD-3-Clause
// stage.h -- what reduce.c (the stage in order) and passes.c (where its sums lie, one pass after the other) share.
#ifndef XN_REDUCE_STAGE_H
#define XN_REDUCE_STAGE_H

#include "reduce/device.h"
#include "reduce/keep.h"

typedef struct xn_stage {
    xn_ctx *ctx;
    xn_source *source;
    const xn_reduce_kernels *kernels;
    xn_groups groups;
    xn_work work;
    xn_layout_plan plan;
    int threads;
    xn_sum_choice choice; // devices that add the shots
} xn_stage;

xn_accumulator xn_stage_accumulator(xn_stage *stage);
// Room for signal, errors and sums of all bins: in memory, or in a file beside `place` where they do not fit.
xani_status xn_passes_alloc(const xn_stage *stage, const char *place, xn_cube *cube);
// All passes, from where a former run was; watch may be NULL. photons: (rows of the shot table), zeros.
xani_status xn_passes_run(xn_stage *stage, const xn_reduce_watch *watch, int64_t *photons, xn_cube *cube);

#endif
