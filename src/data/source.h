// SPDX-License-Identifier: BSD-3-Clause
// source.h (data) -- what a source of shots looks like to the stages that read from it.
//
// The readers live in src/source, one file per facility layout; reduce and the pipeline see only this
// struct.  A source gives either shots with frames (read_frame is thread-safe) or an already binned cube.
#ifndef XN_DATA_SOURCE_H
#define XN_DATA_SOURCE_H

#include "core/config.h"
#include "core/type.h"
#include "data/cube.h"

typedef enum { XN_CAL_JUNGFRAU, XN_CAL_SCALE } xn_cal_kind;

// How stored values become photons (formulas in kernel/calib.h).
typedef struct xn_calibration {
    xn_cal_kind kind;
    // JUNGFRAU: planes of the detector's shape; gain stage of the word's top two bits 0, 1, 3 -> index 0, 1, 2.
    // photons = (word & 0x3fff - pedestal) * factor, factor = 1 / (gain * energy); NaN gains -> masked pixels.
    float *pedestal[3], *factor[3];
    double photons_per_unit; // SCALE
} xn_calibration;

typedef struct xn_source xn_source;
typedef struct xn_source_ops {
    const char *layout;
    xani_status (*open)(xn_ctx *ctx, const xn_config *config, int run, xn_source *s); // run -1: input.files
    void (*close)(xn_source *s);
    // Decoded frame in s->type into dst; thread-safe. NULL for binned layouts.
    xani_status (*read_frame)(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch);
    // The same for n frames, which come to lie behind each other in dst; NULL: one by one. See `together`.
    xani_status (*read_frames)(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst);
    // Binned layouts: the sums as float64; NULL for shots.
    xani_status (*read_cube)(xn_ctx *ctx, xn_source *s, xn_cube *cube);
} xn_source_ops;

struct xn_source {
    const xn_source_ops *ops;
    void *impl;
    int64_t ny, nx; // detector pixels
    int n_modules;
    int64_t *module_rows; // owned
    xn_type type;
    size_t scratch_bytes;
    int64_t together; // frames k together ... (k + 1) together - 1 are decoded at once: read them so; 0: each alone
    xn_calibration cal;
    uint32_t *mask;       // (ny, nx) NXmx bits from the source's own files and input.mask; owned
    xn_shots shots;       // joined table, verdicts only for join/bad frame/dark; moved out by select
    int64_t stored_bytes; // of all frames
    char *run;            // name, "" for a single run
    double angles_deg[8];
    int n_angles;
};

#endif
