// SPDX-License-Identifier: BSD-3-Clause
// geom_segment.c -- the sensors that psana's geometry files are made of.
//
// A sensor is a grid of ASICs of equal pixels, its origin in the centre.  Pixels that face a gap are wider; their
// nominal place is that of a pixel of usual size at the outer end, `wide_um` away from their centre.  Which of the two
// psana takes differs by sensor: since 2025-09-19 JUNGFRAU:V2 has centres, ePix has nominal places.  Numbers are those
// of psana's SegGeometry* (gap between facing nominal centres less one pixel).  A sensor more is one line here.
#include <math.h>
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

bool xn_next_word(const char **s, char *word, size_t room)
{
    *s += strspn(*s, " \t");
    size_t n = strcspn(*s, " \t\r\n");
    if (n == 0 || n >= room) return false;
    memcpy(word, *s, n);
    word[n] = '\0';
    *s += n;
    return true;
}

bool xn_next_number(const char **s, char after, double *value)
{
    char *end;
    *value = strtod(*s, &end);
    if (end == *s || !isfinite(*value) || (after != '\0' && *end != after)) return false;
    *s = end + (after != '\0');
    return true;
}

// MTRX:ROWS:COLUMNS:UM:UM has its origin in pixel (0, 0), MTRX:V2:... in the centre; sizes of pixels by rows, columns.
static bool matrix(const char *name, xn_segment_kind *kind)
{
    bool second = strncmp(name, "MTRX:V2:", 8) == 0;
    double v[4];
    if (!second && strncmp(name, "MTRX:", 5) != 0) return false;
    name += second ? 8 : 5;
    for (int i = 0; i < 4; i++)
        if (!xn_next_number(&name, i < 3 ? ':' : '\0', &v[i]) || !(v[i] > 0.0 && v[i] <= 1e5)) return false;
    if (*name != '\0' || v[0] < 1.0 || v[1] < 1.0) return false;
    *kind = (xn_segment_kind){.rows = (int)v[0],
                              .columns = (int)v[1],
                              .n_rows = 1,
                              .n_columns = 1,
                              .pixel_um = v[3],
                              .pixel_rows_um = v[2],
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
