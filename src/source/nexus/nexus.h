// SPDX-License-Identifier: BSD-3-Clause
// nexus.h -- the parts of the readers of NeXus files: NXmx masters (DECTRIS, Jungfraujoch, beamlines) and plain NXdata.
//
// Private to src/source/nexus.  Both layouts are one reader; they differ in where frames are looked for (find.c) and in
// what NXmx promises about masks and values that are none (mask.c).  Layout: formats.md 2.
#ifndef XN_SOURCE_NEXUS_H
#define XN_SOURCE_NEXUS_H

#include "io/array.h"
#include "source/layout.h"
#include "source/shots/join.h"

struct xn_run_facts;
struct xn_found_run;

#define XN_NX_LEAST 16 // pixels along an edge of what is taken for frames where no attribute says so

// ---- find.c: where things stand in one file

// The group that the @default chain leads to ("entry/data"); without one the first NXentry, or "entry", and the NXdata
// in it, or "data". "" where there is none. entry: the group above it.
xani_status xn_nx_default(xn_ctx *ctx, const xn_h5 *h5, char entry[XN_KEY_LENGTH], char group[XN_KEY_LENGTH]);
// Datasets of frames of a file, in order; owned (xn_h5_names_free). given: input.frames, a dataset or a group, or NULL.
// NULL list with XANI_OK: there are none. Links that lead nowhere are errors that name what is missing.
xani_status xn_nx_find_frames(xn_ctx *ctx, const xn_h5 *h5, bool nxmx, const char *given, char ***datasets);
xani_status xn_nx_is_nxmx(xn_ctx *ctx, const xn_h5 *h5, bool *is);
// The NXdetector group of the default entry, "" where there is none.
xani_status xn_nx_detector(xn_ctx *ctx, const xn_h5 *h5, char group[XN_KEY_LENGTH]);
// Calls `each` for every dataset of numbers below a group, links followed, until it fails.
typedef xani_status (*xn_nx_each)(xn_ctx *ctx, void *user, const xn_h5 *h5, const char *dataset,
                                  const xn_h5_info *info);
xani_status xn_nx_walk(xn_ctx *ctx, const xn_h5 *h5, xn_nx_each each, void *user);
// Text of an attribute is this word.
xani_status xn_nx_attr_is(xn_ctx *ctx, const xn_h5 *h5, const char *object, const char *name, const char *word,
                          bool *is);

// ---- frames.c: the frames of all files as one row of frames

typedef struct xn_nx_part {
    int file;      // index of the input file
    char *dataset; // in it
    char *home;    // the file an external link leads to, or NULL
    int64_t first; // frame of the whole
    int64_t n, together, stored_bytes;
    xn_array *array;
} xn_nx_part;

typedef struct xn_nx_run {
    bool nxmx;
    int n_files;
    char **file;         // owned, NULL at the end
    int64_t *file_first; // (n_files + 1) first frame of each file
    int n_parts;
    xn_nx_part *part;
    int64_t n, ny, nx;
    int rank;                    // of the datasets: 4 or more are stacks of modules, or channels
    int64_t modules;             // one below the other in ny; 1: none
    int64_t n_channels, channel; // 0: no axis of channels
    char channel_name[XN_KEY_LENGTH];
    xn_type type; // stored
    char filters[128];
    uint64_t *id;  // (n)
    uint8_t *once; // (n) 0: an earlier frame has the same id
    bool from_0;   // stored ids begin with 0, so that all of them count one more
    // values that are none: above `highest` or below `lowest`
    bool limited;
    double lowest, highest;
    bool widened; // they become NaN; else the largest number of the type, which no photon count reaches
} xn_nx_run;

// Opens the arrays of all files; config NULL: to look at them only (facts).
xani_status xn_nx_open(xn_ctx *ctx, const xn_config *config, char *const *files, xn_nx_run *run);
void xn_nx_close(xn_nx_run *run);
double xn_nx_largest(xn_type type); // infinite for floats
// Type of what is read, once limits and the photons of a unit are known.
xn_type xn_nx_read_type(xn_nx_run *run, double photons_per_unit);
xani_status xn_nx_read(xn_ctx *ctx, xn_nx_run *run, const int64_t *frames, int64_t n, void *dst);

// ---- readings.c: ids and readings per frame

// run->id from input.ids, the axis image_id, or the numbers of the frames (the first is 1).
xani_status xn_nx_ids(xn_ctx *ctx, const xn_config *config, xn_nx_run *run);
// For the join.
typedef struct xn_nx_readings {
    const xn_nx_run *run;
    const xn_config *config;
} xn_nx_readings;
xani_status xn_nx_read_channel(xn_ctx *ctx, void *readings, xn_channel *channel);
xani_status xn_nx_read_traces(xn_ctx *ctx, void *readings, xn_trace_sink *sink); // an xn_trace_reader

// ---- mask.c: pixels and values that are none

// ORs the pixel masks of the first file into s->mask (made where there is none).
xani_status xn_nx_mask(xn_ctx *ctx, const xn_nx_run *run, xn_source *s);
// run->lowest and highest of an NXmx file: the extremes of the type, and saturation_value.
xani_status xn_nx_limits(xn_ctx *ctx, xn_nx_run *run);

// ---- facts.c

bool xn_nx_claims_nxmx(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
bool xn_nx_claims_nexus(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_nx_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
void xn_nx_init_calibration(struct xn_init_writer *w);

#endif
