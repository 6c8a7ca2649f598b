// SPDX-License-Identifier: BSD-3-Clause
// geom_crystfel_panels.c -- panels of a CrystFEL geometry file, with what it leaves to the data file.
//
// Places in the data are read from the first input file; geometry.distance_mm and experiment.energy_kev go before both.
// Panels in datasets of their own (data = /m%/... with different paths) are planes in the order of first mention, as
// are panels with different numbers in dimN; "%" stands for whatever numbers events.  The fast scan is the last axis,
// as CrystFEL has it.  detector_shift_x, _y are added to the places of all panels.
#include <math.h>
#include <string.h>

#include "physics/geom_crystfel.h"

typedef xn_crystfel_panel draft;

// Where along axis `axis` of the data a panel is; the axis behind the last: in which dataset.
static int64_t place_along(const xn_crystfel *f, const draft *d, int axis)
{
    if (axis < XN_CRYSTFEL_AXES) return d->index[axis];
    return d->dataset >= 0 ? d->dataset : f->n_datasets;
}

// The axis that tells planes: along which panels differ, else the first with a number; -1: none.
static xani_status find_stack(const xn_crystfel *f, int *stack)
{
    int differ = 0, fixed = -1;
    for (int axis = XN_CRYSTFEL_AXES; axis >= 0; axis--) {
        bool same = true;
        for (int i = 1; i < f->n_panel; i++)
            same = same && place_along(f, &f->panel[i], axis) == place_along(f, &f->panel[0], axis);
        if (axis < XN_CRYSTFEL_AXES && f->panel[0].index[axis] >= 0) fixed = axis;
        differ += !same;
        if (!same) *stack = axis;
    }
    if (differ == 0) *stack = fixed;
    if (differ < 2) return XANI_OK;
    return xn_fail(f->ctx, XANI_ERR_CONFIG,
                   "%s: panels differ along %d axes of the data (dimN = number, data): modules stand along one",
                   f->path, differ);
}

static double distance_of(const xn_crystfel *f, const draft *d, const xn_geometry_options *o)
{
    if (!isnan(o->distance_m)) return o->distance_m;
    bool said = d->clen.unit > 0.0; // once for all panels, in files of today, it may stand anywhere
    return xn_said_value(f->ctx, said ? &d->clen : &f->defaults.clen, o->data_file);
}

static xani_status check_panel(const xn_crystfel *f, const draft *d)
{
    const double needed[] = {d->min_fs, d->max_fs, d->min_ss, d->max_ss, d->corner_x, d->corner_y, d->res};
    static const char *const name[] = {"min_fs", "max_fs", "min_ss", "max_ss", "corner_x", "corner_y", "res"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (isnan(needed[i]))
            return xn_fail(f->ctx, XANI_ERR_CONFIG, "%s: panel %s has no %s", f->path, d->name, name[i]);
    bool whole = true;
    for (int i = 0; i < 4; i++) whole = whole && needed[i] == floor(needed[i]);
    if (!whole || d->min_fs < 0 || d->min_ss < 0 || d->max_fs < d->min_fs || d->max_ss < d->min_ss || d->max_fs > 1e6 ||
        d->max_ss > 1e7 || !(d->res > 0))
        return xn_fail(f->ctx, XANI_ERR_CONFIG, "%s: panel %s has an impossible range or res", f->path, d->name);
    if (d->axis[0] >= 0 && d->axis[1] >= 0 && d->axis[1] <= d->axis[0])
        return xn_fail(f->ctx, XANI_ERR_CONFIG,
                       "%s: panel %s: dim%d = fs stands before dim%d = ss: the last axis of the data is the fast scan, "
                       "so exchange fs and ss in dim, min_, max_ and the directions",
                       f->path, d->name, d->axis[1], d->axis[0]);
    return XANI_OK;
}

static xani_status make_panel(const xn_crystfel *f, const draft *d, const xn_geometry_options *o, const double shift[2],
                              int stack, xn_panel *out, double *distance_m)
{
    XN_TRY(check_panel(f, d));
    double z = distance_of(f, d, o);
    bool place = d->clen.place[0] != '\0' || f->defaults.clen.place[0] != '\0';
    if (isnan(z) && !o->anywhere)
        return xn_fail(f->ctx, XANI_ERR_CONFIG, "geometry.distance_mm is missing: %s has no clen for panel %s%s",
                       f->path, d->name, place ? " except a place in the data file" : "");
    if (z + d->coffset == 0.0 && !o->anywhere)
        return xn_fail(f->ctx, XANI_ERR_CONFIG, "%s: panel %s is at distance 0 from the sample (clen + coffset)",
                       f->path, d->name);
    *distance_m = z + d->coffset;
    *out = (xn_panel){
        .min_fs = (int64_t)d->min_fs,
        .max_fs = (int64_t)d->max_fs,
        .min_ss = (int64_t)d->min_ss,
        .max_ss = (int64_t)d->max_ss,
        .plane = stack >= 0 ? place_along(f, d, stack) : -1,
        .corner = {d->corner_x / d->res + shift[0], d->corner_y / d->res + shift[1], (isnan(z) ? 0.0 : z) + d->coffset},
        .res = d->res,
        .unused = d->no_index != 0.0};
    memcpy(out->name, d->name, sizeof out->name);
    for (int k = 0; k < 3; k++) {
        out->fs[k] = d->fs[k] / d->res;
        out->ss[k] = d->ss[k] / d->res;
    }
    return XANI_OK;
}

static xani_status find_shift(const xn_crystfel *f, const xn_geometry_options *o, double shift[2])
{
    for (int k = 0; k < 2; k++) {
        shift[k] = xn_said_value(f->ctx, &f->shift[k], o->data_file);
        if (isnan(shift[k]) && !o->anywhere)
            return xn_fail(f->ctx, XANI_ERR_CONFIG, "%s: detector_shift_%c = %s is no number in the first input file",
                           f->path, "xy"[k], f -> shift[k].place);
        if (isnan(shift[k])) shift[k] = 0.0;
    }
    return XANI_OK;
}

static double energy_of(const xn_crystfel *f, const char *data_file)
{
    double value = xn_said_value(f->ctx, &f->energy, data_file);
    if (!(value > 0.0)) return NAN;
    return f->energy.what == XN_WAVELENGTH ? XN_ANGSTROM_KEV / value : value;
}

static xani_status make_panels(const xn_crystfel *f, const xn_geometry_options *o, xn_panels *panels)
{
    double shift[2] = {0.0, 0.0};
    int stack = -1;
    XN_TRY(find_shift(f, o, shift));
    XN_TRY(find_stack(f, &stack));
    panels->energy_kev = energy_of(f, o->data_file);
    panels->panel = xn_calloc((size_t)f->n_panel, sizeof *panels->panel);
    if (panels->panel == NULL) return xn_fail_memory(f->ctx, "panels", (size_t)f->n_panel * sizeof *panels->panel);
    panels->n = f->n_panel;
    for (int i = f->n_panel - 1; i >= 0; i--) // backwards: the first panel's distance stands for all
        XN_TRY(make_panel(f, &f->panel[i], o, shift, stack, &panels->panel[i], &panels->distance_m));
    return XANI_OK;
}

xani_status xn_panels_crystfel(xn_ctx *ctx, const char *path, const xn_geometry_options *o, xn_panels *panels)
{
    xn_crystfel f;
    memset(panels, 0, sizeof *panels);
    xani_status st = xn_crystfel_read(ctx, path, &f);
    if (st == XANI_OK) st = make_panels(&f, o, panels);
    if (st == XANI_OK) {
        panels->bad = f.bad;
        panels->n_bad = f.n_bad;
        f.bad = NULL;
    }
    xn_crystfel_free(&f);
    if (st != XANI_OK) xn_panels_free(panels);
    return st;
}
