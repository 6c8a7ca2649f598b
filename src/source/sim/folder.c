// SPDX-License-Identifier: BSD-3-Clause
// folder.c -- the folder of a simulated experiment: all of its files take their names together, or none does.
//
// They are written into a folder of their own below it.  When all are there, each is looked at: what an earlier
// simulation wrote (its manifest says so, or the first line of a text) may go, anything else ends the command.  Then
// the earlier files go and the new ones take their names, the configurations last; so whatever ends that leaves no
// files of two simulations side by side under one configuration.
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/sim/parts.h"

// ---- what stands there

static bool begins_with(const char *path, const char *head)
{
    char start[128] = "";
    FILE *f = fopen(path, "rbe");
    if (f == NULL) return false;
    const size_t n = strlen(head), got = fread(start, 1, sizeof start, f);
    (void)fclose(f);
    return got >= n && memcmp(start, head, n) == 0;
}

// The texts have no manifests, because they may be edited.
static bool may_go(const char *path)
{
    const xn_stands found = xn_what_stands(path, XN_SIM_KIND);
    if (found == XN_STANDS_UNKNOWN)
        return begins_with(path, XN_SIM_CONFIG_HEAD) || begins_with(path, XN_SIM_GEOMETRY_HEAD);
    return found == XN_STANDS_NOTHING || found == XN_STANDS_SAME;
}

static xani_status check_file(xn_ctx *ctx, const char *path)
{
    return may_go(path) ? XANI_OK : xn_stands_in_the_way(ctx, path, XN_SIM_KIND);
}

typedef xani_status (*path_fn)(xn_ctx *ctx, const xn_config *config, const xn_sim_layout *layout, const char *path);

static xani_status each_config(xn_ctx *ctx, const xn_config *config, const char *dir, path_fn act)
{
    for (int i = 0; xn_sim_layouts[i] != NULL; i++) {
        char *path = xn_sim_config_path(config, xn_sim_layouts[i], dir);
        xani_status st =
            path != NULL ? act(ctx, config, xn_sim_layouts[i], path) : xn_fail_memory(ctx, "a path", strlen(dir));
        xn_free(path);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

// Known before the work; the names of data files are known when they are written.
static xani_status check_config(xn_ctx *ctx, const xn_config *config, const xn_sim_layout *layout, const char *path)
{
    xn_sim_settings s;
    if (xn_same_file(path, xn_config_name(config)))
        return xn_fail(ctx, XANI_ERR_USAGE, "%s: is the configuration given; give another folder to write to", path);
    XN_TRY(xn_sim_settings_load(ctx, config, &s));
    return xn_sim_writes(&s, layout->name) ? check_file(ctx, path) : XANI_OK;
}

static xani_status remove_old(xn_ctx *ctx, const char *path)
{
    if (!may_go(path) || unlink(path) == 0 || errno == ENOENT) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be replaced: %s", path, strerror(errno));
}

static xani_status remove_config(xn_ctx *ctx, const xn_config *config, const xn_sim_layout *layout, const char *path)
{
    (void)config;
    (void)layout;
    return remove_old(ctx, path);
}

// ---- the files that were written

static bool is_manifest(const char *name)
{
    static const char end[] = ".manifest.json";
    const size_t n = strlen(name), k = sizeof end - 1;
    return n > k && strcmp(name + n - k, end) == 0;
}

// What is done with each file of the folder it was written to; target: what it will be called.
typedef xani_status (*file_fn)(xn_ctx *ctx, const FTSENT *e, const char *target);

static xani_status check_one(xn_ctx *ctx, const FTSENT *e, const char *target)
{
    struct stat s;
    if (e->fts_info == FTS_D)
        return stat(target, &s) != 0 || S_ISDIR(s.st_mode) ? XANI_OK : xn_stands_in_the_way(ctx, target, XN_SIM_KIND);
    return is_manifest(e->fts_name) ? XANI_OK : check_file(ctx, target);
}

// With its manifest, which goes first: without its file it would say nothing.
static xani_status remove_one(xn_ctx *ctx, const FTSENT *e, const char *target)
{
    if (e->fts_info == FTS_D || is_manifest(e->fts_name)) return XANI_OK;
    char *manifest = may_go(target) ? xn_manifest_path(target) : NULL;
    xani_status st = remove_old(ctx, target);
    if (manifest != NULL) unlink(manifest);
    xn_free(manifest);
    return st;
}

static xani_status move(xn_ctx *ctx, const FTSENT *e, const char *target)
{
    const bool moved =
        e->fts_info == FTS_D ? mkdir(target, 0777) == 0 || errno == EEXIST : xn_io_rename(e->fts_accpath, target) == 0;
    return moved ? XANI_OK : xn_output_fail(ctx, target, errno);
}

static bool is_config(const FTSENT *e)
{
    return e->fts_level == 1 && e->fts_info == FTS_F && begins_with(e->fts_accpath, XN_SIM_CONFIG_HEAD);
}

static xani_status move_data(xn_ctx *ctx, const FTSENT *e, const char *target)
{
    return is_config(e) ? XANI_OK : move(ctx, e, target);
}

static xani_status move_config(xn_ctx *ctx, const FTSENT *e, const char *target)
{
    return is_config(e) ? move(ctx, e, target) : XANI_OK;
}

// Files before their manifests.
static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

static xani_status each_file(xn_ctx *ctx, const char *place, const char *dir, file_fn act)
{
    char *const roots[] = {(char *)(uintptr_t)place, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (walk == NULL) return xn_fail_memory(ctx, "the list of files", strlen(place));
    xani_status st = XANI_OK;
    for (FTSENT *e; st == XANI_OK && (e = fts_read(walk)) != NULL;) {
        if (e->fts_level == 0 || (e->fts_info != FTS_F && e->fts_info != FTS_D)) continue;
        char *target = xn_format("%s%s", dir, e->fts_path + strlen(place));
        st = target != NULL ? act(ctx, e, target) : xn_fail_memory(ctx, "a path", e->fts_pathlen);
        xn_free(target);
    }
    fts_close(walk);
    return st;
}

static xani_status take_names(xn_ctx *ctx, const xn_config *config, const char *place, const char *dir)
{
    XN_TRY(xn_check_interrupt(ctx));
    XN_TRY(each_file(ctx, place, dir, check_one));
    XN_TRY(each_config(ctx, config, dir, remove_config));
    XN_TRY(each_file(ctx, place, dir, remove_one));
    XN_TRY(each_file(ctx, place, dir, move_data));
    XN_TRY(each_file(ctx, place, dir, move_config));
    return xn_io_sync_folder(place) == 0 ? XANI_OK : xn_output_fail(ctx, dir, errno);
}

// ---- from outside

xani_status xn_sim_begin(xn_ctx *ctx, const xn_config *config, const char *dir, char **place, bool *made)
{
    *place = NULL;
    XN_TRY(each_config(ctx, config, dir, check_config));
    *made = access(dir, F_OK) != 0;
    XN_TRY(xn_make_dirs(ctx, dir));
    char *name = xn_format("%s/sim", dir);
    *place = name != NULL ? xn_io_temporary(name) : NULL;
    xani_status st = *place != NULL ? XANI_OK : xn_fail_memory(ctx, "a path", strlen(dir));
    if (name != NULL) xn_io_sweep(name);
    if (st == XANI_OK && mkdir(*place, 0777) != 0) {
        st = xn_output_fail(ctx, dir, errno);
        xn_free(*place);
        *place = NULL;
    }
    xn_free(name);
    return st;
}

xani_status xn_sim_end(xn_ctx *ctx, const xn_config *config, const char *dir, char **place, bool made, xani_status st)
{
    if (st == XANI_OK) st = take_names(ctx, config, *place, dir);
    xn_io_remove_tree(*place);
    xn_free(*place);
    *place = NULL;
    if (st != XANI_OK && made) (void)rmdir(dir); // as it was; one that somebody wrote to meanwhile stays
    return st;
}
