// SPDX-License-Identifier: BSD-3-Clause
// watch.c -- what a reduction leaves beside its cube while it runs: the saved sums and, where asked for, snapshots.
//
//   .cube.h5.sums, .cube.h5.bins   engine.save_seconds: what a later call goes on from; removed with the cube's
//                                  publication (reduce/keep.c)
//   cube.partial.h5                output.snapshot_seconds: the cube of the shots so far, a complete result with its
//                                  manifest, replaced each time; removed when the cube itself is there
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "identity.h"
#include "io/write/publish.h"
#include "pipeline.h"
#include "reduce/reduce.h"

typedef struct snapshots {
    const xn_config *config;
    const xn_stage_place *place;
    char *path;
    double every_s, last;
} snapshots;

// "dir/cube.h5" to "dir/cube.partial.h5".
static char *partial_path(const char *path)
{
    size_t n = strlen(path);
    bool h5 = n > 3 && strcmp(path + n - 3, ".h5") == 0;
    return xn_format("%.*s.partial.h5", (int)(h5 ? n - 3 : n), path);
}

static bool is_due(void *user)
{
    const snapshots *s = user;
    return xn_seconds() - s->last >= s->every_s;
}

// Failing to write one does not end the reduction: it is said, and the next one may succeed.
static xani_status publish(xn_ctx *ctx, void *user, xn_cube *cube)
{
    snapshots *s = user;
    const xn_provenance p = {.config = s->config, .inputs = s->place->inputs, .partial = true};
    bool enough = cube->off.shots[0] > 0;
    xani_status st = enough ? xn_output_replaces(ctx, s->path, XN_RESULT_CUBE) : XANI_OK;
    if (enough && st == XANI_OK) st = xn_result_write_cube(ctx, s->path, cube, &p);
    if (st != XANI_OK) {
        xn_warn(ctx, "no snapshot: %s", xani_error_text(ctx));
        xn_clear_error(ctx);
    }
    xn_cube_free(cube);
    s->last = xn_seconds();
    return XANI_OK;
}

xani_status xn_stage_reduce(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_stage_place *place,
                            xn_cube *cube)
{
    if (place == NULL) return xn_reduce(ctx, config, source, cube);
    snapshots s = {config, place, NULL, xn_config_double(config, "output.snapshot_seconds"), xn_seconds()};
    xn_reduce_watch watch = {.save_s = xn_config_double(config, "engine.save_seconds"), .user = &s};
    if (watch.save_s > 0) {
        watch.place = place->path;
        watch.identity = place->identity;
    }
    if (s.every_s > 0) {
        watch.wanted = is_due;
        watch.take = publish;
        if ((s.path = partial_path(place->path)) == NULL) return xn_fail_memory(ctx, "a path", strlen(place->path));
    }
    xani_status st = xn_reduce_watched(ctx, config, source, &watch, cube);
    xn_free(s.path);
    return st;
}

void xn_stage_forget(const char *path)
{
    xn_reduce_forget(path);
    char *partial = partial_path(path), *manifest = partial ? xn_format("%s.manifest.json", partial) : NULL;
    if (manifest != NULL && xn_what_stands(partial, XN_RESULT_CUBE) == XN_STANDS_SAME) {
        (void)unlink(manifest);
        (void)unlink(partial);
    }
    xn_free(partial);
    xn_free(manifest);
}
