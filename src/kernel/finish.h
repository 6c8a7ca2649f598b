// SPDX-License-Identifier: BSD-3-Clause
// finish.h -- results of converged fits: explicit residual, errors, amplitude and phase at delay zero.
//
// With the normal matrix [A, W; W^T, J^T J] of amplitudes and (g, w) in factored form, the variance of any quantity
// with derivatives p to the amplitudes and q to (g, w) is
//   s^2 ( |L^-1 p|^2 + |L_S^-1 (q - V^T L^-1 p)|^2 ),       A = L L^T, S = L_S L_S^T,
// which is p, q against the inverse of the full matrix (block elimination).  Amplitude and phase refer to time zero,
// t_zero steps after the first sample, and are those before a response of rms s, which is seen as exp(z^2 s^2/2) late:
//   ln A0 = ln A - g t_zero - (g^2 - w^2) s^2/2,     phi0 = phi + w t_zero + g w s^2,     so g and w enter their
//   errors.
// (With samples near time zero poles are 1 there and t_zero is 0 in this.)
// A parameter at a bound is taken as fixed and has no error (NaN).
// The significance of a mode is what chi^2 would rise by without its two amplitudes, over s^2.
#ifndef XN_KERNEL_FINISH_H
#define XN_KERNEL_FINISH_H

#include "kernel/greedy.h"

XN_FN void out_store(const struct block *b, int a, int slot, vf value)
{
    const xn_fit_tile *tile = b->kit->tile;
    real *p = (real *)tile->out + (size_t)slot * (size_t)tile->out_stride, x[XN_W];
    const int *trace = b->trace + a * XN_W;
    if (b->direct[a]) {
        v_store(p + trace[0], value);
        return;
    }
    v_store(x, value);
    for (int i = 0; i < XN_W; i++) p[trace[i]] = x[i];
}

struct covariance {
    struct factor f;
    vf l[XN_Q][XN_Q], inverse[XN_Q]; // of S
    vm fixed[XN_Q];
    vf s2;
};

// sqrt(p, q against the covariance); u = L^-1 p
XN_FN vf error_of(const int Q, const struct covariance *c, const vf *u, const vf *q)
{
    vf r[XN_Q], x[XN_Q], sum = v_set(R(0));
    for (int j = 0; j < Q; j++) {
        r[j] = q[j];
        for (int i = 0; i < Q; i++) r[j] = v_fnma(c->f.v[i][j], u[i], r[j]);
        r[j] = v_sel(c->fixed[j], v_set(R(0)), r[j]);
    }
    for (int i = 0; i < Q; i++) {
        vf t = r[i];
        for (int k = 0; k < i; k++) t = v_fnma(c->l[i][k], x[k], t);
        x[i] = t * c->inverse[i];
        sum = v_fma(x[i], x[i], v_fma(u[i], u[i], sum));
    }
    return v_sqrt(sum * c->s2);
}

// Gram matrix, S and their factors at the accepted parameters. At a bound: fixed.
XN_FN void covariance_at(const int K, struct block *b, int a, const vf *parameter, struct eval *e, vf chi2,
                         struct covariance *c)
{
    const struct kit *kit = b->kit;
    struct sums s;
#ifndef XN_DEVICE
    if (kit->plan->gridded) {
        gram_gridded(K, kit, parameter, &s);
        for (int j = 0; j < 2 * K; j++) s.y1[j] = v_set(R(0));
    } else
#endif
        if (kit->plan->closed) {
        vc z[XN_M];
        for (int k = 0; k < K; k++) z[k] = v_pole(parameter[2 * k], parameter[2 * k + 1], v_set(R(1)));
        gram_closed(K, kit, z, &s);
        for (int j = 0; j < 2 * K; j++) s.y1[j] = v_set(R(0)); // the gradient is not needed
    } else {
        sums_explicit(K, b, a, parameter, &s);
    }
    if (kit->plan->closed) varpro_mirror(K, &s);
    varpro_project(K, kit->plan->n_columns, &s, &c->f);
    varpro_schur(K, &s, &c->f, e);
    vf diagonal[XN_Q];
    for (int j = 0; j < 2 * K; j++)
        c->fixed[j] = v_or(v_le(parameter[j], bound_lo(kit, j)), v_ge(parameter[j], bound_hi(kit, j)));
    c->s2 = variance_of(b, a, K, chi2);
    if (XN_EXPONENTIAL(kit)) exponential_fixed(kit, parameter, e->schur[0][0], c->s2, c->fixed);
    schur_without(2 * K, c->fixed, e->schur, e->gradient);
    for (int j = 0; j < 2 * K; j++) diagonal[j] = e->schur[j][j] = e->schur[j][j] + XN_TINY;
    cholesky(2 * K, e->schur, diagonal, c->l, c->inverse);
}

// Results of mode k
XN_FN void finish_mode(const int K, const struct block *b, int a, int k, const vf *parameter, const vf *beta,
                       const struct covariance *c)
{
    const int Q = 2 * K;
    const xn_fit_plan *plan = b->kit->plan;
    const int at = k - poles_beside(b->kit); // among the modes
    const vf zero = v_set(R(0)), none = v_set(R(NAN));
    const real unit = b->kit->table->unit, t_zero = R(XN_NEAR(b->kit) > 0 ? 0.0 : plan->t_zero);
    const real s2 = R(plan->response * plan->response);
    vf g = parameter[2 * k], w = parameter[2 * k + 1], ca = beta[2 * k], cb = beta[2 * k + 1];
    vf right[XN_Q], u1[XN_Q], u2[XN_Q], u[XN_Q], q[XN_Q];
    for (int j = 0; j < Q; j++) u[j] = q[j] = right[j] = zero;
    right[2 * k] = v_set(R(1));
    solve_lower(Q, (vf(*)[XN_Q])c->f.l, c->f.inverse, right, u1); // columns 2k, 2k+1 of L^-1
    right[2 * k] = zero;
    right[2 * k + 1] = v_set(R(1));
    solve_lower(Q, (vf(*)[XN_Q])c->f.l, c->f.inverse, right, u2);
    vf m11 = zero, m12 = zero, m22 = zero; // block of A^-1
    for (int j = 0; j < Q; j++) {
        m11 = v_fma(u1[j], u1[j], m11);
        m12 = v_fma(u1[j], u2[j], m12);
        m22 = v_fma(u2[j], u2[j], m22);
    }
    vf drop = (m22 * ca * ca - R(2) * m12 * ca * cb + m11 * cb * cb) / (m11 * m22 - m12 * m12);
    out_store(b, a, XN_OUT_SIGNIFICANCE + at, drop / c->s2);
    out_store(b, a, XN_OUT_G + at, g);
    out_store(b, a, XN_OUT_W + at, w);

    q[2 * k] = v_set(R(1));
    out_store(b, a, XN_OUT_G_ERROR + at, v_sel(c->fixed[2 * k], none, error_of(Q, c, u, q) * unit));
    q[2 * k] = zero;
    q[2 * k + 1] = v_set(R(1));
    out_store(b, a, XN_OUT_W_ERROR + at, v_sel(c->fixed[2 * k + 1], none, error_of(Q, c, u, q) * unit));

    vf square = v_max(ca * ca + cb * cb, v_set(XN_TINY)), amplitude = v_sqrt(square);
    vf pa = ca / square, pb = cb / square;
    for (int j = 0; j < Q; j++) u[j] = pa * u1[j] + pb * u2[j];
    const vf late = t_zero + g * s2, twist = w * s2;
    q[2 * k] = -late * unit;
    q[2 * k + 1] = twist * unit;
    vf relative = error_of(Q, c, u, q);
    amplitude = amplitude * plane_load(b, a, PLANE_UNSCALE) * v_exp(R(0.5) * (w * w - g * g) * s2 - g * t_zero);
    out_store(b, a, XN_OUT_AMPLITUDE + at, amplitude);
    out_store(b, a, XN_OUT_AMPLITUDE_ERROR + at, amplitude * relative);

    for (int j = 0; j < Q; j++) u[j] = pb * u1[j] - pa * u2[j];
    q[2 * k] = twist * unit;
    q[2 * k + 1] = late * unit;
    out_store(b, a, XN_OUT_PHASE_ERROR + at, error_of(Q, c, u, q));
    vf phase = v_atan2(-cb, ca) + w * late, turn = v_set(R(6.28318530717958647693));
    phase = phase - turn * ((phase * R(0.15915494309189533577) + XN_MAGIC) - XN_MAGIC);
    out_store(b, a, XN_OUT_PHASE + at, v_sel(v_le(phase, v_set(R(-3.14159265358979323846))), phase + turn, phase));
}

// How far the strongest mode stands above the noise, whatever the rounding of samples adds to that.
XN_FN void finish_strength(const int K, const struct block *b, int a, const struct rest *r, vf residual)
{
    vf largest = v_set(R(0)), w = largest;
    const vf known = b->sigma2[a], variance = v_sel(v_lt(v_set(R(0)), known), known, -known * residual);
    for (int k = poles_beside(b->kit); k < K; k++) {
        vf square = v_fma(r->beta[a][2 * k], r->beta[a][2 * k], r->beta[a][2 * k + 1] * r->beta[a][2 * k + 1]);
        if (b->kit->plan->gridded) // amplitudes are those of t = 0, where the grid begins, before the first sample
            square = square * v_exp(R(-2) * b->kit->table->time[0] * r->parameter[a][2 * k]);
        w = v_sel(v_lt(largest, square), r->parameter[a][2 * k + 1], w);
        largest = v_max(square, largest);
    }
    out_store(b, a, XN_OUT_SNR2, largest / v_max(variance, v_set(XN_TINY)));
    out_store(b, a, XN_OUT_SNR2_W, w);
}

XN_FN void finish_group(const int K, struct block *b, int a, const struct rest *r)
{
    const struct kit *kit = b->kit;
    struct eval e;
    struct covariance cov;
    const vf unscale = plane_load(b, a, PLANE_UNSCALE);
    XN_COLUMNS (j, kit->plan->n_columns)
        out_store(b, a, XN_OUT_BACKGROUND + j, v_fma(unscale, r->c[a][j], plane_load(b, a, PLANE_BACKGROUND + j)));
    out_store(b, a, XN_OUT_MEAN, plane_load(b, a, PLANE_MEAN));
    const vf residual = v_max(r->chi2[a], v_set(R(0))) / freedom_of(b, a, K);
    out_store(b, a, XN_OUT_UNSCALE, unscale);
    out_store(b, a, XN_OUT_VARIANCE, residual);
    out_store(b, a, XN_OUT_NEXT, plane_load(b, a, PLANE_NEXT));
    if (K == 0) return;
    for (int j = 0; j < 2 * K; j++) e.beta[j] = r->beta[a][j];
    finish_strength(K, b, a, r, residual);
    covariance_at(K, b, a, r->parameter[a], &e, r->chi2[a], &cov);
    const int beside = poles_beside(kit);
    if (beside > 0) {
        const vf rate = r->parameter[a][0];
        const real since = R(XN_NEAR(kit) > 0 ? 0.0 : kit->plan->t_zero),
                   s2 = R(kit->plan->response * kit->plan->response);
        out_store(b, a, XN_OUT_EXPONENTIAL, e.beta[0] * unscale * v_exp(-(rate * (since + R(0.5) * rate * s2))));
        vf u[XN_Q], q[XN_Q];
        for (int j = 0; j < 2 * K; j++) u[j] = q[j] = v_set(R(0));
        q[0] = v_set(R(1));
        const vf error = error_of(2 * K, &cov, u, q) * kit->table->unit;
        out_store(b, a, XN_OUT_RATE, rate);
        out_store(b, a, XN_OUT_RATE_ERROR, v_sel(cov.fixed[0], v_set(R(NAN)), error));
    }
    XN_FLAT
    for (int k = beside; k < K; k++) finish_mode(K, b, a, k, r->parameter[a], e.beta, &cov);
    vm at_bound = v_lt(v_set(R(0)), v_set(R(-1)));
    for (int j = 2 * beside; j < 2 * K; j++) at_bound = v_or(at_bound, cov.fixed[j]);
    const unsigned bits = v_bits_of(at_bound) & block_lanes(b, a);
    for (int i = 0; i < XN_W && bits >> i; i++)
        if (bits >> i & 1) kit->tile->flags[b->trace[a * XN_W + i]] |= XN_FLAG_BOUND;
}

#ifndef XN_DEVICE
#define XN_FINISH_FOR(K)                                                                                               \
    static __attribute__((noinline)) void finish_##K(struct block *b, int a, const struct rest *r)                     \
    {                                                                                                                  \
        finish_group(K, b, a, r);                                                                                      \
    }
XN_FINISH_FOR(0)
XN_FINISH_FOR(1)
XN_FINISH_FOR(2)
XN_FINISH_FOR(3)
XN_FINISH_FOR(4)
static void (*const finish_of[XN_M + 1])(struct block *, int, const struct rest *) = {finish_0, finish_1, finish_2,
                                                                                      finish_3, finish_4};

// Residuals of a block, in the units of the samples.
static void rest_store(const struct block *b, real *const *keep)
{
    const xn_fit_tile *tile = b->kit->tile;
    for (int a = 0; a < XN_GROUPS; a++) {
        real unscale[XN_W];
        v_store(unscale, plane_load(b, a, PLANE_UNSCALE));
        const unsigned lanes = block_lanes(b, a);
        for (int n = 0; n < b->kit->plan->n; n++)
            for (int i = 0; lanes >> i; i++)
                tile->rest[(int64_t)tile->row[n] * tile->rest_stride + b->trace[a * XN_W + i]] =
                    (float)(keep[a][(size_t)n * XN_W + (size_t)i] * unscale[i]);
    }
}

// The fit itself knows chi^2 = yy - v v where the rounding of that is below a part in ten thousand.  It is some units
// of the largest term: of yy, or, where modes almost cancel, of the sum of their sizes |A| |exp(-g t)| squared, because
// that is what rounding of the Gram matrix changes v v by.  The sums of a grid are a little less exact, but there the
// residual costs several passes.
XN_FN vm chi2_known(const struct block *b, const int K, int a, const struct rest *r, vf chi2)
{
    const bool gridded = b->kit->plan->gridded;
    vf size = v_set(R(0)), term = b->yy[a];
    for (int k = 0; K > 1 && k < K; k++) {
        const vf ca = r->beta[a][2 * k], cb = r->beta[a][2 * k + 1];
        const vf samples = v_min(v_set(R(0.5)) / r->parameter[a][2 * k] + v_set(R(1)), b->samples[a]);
        size = size + v_sqrt(v_fma(ca, ca, cb * cb) * samples);
    }
    term = v_max(term, R(0.25) * size * size);
    return v_lt(term * (gridded ? R(0.01) : XN_EPSILON * R(65536)), chi2);
}

// chi^2 and background of a block's traces at the end; its samples are visited only where they are asked for or a
// lane needs them, and each lane decides for itself.
static void block_result(struct block *b, const int K, struct rest *r, real *const *keep)
{
    const bool sums = b->kit->plan->closed;
    bool known = sums && keep == NULL;
    vf chi2[XN_GROUPS], c[XN_B];
    for (int a = 0; sums && a < XN_GROUPS; a++) {
        chi2[a] = plane_load(b, a, PLANE_CHI2);
        known = known && !v_any(v_not(chi2_known(b, K, a, r, chi2[a])));
    }
    if (!known) {
        block_data(b);
        block_residual(b, K, r, keep);
    }
    for (int a = 0; sums && a < XN_GROUPS; a++) {
        const vm fit = chi2_known(b, K, a, r, chi2[a]);
        r->chi2[a] = known ? chi2[a] : v_sel(fit, chi2[a], r->chi2[a]);
        rest_columns(K, b, a, c, r);
        XN_COLUMNS (j, b->kit->plan->n_columns) r->c[a][j] = known ? c[j] : v_sel(fit, c[j], r->c[a][j]);
    }
}

// Results of every trace that could be fitted, those without a mode included.
static void finish(const struct kit *kit, int *list)
{
    struct block b;
    struct rest r;
    real *keep[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) keep[a] = kit->rest + (size_t)a * group_size(kit);
    for (int modes = 0; modes <= kit->plan->modes_max; modes++) {
        const int K = modes + poles_beside(kit);
        int count = 0;
        for (int i = 0; i < kit->tile->count; i++)
            if (finish_due(kit->tile, i, modes)) list[count++] = i;
        for (int i = 0; i < count; i += XN_BLOCK) {
            block_choose(kit, list + i, count - i < XN_BLOCK ? count - i : XN_BLOCK, &b);
            rest_open(&b, K, &r);
            block_result(&b, K, &r, kit->tile->rest != NULL ? keep : NULL);
            if (kit->tile->rest != NULL) rest_store(&b, keep);
            for (int a = 0; a < XN_GROUPS; a++) finish_of[K](&b, a, &r);
        }
    }
}

#endif

#endif
