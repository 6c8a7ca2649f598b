// SPDX-License-Identifier: BSD-3-Clause
// prepare.h -- loaded traces (load.h) made ready: centred, background projected out, scaled to order one.
//
// Centring comes before everything else: with an offset of 1000 amplitudes float sums would lose the signal.  The
// scale is a power of two, so that a trace times a power of two gives the same bits.  In a closed plan a trace with
// a missing sample is only flagged; the caller fits it by an explicit plan, where its row scale is zero there.
#ifndef XN_KERNEL_PREPARE_H
#define XN_KERNEL_PREPARE_H

#include "kernel/explicit.h"
#include "kernel/load.h"
#ifndef XN_DEVICE
#include "kernel/gridded.h"
#endif

#define XN_ROUNDING 2 // of chi^2, which is a difference of sums as large as yy, per degree of freedom

XN_FN void prepare_store(const struct kit *kit, int group, vf yy, vf samples, vf unscale, vf mean, const vf *c)
{
    size_t at = (size_t)group * XN_W;
    v_store(plane_of(kit, PLANE_YY) + at, yy);
    v_store(plane_of(kit, PLANE_SAMPLES) + at, samples);
    v_store(plane_of(kit, PLANE_UNSCALE) + at, unscale);
    v_store(plane_of(kit, PLANE_MEAN) + at, mean);
    XN_COLUMNS (b, kit->plan->n_columns) v_store(plane_of(kit, PLANE_BACKGROUND + b) + at, c[b]);
}

// Rows of a block's groups: y and h of sample i
#define XN_Y(a) (y[a] + (size_t)i * XN_PITCH(kit))
#define XN_H(a) (h[a] + (size_t)i * XN_PITCH(kit))

// What a first look at the samples has told: on a processor, while they were loaded.
XN_FN void closed_range(const struct kit *kit, int group, const real *y, vf *first, vf *mean, vf *unscale)
{
#ifdef XN_DEVICE
    (void)group;
    struct range r = range_open(kit, v_load(y));
    for (int i = 0; i < kit->plan->n; i++) range_add(v_load(y + (size_t)i * XN_PITCH(kit)), &r);
    *first = r.first;
    *mean = range_mean(kit, &r);
    *unscale = range_unscale(&r, *mean);
#else
    (void)y;
    const size_t at = (size_t)group * XN_W;
    *first = v_load(plane_of(kit, PLANE_FIRST) + at);
    *mean = v_load(plane_of(kit, PLANE_MEAN) + at);
    *unscale = v_load(plane_of(kit, PLANE_UNSCALE) + at);
#endif
}

// Closed plan, groups `group` and the next. Sums that are not finite betray missing samples; PLANE_YY shows them.
XN_FN void prepare_closed(const int n_columns, const struct kit *kit, int group)
{
    const int n = kit->plan->n;
    const real *column = kit->table->column;
    const vf zero = v_set(R(0));
    real *y[XN_GROUPS];
    vf first[XN_GROUPS], mean[XN_GROUPS], unscale[XN_GROUPS], scale[XN_GROUPS], shift[XN_GROUPS], yy[XN_GROUPS];
    vf c[XN_GROUPS][XN_B];
    for (int a = 0; a < XN_GROUPS; a++) y[a] = kit->y + group_at(kit, group + a);
    for (int a = 0; a < XN_GROUPS; a++) {
        closed_range(kit, group + a, y[a], &first[a], &mean[a], &unscale[a]);
        scale[a] = R(1) / unscale[a];
        shift[a] = -(mean[a] * scale[a]);
        yy[a] = zero;
        for (int b = 0; b < XN_B; b++) c[a][b] = zero;
    }
    for (int i = 0; i < n; i++)
        for (int a = 0; a < XN_GROUPS; a++) {
            vf r = v_fma(v_load(XN_Y(a)) - first[a], scale[a], shift[a]);
            v_store(XN_Y(a), r);
            yy[a] = v_fma(r, r, yy[a]);
            for (int b = 0; n_columns > 1 && b < n_columns; b++)
                c[a][b] = v_fma(v_set(column[(size_t)b * (size_t)n + (size_t)i]), r, c[a][b]);
        }
    for (int a = 0; n_columns > 1 && a < XN_GROUPS; a++) yy[a] = zero;
    for (int i = 0; n_columns > 1 && i < n; i++)
        for (int a = 0; a < XN_GROUPS; a++) {
            vf r = v_load(XN_Y(a));
            for (int b = 0; b < n_columns; b++)
                r = v_fnma(v_set(column[(size_t)b * (size_t)n + (size_t)i]), c[a][b], r);
            v_store(XN_Y(a), r);
            yy[a] = v_fma(r, r, yy[a]);
        }
    for (int a = 0; a < XN_GROUPS; a++) {
        for (int b = 0; b < n_columns; b++) c[a][b] = c[a][b] * unscale[a];
        prepare_store(kit, group + a, yy[a], v_set(R(n)), unscale[a], first[a] + mean[a], c[a]);
    }
}

// Cholesky factor of the columns' Gram matrix, also kept in the planes.
XN_FN void columns_root(const struct kit *kit, int group, vf gram[XN_B][XN_B], vf root[XN_B][XN_B])
{
    XN_COLUMNS (j, kit->plan->n_columns)
        for (int k = 0; k <= j; k++) {
            vf t = gram[j][k];
            for (int q = 0; q < k; q++) t = v_fnma(root[j][q], root[k][q], t);
            root[j][k] = j == k ? v_sqrt(v_max(t, gram[j][j] * XN_PIVOT + XN_TINY)) : t / root[k][k];
            v_store(plane_of(kit, PLANE_ROOT + j * (j + 1) / 2 + k) + (size_t)group * XN_W, root[j][k]);
        }
}

// Explicit plan: rows of missing samples get scale 0; the columns are made orthonormal for each trace.
XN_PART void prepare_explicit(const struct kit *kit, int group)
{
    const int n = kit->plan->n, n_columns = kit->plan->n_columns;
    real *y[1] = {kit->y + group_at(kit, group)}, *h[1] = {kit->h + group_at(kit, group)};
    const real *column = kit->table->column;
    const vf zero = v_set(R(0)), one = v_set(R(1)), largest = v_set(R(3e38));
    vf mean = zero, weight = zero, samples = zero, big = zero, yy = zero, c[XN_B], gram[XN_B][XN_B], root[XN_B][XN_B];
    memset(c, 0, sizeof c);
    memset(gram, 0, sizeof gram);
    for (int i = 0; i < n; i++) {
        vf x = v_load(XN_Y(0)), s = v_sel(v_le(v_abs(x), largest), v_set(kit->table->scale[i]), zero);
        if (kit->tile->weight != NULL) {
            vf w = v_load(XN_H(0));
            s = s * v_sqrt(v_sel(v_and(v_lt(zero, w), v_le(w, largest)), w, zero));
        }
        vm here = v_lt(zero, s);
        x = v_sel(here, x, zero);
        v_store(XN_Y(0), x);
        v_store(XN_H(0), s);
        samples = samples + v_sel(here, one, zero);
        weight = v_fma(s, s, weight);
        mean = v_fma(s * s, x, mean);
    }
    mean = n_columns > 0 ? mean / v_sel(v_lt(zero, weight), weight, one) : zero;
    for (int i = 0; i < n; i++) {
        vf s = v_load(XN_H(0)), r = s * (v_load(XN_Y(0)) - mean);
        v_store(XN_Y(0), r);
        big = v_max(v_abs(r), big);
        XN_COLUMNS (b, n_columns) {
            vf u = s * column[(size_t)b * (size_t)n + (size_t)i];
            c[b] = v_fma(u, r, c[b]);
            for (int d = 0; d <= b; d++)
                gram[b][d] = v_fma(u, s * column[(size_t)d * (size_t)n + (size_t)i], gram[b][d]);
        }
    }
    columns_root(kit, group, gram, root);
    columns_forward(n_columns, root, c, 1);
    columns_backward(n_columns, root, c);
    vf unscale = power_of_two(big), scale = one / unscale;
    for (int i = 0; i < n; i++) {
        vf r = v_load(XN_Y(0)), s = v_load(XN_H(0));
        XN_COLUMNS (b, n_columns) r = v_fnma(s * column[(size_t)b * (size_t)n + (size_t)i], c[b], r);
        r = r * scale;
        v_store(XN_Y(0), r);
        yy = v_fma(r, r, yy);
    }
    prepare_store(kit, group, yy, samples, unscale, mean, c);
}

#ifndef XN_DEVICE
// Gridded plan: as a closed one, with row scales that all traces share (0: an empty bin, whatever it holds).
XN_PART void prepare_gridded(const struct kit *kit, int group)
{
    const int n = kit->plan->n, n_columns = kit->plan->n_columns;
    const real *column = kit->table->column, *scale = kit->table->scale;
    const vf zero = v_set(R(0));
    real *y[XN_GROUPS], weight = R(0), samples = R(0);
    vf mean[XN_GROUPS], big[XN_GROUPS], yy[XN_GROUPS], by[XN_GROUPS], c[XN_GROUPS][XN_B];
    for (int a = 0; a < XN_GROUPS; a++) {
        y[a] = kit->y + group_at(kit, group + a);
        mean[a] = big[a] = yy[a] = zero;
        for (int j = 0; j < XN_B; j++) c[a][j] = zero;
    }
    for (int i = 0; i < n; i++) {
        if (!(scale[i] > R(0))) continue;
        samples += R(1);
        weight += scale[i] * scale[i];
        for (int a = 0; a < XN_GROUPS; a++) mean[a] = v_fma(v_set(scale[i] * scale[i]), v_load(XN_Y(a)), mean[a]);
    }
    for (int a = 0; a < XN_GROUPS; a++) mean[a] = n_columns > 0 ? mean[a] * (R(1) / weight) : zero;
    for (int i = 0; i < n; i++)
        for (int a = 0; a < XN_GROUPS; a++) {
            vf r = scale[i] > R(0) ? scale[i] * (v_load(XN_Y(a)) - mean[a]) : zero;
            v_store(XN_Y(a), r);
            big[a] = v_max(v_abs(r), big[a]);
            for (int j = 0; j < n_columns; j++)
                c[a][j] = v_fma(v_set(column[(size_t)j * (size_t)n + (size_t)i]), r, c[a][j]);
        }
    for (int a = 0; a < XN_GROUPS; a++) by[a] = R(1) / power_of_two(big[a]);
    for (int i = 0; i < n; i++)
        for (int a = 0; a < XN_GROUPS; a++) {
            vf r = v_load(XN_Y(a));
            for (int j = 0; j < n_columns; j++)
                r = v_fnma(v_set(column[(size_t)j * (size_t)n + (size_t)i]), c[a][j], r);
            r = r * by[a];
            v_store(XN_Y(a), r);
            yy[a] = v_fma(r, r, yy[a]);
        }
    for (int a = 0; a < XN_GROUPS; a++)
        prepare_store(kit, group + a, yy[a], v_set(samples), power_of_two(big[a]), mean[a], c[a]);
}
#endif

// Centres and scales XN_GROUPS groups.
XN_PART void prepare_groups(const struct kit *kit, int group)
{
#ifndef XN_DEVICE
    if (kit->plan->gridded) {
        prepare_gridded(kit, group);
        grid_spread(XN_GROUPS, &kit->table->grid.fine, kit->y + group_at(kit, group), group_size(kit),
                    kit->s + (size_t)group * grid_size(kit), grid_size(kit));
        return;
    }
#endif
    if (!kit->plan->closed) {
        for (int a = 0; a < XN_GROUPS; a++) prepare_explicit(kit, group + a);
        return;
    }
    XN_CONSTANT_COLUMNS(kit->plan->n_columns, prepare_closed(B, kit, group))
}

// After a group was prepared: sizes and flags of its first `count` traces. Which lanes can be fitted. `sigma`: of a
// sample, or negative: from the residual, variance times -sigma.
XN_FN unsigned prepare_judge(const struct kit *kit, int group, int count, vf sigma)
{
    const xn_fit_plan *plan = kit->plan;
    const xn_fit_tile *tile = kit->tile;
    const size_t at = (size_t)group * XN_W;
    const vf zero = v_set(R(0)), yy = v_load(plane_of(kit, PLANE_YY) + at);
    const vf scale = R(1) / v_load(plane_of(kit, PLANE_UNSCALE) + at);
    const vf samples = v_load(plane_of(kit, PLANE_SAMPLES) + at), mean = v_load(plane_of(kit, PLANE_MEAN) + at) * scale;
    vf known = sigma * scale, size = v_fma(samples * mean, mean, yy); // sum of squares of the samples as given
    vm fine = v_and(v_lt(zero, known), v_lt(known, v_set(R(1e15))));
    v_store(plane_of(kit, PLANE_SIGMA2) + at,
            v_sel(fine, known * known, v_sel(v_lt(sigma, zero), sigma, v_set(R(-1)))));
    XN_COLUMNS (b, plan->n_columns) {
        vf c = v_load(plane_of(kit, PLANE_BACKGROUND + b) + at) * scale;
        size = v_fma(c, c, size);
    }
    vf grain = R(XN_GRAIN * XN_GRAIN) * size; // yy of a constant
    vf least = v_max(grain / v_max(samples, v_set(R(1))), XN_EPSILON * R(XN_ROUNDING) * yy);
    v_store(plane_of(kit, PLANE_FLOOR2) + at, v_max(least, v_set(XN_TINY)));
    v_store(plane_of(kit, PLANE_CHI2) + at, yy);
    v_store(plane_of(kit, PLANE_NEXT) + at, v_set(R(NAN)));
    const unsigned whole = v_bits_of(v_and(v_ge(yy, zero), v_lt(yy, v_set(R(1e37)))));
    const unsigned many = v_bits_of(v_ge(samples, v_set(R(plan->n_columns + 8))));
    const unsigned moving = v_bits_of(v_lt(grain, yy));
    for (int i = 0; i < count; i++) {
        tile->n_modes[(int)at + i] = 0;
        tile->flags[(int)at + i] = !(whole >> i & 1) ? XN_FLAG_MISSING : !(many >> i & 1) ? XN_FLAG_FEW : 0;
    }
    return whole & many & moving;
}

XN_FN bool prepare_trace(const struct kit *kit, int i, double sigma)
{
    return prepare_judge(kit, i, 1, v_set(R(sigma))) & 1u;
}

#ifndef XN_DEVICE
// Prepares groups `first` up to XN_GROUPS more; n_modes and flags say what became of each trace, and the traces that
// can be fitted are appended to the list. Returns its new length.
static int prepare_block(const struct kit *kit, int first, int *list, int count)
{
    const xn_fit_tile *tile = kit->tile;
    prepare_groups(kit, first);
    for (int g = first; g < first + XN_GROUPS; g++) {
        const int begin = g * XN_W, lanes = tile->count - begin < XN_W ? tile->count - begin : XN_W;
        real sigma[XN_W];
        for (int i = 0; i < XN_W; i++) {
            const double known = i < lanes ? xn_fit_sigma(tile, begin + i) : 0.0;
            sigma[i] = R(known > 0.0 ? known : i < lanes && tile->inflate != NULL ? -tile->inflate[begin + i] : -1.0);
        }
        const unsigned fit = prepare_judge(kit, g, lanes, v_load(sigma));
        for (int i = 0; i < lanes; i++)
            if (fit >> i & 1) list[count++] = begin + i;
    }
    return count;
}

// Prepares a tile that was loaded.
static int prepare_list(const struct kit *kit, int *list)
{
    int count = 0;
    for (int g = 0; g < groups_of(kit->tile); g += XN_GROUPS) count = prepare_block(kit, g, list, count);
    return count;
}

static int prepare_tile(const struct kit *kit, int *list)
{
    load_tile(kit);
    return prepare_list(kit, list);
}
#endif

#endif
