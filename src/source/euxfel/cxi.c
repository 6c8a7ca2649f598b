// SPDX-License-Identifier: BSD-3-Clause
// cxi.c -- frames that EXtra-data put together as a virtual CXI file (formats.md 1.4): trains and pulses beside
// (frames, modules, y, x), every module a column of one virtual dataset.
//
// A module without a frame is a hole in the virtual dataset, which reads as its fill value: the holes are looked up in
// the list of mappings, since a fill value could as well be data.
#include <stdio.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

#define DETECTOR "entry_1/instrument_1/detector_1"

static xani_status describe(xn_ctx *ctx, const xn_h5 *h5, const char *path, xn_xf_detector *d)
{
    xn_h5_info info;
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, DETECTOR "/data", &info));
    if (info.rank == 5 && info.dims[2] == 2)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: %s/data are raw AGIPD frames, analogue and digital; make the file of "
                       "corrected frames",
                       path, DETECTOR);
    if (info.rank != 4 || !xn_is_number(info.type) || info.dims[1] > 1024 || info.dims[1] < 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s/data is %s %s; (frames, modules, y, x) is needed", path, DETECTOR,
                       xn_type_name(info.type), xn_shape_text(shape, info.rank, info.dims));
    d->n = info.dims[0];
    d->n_modules = (int)info.dims[1];
    d->ny = info.dims[2];
    d->nx = info.dims[3];
    d->type = info.type;
    snprintf(d->filters, sizeof d->filters, "%s", info.filters);
    return XANI_OK;
}

static xani_status put_modules(xn_ctx *ctx, const xn_config *config, const xn_h5 *h5, char *path, xn_xf_detector *d)
{
    int64_t *number = NULL, n = 0;
    d->module = xn_calloc((size_t)d->n_modules, sizeof *d->module);
    if (d->module == NULL) return xn_fail_memory(ctx, "the modules", (size_t)d->n_modules * sizeof *d->module);
    if (xn_h5_exists(h5, DETECTOR "/module_identifier"))
        XN_TRY(xn_h5_read_i64(ctx, h5, DETECTOR "/module_identifier", &number, &n));
    bool gain = d->type == XN_U16 && xn_h5_exists(h5, DETECTOR "/gain"), mask = xn_h5_exists(h5, DETECTOR "/mask");
    d->files = xn_calloc(1, sizeof *d->files); // one list for all: modules.h
    if (d->files != NULL) d->files[0] = path;
    bool memory = d->files == NULL;
    for (int m = 0; m < d->n_modules; m++) {
        xn_xf_module *p = &d->module[m];
        p->number = m < n ? number[m] : m;
        p->name = xn_format("%lld", (long long)p->number);
        p->frames = xn_strdup(DETECTOR "/data");
        p->gain = gain ? xn_strdup(DETECTOR "/gain") : NULL;
        p->mask = mask ? xn_strdup(DETECTOR "/mask") : NULL;
        memory = memory || !p->name || !p->frames || (gain && !p->gain) || (mask && !p->mask);
        p->absent = config != NULL && p->name != NULL && xn_modules_left_out(config, p->name, p->number);
        p->file = d->files;
        p->n_files = 1;
    }
    d->words = gain;
    xn_free(number);
    return memory ? xn_fail_memory(ctx, "the modules", 1) : XANI_OK;
}

static xani_status read_ids(xn_ctx *ctx, const xn_h5 *h5, const char *path, xn_xf_detector *d)
{
    bool cells = !xn_h5_exists(h5, "entry_1/pulseId"); // of a JUNGFRAU: their frames come in the order of time
    const char *pulses = cells ? "entry_1/memoryCell" : "entry_1/pulseId";
    uint64_t *train = NULL, *pulse = NULL;
    int64_t n = 0, n_pulse = 0;
    xani_status st = xn_h5_read_u64(ctx, h5, "entry_1/trainId", &train, &n);
    if (st == XANI_OK) st = xn_h5_read_u64(ctx, h5, pulses, &pulse, &n_pulse);
    if (st == XANI_OK && (n != d->n || n_pulse != d->n))
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %lld frames have %lld train ids and %lld pulses", path, (long long)d->n,
                     (long long)n, (long long)n_pulse);
    int64_t first = 0; // frame of the train
    for (int64_t i = 0; st == XANI_OK && i < n; i++) {
        if (train[i] != train[first]) first = i;
        if (cells) pulse[i] = (uint64_t)(i - first);
        if (pulse[i] >= XN_XF_PULSES)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: pulse %llu; at most %d are possible", path, pulses,
                         (unsigned long long)pulse[i], XN_XF_PULSES);
        else
            d->id[i] = train[i] != 0 ? xn_xf_id(train[i], pulse[i]) : 0;
    }
    xn_free(train);
    xn_free(pulse);
    return st;
}

// Memory cells of all modules: the first module's.
static xani_status read_cells(xn_ctx *ctx, const xn_h5 *h5, xn_xf_detector *d)
{
    int64_t *cell = NULL, n = 0;
    if (xn_h5_exists(h5, "entry_1/cellId")) XN_TRY(xn_h5_read_i64(ctx, h5, "entry_1/cellId", &cell, &n));
    for (int64_t i = 0; i < d->n; i++) {
        int64_t most = 0; // of a module that is missing: 0
        for (int m = 0; cell != NULL && m < d->n_modules && (i + 1) * d->n_modules <= n; m++)
            most = xn_max64(most, cell[i * d->n_modules + m]);
        d->cell[i] = (uint16_t)(most & 0xffff);
    }
    xn_free(cell);
    return XANI_OK;
}

static xani_status find_holes(xn_ctx *ctx, const xn_h5 *h5, xn_xf_detector *d)
{
    size_t all = (size_t)d->n * (size_t)d->n_modules;
    uint8_t *there = xn_calloc(all, 1);
    xani_status st =
        there != NULL ? xn_h5_covered(ctx, h5, DETECTOR "/data", there) : xn_fail_memory(ctx, "the frames", all);
    for (int64_t i = 0; st == XANI_OK && i < d->n; i++) {
        bool complete = true;
        for (int m = 0; m < d->n_modules; m++) {
            int64_t at = i * d->n_modules + m;
            d->place[at] = there[at] && !d->module[m].absent ? at : -1;
            complete = complete && (there[at] || d->module[m].absent);
        }
        d->refused[i] = complete ? XN_CUT_NONE : XN_CUT_MODULE;
        d->incomplete += !complete;
    }
    xn_free(there);
    return st;
}

xani_status xn_xf_cxi_read(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, xn_xf_detector *d)
{
    char *path = run->file[run->cxi].path, *name = NULL;
    xn_h5 *h5 = NULL;
    xani_status st;
    memset(d, 0, sizeof *d);
    XN_GOTO(out, st, xn_h5_open(ctx, path, &h5));
    XN_GOTO(out, st, describe(ctx, h5, path, d));
    if (xn_h5_read_attr(ctx, h5, DETECTOR, "name", &name) == XANI_OK) snprintf(d->name, sizeof d->name, "%s", name);
    xn_clear_error(ctx);
    if (d->name[0] == '\0') snprintf(d->name, sizeof d->name, "detector_1");
    d->n_cells = 1;
    size_t n = (size_t)d->n;
    d->id = xn_calloc(n, sizeof *d->id);
    d->place = xn_alloc(n * (size_t)d->n_modules, sizeof *d->place);
    d->refused = xn_calloc(n, 1);
    d->cell = xn_calloc(n, sizeof *d->cell);
    if (!d->id || !d->place || !d->refused || !d->cell) XN_GOTO(out, st, xn_fail_memory(ctx, "the frames", n * 32));
    XN_GOTO(out, st, put_modules(ctx, config, h5, path, d));
    XN_GOTO(out, st, read_ids(ctx, h5, path, d));
    XN_GOTO(out, st, read_cells(ctx, h5, d));
    st = find_holes(ctx, h5, d);
out:
    xn_free(name);
    xn_h5_close(&h5);
    if (st != XANI_OK) xn_xf_detector_free(d);
    return st;
}
