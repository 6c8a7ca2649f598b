// SPDX-License-Identifier: BSD-3-Clause
// device_fill.c -- stored bytes into a slot: read into pinned memory, or by cuFile straight into that of the device.
//
// Jobs that follow each other in the file are one read.  For cuFile reads begin and end at multiples of a page, in the
// file as in the slot, which is registered: the way that needs no buffers of the library.
#include <errno.h>

#include "io/device/device_run.h"

typedef struct one_run {
    const xn_job *job; // its first
    int64_t begin, end;
    size_t at; // in the slot
} one_run;

// False: cuFile cannot, for the reason in `why`; then the ring may try.
static bool by_cufile(xn_device_run_state *r, xn_device_slot *s, const one_run *run, xani_status *status, char *why)
{
    const xn_store *store = xn_view_of(r->plan, run->job)->store;
    xn_file *file = store->file;
    const int64_t page = XN_CUFILE_PAGE, first = run->begin / page * page;
    const int64_t last = xn_min64((run->end + page - 1) / page * page, xn_max64(xn_file_bytes(file), run->end));
    int error = 0;
    xn_cufile_handle *h = xn_cufile_take(file, &error, why, XN_DEVICE_WHY);
    if (h == NULL && error == 0) return false;
    ssize_t got = -1;
    if (h != NULL)
        got = xn_cufile_read(h, s->stored, (size_t)(last - first), first, (int64_t)run->at - (run->begin - first),
                             &error, why, XN_DEVICE_WHY);
    xn_cufile_give(h);
    if (got < 0 && error == 0) return false;
    if (got >= 0 && got < run->end - first) error = xn_file_check(file) != 0 ? XN_READ_CHANGED : XN_READ_SHORT;
    if (error == ENOMEM)
        *status = xn_fail_memory(r->plan->ctx, "a file for cuFile", sizeof(void *));
    else if (error != 0)
        *status = xn_store_fail(r->plan->ctx, store, run->job->block, xn_read_why(error));
    if (error == 0) xn_device_note(&r->report.cufile_bytes, last - first);
    return true;
}

// The next run of the batch from job *i on, which moves behind it.
static one_run next_run(const xn_job *job, int64_t n, int64_t *i, size_t *at, size_t *pos)
{
    bool begins;
    const xn_job *before = *i > 0 ? &job[*i - 1] : NULL;
    *at = xn_device_lay(before, &job[*i], *at, pos, &begins);
    one_run r = {&job[*i], job[*i].offset, job[*i].offset + (int64_t)job[*i].bytes, *at};
    for (++*i; *i < n; ++*i) {
        size_t then = *pos, there = xn_device_lay(&job[*i - 1], &job[*i], *at, &then, &begins);
        if (begins) break;
        *at = there;
        *pos = then;
        r.end = xn_max64(r.end, job[*i].offset + (int64_t)job[*i].bytes);
    }
    return r;
}

static xani_status by_ring(xn_device_run_state *r, uint8_t *pinned, const one_run *run)
{
    const xn_store *s = xn_view_of(r->plan, run->job)->store;
    const int error = xn_file_read(s->file, run->begin, pinned + run->at, (size_t)(run->end - run->begin));
    return error == 0 ? XANI_OK : xn_store_fail(r->plan->ctx, s, run->job->block, xn_read_why(error));
}

xani_status xn_device_fill_slot(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b,
                                size_t *in_pinned)
{
    char why[XN_DEVICE_WHY] = "";
    xn_array *a = r->plan->array;
    const xn_job *job = &r->plan->job[b->first];
    size_t at = 0, pos = 0;
    bool ring = !r->target->cufile || atomic_load(&a->no_cufile);
    *in_pinned = 0;
    for (int64_t i = 0; i < b->n && !ring;) {
        xani_status st = XANI_OK;
        const one_run run = next_run(job, b->n, &i, &at, &pos);
        ring = !by_cufile(r, s, &run, &st, why);
        XN_TRY(st);
    }
    if (!ring) return XANI_OK;
    // told once per array; from then on the ring is used
    if (r->target->cufile && !atomic_exchange(&a->no_cufile, true)) xn_warn(r->plan->ctx, "%s; pinned ring used", why);
    uint8_t *pinned = xn_device_slot_pinned(l, s, why, sizeof why);
    if (pinned == NULL) return xn_device_fails(r->plan, why);
    at = pos = 0;
    for (int64_t i = 0; i < b->n;) {
        const one_run run = next_run(job, b->n, &i, &at, &pos);
        XN_TRY(by_ring(r, pinned, &run));
    }
    *in_pinned = pos;
    return XANI_OK;
}
