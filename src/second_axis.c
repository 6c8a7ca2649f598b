// SPDX-License-Identifier: BSD-3-Clause
// second_axis.c -- delay x a second axis (angle, fluence, step of a scan): one cube per value of a reading.
//
// Every shot has a value of the reading, laser-off ones too; a cube of each value has its own reference from the shots
// of that value, because what a scan changes (the sample's angle, the beam) changes the reference as well.  The cubes
// are NAME_1.h5, NAME_2.h5, ... in the order of the values (field_pair.c names their pairs): plain ones, which fit, map
// and merge take as they are, and the configuration stored in each is the one that makes it alone, with the value's
// window among select.cuts.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"
#include "pipeline.h"
#include "source/source.h"

#define MOST_VALUES 1000

typedef struct windows {
    int n;
    double *edges; // (n + 1), half-open windows
    double *value; // (n): given, else the mean of the readings in the window
} windows;

static xani_status assign(xn_ctx *ctx, xn_config *config, char *text)
{
    xani_status st = text != NULL ? xani_config_assign(ctx, config, text) : xn_fail_memory(ctx, "an assignment", 64);
    xn_free(text);
    return st;
}

static xani_status assign_word(xn_ctx *ctx, xn_config *config, const char *key, const char *word)
{
    char *quoted = word != NULL ? xn_config_quoted(word) : NULL;
    xani_status st = assign(ctx, config, quoted != NULL ? xn_format("%s=%s", key, quoted) : NULL);
    xn_free(quoted);
    return st;
}

// Where there is no list of runs, one of all files.
static xani_status list_run(xn_ctx *ctx, xn_config *config, int number)
{
    char key[XN_KEY_LENGTH], to[XN_KEY_LENGTH];
    XN_TRY(assign(ctx, config, xn_format("runs=[{name: value_%d, files: []}]", number)));
    for (int i = 0; i < xn_config_count(config, "input.files"); i++) {
        const char *file = xn_config_string(config, xn_key(key, "input.files[%d]", i));
        XN_TRY(assign_word(ctx, config, xn_key(to, "runs[0].files[%d]", i), file));
    }
    return XANI_OK;
}

// The circle of the goniometer that the reading turns is at the value's angle: a run of its own, named NAME_1, NAME_2,
// ...
static xani_status turn(xn_ctx *ctx, int index, int circle, const xn_axis_value *v)
{
    char key[XN_KEY_LENGTH];
    if (index < 0) {
        XN_TRY(list_run(ctx, v->config, v->number));
    } else {
        const char *name = xn_config_string(v->config, xn_key(key, "runs[%d].name", index));
        char *numbered = xn_format("%s_%d", name ? name : "run", v->number);
        xani_status st = assign_word(ctx, v->config, xn_key(key, "runs[%d].name", index), numbered);
        xn_free(numbered);
        if (st != XANI_OK) return st;
    }
    bool by_run = index >= 0 && xn_config_has(v->config, xn_key(key, "runs[%d].angle_deg", index));
    return assign(ctx, v->config,
                  by_run ? xn_format("runs[%d].angle_deg[%d]=%.17g", index, circle, v->value)
                         : xn_format("geometry.goniometer[%d].angle_deg=%.17g", circle, v->value));
}

// The configuration with a window on the reading, [low, high), and without the second axis. NaN: open.
static xani_status with_window(xn_ctx *ctx, const xn_config *config, double low, double high, xn_config **one)
{
    const char *source = xn_config_string(config, "reduce.second_axis.source");
    char min[64] = "", max[64] = "";
    if (!isfinite(low) && !isfinite(high)) low = -DBL_MAX; // a cut has a window
    if (isfinite(low)) (void)snprintf(min, sizeof min, ", min: %.17g", low);
    if (isfinite(high)) (void)snprintf(max, sizeof max, ", max: %.17g", nextafter(high, -INFINITY));
    XN_TRY(xn_config_copy(ctx, config, one));
    char *quoted = xn_config_quoted(source);
    char *cut = quoted != NULL ? xn_format("select.cuts[%d]={source: %s, name: second axis%s%s}",
                                           xn_config_count(config, "select.cuts"), quoted, min, max)
                               : NULL;
    xn_free(quoted);
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
    w->value = xn_alloc((size_t)n, sizeof *w->value);
    if (w->edges == NULL || w->value == NULL)
        return xn_fail_memory(ctx, "the second axis", ((size_t)n + 1) * 2 * sizeof *w->edges);
    for (int i = 0; i < n; i++) w->value[i] = NAN;
    return XANI_OK;
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
    memcpy(w->value, v, (size_t)n * sizeof *v);
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
    qsort(sorted, (size_t)there, sizeof *sorted, xn_double_compare);
    xani_status st = there >= asked
                         ? alloc_windows(ctx, (int)asked, w)
                         : xn_fail(ctx, XANI_ERR_INPUT,
                                   "reduce.second_axis.equal_count asks for %lld values, only %lld shots have "
                                   "a reading",
                                   (long long)asked, (long long)there);
    if (st == XANI_OK && w->edges != NULL) {
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

static xani_status window_edges(xn_ctx *ctx, const xn_config *config, const double *reading, int64_t n, windows *w)
{
    XN_TRY(xn_config_require(ctx, config, "reduce.second_axis.source", "the reading whose values part the shots"));
    if (xn_config_has(config, "reduce.second_axis.edges")) return of_edges(ctx, config, w);
    if (xn_config_has(config, "reduce.second_axis.values")) return of_values(ctx, config, w);
    XN_TRY(xn_config_require(ctx, config, "reduce.second_axis.equal_count", "or values, or edges"));
    return of_counts(ctx, config, reading, n, w);
}

// Leaves out windows without a shot; says so.
static void keep_filled(xn_ctx *ctx, const char *source, const double *reading, int64_t n, windows *w, int64_t *count)
{
    for (int i = 0; i < w->n; i++) {
        double sum = 0;
        count[i] = 0;
        for (int64_t k = 0; k < n; k++)
            if (reading[k] >= w->edges[i] && reading[k] < w->edges[i + 1]) count[i]++, sum += reading[k];
        if (isnan(w->value[i]) && count[i] > 0) w->value[i] = sum / (double)count[i];
        if (count[i] == 0)
            xn_warn(ctx, "second axis: no shot has %s from %.9g to below %.9g; this value is left out", source,
                    w->edges[i], w->edges[i + 1]);
    }
}

// The windows of a run, with the number of shots in each.
static xani_status make_windows(xn_ctx *ctx, const xn_config *config, int index, windows *w, int64_t **count)
{
    xn_config *open = NULL;
    xn_source *source = NULL;
    xani_status st;
    *count = NULL;
    XN_GOTO(out, st, with_window(ctx, config, NAN, NAN, &open)); // so that the reading is kept
    XN_GOTO(out, st, xn_source_open(ctx, open, index, &source));
    const char *name = xn_config_string(config, "reduce.second_axis.source");
    const double *reading = xn_shots_find(&source->shots, name);
    if (reading == NULL) {
        st = xn_config_bad(ctx, config, "reduce.second_axis.source", "no reading \"%s\" comes with these files", name);
        goto out;
    }
    XN_GOTO(out, st, window_edges(ctx, config, reading, source->shots.n, w));
    *count = xn_alloc((size_t)w->n, sizeof **count);
    if (*count == NULL)
        st = xn_fail_memory(ctx, "the second axis", (size_t)w->n * sizeof **count);
    else
        keep_filled(ctx, name, reading, source->shots.n, w, *count);
out:
    xn_source_close(&source);
    xani_config_destroy(&open);
    return st;
}

// ---- values

xani_status xn_second_axis_check(xn_ctx *ctx, const xn_config *config)
{
    if (!xn_config_has(config, "reduce.second_axis")) return XANI_OK;
    if (xn_source_is_binned(config))
        return xn_config_bad(ctx, config, "reduce.second_axis",
                             "these files were binned before, there are no shots to divide");
    int axes = xn_config_count(config, "geometry.goniometer");
    if (!xn_config_has(config, "reduce.second_axis.circle") ||
        xn_config_int(config, "reduce.second_axis.circle") < axes)
        return XANI_OK;
    return xn_config_bad(ctx, config, "reduce.second_axis.circle", "geometry.goniometer has %d circles, counted from 0",
                         axes);
}

xani_status xn_second_axis_open(xn_ctx *ctx, const xn_config *config, int index, xn_axis_value **list, int *n)
{
    windows w = {0};
    int64_t *count = NULL;
    xani_status st;
    *list = NULL, *n = 0;
    XN_GOTO(out, st, xn_second_axis_check(ctx, config));
    XN_GOTO(out, st, make_windows(ctx, config, index, &w, &count));
    *list = xn_calloc((size_t)w.n, sizeof **list);
    if (*list == NULL) st = xn_fail_memory(ctx, "the second axis", (size_t)w.n * sizeof **list);
    for (int i = 0; st == XANI_OK && i < w.n; i++) {
        if (count[i] == 0) continue;
        xn_axis_value *v = &(*list)[(*n)++];
        *v = (xn_axis_value){.number = i + 1, .value = w.value[i], .low = w.edges[i], .high = w.edges[i + 1]};
        st = with_window(ctx, config, v->low, v->high, &v->config);
        if (st == XANI_OK && xn_config_has(config, "reduce.second_axis.circle"))
            st = turn(ctx, index, (int)xn_config_int(config, "reduce.second_axis.circle"), v);
    }
    if (st == XANI_OK && *n == 0)
        st = xn_config_bad(ctx, config, "reduce.second_axis", "no shot has one of these values");
out:
    if (st != XANI_OK) xn_second_axis_close(list, n);
    xn_free(w.edges);
    xn_free(w.value);
    xn_free(count);
    return st;
}

void xn_second_axis_close(xn_axis_value **list, int *n)
{
    for (int i = 0; *list != NULL && i < *n; i++) xani_config_destroy(&(*list)[i].config);
    xn_free(*list);
    *list = NULL, *n = 0;
}

// ---- one cube after the other

static char *numbered_path(const char *path, int number)
{
    const size_t length = strlen(path);
    const bool h5 = length > 3 && strcmp(path + length - 3, ".h5") == 0;
    return xn_format("%.*s_%d.h5", (int)(h5 ? length - 3 : length), path, number);
}

// Of one value, named; whole: the configuration with the axis.
typedef xani_status (*value_fn)(xn_ctx *ctx, const xn_config *whole, const xn_axis_value *v, const xn_cube_name *name);

static xani_status check_value(xn_ctx *ctx, const xn_config *whole, const xn_axis_value *v, const xn_cube_name *name)
{
    char **inputs = NULL;
    (void)whole;
    (void)v;
    xani_status st = xn_stage_spare(ctx, name, &inputs);
    xn_h5_names_free(inputs);
    return st;
}

static xani_status reduce_value(xn_ctx *ctx, const xn_config *whole, const xn_axis_value *v, const xn_cube_name *name)
{
    xn_note(ctx, "%s: %s from %.9g to below %.9g", name->path, xn_config_string(whole, "reduce.second_axis.source"),
            v->low, v->high);
    return xn_stage_reduce_one(ctx, name);
}

static xani_status each_value(xn_ctx *ctx, const xn_config *whole, const xn_axis_value *list, int n, const char *path,
                              value_fn act)
{
    for (int i = 0; i < n; i++) {
        const xn_axis_value *v = &list[i];
        char *own = numbered_path(path, v->number);
        if (own == NULL) return xn_fail_memory(ctx, "a path", strlen(path));
        const xn_cube_name name = {v->config, own, xn_source_runs(v->config) == 1 ? 0 : -1, v->number};
        xani_status st = xn_context(ctx, act(ctx, whole, v, &name), "value %d of the second axis", v->number);
        xn_free(own);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

xani_status xn_second_axis_reduce(xn_ctx *ctx, const xn_config *config, int index, const char *cube_path)
{
    xn_axis_value *list = NULL;
    int n = 0;
    xani_status st = xn_second_axis_open(ctx, config, index, &list, &n);
    if (st == XANI_OK) st = each_value(ctx, config, list, n, cube_path, check_value); // of all, before the first
    if (st == XANI_OK) st = each_value(ctx, config, list, n, cube_path, reduce_value);
    xn_second_axis_close(&list, &n);
    return st;
}
