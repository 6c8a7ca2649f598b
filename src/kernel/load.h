// SPDX-License-Identifier: BSD-3-Clause
// load.h -- samples of a tile into lane order, and a first look at them on the way.
//
// Samples come delay by delay, (n, traces); lanes want them group by group, (group, n, W).
#ifndef XN_KERNEL_LOAD_H
#define XN_KERNEL_LOAD_H

#include "kernel/fit_kit.h"

#define XN_ROWS 8              // rows read side by side: as many streams
#define XN_AHEAD 32            // rows fetched ahead: each lies in another page
#define XN_CHUNK (1024 / XN_W) // groups loaded together: up to 4 KiB of each row, so that rows are read as streams

XN_FN real *plane_of(const struct kit *kit, int slot) { return kit->plane + (size_t)slot * (size_t)kit->room; }
XN_FN size_t group_size(const struct kit *kit) { return (size_t)kit->plan->n * XN_W; }
// Where the samples of a group begin
XN_FN size_t group_at(const struct kit *kit, int group)
{
#ifdef XN_DEVICE
    return (size_t)(group - kit->base);
#else
    return (size_t)group * group_size(kit);
#endif
}

// A power of two near x; 1 for zero and for what is not finite.
XN_FN vf power_of_two(vf x)
{
    const integer exponent = (((integer)1 << (XN_REAL_BITS - 1 - XN_MANTISSA)) - 1) << XN_MANTISSA;
    vf p = v_as_real(v_as_int(x) & exponent);
    vm fine = v_and(v_lt(v_set(R(0)), p), v_lt(p, v_set(R(1e37))));
    return v_sel(fine, p, v_set(R(1)));
}

// Closed plan, first look at the samples: sums are taken less the first one, so that they round in units of the signal
// and not of its offset.
struct range {
    vf first, sum, low, high;
};

XN_FN struct range range_open(const struct kit *kit, vf y)
{
    const vf zero = v_set(R(0));
    return (struct range){kit->plan->n_columns > 0 ? y : zero, zero, zero, zero};
}

XN_FN void range_add(vf y, struct range *r)
{
    const vf x = y - r->first;
    r->sum = r->sum + x;
    r->low = v_min(x, r->low);
    r->high = v_max(x, r->high);
}

// mean: of what is left without the first sample; NaN of a missing sample stays
XN_FN vf range_mean(const struct kit *kit, const struct range *r)
{
    return r->sum * R(kit->plan->n_columns > 0 ? 1.0 / kit->plan->n : 0.0);
}

// What makes the rest of order one
XN_FN vf range_unscale(const struct range *r, vf mean) { return power_of_two(v_max(r->high - mean, mean - r->low)); }

#ifndef XN_DEVICE

// Where the lanes of a group stand in a row; traces past the end of the tile repeat the last one.
struct lanes {
    int64_t pixel[XN_W];
    bool direct; // neighbours
};

static void lanes_of(const struct kit *kit, int group, struct lanes *l)
{
    const xn_fit_tile *tile = kit->tile;
    l->direct = true;
    for (int i = 0; i < XN_W; i++) {
        const int trace = group * XN_W + i;
        l->pixel[i] = tile->pixel[trace < tile->count ? trace : tile->count - 1];
        l->direct &= l->pixel[i] == l->pixel[0] + i;
    }
}

XN_FN const float *row_of(const xn_fit_tile *tile, int n) { return tile->y + (int64_t)tile->row[n] * tile->row_stride; }

XN_FN vf load_lanes(const float *row, const struct lanes *l)
{
    if (l->direct) return v_load_float(row + l->pixel[0]);
    float x[XN_W];
    for (int i = 0; i < XN_W; i++) x[i] = row[l->pixel[i]];
    return v_load_float(x);
}

// Rows [i, i + rows) of groups [g0, g1) into lane order, and what they tell of the traces.
XN_FN void load_rows(const struct kit *kit, const int rows, int i, int g0, int g1, const struct lanes *lanes,
                     struct range *range)
{
    const int n = kit->plan->n, line = XN_W < 16 ? 16 / XN_W : 1; // groups in one line of the cache
    const float *row[XN_ROWS], *ahead[XN_ROWS];
    for (int j = 0; j < rows; j++) {
        row[j] = row_of(kit->tile, i + j);
        ahead[j] = row_of(kit->tile, i + XN_AHEAD + j < n ? i + XN_AHEAD + j : n - 1);
    }
    real *to = kit->y + (size_t)g0 * group_size(kit) + (size_t)i * XN_W;
    for (int g = g0; g < g1; g++, to += group_size(kit), lanes++) {
        for (int j = 0; g % line == 0 && j < rows; j++) __builtin_prefetch(ahead[j] + lanes->pixel[0]);
        vf y[XN_ROWS];
        if (lanes->direct)
            for (int j = 0; j < rows; j++) y[j] = v_load_float(row[j] + lanes->pixel[0]);
        else
            for (int j = 0; j < rows; j++) y[j] = load_lanes(row[j], lanes);
        for (int j = 0; j < rows; j++) v_store(to + j * XN_W, y[j]);
        if (range == NULL) continue;
        struct range r = *range;
        for (int j = 0; j < rows; j++) range_add(y[j], &r);
        *range++ = r;
    }
}

// Copies the raw samples of groups [g0, g1) into lane order.  Some rows by some rows: a block alone would touch one
// line in each of as many pages as there are delays, and rows a power of two apart would throw each other out of the
// cache.
static void load_groups(const struct kit *kit, int g0, int g1)
{
    struct lanes lanes[XN_CHUNK];
    struct range range[XN_CHUNK];
    const bool look = kit->plan->closed && !kit->plan->gridded;
    for (int g = g0; g < g1; g++) {
        lanes_of(kit, g, &lanes[g - g0]);
        if (look) range[g - g0] = range_open(kit, load_lanes(row_of(kit->tile, 0), &lanes[g - g0]));
    }
    int i = 0;
    for (; i + XN_ROWS <= kit->plan->n; i += XN_ROWS) load_rows(kit, XN_ROWS, i, g0, g1, lanes, look ? range : NULL);
    if (i < kit->plan->n) load_rows(kit, kit->plan->n - i, i, g0, g1, lanes, look ? range : NULL);
    for (int g = g0; g < g1 && look; g++) {
        const size_t at = (size_t)g * XN_W;
        const vf mean = range_mean(kit, &range[g - g0]);
        v_store(plane_of(kit, PLANE_FIRST) + at, range[g - g0].first);
        v_store(plane_of(kit, PLANE_MEAN) + at, mean);
        v_store(plane_of(kit, PLANE_UNSCALE) + at, range_unscale(&range[g - g0], mean));
    }
}

// The traces' own weights, in the place of their row scales until those are known.
static void load_weights(const struct kit *kit, int g)
{
    const xn_fit_tile *tile = kit->tile;
    for (int n = 0; n < kit->plan->n; n++)
        for (int i = 0; i < XN_W; i++) {
            const int trace = g * XN_W + i < tile->count ? g * XN_W + i : tile->count - 1;
            kit->h[(size_t)g * group_size(kit) + (size_t)n * XN_W + (size_t)i] =
                R(tile->weight[(int64_t)tile->row[n] * tile->weight_stride + trace]);
        }
}

XN_FN int groups_of(const xn_fit_tile *tile) { return (tile->count + XN_BLOCK - 1) / XN_BLOCK * XN_GROUPS; }

// Copies the tile's samples, and weights, into lane order.
static void load_tile(const struct kit *kit)
{
    const int groups = groups_of(kit->tile);
    for (int g = 0; g < groups; g += XN_CHUNK) load_groups(kit, g, g + XN_CHUNK < groups ? g + XN_CHUNK : groups);
    for (int g = 0; g < groups && kit->tile->weight != NULL; g++) load_weights(kit, g);
}
#endif

#endif
