// SPDX-License-Identifier: BSD-3-Clause
// store_packed.c -- whether chunks of filters that only the library decodes are as long as they have to be.
//
// The library's decoders of n-bit, scale-offset and szip (HDF5 1.10) trust that a chunk is complete: of one that was
// damaged or cut they read on in whatever memory comes behind it, and the values are called good.  How much a chunk
// needs follows from the filter's values and, for two of them, from its first four bytes (H5Znbit.c, H5Zscaleoffset.c,
// H5Zszip.c).  Looked at is the filter that was applied last, whose data stand in the file.
#include "io/chunk_index_walk.h"
#include "io/store.h"

// Places in the values of the filters, as their set_local functions leave them.
enum { NBIT_PLAIN = 1, NBIT_COUNT, NBIT_CLASS, NBIT_SIZE, NBIT_PRECISION = 6, NBIT_ATOMIC = 1 };
enum { SCALE_COUNT = 2, SCALE_SIZE = 4, SCALE_HEAD = 21 };

static uint64_t nbit_needs(const xn_filter *f)
{
    const unsigned *v = f->values;
    if (f->n_values <= NBIT_SIZE) return 0;
    uint64_t n = v[NBIT_COUNT];
    if (v[NBIT_PLAIN]) return n * v[NBIT_SIZE];
    bool atomic = v[NBIT_CLASS] == NBIT_ATOMIC && f->n_values > NBIT_PRECISION;
    return n * (atomic ? v[NBIT_PRECISION] : 8 * v[NBIT_SIZE]) / 8 + 1; // it looks one byte ahead
}

static uint64_t scaleoffset_needs(const xn_filter *f, uint32_t bits)
{
    if (f->n_values <= SCALE_SIZE || bits > 8 * f->values[SCALE_SIZE]) return UINT64_MAX;
    uint64_t n = f->values[SCALE_COUNT];
    if (bits == 0) return SCALE_HEAD;
    return SCALE_HEAD + (bits == 8 * f->values[SCALE_SIZE] ? n * f->values[SCALE_SIZE] : n * bits / 8 + 1);
}

// NULL, or what is wrong.
static const char *look(const xn_store *s, const xn_filter *f, const xn_chunk *c)
{
    uint8_t head[4];
    if (f->id == XN_FILTER_NBIT) return c->bytes < nbit_needs(f) ? "is too short" : NULL;
    int error = c->bytes < sizeof head ? XN_READ_SHORT : xn_file_read(s->file, c->offset, head, sizeof head);
    if (error) return "cannot be read";
    uint32_t first = (uint32_t)xn_le(head, 4);
    if (f->id == XN_FILTER_SZIP) return first == s->map.chunk_bytes ? NULL : "has another size than it says";
    return c->bytes < scaleoffset_needs(f, first) ? "is too short" : NULL;
}

static bool packs(int id) { return id == XN_FILTER_NBIT || id == XN_FILTER_SCALEOFFSET || id == XN_FILTER_SZIP; }

bool xn_store_packed(const xn_pipeline *pipeline)
{
    for (int i = 0; i < pipeline->n; i++)
        if (packs(pipeline->filter[i].id)) return true;
    return false;
}

xani_status xn_store_check_packed(xn_ctx *ctx, const xn_store *s)
{
    int last = s->pipeline.n - 1;
    uint32_t sums = 0; // a checksum applied last is 4 bytes behind the data
    while (last >= 0 && s->pipeline.filter[last].id == XN_FILTER_FLETCHER32) last--, sums += 4;
    if (last < 0 || s->map.table == NULL) return XANI_OK;
    const xn_filter *f = &s->pipeline.filter[last];
    if (!packs(f->id)) return XANI_OK;
    for (int64_t i = 0; i < s->map.n; i++) {
        xn_chunk c = s->map.table[i];
        if (c.bytes == 0 || c.mask != 0) continue;
        c.bytes = c.bytes > sums ? c.bytes - sums : 0;
        const char *why = look(s, f, &c);
        if (why)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: chunk %lld: %s data: it %s", s->path, s->dataset, (long long)i,
                           xn_filter_name(f->id), why);
    }
    return XANI_OK;
}
