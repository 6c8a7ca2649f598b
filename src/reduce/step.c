// SPDX-License-Identifier: BSD-3-Clause
// step.c -- one step of the sums: the frames of one batch are read while the batch before it is added.
//
// The threads share both kinds of work in one loop, so waiting for storage and computing overlap, and there is one
// barrier a batch.  A frame is decoded by one thread; for the sums the threads share the detector by rows of groups
// (rows.c), so no two threads ever write to the same sum: no locks, no copies of the sums per thread.  With devices
// (device.h) the batch is sent to them first, and the threads only read.
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/device.h"
#include "reduce/solo.h"

#define KEY_BIN ((int64_t)1 << 32) // of a sort key; below it stands the place of the shot

void xn_batch_close(xn_accumulator *a, xn_batch *b)
{
    if (b->half < 0)
        xn_free(b->frames);
    else
        xn_sum_frames_free(a, b->frames);
    xn_free(b->shots);
    xn_free(b->order);
    xn_free(b->key);
    xn_free(b->frame);
    xn_free(b->reads);
    memset(b, 0, sizeof *b);
}

bool xn_batch_open(xn_accumulator *a, int64_t frames, int half, xn_batch *b)
{
    size_t n = (size_t)frames, bytes = n * (size_t)a->plan->frame_bytes;
    *b = (xn_batch){.half = half, .step = a->plan->frame_bytes};
    if (a->solo == NULL) b->frames = half < 0 ? xn_alloc_large(bytes, 1) : xn_sum_frames_alloc(a, bytes);
    b->shots = xn_alloc(n, sizeof(xn_work_shot *));
    b->order = xn_alloc(n, sizeof *b->order);
    b->key = xn_alloc(n, sizeof *b->key);
    b->frame = xn_alloc(n, sizeof *b->frame);
    b->reads = xn_alloc(n + 1, sizeof *b->reads);
    return (b->frames != NULL || a->solo != NULL) && b->shots != NULL && b->order != NULL && b->key != NULL &&
           b->frame != NULL && b->reads != NULL;
}

void xn_step_close(xn_accumulator *a)
{
    for (int i = 0; i < 2; i++) xn_batch_close(a, &a->batch[i]);
    xn_free(a->scratch);
    xn_free(a->room);
    xn_free(a->col);
    xn_free(a->v);
    a->scratch = a->room = NULL;
    a->col = NULL;
    a->v = NULL;
}

xani_status xn_step_open(xn_accumulator *a, int64_t frames, int batches)
{
    size_t n = (size_t)frames, threads = (size_t)a->threads;
    a->scratch_stride = (a->source->scratch_bytes + 63) / 64 * 64;
    a->col_stride = ((size_t)a->groups->det_nx + 15) / 16 * 16;
    a->v_stride = ((size_t)a->groups->nx + 7) / 8 * 8;
    a->room_stride = (size_t)xn_correct_room_bytes(a->groups);
    a->scratch = xn_alloc(threads, a->scratch_stride);
    a->room = xn_alloc(threads, a->room_stride);
    a->col = xn_alloc(threads * a->col_stride, sizeof *a->col);
    a->v = xn_alloc(threads * a->v_stride, sizeof *a->v);
    bool ok = a->scratch != NULL && a->room != NULL && a->col != NULL && a->v != NULL;
    for (int i = 0; ok && i < batches; i++) ok = xn_batch_open(a, frames, i, &a->batch[i]);
    if (ok) return XANI_OK;
    return xn_fail_memory(a->ctx, "batches of frames", n * (size_t)batches * (size_t)a->plan->frame_bytes);
}

// Frames of one chunk are one read.
void xn_step_reads(const xn_accumulator *a, xn_batch *b, xn_work_shot *const *shots, int64_t n)
{
    int64_t together = a->source->ops->read_frames ? a->source->together : 0;
    b->n = n;
    b->n_reads = 0;
    for (int64_t i = 0; i < n; i++) {
        b->frame[i] = shots[i]->frame;
        if (i == 0 || together < 2 || b->frame[i] / together != b->frame[i - 1] / together)
            b->reads[b->n_reads++] = (int32_t)i;
    }
    b->reads[b->n_reads] = (int32_t)n;
}

static int by_key(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

// Frames by bin: the sums of a row stay in the cache from one shot of a bin to the next.  Those of a bin keep their
// order, in which they lie in the file.
void xn_step_batch(const xn_accumulator *a, xn_batch *b, xn_work_shot *const *shots, int64_t n)
{
    xn_step_reads(a, b, shots, n);
    for (int64_t i = 0; i < n; i++) {
        b->shots[i] = shots[i];
        b->key[i] = shots[i]->bin * KEY_BIN + i;
    }
    qsort(b->key, (size_t)n, sizeof *b->key, by_key);
    for (int64_t k = 0; k < n; k++) b->order[k] = (int32_t)(uint32_t)b->key[k];
}

// ---- one step: reads `next` and adds `now` (either may be empty)

bool xn_step_failed(xn_step *s)
{
    xani_status before;
#pragma omp atomic read
    before = s->failed;
    return before != XANI_OK;
}

void xn_step_note(xn_step *s, xani_status st, const xn_batch *b, int64_t frame)
{
    if (st == XANI_OK) return;
#pragma omp critical // unnamed: a name would become a symbol that the library exports
    if (s->failed == XANI_OK) {
        s->failed_at = frame;
        s->shot = b->shots[frame];
#pragma omp atomic write
        s->failed = st;
    }
}

xani_status xn_step_status(const xn_accumulator *a, const xn_step *s)
{
    if (s->failed == XANI_OK || s->failed == XANI_INTERRUPTED) return s->failed;
    return xn_context(a->ctx, s->failed, "while reading frame %lld, pulse id %llu", (long long)s->shot->frame,
                      (unsigned long long)s->shot->pulse_id);
}

// Frames behind each other, to where each belongs: from the last one on, since places are farther apart.
static void spread(uint8_t *dst, int64_t n, size_t bytes, int64_t apart)
{
    for (int64_t i = n - 1; i > 0 && (int64_t)bytes != apart; i--)
        memmove(dst + i * apart, dst + (size_t)i * bytes, bytes);
}

static xani_status correct(const xn_accumulator *a, int64_t frame, uint8_t *dst)
{
    size_t thread = (size_t)omp_get_thread_num();
    if (!a->groups->correct.by_frame) return XANI_OK;
    return xn_correct_frame(a->ctx, a->source, a->groups, a->kernels, frame, dst, a->room + thread * a->room_stride,
                            a->scratch + thread * a->scratch_stride);
}

xani_status xn_step_frame(const xn_accumulator *a, int64_t frame, uint8_t *dst)
{
    uint8_t *scratch = a->scratch + (size_t)omp_get_thread_num() * a->scratch_stride;
    XN_TRY(a->source->ops->read_frame(a->ctx, a->source, frame, dst, scratch));
    return correct(a, frame, dst);
}

static xani_status read_together(const xn_accumulator *a, const int64_t *frame, int64_t n, uint8_t *dst)
{
    XN_TRY(a->source->ops->read_frames(a->ctx, a->source, frame, n, dst));
    spread(dst, n, (size_t)(a->source->ny * a->source->nx) * xn_type_size(a->source->type), a->plan->frame_bytes);
    for (int64_t i = 0; i < n; i++) XN_TRY(correct(a, frame[i], dst + i * a->plan->frame_bytes));
    return XANI_OK;
}

static void read_some(const xn_accumulator *a, const xn_batch *b, int64_t read, xn_step *s)
{
    int64_t first = b->reads[read], n = b->reads[read + 1] - first;
    if (xn_step_failed(s)) return;
    uint8_t *dst = b->frames + first * a->plan->frame_bytes;
    xani_status st = b->direct ? xn_sum_read(a, b, read)
                     : n == 1  ? xn_step_frame(a, b->frame[first], dst)
                               : read_together(a, b->frame + first, n, dst);
    xn_step_note(s, st, b, first); // the first of those decoded together
}

// The two kinds of work alternate in proportion, so that neither is left over at the end.
static void work_together(const xn_accumulator *a, const xn_pass *pass, const xn_batch *now, const xn_batch *next,
                          bool add, xn_step *s)
{
    int64_t reads = next->n_reads, rows = add ? a->groups->ny : 0, all = reads + rows;
#pragma omp parallel for schedule(dynamic) num_threads(a->threads)
    for (int64_t i = 0; i < all; i++) {
        int64_t begun = i * reads / all, after = (i + 1) * reads / all;
        if (after > begun)
            read_some(a, next, begun, s);
        else
            xn_rows_add(a, pass, now, i - begun, omp_get_thread_num());
    }
}

// A batch that could not be read into the devices: the processor has the last word on whether files or a device are
// bad.
static xani_status read_again(xn_accumulator *a, xn_batch *b, const xn_step *first)
{
    static const xn_batch none = {0};
    char why[XN_SUM_WHY];
    xn_step s = {.failed = XANI_OK};
    xn_batch asked = *b;
    (void)snprintf(why, sizeof why, "%s", xani_error_text(a->ctx));
    xn_clear_error(a->ctx);
    b->direct = false;
    xn_step_reads(a, b, b->shots, b->n);
    work_together(a, NULL, &none, b, false, &s);
    if (s.failed != XANI_OK) return xn_step_status(a, &s);
    return xn_sum_read_failed(a, &asked, first->failed_at, why);
}

// Devices add the batch, or did so until they failed.
static bool by_devices(const xn_accumulator *a, const xn_batch *b)
{
    return b->direct || (a->devices != NULL && !a->devices->direct && a->devices->alive > 0 && b->half >= 0);
}

xani_status xn_step_run(xn_accumulator *a, const xn_pass *pass, const xn_batch *now, xn_batch *next)
{
    xn_step s = {.failed = XANI_OK};
    bool sent = now->n > 0 && by_devices(a, now);
    if (a->solo != NULL) return xn_solo_add(a, pass, now);
    if (sent) XN_TRY(xn_sum_add(a, pass, now));
    work_together(a, pass, now, next, now->n > 0 && !sent, &s);
    if (sent) XN_TRY(xn_sum_wait(a, pass, now));
    bool again = s.failed != XANI_OK && s.failed != XANI_INTERRUPTED && next->direct;
    return again ? read_again(a, next, &s) : xn_step_status(a, &s);
}
