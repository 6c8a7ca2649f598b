// SPDX-License-Identifier: BSD-3-Clause
// chunk_index_cache.h -- chunk indexes of this process, so that opening a dataset again costs no walk.
//
// An index is found again by what says that its file is the same and unchanged: device and inode, size, the times of
// the last change of contents and of the inode, and the place and extent of the dataset.  A file changed less than two
// seconds ago could change again within the same tick of its clock, and one that says it is open for writing can change
// at any time: neither is kept.  The least recently used go when there is more than the limit; who holds one keeps it.
#ifndef XN_IO_CHUNK_INDEX_CACHE_H
#define XN_IO_CHUNK_INDEX_CACHE_H

#include "io/index/chunk_index.h"

typedef struct xn_chunk_key {
    int64_t device, inode, bytes, modified_ns, changed_ns;
    int64_t base, header; // user block, object header of the dataset
    int64_t rank, dims[XANI_MAX_RANK];
} xn_chunk_key;

typedef struct xn_chunk_table xn_chunk_table; // a shared table, counted

// What the file is now. false: it cannot be told, or may change unnoticed: not to be kept.
bool xn_chunk_key_of(const xn_chunk_file *f, const xn_chunk_map *map, uint64_t header, xn_chunk_key *key);

// Fills table, shared and walked of the map. false: not there.
bool xn_chunk_cache_find(const xn_chunk_key *key, xn_chunk_map *map);
// Takes the map's own table over; it is the map's as before if memory is short.
void xn_chunk_cache_add(const xn_chunk_key *key, xn_chunk_map *map);
void xn_chunk_table_release(xn_chunk_table *table);

typedef struct xn_chunk_cache_stats {
    int64_t hits, misses, entries, bytes;
} xn_chunk_cache_stats;
xn_chunk_cache_stats xn_chunk_cache_get_stats(void);
void xn_chunk_cache_set_limit(int64_t bytes); // 0 empties it; -1: as it was, 64 MiB

#endif
