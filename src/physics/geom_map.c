// SPDX-License-Identifier: BSD-3-Clause
// geom_map.c -- pixel maps in HDF5: datasets x, y and z (or x, y) of the detector's shape.
//
// Small data and cubes of LCLS describe themselves this way (UserDataCfg/<detector>/x, <detector>_cfg/x: micrometres in
// psana's frame, so that the laboratory has (-y, -x, -z)), Hummingbird and Cheetah write such files (pixels or metres).
// The unit follows from the distance of neighbours: pixels measure 2 um to 2 mm, so that metres, millimetres and
// micrometres cannot be confused, and a distance of 1 means pixels, which need geometry.map.pixel_mm.  Leading axes are
// modules; in a map of two axes a module ends where most columns jump by more than 4 pixels.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"
#include "physics/panel.h"

#define JUMP 4.0

typedef struct {
    xn_ctx *ctx;
    const xn_geometry_options *options;
    const char *path;
    const xn_h5 *file;
    char group[256], other[256]; // other: one more map, "" where there is none
    bool found, named;           // named: it is the detector's
    double *v[3];                // x, y, z as stored; z may be NULL
    int64_t modules, rows, columns;
    bool stacked; // the file has an axis of modules
} map;

// ---- where it is

static bool holds_map(const xn_h5 *file, const char *group)
{
    char x[300], y[300];
    snprintf(x, sizeof x, "%s/x", group);
    snprintf(y, sizeof y, "%s/y", group);
    return xn_h5_exists(file, x) && xn_h5_exists(file, y);
}

// Maps in the members of `parent` whose names end so: the first of them, and another, unless one is the detector's.
static void find_below(map *m, const char *parent, const char *end)
{
    char **names = NULL, group[256];
    if (!xn_h5_exists(m->file, parent) || xn_h5_names(m->ctx, m->file, parent, &names) != XANI_OK) {
        xn_clear_error(m->ctx);
        return;
    }
    const char *detector = m->options->detector;
    size_t tail = strlen(end), own = detector != NULL ? strcspn(detector, "/") : 0;
    for (char **n = names; *n != NULL && !m->named; n++) {
        size_t length = strlen(*n);
        if (length < tail || strcmp(*n + length - tail, end) != 0) continue;
        snprintf(group, sizeof group, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, *n);
        if (!holds_map(m->file, group)) continue;
        m->named = own > 0 && length == own + tail && strncmp(*n, detector, own) == 0;
        memcpy(m->found && !m->named ? m->other : m->group, group, sizeof group);
        m->found = true;
    }
    xn_h5_names_free(names);
}

static bool find_group(map *m)
{
    const char *asked = m->options->group;
    m->group[0] = m->other[0] = '\0';
    if (asked != NULL) {
        snprintf(m->group, sizeof m->group, "%s%s", asked[0] == '/' ? "" : "/", asked);
        for (size_t n = strlen(m->group); n > 0 && m->group[n - 1] == '/'; n--) m->group[n - 1] = '\0';
        return holds_map(m->file, m->group);
    }
    if (holds_map(m->file, "")) return true;
    find_below(m, "/UserDataCfg", "");
    if (!m->found) find_below(m, "/", "_cfg");
    if (m->named) m->other[0] = '\0';
    return m->found;
}

// With several detectors in a file that of the frames is meant; where they tell none, it must be said.
static xani_status check_choice(const map *m)
{
    static const char key[] = "geometry.map.group";
    if (m->other[0] == '\0') return XANI_OK;
    if (!m->options->anywhere)
        return xn_fail(m->ctx, XANI_ERR_CONFIG, "%s is missing: %s has maps of pixels in %s and %s", key, m->path,
                       m->group, m->other);
    xn_warn(m->ctx, "%s has maps of pixels in %s and %s: the first is shown, %s names one", m->path, m->group, m->other,
            key);
    return XANI_OK;
}

bool xn_geometry_has_map(xn_ctx *ctx, const xn_h5 *file, const char *group)
{
    const xn_geometry_options here = {.distance_m = NAN, .group = group};
    map m = {.ctx = ctx, .options = &here, .file = file};
    return find_group(&m);
}

static bool in_psana_frame(const map *m)
{
    if (m->options->frame != NULL) return strcmp(m->options->frame, "psana") == 0;
    size_t n = strlen(m->group);
    return strncmp(m->group, "/UserDataCfg", 12) == 0 || (n >= 4 && strcmp(m->group + n - 4, "_cfg") == 0);
}

// ---- what it says

static xani_status read_values(map *m)
{
    static const char axis[3] = {'x', 'y', 'z'};
    xn_h5_info info, first = {0};
    for (int k = 0; k < 3; k++) {
        char name[300];
        int64_t n = 0;
        snprintf(name, sizeof name, "%s/%c", m->group, axis[k]);
        if (k == 2 && !xn_h5_exists(m->file, name)) break;
        XN_TRY(xn_h5_info_get(m->ctx, m->file, name, &info));
        if (k == 0) first = info;
        if (info.is_group || info.rank < 2 || info.size != first.size || info.size < 1 || info.rank != first.rank ||
            memcmp(info.dims, first.dims, (size_t)info.rank * sizeof *info.dims) != 0)
            return xn_fail(m->ctx, XANI_ERR_INPUT, "%s: %s: is no map of a detector of the shape of x", m->path, name);
        XN_TRY(xn_h5_read_f64(m->ctx, m->file, name, &m->v[k], &n));
    }
    m->rows = first.dims[first.rank - 2];
    m->columns = first.dims[first.rank - 1];
    m->modules = first.size / (m->rows * m->columns);
    m->stacked = m->modules > 1;
    return XANI_OK;
}

static double distance(const map *m, int64_t a, int64_t b)
{
    return hypot(m->v[0][a] - m->v[0][b], m->v[1][a] - m->v[1][b]);
}

// Median distance of neighbours in a row, in the map's own unit.
static double neighbour_distance(const map *m)
{
    double sample[512];
    int n = 0;
    int64_t pairs = m->modules * m->rows * (m->columns - 1), step = xn_max64(1, pairs / 512);
    for (int64_t i = 0; i < pairs && n < 512; i += step) {
        int64_t pixel = i / (m->columns - 1) * m->columns + i % (m->columns - 1);
        double d = distance(m, pixel, pixel + 1);
        if (isfinite(d)) sample[n++] = d;
    }
    if (n == 0) return NAN;
    qsort(sample, (size_t)n, sizeof *sample, xn_double_compare);
    return sample[n / 2];
}

static xani_status find_scale(const map *m, double pitch, double *metres)
{
    static const struct {
        const char *unit;
        double metres, least, most;
    } units[] = {{"m", 1.0, 2e-6, 2e-3}, {"mm", 1e-3, 2e-3, 0.9}, {"um", 1e-6, 2.0, 2e3}, {"pixel", 0.0, 0.9, 1.1}};
    const char *asked = m->options->unit;
    bool given = asked != NULL && strcmp(asked, "auto") != 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (given ? strcmp(asked, units[i].unit) != 0 : !(pitch >= units[i].least && pitch <= units[i].most)) continue;
        *metres = units[i].metres > 0.0 ? units[i].metres : 1e-3 * m->options->pixel_mm;
        if (units[i].metres == 0.0 && isnan(*metres) && m->options->anywhere) *metres = 1e-4;
        if (!isnan(*metres)) return XANI_OK;
        return xn_fail(m->ctx, XANI_ERR_CONFIG, "geometry.map.pixel_mm is missing: %s has positions in pixels",
                       m->path);
    }
    return xn_fail(m->ctx, XANI_ERR_CONFIG,
                   "geometry.map.unit is missing: neighbours in %s are %g apart, which is no pixel in m, mm or um",
                   m->path, pitch);
}

// ---- modules of a map without an axis of them

static bool begins_module(const map *m, int64_t row, double pitch)
{
    int64_t far = 0, near = 0;
    for (int64_t c = 0; c < m->columns; c++) {
        double d = distance(m, row * m->columns + c, (row - 1) * m->columns + c);
        far += d > JUMP * pitch;
        near += d <= JUMP * pitch;
    }
    return far > near;
}

static xani_status set_modules(const map *m, double pitch, xn_geometry *g)
{
    int64_t ny = m->modules * m->rows;
    g->n_modules = (int)m->modules;
    for (int64_t r = 1; !m->stacked && r < ny; r++) g->n_modules += begins_module(m, r, pitch);
    XN_TRY(xn_geometry_allocate(m->ctx, g));
    int at = 0;
    for (int64_t r = 0; r < ny; r++) {
        if (m->stacked)
            at = (int)(r / m->rows);
        else if (r > 0)
            at += begins_module(m, r, pitch);
        g->module_rows[at]++;
    }
    return XANI_OK;
}

static xani_status place(const map *m, double metres, xn_geometry *g)
{
    int64_t n = g->ny * g->nx, used = 0;
    double sum = 0.0, sign = in_psana_frame(m) ? -1.0 : 1.0;
    for (int64_t i = 0; m->v[2] != NULL && i < n; i++) {
        if (!isfinite(m->v[2][i])) continue;
        sum += sign * metres * m->v[2][i];
        used++;
    }
    double own = used > 0 ? sum / (double)used : 0.0, shift = 0.0;
    g->distance_m = own > 1e-6 ? own : NAN;
    if (!isnan(m->options->distance_m)) {
        g->distance_m = m->options->distance_m;
        shift = m->options->distance_m - own;
    } else if (isnan(g->distance_m) && !m->options->anywhere) {
        return xn_fail(m->ctx, XANI_ERR_CONFIG, "geometry.distance_mm is missing: %s has no z behind the sample",
                       m->path);
    }
    for (int64_t i = 0; i < n; i++) {
        double x = m->v[0][i] * metres, y = m->v[1][i] * metres, z = m->v[2] != NULL ? m->v[2][i] * metres : 0.0;
        if (!isfinite(x) || !isfinite(y) || !isfinite(z)) continue;
        float *r = g->position + 3 * i;
        r[0] = (float)(sign < 0.0 ? -y : x);
        r[1] = (float)(sign < 0.0 ? -x : y);
        r[2] = (float)(sign * z + shift);
        g->bad[i] = 0;
    }
    return XANI_OK;
}

static xani_status make(map *m, xn_geometry *g)
{
    if (!find_group(m))
        return xn_fail(m->ctx, XANI_ERR_INPUT, "%s: no datasets x and y in %s", m->path,
                       m->options->group ? m->options->group : "it, UserDataCfg/* or *_cfg");
    XN_TRY(check_choice(m));
    XN_TRY(read_values(m));
    double pitch = neighbour_distance(m), metres = NAN;
    XN_TRY(find_scale(m, pitch, &metres));
    g->ny = m->modules * m->rows;
    g->nx = m->columns;
    g->pixel_m = g->pixels_m[0] = g->pixels_m[1] = pitch * metres;
    g->energy_kev = NAN;
    XN_TRY(set_modules(m, pitch, g));
    return place(m, metres, g);
}

xani_status xn_geometry_map(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_geometry *g)
{
    xn_h5 *file = NULL;
    memset(g, 0, sizeof *g);
    XN_TRY(xn_h5_open(ctx, path, &file));
    map m = {.ctx = ctx, .options = o, .path = path, .file = file};
    xani_status st = make(&m, g);
    for (int k = 0; k < 3; k++) xn_free(m.v[k]);
    xn_h5_close(&file);
    if (st != XANI_OK) xn_geometry_free(g);
    return st;
}
