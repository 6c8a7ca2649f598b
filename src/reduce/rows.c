// SPDX-License-Identifier: BSD-3-Clause
// rows.c -- one row of groups of all frames of a batch: words to photons, pixels to groups, groups to sums.
//
// The frames come sorted by bin, so calibration and sums of the row stay in the thread's cache.  A pixel without a
// valid number is added as XN_CALIB_BAD, which only has to stay within the integers: it is flagged, and whatever it
// was added to is masked in the end.  Rows are added in 32 bits, at most XN_CALIB_ROWS at a time, then in 64.
#include <string.h>

#include "reduce/accumulate.h"

static const uint8_t *frame_row(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t row)
{
    size_t pixel = (size_t)row * (size_t)a->groups->det_nx;
    size_t size = a->groups->correct.by_frame ? sizeof(int32_t) : xn_type_size(a->groups->type);
    return batch->frames + frame * a->plan->frame_bytes + pixel * size;
}

// A frame that was corrected is photons already; what has no number in it is flagged here only where the corrections
// themselves went beyond the range.
static void add_corrected(const xn_accumulator *a, const uint8_t *row_of_frame, int64_t row, int32_t *col)
{
    xn_groups *g = a->groups;
    const int32_t *q = (const int32_t *)(const void *)row_of_frame;
    int64_t n = g->nx * g->k;
    if (!a->kernels->add(q, n, g->threshold, col)) return;
    for (int64_t x = 0; x < n; x++)
        if (q[x] == XN_CALIB_BAD && g->pixel_flags[row * g->det_nx + x] == 0)
            xn_words_flag_pixel(g, row * g->det_nx + x, XN_FLAG_FULL);
}

static void add_row(const xn_accumulator *a, int64_t frame, const uint8_t *words, int64_t row, int32_t *col)
{
    xn_groups *g = a->groups;
    int64_t n = g->nx * g->k;
    xn_word_row r;
    if (g->correct.by_frame) {
        add_corrected(a, words, row, col);
        return;
    }
    xn_words_row(g, frame, row, words, &r);
    if (xn_words_add(g, a->kernels, &r, n, g->threshold, col)) xn_words_flag(g, row, &r, n);
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
            add_row(a, batch->frame[frame], words, first + i, col);
        }
        a->kernels->gather(col, g->k, g->nx, v);
    }
}

static void bin_row(const xn_accumulator *a, const xn_pass *pass, const xn_work_shot *shot, int64_t y, const int64_t *v)
{
    const xn_groups *g = a->groups;
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
    a->kernels->bin(v, g->nx, shot->i0q, s1, s2, x, a->peak + y * g->nx);
}

// The photons of a shot, for what I0 is judged by. Laser-off shots are read in each pass where there are blocks of
// time.
static void add_photons(const xn_accumulator *a, const xn_pass *pass, const xn_work_shot *shot, const int64_t *v)
{
    if (a->photons == NULL || (shot->bin < 0 && !pass->with_off)) return;
    int64_t sum = 0;
    for (int64_t i = 0; i < a->groups->nx; i++) sum += v[i];
#pragma omp atomic
    a->photons[shot->row] += sum;
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
        add_photons(a, pass, batch->shots[batch->order[i]], v);
    }
}
