// SPDX-License-Identifier: BSD-3-Clause
// swissfel.c -- raw files as SwissFEL's data acquisition writes them (formats.md 1.5).
//
//   NAME.DET.h5      data/DET/{data, pulse_id, frame_index, daq_rec, is_good_frame, module_map}, one frame per chunk
//   NAME.BSDATA.h5   data/CHANNEL/{data, pulse_id}, each channel with its own pulse ids
#include <stdio.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

// daq_rec bits
#define LASER_BIT 16
#define DARK_BIT 17 // no X-rays in this shot
#define FEL_BIT 18

#define EVENT_CODES 256 // columns of the event table
#define LASER_EVENT 20
#define BLOCKED_EVENT 25 // 0 where the laser is on

// ---- the detector file

// One value per frame, or several; values of shots in the order of the frames.
static xani_status frame_column(xn_writer *w, const char *group, const char *name, xn_type type, int64_t columns,
                                const xn_sim_shots *t, const void *values)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", group, name);
    return xn_writer_data(w, path, type, 2, (int64_t[]){t->n_frames, columns}, NULL, values);
}

static xani_status write_columns(xn_ctx *ctx, xn_writer *w, const char *group, const xn_sim_shots *t, int n_modules)
{
    size_t n = (size_t)t->n_frames, modules = (size_t)n_modules;
    uint64_t *id = xn_alloc(n + modules, sizeof *id), *index = xn_alloc(n, sizeof *index);
    uint32_t *daq = xn_alloc(n * modules, sizeof *daq);
    uint8_t *good = xn_alloc(n, 1);
    xani_status st = XANI_OK;
    if (id == NULL || index == NULL || daq == NULL || good == NULL) {
        st = xn_fail_memory(ctx, "frame columns", n * 32);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t shot = t->frame_shot[i];
        id[i] = t->pulse_id[shot];
        index[i] = i;
        good[i] = !t->not_good[shot];
        uint32_t bits = 1u << (t->dark[shot] ? DARK_BIT : FEL_BIT);
        if (t->on[shot]) bits |= 1u << LASER_BIT;
        for (size_t k = 0; k < modules; k++) daq[i * modules + k] = bits;
    }
    XN_GOTO(out, st, frame_column(w, group, "pulse_id", XN_U64, 1, t, id));
    XN_GOTO(out, st, frame_column(w, group, "frame_index", XN_U64, 1, t, index));
    XN_GOTO(out, st, frame_column(w, group, "daq_rec", XN_U32, n_modules, t, daq));
    XN_GOTO(out, st, frame_column(w, group, "is_good_frame", XN_U8, 1, t, good));
    char path[256];
    snprintf(path, sizeof path, "%s/module_map", group);
    for (size_t k = 0; k < modules; k++) id[k] = k;
    st = xn_writer_data(w, path, XN_I64, 1, (int64_t[]){n_modules}, NULL, id);
out:
    xn_free(id);
    xn_free(index);
    xn_free(daq);
    xn_free(good);
    return st;
}

static xani_status write_detector(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, const char *dir)
{
    const xn_sim_detector *d = &v->model->detector;
    const int64_t dims[3] = {t->n_frames, d->geometry.ny, d->geometry.nx};
    char group[128], dataset[160];
    snprintf(group, sizeof group, "/data/%s", d->name);
    snprintf(dataset, sizeof dataset, "%s/data", group);
    char *path = xn_format("%s/%s.%s.h5", dir, v->name, d->name);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(ctx, path, XN_LAYOUT_RESULT, &w));
    XN_GOTO(out, st, xn_writer_text(w, "/general/detector_name", d->name));
    XN_GOTO(out, st, xn_sim_write_frames(ctx, w, dataset, v, t, false, 3, dims));
    XN_GOTO(out, st, write_columns(ctx, w, group, t, d->geometry.n_modules));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    xn_free(path);
    return st;
}

// ---- the beam-synchronous data

static xani_status write_channel(xn_ctx *ctx, xn_writer *w, int channel, const xn_sim_shots *t)
{
    double *values = xn_alloc((size_t)t->n, sizeof *values);
    int64_t *id = xn_alloc((size_t)t->n, sizeof *id), n = 0;
    char path[256];
    xani_status st = XANI_OK;
    if (values == NULL || id == NULL) {
        st = xn_fail_memory(ctx, "a channel", (size_t)t->n * 16);
        goto out;
    }
    for (int64_t i = 0; i < t->n; i++) {
        if (t->missing[channel][i]) continue;
        values[n] = t->reading[channel][i];
        id[n++] = (int64_t)t->pulse_id[i];
    }
    snprintf(path, sizeof path, "/data/%s/data", xn_sim_channel[channel]);
    XN_GOTO(out, st, xn_writer_data(w, path, XN_F64, 1, &n, NULL, values));
    snprintf(path, sizeof path, "/data/%s/pulse_id", xn_sim_channel[channel]);
    st = xn_writer_data(w, path, XN_I64, 1, &n, NULL, id);
out:
    xn_free(values);
    xn_free(id);
    return st;
}

static xani_status write_events(xn_ctx *ctx, xn_writer *w, const xn_sim_shots *t)
{
    uint8_t *events = xn_calloc((size_t)t->n, EVENT_CODES);
    if (events == NULL) return xn_fail_memory(ctx, "event codes", (size_t)t->n * EVENT_CODES);
    for (int64_t i = 0; i < t->n; i++) events[i * EVENT_CODES + (t->on[i] ? LASER_EVENT : BLOCKED_EVENT)] = 1;
    xani_status st =
        xn_writer_data(w, "/data/SAR-CVME-TIFALL5:EvtSet/data", XN_U8, 2, (int64_t[]){t->n, EVENT_CODES}, NULL, events);
    if (st == XANI_OK)
        st = xn_writer_data(w, "/data/SAR-CVME-TIFALL5:EvtSet/pulse_id", XN_U64, 1, &t->n, NULL, t->pulse_id);
    xn_free(events);
    return st;
}

static xani_status write_readings(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, const char *dir)
{
    char *path = xn_format("%s/%s.BSDATA.h5", dir, v->name);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(ctx, path, XN_LAYOUT_RESULT, &w));
    for (int c = 0; c < XN_SIM_CHANNELS; c++) XN_GOTO(out, st, write_channel(ctx, w, c, t));
    XN_GOTO(out, st, write_events(ctx, w, t));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    xn_free(path);
    return st;
}

static xani_status write_run(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    xn_sim_shots shots;
    XN_TRY(xn_sim_shots_make(ctx, &v->model->s, v->run, &shots));
    xani_status st = XANI_OK;
    if (shots.n_frames == 0)
        st = xn_fail(ctx, XANI_ERR_CONFIG, "sim.losses.frames: every frame of run %s is lost", v->name);
    if (st == XANI_OK) st = write_readings(ctx, v, &shots, dir);
    if (st == XANI_OK) st = write_detector(ctx, v, &shots, dir);
    xn_sim_shots_free(&shots);
    return st;
}

// ---- the configuration

static xani_status configure(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    char *pedestal = xn_sim_pedestal_name(m);
    char *delay = xn_sim_delay_text(m, xn_sim_channel[XN_SIM_STAGE], xn_sim_channel[XN_SIM_EDGE]), *text = NULL;
    if (pedestal != NULL && delay != NULL)
        text = xn_format("input={layout: swissfel, frames: %s, i0: '%s', laser: daq_rec, %s, "
                         "calibration: {pedestal: %s, gain: %s}}",
                         m->detector.name, xn_sim_channel[XN_SIM_I0], delay, pedestal, XN_SIM_GAIN_FILE);
    xn_free(pedestal);
    xn_free(delay);
    XN_TRY(xn_sim_assign(ctx, config, text));
    return xn_sim_set_window(ctx, xn_sim_channel[XN_SIM_EDGE_AMPLITUDE], config);
}

static char *files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)run;
    return xn_format("[%s.%s.h5, %s.BSDATA.h5]", run_name, m->detector.name, run_name);
}

const xn_sim_layout xn_sim_swissfel = {
    .name = "swissfel", .shots = true, .words = true, .write = write_run, .configure = configure, .files = files};
