// SPDX-License-Identifier: BSD-3-Clause
// rows.c -- one row of groups of all frames of a batch: words to photons, pixels to groups, groups to sums.
//
// The frames come sorted by bin, so calibration and sums of the row stay in the thread's cache.  A pixel without a
// valid number is added as XN_CALIB_BAD, which only has to stay within the integers: it is flagged, and whatever it
// was added to is masked in the end.  Rows are added in 32 bits, at most XN_CALIB_ROWS at a time, then in 64.
#include <string.h>

#include "kernel/bin.h"
#include "reduce/accumulate.h"

static const uint8_t *frame_row(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t row)
{
    size_t pixel = (size_t)(row - batch->first_row) * (size_t)a->groups->det_nx;
    size_t size = a->groups->correct.by_frame ? sizeof(int32_t) : xn_type_size(a->groups->type);
    return batch->frames + frame * batch->step + pixel * size;
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

// The rows of a group in one go: JUNGFRAU in dynamic gain and what the facility calibrated. False: not these.
static bool add_rows(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t row, int rows, int32_t *col)
{
    xn_groups *g = a->groups;
    int64_t n = g->nx * g->k, next = g->det_nx;
    xn_word_row r;
    bool dynamic = g->kind == XN_CAL_JUNGFRAU && g->fixed_stage == 0, bad;
    if (g->correct.by_frame || (!dynamic && g->kind != XN_CAL_SCALE)) return false;
    xn_words_row(g, batch->frame[frame], row, frame_row(a, batch, frame, row), &r);
    if (dynamic)
        bad = a->kernels->jungfrau_rows(r.words, next, r.p, r.f, next, rows, n, g->threshold, col);
    else
        bad = a->kernels->scale_rows(r.words, next, g->type, r.f[0], next, rows, n, g->threshold, col);
    for (int i = 0; bad && i < rows; i++) {
        xn_words_row(g, batch->frame[frame], row + i, frame_row(a, batch, frame, row + i), &r);
        xn_words_flag(g, row + i, &r, n);
    }
    return true;
}

void xn_rows_group(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t y, int32_t *col, int64_t *v)
{
    const xn_groups *g = a->groups;
    int64_t width = g->nx * g->k, first = g->first_row[y];
    memset(v, 0, (size_t)g->nx * sizeof *v);
    for (int r = 0; r < g->k; r += XN_CALIB_ROWS) {
        int rows = (int)xn_min64(XN_CALIB_ROWS, g->k - r);
        if (!add_rows(a, batch, frame, first + r, rows, col)) {
            memset(col, 0, (size_t)width * sizeof *col);
            for (int i = r; i < r + rows; i++)
                add_row(a, batch->frame[frame], frame_row(a, batch, frame, first + i), first + i, col);
        }
        a->kernels->gather(col, g->k, g->nx, v);
    }
}

xn_sums_row xn_rows_sums(const xn_accumulator *a, const xn_pass *pass, int32_t bin)
{
    if (bin < 0)
        return (xn_sums_row){pass->block_off ? pass->block_off : pass->off_s1,
                             pass->block_off2 ? pass->block_off2 : pass->off_s2,
                             pass->block_offx ? pass->block_offx : pass->off_x};
    int64_t at = (bin - pass->first) * a->groups->ny * a->groups->nx;
    return (xn_sums_row){pass->s1 + at, pass->s2 + at, (pass->block_x ? pass->block_x : pass->x) + at};
}

// The same at row y of groups.
static xn_sums_row find_sums(const xn_accumulator *a, const xn_pass *pass, const xn_work_shot *shot, int64_t y)
{
    xn_sums_row all = xn_rows_sums(a, pass, shot->bin);
    int64_t at = y * a->groups->nx;
    return (xn_sums_row){all.s1 + at, all.s2 + at, all.x + at};
}

bool xn_rows_counts(const xn_pass *pass, const xn_work_shot *shot) { return shot->bin >= 0 || pass->with_off; }

// And to the photons of the shot, which I0 is judged by.
static void bin_row(const xn_accumulator *a, const xn_pass *pass, const xn_work_shot *shot, int64_t y, const int64_t *v)
{
    xn_sums_row to = find_sums(a, pass, shot, y);
    int64_t sum = a->kernels->bin(v, a->groups->nx, shot->i0q, xn_bin_shift(a->groups->k), to.s1, to.s2, to.x,
                                  a->peak + y * a->groups->nx);
    if (a->photons == NULL || !xn_rows_counts(pass, shot)) return;
#pragma omp atomic
    a->photons[shot->row] += sum;
}

static void prefetch(const void *begin, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch((const char *)begin + at);
}

// The same rows of the next frame, and the sums it goes to: jumps in memory that the processor does not foresee.
static void prefetch_next(const xn_accumulator *a, const xn_pass *pass, const xn_batch *batch, int64_t frame, int64_t y)
{
    const xn_groups *g = a->groups;
    const uint8_t *begin = frame_row(a, batch, frame, g->first_row[y]);
    prefetch(begin, (size_t)(frame_row(a, batch, frame, g->first_row[y] + g->k) - begin));
    xn_sums_row to = find_sums(a, pass, batch->shots[frame], y);
    size_t bytes = (size_t)g->nx * sizeof(int64_t);
    prefetch(to.s1, bytes);
    prefetch(to.s2, bytes);
    prefetch(to.x, bytes);
}

void xn_rows_add(const xn_accumulator *a, const xn_pass *pass, const xn_batch *batch, int64_t y, int thread)
{
    int32_t *col = a->col + (size_t)thread * a->col_stride;
    int64_t *v = a->v + (size_t)thread * a->v_stride;
    for (int64_t i = 0; i < batch->n; i++) {
        if (i + 1 < batch->n) prefetch_next(a, pass, batch, batch->order[i + 1], y);
        xn_rows_group(a, batch, batch->order[i], y, col, v);
        bin_row(a, pass, batch->shots[batch->order[i]], y, v);
    }
}
