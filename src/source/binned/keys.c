// SPDX-License-Identifier: BSD-3-Clause
// keys.c -- keys of a configuration that say nothing about sums of shots: see binned.h.
//
// Selection, photons and calibration were done by whoever made the cubes.  A key that is given all the same is told,
// whichever it is, so that nobody believes in a threshold that was never applied.  What has a say is listed, not what
// has none: a key that is new is told until it is listed.
#include <string.h>

#include "source/binned/binned.h"

static bool is_one(const char *key, const char *const *list)
{
    while (*list != NULL)
        if (strcmp(*list++, key) == 0) return true;
    return false;
}

static bool has_entries(const xn_config *config, const char *map)
{
    char key[XN_KEY_LENGTH];
    const char *name = NULL;
    for (int i = 0; (name = xn_config_map_key(config, map, i)) != NULL; i++)
        if (xn_config_has(config, xn_key(key, "%s.%s", map, name))) return true;
    return false;
}

// Given, and not as it would be anyway.
static bool is_given(const xn_config *config, const xn_setting *s)
{
    const char *word = NULL;
    switch (s->type) {
    case XN_SET_MAP:
        if (xn_config_map_key(config, s->key, 0) != NULL) return has_entries(config, s->key);
        return s->short_form && xn_config_count(config, s->key) > 0;
    case XN_SET_TEXT:
    case XN_SET_PATH:
    case XN_SET_CHOICE:
        word = xn_config_has(config, s->key) ? xn_config_string(config, s->key) : NULL;
        return word != NULL && (s->fallback == NULL || strcmp(word, s->fallback) != 0);
    case XN_SET_BOOL:
        return xn_config_has(config, s->key) && xn_config_bool(config, s->key);
    case XN_SET_NUMBER: // 0 is none
        return xn_config_has(config, s->key) && xn_config_double(config, s->key) > 0.0;
    default:
        return xn_config_count(config, s->key) > 0;
    }
}

void xn_binned_say_ignored(xn_ctx *ctx, const xn_config *config, const char *const *used)
{
    static const char *const always[] = {"input.layout",
                                         "input.files",
                                         "input.part",
                                         "input.delay",
                                         "input.mask",
                                         "input.grouped",
                                         "input.counts_per_photon",
                                         "reduce.off",
                                         "reduce.delay_bins_ps",
                                         "reduce.second_axis",
                                         "reduce.spatial_bin",
                                         NULL};
    const xn_setting *s = NULL;
    for (int i = 0; (s = xn_config_setting(i)) != NULL; i++) {
        const char *dot = strchr(s->key, '.');
        bool asked = strncmp(s->key, "input.", 6) == 0 || strncmp(s->key, "select.", 7) == 0 ||
                     strncmp(s->key, "reduce.", 7) == 0;
        if (!asked || strchr(dot + 1, '.') != NULL || strchr(s->key, '[') != NULL) continue;
        if (is_one(s->key, always) || is_one(s->key, used) || !is_given(config, s)) continue;
        xn_warn(ctx, "%s is not used: layout %s holds sums of shots that were selected and calibrated before", s->key,
                xn_config_string(config, "input.layout"));
    }
}
