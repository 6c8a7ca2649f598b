// SPDX-License-Identifier: BSD-3-Clause
// lp_work.h -- the memory of one thread of linear prediction, and what its files offer each other.
//
// `dimension` is the size of the Gram matrix: the columns of the Hankel matrix (HSVD, HTLS), or its rows (LPSVD, where
// the columns, the prediction order, are many).  Arrays of numbers hold real numbers or, for complex traces, pairs.
#ifndef XN_FIT_LP_WORK_H
#define XN_FIT_LP_WORK_H

#include "fit/linear_prediction.h"

#include <complex.h>

#define lapack_complex_float float _Complex
#define lapack_complex_double double _Complex
#include <lapacke.h>

static inline double complex make_complex(double re, double im) { return re + I * im; } // CMPLX is not in all compilers

#define XN_LP_COMPANION_MOST 1024 // order of prediction up to which all its roots may be computed
#define XN_LP_FIRST_CHECK 20      // steps of Lanczos' iteration beyond twice the eigenvectors asked for,
#define XN_LP_CHECK_STEP 8        // and between checks

struct xn_lp_work {
    xani_lp_options o;
    int n, dimension, poles, order; // largest: samples, dimension, poles sought, prediction order
    double tolerance;               // residual of an eigenvector that is good enough, of the largest eigenvalue
    bool companion_only;            // LPSVD: all roots, for tests
    double *block;                  // what all arrays of numbers below are parts of
    double *series;                 // n numbers: the trace, or the trace backwards
    double *gram;                   // dimension^2 numbers
    double *basis;                  // dimension^2 numbers: Lanczos vectors
    double *vectors;                // dimension x poles numbers: leading eigenvectors
    double *values;                 // poles: their eigenvalues
    double *spectrum;               // dimension: all eigenvalues, falling, where a rule for the rank asks for them
    double *diagonal, *beside, *small_d, *small_e; // dimension: tridiagonal matrix of Lanczos, and a copy to spend
    double *ritz;                                  // dimension x poles: its eigenvectors
    double *column;                                // 2 dimension numbers
    double *prediction;                            // n numbers: coefficients of the prediction
    double *roots, *companion;                     // order, order^2 numbers
    double *shift, *pencil;                        // poles^2, (2 poles)^2 numbers
    double *atom, *rest;                           // 2 (poles + 1) x n: columns of the linear fit; n numbers
    double *scratch, *real_scratch;
    lapack_int *index;
    lapack_int scratch_size, index_size; // in numbers
};

typedef struct xn_lp_term {
    double w, g, a, b, energy; // exp(-g n) (a cos(w n) + b sin(w n)); of a complex trace (a + i b) exp((-g + i w) n)
    bool single;               // real trace, pole on the real axis: a cosine only
} xn_lp_term;

// Dimension for n samples.
int xn_lp_dimension(const xani_lp_options *o, int n);
// Poles by the chosen method (lp_body.h), of the series in work.
int xn_lp_poles_real(int n, xn_lp_work *k, double *re, double *im, int *rank);
int xn_lp_poles_complex(int n, xn_lp_work *k, double *re, double *im, int *rank);
// One of each pair of poles of a real trace, all of a complex one; none that grows or dies at once. Returns how many.
int xn_lp_terms_make(const xn_lp_work *k, int n, const double *re, const double *im, int poles, xn_lp_term *t);
// Fills a, b and energy of each term, refined as the options say, and returns the mean square of what they leave of y;
// NaN where LAPACK gave up.
double xn_lp_terms_fit(xn_lp_work *k, const double *y, int n, xn_lp_term *t, int count);
// How many of the c leading eigenvalues (falling; squares of singular values) of a Hankel matrix with `rows` and
// `columns` belong to the signal; at most `most`.
int xn_lp_rank_choose(const xani_lp_options *o, const double *eigenvalues, int c, int rows, int columns, int most);

#endif
