// SPDX-License-Identifier: BSD-3-Clause
// align.c -- the conventional cell of a configuration found in the cell of a file of force constants.
//
// Both describe one lattice, each in its own orientation and with its own basis.  Whole-number combinations of the
// file's primitive vectors that have the lengths and angles of the conventional cell, in a right-handed order, and
// whose centring translations belong to the lattice are candidates; where the configuration names atoms, they must fall
// on those of the file (up to one shift).  Among equivalent ones the least turned is taken, so that the choice is
// stable.
#include <math.h>
#include <string.h>

#include "physics/forces/forces.h"
#include "physics/lattice.h"

#define CELL_TOLERANCE 0.02 // lengths and products of two descriptions of one crystal: calculated and measured cells
#define SAME_PLACE 0.05     // fractions of the conventional cell: parameters of positions are calculated or measured
#define REACH 3
#define SIDE (2 * REACH + 1)
#define VECTORS_MOST (SIDE * SIDE * SIDE)

typedef struct {
    const xn_lattice *l;
    const xn_forces *f;
    double direct[9];  // rows: conventional vectors as the configuration has them
    double inverse[9]; // of f->cell
    double v[3][VECTORS_MOST][3];
    int n[3];
    double best[9], most;               // rows; trace of its rotation
    double place[XN_LATTICE_PLACES][3]; // atoms of the configuration
    int basis[XN_LATTICE_PLACES], n_places;
} search;

static double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static void collect(search *s, int axis)
{
    double length = sqrt(dot(s->direct + 3 * axis, s->direct + 3 * axis));
    for (int m = 0; m < VECTORS_MOST; m++) {
        int k[3] = {m / (SIDE * SIDE) - REACH, m / SIDE % SIDE - REACH, m % SIDE - REACH};
        double v[3];
        for (int c = 0; c < 3; c++) v[c] = k[0] * s->f->cell[c] + k[1] * s->f->cell[3 + c] + k[2] * s->f->cell[6 + c];
        if (fabs(sqrt(dot(v, v)) - length) < CELL_TOLERANCE * length) memcpy(s->v[axis][s->n[axis]++], v, sizeof v);
    }
}

static bool close_products(const search *s, int i, int j, const double *a, const double *b)
{
    const double *p = s->direct + 3 * i, *q = s->direct + 3 * j;
    return fabs(dot(a, b) - dot(p, q)) < CELL_TOLERANCE * sqrt(dot(p, p) * dot(q, q));
}

// The cell holds as many primitive cells as its centring has translations, each a vector of the file's lattice.
static bool centring_fits(const search *s, const double rows[9])
{
    double shift[4][3], cells = xn_mat3_determinant(rows) / fabs(xn_mat3_determinant(s->f->cell));
    int n = xn_lattice_centring(s->l->centring, shift);
    if (fabs(cells - n) > 0.1 * n) return false;
    for (int k = 0; k < n; k++) {
        double v[3];
        for (int c = 0; c < 3; c++)
            v[c] = shift[k][0] * rows[c] + shift[k][1] * rows[3 + c] + shift[k][2] * rows[6 + c];
        for (int c = 0; c < 3; c++) {
            double x = v[0] * s->inverse[c] + v[1] * s->inverse[3 + c] + v[2] * s->inverse[6 + c];
            if (fabs(x - rint(x)) > 1e-3) return false;
        }
    }
    return true;
}

// Every atom, seen from atom `origin`, stands where the configuration has one of its element, seen from its atom
// `first`.
static bool atoms_fit_at(const search *s, const double inverse[9], int origin, int first)
{
    for (int i = 0; i < s->f->n_atoms; i++) {
        bool found = false;
        for (int b = 0; b < s->n_places && !found; b++) {
            found = strcmp(s->l->element[s->basis[b]], s->f->element[i]) == 0;
            for (int c = 0; c < 3; c++) {
                double x = s->place[first][c] - s->place[b][c];
                for (int d = 0; d < 3; d++)
                    x += (s->f->position[i][d] - s->f->position[origin][d]) * inverse[3 * d + c];
                found = found && fabs(x - rint(x)) < SAME_PLACE;
            }
        }
        if (!found) return false;
    }
    return true;
}

static bool atoms_fit(const search *s, const double rows[9])
{
    double inverse[9], shift[4][3];
    bool named = s->f->element[0][0] != '\0';
    int atoms = s->n_places / xn_lattice_centring(s->l->centring, shift);
    if (!named || atoms != s->f->n_atoms) return true; // nothing to compare
    if (!xn_mat3_inverse(rows, inverse)) return false;
    for (int i = 0; i < s->f->n_atoms; i++)
        if (strcmp(s->f->element[i], s->l->element[s->basis[0]]) == 0 && atoms_fit_at(s, inverse, i, 0)) return true;
    return false;
}

// Trace of the rotation that takes the configuration's vectors to these.
static double trace(const search *s, const double rows[9])
{
    double inverse[9], r[9];
    if (!xn_mat3_inverse(s->direct, inverse)) return -4.0;
    xn_mat3_mul(inverse, rows, r);
    return r[0] + r[4] + r[8];
}

static void try_all(search *s)
{
    for (int a = 0; a < s->n[0]; a++)
        for (int b = 0; b < s->n[1]; b++) {
            if (!close_products(s, 0, 1, s->v[0][a], s->v[1][b])) continue;
            for (int c = 0; c < s->n[2]; c++) {
                if (!close_products(s, 0, 2, s->v[0][a], s->v[2][c]) ||
                    !close_products(s, 1, 2, s->v[1][b], s->v[2][c]))
                    continue;
                double rows[9];
                memcpy(rows, s->v[0][a], sizeof s->v[0][a]);
                memcpy(rows + 3, s->v[1][b], sizeof s->v[1][b]);
                memcpy(rows + 6, s->v[2][c], sizeof s->v[2][c]);
                double t = trace(s, rows);
                if (t <= s->most + 1e-9 || !(xn_mat3_determinant(rows) > 0) || !centring_fits(s, rows) ||
                    !atoms_fit(s, rows))
                    continue;
                s->most = t;
                memcpy(s->best, rows, sizeof rows);
            }
        }
}

xani_status xn_forces_align(xn_ctx *ctx, const xn_lattice *l, const xn_forces *f, double b[9])
{
    search *s = xn_calloc(1, sizeof *s);
    if (s == NULL) return xn_fail_memory(ctx, "the cell", sizeof *s);
    s->l = l;
    s->f = f;
    s->most = -4.0;
    s->n_places = l->n_basis > 0 ? xn_lattice_places(l, s->place, s->basis) : 0;
    bool good = xn_mat3_inverse(f->cell, s->inverse);
    for (int k = 0; k < 9; k++) s->direct[k] = 2 * M_PI * l->b_inv[k]; // rows a_i, since a_i.b_j = 2 pi delta_ij
    for (int axis = 0; good && axis < 3; axis++) collect(s, axis);
    if (good) try_all(s);
    good = good && s->most > -4.0 && xn_mat3_inverse(s->best, b);
    for (int k = 0; good && k < 9; k++) b[k] *= 2 * M_PI;
    xn_free(s);
    if (good) return XANI_OK;
    return xn_fail(
        ctx, XANI_ERR_INPUT,
        "the cell %g %g %g A, %g %g %g deg, centring %c with its atoms is not found in the crystal of the force "
        "constants",
        l->cell[0], l->cell[1], l->cell[2], l->cell[3], l->cell[4], l->cell[5], l->centring);
}
