// SPDX-License-Identifier: BSD-3-Clause
// rounds.c -- see rounds.h.
#include "fit/rounds.h"

#include <math.h>
#include <string.h>

xani_status xn_rounds_create(xn_ctx *ctx, const xn_fit_plans *plans, xn_rounds *r)
{
    const size_t n = (size_t)r->n_delays, pitch = (size_t)r->pitch, all = n * pitch;
    float **planes[] = {&r->weight, &r->rest, &r->kept_weight};
    float **rows[] = {&r->own_sigma, &r->inflate, &r->kept_inflate};
    bool ok =
        (r->unit = xn_alloc(pitch, sizeof(double))) != NULL && (r->work = xn_alloc(3 * n, sizeof(double))) != NULL;
    for (int i = 0; i < 3 && ok; i++)
        ok = (*planes[i] = xn_alloc(all, sizeof(float))) != NULL && (*rows[i] = xn_alloc(pitch, sizeof(float))) != NULL;
    for (int p = 0; p < XN_PLANS && ok; p++) {
        if (!plans->has[p]) continue;
        ok = (r->scale2[p] = xn_calloc(n, sizeof(double))) != NULL;
        const xn_fit_plan *plan = &plans->plan[p];
        for (int i = 0; i < plan->n && ok; i++) r->scale2[p][plans->row[p][i]] = plan->scale[i] * plan->scale[i];
    }
    if (ok) return XANI_OK;
    xn_rounds_free(r);
    return xn_fail_memory(ctx, "the weights of the traces", all * 3 * sizeof(float));
}

void xn_rounds_free(xn_rounds *r)
{
    void *all[] = {r->weight, r->rest, r->own_sigma, r->inflate, r->kept_weight, r->kept_inflate, r->unit, r->work};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    for (int p = 0; p < XN_PLANS; p++) xn_free(r->scale2[p]);
    memset(r, 0, sizeof *r);
}

// Weights of trace i of the list as the caller gave them, scaled to a mean of 1.
static double take_given(xn_rounds *r, int64_t pixel, int i)
{
    double sum = 0.0;
    int n = 0;
    for (int d = 0; d < r->n_delays; d++) {
        const float x = r->given[d * r->row_stride + pixel];
        const bool some = x > 0.0F && isfinite(x);
        r->weight[(int64_t)d * r->pitch + i] = some ? x : 0.0F;
        if (some) sum += (double)x, n++;
    }
    if (n == 0) return 1.0;
    for (int d = 0; d < r->n_delays; d++) {
        float *w = &r->weight[(int64_t)d * r->pitch + i];
        *w = (float)((double)*w * (n / sum));
    }
    return sum / n;
}

void xn_rounds_open(xn_rounds *r, int plan, bool again, const int *slot, xn_fit_tile *tile)
{
    static const float alike = 1.0F;
    for (int i = 0; i < tile->count; i++) {
        const int64_t pixel = tile->pixel[i];
        double mean = 1.0;
        for (int d = 0; d < r->n_delays && again; d++)
            r->weight[(int64_t)d * r->pitch + i] = r->kept_weight[(int64_t)d * r->pitch + slot[i]];
        if (!again) r->unit[slot[i]] = r->given != NULL ? take_given(r, pixel, i) : 1.0;
        r->inflate[i] = again ? r->kept_inflate[slot[i]] : 1.0F;
        if (r->rule->counting && !again) {
            const xn_reweight_trace t = {.n = r->n_delays,
                                         .y = r->y + pixel,
                                         .y_stride = r->row_stride,
                                         .weight = r->given != NULL ? r->weight + i : (float *)&alike,
                                         .stride = r->given != NULL ? r->pitch : 0,
                                         .scale2 = r->scale2[plan]};
            mean = fmax(xn_reweight_mean(r->rule, &t), 0.0);
        }
        if (r->sigma != NULL) r->own_sigma[i] = (float)(r->sigma[pixel] * sqrt(mean / r->unit[slot[i]]));
    }
    if (again || r->given != NULL) tile->weight = r->weight;
    if (r->sigma != NULL) tile->own_sigma = r->own_sigma;
    if (!again && xn_reweight_wanted(r->rule)) tile->rest = r->rest;
    tile->inflate = r->inflate;
    tile->weight_stride = tile->rest_stride = r->pitch;
}

bool xn_rounds_next(xn_rounds *r, int plan, const xn_fit_tile *tile, int i, int slot)
{
    if (tile->rest == NULL || tile->flags[i] & (XN_FLAG_FEW | XN_FLAG_MISSING)) return false;
    for (int d = 0; d < r->n_delays; d++) {
        const int64_t at = (int64_t)d * r->pitch;
        r->kept_weight[at + slot] = tile->weight != NULL ? tile->weight[at + i] : 1.0F;
    }
    xn_reweight_trace t = {.n = r->n_delays,
                           .y = r->y + tile->pixel[i],
                           .y_stride = r->row_stride,
                           .rest = tile->rest + i,
                           .weight = r->kept_weight + slot,
                           .stride = r->pitch,
                           .scale2 = r->scale2[plan],
                           .work = r->work};
    const bool changed = xn_reweight(r->rule, &t);
    r->kept_inflate[slot] = (float)t.inflate;
    r->unit[slot] *= t.unit;
    return changed;
}
