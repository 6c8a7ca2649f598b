// SPDX-License-Identifier: BSD-3-Clause
// cube_read.c -- cube.h5 read back, also one that another program wrote.
//
// What others may not know of has a default where it is missing: no name, no angles (those of the configuration then
// hold), no sums, no shots (nothing can be merged then), no weights (the fit takes them from the errors), an unknown
// time resolution.  Errors are known, and come from counting, where the file does not say and there are any.
#include <math.h>
#include <string.h>

#include "result/cube_fields.h"

static xani_status read_cutflow(xn_ctx *ctx, const xn_h5 *file, xn_cutflow *f)
{
    static const xn_field columns[] = {
        {"/entry/cut_flow/on_left", offsetof(xn_cutflow, on_left), XN_I64, 1, {0}, false, NULL, NULL},
        {"/entry/cut_flow/off_left", offsetof(xn_cutflow, off_left), XN_I64, 1, {0}, false, NULL, NULL},
        {"/entry/cut_flow/unknown_left", offsetof(xn_cutflow, unknown_left), XN_I64, 1, {0}, false, NULL, NULL},
    };
    int64_t n;
    bool there = xn_h5_exists(file, "/entry/cut_flow/name");
    for (int i = 0; i < XN_COUNT(columns); i++) there = there && xn_h5_exists(file, columns[i].path);
    if (!there) return XANI_OK;
    XN_TRY(xn_h5_read_strings(ctx, file, "/entry/cut_flow/name", &f->name, &n));
    f->n = (int)n;
    return xn_nexus_read_fields(ctx, file, columns, XN_COUNT(columns), f, &n);
}

static xani_status read_extras(xn_ctx *ctx, const xn_h5 *file, xn_shots *s)
{
    if (!xn_h5_exists(file, "/entry/shots/extra_names")) return XANI_OK;
    int64_t n;
    XN_TRY(xn_h5_read_strings(ctx, file, "/entry/shots/extra_names", &s->extra_name, &n));
    s->extra = xn_calloc((size_t)n, sizeof *s->extra);
    if (s->extra == NULL) {
        xn_h5_names_free(s->extra_name);
        s->extra_name = NULL;
        return xn_fail_memory(ctx, "the shot table", (size_t)n * sizeof *s->extra);
    }
    s->n_extra = (int)n;
    for (int i = 0; i < s->n_extra; i++) {
        char path[XN_KEY_LENGTH];
        const xn_field field = {xn_key(path, XN_CUBE_EXTRA, i), 0, XN_F64, 1, {0}, false, NULL, NULL};
        XN_TRY(xn_nexus_read_fields(ctx, file, &field, 1, &s->extra[i], &s->n));
    }
    return XANI_OK;
}

static xani_status read_shots(xn_ctx *ctx, const xn_h5 *file, xn_cube *c, int64_t *extent)
{
    const xn_cube_table *t = &xn_cube_datasets;
    for (int i = 0; i < t->n_shots; i++)
        if (!xn_h5_exists(file, t->shots[i].path)) return XANI_OK; // binned input has none; others' may be other ones
    XN_TRY(xn_nexus_read_fields(ctx, file, t->shots, t->n_shots, c, extent));
    c->shots.n = extent[SHOT];
    return read_extras(ctx, file, &c->shots);
}

// What the file's own numbers must agree on, beyond the shapes.
static xani_status check(xn_ctx *ctx, const xn_h5 *file, const xn_cube *c, const int64_t *extent)
{
    XN_TRY(xn_nexus_check_modules(ctx, file, c->module_rows, c->n_modules, c->ny));
    if (c->edges_ps != NULL && extent[EDGE] != c->nbins + 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/bins/edges has %lld values for %d bins", xn_h5_path(file),
                       (long long)extent[EDGE], c->nbins);
    for (int i = 0; c->weight != NULL && i < c->nbins; i++)
        if (c->weight[i] < 0.0)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/bins/weight of delay %d is %g", xn_h5_path(file), i,
                           c->weight[i]);
    if (c->time_resolution_ps < 0.0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/time_resolution is %g ps", xn_h5_path(file),
                       c->time_resolution_ps);
    if (c->spatial_bin < 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/spatial_bin is %d", xn_h5_path(file), c->spatial_bin);
    return XANI_OK;
}

static xani_status read_errors_from(xn_ctx *ctx, const xn_h5 *file, xn_cube *c)
{
    static const char *const group = "/entry/cube", *const name = "errors_from";
    if (xn_h5_has_attr(file, group, name))
        return xn_nexus_read_choice(ctx, file, group, name, "counting", "residual", &c->errors_counting);
    const int64_t n = (int64_t)c->nbins * c->ny * c->nx;
    c->errors_counting = c->errors == NULL && xn_h5_exists(file, "/entry/cube/signal_errors"); // of the head alone
    for (int64_t i = 0; c->errors != NULL && i < n && !c->errors_counting; i++)
        c->errors_counting = c->errors[i] > 0.0f && isfinite(c->errors[i]);
    return XANI_OK;
}

static xani_status no_errors(xn_ctx *ctx, xn_cube *c)
{
    const size_t n = (size_t)c->nbins * (size_t)(c->ny * c->nx);
    if ((c->errors = xn_alloc(n, sizeof *c->errors)) == NULL)
        return xn_fail_memory(ctx, "the errors of the cube", n * sizeof *c->errors);
    for (size_t i = 0; i < n; i++) c->errors[i] = NAN;
    return XANI_OK;
}

static xani_status read_all(xn_ctx *ctx, const xn_h5 *file, bool traces, xn_cube *c)
{
    const xn_cube_table *t = &xn_cube_datasets;
    int64_t extent[EXTENTS];
    for (int i = 0; i < EXTENTS; i++) extent[i] = XN_EXTENT_UNKNOWN;
    c->time_resolution_ps = c->shots.time_resolution_ps = c->i0_scale = NAN;
    for (int i = 0; i < t->n_fields; i++)
        if (traces || t->fields[i].rank < 3 || t->fields[i].dims[0] != BIN)
            XN_TRY(xn_nexus_read_fields(ctx, file, &t->fields[i], 1, c, extent));
    XN_TRY(xn_nexus_read_scalars(ctx, file, t->scalars, t->n_scalars, c));
    if (c->off_float != NULL) XN_TRY(xn_nexus_read_scalars(ctx, file, t->off, t->n_off, c));
    c->nbins = (int)extent[BIN];
    c->ny = extent[Y];
    c->nx = extent[X];
    c->det_ny = c->pixel_mask ? extent[DET_Y] : 0;
    c->det_nx = c->pixel_mask ? extent[DET_X] : 0;
    c->n_modules = c->module_rows ? (int)extent[MODULE] : 0;
    if (c->on.shots != NULL) c->on.nbins = c->nbins; // of the head too, which has no traces
    if (c->on.s1 != NULL) c->on.npix = c->ny * c->nx;
    if (c->off.s1 != NULL) {
        c->off.nbins = (int)extent[OFF];
        c->off.npix = c->ny * c->nx;
    }
    XN_TRY(xn_nexus_read_run(ctx, file, &c->run, c->angles_deg, XN_COUNT(c->angles_deg), &c->n_angles));
    XN_TRY(read_errors_from(ctx, file, c));
    if (traces && c->errors == NULL) XN_TRY(no_errors(ctx, c));
    if (xn_h5_has_attr(file, "/entry/sums", "s2_root_units_per_photon"))
        XN_TRY(xn_h5_read_attr_f64(ctx, file, "/entry/sums", "s2_root_units_per_photon", &c->scale2_read));
    XN_TRY(read_shots(ctx, file, c, extent));
    XN_TRY(read_cutflow(ctx, file, &c->cutflow));
    return check(ctx, file, c, extent);
}

static xani_status read_file(xn_ctx *ctx, const char *path, bool traces, xn_cube *cube)
{
    memset(cube, 0, sizeof *cube);
    xn_h5 *file;
    XN_TRY(xn_h5_open(ctx, path, &file));
    xani_status st = read_all(ctx, file, traces, cube);
    xn_h5_close(&file);
    if (st != XANI_OK) xn_cube_free(cube);
    return st;
}

xani_status xn_result_read_cube(xn_ctx *ctx, const char *path, xn_cube *cube)
{
    return read_file(ctx, path, true, cube);
}

xani_status xn_result_read_cube_head(xn_ctx *ctx, const char *path, xn_cube *cube)
{
    return read_file(ctx, path, false, cube);
}

xani_status xn_result_read_errors(xn_ctx *ctx, const char *path, int bin, const xn_cube *head, float *errors)
{
    static const char *const dataset = "/entry/cube/signal_errors";
    xn_h5 *file;
    XN_TRY(xn_h5_open(ctx, path, &file));
    xn_h5_info info;
    xani_status st = xn_h5_info_get(ctx, file, dataset, &info);
    if (st == XANI_OK && (info.rank != 3 || info.dims[1] != head->ny || info.dims[2] != head->nx))
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has another shape than the cube's planes", path, dataset);
    if (st == XANI_OK) st = xn_h5_read_rows(ctx, file, dataset, XN_F32, bin, 1, errors);
    xn_h5_close(&file);
    return st;
}

xani_status xn_result_read_first_shot(xn_ctx *ctx, const char *path, uint64_t *pulse_id)
{
    static const char *const dataset = "/entry/shots/pulse_id";
    *pulse_id = 0;
    xn_h5 *file;
    XN_TRY(xn_h5_open(ctx, path, &file));
    xn_h5_info info;
    xani_status st = XANI_OK;
    if (xn_h5_exists(file, dataset)) {
        st = xn_h5_info_get(ctx, file, dataset, &info);
        if (st == XANI_OK && info.rank == 1 && info.size > 0)
            st = xn_h5_read_rows(ctx, file, dataset, XN_U64, 0, 1, pulse_id);
    }
    xn_h5_close(&file);
    return st;
}
