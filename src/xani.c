// SPDX-License-Identifier: BSD-3-Clause
// xani.c -- the public interface over the pipeline (xani.h says what each function does).
//
// Thin: clears the last error, calls the part that does the work, turns JSON objects into text.  Context and status
// are in core/core.c, the configuration in core/config.c, arrays in array.c.
#include <math.h>
#include <string.h>

#include "fit/fit.h"
#include "fit/linear_prediction.h"
#include "io/worker/worker.h"
#include "io/write/publish.h"
#include "physics/geometry.h"
#include "pipeline.h"
#include "source/recognise.h"
#include "xani/xani.h"

// How a call ends that answers in JSON: the object's text, which is released. A missing object leaves *text NULL.
static xani_status json_text(xn_ctx *ctx, xani_status st, json_t *object, char **text)
{
    st = xn_answer(ctx, st);
    if (object == NULL) return st;
    char *dump = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(object);
    *text = xn_strdup(dump);
    if (*text == NULL && st == XANI_OK) st = xn_fail_memory(ctx, "the answer", 4096);
    free(dump);
    return st;
}

xani_status xani_set_isolation(xani_context *context, int on)
{
    XN_BEGIN(context);
    char why[XN_WORKER_TEXT];
    return xn_worker_use(on, why) ? XANI_OK : xn_fail(context, XANI_ERR_INPUT, "isolation: %s", why);
}

xani_status xani_write_file(xani_context *context, const char *path, const void *bytes, size_t n)
{
    XN_BEGIN(context);
    XN_NEED(context, path);
    if (n > 0) XN_NEED(context, bytes);
    return xn_publish_text(context, path, n > 0 ? bytes : "", n, NULL);
}

xani_status xani_sim(xani_context *context, const xani_config *config, const char *directory)
{
    XN_BEGIN(context);
    XN_NEED(context, config);
    return xn_answer(context, xn_pipeline_sim(context, config, directory));
}

xani_status xani_run(xani_context *context, const xani_config *config, const char *directory, char **summary)
{
    if (summary != NULL) *summary = NULL;
    XN_BEGIN(context);
    XN_NEED(context, config);
    json_t *object = NULL;
    xani_status st = xn_pipeline_run(context, config, directory, &object);
    if (summary == NULL) {
        json_decref(object);
        return xn_answer(context, st);
    }
    return json_text(context, st, object, summary);
}

xani_status xani_reduce(xani_context *context, const xani_config *config, const char *cube_path)
{
    XN_BEGIN(context);
    XN_NEED(context, config);
    XN_NEED(context, cube_path);
    return xn_answer(context, xn_pipeline_reduce(context, config, cube_path));
}

xani_status xani_dark(xani_context *context, const xani_config *config, const char *calibration_path)
{
    XN_BEGIN(context);
    XN_NEED(context, config);
    return xn_answer(context, xn_pipeline_dark(context, config, calibration_path));
}

xani_status xani_config_stored(xani_context *context, const char *result_path, xani_config **config)
{
    XN_BEGIN(context);
    XN_NEED(context, result_path);
    XN_NEED(context, config);
    return xn_answer(context, xn_stage_configure(context, NULL, result_path, config));
}

xani_status xani_fit(xani_context *context, const xani_config *config, const char *cube_path, const char *modes_path)
{
    XN_BEGIN(context);
    XN_NEED(context, cube_path);
    XN_NEED(context, modes_path);
    return xn_answer(context, xn_pipeline_fit(context, config, cube_path, modes_path));
}

xani_status xani_map(xani_context *context, const xani_config *config, const char *const *modes_paths, size_t n_paths,
                     const char *dispersion_path)
{
    XN_BEGIN(context);
    XN_NEED(context, dispersion_path);
    XN_TRY(xn_need_all(context, __func__, "modes_paths", modes_paths, n_paths));
    return xn_answer(context, xn_pipeline_map(context, config, modes_paths, n_paths, dispersion_path, NULL));
}

xani_status xani_map_plan(xani_context *context, const xani_config *config, const char *const *modes_paths,
                          size_t n_paths, const char *dispersion_path, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, dispersion_path);
    XN_NEED(context, json);
    *json = NULL;
    XN_TRY(xn_need_all(context, __func__, "modes_paths", modes_paths, n_paths));
    json_t *object = NULL;
    xani_status st = xn_pipeline_map(context, config, modes_paths, n_paths, dispersion_path, &object);
    return json_text(context, st, object, json);
}

xani_status xani_merge(xani_context *context, const char *const *cube_paths, size_t n_paths, const char *output_path)
{
    XN_BEGIN(context);
    XN_NEED(context, output_path);
    XN_TRY(xn_need_all(context, __func__, "cube_paths", cube_paths, n_paths));
    return xn_answer(context, xn_pipeline_merge(context, cube_paths, n_paths, output_path));
}

// ---- questions

xani_status xani_info(xani_context *context, const char *const *paths, size_t n_paths, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, json);
    *json = NULL;
    XN_TRY(xn_need_all(context, __func__, "paths", paths, n_paths));
    return xn_answer(context, xn_source_info(context, paths, n_paths, json));
}

xani_status xani_init(xani_context *context, const char *const *paths, size_t n_paths, char **yaml)
{
    XN_BEGIN(context);
    XN_NEED(context, yaml);
    *yaml = NULL;
    XN_TRY(xn_need_all(context, __func__, "paths", paths, n_paths));
    return xn_answer(context, xn_source_init(context, paths, n_paths, yaml));
}

xani_status xani_detector(xani_context *context, const xani_config *config, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, json);
    *json = NULL;
    XN_NEED(context, config);
    return xn_answer(context, xn_source_detector(context, config, json));
}

static xani_status pixels_q(xn_ctx *ctx, const xn_config *config, const xn_geometry *g, double **q)
{
    double energy_kev = xn_config_double(config, "experiment.energy_kev");
    if (isnan(energy_kev)) energy_kev = g->energy_kev;
    if (isnan(energy_kev))
        return xn_config_require(ctx, config, "experiment.energy_kev", "momentum transfer needs the photon energy");
    size_t n = (size_t)(g->ny * g->nx);
    *q = xn_alloc(3 * n, sizeof **q);
    if (*q == NULL) return xn_fail_memory(ctx, "momentum transfers", 3 * n * sizeof **q);
    xn_geometry_q(g->position, (int64_t)n, energy_kev, *q);
    return XANI_OK;
}

xani_status xani_pixels(xani_context *context, const xani_config *config, int64_t shape[2], float **position,
                        double **q, uint8_t **mask)
{
    XN_BEGIN(context);
    XN_NEED(context, shape);
    XN_NEED(context, position);
    XN_NEED(context, mask);
    XN_NEED(context, config);
    xn_geometry g;
    *position = NULL;
    *mask = NULL;
    if (q != NULL) *q = NULL;
    xani_status st = xn_geometry_load(context, config, 0, 0, &g);
    if (st != XANI_OK) return xn_answer(context, st);
    if (q != NULL) st = pixels_q(context, config, &g, q);
    if (st == XANI_OK) {
        shape[0] = g.ny;
        shape[1] = g.nx;
        *position = g.position;
        *mask = g.bad;
        g.position = NULL;
        g.bad = NULL;
    }
    xn_geometry_free(&g);
    return xn_answer(context, st);
}

xani_status xani_check(xani_context *context, const xani_config *config, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, json);
    *json = NULL;
    XN_NEED(context, config);
    json_t *object = NULL;
    xani_status st = xn_plan_check(context, config, &object);
    return json_text(context, st, object, json);
}

xani_status xani_index(xani_context *context, const xani_config *config, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, json);
    *json = NULL;
    XN_NEED(context, config);
    json_t *object = NULL;
    xani_status st = xn_index(context, config, &object);
    return json_text(context, st, object, json);
}

xani_status xani_plan(xani_context *context, const xani_config *config, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, json);
    *json = NULL;
    XN_NEED(context, config);
    json_t *object = NULL;
    xani_status st = xn_plan_budget(context, config, &object);
    return json_text(context, st, object, json);
}

xani_status xani_verify(xani_context *context, const char *const *paths, size_t n_paths, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, json);
    *json = NULL;
    XN_TRY(xn_need_all(context, __func__, "paths", paths, n_paths));
    json_t *object = NULL;
    xani_status st = xn_verify(context, paths, n_paths, &object);
    return json_text(context, st, object, json);
}

xani_status xani_machine(xani_context *context, char **json)
{
    XN_BEGIN(context);
    XN_NEED(context, json);
    *json = NULL;
    json_t *object = NULL;
    xani_status st = xn_machine(context, &object);
    return json_text(context, st, object, json);
}

xani_status xani_model_fit_file(xani_context *context, const xani_config *config, const xani_model *model,
                                const xani_model_options *options, const xani_model_file *file, const char *output,
                                char **summary)
{
    if (summary != NULL) *summary = NULL;
    XN_BEGIN(context);
    json_t *object = NULL;
    xani_status st = xn_pipeline_fit_model(context, config, model, options, file, output, &object);
    if (summary == NULL) {
        json_decref(object);
        return xn_answer(context, st);
    }
    return json_text(context, st, object, summary);
}

// ---- traces in memory

void xani_fit_options_init(xani_fit_options *options)
{
    if (options == NULL) return;
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
    options->modes_max = 3;
    options->kernels = "auto";
}

xani_status xani_fit_threshold(xani_context *context, const xani_fit_options *options, const double *delay_ps,
                               int64_t n_delays, double *significance, double *false_alarm)
{
    XN_BEGIN(context);
    XN_NEED(context, significance);
    XN_NEED(context, delay_ps);
    return xn_fit_threshold_of(context, options, delay_ps, n_delays, significance, false_alarm);
}

xani_status xani_fit_traces(xani_context *context, const xani_fit_options *options, const float *traces,
                            const double *delay_ps, int64_t n_delays, int64_t n_traces, const float *sigma,
                            xani_fit_result *results)
{
    XN_BEGIN(context);
    if (n_delays < 0 || n_traces < 0)
        return xn_fail(context, XANI_ERR_USAGE, "%lld delays, %lld traces: negative", (long long)n_delays,
                       (long long)n_traces);
    if (n_traces > 0) {
        XN_NEED(context, traces);
        XN_NEED(context, delay_ps);
        XN_NEED(context, results);
    }
    return xn_answer(context, xn_fit_traces(context, options, traces, delay_ps, n_delays, n_traces, sigma, results));
}

void xani_lp_options_init(xani_lp_options *options)
{
    if (options != NULL) xn_lp_options_init(options);
}

xani_status xani_linear_prediction(xani_context *context, const xani_lp_options *options, const double *traces,
                                   const double *delay_ps, int64_t n_delays, int64_t n_traces, int components_max,
                                   xani_lp_component *components, xani_lp_result *results)
{
    XN_BEGIN(context);
    if (n_traces > 0) {
        XN_NEED(context, traces);
        XN_NEED(context, delay_ps);
        XN_NEED(context, components);
        XN_NEED(context, results);
    }
    return xn_answer(context, xn_linear_prediction(context, options, traces, delay_ps, n_delays, n_traces,
                                                   components_max, components, results));
}
