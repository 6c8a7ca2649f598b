// SPDX-License-Identifier: BSD-3-Clause
// chains.c -- see family.h: chains of filters, as facilities and h5py write them, and some only a test would.
//
// The library encodes, with Debian's plugins.  Two filters no Debian package has come from here, written plainly and
// apart from src/codec: zstd (32015) and bitshuffle+zstd (32008 with compression 3), so that H5Dread can be asked for
// those as well.  bitshuffle+zstd takes the number of a plugin, so it is registered only where a group needs it.
#include <blosc.h>
#include <zstd.h>

#include "codec/filter.h"
#include "family.h"

#define GZIP(level)                                                                                                    \
    {                                                                                                                  \
        XN_FILTER_GZIP, 1, { level }                                                                                   \
    }
#define SHUFFLE                                                                                                        \
    {                                                                                                                  \
        XN_FILTER_SHUFFLE, 0, { 0 }                                                                                    \
    }
#define SUM                                                                                                            \
    {                                                                                                                  \
        XN_FILTER_FLETCHER32, 0, { 0 }                                                                                 \
    }
#define LZF                                                                                                            \
    {                                                                                                                  \
        XN_FILTER_LZF, 0, { 0 }                                                                                        \
    }
#define LZ4(block)                                                                                                     \
    {                                                                                                                  \
        XN_FILTER_LZ4, 1, { block }                                                                                    \
    }
#define ZSTD(level)                                                                                                    \
    {                                                                                                                  \
        XN_FILTER_ZSTD, 1, { level }                                                                                   \
    }
#define BSHUF(block, compression)                                                                                      \
    {                                                                                                                  \
        XN_FILTER_BITSHUFFLE, 2, { block, compression }                                                                \
    }
#define BLOSC(shuffle, codec)                                                                                          \
    {                                                                                                                  \
        XN_FILTER_BLOSC, 7, { 0, 0, 0, 0, 5, shuffle, codec }                                                          \
    }

static const family_chain chains[] = {
    {.name = "no filter"},
    {.name = "gzip", .n = 1, .filter = {GZIP(1)}},
    {.name = "gzip 6", .n = 1, .filter = {GZIP(6)}},
    {.name = "gzip 0", .n = 1, .filter = {GZIP(0)}},
    {.name = "shuffle", .n = 1, .filter = {SHUFFLE}},
    {.name = "shuffle+gzip", .n = 2, .filter = {SHUFFLE, GZIP(4)}},
    {.name = "gzip twice", .n = 2, .filter = {GZIP(1), GZIP(9)}},
    {.name = "fletcher32", .n = 1, .filter = {SUM}},
    {.name = "gzip+fletcher32", .n = 2, .filter = {GZIP(1), SUM}},
    {.name = "fletcher32 inside gzip", .n = 2, .filter = {SUM, GZIP(1)}},
    {.name = "fletcher32 inside shuffle", .n = 2, .filter = {SUM, SHUFFLE}},
    {.name = "shuffle+gzip+fletcher32", .n = 3, .filter = {SHUFFLE, GZIP(9), SUM}},
    {.name = "shuffle+fletcher32+gzip", .n = 3, .filter = {SHUFFLE, SUM, GZIP(1)}},
    {.name = "lzf", .n = 1, .filter = {LZF}},
    {.name = "shuffle+lzf", .n = 2, .filter = {SHUFFLE, LZF}},
    {.name = "lzf+fletcher32", .n = 2, .filter = {LZF, SUM}},
    {.name = "lz4", .n = 1, .filter = {LZ4(0)}},
    {.name = "lz4 in small blocks", .n = 1, .filter = {LZ4(100)}},
    {.name = "lz4 in blocks of 3 bytes, gzip", .n = 2, .filter = {LZ4(3), GZIP(1)}},
    {.name = "shuffle+lz4+fletcher32", .n = 3, .filter = {SHUFFLE, LZ4(0), SUM}},
    {.name = "bitshuffle", .n = 1, .filter = {BSHUF(0, 0)}},
    {.name = "bitshuffle in small blocks, gzip", .n = 2, .filter = {BSHUF(64, 0), GZIP(1)}},
    {.name = "bitshuffle+lz4", .n = 1, .filter = {BSHUF(0, 2)}},
    {.name = "bitshuffle+lz4 in small blocks", .n = 1, .filter = {BSHUF(16, 2)}},
    {.name = "bitshuffle+lz4+fletcher32", .n = 2, .filter = {BSHUF(0, 2), SUM}},
    {.name = "bitshuffle+zstd", .n = 1, .own = true, .filter = {BSHUF(0, 3)}},
    {.name = "bitshuffle+zstd in small blocks", .n = 1, .own = true, .filter = {BSHUF(128, 3)}},
    {.name = "zstd", .n = 1, .own = true, .filter = {ZSTD(3)}},
    {.name = "shuffle+zstd+fletcher32", .n = 3, .own = true, .filter = {SHUFFLE, ZSTD(1), SUM}},
    {.name = "blosc: blosclz", .n = 1, .filter = {BLOSC(BLOSC_NOSHUFFLE, BLOSC_BLOSCLZ)}},
    {.name = "blosc: shuffle, lz4", .n = 1, .filter = {BLOSC(BLOSC_SHUFFLE, BLOSC_LZ4)}},
    {.name = "blosc: bitshuffle, lz4", .n = 1, .filter = {BLOSC(BLOSC_BITSHUFFLE, BLOSC_LZ4)}},
    {.name = "blosc: shuffle, lz4hc", .n = 1, .filter = {BLOSC(BLOSC_SHUFFLE, BLOSC_LZ4HC)}},
    {.name = "blosc: shuffle, zlib", .n = 1, .filter = {BLOSC(BLOSC_SHUFFLE, BLOSC_ZLIB)}},
    {.name = "blosc: bitshuffle, zstd, fletcher32", .n = 2, .filter = {BLOSC(BLOSC_BITSHUFFLE, BLOSC_ZSTD), SUM}},
    {.name = "bzip2", .n = 1, .filter = {{XN_FILTER_BZIP2, 1, {9}}}},
    {.name = "scaleoffset", .n = 1, .numbers = true, .whole = true, .filter = {{XN_FILTER_SCALEOFFSET, 2, {2, 0}}}},
    {.name = "scaleoffset+gzip",
     .n = 2,
     .numbers = true,
     .whole = true,
     .filter = {{XN_FILTER_SCALEOFFSET, 2, {2, 0}}, GZIP(1)}},
    {.name = "scaleoffset of decimals",
     .n = 1,
     .numbers = true,
     .lossy = true,
     .filter = {{XN_FILTER_SCALEOFFSET, 2, {0, 2}}}},
    {.name = "nbit", .n = 1, .filter = {{XN_FILTER_NBIT, 0, {0}}}},
    {.name = "nbit+gzip+fletcher32", .n = 3, .filter = {{XN_FILTER_NBIT, 0, {0}}, GZIP(1), SUM}},
    {.name = "szip", .n = 1, .filter = {{XN_FILTER_SZIP, 2, {32, 8}}}},
    {.name = "szip+fletcher32", .n = 2, .filter = {{XN_FILTER_SZIP, 2, {4, 4}}, SUM}},
};

int family_chains(void) { return sizeof chains / sizeof chains[0]; }
const family_chain *family_chain_at(int index) { return &chains[index]; }

// ---- the test's own filters: zstd, and bitshuffle+zstd, bit by bit

static size_t give(void *memory, size_t bytes, size_t *room, void **buffer)
{
    H5free_memory(*buffer);
    *buffer = memory;
    return *room = bytes;
}

static size_t zstd_filter(unsigned flags, size_t n_values, const unsigned values[], size_t n, size_t *room,
                          void **buffer)
{
    bool back = flags & H5Z_FLAG_REVERSE;
    size_t most = back ? (size_t)ZSTD_getFrameContentSize(*buffer, n) : ZSTD_compressBound(n);
    void *memory = H5allocate_memory(most, false);
    size_t bytes = back ? ZSTD_decompress(memory, most, *buffer, n)
                        : ZSTD_compress(memory, most, *buffer, n, n_values ? (int)values[0] : 1);
    if (!ZSTD_isError(bytes)) return give(memory, bytes, room, buffer);
    H5free_memory(memory);
    return 0;
}

// One block of n elements (a multiple of 8): bit b of element i goes to bit i % 8 of byte b * n / 8 + i / 8, where
// bits are counted through the bytes of an element.
static void transpose(const uint8_t *elements, uint8_t *rows, size_t n, size_t elem, bool back)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < 8 * elem; b++) {
            size_t byte = i * elem + b / 8, row = b * (n / 8) + i / 8;
            if (back)
                rows[byte] |= (uint8_t)((elements[row] >> i % 8 & 1) << b % 8);
            else
                rows[row] |= (uint8_t)((elements[byte] >> b % 8 & 1) << i % 8);
        }
}

static size_t shuffled_blocks(const uint8_t *src, size_t total, size_t elem, size_t block, uint8_t *dst, bool back)
{
    size_t left = total / elem, at = 0, bound = ZSTD_compressBound(block * elem);
    uint8_t *work = calloc(1, block * elem);
    const uint8_t *start = src;
    while (left >= 8) {
        size_t n = left < block ? left / 8 * 8 : block, bytes = n * elem;
        memset(work, 0, bytes);
        if (back) {
            uint32_t length = xn_be32(src);
            ZSTD_decompress(work, bytes, src + 4, length);
            memset(dst + at, 0, bytes);
            transpose(work, dst + at, n, elem, true);
            src += 4 + length;
            at += bytes;
        } else {
            transpose(src, work, n, elem, false);
            uint32_t length = (uint32_t)ZSTD_compress(dst + at + 4, bound, work, bytes, 1);
            xn_put_be32(dst + at, length);
            src += bytes;
            at += 4 + length;
        }
        left -= n;
    }
    size_t rest = total - (back ? at : (size_t)(src - start)); // as they are
    memcpy(dst + at, src, rest);
    free(work);
    return at + rest;
}

static size_t shuffled_filter(unsigned flags, size_t n_values, const unsigned values[], size_t n, size_t *room,
                              void **buffer)
{
    bool back = flags & H5Z_FLAG_REVERSE;
    size_t elem = values[2], block = n_values > 3 && values[3] ? values[3] : (8192 / elem) / 8 * 8;
    size_t total = back ? (size_t)xn_be64(*buffer) : n;
    size_t most = back ? total : 64 + 2 * n + (n / (block * elem) + 2) * (ZSTD_compressBound(block * elem) + 4);
    uint8_t *memory = H5allocate_memory(most, false);
    if (back)
        return give(memory, shuffled_blocks((uint8_t *)*buffer + 12, total, elem, block, memory, true), room, buffer);
    xn_put_be64(memory, total);
    xn_put_be32(memory + 8, (uint32_t)(block * elem));
    return give(memory, 12 + shuffled_blocks(*buffer, total, elem, block, memory + 12, false), room, buffer);
}

static herr_t shuffled_values(hid_t created, hid_t type, hid_t space)
{
    (void)space;
    unsigned flags, given[FAMILY_VALUES], values[FAMILY_VALUES + 3] = {0, 4, (unsigned)H5Tget_size(type)};
    size_t n = FAMILY_VALUES;
    if (H5Pget_filter_by_id2(created, XN_FILTER_BITSHUFFLE, &flags, &n, given, 0, NULL, NULL) < 0) return -1;
    memcpy(values + 3, given, n * sizeof given[0]);
    return H5Pmodify_filter(created, XN_FILTER_BITSHUFFLE, flags, n + 3, values);
}

bool family_chain_works(const family_chain *c)
{
    static const H5Z_class2_t zstd = {H5Z_CLASS_T_VERS, XN_FILTER_ZSTD, 1,    1,
                                      "zstd of a test", NULL,           NULL, zstd_filter};
    static const H5Z_class2_t shuffled = {
        H5Z_CLASS_T_VERS, XN_FILTER_BITSHUFFLE, 1, 1, "bitshuffle+zstd of a test", NULL,
        shuffled_values,  shuffled_filter};
    for (int i = 0; i < c->n; i++) {
        if (c->own && c->filter[i].id == XN_FILTER_ZSTD) H5Zregister(&zstd);
        if (c->own && c->filter[i].id == XN_FILTER_BITSHUFFLE) H5Zregister(&shuffled);
        if (H5Zfilter_avail(c->filter[i].id) <= 0) return false;
    }
    return true;
}

bool family_chain_set(const family_chain *c, unsigned skip, const family_type *t, hid_t created)
{
    if (c->numbers && t->kind != FAMILY_INTEGER && t->kind != FAMILY_FLOAT) return false;
    if (c->numbers && c->whole != (t->kind == FAMILY_INTEGER)) return false;
    herr_t ok = 0;
    for (int i = 0; i < c->n && ok >= 0; i++) {
        const unsigned *v = c->filter[i].values;
        if (skip >> i & 1) continue;
        switch (c->filter[i].id) {
        case XN_FILTER_SZIP:
            ok = H5Pset_szip(created, v[0], v[1]);
            break;
        case XN_FILTER_NBIT:
            ok = H5Pset_nbit(created);
            break;
        case XN_FILTER_SCALEOFFSET:
            ok = H5Pset_scaleoffset(created, (H5Z_SO_scale_type_t)v[0], (int)v[1]);
            break;
        case XN_FILTER_FLETCHER32:
            ok = H5Pset_filter(created, XN_FILTER_FLETCHER32, H5Z_FLAG_MANDATORY, 0, NULL);
            break;
        default:
            ok = H5Pset_filter(created, c->filter[i].id, H5Z_FLAG_OPTIONAL, (size_t)c->filter[i].n, v);
            break;
        }
    }
    return ok >= 0;
}
