// SPDX-License-Identifier: BSD-3-Clause
// passes.c -- the sums of all delay bins, in one pass over the shots or in several.
//
// Signal, errors and sums of all bins are one set of arrays, (bin, y, x).  Where they fit into engine.memory_gib they
// lie in memory and one pass fills them.  Where not, they lie in a file that is mapped, and each pass fills the bins
// that fit: a laser-on frame is still read once, since it belongs to one bin.  After its pass the memory of a bin is
// let go; the file keeps it, so the cube can be stored, fitted and merged like any other.  A former run's file is used
// again when what it saved fits (keep.c), else it is overwritten.
#include <string.h>

#include "reduce/stage.h"

xani_status xn_passes_alloc(const xn_stage *s, const char *place, xn_cube *c)
{
    xn_ctx *ctx = s->ctx;
    bool blockwise = s->work.blockwise;
    size_t all = (size_t)c->nbins * (size_t)(c->ny * c->nx), bytes = all * (size_t)(blockwise ? 56 : 32);
    void **array[] = {(void **)&c->on.s1,        (void **)&c->on.s2,    (void **)&c->on.x,   (void **)&c->on.expect,
                      (void **)&c->on.expect_sq, (void **)&c->on.cross, (void **)&c->signal, (void **)&c->errors};
    if (!s->plan.in_memory) {
        bool fresh;
        char *path = place != NULL ? xn_keep_path(place, "bins") : NULL;
        if (place != NULL && path == NULL) return xn_fail_memory(ctx, "a path", strlen(place));
        xani_status st = xn_cube_map(ctx, c, path, bytes, &fresh);
        xn_free(path);
        XN_TRY(st);
    }
    char *at = c->mapped;
    for (int i = 0; i < 8; i++) {
        size_t size = i < 6 ? 8 : 4;
        if (i >= 3 && i < 6 && !blockwise) continue;
        *array[i] = c->mapped != NULL ? at : xn_alloc_large(all, size);
        if (*array[i] == NULL) return xn_fail_memory(ctx, "the cube", bytes);
        if (c->mapped != NULL) at += all * size;
    }
    return XANI_OK;
}

// ---- passes

static void end_pass(xn_pass *p)
{
    void *all[] = {p->block_off, p->block_off2, p->block_offx, p->block_x};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(p, 0, sizeof *p);
}

static xani_status begin_pass(xn_ctx *ctx, const xn_layout_plan *plan, int number, bool blockwise, const xn_cube *c,
                              xn_pass *p)
{
    int first = (number - 1) * plan->bins_per_pass;
    int64_t npix = c->ny * c->nx, at = first * npix;
    *p = (xn_pass){.number = number,
                   .first = first,
                   .n = (int)xn_min64(plan->bins_per_pass, c->nbins - first),
                   .with_off = number == 1,
                   .s1 = c->on.s1 + at,
                   .s2 = c->on.s2 + at,
                   .x = c->on.x + at,
                   .off_s1 = c->off.s1,
                   .off_s2 = c->off.s2,
                   .off_x = c->off.x};
    if (!blockwise) return XANI_OK;
    size_t plane = (size_t)npix, all = (size_t)p->n * plane;
    p->expect = c->on.expect + at;
    p->expect_sq = c->on.expect_sq + at;
    p->cross = c->on.cross + at;
    bool ok = (p->block_x = xn_calloc(all, 8)) && (p->block_off = xn_calloc(plane, 8)) &&
              (p->block_off2 = xn_calloc(plane, 8)) && (p->block_offx = xn_calloc(plane, 8));
    if (ok) return XANI_OK;
    end_pass(p);
    return xn_fail_memory(ctx, "the sums", all * 8);
}

// Memory and files hold anything.
static void clear_pass(const xn_pass *p, int64_t npix)
{
    void *all[] = {p->s1, p->s2, p->x, p->expect, p->expect_sq, p->cross};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i] != NULL) memset(all[i], 0, (size_t)p->n * (size_t)npix * 8);
}

static void let_go(const xn_cube *c, const xn_pass *p)
{
    size_t bins = (size_t)p->n * (size_t)(c->ny * c->nx);
    void *sums[] = {p->s1, p->s2, p->x, p->expect, p->expect_sq, p->cross};
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++)
        if (sums[i] != NULL) xn_cube_let_go(c, sums[i], bins * 8);
    xn_cube_let_go(c, c->signal + p->first * c->ny * c->nx, bins * 4);
    xn_cube_let_go(c, c->errors + p->first * c->ny * c->nx, bins * 4);
}

xn_accumulator xn_stage_accumulator(xn_stage *s)
{
    return (xn_accumulator){.ctx = s->ctx,
                            .source = s->source,
                            .kernels = s->kernels,
                            .groups = &s->groups,
                            .work = &s->work,
                            .plan = &s->plan,
                            .threads = s->threads};
}

static xani_status run_pass(xn_stage *s, xn_keep *keep, const xn_pass *pass, int64_t *photons, xn_cube *c,
                            int64_t *done)
{
    xn_accumulator a = xn_stage_accumulator(s);
    a.peak = c->peak;
    a.keep = keep;
    a.photons = photons;
    a.choice = &s->choice;
    XN_TRY(xn_accumulate(&a, pass, done, xn_accumulate_frames(&s->work, &s->plan)));
    XN_TRY(xn_finish_pass(s->ctx, pass, s->threads, c));
    if (!s->plan.in_memory && keep != NULL) xn_keep_finished(keep, pass);
    let_go(c, pass);
    return XANI_OK;
}

// The pass to begin with: one that was saved half done, else the first.
static xani_status first_pass(xn_stage *s, xn_keep *keep, const xn_cube *c, int64_t *photons, xn_pass *pass)
{
    int saved = keep != NULL ? xn_keep_saved_pass(keep) : 0;
    if (saved > 0) {
        XN_TRY(begin_pass(s->ctx, &s->plan, saved, s->work.blockwise, c, pass));
        if (xn_keep_load(keep, pass)) return XANI_OK;
        end_pass(pass);
        xn_warn(s->ctx, "%s: what a former run saved is damaged; all shots are read again", keep->path);
        size_t npix = (size_t)(c->ny * c->nx);
        memset(s->groups.pixel_flags, 0, (size_t)(s->groups.det_ny * s->groups.det_nx));
        memset(s->groups.group_flags, 0, npix);
        memset(c->peak, 0, npix * sizeof *c->peak);
        memset(photons, 0, (size_t)c->shots.n * sizeof *photons);
        int64_t *off[] = {c->off.s1, c->off.s2, c->off.x};
        for (int i = 0; i < 3; i++) memset(off[i], 0, npix * sizeof(int64_t));
    }
    XN_TRY(begin_pass(s->ctx, &s->plan, 1, s->work.blockwise, c, pass));
    clear_pass(pass, c->ny * c->nx);
    return XANI_OK;
}

static xani_status run_passes(xn_stage *s, xn_keep *keep, int64_t *photons, xn_cube *c)
{
    xn_pass pass;
    int64_t done = 0;
    XN_TRY(first_pass(s, keep, c, photons, &pass));
    for (int64_t i = 0; i < s->work.n; i++) done += s->work.shots[i].added > 0;
    xn_progress(s->ctx, "reduce", done, xn_accumulate_frames(&s->work, &s->plan), "shots");
    for (;;) {
        int number = pass.number;
        xani_status st = run_pass(s, keep, &pass, photons, c, &done);
        end_pass(&pass);
        if (st != XANI_OK || number == s->plan.passes) return st;
        XN_TRY(begin_pass(s->ctx, &s->plan, number + 1, s->work.blockwise, c, &pass));
        clear_pass(&pass, c->ny * c->nx);
    }
}

xani_status xn_passes_run(xn_stage *s, const xn_reduce_watch *watch, int64_t *photons, xn_cube *c)
{
    if (watch == NULL) return run_passes(s, NULL, photons, c);
    xn_keep keep = {.ctx = s->ctx,
                    .watch = watch,
                    .groups = &s->groups,
                    .work = &s->work,
                    .plan = &s->plan,
                    .cube = c,
                    .photons = photons,
                    .threads = s->threads};
    XN_TRY(xn_keep_open(&keep));
    xani_status st = run_passes(s, &keep, photons, c);
    xn_keep_close(&keep);
    return st;
}
