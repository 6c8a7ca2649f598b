// SPDX-License-Identifier: BSD-3-Clause
// geom_crystfel.c -- CrystFEL geometry files (crystfel_geometry(5)).
//
// Lines "key = value" set the default of panels that are first mentioned later; lines "panel/key = value" set one
// panel, which starts as a copy of the defaults at its first mention.  Names that begin with "bad" are regions to
// ignore, "rigid_group" and "group" lines are about refinement only.  corner_x, corner_y are the outer corner of
// the panel's first pixel in pixels, fs and ss direction vectors in pixels, res pixels per metre, coffset metres.
//
// The trap of units: a literal clen is in metres, one that names a place in the data file in millimetres unless it
// says "m" behind it; detector_shift is in metres, photon_energy in eV either way, a wavelength must say m or A.  What
// does not concern positions is skipped, what is no key of CrystFEL's is told.
#include "physics/geom_crystfel.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAR_M 20.0 // a literal clen beyond it was probably meant in mm

typedef xn_crystfel_panel draft;
typedef xn_crystfel parser;

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

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return hash;
}

// Number of a data path in the order of first mention; -1: too many.
static int find_dataset(parser *p, const char *path)
{
    uint64_t hash = hash_of(path);
    for (int i = 0; i < p->n_datasets; i++)
        if (p->dataset[i] == hash) return i;
    if (p->n_datasets == (int)(sizeof p->dataset / sizeof p->dataset[0])) return -1;
    p->dataset[p->n_datasets] = hash;
    return p->n_datasets++;
}

// ---- settings of panels

static xani_status dim_setting(parser *p, draft *d, const char *key, const char *value)
{
    // "%" is the shot, "ss" and "fs" the panel's own axes; a number stacks panels along another axis
    static const char *const names[] = {"ss", "fs", "%"};
    double index = 0.0;
    int axis = key[3] - '0', name = 0;
    while (name < 3 && strcmp(value, names[name]) != 0) name++;
    if (name < 2) d->axis[name] = axis;
    d->index[axis] = -1;
    if (name < 3) return XANI_OK;
    if (!xn_crystfel_number(value, &index) || !(index >= 0.0 && index < 1e9))
        return wrong(p, key, value, "is neither %, ss, fs nor an index");
    d->index[axis] = (int64_t)index;
    return XANI_OK;
}

static xani_status clen_setting(parser *p, draft *d, const char *key, const char *value)
{
    const char *why = xn_said_parse(value, XN_LENGTH, 1.0, 1e-3, &d->clen);
    if (why != NULL) return wrong(p, key, value, why);
    if (d->clen.value > FAR_M)
        xn_warn(p->ctx, "%s:%d: clen = %s is taken in metres, as CrystFEL does; millimetres need \"mm\"", p->path,
                p->line, value);
    return XANI_OK;
}

// *known: what this is about.
static xani_status panel_setting(parser *p, draft *d, const char *key, const char *value, bool *known)
{
    const struct {
        const char *key;
        double *to;
    } numbers[] = {
        {"min_fs", &d->min_fs},     {"max_fs", &d->max_fs},     {"min_ss", &d->min_ss},   {"max_ss", &d->max_ss},
        {"corner_x", &d->corner_x}, {"corner_y", &d->corner_y}, {"coffset", &d->coffset}, {"res", &d->res}};
    *known = true;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(key, numbers[i].key) == 0)
            return xn_crystfel_number(value, numbers[i].to) ? XANI_OK : wrong(p, key, value, "is not a number");
    if (strcmp(key, "no_index") == 0) {
        d->no_index = strcmp(value, "true") == 0;
        bool word = d->no_index != 0.0 || strcmp(value, "false") == 0;
        return word || xn_crystfel_number(value, &d->no_index) ? XANI_OK : wrong(p, key, value, "is not a number");
    }
    if (strcmp(key, "fs") == 0 || strcmp(key, "ss") == 0)
        return xn_crystfel_vector(value, *key == 'f' ? d->fs : d->ss) ? XANI_OK
                                                                      : wrong(p, key, value, "is not a direction");
    if (strcmp(key, "clen") == 0) return clen_setting(p, d, key, value);
    if (strcmp(key, "data") == 0) {
        d->dataset = find_dataset(p, value);
        return d->dataset >= 0 ? XANI_OK : wrong(p, key, value, "is one dataset too many");
    }
    if (strncmp(key, "dim", 3) == 0 && key[3] >= '0' && key[3] < '0' + XN_CRYSTFEL_AXES && key[4] == '\0')
        return dim_setting(p, d, key, value);
    *known = false;
    return XANI_OK;
}

// What is not about positions is passed over, what is and is not followed is told, and what CrystFEL has no key for is
// told once: it may be one misspelt.
static void other_setting(parser *p, const char *key, const char *value)
{
    static const char *const passed[] = {"adu_per_",  "max_adu",        "saturation_map", "bandwidth",     "peak_list",
                                         "peak_info", "peak_sep",       "badrow",         "integr_radius", "flag_",
                                         "mask",      "beam_bandwidth", "panel"};
    static const char *const lost[] = {"mask_edge_pixels",   "rail_x",          "rail_y", "rail_z",
                                       "clen_for_centering", "electron_voltage"};
    bool file = strncmp(key, "mask", 4) == 0 && strstr(key, "_file") != NULL;
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) file = file || strcmp(key, lost[i]) == 0;
    if (file) {
        xn_warn(p->ctx, "%s:%d: %s = %s is not followed%s", p->path, p->line, key, value,
                key[0] == 'm' ? "; give the mask as input.mask" : "");
        return;
    }
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        if (strncmp(key, passed[i], strlen(passed[i])) == 0) return;
    uint64_t hash = hash_of(key);
    for (int i = 0; i < p->n_unknown; i++)
        if (p->unknown[i] == hash) return;
    if (p->n_unknown == XN_CRYSTFEL_UNKNOWN) return;
    p->unknown[p->n_unknown++] = hash;
    xn_warn(p->ctx, "%s:%d: %s = %s: CrystFEL has no such key; is it misspelt?", p->path, p->line, key, value);
}

// ---- bad regions

static bool bounded(const xn_bad_region *b)
{
    return isfinite(b->lo[0]) || isfinite(b->lo[1]) || isfinite(b->hi[0]) || isfinite(b->hi[1]);
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
    static const char *const axes[] = {"x", "y", "fs", "ss"};
    bool low = strncmp(key, "min_", 4) == 0;
    int axis = 0;
    while (axis < 4 && strcmp(key + 4, axes[axis]) != 0) axis++;
    if ((!low && strncmp(key, "max_", 4) != 0) || axis == 4) {
        other_setting(p, key, value);
        return XANI_OK;
    }
    if (bounded(b) && b->lab != (axis < 2)) return wrong(p, key, value, "x, y and fs, ss bound the same region");
    b->lab = axis < 2;
    return xn_crystfel_number(value, low ? &b->lo[axis % 2] : &b->hi[axis % 2])
               ? XANI_OK
               : wrong(p, key, value, "is not a number");
}

// A region without bounds, or of a panel that is not there, is a mistake in one of its lines.
static xani_status check_regions(const parser *p)
{
    for (int i = 0; i < p->n_bad; i++) {
        const xn_bad_region *b = &p->bad[i];
        bool found = b->panel[0] == '\0';
        for (int k = 0; k < p->n_panel; k++) found = found || strcmp(p->panel[k].name, b->panel) == 0;
        if (!bounded(b))
            return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s: region %s has no bounds min_x ... max_ss", p->path, b->name);
        if (!found)
            return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s: region %s: there is no panel %s", p->path, b->name, b->panel);
    }
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
    p->late_line = 0;
    *found = &p->panel[p->n_panel++];
    **found = p->defaults;
    if (strlen(name) >= sizeof p->defaults.name) return wrong(p, name, "", "the name is too long");
    memcpy((*found)->name, name, strlen(name) + 1);
    return XANI_OK;
}

// ---- lines

// photon_energy in eV without a unit, wavelength in m or A, the detector's shift in m.
static xani_status whole_setting(parser *p, const char *key, const char *value, bool *known)
{
    const char *why = NULL;
    bool wavelength = strcmp(key, "wavelength") == 0;
    *known = true;
    if (wavelength || strcmp(key, "photon_energy") == 0) {
        if (p->energy.unit > 0.0)
            xn_warn(p->ctx, "%s:%d: %s = %s: the energy is said twice, this counts", p->path, p->line, key, value);
        why = wavelength ? xn_said_parse(value, XN_WAVELENGTH, NAN, NAN, &p->energy)
                         : xn_said_parse(value, XN_ENERGY, 1e-3, 1e-3, &p->energy);
        if (why == NULL && p->energy.value <= 0.0) why = "is not positive";
    } else if (strcmp(key, "detector_shift_x") == 0 || strcmp(key, "detector_shift_y") == 0)
        why = xn_said_parse(value, XN_LENGTH, 1.0, 1.0, &p->shift[key[15] - 'x']);
    else
        *known = false;
    return why == NULL ? XANI_OK : wrong(p, key, value, why);
}

static xani_status top_setting(parser *p, const char *key, const char *value)
{
    bool known;
    XN_TRY(whole_setting(p, key, value, &known));
    if (known) return XANI_OK;
    XN_TRY(panel_setting(p, &p->defaults, key, value, &known));
    if (!known) other_setting(p, key, value);
    if (!known || strcmp(key, "clen") == 0) return XANI_OK;
    p->late_line = p->line;
    snprintf(p->late, sizeof p->late, "%s", key);
    return XANI_OK;
}

static xani_status parse_line(parser *p, char *line)
{
    char *comment = strchr(line, ';');
    if (comment != NULL) *comment = '\0';
    line = trim(line);
    if (*line == '\0') return XANI_OK;
    char *value = strchr(line, '=');
    if (value == NULL) {
        xn_warn(p->ctx, "%s:%d: %.40s: is no line \"key = value\"", p->path, p->line, line);
        return XANI_OK;
    }
    *value++ = '\0';
    char *key = trim(line);
    value = trim(value);
    if (strncmp(key, "rigid_group", 11) == 0 || strncmp(key, "group", 5) == 0) return XANI_OK;
    char *slash = strrchr(key, '/');
    if (slash == NULL) return top_setting(p, key, value);
    *slash++ = '\0';
    if (strncmp(key, "bad", 3) == 0) return bad_setting(p, key, slash, value);
    draft *d = NULL;
    bool known;
    XN_TRY(find_panel(p, key, &d));
    XN_TRY(panel_setting(p, d, slash, value, &known));
    if (!known) other_setting(p, slash, value);
    return XANI_OK;
}

static xani_status read_lines(parser *p, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    xani_status st = XANI_OK;
    while (st == XANI_OK && getline(&line, &room, file) > 0) {
        p->line++;
        st = parse_line(p, line);
    }
    free(line); // from getline
    XN_TRY(st);
    if (p->n_panel == 0) return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s: describes no panel", p->path);
    if (p->late_line > 0)
        xn_warn(p->ctx, "%s:%d: %s has no effect: no panel is first mentioned behind it", p->path, p->late_line,
                p->late);
    return check_regions(p);
}

xani_status xn_crystfel_read(xn_ctx *ctx, const char *path, xn_crystfel *p)
{
    *p = (parser){.ctx = ctx, .path = path, .energy.value = NAN};
    for (int i = 0; i < 2; i++) p->shift[i].value = 0.0;
    p->defaults = (draft){.min_fs = NAN,
                          .max_fs = NAN,
                          .min_ss = NAN,
                          .max_ss = NAN,
                          .corner_x = NAN,
                          .corner_y = NAN,
                          .clen.value = NAN,
                          .res = NAN,
                          .fs = {1, 0, 0},
                          .ss = {0, 1, 0},
                          .axis = {-1, -1},
                          .dataset = -1};
    for (int i = 0; i < XN_CRYSTFEL_AXES; i++) p->defaults.index[i] = -1;
    FILE *file = fopen(path, "r");
    if (file == NULL) return xn_fail(ctx, XANI_ERR_INPUT, "geometry.file %s: %s", path, strerror(errno));
    xani_status st = read_lines(p, file);
    fclose(file);
    return st;
}

void xn_crystfel_free(xn_crystfel *p)
{
    xn_free(p->bad);
    xn_free(p->panel);
    memset(p, 0, sizeof *p);
}
