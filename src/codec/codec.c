// SPDX-License-Identifier: BSD-3-Clause
// codec.c -- see codec.h.
//
// Memory grows to what is asked for and is not copied then: nobody keeps anything in it between two calls.  The pool is
// an array of places without a lock: to take is to swap a place for nothing, to give is to swap an empty place for the
// codec; where all places are taken the codec is closed.
#include "codec/codec.h"

#include <libdeflate.h>
#include <zstd.h>

#include "core/core.h"

const char xn_codec_no_memory[] = "out of memory for decoding";

struct xn_codec {
    bool stream;
    struct libdeflate_decompressor *deflate;
    ZSTD_DCtx *zstd;
    struct libdeflate_compressor *deflater;
    int deflater_level;
    ZSTD_CCtx *zstd_encoder;
    uint8_t *memory[XN_CODEC_USES];
    size_t room[XN_CODEC_USES];
};

xn_codec *xn_codec_open(void) { return xn_calloc(1, sizeof(xn_codec)); }

void xn_codec_stream(xn_codec *codec, bool stream) { codec->stream = stream; }
bool xn_codec_streams(const xn_codec *codec) { return codec->stream; }

void xn_codec_close(xn_codec **codec)
{
    xn_codec *c = *codec;
    if (c == NULL) return;
    if (c->deflate) libdeflate_free_decompressor(c->deflate);
    ZSTD_freeDCtx(c->zstd);
    if (c->deflater) libdeflate_free_compressor(c->deflater);
    ZSTD_freeCCtx(c->zstd_encoder);
    for (int i = 0; i < XN_CODEC_USES; i++) xn_free(c->memory[i]);
    xn_free(c);
    *codec = NULL;
}

xn_codec *xn_codec_take(xn_codec_pool *pool)
{
    for (int i = 0; i < XN_CODECS_IDLE; i++) {
        if (atomic_load_explicit(&pool->idle[i], memory_order_relaxed) == NULL) continue;
        xn_codec *c = atomic_exchange(&pool->idle[i], NULL);
        if (c) return c;
    }
    return xn_codec_open();
}

void xn_codec_give(xn_codec_pool *pool, xn_codec **codec)
{
    for (int i = 0; *codec && i < XN_CODECS_IDLE; i++) {
        xn_codec *none = NULL;
        if (atomic_compare_exchange_strong(&pool->idle[i], &none, *codec)) *codec = NULL;
    }
    xn_codec_close(codec);
}

void xn_codec_drain(xn_codec_pool *pool)
{
    for (int i = 0; i < XN_CODECS_IDLE; i++) {
        xn_codec *c = atomic_exchange(&pool->idle[i], NULL);
        xn_codec_close(&c);
    }
}

uint8_t *xn_codec_memory(xn_codec *c, xn_codec_use use, size_t bytes)
{
    if (bytes <= c->room[use] && c->memory[use]) return c->memory[use];
    xn_free(c->memory[use]);
    c->memory[use] = xn_alloc(bytes, 1);
    c->room[use] = c->memory[use] ? bytes : 0;
    return c->memory[use];
}

struct libdeflate_decompressor *xn_codec_deflate(xn_codec *c)
{
    if (c->deflate == NULL) c->deflate = libdeflate_alloc_decompressor();
    return c->deflate;
}

struct ZSTD_DCtx_s *xn_codec_zstd(xn_codec *c)
{
    if (c->zstd == NULL) c->zstd = ZSTD_createDCtx();
    return c->zstd;
}

struct libdeflate_compressor *xn_codec_deflater(xn_codec *c, int level)
{
    if (c->deflater && c->deflater_level != level) {
        libdeflate_free_compressor(c->deflater);
        c->deflater = NULL;
    }
    if (c->deflater == NULL) c->deflater = libdeflate_alloc_compressor(level);
    c->deflater_level = level;
    return c->deflater;
}

struct ZSTD_CCtx_s *xn_codec_zstd_encoder(xn_codec *c)
{
    if (c->zstd_encoder == NULL) c->zstd_encoder = ZSTD_createCCtx();
    return c->zstd_encoder;
}
