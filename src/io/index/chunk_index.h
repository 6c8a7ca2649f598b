// SPDX-License-Identifier: BSD-3-Clause
// chunk_index.h -- where the chunks of a dataset lie in its file.
//
// The library tells one chunk at a time and searches from the start for each: 9 s for 32,768 chunks, some milliseconds
// by our own walk.  The walk knows all indexes of the format up to 1.10; what it does not understand, it leaves to the
// library (HDF5 file format specification, version 3.0).  Indexes are kept for the next time (chunk_index_cache.h).
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
    xn_chunk *table; // [n], C order of the grid; not to be changed. NULL: only the library can read this dataset
    bool walked;     // by our own walk
    bool damaged;    // the walk met what cannot be: H5Dread, which looks only for what it needs, may not notice
    struct xn_chunk_table *shared; // that holds the table, NULL: the table is the map's own
} xn_chunk_map;

// The file as the walk sees it: everything is read within [0, bytes).
typedef struct xn_chunk_file {
    int fd;
    int64_t base, bytes;   // user block; size
    const uint8_t *memory; // the file itself where it is not read from fd, else NULL
} xn_chunk_file;

// Inside enter/leave.
xani_status xn_chunk_map_make(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, const xn_chunk_file *f,
                              xn_chunk_map *map);
void xn_chunk_map_free(xn_chunk_map *map);

// Our walk from the object header at `address` fills map->table (zeros before). false: not understood, or damaged.
// Needs nothing of the library: shape, n and table of the map are the caller's.
bool xn_chunk_walk(xn_chunk_map *map, const xn_chunk_file *f, uint64_t address, bool filtered);
// The file says that it is open for writing (SWMR): its index may change at any time.
bool xn_chunk_file_live(const xn_chunk_file *f);

// The library's iterator (HDF5 1.14), which is asked where the walk gives up; tests put their own there.
typedef herr_t (*xn_chunk_iterate)(hid_t dataset, hid_t transfer,
                                   int (*on_chunk)(const hsize_t *offset, unsigned mask, haddr_t address, hsize_t bytes,
                                                   void *user),
                                   void *user);
void xn_chunk_set_iterate(xn_chunk_iterate iterate); // NULL: as it was

#endif
