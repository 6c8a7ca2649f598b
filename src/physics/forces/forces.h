// SPDX-License-Identifier: BSD-3-Clause
// forces.h -- interatomic force constants of any crystal, and its phonons.
//
// D_{ia,jb}(q) = (1 / sqrt(m_i m_j)) sum_R Phi_{ia,jb}(R) exp(i q.(R + r_j - r_i)),   eigenvalues (2 pi nu)^2,
//
// with q in 1/Angstrom (2 pi included) in the Cartesian frame of the cell, r Cartesian in Angstrom, Phi in N/m, masses
// in u (science.md 13.1; Born and Huang 1954, section 24).  Eigenvectors belong to this phase convention: the
// displacement of atom j in the cell at R goes as e_j exp(i q.(R + r_j)) / sqrt(m_j).
//
// What programs write (one file per format) is brought to one form: a list of pairs, each with the vector
// between its atoms.  A pair at the boundary of a supercell has several images at the same distance; each is in the
// list, with its share of the constant, which keeps the symmetry of the crystal.
#ifndef XN_PHYSICS_FORCES_H
#define XN_PHYSICS_FORCES_H

#include <complex.h>

#include "core/core.h"
#include "physics/crystal.h"
#include "physics/lattice.h"

#define XN_NEWTON_PER_EV_ANG2 16.02176634 // eV/Angstrom^2 in N/m
#define XN_BOHR_ANG 0.529177210903        // CODATA 2018
#define XN_RYDBERG_EV 13.605693122994     // CODATA 2018
#define XN_NEWTON_PER_RY_BOHR2 (XN_RYDBERG_EV / (XN_BOHR_ANG * XN_BOHR_ANG) * XN_NEWTON_PER_EV_ANG2)

typedef struct xn_force {
    int i, j;      // atoms of the primitive cell
    double r[3];   // from i to the image of j, Angstrom
    double phi[9]; // row: component of i, column: component of j; N/m
} xn_force;

// How a polar crystal's non-analytic part is added (polar.c). LEFT_OUT: the constants hold no dipoles already.
typedef enum { XN_POLAR_DIPOLES, XN_POLAR_MIXED, XN_POLAR_LEFT_OUT } xn_polar_method;

typedef struct xn_pair_image {
    int i, j;
    double r[3], share;
} xn_pair_image;

typedef struct xn_forces {
    double cell[9]; // rows a1, a2, a3 of the primitive cell, Angstrom
    int n_atoms;
    double (*position)[3]; // Cartesian, Angstrom
    double *mass_u;
    char (*element)[4];
    double (*form_factor)[9]; // a1 ... a4, b1 ... b4, c of f(Q) = c + sum a exp(-b (Q/4 pi)^2); NULL: xraylib's
    int64_t n, room;
    xn_force *force;
    bool conventional;  // the file says how the conventional cell lies here:
    double hkl_to_q[9]; // q = hkl_to_q hkl
    // polar crystals (polar.c): dielectric constant, Born charges in e, and the points q of the supercell the
    // constants come from, where they hold the whole interaction already
    bool polar;
    double epsilon[9];
    double (*born)[9];
    int supercell[9]; // rows: vectors of the supercell in a1, a2, a3; needed where polar
    int64_t n_images; // of all pairs in the supercell, with their shares; made where polar
    struct xn_pair_image *image;
    double lambda_sq; // damping of the dipoles' sum, 1/Angstrom^2
    int64_t n_g;      // reciprocal lattice vectors of that sum; 0: mixed space
    double (*g)[3], (*dipole_self)[9];
} xn_forces;

// format: bvk (a table as in data/crystals, or its name), xdscode, phonopy, qe, alamode or vasp; NULL: told by the
// file. born: file of dielectric constant and Born charges; NULL: phonopy's BORN beside the constants where there is
// one. Errors name the file and what is wrong in it.
xani_status xn_forces_load(xn_ctx *ctx, const char *path, const char *format, const char *born, xn_polar_method method,
                           xn_forces *f);
// Names of the files that may be read with constants in the same folder, one by one; NULL: no more.
const char *xn_forces_beside(int i);
bool xn_forces_known(const char *path); // its name tells a format
void xn_forces_free(xn_forces *f);

// Frequencies ascending in THz, negative for imaginary ones: 3 n_atoms. e (may be NULL): eigenvector s is
// e[s * 3 n_atoms + 3 * atom + component], of norm 1. towards (may be NULL): from where q = 0 is approached, which a
// polar crystal needs there. XANI_ERR_INTERNAL when LAPACK gives up.
xani_status xn_forces_modes(xn_ctx *ctx, const xn_forces *f, const double q[3], const double *towards, double *nu_thz,
                            double complex *e);

// The same in memory of the caller, xn_forces_work numbers; false: no eigenvalues.
size_t xn_forces_work(const xn_forces *f);
bool xn_forces_solve(const xn_forces *f, const double q[3], const double *towards, double complex *work, double *nu_thz,
                     double complex *e);
// Point k of a grid of so many points a side over the primitive cell of the reciprocal lattice, whose first point is
// shift of a step from Gamma. b: xn_forces_reciprocal.
void xn_forces_grid_point(const double b[9], int grid, double shift, int64_t k, double q[3]);
// Highest frequency on a grid of so many points a side over the primitive cell, Gamma left out; NAN: none found.
double xn_forces_max_thz(const xn_forces *f, int grid);
// Dynamical matrix without the non-analytic part, row-major, N/m/u.
void xn_forces_matrix(const xn_forces *f, const double q[3], double complex *d);
// Those of a patch, one behind the other: side 1: q; 2: q -+ step[0] -+ step[1]; 3: with the middles. The first step is
// the outer one.
void xn_forces_matrices(const xn_forces *f, const double q[3], double step[2][3], int side, double complex *d);
// Frequencies and eigenvectors of such a matrix, to which the non-analytic part is added; work as xn_forces_solve.
bool xn_forces_diagonalise(const xn_forces *f, const double q[3], const double *towards, double complex *d,
                           double complex *work, double *nu_thz, double complex *e);

// ---- for the readers of formats

xani_status xn_forces_begin(xn_ctx *ctx, const double cell[9], int n_atoms, xn_forces *f);
xani_status xn_forces_add(xn_ctx *ctx, xn_forces *f, int i, int j, const double r[3], const double phi[9]);
// The constants as a supercell gives them: atom `to` of the supercell seen from atom `from`, both Cartesian; the images
// of `to` under the supercell that are nearest to `from` share phi.
xani_status xn_forces_add_images(xn_ctx *ctx, xn_forces *f, int i, int j, const double from[3], const double to[3],
                                 const double super[9], const double phi[9]);
// The vectors from `from` to those images of `to` under the supercell (rows) that are nearest; 0: no volume.
#define XN_IMAGES 125
int xn_nearest_images(const double from[3], const double to[3], const double super[9], double image[XN_IMAGES][3]);
// Acoustic sum rule: the constant of an atom with itself becomes minus the sum of all others, so that a shift of the
// whole crystal costs nothing. Returns the largest change, N/m.
double xn_forces_sum_rule(xn_forces *f);
double xn_element_mass_u(const char *element); // standard atomic weight; NaN when there is no such element
xani_status xn_forces_copy(xn_ctx *ctx, const xn_forces *from, xn_forces *to);
// Multiplies the constants of the shell-th distance between atoms (1: the nearest) and restores the sum rule; the
// number of pairs, 0: no such shell. Distances that differ by less than 1e-3 Angstrom are one.
int64_t xn_forces_scale_shell(xn_forces *f, int shell, double factor);

// ---- polar.c

double xn_forces_cells(const xn_forces *f);                                       // primitive cells in the supercell
void xn_born_along(const xn_forces *f, int atom, const double k[3], double z[3]); // k.Z
// Adds the dipoles' sum to d, divided by masses or not; the term K = 0 only in the direction `towards`.
void xn_forces_dipoles(const xn_forces *f, const double q[3], const double *towards, bool masses, double complex *d);
// Adds the non-analytic part to D (3 n_atoms squared, in N/m/u, row-major).
void xn_forces_polar_add(const xn_forces *f, const double q[3], const double *towards, double complex *d);

// Dielectric constant and Born charges: phonopy's BORN (a factor, then those of symmetry-independent atoms) or
// ALAMODE's (those of all atoms, no factor) (born.c).
xani_status xn_forces_born(xn_ctx *ctx, const char *path, xn_forces *f);
// What the non-analytic part needs (dipoles.c). Once, when cell, atoms, constants, supercell and charges are
// set.
xani_status xn_forces_polar_prepare(xn_ctx *ctx, xn_forces *f, xn_polar_method method);

// Columns b_1, b_2, b_3 with a_i.b_j = 2 pi delta_ij.
void xn_forces_reciprocal(const xn_forces *f, double b[9]);

// Finds the conventional cell of a configuration in the crystal's frame (align.c): q = b hkl, b row-major with 2 pi.
xani_status xn_forces_align(xn_ctx *ctx, const xn_lattice *l, const xn_forces *f, double b[9]);

// ---- one per format

xani_status xn_forces_from_crystal(xn_ctx *ctx, const xn_crystal *c, xn_forces *f); // bvk.c

xani_status xn_forces_bvk(xn_ctx *ctx, const char *path, xn_forces *f);
xani_status xn_forces_truth_before(xn_ctx *ctx, const char *path, xn_forces *f); // truth.c
xani_status xn_forces_truth_after(xn_ctx *ctx, const char *path, xn_forces *f);
xani_status xn_forces_xdscode(xn_ctx *ctx, const char *path, xn_forces *f);
xani_status xn_forces_phonopy(xn_ctx *ctx, const char *path, xn_forces *f);
xani_status xn_forces_qe(xn_ctx *ctx, const char *path, xn_forces *f);
xani_status xn_forces_alamode(xn_ctx *ctx, const char *path, xn_forces *f);
xani_status xn_forces_vasp(xn_ctx *ctx, const char *path, xn_forces *f);

#endif
