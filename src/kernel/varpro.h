// SPDX-License-Identifier: BSD-3-Clause
// varpro.h -- variable projection: amplitudes eliminated, Kaufman's step for (g, w), covariance.
//
// The background is projected out of the data once, when they are loaded; here it is projected out of the model:
// with C = columns^T phi the projected Gram matrices are G - C^T C.  What remains is, with A = L L^T the projected
// Gram matrix of the 2K cosines and sines and y its right side (Kaufman 1975; Mullen and van Stokkum 2007):
//   v = L^-1 y,  chi^2 = yy - v^T v,  beta = L^-T v
//   J_g = -nu (a c + b s),  J_w = nu (b c - a s)          derivative columns for (length g, length w)
//   W = phi^T J,  gradient = J^T y - W^T beta,  V = L^-1 W,  S = J^T J - V^T V.
// -2 gradient is the exact derivative of the reduced chi^2, and s^2 S^-1 is the covariance block of (g, w).
#ifndef XN_KERNEL_VARPRO_H
#define XN_KERNEL_VARPRO_H

#include "kernel/fit_kit.h"

// Cholesky factor of the lower triangle a (Q x Q) with a floor under the pivots, so that a mode that has become
// a combination of others stays finite.
XN_FN void cholesky(const int Q, vf a[XN_Q][XN_Q], const vf *diagonal, vf l[XN_Q][XN_Q], vf *inverse)
{
    for (int j = 0; j < Q; j++) {
        vf d = a[j][j];
        for (int k = 0; k < j; k++) d = v_fnma(l[j][k], l[j][k], d);
        d = v_max(d, diagonal[j] * XN_PIVOT);
        inverse[j] = v_rsqrt(d);
        for (int i = j + 1; i < Q; i++) {
            vf t = a[i][j];
            for (int k = 0; k < j; k++) t = v_fnma(l[i][k], l[j][k], t);
            l[i][j] = t * inverse[j];
        }
    }
}

XN_FN void solve_lower(const int Q, vf l[XN_Q][XN_Q], const vf *inverse, const vf *right, vf *x)
{
    for (int i = 0; i < Q; i++) {
        vf t = right[i];
        for (int k = 0; k < i; k++) t = v_fnma(l[i][k], x[k], t);
        x[i] = t * inverse[i];
    }
}

XN_FN void solve_upper(const int Q, vf l[XN_Q][XN_Q], const vf *inverse, const vf *right, vf *x)
{
    for (int i = Q - 1; i >= 0; i--) {
        vf t = right[i];
        for (int k = i + 1; k < Q; k++) t = v_fnma(l[k][i], x[k], t);
        x[i] = t * inverse[i];
    }
}

// The upper triangle of g1 from the lower one, for sums without samples near time zero
XN_FN void varpro_mirror(const int K, struct sums *s)
{
    for (int i = 0; i < 2 * K; i++)
        for (int j = i + 1; j < 2 * K; j++) s->g1[i][j] = s->g1[j][i];
}

// Projects the background out and factors: s->g0, s->g2 lower triangles, s->g1 the full product of functions (rows) and
// nu-weighted functions, or whatever their derivatives are.
XN_FN void varpro_project(const int K, int n_columns, struct sums *s, struct factor *f)
{
    vf diagonal[XN_Q];
    for (int i = 0; i < 2 * K; i++) diagonal[i] = s->g0[i][i];
    XN_COLUMNS (b, n_columns)
        for (int i = 0; i < 2 * K; i++) {
            for (int j = 0; j <= i; j++) {
                s->g0[i][j] = v_fnma(s->c0[b][i], s->c0[b][j], s->g0[i][j]);
                s->g2[i][j] = v_fnma(s->c1[b][i], s->c1[b][j], s->g2[i][j]);
            }
            for (int j = 0; j < 2 * K; j++) s->g1[i][j] = v_fnma(s->c0[b][i], s->c1[b][j], s->g1[i][j]);
        }
    cholesky(2 * K, s->g0, diagonal, f->l, f->inverse);
}

// chi^2 and amplitudes
XN_FN void varpro_amplitudes(const int K, const struct sums *s, vf yy, struct factor *f, struct eval *e)
{
    vf v[XN_Q];
    solve_lower(2 * K, f->l, f->inverse, s->y0, v);
    e->chi2 = yy;
    for (int i = 0; i < 2 * K; i++) e->chi2 = v_fnma(v[i], v[i], e->chi2);
    solve_upper(2 * K, f->l, f->inverse, v, e->beta);
}

// V, S and the gradient for the amplitudes in e
XN_FN void varpro_schur(const int K, const struct sums *s, struct factor *f, struct eval *e)
{
    vf on[XN_Q][2]; // derivative column j = on[j][0] nu c_k + on[j][1] nu s_k
    for (int k = 0; k < K; k++) {
        vf a = e->beta[2 * k], b = e->beta[2 * k + 1];
        on[2 * k][0] = -a;
        on[2 * k][1] = -b;
        on[2 * k + 1][0] = b;
        on[2 * k + 1][1] = -a;
    }
    XN_FLAT
    for (int j = 0; j < 2 * K; j++) {
        const int c = j & ~1;
        vf w[XN_Q], g = v_fma(on[j][0], s->y1[c], on[j][1] * s->y1[c + 1]);
        for (int i = 0; i < 2 * K; i++) {
            w[i] = v_fma(on[j][0], s->g1[i][c], on[j][1] * s->g1[i][c + 1]);
            g = v_fnma(w[i], e->beta[i], g);
        }
        e->gradient[j] = g;
        vf v[XN_Q];
        solve_lower(2 * K, f->l, f->inverse, w, v);
        for (int i = 0; i < 2 * K; i++) f->v[i][j] = v[i];
        XN_FLAT
        for (int i = 0; i <= j; i++) {
            const int d = i & ~1;
            vf mixed = c == d ? s->g2[c + 1][c] : s->g2[c][d + 1];
            vf first = v_fma(on[i][0], s->g2[c][d], on[i][1] * mixed);
            vf second = v_fma(on[i][0], s->g2[c + 1][d], on[i][1] * s->g2[c + 1][d + 1]);
            vf t = v_fma(on[j][0], first, on[j][1] * second);
            for (int q = 0; q < 2 * K; q++) t = v_fnma(f->v[q][i], f->v[q][j], t);
            e->schur[j][i] = t;
        }
    }
}

// What beta becomes to first order where the parameters go on by `step`: A d beta = -W step.
XN_FN void varpro_follow(const int Q, struct factor *f, const vf *step, vf *beta)
{
    vf right[XN_Q], change[XN_Q];
    for (int i = 0; i < Q; i++) {
        right[i] = v_set(R(0));
        for (int j = 0; j < Q; j++) right[i] = v_fma(f->v[i][j], step[j], right[i]);
    }
    solve_upper(Q, f->l, f->inverse, right, change);
    for (int i = 0; i < Q; i++) beta[i] = beta[i] - change[i];
}

// Parameters that stand at a bound and would leave it are taken out of the step: their rows become those of the
// identity and their gradient zero.
XN_FN void schur_without(const int Q, const vm *fixed, vf s[XN_Q][XN_Q], vf *gradient)
{
    for (int j = 0; j < Q; j++) {
        gradient[j] = v_sel(fixed[j], v_set(R(0)), gradient[j]);
        for (int i = 0; i <= j; i++) s[j][i] = v_sel(v_or(fixed[i], fixed[j]), v_set(i == j ? R(1) : R(0)), s[j][i]);
    }
}

// Solves (S + lambda diag S) step = gradient; returns the predicted decrease, gradient^T (...)^-1 gradient.
XN_FN vf schur_step(const int Q, vf s[XN_Q][XN_Q], vf lambda, const vf *gradient, vf *step)
{
    vf a[XN_Q][XN_Q], l[XN_Q][XN_Q], inverse[XN_Q], diagonal[XN_Q], v[XN_Q], decrease = v_set(R(0));
    for (int j = 0; j < Q; j++) {
        for (int i = 0; i < j; i++) a[j][i] = s[j][i];
        a[j][j] = diagonal[j] = s[j][j] + lambda * s[j][j] + v_set(XN_TINY);
    }
    cholesky(Q, a, diagonal, l, inverse);
    solve_lower(Q, l, inverse, gradient, v);
    for (int i = 0; i < Q; i++) decrease = v_fma(v[i], v[i], decrease);
    if (step != NULL) solve_upper(Q, l, inverse, v, step);
    return decrease;
}

#endif
