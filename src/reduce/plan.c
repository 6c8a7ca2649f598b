// SPDX-License-Identifier: BSD-3-Clause
// plan.c -- memory, passes and batches of the reduction, computed before the first frame is read.
//
// The sums take 24 bytes per group and bin (56 with an off reference per block).  When they fit into the budget
// beside the result, one pass over the frames makes them all and they stay in the cube, where they are stored and
// can be merged.  When not, they lie in a mapped file and the delay bins are made in several passes: a laser-on frame
// is still read once, since it belongs to one bin.  At least one bin must fit beside what has the detector's size (33
// bytes a pixel for a JUNGFRAU) and the laser-off sums (40 per group): 105 bytes a pixel without grouping.
//
// Batches, as step.c adds them: large enough to share the work among the threads, small enough to stay near the cache;
// where groups are single pixels, the sums' own traffic (48 bytes per pixel and shot) weighs more than the frames, and
// larger batches let several shots of one bin meet.  Threads with frames of their own (solo.c) hold no more than two,
// strips of further ones included.
#include <stdio.h>
#include <string.h>

#include "reduce/internal.h"

#define SUM_BYTES 24
#define BLOCK_BYTES 32
#define RESULT_BYTES 8 // signal and errors
#define PLANE_BYTES 16 // mask, mean frame, peak
#define BATCH_BYTES (8 << 20)
#define SHOTS_PER_BIN 8
#define SHOT_BYTES 200 // of the shot table, the joined readings and the index of the frames, measured
// What is written is read back in two bands of at most so many bytes, when frames and planes have gone already.
#define BAND_BYTES (256 << 20)
// Chunks hold all delays of so many groups; so many chunks are encoded and decoded at once by each thread.
#define CHUNK_GROUPS 256
#define CHUNKS_PER_THREAD 4
// The process, its libraries and their buffers. A budget of less than OWN_FROM is one for the arrays alone.
#define OWN_BYTES (48 << 20)
#define OWN_FROM (256 << 20)

static int64_t default_batch(const xn_groups *g, const xn_layout_plan *p, int nbins, int threads)
{
    int64_t n = xn_max64(BATCH_BYTES / p->frame_bytes, 4 * (int64_t)threads);
    if (g->k < 4) n = xn_max64(n, SHOTS_PER_BIN * (int64_t)nbins);
    return n;
}

static int64_t per_group(const xn_work *work) { return SUM_BYTES + RESULT_BYTES + (work->blockwise ? BLOCK_BYTES : 0); }

static int64_t off_per_group(const xn_work *work) { return SUM_BYTES * (work->blockwise ? 2 : 1) + PLANE_BYTES; }

// While a cube that lies in memory is written.
static int64_t write_bytes(const xn_groups *g, const xn_work *work, const xn_layout_plan *p, int nbins)
{
    int64_t npix = g->ny * g->nx, band = xn_min64(BAND_BYTES, npix * nbins * (int64_t)sizeof(int64_t));
    int64_t chunk = nbins * xn_min64(CHUNK_GROUPS, npix) * (int64_t)sizeof(int64_t);
    return p->per_bin * nbins + npix * off_per_group(work) + work->n * SHOT_BYTES + 2 * band +
           CHUNKS_PER_THREAD * p->threads * chunk;
}

// The smallest k > g->k whose k x k groups fit into so many bytes with one bin; 0: none.
static int smallest_bin(const xn_groups *g, const xn_work *work, int64_t bytes)
{
    for (int k = g->k + 1; k <= g->det_nx; k++) {
        int64_t rows = 0;
        for (int m = 0; m < g->n_modules; m++) rows += g->det_module_rows[m] / k;
        if (rows == 0) return 0;
        if (rows * (g->det_nx / k) * (per_group(work) + off_per_group(work)) <= bytes) return k;
    }
    return 0;
}

// whole: bytes that are needed whatever the groups.
static xani_status refuse(xn_ctx *ctx, const xn_config *config, const xn_groups *g, const xn_work *work, bool given,
                          int64_t whole, const xn_layout_plan *p)
{
    char way[160] = "frames of a part of the detector (geometry.region)";
    int k = smallest_bin(g, work, p->budget - whole);
    if (k > 0)
        (void)snprintf(way, sizeof way,
                       "reduce.spatial_bin: %d (the smallest that fits) or frames of a part of the "
                       "detector (geometry.region)",
                       k);
    return xn_fail(ctx, XANI_ERR_CONFIG,
                   "%s: engine.memory_gib: reduce needs at least %.3g GiB, %s %.3g GiB; give "
                   "more, or %s",
                   xn_config_name(config), (double)(whole + g->ny * g->nx * off_per_group(work) + p->per_bin) / 0x1p30,
                   given ? "not" : "half of what is free is", (double)p->budget / 0x1p30, way);
}

xani_status xn_plan_layout(xn_ctx *ctx, const xn_config *config, const xn_source *source, const xn_groups *g,
                           const xn_work *work, int nbins, int64_t batch_frames, xn_layout_plan *p)
{
    memset(p, 0, sizeof *p);
    int64_t npix = g->ny * g->nx;
    int threads = xn_threads((int)xn_config_int(config, "engine.threads"));
    bool given = xn_config_has(config, "engine.memory_gib");
    double budget = xn_config_memory(config);
    p->budget = budget < 0x1p62 ? (int64_t)budget : (int64_t)1 << 62;
    if (p->budget >= OWN_FROM) p->budget -= OWN_BYTES;
    p->threads = threads;
    p->batch_given = batch_frames > 0;
    p->frame_bytes = xn_correct_frame_bytes(g);
    p->per_bin = npix * per_group(work);
    int64_t whole = xn_groups_planes_bytes(source, g) +
                    work->n * (int64_t)(sizeof(xn_work_shot) + sizeof(void *) + SHOT_BYTES) +
                    threads * ((int64_t)source->scratch_bytes + 16 * source->nx + xn_correct_room_bytes(g));
    p->fixed = whole + npix * off_per_group(work);
    int64_t least = 2 * p->frame_bytes; // a batch that is added and one that is read
    int64_t left = p->budget - p->fixed - least;
    if (left < p->per_bin) return refuse(ctx, config, g, work, given, whole + least, p);
    p->bins_per_pass = (int)xn_min64(nbins, left / p->per_bin);
    p->passes = (nbins + p->bins_per_pass - 1) / p->bins_per_pass;
    p->bins_per_pass = (nbins + p->passes - 1) / p->passes;
    p->in_memory = p->passes == 1 && write_bytes(g, work, p, nbins) <= p->budget;
    int64_t room = (p->budget - p->fixed - p->bins_per_pass * p->per_bin) / (2 * p->frame_bytes);
    p->batch_frames = batch_frames > 0 ? batch_frames : xn_min64(default_batch(g, p, nbins, threads), room);
    p->batch_frames = xn_max64(1, xn_min64(p->batch_frames, work->n));
    return XANI_OK;
}

int64_t xn_accumulate_frames(const xn_work *work, const xn_layout_plan *p)
{
    int64_t off = 0;
    for (int64_t i = 0; i < work->n; i++) off += work->shots[i].bin < 0;
    return work->n + (work->blockwise ? off * (p->passes - 1) : 0);
}

static void fill_plan(const xn_source *source, const xn_groups *g, const xn_work *work, const xn_layout_plan *p,
                      int nbins, xn_reduce_plan *plan)
{
    int64_t npix = g->ny * g->nx;
    plan->shots = work->n;
    plan->frames_read = xn_accumulate_frames(work, p) + xn_min64(XN_PRESCAN, work->n);
    plan->stored_bytes = source->stored_bytes;
    plan->accumulator_bytes = p->per_bin * p->bins_per_pass + npix * SUM_BYTES;
    plan->batch_frames = p->batch_frames;
    plan->memory_bytes = p->fixed + p->per_bin * p->bins_per_pass + 2 * p->batch_frames * p->frame_bytes;
    plan->write_bytes = p->in_memory ? write_bytes(g, work, p, nbins) : 0;
    plan->passes = p->passes;
    plan->bins_per_pass = p->bins_per_pass;
    plan->file_bytes = p->in_memory ? 0 : p->per_bin * nbins;
    plan->spatial_bin = g->k;
    plan->nbins = nbins;
    plan->ny = g->ny;
    plan->nx = g->nx;
}

// Verdicts and bins are put back: planning does not use up the source.
static xani_status plan_shots(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_groups *g,
                              xn_reduce_plan *plan)
{
    xn_shots *s = &source->shots;
    size_t n = (size_t)s->n;
    xn_cutflow flow = {0};
    xn_work work = {0};
    xn_layout_plan layout;
    double *edges = NULL;
    int nbins = 0;
    uint8_t *verdict = xn_alloc(n, sizeof *verdict), *laser = xn_alloc(n, sizeof *laser);
    int32_t *bin = xn_alloc(n, sizeof *bin);
    xani_status st = XANI_OK;
    if (verdict == NULL || laser == NULL || bin == NULL) {
        st = xn_fail_memory(ctx, "the plan", n * 6);
        goto out;
    }
    if (n > 0) {
        memcpy(verdict, s->verdict, n);
        memcpy(laser, s->laser, n);
        memcpy(bin, s->bin, n * sizeof *bin);
    }
    st = xn_select(ctx, config, s, &flow, &edges, &nbins);
    if (st == XANI_OK) st = xn_work_make(ctx, config, s, nbins, &work);
    if (st == XANI_OK) st = xn_plan_layout(ctx, config, source, g, &work, nbins, 0, &layout);
    if (st == XANI_OK) fill_plan(source, g, &work, &layout, nbins, plan);
    if (n > 0) {
        memcpy(s->verdict, verdict, n);
        memcpy(s->laser, laser, n);
        memcpy(s->bin, bin, n * sizeof *bin);
    }
out:
    xn_free(verdict);
    xn_free(laser);
    xn_free(bin);
    xn_free(edges);
    xn_work_free(&work);
    xn_cutflow_free(&flow);
    return st;
}

// Bins that come out: those of the cubes, or of the edges they are added up to.
static xani_status bins_of_cube(xn_ctx *ctx, const xn_config *config, const xn_source *source, int *n)
{
    xn_bins bins;
    *n = (int)source->binned.bins;
    if (!xn_config_has(config, "reduce.delay_bins_ps.edges")) return XANI_OK;
    XN_TRY(xn_bins_make(ctx, config, NULL, 0, &bins));
    *n = bins.n;
    xn_bins_free(&bins);
    return XANI_OK;
}

// Binned input: the largest of what reading, grouping, rebinning and dividing hold, as binned.c of here and of the
// sources do it, in float64.
static xani_status plan_binned(xn_ctx *ctx, const xn_config *config, const xn_source *source, const xn_groups *g,
                               xn_reduce_plan *plan)
{
    XN_TRY(bins_of_cube(ctx, config, source, &plan->nbins));
    int64_t pixels = source->ny * source->nx, npix = g->ny * g->nx, in = source->binned.bins + 1, out = plan->nbins + 1;
    int64_t reading = in * pixels * 8 + source->binned.block_bytes, grouping = in * (pixels + npix) * 8,
            rebinning = (in + out) * npix * 8, dividing = out * npix * (8 + RESULT_BYTES);
    int64_t masks = pixels * (2 * (int64_t)sizeof *source->mask + 1) + npix;
    plan->shots = (int64_t)(source->binned.on_used + source->binned.off_used + 0.5);
    plan->stored_bytes = source->stored_bytes;
    plan->passes = 1;
    plan->bins_per_pass = plan->nbins;
    plan->spatial_bin = g->of_detector;
    plan->ny = g->ny;
    plan->nx = g->nx;
    plan->accumulator_bytes = out * npix * 8;
    plan->memory_bytes = xn_max64(xn_max64(reading, grouping), xn_max64(rebinning, dividing)) + masks;
    int64_t band = xn_min64(BAND_BYTES, npix * plan->nbins * 8);
    plan->write_bytes = out * npix * (8 + RESULT_BYTES) + npix * PLANE_BYTES + band;
    return XANI_OK;
}

xani_status xn_reduce_plan_make(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_reduce_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    xn_groups groups;
    XN_TRY(xn_groups_shape(ctx, config, source, &groups));
    xani_status st = XANI_OK;
    if (source->ops->read_cube != NULL)
        st = plan_binned(ctx, config, source, &groups, plan);
    else
        st = plan_shots(ctx, config, source, &groups, plan);
    xn_groups_free(&groups);
    return st;
}
