// SPDX-License-Identifier: BSD-3-Clause
// crystal.c -- reading and building Born-von Karman tables.
//
// A table gives the force-constant tensor F (N/m) of one neighbour R per shell, R in a/2.  The elements it leaves out
// follow from the symmetry of R; the other neighbours of the shell follow as S F S^T with the 48 signed permutations
// S of the cube (science.md 13.1).  Two S that give the same neighbour must give the same tensor: a table that
// contradicts the cubic symmetry (a misprint) is refused.
#include "physics/crystal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AMU_KG 1.66053906660e-27
#define MAX_SHELLS 16
#define MAX_NEIGHBOURS (48 * MAX_SHELLS)

// Order of the six tensor elements in a table, and their places.
static const char *const element_name[6] = {"xx", "yy", "zz", "yz", "xz", "xy"};
static const int element_row[6] = {0, 1, 2, 1, 0, 0}, element_col[6] = {0, 1, 2, 2, 2, 1};

static int element_index(const char *name)
{
    for (int i = 0; i < 6; i++)
        if (strcmp(name, element_name[i]) == 0) return i;
    return -1;
}

// The k-th signed permutation, k in 0..47: row i has sign[i] in column perm[i].
static void operation(int k, int perm[3], int sign[3])
{
    static const int perms[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 3; i++) {
        perm[i] = perms[k / 8][i];
        sign[i] = (k >> i) & 1 ? -1 : 1;
    }
}

static void rotate(int k, const double r[3], const double f[9], double r_out[3], double f_out[9])
{
    int perm[3], sign[3];
    operation(k, perm, sign);
    for (int i = 0; i < 3; i++) {
        r_out[i] = sign[i] * r[perm[i]];
        for (int j = 0; j < 3; j++) f_out[3 * i + j] = sign[i] * sign[j] * f[3 * perm[i] + perm[j]];
    }
}

// Fills the elements a table leaves out (NaN) for the neighbour r; false when one cannot be inferred.
static bool complete(const double r[3], double v[6])
{
    enum { XX, YY, ZZ, YZ, XZ, XY };
    double x = r[0], y = r[1], z = r[2];
    if (isnan(v[YY]) && x == y) v[YY] = v[XX];
    if (isnan(v[ZZ]) && (y == z)) v[ZZ] = v[YY];
    if (y == z && y != 0.0 && x != y) {
        if (isnan(v[XY])) v[XY] = v[XZ];
        if (isnan(v[XZ])) v[XZ] = v[XY];
    }
    if (x == y && y == z) v[XZ] = v[YZ] = v[XY];
    for (int i = YZ; i <= XY; i++)
        if (isnan(v[i])) v[i] = 0.0;
    return !isnan(v[XX]) && !isnan(v[YY]) && !isnan(v[ZZ]);
}

static bool same_vector(const double a[3], const double b[3]) { return a[0] == b[0] && a[1] == b[1] && a[2] == b[2]; }

// Adds the neighbours of a shell from the tensor of one of them.
static xani_status add_shell(xn_ctx *ctx, xn_crystal *c, const char *name, const double r0[3], const double f0[9])
{
    int first = c->n_neighbours, number = c->n_shells;
    for (int k = 0; k < 48; k++) {
        double r[3], f[9];
        rotate(k, r0, f0, r, f);
        int at = first;
        while (at < c->n_neighbours && !same_vector(c->r[at], r)) at++;
        if (at == c->n_neighbours) {
            memcpy(c->r[at], r, sizeof r);
            memcpy(c->f[at], f, sizeof f);
            c->shell[at] = number;
            c->n_neighbours++;
            continue;
        }
        for (int i = 0; i < 9; i++)
            if (fabs(c->f[at][i] - f[i]) > 1e-9)
                return xn_fail(ctx, XANI_ERR_INPUT, "crystal %s: shell %s contradicts the cubic symmetry", c->name,
                               name);
    }
    snprintf(c->shell_name[number], sizeof c->shell_name[number], "%s", name);
    c->n_shells++;
    return XANI_OK;
}

static xani_status reserve(xn_ctx *ctx, xn_crystal *c)
{
    c->r = xn_calloc(MAX_NEIGHBOURS, sizeof *c->r);
    c->f = xn_calloc(MAX_NEIGHBOURS, sizeof *c->f);
    c->shell = xn_calloc(MAX_NEIGHBOURS, sizeof *c->shell);
    if (c->r != NULL && c->f != NULL && c->shell != NULL) return XANI_OK;
    return xn_fail_memory(ctx, "neighbours of a crystal", MAX_NEIGHBOURS * (sizeof *c->r + sizeof *c->f));
}

// ---- the text of a table -------------------------------------------------------------------------

typedef struct table_line {
    const char *path;
    int number;
    char *save;
} table_line;

static xani_status bad_line(xn_ctx *ctx, const table_line *line, const char *what)
{
    return xn_fail(ctx, XANI_ERR_INPUT, "%s:%d: %s", line->path, line->number, what);
}

static xani_status next_number(xn_ctx *ctx, table_line *line, double *value)
{
    char *word = strtok_r(NULL, " \t\r\n", &line->save), *end = NULL;
    if (word == NULL) return bad_line(ctx, line, "a number is missing");
    *value = strtod(word, &end);
    return *end != '\0' || !isfinite(*value) ? bad_line(ctx, line, "not a number") : XANI_OK;
}

static xani_status next_numbers(xn_ctx *ctx, table_line *line, double *values, int n)
{
    for (int i = 0; i < n; i++) XN_TRY(next_number(ctx, line, &values[i]));
    return XANI_OK;
}

static xani_status shell_line(xn_ctx *ctx, table_line *line, xn_crystal *c)
{
    const char *name = strtok_r(NULL, " \t\r\n", &line->save);
    if (name == NULL || strlen(name) != 3 || strspn(name, "0123456789") != 3)
        return bad_line(ctx, line, "a shell is named by three digits, such as 110");
    if (c->n_shells >= MAX_SHELLS) return bad_line(ctx, line, "more than 16 shells");
    double r[3], v[6] = {NAN, NAN, NAN, NAN, NAN, NAN};
    for (int i = 0; i < 3; i++) r[i] = name[i] - '0';
    for (const char *word; (word = strtok_r(NULL, " \t\r\n", &line->save)) != NULL;) {
        int element = element_index(word);
        if (element < 0) return bad_line(ctx, line, "tensor elements are xx yy zz yz xz xy");
        XN_TRY(next_number(ctx, line, &v[element]));
    }
    if (!complete(r, v)) return bad_line(ctx, line, "the tensor cannot be completed by symmetry");
    double f[9];
    for (int i = 0; i < 6; i++) f[3 * element_row[i] + element_col[i]] = f[3 * element_col[i] + element_row[i]] = v[i];
    return add_shell(ctx, c, name, r, f);
}

static xani_status table_word(xn_ctx *ctx, table_line *line, const char *key, xn_crystal *c)
{
    if (strcmp(key, "shell") == 0) return shell_line(ctx, line, c);
    if (strcmp(key, "a_ang") == 0) return next_number(ctx, line, &c->a_ang);
    if (strcmp(key, "form_factor_a") == 0) return next_numbers(ctx, line, c->ff_a, 4);
    if (strcmp(key, "form_factor_b") == 0) return next_numbers(ctx, line, c->ff_b, 4);
    if (strcmp(key, "form_factor_c") == 0) return next_number(ctx, line, &c->ff_c);
    if (strcmp(key, "mass_u") == 0) {
        XN_TRY(next_number(ctx, line, &c->mass_kg));
        c->mass_kg *= AMU_KG;
        return XANI_OK;
    }
    bool is_name = strcmp(key, "name") == 0;
    if (!is_name && strcmp(key, "element") != 0) return bad_line(ctx, line, "unknown key");
    const char *word = strtok_r(NULL, " \t\r\n", &line->save);
    if (word == NULL) return bad_line(ctx, line, "a word is missing");
    if (is_name)
        snprintf(c->name, sizeof c->name, "%s", word);
    else
        snprintf(c->element, sizeof c->element, "%s", word);
    return XANI_OK;
}

static xani_status read_table(xn_ctx *ctx, FILE *file, const char *path, xn_crystal *c)
{
    char text[512];
    table_line line = {path, 0, NULL};
    while (fgets(text, sizeof text, file) != NULL) {
        line.number++;
        text[strcspn(text, "#")] = '\0';
        const char *key = strtok_r(text, " \t\r\n", &line.save);
        if (key != NULL) XN_TRY(table_word(ctx, &line, key, c));
    }
    if (ferror(file)) return xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot read", path);
    if (!(c->a_ang > 0.0) || !(c->mass_kg > 0.0) || c->n_shells == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: a_ang, mass_u or shells are missing", path);
    return XANI_OK;
}

// Tries the name as a path, then the shipped tables of the source tree and of the installation.
static FILE *open_table(const char *name, char *path, size_t size)
{
    static const char *const folders[] = {XN_SOURCE_DATA_DIR, XN_DATA_DIR};
    snprintf(path, size, "%s", name);
    FILE *file = strpbrk(name, "/.") != NULL ? fopen(path, "re") : NULL;
    for (size_t i = 0; file == NULL && i < 2 && strchr(name, '/') == NULL; i++) {
        snprintf(path, size, "%s/crystals/%s.txt", folders[i], name);
        file = fopen(path, "re");
    }
    return file;
}

xani_status xn_crystal_load(xn_ctx *ctx, const char *name_or_path, xn_crystal *c)
{
    char path[4096];
    memset(c, 0, sizeof *c);
    FILE *file = open_table(name_or_path, path, sizeof path);
    if (file == NULL)
        return xn_fail(ctx, XANI_ERR_INPUT, "crystal %s: no such file and no shipped table of this name (%s)",
                       name_or_path, strerror(errno));
    xani_status st = reserve(ctx, c);
    if (st == XANI_OK) st = read_table(ctx, file, path, c);
    fclose(file);
    if (st != XANI_OK) xn_crystal_free(c);
    return st;
}

xani_status xn_crystal_copy(xn_ctx *ctx, const xn_crystal *from, xn_crystal *to)
{
    xn_crystal c = *from;
    c.r = NULL, c.f = NULL, c.shell = NULL;
    *to = c;
    xani_status st = reserve(ctx, to);
    if (st != XANI_OK) {
        xn_crystal_free(to);
        return st;
    }
    memcpy(to->r, from->r, (size_t)from->n_neighbours * sizeof *to->r);
    memcpy(to->f, from->f, (size_t)from->n_neighbours * sizeof *to->f);
    memcpy(to->shell, from->shell, (size_t)from->n_neighbours * sizeof *to->shell);
    return XANI_OK;
}

void xn_crystal_free(xn_crystal *c)
{
    xn_free(c->r);
    xn_free(c->f);
    xn_free(c->shell);
    memset(c, 0, sizeof *c);
}

// Scales an element and those that the symmetry of the neighbour r makes equal to it (up to sign).
static void scale_tensor(const double r[3], double f[9], int row, int col, double factor)
{
    bool scaled[9] = {false};
    for (int k = 0; k < 48; k++) {
        double image[3], ignored[9];
        int perm[3], sign[3];
        rotate(k, r, f, image, ignored);
        if (!same_vector(image, r)) continue;
        operation(k, perm, sign);
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                if ((perm[i] == row && perm[j] == col) || (perm[i] == col && perm[j] == row)) scaled[3 * i + j] = true;
    }
    for (int i = 0; i < 9; i++)
        if (scaled[i]) f[i] *= factor;
}

xani_status xn_crystal_scale(xn_ctx *ctx, xn_crystal *c, const char *shell, const char *element, double factor)
{
    bool whole = element == NULL || strcmp(element, "all") == 0;
    int which = whole ? 0 : element_index(element), number = 0;
    if (which < 0)
        return xn_fail(ctx, XANI_ERR_CONFIG, "crystal %s: no tensor element %s (xx yy zz yz xz xy or all)", c->name,
                       element);
    while (number < c->n_shells && strcmp(c->shell_name[number], shell) != 0) number++;
    if (number == c->n_shells) return xn_fail(ctx, XANI_ERR_CONFIG, "crystal %s has no shell %s", c->name, shell);
    double r0[3], f0[9] = {0};
    for (int i = 0; i < 3; i++) r0[i] = shell[i] - '0';
    for (int n = 0; n < c->n_neighbours; n++)
        if (c->shell[n] == number && same_vector(c->r[n], r0)) memcpy(f0, c->f[n], sizeof f0);
    if (whole)
        for (int i = 0; i < 9; i++) f0[i] *= factor;
    else
        scale_tensor(r0, f0, element_row[which], element_col[which], factor);
    for (int k = 0; k < 48; k++) {
        double r[3], f[9];
        rotate(k, r0, f0, r, f);
        for (int n = 0; n < c->n_neighbours; n++)
            if (c->shell[n] == number && same_vector(c->r[n], r)) memcpy(c->f[n], f, sizeof f);
    }
    return XANI_OK;
}
