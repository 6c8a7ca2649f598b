// SPDX-License-Identifier: BSD-3-Clause
// device_host.c -- what a device cannot decode or convert: the engine does it on the processor, into pinned memory.
//
// The jobs become a plan of their own whose destination is that memory, so that every error is that of the engine.
#include <string.h>

#include "io/device/device_run.h"

static xani_status host_room(xn_plan *p, xn_plan *h, int64_t n)
{
    if (h->jobs_room >= n) return XANI_OK;
    xn_free(h->view);
    xn_free(h->job);
    h->view = xn_alloc((size_t)n, sizeof *h->view);
    h->job = xn_alloc((size_t)n, sizeof *h->job);
    h->jobs_room = h->views_room = h->view != NULL && h->job != NULL ? n : 0;
    return h->jobs_room ? XANI_OK : xn_fail_memory(p->ctx, "a plan to read", (size_t)n * sizeof *h->view);
}

// Each a box in C order at the next multiple of 256.
xani_status xn_device_read_on_host(xn_device_run_state *r, xn_device_lane *l, const xn_job *job, int64_t n_jobs,
                                   uint8_t *memory)
{
    xn_plan *p = r->plan, *h = &l->host;
    size_t pos = 0;
    XN_TRY(host_room(p, h, n_jobs));
    h->ctx = p->ctx, h->array = p->array, h->type = p->type, h->elem = p->elem, h->threads = 1;
    for (int64_t i = 0; i < n_jobs; i++) {
        const xn_view *v = xn_view_of(p, &job[i]);
        xn_view *mine = &h->view[i];
        int64_t step[XANI_MAX_RANK], count = 1;
        mine->store = v->store;
        mine->dst = memory + pos;
        xn_job_box(v, job[i].block, mine->lo, mine->n);
        xn_box_steps(v->store->rank, mine->n, step);
        for (int k = 0; k < v->store->rank; k++) {
            mine->stride[k] = step[k] * (int64_t)p->elem;
            count *= mine->n[k];
        }
        h->job[i] = job[i];
        h->job[i].view = i;
        pos += ((size_t)count * p->elem + 255) / 256 * 256;
    }
    h->n_views = h->n_jobs = n_jobs;
    xn_device_note(&r->report.on_host, n_jobs);
    return xn_plan_run(h);
}

bool xn_device_send_boxes(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_job *job,
                          int64_t n_jobs, const uint8_t *memory, char *why)
{
    const xn_device_io *io = l->io;
    const xn_plan *p = r->plan;
    xn_device_place place = {.box = s->box, .type = (int32_t)p->type, .to_type = (int32_t)p->type};
    size_t pos = 0;
    for (int64_t i = 0; i < n_jobs; i++) {
        const xn_view *v = xn_view_of(p, &job[i]);
        int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK], step[XANI_MAX_RANK];
        size_t bytes = p->elem;
        xn_job_box(v, job[i].block, lo, n);
        for (int k = 0; k < v->store->rank; k++) bytes *= (size_t)n[k];
        if (bytes >= XN_DEVICE_COPY_WORTH && xn_view_is_run(p, v, n)) {
            if (!io->copy_in(l->stream, xn_view_at(v, lo), memory + pos, bytes, why, XN_DEVICE_WHY)) return false;
        } else {
            xn_box_steps(v->store->rank, n, step);
            xn_device_box *box = &s->host_box[place.n_boxes++];
            xn_device_box_of(v, lo, n, s->stored + pos, step, p->elem, box);
            if (box->count > place.largest) place.largest = box->count;
        }
        pos += (bytes + 255) / 256 * 256;
    }
    xn_device_note(&r->report.bytes, (int64_t)pos);
    if (place.n_boxes == 0) return true;
    return io->copy_in(l->stream, s->stored, memory, pos, why, XN_DEVICE_WHY) &&
           io->copy_in(l->stream, s->box, s->host_box, place.n_boxes * sizeof *s->box, why, XN_DEVICE_WHY) &&
           io->place(l->stream, &place, why, XN_DEVICE_WHY);
}
