// SPDX-License-Identifier: BSD-3-Clause
// inputs.c -- every file that a result depends on: what its identity hashes (identity.c), what its provenance lists
// (result/provenance.c) and what it may not overwrite are one list.
//
// Of a cube: the files of its run, of a binned pair the half that was not named too, every file that a key of
// type path below `input` names (pedestals, gains, masks, readings, ...), found in the table of keys, so that a new key
// cannot be forgotten here, and the files that their links and virtual datasets lead to: a master holds no frames.
// Of a dispersion: the modes, the geometry, the force constants and what a program wrote beside these.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity.h"
#include "io/h5.h"
#include "io/write/publish.h"
#include "physics/forces/forces.h"
#include "result/result.h"
#include "source/source.h"

static xani_status add_copy(xn_ctx *ctx, xn_h5_list *l, const char *path)
{
    return xn_h5_list_add(ctx, l, xn_strdup(path));
}

static xani_status add_key(xn_ctx *ctx, const xn_config *config, const char *key, void *user)
{
    xn_h5_list *l = user;
    return xn_config_has(config, key) ? xn_h5_list_add(ctx, l, xn_config_path(config, key)) : XANI_OK;
}

typedef xani_status (*key_fn)(xn_ctx *ctx, const xn_config *config, const char *key, void *user);

// Does it for the key, or in lists for that of every element.
static xani_status each_key(xn_ctx *ctx, const xn_config *config, const char *pattern, key_fn act, void *user)
{
    char key[XN_KEY_LENGTH], head[XN_KEY_LENGTH];
    const char *each = strstr(pattern, "[]");
    if (each == NULL) return act(ctx, config, pattern, user);
    const int count = xn_config_count(config, xn_key(head, "%.*s", (int)(each - pattern), pattern));
    for (int k = 0; k < count; k++)
        XN_TRY(each_key(ctx, config, xn_key(key, "%s[%d]%s", head, k, each + 2), act, user));
    return XANI_OK;
}

// All keys of type path below `top` that are given.
static xani_status add_keys_below(xn_ctx *ctx, const xn_config *config, const char *top, xn_h5_list *l)
{
    const xn_setting *row;
    const size_t n = strlen(top);
    for (int i = 0; (row = xn_config_setting(i)) != NULL; i++)
        if (row->type == XN_SET_PATH && strncmp(row->key, top, n) == 0 && row->key[n] == '.')
            XN_TRY(each_key(ctx, config, row->key, add_key, l));
    return XANI_OK;
}

// SwissFEL's scan.json, read from beside the data where input.scan does not name another (source/swissfel/scan.c).
static xani_status add_scan_beside(xn_ctx *ctx, const xn_config *config, const char *file, xn_h5_list *l)
{
    const char *slash = strrchr(file, '/');
    if (strcmp(xn_config_string(config, "input.layout"), "swissfel") != 0 || slash == NULL ||
        xn_config_has(config, "input.scan"))
        return XANI_OK;
    char *path = xn_format("%.*s/../meta/scan.json", (int)(slash - file), file);
    if (path == NULL || access(path, F_OK) == 0) return xn_h5_list_add(ctx, l, path);
    xn_free(path);
    return XANI_OK;
}

static xani_status add_behind(xn_ctx *ctx, xn_h5_list *l)
{
    xani_status st = XANI_OK;
    for (size_t i = 0, named = l->n; i < named && st == XANI_OK; i++) {
        char **behind;
        XN_TRY(xn_h5_behind(ctx, l->name[i], true, &behind));
        for (int k = 0; st == XANI_OK && behind[k] != NULL; k++) st = add_copy(ctx, l, behind[k]);
        xn_h5_names_free(behind);
    }
    return st;
}

xani_status xn_inputs_find(xn_ctx *ctx, const xn_config *config, int run, char ***inputs)
{
    xn_h5_list l = {0};
    char **files = NULL;
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && files[i] != NULL; i++) {
        char *other = NULL;
        st = add_copy(ctx, &l, files[i]);
        if (st == XANI_OK) st = xn_source_partner(ctx, config, files[i], &other);
        if (st == XANI_OK && other != NULL) st = xn_h5_list_add(ctx, &l, other);
    }
    if (st == XANI_OK) st = add_keys_below(ctx, config, "input", &l);
    if (st == XANI_OK && files[0] != NULL && xn_config_has(config, "input.layout"))
        st = add_scan_beside(ctx, config, files[0], &l);
    if (st == XANI_OK) st = add_behind(ctx, &l);
    xn_h5_names_free(files);
    if (st != XANI_OK) xn_h5_names_free(l.name);
    *inputs = st == XANI_OK ? l.name : NULL;
    return st;
}

// Structure, displacements, charges in the same folder.
static xani_status add_beside(xn_ctx *ctx, const char *path, xn_h5_list *l)
{
    const char *slash = strrchr(path, '/'), *name;
    for (int i = 0; (name = xn_forces_beside(i)) != NULL; i++) {
        char *beside = xn_format("%.*s%s", slash != NULL ? (int)(slash - path) + 1 : 0, path, name);
        if (beside == NULL || access(beside, F_OK) == 0)
            XN_TRY(xn_h5_list_add(ctx, l, beside));
        else
            xn_free(beside);
    }
    return XANI_OK;
}

// A file, or the name of a shipped table.
static xani_status add_constants(xn_ctx *ctx, const xn_config *config, xn_h5_list *l)
{
    if (!xn_config_has(config, "map.force_constants.file")) return XANI_OK;
    char *path = xn_config_path(config, "map.force_constants.file");
    if (path != NULL && access(path, F_OK) != 0) {
        xn_free(path);
        return XANI_OK;
    }
    XN_TRY(xn_h5_list_add(ctx, l, path));
    return add_beside(ctx, l->name[l->n - 1], l);
}

xani_status xn_inputs_map(xn_ctx *ctx, const xn_config *config, const char *const *modes, char ***inputs)
{
    xn_h5_list l = {xn_calloc(1, sizeof(char *)), 0};
    xani_status st = l.name != NULL ? XANI_OK : xn_fail_memory(ctx, "the list of inputs", sizeof(char *));
    for (; st == XANI_OK && *modes != NULL; modes++) st = add_copy(ctx, &l, *modes);
    if (st == XANI_OK) st = add_key(ctx, config, "geometry.file", &l);
    if (st == XANI_OK) st = add_keys_below(ctx, config, "map", &l);
    if (st == XANI_OK) st = add_constants(ctx, config, &l);
    if (st != XANI_OK) xn_h5_names_free(l.name);
    *inputs = st == XANI_OK ? l.name : NULL;
    return st;
}

// ---- what is not written over

typedef struct probe {
    const char *output;
    bool same; // as one of the files looked at
} probe;

static bool is_one_of(const char *output, const char *const *files)
{
    for (; files != NULL && *files != NULL; files++)
        if (xn_same_file(output, *files)) return true;
    return false;
}

static xani_status probe_key(xn_ctx *ctx, const xn_config *config, const char *key, void *user)
{
    probe *p = user;
    char *path = xn_config_path(config, key);
    if (path == NULL && xn_config_has(config, key)) return xn_fail_memory(ctx, "a file name", 1);
    p->same = p->same || (path != NULL && xn_same_file(p->output, path));
    xn_free(path);
    return XANI_OK;
}

// A list of names and globs. Which of these files must be there is for their readers to say.
static xani_status probe_list(xn_ctx *ctx, const xn_config *config, const char *key, void *user)
{
    probe *p = user;
    char one[XN_KEY_LENGTH], **files;
    for (int i = 0; !p->same && i < xn_config_count(config, key); i++) {
        xani_status st = xn_source_named(ctx, config, xn_key(one, "%s[%d]", key, i), &files);
        if (st == XANI_ERR_MEMORY) return st;
        xn_clear_error(ctx);
        p->same = is_one_of(p->output, (const char *const *)files);
        xn_h5_names_free(files);
    }
    return XANI_OK;
}

// The configuration itself and what its keys name, whether this command reads it or not.  Results of before are made
// anew by this very command; a result of ours is none of the raw files, which may be very many.
static xani_status probe_configuration(xn_ctx *ctx, const xn_config *config, bool ours, probe *p)
{
    static const char *const made[] = {"output.", "plan.results"};
    const xn_setting *row;
    p->same = xn_same_file(p->output, xn_config_name(config));
    for (int i = 0; !p->same && (row = xn_config_setting(i)) != NULL; i++) {
        bool of_results = false;
        for (int k = 0; k < 2; k++) of_results = of_results || strncmp(row->key, made[k], strlen(made[k])) == 0;
        if (of_results) continue;
        if (row->type == XN_SET_PATH) XN_TRY(each_key(ctx, config, row->key, probe_key, p));
        if (row->type == XN_SET_PATHS && !ours) XN_TRY(each_key(ctx, config, row->key, probe_list, p));
    }
    return probe_key(ctx, config, "map.force_constants.file", p);
}

// True of what stands there with its manifest and its identity.
static xani_status is_ours(xn_ctx *ctx, const char *path, bool *ours)
{
    char *identity = NULL;
    xani_status st = xn_published(path) ? xn_result_read_identity(ctx, path, &identity) : XANI_OK;
    *ours = identity != NULL;
    xn_free(identity);
    if (st == XANI_ERR_MEMORY) return st;
    xn_clear_error(ctx);
    return XANI_OK;
}

static xani_status check_behind(xn_ctx *ctx, const char *output, const char *const *inputs)
{
    for (; *inputs != NULL; inputs++) {
        char **behind;
        XN_TRY(xn_h5_behind(ctx, *inputs, true, &behind));
        const bool same = is_one_of(output, (const char *const *)behind);
        xn_h5_names_free(behind);
        if (same)
            return xn_fail(ctx, XANI_ERR_USAGE, "%s: is an input, through %s; give another name to write to", output,
                           *inputs);
    }
    return XANI_OK;
}

// A result without its manifest, of a command that was killed or copied by itself, says what it is.
xani_status xn_output_replaces(xn_ctx *ctx, const char *output, const char *kind)
{
    if (xn_what_stands(output, kind) == XN_STANDS_UNKNOWN && xn_result_is(ctx, output, kind)) return XANI_OK;
    return xn_publish_spare(ctx, output, kind);
}

// Of a file that is there.
static xani_status check_inputs(xn_ctx *ctx, const char *output, const char *kind, const xn_config *config,
                                const char *const *inputs)
{
    bool ours = false;
    probe p = {output, is_one_of(output, inputs)};
    if (!p.same) XN_TRY(is_ours(ctx, output, &ours));
    if (!p.same && config != NULL) XN_TRY(probe_configuration(ctx, config, ours, &p));
    if (p.same) return xn_fail(ctx, XANI_ERR_USAGE, "%s: is an input; give another name to write to", output);
    XN_TRY(ours ? XANI_OK : check_behind(ctx, output, inputs));
    return xn_output_replaces(ctx, output, kind);
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

xani_status xn_inputs_spare(xn_ctx *ctx, const char *output, const char *kind, const xn_config *config,
                            const char *const *inputs)
{
    struct stat s;
    const bool there = stat(output, &s) == 0;
    XN_TRY(xn_publish_room(ctx, output));
    if (there && S_ISDIR(s.st_mode))
        return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be written: it is a folder", output);
    if (there) XN_TRY(check_inputs(ctx, output, kind, config, inputs));
    return check_folder(ctx, output);
}

xani_status xn_inputs_spare_cube(xn_ctx *ctx, const char *output, const char *kind, const xn_config *config,
                                 const char *cube)
{
    char *other = NULL;
    XN_TRY(xn_source_half(ctx, cube, &other));
    const char *const inputs[] = {cube, other, NULL};
    xani_status st = xn_inputs_spare(ctx, output, kind, config, inputs);
    xn_free(other);
    return st;
}
