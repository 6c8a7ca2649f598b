// SPDX-License-Identifier: BSD-3-Clause
// stages.c -- stages alone (xani reduce, fit; map in map_file.c), and the pieces that pipeline.c shares with them.
//
// A stage alone reads the file of the stage before it.  Without a configuration, fit and map take the one stored in
// their input, and store it again in their output.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "fit/fit.h"
#include "identity.h"
#include "io/write/publish.h"
#include "map/map.h"
#include "pipeline.h"
#include "reduce/reduce.h"
#include "source/source.h"

// ---- shared with pipeline.c

xani_status xn_stage_cube(xn_ctx *ctx, const xn_config *config, int index, bool to_map, const xn_stage_place *place,
                          xn_cube *cube)
{
    xn_source *source = NULL;
    xn_warnings_forget(ctx); // those of what failed before
    xani_status st = xn_source_open(ctx, config, index, &source);
    if (st == XANI_OK && to_map) st = xn_stage_check_fit(ctx, config);
    if (st == XANI_OK && to_map) st = xn_plan_check_map(ctx, config, source->ny, source->nx, source->grouped);
    if (st == XANI_OK) st = xn_stage_reduce(ctx, config, source, place, cube);
    xn_source_close(&source);
    return st;
}

// ---- what was done

json_t *xn_stage_count(const xn_modes *m, int64_t *fitted, int64_t *failed)
{
    int64_t n[6] = {0};
    for (int64_t i = 0; i < m->ny * m->nx; i++)
        if (m->status[i] < 6) n[m->status[i]]++;
    int64_t pixels = m->ny * m->nx, masked = n[XN_FIT_MASKED], all = pixels - masked;
    *fitted += all;
    *failed += n[XN_FIT_NOT_CONVERGED];
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pixels", (json_int_t)pixels, "masked", (json_int_t)masked,
                     "with_modes", (json_int_t)n[XN_FIT_MODES], "without_modes", (json_int_t)n[XN_FIT_NONE],
                     "too_few_delays", (json_int_t)n[XN_FIT_FEW_DELAYS], "not_converged",
                     (json_int_t)n[XN_FIT_NOT_CONVERGED], "at_a_bound", (json_int_t)n[XN_FIT_AT_BOUND]);
}

xani_status xn_stage_judge(xn_ctx *ctx, const xn_config *config, int64_t fitted, int64_t failed)
{
    double most = xn_config_double(config, "fit.max_failed");
    if (fitted == 0 || (double)failed <= most * (double)fitted) return XANI_OK;
    return xn_fail(ctx, XANI_FAILED_PIXELS, "%lld of %lld pixels did not converge, more than fit.max_failed = %g",
                   (long long)failed, (long long)fitted, most);
}

// ---- map

xani_status xn_stage_map(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n,
                         const char *const *inputs, const char *identity, const char *path, json_t *summary)
{
    xn_dispersion d = {0};
    xn_trace_files *files = NULL;
    xn_traces traces;
    double start = xn_seconds();
    char **all = NULL;
    XN_TRY(xn_inputs_map(ctx, config, inputs, &all));
    xani_status st = xn_trace_files_spare(ctx, inputs, path);
    if (st == XANI_OK) st = xn_inputs_spare(ctx, path, XN_RESULT_DISPERSION, config, (const char *const *)all);
    if (st == XANI_OK && xn_config_bool(config, "map.average_traces"))
        st = xn_trace_files_open(ctx, modes, inputs, &files, &traces);
    if (st == XANI_OK) st = xn_map(ctx, config, modes, n, files != NULL ? &traces : NULL, &d);
    xn_trace_files_close(&files);
    const xn_provenance p = {
        .config = config, .inputs = (const char *const *)all, .identity = identity, .energy_kev = d.energy_kev};
    if (st == XANI_OK) st = xn_result_write_dispersion(ctx, path, &d, &p);
    if (st == XANI_OK && summary != NULL)
        json_object_set_new(summary, "dispersion",
                            json_pack("{s:o, s:s, s:I, s:I, s:i, s:f}", "path", xn_json_text(path), "map", "done",
                                      "points", (json_int_t)d.points.n, "combination_points",
                                      (json_int_t)d.combinations.n, "branches", d.n_branches, "map_seconds",
                                      xn_seconds() - start));
    xn_dispersion_free(&d);
    xn_h5_names_free(all);
    return st;
}

// ---- stages alone

xani_status xn_stage_spare(xn_ctx *ctx, const xn_cube_name *name, char ***inputs)
{
    XN_TRY(xn_inputs_find(ctx, name->config, name->index, inputs));
    xani_status st = xn_inputs_spare(ctx, name->path, XN_RESULT_CUBE, name->config, (const char *const *)*inputs);
    return st == XANI_OK ? xn_field_pair_spare(ctx, name, (const char *const *)*inputs) : st;
}

xani_status xn_stage_reduce_one(xn_ctx *ctx, const xn_cube_name *name)
{
    xn_cube cube = {0};
    char **inputs = NULL, *identity = NULL;
    const xn_config *config = name->config;
    const char *cube_path = name->path;
    xani_status st;
    XN_GOTO(out, st, xn_stage_spare(ctx, name, &inputs));
    XN_GOTO(out, st, xn_identity_reduce(ctx, config, name->index, inputs, &identity));
    const xn_stage_place place = {cube_path, identity, (const char *const *)inputs};
    XN_GOTO(out, st, xn_stage_cube(ctx, config, name->index, false, &place, &cube));
    const xn_provenance p = {.config = config, .inputs = (const char *const *)inputs, .identity = identity};
    XN_GOTO(out, st, xn_result_write_cube(ctx, cube_path, &cube, &p));
    xn_stage_forget(cube_path);
    st = xn_field_pair_write(ctx, name, &cube);
out:
    xn_cube_free(&cube);
    xn_h5_names_free(inputs);
    xn_free(identity);
    return st;
}

xani_status xn_pipeline_reduce(xn_ctx *ctx, const xn_config *config, const char *cube_path)
{
    const int n = xn_source_runs(config), index = n == 1 ? 0 : -1;
    const xn_cube_name name = {config, cube_path, index, 0};
    if (n > 1)
        return xn_fail(ctx, XANI_ERR_CONFIG, "%s: %d runs, but one cube; xani run makes a cube of each",
                       xn_config_name(config), n);
    if (xn_config_has(config, "reduce.second_axis")) return xn_second_axis_reduce(ctx, config, index, cube_path);
    return xn_stage_reduce_one(ctx, &name);
}

// What is stored with the modes: the given configuration, else the cube's own, so that xani map can go on from it.
xani_status xn_stage_configure(xn_ctx *ctx, const xn_config *given, const char *cube_path, xn_config **config)
{
    if (given != NULL) return xn_config_copy(ctx, given, config);
    char *yaml = NULL, *base = NULL;
    bool stored = xn_result_read_config(ctx, cube_path, &yaml, &base) == XANI_OK && yaml != NULL;
    xn_clear_error(ctx);
    xani_status st = xn_config_parse(ctx, stored ? yaml : "", cube_path, stored && base ? base : ".", config);
    xn_free(yaml);
    xn_free(base);
    return st;
}

// With fit.start given the modes to start from are read here: the fit itself knows no files.
static xani_status read_start(xn_ctx *ctx, const xn_config *config, xn_modes *start, bool *given)
{
    const bool wanted = strcmp(xn_config_string(config, "fit.start"), "given") == 0;
    char *path = wanted ? xn_config_path(config, "fit.start_modes") : NULL;
    xani_status st = XANI_OK;
    *given = path != NULL;
    if (path != NULL) st = xn_context(ctx, xn_result_read_modes(ctx, path, start), "fit.start_modes");
    xn_free(path);
    return st;
}

xani_status xn_stage_fit(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, xn_modes *modes)
{
    xn_modes start = {0};
    bool given;
    xani_status st = read_start(ctx, config, &start, &given);
    if (st == XANI_OK) st = xn_fit(ctx, config, cube, given ? &start : NULL, modes);
    xn_modes_free(&start);
    return st;
}

xani_status xn_stage_check_fit(xn_ctx *ctx, const xn_config *config)
{
    xn_modes start = {0};
    bool given;
    xani_status st = read_start(ctx, config, &start, &given);
    if (st == XANI_OK) st = xn_fit_check(ctx, config, given ? &start : NULL);
    xn_modes_free(&start);
    return st;
}

xani_status xn_pipeline_fit(xn_ctx *ctx, const xn_config *given, const char *cube_path, const char *modes_path)
{
    xn_config *config = NULL;
    xn_cube cube = {0};
    xn_modes modes = {0};
    char *identity = NULL;
    int64_t fitted = 0, failed = 0;
    const char *const inputs[] = {cube_path, NULL};
    xani_status st;
    XN_GOTO(out, st, xn_inputs_spare_cube(ctx, modes_path, XN_RESULT_MODES, given, cube_path));
    XN_GOTO(out, st, xn_stage_configure(ctx, given, cube_path, &config));
    XN_GOTO(out, st, xn_stage_open_cube(ctx, config, cube_path, &cube));
    st = xn_stage_fit(ctx, config, &cube, &modes);
    if (st == XANI_ERR_INPUT) st = xn_context(ctx, st, "%s", cube_path);
    if (st != XANI_OK) goto out;
    XN_GOTO(out, st, xn_identity_fit(ctx, config, cube_path, &identity));
    const xn_provenance p = {.config = config, .inputs = inputs, .identity = identity};
    XN_GOTO(out, st, xn_result_write_modes(ctx, modes_path, &modes, &p));
    json_decref(xn_stage_count(&modes, &fitted, &failed));
    st = xn_stage_judge(ctx, config, fitted, failed);
out:
    xn_free(identity);
    xn_modes_free(&modes);
    xn_cube_free(&cube);
    xani_config_destroy(&config);
    return st;
}
