// SPDX-License-Identifier: BSD-3-Clause
// qe.c -- force constants of Quantum ESPRESSO's q2r.x (Giannozzi et al., J. Phys. Condens. Matter 21, 395502,
// 2009).
//
//   ntyp nat ibrav celldm(1..6), three vectors in alat where ibrav is 0; types: number 'name' mass (Rydberg units);
//   atoms: number type tau (alat); T and the dielectric tensor with Born charges, or F; nr1 nr2 nr3; then for each
//   (component, component, atom na, atom nb) a line with these and nr1 nr2 nr3 lines "n1 n2 n3 Phi" in Ry/bohr^2.
//
// Atom na stands at R = (n1 - 1) a1 + (n2 - 1) a2 + (n3 - 1) a3 from the cell of nb (matdyn.x).  Constants of a polar
// crystal are what q2r.x leaves when it has taken the dipoles off, with L^2 = (2 pi / alat)^2 (its rgd_blk): the same
// sum puts them back (polar.c).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/forces/supercell.h"

#define ATOMS_MOST 10000
#define GRID_MOST 200
#define U_IN_RYDBERG 911.44424310865645 // CODATA 2018: 1 u over twice the electron's mass

typedef struct {
    xn_words w;
    int kinds, atoms, ibrav, grid[3];
    bool polar;
    double celldm[6], alat_ang;
    char element[64][4];
    double mass_u[64];
} reading;

static xani_status read_cell(reading *r, double cell[9])
{
    xn_words *w = &r->w;
    XN_TRY(xn_words_whole(w, 1, 64, &r->kinds));
    XN_TRY(xn_words_whole(w, 1, ATOMS_MOST, &r->atoms));
    XN_TRY(xn_words_whole(w, -100, 100, &r->ibrav));
    XN_TRY(xn_words_numbers(w, r->celldm, 6));
    r->alat_ang = r->celldm[0] * XN_BOHR_ANG;
    if (r->ibrav == 0)
        XN_TRY(xn_words_numbers(w, cell, 9));
    else if (!xn_qe_lattice(r->ibrav, r->celldm, cell))
        return xn_fail(w->ctx, XANI_ERR_INPUT, "%s:%d: ibrav %d with this celldm is no lattice known here%s", w->path,
                       w->line, r->ibrav,
                       r->ibrav == -13 ? ": its axes changed with version 6.4.1; calculate with ibrav = 0" : "");
    for (int i = 0; i < 9; i++) cell[i] *= r->alat_ang;
    return XANI_OK;
}

static xani_status read_kinds(reading *r)
{
    xn_words *w = &r->w;
    for (int k = 0; k < r->kinds; k++) {
        int number = 0;
        XN_TRY(xn_words_whole(w, 1, r->kinds, &number));
        char *quote = strchr(w->at, '\''), *end = quote ? strchr(quote + 1, '\'') : NULL;
        if (end == NULL) return xn_words_bad(w, "the name of a kind of atoms is missing");
        quote += 1 + strspn(quote + 1, " ");
        size_t n = strcspn(quote, " '0123456789_-");
        snprintf(r->element[number - 1], sizeof r->element[0], "%.*s", (int)(n < 3 ? n : 3), quote);
        w->at = end + 1;
        XN_TRY(xn_words_number(w, &r->mass_u[number - 1]));
        r->mass_u[number - 1] /= U_IN_RYDBERG;
        if (!(r->mass_u[number - 1] > 0)) return xn_words_bad(w, "this is no mass");
    }
    return XANI_OK;
}

static xani_status read_atoms(reading *r, xn_forces *f)
{
    xn_words *w = &r->w;
    for (int i = 0; i < r->atoms; i++) {
        int number = 0, kind = 0;
        XN_TRY(xn_words_whole(w, 1, r->atoms, &number));
        XN_TRY(xn_words_whole(w, 1, r->kinds, &kind));
        XN_TRY(xn_words_numbers(w, f->position[number - 1], 3));
        for (int c = 0; c < 3; c++) f->position[number - 1][c] *= r->alat_ang;
        memcpy(f->element[number - 1], r->element[kind - 1], sizeof f->element[0]);
        f->mass_u[number - 1] = r->mass_u[kind - 1];
    }
    return XANI_OK;
}

// T, epsilon and charges, or F; then the grid.
static xani_status read_charges(reading *r, xn_forces *f)
{
    xn_words *w = &r->w;
    for (; strspn(w->at, " \t\r\n") > 0; w->at++) w->line += *w->at == '\n';
    r->polar = *w->at == 'T' || *w->at == 't';
    if (!r->polar && *w->at != 'F' && *w->at != 'f')
        return xn_words_bad(w, "T or F is expected: are there Born charges");
    (void)xn_words_line(w);
    if (r->polar) {
        f->born = xn_calloc((size_t)f->n_atoms, sizeof *f->born);
        if (f->born == NULL) return xn_fail_memory(w->ctx, w->path, (size_t)f->n_atoms * sizeof *f->born);
        XN_TRY(xn_words_numbers(w, f->epsilon, 9));
        for (int i = 0; i < r->atoms; i++) {
            int number = 0;
            XN_TRY(xn_words_whole(w, 1, r->atoms, &number));
            XN_TRY(xn_words_numbers(w, f->born[number - 1], 9));
        }
        f->lambda_sq = pow(2 * M_PI / r->alat_ang, 2);
    }
    for (int k = 0; k < 3; k++) XN_TRY(xn_words_whole(w, 1, GRID_MOST, &r->grid[k]));
    return XANI_OK;
}

// One component of all cells for a pair of atoms: to phi (cell, na, nb, 9), NaN before. As many lines as there are
// constants, none of them twice, leave none out.
static xani_status read_block(reading *r, double *phi)
{
    xn_words *w = &r->w;
    int a = 0, b = 0, na = 0, nb = 0;
    XN_TRY(xn_words_whole(w, 1, 3, &a));
    XN_TRY(xn_words_whole(w, 1, 3, &b));
    XN_TRY(xn_words_whole(w, 1, r->atoms, &na));
    XN_TRY(xn_words_whole(w, 1, r->atoms, &nb));
    size_t n = (size_t)r->atoms;
    for (int m = 0; m < r->grid[0] * r->grid[1] * r->grid[2]; m++) {
        int at[3];
        for (int k = 0; k < 3; k++) XN_TRY(xn_words_whole(w, 1, r->grid[k], &at[k]));
        size_t cell = (size_t)(((at[2] - 1) * r->grid[1] + at[1] - 1) * r->grid[0] + at[0] - 1);
        double *place = phi + ((cell * n + (size_t)(na - 1)) * n + (size_t)(nb - 1)) * 9;
        if (!isnan(place[3 * (a - 1) + b - 1])) return xn_words_bad(w, "this force constant is given twice");
        XN_TRY(xn_words_number(w, &place[3 * (a - 1) + b - 1]));
    }
    return XANI_OK;
}

static xani_status add_all(reading *r, const double *phi, xn_forces *f)
{
    double super[9], from[3], scaled[9];
    size_t n = (size_t)r->atoms;
    for (int i = 0; i < 3; i++) {
        f->supercell[4 * i] = r->grid[i];
        for (int c = 0; c < 3; c++) super[3 * i + c] = r->grid[i] * f->cell[3 * i + c];
    }
    for (int m = 0; m < r->grid[0] * r->grid[1] * r->grid[2]; m++) {
        int at[3] = {m % r->grid[0], m / r->grid[0] % r->grid[1], m / (r->grid[0] * r->grid[1])};
        for (int na = 0; na < r->atoms; na++)
            for (int nb = 0; nb < r->atoms; nb++) {
                const double *block = phi + (((size_t)m * n + (size_t)na) * n + (size_t)nb) * 9;
                for (int c = 0; c < 3; c++)
                    from[c] = f->position[na][c] + at[0] * f->cell[c] + at[1] * f->cell[3 + c] + at[2] * f->cell[6 + c];
                for (int c = 0; c < 9; c++) scaled[c] = block[c] * XN_NEWTON_PER_RY_BOHR2;
                XN_TRY(xn_forces_add_images(r->w.ctx, f, na, nb, from, f->position[nb], super, scaled));
            }
    }
    return XANI_OK;
}

static xani_status read_all(reading *r, xn_forces *f)
{
    double cell[9];
    XN_TRY(read_cell(r, cell));
    XN_TRY(xn_forces_begin(r->w.ctx, cell, r->atoms, f));
    XN_TRY(read_kinds(r));
    XN_TRY(read_atoms(r, f));
    XN_TRY(read_charges(r, f));
    size_t cells = (size_t)r->grid[0] * (size_t)r->grid[1] * (size_t)r->grid[2], n = (size_t)r->atoms;
    double *phi = xn_alloc(cells * n, n * 9 * sizeof *phi);
    if (phi == NULL) return xn_fail_memory(r->w.ctx, r->w.path, cells * n * n * 72);
    xani_status st = XANI_OK;
    for (size_t i = 0; i < cells * n * n * 9; i++) phi[i] = NAN;
    for (int k = 0; st == XANI_OK && k < 9 * r->atoms * r->atoms; k++) st = read_block(r, phi);
    if (st == XANI_OK) st = add_all(r, phi, f);
    xn_free(phi);
    if (st == XANI_OK) (void)xn_forces_sum_rule(f); // matdyn.x's asr = 'simple'
    return st == XANI_OK && r->polar ? xn_forces_polar_prepare(r->w.ctx, f, XN_POLAR_LEFT_OUT) : st;
}

xani_status xn_forces_qe(xn_ctx *ctx, const char *path, xn_forces *f)
{
    reading r = {.kinds = 0};
    memset(f, 0, sizeof *f);
    XN_TRY(xn_words_open(ctx, path, &r.w));
    xani_status st = read_all(&r, f);
    xn_words_close(&r.w);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}
