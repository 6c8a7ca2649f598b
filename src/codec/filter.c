// SPDX-License-Identifier: BSD-3-Clause
// filter.c -- see filter.h: the table of filters, the pipeline, gzip, shuffle and the checksum.
//
// A pipeline is undone from its end.  Filters that change the bytes go from one buffer to another: the last
// writes to the destination, those before it to two pieces of work memory in turn; a checksum only shortens
// what is there.  Framings: HDF5 file format specification, and the sources of the registered
// filters (HDFGroup/hdf5_plugins, kiyo-masui/bitshuffle).
#include "codec/filter.h"

#include <string.h>

#include "codec/bitshuffle.h"
#include "codec/encode.h"

static const char *decode_shuffle(xn_codec *codec, const xn_filter *filter, const uint8_t *src, size_t n, uint8_t *dst,
                                  size_t room, size_t *written)
{
    (void)codec;
    size_t elem = filter->n_values > 0 ? filter->values[0] : 1;
    if (n > room) return "shuffled data are longer than the chunk";
    size_t whole = elem > 1 ? n / elem : 0; // what is left over at the end is stored as it is
    if (whole > 1)
        xn_bytes_unshuffle(src, dst, whole, elem);
    else
        whole = 0;
    memcpy(dst + whole * elem, src + whole * elem, n - whole * elem);
    *written = n;
    return NULL;
}

// Checks and cuts the sum off *n. Files before HDF5 1.6.3 have the bytes of each half swapped.
static const char *check_fletcher32(const uint8_t *src, size_t *n)
{
    if (*n < 4) return "checksum is missing";
    *n -= 4;
    const uint8_t *p = src + *n;
    uint32_t stored = (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
    uint32_t sum = xn_fletcher32(src, *n);
    uint32_t swapped = (sum & 0x00ff00ff) << 8 | (sum >> 8 & 0x00ff00ff);
    return stored == sum || stored == swapped ? NULL : "checksum (fletcher32) differs";
}

static const struct {
    int id;
    const char *name;
    xn_decoder decode; // NULL: only the library can
} table[] = {
    {XN_FILTER_GZIP, "gzip", xn_decode_gzip},
    {XN_FILTER_SHUFFLE, "shuffle", decode_shuffle},
    {XN_FILTER_FLETCHER32, "fletcher32", NULL}, // below: it changes nothing
    {XN_FILTER_SZIP, "szip", NULL},
    {XN_FILTER_NBIT, "nbit", NULL},
    {XN_FILTER_SCALEOFFSET, "scaleoffset", NULL},
    {XN_FILTER_BZIP2, "bzip2", NULL},
    {XN_FILTER_LZF, "lzf", xn_decode_lzf},
    {XN_FILTER_BLOSC, "blosc", xn_decode_blosc},
    {XN_FILTER_LZ4, "lz4", xn_decode_lz4},
    {XN_FILTER_BITSHUFFLE, "bitshuffle", xn_decode_bitshuffle},
    {XN_FILTER_ZFP, "zfp", NULL},
    {XN_FILTER_ZSTD, "zstd", xn_decode_zstd},
    {XN_FILTER_BLOSC2, "blosc2", NULL},
};

static int find(int id)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].id == id) return (int)i;
    return -1;
}

const char *xn_filter_name(int id) { return find(id) < 0 ? NULL : table[find(id)].name; }
xn_decoder xn_filter_decoder(int id) { return find(id) < 0 ? NULL : table[find(id)].decode; }

// The most that can come out of filter i: what the filters before it made of the chunk.  Only compressors make it much
// longer; LZ4 in blocks of one byte, five times.
static size_t room_after(const xn_pipeline *pipeline, int i, size_t chunk)
{
    for (int k = 0; k < i; k++)
        if (pipeline->filter[k].id != XN_FILTER_FLETCHER32 && pipeline->filter[k].id != XN_FILTER_SHUFFLE)
            return 5 * chunk + XN_FILTER_SLACK;
    return chunk + XN_FILTER_SLACK;
}

const char *xn_pipeline_decode(xn_codec *codec, const xn_pipeline *pipeline, uint32_t mask, const uint8_t *src,
                               size_t n, uint8_t *dst, size_t n_dst)
{
    int last = -1; // the filter that writes dst; none does where a checksum is still to be cut off behind it
    xn_codec_use turn = XN_CODEC_EVEN;
    for (int i = pipeline->n - 1; i >= 0; i--)
        if (!(mask >> i & 1)) last = pipeline->filter[i].id == XN_FILTER_FLETCHER32 ? -1 : i;
    for (int i = pipeline->n - 1; i >= 0; i--) {
        const xn_filter *f = &pipeline->filter[i];
        if (mask >> i & 1) continue; // skipped when this chunk was written
        const char *why;
        if (f->id == XN_FILTER_FLETCHER32) {
            why = check_fletcher32(src, &n);
        } else {
            size_t room = i == last ? n_dst : room_after(pipeline, i, n_dst);
            uint8_t *to = i == last ? dst : xn_codec_memory(codec, turn, room);
            if (to == NULL) return xn_codec_no_memory;
            turn = turn == XN_CODEC_EVEN ? XN_CODEC_ODD : XN_CODEC_EVEN;
            xn_decoder decode = f->decode ? f->decode : xn_filter_decoder(f->id);
            size_t got = 0;
            why = decode(codec, f, src, n, to, room, &got);
            src = to;
            n = got;
        }
        // cppcheck-suppress [invalidLifetime, returnDanglingLifetime]; texts are static
        if (why) return why;
    }
    if (n != n_dst) return n < n_dst ? "chunk is too short" : "chunk is too long";
    if (src != dst) memcpy(dst, src, n_dst);
    return NULL;
}
