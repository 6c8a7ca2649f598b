// SPDX-License-Identifier: BSD-3-Clause
// strips.c -- see strips.h.
//
// For each strip as many stored bytes are read as its share of the chunk, and a little more; what a block lacks is read
// then.  Bytes behind the last block decoded are read again with the next strip.  Where a strip ends within a block,
// the rest of the block waits in memory of the frame.
#include "io/strips.h"

#include <string.h>

#include "codec/bitshuffle_blocks.h"
#include "io/array_parts.h"

enum { MORE = 8192 };
#define MARGIN 1.02 // of the mean share of a strip: stored bytes are spread evenly but for a few percent

typedef struct {
    const xn_store *store;
    int64_t chunk, rows; // the next one; of the frame, which it and those behind it have
    size_t row_bytes;
    int64_t offset;
    size_t stored, used; // bytes of the chunk at hand; of them those done with
    size_t due;          // decoded bytes of it that are still to be given
    bool begun;
    xn_bitshuffle_blocks blocks;
    uint8_t *rest;
    size_t rest_room, rest_at, rest_end;
} strip;

struct xn_strips {
    const xn_array *array;
    xn_codec *codec;
    uint8_t *in;
    size_t room;
    int n;
    strip list[];
};

xn_strips *xn_strips_open(const xn_frames *frames, int n)
{
    xn_strips *s = xn_calloc(1, sizeof *s + (size_t)n * sizeof s->list[0]);
    if (s == NULL) return NULL;
    s->array = xn_frames_array(frames);
    s->n = n;
    s->codec = xn_codec_open();
    if (s->codec == NULL) xn_strips_close(&s);
    return s;
}

void xn_strips_close(xn_strips **strips)
{
    xn_strips *s = *strips;
    if (s == NULL) return;
    for (int i = 0; i < s->n; i++) xn_free(s->list[i].rest);
    xn_free(s->in);
    xn_codec_close(&s->codec);
    xn_free(s);
    *strips = NULL;
}

// ---- where a frame lies

static bool suits(const xn_array *a, const xn_store *s)
{
    const char *reader = a->options.reader;
    bool plain = reader == NULL || strcmp(reader, "auto") == 0 || strcmp(reader, "pread") == 0;
    if (!plain || s->swap || s->type != a->info.type || s->kind > XN_STORE_CHUNKED) return false;
    return s->pipeline.n == 0 || (s->pipeline.n == 1 && s->pipeline.filter[0].id == XN_FILTER_BITSHUFFLE);
}

// The box of a frame is cut into chunks along one axis only; those before it have one element, those behind it are
// whole. Sets what the first chunk is.
static bool in_whole_rows(strip *p, const int64_t *lo, const int64_t *n)
{
    const xn_store *s = p->store;
    int axis = 0;
    while (axis < s->rank - 1 && n[axis] == 1) axis++;
    p->chunk = 0;
    p->rows = n[axis];
    p->row_bytes = s->elem;
    for (int k = 0; k < s->rank; k++) {
        if (lo[k] % s->block[k] != 0 || (k < axis && s->block[k] != 1)) return false;
        if (k > axis && (n[k] != s->block[k] || s->grid[k] != 1)) return false;
        if (k > axis) p->row_bytes *= (size_t)n[k];
        p->chunk = p->chunk * s->grid[k] + lo[k] / s->block[k];
    }
    return true;
}

// The number of rows in a chunk follows from its size.
static bool next_chunk(strip *p)
{
    const xn_store *s = p->store;
    if (p->rows == 0 || p->chunk >= s->n_blocks) return false;
    xn_place place = xn_store_place(s, p->chunk++);
    int64_t rows = xn_min64((int64_t)(s->block_bytes / p->row_bytes), p->rows);
    if (place.bytes == 0 || place.mask != 0 || (s->pipeline.n == 0 && place.bytes != s->block_bytes)) return false;
    p->offset = place.offset;
    p->stored = place.bytes;
    p->used = p->rest_at = p->rest_end = 0;
    p->begun = false;
    p->due = (size_t)rows * p->row_bytes;
    p->rows -= rows;
    return true;
}

bool xn_strips_begin(xn_strips *s, int i, int64_t frame)
{
    strip *p = &s->list[i];
    int64_t lo[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0}, run = -1;
    if (frame < 0 || frame >= s->array->info.dims[0]) return false;
    const xn_part *part = xn_part_row(s->array, frame, lo, n);
    if (part == NULL || !suits(s->array, part->store)) return false;
    p->store = part->store;
    if (p->store->pipeline.n == 0) run = xn_part_run(p->store, lo, n);
    if (run >= 0) {
        p->rows = 0;
        p->offset = run;
        p->used = 0;
        p->due = p->store->elem;
        for (int k = 0; k < p->store->rank; k++) p->due *= (size_t)n[k];
        p->stored = p->due;
    } else if (p->store->kind != XN_STORE_CHUNKED || !in_whole_rows(p, lo, n) || !next_chunk(p)) {
        return false;
    }
    return xn_file_cached(p->store->file, p->offset, (int64_t)p->stored) >= 0.5;
}

// ---- its bytes

// At least `more` bytes behind the *have that are there, or all that the chunk has.
static bool fill(xn_strips *s, strip *p, size_t *have, size_t more)
{
    size_t left = p->stored - p->used - *have;
    if (more > left) return false;
    more = more > MORE ? more : MORE < left ? MORE : left;
    if (*have + more > s->room) {
        uint8_t *in = xn_realloc(s->in, *have + more, 1);
        if (in == NULL) return false;
        s->in = in;
        s->room = *have + more;
    }
    if (xn_file_read(p->store->file, p->offset + (int64_t)(p->used + *have), s->in + *have, more) != 0) return false;
    *have += more;
    return true;
}

static bool begin_chunk(xn_strips *s, strip *p, size_t have, size_t *at)
{
    const xn_filter *filter = &p->store->pipeline.filter[0];
    size_t header = xn_bitshuffle_header(filter), bytes = p->store->block_bytes;
    if (header == 0 ? p->stored != bytes : have < header) return false;
    if (xn_bitshuffle_begin(filter, s->in, header > 0 ? have : bytes, bytes, &p->blocks) != NULL) return false;
    if (p->blocks.left * p->blocks.elem != bytes) return false;
    *at = header;
    return p->begun = true;
}

// One block, to dst, or what does not belong to the strip to the rest.
static bool decode_block(xn_strips *s, strip *p, const uint8_t *src, size_t n, uint8_t *dst, size_t want)
{
    size_t bytes = xn_bitshuffle_next(&p->blocks);
    if (bytes <= want) return xn_bitshuffle_decode(s->codec, &p->blocks, src, n, dst) == NULL;
    if (p->rest_room < bytes) {
        xn_free(p->rest);
        p->rest = xn_alloc(bytes, 1);
        p->rest_room = p->rest != NULL ? bytes : 0;
    }
    if (p->rest == NULL || xn_bitshuffle_decode(s->codec, &p->blocks, src, n, p->rest) != NULL) return false;
    memcpy(dst, p->rest, want);
    p->rest_at = want;
    p->rest_end = bytes;
    return true;
}

static bool decode(xn_strips *s, strip *p, uint8_t *dst, size_t n)
{
    size_t left = p->begun ? p->blocks.left * p->blocks.elem : p->store->block_bytes, have = 0, at = 0;
    double share = left > 0 ? (double)n / (double)left : 1.0;
    size_t rest = p->stored - p->used, likely = (size_t)(share * MARGIN * (double)rest) + MORE / 8;
    if (!fill(s, p, &have, likely < rest ? likely : rest)) return false;
    if (!p->begun && !begin_chunk(s, p, have, &at)) return false;
    while (n > 0 && p->blocks.left > 0) {
        size_t needs = xn_bitshuffle_needs(&p->blocks, s->in + at, have - at);
        size_t bytes = xn_bitshuffle_next(&p->blocks), give = bytes < n ? bytes : n;
        if (needs > have - at) {
            if (!fill(s, p, &have, needs - (have - at))) return false;
            continue;
        }
        if (!decode_block(s, p, s->in + at, have - at, dst, n)) return false;
        at += needs;
        dst += give;
        n -= give;
    }
    p->used += at;
    return n == 0;
}

// From the chunk at hand, which has them.
static bool take(xn_strips *s, strip *p, uint8_t *dst, size_t n)
{
    p->due -= n;
    if (p->store->pipeline.n == 0) {
        p->used += n;
        return xn_file_read(p->store->file, p->offset + (int64_t)(p->used - n), dst, n) == 0;
    }
    size_t waits = xn_min64((int64_t)(p->rest_end - p->rest_at), (int64_t)n);
    if (waits > 0) memcpy(dst, p->rest + p->rest_at, waits);
    p->rest_at += waits;
    return waits == n || decode(s, p, dst + waits, n - waits);
}

bool xn_strips_next(xn_strips *s, int i, void *dst, size_t bytes)
{
    strip *p = &s->list[i];
    for (uint8_t *to = dst; bytes > 0;) {
        if (p->due == 0 && !next_chunk(p)) return false;
        size_t n = bytes < p->due ? bytes : p->due;
        if (!take(s, p, to, n)) return false;
        to += n;
        bytes -= n;
    }
    return true;
}
