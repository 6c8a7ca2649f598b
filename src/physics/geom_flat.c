// SPDX-License-Identifier: BSD-3-Clause
// geom_flat.c -- geometry.detector: a plane across the beam, of one array or of modules with gaps.
//
// All is said in pixels of one picture, as the assembled frame: x grows with the column, y with the row, centres at
// +0.5, the beam hits centre_px.  geometry.detector.fast and slow are the directions of growing x and y in the
// laboratory (default: x to the left when looking along the beam, y up).  A module's first pixel has its outer corner
// at at_px, and the module is turned about it by quarters, counter-clockwise where row 0 is on top: the convention of
// the table data/detectors.txt, which geometry.detector.layout names.  Its first numbers are turns of the whole.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "physics/panel.h"

enum { MOST = 256 }; // modules

typedef struct {
    double at[2]; // x, y
    int turns;
} module;

typedef struct {
    xn_ctx *ctx;
    const xn_config *config;
    int64_t rows, columns; // of a module
    double pixel_mm;
    int64_t chip[2]; // y, x
    double gap[2];   // y, x, pixels
    bool wide;       // pixels at gaps are wide
    int turns, n;
    module module[MOST];
    int n_stored;
    double stored[MOST]; // numbers of the modules that frames have
} flat;

// ---- the table of layouts

static FILE *open_table(void)
{
    static const char *const folders[] = {XN_SOURCE_DATA_DIR, XN_DATA_DIR};
    FILE *file = NULL;
    char path[4096];
    for (size_t i = 0; file == NULL && i < 2; i++) {
        snprintf(path, sizeof path, "%s/detectors.txt", folders[i]);
        file = fopen(path, "re");
    }
    return file;
}

// A line of the table into f; false when it is not in order.
static bool parse_layout(const char *line, flat *f)
{
    char name[64];
    double v[7];
    if (!xn_next_word(&line, name, sizeof name)) return false;
    for (int i = 0; i < 7; i++)
        if (!xn_next_number(&line, '\0', &v[i])) return false;
    f->rows = (int64_t)v[0];
    f->columns = (int64_t)v[1];
    f->pixel_mm = v[2];
    f->chip[0] = (int64_t)v[3];
    f->chip[1] = (int64_t)v[4];
    f->gap[0] = f->gap[1] = v[5];
    f->turns = (int)v[6] & 3;
    f->wide = true;
    f->n = 0;
    while (f->n < MOST) {
        module m = {.turns = 0};
        double turns;
        if (!xn_next_number(&line, ',', &m.at[0]) || !xn_next_number(&line, '\0', &m.at[1])) break;
        if (*line == ',') {
            line++;
            if (!xn_next_number(&line, '\0', &turns)) return false;
            m.turns = (int)turns & 3;
        }
        f->module[f->n++] = m;
    }
    return f->n > 0;
}

static bool find_layout(const char *name, flat *f)
{
    FILE *file = open_table();
    if (file == NULL) return false;
    char *line = NULL;
    size_t room = 0, best = 0;
    bool found = false;
    while (getline(&line, &room, file) > 0) {
        size_t n = strcspn(line, " \n");
        if (line[0] == '#' || n == 0 || n <= best || strncmp(line, name, n) != 0) continue;
        best = n;
        found = parse_layout(line, f);
    }
    free(line); // from getline
    fclose(file);
    return found;
}

bool xn_layout_rows(const char *name, int64_t *rows, int64_t *columns, int *modules)
{
    flat f = {0};
    if (!find_layout(name, &f)) return false;
    *rows = f.rows;
    *columns = f.columns;
    *modules = f.n;
    return true;
}

// ---- the configuration

static xani_status read_modules(flat *f)
{
    char key[XN_KEY_LENGTH];
    f->n = xn_config_count(f->config, "geometry.detector.modules");
    if (f->n == 0) { // one module at the corner of the picture
        f->n = 1;
        return XANI_OK;
    }
    if (f->n > MOST)
        return xn_config_bad(f->ctx, f->config, "geometry.detector.modules", "%d modules, at most %d work", f->n, MOST);
    for (int i = 0; i < f->n; i++) {
        if (xn_config_doubles(f->config, xn_key(key, "geometry.detector.modules[%d].at_px", i), f->module[i].at, 2) !=
            2)
            return xn_config_require(f->ctx, f->config, key, "[x, y] of the corner of the module's first pixel");
        f->module[i].turns = (int)xn_config_int(f->config, xn_key(key, "geometry.detector.modules[%d].turns", i));
    }
    return XANI_OK;
}

static xani_status read_chips(flat *f)
{
    double chip[2] = {(double)f->rows, (double)f->columns};
    xn_config_doubles(f->config, "geometry.detector.chip_px", chip, 2);
    xn_config_doubles(f->config, "geometry.detector.chip_gap_px", f->gap, 2);
    for (int k = 0; k < 2; k++) {
        f->chip[k] = (int64_t)chip[k];
        if ((k == 0 ? f->rows : f->columns) % f->chip[k] != 0)
            return xn_config_bad(f->ctx, f->config, "geometry.detector.chip_px", "does not divide the module");
    }
    return XANI_OK;
}

static xani_status read_layout(flat *f)
{
    xn_ctx *ctx = f->ctx;
    const char *name = xn_config_string(f->config, "geometry.detector.layout");
    if (name != NULL) {
        if (!find_layout(name, f))
            return xn_config_bad(ctx, f->config, "geometry.detector.layout",
                                 "%s is not in data/detectors.txt; give shape and modules instead", name);
    } else {
        double shape[2];
        XN_TRY(xn_config_require(ctx, f->config, "geometry.detector.shape",
                                 "pixels [y, x] of the detector, or of a module where there are modules"));
        XN_TRY(xn_config_require(ctx, f->config, "geometry.detector.pixel_mm", "edge of a pixel"));
        xn_config_doubles(f->config, "geometry.detector.shape", shape, 2);
        f->rows = (int64_t)shape[0];
        f->columns = (int64_t)shape[1];
        XN_TRY(read_modules(f));
        XN_TRY(read_chips(f));
    }
    if (xn_config_has(f->config, "geometry.detector.pixel_mm"))
        f->pixel_mm = xn_config_double(f->config, "geometry.detector.pixel_mm");
    if (xn_config_has(f->config, "geometry.detector.turns"))
        f->turns = (int)xn_config_int(f->config, "geometry.detector.turns");
    f->n_stored = xn_config_doubles(f->config, "geometry.detector.stored", f->stored, MOST);
    if (f->n_stored > f->n)
        return xn_config_bad(ctx, f->config, "geometry.detector.stored", "more modules than the detector's %d", f->n);
    for (int i = 0; i < f->n_stored; i++)
        if (!(f->stored[i] < f->n))
            return xn_config_bad(ctx, f->config, "geometry.detector.stored", "module %g of 0 to %d", f->stored[i],
                                 f->n - 1);
    for (int i = 0; f->n_stored == 0 && i < f->n; i++) f->stored[i] = i;
    if (f->n_stored == 0) f->n_stored = f->n;
    return XANI_OK;
}

// ---- positions in the picture

static double full(int64_t pixels, int64_t chip, double gap)
{
    int64_t gaps = pixels / chip - 1;
    return (double)pixels + gap * (double)gaps;
}

// Directions of fast and slow scan after quarter turns.
static const double fast_of[4][2] = {{1, 0}, {0, -1}, {-1, 0}, {0, 1}},
                    slow_of[4][2] = {{0, 1}, {1, 0}, {0, -1}, {-1, 0}};

static void size_of(const flat *f, double size[2])
{
    double width = full(f->columns, f->chip[1], f->gap[1]), height = full(f->rows, f->chip[0], f->gap[0]);
    size[0] = size[1] = 0.0;
    for (int i = 0; i < f->n; i++)
        for (int k = 0; k < 2; k++) {
            const module *m = &f->module[i];
            double end = m->at[k] + fmax(0.0, fast_of[m->turns][k]) * width + fmax(0.0, slow_of[m->turns][k]) * height;
            size[k] = fmax(size[k], end);
        }
}

// The whole picture of this size turned by quarters; place: a point, else a direction.
static void turn_picture(int turns, const double size[2], bool place, double v[2])
{
    double x = v[0], y = v[1], sx = place ? size[0] : 0.0, sy = place ? size[1] : 0.0;
    const double turned[4][2] = {{x, y}, {y, sx - x}, {sx - x, sy - y}, {sy - y, x}};
    memcpy(v, turned[turns], 2 * sizeof *v);
}

typedef struct {
    double centre[2], fast[3], slow[3], metres, z;
} frame;

static xani_status add_chip(const flat *f, const frame *lab, const double size[2], int stored, int64_t row,
                            int64_t column, bool wide, xn_panels *panels)
{
    const module *m = &f->module[(int)f->stored[stored]];
    xn_panel *p = xn_panels_add(f->ctx, panels);
    if (p == NULL) return XANI_ERR_MEMORY;
    double u = (double)column * ((double)f->chip[1] + f->gap[1]), v = (double)row * ((double)f->chip[0] + f->gap[0]);
    double at[2], fast[2], slow[2];
    for (int k = 0; k < 2; k++) {
        fast[k] = fast_of[m->turns][k];
        slow[k] = slow_of[m->turns][k];
        at[k] = m->at[k] + u * fast[k] + v * slow[k];
    }
    turn_picture(f->turns, size, true, at);
    turn_picture(f->turns, size, false, fast);
    turn_picture(f->turns, size, false, slow);
    p->min_fs = column * f->chip[1];
    p->max_fs = p->min_fs + f->chip[1] - 1;
    p->min_ss = row * f->chip[0];
    p->max_ss = p->min_ss + f->chip[0] - 1;
    p->plane = stored;
    p->res = 1.0 / lab->metres;
    snprintf(p->name, sizeof p->name, "m%d c%d", (int)f->stored[stored],
             (int)(row * (f->columns / f->chip[1]) + column));
    for (int k = 0; k < 3; k++) {
        p->corner[k] =
            lab->metres * ((at[0] - lab->centre[0]) * lab->fast[k] + (at[1] - lab->centre[1]) * lab->slow[k]);
        p->fs[k] = lab->metres * (fast[0] * lab->fast[k] + fast[1] * lab->slow[k]);
        p->ss[k] = lab->metres * (slow[0] * lab->fast[k] + slow[1] * lab->slow[k]);
    }
    p->corner[2] += lab->z;
    if (!wide) return XANI_OK;
    // a wide pixel takes half the gap, its centre moves by half of that
    p->wide[0] = column > 0 ? 0.25 * f->gap[1] : 0.0;
    p->wide[1] = column < f->columns / f->chip[1] - 1 ? 0.25 * f->gap[1] : 0.0;
    p->wide[2] = row > 0 ? 0.25 * f->gap[0] : 0.0;
    p->wide[3] = row < f->rows / f->chip[0] - 1 ? 0.25 * f->gap[0] : 0.0;
    return XANI_OK;
}

static xani_status read_frame(const flat *f, const xn_geometry_options *o, frame *lab)
{
    static const char centre[] = "geometry.detector.centre_px", slow[] = "geometry.detector.slow";
    if (!o->anywhere) XN_TRY(xn_config_require(f->ctx, f->config, centre, "where the beam hits, [x, y]"));
    if (isnan(o->distance_m) && !o->anywhere)
        return xn_config_require(f->ctx, f->config, "geometry.distance_mm", "a flat detector needs its distance");
    xn_config_doubles(f->config, centre, lab->centre, 2);
    xn_config_doubles(f->config, "geometry.detector.fast", lab->fast, 3);
    xn_config_doubles(f->config, slow, lab->slow, 3);
    lab->metres = 1e-3 * f->pixel_mm;
    lab->z = isnan(o->distance_m) ? 0.0 : o->distance_m;
    double ff = 0.0, ss = 0.0, fs = 0.0;
    for (int k = 0; k < 3; k++) {
        ff += lab->fast[k] * lab->fast[k];
        ss += lab->slow[k] * lab->slow[k];
        fs += lab->fast[k] * lab->slow[k];
    }
    if (fabs(ff - 1.0) > 1e-3 || fabs(ss - 1.0) > 1e-3 || fabs(fs) > 1e-3)
        return xn_config_bad(f->ctx, f->config, slow, "and fast must be unit vectors at right angles");
    return XANI_OK;
}

xani_status xn_panels_flat(xn_ctx *ctx, const xn_config *config, const xn_geometry_options *o, xn_panels *panels)
{
    memset(panels, 0, sizeof *panels);
    panels->energy_kev = NAN;
    panels->distance_m = o->distance_m;
    flat f = {.ctx = ctx, .config = config};
    frame lab = {.z = 0.0};
    double size[2];
    XN_TRY(read_layout(&f));
    XN_TRY(read_frame(&f, o, &lab));
    size_of(&f, size);
    bool wide = o->wide > 0 || (o->wide == 0 && f.wide);
    xani_status st = XANI_OK;
    for (int i = 0; i < f.n_stored; i++)
        for (int64_t row = 0; row < f.rows / f.chip[0]; row++)
            for (int64_t column = 0; column < f.columns / f.chip[1] && st == XANI_OK; column++)
                st = add_chip(&f, &lab, size, i, row, column, wide, panels);
    if (st != XANI_OK) xn_panels_free(panels);
    return st;
}
