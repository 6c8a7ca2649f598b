// SPDX-License-Identifier: BSD-3-Clause
// chunk_index.c -- see chunk_index.h: object headers, the version 1 B-tree, and the library as a last resort.
//
// A dataset's object header (version 1, or 2 with signature OHDR) is a chain of messages in blocks; message
// 0x10 names a further block, message 0x08 is the layout.  Layout version 3 has the address of a B-tree whose
// keys are stored size, filter mask and element offsets.  Every address is checked against the file, levels
// must fall, and the number of nodes is bounded, so a damaged file cannot lead the walk astray; the result is
// compared with the library's answer for the first chunk.
#include <string.h>
#include <unistd.h>

#include "io/chunk_index.h"

enum { LAYOUT = 0x08, CONTINUATION = 0x10, BLOCKS_MAX = 64, BLOCK_BYTES_MAX = 1 << 20 };
#define UNDEFINED UINT64_MAX

bool xn_chunk_read(const xn_chunk_file *f, uint64_t address, void *bytes, size_t n)
{
    uint64_t room = (uint64_t)(f->bytes - f->base);
    if (n > room || address > room - n) return false;
    if (f->memory) return memcpy(bytes, f->memory + f->base + address, n) == bytes;
    return pread(f->fd, bytes, n, f->base + (int64_t)address) == (ssize_t)n;
}

bool xn_chunk_put(xn_chunk_map *map, int64_t index, const xn_chunk_file *f, uint64_t address, uint64_t bytes,
                  uint32_t mask)
{
    if (address == UNDEFINED) return true;
    uint64_t room = (uint64_t)(f->bytes - f->base);
    if (index < 0 || index >= map->n || bytes == 0 || bytes > UINT32_MAX || address > room) return false;
    if (map->table[index].bytes != 0) return false; // twice
    map->table[index] = (xn_chunk){f->base + (int64_t)address, (uint32_t)bytes, mask};
    return true;
}

// ---- object header

typedef struct {
    uint8_t layout[512]; // message, empty if none was found
    size_t n;
    struct {
        uint64_t address, bytes;
    } block[BLOCKS_MAX];
    int n_blocks;
} header;

static bool take_message(header *h, unsigned type, const uint8_t *data, size_t n)
{
    if (type == LAYOUT && n <= sizeof h->layout) {
        memcpy(h->layout, data, n);
        h->n = n;
    } else if (type == CONTINUATION && n >= 16 && h->n_blocks < BLOCKS_MAX) {
        h->block[h->n_blocks].address = xn_le(data, 8);
        h->block[h->n_blocks++].bytes = xn_le(data + 8, 8);
    }
    return h->n == 0;
}

// Messages of one block; head: bytes of a message's own header; order: those of the creation order in it.
static void take_block(header *h, const uint8_t *p, size_t n, bool version1, int order)
{
    size_t head = version1 ? 8 : 4 + (size_t)order, at = 0;
    while (at + head <= n) {
        unsigned type = version1 ? (unsigned)xn_le(p + at, 2) : p[at];
        size_t size = (size_t)xn_le(p + at + (version1 ? 2 : 1), 2);
        at += head;
        if (size > n - at || !take_message(h, type, p + at, size)) return;
        at += size;
    }
}

static bool take_blocks(header *h, const xn_chunk_file *f, bool version1, int order)
{
    for (int i = 0; i < h->n_blocks && h->n == 0; i++) {
        size_t n = h->block[i].bytes;
        if (n < 8 || n > BLOCK_BYTES_MAX) return false;
        uint8_t *bytes = xn_alloc(n, 1);
        bool good = bytes && xn_chunk_read(f, h->block[i].address, bytes, n);
        if (good && version1)
            take_block(h, bytes, n, true, 0);
        else if (good && i == 0)
            take_block(h, bytes, n, false, order); // checksum lies behind it
        else if (good && memcmp(bytes, "OCHK", 4) == 0)
            take_block(h, bytes + 4, n - 8, false, order);
        xn_free(bytes);
        if (!good) return false;
    }
    return h->n > 0;
}

static bool read_header(header *h, const xn_chunk_file *f, uint64_t address)
{
    uint8_t b[32];
    memset(h, 0, sizeof *h);
    if (!xn_chunk_read(f, address, b, sizeof b)) return false;
    h->n_blocks = 1;
    if (memcmp(b, "OHDR", 4) != 0) {
        if (b[0] != 1) return false;
        h->block[0].address = address + 16;
        h->block[0].bytes = xn_le(b + 8, 4);
        return take_blocks(h, f, true, 0);
    }
    int flags = b[5], at = 6, size = 1 << (flags & 3);
    if (b[4] != 2) return false;
    if (flags & 0x20) at += 16; // times
    if (flags & 0x10) at += 4;  // attribute limits
    if (at + size > (int)sizeof b) return false;
    h->block[0].bytes = xn_le(b + at, size);
    h->block[0].address = address + (uint64_t)(at + size);
    return take_blocks(h, f, false, flags & 4 ? 2 : 0);
}

// ---- version 1 B-tree

typedef struct {
    xn_chunk_map *map;
    const xn_chunk_file *f;
    int64_t nodes_left;
} walk;

static int64_t index_of(const xn_chunk_map *map, const uint8_t *offsets) // -1: outside, or not on the grid
{
    int64_t index = 0;
    for (int i = 0; i < map->rank; i++) {
        uint64_t at = xn_le(offsets + 8 * i, 8);
        if (at % (uint64_t)map->chunk[i] || at / (uint64_t)map->chunk[i] >= (uint64_t)map->grid[i]) return -1;
        index = index * map->grid[i] + (int64_t)(at / (uint64_t)map->chunk[i]);
    }
    return index;
}

static bool walk_node(walk *w, uint64_t address, int level);

static bool walk_entries(walk *w, const uint8_t *p, unsigned entries, int level)
{
    size_t key = 8 + 8 * ((size_t)w->map->rank + 1);
    for (unsigned i = 0; i < entries; i++, p += key + 8) {
        uint64_t child = xn_le(p + key, 8);
        bool good = level > 0 ? walk_node(w, child, level - 1)
                              : xn_chunk_put(w->map, index_of(w->map, p + 8), w->f, child, xn_le(p, 4),
                                             (uint32_t)xn_le(p + 4, 4));
        if (!good) return false;
    }
    return true;
}

static bool walk_node(walk *w, uint64_t address, int level) // level < 0: the root, any level
{
    uint8_t head[24];
    if (--w->nodes_left < 0 || !xn_chunk_read(w->f, address, head, sizeof head)) return false;
    if (memcmp(head, "TREE", 4) != 0 || head[4] != 1 || (level >= 0 && head[5] != level)) return false;
    unsigned entries = (unsigned)xn_le(head + 6, 2);
    size_t n = entries * (16 + 8 * ((size_t)w->map->rank + 1));
    uint8_t *bytes = xn_alloc(n ? n : 1, 1);
    bool good = bytes && xn_chunk_read(w->f, address + 24, bytes, n) && walk_entries(w, bytes, entries, head[5]);
    xn_free(bytes);
    return good;
}

static bool walk_v3(xn_chunk_map *map, const xn_chunk_file *f, const header *h)
{
    if (h->n < 11 || h->layout[1] != 2 || h->layout[2] != map->rank + 1) return false;
    uint64_t root = xn_le(h->layout + 3, 8);
    walk w = {map, f, 2 * map->n + 64};
    return root == UNDEFINED || walk_node(&w, root, -1);
}

// ---- the library

#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info1_t object_info;
#else
typedef H5O_info_t object_info;
#endif

static bool same_as_library(const xn_chunk_map *map, const xn_chunk_file *f, hid_t dataset, hid_t space)
{
    hsize_t stored = 0, offset[H5S_MAX_RANK], bytes;
    haddr_t address;
    unsigned mask;
    int64_t first = 0;
    while (first < map->n && map->table[first].bytes == 0) first++;
    if (H5Dget_num_chunks(dataset, space, &stored) < 0) return false;
    if (stored == 0 || first == map->n) return stored == 0 && first == map->n;
    if (H5Dget_chunk_info(dataset, space, 0, offset, &mask, &address, &bytes) < 0) return false;
    int64_t index = 0;
    for (int i = 0; i < map->rank; i++) {
        if ((int64_t)offset[i] >= map->dims[i]) return false;
        index = index * map->grid[i] + (int64_t)offset[i] / map->chunk[i];
    }
    const xn_chunk *c = &map->table[index];
    int64_t at = (int64_t)address; // some versions leave the user block out
    return c->bytes == bytes && c->mask == mask && (c->offset == at || c->offset == at + f->base);
}

bool xn_chunk_walk(xn_chunk_map *map, const xn_chunk_file *f, uint64_t address, bool filtered)
{
    header h;
    if (!read_header(&h, f, address) || h.n < 2) return false;
    if (h.layout[0] == 3) return walk_v3(map, f, &h);
    return h.layout[0] == 4 && xn_chunk_walk_v4(map, f, h.layout, h.n, filtered);
}

static bool walk_own(xn_chunk_map *map, const xn_chunk_file *f, hid_t dataset, hid_t space, hid_t created)
{
    object_info info;
    if (H5Oget_info1(dataset, &info) < 0 || !xn_chunk_walk(map, f, info.addr, H5Pget_nfilters(created) > 0))
        return false;
    return same_as_library(map, f, dataset, space);
}

static bool ask_library(xn_chunk_map *map, const xn_chunk_file *f, hid_t dataset, hid_t space)
{
    hsize_t stored = 0, offset[H5S_MAX_RANK], bytes;
    haddr_t address;
    unsigned mask;
    // In files with a user block the library's addresses cannot be trusted: H5Dread does it all.
    if (f->base != 0 || H5Dget_num_chunks(dataset, space, &stored) < 0) return false;
    for (hsize_t i = 0; i < stored; i++) {
        if (H5Dget_chunk_info(dataset, space, i, offset, &mask, &address, &bytes) < 0) return false;
        int64_t index = 0;
        for (int k = 0; k < map->rank; k++) {
            if ((int64_t)offset[k] >= map->dims[k]) return false;
            index = index * map->grid[k] + (int64_t)offset[k] / map->chunk[k];
        }
        if (!xn_chunk_put(map, index, f, address, bytes, mask)) return false;
    }
    return true;
}

// Chunks over the edge are stored without filters where the file says so, whatever their mask is.
static void unfilter_edges(xn_chunk_map *map, hid_t created)
{
    unsigned options = 0;
    if (H5Pget_chunk_opts(created, &options) < 0 || !(options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS)) return;
    for (int64_t index = 0; index < map->n; index++) {
        int64_t rest = index;
        bool partial = false;
        for (int i = map->rank - 1; i >= 0; i--) {
            partial = partial || (rest % map->grid[i] + 1) * map->chunk[i] > map->dims[i];
            rest /= map->grid[i];
        }
        if (partial) map->table[index].mask = UINT32_MAX;
    }
}

static xani_status shape(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t space, hid_t created, size_t elem,
                         xn_chunk_map *map)
{
    hsize_t dims[H5S_MAX_RANK], most[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
    int64_t size;
    XN_TRY(xn_h5_shape(ctx, file, name, space, &map->rank, map->dims, &size));
    if (H5Sget_simple_extent_dims(space, dims, most) < 0 || H5Pget_chunk(created, H5S_MAX_RANK, chunk) != map->rank)
        return xn_h5_fail(ctx, file, name, "its chunks cannot be described");
    map->n = 1;
    map->chunk_bytes = elem;
    for (int i = 0; i < map->rank; i++) {
        map->chunk[i] = (int64_t)chunk[i];
        map->most[i] = most[i] == H5S_UNLIMITED ? -1 : (int64_t)most[i];
        map->grid[i] = (map->dims[i] + map->chunk[i] - 1) / map->chunk[i];
        map->n *= map->grid[i];
        map->chunk_bytes *= chunk[i]; // the library keeps chunks below 4 GiB
    }
    // Each chunk needs an entry in the file: a claim beyond that is damage, not a reason to take memory.
    if (map->n > file->bytes)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: claims more chunks than the file can hold", file->path, name);
    map->table = xn_calloc((size_t)xn_max64(map->n, 1), sizeof *map->table);
    return map->table ? XANI_OK : xn_fail_memory(ctx, "a chunk index", (size_t)map->n * sizeof *map->table);
}

xani_status xn_chunk_map_make(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, const xn_chunk_file *f,
                              xn_chunk_map *map)
{
    memset(map, 0, sizeof *map);
    hid_t space = H5Dget_space(dataset), created = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
    xani_status st = shape(ctx, file, name, space, created, type < 0 ? 0 : H5Tget_size(type), map);
    if (st == XANI_OK) {
        map->walked = walk_own(map, f, dataset, space, created);
        if (!map->walked) {
            memset(map->table, 0, (size_t)map->n * sizeof *map->table);
            if (!ask_library(map, f, dataset, space)) xn_chunk_map_free(map); // no table: the caller lets H5Dread do it
        }
        if (map->table) unfilter_edges(map, created);
    }
    if (type >= 0) H5Tclose(type);
    if (created >= 0) H5Pclose(created);
    if (space >= 0) H5Sclose(space);
    return st;
}

void xn_chunk_map_free(xn_chunk_map *map)
{
    xn_free(map->table);
    map->table = NULL;
}
