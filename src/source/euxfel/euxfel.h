// SPDX-License-Identifier: BSD-3-Clause
// euxfel.h -- the parts of the European XFEL reader: files and their trains, names of readings, pulses of a train, the
// detector's modules, laser rules.
//
// Private to src/source/euxfel.  Layout: formats.md 1.4.  A shot's id is its train id times 4096 plus its pulse, which
// leaves room for every position of the bunch pattern table (2700, since 2025 4096).  Readings taken once per train are
// looked up by the train alone (channel.h, shift).
#ifndef XN_SOURCE_EUXFEL_H
#define XN_SOURCE_EUXFEL_H

#include "source/layout.h"
#include "source/modules.h"
#include "source/shots/join.h"

#define XN_XF_PULSE_BITS 12
#define XN_XF_PULSES (1 << XN_XF_PULSE_BITS)

static inline uint64_t xn_xf_id(uint64_t train, uint64_t pulse) { return train << XN_XF_PULSE_BITS | pulse; }
static inline uint64_t xn_xf_train(uint64_t id) { return id >> XN_XF_PULSE_BITS; }
static inline int xn_xf_pulse(uint64_t id) { return (int)(id & (XN_XF_PULSES - 1)); }

// ---- file.c: one file

typedef struct xn_xf_file {
    char *path;       // borrowed from the list of files
    char version[16]; // of the format; "0.5" where the file says none
    int64_t n;        // rows of INDEX
    uint64_t *train;  // (n); 0: padding
    uint8_t *good;    // (n) the train's id came from the time server
    int n_sources;
    char **source; // sorted: "CONTROL/DEVICE", "INSTRUMENT/DEVICE:CHANNEL/GROUP"; NULL-terminated
    bool overview; // its datasets are virtual, of other files
    bool cxi;      // frames put together for CXI; no trains, no sources
} xn_xf_file;

// *kind of file: an EXDF or CXI file; false: something else.
bool xn_xf_is_exdf(const xn_h5 *h5);
bool xn_xf_is_cxi(const xn_h5 *h5);
xani_status xn_xf_file_read(xn_ctx *ctx, const xn_h5 *h5, char *path, xn_xf_file *f);
void xn_xf_file_free(xn_xf_file *f);
bool xn_xf_file_has(const xn_xf_file *f, const char *source);
// Where the rows of each train lie: first (owned, one block with count behind it), of f->n trains; `index` is what
// stands behind INDEX/. Rows from `rows` on are not there. A file without that index has no rows.
xani_status xn_xf_index(xn_ctx *ctx, const xn_h5 *h5, const xn_xf_file *f, const char *index, int64_t rows,
                        int64_t **first, int64_t **count);

// ---- run.c: the files of a run

typedef struct xn_xf_run {
    int n;
    xn_xf_file *file;
    char **paths; // owned
    int cxi;      // the file with frames put together for CXI; -1: none
} xn_xf_run;

// Takes the list of files over. skip: files that cannot be opened are told and left out, else they are errors.
xani_status xn_xf_run_open(xn_ctx *ctx, char **paths, bool skip, xn_xf_run *run);
void xn_xf_run_close(xn_xf_run *run);

// ---- names.c: a reading's name in a configuration

typedef struct xn_xf_name {
    char source[XN_KEY_LENGTH];  // as in xn_xf_file.source
    char dataset[XN_KEY_LENGTH]; // path in the file
    char index[XN_KEY_LENGTH];   // behind INDEX/; "": a value of the whole run (RUN/)
    bool control;                // slow data: one row a train
} xn_xf_name;

// SOURCE/KEY, SOURCE.KEY or the path of the dataset; dots of keys may stand for slashes.  XANI_ERR_INPUT with the
// nearest name where no file has it.
xani_status xn_xf_name_find(xn_ctx *ctx, const xn_xf_run *run, const char *name, xn_xf_name *found);

// ---- rows.c: numbers of a dataset, row by row

typedef struct xn_xf_rows {
    const xn_h5 *h5;
    const char *dataset;
    xn_array *array; // of a virtual dataset
    xn_type type;    // as it is stored
    int64_t rows, columns;
    int64_t first, n, most; // rows in memory
    double *value;
} xn_xf_rows;

xani_status xn_xf_rows_open(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, xn_xf_rows *r);
xani_status xn_xf_rows_get(xn_ctx *ctx, xn_xf_rows *r, int64_t row, const double **value); // valid until the next
void xn_xf_rows_close(xn_xf_rows *r);
// The first `rows` rows (-1: all) of each numbers, as whole numbers; owned, NULL for none.  Padding behind the rows
// wanted need not be written.  pad: nor need anything else, and is 0 then (INDEX).
xani_status xn_xf_whole(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t rows, bool pad, int64_t **value,
                        int64_t *n);

// ---- pattern.c: which bunches of a train were FEL and pump-laser pulses

typedef struct xn_xf_pattern {
    int64_t n;
    uint64_t *train;     // (n) ascending
    int64_t *fel, *pump; // (n + 1) where each train's positions begin in fel_at, pump_at
    uint16_t *fel_at, *pump_at;
    int64_t n_fel, n_pump, room_fel, room_pump, room;
} xn_xf_pattern;

// How pulse numbers of the detector stand in the pattern (input.pulses).
typedef struct xn_xf_numbers {
    bool by_fel; // pulse p is the train's FEL pulse number offset + step p; else that is its position
    int64_t offset, step;
} xn_xf_numbers;

enum { XN_XF_NO_FEL = -1, XN_XF_NO_TRAIN = -2 };

// cells: the detector's pulses are memory cells, not pulse ids.
xani_status xn_xf_numbers_load(xn_ctx *ctx, const xn_config *config, bool cells, xn_xf_numbers *numbers);
// detector: its name begins with the instrument, which tells the undulator and the laser where the configuration does
// not. *there false (and the pattern empty): no file has a table and none is asked for.
xani_status xn_xf_pattern_read(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, const char *detector,
                               xn_xf_pattern *p, bool *there);
void xn_xf_pattern_free(xn_xf_pattern *p);
// Position of a pulse in the table, XN_XF_NO_FEL or XN_XF_NO_TRAIN; *row: of the train.
int64_t xn_xf_position(const xn_xf_pattern *p, const xn_xf_numbers *numbers, uint64_t id, int64_t *row);
// Number of the FEL pulse at a position, XN_XF_NO_FEL.
int64_t xn_xf_fel_number(const xn_xf_pattern *p, int64_t row, int64_t position);
bool xn_xf_is_pump(const xn_xf_pattern *p, int64_t row, int64_t position);

// ---- detector.c, match.c: the frames of the detector

typedef struct xn_xf_module {
    char *name; // source
    int64_t number;
    bool absent; // left out
    int n_files;
    char **file;                // names borrowed
    char *frames, *gain, *mask; // datasets; gain, mask NULL: none
} xn_xf_module;

typedef struct xn_xf_detector {
    char name[XN_KEY_LENGTH];
    bool cells; // a row holds the frames of a train, one per memory cell
    bool words; // 14-bit values with gain codes
    int n_modules;
    xn_xf_module *module;
    char **files; // that all modules share (CXI), else NULL
    xn_type type;
    int64_t ny, nx, n_cells; // of a module; frames of a row
    char filters[128];
    // frames, ascending ids
    int64_t n;
    uint64_t *id;
    int64_t *place;          // (n, n_modules), as in modules.h
    uint8_t *refused;        // (n) XN_CUT_*
    uint16_t *cell;          // (n) memory cell
    int64_t incomplete, bad; // frames that lack a module; of trains with bad flags
    int64_t cut_off;         // frames that files name in their index and do not hold
} xn_xf_detector;

// Names of the detectors of a run, owned, NULL-terminated.
xani_status xn_xf_detectors(xn_ctx *ctx, const xn_xf_run *run, char ***names);
// Modules and frames. config NULL: no module is left out, all keys have their defaults.
xani_status xn_xf_detector_read(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, const char *name,
                                xn_xf_detector *d);
void xn_xf_detector_free(xn_xf_detector *d);

// ---- match.c

// A module's frame; small, because runs have tens of millions of them.
typedef struct xn_xf_entry {
    uint64_t id;
    uint64_t place : 47, cell : 16, good : 1;
} xn_xf_entry;

typedef struct xn_xf_list {
    xn_xf_entry *entry;
    int64_t n, room;
} xn_xf_list;

xani_status xn_xf_list_add(xn_ctx *ctx, xn_xf_list *l, const xn_xf_entry *e);
// Frames of d from one list per module (which are sorted).
xani_status xn_xf_match(xn_ctx *ctx, xn_xf_list *list, xn_xf_detector *d);

// ---- cxi.c
xani_status xn_xf_cxi_read(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, xn_xf_detector *d);

// ---- channels.c

typedef struct xn_xf_readings {
    const xn_config *config; // or NULL
    const xn_xf_run *run;
    const xn_xf_detector *detector; // or NULL: only readings taken once per train
    const xn_xf_pattern *pattern;   // n 0: none
    xn_xf_numbers numbers;
} xn_xf_readings;

xani_status xn_xf_read_channel(xn_ctx *ctx, void *readings, xn_channel *channel); // an xn_channel_reader
// Rows per pulse by pulseId or in their order; one row of a train belongs to all its pulses. An xn_trace_reader.
xani_status xn_xf_read_traces(xn_ctx *ctx, void *readings, xn_trace_sink *sink);

// ---- laser.c

#define XN_XF_LASER_WORDS                                                                                              \
    "how laser-on shots are told: pattern, even_trains, odd_trains, {pulses, trains}, {codes} or a channel"

// rule; and, where it is by frame, laser (d->n) XN_LASER_*; frames without X-rays become XN_CUT_DARK in refused.
xani_status xn_xf_laser(xn_ctx *ctx, const xn_config *config, const xn_xf_readings *r, xn_laser_rule *rule,
                        uint8_t *laser, uint8_t *refused);
bool xn_xf_laser_needs_pattern(const xn_config *config);

// ---- pixels.c
xani_status xn_xf_mask_bits(xn_ctx *ctx, const xn_config *config, uint32_t *bits);
bool xn_xf_has_masks(const xn_xf_detector *d);
// ORs into s->mask the pixels that the facility's mask words exclude in all of some frames.
xani_status xn_xf_static_mask(xn_ctx *ctx, xn_modules *m, const xn_xf_detector *d, uint32_t bits, xn_source *s);

// ---- calibration.c
xani_status xn_xf_calibrate(xn_ctx *ctx, const xn_config *config, const xn_xf_detector *d, xn_source *s);

// ---- facts.c
bool xn_xf_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes);
xani_status xn_xf_facts(xn_ctx *ctx, const struct xn_found_run *run, struct xn_run_facts *facts);
void xn_xf_init_calibration(struct xn_init_writer *w);

#endif
