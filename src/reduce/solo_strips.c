// SPDX-License-Identifier: BSD-3-Clause
// solo_strips.c -- frames of a thread read by strips (io/strips.h): what is decoded is added while the second cache has
// it.
//
// A strip is some rows of groups of all frames at hand, which are more than whole ones could be: so calibration and
// sums serve more frames before they leave the caches.  A frame that cannot be read on in strips is read whole, and if
// that fails the run ends with what is wrong: then rows of other frames are in the sums that the rest of them are not
// in, so those sums are not saved.
#include <string.h>

#include "reduce/solo_parts.h"

enum { FRAMES_LEAST = 4 };
#define STRIPS_BYTES ((int64_t)512 << 10) // of a thread, decoded: with what is read and added, in a cache of 1 to 2 MiB
#define FRAMES_BYTES ((int64_t)64 << 20)  // of a thread, between two looks at interruptions

static int64_t row_bytes(const xn_groups *g) { return g->det_nx * (int64_t)xn_type_size(g->type); }

// Of rows of groups [y, end) the detector row behind the last.
static int64_t end_row(const xn_groups *g, int64_t end) { return g->first_row[end - 1] + g->k; }

// Rows between modules that belong to no group are read, too.
static int64_t most_bytes(const xn_groups *g, int64_t rows)
{
    int64_t most = 0, row = 0;
    for (int64_t y = 0; y < g->ny; y += rows) {
        int64_t end = end_row(g, xn_min64(y + rows, g->ny));
        most = xn_max64(most, end - row);
        row = end;
    }
    return (most * row_bytes(g) + 63) / 64 * 64;
}

static bool plan_strips(const xn_accumulator *a, int64_t shots, xn_solo_strips *s)
{
    const xn_groups *g = a->groups;
    int64_t group_row = g->k * row_bytes(g), share = (shots + a->threads - 1) / a->threads;
    int64_t n = xn_min64(STRIPS_BYTES / group_row, FRAMES_BYTES / a->plan->frame_bytes);
    n = xn_min64(xn_max64(FRAMES_LEAST, xn_min64(XN_SOLO_MOST, n)), share);
    int64_t room = (2 * a->plan->batch_frames / a->threads - a->solo->slots) * a->plan->frame_bytes;
    s->rows = xn_min64(xn_max64(1, STRIPS_BYTES / (n * group_row)), g->ny);
    s->bytes = most_bytes(g, s->rows);
    s->n = n * s->bytes <= room ? (int)n : 0;
    return s->n > 0;
}

static bool first_suits(const xn_accumulator *a, const xn_frames *frames)
{
    xn_strips *one = xn_strips_open(frames, 1);
    bool suits = one != NULL && a->work->n > 0 && xn_strips_begin(one, 0, a->work->shots[0].frame);
    xn_strips_close(&one);
    return suits;
}

void xn_solo_strips_open(xn_accumulator *a, int64_t shots)
{
    xn_solo_strips *s = &a->solo->strips;
    const xn_frames *frames = a->source->ops->frames != NULL ? a->source->ops->frames(a->source) : NULL;
    if (frames == NULL || a->groups->correct.by_frame || !first_suits(a, frames) || !plan_strips(a, shots, s)) return;
    s->memory = xn_alloc_large((size_t)(a->threads * s->n * s->bytes), 1);
    s->of = xn_calloc((size_t)a->threads, sizeof(xn_strips *));
    bool ok = s->memory != NULL && s->of != NULL;
    for (int t = 0; ok && t < a->threads; t++) ok = (s->of[t] = xn_strips_open(frames, s->n)) != NULL;
    if (!ok) xn_solo_strips_close(a);
}

void xn_solo_strips_close(xn_accumulator *a)
{
    xn_solo_strips *s = &a->solo->strips;
    for (int t = 0; s->of != NULL && t < a->threads; t++) xn_strips_close(&s->of[t]);
    xn_free(s->of);
    xn_free(s->memory);
    *s = (xn_solo_strips){0};
}

bool xn_solo_strips_begin(const xn_accumulator *a, const xn_batch *b, int64_t first, int64_t n)
{
    if (a->solo->strips.n == 0) return false;
    xn_strips *of = a->solo->strips.of[omp_get_thread_num()];
    for (int64_t i = 0; i < n; i++)
        if (!xn_strips_begin(of, (int)i, b->frame[b->order[first + i]])) return false;
    return true;
}

// Detector rows from `row` on of the i-th frame at hand; *whole: all of it, once that had to be read.
static xani_status read_strip(const xn_accumulator *a, int i, int64_t frame, int64_t row, size_t bytes, uint8_t *dst,
                              uint8_t **whole)
{
    if (*whole == NULL) {
        if (xn_strips_next(a->solo->strips.of[omp_get_thread_num()], i, dst, bytes)) return XANI_OK;
        *whole = xn_alloc((size_t)a->plan->frame_bytes, 1);
        if (*whole == NULL) return xn_fail_memory(a->ctx, "a frame", (size_t)a->plan->frame_bytes);
        XN_TRY(xn_step_frame(a, frame, *whole));
    }
    memcpy(dst, *whole + row * row_bytes(a->groups), bytes);
    return XANI_OK;
}

xani_status xn_solo_strips_add(const xn_accumulator *a, const xn_pass *pass, const xn_batch *b, int64_t first,
                               int64_t n, int64_t *at)
{
    const xn_groups *g = a->groups;
    xn_solo_strips *s = &a->solo->strips;
    int64_t row = 0, end;
    uint8_t *memory = s->memory + omp_get_thread_num() * s->n * s->bytes, *whole[XN_SOLO_MOST] = {NULL};
    xn_solo_own own;
    xn_solo_take(b, first, n, memory, s->bytes, &own);
    xani_status st = XANI_OK;
    for (int64_t y = 0; y < g->ny && st == XANI_OK; y = end, row = end_row(g, end)) {
        end = xn_min64(y + s->rows, g->ny);
        size_t bytes = (size_t)((end_row(g, end) - row) * row_bytes(g));
        own.batch.first_row = row;
        for (int64_t i = 0; i < n && st == XANI_OK; i++) {
            *at = b->order[first + i];
            st = read_strip(a, (int)i, own.frame[i], row, bytes, memory + i * s->bytes, &whole[i]);
        }
        if (st == XANI_OK) xn_solo_rows(a, pass, &own.batch, y, end);
    }
    if (st != XANI_OK && row > 0) {
#pragma omp atomic write
        s->half_added = true;
    }
    if (st == XANI_OK) xn_solo_mark(&own, pass);
    for (int64_t i = 0; i < n; i++) xn_free(whole[i]);
    return st;
}
