// SPDX-License-Identifier: BSD-3-Clause
// start.h -- start values: the highest peak of a windowed, zero-padded periodogram.
//
// Window exp(-rate t), about the damping to be expected: the one trick that finds more modes at low signal to noise
// than any number of candidate peaks.  Uniform delays: a Fourier transform per block, two real traces as one complex
// one (group 0 real, group 1 imaginary), separated through X_j and X_{N-j}; decimation in frequency, in place, so
// that powers stand in digit-reversed order and are looked up.  Other delays: the sums at their actual times from a
// table.  The peak is a local maximum inside the band, refined by a parabola through the powers.
#ifndef XN_KERNEL_START_H
#define XN_KERNEL_START_H

#include "kernel/prepare.h"

#define XN_DIRECT 4 // frequencies summed at once

XN_FN vc c_load(const real *p) { return (vc){v_load(p), v_load(p + XN_W)}; }
XN_FN void c_store(real *p, vc x)
{
    v_store(p, x.re);
    v_store(p + XN_W, x.im);
}
XN_FN vc c_sub(vc a, vc b) { return (vc){a.re - b.re, a.im - b.im}; }
XN_FN vc c_turn(vc a) { return (vc){a.im, -a.re}; } // times -i

// Four points: forward transform of x in place, without twiddles.
XN_FN void fourier4(vc x[4])
{
    vc s = c_add(x[0], x[2]), d = c_sub(x[0], x[2]), t = c_add(x[1], x[3]), u = c_turn(c_sub(x[1], x[3]));
    x[0] = c_add(s, t);
    x[1] = c_add(d, u);
    x[2] = c_sub(s, t);
    x[3] = c_sub(d, u);
}

XN_FN vc twiddle(const struct table *t, int i, vc x) { return c_mul(x, (vc){v_set(t->cosine[i]), v_set(-t->sine[i])}); }

static void fourier_pass4(const struct table *t, int n, int len, real *x)
{
    const int q = len / 4, turn = n / len;
    for (int s = 0; s < n; s += len)
        for (int j = 0; j < q; j++) {
            real *p = x + (size_t)(s + j) * 2 * XN_W;
            const size_t step = (size_t)q * 2 * XN_W;
            vc v[4] = {c_load(p), c_load(p + step), c_load(p + 2 * step), c_load(p + 3 * step)};
            fourier4(v);
            c_store(p, v[0]);
            c_store(p + step, twiddle(t, j * turn, v[1]));
            c_store(p + 2 * step, twiddle(t, 2 * j * turn, v[2]));
            c_store(p + 3 * step, twiddle(t, 3 * j * turn, v[3]));
        }
}

static void fourier(const struct kit *kit, real *x)
{
    const int n = kit->plan->n_grid;
    int len = n;
    for (; len >= 4; len /= 4) fourier_pass4(kit->table, n, len, x);
    if (len == 2)
        for (int s = 0; s < n; s += 2) {
            real *p = x + (size_t)s * 2 * XN_W;
            vc a = c_load(p), b = c_load(p + 2 * XN_W);
            c_store(p, c_add(a, b));
            c_store(p + 2 * XN_W, c_sub(a, b));
        }
}

// Where power j stands after the passes above: the digits of j in reverse.
static void fourier_places(int n, int *place)
{
    for (int j = 0; j < n; j++) {
        int rest = j, at = 0, len = n;
        for (; len >= 4; len /= 4, rest /= 4) at += rest % 4 * (len / 4);
        place[j] = len == 2 ? at + rest % 2 : at;
    }
}

// Powers at grid_lo-1 .. grid_hi+1 of both groups into power[group][j][W].
static void powers_fourier(const struct block *b, const real *const y[XN_GROUPS], real *x, real *power[XN_GROUPS])
{
    const struct kit *kit = b->kit;
    const xn_fit_plan *plan = kit->plan;
    for (int i = 0; i < plan->n; i++) {
        const vf w = v_set(kit->table->window[i]);
        for (int a = 0; a < XN_GROUPS; a++) {
            vf v = w * v_load(y[a] + (size_t)i * XN_W);
            if (!plan->closed) v = v * v_load(b->h[a] + (size_t)i * XN_W);
            v_store(x + ((size_t)i * 2 + (size_t)a) * XN_W, v);
        }
    }
    memset(x + (size_t)plan->n * 2 * XN_W, 0, (size_t)(plan->n_grid - plan->n) * 2 * XN_W * sizeof(real));
    fourier(kit, x);
    const int mask = plan->n_grid - 1;
    for (int j = plan->grid_lo - 1; j <= plan->grid_hi + 1; j++) {
        vc p = c_load(x + (size_t)kit->table->place[j] * 2 * XN_W);
        vc q = c_load(x + (size_t)kit->table->place[(plan->n_grid - j) & mask] * 2 * XN_W);
        vc even = c_add(p, c_conj(q)), odd = c_sub(p, c_conj(q));
        size_t at = (size_t)(j - plan->grid_lo + 1) * XN_W;
        v_store(power[0] + at, even.re * even.re + even.im * even.im);
        v_store(power[1] + at, odd.re * odd.re + odd.im * odd.im);
    }
}

static void powers_direct(const struct block *b, const real *const y[XN_GROUPS], real *power[XN_GROUPS])
{
    const xn_fit_plan *plan = b->kit->plan;
    const size_t n = (size_t)plan->n;
    const int count = plan->grid_hi - plan->grid_lo + 3;
    for (int j = 0; j < count; j += XN_DIRECT) {
        vc sum[XN_GROUPS][XN_DIRECT];
        memset(sum, 0, sizeof sum);
        const real *cosine = b->kit->table->cosine + (size_t)j * n, *sine = b->kit->table->sine + (size_t)j * n;
        for (size_t i = 0; i < n; i++)
            for (int a = 0; a < XN_GROUPS; a++) {
                vf v = v_load(y[a] + i * XN_W);
                for (int d = 0; d < XN_DIRECT; d++) {
                    sum[a][d].re += v * cosine[(size_t)d * n + i];
                    sum[a][d].im += v * sine[(size_t)d * n + i];
                }
            }
        for (int a = 0; a < XN_GROUPS; a++)
            for (int d = 0; d < XN_DIRECT && j + d < count; d++)
                v_store(power[a] + (size_t)(j + d) * XN_W, sum[a][d].re * sum[a][d].re + sum[a][d].im * sum[a][d].im);
    }
}

// w of the highest local maximum; without one (a slope all over the band) its lower end.
XN_FN vf peak(const xn_fit_plan *plan, const real *power)
{
    vf best = v_set(R(-1)), at = v_set(R(plan->grid_lo)), left = best, right = best;
    vf before = v_load(power), here = v_load(power + XN_W);
    for (int j = plan->grid_lo; j <= plan->grid_hi; j++) {
        vf after = v_load(power + (size_t)(j - plan->grid_lo + 2) * XN_W);
        vm m = v_and(v_and(v_gt(here, before), v_ge(here, after)), v_gt(here, best));
        best = v_sel(m, here, best);
        left = v_sel(m, before, left);
        right = v_sel(m, after, right);
        at = v_sel(m, v_set(R(j)), at);
        before = here;
        here = after;
    }
    vf bend = left - R(2) * best + right;
    vf shift = R(0.5) * (left - right) / v_sel(v_lt(bend, v_set(R(0))), bend, v_set(R(-1)));
    shift = v_sel(v_lt(v_set(R(0)), best), v_min(v_max(shift, v_set(R(-0.5))), v_set(R(0.5))), v_set(R(0)));
    return (at + shift) * R(6.28318530717958647693 / plan->n_grid);
}

static void start_periodogram(const struct block *b, const real *const y[XN_GROUPS], vf w[XN_GROUPS])
{
    const struct kit *kit = b->kit;
    const xn_fit_plan *plan = kit->plan;
    const size_t count = (size_t)(plan->grid_hi - plan->grid_lo + 3) * XN_W;
    real *power[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) power[a] = kit->wave + (size_t)a * count;
    if (plan->uniform)
        powers_fourier(b, y, kit->wave + XN_GROUPS * count, power);
    else
        powers_direct(b, y, power);
    for (int a = 0; a < XN_GROUPS; a++)
        w[a] = v_min(v_max(peak(plan, power[a]), v_set(R(plan->w_lo))), v_set(R(plan->w_hi)));
}

#endif
