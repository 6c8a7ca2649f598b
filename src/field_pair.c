// SPDX-License-Identifier: BSD-3-Clause
// field_pair.c -- output.field_cubes: the pair run%04d_on.h5 and run%04d_off.h5 beside a cube.
//
// The number is that of a run named so, else its place in the list, 1 without one.  Those of the values of
// a second axis are run%04d_1, run%04d_2, ..., in one folder or, where they are sample angles, each in its own.  A raw
// pair of cubes has the same form of name: none that is read is written over.
#include <stdlib.h>
#include <string.h>

#include "identity.h"
#include "io/write/publish.h"
#include "pipeline.h"

static int number_of(const xn_cube_name *c)
{
    char key[XN_KEY_LENGTH], *end = NULL;
    const char *name = c->index >= 0 ? xn_config_string(c->config, xn_key(key, "runs[%d].name", c->index)) : NULL;
    const bool named = name != NULL && strncmp(name, "run", 3) == 0;
    const long number = named ? strtol(name + 3, &end, 10) : -1;
    const bool whole = named && end != name + 3 && (*end == '\0' || (c->value > 0 && *end == '_')); // run0042_3
    if (whole && number >= 0 && number <= 99999999) return (int)number;
    return c->index < 0 ? 1 : c->index + 1;
}

// "DIR/run0042", of a value of the second axis "DIR/run0042_3".
static char *prefix_of(const xn_cube_name *c)
{
    const char *slash = strrchr(c->path, '/');
    const int folder = slash != NULL ? (int)(slash - c->path) + 1 : 0;
    return c->value > 0 ? xn_format("%.*srun%04d_%d", folder, c->path, number_of(c), c->value)
                        : xn_format("%.*srun%04d", folder, c->path, number_of(c));
}

static bool is_wanted(const xn_cube_name *c) { return xn_config_bool(c->config, "output.field_cubes"); }

// The paths of the pair, owned.
static xani_status name_pair(xn_ctx *ctx, const xn_cube_name *c, char *pair[2])
{
    char *prefix = prefix_of(c);
    pair[0] = prefix != NULL ? xn_format("%s_on.h5", prefix) : NULL;
    pair[1] = prefix != NULL ? xn_format("%s_off.h5", prefix) : NULL;
    xn_free(prefix);
    if (pair[0] != NULL && pair[1] != NULL) return XANI_OK;
    for (int i = 0; i < 2; i++) xn_free(pair[i]), pair[i] = NULL;
    return xn_fail_memory(ctx, "a path", strlen(c->path));
}

xani_status xn_field_pair_spare(xn_ctx *ctx, const xn_cube_name *c, const char *const *inputs)
{
    char *pair[2];
    if (!is_wanted(c)) return XANI_OK;
    XN_TRY(name_pair(ctx, c, pair));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < 2; i++) st = xn_inputs_spare(ctx, pair[i], XN_RESULT_FIELD, c->config, inputs);
    for (int i = 0; i < 2; i++) xn_free(pair[i]);
    return xn_context(ctx, st, "output.field_cubes");
}

xani_status xn_field_pair_write(xn_ctx *ctx, const xn_cube_name *c, const xn_cube *cube)
{
    if (!is_wanted(c)) return XANI_OK;
    char *prefix = prefix_of(c);
    if (prefix == NULL) return xn_fail_memory(ctx, "a path", strlen(c->path));
    xani_status st = xn_result_write_field_cubes(ctx, prefix, XN_RESULT_FIELD, cube);
    xn_free(prefix);
    return st;
}

xani_status xn_field_pair_there(xn_ctx *ctx, const xn_cube_name *c, bool *there)
{
    char *pair[2];
    *there = true;
    if (!is_wanted(c)) return XANI_OK;
    XN_TRY(name_pair(ctx, c, pair));
    *there = xn_published(pair[0]) && xn_published(pair[1]);
    for (int i = 0; i < 2; i++) xn_free(pair[i]);
    return XANI_OK;
}
