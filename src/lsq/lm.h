// SPDX-License-Identifier: BSD-3-Clause
// lm.h -- Levenberg-Marquardt for one data set: trust region, bounds, and an honest verdict.
//
// Minimises |r(z)|^2 over z within bounds.  Steps come from the pivoted QR of the Jacobian with columns scaled by their
// largest norms so far (More 1978), slowly forgotten; a step that would leave the box is solved again with the
// offending variables on their bounds, and a variable on a bound whose gradient points outward takes no part.  What is
// called converged does not rest on small steps: at the last point the residual must be orthogonal to the columns of
// the Jacobian of the variables that are free, in the measure of D. M. Bates and D. G. Watts, "A relative offset
// orthogonality convergence criterion for nonlinear least squares", Technometrics 23 (1981): the remaining Gauss-Newton
// step in units of the parameters' own standard errors.  It is free of the scales of data and parameters.  Where
// residuals are rounding errors, orthogonality to rounding is what can be asked.
//
// Nothing is allocated here: memory is one block per thread, cut by xn_lm_work_bind.
#ifndef XN_LSQ_LM_H
#define XN_LSQ_LM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How a Jacobian by differences is taken; an analytic one does not care.
enum { XN_LM_FORWARD = 0, XN_LM_CENTRAL, XN_LM_ACCURACIES };

typedef struct xn_lm_problem {
    int64_t m; // residuals
    int n;     // variables
    void *user;
    // r = weight * (model - data) at z, and the Jacobian (m x n, column-major, leading dimension m) unless NULL.
    // false: the model refuses; what is not finite is found here.
    bool (*evaluate)(void *user, const double *z, double *r, double *jacobian, int accuracy);
    const double *low, *high; // -INFINITY, INFINITY: none
    bool numeric;             // the Jacobian comes from differences and costs n evaluations or more
    double data_norm;         // |weight * data|, which sets the rounding error of r
    double tolerance;         // stop when the remaining step is below it, in standard errors
    double first_radius;      // of the trust region, in units of |D z|
    const int64_t *evaluations;
    int64_t max_evaluations;
} xn_lm_problem;

typedef enum {
    XN_LM_CONVERGED = 0,
    XN_LM_STALLED,   // no further decrease possible, yet not orthogonal
    XN_LM_LIMIT,     // evaluations used up
    XN_LM_SINGULAR,  // stationary, but the data do not determine all variables
    XN_LM_BAD_START, // not finite at the start
} xn_lm_outcome;

typedef struct xn_lm_work {
    double *z, *trial_z, *step; // n
    double *r, *trial_r;        // m
    double *j, *trial_j;        // m x n; the Jacobian is factored in its place
    double *c;                  // Q^T r (m)
    double *scale, *norm, *trial_norm;
    double *v, *move, *rest; // scaled steps and residuals in the order of the factor's columns
    double *small, *trust;   // n x n, n x (n + 3)
    int *pivot, *free, *loose, *small_pivot;
    // after xn_lm_minimise:
    int n_free; // variables not held on a bound; free[0..n_free) and the factor in j belong to them
    double chi2;
    double offset; // remaining step in standard errors
} xn_lm_work;

// The next n elements of `size` bytes of a block, 64-byte aligned.
void *xn_cut(char **at, size_t n, size_t size);
size_t xn_lm_work_bytes(int64_t m, int n);
void xn_lm_work_bind(xn_lm_work *w, void *memory, int64_t m, int n);

// z (n): start, then result.
xn_lm_outcome xn_lm_minimise(const xn_lm_problem *p, xn_lm_work *w, double *z);

// (J^T J)^-1 (n x n) at the result; rows and columns of variables on a bound are NaN. Needs full rank.
void xn_lm_covariance(const xn_lm_problem *p, xn_lm_work *w, double *covariance);

#endif
