// SPDX-License-Identifier: BSD-3-Clause
// verify.c -- checks published results below folders against the manifests written with them.
#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "core/text.h"
#include "io/write/publish.h"
#include "pipeline.h"

static const char suffix[] = ".manifest.json";

static bool is_manifest(const char *name)
{
    size_t n = strlen(name), k = sizeof suffix - 1;
    return n > k && strcmp(name + n - k, suffix) == 0;
}

typedef struct tally {
    json_t *files;
    int64_t good, bad;
} tally;

static xani_status check_one(xn_ctx *ctx, const char *path, tally *t)
{
    XN_TRY(xn_check_interrupt(ctx));
    xani_status st = xn_publish_verify(ctx, path);
    if (st == XANI_ERR_MEMORY || st == XANI_INTERRUPTED) return st;
    const char *text = st == XANI_OK ? "as written" : xani_error_text(ctx);
    json_array_append_new(t->files, json_pack("{s:o, s:b, s:o}", "file", xn_json_text(path), "good", st == XANI_OK,
                                              "text", xn_json_text(text)));
    xn_clear_error(ctx);
    if (st == XANI_OK)
        t->good++;
    else
        t->bad++;
    return XANI_OK;
}

static xani_status check_tree(xn_ctx *ctx, const char *path, tally *t)
{
    char *const roots[] = {(char *)(uintptr_t)path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (walk == NULL) return xn_fail_memory(ctx, "the list of files", strlen(path));
    xani_status st = XANI_OK;
    for (FTSENT *e; st == XANI_OK && (e = fts_read(walk)) != NULL;) {
        if (e->fts_info != FTS_F || !is_manifest(e->fts_name)) continue;
        char *file = xn_format("%.*s", (int)(e->fts_pathlen - (sizeof suffix - 1)), e->fts_path);
        st = file ? check_one(ctx, file, t) : xn_fail_memory(ctx, "a path", e->fts_pathlen);
        xn_free(file);
    }
    fts_close(walk);
    return st;
}

xani_status xn_verify(xn_ctx *ctx, const char *const *paths, size_t n, json_t **answer)
{
    tally t = {json_array(), 0, 0};
    xani_status st = XANI_OK;
    for (size_t i = 0; i < n && st == XANI_OK; i++) {
        struct stat s;
        if (stat(paths[i], &s) != 0)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no such file or folder", paths[i]);
        else
            st = S_ISDIR(s.st_mode) ? check_tree(ctx, paths[i], &t) : check_one(ctx, paths[i], &t);
    }
    if (n == 0) st = xn_fail(ctx, XANI_ERR_USAGE, "verify: no files or folders are given");
    if (st == XANI_OK && t.good + t.bad == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no published results (FILE%s) there", paths[0], suffix);
    if (st != XANI_OK) {
        json_decref(t.files);
        return st;
    }
    int64_t all = t.good + t.bad;
    if (t.bad > 0)
        st = xn_fail(ctx, XANI_ERR_VERIFY, "%lld of %lld results differ from their manifests", (long long)t.bad,
                     (long long)all);
    *answer = json_pack("{s:I, s:I, s:o}", "good", (json_int_t)t.good, "bad", (json_int_t)t.bad, "files", t.files);
    return st;
}
