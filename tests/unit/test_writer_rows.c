// SPDX-License-Identifier: BSD-3-Clause
// test_writer_rows.c -- rows written in chunks on many threads are, byte for byte, those of one thread, and the
// library reads from them what was handed over, whatever the filter, the shape and the type.
#include "no_memory.h"
#include "test.h"

#include <errno.h>
#include <hdf5.h>

#include "codec/encode.h"
#include "io/write/writer_rows.h"

static xn_ctx *ctx;
static char dir[512], path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("writer-rows"));
    snprintf(path, sizeof path, "%s/rows.h5", dir);
}
static void tear_down(void)
{
    xn_io_set_hook(NULL, NULL);
    xn_mem_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

enum { MOST = 40 * 50 * 70 };
static uint8_t values[8 * MOST], back[8 * MOST];

static void fill(void)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < sizeof values; i++) {
        x = x * 1664525 + 1013904223;
        values[i] = (uint8_t)(i % 4 ? 0 : x >> 27); // compressible, but not trivially
    }
}

typedef struct {
    int rank;
    int64_t dims[4], chunk[4], step; // step: rows handed over at once
} shape;
static const shape shapes[] = {
    {3, {11, 50, 70}, {1, 0, 0}, 3},  {3, {11, 50, 70}, {4, 50, 70}, 8}, {3, {9, 50, 70}, {2, 16, 33}, 4},
    {2, {40, 70}, {7, 70}, 14},       {1, {5000}, {333}, 333 * 4},       {4, {6, 3, 10, 7}, {1, 1, 10, 7}, 1},
    {3, {1, 50, 70}, {1, 25, 70}, 1}, {3, {5, 1, 1}, {5, 1, 1}, 5},      {2, {3, 3}, {2, 2}, 2},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static int64_t size_of(const shape *s)
{
    int64_t n = 1;
    for (int k = 0; k < s->rank; k++) n *= s->dims[k];
    return n;
}

static xani_status write_one(const shape *s, xn_type type, const char *filter, int threads)
{
    xn_rows_layout layout = {.type = type, .rank = s->rank, .filter = filter, .threads = threads};
    memcpy(layout.dims, s->dims, sizeof s->dims);
    memcpy(layout.chunk, s->chunk, sizeof s->chunk);
    int64_t row = size_of(s) / s->dims[0] * (int64_t)xn_type_size(type);
    xn_writer *w;
    xani_status st = xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w);
    if (st != XANI_OK) return st;
    xn_writer_rows_begin(w, "/g/d", &layout);
    for (int64_t i = 0; i < s->dims[0]; i += s->step)
        xn_writer_rows(w, "/g/d", xn_min64(s->step, s->dims[0] - i), values + i * row);
    return xn_writer_publish(&w);
}

static void read_back(const char *file, hid_t type)
{
    hid_t f = H5Fopen(file, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, "/g/d", H5P_DEFAULT);
    ck_assert(d >= 0);
    memset(back, 0xee, sizeof back);
    ck_assert_int_ge(H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, back), 0);
    H5Dclose(d);
    H5Fclose(f);
}

START_TEST(test_library_reads_it)
{
    // Every filter and element size, in every shape.
    static const char *const filters[] = {"none", "bslz4", "gzip", "zstd"};
    static const struct {
        xn_type type;
    } types[] = {{XN_U8}, {XN_I16}, {XN_F32}, {XN_U64}};
    fill();
    const shape *s = &shapes[_i];
    for (size_t f = 0; f < sizeof filters / sizeof filters[0]; f++) {
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
            xani_status st = write_one(s, types[t].type, filters[f], 0);
            ck_assert_msg(st == XANI_OK, "%s: %s", filters[f], xani_error_text(ctx));
            read_back(path, xn_hdf_native(types[t].type));
            ck_assert_mem_eq(back, values, (size_t)size_of(s) * xn_type_size(types[t].type));
        }
    }
}
END_TEST

START_TEST(test_results)
{
    // A large result is a gzipped dataset with checksums as the library would have written it, whatever its chunks.
    enum { T = 13, Y = 300, X = 401 };
    static float cube[T * Y * X], found[T * Y * X];
    for (int i = 0; i < T * Y * X; i++) cube[i] = (float)sin(1e-3 * i) + (i % 1000 == 0 ? NAN : 0.0f);
    static const int64_t chunks[][3] = {{T, 16, 16}, {1, Y, X}, {5, 299, 7}};
    for (size_t k = 0; k <= sizeof chunks / sizeof chunks[0]; k++) {
        const int64_t *chunk = k < 3 ? chunks[k] : NULL;
        xn_writer *w;
        ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
        xn_writer_data(w, "/g/d", XN_F32, 3, (const int64_t[]){T, Y, X}, chunk, cube);
        xani_status st = xn_writer_publish(&w);
        ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
        hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, "/g/d", H5P_DEFAULT);
        hid_t created = H5Dget_create_plist(d);
        ck_assert_int_eq(H5Pget_nfilters(created), 3);
        for (int i = 0; i < 3; i++) {
            static const int filters[] = {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE, H5Z_FILTER_FLETCHER32};
            unsigned flags;
            size_t n = 0;
            ck_assert_int_eq(H5Pget_filter2(created, (unsigned)i, &flags, &n, NULL, 0, NULL, NULL), filters[i]);
        }
        memset(found, 0, sizeof found);
        ck_assert_int_ge(H5Dread(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, found), 0);
        ck_assert_mem_eq(found, cube, sizeof cube);
        H5Pclose(created);
        H5Dclose(d);
        H5Fclose(f);
        ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_OK);
    }
}
END_TEST

static char *contents(long *n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    *n = ftell(f);
    rewind(f);
    char *bytes = malloc((size_t)*n);
    ck_assert_int_eq(fread(bytes, 1, (size_t)*n, f), (size_t)*n);
    fclose(f);
    return bytes;
}

START_TEST(test_same_bytes_for_any_threads)
{
    // One thread or five: the same file, chunks in their order, each at a multiple of 4096 where it is large.
    fill();
    const shape s = {3, {30, 50, 70}, {1, 50, 70}, 7};
    long n[2];
    char *bytes[2];
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(write_one(&s, XN_U64, "none", k ? 5 : 1), XANI_OK);
        bytes[k] = contents(&n[k]);
    }
    ck_assert_int_eq(n[0], n[1]);
    ck_assert_mem_eq(bytes[0], bytes[1], n[0]);
    free(bytes[0]);
    free(bytes[1]);
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, "/g/d", H5P_DEFAULT), space = H5Dget_space(d);
    haddr_t before = 0;
    for (hsize_t i = 0; i < 30; i++) {
        haddr_t address;
        hsize_t bytes_stored, offset[3];
        unsigned mask;
        ck_assert_int_ge(H5Dget_chunk_info(d, space, i, offset, &mask, &address, &bytes_stored), 0);
        ck_assert_uint_eq(address % 4096, 0);
        ck_assert_uint_gt(address, before);
        before = address;
    }
    H5Sclose(space);
    H5Dclose(d);
    H5Fclose(f);
}
END_TEST

START_TEST(test_encoders_and_decoders)
{
    // What is encoded is decoded to the same bytes, by every pipeline, with every number of bytes left over.
    static const char *const filters[] = {"none", "bslz4", "bszstd", "gzip", "zstd"};
    fill();
    xn_codec *codec = xn_codec_open();
    for (size_t f = 0; f < sizeof filters / sizeof filters[0]; f++) {
        for (size_t elem = 1; elem <= 8; elem *= 2) {
            for (size_t n = 1; n < 40000; n = n * 3 + 1) {
                xn_pipeline p;
                ck_assert(xn_pipeline_named(filters[f], (int)(n % 3), elem, &p));
                for (int sum = 0; sum < 2; sum++) {
                    if (sum) p.filter[p.n++].id = XN_FILTER_FLETCHER32;
                    size_t room = xn_pipeline_bound(&p, n * elem), written = 0;
                    ck_assert_uint_ge(room, n * elem);
                    uint8_t *stored = malloc(room + 1);
                    stored[room] = 0x5a;
                    ck_assert_ptr_null(xn_pipeline_encode(codec, &p, values, n * elem, stored, &written));
                    ck_assert_uint_le(written, room);
                    ck_assert_uint_eq(stored[room], 0x5a);
                    memset(back, 0xee, n * elem);
                    ck_assert_ptr_null(xn_pipeline_decode(codec, &p, 0, stored, written, back, n * elem));
                    ck_assert_mem_eq(back, values, n * elem);
                    free(stored);
                }
            }
        }
    }
    xn_pipeline p;
    ck_assert(!xn_pipeline_named("lzma", 0, 2, &p));
    xn_codec_close(&codec);
}
END_TEST

static int hook_at;
static int fail_write(void *user, const char *operation, const char *name, uint64_t number)
{
    (void)user, (void)name;
    return strcmp(operation, "write") == 0 && (int)number >= hook_at ? ENOSPC : 0;
}

START_TEST(test_full_disk)
{
    // Wherever the disk is full, it is said so and nothing is left.
    fill();
    const shape s = {3, {12, 50, 70}, {1, 50, 70}, 5};
    int failures = 0;
    for (hook_at = 1; hook_at < 60; hook_at += 3) {
        unlink(path);
        xn_clear_error(ctx);
        xn_io_set_hook(fail_write, NULL);
        xani_status st = write_one(&s, XN_I16, "bslz4", 3);
        xn_io_set_hook(NULL, NULL);
        if (st == XANI_OK) continue;
        failures++;
        ck_assert_int_eq(st, XANI_ERR_OUTPUT);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "No space left"));
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    ck_assert_int_ge(failures, 5);
}
END_TEST

START_TEST(test_out_of_memory)
{
    // Any allocation may fail: an error, no file, no crash; and without one the same call works.
    fill();
    const shape s = {3, {6, 50, 70}, {2, 16, 33}, 4};
    xani_status st = XANI_ERR_MEMORY;
    int failures = 0;
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        unlink(path);
        xn_clear_error(ctx);
        no_memory_begin(&n);
        st = write_one(&s, XN_I16, "gzip", 2);
        no_memory_end();
        if (st == XANI_OK) continue;
        failures++;
        bool memory = st == XANI_ERR_MEMORY || strstr(xani_error_text(ctx), "Cannot allocate memory") != NULL;
        ck_assert_msg(memory, "%d: %s", (int)st, xani_error_text(ctx));
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    ck_assert_int_eq(st, XANI_OK);
    ck_assert_int_ge(failures, 10);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_library_reads_it, 0, N_SHAPES);
    tcase_add_test(t, test_results);
    tcase_add_test(t, test_same_bytes_for_any_threads);
    tcase_add_test(t, test_encoders_and_decoders);
    tcase_add_test(t, test_full_disk);
    tcase_add_test(t, test_out_of_memory);
}
XN_TEST_MAIN("writer_rows", add)
