// SPDX-License-Identifier: BSD-3-Clause
// guess.c -- start values from the data, one shape at a time (kinds.h).
//
// Only what the model is not linear in must be good here: amplitudes follow by linear least squares (start.c).  Data
// come with ascending x and without background.  Extremes are taken on averages of three samples, so that one outlier
// does not make a peak.
#include <math.h>

#include "lsq/kinds.h"

#define PI 3.14159265358979323846
#define OVERSAMPLING 4 // frequencies tried per 1/span

static double smooth(const double *y, int64_t n, int64_t i)
{
    if (n < 5) return y[i];
    const int64_t a = i > 0 ? i - 1 : i, b = i + 1 < n ? i + 1 : i;
    return (y[a] + y[i] + y[b]) / 3.0;
}

static double span_of(const double *x, int64_t n)
{
    const double span = x[n - 1] - x[0];
    return span > 0.0 ? span : 1.0;
}

static int64_t highest(const double *y, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (fabs(smooth(y, n, i)) > fabs(smooth(y, n, at))) at = i;
    return at;
}

// x where y first falls to `level` times its value at `top`, going by `step`; the end of the data if it never does.
static double crossing(const double *x, const double *y, int64_t n, int64_t top, int step, double level)
{
    const double height = smooth(y, n, top), goal = level * height;
    for (int64_t i = top; i + step >= 0 && i + step < n; i += step) {
        const double a = smooth(y, n, i), b = smooth(y, n, i + step);
        if ((b - goal) * height > 0.0) continue;
        return a != b ? x[i] + (x[i + step] - x[i]) * (a - goal) / (a - b) : x[i];
    }
    return step > 0 ? x[n - 1] : x[0];
}

void xn_guess_none(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order, (void)x, (void)y, (void)n, (void)p, (void)scratch;
}

// centre, sigma, and what follows: shape parameters in the middle of their range.
void xn_guess_peak(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order, (void)scratch;
    const int64_t top = highest(y, n);
    const double left = crossing(x, y, n, top, -1, 0.5), right = crossing(x, y, n, top, 1, 0.5);
    const double least = 0.5 * span_of(x, n) / (double)n, half = fmax(0.5 * (right - left), least);
    p[1] = 0.5 * (left + right);
    p[2] = half / 1.18;
    p[3] = 0.5;
}

// Around its level far away a Fano line rises by amplitude q^2 at t = sigma/(2 q) and falls to -amplitude at
// t = -q sigma/2.
void xn_guess_fano(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order, (void)scratch;
    const double level = 0.5 * (smooth(y, n, 0) + smooth(y, n, n - 1));
    int64_t top = 0, low = 0;
    for (int64_t i = 1; i < n; i++) {
        if (smooth(y, n, i) > smooth(y, n, top)) top = i;
        if (smooth(y, n, i) < smooth(y, n, low)) low = i;
    }
    const double up = smooth(y, n, top) - level, down = level - smooth(y, n, low), apart = x[top] - x[low];
    const double q = down > 0.0 && up > 0.0 ? fmin(fmax(sqrt(up / down), 0.1), 10.0) : 1.0;
    p[3] = apart < 0.0 ? -q : q;
    p[2] = 2.0 * fmax(fabs(apart), span_of(x, n) / (double)n) / (q + 1.0 / q);
    p[1] = x[top] - 0.5 * p[2] / p[3];
}

// Centre where half of the way from the first to the last tenth is done, width from a quarter to three quarters.
void xn_guess_step(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order, (void)scratch;
    const int64_t tenth = n >= 10 ? n / 10 : 1;
    double low = 0.0, high = 0.0, at[3] = {NAN, NAN, NAN};
    for (int64_t i = 0; i < tenth; i++) {
        low += y[i] / (double)tenth;
        high += y[n - 1 - i] / (double)tenth;
    }
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            if (isnan(at[k]) && (smooth(y, n, i) - low) / (high - low) >= 0.25 * (k + 1)) at[k] = x[i];
    for (int k = 0; k < 3; k++)
        if (isnan(at[k])) at[k] = 0.5 * (x[0] + x[n - 1]);
    p[1] = at[1];
    p[2] = fmax(at[2] - at[0], span_of(x, n) / (double)n);
}

// Decays spread evenly in their logarithm over what the span of x can tell apart; of two or more the outermost are
// a twentieth and the whole of the span. One decay alone: by where the data have fallen to 1/e of their first value.
void xn_guess_decay(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)scratch;
    const double span = span_of(x, n);
    if (order <= 1) {
        const double fall = crossing(x, y, n, 0, 1, 0.36788) - x[0];
        p[1] = fall > 0.0 ? fall : 0.3 * span;
        p[2] = 1.0;
        return;
    }
    for (int k = 0; k < order; k++) p[2 * k + 1] = span * pow(20.0, (double)(k + 1 - order) / (order - 1)) / 1.5;
}

// A sudden rise and a slow fall: centre at half height on the way up.
void xn_guess_onset(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order, (void)scratch;
    const int64_t top = highest(y, n);
    const double least = span_of(x, n) / (double)n, fall = crossing(x, y, n, top, 1, 0.36788) - x[top];
    p[1] = crossing(x, y, n, top, -1, 0.5);
    p[2] = fmax(0.7 * (x[top] - p[1]), 0.5 * least);
    p[3] = fmax(fall, least);
}

// Exponent: slope of ln|y| over ln x.
void xn_guess_power(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order, (void)scratch;
    double w = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] > 0.0) || y[i] == 0.0) continue;
        const double u = log(x[i]), v = log(fabs(y[i]));
        w += 1, sx += u, sy += v, sxx += u * u, sxy += u * v;
    }
    const double spread = w * sxx - sx * sx;
    p[1] = spread > 0.0 ? (w * sxy - sx * sy) / spread : 1.0;
}

// Mean and spread of ln x, weighted by the area |y| x d(ln x) on evenly spaced x.
void xn_guess_lognormal(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order, (void)scratch;
    double w = 0, m = 0, q = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] > 0.0)) continue;
        const double u = log(x[i]), share = fabs(y[i]);
        w += share, m += share * u, q += share * u * u;
    }
    p[1] = w > 0.0 ? m / w : 0.0;
    p[2] = w > 0.0 ? sqrt(fmax(q / w - p[1] * p[1], 1e-6)) : 1.0;
}

// ---- waves

// Frequency (cycles per x) of the largest |sum y exp(-g x) exp(2 pi i f x)| up to the mean Nyquist frequency, refined
// by a parabola. Frequencies are stepped through by rotation, all samples at once. scratch: 4 n.
static double strongest(const double *x, const double *y, int64_t n, double window, double *scratch)
{
    const double span = span_of(x, n), step = 1.0 / (OVERSAMPLING * span);
    const int64_t steps = OVERSAMPLING * (n - 1) / 2;
    double *c = scratch, *s = c + n, *turn_c = s + n, *turn_s = turn_c + n, best = 0.0, power[3] = {0}, around[3] = {0};
    for (int64_t i = 0; i < n; i++) {
        const double t = x[i] - x[0], angle = 2.0 * PI * step * t, a = y[i] * exp(-window * t);
        turn_c[i] = cos(angle);
        turn_s[i] = sin(angle);
        c[i] = a;
        s[i] = 0.0;
    }
    int64_t found = 0;
    for (int64_t k = 1; k <= steps + 1; k++) {
        double re = 0.0, im = 0.0;
        for (int64_t i = 0; i < n; i++) {
            const double t = c[i] * turn_c[i] - s[i] * turn_s[i];
            s[i] = c[i] * turn_s[i] + s[i] * turn_c[i];
            c[i] = t;
            re += t;
            im += s[i];
        }
        power[0] = power[1];
        power[1] = power[2];
        power[2] = re * re + im * im;
        if (k < 3 || power[1] <= best || power[1] < power[0] || power[1] < power[2]) continue;
        best = power[1];
        found = k - 1;
        for (int j = 0; j < 3; j++) around[j] = power[j];
    }
    if (found == 0) return 1.0 / span;
    const double bend = around[0] - 2.0 * around[1] + around[2];
    return step * ((double)found + (bend < 0.0 ? 0.5 * (around[0] - around[2]) / bend : 0.0));
}

// Amplitude and phase of exp(-g x) cos(2 pi f x + phase) by linear least squares.
static void fit_wave(const double *x, const double *y, int64_t n, double g, double f, double *amplitude, double *phase)
{
    double cc = 0, cs = 0, ss = 0, yc = 0, ys = 0;
    for (int64_t i = 0; i < n; i++) {
        const double e = exp(-g * x[i]), c = e * cos(2.0 * PI * f * x[i]), s = e * sin(2.0 * PI * f * x[i]);
        cc += c * c, cs += c * s, ss += s * s, yc += y[i] * c, ys += y[i] * s;
    }
    const double det = cc * ss - cs * cs, a = (yc * ss - ys * cs) / det, b = (ys * cc - yc * cs) / det;
    const bool good = det > 1e-12 * cc * ss;
    *amplitude = good ? hypot(a, b) : sqrt(2.0 / (double)n);
    *phase = good ? atan2(-b, a) : 0.0;
}

void xn_guess_sine(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    (void)order;
    p[1] = strongest(x, y, n, 0.0, scratch);
    fit_wave(x, y, n, 0.0, p[1], &p[0], &p[2]);
    p[2] += 0.5 * PI; // sin(u + pi/2) = cos u
}

// One mode after the other, each from what the ones before it leave. Windowed as the damping will be.
void xn_guess_waves(int order, const double *x, const double *y, int64_t n, double *p, double *scratch)
{
    double *rest = scratch + 4 * n;
    const double window = 2.0 / span_of(x, n);
    double mean = 0.0;
    for (int64_t i = 0; i < n; i++) mean += y[i] / (double)n;
    for (int64_t i = 0; i < n; i++) rest[i] = y[i] - mean;
    for (int k = 0; k < order; k++) {
        double *q = p + 4 * k;
        q[1] = window;
        q[2] = strongest(x, rest, n, window, scratch);
        fit_wave(x, rest, n, q[1], q[2], &q[0], &q[3]);
        for (int64_t i = 0; i < n; i++) rest[i] -= q[0] * exp(-q[1] * x[i]) * cos(2.0 * PI * q[2] * x[i] + q[3]);
    }
}
