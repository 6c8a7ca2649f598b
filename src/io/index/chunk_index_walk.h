// SPDX-License-Identifier: BSD-3-Clause
// chunk_index_walk.h -- what the files of the walk through a chunk index share.
//
// Nothing here knows the library.  Every step answers false when it does not understand what it reads, and then the
// walk is over.  It ends for any bytes: levels fall, no element is taken twice, and altogether it reads no more than
// twice the file, because structures of a file do not overlap.  No memory is taken beyond what the file holds.
#ifndef XN_IO_CHUNK_INDEX_WALK_H
#define XN_IO_CHUNK_INDEX_WALK_H

#include "io/index/chunk_index.h"

#define XN_NOWHERE UINT64_MAX // an address that is not set

typedef struct xn_walk {
    xn_chunk_map *map; // NULL: only headers are wanted
    const xn_chunk_file *f;
    int address_bytes, length_bytes; // of the file's addresses and lengths: 2, 4, 8
    uint64_t first;                  // address behind the superblock: nothing lies before
    bool live;                       // the file says that it is open for writing: only what has a checksum counts
    bool filtered;                   // chunks have a stored size and a mask
    int size_bytes;                  // of a stored size in the indexes of the 1.10 format
    int64_t left;                    // bytes it may still read
} xn_walk;

enum { XN_LAYOUT_MAX = 512 };
typedef struct xn_layout_message {
    uint8_t bytes[XN_LAYOUT_MAX];
    size_t n;
} xn_layout_message;

// The superblock. false: not one, damaged, or what the file says is not all in its place (cache images).
bool xn_walk_start(xn_walk *w, const xn_chunk_file *f);
// The layout message of the object header at `address`.
bool xn_walk_layout(xn_walk *w, uint64_t address, xn_layout_message *layout);

bool xn_walk_read(xn_walk *w, uint64_t address, void *bytes, size_t n);
// n bytes whose last four are a checksum, memory of the caller's (xn_free); NULL: cannot be read, or damaged.
uint8_t *xn_walk_take(xn_walk *w, uint64_t address, size_t n);
// Asks the system to fetch what will be read soon: nodes of a tree lie far apart, and a cold disk is slow one by one.
void xn_walk_ahead(const xn_walk *w, uint64_t address, size_t n);
uint64_t xn_walk_address(const xn_walk *w, const uint8_t *p);
bool xn_walk_damaged(xn_walk *w); // false, and no H5Dread is to be trusted with it
// Chunk `index` of the grid. false: is there already, or cannot be.
bool xn_walk_put(xn_walk *w, int64_t index, uint64_t address, uint64_t bytes, uint32_t mask);
// The element at p: an address and, where there are filters, stored size and mask.
bool xn_walk_put_element(xn_walk *w, int64_t index, const uint8_t *p);

bool xn_walk_tree1(xn_walk *w, uint64_t root);
bool xn_walk_tree2(xn_walk *w, uint64_t header);
bool xn_walk_array(xn_walk *w, const xn_layout_message *layout); // layout version 4

static inline uint64_t xn_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static inline int xn_log2(uint64_t v) { return v ? 63 - __builtin_clzll(v) : 0; }

#endif
