// SPDX-License-Identifier: BSD-3-Clause
// phonopy.c -- force constants of phonopy (Togo, Chaput, Tadano and Tanaka, J. Phys. Condens. Matter 35, 353001,
// 2023).
//
//   FORCE_CONSTANTS         "rows atoms", then for each pair "i j" and a 3 x 3 block
//   force_constants.hdf5    /force_constants (rows, atoms, 3, 3), /p2s_map (rows), /physical_unit
//   FORCE_SETS              atoms, displacements; each: the atom, its displacement, forces on all atoms
//   phonopy*.yaml           the structure, and perhaps force_constants: {shape, elements} and charges (born.c)
//
// The structure stands in phonopy_disp.yaml, phonopy.yaml or phonopy_params.yaml beside the constants, or in a SPOSCAR
// or POSCAR with as many atoms as they have.
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/h5.h"
#include "physics/forces/supercell.h"

#define ROWS_MOST 100000

typedef struct {
    xn_ctx *ctx;
    const char *path;
    char *folder; // with its slash
    xn_supercell cell;
    xn_node *yaml;   // of the structure, or NULL
    char *yaml_path; // of that, beside the constants; NULL: path
    int rows, n;
    int *row_atom;
    double *phi; // (rows, n, 9) in units of the file, then N/m
    double unit; // N/m, where the file of the constants says it itself; else 0
} reading;

static xani_status allocate(reading *r, int rows, int n)
{
    r->rows = rows;
    r->n = n;
    r->row_atom = xn_calloc((size_t)rows, sizeof *r->row_atom);
    r->phi = xn_calloc((size_t)rows * (size_t)n, 9 * sizeof *r->phi);
    if (r->row_atom != NULL && r->phi != NULL) return XANI_OK;
    return xn_fail_memory(r->ctx, r->path, (size_t)rows * (size_t)n * 72);
}

// ---- the structure beside the constants

// In the order in which they are looked for; the last one by load.c.
enum { STRUCTURES = 5, CONSTANTS = 3 };
static const char *const names_beside[] = {
    "phonopy_disp.yaml", "phonopy.yaml",         "phonopy_params.yaml", "SPOSCAR", "POSCAR",
    "FORCE_CONSTANTS",   "force_constants.hdf5", "FORCE_SETS",          "BORN"};

const char *xn_forces_beside(int i)
{
    return i < (int)(sizeof names_beside / sizeof names_beside[0]) ? names_beside[i] : NULL;
}

// *path: the file of this name beside the constants, owned; NULL: there is none.
static xani_status beside(const reading *r, const char *name, char **path)
{
    *path = xn_format("%s%s", r->folder, name);
    if (*path == NULL) return xn_fail_memory(r->ctx, name, strlen(name));
    if (access(*path, R_OK) == 0) return XANI_OK;
    xn_free(*path);
    *path = NULL;
    return XANI_OK;
}

// n: atoms of the constants; 0: any.
static xani_status find_structure(reading *r, int n)
{
    for (int i = 0; i < STRUCTURES; i++) {
        char *path = NULL;
        XN_TRY(beside(r, names_beside[i], &path));
        if (path == NULL) continue;
        bool yaml = strstr(names_beside[i], ".yaml") != NULL;
        xani_status st =
            yaml ? xn_structure_phonopy(r->ctx, path, &r->cell, &r->yaml) : xn_structure_poscar(r->ctx, path, &r->cell);
        xn_free(r->yaml_path);
        r->yaml_path = path;
        XN_TRY(st);
        if (n == 0 || r->cell.n == n) return XANI_OK;
        xn_supercell_free(&r->cell);
        xn_node_destroy(r->yaml);
        r->yaml = NULL;
    }
    return xn_fail(
        r->ctx, XANI_ERR_INPUT,
        "%s: its structure is missing: none of phonopy_disp.yaml, phonopy.yaml, phonopy_params.yaml, SPOSCAR "
        "and POSCAR beside it has %d atoms",
        r->path, n);
}

// ---- FORCE_CONSTANTS

static xani_status read_text(reading *r)
{
    xn_words w;
    int rows = 0, n = 0;
    XN_TRY(xn_words_open(r->ctx, r->path, &w));
    xani_status st;
    XN_GOTO(out, st, xn_words_whole(&w, 1, ROWS_MOST, &rows));
    n = rows;
    if (strspn(w.at, " \t\r") != strcspn(w.at, "\n")) XN_GOTO(out, st, xn_words_whole(&w, rows, ROWS_MOST, &n));
    XN_GOTO(out, st, allocate(r, rows, n));
    for (int k = 0; k < rows; k++)
        for (int j = 0; j < n; j++) {
            int a = 0, b = 0;
            XN_GOTO(out, st, xn_words_whole(&w, 1, n, &a));
            XN_GOTO(out, st, xn_words_whole(&w, 1, n, &b));
            if (j == 0) r->row_atom[k] = a - 1;
            if (a - 1 != r->row_atom[k]) XN_GOTO(out, st, xn_words_bad(&w, "the pairs of a row belong to one atom"));
            XN_GOTO(out, st, xn_words_numbers(&w, r->phi + ((size_t)k * (size_t)n + (size_t)(b - 1)) * 9, 9));
        }
out:
    xn_words_close(&w);
    return st;
}

// ---- force_constants.hdf5

static xani_status read_rows(reading *r, const xn_h5 *h5)
{
    xn_h5_info info;
    char shape[128];
    double *values = NULL;
    int64_t *map = NULL, n_map = 0;
    const char *name = xn_h5_exists(h5, "fc2") ? "fc2" : "force_constants"; // phono3py's name
    xani_status st;
    XN_GOTO(out, st, xn_h5_info_get(r->ctx, h5, name, &info));
    if (info.rank != 4 || info.dims[2] != 3 || info.dims[3] != 3 || info.dims[0] > info.dims[1] ||
        info.dims[1] > ROWS_MOST)
        XN_GOTO(out, st,
                xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %s has shape %s; (rows, atoms, 3, 3) is needed", r->path, name,
                        xn_shape_text(shape, info.rank, info.dims)));
    XN_GOTO(out, st, allocate(r, (int)info.dims[0], (int)info.dims[1]));
    XN_GOTO(out, st, xn_h5_read_f64(r->ctx, h5, name, &values, NULL));
    memcpy(r->phi, values, (size_t)info.size * sizeof *values);
    for (int64_t i = 0; i < info.size; i++)
        if (!isfinite(values[i]))
            XN_GOTO(out, st,
                    xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %s[%lld, %lld] is no number", r->path, name,
                            (long long)(i / 9 / r->n), (long long)(i / 9 % r->n)));
    if (xn_h5_exists(h5, "p2s_map")) XN_GOTO(out, st, xn_h5_read_i64(r->ctx, h5, "p2s_map", &map, &n_map));
    for (int k = 0; k < r->rows; k++) r->row_atom[k] = n_map == r->rows ? (int)map[k] : k;
    if (n_map != r->rows && r->rows != r->n)
        st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: p2s_map does not name the atoms of the %d rows", r->path, r->rows);
out:
    xn_free(values);
    xn_free(map);
    return st;
}

static xani_status read_unit(reading *r, const xn_h5 *h5)
{
    char *text = NULL;
    if (!xn_h5_exists(h5, "physical_unit")) return XANI_OK;
    XN_TRY(xn_h5_read_string(r->ctx, h5, "physical_unit", &text));
    r->unit = xn_structure_force_unit(text);
    xani_status st =
        isnan(r->unit) ? xn_fail(r->ctx, XANI_ERR_INPUT, "%s: physical_unit %s is not known", r->path, text) : XANI_OK;
    xn_free(text);
    return st;
}

static xani_status read_hdf5(reading *r)
{
    xn_h5 *h5 = NULL;
    XN_TRY(xn_h5_open(r->ctx, r->path, &h5));
    xani_status st = read_rows(r, h5);
    if (st == XANI_OK) st = read_unit(r, h5);
    xn_h5_close(&h5);
    return st;
}

// ---- FORCE_SETS

static xani_status read_sets(reading *r)
{
    xn_words w;
    xn_displacement *d = NULL;
    int n = 0, n_d = 0;
    const double ang = r->cell.unit_ang, newton_ang = r->cell.unit_force * r->cell.unit_ang;
    XN_TRY(xn_words_open(r->ctx, r->path, &w));
    xani_status st;
    XN_GOTO(out, st, xn_words_whole(&w, 1, ROWS_MOST, &n));
    if (n != r->cell.n) XN_GOTO(out, st, xn_words_bad(&w, "the structure has another number of atoms"));
    XN_GOTO(out, st, xn_words_whole(&w, 1, ROWS_MOST, &n_d));
    d = xn_calloc((size_t)n_d, sizeof *d);
    if (d == NULL) XN_GOTO(out, st, xn_fail_memory(r->ctx, r->path, (size_t)n_d * sizeof *d));
    for (int m = 0; m < n_d; m++) {
        XN_GOTO(out, st, xn_words_whole(&w, 1, n, &d[m].atom));
        d[m].atom--;
        XN_GOTO(out, st, xn_words_numbers(&w, d[m].u, 3));
        d[m].force = xn_alloc((size_t)n, sizeof *d[m].force);
        if (d[m].force == NULL) XN_GOTO(out, st, xn_fail_memory(r->ctx, r->path, (size_t)n * 24));
        XN_GOTO(out, st, xn_words_numbers(&w, d[m].force[0], 3 * (int64_t)n));
        for (int c = 0; c < 3; c++) d[m].u[c] *= ang;
        for (int j = 0; j < 3 * n; j++) d[m].force[j / 3][j % 3] *= newton_ang;
    }
    XN_GOTO(out, st, allocate(r, n, n));
    for (int k = 0; k < n; k++) r->row_atom[k] = k;
    XN_GOTO(out, st, xn_supercell_primitive(r->ctx, &r->cell));
    st = xn_supercell_solve(r->ctx, &r->cell, d, n_d, r->phi);
out:
    for (int m = 0; d != NULL && m < n_d; m++) xn_free(d[m].force);
    xn_free(d);
    xn_words_close(&w);
    return st;
}

// ---- force_constants of phonopy_params.yaml

static xani_status read_yaml(reading *r)
{
    const xn_node *fc = xn_node_member(r->yaml, "force_constants"), *elements = xn_node_member(fc, "elements");
    double shape[2];
    if (elements == NULL || !xn_node_numbers(xn_node_member(fc, "shape"), shape, 2))
        return xn_fail(r->ctx, XANI_ERR_INPUT,
                       "%s: there are no force constants in it, and no FORCE_CONSTANTS, force_constants.hdf5 or "
                       "FORCE_SETS beside it",
                       r->path);
    if (shape[1] != r->cell.n || !(shape[0] >= 1 && shape[0] <= shape[1]) || shape[0] != rint(shape[0]))
        return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: force_constants: shape [%g, %g] does not fit %d atoms", r->path,
                       shape[0], shape[1], r->cell.n);
    XN_TRY(allocate(r, (int)shape[0], r->cell.n));
    const xn_node *block = elements->child;
    for (int64_t k = 0; k < (int64_t)r->rows * r->n; k++, block = block->next)
        if (block == NULL || !xn_node_numbers(block, r->phi + 9 * k, 9))
            return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: force_constants: block %lld is no 3 x 3", r->path,
                           (long long)k + 1);
    int *class_of = xn_alloc((size_t)r->n, sizeof *class_of), *first = xn_alloc((size_t)r->n, sizeof *first);
    xani_status st = class_of && first ? xn_supercell_primitive(r->ctx, &r->cell) : xn_fail_memory(r->ctx, r->path, 8);
    int classes = st == XANI_OK ? xn_supercell_classes(&r->cell, class_of, first) : 0;
    if (st == XANI_OK && r->rows < r->n && classes != r->rows)
        st = xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %d rows of force constants for %d atoms of the primitive cell",
                     r->path, r->rows, classes);
    for (int k = 0; st == XANI_OK && k < r->rows; k++) r->row_atom[k] = r->rows < r->n ? first[k] : k;
    xn_free(class_of);
    xn_free(first);
    return st;
}

// ---- the whole

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

// Constants in the file itself or beside it.
static xani_status read_constants(reading *r, char **other)
{
    if (ends_with(r->path, ".yaml")) {
        XN_TRY(xn_structure_phonopy(r->ctx, r->path, &r->cell, &r->yaml));
        if (xn_node_member(r->yaml, "force_constants") != NULL) return read_yaml(r);
        for (int i = STRUCTURES; *other == NULL && i < STRUCTURES + CONSTANTS; i++)
            XN_TRY(beside(r, names_beside[i], other));
        if (*other == NULL) return read_yaml(r); // says what is missing
        r->path = *other;
    }
    bool sets = ends_with(r->path, "FORCE_SETS");
    if (!sets) XN_TRY(ends_with(r->path, ".hdf5") || ends_with(r->path, ".h5") ? read_hdf5(r) : read_text(r));
    if (r->cell.n == 0) XN_TRY(find_structure(r, sets ? 0 : r->n));
    if (sets) return read_sets(r);
    if (r->cell.n == r->n) return XANI_OK;
    return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: constants of %d atoms, the structure has %d", r->path, r->n, r->cell.n);
}

xani_status xn_forces_phonopy(xn_ctx *ctx, const char *path, xn_forces *f)
{
    const char *slash = strrchr(path, '/');
    reading r = {.ctx = ctx, .path = path, .folder = xn_format("%.*s", slash ? (int)(slash - path) + 1 : 0, path)};
    char *other = NULL;
    memset(f, 0, sizeof *f);
    xani_status st = r.folder != NULL ? read_constants(&r, &other) : xn_fail_memory(ctx, path, strlen(path));
    bool sets = st == XANI_OK && ends_with(r.path, "FORCE_SETS"); // which are N/m already
    const double unit = r.unit > 0 ? r.unit : r.cell.unit_force;
    for (int64_t i = 0; st == XANI_OK && !sets && i < (int64_t)r.rows * r.n * 9; i++) r.phi[i] *= unit;
    if (st == XANI_OK) st = xn_forces_from_supercell(ctx, &r.cell, r.phi, r.row_atom, r.rows, f);
    if (st == XANI_OK && r.yaml != NULL)
        st = xn_forces_born_yaml(ctx, r.yaml_path != NULL ? r.yaml_path : path, r.yaml, f);
    xn_supercell_free(&r.cell);
    xn_node_destroy(r.yaml);
    xn_free(r.row_atom);
    xn_free(r.phi);
    xn_free(r.folder);
    xn_free(r.yaml_path);
    xn_free(other);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}
