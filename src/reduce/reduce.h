// SPDX-License-Identifier: BSD-3-Clause
// reduce.h -- select and reduce: a source's shots to a delay cube.
#ifndef XN_REDUCE_REDUCE_H
#define XN_REDUCE_REDUCE_H

#include "core/config.h"
#include "data/source.h"

// Verdict, laser class, I0 window, time-tool cuts (laser-on only), delay bins; fills the cut-flow.
xani_status xn_select(xn_ctx *ctx, const xn_config *config, xn_shots *shots, xn_cutflow *flow, double **edges_ps,
                      int *nbins);
// The whole stage: select, then integer sums under the memory budget, then signal and errors.
xani_status xn_reduce(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_cube *cube);

// Cubes reduced apart to the one that a single reduction of all their shots gives (merge.c says what that takes).
typedef struct xn_merge xn_merge;
xani_status xn_merge_create(xn_ctx *ctx, xn_merge **merge);
void xn_merge_destroy(xn_merge **merge);
// name: of the file, for errors. The cube is used up: the caller frees what is left of it.
xani_status xn_merge_add(xn_ctx *ctx, xn_merge *merge, xn_cube *cube, const char *name);
const xn_shots *xn_merge_shots(const xn_merge *merge); // of the cubes so far
xani_status xn_merge_finish(xn_ctx *ctx, xn_merge *merge, int threads, xn_cube *cube);

// What may be done while the shots are added, between two batches of them.
typedef struct xn_reduce_watch {
    // Sums so far and the list of shots in them are kept in a file beside `place`, the cube to be; a later call with
    // the same identity goes on from there, and xn_reduce_forget removes it. NULL: they are not.
    const char *place, *identity;
    double save_s; // at least so many seconds between; more where saving takes long. 0: after every batch
    // wanted: a snapshot is due. take: is given a cube of the shots so far, complete and its own to free; a failure
    // ends the reduction. NULL: none.
    bool (*wanted)(void *user);
    xani_status (*take)(xn_ctx *ctx, void *user, xn_cube *snapshot);
    void *user;
} xn_reduce_watch;
// xn_reduce that is watched; watch may be NULL.
xani_status xn_reduce_watched(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_reduce_watch *watch,
                              xn_cube *cube);
void xn_reduce_forget(const char *place);

typedef struct xn_reduce_plan {
    int64_t shots, frames_read, stored_bytes, accumulator_bytes, batch_frames, memory_bytes;
    int64_t write_bytes; // memory while the cube is written and read back, where that is in memory
    int64_t file_bytes;  // of the sums beside the cube while it is made, where they do not fit into memory; else 0
    int passes, bins_per_pass;
    int nbins;
    int spatial_bin;
    int64_t ny, nx;
} xn_reduce_plan;
xani_status xn_reduce_plan_make(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_reduce_plan *plan);

#endif
