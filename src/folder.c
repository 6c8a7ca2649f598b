// SPDX-License-Identifier: BSD-3-Clause
// folder.c -- the folder of a run's results: one writer at a time, what of it belongs to the last run, links.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/write/publish.h"
#include "pipeline.h"

// One writer per folder. Where the file system knows no locks the folder is not guarded.
xani_status xn_folder_lock(xn_ctx *ctx, const char *dir, int *fd)
{
    char *path = xn_format("%s/.xani.lock", dir);
    if (path == NULL) return xn_fail_memory(ctx, "a path", strlen(dir));
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    int error = *fd < 0 ? errno : 0;
    xn_free(path);
    if (*fd < 0) return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: cannot be written: %s", dir, strerror(error));
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return xn_fail(ctx, XANI_ERR_OUTPUT, "%s: another xani run is writing there", dir);
    return XANI_OK;
}

// A link of before, to a run that had another name, is replaced; a file is not. 0, or -1 with errno.
static int make_link(const char *target, const char *link)
{
    struct stat s;
    if (symlink(target, link) == 0) return 0;
    if (errno != EEXIST || lstat(link, &s) != 0 || !S_ISLNK(s.st_mode)) return -1;
    return unlink(link) == 0 ? symlink(target, link) : -1;
}

// The results of the only run of a list also have the names that those of a run without a name have: links to them.
// Where the file system knows no links, or a file has the name, they stay in the run's folder only.
xani_status xn_folder_link(xn_ctx *ctx, const char *dir, const char *run)
{
    static const char *const names[] = {"cube.h5", "cube.h5.manifest.json", "modes.h5", "modes.h5.manifest.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *link = xn_format("%s/%s", dir, names[i]), *target = xn_format("%s/%s", run, names[i]);
        char *file = xn_format("%s/%s/%s", dir, run, names[i]);
        bool made = link != NULL && target != NULL && file != NULL;
        if (made && access(file, F_OK) == 0 && make_link(target, link) != 0)
            xn_warn(ctx, "%s: cannot be linked to %s: %s", link, file, strerror(errno));
        xn_free(link);
        xn_free(target);
        xn_free(file);
        if (!made) return xn_fail_memory(ctx, "a path", strlen(dir));
    }
    return XANI_OK;
}

// results.json: what of the folder belongs to this run.  A run that was renamed or taken out leaves its results there,
// and so does a map; nothing of a user's is removed, but no report is to add them up with the others.
xani_status xn_folder_contents(xn_ctx *ctx, const char *dir, json_t *runs, bool mapped)
{
    char *path = xn_format("%s/results.json", dir);
    json_t *o = json_pack("{s:i, s:o, s:b}", "format", 1, "runs", runs, "dispersion", mapped);
    char *text = o != NULL ? json_dumps(o, JSON_INDENT(1)) : NULL;
    xani_status st = path != NULL && text != NULL ? xn_publish_text(ctx, path, text, strlen(text), NULL)
                                                  : xn_fail_memory(ctx, "results.json", 64);
    free(text);
    json_decref(o);
    xn_free(path);
    return st;
}
