// SPDX-License-Identifier: BSD-3-Clause
// lattice.h -- cell, B and UB matrices, goniometer, exact folding into the first Brillouin zone, path labels,
// point symmetry.  Used by the map stage and by the simulator.
//
// Conventions (contract 1): Q_lab = R_1 R_2 ... R_n UB hkl, R_1 the outermost circle; matrices row-major with
// 2 pi; B of Busing and Levy (Acta Cryst. 22, 457, 1967): x along a*, y in the a*b* plane.
#ifndef XN_PHYSICS_LATTICE_H
#define XN_PHYSICS_LATTICE_H

#include "core/config.h"

typedef struct xn_lattice {
    double cell[6];        // a, b, c in Angstrom, alpha, beta, gamma in degrees
    char centring;         // P A B C I F, R: of hexagonal axes
    double b[9], b_inv[9]; // B with 2 pi and its inverse
    double ub[9], ub_inv[9];
    double prim[9];        // reduced primitive reciprocal basis, rows, Cartesian (B frame), 1/Angstrom
    int prim_hkl[9];       // the same vectors in conventional integer hkl (rows)
    double prim_inv[9];    // columns of prim_hkl inverted: prim_inv hkl = coefficients on prim
    int n_voronoi;         // Voronoi-relevant vectors in the wide sense (ties included), both signs
    double voronoi[32][3]; // Cartesian
    double voronoi_sq[32]; // squared lengths
    int voronoi_hkl[32][3];
    int n_sym;      // Laue-group rotations (inversion included: nu(q) = nu(-q)) acting on a column hkl
    int sym[48][9]; // row-major integers, each maps the reciprocal lattice onto itself
    int n_basis;
    char element[16][4];
    double position[16][3];
    int hall; // entry of the space group in the database of libsymspg; 0 when none was given
} xn_lattice;

typedef struct xn_circle {
    double axis[3];
    double sign;
    double angle_deg;
} xn_circle;
typedef struct xn_goniometer {
    int n;
    xn_circle circle[8];
} xn_goniometer;

// From map.crystal, geometry.ub or geometry.cell + orientation. need_ub: an error when orientation is missing.
xani_status xn_lattice_load(xn_ctx *ctx, const xn_config *config, bool need_ub, xn_lattice *lattice);
// From a cell and a centring alone (tests, simulator).
xani_status xn_lattice_make(xn_ctx *ctx, const double cell[6], char centring, xn_lattice *lattice);
// U from geometry.reflections and the lattice's cell (orientation.c); the rotation that takes n vectors (n, 3) to
// others best, false when it fails.
xani_status xn_orientation_from_reflections(xn_ctx *ctx, const xn_config *config, const xn_lattice *lattice,
                                            double u[9]);
bool xn_rotation_between(int n, const double *from, const double *to, double u[9]);
xani_status xn_goniometer_load(xn_ctx *ctx, const xn_config *config, xn_goniometer *g); // angles of geometry.goniometer
xani_status xn_circles_load(xn_ctx *ctx, const xn_config *config, const char *list, xn_goniometer *g); // any such list
// R = R_1 ... R_n, row-major.
void xn_goniometer_matrix(const xn_goniometer *g, double r[9]);
// Folds hkl: the reciprocal lattice vector G nearest to it (conventional integers, allowed by the centring) and
// q = B (hkl - G), the shortest.  Ties within 1e-9 relative go to the lexicographically smallest G.
void xn_lattice_fold(const xn_lattice *l, const double hkl[3], int g[3], double q[3]);
void xn_lattice_cartesian(const xn_lattice *l, const double hkl[3], double q[3]); // B hkl
double xn_lattice_axis_inv_ang(const xn_lattice *l, int i);                       // length of a*, b*, c* with 2 pi
// Half-widths of the first zone along h, k, l in conventional units (bounding box of its vertices).
void xn_lattice_zone_box(const xn_lattice *l, double half[3]);
// hkl of a label of Setyawan and Curtarolo (lattice_label.c), or Gamma for G; false: this lattice has no such point.
bool xn_lattice_label(const xn_lattice *l, const char *label, double hkl[3]);
// Labels of the customary path of this lattice, separated by spaces ("G X K G L"); NULL where there is none.
const char *xn_lattice_default_path(const xn_lattice *l);
// Atoms of the primitive cell: the basis with centring and space group applied; 0 when no basis is known,
// -1 when memory is short.
int xn_lattice_atoms(const xn_lattice *l);
// All atoms of the conventional cell, as fractions, with the atom of the basis each comes from; room for
// XN_LATTICE_PLACES.
#define XN_LATTICE_PLACES (16 * 192)
int xn_lattice_places(const xn_lattice *l, double (*place)[3], int *basis);
// Translations of a centring in fractions of the conventional cell, the first 0; returns their number.
int xn_lattice_centring(char centring, double shift[4][3]);
// True when reflection hkl is a reciprocal lattice vector under the centring.
bool xn_lattice_allowed(const xn_lattice *l, const int hkl[3]);

// Cell (Angstrom, degrees) of a UB or B matrix; false when singular.
bool xn_lattice_cell_of(const double ub[9], double cell[6]);

// The steps of xn_lattice_make and xn_lattice_load: cell, B and centring (false: not a lattice; R on rhombohedral axes
// becomes P); operations and
// centring of a space group by number or name; operations of cell and basis; reduced basis and Voronoi vectors.
typedef enum { XN_GROUP_OK, XN_GROUP_UNKNOWN, XN_GROUP_MISFIT } xn_group_result;
bool xn_lattice_cell_valid(const double cell[6]);
bool xn_lattice_set_cell(const double cell[6], char centring, xn_lattice *l);
xn_group_result xn_lattice_set_group(const char *name, xn_lattice *l);
// True for the first of the two origins in which International Tables give some groups.
bool xn_lattice_has_origins(const xn_lattice *l);
xani_status xn_lattice_find_symmetry(xn_ctx *ctx, xn_lattice *l);
void xn_lattice_reduce(xn_lattice *l);

// Small 3x3 helpers, row-major.
void xn_mat3_mul(const double a[9], const double b[9], double out[9]);
void xn_mat3_vec(const double a[9], const double v[3], double out[3]);
double xn_mat3_determinant(const double a[9]);
bool xn_mat3_inverse(const double a[9], double out[9]); // false when singular

#endif
