// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_frame.c -- the filter bitshuffle (32008), alone and with LZ4 or zstd: whole, or block after block.
//
// Filter values: major, minor, element size, elements of a block (0: default), compression (0, 2 LZ4, 3 zstd).
// Compressed: total bytes (u64), block bytes (u32), then each block as length (u32) and data; big-endian.
// Blocks are full ones, one of what is left rounded down to 8 elements, and the last < 8 elements as they
// are.  Uncompressed: no header, blocks by the filter values (K. Masui et al., Astron. Comput. 12, 181, 2015).
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#include "codec/bitshuffle.h"
#include "codec/bitshuffle_blocks.h"

enum { LZ4 = 2, ZSTD = 3, LARGEST_ELEMENT = 1 << 16, HEADER = 12 };

static unsigned compression(const xn_filter *filter) { return filter->n_values > 4 ? filter->values[4] : 0; }

size_t xn_bitshuffle_header(const xn_filter *filter) { return compression(filter) != 0 ? HEADER : 0; }

const char *xn_bitshuffle_begin(const xn_filter *filter, const uint8_t *src, size_t n, size_t room,
                                xn_bitshuffle_blocks *b)
{
    if (filter->n_values < 3 || filter->values[2] == 0 || filter->values[2] > LARGEST_ELEMENT)
        return "bitshuffle has no element size";
    *b = (xn_bitshuffle_blocks){.elem = filter->values[2], .compression = compression(filter)};
    if (b->compression != 0 && b->compression != LZ4 && b->compression != ZSTD) return "unknown bitshuffle compression";
    b->block = filter->n_values > 3 ? filter->values[3] : 0;
    uint64_t total = n;
    if (b->compression) {
        if (n < HEADER) return "bitshuffle header is missing";
        total = xn_be64(src);
        b->block = xn_be32(src + 8) / b->elem;
    }
    if (b->block == 0) b->block = xn_bitshuffle_block(b->elem);
    if (total > room || total % b->elem || b->block % 8) return "bitshuffle header is damaged";
    b->left = (size_t)total / b->elem;
    if (b->block > b->left) b->block = b->left & ~(size_t)7; // never more memory than the chunk's
    return b->block * b->elem > INT32_MAX ? "bitshuffle block is too large" : NULL;
}

size_t xn_bitshuffle_next(const xn_bitshuffle_blocks *b)
{
    size_t whole = b->left & ~(size_t)7, n = whole < b->block ? whole : b->block;
    return (b->left < 8 ? b->left : n) * b->elem;
}

size_t xn_bitshuffle_needs(const xn_bitshuffle_blocks *b, const uint8_t *src, size_t n)
{
    if (b->compression == 0 || b->left < 8) return xn_bitshuffle_next(b);
    return n < 4 ? 4 : 4 + (size_t)xn_be32(src);
}

static const char *unpack(xn_codec *codec, const xn_bitshuffle_blocks *b, const uint8_t *src, size_t n, uint8_t *dst,
                          size_t bytes)
{
    if (b->compression == LZ4) return xn_lz4_decode(src, n, dst, bytes) ? NULL : "LZ4 block is damaged";
    struct ZSTD_DCtx_s *zstd = xn_codec_zstd(codec);
    if (zstd == NULL) return xn_codec_no_memory;
    // errors are huge numbers
    return ZSTD_decompressDCtx(zstd, dst, bytes, src, n) == bytes ? NULL : "zstd block is damaged";
}

const char *xn_bitshuffle_decode(xn_codec *codec, xn_bitshuffle_blocks *b, const uint8_t *src, size_t n, uint8_t *dst)
{
    size_t bytes = xn_bitshuffle_next(b), most = b->block * b->elem;
    const uint8_t *rows = src;
    if (n < xn_bitshuffle_needs(b, src, n)) return "bitshuffle data end early";
    if (b->left < 8) {
        memcpy(dst, src, bytes);
        b->left = 0;
        return NULL;
    }
    uint8_t *packed = xn_codec_memory(codec, XN_CODEC_BLOCK, 2 * most + XN_LZ4_SLACK);
    if (packed == NULL) return xn_codec_no_memory;
    if (b->compression) {
        const char *why = unpack(codec, b, src + 4, xn_be32(src), packed, bytes);
        if (why) return why;
        rows = packed;
    }
    xn_bits_unshuffle(rows, dst, packed + most + XN_LZ4_SLACK, bytes / b->elem, b->elem, xn_codec_streams(codec));
    b->left -= bytes / b->elem;
    return NULL;
}

const char *xn_decode_bitshuffle(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                 size_t room, size_t *written)
{
    xn_bitshuffle_blocks b;
    const char *why = xn_bitshuffle_begin(filter, src, n, room, &b);
    if (why) return why;
    const uint8_t *end = src + n;
    uint8_t *to = dst;
    for (src += xn_bitshuffle_header(filter); b.left > 0;) {
        size_t needs = xn_bitshuffle_needs(&b, src, (size_t)(end - src)), bytes = xn_bitshuffle_next(&b);
        why = xn_bitshuffle_decode(codec, &b, src, (size_t)(end - src), to);
        if (why) break;
        src += needs;
        to += bytes;
    }
    if (xn_codec_streams(codec)) xn_stream_end();
    *written = (size_t)(to - dst);
    return why;
}
