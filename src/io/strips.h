// SPDX-License-Identifier: BSD-3-Clause
// strips.h -- frames read from their first row on, some rows at a time.
//
// Whoever goes through several frames by turns, strip after strip, finds what was decoded in the nearest caches, which
// whole frames would leave.  That works where a frame lies in its file as one run of bytes, or as chunks of whole rows
// that are stored as they are or bitshuffled, whose blocks of a few KiB are decoded one by one; and where the page
// cache has it, since disks like to be read in one go.  All other frames, and those with something wrong, are read by
// frames.h, which has the last word: nothing here says what was wrong.
#ifndef XN_IO_STRIPS_H
#define XN_IO_STRIPS_H

#include "io/frames.h"

typedef struct xn_strips xn_strips; // of one thread

// For n frames by turns, numbers 0 ... n - 1. NULL: out of memory. The frames must stay open.
xn_strips *xn_strips_open(const xn_frames *frames, int n);
void xn_strips_close(xn_strips **strips);
// Frame `frame` as number i, from its first row on; false: it cannot be read so.
bool xn_strips_begin(xn_strips *strips, int i, int64_t frame);
// Its next bytes, as xn_frames_read has them. False: the whole frame is to be read by that.
bool xn_strips_next(xn_strips *strips, int i, void *dst, size_t bytes);

#endif
