// SPDX-License-Identifier: BSD-3-Clause
// chunk_index_tree.c -- chunks in B-trees: version 1 of the classic format, version 2 for several unlimited axes.
//
// Version 1: a node is "TREE", kind 1, level, number of entries, two siblings, then pairs of key and child; a key is
// stored size, filter mask and the offsets of the first element, one more than there are axes.  At level 0 a child is a
// chunk.  Only the used part of a node is read, most often in one call.  The library looks for one chunk at a time,
// by bisection between the keys of each node, in which the next key is a child's end: a key out of order hides chunks
// from it, which then read as never written.  So keys have to rise, and chunks to lie between those of all nodes above.
//
// Version 2: a header (BTHD) has the sizes, the depth and the root; a node (BTIN, BTLF) has its records first, then,
// in inner nodes, a pointer before each record and behind the last one: address, records in that child, and, above the
// lowest level of inner nodes, records below it, each number in as many bytes as the largest possible one needs.
// Record types 10 and 11 are chunks: address, stored size and mask where there are filters, place in the grid.
#include <string.h>

#include "io/index/chunk_index_walk.h"

enum { DEEPEST = 24 };

// ---- version 1

enum { USUAL_ENTRIES = 64 }; // what the library makes

// -1: outside, or not on the grid
static int64_t index_of(const xn_chunk_map *map, const uint8_t *offsets)
{
    int64_t index = 0;
    for (int i = 0; i < map->rank; i++) {
        uint64_t at = xn_le(offsets + 8 * i, 8), n = (uint64_t)map->chunk[i];
        if (at % n || at / n >= (uint64_t)map->grid[i]) return -1;
        index = index * map->grid[i] + (int64_t)(at / n);
    }
    return index;
}

// Keys as the library compares them: in chunks along each axis, elements last.
static int compare(const xn_walk *w, const uint8_t *a, const uint8_t *b)
{
    uint64_t elem = w->map->chunk_bytes;
    for (int i = 0; i <= w->map->rank; i++) {
        uint64_t n = i < w->map->rank ? (uint64_t)w->map->chunk[i] : elem;
        uint64_t x = xn_le(a + 8 + 8 * i, 8) / n, y = xn_le(b + 8 + 8 * i, 8) / n;
        if (x != y) return x < y ? -1 : 1;
        elem = xn_max64(1, (int64_t)(elem / n)); // in the end that of an element
    }
    return 0;
}

typedef struct {
    const uint8_t *low, *high; // keys between which everything below has to lie; NULL: open
} span;

static bool node1(xn_walk *w, uint64_t address, int level, span s);

static bool entry1(xn_walk *w, const uint8_t *key, const uint8_t *next, uint64_t child, int level, span s)
{
    if (compare(w, key, next) >= 0) return xn_walk_damaged(w);
    if (level == 0) {
        bool hidden = (s.low && compare(w, key, s.low) < 0) || (s.high && compare(w, key, s.high) >= 0);
        if (hidden || xn_le(key + 8 + 8 * w->map->rank, 8) != 0) return xn_walk_damaged(w);
        return xn_walk_put(w, index_of(w->map, key + 8), child, xn_le(key, 4), (uint32_t)xn_le(key + 4, 4));
    }
    if (s.low == NULL || compare(w, key, s.low) > 0) s.low = key;
    if (s.high == NULL || compare(w, next, s.high) < 0) s.high = next;
    return node1(w, child, level - 1, s);
}

static bool entries1(xn_walk *w, const uint8_t *p, unsigned n, int level, span s)
{
    size_t key = 8 + 8 * ((size_t)w->map->rank + 1), pair = key + (size_t)w->address_bytes;
    for (unsigned i = 0; level > 0 && i < n; i++)
        xn_walk_ahead(w, xn_walk_address(w, p + i * pair + key), USUAL_ENTRIES * pair);
    for (unsigned i = 0; i < n; i++, p += pair) {
        uint64_t child = xn_walk_address(w, p + key);
        if (child == XN_NOWHERE || !entry1(w, p, p + pair, child, level, s)) return false;
    }
    return true;
}

static bool node1(xn_walk *w, uint64_t address, int level, span s) // level < 0: the root, any level
{
    size_t head = 8 + 2 * (size_t)w->address_bytes, key = 16 + 8 * (size_t)w->map->rank;
    size_t entry = key + (size_t)w->address_bytes;
    uint64_t room = (uint64_t)(w->f->bytes - w->f->base);
    if (address > room || room - address < head) return false;
    // More than the head is read at once where the file goes on; only what belongs to the node counts as read.
    size_t n = head + USUAL_ENTRIES * entry + key;
    if (n > room - address) n = (size_t)(room - address);
    int64_t left = w->left;
    uint8_t *bytes = xn_alloc(n, 1);
    w->left += (int64_t)n;
    bool good = bytes && xn_walk_read(w, address, bytes, n);
    w->left = left;
    unsigned entries = good ? (unsigned)xn_le(bytes + 6, 2) : 0;
    size_t used = head + entries * entry + (entries ? key : 0);
    good = good && memcmp(bytes, "TREE", 4) == 0 && bytes[4] == 1 && used <= room - address && (int64_t)used <= left;
    good = good && bytes[5] <= DEEPEST && (level < 0 || bytes[5] == level);
    if (good) w->left -= (int64_t)used;
    if (good && used > n) {
        uint8_t *more = xn_realloc(bytes, used, 1);
        good = more && xn_walk_read(w, address + n, more + n, used - n);
        if (more) bytes = more;
    }
    good = good && entries1(w, bytes + head, entries, bytes[5], s);
    xn_free(bytes);
    return good;
}

bool xn_walk_tree1(xn_walk *w, uint64_t root) { return node1(w, root, -1, (span){NULL, NULL}); }

// ---- version 2

typedef struct {
    xn_walk *w;
    int type;
    size_t node, record; // bytes
    int count_bytes;     // of the number of records in a node
    uint64_t records;    // seen
    struct {
        uint64_t most;   // records in a node of this level
        int total_bytes; // of the number of records in and below one
    } level[DEEPEST + 1];
} tree;

static int bytes_for(uint64_t most) { return xn_log2(most) / 8 + 1; }

static size_t pointer_bytes(const tree *t, int level)
{
    int total_bytes = level > 1 ? t->level[level - 1].total_bytes : 0;
    return (size_t)t->w->address_bytes + (size_t)t->count_bytes + (size_t)total_bytes;
}

// What fits into a node on each level; false: too much to be true.
static bool measure(tree *t, int depth)
{
    size_t node = t->node;
    if (node < 10 + t->record || depth > DEEPEST) return false;
    uint64_t most = (node - 10) / t->record, total = most;
    t->level[0].most = most;
    t->count_bytes = bytes_for(most);
    for (int i = 1; i <= depth; i++) {
        size_t pointer = pointer_bytes(t, i);
        if (node < 10 + 2 * pointer + t->record) return false;
        most = (node - 10 - pointer) / (t->record + pointer);
        t->level[i].most = most;
        if (__builtin_mul_overflow(total, most + 1, &total) || __builtin_add_overflow(total, most, &total))
            return false;
        t->level[i].total_bytes = bytes_for(total);
    }
    return true;
}

static bool put_record(const tree *t, const uint8_t *p)
{
    const xn_chunk_map *map = t->w->map;
    const uint8_t *place = p + t->record - 8 * (size_t)map->rank;
    int64_t index = 0;
    for (int i = 0; i < map->rank; i++) {
        uint64_t at = xn_le(place + 8 * i, 8);
        if (at >= (uint64_t)map->grid[i]) return true; // beyond the present extent
        index = index * map->grid[i] + (int64_t)at;
    }
    return xn_walk_put_element(t->w, index, p);
}

static bool node2(tree *t, uint64_t address, uint64_t records, int level)
{
    size_t pointer = level > 0 ? pointer_bytes(t, level) : 0;
    if (records > t->level[level].most) return false;
    size_t n = 6 + records * t->record + (level > 0 ? (records + 1) * pointer : 0) + 4;
    uint8_t *bytes = xn_walk_take(t->w, address, n);
    if (bytes == NULL) return false;
    bool good = memcmp(bytes, level > 0 ? "BTIN" : "BTLF", 4) == 0 && bytes[4] == 0 && bytes[5] == t->type;
    const uint8_t *p = bytes + 6;
    for (uint64_t i = 0; good && i < records; i++, p += t->record) good = put_record(t, p);
    for (uint64_t i = 0; good && level > 0 && i <= records; i++)
        xn_walk_ahead(t->w, xn_walk_address(t->w, p + i * pointer), t->node);
    for (uint64_t i = 0; good && level > 0 && i <= records; i++, p += pointer)
        good = node2(t, xn_walk_address(t->w, p), xn_le(p + t->w->address_bytes, t->count_bytes), level - 1);
    t->records += records;
    xn_free(bytes);
    return good;
}

bool xn_walk_tree2(xn_walk *w, uint64_t address)
{
    size_t a = (size_t)w->address_bytes, l = (size_t)w->length_bytes;
    uint8_t *h = xn_walk_take(w, address, 22 + a + l);
    tree t = {.w = w, .type = w->filtered ? 11 : 10};
    t.record = a + (w->filtered ? (size_t)w->size_bytes + 4 : 0) + 8 * (size_t)w->map->rank;
    bool good = h && memcmp(h, "BTHD", 4) == 0 && h[4] == 0 && h[5] == t.type && xn_le(h + 10, 2) == t.record;
    int depth = good ? (int)xn_le(h + 12, 2) : 0;
    t.node = good ? (size_t)xn_le(h + 6, 4) : 0;
    good = good && measure(&t, depth);
    uint64_t root = good ? xn_walk_address(w, h + 16) : XN_NOWHERE;
    if (root != XN_NOWHERE) good = node2(&t, root, xn_le(h + 16 + a, 2), depth);
    good = good && t.records == xn_le(h + 18 + a, (int)l);
    xn_free(h);
    return good;
}
