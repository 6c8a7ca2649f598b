// SPDX-License-Identifier: BSD-3-Clause
// device.h -- memory of graphics processors as the engine that reads into it sees them.
//
// A table of functions, as for the fit (kernel/device.h): the one of CUDA (cuda/io_cuda.cu) where it was built in, in
// tests the same source on an emulated device.  All work goes into a stream and is done in its order; the host waits
// for marks.  Functions that fail leave one line in `why`.  Nothing here knows files.
//
// Bitshuffle+LZ4 is decoded on the device: each chunk writes its own decoded bytes and nothing else, whatever is
// stored.  A chunk that is damaged, or framed in a way that the kernel does not know, is only marked `bad`: the
// processor has the last word on it.
#ifndef XN_READER_DEVICE_H
#define XN_READER_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/type.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { XN_DEVICE_RANK = 8, XN_DEVICE_BLOCK = 8192 }; // bytes of a bitshuffled block, at most

// All pointers in what follows are the device's.
typedef struct xn_device_chunk {
    const uint8_t *stored; // `bytes` of them
    uint64_t bytes;
    uint8_t *out; // its decoded bytes; aligned to the element
} xn_device_chunk;

typedef struct xn_device_unpack {
    const xn_device_chunk *chunk;         // of n_chunks
    uint32_t *where;                      // work: xn_device_unpack_words numbers
    uint32_t *bad;                        // per chunk: 0 decoded, else `out` holds anything there
    uint64_t chunk_bytes;                 // decoded, the same for all
    uint32_t n_chunks, elem, block_bytes; // elem 1, 2, 4 or 8; block_bytes as the writer cut chunks, <= XN_DEVICE_BLOCK
} xn_device_unpack;

static inline uint64_t xn_device_unpack_blocks(uint64_t chunk_bytes, uint32_t block_bytes)
{
    return (chunk_bytes + block_bytes - 1) / block_bytes;
}
static inline uint64_t xn_device_unpack_words(uint32_t n_chunks, uint64_t chunk_bytes, uint32_t block_bytes)
{
    return n_chunks * (xn_device_unpack_blocks(chunk_bytes, block_bytes) + 1);
}

// A box of numbers: from `from` (any address) on in steps of elements, to `to` (aligned) in steps of its own.
typedef struct xn_device_box {
    const uint8_t *from;
    uint8_t *to;
    int64_t from_step[XN_DEVICE_RANK], to_step[XN_DEVICE_RANK];
    uint32_t n[XN_DEVICE_RANK];
    uint32_t count; // product of n
    int32_t rank;
} xn_device_box;

typedef struct xn_device_place {
    const xn_device_box *box;
    uint32_t n_boxes, largest; // count of the largest box
    int32_t type, to_type;     // xn_type; to_type: the same, XN_F32 or XN_F64
    bool swap;                 // stored in the other byte order
} xn_device_place;

typedef struct xn_device_stream xn_device_stream;
typedef struct xn_device_mark xn_device_mark;

typedef struct xn_device_io {
    const char *name;
    int (*count)(char *why, size_t size); // devices; 0: why there are none
    // The device that holds p; -1: none does, or p .. p + bytes are not its memory as a whole.
    int (*owner)(const void *p, char *why, size_t size);
    bool (*use)(int device, char *why, size_t size); // by the calling thread, before all that follows
    int (*current)(void);                            // the device that the calling thread uses; -1: not known
    void *(*take)(size_t bytes, char *why, size_t size);
    void (*give)(void *memory);
    void *(*pin)(size_t bytes, char *why, size_t size); // memory of the host from which copies overlap with all else
    void (*unpin)(void *memory);
    xn_device_stream *(*open)(char *why, size_t size);
    void (*close)(xn_device_stream *stream); // waits
    bool (*copy_in)(xn_device_stream *stream, void *to, const void *from, size_t bytes, char *why, size_t size);
    bool (*copy_out)(xn_device_stream *stream, void *to, const void *from, size_t bytes, char *why, size_t size);
    bool (*copy_within)(xn_device_stream *stream, void *to, const void *from, size_t bytes, char *why, size_t size);
    bool (*unpack)(xn_device_stream *stream, const xn_device_unpack *job, char *why, size_t size);
    bool (*place)(xn_device_stream *stream, const xn_device_place *job, char *why, size_t size);
    xn_device_mark *(*mark_create)(char *why, size_t size);
    void (*mark_destroy)(xn_device_mark *mark);
    bool (*mark)(xn_device_stream *stream, xn_device_mark *mark, char *why, size_t size);
    bool (*wait)(xn_device_mark *mark, char *why, size_t size);
    // Seconds between two marks that were waited for
    bool (*between)(xn_device_mark *begin, xn_device_mark *end, double *seconds, char *why, size_t size);
    int64_t (*room)(void); // bytes of the device's memory that are free; 0: not known
    bool (*clear)(xn_device_stream *stream, void *to, size_t bytes, char *why, size_t size); // to zeros
} xn_device_io;

// The one this library was built with; NULL: none.
const xn_device_io *xn_device_io_built(void);

#ifdef __cplusplus
}
#endif

#endif
