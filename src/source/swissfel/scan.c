// SPDX-License-Identifier: BSD-3-Clause
// scan.c -- the scan of a SwissFEL run as readings: what the scanned parameters were set to in each step.
//
// The file is input.scan, else meta/scan.json beside the folder of the data, where data acquisition puts it (formats.md
// 1.5).  Readings:  scan/NAME  the value set,  scan_readback/NAME  the value read back,  scan/step  the number of the
// step, from 0.  NAME is the parameter's name or its Id.  A frame belongs to the step whose pulseIds [first, last]
// hold its pulse id; files without pulseIds name the files of each step, and a frame belongs to the step of its file.
// Frames of no step have no reading.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/swissfel/swissfel.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

xani_status xn_sf_scan_beside(xn_ctx *ctx, const char *file, char **path)
{
    *path = xn_format("%.*s../meta/scan.json", (int)(base_name(file) - file), file);
    if (*path == NULL) return xn_fail_memory(ctx, "a file name", strlen(file));
    if (access(*path, F_OK) == 0) return XANI_OK;
    xn_free(*path);
    *path = NULL;
    return XANI_OK;
}

xani_status xn_sf_scan_open(xn_ctx *ctx, const char *path, xn_sf_scan *scan)
{
    json_error_t why;
    memset(scan, 0, sizeof *scan);
    scan->path = xn_strdup(path);
    if (scan->path == NULL) return xn_fail_memory(ctx, "a file name", strlen(path));
    scan->json = json_load_file(path, 0, &why);
    if (scan->json == NULL)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: is no JSON: line %d: %s", path, why.line, why.text);
    const json_t *values = json_object_get(scan->json, "scan_values");
    if (json_is_array(values)) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: has no list scan_values", path);
}

void xn_sf_scan_close(xn_sf_scan *scan)
{
    json_decref(scan->json);
    xn_free(scan->path);
    memset(scan, 0, sizeof *scan);
}

// ---- parameters

// Text i of a list, or the text itself.
static const char *text_at(const json_t *o, size_t i)
{
    return json_is_array(o) ? json_string_value(json_array_get(o, i)) : i == 0 ? json_string_value(o) : NULL;
}

const char *xn_sf_scan_name(const xn_sf_scan *scan, size_t i)
{
    const json_t *parameters = json_object_get(scan->json, "scan_parameters");
    const char *name = text_at(json_object_get(parameters, "name"), i);
    return name != NULL && name[0] != '\0' ? name : text_at(json_object_get(parameters, "Id"), i);
}

// Index of a parameter; -1: there is none of this name.
static int64_t index_of(const xn_sf_scan *scan, const char *name)
{
    const json_t *parameters = json_object_get(scan->json, "scan_parameters");
    for (size_t i = 0; xn_sf_scan_name(scan, i) != NULL; i++) {
        const char *id = text_at(json_object_get(parameters, "Id"), i);
        if (strcmp(xn_sf_scan_name(scan, i), name) == 0 || (id != NULL && strcmp(id, name) == 0)) return (int64_t)i;
    }
    return -1;
}

// Number `parameter` of a step; NaN where the file has none.
static double number_at(const json_t *steps, size_t step, size_t parameter)
{
    const json_t *row = json_array_get(steps, step);
    const json_t *o = json_is_array(row) ? json_array_get(row, parameter) : parameter == 0 ? row : NULL;
    return json_is_number(o) ? json_number_value(o) : NAN;
}

// ---- steps of frames

static xani_status bad_range(xn_ctx *ctx, const xn_sf_scan *scan, size_t step)
{
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: pulseIds of step %zu is no pair [first, last]", scan->path, step);
}

// Step of every frame by the ranges of pulse ids; -1: none.
static xani_status steps_by_id(xn_ctx *ctx, const xn_sf_scan *scan, const json_t *ranges, const xn_sf_detector *d,
                               int64_t *step)
{
    for (size_t s = 0; s < json_array_size(ranges); s++) {
        const json_t *pair = json_array_get(ranges, s), *a = json_array_get(pair, 0), *b = json_array_get(pair, 1);
        if (!json_is_number(a) || !json_is_number(b) || json_number_value(a) > json_number_value(b))
            return bad_range(ctx, scan, s);
        uint64_t first = (uint64_t)json_number_value(a), last = (uint64_t)json_number_value(b);
        for (int64_t i = 0; i < d->n; i++)
            if (d->pulse_id[i] >= first && d->pulse_id[i] <= last) step[i] = (int64_t)s;
    }
    return XANI_OK;
}

// The acquisition is the name up to its first dot.
static bool same_acquisition(const char *a, const char *b)
{
    a = base_name(a);
    b = base_name(b);
    size_t n = strcspn(a, ".");
    return n == strcspn(b, ".") && strncmp(a, b, n) == 0;
}

static void steps_by_file(const json_t *files, const xn_sf_detector *d, int64_t *step)
{
    for (int f = 0; f < d->n_files; f++) {
        int64_t found = -1;
        for (size_t s = 0; s < json_array_size(files) && found < 0; s++) {
            const json_t *row = json_array_get(files, s);
            for (size_t k = 0; json_is_array(row) && k < json_array_size(row); k++) {
                const char *name = json_string_value(json_array_get(row, k));
                if (name != NULL && same_acquisition(name, d->file[f])) found = (int64_t)s;
            }
        }
        for (int64_t i = d->file_first[f]; i < d->file_first[f + 1]; i++) step[i] = found;
    }
}

static xani_status find_steps(xn_ctx *ctx, const xn_sf_scan *scan, const xn_sf_detector *d, int64_t *step)
{
    const json_t *ranges = json_object_get(scan->json, "pulseIds"), *files = json_object_get(scan->json, "scan_files");
    for (int64_t i = 0; i < d->n; i++) step[i] = -1;
    if (json_is_array(ranges) && json_array_size(ranges) > 0) return steps_by_id(ctx, scan, ranges, d, step);
    if (json_is_array(files) && json_array_size(files) > 0) {
        steps_by_file(files, d, step);
        return XANI_OK;
    }
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: has neither pulseIds nor scan_files: no step can be told", scan->path);
}

// ---- the reading

static xani_status missing(xn_ctx *ctx, const xn_sf_scan *scan, const char *name)
{
    const char *names[64];
    size_t n = 0;
    while (n < 64 && xn_sf_scan_name(scan, n) != NULL) names[n] = xn_sf_scan_name(scan, n), n++;
    const char *near = xn_nearest_name(name, names, n);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: no parameter %s is scanned%s%s", scan->path, name,
                   near ? "; the nearest name is " : "", near ? near : "");
}

bool xn_sf_scan_is(const char *name)
{
    return strncmp(name, "scan/", 5) == 0 || strncmp(name, "scan_readback/", 14) == 0;
}

xani_status xn_sf_scan_read(xn_ctx *ctx, const xn_sf_scan *scan, const xn_sf_detector *d, xn_channel *c)
{
    const char *name = strchr(c->name, '/') + 1;
    bool back = c->name[4] == '_';
    const json_t *steps = json_object_get(scan->json, back ? "scan_readbacks" : "scan_values");
    int64_t parameter = index_of(scan, name);
    bool number = !back && parameter < 0 && strcmp(name, "step") == 0;
    if (parameter < 0 && !number) return missing(ctx, scan, name);
    if (!json_is_array(steps)) return xn_fail(ctx, XANI_ERR_INPUT, "%s: has no list scan_readbacks", scan->path);
    int64_t *step = xn_alloc((size_t)d->n, sizeof *step);
    double *value = xn_alloc((size_t)d->n, sizeof *value);
    uint8_t *there = xn_alloc((size_t)d->n, 1);
    xani_status st = XANI_OK;
    if (step == NULL || value == NULL || there == NULL)
        XN_GOTO(out, st, xn_fail_memory(ctx, c->name, (size_t)d->n * 17));
    XN_GOTO(out, st, find_steps(ctx, scan, d, step));
    for (int64_t i = 0; i < d->n; i++) {
        there[i] = step[i] >= 0 && (number || (size_t)step[i] < json_array_size(steps));
        value[i] = !there[i] ? NAN : number ? (double)step[i] : number_at(steps, (size_t)step[i], (size_t)parameter);
    }
    XN_GOTO(out, st, xn_channel_seen(ctx, c, scan->path));
    st = xn_sf_add_frames(ctx, c, d, value, there);
out:
    xn_free(step);
    xn_free(value);
    xn_free(there);
    return st;
}
