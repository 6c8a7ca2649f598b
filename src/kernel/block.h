// SPDX-License-Identifier: BSD-3-Clause
// block.h -- blocks of traces from a work list, and their state between passes.
//
// Where the traces of a group are neighbours its lane data are used in place; else the lanes are copied side by side
// (packing), so that a block never drags along traces that are done.  State goes to planes and back bit for bit: a
// trace that is packed and goes on is not told apart from one that was never interrupted.
#ifndef XN_KERNEL_BLOCK_H
#define XN_KERNEL_BLOCK_H

#include "kernel/lm.h"

// Passes are counted for each trace where blocks are packed at any time; a device makes as many with each launch.
#ifdef XN_DEVICE
#define XN_COUNTED(what) ((void)0)
#else
#define XN_COUNTED(what) (what)
#endif

XN_FN vf plane_load(const struct block *b, int a, int slot)
{
    const real *p = plane_of(b->kit, slot);
    const int *trace = b->trace + a * XN_W;
    if (b->direct[a]) return v_load(p + trace[0]);
    real x[XN_W];
    for (int i = 0; i < XN_W; i++) x[i] = p[trace[i]];
    return v_load(x);
}

// Repeated lanes hold the same bits as the lane they repeat, so that storing them twice does no harm.
XN_FN void plane_store(const struct block *b, int a, int slot, vf value)
{
    real *p = plane_of(b->kit, slot), x[XN_W];
    const int *trace = b->trace + a * XN_W;
    if (b->direct[a]) {
        v_store(p + trace[0], value);
        return;
    }
    v_store(x, value);
    for (int i = 0; i < XN_W; i++) p[trace[i]] = x[i];
}

// Where a group's samples stand in kit->rest: a processor has room for one block, a device for the tile
XN_FN size_t rest_at(const struct block *b, int a)
{
#ifdef XN_DEVICE
    return group_at(b->kit, b->trace[a]);
#else
    return (size_t)a * group_size(b->kit);
#endif
}

// Returns out.
XN_PART const real *pack_lanes(const real *data, size_t size, const int *trace, real *out)
{
#ifdef XN_PERMUTES // the traces of one group at once
    integer lane[XN_W];
    real place[XN_W];
    const real *source[XN_W];
    vm here[XN_W];
    int sources = 0;
    for (int i = 0; i < XN_W; i++) {
        lane[i] = (integer)(trace[i] % XN_W);
        place[i] = R(i);
    }
    vi from;
    memcpy(&from, lane, sizeof from);
    for (int i = 0; i < XN_W; i++) {
        if (i > 0 && trace[i] / XN_W == trace[i - 1] / XN_W) continue;
        source[sources] = data + (size_t)(trace[i] / XN_W) * size;
        here[sources++] = v_ge(v_load(place), v_set(R(i))); // the lanes behind are still to come
    }
    for (size_t s = 0; s < size; s += XN_W) {
        vf x = v_permute(from, v_load(source[0] + s));
        for (int i = 1; i < sources; i++) x = v_sel(here[i], v_permute(from, v_load(source[i] + s)), x);
        v_store(out + s, x);
    }
#else
    for (int i = 0; i < XN_W; i++) {
        const real *p = data + (size_t)(trace[i] / XN_W) * size + trace[i] % XN_W;
        for (size_t s = 0; s < size; s += XN_W) out[s + (size_t)i] = p[s];
    }
#endif
    return out;
}

// The block of list[0..count), without its samples; count is at most XN_BLOCK and at least 1.
XN_PART void block_choose(const struct kit *kit, const int *list, int count, struct block *b)
{
    b->kit = kit;
    b->count = count;
    for (int i = 0; i < XN_BLOCK; i++) b->trace[i] = list[i < count ? i : count - 1];
    for (int a = 0; a < XN_GROUPS; a++) {
        const int *trace = b->trace + a * XN_W;
        bool direct = trace[0] % XN_W == 0;
        for (int i = 1; i < XN_W; i++) direct &= trace[i] == trace[0] + i;
        b->direct[a] = direct;
        b->yy[a] = plane_load(b, a, PLANE_YY);
        b->sigma2[a] = plane_load(b, a, PLANE_SIGMA2);
        b->floor2[a] = plane_load(b, a, PLANE_FLOOR2);
        b->samples[a] = plane_load(b, a, PLANE_SAMPLES);
        XN_COLUMNS (i, kit->plan->closed ? 0 : kit->plan->n_columns)
            for (int j = 0; j <= i; j++) b->root[a][i][j] = plane_load(b, a, PLANE_ROOT + i * (i + 1) / 2 + j);
    }
}

// Its samples.
XN_PART void block_data(struct block *b)
{
    const struct kit *kit = b->kit;
    for (int a = 0; a < XN_GROUPS; a++) {
        const int *trace = b->trace + a * XN_W;
        const bool direct = b->direct[a];
        b->y[a] = b->h[a] = b->s[a] = NULL;
        if (direct) {
            size_t at = group_at(kit, trace[0] / XN_W);
            b->y[a] = kit->y + at;
            if (!kit->plan->closed) b->h[a] = kit->h + at;
        } else { // devices, whose blocks are one trace, have no room to pack into
            real *y = kit->pack + (size_t)a * group_size(kit), *h = y + XN_GROUPS * group_size(kit);
            b->y[a] = pack_lanes(kit->y, group_size(kit), trace, y);
            if (!kit->plan->closed) b->h[a] = pack_lanes(kit->h, group_size(kit), trace, h);
        }
#ifndef XN_DEVICE
        if (kit->plan->gridded) {
            real *s = kit->pack + XN_GROUPS * group_size(kit) + (size_t)a * grid_size(kit);
            b->s[a] = direct ? kit->s + (size_t)(trace[0] / XN_W) * grid_size(kit)
                             : pack_lanes(kit->s, grid_size(kit), trace, s);
        }
#endif
    }
}

XN_PART void block_open(const struct kit *kit, const int *list, int count, struct block *b)
{
    block_choose(kit, list, count, b);
    block_data(b);
}

XN_FN unsigned block_lanes(const struct block *b, int a)
{
    int left = b->count - a * XN_W;
    return left >= XN_W ? (unsigned)((1ull << XN_W) - 1) : left > 0 ? (1u << left) - 1 : 0;
}

// A fit of K modes from the parameters in PLANE_PARAMETER.
XN_PART void lm_begin(const struct block *b, const int K, struct lm s[XN_GROUPS])
{
    for (int a = 0; a < XN_GROUPS; a++) {
        for (int j = 0; j < 2 * K; j++) s[a].trial[j] = s[a].parameter[j] = plane_load(b, a, PLANE_PARAMETER + j);
        s[a].lambda = v_set(XN_LAMBDA_FIRST);
        s[a].decrease = v_set(R(0));
        XN_COUNTED(s[a].passes = v_set(R(0)));
        s[a].now.chi2 = v_set(XN_UNKNOWN);
        for (int j = 0; j < 2 * K; j++) { // of a trace whose chi^2 is no number this is never replaced
            s[a].now.beta[j] = s[a].now.gradient[j] = v_set(R(0));
            for (int i = 0; i <= j; i++) s[a].now.schur[j][i] = v_set(R(0));
        }
        s[a].stuck = v_not(v_all());
        s[a].active = v_all(); // repeated lanes do the same work and store the same bits
    }
}

XN_FN int schur_slot(int j, int i) { return PLANE_SCHUR + j * (j + 1) / 2 + i; }

XN_PART void lm_resume(const struct block *b, const int K, struct lm s[XN_GROUPS])
{
    lm_begin(b, K, s);
    for (int a = 0; a < XN_GROUPS; a++) {
        s[a].lambda = plane_load(b, a, PLANE_LAMBDA);
        s[a].decrease = plane_load(b, a, PLANE_DECREASE);
        XN_COUNTED(s[a].passes = plane_load(b, a, PLANE_PASSES));
        s[a].now.chi2 = plane_load(b, a, PLANE_CHI2);
        for (int j = 0; j < 2 * K; j++) {
            s[a].trial[j] = plane_load(b, a, PLANE_TRIAL + j);
            s[a].now.beta[j] = plane_load(b, a, PLANE_BETA + j);
            s[a].now.gradient[j] = plane_load(b, a, PLANE_GRADIENT + j);
            for (int i = 0; i <= j; i++) s[a].now.schur[j][i] = plane_load(b, a, schur_slot(j, i));
        }
    }
}

#ifndef XN_DEVICE
// Passes until no more than `few` of the block's traces go on; one that has made as many as a trace may is stuck.
static void lm_run(const int K, struct block *b, struct lm s[XN_GROUPS], int few, real tolerance)
{
    const vf most = v_set(R(b->kit->plan->passes_max));
    int left;
    do {
        lm_pass(K, b, s, tolerance);
        left = 0;
        for (int a = 0; a < XN_GROUPS; a++) {
            s[a].passes = s[a].passes + v_set(R(1));
            const vm over = v_and(s[a].active, v_ge(s[a].passes, most));
            s[a].stuck = v_or(s[a].stuck, over);
            s[a].active = v_and(s[a].active, v_not(over));
            left += __builtin_popcount(v_bits_of(s[a].active) & block_lanes(b, a));
        }
    } while (left > few);
}
#endif

// Stores the state and appends the lanes that are not done to `rest`; returns its new length.
XN_PART int lm_suspend(const struct block *b, const int K, const struct lm s[XN_GROUPS], int *rest, int n_rest)
{
    const bool whole = lm_active(s);
    for (int a = 0; a < XN_GROUPS; a++) {
        plane_store(b, a, PLANE_CHI2, s[a].now.chi2);
        for (int j = 0; j < 2 * K; j++) {
            plane_store(b, a, PLANE_PARAMETER + j, s[a].parameter[j]);
            plane_store(b, a, PLANE_BETA + j, s[a].now.beta[j]);
        }
        const unsigned active = v_bits_of(s[a].active) & block_lanes(b, a);
        const unsigned stuck = v_bits_of(s[a].stuck) & block_lanes(b, a);
        for (int i = 0; i < XN_W && (active | stuck) >> i; i++) {
            if (active >> i & 1) rest[n_rest++] = b->trace[a * XN_W + i];
            if (stuck >> i & 1) b->kit->tile->flags[b->trace[a * XN_W + i]] |= XN_FLAG_STUCK;
        }
        if (!whole) continue;
        plane_store(b, a, PLANE_LAMBDA, s[a].lambda);
        plane_store(b, a, PLANE_DECREASE, s[a].decrease);
        XN_COUNTED(plane_store(b, a, PLANE_PASSES, s[a].passes));
        for (int j = 0; j < 2 * K; j++) {
            plane_store(b, a, PLANE_TRIAL + j, s[a].trial[j]);
            plane_store(b, a, PLANE_GRADIENT + j, s[a].now.gradient[j]);
            for (int i = 0; i <= j; i++) plane_store(b, a, schur_slot(j, i), s[a].now.schur[j][i]);
        }
    }
    return n_rest;
}

#endif
