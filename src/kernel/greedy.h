// SPDX-License-Identifier: BSD-3-Clause
// greedy.h -- how many modes: one more at a time, as long as each is significant.
//
// Mode K starts at the highest peak of what K-1 modes leave; all K are then fitted together.  It is accepted when
// D = (chi^2(K-1) - chi^2(K))/s^2 exceeds the threshold, s^2 with the new mode.  Frequencies are searched, hence D of
// noise lies far above chi^2 with 4 degrees: the threshold is calibrated (fit/threshold.h).  Until it is known
// whether a mode stays, a fit converged to 0.1 s^2 is enough; the last one is taken to the plan's tolerance.
// Work lists keep lanes busy: only traces that go on are in a list, and when only a few traces of a block still move
// they are packed into blocks of their own.
#ifndef XN_KERNEL_GREEDY_H
#define XN_KERNEL_GREEDY_H

#include "kernel/rest.h"

#define XN_PASSES_TOGETHER 5  // of a device before stragglers are packed
#define XN_FEW (XN_BLOCK / 3) // of a processor: a block with no more that still move is left, and those are packed
#define XN_COARSE R(0.1)
#define XN_TOLERANCE(plan, K) ((K) == (plan)->modes_max ? R((plan)->tolerance) : XN_COARSE)

// Puts the start of mode K into PLANE_PARAMETER: the peak of what the first K-1 modes leave (block_rest).
XN_PART void block_start(struct block *b, const int K)
{
    const struct kit *kit = b->kit;
    const real *y[XN_GROUPS];
    vf w[XN_GROUPS], g[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) y[a] = K == 1 ? b->y[a] : kit->rest + rest_at(b, a);
    start_periodogram(b, y, w, g);
    for (int a = 0; a < XN_GROUPS; a++) {
        plane_store(b, a, PLANE_PARAMETER + 2 * K - 2, g[a]);
        plane_store(b, a, PLANE_PARAMETER + 2 * K - 1, w[a]);
    }
}

XN_PART void planes_copy(const struct kit *kit, int from, int to, int slots, int trace)
{
    for (int j = 0; j < slots; j++) plane_of(kit, to + j)[trace] = plane_of(kit, from + j)[trace];
}

// Whether trace i ends with K modes.
XN_FN bool finish_due(const xn_fit_tile *tile, int i, int K)
{
    return tile->n_modes[i] == K && !(tile->flags[i] & (XN_FLAG_MISSING | XN_FLAG_FEW));
}

// Numbers that K modes have taken from the samples.
XN_FN int parameters_of(const struct kit *kit, int K) { return 4 * K + kit->plan->n_columns + 2 * poles_beside(kit); }

// D of a trace with K modes against the fit with chi^2 `before`
XN_PART double significance(const struct kit *kit, int K, int t, double before)
{
    const double chi2 = plane_of(kit, PLANE_CHI2)[t];
    const double known = plane_of(kit, PLANE_SIGMA2)[t], floor = plane_of(kit, PLANE_FLOOR2)[t];
    const double freedom = plane_of(kit, PLANE_SAMPLES)[t] - parameters_of(kit, K);
    return (before - chi2) / fmax(known > 0.0 ? known : -known * chi2 / freedom, floor);
}

// The threshold of D for trace t.  Where s^2 comes from fewer residuals than those it was calibrated for, because
// samples are missing, the tail of D is heavier (fit/threshold.c): as large a share of noise lies above x as above the
// plan's,
//   m log(1 + x/m) - 2 log(0.29 x - 0.5)  the same,      m: samples less parameters.
XN_PART double threshold_of(const struct kit *kit, int t)
{
    const xn_fit_plan *plan = kit->plan;
    const double missing = plan->filled - (double)plane_of(kit, PLANE_SAMPLES)[t], m = plan->freedom - missing;
    const double at = plan->threshold;
    if (!(missing > 0.5) || !(plan->freedom > 0.0) || plane_of(kit, PLANE_SIGMA2)[t] > R(0)) return at;
    const double tail = plan->freedom * log1p(at / plan->freedom), few = fmax(m, 1.0);
    double x = at;
    for (int i = 0; i < 12; i++) x = few * expm1((tail + 2.0 * log((0.29 * x - 0.5) / (0.29 * at - 0.5))) / few);
    return x;
}

// Whether trace t can be tried with a K-th mode; remembers its fit without.
XN_FN bool stage_open(const struct kit *kit, const int K, int t)
{
    if (plane_of(kit, PLANE_SAMPLES)[t] < R(parameters_of(kit, K) + 4)) return false; // samples must be left over
    if (kit->tile->start == XN_START_GIVEN && kit->tile->given[t] < K) return false;
    if (kit->tile->limit != NULL && kit->tile->limit[t] < K) return false;
    planes_copy(kit, PLANE_PARAMETER, PLANE_KEEP, 2 * (K - 1 + poles_beside(kit)), t);
    plane_of(kit, PLANE_CHI2_BEFORE)[t] = plane_of(kit, PLANE_CHI2)[t];
    return true;
}

XN_FN void stage_back(const struct kit *kit, const int K, int t)
{
    planes_copy(kit, PLANE_KEEP, PLANE_PARAMETER, 2 * (K - 1 + poles_beside(kit)), t);
    plane_of(kit, PLANE_CHI2)[t] = plane_of(kit, PLANE_CHI2_BEFORE)[t];
}

// Accepts the K-th mode of trace t, or takes it back.
XN_FN bool stage_close(const struct kit *kit, const int K, int t)
{
    const xn_fit_tile *tile = kit->tile;
    const double d = significance(kit, K, t, plane_of(kit, PLANE_CHI2_BEFORE)[t]);
    if (d > threshold_of(kit, t)) {
        tile->n_modes[t] = (uint8_t)K;
        return true;
    }
    plane_of(kit, PLANE_NEXT)[t] = R(d);
    stage_back(kit, K, t);
    tile->flags[t] &= (uint8_t)~XN_FLAG_STUCK;
    return false;
}

#ifndef XN_DEVICE
// How many of a block's traces are left to be packed with those of other blocks, if there are any.
XN_FN int few_of(int count) { return count <= XN_BLOCK ? 0 : XN_FEW; }

// One block of list_refine's; traces that go on are appended to `rest`.
static int block_refine(const struct kit *kit, const int *list, int count, int few, int K, real tolerance, bool search,
                        int *rest, int n_rest)
{
    struct block b;
    struct lm s[XN_GROUPS];
    block_open(kit, list, count, &b);
    if (search && K > 1) block_rest(&b, K - 1);
    if (search) block_start(&b, K);
    lm_begin(&b, K, s);
    lm_run(K, &b, s, few, tolerance);
    return lm_suspend(&b, K, s, rest, n_rest);
}

// Traces that were suspended, packed until none is left.
static void rest_refine(const struct kit *kit, int *rest, int n_rest, int K, real tolerance)
{
    struct block b;
    struct lm s[XN_GROUPS];
    while (n_rest > 0) {
        const int n = n_rest;
        n_rest = 0;
        for (int i = 0; i < n; i += XN_BLOCK) {
            block_open(kit, rest + i, n - i < XN_BLOCK ? n - i : XN_BLOCK, &b);
            lm_resume(&b, K, s);
            lm_run(K, &b, s, few_of(n), tolerance);
            n_rest = lm_suspend(&b, K, s, rest, n_rest); // behind the traces already read
        }
    }
}

// Fits K poles of the listed traces to `tolerance`; search: with a new start for the last one.
static void list_refine(const struct kit *kit, const int *list, int count, int K, real tolerance, bool search)
{
    int n_rest = 0;
    for (int i = 0; i < count; i++) kit->tile->flags[list[i]] &= (uint8_t)~XN_FLAG_STUCK;
    for (int i = 0; i < count; i += XN_BLOCK)
        n_rest = block_refine(kit, list + i, count - i < XN_BLOCK ? count - i : XN_BLOCK, few_of(count), K, tolerance,
                              search, kit->list[3], n_rest);
    rest_refine(kit, kit->list[3], n_rest, K, tolerance);
}

// The fit of trace t to its other place and back.
static void other_keep(const struct kit *kit, int slots, int t)
{
    planes_copy(kit, PLANE_PARAMETER, PLANE_OTHER, slots, t);
    planes_copy(kit, PLANE_BETA, PLANE_OTHER_BETA, slots, t);
    plane_of(kit, PLANE_OTHER_CHI2)[t] = plane_of(kit, PLANE_CHI2)[t];
    plane_of(kit, PLANE_OTHER_STUCK)[t] = R(kit->tile->flags[t] & XN_FLAG_STUCK);
}

static void other_back(const struct kit *kit, int slots, int t)
{
    planes_copy(kit, PLANE_OTHER, PLANE_PARAMETER, slots, t);
    planes_copy(kit, PLANE_OTHER_BETA, PLANE_BETA, slots, t);
    plane_of(kit, PLANE_CHI2)[t] = plane_of(kit, PLANE_OTHER_CHI2)[t];
    kit->tile->flags[t] &= (uint8_t)~XN_FLAG_STUCK;
    if (plane_of(kit, PLANE_OTHER_STUCK)[t] != R(0)) kit->tile->flags[t] |= XN_FLAG_STUCK;
}

// The K strongest given poles instead of a search; keeps the fit from the other start where that is better.
static void list_given(const struct kit *kit, const int *list, int count, int K, real tolerance, bool compare)
{
    const xn_fit_tile *tile = kit->tile;
    const xn_fit_plan *plan = kit->plan;
    const int beside = poles_beside(kit), poles = K + beside;
    int *have = kit->list[2], n_have = 0;
    for (int i = 0; i < count; i++) {
        const int t = list[i];
        if (tile->given[t] < K) continue;
        other_keep(kit, 2 * poles, t);
        for (int k = 0; k < K; k++) {
            const int64_t at = (int64_t)k * tile->given_stride + t;
            real *const g = plane_of(kit, PLANE_PARAMETER + 2 * (k + beside)) + t;
            real *const w = plane_of(kit, PLANE_PARAMETER + 2 * (k + beside) + 1) + t;
            *g = R(fmin(fmax(tile->given_g[at], plan->g_lo), plan->g_hi));
            *w = R(fmin(fmax(tile->given_w[at], plan->w_lo), plan->w_hi));
        }
        have[n_have++] = t;
    }
    list_refine(kit, have, n_have, poles, tolerance, false);
    for (int i = 0; compare && i < n_have; i++) {
        const int t = have[i];
        const double other = plane_of(kit, PLANE_OTHER_CHI2)[t];
        if (plane_of(kit, PLANE_CHI2)[t] < other || significance(kit, K, t, other) > -tile->favour) continue;
        other_back(kit, 2 * poles, t);
    }
}

// Keeps those on the list whose K-th mode is accepted. Returns their number.
static int list_close(const struct kit *kit, int *list, int count, int K)
{
    int accepted = 0;
    for (int i = 0; i < count; i++)
        if (stage_close(kit, K, list[i])) list[accepted++] = list[i];
    return accepted;
}

// Tries the first mode on the traces of a tile that was loaded. Each block is prepared just before, so that it is in
// the first cache still. Returns how many are on the list then: those where it was accepted.
static int list_first(const struct kit *kit, int *list)
{
    const int groups = groups_of(kit->tile);
    const real tolerance = XN_TOLERANCE(kit->plan, 1);
    int count = 0, done = 0, n_rest = 0;
    for (int g = 0; g < groups || done < count;) {
        for (; g < groups && count - done < XN_BLOCK; g += XN_GROUPS) {
            const int before = count, end = prepare_block(kit, g, list, count);
            for (int i = before; i < end; i++)
                if (stage_open(kit, 1, list[i])) list[count++] = list[i];
        }
        const int n = count - done < XN_BLOCK ? count - done : XN_BLOCK;
        if (n > 0)
            n_rest =
                block_refine(kit, list + done, n, few_of(kit->tile->count), 1, tolerance, true, kit->list[3], n_rest);
        done += n;
    }
    rest_refine(kit, kit->list[3], n_rest, 1, tolerance);
    return list_close(kit, list, count, 1);
}

// Tries a K-th mode on the listed traces; keeps those on the list where it was tried. Returns their number.
static int list_stage(const struct kit *kit, int *list, int count, int K)
{
    const xn_fit_tile *tile = kit->tile;
    const real tolerance = XN_TOLERANCE(kit->plan, K);
    const int poles = K + poles_beside(kit);
    int n = 0;
    for (int i = 0; i < count; i++)
        if (stage_open(kit, K, list[i])) list[n++] = list[i];
    int *search = kit->list[1], n_search = 0; // without a mode given for this place
    for (int i = 0; i < n && tile->start == XN_START_GIVEN_FIRST; i++)
        if (tile->given[list[i]] < K) search[n_search++] = list[i];
    if (tile->start == XN_START_GIVEN_FIRST)
        list_refine(kit, search, n_search, poles, tolerance, true);
    else if (tile->start != XN_START_GIVEN)
        list_refine(kit, list, n, poles, tolerance, true);
    if (tile->start != XN_START_PERIODOGRAM) list_given(kit, list, n, K, tolerance, tile->start == XN_START_BOTH);
    return n;
}

#define XN_RATES 9 // tried as starts of an exponential, bounds too: where it is uncertain, one is near the least chi^2

// The exponential of each trace, alone or beside poles - 1 modes as they are: from the best of a few rates, then all
// of them together. Beside modes once more, because the rate that was best without them may be held far from where it
// is best with them (exponential_fixed).
static void list_exponential(const struct kit *kit, const int *list, int count, int poles, real tolerance)
{
    struct block b;
    struct eval e[XN_GROUPS];
    vf parameter[XN_GROUPS][XN_Q], best[XN_GROUPS], rate[XN_GROUPS];
    const vf *at[XN_GROUPS];
    const double lo = kit->plan->r_lo, hi = kit->plan->r_hi;
    for (int i = 0; i < count; i += XN_BLOCK) {
        block_open(kit, list + i, count - i < XN_BLOCK ? count - i : XN_BLOCK, &b);
        for (int a = 0; a < XN_GROUPS; a++) {
            at[a] = parameter[a];
            best[a] = v_set(XN_UNKNOWN);
            rate[a] = parameter[a][1] = v_set(R(0));
            for (int j = poles > 1 ? 0 : 2; j < 2 * poles; j++)
                parameter[a][j] = plane_load(&b, a, PLANE_PARAMETER + j);
        }
        for (int c = poles > 1 ? -1 : 0; c < XN_RATES; c++) { // -1: the rate there is
            for (int a = 0; a < XN_GROUPS && c >= 0; a++)
                parameter[a][0] = v_set(R(lo * pow(hi / lo, c / (XN_RATES - 1.0))));
            evaluate_modes(poles, &b, at, e);
            for (int a = 0; a < XN_GROUPS; a++) {
                const vm better = v_lt(e[a].chi2, best[a]);
                best[a] = v_sel(better, e[a].chi2, best[a]);
                rate[a] = v_sel(better, parameter[a][0], rate[a]);
            }
        }
        for (int a = 0; a < XN_GROUPS; a++) {
            plane_store(&b, a, PLANE_PARAMETER, rate[a]);
            plane_store(&b, a, PLANE_PARAMETER + 1, v_set(R(0)));
        }
    }
    list_refine(kit, list, count, poles, tolerance, false);
}

#endif

#endif
