// SPDX-License-Identifier: BSD-3-Clause
// words.c -- pedestals and gains of raw JUNGFRAU frames, per memory cell where the files have them so.
//
// The calibration files are those of xani(5): `gains` of three or more planes in ADU and in ADU/keV, as PSI writes them
// and `xani dark` does.  The facility's own constants are offset and gain per memory cell, from a data base (formats.md
// 4.1); written into such a file they are (planes, cells, y, x).  A frame takes the planes of its memory cell.
#include <math.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

#define GAINS 3

typedef struct {
    xn_ctx *ctx;
    const xn_xf_detector *d;
    xn_source *s;
    const char *path;
    xn_h5 *h5;
} cal_file;

// *cells of the planes, 1 where all cells share them.
static xani_status look_at(const cal_file *f, int64_t *cells)
{
    xn_h5_info info;
    char shape[128];
    XN_TRY(xn_h5_info_get(f->ctx, f->h5, "gains", &info));
    bool fits = !info.is_group && info.rank >= 3 && info.dims[0] >= GAINS && info.dims[info.rank - 1] == f->s->nx;
    int64_t rows = 1, below = 1;
    for (int i = 1; i < info.rank - 1; i++) rows *= info.dims[i];
    for (int i = 2; i < info.rank - 1; i++) below *= info.dims[i];
    *cells = rows == f->s->ny ? 1 : info.dims[1];
    fits = fits && (rows == f->s->ny || (below == f->s->ny && *cells <= 4096));
    if (fits) return XANI_OK;
    return xn_fail(f->ctx, XANI_ERR_INPUT, "%s: gains has shape %s; detector %s needs (3 or more, [cells,] %lld, %lld)",
                   f->path, xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), f->d->name,
                   (long long)f->s->ny, (long long)f->s->nx);
}

// Planes of all gain stages, (cells, ny, nx) each; one set serves `cells` of them.
static xani_status read_planes(const cal_file *f, int64_t cells, float *plane[GAINS])
{
    size_t one = (size_t)(f->s->ny * f->s->nx), all = one * (size_t)cells;
    int64_t own = 1;
    XN_TRY(look_at(f, &own));
    for (int g = 0; g < GAINS; g++) {
        plane[g] = xn_alloc(all, sizeof **plane);
        if (plane[g] == NULL) return xn_fail_memory(f->ctx, f->path, all * sizeof **plane);
        XN_TRY(xn_h5_read_rows(f->ctx, f->h5, "gains", XN_F32, g, 1, plane[g]));
        for (int64_t c = own; c < cells; c++) memcpy(plane[g] + (size_t)c * one, plane[g], one * sizeof **plane);
    }
    return XANI_OK;
}

static xani_status open_file(xn_ctx *ctx, const xn_config *config, const char *key, cal_file *f, int64_t *cells)
{
    XN_TRY(xn_config_require(ctx, config, key, "raw frames need pedestal and gain files"));
    char *path = xn_config_path(config, key);
    if (path == NULL) return xn_fail_memory(ctx, key, 1);
    f->path = path;
    xani_status st = xn_h5_open(ctx, path, &f->h5);
    if (st == XANI_OK) st = look_at(f, cells);
    if (st == XANI_OK) f->path = xn_h5_path(f->h5);
    xn_free(path);
    return xn_context(ctx, st, "%s", key);
}

static xani_status take_cells(xn_ctx *ctx, const xn_xf_detector *d, int64_t cells, xn_source *s)
{
    s->cal.n_cells = (int)cells;
    if (cells < 2) return XANI_OK;
    s->cal.cell = xn_alloc((size_t)d->n, sizeof *s->cal.cell);
    if (s->cal.cell == NULL) return xn_fail_memory(ctx, "the memory cells", (size_t)d->n * sizeof *s->cal.cell);
    for (int64_t i = 0; i < d->n; i++) {
        if (d->cell[i] >= cells)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: memory cell %d; the calibration files have %lld", d->name,
                           d->cell[i], (long long)cells);
        s->cal.cell[i] = d->cell[i];
    }
    return XANI_OK;
}

static xani_status bad_pixels(const cal_file *f)
{
    xn_h5_info info;
    int64_t *bits = NULL, n = 0;
    if (!xn_h5_exists(f->h5, "pixel_mask")) return XANI_OK;
    XN_TRY(xn_h5_info_get(f->ctx, f->h5, "pixel_mask", &info));
    if (info.size != f->s->ny * f->s->nx)
        return xn_fail(f->ctx, XANI_ERR_INPUT, "%s: pixel_mask has %lld pixels, the detector %lld", f->path,
                       (long long)info.size, (long long)(f->s->ny * f->s->nx));
    XN_TRY(xn_h5_read_i64(f->ctx, f->h5, "pixel_mask", &bits, &n));
    for (int64_t i = 0; i < n; i++)
        if (bits[i] != 0) f->s->mask[i] |= XN_PIXEL_DEAD;
    xn_free(bits);
    return XANI_OK;
}

xani_status xn_xf_words(xn_ctx *ctx, const xn_config *config, const xn_xf_detector *d, xn_source *s)
{
    cal_file gain = {ctx, d, s, NULL, NULL}, pedestal = gain;
    int64_t gain_cells = 1, pedestal_cells = 1;
    xani_status st;
    XN_TRY(xn_config_require(ctx, config, "experiment.energy_kev", "gains are in ADU per keV"));
    s->cal.kind = XN_CAL_JUNGFRAU;
    s->cal.photons_per_unit = 1.0;
    XN_GOTO(out, st, open_file(ctx, config, "input.calibration.gain", &gain, &gain_cells));
    XN_GOTO(out, st, open_file(ctx, config, "input.calibration.pedestal", &pedestal, &pedestal_cells));
    int64_t cells = xn_max64(gain_cells, pedestal_cells), n = cells * s->ny * s->nx;
    if (gain_cells > 1 && pedestal_cells > 1 && gain_cells != pedestal_cells) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s has gains of %lld memory cells, %s pedestals of %lld", gain.path,
                     (long long)gain_cells, pedestal.path, (long long)pedestal_cells);
        goto out;
    }
    XN_GOTO(out, st, read_planes(&gain, cells, s->cal.factor));
    XN_GOTO(out, st, read_planes(&pedestal, cells, s->cal.pedestal));
    XN_GOTO(out, st, bad_pixels(&pedestal));
    double energy = xn_config_double(config, "experiment.energy_kev");
    for (int g = 0; g < GAINS; g++)
        for (int64_t i = 0; i < n; i++) s->cal.factor[g][i] = (float)(1.0 / ((double)s->cal.factor[g][i] * energy));
    st = take_cells(ctx, d, cells, s);
out:
    xn_h5_close(&gain.h5);
    xn_h5_close(&pedestal.h5);
    return st;
}
