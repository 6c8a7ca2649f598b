// SPDX-License-Identifier: BSD-3-Clause
// chunk_index_walk.c -- see chunk_index_walk.h: superblock, object headers, layout messages, and where they lead.
//
// The superblock tells how wide addresses and lengths are, and from version 3 on whether the file is open for writing
// (then a walk may meet a structure half written: its checksum is wrong, and the walk is tried again).  A dataset's
// object header (version 1, or 2 with signature OHDR) is a chain of messages in blocks; message 0x10 names a further
// block, message 0x08 is the layout (HDF5 file format specification, version 3.0, parts II and IV).
#include "io/index/chunk_index_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/index/lookup3.h"

enum { LAYOUT = 0x08, CONTINUATION = 0x10, CACHE_IMAGE = 0x18, BLOCKS_MAX = 64, TRIES = 6, PAUSE_US = 500 };

// ---- bytes

static bool copy(const xn_chunk_file *f, int64_t at, uint8_t *bytes, size_t n)
{
    if (f->memory) return memcpy(bytes, f->memory + at, n) == bytes;
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(f->fd, bytes + done, n - done, at + (int64_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

bool xn_walk_read(xn_walk *w, uint64_t address, void *bytes, size_t n)
{
    uint64_t room = (uint64_t)(w->f->bytes - w->f->base);
    if (n > room || address > room - n || (int64_t)n > w->left) return false;
    w->left -= (int64_t)n;
    return copy(w->f, w->f->base + (int64_t)address, bytes, n);
}

uint8_t *xn_walk_take(xn_walk *w, uint64_t address, size_t n)
{
    if ((int64_t)n < 0 || (int64_t)n > w->left) return NULL;
    uint8_t *bytes = xn_alloc(n ? n : 1, 1);
    if (bytes && xn_walk_read(w, address, bytes, n) && xn_lookup3_holds(bytes, n)) return bytes;
    xn_free(bytes);
    return NULL;
}

void xn_walk_ahead(const xn_walk *w, uint64_t address, size_t n)
{
    if (w->f->memory == NULL && address < (uint64_t)(w->f->bytes - w->f->base))
        posix_fadvise(w->f->fd, w->f->base + (int64_t)address, (off_t)n, POSIX_FADV_WILLNEED);
}

uint64_t xn_walk_address(const xn_walk *w, const uint8_t *p)
{
    uint64_t all = w->address_bytes == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * w->address_bytes)) - 1;
    uint64_t address = xn_le(p, w->address_bytes);
    return address == all ? XN_NOWHERE : address;
}

// ---- chunks

bool xn_walk_damaged(xn_walk *w)
{
    w->map->damaged = true;
    return false;
}

bool xn_walk_put(xn_walk *w, int64_t index, uint64_t address, uint64_t bytes, uint32_t mask)
{
    xn_chunk_map *map = w->map;
    if (address == XN_NOWHERE) return true;
    uint64_t room = (uint64_t)(w->f->bytes - w->f->base);
    if (address < w->first) return xn_walk_damaged(w);
    if (index < 0 || index >= map->n || bytes == 0 || bytes > UINT32_MAX || address > room) return false;
    if (map->table[index].bytes != 0) return false; // twice
    map->table[index] = (xn_chunk){w->f->base + (int64_t)address, (uint32_t)bytes, mask};
    return true;
}

bool xn_walk_put_element(xn_walk *w, int64_t index, const uint8_t *p)
{
    int a = w->address_bytes;
    uint64_t address = xn_walk_address(w, p);
    if (!w->filtered) return xn_walk_put(w, index, address, w->map->chunk_bytes, 0);
    return xn_walk_put(w, index, address, xn_le(p + a, w->size_bytes), (uint32_t)xn_le(p + a + w->size_bytes, 4));
}

// ---- object headers

typedef struct {
    xn_walk *w;
    unsigned wanted;
    uint8_t *found; // XN_LAYOUT_MAX bytes, or NULL: only whether it is there matters
    size_t n;
    bool there;
    struct {
        uint64_t address, bytes;
    } block[BLOCKS_MAX];
    int n_blocks;
} header;

// false: enough.
static bool take_message(header *h, unsigned type, const uint8_t *data, size_t n)
{
    size_t a = (size_t)h->w->address_bytes, l = (size_t)h->w->length_bytes;
    if (type == h->wanted && (h->found == NULL || n <= XN_LAYOUT_MAX)) {
        if (h->found) memcpy(h->found, data, n);
        h->n = n;
        h->there = true;
    } else if (type == CONTINUATION && n >= a + l && h->n_blocks < BLOCKS_MAX) {
        h->block[h->n_blocks].address = xn_walk_address(h->w, data);
        h->block[h->n_blocks++].bytes = xn_le(data + a, (int)l);
    }
    return !h->there;
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

// All blocks of a version 1 header.
static bool take_blocks1(header *h)
{
    for (int i = 0; i < h->n_blocks && !h->there; i++) {
        uint64_t n = h->block[i].bytes;
        if (n < 8 || n > (uint64_t)h->w->left) return false;
        uint8_t *bytes = xn_alloc((size_t)n, 1);
        bool good = bytes && xn_walk_read(h->w, h->block[i].address, bytes, (size_t)n);
        if (good) take_block(h, bytes, (size_t)n, true, 0);
        xn_free(bytes);
        if (!good) return false;
    }
    return true;
}

// All blocks of a version 2 header but the first, each with signature and checksum.
static bool take_blocks2(header *h, int order)
{
    for (int i = 0; i < h->n_blocks && !h->there; i++) {
        uint64_t n = h->block[i].bytes;
        uint8_t *bytes = n < 8 ? NULL : xn_walk_take(h->w, h->block[i].address, (size_t)n);
        bool good = bytes && memcmp(bytes, "OCHK", 4) == 0;
        if (good) take_block(h, bytes + 4, (size_t)n - 8, false, order);
        xn_free(bytes);
        if (!good) return false;
    }
    return true;
}

static bool header2(header *h, uint64_t address)
{
    uint8_t b[6], size_field[8];
    if (!xn_walk_read(h->w, address, b, sizeof b) || b[4] != 2) return false;
    int flags = b[5], size_bytes = 1 << (flags & 3);
    uint64_t at = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0);
    if (!xn_walk_read(h->w, address + at, size_field, (size_t)size_bytes)) return false;
    uint64_t size = xn_le(size_field, size_bytes), before = at + (uint64_t)size_bytes;
    if (size > (uint64_t)h->w->left) return false;
    uint8_t *bytes = xn_walk_take(h->w, address, (size_t)(before + size + 4));
    int order = flags & 4 ? 2 : 0;
    if (bytes) take_block(h, bytes + before, (size_t)size, false, order);
    xn_free(bytes);
    return bytes && take_blocks2(h, order);
}

// Looks for the message h->wanted; false: damaged.
static bool read_header(header *h, uint64_t address)
{
    uint8_t b[16];
    if (!xn_walk_read(h->w, address, b, sizeof b)) return false;
    if (memcmp(b, "OHDR", 4) == 0) return header2(h, address);
    if (b[0] != 1 || h->w->live) return false; // nothing says whether a version 1 header is whole
    h->n_blocks = 1;
    h->block[0].address = address + 16;
    h->block[0].bytes = xn_le(b + 8, 4);
    return take_blocks1(h);
}

bool xn_walk_layout(xn_walk *w, uint64_t address, xn_layout_message *layout)
{
    header h = {.w = w, .wanted = LAYOUT, .found = layout->bytes};
    memset(layout, 0, sizeof *layout);
    if (!read_header(&h, address) || !h.there || h.n < 2) return false;
    layout->n = h.n;
    return true;
}

// ---- superblock

static bool width(int bytes) { return bytes == 2 || bytes == 4 || bytes == 8; }

// Metadata may lie in an image of the library's cache instead of their places: the extension says so.
static bool has_image(xn_walk *w, uint64_t extension)
{
    header h = {.w = w, .wanted = CACHE_IMAGE};
    return extension != XN_NOWHERE && (!read_header(&h, extension) || h.there);
}

bool xn_walk_start(xn_walk *w, const xn_chunk_file *f)
{
    uint8_t b[48];
    *w = (xn_walk){.f = f, .left = INT64_MAX};
    if (f->base < 0 || f->base > f->bytes || f->bytes > INT64_MAX / 4) return false;
    w->left = 2 * f->bytes + (1 << 16);
    if (!xn_walk_read(w, 0, b, sizeof b) || memcmp(b, "\x89HDF\r\n\x1a\n", 8) != 0 || b[8] > 3) return false;
    bool old = b[8] < 2;
    w->address_bytes = b[old ? 13 : 9];
    w->length_bytes = b[old ? 14 : 10];
    if (!width(w->address_bytes) || !width(w->length_bytes)) return false;
    w->first = (old ? 24 : 16) + 4 * (uint64_t)w->address_bytes; // and more in old ones
    if (old) return true;
    size_t n = 12 + 4 * (size_t)w->address_bytes + 4;
    if (!xn_lookup3_holds(b, n)) return false;
    w->live = b[8] == 3 && (b[11] & 5) != 0;
    return !has_image(w, xn_walk_address(w, b + 12 + w->address_bytes));
}

// ---- layout

static bool same_chunk(const xn_chunk_map *map, const uint8_t *dims)
{
    for (int i = 0; i < map->rank; i++)
        if (xn_le(dims + 4 * i, 4) != (uint64_t)map->chunk[i]) return false;
    return true;
}

// Versions 1 to 3: a version 1 B-tree.
static bool classic(xn_walk *w, const xn_layout_message *layout)
{
    const uint8_t *b = layout->bytes;
    bool third = b[0] == 3;
    size_t at = third ? 3 : 8, a = (size_t)w->address_bytes;
    int class = third ? b[1] : b[2], rank = third ? b[2] : b[1];
    if (w->live || class != 2 || rank != w->map->rank + 1 || layout->n < at + a + 4 * (size_t)rank) return false;
    if (!same_chunk(w->map, b + at + a)) return false;
    uint64_t root = xn_walk_address(w, b + at);
    return root == XN_NOWHERE || xn_walk_tree1(w, root);
}

static bool walk_once(xn_chunk_map *map, const xn_chunk_file *f, uint64_t address, bool filtered, bool *live)
{
    xn_walk w;
    xn_layout_message layout = {.n = 0};
    *live = false;
    if (map->rank < 1 || map->rank > XANI_MAX_RANK || !xn_walk_start(&w, f)) return false;
    *live = w.live;
    w.map = map;
    w.filtered = filtered;
    // Bytes of a stored size: enough for chunks that grow by a byte.
    int size_bytes = 1 + (xn_log2(map->chunk_bytes) + 8) / 8;
    w.size_bytes = size_bytes > 8 ? 8 : size_bytes;
    if (!xn_walk_layout(&w, address, &layout)) return false;
    if (layout.bytes[0] >= 1 && layout.bytes[0] <= 3) return classic(&w, &layout);
    return layout.bytes[0] == 4 && xn_walk_array(&w, &layout);
}

bool xn_chunk_walk(xn_chunk_map *map, const xn_chunk_file *f, uint64_t address, bool filtered)
{
    xn_chunk_file now = *f;
    for (int i = 0; i < TRIES; i++) {
        bool live = false;
        struct stat s;
        if (i > 0) memset(map->table, 0, (size_t)map->n * sizeof *map->table);
        map->damaged = false;
        if (walk_once(map, &now, address, filtered, &live)) return true;
        if (!live || f->memory) return false;
        usleep(PAUSE_US << i); // its writer is not done
        if (fstat(f->fd, &s) == 0) now.bytes = xn_max64(now.bytes, s.st_size);
    }
    return false;
}

bool xn_chunk_file_live(const xn_chunk_file *f)
{
    xn_walk w;
    return xn_walk_start(&w, f) && w.live;
}
