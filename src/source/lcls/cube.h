// SPDX-License-Identifier: BSD-3-Clause
// cube.h -- the parts of the readers of LCLS cubes, first and second generation (formats.md 1.2, 1.3).
//
// Private to src/source/lcls.
#ifndef XN_SOURCE_LCLS_CUBE_H
#define XN_SOURCE_LCLS_CUBE_H

#include "source/binned/binned.h"
#include "source/shots/delay.h"

#define XN_LCLS_AXES 4 // of bins

// ---- cube.c: <det>_data, nEntries, binVar, <monitor>__<name>

// What the root of a file holds; names owned.
typedef struct xn_lcls_cube {
    int lead;                   // axes of bins
    int64_t dims[XN_LCLS_AXES]; // bins along each
    int64_t bins;               // of all
    char detector[XN_KEY_LENGTH];
    char edges[XN_KEY_LENGTH]; // dataset of the delay axis
    int axis;                  // which one that is
    bool right;                // right edges; else left ones
    bool centres;              // neither: centres
} xn_lcls_cube;

// detector: as in input.frames, or NULL for the only one. XANI_ERR_INPUT says what is missing.
xani_status xn_lcls_cube_look(xn_ctx *ctx, const xn_h5 *h5, const char *detector, xn_lcls_cube *c);
// Centres of the bins along the delay axis as stored (ps); owned.
xani_status xn_lcls_cube_centres(xn_ctx *ctx, const xn_h5 *h5, const xn_lcls_cube *c, double **centre);
// The monitor that is usual for those there are, as input.i0; "" where none can be told.
void xn_lcls_cube_monitor(xn_ctx *ctx, const xn_h5 *h5, char name[XN_KEY_LENGTH]);

// ---- cube2.c: step_value, <label>/<det>/<func>, <label>/<det>/count

typedef struct xn_lcls2_cube {
    char on[64], off[64];      // labels; both "" where the file has none
    int64_t steps;             // rows of each label
    char motor[XN_KEY_LENGTH]; // the only scanned motor, "": none or several
    int n_motors;              // scanned
    int n_labels;              // that hold the frames
    char labels[256];          // their names, for messages
} xn_lcls2_cube;

// frames: path below a label. laser: label of laser-on shots, NULL: by name.
xani_status xn_lcls2_cube_look(xn_ctx *ctx, const xn_h5 *h5, const char *frames, const char *laser, xn_lcls2_cube *c);
// The dataset of the root for each of the `steps` rows of a label; owned.
xani_status xn_lcls2_cube_steps(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, const xn_lcls2_cube *c,
                                double **value);
// The largest (steps, y, x) of any label, as input.frames; "" when there is none.
void xn_lcls2_cube_frames(xn_ctx *ctx, const xn_h5 *h5, char frames[XN_KEY_LENGTH]);
double xn_lcls2_motor_scale(const char *motor); // ps per unit

// Mean per shot of the sums a reading names (NAME, NAME[3], sum(NAME), A + B), for each of `bins` bins: divided by
// nEntries, in LCLS-II by the count beside each, and by `count` where there is none. prefix: label with '/', or "".
xani_status xn_lcls_cube_means(xn_ctx *ctx, const xn_config *config, const char *text, const xn_h5 *h5,
                               const char *prefix, bool second, int64_t bins, const double *count, double *mean);
// Of `bins` numbers, whatever the axes; owned.
xani_status xn_lcls_cube_numbers(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t bins, double **v);

// ---- cube_facts.c

bool xn_lcls_cube_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
bool xn_lcls2_cube_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_lcls_cube_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
xani_status xn_lcls2_cube_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
void xn_lcls_cube_init(struct xn_init_writer *w);
void xn_lcls2_cube_init(struct xn_init_writer *w);

#endif
