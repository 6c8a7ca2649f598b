// SPDX-License-Identifier: BSD-3-Clause
// phonons.c -- xani phonons: frequencies from another program's force constants, at points or along a line.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define LINE 3 // frequencies

// "a,b,c"
static bool read_point(const char *text, double v[3])
{
    for (int i = 0; i < 3; i++) {
        char *end;
        v[i] = strtod(text, &end);
        if (end == text || !isfinite(v[i]) || *end != (i < 2 ? ',' : '\0')) return false;
        text = end + 1;
    }
    return true;
}

bool cli_phonons_option(cli *c, int key, const char *arg, xani_status *status)
{
    cli_phonons *p = &c->phonons;
    bool fraction = key == CLI_KEY_PHONONS, point = fraction || key == CLI_KEY_PHONONS + 1;
    if (point && p->n == CLI_MAX_SET) {
        *status = cli_fail(c, XANI_ERR_USAGE, "more than %d points", CLI_MAX_SET);
    } else if (point) {
        p->fraction[p->n] = fraction;
        if (!read_point(arg, p->point[p->n++]))
            *status = cli_fail(c, XANI_ERR_USAGE, "--%s %s: three numbers are needed, as in 0.5,0,0.5",
                               fraction ? "at" : "q", arg);
    } else if (key == CLI_KEY_PHONONS + 2) {
        char *end;
        errno = 0;
        long n = strtol(arg, &end, 10);
        p->steps = (int)n;
        if (errno != 0 || end == arg || *end != '\0' || n < 1 || n > 100000)
            *status = cli_fail(c, XANI_ERR_USAGE, "--steps %s: a number from 1 to 100000 is needed", arg);
    } else if (key == CLI_KEY_PHONONS + 3) {
        p->format = arg;
    } else if (key == CLI_KEY_PHONONS + 4) {
        p->born = arg;
    } else if (key == CLI_KEY_PHONONS + 5) {
        p->mixed_space = true;
    } else if (key == CLI_KEY_PHONONS + 6) {
        p->sum_rule = true;
    } else if (key == CLI_KEY_PHONONS + 7) {
        p->vectors = true;
    } else {
        return false;
    }
    return true;
}

// Reciprocal vectors of the cell (rows a_i): columns b_i with a_i.b_j = 2 pi delta_ij, by cross products.
static void reciprocal(const double a[9], double b[9])
{
    double volume =
        a[0] * (a[4] * a[8] - a[5] * a[7]) - a[1] * (a[3] * a[8] - a[5] * a[6]) + a[2] * (a[3] * a[7] - a[4] * a[6]);
    for (int i = 0; i < 3; i++) {
        const double *u = a + 3 * ((i + 1) % 3), *v = a + 3 * ((i + 2) % 3);
        double cross[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
        for (int k = 0; k < 3; k++) b[3 * k + i] = 2.0 * 3.14159265358979323846 * cross[k] / volume;
    }
}

// Points in 1/Angstrom; between two of them steps - 1 further ones. Returns how many, *q owned.
static int64_t make_points(const cli_phonons *p, const double cell[9], double **q)
{
    double b[9], corner[CLI_MAX_SET][3];
    int steps = p->steps > 0 ? p->steps : 1, corners = p->n > 0 ? p->n : 1;
    reciprocal(cell, b);
    memset(corner, 0, sizeof corner);
    for (int i = 0; i < p->n; i++)
        for (int k = 0; k < 3; k++) {
            const double *v = p->point[i];
            corner[i][k] = p->fraction[i] ? b[3 * k] * v[0] + b[3 * k + 1] * v[1] + b[3 * k + 2] * v[2] : v[k];
        }
    int64_t n = 1 + (int64_t)(corners - 1) * steps;
    *q = malloc((size_t)n * 3 * sizeof **q);
    for (int64_t i = 0; *q != NULL && i < n; i++) {
        int64_t from = i / steps, to = from + 1 < corners ? from + 1 : from;
        double part = (double)(i % steps) / steps;
        for (int k = 0; k < 3; k++) (*q)[3 * i + k] = (1 - part) * corner[from][k] + part * corner[to][k];
    }
    return n;
}

static json_t *vectors_of(const double *e, int atoms)
{
    json_t *list = json_array();
    for (int s = 0; s < 3 * atoms; s++) {
        json_t *branch = json_array();
        for (int k = 0; k < 3 * atoms; k++, e += 2) json_array_append_new(branch, json_pack("[f, f]", e[0], e[1]));
        json_array_append_new(list, branch);
    }
    return list;
}

static json_t *crystal_of(const xani_phonons *p)
{
    int n = xani_phonons_atoms(p);
    double cell[9], *place = calloc((size_t)n * 3, sizeof *place), *mass = calloc((size_t)n, sizeof *mass);
    char *element = calloc((size_t)n, 4);
    json_t *atoms = json_array(), *rows = json_array();
    if (place != NULL && mass != NULL && element != NULL) {
        xani_phonons_crystal(p, cell, place, mass, element);
        for (int i = 0; i < 3; i++)
            json_array_append_new(rows, json_pack("[f, f, f]", cell[3 * i], cell[3 * i + 1], cell[3 * i + 2]));
        for (int i = 0; i < n; i++)
            json_array_append_new(atoms,
                                  json_pack("{s:s, s:f, s:[f, f, f]}", "element", element + 4 * i, "mass_u", mass[i],
                                            "position_ang", place[3 * i], place[3 * i + 1], place[3 * i + 2]));
    }
    free(place);
    free(mass);
    free(element);
    return json_pack("{s:o, s:o, s:b}", "cell_ang", rows, "atoms", atoms, "polar", xani_phonons_polar(p));
}

// For people, a few to a line: a cell of a table is not as wide as a large cell has branches.
static void add_lines(json_t *points, json_t *q, const double *nu, int branches)
{
    for (int s = 0; s < branches; s += LINE) {
        json_t *line = json_object(), *some = json_array();
        for (int k = s; k < branches && k < s + LINE; k++) json_array_append_new(some, json_real(nu[k]));
        if (s == 0) json_object_set(line, "q_inv_ang", q);
        json_object_set_new(line, "frequency_thz", some);
        json_array_append_new(points, line);
    }
    json_decref(q);
}

static xani_status print_points(cli *c, const xani_phonons *p, int64_t n, const double *q, const double *nu,
                                const double *vectors)
{
    int atoms = xani_phonons_atoms(p);
    json_t *points = json_array();
    for (int64_t i = 0; i < n && !c->json; i++)
        add_lines(points, json_pack("[f, f, f]", q[3 * i], q[3 * i + 1], q[3 * i + 2]), nu + i * 3 * atoms, 3 * atoms);
    for (int64_t i = 0; i < n && c->json; i++) {
        json_t *frequencies = json_array(),
               *o = json_pack("{s:[f, f, f]}", "q_inv_ang", q[3 * i], q[3 * i + 1], q[3 * i + 2]);
        for (int s = 0; s < 3 * atoms; s++) json_array_append_new(frequencies, json_real(nu[i * 3 * atoms + s]));
        json_object_set_new(o, "frequency_thz", frequencies);
        if (vectors != NULL)
            json_object_set_new(o, "eigenvectors", vectors_of(vectors + 2 * i * 9 * atoms * atoms, atoms));
        json_array_append_new(points, o);
    }
    return cli_result(c, "xani.phonons", json_pack("{s:o, s:o}", "crystal", crystal_of(p), "points", points));
}

xani_status cli_run_phonons(cli *c)
{
    const cli_phonons *given = &c->phonons;
    xani_phonons_options o;
    xani_phonons *p = NULL;
    xani_phonons_options_init(&o);
    o.format = given->format;
    o.born = given->born;
    o.mixed_space = given->mixed_space;
    o.sum_rule = given->sum_rule;
    xani_status st = xani_phonons_open(c->context, c->args[0], &o, &p);
    if (st != XANI_OK) return st;
    double cell[9], *q = NULL, *nu = NULL, *vectors = NULL;
    xani_phonons_crystal(p, cell, NULL, NULL, NULL);
    int64_t n = make_points(given, cell, &q);
    size_t branches = 3 * (size_t)xani_phonons_atoms(p);
    nu = malloc((size_t)n * branches * sizeof *nu);
    if (given->vectors) vectors = malloc((size_t)n * branches * branches * 2 * sizeof *vectors);
    if (q == NULL || nu == NULL || (given->vectors && vectors == NULL))
        st = cli_fail(c, XANI_ERR_MEMORY, "out of memory");
    // a polar crystal at the centre: as the line leaves it
    double towards[3] = {0};
    for (int64_t i = 1; q != NULL && st == XANI_OK && i < n && towards[0] == 0 && towards[1] == 0 && towards[2] == 0;
         i++)
        for (int k = 0; k < 3; k++) towards[k] = q[3 * i + k] - q[3 * (i - 1) + k];
    bool direction = towards[0] != 0 || towards[1] != 0 || towards[2] != 0;
    if (st == XANI_OK) st = xani_phonons_at(c->context, p, n, q, direction ? towards : NULL, nu, vectors);
    if (st == XANI_OK) st = print_points(c, p, n, q, nu, vectors);
    free(q);
    free(nu);
    free(vectors);
    xani_phonons_close(&p);
    return st;
}
