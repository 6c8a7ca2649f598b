// SPDX-License-Identifier: BSD-3-Clause
// configured.c -- see configured.h.
//
// A table's shells have names ("110"), those of other programs' constants are counted by distance, nearest first.
#include "physics/forces/configured.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAME_CELL 0.02 // lattice constants of a shipped table and of the configuration, relative
#define STABLE_GRID 16 // points along each reciprocal vector at which no mode may be imaginary
#define CENTRE 1e-6    // THz: rounding of acoustic modes at the centre

// ---- which constants

static bool fits(const xn_crystal *c, const xn_lattice *l)
{
    bool same = l->n_basis > 0 && l->centring == 'F' && fabs(c->a_ang / l->cell[0] - 1.0) < SAME_CELL;
    for (int a = 0; a < l->n_basis; a++) same = same && strcmp(l->element[a], c->element) == 0;
    return same;
}

static xani_status take_shipped(xn_ctx *ctx, const xn_lattice *l, xn_crystal *table, xn_forces *f, bool *found)
{
    static const char *const shipped[] = {"al_80k", "cu_296k"};
    for (size_t i = 0; i < sizeof shipped / sizeof shipped[0] && !*found; i++) {
        xn_crystal_free(table);
        XN_TRY(xn_crystal_load(ctx, shipped[i], table));
        *found = fits(table, l);
    }
    if (*found) return xn_forces_from_crystal(ctx, table, f);
    xn_crystal_free(table);
    return XANI_OK;
}

char *xn_forces_path(const xn_config *config, const char *key)
{
    const char *name = xn_config_string(config, key);
    char *path = xn_config_path(config, key);
    if (path != NULL && strpbrk(name, "/.") == NULL && access(path, F_OK) != 0) {
        xn_free(path);
        path = xn_strdup(name);
    }
    return path;
}

static xani_status take_file(xn_ctx *ctx, const xn_config *config, xn_crystal *table, xn_forces *f)
{
    static const char key[] = "map.force_constants.file";
    const char *name = xn_config_string(config, key), *format = xn_config_string(config, "map.force_constants.format");
    char *path = xn_forces_path(config, key);
    char *born = xn_config_path(config, "map.force_constants.born");
    bool mixed = strcmp(xn_config_string(config, "map.force_constants.polar"), "mixed_space") == 0;
    if (path == NULL) return xn_fail_memory(ctx, key, strlen(name));
    bool is_table = format != NULL ? strcmp(format, "bvk") == 0 : !xn_forces_known(path);
    xani_status st = is_table ? xn_crystal_load(ctx, path, table)
                              : xn_forces_load(ctx, path, format, born, mixed ? XN_POLAR_MIXED : XN_POLAR_DIPOLES, f);
    if (is_table && st == XANI_OK) st = xn_forces_from_crystal(ctx, table, f);
    xn_free(path);
    xn_free(born);
    return xn_context(ctx, st, "%s", key);
}

xani_status xn_forces_configured(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, xn_crystal *table,
                                 xn_forces *f, bool *found)
{
    xn_crystal own = {0}, *t = table != NULL ? table : &own;
    *found = xn_config_has(config, "map.force_constants.file");
    memset(t, 0, sizeof *t);
    XN_TRY(xn_algebra_room(ctx, xn_threads((int)xn_config_int(config, "engine.threads"))));
    xani_status st = *found ? take_file(ctx, config, t, f) : take_shipped(ctx, l, t, f, found);
    if (st != XANI_OK) xn_crystal_free(t);
    xn_crystal_free(&own);
    return st;
}

// ---- the change

static xani_status soften_table(xn_ctx *ctx, const xn_config *config, const char *key, const char *shell,
                                const char *element, double factor, xn_crystal *c)
{
    bool known = false;
    for (int k = 0; k < c->n_shells; k++) known = known || strcmp(c->shell_name[k], shell) == 0;
    if (!known) return xn_config_bad(ctx, config, key, "crystal %s has no shell %s", c->name, shell);
    return xn_crystal_scale(ctx, c, shell, element, factor);
}

static xani_status soften_forces(xn_ctx *ctx, const xn_config *config, const char *key, const char *shell,
                                 const char *element, double factor, xn_forces *f)
{
    char *end;
    long number = strtol(shell, &end, 10);
    if (end == shell || *end != '\0' || number < 1)
        return xn_config_bad(ctx, config, key, "'%s' is no number of a shell (1: the nearest neighbours)", shell);
    if (strcmp(element, "all") != 0)
        return xn_config_bad(ctx, config, key, "single elements are changed in Born-von Karman tables only");
    if (xn_forces_scale_shell(f, (int)number, factor) == 0)
        return xn_config_bad(ctx, config, key, "the force constants have no shell %ld", number);
    return XANI_OK;
}

xani_status xn_forces_soften(xn_ctx *ctx, const xn_config *config, const char *list, xn_crystal table[2],
                             const xn_forces *before, xn_forces *after)
{
    bool named = table[0].n_shells > 0;
    int n = xn_config_count(config, list);
    if (named) XN_TRY(xn_crystal_copy(ctx, &table[0], &table[1]));
    if (!named) XN_TRY(xn_forces_copy(ctx, before, after));
    for (int i = 0; i < n; i++) {
        char shell_key[XN_KEY_LENGTH], factor_key[XN_KEY_LENGTH], element_key[XN_KEY_LENGTH];
        xn_key(shell_key, "%s[%d].shell", list, i);
        xn_key(factor_key, "%s[%d].factor", list, i);
        XN_TRY(xn_config_require(ctx, config, shell_key, "a shell of the crystal's table, or its number"));
        XN_TRY(xn_config_require(ctx, config, factor_key, "what its force constants are multiplied by"));
        const char *shell = xn_config_string(config, shell_key);
        const char *element = xn_config_string(config, xn_key(element_key, "%s[%d].element", list, i));
        double factor = xn_config_double(config, factor_key);
        XN_TRY(named ? soften_table(ctx, config, shell_key, shell, element, factor, &table[1])
                     : soften_forces(ctx, config, shell_key, shell, element, factor, after));
    }
    return named ? xn_forces_from_crystal(ctx, &table[1], after) : XANI_OK;
}

// ---- stability

// Whether a mode is imaginary somewhere, *q: where.
static bool unstable_at(const xn_forces *f, double complex *work, double *nu, double q[3])
{
    double b[9];
    xn_forces_reciprocal(f, b);
    for (int k = 1; k < STABLE_GRID * STABLE_GRID * STABLE_GRID; k++) {
        xn_forces_grid_point(b, STABLE_GRID, 0.0, k, q);
        if (!xn_forces_solve(f, q, NULL, work, nu, NULL) || !(nu[0] > CENTRE)) return true;
    }
    return false;
}

xani_status xn_forces_check_stable(xn_ctx *ctx, const xn_config *config, const char *key, const char *what,
                                   const xn_forces *f, const double to_q[9])
{
    double inverse[9], q[3], hkl[3], *nu = xn_alloc(3 * (size_t)f->n_atoms, sizeof *nu);
    double complex *work = xn_alloc(xn_forces_work(f), sizeof *work);
    bool unstable = nu != NULL && work != NULL && unstable_at(f, work, nu, q);
    xani_status st =
        nu != NULL && work != NULL ? XANI_OK : xn_fail_memory(ctx, "the dynamical matrix", xn_forces_work(f) * 16);
    xn_free(work);
    xn_free(nu);
    if (!unstable || !xn_mat3_inverse(to_q, inverse)) return st;
    xn_mat3_vec(inverse, q, hkl);
    return xn_config_bad(ctx, config, key, "%s unstable at q = (%.3g %.3g %.3g)", what, hkl[0], hkl[1], hkl[2]);
}
