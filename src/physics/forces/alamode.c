// SPDX-License-Identifier: BSD-3-Clause
// alamode.c -- harmonic force constants of ALAMODE's alm (Tadano, Gohda and Tsuneyuki, J. Phys. Condens. Matter
// 26, 225402, 2014).
//
//   Structure   LatticeVector a1, a2, a3 in bohr; Position: pos element="Pb", fractions of the supercell
//   Symmetry    Translations: map tran="1" atom="2": the atom that translation 1 makes of atom 2 of the primitive cell
//   FC2         pair1="atom xyz" (atom of the primitive cell), pair2="atom xyz cell" (atom of the supercell, and which
//   of
//               the 27 supercells around it is meant), in Ry/bohr^2, already shared among equally near images
//
// Cell 1 is the supercell itself; 2 to 27 are the shifts (-1, -1, -1) to (1, 1, 1), the last counting fastest, without
// (0, 0, 0).  Masses are those of the elements (in ALAMODE they stand in the input of anphon).
#include <expat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "physics/forces/supercell.h"
#include "physics/lattice.h"

#define BYTES_MOST ((size_t)1 << 30)
#define ATOMS_MOST 100000

typedef struct {
    int prim, a, atom, b, cell;
    double value;
} constant;

typedef struct {
    xn_ctx *ctx;
    const char *path;
    XML_Parser parser;
    xani_status status;
    xn_supercell s;
    int placed, vectors; // atoms and lattice vectors read
    int primitive[64];   // atoms of the supercell that stand for those of the primitive cell
    int n_primitive;
    constant *fc;
    int64_t n, room;
    int tran, number; // attributes of the element that is open
    constant open;
    bool inside; // HARMONIC: other FC2 stand elsewhere
    char element[4];
    char text[512]; // its characters
    size_t length;
} reading;

static void bad(reading *r, const char *what)
{
    if (r->status != XANI_OK) return;
    r->status = xn_fail(r->ctx, XANI_ERR_INPUT, "%s:%lu: %s", r->path,
                        (unsigned long)XML_GetCurrentLineNumber(r->parser), what);
    XML_StopParser(r->parser, XML_FALSE);
}

static const char *attribute(const char **list, const char *name)
{
    for (; list[0] != NULL; list += 2)
        if (strcmp(list[0], name) == 0) return list[1];
    return "";
}

// Whole numbers of a text; how many there are.
static int wholes(const char *text, int *values, int most)
{
    int n = 0;
    for (char *end; n < most; text = end) {
        long v = strtol(text, &end, 10);
        if (end == text || v < 1 || v > ATOMS_MOST) break;
        values[n++] = (int)v;
    }
    return n;
}

static void begin(void *user, const char *name, const char **attributes)
{
    reading *r = user;
    int v[3] = {0};
    r->length = 0;
    if (strcmp(name, "pos") == 0) {
        snprintf(r->element, sizeof r->element, "%s", attribute(attributes, "element"));
        r->number = wholes(attribute(attributes, "index"), v, 1) == 1 ? v[0] : 0;
    } else if (strcmp(name, "map") == 0) {
        r->tran = wholes(attribute(attributes, "tran"), v, 1) == 1 ? v[0] : 0;
        r->number = wholes(attribute(attributes, "atom"), v, 1) == 1 ? v[0] : 0;
    } else if (strcmp(name, "HARMONIC") == 0) {
        r->inside = true;
    } else if (r->inside && strcmp(name, "FC2") == 0) {
        constant *c = &r->open;
        if (wholes(attribute(attributes, "pair1"), v, 2) != 2 || v[1] > 3)
            return bad(r, "FC2 needs pair1=\"atom xyz\"");
        c->prim = v[0] - 1;
        c->a = v[1] - 1;
        if (wholes(attribute(attributes, "pair2"), v, 3) != 3 || v[1] > 3 || v[2] > 27)
            return bad(r, "FC2 needs pair2=\"atom xyz cell\"");
        c->atom = v[0] - 1;
        c->b = v[1] - 1;
        c->cell = v[2] - 1;
    }
}

static void characters(void *user, const char *s, int n)
{
    reading *r = user;
    size_t take = r->length + (size_t)n < sizeof r->text ? (size_t)n : sizeof r->text - 1 - r->length;
    memcpy(r->text + r->length, s, take);
    r->length += take;
    r->text[r->length] = '\0';
}

static bool numbers(const char *text, double *values, int n)
{
    for (int i = 0; i < n; i++) {
        char *end;
        values[i] = strtod(text, &end);
        if (end == text || !isfinite(values[i])) return false;
        text = end;
    }
    return true;
}

static void end_of_atom(reading *r)
{
    if (r->number < 1 || r->number > r->s.n || !numbers(r->text, r->s.place[r->number - 1], 3))
        return bad(r, "an atom's position is missing");
    int i = r->number - 1;
    memcpy(r->s.element[i], r->element, sizeof r->s.element[i]);
    r->s.mass_u[i] = xn_element_mass_u(r->element);
    if (isnan(r->s.mass_u[i])) return bad(r, "the mass of this element is not known");
    r->placed++;
}

static void end_of_constant(reading *r)
{
    if (!numbers(r->text, &r->open.value, 1)) return bad(r, "FC2 has no number");
    if (r->n == r->room) {
        r->room = r->room > 0 ? 2 * r->room : 4096;
        constant *p = xn_realloc(r->fc, (size_t)r->room, sizeof *p);
        if (p == NULL) {
            r->status = xn_fail_memory(r->ctx, r->path, (size_t)r->room * sizeof *p);
            XML_StopParser(r->parser, XML_FALSE);
            return;
        }
        r->fc = p;
    }
    r->fc[r->n++] = r->open;
}

static void end(void *user, const char *name)
{
    reading *r = user;
    int v = 0;
    if (r->status != XANI_OK) return;
    if (strcmp(name, "NumberOfAtoms") == 0) {
        if (wholes(r->text, &v, 1) != 1 || r->s.n > 0) return bad(r, "NumberOfAtoms is no number of atoms");
        r->status = xn_supercell_alloc(r->ctx, v, &r->s);
    } else if (name[0] == 'a' && strlen(name) == 2 && name[1] >= '1' && name[1] <= '3') {
        double *row = r->s.lattice + 3 * (name[1] - '1');
        if (!numbers(r->text, row, 3)) return bad(r, "a lattice vector is missing");
        for (int c = 0; c < 3; c++) row[c] *= XN_BOHR_ANG;
        r->vectors++;
    } else if (strcmp(name, "pos") == 0) {
        end_of_atom(r);
    } else if (strcmp(name, "map") == 0 && r->tran == 1) {
        if (wholes(r->text, &v, 1) != 1 || r->number < 1 || r->number > 64) return bad(r, "a translation is not clear");
        r->primitive[r->number - 1] = v - 1;
        if (r->number > r->n_primitive) r->n_primitive = r->number;
    } else if (r->inside && strcmp(name, "FC2") == 0) {
        end_of_constant(r);
    }
    if (strcmp(name, "HARMONIC") == 0) r->inside = false;
}

// ---- to the list

static void shift_of(int cell, int shift[3])
{
    int k = cell == 0 ? 13 : cell <= 13 ? cell - 1 : cell; // 13 is (0, 0, 0) among the 27
    shift[0] = k / 9 - 1;
    shift[1] = k / 3 % 3 - 1;
    shift[2] = k % 3 - 1;
}

static xani_status add_constant(const reading *r, const constant *c, const int *class_of, const int *slot, xn_forces *f)
{
    const xn_supercell *s = &r->s;
    double from[3], to[3], v[3], phi[9] = {0};
    int shift[3];
    if (c->prim >= r->n_primitive || c->atom >= s->n)
        return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: a constant of atoms %d and %d, which are not there", r->path,
                       c->prim + 1, c->atom + 1);
    shift_of(c->cell, shift);
    xn_supercell_cartesian(s, r->primitive[c->prim], from);
    xn_supercell_cartesian(s, c->atom, to);
    for (int k = 0; k < 3; k++)
        v[k] = to[k] - from[k] + shift[0] * s->lattice[k] + shift[1] * s->lattice[3 + k] + shift[2] * s->lattice[6 + k];
    phi[3 * c->a + c->b] = c->value * XN_NEWTON_PER_RY_BOHR2;
    return xn_forces_add(r->ctx, f, slot[class_of[r->primitive[c->prim]]], slot[class_of[c->atom]], v, phi);
}

static xani_status convert(reading *r, xn_forces *f)
{
    xn_supercell *s = &r->s;
    int *class_of = xn_alloc((size_t)s->n, sizeof *class_of), *first = xn_alloc((size_t)s->n, sizeof *first);
    int *slot = xn_alloc((size_t)s->n, sizeof *slot);
    xani_status st = XANI_OK;
    if (!class_of || !first || !slot) XN_GOTO(out, st, xn_fail_memory(r->ctx, r->path, (size_t)s->n * 12));
    XN_GOTO(out, st, xn_supercell_primitive(r->ctx, s));
    int classes = xn_supercell_classes(s, class_of, first);
    if (classes != r->n_primitive)
        XN_GOTO(out, st,
                xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %d atoms are translated, the primitive cell has %d", r->path,
                        r->n_primitive, classes));
    XN_GOTO(out, st, xn_forces_begin(r->ctx, s->primitive, classes, f));
    for (int k = 0; k < classes; k++) { // in the file's order
        int atom = r->primitive[k];
        slot[class_of[atom]] = k;
        xn_supercell_cartesian(s, atom, f->position[k]);
        memcpy(f->element[k], s->element[atom], sizeof f->element[k]);
        f->mass_u[k] = s->mass_u[atom];
    }
    xn_supercell_matrix(s, f->cell, f->supercell);
    for (int64_t k = 0; st == XANI_OK && k < r->n; k++) st = add_constant(r, &r->fc[k], class_of, slot, f);
out:
    xn_free(class_of);
    xn_free(first);
    xn_free(slot);
    return st;
}

static xani_status parse(reading *r, const char *text, size_t bytes)
{
    XML_SetUserData(r->parser, r);
    XML_SetElementHandler(r->parser, begin, end);
    XML_SetCharacterDataHandler(r->parser, characters);
    enum XML_Status parsed = XML_Parse(r->parser, text, (int)bytes, 1);
    if (r->status != XANI_OK) return r->status;
    if (parsed != XML_STATUS_OK) bad(r, XML_ErrorString(XML_GetErrorCode(r->parser)));
    if (r->status == XANI_OK &&
        (r->vectors != 3 || r->placed != r->s.n || r->s.n == 0 || r->n == 0 || r->n_primitive == 0))
        bad(r, "lattice vectors, positions, translations or FC2 are missing");
    return r->status;
}

xani_status xn_forces_alamode(xn_ctx *ctx, const char *path, xn_forces *f)
{
    reading r = {.ctx = ctx, .path = path};
    char *text = NULL;
    size_t bytes = 0;
    memset(f, 0, sizeof *f);
    XN_TRY(xn_file_text(ctx, path, BYTES_MOST, XANI_ERR_INPUT, &text, &bytes));
    r.parser = XML_ParserCreate(NULL);
    xani_status st = r.parser != NULL ? parse(&r, text, bytes) : xn_fail_memory(ctx, path, bytes);
    if (r.parser != NULL) XML_ParserFree(r.parser);
    xn_free(text);
    if (st == XANI_OK) st = convert(&r, f);
    xn_supercell_free(&r.s);
    xn_free(r.fc);
    if (st != XANI_OK) xn_forces_free(f);
    return st;
}
