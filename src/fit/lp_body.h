// SPDX-License-Identifier: BSD-3-Clause
// lp_body.h -- poles of a trace by HSVD, HTLS or LPSVD; included once for real and once for complex numbers.
//
// Hankel matrix H_ij = y_(i+j).  Its leading M singular vectors span the columns z_k^j of the M strongest poles.
// They are the eigenvectors of G_ij = sum_r y_(r+i) conj(y_(r+j)), which needs no H: each element follows from its
// upper left neighbour by one product out and one in.  This halves the digits: signals down to 1e-6 of the strongest
// are found.  The M leading eigenvectors V come from Lanczos' iteration with full orthogonalisation (as in HLSVD:
// Pijnappel et al., J. Magn. Reson. 97, 122 (1992)) and LAPACK's tridiagonal solver.  Then, V_b without the last row,
// V_t without the first, u the last row and f the first, conjugated:
//   HSVD (Kung et al. 1983; Barkhuijsen, de Beer, van Ormondt, J. Magn. Reson. 73, 553 (1987)): V_t = V_b Z by least
//     squares, and since V is orthonormal Z = (I + u u^H/(1 - u^H u)) V_b^H V_t; the z_k are its eigenvalues.
//   HTLS (Van Huffel et al., J. Magn. Reson. A 110, 228 (1994)): total least squares. W1, W2: the halves of the M least
//     eigenvectors of [V_b V_t]^H [V_b V_t], all of which follows from u, f and V_b^H V_t; Z = -W1 W2^-1.
//   LPSVD (Kumaresan and Tufts 1982): backward prediction with the M leading left vectors, lp_backward.h.
// A shell defines XN_LP_COMPLEX and includes this file.
#include "fit/lp_work.h"

#include <math.h>
#include <string.h>

#include <cblas.h>

#if XN_LP_COMPLEX
typedef double complex number;
#define WIDTH 2
#define CONJ(x) conj(x)
#define REAL(x) creal(x)
#define SIZE2(x) (creal(x) * creal(x) + cimag(x) * cimag(x))
#define NAME(x) x##_complex
#else
typedef double number;
#define WIDTH 1
#define CONJ(x) (x)
#define REAL(x) (x)
#define SIZE2(x) ((x) * (x))
#define NAME(x) x##_real
#endif

#define BROKEN 1e-14   // of the norm: the Krylov space is exhausted
#define NEAR_ONE 1e-12 // 1 - u^H u: the last row holds all of some direction

static void multiply(bool adjoint, int rows, int columns, double alpha, const number *a, int stride, const number *x,
                     double beta, number *y)
{
#if XN_LP_COMPLEX
    const number s = alpha, t = beta;
    cblas_zgemv(CblasColMajor, adjoint ? CblasConjTrans : CblasNoTrans, rows, columns, &s, a, stride, x, 1, &t, y, 1);
#else
    cblas_dgemv(CblasColMajor, adjoint ? CblasTrans : CblasNoTrans, rows, columns, alpha, a, stride, x, 1, beta, y, 1);
#endif
}

static double length_of(const number *x, int n) { return cblas_dnrm2(WIDTH * n, (const double *)x, 1); }

static void scale_to(number *x, double s, int n) { cblas_dscal(WIDTH * n, s, (double *)x, 1); }

// G of a Hankel matrix with l columns and `rows` rows, column-major, all of it.
static void gram(const number *y, int rows, int l, number *g)
{
    for (int i = 0; i < l; i++) {
        number s = 0;
        for (int r = 0; r < rows; r++) s += y[r + i] * CONJ(y[r]);
        g[i] = s;
    }
    for (int j = 1; j < l; j++) {
        const number out = CONJ(y[j - 1]), in = CONJ(y[j - 1 + rows]);
        for (int i = j; i < l; i++) g[j * l + i] = g[(j - 1) * l + i - 1] - y[i - 1] * out + y[i - 1 + rows] * in;
    }
    for (int j = 1; j < l; j++)
        for (int i = 0; i < j; i++) g[j * l + i] = CONJ(g[i * l + j]);
}

// ---- leading eigenvectors

// A vector with a part along everything, the same each time.
static void fresh(number *x, int l, int which)
{
    uint32_t state = 2463534242u + 7919u * (uint32_t)which;
    for (int i = 0; i < l; i++) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5; // Marsaglia's xorshift
        x[i] = state * 0x1p-32 - 0.5;
    }
}

// Takes the j basis vectors out of x, twice; c: room for j numbers. Returns the first pass's last coefficient.
static double make_orthogonal(const number *q, int l, int j, number *x, number *c)
{
    double last = 0;
    for (int pass = 0; pass < 2 && j > 0; pass++) {
        multiply(true, l, j, 1, q, l, x, 0, c);
        multiply(false, l, j, -1, q, l, c, 1, x);
        last += REAL(c[j - 1]);
    }
    return last;
}

// Eigenvectors of the m largest eigenvalues of the j x j tridiagonal matrix into k->ritz; false: LAPACK gave up.
static bool tridiagonal(xn_lp_work *k, int j, int m)
{
    lapack_int found = 0, try_accurate = 1;
    memcpy(k->small_d, k->diagonal, (size_t)j * sizeof(double));
    memcpy(k->small_e, k->beside, (size_t)j * sizeof(double));
    lapack_int *support = k->index + k->index_size - 2 * k->dimension;
    return LAPACKE_dstemr_work(LAPACK_COL_MAJOR, 'V', 'I', j, k->small_d, k->small_e, 0, 0, j - m + 1, j, &found,
                               k->values, k->ritz, j, m, support, &try_accurate, k->real_scratch, 18 * k->dimension,
                               k->index, 10 * k->dimension) == 0 &&
           found == m;
}

// The m leading eigenvectors of G (l x l) into k->vectors, eigenvalues rising into k->values.
static bool leading(xn_lp_work *k, int l, int m)
{
    const number *g = (const number *)k->gram;
    number *q = (number *)k->basis, *c = (number *)k->column;
    double norm = 0;
    for (int i = 0; i < l; i++) norm += REAL(g[i * l + i]);
    fresh(q, l, 0);
    scale_to(q, 1 / length_of(q, l), l);
    int steps = 0, check = 2 * m + XN_LP_FIRST_CHECK;
    for (bool done = false; !done;) {
        const int j = steps++;
        number *next = j + 1 < l ? q + (size_t)(j + 1) * (size_t)l : c + l;
        multiply(false, l, l, 1, g, l, q + (size_t)j * (size_t)l, 0, next);
        k->diagonal[j] = make_orthogonal(q, l, j + 1, next, c);
        double beta = length_of(next, l);
        if (j + 1 < l && !(beta > BROKEN * norm)) {
            fresh(next, l, j + 1);
            make_orthogonal(q, l, j + 1, next, c);
            beta = length_of(next, l);
            scale_to(next, 1 / beta, l);
            beta = 0;
        } else if (j + 1 < l) {
            scale_to(next, 1 / beta, l);
        }
        k->beside[j] = beta;
        if (j + 1 < l && (j + 1 < check || j + 1 < m)) continue;
        if (!tridiagonal(k, j + 1, m)) return false;
        check += XN_LP_CHECK_STEP;
        double worst = 0;
        for (int i = 0; i < m; i++) worst = fmax(worst, beta * fabs(k->ritz[i * (j + 1) + j]));
        done = j + 1 == l || worst <= k->tolerance * k->values[m - 1];
    }
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, WIDTH * l, m, steps, 1, k->basis, WIDTH * l, k->ritz, steps,
                0, k->vectors, WIDTH * l);
    return true;
}

// All eigenvalues of G, falling, into k->spectrum; the basis serves as room.
static bool all_eigenvalues(xn_lp_work *k, int l)
{
    memcpy(k->basis, k->gram, (size_t)l * (size_t)l * sizeof(number));
#if XN_LP_COMPLEX
    const lapack_int bad = LAPACKE_zhetrd_work(LAPACK_COL_MAJOR, 'L', l, (number *)k->basis, l, k->small_d, k->small_e,
                                               (number *)k->column, (number *)k->scratch, k->scratch_size);
#else
    const lapack_int bad = LAPACKE_dsytrd_work(LAPACK_COL_MAJOR, 'L', l, k->basis, l, k->small_d, k->small_e, k->column,
                                               k->scratch, k->scratch_size);
#endif
    if (bad != 0 || LAPACKE_dsterf_work(l, k->small_d, k->small_e) != 0) return false;
    for (int i = 0; i < l; i++) k->spectrum[i] = k->small_d[l - 1 - i];
    return true;
}

// ---- shift invariance

// Eigenvalues of the m x m matrix a, which is spent.
static bool eigenvalues(xn_lp_work *k, number *a, int m, double *re, double *im)
{
#if XN_LP_COMPLEX
    number z[XN_LP_MOST_POLES], none;
    if (LAPACKE_zgeev_work(LAPACK_COL_MAJOR, 'N', 'N', m, a, m, z, &none, 1, &none, 1, (number *)k->scratch,
                           k->scratch_size, k->real_scratch) != 0)
        return false;
    for (int i = 0; i < m; i++) re[i] = creal(z[i]), im[i] = cimag(z[i]);
    return true;
#else
    double none;
    return LAPACKE_dgeev_work(LAPACK_COL_MAJOR, 'N', 'N', m, a, m, re, im, &none, 1, &none, 1, k->scratch,
                              k->scratch_size) == 0;
#endif
}

// c = V_b^H V_t
static void shifted_product(const number *v, int l, int m, number *c)
{
#if XN_LP_COMPLEX
    const number one = 1, zero = 0;
    cblas_zgemm(CblasColMajor, CblasConjTrans, CblasNoTrans, m, m, l - 1, &one, v, l, v + 1, l, &zero, c, m);
#else
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, m, m, l - 1, 1, v, l, v + 1, l, 0, c, m);
#endif
}

static bool shift_least_squares(xn_lp_work *k, int l, int m, double *re, double *im)
{
    const number *v = (const number *)k->vectors;
    number *z = (number *)k->shift, u[XN_LP_MOST_POLES];
    double norm = 0;
    for (int a = 0; a < m; a++) {
        u[a] = CONJ(v[a * l + l - 1]);
        norm += SIZE2(u[a]);
    }
    if (!(1 - norm > NEAR_ONE)) return false;
    shifted_product(v, l, m, z);
    for (int b = 0; b < m; b++) {
        number along = 0;
        for (int a = 0; a < m; a++) along += CONJ(u[a]) * z[b * m + a];
        for (int a = 0; a < m; a++) z[b * m + a] += u[a] * along / (1 - norm);
    }
    return eigenvalues(k, z, m, re, im);
}

static bool shift_total_least_squares(xn_lp_work *k, int l, int m, double *re, double *im)
{
    const number *v = (const number *)k->vectors;
    number *c = (number *)k->shift, *p = (number *)k->pencil;
    const int m2 = 2 * m;
    shifted_product(v, l, m, c);
    for (int b = 0; b < m; b++) // lower triangle of [I - u u^H, C; C^H, I - f f^H]
        for (int a = 0; a < m; a++) {
            p[b * m2 + a] = (a == b ? 1 : 0) - CONJ(v[a * l + l - 1]) * v[b * l + l - 1];
            p[b * m2 + m + a] = CONJ(c[a * m + b]);
            p[(m + b) * m2 + m + a] = (a == b ? 1 : 0) - CONJ(v[a * l]) * v[b * l];
        }
    double values[2 * XN_LP_MOST_POLES];
    lapack_int pivots[XN_LP_MOST_POLES];
#if XN_LP_COMPLEX
    if (LAPACKE_zheev_work(LAPACK_COL_MAJOR, 'V', 'L', m2, p, m2, values, (number *)k->scratch, k->scratch_size,
                           k->real_scratch) != 0)
        return false;
#else
    if (LAPACKE_dsyev_work(LAPACK_COL_MAJOR, 'V', 'L', m2, p, m2, values, k->scratch, k->scratch_size) != 0)
        return false;
#endif
    for (int b = 0; b < m; b++) // eigenvalues of -W1 W2^-1 are those of -W2^-1 W1
        for (int a = 0; a < m; a++) c[b * m + a] = -p[b * m2 + a];
#if XN_LP_COMPLEX
    if (LAPACKE_zgesv_work(LAPACK_COL_MAJOR, m, m, p + m, m2, pivots, c, m) != 0) return false;
#else
    if (LAPACKE_dgesv_work(LAPACK_COL_MAJOR, m, m, p + m, m2, pivots, c, m) != 0) return false;
#endif
    return eigenvalues(k, c, m, re, im);
}

#include "fit/lp_backward.h"

// ---- all

int NAME(xn_lp_poles)(int n, xn_lp_work *k, double *re, double *im, int *rank)
{
    const bool lpsvd = k->o.method == XANI_LP_LPSVD;
    const number *y = (const number *)k->series;
    const int l = xn_lp_dimension(&k->o, n), other = lpsvd ? n - l : n - l + 1;
    const int room = (l < other ? l : other) - (lpsvd ? 0 : 1);
    int m = k->poles < room ? k->poles : room;
    gram(lpsvd ? y + 1 : y, other, l, (number *)k->gram);
    if (k->o.rank_rule != XANI_LP_RANK_FIXED) {
        if (!all_eigenvalues(k, l)) return 0;
        m = xn_lp_rank_choose(&k->o, k->spectrum, l < other ? l : other, other, l, m);
    }
    *rank = m;
    if (m < 1 || !leading(k, l, m)) return 0;
    if (lpsvd) return backward_prediction(k, l, other, m, re, im);
    if (k->o.method == XANI_LP_HTLS) return shift_total_least_squares(k, l, m, re, im) ? m : 0;
    return shift_least_squares(k, l, m, re, im) ? m : 0;
}
