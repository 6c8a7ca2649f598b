// SPDX-License-Identifier: BSD-3-Clause
// chunk_index.h -- where the chunks of a dataset lie in its file.
//
// The library tells one chunk at a time and searches from the start for each: 9 s for 32,768 chunks, 10 ms by
// our own walk.  The walk knows the version 1 B-tree of classic files and the indexes of the 1.10 format but
// the version 2 B-tree; what it does not understand, it leaves to the library (HDF5 file format
// specification, version 3.0).
#ifndef XN_IO_CHUNK_INDEX_H
#define XN_IO_CHUNK_INDEX_H

#include "io/library.h"

typedef struct xn_chunk {
    int64_t offset; // in the file
    uint32_t bytes; // stored; 0: never written
    uint32_t mask;  // filters skipped
} xn_chunk;

typedef struct xn_chunk_map {
    int rank;
    int64_t dims[XANI_MAX_RANK], most[XANI_MAX_RANK];  // most: largest extent, -1 unlimited
    int64_t chunk[XANI_MAX_RANK], grid[XANI_MAX_RANK]; // shape of a chunk; chunks along each axis
    size_t chunk_bytes;                                // decoded
    int64_t n;                                         // product of grid
    xn_chunk *table;                                   // [n], C order of the grid (owned)
    bool walked;                                       // by our own walk
} xn_chunk_map;

// The file as the walk sees it: everything is read within [0, bytes).
typedef struct xn_chunk_file {
    int fd;
    int64_t base, bytes;   // user block; size
    const uint8_t *memory; // the file itself where it is not read from fd, else NULL
} xn_chunk_file;

xani_status xn_chunk_map_make(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, const xn_chunk_file *f,
                              xn_chunk_map *map);
void xn_chunk_map_free(xn_chunk_map *map);

// Our walk from the object header at `address` fills map->table (zeros before). false: not understood.
bool xn_chunk_walk(xn_chunk_map *map, const xn_chunk_file *f, uint64_t address, bool filtered);
// Between the files of the walk. false: not understood.
bool xn_chunk_read(const xn_chunk_file *f, uint64_t address, void *bytes, size_t n);
bool xn_chunk_put(xn_chunk_map *map, int64_t index, const xn_chunk_file *f, uint64_t address, uint64_t bytes,
                  uint32_t mask);
bool xn_chunk_walk_v4(xn_chunk_map *map, const xn_chunk_file *f, const uint8_t *layout, size_t n, bool filtered);

static inline uint64_t xn_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

#endif
