// SPDX-License-Identifier: BSD-3-Clause
// laser.c -- which shots had the pump laser.  Several rules are in use (formats.md 1.5, 14):
//
//   daq_rec      bit 16 of the detector's daq_rec marks laser-on, bit 17 a dark shot
//   evtset20     column 20 (event code 20) of SAR-CVME-TIFALL5:EvtSet is set: laser-on
//   evtset25     column 25 is 0: laser-on
//   {codes, drop}  any of these columns set: laser-on; any of those set: the shot had no X-rays
//   CHANNEL      not 0: laser-on
//
// They depend on the beamtime; the configuration says which.
#include <stdio.h>
#include <string.h>

#include "source/swissfel/swissfel.h"

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

xani_status xn_sf_laser(xn_ctx *ctx, const xn_config *config, char *const *files, xn_laser_rule *rule)
{
    memset(rule, 0, sizeof *rule);
    if (xn_config_bool(config, "input.frames_only")) return XANI_OK;
    XN_TRY(xn_config_require(ctx, config, "input.laser", XN_SF_LASER_WORDS));
    const char *name = xn_config_string(config, "input.laser");
    rule->by_frame = name != NULL && strcmp(name, "daq_rec") == 0;
    if (rule->by_frame) return XANI_OK;
    bool on20 = name != NULL && strcmp(name, "evtset20") == 0, off25 = name != NULL && strcmp(name, "evtset25") == 0;
    char events[XN_KEY_LENGTH], pattern[XN_KEY_LENGTH + 8];
    if (name == NULL || on20 || off25) XN_TRY(find_events(ctx, config, files, events));
    if (on20 || off25) {
        rule->inverted = off25;
        snprintf(pattern, sizeof pattern, "%s[%d]", events, on20 ? 20 : 25);
        return xn_laser_rule_add(ctx, rule, false, pattern);
    }
    snprintf(pattern, sizeof pattern, "%s[#]", name == NULL ? events : "");
    return xn_laser_rule_load(ctx, config, pattern, rule);
}
