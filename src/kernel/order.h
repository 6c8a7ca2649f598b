// SPDX-License-Identifier: BSD-3-Clause
// order.h -- the order of a fit: start, one more mode at a time (greedy.h), the last ones to the plan's tolerance.
//
// Where the delays have gaps, the highest peak of two modes may be a side lobe of both, and all modes together end in a
// minimum beside the right one.  There
//   list_prune  leaves out each earlier mode once the next one is known: what is not needed any more goes;
//   list_shift  moves one or two modes at a time by the distance of the highest side lobe;
//   list_swap   at the end tries one mode more than allowed, where that is significant, and leaves out each of the
//               others,
// always keeping the smallest chi^2.  Plans and traces without gaps do nothing of this.
#ifndef XN_KERNEL_ORDER_H
#define XN_KERNEL_ORDER_H

#include "kernel/greedy.h"

#define XN_GAPS 0.1 // of a trace's samples missing
#define XN_ROUNDS_MOST 4
#define XN_OTHER 1.0 // of s^2: less is the same minimum

// Whether the modes of trace t may have to be chosen again.
XN_FN bool swap_due(const struct kit *kit, int t)
{
    const xn_fit_plan *plan = kit->plan;
    const double missing = plan->filled - (double)plane_of(kit, PLANE_SAMPLES)[t];
    return plan->lobe > 0.0 || missing > XN_GAPS * plan->filled;
}

// A fit of K modes of trace t to a place for it
static void fit_store(const struct kit *kit, int K, int t, int parameters, int chi2)
{
    planes_copy(kit, PLANE_PARAMETER, parameters, 2 * (K + poles_beside(kit)), t);
    plane_of(kit, chi2)[t] = plane_of(kit, PLANE_CHI2)[t];
}

// Keeps the fits of K modes of those on the list where they are better than what stands in that place.
static void best_keep(const struct kit *kit, const int *list, int count, int K, int parameters, int chi2)
{
    for (int i = 0; i < count; i++) {
        const int t = list[i];
        if (!(significance(kit, K, t, plane_of(kit, chi2)[t]) > XN_OTHER)) continue;
        fit_store(kit, K, t, parameters, chi2);
        plane_of(kit, PLANE_BETTER)[t] = R(1);
    }
}

static void others_keep(const struct kit *kit, const int *list, int count, int K)
{
    for (int i = 0; i < count; i++) {
        other_keep(kit, 2 * (K + poles_beside(kit)), list[i]);
        plane_of(kit, PLANE_BETTER)[list[i]] = R(0);
    }
}

// Leaves out of fits of K modes each but the last in turn. Where that is better than the K - 1 modes in PLANE_KEEP it
// takes their place; the fits themselves are as before.
static void list_without(const struct kit *kit, const int *list, int count, int K)
{
    const int beside = poles_beside(kit), slots = 2 * (K + beside);
    others_keep(kit, list, count, K);
    for (int out = beside; out < K - 1 + beside; out++) {
        for (int i = 0; i < count; i++) {
            planes_copy(kit, PLANE_OTHER, PLANE_PARAMETER, 2 * out, list[i]);
            planes_copy(kit, PLANE_OTHER + 2 * out + 2, PLANE_PARAMETER + 2 * out, slots - 2 * out - 2, list[i]);
        }
        list_refine(kit, list, count, K - 1 + beside, XN_COARSE, false);
        best_keep(kit, list, count, K - 1, PLANE_KEEP, PLANE_CHI2_BEFORE);
    }
    for (int i = 0; i < count; i++) other_back(kit, slots, list[i]);
}

// Takes back the K-th mode of those on the list that K - 1 others explain as well, and tries one beside these.
// Returns how many have K modes.
static int list_prune(const struct kit *kit, int *list, int count, int K)
{
    const int beside = poles_beside(kit);
    int *due = kit->list[1], n = 0, m = 0, left = 0;
    for (int i = 0; i < count; i++)
        if (swap_due(kit, list[i])) due[n++] = list[i];
    if (n == 0) return count;
    list_without(kit, due, n, K);
    for (int i = 0; i < n; i++) {
        const int t = due[i];
        if (significance(kit, K, t, plane_of(kit, PLANE_CHI2_BEFORE)[t]) > threshold_of(kit, t)) continue;
        stage_back(kit, K, t);
        kit->tile->n_modes[t] = (uint8_t)(K - 1);
        due[m++] = t;
    }
    list_refine(kit, due, m, K - 1 + beside, XN_COARSE, false); // amplitudes, for what they leave
    for (int i = 0; i < m; i++) (void)stage_open(kit, K, due[i]);
    list_refine(kit, due, m, K + beside, XN_TOLERANCE(kit->plan, K), true);
    (void)list_close(kit, due, m, K);
    for (int i = 0; i < count; i++)
        if (kit->tile->n_modes[list[i]] == K) list[left++] = list[i];
    return left;
}

// Starts of the listed traces: K modes where PLANE_OTHER has them, two of them (or one twice) moved.
static void shift_start(const struct kit *kit, const int *list, int count, int K, const int mode[2], const double by[2])
{
    const int beside = poles_beside(kit);
    for (int i = 0; i < count; i++) {
        planes_copy(kit, PLANE_OTHER, PLANE_PARAMETER, 2 * (K + beside), list[i]);
        for (int j = 0; j < 2; j++) {
            real *w = plane_of(kit, PLANE_PARAMETER + 2 * (mode[j] + beside) + 1) + list[i];
            *w = R(fmin(fmax(*w + by[j], kit->plan->w_lo), kit->plan->w_hi));
        }
    }
}

// Fits of K modes again, from where side lobes of the right modes would be.
static void list_shift(const struct kit *kit, const int *whole, int count, int K)
{
    const int poles = K + poles_beside(kit);
    const double lobe = kit->plan->lobe;
    int *list = kit->list[1], n = 0;
    for (; n < count; n++) list[n] = whole[n];
    for (int round = 0; round < XN_ROUNDS_MOST && n > 0; round++) {
        int better = 0;
        others_keep(kit, list, n, K);
        for (int i = 0; i < n; i++) fit_store(kit, K, list[i], PLANE_BEST, PLANE_BEST_CHI2);
        for (int one = 0; one < K; one++)
            for (int two = one; two < K; two++)
                for (int way = 0; way < (one == two ? 2 : 4); way++) {
                    const double by[2] = {way & 1 ? lobe : -lobe, one == two ? 0.0 : way & 2 ? lobe : -lobe};
                    shift_start(kit, list, n, K, (const int[2]){one, two}, by);
                    list_refine(kit, list, n, poles, XN_COARSE, false);
                    best_keep(kit, list, n, K, PLANE_BEST, PLANE_BEST_CHI2);
                }
        for (int i = 0; i < n; i++) {
            other_back(kit, 2 * poles, list[i]);
            if (!(plane_of(kit, PLANE_BETTER)[list[i]] > R(0))) continue;
            planes_copy(kit, PLANE_BEST, PLANE_PARAMETER, 2 * poles, list[i]);
            list[better++] = list[i];
        }
        n = better;
        list_refine(kit, list, n, poles, XN_TOLERANCE(kit->plan, K), false);
    }
}

// Traces that have as many modes as they may, K: where one more is significant, K of those may be better.
static void list_swap(const struct kit *kit, int K)
{
    const xn_fit_tile *tile = kit->tile;
    const int poles = K + poles_beside(kit), allowed = kit->plan->modes_max;
    int *all = kit->list[0], *list = kit->list[1], n_all = 0, n = 0;
    for (int t = 0; t < tile->count; t++) {
        const int most = tile->limit != NULL && tile->limit[t] < allowed ? tile->limit[t] : allowed;
        if (most != K || !finish_due(tile, t, K) || !swap_due(kit, t)) continue;
        if (plane_of(kit, PLANE_SAMPLES)[t] >= R(parameters_of(kit, K + 1) + 4)) all[n_all++] = t;
    }
    for (; n < n_all; n++) list[n] = all[n];
    for (int round = 0; round < XN_ROUNDS_MOST && n > 0; round++) {
        int more = 0, better = 0;
        for (int i = 0; i < n; i++) fit_store(kit, K, list[i], PLANE_KEEP, PLANE_CHI2_BEFORE);
        list_refine(kit, list, n, poles + 1, XN_COARSE, true);
        for (int i = 0; i < n; i++) {
            const int t = list[i];
            if (significance(kit, K + 1, t, plane_of(kit, PLANE_CHI2_BEFORE)[t]) > threshold_of(kit, t))
                list[more++] = t;
            else
                stage_back(kit, K + 1, t);
        }
        list_without(kit, list, more, K + 1);
        for (int i = 0; i < more; i++) {
            stage_back(kit, K + 1, list[i]);
            if (plane_of(kit, PLANE_BETTER)[list[i]] > R(0)) list[better++] = list[i];
        }
        n = better;
        list_refine(kit, list, n, poles, XN_COARSE, false);
    }
    list_refine(kit, all, n_all, poles, R(kit->plan->tolerance), false);
}

// Prepares a tile, accepts modes as long as they are significant, then refines each trace with as many as it has.
static void greedy(const struct kit *kit, int *list)
{
    const xn_fit_plan *plan = kit->plan;
    const int beside = poles_beside(kit);
    const bool at_once = plan->modes_max > 0 && beside == 0 && kit->tile->start == XN_START_PERIODOGRAM;
    const bool search = kit->tile->start != XN_START_GIVEN;
    const bool shifts = search && plan->lobe > 0.0, gaps = search && (shifts || !plan->closed);
    load_tile(kit);
    int count = at_once ? list_first(kit, list) : prepare_list(kit, list);
    for (int i = 0; beside > 0 && i < kit->tile->count; i++) { // those not on the list too: they have results
        plane_of(kit, PLANE_PARAMETER)[i] = R(plan->r_lo);
        plane_of(kit, PLANE_PARAMETER + 1)[i] = plane_of(kit, PLANE_BETA)[i] = plane_of(kit, PLANE_BETA + 1)[i] = R(0);
    }
    if (beside > 0) list_exponential(kit, list, count, beside, XN_TOLERANCE(kit->plan, 0));
    if (at_once && shifts) list_shift(kit, list, count, 1);
    for (int K = at_once ? 2 : 1; K <= plan->modes_max && count > 0; K++) {
        count = list_stage(kit, list, count, K);
        if (beside > 0) list_exponential(kit, list, count, K + beside, XN_TOLERANCE(plan, K));
        if (shifts && K > 1) list_shift(kit, list, count, K); // the first one is judged as in any plan
        count = list_close(kit, list, count, K);
        if (shifts && K == 1) list_shift(kit, list, count, 1);
        if (gaps && K > 1) count = list_prune(kit, list, count, K);
    }
    for (int K = 1; gaps && K <= plan->modes_max && K + 1 + beside <= XN_M; K++) list_swap(kit, K);
    for (int K = 1 - beside; K < plan->modes_max; K++) {
        count = 0;
        for (int i = 0; i < kit->tile->count; i++)
            if (finish_due(kit->tile, i, K)) list[count++] = i;
        list_refine(kit, list, count, K + beside, R(plan->tolerance), false);
    }
}

#endif
