// SPDX-License-Identifier: BSD-3-Clause
// born.c -- dielectric constant and Born effective charges from a file: see forces.h.
//
// phonopy's BORN begins with a factor (not used: units are known here) or a comment, then eps (9 numbers) and the
// charges of one atom of each set of symmetry-equivalent ones, in the order of the primitive cell; the others follow
// by Z_i = R Z_e R^T.  ALAMODE's file and phonopy's YAML files have eps and the charges of all atoms.
#include <ctype.h>
#include <string.h>

#include "physics/forces/supercell.h"
#include "physics/forces/symmetry.h"

// z: charges of the independent atoms, in order.
static xani_status expand(xn_ctx *ctx, const char *path, const double *z, int n_z, xn_forces *f)
{
    xn_symmetry s;
    int seen = 0;
    XN_TRY(xn_context(ctx, xn_symmetry_find(ctx, f, &s), "%s", path));
    for (int i = 0; i < f->n_atoms; i++) {
        int k = 0; // an operation that brings an earlier atom here; none: the first of its kind
        int from = -1;
        for (; k < s.n && from < 0; k++)
            for (int e = 0; e < i && from < 0; e++)
                if (s.image[k * f->n_atoms + e] == i) from = e;
        if (from >= 0)
            xn_symmetry_turn(s.rotation[k - 1], f->born[from], f->born[i]);
        else if (seen++ < n_z)
            memcpy(f->born[i], z + 9 * (seen - 1), sizeof f->born[i]);
    }
    xn_symmetry_free(&s);
    if (seen == n_z) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: charges of %d atoms; the crystal has %d independent ones of %d", path, n_z,
                   seen, f->n_atoms);
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

xani_status xn_forces_born_yaml(xn_ctx *ctx, const char *path, const xn_node *root, xn_forces *f)
{
    const xn_node *nac = xn_node_member(root, "nac"), *in = nac != NULL ? nac : root;
    const xn_node *charges = xn_node_member(in, "born_effective_charge"),
                  *epsilon = xn_node_member(in, "dielectric_constant");
    if (charges == NULL && epsilon == NULL) return XANI_OK;
    if (!xn_node_numbers(epsilon, f->epsilon, 9))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: dielectric_constant is no 3 x 3", path);
    if (charges == NULL || xn_node_count(charges) != f->n_atoms)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: born_effective_charge: charges of %d atoms, the crystal has %d", path,
                       charges != NULL ? xn_node_count(charges) : 0, f->n_atoms);
    f->born = xn_calloc((size_t)f->n_atoms, sizeof *f->born);
    if (f->born == NULL) return xn_fail_memory(ctx, path, (size_t)f->n_atoms * sizeof *f->born);
    int i = 0;
    for (const xn_node *z = charges->child; z != NULL; z = z->next, i++)
        if (!xn_node_numbers(z, f->born[i], 9))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: born_effective_charge: that of atom %d is no 3 x 3", path, i + 1);
    neutral(f);
    return XANI_OK;
}
