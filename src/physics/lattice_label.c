// SPDX-License-Identifier: BSD-3-Clause
// lattice_label.c -- conventional names of points of the zone, per lattice, in conventional reciprocal units.
//
// Points, names and paths of Setyawan and Curtarolo, Comput. Mater. Sci. 49, 299 (2010), tables 2 to 21, which follow
// Bradley and Cracknell, "The Mathematical Theory of Symmetry in Solids" (1972).  Where their points are coordinates in
// the primitive reciprocal basis, or move with the ratios of the axes, they are turned into conventional units here;
// their order of axes (a < b < c in orthorhombic lattices) is made by permuting the given ones.  Body-centred
// tetragonal, rhombohedral and the centred orthorhombic lattices have several forms of zone with names of their own:
// the form follows from the cell.  Monoclinic and triclinic lattices: lattice_label_oblique.c.
#include "physics/lattice_label.h"

#include <math.h>
#include <string.h>

typedef enum { CUBIC, TETRAGONAL, ORTHORHOMBIC, HEXAGONAL, RHOMBOHEDRAL, MONOCLINIC, TRICLINIC } lattice_system;

static const double identity[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, body[9] = {0, 1, 1, 1, 0, 1, 1, 1, 0},
                    face[9] = {-1, 1, 1, 1, -1, 1, 1, 1, -1}, base_c[9] = {1, 1, 0, -1, 1, 0, 0, 0, 1},
                    rhombohedral[9] = {1, -1, 0, 0, 1, -1, 1, 1, 1},
                    half_face[9] = {1, 1, 0, -1, 1, 0, 0, 0, 1}, // from the axes (a - b)/2, (a + b)/2, c
    obtuse[9] = {1, 0, 0, 1, 1, 0, 0, 0, 1};                     // from a, b - a, c

void xn_label_put(xn_label_set *s, const char *name, double h, double k, double l)
{
    s->point[s->n++] = (xn_label){name, {h, k, l}};
}

// ---- lattices whose points do not depend on the ratios of the axes

static void cubic(char centring, xn_label_set *s)
{
    if (centring == 'F') {
        s->path = "G X K G L";
        xn_label_put(s, "X", 1, 0, 0);
        xn_label_put(s, "L", .5, .5, .5);
        xn_label_put(s, "K", .75, .75, 0);
        xn_label_put(s, "U", 1, .25, .25);
        xn_label_put(s, "W", 1, .5, 0);
    } else if (centring == 'I') {
        s->path = "G H P G N";
        xn_label_put(s, "H", 1, 0, 0);
        xn_label_put(s, "N", .5, .5, 0);
        xn_label_put(s, "P", .5, .5, .5);
    } else if (centring == 'P') {
        s->path = "G X M G R";
        xn_label_put(s, "X", .5, 0, 0);
        xn_label_put(s, "M", .5, .5, 0);
        xn_label_put(s, "R", .5, .5, .5);
    }
}

static void tetragonal_p(xn_label_set *s)
{
    s->path = "G X M G Z";
    xn_label_put(s, "X", .5, 0, 0);
    xn_label_put(s, "M", .5, .5, 0);
    xn_label_put(s, "Z", 0, 0, .5);
    xn_label_put(s, "R", .5, 0, .5);
    xn_label_put(s, "A", .5, .5, .5);
}

static void orthorhombic_p(xn_label_set *s)
{
    s->path = "G X S Y G Z";
    xn_label_put(s, "X", .5, 0, 0);
    xn_label_put(s, "Y", 0, .5, 0);
    xn_label_put(s, "Z", 0, 0, .5);
    xn_label_put(s, "S", .5, .5, 0);
    xn_label_put(s, "U", .5, 0, .5);
    xn_label_put(s, "T", 0, .5, .5);
    xn_label_put(s, "R", .5, .5, .5);
}

static void hexagonal(xn_label_set *s)
{
    s->path = "G M K G A";
    xn_label_put(s, "M", .5, 0, 0);
    xn_label_put(s, "K", 1. / 3, 1. / 3, 0);
    xn_label_put(s, "A", 0, 0, .5);
    xn_label_put(s, "L", .5, 0, .5);
    xn_label_put(s, "H", 1. / 3, 1. / 3, .5);
}

// ---- lattices whose points do

// ratio: of the squares of c and a.
static void tetragonal_i(double ratio, xn_label_set *s)
{
    memcpy(s->to_conventional, body, sizeof body);
    xn_label_put(s, "N", 0, .5, 0);
    xn_label_put(s, "P", .25, .25, .25);
    xn_label_put(s, "X", 0, 0, .5);
    if (ratio < 1) { // BCT1
        double eta = (1 + ratio) / 4;
        s->path = "G X M G Z P N Z1 M";
        xn_label_put(s, "M", -.5, .5, .5);
        xn_label_put(s, "Z", eta, eta, -eta);
        xn_label_put(s, "Z1", -eta, 1 - eta, eta);
        return;
    }
    double eta = (1 + 1 / ratio) / 4, zeta = 1 / (2 * ratio);
    s->path = "G X Y Sigma G Z Sigma1 N P Y1 Z";
    xn_label_put(s, "Sigma", -eta, eta, eta);
    xn_label_put(s, "Sigma1", eta, 1 - eta, -eta);
    xn_label_put(s, "Y", -zeta, zeta, .5);
    xn_label_put(s, "Y1", .5, .5, -zeta);
    xn_label_put(s, "Z", .5, .5, -.5);
}

// Squares of the article's axes a < b < c.
static void orthorhombic_f(double a, double b, double c, xn_label_set *s)
{
    memcpy(s->to_conventional, face, sizeof face);
    xn_label_put(s, "L", .5, .5, .5);
    xn_label_put(s, "Y", .5, 0, .5);
    xn_label_put(s, "Z", .5, .5, 0);
    if (1 / a >= 1 / b + 1 / c) { // ORCF1, and ORCF3 where they are equal
        double zeta = (1 + a / b - a / c) / 4, eta = (1 + a / b + a / c) / 4;
        s->path = "G Y T Z G X A1 Y";
        xn_label_put(s, "A", .5, .5 + zeta, zeta);
        xn_label_put(s, "A1", .5, .5 - zeta, 1 - zeta);
        xn_label_put(s, "T", 1, .5, .5);
        xn_label_put(s, "X", 0, eta, eta);
        xn_label_put(s, "X1", 1, 1 - eta, 1 - eta);
        return;
    }
    double eta = (1 + a / b - a / c) / 4, phi = (1 + c / b - c / a) / 4, delta = (1 + b / a - b / c) / 4;
    s->path = "G Y C D X G Z D1 H C";
    xn_label_put(s, "C", .5, .5 - eta, 1 - eta);
    xn_label_put(s, "C1", .5, .5 + eta, eta);
    xn_label_put(s, "D", .5 - delta, .5, 1 - delta);
    xn_label_put(s, "D1", .5 + delta, .5, delta);
    xn_label_put(s, "H", 1 - phi, .5 - phi, .5);
    xn_label_put(s, "H1", phi, .5 + phi, .5);
    xn_label_put(s, "X", 0, .5, .5);
}

static void orthorhombic_i(double a, double b, double c, xn_label_set *s)
{
    double zeta = (1 + a / c) / 4, eta = (1 + b / c) / 4, delta = (b - a) / (4 * c), mu = (a + b) / (4 * c);
    memcpy(s->to_conventional, body, sizeof body);
    s->path = "G X L T W R X1 Z G Y S W";
    xn_label_put(s, "L", -mu, mu, .5 - delta);
    xn_label_put(s, "L1", mu, -mu, .5 + delta);
    xn_label_put(s, "L2", .5 - delta, .5 + delta, -mu);
    xn_label_put(s, "R", 0, .5, 0);
    xn_label_put(s, "S", .5, 0, 0);
    xn_label_put(s, "T", 0, 0, .5);
    xn_label_put(s, "W", .25, .25, .25);
    xn_label_put(s, "X", -zeta, zeta, zeta);
    xn_label_put(s, "X1", zeta, 1 - zeta, -zeta);
    xn_label_put(s, "Y", eta, -eta, eta);
    xn_label_put(s, "Y1", 1 - eta, eta, -eta);
    xn_label_put(s, "Z", .5, .5, -.5);
}

static void orthorhombic_c(double a, double b, xn_label_set *s)
{
    double zeta = (1 + a / b) / 4;
    memcpy(s->to_conventional, base_c, sizeof base_c);
    s->path = "G X S R A Z G Y X1 A1 T Y";
    xn_label_put(s, "A", zeta, zeta, .5);
    xn_label_put(s, "A1", -zeta, 1 - zeta, .5);
    xn_label_put(s, "R", 0, .5, .5);
    xn_label_put(s, "S", 0, .5, 0);
    xn_label_put(s, "T", -.5, .5, .5);
    xn_label_put(s, "X", zeta, zeta, 0);
    xn_label_put(s, "X1", -zeta, 1 - zeta, 0);
    xn_label_put(s, "Y", -.5, .5, 0);
    xn_label_put(s, "Z", 0, 0, .5);
}

// The form of the zone follows from the rhombohedral angle.
static void rhombohedral_lattice(double cosine, xn_label_set *s)
{
    if (cosine > 0) { // RHL1, alpha below 90 degrees
        double eta = (1 + 4 * cosine) / (2 + 4 * cosine), nu = .75 - eta / 2;
        s->path = "L G Z";
        xn_label_put(s, "B", eta, .5, 1 - eta);
        xn_label_put(s, "B1", .5, 1 - eta, eta - 1);
        xn_label_put(s, "F", .5, .5, 0);
        xn_label_put(s, "L", .5, 0, 0);
        xn_label_put(s, "L1", 0, 0, -.5);
        xn_label_put(s, "P", eta, nu, nu);
        xn_label_put(s, "P1", 1 - nu, 1 - nu, 1 - eta);
        xn_label_put(s, "P2", nu, nu, eta - 1);
        xn_label_put(s, "Q", 1 - nu, nu, 0);
        xn_label_put(s, "X", nu, 0, -nu);
        xn_label_put(s, "Z", .5, .5, .5);
        xn_label_put(s, "T", .5, .5, .5); // its older name
        return;
    }
    double eta = (1 + cosine) / (2 * (1 - cosine)), nu = .75 - eta / 2; // 1 / (2 tan^2(alpha / 2))
    s->path = "G P Z Q G F P1 Q1 L Z";
    xn_label_put(s, "F", .5, -.5, 0);
    xn_label_put(s, "L", .5, 0, 0);
    xn_label_put(s, "P", 1 - nu, -nu, 1 - nu);
    xn_label_put(s, "P1", nu, nu - 1, nu - 1);
    xn_label_put(s, "Q", eta, eta, eta);
    xn_label_put(s, "Q1", 1 - eta, -eta, -eta);
    xn_label_put(s, "Z", .5, -.5, .5);
}

// Hexagonal axes, obverse setting.
static void rhombohedral_of_hexagonal(const double c[6], xn_label_set *s)
{
    double edge = c[0] * c[0] / 3 + c[2] * c[2] / 9;
    memcpy(s->to_conventional, rhombohedral, sizeof rhombohedral);
    rhombohedral_lattice(1 - c[0] * c[0] / (2 * edge), s);
}

// ---- which lattice

static bool alike(double a, double b) { return fabs(a - b) < 1e-3 * a; }

static bool about(double angle_deg, double other_deg) { return fabs(angle_deg - other_deg) < 0.05; }

// *unique: the axis across the two that meet obliquely, or are alike.
static lattice_system system_of(const double c[6], int *unique)
{
    bool right[3], all = alike(c[0], c[1]) && alike(c[1], c[2]);
    int n_right = 0;
    for (int k = 0; k < 3; k++) n_right += right[k] = about(c[3 + k], 90);
    if (n_right == 3 && all) return CUBIC;
    for (int k = 2; k >= 0 && n_right == 3; k--) {
        *unique = k;
        if (alike(c[(k + 1) % 3], c[(k + 2) % 3])) return TETRAGONAL;
    }
    if (n_right == 3) return ORTHORHOMBIC;
    if (all && about(c[3], c[4]) && about(c[4], c[5])) return RHOMBOHEDRAL;
    for (int k = 0; k < 3; k++)
        if (!right[k]) *unique = k;
    if (n_right != 2) return TRICLINIC;
    bool sixfold = about(c[3 + *unique], 120) || about(c[3 + *unique], 60);
    return sixfold && alike(c[(*unique + 1) % 3], c[(*unique + 2) % 3]) ? HEXAGONAL : MONOCLINIC;
}

static void turn(const double to_given[9], xn_label_set *s)
{
    double own[9];
    memcpy(own, s->to_conventional, sizeof own);
    xn_mat3_mul(to_given, own, s->to_conventional);
}

// Centred on a face, or on all, it is one of half as large a square, P or I.
static void tetragonal(const double c[6], int unique, char centring, xn_label_set *s)
{
    double side = c[(unique + 1) % 3], ratio = c[unique] * c[unique] / (side * side);
    for (int i = 0; i < 3; i++) s->axis[i] = (unique + 1 + i) % 3;
    if (centring == 'I' || centring == 'F')
        tetragonal_i(centring == 'F' ? 2 * ratio : ratio, s);
    else
        tetragonal_p(s);
    if (centring != 'I' && centring != 'P') turn(half_face, s);
}

// Axes `first` to `last` of the article in the order of their lengths.
static void sort_axes(const double c[6], int first, int last, int axis[3])
{
    for (int i = first; i < last; i++)
        for (int k = first; k < last - (i - first); k++)
            if (c[axis[k]] > c[axis[k + 1]]) {
                int swap = axis[k];
                axis[k] = axis[k + 1];
                axis[k + 1] = swap;
            }
}

static void orthorhombic(const double c[6], char centring, xn_label_set *s)
{
    static const int base[3][3] = {{1, 2, 0}, {2, 0, 1}, {0, 1, 2}}; // A, B, C: the centred face stands across the last
    if (centring >= 'A' && centring <= 'C') memcpy(s->axis, base[centring - 'A'], sizeof s->axis);
    if (centring == 'F' || centring == 'I') sort_axes(c, 0, 2, s->axis);
    if (centring >= 'A' && centring <= 'C') sort_axes(c, 0, 1, s->axis);
    double square[3];
    for (int i = 0; i < 3; i++) square[i] = c[s->axis[i]] * c[s->axis[i]];
    if (centring == 'P') orthorhombic_p(s);
    if (centring == 'F') orthorhombic_f(square[0], square[1], square[2], s);
    if (centring == 'I') orthorhombic_i(square[0], square[1], square[2], s);
    if (centring >= 'A' && centring <= 'C') orthorhombic_c(square[0], square[1], s);
}

static void find_set(const xn_lattice *l, xn_label_set *s)
{
    int unique = 0;
    const double *c = l->cell;
    lattice_system system = system_of(c, &unique);
    *s = (xn_label_set){.axis = {0, 1, 2}};
    memcpy(s->to_conventional, identity, sizeof identity);
    if (system <= ORTHORHOMBIC && l->centring >= 'A' && l->centring <= 'C') { // which axes are alike in that face
        unique = l->centring - 'A';
        system = alike(c[(unique + 1) % 3], c[(unique + 2) % 3]) ? TETRAGONAL : ORTHORHOMBIC;
    }
    if (system == CUBIC) cubic(l->centring, s);
    if (system == TETRAGONAL) tetragonal(c, unique, l->centring, s);
    if (system == ORTHORHOMBIC) orthorhombic(c, l->centring, s);
    if (system == HEXAGONAL && l->centring == 'P') {
        for (int i = 0; i < 3; i++) s->axis[i] = (unique + 1 + i) % 3;
        hexagonal(s);
        if (c[3 + unique] < 90) turn(obtuse, s);
    }
    if (system == HEXAGONAL && l->centring == 'R') rhombohedral_of_hexagonal(c, s);
    if (system == RHOMBOHEDRAL && l->centring == 'P') rhombohedral_lattice(cos(c[3] * M_PI / 180), s);
    if (system == MONOCLINIC) xn_label_monoclinic(l, unique, s);
    if (system == TRICLINIC) xn_label_triclinic(l, s);
}

bool xn_lattice_label(const xn_lattice *l, const char *label, double hkl[3])
{
    if (strcmp(label, "G") == 0 || strcmp(label, "Gamma") == 0 || strcmp(label, "\xce\x93") == 0) {
        hkl[0] = hkl[1] = hkl[2] = 0.0;
        return true;
    }
    if (strcmp(label, "\xce\xa3") == 0) label = "Sigma";
    xn_label_set s;
    find_set(l, &s);
    for (int i = 0; i < s.n; i++) {
        if (strcmp(s.point[i].name, label) != 0) continue;
        double own[3];
        xn_mat3_vec(s.to_conventional, s.point[i].hkl, own);
        for (int k = 0; k < 3; k++) hkl[s.axis[k]] = own[k];
        return true;
    }
    return false;
}

const char *xn_lattice_default_path(const xn_lattice *l)
{
    xn_label_set s;
    find_set(l, &s);
    return s.path;
}
