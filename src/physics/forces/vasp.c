// SPDX-License-Identifier: BSD-3-Clause
// vasp.c -- force constants of VASP (vaspout.h5 of IBRION 5 to 8; the layout is that of version 6.5).
//
//   /input/poscar/{lattice_vectors (rows, Angstrom), scale, position_ions, direct_coordinates, ion_types,
//                  number_ion_types}                    the supercell
//   /results/phonons/primitive/lattice_vectors, scale   the primitive cell, where VASP made phonons of it
//   /results/linear_response/force_constants (3 n, 3 n) eV/Angstrom^2, the derivative of the force: minus ours
//   /input/incar/POMASS                                 masses by kind, as text; else standard ones
//
// A negative scale is the volume of the cell.  Charges in the file are not taken: map.force_constants.born names them.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"
#include "physics/forces/supercell.h"
#include "physics/lattice.h"

#define CONSTANTS "results/linear_response/force_constants"
#define PRIMITIVE "results/phonons/primitive"

typedef struct {
    xn_ctx *ctx;
    xn_h5 *h5;
    xn_supercell cell;
} reading;

static xani_status read_numbers(const reading *r, const char *dataset, int64_t count, double **values)
{
    int64_t n = 0;
    XN_TRY(xn_h5_read_f64(r->ctx, r->h5, dataset, values, &n));
    if (n == count) return XANI_OK;
    return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers, %lld are needed", xn_h5_path(r->h5), dataset,
                   (long long)n, (long long)count);
}

// Rows in Angstrom of the lattice in a group.
static xani_status read_lattice(const reading *r, const char *group, double lattice[9])
{
    char path[XN_KEY_LENGTH];
    double *rows = NULL, *scale = NULL, factor = 1.0;
    xani_status st = read_numbers(r, xn_key(path, "%s/lattice_vectors", group), 9, &rows);
    if (st == XANI_OK && xn_h5_exists(r->h5, xn_key(path, "%s/scale", group))) st = read_numbers(r, path, 1, &scale);
    if (st == XANI_OK && scale != NULL)
        factor = *scale < 0.0 ? cbrt(-*scale / fabs(xn_mat3_determinant(rows))) : *scale;
    for (int c = 0; st == XANI_OK && c < 9; c++) lattice[c] = factor * rows[c];
    xn_free(rows);
    xn_free(scale);
    return st;
}

// Kinds and masses of all atoms; *n: how many atoms of each kind there are.
static xani_status read_kinds(reading *r)
{
    char **kind = NULL, *masses = NULL, *at = NULL;
    int64_t *count = NULL, kinds = 0, counts = 0, atom = 0;
    xani_status st;
    XN_GOTO(out, st, xn_h5_read_strings(r->ctx, r->h5, "input/poscar/ion_types", &kind, &kinds));
    XN_GOTO(out, st, xn_h5_read_i64(r->ctx, r->h5, "input/poscar/number_ion_types", &count, &counts));
    if (xn_h5_exists(r->h5, "input/incar/POMASS"))
        XN_GOTO(out, st, xn_h5_read_string(r->ctx, r->h5, "input/incar/POMASS", &masses));
    at = masses;
    for (int64_t k = 0; k < kinds && k < counts; k++) {
        char name[4] = "";
        memcpy(name, kind[k], strcspn(kind[k], " _/") < 3 ? strcspn(kind[k], " _/") : 3);
        double mass = xn_element_mass_u(name), given = at != NULL ? strtod(at, &at) : 0.0;
        if (given > 0.0) mass = given;
        if (!(mass > 0.0)) {
            st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: input/poscar/ion_types: no mass is known for \"%s\"",
                         xn_h5_path(r->h5), kind[k]);
            goto out;
        }
        for (int64_t i = 0; i < count[k] && atom < r->cell.n; i++, atom++) {
            memcpy(r->cell.element[atom], name, sizeof name);
            r->cell.mass_u[atom] = mass;
        }
    }
    if (atom != r->cell.n)
        st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: input/poscar/number_ion_types counts %lld atoms, there are %d",
                     xn_h5_path(r->h5), (long long)atom, r->cell.n);
out:
    xn_h5_names_free(kind);
    xn_free(count);
    xn_free(masses);
    return st;
}

static xani_status read_structure(reading *r)
{
    xn_h5_info info;
    double *place = NULL, *direct = NULL, inverse[9];
    XN_TRY(xn_h5_info_get(r->ctx, r->h5, "input/poscar/position_ions", &info));
    if (info.rank != 2 || info.dims[1] != 3 || info.dims[0] < 1 || info.dims[0] > 100000)
        return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: input/poscar/position_ions: (atoms, 3) is needed",
                       xn_h5_path(r->h5));
    int n = (int)info.dims[0];
    XN_TRY(xn_supercell_alloc(r->ctx, n, &r->cell));
    r->cell.unit_ang = 1.0;
    r->cell.unit_force = XN_NEWTON_PER_EV_ANG2;
    xani_status st;
    XN_GOTO(out, st, read_lattice(r, "input/poscar", r->cell.lattice));
    XN_GOTO(out, st, read_numbers(r, "input/poscar/position_ions", 3 * (int64_t)n, &place));
    bool fractions = true;
    if (xn_h5_exists(r->h5, "input/poscar/direct_coordinates")) {
        XN_GOTO(out, st, read_numbers(r, "input/poscar/direct_coordinates", 1, &direct));
        fractions = *direct != 0.0;
    }
    if (!xn_mat3_inverse(r->cell.lattice, inverse)) {
        st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: input/poscar/lattice_vectors: the cell has no volume",
                     xn_h5_path(r->h5));
        goto out;
    }
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) {
            const double *p = place + 3 * (size_t)i;
            r->cell.place[i][c] = fractions ? p[c] : p[0] * inverse[c] + p[1] * inverse[3 + c] + p[2] * inverse[6 + c];
        }
    XN_GOTO(out, st, read_kinds(r));
    if (xn_h5_exists(r->h5, PRIMITIVE "/lattice_vectors")) st = read_lattice(r, PRIMITIVE, r->cell.primitive);
out:
    xn_free(place);
    xn_free(direct);
    return st;
}

// (n, n, 9) in N/m from (3 n, 3 n).
static xani_status read_constants(const reading *r, double **phi)
{
    int64_t n = r->cell.n;
    double *fc = NULL;
    XN_TRY(read_numbers(r, CONSTANTS, 9 * n * n, &fc));
    *phi = xn_alloc((size_t)(9 * n * n), sizeof **phi);
    for (int64_t k = 0; *phi != NULL && k < 9 * n * n; k++) {
        int64_t row = k / (3 * n), column = k % (3 * n), i = row / 3, j = column / 3;
        (*phi)[(i * n + j) * 9 + row % 3 * 3 + column % 3] = -fc[k] * XN_NEWTON_PER_EV_ANG2;
    }
    xn_free(fc);
    return *phi != NULL ? XANI_OK : xn_fail_memory(r->ctx, "force constants", (size_t)(9 * n * n) * 8);
}

xani_status xn_forces_vasp(xn_ctx *ctx, const char *path, xn_forces *f)
{
    reading r = {.ctx = ctx};
    double *phi = NULL;
    int *row = NULL;
    memset(f, 0, sizeof *f);
    XN_TRY(xn_h5_open(ctx, path, &r.h5));
    xani_status st = read_structure(&r);
    if (st == XANI_OK) st = read_constants(&r, &phi);
    if (st == XANI_OK && (row = xn_alloc((size_t)r.cell.n, sizeof *row)) == NULL)
        st = xn_fail_memory(ctx, "force constants", (size_t)r.cell.n * sizeof *row);
    for (int k = 0; st == XANI_OK && k < r.cell.n; k++) row[k] = k;
    if (st == XANI_OK) st = xn_forces_from_supercell(ctx, &r.cell, phi, row, r.cell.n, f);
    xn_supercell_free(&r.cell);
    xn_free(phi);
    xn_free(row);
    xn_h5_close(&r.h5);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}
