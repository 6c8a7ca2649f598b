// SPDX-License-Identifier: BSD-3-Clause
// join.h -- frames and readings of a run joined by their ids into the shot table, for all layouts.
//
// Private to src/source.
#ifndef XN_SOURCE_SHOTS_JOIN_H
#define XN_SOURCE_SHOTS_JOIN_H

#include "core/config.h"
#include "data/shots.h"
#include "source/shots/channel.h"
#include "source/shots/trace.h"

// How laser-on shots are told: by frame (the layout knows), or by readings.
typedef struct xn_laser_rule {
    bool by_frame; // xn_join_input.laser
    bool inverted; // on where the reading is 0
    int n_on, n_drop;
    char *
        *reading; // (n_on + n_drop) texts, owned: any of the first n_on marks laser-on, any of the rest drops the shot
} xn_laser_rule;

xani_status xn_laser_rule_add(xn_ctx *ctx, xn_laser_rule *rule, bool drop, const char *reading); // n_on before n_drop
// input.laser as {codes, drop}, each code a reading of `pattern` with '#' for its number ("evr/code_#"); or, where it
// is a word, that reading. Words that a layout knows are its own affair.
xani_status xn_laser_rule_load(xn_ctx *ctx, const xn_config *config, const char *pattern, xn_laser_rule *rule);
void xn_laser_rule_free(xn_laser_rule *rule);

// Reads all that the files hold of channel->name and ->column (xn_channel_seen, xn_channel_add; it is sorted by the
// join). XANI_ERR_INPUT, with the nearest existing name, when no file holds it.
typedef xani_status (*xn_channel_reader)(xn_ctx *ctx, void *user, xn_channel *channel);

typedef struct xn_join_input {
    const char *detector;           // name, for messages
    const char *file;               // where its frames are (the first file)
    const char *ids;                // what the ids are: "pulse ids", "tags", "timestamps"
    uint64_t (*clock)(uint64_t id); // ids are times: that of an id, in even units; NULL: numbers in even steps
    int64_t n;                      // frames
    const uint64_t *id;             // (n), 0: the frame has none
    // (n), or NULL: XN_CUT_* that the frame itself tells (bad frame, modules, dark), XN_CUT_NONE else
    const uint8_t *refused;
    const uint8_t *laser; // (n) XN_LASER_*, where the rule is by frame
    const xn_laser_rule *rule;
    xn_channel_reader read;
    xn_trace_reader read_traces; // NULL: the layout reads none
    void *user;                  // of both
} xn_join_input;

// One row per frame with an id, in the order of the ids.
xani_status xn_join(xn_ctx *ctx, const xn_config *config, const xn_join_input *input, xn_shots *shots);
// input.delay, input.i0 and input.laser are there and well written, before any file is opened. laser: what can be
// given.
xani_status xn_join_check(xn_ctx *ctx, const xn_config *config, const char *laser);
// Distance of ids between frames: the median step of ascending ids; 1 for fewer than two.
uint64_t xn_id_step(const uint64_t *id, int64_t n);

#endif
