// SPDX-License-Identifier: BSD-3-Clause
// xdscode.c -- force constants of xdscode (MATLAB 7.3 files, which are HDF5).
//
//   /geometry/{realvecs (rows a_i, Angstrom), basis (3, atoms; Cartesian), masses (u)}, element: cells of text
//   /ifc/ifc (cells, j, i, b, a)   Phi_{ia,jb} of cell n in Ry/bohr^2: MATLAB's (a, b, i, j, n) seen from C
//   /ifc/tau_diffs (cells * atoms^2)   cells of cells: the vectors r_i - r_j - R of the nearest images, i fastest,
//                                      then j, then the cell; their number is the pair's multiplicity
//
// Its matrix is sum Phi mean(exp(-2 pi i Q.tau)) (dynmat2.m), which is ours with r = -tau.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "physics/forces/forces.h"

typedef struct {
    xn_ctx *ctx;
    xn_h5 *h5;
    int64_t cells, atoms;
    double *phi; // (cells, j, i, b, a)
} reading;

static xani_status read_numbers(const reading *r, const char *dataset, int64_t count, double **values)
{
    int64_t n = 0;
    XN_TRY(xn_h5_read_f64(r->ctx, r->h5, dataset, values, &n));
    if (n == count) return XANI_OK;
    return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers, %lld are needed", xn_h5_path(r->h5), dataset,
                   (long long)n, (long long)count);
}

static xani_status read_atoms(const reading *r, xn_forces *f)
{
    double *cell = NULL, *basis = NULL, *mass = NULL;
    xani_status st;
    XN_GOTO(out, st, read_numbers(r, "geometry/realvecs", 9, &cell));
    XN_GOTO(out, st, read_numbers(r, "geometry/basis", 3 * r->atoms, &basis));
    XN_GOTO(out, st, read_numbers(r, "geometry/masses", r->atoms, &mass));
    XN_GOTO(out, st, xn_forces_begin(r->ctx, cell, (int)r->atoms, f));
    for (int64_t i = 0; i < r->atoms; i++) {
        for (int c = 0; c < 3; c++) f->position[i][c] = basis[c * r->atoms + i];
        f->mass_u[i] = mass[i];
        if (!(mass[i] > 0))
            st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: geometry/masses: %g u is no mass", xn_h5_path(r->h5), mass[i]);
    }
out:
    xn_free(cell);
    xn_free(basis);
    xn_free(mass);
    return st;
}

// Text of a MATLAB cell: UTF-16 words.
static xani_status read_elements(const reading *r, xn_forces *f)
{
    char **path = NULL;
    int64_t n = 0;
    if (!xn_h5_exists(r->h5, "geometry/element")) return XANI_OK;
    XN_TRY(xn_h5_read_references(r->ctx, r->h5, "geometry/element", &path, &n));
    xani_status st = XANI_OK;
    for (int64_t i = 0; st == XANI_OK && i < n && i < r->atoms; i++) {
        double *letter = NULL;
        int64_t letters = 0;
        st = xn_h5_read_f64(r->ctx, r->h5, path[i], &letter, &letters);
        for (int64_t k = 0; st == XANI_OK && k < letters && k < 3; k++) f->element[i][k] = (char)letter[k];
        xn_free(letter);
    }
    xn_h5_names_free(path);
    return st;
}

static xani_status add_pair(const reading *r, xn_forces *f, int64_t number, const char *cell)
{
    int64_t i = number % r->atoms, j = number / r->atoms % r->atoms, n = number / (r->atoms * r->atoms), images = 0;
    const double *block = r->phi + ((n * r->atoms + j) * r->atoms + i) * 9;
    char **path = NULL;
    double share[9];
    XN_TRY(xn_h5_read_references(r->ctx, r->h5, cell, &path, &images));
    xani_status st = XANI_OK;
    for (int a = 0; a < 3; a++) // Ry/bohr^2, component b before a in the file
        for (int b = 0; b < 3; b++)
            share[3 * a + b] = block[3 * b + a] * XN_NEWTON_PER_RY_BOHR2 / (double)xn_max64(images, 1);
    for (int64_t k = 0; st == XANI_OK && k < images; k++) {
        double *tau = NULL;
        st = read_numbers(r, path[k], 3, &tau);
        double v[3] = {0};
        for (int c = 0; st == XANI_OK && c < 3; c++) v[c] = -tau[c];
        if (st == XANI_OK) st = xn_forces_add(r->ctx, f, (int)i, (int)j, v, share);
        xn_free(tau);
    }
    xn_h5_names_free(path);
    return st;
}

static xani_status read_pairs(reading *r, xn_forces *f)
{
    char **cell = NULL;
    int64_t n = 0, pairs = r->cells * r->atoms * r->atoms;
    XN_TRY(xn_h5_read_references(r->ctx, r->h5, "ifc/tau_diffs", &cell, &n));
    xani_status st = XANI_OK;
    if (n != pairs)
        st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: ifc/tau_diffs has %lld entries for %lld pairs of atoms",
                     xn_h5_path(r->h5), (long long)n, (long long)pairs);
    for (int64_t k = 0; st == XANI_OK && k < pairs; k++) st = add_pair(r, f, k, cell[k]);
    xn_h5_names_free(cell);
    return st;
}

static xani_status read_all(reading *r, xn_forces *f)
{
    xn_h5_info info;
    char shape[128];
    XN_TRY(xn_h5_info_get(r->ctx, r->h5, "ifc/ifc", &info));
    if (info.rank != 5 || info.dims[1] != info.dims[2] || info.dims[3] != 3 || info.dims[4] != 3)
        return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: ifc/ifc has shape %s; (cells, atoms, atoms, 3, 3) is needed",
                       xn_h5_path(r->h5), xn_shape_text(shape, info.rank, info.dims));
    r->cells = info.dims[0];
    r->atoms = info.dims[1];
    XN_TRY(read_atoms(r, f));
    XN_TRY(read_elements(r, f));
    XN_TRY(read_numbers(r, "ifc/ifc", info.size, &r->phi));
    return read_pairs(r, f);
}

xani_status xn_forces_xdscode(xn_ctx *ctx, const char *path, xn_forces *f)
{
    reading r = {.ctx = ctx};
    memset(f, 0, sizeof *f);
    XN_TRY(xn_h5_open(ctx, path, &r.h5));
    xani_status st = read_all(&r, f);
    xn_free(r.phi);
    xn_h5_close(&r.h5);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}
