// SPDX-License-Identifier: BSD-3-Clause
// geom_segment.c -- the sensors that psana's geometry files are made of.
//
// A sensor is a grid of ASICs of equal pixels, its origin in the centre.  Pixels that face a gap are wider; their
// nominal place is that of a pixel of usual size at the outer end, `wide_um` away from their centre.  Which of the two
// psana takes differs by sensor: since 2025-09-19 JUNGFRAU:V2 has centres, ePix has nominal places.  Numbers are those
// of psana's SegGeometry* (gap between facing nominal centres less one pixel).  A sensor more is one line here.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "physics/panel.h"

static const struct {
    const char *name;
    xn_segment_kind kind;
} table[] = {
    {"JUNGFRAU:V1", {256, 256, 2, 4, 75.0, 150.0, 37.5, false, false, false, 0.0}},
    {"JUNGFRAU:V2", {256, 256, 2, 4, 75.0, 150.0, 37.5, true, true, false, 0.0}},
    {"JUNGFRAU:V3", {256, 256, 2, 4, 75.0, 150.0, 37.5, true, true, false, 0.0}},
    {"EPIX10KA:V1", {176, 192, 2, 2, 100.0, 250.0, 62.5, false, false, false, 0.0}},
    {"EPIXHR2X2:V1", {144, 192, 2, 2, 100.0, 250.0, 62.5, false, false, false, 0.0}},
    {"EPIXUHR3X2:V1", {168, 192, 2, 3, 100.0, 325.0, 81.25, false, false, false, 0.0}},
    {"EPIXUHRASIC:V1", {168, 192, 1, 1, 100.0, 0.0, 0.0, false, false, false, 0.0}},
    {"EPIXMASIC:V1", {192, 384, 1, 1, 50.0, 0.0, 0.0, false, false, false, 0.0}},
    {"EPIX100:V1", {352, 384, 2, 2, 50.0, 250.0, 62.5, false, true, false, 0.0}},
    {"SENS2X1:V1", {185, 194, 1, 2, 109.92, 329.76, 82.44, false, false, false, 0.0}},
    {"PNCCD:V1", {512, 512, 1, 1, 75.0, 0.0, 0.0, false, false, true, 0.0}},
};

// MTRX:ROWS:COLUMNS:UM:UM has its origin in pixel (0, 0), MTRX:V2:... in the centre; sizes of pixels by rows, columns.
static bool matrix(const char *name, xn_segment_kind *kind)
{
    bool second = strncmp(name, "MTRX:V2:", 8) == 0;
    int rows, columns, used = 0;
    double um_rows, um_columns;
    if (!second && strncmp(name, "MTRX:", 5) != 0) return false;
    if (sscanf(name + (second ? 8 : 5), "%d:%d:%lf:%lf%n", &rows, &columns, &um_rows, &um_columns, &used) != 4 ||
        name[(second ? 8 : 5) + used] != '\0' || rows < 1 || columns < 1 || rows > 100000 || columns > 100000 ||
        !(um_rows > 0.0 && um_columns > 0.0 && um_rows < 1e6 && um_columns < 1e6))
        return false;
    *kind = (xn_segment_kind){.rows = rows,
                              .columns = columns,
                              .n_rows = 1,
                              .n_columns = 1,
                              .pixel_um = um_columns,
                              .pixel_rows_um = um_rows,
                              .corner = !second};
    return true;
}

bool xn_segment_find(const char *name, xn_segment_kind *kind)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0) {
            *kind = table[i].kind;
            return true;
        }
    return matrix(name, kind);
}
