// SPDX-License-Identifier: BSD-3-Clause
// geom_psana.c -- psana geometry files (LCLS-I and LCLS-II): PARENT IND OBJECT IND X0 Y0 Z0[um] ROT_Z ROT_Y ROT_X
// TILT_Z TILT_Y TILT_X[deg], a line per object.
//
// An object's point (x, y, z) in its parent's frame: turned about Z by rot_z + tilt_z, then about Y, then about X,
// with R(a, b) = (a c - b s, b c + a s) for (X, Y), (Z, X) and (Y, Z) in turn, then moved by (x0, y0, z0).  Sensors
// (geom_segment.c) are the leaves; their order in the stored array is the order of lines below each parent.  The
// uppermost frame IP is psana's: x along rows (down), y along columns (to the right when looking along the beam), z
// against the beam; so the laboratory has (-y, -x, -z).  The detector stands behind the sample whatever the sign of
// the IP line's z0, as psana has it.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "physics/panel.h"

#define NAME 40
#define DEEPEST 16 // objects above each other

typedef struct {
    char parent[NAME], name[NAME];
    int parent_index, index, up; // up: number of the parent, -1: the uppermost frame
    double at[3], cosine[3], sine[3];
    bool segment;
    xn_segment_kind kind;
} object;

typedef struct {
    xn_ctx *ctx;
    const char *path;
    const xn_geometry_options *options;
    int n;
    object *list;
    xn_panels *panels;
    int n_segments;
    int64_t rows, columns;
} tree;

bool xn_psana_fields(const char *line, char parent[40], char name[40], int index[2], double number[9])
{
    double at[2];
    if (!xn_next_word(&line, parent, NAME) || !xn_next_number(&line, '\0', &at[0])) return false;
    if (!xn_next_word(&line, name, NAME) || !xn_next_number(&line, '\0', &at[1])) return false;
    for (int i = 0; i < 9; i++)
        if (!xn_next_number(&line, '\0', &number[i])) return false;
    for (int i = 0; i < 2; i++) {
        if (!(fabs(at[i]) < 1e6) || at[i] != floor(at[i])) return false;
        index[i] = (int)at[i];
    }
    return line[strspn(line, " \t\r\n")] == '\0';
}

static xani_status parse_line(tree *t, const char *line, int number)
{
    object o = {.up = -1};
    double v[9];
    int index[2];
    if (!xn_psana_fields(line, o.parent, o.name, index, v))
        return xn_fail(t->ctx, XANI_ERR_INPUT, "%s:%d: is no line PARENT IND OBJECT IND X0 ... TILT_X of 13 fields",
                       t->path, number);
    o.parent_index = index[0];
    o.index = index[1];
    memcpy(o.at, v, sizeof o.at);
    for (int k = 0; k < 3; k++) {
        double radians = (v[3 + k] + v[6 + k]) * (M_PI / 180.0);
        o.cosine[k] = cos(radians);
        o.sine[k] = sin(radians);
    }
    if (strncmp(o.parent, "IP", 2) == 0 && o.at[2] > 0.0) o.at[2] = -o.at[2];
    o.segment = xn_segment_find(o.name, &o.kind);
    object *more = xn_realloc(t->list, (size_t)t->n + 1, sizeof *more);
    if (more == NULL) return xn_fail_memory(t->ctx, "the geometry's objects", (size_t)(t->n + 1) * sizeof *more);
    t->list = more;
    t->list[t->n++] = o;
    return XANI_OK;
}

static xani_status parse(tree *t)
{
    FILE *file = fopen(t->path, "r");
    if (file == NULL) return xn_fail(t->ctx, XANI_ERR_INPUT, "geometry.file %s: %s", t->path, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    xani_status st = XANI_OK;
    for (int number = 1; st == XANI_OK && getline(&line, &room, file) > 0; number++) {
        line[strcspn(line, "\r\n")] = '\0';
        const char *first = line + strspn(line, " \t");
        if (*first != '\0' && *first != '#') st = parse_line(t, first, number);
    }
    free(line); // from getline
    fclose(file);
    return st;
}

static xani_status find_parents(tree *t)
{
    for (int i = 0; i < t->n; i++)
        for (int j = 0; j < t->n && t->list[i].up < 0; j++)
            if (i != j && t->list[j].index == t->list[i].parent_index &&
                strcmp(t->list[j].name, t->list[i].parent) == 0)
                t->list[i].up = j;
    for (int i = 0; i < t->n; i++) {
        int depth = 0;
        for (int j = i; j >= 0 && depth <= DEEPEST; j = t->list[j].up) depth++;
        if (depth > DEEPEST)
            return xn_fail(t->ctx, XANI_ERR_INPUT, "%s: %s %d stands in a circle of parents", t->path, t->list[i].name,
                           t->list[i].index);
    }
    return XANI_OK;
}

// From an object's frame to its parent's.
static void turn(const object *o, double v[3])
{
    const double *c = o->cosine, *s = o->sine;
    double x1 = v[0] * c[0] - v[1] * s[0], y1 = v[1] * c[0] + v[0] * s[0];
    double z2 = v[2] * c[1] - x1 * s[1], x2 = x1 * c[1] + v[2] * s[1];
    double y3 = y1 * c[2] - z2 * s[2], z3 = z2 * c[2] + y1 * s[2];
    v[0] = x2;
    v[1] = y3;
    v[2] = z3;
}

static void to_laboratory(const tree *t, int i, bool place, double v[3])
{
    for (; i >= 0; i = t->list[i].up) {
        turn(&t->list[i], v);
        for (int k = 0; place && k < 3; k++) v[k] += t->list[i].at[k];
    }
    double x = v[0];
    v[0] = -1e-6 * v[1];
    v[1] = -1e-6 * x;
    v[2] *= -1e-6;
}

static xani_status add_asic(tree *t, int i, int row, int column)
{
    const object *o = &t->list[i];
    const xn_segment_kind *k = &o->kind;
    xn_panel *p = xn_panels_add(t->ctx, t->panels);
    if (p == NULL) return XANI_ERR_MEMORY;
    double um_y = k->pixel_rows_um > 0.0 ? k->pixel_rows_um : k->pixel_um, y = k->up ? 1.0 : -1.0;
    double width = k->n_columns * k->columns * k->pixel_um + (k->n_columns - 1) * k->gap_um;
    double height = k->n_rows * k->rows * um_y + (k->n_rows - 1) * k->gap_um;
    p->min_fs = (int64_t)column * k->columns;
    p->max_fs = p->min_fs + k->columns - 1;
    p->min_ss = (int64_t)row * k->rows;
    p->max_ss = p->min_ss + k->rows - 1;
    p->plane = t->n_segments;
    p->res = 1e6 / k->pixel_um;
    snprintf(p->name, sizeof p->name, "%s %d a%d", o->name, o->index, row * k->n_columns + column);
    if (k->corner) {
        p->corner[0] = -0.5 * um_y;
        p->corner[1] = -0.5 * k->pixel_um;
        p->fs[1] = k->pixel_um;
        p->ss[0] = um_y;
    } else {
        p->corner[0] = -0.5 * width + column * (k->columns * k->pixel_um + k->gap_um);
        p->corner[1] = y * (-0.5 * height + row * (k->rows * um_y + k->gap_um));
        p->fs[0] = k->pixel_um;
        p->ss[1] = y * um_y;
    }
    int wide = t->options->wide != 0 ? t->options->wide : k->wide_by_default ? 1 : -1;
    double out = wide > 0 ? k->wide_um / k->pixel_um : 0.0;
    p->wide[0] = column > 0 ? out : 0.0;
    p->wide[1] = column < k->n_columns - 1 ? out : 0.0;
    p->wide[2] = row > 0 ? out : 0.0;
    p->wide[3] = row < k->n_rows - 1 ? out : 0.0;
    to_laboratory(t, i, true, p->corner);
    to_laboratory(t, i, false, p->fs);
    to_laboratory(t, i, false, p->ss);
    return XANI_OK;
}

static xani_status add_segment(tree *t, int i)
{
    const xn_segment_kind *k = &t->list[i].kind;
    int64_t rows = (int64_t)k->rows * k->n_rows, columns = (int64_t)k->columns * k->n_columns;
    if (t->n_segments > 0 && (rows != t->rows || columns != t->columns))
        return xn_fail(t->ctx, XANI_ERR_INPUT, "%s: %s %d has another shape than the sensors before it", t->path,
                       t->list[i].name, t->list[i].index);
    t->rows = rows;
    t->columns = columns;
    for (int row = 0; row < k->n_rows; row++)
        for (int column = 0; column < k->n_columns; column++) XN_TRY(add_asic(t, i, row, column));
    t->n_segments++;
    return XANI_OK;
}

// Sensors below object `up` in the order of lines; -1: the uppermost frame.
static xani_status descend(tree *t, int up)
{
    for (int i = 0; i < t->n; i++) {
        if (t->list[i].up != up) continue;
        bool leaf = true;
        for (int j = 0; j < t->n; j++) leaf = leaf && t->list[j].up != i;
        if (t->list[i].segment)
            XN_TRY(add_segment(t, i));
        else if (!leaf)
            XN_TRY(descend(t, i));
        else
            return xn_fail(t->ctx, XANI_ERR_INPUT,
                           "%s: sensor %s is not known; known are JUNGFRAU:V1-V3, EPIX10KA, EPIX100, EPIXHR2X2, "
                           "EPIXUHR3X2, EPIXUHRASIC, EPIXMASIC, SENS2X1, PNCCD (:V1) and MTRX",
                           t->path, t->list[i].name);
    }
    return XANI_OK;
}

// The distance: as configured, else that of the lines below the uppermost frame.
static xani_status set_distance(tree *t)
{
    double own = NAN;
    for (int i = 0; i < t->n; i++) {
        if (t->list[i].up >= 0) continue;
        if (!isnan(t->options->distance_m)) t->list[i].at[2] = -1e6 * t->options->distance_m;
        if (isnan(own)) own = -1e-6 * t->list[i].at[2];
    }
    t->panels->distance_m = own > 0.0 ? own : NAN;
    if (own > 0.0 || t->options->anywhere) return XANI_OK;
    return xn_fail(t->ctx, XANI_ERR_CONFIG, "geometry.distance_mm is missing: %s places the detector at the sample",
                   t->path);
}

xani_status xn_panels_psana(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels)
{
    memset(panels, 0, sizeof *panels);
    panels->energy_kev = NAN;
    tree t = {.ctx = ctx, .path = path, .options = o, .panels = panels};
    xani_status st = parse(&t);
    if (st == XANI_OK) st = find_parents(&t);
    if (st == XANI_OK) st = set_distance(&t);
    if (st == XANI_OK) st = descend(&t, -1);
    if (st == XANI_OK && t.n_segments == 0) st = xn_fail(ctx, XANI_ERR_INPUT, "%s: describes no sensor", path);
    xn_free(t.list);
    if (st != XANI_OK) xn_panels_free(panels);
    return st;
}
