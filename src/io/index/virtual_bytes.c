// SPDX-License-Identifier: BSD-3-Clause
// virtual_bytes.c -- the list of a virtual dataset as it is stored: an object of a global heap.
//
// The layout message (version 4, class 3) has the address of a heap collection and a number in it.  The object is a
// version, the number of entries, then for each the names of file and dataset, ended by a zero, and the selections in
// source and virtual dataset; at its end a checksum (HDF5 file format specification, version 3.0, III.E "Global Heap",
// VII "Virtual Dataset").  The library copies the whole list whenever it is asked for the properties, and each
// selection again; here thousands of entries cost no more than reading them.
//
// A selection is none, all, points, a regular hyperslab, or blocks: in the older form regular ones are blocks, too, and
// are made one here again if they are a grid.
#include <string.h>

#include "io/index/chunk_index_walk.h"
#include "io/index/lookup3.h"
#include "io/index/virtual_list.h"

enum { NONE, POINTS, SLABS, ALL, REGULAR = 1, RANK_MAX = 32 };

typedef struct {
    const uint8_t *p, *end;
    bool good;
} cursor;

static uint64_t number(cursor *c, int bytes)
{
    if (!c->good || c->end - c->p < bytes) return c->good = false, 0;
    c->p += bytes;
    return xn_le(c->p - bytes, bytes);
}

static const char *text(cursor *c)
{
    const uint8_t *zero = c->good ? memchr(c->p, 0, (size_t)(c->end - c->p)) : NULL;
    if (zero == NULL) return c->good = false, NULL;
    const char *s = (const char *)c->p;
    c->p = zero + 1;
    return s;
}

static void skip(cursor *c, uint64_t items, uint64_t bytes)
{
    uint64_t n;
    if (!c->good || __builtin_mul_overflow(items, bytes, &n) || n > (uint64_t)(c->end - c->p))
        c->good = false;
    else
        c->p += n;
}

// ---- selections

static int64_t extent(uint64_t v, int bytes)
{
    uint64_t all = bytes == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * bytes)) - 1;
    return v == all ? XN_UNLIMITED : v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static void regular(cursor *c, xn_pick *pick, int rank, int bytes)
{
    xn_slab *s = &pick->slab;
    bool any = true;
    int unlimited = 0;
    for (int k = 0; k < rank; k++) {
        uint64_t v[4];
        for (int i = 0; i < 4; i++) v[i] = number(c, bytes);
        if (rank > XANI_MAX_RANK || !c->good) continue;
        s->start[k] = v[0] > INT64_MAX ? INT64_MAX : (int64_t)v[0];
        s->stride[k] = v[1] > INT64_MAX ? INT64_MAX : (int64_t)v[1];
        s->count[k] = extent(v[2], bytes);
        s->block[k] = extent(v[3], bytes);
        any = any && s->count[k] != 0 && s->block[k] != 0;
        bool first = s->count[k] == XN_UNLIMITED, second = s->block[k] == XN_UNLIMITED;
        if (first || second) pick->unlimited = k;
        unlimited += first + second;
    }
    if (rank > XANI_MAX_RANK || unlimited > 1)
        pick->unlimited = -1;
    else
        pick->kind = any ? XN_PICK_SLAB : XN_PICK_NONE;
    s->rank = rank;
    if (pick->kind != XN_PICK_SLAB) pick->unlimited = -1;
}

// Block i as stored: first and last element along all axes.
typedef struct {
    const uint8_t *p;
    int rank, bytes;
} blocks;

// -1: larger than any place in a dataset, where sums could overflow
static int64_t low(const blocks *b, uint64_t i, int k)
{
    uint64_t v = xn_le(b->p + (i * 2 * (uint64_t)b->rank + (uint64_t)k) * (uint64_t)b->bytes, b->bytes);
    return v < (uint64_t)1 << 56 ? (int64_t)v : -1;
}
static int64_t high(const blocks *b, uint64_t i, int k) { return low(b, i, k + b->rank); }

// Blocks in C order that are a grid: along each axis as many as follow the first one at one distance.
static bool grid_of(const blocks *b, uint64_t n, xn_slab *s)
{
    uint64_t step = 1;
    s->rank = b->rank;
    for (int k = b->rank - 1; k >= 0; k--) {
        s->start[k] = low(b, 0, k);
        s->count[k] = 1;
        if (s->start[k] < 0 || high(b, 0, k) < s->start[k]) return false;
        s->block[k] = s->stride[k] = high(b, 0, k) - s->start[k] + 1;
        if (step < n && low(b, step, k) > s->start[k]) s->stride[k] = low(b, step, k) - s->start[k];
        if (s->stride[k] < s->block[k]) return false;
        uint64_t i = step;
        for (; i < n && low(b, i, k) - s->start[k] == s->count[k] * s->stride[k]; i += step) s->count[k]++;
        step = i < n ? i : n;
    }
    if (step != n) return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t rest = i;
        for (int k = b->rank - 1; k >= 0; k--) {
            int64_t at = s->start[k] + (int64_t)(rest % (uint64_t)s->count[k]) * s->stride[k];
            rest /= (uint64_t)s->count[k];
            if (low(b, i, k) != at || high(b, i, k) != at + s->block[k] - 1) return false;
        }
    }
    return true;
}

static void irregular(cursor *c, xn_pick *pick, int rank, int bytes)
{
    uint64_t n = number(c, bytes);
    blocks b = {c->p, rank, bytes};
    skip(c, n, 2 * (uint64_t)rank * (uint64_t)bytes);
    if (!c->good) return;
    if (n == 0) pick->kind = XN_PICK_NONE;
    if (n > 0 && rank <= XANI_MAX_RANK && grid_of(&b, n, &pick->slab)) pick->kind = XN_PICK_SLAB;
}

static void slabs(cursor *c, xn_pick *pick)
{
    uint64_t version = number(c, 4), flags = 0;
    int bytes = version == 1 ? 4 : 8;
    if (version >= 2) flags = number(c, 1);
    if (version == 3)
        bytes = (int)number(c, 1);
    else
        skip(c, version == 1 ? 8 : 4, 1); // reserved, length
    uint64_t rank = number(c, 4);
    c->good = c->good && version >= 1 && version <= 3 && flags <= REGULAR && rank >= 1 && rank <= RANK_MAX &&
              (bytes == 2 || bytes == 4 || bytes == 8);
    if (!c->good) return;
    if (flags & REGULAR)
        regular(c, pick, (int)rank, bytes);
    else
        irregular(c, pick, (int)rank, bytes);
}

static void points(cursor *c)
{
    uint64_t version = number(c, 4);
    int bytes = 4;
    if (version == 2)
        bytes = (int)number(c, 1);
    else
        skip(c, 8, 1);
    uint64_t rank = number(c, 4);
    c->good = c->good && version >= 1 && version <= 2 && rank >= 1 && rank <= RANK_MAX &&
              (bytes == 2 || bytes == 4 || bytes == 8);
    uint64_t n = number(c, c->good ? bytes : 1);
    skip(c, n, rank * (uint64_t)bytes);
}

static void selection(cursor *c, xn_pick *pick)
{
    *pick = (xn_pick){.kind = XN_PICK_OTHER, .unlimited = -1};
    uint64_t kind = number(c, 4);
    if (kind == NONE || kind == ALL) {
        c->good = c->good && number(c, 4) == 1;
        skip(c, 8, 1);
        pick->kind = kind == NONE ? XN_PICK_NONE : XN_PICK_ALL;
    } else if (kind == SLABS)
        slabs(c, pick);
    else if (kind == POINTS)
        points(c);
    else
        c->good = false;
}

// ---- the list

bool xn_virtual_bytes_next(xn_virtual_list *list, xn_entry *entry)
{
    if (list->next >= list->n) return false;
    cursor c = {list->bytes + (list->next == 0 ? list->first : list->at), list->bytes + list->size - 4, true};
    entry->file = text(&c);
    entry->dataset = text(&c);
    selection(&c, &entry->from);
    selection(&c, &entry->to);
    list->at = (size_t)(c.p - list->bytes);
    list->next++;
    return c.good;
}

bool xn_virtual_list_parse(xn_virtual_list *list, uint8_t *bytes, size_t n, int length_bytes)
{
    xn_entry entry;
    size_t head = 1 + (size_t)length_bytes;
    *list = (xn_virtual_list){.created = H5I_INVALID_HID, .bytes = bytes, .size = n, .first = head, .at = head};
    bool good = n >= head + 4 && bytes[0] == 0;
    uint64_t entries = good ? xn_le(bytes + 1, length_bytes) : 0;
    list->n = (size_t)entries;
    good = good && entries <= n; // each has bytes
    while (good && list->next < list->n) good = xn_virtual_bytes_next(list, &entry);
    good = good && list->at == n - 4;
    list->next = 0;
    if (!good) xn_virtual_list_close(list);
    return good;
}

// Object `index` of the heap collection at `address`. NULL: not there.
static uint8_t *heap_object(xn_walk *w, uint64_t address, uint64_t index, size_t *n)
{
    uint8_t head[16];
    int l = w->length_bytes;
    if (!xn_walk_read(w, address, head, 8 + (size_t)l) || memcmp(head, "GCOL", 4) != 0 || head[4] != 1) return NULL;
    const uint64_t header = 16; // of the collection and of each object, in steps of eight bytes for any l
    for (uint64_t size = xn_le(head + 8, l), at = header; at + header <= size;) {
        if (!xn_walk_read(w, address + at, head, (size_t)header)) return NULL;
        uint64_t found = xn_le(head, 2), bytes = xn_le(head + 8, l);
        at += header;
        if (bytes > size - at || found == 0) return NULL; // 0: free space, the last one
        if (found == index) {
            *n = (size_t)bytes;
            return xn_walk_take(w, address + at, (size_t)bytes);
        }
        at += (bytes + 7) / 8 * 8;
    }
    return NULL;
}

bool xn_virtual_list_read(xn_virtual_list *list, const xn_chunk_file *f, uint64_t header)
{
    xn_walk w;
    xn_layout_message layout = {.n = 0};
    const uint8_t *b = layout.bytes;
    *list = (xn_virtual_list){.created = H5I_INVALID_HID};
    if (!xn_walk_start(&w, f) || !xn_walk_layout(&w, header, &layout)) return false;
    size_t a = (size_t)w.address_bytes, n;
    if (b[0] != 4 || b[1] != 3 || layout.n < 6 + a) return false;
    uint64_t heap = xn_walk_address(&w, b + 2);
    if (heap == XN_NOWHERE) return false; // an empty list: there is nothing to gain
    uint8_t *bytes = heap_object(&w, heap, xn_le(b + 2 + a, 4), &n);
    return bytes && xn_virtual_list_parse(list, bytes, n, w.length_bytes);
}
