// SPDX-License-Identifier: BSD-3-Clause
// codec.h -- what a thread decodes (or encodes) with: decompressors and memory, made when first needed and kept.
//
// Making them for each chunk costs more than decoding a small one.  A codec belongs to one thread at a time; who has
// threads that come and go keeps idle codecs in a pool.  Memory is never larger than the chunks decoded need.
#ifndef XN_CODEC_CODEC_H
#define XN_CODEC_CODEC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct xn_codec xn_codec;

extern const char xn_codec_no_memory[]; // what decoders return then: compare the pointer

xn_codec *xn_codec_open(void); // NULL: out of memory
void xn_codec_close(xn_codec **codec);

// All zero: empty. Thread-safe; drain only when no other thread uses the pool.
enum { XN_CODECS_IDLE = 64 };
typedef struct xn_codec_pool {
    _Atomic(xn_codec *) idle[XN_CODECS_IDLE];
} xn_codec_pool;

xn_codec *xn_codec_take(xn_codec_pool *pool);              // an idle one or a new one; NULL: out of memory
void xn_codec_give(xn_codec_pool *pool, xn_codec **codec); // back; NULL is fine
void xn_codec_drain(xn_codec_pool *pool);

// Chunks decoded from now on are written past the caches by the decoders that can (bitshuffle.h): for an answer larger
// than the caches, which would be read from memory for each line before it is overwritten. Off at first.
void xn_codec_stream(xn_codec *codec, bool stream);

// ---- for the decoders

bool xn_codec_streams(const xn_codec *codec);

// Memory of the codec, kept until the next call for the same use: between filters (two in turn), within one
// (blocks; tables of deflate, which may stand within blosc).
typedef enum { XN_CODEC_EVEN, XN_CODEC_ODD, XN_CODEC_BLOCK, XN_CODEC_TABLES, XN_CODEC_USES } xn_codec_use;
uint8_t *xn_codec_memory(xn_codec *codec, xn_codec_use use, size_t bytes); // NULL: out of memory

struct libdeflate_decompressor *xn_codec_deflate(xn_codec *codec); // NULL: out of memory
struct ZSTD_DCtx_s *xn_codec_zstd(xn_codec *codec);

// ---- for the encoders

struct libdeflate_compressor *xn_codec_deflater(xn_codec *codec, int level); // NULL: out of memory
struct ZSTD_CCtx_s *xn_codec_zstd_encoder(xn_codec *codec);

#endif
