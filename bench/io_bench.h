// SPDX-License-Identifier: BSD-3-Clause
// io_bench.h -- shared by the files of the I/O benchmark: its data, its readers, its peers.
//
// A case is a file of frames; a pass opens it, reads all frames into a ring of XN_IO_RING frames, and closes
// it.  Every reader adds up the first pixel of each frame, so that one that reads something else is found out.
#ifndef XN_BENCH_IO_BENCH_H
#define XN_BENCH_IO_BENCH_H

#include <stdio.h>

#include "bench/bench.h"
#include "core/core.h"
#include "io/frames.h"

enum { XN_IO_FRAMES = 512, XN_IO_UNIQUE = 16, XN_IO_H = 1024, XN_IO_W = 512, XN_IO_RING = 64, XN_IO_PARTS = 4 };

typedef struct xn_io_case {
    const char *name;
    char path[600], dataset[128];
    int64_t n, h, w;
    size_t frame_bytes;
    xn_type type;
    double first;         // sum of first pixels, NaN: unknown
    bool cold;            // dropped from the page cache before each pass
    int64_t stored_bytes; // 0: all of the files
    int n_parts;          // files that hold the data, where that is not `path`
    char (*parts)[600];   // owned
} xn_io_case;

typedef struct xn_io_pass {
    double wall_s, cpu_s; // NaN: not measured
} xn_io_pass;

typedef struct xn_io_way {
    const char *reader; // NULL: chosen
    int threads, depth; // depth 0: the reader's default
} xn_io_way;

typedef struct xn_io_room {
    uint8_t *ring;   // XN_IO_RING frames in huge pages, touched
    uint8_t *source; // for floor:memcpy, touched
    uint8_t *raw;    // of ring, as allocated
    size_t ring_bytes, source_bytes;
    int threads;
} xn_io_room;

// io_data.c: the file `file` ("contiguous", ...) for the named case in `folder`; false with text when it cannot be
// made.
bool xn_io_make(const char *folder, const char *name, const char *file, xn_io_case *c, char why[160]);
void xn_io_remove_all(const char *folder);
void xn_io_case_free(xn_io_case *c);
void xn_io_drop(const xn_io_case *c); // from the page cache
void xn_io_warm(const xn_io_case *c);

// io_peers.c: one pass each. The sum of first pixels is compared; a wrong one is no measurement.
xn_io_pass xn_io_ours(xani_context *ctx, const xn_io_case *c, xn_io_room *m, const xn_io_way *way);
xn_io_pass xn_io_ours_in_place(xani_context *ctx, const xn_io_case *c, int threads);
xn_io_pass xn_io_h5dread(const xn_io_case *c, xn_io_room *m, int64_t frames, bool add_up); // frames of a call
xn_io_pass xn_io_floor_memcpy(const xn_io_case *c, xn_io_room *m, int threads);
xn_io_pass xn_io_floor_pread(const xn_io_case *c, xn_io_room *m, int threads);
xn_io_pass xn_io_library_index(const xn_io_case *c);

// io_repack.c: the case's file rewritten as `out`.
xn_io_pass xn_io_repack_ours(xani_context *ctx, const xn_io_case *c, const char *out, int threads);
xn_io_pass xn_io_repack_library(const xn_io_case *c, const char *out, const char **why);

// bench_io.c, io_storage.c
bool xn_io_room_make(xn_io_room *room, int threads, size_t frame_bytes, size_t source_bytes);
void xn_io_room_free(xn_io_room *room);
xani_status xn_io_compare(const xn_bench *bench, const xn_io_case *c, xn_io_room *room); // warm, with all peers
xani_status xn_io_storage(const xn_bench *bench); // bench->path: a file or folder of the user's

// io_python.c: peers in a child process (bench/io_peers.py).
typedef struct xn_io_python xn_io_python;
xn_io_python *xn_io_python_start(const char *peer, const xn_io_case *c);
xn_io_pass xn_io_python_pass(xn_io_python *p, const xn_io_case *c);
const char *xn_io_python_why(const xn_io_python *p); // NULL: fine
void xn_io_python_stop(xn_io_python **p);

#endif
