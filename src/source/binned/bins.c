// SPDX-License-Identifier: BSD-3-Clause
// bins.c -- which bins of several cubes are the same: see binned.h.
//
// Cubes that know the edges of their bins, or their centres, have places that are equal.  Where only the mean delay of
// the shots is known, that of the same bin differs from cube to cube by some of the step: r steps with n shots in each,
// r = 1/sqrt(6 n).  So bins of two cubes that are nearest to each other, both ways, are pairs; when half of the pairs
// are nearer than SAME_GRID of a step the cubes have the same bins, and all pairs nearer than half a step are added up,
// and what is left between two pairs, where it is as many bins in both. Else these are other delays, on purpose (a scan
// shifted by a third of a step, other steps): they stay side by side, which is told, but for bins that nearly coincide.
// Distances are measured in steps around the pair, so bins need not be even.  Less than three bins are no scan: they
// meet where they are equal.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "source/binned/binned.h"

#define SAME_PLACE_PS 1e-9
#define SAME_GRID 0.2   // of a step: median distance of pairs
#define PAIR 0.5        // of a step: farthest pair of the same bins
#define COINCIDENT 0.05 // of a step: of other ones
#define UNEVEN 0.5      // of the median step: bins that stand nearer are uneven
#define LEAST_OF_A_SCAN 3

typedef struct {
    double place, shots; // ps; laser-on with an I0
    int id, cubes;       // number in the order of joining; how many cubes have it
} place_of;

typedef struct {
    xn_ctx *ctx;
    place_of *whole, *own; // ascending
    double *distance;      // of pairs, in steps
    int *partner;          // of own among the whole; -1: none
    int n, m, ids;
} joining;

static int by_place(const void *a, const void *b)
{
    const place_of *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

// ---- one cube

static double shots_of(const xn_binned_part *p, int64_t b)
{
    const double n = p->count[b], i0 = p->i0[b];
    return isfinite(n) && n > 0.0 && isfinite(i0) && i0 > 0.0 ? n : 0.0;
}

// Places of the part, each once; id: the first of its bins there.
static void list_own(joining *j, const xn_binned_part *p)
{
    for (int b = 0; b < p->bins; b++) j->own[b] = (place_of){p->place_ps[b], shots_of(p, b), b, 0};
    qsort(j->own, (size_t)p->bins, sizeof *j->own, by_place);
    j->m = 0;
    for (int b = 0; b < p->bins; b++) {
        place_of *last = j->m > 0 ? &j->own[j->m - 1] : NULL;
        if (last != NULL && j->own[b].place - last->place <= SAME_PLACE_PS)
            last->shots += j->own[b].shots;
        else
            j->own[j->m++] = j->own[b];
    }
}

// The nearest of n places.
static int nearest(const place_of *p, int n, double place)
{
    int lo = 0, hi = n - 1; // the last one that is not above
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (p[mid].place <= place)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo + 1 < n && p[lo + 1].place - place < fabs(place - p[lo].place) ? lo + 1 : lo;
}

static double step_at(const place_of *p, int n, int i)
{
    const int lo = i > 0 ? i - 1 : 0, hi = i + 1 < n ? i + 1 : n - 1;
    return hi > lo ? (p[hi].place - p[lo].place) / (hi - lo) : NAN;
}

static double median_of(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    return n > 0 ? v[n / 2] : NAN;
}

// Distance of own i from its partner in steps; NaN: it has none. 0: the same place.
static double pair(const joining *j, int i, int *partner)
{
    const double place = j->own[i].place;
    *partner = nearest(j->whole, j->n, place);
    const double away = fabs(j->whole[*partner].place - place);
    if (away <= SAME_PLACE_PS) return 0.0;
    const bool scans = j->n >= LEAST_OF_A_SCAN && j->m >= LEAST_OF_A_SCAN;
    if (!scans || nearest(j->own, j->m, j->whole[*partner].place) != i) return NAN;
    return away / fmin(step_at(j->whole, j->n, *partner), step_at(j->own, j->m, i));
}

static bool within_a_step(const joining *j, int i, int w)
{
    return fabs(j->whole[w].place - j->own[i].place) < fmin(step_at(j->whole, j->n, w), step_at(j->own, j->m, i));
}

// Of the same bins those that shots have moved too far stand alone, as many in both between two pairs: pairs in order.
// own from ... to - 1 and whole first ... last - 1 lie between pairs.
static void pair_the_rest(joining *j, int from, int to, int first, int last)
{
    bool good = to - from == last - first;
    for (int i = from; good && i < to; i++) good = within_a_step(j, i, first + i - from);
    for (int i = from; good && i < to; i++) j->partner[i] = first + i - from;
}

static void find_partners(joining *j)
{
    int pairs = 0;
    for (int i = 0; i < j->m; i++) {
        const double away = pair(j, i, &j->partner[i]);
        if (!isnan(away)) j->distance[pairs++] = away;
    }
    const bool same = pairs > 0 && median_of(j->distance, pairs) < SAME_GRID;
    for (int i = 0; i < j->m; i++)
        if (!(pair(j, i, &j->partner[i]) < (same ? PAIR : COINCIDENT))) j->partner[i] = -1;
    int from = 0, first = 0; // pairs never cross
    for (int i = 0; same && i <= j->m; i++) {
        const int to = i < j->m ? j->partner[i] : j->n;
        if (to < 0) continue;
        pair_the_rest(j, from, i, first, to);
        from = i + 1, first = to + 1;
    }
}

static void join_part(joining *j, xn_binned_part *p)
{
    list_own(j, p);
    if (j->n > 0) find_partners(j);
    int n = j->n;
    for (int i = 0; i < j->m; i++) {
        const place_of own = j->own[i];
        place_of *to = j->n > 0 && j->partner[i] >= 0 ? &j->whole[j->partner[i]] : NULL;
        if (to == NULL) {
            to = &j->whole[n++];
            *to = (place_of){own.place, 0.0, j->ids++, 0};
        }
        to->shots += own.shots; // the mean moves by its share: equal places stay what they are
        if (own.shots > 0.0) to->place += (own.place - to->place) * (own.shots / to->shots);
        to->cubes++;
        j->own[i].id = to->id;
    }
    j->n = n;
    for (int b = 0; b < p->bins; b++) p->bin[b] = j->own[nearest(j->own, j->m, p->place_ps[b])].id;
    qsort(j->whole, (size_t)j->n, sizeof *j->whole, by_place);
}

// ---- what is told

// First and last delay of each cube.
static void find_ranges(const xn_binned *b, double (*range)[2])
{
    for (int i = 0; i < b->n; i++) {
        range[i][0] = INFINITY, range[i][1] = -INFINITY;
        for (int64_t k = 0; !b->part[i].off && k < b->part[i].bins; k++) {
            range[i][0] = fmin(range[i][0], b->part[i].place_ps[k]);
            range[i][1] = fmax(range[i][1], b->part[i].place_ps[k]);
        }
    }
}

static int cubes_at(const xn_binned *b, double (*range)[2], double place)
{
    int n = 0;
    for (int i = 0; i < b->n; i++) n += range[i][0] <= place && place <= range[i][1];
    return n;
}

static xani_status tell(joining *j, const xn_binned *b, int cubes)
{
    int alone = 0, gaps = 0;
    double least = INFINITY, before = NAN, (*range)[2] = xn_alloc((size_t)b->n, sizeof *range);
    if (range == NULL) return xn_fail_memory(j->ctx, "the delays", (size_t)b->n * sizeof *range);
    find_ranges(b, range);
    for (int i = 0; i < j->n; i++) {
        const place_of *p = &j->whole[i];
        if (!(p->shots > 0.0)) continue;
        alone += p->cubes < cubes && cubes_at(b, range, p->place) > p->cubes;
        if (!isnan(before)) j->distance[gaps++] = p->place - before, least = fmin(least, p->place - before);
        before = p->place;
    }
    xn_free(range);
    xn_note(j->ctx, "%d cubes are added to one of %d bins (%s, ...)", cubes, j->n, b->part[0].path);
    if (alone == 0) return XANI_OK;
    if (least < UNEVEN * median_of(j->distance, gaps))
        xn_warn(j->ctx,
                "%d of the %d bins of %d cubes are not in all cubes that go over their delays and stand side by side, "
                "unevenly: the nearest are %.3g fs apart. reduce.delay_bins_ps.edges adds them up in bins of yours",
                alone, j->n, cubes, 1e3 * least);
    else
        xn_note(j->ctx,
                "%d of the %d bins of %d cubes are not in all cubes that go over their delays and stand side by side",
                alone, j->n, cubes);
    return XANI_OK;
}

// ---- all cubes

static void number_bins(const joining *j, int *index, xn_binned *b)
{
    for (int i = 0; i < j->n; i++) {
        index[j->whole[i].id] = i;
        b->place_ps[i] = j->whole[i].place;
    }
    for (int i = 0; i < b->n; i++)
        for (int64_t k = 0; !b->part[i].off && k < b->part[i].bins; k++) b->part[i].bin[k] = index[b->part[i].bin[k]];
    b->nbins = j->n;
}

xani_status xn_binned_join(xn_ctx *ctx, xn_binned *b)
{
    int64_t n = 0;
    int cubes = 0;
    for (int i = 0; i < b->n; i++) {
        n += b->part[i].off ? 0 : b->part[i].bins;
        cubes += !b->part[i].off;
    }
    if (n > INT32_MAX) return xn_fail(ctx, XANI_ERR_INPUT, "%s: too many bins", b->part[0].path);
    const size_t all = (size_t)n + 1;
    joining j = {.ctx = ctx};
    j.whole = xn_alloc(all, sizeof *j.whole);
    j.own = xn_alloc(all, sizeof *j.own);
    j.distance = xn_alloc(all, sizeof *j.distance);
    j.partner = xn_alloc(all, sizeof *j.partner);
    b->place_ps = xn_alloc(all, sizeof *b->place_ps);
    bool ok = j.whole && j.own && j.distance && j.partner && b->place_ps;
    for (int i = 0; ok && i < b->n; i++) {
        xn_binned_part *p = &b->part[i];
        if (!p->off && (p->bin = xn_alloc((size_t)p->bins + 1, sizeof *p->bin)) == NULL) ok = false;
        if (ok && !p->off) join_part(&j, p);
    }
    xani_status st = ok ? XANI_OK : xn_fail_memory(ctx, "the delays", all * sizeof *j.whole);
    if (st == XANI_OK && cubes > 1) st = tell(&j, b, cubes);
    if (st == XANI_OK) number_bins(&j, j.partner, b);
    xn_free(j.whole);
    xn_free(j.own);
    xn_free(j.distance);
    xn_free(j.partner);
    return st;
}
