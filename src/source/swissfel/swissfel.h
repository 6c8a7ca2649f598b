// SPDX-License-Identifier: BSD-3-Clause
// swissfel.h -- the parts of the SwissFEL reader: channels with their own pulse ids, the detector's
// bookkeeping beside its frames, laser rules, calibration files.
//
// Private to src/source (the recognition of files uses the same parts).  Layout: formats.md 1.5.
#ifndef XN_SOURCE_SWISSFEL_H
#define XN_SOURCE_SWISSFEL_H

#include "io/frames.h"
#include "source/layout.h"
#include "source/shots/join.h"

// ---- channels.c: one value per pulse id

// Group of a channel or detector in a file: "data/NAME" or "NAME"; false when there is none with pulse ids.
// A name may also be written as the path of its dataset, "data/NAME/data".
bool xn_sf_group(const xn_h5 *h5, const char *name, char group[XN_KEY_LENGTH]);
// Adds what the file holds of the channel; nothing when it holds nothing.
xani_status xn_sf_append(xn_ctx *ctx, const xn_h5 *h5, xn_channel *channel);
// An xn_channel_reader.
typedef struct xn_sf_input {
    char *const *files; // NULL at the end
    const struct xn_sf_detector *detector;
    const struct xn_sf_scan *scan; // NULL: there is none
} xn_sf_input;
xani_status xn_sf_read_channel(xn_ctx *ctx, void *input, xn_channel *channel);
// The same for traces: an xn_trace_reader.
xani_status xn_sf_read_traces(xn_ctx *ctx, void *input, xn_trace_sink *sink);
// One value per frame of the detector, there[i] 0: none; ids that frames repeat once.
xani_status xn_sf_add_frames(xn_ctx *ctx, xn_channel *channel, const struct xn_sf_detector *d, const double *value,
                             uint8_t *there);
// Names of all channels of a file (groups with data and pulse_id), sorted, "general" left out; owned.
xani_status xn_sf_names(xn_ctx *ctx, const xn_h5 *h5, char ***names);
// XANI_ERR_INPUT that names the channel, the files and the nearest existing name.
xani_status xn_sf_missing(xn_ctx *ctx, char *const *files, const char *name);

// ---- detector.c: the detector's arrays beside its frames, frames of all files in order

typedef struct xn_sf_detector {
    const char *name;          // borrowed
    char group[XN_KEY_LENGTH]; // "data/NAME" or "NAME", the same in every file
    int n_files;
    char **file;         // borrowed from the list of files
    int64_t *file_first; // (n_files + 1) first frame of each
    int64_t n, ny, nx;   // frames; shape
    xn_type type;
    uint64_t *pulse_id; // (n); 0: the frame has none
    bool has_daq_rec;   // some file has it
    uint64_t *daq_rec;  // (n)
    uint8_t *daq_mixed; // (n) modules disagree on daq_rec, or this frame's file has none
    uint8_t *good;      // (n) 1 unless is_good_frame says 0
    int n_map;          // entries of module_map; 0: no module_map
    int64_t map[256];   // place of each module in the data, -1 = off
    bool assembled;     // by geometry, or cut out: rows are not those of modules
    bool processed;     // converted to keV (meta/conversion_factor exists, meta/conversion does not deny it)
    double conversion;  // keV per unit of a processed file
} xn_sf_detector;

xani_status xn_sf_detector_read(xn_ctx *ctx, char *const *files, const char *name, xn_sf_detector *d);
void xn_sf_detector_free(xn_sf_detector *d);
bool xn_sf_is_detector(xn_ctx *ctx, const xn_h5 *h5, const char *name); // rank-3 data and pulse ids
// Modules of the data in s->module_rows; physical[m] is the module that data rows of module m belong to,
// -1 where it is switched off (its pixels are masked). physical: n_modules entries, owned by the caller.
xani_status xn_sf_modules(xn_ctx *ctx, const xn_config *config, const xn_sf_detector *d, xn_source *s,
                          int64_t **physical);

// A JUNGFRAU by its name (JF07T32V01, JF07T32V01:ROI_a); cameras look alike otherwise.
bool xn_sf_is_jungfrau(const char *name);

// ---- scan.c: scan.json

typedef struct xn_sf_scan {
    char *path;
    struct json_t *json;
} xn_sf_scan;

// meta/scan.json of a data file's run, owned; NULL: there is none.
xani_status xn_sf_scan_beside(xn_ctx *ctx, const char *file, char **path);
xani_status xn_sf_scan_open(xn_ctx *ctx, const char *path, xn_sf_scan *scan);
void xn_sf_scan_close(xn_sf_scan *scan);
const char *xn_sf_scan_name(const xn_sf_scan *scan, size_t parameter); // NULL behind the last
bool xn_sf_scan_is(const char *reading);                               // scan/..., scan_readback/...
xani_status xn_sf_scan_read(xn_ctx *ctx, const xn_sf_scan *scan, const xn_sf_detector *d, xn_channel *channel);

// ---- slow.c: process variables

bool xn_sf_is_slow(const char *path); // PVDATA, PVCHANNELS
bool xn_sf_slow_group(const xn_h5 *h5, const char *name, char group[XN_KEY_LENGTH]);
xani_status xn_sf_slow_read(xn_ctx *ctx, const xn_sf_input *input, xn_channel *channel); // nothing where none has it

// ---- laser.c

#define XN_DAQ_HIGH_GAIN (1u << 0)
#define XN_DAQ_LASER (1u << 16)
#define XN_DAQ_DARK (1u << 17)
#define XN_SF_EVENTS "SAR-CVME-TIFALL5:EvtSet"
#define XN_SF_LASER_WORDS "how laser-on shots are told: daq_rec, evtset20, evtset25, {codes, drop} or a channel"

xani_status xn_sf_laser(xn_ctx *ctx, const xn_config *config, char *const *files, xn_laser_rule *rule);

// ---- calibration.c

// s->cal and its masked pixels; physical from xn_sf_modules.
xani_status xn_sf_calibration(xn_ctx *ctx, const xn_config *config, const xn_sf_detector *d, const int64_t *physical,
                              xn_source *s);

// ---- facts.c: what a run is without a configuration

bool xn_sf_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_sf_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
void xn_sf_init_calibration(struct xn_init_writer *w);

#endif
