// SPDX-License-Identifier: BSD-3-Clause
// gzip.c -- the filter gzip (1, deflate): zlib streams, by our decoder where the processor is for it, else by
// libdeflate.
//
// What ours refuses libdeflate is asked about, so that a chunk is damaged only if both say so; what ours accepts has
// the right checksum.
#include <libdeflate.h>

#include "codec/filter.h"
#include "codec/inflate.h"

static bool inflate_fast(xn_codec *codec, const uint8_t *src, size_t n, uint8_t *dst, size_t room, size_t *written)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi2")) return false;
    void *work = xn_codec_memory(codec, XN_CODEC_TABLES, xn_inflate_work());
    return work && xn_inflate_avx2(src, n, dst, room, written, work);
#else
    (void)codec, (void)src, (void)n, (void)dst, (void)room, (void)written;
    return false;
#endif
}

const char *xn_decode_gzip(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                           size_t room, size_t *written)
{
    (void)filter;
    if (inflate_fast(codec, src, n, dst, room, written)) return NULL;
    struct libdeflate_decompressor *d = xn_codec_deflate(codec);
    if (d == NULL) return xn_codec_no_memory;
    enum libdeflate_result result = libdeflate_zlib_decompress(d, src, n, dst, room, written);
    return result == LIBDEFLATE_SUCCESS ? NULL : "gzip data are damaged";
}
