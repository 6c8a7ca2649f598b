// SPDX-License-Identifier: BSD-3-Clause
// refine.h -- force constants changed until the phonons they give agree with measured ones.
//
// What may change: the tensors of the nearest shells of neighbours, as the crystal's symmetry lets them.  Of each set
// of bonds that the space group and the reversal of a bond take into each other one tensor is free within the subspace
// that the operations leaving the bond alone allow; the others follow (Born and Huang 1954, section 23).  The constant
// of an atom with itself is minus the sum of its bonds.  Phi = Phi_0 + sum_k theta_k B_k, theta in N/m, |B_k| = 1.
//
// Each point is taken for the branch that explains it (match.h).  Least squares with a prior: chi^2 + sum (theta_k /
// prior_k)^2, prior_k a fraction of the shell's own constants, so that what the data do not determine stays at its
// start and is said so.
#ifndef XN_PHYSICS_FORCES_REFINE_H
#define XN_PHYSICS_FORCES_REFINE_H

#include "physics/forces/match.h"

// ---- shells.c

typedef struct xn_bond {
    int i, j;
    double r[3];
    int orbit;       // number of its set
    double turn[9];  // tensor of this bond = turn t turn^T of the set's first
    bool transposed; // or of its transpose
} xn_bond;

typedef struct xn_parameter {
    int orbit, shell; // shell: 1 the nearest
    double distance;  // Angstrom
    double basis[9];  // tensor of the orbit's first bond, Frobenius norm 1
    double start;     // component of Phi_0 along it, N/m
    char name[48];    // "shell 1 Ge-Ge 2.450 A, 1 of 2"
} xn_parameter;

typedef struct xn_shells {
    int n_bonds, n_orbits, n;
    xn_bond *bond;
    xn_parameter *parameter; // (n)
} xn_shells;

// Shells of neighbours, nearest first, up to `shells` of them.
xani_status xn_shells_find(xn_ctx *ctx, const xn_forces *f, int shells, xn_shells *s);
void xn_shells_free(xn_shells *s);
// dD/dtheta_k at q, divided by masses, row-major, added to d (N/m/u per N/m).
void xn_shells_matrix(const xn_shells *s, const xn_forces *f, int k, const double q[3], double complex *d);
// to = from with theta added to its tensors.
xani_status xn_shells_apply(xn_ctx *ctx, const xn_shells *s, const xn_forces *from, const double *theta, xn_forces *to);

// ---- refine.c

typedef struct xn_refined {
    int n;                      // parameters
    double *theta, *covariance; // (n), (n, n): N/m
    double *prior;              // (n)
    uint8_t *determined;        // (n) 1: the data halve what the prior alone leaves
    double chi2_before, chi2;   // of the points used
    double model_share;         // of what the model may be wrong by (match.h) that the points need: 0 to 2
    double common;              // rms of what lines of a run are off by together, of their frequency (refine_common.h)
    int64_t used, refused;      // points; those no branch comes near
    int dof;                    // points used less determined parameters
    int iterations;
    bool converged;
} xn_refined;

typedef struct xn_refine_options {
    xn_match_options match;
    double prior; // fraction of a shell's constants
    int threads;
} xn_refine_options;

// points: as measured; branch (n points, may be NULL): the branch each was taken for, -1 refused.
xani_status xn_forces_refine(xn_ctx *ctx, const xn_forces *start, const xn_shells *shells, const xn_observed *points,
                             int64_t n_points, const xn_refine_options *options, int32_t *branch, xn_refined *out);
void xn_refined_free(xn_refined *r);

#endif
