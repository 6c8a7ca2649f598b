// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_encode.c -- the filter bitshuffle (32008) with LZ4 or zstd, writing; its format: bitshuffle_frame.c.
//
// Blocks are of the size the filter's authors choose by default, 8 KiB, whatever the pipeline says: readers take it
// from the chunk's header.  zstd works with a context of the codec; LZ4 needs none.
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#include "codec/bitshuffle.h"
#include "codec/encode.h"

enum { LZ4 = 2, ZSTD = 3, ZSTD_LEVEL = 3, STACK = 16384, LARGEST_ELEMENT = 1 << 16 };

size_t xn_bitshuffle_block(size_t elem)
{
    size_t n = (8192 / elem) & ~(size_t)7;
    return n < 128 ? 128 : n;
}

typedef struct {
    ZSTD_CCtx *zstd; // NULL: LZ4
    int level;
    size_t elem, block;
    uint8_t *shuffled, *planes; // one block each
} frame;

static size_t block_bound(const frame *b)
{
    size_t bytes = b->block * b->elem;
    return b->zstd ? ZSTD_compressBound(bytes) : (size_t)LZ4_compressBound((int)bytes);
}

// 0: failed.
static size_t compress(const frame *b, size_t bytes, uint8_t *dst)
{
    if (b->zstd == NULL)
        return (size_t)LZ4_compress_default((const char *)b->shuffled, (char *)dst, (int)bytes,
                                            LZ4_compressBound((int)bytes));
    size_t n = ZSTD_compressCCtx(b->zstd, dst, block_bound(b), b->shuffled, bytes, b->level);
    return ZSTD_isError(n) ? 0 : n;
}

static size_t encode(const frame *b, const uint8_t *src, size_t n, uint8_t *dst)
{
    uint8_t *out = dst;
    xn_put_be64(out, (uint64_t)n * b->elem);
    xn_put_be32(out + 8, (uint32_t)(b->block * b->elem));
    out += 12;
    while (n >= 8) {
        size_t count = n < b->block ? n & ~(size_t)7 : b->block, bytes = count * b->elem;
        xn_bits_shuffle(src, b->shuffled, b->planes, count, b->elem);
        size_t length = compress(b, bytes, out + 4);
        if (length == 0) return 0;
        xn_put_be32(out, (uint32_t)length);
        out += 4 + length;
        src += bytes;
        n -= count;
    }
    memcpy(out, src, n * b->elem);
    return (size_t)(out + n * b->elem - dst);
}

size_t xn_encode_bslz4_bound(size_t n, size_t elem)
{
    if (elem == 0 || elem > LARGEST_ELEMENT) return 0;
    size_t block = xn_bitshuffle_block(elem), blocks = n / block + 1;
    return 12 + blocks * (4 + (size_t)LZ4_compressBound((int)(block * elem))) + 8 * elem;
}

size_t xn_encode_bslz4(const void *values, size_t n, size_t elem, void *dst)
{
    if (elem == 0 || elem > LARGEST_ELEMENT) return 0;
    frame b = {.elem = elem, .block = xn_bitshuffle_block(elem)};
    uint8_t small[2 * STACK], *work = b.block * elem <= STACK ? small : xn_alloc(2, b.block * elem);
    if (work == NULL) return 0;
    b.shuffled = work;
    b.planes = work + b.block * elem;
    size_t written = encode(&b, values, n, dst);
    if (work != small) xn_free(work);
    return written;
}

static unsigned value(const xn_filter *filter, unsigned i) { return filter->n_values > i ? filter->values[i] : 0; }

size_t xn_bitshuffle_bound(const xn_filter *filter, size_t n)
{
    size_t elem = value(filter, 2);
    if (elem == 0 || elem > LARGEST_ELEMENT || n % elem) return 0;
    if (value(filter, 4) == LZ4) return xn_encode_bslz4_bound(n / elem, elem);
    if (value(filter, 4) != ZSTD) return 0;
    size_t block = xn_bitshuffle_block(elem), blocks = n / elem / block + 1;
    return 12 + blocks * (4 + ZSTD_compressBound(block * elem)) + 8 * elem;
}

const char *xn_encode_bitshuffle(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                 size_t *written)
{
    if (xn_bitshuffle_bound(filter, n) == 0) return "bitshuffle cannot be written with these values";
    frame b = {.elem = value(filter, 2), .level = filter->n_values > 5 ? (int)filter->values[5] : ZSTD_LEVEL};
    b.block = xn_bitshuffle_block(b.elem);
    b.shuffled = xn_codec_memory(codec, XN_CODEC_BLOCK, 2 * b.block * b.elem);
    bool zstd = value(filter, 4) == ZSTD;
    if (zstd) b.zstd = xn_codec_zstd_encoder(codec);
    if (b.shuffled == NULL || (zstd && b.zstd == NULL)) return xn_codec_no_memory;
    b.planes = b.shuffled + b.block * b.elem;
    *written = encode(&b, src, n / b.elem, dst);
    return *written ? NULL : "bitshuffle cannot compress it";
}
