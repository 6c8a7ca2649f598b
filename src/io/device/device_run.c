// SPDX-License-Identifier: BSD-3-Clause
// device_run.c -- batches on their way: a lane fills a slot, hands it to the device, and fills the next meanwhile.
//
// A chunk that the device hands back is read again by the processor, whose answer, bytes or error, counts.
#include <omp.h>
#include <string.h>

#include "io/device/device_run.h"

enum { FILL = 1 << 20 };

xani_status xn_device_fails(const xn_plan *p, const char *why)
{
    const xn_array *a = p->array;
    return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s: device %d: %s", a->paths[0], a->dataset, a->options.device.number,
                   why);
}

// ---- slots

static xani_status host_batch(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b)
{
    char why[XN_DEVICE_WHY] = "";
    const xn_job *job = &r->plan->job[b->first];
    uint8_t *memory = xn_device_slot_pinned(l, s, why, sizeof why);
    if (memory == NULL) return xn_device_fails(r->plan, why);
    XN_TRY(xn_device_read_on_host(r, l, job, b->n, memory));
    return xn_device_send_boxes(r, l, s, job, b->n, memory, why) ? XANI_OK : xn_device_fails(r->plan, why);
}

// One job that the device has handed back, by the processor.
static xani_status repair(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_job *job)
{
    char why[XN_DEVICE_WHY] = "";
    int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK];
    size_t bytes = r->plan->elem;
    const xn_view *v = xn_view_of(r->plan, job);
    xn_job_box(v, job->block, lo, n);
    for (int k = 0; k < v->store->rank; k++) bytes *= (size_t)n[k];
    xn_device_slot once = {.host_box = s->host_box, .box = s->box, .done = s->done};
    uint8_t *memory = l->io->pin(bytes, why, sizeof why);
    once.stored = memory != NULL ? l->io->take(bytes, why, sizeof why) : NULL;
    xani_status st = once.stored != NULL ? xn_device_read_on_host(r, l, job, 1, memory) : xn_device_fails(r->plan, why);
    if (st == XANI_OK && !(xn_device_send_boxes(r, l, &once, job, 1, memory, why) &&
                           l->io->mark(l->stream, s->done, why, sizeof why) && l->io->wait(s->done, why, sizeof why)))
        st = xn_device_fails(r->plan, why);
    if (once.stored != NULL) l->io->give(once.stored);
    if (memory != NULL) l->io->unpin(memory);
    return st;
}

// Waits for the batch of the slot and looks at its chunks.
static xani_status finish(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s)
{
    char why[XN_DEVICE_WHY] = "";
    if (!s->busy) return XANI_OK;
    s->busy = false;
    if (!l->io->wait(s->done, why, sizeof why)) return xn_device_fails(r->plan, why);
    const xn_job *job = &r->plan->job[s->first];
    uint32_t chunk = 0;
    for (int64_t i = 0; s->n_chunks > 0 && i < s->n; i++) {
        if (i > 0 && job[i].block != job[i - 1].block) chunk++;
        if (s->host_bad[chunk] == 0) continue;
        xn_device_note(&r->report.handed_back, 1);
        XN_TRY(repair(r, l, s, &job[i]));
    }
    return XANI_OK;
}

static xani_status start(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b)
{
    char why[XN_DEVICE_WHY] = "";
    size_t in_pinned = 0;
    s->first = b->first;
    s->n = b->n;
    s->n_chunks = 0;
    s->busy = true; // whatever is under way must have ended before the slot is used again
    if (b->kind == XN_BATCH_HOST) {
        XN_TRY(host_batch(r, l, s, b));
    } else {
        XN_TRY(xn_device_fill_slot(r, l, s, b, &in_pinned));
        const bool ok = b->kind == XN_BATCH_RAW ? xn_device_send_raw(r, l, s, b, in_pinned, why)
                                                : xn_device_send_packed(r, l, s, b, in_pinned, why);
        if (!ok) return xn_device_fails(r->plan, why);
    }
    return l->io->mark(l->stream, s->done, why, sizeof why) ? XANI_OK : xn_device_fails(r->plan, why);
}

static void fail(xn_device_run_state *r, xani_status st)
{
    if (st != XANI_OK && !atomic_exchange(&r->failed, true)) r->status = st;
}

static void work(xn_device_run_state *r, xn_device_lane *l)
{
    int turn = 0;
    while (!atomic_load(&r->failed)) {
        const int64_t i = atomic_fetch_add(&r->next, 1);
        if (i >= r->cut.n) break;
        xn_device_slot *s = &l->slot[turn++ % XN_DEVICE_SLOTS];
        xani_status st = finish(r, l, s);
        if (st == XANI_OK) st = start(r, l, s, &r->cut.list[i]);
        fail(r, st);
    }
    for (int i = 0; i < XN_DEVICE_SLOTS && !atomic_load(&r->failed); i++)
        fail(r, finish(r, l, &l->slot[(turn + i) % XN_DEVICE_SLOTS]));
}

// After a failure too nothing may be under way any more: the caller may give the destination back.
static void settle(xn_device_lane *l)
{
    char why[XN_DEVICE_WHY];
    bool busy = false;
    for (int i = 0; i < XN_DEVICE_SLOTS; i++) {
        busy = busy || l->slot[i].busy;
        l->slot[i].busy = false;
    }
    if (busy && l->io->mark(l->stream, l->slot[0].done, why, sizeof why))
        (void)l->io->wait(l->slot[0].done, why, sizeof why);
}

static void work_alone(xn_device_run_state *r)
{
    char why[XN_DEVICE_WHY] = "";
    int before;
    xn_device_lane *l = NULL;
    if (xn_device_enter(r->target, &before, why, sizeof why))
        l = xn_device_lane_take(r->plan->array, &r->cut.most, why, sizeof why);
    if (l == NULL) { // the others do without it, where there are others
        if (!atomic_exchange(&r->told, true)) memcpy(r->why, why, sizeof r->why);
    } else {
        atomic_store(&r->opened, true);
        work(r, l);
        settle(l);
        xn_device_lane_give(r->plan->array, l);
    }
    xn_device_leave(r->target, before);
}

static void add_report(xn_device_report *to, const xn_device_report *r)
{
    to->unpacked += r->unpacked, to->raw += r->raw, to->on_host += r->on_host, to->handed_back += r->handed_back;
    to->bytes += r->bytes, to->cufile_bytes += r->cufile_bytes;
}

xani_status xn_device_run(xn_plan *p)
{
    xn_array *a = p->array;
    xn_device_run_state r = {.plan = p, .target = &a->options.device, .status = XANI_OK};
    if (p->n_jobs == 0) return XANI_OK;
    xani_status st = xn_device_cut(p, &r.cut);
    if (st == XANI_OK) {
        int lanes = r.target->lanes > 0 ? r.target->lanes : p->threads;
        lanes = (int)xn_min64(xn_min64(lanes, XN_DEVICE_LANES), r.cut.n);
        if (lanes <= 1) {
            work_alone(&r);
        } else {
#pragma omp parallel num_threads(lanes)
            work_alone(&r);
        }
        if (!r.opened) fail(&r, xn_device_fails(p, r.why));
        st = r.status;
        pthread_mutex_lock(&a->lock);
        add_report(&a->device_report, &r.report);
        pthread_mutex_unlock(&a->lock);
    }
    xn_free(r.cut.list);
    p->n_jobs = 0;
    return st;
}

// ---- the destination

static bool fill(xn_plan *p, xn_device_lane *l, uint8_t *dst, const uint8_t *one, size_t bytes, char *why)
{
    const size_t piece = FILL / p->elem * p->elem;
    xn_device_mark *done = l->slot[0].done;
    uint8_t *pinned = xn_device_slot_pinned(l, &l->slot[0], why, XN_DEVICE_WHY);
    bool ok = pinned != NULL;
    for (size_t i = 0; ok && i < piece && i < bytes; i += p->elem) memcpy(pinned + i, one, p->elem);
    for (size_t at = 0; ok && at < bytes; at += piece)
        ok = l->io->copy_in(l->stream, dst + at, pinned, bytes - at < piece ? bytes - at : piece, why, XN_DEVICE_WHY);
    return ok && l->io->mark(l->stream, done, why, XN_DEVICE_WHY) && l->io->wait(done, why, XN_DEVICE_WHY);
}

xani_status xn_device_fill(xn_plan *p, uint8_t *dst, const uint8_t *one, int64_t elements)
{
    char why[XN_DEVICE_WHY] = "";
    const xn_device_target *t = &p->array->options.device;
    const xn_device_room room = {.bytes = FILL, .boxes = 1};
    int before;
    xn_device_lane *l = NULL;
    if (xn_device_enter(t, &before, why, sizeof why)) l = xn_device_lane_take(p->array, &room, why, sizeof why);
    const bool ok = l != NULL && fill(p, l, dst, one, (size_t)elements * p->elem, why);
    if (l != NULL) xn_device_lane_give(p->array, l);
    xn_device_leave(t, before);
    return ok ? XANI_OK : xn_device_fails(p, why);
}

xani_status xn_device_check(xn_plan *p, const void *dst)
{
    char why[XN_DEVICE_WHY] = "it is memory of another device";
    const xn_device_target *t = &p->array->options.device;
    const int owner = t->io->owner(dst, why, sizeof why);
    if (owner == t->number && (uintptr_t)dst % p->elem != 0)
        return xn_fail(p->ctx, XANI_ERR_USAGE, "dst: not aligned to its elements of %zu bytes", p->elem);
    if (owner == t->number) return XANI_OK;
    return xn_fail(p->ctx, XANI_ERR_USAGE, "dst: not memory of device %d: %s", t->number, why);
}
