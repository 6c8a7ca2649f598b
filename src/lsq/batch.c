// SPDX-License-Identifier: BSD-3-Clause
// batch.c -- many data sets over all cores: memory per thread, progress, interruption.
//
// Sets are handed out in small runs, because their costs differ; each is fitted by one thread in its own memory, so
// that results do not depend on the number of threads.  The calling thread is the first of the team and reports.
#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "lsq/lsq.h"

#define RUN 16

xani_status xn_data_check(xn_ctx *ctx, const xani_model *m, const xani_model_data *d)
{
    if (m == NULL) return xn_fail(ctx, XANI_ERR_USAGE, "model data: model is NULL");
    if (d == NULL || d->size != sizeof *d)
        return xn_fail(ctx, XANI_ERR_USAGE, "data were not made by xani_model_data_init of this version");
    if (d->n_sets < 0 || d->n_points < 0 || d->n_points > (int64_t)1 << 31)
        return xn_fail(ctx, XANI_ERR_USAGE, "model data: %lld sets of %lld points", (long long)d->n_sets,
                       (long long)d->n_points);
    if (d->y == NULL && d->n_sets > 0 && d->n_points > 0)
        return xn_fail(ctx, XANI_ERR_USAGE, "model data: y is missing");
    if (d->x_columns < 0) return xn_fail(ctx, XANI_ERR_USAGE, "model data: x_columns is %d", d->x_columns);
    const int columns = d->x_columns > 0 ? d->x_columns : 1;
    if (columns != m->x_columns || (d->x == NULL && columns > 1))
        return xn_fail(ctx, XANI_ERR_USAGE, "model data: x has %d columns, model \"%s\" takes %d", d->x ? columns : 1,
                       m->expression, m->x_columns);
    return XANI_OK;
}

xani_status xn_batch_create(xn_ctx *ctx, const xn_scheme *scheme, const xani_model_data *data, int threads, xn_batch *b)
{
    *b = (xn_batch){.ctx = ctx, .scheme = scheme, .data = data, .in_total = data->n_sets};
    b->threads = (int)xn_max64(1, xn_min64(xn_threads(threads), (data->n_sets + RUN - 1) / RUN));
    b->fitter = xn_calloc((size_t)b->threads, sizeof *b->fitter);
    if (b->fitter == NULL) return xn_fail_memory(ctx, "fitting", (size_t)b->threads * sizeof *b->fitter);
    xani_status st = XANI_OK;
    for (int t = 0; t < b->threads && st == XANI_OK; t++)
        st = xn_fitter_create(ctx, scheme, data->n_points, &b->fitter[t]);
    if (st != XANI_OK) xn_batch_free(b);
    return st;
}

void xn_batch_free(xn_batch *b)
{
    for (int t = 0; b->fitter != NULL && t < b->threads; t++) xn_fitter_free(&b->fitter[t]);
    xn_free(b->fitter);
    b->fitter = NULL;
}

xani_status xn_batch_run(const xn_batch *b, const char *stage, xn_batch_fn one, void *user)
{
    const int64_t n = b->data->n_sets;
    atomic_int_fast64_t done = 0;
    if (b->before == 0) xn_progress(b->ctx, stage, 0, b->in_total, "data sets");
#pragma omp parallel for schedule(dynamic, RUN) num_threads(b->threads)
    for (int64_t set = 0; set < n; set++) {
        if (xn_interrupted(b->ctx)) continue;
        one(user, &b->fitter[omp_get_thread_num()], set);
        const int64_t so_far = atomic_fetch_add(&done, 1) + 1;
        if (omp_get_thread_num() == 0 && so_far < n)
            xn_progress(b->ctx, stage, b->before + so_far, b->in_total, "data sets");
    }
    XN_TRY(xn_check_interrupt(b->ctx));
    xn_progress(b->ctx, stage, b->before + n, b->in_total, "data sets");
    return XANI_OK;
}
