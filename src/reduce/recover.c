// SPDX-License-Identifier: BSD-3-Clause
// recover.c -- shots that a device had and lost are added again by the processor, so that nothing is missing.
//
// Usually these are the shots since its sums were last collected.  A device that fails while they are collected leaves
// the sums of the pass half changed: then the pass is made anew.
#include <stdlib.h>
#include <string.h>

#include "reduce/device.h"

#define BATCH_BYTES (16 << 20)

static int by_place(const void *x, const void *y)
{
    const xn_work_shot *a = *(xn_work_shot *const *)x, *b = *(xn_work_shot *const *)y;
    return (a > b) - (a < b); // the order in which shots are read
}

// As if the shot had not been added in this pass.
static void forget(const xn_accumulator *a, const xn_pass *pass, xn_work_shot *shot)
{
    shot->added = shot->bin < 0 ? pass->number - 1 : 0; // laser-off ones are in the sums of the passes before
    if (a->photons != NULL && xn_rows_counts(pass, shot)) a->photons[shot->row] = 0;
}

static xani_status add_again(xn_accumulator *a, const xn_pass *pass, xn_work_shot **list, int64_t n, xn_batch *b,
                             int64_t most)
{
    xn_batch none = {.half = -1};
    for (int64_t from = 0, length; from < n; from += length) {
        length = xn_min64(most, n - from);
        XN_TRY(xn_check_interrupt(a->ctx));
        xn_step_batch(a, b, list + from, length);
        XN_TRY(xn_step_run(a, pass, &none, b));
        XN_TRY(xn_step_run(a, pass, b, &none));
        for (int64_t i = 0; i < length; i++) list[from + i]->added = pass->number;
    }
    return XANI_OK;
}

xani_status xn_sum_recover(xn_accumulator *a, const xn_pass *pass)
{
    xn_sum_devices *s = a->devices;
    if (s == NULL || s->n_lost == 0) return XANI_OK;
    int64_t n = s->n_lost, most = xn_min64(n, xn_max64(a->threads, BATCH_BYTES / a->plan->frame_bytes));
    xn_batch b;
    s->n_lost = 0;
    for (int64_t i = 0; i < n; i++) forget(a, pass, s->lost[i]);
    qsort(s->lost, (size_t)n, sizeof(xn_work_shot *), by_place);
    xani_status st = xn_batch_open(a, most, -1, &b)
                         ? add_again(a, pass, s->lost, n, &b, most)
                         : xn_fail_memory(a->ctx, "batches of frames", (size_t)(most * a->plan->frame_bytes));
    xn_batch_close(a, &b);
    return st;
}

int64_t xn_sum_start_anew(xn_accumulator *a, const xn_pass *pass)
{
    size_t plane = (size_t)(a->groups->ny * a->groups->nx) * sizeof(int64_t), bins = plane * (size_t)pass->n;
    void *of_bins[] = {pass->s1, pass->s2, pass->x, pass->block_x, pass->expect, pass->expect_sq, pass->cross};
    void *of_off[] = {pass->off_s1, pass->off_s2, pass->off_x},
         *of_block[] = {pass->block_off, pass->block_off2, pass->block_offx};
    int64_t n = 0;
    for (size_t i = 0; i < sizeof of_bins / sizeof of_bins[0]; i++)
        if (of_bins[i] != NULL) memset(of_bins[i], 0, bins);
    for (size_t i = 0; i < 3; i++) {
        if (pass->with_off) memset(of_off[i], 0, plane);
        if (of_block[i] != NULL) memset(of_block[i], 0, plane);
    }
    for (int64_t i = 0; i < a->work->n; i++) {
        if (a->work->shots[i].added != pass->number) continue;
        forget(a, pass, &a->work->shots[i]);
        n++;
    }
    return n;
}
