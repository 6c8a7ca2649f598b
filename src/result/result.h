// SPDX-License-Identifier: BSD-3-Clause
// result.h -- cube.h5, modes.h5 and dispersion.h5 as NeXus files, and the field's on/off cubes.
#ifndef XN_RESULT_RESULT_H
#define XN_RESULT_RESULT_H

#include "core/config.h"
#include "data/cube.h"
#include "data/dark.h"
#include "data/modes.h"
#include "data/points.h"
#include "xani/model.h"

// Written into every result: configuration as given, version, command line, inputs with sizes and times.
typedef struct xn_provenance {
    const xn_config *config;   // may be NULL
    const char *const *inputs; // files, NULL-terminated, may be NULL
    const char *identity;      // hash of what the stage depends on; resume compares it. May be NULL
    const char *const *merged; // cubes that were added up, NULL-terminated. May be NULL
    double energy_kev;         // where the geometry file says it, not the configuration; else 0
    bool partial;              // not the last file of this result: warnings kept so far belong to that one too
} xn_provenance;

// Kinds of results, as their manifests say.
#define XN_RESULT_CUBE "cube"
#define XN_RESULT_MODES "modes"
#define XN_RESULT_FIT "fit"
#define XN_RESULT_DISPERSION "dispersion"
#define XN_RESULT_CALIBRATION "calibration"
#define XN_RESULT_FIELD "field"
// Whether the file itself says that it is a result of this kind, with a manifest or without.
bool xn_result_is(xn_ctx *ctx, const char *path, const char *kind);

xani_status xn_result_write_cube(xn_ctx *ctx, const char *path, const xn_cube *cube, const xn_provenance *p);
xani_status xn_result_read_cube(xn_ctx *ctx, const char *path, xn_cube *cube);
// All but the arrays of bins and pixels, which stay NULL; errors (y, x) of one bin of such a cube.
xani_status xn_result_read_cube_head(xn_ctx *ctx, const char *path, xn_cube *cube);
xani_status xn_result_read_errors(xn_ctx *ctx, const char *path, int bin, const xn_cube *head, float *errors);
xani_status xn_result_write_modes(xn_ctx *ctx, const char *path, const xn_modes *modes, const xn_provenance *p);
xani_status xn_result_read_modes(xn_ctx *ctx, const char *path, xn_modes *modes);
xani_status xn_result_write_dispersion(xn_ctx *ctx, const char *path, const xn_dispersion *d, const xn_provenance *p);
xani_status xn_result_write_calibration(xn_ctx *ctx, const char *path, const xn_dark *dark, const xn_provenance *p);
// fit.h5: what a model (lsq/lsq.h) gave on every trace. Planes of n_traces, one behind the other.
typedef struct xn_fit_planes {
    const xani_model *model;
    int n_parameters, rank;
    int64_t n_traces, dims[XANI_MAX_RANK];
    double *values, *errors, *covariance; // (parameter), (parameter), (parameter, parameter) or NULL
    double *chi2, *chi2_reduced, *aic, *bic;
    int64_t *points, *evaluations;
    uint8_t *status;         // xani_model_status
    bool is_cube;            // axes y and x
    const char *errors_from; // "counting", "sigma", "residual"
    const char *data, *x;    // datasets fitted, NULL: those of the cube, or none
} xn_fit_planes;
xani_status xn_fit_planes_alloc(xn_ctx *ctx, const xani_model *model, int rank, const int64_t *dims, bool covariance,
                                xn_fit_planes *planes);
void xn_fit_planes_free(xn_fit_planes *planes);
xani_status xn_result_write_fit(xn_ctx *ctx, const char *path, const xn_fit_planes *planes, const xn_provenance *p);
// run%04d_on.h5 and _off.h5 with both spellings of the counts (formats.md 1.8). prefix "dir/run0001"; kind: for their
// manifests.
xani_status xn_result_write_field_cubes(xn_ctx *ctx, const char *prefix, const char *kind, const xn_cube *cube);
// Configuration text and identity stored in a result (owned; NULL when absent).
xani_status xn_result_read_config(xn_ctx *ctx, const char *path, char **yaml, char **base_dir);
// The configuration of that text; NULL when none is stored.
xani_status xn_result_stored(xn_ctx *ctx, const char *path, xn_config **config);
xani_status xn_result_read_identity(xn_ctx *ctx, const char *path, char **identity);
// What a kept result says of its experiment and the configuration in it, which later stages go by, become those of
// `config` where one of these parts of it, or the folder of its paths, is another.  refresh.c
xani_status xn_result_refresh(xn_ctx *ctx, const char *path, const xn_config *config, const char *const *parts);
// Inputs stored in a result; free with xn_h5_names_free, NULL when none are.
xani_status xn_result_read_inputs(xn_ctx *ctx, const char *path, char ***inputs);
// The first pulse id of a cube, 0 when it has no shots.
xani_status xn_result_read_first_shot(xn_ctx *ctx, const char *path, uint64_t *pulse_id);

#endif
