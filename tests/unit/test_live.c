// SPDX-License-Identifier: BSD-3-Clause
// test_live.c -- files that another process is writing: after each refresh every frame that is there is right, whatever
// the writer does meanwhile; what shrank or was replaced is never read by its old addresses.
#include "h5write.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "codec/filter.h"
#include "io/array.h"

static xani_context *ctx;
static char dir[512], path[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("live"));
    snprintf(path, sizeof path, "%s/growing.h5", dir);
    unlink(path);
}
static void tear_down(void) { xani_destroy(&ctx); }

enum { H = 48, W = 64, PIXELS = H * W, FRAMES = 120 };

static uint16_t pixel(int64_t frame, int p) { return (uint16_t)(frame * 2539 + p * 7 + (frame * p) % 5); }

static void fill(int64_t frame, uint16_t *values)
{
    for (int p = 0; p < PIXELS; p++) values[p] = pixel(frame, p);
}

// ---- the writer, a process of its own

typedef struct {
    const char *name;
    bool swmr, latest;
    hsize_t rows;   // of a chunk
    int unlimited;  // axes
    int filter;     // 0 none, 1 gzip, 2 bitshuffle+LZ4 as detectors write it (H5Dwrite_chunk)
    bool free_runs; // does not wait for the reader
} kind;
static const kind kinds[] = {
    {"SWMR, a frame per chunk", true, true, 1, 1, 0, false},
    {"SWMR, gzip, four frames per chunk", true, true, 4, 1, 1, false},
    {"SWMR, direct chunks", true, true, 1, 1, 2, false},
    {"SWMR, version 2 B-tree", true, true, 1, 3, 1, false},
    {"SWMR, free running", true, true, 1, 1, 0, true},
    {"SWMR, free running, gzip, four frames per chunk", true, true, 4, 1, 1, true},
    {"SWMR, free running, direct chunks", true, true, 1, 1, 2, true},
    {"SWMR, free running, version 2 B-tree", true, true, 2, 3, 1, true},
    {"classic, flushed", false, false, 1, 1, 0, false},
    {"classic, flushed, gzip, four frames per chunk", false, false, 4, 1, 1, false},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static hid_t make(const kind *k, hid_t *file)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), created = H5Pcreate(H5P_DATASET_CREATE);
    if (k->latest) H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    *file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    hsize_t dims[3] = {0, H, W}, most[3] = {H5S_UNLIMITED, k->unlimited > 1 ? H5S_UNLIMITED : H, W};
    hsize_t chunk[3] = {k->rows, H, W};
    H5Pset_chunk(created, 3, chunk);
    if (k->filter == 1) H5Pset_deflate(created, 1);
    unsigned values[2] = {0, 2};
    if (k->filter == 2) H5Pset_filter(created, XN_FILTER_BITSHUFFLE, H5Z_FLAG_MANDATORY, 2, values);
    hid_t space = H5Screate_simple(3, dims, most);
    hid_t d = H5Dcreate2(*file, "frames", H5T_NATIVE_UINT16, space, H5P_DEFAULT, created, H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(created);
    H5Pclose(access);
    return d;
}

static bool append(const kind *k, hid_t d, hsize_t i)
{
    static uint16_t values[PIXELS];
    static uint8_t stored[2 * sizeof values];
    fill((int64_t)i, values);
    hsize_t dims[3] = {i + 1, H, W}, start[3] = {i, 0, 0}, count[3] = {1, H, W};
    if (H5Dset_extent(d, dims) < 0) return false;
    if (k->filter == 2) {
        size_t n = xn_encode_bslz4(values, PIXELS, 2, stored);
        return H5Dwrite_chunk(d, H5P_DEFAULT, 0, start, n, stored) >= 0 && H5Dflush(d) >= 0;
    }
    hid_t memory = H5Screate_simple(3, count, NULL), space = H5Dget_space(d);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    bool good = H5Dwrite(d, H5T_NATIVE_UINT16, memory, space, H5P_DEFAULT, values) >= 0;
    H5Sclose(memory);
    H5Sclose(space);
    return good && H5Dflush(d) >= 0;
}

// up: one byte per frame that is flushed; down: one byte allows the next.
static int writer(const kind *k, int up, int down)
{
    char byte = 1;
    hid_t file, d;
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1); // as beamlines do
    xn_filter_make_available(XN_FILTER_BITSHUFFLE);
    d = make(k, &file);
    if (d < 0 || (k->swmr && H5Fstart_swmr_write(file) < 0)) return 2;
    if (!k->swmr) H5Fflush(file, H5F_SCOPE_GLOBAL);
    if (write(up, &byte, 1) != 1) return 3;
    for (hsize_t i = 0; i < FRAMES; i++) {
        if (!k->free_runs && read(down, &byte, 1) != 1) return 4;
        if (!append(k, d, i)) return 5;
        if (!k->swmr) H5Fflush(file, H5F_SCOPE_GLOBAL);
        if (write(up, &byte, 1) != 1) return 6;
    }
    H5Dclose(d);
    H5Fclose(file);
    return 0;
}

// ---- the reader

static xani_status read_frame(xn_array *a, int64_t frame, uint16_t *values)
{
    xn_selection one;
    xn_selection_all(a, &one);
    one.start[0] = frame;
    one.count[0] = 1;
    return xn_array_read(ctx, a, &one, XN_U16, values, 1);
}

static void check_frame(xn_array *a, int64_t frame, const kind *k)
{
    static uint16_t values[PIXELS], expected[PIXELS];
    memset(values, 0xee, sizeof values);
    xani_status st = read_frame(a, frame, values);
    ck_assert_msg(st == XANI_OK, "%s: frame %lld: %s", k->name, (long long)frame, xani_error_text(ctx));
    fill(frame, expected);
    ck_assert_msg(memcmp(values, expected, sizeof values) == 0, "%s: frame %lld is not what was written", k->name,
                  (long long)frame);
}

static void check_all(xn_array *a, int64_t n, const kind *k)
{
    for (int64_t i = n > 6 ? n - 6 : 0; i < n; i++) check_frame(a, i, k);
    if (n > 0) check_frame(a, n / 2, k);
}

// Bytes waiting in the pipe, which are frames known to be there.
static int64_t take(int up, int64_t known)
{
    char bytes[256];
    struct pollfd p = {.fd = up, .events = POLLIN};
    while (poll(&p, 1, 0) > 0) {
        ssize_t n = read(up, bytes, sizeof bytes);
        if (n <= 0) break;
        known += n;
    }
    return known;
}

static void follow(xn_array *a, const kind *k, int up, int down)
{
    char byte = 1;
    int64_t before = 0, known = 0;
    while (known < FRAMES) {
        if (k->free_runs) {
            known = take(up, known);
        } else {
            ck_assert_int_eq(write(down, &byte, 1), 1);
            ck_assert_int_eq(read(up, &byte, 1), 1);
            known++;
        }
        xani_status st = xn_array_refresh(ctx, a);
        ck_assert_msg(st == XANI_OK, "%s: %lld: %s", k->name, (long long)known, xani_error_text(ctx));
        int64_t n = xn_array_get_info(a)->dims[0];
        ck_assert_msg(n >= known && n >= before, "%s: %lld frames, %lld were flushed, %lld before", k->name,
                      (long long)n, (long long)known, (long long)before);
        before = n;
        check_all(a, known, k);
    }
}

START_TEST(test_growing)
{
    // Every layout a writer that lets others read may have; waiting for the reader, and running freely.
    const kind *k = &kinds[_i];
    int up[2], down[2];
    ck_assert_int_eq(pipe(up), 0);
    ck_assert_int_eq(pipe(down), 0);
    pid_t child = fork();
    if (child == 0) {
        close(up[0]);
        close(down[1]);
        _exit(writer(k, up[1], down[0]));
    }
    close(up[1]);
    close(down[0]);
    signal(SIGPIPE, SIG_IGN);
    char byte;
    ck_assert_int_eq(read(up[0], &byte, 1), 1);
    const char *name = path;
    xn_array *a = NULL;
    xani_status st = xn_array_open(ctx, &name, 1, "frames", NULL, &a);
    ck_assert_msg(st == XANI_OK, "%s: %s", k->name, xani_error_text(ctx));
    follow(a, k, up[0], down[1]);
    int status = 0;
    waitpid(child, &status, 0);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: writer %x", k->name, status);
    ck_assert_int_eq(xn_array_refresh(ctx, a), XANI_OK); // closed by its writer: an ordinary file
    ck_assert_int_eq(xn_array_get_info(a)->dims[0], FRAMES);
    for (int64_t i = 0; i < FRAMES; i++) check_frame(a, i, k);
    xn_array_close(&a);
    close(up[0]);
    close(down[1]);
}
END_TEST

static void put(const char *file, int64_t first, hsize_t n)
{
    uint16_t *values = malloc(n * PIXELS * sizeof *values);
    for (hsize_t i = 0; i < n; i++) fill(first + (int64_t)i, values + i * PIXELS);
    h5_make(file);
    h5_put(file, "frames", H5T_NATIVE_UINT16, H5_SHAPE(n, H, W), values);
    free(values);
}

START_TEST(test_replaced)
{
    // A file that took the name: an error before a refresh, its own frames after it, never a mixture.
    char other[700];
    static uint16_t values[PIXELS], expected[PIXELS];
    snprintf(other, sizeof other, "%s/other.h5", dir);
    const char *name = path;
    for (hsize_t n = 4; n <= 12; n += 4) {
        put(path, 0, 8);
        put(other, 1000, n);
        xn_array *a = NULL;
        ck_assert_int_eq(xn_array_open(ctx, &name, 1, "frames", NULL, &a), XANI_OK);
        check_frame(a, 7, &kinds[0]);
        ck_assert_int_eq(rename(other, path), 0);
        if (read_frame(a, 3, values) == XANI_OK) { // the file that was opened is still held
            fill(3, expected);
            ck_assert_mem_eq(values, expected, sizeof values);
        }
        xani_status st = xn_array_refresh(ctx, a);
        ck_assert_int_eq(st, n < 8 ? XANI_ERR_INPUT : XANI_OK);
        if (st == XANI_OK) {
            ck_assert_int_eq(xn_array_get_info(a)->dims[0], n);
            ck_assert_int_eq(read_frame(a, 3, values), XANI_OK);
            fill(1003, expected);
            ck_assert_mem_eq(values, expected, sizeof values);
        }
        xn_array_close(&a);
        xn_clear_error(ctx);
    }
}
END_TEST

START_TEST(test_shrunk)
{
    // Fewer rows, or fewer bytes, than there were: errors, never zeros.
    static uint16_t values[PIXELS];
    const char *name = path;
    for (int k = 0; k < 2; k++) {
        put(path, 0, 40);
        xn_array *a = NULL;
        ck_assert_int_eq(xn_array_open(ctx, &name, 1, "frames", NULL, &a), XANI_OK);
        if (k == 0)
            put(path, 0, 10);
        else
            ck_assert_int_eq(truncate(path, 20 * PIXELS * 2), 0);
        ck_assert_int_eq(read_frame(a, 35, values), XANI_ERR_INPUT);
        xn_clear_error(ctx);
        ck_assert_int_eq(xn_array_refresh(ctx, a), XANI_ERR_INPUT);
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "growing.h5"));
        xn_clear_error(ctx);
        ck_assert_int_eq(read_frame(a, 35, values), XANI_ERR_INPUT);
        xn_clear_error(ctx);
        xn_array_close(&a);
    }
}
END_TEST

START_TEST(test_not_to_be_read_meanwhile)
{
    // A writer of the newest format that does not let others read: refused by name, until it has closed its file.
    const kind k = {"newest format without SWMR", false, true, 1, 1, 1, false};
    int up[2], down[2];
    ck_assert_int_eq(pipe(up), 0);
    ck_assert_int_eq(pipe(down), 0);
    pid_t child = fork();
    if (child == 0) _exit(writer(&k, up[1], down[0]));
    char bytes[FRAMES] = {0};
    ck_assert_int_eq(read(up[0], bytes, 1), 1);
    const char *name = path;
    xn_array *a = NULL;
    ck_assert_int_eq(xn_array_open(ctx, &name, 1, "frames", NULL, &a), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "growing.h5: is open for writing"));
    xn_clear_error(ctx);
    ck_assert_int_eq(write(down[1], bytes, FRAMES), FRAMES);
    int status = 0;
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(xn_array_open(ctx, &name, 1, "frames", NULL, &a), XANI_OK);
    for (int64_t i = 0; i < FRAMES; i++) check_frame(a, i, &k);
    xn_array_close(&a);
}
END_TEST

START_TEST(test_killed_writer)
{
    // A writer that is killed leaves a SWMR file whose flushed frames are read; a lock of a living one is an error.
    const kind *k = &kinds[0];
    int up[2], down[2];
    ck_assert_int_eq(pipe(up), 0);
    ck_assert_int_eq(pipe(down), 0);
    pid_t child = fork();
    if (child == 0) _exit(writer(k, up[1], down[0]));
    char byte = 1;
    ck_assert_int_eq(read(up[0], &byte, 1), 1);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(write(down[1], &byte, 1), 1);
        ck_assert_int_eq(read(up[0], &byte, 1), 1);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    const char *name = path;
    xn_array *a = NULL;
    xani_status st = xn_array_open(ctx, &name, 1, "frames", NULL, &a);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(xn_array_get_info(a)->dims[0], 10);
    for (int64_t i = 0; i < 10; i++) check_frame(a, i, k);
    xn_array_close(&a);
    xn_h5 *file = NULL; // what is not meant to be read while it grows refuses it still
    ck_assert_int_eq(xn_h5_open(ctx, path, &file), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "open for writing"));
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_growing, 0, N_KINDS);
    tcase_add_test(t, test_replaced);
    tcase_add_test(t, test_shrunk);
    tcase_add_test(t, test_not_to_be_read_meanwhile);
    tcase_add_test(t, test_killed_writer);
}
XN_TEST_MAIN("live", add)
