// SPDX-License-Identifier: BSD-3-Clause
// traces.c -- the cubes behind the modes of a map, read some delays at a time.
//
// The cube of a modes file lies beside it (xani run), or is the first of its inputs (xani fit CUBE).  It is taken when
// its pixel groups and its run are those of the modes, with or without its manifest, which a copy may have lost and
// which `xani verify` asks; a run without one takes no part in averages of traces, and why is said.
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "io/h5.h"
#include "io/write/publish.h"
#include "pipeline.h"

struct xn_trace_files {
    const xn_modes *const *modes;
    const char *const *paths; // of the modes
    xn_h5 *file;              // cube of the run opened
    xn_cube head;
};

static bool fits(const xn_cube *c, const xn_modes *m)
{
    return c->ny == m->ny && c->nx == m->nx && c->spatial_bin == m->spatial_bin && c->nbins > 0 &&
           strcmp(c->run != NULL ? c->run : "", m->run != NULL ? m->run : "") == 0;
}

static char *beside_of(const char *modes)
{
    const char *slash = strrchr(modes, '/');
    return xn_format("%.*scube.h5", slash != NULL ? (int)(slash - modes) + 1 : 0, modes);
}

// Averages go along the delays of the file.
static bool in_order(const xn_cube *c)
{
    for (int i = 0; i < c->nbins; i++)
        if (!isfinite(c->delay_ps[i]) || (i > 0 && c->delay_ps[i] <= c->delay_ps[i - 1])) return false;
    return true;
}

// Opens the cube at `path`, which is freed. NULL: it is open; else why not.
static const char *take(xn_ctx *ctx, xn_trace_files *t, char *path, const xn_modes *m)
{
    const char *why = NULL;
    if (path == NULL || access(path, R_OK) != 0)
        why = "no cube beside it";
    else if (xn_result_read_cube_head(ctx, path, &t->head) != XANI_OK)
        why = "the file beside it is no cube that can be read";
    else if (!fits(&t->head, m))
        why = "the cube beside it has other pixel groups or is of another run";
    else if (!in_order(&t->head))
        why = "the cube beside it has delays that are not in order";
    else if (xn_h5_open(ctx, path, &t->file) != XANI_OK)
        why = "the cube beside it cannot be opened";
    if (why != NULL) xn_cube_free(&t->head);
    if (why != NULL) xn_clear_error(ctx);
    xn_free(path);
    return why;
}

static void forget(xn_trace_files *t)
{
    if (t->file != NULL) xn_cube_free(&t->head);
    if (t->file != NULL) xn_h5_close(&t->file);
}

static xani_status open_run(xn_ctx *ctx, void *user, int run, int *bins, const double **delay_ps)
{
    xn_trace_files *t = user;
    char **inputs = NULL;
    *bins = 0;
    forget(t);
    char *beside = beside_of(t->paths[run]);
    if (beside == NULL) return xn_fail_memory(ctx, "a path", strlen(t->paths[run]));
    const char *why = take(ctx, t, beside, t->modes[run]);
    if (why != NULL) {
        if (xn_result_read_inputs(ctx, t->paths[run], &inputs) == XANI_OK && inputs != NULL && inputs[0] != NULL)
            (void)take(ctx, t, xn_strdup(inputs[0]), t->modes[run]);
        xn_h5_names_free(inputs);
        xn_clear_error(ctx);
    }
    if (t->file == NULL) {
        xn_note(ctx, "%s: %s: its traces are in no average", t->paths[run], why);
        return XANI_OK;
    }
    *bins = t->head.nbins;
    *delay_ps = t->head.delay_ps;
    return XANI_OK;
}

static xani_status read_planes(xn_ctx *ctx, void *user, int first, int n, float *signal, float *errors)
{
    const xn_trace_files *t = user;
    XN_TRY(xn_h5_read_rows(ctx, t->file, "/entry/cube/signal", XN_F32, first, n, signal));
    if (xn_h5_exists(t->file, "/entry/cube/signal_errors"))
        return xn_h5_read_rows(ctx, t->file, "/entry/cube/signal_errors", XN_F32, first, n, errors);
    for (int64_t i = 0; i < n * t->head.ny * t->head.nx; i++) errors[i] = NAN;
    return XANI_OK;
}

xani_status xn_trace_files_open(xn_ctx *ctx, const xn_modes *const *modes, const char *const *paths,
                                xn_trace_files **files, xn_traces *traces)
{
    *files = xn_calloc(1, sizeof **files);
    if (*files == NULL) return xn_fail_memory(ctx, "traces", sizeof **files);
    (*files)->modes = modes;
    (*files)->paths = paths;
    *traces = (xn_traces){open_run, read_planes, *files};
    return XANI_OK;
}

xani_status xn_trace_files_spare(xn_ctx *ctx, const char *const *paths, const char *output)
{
    if (access(output, F_OK) != 0) return XANI_OK;
    for (; *paths != NULL; paths++) {
        char **inputs = NULL, *beside = beside_of(*paths);
        if (beside == NULL) return xn_fail_memory(ctx, "a path", strlen(*paths));
        bool same = xn_same_file(output, beside);
        xn_free(beside);
        if (!same) XN_TRY(xn_result_read_inputs(ctx, *paths, &inputs));
        for (int i = 0; inputs != NULL && inputs[i] != NULL; i++) same = same || xn_same_file(output, inputs[i]);
        xn_h5_names_free(inputs);
        if (same)
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: %s was made of it; give another name to write to", output, *paths);
    }
    return XANI_OK;
}

void xn_trace_files_close(xn_trace_files **files)
{
    if (*files != NULL) forget(*files);
    xn_free(*files);
    *files = NULL;
}
