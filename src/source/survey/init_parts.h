// SPDX-License-Identifier: BSD-3-Clause
// init_parts.h -- text and finds that the configuration of `xani init` is made of.
//
// Private to src/source.
#ifndef XN_SOURCE_INIT_PARTS_H
#define XN_SOURCE_INIT_PARTS_H

#include "source/survey/survey.h"

// ---- init_text.c

typedef struct xn_text {
    char *s;
    size_t n, room;
    bool short_of_memory; // told once, at the end
    char foreign[512];    // a value that is no UTF-8, which YAML cannot hold, with '?' for its bytes above ASCII
} xn_text;

void xn_text_add(xn_text *t, const char *fmt, ...) XN_PRINTF(2, 3);
// A YAML scalar: quoted where it needs to be.
void xn_text_scalar(xn_text *t, const char *value);
// "KEY: VALUE" or, where value is NULL, "KEY:" with "FILL IN: why" behind it.
void xn_text_entry(xn_text *t, int indent, const char *key, const char *value, const char *comment);
// The same for a value that may need quotes.
void xn_text_quoted(xn_text *t, int indent, const char *key, const char *value, const char *comment);
// Ten digits, for values; four digits, for comments. Fill buf and return it.
const char *xn_text_number(char buf[64], double value);
const char *xn_text_about(char buf[64], double value);
// The files of a run as a list below the key; many files of one kind as one glob where it finds just them.
void xn_text_files(xn_text *t, int indent, const xn_found_run *run);

// ---- init_find.c: what belongs to a detector of this shape; NULL where there is nothing

typedef struct xn_init_finds {
    const char *gain, *pedestal; // borrowed from the survey
    bool pixel_mask;             // the pedestal file holds one
    const char *geometry;
    double energy_kev; // of the geometry file, NaN
    bool distance;     // the geometry file has its own
    bool quadrants;    // and so places of quadrants, or needs none
} xn_init_finds;

// detector: name to prefer in file names, or NULL. rows: also accepted for calibration files (all modules); 0: none.
xani_status xn_init_find(xn_ctx *ctx, const xn_survey *survey, const char *detector, int64_t ny, int64_t nx,
                         int64_t rows, xn_init_finds *finds);

// ---- init.c, init_raw.c: the sections

typedef struct xn_init_writer {
    xn_ctx *ctx;
    const xn_survey *survey;
    xn_text text;
    const xn_found_run *first; // of the layout written
    int n_runs;                // of that layout
    int64_t ny, nx;
    xn_init_finds finds;
    xn_run_facts facts;                // of the first run
    const xn_detector_facts *detector; // its chosen one, or NULL
} xn_init_writer;

void xn_init_delay_sign(xn_text *t);
void xn_init_scale(xn_init_writer *w); // input.calibration of stored numbers that are no words of a known detector
// A named file that is no run, gain, ...: may hold readings.
bool xn_init_is_loose(const xn_found_file *file);
void xn_init_raw_input(xn_init_writer *w);
void xn_init_raw_select(xn_init_writer *w);
void xn_init_raw_bins(xn_init_writer *w);

// ---- init_rest.c

// The keys of a section whose text begins at byte `from` that are not in it, as comments.
void xn_init_other_keys(xn_init_writer *w, const char *section, size_t from);

#endif
