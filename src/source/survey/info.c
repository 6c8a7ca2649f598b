// SPDX-License-Identifier: BSD-3-Clause
// info.c -- the answer of `xani info`: what files are and hold, as JSON.
//
// Flat tables, each with a column that names the run, so that the answer reads as well on a terminal as in a
// program: runs, detectors, pulse_ids with their gaps, delays, channels (taken over all runs), files.  Files
// that cannot be read stand under problems and do not hide the others.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "source/recognise.h"
#include "source/survey/survey.h"

// NaN has no JSON number.
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
static json_t *whole(int64_t value) { return json_integer((json_int_t)value); }

// Of a file name or channel.
static json_t *text(const char *s)
{
    json_t *o = xn_json_text(s);
    return o != NULL ? o : json_null();
}

static json_t *shape(int rank, const int64_t *dims)
{
    json_t *list = json_array();
    for (int i = 0; i < rank; i++) json_array_append_new(list, whole(dims[i]));
    return list;
}

static const char *role_name(xn_role role)
{
    static const char *const names[] = {
        "", "i0", "delay", "time tool", "time tool quality", "event codes", "photon energy"};
    return names[role];
}

typedef struct {
    xn_ctx *ctx;
    json_t *runs, *detectors, *pulse_ids, *delays, *channels, *geometries, *files, *problems;
} answer;

// A row of `table`, begun with the name of its run.
static json_t *row(json_t *table, const char *run)
{
    json_t *o = json_pack("{s:o}", "run", text(run));
    json_array_append_new(table, o);
    return o;
}

static void put(json_t *o, const char *key, json_t *value) { json_object_set_new(o, key, value); }

// ---- a run of shots

static void add_detectors(answer *a, const char *run, const xn_run_facts *f)
{
    const xn_detector_facts *d = &f->detector[f->chosen];
    int64_t decoded = d->n * d->ny * d->nx * (int64_t)xn_type_size(d->type);
    json_t *o = row(a->detectors, run);
    put(o, "name", text(d->name));
    put(o, "shape", shape(2, (int64_t[]){d->ny, d->nx}));
    put(o, "type", json_string(xn_type_name(d->type)));
    put(o, "filters", json_string(d->filters[0] ? d->filters : "none"));
    put(o, "frames", whole(d->n));
    put(o, "stored_bytes", whole(d->stored_bytes));
    put(o, "decoded_bytes", whole(decoded));
    put(o, "modules", d->modules > 0 ? whole(d->modules) : json_null());
    put(o, "modules_on", d->modules > 0 ? whole(d->modules_on) : json_null());
    put(o, "high_gain", json_boolean(d->high_gain));
    put(o, "converted", json_boolean(d->converted));
    put(o, "energy_kev", number(f->place.energy_kev));
    put(o, "distance_mm", number(f->place.distance_mm));
    put(o, "pixel_mm", number(f->place.pixel_mm));
    for (int i = 0; i < f->n_detectors; i++)
        if (i != f->chosen) put(row(a->detectors, run), "name", text(f->detector[i].name));
    o = row(a->pulse_ids, run);
    put(o, "first", whole((int64_t)f->first));
    put(o, "last", whole((int64_t)f->last));
    put(o, "step", whole((int64_t)f->step));
    put(o, "gaps", whole(f->gaps));
    put(o, "frames_lost", whole(f->lost));
    put(o, "repeated", whole(f->duplicates));
    put(o, "without_id", whole(f->without_id));
    put(o, "bad_frames", whole(f->bad));
}

static void add_delays(answer *a, const char *run, const xn_run_facts *f)
{
    for (int i = 0; i < f->n_channels; i++) {
        const xn_channel_facts *c = &f->channel[i];
        if (c->role != XN_ROLE_DELAY || !c->scalar) continue;
        json_t *o = row(a->delays, run);
        put(o, "source", text(c->name));
        put(o, "min", number(c->min));
        put(o, "max", number(c->max));
        put(o, "step", number(c->step));
        put(o, "values", whole(c->distinct));
    }
}

static double wider(const json_t *o, const char *key, double value, bool least)
{
    double before = json_is_number(json_object_get(o, key)) ? json_number_value(json_object_get(o, key)) : NAN;
    return least ? fmin(before, value) : fmax(before, value); // both pass over NaN
}

// One row per channel, counts and ranges over all runs.
static void add_channel(answer *a, const xn_channel_facts *c)
{
    json_t *o = NULL, *name = text(c->name);
    for (size_t i = 0; o == NULL && i < json_array_size(a->channels); i++) {
        json_t *other = json_array_get(a->channels, i);
        if (json_equal(json_object_get(other, "name"), name)) o = other;
    }
    if (o == NULL) {
        o = json_pack("{s:O, s:s, s:s, s:o, s:i, s:i}", "name", name, "role", role_name(c->role), "type",
                      xn_type_name(c->type), "shape", shape(c->rank, c->dims), "readings", 0, "with_frame", 0);
        json_array_append_new(a->channels, o);
    }
    json_decref(name);
    put(o, "readings", whole(json_integer_value(json_object_get(o, "readings")) + c->readings));
    int64_t matched = json_integer_value(json_object_get(o, "with_frame")) + c->matched;
    put(o, "with_frame", c->scalar ? whole(matched) : json_null()); // ids of images and the like are not looked at
    put(o, "min", number(c->scalar ? wider(o, "min", c->min, true) : NAN));
    put(o, "max", number(c->scalar ? wider(o, "max", c->max, false) : NAN));
}

static void add_shots(answer *a, const xn_found_run *run, const xn_run_facts *f, json_t *o)
{
    put(o, "shots", whole(f->n_ids));
    const bool ruled = f->rule[0] != '\0'; // else nothing is known of the laser
    put(o, "laser_on", whole(ruled ? f->on : 0));
    put(o, "laser_off", whole(ruled ? f->off : 0));
    put(o, "dark", whole(f->dark));
    put(o, "laser_unknown", whole(ruled ? f->unknown : f->n_ids - f->dark));
    put(o, "laser_rule", f->rule[0] ? json_string(f->rule) : json_null());
    if (f->chosen >= 0) add_detectors(a, run->name, f);
    add_delays(a, run->name, f);
    for (int i = 0; i < f->n_channels; i++) add_channel(a, &f->channel[i]);
}

// ---- a cube

static void add_cube(answer *a, const xn_found_run *run, const xn_cube_facts *f, json_t *o)
{
    put(o, "shots", number(f->on_shots + f->off_shots));
    put(o, "laser_on", number(f->on_shots));
    put(o, "laser_off", number(f->off_shots));
    o = row(a->detectors, run->name);
    put(o, "shape", shape(2, (int64_t[]){f->ny, f->nx}));
    put(o, "type", json_string(xn_type_name(f->type)));
    put(o, "filters", json_string(f->filters[0] ? f->filters : "none"));
    put(o, "frames", whole(f->bins));
    put(o, "decoded_bytes", whole(f->stored_bytes));
    o = row(a->delays, run->name);
    put(o, "source", text(f->scan[0] != '\0' ? f->scan : "scan_var"));
    put(o, "min", number(f->first_ps));
    put(o, "max", number(f->last_ps));
    put(o, "step", number(f->step_ps));
    put(o, "values", whole(f->bins));
    put(o, "empty", whole(f->empty));
}

static xani_status add_run(answer *a, const xn_found_run *run)
{
    xn_run_facts f;
    XN_TRY(xn_run_facts_read(a->ctx, run, &f));
    json_t *o = row(a->runs, run->name);
    put(o, "layout", json_string(run->layout->ops->layout));
    if (f.binned)
        add_cube(a, run, &f.cube, o);
    else
        add_shots(a, run, &f, o);
    xn_facts_free(&f);
    return XANI_OK;
}

// ---- the whole

static void add_problem(answer *a, const char *file, const char *why)
{
    json_array_append_new(a->problems, json_pack("{s:o, s:o}", "file", text(file), "text", text(why)));
}

// "swissfel and cube" of the runs; "result" or "geometry" when there are none.
static void name_layouts(const xn_survey *s, char *names, size_t bytes)
{
    bool result = false;
    for (int i = 0; i < s->n; i++) result = result || s->file[i].kind == XN_FOUND_RESULT;
    snprintf(names, bytes, "%s", s->n_runs > 0 ? "" : result ? "result" : "geometry");
    for (int l = 0; xn_input_layouts[l] != NULL; l++)
        for (int i = 0; i < s->n_runs; i++) {
            if (s->run[i].layout != xn_input_layouts[l]) continue;
            size_t used = strlen(names);
            snprintf(names + used, bytes - used, "%s%s", used > 0 ? " and " : "", xn_input_layouts[l]->ops->layout);
            break;
        }
}

static xani_status add_geometry(answer *a, const char *path)
{
    json_t *facts = NULL, *o = json_object();
    xani_status st = xn_detector_of_file(a->ctx, path, &facts);
    if (st == XANI_OK) {
        put(o, "path", text(path));
        json_object_update(o, facts);
        json_array_append(a->geometries, o);
    } else if (st == XANI_ERR_INPUT || st == XANI_ERR_CONFIG) {
        add_problem(a, path, xani_error_text(a->ctx));
        xn_clear_error(a->ctx);
        st = XANI_OK;
    }
    json_decref(facts);
    json_decref(o);
    return st;
}

static xani_status add_all(answer *a, const xn_survey *s)
{
    for (int i = 0; i < s->n; i++) {
        const xn_found_file *f = &s->file[i];
        json_t *o = json_pack("{s:o, s:s}", "path", text(f->path), "kind", xn_found_name(f));
        put(o, "bytes", whole(f->bytes));
        json_array_append_new(a->files, o);
        if (f->kind == XN_FOUND_GEOMETRY) XN_TRY(add_geometry(a, f->path));
        if (f->kind == XN_FOUND_BROKEN) add_problem(a, f->path, f->note ? f->note : "cannot be opened");
    }
    for (int i = 0; i < s->n_runs; i++) {
        xani_status st = add_run(a, &s->run[i]);
        if (st != XANI_OK && st != XANI_ERR_INPUT) return st;
        if (st == XANI_ERR_INPUT) {
            add_problem(a, s->run[i].name, xani_error_text(a->ctx));
            xn_clear_error(a->ctx);
        }
    }
    return XANI_OK;
}

xani_status xn_source_info(xn_ctx *ctx, const char *const *paths, size_t n, char **json)
{
    *json = NULL;
    xn_survey s;
    XN_TRY(xn_survey_make(ctx, paths, n, false, &s));
    answer a = {ctx,          json_array(), json_array(), json_array(), json_array(),
                json_array(), json_array(), json_array(), json_array()};
    char layout[256];
    name_layouts(&s, layout, sizeof layout);
    xani_status st = add_all(&a, &s);
    json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "layout", layout, "runs", a.runs,
                          "detectors", a.detectors, "pulse_ids", a.pulse_ids, "delays", a.delays, "channels",
                          a.channels, "geometries", a.geometries, "files", a.files, "problems", a.problems);
    char *dump = st == XANI_OK ? json_dumps(o, JSON_COMPACT) : NULL;
    if (dump != NULL) *json = xn_strdup(dump);
    if (st == XANI_OK && *json == NULL) st = xn_fail_memory(ctx, "the answer", dump ? strlen(dump) : 1);
    free(dump);
    json_decref(o);
    xn_survey_free(&s);
    return st;
}
