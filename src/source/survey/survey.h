// SPDX-License-Identifier: BSD-3-Clause
// survey.h -- the files found below some paths, what each is, which of them make a run; facts about a run.
//
// Private to src/source; used by info.c and init.c.
#ifndef XN_SOURCE_SURVEY_H
#define XN_SOURCE_SURVEY_H

#include "source/layout.h"
#include "source/shots/channel.h"

typedef enum {
    XN_FOUND_OTHER,  // not of a layout known here
    XN_FOUND_BROKEN, // cannot be opened
    XN_FOUND_RUN,    // of a layout known here
    XN_FOUND_GAIN,
    XN_FOUND_PEDESTAL,
    XN_FOUND_GEOMETRY,
    XN_FOUND_RESULT // written by xani
} xn_found_kind;

typedef struct xn_found_file {
    char *path; // absolute
    xn_found_kind kind;
    const xn_input_layout *layout; // of XN_FOUND_RUN
    char *key;                     // of XN_FOUND_RUN: what the files of a run share
    int64_t bytes;
    bool named; // by the caller, not found in a folder
    char *note; // why it is broken, what it holds; or NULL
} xn_found_file;

typedef struct xn_found_run {
    char *name;
    char *key; // what its files have in common
    const xn_input_layout *layout;
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
const char *xn_found_name(const xn_found_file *file); // the layout, or the kind

// ---- facts.c: a run without a configuration

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
    int64_t readings, matched;                // shots; those with a frame
    bool scalar;                              // values were read: the rest holds
    double min, max, mean, low, median, high; // low and high: 0.5 and 99.5 per cent
    int64_t distinct;
    double step;      // median distance of distinct values
    double scale_ps;  // ps per unit, where the layout knows it; NAN
    xn_channel value; // its readings, until xn_facts_finish
} xn_channel_facts;

typedef struct xn_detector_facts {
    char *name;        // as in input.frames
    int64_t n, ny, nx; // frames; shape
    int64_t rows_all;  // rows when all modules are on: calibration files may have so many; 0: as ny
    xn_type type;      // stored
    char filters[128];
    int64_t stored_bytes;
    int modules, modules_on; // 0: not told
    bool high_gain, converted;
} xn_detector_facts;

typedef struct xn_cube_facts {
    int64_t bins, ny, nx;
    xn_type type;
    char filters[128];
    int64_t stored_bytes;
    char scan[XN_KEY_LENGTH];          // what the bins are of; "": scan_var
    double first_ps, last_ps, step_ps; // of it as it stands; step NaN when not uniform
    int64_t empty;
    double on_shots, off_shots;
} xn_cube_facts;

// Energy and place of the detector as the files tell them; NaN where they do not.
typedef struct xn_place_facts {
    double energy_kev, distance_mm, pixel_mm, centre_px[2];
    char turned[256]; // how the pixels' directions differ from those of geometry.detector; "" where they agree
} xn_place_facts;

typedef struct xn_run_facts {
    bool binned; // then `cube` holds, and nothing else
    xn_cube_facts cube;
    int n_detectors, chosen; // the largest detector; -1: none
    xn_detector_facts *detector;
    xn_place_facts place;
    // of the chosen detector's frames
    uint64_t *id; // ascending, without 0
    int64_t n_ids;
    uint64_t first, last, step;
    int train_bits; // low bits of an id that number the pulse of a train; 0: ids follow each other in even steps
    int64_t lost, gaps, duplicates, without_id, bad;
    int64_t on, off, dark, unknown;  // by the rule guessed
    char rule[XN_KEY_LENGTH];        // input.laser that tells on from off, as YAML; "": none does
    char other_rules[XN_KEY_LENGTH]; // for the comment beside it
    char more[XN_KEY_LENGTH];        // further keys of input that the rule needs, lines of YAML for `xani init`
    int n_channels;
    xn_channel_facts *channel;
    int i0, stage, edge, quality, energy; // guesses; -1: none
    int stage_too;                        // a second part of the delay; -1: none
    char region[128];                     // geometry.region as YAML, where frames are part of a detector; "": whole
} xn_run_facts;

xani_status xn_run_facts_read(xn_ctx *ctx, const xn_found_run *run, xn_run_facts *facts); // asks the run's layout

// What a layout's `facts` is made of. detector: copied; the largest is chosen. chosen becomes true when it is this one.
xani_status xn_facts_detector(xn_ctx *ctx, xn_run_facts *facts, const xn_detector_facts *detector, bool *chosen);
// Ids of the chosen detector's frames (0: none), good (NULL: all) 0 for bad ones; before the channels. part (NULL:
// one): the scan point or run that each is of, between which no frames are due. facts->train_bits: set before.
xani_status xn_facts_ids(xn_ctx *ctx, xn_run_facts *facts, const uint64_t *id, const uint8_t *good, const int32_t *part,
                         int64_t n);
// Adds the channel, or finds it. *value: where its readings go; NULL when it is no scalar.
xani_status xn_facts_channel(xn_ctx *ctx, xn_run_facts *facts, const char *name, const xn_h5_info *info,
                             xn_channel **value);
// Statistics of all channels and guesses of their roles; their readings stay until xn_facts_free.
xani_status xn_facts_finish(xn_ctx *ctx, xn_run_facts *facts);
// Counts on and off by a channel (on where it is not 0, inverted: where it is); true when it tells some from others,
// and then the counts are set.
bool xn_facts_laser(xn_run_facts *facts, const xn_channel *channel, bool inverted);
void xn_facts_free(xn_run_facts *facts);

// ---- gaps.c: facts->lost, gaps and duplicates; n_ids and step are known

xani_status xn_facts_gaps(xn_ctx *ctx, const uint64_t *id, const int32_t *part, int64_t n, xn_run_facts *facts);

// ---- detectors.c: what a geometry file holds, an object of JSON

struct json_t;
xani_status xn_detector_of_file(xn_ctx *ctx, const char *path, struct json_t **facts);

#endif
