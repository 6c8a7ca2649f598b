// SPDX-License-Identifier: BSD-3-Clause
// greedy.h -- how many modes: one more at a time, as long as each is significant.
//
// Mode K starts at the highest peak of what K-1 modes leave; all K are then fitted together.  It is accepted when
// D = (chi^2(K-1) - chi^2(K))/s^2 exceeds the threshold, s^2 with the new mode.  Frequencies are searched, hence D of
// noise lies far above chi^2 with 4 degrees: the threshold is calibrated (fit/threshold.h).  Until it is known
// whether a mode stays, a fit converged to 0.1 s^2 is enough; the last one is taken to the plan's tolerance.
// Work lists keep lanes busy: only traces that go on are in a list, and after a few passes those that still move are
// packed into blocks of their own.
#ifndef XN_KERNEL_GREEDY_H
#define XN_KERNEL_GREEDY_H

#include "kernel/block.h"

#define XN_PASSES_TOGETHER 5 // before stragglers are packed
#define XN_COARSE R(0.1)

// Residual of K modes: y - phi beta with the background projected out, stored when rest is given.
// Returns chi^2; c becomes the background's coefficients beside those taken out when the data were loaded.
static vf block_residual(struct block *b, int a, int K, const vf *parameter, const vf *beta, real *rest, vf c[XN_B])
{
    const struct kit *kit = b->kit;
    const int n = kit->plan->n, n_columns = kit->plan->n_columns;
    const bool closed = kit->plan->closed;
    const real *column = kit->table->column;
    vc z[XN_M], u[XN_M];
    vf chi2 = v_set(R(0));
    for (int j = 0; j < XN_B; j++) c[j] = v_set(R(0));
    for (int k = 0; k < K; k++) u[k] = z[k] = v_pole(parameter[2 * k], parameter[2 * k + 1], v_set(R(1)));
    for (int i = 0; i < n; i++) {
        const vf h = closed ? v_set(R(1)) : v_load(b->h[a] + (size_t)i * XN_W);
        vf model = v_set(R(0));
        for (int k = 0; k < K; k++) {
            u[k] = pole_next(kit, i, z[k], u[k], parameter[2 * k], parameter[2 * k + 1]);
            model += beta[2 * k] * u[k].re + beta[2 * k + 1] * u[k].im;
        }
        vf r = v_load(b->y[a] + (size_t)i * XN_W) - h * model;
        chi2 += r * r;
        for (int j = 0; j < n_columns; j++) c[j] += h * column[(size_t)j * (size_t)n + (size_t)i] * r;
        if (rest != NULL) v_store(rest + (size_t)i * XN_W, r);
    }
    if (!closed) columns_forward(n_columns, b->root[a], c, 1);
    for (int j = 0; j < n_columns; j++) chi2 -= c[j] * c[j];
    if (!closed) columns_backward(n_columns, b->root[a], c);
    for (int i = 0; rest != NULL && i < n; i++) {
        const vf h = closed ? v_set(R(1)) : v_load(b->h[a] + (size_t)i * XN_W);
        vf r = v_load(rest + (size_t)i * XN_W);
        for (int j = 0; j < n_columns; j++) r -= h * column[(size_t)j * (size_t)n + (size_t)i] * c[j];
        v_store(rest + (size_t)i * XN_W, r);
    }
    return chi2;
}

// Puts the start of mode K into PLANE_PARAMETER: the peak of what the first K-1 modes leave.
static void block_start(struct block *b, int K)
{
    const struct kit *kit = b->kit;
    const real *y[XN_GROUPS];
    vf w[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) {
        y[a] = b->y[a];
        if (K == 1) continue;
        vf parameter[XN_Q], beta[XN_Q], c[XN_B];
        for (int j = 0; j < 2 * (K - 1); j++) {
            parameter[j] = plane_load(b, a, PLANE_PARAMETER + j);
            beta[j] = plane_load(b, a, PLANE_BETA + j);
        }
        real *rest = kit->rest + (size_t)a * group_size(kit);
        block_residual(b, a, K - 1, parameter, beta, rest, c);
        y[a] = rest;
    }
    start_periodogram(b, y, w);
    const real g = R(kit->plan->window_rate);
    for (int a = 0; a < XN_GROUPS; a++) {
        plane_store(b, a, PLANE_PARAMETER + 2 * K - 2,
                    v_min(v_max(v_set(g), bound_lo(kit->plan, 0)), bound_hi(kit->plan, 0)));
        plane_store(b, a, PLANE_PARAMETER + 2 * K - 1, w[a]);
    }
}

// Fits K modes of the listed traces to `tolerance`; search: with a new start for the last mode.
static void list_refine(const struct kit *kit, const int *list, int count, int K, real tolerance, bool search)
{
    int *rest = kit->list[3], n_rest = 0;
    struct block b;
    struct lm s[XN_GROUPS];
    for (int i = 0; i < count; i++) kit->tile->flags[list[i]] &= (uint8_t)~XN_FLAG_STUCK;
    for (int i = 0; i < count; i += XN_BLOCK) {
        block_open(kit, list + i, count - i < XN_BLOCK ? count - i : XN_BLOCK, &b);
        if (search) block_start(&b, K);
        lm_begin(&b, K, s);
        lm_run(K, &b, s, XN_PASSES_TOGETHER, tolerance);
        n_rest = lm_suspend(&b, K, s, rest, n_rest);
    }
    int left = 0; // what is still active at the end did not converge
    for (int i = 0; i < n_rest; i += XN_BLOCK) {
        int many = n_rest - i < XN_BLOCK ? n_rest - i : XN_BLOCK;
        block_open(kit, rest + i, many, &b);
        lm_resume(&b, K, s);
        lm_run(K, &b, s, kit->plan->passes_max - XN_PASSES_TOGETHER, tolerance);
        left = lm_suspend(&b, K, s, rest, left); // behind the traces already read
    }
    for (int i = 0; i < left; i++) kit->tile->flags[rest[i]] |= XN_FLAG_STUCK;
}

static void planes_copy(const struct kit *kit, int from, int to, int slots, int trace)
{
    for (int j = 0; j < slots; j++) plane_of(kit, to + j)[trace] = plane_of(kit, from + j)[trace];
}

// The K strongest given poles instead of a search; keeps the fit from the other start where that is better.
static void list_given(const struct kit *kit, const int *list, int count, int K, real tolerance, bool compare)
{
    const xn_fit_tile *tile = kit->tile;
    const xn_fit_plan *plan = kit->plan;
    int *have = kit->list[2], n_have = 0;
    for (int i = 0; i < count; i++) {
        const int t = list[i];
        if (tile->given[t] < K) continue;
        planes_copy(kit, PLANE_PARAMETER, PLANE_OTHER, 2 * K, t);
        planes_copy(kit, PLANE_BETA, PLANE_OTHER_BETA, 2 * K, t);
        plane_of(kit, PLANE_OTHER_CHI2)[t] = plane_of(kit, PLANE_CHI2)[t];
        for (int k = 0; k < K; k++) {
            const int64_t at = (int64_t)k * tile->given_stride + t;
            plane_of(kit, PLANE_PARAMETER + 2 * k)[t] = R(fmin(fmax(tile->given_g[at], plan->g_lo), plan->g_hi));
            plane_of(kit, PLANE_PARAMETER + 2 * k + 1)[t] = R(fmin(fmax(tile->given_w[at], plan->w_lo), plan->w_hi));
        }
        have[n_have++] = t;
    }
    list_refine(kit, have, n_have, K, tolerance, false);
    for (int i = 0; compare && i < n_have; i++) {
        const int t = have[i];
        if (plane_of(kit, PLANE_CHI2)[t] < plane_of(kit, PLANE_OTHER_CHI2)[t]) continue;
        planes_copy(kit, PLANE_OTHER, PLANE_PARAMETER, 2 * K, t);
        planes_copy(kit, PLANE_OTHER_BETA, PLANE_BETA, 2 * K, t);
        plane_of(kit, PLANE_CHI2)[t] = plane_of(kit, PLANE_OTHER_CHI2)[t];
    }
}

// D of the K-th mode of a trace
static double significance(const struct kit *kit, int K, int t)
{
    const double chi2 = plane_of(kit, PLANE_CHI2)[t], before = plane_of(kit, PLANE_CHI2_BEFORE)[t];
    const double known = plane_of(kit, PLANE_SIGMA2)[t], floor = plane_of(kit, PLANE_YY)[t] * XN_EPSILON * XN_EPSILON;
    const double freedom = plane_of(kit, PLANE_SAMPLES)[t] - 4 * K - kit->plan->n_columns;
    return (before - chi2) / (known > 0.0 ? known : fmax(chi2, floor) / freedom);
}

// Tries a K-th mode on the listed traces; keeps those on the list where it was accepted. Returns their number.
static int list_stage(const struct kit *kit, int *list, int count, int K)
{
    const xn_fit_tile *tile = kit->tile;
    const real tolerance = K == kit->plan->modes_max ? R(kit->plan->tolerance) : XN_COARSE;
    int n = 0;
    for (int i = 0; i < count; i++) { // samples must be left over
        const int t = list[i];
        if (plane_of(kit, PLANE_SAMPLES)[t] < R(4 * K + kit->plan->n_columns + 4)) continue;
        if (tile->start == XN_START_GIVEN && tile->given[t] < K) continue;
        planes_copy(kit, PLANE_PARAMETER, PLANE_KEEP, 2 * (K - 1), t);
        plane_of(kit, PLANE_CHI2_BEFORE)[t] = plane_of(kit, PLANE_CHI2)[t];
        list[n++] = t;
    }
    if (tile->start != XN_START_GIVEN) list_refine(kit, list, n, K, tolerance, true);
    if (tile->start != XN_START_PERIODOGRAM) list_given(kit, list, n, K, tolerance, tile->start == XN_START_BOTH);
    int accepted = 0;
    for (int i = 0; i < n; i++) {
        const int t = list[i];
        const double d = significance(kit, K, t);
        if (d > kit->plan->threshold) {
            tile->n_modes[t] = (uint8_t)K;
            list[accepted++] = t;
            continue;
        }
        plane_of(kit, PLANE_NEXT)[t] = R(d);
        planes_copy(kit, PLANE_KEEP, PLANE_PARAMETER, 2 * (K - 1), t);
        plane_of(kit, PLANE_CHI2)[t] = plane_of(kit, PLANE_CHI2_BEFORE)[t];
        tile->flags[t] &= (uint8_t)~XN_FLAG_STUCK;
    }
    return accepted;
}

// Accepts modes as long as they are significant, then refines each trace with as many as it has.
static void greedy(const struct kit *kit, int *list, int count)
{
    const xn_fit_plan *plan = kit->plan;
    for (int i = 0; i < kit->room; i++) plane_of(kit, PLANE_NEXT)[i] = R(NAN);
    for (int K = 1; K <= plan->modes_max && count > 0; K++) count = list_stage(kit, list, count, K);
    for (int K = 1; K < plan->modes_max; K++) {
        count = 0;
        for (int i = 0; i < kit->tile->count; i++)
            if (kit->tile->n_modes[i] == K) list[count++] = i;
        list_refine(kit, list, count, K, R(plan->tolerance), false);
    }
}

#endif
