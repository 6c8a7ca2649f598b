// SPDX-License-Identifier: BSD-3-Clause
// calibration.c -- calibration.h5: pedestals, noise and bad pixels of each gain stage, as xani dark found them.
//
// input.calibration.pedestal reads it back: /entry/calibration/pedestal has the leading axis of gain stages of all
// files of constants, the mask the bits of NXmx.
#include <stddef.h>

#include "result/nexus.h"

#define PLANES(where) "/entry/calibration/" where

static void write_planes(xn_writer *w, const xn_dark *d)
{
    const bool cells = d->cells > 1;
    const int64_t four[] = {d->n_stages, d->cells, d->ny, d->nx}, three[] = {d->n_stages, d->ny, d->nx};
    const int64_t *dims = cells ? four : three;
    int rank = cells ? 4 : 3;
    xn_writer_data(w, PLANES("pedestal"), XN_F32, rank, dims, NULL, d->pedestal);
    xn_writer_data(w, PLANES("rms"), XN_F32, rank, dims, NULL, d->rms);
    xn_writer_data(w, PLANES("count"), XN_I32, rank, dims, NULL, d->count);
    xn_writer_data(w, PLANES("stage_mask"), XN_U32, 3, three, NULL, d->stage_mask);
    xn_writer_data(w, PLANES("mask"), XN_U32, 2, (int64_t[]){d->ny, d->nx}, NULL, d->mask);
    xn_writer_data(w, PLANES("frames_used"), XN_I64, 1, (int64_t[]){d->n_stages}, NULL, d->used);
    xn_writer_data(w, PLANES("frames_rejected"), XN_I64, 1, (int64_t[]){d->n_stages}, NULL, d->rejected);
    xn_writer_data(w, PLANES("module_rows"), XN_I64, 1, (int64_t[]){d->n_modules}, NULL, d->module_rows);
    xn_writer_texts(w, PLANES("stage_names"), d->stage, d->n_stages);
    xn_writer_attr_text(w, PLANES("pedestal"), "long_name", "mean of dark frames, in stored units");
    xn_writer_attr_text(w, PLANES("rms"), "long_name", "standard deviation of dark frames, in stored units");
    xn_writer_attr_text(w, PLANES("mask"), "long_name", "NXmx bits of all stages measured, 0 = good");
}

static xani_status write_axes(xn_ctx *ctx, xn_writer *w, const xn_dark *d)
{
    const char *const axes[] = {"stage", "cell", "y", "x"}, *const plain[] = {"stage", "y", "x"};
    int64_t index[64];
    for (int i = 0; i < 64; i++) index[i] = i;
    xn_writer_data(w, PLANES("stage"), XN_I64, 1, (int64_t[]){d->n_stages}, NULL, index);
    if (d->cells > 1) {
        int64_t *cell = xn_alloc((size_t)d->cells, sizeof *cell);
        if (cell == NULL) return xn_fail_memory(ctx, "an axis", (size_t)d->cells * 8);
        for (int64_t i = 0; i < d->cells; i++) cell[i] = i;
        xn_writer_data(w, PLANES("cell"), XN_I64, 1, (int64_t[]){d->cells}, NULL, cell);
        xn_free(cell);
    }
    XN_TRY(xn_nexus_pixel_axes(ctx, w, "/entry/calibration", d->ny, d->nx));
    xn_nexus_data(w, "/entry/calibration", "pedestal", d->cells > 1 ? axes : plain, d->cells > 1 ? 4 : 3,
                  "Pedestals of dark frames");
    return XANI_OK;
}

xani_status xn_result_write_calibration(xn_ctx *ctx, const char *path, const xn_dark *dark, const xn_provenance *p)
{
    xn_writer *w = NULL;
    xani_status st = xn_nexus_create(ctx, path, XN_RESULT_CALIBRATION, "calibration of the detector", p, &w);
    if (st == XANI_OK) {
        write_planes(w, dark);
        st = write_axes(ctx, w, dark);
    }
    if (st == XANI_OK) st = xn_writer_publish(&w);
    xn_writer_abort(&w);
    return st;
}
