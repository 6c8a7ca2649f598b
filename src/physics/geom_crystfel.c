// SPDX-License-Identifier: BSD-3-Clause
// geom_crystfel.c -- CrystFEL geometry files (crystfel_geometry(5)).
//
// Lines "key = value" set the default of panels that are first mentioned later; lines "panel/key = value" set one
// panel, which starts as a copy of the defaults at its first mention.  Names that begin with "bad" are regions to
// ignore, "rigid_group" and "group" lines are about refinement only.  corner_x, corner_y are the outer corner of
// the panel's first pixel in pixels, fs and ss direction vectors in pixels, res pixels per metre, coffset metres.
//
// The trap of units: a literal clen is in metres, one that names a place in the data file in millimetres unless it
// says "m" behind it; the same with photon_energy (eV either way).  Such places are read from the first input file;
// geometry.distance_mm and experiment.energy_kev go before both.  Panels in datasets of their own (data = /m%/... with
// different paths) are planes in the order of first mention, as are panels with a number in dimN; "%" stands for
// whatever numbers events.  Settings that do not concern positions are skipped.
#include "physics/panel.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"

#define FAR_M 20.0 // a literal clen beyond it was probably meant in mm

typedef struct {
    char name[64];
    double min_fs, max_fs, min_ss, max_ss, corner_x, corner_y, clen, coffset, res, no_index;
    double fs[3], ss[3];
    int64_t plane;
    int dataset;          // number of its data path, -1 when none is said
    char clen_place[128]; // where in the data file clen is, "" when it is a number
} draft;

typedef struct {
    xn_ctx *ctx;
    const char *path;
    int line;
    draft defaults, *panel;
    int n_panel, room_panel;
    xn_bad_region *bad;
    int n_bad, room_bad;
    double energy_kev;
    char energy_place[128];
    int n_datasets;
    uint64_t dataset[1024]; // hashes of the data paths met
} parser;

static xani_status wrong(const parser *p, const char *key, const char *value, const char *why)
{
    return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s:%d: %s = %s: %s", p->path, p->line, key, value, why);
}

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t') s++;
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL) s[--n] = '\0';
    return s;
}

// A number and what follows it; false when there is no number.
static bool number_unit(const char *s, double *value, const char **unit)
{
    char *end;
    *value = strtod(s, &end);
    if (end == s) return false;
    *unit = end + strspn(end, " \t");
    return isfinite(*value);
}

// "+0.99x -0.01y z" to three components.
static bool vector(const char *s, double v[3])
{
    v[0] = v[1] = v[2] = 0.0;
    bool any = false;
    for (s += strspn(s, " \t"); *s != '\0'; s += strspn(s, " \t")) {
        double sign = *s == '-' ? -1.0 : 1.0, size = 1.0;
        if (*s == '+' || *s == '-') s++;
        s += strspn(s, " \t");
        if (strchr("xyz", *s) == NULL) {
            char *end;
            size = strtod(s, &end);
            if (end == s) return false;
            s = end + strspn(end, " \t");
        }
        if (*s != 'x' && *s != 'y' && *s != 'z') return false;
        v[*s - 'x'] += sign * size;
        any = true;
        s++;
    }
    return any;
}

static bool length_m(const char *value, double *metres)
{
    const char *unit;
    if (!number_unit(value, metres, &unit)) return false;
    if (strcmp(unit, "mm") == 0) *metres *= 1e-3;
    return *unit == '\0' || strcmp(unit, "m") == 0 || strcmp(unit, "mm") == 0;
}

// Number of a data path in the order of first mention; -1: too many.
static int find_dataset(parser *p, const char *path)
{
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (const char *c = path; *c; c++) hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    for (int i = 0; i < p->n_datasets; i++)
        if (p->dataset[i] == hash) return i;
    if (p->n_datasets == (int)(sizeof p->dataset / sizeof p->dataset[0])) return -1;
    p->dataset[p->n_datasets] = hash;
    return p->n_datasets++;
}

static xani_status panel_setting(parser *p, draft *d, const char *key, const char *value)
{
    const struct {
        const char *key;
        double *to;
    } numbers[] = {{"min_fs", &d->min_fs},   {"max_fs", &d->max_fs},     {"min_ss", &d->min_ss},
                   {"max_ss", &d->max_ss},   {"corner_x", &d->corner_x}, {"corner_y", &d->corner_y},
                   {"coffset", &d->coffset}, {"res", &d->res},           {"no_index", &d->no_index}};
    const char *unit;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(key, numbers[i].key) == 0) {
            bool good = number_unit(value, numbers[i].to, &unit) && *unit == '\0';
            return good ? XANI_OK : wrong(p, key, value, "is not a number");
        }
    if (strcmp(key, "fs") == 0 || strcmp(key, "ss") == 0)
        return vector(value, *key == 'f' ? d->fs : d->ss) ? XANI_OK : wrong(p, key, value, "is not a direction");
    if (strcmp(key, "clen") == 0) {
        d->clen_place[0] = '\0';
        if (length_m(value, &d->clen)) {
            if (d->clen > FAR_M)
                xn_warn(p->ctx, "%s:%d: clen = %s is taken in metres, as CrystFEL does; millimetres need \"mm\"",
                        p->path, p->line, value);
            return XANI_OK;
        }
        d->clen = NAN;
        snprintf(d->clen_place, sizeof d->clen_place, "%s", value);
        return XANI_OK;
    }
    if (strcmp(key, "data") == 0) {
        d->dataset = find_dataset(p, value);
        return d->dataset >= 0 ? XANI_OK : wrong(p, key, value, "is one dataset too many");
    }
    if (strncmp(key, "mask", 4) == 0 && strstr(key, "_file") != NULL)
        xn_warn(p->ctx, "%s:%d: %s = %s is not followed; give the mask as input.mask", p->path, p->line, key, value);
    if (strncmp(key, "dim", 3) == 0) {
        // "%" is the shot, "ss" and "fs" the panel's own axes; a number stacks panels along another axis
        double index;
        if (!number_unit(value, &index, &unit)) return XANI_OK;
        if (!(index >= 0 && index < 1e9)) return wrong(p, key, value, "is no index");
        d->plane = (int64_t)index;
    }
    return XANI_OK;
}

static xani_status bad_setting(parser *p, const char *name, const char *key, const char *value)
{
    xn_bad_region *b = NULL;
    for (int i = 0; i < p->n_bad; i++)
        if (strcmp(p->bad[i].name, name) == 0) b = &p->bad[i];
    if (b == NULL) {
        if (p->n_bad == p->room_bad) {
            int room = p->room_bad > 0 ? 2 * p->room_bad : 16;
            void *more = xn_realloc(p->bad, (size_t)room, sizeof *p->bad);
            if (more == NULL) return xn_fail_memory(p->ctx, "bad regions", (size_t)room * sizeof *p->bad);
            p->bad = more;
            p->room_bad = room;
        }
        b = &p->bad[p->n_bad++];
        *b = (xn_bad_region){.lab = true, .lo = {-INFINITY, -INFINITY}, .hi = {INFINITY, INFINITY}};
        snprintf(b->name, sizeof b->name, "%s", name);
    }
    if (strcmp(key, "panel") == 0) {
        snprintf(b->panel, sizeof b->panel, "%s", value);
        return XANI_OK;
    }
    const char *axis = strchr(key, '_');
    bool low = strncmp(key, "min_", 4) == 0;
    if (axis == NULL || (!low && strncmp(key, "max_", 4) != 0)) return XANI_OK;
    b->lab = strcmp(axis, "_x") == 0 || strcmp(axis, "_y") == 0;
    int k = strcmp(axis, "_y") == 0 || strcmp(axis, "_ss") == 0;
    const char *unit;
    if (!number_unit(value, low ? &b->lo[k] : &b->hi[k], &unit) || *unit != '\0')
        return wrong(p, key, value, "is not a number");
    return XANI_OK;
}

static xani_status find_panel(parser *p, const char *name, draft **found)
{
    for (int i = 0; i < p->n_panel; i++)
        if (strcmp(p->panel[i].name, name) == 0) {
            *found = &p->panel[i];
            return XANI_OK;
        }
    if (p->n_panel == p->room_panel) {
        int room = p->room_panel > 0 ? 2 * p->room_panel : 32;
        void *more = xn_realloc(p->panel, (size_t)room, sizeof *p->panel);
        if (more == NULL) return xn_fail_memory(p->ctx, "panels", (size_t)room * sizeof *p->panel);
        p->panel = more;
        p->room_panel = room;
    }
    *found = &p->panel[p->n_panel++];
    **found = p->defaults;
    if (strlen(name) >= sizeof p->defaults.name) return wrong(p, name, "", "the name is too long");
    memcpy((*found)->name, name, strlen(name) + 1);
    return XANI_OK;
}

// photon_energy in eV unless it says keV or MeV; wavelength in m or A. A place in the data file is not followed.
static void beam_setting(parser *p, const char *key, const char *value)
{
    double v;
    const char *unit;
    if (*value == '/') snprintf(p->energy_place, sizeof p->energy_place, "%s", value);
    if (!number_unit(value, &v, &unit) || !(v > 0.0)) return;
    if (strcmp(key, "wavelength") == 0)
        p->energy_kev = 12.398419843320026 / (*unit == 'A' ? v : 1e10 * v);
    else
        p->energy_kev = strcmp(unit, "keV") == 0 ? v : strcmp(unit, "MeV") == 0 ? 1e3 * v : 1e-3 * v;
}

static xani_status parse_line(parser *p, char *line)
{
    char *comment = strchr(line, ';');
    if (comment != NULL) *comment = '\0';
    line = trim(line);
    if (*line == '\0') return XANI_OK;
    char *value = strchr(line, '=');
    if (value == NULL) return XANI_OK; // CrystFEL ignores such lines as well
    *value++ = '\0';
    char *key = trim(line);
    value = trim(value);
    if (strncmp(key, "rigid_group", 11) == 0 || strncmp(key, "group", 5) == 0) return XANI_OK;
    char *slash = strrchr(key, '/');
    if (slash == NULL) {
        if (strcmp(key, "photon_energy") == 0 || strcmp(key, "wavelength") == 0) beam_setting(p, key, value);
        return panel_setting(p, &p->defaults, key, value);
    }
    *slash++ = '\0';
    if (strncmp(key, "bad", 3) == 0) return bad_setting(p, key, slash, value);
    draft *d = NULL;
    XN_TRY(find_panel(p, key, &d));
    return panel_setting(p, d, slash, value);
}

// ---- places in the data file

// "/LCLS/detector_1/EncoderValue mm": the number there, and the unit behind the path.
static bool look_up(const parser *p, const char *data_file, const char *place, double *value, const char **unit)
{
    char path[128];
    size_t n = strcspn(place, " \t");
    snprintf(path, sizeof path, "%.*s", (int)n, place);
    *unit = place + n + strspn(place + n, " \t");
    if (data_file == NULL || path[0] != '/' || strchr(path, '%') != NULL) return false;
    xn_h5 *file = NULL;
    double *values = NULL;
    int64_t count = 0;
    bool found = xn_h5_open(p->ctx, data_file, &file) == XANI_OK && xn_h5_exists(file, path) &&
                 xn_h5_read_f64(p->ctx, file, path, &values, &count) == XANI_OK && count > 0 && isfinite(values[0]);
    if (found) *value = values[0];
    xn_free(values);
    xn_h5_close(&file);
    xn_clear_error(p->ctx);
    return found;
}

static void look_up_energy(parser *p, const char *data_file)
{
    double value;
    const char *unit;
    if (p->energy_place[0] == '\0' || !isnan(p->energy_kev)) return;
    if (!look_up(p, data_file, p->energy_place, &value, &unit) || !(value > 0.0)) return;
    p->energy_kev = strcmp(unit, "keV") == 0 ? value : strcmp(unit, "MeV") == 0 ? 1e3 * value : 1e-3 * value;
}

static double distance_of(const parser *p, const draft *d, const xn_geometry_options *o)
{
    double value;
    const char *unit;
    if (!isnan(o->distance_m)) return o->distance_m;
    if (!isnan(d->clen) || d->clen_place[0] == '\0' || !look_up(p, o->data_file, d->clen_place, &value, &unit))
        return d->clen;
    return strcmp(unit, "m") == 0 ? value : 1e-3 * value;
}

// ---- the panels

static xani_status finish(const parser *p, const draft *d, const xn_geometry_options *o, xn_panel *out, double *z)
{
    const double needed[] = {d->min_fs, d->max_fs, d->min_ss, d->max_ss, d->corner_x, d->corner_y, d->res};
    static const char *const name[] = {"min_fs", "max_fs", "min_ss", "max_ss", "corner_x", "corner_y", "res"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (isnan(needed[i]))
            return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s: panel %s has no %s", p->path, d->name, name[i]);
    if (d->min_fs < 0 || d->min_ss < 0 || d->max_fs < d->min_fs || d->max_ss < d->min_ss || d->max_fs > 1e6 ||
        d->max_ss > 1e7 || !(d->res > 0))
        return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s: panel %s has an impossible range or res", p->path, d->name);
    *z = distance_of(p, d, o);
    if (isnan(*z) && !o->anywhere)
        return xn_fail(p->ctx, XANI_ERR_CONFIG, "geometry.distance_mm is missing: %s has no clen for panel %s%s",
                       p->path, d->name, d->clen_place[0] ? " except a place in the data file" : "");
    if (*z + d->coffset == 0.0 && !o->anywhere)
        return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s: panel %s is at distance 0 from the sample (clen + coffset)",
                       p->path, d->name);
    *out = (xn_panel){.min_fs = (int64_t)d->min_fs,
                      .max_fs = (int64_t)d->max_fs,
                      .min_ss = (int64_t)d->min_ss,
                      .max_ss = (int64_t)d->max_ss,
                      .plane = d->plane >= 0 || p->n_datasets < 2 ? d->plane : d->dataset,
                      .corner = {d->corner_x / d->res, d->corner_y / d->res, (isnan(*z) ? 0.0 : *z) + d->coffset},
                      .res = d->res,
                      .unused = d->no_index != 0.0};
    memcpy(out->name, d->name, sizeof out->name);
    for (int k = 0; k < 3; k++) {
        out->fs[k] = d->fs[k] / d->res;
        out->ss[k] = d->ss[k] / d->res;
    }
    return XANI_OK;
}

xani_status xn_panels_crystfel(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels)
{
    memset(panels, 0, sizeof *panels);
    parser p = {.ctx = ctx, .path = path, .energy_kev = NAN};
    p.defaults = (draft){.min_fs = NAN,
                         .max_fs = NAN,
                         .min_ss = NAN,
                         .max_ss = NAN,
                         .corner_x = NAN,
                         .corner_y = NAN,
                         .clen = NAN,
                         .res = NAN,
                         .fs = {1, 0, 0},
                         .ss = {0, 1, 0},
                         .plane = -1,
                         .dataset = -1};
    xani_status st = XANI_OK;
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) return xn_fail(ctx, XANI_ERR_INPUT, "geometry.file %s: %s", path, strerror(errno));
    while (getline(&line, &room, file) > 0) {
        p.line++;
        XN_GOTO(out, st, parse_line(&p, line));
    }
    if (p.n_panel == 0) XN_GOTO(out, st, xn_fail(ctx, XANI_ERR_CONFIG, "%s: describes no panel", path));
    panels->panel = xn_calloc((size_t)p.n_panel, sizeof *panels->panel);
    if (panels->panel == NULL)
        XN_GOTO(out, st, xn_fail_memory(ctx, "panels", (size_t)p.n_panel * sizeof *panels->panel));
    look_up_energy(&p, o->data_file);
    for (int i = p.n_panel - 1; i >= 0; i--) // backwards: the first panel's distance stands for all
        XN_GOTO(out, st, finish(&p, &p.panel[i], o, &panels->panel[i], &panels->distance_m));
    panels->n = p.n_panel;
    panels->bad = p.bad;
    panels->n_bad = p.n_bad;
    panels->energy_kev = p.energy_kev;
    p.bad = NULL;
out:
    if (st != XANI_OK) xn_panels_free(panels);
    xn_free(p.bad);
    xn_free(p.panel);
    free(line); // from getline
    fclose(file);
    return st;
}
