// SPDX-License-Identifier: BSD-3-Clause
// field_cubes.c -- run%04d_on.h5 and run%04d_off.h5, the cubes groups pass around (formats.md 1.8).
//
// Plain datasets in the root, sums per delay bin: scan_var (ps), imgs (photons), i0, and the number of
// shots under both names that exist, bin_counts and bin_count.  One known reader also wants ROI and a
// second monitor, i0_ipm3; xani has one monitor, so the latter repeats i0 and says so.  bin_edges are xani's own: by
// the mean delays in scan_var the same bins of two runs are not the same.  So are spatial_bin and module_rows, where
// the images are of groups of pixels, or of several modules: they tell where the pixels of the detector are. Others
// divide on by off bin by bin, so the off file has as many bins as the on file: the off sums are shared out equally.
// Masked pixels are NaN.  Each bin has the right ratio, and adding bins, as all do to combine runs, gives the true
// totals.
//
// Others again divide by the sum of all off bins, so that a reference per block of time (reduce.off) cannot stand in
// the off file for both.  Then the on images are brought to the one reference of all laser-off shots: S1 (M1 R_off /
// E), E what the blocks' references expect.  On over off is the cube's signal either way.
#include <math.h>
#include <string.h>

#include "result/nexus.h"

typedef struct {
    int64_t nbins, ny, nx, spatial_bin, n_modules;
    const int64_t *module_rows;
    const double *delay_ps, *edges_ps; // edges: NULL where not known
    double *images, *i0, *count;       // owned: sums per bin
} field_cube;

static xani_status write_one(xn_ctx *ctx, const char *path, const char *kind, const field_cube *c)
{
    const int64_t dims[] = {c->nbins, c->ny, c->nx}, edges[] = {c->nbins + 1}, roi_dims[] = {2, 2},
                  roi[] = {0, c->ny, 0, c->nx};
    xn_writer *w;
    XN_TRY(xn_writer_create(ctx, path, XN_LAYOUT_PLAIN, &w));
    xn_writer_kind(w, kind);
    xn_writer_data(w, "/scan_var", XN_F64, 1, dims, NULL, c->delay_ps);
    xn_writer_attr_text(w, "/scan_var", "units", "ps");
    if (c->edges_ps != NULL) {
        xn_writer_data(w, "/bin_edges", XN_F64, 1, edges, NULL, c->edges_ps);
        xn_writer_attr_text(w, "/bin_edges", "units", "ps");
    }
    xn_writer_data(w, "/imgs", XN_F64, 3, dims, NULL, c->images);
    xn_writer_data(w, "/i0", XN_F64, 1, dims, NULL, c->i0);
    xn_writer_data(w, "/bin_counts", XN_F64, 1, dims, NULL, c->count);
    xn_writer_data(w, "/bin_count", XN_F64, 1, dims, NULL, c->count);
    xn_writer_data(w, "/ROI", XN_I64, 2, roi_dims, NULL, roi);
    if (c->spatial_bin > 1) xn_writer_data(w, "/spatial_bin", XN_I64, 0, NULL, NULL, &c->spatial_bin);
    if (c->n_modules > 1) xn_writer_data(w, "/module_rows", XN_I64, 1, &c->n_modules, NULL, c->module_rows);
    xn_writer_data(w, "/i0_ipm3", XN_F64, 1, dims, NULL, c->i0);
    xn_writer_attr_text(w, "/i0_ipm3", "note", "repeats i0: there is no second monitor");
    return xn_writer_publish(&w);
}

// What brings a laser-on sum to the one reference of all laser-off shots: 1 unless there was one per block of time.
static double to_one_reference(const xn_cube *c, int64_t b, int64_t i)
{
    if (c->on.expect == NULL) return 1;
    const double of_all = (double)c->off.s1[i] / (double)c->off.i0_sum[0], e = c->on.expect[b * c->on.npix + i];
    return c->on.shots[b] == 0 ? 1 : e > 0 ? (double)c->on.i0_sum[b] * of_all / e : NAN;
}

// Sums of the class as float64; `share` divides them over the bins of the file.
static void fill(const xn_cube *cube, bool on, field_cube *out)
{
    int64_t npix = cube->ny * cube->nx;
    const xn_sums *sums = on ? &cube->on : &cube->off;
    const double *as_read = on ? cube->on_float : cube->off_float;
    double share = on ? 1 : (double)out->nbins;
    for (int64_t b = 0; b < out->nbins; b++) {
        int64_t from = on ? b : 0;
        for (int64_t i = 0; i < npix; i++) {
            if (cube->mask != NULL && cube->mask[i] != 0) {
                out->images[b * npix + i] = NAN;
                continue;
            }
            double v = as_read ? as_read[from * npix + i] : (double)sums->s1[from * npix + i] / XN_PHOTON_SCALE;
            out->images[b * npix + i] = (on ? v * to_one_reference(cube, b, i) : v) / share;
        }
        double i0 = as_read ? (on ? cube->on_i0[b] : cube->off_i0) : (double)sums->i0_sum[from] / cube->i0_scale;
        double n = as_read ? (on ? cube->on_count[b] : cube->off_count) : (double)sums->shots[from];
        out->i0[b] = i0 / share;
        out->count[b] = n / share;
    }
}

static bool has_sums(const xn_cube *c)
{
    bool counted = c->on.s1 && c->on.i0_sum && c->on.shots && c->off.s1 && c->off.i0_sum && c->off.shots;
    return counted || (c->on_float && c->on_i0 && c->on_count && c->off_float);
}

xani_status xn_result_write_field_cubes(xn_ctx *ctx, const char *prefix, const char *kind, const xn_cube *cube)
{
    if (!has_sums(cube)) return xn_fail(ctx, XANI_ERR_INPUT, "%s: the cube has no sums to write", prefix);
    size_t n = (size_t)cube->nbins, size = n * (size_t)(cube->ny * cube->nx);
    field_cube c = {.nbins = cube->nbins,
                    .ny = cube->ny,
                    .nx = cube->nx,
                    .spatial_bin = cube->spatial_bin,
                    .n_modules = cube->module_rows != NULL ? cube->n_modules : 1,
                    .module_rows = cube->module_rows,
                    .delay_ps = cube->delay_ps,
                    .edges_ps = cube->edges_ps};
    c.images = xn_alloc(size, sizeof(double));
    c.i0 = xn_alloc(n, sizeof(double));
    c.count = xn_alloc(n, sizeof(double));
    char *path = NULL;
    xani_status st = XANI_OK;
    if (c.images == NULL || c.i0 == NULL || c.count == NULL)
        st = xn_fail_memory(ctx, "a field cube", size * sizeof(double));
    for (int on = 1; on >= 0 && st == XANI_OK; on--) {
        fill(cube, on != 0, &c);
        path = xn_format("%s_%s.h5", prefix, on ? "on" : "off");
        st = path ? write_one(ctx, path, kind, &c) : xn_fail_memory(ctx, "a path", strlen(prefix) + 8);
        xn_free(path);
    }
    xn_free(c.images);
    xn_free(c.i0);
    xn_free(c.count);
    return st;
}
