// SPDX-License-Identifier: BSD-3-Clause
// encode.h -- numbers -> stored chunks: the filters of filter.h the other way round, for those we write.
//
// A chunk is encoded by the pipeline its dataset has in the file, so that what is written is what the dataset says.
// One table (encode.c) names every filter that can be written; like decoders, encoders are given where to write and how
// much fits, take no lock, and return NULL or a static text.
#ifndef XN_CODEC_ENCODE_H
#define XN_CODEC_ENCODE_H

#include "codec/filter.h"

// Room that is enough for a chunk of n bytes after all filters; 0: one of them cannot be written here.
size_t xn_pipeline_bound(const xn_pipeline *pipeline, size_t n);
// Encodes n bytes to dst, which has xn_pipeline_bound(pipeline, n) bytes.
const char *xn_pipeline_encode(xn_codec *codec, const xn_pipeline *pipeline, const uint8_t *src, size_t n, uint8_t *dst,
                               size_t *written);

// The pipelines a user may ask for, for elements of `elem` bytes: "none", "bslz4", "bszstd", "gzip" and "zstd" (both
// behind shuffle). level 0: the default one of gzip and zstd. false: no such name.
bool xn_pipeline_named(const char *name, int level, size_t elem, xn_pipeline *pipeline);
#define XN_PIPELINE_NAMES "none, bslz4, bszstd, gzip, zstd"

// bitshuffle_encode.c: bitshuffle with the compression the filter says (LZ4, zstd).
size_t xn_bitshuffle_bound(const xn_filter *filter, size_t n);
const char *xn_encode_bitshuffle(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                 size_t *written);

#endif
