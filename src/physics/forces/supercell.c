// SPDX-License-Identifier: BSD-3-Clause
// supercell.c -- from force constants between the atoms of a supercell to those of the primitive cell: see supercell.h.
//
// An atom belongs to a class: those that translations of the primitive lattice take it to.  A pair of one atom of each
// class with every atom of the supercell, shared by its nearest images, is all there is (forces.h).
#include "physics/forces/supercell.h"

#include <math.h>
#include <spglib.h>
#include <string.h>

#include "physics/lattice.h"

#define SAME_PLACE 1e-3 // fractions of the primitive cell: positions in files have 5 digits and more
#define SYMPREC_ANG 1e-4

xani_status xn_supercell_alloc(xn_ctx *ctx, int n, xn_supercell *s)
{
    s->n = n;
    s->unit_ang = 1.0;
    s->unit_force = XN_NEWTON_PER_EV_ANG2;
    s->place = xn_calloc((size_t)n, sizeof *s->place);
    s->element = xn_calloc((size_t)n, sizeof *s->element);
    s->mass_u = xn_calloc((size_t)n, sizeof *s->mass_u);
    if (s->place != NULL && s->element != NULL && s->mass_u != NULL) return XANI_OK;
    return xn_fail_memory(ctx, "the atoms of a supercell", (size_t)n * 40);
}

void xn_supercell_free(xn_supercell *s)
{
    xn_free(s->place);
    xn_free(s->element);
    xn_free(s->mass_u);
    memset(s, 0, sizeof *s);
}

// Rows as basis: v = c_0 a_0 + c_1 a_1 + c_2 a_2.
static void combine(const double rows[9], const double c[3], double v[3])
{
    for (int k = 0; k < 3; k++) v[k] = c[0] * rows[k] + c[1] * rows[3 + k] + c[2] * rows[6 + k];
}

void xn_supercell_cartesian(const xn_supercell *s, int atom, double r[3]) { combine(s->lattice, s->place[atom], r); }

// ---- the primitive cell

static int *number_elements(const xn_supercell *s)
{
    int *type = xn_calloc((size_t)s->n, sizeof *type);
    for (int i = 0; type != NULL && i < s->n; i++) {
        int k = 0;
        while (strcmp(s->element[k], s->element[i]) != 0) k++;
        type[i] = k + 1;
    }
    return type;
}

xani_status xn_supercell_primitive(xn_ctx *ctx, xn_supercell *s)
{
    if (fabs(xn_mat3_determinant(s->primitive)) > 0.0) return XANI_OK;
    double lattice[3][3];
    double(*place)[3] = xn_alloc((size_t)s->n, sizeof *place);
    int *type = number_elements(s), n = 0;
    if (place != NULL && type != NULL) {
        memcpy(place, s->place, (size_t)s->n * sizeof *place);
        for (int i = 0; i < 3; i++) // columns are the vectors there
            for (int k = 0; k < 3; k++) lattice[k][i] = s->lattice[3 * i + k];
        n = spg_standardize_cell(lattice, place, type, s->n, 1, 1, SYMPREC_ANG);
    }
    bool memory = place == NULL || type == NULL;
    xn_free(place);
    xn_free(type);
    if (memory) return xn_fail_memory(ctx, "the primitive cell", (size_t)s->n * sizeof *place);
    if (n == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "no primitive cell is found for the %d atoms of the supercell", s->n);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) s->primitive[3 * i + k] = lattice[k][i];
    if (xn_mat3_determinant(s->primitive) < 0.0)
        for (int k = 0; k < 9; k++) s->primitive[k] = -s->primitive[k];
    return XANI_OK;
}

int xn_supercell_classes(const xn_supercell *s, int *class_of, int *first)
{
    double inverse[9];
    int classes = 0;
    if (!xn_mat3_inverse(s->primitive, inverse)) return -1;
    for (int i = 0; i < s->n; i++) {
        double r[3], o[3];
        xn_supercell_cartesian(s, i, r);
        class_of[i] = -1;
        for (int k = 0; k < classes && class_of[i] < 0; k++) {
            bool same = strcmp(s->element[i], s->element[first[k]]) == 0;
            xn_supercell_cartesian(s, first[k], o);
            for (int c = 0; c < 3; c++) {
                double x = (r[0] - o[0]) * inverse[c] + (r[1] - o[1]) * inverse[3 + c] + (r[2] - o[2]) * inverse[6 + c];
                same = same && fabs(x - rint(x)) < SAME_PLACE;
            }
            if (same) class_of[i] = k;
        }
        if (class_of[i] >= 0) continue;
        class_of[i] = classes;
        first[classes++] = i;
    }
    double cells = fabs(xn_mat3_determinant(s->lattice) / xn_mat3_determinant(s->primitive));
    return fabs(cells * classes - s->n) < 1e-3 * s->n ? classes : -1;
}

// ---- the constants

static xani_status add_rows(xn_ctx *ctx, const xn_supercell *s, const double *phi, const int *row_atom, int rows,
                            const int *class_of, xn_forces *f)
{
    for (int k = 0; k < f->n_atoms; k++) {
        int row = 0;
        double from[3], to[3];
        while (row < rows && class_of[row_atom[row]] != k) row++;
        if (row == rows)
            return xn_fail(ctx, XANI_ERR_INPUT, "no force constants of atom %d of the primitive cell (%s)", k + 1,
                           f->element[k]);
        xn_supercell_cartesian(s, row_atom[row], from);
        for (int j = 0; j < s->n; j++) {
            xn_supercell_cartesian(s, j, to);
            XN_TRY(xn_forces_add_images(ctx, f, k, class_of[j], from, to, s->lattice,
                                        phi + ((size_t)row * (size_t)s->n + (size_t)j) * 9));
        }
    }
    return XANI_OK;
}

void xn_supercell_matrix(const xn_supercell *s, const double cell[9], int matrix[9])
{
    double inverse[9];
    if (!xn_mat3_inverse(cell, inverse)) return;
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++)
            matrix[3 * i + c] = (int)rint(s->lattice[3 * i] * inverse[c] + s->lattice[3 * i + 1] * inverse[3 + c] +
                                          s->lattice[3 * i + 2] * inverse[6 + c]);
}

xani_status xn_forces_from_supercell(xn_ctx *ctx, xn_supercell *s, const double *phi, const int *row_atom, int rows,
                                     xn_forces *f)
{
    int *class_of = xn_alloc((size_t)s->n, sizeof *class_of), *first = xn_alloc((size_t)s->n, sizeof *first);
    xani_status st = XANI_OK;
    if (class_of == NULL || first == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, "the atoms", (size_t)s->n * 8));
    XN_GOTO(out, st, xn_supercell_primitive(ctx, s));
    int classes = xn_supercell_classes(s, class_of, first);
    if (classes < 1)
        XN_GOTO(
            out, st,
            xn_fail(ctx, XANI_ERR_INPUT, "the %d atoms of the supercell do not fill it with primitive cells", s->n));
    XN_GOTO(out, st, xn_forces_begin(ctx, s->primitive, classes, f));
    for (int k = 0; k < classes; k++) {
        xn_supercell_cartesian(s, first[k], f->position[k]);
        memcpy(f->element[k], s->element[first[k]], sizeof f->element[k]);
        f->mass_u[k] = s->mass_u[first[k]];
    }
    xn_supercell_matrix(s, f->cell, f->supercell);
    st = add_rows(ctx, s, phi, row_atom, rows, class_of, f);
out:
    xn_free(class_of);
    xn_free(first);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}
