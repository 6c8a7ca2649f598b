// SPDX-License-Identifier: BSD-3-Clause
// traces.c -- the cubes behind the modes of a map, handed out one delay at a time.
//
// A chunk of a cube holds all delays of some pixels, so that many delays are read at once: each read unpacks them all.
// The cube of a modes file lies beside it (xani run), or is the first of its inputs (xani fit CUBE).  It is taken when
// its pixel groups and its run are those of the modes; a run without one takes no part in averages of traces, and
// that is said.
#include <string.h>

#include "io/h5.h"
#include "io/write/publish.h"
#include "pipeline.h"

#define ROOM ((int64_t)128 << 20) // bytes of signals, and of errors, read at once

struct xn_trace_files {
    const xn_modes *const *modes;
    const char *const *paths; // of the modes
    xn_h5 *file;              // cube of the run opened
    xn_cube head;
    float *plane[2]; // delays [first, first + n) of signal and errors
    int first, n;
};

static bool fits(const xn_cube *c, const xn_modes *m)
{
    return c->ny == m->ny && c->nx == m->nx && c->spatial_bin == m->spatial_bin && c->nbins > 0 &&
           strcmp(c->run != NULL ? c->run : "", m->run != NULL ? m->run : "") == 0;
}

// Opens the cube at `path`, which is freed; false: it is none, or another one's.
static bool take(xn_ctx *ctx, xn_trace_files *t, char *path, const xn_modes *m)
{
    bool good = path != NULL && xn_published(path) && xn_result_read_cube_head(ctx, path, &t->head) == XANI_OK;
    if (good && (!fits(&t->head, m) || xn_h5_open(ctx, path, &t->file) != XANI_OK)) {
        xn_cube_free(&t->head);
        good = false;
    }
    if (!good) xn_clear_error(ctx);
    xn_free(path);
    return good;
}

static void forget(xn_trace_files *t)
{
    if (t->file != NULL) xn_cube_free(&t->head);
    if (t->file != NULL) xn_h5_close(&t->file);
    for (int k = 0; k < 2; k++) {
        xn_free(t->plane[k]);
        t->plane[k] = NULL;
    }
    t->n = 0;
}

static xani_status open_run(xn_ctx *ctx, void *user, int run, int *bins, const double **delay_ps)
{
    xn_trace_files *t = user;
    const char *slash = strrchr(t->paths[run], '/');
    char **inputs = NULL;
    *bins = 0;
    forget(t);
    char *beside = xn_format("%.*scube.h5", slash != NULL ? (int)(slash - t->paths[run]) + 1 : 0, t->paths[run]);
    if (beside == NULL) return xn_fail_memory(ctx, "a path", strlen(t->paths[run]));
    if (!take(ctx, t, beside, t->modes[run])) {
        if (xn_result_read_inputs(ctx, t->paths[run], &inputs) == XANI_OK && inputs != NULL && inputs[0] != NULL)
            take(ctx, t, xn_strdup(inputs[0]), t->modes[run]);
        xn_h5_names_free(inputs);
        xn_clear_error(ctx);
    }
    if (t->file == NULL) {
        xn_note(ctx, "%s: no cube beside it: its traces are in no average", t->paths[run]);
        return XANI_OK;
    }
    *bins = t->head.nbins;
    *delay_ps = t->head.delay_ps;
    return XANI_OK;
}

// Delays from `bin` on, as many as there is room for.
static xani_status read_planes(xn_ctx *ctx, xn_trace_files *t, int bin)
{
    static const char *const names[] = {"/entry/cube/signal", "/entry/cube/signal_errors"};
    const size_t pixels = (size_t)(t->head.ny * t->head.nx);
    const int most = (int)xn_max64(1, xn_min64(ROOM / (int64_t)(4 * pixels), t->head.nbins));
    t->n = 0;
    for (int k = 0; k < 2; k++) {
        if (t->plane[k] == NULL) t->plane[k] = xn_alloc((size_t)most * pixels, sizeof(float));
        if (t->plane[k] == NULL) return xn_fail_memory(ctx, "traces", (size_t)most * pixels * sizeof(float));
        XN_TRY(xn_h5_read_rows(ctx, t->file, names[k], XN_F32, bin, xn_min64(most, t->head.nbins - bin), t->plane[k]));
    }
    t->first = bin;
    t->n = (int)xn_min64(most, t->head.nbins - bin);
    return XANI_OK;
}

static xani_status read_plane(xn_ctx *ctx, void *user, int run, int bin, float *signal, float *errors)
{
    xn_trace_files *t = user;
    const size_t pixels = (size_t)(t->head.ny * t->head.nx);
    (void)run;
    if (bin < t->first || bin >= t->first + t->n) XN_TRY(read_planes(ctx, t, bin));
    const size_t at = (size_t)(bin - t->first) * pixels;
    memcpy(signal, t->plane[0] + at, pixels * sizeof *signal);
    memcpy(errors, t->plane[1] + at, pixels * sizeof *errors);
    return XANI_OK;
}

xani_status xn_trace_files_open(xn_ctx *ctx, const xn_modes *const *modes, const char *const *paths,
                                xn_trace_files **files, xn_traces *traces)
{
    *files = xn_calloc(1, sizeof **files);
    if (*files == NULL) return xn_fail_memory(ctx, "traces", sizeof **files);
    (*files)->modes = modes;
    (*files)->paths = paths;
    *traces = (xn_traces){open_run, read_plane, *files};
    return XANI_OK;
}

void xn_trace_files_close(xn_trace_files **files)
{
    if (*files != NULL) forget(*files);
    xn_free(*files);
    *files = NULL;
}
