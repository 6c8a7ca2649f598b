// SPDX-License-Identifier: BSD-3-Clause
// pal.h -- the parts of the PAL-XFEL reader: frames of the detector, readings of the shots, both by timestamp.
//
// Private to src/source (the recognition of files uses the same parts).  Layout: formats.md 1.7.
#ifndef XN_SOURCE_PAL_H
#define XN_SOURCE_PAL_H

#include "io/frames.h"
#include "source/layout.h"
#include "source/pal/frame.h"
#include "source/shots/join.h"

// Files of a run: one for each scan point, or two where images (type=raw) and scalars (type=measurement) are apart.
typedef struct xn_pal_files {
    int n;
    char *const *file;     // borrowed
    xn_pd_frame *metadata; // (n) of each file; group "" where it has none
} xn_pal_files;

// skip: files that cannot be opened are told and taken off the list (and freed), else they are errors.
xani_status xn_pal_files_open(xn_ctx *ctx, char **files, bool skip, xn_pal_files *run);
void xn_pal_files_close(xn_pal_files *run);

// ---- detector.c

typedef struct xn_pal_detector {
    const char *name;            // borrowed
    char dataset[XN_KEY_LENGTH]; // of its frames, the same in every file
    int n_files;
    char **file; // that hold frames, borrowed strings
    int64_t n, ny, nx;
    xn_type type;
    uint64_t *id;   // (n) timestamps; without any (Rayonix): 1 + number of the row
    int32_t *point; // (n) index of its file, which is a scan point
} xn_pal_detector;

#define XN_PAL_RAYONIX "raymx"

// Names of the detectors of a file ("eh1/jungfrau2", "raymx"), owned (xn_h5_names_free).
xani_status xn_pal_detectors(xn_ctx *ctx, const xn_h5 *h5, char ***names);
// Path of a detector's frames in this file; a name may also be that path. False: it has none of them.
bool xn_pal_dataset(xn_ctx *ctx, const xn_h5 *h5, const char *name, char dataset[XN_KEY_LENGTH]);
// Group of the Rayonix variant, "R12/scan_dat"; false: it is none.
bool xn_pal_rayonix(xn_ctx *ctx, const xn_h5 *h5, char group[XN_KEY_LENGTH]);
xani_status xn_pal_detector_read(xn_ctx *ctx, const xn_pal_files *run, const char *name, xn_pal_detector *d);
void xn_pal_detector_free(xn_pal_detector *d);

// ---- channels.c

#define XN_PAL_LASER_WORDS                                                                                             \
    "how laser-on shots are told: a column of the metadata that is set for them (timestamp_info.RATE_HX_30HZ), or "    \
    "{codes: [30]} for that rate"

// All files (xn_pal_files *): an xn_channel_reader. A name is a column of the metadata, a waveform's group
// (qbpm/eh1/qbpm1/waveforms.ch1), or GROUP/COLUMN of another data frame.
xani_status xn_pal_read_channel(xn_ctx *ctx, void *run, xn_channel *channel);
// Adds what one file holds of it.
xani_status xn_pal_append(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *metadata, int64_t first_row,
                          xn_channel *channel);
xani_status xn_pal_laser(xn_ctx *ctx, const xn_config *config, const xn_pal_files *run, xn_laser_rule *rule);
// The group of the metadata of this file; false: it has none.
bool xn_pal_metadata(xn_ctx *ctx, const xn_h5 *h5, char group[XN_KEY_LENGTH]);

// ---- facts.c

bool xn_pal_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_pal_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);

#endif
