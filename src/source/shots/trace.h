// SPDX-License-Identifier: BSD-3-Clause
// trace.h -- a reading that is a whole row of numbers per shot, streamed: the time tool's raw trace.
//
// Private to src/source.  A layout that can read a channel can read its traces: it opens the same files, reads the same
// ids, and hands the dataset to xn_trace_feed.  Nothing is kept: traces of a run may be gigabytes.
#ifndef XN_SOURCE_SHOTS_TRACE_H
#define XN_SOURCE_SHOTS_TRACE_H

#include "io/h5.h"

// n shots with `width` numbers each; id 0: none.
typedef xani_status (*xn_trace_take)(xn_ctx *ctx, void *user, int64_t n, int64_t width, const uint64_t *id,
                                     const double *trace);

typedef struct xn_trace_sink {
    const char *name; // channel or dataset path, as configured
    xn_trace_take take;
    void *user;
    int n_files; // counted by xn_trace_feed: files that hold it
} xn_trace_sink;

// Feeds all traces of sink->name, in any order. XANI_ERR_INPUT, with the nearest existing name, when no file holds it.
typedef xani_status (*xn_trace_reader)(xn_ctx *ctx, void *user, xn_trace_sink *sink);

// The rows of a dataset (n, ...), flattened; present: (n) 0 where there is none, or NULL.
xani_status xn_trace_feed(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t n, const uint64_t *id,
                          const uint8_t *present, xn_trace_sink *sink);

#endif
