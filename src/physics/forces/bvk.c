// SPDX-License-Identifier: BSD-3-Clause
// bvk.c -- a Born-von Karman table (physics/crystal.h: one atom, face-centred cubic) as force constants of any crystal.
//
// Its tensors are in the sign of Landolt-Boernstein, D = (1/m) sum F (1 - cos q.R): Phi(R) = -F(R), Phi(0) = sum F.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/forces/forces.h"

#define U_KG 1.66053906660e-27

xani_status xn_forces_from_crystal(xn_ctx *ctx, const xn_crystal *c, xn_forces *f)
{
    const double half = 0.5 * c->a_ang, cell[9] = {0, half, half, half, 0, half, half, half, 0};
    double self[9] = {0}, minus[9];
    XN_TRY(xn_forces_begin(ctx, cell, 1, f));
    f->mass_u[0] = c->mass_kg / U_KG;
    snprintf(f->element[0], sizeof f->element[0], "%.3s", c->element);
    f->form_factor = xn_calloc(1, sizeof *f->form_factor);
    xani_status st = f->form_factor != NULL ? XANI_OK : xn_fail_memory(ctx, "a form factor", sizeof *f->form_factor);
    for (int k = 0; st == XANI_OK && k < 9; k++)
        f->form_factor[0][k] = k < 4 ? c->ff_a[k] : k < 8 ? c->ff_b[k - 4] : c->ff_c;
    for (int n = 0; st == XANI_OK && n < c->n_neighbours; n++) {
        double r[3];
        for (int k = 0; k < 3; k++) r[k] = half * c->r[n][k];
        for (int k = 0; k < 9; k++) {
            minus[k] = -c->f[n][k];
            self[k] += c->f[n][k];
        }
        st = xn_forces_add(ctx, f, 0, 0, r, minus);
    }
    if (st == XANI_OK) st = xn_forces_add(ctx, f, 0, 0, (double[3]){0, 0, 0}, self);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}

xani_status xn_forces_bvk(xn_ctx *ctx, const char *path, xn_forces *f)
{
    xn_crystal c;
    XN_TRY(xn_crystal_load(ctx, path, &c));
    xani_status st = xn_forces_from_crystal(ctx, &c, f);
    xn_crystal_free(&c);
    return st;
}
