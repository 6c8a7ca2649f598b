// SPDX-License-Identifier: BSD-3-Clause
// crystal.h -- lattice dynamics of a monatomic Born-von Karman crystal and its diffuse scattering.
//
// Formulas: science.md 13.1 (dynamical matrix), 13.2 (one-phonon thermal diffuse scattering), 13.3 (sudden
// softening).  Tables are text files in data/crystals/.  q and Q in Cartesian 2 pi / a units.
#ifndef XN_PHYSICS_CRYSTAL_H
#define XN_PHYSICS_CRYSTAL_H

#include "core/config.h"

typedef struct xn_crystal {
    char name[32], element[4];
    double a_ang, mass_kg;
    int n_neighbours;
    double (*r)[3]; // neighbour vectors in a/2
    double (*f)[9]; // force-constant tensors, N/m
    int *shell;     // shell number of each neighbour
    int n_shells;
    char shell_name[16][8];
    double ff_a[4], ff_b[4], ff_c; // form factor
} xn_crystal;

// Name of a shipped table ("al_80k", "cu_296k", "cu_49k") or a path.
xani_status xn_crystal_load(xn_ctx *ctx, const char *name_or_path, xn_crystal *c);
xani_status xn_crystal_copy(xn_ctx *ctx, const xn_crystal *from, xn_crystal *to);
void xn_crystal_free(xn_crystal *c);
// Multiplies one element ("xx", "zz", "xy", ...; NULL or "all": the whole tensor) of a shell, keeping symmetry.
xani_status xn_crystal_scale(xn_ctx *ctx, xn_crystal *c, const char *shell, const char *element, double factor);
// Squared angular frequencies ascending (rad^2/s^2) and orthonormal eigenvectors, e[3*j+i] component i of branch j.
void xn_crystal_modes(const xn_crystal *c, const double q[3], double w2[3], double e[9]);
void xn_crystal_frequencies(const xn_crystal *c, const double q[3], double nu_thz[3]); // sorted; negative = imaginary
double xn_crystal_max_thz(const xn_crystal *c);
double xn_crystal_msd(const xn_crystal *c, double temperature_k, int grid); // <u_x^2> in Angstrom^2, shifted grid
double xn_crystal_form_factor(const xn_crystal *c, double q_inv_ang);

typedef struct xn_line {
    double f_thz, amplitude;
    int i, j;
    int difference;
} xn_line; // i==j: pair line 2 nu_i

// Sudden change D0 -> D1 at t = 0 seen at Q: thermal one-phonon intensity i1 in electron units per atom (with
// Debye-Waller factor from msd) and the lines of y(t) = mean + sum A cos(2 pi f t): up to 9; returns their number.
int xn_crystal_lines(const xn_crystal *before, const xn_crystal *after, const double q_2pi_a[3], double temperature_k,
                     double msd_ang2, double *i1, double *mean, double nu1_thz[3], xn_line lines[9]);

// Highest phonon frequency known for an element (shipped tables, then a short literature list); NaN when unknown.
double xn_element_max_thz(const char *element);

#endif
