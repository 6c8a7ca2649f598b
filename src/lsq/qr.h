// SPDX-License-Identifier: BSD-3-Clause
// qr.h -- the linear algebra of one Levenberg-Marquardt step: small, dense, column by column.
//
// Householder QR with column pivoting of the weighted Jacobian, and damped solutions from its triangle by Givens
// rotations, as in J. J. More, "The Levenberg-Marquardt algorithm: implementation and theory" (1978), so that the
// normal equations, which square the condition number, never appear.  Matrices are column-major with a leading
// dimension; nothing is allocated.  Sizes: m samples (hundreds), n variables (up to some tens).
#ifndef XN_LSQ_QR_H
#define XN_LSQ_QR_H

#include <stdbool.h>
#include <stdint.h>

// Factors a (m x n, m >= n) in place: afterwards its upper triangle is R of A P = Q R, and b (m) is Q^T b.
// pivot[k] is the column of A that became column k.  norm (n): the squared norms of the columns, used up.
void xn_qr_factor(double *a, int64_t m, int n, int64_t ld, double *b, int *pivot, double *norm);

// Leading columns of R whose diagonal exceeds `tolerance` times the first one's.
int xn_qr_rank(const double *r, int n, int64_t ld, double tolerance);

// x = R^-1 c for the leading `rank` columns, the other entries 0.
void xn_qr_solve(const double *r, int n, int64_t ld, int rank, const double *c, double *x);

// Minimises |R v + c|^2 + lambda |v|^2; s (n x n) receives the triangle of the damped system, for xn_qr_slope.
// x: the solution v; scratch: n doubles.
void xn_qr_damped(const double *r, int n, int64_t ld, double lambda, const double *c, double *x, double *s,
                  double *scratch);

// The v that minimises |R v + c| with |v| <= radius, to a tenth of it (More's safeguarded Newton iteration on
// lambda). Returns lambda, 0 when the undamped step lies inside. *lambda0: in, a guess from the last step.
double xn_qr_trust(const double *r, int n, int64_t ld, const double *c, double radius, double lambda0, double *x,
                   double *work); // work: n * (n + 3)

// inverse (n x n, full) = (R^T R)^-1 in the order of the original columns; R must have full rank. work: n * n.
void xn_qr_covariance(const double *r, int n, int64_t ld, const int *pivot, double *inverse, double *work);

double xn_dot(const double *a, const double *b, int64_t n);
double xn_norm(const double *x, int64_t n); // Euclidean; the caller keeps x within range

#endif
