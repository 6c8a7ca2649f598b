// SPDX-License-Identifier: BSD-3-Clause
// kinds.h -- the functions that models are made of: one line each in kinds.def, values and derivatives in kind_*.c.
//
// A function works on all points of a data set at once.  The value and its derivatives stand in one loop, because they
// share what is dear (exp, erfc, sin), so that a formula is written once.  Definitions follow lmfit's built-in models
// where it has them (amplitude of a peak: its area), so that numbers can be compared; frequencies are in cycles per
// unit of x, as everywhere in this library.
#ifndef XN_LSQ_KINDS_H
#define XN_LSQ_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// y[i] = f(x[i]; p); d[k][i] = df/dp[k] unless d is NULL. order: the number behind the name of a family, else 0.
typedef void (*xn_kind_value)(int order, const double *x, int64_t n, const double *p, double *y, double *const *d);
// Start values from data with ascending x, from which a background is already taken. Values of parameters marked * are
// found afterwards by linear least squares and need not be set. scratch: 8 n doubles.
typedef void (*xn_kind_guess)(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);

typedef struct xn_kind {
    const char *name; // a family's ends in #
    // Names; "*": linear, "~": an angle in radian, "[lo,hi]": bounds, "#": repeated for 1..order (polynomial:
    // 0..order).
    const char *parameters;
    const char *formula;
    int order_min, order_max, order_first; // first number behind the parameters of a family
    bool background;                       // a start looks at the ends of the data first
    xn_kind_value value;
    xn_kind_guess guess;
} xn_kind;

extern const xn_kind xn_kinds[];
extern const int xn_n_kinds;
bool xn_kind_takes_x(const char *name, size_t length); // false: constant, for an x of any number of columns
// The kind an expression calls by this name, and its number; NULL if there is none.
const xn_kind *xn_kind_find(const char *name, size_t length, int *order);

#define XN_KIND(name, function, guess, background, first, low, high, parameters, formula)                              \
    void xn_kind_##function(int order, const double *x, int64_t n, const double *p, double *y, double *const *d);
#include "lsq/kinds.def"
#undef XN_KIND

// Shapes of guesses, in guess.c.
void xn_guess_none(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_peak(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_fano(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_step(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_decay(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_onset(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_power(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_lognormal(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_sine(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);
void xn_guess_waves(int order, const double *x, const double *y, int64_t n, double *p, double *scratch);

// special.c
double xn_erfcx(double x); // exp(x^2) erfc(x)
// w(z) = exp(-z^2) erfc(-i z) for imaginary part >= 0.
void xn_faddeeva(double re, double im, double *w_re, double *w_im);

#endif
