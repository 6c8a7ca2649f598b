// SPDX-License-Identifier: BSD-3-Clause
// explicit.h -- the same sums with every sample visited, for what has no closed form.
//
// Non-uniform delays (sine, cosine and exponential per sample), weights per delay, empty bins, and samples missing
// in single traces (weight 0; there z^n is still a rotation).  Rows carry the root of their weight, h.  The
// background columns are then not orthonormal for each trace: root is the Cholesky factor of their Gram matrix, and
// their sums are made those of orthonormal columns by one forward substitution.
#ifndef XN_KERNEL_EXPLICIT_H
#define XN_KERNEL_EXPLICIT_H

#include "kernel/fit_kit.h"

// root x = c in place
XN_FN void columns_forward(int n_columns, vf root[XN_B][XN_B], vf *c, int stride)
{
    XN_COLUMNS (i, n_columns) {
        vf t = c[i * stride];
        for (int j = 0; j < i; j++) t = v_fnma(root[i][j], c[j * stride], t);
        c[i * stride] = t / root[i][i];
    }
}

// root^T x = c in place
XN_FN void columns_backward(int n_columns, vf root[XN_B][XN_B], vf *c)
{
    XN_FLAT
    for (int i = XN_B - 1; i >= 0; i--) {
        if (i >= n_columns) continue;
        vf t = c[i];
        for (int j = i + 1; j < XN_B && j < n_columns; j++) t = v_fnma(root[j][i], c[j], t);
        c[i] = t / root[i][i];
    }
}

// exp((-g + i w) t_n): the next of a rotation for uniform delays, else from the time itself
XN_FN vc pole_next(const struct kit *kit, int n, vc z, vc u, vf g, vf w)
{
    if (kit->plan->uniform) return n == 0 ? (vc){v_set(R(1)), v_set(R(0))} : c_mul(u, z);
    return v_pole(g, w, v_set(kit->table->time[n]));
}

XN_FN void sums_explicit(const int K, struct block *b, int a, const vf *parameter, struct sums *s)
{
    const struct kit *kit = b->kit;
    const int n = kit->plan->n, n_columns = kit->plan->n_columns;
    const real unit = kit->table->unit;
    memset(s, 0, sizeof *s);
    vc z[XN_M], u[XN_M];
    for (int k = 0; k < K; k++) u[k] = z[k] = v_pole(parameter[2 * k], parameter[2 * k + 1], v_set(R(1)));
    for (int i = 0; i < n; i++) {
        vf h = v_load(b->h[a] + (size_t)i * XN_PITCH(kit)), y = v_load(b->y[a] + (size_t)i * XN_PITCH(kit));
        vf f[XN_Q], tf[XN_Q], nu = v_set(kit->table->time[i] * unit);
        for (int k = 0; k < K; k++) {
            u[k] = pole_next(kit, i, z[k], u[k], parameter[2 * k], parameter[2 * k + 1]);
            f[2 * k] = h * u[k].re;
            f[2 * k + 1] = h * u[k].im;
        }
        for (int q = 0; q < 2 * K; q++) {
            tf[q] = nu * f[q];
            s->y0[q] = v_fma(f[q], y, s->y0[q]);
            s->y1[q] = v_fma(tf[q], y, s->y1[q]);
            for (int r = 0; r <= q; r++) {
                s->g0[q][r] = v_fma(f[q], f[r], s->g0[q][r]);
                s->g1[q][r] = v_fma(tf[q], f[r], s->g1[q][r]);
                s->g2[q][r] = v_fma(tf[q], tf[r], s->g2[q][r]);
            }
        }
        XN_COLUMNS (c, n_columns) {
            vf column = h * kit->table->column[(size_t)c * (size_t)n + (size_t)i];
            for (int q = 0; q < 2 * K; q++) {
                s->c0[c][q] = v_fma(column, f[q], s->c0[c][q]);
                s->c1[c][q] = v_fma(column, tf[q], s->c1[c][q]);
            }
        }
    }
    if (XN_EXPONENTIAL(kit)) s->g0[1][1] = v_set(R(1)); // a sine of w = 0 has no amplitude
    // the closed form fills both mixed entries of a pair of modes; here the lower triangle has them all
    for (int q = 0; q < 2 * K; q++) {
        columns_forward(n_columns, b->root[a], &s->c0[0][q], XN_Q);
        columns_forward(n_columns, b->root[a], &s->c1[0][q], XN_Q);
    }
}

#endif
