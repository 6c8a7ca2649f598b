// SPDX-License-Identifier: BSD-3-Clause
// frames.h -- frames of one or more (n, h, w) datasets, read by the engine of array.h.
//
// After opening, frames are read without a lock and from many threads at once; the answer is always the library's
// answer.  Truncated files, missing chunks and missing virtual sources are errors that name file and frame.
#ifndef XN_IO_FRAMES_H
#define XN_IO_FRAMES_H

#include "io/array.h"

typedef struct xn_frames xn_frames;

typedef struct xn_frames_info {
    xn_type type;
    int64_t n, h, w;
    size_t frame_bytes; // decoded
    bool direct;        // false: some of it through H5Dread
    int64_t together;   // frames of a chunk
    const char *filters;
    int64_t stored_bytes;
} xn_frames_info;

// paths: files that follow one another (all with the same h, w, type).
// options: how to read, NULL: the defaults.
xani_status xn_frames_open(xn_ctx *ctx, const char *const *paths, int n_paths, const char *dataset,
                           const xn_array_options *options, xn_frames **frames);
// The same frames once more, read into memory of a device.
xani_status xn_frames_open_on(xn_ctx *ctx, const xn_frames *frames, const xn_device_target *target, xn_frames **out);
void xn_frames_close(xn_frames **frames);
const xn_frames_info *xn_frames_get_info(const xn_frames *frames);
const xn_array *xn_frames_array(const xn_frames *frames); // whose rows the frames are
// Decoded frame in its stored type, native byte order, into dst (frame_bytes), in this thread. Thread-safe.
xani_status xn_frames_read(xn_ctx *ctx, xn_frames *frames, int64_t frame, void *dst);
// Frames list[0] ... list[n - 1] behind each other into dst, on so many threads (0: all); chunks that hold several of
// them are decoded once.
xani_status xn_frames_read_list(xn_ctx *ctx, xn_frames *frames, const int64_t *list, int64_t n, void *dst, int threads);
// The frame where it lies in the file, mapped into memory; NULL where it is filtered, in pieces, or in the other
// byte order. Valid until the frames are closed. For local files that stay as they are: a file that is truncated
// meanwhile kills the process (SIGBUS), which xn_frames_read never does.
const void *xn_frames_view(xn_frames *frames, int64_t frame);
// Asks the system to read these frames ahead where they do not follow each other (no effect on the answer).
void xn_frames_prefetch(xn_frames *frames, const int64_t *list, int64_t n);

#endif
