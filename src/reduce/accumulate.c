// SPDX-License-Identifier: BSD-3-Clause
// accumulate.c -- frames to integer sums, batch by batch.
//
// Threads read and add frames of their own (solo.c); or, while the frames of one batch are read and decoded, the batch
// before it is added to the sums (step.c), by the processor or by devices.  All sums are integers, hence independent of
// threads, batches, devices and order.
//
// With an off reference per block of time, the sums of a block are folded in when it ends (fold_block): for bin b
// and group p, with r = S1_off / M1_off of the block,
//   expect += M1 r,   expect_sq += M2 r^2,   cross += r X          (float64, blocks in order: one result)
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "reduce/device.h"
#include "reduce/keep.h"
#include "reduce/solo.h"

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
    int64_t most = a->devices != NULL && a->devices->alive > 0 ? a->devices->batch_frames : a->batch_frames;
    while (from + length < n && length < most && list[from + length]->block == list[from]->block) length++;
    return length;
}

static xani_status check_interrupt(const xn_accumulator *a, const xn_pass *pass)
{
    xani_status st = xn_check_interrupt(a->ctx);
    if (st != XANI_OK && a->keep != NULL) xn_keep_interrupted(a->keep, pass);
    return st;
}

// Sums that lie on devices become part of those of the pass.
static xani_status complete(void *user, const xn_pass *pass)
{
    xn_accumulator *a = user;
    XN_TRY(xn_sum_collect(a, pass, &a->torn));
    return a->torn ? XANI_ERR_INTERNAL : xn_sum_recover(a, pass); // torn: see xn_accumulate
}

// Shots are marked, a block that ended is folded in.
static xani_status add_up(xn_accumulator *a, const xn_pass *pass, const xn_batch *now, bool block_ends)
{
    for (int64_t i = 0; i < now->n; i++) now->shots[i]->added = pass->number;
    XN_TRY(xn_sum_recover(a, pass));
    if (block_ends && a->work->blockwise) {
        int64_t begin = 0;
        XN_TRY(complete(a, pass));
        while (a->work->shots[begin].block != now->shots[0]->block) begin = block_end(a->work, begin);
        XN_TRY(fold_block(a, pass, begin, block_end(a->work, begin)));
    }
    return XANI_OK;
}

// After the step that added `now`, what waits for this is done.
static xani_status end_step(xn_accumulator *a, const xn_pass *pass, const xn_batch *now, bool block_ends)
{
    XN_TRY(add_up(a, pass, now, block_ends));
    return a->keep ? xn_keep_between(a->keep, pass, a->work->blockwise && !block_ends) : XANI_OK;
}

// A step that an interruption ended while frames were read: of `now` those that solo.c marked are added, or all, by the
// processor or devices.
static void save_what_is_added(xn_accumulator *a, const xn_pass *pass, const xn_batch *now, bool block_ends)
{
    if (a->keep == NULL || a->half_added) return;
    if (a->solo == NULL && now->n > 0 && add_up(a, pass, now, block_ends) != XANI_OK) return;
    xn_keep_interrupted(a->keep, pass);
}

static xani_status run_list(xn_accumulator *a, const xn_pass *pass, xn_work_shot *const *list, int64_t n, int64_t *done,
                            int64_t total)
{
    xn_batch *now = &a->batch[0], *next = &a->batch[1];
    now->n = 0;
    for (int64_t from = 0, to = 0; from < n || now->n > 0; from = to) {
        int64_t length = batch_length(a, list, n, from);
        to = from + length;
        xn_step_batch(a, next, list + from, length);
        xn_sum_split(a, next);
        XN_TRY(check_interrupt(a, pass));
        const bool block_ends = now->n > 0 && (length == 0 || next->shots[0]->block != now->shots[0]->block);
        xani_status st = xn_step_run(a, pass, now, next);
        if (st == XANI_INTERRUPTED) save_what_is_added(a, pass, now, block_ends);
        XN_TRY(st);
        if (now->n > 0) {
            *done += now->n;
            xn_progress(a->ctx, "reduce", *done, total, "shots");
            XN_TRY(end_step(a, pass, now, block_ends));
        }
        xn_batch *swap = now;
        now = next;
        next = swap;
    }
    XN_TRY(check_interrupt(a, pass));
    return complete(a, pass);
}

static xani_status run_on_devices(xn_accumulator *a, const xn_pass *pass, xn_work_shot *const *list, int64_t n,
                                  int64_t *done, int64_t total)
{
    XN_TRY(xn_sum_open(a, pass, n));
    if (a->devices == NULL) XN_TRY(xn_solo_open(a, pass, n));
    a->batch_frames = a->devices != NULL ? a->devices->batch_frames
                      : a->solo != NULL  ? xn_solo_shots(a)
                                         : a->plan->batch_frames;
    if (a->keep != NULL) {
        a->keep->complete = complete;
        a->keep->user = a;
    }
    xani_status st = xn_step_open(a, a->batch_frames, 2);
    if (st != XANI_OK && a->devices != NULL && !a->choice->devices.asked) { // too little pinned memory, perhaps
        xn_sum_stop(a);
        xn_step_close(a);
        xn_sum_close(a);
        xn_clear_error(a->ctx);
        xn_warn(a->ctx, "reduce: no memory for frames that devices add; the processor does it");
        a->batch_frames = a->plan->batch_frames;
        st = xn_step_open(a, a->batch_frames, 2);
    }
    if (st == XANI_OK) st = run_list(a, pass, list, n, done, total);
    xn_sum_stop(a);
    xn_step_close(a);
    xn_solo_close(a);
    if (a->keep != NULL) a->keep->complete = NULL;
    xn_sum_close(a);
    return st;
}

static xani_status run_pass(xn_accumulator *a, const xn_pass *pass, int64_t *done, int64_t total)
{
    int64_t n = 0;
    xn_work_shot **list = xn_alloc((size_t)a->work->n, sizeof(xn_work_shot *));
    if (list == NULL) return xn_fail_memory(a->ctx, "the shots of a pass", (size_t)a->work->n * sizeof(xn_work_shot *));
    for (int64_t i = 0; i < a->work->n; i++)
        if (in_pass(a->work, pass, &a->work->shots[i])) list[n++] = &a->work->shots[i];
    xani_status st = run_on_devices(a, pass, list, n, done, total);
    xn_free(list);
    return st;
}

xani_status xn_accumulate(xn_accumulator *a, const xn_pass *pass, int64_t *done, int64_t total)
{
    xani_status st = run_pass(a, pass, done, total);
    if (!a->torn || st == XANI_INTERRUPTED) return st;
    a->torn = false;
    a->choice = NULL;
    xn_warn(a->ctx, "reduce: all shots are read again, because a device failed while its sums were collected");
    *done -= xn_sum_start_anew(a, pass);
    return run_pass(a, pass, done, total);
}

xani_status xn_prescan(xn_accumulator *a, int64_t *masked)
{
    static const xn_batch none = {0};
    xn_groups *g = a->groups;
    int64_t n = xn_min64(XN_PRESCAN, a->work->n), pixels = g->det_ny * g->det_nx;
    int64_t length = xn_min64(n, a->plan->batch_frames);
    xani_status st = XANI_OK;
    *masked = 0;
    st = xn_step_open(a, length, 1);
    xn_batch *b = &a->batch[0];
    for (int64_t from = 0; st == XANI_OK && from < n; from += length) {
        b->n = xn_min64(length, n - from);
        for (int64_t i = 0; i < b->n; i++) b->shots[i] = &a->work->shots[from + i];
        xn_step_reads(a, b, b->shots, b->n);
        st = xn_step_run(a, NULL, &none, b);
        for (int64_t y = 0; st == XANI_OK && y < g->ny; y++)
            for (int64_t i = 0; i < b->n; i++) xn_rows_group(a, b, i, (xn_span){y, 0, g->nx}, a->col, a->v);
    }
    for (int64_t i = 0; st == XANI_OK && i < pixels; i++) {
        if (g->pixel_flags[i] == 0) continue;
        g->mask[i] |= xn_groups_flag_bits(g, g->pixel_flags[i]);
        xn_groups_mask_pixel(g, i);
        g->pixel_flags[i] = 0;
        ++*masked;
    }
    xn_step_close(a);
    return st;
}
