// SPDX-License-Identifier: BSD-3-Clause
// pairs.c -- cubes in two files, laser-on and laser-off: see binned.h.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "source/binned/binned.h"

#define UNFINISHED ".inprogress"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

// Where "_on." or "_off." begins in the name of a path, -1: neither. *is_on: which of them.
static int half_at(const char *path, bool *is_on)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    *is_on = dot != NULL && dot - base >= 3 && strncmp(dot - 3, "_on", 3) == 0;
    bool is_off = dot != NULL && dot - base >= 4 && strncmp(dot - 4, "_off", 4) == 0;
    return *is_on || is_off ? (int)(dot - path) - (*is_on ? 3 : 4) : -1;
}

// "x_on.h5" <-> "x_off.h5"; owned, NULL: no memory.
static char *other_half(const char *path, int stem, bool is_on)
{
    return xn_format("%.*s%s%s", stem, path, is_on ? "_off" : "_on", path + stem + (is_on ? 3 : 4));
}

// other: owned, NULL: no memory.
static xani_status partner(xn_ctx *ctx, const char *path, const char *layout, const char *example, bool *is_on,
                           char **other)
{
    int stem = half_at(path, is_on);
    if (stem < 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: layout %s needs pairs named like %s_on.h5 and %s_off.h5", path, layout,
                       example, example);
    *other = other_half(path, stem, *is_on);
    return XANI_OK;
}

xani_status xn_pairs_other(xn_ctx *ctx, const char *path, char **other)
{
    bool is_on = false;
    int stem = half_at(path, &is_on);
    *other = NULL;
    if (stem < 0) return XANI_OK;
    if ((*other = other_half(path, stem, is_on)) == NULL) return xn_fail_memory(ctx, "a file name", strlen(path));
    if (access(*other, F_OK) != 0) xn_free(*other), *other = NULL;
    return XANI_OK;
}

xani_status xn_pairs_finished(xn_ctx *ctx, const char *path)
{
    if (ends_with(path, UNFINISHED))
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: is not finished: the program that writes it takes " UNFINISHED " off its name at the end",
                       path);
    return XANI_OK;
}

static xani_status missing_half(xn_ctx *ctx, const char *path, bool is_on, const char *other)
{
    char *unfinished = xn_format("%s" UNFINISHED, other);
    if (unfinished == NULL) return xn_fail_memory(ctx, "a file name", strlen(other));
    bool being_written = access(unfinished, F_OK) == 0;
    xani_status st = xn_fail(ctx, XANI_ERR_INPUT, "%s: its laser-%s half %s is %s", path, is_on ? "off" : "on",
                             being_written ? unfinished : other, being_written ? "not finished" : "missing");
    xn_free(unfinished);
    return st;
}

// Takes both names.
static xani_status add_pair(xn_ctx *ctx, char *on, char *off, xn_pair **pairs, int *n)
{
    for (int i = 0; i < *n; i++) { // both halves of a pair may be listed
        if (strcmp((*pairs)[i].on, on) != 0) continue;
        xn_free(on);
        xn_free(off);
        return XANI_OK;
    }
    xn_pair *p = xn_realloc(*pairs, (size_t)*n + 1, sizeof *p);
    if (p == NULL) {
        xn_free(on);
        xn_free(off);
        return xn_fail_memory(ctx, "the list of cubes", (size_t)(*n + 1) * sizeof *p);
    }
    *pairs = p;
    p[(*n)++] = (xn_pair){on, off};
    return XANI_OK;
}

static xani_status add_file(xn_ctx *ctx, const char *file, const char *layout, const char *example, xn_pair **pairs,
                            int *n)
{
    bool is_on = false;
    char *other = NULL, *own = NULL;
    XN_TRY(xn_pairs_finished(ctx, file));
    XN_TRY(partner(ctx, file, layout, example, &is_on, &other));
    own = xn_strdup(file);
    xani_status st = XANI_OK;
    if (own == NULL || other == NULL)
        st = xn_fail_memory(ctx, "a file name", strlen(file));
    else if (access(other, F_OK) != 0)
        st = missing_half(ctx, file, is_on, other);
    if (st == XANI_OK) return is_on ? add_pair(ctx, own, other, pairs, n) : add_pair(ctx, other, own, pairs, n);
    xn_free(own);
    xn_free(other);
    return st;
}

xani_status xn_pairs_find(xn_ctx *ctx, char *const *files, const char *layout, const char *example, xn_pair **pairs,
                          int *n)
{
    *pairs = NULL;
    *n = 0;
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && files[i] != NULL; i++) st = add_file(ctx, files[i], layout, example, pairs, n);
    if (st != XANI_OK) xn_pairs_free(pairs, *n);
    return st;
}

void xn_pairs_free(xn_pair **pairs, int n)
{
    for (int i = 0; *pairs != NULL && i < n; i++) {
        xn_free((*pairs)[i].on);
        xn_free((*pairs)[i].off);
    }
    xn_free(*pairs);
    *pairs = NULL;
}
