// SPDX-License-Identifier: BSD-3-Clause
// pool.h -- traces fitted together: powers and the projected functional at frequencies given from outside.
//
// A neighbourhood whose pixels share frequency and damping is fitted by its caller (fit/neighbours.c), which sums over
// its traces what these functions give for each of them.  `load` prepares a tile in the work space as for a fit and
// leaves it there; `powers` and `evaluate` then visit it as often as wanted.  Powers are over the variance of a sample
// (known, or what is left by the K modes), so that traces of different noise can be added; a trace without usable
// data has powers zero.
#ifndef XN_KERNEL_POOL_H
#define XN_KERNEL_POOL_H

#include "kernel/finish.h"

// Leaves in n_modes whether each trace can be used.
static void pool_load(const struct kit *kit)
{
    const int count = prepare_tile(kit, kit->list[0]);
    for (int i = 0; i < count; i++) kit->tile->n_modes[kit->list[0][i]] = 1;
}

// Block of traces first.. of the tile, its K modes from tile->given_*.
static void pool_block(const struct kit *kit, int first, int K, struct block *b, vf parameter[XN_GROUPS][XN_Q])
{
    const xn_fit_tile *tile = kit->tile;
    const int left = tile->count - first;
    int list[XN_BLOCK];
    for (int i = 0; i < XN_BLOCK; i++) list[i] = first + (i < left ? i : left - 1);
    block_open(kit, list, left < XN_BLOCK ? left : XN_BLOCK, b);
    for (int a = 0; a < XN_GROUPS; a++)
        for (int k = 0; k < K; k++) {
            real g[XN_W], w[XN_W];
            for (int i = 0; i < XN_W; i++) {
                const int64_t at = (int64_t)k * tile->given_stride + b->trace[a * XN_W + i];
                g[i] = R(tile->given_g[at]);
                w[i] = R(tile->given_w[at]);
            }
            parameter[a][2 * k] = v_load(g);
            parameter[a][2 * k + 1] = v_load(w);
        }
}

XN_FN void powers_store(float *to, vf x)
{
    real lane[XN_W];
    v_store(lane, x);
    for (int i = 0; i < XN_W; i++) to[i] = (float)lane[i];
}

// powers[j * stride + i], j = grid_lo - 1 .. grid_hi + 1; whole blocks are written
static void pool_powers(const struct kit *kit, int K, float *powers, int64_t stride)
{
    const xn_fit_plan *p = kit->plan;
    const xn_fit_tile *tile = kit->tile;
    struct block b;
    struct rest r;
    struct eval e[XN_GROUPS];
    struct peak highest[XN_GROUPS];
    const size_t count = (size_t)(p->n_grid / 2 + 1) * XN_W;
    real *keep[XN_GROUPS], *const work = kit->wave + XN_GROUPS * count;
    const struct spectrum spectrum[XN_GROUPS] = {{kit->wave, work}, {kit->wave + count, work}};
    for (int a = 0; a < XN_GROUPS; a++) keep[a] = kit->rest + (size_t)a * group_size(kit);
    for (int first = 0; first < tile->count; first += XN_BLOCK) {
        vf parameter[XN_GROUPS][XN_Q], s2[XN_GROUPS];
        const vf *at[XN_GROUPS];
        const real *y[XN_GROUPS];
        for (int a = 0; a < XN_GROUPS; a++) at[a] = parameter[a];
        pool_block(kit, first, K, &b, parameter);
        if (K > 0) evaluate_modes(K, &b, at, e);
        for (int a = 0; a < XN_GROUPS; a++) {
            y[a] = K > 0 ? keep[a] : b.y[a];
            s2[a] = variance_of(&b, a, K, K > 0 ? e[a].chi2 : b.yy[a]);
            for (int j = 0; j < 2 * K; j++) {
                r.parameter[a][j] = parameter[a][j];
                r.beta[a][j] = e[a].beta[j];
            }
        }
        if (K > 0) block_residual(&b, K, &r, keep);
        block_powers(&b, y, spectrum, highest);
        for (int a = 0; a < XN_GROUPS; a++) {
            real use[XN_W];
            const int *trace = b.trace + (size_t)a * XN_W;
            for (int i = 0; i < XN_W; i++) use[i] = R(tile->n_modes[trace[i]]);
            const vf scale = v_load(use) / s2[a];
            for (int j = p->grid_lo - 1; j <= p->grid_hi + 1; j++)
                powers_store(powers + (int64_t)j * stride + first + a * XN_W,
                             v_load(spectrum[a].power + (size_t)j * XN_W) * scale);
        }
    }
}

// chi^2, and for K > 0 amplitudes, gradient, Schur matrix, to tile->out in slots XN_POOL_*; all of the scaled data.
static void pool_evaluate(const struct kit *kit, int K)
{
    struct block b;
    struct eval e[XN_GROUPS];
    for (int first = 0; first < kit->tile->count; first += XN_BLOCK) {
        vf parameter[XN_GROUPS][XN_Q];
        const vf *at[XN_GROUPS];
        for (int a = 0; a < XN_GROUPS; a++) at[a] = parameter[a];
        pool_block(kit, first, K, &b, parameter);
        if (K > 0) evaluate_modes(K, &b, at, e);
        for (int a = 0; a < XN_GROUPS; a++) {
            out_store(&b, a, XN_POOL_CHI2, K > 0 ? e[a].chi2 : b.yy[a]);
            out_store(&b, a, XN_POOL_VARIANCE, variance_of(&b, a, K, K > 0 ? e[a].chi2 : b.yy[a]));
            out_store(&b, a, XN_POOL_UNSCALE, plane_load(&b, a, PLANE_UNSCALE));
            for (int j = 0; j < 2 * K; j++) {
                out_store(&b, a, XN_POOL_BETA + j, e[a].beta[j]);
                out_store(&b, a, XN_POOL_GRADIENT + j, e[a].gradient[j]);
                for (int i = 0; i <= j; i++) out_store(&b, a, XN_POOL_SCHUR + j * (j + 1) / 2 + i, e[a].schur[j][i]);
            }
        }
    }
}

#endif
