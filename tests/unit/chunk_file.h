// SPDX-License-Identifier: BSD-3-Clause
// chunk_file.h -- chunked datasets whose every chunk says which one it is, written with the library itself.
//
// Chunks are written past the filters (H5Dwrite_chunk), so a chunk may have any stored size and mask; its bytes follow
// from its number.  So an index is right when what lies where it points is what was written there.
#ifndef XN_TEST_CHUNK_FILE_H
#define XN_TEST_CHUNK_FILE_H

#include <fcntl.h>
#include <hdf5.h>

#include "test.h"

#include "io/index/chunk_index.h"

typedef struct {
    bool latest;        // format of 1.10
    unsigned unlimited; // bit k: axis k
    bool filtered, early, plain_edges;
    hsize_t user_block;
    int address_bytes; // 0: 8
    int percent;       // of the chunks that are written
    int rank;
    hsize_t dims[5], chunk[5], most[5]; // most: 0: as dims
} chunk_kind;

static uint32_t chunk_random_state = 1;
static inline uint32_t chunk_random(uint32_t below)
{
    chunk_random_state = chunk_random_state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)chunk_random_state * below) >> 32);
}

// The number of a chunk: the same for any extent of the dataset.
static inline int64_t chunk_number(const chunk_kind *k, int64_t index)
{
    uint64_t number = 0, step = 1;
    for (int i = k->rank - 1; i >= 0; i--, step *= 100003u) {
        int64_t grid = (int64_t)((k->dims[i] + k->chunk[i] - 1) / k->chunk[i]);
        number += (uint64_t)(index % grid) * step;
        index /= grid;
    }
    return (int64_t)number;
}

// What chunk `index` is: written or not, size and mask, the byte it is full of.
static inline uint32_t chunk_hash(const chunk_kind *k, int64_t index, uint32_t salt)
{
    uint64_t v = ((uint64_t)chunk_number(k, index) + 1) * 0x9E3779B97F4A7C15u + salt * 0xC2B2AE3D27D4EB4Fu;
    return (uint32_t)((v ^ v >> 29) * 0xBF58476D1CE4E5B9u >> 33);
}
static inline bool chunk_written(const chunk_kind *k, int64_t i)
{
    return chunk_hash(k, i, 1) % 100 < (uint32_t)k->percent;
}
static inline uint8_t chunk_byte(const chunk_kind *k, int64_t i) { return (uint8_t)chunk_hash(k, i, 2); }

static inline size_t chunk_full_bytes(const chunk_kind *k)
{
    size_t n = 1;
    for (int i = 0; i < k->rank; i++) n *= k->chunk[i];
    return n;
}

static inline bool chunk_partial(const chunk_kind *k, int64_t index)
{
    bool partial = false;
    for (int i = k->rank - 1; i >= 0; i--) {
        int64_t grid = (int64_t)((k->dims[i] + k->chunk[i] - 1) / k->chunk[i]);
        partial = partial || (hsize_t)(index % grid + 1) * k->chunk[i] > k->dims[i];
        index /= grid;
    }
    return partial;
}

static inline void chunk_stored(const chunk_kind *k, int64_t i, size_t *bytes, uint32_t *mask)
{
    bool filtered = k->filtered && !(k->plain_edges && chunk_partial(k, i));
    *bytes = filtered ? 1 + chunk_hash(k, i, 3) % (chunk_full_bytes(k) + 4) : chunk_full_bytes(k);
    *mask = filtered ? chunk_hash(k, i, 4) % 2 : 0;
}

static inline int64_t chunk_grid(const chunk_kind *k, int64_t grid[5])
{
    int64_t n = 1;
    for (int i = 0; i < k->rank; i++) n *= grid[i] = (int64_t)((k->dims[i] + k->chunk[i] - 1) / k->chunk[i]);
    return n;
}

// Chunks in [first, end) that are to be written, in this order or backwards.
static inline void chunk_write(hid_t d, const chunk_kind *k, int64_t first, int64_t end)
{
    int64_t grid[5];
    uint8_t *data = malloc(chunk_full_bytes(k) + 8);
    bool backwards = k->percent % 2;
    chunk_grid(k, grid);
    for (int64_t j = first; j < end; j++) {
        int64_t i = backwards ? end - 1 - (j - first) : j, rest = i;
        if (!chunk_written(k, i)) continue;
        hsize_t offset[5];
        for (int a = k->rank - 1; a >= 0; a--) {
            offset[a] = (hsize_t)(rest % grid[a]) * k->chunk[a];
            rest /= grid[a];
        }
        size_t bytes;
        uint32_t mask;
        chunk_stored(k, i, &bytes, &mask);
        memset(data, chunk_byte(k, i), bytes);
        ck_assert_int_ge(H5Dwrite_chunk(d, H5P_DEFAULT, mask, offset, bytes, data), 0);
    }
    free(data);
}

static inline hid_t chunk_create(hid_t f, const chunk_kind *k)
{
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t most[5];
    for (int i = 0; i < k->rank; i++)
        most[i] = k->unlimited >> i & 1 ? H5S_UNLIMITED : k->most[i] ? k->most[i] : k->dims[i];
    hid_t space = H5Screate_simple(k->rank, k->dims, most);
    H5Pset_chunk(created, k->rank, k->chunk);
    if (k->filtered) H5Pset_deflate(created, 1);
    if (k->early) H5Pset_alloc_time(created, H5D_ALLOC_TIME_EARLY);
    if (k->early) H5Pset_fill_time(created, H5D_FILL_TIME_NEVER);
    if (k->plain_edges) H5Pset_chunk_opts(created, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
    hid_t d = H5Dcreate2(f, "v", H5T_NATIVE_UINT8, space, H5P_DEFAULT, created, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    H5Sclose(space);
    H5Pclose(created);
    return d;
}

static inline hid_t chunk_file_create(const char *path, const chunk_kind *k)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), made = H5Pcreate(H5P_FILE_CREATE);
    if (k->latest) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    if (k->user_block) H5Pset_userblock(made, k->user_block);
    if (k->address_bytes) H5Pset_sizes(made, (size_t)k->address_bytes, (size_t)k->address_bytes);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, made, access);
    ck_assert_int_ge(f, 0);
    H5Pclose(access);
    H5Pclose(made);
    return f;
}

static inline void chunk_file_write(const char *path, const chunk_kind *k)
{
    int64_t grid[5], n = chunk_grid(k, grid);
    hid_t f = chunk_file_create(path, k), d = chunk_create(f, k);
    chunk_write(d, k, 0, n);
    H5Dclose(d);
    H5Fclose(f);
}

// An empty map of that shape, as xn_chunk_walk wants it.
static inline xn_chunk_map chunk_map_of(const chunk_kind *k)
{
    xn_chunk_map m = {.rank = k->rank, .n = 1, .chunk_bytes = chunk_full_bytes(k)};
    for (int i = 0; i < k->rank; i++) {
        m.dims[i] = (int64_t)k->dims[i];
        m.most[i] = k->unlimited >> i & 1 ? -1 : (int64_t)(k->most[i] ? k->most[i] : k->dims[i]);
        m.chunk[i] = (int64_t)k->chunk[i];
        m.n *= m.grid[i] = (m.dims[i] + m.chunk[i] - 1) / m.chunk[i];
    }
    m.table = xn_calloc((size_t)m.n + 1, sizeof *m.table);
    ck_assert_ptr_nonnull(m.table);
    return m;
}

// Entry i of an index is what was written; bytes of the file come from fd.
static inline bool chunk_right(const chunk_kind *k, const xn_chunk_map *m, int64_t i, int fd)
{
    const xn_chunk *c = &m->table[i];
    size_t bytes;
    uint32_t mask;
    chunk_stored(k, i, &bytes, &mask);
    if (!chunk_written(k, i)) return k->early ? c->bytes == bytes : c->bytes == 0;
    if (k->plain_edges && chunk_partial(k, i)) mask = UINT32_MAX;
    uint8_t *data = malloc(bytes);
    bool good = c->bytes == bytes && c->mask == mask && pread(fd, data, bytes, c->offset) == (ssize_t)bytes;
    for (size_t b = 0; good && b < bytes; b++) good = data[b] == chunk_byte(k, i);
    free(data);
    return good;
}

#endif
