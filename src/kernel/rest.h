// SPDX-License-Identifier: BSD-3-Clause
// rest.h -- what modes leave of a block's samples: the data of the next start, and chi^2 from the samples themselves.
#ifndef XN_KERNEL_REST_H
#define XN_KERNEL_REST_H

#include "kernel/block.h"

// K modes of a block's traces: parameters, amplitudes, and, from block_residual, what they leave
struct rest {
    vf parameter[XN_GROUPS][XN_Q], beta[XN_GROUPS][XN_Q];
    vf chi2[XN_GROUPS];
    vf c[XN_GROUPS][XN_B]; // coefficients of the background beside those taken out when the data were loaded
};

XN_PART void rest_open(const struct block *b, const int K, struct rest *r)
{
    for (int a = 0; a < XN_GROUPS; a++)
        for (int j = 0; j < 2 * K; j++) {
            r->parameter[a][j] = plane_load(b, a, PLANE_PARAMETER + j);
            r->beta[a][j] = plane_load(b, a, PLANE_BETA + j);
        }
}

// Coefficients of the background in a closed plan: the model's part is taken out of what was there.
XN_FN void rest_columns(const int K, const struct block *b, int a, vf c[XN_B], const struct rest *r)
{
    struct sums s;
    memset(s.c0, 0, sizeof s.c0);
    XN_FLAT
    for (int k = 0; k < K; k++) {
        const vf g = r->parameter[a][2 * k], w = r->parameter[a][2 * k + 1];
#ifndef XN_DEVICE
        if (b->kit->plan->gridded) {
            gram_columns_gridded(b->kit, g, w, k, &s);
            continue;
        }
#endif
        vc z = v_pole(g, w, v_set(R(1)));
        gram_columns(b->kit, z, pole_power(z, b->kit->plan->n), k, &s);
    }
    XN_COLUMNS (j, b->kit->plan->n_columns) {
        c[j] = v_set(R(0));
        for (int q = 0; q < 2 * K; q++) c[j] = v_fnma(s.c0[j][q], r->beta[a][q], c[j]);
    }
}

// Sample i less the model, whose poles u go on by z
XN_FN void residual_sample(const int K, const struct block *b, int a, int i, const struct rest *r, const vc z[XN_M],
                           vc u[XN_M], vf *chi2, real *const *keep)
{
    const size_t at = (size_t)i * XN_PITCH(b->kit);
    vf x = v_load(b->y[a] + at);
    XN_FLAT
    for (int k = 0; k < K; k++) {
        x = v_fnma(r->beta[a][2 * k], u[k].re, v_fnma(r->beta[a][2 * k + 1], u[k].im, x));
        u[k] = c_mul(u[k], z[k]);
    }
    *chi2 = v_fma(x, x, *chi2);
    if (keep != NULL) v_store(keep[a] + at, x);
}

// y - phi beta with z^n as rotations; even and odd samples go on by z^2 side by side, which halves the wait for the
// multiplication. The products with the background follow from the geometric sums.
XN_FN void residual_closed(const int K, struct block *b, struct rest *r, real *const *keep)
{
    const int n = b->kit->plan->n;
    vc z[XN_GROUPS][XN_M], u[2][XN_GROUPS][XN_M];
    vf chi2[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) {
        chi2[a] = v_set(R(0));
        rest_columns(K, b, a, r->c[a], r);
        XN_FLAT
        for (int k = 0; k < K; k++) {
            u[0][a][k] = (vc){v_set(R(1)), v_set(R(0))};
            u[1][a][k] = z[a][k] = v_pole(r->parameter[a][2 * k], r->parameter[a][2 * k + 1], v_set(R(1)));
            z[a][k] = c_mul(z[a][k], z[a][k]);
        }
    }
    XN_TURNS(4)
    for (int i = 0; i < n - 1; i += 2)
        for (int odd = 0; odd < 2; odd++)
            for (int a = 0; a < XN_GROUPS; a++) residual_sample(K, b, a, i + odd, r, z[a], u[odd][a], &chi2[a], keep);
    for (int a = 0; n % 2 == 1 && a < XN_GROUPS; a++) residual_sample(K, b, a, n - 1, r, z[a], u[0][a], &chi2[a], keep);
    for (int a = 0; a < XN_GROUPS; a++) r->chi2[a] = chi2[a];
}

// The same with row scales, every sample's pole for itself where times are not uniform, and products summed up.
XN_PART void residual_explicit(const int K, struct block *b, struct rest *r, real *const *keep)
{
    const struct kit *kit = b->kit;
    const int n = kit->plan->n, n_columns = kit->plan->n_columns;
    for (int a = 0; a < XN_GROUPS; a++) {
        const vf *parameter = r->parameter[a], *beta = r->beta[a];
        vc z[XN_M], u[XN_M], e[XN_M], more[XN_M];
        vf chi2 = v_set(R(0)), c[XN_B];
        if (XN_NEAR(kit) > 0) factors_near(K, kit, parameter, e);
        for (int j = 0; j < XN_B; j++) c[j] = chi2;
        for (int k = 0; k < K; k++) u[k] = z[k] = v_pole(parameter[2 * k], parameter[2 * k + 1], v_set(R(1)));
        for (int i = 0; i < n; i++) {
            const vf h = v_load(b->h[a] + (size_t)i * XN_PITCH(kit));
            vf x = v_load(b->y[a] + (size_t)i * XN_PITCH(kit));
            const bool near = i < XN_NEAR(kit);
            if (near && begun(kit, i)) poles_near(K, kit, i, parameter, e, u, more);
            for (int k = 0; k < K && (!near || begun(kit, i)); k++) {
                if (!near) u[k] = pole_next(kit, i, z[k], u[k], parameter[2 * k], parameter[2 * k + 1]);
                x = v_fnma(h, v_fma(beta[2 * k], u[k].re, beta[2 * k + 1] * u[k].im), x);
            }
            chi2 = v_fma(x, x, chi2);
            XN_COLUMNS (j, n_columns) c[j] = v_fma(h * kit->table->column[(size_t)j * (size_t)n + (size_t)i], x, c[j]);
            if (keep != NULL) v_store(keep[a] + (size_t)i * XN_PITCH(kit), x);
        }
        r->chi2[a] = chi2;
        XN_COLUMNS (j, n_columns) r->c[a][j] = c[j];
        columns_forward(n_columns, b->root[a], r->c[a], 1); // now of orthonormal columns
    }
}

#ifndef XN_DEVICE
XN_FN void residual_of_grid(const int K, struct block *b, struct rest *r, real *const *keep)
{
    for (int a = 0; a < XN_GROUPS; a++)
        residual_gridded(K, b, a, r->parameter[a], r->beta[a], keep != NULL ? keep[a] : NULL, &r->chi2[a], r->c[a]);
}
#endif

// What K modes leave, with the background projected out: chi^2, its coefficients, and the samples in keep[] if given.
XN_PART void block_residual(struct block *b, const int K, struct rest *r, real *const *keep)
{
    const struct kit *kit = b->kit;
    const int n = kit->plan->n, n_columns = kit->plan->n_columns;
    const bool closed = kit->plan->closed;
    if (!closed)
        residual_explicit(K, b, r, keep);
    else if (!kit->plan->gridded && K == 1)
        residual_closed(1, b, r, keep);
    else if (!kit->plan->gridded && K == 2)
        residual_closed(2, b, r, keep);
    else if (!kit->plan->gridded)
        residual_closed(K, b, r, keep);
#ifndef XN_DEVICE
    else if (K == 1)
        residual_of_grid(1, b, r, keep);
    else if (K == 2)
        residual_of_grid(2, b, r, keep);
    else
        residual_of_grid(K, b, r, keep);
#endif
    for (int a = 0; a < XN_GROUPS; a++) {
        XN_COLUMNS (j, n_columns) r->chi2[a] = v_fnma(r->c[a][j], r->c[a][j], r->chi2[a]);
        if (!closed) columns_backward(n_columns, b->root[a], r->c[a]);
        for (int i = 0; keep != NULL && i < n; i++) {
            vf x = v_load(keep[a] + (size_t)i * XN_PITCH(kit)),
               h = closed ? v_set(R(1)) : v_load(b->h[a] + (size_t)i * XN_PITCH(kit));
            XN_COLUMNS (j, n_columns)
                x = v_fnma(h * kit->table->column[(size_t)j * (size_t)n + (size_t)i], r->c[a][j], x);
            v_store(keep[a] + (size_t)i * XN_PITCH(kit), x);
        }
    }
}

// What K modes leave of a block's traces, to kit->rest.
XN_PART void block_rest(struct block *b, const int K)
{
    struct rest r;
    real *rest[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) rest[a] = b->kit->rest + rest_at(b, a);
    rest_open(b, K, &r);
    block_residual(b, K, &r, rest);
}

#endif
