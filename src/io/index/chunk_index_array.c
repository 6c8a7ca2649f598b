// SPDX-License-Identifier: BSD-3-Clause
// chunk_index_array.c -- chunk indexes of the 1.10 format: single chunk, implicit, fixed and extensible array.
//
// Layout message version 4: flags, rank + 1, shape of a chunk, kind of index, its parameters, address.  Array
// elements are an address and, where there are filters, the stored size and the filter mask.  They stand in C order
// of the grid of the largest extent; an unlimited axis is the slowest, whichever it is (the others keep their order).
// Long arrays are cut into pages.  All but the elements of an implicit index carry checksums.
#include <string.h>

#include "io/index/chunk_index_walk.h"

enum { SINGLE = 1, IMPLICIT, FIXED, EXTENSIBLE, TREE, CHECKSUM = 4 };

typedef struct {
    xn_walk *w;
    int element;                 // bytes of one
    uint64_t header;             // address, which every part of the array repeats
    int order[XANI_MAX_RANK];    // axes, slowest first
    int64_t grid[XANI_MAX_RANK]; // of the largest extent, by axis; that of the slowest is not used
} array;

// Element number -> chunk of the present extent. Elements beyond it are none of ours.
static bool put(const array *a, uint64_t number, const uint8_t *p)
{
    const xn_chunk_map *map = a->w->map;
    int64_t at[XANI_MAX_RANK], index = 0;
    for (int i = map->rank - 1; i > 0; i--) {
        int axis = a->order[i];
        at[axis] = (int64_t)(number % (uint64_t)a->grid[axis]);
        number /= (uint64_t)a->grid[axis];
    }
    if (number > INT64_MAX) return false;
    at[a->order[0]] = (int64_t)number;
    for (int i = 0; i < map->rank; i++) {
        if (at[i] >= map->grid[i]) return true;
        index = index * map->grid[i] + at[i];
    }
    return xn_walk_put_element(a->w, index, p);
}

// A part of an array: `head` bytes, then elements, then a checksum. signature: NULL or what the head begins with.
static bool put_part(const array *a, uint64_t address, const char *signature, size_t head, uint64_t first,
                     uint64_t count)
{
    if (count > (uint64_t)a->w->left / (uint64_t)a->element) return false;
    uint8_t *p = xn_walk_take(a->w, address, head + (size_t)count * (size_t)a->element + CHECKSUM);
    bool good = p && (signature == NULL || (memcmp(p, signature, 4) == 0 && xn_walk_address(a->w, p + 6) == a->header));
    for (uint64_t i = 0; good && i < count; i++) good = put(a, first + i, p + head + i * (uint64_t)a->element);
    xn_free(p);
    return good;
}

static bool bit(const uint8_t *bits, uint64_t i) { return bits[i / 8] & (0x80 >> (i % 8)); }

// Elements in pages, each with its checksum; those whose bit is not set were never written.
static bool put_pages(const array *a, uint64_t address, const uint8_t *bits, uint64_t first_bit, uint64_t page,
                      uint64_t first, uint64_t count)
{
    for (uint64_t done = 0, i = 0; done < count; done += page, i++) {
        uint64_t n = count - done < page ? count - done : page;
        if (bit(bits, first_bit + i) && !put_part(a, address, NULL, 0, first + done, n)) return false;
        address += n * (uint64_t)a->element + CHECKSUM;
    }
    return true;
}

// ---- fixed array

static bool fixed_block(const array *a, uint64_t address, uint64_t count, uint64_t page)
{
    size_t head = 6 + (size_t)a->w->address_bytes;
    if (count <= page) return put_part(a, address, "FADB", head, 0, count);
    uint64_t pages = count / page + (count % page != 0), n_bits = (pages + 7) / 8;
    if (n_bits > (uint64_t)a->w->left) return false;
    uint8_t *p = xn_walk_take(a->w, address, head + (size_t)n_bits + CHECKSUM);
    bool good = p && memcmp(p, "FADB", 4) == 0 && xn_walk_address(a->w, p + 6) == a->header &&
                put_pages(a, address + head + n_bits + CHECKSUM, p + head, 0, page, 0, count);
    xn_free(p);
    return good;
}

static bool fixed_array(const array *a)
{
    size_t l = (size_t)a->w->length_bytes, n = 8 + l + (size_t)a->w->address_bytes + CHECKSUM;
    uint8_t *h = xn_walk_take(a->w, a->header, n);
    bool good = h && memcmp(h, "FAHD", 4) == 0 && h[4] == 0 && h[5] == (a->w->filtered ? 1 : 0) && h[6] == a->element &&
                h[7] <= 30;
    uint64_t block = good ? xn_walk_address(a->w, h + 8 + l) : XN_NOWHERE; // not set: nothing was written
    if (block != XN_NOWHERE) good = fixed_block(a, block, xn_le(h + 8, (int)l), (uint64_t)1 << h[7]);
    xn_free(h);
    return good;
}

// ---- extensible array: an index block with the first elements, then data blocks that grow, behind it or
// behind secondary blocks. Super block u has 2^(u/2) data blocks of 2^((u+1)/2) * least elements.

typedef struct {
    array a;
    size_t head; // of a block with an offset in it
    uint64_t least, page;
    int first_elements, least_pointers, super_blocks;
    uint64_t secondary_blocks, data_blocks; // found
} growing;

static uint64_t blocks_of(int u) { return (uint64_t)1 << (u / 2); }
static uint64_t elements_of(const growing *g, int u) { return g->least << ((u + 1) / 2); }

static bool data_block(growing *g, uint64_t address, uint64_t first, uint64_t count, const uint8_t *bits,
                       uint64_t first_bit)
{
    if (address == XN_NOWHERE) return true;
    g->data_blocks++;
    if (count <= g->page) return put_part(&g->a, address, "EADB", g->head, first, count);
    return bits && put_part(&g->a, address, "EADB", g->head, first, 0) &&
           put_pages(&g->a, address + g->head + CHECKSUM, bits, first_bit, g->page, first, count);
}

// The bitmaps of the pages of all its data blocks follow each other bit by bit in the room of whole bytes for each.
static bool super_block(growing *g, uint64_t address, int u, uint64_t first)
{
    xn_walk *w = g->a.w;
    uint64_t blocks = blocks_of(u), elements = elements_of(g, u), pages = elements > g->page ? elements / g->page : 0;
    uint64_t bits_each = (pages + 7) / 8, n, width = (uint64_t)w->address_bytes;
    if (address == XN_NOWHERE) return true;
    g->secondary_blocks++;
    if (__builtin_mul_overflow(blocks, bits_each + width, &n) || n > (uint64_t)w->left) return false;
    uint8_t *p = xn_walk_take(w, address, g->head + (size_t)n + CHECKSUM);
    if (p == NULL) return false;
    bool good = memcmp(p, "EASB", 4) == 0 && xn_walk_address(w, p + 6) == g->a.header;
    const uint8_t *bits = p + g->head, *addresses = bits + blocks * bits_each;
    for (uint64_t i = 0; good && i < blocks; i++)
        good =
            data_block(g, xn_walk_address(w, addresses + width * i), first + i * elements, elements, bits, i * pages);
    xn_free(p);
    return good;
}

static bool index_block(growing *g, uint64_t address)
{
    xn_walk *w = g->a.w;
    size_t width = (size_t)w->address_bytes, head = 6 + width;
    int direct = 2 * xn_log2((uint64_t)g->least_pointers); // super blocks whose data blocks are listed right here
    if (g->super_blocks < direct) return false;
    uint64_t listed = 2 * ((uint64_t)g->least_pointers - 1), at = 0, first = (uint64_t)g->first_elements;
    size_t n = head + (size_t)g->first_elements * (size_t)g->a.element +
               width * (size_t)(listed + (uint64_t)(g->super_blocks - direct)) + CHECKSUM;
    uint8_t *p = xn_walk_take(w, address, n);
    if (p == NULL) return false;
    bool good = memcmp(p, "EAIB", 4) == 0 && xn_walk_address(w, p + 6) == g->a.header;
    const uint8_t *q = p + head;
    for (int i = 0; good && i < g->first_elements; i++, q += g->a.element) good = put(&g->a, (uint64_t)i, q);
    for (int u = 0; good && u < g->super_blocks; u++) {
        uint64_t elements = elements_of(g, u);
        for (uint64_t i = 0; good && u < direct && i < blocks_of(u); i++, q += width, at++)
            good = at < listed && data_block(g, xn_walk_address(w, q), first + i * elements, elements, NULL, 0);
        if (good && u >= direct) good = super_block(g, xn_walk_address(w, q), u, first), q += width;
        first += blocks_of(u) * elements;
    }
    xn_free(p);
    return good;
}

static bool power(unsigned v) { return v > 0 && (v & (v - 1)) == 0; }

static bool extensible_array(const array *a)
{
    size_t l = (size_t)a->w->length_bytes, width = (size_t)a->w->address_bytes;
    uint8_t *h = xn_walk_take(a->w, a->header, 12 + 6 * l + width + CHECKSUM);
    bool good = h && memcmp(h, "EAHD", 4) == 0 && h[4] == 0 && h[5] == (a->w->filtered ? 1 : 0) && h[6] == a->element;
    good = good && h[7] <= 62 && h[11] <= 30 && power(h[9]) && power(h[10]) && xn_log2(h[9]) <= h[7];
    if (good) {
        growing g = {.a = *a,
                     .head = 6 + width + (size_t)((h[7] + 7) / 8),
                     .least = h[9],
                     .page = (uint64_t)1 << h[11],
                     .first_elements = h[8],
                     .least_pointers = h[10],
                     .super_blocks = 1 + h[7] - xn_log2(h[9])};
        uint64_t block = xn_walk_address(a->w, h + 12 + 6 * l);
        good = block == XN_NOWHERE || index_block(&g, block);
        // The header counts its blocks; a writer at work may not have got to that.
        if (good && !a->w->live)
            good = g.secondary_blocks == xn_le(h + 12, (int)l) && g.data_blocks == xn_le(h + 12 + 2 * l, (int)l);
    }
    xn_free(h);
    return good;
}

// ---- the others

static bool implicit(const array *a)
{
    const xn_chunk_map *map = a->w->map;
    for (int64_t index = 0; index < map->n; index++) {
        uint64_t number = 0, step = 1, address;
        int64_t rest = index;
        for (int i = map->rank - 1; i >= 0; i--) {
            number += (uint64_t)(rest % map->grid[i]) * step;
            rest /= map->grid[i];
            if (__builtin_mul_overflow(step, (uint64_t)a->grid[i], &step)) return false;
        }
        if (__builtin_mul_overflow(number, (uint64_t)map->chunk_bytes, &address) ||
            __builtin_add_overflow(address, a->header, &address) ||
            !xn_walk_put(a->w, index, address, map->chunk_bytes, 0))
            return false;
    }
    return true;
}

// The order of the axes and the grid of the largest extent. false: no index but a tree has that.
static bool arrange(array *a)
{
    const xn_chunk_map *map = a->w->map;
    int n = 0;
    for (int i = 0; i < map->rank; i++)
        if (map->most[i] < 0) a->order[n++] = i;
    if (n > 1) return false;
    for (int i = 0; i < map->rank; i++)
        if (map->most[i] >= 0) a->order[n++] = i;
    for (int i = 0; i < map->rank; i++) {
        a->grid[i] = map->most[i] < 0 ? 1 : map->most[i] / map->chunk[i] + (map->most[i] % map->chunk[i] != 0);
        if (a->grid[i] < 1 || (map->most[i] >= 0 && a->grid[i] < map->grid[i])) return false;
    }
    return true;
}

bool xn_walk_array(xn_walk *w, const xn_layout_message *layout)
{
    static const int parameters[] = {[IMPLICIT] = 0, [FIXED] = 1, [EXTENSIBLE] = 5, [TREE] = 6};
    const uint8_t *b = layout->bytes;
    size_t n = layout->n, width = (size_t)w->address_bytes, l = (size_t)w->length_bytes;
    xn_chunk_map *map = w->map;
    if (n < 6 || b[1] != 2 || b[3] != map->rank + 1 || b[4] < 1 || b[4] > 8) return false;
    size_t at = 5 + (size_t)b[3] * b[4];
    if (at >= n) return false;
    for (int i = 0; i < map->rank; i++)
        if (xn_le(b + 5 + (size_t)i * b[4], b[4]) != (uint64_t)map->chunk[i]) return false;
    int flags = b[2], kind = b[at++];
    if (kind < SINGLE || kind > TREE) return false;
    uint64_t bytes = map->chunk_bytes;
    uint32_t mask = 0;
    if (kind == SINGLE && (flags & 2)) {
        if (at + l + 4 > n) return false;
        bytes = xn_le(b + at, (int)l);
        mask = (uint32_t)xn_le(b + at + l, 4);
        at += l + 4;
    }
    at += kind == SINGLE ? 0 : (size_t)parameters[kind];
    if (at + width > n) return false;
    uint64_t address = xn_walk_address(w, b + at);
    if (address == XN_NOWHERE) return true; // nothing is stored
    if (kind == SINGLE) return xn_walk_put(w, 0, address, bytes, mask);
    if (kind == TREE) return xn_walk_tree2(w, address);
    array a = {.w = w, .header = address};
    a.element = w->address_bytes + (w->filtered ? w->size_bytes + 4 : 0);
    if (!arrange(&a)) return false;
    if (kind == IMPLICIT) return !w->filtered && implicit(&a);
    return kind == FIXED ? fixed_array(&a) : extensible_array(&a);
}
