// SPDX-License-Identifier: BSD-3-Clause
// info.c -- the answer of `xani info`: what files are and hold, as JSON.
//
// One object per run: detector, pulse ids with their gaps, laser on and off, what the delay may come from, all
// channels.  Files that cannot be read stand under "problems" and do not hide the others.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "source/recognise.h"
#include "source/survey.h"

// NaN has no JSON number.
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }
static json_t *whole(int64_t value) { return json_integer((json_int_t)value); }

// Text of a file name or channel; bytes that are no UTF-8 become '?', because JSON knows no others.
static json_t *text(const char *s)
{
    json_t *o = json_string(s);
    char *copy = o == NULL ? xn_strdup(s) : NULL;
    for (char *c = copy; c != NULL && *c; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    if (copy != NULL) o = json_string(copy);
    xn_free(copy);
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

static json_t *channel_json(const xn_channel_facts *c)
{
    json_t *o =
        json_pack("{s:o, s:s, s:s, s:I, s:I}", "name", text(c->name), "role", role_name(c->role), "type",
                  xn_type_name(c->type), "readings", (json_int_t)c->readings, "with_frame", (json_int_t)c->matched);
    json_object_set_new(o, "shape", shape(c->rank, c->dims));
    if (!c->scalar) return o;
    json_object_set_new(o, "min", number(c->min));
    json_object_set_new(o, "median", number(c->median));
    json_object_set_new(o, "max", number(c->max));
    return o;
}

static json_t *delay_json(const xn_run_facts *f)
{
    json_t *list = json_array();
    for (int i = 0; i < f->n_channels; i++) {
        const xn_channel_facts *c = &f->channel[i];
        if (c->role != XN_ROLE_DELAY || !c->scalar) continue;
        json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:I}", "channel", text(c->name), "min", number(c->min), "max",
                              number(c->max), "step", number(c->step), "values", (json_int_t)c->distinct);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *detector_json(const xn_run_facts *f)
{
    const xn_sf_detector *d = &f->d;
    int on = 0;
    for (int i = 0; i < d->n_map; i++) on += d->map[i] >= 0;
    int64_t decoded = d->n * d->ny * d->nx * (int64_t)xn_type_size(d->type);
    json_t *o = json_pack("{s:o, s:o, s:s, s:s}", "name", text(d->name), "shape", shape(2, (int64_t[]){d->ny, d->nx}),
                          "type", xn_type_name(d->type), "filters", f->filters[0] ? f->filters : "none");
    json_object_set_new(o, "frames", whole(d->n));
    json_object_set_new(o, "stored_bytes", whole(f->stored_bytes));
    json_object_set_new(o, "decoded_bytes", whole(decoded));
    if (d->n_map > 0) json_object_set_new(o, "modules", whole(d->n_map));
    if (d->n_map > 0) json_object_set_new(o, "modules_on", whole(on));
    json_object_set_new(o, "high_gain", json_boolean(f->high_gain));
    json_object_set_new(o, "converted", json_boolean(d->processed));
    return o;
}

static void add_swissfel(json_t *o, const xn_run_facts *f)
{
    json_object_set_new(o, "shots", whole(f->d.n - f->without_id));
    json_object_set_new(o, "laser",
                        json_pack("{s:s, s:I, s:I, s:I, s:I}", "rule", f->rule ? f->rule : "none found", "on",
                                  (json_int_t)f->on, "off", (json_int_t)f->off, "dark", (json_int_t)f->dark, "unknown",
                                  (json_int_t)f->unknown));
    if (f->detector != NULL) {
        json_object_set_new(o, "detector", detector_json(f));
        json_object_set_new(o, "pulse_ids",
                            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "first", (json_int_t)f->first, "last",
                                      (json_int_t)f->last, "step", (json_int_t)f->step, "gaps", (json_int_t)f->gaps,
                                      "frames_lost", (json_int_t)f->lost, "repeated", (json_int_t)f->duplicates,
                                      "without_id", (json_int_t)f->without_id, "bad_frames", (json_int_t)f->bad));
    }
    if (f->n_detectors > 1) {
        json_t *names = json_array();
        for (int i = 0; i < f->n_detectors; i++) json_array_append_new(names, text(f->detectors[i]));
        json_object_set_new(o, "detectors", names);
    }
    json_object_set_new(o, "delays", delay_json(f));
    json_t *channels = json_array();
    for (int i = 0; i < f->n_channels; i++) json_array_append_new(channels, channel_json(&f->channel[i]));
    json_object_set_new(o, "channels", channels);
}

static void add_cube(json_t *o, const xn_cube_facts *f)
{
    json_object_set_new(o, "shots", number(f->on_shots + f->off_shots));
    json_object_set_new(o, "laser", json_pack("{s:o, s:o}", "on", number(f->on_shots), "off", number(f->off_shots)));
    json_object_set_new(o, "detector",
                        json_pack("{s:o, s:s, s:s, s:I}", "shape", shape(2, (int64_t[]){f->ny, f->nx}), "type",
                                  xn_type_name(f->type), "filters", f->filters[0] ? f->filters : "none",
                                  "decoded_bytes", (json_int_t)f->stored_bytes));
    json_object_set_new(o, "delays",
                        json_pack("{s:I, s:I, s:o, s:o, s:o}", "bins", (json_int_t)f->bins, "empty",
                                  (json_int_t)f->empty, "min", number(f->first_ps), "max", number(f->last_ps), "step",
                                  number(f->step_ps)));
}

static xani_status run_json(xn_ctx *ctx, const xn_found_run *run, json_t **out)
{
    json_t *o = json_pack("{s:o, s:s}", "name", text(run->name), "layout", run->cube ? "cube" : "swissfel");
    xani_status st;
    *out = o;
    if (run->cube) {
        xn_cube_facts f;
        XN_TRY(xn_cube_facts_read(ctx, run, &f));
        add_cube(o, &f);
        return XANI_OK;
    }
    xn_run_facts f;
    st = xn_run_facts_read(ctx, run, &f);
    if (st == XANI_OK) add_swissfel(o, &f);
    if (st == XANI_OK) xn_run_facts_free(&f);
    return st;
}

static void add_problem(json_t *problems, const char *file, const char *why)
{
    json_array_append_new(problems, json_pack("{s:o, s:o}", "file", text(file), "text", text(why)));
}

static xani_status all_json(xn_ctx *ctx, const xn_survey *s, json_t *o)
{
    json_t *files = json_array(), *runs = json_array(), *problems = json_array();
    bool cube = false, raw = false;
    json_object_set_new(o, "runs", runs);
    json_object_set_new(o, "files", files);
    json_object_set_new(o, "problems", problems);
    for (int i = 0; i < s->n; i++) {
        const xn_found_file *f = &s->file[i];
        json_array_append_new(files, json_pack("{s:o, s:s, s:I}", "path", text(f->path), "kind", xn_found_name(f->kind),
                                               "bytes", (json_int_t)f->bytes));
        if (f->kind == XN_FOUND_BROKEN) add_problem(problems, f->path, f->note ? f->note : "cannot be opened");
    }
    for (int i = 0; i < s->n_runs; i++) {
        json_t *run = NULL;
        xani_status st = run_json(ctx, &s->run[i], &run);
        cube = cube || s->run[i].cube;
        raw = raw || !s->run[i].cube;
        json_array_append_new(runs, run);
        if (st == XANI_ERR_INPUT) {
            add_problem(problems, s->run[i].name, xani_error_text(ctx));
            xn_clear_error(ctx);
        } else if (st != XANI_OK) {
            return st;
        }
    }
    json_object_set_new(o, "layout",
                        json_string(cube && raw ? "swissfel and cube"
                                    : cube      ? "cube"
                                    : raw       ? "swissfel"
                                                : "result"));
    return XANI_OK;
}

xani_status xn_source_info(xn_ctx *ctx, const char *const *paths, size_t n, char **json)
{
    *json = NULL;
    xn_survey s;
    XN_TRY(xn_survey_make(ctx, paths, n, false, &s));
    json_t *o = json_object();
    json_object_set_new(o, "layout", json_null()); // first in the answer
    xani_status st = all_json(ctx, &s, o);
    char *dump = st == XANI_OK ? json_dumps(o, JSON_COMPACT) : NULL;
    if (dump != NULL) *json = xn_strdup(dump);
    if (st == XANI_OK && *json == NULL) st = xn_fail_memory(ctx, "the answer", dump ? strlen(dump) : 1);
    free(dump);
    json_decref(o);
    xn_survey_free(&s);
    return st;
}
