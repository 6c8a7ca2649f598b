// SPDX-License-Identifier: BSD-3-Clause
// geom_crystfel.h -- CrystFEL's geometry files as they are written, before they become panels.
#ifndef XN_PHYSICS_GEOM_CRYSTFEL_H
#define XN_PHYSICS_GEOM_CRYSTFEL_H

#include "physics/geom_unit.h"
#include "physics/panel.h"

// A number, or the place in the data file where it is, and its unit.
typedef struct xn_said {
    xn_quantity what;
    double value;    // in base units; NaN: a place, or nothing
    char place[128]; // "" where it is no place
    double unit;     // of what is there
} xn_said;

enum { XN_CRYSTFEL_AXES = 10, XN_CRYSTFEL_UNKNOWN = 32 };

// NaN: not said.
typedef struct xn_crystfel_panel {
    char name[64];
    double min_fs, max_fs, min_ss, max_ss, corner_x, corner_y, coffset, res, no_index;
    double fs[3], ss[3];
    xn_said clen;
    int axis[2];                     // of the data that ss and fs run along; -1: not said
    int64_t index[XN_CRYSTFEL_AXES]; // fixed along an axis of the data, -1: none
    int dataset;                     // number of its data path, -1 when none is said
} xn_crystfel_panel;

typedef struct xn_crystfel {
    xn_ctx *ctx;
    const char *path;
    int line;
    xn_crystfel_panel defaults, *panel; // owned
    int n_panel, room_panel;
    xn_bad_region *bad; // owned
    int n_bad, room_bad;
    xn_said energy, shift[2]; // an energy or a wavelength; x, y of the whole detector
    int n_datasets;
    uint64_t dataset[1024]; // hashes of the data paths met
    uint64_t unknown[XN_CRYSTFEL_UNKNOWN];
    int n_unknown, late_line;
    char late[32]; // the last default that no panel has, in this line
} xn_crystfel;

xani_status xn_crystfel_read(xn_ctx *ctx, const char *path, xn_crystfel *file); // to be freed after an error too
void xn_crystfel_free(xn_crystfel *file);

// ---- geom_crystfel_values.c

// "0.07 m", "/LCLS/detector_1/EncoderValue mm". Without a unit a number has `literal`, a place `elsewhere`, NaN: it
// must be said. Returns what is wrong, NULL: nothing.
const char *xn_said_parse(const char *text, xn_quantity what, double literal, double elsewhere, xn_said *said);
// Its value, that of a place from this file (NULL: none); NaN where it is not known.
double xn_said_value(xn_ctx *ctx, const xn_said *said, const char *data_file);
// A number and nothing else.
bool xn_crystfel_number(const char *text, double *value);
// "+0.99x -0.01y z" to three components.
bool xn_crystfel_vector(const char *text, double v[3]);

#endif
