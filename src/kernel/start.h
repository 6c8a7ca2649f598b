// SPDX-License-Identifier: BSD-3-Clause
// start.h -- start values: the highest peak of a windowed, zero-padded periodogram.
//
// Window exp(-rate t), about the damping to be expected: the one trick that finds more modes at low signal to noise
// than any number of candidate peaks.  Uniform delays: a Fourier transform in lanes.  Even and odd samples are the two
// parts of a complex series of half the length; its transform Z gives X_k = E + O, X_(M-k)* = E - O with
// E = Z_k + Z*_(M-k), O = -i exp(-i pi k/M) (Z_k - Z*_(M-k)).  (Two traces in one complex transform would be as cheap,
// but each would change the other by rounding.)  Decimation in frequency, in place, four digits of two at a time, so
// that results stand in digit-reversed order and are looked up.  Delays near a grid count as on it here; far from any:
// the sums at their actual times from a table.  The peak is a local maximum inside the band.  The power of a decaying
// mode times the window is A/(gamma^2 + (omega - w)^2) near its peak, gamma = g + rate, but for what is left of it at
// the end of the trace: a parabola through 1/power at the peak and beside it tells w and g.
#ifndef XN_KERNEL_START_H
#define XN_KERNEL_START_H

#include "kernel/prepare.h"

#define XN_DIRECT 4       // frequencies summed at once
#define XN_SLOWEST R(0.5) // damping at the start, of the window's rate
#define XN_FASTEST R(4)
#define XN_TOWERS R(4) // power of a slope at 1/T over the highest maximum, to be a mode of less than two periods

XN_FN vc c_load(const real *p, size_t pitch) { return (vc){v_load(p), v_load(p + pitch)}; }
XN_FN void c_store(real *p, size_t pitch, vc x)
{
    v_store(p, x.re);
    v_store(p + pitch, x.im);
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

// Four points x[0], x[step], ..., of a transform of length n/turn, the first of them at j.
XN_FN void butterfly(const struct table *t, vc *x, const int step, int j, int turn)
{
    vc v[4] = {x[0], x[step], x[2 * step], x[3 * step]};
    fourier4(v);
    x[0] = v[0];
    x[step] = twiddle(t, j * turn, v[1]);
    x[2 * step] = twiddle(t, 2 * j * turn, v[2]);
    x[3 * step] = twiddle(t, 3 * j * turn, v[3]);
}

// Samples 2i and 2i+1 of a uniform trace as a complex number, times the window; zeros behind the end
XN_FN vc windowed(const struct kit *kit, const real *y, int i)
{
    const real *window = kit->table->window + 2 * i;
    const int n = kit->plan->n - 2 * i;
    const size_t pitch = XN_PITCH(kit);
    const vf zero = v_set(R(0));
    y += 2 * (size_t)i * pitch;
    return (vc){n > 0 ? v_load(y) * window[0] : zero, n > 1 ? v_load(y + pitch) * window[1] : zero};
}

// One sweep: n/len transforms of length len, each split into 16 of length len/16. y: instead of what stands in x
XN_FN void fourier_pass16(const struct kit *kit, int n, int len, int n_grid, const real *y, real *x)
{
    const struct table *t = kit->table;
    const int q = len / 16, turn = n_grid / len;
    const size_t pitch = XN_WAVE(kit), step = (size_t)q * 2 * pitch;
    for (int s = 0; s < n; s += len)
        for (int j = 0; j < q; j++) {
            real *p = x + (size_t)(s + j) * 2 * pitch;
            vc v[16];
            XN_UNROLL(16)
            for (int i = 0; i < 16; i++)
                v[i] = y != NULL ? windowed(kit, y, j + i * q) : c_load(p + (size_t)i * step, pitch);
            XN_UNROLL(4)
            for (int i = 0; i < 4; i++) butterfly(t, v + i, 4, j + i * q, turn);
            XN_UNROLL(4)
            for (int i = 0; i < 4; i++) butterfly(t, v + 4 * i, 1, j, 4 * turn);
            XN_UNROLL(16)
            for (int i = 0; i < 16; i++) c_store(p + (size_t)i * step, pitch, v[i]);
        }
}

// What is left: transforms of length len = 2, 4 or 8.
XN_FN void fourier_tail(const struct kit *kit, int n, const int len, int n_grid, real *x)
{
    const struct table *t = kit->table;
    const size_t pitch = XN_WAVE(kit);
    for (int s = 0; s < n; s += len) {
        real *p = x + (size_t)s * 2 * pitch;
        vc v[8];
        for (int i = 0; i < len; i++) v[i] = c_load(p + (size_t)i * 2 * pitch, pitch);
        for (int i = 0; i < len / 4; i++) butterfly(t, v + i, len / 4, i, n_grid / len);
        for (int i = 0; len != 4 && i < len; i += 2) {
            vc sum = c_add(v[i], v[i + 1]);
            v[i + 1] = c_sub(v[i], v[i + 1]);
            v[i] = sum;
        }
        for (int i = 0; i < len; i++) c_store(p + (size_t)i * 2 * pitch, pitch, v[i]);
    }
}

// y: of samples that are not in x yet, where n_grid is at least 32
XN_PART void fourier(const struct kit *kit, const real *y, real *x)
{
    const int n_grid = kit->plan->n_grid, n = n_grid / 2;
    int len = n;
    if (y != NULL) {
        fourier_pass16(kit, n, len, n_grid, y, x);
        len /= 16;
    }
    for (; len >= 16; len /= 16) fourier_pass16(kit, n, len, n_grid, NULL, x);
    if (len == 8) fourier_tail(kit, n, 8, n_grid, x);
    if (len == 4) fourier_tail(kit, n, 4, n_grid, x);
    if (len == 2) fourier_tail(kit, n, 2, n_grid, x);
}

#ifndef XN_DEVICE
// Where Z_j stands after the passes above: its digits in reverse.
static void fourier_places(int n, int *place)
{
    for (int j = 0; j < n; j++) {
        int rest = j, at = 0, len = n;
        for (; len >= 4; len /= 4, rest /= 4) at += rest % 4 * (len / 4);
        place[j] = len == 2 ? at + rest % 2 : at;
    }
}
#endif

struct peak {
    vf at, best, left, right; // grid index, power there and beside it
};

// Powers of a trace by grid index. A device that keeps the transform in its block's memory stores none (NULL): there is
// no room for them, and few are asked for.
struct spectrum {
    real *power, *transform;
};
#ifdef XN_DEVICE
#define XN_STORED(power) ((power) != NULL)
#else
#define XN_STORED(power) true
#endif

XN_FN void peak_raise(vf power, vm higher, vf at, struct peak *p)
{
    p->at = v_sel(higher, at, p->at);
    p->best = v_max(power, p->best);
}

// The highest power of the band
XN_FN void peak_search(const struct kit *kit, const real *power, struct peak *p)
{
    p->at = v_set(R(kit->plan->grid_lo));
    p->best = v_set(R(-1));
    for (int j = kit->plan->grid_lo; j <= kit->plan->grid_hi; j++) {
        const vf now = v_load(power + (size_t)j * XN_WAVE(kit));
        peak_raise(now, v_gt(now, p->best), v_set(R(j)), p);
    }
}

// Powers of j and of half - j from the transform of a trace, 0 <= j <= half/2.
XN_FN void power_pair(const struct kit *kit, const real *x, int j, vf *below, vf *above)
{
    const struct table *t = kit->table;
    const int half = kit->plan->n_grid / 2;
    const size_t pitch = XN_WAVE(kit);
    const vc a = c_load(x + (size_t)t->place[j] * 2 * pitch, pitch);
    const vc b = c_conj(c_load(x + (size_t)t->place[(half - j) & (half - 1)] * 2 * pitch, pitch));
    const vc e = c_add(a, b), o = twiddle(t, j, c_turn(c_sub(a, b))), up = c_add(e, o), down = c_sub(e, o);
    *below = v_fma(up.re, up.re, up.im * up.im);
    *above = v_fma(down.re, down.re, down.im * down.im);
}

// Power j of the grid: as it was stored, or from the transform again.
XN_FN vf power_at(const struct kit *kit, const struct spectrum *s, int j)
{
#ifdef XN_DEVICE
    if (s->power == NULL) {
        vf below, above;
        const int half = kit->plan->n_grid / 2;
        power_pair(kit, s->transform, j <= half / 2 ? j : half - j, &below, &above);
        return j <= half / 2 ? below : above;
    }
#endif
    return v_load(s->power + (size_t)j * XN_WAVE(kit));
}

// Powers of the grid, one below the band to one above, and the highest one in it.
XN_PART void powers_band(const struct kit *kit, const struct spectrum *s, struct peak *p)
{
    const int half = kit->plan->n_grid / 2, lo = kit->plan->grid_lo, hi = kit->plan->grid_hi;
    const int from = lo - 1 < half - hi - 1 ? lo - 1 : half - hi - 1, last = hi + 1 < half / 2 ? hi + 1 : half / 2;
    const size_t pitch = XN_WAVE(kit);
    real *const power = s->power, *const x = s->transform; // a store could change what s says, as compilers see it
    struct peak low, high;
    high.at = low.at = v_set(R(lo));
    high.best = low.best = v_set(R(-1));
    vf at = v_set(R(from)), below, above;
    for (int j = from; j <= last; j++, at = at + v_set(R(1))) {
        power_pair(kit, x, j, &below, &above);
        const int mirror = half - j;
        if (XN_STORED(power)) v_store(power + (size_t)j * pitch, below);
        if (j >= lo && j <= hi) peak_raise(below, v_gt(below, low.best), at, &low);
        if (mirror == j || mirror > hi + 1) continue;
        if (XN_STORED(power)) v_store(power + (size_t)mirror * pitch, above);
        if (mirror >= lo && mirror <= hi) peak_raise(above, v_ge(above, high.best), v_set(R(half)) - at, &high);
    }
    peak_raise(high.best, v_gt(high.best, low.best), high.at, &low);
    p->at = low.at;
    p->best = low.best;
}

// Powers of one group, and the highest one.
XN_PART void powers_fourier(const struct block *b, int a, const real *y, const struct spectrum *s, struct peak *p)
{
    const struct kit *kit = b->kit;
    const struct table *t = kit->table;
    real *x = s->transform;
    if (kit->plan->uniform && kit->plan->closed && !kit->plan->gridded && kit->plan->n_grid >= 32) {
        fourier(kit, y, x);
        powers_band(kit, s, p);
        return;
    }
    const int n = kit->plan->n;
    const size_t pitch = XN_WAVE(kit);
#ifndef XN_DEVICE
    const int points = kit->plan->gridded ? t->grid.start.points : 0; // y is on the grid; one turn of it may be shorter
#else
    const int points = 0;
#endif
    const int filled = points > 0 ? points : kit->plan->uniform ? n : 0; // else slots may stay empty
    for (int i = filled; i < kit->plan->n_grid; i++) v_store(x + (size_t)i * pitch, v_set(R(0)));
#ifndef XN_DEVICE
    for (int i = 0; i < points; i++) {
        const vf v = v_set(t->grid.window[i]) * v_load(y + (size_t)i * XN_W);
        real *at = x + (size_t)(i & (kit->plan->n_grid - 1)) * pitch;
        v_store(at, i < kit->plan->n_grid ? v : v_load(at) + v);
    }
#endif
    for (int i = 0; points == 0 && i < n; i++) {
        vf v = v_set(t->window[i]) * v_load(y + (size_t)i * XN_PITCH(kit));
        if (!kit->plan->closed) v = v * v_load(b->h[a] + (size_t)i * XN_PITCH(kit));
        v_store(x + (size_t)t->slot[i] * pitch, v);
    }
    fourier(kit, NULL, x);
    powers_band(kit, s, p);
#ifndef XN_DEVICE
    for (int j = kit->plan->grid_lo - 1; points > 0 && j <= kit->plan->grid_hi + 1; j++) {
        real *at = s->power + (size_t)j * XN_W;
        v_store(at, v_set(t->grid.level[j]) * v_load(at));
    }
    if (points > 0) peak_search(kit, s->power, p);
#endif
}

XN_PART void powers_direct(const struct block *b, const real *const y[XN_GROUPS], const struct spectrum *s)
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
                vf v = v_load(y[a] + i * XN_PITCH(b->kit));
                for (int d = 0; d < XN_DIRECT; d++) {
                    sum[a][d].re = v_fma(v, v_set(cosine[(size_t)d * n + i]), sum[a][d].re);
                    sum[a][d].im = v_fma(v, v_set(sine[(size_t)d * n + i]), sum[a][d].im);
                }
            }
        for (int a = 0; a < XN_GROUPS; a++)
            for (int d = 0; d < XN_DIRECT && j + d < count; d++)
                v_store(s[a].power + (size_t)(plan->grid_lo - 1 + j + d) * XN_WAVE(b->kit),
                        sum[a][d].re * sum[a][d].re + sum[a][d].im * sum[a][d].im);
    }
}

// Powers of the block's samples y, its own or what is left of them, and the highest ones.
XN_PART void block_powers(const struct block *b, const real *const y[XN_GROUPS], const struct spectrum *s,
                          struct peak p[XN_GROUPS])
{
    const struct kit *kit = b->kit;
    if (!kit->plan->near_grid) {
        powers_direct(b, y, s);
        for (int a = 0; a < XN_GROUPS; a++) peak_search(kit, s[a].power, &p[a]);
        return;
    }
    for (int a = 0; a < XN_GROUPS; a++) {
        const real *from = y[a];
#ifndef XN_DEVICE
        if (kit->plan->gridded) {
            real *spread = kit->rest + XN_GROUPS * group_size(kit);
            grid_spread(1, &kit->table->grid.start, from, 0, spread, 0);
            from = spread;
        }
#endif
        powers_fourier(b, a, from, &s[a], &p[a]);
    }
}

// The highest local maximum of a band whose highest power lies at its end.
XN_RARE void peak_inside(const struct kit *kit, const struct spectrum *s, struct peak *p)
{
    const xn_fit_plan *plan = kit->plan;
    p->at = v_set(R(plan->grid_lo));
    p->best = p->left = p->right = v_set(R(-1));
    for (int j = plan->grid_lo; j <= plan->grid_hi; j++) {
        vf before = power_at(kit, s, j - 1), now = power_at(kit, s, j), after = power_at(kit, s, j + 1);
        vm m = v_and(v_and(v_gt(now, before), v_ge(now, after)), v_gt(now, p->best));
        p->best = v_sel(m, now, p->best);
        p->left = v_sel(m, before, p->left);
        p->right = v_sel(m, after, p->right);
        p->at = v_sel(m, v_set(R(j)), p->at);
    }
    if (plan->w_lo * plan->length > 6.2831854) return; // a band that was asked for: what lies below is not wanted
    // Less than two periods in a trace may have no maximum: a slope that towers over all maxima is taken for such a
    // mode.
    vf end = power_at(kit, s, plan->grid_lo), below = power_at(kit, s, plan->grid_lo - 1);
    vm m = v_and(v_ge(below, end), v_gt(end, XN_TOWERS * p->best));
    p->best = v_sel(m, end, p->best);
    p->left = v_sel(m, end, p->left);
    p->right = v_sel(m, end, p->right);
    p->at = v_sel(m, v_set(R(plan->grid_lo)), p->at);
}

// w and g from the powers of a peak.
XN_FN void peak_shape(const struct kit *kit, const struct peak *p, vf *w, vf *g)
{
    const vf none = v_set(R(0)), half = v_set(R(0.5));
    const real rate = R(kit->plan->window_rate);
    const vf least = v_max(p->best * R(1e-6), v_set(XN_TINY));
    const vf left = p->best / v_max(p->left, least), right = p->best / v_max(p->right, least);
    const vf bend = v_max(left + right - R(2), v_set(R(1e-3)));
    const vf shift = v_min(v_max(R(0.5) * (left - right) / bend, -half), half);
    const vf width = v_sqrt(v_max(R(2) / bend - shift * shift, none)) * kit->table->line;
    *w = (p->at + v_sel(v_lt(none, p->best), shift, none)) * kit->table->line;
    *g = v_min(v_max(width - rate, v_set(XN_SLOWEST * rate)), v_set(XN_FASTEST * rate));
}

// From the highest power to the highest local maximum, and w and g of that; without one (a slope all over the band) its
// lower end.
XN_FN void peak(const struct kit *kit, const struct spectrum *s, struct peak *p, vf *w, vf *g)
{
    const vf lo = v_set(R(kit->plan->grid_lo)), hi = v_set(R(kit->plan->grid_hi));
#if XN_W == 1
    p->left = power_at(kit, s, (int)p->at - 1);
    p->right = power_at(kit, s, (int)p->at + 1);
#else
    const size_t pitch = XN_WAVE(kit);
    real at[XN_W], left[XN_W], right[XN_W];
    v_store(at, p->at);
    for (int i = 0; i < XN_W; i++) {
        const real *here = s->power + (size_t)(int)at[i] * pitch + (size_t)i;
        left[i] = *(here - pitch);
        right[i] = here[pitch];
    }
    p->left = v_load(left);
    p->right = v_load(right);
#endif
    vm slope = v_or(v_and(v_le(p->at, lo), v_ge(p->left, p->best)), v_and(v_ge(p->at, hi), v_gt(p->right, p->best)));
    if (v_any(slope)) peak_inside(kit, s, p);
    peak_shape(kit, p, w, g);
}

XN_PART void start_periodogram(const struct block *b, const real *const y[XN_GROUPS], vf w[XN_GROUPS], vf g[XN_GROUPS])
{
    const struct kit *kit = b->kit;
    const xn_fit_plan *plan = kit->plan;
    const size_t count = (size_t)(plan->n_grid / 2 + 1) * XN_WAVE(kit);
    struct peak p[XN_GROUPS];
    struct spectrum s[XN_GROUPS];
    for (int a = 0; a < XN_GROUPS; a++) {
        s[a].power = kit->wave + (size_t)a * count;
        s[a].transform = kit->wave + XN_GROUPS * count; // of one group after the other
#ifdef XN_DEVICE
        if (kit->in_block) {
            s[a].power = NULL;
            s[a].transform = kit->wave;
        }
#endif
    }
    block_powers(b, y, s, p);
    for (int a = 0; a < XN_GROUPS; a++) {
        peak(kit, &s[a], &p[a], &w[a], &g[a]);
        w[a] = v_min(v_max(w[a], v_set(kit->table->lo[1])), v_set(kit->table->hi[1]));
        g[a] = v_min(v_max(g[a], v_set(kit->table->lo[0])), v_set(kit->table->hi[0]));
    }
}

#endif
