// SPDX-License-Identifier: BSD-3-Clause
// reduce_data.h -- the frames of `xani bench reduce`, and the Python peers that reduce them too.
#ifndef XN_BENCH_REDUCE_DATA_H
#define XN_BENCH_REDUCE_DATA_H

#include "data/source.h"
#include "io/frames.h"

enum {
    XN_BENCH_NY = 512,
    XN_BENCH_NX = 1024,
    XN_BENCH_PIXELS = XN_BENCH_NY * XN_BENCH_NX,
    XN_BENCH_FRAMES = 128,
    XN_BENCH_SHOTS = 16384,
    XN_BENCH_PYTHON_SHOTS = 512,
    XN_BENCH_PYTHON_PEERS = 4,
    XN_BENCH_BINS = 100
};

typedef enum { XN_BENCH_JUNGFRAU, XN_BENCH_PHOTONS } xn_bench_kind;

typedef struct xn_bench_data {
    xn_bench_kind kind;
    char *folder, *file; // temporary; removed by xn_bench_data_free
    uint16_t *words;     // (frames, pixels), decoded
    float *pedestal[3], *factor[3];
    uint32_t *mask;
    xn_frames *frames;
    size_t frame_bytes;
    int fd; // of the file, for pread
    int64_t file_bytes;
} xn_bench_data;

xani_status xn_bench_data_make(xn_ctx *ctx, xn_bench_kind kind, xn_bench_data *data);
void xn_bench_data_free(xn_bench_data *data);
// A source over the data; the caller frees source->shots, the rest is borrowed.  Frames are read; are read as if two
// always lay in one chunk, so that batches of them are decoded and then added; are copied from `words`.
typedef enum { XN_BENCH_READ, XN_BENCH_BATCHES, XN_BENCH_MEMORY } xn_bench_way;
xani_status xn_bench_data_source(xn_ctx *ctx, xn_bench_data *data, xn_bench_way way, xn_source *source);

// numpy (0) and numba (1) on words in memory, both on frames that h5py reads (2, 3), in a child process; each run
// reduces XN_BENCH_PYTHON_SHOTS shots.
typedef struct xn_bench_python xn_bench_python;
xn_bench_python *xn_bench_python_start(const xn_bench_data *data, int threads, int group);
double xn_bench_python_run(xn_bench_python *p, int peer);            // seconds, NaN when it cannot
const char *xn_bench_python_why(const xn_bench_python *p, int peer); // NULL when the peer ran and agreed
void xn_bench_python_stop(xn_bench_python **p);

#endif
