// SPDX-License-Identifier: BSD-3-Clause
// test_device_io.c -- what a device decodes and places is what the processor does; nothing else is touched.
//
// Compiled twice, as test_device.c is: for the emulated runtime, where any call can be made to fail, and with
// XN_REAL_DEVICE for the devices of the machine (`make gpu-test`).
#include "test.h"

#include <lz4.h>
#include <lz4hc.h>

#include "codec/filter.h"
#include "core/rng.h"
#include "emulation/emulation.h"

enum { MOST = 1 << 18, CHUNKS = 8, GUARD = 64 };

static char why[256];

#ifdef XN_REAL_DEVICE
static const xn_device_io *io(void) { return xn_device_io_built(); }
static bool absent(void)
{
    snprintf(why, sizeof why, "this xani was built without CUDA");
    if (io() != NULL && io()->count(why, sizeof why) > 0) return false;
    xn_skip(why);
    return true;
}
#else
static const xn_device_io *io(void) { return &xn_device_io_emulated; }
static bool absent(void) { return false; }
#endif

#define OK(call) ck_assert_msg(call, "%s: %s", #call, why)

// ---- one batch of chunks on the device

typedef struct {
    uint32_t n, elem, block;
    size_t chunk_bytes, bytes[CHUNKS];
    uint8_t *stored[CHUNKS];
    size_t shift; // of the stored bytes from an aligned place
} batch;

static uint8_t decoded[CHUNKS * (MOST + GUARD)];
static uint32_t bad[CHUNKS];

static bool decode(const batch *b)
{
    const size_t room = (b->chunk_bytes + GUARD + 255) / 256 * 256;
    const size_t words = xn_device_unpack_words(b->n, b->chunk_bytes, b->block);
    size_t total = b->shift;
    size_t at[CHUNKS];
    for (uint32_t c = 0; c < b->n; c++) {
        at[c] = total;
        total += b->bytes[c];
    }
    OK(io()->use(0, why, sizeof why));
    xn_device_stream *s = io()->open(why, sizeof why);
    xn_device_mark *done = io()->mark_create(why, sizeof why);
    ck_assert_msg(s != NULL && done != NULL, "%s", why);
    uint8_t *host = io()->pin(total, why, sizeof why), *back = io()->pin(b->n * room, why, sizeof why);
    uint8_t *stored = io()->take(total, why, sizeof why), *out = io()->take(b->n * room, why, sizeof why);
    xn_device_chunk *chunks = io()->take(CHUNKS * sizeof(xn_device_chunk), why, sizeof why),
                    *pinned = io()->pin(CHUNKS * sizeof(xn_device_chunk), why, sizeof why);
    uint32_t *where = io()->take(words * sizeof *where, why, sizeof why);
    uint32_t *marks = io()->take(sizeof bad, why, sizeof why), *host_bad = io()->pin(sizeof bad, why, sizeof why);
    ck_assert_msg(host && back && stored && out && chunks && pinned && where && marks && host_bad, "%s", why);
    for (uint32_t c = 0; c < b->n; c++) {
        memcpy(host + at[c], b->stored[c], b->bytes[c]);
        pinned[c] = (xn_device_chunk){stored + at[c], b->bytes[c], out + c * room};
    }
    memset(back, 0x5a, b->n * room);
    const xn_device_unpack job = {chunks, where, marks, b->chunk_bytes, b->n, b->elem, b->block};
    OK(io()->copy_in(s, out, back, b->n * room, why, sizeof why));
    OK(io()->copy_in(s, stored, host, total, why, sizeof why));
    OK(io()->copy_in(s, chunks, pinned, CHUNKS * sizeof(xn_device_chunk), why, sizeof why));
    const bool ok = io()->unpack(s, &job, why, sizeof why);
    OK(io()->copy_out(s, back, out, b->n * room, why, sizeof why));
    OK(io()->copy_out(s, host_bad, marks, sizeof bad, why, sizeof why));
    OK(io()->mark(s, done, why, sizeof why));
    OK(io()->wait(done, why, sizeof why));
    memcpy(bad, host_bad, sizeof bad);
    for (uint32_t c = 0; ok && c < b->n; c++) {
        memcpy(decoded + c * b->chunk_bytes, back + c * room, b->chunk_bytes);
        for (size_t i = b->chunk_bytes; i < room; i++)
            ck_assert_msg(back[c * room + i] == 0x5a, "chunk %u: byte %zu past its end was written", c, i);
    }
    void *device[] = {stored, out, chunks, where, marks}, *of_host[] = {host, back, pinned, host_bad};
    for (int i = 0; i < 5; i++) io()->give(device[i]);
    for (int i = 0; i < 4; i++) io()->unpin(of_host[i]);
    io()->mark_destroy(done);
    io()->close(s);
    ck_assert_int_eq(xn_emulated.alive, 0);
    return ok;
}

// ---- chunks to decode

static uint32_t below(xn_rng *r, uint32_t n) { return (uint32_t)(xn_rng_uniform(r) * n); }

// Bytes as compressed ones look like before: runs, patterns of some period, repetitions from afar, noise.
static void make_bytes(xn_rng *r, uint8_t *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t length = 1 + below(r, below(r, 4) == 0 ? 3000 : 60);
        if (length > n - at) length = n - at;
        const uint32_t kind = below(r, 4), period = 1 + below(r, below(r, 2) ? 6 : 1500);
        for (size_t i = 0; i < length; i++)
            p[at + i] = kind == 0 || at + i < period ? (uint8_t)below(r, 256) : kind == 1 ? 0 : p[at + i - period];
        at += length;
    }
}

// A chunk whose bit rows are those bytes, framed as the filter does it, compressed in three ways.
static size_t frame(xn_rng *r, size_t n, size_t elem, size_t block, uint8_t *dst)
{
    static uint8_t rows[8192];
    static LZ4_stream_t state;
    static LZ4_streamHC_t state_hc;
    uint8_t *out = dst + 12;
    xn_put_be64(dst, (uint64_t)n * elem);
    xn_put_be32(dst + 8, (uint32_t)(block * elem));
    const int way = (int)below(r, 3);
    while (n >= 8) {
        const size_t count = n < block ? n & ~(size_t)7 : block;
        const int bytes = (int)(count * elem), room = LZ4_compressBound(bytes);
        make_bytes(r, rows, (size_t)bytes);
        int length;
        if (way == 0)
            length = LZ4_compress_fast_extState(&state, (char *)rows, (char *)out + 4, bytes, room, 1);
        else if (way == 1)
            length = LZ4_compress_fast_extState(&state, (char *)rows, (char *)out + 4, bytes, room, 20);
        else
            length = LZ4_compress_HC_extStateHC(&state_hc, (char *)rows, (char *)out + 4, bytes, room, 12);
        ck_assert_int_gt(length, 0);
        xn_put_be32(out, (uint32_t)length);
        out += 4 + length;
        n -= count;
    }
    for (size_t i = 0; i < n * elem; i++) *out++ = (uint8_t)below(r, 256);
    return (size_t)(out - dst);
}

static xn_codec *codec;

// What the processor makes of it: NULL, or what is wrong.
static const char *by_processor(const batch *b, uint32_t c, uint8_t *dst)
{
    const xn_pipeline p = {.n = 1,
                           .filter = {{.id = XN_FILTER_BITSHUFFLE, .n_values = 5, .values = {0, 2, b->elem, 0, 2}}},
                           .known = true};
    if (codec == NULL) codec = xn_codec_open();
    return xn_pipeline_decode(codec, &p, 0, b->stored[c], b->bytes[c], dst, b->chunk_bytes);
}

static void make_batch(xn_rng *r, batch *b, uint8_t *memory, size_t most)
{
    const uint32_t elems[] = {1, 2, 4, 8};
    memset(b, 0, sizeof *b);
    b->elem = elems[below(r, 4)];
    b->n = 1 + below(r, CHUNKS);
    const size_t block =
        below(r, 3) > 0 ? XN_DEVICE_BLOCK / b->elem : 8 * (1 + below(r, XN_DEVICE_BLOCK / 8 / b->elem));
    const size_t n = 1 + below(r, (uint32_t)(below(r, 4) == 0 ? 40 : most / b->elem));
    b->block = (uint32_t)(block * b->elem);
    b->chunk_bytes = n * b->elem;
    b->shift = below(r, 4);
    for (uint32_t c = 0; c < b->n; c++) {
        b->stored[c] = memory;
        b->bytes[c] = frame(r, n, b->elem, block, memory);
        memory += b->bytes[c];
    }
}

static uint8_t memory[CHUNKS * (2 * MOST + 1000)], expected[MOST], kept[2 * MOST];

START_TEST(test_decodes)
{
    // Whole chunks of 1, 2, 4 and 8 bytes, any length, any block, at any place: every byte as the processor has it.
    if (absent()) return;
    xn_rng r;
    xn_rng_init(&r, 11, (uint64_t)_i);
    for (int i = 0; i < 60; i++) {
        batch b;
        make_batch(&r, &b, memory, i % 10 == 0 ? MOST : 30000);
        OK(decode(&b));
        for (uint32_t c = 0; c < b.n; c++) {
            const char *what = by_processor(&b, c, expected);
            ck_assert_msg(what == NULL, "%s", what);
            ck_assert_msg(bad[c] == 0, "chunk of %zu bytes, elements of %u, block %u", b.chunk_bytes, b.elem, b.block);
            ck_assert(memcmp(decoded + c * b.chunk_bytes, expected, b.chunk_bytes) == 0);
        }
    }
}
END_TEST

START_TEST(test_encoded)
{
    // What our encoder writes, for numbers that look like frames and of all lengths up to three blocks.
    if (absent()) return;
    static uint64_t values[4096];
    xn_rng r;
    xn_rng_init(&r, 12, 0);
    for (uint32_t elem = 1; elem <= 8; elem *= 2)
        for (int i = 0; i < 40; i++) {
            const size_t n = 1 + below(&r, i % 2 ? 60 : 3 * 8192 / elem);
            for (size_t k = 0; k < n * elem; k += elem) {
                const uint64_t v = (uint64_t)(xn_rng_uniform(&r) * 12);
                memcpy((uint8_t *)values + k, &v, elem);
            }
            batch b = {.n = 1, .elem = elem, .block = 8192, .chunk_bytes = n * elem, .stored = {memory}};
            b.bytes[0] = xn_encode_bslz4(values, n, elem, memory);
            OK(decode(&b));
            ck_assert_msg(bad[0] == 0 && memcmp(decoded, values, n * elem) == 0, "%zu elements of %u", n, elem);
        }
}
END_TEST

// One of the things that happen to files.
static void damage(xn_rng *r, batch *b)
{
    const uint32_t c = below(r, b->n);
    uint8_t *p = b->stored[c];
    switch (below(r, 5)) {
    case 0: // a bit
        p[below(r, (uint32_t)b->bytes[c])] ^= (uint8_t)(1u << below(r, 8));
        break;
    case 1: // some bytes
        for (int k = 0; k < 8; k++) p[below(r, (uint32_t)b->bytes[c])] = (uint8_t)below(r, 256);
        break;
    case 2: // the end is missing
        b->bytes[c] = below(r, (uint32_t)b->bytes[c]);
        break;
    case 3: // a length, or the first tokens
        p[below(r, b->bytes[c] < 40 ? (uint32_t)b->bytes[c] : 40)] = (uint8_t)(below(r, 2) ? 255 : below(r, 256));
        break;
    default: // other bytes from some place on
        for (size_t k = below(r, (uint32_t)b->bytes[c]); k < b->bytes[c]; k++) p[k] = (uint8_t)below(r, 256);
    }
}

START_TEST(test_damaged)
{
    // Damaged chunks: what the device accepts the processor accepts with the same bytes; its neighbours are untouched.
    if (absent()) return;
    xn_rng r;
    xn_rng_init(&r, 13, (uint64_t)_i);
    int refused = 0, accepted = 0;
    for (int i = 0; i < 250; i++) {
        batch b;
        make_batch(&r, &b, memory, 9000);
        for (int k = 0; k < 4; k++) damage(&r, &b);
        OK(decode(&b));
        for (uint32_t c = 0; c < b.n; c++) {
            const char *what = by_processor(&b, c, expected);
            refused += bad[c] != 0;
            accepted += bad[c] == 0;
            if (bad[c] != 0) continue;
            ck_assert_msg(what == NULL, "accepted, but %s", what);
            ck_assert(memcmp(decoded + c * b.chunk_bytes, expected, b.chunk_bytes) == 0);
        }
    }
    ck_assert_msg(refused > 100 && accepted > 300, "%d refused, %d accepted", refused, accepted);
}
END_TEST

START_TEST(test_refuses)
{
    // Frames of other sizes than those told, streams with an offset of 0 or beyond the beginning, and jobs that make no
    // sense.
    if (absent()) return;
    xn_rng r;
    xn_rng_init(&r, 14, 0);
    const size_t n = 1000;
    batch b = {.n = 1, .elem = 2, .block = 512, .chunk_bytes = 2 * n, .stored = {kept}};
    b.bytes[0] = frame(&r, n, 2, 256, kept);
    OK(decode(&b));
    ck_assert_uint_eq(bad[0], 0);
    b.block = 1024;
    OK(decode(&b));
    ck_assert_uint_ne(bad[0], 0);
    b.block = 512, b.chunk_bytes = 2 * n - 16;
    OK(decode(&b));
    ck_assert_uint_ne(bad[0], 0);

    // 16 bytes of one block: 4 literals, a match of 4 from `offset`, 8 literals
    for (uint8_t offset = 0; offset < 7; offset++) {
        const uint8_t stream[] = {0x40, 1, 2, 3,  4,  offset, 0, 0xf0, 9, 0, 1, 2, 3, 4, 5, 6,
                                  7,    8, 9, 10, 11, 12,     5, 6,    7, 8, 9, 1, 2, 3, 4};
        batch s = {.n = 1, .elem = 1, .block = 32, .chunk_bytes = 32, .stored = {kept}, .bytes = {16 + sizeof stream}};
        memset(kept, 0, 12);
        kept[7] = 32, kept[11] = 32;
        xn_put_be32(kept + 12, sizeof stream);
        memcpy(kept + 16, stream, sizeof stream);
        OK(decode(&s));
        const bool good = offset >= 1 && offset <= 4 && by_processor(&s, 0, expected) == NULL;
        ck_assert_msg((bad[0] == 0) == good, "offset %d", offset);
        ck_assert(!good || memcmp(decoded, expected, 32) == 0);
    }
    // a match of 4 with `last` literals after it: LZ4 wants it to begin 12 bytes before the end, and 5 literals at
    // least
    for (uint8_t last = 0; last < 15; last++) {
        const uint8_t first = (uint8_t)(4 + (16 - last % 8) % 8), total = first + 4 + last;
        uint8_t *p = kept + 16;
        memset(kept, 0, 64);
        kept[7] = kept[11] = total;
        *p++ = (uint8_t)(first << 4);
        for (uint8_t i = 0; i < first; i++) *p++ = i;
        *p++ = 3, *p++ = 0;
        *p++ = (uint8_t)(last << 4);
        for (uint8_t i = 0; i < last; i++) *p++ = (uint8_t)(7 * i);
        const size_t length = (size_t)(p - kept) - 16;
        xn_put_be32(kept + 12, (uint32_t)length);
        batch s = {.n = 1, .elem = 1, .block = total, .chunk_bytes = total, .stored = {kept}, .bytes = {16 + length}};
        OK(decode(&s));
        ck_assert_msg((bad[0] == 0) == (last >= 8), "%d bytes after the match", last);
        ck_assert(bad[0] != 0 || (by_processor(&s, 0, expected) == NULL && memcmp(decoded, expected, total) == 0));
    }
    b.elem = 3, b.chunk_bytes = 2 * n;
    ck_assert(!decode(&b));
    b.elem = 2, b.block = 2 * XN_DEVICE_BLOCK;
    ck_assert(!decode(&b));
    b.block = 24;
    ck_assert(!decode(&b));
}
END_TEST

// ---- numbers placed

static double number(xn_type t, const uint8_t *p)
{
#define CASE(T, C)                                                                                                     \
    case T: {                                                                                                          \
        C v;                                                                                                           \
        memcpy(&v, p, sizeof v);                                                                                       \
        return (double)v;                                                                                              \
    }
    switch (t) {
        CASE(XN_F32, float)
        CASE(XN_F64, double)
        CASE(XN_I8, int8_t)
        CASE(XN_U8, uint8_t)
        CASE(XN_I16, int16_t)
        CASE(XN_U16, uint16_t)
        CASE(XN_I32, int32_t)
        CASE(XN_U32, uint32_t)
        CASE(XN_I64, int64_t)
    default: {
        uint64_t v;
        memcpy(&v, p, sizeof v);
        return (double)v;
    }
    }
}

START_TEST(test_places)
{
    // Boxes of blocks at any address into an array, in either byte order, as they are, as float32 and as float64.
    if (absent()) return;
    enum { ROWS = 60, COLUMNS = 70, FROM = 20000, BOXES = 6 };
    const xn_type type = (xn_type)(_i / 2), to_types[] = {type, XN_F32, XN_F64};
    const size_t elem = xn_type_size(type);
    const bool swap = _i % 2;
    xn_rng r;
    xn_rng_init(&r, 15, (uint64_t)_i);
    OK(io()->use(0, why, sizeof why));
    for (int way = 0; way < 3; way++) {
        const size_t out_elem = xn_type_size(to_types[way]);
        xn_device_stream *s = io()->open(why, sizeof why);
        xn_device_mark *done = io()->mark_create(why, sizeof why);
        uint8_t *host = io()->pin(FROM, why, sizeof why), *from = io()->take(FROM, why, sizeof why);
        uint8_t *back = io()->pin(ROWS * COLUMNS * 8, why, sizeof why),
                *to = io()->take(ROWS * COLUMNS * 8, why, sizeof why);
        xn_device_box *box = io()->pin(sizeof *box * BOXES, why, sizeof why),
                      *boxes = io()->take(sizeof *box * BOXES, why, sizeof why);
        memset(back, 0x5a, ROWS * COLUMNS * 8);
        for (int i = 0; i < FROM; i++) host[i] = (uint8_t)below(&r, 256);
        uint32_t largest = 0;
        size_t starts[BOXES], ends[BOXES];
        for (uint32_t k = 0; k < BOXES; k++) { // one below the other: 10 rows each
            const uint32_t rows = 1 + below(&r, 10), columns = 1 + below(&r, COLUMNS);
            box[k] =
                (xn_device_box){.from = from + (starts[k] = below(&r, 1000) * (k % 2 ? elem : 1)),
                                .to = to + out_elem * (ends[k] = k * 10 * COLUMNS + below(&r, COLUMNS - columns + 1)),
                                .from_step = {COLUMNS + 5, 1},
                                .to_step = {COLUMNS, 1},
                                .n = {rows, columns},
                                .count = rows * columns,
                                .rank = 2};
            if (box[k].count > largest) largest = box[k].count;
        }
        const xn_device_place job = {boxes, BOXES, largest, (int32_t)type, (int32_t)to_types[way], swap};
        OK(io()->copy_in(s, from, host, FROM, why, sizeof why));
        OK(io()->copy_in(s, to, back, ROWS * COLUMNS * 8, why, sizeof why));
        OK(io()->copy_in(s, boxes, box, sizeof *box * BOXES, why, sizeof why));
        OK(io()->place(s, &job, why, sizeof why));
        OK(io()->copy_out(s, back, to, ROWS * COLUMNS * 8, why, sizeof why));
        OK(io()->mark(s, done, why, sizeof why) && io()->wait(done, why, sizeof why));
        static bool written[ROWS * COLUMNS];
        memset(written, 0, sizeof written);
        for (uint32_t k = 0; k < BOXES; k++)
            for (uint32_t i = 0; i < box[k].count; i++) {
                const size_t y = i / box[k].n[1], x = i % box[k].n[1], at = ends[k] + y * COLUMNS + x;
                const uint8_t *p = host + starts[k] + (y * (COLUMNS + 5) + x) * elem, *q = back + at * out_elem;
                uint8_t value[8];
                for (size_t e = 0; e < elem; e++) value[e] = p[swap ? elem - 1 - e : e];
                written[at] = true;
                const double want = way == 1 ? (double)(float)number(type, value) : number(type, value);
                const double is = number(to_types[way], q);
                ck_assert_msg(way == 0 ? memcmp(value, q, elem) == 0 : is == want || (isnan(is) && isnan(want)),
                              "box %u, number %u: %g, not %g", k, i, is, want);
            }
        for (size_t i = 0; i < ROWS * COLUMNS * out_elem; i++)
            ck_assert_msg(written[i / out_elem] || back[i] == 0x5a, "byte %zu was written", i);
        void *device[] = {from, to, boxes}, *of_host[] = {host, back, box};
        for (int i = 0; i < 3; i++) io()->give(device[i]), io()->unpin(of_host[i]);
        io()->mark_destroy(done);
        io()->close(s);
    }
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_loop_test(tc, test_decodes, 0, 10);
    tcase_add_test(tc, test_encoded);
    tcase_add_loop_test(tc, test_damaged, 0, 10);
    tcase_add_test(tc, test_refuses);
    tcase_add_loop_test(tc, test_places, 0, 20);
}
XN_TEST_MAIN("device memory", add)
