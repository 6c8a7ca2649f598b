// SPDX-License-Identifier: BSD-3-Clause
// series.h -- sums over uniform samples without a sine per sample.
//
// Data moments  M_p = sum_n n^p y_n z^n, p = 0, 1, of z = exp(-g + i w):  Goertzel's real recurrence, 4 FMA per
// sample, or Horner's, 8 FMA and less rounding.  Gram sums are geometric, S_p = sum_{n<N} n^p x^n.  For x = z and
// z_j z_l, which the band keeps away from 1, they have a closed form (geometric_direct); x = z_j conj(z_l) comes as
// near to 1 as two modes are alike, and is built by doubling over the bits of N (no division, stable in float):
//   S_p(2m) = S_p(m) + x^m sum_j binomial(p,j) m^(p-j) S_j(m),     S_p(m+1) = S_p(m) + m^p x^m.
// With P of z_j z_l and R of z_j conj(z_l):  sum c c = Re(P+R)/2, sum s s = Re(R-P)/2, sum s_j c_l = Im(P+R)/2,
// sum c_j s_l = Im(P-R)/2.  Powers of n are taken in units of the length, nu = n/length.
#ifndef XN_KERNEL_SERIES_H
#define XN_KERNEL_SERIES_H

#include "kernel/fit_kit.h"

// z^n by squaring, so that it goes with the rounded z of the moments
XN_FN vc pole_power(vc z, int n)
{
    vc power = z;
    for (int bit = 30 - __builtin_clz((unsigned)n); bit >= 0; bit--) {
        power = c_mul(power, power);
        if (n >> bit & 1) power = c_mul(power, z);
    }
    return power;
}

XN_FN void moments_store(struct sums *s, int k, vc m0, vc m1, real unit)
{
    s->y0[2 * k] = m0.re;
    s->y0[2 * k + 1] = m0.im;
    s->y1[2 * k] = unit * m1.re;
    s->y1[2 * k + 1] = unit * m1.im;
}

struct goertzel {
    vf b1, b2, d1, d2;
};

// Written entry by entry: clearing the arrays at once calls for a loop of the processor's own, a twentieth of a pass.
XN_FN struct goertzel goertzel_begin(void)
{
    const vf zero = v_set(R(0));
    return (struct goertzel){zero, zero, zero, zero};
}

XN_FN void goertzel_step(vf c1, vf c2, vf y, struct goertzel *g)
{
    vf t = v_fma(c1, g->b1, v_fma(c2, g->b2, y));
    vf u = v_fma(c1, g->d1, v_fma(c2, g->d2, g->b1));
    g->b2 = g->b1;
    g->b1 = t;
    g->d2 = g->d1;
    g->d1 = u;
}

// Two steps, of samples y, then before: the states change places and need not be moved.
XN_FN void goertzel_steps(vf c1, vf c2, vf y, vf before, struct goertzel *g)
{
    g->d2 = v_fma(c1, g->d1, v_fma(c2, g->d2, g->b1));
    g->b2 = v_fma(c1, g->b1, v_fma(c2, g->b2, y));
    g->d1 = v_fma(c1, g->d2, v_fma(c2, g->d1, g->b2));
    g->b1 = v_fma(c1, g->b2, v_fma(c2, g->b1, before));
}

// The moments after the step of sample 1; y is sample 0.
XN_FN void goertzel_end(vc z, vf c2, vf y, const struct goertzel *g, vc *m0, vc *m1)
{
    *m0 = (vc){v_fma(g->b1, z.re, v_fma(c2, g->b2, y)), g->b1 * z.im};
    vc q = {v_fnma(z.re, g->d2, g->d1), z.im * g->d2},
       derivative = {v_fnma(R(2) * z.im, q.im, g->b1), R(2) * z.im * q.re};
    *m1 = c_mul(z, derivative);
}

XN_FN vf goertzel_c2(vc z) { return -v_fma(z.re, z.re, z.im * z.im); }

// One mode: both halves of the trace side by side, M_p = A_p + z^half (B_p + p half B_0), because the four chains of
// one mode in two groups would wait for each other.
XN_FN void moments_halves(const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    const int n = b->kit->plan->n, half = n / 2;
    struct goertzel g[XN_GROUPS][2];
    vf c1[XN_GROUPS], c2[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) {
        for (int h = 0; h < 2; h++) g[a][h] = goertzel_begin();
        c1[a] = R(2) * z[a][0].re;
        c2[a] = goertzel_c2(z[a][0]);
        if (n & 1) g[a][1].b1 = v_load(b->y[a] + (size_t)(n - 1) * XN_PITCH(b->kit));
    }
    const size_t pitch = XN_PITCH(b->kit);
    int i = half - 1;
    XN_TURNS(4)
    for (; i >= 2; i -= 2)
        for (int a = 0; a < XN_GROUPS; a++)
            for (int h = 0; h < 2; h++) {
                const real *y = b->y[a] + (size_t)(h * half + i) * pitch;
                goertzel_steps(c1[a], c2[a], v_load(y), v_load(y - pitch), &g[a][h]);
            }
    for (int a = 0; i == 1 && a < XN_GROUPS; a++)
        for (int h = 0; h < 2; h++)
            goertzel_step(c1[a], c2[a], v_load(b->y[a] + (size_t)(h * half + 1) * pitch), &g[a][h]);
    for (int a = 0; a < XN_GROUPS; a++) {
        vc low[2], high[2], to = pole_power(z[a][0], half);
        goertzel_end(z[a][0], c2[a], v_load(b->y[a]), &g[a][0], &low[0], &low[1]);
        goertzel_end(z[a][0], c2[a], v_load(b->y[a] + (size_t)half * XN_PITCH(b->kit)), &g[a][1], &high[0], &high[1]);
        high[1] = c_axpy(v_set(R(half)), high[0], high[1]);
        moments_store(&s[a], 0, c_fma(to, high[0], low[0]), c_fma(to, high[1], low[1]), b->kit->table->unit);
    }
}

// Several modes of `many` groups from group `first` on: enough chains, and no more states than registers.
XN_FN void moments_chains(const int K, const int first, const int many, const struct block *b, vc z[XN_GROUPS][XN_M],
                          struct sums s[XN_GROUPS])
{
    struct goertzel g[XN_GROUPS][XN_M];
    vf c1[XN_GROUPS][XN_M], c2[XN_GROUPS][XN_M];
    for (int a = first; a < first + many; a++)
        for (int k = 0; k < K; k++) {
            g[a][k] = goertzel_begin();
            c1[a][k] = R(2) * z[a][k].re;
            c2[a][k] = goertzel_c2(z[a][k]);
        }
    const size_t pitch = XN_PITCH(b->kit);
    int i = b->kit->plan->n - 1;
    XN_TURNS(4)
    for (; i >= 2; i -= 2)
        for (int a = first; a < first + many; a++) {
            const real *y = b->y[a] + (size_t)i * pitch;
            const vf here = v_load(y), before = v_load(y - pitch);
            for (int k = 0; k < K; k++) goertzel_steps(c1[a][k], c2[a][k], here, before, &g[a][k]);
        }
    for (int a = first; i == 1 && a < first + many; a++)
        for (int k = 0; k < K; k++) goertzel_step(c1[a][k], c2[a][k], v_load(b->y[a] + pitch), &g[a][k]);
    for (int a = first; a < first + many; a++)
        for (int k = 0; k < K; k++) {
            vc m0, m1;
            goertzel_end(z[a][k], c2[a][k], v_load(b->y[a]), &g[a][k], &m0, &m1);
            moments_store(&s[a], k, m0, m1, b->kit->table->unit);
        }
}

XN_FN void moments_goertzel(const int K, const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    if (K == 1 && b->kit->plan->n >= 4)
        moments_halves(b, z, s);
    else if (K <= 2)
        moments_chains(K, 0, XN_GROUPS, b, z, s);
    else
        for (int a = 0; a < XN_GROUPS; a++) moments_chains(K, a, 1, b, z, s);
}

// The same for Horner's scheme, whose two chains are twice as long: parts of the trace side by side, one or two.
XN_FN void horner_parts(const int K, const int parts, const struct block *b, vc z[XN_GROUPS][XN_M],
                        struct sums s[XN_GROUPS])
{
    const int n = b->kit->plan->n, length = n / parts;
    vc p[XN_GROUPS][2][XN_M], q[XN_GROUPS][2][XN_M];
    for (int a = 0; a < XN_GROUPS; a++)
        for (int h = 0; h < parts; h++)
            for (int k = 0; k < K; k++) p[a][h][k] = q[a][h][k] = (vc){v_set(R(0)), v_set(R(0))};
    for (int a = 0; parts == 2 && a < XN_GROUPS; a++) // an odd sample more at the end
        for (int k = 0; (n & 1) && k < K; k++) p[a][1][k].re = v_load(b->y[a] + (size_t)(n - 1) * XN_PITCH(b->kit));
    XN_TURNS(4)
    for (int i = length - 1; i >= 0; i--)
        for (int a = 0; a < XN_GROUPS; a++)
            for (int h = 0; h < parts; h++) {
                vf y = v_load(b->y[a] + (size_t)(h * length + i) * XN_PITCH(b->kit));
                for (int k = 0; k < K; k++) {
                    q[a][h][k] = c_fma(q[a][h][k], z[a][k], p[a][h][k]);
                    p[a][h][k] = c_fma(p[a][h][k], z[a][k], (vc){y, v_set(R(0))});
                }
            }
    for (int a = 0; a < XN_GROUPS; a++)
        for (int k = 0; k < K; k++) {
            vc m0 = p[a][0][k], m1 = c_mul(z[a][k], q[a][0][k]);
            if (parts == 2) {
                vc to = pole_power(z[a][k], length), high = c_mul(z[a][k], q[a][1][k]);
                m0 = c_fma(to, p[a][1][k], m0);
                m1 = c_fma(to, c_axpy(v_set(R(length)), p[a][1][k], high), m1);
            }
            moments_store(&s[a], k, m0, m1, b->kit->table->unit);
        }
}

XN_FN void moments_horner(const int K, const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    if (K == 1 && b->kit->plan->n >= 4)
        horner_parts(K, 2, b, z, s);
    else
        horner_parts(K, 1, b, z, s);
}

// Goertzel's or Horner's, as the kit says. On a processor a function for itself: elsewhere the compiler keeps what it
// has no registers for, and the recurrences wait for memory.
XN_FN void moments_closed(const int K, const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    if (b->kit->moments == XN_MOMENTS_GOERTZEL)
        moments_goertzel(K, b, z, s);
    else if (b->kit->moments == XN_MOMENTS_HORNER)
        moments_horner(K, b, z, s);
}

#ifdef XN_DEVICE
XN_FN void moments(const int K, const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    moments_closed(K, b, z, s);
}
#else
#define XN_MOMENTS_FOR(K)                                                                                              \
    static __attribute__((noinline)) void moments_##K(const struct block *b, vc z[XN_GROUPS][XN_M], struct sums *s)    \
    {                                                                                                                  \
        moments_closed(K, b, z, s);                                                                                    \
    }
XN_MOMENTS_FOR(1)
XN_MOMENTS_FOR(2)
XN_MOMENTS_FOR(3)
XN_MOMENTS_FOR(4)
static void (*const moments_of[XN_M])(const struct block *, vc (*)[XN_M], struct sums *) = {moments_1, moments_2,
                                                                                            moments_3, moments_4};
XN_FN void moments(const int K, const struct block *b, vc z[XN_GROUPS][XN_M], struct sums s[XN_GROUPS])
{
    moments_of[K - 1](b, z, s);
}
#endif

XN_TABLE real xn_binomial[5][5] = {{1}, {1, 1}, {1, 2, 1}, {1, 3, 3, 1}, {1, 4, 6, 4, 1}};

// s[p] = sum_{i<n} (i unit)^p x^i for p = 0..P, any x
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

// The same for x away from 1, with power = x^n: from (1 - x) sum i^p x^i = sum (i^p - (i-1)^p) x^i - (n-1)^p x^n.
// 1/(1 - x) is at most n/6 for every z and z_j z_l in the band (from 1/T to 0.95 Nyquist), so nothing cancels.
XN_FN void geometric_direct(const int P, int n, real unit, vc x, vc power, vc *s)
{
    const vf one = v_set(R(1));
    vf re = one - x.re, scale = one / v_fma(re, re, x.im * x.im);
    const vc d = {re * scale, x.im * scale};
    s[0] = c_mul((vc){one - power.re, -power.im}, d);
    const vc first = {s[0].re - one, s[0].im}; // without i = 0, which is there for p = 0 only
    real last = R(1);
    for (int p = 1; p <= P; p++) {
        last *= R(n - 1) * unit;
        vc t = {-last * power.re, -last * power.im};
        real f = unit;
        for (int j = p - 1; j >= 0; j--) {
            t = c_axpy(v_set(xn_binomial[p][j] * f), j > 0 ? s[j] : first, t);
            f *= -unit;
        }
        s[p] = c_mul(t, d);
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

// to: z^n
XN_FN void gram_pair(int n, real unit, vc zj, vc zl, vc to_j, vc to_l, int j, int l, struct sums *s)
{
    vc p[3], r[3];
    geometric_direct(2, n, unit, c_mul(zj, zl), c_mul(to_j, to_l), p);
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
XN_FN void gram_background(const int B, const struct kit *kit, vc z, vc to, int k, struct sums *s)
{
    vc m[XN_B + 1];
    geometric_direct(B, kit->plan->n, kit->table->unit, z, to, m);
    gram_store_columns(B, kit, m, k, s);
}

XN_FN void gram_columns(const struct kit *kit, vc z, vc to, int k,
                        struct sums *s){XN_CONSTANT_COLUMNS(kit->plan->n_columns, gram_background(B, kit, z, to, k, s))}

XN_FN void gram_closed(const int K, const struct kit *kit, const vc *z, struct sums *s)
{
    vc to[XN_M];
    XN_FLAT
    for (int j = 0; j < K; j++) {
        to[j] = pole_power(z[j], kit->plan->n);
        gram_columns(kit, z[j], to[j], j, s);
        XN_FLAT
        for (int l = 0; l <= j; l++) gram_pair(kit->plan->n, kit->table->unit, z[j], z[l], to[j], to[l], j, l, s);
    }
}

#endif
