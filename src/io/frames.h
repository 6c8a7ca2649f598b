// SPDX-License-Identifier: BSD-3-Clause
// frames.h -- frames of one or more (n, h, w) datasets, read by pread and decoded in the calling thread.
//
// Opening makes the chunk map once through the library (io.md); after that xn_frames_read takes no lock
// and may be called from many threads at once.  Layouts the direct path does not know fall back to
// H5Dread under the library's lock: the answer is always the library's answer.  Truncated files,
// missing chunks and missing virtual sources are errors that name file and frame.
#ifndef XN_IO_FRAMES_H
#define XN_IO_FRAMES_H

#include "io/h5.h"

typedef struct xn_frames xn_frames;

typedef struct xn_frames_info {
    xn_type type;
    int64_t n, h, w;
    size_t frame_bytes;   // decoded
    size_t scratch_bytes; // the caller gives each thread this much for xn_frames_read
    bool direct;          // false: through H5Dread
    const char *filters;
    int64_t stored_bytes;
} xn_frames_info;

// paths: files that follow one another (all with the same h, w, type).
xani_status xn_frames_open(xn_ctx *ctx, const char *const *paths, int n_paths, const char *dataset, xn_frames **frames);
void xn_frames_close(xn_frames **frames);
const xn_frames_info *xn_frames_get_info(const xn_frames *frames);
// Decoded frame in its stored type, native byte order, into dst (frame_bytes). Thread-safe.
xani_status xn_frames_read(xn_ctx *ctx, xn_frames *frames, int64_t frame, void *dst, void *scratch);
// The frame where it lies in the file, mapped into memory; NULL where it is filtered, in pieces, or in the other
// byte order. Valid until the frames are closed. For local files that stay as they are: a file that is truncated
// meanwhile kills the process (SIGBUS), which xn_frames_read never does.
const void *xn_frames_view(xn_frames *frames, int64_t frame);
// Asks the system to read these frames ahead where they do not follow each other (no effect on the answer).
void xn_frames_prefetch(xn_frames *frames, const int64_t *list, int64_t n);

#endif
