// SPDX-License-Identifier: BSD-3-Clause
// lattice_load.c -- cell, symmetry, orientation and goniometer from the configuration.
//
// The cell may be said up to three times (map.crystal.cell, geometry.cell, and implied by geometry.ub); the first
// of these is used, and all that are given must agree within 1 %, because a wrong orientation matrix is the
// commonest cause of a wrong map.
#include "physics/lattice.h"

#include <math.h>
#include <string.h>
#include <xraylib.h>

#define CELL_TOLERANCE 0.01 // two statements of one cell may differ by this much

static xani_status read_numbers(xn_ctx *ctx, const xn_config *config, const char *key, int n, double *out)
{
    int got = xn_config_doubles(config, key, out, n);
    if (got == n) return XANI_OK;
    return xn_config_bad(ctx, config, key, "%d numbers are needed, %d are given", n, got);
}

// Angles of a crystal's cell are never so small: in radians they are.
static xani_status check_angles(xn_ctx *ctx, const xn_config *config, const char *key, const double cell[6])
{
    for (int i = 3; i < 6; i++)
        if (cell[i] > 0.0 && cell[i] < M_PI)
            return xn_config_bad(ctx, config, key,
                                 "an angle of %g degrees is not that of a cell (angles are in degrees)", cell[i]);
    return XANI_OK;
}

static xani_status compare_cells(xn_ctx *ctx, const xn_config *config, const char *key, const double a[6],
                                 const double b[6], const char *other)
{
    static const char *const name[6] = {"a", "b", "c", "alpha", "beta", "gamma"};
    for (int i = 0; i < 3; i++)
        if (fabs(a[i] / b[i] / (2.0 * M_PI) - 1.0) < CELL_TOLERANCE)
            return xn_config_bad(ctx, config, key, "%s = %g is 2 pi times %g of %s: here 1/Angstrom contains 2 pi",
                                 name[i], a[i], b[i], other);
    for (int i = 0; i < 6; i++)
        if (fabs(a[i] - b[i]) > CELL_TOLERANCE * fabs(b[i]))
            return xn_config_bad(ctx, config, key, "%s = %g differs from %g of %s by more than 1 %%", name[i], a[i],
                                 b[i], other);
    return XANI_OK;
}

static xani_status check_rotation(xn_ctx *ctx, const xn_config *config, const double u[9])
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            double dot = u[i] * u[j] + u[3 + i] * u[3 + j] + u[6 + i] * u[6 + j];
            if (fabs(dot - (i == j)) > 2e-3)
                return xn_config_bad(ctx, config, "geometry.orientation",
                                     "is not a rotation: columns %d and %d have the product %g", i + 1, j + 1, dot);
        }
    if (xn_mat3_determinant(u) < 0.0)
        return xn_config_bad(ctx, config, "geometry.orientation", "is a mirror (determinant -1), not a rotation");
    return XANI_OK;
}

// The cell: map.crystal.cell, else geometry.cell, else that of geometry.ub; all that are given must agree.
static xani_status load_cell(xn_ctx *ctx, const xn_config *config, const double *ub, double cell[6])
{
    bool known = false;
    const char *from = NULL;
    static const char *const keys[2] = {"map.crystal.cell", "geometry.cell"};
    for (int i = 0; i < 2; i++) {
        if (!xn_config_has(config, keys[i])) continue;
        double given[6];
        XN_TRY(read_numbers(ctx, config, keys[i], 6, given));
        XN_TRY(check_angles(ctx, config, keys[i], given));
        if (!xn_lattice_cell_valid(given))
            return xn_config_bad(ctx, config, keys[i], "is not a cell (Angstrom, degrees)");
        if (known)
            XN_TRY(compare_cells(ctx, config, keys[i], given, cell, from));
        else
            memcpy(cell, given, sizeof given);
        known = true;
        from = keys[i];
    }
    if (ub != NULL) {
        double of_ub[6];
        if (!xn_lattice_cell_of(ub, of_ub) || xn_mat3_determinant(ub) < 0.0)
            return xn_config_bad(ctx, config, "geometry.ub", "is singular or left-handed; its columns are a*, b*, c*");
        if (known) return compare_cells(ctx, config, "geometry.ub", of_ub, cell, from);
        memcpy(cell, of_ub, sizeof of_ub);
        return XANI_OK;
    }
    if (known) return XANI_OK;
    return xn_config_require(ctx, config, "map.crystal.cell", "the crystal's cell is needed");
}

// In the same cell or another.
static bool same_place(const double a[3], const double b[3])
{
    double away = 0.0;
    for (int k = 0; k < 3; k++) away = fmax(away, fabs(a[k] - b[k] - rint(a[k] - b[k])));
    return away < 1e-4;
}

static xani_status load_basis(xn_ctx *ctx, const xn_config *config, xn_lattice *l)
{
    int n = xn_config_count(config, "map.crystal.basis");
    if (n > 16) return xn_config_bad(ctx, config, "map.crystal.basis", "has %d atoms, at most 16 are supported", n);
    for (int i = 0; i < n; i++) {
        char key[XN_KEY_LENGTH];
        const char *element = xn_config_string(config, xn_key(key, "map.crystal.basis[%d].element", i));
        if (element == NULL || strlen(element) >= sizeof l->element[i])
            return xn_config_bad(ctx, config, key, "an element symbol is needed");
        if (SymbolToAtomicNumber(element, NULL) == 0) // its scattering is not known, its symmetry is
            xn_warn(ctx, "%s: %s: '%s' is no symbol of an element", xn_config_name(config), key, element);
        memcpy(l->element[i], element, strlen(element) + 1);
        XN_TRY(read_numbers(ctx, config, xn_key(key, "map.crystal.basis[%d].position", i), 3, l->position[i]));
        for (int j = 0; j < i; j++)
            if (same_place(l->position[i], l->position[j]))
                return xn_config_bad(ctx, config, key, "is also that of map.crystal.basis[%d]", j);
    }
    l->n_basis = n;
    return XANI_OK;
}

static xani_status load_space_group(xn_ctx *ctx, const xn_config *config, const char *name, xn_lattice *l)
{
    static const char key[] = "map.crystal.space_group";
    switch (xn_lattice_set_group(name, l)) {
    case XN_GROUP_UNKNOWN:
        return xn_config_bad(ctx, config, key, "\"%s\" is neither a number from 1 to 230 nor a Hermann-Mauguin symbol",
                             name);
    case XN_GROUP_MISFIT:
        return xn_config_bad(ctx, config, key,
                             "%s does not fit the cell %g %g %g %g %g %g (rhombohedral groups are taken in hexagonal "
                             "axes)",
                             name, l->cell[0], l->cell[1], l->cell[2], l->cell[3], l->cell[4], l->cell[5]);
    default:
        return XANI_OK;
    }
}

// Positions mean different atoms at the two origins that some groups have: diamond's at (1/8, 1/8, 1/8) are 8 atoms at
// the second and 16 at the first. Where the name leaves it open, positions are taken as special ones: fewer atoms.
static xani_status choose_origin(xn_ctx *ctx, const char *name, xn_lattice *l)
{
    if (strchr(name, ':') != NULL || l->n_basis == 0 || !xn_lattice_has_origins(l)) return XANI_OK;
    xn_lattice other = *l;
    char *second = xn_format("%s:2", name);
    bool known = second != NULL && xn_lattice_set_group(second, &other) == XN_GROUP_OK;
    int here = xn_lattice_atoms(l), there = known ? xn_lattice_atoms(&other) : here;
    if (second == NULL || here < 0 || there < 0) {
        xn_free(second);
        return xn_fail_memory(ctx, "the atoms of the cell", 0);
    }
    if (here != there)
        xn_note(ctx,
                "map.crystal: %s has two origins: %s:%d is taken, with %d atoms in the primitive cell (the other: %d)",
                name, name, there < here ? 2 : 1, there < here ? there : here, there < here ? here : there);
    if (there < here) *l = other;
    xn_free(second);
    return XANI_OK;
}

static xani_status load_symmetry(xn_ctx *ctx, const xn_config *config, const double cell[6], xn_lattice *l)
{
    const char *group = xn_config_string(config, "map.crystal.space_group");
    const char *centring = xn_config_string(config, "map.crystal.centring");
    if (group == NULL && centring == NULL)
        return xn_config_require(ctx, config, "map.crystal.space_group",
                                 "it, or map.crystal.centring, says which "
                                 "reflections exist");
    char letter = centring == NULL ? 'P' : strlen(centring) == 1 ? centring[0] : '?';
    if (!xn_lattice_set_cell(cell, letter, l))
        return letter == 'R'
                   ? xn_config_bad(ctx, config, "map.crystal.centring",
                                   "R is a centring of hexagonal axes (a = b, gamma = 120), or a "
                                   "rhombohedral cell (a = b = c, alpha = beta = gamma): the cell is neither")
                   : xn_config_bad(ctx, config, "map.crystal.centring", "\"%s\" is not one of P A B C I F R", centring);
    if (letter == 'R' && l->centring == 'P')
        xn_note(ctx, "map.crystal.centring: a rhombohedral cell is primitive: every h, k, l is a reflection");
    XN_TRY(load_basis(ctx, config, l));
    if (group == NULL) {
        xn_lattice_reduce(l);
        return xn_lattice_find_symmetry(ctx, l);
    }
    XN_TRY(load_space_group(ctx, config, group, l));
    XN_TRY(choose_origin(ctx, group, l));
    if (centring != NULL && l->centring != letter)
        return xn_config_bad(ctx, config, "map.crystal.centring", "%c differs from the space group's %c", letter,
                             l->centring);
    xn_lattice_reduce(l);
    return XANI_OK;
}

xani_status xn_lattice_load(xn_ctx *ctx, const xn_config *config, bool need_ub, xn_lattice *l)
{
    double ub[9], cell[6], u[9];
    bool has_ub = xn_config_has(config, "geometry.ub"), has_u = xn_config_has(config, "geometry.orientation");
    bool has_list = xn_config_has(config, "geometry.reflections");
    if (has_list && (has_ub || has_u))
        return xn_config_bad(ctx, config, "geometry.reflections", "and geometry.%s both give the orientation",
                             has_ub ? "ub" : "orientation");
    if (has_ub) XN_TRY(read_numbers(ctx, config, "geometry.ub", 9, ub));
    XN_TRY(load_cell(ctx, config, has_ub ? ub : NULL, cell));
    XN_TRY(load_symmetry(ctx, config, cell, l));
    if (has_ub) {
        memcpy(l->ub, ub, sizeof ub);
    } else if (has_u) {
        XN_TRY(read_numbers(ctx, config, "geometry.orientation", 9, u));
        XN_TRY(check_rotation(ctx, config, u));
        xn_mat3_mul(u, l->b, l->ub);
    } else if (has_list && need_ub) {
        XN_TRY(xn_orientation_from_reflections(ctx, config, l, u));
        xn_mat3_mul(u, l->b, l->ub);
    } else if (need_ub) {
        return xn_config_require(ctx, config, "geometry.ub",
                                 "the crystal's orientation is needed to map (or "
                                 "geometry.cell with geometry.orientation or reflections)");
    }
    if (!xn_mat3_inverse(l->ub, l->ub_inv)) return xn_config_bad(ctx, config, "geometry.ub", "is singular");
    return XANI_OK;
}

// ---- goniometer

xani_status xn_circles_load(xn_ctx *ctx, const xn_config *config, const char *list, xn_goniometer *g)
{
    memset(g, 0, sizeof *g);
    g->n = xn_config_count(config, list);
    if (g->n > 8) return xn_config_bad(ctx, config, list, "has %d axes, at most 8 are supported", g->n);
    for (int i = 0; i < g->n; i++) {
        xn_circle *c = &g->circle[i];
        char key[XN_KEY_LENGTH];
        XN_TRY(read_numbers(ctx, config, xn_key(key, "%s[%d].axis", list, i), 3, c->axis));
        double length = sqrt(c->axis[0] * c->axis[0] + c->axis[1] * c->axis[1] + c->axis[2] * c->axis[2]);
        if (!(length > 0.0)) return xn_config_bad(ctx, config, key, "has no direction");
        if (fabs(length - 1.0) > 1e-3) xn_warn(ctx, "%s has length %g, taken as a direction", key, length);
        for (int k = 0; k < 3; k++) c->axis[k] /= length;
        c->sign = (double)xn_config_int(config, xn_key(key, "%s[%d].sign", list, i));
        c->angle_deg = xn_config_double(config, xn_key(key, "%s[%d].angle_deg", list, i));
    }
    return XANI_OK;
}

xani_status xn_goniometer_load(xn_ctx *ctx, const xn_config *config, xn_goniometer *g)
{
    return xn_circles_load(ctx, config, "geometry.goniometer", g);
}
