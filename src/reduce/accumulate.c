// SPDX-License-Identifier: BSD-3-Clause
// accumulate.c -- frames to integer sums, batch by batch.
//
// While the frames of one batch are read and decoded, the batch before it is added to the sums: the threads share both
// kinds of work in one loop, so waiting for storage and computing overlap, and there is one barrier a batch.  A frame
// is decoded by one thread; for the sums the threads share the detector by rows of groups (rows.c), so no two threads
// ever write to the same sum: no locks, no copies of the sums per thread.  All sums are integers, hence independent of
// threads, batches and order.
//
// With an off reference per block of time, the sums of a block are folded in when it ends (fold_block): for bin b
// and group p, with r = S1_off / M1_off of the block,
//   expect += M1 r,   expect_sq += M2 r^2,   cross += r X          (float64, blocks in order: one result)
#include "reduce/accumulate.h"

#include <omp.h>
#include <string.h>

static void close_accumulator(xn_accumulator *a)
{
    for (int i = 0; i < 2; i++) {
        xn_free(a->batch[i].frames);
        xn_free(a->batch[i].shots);
        xn_free(a->batch[i].order);
        xn_free(a->batch[i].frame);
        xn_free(a->batch[i].reads);
    }
    xn_free(a->scratch);
    xn_free(a->room);
    xn_free(a->col);
    xn_free(a->v);
}

static xani_status open_accumulator(xn_accumulator *a, int64_t frames, int batches)
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
    for (int i = 0; ok && i < batches; i++) {
        a->batch[i].frames = xn_alloc_large(n, (size_t)a->plan->frame_bytes);
        a->batch[i].shots = xn_alloc(n, sizeof(xn_work_shot *));
        a->batch[i].order = xn_alloc(n, sizeof *a->batch[i].order);
        a->batch[i].frame = xn_alloc(n, sizeof *a->batch[i].frame);
        a->batch[i].reads = xn_alloc(n + 1, sizeof *a->batch[i].reads);
        ok = a->batch[i].frames != NULL && a->batch[i].shots != NULL && a->batch[i].order != NULL &&
             a->batch[i].frame != NULL && a->batch[i].reads != NULL;
    }
    if (ok) return XANI_OK;
    close_accumulator(a);
    return xn_fail_memory(a->ctx, "batches of frames", n * (size_t)batches * (size_t)a->plan->frame_bytes);
}

// Frames of one chunk are one read.
static void set_reads(const xn_accumulator *a, xn_batch *b, xn_work_shot *const *shots, int64_t n)
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

// Frames by bin: the sums of a row stay in the cache from one shot of a bin to the next.  Insertion: a delay scan is
// nearly sorted already, and a batch is short.
static void set_batch(const xn_accumulator *a, xn_batch *b, xn_work_shot *const *shots, int64_t n)
{
    set_reads(a, b, shots, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t k = i;
        b->shots[i] = shots[i];
        for (; k > 0 && b->shots[b->order[k - 1]]->bin > shots[i]->bin; k--) b->order[k] = b->order[k - 1];
        b->order[k] = (int32_t)i;
    }
}

// ---- one step: reads `next` and adds `now` (either may be empty)

typedef struct step {
    xani_status failed;
    int64_t failed_at;
} step;

// Frames behind each other, to where each belongs: from the last one on, since places are farther apart.
static void spread(uint8_t *dst, int64_t n, size_t bytes, int64_t apart)
{
    for (int64_t i = n - 1; i > 0 && (int64_t)bytes != apart; i--)
        memmove(dst + i * apart, dst + (size_t)i * bytes, bytes);
}

static void read_some(const xn_accumulator *a, const xn_batch *b, int64_t read, step *s)
{
    int64_t first = b->reads[read], n = b->reads[read + 1] - first;
    xani_status before;
#pragma omp atomic read
    before = s->failed;
    if (before != XANI_OK) return;
    uint8_t *scratch = a->scratch + (size_t)omp_get_thread_num() * a->scratch_stride;
    uint8_t *dst = b->frames + first * a->plan->frame_bytes;
    xani_status st = n == 1 ? a->source->ops->read_frame(a->ctx, a->source, b->frame[first], dst, scratch)
                            : a->source->ops->read_frames(a->ctx, a->source, b->frame + first, n, dst);
    if (n > 1 && st == XANI_OK)
        spread(dst, n, (size_t)(a->source->ny * a->source->nx) * xn_type_size(a->source->type), a->plan->frame_bytes);
    for (int64_t i = 0; i < n && st == XANI_OK && a->groups->correct.by_frame; i++)
        st = xn_correct_frame(a->ctx, a->source, a->groups, a->kernels, b->frame[first + i],
                              dst + i * a->plan->frame_bytes, a->room + (size_t)omp_get_thread_num() * a->room_stride,
                              scratch);
    if (st == XANI_OK) return;
#pragma omp critical // unnamed: a name would become a symbol that the library exports
    if (s->failed == XANI_OK) {
        s->failed_at = first;
#pragma omp atomic write
        s->failed = st;
    }
}

// The two kinds of work alternate in proportion, so that neither is left over at the end.
static xani_status run_step(const xn_accumulator *a, const xn_pass *pass, const xn_batch *now, const xn_batch *next)
{
    step s = {XANI_OK, 0};
    int64_t reads = next->n_reads, rows = now->n > 0 ? a->groups->ny : 0, all = reads + rows;
#pragma omp parallel for schedule(dynamic) num_threads(a->threads)
    for (int64_t i = 0; i < all; i++) {
        int64_t begun = i * reads / all, after = (i + 1) * reads / all;
        if (after > begun)
            read_some(a, next, begun, &s);
        else
            xn_rows_add(a, pass, now, i - begun, omp_get_thread_num());
    }
    if (s.failed == XANI_OK) return XANI_OK;
    const xn_work_shot *shot = next->shots[s.failed_at]; // the first of those decoded together
    return xn_context(a->ctx, s.failed, "while reading frame %lld, pulse id %llu", (long long)shot->frame,
                      (unsigned long long)shot->pulse_id);
}

// ---- blocks of time

static void fold_bin(const xn_pass *pass, int64_t at, int64_t npix, int64_t off_m1, int64_t m1, int64_t m2)
{
    for (int64_t p = 0; p < npix; p++) {
        double r = (double)pass->block_off[p] / (double)off_m1;
        int64_t x = pass->block_x[at + p];
        pass->expect[at + p] += (double)m1 * r;
        pass->expect_sq[at + p] += (double)m2 * r * r;
        pass->cross[at + p] += (double)x * r;
        pass->x[at + p] += x;
        pass->block_x[at + p] = 0;
    }
}

// first .. end: the shots of the block in the work list.
static xani_status fold_block(const xn_accumulator *a, const xn_pass *pass, int64_t first, int64_t end)
{
    int64_t npix = a->groups->ny * a->groups->nx, off_m1 = 0;
    int64_t *m = xn_calloc((size_t)pass->n * 2, sizeof *m);
    if (m == NULL) return xn_fail_memory(a->ctx, "the sums of a block", (size_t)pass->n * 16);
    for (int64_t i = first; i < end; i++) {
        const xn_work_shot *s = &a->work->shots[i];
        if (s->bin < 0) off_m1 += s->i0q;
        if (s->bin < pass->first || s->bin >= pass->first + pass->n) continue;
        m[2 * (s->bin - pass->first)] += s->i0q;
        m[2 * (s->bin - pass->first) + 1] += (int64_t)s->i0q * s->i0q;
    }
#pragma omp parallel for schedule(dynamic) num_threads(a->threads)
    for (int b = 0; b < pass->n; b++)
        if (m[2 * b] > 0) fold_bin(pass, b * npix, npix, off_m1, m[2 * b], m[2 * b + 1]);
    for (int64_t p = 0; p < npix; p++) {
        if (pass->with_off) {
            pass->off_s1[p] += pass->block_off[p];
            pass->off_s2[p] += pass->block_off2[p];
            pass->off_x[p] += pass->block_offx[p];
        }
        pass->block_off[p] = pass->block_off2[p] = pass->block_offx[p] = 0;
    }
    xn_free(m);
    return XANI_OK;
}

// The block of work->shots[first]; returns where the next one begins.
static int64_t block_end(const xn_work *work, int64_t first)
{
    int64_t end = first;
    while (end < work->n && work->shots[end].block == work->shots[first].block) end++;
    return end;
}

// ---- the pass

static bool in_pass(const xn_work *work, const xn_pass *pass, const xn_work_shot *s)
{
    if (s->added == pass->number) return false;
    if (s->bin < 0) return pass->with_off || work->blockwise;
    return s->bin >= pass->first && s->bin < pass->first + pass->n;
}

// Shots of the batch that begins at list[from]: never beyond a block of time.
static int64_t batch_length(const xn_accumulator *a, xn_work_shot *const *list, int64_t n, int64_t from)
{
    int64_t length = 0;
    while (from + length < n && length < a->plan->batch_frames && list[from + length]->block == list[from]->block)
        length++;
    return length;
}

static xani_status check_interrupt(const xn_accumulator *a, const xn_pass *pass)
{
    xani_status st = xn_check_interrupt(a->ctx);
    if (st != XANI_OK && a->keep != NULL) xn_keep_interrupted(a->keep, pass);
    return st;
}

// After the step that added `now`: shots are marked, a block that ended is folded in, what waits for this is done.
static xani_status end_step(xn_accumulator *a, const xn_pass *pass, const xn_batch *now, bool block_ends)
{
    for (int64_t i = 0; i < now->n; i++) now->shots[i]->added = pass->number;
    if (block_ends && a->work->blockwise) {
        int64_t begin = 0;
        while (a->work->shots[begin].block != now->shots[0]->block) begin = block_end(a->work, begin);
        XN_TRY(fold_block(a, pass, begin, block_end(a->work, begin)));
    }
    return a->keep ? xn_keep_between(a->keep, pass, a->work->blockwise && !block_ends) : XANI_OK;
}

static xani_status run_list(xn_accumulator *a, const xn_pass *pass, xn_work_shot *const *list, int64_t n, int64_t *done,
                            int64_t total)
{
    xn_batch *now = &a->batch[0], *next = &a->batch[1];
    now->n = 0;
    for (int64_t from = 0, to = 0; from < n || now->n > 0; from = to) {
        int64_t length = batch_length(a, list, n, from);
        to = from + length;
        set_batch(a, next, list + from, length);
        XN_TRY(check_interrupt(a, pass));
        XN_TRY(run_step(a, pass, now, next));
        if (now->n > 0) {
            *done += now->n;
            xn_progress(a->ctx, "reduce", *done, total, "shots");
            XN_TRY(end_step(a, pass, now, length == 0 || next->shots[0]->block != now->shots[0]->block));
        }
        xn_batch *swap = now;
        now = next;
        next = swap;
    }
    return XANI_OK;
}

xani_status xn_accumulate(xn_accumulator *a, const xn_pass *pass, int64_t *done, int64_t total)
{
    int64_t n = 0;
    xn_work_shot **list = xn_alloc((size_t)a->work->n, sizeof(xn_work_shot *));
    if (list == NULL) return xn_fail_memory(a->ctx, "the shots of a pass", (size_t)a->work->n * sizeof(xn_work_shot *));
    for (int64_t i = 0; i < a->work->n; i++)
        if (in_pass(a->work, pass, &a->work->shots[i])) list[n++] = &a->work->shots[i];
    xani_status st = open_accumulator(a, a->plan->batch_frames, 2);
    if (st == XANI_OK) {
        st = run_list(a, pass, list, n, done, total);
        close_accumulator(a);
    }
    xn_free(list);
    return st;
}

xani_status xn_prescan(xn_accumulator *a, int64_t *masked)
{
    static const xn_batch none = {0};
    xn_groups *g = a->groups;
    int64_t n = xn_min64(XN_PRESCAN, a->work->n), pixels = g->det_ny * g->det_nx;
    int64_t length = xn_min64(n, a->plan->batch_frames);
    xani_status st = XANI_OK;
    *masked = 0;
    XN_TRY(open_accumulator(a, length, 1));
    xn_batch *b = &a->batch[0];
    for (int64_t from = 0; st == XANI_OK && from < n; from += length) {
        b->n = xn_min64(length, n - from);
        for (int64_t i = 0; i < b->n; i++) b->shots[i] = &a->work->shots[from + i];
        set_reads(a, b, b->shots, b->n);
        st = run_step(a, NULL, &none, b);
        for (int64_t y = 0; st == XANI_OK && y < g->ny; y++)
            for (int64_t i = 0; i < b->n; i++) xn_rows_group(a, b, i, y, a->col, a->v);
    }
    for (int64_t i = 0; st == XANI_OK && i < pixels; i++) {
        if (g->pixel_flags[i] == 0) continue;
        g->mask[i] |= g->pixel_flags[i] & XN_FLAG_INVALID ? XN_MASK_INVALID : XN_MASK_FULL;
        xn_groups_mask_pixel(g, i);
        g->pixel_flags[i] = 0;
        ++*masked;
    }
    close_accumulator(a);
    return st;
}
