// SPDX-License-Identifier: BSD-3-Clause
// lp_backward.h -- LPSVD: poles as roots of the backward prediction polynomial; a part of lp_body.h.
//
// Kumaresan and Tufts, IEEE Trans. ASSP 30, 833 (1982); Barkhuijsen et al., J. Magn. Reson. 61, 465 (1985).
//   y_n = sum_(k=1..L) b_k y_(n+k), rows n = 0..R-1, that is h = A b
// with the M leading left singular vectors U of A and their values S: b = A^H U S^-2 U^H h, where U and S^2 come from
// A A^H, a matrix of size R = N - L.  Roots of b_L z^L + ... + b_1 z - 1 inside the unit circle belong to the signal,
// the others lie outside; in the mirrored conventions of the literature it is the other way round.
// Noise pushes half of the undamped modes over the circle, and growing ones lie there, within exp(4/N).  U also gives
// poles as in HSVD, and Newton's iteration from them ends at the roots of the signal.  Outside, a root is the signal's
// where it lies within 1.5/N of the pole it was reached from, as two estimates of one pole do: measured for N = 50 to
// 200 and 2 or 6 poles, undamped modes are 0.1/N apart at A/sigma = 10, 0.5/N at 1.5 (99 of 100 below 1.5/N, for
// N = 50 86), and poles of noise 4/N from the root that is reached from them (5 of 100 below 1.5/N).
// All L roots, eigenvalues of the companion matrix, cost 100 times the rest.  A count of the roots inside, O(L^2),
// tells whether any is missing: then further starts around the circle are tried, and at last the companion matrix.
// Forward (direction 1, here the reversed trace) signal and other roots lie on one side of the circle; then the roots
// reached from the poles of U are taken.
#ifndef XN_FIT_LP_BACKWARD_H
#define XN_FIT_LP_BACKWARD_H

#define NEWTON_PASSES 40
#define OUTSIDE 0.1 // beyond the limit, where Newton's iteration may pass
#define BEYOND 8.0  // |z| of a mode that loses nine tenths and more in one step
#define SAME_ROOT 1e-9
#define INSIDE 6.0 // times 1/order: how far inside the circle further starts lie
#define TWO_PI 6.28318530717958647693
#define ROOT_SETTLED 1e-13
#define ON_CIRCLE 1e-6 // a root of an undamped mode lies on the circle
#define TOGETHER 1.5   // times 1/N: a pole of the signal space and the root of the same mode, outside the circle

// b of length order into k->prediction from the eigenvectors U of A A^H and their eigenvalues S^2; A has `rows` rows.
static void prediction(xn_lp_work *k, int rows, int order, int m)
{
    const number *y = (const number *)k->series, *u = (const number *)k->vectors;
    number *b = (number *)k->prediction, *c = (number *)k->column;
    double dropped = 0;
    if (k->o.compensate && m < rows) {
        const number *g = (const number *)k->gram;
        for (int i = 0; i < rows; i++) dropped += REAL(g[i * rows + i]);
        for (int i = 0; i < m; i++) dropped -= k->values[i];
        dropped = fmax(dropped, 0) / (rows - m);
    }
    for (int n = 0; n < rows; n++) c[n] = 0;
    for (int i = 0; i < m; i++) {
        const number *v = u + (size_t)i * (size_t)rows;
        const double left = k->values[i] - dropped;
        number along = 0;
        if (!(left > k->values[m - 1] * BROKEN)) continue;
        for (int n = 0; n < rows; n++) along += CONJ(v[n]) * y[n];
        for (int n = 0; n < rows; n++) c[n] += v[n] * (along / left);
    }
    for (int j = 0; j < order; j++) b[j] = 0;
    for (int n = 0; n < rows; n++)
        for (int j = 0; j < order; j++) b[j] += CONJ(y[n + 1 + j]) * c[n];
}

// p and p' of b_L z^L + ... + b_1 z - 1.
static double complex newton_step(const number *b, int order, double complex z)
{
    const double x = creal(z), y = cimag(z);
    double pr = 0, pi = 0, dr = 0, di = 0; // by hand: complex products would test for NaN each time
    for (int j = order; j >= 0; j--) {
        const double s = dr * x - di * y + pr;
        di = dr * y + di * x + pi, dr = s;
        const double t = pr * x - pi * y + (j > 0 ? REAL(b[j - 1]) : -1);
        pi = pr * y + pi * x;
        pr = t;
#if XN_LP_COMPLEX
        if (j > 0) pi += cimag(b[j - 1]);
#endif
    }
    const double size = dr * dr + di * di;
    return make_complex((pr * dr + pi * di) / size, (pi * dr - pr * di) / size);
}

// How many roots lie inside the unit circle, by the algorithm of Schur and Cohn (Henrici, Applied and Computational
// Complex Analysis 1, 6.8): T p = conj(a_0) p - a_n p*, which has one degree less, again and again; the signs of T p(0)
// tell. a: order + 1 coefficients, spent.
static int roots_inside(number *a, int order)
{
    int inside = 0, sign = 1;
    for (int n = order; n > 0; n--) {
        const number first = CONJ(a[0]), last = a[n];
        const double delta = SIZE2(first) - SIZE2(last), largest = fmax(SIZE2(first), SIZE2(last));
        if (!(largest > 0)) return -1;
        if (delta < 0) {
            inside += sign * n;
            sign = -sign;
        }
        for (int i = 0, j = n; i <= j; i++, j--) { // both ends at once: p* is p backwards
            const number x = a[i], y = a[j];
            a[i] = (first * x - last * CONJ(y)) / largest;
            if (j > i) a[j] = (first * y - last * CONJ(x)) / largest;
        }
    }
    return inside;
}

// Newton's iteration from z; a root of |z| < limit that is not among the count known ones is added to them.
static int find_root(const number *b, int order, double complex z, double limit, int count, double *re, double *im)
{
    bool settled = false;
    for (int pass = 0; pass < NEWTON_PASSES && cabs(z) < limit + OUTSIDE && !settled; pass++) {
        const double complex step = newton_step(b, order, z);
        z -= step;
        settled = cabs(step) < ROOT_SETTLED;
    }
    if (!settled || !(cabs(z) < limit)) return count;
    for (int j = 0; j < count; j++)
        if (cabs(z - make_complex(re[j], im[j])) < SAME_ROOT) return count;
    re[count] = creal(z), im[count] = cimag(z);
    return count + 1;
}

static bool is_inside(double re, double im) { return hypot(re, im) < 1 + ON_CIRCLE; }

// Roots of the signal from the m poles of its space in x, y; returns how many.
static int signal_roots(const xn_lp_work *k, int n, int order, int m, const double *x, const double *y, double *re,
                        double *im)
{
    const bool forward = k->o.direction == 1;
    const double limit = forward ? BEYOND : exp(XN_LP_GROWTH / n);
    int count = 0;
    for (int i = 0; i < m; i++) {
        const double complex pole = make_complex(x[i], y[i]);
        const int found = find_root((const number *)k->prediction, order, pole, limit, count, re, im);
        if (found == count) continue;
        const double apart = cabs(pole - make_complex(re[count], im[count]));
        if (forward || is_inside(re[count], im[count]) || apart < TOGETHER / n) count = found;
    }
    return count;
}

// Puts all roots inside the unit circle, eigenvalues of the companion matrix, in the place of those among the count
// known ones; the others stay.
static int companion(xn_lp_work *k, int order, int count, double *re, double *im)
{
    const number *b = (const number *)k->prediction;
    int last = order, outside = 0;
    if (order > k->order) return count;
    while (last > 0 && !(SIZE2(b[last - 1]) > 0)) last--;
    if (last == 0) return count;
    number *a = (number *)k->companion;
    memset(a, 0, (size_t)last * (size_t)last * sizeof *a);
    for (int j = 0; j < last; j++) { // of 1/z: 1/z^L = b_1/z^(L-1) + ... + b_L
        a[j * last] = b[j];
        if (j + 1 < last) a[j * last + j + 1] = 1;
    }
    number none;
#if XN_LP_COMPLEX
    number *z = (number *)k->roots;
    if (LAPACKE_zhseqr_work(LAPACK_COL_MAJOR, 'E', 'N', last, 1, last, a, last, z, &none, 1, (number *)k->scratch,
                            k->scratch_size) != 0)
        return count;
#else
    double *x = k->roots, *y = x + last;
    if (LAPACKE_dhseqr_work(LAPACK_COL_MAJOR, 'E', 'N', last, 1, last, a, last, x, y, &none, 1, k->scratch,
                            k->scratch_size) != 0)
        return count;
#endif
    for (int i = 0; i < count; i++)
        if (!is_inside(re[i], im[i])) re[outside] = re[i], im[outside] = im[i], outside++;
    count = outside;
    for (int i = 0; i < last && count < XN_LP_MOST_POLES; i++) {
#if XN_LP_COMPLEX
        const double complex inverse = z[i];
#else
        const double complex inverse = make_complex(x[i], y[i]);
#endif
        if (!(cabs(inverse) > 1 / (1 + ON_CIRCLE))) continue;
        re[count] = creal(1 / inverse), im[count] = cimag(1 / inverse);
        count++;
    }
    return count;
}

// The signal's roots from the poles of its space; if those inside are not all there are, further ones from around the
// circle, at last all by the companion matrix.
static int backward_prediction(xn_lp_work *k, int rows, int order, int m, double *re, double *im)
{
    const number *b = (const number *)k->prediction;
    const bool forward = k->o.direction == 1;
    number *copy = (number *)k->rest;
    double x[XN_LP_MOST_POLES], y[XN_LP_MOST_POLES];
    int count = 0, inside = 0;
    prediction(k, rows, order, m);
    copy[0] = -1;
    for (int i = 0; i < order; i++) copy[i + 1] = b[i];
    const int wanted = forward ? 0 : roots_inside(copy, order);
    if (wanted < 0) return 0;
    if (shift_least_squares(k, rows, m, x, y)) count = signal_roots(k, rows + order, order, m, x, y, re, im);
    if (forward) return count;
    for (int i = 0; i < count; i++) inside += is_inside(re[i], im[i]);
    for (int i = 0; i < order / 2 && inside < wanted && count < XN_LP_MOST_POLES && !k->companion_only; i++) {
        const double complex start = cexp(make_complex(-INSIDE / order, (i + 0.5) * 2 * TWO_PI / order));
        const int before = count;
        count = find_root(b, order, start, 1 + ON_CIRCLE, count, re, im);
        inside += count - before;
    }
    return inside < wanted || k->companion_only ? companion(k, order, count, re, im) : count;
}

#endif
