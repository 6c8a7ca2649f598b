// SPDX-License-Identifier: BSD-3-Clause
// dipoles.c -- what the non-analytic part needs, prepared once: see polar.c.
//
// The list of reciprocal lattice vectors, of about G_POINTS so that the damping L is strong enough to leave a short
// remainder in real space; the dipoles' part of the constants, taken off all pairs of the supercell:
//   Phi(R) -= (1/N) sum over the N points q of the supercell of dipoles(q) exp(-i q.(R + r_j - r_i))
#include <math.h>
#include <string.h>

#include "physics/forces/forces.h"
#include "physics/lattice.h"

#define G_POINTS 300
#define LAST_TERM 1e-10

// Calls `visit` for each whole-number combination of the rows of `cell` inside the cell whose rows are `matrix` cell.
static xani_status each_cell(const xn_forces *f, xani_status (*visit)(void *user, const int n[3]), void *user)
{
    double matrix[9], inverse[9];
    int reach = 0;
    for (int k = 0; k < 9; k++) {
        matrix[k] = f->supercell[k];
        reach += f->supercell[k] < 0 ? -f->supercell[k] : f->supercell[k];
    }
    if (!xn_mat3_inverse(matrix, inverse)) return XANI_ERR_INPUT;
    for (int a = -reach; a <= reach; a++)
        for (int b = -reach; b <= reach; b++)
            for (int c = -reach; c <= reach; c++) {
                bool inside = true;
                for (int k = 0; k < 3; k++) {
                    double x = a * inverse[k] + b * inverse[3 + k] + c * inverse[6 + k];
                    inside = inside && x > -1e-6 && x < 1 - 1e-6;
                }
                if (inside) XN_TRY(visit(user, (int[3]){a, b, c}));
            }
    return XANI_OK;
}

// ---- all pairs of the supercell

typedef struct {
    xn_ctx *ctx;
    xn_forces *f;
    double super[9];
    int64_t room;
} pairs;

static xani_status add_pair(pairs *p, int i, int j, const double shift[3])
{
    xn_forces *f = p->f;
    double image[XN_IMAGES][3], to[3];
    for (int c = 0; c < 3; c++) to[c] = f->position[j][c] + shift[c];
    int n = xn_nearest_images(f->position[i], to, p->super, image);
    if (f->n_images + n > p->room) {
        p->room = xn_max64(f->n_images + n, 2 * p->room);
        xn_pair_image *list = xn_realloc(f->image, (size_t)p->room, sizeof *list);
        if (list == NULL) return xn_fail_memory(p->ctx, "the pairs of a polar crystal", (size_t)p->room * sizeof *list);
        f->image = list;
    }
    for (int m = 0; m < n; m++) {
        xn_pair_image *one = &f->image[f->n_images++];
        *one = (xn_pair_image){.i = i, .j = j, .share = 1.0 / n};
        memcpy(one->r, image[m], sizeof one->r);
    }
    return XANI_OK;
}

static xani_status add_cell(void *user, const int n[3])
{
    pairs *p = user;
    const double *cell = p->f->cell;
    double shift[3];
    for (int k = 0; k < 3; k++) shift[k] = n[0] * cell[k] + n[1] * cell[3 + k] + n[2] * cell[6 + k];
    for (int i = 0; i < p->f->n_atoms; i++)
        for (int j = 0; j < p->f->n_atoms; j++) XN_TRY(add_pair(p, i, j, shift));
    return XANI_OK;
}

static xani_status list_images(xn_ctx *ctx, xn_forces *f)
{
    pairs p = {ctx, f, {0}, 0};
    double matrix[9];
    for (int k = 0; k < 9; k++) matrix[k] = f->supercell[k];
    xn_mat3_mul(matrix, f->cell, p.super);
    f->n_images = 0;
    return each_cell(f, add_cell, &p);
}

// ---- reciprocal lattice vectors

static xani_status list_g(xn_ctx *ctx, xn_forces *f)
{
    double inverse[9], volume = fabs(xn_mat3_determinant(f->cell));
    double trace = (f->epsilon[0] + f->epsilon[4] + f->epsilon[8]) / 3;
    if (!(trace > 0)) return xn_fail(ctx, XANI_ERR_INPUT, "the dielectric constant is not positive");
    // a sphere of so many points; with a damping given by the file (QE) what its sum holds
    double radius = cbrt(6 * M_PI * M_PI * G_POINTS / volume);
    if (f->lambda_sq > 0) radius = sqrt(4 * f->lambda_sq * -log(LAST_TERM) / trace);
    if (!(f->lambda_sq > 0)) f->lambda_sq = radius * radius * trace / (4 * -log(LAST_TERM));
    xn_mat3_inverse(f->cell, inverse);
    int most[3];
    for (int k = 0; k < 3; k++) {
        const double *a = f->cell + 3 * k;
        most[k] = (int)ceil(radius * sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2]) / (2 * M_PI)) + 1;
    }
    int64_t room = 0;
    for (int h = -most[0]; h <= most[0]; h++)
        for (int k = -most[1]; k <= most[1]; k++)
            for (int l = -most[2]; l <= most[2]; l++) {
                double g[3];
                for (int c = 0; c < 3; c++)
                    g[c] = 2 * M_PI * (h * inverse[3 * c] + k * inverse[3 * c + 1] + l * inverse[3 * c + 2]);
                // points q of the zone lie up to some of these vectors off
                if (g[0] * g[0] + g[1] * g[1] + g[2] * g[2] > 2.25 * radius * radius) continue;
                if (f->n_g == room) {
                    room = xn_max64(1024, 2 * room);
                    double(*p)[3] = xn_realloc(f->g, (size_t)room, sizeof *p);
                    if (p == NULL) return xn_fail_memory(ctx, "reciprocal lattice vectors", (size_t)room * sizeof *p);
                    f->g = p;
                }
                memcpy(f->g[f->n_g++], g, sizeof g);
            }
    return XANI_OK;
}

static xani_status set_self(xn_ctx *ctx, xn_forces *f)
{
    int n = 3 * f->n_atoms;
    size_t square = (size_t)n * (size_t)n;
    double complex *d = xn_calloc(square, sizeof *d);
    f->dipole_self = xn_calloc((size_t)f->n_atoms, sizeof *f->dipole_self);
    if (d != NULL && f->dipole_self != NULL) {
        xn_forces_dipoles(f, (double[3]){0, 0, 0}, NULL, false, d);
        for (int i = 0; i < f->n_atoms; i++)
            for (int j = 0; j < f->n_atoms; j++)
                for (int c = 0; c < 9; c++)
                    f->dipole_self[i][c] += creal(d[(size_t)(3 * i + c / 3) * (size_t)n + (size_t)(3 * j + c % 3)]);
    }
    bool memory = d == NULL || f->dipole_self == NULL;
    xn_free(d);
    return memory ? xn_fail_memory(ctx, "the dipoles", square * sizeof *d) : XANI_OK;
}

// ---- off the constants

typedef struct {
    xn_ctx *ctx;
    xn_forces *f;
    double reciprocal[9]; // columns: 2 pi over the supercell
    double complex *d;
    double *part; // (images, 9)
} taking;

static xani_status take_point(void *user, const int n[3])
{
    taking *t = user;
    xn_forces *f = t->f;
    int size = 3 * f->n_atoms;
    double q[3], cells = xn_forces_cells(f);
    for (int c = 0; c < 3; c++)
        q[c] = n[0] * t->reciprocal[3 * c] + n[1] * t->reciprocal[3 * c + 1] + n[2] * t->reciprocal[3 * c + 2];
    memset(t->d, 0, (size_t)size * (size_t)size * sizeof *t->d);
    xn_forces_dipoles(f, q, NULL, false, t->d);
    for (int64_t m = 0; m < f->n_images; m++) {
        const xn_pair_image *one = &f->image[m];
        double phase = q[0] * one->r[0] + q[1] * one->r[1] + q[2] * one->r[2];
        double complex turn = one->share / cells * (cos(phase) - I * sin(phase));
        for (int c = 0; c < 9; c++) {
            size_t at = (size_t)(3 * one->i + c / 3) * (size_t)size + (size_t)(3 * one->j + c % 3);
            double self = one->i == one->j ? f->dipole_self[one->i][c] : 0.0;
            t->part[9 * m + c] += creal(turn * (t->d[at] - self));
        }
    }
    return XANI_OK;
}

// The points q of the supercell: those of the cell spanned by the transposed supercell matrix, in its reciprocal
// vectors.
static xani_status take_dipoles(xn_ctx *ctx, xn_forces *f)
{
    double matrix[9], super[9], inverse[9];
    size_t square = 9 * (size_t)f->n_atoms * (size_t)f->n_atoms;
    for (int k = 0; k < 9; k++) matrix[k] = f->supercell[k];
    xn_mat3_mul(matrix, f->cell, super);
    if (!xn_mat3_inverse(super, inverse)) return xn_fail(ctx, XANI_ERR_INPUT, "the supercell is not known");
    taking t = {.ctx = ctx,
                .f = f,
                .d = xn_alloc(square, sizeof *t.d),
                .part = xn_calloc((size_t)f->n_images, 9 * sizeof(double))};
    for (int k = 0; k < 9; k++) t.reciprocal[k] = 2 * M_PI * inverse[k];
    xani_status st = t.d != NULL && t.part != NULL ? XANI_OK : xn_fail_memory(ctx, "the dipoles", square * sizeof *t.d);
    int swap[9];
    memcpy(swap, f->supercell, sizeof swap);
    for (int i = 0; i < 3; i++)
        for (int c = 0; c < 3; c++) f->supercell[3 * i + c] = swap[3 * c + i];
    if (st == XANI_OK) st = each_cell(f, take_point, &t);
    memcpy(f->supercell, swap, sizeof swap);
    for (int64_t m = 0; st == XANI_OK && m < f->n_images; m++) {
        double minus[9];
        for (int c = 0; c < 9; c++) minus[c] = -t.part[9 * m + c];
        st = xn_forces_add(ctx, f, f->image[m].i, f->image[m].j, f->image[m].r, minus);
    }
    xn_free(t.d);
    xn_free(t.part);
    return st;
}

xani_status xn_forces_polar_prepare(xn_ctx *ctx, xn_forces *f, xn_polar_method method)
{
    f->polar = true;
    XN_TRY(list_images(ctx, f));
    if (method == XN_POLAR_MIXED) return XANI_OK;
    XN_TRY(list_g(ctx, f));
    XN_TRY(set_self(ctx, f));
    return method == XN_POLAR_DIPOLES ? take_dipoles(ctx, f) : XANI_OK;
}
