// SPDX-License-Identifier: BSD-3-Clause
// test_chunk_keys.c -- keys of a version 1 index that hide chunks from the library's search are damage, not data.
#include "io/array.h"

#include "chunk_file.h"
#include "h5write.h"

static xn_ctx *ctx;
static char path[600];
static uint8_t *bytes;
static size_t n;

enum { SIDE = 20, HEAD = 24, KEY = 32, PAIR = KEY + 8 }; // 400 chunks of one element, 16 bits: keys of 3 numbers

static void set_up(void)
{
    const hsize_t one[] = {1, 1};
    uint16_t values[SIDE * SIDE];
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(path, sizeof path, "%s/keys.h5", xn_test_dir("chunk_keys"));
    for (int i = 0; i < SIDE * SIDE; i++) values[i] = (uint16_t)i;
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), p = H5Pcreate(H5P_DATASET_CREATE);
    hid_t s = H5Screate_simple(2, (const hsize_t[]){SIDE, SIDE}, NULL);
    H5Pset_chunk(p, 2, one);
    hid_t d = H5Dcreate2(f, "v", H5T_NATIVE_UINT16, s, H5P_DEFAULT, p, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    H5Dclose(d);
    H5Sclose(s);
    H5Pclose(p);
    H5Fclose(f);
    FILE *in = fopen(path, "rb");
    fseek(in, 0, SEEK_END);
    n = (size_t)ftell(in);
    rewind(in);
    bytes = malloc(n);
    ck_assert_uint_eq(fread(bytes, 1, n, in), n);
    fclose(in);
}

static void tear_down(void)
{
    free(bytes);
    xani_destroy(&ctx);
}

// The first node of that level that has several entries.
static uint8_t *node(int level)
{
    for (size_t at = 0; at + HEAD < n; at++)
        if (memcmp(bytes + at, "TREE\1", 5) == 0 && bytes[at + 5] == level && bytes[at + 6] > 3) return bytes + at;
    ck_abort_msg("no node of level %d", level);
}

static xani_status open_changed(bool fill)
{
    xn_array *a = NULL;
    FILE *out = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, n, out), n);
    fclose(out);
    const xn_array_options how = {.fill = fill};
    xani_status st = xn_array_open(ctx, (const char *const[]){path}, 1, "v", &how, &a);
    xn_array_close(&a);
    return st;
}

static void expect_damage(void)
{
    for (int fill = 0; fill < 2; fill++) {
        ck_assert_int_eq(open_changed(fill), XANI_ERR_INPUT);
        ck_assert_msg(strstr(xani_error_text(ctx), "v: its chunk index is damaged"), "%s", xani_error_text(ctx));
        xn_clear_error(ctx);
    }
}

START_TEST(test_good) { ck_assert_msg(open_changed(false) == XANI_OK, "%s", xani_error_text(ctx)); }
END_TEST

START_TEST(test_zeroed_entry)
{
    uint8_t *leaf = node(0);
    memset(leaf + HEAD + 2 * PAIR + 8, 0, PAIR - 8); // the key's place and the child
    expect_damage();
}
END_TEST

START_TEST(test_superblock)
{
    memset(node(0) + HEAD + 2 * PAIR + KEY, 0, 8);
    expect_damage();
}
END_TEST

START_TEST(test_element)
{
    node(0)[HEAD + 2 * PAIR + 24] = 1;
    expect_damage();
}
END_TEST

START_TEST(test_order)
{
    uint8_t *leaf = node(0);
    memcpy(leaf + HEAD + 2 * PAIR, leaf + HEAD, KEY);
    expect_damage();
}
END_TEST

// The last key of a node is no chunk's, but the end of the last one's reach.
START_TEST(test_end)
{
    uint8_t *leaf = node(0);
    memset(leaf + HEAD + leaf[6] * PAIR + 8, 0, KEY - 8);
    expect_damage();
}
END_TEST

// A key of an inner node that begins after the first chunks of its child.
START_TEST(test_span)
{
    uint8_t *inner = node(1);
    inner[HEAD + PAIR + 16] = (uint8_t)(inner[HEAD + PAIR + 16] + 1);
    expect_damage();
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_good);
    tcase_add_test(t, test_zeroed_entry);
    tcase_add_test(t, test_superblock);
    tcase_add_test(t, test_element);
    tcase_add_test(t, test_order);
    tcase_add_test(t, test_end);
    tcase_add_test(t, test_span);
}
XN_TEST_MAIN("chunk keys", add)
