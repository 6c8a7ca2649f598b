// SPDX-License-Identifier: BSD-3-Clause
// qe_lattice.c -- the Bravais lattices that Quantum ESPRESSO knows by number, as its INPUT_PW documents them under
// ibrav: vectors in alat from celldm(2) = b/a, celldm(3) = c/a and cosines in celldm(4..6).
//
// -13 is left out: its vectors changed with version 6.4.1, and q2r.x does not write which ones the grid counts along.
#include <math.h>
#include <string.h>

#include "physics/forces/supercell.h"

#define LEAST_VOLUME 1e-6 // of alat^3: angles that make no cell

static bool put(double a[9], double x1, double y1, double z1, double x2, double y2, double z2, double x3, double y3,
                double z3)
{
    const double rows[9] = {x1, y1, z1, x2, y2, z2, x3, y3, z3};
    memcpy(a, rows, sizeof rows);
    return fabs(xn_mat3_determinant(a)) > LEAST_VOLUME; // false where celldm held no numbers that make a cell
}

static bool cubic(int ibrav, double a[9])
{
    const double h = 0.5;
    switch (ibrav) {
    case 1:
        return put(a, 1, 0, 0, 0, 1, 0, 0, 0, 1);
    case 2:
        return put(a, -h, 0, h, 0, h, h, -h, h, 0);
    case 3:
        return put(a, h, h, h, -h, h, h, -h, -h, h);
    default:
        return put(a, -h, h, h, h, -h, h, h, h, -h);
    }
}

// 5: the threefold axis along z; -5: along (1, 1, 1).
static bool trigonal(int ibrav, double cosine, double a[9])
{
    if (!(cosine > -0.5 && cosine < 1.0)) return false;
    const double tx = sqrt((1 - cosine) / 2), ty = sqrt((1 - cosine) / 6), tz = sqrt((1 + 2 * cosine) / 3);
    const double u = (tz - 2 * M_SQRT2 * ty) / sqrt(3), v = (tz + M_SQRT2 * ty) / sqrt(3);
    if (ibrav == 5) return put(a, tx, -ty, tz, 0, 2 * ty, tz, -tx, -ty, tz);
    return put(a, u, v, v, v, u, v, v, v, u);
}

// b, c over a.
static bool orthorhombic(int ibrav, double b, double c, double a[9])
{
    const double h = 0.5, hb = b / 2, hc = c / 2;
    if (!(b > 0 && c > 0)) return false;
    switch (ibrav) {
    case 8:
        return put(a, 1, 0, 0, 0, b, 0, 0, 0, c);
    case 9:
        return put(a, h, hb, 0, -h, hb, 0, 0, 0, c);
    case -9:
        return put(a, h, -hb, 0, h, hb, 0, 0, 0, c);
    case 91:
        return put(a, 1, 0, 0, 0, hb, -hc, 0, hb, hc);
    case 10:
        return put(a, h, 0, hc, h, hb, 0, 0, hb, hc);
    default:
        return put(a, h, hb, hc, -h, hb, hc, -h, -hb, hc);
    }
}

// Cosines of the angles bc, ac, ab for 14; of the one angle, in celldm(4) for a unique axis c, in celldm(5) for b.
static bool oblique(int ibrav, const double celldm[6], double a[9])
{
    const double b = celldm[1], c = celldm[2], cosine = celldm[ibrav == -12 ? 4 : 3], sine = sqrt(1 - cosine * cosine);
    if (!(b > 0 && c > 0 && fabs(cosine) < 1)) return false;
    if (ibrav == 12) return put(a, 1, 0, 0, b * cosine, b * sine, 0, 0, 0, c);
    if (ibrav == -12) return put(a, 1, 0, 0, 0, b, 0, c * cosine, 0, c * sine);
    if (ibrav == 13) return put(a, 0.5, 0, -c / 2, b * cosine, b * sine, 0, 0.5, 0, c / 2);
    const double bc = celldm[3], ac = celldm[4], ab = celldm[5], sine_ab = sqrt(1 - ab * ab);
    const double volume_sq = 1 + 2 * bc * ac * ab - bc * bc - ac * ac - ab * ab;
    if (!(fabs(ab) < 1 && fabs(ac) < 1 && volume_sq > 0)) return false;
    return put(a, 1, 0, 0, b * ab, b * sine_ab, 0, c * ac, c * (bc - ac * ab) / sine_ab, c * sqrt(volume_sq) / sine_ab);
}

bool xn_qe_lattice(int ibrav, const double celldm[6], double a[9])
{
    const double c = celldm[2], half = sqrt(3) / 2;
    switch (ibrav) {
    case 1:
    case 2:
    case 3:
    case -3:
        return cubic(ibrav, a);
    case 4:
        return c > 0 && put(a, 1, 0, 0, -0.5, half, 0, 0, 0, c);
    case 5:
    case -5:
        return trigonal(ibrav, celldm[3], a);
    case 6:
        return c > 0 && put(a, 1, 0, 0, 0, 1, 0, 0, 0, c);
    case 7:
        return c > 0 && put(a, 0.5, -0.5, c / 2, 0.5, 0.5, c / 2, -0.5, -0.5, c / 2);
    case 8:
    case 9:
    case -9:
    case 91:
    case 10:
    case 11:
        return orthorhombic(ibrav, celldm[1], c, a);
    case 12:
    case -12:
    case 13:
    case 14:
        return oblique(ibrav, celldm, a);
    default:
        return false;
    }
}
