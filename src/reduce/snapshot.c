// SPDX-License-Identifier: BSD-3-Clause
// snapshot.c -- the cube of the shots that are in the sums now, while the others are still to come.
//
// Taken between two batches, so that every shot is in all sums or in none, and as complete as the final one: sums,
// signal, errors, mask, the table of its shots.  Shots that are still to come are left out of table and cut-flow, as if
// they had not been seen, so it can be fitted, stored and merged.  It is a copy: the reduction goes on at once, and
// what is done with the cube is done elsewhere.  The copy takes as much memory as the sums; where they do not fit into
// memory themselves there is none.
#include <string.h>

#include "reduce/keep.h"

static void *copy(const void *from, size_t bytes)
{
    void *to = from != NULL ? xn_alloc(bytes, 1) : NULL;
    if (to != NULL) memcpy(to, from, bytes);
    return to;
}

// The rows of used shots that are still to come are marked in `later`.
static void mark_later(const xn_work *work, uint8_t *later)
{
    for (int64_t i = 0; i < work->n; i++)
        if (work->shots[i].added == 0) later[work->shots[i].row] = 1;
}

static xani_status copy_shots(xn_ctx *ctx, const xn_shots *from, const uint8_t *later, xn_shots *to)
{
    XN_TRY(xn_shots_alloc(ctx, from->n, from->n_extra, to));
    for (int e = 0; e < from->n_extra; e++)
        if ((to->extra_name[e] = xn_strdup(from->extra_name[e])) == NULL) return xn_fail_memory(ctx, "a name", 64);
    int64_t n = 0;
    for (int64_t i = 0; i < from->n; i++) {
        if (later[i]) continue;
        to->pulse_id[n] = from->pulse_id[i];
        to->frame[n] = from->frame[i];
        to->laser[n] = from->laser[i];
        to->i0[n] = from->i0[i];
        to->delay_ps[n] = from->delay_ps[i];
        to->bin[n] = from->bin[i];
        to->verdict[n] = from->verdict[i];
        for (int e = 0; e < from->n_extra; e++) to->extra[e][n] = from->extra[e][i];
        n++;
    }
    to->n = n;
    to->frames = from->frames;
    to->missing = from->missing;
    to->duplicate = from->duplicate;
    to->unmatched = from->unmatched;
    to->time_resolution_ps = from->time_resolution_ps;
    return XANI_OK;
}

// As the stage adds them to the table in the end (reduce.c); a shot that was not used has none.
static xani_status add_photons(const xn_keep *k, const uint8_t *later, xn_shots *to)
{
    double *column;
    int64_t n = 0;
    const xn_shots *from = &k->cube->shots;
    XN_TRY(xn_shots_column(k->ctx, XN_COLUMN_PHOTONS, to, &column));
    for (int64_t i = 0; i < from->n; i++) {
        if (later[i]) continue;
        if (from->verdict[i] == XN_CUT_NONE) column[n] = (double)k->photons[i] / XN_PHOTON_SCALE;
        n++;
    }
    return XANI_OK;
}

static xani_status copy_cutflow(xn_ctx *ctx, const xn_cube *c, const uint8_t *later, xn_cutflow *to)
{
    int64_t n[3] = {0, 0, 0};
    for (int64_t i = 0; i < c->shots.n; i++) n[c->shots.laser[i]] += later[i];
    const xn_cutflow *f = &c->cutflow;
    for (int i = 0; i < f->n; i++)
        XN_TRY(xn_cutflow_add(ctx, to, f->name[i], f->on_left[i] - n[XN_LASER_ON], f->off_left[i] - n[XN_LASER_OFF],
                              f->unknown_left[i] - n[XN_LASER_UNKNOWN]));
    return XANI_OK;
}

static xani_status copy_sums(xn_ctx *ctx, const xn_cube *c, xn_cube *to)
{
    size_t plane = (size_t)(c->ny * c->nx) * 8, all = plane * (size_t)c->nbins;
    XN_TRY(xn_sums_alloc_bins(ctx, c->nbins, c->ny * c->nx, &to->on));
    XN_TRY(xn_sums_alloc_bins(ctx, 1, c->ny * c->nx, &to->off));
    bool ok = (to->on.s1 = copy(c->on.s1, all)) && (to->on.s2 = copy(c->on.s2, all)) &&
              (to->on.x = copy(c->on.x, all)) && (to->off.s1 = copy(c->off.s1, plane)) &&
              (to->off.s2 = copy(c->off.s2, plane)) && (to->off.x = copy(c->off.x, plane));
    if (ok && c->on.expect != NULL)
        ok = (to->on.expect = copy(c->on.expect, all)) && (to->on.expect_sq = copy(c->on.expect_sq, all)) &&
             (to->on.cross = copy(c->on.cross, all));
    return ok ? XANI_OK : xn_fail_memory(ctx, "a snapshot", 3 * all);
}

static xani_status copy_frame(const xn_keep *k, xn_cube *to)
{
    const xn_cube *c = k->cube;
    const xn_groups *g = k->groups;
    size_t npix = (size_t)(c->ny * c->nx), bins = (size_t)c->nbins;
    to->nbins = c->nbins;
    to->ny = c->ny;
    to->nx = c->nx;
    to->spatial_bin = c->spatial_bin;
    to->n_modules = c->n_modules;
    to->errors_counting = c->errors_counting;
    to->time_resolution_ps = c->time_resolution_ps;
    to->n_angles = c->n_angles;
    memcpy(to->angles_deg, c->angles_deg, sizeof to->angles_deg);
    to->det_ny = g->det_ny;
    to->det_nx = g->det_nx;
    bool ok = (to->module_rows = copy(c->module_rows, (size_t)c->n_modules * sizeof *c->module_rows)) &&
              (to->edges_ps = copy(c->edges_ps, (bins + 1) * sizeof *c->edges_ps)) &&
              (to->pixel_mask = copy(g->mask, (size_t)(g->det_ny * g->det_nx) * sizeof *g->mask)) &&
              (to->peak = copy(c->peak, npix * sizeof *c->peak)) && (to->run = xn_strdup(c->run)) &&
              (to->delay_ps = xn_calloc(bins, sizeof *to->delay_ps)) &&
              (to->weight = xn_calloc(bins, sizeof *to->weight)) &&
              (to->signal = xn_alloc(bins * npix, sizeof *to->signal)) &&
              (to->errors = xn_alloc(bins * npix, sizeof *to->errors)) &&
              (to->mean_frame = xn_alloc(npix, sizeof *to->mean_frame));
    return ok ? XANI_OK : xn_fail_memory(k->ctx, "a snapshot", bins * npix * 8);
}

static xani_status fill(const xn_keep *k, const uint8_t *later, xn_cube *to)
{
    XN_TRY(copy_frame(k, to));
    XN_TRY(copy_sums(k->ctx, k->cube, to));
    XN_TRY(copy_shots(k->ctx, &k->cube->shots, later, &to->shots));
    XN_TRY(add_photons(k, later, &to->shots));
    XN_TRY(copy_cutflow(k->ctx, k->cube, later, &to->cutflow));
    XN_TRY(xn_finish_shots(k->ctx, k->work->fixed.i0_scale, to));
    const xn_pass whole = {.n = to->nbins,
                           .s1 = to->on.s1,
                           .s2 = to->on.s2,
                           .x = to->on.x,
                           .expect = to->on.expect,
                           .expect_sq = to->on.expect_sq,
                           .cross = to->on.cross};
    XN_TRY(xn_finish_pass(k->ctx, &whole, k->threads, to));
    XN_TRY(xn_groups_mask(k->ctx, k->groups, &to->mask));
    xn_groups_flagged(k->groups, to->pixel_mask);
    return xn_finish_mask(k->ctx, k->work->fixed.bound, to);
}

xani_status xn_snapshot(const xn_keep *k, const xn_pass *pass, xn_cube *snapshot)
{
    (void)pass;
    memset(snapshot, 0, sizeof *snapshot);
    if (!k->plan->in_memory)
        return xn_fail(k->ctx, XANI_ERR_CONFIG,
                       "engine.memory_gib: the sums do not fit into memory, so no snapshot can be made of them");
    uint8_t *later = xn_calloc((size_t)k->cube->shots.n, 1);
    xani_status st = XANI_OK;
    if (later == NULL) return xn_fail_memory(k->ctx, "a snapshot", (size_t)k->cube->shots.n);
    mark_later(k->work, later);
    st = fill(k, later, snapshot);
    xn_free(later);
    if (st != XANI_OK) xn_cube_free(snapshot);
    return st;
}
