// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_frame.c -- the filter bitshuffle (32008), alone and with LZ4 or zstd; encoding with LZ4.
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

static size_t default_block(size_t elem)
{
    size_t n = (8192 / elem) & ~(size_t)7;
    return n < 128 ? 128 : n;
}

typedef struct {
    size_t elem, block; // bytes of an element, elements of a block
    unsigned compression;
    uint8_t *packed, *planes; // one block each
    ZSTD_DCtx *zstd;
} frame;

// One block of n elements: decompressed to b->packed, then put in order. Moves *src; NULL or what is wrong.
static const char *decode_block(const frame *b, const uint8_t **src, const uint8_t *end, uint8_t *dst, size_t n)
{
    size_t bytes = n * b->elem;
    if (b->compression == 0) {
        if ((size_t)(end - *src) < bytes) return "bitshuffle data end early";
        xn_bits_unshuffle(*src, dst, b->planes, n, b->elem);
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
    xn_bits_unshuffle(b->packed, dst, b->planes, n, b->elem);
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
    if (b.block == 0) b.block = default_block(b.elem);
    if (total > room || total % b.elem || b.block % 8) return "bitshuffle header is damaged";
    if (b.block > total / b.elem) b.block = (size_t)(total / b.elem) & ~(size_t)7; // never more memory than the chunk's
    size_t bytes = b.block * b.elem;
    if (bytes > INT32_MAX) return "bitshuffle block is too large";
    b.packed = xn_codec_memory(codec, XN_CODEC_BLOCK, 2 * bytes + XN_LZ4_SLACK);
    if (b.compression == ZSTD) b.zstd = xn_codec_zstd(codec);
    if (b.packed == NULL || (b.compression == ZSTD && b.zstd == NULL)) return xn_codec_no_memory;
    b.planes = b.packed + bytes + XN_LZ4_SLACK;
    *written = (size_t)total;
    return decode_blocks(&b, src, end, dst, (size_t)total / b.elem);
}

size_t xn_encode_bslz4_bound(size_t n, size_t elem)
{
    if (elem == 0 || elem > LARGEST_ELEMENT) return 0;
    size_t block = default_block(elem), blocks = n / block + 1;
    return 12 + blocks * (4 + (size_t)LZ4_compressBound((int)(block * elem))) + 8 * elem;
}

size_t xn_encode_bslz4(const void *values, size_t n, size_t elem, void *dst)
{
    if (elem == 0 || elem > LARGEST_ELEMENT) return 0;
    size_t block = default_block(elem);
    uint8_t small[2 * STACK], *work = block * elem <= STACK ? small : xn_alloc(2, block * elem);
    if (work == NULL) return 0;
    const uint8_t *src = values;
    uint8_t *out = dst;
    xn_put_be64(out, (uint64_t)n * elem);
    xn_put_be32(out + 8, (uint32_t)(block * elem));
    out += 12;
    while (n >= 8) {
        size_t count = n < block ? n & ~(size_t)7 : block, bytes = count * elem;
        xn_bits_shuffle(src, work, work + block * elem, count, elem);
        int length =
            LZ4_compress_default((const char *)work, (char *)out + 4, (int)bytes, LZ4_compressBound((int)bytes));
        xn_put_be32(out, (uint32_t)length);
        out += 4 + length;
        src += bytes;
        n -= count;
    }
    memcpy(out, src, n * elem);
    if (work != small) xn_free(work);
    return (size_t)(out + n * elem - (uint8_t *)dst);
}
