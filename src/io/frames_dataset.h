// SPDX-License-Identifier: BSD-3-Clause
// frames_dataset.h -- one concrete dataset of frames, and how they are read.
//
// A dataset of rank r >= 2 is (n, h, w) with h the product of the axes between the first and the last, so a
// stack of modules (n, module, y, x) reads as one tall frame.
#ifndef XN_IO_FRAMES_DATASET_H
#define XN_IO_FRAMES_DATASET_H

#include <pthread.h>

#include "io/chunk_index.h"
#include "io/frames.h"
#include "io/pipeline.h"

enum { XN_GROUPS = 8 };

// Chunks that hold several frames are decoded once for all of them: a group is the frames of one layer of
// chunks. Slot g % XN_GROUPS keeps group g until another one needs it; threads that want frames of one group
// wait for the first to decode it.
typedef struct xn_frame_group {
    pthread_mutex_t lock;
    int64_t group; // -1: nothing
    uint8_t *frames;
} xn_frame_group;

typedef struct xn_frameset {
    enum { XN_CONTIGUOUS, XN_CHUNKED, XN_LIBRARY } kind;
    char *path, *dataset;
    int fd;                  // -1: opened for each read (many files)
    int64_t file_bytes;      // when it was opened
    _Atomic(uint8_t *) view; // the whole file mapped, or NULL
    int rank;
    int64_t dims[XANI_MAX_RANK];
    xn_type type;
    bool swap; // stored in the other byte order
    size_t elem, frame_bytes;
    int64_t offset;       // contiguous: of frame 0
    int64_t stored_bytes; // in the file
    char filters[128];
    xn_chunk_map map; // chunked
    xn_pipeline pipeline;
    xn_codec_pool codecs;
    uint32_t largest; // stored chunk
    int64_t depth;    // frames of a chunk
    bool one_to_one;  // a chunk is a frame
    xn_frame_group *groups;
    xn_h5 *file; // library
    hid_t h5_dataset;
} xn_frameset;

void xn_frameset_close(xn_frameset *s);
// Describes `dataset` of `file`; virtual ones are not taken here. `keep_open`: hold a descriptor.
xani_status xn_frameset_open(xn_ctx *ctx, xn_h5 *file, const char *name, hid_t dataset, bool keep_open, xn_frameset *s);
xani_status xn_frameset_through_library(xn_ctx *ctx, const char *path, const char *name, xn_frameset *s);
size_t xn_frameset_scratch(const xn_frameset *s);
xani_status xn_frameset_read(xn_ctx *ctx, xn_frameset *s, int64_t frame, uint8_t *dst, uint8_t *scratch);
// Where a frame is stored, in pieces of the file; for reading ahead. Calls fn for each piece.
void xn_frameset_pieces(const xn_frameset *s, int64_t frame, void (*fn)(int fd, int64_t offset, int64_t bytes));

const void *xn_frameset_view(xn_frameset *s, int64_t frame); // see xn_frames_view

#endif
