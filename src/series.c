// SPDX-License-Identifier: BSD-3-Clause
// series.c -- a second axis that does not turn the sample (fluence, temperature, step of a scan): a series of
// experiments, each value with a folder, a dispersion and a report of its own.
//
// Runs need not have shots of all values: a value is made of those that have, and one that none has is left out, which
// second_axis.c says.  Each folder is what xani run makes of the configuration with the value's window among its cuts,
// so that a series resumes value by value.
#include <string.h>

#include "core/text.h"
#include "pipeline.h"
#include "source/source.h"

typedef struct series {
    int runs;
    xn_axis_value **list; // by run
    int *n;
    bool *has; // the run has shots of the value at hand
} series;

static const xn_axis_value *find_value(const series *s, int r, int number)
{
    for (int i = 0; i < s->n[r]; i++)
        if (s->list[r][i].number == number) return &s->list[r][i];
    return NULL;
}

static xani_status open_series(xn_ctx *ctx, const xn_config *config, series *s, int *last)
{
    const int n = xn_source_runs(config);
    s->runs = n > 0 ? n : 1;
    s->list = xn_calloc((size_t)s->runs, sizeof(xn_axis_value *));
    s->n = xn_calloc((size_t)s->runs, sizeof *s->n);
    s->has = xn_calloc((size_t)s->runs, sizeof *s->has);
    if (s->list == NULL || s->n == NULL || s->has == NULL)
        return xn_fail_memory(ctx, "the second axis", (size_t)s->runs * sizeof(xn_axis_value *));
    for (int r = 0; r < s->runs; r++) {
        XN_TRY(xn_second_axis_open(ctx, config, n > 0 ? r : -1, &s->list[r], &s->n[r]));
        if (s->n[r] > 0) *last = s->list[r][s->n[r] - 1].number > *last ? s->list[r][s->n[r] - 1].number : *last;
    }
    return XANI_OK;
}

static void close_series(series *s)
{
    for (int r = 0; s->list != NULL && s->n != NULL && r < s->runs; r++) xn_second_axis_close(&s->list[r], &s->n[r]);
    xn_free(s->list);
    xn_free(s->n);
    xn_free(s->has);
}

static xani_status run_value(xn_ctx *ctx, const series *s, int number, const char *dir, json_t *values)
{
    const xn_axis_value *v = NULL;
    for (int r = 0; r < s->runs; r++) {
        const xn_axis_value *there = find_value(s, r, number);
        s->has[r] = there != NULL;
        if (v == NULL) v = there;
    }
    if (v == NULL) return XANI_OK; // said when the series was opened
    json_t *one = json_pack("{s:i, s:f}", "number", number, "value", v->value);
    char *folder = xn_format("%s/value_%d", dir, number);
    json_array_append_new(values, one);
    xani_status st = folder != NULL ? xn_pipeline_folder(ctx, v->config, folder, s->has, one)
                                    : xn_fail_memory(ctx, "a path", strlen(dir));
    xn_free(folder);
    return xn_context(ctx, st, "value %d of the second axis", number);
}

xani_status xn_series_run(xn_ctx *ctx, const xn_config *config, const char *dir, json_t *summary)
{
    series s = {0};
    int last = 0;
    json_t *values = json_array();
    json_object_set_new(summary, "directory", xn_json_text(dir));
    json_object_set_new(summary, "values", values);
    if (xn_source_runs(config) > 1 && xn_config_has(config, "reduce.second_axis.equal_count"))
        return xn_config_bad(ctx, config, "reduce.second_axis.equal_count",
                             "would part each run differently; give values or edges, or the circle that turns");
    xani_status st = open_series(ctx, config, &s, &last), few = XANI_OK;
    for (int k = 1; st == XANI_OK && k <= last; k++) {
        st = run_value(ctx, &s, k, dir, values);
        if (st == XANI_FAILED_PIXELS) few = st, st = XANI_OK;
    }
    close_series(&s);
    return st != XANI_OK ? st : few;
}
