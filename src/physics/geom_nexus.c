// SPDX-License-Identifier: BSD-3-Clause
// geom_nexus.c -- detector modules of NXmx files: fast and slow pixel directions on chains of transformations.
//
// A module's outer corner and its two steps are carried along depends_on from one transformation to the next, up to
// ".": x becomes R x + offset (rotation by the axis' value about vector) or x + offset + value * vector (translation,
// whatever the vector's length, as the nxmx package and DIALS have it; of a pixel direction the value is the size).
// Names in depends_on are absolute or relative to the group of the axis.  NXmx' McStas frame is the laboratory: z along
// the beam, y up, x to the left when looking along the beam.  A chain that does not leave the sample is completed by
// beam_center_x, beam_center_y (pixels) and distance, as Dectris' older files mean it.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "physics/geom_nexus.h"
#include "physics/lattice.h"
#include "physics/panel.h"

#define LONGEST 32 // transformations of a chain
#define PATH 512
#define UNIT_TOLERANCE 0.001  // of the length of a vector
#define ENERGY_TOLERANCE 0.01 // relative: between energy and wavelength

typedef struct {
    xn_ctx *ctx;
    const xn_h5 *file;
    const xn_geometry_options *options;
    xn_panels *panels;
    double distance_sum;
} nexus;

// ---- numbers with units

static xani_status unit_of(const nexus *x, const char *object, const char *attribute, double otherwise, double *metres)
{
    return xn_nxmx_unit(x->ctx, x->file, object, attribute, XN_LENGTH, otherwise, metres);
}

static xani_status number(const nexus *x, const char *name, xn_quantity what, double unit, double *value)
{
    return xn_nxmx_number(x->ctx, x->file, name, what, unit, value);
}

static xani_status number_in(const nexus *x, const char *group, const char *name, xn_quantity what, double unit,
                             double *value)
{
    char path[PATH + 64];
    snprintf(path, sizeof path, "%s/%s", group, name);
    return number(x, path, what, unit, value);
}

// The offset of an axis in metres, 0 where it has none. Without units of its own, as Diamond's files have it, it is in
// those of the axis, of a rotation in metres.
static xani_status read_offset(const nexus *x, const char *axis, bool rotation, double offset[3])
{
    double unit = 1.0;
    offset[0] = offset[1] = offset[2] = 0.0;
    if (!xn_h5_has_attr(x->file, axis, "offset")) return XANI_OK;
    XN_TRY(xn_h5_read_attr_f64s(x->ctx, x->file, axis, "offset", 3, offset));
    if (!rotation) XN_TRY(unit_of(x, axis, "units", 1.0, &unit));
    XN_TRY(unit_of(x, axis, "offset_units", unit, &unit));
    for (int k = 0; k < 3; k++) offset[k] *= unit;
    return XANI_OK;
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

// What an axis is: a rotation, or a translation, which it also is without a word about it.
static xani_status read_type(const nexus *x, const char *axis, bool *rotation)
{
    static const char name[] = "transformation_type";
    char *type = NULL;
    *rotation = false;
    if (!xn_h5_has_attr(x->file, axis, name)) return XANI_OK;
    XN_TRY(xn_h5_read_attr(x->ctx, x->file, axis, name, &type));
    *rotation = strcmp(type, "rotation") == 0;
    xani_status st = *rotation || strcmp(type, "translation") == 0
                         ? XANI_OK
                         : xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: %s = \"%s\" is neither rotation nor translation",
                                   xn_h5_path(x->file), axis, name, type);
    xn_free(type);
    return st;
}

static xani_status transform(const nexus *x, const char *axis, double corner[3], double fast[3], double slow[3])
{
    double v[3], offset[3], value;
    bool rotation = false;
    XN_TRY(xn_h5_read_attr_f64s(x->ctx, x->file, axis, "vector", 3, v));
    XN_TRY(read_type(x, axis, &rotation));
    XN_TRY(read_offset(x, axis, rotation, offset));
    if (rotation && !xn_h5_has_attr(x->file, axis, "units"))
        xn_warn(x->ctx, "%s: %s: an angle without units is taken in degrees", xn_h5_path(x->file), axis);
    XN_TRY(number(x, axis, rotation ? XN_ANGLE : XN_LENGTH, rotation ? M_PI / 180.0 : 1.0, &value));
    double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    if (isnan(value) || !(length > 0.0))
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
    if (!rotation && value != 0.0 && fabs(length - 1.0) > UNIT_TOLERANCE)
        xn_warn(x->ctx, "%s: %s: its vector is %.4g long: the translation is value times vector, %.5g mm",
                xn_h5_path(x->file), axis, length, 1e3 * fabs(value) * length);
    for (int k = 0; k < 3; k++) corner[k] += offset[k] + (rotation ? 0.0 : value * v[k]);
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
    XN_TRY(number(x, path, XN_LENGTH, 1.0, &size));
    if (!(size > 0.0) || !(length > 0.0))
        return xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: is no pixel size with a vector", xn_h5_path(x->file), path);
    for (int k = 0; k < 3; k++) step[k] = size * v[k] / length;
    return read_offset(x, path, false, offset);
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

// Where the beam hits, in pixels, said in these or as a length; NaN where it is not said.
static xani_status beam_centre(const nexus *x, const char *detector, const char *name, const double step[3],
                               double *pixels)
{
    char path[PATH + 64], *text = NULL;
    snprintf(path, sizeof path, "%s/%s", detector, name);
    if (xn_h5_has_attr(x->file, path, "units")) XN_TRY(xn_h5_read_attr(x->ctx, x->file, path, "units", &text));
    bool lengths = text != NULL && text[0] != '\0' && strncmp(text, "pixel", 5) != 0 && strcmp(text, "px") != 0;
    xn_free(text);
    XN_TRY(number(x, path, lengths ? XN_LENGTH : XN_PIXELS, 1.0, pixels));
    if (lengths) *pixels /= sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2]);
    return XANI_OK;
}

// beam_center_* and distance, where the chain has left the module at the sample.
static xani_status place_simply(const nexus *x, const char *detector, xn_panel *p)
{
    double bx = NAN, by = NAN, z = NAN;
    XN_TRY(number_in(x, detector, "distance", XN_LENGTH, 1.0, &z));
    if (isnan(z)) XN_TRY(number_in(x, detector, "detector_distance", XN_LENGTH, 1.0, &z));
    XN_TRY(beam_centre(x, detector, "beam_center_x", p->fs, &bx));
    XN_TRY(beam_centre(x, detector, "beam_center_y", p->ss, &by));
    if (isnan(bx) || isnan(by)) bx = by = 0.0;
    for (int k = 0; k < 3; k++)
        p->corner[k] +=
            ((double)p->min_fs - bx) * p->fs[k] + ((double)p->min_ss - by) * p->ss[k] + (k == 2 && !isnan(z) ? z : 0.0);
    return XANI_OK;
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
            return xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: the chain of depends_on does not end, at %s",
                           xn_h5_path(x->file), module, axis);
        if (!xn_h5_exists(x->file, axis))
            return xn_fail(x->ctx, XANI_ERR_INPUT, "%s: %s: the chain of depends_on leads to %s, which is not there",
                           xn_h5_path(x->file), module, axis);
        XN_TRY(transform(x, axis, p->corner, p->fs, p->ss));
    }
    if (!(fabs(p->corner[2]) > 1e-9)) XN_TRY(place_simply(x, detector, p));
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

// The first detector with modules below entry*/instrument and its beam, and another one if there is; false when there
// is none.
static bool find_detector(xn_ctx *ctx, const xn_h5 *file, char found[PATH], char beam[PATH], char other[PATH])
{
    char **entries = NULL, **names = NULL, instrument[PATH], next[PATH];
    bool any = false;
    found[0] = beam[0] = other[0] = '\0';
    if (xn_h5_names(ctx, file, "/", &entries) != XANI_OK) entries = NULL;
    for (char **e = entries; e != NULL && *e != NULL && other[0] == '\0'; e++) {
        snprintf(instrument, sizeof instrument, "/%.200s/instrument", *e);
        if (strncmp(*e, "entry", 5) != 0 || !xn_h5_exists(file, instrument) ||
            xn_h5_names(ctx, file, instrument, &names) != XANI_OK)
            continue;
        for (char **n = names; *n != NULL && other[0] == '\0'; n++) {
            snprintf(next, sizeof next, "%.240s/%.240s", instrument, *n);
            if (in_detector(ctx, file, next, NULL, &any) != XANI_OK || !any) continue;
            memcpy(found[0] == '\0' ? found : other, next, PATH);
            if (beam[0] == '\0') snprintf(beam, PATH, "%.240s/beam", instrument);
        }
        xn_h5_names_free(names);
    }
    if (entries != NULL) xn_h5_names_free(entries);
    xn_clear_error(ctx);
    return found[0] != '\0';
}

bool xn_nexus_has_detector(xn_ctx *ctx, const xn_h5 *file)
{
    char found[PATH], beam[PATH], other[PATH];
    return find_detector(ctx, file, found, beam, other);
}

// The detector that geometry.map.group names, with the beam beside it; else the first, told where there are more.
static bool choose_detector(const nexus *x, char detector[PATH], char beam[PATH])
{
    char other[PATH];
    bool found = find_detector(x->ctx, x->file, detector, beam, other);
    const char *group = x->options->group;
    if (group == NULL && other[0] != '\0')
        xn_warn(x->ctx, "%s: has %s and %s: the first is taken; geometry.map.group chooses", xn_h5_path(x->file),
                detector, other);
    if (group == NULL) return found;
    snprintf(detector, PATH, "%s%s", group[0] == '/' ? "" : "/", group);
    char *slash = strrchr(detector, '/'), beside[PATH];
    snprintf(beside, sizeof beside, "%.*s/beam", (int)xn_min64(slash - detector, PATH - 8), detector);
    if (xn_h5_exists(x->file, beside)) memcpy(beam, beside, PATH);
    return true;
}

static xani_status read_energy(const nexus *x, const char *beam, double *energy_kev)
{
    double wavelength;
    XN_TRY(number_in(x, beam, "incident_energy", XN_ENERGY, 1e-3, energy_kev));
    XN_TRY(number_in(x, beam, "incident_wavelength", XN_WAVELENGTH, 1.0, &wavelength));
    if (!(*energy_kev > 0.0)) *energy_kev = NAN;
    if (!(wavelength > 0.0)) return XANI_OK;
    double other = XN_ANGSTROM_KEV / wavelength;
    if (isnan(*energy_kev)) *energy_kev = other;
    if (fabs(other / *energy_kev - 1.0) > ENERGY_TOLERANCE)
        xn_warn(x->ctx, "%s: %s: incident_wavelength is that of %.4g keV, incident_energy is %.4g keV, which is taken",
                xn_h5_path(x->file), beam, other, *energy_kev);
    return XANI_OK;
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
    xani_status st = XANI_OK;
    if (choose_detector(&x, detector, beam)) st = in_detector(ctx, file, detector, &x, &any);
    if (st == XANI_OK && !any)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no detector with modules (fast_pixel_direction) in %s", path,
                     o->group ? o->group : "entry/instrument");
    if (st == XANI_OK) st = read_energy(&x, beam, &panels->energy_kev);
    if (st == XANI_OK) st = set_distance(&x);
    xn_h5_close(&file);
    if (st != XANI_OK) xn_panels_free(panels);
    return st;
}
