// SPDX-License-Identifier: BSD-3-Clause
// names.c -- what a reading's name in a configuration means: source and key, or the path of a dataset.
//
//   SA2_XTD1_XGM/XGM/DOOCS:output/data/intensityTD      INSTRUMENT/..., rows by
//   INDEX/SA2_XTD1_XGM/XGM/DOOCS:output/data SA2_XTD1_XGM/XGM/DOOCS:output/data.intensityTD      the same: Karabo's
//   keys have dots where the files have slashes MID_LAS_COM/MOTOR/DL800/actualPosition CONTROL/.../actualPosition/value
//   RUN/MID_LAS_COM/MOTOR/DL800/actualPosition          its value when the run began
//
// A source is the longest one of the files' own lists that the name begins with: their parts are no fixed number.
#include <stdio.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

typedef struct {
    const char *root, *rest; // "CONTROL", ...; the name behind it
} wanted;

static const char *behind(const char *name, const char *root)
{
    size_t n = strlen(root);
    return strncmp(name, root, n) == 0 && name[n] == '/' ? name + n + 1 : NULL;
}

// Length of the source's own name where `rest` begins with it and a key follows; 0: not so.
static size_t begins(const char *rest, const char *source)
{
    size_t n = strlen(source);
    return strncmp(rest, source, n) == 0 && (rest[n] == '/' || rest[n] == '.') && rest[n + 1] != '\0' ? n : 0;
}

// The source's own name, "" where it is of another root.
static const char *own_name(const char *source, const char *root)
{
    const char *own = behind(source, root);
    return own != NULL ? own : "";
}

// The longest source that fits, and a file that has it; -1: none.
static int find_source(const xn_xf_run *run, const char *list_root, const char *rest, const char **source)
{
    size_t longest = 0;
    int file = -1;
    for (int i = 0; i < run->n; i++)
        for (int k = 0; k < run->file[i].n_sources; k++) {
            const char *own = own_name(run->file[i].source[k], list_root);
            size_t n = own[0] != '\0' ? begins(rest, own) : 0;
            if (n <= longest) continue;
            longest = n;
            file = i;
            *source = run->file[i].source[k];
        }
    return file;
}

// ---- the dataset of a key

// Key with dots as slashes; false: too long.
static bool put_key(const char *root, const char *source, const char *key, xn_xf_name *f)
{
    int n = snprintf(f->dataset, sizeof f->dataset, "%s/%s/", root, source), m = 0;
    if (n > 0 && (size_t)n < sizeof f->dataset) m = snprintf(f->dataset + n, sizeof f->dataset - (size_t)n, "%s", key);
    if (n <= 0 || m <= 0 || (size_t)(n + m) + 8 >= sizeof f->dataset) return false;
    for (char *c = f->dataset + n; *c; c++)
        if (*c == '.') *c = '/';
    return true;
}

static bool is_dataset(xn_ctx *ctx, const xn_h5 *h5, const char *path)
{
    xn_h5_info info;
    return xn_h5_exists(h5, path) && xn_h5_info_get(ctx, h5, path, &info) == XANI_OK && !info.is_group;
}

// The names beside a key that is not there, for the message.
static xani_status no_key(xn_ctx *ctx, const xn_h5 *h5, const xn_xf_name *f)
{
    char folder[XN_KEY_LENGTH];
    snprintf(folder, sizeof folder, "%s", f->dataset);
    char *slash = strrchr(folder, '/'), **names = NULL;
    size_t n = 0;
    const char *nearest = NULL;
    if (slash != NULL) *slash = '\0';
    if (slash != NULL && xn_h5_exists(h5, folder) && xn_h5_names(ctx, h5, folder, &names) == XANI_OK) {
        while (names[n] != NULL) n++;
        nearest = xn_nearest_name(slash + 1, (const char *const *)names, n);
    }
    xn_clear_error(ctx);
    xani_status st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: no such dataset%s%s", xn_h5_path(h5), f->dataset,
                             nearest != NULL ? "; the nearest name is " : "", nearest != NULL ? nearest : "");
    xn_h5_names_free(names);
    return st;
}

// The dataset in one file; *there false where that file lacks it.
static xani_status find_dataset(xn_ctx *ctx, const xn_h5 *h5, xn_xf_name *f, bool *there)
{
    size_t n = strlen(f->dataset);
    *there = is_dataset(ctx, h5, f->dataset);
    if (!*there) {
        snprintf(f->dataset + n, sizeof f->dataset - n, "/value");
        *there = is_dataset(ctx, h5, f->dataset);
        if (!*there) f->dataset[n] = '\0';
    }
    return XANI_OK;
}

// INDEX/SOURCE, or INDEX/SOURCE/GROUP where the list of sources leaves the group out.
static void put_index(const xn_h5 *h5, const char *source, const char *key, xn_xf_name *f)
{
    char path[XN_KEY_LENGTH + 16];
    snprintf(f->index, sizeof f->index, "%s", source);
    snprintf(path, sizeof path, "INDEX/%s/first", source);
    size_t group = strcspn(key, "/.");
    if (!xn_h5_exists(h5, path) && key[group] != '\0')
        snprintf(f->index, sizeof f->index, "%s/%.*s", source, (int)group, key);
}

static xani_status take(xn_ctx *ctx, const xn_xf_run *run, const char *root, const char *source, const char *key,
                        xn_xf_name *f)
{
    bool there = false;
    const char *own = strchr(source, '/') + 1;
    snprintf(f->source, sizeof f->source, "%s", source);
    f->control = strncmp(source, "CONTROL/", 8) == 0;
    if (!put_key(root, own, key, f)) return xn_fail(ctx, XANI_ERR_INPUT, "%s/%s: the name is too long", own, key);
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && !there && i < run->n; i++) {
        xn_h5 *h5 = NULL;
        if (!xn_xf_file_has(&run->file[i], source)) continue;
        st = xn_h5_open(ctx, run->file[i].path, &h5);
        if (st == XANI_OK) st = find_dataset(ctx, h5, f, &there);
        if (st == XANI_OK && there && strcmp(root, "RUN") != 0) put_index(h5, own, key, f);
        xn_h5_close(&h5);
    }
    for (int i = 0; st == XANI_OK && !there && i < run->n; i++) { // none: the first says what it has
        xn_h5 *h5 = NULL;
        if (!xn_xf_file_has(&run->file[i], source)) continue;
        st = xn_h5_open(ctx, run->file[i].path, &h5);
        if (st == XANI_OK) st = no_key(ctx, h5, f);
        xn_h5_close(&h5);
    }
    return st;
}

// ---- names nobody has

static xani_status nobody(xn_ctx *ctx, const xn_xf_run *run, const char *name)
{
    const char *best = NULL;
    for (int i = 0; i < run->n; i++) {
        const xn_xf_file *f = &run->file[i];
        for (int k = 0; k < f->n_sources; k++) {
            const char *own = strchr(f->source[k], '/') + 1;
            if (best == NULL || xn_edit_distance(name, own) < xn_edit_distance(name, best)) best = own;
        }
    }
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: none of the %d files (%s, ...) has such a source%s%s", name, run->n,
                   run->file[0].path, best != NULL ? "; the nearest is " : "", best != NULL ? best : "");
}

xani_status xn_xf_name_find(xn_ctx *ctx, const xn_xf_run *run, const char *name, xn_xf_name *found)
{
    static const char *const roots[] = {"INSTRUMENT", "CONTROL", "RUN"};
    memset(found, 0, sizeof *found);
    if (name[0] == '/') name++;
    for (int r = 0; r < 3; r++) {
        const char *rest = behind(name, roots[r]), *source = NULL;
        const char *list_root = r == 2 ? "CONTROL" : roots[r];
        if (rest == NULL && r == 2) continue; // the value at the beginning has to be asked for
        if (rest == NULL) rest = name;
        if (find_source(run, list_root, rest, &source) < 0) continue;
        return take(ctx, run, roots[r], source, rest + strlen(strchr(source, '/') + 1) + 1, found);
    }
    return nobody(ctx, run, name);
}
