// SPDX-License-Identifier: BSD-3-Clause
// cube.c -- cube.h5: signal and errors per delay and pixel group, and everything they came from; how it is written.
//
// Written and read (cube_read.c) by the same tables, so that a cube read back gives the fit the same bits: the sums
// stay integers (units in attributes), shots keep verdict, bin and the readings cuts were made on.
#include <string.h>

#include "result/cube_fields.h"

static const char *const verdict_names[XN_CUT_CUSTOM] = {
    [XN_CUT_NONE] = "used",
    [XN_CUT_JOIN] = "a reading is missing or differs",
    [XN_CUT_MODULE] = "a module has no data",
    [XN_CUT_BAD_FRAME] = "bad frame",
    [XN_CUT_DARK] = "no X-rays",
    [XN_CUT_LASER] = "laser state unknown",
    [XN_CUT_NAN] = "I0 or delay is NaN",
    [XN_CUT_I0] = "I0",
    [XN_CUT_TIME_TOOL] = "time tool",
    [XN_CUT_BIN] = "outside the delay bins",
    [XN_CUT_MAX_SHOTS] = "beyond max_shots",
    [XN_CUT_CURVE] = "I0 correction",
};

// ---- writing

static void write_sums_units(xn_writer *w, const xn_cube *c)
{
    const double photon = XN_PHOTON_SCALE, photon2 = xn_photon_scale2(c->spatial_bin), delay = XN_DELAY_SCALE;
    xn_writer_group(w, "/entry/sums", "NXcollection");
    xn_writer_attr_f64(w, "/entry/sums", "s1_units_per_photon", &photon, 0);
    xn_writer_attr_f64(w, "/entry/sums", "s2_root_units_per_photon", &photon2, 0);
    xn_writer_attr_f64(w, "/entry/sums", "x_units_per_photon", &photon2, 0);
    xn_writer_attr_f64(w, "/entry/sums", "i0_units", &c->i0_scale, 0);
    xn_writer_attr_f64(w, "/entry/sums", "delay_units_per_ps", &delay, 0);
    xn_writer_group(w, "/entry/sums/on", "NXcollection");
    xn_writer_group(w, "/entry/sums/off", "NXcollection");
}

// Left and cut of each class, in order of application; the first row counts what was seen.
static xani_status write_cutflow(xn_ctx *ctx, xn_writer *w, const xn_cutflow *f)
{
    static const char *const classes[] = {"on", "off", "unknown"};
    const int64_t *left[] = {f->on_left, f->off_left, f->unknown_left}, n = f->n, none = 0;
    static const char *const no_names[] = {NULL};
    xn_writer_group(w, "/entry/cut_flow", "NXcollection");
    xn_writer_texts(w, "/entry/cut_flow/name", f->name ? (const char *const *)f->name : no_names, n);
    int64_t *cut = xn_alloc((size_t)n, sizeof *cut);
    if (cut == NULL) return xn_fail_memory(ctx, "the cut-flow", (size_t)n * sizeof *cut);
    for (int k = 0; k < XN_COUNT(classes); k++) {
        char path[XN_KEY_LENGTH];
        for (int64_t i = 0; i < n; i++) cut[i] = i > 0 ? left[k][i - 1] - left[k][i] : 0;
        xn_writer_data(w, xn_key(path, "/entry/cut_flow/%s_left", classes[k]), XN_I64, 1, &n, NULL,
                       n ? left[k] : &none);
        xn_writer_data(w, xn_key(path, "/entry/cut_flow/%s_cut", classes[k]), XN_I64, 1, &n, NULL, cut);
    }
    xn_free(cut);
    return XANI_OK;
}

// Verdicts from XN_CUT_CUSTOM on: the configured cuts, which stand between these two rows of the cut-flow.
static void write_custom_names(xn_writer *w, const xn_cutflow *f)
{
    const double first = XN_CUT_CUSTOM;
    int from = 0, to;
    while (from < f->n && strcmp(f->name[from], "I0") != 0) from++;
    from++;
    for (to = f->n - 1; to > from && strcmp(f->name[to], "time tool") != 0;) to--;
    xn_writer_attr_f64(w, "/entry/shots/verdict", "first_further", &first, 0);
    if (to > from)
        xn_writer_attr_texts(w, "/entry/shots/verdict", "further", (const char *const *)f->name + from, to - from);
}

static void write_shots(xn_writer *w, const xn_cube *c, const int64_t *extent)
{
    const xn_shots *s = &c->shots;
    xn_writer_group(w, "/entry/shots", "NXcollection");
    if (s->n == 0) return;
    xn_nexus_fields(w, xn_cube_datasets.shots, xn_cube_datasets.n_shots, c, extent);
    xn_writer_attr_texts(w, "/entry/shots/verdict", "names", verdict_names, XN_CUT_CUSTOM);
    write_custom_names(w, &c->cutflow);
    if (s->n_extra == 0) return;
    xn_writer_texts(w, "/entry/shots/extra_names", (const char *const *)s->extra_name, s->n_extra);
    for (int i = 0; i < s->n_extra; i++) {
        char path[XN_KEY_LENGTH];
        xn_writer_data(w, xn_key(path, XN_CUBE_EXTRA, i), XN_F64, 1, &s->n, NULL, s->extra[i]);
        xn_writer_attr_text(w, path, "long_name", s->extra_name[i]);
    }
}

// A cube that does not fit into memory (data/cube.h) is written bin by bin, and what was written is let go.
static void write_large(xn_writer *w, const xn_cube *c, const xn_field *f)
{
    enum { CHUNK_BYTES = 4 << 20 };
    char *data;
    memcpy(&data, (const char *)c + f->offset, sizeof data);
    int64_t row = xn_max64(c->nx * (int64_t)xn_type_size(f->type), 1), bin = row * c->ny;
    const xn_rows_layout rows = {.type = f->type,
                                 .rank = 3,
                                 .dims = {c->nbins, c->ny, c->nx},
                                 .chunk = {1, xn_min64(c->ny, xn_max64(CHUNK_BYTES / row, 1)), c->nx},
                                 .filter = "gzip"};
    xani_status st = xn_writer_rows_begin(w, f->path, &rows);
    for (int b = 0; b < c->nbins && st == XANI_OK; b++) {
        st = xn_writer_rows(w, f->path, 1, data + b * bin);
        xn_cube_let_go(c, data + b * bin, (size_t)bin);
    }
    if (f->units) xn_writer_attr_text(w, f->path, "units", f->units);
    if (f->long_name) xn_writer_attr_text(w, f->path, "long_name", f->long_name);
}

static void write_fields(xn_writer *w, const xn_cube *c, const int64_t *extent)
{
    for (int i = 0; i < xn_cube_datasets.n_fields; i++) {
        const xn_field *f = &xn_cube_datasets.fields[i];
        const void *data;
        memcpy(&data, (const char *)c + f->offset, sizeof data);
        if (c->mapped != NULL && f->rank == 3 && f->dims[0] == BIN && data != NULL)
            write_large(w, c, f);
        else
            xn_nexus_fields(w, f, 1, c, extent);
    }
}

xani_status xn_result_write_cube(xn_ctx *ctx, const char *path, const xn_cube *c, const xn_provenance *p)
{
    static const char *const axes[] = {"delay", "y", "x"};
    const int64_t extent[EXTENTS] = {
        [BIN] = c->nbins,     [EDGE] = c->nbins + 1, [Y] = c->ny,         [X] = c->nx,        [MODULE] = c->n_modules,
        [OFF] = c->off.nbins, [SHOT] = c->shots.n,   [DET_Y] = c->det_ny, [DET_X] = c->det_nx};
    xn_writer *w;
    xani_status st;
    XN_TRY(xn_nexus_create(ctx, path, XN_RESULT_CUBE, "relative change of the diffuse intensity", p, &w));
    xn_nexus_data(w, "/entry/cube", "signal", axes, 3, "Delta I / I");
    if (c->mean_frame != NULL)
        xn_nexus_data(w, "/entry/mean_frame", "photons", axes + 1, 2, "photons per shot, laser off");
    xn_writer_group(w, "/entry/bins", "NXcollection");
    write_sums_units(w, c);
    write_shots(w, c, extent);
    write_fields(w, c, extent);
    xn_nexus_scalars(w, xn_cube_datasets.scalars, xn_cube_datasets.n_scalars, c);
    if (c->pixel_mask != NULL) xn_writer_group(w, "/entry/pixels", "NXcollection");
    if (c->off_float != NULL) xn_nexus_scalars(w, xn_cube_datasets.off, xn_cube_datasets.n_off, c);
    xn_nexus_run(w, c->run, c->angles_deg, c->n_angles);
    xn_writer_attr_text(w, "/entry/cube", "errors_from", c->errors_counting ? "counting" : "residual");
    xn_writer_attr_text(w, "/entry/cube/signal", "interpretation", "image");
    XN_GOTO(failed, st, xn_nexus_pixel_axes(ctx, w, "/entry/cube", c->ny, c->nx));
    if (c->mean_frame != NULL) XN_GOTO(failed, st, xn_nexus_pixel_axes(ctx, w, "/entry/mean_frame", c->ny, c->nx));
    XN_GOTO(failed, st, write_cutflow(ctx, w, &c->cutflow));
    return xn_writer_publish(&w);
failed:
    xn_writer_abort(&w);
    return xn_context(ctx, st, "while writing %s", path);
}
