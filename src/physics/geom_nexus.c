// SPDX-License-Identifier: BSD-3-Clause
// geom_nexus.c -- detector modules of NXmx files: fast and slow pixel directions on chains of transformations.
//
// A module's outer corner and its two steps are carried along depends_on from one transformation to the next, up to
// ".": x becomes R x + offset (rotation by the axis' value about vector) or x + offset + value * vector (translation).
// Names in depends_on are absolute or relative to the group of the axis.  NXmx' McStas frame is the laboratory: z along
// the beam, y up, x to the left when looking along the beam.  A chain that does not leave the sample is completed by
// beam_center_x, beam_center_y (pixels) and distance, as Dectris' older files mean it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "physics/lattice.h"
#include "physics/panel.h"

#define LONGEST 32 // transformations of a chain
#define PATH 512

typedef struct {
    xn_ctx *ctx;
    const xn_h5 *file;
    const xn_geometry_options *options;
    xn_panels *panels;
    double distance_sum;
} nexus;

// ---- numbers with units

static double unit_of(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *attribute, double otherwise)
{
    static const struct {
        const char *name;
        double size;
    } units[] = {{"m", 1.0},
                 {"metre", 1.0},
                 {"mm", 1e-3},
                 {"um", 1e-6},
                 {"micron", 1e-6},
                 {"cm", 1e-2},
                 {"rad", 1.0},
                 {"radian", 1.0},
                 {"deg", M_PI / 180.0},
                 {"degree", M_PI / 180.0},
                 {"degrees", M_PI / 180.0},
                 {"eV", 1e-3},
                 {"keV", 1.0},
                 {"angstrom", 1.0},
                 {"Angstrom", 1.0}};
    char *text = NULL;
    double size = otherwise;
    if (xn_h5_read_attr(ctx, file, object, attribute, &text) == XANI_OK)
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strcmp(text, units[i].name) == 0) size = units[i].size;
    xn_clear_error(ctx);
    xn_free(text);
    return size;
}

// The first number of a dataset in base units; false where there is none.
static bool number(xn_ctx *ctx, const xn_h5 *file, const char *name, double unit, double *value)
{
    double *v = NULL;
    int64_t n = 0;
    bool found =
        xn_h5_exists(file, name) && xn_h5_read_f64(ctx, file, name, &v, &n) == XANI_OK && n > 0 && isfinite(v[0]);
    if (found) *value = v[0] * unit_of(ctx, file, name, "units", unit);
    xn_free(v);
    xn_clear_error(ctx);
    return found;
}

static bool number_in(xn_ctx *ctx, const xn_h5 *file, const char *group, const char *name, double unit, double *value)
{
    char path[PATH + 64];
    snprintf(path, sizeof path, "%s/%s", group, name);
    return number(ctx, file, path, unit, value);
}

// The offset of an axis in metres, 0 where it has none. Without units of its own, as Diamond's files have it, it is in
// those of the axis, of a rotation in metres.
static void read_offset(const nexus *x, const char *axis, bool rotation, double offset[3])
{
    double unit = rotation ? 1.0 : unit_of(x->ctx, x->file, axis, "units", 1.0);
    unit = unit_of(x->ctx, x->file, axis, "offset_units", unit);
    bool there = xn_h5_read_attr_f64s(x->ctx, x->file, axis, "offset", 3, offset) == XANI_OK;
    for (int k = 0; k < 3; k++) offset[k] = there ? offset[k] * unit : 0.0;
    xn_clear_error(x->ctx);
}

// ---- chains

// "x" beside `from`, or "/entry/..." as it is; false at the end of the chain.
static bool next_of(const nexus *x, const char *from, char next[PATH])
{
    char *text = NULL;
    bool more = xn_h5_read_attr(x->ctx, x->file, from, "depends_on", &text) == XANI_OK && strcmp(text, ".") != 0 &&
                text[0] != '\0';
    if (more && text[0] == '/') snprintf(next, PATH, "%s", text);
    const char *slash = strrchr(from, '/');
    if (more && text[0] != '/') {
        char made[PATH];
        snprintf(made, sizeof made, "%.*s/%s", slash ? (int)(slash - from) : 0, from, text);
        memcpy(next, made, PATH);
    }
    xn_clear_error(x->ctx);
    xn_free(text);
    return more;
}

static xani_status transform(const nexus *x, const char *axis, double corner[3], double fast[3], double slow[3])
{
    double v[3], offset[3], value;
    char *type = NULL;
    XN_TRY(xn_h5_read_attr_f64s(x->ctx, x->file, axis, "vector", 3, v));
    bool rotation = xn_h5_read_attr(x->ctx, x->file, axis, "transformation_type", &type) == XANI_OK &&
                    strcmp(type, "rotation") == 0;
    xn_free(type);
    xn_clear_error(x->ctx);
    read_offset(x, axis, rotation, offset);
    double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    if (!number(x->ctx, x->file, axis, rotation ? M_PI / 180.0 : 1.0, &value) || !(length > 0.0))
        return xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: is no transformation with a value and a vector",
                       xn_h5_path(x->file), axis);
    if (rotation) {
        xn_goniometer turn = {1, {{{v[0] / length, v[1] / length, v[2] / length}, 1.0, value * 180.0 / M_PI}}};
        double r[9], out[3], *all[3] = {corner, fast, slow};
        xn_goniometer_matrix(&turn, r);
        for (int i = 0; i < 3; i++) {
            xn_mat3_vec(r, all[i], out);
            memcpy(all[i], out, sizeof out);
        }
    }
    for (int k = 0; k < 3; k++) corner[k] += offset[k] + (rotation ? 0.0 : value * v[k] / length);
    return XANI_OK;
}

// ---- modules

static xani_status read_direction(const nexus *x, const char *module, const char *name, double step[3],
                                  double offset[3], char path[PATH])
{
    double size, v[3];
    snprintf(path, PATH, "%s/%s", module, name);
    XN_TRY(xn_h5_read_attr_f64s(x->ctx, x->file, path, "vector", 3, v));
    double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    if (!number(x->ctx, x->file, path, 1.0, &size) || !(size > 0.0) || !(length > 0.0))
        return xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: is no pixel size with a vector", xn_h5_path(x->file), path);
    for (int k = 0; k < 3; k++) step[k] = size * v[k] / length;
    read_offset(x, path, false, offset);
    return XANI_OK;
}

static xani_status read_indices(const nexus *x, const char *module, const char *name, int64_t out[3], int *rank)
{
    char path[PATH + 64];
    int64_t *v = NULL, n = 0;
    snprintf(path, sizeof path, "%s/%s", module, name);
    XN_TRY(xn_h5_read_i64(x->ctx, x->file, path, &v, &n));
    bool good = n == 2 || n == 3;
    for (int64_t i = 0; good && i < n; i++) {
        good = v[i] >= 0 && v[i] <= 10000000;
        out[3 - n + i] = v[i];
    }
    if (n == 2) out[0] = 0;
    *rank = (int)n;
    xn_free(v);
    return good
               ? XANI_OK
               : xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: is no index of two or three axes", xn_h5_path(x->file), path);
}

// beam_center_* and distance, where the chain has left the module at the sample.
static void place_simply(const nexus *x, const char *detector, xn_panel *p)
{
    double bx, by, z;
    if (!number_in(x->ctx, x->file, detector, "distance", 1.0, &z) &&
        !number_in(x->ctx, x->file, detector, "detector_distance", 1.0, &z))
        z = 0.0;
    if (!number_in(x->ctx, x->file, detector, "beam_center_x", 1.0, &bx) ||
        !number_in(x->ctx, x->file, detector, "beam_center_y", 1.0, &by))
        bx = by = 0.0;
    for (int k = 0; k < 3; k++)
        p->corner[k] += ((double)p->min_fs - bx) * p->fs[k] + ((double)p->min_ss - by) * p->ss[k] + (k == 2 ? z : 0.0);
}

static xani_status add_module(nexus *x, const char *detector, const char *module)
{
    int64_t origin[3] = {0, 0, 0}, size[3] = {0, 0, 0};
    int rank = 0, unused_rank = 0;
    double offset[3], other[3];
    char axis[PATH], slow[PATH];
    XN_TRY(read_indices(x, module, "data_origin", origin, &rank));
    XN_TRY(read_indices(x, module, "data_size", size, &unused_rank));
    xn_panel *p = xn_panels_add(x->ctx, x->panels);
    if (p == NULL) return XANI_ERR_MEMORY;
    XN_TRY(read_direction(x, module, "slow_pixel_direction", p->ss, other, slow));
    XN_TRY(read_direction(x, module, "fast_pixel_direction", p->fs, offset, axis));
    if (size[1] < 1 || size[2] < 1)
        return xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s/data_size: is empty", xn_h5_path(x->file), module);
    p->min_ss = origin[1];
    p->max_ss = origin[1] + size[1] - 1;
    p->min_fs = origin[2];
    p->max_fs = origin[2] + size[2] - 1;
    p->plane = rank == 3 ? origin[0] : -1;
    p->res = 1.0 / sqrt(p->fs[0] * p->fs[0] + p->fs[1] * p->fs[1] + p->fs[2] * p->fs[2]);
    const char *name = strrchr(module, '/');
    snprintf(p->name, sizeof p->name, "%.63s", name ? name + 1 : module);
    memcpy(p->corner, offset, sizeof offset);
    for (int n = 0; next_of(x, axis, axis); n++) {
        if (n == LONGEST)
            return xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: the chain of depends_on does not end", xn_h5_path(x->file),
                           module);
        XN_TRY(transform(x, axis, p->corner, p->fs, p->ss));
    }
    if (!(fabs(p->corner[2]) > 1e-9)) place_simply(x, detector, p);
    double rows = 0.5 * (double)size[1], columns = 0.5 * (double)size[2];
    x->distance_sum += p->corner[2] + columns * p->fs[2] + rows * p->ss[2];
    return XANI_OK;
}

// Modules of a detector; without `x` only whether there is one.
static xani_status in_detector(xn_ctx *ctx, const xn_h5 *file, const char *detector, nexus *x, bool *any)
{
    char **names = NULL;
    *any = false;
    if (xn_h5_names(ctx, file, detector, &names) != XANI_OK) { // a dataset, or a link to nothing
        xn_clear_error(ctx);
        return XANI_OK;
    }
    xani_status st = XANI_OK;
    for (char **n = names; *n != NULL && st == XANI_OK; n++) {
        char module[PATH], direction[PATH + 64];
        snprintf(module, sizeof module, "%.250s/%.250s", detector, *n);
        snprintf(direction, sizeof direction, "%s/fast_pixel_direction", module);
        if (!xn_h5_exists(file, direction)) continue;
        *any = true;
        if (x == NULL) break;
        st = add_module(x, detector, module);
    }
    xn_h5_names_free(names);
    return st;
}

// The first detector with modules below entry*/instrument; false when there is none.
static bool find_detector(xn_ctx *ctx, const xn_h5 *file, char found[PATH], char beam[PATH])
{
    char **entries = NULL, **names = NULL, instrument[PATH];
    bool any = false;
    if (xn_h5_names(ctx, file, "/", &entries) != XANI_OK) entries = NULL;
    for (char **e = entries; e != NULL && *e != NULL && !any; e++) {
        snprintf(instrument, sizeof instrument, "/%.200s/instrument", *e);
        snprintf(beam, PATH, "/%.200s/instrument/beam", *e);
        if (strncmp(*e, "entry", 5) != 0 || !xn_h5_exists(file, instrument) ||
            xn_h5_names(ctx, file, instrument, &names) != XANI_OK)
            continue;
        for (char **n = names; *n != NULL && !any; n++) {
            snprintf(found, PATH, "%.240s/%.240s", instrument, *n);
            if (in_detector(ctx, file, found, NULL, &any) != XANI_OK) any = false;
        }
        xn_h5_names_free(names);
    }
    if (entries != NULL) xn_h5_names_free(entries);
    xn_clear_error(ctx);
    return any;
}

bool xn_nexus_has_detector(xn_ctx *ctx, const xn_h5 *file)
{
    char found[PATH], beam[PATH];
    return find_detector(ctx, file, found, beam);
}

static double read_energy(xn_ctx *ctx, const xn_h5 *file, const char *beam)
{
    double v;
    if (number_in(ctx, file, beam, "incident_energy", 1e-3, &v) && v > 0.0) return v;
    if (number_in(ctx, file, beam, "incident_wavelength", 1.0, &v) && v > 0.0) return 12.398419843320026 / v;
    return NAN;
}

static xani_status set_distance(nexus *x)
{
    xn_panels *p = x->panels;
    double own = x->distance_sum / p->n, asked = x->options->distance_m;
    for (int i = 0; !isnan(asked) && i < p->n; i++) p->panel[i].corner[2] += asked - own;
    p->distance_m = !isnan(asked) ? asked : own > 1e-6 ? own : NAN;
    if (!isnan(p->distance_m) || x->options->anywhere) return XANI_OK;
    return xn_fail(x->ctx, XANI_ERR_CONFIG, "geometry.distance_mm is missing: %s places the detector at the sample",
                   xn_h5_path(x->file));
}

xani_status xn_panels_nexus(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels)
{
    xn_h5 *file = NULL;
    char detector[PATH], beam[PATH];
    bool any = false;
    memset(panels, 0, sizeof *panels);
    XN_TRY(xn_h5_open(ctx, path, &file));
    nexus x = {.ctx = ctx, .file = file, .options = o, .panels = panels};
    bool found = find_detector(ctx, file, detector, beam);
    if (o->group != NULL) snprintf(detector, sizeof detector, "%s", o->group);
    xani_status st = XANI_OK;
    if (found || o->group != NULL) st = in_detector(ctx, file, detector, &x, &any);
    if (st == XANI_OK && !any)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no detector with modules (fast_pixel_direction) in %s", path,
                     o->group ? o->group : "entry/instrument");
    panels->energy_kev = read_energy(ctx, file, beam);
    if (st == XANI_OK) st = set_distance(&x);
    xn_h5_close(&file);
    if (st != XANI_OK) xn_panels_free(panels);
    return st;
}
