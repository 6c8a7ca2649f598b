// SPDX-License-Identifier: BSD-3-Clause
// fit_planes.c -- a fit with any model as a NeXus file: one plane per parameter, its errors, statistics, status.
//
// /entry/fit is an NXdata with the first free parameter as its signal; the axes are those of the input without the one
// the traces run along: y and x for a cube.  Status numbers are those of fit_status in modes.h5 where they mean the
// same.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lsq/lsq.h"
#include "result/nexus.h"

#define GROUP "/entry/fit"

xani_status xn_fit_planes_alloc(xn_ctx *ctx, const xani_model *m, int rank, const int64_t *dims, bool covariance,
                                xn_fit_planes *p)
{
    memset(p, 0, sizeof *p);
    p->model = m;
    p->n_parameters = m->n_parameters;
    p->rank = rank;
    p->n_traces = 1;
    for (int d = 0; d < rank; d++) p->n_traces *= p->dims[d] = dims[d];
    const size_t n = (size_t)p->n_traces, all = (size_t)p->n_parameters;
    p->values = xn_alloc(n * all, sizeof(double));
    p->errors = xn_alloc(n * all, sizeof(double));
    if (covariance) p->covariance = xn_alloc(n * all * all, sizeof(double));
    double **planes[] = {&p->chi2, &p->chi2_reduced, &p->aic, &p->bic};
    bool good = p->values && p->errors && (!covariance || p->covariance);
    for (int i = 0; i < 4; i++) good = (*planes[i] = xn_alloc(n, sizeof(double))) != NULL && good;
    p->points = xn_alloc(n, sizeof *p->points);
    p->evaluations = xn_alloc(n, sizeof *p->evaluations);
    p->status = xn_alloc(n, 1);
    if (good && p->points && p->evaluations && p->status) return XANI_OK;
    xn_fit_planes_free(p);
    return xn_fail_memory(ctx, "the results of the fit", n * (2 * all + 6) * sizeof(double));
}

void xn_fit_planes_free(xn_fit_planes *p)
{
    void *all[] = {p->values, p->errors, p->covariance, p->chi2,        p->chi2_reduced,
                   p->aic,    p->bic,    p->points,     p->evaluations, p->status};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(p, 0, sizeof *p);
}

// ---- writing

static void plane(xn_writer *w, const xn_fit_planes *p, const char *path, xn_type type, const void *data,
                  const char *long_name, const char *units)
{
    xn_writer_data(w, path, type, p->rank, p->dims, NULL, data);
    xn_writer_attr_text(w, path, "long_name", long_name);
    if (units != NULL) xn_writer_attr_text(w, path, "units", units);
}

// The unit of a parameter, by its name in lsq/kinds.def, where that tells it whatever else the model has: x of a cube
// is in ps. NULL: not known, as that of data of any kind.
static const char *unit_of(const xn_fit_planes *p, const char *name)
{
    static const char *const units[][2] = {
        {"phase", "rad"}, {"decay", "ps"}, {"damping", "1/ps"}, {"frequency", "THz"}};
    const char *last = strrchr(name, '_'); // behind a prefix
    for (size_t i = 0; i < XN_COUNT(units); i++) {
        const size_t n = strlen(units[i][0]);
        const char *at = last != NULL ? last + 1 : name;
        if (strncmp(at, units[i][0], n) == 0 && at[n + strspn(at + n, "0123456789")] == '\0')
            return i == 0 || p->is_cube ? units[i][1] : NULL;
    }
    return NULL;
}

// The parameter's setting as the command line has it.
static char *setting_text(const xani_model *m, int k)
{
    const xn_parameter *q = &m->parameter[k];
    if (q->role == XN_TIED) return xn_tie_text(m, k);
    char low[48] = "", high[48] = "", start[48] = "";
    if (isfinite(q->start)) snprintf(start, sizeof start, "=%.17g", q->start);
    if (isfinite(q->low)) snprintf(low, sizeof low, ",min=%.17g", q->low);
    if (isfinite(q->high)) snprintf(high, sizeof high, ",max=%.17g", q->high);
    return xn_format("%s%s%s%s%s", q->name, start, low, high, q->role == XN_FIXED ? ",fix" : "");
}

static xani_status write_parameters(xn_ctx *ctx, xn_writer *w, const xn_fit_planes *p)
{
    static const char *const roles[] = {"free", "fixed", "tied"};
    const xani_model *m = p->model;
    for (int k = 0; k < m->n_parameters; k++) {
        const xn_parameter *q = &m->parameter[k];
        char *value = xn_format(GROUP "/%s", q->name), *error = xn_format(GROUP "/%s_errors", q->name),
             *text = setting_text(m, k);
        const bool good = value && error && text;
        if (good) {
            plane(w, p, value, XN_F64, p->values + k * p->n_traces, q->name, unit_of(p, q->name));
            plane(w, p, error, XN_F64, p->errors + k * p->n_traces, "one standard deviation", unit_of(p, q->name));
            xn_writer_attr_text(w, value, "role", roles[q->role]);
            xn_writer_attr_text(w, value, "setting", text);
        }
        xn_free(value);
        xn_free(error);
        xn_free(text);
        if (!good) return xn_fail_memory(ctx, "the name of a plane", 256);
    }
    return XANI_OK;
}

static void write_statistics(xn_writer *w, const xn_fit_planes *p)
{
    static const char *const status_names[] = {"converged",     "",           "masked",   "too few points",
                                               "not converged", "at a bound", "singular", "no value at the start"};
    plane(w, p, "/entry/fit_status", XN_U8, p->status, "outcome of the fit", NULL);
    xn_writer_attr_texts(w, "/entry/fit_status", "names", status_names, XN_COUNT(status_names));
    plane(w, p, "/entry/chi2", XN_F64, p->chi2, "weighted sum of squared residuals", "");
    plane(w, p, "/entry/chi2_reduced", XN_F64, p->chi2_reduced, "reduced chi^2", "");
    plane(w, p, "/entry/aic", XN_F64, p->aic, "Akaike information criterion", "");
    plane(w, p, "/entry/bic", XN_F64, p->bic, "Bayesian information criterion", "");
    plane(w, p, "/entry/points", XN_I64, p->points, "samples used", "");
    plane(w, p, "/entry/evaluations", XN_I64, p->evaluations, "evaluations of the model", "");
}

static void write_covariance(xn_writer *w, const xn_fit_planes *p, const char *const *names)
{
    if (p->covariance == NULL || p->rank + 2 > XANI_MAX_RANK) return;
    int64_t dims[XANI_MAX_RANK] = {p->n_parameters, p->n_parameters};
    memcpy(dims + 2, p->dims, (size_t)p->rank * sizeof *dims);
    xn_writer_data(w, "/entry/covariance", XN_F64, p->rank + 2, dims, NULL, p->covariance);
    xn_writer_attr_text(w, "/entry/covariance", "long_name", "covariance of the parameters");
    xn_writer_attr_texts(w, "/entry/covariance", "parameters", names, p->n_parameters);
}

static xani_status write_axes(xn_ctx *ctx, xn_writer *w, const xn_fit_planes *p, char axis_names[][16])
{
    if (p->is_cube) return xn_nexus_pixel_axes(ctx, w, GROUP, p->dims[0], p->dims[1]);
    for (int d = 0; d < p->rank; d++) {
        char path[64];
        int64_t *index = xn_alloc((size_t)p->dims[d], sizeof *index);
        if (index == NULL) return xn_fail_memory(ctx, "the axes of a result", (size_t)p->dims[d] * sizeof *index);
        for (int64_t i = 0; i < p->dims[d]; i++) index[i] = i;
        snprintf(path, sizeof path, GROUP "/%.15s", axis_names[d]);
        xn_writer_data(w, path, XN_I64, 1, &p->dims[d], NULL, index);
        xn_writer_attr_text(w, path, "long_name", "index");
        xn_free(index);
    }
    return XANI_OK;
}

static xani_status write_all(xn_ctx *ctx, xn_writer *w, const xn_fit_planes *p)
{
    const xani_model *m = p->model;
    const char *names[XN_MODEL_PARAMETERS] = {""}, *axes[XANI_MAX_RANK];
    char axis_names[XANI_MAX_RANK][16];
    int signal = 0;
    for (int k = m->n_parameters - 1; k >= 0; k--) {
        names[k] = m->parameter[k].name;
        if (m->parameter[k].role == XN_VARY) signal = k;
    }
    for (int d = 0; d < p->rank; d++) {
        if (p->is_cube)
            snprintf(axis_names[d], sizeof axis_names[d], "%s", d == 0 ? "y" : "x");
        else
            snprintf(axis_names[d], sizeof axis_names[d], "axis%d", d);
        axes[d] = axis_names[d];
    }
    xn_nexus_data(w, GROUP, names[signal], axes, p->rank, m->expression);
    XN_TRY(write_axes(ctx, w, p, axis_names));
    XN_TRY(write_parameters(ctx, w, p));
    xn_writer_attr_text(w, GROUP, "model", m->expression);
    xn_writer_attr_text(w, GROUP, "errors_from", p->errors_from);
    xn_writer_attr_texts(w, GROUP, "parameters", names, m->n_parameters);
    xn_writer_attr_text(w, GROUP, "data", p->data != NULL ? p->data : "/entry/cube/signal");
    if (p->is_cube || p->x != NULL) xn_writer_attr_text(w, GROUP, "over", p->x != NULL ? p->x : "/entry/cube/delay");
    write_statistics(w, p);
    write_covariance(w, p, names);
    return XANI_OK;
}

xani_status xn_result_write_fit(xn_ctx *ctx, const char *path, const xn_fit_planes *planes, const xn_provenance *p)
{
    xn_writer *w;
    XN_TRY(xn_nexus_create(ctx, path, XN_RESULT_FIT, "least squares of a model on every trace", p, &w));
    xani_status st = write_all(ctx, w, planes);
    if (st == XANI_OK) return xn_writer_publish(&w);
    xn_writer_abort(&w);
    return xn_context(ctx, st, "while writing %s", path);
}
