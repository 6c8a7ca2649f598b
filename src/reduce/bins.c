// SPDX-License-Identifier: BSD-3-Clause
// bins.c -- delay bins from the configuration: uniform, given edges, or equal counts.
//
// Bins are half-open, [edge, next edge); a shot outside is dropped, never piled into the first or last bin.  A delay
// that a step scan puts on an edge is there to rounding only: delays count as on an edge from half an attosecond below.
// Uniform bins: the number of steps is rounded when it is whole within 1e-6, so that (4.16 - 0) / 0.04 is 104 and
// not 103; a remainder is cut off and said.  The bin of a delay is floor((d - start) / step), not a search among
// rounded edges.  Equal counts: edges half-way between neighbours in the sorted delays; delays that repeat cannot
// be split, so fewer bins may result.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/internal.h"

#define MAX_BINS 100000
#define ON_EDGE (0.5 / XN_DELAY_SCALE) // ps; half a unit of the sums of delays

void xn_bins_free(xn_bins *bins)
{
    xn_free(bins->edges_ps);
    memset(bins, 0, sizeof *bins);
}

static xani_status alloc_edges(xn_ctx *ctx, int n, xn_bins *bins)
{
    bins->n = n;
    bins->edges_ps = xn_alloc((size_t)n + 1, sizeof(double));
    return bins->edges_ps ? XANI_OK : xn_fail_memory(ctx, "the delay bins", ((size_t)n + 1) * sizeof(double));
}

static xani_status make_uniform(xn_ctx *ctx, const xn_config *config, xn_bins *bins)
{
    static const char *const keys[] = {"reduce.delay_bins_ps.start", "reduce.delay_bins_ps.stop",
                                       "reduce.delay_bins_ps.step"};
    double value[3];
    for (int i = 0; i < 3; i++) {
        XN_TRY(xn_config_require(ctx, config, keys[i], "uniform delay bins need start, stop and step"));
        value[i] = xn_config_double(config, keys[i]);
    }
    double start = value[0], stop = value[1], step = value[2];
    double steps = (stop - start) / step, whole = rint(steps);
    if (!(stop > start)) return xn_config_bad(ctx, config, keys[1], "must be above start (%g)", start);
    if (fabs(steps - whole) > 1e-6 * fmax(1.0, whole)) {
        whole = floor(steps);
        if (whole >= 1)
            xn_warn(ctx, "reduce.delay_bins_ps: %g..%g is not a whole number of steps of %g; the last bin ends at %g",
                    start, stop, step, start + whole * step);
    }
    if (whole < 1) return xn_config_bad(ctx, config, keys[2], "is larger than the range %g..%g", start, stop);
    if (whole > MAX_BINS) return xn_config_bad(ctx, config, keys[2], "gives more than %d bins", MAX_BINS);
    XN_TRY(alloc_edges(ctx, (int)whole, bins));
    bins->start_ps = start;
    bins->step_ps = step;
    for (int i = 0; i <= bins->n; i++) bins->edges_ps[i] = start + i * step;
    return XANI_OK;
}

static xani_status make_edges(xn_ctx *ctx, const xn_config *config, xn_bins *bins)
{
    const char *key = "reduce.delay_bins_ps.edges";
    int n = xn_config_count(config, key);
    if (n < 2) return xn_config_bad(ctx, config, key, "needs at least two edges");
    if (n > MAX_BINS + 1) return xn_config_bad(ctx, config, key, "gives more than %d bins", MAX_BINS);
    XN_TRY(alloc_edges(ctx, n - 1, bins));
    (void)xn_config_doubles(config, key, bins->edges_ps, n);
    for (int i = 0; i < n - 1; i++)
        if (!(bins->edges_ps[i] < bins->edges_ps[i + 1])) return xn_config_bad(ctx, config, key, "must increase");
    return XANI_OK;
}

static xani_status make_equal(xn_ctx *ctx, const xn_config *config, const double *delays, int64_t n, xn_bins *bins)
{
    int64_t asked = xn_config_int(config, "reduce.delay_bins_ps.equal_count");
    if (n < asked)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "reduce.delay_bins_ps.equal_count asks for %lld bins, but only %lld laser-on shots are left",
                       (long long)asked, (long long)n);
    double *sorted = xn_alloc((size_t)n, sizeof *sorted);
    if (sorted == NULL) return xn_fail_memory(ctx, "sorting the delays", (size_t)n * sizeof *sorted);
    memcpy(sorted, delays, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, xn_double_compare);
    xani_status st = alloc_edges(ctx, (int)asked, bins);
    int made = 0;
    for (int64_t i = 1, from = 0; st == XANI_OK && i <= asked; i++) {
        int64_t at = i * n / asked; // shots from .. at - 1 form the bin
        while (at > from && at < n && sorted[at] == sorted[at - 1]) at++;
        if (at <= from) continue;
        bins->edges_ps[made] = from == 0 ? sorted[0] : 0.5 * (sorted[from - 1] + sorted[from]);
        made++;
        from = at;
    }
    if (st == XANI_OK) {
        bins->n = made;
        bins->edges_ps[made] = sorted[n - 1] + 4 * ON_EDGE;
        if (made < asked)
            xn_warn(ctx, "reduce.delay_bins_ps.equal_count: delays repeat; %d bins instead of %lld", made,
                    (long long)asked);
    }
    xn_free(sorted);
    return st;
}

xani_status xn_bins_make(xn_ctx *ctx, const xn_config *config, const double *delays_ps, int64_t n, xn_bins *bins)
{
    memset(bins, 0, sizeof *bins);
    XN_TRY(xn_config_require(ctx, config, "reduce.delay_bins_ps",
                             "give {start, stop, step}, {edges: [...]} or {equal_count: n} in ps"));
    xani_status st;
    if (xn_config_has(config, "reduce.delay_bins_ps.edges"))
        st = make_edges(ctx, config, bins);
    else if (xn_config_has(config, "reduce.delay_bins_ps.equal_count"))
        st = make_equal(ctx, config, delays_ps, n, bins);
    else
        st = make_uniform(ctx, config, bins);
    if (st != XANI_OK) xn_bins_free(bins);
    return st;
}

int xn_bins_find(const xn_bins *bins, double delay)
{
    delay += ON_EDGE;
    if (bins->step_ps > 0) {
        double at = floor((delay - bins->start_ps) / bins->step_ps);
        return at >= 0 && at < bins->n ? (int)at : -1;
    }
    if (!(delay >= bins->edges_ps[0]) || !(delay < bins->edges_ps[bins->n])) return -1;
    int low = 0, high = bins->n; // edges[low] <= delay < edges[high]
    while (high - low > 1) {
        int mid = low + (high - low) / 2;
        if (bins->edges_ps[mid] <= delay)
            low = mid;
        else
            high = mid;
    }
    return low;
}
