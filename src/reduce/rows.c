// SPDX-License-Identifier: BSD-3-Clause
// rows.c -- one row of groups of all frames of a batch: words to photons, pixels to groups, groups to sums.
//
// The frames come sorted by bin, so calibration and sums of the row stay in the thread's cache.  A pixel without a
// valid number is added as XN_CALIB_BAD, which only has to stay within the integers: it is flagged, and whatever it
// was added to is masked in the end.  Rows are added in 32 bits, at most XN_CALIB_ROWS at a time, then in 64.
#include <math.h>
#include <string.h>

#include "reduce/accumulate.h"

static const uint8_t *frame_row(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t row)
{
    size_t pixel = (size_t)row * (size_t)a->groups->det_nx;
    return batch->frames + frame * a->plan->frame_bytes + pixel * xn_type_size(a->source->type);
}

static bool add_row(const xn_accumulator *a, const uint8_t *words, int64_t row, int32_t *col)
{
    const xn_groups *g = a->groups;
    int64_t at = row * g->det_nx, n = g->nx * g->k;
    if (a->source->cal.kind == XN_CAL_SCALE)
        return a->kernels->scale(words, a->source->type, g->factor[0] + at, n, g->threshold, col);
    const float *p[3] = {g->pedestal[0] + at, g->pedestal[1] + at, g->pedestal[2] + at};
    const float *f[3] = {g->factor[0] + at, g->factor[1] + at, g->factor[2] + at};
    return a->kernels->jungfrau((const uint16_t *)(const void *)words, p, f, n, g->threshold, col);
}

// Rare: says which pixels of the row had no valid number, and why.
static void flag_row(const xn_accumulator *a, const uint8_t *words, int64_t row)
{
    xn_groups *g = a->groups;
    size_t size = xn_type_size(a->source->type);
    for (int64_t x = 0; x < g->nx * g->k; x++) {
        int64_t i = row * g->det_nx + x;
        const uint8_t *value = words + (size_t)x * size;
        bool invalid;
        if (a->source->cal.kind == XN_CAL_SCALE) {
            int32_t q = 0;
            if (!xn_reduce_scalar.scale(value, a->source->type, &g->factor[0][i], 1, 0, &q)) continue;
            invalid = (a->source->type == XN_F32 && isnan(*(const float *)(const void *)value)) ||
                      (a->source->type == XN_F64 && isnan(*(const double *)(const void *)value));
        } else {
            uint16_t word = *(const uint16_t *)(const void *)value;
            float p[3] = {g->pedestal[0][i], g->pedestal[1][i], g->pedestal[2][i]};
            float f[3] = {g->factor[0][i], g->factor[1][i], g->factor[2][i]};
            if (xn_calib_jungfrau(word, p, f) != XN_CALIB_BAD) continue;
            invalid = word >> 14 == 2;
        }
        g->pixel_flags[i] |= invalid ? XN_FLAG_INVALID : XN_FLAG_FULL;
    }
}

void xn_rows_group(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t y, int32_t *col, int64_t *v)
{
    const xn_groups *g = a->groups;
    int64_t width = g->nx * g->k, first = g->first_row[y];
    memset(v, 0, (size_t)g->nx * sizeof *v);
    for (int r = 0; r < g->k; r += XN_CALIB_ROWS) {
        memset(col, 0, (size_t)width * sizeof *col);
        for (int i = r; i < g->k && i < r + XN_CALIB_ROWS; i++) {
            const uint8_t *words = frame_row(a, batch, frame, first + i);
            if (add_row(a, words, first + i, col)) flag_row(a, words, first + i);
        }
        a->kernels->gather(col, g->k, g->nx, v);
    }
}

static void bin_row(const xn_accumulator *a, const xn_pass *pass, const xn_work_shot *shot, int64_t y, const int64_t *v)
{
    xn_groups *g = a->groups;
    int64_t npix = g->ny * g->nx, at = y * g->nx;
    int64_t *s1, *s2, *x;
    if (shot->bin >= 0) {
        at += (shot->bin - pass->first) * npix;
        s1 = pass->s1 + at;
        s2 = pass->s2 + at;
        x = (pass->block_x ? pass->block_x : pass->x) + at;
    } else {
        s1 = (pass->block_off ? pass->block_off : pass->off_s1) + at;
        s2 = (pass->block_off2 ? pass->block_off2 : pass->off_s2) + at;
        x = (pass->block_offx ? pass->block_offx : pass->off_x) + at;
    }
    if (!a->kernels->bin(v, g->nx, shot->i0q, a->work->bound, s1, s2, x)) return;
    for (int64_t i = 0; i < g->nx; i++)
        if (v[i] > a->work->bound || v[i] < -a->work->bound) g->group_flags[y * g->nx + i] |= XN_FLAG_FULL;
}

// The same rows of the next frame: a jump in memory that the processor does not foresee.
static void prefetch_row(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t y)
{
    const uint8_t *begin = frame_row(a, batch, frame, a->groups->first_row[y]);
    const uint8_t *end = frame_row(a, batch, frame, a->groups->first_row[y] + a->groups->k);
    for (const uint8_t *p = begin; p < end; p += 64) __builtin_prefetch(p);
}

void xn_rows_add(const xn_accumulator *a, const xn_pass *pass, const xn_batch *batch, int64_t y, int thread)
{
    int32_t *col = a->col + (size_t)thread * a->col_stride;
    int64_t *v = a->v + (size_t)thread * a->v_stride;
    for (int64_t i = 0; i < batch->n; i++) {
        if (i + 1 < batch->n) prefetch_row(a, batch, batch->order[i + 1], y);
        xn_rows_group(a, batch, batch->order[i], y, col, v);
        bin_row(a, pass, batch->shots[batch->order[i]], y, v);
    }
}
