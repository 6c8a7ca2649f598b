// SPDX-License-Identifier: BSD-3-Clause
// tool.h -- the time tool's raw traces made into readings tt/edge, tt/amplitude and tt/error.
//
// Private to src/source/shots.
#ifndef XN_SOURCE_SHOTS_TOOL_H
#define XN_SOURCE_SHOTS_TOOL_H

#include "core/config.h"
#include "source/shots/channel.h"
#include "source/shots/trace.h"

enum { XN_TOOL_EDGE, XN_TOOL_AMPLITUDE, XN_TOOL_ERROR, XN_TOOL_READINGS };
extern const char *const xn_tool_reading[XN_TOOL_READINGS];

// Classes of shots that a reference can be the mean of.
enum { XN_TOOL_OTHER, XN_TOOL_OFF, XN_TOOL_DARK };

typedef struct xn_tool_input {
    int64_t n;
    const uint64_t *id;   // (n) of the frames, ascending
    const uint8_t *class; // (n) XN_TOOL_*
    const char *file;     // where a reference dataset is looked for without reference_file
    xn_trace_reader read; // NULL: the layout reads no traces
    void *user;
} xn_tool_input;

bool xn_tool_configured(const xn_config *config); // input.delay.time_tool.trace is given
// The readings of all traces into the three channels (XN_TOOL_* order; NULL: not wanted), unsorted.
xani_status xn_tool_read(xn_ctx *ctx, const xn_config *config, const xn_tool_input *input,
                         xn_channel *const channel[XN_TOOL_READINGS]);

#endif
