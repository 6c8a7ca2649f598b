// SPDX-License-Identifier: BSD-3-Clause
// identity.c -- see identity.h.
//
// The hash (XXH3, 128 bits) runs over the version, the stage's name, the configuration's parts the stage reads, and
// the path, size and modification time of its input files.  Contents of inputs are not read: they may be terabytes,
// and facilities never change a raw file in place.
#include "identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "physics/geometry.h"

struct xn_identity {
    XXH3_state_t *state;
};

xani_status xn_identity_create(xn_ctx *ctx, const char *stage, xn_identity **identity)
{
    xn_identity *id = xn_calloc(1, sizeof *id);
    *identity = id;
    if (id == NULL) return xn_fail_memory(ctx, "an identity", sizeof *id);
    id->state = XXH3_createState();
    if (id->state == NULL) {
        xn_identity_destroy(identity);
        return xn_fail_memory(ctx, "an identity", sizeof(XXH3_state_t *));
    }
    XXH3_128bits_reset(id->state);
    xn_identity_add(id, xani_version());
    xn_identity_add(id, stage);
    return XANI_OK;
}

void xn_identity_destroy(xn_identity **identity)
{
    if (*identity == NULL) return;
    XXH3_freeState((*identity)->state);
    xn_free(*identity);
    *identity = NULL;
}

// The terminating zero is hashed too, so that "ab","c" and "a","bc" differ.
void xn_identity_add(xn_identity *id, const char *text) { XXH3_128bits_update(id->state, text, strlen(text) + 1); }

static xani_status add_as(xn_ctx *ctx, xn_identity *id, const xn_config *config, const char *key, const char *name)
{
    char *yaml = NULL;
    XN_TRY(xn_config_part(ctx, config, key, &yaml));
    xn_identity_add(id, name);
    xn_identity_add(id, yaml);
    xn_free(yaml);
    return XANI_OK;
}

xani_status xn_identity_add_key(xn_ctx *ctx, xn_identity *id, const xn_config *config, const char *key)
{
    return add_as(ctx, id, config, key, key);
}

void xn_identity_add_file(xn_identity *id, const char *path)
{
    struct stat s;
    char text[96] = "missing";
    if (stat(path, &s) == 0)
        snprintf(text, sizeof text, "%jd %jd.%09ld", (intmax_t)s.st_size, (intmax_t)s.st_mtim.tv_sec,
                 s.st_mtim.tv_nsec);
    xn_identity_add(id, path);
    xn_identity_add(id, text);
}

xani_status xn_identity_text(xn_ctx *ctx, const xn_identity *id, char **text)
{
    XXH128_hash_t h = XXH3_128bits_digest(id->state);
    *text = xn_format("%016" PRIx64 "%016" PRIx64, (uint64_t)h.high64, (uint64_t)h.low64);
    return *text ? XANI_OK : xn_fail_memory(ctx, "an identity", 33);
}

// ---- of the stages

static xani_status add_keys(xn_ctx *ctx, xn_identity *id, const xn_config *config, const char *const *keys)
{
    for (; *keys != NULL; keys++) XN_TRY(xn_identity_add_key(ctx, id, config, *keys));
    return XANI_OK;
}

static void add_path(xn_identity *id, const xn_config *config, const char *key)
{
    char *path = xn_config_path(config, key);
    if (path != NULL) xn_identity_add_file(id, path);
    xn_free(path);
}

// Modules and masked pixels: all of the geometry that a cube depends on. Positions may be refined without a new cube.
static void add_frame(xn_ctx *ctx, xn_identity *id, const xn_config *config)
{
    xn_geometry g;
    bool given = xn_config_has(config, "geometry.file") || xn_config_has(config, "geometry.detector");
    if (given && xn_geometry_frame(ctx, config, &g) == XANI_OK) {
        XXH3_128bits_update(id->state, g.bad, (size_t)(g.ny * g.nx));
        XXH3_128bits_update(id->state, g.module_rows, (size_t)g.n_modules * sizeof *g.module_rows);
        xn_geometry_free(&g);
    }
    xn_clear_error(ctx); // what is wrong with it is told where it is used
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

// All keys of input that are given, sorted, but the files, which are hashed one by one: what a layout reads is its own
// affair, and a key that was left out here would keep a cube that is no longer right.
static xani_status add_input(xn_ctx *ctx, xn_identity *id, const xn_config *config)
{
    enum { MOST = 256 };
    const char *name[MOST];
    char key[XN_KEY_LENGTH];
    int n = 0;
    while (n < MOST && (name[n] = xn_config_map_key(config, "input", n)) != NULL) n++;
    qsort(name, (size_t)n, sizeof *name, by_name);
    for (int i = 0; i < n; i++)
        if (strcmp(name[i], "files") != 0)
            XN_TRY(xn_identity_add_key(ctx, id, config, xn_key(key, "input.%s", name[i])));
    return XANI_OK;
}

// The goniometer's angles are stored with the cube and the modes; its axes are not, and may be refined without a new
// cube.
static xani_status add_angles(xn_ctx *ctx, xn_identity *id, const xn_config *config)
{
    char key[XN_KEY_LENGTH];
    const int n = xn_config_count(config, "geometry.goniometer");
    for (int i = 0; i < n; i++)
        XN_TRY(xn_identity_add_key(ctx, id, config, xn_key(key, "geometry.goniometer[%d].angle_deg", i)));
    return XANI_OK;
}

xani_status xn_identity_reduce(xn_ctx *ctx, const xn_config *config, int run, char *const *inputs, char **text)
{
    static const char *const keys[] = {"select", "reduce", "experiment.energy_kev", NULL};
    char key[XN_KEY_LENGTH];
    xn_identity *id = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_identity_create(ctx, "reduce", &id));
    XN_GOTO(out, st, add_input(ctx, id, config));
    XN_GOTO(out, st, add_keys(ctx, id, config, keys));
    if (run >= 0) XN_GOTO(out, st, add_as(ctx, id, config, xn_key(key, "runs[%d]", run), "run")); // wherever it stands
    if (run < 0 || !xn_config_has(config, xn_key(key, "runs[%d].angle_deg", run)))
        XN_GOTO(out, st, add_angles(ctx, id, config));
    for (char *const *f = inputs; *f != NULL; f++) xn_identity_add_file(id, *f);
    add_frame(ctx, id, config);
    st = xn_identity_text(ctx, id, text);
out:
    xn_identity_destroy(&id);
    return st;
}

xani_status xn_identity_fit(xn_ctx *ctx, const xn_config *config, const char *cube_id, char **text)
{
    static const char *const keys[] = {"fit", "engine.kernels", NULL};
    xn_identity *id = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_identity_create(ctx, "fit", &id));
    xn_identity_add(id, cube_id);
    XN_GOTO(out, st, add_keys(ctx, id, config, keys));
    add_path(id, config, "fit.start_modes");
    st = xn_identity_text(ctx, id, text);
out:
    xn_identity_destroy(&id);
    return st;
}

xani_status xn_identity_map(xn_ctx *ctx, const xn_config *config, const char *const *modes_ids, char *const *inputs,
                            char **text)
{
    static const char *const keys[] = {"geometry", "map", "experiment.energy_kev", NULL};
    xn_identity *id = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_identity_create(ctx, "map", &id));
    for (; *modes_ids != NULL; modes_ids++) xn_identity_add(id, *modes_ids);
    XN_GOTO(out, st, add_keys(ctx, id, config, keys));
    for (; *inputs != NULL; inputs++) xn_identity_add_file(id, *inputs);
    st = xn_identity_text(ctx, id, text);
out:
    xn_identity_destroy(&id);
    return st;
}
