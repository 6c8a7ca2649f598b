// SPDX-License-Identifier: BSD-3-Clause
// symmetry.c -- operations of the crystal from libsymspg (Togo and Tanaka, arXiv:1808.01590): see symmetry.h.
#include "physics/forces/symmetry.h"

#include <math.h>
#include <spglib.h>
#include <string.h>

#include "physics/lattice.h"

#define SYMPREC_ANG 1e-4
#define SAME_PLACE 1e-3

// Fractions of the cell, and a number for each element.
static void places(const xn_forces *f, double (*place)[3], int *type)
{
    double inverse[9];
    if (!xn_mat3_inverse(f->cell, inverse)) return; // xn_forces_begin saw to it
    for (int i = 0; i < f->n_atoms; i++) {
        const double *r = f->position[i];
        for (int c = 0; c < 3; c++) place[i][c] = r[0] * inverse[c] + r[1] * inverse[3 + c] + r[2] * inverse[6 + c];
        type[i] = 0;
        while (strcmp(f->element[type[i]], f->element[i]) != 0 || f->mass_u[type[i]] != f->mass_u[i]) type[i]++;
    }
}

static int image_of(const xn_forces *f, const SpglibDataset *d, const double (*place)[3], int k, int i)
{
    for (int j = 0; j < f->n_atoms; j++) {
        bool same = true;
        for (int a = 0; a < 3; a++) {
            double p = d->translations[k][a] - place[j][a];
            for (int b = 0; b < 3; b++) p += d->rotations[k][a][b] * place[i][b];
            same = same && fabs(p - rint(p)) < SAME_PLACE;
        }
        if (same) return j;
    }
    return -1;
}

// R = A^T W A^-T with the cell's vectors as rows of A.
static void cartesian(const xn_forces *f, const int w[3][3], double r[9])
{
    double t[9], inverse[9], whole[9], half[9];
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++) {
            t[3 * c + i] = f->cell[3 * i + c];
            whole[3 * i + c] = w[i][c];
        }
    if (!xn_mat3_inverse(t, inverse)) return;
    xn_mat3_mul(t, whole, half);
    xn_mat3_mul(half, inverse, r);
}

static xani_status fill(xn_ctx *ctx, const xn_forces *f, const SpglibDataset *d, const double (*place)[3],
                        xn_symmetry *s)
{
    size_t n = (size_t)d->n_operations, atoms = (size_t)f->n_atoms;
    s->rotation = xn_alloc(n, sizeof *s->rotation);
    s->image = xn_alloc(n * atoms, sizeof *s->image);
    if (s->rotation == NULL || s->image == NULL) return xn_fail_memory(ctx, "symmetry operations", n * atoms * 4);
    for (int k = 0; k < d->n_operations; k++) {
        bool whole = true;
        for (int i = 0; i < f->n_atoms; i++) {
            s->image[(size_t)s->n * atoms + (size_t)i] = image_of(f, d, place, k, i);
            whole = whole && s->image[(size_t)s->n * atoms + (size_t)i] >= 0;
        }
        if (!whole) continue;
        cartesian(f, d->rotations[k], s->rotation[s->n]);
        s->n++;
    }
    return s->n > 0 ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "the crystal's symmetry is not found");
}

xani_status xn_symmetry_find(xn_ctx *ctx, const xn_forces *f, xn_symmetry *s)
{
    double lattice[3][3];
    double(*place)[3] = xn_alloc((size_t)f->n_atoms, sizeof *place);
    int *type = xn_alloc((size_t)f->n_atoms, sizeof *type);
    SpglibDataset *d = NULL;
    memset(s, 0, sizeof *s);
    xani_status st;
    if (place == NULL || type == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, "the atoms", (size_t)f->n_atoms * 28));
    places(f, place, type);
    for (int i = 0; i < 3; i++) // columns are the vectors there
        for (int c = 0; c < 3; c++) lattice[c][i] = f->cell[3 * i + c];
    d = spg_get_dataset(lattice, place, type, f->n_atoms, SYMPREC_ANG);
    if (d == NULL) XN_GOTO(out, st, xn_fail(ctx, XANI_ERR_INPUT, "the crystal's symmetry is not found"));
    st = fill(ctx, f, d, (const double(*)[3])place, s);
out:
    if (d != NULL) spg_free_dataset(d);
    xn_free(place);
    xn_free(type);
    if (st != XANI_OK) xn_symmetry_free(s);
    return st;
}

void xn_symmetry_free(xn_symmetry *s)
{
    xn_free(s->rotation);
    xn_free(s->image);
    memset(s, 0, sizeof *s);
}

void xn_symmetry_turn(const double r[9], const double t[9], double out[9])
{
    double transposed[9], half[9];
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) transposed[3 * a + b] = r[3 * b + a];
    xn_mat3_mul(r, t, half);
    xn_mat3_mul(half, transposed, out);
}

xani_status xn_symmetry_average(xn_ctx *ctx, const xn_forces *f, double (*tensor)[9])
{
    xn_symmetry s;
    size_t atoms = (size_t)f->n_atoms;
    XN_TRY(xn_symmetry_find(ctx, f, &s));
    double(*sum)[9] = xn_calloc(atoms, sizeof *sum), one[9];
    for (int k = 0; sum != NULL && k < s.n; k++)
        for (size_t i = 0; i < atoms; i++) {
            xn_symmetry_turn(s.rotation[k], tensor[i], one);
            for (int c = 0; c < 9; c++) sum[s.image[(size_t)k * atoms + i]][c] += one[c] / s.n;
        }
    if (sum != NULL) memcpy(tensor, sum, atoms * sizeof *sum);
    bool memory = sum == NULL;
    xn_free(sum);
    xn_symmetry_free(&s);
    return memory ? xn_fail_memory(ctx, "tensors", atoms * sizeof *sum) : XANI_OK;
}
