// SPDX-License-Identifier: BSD-3-Clause
// fit_model.c -- see fit_bench.h: the same traces by the general least squares (xani_model_fit), as lmder is run.
//
// The model is the expression "damped_cosines1 + constant", double precision, one thread, from the HSVD starts whose
// time is not counted; values and errors are asked for.  It shows what a user of any other model can expect.
#include <stdio.h>

#include "bench/fit_bench.h"

typedef struct {
    xani_model *model;
    double *y, *start, *values, *errors;
    int parameters,
        place[4 * XN_TRACE_MODES + 1]; // where A, f, g, phase of each mode and the offset stand in the model
} work;

static xani_status work_create(const xn_fit_bench *s, int64_t n, work *w)
{
    static const char *const names[] = {"amplitude", "frequency", "damping", "phase"};
    xani_context *context = s->bench->context;
    const int p = 4 * s->t.modes + 1;
    char text[64];
    snprintf(text, sizeof text, "damped_cosines%d + constant", s->t.modes);
    XN_TRY(xani_model_create(context, text, NULL, 0, &w->model));
    w->parameters = xani_model_count(w->model);
    if (w->parameters != p) return xn_fail(context, XANI_ERR_INTERNAL, "%s has %d parameters", text, w->parameters);
    w->place[p - 1] = p - 1;
    for (int i = 0; i < p - 1; i++) {
        snprintf(text, sizeof text, "%s%d", names[i % 4], i / 4 + 1);
        w->place[i] = xani_model_find(w->model, text);
        if (w->place[i] < 0) return xn_fail(context, XANI_ERR_INTERNAL, "the model has no %s", text);
    }
    const size_t count = (size_t)n * (size_t)p, samples = (size_t)n * (size_t)s->t.samples;
    w->y = xn_alloc(samples, sizeof(double));
    w->start = xn_alloc(count, sizeof(double));
    w->values = xn_alloc(count, sizeof(double));
    w->errors = xn_alloc(count, sizeof(double));
    if (!w->y || !w->start || !w->values || !w->errors) return xn_fail_memory(context, "traces", samples * 8);
    for (size_t i = 0; i < samples; i++) w->y[i] = (double)s->t.y[i];
    for (size_t i = 0; i < count; i++)
        w->start[i / (size_t)p * (size_t)p + (size_t)w->place[i % (size_t)p]] = s->t.start[i];
    return XANI_OK;
}

static void work_free(work *w)
{
    xani_model_destroy(&w->model);
    xn_free(w->y);
    xn_free(w->start);
    xn_free(w->values);
    xn_free(w->errors);
}

static xani_status work_run(const xn_fit_bench *s, int64_t n, work *w, xn_peer_answer *out)
{
    xani_model_data data;
    xani_model_options options;
    xani_model_results results;
    xani_model_data_init(&data);
    xani_model_options_init(&options);
    xani_model_results_init(&results);
    data.n_sets = n;
    data.n_points = s->t.samples;
    data.x = s->t.delay_ps;
    data.y = w->y;
    data.start = w->start;
    options.threads = 1;
    results.values = w->values;
    results.errors = w->errors;
    const double start = xn_bench_cpu_seconds();
    XN_TRY(xani_model_fit(s->bench->context, w->model, &data, &options, &results));
    out->rate = (double)n / (xn_bench_cpu_seconds() - start);
    int64_t good = 0;
    for (int64_t i = 0; i < n; i++) {
        double f[XN_TRACE_MODES] = {0};
        int order[XN_TRACE_MODES];
        for (int k = 0; k < s->t.modes; k++) f[k] = w->values[i * w->parameters + w->place[4 * k + 1]];
        good += xn_truth_found(&s->t.truth[i], f, order);
    }
    out->success = (double)good / (double)n;
    out->why[0] = '\0';
    return XANI_OK;
}

xani_status xn_fit_bench_model(xn_fit_bench *s, const xn_fit_case *c, xn_peer_answer *out)
{
    const int64_t n = 1500;
    work w = {0};
    (void)c;
    xani_status st = work_create(s, n, &w);
    if (st == XANI_OK) st = work_run(s, n, &w, out);
    work_free(&w);
    return st;
}
