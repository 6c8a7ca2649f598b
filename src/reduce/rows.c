// SPDX-License-Identifier: BSD-3-Clause
// rows.c -- one row of groups of all frames of a batch: words to photons, pixels to groups, groups to sums.
//
// The frames come sorted by bin, so calibration and sums of the row stay in the thread's cache; a row is added in spans
// whose calibration fits into the nearest one.  A pixel without a valid number is added as XN_CALIB_BAD, which only has
// to stay within the integers: it is flagged, and whatever it was added to is masked in the end.  Rows are added in 32
// bits, at most XN_CALIB_ROWS at a time, then in 64.
#include <string.h>

#include "kernel/bin.h"
#include "reduce/accumulate.h"

enum { SPAN_PIXELS = 2048, SPAN_LEAST = 32 }; // pixels; groups

// Where frame `frame` has that pixel of the detector.
static const uint8_t *word_at(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t pixel)
{
    int64_t size = a->groups->correct.by_frame ? (int64_t)sizeof(int32_t) : (int64_t)xn_type_size(a->groups->type);
    return batch->frames + frame * batch->step + (pixel - batch->first_row * a->groups->det_nx) * size;
}

// A frame that was corrected is photons already; what has no number in it is flagged here only where the corrections
// themselves went beyond the range.
static void add_corrected(const xn_accumulator *a, const uint8_t *words, int64_t pixel, int64_t n, int32_t *col)
{
    xn_groups *g = a->groups;
    const int32_t *q = (const int32_t *)(const void *)words;
    if (!a->kernels->add(q, n, g->threshold, col)) return;
    for (int64_t x = 0; x < n; x++)
        if (q[x] == XN_CALIB_BAD && g->pixel_flags[pixel + x] == 0) xn_words_flag_pixel(g, pixel + x, XN_FLAG_FULL);
}

// n pixels from `pixel` on.
static void add_row(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t pixel, int64_t n,
                    int32_t *col)
{
    xn_groups *g = a->groups;
    const uint8_t *words = word_at(a, batch, frame, pixel);
    xn_word_row r;
    if (g->correct.by_frame) {
        add_corrected(a, words, pixel, n, col);
        return;
    }
    xn_words_row(g, batch->frame[frame], pixel, words, &r);
    if (xn_words_add(g, a->kernels, &r, n, g->threshold, col)) xn_words_flag(g, pixel, &r, n);
}

// Several rows of n pixels in one go: JUNGFRAU in dynamic gain and what the facility calibrated. False: not these.
static bool add_rows(const xn_accumulator *a, const xn_batch *batch, int64_t frame, int64_t pixel, int rows, int64_t n,
                     int32_t *col)
{
    xn_groups *g = a->groups;
    int64_t next = g->det_nx;
    xn_word_row r;
    bool dynamic = g->kind == XN_CAL_JUNGFRAU && g->fixed_stage == 0, bad;
    if (g->correct.by_frame || (!dynamic && g->kind != XN_CAL_SCALE)) return false;
    xn_words_row(g, batch->frame[frame], pixel, word_at(a, batch, frame, pixel), &r);
    if (dynamic)
        bad = a->kernels->jungfrau_rows(r.words, next, r.p, r.f, next, rows, n, g->threshold, col);
    else
        bad = a->kernels->scale_rows(r.words, next, g->type, r.f[0], next, rows, n, g->threshold, col);
    for (int i = 0; bad && i < rows; i++, pixel += next) {
        xn_words_row(g, batch->frame[frame], pixel, word_at(a, batch, frame, pixel), &r);
        xn_words_flag(g, pixel, &r, n);
    }
    return true;
}

static int64_t first_pixel(const xn_groups *g, xn_span span)
{
    return g->first_row[span.y] * g->det_nx + span.x * g->k;
}

void xn_rows_group(const xn_accumulator *a, const xn_batch *batch, int64_t frame, xn_span span, int32_t *col,
                   int64_t *v)
{
    const xn_groups *g = a->groups;
    int64_t n = span.n * g->k, pixel = first_pixel(g, span);
    memset(v, 0, (size_t)span.n * sizeof *v);
    for (int r = 0; r < g->k; r += XN_CALIB_ROWS) {
        int rows = (int)xn_min64(XN_CALIB_ROWS, g->k - r);
        if (!add_rows(a, batch, frame, pixel + r * g->det_nx, rows, n, col)) {
            memset(col, 0, (size_t)n * sizeof *col);
            for (int i = r; i < r + rows; i++) add_row(a, batch, frame, pixel + i * g->det_nx, n, col);
        }
        a->kernels->gather(col, g->k, span.n, v);
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

// The same at the span.
static xn_sums_row find_sums(const xn_accumulator *a, const xn_pass *pass, const xn_work_shot *shot, xn_span span)
{
    xn_sums_row all = xn_rows_sums(a, pass, shot->bin);
    int64_t at = span.y * a->groups->nx + span.x;
    return (xn_sums_row){all.s1 + at, all.s2 + at, all.x + at};
}

bool xn_rows_counts(const xn_pass *pass, const xn_work_shot *shot) { return shot->bin >= 0 || pass->with_off; }

// And to the photons of the shot, which I0 is judged by.
static void bin_span(const xn_accumulator *a, const xn_pass *pass, const xn_work_shot *shot, xn_span span,
                     const int64_t *v)
{
    xn_sums_row to = find_sums(a, pass, shot, span);
    int64_t sum = a->kernels->bin(v, span.n, shot->i0q, xn_bin_shift(a->groups->k), to.s1, to.s2, to.x,
                                  a->peak + span.y * a->groups->nx + span.x);
    if (a->photons == NULL || !xn_rows_counts(pass, shot)) return;
#pragma omp atomic
    a->photons[shot->row] += sum;
}

static void prefetch(const void *begin, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch((const char *)begin + at);
}

// The same span of the next frame, and the sums it goes to: jumps in memory that the processor does not foresee.
static void prefetch_next(const xn_accumulator *a, const xn_pass *pass, const xn_batch *batch, int64_t frame,
                          xn_span span)
{
    const xn_groups *g = a->groups;
    int64_t pixel = first_pixel(g, span), n = span.n * g->k;
    for (int r = 0; r < g->k; r++, pixel += g->det_nx) {
        const uint8_t *begin = word_at(a, batch, frame, pixel);
        prefetch(begin, (size_t)(word_at(a, batch, frame, pixel + n) - begin));
    }
    xn_sums_row to = find_sums(a, pass, batch->shots[frame], span);
    size_t bytes = (size_t)span.n * sizeof(int64_t);
    prefetch(to.s1, bytes);
    prefetch(to.s2, bytes);
    prefetch(to.x, bytes);
}

void xn_rows_add(const xn_accumulator *a, const xn_pass *pass, const xn_batch *batch, int64_t y, int thread)
{
    int32_t *col = a->col + (size_t)thread * a->col_stride;
    int64_t *v = a->v + (size_t)thread * a->v_stride, nx = a->groups->nx, k = a->groups->k;
    int64_t most = batch->n > 1 ? xn_max64(SPAN_LEAST, SPAN_PIXELS / (k * k)) : nx;
    int64_t parts = (nx + most - 1) / most;
    for (int64_t part = 0; part < parts; part++) {
        int64_t x = nx * part / parts, end = nx * (part + 1) / parts;
        const xn_span span = {y, x, end - x};
        for (int64_t i = 0; i < batch->n; i++) {
            if (i + 1 < batch->n) prefetch_next(a, pass, batch, batch->order[i + 1], span);
            xn_rows_group(a, batch, batch->order[i], span, col, v);
            bin_span(a, pass, batch->shots[batch->order[i]], span, v);
        }
    }
}
