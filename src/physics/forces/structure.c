// SPDX-License-Identifier: BSD-3-Clause
// structure.c -- the supercell from the files it stands in: VASP's POSCAR and phonopy's YAML files: see supercell.h.
//
//   POSCAR            title (or elements), scale, three vectors, elements (VASP 5), counts, Direct or Cartesian, places
//   phonopy*.yaml     supercell: {lattice, points: [{symbol, coordinates, mass}]}, primitive_cell, physical_unit
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "physics/forces/supercell.h"
#include "physics/lattice.h"

#define ATOMS_MOST 100000
#define KINDS_MOST 64
#define YAML_MOST ((size_t)256 << 20)

static xani_status set_mass(xn_ctx *ctx, const char *path, xn_supercell *s, int atom)
{
    if (!(s->mass_u[atom] > 0)) s->mass_u[atom] = xn_element_mass_u(s->element[atom]);
    if (s->mass_u[atom] > 0) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: the mass of element '%s' is not known", path, s->element[atom]);
}

// ---- POSCAR

typedef struct {
    int kinds;
    char element[KINDS_MOST][4];
    int count[KINDS_MOST];
} composition;

// Words of a line as elements; how many there are, 0 when one is none.
static int elements_of(const char *line, composition *c)
{
    int n = 0;
    for (const char *s = line; *s != '\0';) {
        while (isspace((unsigned char)*s)) s++;
        size_t length = strcspn(s, " \t\r\n");
        if (length == 0) break;
        if (length > 3 || n == KINDS_MOST || !isalpha((unsigned char)*s)) return 0;
        snprintf(c->element[n], sizeof c->element[n], "%.*s", (int)length, s);
        if (isnan(xn_element_mass_u(c->element[n]))) return 0;
        n++;
        s += length;
    }
    return n;
}

// Elements stand above the counts, or (VASP 4) in the title.
static xani_status read_composition(xn_words *w, const char *title, composition *c)
{
    char *rest = w->at;
    int line = w->line;
    char first[512];
    size_t n = strcspn(rest, "\n");
    snprintf(first, sizeof first, "%.*s", (int)(n < sizeof first ? n : sizeof first - 1), rest);
    c->kinds = elements_of(first, c);
    if (c->kinds > 0)
        (void)xn_words_line(w);
    else
        c->kinds = elements_of(title, c);
    if (c->kinds == 0) {
        w->line = line;
        return xn_words_bad(w, "neither this line nor the title names the elements");
    }
    for (int k = 0; k < c->kinds; k++) XN_TRY(xn_words_whole(w, 1, ATOMS_MOST, &c->count[k]));
    (void)xn_words_line(w);
    return XANI_OK;
}

static xani_status read_places(xn_words *w, const composition *c, bool cartesian, double scale, xn_supercell *s)
{
    double inverse[9];
    int atom = 0;
    if (!xn_mat3_inverse(s->lattice, inverse)) return xn_words_bad(w, "the cell has no volume");
    for (int k = 0; k < c->kinds; k++)
        for (int i = 0; i < c->count[k]; i++, atom++) {
            double r[3];
            XN_TRY(xn_words_numbers(w, r, 3));
            (void)xn_words_line(w); // selective dynamics and comments
            for (int d = 0; d < 3; d++)
                s->place[atom][d] =
                    cartesian ? scale * (r[0] * inverse[d] + r[1] * inverse[3 + d] + r[2] * inverse[6 + d]) : r[d];
            memcpy(s->element[atom], c->element[k], sizeof s->element[atom]);
            XN_TRY(set_mass(w->ctx, w->path, s, atom));
        }
    return XANI_OK;
}

static xani_status read_poscar(xn_words *w, xn_supercell *s)
{
    composition c = {0};
    double scale = 1, lattice[9];
    const char *title = xn_words_line(w);
    if (title == NULL) return xn_words_bad(w, "the file is empty");
    XN_TRY(xn_words_number(w, &scale));
    XN_TRY(xn_words_numbers(w, lattice, 9));
    (void)xn_words_line(w);
    if (scale < 0) scale = cbrt(-scale / fabs(xn_mat3_determinant(lattice))); // a volume
    XN_TRY(read_composition(w, title, &c));
    int n = 0;
    for (int k = 0; k < c.kinds; k++) n += c.count[k];
    XN_TRY(xn_supercell_alloc(w->ctx, n, s));
    for (int i = 0; i < 9; i++) s->lattice[i] = scale * lattice[i];
    const char *how = xn_words_line(w);
    while (how != NULL && isspace((unsigned char)*how)) how++;
    if (how != NULL && tolower((unsigned char)*how) == 's') how = xn_words_line(w); // Selective dynamics
    if (how == NULL) return xn_words_bad(w, "the file ends before the positions");
    char kind = (char)tolower((unsigned char)how[strspn(how, " \t")]);
    return read_places(w, &c, kind == 'c' || kind == 'k', scale, s);
}

xani_status xn_structure_poscar(xn_ctx *ctx, const char *path, xn_supercell *s)
{
    xn_words w;
    memset(s, 0, sizeof *s);
    XN_TRY(xn_words_open(ctx, path, &w));
    xani_status st = read_poscar(&w, s);
    xn_words_close(&w);
    if (st != XANI_OK) xn_supercell_free(s);
    return st;
}

// ---- phonopy

// Units of the calculators phonopy knows (its `physical_unit`); others are VASP's. Earlier versions write Angstrom.
double xn_structure_force_unit(const char *name)
{
    static const struct {
        const char *name;
        double value;
    } forces[] = {{"eV/angstrom^2", XN_NEWTON_PER_EV_ANG2},
                  {"eV/angstrom.au", XN_NEWTON_PER_EV_ANG2 / XN_BOHR_ANG},
                  {"Ry/au^2", XN_NEWTON_PER_RY_BOHR2},
                  {"mRy/au^2", 1e-3 * XN_NEWTON_PER_RY_BOHR2},
                  {"hartree/au^2", 2.0 * XN_NEWTON_PER_RY_BOHR2},
                  {"hartree/angstrom.au", 2.0 * XN_RYDBERG_EV * XN_NEWTON_PER_EV_ANG2 / XN_BOHR_ANG}};
    for (size_t i = 0; i < sizeof forces / sizeof forces[0]; i++)
        if (strcasecmp(name, forces[i].name) == 0) return forces[i].value;
    return NAN;
}

static xani_status read_units(xn_ctx *ctx, const char *path, const xn_node *root, xn_supercell *s)
{
    const xn_node *units = xn_node_member(root, "physical_unit");
    const xn_node *length = xn_node_member(units, "length"), *force = xn_node_member(units, "force_constants");
    if (length != NULL && length->text != NULL) {
        if (strcasecmp(length->text, "au") == 0)
            s->unit_ang = XN_BOHR_ANG;
        else if (strcasecmp(length->text, "angstrom") != 0)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: physical_unit: length %s is not known", path, length->text);
    }
    if (force == NULL || force->text == NULL) return XANI_OK;
    s->unit_force = xn_structure_force_unit(force->text);
    if (!isnan(s->unit_force)) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: physical_unit: force_constants %s is not known", path, force->text);
}

static xani_status read_points(xn_ctx *ctx, const char *path, const xn_node *points, xn_supercell *s)
{
    int atom = 0;
    for (const xn_node *p = points->child; p != NULL; p = p->next, atom++) {
        const xn_node *symbol = xn_node_member(p, "symbol");
        if (symbol == NULL || symbol->text == NULL ||
            !xn_node_numbers(xn_node_member(p, "coordinates"), s->place[atom], 3))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s:%d: an atom needs symbol and coordinates", path, p->line);
        snprintf(s->element[atom], sizeof s->element[atom], "%s", symbol->text);
        if (!xn_node_number(xn_node_member(p, "mass"), &s->mass_u[atom])) s->mass_u[atom] = 0;
        XN_TRY(set_mass(ctx, path, s, atom));
    }
    return XANI_OK;
}

// The primitive cell as the program took it; a larger one, of a calculation without primitive axes, is reduced later.
static void read_primitive(const xn_node *root, xn_supercell *s)
{
    double axes[9];
    bool given = xn_node_numbers(xn_node_member(root, "primitive_matrix"), axes, 9);
    if (given && xn_node_numbers(xn_node_member(xn_node_member(root, "primitive_cell"), "lattice"), s->primitive, 9))
        for (int i = 0; i < 9; i++) s->primitive[i] *= s->unit_ang;
    else
        memset(s->primitive, 0, sizeof s->primitive);
}

xani_status xn_structure_phonopy(xn_ctx *ctx, const char *path, xn_supercell *s, xn_node **root)
{
    memset(s, 0, sizeof *s);
    XN_TRY(xn_yaml_read(ctx, path, YAML_MOST, root));
    const xn_node *cell = xn_node_member(*root, "supercell"), *points = xn_node_member(cell, "points");
    if (points == NULL) points = xn_node_member(cell, "atoms"); // before version 1.10
    int n = points != NULL && points->kind == XN_NODE_LIST ? xn_node_count(points) : 0;
    xani_status st = XANI_OK;
    if (n < 1 || n > ATOMS_MOST) st = xn_fail(ctx, XANI_ERR_INPUT, "%s: there is no supercell with its points", path);
    if (st == XANI_OK) st = xn_supercell_alloc(ctx, n, s);
    if (st == XANI_OK) st = read_units(ctx, path, *root, s);
    if (st == XANI_OK && !xn_node_numbers(xn_node_member(cell, "lattice"), s->lattice, 9))
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: supercell: lattice has no nine numbers", path);
    for (int i = 0; i < 9; i++) s->lattice[i] *= s->unit_ang;
    if (st == XANI_OK) st = read_points(ctx, path, points, s);
    if (st == XANI_OK) read_primitive(*root, s);
    if (st == XANI_OK) return st;
    xn_supercell_free(s);
    xn_node_destroy(*root);
    *root = NULL;
    return st;
}
