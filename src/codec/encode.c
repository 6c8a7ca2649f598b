// SPDX-License-Identifier: BSD-3-Clause
// encode.c -- see encode.h: the table of what can be written, the pipeline, gzip, shuffle, zstd, the checksum.
//
// Filters run in their order; all but the last write to the two memories of the codec in turn, the last to the
// destination.  Framings are those of filter.c; a chunk that does not shrink is stored as the filter makes it, as the
// library's mandatory filters do, so that no chunk needs a filter mask.
#include "codec/encode.h"

#include <libdeflate.h>
#include <string.h>
#include <zstd.h>

#include "codec/bitshuffle.h"

enum { GZIP_LEVEL = 4, ZSTD_LEVEL = 3, BITSHUFFLE_LZ4 = 2, BITSHUFFLE_ZSTD = 3 };

typedef const char *(*encoder)(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                               size_t *written);

static size_t gzip_bound(const xn_filter *filter, size_t n)
{
    (void)filter;
    return libdeflate_zlib_compress_bound(NULL, n); // for any level
}

static const char *encode_gzip(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                               size_t *written)
{
    struct libdeflate_compressor *c = xn_codec_deflater(codec, filter->n_values ? (int)filter->values[0] : GZIP_LEVEL);
    if (c == NULL) return xn_codec_no_memory;
    *written = libdeflate_zlib_compress(c, src, n, dst, gzip_bound(filter, n));
    return *written ? NULL : "gzip cannot compress it";
}

static size_t same_bound(const xn_filter *filter, size_t n)
{
    (void)filter;
    return n;
}

static const char *encode_shuffle(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                  size_t *written)
{
    (void)codec;
    size_t elem = filter->n_values > 0 ? filter->values[0] : 1, whole = elem > 1 ? n / elem : 0;
    if (whole > 1)
        xn_bytes_shuffle(src, dst, whole, elem);
    else
        whole = 0;
    memcpy(dst + whole * elem, src + whole * elem, n - whole * elem);
    *written = n;
    return NULL;
}

static size_t zstd_bound(const xn_filter *filter, size_t n)
{
    (void)filter;
    return ZSTD_compressBound(n);
}

static const char *encode_zstd(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                               size_t *written)
{
    ZSTD_CCtx *c = xn_codec_zstd_encoder(codec);
    if (c == NULL) return xn_codec_no_memory;
    int level = filter->n_values ? (int)filter->values[0] : ZSTD_LEVEL;
    *written = ZSTD_compressCCtx(c, dst, ZSTD_compressBound(n), src, n, level);
    return ZSTD_isError(*written) ? "zstd cannot compress it" : NULL;
}

static size_t fletcher_bound(const xn_filter *filter, size_t n)
{
    (void)filter;
    return n + 4;
}

static const char *encode_fletcher(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                   size_t *written)
{
    (void)codec;
    (void)filter;
    uint32_t sum = xn_fletcher32(src, n);
    memcpy(dst, src, n);
    for (int i = 0; i < 4; i++) dst[n + (size_t)i] = (uint8_t)(sum >> 8 * i);
    *written = n + 4;
    return NULL;
}

static const struct {
    int id;
    encoder encode;
    size_t (*bound)(const xn_filter *filter, size_t n); // 0: not with these values
} table[] = {
    {XN_FILTER_GZIP, encode_gzip, gzip_bound},
    {XN_FILTER_SHUFFLE, encode_shuffle, same_bound},
    {XN_FILTER_FLETCHER32, encode_fletcher, fletcher_bound},
    {XN_FILTER_BITSHUFFLE, xn_encode_bitshuffle, xn_bitshuffle_bound},
    {XN_FILTER_ZSTD, encode_zstd, zstd_bound},
};

static int find(int id)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].id == id) return (int)i;
    return -1;
}

// After the first `filters` of them.
static size_t bound_after(const xn_pipeline *p, int filters, size_t n)
{
    for (int i = 0; i < filters && n > 0; i++) {
        int k = find(p->filter[i].id);
        n = k < 0 ? 0 : table[k].bound(&p->filter[i], n);
    }
    return n;
}

size_t xn_pipeline_bound(const xn_pipeline *pipeline, size_t n) { return bound_after(pipeline, pipeline->n, n); }

const char *xn_pipeline_encode(xn_codec *codec, const xn_pipeline *p, const uint8_t *src, size_t n, uint8_t *dst,
                               size_t *written)
{
    xn_codec_use turn = XN_CODEC_EVEN;
    size_t whole = n;
    for (int i = 0; i < p->n; i++) {
        const xn_filter *f = &p->filter[i];
        int k = find(f->id);
        if (k < 0) return "a filter that cannot be written";
        uint8_t *to = i == p->n - 1 ? dst : xn_codec_memory(codec, turn, bound_after(p, i + 1, whole));
        if (to == NULL) return xn_codec_no_memory;
        turn = turn == XN_CODEC_EVEN ? XN_CODEC_ODD : XN_CODEC_EVEN;
        const char *why = table[k].encode(codec, f, src, n, to, written);
        if (why) return why;
        src = to;
        n = *written;
    }
    if (src != dst) memcpy(dst, src, n);
    *written = n;
    return NULL;
}

// ---- by name

static void add(xn_pipeline *p, int id, unsigned n, const unsigned *values)
{
    xn_filter *f = &p->filter[p->n++];
    *f = (xn_filter){.id = id, .n_values = n};
    memcpy(f->values, values, n * sizeof *values);
}

bool xn_pipeline_named(const char *name, int level, size_t elem, xn_pipeline *p)
{
    unsigned size = (unsigned)elem;
    *p = (xn_pipeline){.known = true};
    if (strcmp(name, "none") == 0) return true;
    if (strcmp(name, "bslz4") == 0) { // version of the format, element, default block
        add(p, XN_FILTER_BITSHUFFLE, 5, (const unsigned[]){0, 3, size, 0, BITSHUFFLE_LZ4});
        return true;
    }
    if (strcmp(name, "bszstd") == 0) {
        unsigned strength = (unsigned)(level > 0 ? level : ZSTD_LEVEL);
        add(p, XN_FILTER_BITSHUFFLE, 6, (const unsigned[]){0, 4, size, 0, BITSHUFFLE_ZSTD, strength});
        return true;
    }
    bool gzip = strcmp(name, "gzip") == 0;
    if (!gzip && strcmp(name, "zstd") != 0) return false;
    unsigned strength = (unsigned)(level > 0 ? level : gzip ? GZIP_LEVEL : ZSTD_LEVEL);
    if (elem > 1) add(p, XN_FILTER_SHUFFLE, 1, &size);
    add(p, gzip ? XN_FILTER_GZIP : XN_FILTER_ZSTD, 1, &strength);
    return true;
}
