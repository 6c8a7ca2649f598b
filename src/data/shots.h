// SPDX-License-Identifier: BSD-3-Clause
// shots.h -- the shot table, the verdict on each shot and the cut-flow.
//
// One row per detector frame that has a pulse id, in the order of the pulse ids.  `select` fills
// verdict: the number of the first cut that refused the shot, or 0 when it is used.  The cut-flow
// counts seen, cut and left for every cut, laser-on and laser-off separately.
#ifndef XN_DATA_SHOTS_H
#define XN_DATA_SHOTS_H

#include "core/core.h"

enum { XN_LASER_OFF = 0, XN_LASER_ON = 1, XN_LASER_UNKNOWN = 2 };

// Reasons that exist in every experiment; configured cuts follow from XN_CUT_CUSTOM.
enum {
    XN_CUT_NONE = 0,  // used
    XN_CUT_JOIN,      // a needed channel has no value for this pulse id, or a duplicate differs
    XN_CUT_MODULE,    // a module of the detector has no data in this shot
    XN_CUT_BAD_FRAME, // detector says the frame is not good
    XN_CUT_DARK,      // no X-rays in this shot
    XN_CUT_LASER,     // laser state unknown
    XN_CUT_NAN,       // I0 or delay is NaN
    XN_CUT_I0,        // outside the I0 window, or I0 <= 0
    XN_CUT_TIME_TOOL, // laser-on only
    XN_CUT_BIN,       // laser-on delay outside the delay bins
    XN_CUT_MAX_SHOTS, // beyond select.max_shots
    XN_CUT_CURVE,     // no I0 above 0 after select.i0_correction
    XN_CUT_CUSTOM
};

typedef struct xn_shots {
    int64_t n;
    uint64_t *pulse_id;
    uint64_t (*clock)(uint64_t id); // ids are times: that of an id, in even units; NULL: even steps, or not known
    int64_t *frame;                 // index of the detector frame
    uint8_t *laser;                 // XN_LASER_*
    double *i0;
    double *delay_ps;                      // corrected delay; NaN for laser-off shots
    int32_t *bin;                          // delay bin of used laser-on shots, else -1
    uint8_t *verdict;                      // XN_CUT_*, 0 = used
    int64_t frames;                        // frames of the source, with and without a row; 0: unknown
    int64_t missing, duplicate, unmatched; // pulse ids absent from the detector / repeated / without a frame
    // channels kept for cuts: time-tool and select.cuts sources, by name
    int n_extra;
    char **extra_name;         // channel name
    double **extra;            // n values each
    double time_resolution_ps; // rms, NaN when unknown
} xn_shots;

typedef struct xn_cutflow {
    int n;                                      // cuts in order of application
    char **name;                                // "seen", "join", "good frame", "i0", ...
    int64_t *on_left, *off_left, *unknown_left; // shots left after this cut, by class
} xn_cutflow;

xani_status xn_shots_alloc(xn_ctx *ctx, int64_t n, int n_extra, xn_shots *shots);
void xn_shots_free(xn_shots *shots);
// One more column among the extras, NaN everywhere; the one of that name where there is one already.
xani_status xn_shots_column(xn_ctx *ctx, const char *name, xn_shots *shots, double **values);
const double *xn_shots_find(const xn_shots *shots, const char *name); // NULL: none

// Columns that are not readings.
#define XN_COLUMN_TOOL "delay/time_tool"  // ps: what the time tool adds to the delay, with its signs
#define XN_COLUMN_PHOTONS "frame/photons" // of good pixels in a used shot, counted by reduce
#define XN_COLUMN_I0 "i0/as_read"         // where select.i0_correction changed it
xani_status xn_cutflow_add(xn_ctx *ctx, xn_cutflow *flow, const char *name, int64_t on, int64_t off, int64_t unknown);
void xn_cutflow_free(xn_cutflow *flow);

#endif
