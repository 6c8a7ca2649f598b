// SPDX-License-Identifier: BSD-3-Clause
// array_run.c -- see array.h: jobs are sorted into tasks, threads take tasks, read, decode and put in place.
//
// Tasks are in the order of the file.  Small runs that follow each other there are one task; a run that goes to one
// place as it is gets that place to be read into.
//
// A thread keeps as many reads under way as its reader has room for and decodes what comes back while the others are
// on their way; what it decodes is still in its cache.  The first error ends the read: the others take no further task.
#include <errno.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "io/device/device_lane.h"

enum { SMALL = 128 << 10, MERGED = 512 << 10, GAP = 4096, DEPTH_MAX = 64, ONE_THREAD = 256 << 10, SECTOR = 512 };
// An answer that no core would find in its caches afterwards is written past them: bitshuffle+LZ4 at 6.0 GB/s of a core
// instead of 4.1, where each line is read from memory before it is overwritten.
enum { STREAM_LEAST = 64 << 20 };

typedef struct run {
    xn_plan *plan;
    const xn_reader_ops *ops;
    int slot; // of the reader in a worker
    _Atomic int64_t next;
    atomic_bool failed;
    xani_status status; // of the first failure
} run;

// ---- tasks

static const xn_view *view_of(const xn_plan *p, const xn_job *job) { return &p->view[job->view]; }
static xn_file *file_of(const xn_plan *p, const xn_job *job) { return view_of(p, job)->store->file; }

static int by_place(const void *a, const void *b, void *plan)
{
    const xn_job *x = a, *y = b;
    uintptr_t f = (uintptr_t)file_of(plan, x), g = (uintptr_t)file_of(plan, y);
    if (f != g) return (f > g) - (f < g);
    if (x->offset != y->offset) return (x->offset > y->offset) - (x->offset < y->offset);
    return (x->view > y->view) - (x->view < y->view);
}

static void sort_jobs(xn_plan *p)
{
    int64_t i = 1;
    while (i < p->n_jobs && by_place(&p->job[i - 1], &p->job[i], p) <= 0) i++;
    if (i < p->n_jobs) qsort_r(p->job, (size_t)p->n_jobs, sizeof *p->job, by_place, p);
}

// Where the bytes of a job go if they are the answer as they are; NULL: they are not.
static uint8_t *direct(const xn_plan *p, const xn_job *job)
{
    const xn_view *v = view_of(p, job);
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0};
    if (job->bytes == 0 || !xn_store_is_raw(v->store) || v->store->type != p->type) return NULL;
    xn_job_box(v, job->block, lo, n);
    return xn_box_is_run(v->store->rank, n, v->store->block) && xn_view_is_run(p, v, n) ? xn_view_at(v, lo) : NULL;
}

static bool joins(const xn_plan *p, const xn_task *t, const xn_job *job)
{
    const xn_job *first = &p->job[t->first];
    if (file_of(p, first) != file_of(p, job) || t->bytes == 0 || job->bytes == 0) return false;
    bool same = !xn_store_is_raw(view_of(p, job)->store) && job->offset == p->job[t->first + t->n - 1].offset;
    if (same) return true; // one block, wanted by several views
    int64_t end = t->offset + (int64_t)t->bytes, job_end = job->offset + (int64_t)job->bytes;
    return t->dst == NULL && job->bytes <= SMALL && first->bytes <= SMALL && job->offset - end <= GAP &&
           job_end - t->offset <= MERGED;
}

static xani_status make_tasks(xn_plan *p)
{
    if (p->tasks_room < p->n_jobs) {
        xn_task *more = xn_realloc(p->task, (size_t)p->n_jobs, sizeof *more);
        if (more == NULL) return xn_fail_memory(p->ctx, "a plan to read", (size_t)p->n_jobs * sizeof *more);
        p->task = more;
        p->tasks_room = p->n_jobs;
    }
    p->n_tasks = 0;
    p->largest = 0;
    xn_task *t = NULL;
    for (int64_t i = 0; i < p->n_jobs; i++) {
        const xn_job *job = &p->job[i];
        uint8_t *dst = direct(p, job);
        if (t && (dst == NULL || job->bytes < SMALL / 8) && joins(p, t, job)) {
            int64_t end = xn_max64(t->offset + (int64_t)t->bytes, job->offset + (int64_t)job->bytes);
            t->bytes = (size_t)(end - t->offset);
            t->n++;
        } else {
            t = &p->task[p->n_tasks++];
            *t = (xn_task){i, 1, job->offset, job->bytes, job->bytes >= SMALL / 8 ? dst : NULL};
        }
        if (t->dst == NULL && t->bytes > p->largest) p->largest = t->bytes;
    }
    return XANI_OK;
}

// ---- one task

static void strides(int rank, const int64_t *shape, size_t elem, int64_t *stride)
{
    int64_t step = (int64_t)elem;
    for (int k = rank - 1; k >= 0; k--) {
        stride[k] = step;
        step *= shape[k];
    }
}

static uint8_t *worker_block(xn_worker *w, size_t bytes)
{
    if (w->block_bytes >= bytes) return w->block;
    xn_free(w->block);
    w->block = xn_alloc(bytes, 1);
    w->block_bytes = w->block ? bytes : 0;
    return w->block;
}

// Compact, external, the library's; blocks never written.
static xani_status without_place(xn_plan *p, xn_worker *w, const xn_job *job)
{
    const xn_view *v = view_of(p, job);
    xn_store *s = v->store;
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0}, stride[XANI_MAX_RANK] = {0};
    xn_job_box(v, job->block, lo, n);
    if (s->kind <= XN_STORE_CHUNKED) return xn_view_fill(p, v, lo, n);
    if (s->type == p->type && xn_view_is_run(p, v, n)) return xn_store_fetch(p->ctx, s, lo, n, xn_view_at(v, lo));
    uint8_t *block = worker_block(w, s->block_bytes);
    if (block == NULL) return xn_fail_memory(p->ctx, s->dataset, s->block_bytes);
    XN_TRY(xn_store_fetch(p->ctx, s, lo, n, block));
    strides(s->rank, n, s->elem, stride);
    return xn_view_put(p, v, lo, n, block, stride, false);
}

static xani_status put_raw(xn_plan *p, const xn_job *job, const uint8_t *data)
{
    const xn_view *v = view_of(p, job);
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0}, stride[XANI_MAX_RANK] = {0};
    xn_job_box(v, job->block, lo, n);
    strides(v->store->rank, v->store->block, v->store->elem, stride);
    return xn_view_put(p, v, lo, n, data, stride, v->store->swap);
}

// *decoded: the block that the worker holds from the job before, -1: none.
static xani_status put_filtered(xn_plan *p, xn_worker *w, const xn_job *job, const uint8_t *data, int64_t *decoded)
{
    const xn_view *v = view_of(p, job);
    const xn_store *s = v->store;
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0}, stride[XANI_MAX_RANK] = {0}, at = 0;
    xn_job_box(v, job->block, lo, n);
    bool whole = memcmp(n, s->block, (size_t)s->rank * sizeof *n) == 0;
    bool in_place = whole && s->type == p->type && xn_view_is_run(p, v, n);
    if (*decoded != job->block || in_place) {
        uint8_t *block = in_place ? xn_view_at(v, lo) : worker_block(w, s->block_bytes);
        if (block == NULL) return xn_fail_memory(p->ctx, s->dataset, s->block_bytes);
        *decoded = -1;
        xn_codec_stream(w->codec, in_place && p->stream && !s->swap);
        const char *why = xn_pipeline_decode(w->codec, &s->pipeline, xn_store_place(s, job->block).mask, data,
                                             job->bytes, block, s->block_bytes);
        xn_codec_stream(w->codec, false);
        if (why == xn_codec_no_memory) return xn_fail_memory(p->ctx, s->dataset, s->block_bytes);
        if (why) return xn_store_fail(p->ctx, s, job->block, why);
        if (in_place && s->swap) xn_swap_bytes(block, s->block_bytes / s->elem, s->elem);
        if (in_place) return XANI_OK;
        *decoded = job->block;
    }
    strides(s->rank, s->block, s->elem, stride);
    for (int k = 0; k < s->rank; k++) at += lo[k] % s->block[k] * stride[k];
    return xn_view_put(p, v, lo, n, w->block + at, stride, s->swap);
}

static xani_status take_data(xn_plan *p, xn_worker *w, const xn_task *t, const xn_read *read)
{
    const xn_job *first = &p->job[t->first];
    const xn_store *s = view_of(p, first)->store, *last = s;
    int64_t decoded = -1;
    if (read->error == ENOMEM) return xn_fail_memory(p->ctx, s->dataset, t->bytes);
    if (read->error != 0) return xn_store_fail(p->ctx, s, first->block, xn_read_why(read->error));
    if (t->dst) {
        if (s->swap) xn_swap_bytes(t->dst, t->bytes / s->elem, s->elem);
        return XANI_OK;
    }
    for (int64_t i = t->first; i < t->first + t->n; i++) {
        const xn_job *job = &p->job[i];
        const uint8_t *data = read->data + (job->offset - t->offset);
        s = view_of(p, job)->store;
        if (s != last) decoded = -1;
        last = s;
        XN_TRY(xn_store_is_raw(s) ? put_raw(p, job, data) : put_filtered(p, w, job, data, &decoded));
    }
    return XANI_OK;
}

// ---- threads

static void fail(run *r, xani_status st)
{
    if (!atomic_exchange(&r->failed, true)) r->status = st;
}

static xn_reader *worker_reader(const run *r, xn_worker *w)
{
    const xn_plan *p = r->plan;
    int depth = p->array->options.depth;
    xn_reader **reader = &w->reader[r->slot];
    if (depth == 0 && strcmp(r->ops->name, "pread") == 0) depth = 1; // it has no queue, and one buffer stays in cache
    depth = (int)xn_min64(depth, DEPTH_MAX);
    bool fits = *reader && w->largest[r->slot] >= p->largest && w->depth[r->slot] == depth;
    if (fits) return *reader;
    if (*reader) r->ops->close(*reader);
    *reader = r->ops->open(depth, p->largest);
    w->largest[r->slot] = p->largest;
    w->depth[r->slot] = depth;
    return *reader;
}

// Takes tasks until a read is under way for it in `read`; false: there are no more.
static bool start_read(run *r, xn_worker *w, xn_reader *reader, xn_read *read)
{
    xn_plan *p = r->plan;
    while (!atomic_load_explicit(&r->failed, memory_order_relaxed)) {
        if (xn_interrupted(p->ctx)) return fail(r, xn_check_interrupt(p->ctx)), false;
        int64_t i = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
        if (i >= p->n_tasks) return false;
        xn_task *t = &p->task[i];
        if (t->bytes > 0) {
            *read = (xn_read){.file = file_of(p, &p->job[t->first]),
                              .offset = t->offset,
                              .bytes = t->bytes,
                              .dst = t->dst,
                              .user = t};
            if (reader->ops->submit(reader, read)) return true;
            return fail(r, xn_fail(p->ctx, XANI_ERR_INTERNAL, "reader %s refuses a read", reader->ops->name)), false;
        }
        for (int64_t k = 0; k < t->n; k++) {
            xani_status st = without_place(p, w, &p->job[t->first + k]);
            if (st != XANI_OK) return fail(r, st), false;
        }
    }
    return false;
}

static void work(run *r, xn_worker *w)
{
    xn_reader *reader = worker_reader(r, w);
    if (reader == NULL) return fail(r, xn_fail_memory(r->plan->ctx, "a reader", r->plan->largest));
    xn_read reads[DEPTH_MAX], *idle[DEPTH_MAX];
    int n_idle = (int)xn_min64(reader->depth, DEPTH_MAX);
    bool more = true;
    for (int i = 0; i < n_idle; i++) idle[i] = &reads[i];
    for (;;) {
        while (more && n_idle > 0 && (more = start_read(r, w, reader, idle[n_idle - 1]))) n_idle--;
        xn_read *done = reader->ops->next(reader);
        if (done == NULL) return;
        if (!atomic_load_explicit(&r->failed, memory_order_relaxed)) {
            xani_status st = take_data(r->plan, w, done->user, done);
            if (st != XANI_OK) fail(r, st);
        }
        reader->ops->release(reader, done);
        idle[n_idle++] = done;
    }
}

static void choose(run *r)
{
    const xn_plan *p = r->plan;
    const char *name = p->array->options.reader;
    r->ops = xn_reader_at(0);
    for (int64_t k = 0, i = p->n_tasks / 2; k < p->n_tasks && !name; k++, i = (i + 1) % p->n_tasks) {
        const xn_task *t = &p->task[i]; // the first ones may be cached by whoever looked at the file
        if (t->bytes == 0) continue;
        r->ops = xn_reader_choose(file_of(p, &p->job[t->first]), t->offset, (int64_t)t->bytes);
        break;
    }
    for (int i = 0; i < XN_READERS && xn_reader_at(i); i++) {
        if (name && strcmp(xn_reader_at(i)->name, name) == 0) r->ops = xn_reader_at(i);
        if (xn_reader_at(i) == r->ops) r->slot = i;
    }
}

// Whether the reader's queue does all there is to do: one thread keeps the disk busy, and a second one would spend more
// of the processor waiting for the first than both on reading (0.11 CPU s/GB instead of 0.01).
static bool queue_suffices(const run *r)
{
    bool all = strcmp(r->ops->name, "uring") == 0;
    for (int64_t i = 0; all && i < r->plan->n_tasks; i++) {
        const xn_task *t = &r->plan->task[i];
        all = t->dst != NULL && (t->offset - (int64_t)(uintptr_t)t->dst) % SECTOR == 0; // else it is copied
    }
    return all;
}

static void work_alone(run *r)
{
    xn_worker *w = xn_worker_take(r->plan->array);
    if (w == NULL) {
        fail(r, xn_fail_memory(r->plan->ctx, "a reading thread", sizeof *w));
    } else {
        work(r, w);
        xn_worker_give(r->plan->array, w);
    }
}

xani_status xn_plan_run(xn_plan *p)
{
    run r = {.plan = p, .status = XANI_OK};
    if (p->n_jobs == 0) return XANI_OK;
    sort_jobs(p);
    if (p->device) return xn_device_run(p);
    XN_TRY(make_tasks(p));
    choose(&r);
    int64_t bytes = 0;
    for (int64_t i = 0; i < p->n_tasks && bytes <= ONE_THREAD; i++)
        bytes += (int64_t)p->task[i].bytes + (p->task[i].bytes == 0 ? ONE_THREAD : 0);
    int threads = bytes <= ONE_THREAD ? 1 : (int)xn_min64(p->threads, p->n_tasks);
    if (threads <= 1 || queue_suffices(&r)) {
        work_alone(&r);
    } else {
#pragma omp parallel num_threads(threads)
        work_alone(&r);
    }
    p->n_jobs = 0;
    return r.status;
}

static double answer_bytes(const xn_array *a, const xn_selection *s, size_t elem)
{
    double bytes = (double)elem;
    for (int k = 0; k < a->info.rank; k++) bytes *= (double)s->count[k];
    return bytes;
}

xani_status xn_array_read(xn_ctx *ctx, xn_array *a, const xn_selection *selection, xn_type type, void *dst, int threads)
{
    xn_plan p = {.ctx = ctx, .array = a, .type = type, .elem = xn_type_size(type), .threads = threads};
    if (threads == 0) p.threads = xn_threads(a->options.threads);
    p.device = a->options.device.io != NULL;
    p.stream = answer_bytes(a, selection, p.elem) >= STREAM_LEAST;
    if (xn_converter_for(a->info.type, type) == NULL)
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: %s: cannot be read as %s", a->paths[0], a->dataset,
                       xn_type_name(type));
    xani_status st = xn_plan_read(&p, selection, dst);
    xn_free(p.view);
    xn_free(p.job);
    xn_free(p.task);
    return st;
}
