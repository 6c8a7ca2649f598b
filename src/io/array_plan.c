// SPDX-License-Identifier: BSD-3-Clause
// array_plan.c -- a selection becomes views, and views become jobs.
//
// Memory is bounded: after so many views or jobs, those at hand are run (array_run.c).
#include <string.h>

#include "io/device/device_lane.h"

enum { VIEWS_MAX = 1 << 15, JOBS_MAX = 1 << 18 };

static bool room_for(xn_ctx *ctx, void **list, int64_t *room, int64_t n, size_t size, int64_t most)
{
    if (n < *room) return true;
    int64_t more = xn_min64(most, *room ? 4 * *room : 64);
    void *p = xn_realloc(*list, (size_t)more, size);
    if (p == NULL) return xn_fail_memory(ctx, "a plan to read", (size_t)more * size), false;
    *list = p;
    *room = more;
    return true;
}

// ---- jobs

void xn_job_box(const xn_view *v, int64_t block, int64_t *lo, int64_t *n)
{
    xn_store_block(v->store, block, lo, n);
    for (int k = 0; k < v->store->rank; k++) {
        int64_t end = xn_min64(lo[k] + n[k], v->lo[k] + v->n[k]);
        lo[k] = xn_max64(lo[k], v->lo[k]);
        n[k] = end - lo[k];
    }
}

// Of a block that is stored as it is only the bytes from the first element wanted to the last are read.
static void narrow(const xn_view *v, int64_t block, xn_job *job)
{
    const xn_store *s = v->store;
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0}, first = 0, last = 0;
    xn_job_box(v, block, lo, n);
    for (int k = 0; k < s->rank; k++) {
        int64_t at = lo[k] % s->block[k];
        first = first * s->block[k] + at;
        last = last * s->block[k] + at + n[k] - 1;
    }
    job->offset += first * (int64_t)s->elem;
    job->bytes = (size_t)(last - first + 1) * s->elem;
}

static xani_status add_job(xn_plan *p, int64_t view, int64_t block)
{
    const xn_view *v = &p->view[view];
    const xn_store *s = v->store;
    xn_job job = {.view = view, .block = block, .offset = block};
    if (s->kind <= XN_STORE_CHUNKED) {
        xn_place place = xn_store_place(s, block);
        bool raw = xn_store_is_raw(s);
        if (place.bytes > 0) job.offset = place.offset;
        job.bytes = place.bytes;
        if (place.bytes == 0 && !s->fill_given && !s->fill_missing)
            return xn_store_fail(p->ctx, s, block, "was never written");
        if (place.bytes == 0 && s->fill_undefined && p->array->options.known)
            return xn_store_fail(p->ctx, s, block, "was never written, and its fill value is undefined");
        if (raw && s->kind == XN_STORE_CHUNKED && place.bytes > 0 && place.bytes != s->block_bytes)
            return xn_store_fail(p->ctx, s, block, "chunk has the wrong size");
        if (raw && place.bytes > 0) narrow(v, block, &job);
    }
    if (p->n_jobs == JOBS_MAX) XN_TRY(xn_plan_run(p));
    if (!room_for(p->ctx, (void **)&p->job, &p->jobs_room, p->n_jobs, sizeof *p->job, JOBS_MAX)) return XANI_ERR_MEMORY;
    p->job[p->n_jobs++] = job;
    return XANI_OK;
}

static xani_status add_jobs(xn_plan *p, int64_t view)
{
    const xn_view *v = &p->view[view];
    const xn_store *s = v->store;
    int64_t at[XANI_MAX_RANK] = {0}, first[XANI_MAX_RANK] = {0}, end[XANI_MAX_RANK] = {0};
    for (int k = 0; k < s->rank; k++) {
        at[k] = first[k] = v->lo[k] / s->block[k];
        end[k] = (v->lo[k] + v->n[k] - 1) / s->block[k];
    }
    for (;;) {
        int64_t block = 0;
        for (int k = 0; k < s->rank; k++) block = block * s->grid[k] + at[k];
        XN_TRY(add_job(p, view, block));
        int k = s->rank - 1;
        for (; k >= 0 && ++at[k] > end[k]; k--) at[k] = first[k];
        if (k < 0) return XANI_OK;
    }
}

static xani_status run_views(xn_plan *p)
{
    for (int64_t i = 0; i < p->n_views; i++) XN_TRY(add_jobs(p, i));
    XN_TRY(xn_plan_run(p));
    p->n_views = 0;
    return XANI_OK;
}

// ---- views

// What box [lo, lo + n) of the array, whose elements go to dst in steps of `stride` bytes, wants of part q.
static xani_status add_view(xn_plan *p, const xn_part *q, const int64_t *lo, const int64_t *n, uint8_t *dst,
                            const int64_t *stride)
{
    int64_t from[XANI_MAX_RANK] = {0}, count[XANI_MAX_RANK] = {0};
    int rank = p->array->info.rank;
    for (int k = 0; k < rank; k++) {
        from[k] = xn_max64(lo[k], q->at[k]);
        count[k] = xn_min64(lo[k] + n[k], q->at[k] + q->count[k]) - from[k];
        if (count[k] <= 0) return XANI_OK;
        dst += (from[k] - lo[k]) * stride[k];
    }
    if (q->store == NULL) return XANI_OK;
    if (p->n_views == VIEWS_MAX) XN_TRY(run_views(p));
    if (!room_for(p->ctx, (void **)&p->view, &p->views_room, p->n_views, sizeof *p->view, VIEWS_MAX))
        return XANI_ERR_MEMORY;
    xn_view *v = &p->view[p->n_views++];
    v->store = q->store;
    v->dst = dst;
    xn_part_box(q, from, count, v->lo, v->n);
    for (int k = 0; k < q->store->rank; k++) v->stride[k] = q->axis[k] < 0 ? 0 : stride[q->axis[k]];
    return XANI_OK;
}

static xani_status add_box(xn_plan *p, const int64_t *lo, const int64_t *n, uint8_t *dst, const int64_t *stride)
{
    const xn_array *a = p->array;
    if (a->info.rank == 0) return add_view(p, &a->parts.list[0], lo, n, dst, stride);
    for (int64_t i = xn_parts_first(a, lo[0]); i < a->parts.n && a->parts.list[i].at[0] < lo[0] + n[0]; i++)
        XN_TRY(add_view(p, &a->parts.list[i], lo, n, dst, stride));
    return XANI_OK;
}

// Rows of the list that follow each other are one box.
static xani_status add_rows(xn_plan *p, const xn_selection *sel, uint8_t *dst, const int64_t *stride)
{
    const int64_t *list = sel->list + sel->start[0];
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0};
    memcpy(lo, sel->start, sizeof lo);
    memcpy(n, sel->count, sizeof n);
    for (int64_t i = 0; i < sel->count[0]; i += n[0]) {
        n[0] = 1;
        while (i + n[0] < sel->count[0] && list[i + n[0]] == list[i] + n[0]) n[0]++;
        lo[0] = list[i];
        XN_TRY(add_box(p, lo, n, dst + i * stride[0], stride));
    }
    return XANI_OK;
}

static xani_status check(xn_plan *p, const xn_selection *sel)
{
    const xn_array *a = p->array;
    const char *path = a->paths[0];
    for (int k = 0; k < a->info.rank; k++) {
        if (k == 0 && sel->list) continue;
        if (sel->start[k] < 0 || sel->count[k] < 0 || sel->start[k] > a->info.dims[k] - sel->count[k])
            return xn_fail(p->ctx, XANI_ERR_USAGE,
                           "%s: %s: elements wanted along axis %d: %lld from %lld on; it has %lld", path, a->dataset, k,
                           (long long)sel->count[k], (long long)sel->start[k], (long long)a->info.dims[k]);
    }
    for (int64_t i = 0; sel->list && i < sel->count[0]; i++) {
        int64_t row = sel->list[sel->start[0] + i];
        if (row < 0 || row >= a->info.dims[0])
            return xn_fail(p->ctx, XANI_ERR_USAGE, "%s: %s: frame %lld wanted, there are %lld", path, a->dataset,
                           (long long)row, (long long)a->info.dims[0]);
    }
    return XANI_OK;
}

// Some of the selection has no source: all of it gets the fill value first, or that is an error.
static xani_status gaps(xn_plan *p, uint8_t *dst, int64_t elements)
{
    const xn_array *a = p->array;
    if (!a->fill_given && !a->options.fill)
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s: no source of this virtual dataset has all of it", a->paths[0],
                       a->dataset);
    xn_converter convert = xn_converter_for(a->info.type, p->type);
    _Alignas(8) uint8_t one[8];
    if (convert(a->fill, one, 1) >= 0)
        return xn_fail(p->ctx, XANI_ERR_INPUT, "%s: %s: its fill value does not fit %s", a->paths[0], a->dataset,
                       xn_type_name(p->type));
    if (p->device) return xn_device_fill(p, dst, one, elements);
    for (int64_t i = 0; i < elements; i++) memcpy(dst + (size_t)i * p->elem, one, p->elem);
    return XANI_OK;
}

// Elements of the selection that some part has.
static int64_t covered(const xn_plan *p, const xn_selection *sel)
{
    const xn_array *a = p->array;
    int64_t all = 0, rows = sel->list ? sel->count[0] : 1;
    for (int64_t r = 0; r < rows; r++) {
        int64_t first = sel->list ? sel->list[sel->start[0] + r] : sel->start[0], n = sel->list ? 1 : sel->count[0];
        for (int64_t i = xn_parts_first(a, first); i < a->parts.n && a->parts.list[i].at[0] < first + n; i++) {
            const xn_part *q = &a->parts.list[i];
            int64_t size = q->store ? 1 : 0;
            for (int k = 0; k < a->info.rank; k++) {
                int64_t lo = k ? sel->start[k] : first, count = k ? sel->count[k] : n;
                size *= xn_max64(0, xn_min64(lo + count, q->at[k] + q->count[k]) - xn_max64(lo, q->at[k]));
            }
            all += size;
        }
    }
    return all;
}

static bool is_one_store(const xn_array *a)
{
    if (a->parts.n != 1 || a->parts.list[0].store == NULL) return false;
    return memcmp(a->parts.list[0].count, a->info.dims, (size_t)a->info.rank * sizeof(int64_t)) == 0;
}

xani_status xn_plan_read(xn_plan *p, const xn_selection *sel, uint8_t *dst)
{
    const xn_array *a = p->array;
    int64_t stride[XANI_MAX_RANK] = {0}, step = (int64_t)p->elem, size = 1;
    XN_TRY(check(p, sel));
    for (int k = a->info.rank - 1; k >= 0; k--) {
        stride[k] = step;
        step *= sel->count[k];
        size *= sel->count[k];
    }
    if (size == 0) return XANI_OK;
    if (p->device) XN_TRY(xn_device_check(p, dst));
    if (!is_one_store(a) && covered(p, sel) < size) XN_TRY(gaps(p, dst, size));
    if (sel->list)
        XN_TRY(add_rows(p, sel, dst, stride));
    else
        XN_TRY(add_box(p, sel->start, sel->count, dst, stride));
    return run_views(p);
}
