// SPDX-License-Identifier: BSD-3-Clause
// laser.c -- which readings tell laser-on from laser-off shots, for all layouts: see join.h.
#include <string.h>

#include "source/shots/join.h"

#define CODES_MOST 256

xani_status xn_laser_rule_add(xn_ctx *ctx, xn_laser_rule *rule, bool drop, const char *reading)
{
    int n = rule->n_on + rule->n_drop;
    char *copy = xn_strdup(reading), **p = copy ? xn_realloc(rule->reading, (size_t)n + 1, sizeof *p) : NULL;
    if (p == NULL) {
        xn_free(copy);
        return xn_fail_memory(ctx, "input.laser", strlen(reading));
    }
    rule->reading = p;
    p[n] = copy;
    *(drop ? &rule->n_drop : &rule->n_on) += 1;
    return XANI_OK;
}

static xani_status add_codes(xn_ctx *ctx, const xn_config *config, const char *key, const char *pattern, bool drop,
                             xn_laser_rule *rule)
{
    double code[CODES_MOST] = {0};
    int n = xn_config_doubles(config, key, code, CODES_MOST);
    if (n > CODES_MOST || (n < 1 && !drop))
        return xn_config_bad(ctx, config, key, "needs 1 to %d codes, has %d", CODES_MOST, n);
    int before = (int)strcspn(pattern, "#");
    for (int i = 0; i < n; i++) {
        char *text = xn_format("%.*s%lld%s", before, pattern, (long long)code[i],
                               pattern[before] != '\0' ? pattern + before + 1 : "");
        if (text == NULL) return xn_fail_memory(ctx, key, strlen(pattern));
        xani_status st = xn_laser_rule_add(ctx, rule, drop, text);
        xn_free(text);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

xani_status xn_laser_rule_load(xn_ctx *ctx, const xn_config *config, const char *pattern, xn_laser_rule *rule)
{
    if (xn_config_bool(config, "input.frames_only")) return XANI_OK;
    XN_TRY(xn_config_require(ctx, config, "input.laser", "how laser-on shots are told"));
    const char *word = xn_config_string(config, "input.laser");
    if (word != NULL) return xn_laser_rule_add(ctx, rule, false, word);
    XN_TRY(xn_config_require(ctx, config, "input.laser.codes", "event codes of which any marks a laser-on shot"));
    XN_TRY(add_codes(ctx, config, "input.laser.codes", pattern, false, rule));
    return add_codes(ctx, config, "input.laser.drop", pattern, true, rule);
}

void xn_laser_rule_free(xn_laser_rule *rule)
{
    for (int i = 0; i < rule->n_on + rule->n_drop; i++) xn_free(rule->reading[i]);
    xn_free(rule->reading);
    memset(rule, 0, sizeof *rule);
}
