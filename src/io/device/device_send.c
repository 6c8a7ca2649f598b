// SPDX-License-Identifier: BSD-3-Clause
// device_send.c -- a filled slot goes into the lane's stream: copies, decoding, numbers to their places.
//
// A chunk whose numbers are the answer as they are is decoded where they belong; so are large raw runs copied, without
// a stop.  All else is put in place by a kernel from the slot's memory.
#include <string.h>

#include "io/device/device_run.h"

// Elements of a box from the first of its block on.
static int64_t first_of(const xn_store *s, const int64_t *lo, const int64_t *step)
{
    int64_t at = 0;
    for (int k = 0; k < s->rank; k++) at += lo[k] % s->block[k] * step[k];
    return at;
}

static bool send_stored(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, size_t in_pinned, char *why)
{
    if (in_pinned == 0) return true;
    xn_device_note(&r->report.bytes, (int64_t)in_pinned);
    return l->io->copy_in(l->stream, s->stored, s->pinned, in_pinned, why, XN_DEVICE_WHY);
}

static bool place_boxes(const xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_store *store,
                        uint32_t n, char *why)
{
    xn_device_place job = {.box = s->box,
                           .n_boxes = n,
                           .type = (int32_t)store->type,
                           .to_type = (int32_t)r->plan->type,
                           .swap = store->swap && store->elem > 1};
    for (uint32_t i = 0; i < n; i++)
        if (s->host_box[i].count > job.largest) job.largest = s->host_box[i].count;
    return n == 0 || (l->io->copy_in(l->stream, s->box, s->host_box, n * sizeof *s->box, why, XN_DEVICE_WHY) &&
                      l->io->place(l->stream, &job, why, XN_DEVICE_WHY));
}

// Large runs that are the answer as they are go where they belong, those that follow each other at once.
typedef struct moving {
    uint8_t *to;
    size_t at, bytes;
} moving;

static bool move(xn_device_lane *l, xn_device_slot *s, moving *m, size_t in_pinned, char *why)
{
    const moving now = *m;
    m->bytes = 0;
    if (now.bytes == 0) return true;
    return in_pinned > 0 ? l->io->copy_in(l->stream, now.to, s->pinned + now.at, now.bytes, why, XN_DEVICE_WHY)
                         : l->io->copy_within(l->stream, now.to, s->stored + now.at, now.bytes, why, XN_DEVICE_WHY);
}

bool xn_device_send_raw(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b,
                        size_t in_pinned, char *why)
{
    const xn_plan *p = r->plan;
    const xn_job *job = &p->job[b->first], *before = NULL;
    const xn_store *store = xn_view_of(p, job)->store;
    const bool same = store->type == p->type && !(store->swap && store->elem > 1);
    int64_t step[XANI_MAX_RANK];
    size_t pos = 0, at = 0, moved = 0;
    uint32_t boxes = 0;
    moving m = {0};
    bool begins;
    xn_box_steps(store->rank, store->block, step);
    for (int64_t i = 0; i < b->n; i++) {
        const xn_view *v = xn_view_of(p, &job[i]);
        int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK];
        at = xn_device_lay(before, &job[i], at, &pos, &begins);
        before = &job[i];
        xn_job_box(v, job[i].block, lo, n);
        if (same && job[i].bytes >= XN_DEVICE_COPY_WORTH && xn_box_is_run(store->rank, n, store->block) &&
            xn_view_is_run(p, v, n)) {
            uint8_t *to = xn_view_at(v, lo);
            const bool follows = m.bytes > 0 && m.to + m.bytes == to && m.at + m.bytes == at;
            if (!follows && !move(l, s, &m, in_pinned, why)) return false;
            if (!follows) m = (moving){to, at, 0};
            m.bytes += job[i].bytes;
            moved += job[i].bytes;
        } else {
            xn_device_box_of(v, lo, n, s->stored + at, step, p->elem, &s->host_box[boxes++]);
        }
    }
    xn_device_note(&r->report.raw, b->n);
    if (boxes == 0) xn_device_note(&r->report.bytes, in_pinned > 0 ? (int64_t)moved : 0);
    return move(l, s, &m, in_pinned, why) && (boxes == 0 || send_stored(r, l, s, in_pinned, why)) &&
           place_boxes(r, l, s, store, boxes, why);
}

bool xn_device_send_packed(xn_device_run_state *r, xn_device_lane *l, xn_device_slot *s, const xn_device_batch *b,
                           size_t in_pinned, char *why)
{
    const xn_plan *p = r->plan;
    const xn_job *job = &p->job[b->first], *before = NULL;
    const xn_store *store = xn_view_of(p, job)->store;
    int64_t step[XANI_MAX_RANK];
    size_t pos = 0, at = 0, work = 0;
    uint32_t boxes = 0, chunks = 0;
    bool begins;
    xn_box_steps(store->rank, store->block, step);
    for (int64_t i = 0; i < b->n; i++) {
        const xn_view *v = xn_view_of(p, &job[i]);
        int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK];
        const bool again = before != NULL && before->block == job[i].block;
        const bool shared = i + 1 < b->n && job[i + 1].block == job[i].block;
        at = xn_device_lay(before, &job[i], at, &pos, &begins);
        before = &job[i];
        xn_job_box(v, job[i].block, lo, n);
        const bool in_place = !again && !shared && xn_device_in_place(p, v, n);
        if (!again) {
            s->host_chunk[chunks].stored = s->stored + at;
            s->host_chunk[chunks].bytes = job[i].bytes;
            s->host_chunk[chunks++].out = in_place ? xn_view_at(v, lo) : s->work + work;
            if (!in_place) work += (store->block_bytes + 255) / 256 * 256;
        }
        if (in_place) continue;
        const uint8_t *from = s->host_chunk[chunks - 1].out + (size_t)first_of(store, lo, step) * store->elem;
        xn_device_box_of(v, lo, n, from, step, p->elem, &s->host_box[boxes++]);
    }
    const xn_device_unpack unpack = {.chunk = s->chunk,
                                     .where = s->where,
                                     .bad = s->bad,
                                     .chunk_bytes = store->block_bytes,
                                     .n_chunks = chunks,
                                     .elem = (uint32_t)store->elem,
                                     .block_bytes = xn_device_block_bytes(store)};
    s->n_chunks = chunks;
    xn_device_note(&r->report.unpacked, chunks);
    return send_stored(r, l, s, in_pinned, why) &&
           l->io->copy_in(l->stream, s->chunk, s->host_chunk, chunks * sizeof *s->chunk, why, XN_DEVICE_WHY) &&
           l->io->unpack(l->stream, &unpack, why, XN_DEVICE_WHY) && place_boxes(r, l, s, store, boxes, why) &&
           l->io->copy_out(l->stream, s->host_bad, s->bad, chunks * sizeof *s->bad, why, XN_DEVICE_WHY);
}
