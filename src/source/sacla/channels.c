// SPDX-License-Identifier: BSD-3-Clause
// channels.c -- readings of SACLA shots by tag: arrays below event_info, edges of time-tool tables.
//
// All arrays of a run are in the order of event_info/tag_number_list.  Monitors that could not be read hold a word
// ("saturated", "not-converged") where the dataset is of text: that is no reading.  A name may be shortened to its last
// words where that leaves no doubt, because the halls' numbers change (eh_1, eh_4).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/sacla/sacla.h"

#define PATH 512
#define TAGS "tag_number_list"

enum { DEEPEST = 8 };

// ---- names

static xani_status add_name(xn_ctx *ctx, char *owned, char ***list, size_t *n)
{
    char **p = owned != NULL ? xn_realloc(*list, *n + 2, sizeof *p) : NULL;
    if (p == NULL) {
        xn_free(owned);
        return xn_fail_memory(ctx, "the channels", (*n + 2) * sizeof *p);
    }
    *list = p;
    p[(*n)++] = owned;
    p[*n] = NULL;
    return XANI_OK;
}

static xani_status list_below(xn_ctx *ctx, const xn_h5 *h5, const char *top, const char *below, int depth, char ***list,
                              size_t *n)
{
    char **names = NULL, *group = xn_format("%s/%s", top, below);
    xani_status st = group != NULL ? xn_h5_names(ctx, h5, group, &names) : xn_fail_memory(ctx, top, 64);
    for (size_t i = 0; st == XANI_OK && names[i] != NULL; i++) {
        xn_h5_info info = {0};
        char *path = xn_format("%s/%s", group, names[i]);
        char *name = xn_format("%s%s%s", below, below[0] ? "/" : "", names[i]);
        st = path != NULL && name != NULL ? xn_h5_info_get(ctx, h5, path, &info) : xn_fail_memory(ctx, group, 64);
        if (st == XANI_OK && info.is_group && depth > 0) st = list_below(ctx, h5, top, name, depth - 1, list, n);
        if (st == XANI_OK && !info.is_group && strcmp(name, TAGS) != 0) {
            st = add_name(ctx, name, list, n);
            name = NULL;
        }
        xn_free(name);
        xn_free(path);
    }
    xn_h5_names_free(names);
    xn_free(group);
    return st;
}

xani_status xn_sacla_channels(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, char ***names)
{
    char top[64];
    size_t n = 0;
    *names = xn_calloc(1, sizeof **names);
    if (*names == NULL) return xn_fail_memory(ctx, "the channels", sizeof **names);
    snprintf(top, sizeof top, "%s/event_info", run->group);
    if (run->group[0] == '\0' || !xn_h5_exists(h5, top)) return XANI_OK;
    xani_status st = list_below(ctx, h5, top, "", DEEPEST, names, &n);
    if (st == XANI_OK) return XANI_OK;
    xn_h5_names_free(*names);
    *names = NULL;
    return st;
}

static bool ends_so(const char *path, const char *words)
{
    size_t n = strlen(path), m = strlen(words);
    return n > m && path[n - m - 1] == '/' && strcmp(path + n - m, words) == 0;
}

// The dataset of a reading in a run; "": it has none.
static xani_status resolve(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, const char *name, char path[PATH])
{
    size_t group = strlen(run->group);
    const char *given = name[0] == '/' ? name + 1 : name;
    if (strncmp(given, run->group, group) == 0 && given[group] == '/') given += group + 1;
    if (strncmp(given, "event_info/", 11) == 0) given += 11;
    snprintf(path, PATH, "%s/event_info/%s", run->group, given);
    if (xn_h5_exists(h5, path)) return XANI_OK;
    path[0] = '\0';
    char **names = NULL;
    XN_TRY(xn_sacla_channels(ctx, h5, run, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        if (!ends_so(names[i], given)) continue;
        if (path[0] != '\0')
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: several readings end in %s, %s among them; give its path",
                         xn_h5_path(h5), run->group, given, names[i]);
        snprintf(path, PATH, "%s/event_info/%s", run->group, names[i]);
    }
    xn_h5_names_free(names);
    return st;
}

// ---- one run

// Numbers that are written as text; a word is none.
static xani_status read_words(xn_ctx *ctx, const xn_h5 *h5, const char *path, double **value, uint8_t **there,
                              int64_t *n)
{
    char **text = NULL;
    XN_TRY(xn_h5_read_strings(ctx, h5, path, &text, n));
    *value = xn_alloc((size_t)*n + 1, sizeof **value);
    *there = xn_alloc((size_t)*n + 1, 1);
    bool room = *value != NULL && *there != NULL;
    for (int64_t i = 0; room && i < *n; i++) {
        char *end;
        (*value)[i] = strtod(text[i], &end);
        while (*end == ' ') end++;
        (*there)[i] = end != text[i] && *end == '\0';
    }
    xn_h5_names_free(text);
    return room ? XANI_OK : xn_fail_memory(ctx, path, (size_t)*n * sizeof **value);
}

xani_status xn_sacla_append(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, xn_channel *c)
{
    char path[PATH] = "", tags[64];
    double *value = NULL;
    uint64_t *id = NULL;
    uint8_t *there = NULL;
    int64_t n = 0, n_tags = 0;
    xn_h5_info info;
    xani_status st;
    if (run->group[0] == '\0') return XANI_OK;
    XN_TRY(resolve(ctx, h5, run, c->name, path));
    if (path[0] == '\0') return XANI_OK;
    snprintf(tags, sizeof tags, "%s/event_info/" TAGS, run->group);
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, path, &info));
    if (info.type == XN_STR && info.rank == 1)
        XN_GOTO(out, st, read_words(ctx, h5, path, &value, &there, &n));
    else
        XN_GOTO(out, st, xn_channel_values(ctx, h5, path, c->column, &value, &n));
    XN_GOTO(out, st, xn_h5_read_u64(ctx, h5, tags, &id, &n_tags));
    if (n_tags != n)
        XN_GOTO(out, st,
                xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries for %lld tags", xn_h5_path(h5), path,
                        (long long)n, (long long)n_tags));
    XN_GOTO(out, st, xn_channel_seen(ctx, c, xn_h5_path(h5)));
    st = xn_channel_add(ctx, c, n, id, value, there);
out:
    xn_free(value);
    xn_free(there);
    xn_free(id);
    return st;
}

// ---- all files

// Column of the tables that the name means, -1: it is none of theirs.
static int table_column(const char *name)
{
    static const char *const names[] = {XN_SACLA_TOOL, XN_SACLA_TOOL "/derivative", XN_SACLA_TOOL "/fitting"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

static xani_status missing(xn_ctx *ctx, const xn_sacla *x, const char *name)
{
    char best[PATH] = "";
    for (int i = 0; i < x->n_runs && best[0] == '\0'; i++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        size_t n = 0;
        XN_TRY(xn_h5_open(ctx, x->run[i].file, &h5));
        xani_status st = xn_sacla_channels(ctx, h5, &x->run[i], &names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
        while (names[n] != NULL) n++;
        const char *nearest = xn_nearest_name(name, (const char *const *)names, n);
        if (nearest != NULL) snprintf(best, sizeof best, "%s", nearest);
        xn_h5_names_free(names);
    }
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: no run has reading %s below event_info%s%s", x->run[0].file, name,
                   best[0] ? "; the nearest name is " : "", best);
}

xani_status xn_sacla_read_channel(xn_ctx *ctx, void *user, xn_channel *c)
{
    const xn_sacla *x = user;
    int column = table_column(c->name);
    if (column >= 0) {
        for (int i = 0; i < x->n_tables; i++) XN_TRY(xn_sacla_table_append(ctx, x->table[i], column, c));
        return x->n_tables > 0
                   ? XANI_OK
                   : xn_fail(ctx, XANI_ERR_INPUT, "%s: no time-tool table (*.csv) is among the input files", c->name);
    }
    for (int i = 0; i < x->n_runs; i++) {
        xn_h5 *h5 = NULL;
        XN_TRY(xn_h5_open(ctx, x->run[i].file, &h5));
        xani_status st = xn_sacla_append(ctx, h5, &x->run[i], c);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return c->n_files > 0 ? XANI_OK : missing(ctx, x, c->name);
}

// ---- X-rays

static bool is_xray_status(const char *path)
{
    static const char *const names[] = {"xfel_pulse_selector_status", "shutter_1_open_valid_status",
                                        "accelerator_status"};
    if (strstr(path, "lh_") != NULL || strstr(path, "lh1") != NULL) return false; // the laser hutch's own shutter
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (ends_so(path, names[i])) return true;
    return false;
}

// Shots of a reading's zeros. A reading that is 0 for all tells nothing.
static xani_status dark_by(xn_ctx *ctx, const xn_sacla *x, const char *name, const xn_sacla_detector *d,
                           uint8_t *refused)
{
    xn_channel c = {.name = name};
    int64_t n = 0, zeros = 0;
    uint8_t *zero = xn_calloc((size_t)d->n, 1);
    xani_status st;
    if (zero == NULL) return xn_fail_memory(ctx, "dark shots", (size_t)d->n);
    XN_GOTO(out, st, xn_sacla_read_channel(ctx, (void *)(uintptr_t)x, &c));
    XN_GOTO(out, st, xn_channel_sort(ctx, &c));
    int64_t cursor = 0; // frames are in the order of their tags
    for (int64_t i = 0; i < d->n; i++) {
        double value;
        if (xn_channel_find(&c, d->tag[i], &cursor, &value) != XN_HIT || isnan(value)) continue;
        n++;
        zero[i] = value == 0.0;
        zeros += zero[i];
    }
    if (n > 0 && zeros == n)
        xn_warn(ctx, "%s is 0 for all %lld shots and is not used to tell dark ones", name, (long long)n);
    else
        for (int64_t i = 0; i < d->n; i++)
            if (zero[i] && refused[i] == XN_CUT_NONE) refused[i] = XN_CUT_DARK;
out:
    xn_channel_free(&c);
    xn_free(zero);
    return st;
}

static xani_status dark_by_custom(xn_ctx *ctx, const xn_sacla *x, const xn_sacla_detector *d, uint8_t *refused)
{
    for (int i = 0; i < x->n_runs; i++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        if (x->run[i].group[0] == '\0') continue;
        XN_TRY(xn_h5_open(ctx, x->run[i].file, &h5));
        xani_status st = xn_sacla_channels(ctx, h5, &x->run[i], &names);
        xn_h5_close(&h5);
        for (int k = 0; st == XANI_OK && names[k] != NULL; k++)
            if (is_xray_status(names[k])) st = dark_by(ctx, x, names[k], d, refused);
        xn_h5_names_free(names);
        return st; // the first run names them for all
    }
    return XANI_OK;
}

xani_status xn_sacla_dark(xn_ctx *ctx, const xn_config *config, const xn_sacla *x, const xn_sacla_detector *d,
                          uint8_t *refused)
{
    bool given =
        config != NULL && (xn_config_has(config, "input.xrays") || xn_config_bool(config, "input.frames_only"));
    return given ? XANI_OK : dark_by_custom(ctx, x, d, refused);
}
