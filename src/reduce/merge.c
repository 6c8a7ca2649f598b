// SPDX-License-Identifier: BSD-3-Clause
// merge.c -- adds the sums of cubes that were reduced apart: runs, shards, parts of a run.
//
// Sums are integers and a group's intensity in a shot does not depend on other shots, so S1 and S2 add up as they are.
// What one reduction of all shots would have chosen otherwise is put right exactly:
//   i0_scale   follows from the I0 of all used shots.  X and M are in its units; the common scale is
//              never finer than a cube's own, and I0 has 17 significant bits (fixed_point.c), so going from one to the
//              other divides numbers that are multiples of the divisor.  Where they are not (I0 that varies by more
//              than that) the sums cannot be had from these, and merging says so.
//   bound      the largest intensity the sums take: cubes keep each group's peak, and it is compared again.
//   mask       a group that one cube masks has no sums there: it is masked in all, as one reduction would have.
//   per bin    shots, I0 and delay sums, mean delays and weights are made anew from the joint shot table.
// The off reference is one for all shots.  With a reference per block of time (reduce.off.mode) each shot keeps the one
// it had: a block's reference is a ratio of that block's sums, so blocks end where a cube ends, which one reduction of
// all shots would not know; these sums are float64, added in the order of the cubes that the caller gives.
#include "reduce/merge.h"

#include <math.h>
#include <string.h>

xani_status xn_merge_create(xn_ctx *ctx, xn_merge **merge)
{
    *merge = xn_calloc(1, sizeof **merge);
    return *merge ? XANI_OK : xn_fail_memory(ctx, "merging", sizeof **merge);
}

void xn_merge_destroy(xn_merge **merge)
{
    if (*merge == NULL) return;
    xn_cube_free(&(*merge)->sum);
    xn_free((*merge)->first);
    xn_free(*merge);
    *merge = NULL;
}

const xn_shots *xn_merge_shots(const xn_merge *merge) { return &merge->sum.shots; }

// ---- one scale for I0

// How many halvings (doublings where negative) lead from `from` to `to`; the I0 of every used shot must stand them.
static xani_status find_shift(xn_ctx *ctx, const xn_shots *s, double from, double to, const char *name, int *shift)
{
    *shift = ilogb(from) - ilogb(to);
    for (int64_t i = 0; i < s->n && *shift != 0; i++) {
        if (s->verdict[i] != XN_CUT_NONE) continue;
        if (ldexp((double)xn_i0_fixed(s->i0[i], from), -*shift) != (double)xn_i0_fixed(s->i0[i], to))
            return xn_fail(ctx, XANI_ERR_INPUT,
                           "%s: the I0 of shot %llu, %g, is too small beside the largest of all cubes for a common "
                           "scale without rounding: is I0 in the same unit in all? Cut such shots (select.i0.min)",
                           name, (unsigned long long)s->pulse_id[i], s->i0[i]);
    }
    return XANI_OK;
}

// Exact: find_shift saw that every term of the sums is a multiple of the divisor, or becomes what it would have been.
static void shift_right(int64_t *sums, size_t n, int shift)
{
    const int64_t divisor = INT64_C(1) << (shift > 0 ? shift : 0), factor = INT64_C(1) << (shift < 0 ? -shift : 0);
    for (size_t i = 0; i < n && shift != 0; i++) sums[i] = sums[i] / divisor * factor;
}

// ---- adding

static void add_integers(int64_t *to, const int64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = (int64_t)((uint64_t)to[i] + (uint64_t)from[i]);
}

static void add_sums(xn_sums *to, const xn_sums *from, size_t n)
{
    add_integers(to->s1, from->s1, n);
    add_integers(to->s2, from->s2, n);
    add_integers(to->x, from->x, n);
    double *sum[] = {to->expect, to->expect_sq, to->cross}, *more[] = {from->expect, from->expect_sq, from->cross};
    for (int k = 0; k < 3 && sum[k] != NULL; k++)
        for (size_t i = 0; i < n; i++) sum[k][i] += more[k][i];
}

// A group that has a bit only because it saw no photons (XN_MASK_DEAD) may see some in the others.
static uint32_t lasting(uint32_t mask) { return mask == XN_MASK_DEAD ? 0 : mask; }

static void add_planes(xn_ctx *ctx, xn_cube *sum, const xn_cube *c, const char *name)
{
    int64_t more = 0;
    for (int64_t p = 0; p < c->ny * c->nx; p++) {
        more += (lasting(sum->mask[p]) == 0) != (lasting(c->mask[p]) == 0);
        sum->mask[p] = lasting(sum->mask[p]) | lasting(c->mask[p]);
        sum->peak[p] = xn_max64(sum->peak[p], c->peak[p]);
    }
    for (int64_t p = 0; p < c->det_ny * c->det_nx; p++) sum->pixel_mask[p] |= c->pixel_mask[p];
    if (more > 0)
        xn_warn(ctx,
                "%s: %lld pixel groups that are masked here or in the cubes before, not in both, are masked in all",
                name, (long long)more);
}

static xani_status add_cube(xn_ctx *ctx, xn_merge *m, xn_cube *c, const char *name)
{
    xn_cube *sum = &m->sum;
    xn_shots both;
    size_t plane = (size_t)(c->ny * c->nx), all = plane * (size_t)c->nbins;
    xn_fixed_point fixed;
    int old = 0, own = 0;
    XN_TRY(xn_merge_tables(ctx, m, &c->shots, name, &both));
    xani_status st =
        xn_context(ctx, xn_fixed_point_of(ctx, &both, c->nbins, c->spatial_bin, &fixed), "%s and %s", m->first, name);
    if (st == XANI_OK) st = find_shift(ctx, &sum->shots, sum->i0_scale, fixed.i0_scale, m->first, &old);
    if (st == XANI_OK) st = find_shift(ctx, &c->shots, c->i0_scale, fixed.i0_scale, name, &own);
    if (st != XANI_OK) {
        xn_shots_free(&both);
        return st;
    }
    shift_right(sum->on.x, all, old);
    shift_right(sum->off.x, plane, old);
    shift_right(c->on.x, all, own);
    shift_right(c->off.x, plane, own);
    add_sums(&sum->on, &c->on, all);
    add_sums(&sum->off, &c->off, plane);
    add_planes(ctx, sum, c, name);
    xn_merge_cutflow(&sum->cutflow, &c->cutflow);
    xn_shots_free(&sum->shots);
    sum->shots = both;
    sum->i0_scale = fixed.i0_scale;
    return XANI_OK;
}

xani_status xn_merge_add(xn_ctx *ctx, xn_merge *m, xn_cube *cube, const char *name)
{
    XN_TRY(xn_check_interrupt(ctx));
    XN_TRY(xn_merge_check(ctx, m, cube, name));
    if (m->n > 0)
        XN_TRY(add_cube(ctx, m, cube, name));
    else {
        if ((m->first = xn_strdup(name)) == NULL) return xn_fail_memory(ctx, "a name", strlen(name));
        m->sum = *cube; // moved
        memset(cube, 0, sizeof *cube);
    }
    m->n++;
    return XANI_OK;
}

// ---- the end

static void clear_bins(xn_sums *s)
{
    int64_t *all[] = {s->shots, s->i0_sum, s->i0_sq_sum, s->delay_sum, s->delay_sq_sum};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) memset(all[i], 0, (size_t)s->nbins * sizeof(int64_t));
}

xani_status xn_merge_finish(xn_ctx *ctx, xn_merge *m, int threads, xn_cube *cube)
{
    xn_cube *c = &m->sum;
    if (m->n == 0) return xn_fail(ctx, XANI_ERR_USAGE, "no cubes to merge");
    const int64_t npix = c->ny * c->nx;
    xn_fixed_point fixed;
    XN_TRY(xn_context(ctx, xn_fixed_point_of(ctx, &c->shots, c->nbins, c->spatial_bin, &fixed), "%s", m->first));
    int shift = 0; // of one cube alone that is a snapshot
    XN_TRY(find_shift(ctx, &c->shots, c->i0_scale, fixed.i0_scale, m->first, &shift));
    shift_right(c->on.x, (size_t)(c->nbins * npix), shift);
    shift_right(c->off.x, (size_t)npix, shift);
    for (int64_t p = 0; p < npix; p++) c->mask[p] = lasting(c->mask[p]);
    clear_bins(&c->on);
    clear_bins(&c->off);
    XN_TRY(xn_finish_shots(ctx, fixed.i0_scale, c));
    const xn_pass pass = {.n = c->nbins,
                          .s1 = c->on.s1,
                          .s2 = c->on.s2,
                          .x = c->on.x,
                          .expect = c->on.expect,
                          .expect_sq = c->on.expect_sq,
                          .cross = c->on.cross};
    XN_TRY(xn_finish_pass(ctx, &pass, threads, c));
    const bool beyond = xn_finish_bright(ctx, fixed.bound, c) > 0;
    XN_TRY(xn_finish_mask(ctx, fixed.bound, c));
    XN_TRY(xn_finish_check(ctx, beyond, c));
    xn_drift_check(ctx, c);
    (void)xn_sign_check(ctx, c);
    *cube = *c;
    memset(c, 0, sizeof *c);
    m->n = 0;
    return XANI_OK;
}
