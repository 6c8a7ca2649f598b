// SPDX-License-Identifier: BSD-3-Clause
// text.c -- psana's text files of calibration constants (slac-lcls/lcls2, NDArrIO; formats.md 4.6).
//
// Lines that begin with '#' are a header, of which `# NDIM 3` and `# DIM:1 512` tell the shape; then numbers, in C
// order, separated by blanks.  Without a shape the rows are the lines.  A number that is none, or one too many or too
// few, is an error with its line.
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/detector/detector.h"

#define MOST_BYTES ((size_t)4 << 30)

typedef struct {
    xn_ctx *ctx;
    const char *path;
    int line, rank, declared;
    int64_t dims[XANI_MAX_RANK], rows;
    float *value;
    size_t n, room;
    locale_t locale;
} reading;

static xani_status slurp(xn_ctx *ctx, const char *path, char **text)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be opened", path);
    size_t n = 0, room = 0, got = 1;
    char *buffer = NULL;
    while (got > 0 && n < MOST_BYTES) {
        if (room - n < 65536) {
            char *more = xn_realloc(buffer, room = room * 2 + 131072, 1);
            if (more == NULL) break;
            buffer = more;
        }
        got = fread(buffer + n, 1, room - n - 1, f);
        n += got;
    }
    bool broken = ferror(f) != 0;
    (void)fclose(f);
    if (got == 0 && !broken && buffer != NULL) {
        buffer[n] = '\0';
        *text = buffer;
        return XANI_OK;
    }
    xn_free(buffer);
    if (broken) return xn_fail(ctx, XANI_ERR_INPUT, "%s: cannot be read", path);
    return xn_fail_memory(ctx, path, room);
}

static xani_status header(reading *r, const char *line)
{
    int axis = 0;
    long long size = 0;
    char *end = NULL;
    if (strncmp(line, "# NDIM", 6) == 0) {
        size = strtoll(line + 6, &end, 10);
        if (end == line + 6 || size < 1 || size > XANI_MAX_RANK)
            return xn_fail(r->ctx, XANI_ERR_INPUT, "%s:%d: no number of dimensions", r->path, r->line);
        r->declared = (int)size;
    } else if (strncmp(line, "# DIM:", 6) == 0) {
        axis = (int)strtol(line + 6, &end, 10);
        const char *number = end;
        size = strtoll(number, &end, 10);
        if (axis < 1 || axis > XANI_MAX_RANK || end == number || size < 1 || size > (1 << 30))
            return xn_fail(r->ctx, XANI_ERR_INPUT, "%s:%d: no dimension", r->path, r->line);
        r->dims[axis - 1] = size;
    }
    return XANI_OK;
}

static xani_status numbers(reading *r, char *line)
{
    char *at = line;
    size_t before = r->n;
    for (;;) {
        at += strspn(at, " \t\r");
        if (*at == '\0') break;
        char *end;
        double x = strtod_l(at, &end, r->locale);
        if (end == at || strchr(" \t\r", *end) == NULL)
            return xn_fail(r->ctx, XANI_ERR_INPUT, "%s:%d: \"%.20s\" is no number", r->path, r->line, at);
        if (r->n == r->room) {
            float *more = xn_realloc(r->value, r->room = r->room * 2 + 4096, sizeof *more);
            if (more == NULL) return xn_fail_memory(r->ctx, r->path, r->room * sizeof *more);
            r->value = more;
        }
        r->value[r->n++] = (float)x;
        at = end;
    }
    r->rows += r->n > before;
    return XANI_OK;
}

static xani_status shape(reading *r)
{
    int64_t size = 1;
    if (r->declared == 0) {
        r->declared = 2;
        r->dims[0] = r->rows;
        r->dims[1] = r->rows > 0 ? (int64_t)r->n / r->rows : 0;
    }
    for (int i = 0; i < r->declared; i++) size = r->dims[i] > 0 && size <= (1ll << 40) ? size * r->dims[i] : 0;
    if (size > 0 && size == (int64_t)r->n) return XANI_OK;
    return xn_fail(r->ctx, XANI_ERR_INPUT, "%s: %zu numbers, the shape needs %lld", r->path, r->n, (long long)size);
}

xani_status xn_text_array(xn_ctx *ctx, const char *path, float **value, int *rank, int64_t dims[XANI_MAX_RANK])
{
    reading r = {.ctx = ctx, .path = path, .locale = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
    char *text = NULL;
    if (r.locale == (locale_t)0) return xn_fail_memory(ctx, "a locale", 1);
    xani_status st = slurp(ctx, path, &text);
    for (char *line = text; st == XANI_OK && line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL) *end = '\0';
        r.line++;
        st = line[0] == '#' ? header(&r, line) : numbers(&r, line);
        line = end != NULL ? end + 1 : NULL;
    }
    if (st == XANI_OK) st = shape(&r);
    xn_free(text);
    freelocale(r.locale);
    if (st != XANI_OK) {
        xn_free(r.value);
        return st;
    }
    *value = r.value;
    *rank = r.declared;
    memcpy(dims, r.dims, sizeof r.dims);
    return XANI_OK;
}
