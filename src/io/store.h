// SPDX-License-Identifier: BSD-3-Clause
// store.h -- one stored dataset (not a virtual one): its numbers, and where each block of them lies.
//
// Every layout is a grid of blocks.  A chunked dataset has its chunks; a contiguous one is cut into runs of about a
// megabyte along its slowest axes, each one run of bytes in the file; compact and external data and everything that
// only the library can decode are cut in the same way.  So reading is one loop whatever the layout (array_read.c).
#ifndef XN_IO_STORE_H
#define XN_IO_STORE_H

#include "io/index/chunk_index.h"
#include "io/pipeline.h"
#include "reader/reader.h"

typedef enum {
    XN_STORE_CONTIGUOUS,
    XN_STORE_CHUNKED,
    XN_STORE_COMPACT,
    XN_STORE_EXTERNAL,
    XN_STORE_LIBRARY
} xn_store_kind;

typedef struct xn_segment { // of external storage
    xn_file *file;
    int64_t offset, bytes, at; // in that file; in the dataset
} xn_segment;

typedef struct xn_store {
    xn_store_kind kind;
    char *path, *dataset;
    xn_file *file;
    int rank;
    int64_t dims[XANI_MAX_RANK];
    int64_t block[XANI_MAX_RANK], grid[XANI_MAX_RANK]; // shape of a block; blocks along each axis
    int64_t n_blocks;
    xn_type type;
    bool swap; // stored in the other byte order
    size_t elem, block_bytes;
    uint8_t fill[16];    // one element, as in memory
    bool fill_given;     // by the writer: then what was not written is data
    bool fill_undefined; // by the writer
    bool holes;          // library: chunks that were never written are an error
    bool fill_missing;   // the caller wants fill values for what was never written
    int64_t offset;      // contiguous
    int64_t stored_bytes;
    char filters[128];
    const char *layout; // "contiguous", ...; "library" is said by kind
    xn_chunk_map map;   // chunked
    xn_pipeline pipeline;
    size_t largest;  // stored block, bytes
    uint8_t *memory; // compact
    xn_segment *segment;
    int n_segments;
    xn_h5 *h5; // library
    hid_t h5_dataset;
} xn_store;

typedef enum {
    XN_STORE_AS_IT_IS,
    XN_STORE_BY_LIBRARY, // H5Dread for everything
    XN_STORE_OUTLINE     // type, shape and fill value only; not to be read
} xn_store_how;
xani_status xn_store_open(xn_ctx *ctx, xn_h5 *file, const char *name, hid_t dataset, xn_store_how how,
                          bool fill_missing, xn_store **store);
void xn_store_close(xn_store **store);
// store_packed.c: chunks of n-bit, scale-offset and szip are as long as the library trusts them to be.
bool xn_store_packed(const xn_pipeline *pipeline); // has such a filter
xani_status xn_store_check_packed(xn_ctx *ctx, const xn_store *s);

// Where block `index` lies: a run of bytes; 0 bytes: never written.  Contiguous and chunked stores only.
typedef struct xn_place {
    int64_t offset;
    size_t bytes;
    uint32_t mask; // filters skipped
} xn_place;
// The bytes of a place are elements as they are, but for their byte order.
bool xn_store_is_raw(const xn_store *store);
xn_place xn_store_place(const xn_store *store, int64_t index);
// First element and extent of block `index`, cut at the edge of the dataset.
void xn_store_block(const xn_store *store, int64_t index, int64_t *lo, int64_t *n);
// Part [lo, lo + n) of the dataset, within one block, to dst in C order and native byte order, in this thread: for the
// kinds that have no place.
xani_status xn_store_fetch(xn_ctx *ctx, xn_store *store, const int64_t *lo, const int64_t *n, void *dst);
// "path: dataset: frame 12: what", frame being index 0 along the slowest axis of the first element of a block.
xani_status xn_store_fail(xn_ctx *ctx, const xn_store *store, int64_t index, const char *what);
xani_status xn_store_fail_at(xn_ctx *ctx, const xn_store *store, const int64_t *at, const char *what); // that element

// Where an external file of raw bytes lies that a dataset of `holder` names; owned, NULL without memory.
char *xn_external_path(const char *holder, const char *name);

#endif
