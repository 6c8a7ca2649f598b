// SPDX-License-Identifier: BSD-3-Clause
// euxfel.c -- raw files as the European XFEL's data acquisition writes them (formats.md 1.4), format version 1.2.
//
//   NAME/RAW-Rnnnn-JNGFRmm-Sqqqqq.h5   a module's values and gain codes apart, one memory cell; its sequences end at
//   other
//                                      trains than those of the next module
//   NAME/RAW-Rnnnn-DA01-S00000.h5      gas monitor, stage, time tool, bunch pattern table
//
// Every shot is a train of one pulse.  A train without frame has no rows, one that is not good has no good flag, one
// without X-rays no FEL pulse in its pattern, a lost reading no row.
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

#define DETECTOR "FXE_SIM_JUNGF"
#define MODULE_SOURCE DETECTOR "/DET/JNGFR%02d:daqOutput/data"
#define XGM "SA1_XTD2_XGM/XGM/DOOCS:output/data"
#define STAGE "FXE_LAS_COM/MOTOR/DL800"
#define EDGE "FXE_LAS_TTOOL/PROC/EDGE:output/data"
#define AMPLITUDE "FXE_LAS_TTOOL/PROC/AMPLITUDE:output/data"
#define SERVER "FXE_RR_UTC/TSYS/TIMESERVER:outputBunchPattern/data"

#define BATCH 32
#define XGM_COLUMNS 32 // the facility's have 1000
#define POSITIONS 2700
#define PULSE_AT 100          // bunch position of the pulse
#define FEL_WORD (4u << 18)   // bound for the dump of SASE1
#define LASER_WORD (1u << 11) // LP_FXE
#define VALUE_MASK 0x3fffu

// ---- what every file begins with

static xani_status write_sources(xn_writer *w, const char *const *sources, int64_t n)
{
    static const char *const version[] = {"1.2"};
    XN_TRY(xn_writer_texts(w, "/METADATA/dataSources/dataSourceId", sources, n));
    return xn_writer_texts(w, "/METADATA/dataFormatVersion", version, 1);
}

// INDEX of shots first ... first + n - 1. flags: trains that are not good are marked.
static xani_status write_trains(xn_ctx *ctx, xn_writer *w, const xn_sim_shots *t, int64_t first, int64_t n, bool flags)
{
    int32_t *flag = xn_alloc((size_t)n, sizeof *flag);
    if (flag == NULL) return xn_fail_memory(ctx, "flags of trains", (size_t)n * sizeof *flag);
    for (int64_t i = 0; i < n; i++) flag[i] = !(flags && t->not_good[first + i]);
    xani_status st = xn_writer_data(w, "/INDEX/trainId", XN_U64, 1, &n, NULL, t->pulse_id + first);
    if (st == XANI_OK) st = xn_writer_data(w, "/INDEX/flag", XN_I32, 1, &n, NULL, flag);
    xn_free(flag);
    return st;
}

// First row and count of each train: one row, or none where `none` says so (NULL: never). *rows: all of them.
static xani_status write_index(xn_ctx *ctx, xn_writer *w, const char *source, const uint8_t *none, int64_t first,
                               int64_t n, int64_t *rows)
{
    char path[256];
    uint64_t *row = xn_alloc(2 * (size_t)n, sizeof *row);
    if (row == NULL) return xn_fail_memory(ctx, "an index", 2 * (size_t)n * sizeof *row);
    uint64_t *count = row + n;
    *rows = 0;
    for (int64_t i = 0; i < n; i++) {
        row[i] = (uint64_t)*rows;
        count[i] = none == NULL || !none[first + i];
        *rows += (int64_t)count[i];
    }
    snprintf(path, sizeof path, "/INDEX/%s/first", source);
    xani_status st = xn_writer_data(w, path, XN_U64, 1, &n, NULL, row);
    snprintf(path, sizeof path, "/INDEX/%s/count", source);
    if (st == XANI_OK) st = xn_writer_data(w, path, XN_U64, 1, &n, NULL, count);
    xn_free(row);
    return st;
}

static xani_status create(xn_ctx *ctx, const xn_sim_view *v, const char *dir, const char *aggregator, int sequence,
                          xn_writer **w)
{
    char *path = xn_format("%s/%s/RAW-R%04d-%s-S%05d.h5", dir, v->name, v->run + 1, aggregator, sequence);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    xani_status st = xn_sim_create(ctx, path, XN_LAYOUT_RESULT, w);
    xn_free(path);
    return st;
}

// ---- readings

// Rows of one number, or of XGM_COLUMNS, the first of which is the reading and the rest padding.
static xani_status write_reading(xn_ctx *ctx, xn_writer *w, const char *source, const char *dataset, int64_t columns,
                                 const double *reading, const uint8_t *none, int64_t n)
{
    int64_t rows = 0;
    XN_TRY(write_index(ctx, w, source, none, 0, n, &rows));
    double *value = xn_alloc((size_t)(rows * columns), sizeof *value);
    if (value == NULL) return xn_fail_memory(ctx, source, (size_t)(rows * columns) * sizeof *value);
    int64_t row = 0;
    for (int64_t i = 0; i < n; i++) {
        if (none[i]) continue;
        for (int64_t k = 0; k < columns; k++) value[row * columns + k] = k == 0 ? reading[i] : 1.0;
        row++;
    }
    xani_status st = xn_writer_data(w, dataset, XN_F64, columns > 1 ? 2 : 1, (int64_t[]){rows, columns}, NULL, value);
    xn_free(value);
    return st;
}

static xani_status write_pattern(xn_ctx *ctx, xn_writer *w, const xn_sim_shots *t)
{
    static const char dataset[] = "/INSTRUMENT/" SERVER "/bunchPatternTable";
    int64_t rows = 0;
    XN_TRY(write_index(ctx, w, SERVER, NULL, 0, t->n, &rows));
    uint32_t *word = xn_alloc(BATCH * POSITIONS, sizeof *word);
    if (word == NULL) return xn_fail_memory(ctx, "the bunch pattern", BATCH * POSITIONS * sizeof *word);
    xn_rows_layout layout = {.type = XN_U32, .rank = 2, .dims = {t->n, POSITIONS}};
    xani_status st = xn_writer_rows_begin(w, dataset, &layout);
    for (int64_t first = 0; st == XANI_OK && first < t->n; first += BATCH) {
        int64_t n = xn_min64(BATCH, t->n - first);
        memset(word, 0, BATCH * POSITIONS * sizeof *word);
        for (int64_t i = 0; i < n; i++) {
            if (!t->dark[first + i]) word[i * POSITIONS + PULSE_AT] |= FEL_WORD;
            if (t->on[first + i]) word[i * POSITIONS] |= LASER_WORD; // the table's lasers begin at 0
        }
        st = xn_writer_rows(w, dataset, n, word);
    }
    xn_free(word);
    return st;
}

static xani_status write_readings(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, const char *dir)
{
    static const char *const sources[] = {"INSTRUMENT/" XGM, "CONTROL/" STAGE, "INSTRUMENT/" EDGE,
                                          "INSTRUMENT/" AMPLITUDE, "INSTRUMENT/" SERVER};
    static const struct {
        int channel;
        const char *source, *dataset;
        int64_t columns;
    } list[] = {{XN_SIM_I0, XGM, "/INSTRUMENT/" XGM "/intensityTD", XGM_COLUMNS},
                {XN_SIM_STAGE, STAGE, "/CONTROL/" STAGE "/actualPosition/value", 1},
                {XN_SIM_EDGE, EDGE, "/INSTRUMENT/" EDGE "/position", 1},
                {XN_SIM_EDGE_AMPLITUDE, AMPLITUDE, "/INSTRUMENT/" AMPLITUDE "/height", 1}};
    xn_writer *w = NULL;
    xani_status st;
    XN_GOTO(out, st, create(ctx, v, dir, "DA01", 0, &w));
    XN_GOTO(out, st, write_sources(w, sources, 5));
    XN_GOTO(out, st, write_trains(ctx, w, t, 0, t->n, false));
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        XN_GOTO(out, st,
                write_reading(ctx, w, list[i].source, list[i].dataset, list[i].columns, t->reading[list[i].channel],
                              t->missing[list[i].channel], t->n));
    XN_GOTO(out, st, write_pattern(ctx, w, t));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    return st;
}

// ---- modules

typedef struct {
    xn_ctx *ctx;
    const xn_sim_view *v;
    const xn_sim_shots *t;
    const char *dir;
    int number; // from 1
    int64_t rows, columns;
    int64_t split; // the shot at which the second sequence begins
    int sequence;  // being written; -1: none yet
    int64_t left;  // frames of it still to come
    xn_writer *w;
    char adc[256], gain[256]; // datasets
    uint16_t *value;
    uint8_t *code;
} module;

static xani_status end_sequence(module *m) { return m->w != NULL ? xn_writer_publish(&m->w) : XANI_OK; }

static xani_status begin_sequence(module *m, int sequence)
{
    const xn_sim_shots *t = m->t;
    int64_t first = sequence == 0 ? 0 : m->split, n = sequence == 0 ? m->split : t->n - m->split;
    char source[128], name[32], listed[160];
    const char *sources[] = {listed};
    snprintf(source, sizeof source, MODULE_SOURCE, m->number);
    snprintf(listed, sizeof listed, "INSTRUMENT/%s", source);
    snprintf(name, sizeof name, "JNGFR%02d", m->number);
    snprintf(m->adc, sizeof m->adc, "/INSTRUMENT/%s/adc", source);
    snprintf(m->gain, sizeof m->gain, "/INSTRUMENT/%s/gain", source);
    m->sequence = sequence;
    XN_TRY(create(m->ctx, m->v, m->dir, name, sequence, &m->w));
    XN_TRY(write_sources(m->w, sources, 1));
    XN_TRY(write_trains(m->ctx, m->w, t, first, n, true));
    XN_TRY(write_index(m->ctx, m->w, source, t->lost, first, n, &m->left));
    xn_rows_layout adc = {.type = XN_U16, .rank = 4, .dims = {m->left, 1, m->rows, m->columns}}, gain = adc;
    gain.type = XN_U8;
    XN_TRY(xn_writer_rows_begin(m->w, m->adc, &adc));
    return xn_writer_rows_begin(m->w, m->gain, &gain);
}

// Frames first ... of a batch of n, whose words lie `pixels` apart.
static xani_status put_frames(module *m, const uint16_t *words, int64_t pixels, int64_t n)
{
    int64_t own = m->rows * m->columns;
    for (int64_t i = 0; i < n;) {
        while (m->left == 0) {
            XN_TRY(end_sequence(m));
            XN_TRY(begin_sequence(m, m->sequence + 1));
        }
        int64_t some = xn_min64(n - i, m->left);
        for (int64_t k = 0; k < some; k++)
            for (int64_t p = 0; p < own; p++) {
                uint16_t word = words[(i + k) * pixels + p];
                m->value[k * own + p] = word & VALUE_MASK;
                m->code[k * own + p] = (uint8_t)(word >> 14);
            }
        XN_TRY(xn_writer_rows(m->w, m->adc, some, m->value));
        XN_TRY(xn_writer_rows(m->w, m->gain, some, m->code));
        m->left -= some;
        i += some;
    }
    return XANI_OK;
}

static xani_status make_modules(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, const char *dir, module *m)
{
    const xn_geometry *g = &v->model->detector.geometry;
    for (int k = 0; k < g->n_modules; k++) {
        if (g->module_rows[k] != g->module_rows[0])
            return xn_fail(ctx, XANI_ERR_CONFIG, "sim.layouts: euxfel needs modules of one size");
        size_t pixels = BATCH * (size_t)(g->module_rows[0] * g->nx);
        m[k] = (module){.ctx = ctx,
                        .v = v,
                        .t = t,
                        .dir = dir,
                        .number = k + 1,
                        .rows = g->module_rows[0],
                        .columns = g->nx,
                        .split = xn_max64(1, xn_min64(t->n - 1, t->n / 2 + k)),
                        .sequence = -1,
                        .value = xn_alloc(pixels, sizeof(uint16_t)),
                        .code = xn_alloc(pixels, 1)};
        if (m[k].value == NULL || m[k].code == NULL) return xn_fail_memory(ctx, "frames of a module", pixels * 3);
    }
    return XANI_OK;
}

// A batch of whole frames, made by all threads.
static void make_batch(const xn_sim_view *v, const xn_sim_shots *t, int64_t first, int64_t n, uint16_t *words,
                       float *scratch)
{
    const xn_sim_model *m = v->model;
    size_t padded = xn_sim_padded(m->npix);
#pragma omp parallel for num_threads(m->threads) schedule(dynamic)
    for (int64_t i = 0; i < n; i++)
        xn_sim_frame(v, t, t->frame_shot[first + i], words + i * m->npix,
                     scratch + (size_t)omp_get_thread_num() * padded);
}

static xani_status write_modules(xn_ctx *ctx, const xn_sim_view *v, const xn_sim_shots *t, const char *dir)
{
    const xn_sim_model *model = v->model;
    int n_modules = model->detector.geometry.n_modules;
    int64_t done = (int64_t)v->run * model->s.shots, total = (int64_t)model->s.n_runs * model->s.shots;
    module *m = xn_calloc((size_t)n_modules, sizeof *m);
    uint16_t *words = xn_alloc(BATCH * (size_t)model->npix, sizeof *words);
    float *scratch = xn_alloc((size_t)model->threads * xn_sim_padded(model->npix), sizeof *scratch);
    xani_status st = m && words && scratch ? make_modules(ctx, v, t, dir, m)
                                           : xn_fail_memory(ctx, "a batch of frames", BATCH * (size_t)model->npix * 2);
    for (int64_t first = 0; st == XANI_OK && first < t->n_frames; first += BATCH) {
        int64_t n = xn_min64(BATCH, t->n_frames - first);
        xn_progress(ctx, "sim", done + first, total, "shots");
        XN_GOTO(out, st, xn_check_interrupt(ctx));
        make_batch(v, t, first, n, words, scratch);
        for (int k = 0; st == XANI_OK && k < n_modules; k++)
            st = put_frames(&m[k], words + k * m[k].rows * m[k].columns, model->npix, n);
    }
    for (int k = 0; st == XANI_OK && k < n_modules; k++) st = end_sequence(&m[k]);
    xn_progress(ctx, "sim", done + model->s.shots, total, "shots");
out:
    for (int k = 0; m != NULL && k < n_modules; k++) {
        xn_writer_abort(&m[k].w);
        xn_free(m[k].value);
        xn_free(m[k].code);
    }
    xn_free(m);
    xn_free(words);
    xn_free(scratch);
    return st;
}

static xani_status write_run(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    xn_sim_shots t;
    XN_TRY(xn_sim_shots_make(ctx, &v->model->s, v->run, &t));
    char *folder = xn_format("%s/%s", dir, v->name);
    xani_status st = folder != NULL ? xn_make_dirs(ctx, folder) : xn_fail_memory(ctx, "a path", strlen(dir));
    if (st == XANI_OK && t.n_frames == 0)
        st = xn_fail(ctx, XANI_ERR_CONFIG, "sim.losses.frames: every frame of run %s is lost", v->name);
    if (st == XANI_OK) st = write_readings(ctx, v, &t, dir);
    if (st == XANI_OK) st = write_modules(ctx, v, &t, dir);
    xn_free(folder);
    xn_sim_shots_free(&t);
    return st;
}

// ---- the configuration

static xani_status configure(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    char *pedestal = xn_sim_pedestal_name(m);
    char *delay = xn_sim_delay_text(m, STAGE "/actualPosition", EDGE "/position"), *text = NULL;
    if (pedestal != NULL && delay != NULL)
        text = xn_format("input={layout: euxfel, frames: " DETECTOR ", i0: '" XGM "/intensityTD', laser: pattern, %s, "
                         "pulses: {numbers: positions, offset: %d}, calibration: {pedestal: %s, gain: %s}}",
                         delay, PULSE_AT, pedestal, XN_SIM_GAIN_FILE);
    xn_free(pedestal);
    xn_free(delay);
    XN_TRY(xn_sim_assign(ctx, config, text));
    return xn_sim_set_window(ctx, AMPLITUDE "/height", config);
}

static char *files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run;
    return xn_format("['%s/RAW-*.h5']", run_name);
}

const xn_sim_layout xn_sim_euxfel = {
    .name = "euxfel", .shots = true, .words = true, .write = write_run, .configure = configure, .files = files};
