// SPDX-License-Identifier: BSD-3-Clause
// born.c -- dielectric constant and Born effective charges from a file: see forces.h.
//
// phonopy's BORN begins with a factor (not used: units are known here) or a comment, then eps (9 numbers) and the
// charges of one atom of each set of symmetry-equivalent ones, in the order of the primitive cell; the others follow
// by Z_i = R Z_e R^T.  ALAMODE's file has eps and the charges of all atoms.
#include <ctype.h>
#include <math.h>
#include <spglib.h>
#include <string.h>

#include "physics/forces/supercell.h"
#include "physics/lattice.h"

#define SYMPREC_ANG 1e-4

// Symmetry operation that takes atom `from` to atom `to`, as a Cartesian rotation; false: none.
static bool rotation_between(const xn_forces *f, const SpglibDataset *d, const double (*place)[3], int from, int to,
                             double r[9])
{
    double ct[9], inverse[9], w[9], half[9];
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++) ct[3 * c + i] = f->cell[3 * i + c];
    xn_mat3_inverse(ct, inverse);
    for (int k = 0; k < d->n_operations; k++) {
        bool same = true;
        for (int a = 0; a < 3; a++) {
            double p = d->translations[k][a] - place[to][a];
            for (int b = 0; b < 3; b++) {
                p += d->rotations[k][a][b] * place[from][b];
                w[3 * a + b] = d->rotations[k][a][b];
            }
            same = same && fabs(p - rint(p)) < 1e-3;
        }
        if (!same) continue;
        xn_mat3_mul(ct, w, half);
        xn_mat3_mul(half, inverse, r);
        return true;
    }
    return false;
}

static SpglibDataset *symmetry(const xn_forces *f, double (*place)[3], int *type)
{
    double lattice[3][3], inverse[9];
    if (!xn_mat3_inverse(f->cell, inverse)) return NULL;
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++) lattice[c][i] = f->cell[3 * i + c];
    for (int i = 0; i < f->n_atoms; i++) {
        const double *r = f->position[i];
        for (int c = 0; c < 3; c++) place[i][c] = r[0] * inverse[c] + r[1] * inverse[3 + c] + r[2] * inverse[6 + c];
        type[i] = 0;
        while (strcmp(f->element[type[i]], f->element[i]) != 0) type[i]++;
    }
    return spg_get_dataset(lattice, place, type, f->n_atoms, SYMPREC_ANG);
}

// z: charges of the independent atoms, in order.
static xani_status expand(xn_ctx *ctx, const char *path, const double *z, int n_z, xn_forces *f)
{
    double(*place)[3] = xn_alloc((size_t)f->n_atoms, sizeof *place);
    int *type = xn_alloc((size_t)f->n_atoms, sizeof *type), seen = 0;
    SpglibDataset *d = place != NULL && type != NULL ? symmetry(f, place, type) : NULL;
    xani_status st =
        d != NULL ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "%s: the crystal's symmetry is not found", path);
    for (int i = 0; st == XANI_OK && i < f->n_atoms; i++) {
        int e = d->equivalent_atoms[i];
        double r[9], rt[9], half[9];
        if (e == i) { // the first of its kind
            if (seen < n_z) memcpy(f->born[i], z + 9 * seen, sizeof f->born[i]);
            seen++;
            continue;
        }
        if (!rotation_between(f, d, (const double(*)[3])place, e, i, r)) {
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no operation takes atom %d to %d", path, e + 1, i + 1);
            break;
        }
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) rt[3 * a + b] = r[3 * b + a];
        xn_mat3_mul(r, f->born[e], half);
        xn_mat3_mul(half, rt, f->born[i]);
    }
    if (st == XANI_OK && seen != n_z)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: charges of %d atoms; the crystal has %d independent ones of %d", path,
                     n_z, seen, f->n_atoms);
    spg_free_dataset(d);
    xn_free(place);
    xn_free(type);
    return st;
}

// A first line that is no row of numbers, or one number, is phonopy's.
static bool phonopy_line(const char *text)
{
    int words = 0;
    for (const char *s = text; *s != '\0' && *s != '\n';) {
        while (*s == ' ' || *s == '\t' || *s == '\r') s++;
        size_t n = strcspn(s, " \t\r\n");
        if (n == 0) break;
        if (isalpha((unsigned char)*s) || *s == '#') return true;
        words++;
        s += n;
    }
    return words == 1;
}

static xani_status read_charges(xn_words *w, bool phonopy, xn_forces *f)
{
    double *z = xn_alloc((size_t)f->n_atoms * 9, sizeof *z);
    int n = 0;
    if (z == NULL) return xn_fail_memory(w->ctx, w->path, (size_t)f->n_atoms * 72);
    xani_status st = XANI_OK;
    for (; st == XANI_OK && n < f->n_atoms && w->at[strspn(w->at, " \t\r\n")] != '\0'; n++)
        st = xn_words_numbers(w, z + 9 * n, 9);
    if (st == XANI_OK && (!phonopy || n == f->n_atoms)) {
        if (n == f->n_atoms)
            memcpy(f->born, z, (size_t)n * sizeof *f->born);
        else
            st = xn_fail(w->ctx, XANI_ERR_INPUT, "%s: charges of %d atoms, the crystal has %d", w->path, n, f->n_atoms);
    } else if (st == XANI_OK) {
        st = expand(w->ctx, w->path, z, n, f);
    }
    xn_free(z);
    return st;
}

// The charges of a cell add up to nothing; what is left of a calculation's digits would keep an acoustic mode from
// zero.
static void neutral(xn_forces *f)
{
    for (int c = 0; c < 9; c++) {
        double sum = 0.0;
        for (int i = 0; i < f->n_atoms; i++) sum += f->born[i][c];
        for (int i = 0; i < f->n_atoms; i++) f->born[i][c] -= sum / f->n_atoms;
    }
}

xani_status xn_forces_born(xn_ctx *ctx, const char *path, xn_forces *f)
{
    xn_words w;
    XN_TRY(xn_words_open(ctx, path, &w));
    xn_free(f->born);
    f->born = xn_calloc((size_t)f->n_atoms, sizeof *f->born);
    bool phonopy = phonopy_line(w.text);
    xani_status st = f->born != NULL ? XANI_OK : xn_fail_memory(ctx, path, (size_t)f->n_atoms * sizeof *f->born);
    if (st == XANI_OK && phonopy) (void)xn_words_line(&w);
    if (st == XANI_OK) st = xn_words_numbers(&w, f->epsilon, 9);
    if (st == XANI_OK) st = read_charges(&w, phonopy, f);
    xn_words_close(&w);
    if (st == XANI_OK) neutral(f);
    return st;
}
