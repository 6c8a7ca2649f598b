// SPDX-License-Identifier: BSD-3-Clause
// gridded.h -- the sums of a gridded plan: delays and weights of any kind, at nearly the cost of even delays.
//
// Data are spread once onto the even grid of grid.h.  Moments: blocks of eight grid points,
//   P <- z^8 P + sum_j s_j z^j,     D <- z^8 (D + 8 P) + sum_j j s_j z^j        (D = z dP/dz, blocks from the last on),
// with the powers of z kept at hand: five multiply-adds per point, no waiting, and no error that grows as it does
// in Goertzel's recurrence where z is near 1.  Gram sums: polynomials from the table of nodes.  Each lane fetches the
// node it needs, and a transposition makes vectors of coefficients of them.
// Taps and table hold the row scales; the columns of a gridded plan are kept times the scale as well.
#ifndef XN_KERNEL_GRIDDED_H
#define XN_KERNEL_GRIDDED_H

#include "kernel/series.h"

XN_FN size_t grid_size(const struct kit *kit) { return (size_t)kit->table->grid.points * XN_W; }

// y (samples of `groups` groups, y_step apart) onto the grid.
XN_FN void grid_spread(const int groups, const struct spread *grid, const real *y, size_t y_step, real *s,
                       size_t s_step)
{
    const real *tap = grid->tap;
    for (int j = 0; j < grid->points; j++) {
        vf sum[XN_GROUPS];
        for (int a = 0; a < groups; a++) sum[a] = v_set(R(0));
        const real *from = y + (size_t)grid->sample[j] * XN_W;
        for (int i = grid->first[j]; i < grid->first[j + 1]; i++, tap++, from += XN_W) {
            const vf t = v_set(*tap);
            for (int a = 0; a < groups; a++) sum[a] = v_fma(t, v_load(from + (size_t)a * y_step), sum[a]);
        }
        for (int a = 0; a < groups; a++) v_store(s + (size_t)a * s_step + (size_t)j * XN_W, sum[a]);
    }
}

// z^0 .. z^8 for z = exp((-g + i w) step); the last for itself, because errors in it add up
XN_FN void grid_powers(const struct kit *kit, vf g, vf w, vc power[9])
{
    const vf step = v_set(kit->table->grid.step);
    power[0] = (vc){v_set(R(1)), v_set(R(0))};
    power[1] = v_pole(g, w, step);
    for (int j = 2; j < 8; j++) power[j] = c_mul(power[j / 2], power[j - j / 2]);
    power[8] = v_pole(g, w, R(8) * step);
}

// 1/D and D'/D at s = -g + i w
XN_FN void grid_shape(const struct grid *grid, vf g, vf w, vc *over, vc *slope)
{
    const vf zero = v_set(R(0)), one = v_set(R(1)), b = v_set(grid->shape);
    if (grid->taps == 1) {
        *over = (vc){one, zero};
        *slope = (vc){zero, zero};
        return;
    }
    const vc h = {-g * grid->half, w * grid->half};
    const vf re = v_fma(b, b, v_fnma(h.im, h.im, h.re * h.re)), im = R(2) * h.re * h.im;
    const vf size = v_sqrt(v_fma(re, re, im * im)); // q^2 = re + i im with re > 0
    vc q = {v_sqrt(R(0.5) * (size + re)), zero};
    q.im = im / (q.re + q.re);
    const vc sum = {q.re + b, q.im};
    const vf scale = one / v_fma(sum.re, sum.re, sum.im * sum.im);
    const vc exponent = c_mul((vc){re - b * b, im}, (vc){sum.re * scale, -sum.im * scale}); // q - b = h^2/(q + b)
    vf sine, cosine, e = v_exp(-exponent.re);
    v_sincos(-exponent.im, &sine, &cosine);
    const vf by = one / b;
    *over = c_mul((vc){q.re * by, q.im * by}, (vc){e * cosine, e * sine});
    const vf inverse = one / size; // of |q|^2
    const vc qi = {q.re * inverse, -q.im * inverse}, rate = c_mul(h, qi);
    *slope = c_mul((vc){grid->half * rate.re, grid->half * rate.im}, (vc){one - qi.re, -qi.im});
}

XN_FN void moments_gridded(const int K, const struct block *b, int a, const vf *parameter, struct sums *s)
{
    const struct kit *kit = b->kit;
    const real unit = kit->table->unit;
    const vf step = v_set(kit->table->grid.step);
    vc power[XN_M][9], rising[XN_M][8], p[XN_M], d[XN_M]; // rising: j z^j
    for (int k = 0; k < K; k++) {
        p[k] = d[k] = (vc){v_set(R(0)), v_set(R(0))};
        grid_powers(kit, parameter[2 * k], parameter[2 * k + 1], power[k]);
        for (int j = 1; j < 8; j++) rising[k][j] = (vc){R(j) * power[k][j].re, R(j) * power[k][j].im};
    }
    for (int i = kit->table->grid.points - 8; i >= 0; i -= 8) {
        vf y[8];
        for (int j = 0; j < 8; j++) y[j] = v_load(b->s[a] + (size_t)(i + j) * XN_W);
        for (int k = 0; k < K; k++) {
            vc m0 = {v_fma(y[1], power[k][1].re, y[0]), y[1] * power[k][1].im};
            vc m1 = {y[1] * power[k][1].re, m0.im};
            XN_UNROLL(8)
            for (int j = 2; j < 8; j++) {
                m0 = c_axpy(y[j], power[k][j], m0);
                m1 = c_axpy(y[j], rising[k][j], m1);
            }
            d[k] = c_fma(power[k][8], c_axpy(v_set(R(8)), p[k], d[k]), m1);
            p[k] = c_fma(power[k][8], p[k], m0);
        }
    }
    for (int k = 0; k < K; k++) {
        vc over, slope;
        grid_shape(&kit->table->grid, parameter[2 * k], parameter[2 * k + 1], &over, &slope);
        const vc m0 = c_mul(p[k], over), sloped = c_mul(m0, slope);
        const vc m1 = c_mul((vc){step * d[k].re, step * d[k].im}, over);
        s->y0[2 * k] = m0.re;
        s->y0[2 * k + 1] = m0.im;
        s->y1[2 * k] = unit * (m1.re - sloped.re);
        s->y1[2 * k + 1] = unit * (m1.im - sloped.im);
    }
}

// ---- Gram sums

// The nodes near (g, w), w >= 0: slot 0 their g, then the real parts; slot XN_NODE/2 their w, then the imaginary parts.
// The first `slots` slots, whole multiples of the width.
static __attribute__((noinline)) void node_fetch(const struct grid *grid, vf g, vf w, int slots, vf *out)
{
    const real *from[XN_W];
    real at[XN_W], along[XN_W];
    v_store(at, v_min(v_max((g - grid->lowest) * grid->per_cell, v_set(R(0))), v_set(R(grid->cells - 1))));
    v_store(along, v_min(v_max(w, v_set(R(0))), v_set(R(1e6))));
    for (int i = 0; i < XN_W; i++) {
        const struct grid_row *row = &grid->row[grid->row_of[(int)at[i]]];
        int j = (int)(along[i] * row->per_step + R(0.5));
        j = j < row->last ? j : row->last;
        from[i] = row->node + (size_t)j * XN_NODE;
    }
#if XN_W == 1
    for (int k = 0; k < slots; k++) out[k] = from[0][k];
#else
    for (int k = 0; k < slots; k += XN_W) {
        vf x[XN_W], y[XN_W];
        for (int i = 0; i < XN_W; i++) x[i] = v_load(from[i] + k);
        XN_UNROLL(4)
        for (int half = XN_W / 2; half > 0; half /= 2) { // W = 2^r: r perfect shuffles transpose
            XN_UNROLL(8)
            for (int i = 0; i < XN_W / 2; i++) {
                y[2 * i] = v_zip_low(x[i], x[i + XN_W / 2]);
                y[2 * i + 1] = v_zip_high(x[i], x[i + XN_W / 2]);
            }
            XN_UNROLL(16)
            for (int i = 0; i < XN_W; i++) x[i] = y[i];
        }
        for (int i = 0; i < XN_W; i++) out[k + i] = x[i];
    }
#endif
}

// s[p] = sum_n h_n^2 nu^p exp((-g + i w) t_n), p = 0..P
XN_FN void series_at(const int P, const struct kit *kit, vf g, vf w, vc *s)
{
    const struct grid *grid = &kit->table->grid;
    const vm back = v_lt(w, v_set(R(0)));
    const vf ahead = v_abs(w);
    vf node[XN_NODE];
    node_fetch(grid, g, ahead, XN_NODE, node);
    const vf *re = node, *im = node + XN_NODE / 2;
    const vc u = {(re[0] - g) * grid->length, (ahead - im[0]) * grid->length};
    s[0] = (vc){re[XN_NODE / 2 - 1], im[XN_NODE / 2 - 1]};
    for (int p = 1; p <= P; p++) s[p] = (vc){v_set(R(0)), v_set(R(0))};
    for (int k = XN_NODE / 2 - 2; k >= 1; k--) {
        for (int p = P; p >= 1; p--) s[p] = c_fma(s[p], u, s[p - 1]);
        s[0] = c_fma(s[0], u, (vc){re[k], im[k]});
    }
    real factorial = R(1);
    for (int p = 0; p <= P; p++) {
        s[p] = (vc){factorial * s[p].re, factorial * s[p].im};
        s[p].im = v_sel(back, -s[p].im, s[p].im);
        factorial *= R(p + 1);
    }
}

// The same for w = 0 and P = 2.
XN_FN void series_real(const struct kit *kit, vf g, vf s[3])
{
    const struct grid *grid = &kit->table->grid;
    vf node[XN_NODE / 2];
    node_fetch(grid, g, v_set(R(0)), XN_NODE / 2, node);
    const vf u = (node[0] - g) * grid->length;
    s[0] = node[XN_NODE / 2 - 1];
    s[1] = s[2] = v_set(R(0));
    for (int k = XN_NODE / 2 - 2; k >= 1; k--) {
        s[2] = v_fma(s[2], u, s[1]);
        s[1] = v_fma(s[1], u, s[0]);
        s[0] = v_fma(s[0], u, node[k]);
    }
    s[2] = R(2) * s[2];
}

XN_FN void gram_pair_gridded(const struct kit *kit, const vf *parameter, int j, int l, struct sums *s)
{
    const vf g = parameter[2 * j] + parameter[2 * l];
    vc p[3], r[3];
    series_at(2, kit, g, parameter[2 * j + 1] + parameter[2 * l + 1], p);
    if (j == l) {
        vf q[3];
        series_real(kit, g, q);
        for (int o = 0; o < 3; o++) r[o] = (vc){q[o], v_set(R(0))};
    } else {
        series_at(2, kit, g, parameter[2 * j + 1] - parameter[2 * l + 1], r);
    }
    gram_store(p, r, j, l, s);
}

XN_FN void gram_background_gridded(const int B, const struct kit *kit, vf g, vf w, int k, struct sums *s)
{
    vc m[XN_B + 1];
    series_at(B, kit, g, w, m);
    gram_store_columns(B, kit, m, k, s);
}

XN_FN void gram_columns_gridded(const struct kit *kit, vf g, vf w, int k, struct sums *s){
    XN_CONSTANT_COLUMNS(kit->plan->n_columns, gram_background_gridded(B, kit, g, w, k, s))}

XN_FN void gram_gridded(const int K, const struct kit *kit, const vf *parameter, struct sums *s)
{
    for (int j = 0; j < K; j++) {
        gram_columns_gridded(kit, parameter[2 * j], parameter[2 * j + 1], j, s);
        for (int l = 0; l <= j; l++) gram_pair_gridded(kit, parameter, j, l, s);
    }
}

XN_FN void sums_gridded(const int K, const struct block *b, int a, const vf *parameter, struct sums *s)
{
    moments_gridded(K, b, a, parameter, s);
    gram_gridded(K, b->kit, parameter, s);
}

// ---- residual

// The modes on the grid: of mode k, Re v z^j with v = (beta_c - i beta_s)/D z^(8 i).
XN_FN void model_gridded(const int K, const struct kit *kit, const vf *parameter, const vf *beta, real *model)
{
    vc power[XN_M][9], v[XN_M];
    for (int k = 0; k < K; k++) {
        grid_powers(kit, parameter[2 * k], parameter[2 * k + 1], power[k]);
        vc over, slope;
        grid_shape(&kit->table->grid, parameter[2 * k], parameter[2 * k + 1], &over, &slope);
        v[k] = c_mul((vc){beta[2 * k], -beta[2 * k + 1]}, over);
    }
    for (int i = 0; i < kit->table->grid.points; i += 8) {
        for (int j = 0; j < 8; j++) {
            vf x = v_set(R(0));
            for (int k = 0; k < K; k++) x = v_fma(v[k].re, power[k][j].re, v_fnma(v[k].im, power[k][j].im, x));
            v_store(model + (size_t)(i + j) * XN_W, x);
        }
        for (int k = 0; k < K; k++) v[k] = c_mul(v[k], power[k][8]);
    }
}

// y - h phi beta at the samples, its square and its products with the columns.
XN_FN void residual_gridded(const int K, struct block *b, int a, const vf *parameter, const vf *beta, real *keep,
                            vf *chi2, vf *c)
{
    const struct kit *kit = b->kit;
    const struct grid *grid = &kit->table->grid;
    const int n = kit->plan->n, n_columns = kit->plan->n_columns, taps = grid->taps;
    real *model = kit->wave;
    model_gridded(K, kit, parameter, beta, model);
    *chi2 = v_set(R(0));
    for (int j = 0; j < n_columns; j++) c[j] = *chi2;
    for (int i = 0; i < n; i++) {
        const real *tap = grid->tap + (size_t)i * (size_t)taps, *m = model + (size_t)grid->base[i] * XN_W;
        vf x = v_load(b->y[a] + (size_t)i * XN_W), odd = v_set(R(0));
        for (int j = 0; j + 1 < taps; j += 2) {
            x = v_fnma(v_set(tap[j]), v_load(m + (size_t)j * XN_W), x);
            odd = v_fma(v_set(tap[j + 1]), v_load(m + (size_t)(j + 1) * XN_W), odd);
        }
        if (taps & 1) odd = v_fma(v_set(tap[taps - 1]), v_load(m + (size_t)(taps - 1) * XN_W), odd);
        x = x - odd;
        *chi2 = v_fma(x, x, *chi2);
        for (int j = 0; j < n_columns; j++)
            c[j] = v_fma(v_set(kit->table->column[(size_t)j * (size_t)n + (size_t)i]), x, c[j]);
        if (keep != NULL) v_store(keep + (size_t)i * XN_W, x);
    }
}

#endif
