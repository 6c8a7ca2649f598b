// SPDX-License-Identifier: BSD-3-Clause
// blosc_frame.c -- the filter blosc (32001): its container by our decoders, what is rare by the library of that name.
//
// 16 bytes of header (versions, flags, bytes of an element; bytes decoded, of a block, stored; little-endian), where
// each block starts, and blocks of one stream or, if split, one for each byte of an element: its length (i32) and data,
// stored as they are when the length is that of the result (c-blosc README_HEADER.rst and blosc.c).  A decoded block is
// byte- or bit-shuffled.  Streams of LZ4, zlib and zstd are decoded here, with the codec's contexts and vector units;
// blosclz, snappy and whatever we refuse go to the library, which has the last word.  It keeps no state in this call.
#include <blosc.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#include "codec/bitshuffle.h"
#include "codec/filter.h"

enum { HEADER = 16, SHUFFLED = 1, PLAIN = 2, BIT_SHUFFLED = 4, WHOLE = 16, SPLITS_MAX = 16, SPLIT_LEAST = 128 };
enum { LZ4 = 1, ZLIB = 3, ZSTD = 4 }; // in the upper 3 bits of the flags

typedef struct {
    xn_codec *codec;
    const uint8_t *src;
    size_t n, elem, block;
    unsigned flags, inner;
    uint8_t *packed, *planes; // a block each, slack behind the first
    ZSTD_DCtx *zstd;
} frame;

static size_t le32(const uint8_t *p)
{
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

// One stream to exactly n bytes; slack: there is room behind them.
static bool decode_stream(const frame *f, const uint8_t *src, size_t length, uint8_t *dst, size_t n, bool slack)
{
    size_t got = 0;
    if (length == n) return memcpy(dst, src, n), true;
    if (f->inner == ZSTD) return ZSTD_decompressDCtx(f->zstd, dst, n, src, length) == n; // errors are huge numbers
    if (f->inner == ZLIB) return xn_decode_gzip(f->codec, NULL, src, length, dst, n, &got) == NULL && got == n;
    if (slack) return xn_lz4_decode(src, length, dst, n);
    return LZ4_decompress_safe((const char *)src, (char *)dst, (int)length, (int)n) == (int)n;
}

static void put_in_order(const frame *f, bool bits, uint8_t *dst, size_t n)
{
    size_t count = n / f->elem, done = count * f->elem;
    if (bits && count % 8 != 0)
        done = 0; // blosc leaves such blocks as they are
    else if (bits)
        xn_bits_unshuffle(f->packed, dst, f->planes, count, f->elem, false);
    else
        xn_bytes_unshuffle(f->packed, dst, count, f->elem);
    memcpy(dst + done, f->packed + done, n - done);
}

static bool decode_block(const frame *f, size_t at, uint8_t *dst, size_t n)
{
    bool bytes = f->flags & SHUFFLED && f->elem > 1, bits = !bytes && f->flags & BIT_SHUFFLED && n >= f->elem;
    bool split = !(f->flags & WHOLE) && f->elem <= SPLITS_MAX && n / f->elem >= SPLIT_LEAST && n == f->block;
    size_t streams = split ? f->elem : 1, each = n / streams;
    uint8_t *to = bytes || bits ? f->packed : dst;
    if (each * streams != n) return false;
    for (size_t i = 0; i < streams; i++) {
        if (at > f->n - 4) return false;
        size_t length = le32(f->src + at);
        at += 4;
        if (length > f->n - at || length > INT32_MAX) return false;
        if (!decode_stream(f, f->src + at, length, to + i * each, each, to == f->packed)) return false;
        at += length;
    }
    if (to != dst) put_in_order(f, bits, dst, n);
    return true;
}

static bool decode_blocks(xn_codec *codec, const uint8_t *src, size_t n, uint8_t *dst, size_t total)
{
    frame f = {.codec = codec, .src = src, .n = n, .elem = src[3], .block = le32(src + 8), .flags = src[2]};
    f.inner = f.flags >> 5;
    if (f.flags & PLAIN || f.elem == 0 || f.block == 0 || f.block > total || total > INT32_MAX) return false;
    if (f.inner != LZ4 && f.inner != ZLIB && f.inner != ZSTD) return false;
    size_t blocks = (total + f.block - 1) / f.block;
    if ((n - HEADER) / 4 < blocks) return false;
    f.packed = xn_codec_memory(codec, XN_CODEC_BLOCK, 2 * f.block + XN_LZ4_SLACK);
    f.zstd = f.inner == ZSTD ? xn_codec_zstd(codec) : NULL;
    if (f.packed == NULL || (f.inner == ZSTD && f.zstd == NULL)) return false;
    f.planes = f.packed + f.block + XN_LZ4_SLACK;
    for (size_t i = 0; i < blocks; i++) {
        size_t first = i * f.block, bytes = total - first < f.block ? total - first : f.block;
        if (!decode_block(&f, le32(src + HEADER + 4 * i), dst + first, bytes)) return false;
    }
    return true;
}

const char *xn_decode_blosc(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                            size_t room, size_t *written)
{
    (void)filter;
    size_t total = 0;
    if (n < HEADER || blosc_cbuffer_validate(src, n, &total) != 0 || total > room) return "blosc header is damaged";
    *written = total;
    if (total == 0 || decode_blocks(codec, src, n, dst, total)) return NULL;
    int got = blosc_decompress_ctx(src, dst, room, 1);
    return got >= 0 && (size_t)got == total ? NULL : "blosc data are damaged";
}
