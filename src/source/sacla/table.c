// SPDX-License-Identifier: BSD-3-Clause
// table.c -- time-tool tables of SACLA: one CSV for each run, two lines of header, then
//
//   tag, edge by the derivative (px), edge by the fit (px)
//
// Their mean is the usual reading.  Words in the place of a number ("saturated", "not-converged"), nothing, and NaN are
// no reading; a mean needs both.
#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "source/sacla/sacla.h"

enum { HEADER = 2, LINE = 4096 };

// The number that stands there alone, NaN when it is none. *s: behind the separator after it.
static double take_number(char **s)
{
    char *text = *s;
    size_t n = strcspn(text, ",;\t");
    *s = text + n + (text[n] != '\0');
    text[n] = '\0';
    while (*text == ' ') text++;
    char *end;
    double value = strtod(text, &end);
    while (*end == ' ' || *end == '\r' || *end == '\n') end++;
    return end != text && *end == '\0' ? value : NAN;
}

static xani_status add_line(xn_ctx *ctx, const char *path, int64_t number, char *line, int column, xn_channel *c)
{
    char *s = line;
    if (line[strspn(line, " \t\r\n")] == '\0') return XANI_OK;
    double tag = take_number(&s), derivative = take_number(&s), fitting = take_number(&s);
    if (!(tag >= 1.0) || tag != floor(tag) || tag > 9e15)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: line %lld does not begin with a tag number", path, (long long)number);
    double value = column == 0 ? 0.5 * (derivative + fitting) : column == 1 ? derivative : fitting;
    const uint64_t id = (uint64_t)tag;
    return isnan(value) ? XANI_OK : xn_channel_add(ctx, c, 1, &id, &value, NULL);
}

static xani_status add_lines(xn_ctx *ctx, const char *path, FILE *f, int column, xn_channel *c)
{
    char line[LINE];
    int64_t number = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        if (strchr(line, '\n') == NULL && !feof(f))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: line %lld is too long", path, (long long)number + 1);
        if (++number > HEADER) XN_TRY(add_line(ctx, path, number, line, column, c));
    }
    return ferror(f) ? xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", path, strerror(errno)) : XANI_OK;
}

xani_status xn_sacla_table_append(xn_ctx *ctx, const char *path, int column, xn_channel *c)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", path, strerror(errno));
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    xani_status st = plain != (locale_t)0 ? xn_channel_seen(ctx, c, path) : xn_fail_memory(ctx, path, LINE);
    if (st == XANI_OK) {
        locale_t before = uselocale(plain);
        st = add_lines(ctx, path, f, column, c);
        uselocale(before);
    }
    if (plain != (locale_t)0) freelocale(plain);
    (void)fclose(f);
    return st;
}

// ---- tables of a run

// The number stands in the name; digits before it that are no zeros, or behind it, make it another.
static bool names_run(const char *name, const char *digits)
{
    size_t n = strlen(digits);
    for (const char *s = strstr(name, digits); s != NULL; s = strstr(s + 1, digits)) {
        const char *before = s;
        while (before > name && before[-1] == '0') before--;
        bool alone = before == name || before[-1] < '0' || before[-1] > '9';
        if (alone && (s[n] < '0' || s[n] > '9')) return true;
    }
    return false;
}

static xani_status add_table(xn_ctx *ctx, const char *folder, const char *name, char ***tables, size_t *n)
{
    char **p = xn_realloc(*tables, *n + 2, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "the tables of a run", (*n + 2) * sizeof *p);
    *tables = p;
    p[*n] = xn_format("%s%s", folder, name);
    p[*n + 1] = NULL;
    return p[(*n)++] != NULL ? XANI_OK : xn_fail_memory(ctx, "the tables of a run", strlen(name));
}

xani_status xn_sacla_tables_beside(xn_ctx *ctx, const char *path, int64_t number, char ***tables)
{
    char folder[4096], digits[32];
    const char *slash = strrchr(path, '/');
    struct dirent **entry = NULL;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 2, slash ? path : "./");
    snprintf(digits, sizeof digits, "%lld", (long long)number);
    *tables = xn_calloc(1, sizeof **tables);
    if (*tables == NULL) return xn_fail_memory(ctx, "the tables of a run", sizeof **tables);
    int n = scandir(folder, &entry, NULL, alphasort);
    size_t found = 0;
    xani_status st = XANI_OK;
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name, *dot = strrchr(name, '.');
        if (st == XANI_OK && dot != NULL && strcasecmp(dot, ".csv") == 0 && names_run(name, digits))
            st = add_table(ctx, folder, name, tables, &found);
        free(entry[i]);
    }
    free(entry);
    return st;
}
