// SPDX-License-Identifier: BSD-3-Clause
// nexus.c -- frames as NeXus files hold them (formats.md 2): an NXmx master, and plain NXdata with its readings.
//
//   NAME_master.h5        entry/{definition, data/data, instrument/{beam, detector/{pixel_mask, ...}}}
//   NAME_readings.h5      shots/{id, i0, ...}: every shot's readings, lost frames or not, joined by pulse id
//   NAME.nxs              entry/scan/frames by the chain of @default and @signal, entry/scan/{id, i0, ...} row by row
//
// Frames are float32 keV: what a calibrated detector stores.  These layouts know neither bad frames nor shots without
// X-rays, so `good` and `xrays` are readings and the configuration cuts on them; a reading that was lost is NaN.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/layout.h"
#include "source/sim/parts.h"

static const char *const reading_name[XN_SIM_CHANNELS] = {"i0", "stage", "edge", "edge_amplitude"};

// ---- readings

// Where a reading goes: one row per shot, or (of_frames) per frame.
typedef struct {
    xn_ctx *ctx;
    xn_writer *w;
    const char *group;
    const xn_sim_shots *t;
    bool of_frames;
} table;

static int64_t shot_of(const table *o, int64_t row) { return o->of_frames ? o->t->frame_shot[row] : row; }

static xani_status write_channel(const table *o, int channel)
{
    int64_t n = o->of_frames ? o->t->n_frames : o->t->n;
    char path[128];
    double *value = xn_alloc((size_t)n, sizeof *value);
    if (value == NULL) return xn_fail_memory(o->ctx, "a reading", (size_t)n * sizeof *value);
    snprintf(path, sizeof path, "%s/%s", o->group, reading_name[channel]);
    for (int64_t i = 0; i < n; i++)
        value[i] = o->t->missing[channel][shot_of(o, i)] ? NAN : o->t->reading[channel][shot_of(o, i)];
    xani_status st = xn_writer_data(o->w, path, XN_F64, 1, &n, NULL, value);
    xn_free(value);
    return st;
}

static xani_status write_flag(const table *o, const char *name, const uint8_t *flag, bool inverted)
{
    int64_t n = o->of_frames ? o->t->n_frames : o->t->n;
    char path[128];
    uint8_t *value = xn_alloc((size_t)n, 1);
    if (value == NULL) return xn_fail_memory(o->ctx, "a reading", (size_t)n);
    snprintf(path, sizeof path, "%s/%s", o->group, name);
    for (int64_t i = 0; i < n; i++) value[i] = (flag[shot_of(o, i)] != 0) != inverted;
    xani_status st = xn_writer_data(o->w, path, XN_U8, 1, &n, NULL, value);
    xn_free(value);
    return st;
}

static xani_status write_ids(xn_ctx *ctx, xn_writer *w, const char *group, const xn_sim_shots *t, bool of_frames)
{
    int64_t n = of_frames ? t->n_frames : t->n;
    char path[128];
    uint64_t *id = xn_alloc((size_t)n, sizeof *id);
    if (id == NULL) return xn_fail_memory(ctx, "the ids", (size_t)n * sizeof *id);
    for (int64_t i = 0; i < n; i++) id[i] = t->pulse_id[of_frames ? t->frame_shot[i] : i];
    snprintf(path, sizeof path, "%s/id", group);
    xani_status st = xn_writer_data(w, path, XN_U64, 1, &n, NULL, id);
    xn_free(id);
    return st;
}

static xani_status write_readings(xn_ctx *ctx, xn_writer *w, const char *group, const xn_sim_shots *t, bool of_frames)
{
    const table o = {ctx, w, group, t, of_frames};
    XN_TRY(write_ids(ctx, w, group, t, of_frames));
    for (int c = 0; c < XN_SIM_CHANNELS; c++) XN_TRY(write_channel(&o, c));
    XN_TRY(write_flag(&o, "laser", t->on, false));
    XN_TRY(write_flag(&o, "xrays", t->dark, true));
    return write_flag(&o, "good", t->not_good, true);
}

// ---- the detector

static xani_status number(xn_writer *w, const char *path, double value, const char *units)
{
    XN_TRY(xn_writer_data(w, path, XN_F64, 0, NULL, NULL, &value));
    return xn_writer_attr_text(w, path, "units", units);
}

static xani_status write_mask(xn_ctx *ctx, xn_writer *w, const xn_sim_model *m)
{
    const int64_t dims[2] = {m->detector.geometry.ny, m->detector.geometry.nx};
    uint32_t *bits = xn_calloc((size_t)m->npix, sizeof *bits);
    if (bits == NULL) return xn_fail_memory(ctx, "the mask", (size_t)m->npix * sizeof *bits);
    for (int64_t i = 0; i < m->npix; i++) {
        if (m->detector.mask[i] == XN_SIM_DEAD) bits[i] = XN_PIXEL_DEAD;
        if (m->detector.mask[i] == XN_SIM_HOT) bits[i] = XN_PIXEL_USER;
    }
    xani_status st = xn_writer_data(w, "/entry/instrument/detector/pixel_mask", XN_U32, 2, dims, NULL, bits);
    xn_free(bits);
    return st;
}

static xani_status write_instrument(xn_ctx *ctx, xn_writer *w, const xn_sim_view *v)
{
    const xn_sim_model *m = v->model;
    static const char *const groups[][2] = {{"/entry/instrument", "NXinstrument"},
                                            {"/entry/instrument/beam", "NXbeam"},
                                            {"/entry/instrument/detector", "NXdetector"}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        XN_TRY(xn_writer_group(w, groups[i][0], groups[i][1]));
    XN_TRY(number(w, "/entry/instrument/beam/incident_energy", 1e3 * m->s.energy_kev, "eV"));
    XN_TRY(number(w, "/entry/instrument/detector/x_pixel_size", m->detector.geometry.pixel_m, "m"));
    XN_TRY(number(w, "/entry/instrument/detector/y_pixel_size", m->detector.geometry.pixel_m, "m"));
    XN_TRY(xn_writer_text(w, "/entry/instrument/detector/description", m->detector.name));
    return write_mask(ctx, w, m);
}

// ---- files

static xani_status begin(xn_writer *w, const char *data, const char *signal)
{
    char group[64];
    snprintf(group, sizeof group, "/entry/%s", data);
    XN_TRY(xn_writer_group(w, "/entry", "NXentry"));
    XN_TRY(xn_writer_group(w, group, "NXdata"));
    XN_TRY(xn_writer_attr_text(w, "/", "default", "entry"));
    XN_TRY(xn_writer_attr_text(w, "/entry", "default", data));
    return xn_writer_attr_text(w, group, "signal", signal);
}

static xani_status write_master(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, xn_writer *w)
{
    const xn_geometry *g = &v->model->detector.geometry;
    XN_TRY(begin(w, "data", "data"));
    XN_TRY(xn_writer_text(w, "/entry/definition", "NXmx"));
    XN_TRY(write_instrument(ctx, w, v));
    XN_TRY(xn_sim_write_frames(ctx, w, "/entry/data/data", v, t, true, 3, (int64_t[]){t->n_frames, g->ny, g->nx}));
    return write_ids(ctx, w, "/entry/data", t, true);
}

static xani_status write_beside(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, xn_writer *w)
{
    (void)v;
    return write_readings(ctx, w, "/shots", t, false);
}

static xani_status write_plain(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, xn_writer *w)
{
    const xn_geometry *g = &v->model->detector.geometry;
    XN_TRY(begin(w, "scan", "frames"));
    XN_TRY(write_instrument(ctx, w, v));
    XN_TRY(xn_sim_write_frames(ctx, w, "/entry/scan/frames", v, t, true, 3, (int64_t[]){t->n_frames, g->ny, g->nx}));
    return write_readings(ctx, w, "/entry/scan", t, true);
}

typedef xani_status (*fill)(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, xn_writer *w);

static xani_status write_file(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, const char *dir,
                              const char *suffix, fill content)
{
    char *path = xn_format("%s/%s%s", dir, v->name, suffix);
    xn_writer *w = NULL;
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    xani_status st = xn_sim_create(ctx, path, XN_LAYOUT_RESULT, &w);
    if (st == XANI_OK) st = content(ctx, v, t, w);
    if (st == XANI_OK) st = xn_writer_publish(&w);
    xn_writer_abort(&w);
    xn_free(path);
    return st;
}

static xani_status make_shots(xn_ctx *ctx, const xn_sim_view *v, xn_sim_shots *t)
{
    XN_TRY(xn_sim_shots_make(ctx, &v->model->s, v->run, t));
    if (t->n_frames > 0) return XANI_OK;
    xn_sim_shots_free(t);
    return xn_fail(ctx, XANI_ERR_CONFIG, "sim.losses.frames: every frame of run %s is lost", v->name);
}

static xani_status write_nxmx(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    xn_sim_shots t;
    XN_TRY(make_shots(ctx, v, &t));
    xani_status st = write_file(ctx, v, &t, dir, "_readings.h5", write_beside);
    if (st == XANI_OK) st = write_file(ctx, v, &t, dir, "_master.h5", write_master);
    xn_sim_shots_free(&t);
    return st;
}

static xani_status write_nexus(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    xn_sim_shots t;
    XN_TRY(make_shots(ctx, v, &t));
    xani_status st = write_file(ctx, v, &t, dir, ".nxs", write_plain);
    xn_sim_shots_free(&t);
    return st;
}

// ---- the configurations

static xani_status set_input(xn_ctx *ctx, const xn_sim_model *m, const char *layout, const char *group,
                             const char *more, xn_config *config)
{
    char stage[64], edge[64], amplitude[64];
    snprintf(stage, sizeof stage, "%s/stage", group);
    snprintf(edge, sizeof edge, "%s/edge", group);
    snprintf(amplitude, sizeof amplitude, "%s/edge_amplitude", group);
    char *delay = xn_sim_delay_text(m, stage, edge), *text = NULL;
    if (delay != NULL)
        text = xn_format("input={layout: %s, %s, i0: %s/i0, laser: %s/laser, %s, calibration: {kev_per_unit: 1}}",
                         layout, more, group, group, delay);
    xn_free(delay);
    XN_TRY(xn_sim_assign(ctx, config, text));
    if (!xn_config_has(config, "select.cuts"))
        XN_TRY(xn_sim_assign(ctx, config,
                             xn_format("select.cuts=[{source: %s/good, min: 0.5, name: good frame flag}, "
                                       "{source: %s/xrays, min: 0.5, name: X-ray flag}]",
                                       group, group)));
    return xn_sim_set_window(ctx, amplitude, config);
}

// The readings' files of all runs: their ids do not overlap.
static char *readings_of(const xn_config *config, const xn_sim_model *m)
{
    char *list = xn_strdup("");
    for (int run = 0; list != NULL && run < m->s.n_runs; run++) {
        char *name = xn_sim_run_name(config, run);
        char *more =
            name == NULL ? NULL : xn_format("%s%s{file: '%s_readings.h5', ids: shots/id}", list, run ? ", " : "", name);
        xn_free(name);
        xn_free(list);
        list = more;
    }
    return list;
}

static xani_status configure_nxmx(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    char *list = readings_of(config, m);
    char *more = list == NULL ? NULL : xn_format("ids: entry/data/id, readings: [%s]", list);
    xn_free(list);
    xani_status st = more == NULL ? xn_fail_memory(ctx, "the written configuration", 256)
                                  : set_input(ctx, m, "nxmx", "shots", more, config);
    xn_free(more);
    return st;
}

static xani_status configure_nexus(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    return set_input(ctx, m, "nexus", "entry/scan", "ids: entry/scan/id", config);
}

static char *nxmx_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run;
    return xn_format("['%s_master.h5']", run_name);
}

static char *nexus_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run;
    return xn_format("['%s.nxs']", run_name);
}

const xn_sim_layout xn_sim_nxmx = {
    .name = "nxmx", .shots = true, .write = write_nxmx, .configure = configure_nxmx, .files = nxmx_files};
const xn_sim_layout xn_sim_nexus = {
    .name = "nexus", .shots = true, .write = write_nexus, .configure = configure_nexus, .files = nexus_files};
