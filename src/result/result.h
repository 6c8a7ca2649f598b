// SPDX-License-Identifier: BSD-3-Clause
// result.h -- cube.h5, modes.h5 and dispersion.h5 as NeXus files, and the field's on/off cubes.
#ifndef XN_RESULT_RESULT_H
#define XN_RESULT_RESULT_H

#include "core/config.h"
#include "data/cube.h"
#include "data/modes.h"
#include "data/points.h"

// Written into every result: configuration as given, version, command line, inputs with sizes and times.
typedef struct xn_provenance {
    const xn_config *config;   // may be NULL
    const char *const *inputs; // files, NULL-terminated, may be NULL
    const char *identity;      // hash of what the stage depends on; resume compares it. May be NULL
} xn_provenance;

xani_status xn_result_write_cube(xn_ctx *ctx, const char *path, const xn_cube *cube, const xn_provenance *p);
xani_status xn_result_read_cube(xn_ctx *ctx, const char *path, xn_cube *cube);
xani_status xn_result_write_modes(xn_ctx *ctx, const char *path, const xn_modes *modes, const xn_provenance *p);
xani_status xn_result_read_modes(xn_ctx *ctx, const char *path, xn_modes *modes);
xani_status xn_result_write_dispersion(xn_ctx *ctx, const char *path, const xn_dispersion *d, const xn_provenance *p);
// run%04d_on.h5 and _off.h5 with both spellings of the counts (formats.md 1.8). prefix "dir/run0001".
xani_status xn_result_write_field_cubes(xn_ctx *ctx, const char *prefix, const xn_cube *cube);
// Configuration text and identity stored in a result (owned; NULL when absent).
xani_status xn_result_read_config(xn_ctx *ctx, const char *path, char **yaml, char **base_dir);
xani_status xn_result_read_identity(xn_ctx *ctx, const char *path, char **identity);

#endif
