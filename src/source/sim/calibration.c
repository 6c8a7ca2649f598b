// SPDX-License-Identifier: BSD-3-Clause
// calibration.c -- gains and pedestals of the simulated detector, as PSI writes those of a JUNGFRAU (formats.md 4.1).
//
//   gains.h5         gains (4, y, x) in ADU/keV: three stages and the high-gain one
//   pedestal_*.h5    gains (3, y, x) in ADU (the facility's name for pedestals), gainsRMS, pixel_mask
#include <string.h>

#include "source/sim/parts.h"

char *xn_sim_pedestal_name(const xn_sim_model *m)
{
    return xn_format("pedestal_20260101_000000.%s.res.h5", m->detector.name);
}

// Planes stacked as float64; index[k] says which gain stage is plane k.
static xani_status write_planes(xn_ctx *ctx, xn_writer *w, const char *dataset, const xn_sim_model *m,
                                float *const planes[3], const int *index, int count)
{
    const xn_geometry *g = &m->detector.geometry;
    size_t n = (size_t)m->npix;
    double *all = xn_alloc(n * (size_t)count, sizeof *all);
    if (all == NULL) return xn_fail_memory(ctx, dataset, n * (size_t)count * sizeof *all);
    for (int k = 0; k < count; k++)
        for (size_t i = 0; i < n; i++) all[(size_t)k * n + i] = (double)planes[index[k]][i];
    xani_status st = xn_writer_data(w, dataset, XN_F64, 3, (int64_t[]){count, g->ny, g->nx}, NULL, all);
    xn_free(all);
    return st;
}

static xani_status write_noise(xn_ctx *ctx, xn_writer *w, const xn_sim_model *m)
{
    const xn_geometry *g = &m->detector.geometry;
    size_t n = (size_t)m->npix;
    double *all = xn_alloc(3 * n, sizeof *all);
    if (all == NULL) return xn_fail_memory(ctx, "gainsRMS", 3 * n * sizeof *all);
    for (size_t i = 0; i < 3 * n; i++)
        all[i] = m->detector.mask[i % n] == XN_SIM_DEAD ? 0.0 : m->detector.noise_adu[i / n];
    xani_status st = xn_writer_data(w, "/gainsRMS", XN_F64, 3, (int64_t[]){3, g->ny, g->nx}, NULL, all);
    xn_free(all);
    return st;
}

static xani_status write_pedestal(xn_ctx *ctx, const xn_sim_model *m, const char *path)
{
    const xn_geometry *g = &m->detector.geometry;
    static const int stages[3] = {0, 1, 2};
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(ctx, path, XN_LAYOUT_RESULT, &w));
    XN_GOTO(out, st, write_planes(ctx, w, "/gains", m, m->detector.pedestal, stages, 3));
    XN_GOTO(out, st, write_noise(ctx, w, m));
    XN_GOTO(out, st, xn_writer_data(w, "/pixel_mask", XN_I64, 2, (int64_t[]){g->ny, g->nx}, NULL, m->detector.mask));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    return st;
}

static xani_status write_gains(xn_ctx *ctx, const xn_sim_model *m, const char *path)
{
    static const int stages[4] = {0, 1, 2, 0};
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(ctx, path, XN_LAYOUT_RESULT, &w));
    XN_GOTO(out, st, write_planes(ctx, w, "/gains", m, m->detector.gain, stages, 4));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    return st;
}

xani_status xn_sim_write_calibration(xn_ctx *ctx, const xn_sim_model *m, const char *dir)
{
    char *name = xn_sim_pedestal_name(m);
    char *pedestal = name != NULL ? xn_format("%s/%s", dir, name) : NULL;
    char *gains = xn_format("%s/%s", dir, XN_SIM_GAIN_FILE);
    xani_status st = XANI_OK;
    if (pedestal == NULL || gains == NULL) st = xn_fail_memory(ctx, "a path", strlen(dir));
    if (st == XANI_OK) st = write_pedestal(ctx, m, pedestal);
    if (st == XANI_OK) st = write_gains(ctx, m, gains);
    xn_free(name);
    xn_free(pedestal);
    xn_free(gains);
    return st;
}
