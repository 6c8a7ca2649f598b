// SPDX-License-Identifier: BSD-3-Clause
// lcls.h -- the parts of the readers of LCLS small data: shot ids by row, readings, frames, laser rule, what `xani
// init` proposes.
//
// Private to src/source/lcls.  Layout: formats.md 1.1 and 1.3.  In a small data file all arrays of one group share
// their rows; a row's id is its event time, sec << 32 | nsec.
#ifndef XN_SOURCE_LCLS_H
#define XN_SOURCE_LCLS_H

#include "io/frames.h"
#include "source/layout.h"
#include "source/shots/join.h"

#define XN_LCLS_MISSING (-99999.0) // what the facility writes for a whole number that is not there; NaN for others
#define XN_LCLS_GROUPS 8           // groups with rows of their own: the main one and those of align_group

// ---- rows.c: the ids of the rows of all files

typedef struct xn_lcls_rows {
    char group[64];   // "" or the group with a rate of its own ("intg")
    int64_t n;        // rows of all files
    int64_t *first;   // (n_files + 1) of each file
    uint64_t *id;     // (n) event time; 0: the row has none
    uint8_t *again;   // (n) the id stood in an earlier row of the same file
    int64_t events;   // different ids
    uint64_t *event;  // (events) ascending
    uint64_t step_ns; // between them, usually
} xn_lcls_rows;

typedef struct xn_lcls {
    bool second; // LCLS-II
    int n_files;
    char **file; // NULL-terminated, borrowed
    xn_h5 **h5;  // (n_files) open until xn_lcls_close
    int n_groups;
    xn_lcls_rows rows[XN_LCLS_GROUPS]; // read when first asked for
} xn_lcls;

// Opens the files; each must be of small data of that generation. On failure too, xn_lcls_close.
xani_status xn_lcls_open(xn_ctx *ctx, bool second, char **files, xn_lcls *l);
void xn_lcls_close(xn_lcls *l);
// True when the file holds ids of small data; second: LCLS-II's.
bool xn_lcls_is(const xn_h5 *h5, bool *second);
// The rows that belong to the dataset `path`.
xani_status xn_lcls_rows_of(xn_ctx *ctx, xn_lcls *l, const char *path, const xn_lcls_rows **rows);
// The event nearest to so many steps later, none farther away than half a step: xn_channel.later; of: xn_lcls_rows.
uint64_t xn_lcls_later(const void *of, uint64_t id, int64_t shots);
// Nanoseconds since the epoch: unlike ids, evenly spaced.
uint64_t xn_lcls_ns(uint64_t id);

// ---- channels.c

// A path as it is stored, without the leading '/'.
const char *xn_lcls_path(const char *name);
// An xn_channel_reader; user: xn_lcls. Missing values are no readings.
xani_status xn_lcls_read_channel(xn_ctx *ctx, void *lcls, xn_channel *channel);
xani_status xn_lcls_read_traces(xn_ctx *ctx, void *lcls, xn_trace_sink *sink); // an xn_trace_reader
// Calls `visit` for every dataset of the file whose rows are shots, in the order of their paths.
typedef xani_status (*xn_lcls_visit)(xn_ctx *ctx, const char *path, const xn_h5_info *info, void *user);
xani_status xn_lcls_each(xn_ctx *ctx, const xn_h5 *h5, xn_lcls_visit visit, void *user);
// XANI_ERR_INPUT that names the dataset, the files and the nearest existing name.
xani_status xn_lcls_no_dataset(xn_ctx *ctx, const xn_lcls *l, const char *name);
// One reading of a text (NAME, NAME[3], A + B ...) for each of n ids; NAN where it is missing or differs.
xani_status xn_lcls_readings(xn_ctx *ctx, const xn_config *config, const char *key, const char *text, xn_lcls *l,
                             const uint64_t *id, int64_t n, double *value);

// ---- frames.c

typedef struct xn_lcls_frames {
    const char *name; // dataset path, borrowed
    int n_files;
    char **file; // those that hold it, borrowed strings
    int64_t n, ny, nx;
    int64_t modules; // 0: not told by the shape
    xn_type type;
    uint64_t *id;     // (n)
    uint8_t *refused; // (n) XN_CUT_BAD_FRAME where the detector did not contribute, else XN_CUT_NONE
    int64_t absent;   // so many of them
} xn_lcls_frames;

// thorough: frames without a number are found also where that means decoding all of them.
xani_status xn_lcls_frames_read(xn_ctx *ctx, xn_lcls *l, const char *name, bool thorough, xn_lcls_frames *f);
void xn_lcls_frames_free(xn_lcls_frames *f);
bool xn_lcls_is_frames(const xn_h5_info *info); // rank 3 or more

// ---- region.c

// "ROI_0" of "jungfrau1M/ROI_0_area", with the detector's name; false for other names.
bool xn_lcls_region_name(const char *frames, char detector[64], char region[64]);
// Where the region of the frames lies in the detector, as UserDataCfg tells; rank 0: it does not.
xani_status xn_lcls_region(xn_ctx *ctx, const xn_h5 *h5, const char *frames, xn_region *region);

// ---- laser.c

#define XN_LCLS_LASER "lightStatus/laser"
#define XN_LCLS_XRAY "lightStatus/xray"
#define XN_LCLS_CODES 16

// Shots are laser-on unless a `drop` code is there; with `required` codes, when any of them is there too.
typedef struct xn_lcls_codes {
    int n_required, n_drop;
    int required[XN_LCLS_CODES], drop[XN_LCLS_CODES];
} xn_lcls_codes;

// State of n ids by input.laser (XN_LASER_*). config NULL: by `codes`, or where that is NULL too by lightStatus/laser.
xani_status xn_lcls_laser(xn_ctx *ctx, const xn_config *config, const xn_lcls_codes *codes, xn_lcls *l,
                          const uint64_t *id, int64_t n, uint8_t *state);
// XN_CUT_DARK in `refused` where lightStatus/xray is 0 and nothing else refused the frame.
xani_status xn_lcls_dark(xn_ctx *ctx, xn_lcls *l, const uint64_t *id, int64_t n, uint8_t *refused);

// ---- presets.c: what differs between instruments, as data for `xani init`

// Laser codes of the instrument that a file's name begins with ("xppx12345_Run0001.h5"); NULL: none known.
const xn_lcls_codes *xn_lcls_hutch_codes(const char *path, bool second);
typedef struct xn_lcls_role {
    const char *name; // dataset path; * stands for any characters
    int role;         // xn_role
    double scale_ps;  // ps per unit; NAN: not known, 0: ps or s, which only the values tell
} xn_lcls_role;
// The first entry that fits the path, NULL: none. Entries of one role stand in the order in which they are preferred.
const xn_lcls_role *xn_lcls_role_of(const char *path);

// ---- facts.c

bool xn_lcls_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
bool xn_lcls2_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_lcls_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
void xn_lcls_init_calibration(struct xn_init_writer *w);

#endif
