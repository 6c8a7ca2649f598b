// SPDX-License-Identifier: BSD-3-Clause
// cube.c -- cube.h5: signal and errors per delay and pixel group, and everything they came from.
//
// Written and read by the same tables, so that a cube read back gives the fit the same bits: the sums stay
// integers (units in attributes), shots keep verdict, bin and the readings cuts were made on.
#include <string.h>

#include "result/nexus.h"

enum { BIN, EDGE, Y, X, MODULE, OFF, SHOT, DET_Y, DET_X, EXTENTS }; // BIN first: nexus.c chunks by it

#define DIMS(...)                                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define BINS 1, DIMS(BIN)
#define OFFS 1, DIMS(OFF)
#define PLANE 2, DIMS(Y, X)
#define TRACES 3, DIMS(BIN, Y, X)
#define SHOTS 1, DIMS(SHOT)

static const xn_field fields[] = {
    {"/entry/cube/signal", offsetof(xn_cube, signal), XN_F32, TRACES, false, "", "relative change R_on/R_off - 1"},
    {"/entry/cube/signal_errors", offsetof(xn_cube, errors), XN_F32, TRACES, false, "", "one standard deviation"},
    {"/entry/cube/delay", offsetof(xn_cube, delay_ps), XN_F64, BINS, false, "ps", "delay"},
    {"/entry/bins/edges", offsetof(xn_cube, edges_ps), XN_F64, 1, DIMS(EDGE), true, "ps", "edges of the delay bins"},
    {"/entry/bins/weight", offsetof(xn_cube, weight), XN_F64, BINS, true, "", "sum of I0 over its mean; 0: empty"},
    {"/entry/mask", offsetof(xn_cube, mask), XN_U32, PLANE, false, NULL, "NXmx pixel_mask bits; 0: good"},
    {"/entry/mean_frame/photons", offsetof(xn_cube, mean_frame), XN_F32, PLANE, true, "",
     "photons per shot, laser off"},
    {"/entry/module_rows", offsetof(xn_cube, module_rows), XN_I64, 1, DIMS(MODULE), true, "pixel",
     "rows of each module"},
    // sums, integers: units per photon etc. in attributes of the groups
    {"/entry/sums/on/shots", offsetof(xn_cube, on.shots), XN_I64, BINS, true, "", "shots"},
    {"/entry/sums/on/i0_sum", offsetof(xn_cube, on.i0_sum), XN_I64, BINS, true, NULL, "sum of I0"},
    {"/entry/sums/on/i0_sq_sum", offsetof(xn_cube, on.i0_sq_sum), XN_I64, BINS, true, NULL, "sum of I0^2"},
    {"/entry/sums/on/delay_sum", offsetof(xn_cube, on.delay_sum), XN_I64, BINS, true, NULL, "sum of delay"},
    {"/entry/sums/on/delay_sq_sum", offsetof(xn_cube, on.delay_sq_sum), XN_I64, BINS, true, NULL, "sum of delay^2"},
    {"/entry/sums/on/s1", offsetof(xn_cube, on.s1), XN_I64, TRACES, true, NULL, "sum of I"},
    {"/entry/sums/on/s2", offsetof(xn_cube, on.s2), XN_I64, TRACES, true, NULL, "sum of I^2"},
    {"/entry/sums/on/x", offsetof(xn_cube, on.x), XN_I64, TRACES, true, NULL, "sum of I I0"},
    {"/entry/sums/off/shots", offsetof(xn_cube, off.shots), XN_I64, OFFS, true, "", "shots"},
    {"/entry/sums/off/i0_sum", offsetof(xn_cube, off.i0_sum), XN_I64, OFFS, true, NULL, "sum of I0"},
    {"/entry/sums/off/i0_sq_sum", offsetof(xn_cube, off.i0_sq_sum), XN_I64, OFFS, true, NULL, "sum of I0^2"},
    {"/entry/sums/off/delay_sum", offsetof(xn_cube, off.delay_sum), XN_I64, OFFS, true, NULL, "sum of delay"},
    {"/entry/sums/off/delay_sq_sum", offsetof(xn_cube, off.delay_sq_sum), XN_I64, OFFS, true, NULL, "sum of delay^2"},
    {"/entry/sums/off/s1", offsetof(xn_cube, off.s1), XN_I64, 3, DIMS(OFF, Y, X), true, NULL, "sum of I"},
    {"/entry/sums/off/s2", offsetof(xn_cube, off.s2), XN_I64, 3, DIMS(OFF, Y, X), true, NULL, "sum of I^2"},
    {"/entry/sums/off/x", offsetof(xn_cube, off.x), XN_I64, 3, DIMS(OFF, Y, X), true, NULL, "sum of I I0"},
    // with an off reference per block of time: e, what the block's reference expects of each shot
    {"/entry/sums/on/expected_sum", offsetof(xn_cube, on.expect), XN_F64, TRACES, true, NULL, "sum of e"},
    {"/entry/sums/on/expected_sq_sum", offsetof(xn_cube, on.expect_sq), XN_F64, TRACES, true, NULL, "sum of e^2"},
    {"/entry/sums/on/expected_cross_sum", offsetof(xn_cube, on.cross), XN_F64, TRACES, true, NULL, "sum of I e"},
    {"/entry/sums/peak", offsetof(xn_cube, peak), XN_I64, PLANE, true, NULL, "largest |I| of a used shot"},
    {"/entry/pixels/mask", offsetof(xn_cube, pixel_mask), XN_U32, 2, DIMS(DET_Y, DET_X), true, NULL,
     "NXmx bits of the detector's pixels; those that are not 0 are in no sum"},
    // sums of binned input, as read
    {"/entry/sums/on/intensity", offsetof(xn_cube, on_float), XN_F64, TRACES, true, NULL, "sum of frames as read"},
    {"/entry/sums/off/intensity", offsetof(xn_cube, off_float), XN_F64, PLANE, true, NULL, "sum of frames as read"},
    {"/entry/sums/on/i0", offsetof(xn_cube, on_i0), XN_F64, BINS, true, NULL, "sum of I0 as read"},
    {"/entry/sums/on/count", offsetof(xn_cube, on_count), XN_F64, BINS, true, "", "shots as read"},
};

static const xn_field shot_fields[] = {
    {"/entry/shots/pulse_id", offsetof(xn_cube, shots.pulse_id), XN_U64, SHOTS, false, NULL, "pulse id"},
    {"/entry/shots/frame", offsetof(xn_cube, shots.frame), XN_I64, SHOTS, false, NULL, "detector frame"},
    {"/entry/shots/laser", offsetof(xn_cube, shots.laser), XN_U8, SHOTS, false, NULL, "0 off, 1 on, 2 unknown"},
    {"/entry/shots/i0", offsetof(xn_cube, shots.i0), XN_F64, SHOTS, false, NULL, "incoming intensity"},
    {"/entry/shots/delay", offsetof(xn_cube, shots.delay_ps), XN_F64, SHOTS, false, "ps", "corrected delay"},
    {"/entry/shots/bin", offsetof(xn_cube, shots.bin), XN_I32, SHOTS, false, NULL, "delay bin; -1: not binned"},
    {"/entry/shots/verdict", offsetof(xn_cube, shots.verdict), XN_U8, SHOTS, false, NULL,
     "0 used, else the cut that refused it"},
};

static const xn_scalar scalars[] = {
    {"/entry/spatial_bin", offsetof(xn_cube, spatial_bin), XN_I32, "pixel"},
    {"/entry/time_resolution", offsetof(xn_cube, time_resolution_ps), XN_F64, "ps"},
    {"/entry/sums/i0_scale", offsetof(xn_cube, i0_scale), XN_F64, NULL},
    {"/entry/shots/missing", offsetof(xn_cube, shots.missing), XN_I64, NULL},
    {"/entry/shots/duplicate", offsetof(xn_cube, shots.duplicate), XN_I64, NULL},
    {"/entry/shots/unmatched", offsetof(xn_cube, shots.unmatched), XN_I64, NULL},
    {"/entry/shots/time_resolution", offsetof(xn_cube, shots.time_resolution_ps), XN_F64, "ps"},
};

// Not in files of earlier versions.
static const xn_scalar frames_scalar = {"/entry/shots/frames", offsetof(xn_cube, shots.frames), XN_I64, NULL};

// Of binned input only.
static const xn_scalar off_scalars[] = {
    {"/entry/sums/off/i0", offsetof(xn_cube, off_i0), XN_F64, NULL},
    {"/entry/sums/off/count", offsetof(xn_cube, off_count), XN_F64, NULL},
};

#define EXTRA "/entry/shots/extra_%d" // readings, in the order of extra_names

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
    const double photon = XN_PHOTON_SCALE, photon2 = XN_PHOTON_SCALE2, delay = XN_DELAY_SCALE;
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
    xn_nexus_fields(w, shot_fields, XN_COUNT(shot_fields), c, extent);
    xn_writer_attr_texts(w, "/entry/shots/verdict", "names", verdict_names, XN_CUT_CUSTOM);
    write_custom_names(w, &c->cutflow);
    if (s->n_extra == 0) return;
    xn_writer_texts(w, "/entry/shots/extra_names", (const char *const *)s->extra_name, s->n_extra);
    for (int i = 0; i < s->n_extra; i++) {
        char path[XN_KEY_LENGTH];
        xn_writer_data(w, xn_key(path, EXTRA, i), XN_F64, 1, &s->n, NULL, s->extra[i]);
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
    for (int i = 0; i < XN_COUNT(fields); i++) {
        const xn_field *f = &fields[i];
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
    XN_TRY(xn_nexus_create(ctx, path, "cube", "relative change of the diffuse intensity", p, &w));
    xn_nexus_data(w, "/entry/cube", "signal", axes, 3, "Delta I / I");
    if (c->mean_frame != NULL)
        xn_nexus_data(w, "/entry/mean_frame", "photons", axes + 1, 2, "photons per shot, laser off");
    xn_writer_group(w, "/entry/bins", "NXcollection");
    write_sums_units(w, c);
    write_shots(w, c, extent);
    write_fields(w, c, extent);
    xn_nexus_scalars(w, scalars, XN_COUNT(scalars), c);
    xn_nexus_scalars(w, &frames_scalar, 1, c);
    if (c->pixel_mask != NULL) xn_writer_group(w, "/entry/pixels", "NXcollection");
    if (c->off_float != NULL) xn_nexus_scalars(w, off_scalars, XN_COUNT(off_scalars), c);
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

// ---- reading

static xani_status read_cutflow(xn_ctx *ctx, const xn_h5 *file, xn_cutflow *f)
{
    static const xn_field columns[] = {
        {"/entry/cut_flow/on_left", offsetof(xn_cutflow, on_left), XN_I64, 1, DIMS(0), false, NULL, NULL},
        {"/entry/cut_flow/off_left", offsetof(xn_cutflow, off_left), XN_I64, 1, DIMS(0), false, NULL, NULL},
        {"/entry/cut_flow/unknown_left", offsetof(xn_cutflow, unknown_left), XN_I64, 1, DIMS(0), false, NULL, NULL},
    };
    int64_t n;
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
        const xn_field field = {xn_key(path, EXTRA, i), 0, XN_F64, 1, DIMS(0), false, NULL, NULL};
        XN_TRY(xn_nexus_read_fields(ctx, file, &field, 1, &s->extra[i], &s->n));
    }
    return XANI_OK;
}

static xani_status read_shots(xn_ctx *ctx, const xn_h5 *file, xn_cube *c, int64_t *extent)
{
    if (!xn_h5_exists(file, "/entry/shots/pulse_id")) return XANI_OK; // binned input has no shots
    XN_TRY(xn_nexus_read_fields(ctx, file, shot_fields, XN_COUNT(shot_fields), c, extent));
    c->shots.n = extent[SHOT];
    return read_extras(ctx, file, &c->shots);
}

// What the file's own numbers must agree on, beyond the shapes.
static xani_status check(xn_ctx *ctx, const xn_h5 *file, const xn_cube *c, const int64_t *extent)
{
    int64_t rows = 0;
    for (int i = 0; i < c->n_modules; i++) rows += c->module_rows[i];
    if (c->n_modules > 0 && rows != c->ny)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/module_rows adds up to %lld rows, the cube has %lld",
                       xn_h5_path(file), (long long)rows, (long long)c->ny);
    if (c->edges_ps != NULL && extent[EDGE] != c->nbins + 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/bins/edges has %lld values for %d bins", xn_h5_path(file),
                       (long long)extent[EDGE], c->nbins);
    if (c->spatial_bin < 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: /entry/spatial_bin is %d", xn_h5_path(file), c->spatial_bin);
    return XANI_OK;
}

static xani_status read_all(xn_ctx *ctx, const xn_h5 *file, bool traces, xn_cube *c)
{
    int64_t extent[EXTENTS];
    for (int i = 0; i < EXTENTS; i++) extent[i] = XN_EXTENT_UNKNOWN;
    for (int i = 0; i < XN_COUNT(fields); i++)
        if (traces || fields[i].rank < 3 || fields[i].dims[0] != BIN)
            XN_TRY(xn_nexus_read_fields(ctx, file, &fields[i], 1, c, extent));
    XN_TRY(xn_nexus_read_scalars(ctx, file, scalars, XN_COUNT(scalars), c));
    if (xn_h5_exists(file, frames_scalar.path)) XN_TRY(xn_nexus_read_scalars(ctx, file, &frames_scalar, 1, c));
    if (c->off_float != NULL) XN_TRY(xn_nexus_read_scalars(ctx, file, off_scalars, XN_COUNT(off_scalars), c));
    c->nbins = (int)extent[BIN];
    c->ny = extent[Y];
    c->nx = extent[X];
    c->det_ny = c->pixel_mask ? extent[DET_Y] : 0;
    c->det_nx = c->pixel_mask ? extent[DET_X] : 0;
    c->n_modules = c->module_rows ? (int)extent[MODULE] : 0;
    if (c->on.s1 != NULL) {
        c->on.nbins = c->nbins;
        c->on.npix = c->ny * c->nx;
    }
    if (c->off.s1 != NULL) {
        c->off.nbins = (int)extent[OFF];
        c->off.npix = c->ny * c->nx;
    }
    XN_TRY(xn_nexus_read_run(ctx, file, &c->run, c->angles_deg, XN_COUNT(c->angles_deg), &c->n_angles));
    XN_TRY(xn_nexus_read_choice(ctx, file, "/entry/cube", "errors_from", "counting", "residual", &c->errors_counting));
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
