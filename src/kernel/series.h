// SPDX-License-Identifier: BSD-3-Clause
// series.h -- sums over uniform samples without a sine per sample.
//
// Data moments  M_p = sum_n n^p y_n z^n, p = 0, 1, of z = exp(-g + i w):  Goertzel's real recurrence, 4 FMA per
// sample, or Horner's, 8 FMA and less rounding.  Gram sums are geometric, S_p = sum_{n<N} n^p x^n with x = z_j z_l
// or z_j conj(z_l), built by doubling over the bits of N (no division, stable in float):
//   S_p(2m) = S_p(m) + x^m sum_j binomial(p,j) m^(p-j) S_j(m),     S_p(m+1) = S_p(m) + m^p x^m.
// With P of z_j z_l and R of z_j conj(z_l):  sum c c = Re(P+R)/2, sum s s = Re(R-P)/2, sum s_j c_l = Im(P+R)/2,
// sum c_j s_l = Im(P-R)/2.  Powers of n are taken in units of the length, nu = n/length.
#ifndef XN_KERNEL_SERIES_H
#define XN_KERNEL_SERIES_H

#include "kernel/fit_kit.h"

XN_FN void moments_store(const int K, struct sums s[XN_GROUPS], int a, int k, vc m0, vc m1, real unit)
{
    (void)K;
    s[a].y0[2 * k] = m0.re;
    s[a].y0[2 * k + 1] = m0.im;
    s[a].y1[2 * k] = unit * m1.re;
    s[a].y1[2 * k + 1] = unit * m1.im;
}

XN_FN void moments_goertzel(const int K, const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    const xn_fit_plan *plan = b->kit->plan;
    vf c1[XN_GROUPS][XN_M], c2[XN_GROUPS][XN_M];
    vf b1[XN_GROUPS][XN_M], b2[XN_GROUPS][XN_M], d1[XN_GROUPS][XN_M], d2[XN_GROUPS][XN_M];
    for (int a = 0; a < XN_GROUPS; a++)
        for (int k = 0; k < K; k++) {
            c1[a][k] = R(2) * z[a][k].re;
            c2[a][k] = -(z[a][k].re * z[a][k].re + z[a][k].im * z[a][k].im);
            b1[a][k] = b2[a][k] = d1[a][k] = d2[a][k] = v_set(R(0));
        }
    for (int n = plan->n - 1; n >= 1; n--)
        for (int a = 0; a < XN_GROUPS; a++) {
            vf y = v_load(b->y[a] + (size_t)n * XN_PITCH(b->kit));
            for (int k = 0; k < K; k++) {
                vf t = v_fma(c1[a][k], b1[a][k], v_fma(c2[a][k], b2[a][k], y));
                vf u = v_fma(c1[a][k], d1[a][k], v_fma(c2[a][k], d2[a][k], b1[a][k]));
                b2[a][k] = b1[a][k];
                b1[a][k] = t;
                d2[a][k] = d1[a][k];
                d1[a][k] = u;
            }
        }
    for (int a = 0; a < XN_GROUPS; a++)
        for (int k = 0; k < K; k++) {
            vc p = z[a][k];
            vc m0 = {v_load(b->y[a]) + b1[a][k] * p.re + c2[a][k] * b2[a][k], b1[a][k] * p.im};
            vc q = {d1[a][k] - p.re * d2[a][k], p.im * d2[a][k]};
            vc derivative = {b1[a][k] - R(2) * p.im * q.im, R(2) * p.im * q.re};
            moments_store(K, s, a, k, m0, c_mul(p, derivative), b->kit->table->unit);
        }
}

XN_FN void moments_horner(const int K, const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    const xn_fit_plan *plan = b->kit->plan;
    vc p[XN_GROUPS][XN_M], q[XN_GROUPS][XN_M];
    memset(p, 0, sizeof p);
    memset(q, 0, sizeof q);
    for (int n = plan->n - 1; n >= 0; n--)
        for (int a = 0; a < XN_GROUPS; a++) {
            vf y = v_load(b->y[a] + (size_t)n * XN_PITCH(b->kit));
            for (int k = 0; k < K; k++) {
                q[a][k] = c_fma(q[a][k], z[a][k], p[a][k]);
                p[a][k] = c_fma(p[a][k], z[a][k], (vc){y, v_set(R(0))});
            }
        }
    for (int a = 0; a < XN_GROUPS; a++)
        for (int k = 0; k < K; k++) moments_store(K, s, a, k, p[a][k], c_mul(z[a][k], q[a][k]), b->kit->table->unit);
}

XN_TABLE real xn_binomial[5][5] = {{1}, {1, 1}, {1, 2, 1}, {1, 3, 3, 1}, {1, 4, 6, 4, 1}};

// s[p] = sum_{i<n} (i unit)^p x^i for p = 0..P
XN_FN void geometric(const int P, int n, real unit, vc x, vc *s)
{
    for (int p = 0; p <= P; p++) s[p] = (vc){v_set(p == 0 ? R(1) : R(0)), v_set(R(0))};
    vc power = x;
    real m = unit;
    for (int bit = 30 - __builtin_clz((unsigned)n); bit >= 0; bit--) {
        for (int p = P; p >= 0; p--) {
            vc t = s[p];
            real f = m;
            for (int j = p - 1; j >= 0; j--) {
                t = c_axpy(v_set(xn_binomial[p][j] * f), s[j], t);
                f *= m;
            }
            s[p] = c_fma(power, t, s[p]);
        }
        power = c_mul(power, power);
        m *= R(2);
        if ((n >> bit & 1) == 0) continue;
        real f = R(1);
        for (int p = 0; p <= P; p++) {
            s[p] = c_axpy(v_set(f), power, s[p]);
            f *= m;
        }
        power = c_mul(power, x);
        m += unit;
    }
}

XN_FN void geometric_real(int n, real unit, vf x, vf s[3])
{
    s[0] = v_set(R(1));
    s[1] = s[2] = v_set(R(0));
    vf power = x;
    real m = unit;
    for (int bit = 30 - __builtin_clz((unsigned)n); bit >= 0; bit--) {
        s[2] = v_fma(power, v_fma(v_set(m * m), s[0], v_fma(v_set(R(2) * m), s[1], s[2])), s[2]);
        s[1] = v_fma(power, v_fma(v_set(m), s[0], s[1]), s[1]);
        s[0] = v_fma(power, s[0], s[0]);
        power = power * power;
        m *= R(2);
        if ((n >> bit & 1) == 0) continue;
        s[0] = s[0] + power;
        s[1] = v_fma(v_set(m), power, s[1]);
        s[2] = v_fma(v_set(m * m), power, s[2]);
        power = power * x;
        m += unit;
    }
}

// Gram sums of a pair of modes from P and R above, of nu^0 .. nu^2
XN_FN void gram_store(const vc p[3], const vc r[3], int j, int l, struct sums *s)
{
    vf(*g[3])[XN_Q] = {s->g0, s->g1, s->g2};
    for (int o = 0; o < 3; o++) {
        g[o][2 * j][2 * l] = R(0.5) * (p[o].re + r[o].re);
        g[o][2 * j + 1][2 * l + 1] = R(0.5) * (r[o].re - p[o].re);
        g[o][2 * j + 1][2 * l] = R(0.5) * (p[o].im + r[o].im);
        if (j != l) g[o][2 * j][2 * l + 1] = R(0.5) * (p[o].im - r[o].im);
    }
}

XN_FN void gram_pair(int n, real unit, vc zj, vc zl, int j, int l, struct sums *s)
{
    vc p[3], r[3];
    geometric(2, n, unit, c_mul(zj, zl), p);
    if (j == l) {
        vf q[3];
        geometric_real(n, unit, zj.re * zj.re + zj.im * zj.im, q);
        for (int o = 0; o < 3; o++) r[o] = (vc){q[o], v_set(R(0))};
    } else {
        geometric(2, n, unit, c_mul(zj, c_conj(zl)), r);
    }
    gram_store(p, r, j, l, s);
}

// sum nu^p column_b z^n from the monomial sums m
XN_FN void gram_store_columns(const int B, const struct kit *kit, const vc *m, int k, struct sums *s)
{
    for (int b = 0; b < B; b++) {
        vc c0 = {v_set(R(0)), v_set(R(0))}, c1 = c0;
        for (int p = 0; p <= b; p++) {
            vf f = v_set(kit->table->monomial[b][p]);
            c0 = c_axpy(f, m[p], c0);
            c1 = c_axpy(f, m[p + 1], c1);
        }
        s->c0[b][2 * k] = c0.re;
        s->c0[b][2 * k + 1] = c0.im;
        s->c1[b][2 * k] = c1.re;
        s->c1[b][2 * k + 1] = c1.im;
    }
}

// B is constant in each caller
XN_FN void gram_background(const int B, const struct kit *kit, vc z, int k, struct sums *s)
{
    vc m[XN_B + 1];
    geometric(B, kit->plan->n, kit->table->unit, z, m);
    gram_store_columns(B, kit, m, k, s);
}

XN_FN void gram_columns(const struct kit *kit, vc z, int k, struct sums *s)
{
    switch (kit->plan->n_columns) {
    case 1:
        gram_background(1, kit, z, k, s);
        break;
    case 2:
        gram_background(2, kit, z, k, s);
        break;
    case 3:
        gram_background(3, kit, z, k, s);
        break;
    case 4:
        gram_background(4, kit, z, k, s);
        break;
    default:
        break;
    }
}

XN_FN void gram_closed(const int K, const struct kit *kit, const vc *z, struct sums *s)
{
    XN_FLAT
    for (int j = 0; j < K; j++) {
        gram_columns(kit, z[j], j, s);
        XN_FLAT
        for (int l = 0; l <= j; l++) gram_pair(kit->plan->n, kit->table->unit, z[j], z[l], j, l, s);
    }
}

#endif
