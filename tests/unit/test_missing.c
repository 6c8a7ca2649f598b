// SPDX-License-Identifier: BSD-3-Clause
// test_missing.c -- what was never written: an error, the fill value, or nothing, the same by the engine and the
// library.
#include "io/array.h"

#include "h5write.h"
#include "test.h"

static xn_ctx *ctx;
static char path[600];
static hid_t file;

enum { ROWS = 9, WIDTH = 6, CHUNK = 2 };

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(path, sizeof path, "%s/missing.h5", xn_test_dir("missing"));
    file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
}
static void tear_down(void) { xani_destroy(&ctx); }

// Rows 2 and 3 written where `some`.
static void make(hid_t created, bool some)
{
    uint16_t rows[CHUNK * WIDTH];
    for (int i = 0; i < CHUNK * WIDTH; i++) rows[i] = (uint16_t)(100 + i);
    hid_t space = H5Screate_simple(2, (const hsize_t[]){ROWS, WIDTH}, NULL);
    hid_t d = H5Dcreate2(file, "v", H5T_NATIVE_UINT16, space, H5P_DEFAULT, created, H5P_DEFAULT);
    hid_t memory = H5Screate_simple(2, (const hsize_t[]){CHUNK, WIDTH}, NULL);
    ck_assert_int_ge(d, 0);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, (const hsize_t[]){2, 0}, NULL, (const hsize_t[]){CHUNK, WIDTH}, NULL);
    if (some) ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_UINT16, memory, space, H5P_DEFAULT, rows), 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(d);
    H5Pclose(created);
    H5Fclose(file);
}

static hid_t chunked(void)
{
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(created, 2, (const hsize_t[]){CHUNK, WIDTH});
    return created;
}

static xani_status read_rows(const xn_array_options *how, int64_t first, int64_t n, uint16_t *values)
{
    xn_array *a = NULL;
    xn_selection s;
    xani_status st = xn_array_open(ctx, (const char *const[]){path}, 1, "v", how, &a);
    memset(values, 0x5a, ROWS * WIDTH * sizeof *values); // what stays so was not filled
    if (st == XANI_OK) {
        xn_selection_all(a, &s);
        s.start[0] = first;
        s.count[0] = n;
        st = xn_array_read(ctx, a, &s, XN_U16, values, 1);
    }
    xn_array_close(&a);
    return st;
}

static const char *const readers[] = {"auto", "library"};

// The library leaves the caller's memory as it was where the fill time is NEVER.
START_TEST(test_never_filled)
{
    uint16_t values[ROWS * WIDTH], fill = 7;
    hid_t created = chunked();
    H5Pset_fill_value(created, H5T_NATIVE_UINT16, &fill);
    H5Pset_fill_time(created, H5D_FILL_TIME_NEVER);
    make(created, true);
    const xn_array_options how = {.reader = readers[_i], .fill = true, .known = true};
    ck_assert_msg(read_rows(&how, 0, ROWS, values) == XANI_OK, "%s", xani_error_text(ctx));
    for (int i = 0; i < ROWS * WIDTH; i++)
        ck_assert_int_eq(values[i], i / WIDTH / CHUNK == 1 ? 100 + i - CHUNK * WIDTH : fill);
}
END_TEST

START_TEST(test_undefined)
{
    uint16_t values[ROWS * WIDTH];
    hid_t created = chunked();
    H5Pset_fill_value(created, H5T_NATIVE_UINT16, NULL);
    H5Pset_fill_time(created, H5D_FILL_TIME_NEVER); // else the library does not write parts
    make(created, true);
    const xn_array_options how = {.reader = readers[_i], .fill = true, .known = true};
    ck_assert_int_eq(read_rows(&how, 0, ROWS, values), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "never written"));
}
END_TEST

// Only the library decodes scale-offset: rows that were written are read, as with other filters.
START_TEST(test_holes)
{
    uint16_t values[ROWS * WIDTH];
    hid_t created = chunked();
    H5Pset_scaleoffset(created, H5Z_SO_INT, H5Z_SO_INT_MINBITS_DEFAULT);
    make(created, true);
    const xn_array_options how = {.reader = readers[_i]};
    ck_assert_msg(read_rows(&how, 2, 2, values) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert(values[0] == 100 && values[2 * WIDTH - 1] == 111);
    ck_assert_int_eq(read_rows(&how, 3, 4, values), XANI_ERR_INPUT);
    ck_assert_msg(strstr(xani_error_text(ctx), "v: frame 4: was never written"), "%s", xani_error_text(ctx));
}
END_TEST

START_TEST(test_null)
{
    double one = 1;
    hid_t space = H5Screate(H5S_NULL);
    H5Dclose(H5Dcreate2(file, "v", H5T_NATIVE_UINT16, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Fclose(file);
    xn_array *a = NULL;
    const xn_array_options how = {.reader = readers[_i]};
    ck_assert_msg(xn_array_open(ctx, (const char *const[]){path}, 1, "v", &how, &a) == XANI_OK, "%s",
                  xani_error_text(ctx));
    ck_assert(xn_array_get_info(a)->rank == 1 && xn_array_get_info(a)->dims[0] == 0);
    xn_selection s;
    xn_selection_all(a, &s);
    ck_assert_int_eq(xn_array_read(ctx, a, &s, XN_F64, &one, 1), XANI_OK);
    ck_assert(one == 1);
    xn_array_close(&a);
}
END_TEST

// The first row that is not there is named, not the first of those asked for.
START_TEST(test_short_external)
{
    char raw[700];
    uint16_t values[ROWS * WIDTH] = {0};
    snprintf(raw, sizeof raw, "%s.raw", path);
    FILE *f = fopen(raw, "wb");
    ck_assert_uint_eq(fwrite(values, sizeof *values, 3 * WIDTH + 1, f), 3 * WIDTH + 1);
    fclose(f);
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(created, raw, 0, H5F_UNLIMITED);
    make(created, false);
    const xn_array_options how = {.threads = 1};
    ck_assert_msg(read_rows(&how, 1, 2, values) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(read_rows(&how, 1, ROWS - 1, values), XANI_ERR_INPUT);
    ck_assert_msg(strstr(xani_error_text(ctx), "frame 3: "), "%s", xani_error_text(ctx));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_never_filled, 0, 2);
    tcase_add_loop_test(t, test_undefined, 0, 2);
    tcase_add_loop_test(t, test_holes, 0, 2);
    tcase_add_loop_test(t, test_null, 0, 2);
    tcase_add_test(t, test_short_external);
}
XN_TEST_MAIN("missing", add)
