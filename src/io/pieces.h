// SPDX-License-Identifier: BSD-3-Clause
// pieces.h -- very many small datasets of one shape and type, as of detectors that keep one per shot and panel.
//
// Opened as arrays, each would cost a kilobyte and twenty system calls, and with isolation (worker/worker.h) a look of
// its own.  Here the datasets of a group are looked at together, described in one pass, about 40 us each, and only
// where their bytes lie is kept.  Then every thread reads without a lock.  What is not plainly contiguous, compact or
// in chunks of whole rows is left to array.h, one array for each.
#ifndef XN_IO_PIECES_H
#define XN_IO_PIECES_H

#include "io/array.h"

typedef struct xn_pieces xn_pieces;

typedef struct xn_pieces_info {
    xn_type type;
    int rank; // -1: there are none yet
    int64_t dims[XANI_MAX_RANK];
    size_t bytes;         // of a piece, decoded
    int64_t n;            // pieces
    int64_t stored_bytes; // of all
    const char *filters;  // of the first
    int64_t others;       // pieces that need an array of their own
} xn_pieces_info;

xani_status xn_pieces_open(xn_ctx *ctx, const xn_array_options *how, xn_pieces **pieces);
void xn_pieces_close(xn_pieces **pieces);
const xn_pieces_info *xn_pieces_get_info(const xn_pieces *pieces);
// Adds the datasets GROUP/name/MEMBER of n names: index[i] is the number of the i-th, -1 where it is not there. All
// pieces must agree in shape and type.
xani_status xn_pieces_add(xn_ctx *ctx, xn_pieces *pieces, const xn_h5 *file, const char *group,
                          const char *const *names, int64_t n, const char *member, int64_t *index);
// The piece in its stored type and native byte order into dst. Thread-safe once all are added.
xani_status xn_pieces_read(xn_ctx *ctx, xn_pieces *pieces, int64_t index, void *dst);

#endif
