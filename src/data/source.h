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

// How stored words become photons (formulas in kernel/calib.h).  Which detector is which kind: docs/detectors.md.
typedef enum {
    XN_CAL_JUNGFRAU, // uint16; gain stage in the top two bits: 0, 1, 3 -> planes 0, 1, 2; value: the other 14 bits
    XN_CAL_SCALE,    // any type, calibrated by the facility: photons = value * photons_per_unit; no planes; NaN: bad
    XN_CAL_EPIX10KA, // uint16; bit 14 says whether the pixel switched: 0, 1 -> planes 0, 1; value: the low 14 bits
    XN_CAL_LINEAR    // any type: photons = (value - pedestal[0]) * factor[0] (ePix100, MPCCD, Rayonix, generic)
} xn_cal_kind;

typedef struct xn_calibration {
    xn_cal_kind kind;
    // Planes (ny, nx), or (n_cells, ny, nx) where n_cells > 1; as many as the kind has stages (3, 0, 2, 1).
    //   photons = (value - pedestal) * factor,  factor = 1 / (gain * energy) for gains in ADU/keV
    // A pixel whose planes are not finite is masked (stage 0) or bad in shots of that stage (others).  Owned.
    float *pedestal[3], *factor[3];
    bool movable;            // reduce may take the planes for its own: nobody else needs them
    double photons_per_unit; // SCALE
    int n_cells;             // memory cells with planes of their own; 0 or 1: one set of planes for all frames
    uint16_t *cell;          // (frames) 0 ... n_cells - 1, NULL where n_cells < 2; owned
    int fixed_stage;     // JUNGFRAU with fixed gain: 1 + the only stage that is valid, words of others are bad; 0: any
    double full;         // LINEAR, SCALE: stored values from here on are saturated; 0: none are
    uint32_t frame_mask; // bits of the words of ops->read_mask that make a value bad in its shot; 0: none are read
    // EPIX10KA: bit s says that the pixel takes part in common mode in stage s; NULL: in stage 0. (ny, nx), owned.
    uint8_t *quiet;
    // Common mode and double pixels: the detector's pixels are read out in banks, its sensor tiled by chips.  0: none.
    int bank_rows, bank_columns, chip_rows, chip_columns;
} xn_calibration;

struct xn_frames; // io/frames.h

// What the bins of a binned layout hold, known before the sums are read.
typedef struct xn_binned_facts {
    int64_t bins;             // of the delay, all cubes together
    double on, off;           // shots
    double on_used, off_used; // those in bins whose I0 is a number above 0
    int64_t bytes;            // of all planes as float64
    int64_t block_bytes;      // most that are read at once
    const double *delay_ps;   // (bins), ascending; the source's
    const double *shots;      // (bins) laser-on shots used
} xn_binned_facts;

typedef struct xn_source xn_source;
typedef struct xn_source_ops {
    const char *layout;
    xani_status (*open)(xn_ctx *ctx, const xn_config *config, int run, xn_source *s); // run -1: input.files
    void (*close)(xn_source *s);
    // Decoded frame in s->type into dst; thread-safe. NULL for binned layouts.
    xani_status (*read_frame)(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch);
    // The same for n frames, which come to lie behind each other in dst; NULL: one by one. See `together`.
    xani_status (*read_frames)(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst);
    // The dataset whose frames, by the same numbers, are what read_frame gives as they are, so that a device can be
    // given them without the processor. NULL: frames are put together.
    const struct xn_frames *(*frames)(const xn_source *s);
    // Mask words (ny, nx) that the facility stored with this frame; thread-safe. NULL: there are none. Read only where
    // cal.frame_mask is not 0.
    xani_status (*read_mask)(xn_ctx *ctx, xn_source *s, int64_t frame, uint32_t *dst, void *scratch);
    // Binned layouts: the sums as float64; NULL for shots.
    xani_status (*read_cube)(xn_ctx *ctx, xn_source *s, xn_cube *cube);
    xani_status (*probe_cube)(xn_ctx *ctx, xn_source *s, double *seconds); // that read_cube takes; NULL: not known
} xn_source_ops;

struct xn_source {
    const xn_source_ops *ops;
    void *impl;
    int64_t ny, nx; // detector pixels
    int grouped;    // a pixel of these frames is the sum of grouped x grouped pixels of the detector; 0: is one itself
    int n_modules;
    int64_t *module_rows; // owned
    xn_type type;
    size_t scratch_bytes;
    int64_t together; // frames k together ... (k + 1) together - 1 are decoded at once: read them so; 0: each alone
    xn_calibration cal;
    uint32_t *mask; // (ny, nx) NXmx bits from the source's own files and input.mask; owned
    xn_shots shots; // joined table, verdicts only for join/bad frame/dark; moved out by select
    xn_binned_facts binned;
    int64_t stored_bytes; // of all frames
    char *run;            // name, "" for a single run
    double angles_deg[8];
    int n_angles;
};

#endif
