// SPDX-License-Identifier: BSD-3-Clause
// blob.h -- pieces of memory in one private file, whole or not at all: for what a later process goes on from.
//
// Written under a temporary name, synced, renamed; a hash over everything at the end.  Reading gives the same pieces
// back or says no: a file that is missing, cut off, changed, or of other sizes is as good as none.  Byte order and
// sizes are this machine's: the file is not for exchange.
#ifndef XN_IO_BLOB_H
#define XN_IO_BLOB_H

#include "core/core.h"

typedef struct xn_piece {
    void *data;
    size_t bytes;
} xn_piece;

// XANI_ERR_OUTPUT names the file; a former one is untouched then.
xani_status xn_blob_write(xn_ctx *ctx, const char *path, const xn_piece *pieces, int n);
// The first piece alone, unverified: enough to see of what size the others are. False where there is none.
bool xn_blob_peek(const char *path, void *data, size_t bytes);
// False: the pieces hold anything.
bool xn_blob_read(const char *path, const xn_piece *pieces, int n);
void xn_blob_remove(const char *path); // and what a killed process left of it; none is fine

#endif
