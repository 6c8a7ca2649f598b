// SPDX-License-Identifier: BSD-3-Clause
// symmetry.h -- the space group of a crystal with its atoms: rotations, and where they take each atom.
//
// Private to src/physics/forces.
#ifndef XN_PHYSICS_FORCES_SYMMETRY_H
#define XN_PHYSICS_FORCES_SYMMETRY_H

#include "physics/forces/forces.h"

typedef struct xn_symmetry {
    int n;                 // operations
    double (*rotation)[9]; // Cartesian, row-major
    int *image;            // (n, atoms): the atom that operation k takes atom i to
} xn_symmetry;

xani_status xn_symmetry_find(xn_ctx *ctx, const xn_forces *f, xn_symmetry *s);
void xn_symmetry_free(xn_symmetry *s);
// out = R t R^T
void xn_symmetry_turn(const double r[9], const double t[9], double out[9]);
// Mean of tensors (atoms, 9) over all operations.
xani_status xn_symmetry_average(xn_ctx *ctx, const xn_forces *f, double (*tensor)[9]);

#endif
