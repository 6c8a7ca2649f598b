// SPDX-License-Identifier: BSD-3-Clause
// selection.c -- the lists of select.* in force: see selection.h.
//
// A cut on the time tool among select.cuts would remove the whole laser-off class (science.md 2, the trap of the
// field's own tools): it is recognised by its reading and applied to laser-on shots only.
#include "data/selection.h"

#include <stdio.h>
#include <string.h>

static int find_set(const xn_config *config, const char *name)
{
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(config, "select.sets");
    for (int i = 0; i < n; i++) {
        const char *one = xn_config_string(config, xn_key(key, "select.sets[%d].name", i));
        if (one != NULL && strcmp(one, name) == 0) return i;
    }
    return -1;
}

static xani_status unknown_set(xn_ctx *ctx, const xn_config *config, const char *key, const char *name)
{
    char have[256] = "", at[XN_KEY_LENGTH];
    int n = xn_config_count(config, "select.sets");
    for (int i = 0; i < n; i++) {
        const char *one = xn_config_string(config, xn_key(at, "select.sets[%d].name", i));
        size_t used = strlen(have);
        snprintf(have + used, sizeof have - used, "%s%s", i > 0 ? ", " : "", one != NULL ? one : "?");
    }
    return xn_config_bad(ctx, config, key, "there is no set \"%s\" in select.sets (%s)", name,
                         n > 0 ? have : "which is empty");
}

xani_status xn_selection_load(xn_ctx *ctx, const xn_config *config, xn_selection *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->prefix[s->n++], sizeof s->prefix[0], "select");
    int n = xn_config_count(config, "select.use");
    if (n >= XN_SELECTIONS) return xn_config_bad(ctx, config, "select.use", "more than %d sets", XN_SELECTIONS - 1);
    for (int i = 0; i < n; i++) {
        char key[XN_KEY_LENGTH];
        const char *name = xn_config_string(config, xn_key(key, "select.use[%d]", i));
        int k = find_set(config, name);
        if (k < 0) return unknown_set(ctx, config, key, name);
        for (int j = 1; j < s->n; j++)
            if (strcmp(s->set[j], name) == 0) return xn_config_bad(ctx, config, key, "\"%s\" is named twice", name);
        s->set[s->n] = name;
        snprintf(s->prefix[s->n++], sizeof s->prefix[0], "select.sets[%d]", k);
    }
    return XANI_OK;
}

// Some source of the list is part of this one.
static bool in_list(const xn_config *config, const char *list, const char *source)
{
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(config, list);
    for (int i = 0; i < n; i++) {
        const char *one = xn_config_string(config, xn_key(key, "%s[%d].source", list, i));
        if (one != NULL && strstr(source, one) != NULL) return true;
    }
    return false;
}

bool xn_selection_on_only(const xn_config *config, const char *source)
{
    const char *tool = xn_config_string(config, "input.delay.time_tool.source");
    if (tool != NULL && strstr(source, tool) != NULL) return true;
    const char *name = source[0] == '/' ? source + 1 : source;
    return strncmp(name, "tt/", 3) == 0 || in_list(config, "select.time_tool", source);
}
