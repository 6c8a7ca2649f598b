// SPDX-License-Identifier: BSD-3-Clause
// test_pal_frame.c -- columns of compound tables and of pandas data frames come out as stored; names that Python
// pickled are read, and nothing else that a pickle may hold.
#include "no_memory.h"
#include "source/pal/frame.h"

#include <hdf5.h>

#include "h5write.h"
#include "test.h"

static xn_ctx *ctx;
static char path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(path, sizeof path, "%s/table.h5", xn_test_dir("pal_frame"));
}
static void tear_down(void)
{
    xn_mem_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

// ---- pickles

static void names(const char *bytes, size_t n, int64_t count, const char *const *wanted)
{
    int64_t found = -1;
    char **list = xn_pickled_names(bytes, n, &found);
    ck_assert_msg((list != NULL) == (wanted != NULL), "%.*s", (int)n, bytes);
    if (list == NULL) return;
    ck_assert_int_eq(found, count);
    for (int64_t i = 0; i < count; i++) ck_assert_str_eq(list[i], wanted[i]);
    ck_assert_ptr_null(list[count]);
    xn_h5_names_free(list);
}
#define NAMES(bytes, ...)                                                                                              \
    names(bytes, sizeof bytes - 1, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                             \
          (const char *const[]){__VA_ARGS__})
#define REFUSED(bytes) names(bytes, sizeof bytes - 1, 0, NULL)

START_TEST(test_pickles)
{
    NAMES("(lp0\nVdelay_value\np1\naVqbpm:eh1:qbpm1:sum\np2\na.", "delay_value", "qbpm:eh1:qbpm1:sum");
    NAMES("(lp0\nS'old'\np1\naI5\naL12L\na.", "old", "5", "12");
    NAMES("]q\x00(X\x01\x00\x00\x00"
          "aq\x01X\x02\x00\x00\x00"
          "bcq\x02"
          "e.",
          "a", "bc"); // protocol 1
    NAMES("\x80\x04\x95\x0e\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x02xy\x94K\x07"
          "e.",
          "xy", "7"); // protocol 4
    names("(lp0\n.", 6, 0, (const char *const[]){NULL});
    REFUSED("");
    REFUSED("(lp0\nVdelay");            // cut
    REFUSED("cos\nsystem\n(S'x'\ntR."); // calls something
    REFUSED("(lp0\nV\\u00e4\np1\na.");  // an escape
    REFUSED("]q\x00(X\xff\xff\xff\x7f"
            "a"); // longer than what is there
}
END_TEST

// Changed bytes of a good pickle: a list or nothing, never a read beyond (the sanitizers watch).
START_TEST(test_changed_pickles)
{
    static const char good[] = "(lp0\nVdelay_value\np1\naX\x02\x00\x00\x00yzI7\na.";
    for (size_t at = 0; at < sizeof good - 1; at++)
        for (int byte = 0; byte < 256; byte += 3) {
            char *copy = malloc(sizeof good - 1);
            int64_t n;
            memcpy(copy, good, sizeof good - 1);
            copy[at] = (char)byte;
            for (size_t length = sizeof good - 1; length > 0; length -= length > 8 ? 7 : 1)
                xn_h5_names_free(xn_pickled_names(copy, length, &n));
            free(copy);
        }
}
END_TEST

// ---- tables

typedef struct {
    int64_t index;
    double pair[2];
    int8_t flag; // an enumeration
    uint32_t count;
    char text[4];
} row;

static void make_table(void)
{
    row rows[3] = {{100, {1.5, 2.5}, 1, 7, "ab"}, {200, {NAN, -1}, 0, 8, "cd"}, {300, {3, 4}, 1, 4000000000u, "ef"}};
    hid_t boolean = H5Tenum_create(H5T_NATIVE_INT8), text = H5Tcopy(H5T_C_S1);
    H5Tenum_insert(boolean, "no", &(int8_t){0});
    H5Tenum_insert(boolean, "yes", &(int8_t){1});
    H5Tset_size(text, 4);
    hid_t pair = H5Tarray_create2(H5T_NATIVE_DOUBLE, 1, &(hsize_t){2}), type = H5Tcreate(H5T_COMPOUND, sizeof(row));
    H5Tinsert(type, "index", offsetof(row, index), H5T_NATIVE_INT64);
    H5Tinsert(type, "values_block_0", offsetof(row, pair), pair);
    H5Tinsert(type, "flag", offsetof(row, flag), boolean);
    H5Tinsert(type, "count", offsetof(row, count), H5T_NATIVE_UINT32);
    H5Tinsert(type, "text", offsetof(row, text), text);
    h5_make(path);
    h5_put(path, "metadata/table", type, H5_SHAPE(3), rows);
    H5Tclose(type);
    H5Tclose(pair);
    H5Tclose(boolean);
    H5Tclose(text);
}

static void put_text(hid_t f, const char *object, const char *name, const char *value)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(value));
    hid_t a = H5Acreate_by_name(f, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(a, 0);
    H5Awrite(a, type, value);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
}

START_TEST(test_members)
{
    xn_h5 *h5;
    xn_h5_member *m;
    int n;
    int64_t rows, width, *whole;
    double *v;
    make_table();
    ck_assert_int_eq(xn_h5_open(ctx, path, &h5), XANI_OK);
    ck_assert_int_eq(xn_h5_members(ctx, h5, "metadata/table", &m, &n, &rows), XANI_OK);
    ck_assert(n == 5 && rows == 3 && m[1].width == 2 && m[1].type == XN_F64 && m[4].type == XN_STR);
    ck_assert_str_eq(m[2].name, "flag");
    xn_h5_members_free(m, n);
    ck_assert_int_eq(xn_h5_read_member_f64(ctx, h5, "metadata/table", "values_block_0", &v, &rows, &width), XANI_OK);
    ck_assert(rows == 3 && width == 2 && v[0] == 1.5 && v[1] == 2.5 && isnan(v[2]) && v[5] == 4);
    xn_free(v);
    ck_assert_int_eq(xn_h5_read_member_f64(ctx, h5, "metadata/table", "flag", &v, &rows, &width), XANI_OK);
    ck_assert(width == 1 && v[0] == 1 && v[1] == 0 && v[2] == 1);
    xn_free(v);
    ck_assert_int_eq(xn_h5_read_member_i64(ctx, h5, "metadata/table", "count", &whole, &rows, &width), XANI_OK);
    ck_assert(whole[2] == 4000000000);
    xn_free(whole);
    const char *bad[][2] = {{"text", "column text holds strings"}, {"none", "no column none"}};
    for (int i = 0; i < 2; i++) {
        xn_clear_error(ctx);
        ck_assert_int_eq(xn_h5_read_member_f64(ctx, h5, "metadata/table", bad[i][0], &v, &rows, &width),
                         XANI_ERR_INPUT);
        ck_assert_msg(strstr(xani_error_text(ctx), bad[i][1]) != NULL, "%s", xani_error_text(ctx));
    }
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_h5_read_member_i64(ctx, h5, "metadata/table", "values_block_0", &whole, &rows, &width),
                     XANI_ERR_INPUT); // not whole
    xn_h5_close(&h5);
}
END_TEST

static void describe(const char *kind)
{
    make_table();
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    put_text(f, "metadata", "pandas_type", "frame_table");
    put_text(f, "metadata/table", "values_block_0_kind", kind);
    H5Fclose(f);
}

START_TEST(test_frame)
{
    xn_h5 *h5;
    xn_pd_frame f;
    uint64_t *id;
    double *v;
    describe("(lp0\nVa\np1\naVb.c\np2\na.");
    ck_assert_int_eq(xn_h5_open(ctx, path, &h5), XANI_OK);
    ck_assert_msg(xn_pd_open(ctx, h5, "metadata", &f) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert(f.table && f.n == 3 && f.n_columns == 5);
    ck_assert_int_eq(xn_pd_index(ctx, h5, &f, &id), XANI_OK);
    ck_assert(id[0] == 100 && id[2] == 300);
    const xn_pd_column *c = xn_pd_column_named(&f, "b.c");
    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(xn_pd_read(ctx, h5, &f, c, &v), XANI_OK);
    ck_assert(v[0] == 2.5 && v[1] == -1 && v[2] == 4);
    ck_assert_int_eq(xn_pd_read(ctx, h5, &f, xn_pd_column_named(&f, "text"), &(double *){NULL}), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "column text holds text"));
    xn_free(v);
    xn_free(id);
    xn_pd_close(&f);
    xn_h5_close(&h5);
    describe("(lp0\nVonly one\np1\na."); // of two
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_h5_open(ctx, path, &h5), XANI_OK);
    ck_assert_int_eq(xn_pd_open(ctx, h5, "metadata", &f), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "values_block_0_kind"));
    xn_h5_close(&h5);
}
END_TEST

START_TEST(test_memory)
{
    describe("(lp0\nVa\np1\naVb.c\np2\na.");
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_h5 *h5 = NULL;
        xn_pd_frame f = {0};
        double *v = NULL;
        uint64_t *id = NULL;
        xn_clear_error(ctx);
        no_memory_begin(&n);
        xani_status st = xn_h5_open(ctx, path, &h5);
        if (st == XANI_OK) st = xn_pd_open(ctx, h5, "metadata", &f);
        if (st == XANI_OK) st = xn_pd_read(ctx, h5, &f, &f.column[0], &v);
        if (st == XANI_OK) st = xn_pd_index(ctx, h5, &f, &id);
        no_memory_end();
        ck_assert(st == XANI_OK || (n.reached && xani_error_text(ctx)[0] != '\0'));
        xn_free(v);
        xn_free(id);
        xn_pd_close(&f);
        xn_h5_close(&h5);
    }
    ck_assert_uint_gt(n.at, 20);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_pickles);
    tcase_add_test(t, test_changed_pickles);
    tcase_add_test(t, test_members);
    tcase_add_test(t, test_frame);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("pandas data frames", add)
