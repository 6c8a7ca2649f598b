// SPDX-License-Identifier: BSD-3-Clause
// sets.c -- force constants from the forces of displaced supercells: see supercell.h.
//
// A displacement u of atom i gives forces F_j = -Phi_ij^T u.  Every operation of the supercell's space group that takes
// a displaced atom to atom i takes its displacement and its forces along, which gives further equations; Phi_ij is
// their least-squares solution (Parlinski, Li and Kawazoe, Phys. Rev. Lett. 78, 4063 (1997)).  Rows of one atom per
// class of translations are enough (supercell.c).
#include <math.h>
#include <spglib.h>
#include <string.h>

#include "physics/forces/supercell.h"
#include "physics/lattice.h"

#define SYMPREC_ANG 1e-4
#define SAME_ANG 1e-2

typedef struct {
    int n;
    int (*rotation)[3][3];
    double (*translation)[3];
} operations;

static xani_status find_operations(xn_ctx *ctx, const xn_supercell *s, operations *o)
{
    int most = 48 * s->n, k = 0;
    double lattice[3][3];
    double(*place)[3] = xn_alloc((size_t)s->n, sizeof *place);
    int *type = xn_calloc((size_t)s->n, sizeof *type);
    o->rotation = xn_alloc((size_t)most, sizeof *o->rotation);
    o->translation = xn_alloc((size_t)most, sizeof *o->translation);
    if (place != NULL && type != NULL && o->rotation != NULL && o->translation != NULL) {
        memcpy(place, s->place, (size_t)s->n * sizeof *place);
        for (int i = 0; i < s->n; i++, k = 0) {
            while (strcmp(s->element[k], s->element[i]) != 0) k++;
            type[i] = k;
        }
        for (int i = 0; i < 3; i++)
            for (int c = 0; c < 3; c++) lattice[c][i] = s->lattice[3 * i + c];
        o->n = spg_get_symmetry(o->rotation, o->translation, most, lattice, place, type, s->n, SYMPREC_ANG);
    }
    bool memory = place == NULL || type == NULL || o->rotation == NULL || o->translation == NULL;
    xn_free(place);
    xn_free(type);
    if (memory) return xn_fail_memory(ctx, "the symmetry of the supercell", (size_t)most * 60);
    return o->n > 0 ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "the symmetry of the supercell is not found");
}

// The atom that operation k takes atom i to; -1: none.
static int image_of(const xn_supercell *s, const operations *o, int k, int i)
{
    double p[3];
    for (int a = 0; a < 3; a++) {
        p[a] = o->translation[k][a];
        for (int b = 0; b < 3; b++) p[a] += o->rotation[k][a][b] * s->place[i][b];
    }
    for (int j = 0; j < s->n; j++) {
        double d[3], r[3];
        for (int a = 0; a < 3; a++) {
            d[a] = p[a] - s->place[j][a];
            d[a] -= rint(d[a]);
        }
        for (int c = 0; c < 3; c++) r[c] = d[0] * s->lattice[c] + d[1] * s->lattice[3 + c] + d[2] * s->lattice[6 + c];
        if (r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < SAME_ANG * SAME_ANG) return j;
    }
    return -1;
}

// Cartesian rotation of operation k: rows of the lattice as basis, R = L^T W L^-T.
static void cartesian_rotation(const xn_supercell *s, const operations *o, int k, double r[9])
{
    double lt[9], inverse[9], w[9], half[9];
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++) {
            lt[3 * c + i] = s->lattice[3 * i + c];
            w[3 * i + c] = o->rotation[k][i][c];
        }
    xn_mat3_inverse(lt, inverse);
    xn_mat3_mul(lt, w, half);
    xn_mat3_mul(half, inverse, r);
}

typedef struct {
    double uu[9];    // sum u u^T
    double (*uf)[9]; // (n) sum u F_j^T
    int64_t equations;
} normal;

static void add_equation(const xn_supercell *s, const operations *o, int k, const xn_displacement *d, normal *eq)
{
    double r[9], u[3], force[3];
    cartesian_rotation(s, o, k, r);
    xn_mat3_vec(r, d->u, u);
    eq->equations++;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) eq->uu[3 * a + b] += u[a] * u[b];
    for (int j = 0; j < s->n; j++) {
        int at = image_of(s, o, k, j);
        if (at < 0) continue;
        xn_mat3_vec(r, d->force[j], force);
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) eq->uf[at][3 * a + b] += u[a] * force[b];
    }
}

// Row i of phi.
static xani_status solve_row(xn_ctx *ctx, const xn_supercell *s, const operations *o, const xn_displacement *d, int n_d,
                             int i, normal *eq, double *row)
{
    memset(eq->uu, 0, sizeof eq->uu);
    memset(eq->uf, 0, (size_t)s->n * sizeof *eq->uf);
    eq->equations = 0;
    for (int m = 0; m < n_d; m++)
        for (int k = 0; k < o->n; k++)
            if (image_of(s, o, k, d[m].atom) == i) add_equation(s, o, k, &d[m], eq);
    double trace = eq->uu[0] + eq->uu[4] + eq->uu[8], inverse[9];
    if (!(trace > 0) || fabs(xn_mat3_determinant(eq->uu)) < 1e-9 * trace * trace * trace ||
        !xn_mat3_inverse(eq->uu, inverse))
        return xn_fail(ctx, XANI_ERR_INPUT, "the displacements do not determine the force constants of atom %d (%s)",
                       i + 1, s->element[i]);
    for (int j = 0; j < s->n; j++) {
        xn_mat3_mul(inverse, eq->uf[j], row + 9 * (size_t)j);
        for (int c = 0; c < 9; c++) row[9 * (size_t)j + (size_t)c] = -row[9 * (size_t)j + (size_t)c];
    }
    return XANI_OK;
}

xani_status xn_supercell_solve(xn_ctx *ctx, const xn_supercell *s, const xn_displacement *d, int n_d, double *phi)
{
    operations o = {0};
    normal eq = {.uf = xn_alloc((size_t)s->n, sizeof *eq.uf)};
    int *class_of = xn_alloc((size_t)s->n, sizeof *class_of), *first = xn_alloc((size_t)s->n, sizeof *first);
    xani_status st;
    if (eq.uf == NULL || class_of == NULL || first == NULL)
        XN_GOTO(out, st, xn_fail_memory(ctx, "the force constants", (size_t)s->n * 80));
    XN_GOTO(out, st, find_operations(ctx, s, &o));
    int classes = xn_supercell_classes(s, class_of, first);
    st = classes < 1 ? xn_fail(ctx, XANI_ERR_INPUT, "the supercell does not hold whole primitive cells") : XANI_OK;
    for (int k = 0; st == XANI_OK && k < classes; k++) {
        st = xn_check_interrupt(ctx);
        if (st == XANI_OK) st = solve_row(ctx, s, &o, d, n_d, first[k], &eq, phi + (size_t)first[k] * (size_t)s->n * 9);
    }
out:
    xn_free(o.rotation);
    xn_free(o.translation);
    xn_free(eq.uf);
    xn_free(class_of);
    xn_free(first);
    return st;
}
