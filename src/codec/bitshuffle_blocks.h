// SPDX-License-Identifier: BSD-3-Clause
// bitshuffle_blocks.h -- a chunk of the filter bitshuffle decoded block by block, as its bytes come in.
//
// A block is some KiB: what is decoded can be used while it lies in the nearest cache, and the whole chunk need not be
// in memory.  begin reads the header, which stands in front of the blocks; then decode takes one block after the other
// until none is left.
#ifndef XN_CODEC_BITSHUFFLE_BLOCKS_H
#define XN_CODEC_BITSHUFFLE_BLOCKS_H

#include "codec/filter.h"

typedef struct xn_bitshuffle_blocks {
    size_t elem, block; // bytes of an element; elements of a block
    unsigned compression;
    size_t left; // elements to come
} xn_bitshuffle_blocks;

// Bytes of the header.
size_t xn_bitshuffle_header(const xn_filter *filter);
// src: the chunk, n bytes of it (all, where there is no header). room: of the whole answer. NULL or what is wrong.
const char *xn_bitshuffle_begin(const xn_filter *filter, const uint8_t *src, size_t n, size_t room,
                                xn_bitshuffle_blocks *blocks);
// Bytes that the next block decodes to.
size_t xn_bitshuffle_next(const xn_bitshuffle_blocks *blocks);
// Bytes of the next block in the chunk, of which n are at src: at least those, where they do not tell yet.
size_t xn_bitshuffle_needs(const xn_bitshuffle_blocks *blocks, const uint8_t *src, size_t n);
// Decodes it. NULL or what is wrong.
const char *xn_bitshuffle_decode(xn_codec *codec, xn_bitshuffle_blocks *blocks, const uint8_t *src, size_t n,
                                 uint8_t *dst);

#endif
