// SPDX-License-Identifier: BSD-3-Clause
// reduce.c -- the stage: select, plan, sums pass by pass, signal and errors.
#include "reduce/reduce.h"

#include <math.h>
#include <string.h>

#include "reduce/stage.h"

static xani_status alloc_cube(xn_ctx *ctx, const xn_groups *g, const xn_source *source, xn_cube *c)
{
    size_t bins = (size_t)c->nbins, npix = (size_t)(g->ny * g->nx);
    c->ny = g->ny;
    c->nx = g->nx;
    c->spatial_bin = g->k;
    c->n_modules = g->n_modules;
    c->module_rows = xn_alloc((size_t)g->n_modules, sizeof *c->module_rows);
    c->delay_ps = xn_calloc(bins, sizeof *c->delay_ps);
    c->weight = xn_calloc(bins, sizeof *c->weight);
    c->mean_frame = xn_alloc(npix, sizeof *c->mean_frame);
    c->peak = xn_calloc(npix, sizeof *c->peak);
    c->run = xn_strdup(source->run ? source->run : "");
    if (!c->module_rows || !c->delay_ps || !c->weight || !c->mean_frame || !c->run || !c->peak)
        return xn_fail_memory(ctx, "the cube", bins * npix * 8);
    memcpy(c->module_rows, g->module_rows, (size_t)g->n_modules * sizeof *c->module_rows);
    memcpy(c->angles_deg, source->angles_deg, sizeof c->angles_deg);
    c->n_angles = source->n_angles;
    XN_TRY(xn_sums_alloc_bins(ctx, c->nbins, (int64_t)npix, &c->on));
    XN_TRY(xn_sums_alloc_bins(ctx, 1, (int64_t)npix, &c->off));
    int64_t **off[] = {&c->off.s1, &c->off.s2, &c->off.x};
    for (int i = 0; i < 3; i++)
        if ((*off[i] = xn_calloc(npix, sizeof(int64_t))) == NULL)
            return xn_fail_memory(ctx, "the laser-off sums", npix * 8);
    return XANI_OK;
}

// ---- photons of each shot, and I0 corrected by them

// photons: (rows of the shot table) sums; made a column of it, NaN for shots that were not read.
static xani_status keep_photons(xn_ctx *ctx, const xn_work *work, const int64_t *photons, xn_shots *shots)
{
    double *column;
    XN_TRY(xn_shots_column(ctx, XN_COLUMN_PHOTONS, shots, &column));
    for (int64_t i = 0; i < work->n; i++) {
        int64_t row = work->shots[i].row;
        column[row] = (double)photons[row] / XN_PHOTON_SCALE;
    }
    return XANI_OK;
}

// At most XN_CURVE_SAMPLE laser-off shots, spread evenly.
static xani_status sample_off(xn_ctx *ctx, const xn_work *all, xn_work *some)
{
    int64_t off = 0, seen = 0;
    for (int64_t i = 0; i < all->n; i++) off += all->shots[i].bin < 0;
    *some = (xn_work){.n_blocks = 1, .fixed = all->fixed};
    some->shots = xn_alloc((size_t)xn_min64(off, XN_CURVE_SAMPLE), sizeof *some->shots);
    if (some->shots == NULL) return xn_fail_memory(ctx, "the laser-off shots", (size_t)off * sizeof *some->shots);
    int64_t step = (off + XN_CURVE_SAMPLE - 1) / XN_CURVE_SAMPLE;
    for (int64_t i = 0; i < all->n; i++) {
        if (all->shots[i].bin >= 0 || seen++ % step != 0) continue;
        some->shots[some->n] = all->shots[i];
        some->shots[some->n++].block = 0;
    }
    return XANI_OK;
}

// The curve of select.i0_correction.auto: the photons of laser-off shots are counted before all else is.
static xani_status curve_of_off(xn_stage *s, xn_cube *c, double curve[3])
{
    size_t npix = (size_t)(c->ny * c->nx);
    xn_work some = {0};
    int64_t *photons = xn_calloc((size_t)c->shots.n, sizeof *photons), *sink = xn_calloc(3 * npix, sizeof *sink),
            done = 0;
    xani_status st = photons && sink ? XANI_OK : xn_fail_memory(s->ctx, "the photons of laser-off shots", npix * 24);
    if (st == XANI_OK) st = sample_off(s->ctx, &s->work, &some);
    if (st == XANI_OK) {
        xn_pass pass = {.number = 1, .with_off = true, .off_s1 = sink, .off_s2 = sink + npix, .off_x = sink + 2 * npix};
        xn_accumulator a = xn_stage_accumulator(s);
        a.work = &some;
        a.peak = c->peak;
        a.photons = photons;
        st = xn_accumulate(&a, &pass, &done, some.n);
    }
    if (st == XANI_OK) st = keep_photons(s->ctx, &some, photons, &c->shots);
    if (st == XANI_OK) st = xn_curve_fit(s->ctx, &c->shots, xn_shots_find(&c->shots, XN_COLUMN_PHOTONS), curve);
    if (st == XANI_OK)
        xn_note(s->ctx, "select.i0_correction.auto from %lld laser-off shots: coefficients: [%.9g, %.9g, %.9g]",
                (long long)some.n, curve[0], curve[1], curve[2]);
    xn_work_free(&some);
    xn_free(photons);
    xn_free(sink);
    return st;
}

static xani_status correct_i0(xn_stage *s, const xn_config *config, xn_cube *c)
{
    double curve[XN_CURVE_MOST];
    int n = xn_config_doubles(config, "select.i0_correction.coefficients", curve, XN_CURVE_MOST);
    if (n > XN_CURVE_MOST)
        return xn_config_bad(s->ctx, config, "select.i0_correction.coefficients", "at most %d work", XN_CURVE_MOST);
    if (xn_config_has(config, "select.i0_correction.auto")) {
        XN_TRY(curve_of_off(s, c, curve));
        n = 3;
    }
    if (n == 0) return XANI_OK;
    XN_TRY(xn_curve_apply(s->ctx, curve, n, c));
    xn_work_free(&s->work);
    return xn_work_make(s->ctx, config, &c->shots, c->nbins, &s->work);
}

static xani_status sum_shots(xn_stage *s, const xn_reduce_watch *watch, xn_cube *c)
{
    int64_t *photons = xn_calloc((size_t)c->shots.n, sizeof *photons);
    if (photons == NULL) return xn_fail_memory(s->ctx, "the photons of each shot", (size_t)c->shots.n * 8);
    xani_status st = xn_passes_run(s, watch, photons, c);
    if (st == XANI_OK) st = keep_photons(s->ctx, &s->work, photons, &c->shots);
    xn_free(photons);
    if (st == XANI_OK) xn_drift_check(s->ctx, c);
    return st == XANI_OK ? xn_curve_check(s->ctx, c) : st;
}

// Why a pixel has no number: words with an end of their range may be at it.
static const char *why_none(const xn_groups *g)
{
    return g->full_bit == XN_MASK_RANGE ? "invalid, or more than 8192 photons"
                                        : "saturated, invalid, or more than 8192 photons";
}

// Pixels are all masked already after the first shots: no need to read the others.
static xani_status say_stuck(xn_ctx *ctx, const xn_groups *g, int64_t stuck)
{
    bool left = false;
    if (stuck == 0) return XANI_OK;
    for (int64_t i = 0; i < g->det_ny * g->det_nx && !left; i++) left = g->mask[i] == 0;
    if (!left && g->full_bit == XN_MASK_RANGE)
        for (int64_t i = 0; i < g->det_ny * g->det_nx; i++)
            if (g->mask[i] & XN_MASK_RANGE) return xn_finish_beyond(ctx);
    xn_warn(ctx, "%lld pixels without a valid reading in the first shots (%s) are left out", (long long)stuck,
            why_none(g));
    return XANI_OK;
}

// Says what is masked; returns whether something was beyond the range.
static bool say_flags(xn_ctx *ctx, const xn_groups *g, const xn_cube *c, int64_t bound)
{
    int64_t dropped = 0, empty = 0, full = 0;
    for (int64_t p = 0; p < c->ny * c->nx; p++) {
        uint8_t flags = g->group_flags[p];
        int64_t y = p / c->nx, x = p % c->nx;
        for (int64_t i = 0; i < (int64_t)g->k * g->k; i++)
            flags |= g->pixel_flags[(g->first_row[y] + i / g->k) * g->det_nx + x * g->k + i % g->k];
        dropped += flags != 0;
        full += (flags & XN_FLAG_FULL) != 0;
    }
    for (int b = 0; b < c->nbins; b++) empty += c->on.shots[b] == 0;
    if (dropped > 0)
        xn_warn(ctx, "%lld pixel groups are masked: a pixel in them was without a valid reading in a used shot (%s)",
                (long long)dropped, why_none(g));
    if (empty > 0) xn_warn(ctx, "%lld of %d delay bins are empty", (long long)empty, c->nbins);
    return xn_finish_bright(ctx, bound, c) > 0 || (full > 0 && g->full_bit == XN_MASK_RANGE);
}

static xani_status run_shots(xn_stage *s, const xn_config *config, const xn_reduce_watch *watch, int64_t batch_frames,
                             const xn_sum_tables *tables, xn_cube *c)
{
    c->shots = s->source->shots; // moved
    memset(&s->source->shots, 0, sizeof s->source->shots);
    c->time_resolution_ps = c->shots.time_resolution_ps;
    c->errors_counting = true;
    XN_TRY(xn_select(s->ctx, config, &c->shots, &c->cutflow, &c->edges_ps, &c->nbins));
    XN_TRY(xn_groups_make(s->ctx, config, s->source, &s->groups));
    XN_TRY(xn_work_make(s->ctx, config, &c->shots, c->nbins, &s->work));
    XN_TRY(xn_plan_layout(s->ctx, config, s->source, &s->groups, &s->work, c->nbins, batch_frames, &s->plan));
    XN_TRY(alloc_cube(s->ctx, &s->groups, s->source, c));
    XN_TRY(xn_passes_alloc(s, watch ? watch->place : NULL, c));
    XN_TRY(xn_sum_choose(s->ctx, config, tables, s->source, &s->groups, &s->work, &s->choice));
    if (!s->plan.in_memory)
        xn_note(s->ctx,
                "engine.memory_gib: the sums do not fit; they are made in %d passes of %d bins and lie in a file of "
                "%.3g GiB",
                s->plan.passes, s->plan.bins_per_pass, (double)c->mapped_bytes / 0x1p30);
    int64_t stuck = 0;
    xn_accumulator a = xn_stage_accumulator(s);
    XN_TRY(xn_prescan(&a, &stuck));
    XN_TRY(say_stuck(s->ctx, &s->groups, stuck));
    XN_TRY(correct_i0(s, config, c));
    XN_TRY(xn_work_say(s->ctx, config, &s->work));
    XN_TRY(xn_finish_shots(s->ctx, s->work.fixed.i0_scale, c));
    XN_TRY(sum_shots(s, watch, c));
    XN_TRY(xn_groups_mask(s->ctx, &s->groups, &c->mask));
    const bool beyond = say_flags(s->ctx, &s->groups, c, s->work.fixed.bound);
    xn_light_check(s->ctx, c);
    XN_TRY(xn_finish_mask(s->ctx, s->work.fixed.bound, c));
    XN_TRY(xn_finish_check(s->ctx, beyond, c));
    xn_groups_flagged(&s->groups, s->groups.mask);
    c->pixel_mask = s->groups.mask; // moved
    c->det_ny = s->groups.det_ny;
    c->det_nx = s->groups.det_nx;
    s->groups.mask = NULL;
    (void)xn_sign_check(s->ctx, c);
    (void)xn_sign_check_tool(s->ctx, c);
    double zero, error;
    if (xn_config_bool(config, "reduce.find_zero")) XN_TRY(xn_zero_find(s->ctx, config, c, &zero, &error));
    xn_cutflow_say(s->ctx, &c->cutflow, &c->shots);
    return XANI_OK;
}

xani_status xn_reduce_on(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_reduce_watch *watch,
                         int64_t batch_frames, const xn_sum_tables *tables, xn_cube *cube)
{
    memset(cube, 0, sizeof *cube);
    xn_stage s = {.ctx = ctx, .source = source, .threads = xn_threads((int)xn_config_int(config, "engine.threads"))};
    const char *variant = xn_config_string(config, "engine.kernels");
    xani_status st;
    if (source->ops->read_cube != NULL)
        st = xn_reduce_binned(ctx, config, source, cube);
    else if ((s.kernels = xn_reduce_kernels_find(variant)) == NULL)
        st = xn_config_bad(ctx, config, "engine.kernels", "this processor has no %s", variant);
    else
        st = run_shots(&s, config, watch, batch_frames, tables, cube);
    xn_groups_free(&s.groups);
    xn_work_free(&s.work);
    if (st != XANI_OK) xn_cube_free(cube);
    return st;
}

xani_status xn_reduce_batched(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_reduce_watch *watch,
                              int64_t batch_frames, xn_cube *cube)
{
    const xn_sum_tables built = {xn_device_io_built(), xn_device_sums_built(), XN_SUM_WORTH};
    return xn_reduce_on(ctx, config, source, watch, batch_frames, &built, cube);
}

xani_status xn_reduce(xn_ctx *ctx, const xn_config *config, xn_source *source, xn_cube *cube)
{
    return xn_reduce_batched(ctx, config, source, NULL, 0, cube);
}

xani_status xn_reduce_watched(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_reduce_watch *watch,
                              xn_cube *cube)
{
    return xn_reduce_batched(ctx, config, source, watch, 0, cube);
}
