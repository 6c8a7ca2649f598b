// SPDX-License-Identifier: BSD-3-Clause
// test_pieces.c -- pieces read as H5Dread reads them, whatever their layout; what is wrong with one is an error naming
// it.
#include "io/pieces.h"
#include "no_memory.h"

#include <fcntl.h>
#include <hdf5.h>
#include <omp.h>

#include "io/worker/worker.h"
#include "test.h"

enum { H = 10, W = 6, N = 40 };
static xn_ctx *ctx;
static char dir[512], path[600];
static uint16_t want[N][H][W];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("pieces"));
    snprintf(path, sizeof path, "%s/tags.h5", dir);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < H * W; k++) want[i][k / W][k % W] = (uint16_t)(i * 977 + k * 13);
}
static void tear_down(void)
{
    xn_mem_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

typedef enum { CONTIGUOUS, COMPACT, ROWS, PART_ROWS, TILES, UNFILTERED, OTHER_ORDER, USER_BLOCK } how;

static hid_t creation(how h)
{
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[2] = {h == TILES ? 4 : h == PART_ROWS ? 4 : 5, h == TILES ? 4 : W};
    if (h == COMPACT) H5Pset_layout(p, H5D_COMPACT);
    if (h == ROWS || h == PART_ROWS || h == TILES || h == UNFILTERED || h == USER_BLOCK) H5Pset_chunk(p, 2, chunk);
    if (h == ROWS || h == PART_ROWS || h == TILES || h == USER_BLOCK) {
        H5Pset_shuffle(p);
        H5Pset_deflate(p, 4);
    }
    return p;
}

// Tags 0 ... N - 1 but every 7th; their member "data".
static void make(how h)
{
    hid_t p = H5Pcreate(H5P_FILE_CREATE);
    if (h == USER_BLOCK) H5Pset_userblock(p, 512);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, p, H5P_DEFAULT), links = H5Pcreate(H5P_LINK_CREATE), c = creation(h);
    hsize_t dims[2] = {H, W};
    hid_t space = H5Screate_simple(2, dims, NULL);
    H5Pset_create_intermediate_group(links, 1);
    for (int i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, "run/panel/tag_%d/%s", i, i % 7 == 3 ? "other" : "data");
        hid_t d = H5Dcreate2(f, name, h == OTHER_ORDER ? H5T_STD_U16BE : H5T_STD_U16LE, space, links, c, H5P_DEFAULT);
        ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, want[i]), 0);
        H5Dclose(d);
    }
    H5Sclose(space);
    H5Pclose(links);
    H5Pclose(c);
    H5Pclose(p);
    H5Fclose(f);
}

static xani_status add(xn_pieces *p, int64_t index[N])
{
    static char text[N][16];
    const char *names[N];
    xn_h5 *h5;
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "tag_%d", i);
        names[i] = text[i];
    }
    xani_status st = xn_h5_open(ctx, path, &h5);
    if (st == XANI_OK) st = xn_pieces_add(ctx, p, h5, "run/panel", names, N, "data", index);
    xn_h5_close(&h5);
    return st;
}

static xani_status read_all(bool *equal)
{
    xn_pieces *p;
    int64_t index[N];
    *equal = true;
    xani_status st = xn_pieces_open(ctx, NULL, &p);
    if (st == XANI_OK) st = add(p, index);
    if (st == XANI_OK) {
#pragma omp parallel for num_threads(4)
        for (int k = 0; k < 4 * N; k++) {
            uint16_t got[H][W];
            int i = k % N;
            if (index[i] < 0) continue;
            xani_status one = xn_pieces_read(ctx, p, index[i], got);
#pragma omp critical
            {
                if (one != XANI_OK && st == XANI_OK) st = one;
                if (one == XANI_OK && memcmp(got, want[i], sizeof got) != 0) *equal = false;
            }
        }
    }
    if (st == XANI_OK) {
        const xn_pieces_info *info = xn_pieces_get_info(p);
        ck_assert(info->n == N - 6 && info->rank == 2 && info->dims[0] == H && info->dims[1] == W);
        ck_assert(info->type == XN_U16 && info->bytes == H * W * 2 && info->stored_bytes > 0);
        for (int i = 0; i < N; i++) ck_assert((index[i] < 0) == (i % 7 == 3));
    }
    xn_pieces_close(&p);
    return st;
}

// Every layout, from four threads at once; those the engine of arrays reads as well.
START_TEST(test_layouts)
{
    for (how h = CONTIGUOUS; h <= USER_BLOCK; h++) {
        bool equal;
        make(h);
        ck_assert_msg(read_all(&equal) == XANI_OK, "layout %d: %s", (int)h, xani_error_text(ctx));
        ck_assert_msg(equal, "layout %d", (int)h);
    }
}
END_TEST

// The same through the helper process, whose one look covers all of them.
START_TEST(test_isolated)
{
    bool equal;
    setenv("XANI_WORKER", "../xani-worker", 1);
    if (!xn_worker_use(true, NULL)) {
        xn_skip("no xani-worker");
        return;
    }
    make(ROWS);
    ck_assert_msg(read_all(&equal) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert(equal);
    xn_worker_use(false, NULL);
}
END_TEST

static void change(const char *name, hid_t type, int rank, const hsize_t *dims, const void *values)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(f, name, H5P_DEFAULT);
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t d = H5Dcreate2(f, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    if (values) H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(d);
    H5Sclose(space);
    H5Fclose(f);
}

static void fails(const char *words)
{
    bool equal;
    xn_clear_error(ctx);
    ck_assert_int_eq(read_all(&equal), XANI_ERR_INPUT);
    ck_assert_msg(strstr(xani_error_text(ctx), words) != NULL, "%s", xani_error_text(ctx));
}

START_TEST(test_refused)
{
    const hsize_t other[2] = {W, H}, same[2] = {H, W};
    static float values[H][W];
    make(CONTIGUOUS);
    change("run/panel/tag_5/data", H5T_NATIVE_UINT16, 2, other, want[5]);
    fails("tag_5/data is uint16 of shape (6, 10)");
    make(CONTIGUOUS);
    change("run/panel/tag_8/data", H5T_NATIVE_FLOAT, 2, same, values);
    fails("tag_8/data is float32");
    make(CONTIGUOUS);
    change("run/panel/tag_9/data", H5T_NATIVE_UINT16, 2, same, NULL);
    fails("tag_9/data");
    make(CONTIGUOUS);
    ck_assert_int_eq(truncate(path, 20000), 0);
    bool equal;
    xn_clear_error(ctx);
    ck_assert_int_eq(read_all(&equal), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "tags.h5"));
}
END_TEST

// Chunks whose bytes were changed are refused by their filter, never given as data.
START_TEST(test_damaged_chunk)
{
    make(ROWS);
    xn_pieces *p;
    int64_t index[N];
    ck_assert_int_eq(xn_pieces_open(ctx, NULL, &p), XANI_OK);
    ck_assert_int_eq(add(p, index), XANI_OK);
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, "run/panel/tag_4/data", H5P_DEFAULT);
    hid_t space = H5Dget_space(d);
    hsize_t at[2], size;
    haddr_t address;
    unsigned mask;
    H5Dget_chunk_info(d, space, 1, at, &mask, &address, &size);
    H5Sclose(space);
    H5Dclose(d);
    H5Fclose(f);
    struct stat before;
    stat(path, &before);
    FILE *raw = fopen(path, "r+b");
    fseek(raw, (long)address, SEEK_SET);
    for (hsize_t i = 0; i < size; i++) fputc(0xff, raw);
    fclose(raw);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    utimensat(AT_FDCWD, path, times, 0); // or it would be refused for its time
    uint16_t got[H][W];
    ck_assert_int_eq(xn_pieces_read(ctx, p, index[4], got), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "chunk 1"));
    xn_pieces_close(&p);
}
END_TEST

START_TEST(test_memory)
{
    for (how h = CONTIGUOUS; h <= TILES; h++) {
        make(h);
        bool equal;
        no_memory n = NO_MEMORY;
        for (; n.reached; no_memory_next(&n)) {
            xn_clear_error(ctx);
            no_memory_begin(&n);
            xani_status st = read_all(&equal);
            no_memory_end();
            ck_assert_msg(st == XANI_OK || st == XANI_ERR_MEMORY, "%d: %s", (int)st, xani_error_text(ctx));
            ck_assert(st == XANI_OK ? equal : n.reached);
        }
        ck_assert_uint_gt(n.at, 5);
    }
}
END_TEST

static void add_tests(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_layouts);
    tcase_add_test(t, test_isolated);
    tcase_add_test(t, test_refused);
    tcase_add_test(t, test_damaged_chunk);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("pieces", add_tests)
