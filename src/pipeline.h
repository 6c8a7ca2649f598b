// SPDX-License-Identifier: BSD-3-Clause
// pipeline.h -- the stages in order, and the answers that need more than one of them.
#ifndef XN_PIPELINE_H
#define XN_PIPELINE_H

#include <jansson.h>

#include "core/config.h"
#include "data/cube.h"
#include "data/modes.h"
#include "data/source.h"
#include "map/map.h"
#include "result/result.h"

xani_status xn_pipeline_sim(xn_ctx *ctx, const xn_config *config, const char *directory);
// *summary: owned JSON object with what each stage did; also set when the status is XANI_FAILED_PIXELS.
xani_status xn_pipeline_run(xn_ctx *ctx, const xn_config *config, const char *directory, json_t **summary);
// One folder of results; has: by run of the configuration, whether it takes part; NULL: all do.
xani_status xn_pipeline_folder(xn_ctx *ctx, const xn_config *config, const char *dir, const bool *has, json_t *summary);
// folder.c. The lock is let go of by closing fd. Links to the results of the only run of a list; results.json, names
// of runs (taken over) and whether they were mapped.
xani_status xn_folder_lock(xn_ctx *ctx, const char *dir, int *fd);
xani_status xn_folder_link(xn_ctx *ctx, const char *dir, const char *run);
xani_status xn_folder_contents(xn_ctx *ctx, const char *dir, json_t *runs, bool mapped);
// series.c: a folder for each value of a second axis that is no angle.
xani_status xn_series_run(xn_ctx *ctx, const xn_config *config, const char *dir, json_t *summary);
xani_status xn_pipeline_reduce(xn_ctx *ctx, const xn_config *config, const char *cube_path);
// second_axis.c: the configuration of each value of reduce.second_axis that a run has shots of; the list is owned.
typedef struct xn_axis_value {
    int number; // from 1, counted through all values
    double value, low, high;
    xn_config *config;
} xn_axis_value;
// What can be known before files are opened; XANI_OK where there is no second axis.
xani_status xn_second_axis_check(xn_ctx *ctx, const xn_config *config);
xani_status xn_second_axis_open(xn_ctx *ctx, const xn_config *config, int index, xn_axis_value **list, int *n);
void xn_second_axis_close(xn_axis_value **list, int *n);
// NAME_1.h5, NAME_2.h5, ... for cube_path NAME.h5.
xani_status xn_second_axis_reduce(xn_ctx *ctx, const xn_config *config, int index, const char *cube_path);
// merge.c: cubes, in any order, to one.
xani_status xn_pipeline_merge(xn_ctx *ctx, const char *const *paths, size_t n, const char *output);
// dark.c: pedestals of the dark runs into calibration.h5; NULL: the runs are only opened.
xani_status xn_pipeline_dark(xn_ctx *ctx, const xn_config *config, const char *calibration_path);
xani_status xn_pipeline_fit(xn_ctx *ctx, const xn_config *config, const char *cube_path, const char *modes_path);
// plan not NULL: nothing is calculated or written; *plan, owned, says what would be (map_plan.c).
xani_status xn_pipeline_map(xn_ctx *ctx, const xn_config *config, const char *const *modes_paths, size_t n,
                            const char *dispersion_path, json_t **plan);

// Pieces of stages.c that the whole run uses too. index: in runs[], -1 for none; to_map: the geometry must fit the
// frames, which is worth knowing before they are read.
typedef struct xn_cube_name {
    const xn_config *config;
    const char *path;
    int index; // of the run
    int value; // of a second axis, from 1; 0: none
} xn_cube_name;
// field_pair.c: where output.field_cubes asks for it, run%04d_on.h5 and _off.h5 beside the cube. Spare: before the work
// begins, none of the inputs; there: both are, or not asked for.
xani_status xn_field_pair_spare(xn_ctx *ctx, const xn_cube_name *cube, const char *const *inputs);
xani_status xn_field_pair_write(xn_ctx *ctx, const xn_cube_name *name, const xn_cube *cube);
xani_status xn_field_pair_there(xn_ctx *ctx, const xn_cube_name *cube, bool *there);
// All inputs of a cube (owned), which it does not write over; and the cube, alone.
xani_status xn_stage_spare(xn_ctx *ctx, const xn_cube_name *name, char ***inputs);
xani_status xn_stage_reduce_one(xn_ctx *ctx, const xn_cube_name *name);
// place: where the cube will be, so that what was added so far can be kept beside it; NULL: it is not.
typedef struct xn_stage_place {
    const char *path, *identity;
    const char *const *inputs;
} xn_stage_place;
xani_status xn_stage_cube(xn_ctx *ctx, const xn_config *config, int index, bool to_map, const xn_stage_place *place,
                          xn_cube *cube);
// watch.c: the reduction with its saved sums and snapshots, and their removal when the cube is published.
xani_status xn_stage_reduce(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_stage_place *place,
                            xn_cube *cube);
void xn_stage_forget(const char *path);
// What is stored with a fit: the configuration given, else the one in its input.
xani_status xn_stage_configure(xn_ctx *ctx, const xn_config *given, const char *cube_path, xn_config **config);
// cube.h5 or run%04d_on.h5.
xani_status xn_stage_open_cube(xn_ctx *ctx, xn_config *config, const char *path, xn_cube *cube);
// Fits, from an earlier fit's modes where fit.start is given.
xani_status xn_stage_fit(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, xn_modes *modes);
// What would stop it, before there is a cube.
xani_status xn_stage_check_fit(xn_ctx *ctx, const xn_config *config);
// Counts by fit_status; adds to the pixels fitted and to those that did not converge.
json_t *xn_stage_count(const xn_modes *modes, int64_t *fitted, int64_t *failed);
// XANI_FAILED_PIXELS when more than fit.max_failed did not converge.
xani_status xn_stage_judge(xn_ctx *ctx, const xn_config *config, int64_t fitted, int64_t failed);
// Maps and writes; what came out goes to summary["dispersion"] unless summary is NULL.
xani_status xn_stage_map(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n,
                         const char *const *inputs, const char *identity, const char *path, json_t *summary);

// traces.c: the cubes of these modes files, for averages of traces; both outlive the reader.
typedef struct xn_trace_files xn_trace_files;
xani_status xn_trace_files_open(xn_ctx *ctx, const xn_modes *const *modes, const char *const *paths,
                                xn_trace_files **files, xn_traces *traces);
// XANI_ERR_USAGE where one of these cubes is the output.
xani_status xn_trace_files_spare(xn_ctx *ctx, const char *const *paths, const char *output);
void xn_trace_files_close(xn_trace_files **files);

// check.c: what a run would read, need and pass over.
xani_status xn_plan_check(xn_ctx *ctx, const xn_config *config, json_t **answer);
// map_plan.c: what the map refuses of modes, output and configuration; else what it would make of them.
xani_status xn_stage_map_plan(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n,
                              const char *const *inputs, const char *path, json_t **plan);
// Geometry and lattice load, for frames of this shape (whose pixels are groups of the detector's, 0: are those), where
// the configuration says enough for a map.
xani_status xn_plan_check_map(xn_ctx *ctx, const xn_config *config, int64_t ny, int64_t nx, int grouped);
// plan/budget.c: what the experiment can show.
xani_status xn_plan_budget(xn_ctx *ctx, const xn_config *config, json_t **answer);

// fit_file.c: any model on every trace of a cube or dataset. *summary: owned, counts by status.
xani_status xn_pipeline_fit_model(xn_ctx *ctx, const xn_config *config, const xani_model *model,
                                  const xani_model_options *options, const xani_model_file *file, const char *output,
                                  json_t **summary);

// verify.c: every published result below the paths against its manifest.
xani_status xn_verify(xn_ctx *ctx, const char *const *paths, size_t n, json_t **answer);

// index.c: the orientation refined against the mean frames.
xani_status xn_index(xn_ctx *ctx, const xn_config *config, json_t **answer);

// machine.c: version, threads, memory, fit kernels.
xani_status xn_machine(xn_ctx *ctx, json_t **answer);

#endif
