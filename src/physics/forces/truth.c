// SPDX-License-Identifier: BSD-3-Clause
// truth.c -- force constants that `xani sim` keeps in truth.h5: see source/sim/truth.c.
//
//   /entry/force_constants_{before,after}
//     of a Born-von Karman table: neighbour (n, 3) in a/2, tensor (n, 3, 3) in N/m in the sign of Landolt-Boernstein,
//       attributes mass_kg and, where it is known, a_ang (else 1)
//     of other crystals: cell, position (Angstrom), mass (u), element, pair (n, 2), vector (n, 3), tensor (n, 3, 3),
//     and
//       hkl_to_q: how the conventional cell lies in this frame
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/h5.h"
#include "physics/forces/forces.h"

#define U_KG 1.66053906660e-27
#define ATOMS_MOST 10000

typedef struct {
    xn_ctx *ctx;
    xn_h5 *h5;
    const char *group;
} reading;

// A dataset of the group with `each` numbers a row (0: any); *rows as found.
static xani_status numbers(const reading *r, const char *name, int64_t each, double **values, int64_t *rows)
{
    char path[128];
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/%s", r->group, name);
    XN_TRY(xn_h5_read_f64(r->ctx, r->h5, path, values, &n));
    *rows = n / each;
    if (n > 0 && n % each == 0) return XANI_OK;
    return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %s has %lld numbers, rows of %lld are needed", xn_h5_path(r->h5), path,
                   (long long)n, (long long)each);
}

static xani_status read_table(const reading *r, xn_forces *f)
{
    double *at = NULL, *tensor = NULL, mass = NAN, a = 1.0, self[9] = {0}, minus[9];
    int64_t n = 0, m = 0;
    xani_status st;
    XN_GOTO(out, st, numbers(r, "neighbour", 3, &at, &n));
    XN_GOTO(out, st, numbers(r, "tensor", 9, &tensor, &m));
    XN_GOTO(out, st, xn_h5_read_attr_f64(r->ctx, r->h5, r->group, "mass_kg", &mass));
    if (xn_h5_read_attr_f64(r->ctx, r->h5, r->group, "a_ang", &a) != XANI_OK) {
        xn_clear_error(r->ctx);
        a = 1.0;
    }
    if (n != m || !(mass > 0) || !(a > 0))
        XN_GOTO(out, st,
                xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %s is no table of force constants", xn_h5_path(r->h5), r->group));
    const double half = 0.5 * a, cell[9] = {0, half, half, half, 0, half, half, half, 0};
    XN_GOTO(out, st, xn_forces_begin(r->ctx, cell, 1, f));
    f->mass_u[0] = mass / U_KG;
    for (int64_t k = 0; k < n; k++) {
        double v[3] = {half * at[3 * k], half * at[3 * k + 1], half * at[3 * k + 2]};
        for (int c = 0; c < 9; c++) {
            minus[c] = -tensor[9 * k + c];
            self[c] += tensor[9 * k + c];
        }
        XN_GOTO(out, st, xn_forces_add(r->ctx, f, 0, 0, v, minus));
    }
    XN_GOTO(out, st, xn_forces_add(r->ctx, f, 0, 0, (double[3]){0, 0, 0}, self));
    for (int i = 0; i < 3; i++) f->hkl_to_q[4 * i] = 2 * M_PI / a;
    f->conventional = true;
out:
    xn_free(at);
    xn_free(tensor);
    return st;
}

static xani_status read_pairs(const reading *r, xn_forces *f)
{
    double *cell = NULL, *place = NULL, *mass = NULL, *pair = NULL, *vector = NULL, *tensor = NULL, *to_q = NULL;
    int64_t rows[7] = {0};
    xani_status st;
    XN_GOTO(out, st, numbers(r, "cell", 9, &cell, &rows[0]));
    XN_GOTO(out, st, numbers(r, "position", 3, &place, &rows[1]));
    XN_GOTO(out, st, numbers(r, "mass", 1, &mass, &rows[2]));
    XN_GOTO(out, st, numbers(r, "pair", 2, &pair, &rows[3]));
    XN_GOTO(out, st, numbers(r, "vector", 3, &vector, &rows[4]));
    XN_GOTO(out, st, numbers(r, "tensor", 9, &tensor, &rows[5]));
    XN_GOTO(out, st, numbers(r, "hkl_to_q", 9, &to_q, &rows[6]));
    bool whole = rows[0] == 1 && rows[6] == 1 && rows[1] == rows[2] && rows[1] <= ATOMS_MOST && rows[3] == rows[4] &&
                 rows[3] == rows[5];
    for (int64_t k = 0; whole && k < 2 * rows[3]; k++) whole = pair[k] >= 0 && pair[k] < (double)rows[1];
    if (!whole)
        XN_GOTO(
            out, st,
            xn_fail(r->ctx, XANI_ERR_INPUT, "%s: the arrays of %s do not fit each other", xn_h5_path(r->h5), r->group));
    XN_GOTO(out, st, xn_forces_begin(r->ctx, cell, (int)rows[1], f));
    memcpy(f->position, place, (size_t)rows[1] * sizeof *f->position);
    memcpy(f->mass_u, mass, (size_t)rows[1] * sizeof *f->mass_u);
    for (int64_t k = 0; k < rows[3]; k++)
        XN_GOTO(out, st,
                xn_forces_add(r->ctx, f, (int)pair[2 * k], (int)pair[2 * k + 1], vector + 3 * k, tensor + 9 * k));
    memcpy(f->hkl_to_q, to_q, sizeof f->hkl_to_q);
    f->conventional = true;
out:;
    double *all[] = {cell, place, mass, pair, vector, tensor, to_q};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    return st;
}

static xani_status read_group(xn_ctx *ctx, const char *path, const char *group, xn_forces *f)
{
    reading r = {.ctx = ctx, .group = group};
    char table[128];
    memset(f, 0, sizeof *f);
    XN_TRY(xn_h5_open(ctx, path, &r.h5));
    snprintf(table, sizeof table, "%s/neighbour", group);
    xani_status st = xn_h5_exists(r.h5, table) ? read_table(&r, f) : read_pairs(&r, f);
    xn_h5_close(&r.h5);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}

xani_status xn_forces_truth_before(xn_ctx *ctx, const char *path, xn_forces *f)
{
    return read_group(ctx, path, "/entry/force_constants_before", f);
}

xani_status xn_forces_truth_after(xn_ctx *ctx, const char *path, xn_forces *f)
{
    return read_group(ctx, path, "/entry/force_constants_after", f);
}
