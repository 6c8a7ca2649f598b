// SPDX-License-Identifier: BSD-3-Clause
// selection.h -- which lists of select.* are in force, and which readings only laser-on shots have.
//
// The source reads the readings that cuts need, reduce applies the cuts: both ask here, so that they cannot differ.
#ifndef XN_DATA_SELECTION_H
#define XN_DATA_SELECTION_H

#include "core/config.h"

#define XN_SELECTIONS 16 // select itself and the sets in use

// Prefixes of the keys in force: "select", then "select.sets[k]" of each name of select.use, in its order.
typedef struct xn_selection {
    int n;
    char prefix[XN_SELECTIONS][32];
    const char *set[XN_SELECTIONS]; // name of the set, NULL of select itself; borrowed from the configuration
} xn_selection;

xani_status xn_selection_load(xn_ctx *ctx, const xn_config *config, xn_selection *selection);

// Readings of input.delay.time_tool.trace.
#define XN_TT_EDGE "tt/edge"           // position, in pixels of the trace
#define XN_TT_AMPLITUDE "tt/amplitude" // relative step at the edge
#define XN_TT_ERROR "tt/error"         // standard deviation of the position

// True for readings of the time tool: without laser it sees nothing, so that a cut on them must leave laser-off shots
// alone. Those are: input.delay.time_tool.source, the sources of select.time_tool, what is
// made of them (2 * NAME), and all names below tt/.
bool xn_selection_on_only(const xn_config *config, const char *source);

#endif
