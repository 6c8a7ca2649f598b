// SPDX-License-Identifier: BSD-3-Clause
// refresh.c -- a result that a run keeps, though settings changed that it does not depend on, takes these settings
// over.
//
// It would else go on saying the title of before, and `xani map` and `xani fit`, which go by the configuration that
// their input holds, would take settings that the run has left behind.  The result itself, its date and its command
// stay.
#include <stdlib.h>
#include <string.h>

#include "result/nexus.h"

static xani_status same_parts(xn_ctx *ctx, const xn_config *a, const xn_config *b, const char *const *parts, bool *same)
{
    for (*same = true; *same && *parts != NULL; parts++) XN_TRY(xn_config_same_part(ctx, a, b, *parts, same));
    return XANI_OK;
}

static bool same_folder(const xn_config *config, const char *base)
{
    char *dir = realpath(xn_config_dir(config), NULL);
    const bool same = base != NULL && strcmp(dir != NULL ? dir : xn_config_dir(config), base) == 0;
    free(dir);
    return same;
}

// "experiment: what" as xn_nexus_experiment writes it.
static const char *what_of(const char *title, const xn_config *old)
{
    const char *experiment = xn_config_string(old, "experiment.title");
    const size_t n = experiment != NULL ? strlen(experiment) : 0;
    return n > 0 && strncmp(title, experiment, n) == 0 && strncmp(title + n, ": ", 2) == 0 ? title + n + 2 : title;
}

static xani_status rewrite(xn_ctx *ctx, const char *path, const xn_config *config, const xn_config *old)
{
    static const char *const gone[] = {"/entry/title", "/entry/notes", "/entry/instrument/name",
                                       XN_PROCESS "/configuration", XN_PROCESS "/base_dir"};
    xn_h5 *file = NULL;
    xn_writer *w = NULL;
    char *title = NULL;
    XN_TRY(xn_h5_open(ctx, path, &file));
    xani_status st = xn_h5_read_string(ctx, file, "/entry/title", &title);
    xn_h5_close(&file);
    if (st == XANI_OK) st = xn_writer_amend(ctx, path, &w);
    if (st == XANI_OK) {
        for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) xn_writer_remove(w, gone[i]);
        st = xn_nexus_experiment(ctx, w, config, what_of(title, old));
        if (st == XANI_OK) st = xn_nexus_config(ctx, w, config);
        if (st == XANI_OK)
            st = xn_writer_publish(&w);
        else
            xn_writer_abort(&w);
    }
    xn_free(title);
    return st;
}

xani_status xn_result_refresh(xn_ctx *ctx, const char *path, const xn_config *config, const char *const *parts)
{
    char *yaml = NULL, *base = NULL;
    xn_config *old = NULL;
    bool same = false;
    XN_TRY(xn_result_read_config(ctx, path, &yaml, &base));
    xani_status st = xn_config_parse(ctx, yaml != NULL ? yaml : "", path, base != NULL ? base : ".", &old);
    if (st == XANI_OK) st = same_parts(ctx, old, config, parts, &same);
    if (st == XANI_OK && !(same && same_folder(config, base))) st = rewrite(ctx, path, config, old);
    xani_config_destroy(&old);
    xn_free(yaml);
    xn_free(base);
    return st;
}
