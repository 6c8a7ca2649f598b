// SPDX-License-Identifier: BSD-3-Clause
// scatter.h -- diffuse X-ray scattering of a crystal's phonons, and its oscillations after a sudden change.
//
// Formulas: science.md 13.2, 13.3 for any number of atoms. With a_{i} = f_i exp(-M_i) Q / sqrt(m_i) (a vector of 3 n
// components) and D taken at the full Q, so that the phases of positions and of the scattering cancel, the intensity of
// one phonon per primitive cell is
//   I1 = a^T C a*,   C = sum_j e_j e_j^+ hbar / (2 w_j) coth(hbar w_j / 2 kB T)
// and with U, V the covariances of displacements and momenta in the eigenvectors of the new constants,
//   y(t) = -1 + (1/I1) Re sum_jk p_j p_k* [ (U+V)_jk / 2 cos((w_j - w_k) t) + (U-V)_jk / 2 cos((w_j + w_k) t) ].
#ifndef XN_PHYSICS_FORCES_SCATTER_H
#define XN_PHYSICS_FORCES_SCATTER_H

#include "physics/forces/forces.h"

// f(Q) of an element, electrons; Q in 1/Angstrom. NaN: no such element.
double xn_form_factor(const xn_forces *f, int atom, double q_inv_ang);
// <u u^T> of each atom in Angstrom^2, (n_atoms, 9): zone mean on a shifted grid^3 of the primitive cell. Modes that are
// imaginary are left out and counted in *unstable.
xani_status xn_forces_msd(xn_ctx *ctx, const xn_forces *f, double temperature_k, int grid, int threads,
                          double (*msd)[9], int64_t *unstable);

// A line of y(t): amplitude cos(2 pi f t).
typedef struct xn_squeezed {
    double f_thz, amplitude;
    int i, j; // branches, i <= j; equal: the pair line at 2 nu
    bool difference;
} xn_squeezed;

// Lines of n branches, in this order: for j = 0 ..., i = 0 ... j: the sum, then, where i < j, the difference: n^2.
int xn_squeezed_count(int branches);

typedef struct xn_scattering xn_scattering; // room of one thread
xn_scattering *xn_scattering_open(int n_atoms);
void xn_scattering_close(xn_scattering **s);
// Constants change from before to after at t = 0. q: total Q, 1/Angstrom, in the frame of the cell. i1: electron units
// per primitive cell before. nu_thz (3 n) after, ascending. Returns the number of lines: 0 where either is unstable or
// Q = 0.
int xn_scattering_lines(xn_scattering *s, const xn_forces *before, const xn_forces *after, const double q[3],
                        double temperature_k, const double (*msd)[9], double *i1, double *mean, double *nu_thz,
                        xn_squeezed *lines);

#endif
