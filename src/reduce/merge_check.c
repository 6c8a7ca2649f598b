// SPDX-License-Identifier: BSD-3-Clause
// merge_check.c -- what cubes must have in common to be merged, and how it is said when they have not.
//
// Same bins, same groups of the same pixels, same readings kept: then a sum of one cube and a sum of the other are
// sums of the same quantity.  Every refusal names both files and what differs, with the first place where it does.
// Pixels deserve a word: a pixel that is stuck is left out of its group from the first shots on (accumulate.c), so two
// shards may disagree about one that is stuck only now and then; with groups of one pixel it is then simply masked.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "reduce/merge.h"

typedef struct pair {
    xn_ctx *ctx;
    const char *first, *name;
} pair;

#define differ(p, ...) differ(p, __VA_ARGS__)

static xani_status differ(const pair *p, const char *fmt, ...) XN_PRINTF(2, 3);
static xani_status differ(const pair *p, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return xn_fail(p->ctx, XANI_ERR_INPUT, "%s and %s cannot be merged: %s", p->first, p->name, text);
}

// The first dataset that sums cannot be added up without and that this cube does not have; NULL: it has all.
static const char *missing(const xn_cube *c)
{
    const struct {
        const void *data;
        const char *name;
    } needed[] = {{c->on.s1, "/entry/sums/on/s1"},
                  {c->on.s2, "/entry/sums/on/s2"},
                  {c->on.x, "/entry/sums/on/x"},
                  {c->on.shots, "/entry/sums/on/shots"},
                  {c->on.i0_sum, "/entry/sums/on/i0_sum"},
                  {c->on.i0_sq_sum, "/entry/sums/on/i0_sq_sum"},
                  {c->on.delay_sum, "/entry/sums/on/delay_sum"},
                  {c->on.delay_sq_sum, "/entry/sums/on/delay_sq_sum"},
                  {c->off.s1, "/entry/sums/off/s1"},
                  {c->off.s2, "/entry/sums/off/s2"},
                  {c->off.x, "/entry/sums/off/x"},
                  {c->off.shots, "/entry/sums/off/shots"},
                  {c->off.i0_sum, "/entry/sums/off/i0_sum"},
                  {c->off.i0_sq_sum, "/entry/sums/off/i0_sq_sum"},
                  {c->off.delay_sum, "/entry/sums/off/delay_sum"},
                  {c->off.delay_sq_sum, "/entry/sums/off/delay_sq_sum"},
                  {c->peak, "/entry/sums/peak"},
                  {c->pixel_mask, "/entry/pixels/mask"},
                  {c->edges_ps, "/entry/bins/edges"},
                  {c->weight, "/entry/bins/weight"},
                  {c->mean_frame, "/entry/mean_frame/photons"},
                  {c->shots.n > 0 ? c->shots.pulse_id : NULL, "/entry/shots (a column of it, or all)"}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (needed[i].data == NULL) return needed[i].name;
    return c->i0_scale > 0.0 && isfinite(c->i0_scale) ? NULL : "/entry/sums/i0_scale";
}

static xani_status check_sums(xn_ctx *ctx, const xn_cube *c, const char *name)
{
    if (c->on_float != NULL)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: it came from files that were binned before and has no sums over single shots", name);
    const char *lacks = missing(c);
    if (lacks != NULL)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is missing: cubes are merged by their integer sums, shot by shot",
                       name, lacks);
    if (c->scale2_read > 0.0 && c->scale2_read != xn_photon_scale2(c->spatial_bin))
        return xn_fail(
            ctx, XANI_ERR_INPUT,
            "%s: /entry/sums @s2_root_units_per_photon is %g, where groups of %d x %d pixels have %g: it is of "
            "another version; reduce its shots again",
            name, c->scale2_read, c->spatial_bin, c->spatial_bin, xn_photon_scale2(c->spatial_bin));
    for (int64_t i = 1; i < c->shots.n; i++)
        if (c->shots.pulse_id[i] < c->shots.pulse_id[i - 1])
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: the shots are not in the order of their pulse ids", name);
    for (int64_t i = 0; i < c->shots.n; i++)
        if (c->shots.verdict[i] == XN_CUT_NONE && (c->shots.bin[i] < -1 || c->shots.bin[i] >= c->nbins))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: shot %lld is in bin %d of %d", name, (long long)i,
                           (int)c->shots.bin[i], c->nbins);
    return XANI_OK;
}

// Edges from a start and a step are those of a list but for rounding, a thousandth of what delays are on an edge by.
#define SAME_EDGE_PS 1e-9

static xani_status check_bins(const pair *p, const xn_cube *a, const xn_cube *b)
{
    if (a->nbins != b->nbins) return differ(p, "%d and %d delay bins", a->nbins, b->nbins);
    for (int i = 0; i <= a->nbins; i++)
        if (!(fabs(a->edges_ps[i] - b->edges_ps[i]) <= SAME_EDGE_PS))
            return differ(p, "the delay bins differ, edge %d is %.15g and %.15g ps", i, a->edges_ps[i], b->edges_ps[i]);
    if ((a->on.expect == NULL) != (b->on.expect == NULL))
        return differ(p, "one has one laser-off reference, the other one per block of time (reduce.off.mode)");
    return XANI_OK;
}

static xani_status check_groups(const pair *p, const xn_cube *a, const xn_cube *b)
{
    if (a->det_ny != b->det_ny || a->det_nx != b->det_nx)
        return differ(p, "detectors of %lld x %lld and %lld x %lld pixels", (long long)a->det_ny, (long long)a->det_nx,
                      (long long)b->det_ny, (long long)b->det_nx);
    if (a->spatial_bin != b->spatial_bin)
        return differ(p, "groups of %d x %d and %d x %d pixels (reduce.spatial_bin)", a->spatial_bin, a->spatial_bin,
                      b->spatial_bin, b->spatial_bin);
    bool same = a->ny == b->ny && a->nx == b->nx && a->n_modules == b->n_modules;
    for (int m = 0; same && m < a->n_modules; m++) same = a->module_rows[m] == b->module_rows[m];
    return same ? XANI_OK : differ(p, "the modules of their detectors differ");
}

// Pixels left out of their group in one cube only; a group that is one pixel is just masked.
static xani_status check_pixels(const pair *p, const xn_cube *a, const xn_cube *b)
{
    int64_t n = 0, first = -1;
    for (int64_t i = 0; a->spatial_bin > 1 && i < a->det_ny * a->det_nx; i++) {
        if ((a->pixel_mask[i] == 0) == (b->pixel_mask[i] == 0)) continue;
        if (n++ == 0) first = i;
    }
    if (n == 0) return XANI_OK;
    return differ(p, "%lld pixels are in the groups of one only, the first is (%lld, %lld); give both one input.mask",
                  (long long)n, (long long)(first / a->det_nx), (long long)(first % a->det_nx));
}

static xani_status check_shots(const pair *p, const xn_cube *a, const xn_cube *b)
{
    bool same = a->shots.n_extra == b->shots.n_extra;
    for (int i = 0; same && i < a->shots.n_extra; i++)
        same = strcmp(a->shots.extra_name[i], b->shots.extra_name[i]) == 0;
    if (!same) return differ(p, "different readings were kept for the cuts (/entry/shots/extra_names)");
    same = a->cutflow.n == b->cutflow.n;
    for (int i = 0; same && i < a->cutflow.n; i++) same = strcmp(a->cutflow.name[i], b->cutflow.name[i]) == 0;
    if (!same) return differ(p, "different cuts were made (/entry/cut_flow/name)");
    same = a->n_angles == b->n_angles;
    for (int i = 0; same && i < a->n_angles; i++) same = !(fabs(a->angles_deg[i] - b->angles_deg[i]) > 1e-9);
    return same ? XANI_OK : differ(p, "the sample stood at different angles");
}

xani_status xn_merge_check(xn_ctx *ctx, const xn_merge *m, const xn_cube *cube, const char *name)
{
    XN_TRY(check_sums(ctx, cube, name));
    if (m->n == 0) return XANI_OK;
    const pair p = {ctx, m->first, name};
    XN_TRY(check_groups(&p, &m->sum, cube));
    XN_TRY(check_bins(&p, &m->sum, cube));
    XN_TRY(check_pixels(&p, &m->sum, cube));
    return check_shots(&p, &m->sum, cube);
}
