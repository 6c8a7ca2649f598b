// SPDX-License-Identifier: BSD-3-Clause
// accumulate.c -- frames to integer sums, batch by batch.
//
// A batch has two halves.  First the threads share its frames: each reads and decodes whole frames into the batch's
// memory.  Then they share the detector: each takes a row of groups and adds that row of all frames, sorted by bin,
// so calibration and sums of the row stay in its cache and no two threads ever write to the same sum: no locks, no
// copies of the sums per thread.  All sums are integers, hence independent of threads, batches and order.
//
// With an off reference per block of time, the sums of a block are folded in when it ends (fold_block): for bin b
// and group p, with r = S1_off / M1_off of the block,
//   expect += M1 r,   expect_sq += M2 r^2,   cross += r X          (float64, blocks in order: one result)
#include <math.h>
#include <omp.h>
#include <string.h>

#include "reduce/internal.h"

typedef struct workspace {
    uint8_t *frames, *scratch;
    int32_t *col;
    int64_t *v;
    size_t scratch_stride, col_stride, v_stride;
    const xn_work_shot **batch; // shots of the batch; frame i of the batch belongs to batch[i]
    int32_t *order;             // 0 .. n-1 sorted by bin
} workspace;

typedef struct job {
    xn_ctx *ctx;
    xn_source *source;
    const xn_reduce_kernels *kernels;
    xn_groups *groups;
    const xn_work *work;
    const xn_layout_plan *plan;
    int threads;
    workspace ws;
} job;

static void free_workspace(workspace *ws)
{
    void *all[] = {ws->frames, ws->scratch, ws->col, ws->v, ws->batch, ws->order};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(ws, 0, sizeof *ws);
}

static xani_status make_workspace(job *j, int64_t frames)
{
    workspace *ws = &j->ws;
    size_t n = (size_t)frames, threads = (size_t)j->threads;
    memset(ws, 0, sizeof *ws);
    ws->scratch_stride = (j->source->scratch_bytes + 63) / 64 * 64;
    ws->col_stride = ((size_t)j->groups->det_nx + 15) / 16 * 16;
    ws->v_stride = ((size_t)j->groups->nx + 7) / 8 * 8;
    ws->frames = xn_alloc(n, (size_t)j->plan->frame_bytes);
    ws->scratch = xn_alloc(threads, ws->scratch_stride);
    ws->col = xn_alloc(threads * ws->col_stride, sizeof *ws->col);
    ws->v = xn_alloc(threads * ws->v_stride, sizeof *ws->v);
    ws->batch = xn_alloc(n, sizeof *ws->batch);
    ws->order = xn_alloc(n, sizeof *ws->order);
    if (ws->frames && ws->scratch && ws->col && ws->v && ws->batch && ws->order) return XANI_OK;
    free_workspace(ws);
    return xn_fail_memory(j->ctx, "a batch of frames", n * (size_t)j->plan->frame_bytes);
}

// ---- reading

static xani_status read_batch(job *j, int64_t n)
{
    xani_status failed = XANI_OK;
    int64_t failed_at = 0;
#pragma omp parallel for schedule(dynamic) num_threads(j->threads)
    for (int64_t i = 0; i < n; i++) {
        xani_status before;
#pragma omp atomic read
        before = failed;
        if (before != XANI_OK) continue;
        uint8_t *dst = j->ws.frames + i * j->plan->frame_bytes;
        uint8_t *scratch = j->ws.scratch + (size_t)omp_get_thread_num() * j->ws.scratch_stride;
        xani_status st = j->source->ops->read_frame(j->ctx, j->source, j->ws.batch[i]->frame, dst, scratch);
        if (st == XANI_OK) continue;
#pragma omp critical(xn_reduce_read)
        if (failed == XANI_OK) {
            failed_at = i;
#pragma omp atomic write
            failed = st;
        }
    }
    if (failed == XANI_OK) return XANI_OK;
    return xn_context(j->ctx, failed, "while reading frame %lld, pulse id %llu",
                      (long long)j->ws.batch[failed_at]->frame, (unsigned long long)j->ws.batch[failed_at]->pulse_id);
}

static const uint8_t *frame_row(const job *j, int64_t frame, int64_t row)
{
    size_t pixel = (size_t)row * (size_t)j->groups->det_nx;
    return j->ws.frames + frame * j->plan->frame_bytes + pixel * xn_type_size(j->source->type);
}

// ---- one row of groups

static bool add_row(const job *j, const uint8_t *words, int64_t row, int32_t *col)
{
    const xn_groups *g = j->groups;
    int64_t at = row * g->det_nx, n = g->nx * g->k;
    if (j->source->cal.kind == XN_CAL_SCALE)
        return j->kernels->scale(words, j->source->type, g->factor[0] + at, n, g->threshold, col);
    const float *p[3] = {g->pedestal[0] + at, g->pedestal[1] + at, g->pedestal[2] + at};
    const float *f[3] = {g->factor[0] + at, g->factor[1] + at, g->factor[2] + at};
    return j->kernels->jungfrau((const uint16_t *)(const void *)words, p, f, n, g->threshold, col);
}

// Rare: says which pixels of the row had no valid number, and why.
static void flag_row(const job *j, const uint8_t *words, int64_t row)
{
    xn_groups *g = j->groups;
    size_t size = xn_type_size(j->source->type);
    for (int64_t x = 0; x < g->nx * g->k; x++) {
        int64_t i = row * g->det_nx + x;
        const uint8_t *value = words + (size_t)x * size;
        bool invalid;
        if (j->source->cal.kind == XN_CAL_SCALE) {
            int32_t q = 0;
            if (!xn_reduce_scalar.scale(value, j->source->type, &g->factor[0][i], 1, 0, &q)) continue;
            invalid = (j->source->type == XN_F32 && isnan(*(const float *)(const void *)value)) ||
                      (j->source->type == XN_F64 && isnan(*(const double *)(const void *)value));
        } else {
            uint16_t word = *(const uint16_t *)(const void *)value;
            float p[3] = {g->pedestal[0][i], g->pedestal[1][i], g->pedestal[2][i]};
            float f[3] = {g->factor[0][i], g->factor[1][i], g->factor[2][i]};
            if (xn_calib_jungfrau(word, p, f) != XN_CALIB_BAD) continue;
            invalid = word >> 14 == 2;
        }
        g->pixel_flags[i] |= invalid ? XN_FLAG_INVALID : XN_FLAG_FULL;
    }
}

// Intensity of the groups of row y in one frame, in 2^-16 photons.
static void group_row(const job *j, int64_t frame, int64_t y, int32_t *col, int64_t *v)
{
    const xn_groups *g = j->groups;
    int64_t width = g->nx * g->k, first = g->first_row[y];
    memset(v, 0, (size_t)g->nx * sizeof *v);
    for (int r = 0; r < g->k; r += XN_CALIB_ROWS) {
        memset(col, 0, (size_t)width * sizeof *col);
        for (int i = r; i < g->k && i < r + XN_CALIB_ROWS; i++) {
            const uint8_t *words = frame_row(j, frame, first + i);
            if (add_row(j, words, first + i, col)) flag_row(j, words, first + i);
        }
        j->kernels->gather(col, g->k, g->nx, v);
    }
}

static void bin_row(const job *j, const xn_pass *pass, const xn_work_shot *shot, int64_t y, const int64_t *v)
{
    xn_groups *g = j->groups;
    int64_t npix = g->ny * g->nx, at = y * g->nx;
    int64_t *s1, *s2, *x;
    if (shot->bin >= 0) {
        at += (shot->bin - pass->first) * npix;
        s1 = pass->s1 + at;
        s2 = pass->s2 + at;
        x = (pass->block_x ? pass->block_x : pass->x) + at;
    } else {
        s1 = (pass->block_off ? pass->block_off : pass->off_s1) + at;
        s2 = (pass->block_off2 ? pass->block_off2 : pass->off_s2) + at;
        x = (pass->block_offx ? pass->block_offx : pass->off_x) + at;
    }
    if (!j->kernels->bin(v, g->nx, shot->i0q, j->work->bound, s1, s2, x)) return;
    for (int64_t i = 0; i < g->nx; i++)
        if (v[i] > j->work->bound || v[i] < -j->work->bound) g->group_flags[y * g->nx + i] |= XN_FLAG_FULL;
}

// The same rows of the next frame: a jump in memory that the processor does not foresee.
static void prefetch_row(const job *j, int64_t frame, int64_t y)
{
    const uint8_t *begin = frame_row(j, frame, j->groups->first_row[y]);
    const uint8_t *end = frame_row(j, frame, j->groups->first_row[y] + j->groups->k);
    for (const uint8_t *p = begin; p < end; p += 64) __builtin_prefetch(p);
}

static void add_batch(const job *j, const xn_pass *pass, int64_t n)
{
#pragma omp parallel for schedule(dynamic) num_threads(j->threads)
    for (int64_t y = 0; y < j->groups->ny; y++) {
        size_t thread = (size_t)omp_get_thread_num();
        int32_t *col = j->ws.col + thread * j->ws.col_stride;
        int64_t *v = j->ws.v + thread * j->ws.v_stride;
        for (int64_t i = 0; i < n; i++) {
            if (i + 1 < n) prefetch_row(j, j->ws.order[i + 1], y);
            group_row(j, j->ws.order[i], y, col, v);
            bin_row(j, pass, j->ws.batch[j->ws.order[i]], y, v);
        }
    }
}

// Frames of the batch by bin, laser off first: the sums of a row stay in the cache from one shot of a bin to the next.
// Insertion: a delay scan is nearly sorted already, and a batch is short.
static void sort_batch(const job *j, int64_t n)
{
    int32_t *order = j->ws.order;
    for (int64_t i = 0; i < n; i++) {
        int64_t k = i;
        for (; k > 0 && j->ws.batch[order[k - 1]]->bin > j->ws.batch[i]->bin; k--) order[k] = order[k - 1];
        order[k] = (int32_t)i;
    }
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
static xani_status fold_block(const job *j, const xn_pass *pass, int64_t first, int64_t end)
{
    int64_t npix = j->groups->ny * j->groups->nx, off_m1 = 0;
    int64_t *m = xn_calloc((size_t)pass->n * 2, sizeof *m);
    if (m == NULL) return xn_fail_memory(j->ctx, "the sums of a block", (size_t)pass->n * 16);
    for (int64_t i = first; i < end; i++) {
        const xn_work_shot *s = &j->work->shots[i];
        if (s->bin < 0) off_m1 += s->i0q;
        if (s->bin < pass->first || s->bin >= pass->first + pass->n) continue;
        m[2 * (s->bin - pass->first)] += s->i0q;
        m[2 * (s->bin - pass->first) + 1] += (int64_t)s->i0q * s->i0q;
    }
#pragma omp parallel for schedule(dynamic) num_threads(j->threads)
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

// ---- the pass

static bool in_pass(const xn_work *work, const xn_pass *pass, const xn_work_shot *s)
{
    if (s->bin < 0) return pass->with_off || work->blockwise;
    return s->bin >= pass->first && s->bin < pass->first + pass->n;
}

static xani_status run_batch(job *j, const xn_pass *pass, int64_t n)
{
    XN_TRY(xn_check_interrupt(j->ctx));
    XN_TRY(read_batch(j, n));
    sort_batch(j, n);
    add_batch(j, pass, n);
    return XANI_OK;
}

xani_status xn_accumulate(xn_ctx *ctx, xn_source *source, const xn_reduce_kernels *kernels, xn_groups *groups,
                          const xn_work *work, const xn_layout_plan *plan, int threads, xn_pass *pass, int64_t *done,
                          int64_t total)
{
    job j = {.ctx = ctx,
             .source = source,
             .kernels = kernels,
             .groups = groups,
             .work = work,
             .plan = plan,
             .threads = threads};
    XN_TRY(make_workspace(&j, plan->batch_frames));
    xani_status st = XANI_OK;
    for (int64_t i = 0, n = 0, block_begin = 0; st == XANI_OK && i < work->n; i++) {
        const xn_work_shot *s = &work->shots[i];
        if (in_pass(work, pass, s)) j.ws.batch[n++] = s;
        bool block_ends = i + 1 == work->n || work->shots[i + 1].block != s->block;
        if (n > 0 && (n == plan->batch_frames || block_ends)) {
            st = run_batch(&j, pass, n);
            *done += n;
            n = 0;
            if (st == XANI_OK) xn_progress(ctx, "reduce", *done, total, "shots");
        }
        if (st == XANI_OK && block_ends && work->blockwise) st = fold_block(&j, pass, block_begin, i + 1);
        if (block_ends) block_begin = i + 1;
    }
    free_workspace(&j.ws);
    return st;
}

xani_status xn_prescan(xn_ctx *ctx, xn_source *source, const xn_reduce_kernels *kernels, xn_groups *groups,
                       const xn_work *work, const xn_layout_plan *plan, int threads, int64_t *masked)
{
    job j = {.ctx = ctx,
             .source = source,
             .kernels = kernels,
             .groups = groups,
             .work = work,
             .plan = plan,
             .threads = threads};
    int64_t n = xn_min64(XN_PRESCAN, work->n), pixels = groups->det_ny * groups->det_nx;
    int64_t step = xn_min64(n, plan->batch_frames);
    xani_status st = XANI_OK;
    *masked = 0;
    XN_TRY(make_workspace(&j, step));
    for (int64_t from = 0; st == XANI_OK && from < n; from += step) {
        int64_t m = xn_min64(step, n - from);
        for (int64_t i = 0; i < m; i++) j.ws.batch[i] = &work->shots[from + i];
        st = read_batch(&j, m);
        for (int64_t y = 0; st == XANI_OK && y < groups->ny; y++)
            for (int64_t i = 0; i < m; i++) group_row(&j, i, y, j.ws.col, j.ws.v);
    }
    for (int64_t i = 0; st == XANI_OK && i < pixels; i++) {
        if (groups->pixel_flags[i] == 0) continue;
        groups->mask[i] |= groups->pixel_flags[i] & XN_FLAG_INVALID ? XN_MASK_INVALID : XN_MASK_FULL;
        groups->factor[0][i] = 0.0f;
        if (groups->pedestal[0] != NULL) groups->pedestal[0][i] = 0.0f;
        groups->pixel_flags[i] = 0;
        ++*masked;
    }
    free_workspace(&j.ws);
    return st;
}
