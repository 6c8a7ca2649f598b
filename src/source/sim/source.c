// SPDX-License-Identifier: BSD-3-Clause
// source.c -- the simulated shots as a source: frames are made when they are read.
//
// The same words as in the raw files, joined as the files' configuration would join them: a shot without a reading it
// needs gets the verdict "join", incomplete frames "bad frame", shots without X-rays "dark".  All channels are there
// as extra readings, so that any window of select works.
#include <math.h>
#include <string.h>

#include "source/layout.h"
#include "source/sim/parts.h"
#include "source/sim/sim.h"
#include "source/source.h"

typedef struct sim_impl {
    xn_sim_model model;
    xn_sim_view view;
    xn_sim_shots shots;
} sim_impl;

static xani_status fill_shots(xn_ctx *ctx, const xn_sim_settings *settings, const xn_sim_shots *t, xn_shots *s)
{
    XN_TRY(xn_shots_alloc(ctx, t->n_frames, XN_SIM_CHANNELS, s));
    for (int c = 0; c < XN_SIM_CHANNELS; c++) {
        s->extra_name[c] = xn_strdup(xn_sim_channel[c]);
        if (s->extra_name[c] == NULL) return xn_fail_memory(ctx, "a channel's name", 64);
    }
    s->frames = t->n_frames;
    s->missing = t->n - t->n_frames;
    for (int64_t i = 0; i < t->n_frames; i++) {
        int64_t shot = t->frame_shot[i];
        bool on = t->on[shot], joined = !t->missing[XN_SIM_I0][shot];
        for (int c = XN_SIM_STAGE; on && c < XN_SIM_CHANNELS; c++) joined = joined && !t->missing[c][shot];
        for (int c = 0; c < XN_SIM_CHANNELS; c++) s->extra[c][i] = t->missing[c][shot] ? NAN : t->reading[c][shot];
        s->pulse_id[i] = t->pulse_id[shot];
        s->frame[i] = i;
        s->laser[i] = on ? XN_LASER_ON : XN_LASER_OFF;
        s->i0[i] = s->extra[XN_SIM_I0][i];
        s->delay_ps[i] =
            on ? xn_sim_delay(s->extra[XN_SIM_STAGE][i], s->extra[XN_SIM_EDGE][i], settings->zero_ps) : NAN;
        s->bin[i] = -1;
        s->verdict[i] = XN_CUT_NONE;
        if (t->dark[shot]) s->verdict[i] = XN_CUT_DARK;
        if (t->not_good[shot]) s->verdict[i] = XN_CUT_BAD_FRAME;
        if (!joined) s->verdict[i] = XN_CUT_JOIN;
    }
    return XANI_OK;
}

static xani_status fill_calibration(xn_ctx *ctx, const xn_sim_model *m, xn_source *s)
{
    size_t n = (size_t)m->npix;
    s->cal.kind = XN_CAL_JUNGFRAU;
    for (int g = 0; g < 3; g++) {
        s->cal.pedestal[g] = xn_alloc(n, sizeof(float));
        s->cal.factor[g] = xn_alloc(n, sizeof(float));
        if (s->cal.pedestal[g] == NULL || s->cal.factor[g] == NULL)
            return xn_fail_memory(ctx, "the calibration", n * sizeof(float));
        memcpy(s->cal.pedestal[g], m->detector.pedestal[g], n * sizeof(float));
        for (size_t i = 0; i < n; i++)
            s->cal.factor[g][i] = (float)(1.0 / ((double)m->detector.gain[g][i] * m->s.energy_kev));
    }
    return XANI_OK;
}

static xani_status fill_detector(xn_ctx *ctx, const xn_sim_model *m, xn_source *s)
{
    const xn_geometry *g = &m->detector.geometry;
    s->ny = g->ny;
    s->nx = g->nx;
    s->n_modules = g->n_modules;
    s->type = XN_U16;
    s->scratch_bytes = xn_sim_padded(m->npix) * sizeof(float);
    s->module_rows = xn_alloc((size_t)g->n_modules, sizeof *s->module_rows);
    s->mask = xn_calloc((size_t)m->npix, sizeof *s->mask);
    if (s->module_rows == NULL || s->mask == NULL) return xn_fail_memory(ctx, "the mask", (size_t)m->npix * 4);
    memcpy(s->module_rows, g->module_rows, (size_t)g->n_modules * sizeof *s->module_rows);
    for (int64_t i = 0; i < m->npix; i++) {
        if (m->detector.mask[i] == XN_SIM_DEAD) s->mask[i] = XN_PIXEL_DEAD;
        if (m->detector.mask[i] == XN_SIM_HOT) s->mask[i] = XN_PIXEL_USER;
    }
    return XANI_OK;
}

static xani_status sim_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    sim_impl *impl = xn_calloc(1, sizeof *impl);
    if (impl == NULL) return xn_fail_memory(ctx, "the simulated source", sizeof *impl);
    s->impl = impl;
    XN_TRY(xn_sim_model_make(ctx, config, &impl->model));
    XN_TRY(xn_sim_view_make(ctx, config, &impl->model, run < 0 ? 0 : run, &impl->view));
    XN_TRY(xn_sim_shots_make(ctx, &impl->model.s, run < 0 ? 0 : run, &impl->shots));
    XN_TRY(fill_detector(ctx, &impl->model, s));
    XN_TRY(fill_calibration(ctx, &impl->model, s));
    XN_TRY(fill_shots(ctx, &impl->model.s, &impl->shots, &s->shots));
    s->shots.time_resolution_ps = NAN; // as the readers of files, which know the time tool's reading only
    s->n_angles = impl->view.n_angles;
    memcpy(s->angles_deg, impl->view.angles_deg, sizeof s->angles_deg);
    s->run = s->run != NULL ? s->run : xn_strdup(run < 0 ? "" : impl->view.name);
    return s->run != NULL ? XANI_OK : xn_fail_memory(ctx, "the name of a run", 16);
}

static void sim_close(xn_source *s)
{
    sim_impl *impl = s->impl;
    if (impl == NULL) return;
    xn_sim_shots_free(&impl->shots);
    xn_sim_view_free(&impl->view);
    xn_sim_model_free(&impl->model);
    xn_free(impl);
    s->impl = NULL;
}

static xani_status sim_read_frame(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    sim_impl *impl = s->impl;
    if (frame < 0 || frame >= impl->shots.n_frames)
        return xn_fail(ctx, XANI_ERR_INTERNAL, "simulated frame %lld does not exist", (long long)frame);
    xn_sim_frame(&impl->view, &impl->shots, impl->shots.frame_shot[frame], dst, scratch);
    return XANI_OK;
}

const xn_source_ops xn_source_sim = {
    .layout = "sim", .open = sim_open, .close = sim_close, .read_frame = sim_read_frame};

xani_status xn_sim_open(xn_ctx *ctx, const xn_config *config, int run, xn_source **source)
{
    xn_source *s = xn_calloc(1, sizeof *s);
    *source = s;
    if (s == NULL) return xn_fail_memory(ctx, "the simulated source", sizeof *s);
    s->ops = &xn_source_sim;
    xani_status st = sim_open(ctx, config, run, s);
    if (st != XANI_OK) xn_source_close(source);
    return st;
}
