// SPDX-License-Identifier: BSD-3-Clause
// laser.c -- which pulses had the pump laser (formats.md 1.4).  input.laser is
//
//   pattern, {bits, ...}      the bunch pattern table: laser pulses where they meet the X-rays (pattern.c)
//   even_trains, odd_trains   the laser is on in these trains, in all pulses
//   {pulses, trains}          in these pulses (numbers and ranges) of the even, the odd or all trains
//   {codes, drop}             in these pulses; pulses of drop are not used
//   NAME                      a reading, of the train or the pulse: on where it is not 0
//
// Pulses that the pattern calls no FEL pulse had no X-rays, and so have trains of input.pulses.no_fel.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

#define CODES_MOST 4096

static bool is_word(const xn_config *config, const char *word)
{
    const char *given = xn_config_string(config, "input.laser");
    return given != NULL && strcmp(given, word) == 0;
}

bool xn_xf_laser_needs_pattern(const xn_config *config)
{
    return is_word(config, "pattern") || xn_config_has(config, "input.laser.bits") ||
           xn_config_has(config, "input.laser.offset_positions") ||
           xn_config_has(config, "input.laser.first_position") || xn_config_has(config, "input.laser.offset_pulses");
}

// ---- lists of pulses

// "7", "0:40" (40 left out) or "0:40:4".
static bool add_range(const char *text, uint8_t *set)
{
    long long value[3] = {0, 0, 1};
    int n = 0;
    for (const char *s = text; n < 3; n++) {
        char *end;
        errno = 0;
        value[n] = strtoll(s, &end, 10);
        if (end == s || errno != 0 || (*end != '\0' && *end != ':')) return false;
        if (*end == '\0') break;
        s = end + 1;
        if (n == 2) return false;
    }
    if (n == 0) value[1] = value[0] + 1;
    if (value[0] < 0 || value[1] > XN_XF_PULSES || value[1] <= value[0] || value[2] < 1) return false;
    for (long long i = value[0]; i < value[1]; i += value[2]) set[i] = 1;
    return true;
}

static xani_status pulse_set(xn_ctx *ctx, const xn_config *config, uint8_t *set)
{
    static const char list[] = "input.laser.pulses";
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(config, list);
    if (n == 0) memset(set, 1, XN_XF_PULSES); // all
    for (int i = 0; i < n; i++) {
        const char *text = xn_config_string(config, xn_key(key, "%s[%d]", list, i));
        if (!add_range(text, set))
            return xn_config_bad(ctx, config, key, "%s is no pulse: write 7, 0:40 or 0:40:4, below %d", text,
                                 XN_XF_PULSES);
    }
    return XANI_OK;
}

static xani_status code_set(xn_ctx *ctx, const xn_config *config, const char *key, uint8_t *set)
{
    double *code = xn_alloc(CODES_MOST, sizeof *code);
    if (code == NULL) return xn_fail_memory(ctx, key, CODES_MOST * sizeof *code);
    int n = xn_config_doubles(config, key, code, CODES_MOST);
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && i < n; i++) {
        if (n > CODES_MOST || code[i] >= XN_XF_PULSES)
            st = xn_config_bad(ctx, config, key, "pulses are 0 to %d", XN_XF_PULSES - 1);
        else
            set[(int)code[i]] = 1;
    }
    xn_free(code);
    return st;
}

// ---- states of frames

typedef struct {
    uint8_t on[XN_XF_PULSES], drop[XN_XF_PULSES];
    bool even, odd; // trains with laser
} sets;

static xani_status load_sets(xn_ctx *ctx, const xn_config *config, sets *s)
{
    const char *trains = xn_config_string(config, "input.laser.trains");
    memset(s, 0, sizeof *s);
    s->even = !is_word(config, "odd_trains") && !(trains != NULL && strcmp(trains, "odd") == 0);
    s->odd = !is_word(config, "even_trains") && !(trains != NULL && strcmp(trains, "even") == 0);
    if (!xn_config_has(config, "input.laser.codes")) return pulse_set(ctx, config, s->on);
    XN_TRY(code_set(ctx, config, "input.laser.codes", s->on));
    return code_set(ctx, config, "input.laser.drop", s->drop);
}

static void by_sets(const sets *s, const xn_xf_detector *d, uint8_t *laser, uint8_t *refused)
{
    for (int64_t i = 0; i < d->n; i++) {
        bool odd = xn_xf_train(d->id[i]) & 1;
        int pulse = xn_xf_pulse(d->id[i]);
        laser[i] = (odd ? s->odd : s->even) && s->on[pulse] ? XN_LASER_ON : XN_LASER_OFF;
        if (s->drop[pulse] && refused[i] == XN_CUT_NONE) refused[i] = XN_CUT_DARK;
    }
}

static void by_pattern(const xn_xf_readings *r, uint8_t *laser)
{
    for (int64_t i = 0; i < r->detector->n; i++) {
        int64_t row, position = xn_xf_position(r->pattern, &r->numbers, r->detector->id[i], &row);
        laser[i] = position < 0                               ? XN_LASER_UNKNOWN
                   : xn_xf_is_pump(r->pattern, row, position) ? XN_LASER_ON
                                                              : XN_LASER_OFF;
    }
}

// ---- frames without X-rays

// Where every pulse were dark, pulse ids and positions do not go together.
static xani_status dark_by_pattern(xn_ctx *ctx, const xn_config *config, const xn_xf_readings *r, uint8_t *refused)
{
    int64_t n_dark = 0, n_lit = 0, some = -1;
    for (int64_t i = 0; i < r->detector->n; i++) {
        int64_t row, position = xn_xf_position(r->pattern, &r->numbers, r->detector->id[i], &row);
        bool dark = position == XN_XF_NO_FEL || (position >= 0 && xn_xf_fel_number(r->pattern, row, position) < 0);
        n_dark += dark;
        n_lit += position >= 0 && !dark;
        if (dark && some < 0 && r->pattern->fel[row + 1] > r->pattern->fel[row]) some = i;
        if (dark && refused[i] == XN_CUT_NONE) refused[i] = XN_CUT_DARK;
    }
    if (n_dark == 0 || n_lit > 0 || some < 0) return XANI_OK;
    int64_t row = 0;
    xn_xf_position(r->pattern, &r->numbers, r->detector->id[some], &row);
    return xn_config_bad(ctx, config, "input.pulses.offset",
                         "by the bunch pattern no pulse of %s had X-rays: its train %llu has pulse id %d and the first "
                         "FEL pulse at bunch position %d",
                         r->detector->name, (unsigned long long)xn_xf_train(r->detector->id[some]),
                         xn_xf_pulse(r->detector->id[some]), r->pattern->fel_at[r->pattern->fel[row]]);
}

static xani_status dark_trains(xn_ctx *ctx, const xn_config *config, const xn_xf_detector *d, uint8_t *refused)
{
    static const char key[] = "input.pulses.no_fel";
    double every[2];
    if (!xn_config_has(config, key)) return XANI_OK;
    xn_config_doubles(config, key, every, 2);
    if (every[0] < 1 || every[1] >= every[0])
        return xn_config_bad(ctx, config, key, "write [50, 7] for the trains whose id is 7 more than a multiple of 50");
    for (int64_t i = 0; i < d->n; i++)
        if (refused[i] == XN_CUT_NONE && xn_xf_train(d->id[i]) % (uint64_t)every[0] == (uint64_t)every[1])
            refused[i] = XN_CUT_DARK;
    return XANI_OK;
}

// ---- the whole

xani_status xn_xf_laser(xn_ctx *ctx, const xn_config *config, const xn_xf_readings *r, xn_laser_rule *rule,
                        uint8_t *laser, uint8_t *refused)
{
    memset(rule, 0, sizeof *rule);
    if (xn_config_bool(config, "input.frames_only")) return XANI_OK;
    XN_TRY(xn_config_require(ctx, config, "input.laser", XN_XF_LASER_WORDS));
    if (r->pattern->n > 0) XN_TRY(dark_by_pattern(ctx, config, r, refused));
    XN_TRY(dark_trains(ctx, config, r->detector, refused));
    bool pattern = xn_xf_laser_needs_pattern(config), word = xn_config_string(config, "input.laser") != NULL;
    rule->by_frame = pattern || !word || is_word(config, "even_trains") || is_word(config, "odd_trains");
    if (!rule->by_frame) return xn_laser_rule_load(ctx, config, "", rule);
    if (pattern) {
        if (r->pattern->n == 0)
            return xn_config_bad(ctx, config, "input.laser",
                                 "needs a bunch pattern table, and no file has one (input.pulses.pattern)");
        by_pattern(r, laser);
        return XANI_OK;
    }
    sets *s = xn_alloc(1, sizeof *s);
    if (s == NULL) return xn_fail_memory(ctx, "input.laser", sizeof *s);
    xani_status st = load_sets(ctx, config, s);
    if (st == XANI_OK) by_sets(s, r->detector, laser, refused);
    xn_free(s);
    return st;
}
