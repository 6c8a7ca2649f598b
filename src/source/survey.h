// SPDX-License-Identifier: BSD-3-Clause
// survey.h -- the files found below some paths, what each is, which of them make a run; facts about a run.
//
// Private to src/source; used by info.c and init.c.
#ifndef XN_SOURCE_SURVEY_H
#define XN_SOURCE_SURVEY_H

#include "source/swissfel.h"

typedef enum {
    XN_FOUND_OTHER,  // not of a layout known here
    XN_FOUND_BROKEN, // cannot be opened
    XN_FOUND_CUBE,   // either half of a field cube
    XN_FOUND_SWISSFEL,
    XN_FOUND_GAIN,
    XN_FOUND_PEDESTAL,
    XN_FOUND_GEOMETRY,
    XN_FOUND_RESULT // written by xani
} xn_found_kind;

typedef struct xn_found_file {
    char *path; // absolute
    xn_found_kind kind;
    int64_t bytes;
    char *note; // why it is broken, what it holds; or NULL
} xn_found_file;

typedef struct xn_found_run {
    char *name;
    char *key; // what its files have in common
    bool cube; // else SwissFEL
    int n;
    char **file; // NULL-terminated; the strings belong to the survey
} xn_found_run;

typedef struct xn_survey {
    int n;
    xn_found_file *file; // sorted by path
    int n_runs;
    xn_found_run *run;
} xn_survey;

// Folders are searched a few levels deep. beside: also look for calibration and geometry files around the runs.
xani_status xn_survey_make(xn_ctx *ctx, const char *const *paths, size_t n, bool beside, xn_survey *survey);
void xn_survey_free(xn_survey *survey);
const char *xn_found_name(xn_found_kind kind);

// ---- facts.c: a SwissFEL run without a configuration

typedef enum {
    XN_ROLE_NONE,
    XN_ROLE_I0,
    XN_ROLE_DELAY,
    XN_ROLE_EDGE,
    XN_ROLE_QUALITY,
    XN_ROLE_EVENTS,
    XN_ROLE_ENERGY
} xn_role;

typedef struct xn_channel_facts {
    char *name;
    xn_role role; // guessed from the name
    xn_type type;
    int rank;
    int64_t dims[XANI_MAX_RANK];              // of the first file that holds it
    int64_t readings, matched;                // pulses; those with a frame
    bool scalar;                              // values were read: the rest holds
    double min, max, mean, low, median, high; // low and high: 0.5 and 99.5 per cent
    int64_t distinct;
    double step; // median distance of distinct values
} xn_channel_facts;

typedef struct xn_run_facts {
    xn_sf_detector d; // the largest detector; d.n == 0: none
    char *detector;   // its name
    int n_detectors;
    char **detectors; // all names
    char filters[128];
    int64_t stored_bytes;
    uint64_t first, last, step;
    int64_t lost, gaps, duplicates, without_id, bad;
    int64_t on, off, dark, unknown; // by the rule guessed
    const char *rule;               // "daq_rec", "evtset20", "evtset25"; NULL: none tells on from off
    bool high_gain;
    int n_channels;
    xn_channel_facts *channel;
    int i0, stage, edge, quality, energy; // guesses; -1: none
} xn_run_facts;

xani_status xn_run_facts_read(xn_ctx *ctx, const xn_found_run *run, xn_run_facts *facts);
void xn_run_facts_free(xn_run_facts *facts);

// ---- survey_cube.c: the same for a cube

typedef struct xn_cube_facts {
    int64_t bins, ny, nx;
    xn_type type;
    char filters[128];
    int64_t stored_bytes;
    double first_ps, last_ps, step_ps; // of scan_var as it stands; step NaN when not uniform
    int64_t empty;
    double on_shots, off_shots;
} xn_cube_facts;

xani_status xn_cube_facts_read(xn_ctx *ctx, const xn_found_run *run, xn_cube_facts *facts);

#endif
