// SPDX-License-Identifier: BSD-3-Clause
// store_packed.c -- whether chunks that the library is to read are as long as they have to be.
//
// The library trusts that a chunk without filters has its full size.  Its decoders of n-bit, scale-offset and szip
// (HDF5 1.10) trust that it is complete: of one that was damaged or cut they read on in whatever memory comes behind
// it, and the values are called good.  How much a chunk needs follows from the filter's values and, for two of them,
// from its first four bytes (H5Znbit.c, H5Zscaleoffset.c, H5Zszip.c).  Looked at is the filter that was applied last,
// whose data stand in the file.
#include "io/index/chunk_index_walk.h"
#include "io/store.h"

// Places in the values of the filters, as their set_local functions leave them.
enum { NBIT_PLAIN = 1, NBIT_COUNT, NBIT_CLASS, NBIT_SIZE, NBIT_PRECISION = 6, NBIT_OFFSET, NBIT_ATOMIC = 1 };
enum { SCALE_COUNT = 2, SCALE_SIZE = 4, SCALE_HEAD = 21 };

static bool plain(const xn_filter *f) { return f->n_values > NBIT_PLAIN && f->values[NBIT_PLAIN]; } // nothing to pack

static uint64_t nbit_needs(const xn_store *s, const xn_filter *f)
{
    const unsigned *v = f->values;
    if (plain(f)) return s->map.chunk_bytes;
    uint64_t n = v[NBIT_COUNT];
    return n * (v[NBIT_CLASS] == NBIT_ATOMIC ? v[NBIT_PRECISION] : 8 * v[NBIT_SIZE]) / 8 + 1; // it looks one byte ahead
}

static uint64_t scaleoffset_needs(const xn_filter *f, uint32_t bits)
{
    if (f->n_values <= SCALE_SIZE || bits > 8 * f->values[SCALE_SIZE]) return UINT64_MAX;
    uint64_t n = f->values[SCALE_COUNT];
    if (bits == 0) return SCALE_HEAD;
    return SCALE_HEAD + (bits == 8 * f->values[SCALE_SIZE] ? n * f->values[SCALE_SIZE] : n * bits / 8 + 1);
}

// What comes out is a chunk: the filter's values are part of the file too.
static bool makes_chunks(const xn_store *s, const xn_filter *f)
{
    const unsigned *v = f->values;
    if (f->id == XN_FILTER_SZIP) return true; // says so in each chunk
    if (f->id == XN_FILTER_SCALEOFFSET)
        return f->n_values > SCALE_SIZE && (uint64_t)v[SCALE_COUNT] * v[SCALE_SIZE] == s->map.chunk_bytes;
    if (plain(f)) return true;
    if (f->n_values <= NBIT_SIZE || (uint64_t)v[NBIT_COUNT] * v[NBIT_SIZE] != s->map.chunk_bytes) return false;
    return v[NBIT_CLASS] != NBIT_ATOMIC || (f->n_values > NBIT_OFFSET && v[NBIT_PRECISION] <= 8 * v[NBIT_SIZE] &&
                                            v[NBIT_OFFSET] <= 8 * v[NBIT_SIZE] - v[NBIT_PRECISION]);
}

// NULL, or what is wrong.
static const char *look(const xn_store *s, const xn_filter *f, const xn_chunk *c)
{
    uint8_t head[4];
    if (f->id == XN_FILTER_NBIT) return c->bytes < nbit_needs(s, f) ? "is too short" : NULL;
    int error = c->bytes < sizeof head ? XN_READ_SHORT : xn_file_read(s->file, c->offset, head, sizeof head);
    if (error) return "cannot be read";
    uint32_t first = (uint32_t)xn_le(head, 4);
    if (f->id == XN_FILTER_SZIP) return first == s->map.chunk_bytes ? NULL : "has another size than it says";
    return c->bytes < scaleoffset_needs(f, first) ? "is too short" : NULL;
}

static bool packs(int id) { return id == XN_FILTER_NBIT || id == XN_FILTER_SCALEOFFSET || id == XN_FILTER_SZIP; }

bool xn_store_packed(const xn_pipeline *pipeline)
{
    if (pipeline->n == 0) return true; // what is stored as it is has one size
    for (int i = 0; i < pipeline->n; i++)
        if (packs(pipeline->filter[i].id)) return true;
    return false;
}

// The filter whose data stand in the file, NULL: none that is looked at here. *sums: bytes of checksums behind them.
static const xn_filter *outermost(const xn_pipeline *p, uint32_t *sums)
{
    int last = p->n - 1;
    *sums = 0;
    while (last >= 0 && p->filter[last].id == XN_FILTER_FLETCHER32) last--, *sums += 4;
    return last >= 0 && packs(p->filter[last].id) ? &p->filter[last] : NULL;
}

xani_status xn_store_check_packed(xn_ctx *ctx, const xn_store *s)
{
    uint32_t sums, all = (1u << s->pipeline.n) - 1;
    const xn_filter *f = outermost(&s->pipeline, &sums);
    if (s->map.table == NULL) return XANI_OK;
    if (f && !makes_chunks(s, f))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its filter %s does not make chunks of its shape", s->path,
                       s->dataset, xn_filter_name(f->id));
    for (int64_t i = 0; i < s->map.n; i++) {
        xn_chunk c = s->map.table[i];
        const char *why = NULL;
        if (c.bytes == 0) continue;
        if ((c.mask & all) == all) { // no filter was applied
            if (c.bytes != s->map.chunk_bytes) why = "has the wrong size";
        } else if (c.mask == 0 && f) {
            c.bytes = c.bytes > sums ? c.bytes - sums : 0;
            why = look(s, f, &c);
        }
        if (why) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: chunk %lld %s", s->path, s->dataset, (long long)i, why);
    }
    return XANI_OK;
}
