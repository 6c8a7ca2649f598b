// SPDX-License-Identifier: BSD-3-Clause
// wanted.h -- the readings a configuration asks for, and the channels they are made of.
//
// Private to src/source/shots.
#ifndef XN_SOURCE_SHOTS_WANTED_H
#define XN_SOURCE_SHOTS_WANTED_H

#include "source/shots/delay.h"
#include "source/shots/join.h"
#include "source/shots/term.h"
#include "source/shots/tool.h"

// The shots that a reading must be there for.
typedef enum { XN_NEED_NONE, XN_NEED_ON, XN_NEED_ALL } xn_need;

typedef struct xn_wanted_reading {
    const char *text; // as configured, borrowed
    xn_need who;
    int n;
    struct {
        double factor;
        int channel;
    } term[XN_TERMS];
    int64_t hits; // frames it was found for, counted by the join
} xn_wanted_reading;

typedef struct xn_wanted {
    int n;
    xn_wanted_reading *reading;
    int n_channels;
    xn_channel *channel;
    char **name;                      // (n_channels) owned; the channels point to them
    int64_t *cursor;                  // (n_channels)
    double *value;                    // (n_channels) of the id looked up last
    xn_hit *hit;                      // (n_channels)
    int i0, part[XN_DELAY_PARTS], tt; // indices of readings; tt -1: none
    int *laser;                       // (n_laser), as in the rule
    int *xrays;                       // (n_xrays) of input.xrays
    int n_laser, n_xrays, n_extra;
    int *extra; // readings of cuts
    bool tool;  // the channels tt/... of tool.h come from traces: they are filled after the others are read
} xn_wanted;

xani_status xn_wanted_list(xn_ctx *ctx, const xn_config *config, const xn_delay_rule *delay, const xn_laser_rule *laser,
                           xn_wanted *w);
// Reads and sorts all channels but those of the traces; input.offsets are applied.
xani_status xn_wanted_read(xn_ctx *ctx, const xn_config *config, xn_channel_reader read, void *user, xn_wanted *w);
// Looks an id up in all channels; ids ascending.
void xn_wanted_look_up(xn_wanted *w, uint64_t id);
// Value of a reading for that id: missing or in conflict when one of its channels is.
xn_hit xn_wanted_find(const xn_wanted *w, int reading, double *value);
// Reads the traces and sorts their channels. The ids of look-ups begin anew.
xani_status xn_wanted_read_tool(xn_ctx *ctx, const xn_config *config, const xn_tool_input *input, xn_wanted *w);
void xn_wanted_free(xn_wanted *w);

#endif
