// SPDX-License-Identifier: BSD-3-Clause
// second_axis.c -- delay x a second axis (angle, fluence, step of a scan): one cube per value of a reading.
//
// Every shot has a value of the reading, laser-off ones too; a cube of each value has its own reference from the shots
// of that value, because what a scan changes (the sample's angle, the beam) changes the reference as well.  The cubes
// are NAME_1.h5, NAME_2.h5, ... in the order of the values: plain ones, which fit, map and merge take as they are, and
// the configuration stored in each is the one that makes it alone, with the value's window among select.cuts.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline.h"
#include "source/source.h"

#define MOST_VALUES 1000

typedef struct windows {
    int n;
    double *edges; // (n + 1), half-open windows
} windows;

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The configuration with a window on the reading, [low, high), and without the second axis. NaN: open.
static xani_status with_window(xn_ctx *ctx, const xn_config *config, double low, double high, xn_config **one)
{
    const char *source = xn_config_string(config, "reduce.second_axis.source");
    char min[64] = "", max[64] = "";
    if (isfinite(low)) (void)snprintf(min, sizeof min, ", min: %.17g", low);
    if (isfinite(high)) (void)snprintf(max, sizeof max, ", max: %.17g", nextafter(high, -INFINITY));
    XN_TRY(xn_config_copy(ctx, config, one));
    char *cut = xn_format("select.cuts[%d]={source: '%s', name: second axis%s%s}",
                          xn_config_count(config, "select.cuts"), source, min, max);
    xani_status st = cut != NULL ? xani_config_assign(ctx, *one, cut) : xn_fail_memory(ctx, "a cut", 256);
    if (st == XANI_OK) st = xani_config_assign(ctx, *one, "reduce.second_axis=");
    xn_free(cut);
    if (st != XANI_OK) xani_config_destroy(one);
    return st;
}

// ---- windows

static xani_status alloc_windows(xn_ctx *ctx, int n, windows *w)
{
    w->n = n;
    w->edges = xn_alloc((size_t)n + 1, sizeof *w->edges);
    return w->edges != NULL ? XANI_OK : xn_fail_memory(ctx, "the second axis", ((size_t)n + 1) * sizeof *w->edges);
}

static xani_status of_edges(xn_ctx *ctx, const xn_config *config, windows *w)
{
    int n = xn_config_count(config, "reduce.second_axis.edges");
    if (n < 2 || n > MOST_VALUES)
        return xn_config_bad(ctx, config, "reduce.second_axis.edges", "needs 2 to %d edges", MOST_VALUES);
    XN_TRY(alloc_windows(ctx, n - 1, w));
    (void)xn_config_doubles(config, "reduce.second_axis.edges", w->edges, n);
    return XANI_OK;
}

// Each reading belongs to the nearest value; the outermost windows are as wide as their neighbours' halves.
static xani_status of_values(xn_ctx *ctx, const xn_config *config, windows *w)
{
    double v[MOST_VALUES];
    int n = xn_config_doubles(config, "reduce.second_axis.values", v, MOST_VALUES);
    if (n < 2 || n > MOST_VALUES)
        return xn_config_bad(ctx, config, "reduce.second_axis.values", "needs 2 to %d values", MOST_VALUES);
    XN_TRY(alloc_windows(ctx, n, w));
    for (int i = 1; i < n; i++) w->edges[i] = 0.5 * (v[i - 1] + v[i]);
    w->edges[0] = v[0] - (w->edges[1] - v[0]);
    w->edges[n] = v[n - 1] + (v[n - 1] - w->edges[n - 1]);
    return XANI_OK;
}

// Windows of equal numbers of shots, of all that have a reading; readings that repeat cannot be split.
static xani_status of_counts(xn_ctx *ctx, const xn_config *config, const double *reading, int64_t n, windows *w)
{
    int64_t asked = xn_config_int(config, "reduce.second_axis.equal_count"), there = 0;
    double *sorted = xn_alloc((size_t)n, sizeof *sorted);
    if (sorted == NULL) return xn_fail_memory(ctx, "the second axis", (size_t)n * sizeof *sorted);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(reading[i])) sorted[there++] = reading[i];
    qsort(sorted, (size_t)there, sizeof *sorted, by_size);
    xani_status st = there >= asked
                         ? alloc_windows(ctx, (int)asked, w)
                         : xn_fail(ctx, XANI_ERR_INPUT,
                                   "reduce.second_axis.equal_count asks for %lld values, only %lld shots have "
                                   "a reading",
                                   (long long)asked, (long long)there);
    if (st == XANI_OK) {
        w->n = 0;
        for (int64_t i = 0; i < asked; i++) {
            double edge = sorted[i * there / asked];
            if (w->n == 0 || edge > w->edges[w->n - 1]) w->edges[w->n++] = edge;
        }
        w->edges[w->n] = nextafter(sorted[there - 1], INFINITY);
        if (w->n < asked)
            xn_warn(ctx, "reduce.second_axis.equal_count: readings repeat; %d values instead of %lld", w->n,
                    (long long)asked);
    }
    xn_free(sorted);
    return st;
}

static xani_status count_windows(xn_ctx *ctx, const xn_config *config, int index, windows *w)
{
    xn_config *open = NULL;
    xn_source *source = NULL;
    xani_status st;
    XN_GOTO(out, st, with_window(ctx, config, NAN, NAN, &open)); // so that the reading is kept
    XN_GOTO(out, st, xn_source_open(ctx, open, index, &source));
    const char *name = xn_config_string(config, "reduce.second_axis.source");
    const double *reading = xn_shots_find(&source->shots, name);
    if (reading == NULL)
        st = xn_config_bad(ctx, config, "reduce.second_axis.source", "no reading \"%s\" comes with these files", name);
    else
        st = of_counts(ctx, config, reading, source->shots.n, w);
out:
    xn_source_close(&source);
    xani_config_destroy(&open);
    return st;
}

static xani_status make_windows(xn_ctx *ctx, const xn_config *config, int index, windows *w)
{
    XN_TRY(xn_config_require(ctx, config, "reduce.second_axis.source", "the reading whose values part the shots"));
    if (xn_config_has(config, "reduce.second_axis.edges")) return of_edges(ctx, config, w);
    if (xn_config_has(config, "reduce.second_axis.values")) return of_values(ctx, config, w);
    XN_TRY(xn_config_require(ctx, config, "reduce.second_axis.equal_count", "or values, or edges"));
    return count_windows(ctx, config, index, w);
}

// ---- one cube after the other

xani_status xn_second_axis_reduce(xn_ctx *ctx, const xn_config *config, int index, const char *cube_path)
{
    windows w = {0};
    size_t n = strlen(cube_path);
    bool h5 = n > 3 && strcmp(cube_path + n - 3, ".h5") == 0;
    xani_status st = make_windows(ctx, config, index, &w);
    for (int i = 0; st == XANI_OK && i < w.n; i++) {
        xn_config *one = NULL;
        char *path = xn_format("%.*s_%d.h5", (int)(h5 ? n - 3 : n), cube_path, i + 1);
        st = path != NULL ? with_window(ctx, config, w.edges[i], w.edges[i + 1], &one)
                          : xn_fail_memory(ctx, "a path", n);
        if (st == XANI_OK) {
            xn_note(ctx, "%s: %s from %.9g to below %.9g", path, xn_config_string(config, "reduce.second_axis.source"),
                    w.edges[i], w.edges[i + 1]);
            st = xn_context(ctx, xn_pipeline_reduce(ctx, one, path), "value %d of the second axis", i + 1);
        }
        xani_config_destroy(&one);
        xn_free(path);
    }
    xn_free(w.edges);
    return st;
}
