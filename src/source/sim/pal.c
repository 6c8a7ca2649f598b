// SPDX-License-Identifier: BSD-3-Clause
// pal.c -- HDFStore files as PAL-XFEL writes them, one per scan point (formats.md 1.7); pandas reads their metadata.
//
//   type=raw/run=001/scan=001/p0001.h5           detector/eh1/NAME/image/{block0_items, block0_values}, float32 keV
//   type=measurement/run=001/scan=001/p0001.h5   metadata: a fixed data frame of one block, by timestamp
//
// A point is POINT shots in a row.  Timestamps are nanoseconds.  There is no flag for frames that are not good or had
// no X-rays, and so these are not stored.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"

#define POINT 100
#define FIRST_NS 1700000000000000000
#define RUN_NS 100000000000000
#define FLAG "timestamp_info.RATE_HX_30HZ"

enum { FLAG_COLUMN = XN_SIM_CHANNELS, COLUMNS };

static const char *const columns[COLUMNS] = {[XN_SIM_I0] = "qbpm:eh1:qbpm1:sum",
                                             [XN_SIM_STAGE] = "delay_value",
                                             [XN_SIM_EDGE] = "timing_tool.edge",
                                             [XN_SIM_EDGE_AMPLITUDE] = "timing_tool.amplitude",
                                             [FLAG_COLUMN] = FLAG};

typedef struct {
    xn_ctx *ctx;
    const xn_sim_view *v;
    const xn_sim_shots *t;
    int64_t first, n; // shots of the point
} point;

static int64_t timestamp(const point *p, int64_t shot)
{
    return FIRST_NS + p->v->run * RUN_NS + (int64_t)(1e9 * (double)shot / p->v->model->s.rate_hz);
}

static char *point_path(const char *dir, const char *type, int run, int64_t first)
{
    long long number = first / POINT + 1;
    return xn_format("%s/type=%s/run=%03d/scan=001/p%04lld.h5", dir, type, run + 1, number);
}

static xani_status make_folder(xn_ctx *ctx, const char *path)
{
    char *folder = xn_format("%.*s", (int)(strrchr(path, '/') - path), path);
    if (folder == NULL) return xn_fail_memory(ctx, path, strlen(path));
    xani_status st = xn_make_dirs(ctx, folder);
    xn_free(folder);
    return st;
}

// ---- metadata

// An array as pandas' fixed format has it.
static xani_status describe_array(xn_writer *w, const char *path, const char *kind)
{
    const int64_t transposed = 1;
    XN_TRY(xn_writer_attr_i64(w, path, "transposed", &transposed, 0));
    return kind != NULL ? xn_writer_attr_text(w, path, "kind", kind) : XANI_OK;
}

static xani_status describe_frame(xn_writer *w)
{
    static const char *const texts[][2] = {{"pandas_type", "frame"},
                                           {"pandas_version", "0.15.2"},
                                           {"encoding", "UTF-8"},
                                           {"errors", "strict"},
                                           {"axis0_variety", "regular"},
                                           {"axis1_variety", "regular"},
                                           {"block0_items_variety", "regular"}};
    const int64_t one = 1, two = 2;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        XN_TRY(xn_writer_attr_text(w, "/metadata", texts[i][0], texts[i][1]));
    XN_TRY(xn_writer_attr_i64(w, "/metadata", "ndim", &two, 0));
    return xn_writer_attr_i64(w, "/metadata", "nblocks", &one, 0);
}

static xani_status put_metadata(const point *p, xn_writer *w, const int64_t *id, const double *value)
{
    XN_TRY(xn_writer_texts(w, "/metadata/axis0", columns, COLUMNS));
    XN_TRY(xn_writer_texts(w, "/metadata/block0_items", columns, COLUMNS));
    XN_TRY(xn_writer_data(w, "/metadata/axis1", XN_I64, 1, &p->n, NULL, id));
    XN_TRY(xn_writer_data(w, "/metadata/block0_values", XN_F64, 2, (int64_t[]){p->n, COLUMNS}, NULL, value));
    XN_TRY(describe_array(w, "/metadata/axis0", "string"));
    XN_TRY(describe_array(w, "/metadata/block0_items", "string"));
    XN_TRY(describe_array(w, "/metadata/axis1", "integer"));
    XN_TRY(describe_array(w, "/metadata/block0_values", NULL));
    return describe_frame(w);
}

static xani_status write_metadata(const point *p, const char *path)
{
    int64_t *id = xn_alloc((size_t)p->n, sizeof *id);
    double *value = xn_alloc((size_t)p->n * COLUMNS, sizeof *value);
    xn_writer *w = NULL;
    xani_status st = XANI_OK;
    if (id == NULL || value == NULL) XN_GOTO(out, st, xn_fail_memory(p->ctx, "metadata", (size_t)p->n * 48));
    for (int64_t i = 0; i < p->n; i++) {
        id[i] = timestamp(p, p->first + i);
        for (int c = 0; c < XN_SIM_CHANNELS; c++)
            value[i * COLUMNS + c] = p->t->missing[c][p->first + i] ? NAN : p->t->reading[c][p->first + i];
        value[i * COLUMNS + FLAG_COLUMN] = p->t->on[p->first + i];
    }
    XN_GOTO(out, st, xn_sim_create(p->ctx, path, XN_LAYOUT_RESULT, &w));
    XN_GOTO(out, st, put_metadata(p, w, id, value));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    xn_free(id);
    xn_free(value);
    return st;
}

// ---- images

// Those of the point's frames that are stored, as a run of their own.
static xani_status write_images(const point *p, const char *path)
{
    const xn_geometry *g = &p->v->model->detector.geometry;
    char dataset[160], items[160];
    xn_sim_shots part = *p->t;
    int64_t *frame = xn_alloc((size_t)p->n + 1, sizeof *frame), *id = xn_alloc((size_t)p->n + 1, sizeof *id);
    xn_writer *w = NULL;
    xani_status st = XANI_OK;
    if (frame == NULL || id == NULL) XN_GOTO(out, st, xn_fail_memory(p->ctx, "images", (size_t)p->n * 16));
    part.n_frames = 0;
    part.frame_shot = frame;
    for (int64_t i = p->first; i < p->first + p->n; i++) {
        if (p->t->lost[i] || p->t->not_good[i] || p->t->dark[i]) continue;
        id[part.n_frames] = timestamp(p, i);
        frame[part.n_frames++] = i;
    }
    if (part.n_frames == 0) goto out; // no file of images: nothing was stored at this point
    snprintf(dataset, sizeof dataset, "/detector/eh1/%s/image/block0_values", p->v->model->detector.name);
    snprintf(items, sizeof items, "/detector/eh1/%s/image/block0_items", p->v->model->detector.name);
    XN_GOTO(out, st, xn_sim_create(p->ctx, path, XN_LAYOUT_RESULT, &w));
    XN_GOTO(out, st, xn_writer_data(w, items, XN_I64, 1, &part.n_frames, NULL, id));
    XN_GOTO(out, st,
            xn_sim_write_frames(p->ctx, w, dataset, p->v, &part, true, 3, (int64_t[]){part.n_frames, g->ny, g->nx}));
    st = xn_writer_publish(&w);
out:
    xn_writer_abort(&w);
    xn_free(frame);
    xn_free(id);
    return st;
}

static xani_status write_point(const point *p, const char *dir)
{
    static xani_status (*const parts[])(const point *, const char *) = {write_metadata, write_images};
    static const char *const types[] = {"measurement", "raw"};
    xani_status st = XANI_OK;
    for (int i = 0; i < 2 && st == XANI_OK; i++) {
        char *path = point_path(dir, types[i], p->v->run, p->first);
        if (path == NULL) return xn_fail_memory(p->ctx, "a path", strlen(dir));
        st = make_folder(p->ctx, path);
        if (st == XANI_OK) st = parts[i](p, path);
        xn_free(path);
    }
    return st;
}

static xani_status write_run(xn_ctx *ctx, const xn_config *config, const xn_sim_view *v, const char *dir)
{
    (void)config;
    xn_sim_shots t;
    XN_TRY(xn_sim_shots_make(ctx, &v->model->s, v->run, &t));
    xani_status st = XANI_OK;
    for (int64_t first = 0; first < t.n && st == XANI_OK; first += POINT) {
        const point p = {ctx, v, &t, first, xn_min64(POINT, t.n - first)};
        st = write_point(&p, dir);
    }
    xn_sim_shots_free(&t);
    return st;
}

// ---- the configuration

static xani_status configure(xn_ctx *ctx, const xn_sim_model *m, xn_config *config)
{
    char *delay = xn_sim_delay_text(m, columns[XN_SIM_STAGE], columns[XN_SIM_EDGE]), *mask = xn_sim_mask_text(m);
    char *text = NULL;
    if (delay != NULL && mask != NULL)
        text = xn_format("input={layout: pal, frames: eh1/%s, i0: '%s', laser: " FLAG ", %s, "
                         "calibration: {kev_per_unit: 1}, %s}",
                         m->detector.name, columns[XN_SIM_I0], delay, mask);
    xn_free(delay);
    xn_free(mask);
    XN_TRY(xn_sim_assign(ctx, config, text));
    return xn_sim_set_window(ctx, columns[XN_SIM_EDGE_AMPLITUDE], config);
}

static char *files(const xn_sim_model *m, const char *run_name, int run)
{
    (void)m, (void)run_name;
    return xn_format("['type=raw/run=%03d/scan=001/p*.h5', 'type=measurement/run=%03d/scan=001/p*.h5']", run + 1,
                     run + 1);
}

const xn_sim_layout xn_sim_pal = {
    .name = "pal", .shots = true, .words = true, .write = write_run, .configure = configure, .files = files};
