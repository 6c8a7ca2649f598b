// SPDX-License-Identifier: BSD-3-Clause
// filter.h -- decoding of stored chunks outside the HDF5 library, on nothing but bytes.
//
// One table (filter.c) names every filter and its decoder; a further one is one line there.  Decoders are
// given where to write and how much fits, never trust a size in the data beyond that, take no lock, and
// return NULL or a static text saying what is wrong: xn_codec_no_memory itself where memory was short.
#ifndef XN_CODEC_FILTER_H
#define XN_CODEC_FILTER_H

#include "codec/codec.h"
#include "core/core.h"
#include "core/type.h"

// Registered numbers of filters (HDFGroup/hdf5_plugins, RegisteredFilterPlugins).
enum {
    XN_FILTER_GZIP = 1,
    XN_FILTER_SHUFFLE = 2,
    XN_FILTER_FLETCHER32 = 3,
    XN_FILTER_SZIP = 4,
    XN_FILTER_NBIT = 5,
    XN_FILTER_SCALEOFFSET = 6,
    XN_FILTER_BZIP2 = 307,
    XN_FILTER_LZF = 32000,
    XN_FILTER_BLOSC = 32001,
    XN_FILTER_LZ4 = 32004,
    XN_FILTER_BITSHUFFLE = 32008,
    XN_FILTER_ZFP = 32013,
    XN_FILTER_ZSTD = 32015,
    XN_FILTER_BLOSC2 = 32026
};

enum { XN_FILTERS_MAX = 8, XN_FILTER_VALUES_MAX = 32, XN_FILTER_SLACK = 64 };

typedef struct xn_filter xn_filter;

// Decodes n bytes; *written <= room.
typedef const char *(*xn_decoder)(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                  size_t room, size_t *written);

struct xn_filter {
    int id;
    unsigned n_values, values[XN_FILTER_VALUES_MAX];
    xn_decoder decode; // NULL: the table's
};

typedef struct xn_pipeline {
    int n;
    xn_filter filter[XN_FILTERS_MAX]; // in writing order
    bool known;                       // every filter can be decoded here
} xn_pipeline;

// Undoes the filters not masked out; exactly n_dst bytes must come out. src is not changed and does not overlap dst.
const char *xn_pipeline_decode(xn_codec *codec, const xn_pipeline *pipeline, uint32_t mask, const uint8_t *src,
                               size_t n, uint8_t *dst, size_t n_dst);

const char *xn_filter_name(int id); // NULL: unknown
xn_decoder xn_filter_decoder(int id);

// shuffle in filter.c, gzip in gzip.c, bitshuffle in bitshuffle_frame.c, blosc in blosc_frame.c, others in plain.c
const char *xn_decode_gzip(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                           size_t room, size_t *written);
const char *xn_decode_bitshuffle(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                 size_t room, size_t *written);
const char *xn_decode_lz4(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                          size_t room, size_t *written);
const char *xn_decode_lzf(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                          size_t room, size_t *written);
const char *xn_decode_zstd(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                           size_t room, size_t *written);
const char *xn_decode_blosc(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                            size_t room, size_t *written);

// Bytes a chunk decodes to by its own header (0: no idea); never to be trusted as a size of memory to write in
// without that much room. For the library, which does not tell its filters.
size_t xn_decoded_size(const xn_filter *filter, const uint8_t *src, size_t n);

// Encodes n elements of elem bytes as the bitshuffle+LZ4 filter (id 32008) stores them. dst needs
// xn_encode_bslz4_bound bytes; returns bytes written, 0 on failure. Thread-safe.
size_t xn_encode_bslz4_bound(size_t n, size_t elem);
size_t xn_encode_bslz4(const void *src, size_t n, size_t elem, void *dst);

static inline uint32_t xn_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t xn_be64(const uint8_t *p) { return (uint64_t)xn_be32(p) << 32 | xn_be32(p + 4); }
static inline void xn_put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}
static inline void xn_put_be64(uint8_t *p, uint64_t v)
{
    xn_put_be32(p, (uint32_t)(v >> 32));
    xn_put_be32(p + 4, (uint32_t)v);
}

#endif
