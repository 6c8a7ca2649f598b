// SPDX-License-Identifier: BSD-3-Clause
// explicit.h -- the same sums with every sample visited, for what has no closed form.
//
// Non-uniform delays (sine, cosine and exponential per sample), weights per delay, empty bins, and samples missing
// in single traces (weight 0; there z^n is still a rotation).  Rows carry the root of their weight, h.  The
// background columns are then not orthonormal for each trace: root is the Cholesky factor of their Gram matrix, and
// their sums are made those of orthonormal columns by one forward substitution.
//
// Near time zero a response shapes the poles (response_lanes.h).  Their derivative is then no longer nu times
// themselves but T_j = nu phi_j + x_j, and sum phi_i T_j is not symmetric: below the diagonal g1 then holds sum T_i
// phi_j, and above it sum (x_i phi_j - phi_i x_j), which tells the two halves apart in the end.
#ifndef XN_KERNEL_EXPLICIT_H
#define XN_KERNEL_EXPLICIT_H

#include "kernel/response_lanes.h"

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
    const int first = XN_NEAR(kit);
    if (kit->plan->uniform && n > first) return c_mul(u, z);
    if (kit->plan->uniform && first == 0) return (vc){v_set(R(1)), v_set(R(0))};
    return v_pole(g, w, v_set(kit->table->time[n]));
}

// Factors of poles near time zero, and whether sample i sees anything of them
XN_FN void factors_near(const int K, const struct kit *kit, const vf *parameter, vc *e)
{
    for (int k = 0; k < K; k++) e[k] = response_factor(parameter[2 * k], parameter[2 * k + 1], R(kit->plan->response));
}
XN_FN bool begun(const struct kit *kit, int i) { return kit->table->rise[i] > R(0); }

// Poles at sample i near time zero, and what their derivative has beside t times them
XN_FN void poles_near(const int K, const struct kit *kit, int i, const vf *parameter, const vc *e, vc *u, vc *more)
{
    const struct table *t = kit->table;
    for (int k = 0; k < K; k++) {
        const vf g = parameter[2 * k], w = parameter[2 * k + 1];
        response_pole(g, w, e[k], v_pole(g, w, v_set(t->time[i])), R(kit->plan->response), t->tau[i], t->rise[i], &u[k],
                      &more[k]);
    }
}

// Adds sample i of group a: u its poles, more: NULL, or what T has beside nu phi.
XN_FN void sum_sample(const int K, const struct block *b, int a, int i, const vc *u, const vc *more, struct sums *s)
{
    const struct kit *kit = b->kit;
    const real unit = kit->table->unit;
    vf h = v_load(b->h[a] + (size_t)i * XN_PITCH(kit)), y = v_load(b->y[a] + (size_t)i * XN_PITCH(kit));
    vf f[XN_Q], tf[XN_Q], x[XN_Q], nu = v_set(kit->table->time[i] * unit);
    for (int k = 0; k < K; k++) {
        f[2 * k] = h * u[k].re;
        f[2 * k + 1] = h * u[k].im;
    }
    for (int k = 0; more != NULL && k < K; k++) {
        x[2 * k] = h * unit * more[k].re;
        x[2 * k + 1] = h * unit * more[k].im;
    }
    for (int q = 0; q < 2 * K; q++) {
        tf[q] = nu * f[q];
        if (more != NULL) tf[q] = tf[q] + x[q];
        s->y0[q] = v_fma(f[q], y, s->y0[q]);
        s->y1[q] = v_fma(tf[q], y, s->y1[q]);
        for (int r = 0; r <= q; r++) {
            s->g0[q][r] = v_fma(f[q], f[r], s->g0[q][r]);
            s->g1[q][r] = v_fma(tf[q], f[r], s->g1[q][r]);
            s->g2[q][r] = v_fma(tf[q], tf[r], s->g2[q][r]);
        }
        for (int r = 0; more != NULL && r < q; r++) s->g1[r][q] = v_fma(x[q], f[r], v_fnma(x[r], f[q], s->g1[r][q]));
    }
    XN_COLUMNS (c, kit->plan->n_columns) {
        vf column = h * kit->table->column[(size_t)c * (size_t)kit->plan->n + (size_t)i];
        for (int q = 0; q < 2 * K; q++) {
            s->c0[c][q] = v_fma(column, f[q], s->c0[c][q]);
            s->c1[c][q] = v_fma(column, tf[q], s->c1[c][q]);
        }
    }
}

#ifndef XN_DEVICE
// Rare, and apart from the rest: K is no constant here.
XN_RARE void sums_near(int K, const struct block *b, int a, const vf *parameter, struct sums *s)
{
    vc e[XN_M], u[XN_M], more[XN_M];
    factors_near(K, b->kit, parameter, e);
    for (int i = 0; i < XN_NEAR(b->kit); i++) {
        if (!begun(b->kit, i)) continue;
        poles_near(K, b->kit, i, parameter, e, u, more);
        sum_sample(K, b, a, i, u, more, s);
    }
}
#endif

// What K modes use; all of it is 18 KiB, written in every pass.
XN_FN void sums_clear(const int K, const int n_columns, struct sums *s)
{
    const vf zero = v_set(R(0));
    for (int q = 0; q < 2 * K; q++) {
        s->y0[q] = s->y1[q] = zero;
        for (int r = 0; r < 2 * K; r++) s->g0[q][r] = s->g1[q][r] = s->g2[q][r] = zero;
        XN_COLUMNS (c, n_columns) s->c0[c][q] = s->c1[c][q] = zero;
    }
}

XN_FN void sums_explicit(const int K, struct block *b, int a, const vf *parameter, struct sums *s)
{
    const struct kit *kit = b->kit;
    const int n = kit->plan->n, n_columns = kit->plan->n_columns;
    sums_clear(K, n_columns, s);
    vc z[XN_M], u[XN_M];
    for (int k = 0; k < K; k++) u[k] = z[k] = v_pole(parameter[2 * k], parameter[2 * k + 1], v_set(R(1)));
#ifndef XN_DEVICE
    if (XN_NEAR(kit) > 0) sums_near(K, b, a, parameter, s);
#endif
    for (int i = XN_NEAR(kit); i < n; i++) {
        for (int k = 0; k < K; k++) u[k] = pole_next(kit, i, z[k], u[k], parameter[2 * k], parameter[2 * k + 1]);
        sum_sample(K, b, a, i, u, NULL, s);
    }
    for (int r = 0; r < 2 * K; r++) // now sum phi_i T_j
        for (int q = r + 1; q < 2 * K; q++) {
            const vf below = s->g1[q][r];
            s->g1[q][r] = below - s->g1[r][q];
            s->g1[r][q] = below;
        }
    if (XN_EXPONENTIAL(kit)) s->g0[1][1] = v_set(R(1)); // a sine of w = 0 has no amplitude
    // the closed form fills both mixed entries of a pair of modes; here the lower triangle has them all
    for (int q = 0; q < 2 * K; q++) {
        columns_forward(n_columns, b->root[a], &s->c0[0][q], XN_Q);
        columns_forward(n_columns, b->root[a], &s->c1[0][q], XN_Q);
    }
}

#endif
