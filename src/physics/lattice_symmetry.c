// SPDX-License-Identifier: BSD-3-Clause
// lattice_symmetry.c -- the point symmetry that acts on hkl, from libsymspg (Togo and Tanaka, arXiv:1808.01590).
//
// A rotation W of direct coordinates takes the column hkl to W^-T hkl; the group is closed under inversion of
// its elements, so the set of all W^T is meant here.  The inversion is added, because nu(q) = nu(-q) in every
// crystal (time reversal), which makes the group one of the eleven Laue groups.  Rhombohedral groups are taken in
// hexagonal axes, obverse setting (the first setting of the database).
#include "physics/lattice.h"

#include <ctype.h>
#include <math.h>
#include <spglib.h>
#include <stdlib.h>
#include <string.h>

#define SYMPREC_ANG 1e-3
#define HALL_NUMBERS 530
#define MAX_ATOMS (16 * 4)
#define MISFIT 0.02 // relative change of |q|^2 under an operation

static const struct {
    char centring;
    int n;
    double shift[4][3];
} centrings[] = {
    {'P', 1, {{0}}},
    {'A', 2, {{0}, {0, .5, .5}}},
    {'B', 2, {{0}, {.5, 0, .5}}},
    {'C', 2, {{0}, {.5, .5, 0}}},
    {'I', 2, {{0}, {.5, .5, .5}}},
    {'F', 4, {{0}, {0, .5, .5}, {.5, 0, .5}, {.5, .5, 0}}},
    {'R', 3, {{0}, {2. / 3, 1. / 3, 1. / 3}, {1. / 3, 2. / 3, 2. / 3}}},
};

// Adds W^T and -W^T unless they are there already.
static void add_operation(xn_lattice *l, int w[3][3])
{
    for (int sign = 1; sign >= -1; sign -= 2) {
        int op[9];
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) op[3 * i + j] = sign * w[j][i];
        bool known = false;
        for (int i = 0; i < l->n_sym; i++) known = known || memcmp(l->sym[i], op, sizeof op) == 0;
        if (!known && l->n_sym < 48) memcpy(l->sym[l->n_sym++], op, sizeof op);
    }
}

// Largest relative change of |q|^2 that an operation makes: 0 when the cell has that symmetry.
static double metric_change(const xn_lattice *l)
{
    static const double probe[6][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}, {0, 1, 1}, {1, 0, 1}};
    double worst = 0.0;
    for (int s = 0; s < l->n_sym; s++)
        for (int p = 0; p < 6; p++) {
            double moved[3], a[3], b[3];
            for (int i = 0; i < 3; i++)
                moved[i] = l->sym[s][3 * i] * probe[p][0] + l->sym[s][3 * i + 1] * probe[p][1] +
                           l->sym[s][3 * i + 2] * probe[p][2];
            xn_lattice_cartesian(l, probe[p], a);
            xn_lattice_cartesian(l, moved, b);
            double la = a[0] * a[0] + a[1] * a[1] + a[2] * a[2], lb = b[0] * b[0] + b[1] * b[1] + b[2] * b[2];
            worst = fmax(worst, fabs(lb / la - 1.0));
        }
    return worst;
}

static void squeeze(const char *from, char *to, size_t size)
{
    size_t n = 0;
    for (; *from != '\0' && *from != '=' && n + 1 < size; from++)
        if (!isspace((unsigned char)*from) && *from != '_') to[n++] = *from;
    to[n] = '\0';
}

// Number of the first database entry with this name ("Fm-3m", "F m -3 m", "225", also full symbols), or of that with
// its origin ("227:2"); 0 if none.
static int find_hall(const char *name)
{
    char wanted[40], *end;
    squeeze(name, wanted, sizeof wanted);
    char *colon = strchr(wanted, ':');
    if (colon != NULL) *colon++ = '\0';
    if (colon != NULL && strcmp(colon, "1") != 0 && strcmp(colon, "2") != 0) return 0;
    long number = strtol(wanted, &end, 10);
    bool is_number = end != wanted && *end == '\0';
    for (int hall = 1; hall <= HALL_NUMBERS; hall++) {
        SpglibSpacegroupType t = spg_get_spacegroup_type(hall);
        if (colon != NULL && strcmp(t.choice, colon) != 0) continue;
        if (is_number) {
            if (t.number == number) return hall;
            continue;
        }
        const char *names[3] = {t.international_short, t.international_full, t.international};
        for (int i = 0; i < 3; i++) {
            char known[40];
            squeeze(names[i], known, sizeof known);
            if (strcmp(known, wanted) == 0) return hall;
        }
    }
    return 0;
}

xn_group_result xn_lattice_set_group(const char *name, xn_lattice *l)
{
    int hall = find_hall(name);
    if (hall == 0) return XN_GROUP_UNKNOWN;
    int rotations[192][3][3];
    double translations[192][3];
    l->centring = spg_get_spacegroup_type(hall).international_short[0];
    int n = spg_get_symmetry_from_database(rotations, translations, hall);
    l->hall = hall;
    l->n_sym = 0;
    for (int i = 0; i < n; i++) add_operation(l, rotations[i]);
    return metric_change(l) > MISFIT ? XN_GROUP_MISFIT : XN_GROUP_OK;
}

// All atoms of the conventional cell; the bare lattice when there is no basis. Returns their number.
static int expand(const xn_lattice *l, double position[MAX_ATOMS][3], int type[MAX_ATOMS])
{
    int atoms = 0;
    for (size_t c = 0; c < sizeof centrings / sizeof centrings[0]; c++) {
        if (centrings[c].centring != l->centring) continue;
        for (int i = 0; i < (l->n_basis > 0 ? l->n_basis : 1); i++) {
            int kind = 0;
            while (kind < i && strcmp(l->element[kind], l->element[i]) != 0) kind++;
            for (int s = 0; s < centrings[c].n; s++) {
                for (int k = 0; k < 3; k++) position[atoms][k] = l->position[i][k] + centrings[c].shift[s][k];
                type[atoms++] = kind + 1;
            }
        }
    }
    return atoms;
}

xani_status xn_lattice_find_symmetry(xn_ctx *ctx, xn_lattice *l)
{
    double position[MAX_ATOMS][3], axes[3][3], (*translations)[3] = NULL;
    int type[MAX_ATOMS], (*rotations)[3][3] = NULL;
    int atoms = expand(l, position, type), room = 192 * 4;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) axes[j][i] = 2.0 * M_PI * l->b_inv[3 * i + j]; // columns a, b, c
    xani_status st = XANI_OK;
    rotations = xn_alloc((size_t)room, sizeof *rotations);
    translations = xn_alloc((size_t)room, sizeof *translations);
    if (rotations == NULL || translations == NULL)
        XN_GOTO(out, st, xn_fail_memory(ctx, "the symmetry operations", (size_t)room * sizeof *rotations));
    int n = spg_get_symmetry(rotations, translations, room, axes, position, type, atoms, SYMPREC_ANG);
    if (n == 0)
        XN_GOTO(out, st,
                xn_fail(ctx, XANI_ERR_CONFIG, "map.crystal: libsymspg finds no symmetry: %s",
                        spg_get_error_message(spg_get_error_code())));
    l->n_sym = 0;
    for (int i = 0; i < n; i++) add_operation(l, rotations[i]);
out:
    xn_free(rotations);
    xn_free(translations);
    return st;
}

// Adds a position (fractions of the cell) unless an atom is there already.
static int add_atom(double (*atom)[3], int n, const double x[3])
{
    for (int i = 0; i < n; i++) {
        double worst = 0.0;
        for (int k = 0; k < 3; k++) worst = fmax(worst, fabs(x[k] - atom[i][k] - rint(x[k] - atom[i][k])));
        if (worst < 1e-3) return n;
    }
    memcpy(atom[n], x, 3 * sizeof *x);
    return n + 1;
}

int xn_lattice_centring(char centring, double shift[4][3])
{
    for (size_t c = 0; c < sizeof centrings / sizeof centrings[0]; c++) {
        if (centrings[c].centring != centring) continue;
        memcpy(shift, centrings[c].shift, sizeof centrings[c].shift);
        return centrings[c].n;
    }
    return 1;
}

int xn_lattice_places(const xn_lattice *l, double (*place)[3], int *basis)
{
    double translations[192][3], position[MAX_ATOMS][3];
    int rotations[192][3][3], type[MAX_ATOMS], n = 0;
    if (l->hall > 0) { // the basis may hold one atom of each orbit, or all
        int operations = spg_get_symmetry_from_database(rotations, translations, l->hall);
        for (int i = 0; i < l->n_basis; i++)
            for (int o = 0; o < operations; o++) {
                double x[3];
                for (int k = 0; k < 3; k++) {
                    x[k] = translations[o][k];
                    for (int j = 0; j < 3; j++) x[k] += rotations[o][k][j] * l->position[i][j];
                }
                int before = n;
                n = add_atom(place, n, x);
                if (n > before) basis[before] = i;
            }
        return n;
    }
    int all = l->n_basis > 0 ? expand(l, position, type) : 0;
    for (int i = 0; i < all; i++) {
        int before = n;
        n = add_atom(place, n, position[i]);
        if (n > before) basis[before] = i / (all / l->n_basis); // `expand` takes one after the other
    }
    return n;
}

bool xn_lattice_has_origins(const xn_lattice *l)
{
    return l->hall > 0 && strcmp(spg_get_spacegroup_type(l->hall).choice, "1") == 0;
}

int xn_lattice_atoms(const xn_lattice *l)
{
    double shift[4][3];
    if (l->n_basis == 0) return 0;
    double(*atom)[3] = xn_alloc(XN_LATTICE_PLACES, sizeof *atom);
    int *basis = xn_alloc(XN_LATTICE_PLACES, sizeof *basis);
    int n = atom != NULL && basis != NULL ? xn_lattice_places(l, atom, basis) : -1;
    xn_free(atom);
    xn_free(basis);
    return n < 0 ? -1 : n / xn_lattice_centring(l->centring, shift);
}
