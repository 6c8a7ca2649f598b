// SPDX-License-Identifier: BSD-3-Clause
// test_h5.c -- reading gives the stored values exactly or an error that names file, dataset and cause.
#include "no_memory.h"
#include "test.h"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/wait.h>

#include "io/h5.h"

static xn_ctx *ctx;
static char dir[512], path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("h5"));
    snprintf(path, sizeof path, "%s/input.h5", dir);
}
static void tear_down(void) { xani_destroy(&ctx); }

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(name, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void refused(const char *name, const char *why)
{
    xn_h5 *f;
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_h5_open(ctx, name, &f), XANI_ERR_INPUT);
    ck_assert_ptr_null(f);
    ck_assert_msg(strstr(xani_error_text(ctx), why) != NULL, "%s", xani_error_text(ctx));
    ck_assert_int_eq(strncmp(xani_error_text(ctx), name, strlen(name)), 0);
}

static hid_t dataset(hid_t f, const char *name, hid_t stored, int rank, const hsize_t *dims, hid_t created,
                     hid_t memory, const void *values)
{
    hid_t space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t d = H5Dcreate2(f, name, stored, space, H5P_DEFAULT, created, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    if (values) ck_assert_int_ge(H5Dwrite(d, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    H5Sclose(space);
    return d;
}
#define STORE(...) H5Dclose(dataset(__VA_ARGS__))

static hid_t boolean(void)
{
    hid_t t = H5Tenum_create(H5T_NATIVE_INT8);
    int8_t v = 0;
    H5Tenum_insert(t, "FALSE", &v);
    v = 1;
    H5Tenum_insert(t, "TRUE", &v);
    return t;
}

static const int64_t ids[6] = {1, -2, 3000000000, 4, 5, 6};
static const uint64_t large[2] = {18446744073709551615u, 9007199254740993u};
static const double numbers[6] = {0.5, -1.25, 3, 4, 5, 6};

static void write_input(void)
{
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t lcpl = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(lcpl, 1);
    H5Gclose(H5Gcreate2(f, "/data/JF07T32V02", lcpl, H5P_DEFAULT, H5P_DEFAULT));
    STORE(f, "ids", H5T_STD_I64BE, 2, (hsize_t[]){3, 2}, H5P_DEFAULT, H5T_NATIVE_INT64, ids);
    STORE(f, "large", H5T_STD_U64LE, 1, (hsize_t[]){2}, H5P_DEFAULT, H5T_NATIVE_UINT64, large);
    STORE(f, "numbers", H5T_IEEE_F32BE, 1, (hsize_t[]){6}, H5P_DEFAULT, H5T_NATIVE_DOUBLE, numbers);
    STORE(f, "scalar", H5T_IEEE_F64LE, 0, NULL, H5P_DEFAULT, H5T_NATIVE_DOUBLE, numbers + 1);
    STORE(f, "empty", H5T_IEEE_F64LE, 1, (hsize_t[]){0}, H5P_DEFAULT, H5T_NATIVE_DOUBLE, NULL);
    hid_t type = boolean();
    STORE(f, "mask", type, 1, (hsize_t[]){3}, H5P_DEFAULT, type, (int8_t[]){1, 0, 1});
    H5Tclose(type);
    STORE(f, "bits", H5T_STD_B16BE, 1, (hsize_t[]){2}, H5P_DEFAULT, H5T_NATIVE_B16, (uint16_t[]){0x0102, 0xff00});
    type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    STORE(f, "names", type, 1, (hsize_t[]){2}, H5P_DEFAULT, type, (const char *[]){"first", ""});
    H5Tclose(type);
    type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 5);
    H5Tset_strpad(type, H5T_STR_SPACEPAD);
    STORE(f, "fixed", type, 1, (hsize_t[]){2}, H5P_DEFAULT, type, "ab   abcde");
    H5Tclose(type);
    type = H5Tcreate(H5T_COMPOUND, 8);
    H5Tinsert(type, "x", 0, H5T_NATIVE_INT64);
    STORE(f, "table", type, 1, (hsize_t[]){2}, H5P_DEFAULT, type, ids);
    H5Tclose(type);
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(created, 1, (hsize_t[]){4});
    H5Pset_shuffle(created);
    H5Pset_deflate(created, 1);
    STORE(f, "packed", H5T_STD_I64LE, 1, (hsize_t[]){6}, created, H5T_NATIVE_INT64, ids);
    STORE(f, "unwritten", H5T_STD_I64LE, 1, (hsize_t[]){6}, created, H5T_NATIVE_INT64, NULL);
    H5Pset_fill_value(created, H5T_NATIVE_INT64, ids + 4);
    STORE(f, "filled", H5T_STD_I64LE, 1, (hsize_t[]){6}, created, H5T_NATIVE_INT64, NULL);
    STORE(f, "late", H5T_STD_I64LE, 1, (hsize_t[]){6}, H5P_DEFAULT, H5T_NATIVE_INT64, NULL);
    H5Pclose(created);
    H5Lcreate_external("missing.h5", "/x", f, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Pclose(lcpl);
    H5Fclose(f);
}

static xn_h5 *open_input(void)
{
    write_input();
    xn_h5 *f;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    return f;
}

START_TEST(test_files_that_cannot_be_opened)
{
    // Missing, a folder, empty, foreign, MATLAB 5 and truncated files have texts of their own.
    char name[700];
    snprintf(name, sizeof name, "%s/none.h5", dir);
    refused(name, "no such file");
    refused(dir, "is a folder");
    snprintf(name, sizeof name, "%s/bad.h5", dir);
    put(name, "", 0);
    refused(name, "is empty");
    put(name, "hello, world: no data here", 26);
    refused(name, "is not an HDF5 file");
    put(name, "MATLAB 5.0 MAT-file, Platform", 29);
    refused(name, "MATLAB 5");
    write_input();
    FILE *f = fopen(path, "rb");
    static char bytes[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    put(name, bytes, n - 1);
    refused(name, "is truncated");
    for (size_t length = 8; length < n; length += 1 + n / 97) {
        put(name, bytes, length);
        refused(name, "bad.h5");
    }
    memset(bytes + 9, 0xff, 64); // the signature alone is left
    put(name, bytes, n);
    refused(name, "is a damaged HDF5 file");
}
END_TEST

START_TEST(test_read_only)
{
    // Files that may not be written can be read; a file that a writer holds is refused with the reason.
    write_input();
    chmod(path, 0444);
    xn_h5 *f;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    xn_h5_close(&f);
    chmod(path, 0644);
    char name[700];
    snprintf(name, sizeof name, "%s/held.h5", dir);
    for (int swmr = 0; swmr < 2; swmr++) {
        int ready[2], done[2], result = -1;
        char c = 0;
        ck_assert(pipe(ready) == 0 && pipe(done) == 0);
        pid_t writer = fork();
        if (writer == 0) { // another process: within one, the library shares an open file
            hid_t access = H5Pcreate(H5P_FILE_ACCESS);
            H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
            hid_t held = H5Fcreate(name, H5F_ACC_TRUNC | (swmr ? H5F_ACC_SWMR_WRITE : 0), H5P_DEFAULT, access);
            H5Fflush(held, H5F_SCOPE_LOCAL);
            ck_assert(write(ready[1], &c, 1) == 1 && read(done[0], &c, 1) == 1);
            _exit(held < 0);
        }
        ck_assert(read(ready[0], &c, 1) == 1);
        refused(name, "open for writing in another program");
        ck_assert(write(done[1], &c, 1) == 1);
        waitpid(writer, &result, 0);
        ck_assert_int_eq(result, 0);
        for (int i = 0; i < 2; i++) close(ready[i]), close(done[i]);
    }
}
END_TEST

START_TEST(test_numbers)
{
    // Values arrive exactly, whatever the stored order of bytes, size or kind.
    xn_h5 *f = open_input();
    int64_t *whole, n;
    ck_assert_int_eq(xn_h5_read_i64(ctx, f, "/ids", &whole, &n), XANI_OK);
    ck_assert_int_eq(n, 6);
    ck_assert_mem_eq(whole, ids, sizeof ids);
    xn_free(whole);
    ck_assert_int_eq(xn_h5_read_i64(ctx, f, "/packed", &whole, &n), XANI_OK);
    ck_assert_mem_eq(whole, ids, sizeof ids);
    xn_free(whole);
    uint64_t *u;
    ck_assert_int_eq(xn_h5_read_u64(ctx, f, "large", &u, &n), XANI_OK);
    ck_assert_mem_eq(u, large, sizeof large);
    xn_free(u);
    double *d;
    ck_assert_int_eq(xn_h5_read_f64(ctx, f, "/numbers", &d, &n), XANI_OK);
    ck_assert_mem_eq(d, numbers, sizeof numbers);
    xn_free(d);
    ck_assert_int_eq(xn_h5_read_f64(ctx, f, "/scalar", &d, &n), XANI_OK);
    ck_assert_int_eq(n, 1);
    ck_assert_double_eq(*d, -1.25);
    xn_free(d);
    ck_assert_int_eq(xn_h5_read_f64(ctx, f, "/empty", &d, &n), XANI_OK);
    ck_assert_int_eq(n, 0);
    ck_assert_ptr_nonnull(d);
    xn_free(d);
    uint8_t *mask;
    ck_assert_int_eq(xn_h5_read_u8(ctx, f, "/mask", &mask, &n), XANI_OK);
    ck_assert(n == 3 && mask[0] == 1 && mask[1] == 0 && mask[2] == 1);
    xn_free(mask);
    ck_assert_int_eq(xn_h5_read_f64(ctx, f, "/mask", &d, &n), XANI_OK);
    ck_assert(d[0] == 1 && d[1] == 0);
    xn_free(d);
    uint32_t *bits;
    ck_assert_int_eq(xn_h5_read_u32(ctx, f, "/bits", &bits, &n), XANI_OK);
    ck_assert(bits[0] == 0x0102 && bits[1] == 0xff00);
    xn_free(bits);
    ck_assert_int_eq(xn_h5_read_i64(ctx, f, "/filled", &whole, &n), XANI_OK);
    ck_assert(whole[0] == ids[4] && whole[5] == ids[4]);
    xn_free(whole);
    xn_h5_close(&f);
}
END_TEST

START_TEST(test_rows_and_columns)
{
    // Parts are those of the whole; parts that are not there are errors.
    xn_h5 *f = open_input();
    int64_t rows[4];
    ck_assert_int_eq(xn_h5_read_rows(ctx, f, "/ids", XN_I64, 1, 2, rows), XANI_OK);
    ck_assert_mem_eq(rows, ids + 2, sizeof rows);
    float single[2];
    ck_assert_int_eq(xn_h5_read_rows(ctx, f, "/ids", XN_F32, 2, 1, single), XANI_OK);
    ck_assert(single[0] == 5 && single[1] == 6);
    ck_assert_int_eq(xn_h5_read_rows(ctx, f, "/ids", XN_I64, 3, 0, rows), XANI_OK);
    static const int64_t bad[4][2] = {{2, 2}, {-1, 1}, {0, -1}, {INT64_MAX, 1}};
    for (int i = 0; i < 4; i++) {
        xn_clear_error(ctx);
        ck_assert_int_eq(xn_h5_read_rows(ctx, f, "/ids", XN_I64, bad[i][0], bad[i][1], rows), XANI_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "/ids: rows"));
    }
    double *d;
    int64_t n;
    ck_assert_int_eq(xn_h5_read_column(ctx, f, "/ids", 1, &d, &n), XANI_OK);
    ck_assert(n == 3 && d[0] == -2 && d[1] == 4 && d[2] == 6);
    xn_free(d);
    ck_assert_int_eq(xn_h5_read_column(ctx, f, "/large", 0, &d, &n), XANI_OK);
    ck_assert(n == 2);
    xn_free(d);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_h5_read_column(ctx, f, "/ids", 2, &d, &n), XANI_ERR_INPUT);
    ck_assert_int_eq(xn_h5_read_column(ctx, f, "/large", 1, &d, &n), XANI_ERR_INPUT);
    ck_assert_int_eq(xn_h5_read_column(ctx, f, "/scalar", 0, &d, &n), XANI_ERR_INPUT);
    ck_assert_ptr_null(d);
    xn_h5_close(&f);
}
END_TEST

#define FAILS(call, ...)                                                                                               \
    do {                                                                                                               \
        const char *const words[] = {__VA_ARGS__};                                                                     \
        xn_clear_error(ctx);                                                                                           \
        ck_assert_int_eq((call), XANI_ERR_INPUT);                                                                      \
        for (size_t i_ = 0; i_ < sizeof words / sizeof words[0]; i_++)                                                 \
            ck_assert_msg(strstr(xani_error_text(ctx), words[i_]) != NULL, "%s", xani_error_text(ctx));                \
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "input.h5: "));                                             \
    } while (0)

START_TEST(test_refusals)
{
    // Each wrong kind of dataset gives one line naming file, dataset and what is wrong; nothing is returned.
    xn_h5 *f = open_input();
    double *d;
    uint32_t *u;
    uint8_t *b;
    int64_t *i, n;
    char *text, **texts;
    FAILS(xn_h5_read_f64(ctx, f, "/nothing", &d, &n), "/nothing: no such dataset");
    ck_assert_ptr_null(d);
    FAILS(xn_h5_read_f64(ctx, f, "/data", &d, &n), "/data: is a group");
    FAILS(xn_h5_read_f64(ctx, f, "/elsewhere", &d, &n), "/elsewhere: cannot be opened", "missing");
    FAILS(xn_h5_read_f64(ctx, f, "/names", &d, &n), "/names: holds strings, not numbers");
    FAILS(xn_h5_read_f64(ctx, f, "/table", &d, &n), "/table: holds compound values, not numbers");
    FAILS(xn_h5_read_u32(ctx, f, "/ids", &u, &n), "value -2 (number 1) does not fit uint32");
    ck_assert_ptr_null(u);
    FAILS(xn_h5_read_u8(ctx, f, "/bits", &b, &n), "value 258 (number 0) does not fit uint8");
    FAILS(xn_h5_read_i64(ctx, f, "/large", &i, &n), "value 18446744073709551615 (number 0) does not fit int64");
    FAILS(xn_h5_read_i64(ctx, f, "/numbers", &i, &n), "value 0.5 (number 0) does not fit int64");
    FAILS(xn_h5_read_i64(ctx, f, "/unwritten", &i, &n), "/unwritten: 2 of 2 chunks were never written");
    FAILS(xn_h5_read_i64(ctx, f, "/late", &i, &n), "/late: was never written");
    FAILS(xn_h5_read_string(ctx, f, "/ids", &text), "/ids: holds integers, not text");
    ck_assert_ptr_null(text);
    FAILS(xn_h5_read_strings(ctx, f, "/nothing", &texts, &n), "/nothing: no such dataset");
    xn_h5_info info;
    FAILS(xn_h5_info_get(ctx, f, "/nothing", &info), "/nothing: no such group or dataset");
    FAILS(xn_h5_names(ctx, f, "/ids", &texts), "/ids: no such group");
    ck_assert_ptr_null(texts);
    xn_h5_close(&f);
}
END_TEST

START_TEST(test_text)
{
    // Strings of variable and fixed length; blanks of space-padded ones are cut.
    xn_h5 *f = open_input();
    char *text, **texts;
    int64_t n;
    ck_assert_int_eq(xn_h5_read_string(ctx, f, "/names", &text), XANI_OK);
    ck_assert_str_eq(text, "first");
    xn_free(text);
    ck_assert_int_eq(xn_h5_read_strings(ctx, f, "/fixed", &texts, &n), XANI_OK);
    ck_assert_int_eq(n, 2);
    ck_assert_str_eq(texts[0], "ab");
    ck_assert_str_eq(texts[1], "abcde");
    ck_assert_ptr_null(texts[2]);
    xn_h5_names_free(texts);
    xn_h5_close(&f);
}
END_TEST

START_TEST(test_attributes)
{
    // Text and numbers of attributes; absent ones and wrong kinds are errors naming object@name.
    write_input();
    hid_t h = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 7);
    hid_t a = H5Acreate_by_name(h, "/ids", "units", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, type, "seconds");
    H5Aclose(a);
    a = H5Acreate_by_name(h, "/", "scale", H5T_STD_I32BE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, H5T_NATIVE_INT, (int[]){-7});
    H5Aclose(a);
    H5Tclose(type);
    H5Sclose(space);
    H5Fclose(h);
    xn_h5 *f;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    char *text;
    double v;
    ck_assert_int_eq(xn_h5_read_attr(ctx, f, "/ids", "units", &text), XANI_OK);
    ck_assert_str_eq(text, "seconds");
    xn_free(text);
    ck_assert_int_eq(xn_h5_read_attr_f64(ctx, f, "", "scale", &v), XANI_OK);
    ck_assert_double_eq(v, -7);
    FAILS(xn_h5_read_attr(ctx, f, "/", "scale", &text), "/@scale: holds integers, not text");
    FAILS(xn_h5_read_attr_f64(ctx, f, "/ids", "units", &v), "/ids@units: holds strings, not numbers");
    FAILS(xn_h5_read_attr_f64(ctx, f, "/ids", "none", &v), "/ids@none: no such attribute");
    FAILS(xn_h5_read_attr_f64(ctx, f, "/none", "none", &v), "/none: no such group or dataset");
    xn_h5_close(&f);
}
END_TEST

START_TEST(test_describe)
{
    // Shape, type, chunks and filters; groups and their members in order; what is not there does not exist.
    xn_h5 *f = open_input();
    xn_h5_info info;
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/ids", &info), XANI_OK);
    ck_assert(info.type == XN_I64 && info.rank == 2 && info.dims[0] == 3 && info.dims[1] == 2 && info.size == 6);
    ck_assert(!info.chunked && !info.is_group && !info.is_virtual);
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/packed", &info), XANI_OK);
    ck_assert(info.chunked && info.chunk[0] == 4);
    ck_assert_str_eq(info.filters, "shuffle+gzip");
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/mask", &info), XANI_OK);
    ck_assert_int_eq(info.type, XN_I8);
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/names", &info), XANI_OK);
    ck_assert_int_eq(info.type, XN_STR);
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "", &info), XANI_OK);
    ck_assert(info.is_group);
    ck_assert(xn_h5_exists(f, "/ids") && xn_h5_exists(f, "data/JF07T32V02") && xn_h5_exists(f, "/"));
    ck_assert(!xn_h5_exists(f, "/data/none/deeper") && !xn_h5_exists(f, "/elsewhere"));
    char **names;
    ck_assert_int_eq(xn_h5_names(ctx, f, "/", &names), XANI_OK);
    ck_assert_str_eq(names[0], "bits");
    ck_assert_str_eq(names[1], "data");
    xn_h5_names_free(names);
    ck_assert_str_eq(xn_h5_path(f), path);
    xn_h5_close(&f);
    xn_h5_close(&f); // closed twice is fine
}
END_TEST

START_TEST(test_shrinking_file)
{
    // A file that shrinks after it was opened gives an error, where the library gives zeros and success.
    static uint16_t image[256 * 256];
    for (int i = 0; i < 256 * 256; i++) image[i] = (uint16_t)(i + 1);
    for (int chunked = 0; chunked < 2; chunked++) {
        hid_t h = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), created = H5Pcreate(H5P_DATASET_CREATE);
        if (chunked) H5Pset_chunk(created, 2, (hsize_t[]){64, 256});
        STORE(h, "image", H5T_STD_U16LE, 2, (hsize_t[]){256, 256}, created, H5T_NATIVE_UINT16, image);
        H5Pclose(created);
        H5Fclose(h);
        xn_h5 *f;
        ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
        ck_assert_int_eq(truncate(path, 60000), 0);
        uint32_t *v;
        FAILS(xn_h5_read_u32(ctx, f, "/image", &v, NULL), "/image: ");
        xn_h5_close(&f);
    }
}
END_TEST

START_TEST(test_virtual)
{
    // A virtual dataset is read while its sources are there; a missing or unwritten source is an error.
    char source[2][700];
    hid_t created = H5Pcreate(H5P_DATASET_CREATE), all = H5Screate_simple(1, (hsize_t[]){4}, NULL);
    for (int k = 0; k < 2; k++) {
        snprintf(source[k], sizeof source[k], "%s/part%d.h5", dir, k);
        hid_t h = H5Fcreate(source[k], H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        STORE(h, "x", H5T_STD_I32LE, 1, (hsize_t[]){2}, H5P_DEFAULT, H5T_NATIVE_INT, (int[]){10 * k, 10 * k + 1});
        H5Fclose(h);
        hid_t part = H5Screate_simple(1, (hsize_t[]){2}, NULL);
        H5Sselect_hyperslab(all, H5S_SELECT_SET, (hsize_t[]){2 * (hsize_t)k}, NULL, (hsize_t[]){2}, NULL);
        H5Pset_virtual(created, all, strrchr(source[k], '/') + 1, "/x", part);
        H5Sclose(part);
    }
    hid_t h = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Sselect_all(all);
    H5Dclose(H5Dcreate2(h, "v", H5T_STD_I32LE, all, H5P_DEFAULT, created, H5P_DEFAULT));
    H5Sclose(all);
    H5Pclose(created);
    H5Fclose(h);
    xn_h5 *f;
    int64_t *v, n;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    ck_assert_int_eq(xn_h5_read_i64(ctx, f, "/v", &v, &n), XANI_OK);
    ck_assert(n == 4 && v[0] == 0 && v[1] == 1 && v[2] == 10 && v[3] == 11);
    xn_free(v);
    xn_h5_info info;
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/v", &info), XANI_OK);
    ck_assert(info.is_virtual);
    xn_h5_close(&f);
    unlink(source[1]);
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    FAILS(xn_h5_read_i64(ctx, f, "/v", &v, &n), "/v: ", "part1.h5", "missing");
    xn_h5_close(&f);
}
END_TEST

START_TEST(test_large)
{
    // Millions of numbers, compressed: whole and by rows, as wider and narrower types, with the misfit named.
    enum { ROWS = 300, COLUMNS = 8000 };
    int32_t *truth = xn_alloc(ROWS * COLUMNS, sizeof *truth);
    for (int i = 0; i < ROWS * COLUMNS; i++) truth[i] = i % 30011 - (i == 299 * COLUMNS + 5 ? 70000 : 0);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), p = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(p, 2, (hsize_t[]){7, 3000});
    H5Pset_shuffle(p);
    H5Pset_deflate(p, 1);
    H5Pset_fletcher32(p);
    hid_t space = H5Screate_simple(2, (hsize_t[]){ROWS, COLUMNS}, NULL);
    hid_t d = H5Dcreate2(f, "large", H5T_STD_I32BE, space, H5P_DEFAULT, p, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, truth), 0);
    H5Dclose(d), H5Sclose(space), H5Pclose(p), H5Fclose(f);
    xn_h5 *h;
    double *wide = NULL;
    int64_t *whole = NULL, n = 0;
    int16_t *rows = xn_alloc(299 * COLUMNS, sizeof *rows);
    ck_assert_int_eq(xn_h5_open(ctx, path, &h), XANI_OK);
    ck_assert_int_eq(xn_h5_read_f64(ctx, h, "large", &wide, &n), XANI_OK);
    ck_assert_int_eq(n, ROWS * COLUMNS);
    ck_assert_int_eq(xn_h5_read_i64(ctx, h, "large", &whole, &n), XANI_OK);
    for (int i = 0; i < n; i++) ck_assert(wide[i] == truth[i] && whole[i] == truth[i]);
    ck_assert_int_eq(xn_h5_read_rows(ctx, h, "large", XN_I16, 0, 299, rows), XANI_OK);
    for (int i = 0; i < 299 * COLUMNS; i++) ck_assert_int_eq(rows[i], truth[i]);
    ck_assert_int_eq(xn_h5_read_rows(ctx, h, "large", XN_I16, 1, 299, rows), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "value -48864"));
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "does not fit int16"));
    ck_assert_int_eq(xn_h5_read_rows(ctx, h, "large", XN_I16, 1, 300, rows), XANI_ERR_INPUT);
    xn_h5_close(&h);
    xn_free(truth), xn_free(wide), xn_free(whole), xn_free(rows);
}
END_TEST

START_TEST(test_memory_may_fail)
{
    // Each allocation of a reader fails once: out of memory is reported and nothing is returned.
    write_input();
    for (no_memory m = NO_MEMORY; m.reached; no_memory_next(&m)) {
        xn_h5 *f = NULL;
        uint32_t *u = NULL;
        char **texts = NULL, **names = NULL;
        int64_t n;
        no_memory_begin(&m);
        xani_status st = xn_h5_open(ctx, path, &f);
        if (st == XANI_OK) st = xn_h5_read_u32(ctx, f, "/bits", &u, &n);
        if (st == XANI_OK) st = xn_h5_read_strings(ctx, f, "/names", &texts, &n);
        if (st == XANI_OK) st = xn_h5_names(ctx, f, "/", &names);
        no_memory_end();
        ck_assert_int_eq(st, m.reached ? XANI_ERR_MEMORY : XANI_OK);
        xn_h5_names_free(texts);
        xn_h5_names_free(names);
        xn_free(u);
        xn_h5_close(&f);
        xn_clear_error(ctx);
    }
}
END_TEST

START_TEST(test_public_files)
{
    // Files others wrote: bitshuffle, LZ4, LZF, zstd and blosc are read by the layer without any plugin.
    static const char *const names[] = {"bshuf", "lz4", "lzf"};
    char name[1024];
    snprintf(name, sizeof name, "%s/hdf5_filters", XN_SHARED_DATA);
    if (!xn_test_exists(name)) {
        xn_skip("public HDF5 files are not here");
        return;
    }
    for (int k = 0; k < 3; k++) {
        xn_h5 *f;
        int64_t *v, n;
        snprintf(name, sizeof name, "%s/hdf5_filters/h5ex_d_%s.h5", XN_SHARED_DATA, names[k]);
        ck_assert_int_eq(xn_h5_open(ctx, name, &f), XANI_OK);
        ck_assert_msg(xn_h5_read_i64(ctx, f, "/DS1", &v, &n) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_int_eq(n, 32 * 64);
        for (int i = 0; i < 32; i++)
            for (int j = 0; j < 64; j++) ck_assert_int_eq(v[i * 64 + j], i * j - j);
        xn_free(v);
        xn_h5_close(&f);
    }
    snprintf(name, sizeof name, "%s/hummingbird/mask.h5", XN_SHARED_DATA);
    xn_h5 *f;
    uint8_t *mask;
    int64_t n;
    ck_assert_int_eq(xn_h5_open(ctx, name, &f), XANI_OK);
    ck_assert_int_eq(xn_h5_read_u8(ctx, f, "/data/data", &mask, &n), XANI_OK);
    ck_assert_int_eq(n, 414 * 414);
    for (int64_t i = 0; i < n; i++) ck_assert_uint_le(mask[i], 1);
    xn_free(mask);
    xn_h5_close(&f);
    snprintf(name, sizeof name, "%s/xdscode_examples/Ge_ge.mat", XN_SHARED_DATA); // user block of 512 bytes
    double *d;
    ck_assert_int_eq(xn_h5_open(ctx, name, &f), XANI_OK);
    ck_assert_int_eq(xn_h5_read_f64(ctx, f, "/ifc/ifc", &d, &n), XANI_OK);
    ck_assert_int_eq(n, 125 * 2 * 2 * 3 * 3);
    xn_free(d);
    xn_h5_close(&f);
    snprintf(name, sizeof name, "%s/xdscode_examples/STO_sto_cubic.mat", XN_SHARED_DATA);
    refused(name, "MATLAB 5");
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_files_that_cannot_be_opened);
    tcase_add_test(t, test_read_only);
    tcase_add_test(t, test_numbers);
    tcase_add_test(t, test_rows_and_columns);
    tcase_add_test(t, test_refusals);
    tcase_add_test(t, test_text);
    tcase_add_test(t, test_attributes);
    tcase_add_test(t, test_describe);
    tcase_add_test(t, test_shrinking_file);
    tcase_add_test(t, test_virtual);
    tcase_add_test(t, test_large);
    tcase_add_test(t, test_memory_may_fail);
    tcase_add_test(t, test_public_files);
}
XN_TEST_MAIN("h5", add)
