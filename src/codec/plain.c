// SPDX-License-Identifier: BSD-3-Clause
// plain.c -- the filters LZ4 (32004), LZF (32000) and zstd (32015).
//
// LZ4: total bytes (u64), block bytes (u32), then each block as length (u32) and data, stored as it is when
// the length equals the block's; big-endian.  LZF: the format of liblzf (literal runs and back references),
// written by h5py.  What a chunk says of its size, for all filters.
#include <blosc.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

#include "codec/filter.h"

const char *xn_decode_lz4(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                          size_t room, size_t *written)
{
    (void)codec, (void)filter;
    if (n < 12) return "LZ4 header is missing";
    const uint8_t *end = src + n;
    uint64_t total = xn_be64(src);
    size_t block = xn_be32(src + 8);
    src += 12;
    if (total > room || block == 0 || block > INT32_MAX) return "LZ4 header is damaged";
    for (size_t left = (size_t)total; left > 0;) {
        size_t bytes = left < block ? left : block;
        if (end - src < 4) return "LZ4 data end early";
        size_t length = xn_be32(src);
        src += 4;
        if ((size_t)(end - src) < length) return "LZ4 data end early";
        if (length == bytes)
            memcpy(dst, src, bytes);
        else if (LZ4_decompress_safe((const char *)src, (char *)dst, (int)length, (int)bytes) != (int)bytes)
            return "LZ4 block is damaged";
        src += length;
        dst += bytes;
        left -= bytes;
    }
    *written = (size_t)total;
    return NULL;
}

const char *xn_decode_lzf(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                          size_t room, size_t *written)
{
    (void)codec, (void)filter;
    const uint8_t *end = src + n;
    size_t at = 0;
    while (src < end) {
        size_t control = *src++;
        if (control < 32) { // a run of control + 1 literal bytes
            control++;
            if ((size_t)(end - src) < control || room - at < control) return "LZF data are damaged";
            memcpy(dst + at, src, control);
            src += control;
            at += control;
            continue;
        }
        size_t length = control >> 5;
        if (length == 7) {
            if (src == end) return "LZF data end early";
            length += *src++;
        }
        if (src == end) return "LZF data end early";
        size_t distance = ((control & 31) << 8 | *src++) + 1;
        length += 2;
        if (distance > at || room - at < length) return "LZF data are damaged";
        for (size_t i = 0; i < length; i++, at++) dst[at] = dst[at - distance]; // may overlap on purpose
    }
    *written = at;
    return NULL;
}

const char *xn_decode_zstd(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                           size_t room, size_t *written)
{
    (void)filter;
    ZSTD_DCtx *d = xn_codec_zstd(codec);
    if (d == NULL) return xn_codec_no_memory;
    size_t got = ZSTD_decompressDCtx(d, dst, room, src, n);
    if (ZSTD_isError(got)) return "zstd data are damaged";
    *written = got;
    return NULL;
}

size_t xn_decoded_size(const xn_filter *filter, const uint8_t *src, size_t n)
{
    switch (filter->id) {
    case XN_FILTER_LZF:
        return filter->n_values > 2 ? filter->values[2] : 0;
    case XN_FILTER_BLOSC: {
        size_t total = 0;
        return n >= BLOSC_MIN_HEADER_LENGTH && blosc_cbuffer_validate(src, n, &total) == 0 ? total : 0;
    }
    case XN_FILTER_LZ4:
        return n >= 12 ? (size_t)xn_be64(src) : 0;
    case XN_FILTER_BITSHUFFLE: {
        bool header = filter->n_values > 4 && filter->values[4] != 0;
        return !header ? n : n >= 12 ? (size_t)xn_be64(src) : 0;
    }
    case XN_FILTER_ZSTD: {
        unsigned long long total = ZSTD_getFrameContentSize(src, n);
        return total < ZSTD_CONTENTSIZE_ERROR ? (size_t)total : 0;
    }
    default:
        return 0;
    }
}
