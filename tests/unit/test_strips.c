// SPDX-License-Identifier: BSD-3-Clause
// test_strips.c -- frames read strip by strip are those read whole, whatever the blocks and the strips; and where they
// cannot be, it is said before or when it shows.
#include "context.h"
#include "h5write.h"
#include "no_memory.h"

#include <lz4.h>
#include <unistd.h>
#include <zstd.h>

#include "codec/bitshuffle.h"
#include "codec/filter.h"
#include "core/rng.h"
#include "io/strips.h"

enum { N = 5, BYTES_MOST = 400000 };
enum { PLAIN = -1, BITS = 0, LZ4 = 2, ZSTD = 3, GZIP = 9 };

typedef struct kind {
    const char *name;
    int elem, h, w;
    int rows, frames; // of a chunk; 0: contiguous
    int compression;
    size_t block;     // elements; 0: as the filter chooses
    bool swapped, no; // no: cannot be read by strips
} kind;

static const kind kinds[] = {
    {"contiguous", 2, 33, 70, 0, 1, PLAIN, 0, false, false},
    {"contiguous, other byte order", 2, 33, 70, 0, 1, PLAIN, 0, true, true},
    {"chunk of a frame", 2, 33, 70, 33, 1, PLAIN, 0, false, false},
    {"chunks of rows", 4, 33, 70, 8, 1, PLAIN, 0, false, false},
    {"chunk of three frames", 2, 33, 70, 33, 3, PLAIN, 0, false, false},
    {"lz4, blocks that are rows of groups", 2, 64, 1024, 64, 1, LZ4, 0, false, false},
    {"lz4, blocks across rows", 2, 65, 1030, 65, 1, LZ4, 0, false, false},
    {"lz4, small blocks", 2, 31, 77, 31, 1, LZ4, 48, false, false},
    {"lz4, blocks of many rows", 2, 300, 77, 300, 1, LZ4, 8000, false, false},
    {"lz4, one block", 2, 31, 77, 31, 1, LZ4, 8000, false, false},
    {"lz4, fewer elements than a block has", 1, 1, 5, 1, 1, LZ4, 0, false, false},
    {"lz4, bytes", 1, 65, 1030, 65, 1, LZ4, 0, false, false},
    {"lz4, 4 bytes", 4, 65, 513, 65, 1, LZ4, 0, false, false},
    {"lz4, chunks of rows", 2, 64, 1024, 16, 1, LZ4, 0, false, false},
    {"lz4, chunks of rows, the last beyond the frame", 2, 65, 257, 10, 1, LZ4, 0, false, false},
    {"lz4, chunk of two frames", 2, 33, 70, 33, 2, LZ4, 0, false, true},
    {"lz4, other byte order", 2, 33, 70, 33, 1, LZ4, 0, true, true},
    {"zstd", 2, 65, 1030, 65, 1, ZSTD, 0, false, false},
    {"bits only", 2, 65, 1030, 65, 1, BITS, 0, false, false},
    {"bits only, in small blocks", 4, 20, 77, 20, 1, BITS, 24, false, false},
    {"gzip", 2, 33, 70, 33, 1, GZIP, 0, false, true},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

// ---- files

static size_t frame_bytes(const kind *k) { return (size_t)(k->elem * k->h * k->w); }

// The filter's framing, written here once more.
static size_t encode(const kind *k, const uint8_t *src, size_t n, uint8_t *dst)
{
    static uint8_t bits[BYTES_MOST], work[BYTES_MOST];
    size_t elem = (size_t)k->elem, block = k->block ? k->block : 8192 / elem, at = 0, left = n;
    if (k->compression != BITS) {
        xn_put_be64(dst, n * elem);
        xn_put_be32(dst + 8, (uint32_t)(block * elem));
        at = 12;
    }
    while (left >= 8) {
        size_t m = left < block ? left / 8 * 8 : block, packed;
        xn_bits_shuffle(src, bits, work, m, elem);
        if (k->compression == LZ4)
            packed = (size_t)LZ4_compress_default((char *)bits, (char *)dst + at + 4, (int)(m * elem), BYTES_MOST);
        else if (k->compression == ZSTD)
            packed = ZSTD_compress(dst + at + 4, BYTES_MOST, bits, m * elem, 1);
        else
            memcpy(dst + at, bits, packed = m * elem);
        if (k->compression != BITS) {
            xn_put_be32(dst + at, (uint32_t)packed);
            at += 4;
        }
        at += packed;
        src += m * elem;
        left -= m;
    }
    memcpy(dst + at, src, left * elem);
    return at + left * elem;
}

static hid_t number(const kind *k)
{
    static const char *const names[5] = {NULL, "u1", "u2", NULL, "u4"};
    ck_assert_ptr_nonnull(names[k->elem]);
    if (k->elem == 1) return H5T_STD_U8LE;
    if (k->elem == 2) return k->swapped ? H5T_STD_U16BE : H5T_STD_U16LE;
    return k->swapped ? H5T_STD_U32BE : H5T_STD_U32LE;
}

static void write_chunks(hid_t d, const kind *k, const uint8_t *data, int skip)
{
    static uint8_t chunk[4 * BYTES_MOST], stored[8 * BYTES_MOST];
    size_t row = (size_t)(k->elem * k->w);
    for (int f = 0; f < N; f += k->frames)
        for (int y = 0; y < k->h; y += k->rows) {
            size_t n = (size_t)(k->frames * k->rows * k->w) * (size_t)k->elem;
            memset(chunk, 0, n);
            for (int j = 0; j < k->frames && f + j < N; j++) {
                int rows = k->h - y < k->rows ? k->h - y : k->rows;
                memcpy(chunk + (size_t)(j * k->rows) * row, data + (size_t)(f + j) * frame_bytes(k) + (size_t)y * row,
                       (size_t)rows * row);
            }
            bool encoded = k->compression != PLAIN;
            if (encoded) n = encode(k, chunk, n / (size_t)k->elem, stored);
            if (f == skip) continue;
            ck_assert_int_ge(
                H5Dwrite_chunk(d, H5P_DEFAULT, 0, (hsize_t[]){(hsize_t)f, (hsize_t)y, 0}, n, encoded ? stored : chunk),
                0);
        }
}

// Frames of noise with a few runs, as detectors give it. skip: a frame that is not written.
static char path[600];
static uint8_t *make_file(const kind *k, int skip)
{
    uint8_t *data = malloc(N * frame_bytes(k));
    xn_rng r;
    xn_rng_init(&r, 7, 0);
    for (size_t i = 0; i < N * frame_bytes(k); i++)
        data[i] = (uint8_t)(i % 997 < 400 ? 3 : (k->elem > 1 && i % 2) ? 11 : (int)(256 * xn_rng_uniform(&r)));
    snprintf(path, sizeof path, "%s/frames.h5", xn_test_dir("strips"));
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), p = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(3, (hsize_t[]){N, (hsize_t)k->h, (hsize_t)k->w}, NULL);
    if (k->rows) H5Pset_chunk(p, 3, (hsize_t[]){(hsize_t)k->frames, (hsize_t)k->rows, (hsize_t)k->w});
    if (k->compression == GZIP) {
        H5Pset_deflate(p, 1);
    } else if (k->compression != PLAIN) {
        xn_filter_make_available(XN_FILTER_BITSHUFFLE);
        ck_assert_int_ge(H5Pset_filter(p, XN_FILTER_BITSHUFFLE, H5Z_FLAG_OPTIONAL, k->compression == BITS ? 1 : 2,
                                       (unsigned[]){(unsigned)k->block, (unsigned)k->compression}),
                         0);
    }
    hid_t d = H5Dcreate2(f, "data", number(k), space, H5P_DEFAULT, p, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    if (k->rows && k->compression != GZIP)
        write_chunks(d, k, data, skip);
    else // in the file's own byte order: as it is
        ck_assert_int_ge(H5Dwrite(d, number(k), H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(p);
    H5Fclose(f);
    return data;
}

static xn_frames *opened(const xn_array_options *how)
{
    const char *name = path;
    xn_frames *f = NULL;
    ck_assert_msg(xn_frames_open(ctx, &name, 1, "data", how, &f) == XANI_OK, "%s", xani_error_text(ctx));
    return f;
}

// ---- what is read

// Frame by frame in strips of so many bytes, all frames by turns; false: one of them said no.
static bool read_by_turns(xn_strips *s, size_t bytes, size_t step, uint8_t *dst)
{
    for (int i = 0; i < N; i++)
        if (!xn_strips_begin(s, i, (i * 3 + 1) % N)) return false;
    for (size_t at = 0; at < bytes; at += step)
        for (int i = 0; i < N; i++) {
            size_t n = bytes - at < step ? bytes - at : step;
            if (!xn_strips_next(s, i, dst + (size_t)((i * 3 + 1) % N) * bytes + at, n)) return false;
        }
    return true;
}

START_TEST(test_strips)
{
    const kind *k = &kinds[_i];
    free(make_file(k, -1));
    xn_frames *f = opened(NULL);
    size_t bytes = frame_bytes(k), row = (size_t)(k->w * k->elem), steps[] = {row, 3 * row, 16 * row, bytes, 1000, 7};
    uint8_t *whole = malloc(N * bytes), *got = malloc(N * bytes);
    int64_t list[N] = {0, 1, 2, 3, 4};
    ck_assert_int_eq(xn_frames_read_list(ctx, f, list, N, whole, 1), XANI_OK);
    xn_strips *s = xn_strips_open(f, N);
    for (int i = 0; i < 6; i++) {
        memset(got, 0xA5, N * bytes);
        bool done = read_by_turns(s, bytes, steps[i] > 0 ? steps[i] : 1, got);
        ck_assert_msg(done == !k->no, "%s: strips of %zu: %d", k->name, steps[i], done);
        ck_assert_msg(k->no || memcmp(got, whole, N * bytes) == 0, "%s: strips of %zu differ", k->name, steps[i]);
    }
    ck_assert(!xn_strips_begin(s, 0, N) && !xn_strips_begin(s, 0, -1));
    if (!k->no) { // behind its end there is nothing, and a frame may be left before
        ck_assert(xn_strips_begin(s, 0, 2) && xn_strips_next(s, 0, got, bytes));
        ck_assert(!xn_strips_next(s, 0, got, 1));
        ck_assert(xn_strips_begin(s, 0, 2) && xn_strips_next(s, 0, got, bytes / 3));
        ck_assert(xn_strips_begin(s, 0, 1) && xn_strips_next(s, 0, got, bytes));
        ck_assert_mem_eq(got, whole + bytes, bytes);
    }
    xn_strips_close(&s);
    ck_assert_ptr_null(s);
    xn_frames_close(&f);
    free(whole), free(got);
}
END_TEST

START_TEST(test_reader_given)
{
    // Whoever asks for a way to read gets it.
    free(make_file(&kinds[5], -1));
    static const struct {
        const char *reader;
        bool strips;
    } way[] = {{"auto", true}, {"pread", true}, {"mmap", false}, {"library", false}};
    for (size_t i = 0; i < 4; i++) {
        xn_frames *f = opened(&(xn_array_options){.reader = way[i].reader});
        xn_strips *s = xn_strips_open(f, 1);
        ck_assert_msg(xn_strips_begin(s, 0, 0) == way[i].strips, "%s", way[i].reader);
        xn_strips_close(&s);
        xn_frames_close(&f);
    }
}
END_TEST

// ---- what is wrong

START_TEST(test_damaged)
{
    // Never more than the chunk is read, never more than the strip written, whatever a block says of itself.
    const kind *k = &kinds[6];
    size_t bytes = frame_bytes(k), stored;
    for (int how = 0; how < 5; how++) {
        free(make_file(k, -1));
        xn_frames *f = opened(NULL);
        int64_t at = h5_chunk(path, "data", 3, &stored);
        if (how == 0) h5_damage(path, at, 0, 8);                              // decodes to nothing
        if (how == 1) h5_damage(path, at + 8, 0xff, 4);                       // blocks larger than the chunk
        if (how == 2) h5_damage(path, at + 12, 0xff, 4);                      // the first block
        if (how == 3) h5_damage(path, at + (int64_t)stored / 2, 0xff, 16384); // one further on
        if (how == 4) ck_assert_int_eq(truncate(path, at + (int64_t)stored - 100), 0);
        uint8_t *got = malloc(bytes + 16);
        memset(got + bytes, 0xA5, 16);
        xn_strips *s = xn_strips_open(f, 1);
        bool good = xn_strips_begin(s, 0, 3);
        size_t done = 0;
        for (size_t row = (size_t)(k->w * k->elem); good && done < bytes;) {
            good = xn_strips_next(s, 0, got + done, row);
            if (good) done += row;
        }
        ck_assert_msg(!good && done < bytes, "case %d was not seen", how);
        ck_assert_msg((how >= 3) == (done > 0), "case %d: %zu bytes were there", how, done);
        for (int i = 0; i < 16; i++) ck_assert_uint_eq(got[bytes + (size_t)i], 0xA5);
        ck_assert_int_eq(xn_frames_read(ctx, f, 3, got), XANI_ERR_INPUT);
        xn_clear_error(ctx);
        ck_assert(xn_strips_begin(s, 0, 1) && xn_strips_next(s, 0, got, bytes)); // another one is as good as ever
        xn_strips_close(&s);
        xn_frames_close(&f);
        free(got);
    }
}
END_TEST

START_TEST(test_missing)
{
    // A chunk that was never written, the first or a later one.
    for (int i = 0; i < 2; i++) {
        const kind *k = &kinds[i == 0 ? 6 : 2];
        free(make_file(k, 2));
        xn_frames *f = opened(NULL);
        xn_strips *s = xn_strips_open(f, 1);
        ck_assert(xn_strips_begin(s, 0, 1));
        ck_assert(!xn_strips_begin(s, 0, 2));
        xn_strips_close(&s);
        xn_frames_close(&f);
    }
}
END_TEST

START_TEST(test_memory)
{
    const kind *k = &kinds[6];
    free(make_file(k, -1));
    xn_frames *f = opened(NULL);
    uint8_t *got = malloc(N * frame_bytes(k));
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        no_memory_begin(&n);
        xn_strips *s = xn_strips_open(f, N);
        bool done = s != NULL && read_by_turns(s, frame_bytes(k), 5000, got);
        xn_strips_close(&s);
        no_memory_end();
        ck_assert_msg(done == !n.reached, "allocation %d", (int)n.at);
    }
    ck_assert_uint_ge(n.at, 5);
    xn_frames_close(&f);
    free(got);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_strips, 0, KINDS);
    tcase_add_test(t, test_reader_given);
    tcase_add_test(t, test_damaged);
    tcase_add_test(t, test_missing);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("frames by strips", add)
