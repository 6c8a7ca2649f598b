// SPDX-License-Identifier: BSD-3-Clause
// inputs.c -- every file that a result depends on: what its identity hashes (identity.c), what its provenance lists
// (result/provenance.c) and what it may not overwrite are one list.
//
// Of a cube: the files of its run, of a binned pair the half that was not named too, and every file that a key of
// type path below `input` names (pedestals, gains, masks, readings, ...), found in the table of keys, so that a new key
// cannot be forgotten here.  Of a dispersion: the modes, the geometry, the force constants.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity.h"
#include "io/h5.h"
#include "io/write/publish.h"
#include "source/source.h"

typedef struct list {
    char **name; // NULL at the end
    size_t n;
} list;

// Takes path (NULL: no memory). A file that is there already is not added twice.
static xani_status add(xn_ctx *ctx, list *l, char *path)
{
    if (path == NULL) return xn_fail_memory(ctx, "a file name", 1);
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->name[i], path) != 0) continue;
        xn_free(path);
        return XANI_OK;
    }
    char **longer = xn_realloc(l->name, l->n + 2, sizeof *longer);
    if (longer == NULL) {
        xn_free(path);
        return xn_fail_memory(ctx, "the list of inputs", (l->n + 2) * sizeof *longer);
    }
    l->name = longer;
    l->name[l->n++] = path;
    l->name[l->n] = NULL;
    return XANI_OK;
}

static xani_status add_copy(xn_ctx *ctx, list *l, const char *path) { return add(ctx, l, xn_strdup(path)); }

static xani_status add_key(xn_ctx *ctx, const xn_config *config, const char *key, list *l)
{
    return xn_config_has(config, key) ? add(ctx, l, xn_config_path(config, key)) : XANI_OK;
}

// All keys of type path below `top` that are given; in lists, of every element.
static xani_status add_keys_below(xn_ctx *ctx, const xn_config *config, const char *top, list *l)
{
    const xn_setting *row;
    const size_t n = strlen(top);
    char key[XN_KEY_LENGTH], head[XN_KEY_LENGTH];
    for (int i = 0; (row = xn_config_setting(i)) != NULL; i++) {
        if (row->type != XN_SET_PATH || strncmp(row->key, top, n) != 0 || row->key[n] != '.') continue;
        const char *each = strstr(row->key, "[]");
        if (each == NULL) {
            XN_TRY(add_key(ctx, config, row->key, l));
            continue;
        }
        const int length = (int)(each - row->key),
                  count = xn_config_count(config, xn_key(head, "%.*s", length, row->key));
        for (int k = 0; k < count; k++) XN_TRY(add_key(ctx, config, xn_key(key, "%s[%d]%s", head, k, each + 2), l));
    }
    return XANI_OK;
}

// SwissFEL's scan.json, read from beside the data where input.scan does not name another (source/swissfel/scan.c).
static xani_status add_scan_beside(xn_ctx *ctx, const xn_config *config, const char *file, list *l)
{
    const char *slash = strrchr(file, '/');
    if (strcmp(xn_config_string(config, "input.layout"), "swissfel") != 0 || slash == NULL ||
        xn_config_has(config, "input.scan"))
        return XANI_OK;
    char *path = xn_format("%.*s/../meta/scan.json", (int)(slash - file), file);
    if (path == NULL || access(path, F_OK) == 0) return add(ctx, l, path);
    xn_free(path);
    return XANI_OK;
}

xani_status xn_inputs_find(xn_ctx *ctx, const xn_config *config, int run, char ***inputs)
{
    list l = {0};
    char **files = NULL;
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && files[i] != NULL; i++) {
        char *other = NULL;
        st = add_copy(ctx, &l, files[i]);
        if (st == XANI_OK) st = xn_source_partner(ctx, config, files[i], &other);
        if (st == XANI_OK && other != NULL) st = add(ctx, &l, other);
    }
    if (st == XANI_OK) st = add_keys_below(ctx, config, "input", &l);
    if (st == XANI_OK && files[0] != NULL && xn_config_has(config, "input.layout"))
        st = add_scan_beside(ctx, config, files[0], &l);
    xn_h5_names_free(files);
    if (st != XANI_OK) xn_h5_names_free(l.name);
    *inputs = st == XANI_OK ? l.name : NULL;
    return st;
}

xani_status xn_inputs_map(xn_ctx *ctx, const xn_config *config, const char *const *modes, char ***inputs)
{
    list l = {xn_calloc(1, sizeof(char *)), 0};
    xani_status st = l.name != NULL ? XANI_OK : xn_fail_memory(ctx, "the list of inputs", sizeof(char *));
    for (; st == XANI_OK && *modes != NULL; modes++) st = add_copy(ctx, &l, *modes);
    if (st == XANI_OK) st = add_key(ctx, config, "geometry.file", &l);
    if (st == XANI_OK) st = add_keys_below(ctx, config, "map", &l);
    if (st == XANI_OK && xn_config_has(config, "map.force_constants.file")) { // a file, or the name of a shipped table
        char *path = xn_config_path(config, "map.force_constants.file");
        if (path == NULL || access(path, F_OK) == 0)
            st = add(ctx, &l, path);
        else
            xn_free(path);
    }
    if (st != XANI_OK) xn_h5_names_free(l.name);
    *inputs = st == XANI_OK ? l.name : NULL;
    return st;
}

// Hours of work are not to end with a folder that is not there.
static xani_status check_folder(xn_ctx *ctx, const char *output)
{
    const char *slash = strrchr(output, '/');
    char *folder = slash == NULL ? xn_strdup(".") : xn_format("%.*s", (int)(slash - output) + 1, output);
    if (folder == NULL) return xn_fail_memory(ctx, "a path", strlen(output));
    int error = access(folder, W_OK | X_OK) == 0 ? 0 : errno;
    xn_free(folder);
    if (error == 0) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s", output,
                   error == ENOENT ? "its folder does not exist" : strerror(error));
}

xani_status xn_inputs_spare(xn_ctx *ctx, const char *output, const char *const *inputs)
{
    struct stat s;
    if (stat(output, &s) == 0 && S_ISDIR(s.st_mode))
        return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be written: it is a folder", output);
    for (; *inputs != NULL; inputs++)
        if (xn_same_file(output, *inputs))
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: is an input; give another name to write to", output);
    return check_folder(ctx, output);
}
