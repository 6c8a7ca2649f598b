// SPDX-License-Identifier: BSD-3-Clause
// lp_select.c -- which poles of a real trace are its modes: those that together explain most of it.
//
// Orthogonal matching: of all pairs of poles the one that explains most of the rest is taken, its two columns are made
// orthogonal to those before it and taken out of the rest and of all other pairs; until max_modes are found.  So the
// poles that only follow noise or background, beyond the modes, are passed over, and of two poles at one line the
// second is worth nothing.  (The highest singular values belong to the trace as a whole, not to single poles.)
#include "fit/lp_work.h"

#include <math.h>
#include <string.h>

#include "xani/traces.h"

#define PI 3.14159265358979323846
#define LOWEST (0.9 * 2 * PI) // times 1/n: one period in the trace, less what noise may shift it
#define HIGHEST (0.97 * PI)   // poles this near to Nyquist have no phase
#define STEEPEST 2.0          // decay per sample
#define SPENT 1e-20           // of the trace's energy: an atom that is this much left is a combination of others

typedef struct {
    double w, g;
    double along[2][2 * XANI_MAX_MODES]; // of cosine and sine: components along the orthonormal columns chosen so far
    bool used;
} candidate;

static double dot(const double *a, const double *b, int n)
{
    double s[4] = {0, 0, 0, 0};
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < 4; j++) s[j] += a[i + j] * b[i + j];
    for (; i < n; i++) s[0] += a[i] * b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static void subtract(double *a, double s, const double *b, int n)
{
    for (int i = 0; i < n; i++) a[i] -= s * b[i];
}

static void make_atom(double w, double g, int n, double *c, double *s)
{
    double complex z = cexp(-g + I * w), x = 1;
    for (int i = 0; i < n; i++) {
        c[i] = creal(x);
        s[i] = cimag(x);
        x *= z;
    }
}

// What of the rest's energy lies in the plane of c and s, that is |projection|^2.
static double gain(const double *rest, const double *c, const double *s, int n)
{
    double cc = dot(c, c, n), ss = dot(s, s, n), cs = dot(c, s, n), c1 = dot(c, rest, n), s1 = dot(s, rest, n);
    double det = cc * ss - cs * cs;
    if (!(det > SPENT * (cc + ss) * (cc + ss))) return 0;
    return (c1 * c1 * ss - 2 * c1 * s1 * cs + s1 * s1 * cc) / det;
}

// Makes the chosen atom's two columns orthonormal and takes them out of the rest and of all other atoms.
static void take(candidate *list, int n_list, int chosen, int rank, int n, xn_lp_work *k)
{
    candidate *best = &list[chosen];
    best->used = true;
    for (int h = 0; h < 2; h++) {
        double *q = k->atom + (size_t)(2 * chosen + h) * (size_t)n;
        double length = sqrt(dot(q, q, n));
        best->along[h][2 * rank + h] = length;
        for (int i = 0; i < n; i++) q[i] = length > 0 ? q[i] / length : 0;
        for (int c = 0; c < n_list; c++)
            for (int half = 0; half < 2; half++) {
                bool later = c == chosen ? half > h : !list[c].used;
                double *a = k->atom + (size_t)(2 * c + half) * (size_t)n;
                if (!later) continue;
                double s = list[c].along[half][2 * rank + h] = dot(a, q, n);
                subtract(a, s, q, n);
            }
    }
}

typedef struct {
    double w, g, amplitude, energy;
} mode;

// Coefficients of the chosen atoms: the triangular system left by the orthogonalisation.
static void amplitudes(const candidate *list, const int *chosen, const double *along_y, int count, int n, mode *out)
{
    double x[2 * XANI_MAX_MODES] = {0};
    for (int i = 2 * count - 1; i >= 0; i--) {
        double s = along_y[i];
        for (int j = i + 1; j < 2 * count; j++) s -= list[chosen[j / 2]].along[j % 2][i] * x[j];
        double d = list[chosen[i / 2]].along[i % 2][i];
        x[i] = d > 0 ? s / d : 0;
    }
    for (int c = 0; c < count; c++) {
        const candidate *p = &list[chosen[c]];
        double a = hypot(x[2 * c], x[2 * c + 1]), decay = 2 * p->g * n;
        double length = fabs(decay) < 1e-6 ? n : -expm1(-decay) / (2 * p->g); // sum of exp(-2 g i)
        out[c] = (mode){p->w, p->g, a, a * a * length};
    }
}

// Leaves out modes whose amplitude is below a fraction of the largest.
static int drop_weak(mode *modes, int count, double threshold)
{
    double largest = 0;
    int kept = 0;
    for (int i = 0; i < count; i++) largest = fmax(largest, modes[i].amplitude);
    for (int i = 0; i < count; i++)
        if (modes[i].amplitude >= threshold * largest) modes[kept++] = modes[i];
    return kept;
}

int xn_lp_modes(const double *y, int n, int max_modes, xn_lp_work *k, double *w_rad, double *g_per_sample,
                double *amplitude)
{
    if (n < XN_LP_SHORTEST || n > k->n || max_modes < 1 || max_modes > XANI_MAX_MODES) return 0;
    double energy = dot(y, y, n), re[XN_LP_MOST_POLES], im[XN_LP_MOST_POLES];
    if (!(energy > 0 && isfinite(energy))) return 0;
    candidate list[XN_LP_MOST_POLES / 2];
    int count = 0, rank;
    const int poles = xn_lp_poles(y, n, k, re, im, &rank);
    for (int i = 0; i < poles; i++) {
        double w = atan2(im[i], re[i]), g = -log(hypot(re[i], im[i]));
        if (!(w >= LOWEST / n && w <= HIGHEST && g > -XN_LP_GROWTH / n && g < STEEPEST))
            continue; // of each pair the one above the axis
        if (count == XN_LP_MOST_POLES / 2) break;
        list[count] = (candidate){.w = w, .g = g};
        double *c = k->atom + 2 * (size_t)count * (size_t)n;
        make_atom(w, g, n, c, c + n);
        count++;
    }
    memcpy(k->rest, y, (size_t)n * sizeof *y);
    int chosen[XANI_MAX_MODES], found = 0;
    double along_y[2 * XANI_MAX_MODES];
    for (; found < max_modes; found++) {
        double most = 0;
        int best = -1;
        for (int c = 0; c < count; c++) {
            if (list[c].used) continue;
            const double *a = k->atom + 2 * (size_t)c * (size_t)n;
            double e = gain(k->rest, a, a + n, n);
            if (e > most) most = e, best = c;
        }
        if (best < 0 || !(most > SPENT * energy)) break;
        take(list, count, best, found, n, k);
        for (int h = 0; h < 2; h++) {
            const double *q = k->atom + (size_t)(2 * best + h) * (size_t)n;
            along_y[2 * found + h] = dot(q, k->rest, n);
            subtract(k->rest, along_y[2 * found + h], q, n);
        }
        chosen[found] = best;
    }
    mode modes[XANI_MAX_MODES];
    amplitudes(list, chosen, along_y, found, n, modes);
    found = drop_weak(modes, found, k->o.amplitude_threshold);
    for (int i = 0; i < found; i++) { // strongest first
        int best = i;
        for (int j = i + 1; j < found; j++)
            if (modes[j].energy > modes[best].energy) best = j;
        mode swap = modes[i];
        modes[i] = modes[best];
        modes[best] = swap;
        w_rad[i] = modes[i].w;
        g_per_sample[i] = modes[i].g;
        amplitude[i] = modes[i].amplitude;
    }
    return found;
}
