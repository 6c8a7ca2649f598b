// SPDX-License-Identifier: BSD-3-Clause
// pipeline.c -- the five stages in order: select and reduce, fit, map, result.
//
//     shots ──▶ select ──▶ reduce ──▶ fit ──▶ map ──▶ dispersion
//
// Each run (sample angle) goes from raw frames to its modes; the modes of all runs together give one dispersion.
// A result is kept by a second call when its identity (what it depends on, identity.h) is unchanged and the file still
// equals its manifest; so an interrupted call resumes, and a changed setting redoes only what depends on it.
#include "pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "fit/fit.h"
#include "identity.h"
#include "io/write/publish.h"
#include "map/map.h"
#include "reduce/reduce.h"
#include "result/result.h"
#include "source/sim/sim.h"
#include "source/source.h"

// One run on its way through the stages.
typedef struct run {
    const xn_config *config; // borrowed: the experiment's, or that of one value of the second axis
    int index;               // in runs[], -1 when there is no such list
    int value;               // of a second axis that turns the sample, from 1; 0: none
    char *name, *cube_path, *modes_path;
    char **inputs; // all files that the cube depends on
    char *cube_id, *modes_id;
    xn_modes modes;
    bool cube_kept, modes_kept, pair_there;
    double reduce_s, fit_s;
} run;

// True when the file is there, has this identity, and equals its manifest.
static bool is_current(xn_ctx *ctx, const char *path, const char *identity)
{
    if (!xn_published(path)) return false;
    char *stored = NULL;
    bool same =
        xn_result_read_identity(ctx, path, &stored) == XANI_OK && stored != NULL && strcmp(stored, identity) == 0;
    if (same && xn_publish_verify(ctx, path) != XANI_OK) {
        xn_warn(ctx, "%s differs from its manifest and is made again", path);
        same = false;
    }
    xn_free(stored);
    xn_clear_error(ctx);
    return same;
}

// What later stages take from the configuration in a kept file, and what the file says of the experiment, is today's.
static xani_status refresh(xn_ctx *ctx, const char *path, const xn_config *config)
{
    static const char *const parts[] = {"experiment", "geometry", "fit", "map", NULL};
    xani_status st = xn_result_refresh(ctx, path, config, parts);
    if (st != XANI_ERR_OUTPUT) return st;
    xn_warn(ctx, "the configuration in a result that is kept stays that of before: %s", xani_error_text(ctx));
    xn_clear_error(ctx);
    return XANI_OK;
}

// ---- the stages of one run

static xn_cube_name name_of(const run *r) { return (xn_cube_name){r->config, r->cube_path, r->index, r->value}; }

static xani_status reduce_run(xn_ctx *ctx, run *r, xn_cube *cube)
{
    const xn_config *config = r->config;
    const xn_cube_name name = name_of(r);
    double start = xn_seconds();
    r->cube_kept = is_current(ctx, r->cube_path, r->cube_id);
    if (r->cube_kept) {
        XN_TRY(refresh(ctx, r->cube_path, config));
        XN_TRY(xn_result_read_cube(ctx, r->cube_path, cube));
        return r->pair_there ? XANI_OK : xn_field_pair_write(ctx, &name, cube);
    }
    const xn_stage_place place = {r->cube_path, r->cube_id, (const char *const *)r->inputs};
    XN_TRY(xn_stage_cube(ctx, config, r->index, true, &place, cube));
    if (xn_config_bool(config, "output.keep_cube")) {
        const xn_provenance p = {.config = config, .inputs = (const char *const *)r->inputs, .identity = r->cube_id};
        XN_TRY(xn_result_write_cube(ctx, r->cube_path, cube, &p));
        xn_stage_forget(r->cube_path);
    }
    XN_TRY(xn_field_pair_write(ctx, &name, cube));
    r->reduce_s = xn_seconds() - start;
    return XANI_OK;
}

static xani_status fit_run(xn_ctx *ctx, run *r, const xn_cube *cube)
{
    double start = xn_seconds();
    XN_TRY(xn_stage_fit(ctx, r->config, cube, &r->modes));
    const xn_provenance p = {.config = r->config, .inputs = (const char *const *)r->inputs, .identity = r->modes_id};
    XN_TRY(xn_result_write_modes(ctx, r->modes_path, &r->modes, &p));
    r->fit_s = xn_seconds() - start;
    return XANI_OK;
}

static xani_status process_run(xn_ctx *ctx, run *r)
{
    const xn_config *config = r->config;
    const xn_cube_name name = name_of(r);
    xn_cube cube = {0};
    XN_TRY(xn_check_interrupt(ctx));
    XN_TRY(xn_stage_spare(ctx, &name, &r->inputs));
    XN_TRY(xn_inputs_spare(ctx, r->modes_path, XN_RESULT_MODES, config, (const char *const *)r->inputs));
    XN_TRY(xn_identity_reduce(ctx, config, r->index, r->inputs, &r->cube_id));
    XN_TRY(xn_identity_fit(ctx, config, r->cube_id, &r->modes_id));
    bool cube_wanted = xn_config_bool(config, "output.keep_cube");
    XN_TRY(xn_field_pair_there(ctx, &name, &r->pair_there));
    r->modes_kept = r->pair_there && is_current(ctx, r->modes_path, r->modes_id) &&
                    (!cube_wanted || is_current(ctx, r->cube_path, r->cube_id));
    if (r->modes_kept) {
        r->cube_kept = cube_wanted;
        if (cube_wanted) XN_TRY(refresh(ctx, r->cube_path, config));
        XN_TRY(refresh(ctx, r->modes_path, config));
        return xn_result_read_modes(ctx, r->modes_path, &r->modes);
    }
    xani_status st = reduce_run(ctx, r, &cube);
    if (st == XANI_OK) st = xn_check_interrupt(ctx);
    if (st == XANI_OK) st = fit_run(ctx, r, &cube);
    if (st == XANI_OK) xn_stage_forget(r->cube_path); // kept until now where no cube is
    xn_cube_free(&cube);
    return st;
}

// ---- what was done

static void add_run(json_t *list, const run *r, int64_t *fitted, int64_t *failed)
{
    json_t *o = xn_stage_count(&r->modes, fitted, failed);
    if (r->name[0]) json_object_set_new(o, "run", xn_json_text(r->name));
    json_object_set_new(o, "reduce", json_string(r->modes_kept || r->cube_kept ? "kept" : "done"));
    json_object_set_new(o, "fit", json_string(r->modes_kept ? "kept" : "done"));
    if (r->reduce_s > 0) json_object_set_new(o, "reduce_seconds", json_real(r->reduce_s));
    if (r->fit_s > 0) json_object_set_new(o, "fit_seconds", json_real(r->fit_s));
    json_array_append_new(list, o);
}

// ---- map

static xani_status map_runs(xn_ctx *ctx, const xn_config *config, const char *dir, const run *runs, int n,
                            json_t *summary)
{
    const char *why = NULL;
    if (!xn_map_possible(config, &why)) {
        xn_warn(ctx, "no dispersion: %s is missing", why);
        json_object_set_new(summary, "dispersion", json_pack("{s:s, s:s}", "map", "skipped", "missing", why));
        return XANI_OK;
    }
    xani_status st;
    static const char *const none[] = {NULL};
    char *path = xn_format("%s/dispersion.h5", dir), *identity = NULL, **beside = NULL;
    const xn_modes **modes = xn_calloc((size_t)n, sizeof(xn_modes *));
    const char **inputs = xn_calloc((size_t)n + 1, sizeof(char *)), **ids = xn_calloc((size_t)n + 1, sizeof(char *));
    if (path == NULL || modes == NULL || inputs == NULL || ids == NULL) {
        st = xn_fail_memory(ctx, "the map", (size_t)n * 16);
        goto out;
    }
    for (int i = 0; i < n; i++) modes[i] = &runs[i].modes, inputs[i] = runs[i].modes_path, ids[i] = runs[i].modes_id;
    XN_GOTO(out, st, xn_inputs_map(ctx, config, none, &beside));
    XN_GOTO(out, st, xn_identity_map(ctx, config, ids, beside, &identity));
    XN_GOTO(out, st, xn_check_interrupt(ctx));
    const bool kept = is_current(ctx, path, identity);
    if (kept) XN_GOTO(out, st, refresh(ctx, path, config));
    if (kept)
        json_object_set_new(summary, "dispersion", json_pack("{s:o, s:s}", "path", xn_json_text(path), "map", "kept"));
    else
        st = xn_stage_map(ctx, config, modes, n, inputs, identity, path, summary);
out:
    xn_h5_names_free(beside);
    xn_free(path);
    xn_free(identity);
    xn_free(modes);
    xn_free(inputs);
    xn_free(ids);
    return st;
}

// ---- the whole

static xani_status folder_name(xn_ctx *ctx, const xn_config *config, const char *directory, char **dir)
{
    *dir = directory != NULL ? xn_strdup(directory) : xn_config_path(config, "output.directory");
    if (*dir == NULL)
        return xn_fail(ctx, XANI_ERR_CONFIG,
                       "%s: output.directory is missing: it or -o names the folder of the results",
                       xn_config_name(config));
    return XANI_OK;
}

static xani_status start_run(xn_ctx *ctx, const xn_config *config, const char *dir, int index, int value, run *r)
{
    char key[XN_KEY_LENGTH];
    const char *name = index >= 0 ? xn_config_string(config, xn_key(key, "runs[%d].name", index)) : "";
    r->config = config;
    r->index = index;
    r->value = value;
    r->name = name != NULL && name[0] ? xn_strdup(name) : index >= 0 ? xn_format("run%04d", index + 1) : xn_strdup("");
    if (r->name == NULL) return xn_fail_memory(ctx, "a run", 1);
    const char *slash = r->name[0] ? "/" : "";
    char *folder = xn_format("%s%s%s", dir, slash, r->name);
    r->cube_path = xn_format("%s%s%s/cube.h5", dir, slash, r->name);
    r->modes_path = xn_format("%s%s%s/modes.h5", dir, slash, r->name);
    xani_status st =
        folder && r->cube_path && r->modes_path ? xn_make_dirs(ctx, folder) : xn_fail_memory(ctx, "a run", 1);
    xn_free(folder);
    return st;
}

static void end_run(run *r)
{
    xn_free(r->name);
    xn_free(r->cube_path);
    xn_free(r->modes_path);
    xn_free(r->cube_id);
    xn_free(r->modes_id);
    xn_h5_names_free(r->inputs);
    xn_modes_free(&r->modes);
}

// All runs of the folder, each angle of a second axis that turns the sample one of them.
typedef struct whole {
    const char *dir;
    const bool *has; // by run in the configuration: it takes part; NULL: all do
    run *runs;
    int n;
    json_t *list; // borrowed from the summary
    int64_t fitted, failed;
} whole;

static xani_status process_one(xn_ctx *ctx, const xn_config *config, int index, int value, whole *w)
{
    run *more = xn_realloc(w->runs, (size_t)w->n + 1, sizeof *more);
    if (more == NULL) return xn_fail_memory(ctx, "the runs", ((size_t)w->n + 1) * sizeof *more);
    w->runs = more;
    run *r = &w->runs[w->n++];
    *r = (run){0};
    XN_TRY(start_run(ctx, config, w->dir, index, value, r));
    xani_status st = process_run(ctx, r);
    if (st != XANI_OK) return r->name[0] ? xn_context(ctx, st, "run %s", r->name) : st;
    add_run(w->list, r, &w->fitted, &w->failed);
    return XANI_OK;
}

// The values of a second axis that turns a circle of the goniometer are sample angles like those of other runs: each
// value's configuration names a run for it.
static xani_status process_angles(xn_ctx *ctx, const xn_config *config, int index, whole *w)
{
    xn_axis_value *list = NULL;
    int n = 0;
    xani_status st = xn_second_axis_open(ctx, config, index, &list, &n);
    for (int i = 0; st == XANI_OK && i < n; i++)
        st = process_one(ctx, list[i].config, index < 0 ? 0 : index, list[i].number, w);
    xn_second_axis_close(&list, &n);
    return st;
}

// Known before the hours that the runs take.
static xani_status spare_dispersion(xn_ctx *ctx, const xn_config *config, const char *dir)
{
    static const char *const none[] = {NULL};
    char *path = xn_format("%s/dispersion.h5", dir);
    if (path == NULL) return xn_fail_memory(ctx, "a path", sizeof "/dispersion.h5");
    xani_status st = xn_inputs_spare(ctx, path, XN_RESULT_DISPERSION, config, none);
    xn_free(path);
    return st;
}

// A file of the last run that is missing is told before the hours that the first ones take.
static xani_status check_files(xn_ctx *ctx, const xn_config *config, const whole *w, int n)
{
    for (int i = 0; i < n; i++) {
        char **files = NULL, key[XN_KEY_LENGTH], other[XN_KEY_LENGTH];
        if (w->has != NULL && !w->has[i]) continue;
        xani_status st = xn_source_files(ctx, config, i, &files);
        for (int k = 0; st == XANI_OK && files[k] != NULL; k++)
            if (access(files[k], F_OK) != 0) st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no such file", files[k]);
        if (st == XANI_OK) xn_h5_names_free(files);
        const char *name = xn_config_string(config, xn_key(key, "runs[%d].name", i));
        if (st != XANI_OK) return xn_context(ctx, st, "run %s", name != NULL ? name : xn_key(other, "%d", i + 1));
    }
    return XANI_OK;
}

static xani_status process_all(xn_ctx *ctx, const xn_config *config, whole *w, json_t *summary)
{
    const bool angles = xn_config_has(config, "reduce.second_axis");
    const int n = xn_source_runs(config);
    w->list = json_array();
    json_object_set_new(summary, "runs", w->list);
    XN_TRY(spare_dispersion(ctx, config, w->dir));
    XN_TRY(check_files(ctx, config, w, n));
    for (int i = 0; i < (n > 0 ? n : 1); i++) {
        int index = n > 0 ? i : -1;
        if (w->has != NULL && !w->has[i]) continue;
        XN_TRY(angles ? process_angles(ctx, config, index, w) : process_one(ctx, config, index, 0, w));
    }
    if (n == 1 && w->n == 1 && !angles) XN_TRY(xn_folder_link(ctx, w->dir, w->runs[0].name));
    XN_TRY(map_runs(ctx, config, w->dir, w->runs, w->n, summary));
    json_t *names = json_array();
    for (int i = 0; i < w->n; i++) json_array_append_new(names, json_string(w->runs[i].name));
    XN_TRY(xn_folder_contents(ctx, w->dir, names, xn_map_possible(config, &(const char *){NULL})));
    return xn_stage_judge(ctx, config, w->fitted, w->failed);
}

xani_status xn_pipeline_folder(xn_ctx *ctx, const xn_config *config, const char *dir, const bool *has, json_t *summary)
{
    whole w = {.dir = dir, .has = has};
    int lock = -1;
    json_object_set_new(summary, "directory", xn_json_text(dir));
    json_object_set_new(summary, "report", json_boolean(xn_config_bool(config, "output.report")));
    xani_status st = xn_make_dirs(ctx, dir);
    if (st == XANI_OK) st = xn_folder_lock(ctx, dir, &lock);
    if (st == XANI_OK) st = process_all(ctx, config, &w, summary);
    for (int i = 0; i < w.n; i++) end_run(&w.runs[i]);
    xn_free(w.runs);
    if (lock >= 0) close(lock);
    return st;
}

xani_status xn_pipeline_run(xn_ctx *ctx, const xn_config *config, const char *directory, json_t **summary)
{
    double start = xn_seconds();
    char *dir = NULL;
    const bool many =
        xn_config_has(config, "reduce.second_axis") && !xn_config_has(config, "reduce.second_axis.circle");
    *summary = json_object();
    xani_status st = folder_name(ctx, config, directory, &dir);
    if (st == XANI_OK)
        st = many ? xn_series_run(ctx, config, dir, *summary) : xn_pipeline_folder(ctx, config, dir, NULL, *summary);
    json_object_set_new(*summary, "seconds", json_real(xn_seconds() - start));
    xn_free(dir);
    return st;
}

// ---- the simulated experiment

// The layout cube of the simulation: its shots, reduced like any others, at full resolution.
static xani_status bin_shots(xn_ctx *ctx, const xn_config *config, xn_source *source, const char *prefix)
{
    xn_cube cube = {0};
    xani_status st = xn_reduce(ctx, config, source, &cube);
    if (st == XANI_OK) st = xn_result_write_field_cubes(ctx, prefix, XN_SIM_KIND, &cube);
    xn_cube_free(&cube);
    return st;
}

xani_status xn_pipeline_sim(xn_ctx *ctx, const xn_config *config, const char *directory)
{
    char *place;
    if (directory == NULL) return xn_sim_check(ctx, config);
    bool made;
    XN_TRY(xn_sim_begin(ctx, config, directory, &place, &made));
    xani_status st = xn_sim_write(ctx, config, place);
    if (st == XANI_OK) st = xn_sim_write_binned(ctx, config, place, bin_shots);
    return xn_sim_end(ctx, config, directory, &place, made, st);
}
