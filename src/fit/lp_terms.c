// SPDX-License-Identifier: BSD-3-Clause
// lp_terms.c -- from poles to terms with amplitude and phase, and on to the least-squares minimum.
//
// Amplitudes: linear least squares by LAPACK's rank-revealing QR over all poles that do not grow wildly, with a cosine
// and a sine for each pair of a real trace; two poles at one place share its amplitude instead of spoiling all.
// Refinement: the poles of linear prediction are not those of least squares, weak ones scatter by several times the
// Cramer-Rao bound.  Gauss-Newton steps in all parameters, halved until the sum of squares falls, lead to the minimum;
// with lambda = -g + i w the column of a step in lambda is n c z^n, for a real trace the parts of (a - i b) n z^n.
#include "fit/lp_work.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
#define DEFICIENT 1e-12
#define AT_ONCE 1e-3  // |z|: gone after one sample, so it describes nothing
#define STRIDE_MOST 2 // times 1/n: of one step in g or w
#define HALVINGS 4
#define FLAT 1e-10 // relative fall of the sum of squares that ends the refinement

// exp((-g + i w) n) into re, im (samples `stride` apart); im may be NULL.
static void damped(const xn_lp_term *t, int n, int stride, double *re, double *im)
{
    const double complex z = cexp(make_complex(-t->g, t->w));
    const double x = creal(z), y = cimag(z);
    double c = 1, s = 0;
    for (int i = 0; i < n; i++) {
        re[i * stride] = c;
        if (im != NULL) im[i * stride] = s;
        const double next = c * x - s * y;
        s = c * y + s * x;
        c = next;
    }
}

int xn_lp_terms_make(const xn_lp_work *k, int n, const double *re, const double *im, int poles, xn_lp_term *t)
{
    int count = 0;
    for (int i = 0; i < poles; i++) {
        const double size = hypot(re[i], im[i]);
        if (!(size > AT_ONCE && -log(size) > -XN_LP_GROWTH / n)) continue;
        if (!k->o.complex_traces && im[i] < 0) continue;
        const bool single = !k->o.complex_traces && im[i] == 0;
        t[count++] = (xn_lp_term){.w = atan2(im[i], re[i]), .g = -log(size), .single = single};
    }
    return count;
}

static int columns_of(const xn_lp_work *k, const xn_lp_term *t) { return k->o.complex_traces || t->single ? 1 : 2; }

// The columns of one term at c.
static void fill(const xn_lp_work *k, const xn_lp_term *t, int n, double *c)
{
    if (k->o.complex_traces)
        damped(t, n, 2, c, c + 1);
    else
        damped(t, n, 1, c, t->single ? NULL : c + n);
}

// Its columns for a step in -g and in w at d, from those at c.
static void fill_derivative(const xn_lp_work *k, const xn_lp_term *t, int n, const double *c, double *d)
{
    for (int i = 0; i < n; i++) {
        if (k->o.complex_traces) {
            d[2 * i] = i * (t->a * c[2 * i] - t->b * c[2 * i + 1]);
            d[2 * i + 1] = i * (t->a * c[2 * i + 1] + t->b * c[2 * i]);
        } else if (t->single) {
            d[i] = i * t->a * c[i];
        } else {
            d[i] = i * (t->a * c[i] + t->b * c[n + i]);
            d[n + i] = i * (t->b * c[i] - t->a * c[n + i]);
        }
    }
}

// Least squares of k->rest on the columns in k->atom, solution into k->rest; false: LAPACK gave up.
static bool solve(xn_lp_work *k, int n, int columns)
{
    lapack_int rank = 0;
    if (columns > n) return false;
    if (columns == 0) return true;
    for (int i = 0; i < columns; i++) k->index[i] = 0;
    if (k->o.complex_traces)
        return LAPACKE_zgelsy_work(LAPACK_COL_MAJOR, n, columns, 1, (lapack_complex_double *)k->atom, n,
                                   (lapack_complex_double *)k->rest, n, k->index, DEFICIENT, &rank,
                                   (lapack_complex_double *)k->scratch, k->scratch_size, k->real_scratch) == 0;
    return LAPACKE_dgelsy_work(LAPACK_COL_MAJOR, n, columns, 1, k->atom, n, k->rest, n, k->index, DEFICIENT, &rank,
                               k->scratch, k->scratch_size) == 0;
}

// k->rest = y less all terms; returns the sum of its squares.
static double subtract_terms(xn_lp_work *k, const double *y, int n, const xn_lp_term *t, int count)
{
    const int width = k->o.complex_traces ? 2 : 1;
    double *model = k->atom, sum = 0;
    memcpy(k->rest, y, (size_t)(width * n) * sizeof *y);
    for (int i = 0; i < count; i++) {
        damped(&t[i], n, 2, model, model + 1);
        for (int s = 0; s < n; s++) {
            const double c = model[2 * s], d = model[2 * s + 1];
            if (width == 1) {
                k->rest[s] -= t[i].a * c + t[i].b * d;
            } else {
                k->rest[2 * s] -= t[i].a * c - t[i].b * d;
                k->rest[2 * s + 1] -= t[i].a * d + t[i].b * c;
            }
        }
    }
    for (int i = 0; i < width * n; i++) sum += k->rest[i] * k->rest[i];
    return sum;
}

// Amplitudes; returns the sum of squares of the rest, which stands in k->rest.
static double linear(xn_lp_work *k, const double *y, int n, xn_lp_term *t, int count)
{
    const int width = k->o.complex_traces ? 2 : 1;
    int columns = 0;
    for (int i = 0; i < count; i++) {
        fill(k, &t[i], n, k->atom + (size_t)columns * (size_t)(width * n));
        columns += columns_of(k, &t[i]);
    }
    memcpy(k->rest, y, (size_t)(width * n) * sizeof *y);
    if (!solve(k, n, columns)) return NAN;
    for (int i = 0, c = 0; i < count; i++) {
        t[i].a = k->rest[c++];
        t[i].b = !t[i].single ? k->rest[c++] : 0;
    }
    return subtract_terms(k, y, n, t, count);
}

// Steps in g and w of each term from the rest in k->rest, none further than the stride; false: there is none.
static bool gauss_newton(xn_lp_work *k, int n, const xn_lp_term *t, int count, double *dg, double *dw)
{
    const size_t size = (size_t)(k->o.complex_traces ? 2 * n : n);
    int columns = 0, at = 0;
    for (int i = 0; i < count; i++) {
        const int own = columns_of(k, &t[i]);
        double *c = k->atom + (size_t)columns * size;
        fill(k, &t[i], n, c);
        fill_derivative(k, &t[i], n, c, c + (size_t)own * size);
        columns += 2 * own;
    }
    if (!solve(k, n, columns)) return false;
    const double most = (double)STRIDE_MOST / n;
    for (int i = 0; i < count; i++) {
        const int own = k->o.complex_traces ? 2 : columns_of(k, &t[i]);
        const double *step = k->rest + at + own;
        dg[i] = fmin(fmax(-step[0], -most), most);
        dw[i] = own == 2 ? fmin(fmax(step[1], -most), most) : 0;
        at += 2 * own;
    }
    return true;
}

static double refine(xn_lp_work *k, const double *y, int n, xn_lp_term *t, int count, double sum)
{
    double dg[XN_LP_MOST_POLES], dw[XN_LP_MOST_POLES];
    xn_lp_term trial[XN_LP_MOST_POLES];
    for (int pass = 0; pass < k->o.refine; pass++) {
        double next = NAN;
        subtract_terms(k, y, n, t, count);
        if (!gauss_newton(k, n, t, count, dg, dw)) break;
        for (int half = 0; half <= HALVINGS && !(next < sum); half++) {
            const double part = ldexp(1, -half);
            for (int i = 0; i < count; i++) {
                trial[i] = t[i];
                trial[i].g = fmax(t[i].g + part * dg[i], -XN_LP_GROWTH / n);
                trial[i].w += part * dw[i];
            }
            next = linear(k, y, n, trial, count);
        }
        if (!(next < sum)) break;
        memcpy(t, trial, (size_t)count * sizeof *t);
        const bool flat = sum - next < FLAT * sum;
        sum = next;
        if (flat) break;
    }
    return sum;
}

// Steps may lead past frequency 0 or Nyquist's; the same samples have a frequency between them.
static void fold(const xn_lp_work *k, xn_lp_term *t)
{
    t->w = remainder(t->w, 2 * PI);
    if (k->o.complex_traces || t->w >= 0) return;
    t->w = -t->w;
    t->b = -t->b;
}

double xn_lp_terms_fit(xn_lp_work *k, const double *y, int n, xn_lp_term *t, int count)
{
    double sum = linear(k, y, n, t, count);
    if (k->o.refine > 0 && count > 0 && isfinite(sum)) sum = refine(k, y, n, t, count, sum);
    for (int i = 0; i < count; i++) {
        fold(k, &t[i]);
        const double decay = 2 * t[i].g, length = fabs(decay * n) < 1e-6 ? n : -expm1(-decay * n) / decay;
        t[i].energy = (t[i].a * t[i].a + t[i].b * t[i].b) * length;
    }
    return sum / n;
}
