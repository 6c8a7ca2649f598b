// SPDX-License-Identifier: BSD-3-Clause
// test_publish.c -- a published file is whole, equals what was handed over, and is never half there.
#include "disk_full.h"
#include "no_memory.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "codec/filter.h"
#include "io/write/publish.h"

static xn_ctx *ctx;
static char dir[512], path[600], manifest[700];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("publish"));
    snprintf(path, sizeof path, "%s/result.h5", dir);
    snprintf(manifest, sizeof manifest, "%s.manifest.json", path);
    unlink(path);
    unlink(manifest);
}
static void tear_down(void)
{
    xn_io_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

// Entries of the folder that are neither the file nor its manifest: temporaries.
static int left_behind(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) n += strncmp(e->d_name, ".result", 7) == 0;
    closedir(d);
    return n;
}

static char *contents(const char *name, long *n)
{
    FILE *f = fopen(name, "rb");
    if (f == NULL) return NULL;
    fseek(f, 0, SEEK_END);
    *n = ftell(f);
    rewind(f);
    char *bytes = malloc((size_t)*n + 1);
    ck_assert_int_eq(fread(bytes, 1, (size_t)*n, f), (size_t)*n);
    bytes[*n] = '\0';
    fclose(f);
    return bytes;
}

enum { T = 12, H = 40, W = 70, FRAMES = 5 };
static float cube[T * H * W];
static uint16_t raw[FRAMES * H * W];

static void fill(int seed)
{
    for (int i = 0; i < T * H * W; i++) cube[i] = (float)sin(0.01 * i + seed);
    for (int i = 0; i < FRAMES * H * W; i++) raw[i] = (uint16_t)(i % 37 + seed);
}

// Everything a writer can write. The status of the first call that fails, or of publishing.
static xani_status write_all(int seed)
{
    fill(seed);
    xn_writer *w;
    xani_status st = xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w);
    if (st != XANI_OK) return st;
    xn_writer_attr_text(w, "/", "default", "entry");
    xn_writer_group(w, "/entry/cube", "NXdata");
    xn_writer_group(w, "/entry", "NXentry");
    xn_writer_data(w, "/entry/cube/signal", XN_F32, 3, (const int64_t[]){T, H, W}, (const int64_t[]){T, 16, 16}, cube);
    xn_writer_attr_texts(w, "/entry/cube", "axes", (const char *const[]){"delay", "y", "x"}, 3);
    xn_writer_attr_f64(w, "/entry/cube/signal", "two", (const double[]){1.5, 2.5}, 2);
    xn_writer_attr_f64(w, "/entry/cube/signal", "one", (const double[]){-3.25}, 0);
    xn_writer_attr_i64(w, "/entry/cube/signal", "whole", (const int64_t[]){7}, 0);
    xn_writer_data(w, "entry/seed", XN_I32, 0, NULL, NULL, &seed);
    xn_writer_data(w, "/entry/none", XN_F64, 2, (const int64_t[]){0, 3}, NULL, NULL);
    xn_writer_text(w, "/entry/title", "Ge (001), 80 K: \xc3\x85");
    xn_writer_text(w, "/entry/empty", "");
    xn_writer_texts(w, "/entry/runs", (const char *const[]){"a", "long name", ""}, 3);
    xn_writer_texts(w, "/entry/no_runs", NULL, 0);
    xn_writer_link(w, "/entry/cube/signal", "/entry/links/same");
    for (int compress = 0; compress < 2; compress++) {
        const char *name = compress ? "/data/JF/data" : "/data/JF/plain";
        const xn_rows_layout layout = {.type = XN_U16,
                                       .rank = 3,
                                       .dims = {FRAMES, H, W},
                                       .filter = compress ? NULL : "none",
                                       .threads = 1}; // a test forks
        xn_writer_rows_begin(w, name, &layout);
        xn_writer_rows(w, name, 2, raw);
        xn_writer_rows(w, name, FRAMES - 2, raw + 2 * H * W);
    }
    return xn_writer_publish(&w);
}

START_TEST(test_round_trip)
{
    // All that is written can be read back equal, by the reading layer and by the library alone.
    ck_assert_msg(write_all(3) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert(xn_published(path));
    ck_assert_int_eq(left_behind(), 0);
    xn_h5 *f;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    float *values;
    int64_t n;
    ck_assert_int_eq(xn_h5_read_f32(ctx, f, "/entry/links/same", &values, &n), XANI_OK);
    ck_assert_int_eq(n, T * H * W);
    ck_assert_mem_eq(values, cube, sizeof cube);
    xn_free(values);
    int64_t *seed;
    ck_assert_int_eq(xn_h5_read_i64(ctx, f, "/entry/seed", &seed, NULL), XANI_OK);
    ck_assert_int_eq(*seed, 3);
    xn_free(seed);
    char *text, **texts;
    ck_assert_int_eq(xn_h5_read_string(ctx, f, "/entry/title", &text), XANI_OK);
    ck_assert_str_eq(text, "Ge (001), 80 K: \xc3\x85");
    xn_free(text);
    ck_assert_int_eq(xn_h5_read_string(ctx, f, "/entry/empty", &text), XANI_OK);
    ck_assert_str_eq(text, "");
    xn_free(text);
    ck_assert_int_eq(xn_h5_read_strings(ctx, f, "/entry/runs", &texts, &n), XANI_OK);
    ck_assert_int_eq(n, 3);
    ck_assert_str_eq(texts[1], "long name");
    xn_h5_names_free(texts);
    ck_assert_int_eq(xn_h5_read_strings(ctx, f, "/entry/no_runs", &texts, &n), XANI_OK);
    ck_assert_int_eq(n, 0);
    xn_h5_names_free(texts);
    double number;
    ck_assert_int_eq(xn_h5_read_attr_f64(ctx, f, "/entry/cube/signal", "two", &number), XANI_OK);
    ck_assert_double_eq(number, 1.5);
    ck_assert_int_eq(xn_h5_read_attr_f64(ctx, f, "/entry/cube/signal", "one", &number), XANI_OK);
    ck_assert_double_eq(number, -3.25);
    ck_assert_int_eq(xn_h5_read_attr(ctx, f, "/entry", "NX_class", &text), XANI_OK);
    ck_assert_str_eq(text, "NXentry");
    xn_free(text);
    xn_h5_info info;
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/data/JF/data", &info), XANI_OK);
    ck_assert_str_eq(info.filters, "bitshuffle+lz4");
    ck_assert_int_eq(info.chunk[0], 1);
    ck_assert_int_eq(info.chunk[1], H);
    static uint16_t back[FRAMES * H * W];
    ck_assert_int_eq(xn_h5_read_rows(ctx, f, "/data/JF/data", XN_U16, 0, FRAMES, back), XANI_OK);
    ck_assert_mem_eq(back, raw, sizeof raw);
    ck_assert_int_eq(xn_h5_read_rows(ctx, f, "/data/JF/plain", XN_U16, 1, 2, back), XANI_OK);
    ck_assert_mem_eq(back, raw + H * W, 2 * H * W * sizeof raw[0]);
    xn_h5_close(&f);
}
END_TEST

START_TEST(test_layout)
{
    // Every array of a result is chunked with Fletcher32, trace chunks are kept; no times: equal data, equal bytes.
    ck_assert_int_eq(write_all(1), XANI_OK);
    xn_h5 *f;
    xn_h5_info info;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/entry/cube/signal", &info), XANI_OK);
    ck_assert_str_eq(info.filters, "shuffle+gzip+fletcher32");
    ck_assert_int_eq(info.chunk[0], T);
    ck_assert_int_eq(info.chunk[2], 16);
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/entry/runs", &info), XANI_OK);
    ck_assert_str_eq(info.filters, "fletcher32");
    ck_assert_int_eq(info.type, XN_STR);
    xn_h5_close(&f);
    long n, m;
    char *first = contents(path, &n);
    sleep(1);
    ck_assert_int_eq(write_all(1), XANI_OK);
    char *second = contents(path, &m);
    ck_assert_int_eq(n, m);
    ck_assert_mem_eq(first, second, (size_t)n);
    free(first);
    free(second);
}
END_TEST

START_TEST(test_plain_layout)
{
    // Field cubes are contiguous, without filters, in the oldest format (superblock version 0).
    xn_writer *w;
    fill(0);
    ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_PLAIN, &w), XANI_OK);
    xn_writer_data(w, "imgs", XN_F32, 3, (const int64_t[]){T, H, W}, NULL, cube);
    ck_assert_int_eq(xn_writer_publish(&w), XANI_OK);
    ck_assert_ptr_null(w);
    long n;
    char *bytes = contents(path, &n);
    ck_assert_int_eq(bytes[8], 0);
    free(bytes);
    xn_h5 *f;
    xn_h5_info info;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK);
    ck_assert_int_eq(xn_h5_info_get(ctx, f, "/imgs", &info), XANI_OK);
    ck_assert(!info.chunked);
    ck_assert_str_eq(info.filters, "");
    xn_h5_close(&f);
}
END_TEST

// Verification in a process of its own, left by _exit: the library leaks, or worse, on damaged structure.
static bool refuses_damage(void)
{
    int result = -1;
    pid_t child = fork();
    if (child == 0) {
        xani_status st = xn_publish_verify(ctx, path);
        _exit(st == XANI_ERR_VERIFY && strstr(xani_error_text(ctx), "result.h5") ? 0 : 1);
    }
    waitpid(child, &result, 0);
    return result == 0;
}

START_TEST(test_manifest_finds_changes)
{
    // Verification accepts the file as it is and refuses any flipped bit; missing things are input errors.
    ck_assert_int_eq(write_all(2), XANI_OK);
    ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_OK);
    long n;
    char *good = contents(path, &n);
    for (long at = 0; at < n; at += 1 + n / 257) {
        int fd = open(path, O_RDWR);
        char bad = (char)(good[at] ^ (1 << (at % 8)));
        ck_assert_int_eq(pwrite(fd, &bad, 1, at), 1);
        ck_assert_msg(refuses_damage(), "byte %ld", at);
        ck_assert_int_eq(pwrite(fd, &good[at], 1, at), 1);
        close(fd);
    }
    xn_clear_error(ctx);
    ck_assert_int_eq(truncate(path, n - 1), 0);
    ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_ERR_VERIFY);
    unlink(manifest);
    ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_ERR_INPUT);
    ck_assert(!xn_published(path));
    unlink(path);
    ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_ERR_INPUT);
    free(good);
}
END_TEST

START_TEST(test_manifest_names_dataset)
{
    // A changed value in a dataset is reported with the dataset's name.
    ck_assert_int_eq(write_all(2), XANI_OK);
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), d = H5Dopen2(f, "/entry/cube/signal", H5P_DEFAULT);
    cube[77] += 1;
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, cube), 0);
    H5Dclose(d);
    H5Fclose(f);
    ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_ERR_VERIFY);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "/entry/cube/signal: differs"));
}
END_TEST

START_TEST(test_every_operation_may_fail)
{
    // Whichever write, sync or rename fails, once or for ever: a clear error, the former file byte-equal, nothing left.
    ck_assert_int_eq(write_all(1), XANI_OK);
    long n, m;
    char *before = contents(path, &n), *before_manifest = contents(manifest, &m);
    for (int ever_after = 0; ever_after < 2; ever_after++) {
        disk_full d = DISK_FULL(ever_after);
        for (;; d.at++) {
            xn_clear_error(ctx);
            disk_full_begin(&d);
            xani_status st = write_all(2);
            disk_full_end();
            if (!d.reached) break; // no such operation: all went well
            ck_assert_int_eq(st, XANI_ERR_OUTPUT);
            ck_assert_msg(strstr(xani_error_text(ctx), "result.h5: cannot be written: No space left") != NULL,
                          "operation %d: %s", (int)d.at, xani_error_text(ctx));
            ck_assert_int_eq(left_behind(), 0);
            long n2, m2;
            char *after = contents(path, &n2), *after_manifest = contents(manifest, &m2);
            ck_assert_int_eq(n, n2);
            ck_assert_mem_eq(before, after, (size_t)n);
            ck_assert_str_eq(before_manifest, after_manifest);
            ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_ERR_OUTPUT == st ? XANI_OK : XANI_ERR_VERIFY);
            free(after);
            free(after_manifest);
        }
        ck_assert_uint_gt(d.at, 20);
        ck_assert_int_eq(write_all(1), XANI_OK);
    }
    free(before);
    free(before_manifest);
}
END_TEST

START_TEST(test_first_file_may_fail)
{
    // Without a former file a failure leaves nothing at all.
    for (disk_full d = DISK_FULL(false);; d.at++) {
        unlink(path);
        unlink(manifest);
        disk_full_begin(&d);
        xani_status st = write_all(2);
        disk_full_end();
        if (!d.reached) break;
        ck_assert_int_eq(st, XANI_ERR_OUTPUT);
        ck_assert_int_ne(access(path, F_OK), 0);
        ck_assert_int_ne(access(manifest, F_OK), 0);
        ck_assert_int_eq(left_behind(), 0);
    }
}
END_TEST

static int end_at(void *user, const char *operation, const char *name, uint64_t number)
{
    (void)operation, (void)name;
    if (number == *(uint64_t *)user) _exit(7);
    return 0;
}

START_TEST(test_killed_at_every_operation)
{
    // A process that ends before any of its operations leaves the former result, or a file without manifest, or the new
    // result: whatever counts as published verifies. The next writer removes what was left behind.
    static char first[1 << 20];
    long n;
    int former = 0, without = 0;
    ck_assert_int_eq(write_all(1), XANI_OK);
    char *before = contents(path, &n);
    ck_assert_int_lt(n, (long)sizeof first);
    memcpy(first, before, (size_t)n);
    free(before);
    for (uint64_t at = 1;; at++) {
        int result = -1;
        pid_t child = fork();
        if (child == 0) {
            xn_io_set_hook(end_at, &at);
            _exit(write_all(2) == XANI_OK ? 0 : 1);
        }
        waitpid(child, &result, 0);
        ck_assert(WIFEXITED(result) && WEXITSTATUS(result) != 1);
        if (WEXITSTATUS(result) == 0) break;
        long m;
        char *after = contents(path, &m);
        ck_assert_ptr_nonnull(after); // some file always has the name
        bool same = m == n && memcmp(first, after, (size_t)n) == 0;
        free(after);
        former += same && xn_published(path);
        without += !xn_published(path);
        if (xn_published(path)) ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_OK);
        ck_assert_int_eq(write_all(1), XANI_OK);
        ck_assert_int_eq(left_behind(), 0);
    }
    ck_assert(former > 20 && without > 0);
}
END_TEST

START_TEST(test_memory_may_fail)
{
    // Each of our allocations fails once: out of memory is reported, the former file stays, nothing is left behind.
    ck_assert_int_eq(write_all(1), XANI_OK);
    long n, m;
    char *before = contents(path, &n);
    int failures = 0;
    for (no_memory memory = NO_MEMORY;; no_memory_next(&memory)) {
        xn_clear_error(ctx);
        no_memory_begin(&memory);
        xani_status st = write_all(2);
        no_memory_end();
        if (!memory.reached) break;
        failures++;
        if (st == XANI_OK) { // work memory of a decoder with a second way, or the like: then all must be there
            ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_OK);
            ck_assert_int_eq(write_all(1), XANI_OK);
        }
        ck_assert_int_eq(left_behind(), 0);
        char *after = contents(path, &m);
        ck_assert_int_eq(n, m);
        ck_assert_mem_eq(before, after, (size_t)n);
        free(after);
    }
    ck_assert_int_gt(failures, 20);
    free(before);
}
END_TEST

START_TEST(test_full_disk)
{
    // The system itself refuses to write beyond a size, from nothing to all: the library's errors are seen through, the
    // former file stays, nothing is left behind, and the process ends in order.
    ck_assert_int_eq(write_all(1), XANI_OK);
    long n, m;
    char *before = contents(path, &n);
    int failed = 0;
    for (long limit = 0; limit < n + 8192; limit += 1 + n / 40) {
        int result = -1;
        pid_t child = fork();
        if (child == 0) {
            signal(SIGXFSZ, SIG_IGN); // write gives EFBIG
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)limit, (rlim_t)limit});
            xani_status st = write_all(2);
            bool told = strstr(xani_error_text(ctx), "result.h5: cannot be written: ") != NULL;
            exit(st == XANI_OK ? 10 : st == XANI_ERR_OUTPUT && told && left_behind() == 0 ? 11 : 12);
        }
        waitpid(child, &result, 0);
        ck_assert_msg(WIFEXITED(result) && WEXITSTATUS(result) != 12, "limit %ld: %d", limit, result);
        if (WEXITSTATUS(result) == 10) break;
        failed++;
        char *after = contents(path, &m);
        ck_assert_int_eq(n, m);
        ck_assert_mem_eq(before, after, (size_t)n);
        free(after);
    }
    ck_assert_int_ge(failed, 30);
    free(before);
}
END_TEST

START_TEST(test_refusals)
{
    // A missing folder, a read-only file and a folder in the way are found at creation, naming the final path.
    xn_writer *w;
    ck_assert_int_eq(xn_writer_create(ctx, "scratch-publish/none/x.h5", XN_LAYOUT_RESULT, &w), XANI_ERR_OUTPUT);
    ck_assert_ptr_null(w);
    ck_assert_str_eq(xani_error_text(ctx), "scratch-publish/none/x.h5: cannot be written: No such file or directory");
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_writer_create(ctx, dir, XN_LAYOUT_RESULT, &w), XANI_ERR_OUTPUT);
    xn_clear_error(ctx);
    ck_assert_int_eq(write_all(1), XANI_OK);
    chmod(path, 0444);
    ck_assert_int_eq(write_all(2), XANI_ERR_OUTPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "read-only"));
    chmod(path, 0644);
    ck_assert_int_eq(xn_publish_verify(ctx, path), XANI_OK);
    xn_writer_abort(&w); // NULL is fine
    ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
    xn_writer_abort(&w);
    ck_assert_ptr_null(w);
    ck_assert_int_eq(left_behind(), 0);
}
END_TEST

START_TEST(test_frames_in_order)
{
    // Frames out of order, of the wrong size, or too few are internal errors, latched.
    xn_writer *w;
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
    xn_rows_layout layout = {.type = XN_U16, .rank = 3, .dims = {3, H, W}, .filter = "none"};
    ck_assert_int_eq(xn_writer_rows_begin(w, "/d", &layout), XANI_OK);
    ck_assert_int_eq(xn_writer_rows(w, "/d", 1, raw), XANI_OK);
    ck_assert_int_eq(xn_writer_publish(&w), XANI_ERR_INTERNAL);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "1 of 3 rows"));
    ck_assert_int_ne(access(path, F_OK), 0);
    for (int k = 0; k < 3; k++) {
        xn_clear_error(ctx);
        ck_assert_int_eq(xn_writer_create(ctx, path, XN_LAYOUT_RESULT, &w), XANI_OK);
        layout.chunk[0] = k == 1 ? 2 : 1; // more rows than there are, half a chunk, a dataset nobody began
        ck_assert_int_eq(xn_writer_rows_begin(w, "/d", &layout), XANI_OK);
        ck_assert_int_eq(xn_writer_rows(w, k == 2 ? "/e" : "/d", k ? 1 : 4, raw), XANI_ERR_INTERNAL);
        ck_assert_int_eq(xn_writer_data(w, "/x", XN_U16, 1, (const int64_t[]){1}, NULL, raw), XANI_ERR_INTERNAL);
        ck_assert_int_eq(xn_writer_publish(&w), XANI_ERR_INTERNAL);
        ck_assert_int_eq(left_behind(), 0);
    }
}
END_TEST

START_TEST(test_text)
{
    // Text files: whole, with or without manifest; folders are made with their parents.
    char name[600];
    snprintf(name, sizeof name, "%s/a/b/.result.txt", dir);
    ck_assert_int_eq(xn_make_dirs(ctx, "scratch-publish/a/b"), XANI_OK);
    ck_assert_int_eq(xn_make_dirs(ctx, "scratch-publish/a/b/"), XANI_OK);
    ck_assert_int_eq(xn_publish_text(ctx, name, "hello\n", 6, "text"), XANI_OK);
    ck_assert_int_eq(xn_publish_verify(ctx, name), XANI_OK);
    ck_assert_int_eq(xn_publish_text(ctx, name, "", 0, "text"), XANI_OK);
    ck_assert_int_eq(xn_publish_verify(ctx, name), XANI_OK);
    ck_assert_int_eq(xn_publish_text(ctx, name, "other", 5, NULL), XANI_OK);
    ck_assert_int_eq(xn_publish_verify(ctx, name), XANI_ERR_VERIFY);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_make_dirs(ctx, "scratch-publish/a/b/.result.txt/c"), XANI_ERR_OUTPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "scratch-publish/a/b/.result.txt/c"));
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_publish_text(ctx, "scratch-publish/none/x.txt", "x", 1, "text"), XANI_ERR_OUTPUT);
    ck_assert_str_eq(xani_error_text(ctx), "scratch-publish/none/x.txt: cannot be written: No such file or directory");
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_round_trip);
    tcase_add_test(t, test_layout);
    tcase_add_test(t, test_plain_layout);
    tcase_add_test(t, test_manifest_finds_changes);
    tcase_add_test(t, test_manifest_names_dataset);
    tcase_add_test(t, test_every_operation_may_fail);
    tcase_add_test(t, test_first_file_may_fail);
    tcase_add_test(t, test_killed_at_every_operation);
    tcase_add_test(t, test_memory_may_fail);
    tcase_add_test(t, test_full_disk);
    tcase_add_test(t, test_refusals);
    tcase_add_test(t, test_frames_in_order);
    tcase_add_test(t, test_text);
}
XN_TEST_MAIN("publish", add)
