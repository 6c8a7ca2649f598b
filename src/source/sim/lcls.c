// SPDX-License-Identifier: BSD-3-Clause
// lcls.c -- small data as LCLS writes them, both generations (formats.md 1.1, 1.3).
//
//   xppsim_Run0001.h5     event_time, fiducials, lightStatus, evr/code_N, ipm2, enc, epics, tt, damage/DET,
//   DET/full_area xppsim2_Run0001.h5    timestamp, timing/eventcodes, lightStatus, XppSb2BmMon, XppUsbEncoder02,
//   alvium_tt, ...; rows in
//                         the order in which two servers would have finished them
// A row per frame: the facility's event builder drops the others.  Frames are calibrated, float32 keV.  A frame that is
// not good has damage 0.  The encoder is in ps, the time tool calibrated: what the facility makes of stage and edge, by
// the same formula, so that the delays have the same bits as in other layouts.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

#define FIRST_SECOND 1700000000u
#define RUN_SECONDS 100000u
#define FIDUCIAL_HZ 360.0
#define EVENT_CODES 288
#define LASER_ON_CODE 203
#define BATCH_ROWS 16 // rows that a server writes together

typedef struct {
    xn_ctx *ctx;
    const xn_sim_view *v;
    const xn_sim_shots *t;
    bool second;
    xn_writer *w;
} writer;

// ---- columns

static xani_status put(const writer *o, const char *path, xn_type type, const void *values)
{
    return xn_writer_data(o->w, path, type, 1, &o->t->n_frames, NULL, values);
}

typedef double (*value_of)(const writer *o, int64_t shot);

static double i0_of(const writer *o, int64_t s)
{
    return o->t->missing[XN_SIM_I0][s] ? NAN : o->t->reading[XN_SIM_I0][s];
}

static double encoder_of(const writer *o, int64_t s)
{
    bool none = o->t->missing[XN_SIM_STAGE][s] != 0;
    return none ? NAN : XN_SIM_STAGE_PS_PER_MM * (o->t->reading[XN_SIM_STAGE][s] - XN_SIM_STAGE_ORIGIN_MM);
}

static double edge_of(const writer *o, int64_t s)
{
    return o->t->missing[XN_SIM_EDGE][s] ? NAN : o->t->reading[XN_SIM_EDGE][s];
}

static double tool_of(const writer *o, int64_t s)
{
    double x = edge_of(o, s) - XN_SIM_EDGE_ORIGIN;
    return (XN_SIM_EDGE_C2 * x + XN_SIM_EDGE_C1) * x;
}

static double amplitude_of(const writer *o, int64_t s)
{
    return o->t->missing[XN_SIM_EDGE_AMPLITUDE][s] ? NAN : o->t->reading[XN_SIM_EDGE_AMPLITUDE][s];
}

static double zero_of(const writer *o, int64_t s)
{
    (void)o, (void)s;
    return 0.0;
}

static double laser_of(const writer *o, int64_t s) { return o->t->on[s]; }
static double laser_off_of(const writer *o, int64_t s) { return !o->t->on[s]; }
static double xray_of(const writer *o, int64_t s) { return !o->t->dark[s]; }
static double contributed(const writer *o, int64_t s) { return !o->t->not_good[s]; }

static xani_status column(const writer *o, const char *path, bool whole, value_of value)
{
    size_t n = (size_t)o->t->n_frames;
    double *v = xn_alloc(n, sizeof *v);
    int64_t *i8 = xn_alloc(n, sizeof *i8);
    xani_status st = v != NULL && i8 != NULL ? XANI_OK : xn_fail_memory(o->ctx, path, n * 16);
    for (size_t i = 0; st == XANI_OK && i < n; i++) {
        v[i] = value(o, o->t->frame_shot[i]);
        if (whole) i8[i] = (int64_t)v[i];
    }
    if (st == XANI_OK) st = put(o, path, whole ? XN_I64 : XN_F64, whole ? (void *)i8 : (void *)v);
    xn_free(v);
    xn_free(i8);
    return st;
}

static xani_status times(const writer *o)
{
    size_t n = (size_t)o->t->n_frames;
    int64_t *time = xn_alloc(n, sizeof *time), *fiducial = xn_alloc(n, sizeof *fiducial);
    xani_status st = time != NULL && fiducial != NULL ? XANI_OK : xn_fail_memory(o->ctx, "event times", n * 16);
    for (size_t i = 0; st == XANI_OK && i < n; i++) {
        double seconds = (double)o->t->frame_shot[i] / o->v->model->s.rate_hz;
        int64_t whole = (int64_t)seconds, first = FIRST_SECOND + (int64_t)o->v->run * RUN_SECONDS;
        time[i] = (first + whole) << 32 | (int64_t)(1e9 * (seconds - (double)whole));
        fiducial[i] = (int64_t)(FIDUCIAL_HZ * seconds) % 0x1ffe0;
    }
    if (st == XANI_OK) st = put(o, o->second ? "/timestamp" : "/event_time", XN_I64, time);
    if (st == XANI_OK && !o->second) st = put(o, "/fiducials", XN_I64, fiducial);
    xn_free(time);
    xn_free(fiducial);
    return st;
}

static xani_status event_codes(const writer *o)
{
    uint8_t *codes = xn_calloc((size_t)o->t->n_frames, EVENT_CODES);
    if (codes == NULL) return xn_fail_memory(o->ctx, "event codes", (size_t)o->t->n_frames * EVENT_CODES);
    for (int64_t i = 0; i < o->t->n_frames; i++) codes[i * EVENT_CODES + LASER_ON_CODE] = o->t->on[o->t->frame_shot[i]];
    xani_status st =
        xn_writer_data(o->w, "/timing/eventcodes", XN_U8, 2, (int64_t[]){o->t->n_frames, EVENT_CODES}, NULL, codes);
    xn_free(codes);
    return st;
}

static xani_status readings(const writer *o)
{
    static const struct {
        const char *first, *second; // NULL: not in that generation
        bool whole;
        value_of value;
    } columns[] = {
        {"/lightStatus/laser", "/lightStatus/laser", true, laser_of},
        {"/lightStatus/xray", "/lightStatus/xray", true, xray_of},
        {"/evr/code_90", NULL, true, laser_of},
        {"/evr/code_91", NULL, true, laser_off_of},
        {"/ipm2/sum", "/XppSb2BmMon/totalIntensityJoules", false, i0_of},
        {"/enc/lasDelay", "/XppUsbEncoder02/lasDelay", false, encoder_of},
        {"/epics/lxt", "/epics/lxt", false, zero_of},
        {"/tt/FLTPOS", "/alvium_tt/fltpos", false, edge_of},
        {"/tt/ttCorr", "/alvium_tt/fltpos_ps", false, tool_of},
        {"/tt/AMPL", "/alvium_tt/ampl", false, amplitude_of},
    };
    XN_TRY(times(o));
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        const char *path = o->second ? columns[i].second : columns[i].first;
        if (path != NULL) XN_TRY(column(o, path, columns[i].whole, columns[i].value));
    }
    if (o->second) XN_TRY(event_codes(o));
    char path[160];
    snprintf(path, sizeof path, "/damage/%s", o->v->model->detector.name);
    return column(o, path, true, contributed);
}

// ---- the detector

static bool equal_modules(const xn_geometry *g)
{
    for (int m = 1; m < g->n_modules; m++)
        if (g->module_rows[m] != g->module_rows[0]) return false;
    return g->n_modules > 1;
}

// Shape of a plane as the detector has it: (module, y, x) or (y, x). Returns the rank.
static int plane_shape(const xn_geometry *g, int64_t dims[3])
{
    bool modules = equal_modules(g);
    dims[0] = modules ? g->n_modules : g->ny;
    dims[1] = modules ? g->module_rows[0] : g->nx;
    dims[2] = g->nx;
    return modules ? 3 : 2;
}

static xani_status frames(const writer *o)
{
    const xn_sim_detector *d = &o->v->model->detector;
    int64_t dims[4] = {o->t->n_frames};
    char dataset[160];
    int rank = 1 + plane_shape(&d->geometry, dims + 1);
    snprintf(dataset, sizeof dataset, "/%s/full_area", d->name);
    return xn_sim_write_frames(o->ctx, o->w, dataset, o->v, o->t, true, rank, dims);
}

static xani_status constant(const writer *o, const char *name, xn_type type, const void *plane)
{
    int64_t dims[3];
    char path[200];
    const xn_sim_detector *d = &o->v->model->detector;
    int rank = plane_shape(&d->geometry, dims);
    snprintf(path, sizeof path, "/UserDataCfg/%s/%s", d->name, name);
    return xn_writer_data(o->w, path, type, rank, dims, NULL, plane);
}

// What the files tell of their own detector: its mask (1 good) and where its pixels are, in micrometres and psana's
// frame, whose (x, y, z) is (-y, -x, -z) of the laboratory.
static xani_status constants(const writer *o)
{
    static const char *const axis[] = {"x", "y", "z"};
    static const size_t of_laboratory[] = {1, 0, 2};
    const xn_sim_model *m = o->v->model;
    size_t n = (size_t)m->npix;
    uint8_t *good = xn_alloc(n, 1);
    float *position = xn_alloc(n, sizeof *position);
    xani_status st = good != NULL && position != NULL ? XANI_OK : xn_fail_memory(o->ctx, "the detector", n * 5);
    for (size_t i = 0; st == XANI_OK && i < n; i++) good[i] = m->detector.mask[i] == XN_SIM_GOOD;
    if (st == XANI_OK) st = constant(o, "mask", XN_U8, good);
    for (int k = 0; k < 3 && st == XANI_OK; k++) {
        for (size_t i = 0; i < n; i++) position[i] = -1e6f * m->detector.geometry.position[3 * i + of_laboratory[k]];
        st = constant(o, axis[k], XN_F32, position);
    }
    xn_free(good);
    xn_free(position);
    return st;
}

// ---- files

// Two servers take turns of BATCH_ROWS rows; the rows of one stand before those of the other.
static xani_status order_of_servers(xn_ctx *ctx, xn_sim_shots *t)
{
    int64_t *order = xn_alloc((size_t)t->n_frames, sizeof *order), n = 0;
    if (order == NULL) return xn_fail_memory(ctx, "the rows", (size_t)t->n_frames * sizeof *order);
    for (int server = 1; server >= 0; server--)
        for (int64_t i = 0; i < t->n_frames; i++)
            if (i / BATCH_ROWS % 2 == server) order[n++] = t->frame_shot[i];
    memcpy(t->frame_shot, order, (size_t)n * sizeof *order);
    xn_free(order);
    return XANI_OK;
}

static xani_status write_file(const writer *given, const char *dir)
{
    writer o = *given;
    char *path = xn_format("%s/xppsim%s_Run%04d.h5", dir, o.second ? "2" : "", o.v->run + 1);
    if (path == NULL) return xn_fail_memory(o.ctx, "a path", strlen(dir));
    xani_status st;
    XN_GOTO(out, st, xn_sim_create(o.ctx, path, XN_LAYOUT_RESULT, &o.w));
    XN_GOTO(out, st, readings(&o));
    XN_GOTO(out, st, constants(&o));
    XN_GOTO(out, st, frames(&o));
    st = xn_writer_publish(&o.w);
out:
    xn_writer_abort(&o.w);
    xn_free(path);
    return st;
}

static xani_status write_run(xn_ctx *ctx, const xn_sim_view *v, const char *dir, bool second)
{
    xn_sim_shots t;
    XN_TRY(xn_sim_shots_make(ctx, &v->model->s, v->run, &t));
    const writer o = {ctx, v, &t, second, NULL};
    xani_status st = XANI_OK;
    if (t.n_frames == 0)
        st = xn_fail(ctx, XANI_ERR_CONFIG, "sim.losses.frames: every frame of run %s is lost", v->name);
    if (st == XANI_OK && second) st = order_of_servers(ctx, &t);
    if (st == XANI_OK) st = write_file(&o, dir);
    xn_sim_shots_free(&t);
    return st;
}

static xani_status write_first(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    return write_run(ctx, v, dir, false);
}

static xani_status write_second(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    return write_run(ctx, v, dir, true);
}

// ---- the configuration

static xani_status configure(xn_ctx *ctx, const xn_sim_model *m, bool second, xn_config *config)
{
    const char *det = m->detector.name;
    XN_TRY(xn_sim_assign(
        ctx, config,
        xn_format("input={layout: %s, frames: %s/full_area, i0: %s, laser: %s, delay: {parts: [{source: %s, "
                  "scale_ps: 1}, {source: epics/lxt, scale_ps: 1e12}], sign: %d, zero_ps: %.17g, time_tool: {source: "
                  "%s, sign: 1, coefficients_ps: [0, 1]}}, calibration: {kev_per_unit: 1}, "
                  "mask: {dataset: UserDataCfg/%s/mask, good: nonzero}}",
                  second ? "lcls2_smalldata" : "lcls_smalldata", det,
                  second ? "XppSb2BmMon/totalIntensityJoules" : "ipm2/sum",
                  second ? "{codes: [203]}" : "lightStatus/laser", second ? "XppUsbEncoder02/lasDelay" : "enc/lasDelay",
                  XN_SIM_STAGE_SIGN, m->s.zero_ps, second ? "alvium_tt/fltpos_ps" : "tt/ttCorr", det)));
    return xn_sim_set_window(ctx, second ? "alvium_tt/ampl" : "tt/AMPL", config);
}

static xani_status configure_first(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    return configure(ctx, m, false, config);
}

static xani_status configure_second(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    return configure(ctx, m, true, config);
}

static char *first_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run_name;
    return xn_format("[xppsim_Run%04d.h5]", run + 1);
}

static char *second_files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run_name;
    return xn_format("[xppsim2_Run%04d.h5]", run + 1);
}

const xn_sim_layout xn_sim_lcls_smalldata = {
    .name = "lcls_smalldata", .shots = true, .write = write_first, .configure = configure_first, .files = first_files};
const xn_sim_layout xn_sim_lcls2_smalldata = {.name = "lcls2_smalldata",
                                              .shots = true,
                                              .write = write_second,
                                              .configure = configure_second,
                                              .files = second_files};
