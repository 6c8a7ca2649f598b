// SPDX-License-Identifier: BSD-3-Clause
// sacla.c -- tag files as SACLA's DataConvert writes them, and the time-tool table of each run (formats.md 1.6).
//
//   run_R.h5        run_R/detector_2d_K/tag_T/{detector_data, detector_status}, one panel per module; event_info
//   timing_R.csv    two lines of header; tag, edge by derivative, edge by fit
//
// Panels hold analogue units, float32: keV / (3.65e-3 gain), each with a gain of its own.  Tags go in steps of 2, as at
// 30 Hz.  A reading that a shot lacks is NaN in event_info, whose arrays have an entry for every tag, and a word in the
// table; the amplitude of the edge stands in event_info.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

#define FIRST_RUN 259400
#define FIRST_TAG 448000000
#define KEV_PER_ELECTRON 3.65e-3
#define STAGE "bl_3/eh_4/laser/delay_line_stage_position"
#define AMPLITUDE "bl_3/eh_4/timing/edge_amplitude"
#define LASER "bl_3/lh_1/laser_pulse_selector_status"
#define I0 "PD_I0/sum_in_volt"

typedef struct {
    xn_ctx *ctx;
    const xn_sim_view *v;
    const xn_sim_shots *t;
    xn_writer *w;
    int number;
} writer;

static int64_t tag_of(const writer *o, int64_t shot) { return FIRST_TAG + 10000000 * (int64_t)o->v->run + 2 * shot; }
static double gain_of(int panel) { return 17.0 + 0.25 * panel; } // electrons per unit

// ---- event_info

static xani_status put(const writer *o, const char *name, xn_type type, const void *values)
{
    char path[160];
    snprintf(path, sizeof path, "/run_%d/event_info/%s", o->number, name);
    return xn_writer_data(o->w, path, type, 1, &o->t->n, NULL, values);
}

static xani_status put_reading(const writer *o, const char *name, int channel, double *value)
{
    for (int64_t i = 0; i < o->t->n; i++) value[i] = o->t->missing[channel][i] ? NAN : o->t->reading[channel][i];
    return put(o, name, XN_F64, value);
}

static xani_status put_events(const writer *o)
{
    size_t n = (size_t)o->t->n;
    double *value = xn_alloc(n, sizeof *value);
    int32_t *whole = xn_alloc(n, sizeof *whole);
    xani_status st;
    if (value == NULL || whole == NULL) XN_GOTO(out, st, xn_fail_memory(o->ctx, "event_info", n * 12));
    for (size_t i = 0; i < n; i++) whole[i] = (int32_t)tag_of(o, (int64_t)i);
    XN_GOTO(out, st, put(o, "tag_number_list", XN_I32, whole));
    for (size_t i = 0; i < n; i++) whole[i] = o->t->on[i];
    XN_GOTO(out, st, put(o, LASER, XN_I32, whole));
    for (size_t i = 0; i < n; i++) whole[i] = !o->t->dark[i];
    XN_GOTO(out, st, put(o, "bl_3/eh_1/xfel_pulse_selector_status", XN_I32, whole));
    XN_GOTO(out, st, put_reading(o, I0, XN_SIM_I0, value));
    XN_GOTO(out, st, put_reading(o, STAGE, XN_SIM_STAGE, value));
    st = put_reading(o, AMPLITUDE, XN_SIM_EDGE_AMPLITUDE, value);
out:
    xn_free(value);
    xn_free(whole);
    return st;
}

static xani_status put_run_info(const writer *o)
{
    char path[128];
    const int32_t number = o->number;
    const int64_t one = 1, first = tag_of(o, 0), last = tag_of(o, o->t->n - 1);
    const double ev = 1e3 * o->v->model->s.energy_kev;
    XN_TRY(xn_writer_text(o->w, "/file_info/format_type", "run_data_format"));
    XN_TRY(xn_writer_data(o->w, "/file_info/run_number_list", XN_I32, 1, &one, NULL, &number));
    snprintf(path, sizeof path, "/run_%d/run_info/start_tag_number", o->number);
    XN_TRY(xn_writer_data(o->w, path, XN_I64, 0, NULL, NULL, &first));
    snprintf(path, sizeof path, "/run_%d/run_info/end_tag_number", o->number);
    XN_TRY(xn_writer_data(o->w, path, XN_I64, 0, NULL, NULL, &last));
    snprintf(path, sizeof path, "/run_%d/run_info/sacla_config/photon_energy_in_eV", o->number);
    return xn_writer_data(o->w, path, XN_F64, 0, NULL, NULL, &ev);
}

// ---- panels

static xani_status put_panel_info(const writer *o, int panel)
{
    char path[160], name[64];
    const float gain = (float)gain_of(panel);
    snprintf(path, sizeof path, "/run_%d/detector_2d_%d/detector_info/detector_name", o->number, panel + 1);
    snprintf(name, sizeof name, "MPCCD-%d-2-001-%d", o->v->model->detector.geometry.n_modules, panel + 1);
    XN_TRY(xn_writer_text(o->w, path, name));
    snprintf(path, sizeof path, "/run_%d/detector_2d_%d/detector_info/absolute_gain", o->number, panel + 1);
    return xn_writer_data(o->w, path, XN_F32, 0, NULL, NULL, &gain);
}

// Frame of a shot, in keV, as a dataset of each panel.
static xani_status put_tag(const writer *o, int64_t shot, float *kev)
{
    const xn_geometry *g = &o->v->model->detector.geometry;
    const int32_t status = !o->t->not_good[shot];
    char path[160];
    int64_t row = 0;
    for (int k = 0; k < g->n_modules; row += g->module_rows[k++]) {
        const int64_t dims[2] = {g->module_rows[k], g->nx};
        float *panel = kev + row * g->nx, unit = (float)(KEV_PER_ELECTRON * gain_of(k));
        for (int64_t i = 0; i < dims[0] * dims[1]; i++) panel[i] /= unit;
        snprintf(path, sizeof path, "/run_%d/detector_2d_%d/tag_%lld/detector_data", o->number, k + 1,
                 (long long)tag_of(o, shot));
        XN_TRY(xn_writer_data(o->w, path, XN_F32, 2, dims, NULL, panel));
        snprintf(path, sizeof path, "/run_%d/detector_2d_%d/tag_%lld/detector_status", o->number, k + 1,
                 (long long)tag_of(o, shot));
        XN_TRY(xn_writer_data(o->w, path, XN_I32, 0, NULL, NULL, &status));
    }
    return XANI_OK;
}

static xani_status put_tags(const writer *o)
{
    const xn_sim_model *m = o->v->model;
    int64_t done = (int64_t)o->v->run * m->s.shots, total = (int64_t)m->s.n_runs * m->s.shots;
    float *scratch = xn_alloc(xn_sim_padded(m->npix), sizeof *scratch), *kev = xn_alloc((size_t)m->npix, sizeof *kev);
    uint16_t *words = xn_alloc((size_t)m->npix, sizeof *words);
    xani_status st = XANI_OK;
    if (scratch == NULL || kev == NULL || words == NULL) st = xn_fail_memory(o->ctx, "a frame", (size_t)m->npix * 10);
    for (int k = 0; st == XANI_OK && k < m->detector.geometry.n_modules; k++) st = put_panel_info(o, k);
    for (int64_t i = 0; st == XANI_OK && i < o->t->n_frames; i++) {
        int64_t shot = o->t->frame_shot[i];
        xn_progress(o->ctx, "sim", done + i, total, "shots");
        st = xn_check_interrupt(o->ctx);
        xn_sim_frame(o->v, o->t, shot, words, scratch);
        xn_sim_kev(m, words, kev);
        if (st == XANI_OK) st = put_tag(o, shot, kev);
    }
    xn_progress(o->ctx, "sim", done + m->s.shots, total, "shots");
    xn_free(scratch);
    xn_free(kev);
    xn_free(words);
    return st;
}

// ---- files

// The two ways to find the edge agree here.
static xani_status write_table(const writer *o, const char *dir)
{
    size_t room = 96 * ((size_t)o->t->n + 2), n = 0;
    char *text = xn_alloc(room, 1), *path = xn_format("%s/timing_%d.csv", dir, o->number);
    xani_status st = text != NULL && path != NULL ? XANI_OK : xn_fail_memory(o->ctx, "the time-tool table", room);
    if (st == XANI_OK) n = (size_t)snprintf(text, room, "# edges of the time tool\ntag,derivative_px,fitting_px\n");
    for (int64_t i = 0; st == XANI_OK && i < o->t->n; i++) {
        double edge = o->t->reading[XN_SIM_EDGE][i];
        int more = o->t->missing[XN_SIM_EDGE][i]
                       ? snprintf(text + n, room - n, "%lld,not-converged,not-converged\n", (long long)tag_of(o, i))
                       : snprintf(text + n, room - n, "%lld,%.17g,%.17g\n", (long long)tag_of(o, i), edge, edge);
        n += (size_t)more;
    }
    if (st == XANI_OK) st = xn_publish_text(o->ctx, path, text, n, XN_SIM_KIND);
    xn_free(text);
    xn_free(path);
    return st;
}

static xani_status write_tags(writer *o, const char *dir)
{
    char *path = xn_format("%s/run_%d.h5", dir, o->number);
    if (path == NULL) return xn_fail_memory(o->ctx, "a path", strlen(dir));
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(o->ctx, path, XN_LAYOUT_PLAIN, &o->w));
    XN_GOTO(out, st, put_run_info(o));
    XN_GOTO(out, st, put_events(o));
    XN_GOTO(out, st, put_tags(o));
    st = xn_writer_publish(&o->w);
out:
    xn_writer_abort(&o->w);
    xn_free(path);
    return st;
}

static xani_status write_run(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    xn_sim_shots t;
    XN_TRY(xn_sim_shots_make(ctx, &v->model->s, v->run, &t));
    writer o = {ctx, v, &t, NULL, FIRST_RUN + v->run};
    xani_status st = XANI_OK;
    if (t.n_frames == 0)
        st = xn_fail(ctx, XANI_ERR_CONFIG, "sim.losses.frames: every frame of run %s is lost", v->name);
    if (st == XANI_OK) st = write_table(&o, dir);
    if (st == XANI_OK) st = write_tags(&o, dir);
    xn_sim_shots_free(&t);
    return st;
}

// ---- the configuration

static xani_status configure(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    char *delay = xn_sim_delay_text(m, STAGE, "timetool"), *mask = xn_sim_mask_text(m), *text = NULL;
    if (delay != NULL && mask != NULL)
        text = xn_format("input={layout: sacla, frames: MPCCD-%d-2-001, i0: '" I0 "', laser: " LASER ", %s, %s}",
                         m->detector.geometry.n_modules, delay, mask);
    xn_free(delay);
    xn_free(mask);
    XN_TRY(xn_sim_assign(ctx, config, text));
    return xn_sim_set_window(ctx, AMPLITUDE, config);
}

static char *files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run_name;
    return xn_format("[run_%d.h5, timing_%d.csv]", FIRST_RUN + run, FIRST_RUN + run);
}

const xn_sim_layout xn_sim_sacla = {
    .name = "sacla", .shots = true, .words = true, .write = write_run, .configure = configure, .files = files};
