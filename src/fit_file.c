// SPDX-License-Identifier: BSD-3-Clause
// fit_file.c -- xani fit --model: any model on every trace of a cube or of a dataset, into a NeXus file.
//
// Errors of a cube's samples are those of the fit of oscillations (fit/samples.h): each pixel's, averaged over the
// delays by their weights.  The errors of single samples are estimates from the shots of one bin: of two or three shots
// they come out tiny by chance, and the trace would follow such samples.
//
// A trace runs along one axis of the dataset; all other axes are those of the result.  Traces are taken in blocks, so
// that the copy in double precision stays small whatever the size of the cube.
#include <math.h>
#include <string.h>

#include "core/config.h"
#include "core/text.h"
#include "fit/samples.h"
#include "identity.h"
#include "io/h5.h"
#include "lsq/lsq.h"
#include "pipeline.h"

#define BLOCK 4096 // traces

typedef struct traces {
    const xani_model_file *file;
    int64_t n_points, outer, inner; // the axis of the traces, and what lies outside and inside of it
    int rank;                       // of the result
    int64_t dims[XANI_MAX_RANK];
    float *y32, *sigma32; // either precision, as in the file; of a cube sigma32 is that of weight 1, by pixel
    double *y, *sigma, *x;
    const uint32_t *mask; // (outer * inner) or NULL; 0: good
    bool sigma_is_shared; // one sigma per point, for all traces
    bool counting;        // errors from counting
    double *scale;        // (n_points) of a cube: root of the delay's weight, 0: left out
    xn_cube cube;         // what the above borrow from, when the input is a cube
} traces;

static void traces_free(traces *t)
{
    if (t->cube.signal == NULL) {
        xn_free(t->y32);
        xn_free(t->x);
    }
    xn_free(t->sigma32);
    xn_free(t->scale);
    xn_free(t->y);
    xn_free(t->sigma);
    xn_cube_free(&t->cube);
}

// ---- reading

static xani_status take_errors(xn_ctx *ctx, const xn_config *config, traces *t)
{
    const xn_cube *c = &t->cube;
    const int64_t plane = c->ny * c->nx;
    int weights_from = 0;
    bool any = false;
    t->scale = xn_alloc((size_t)c->nbins, sizeof *t->scale);
    t->sigma32 = xn_alloc((size_t)plane, sizeof *t->sigma32);
    if (t->scale == NULL || t->sigma32 == NULL)
        return xn_fail_memory(ctx, "the errors of the pixels", (size_t)plane * sizeof *t->sigma32);
    XN_TRY(xn_fit_weights(ctx, c, t->scale, &weights_from));
    for (int i = 0; i < c->nbins; i++) t->scale[i] = sqrt(t->scale[i]);
    if (c->errors_counting)
        xn_fit_cube_sigma(c, t->scale, xn_threads((int)xn_config_int(config, "engine.threads")), t->sigma32);
    for (int64_t i = 0; i < plane && c->errors_counting; i++) any |= isfinite(t->sigma32[i]) && c->mask[i] == 0;
    t->counting = any;
    if (any) return XANI_OK;
    if (c->errors_counting)
        xn_warn(ctx, "fit: no error in /entry/cube/signal_errors is a number above 0: errors come from the residual");
    for (int64_t i = 0; i < plane; i++) t->sigma32[i] = 1.0F;
    return XANI_OK;
}

static xani_status take_cube(xn_ctx *ctx, xn_config *config, traces *t)
{
    xn_cube *c = &t->cube;
    XN_TRY(xn_stage_open_cube(ctx, config, t->file->input, c));
    t->n_points = c->nbins;
    t->outer = 1;
    t->inner = c->ny * c->nx;
    t->rank = 2;
    t->dims[0] = c->ny;
    t->dims[1] = c->nx;
    t->y32 = c->signal;
    t->x = c->delay_ps;
    t->mask = c->mask;
    return take_errors(ctx, config, t);
}

static xani_status read_numbers(xn_ctx *ctx, const xn_h5 *h5, const char *name, xn_h5_info *info, float **f32,
                                double **f64)
{
    XN_TRY(xn_h5_info_get(ctx, h5, name, info));
    if (info->is_group || info->type == XN_STR || info->type == XN_OTHER || info->rank < 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is not an array of numbers", xn_h5_path(h5), name);
    if (info->type == XN_F32) return xn_h5_read_f32(ctx, h5, name, f32, NULL);
    return xn_h5_read_f64(ctx, h5, name, f64, NULL);
}

static xani_status read_x(xn_ctx *ctx, const xn_h5 *h5, traces *t)
{
    int64_t n = 0;
    if (t->file->x == NULL) return XANI_OK;
    XN_TRY(xn_h5_read_f64(ctx, h5, t->file->x, &t->x, &n));
    if (n == t->n_points) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld values, the traces of %s %lld samples", xn_h5_path(h5),
                   t->file->x, (long long)n, t->file->data, (long long)t->n_points);
}

static xani_status read_sigma(xn_ctx *ctx, const xn_h5 *h5, const xn_h5_info *data, traces *t)
{
    xn_h5_info info;
    const char *name = t->file->sigma;
    if (name == NULL) return XANI_OK;
    XN_TRY(read_numbers(ctx, h5, name, &info, &t->sigma32, &t->sigma));
    t->sigma_is_shared = info.rank == 1 && info.dims[0] == t->n_points && data->rank > 1;
    if (t->sigma_is_shared ||
        (info.rank == data->rank && memcmp(info.dims, data->dims, (size_t)info.rank * sizeof *info.dims) == 0))
        return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has neither the shape of %s nor one value per sample", xn_h5_path(h5),
                   name, t->file->data);
}

static xani_status read_dataset(xn_ctx *ctx, const xn_h5 *h5, traces *t)
{
    xn_h5_info info;
    XN_TRY(read_numbers(ctx, h5, t->file->data, &info, &t->y32, &t->y));
    const int axis = t->file->axis < 0 ? t->file->axis + info.rank : t->file->axis;
    if (axis < 0 || axis >= info.rank)
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: %s has %d axes, none is number %d", xn_h5_path(h5), t->file->data,
                       info.rank, t->file->axis);
    t->n_points = info.dims[axis];
    t->outer = t->inner = 1;
    for (int d = 0; d < info.rank; d++) {
        if (d < axis) t->outer *= info.dims[d];
        if (d > axis) t->inner *= info.dims[d];
        if (d != axis) t->dims[t->rank++] = info.dims[d];
    }
    if (t->n_points * t->outer * t->inner == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is empty: %lld traces of %lld samples", xn_h5_path(h5),
                       t->file->data, (long long)t->outer * (long long)t->inner, (long long)t->n_points);
    XN_TRY(read_x(ctx, h5, t));
    return read_sigma(ctx, h5, &info, t);
}

static xani_status take(xn_ctx *ctx, xn_config *config, traces *t)
{
    if (t->file->data == NULL) {
        if (t->file->x != NULL || t->file->sigma != NULL)
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: x and sigma are named together with a dataset of data",
                           t->file->input);
        return take_cube(ctx, config, t);
    }
    xn_h5 *h5 = NULL;
    XN_TRY(xn_h5_open(ctx, t->file->input, &h5));
    xani_status st = read_dataset(ctx, h5, t);
    xn_h5_close(&h5);
    return st;
}

static bool is_used(const traces *t, int64_t s)
{
    const double *range = t->file->range, x = t->x != NULL ? t->x[s] : (double)s;
    return !(x < range[0]) && !(x > range[1]); // NaN: no limit
}

// A range that holds no sample would leave every trace masked.
static xani_status check_range(xn_ctx *ctx, const traces *t)
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t s = 0; s < t->n_points; s++) {
        if (is_used(t, s)) return XANI_OK;
        low = fmin(low, t->x != NULL ? t->x[s] : (double)s);
        high = fmax(high, t->x != NULL ? t->x[s] : (double)s);
    }
    if (t->n_points == 0) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_USAGE, "%s: no sample lies in the range %g to %g; they go from %g to %g",
                   t->file->input, t->file->range[0], t->file->range[1], low, high);
}

// ---- one block

typedef struct block {
    double *y, *sigma, *values, *errors, *covariance;
} block;

static double sample(const float *f32, const double *f64, int64_t at)
{
    if (f32 != NULL) return f32[at];
    return f64 != NULL ? f64[at] : NAN;
}

static void load(const traces *t, int64_t first, int64_t count, block *b)
{
    const bool sigma = b->sigma != NULL && !t->sigma_is_shared;
    for (int64_t s = 0; s < t->n_points; s++) {
        const bool used = is_used(t, s);
        for (int64_t q = 0; q < count; q++) {
            const int64_t trace = first + q, o = trace / t->inner, i = trace % t->inner;
            const int64_t at = (o * t->n_points + s) * t->inner + i;
            const bool good = used && (t->mask == NULL || t->mask[trace] == 0);
            b->y[q * t->n_points + s] = good ? sample(t->y32, t->y, at) : NAN;
            if (sigma && t->scale != NULL) // a weight of 0 leaves the sample out
                b->sigma[q * t->n_points + s] = t->scale[s] > 0.0 ? (double)t->sigma32[trace] / t->scale[s] : NAN;
            else if (sigma)
                b->sigma[q * t->n_points + s] = sample(t->sigma32, t->sigma, at);
        }
    }
}

// Results of a block, set by set, to planes of parameters.
static void scatter(const xn_fit_planes *p, const block *b, int64_t first, int64_t count)
{
    const int n = p->n_parameters;
    for (int64_t q = 0; q < count; q++)
        for (int k = 0; k < n; k++) {
            p->values[k * p->n_traces + first + q] = b->values[q * n + k];
            p->errors[k * p->n_traces + first + q] = b->errors[q * n + k];
            for (int l = 0; l < n && p->covariance != NULL; l++)
                p->covariance[(k * n + l) * p->n_traces + first + q] = b->covariance[(q * n + k) * n + l];
        }
}

static xani_status fit_blocks(xn_ctx *ctx, const xani_model *m, const xani_model_options *options, const traces *t,
                              block *b, xn_fit_planes *p)
{
    double *shared = NULL;
    if (t->sigma_is_shared && b->sigma != NULL) {
        shared = b->sigma;
        for (int64_t s = 0; s < t->n_points; s++) shared[s] = sample(t->sigma32, t->sigma, s);
    }
    for (int64_t first = 0; first < p->n_traces; first += BLOCK) {
        const int64_t count = xn_min64(BLOCK, p->n_traces - first);
        load(t, first, count, b);
        xani_model_data data;
        xani_model_data_init(&data);
        data.n_sets = count;
        data.n_points = t->n_points;
        data.x = t->x;
        data.y = b->y;
        data.sigma = b->sigma;
        data.sigma_set = t->sigma_is_shared ? 0 : t->n_points;
        xani_model_results r;
        xani_model_results_init(&r);
        r.values = b->values;
        r.errors = b->errors;
        r.covariance = b->covariance;
        r.chi2 = p->chi2 + first;
        r.chi2_reduced = p->chi2_reduced + first;
        r.aic = p->aic + first;
        r.bic = p->bic + first;
        r.points = p->points + first;
        r.evaluations = p->evaluations + first;
        r.status = p->status + first;
        XN_TRY(xn_model_fit_part(ctx, m, &data, options, &r, first, p->n_traces));
        scatter(p, b, first, count);
    }
    return XANI_OK;
}

// ---- the whole

static xani_status block_alloc(xn_ctx *ctx, const traces *t, int n, bool covariance, block *b)
{
    const bool sigma = t->sigma != NULL || t->sigma32 != NULL;
    const size_t samples = (size_t)BLOCK * (size_t)t->n_points;
    b->y = xn_alloc(samples, sizeof *b->y);
    if (sigma) b->sigma = xn_alloc(samples, sizeof *b->sigma);
    b->values = xn_alloc((size_t)BLOCK * (size_t)n, sizeof *b->values);
    b->errors = xn_alloc((size_t)BLOCK * (size_t)n, sizeof *b->errors);
    if (covariance) b->covariance = xn_alloc((size_t)BLOCK * (size_t)n * (size_t)n, sizeof *b->covariance);
    const bool good = b->y && b->values && b->errors && (!sigma || b->sigma) && (!covariance || b->covariance);
    return good ? XANI_OK : xn_fail_memory(ctx, "a block of traces", samples * sizeof *b->y);
}

static void block_free(block *b)
{
    xn_free(b->y);
    xn_free(b->sigma);
    xn_free(b->values);
    xn_free(b->errors);
    xn_free(b->covariance);
}

static xani_status fit_all(xn_ctx *ctx, const xn_config *config, const xani_model *m, const xani_model_options *options,
                           const traces *t, xn_fit_planes *p)
{
    block b = {0};
    xani_model_options own = *options;
    const bool sigma = t->sigma != NULL || t->sigma32 != NULL;
    if (own.threads == 0) own.threads = (int)xn_config_int(config, "engine.threads");
    own.absolute_sigma = sigma && options->absolute_sigma && (t->scale == NULL || t->counting);
    p->errors_from = !own.absolute_sigma ? "residual" : t->counting ? "counting" : "sigma";
    p->is_cube = t->file->data == NULL;
    p->data = t->file->data;
    p->x = t->file->x;
    xani_status st = block_alloc(ctx, t, xani_model_count(m), p->covariance != NULL, &b);
    if (st == XANI_OK) st = fit_blocks(ctx, m, &own, t, &b, p);
    block_free(&b);
    return st;
}

static json_t *count(const xn_fit_planes *p, const char *path, int64_t *fitted, int64_t *failed)
{
    int64_t n[XANI_MODEL_BAD_START + 1] = {0};
    for (int64_t i = 0; i < p->n_traces; i++)
        if (p->status[i] <= XANI_MODEL_BAD_START) n[p->status[i]]++;
    *fitted = p->n_traces - n[XANI_MODEL_MASKED];
    const json_int_t stuck = n[XANI_MODEL_NOT_CONVERGED] + n[XANI_MODEL_BAD_START];
    *failed = n[XANI_MODEL_NOT_CONVERGED] + n[XANI_MODEL_SINGULAR] + n[XANI_MODEL_BAD_START];
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "written", xn_json_text(path), "traces",
                     (json_int_t)p->n_traces, "masked", (json_int_t)n[XANI_MODEL_MASKED], "converged",
                     (json_int_t)n[XANI_MODEL_CONVERGED], "at_a_bound", (json_int_t)n[XANI_MODEL_AT_BOUND],
                     "too_few_points", (json_int_t)n[XANI_MODEL_FEW_POINTS], "not_converged", stuck, "singular",
                     (json_int_t)n[XANI_MODEL_SINGULAR]);
}

static xani_status run(xn_ctx *ctx, const xn_config *given, const xani_model *m, const xani_model_options *options,
                       const xani_model_file *file, const char *output, json_t **summary)
{
    xn_config *config = NULL;
    traces t = {.file = file};
    xn_fit_planes planes = {0};
    int64_t fitted = 0, failed = 0;
    const char *const inputs[] = {file->input, NULL};
    xani_status st;
    XN_GOTO(out, st, xn_inputs_spare_cube(ctx, output, XN_RESULT_FIT, given, file->input));
    XN_GOTO(out, st, xn_stage_configure(ctx, given, file->input, &config));
    XN_GOTO(out, st, take(ctx, config, &t));
    XN_GOTO(out, st, check_range(ctx, &t));
    XN_GOTO(out, st, xn_fit_planes_alloc(ctx, m, t.rank, t.dims, file->covariance != 0, &planes));
    XN_GOTO(out, st, fit_all(ctx, config, m, options, &t, &planes));
    const xn_provenance p = {.config = config, .inputs = inputs};
    XN_GOTO(out, st, xn_result_write_fit(ctx, output, &planes, &p));
    *summary = count(&planes, output, &fitted, &failed);
    st = xn_stage_judge(ctx, config, fitted, failed);
out:
    xn_fit_planes_free(&planes);
    traces_free(&t);
    xani_config_destroy(&config);
    return st;
}

void xani_model_file_init(xani_model_file *file)
{
    if (file == NULL) return;
    memset(file, 0, sizeof *file);
    file->size = sizeof *file;
    file->range[0] = file->range[1] = NAN;
}

xani_status xn_pipeline_fit_model(xn_ctx *ctx, const xn_config *config, const xani_model *model,
                                  const xani_model_options *options, const xani_model_file *file, const char *output,
                                  json_t **summary)
{
    if (file == NULL || file->size != sizeof *file || file->input == NULL || output == NULL)
        return xn_fail(ctx, XANI_ERR_USAGE,
                       "a file to fit is described by xani_model_file_init of this version, with an input");
    if (model == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "%s: model is NULL", file->input);
    xani_model_options fallback;
    xani_model_options_init(&fallback);
    fallback.absolute_sigma = 1;
    return run(ctx, config, model, options != NULL ? options : &fallback, file, output, summary);
}
