// SPDX-License-Identifier: BSD-3-Clause
// batches.h -- rows of an array in batches, read ahead by a thread of their own.
//
// A ring of `ahead` + 1 buffers: the thread fills them in turn, on all cores, while the caller works on the one it has.
// The first error is kept and comes out in its place in the sequence.
#ifndef XN_IO_BATCHES_H
#define XN_IO_BATCHES_H

#include "io/array.h"

typedef struct xn_batches xn_batches;

typedef struct xn_batch {
    const void *data; // until the next call; NULL: there is no further one
    int64_t first, rows;
} xn_batch;

// selection is copied, its list too. rows: of a batch, 0: about 64 MiB in whole tiles; ahead 0: 2; threads as in
// xn_array_read.
xani_status xn_batches_open(xn_ctx *ctx, xn_array *array, const xn_selection *selection, xn_type type, int64_t rows,
                            int ahead, int threads, xn_batches **batches);
xani_status xn_batches_next(xn_ctx *ctx, xn_batches *batches, xn_batch *batch);
void xn_batches_close(xn_batches **batches); // waits for the read under way

#endif
