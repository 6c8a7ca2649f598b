// SPDX-License-Identifier: BSD-3-Clause
// stands.c -- what stands where a file is to be written, and whether that may go.
//
// A manifest says of which kind its file is.  Only a file of the same kind is replaced; an empty file is one that a
// program made to have its name, and nothing is lost with it.  Manifests of earlier versions do not say a kind.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/write/writer.h"

static xn_stands by_manifest(const char *path, const char *kind)
{
    char *name = xn_manifest_path(path);
    json_t *manifest = name != NULL ? json_load_file(name, 0, NULL) : NULL, *said = json_object_get(manifest, "kind");
    xn_stands found = XN_STANDS_UNKNOWN;
    if (json_object_get(manifest, "xxh3") != NULL)
        found = said == NULL || (json_is_string(said) && strcmp(json_string_value(said), kind) == 0) ? XN_STANDS_SAME
                                                                                                     : XN_STANDS_OTHER;
    json_decref(manifest);
    xn_free(name);
    return found;
}

xn_stands xn_what_stands(const char *path, const char *kind)
{
    struct stat s;
    if (stat(path, &s) != 0) return XN_STANDS_NOTHING; // also a link to nowhere
    if (!S_ISREG(s.st_mode)) return XN_STANDS_OTHER;
    return s.st_size == 0 ? XN_STANDS_NOTHING : by_manifest(path, kind);
}

xani_status xn_publish_room(xn_ctx *ctx, const char *path)
{
    if (access(path, F_OK) != 0 && errno == ENAMETOOLONG) return xn_output_fail(ctx, path, ENAMETOOLONG);
    char *manifest = xn_manifest_path(path);
    if (manifest == NULL) return xn_fail_memory(ctx, "a path", strlen(path));
    const bool fits = access(manifest, F_OK) == 0 || errno != ENAMETOOLONG;
    xn_free(manifest);
    return fits ? XANI_OK
                : xn_fail(ctx, XANI_ERR_OUTPUT,
                          "%s: cannot be written: its manifest, with .manifest.json behind its name, "
                          "would have too long a name",
                          path);
}

xani_status xn_stands_in_the_way(xn_ctx *ctx, const char *path, const char *kind)
{
    return xn_fail(ctx, XANI_ERR_USAGE, "%s: is there and is no %s file of xani's; give another name to write to", path,
                   kind);
}

xani_status xn_publish_spare(xn_ctx *ctx, const char *path, const char *kind)
{
    XN_TRY(xn_publish_room(ctx, path));
    const xn_stands found = xn_what_stands(path, kind);
    if (found == XN_STANDS_NOTHING || found == XN_STANDS_SAME) return XANI_OK;
    return xn_stands_in_the_way(ctx, path, kind);
}
