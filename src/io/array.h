// SPDX-License-Identifier: BSD-3-Clause
// array.h -- the reading engine: any dataset of numbers, any part of it, decoded on all cores.
//
// Opening describes the dataset once through the library (virtual ones are taken apart into parts of stored ones); then
// a read goes  selection -> views (what of each part) -> tasks (runs of bytes, in the order of the file) -> readers ->
// decoders -> destination, in the threads that read.  No lock of the library is taken but for what only it can decode.
#ifndef XN_IO_ARRAY_H
#define XN_IO_ARRAY_H

#include "io/device/device.h"
#include "io/store.h"

typedef struct xn_array xn_array;

typedef struct xn_array_options {
    const char *reader;      // NULL or "auto", a name of the readers' table, or "library": H5Dread for everything
    int threads;             // 0: all
    int depth;               // reads under way per thread; 0: the reader's default
    bool fill;               // missing sources and blocks never written read as the fill value; else they are errors
    bool known;              // with fill: not where the writer said that there is no fill value, as the library has it
    xn_device_target device; // io NULL: dst of reads is memory of the host; else of that device
} xn_array_options;

typedef struct xn_array_info {
    xn_type type;
    int rank;
    int64_t dims[XANI_MAX_RANK];
    int64_t tile[XANI_MAX_RANK]; // the least box that does not read anything twice
    int64_t chunked_rows;        // rows of a chunk that is decoded whole; 1 where rows are read one by one
    int64_t stored_bytes;
    int n_stores;
    bool direct;         // false: some of it needs the library
    const char *filters; // of the first source
    const char *layout;
} xn_array_info;

// paths: files that follow one another along the slowest axis, all of the same other axes and type.
xani_status xn_array_open(xn_ctx *ctx, const char *const *paths, int n_paths, const char *dataset,
                          const xn_array_options *options, xn_array **array);
void xn_array_close(xn_array **array);
const xn_array_info *xn_array_get_info(const xn_array *array);

// What to read: along axis k the elements start[k] ... start[k] + count[k] - 1; along axis 0, where there is a list,
// list[start[0]] ... instead, in any order, repetitions allowed.
typedef struct xn_selection {
    const int64_t *list;
    int64_t start[XANI_MAX_RANK], count[XANI_MAX_RANK];
} xn_selection;

// Memory that reads of the array go to: of the host or of its device. NULL: the error is told.
void *xn_array_memory(xn_ctx *ctx, const xn_array *array, size_t bytes);
void xn_array_memory_free(const xn_array *array, void *memory);
// What reads into a device have done so far.
xn_device_report xn_array_device_report(xn_array *array);

void xn_selection_all(const xn_array *array, xn_selection *selection);
// Into dst, C order, as `type` (a value that does not fit is an error that says where it stands). On options.threads
// threads; threads 1 works in the calling thread and may be called from many at once.
xani_status xn_array_read(xn_ctx *ctx, xn_array *array, const xn_selection *selection, xn_type type, void *dst,
                          int threads);
// Where row `row` of axis 0 lies in a mapped file; NULL where it is filtered, in pieces, or in the other byte order.
const void *xn_array_view(xn_array *array, int64_t row);
// Asks the system to read these rows ahead.
void xn_array_prefetch(xn_array *array, const int64_t *list, int64_t n);
// The first row of share `part` of `parts` nearly equal ones, moved to where blocks or sources end.
int64_t xn_array_share(const xn_array *array, int64_t part, int64_t parts);
// Looks at the files again: a dataset that grew gets its new extent, one that changed otherwise is an error.  Not while
// another thread reads; views given before end here.
xani_status xn_array_refresh(xn_ctx *ctx, xn_array *array);

#endif
