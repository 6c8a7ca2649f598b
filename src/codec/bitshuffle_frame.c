// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_frame.c -- the filter bitshuffle (32008), alone and with LZ4 or zstd.
//
// Filter values: major, minor, element size, elements of a block (0: default), compression (0, 2 LZ4, 3 zstd).
// Compressed: total bytes (u64), block bytes (u32), then each block as length (u32) and data; big-endian.
// Blocks are full ones, one of what is left rounded down to 8 elements, and the last < 8 elements as they
// are.  Uncompressed: no header, blocks by the filter values (K. Masui et al., Astron. Comput. 12, 181, 2015).
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#include "codec/bitshuffle.h"
#include "codec/filter.h"

enum { LZ4 = 2, ZSTD = 3, STACK = 16384, LARGEST_ELEMENT = 1 << 16 };

typedef struct {
    size_t elem, block; // bytes of an element, elements of a block
    unsigned compression;
    uint8_t *packed, *planes; // one block each
    bool stream;
    ZSTD_DCtx *zstd;
} frame;

// One block of n elements: decompressed to b->packed, then put in order. Moves *src; NULL or what is wrong.
static const char *decode_block(const frame *b, const uint8_t **src, const uint8_t *end, uint8_t *dst, size_t n)
{
    size_t bytes = n * b->elem;
    if (b->compression == 0) {
        if ((size_t)(end - *src) < bytes) return "bitshuffle data end early";
        xn_bits_unshuffle(*src, dst, b->planes, n, b->elem, b->stream);
        *src += bytes;
        return NULL;
    }
    if (end - *src < 4) return "bitshuffle data end early";
    size_t length = xn_be32(*src);
    *src += 4;
    if ((size_t)(end - *src) < length) return "bitshuffle data end early";
    bool good;
    if (b->compression == LZ4)
        good = xn_lz4_decode(*src, length, b->packed, bytes);
    else
        good = ZSTD_decompressDCtx(b->zstd, b->packed, bytes, *src, length) == bytes; // errors are huge numbers
    if (!good) return b->compression == LZ4 ? "LZ4 block is damaged" : "zstd block is damaged";
    xn_bits_unshuffle(b->packed, dst, b->planes, n, b->elem, b->stream);
    *src += length;
    return NULL;
}

static const char *decode_blocks(const frame *b, const uint8_t *src, const uint8_t *end, uint8_t *dst, size_t n)
{
    while (n >= 8) {
        size_t count = n < b->block ? n & ~(size_t)7 : b->block;
        const char *why = decode_block(b, &src, end, dst, count);
        if (why) return why;
        dst += count * b->elem;
        n -= count;
    }
    if ((size_t)(end - src) < n * b->elem) return "bitshuffle data end early";
    memcpy(dst, src, n * b->elem);
    return NULL;
}

const char *xn_decode_bitshuffle(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                 size_t room, size_t *written)
{
    if (filter->n_values < 3 || filter->values[2] == 0 || filter->values[2] > LARGEST_ELEMENT)
        return "bitshuffle has no element size";
    frame b = {.elem = filter->values[2], .compression = filter->n_values > 4 ? filter->values[4] : 0};
    if (b.compression != 0 && b.compression != LZ4 && b.compression != ZSTD) return "unknown bitshuffle compression";
    b.block = filter->n_values > 3 ? filter->values[3] : 0;
    const uint8_t *end = src + n;
    uint64_t total = n;
    if (b.compression) {
        if (n < 12) return "bitshuffle header is missing";
        total = xn_be64(src);
        b.block = xn_be32(src + 8) / b.elem;
        src += 12;
    }
    if (b.block == 0) b.block = xn_bitshuffle_block(b.elem);
    if (total > room || total % b.elem || b.block % 8) return "bitshuffle header is damaged";
    if (b.block > total / b.elem) b.block = (size_t)(total / b.elem) & ~(size_t)7; // never more memory than the chunk's
    size_t bytes = b.block * b.elem;
    if (bytes > INT32_MAX) return "bitshuffle block is too large";
    b.packed = xn_codec_memory(codec, XN_CODEC_BLOCK, 2 * bytes + XN_LZ4_SLACK);
    if (b.compression == ZSTD) b.zstd = xn_codec_zstd(codec);
    if (b.packed == NULL || (b.compression == ZSTD && b.zstd == NULL)) return xn_codec_no_memory;
    b.planes = b.packed + bytes + XN_LZ4_SLACK;
    b.stream = xn_codec_streams(codec);
    *written = (size_t)total;
    const char *why = decode_blocks(&b, src, end, dst, (size_t)total / b.elem);
    if (b.stream) xn_stream_end();
    return why;
}
