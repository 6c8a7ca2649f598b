// SPDX-License-Identifier: BSD-3-Clause
// test_array.c -- programs read datasets and attributes of a result as they were written.
#include "no_memory.h"
#include "test.h"

#include "io/write/publish.h"

static xn_ctx *ctx;
static char path[600];

static void set_up(void)
{
    static const double mass = 1.0552061079682834e-25, several[] = {2.5, 3.5};
    static const int64_t whole = -7, dims[] = {2, 3};
    static const float table[] = {1, 2, 3, 4, 5, NAN};
    static const uint8_t flags[] = {0, 1, 2, 3, 254, 255};
    static const char *const names[] = {"\xce\x93", "X"};
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(path, sizeof path, "%s/array.h5", xn_test_dir("array"));
    xn_writer *w;
    ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
    xn_writer_group(w, "/entry", "NXentry");
    xn_writer_data(w, "/entry/table", XN_F32, 2, dims, NULL, table);
    xn_writer_data(w, "/entry/flags", XN_U8, 2, dims, NULL, flags);
    xn_writer_texts(w, "/entry/names", names, 2);
    xn_writer_attr_f64(w, "/entry", "mass", &mass, 0);
    xn_writer_attr_f64(w, "/entry", "several", several, 2);
    xn_writer_attr_i64(w, "/entry", "whole", &whole, 0);
    xn_writer_attr_text(w, "/entry", "text", "plain");
    ck_assert_int_eq(xn_writer_publish(&w), XANI_OK);
}

static void tear_down(void)
{
    xn_mem_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

static void expect_attribute(const char *name, const char *text)
{
    char *got = NULL;
    ck_assert_int_eq(xani_attribute_read(ctx, path, "/entry", name, &got), XANI_OK);
    ck_assert_str_eq(got, text);
    xani_free(got);
}

START_TEST(test_attributes)
{
    // Text is handed out as it is, a number with every digit it has, of several the first.
    char *got = NULL;
    expect_attribute("text", "plain");
    expect_attribute("NX_class", "NXentry");
    expect_attribute("whole", "-7");
    expect_attribute("several", "2.5");
    ck_assert_int_eq(xani_attribute_read(ctx, path, "/entry", "mass", &got), XANI_OK);
    ck_assert(strtod(got, NULL) == 1.0552061079682834e-25);
    xani_free(got);
    ck_assert_str_eq(xani_error_text(ctx), "");
    ck_assert_int_eq(xani_attribute_read(ctx, path, "/entry", "none", &got), XANI_ERR_INPUT);
    ck_assert_ptr_null(got);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "none"));
    ck_assert_int_eq(xani_attribute_read(ctx, path, "/nothing", "none", &got), XANI_ERR_INPUT);
    ck_assert_int_eq(xani_attribute_read(ctx, "nothing.h5", "/", "none", &got), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "nothing.h5"));
}

START_TEST(test_datasets)
{
    // Floating point becomes float64, whole numbers int64, text strings, with the shape they have.
    xani_array a;
    ck_assert_int_eq(xani_array_read(ctx, path, "/entry/table", &a), XANI_OK);
    ck_assert(a.type == XANI_FLOAT64 && a.rank == 2 && a.shape[0] == 2 && a.shape[1] == 3 && a.size == 6);
    ck_assert(a.f64[4] == 5 && isnan(a.f64[5]) && a.i64 == NULL && a.strings == NULL);
    xani_array_free(&a);
    ck_assert_int_eq(xani_array_read(ctx, path, "/entry/flags", &a), XANI_OK);
    ck_assert(a.type == XANI_INT64 && a.i64[5] == 255 && a.f64 == NULL);
    xani_array_free(&a);
    ck_assert_int_eq(xani_array_read(ctx, path, "/entry/names", &a), XANI_OK);
    ck_assert(a.type == XANI_STRING && a.size == 2);
    ck_assert_str_eq(a.strings[0], "\xce\x93");
    xani_array_free(&a);
    xani_array_free(&a); // twice is harmless
    ck_assert_int_eq(xani_array_read(ctx, path, "/entry", &a), XANI_ERR_INPUT);
    ck_assert_int_eq(xani_array_read(ctx, path, "/entry/none", &a), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "/entry/none"));
    ck_assert(xani_array_exists(ctx, path, "/entry/flags") && xani_array_exists(ctx, path, "/entry"));
    ck_assert(!xani_array_exists(ctx, path, "/entry/none") && !xani_array_exists(ctx, "nothing.h5", "/entry"));
    ck_assert_str_eq(xani_error_text(ctx), "");
}

START_TEST(test_large)
{
    // An answer larger than the caches is written past them: the same to any address, with nothing beside it.
    enum { N = 68, H = 500, W = 1003, SPARE = 64 };
    const size_t bytes = (size_t)N * H * W * 2;
    ck_assert_uint_gt(bytes, 64u << 20);
    uint16_t *frames = malloc(bytes);
    uint8_t *room = aligned_alloc(64, (bytes + 3 * SPARE) / 64 * 64);
    for (size_t i = 0; i < bytes / 2; i++) frames[i] = (uint16_t)(i * i >> 20 & 0x3f);
    xn_writer *w;
    char large[600];
    snprintf(large, sizeof large, "%s/large.h5", xn_test_dir("array"));
    ck_assert_int_eq(xn_writer_create(ctx, large, XN_LAYOUT_RESULT, &w), XANI_OK);
    const xn_rows_layout rows = {.type = XN_U16, .rank = 3, .dims = {N, H, W}, .chunk = {1, H, W}, .filter = "bslz4"};
    xn_writer_rows_begin(w, "/data", &rows);
    xn_writer_rows(w, "/data", N, frames);
    ck_assert_int_eq(xn_writer_publish(&w), XANI_OK);
    xani_dataset *d;
    const char *const file = large;
    ck_assert_int_eq(xani_dataset_open(ctx, &file, 1, "/data", NULL, &d), XANI_OK);
    static const size_t shift[] = {0, 16, 2, 1};
    for (int k = 0; k < 4; k++) {
        memset(room, 0x5a, bytes + 2 * SPARE);
        ck_assert_int_eq(xani_dataset_read(ctx, d, NULL, NULL, XANI_UINT16, room + shift[k]), XANI_OK);
        ck_assert(memcmp(room + shift[k], frames, bytes) == 0);
        for (size_t i = 0; i < SPARE; i++)
            ck_assert((i >= shift[k] || room[i] == 0x5a) && room[shift[k] + bytes + i] == 0x5a);
    }
    xani_dataset_destroy(&d);
    unlink(large);
    free(frames), free(room);
}

START_TEST(test_memory)
{
    // Any allocation that fails is reported as such, and leaves nothing behind.
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xani_array a;
        char *mass = NULL, *text = NULL;
        no_memory_begin(&n);
        xani_status of_names = xani_array_read(ctx, path, "/entry/names", &a);
        xani_status of_mass = xani_attribute_read(ctx, path, "/entry", "mass", &mass);
        xani_status of_text = xani_attribute_read(ctx, path, "/entry", "text", &text);
        no_memory_end();
        ck_assert(of_names == XANI_OK || of_names == XANI_ERR_MEMORY);
        ck_assert(of_mass == XANI_OK || (of_mass == XANI_ERR_MEMORY && mass == NULL));
        ck_assert(of_text == XANI_OK || (of_text == XANI_ERR_MEMORY && text == NULL));
        ck_assert((of_names != XANI_OK) + (of_mass != XANI_OK) + (of_text != XANI_OK) == n.reached);
        xani_array_free(&a);
        xani_free(mass), xani_free(text);
    }
    ck_assert_uint_gt(n.at, 5);
}

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_attributes);
    tcase_add_test(t, test_datasets);
    tcase_add_test(t, test_large);
    tcase_add_test(t, test_memory);
}

XN_TEST_MAIN("array", add)
