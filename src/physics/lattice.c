// SPDX-License-Identifier: BSD-3-Clause
// lattice.c -- cell, B and UB matrices, goniometer.
//
// B of Busing and Levy (Acta Cryst. 22, 457, 1967, eq. 3) times 2 pi: x along a*, y in the a*b* plane.  Its
// columns are a*, b*, c*, so that 2 pi B^-1 has the direct axes a, b, c as rows.  UB is given as a matrix whose
// columns are a*, b*, c* in the laboratory frame at zero angles, or as a rotation U with the cell: UB = U B.
// Units: Angstrom, 1/Angstrom including 2 pi, degrees.
#include "physics/lattice.h"

#include <math.h>
#include <string.h>

#define DEG (M_PI / 180.0)
#define AXES_TOLERANCE 0.01 // of lengths and, in degrees, of angles that a refined cell leaves unequal
#define AXES_DEG 1.0

void xn_mat3_mul(const double a[9], const double b[9], double out[9])
{
    double t[9];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) t[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
    memcpy(out, t, sizeof t);
}

void xn_mat3_vec(const double a[9], const double v[3], double out[3])
{
    double t[3];
    for (int i = 0; i < 3; i++) t[i] = a[3 * i] * v[0] + a[3 * i + 1] * v[1] + a[3 * i + 2] * v[2];
    memcpy(out, t, sizeof t);
}

double xn_mat3_determinant(const double a[9])
{
    return a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) + a[2] * (a[3] * a[7] - a[4] * a[6]);
}

bool xn_mat3_inverse(const double a[9], double out[9])
{
    double largest = 0.0;
    for (int i = 0; i < 9; i++) largest = fmax(largest, fabs(a[i]));
    double d = xn_mat3_determinant(a);
    if (!(fabs(d) > 1e-12 * largest * largest * largest)) return false;
    double t[9] = {a[4] * a[8] - a[5] * a[7], a[2] * a[7] - a[1] * a[8], a[1] * a[5] - a[2] * a[4],
                   a[5] * a[6] - a[3] * a[8], a[0] * a[8] - a[2] * a[6], a[2] * a[3] - a[0] * a[5],
                   a[3] * a[7] - a[4] * a[6], a[1] * a[6] - a[0] * a[7], a[0] * a[4] - a[1] * a[3]};
    for (int i = 0; i < 9; i++) out[i] = t[i] / d;
    return true;
}

// ---- cell and B

bool xn_lattice_cell_valid(const double c[6])
{
    for (int i = 0; i < 3; i++)
        if (!(c[i] > 0.0) || !(c[i + 3] > 0.0 && c[i + 3] < 180.0)) return false;
    double ca = cos(c[3] * DEG), cb = cos(c[4] * DEG), cg = cos(c[5] * DEG);
    return 1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg > 1e-6;
}

static void busing_levy(const double c[6], double b[9])
{
    double ca = cos(c[3] * DEG), cb = cos(c[4] * DEG), cg = cos(c[5] * DEG);
    double sa = sin(c[3] * DEG), sb = sin(c[4] * DEG), sg = sin(c[5] * DEG);
    double v = sqrt(1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg); // volume / (a b c)
    double as = sa / (c[0] * v), bs = sb / (c[1] * v), cs = sg / (c[2] * v);
    double cbs = (ca * cg - cb) / (sa * sg), cgs = (ca * cb - cg) / (sa * sb); // cos beta*, cos gamma*
    double t[9] = {as,
                   bs * cgs,
                   cs * cbs, //
                   0.0,
                   bs * sqrt(1.0 - cgs * cgs),
                   -cs * sqrt(1.0 - cbs * cbs) * ca,
                   0.0,
                   0.0,
                   1.0 / c[2]};
    // cos 90 deg is 6e-17 in floating point: exact zeros keep cubic lattices exact
    for (int i = 0; i < 9; i++) b[i] = fabs(t[i]) < 1e-14 ? 0.0 : 2.0 * M_PI * t[i];
}

bool xn_lattice_cell_of(const double ub[9], double cell[6])
{
    double inv[9];
    if (!xn_mat3_inverse(ub, inv)) return false;
    const double *axis[3] = {inv, inv + 3, inv + 6}; // a, b, c over 2 pi
    double length[3], dot[3];
    for (int i = 0; i < 3; i++) {
        const double *u = axis[(i + 1) % 3], *v = axis[(i + 2) % 3];
        length[i] = sqrt(axis[i][0] * axis[i][0] + axis[i][1] * axis[i][1] + axis[i][2] * axis[i][2]);
        dot[i] = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    }
    for (int i = 0; i < 3; i++) {
        cell[i] = 2.0 * M_PI * length[i];
        cell[i + 3] = acos(fmax(-1.0, fmin(1.0, dot[i] / (length[(i + 1) % 3] * length[(i + 2) % 3])))) / DEG;
    }
    return true;
}

// What R means on these axes: -h + k + l = 3n holds on hexagonal ones alone, a rhombohedral cell is primitive; 0:
// neither.
static char rhombohedral_centring(const double c[6])
{
    bool ab = fabs(c[0] - c[1]) < AXES_TOLERANCE * c[0], bc = fabs(c[1] - c[2]) < AXES_TOLERANCE * c[1];
    if (ab && fabs(c[3] - 90.0) < AXES_DEG && fabs(c[4] - 90.0) < AXES_DEG && fabs(c[5] - 120.0) < AXES_DEG) return 'R';
    return ab && bc && fabs(c[3] - c[4]) < AXES_DEG && fabs(c[4] - c[5]) < AXES_DEG ? 'P' : '\0';
}

bool xn_lattice_set_cell(const double cell[6], char centring, xn_lattice *l)
{
    memset(l, 0, sizeof *l);
    if (!xn_lattice_cell_valid(cell) || memchr("PABCIFR", centring, 7) == NULL) return false;
    if (centring == 'R') centring = rhombohedral_centring(cell);
    if (centring == '\0') return false;
    memcpy(l->cell, cell, sizeof l->cell);
    l->centring = centring;
    busing_levy(cell, l->b);
    memcpy(l->ub, l->b, sizeof l->ub);
    return xn_mat3_inverse(l->b, l->b_inv) && xn_mat3_inverse(l->ub, l->ub_inv);
}

xani_status xn_lattice_make(xn_ctx *ctx, const double cell[6], char centring, xn_lattice *l)
{
    if (!xn_lattice_set_cell(cell, centring, l))
        return xn_fail(ctx, XANI_ERR_CONFIG, "cell %g %g %g %g %g %g with centring %c is not a lattice", cell[0],
                       cell[1], cell[2], cell[3], cell[4], cell[5], centring);
    xn_lattice_reduce(l);
    return xn_lattice_find_symmetry(ctx, l);
}

double xn_lattice_axis_inv_ang(const xn_lattice *l, int i)
{
    return sqrt(l->b[i] * l->b[i] + l->b[3 + i] * l->b[3 + i] + l->b[6 + i] * l->b[6 + i]);
}

void xn_lattice_cartesian(const xn_lattice *l, const double hkl[3], double q[3]) { xn_mat3_vec(l->b, hkl, q); }

// ---- goniometer

// Right-handed rotation about a unit vector (Rodrigues).
static void rotation(const double n[3], double angle, double r[9])
{
    double c = cos(angle), s = sin(angle), k = 1.0 - c;
    double t[9] = {c + k * n[0] * n[0],        k * n[0] * n[1] - s * n[2], k * n[0] * n[2] + s * n[1],
                   k * n[1] * n[0] + s * n[2], c + k * n[1] * n[1],        k * n[1] * n[2] - s * n[0],
                   k * n[2] * n[0] - s * n[1], k * n[2] * n[1] + s * n[0], c + k * n[2] * n[2]};
    memcpy(r, t, sizeof t);
}

void xn_goniometer_matrix(const xn_goniometer *g, double r[9])
{
    const double one[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    memcpy(r, one, sizeof one);
    for (int i = 0; i < g->n; i++) {
        double circle[9];
        rotation(g->circle[i].axis, g->circle[i].sign * g->circle[i].angle_deg * DEG, circle);
        xn_mat3_mul(r, circle, r);
    }
}
