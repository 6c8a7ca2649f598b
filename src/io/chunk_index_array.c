// SPDX-License-Identifier: BSD-3-Clause
// chunk_index4.c -- chunk indexes of the 1.10 format: single chunk, implicit, fixed and extensible array.
//
// Layout message version 4: flags, rank + 1, shape of a chunk, kind of index, its parameters, address.  Array
// elements are an address (8 bytes) and, where there are filters, the stored size and the filter mask (4).
// Elements stand in C order of the grid of the largest extent; an unlimited axis must be the slowest (any
// other order is left to the library, and so is the version 2 B-tree, for several unlimited axes).
#include <string.h>

#include "io/chunk_index.h"

enum { SINGLE = 1, IMPLICIT, FIXED, EXTENSIBLE, CHECKSUM = 4, ARRAY_BYTES_MAX = 1 << 30 };

typedef struct {
    xn_chunk_map *map;
    const xn_chunk_file *f;
    int element; // bytes of one
    bool filtered;
    int64_t grid[XANI_MAX_RANK]; // of the largest extent; the first is not used
} array;

// Element number -> chunk of the present extent. Elements beyond it are none of ours.
static bool put(const array *a, uint64_t number, const uint8_t *p)
{
    int64_t at[XANI_MAX_RANK], index = 0;
    uint64_t address = xn_le(p, 8), bytes = a->map->chunk_bytes;
    uint32_t mask = 0;
    if (a->filtered) {
        bytes = xn_le(p + 8, a->element - 12);
        mask = (uint32_t)xn_le(p + a->element - 4, 4);
    }
    for (int i = a->map->rank - 1; i > 0; i--) {
        if (a->grid[i] < 1) return false;
        at[i] = (int64_t)(number % (uint64_t)a->grid[i]);
        number /= (uint64_t)a->grid[i];
    }
    if (number > INT64_MAX) return false;
    at[0] = (int64_t)number;
    for (int i = 0; i < a->map->rank; i++) {
        if (at[i] >= a->map->grid[i]) return true;
        index = index * a->map->grid[i] + at[i];
    }
    return xn_chunk_put(a->map, index, a->f, address, bytes, mask);
}

static bool put_run(const array *a, uint64_t address, uint64_t first, uint64_t count)
{
    size_t n = (size_t)count * (size_t)a->element;
    if (count > ARRAY_BYTES_MAX / (uint64_t)a->element) return false;
    uint8_t *bytes = xn_alloc(n ? n : 1, 1);
    bool good = bytes && xn_chunk_read(a->f, address, bytes, n);
    for (uint64_t i = 0; good && i < count; i++) good = put(a, first + i, bytes + i * (uint64_t)a->element);
    xn_free(bytes);
    return good;
}

static bool bit(const uint8_t *bits, uint64_t i) { return bits[i / 8] & (0x80 >> (i % 8)); }

// Elements in pages, each with its checksum; those whose bit is not set were never written.
static bool put_pages(const array *a, uint64_t address, const uint8_t *bits, uint64_t first_bit, uint64_t page,
                      uint64_t first, uint64_t count)
{
    for (uint64_t done = 0, i = 0; done < count; done += page, i++) {
        uint64_t n = count - done < page ? count - done : page;
        if (bit(bits, first_bit + i) && !put_run(a, address, first + done, n)) return false;
        address += n * (uint64_t)a->element + CHECKSUM;
    }
    return true;
}

static bool fixed_array(const array *a, uint64_t address)
{
    uint8_t h[28], head[14], bits[8192];
    if (!xn_chunk_read(a->f, address, h, sizeof h) || memcmp(h, "FAHD", 4) != 0 || h[4] != 0) return false;
    if (h[5] != (a->filtered ? 1 : 0) || h[6] != a->element || h[7] > 30) return false;
    uint64_t count = xn_le(h + 8, 8), block = xn_le(h + 16, 8), page = (uint64_t)1 << h[7];
    if (block == UINT64_MAX) return true; // nothing was written
    if (!xn_chunk_read(a->f, block, head, sizeof head) || memcmp(head, "FADB", 4) != 0) return false;
    if (count <= page) return put_run(a, block + sizeof head, 0, count);
    uint64_t pages = count / page + (count % page != 0), n_bits = (pages + 7) / 8;
    if (n_bits > sizeof bits || !xn_chunk_read(a->f, block + sizeof head, bits, (size_t)n_bits)) return false;
    return put_pages(a, block + sizeof head + n_bits + CHECKSUM, bits, 0, page, 0, count);
}

// ---- extensible array: an index block with the first elements, then data blocks that grow, behind it or
// behind secondary blocks. Super block u has 2^(u/2) data blocks of 2^((u+1)/2) * least elements.

typedef struct {
    array a;
    int offset_bytes; // of a block's offset in its header
    uint64_t least, page;
} growing;

static uint64_t blocks_of(int u) { return (uint64_t)1 << (u / 2); }
static uint64_t elements_of(const growing *g, int u) { return g->least << ((u + 1) / 2); }

static bool data_block(const growing *g, uint64_t address, uint64_t first, uint64_t count, const uint8_t *bits,
                       uint64_t first_bit)
{
    uint8_t head[6];
    if (address == UINT64_MAX) return true;
    if (!xn_chunk_read(g->a.f, address, head, sizeof head) || memcmp(head, "EADB", 4) != 0) return false;
    address += 14 + (uint64_t)g->offset_bytes;
    if (count <= g->page) return put_run(&g->a, address, first, count);
    return bits && put_pages(&g->a, address + CHECKSUM, bits, first_bit, g->page, first, count);
}

static bool super_block(const growing *g, uint64_t address, int u, uint64_t first)
{
    uint64_t blocks = blocks_of(u), elements = elements_of(g, u), pages = elements > g->page ? elements / g->page : 0;
    uint64_t bits_each = (pages + 7) / 8, head = 14 + (uint64_t)g->offset_bytes; // bitmaps of the blocks follow it
    if (address == UINT64_MAX) return true;
    uint64_t n = head + blocks * bits_each + 8 * blocks;
    if (n > ARRAY_BYTES_MAX) return false;
    uint8_t *p = xn_alloc((size_t)n, 1);
    bool good = p && xn_chunk_read(g->a.f, address, p, (size_t)n) && memcmp(p, "EASB", 4) == 0;
    for (uint64_t i = 0; good && i < blocks; i++)
        good = data_block(g, xn_le(p + head + blocks * bits_each + 8 * i, 8), first + i * elements, elements,
                          p + head + i * bits_each, 0);
    xn_free(p);
    return good;
}

static int log2_of(uint64_t v) { return v ? 63 - __builtin_clzll(v) : 0; }

static bool index_block(const growing *g, uint64_t address, int first_elements, int least_pointers, int super_blocks)
{
    int direct = 2 * log2_of((uint64_t)least_pointers); // super blocks whose data blocks are listed right here
    if (super_blocks < direct) return false;
    uint64_t listed = 2 * ((uint64_t)least_pointers - 1), at = 0, first = (uint64_t)first_elements;
    size_t n =
        14 + (size_t)first_elements * (size_t)g->a.element + 8 * (size_t)(listed + (uint64_t)(super_blocks - direct));
    uint8_t *p = xn_alloc(n, 1);
    bool good = p && xn_chunk_read(g->a.f, address, p, n) && memcmp(p, "EAIB", 4) == 0;
    const uint8_t *q = p + 14;
    for (int i = 0; good && i < first_elements; i++, q += g->a.element) good = put(&g->a, (uint64_t)i, q);
    for (int u = 0; good && u < super_blocks; u++) {
        uint64_t elements = elements_of(g, u);
        for (uint64_t i = 0; good && u < direct && i < blocks_of(u); i++, q += 8, at++)
            good = at < listed && data_block(g, xn_le(q, 8), first + i * elements, elements, NULL, 0);
        if (good && u >= direct) good = super_block(g, xn_le(q, 8), u, first), q += 8;
        first += blocks_of(u) * elements;
    }
    xn_free(p);
    return good;
}

static bool extensible_array(const array *a, uint64_t address)
{
    uint8_t h[72];
    if (!xn_chunk_read(a->f, address, h, sizeof h) || memcmp(h, "EAHD", 4) != 0 || h[4] != 0) return false;
    if (h[5] != (a->filtered ? 1 : 0) || h[6] != a->element) return false;
    int bits = h[7], first_elements = h[8], least = h[9], pointers = h[10], page_bits = h[11];
    uint64_t block = xn_le(h + 60, 8);
    bool powers = least > 0 && (least & (least - 1)) == 0 && pointers > 0 && (pointers & (pointers - 1)) == 0;
    if (!powers || bits > 62 || page_bits > 30 || log2_of((uint64_t)least) > bits) return false;
    if (block == UINT64_MAX) return true;
    growing g = {*a, (bits + 7) / 8, (uint64_t)least, (uint64_t)1 << page_bits};
    return index_block(&g, block, first_elements, pointers, 1 + bits - log2_of((uint64_t)least));
}

static bool implicit(const array *a, uint64_t address)
{
    bool good = address != UINT64_MAX;
    for (int i = 1; i < a->map->rank; i++) good = good && a->grid[i] == a->map->grid[i]; // no axis grew
    for (int64_t i = 0; good && i < a->map->n; i++) {
        uint8_t p[8];
        uint64_t at = address + (uint64_t)i * a->map->chunk_bytes;
        for (int k = 0; k < 8; k++) p[k] = (uint8_t)(at >> (8 * k));
        good = put(a, (uint64_t)i, p);
    }
    return good;
}

bool xn_chunk_walk_v4(xn_chunk_map *map, const xn_chunk_file *f, const uint8_t *layout, size_t n, bool filtered)
{
    if (n < 6 || layout[1] != 2 || layout[3] != map->rank + 1 || layout[4] < 1 || layout[4] > 8) return false;
    int flags = layout[2], kind;
    size_t at = 5 + (size_t)layout[3] * layout[4];
    static const int parameters[6] = {0, 0, 0, 1, 5, 6};
    if (at >= n) return false;
    kind = layout[at++];
    if (kind < SINGLE || kind > EXTENSIBLE) return false;
    array a = {.map = map, .f = f, .filtered = filtered};
    // Bytes of a stored size: enough for chunks that grow by a byte.
    int size_bytes = 1 + (log2_of(map->chunk_bytes) + 8) / 8;
    a.element = filtered ? 12 + (size_bytes > 8 ? 8 : size_bytes) : 8;
    for (int i = 0; i < map->rank; i++) {
        if (i > 0 && map->most[i] < 0) return false;
        a.grid[i] = i == 0 ? 1 : (map->most[i] + map->chunk[i] - 1) / map->chunk[i];
        if (a.grid[i] < 1) return false;
    }
    uint64_t bytes = map->chunk_bytes;
    uint32_t mask = 0;
    if (kind == SINGLE && (flags & 2)) {
        if (at + 12 > n) return false;
        bytes = xn_le(layout + at, 8);
        mask = (uint32_t)xn_le(layout + at + 8, 4);
        at += 12;
    }
    at += (size_t)parameters[kind];
    if (at + 8 > n) return false;
    uint64_t address = xn_le(layout + at, 8);
    if (address == UINT64_MAX) return true; // nothing is stored
    if (kind == SINGLE) return xn_chunk_put(map, 0, f, address, bytes, mask);
    if (kind == IMPLICIT) return !filtered && implicit(&a, address);
    return kind == FIXED ? fixed_array(&a, address) : extensible_array(&a, address);
}
