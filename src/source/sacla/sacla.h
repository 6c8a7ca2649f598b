// SPDX-License-Identifier: BSD-3-Clause
// sacla.h -- the parts of the SACLA reader: runs of DataConvert files, Cheetah's frames, time-tool tables, all by tag.
//
// Private to src/source (the recognition of files uses the same parts).  Layout: formats.md 1.6.
#ifndef XN_SOURCE_SACLA_H
#define XN_SOURCE_SACLA_H

#include "io/pieces.h"
#include "source/layout.h"
#include "source/shots/join.h"

#define XN_SACLA_CHEETAH "cheetah" // name of the detector of processed files
#define XN_SACLA_TOOL "timetool"   // channel of the tables: the mean of both edges; TOOL/derivative, TOOL/fitting

// ---- files.c

typedef struct xn_sacla_run {
    const char *file; // borrowed
    char group[32];   // "run_259408"; "" for Cheetah's files
    int64_t number;   // 0 for Cheetah's files
} xn_sacla_run;

typedef struct xn_sacla {
    char *const *file; // all, borrowed
    int n_runs;
    xn_sacla_run *run; // in the order of files and numbers
    int n_tables;
    const char **table; // time-tool tables, borrowed
} xn_sacla;

// number (n of them; 0: all): the runs to take. skip: files that cannot be opened are told and left out, else errors.
xani_status xn_sacla_open(xn_ctx *ctx, char *const *files, const double *number, int n, bool skip, xn_sacla *x);
void xn_sacla_close(xn_sacla *x);
bool xn_sacla_is_table(const char *path); // by its name
// Run numbers of a file, ascending; *n 0: it is none of DataConvert's. Owned.
xani_status xn_sacla_numbers(xn_ctx *ctx, const xn_h5 *h5, int64_t **number, int64_t *n);
bool xn_sacla_is_cheetah(const xn_h5 *h5);

// ---- panels.c, detector.c

enum { XN_SACLA_PANELS = 64 };

typedef struct xn_sacla_panel {
    char group[64]; // in a run: "detector_2d_3", "detector_2d_assembled_1"; "" for Cheetah
    char name[96];  // "MPCCD-8-2-001-3", or as the group
    int64_t number; // 3
    double gain;    // electrons per ADU; NaN: not told
    bool left_out;
} xn_sacla_panel;

typedef struct xn_sacla_detector {
    char name[96]; // "MPCCD-8-2-001"
    int n_panels;
    xn_sacla_panel panel[XN_SACLA_PANELS];
    double pixel_mm; // NaN: not told
    // of xn_sacla_detector_read
    xn_pieces *pieces;
    const char *file; // the first that holds frames
    int64_t n;        // frames
    uint64_t *tag;    // (n)
    int32_t *run;     // (n) index of its run
    int64_t *piece;   // (n, n_panels), -1: the panel has none
    uint8_t *bad;     // (n) a panel says so
} xn_sacla_detector;

// The detectors of a run, panels put together; owned by the caller (xn_free).
xani_status xn_sacla_detectors(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, xn_sacla_detector **d, int *n);
// The detector of that name, or of one panel's; NULL: the only one there is. config: for modules that are left out, or
// NULL.
xani_status xn_sacla_detector_find(xn_ctx *ctx, const xn_sacla *x, const xn_config *config, const char *name,
                                   xn_sacla_detector *d);
// Where the frames of all runs lie. Panels must be the same in all.
xani_status xn_sacla_detector_read(xn_ctx *ctx, const xn_sacla *x, const xn_array_options *how, xn_sacla_detector *d);
void xn_sacla_detector_free(xn_sacla_detector *d);

// ---- channels.c

#define XN_SACLA_LASER_WORDS                                                                                           \
    "how laser-on shots are told: a reading that is 1 for them (bl_3/lh_1/laser_pulse_selector_status)"

// All files (xn_sacla *): an xn_channel_reader. A name is a path below event_info, its last word where only one ends
// so, or XN_SACLA_TOOL.
xani_status xn_sacla_read_channel(xn_ctx *ctx, void *x, xn_channel *channel);
// Adds what one run holds of it.
xani_status xn_sacla_append(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, xn_channel *channel);
// Paths below event_info of a run, sorted; owned (xn_h5_names_free).
xani_status xn_sacla_channels(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, char ***names);
// XN_CUT_DARK in refused (n) where one of the usual readings is 0, unless the configuration (or NULL) has input.xrays.
xani_status xn_sacla_dark(xn_ctx *ctx, const xn_config *config, const xn_sacla *x, const xn_sacla_detector *d,
                          uint8_t *refused);

// ---- table.c

// Adds the edges of a table: column 0 their mean, 1 derivative, 2 fitting.
xani_status xn_sacla_table_append(xn_ctx *ctx, const char *path, int column, xn_channel *channel);
// Tables in the folder of a file that belong to a run, by the number in their names; owned, NULL-terminated.
xani_status xn_sacla_tables_beside(xn_ctx *ctx, const char *path, int64_t number, char ***tables);

// ---- facts.c

bool xn_sacla_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_sacla_beside(xn_ctx *ctx, const char *path, char ***others);
xani_status xn_sacla_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
void xn_sacla_init_calibration(struct xn_init_writer *w);

#endif
