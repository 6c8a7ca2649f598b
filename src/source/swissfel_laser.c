// SPDX-License-Identifier: BSD-3-Clause
// swissfel_laser.c -- which shots had the pump laser.  Several rules are in use (formats.md 1.5, 14):
//
//   daq_rec      bit 16 of the detector's daq_rec marks laser-on, bit 17 a dark shot
//   evtset20     column 20 (event code 20) of SAR-CVME-TIFALL5:EvtSet is set: laser-on
//   evtset25     column 25 is 0: laser-on
//   {codes, drop}  any of these columns set: laser-on; any of those set: the shot had no X-rays
//   CHANNEL      not 0: laser-on
//
// They depend on the beamtime; the configuration says which.
#include "source/swissfel.h"

#include <stdio.h>
#include <string.h>

// The event channel: the usual one, else the only one whose name ends in :EvtSet.
static xani_status find_events(xn_ctx *ctx, const xn_config *config, char *const *files, char name[XN_KEY_LENGTH])
{
    int found = 0;
    char group[XN_KEY_LENGTH];
    snprintf(name, XN_KEY_LENGTH, XN_SF_EVENTS);
    for (int i = 0; files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        XN_TRY(xn_h5_open(ctx, files[i], &h5));
        bool usual = xn_sf_group(h5, XN_SF_EVENTS, group);
        xani_status st = usual ? XANI_OK : xn_sf_names(ctx, h5, &names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
        if (usual) {
            snprintf(name, XN_KEY_LENGTH, XN_SF_EVENTS);
            return XANI_OK;
        }
        for (int j = 0; names[j] != NULL; j++) {
            size_t n = strlen(names[j]);
            bool events = n > 7 && strcmp(names[j] + n - 7, ":EvtSet") == 0;
            if (!events || (found > 0 && strcmp(names[j], name) == 0)) continue;
            found++;
            snprintf(name, XN_KEY_LENGTH, "%s", names[j]);
        }
        xn_h5_names_free(names);
    }
    if (found > 1)
        return xn_config_bad(ctx, config, "input.laser",
                             "several channels hold event codes, none is " XN_SF_EVENTS
                             "; name a channel that is 1 for laser-on shots");
    return XANI_OK; // none: reading it says so
}

static xani_status read_channel(xn_ctx *ctx, char *const *files, xn_channel *c)
{
    for (int i = 0; files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        XN_TRY(xn_h5_open(ctx, files[i], &h5));
        xani_status st = xn_channel_append(ctx, h5, c);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    if (c->n_files == 0) return xn_channel_missing(ctx, files, c->name);
    return xn_channel_sort(ctx, c);
}

static xani_status read_columns(xn_ctx *ctx, char *const *files, const char *name, const int64_t *column,
                                xn_laser_rule *rule)
{
    int n = rule->n_on + rule->n_drop;
    rule->channel = xn_calloc((size_t)n, sizeof *rule->channel);
    if (rule->channel == NULL) return xn_fail_memory(ctx, "input.laser", (size_t)n * sizeof *rule->channel);
    for (int i = 0; i < n; i++) {
        rule->channel[i].name = name;
        rule->channel[i].column = column[i];
        XN_TRY(xn_context(ctx, read_channel(ctx, files, &rule->channel[i]), "input.laser"));
    }
    return XANI_OK;
}

#define CODES_MOST 256 // columns of an event set

static xani_status load_codes(xn_ctx *ctx, const xn_config *config, char *const *files, xn_laser_rule *rule)
{
    double code[2 * CODES_MOST] = {0};
    int64_t column[2 * CODES_MOST] = {0};
    XN_TRY(xn_config_require(ctx, config, "input.laser.codes", "event codes of which any marks a laser-on shot"));
    rule->n_on = xn_config_doubles(config, "input.laser.codes", code, CODES_MOST);
    if (rule->n_on < 1 || rule->n_on > CODES_MOST)
        return xn_config_bad(ctx, config, "input.laser.codes", "needs 1 to %d codes, has %d", CODES_MOST, rule->n_on);
    rule->n_drop = xn_config_doubles(config, "input.laser.drop", code + rule->n_on, CODES_MOST);
    if (rule->n_drop > CODES_MOST)
        return xn_config_bad(ctx, config, "input.laser.drop", "has more than %d codes", CODES_MOST);
    for (int i = 0; i < rule->n_on + rule->n_drop; i++) column[i] = (int64_t)code[i];
    XN_TRY(find_events(ctx, config, files, rule->events));
    return read_columns(ctx, files, rule->events, column, rule);
}

xani_status xn_laser_rule_load(xn_ctx *ctx, const xn_config *config, char *const *files, xn_laser_rule *rule)
{
    memset(rule, 0, sizeof *rule);
    XN_TRY(xn_config_require(ctx, config, "input.laser",
                             "how laser-on shots are told: daq_rec, evtset20, evtset25, {codes, drop} or a channel"));
    const char *name = xn_config_string(config, "input.laser");
    if (name == NULL) return load_codes(ctx, config, files, rule);
    rule->daq_rec = strcmp(name, "daq_rec") == 0;
    if (rule->daq_rec) return XANI_OK;
    int64_t column = 0;
    const char *channel = name;
    if (strcmp(name, "evtset20") == 0 || strcmp(name, "evtset25") == 0) {
        rule->inverted = name[7] == '5';
        column = rule->inverted ? 25 : 20;
        XN_TRY(find_events(ctx, config, files, rule->events));
        channel = rule->events;
    }
    rule->n_on = 1;
    return read_columns(ctx, files, channel, &column, rule);
}

int xn_laser_of(const xn_laser_rule *rule, uint64_t id, int64_t *cursor, int *refused)
{
    int laser = XN_LASER_UNKNOWN;
    double value;
    for (int i = 0; i < rule->n_on + rule->n_drop; i++) {
        if (xn_channel_find(&rule->channel[i], id, &cursor[i], &value) != XN_HIT) {
            *refused = XN_CUT_JOIN;
            return XN_LASER_UNKNOWN;
        }
        if (value != value) return XN_LASER_UNKNOWN; // NaN
        bool set = value != 0.0;
        if (i >= rule->n_on && set && *refused == XN_CUT_NONE) *refused = XN_CUT_DARK;
        if (i < rule->n_on && laser != XN_LASER_ON) laser = set != rule->inverted ? XN_LASER_ON : XN_LASER_OFF;
    }
    return laser;
}

void xn_laser_rule_free(xn_laser_rule *rule)
{
    for (int i = 0; rule->channel != NULL && i < rule->n_on + rule->n_drop; i++) xn_channel_free(&rule->channel[i]);
    xn_free(rule->channel);
    memset(rule, 0, sizeof *rule);
}
