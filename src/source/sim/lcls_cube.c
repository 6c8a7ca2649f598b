// SPDX-License-Identifier: BSD-3-Clause
// lcls_cube.c -- cubes as LCLS writes them, both generations (formats.md 1.2, 1.3), made of the field's cube of a run.
//
//   Cube_xppsim_Run0001_cube_on.h5, ..._off.h5   binVar_bins, binVar, nEntries, ipm2__sum (float32), DET_data,
//   DET_nEntries cube_xppsim_r0001.h5                         step_value, lxt; laser_on and laser_off: DET/calib,
//   DET/count, ipm2/sum
// Everything is a sum.  As in the field's cubes the laser-off sums are shared out equally over the bins, so that
// programs which divide bin by bin get the right ratio too.  ipm3__sum repeats ipm2__sum for one that wants a pair.
// The second generation appends bins as they are finished: here in the order 0, 3, 6, ..., 1, 4, ..., 2, 5, ...
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "io/write/publish.h"
#include "source/sim/parts.h"

#define STRIDE 3

typedef struct {
    int64_t bins, ny, nx;
    double *delay_ps, *i0, *count, *images; // owned
    double *edges_ps;                       // (bins + 1), borrowed; NULL where not needed
    double *work;                           // (bins) owned
} half;

static void half_free(half *h)
{
    void *all[] = {h->delay_ps, h->i0, h->count, h->images, h->work};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(h, 0, sizeof *h);
}

// PREFIX_on.h5 or PREFIX_off.h5.
static xani_status half_read(xn_ctx *ctx, const char *prefix, bool on, half *h)
{
    xn_h5 *h5 = NULL;
    xn_h5_info info;
    int64_t n = 0;
    char *path = xn_format("%s_%s.h5", prefix, on ? "on" : "off");
    xani_status st;
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(prefix));
    XN_GOTO(out, st, xn_h5_open(ctx, path, &h5));
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, "imgs", &info));
    h->bins = info.dims[0];
    h->ny = info.dims[1];
    h->nx = info.dims[2];
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, "scan_var", &h->delay_ps, &n));
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, "i0", &h->i0, &n));
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, "bin_counts", &h->count, &n));
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, "imgs", &h->images, &n));
    h->work = xn_alloc((size_t)h->bins, sizeof *h->work);
    if (h->work == NULL) st = xn_fail_memory(ctx, "the bins", (size_t)h->bins * sizeof *h->work);
out:
    xn_h5_close(&h5);
    xn_free(path);
    return st;
}

// ---- the first generation

static xani_status floats(xn_ctx *ctx, xn_writer *w, const char *name, int64_t n, const double *v)
{
    float *f = xn_alloc((size_t)n, sizeof *f);
    if (f == NULL) return xn_fail_memory(ctx, name, (size_t)n * sizeof *f);
    for (int64_t i = 0; i < n; i++) f[i] = (float)v[i];
    xani_status st = xn_writer_data(w, name, XN_F32, 1, &n, NULL, f);
    xn_free(f);
    return st;
}

static xani_status write_first(xn_ctx *ctx, const char *det, half *h, xn_writer *w)
{
    char name[160];
    int64_t plane = h->ny * h->nx;
    XN_TRY(floats(ctx, w, "/binVar_bins", h->bins, h->edges_ps)); // the left ones
    XN_TRY(floats(ctx, w, "/nEntries", h->bins, h->count));
    XN_TRY(floats(ctx, w, "/ipm2__sum", h->bins, h->i0));
    XN_TRY(floats(ctx, w, "/ipm3__sum", h->bins, h->i0));
    XN_TRY(xn_writer_attr_text(w, "/ipm3__sum", "note", "repeats ipm2__sum: there is no second monitor"));
    for (int64_t b = 0; b < h->bins; b++) {
        h->work[b] = h->count[b] * h->delay_ps[b];
        for (int64_t i = 0; !(h->count[b] > 0) && i < plane; i++) h->images[b * plane + i] = NAN;
    }
    XN_TRY(floats(ctx, w, "/binVar", h->bins, h->work));
    snprintf(name, sizeof name, "/%s_nEntries", det);
    XN_TRY(xn_writer_data(w, name, XN_F64, 1, &h->bins, NULL, h->count));
    snprintf(name, sizeof name, "/%s_data", det);
    return xn_writer_data(w, name, XN_F64, 3, (int64_t[]){h->bins, h->ny, h->nx}, NULL, h->images);
}

static xani_status first_file(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *prefix,
                              const char *dir, int run, bool on)
{
    half h = {0};
    xn_writer *w = NULL;
    double *edges = NULL;
    int64_t bins = 0;
    xani_status st;
    char *path = xn_format("%s/Cube_xppsim_Run%04d_cube_%s.h5", dir, run + 1, on ? "on" : "off");
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    XN_GOTO(out, st, half_read(ctx, prefix, on, &h));
    XN_GOTO(out, st, xn_sim_bin_edges(ctx, config, &edges, &bins));
    h.edges_ps = edges;
    if (bins != h.bins) st = xn_fail(ctx, XANI_ERR_CONFIG, "reduce.delay_bins_ps: the bins have no edges");
    if (st == XANI_OK) st = xn_sim_create(ctx, path, XN_LAYOUT_PLAIN, &w);
    if (st == XANI_OK) st = write_first(ctx, m->detector.name, &h, w);
    if (st == XANI_OK) st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    half_free(&h);
    xn_free(edges);
    xn_free(path);
    return st;
}

static xani_status first_from_cube(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *prefix,
                                   const char *dir, int run)
{
    XN_TRY(first_file(ctx, config, m, prefix, dir, run, true));
    return first_file(ctx, config, m, prefix, dir, run, false);
}

// ---- the second generation

// Bin that is finished k-th.
static int64_t finished(int64_t bins, int64_t k)
{
    for (int64_t first = 0; first < STRIDE; first++) {
        int64_t n = (bins - first + STRIDE - 1) / STRIDE;
        if (k < n) return first + k * STRIDE;
        k -= n;
    }
    return 0;
}

static xani_status scalars(xn_writer *w, const char *name, half *h, const double *v, double factor)
{
    for (int64_t k = 0; k < h->bins; k++) h->work[k] = factor * v[finished(h->bins, k)];
    return xn_writer_data(w, name, XN_F64, 2, (int64_t[]){h->bins, 1}, NULL, h->work);
}

static xani_status write_label(xn_ctx *ctx, const char *label, const char *det, half *h, xn_writer *w)
{
    char name[200];
    size_t plane = (size_t)(h->ny * h->nx);
    double *images = xn_alloc((size_t)h->bins * plane, sizeof *images);
    if (images == NULL) return xn_fail_memory(ctx, "the cube", (size_t)h->bins * plane * sizeof *images);
    for (int64_t k = 0; k < h->bins; k++)
        memcpy(images + (size_t)k * plane, h->images + (size_t)finished(h->bins, k) * plane, plane * sizeof *images);
    snprintf(name, sizeof name, "/%s/%s/calib", label, det);
    xani_status st = xn_writer_data(w, name, XN_F64, 3, (int64_t[]){h->bins, h->ny, h->nx}, NULL, images);
    xn_free(images);
    snprintf(name, sizeof name, "/%s/%s/count", label, det);
    if (st == XANI_OK) st = scalars(w, name, h, h->count, 1.0);
    snprintf(name, sizeof name, "/%s/ipm2/count", label);
    if (st == XANI_OK) st = scalars(w, name, h, h->count, 1.0);
    snprintf(name, sizeof name, "/%s/ipm2/sum", label);
    return st == XANI_OK ? scalars(w, name, h, h->i0, 1.0) : st;
}

// step_value and lxt (seconds): a row for each bin of each of the two labels.
static xani_status write_steps(xn_ctx *ctx, const half *h, xn_writer *w)
{
    const int64_t dims[2] = {2 * h->bins, 1};
    int64_t *step = xn_alloc((size_t)dims[0], sizeof *step);
    double *lxt = xn_alloc((size_t)dims[0], sizeof *lxt);
    xani_status st = step != NULL && lxt != NULL ? XANI_OK : xn_fail_memory(ctx, "the steps", (size_t)dims[0] * 16);
    for (int64_t k = 0; st == XANI_OK && k < dims[0]; k++) {
        int64_t bin = finished(h->bins, k / 2);
        step[k] = bin + 1;
        lxt[k] = 1e-12 * h->delay_ps[bin];
    }
    if (st == XANI_OK) st = xn_writer_data(w, "/step_value", XN_I64, 2, dims, NULL, step);
    if (st == XANI_OK) st = xn_writer_data(w, "/lxt", XN_F64, 2, dims, NULL, lxt);
    xn_free(step);
    xn_free(lxt);
    return st;
}

static xani_status second_from_cube(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *prefix,
                                    const char *dir, int run)
{
    (void)config;
    half on = {0}, off = {0};
    xn_writer *w = NULL;
    xani_status st;
    char *path = xn_format("%s/cube_xppsim_r%04d.h5", dir, run + 1);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    XN_GOTO(out, st, half_read(ctx, prefix, true, &on));
    XN_GOTO(out, st, half_read(ctx, prefix, false, &off));
    XN_GOTO(out, st, xn_sim_create(ctx, path, XN_LAYOUT_PLAIN, &w));
    XN_GOTO(out, st, write_steps(ctx, &on, w));
    XN_GOTO(out, st, write_label(ctx, "laser_on", m->detector.name, &on, w));
    XN_GOTO(out, st, write_label(ctx, "laser_off", m->detector.name, &off, w));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    half_free(&on);
    half_free(&off);
    xn_free(path);
    return st;
}

// ---- configurations

static xani_status configure_first(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    char *more = xn_format("layout: lcls_cube, frames: %s, i0: ipm2/sum", m->detector.name);
    return xn_sim_configure_cube(ctx, m, more, config);
}

static xani_status configure_second(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    char *more = xn_format("layout: lcls2_cube, frames: %s/calib, i0: ipm2/sum, laser: laser_on", m->detector.name);
    return xn_sim_configure_cube(ctx, m, more, config);
}

static char *first_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run_name;
    return xn_format("[Cube_xppsim_Run%04d_cube_on.h5]", run + 1);
}

static char *second_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run_name;
    return xn_format("[cube_xppsim_r%04d.h5]", run + 1);
}

const xn_sim_layout xn_sim_lcls_cube = {.name = "lcls_cube",
                                        .shots = true,
                                        .from_cube = first_from_cube,
                                        .configure = configure_first,
                                        .files = first_files};
const xn_sim_layout xn_sim_lcls2_cube = {.name = "lcls2_cube",
                                         .shots = true,
                                         .from_cube = second_from_cube,
                                         .configure = configure_second,
                                         .files = second_files};
