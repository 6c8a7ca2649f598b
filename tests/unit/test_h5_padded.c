// SPDX-License-Identifier: BSD-3-Clause
// test_h5_padded.c -- rows are read where they were written, although others never were; virtual datasets tell their
// holes.
#include "h5write.h"

#include "io/h5.h"

static xn_ctx *ctx;
static char file[600];

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(file, sizeof file, "%s/padded.h5", xn_test_dir("padded"));
    h5_make(file);
}

static void tear_down(void) { xani_destroy(&ctx); }

// 16 rows of 6 in chunks of 4 x 3; written: rows 0-3 whole, rows 8-11 whole, rows 12-15 without their second chunk.
static void write_padded(void)
{
    hid_t f = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT), created = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(2, (hsize_t[]){16, 6}, NULL);
    H5Pset_chunk(created, 2, (hsize_t[]){4, 3});
    hid_t d = H5Dcreate2(f, "x", H5T_NATIVE_INT32, space, H5P_DEFAULT, created, H5P_DEFAULT);
    int32_t value[24];
    for (int block = 0; block < 3; block++) {
        hsize_t start[2] = {(const hsize_t[]){0, 8, 12}[block], 0}, count[2] = {4, block < 2 ? 6 : 3};
        hid_t memory = H5Screate_simple(2, count, NULL);
        for (hsize_t i = 0; i < count[0] * count[1]; i++) value[i] = (int32_t)(100 * start[0] + i);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
        ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_INT32, memory, space, H5P_DEFAULT, value), 0);
        H5Sclose(memory);
    }
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(created);
    H5Fclose(f);
}

static void refuses(const xn_h5 *h5, int64_t first, int64_t count, const char *text)
{
    int32_t value[96];
    ck_assert_int_eq(xn_h5_read_rows(ctx, h5, "x", XN_I32, first, count, value), XANI_ERR_INPUT);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    xn_clear_error(ctx);
}

START_TEST(test_rows)
{
    write_padded();
    xn_h5 *h5 = NULL;
    int32_t value[24];
    ck_assert_int_eq(xn_h5_open(ctx, file, &h5), XANI_OK);
    ck_assert_int_eq(xn_h5_read_rows(ctx, h5, "x", XN_I32, 1, 3, value), XANI_OK);
    for (int i = 0; i < 18; i++) ck_assert_int_eq(value[i], 6 + i);
    ck_assert_int_eq(xn_h5_read_rows(ctx, h5, "x", XN_I32, 8, 4, value), XANI_OK);
    for (int i = 0; i < 24; i++) ck_assert_int_eq(value[i], 800 + i);
    ck_assert_int_eq(xn_h5_read_rows(ctx, h5, "x", XN_I32, 5, 0, value), XANI_OK);
    refuses(h5, 3, 2, "row 4 was never written");
    refuses(h5, 6, 1, "row 6 was never written");
    refuses(h5, 11, 2, "row 12 was never written"); // its first chunk is there
    refuses(h5, 0, 16, "never written");
    refuses(h5, 15, 2, "it has 16");
    double *all = NULL;
    ck_assert_int_eq(xn_h5_read_f64(ctx, h5, "x", &all, NULL), XANI_ERR_INPUT);
    ck_assert_ptr_null(all);
    xn_h5_close(&h5);
}
END_TEST

// Frames (6, 3, 2): column 0 from rows 0-5 of a, column 1 from rows 0-1 of a in frames 2-3, column 2 of a file that is
// not there.
static void write_virtual(void)
{
    float value[12];
    for (int i = 0; i < 12; i++) value[i] = (float)i;
    h5_put(file, "a", H5T_NATIVE_FLOAT, H5_SHAPE(6, 2), value);
    hid_t f = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT), created = H5Pcreate(H5P_DATASET_CREATE);
    hid_t to = H5Screate_simple(3, (hsize_t[]){6, 3, 2}, NULL), from = H5Screate_simple(2, (hsize_t[]){6, 2}, NULL);
    static const hsize_t start[3][3] = {{0, 0, 0}, {2, 1, 0}, {0, 2, 0}}, rows[3] = {6, 2, 6};
    for (int k = 0; k < 3; k++) {
        H5Sselect_hyperslab(to, H5S_SELECT_SET, start[k], NULL, (hsize_t[]){rows[k], 1, 2}, NULL);
        H5Sselect_hyperslab(from, H5S_SELECT_SET, (hsize_t[]){0, 0}, NULL, (hsize_t[]){rows[k], 2}, NULL);
        ck_assert_int_ge(H5Pset_virtual(created, to, k < 2 ? "." : "gone.h5", "a", from), 0);
    }
    H5Sselect_all(to);
    hid_t d = H5Dcreate2(f, "v", H5T_NATIVE_FLOAT, to, H5P_DEFAULT, created, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    H5Dclose(d);
    H5Sclose(to);
    H5Sclose(from);
    H5Pclose(created);
    H5Fclose(f);
}

START_TEST(test_covered)
{
    write_virtual();
    h5_put(file, "one", H5T_NATIVE_FLOAT, H5_SHAPE(6), (float[6]){0});
    xn_h5 *h5 = NULL;
    uint8_t there[18] = {0};
    ck_assert_int_eq(xn_h5_open(ctx, file, &h5), XANI_OK);
    ck_assert_msg(xn_h5_covered(ctx, h5, "v", there) == XANI_OK, "%s", xani_error_text(ctx));
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 3; k++) ck_assert_int_eq(there[3 * i + k], k == 0 || (k == 1 && (i == 2 || i == 3)));
    memset(there, 0, sizeof there);
    ck_assert_int_eq(xn_h5_covered(ctx, h5, "a", there), XANI_OK); // not virtual
    for (int i = 0; i < 12; i++) ck_assert_int_eq(there[i], 1);
    ck_assert_int_eq(xn_h5_covered(ctx, h5, "absent", there), XANI_ERR_INPUT);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_h5_covered(ctx, h5, "one", there), XANI_ERR_INPUT);
    xn_h5_close(&h5);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_rows);
    tcase_add_test(t, test_covered);
}

XN_TEST_MAIN("h5 padded", add)
