// SPDX-License-Identifier: BSD-3-Clause
// shells.c -- bonds of the nearest shells, their orbits under the crystal's symmetry, and the tensors it allows: see
// refine.h.
//
// An operation takes bond (i, j, r) to (i', j', R r) and its tensor to R t R^T; reversing a bond transposes its tensor.
// The tensors a bond may have are those its own operations leave as they are: the image of the projector that averages
// over them, found by projecting the nine unit tensors and orthogonalising what comes out (Gram and Schmidt).
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/forces/refine.h"
#include "physics/forces/symmetry.h"

#define SAME_ANG 1e-2
#define BONDS_MOST 4096

static double length(const double r[3]) { return sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]); }

static void turn(const double m[9], const double v[3], double out[3]) { xn_mat3_vec(m, v, out); }

static bool same_bond(const xn_bond *b, int i, int j, const double r[3])
{
    return b->i == i && b->j == j && fabs(b->r[0] - r[0]) + fabs(b->r[1] - r[1]) + fabs(b->r[2] - r[2]) < SAME_ANG;
}

static int find_bond(const xn_shells *s, int i, int j, const double r[3])
{
    for (int k = 0; k < s->n_bonds; k++)
        if (same_bond(&s->bond[k], i, j, r)) return k;
    return -1;
}

// ---- the bonds

// Distance of the shell-th neighbours among all pairs of the crystal.
static double next_distance(const xn_forces *f, double inner)
{
    double next = INFINITY;
    for (int64_t k = 0; k < f->n; k++) {
        double d = length(f->force[k].r);
        if (d > inner + SAME_ANG) next = fmin(next, d);
    }
    return next;
}

static xani_status list_bonds(xn_ctx *ctx, const xn_forces *f, int shells, double *reach, xn_shells *s)
{
    double outer = 0.0;
    for (int k = 0; k < shells; k++) {
        double next = next_distance(f, outer);
        if (!isfinite(next)) break;
        reach[k] = outer = next;
    }
    s->bond = xn_calloc(BONDS_MOST, sizeof *s->bond);
    if (s->bond == NULL) return xn_fail_memory(ctx, "bonds", BONDS_MOST * sizeof *s->bond);
    for (int64_t k = 0; k < f->n; k++) {
        const xn_force *one = &f->force[k];
        double d = length(one->r);
        if (d < SAME_ANG || d > outer + SAME_ANG || find_bond(s, one->i, one->j, one->r) >= 0) continue;
        if (s->n_bonds == BONDS_MOST)
            return xn_fail(ctx, XANI_ERR_CONFIG, "%d shells have more than %d bonds", shells, BONDS_MOST);
        xn_bond *b = &s->bond[s->n_bonds++];
        *b = (xn_bond){.i = one->i, .j = one->j, .orbit = -1};
        memcpy(b->r, one->r, sizeof b->r);
    }
    return XANI_OK;
}

// ---- orbits

// Where operation k, with or without reversal, takes a bond.
static int image_of(const xn_shells *s, const xn_symmetry *g, int atoms, int k, bool reversed, const xn_bond *b)
{
    double r[3], minus[3];
    int i = g->image[k * atoms + b->i], j = g->image[k * atoms + b->j];
    turn(g->rotation[k], b->r, r);
    for (int c = 0; c < 3; c++) minus[c] = -r[c];
    return reversed ? find_bond(s, j, i, minus) : find_bond(s, i, j, r);
}

static void spread(const xn_symmetry *g, int atoms, int first, xn_shells *s)
{
    for (int k = 0; k < g->n; k++)
        for (int reversed = 0; reversed < 2; reversed++) {
            int at = image_of(s, g, atoms, k, reversed, &s->bond[first]);
            if (at < 0 || s->bond[at].orbit >= 0) continue;
            s->bond[at].orbit = s->n_orbits;
            s->bond[at].transposed = reversed;
            memcpy(s->bond[at].turn, g->rotation[k], sizeof s->bond[at].turn);
        }
    s->n_orbits++;
}

// Mean of a tensor over the operations that leave the bond alone.
static void project(const xn_shells *s, const xn_symmetry *g, int atoms, int first, const double t[9], double out[9])
{
    double one[9];
    int n = 0;
    memset(out, 0, 9 * sizeof *out);
    for (int k = 0; k < g->n; k++)
        for (int reversed = 0; reversed < 2; reversed++) {
            if (image_of(s, g, atoms, k, reversed, &s->bond[first]) != first) continue;
            xn_symmetry_turn(g->rotation[k], t, one);
            n++;
            for (int c = 0; c < 9; c++) out[c] += reversed ? one[3 * (c % 3) + c / 3] : one[c];
        }
    for (int c = 0; c < 9 && n > 0; c++) out[c] /= n;
}

static double product(const double a[9], const double b[9])
{
    double sum = 0.0;
    for (int c = 0; c < 9; c++) sum += a[c] * b[c];
    return sum;
}

// The longitudinal tensor first, so that the first parameter of a bond is the one along it as far as symmetry lets.
static xani_status add_parameters(xn_ctx *ctx, const xn_forces *f, const xn_symmetry *g, int first, int shell,
                                  xn_shells *s)
{
    const xn_bond *b = &s->bond[first];
    double d = length(b->r), start[9] = {0};
    int before = s->n;
    for (int64_t k = 0; k < f->n; k++)
        if (same_bond(b, f->force[k].i, f->force[k].j, f->force[k].r))
            for (int c = 0; c < 9; c++) start[c] += f->force[k].phi[c];
    for (int m = 0; m < 10; m++) {
        double unit[9] = {0}, t[9];
        for (int c = 0; c < 9; c++) unit[c] = m == 0 ? b->r[c / 3] * b->r[c % 3] / (d * d) : c == m - 1;
        project(s, g, f->n_atoms, first, unit, t);
        for (int k = before; k < s->n; k++) {
            double along = product(t, s->parameter[k].basis);
            for (int c = 0; c < 9; c++) t[c] -= along * s->parameter[k].basis[c];
        }
        double norm = sqrt(product(t, t));
        if (norm < 1e-6) continue;
        xn_parameter *p = xn_realloc(s->parameter, (size_t)s->n + 1, sizeof *p);
        if (p == NULL) return xn_fail_memory(ctx, "parameters", (size_t)(s->n + 1) * sizeof *p);
        s->parameter = p;
        p += s->n++;
        *p = (xn_parameter){.orbit = b->orbit, .shell = shell, .distance = d};
        for (int c = 0; c < 9; c++) p->basis[c] = t[c] / norm;
        p->start = product(start, p->basis);
    }
    for (int k = before; k < s->n; k++)
        snprintf(s->parameter[k].name, sizeof s->parameter[k].name, "shell %d %s-%s %.3f A, %d of %d", shell,
                 f->element[b->i], f->element[b->j], d, k - before + 1, s->n - before);
    return XANI_OK;
}

xani_status xn_shells_find(xn_ctx *ctx, const xn_forces *f, int shells, xn_shells *s)
{
    xn_symmetry g = {0};
    double *reach = xn_calloc((size_t)shells, sizeof *reach);
    xani_status st;
    memset(s, 0, sizeof *s);
    if (reach == NULL) return xn_fail_memory(ctx, "shells", (size_t)shells * sizeof *reach);
    XN_GOTO(out, st, list_bonds(ctx, f, shells, reach, s));
    XN_GOTO(out, st, xn_symmetry_find(ctx, f, &g));
    for (int k = 0; k < shells; k++)
        for (int b = 0; b < s->n_bonds; b++) {
            if (fabs(length(s->bond[b].r) - reach[k]) > SAME_ANG || s->bond[b].orbit >= 0) continue;
            spread(&g, f->n_atoms, b, s);
            XN_GOTO(out, st, add_parameters(ctx, f, &g, b, k + 1, s));
        }
out:
    xn_symmetry_free(&g);
    xn_free(reach);
    if (st != XANI_OK) xn_shells_free(s);
    return st;
}

void xn_shells_free(xn_shells *s)
{
    xn_free(s->bond);
    xn_free(s->parameter);
    memset(s, 0, sizeof *s);
}

// ---- the tensors of all bonds

static void tensor_of(const xn_bond *b, const double t[9], double out[9])
{
    double turned[9];
    xn_symmetry_turn(b->turn, t, turned);
    for (int c = 0; c < 9; c++) out[c] = b->transposed ? turned[3 * (c % 3) + c / 3] : turned[c];
}

void xn_shells_matrix(const xn_shells *s, const xn_forces *f, int k, const double q[3], double complex *d)
{
    size_t n = 3 * (size_t)f->n_atoms;
    for (int m = 0; m < s->n_bonds; m++) {
        const xn_bond *b = &s->bond[m];
        if (b->orbit != s->parameter[k].orbit) continue;
        double t[9], phase = q[0] * b->r[0] + q[1] * b->r[1] + q[2] * b->r[2];
        tensor_of(b, s->parameter[k].basis, t);
        double complex wave = (cos(phase) + I * sin(phase)) / sqrt(f->mass_u[b->i] * f->mass_u[b->j]);
        for (size_t c = 0; c < 9; c++) {
            d[(3 * (size_t)b->i + c / 3) * n + 3 * (size_t)b->j + c % 3] += wave * t[c];
            d[(3 * (size_t)b->i + c / 3) * n + 3 * (size_t)b->i + c % 3] -= t[c] / f->mass_u[b->i];
        }
    }
}

xani_status xn_shells_apply(xn_ctx *ctx, const xn_shells *s, const xn_forces *from, const double *theta, xn_forces *to)
{
    static const double zero[3] = {0, 0, 0};
    XN_TRY(xn_forces_copy(ctx, from, to));
    for (int m = 0; m < s->n_bonds; m++) {
        const xn_bond *b = &s->bond[m];
        double t[9], sum[9] = {0}, minus[9];
        for (int k = 0; k < s->n; k++) {
            if (s->parameter[k].orbit != b->orbit) continue;
            tensor_of(b, s->parameter[k].basis, t);
            for (int c = 0; c < 9; c++) sum[c] += theta[k] * t[c];
        }
        for (int c = 0; c < 9; c++) minus[c] = -sum[c];
        xani_status st = xn_forces_add(ctx, to, b->i, b->j, b->r, sum);
        if (st == XANI_OK) st = xn_forces_add(ctx, to, b->i, b->i, zero, minus);
        if (st != XANI_OK) xn_forces_free(to);
        XN_TRY(st);
    }
    return XANI_OK;
}
