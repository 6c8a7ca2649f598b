// SPDX-License-Identifier: BSD-3-Clause
// device_batch.c -- jobs, in the order of the file, cut into batches that a slot of a lane holds; boxes for the
// kernels.
#include <string.h>

#include "io/device/device_lane.h"

enum {
    MIB = 1 << 20,
    SMALLEST = 1 * MIB,
    RING = 16 * MIB,
    WORK = 32 * MIB,
    BOXES = 8192,
    GAP = 4096,
    LEAST_BLOCK = 256
};

uint32_t xn_device_block_bytes(const xn_store *s)
{
    const xn_filter *f = &s->pipeline.filter[0];
    if (s->kind != XN_STORE_CHUNKED || s->pipeline.n != 1 || f->id != XN_FILTER_BITSHUFFLE) return 0;
    if (f->n_values < 5 || f->values[4] != 2 || f->values[2] != s->elem || s->block_bytes > UINT32_MAX) return 0;
    if (s->elem != 1 && s->elem != 2 && s->elem != 4 && s->elem != 8) return 0;
    const uint64_t bytes = f->values[3] != 0 ? (uint64_t)f->values[3] * s->elem : XN_DEVICE_BLOCK;
    return bytes < LEAST_BLOCK || bytes > XN_DEVICE_BLOCK || bytes % (8 * s->elem) != 0 ? 0 : (uint32_t)bytes;
}

static int64_t count_of(int rank, const int64_t *n)
{
    int64_t count = 1;
    for (int k = 0; k < rank; k++) count *= n[k];
    return count;
}

static xn_batch_kind kind_of(const xn_plan *p, const xn_job *job, const int64_t *n)
{
    const xn_view *v = &p->view[job->view];
    const xn_store *s = v->store;
    const bool simple = s->type == p->type || p->type == XN_F32 || p->type == XN_F64;
    if (job->bytes == 0 || s->kind > XN_STORE_CHUNKED || !simple || p->array->options.device.on_host)
        return XN_BATCH_HOST;
    if (count_of(s->rank, n) > UINT32_MAX) return XN_BATCH_HOST;
    if (xn_store_is_raw(s)) return XN_BATCH_RAW;
    return xn_device_block_bytes(s) > 0 && xn_store_place(s, job->block).mask == 0 ? XN_BATCH_UNPACK : XN_BATCH_HOST;
}

bool xn_device_in_place(const xn_plan *p, const xn_view *v, const int64_t *n)
{
    const xn_store *s = v->store;
    const bool same = s->type == p->type && !(s->swap && s->elem > 1);
    return same && memcmp(n, s->block, (size_t)s->rank * sizeof *n) == 0 && xn_view_is_run(p, v, n);
}

size_t xn_device_lay(const xn_job *before, const xn_job *job, size_t before_at, size_t *pos, bool *begins)
{
    const int64_t page = XN_CUFILE_PAGE;
    *begins =
        before == NULL || job->offset < before->offset || job->offset - (before->offset + (int64_t)before->bytes) > GAP;
    const size_t at = *begins ? (*pos + (size_t)page - 1) / (size_t)page * (size_t)page + (size_t)(job->offset % page)
                              : before_at + (size_t)(job->offset - before->offset);
    const size_t end = (at + job->bytes + (size_t)page - 1) / (size_t)page * (size_t)page;
    if (end > *pos) *pos = end;
    return at;
}

// What the batch at hand has taken of a slot.
typedef struct filling {
    size_t bytes, work, last_at;
    uint32_t chunks, boxes, where;
    bool placed; // the last chunk is decoded into the slot's memory, from which its numbers are placed
    const xn_job *last;
    const xn_store *store;
} filling;

// The slot after `job` is added.
static filling add(const xn_plan *p, const filling *f, const xn_job *job, xn_batch_kind kind, const int64_t *n)
{
    filling g = *f;
    const xn_store *s = p->view[job->view].store;
    bool begins;
    g.boxes++;
    g.store = s;
    g.last = job;
    if (kind == XN_BATCH_HOST) {
        g.bytes += ((size_t)count_of(s->rank, n) * p->elem + 255) / 256 * 256;
        return g;
    }
    const bool again = f->last != NULL && f->last->block == job->block; // of the chunk before
    g.last_at = xn_device_lay(f->last, job, f->last_at, &g.bytes, &begins);
    if (kind == XN_BATCH_RAW) return g;
    const bool placed = again || !xn_device_in_place(p, &p->view[job->view], n);
    if (placed && !(again && f->placed)) g.work += (s->block_bytes + 255) / 256 * 256;
    g.placed = placed;
    if (again) return g;
    g.chunks++;
    g.where += (uint32_t)xn_device_unpack_words(1, s->block_bytes, xn_device_block_bytes(s));
    return g;
}

// Bytes of a slot, so that every lane has work in all its slots; a job that is larger makes it larger.
static size_t slot_bytes(const xn_plan *p)
{
    const xn_device_target *t = &p->array->options.device;
    size_t total = 0, most = t->ring > 0 ? t->ring : RING;
    for (int64_t i = 0; i < p->n_jobs; i++) total += p->job[i].bytes;
    const size_t share = total / ((size_t)p->threads * XN_DEVICE_SLOTS) / SMALLEST * SMALLEST;
    if (t->ring == 0 && share < most) most = share > SMALLEST ? share : SMALLEST;
    return most;
}

static xani_status append(xn_plan *p, xn_device_batches *cut, const xn_device_batch *b, const filling *f)
{
    if (b->n == 0) return XANI_OK;
    if (cut->n == cut->room) {
        const int64_t room = cut->room > 0 ? 4 * cut->room : 64;
        xn_device_batch *list = xn_realloc(cut->list, (size_t)room, sizeof *list);
        if (list == NULL) return xn_fail_memory(p->ctx, "a plan to read", (size_t)room * sizeof *list);
        cut->list = list;
        cut->room = room;
    }
    cut->list[cut->n++] = *b;
    xn_device_room *m = &cut->most;
    if (f->bytes > m->bytes) m->bytes = f->bytes;
    if (f->work > m->work) m->work = f->work;
    if (f->chunks > m->chunks) m->chunks = f->chunks;
    if (f->boxes > m->boxes) m->boxes = f->boxes;
    if (f->where > m->where) m->where = f->where;
    return XANI_OK;
}

xani_status xn_device_cut(xn_plan *p, xn_device_batches *cut)
{
    const size_t most = slot_bytes(p);
    xn_device_batch b = {0};
    filling f = {0};
    for (int64_t i = 0; i < p->n_jobs; i++) {
        const xn_job *job = &p->job[i];
        const xn_view *v = &p->view[job->view];
        int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK];
        xn_job_box(v, job->block, lo, n);
        const xn_batch_kind kind = kind_of(p, job, n);
        filling with = add(p, &f, job, kind, n);
        const bool fits = with.bytes <= most && with.work <= WORK && with.boxes <= BOXES;
        if (b.n > 0 && (kind != b.kind || (kind != XN_BATCH_HOST && f.store != v->store) || !fits)) {
            XN_TRY(append(p, cut, &b, &f));
            b.n = 0;
            f = (filling){0};
            with = add(p, &f, job, kind, n);
        }
        if (b.n++ == 0) b.first = i;
        b.kind = kind;
        f = with;
    }
    return append(p, cut, &b, &f);
}

void xn_device_box_of(const xn_view *v, const int64_t *lo, const int64_t *n, const uint8_t *from,
                      const int64_t *from_step, size_t elem, xn_device_box *box)
{
    int rank = 0;
    memset(box, 0, sizeof *box);
    box->from = from;
    box->to = xn_view_at(v, lo);
    box->count = 1;
    for (int k = 0; k < v->store->rank; k++) { // an axis joins the one before where both sides go on as if it were one
        const int64_t to_step = v->stride[k] / (int64_t)elem;
        if (n[k] == 1) continue;
        box->count *= (uint32_t)n[k];
        const bool joins =
            rank > 0 && box->from_step[rank - 1] == n[k] * from_step[k] && box->to_step[rank - 1] == n[k] * to_step;
        if (!joins) rank++;
        box->n[rank - 1] = joins ? box->n[rank - 1] * (uint32_t)n[k] : (uint32_t)n[k];
        box->from_step[rank - 1] = from_step[k];
        box->to_step[rank - 1] = to_step;
    }
    if (rank == 0) box->n[rank++] = 1;
    box->rank = rank;
}
