// SPDX-License-Identifier: BSD-3-Clause
// test_reader.c -- bytes of files: right ones or an error, whatever way of reading and whatever goes wrong.
#include "reader_common.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

static xn_ctx *ctx;
static void set_up(void) { ck_assert_int_eq(xani_create(&ctx), XANI_OK); }
static void tear_down(void)
{
    xn_read_set_hook(NULL, NULL);
    xn_mem_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

static const char *make_file(int file, int64_t bytes) { return reader_file("reader", file, bytes); }
#define right reader_right
#define content reader_content

START_TEST(test_file)
{
    // A file is read at any place; past its end is an error; owners share one, the last closes it.
    xn_file *f;
    const char *path = make_file(0, 10000);
    ck_assert_int_eq(xn_file_open(ctx, path, &f), XANI_OK);
    ck_assert_int_eq(xn_file_bytes(f), 10000);
    ck_assert_str_eq(xn_file_path(f), path);
    xn_file *g = xn_file_share(f);
    xn_file_close(&f);
    ck_assert_ptr_null(f);
    uint8_t buf[10001];
    ck_assert_int_eq(xn_file_read(g, 17, buf, 9983), 0);
    ck_assert(right(0, 17, buf, 9983));
    ck_assert_int_eq(xn_file_read(g, 17, buf, 9984), XN_READ_SHORT);
    ck_assert_int_eq(xn_file_read(g, 20000, buf, 1), XN_READ_SHORT);
    ck_assert_int_eq(xn_file_read(g, -1, buf, 1), EINVAL);
    ck_assert_int_eq(xn_file_read(g, 10000, buf, 0), 0);
    const uint8_t *map = xn_file_map(g);
    ck_assert_ptr_nonnull(map);
    ck_assert_ptr_eq(xn_file_map(g), map);
    ck_assert(right(0, 0, map, 10000));
    ck_assert_int_eq(xn_file_check(g), 0);
    xn_file_close(&g);
    xn_file_close(&g);
}
END_TEST

START_TEST(test_file_refused)
{
    // What is no readable file is refused with its name.
    xn_file *f;
    ck_assert_int_eq(xn_file_open(ctx, "no/such.bin", &f), XANI_ERR_INPUT);
    ck_assert_ptr_null(f);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "no/such.bin: No such file"));
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_file_open(ctx, xn_test_dir("reader"), &f), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "directory"));
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_file_open(ctx, "/dev/null", &f), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "ordinary file"));
    ck_assert_int_eq(xn_file_open(ctx, make_file(0, 0), &f), XANI_OK);
    ck_assert_ptr_null(xn_file_map(f));
    xn_file_close(&f);
}
END_TEST

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

START_TEST(test_many_files)
{
    // More files than the process may have descriptors are read in any order, by several threads, and stay below half
    // of the limit; pinned descriptors stay valid.
    enum { FILES = 100, LIMIT = 40, BYTES = 3000 };
    xn_file *files[FILES];
    int before = open_descriptors(), error;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = LIMIT;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < FILES; i++) ck_assert_int_eq(xn_file_open(ctx, make_file(i, BYTES), &files[i]), XANI_OK);
    int pinned = xn_file_pin(files[7], &error);
    ck_assert_int_ge(pinned, 0);
    int wrong = 0;
#pragma omp parallel for num_threads(4) reduction(+ : wrong) schedule(dynamic)
    for (int i = 0; i < 40 * FILES; i++) {
        uint8_t buf[700];
        int k = (int)((uint32_t)i * 2654435761u % FILES), at = i % 2300;
        wrong += xn_file_read(files[k], at, buf, sizeof buf) != 0 || !right(k, at, buf, sizeof buf);
    }
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_le(open_descriptors(), before + LIMIT / 2);
    uint8_t byte;
    ck_assert_int_eq(pread(pinned, &byte, 1, 5), 1);
    ck_assert_uint_eq(byte, content(7, 5));
    xn_file_unpin(files[7]);
    for (int i = 0; i < FILES; i++) xn_file_close(&files[i]);
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

static int no_descriptor(void *user, const char *call, const char *path, int64_t offset, size_t bytes)
{
    (void)path, (void)offset, (void)bytes;
    int *left = user;
    return strcmp(call, "open") == 0 && (*left)-- > 0 ? EMFILE : 0;
}

START_TEST(test_descriptors_gone)
{
    // Where the system has no descriptor left, those not in use are given up one by one; if none can be, it is an
    // error.
    xn_file *f[3], *g;
    for (int i = 0; i < 3; i++) ck_assert_int_eq(xn_file_open(ctx, make_file(i, 100), &f[i]), XANI_OK);
    const char *path = make_file(3, 100);
    int left = 3;
    xn_read_set_hook(no_descriptor, &left);
    ck_assert_int_eq(xn_file_open(ctx, path, &g), XANI_OK);
    xn_file_close(&g);
    left = 1000;
    ck_assert_int_eq(xn_file_open(ctx, path, &g), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "Too many open files"));
    uint8_t buf[100];
    left = 1000;
    ck_assert_int_eq(xn_file_read(f[0], 0, buf, 100), EMFILE);
    left = 0;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(xn_file_read(f[i], 0, buf, 100), 0);
        ck_assert(right(i, 0, buf, 100));
        xn_file_close(&f[i]);
    }
}
END_TEST

// Gives up the descriptors of all files that are not pinned.
static void close_all(void)
{
    xn_file *none;
    int left = 1 << 30;
    xn_read_set_hook(no_descriptor, &left);
    ck_assert_int_eq(xn_file_open(ctx, "any", &none), XANI_ERR_INPUT);
    xn_clear_error(ctx);
    xn_read_set_hook(NULL, NULL);
}

START_TEST(test_changed)
{
    // A file that was replaced, rewritten or cut is never read again under its old identity; one that is followed may
    // grow.
    uint8_t buf[100];
    xn_file *f;
    ck_assert_int_eq(xn_file_open(ctx, make_file(1, 5000), &f), XANI_OK);
    close_all();
    make_file(1, 5000); // the same bytes, another inode or another time
    ck_assert_int_eq(xn_file_read(f, 0, buf, 100), XN_READ_CHANGED);
    ck_assert_int_eq(xn_file_check(f), XN_READ_CHANGED);
    xn_file_close(&f);

    const char *path = make_file(1, 5000);
    ck_assert_int_eq(xn_file_open(ctx, path, &f), XANI_OK);
    ck_assert_int_eq(truncate(path, 50), 0);
    ck_assert_int_eq(xn_file_read(f, 0, buf, 100), XN_READ_CHANGED);
    ck_assert_ptr_null(xn_file_map(f));
    close_all();
    ck_assert_int_eq(xn_file_read(f, 0, buf, 10), XN_READ_CHANGED);
    unlink(path);
    ck_assert_int_eq(xn_file_read(f, 0, buf, 10), XN_READ_CHANGED);
    ck_assert_int_eq(xn_file_check(f), ENOENT);
    xn_file_close(&f);

    path = make_file(2, 5000);
    ck_assert_int_eq(xn_file_open(ctx, path, &f), XANI_OK);
    FILE *more = fopen(path, "ab");
    for (int i = 5000; i < 6000; i++) fputc(content(2, i), more);
    fclose(more);
    close_all();
    ck_assert_int_eq(xn_file_read(f, 0, buf, 100), XN_READ_CHANGED);
    xn_file_follow(f);
    ck_assert_int_eq(xn_file_check(f), 0);
    ck_assert_int_eq(xn_file_read(f, 5900, buf, 100), 0);
    ck_assert(right(2, 5900, buf, 100));
    ck_assert_int_eq(truncate(path, 4999), 0);
    ck_assert_int_eq(xn_file_check(f), XN_READ_CHANGED);
    xn_file_close(&f);
}
END_TEST

START_TEST(test_table)
{
    // Ways of reading are found by name; unknown ones are none; an error has words.
    for (int i = 0; xn_reader_at(i) != NULL; i++)
        ck_assert_ptr_eq(xn_reader_named(xn_reader_at(i)->name), xn_reader_at(i));
    ck_assert_ptr_nonnull(xn_reader_named("pread"));
    ck_assert_ptr_null(xn_reader_named("none"));
    ck_assert_ptr_null(xn_reader_at(-1));
    ck_assert_ptr_nonnull(strstr(xn_read_why(XN_READ_SHORT), "truncated"));
    ck_assert_ptr_nonnull(strstr(xn_read_why(XN_READ_CHANGED), "replaced"));
    ck_assert_str_eq(xn_read_why(EIO), strerror(EIO));
    ck_assert_str_ne(xn_read_why(54321), "");
}
END_TEST

// Reads of all kinds of offsets and lengths, with and without a place, `depth` at a time; how many were wrong.
static int read_many(const xn_reader_ops *ops, xn_file *file, int depth, int n)
{
    enum { LARGEST = 300000 };
    int64_t size = xn_file_bytes(file);
    xn_reader *r = ops->open(depth, LARGEST);
    ck_assert_ptr_nonnull(r);
    xn_read *reads = calloc((size_t)n, sizeof *reads);
    int wrong = 0, submitted = 0, finished = 0;
    while (finished < n) {
        for (; submitted < n; submitted++) {
            xn_read *read = &reads[submitted];
            uint32_t h = (uint32_t)submitted * 2654435761u;
            read->file = file;
            read->bytes = submitted % 7 == 0 ? 4096 : submitted % 11 == 0 ? 0 : h % LARGEST;
            read->offset = submitted % 5 == 0 ? size - (int64_t)read->bytes : (int64_t)(h >> 3) % (size - LARGEST);
            if (submitted % 7 == 0) read->offset = read->offset / 4096 * 4096;
            if (submitted % 3 && read->dst == NULL) read->dst = malloc(read->bytes + 1);
            if (!ops->submit(r, read)) break;
        }
        xn_read *read = ops->next(r);
        ck_assert_ptr_nonnull(read);
        wrong += read->error != 0 || !right(0, read->offset, read->data, read->bytes);
        wrong += read->dst != NULL && read->data != read->dst;
        ops->release(r, read);
        free(read->dst);
        finished++;
    }
    ck_assert_ptr_null(ops->next(r));
    ops->close(r);
    free(reads);
    return wrong;
}

START_TEST(test_reads)
{
    // Every way of reading gives the bytes of any range, at any depth, to the place asked for.
    xn_file *f;
    ck_assert_int_eq(xn_file_open(ctx, make_file(0, 2000001), &f), XANI_OK);
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;) {
        static const int depths[] = {0, 1, 3, 32};
        for (int d = 0; d < 4; d++)
            ck_assert_msg(read_many(ops, f, depths[d], 60) == 0, "%s, depth %d", ops->name, depths[d]);
    }
    xn_file_close(&f);
}
END_TEST

// One read of `bytes` at `offset` by a reader whose slots are of `largest` bytes; to memory `skew` bytes past a page.
static void read_one(const xn_reader_ops *ops, xn_file *file, size_t largest, int64_t offset, size_t bytes, int skew)
{
    uint8_t *memory = aligned_alloc(4096, (bytes + 3 * 4096) / 4096 * 4096);
    xn_reader *r = ops->open(2, largest);
    xn_read to = {.file = file, .offset = offset, .bytes = bytes, .dst = memory + skew};
    xn_read in = {.file = file, .offset = offset, .bytes = bytes};
    ck_assert(ops->submit(r, &to) && ops->submit(r, &in));
    xn_read third = {.file = file, .offset = 0, .bytes = 1};
    ck_assert(!ops->submit(r, &third));
    for (int i = 0; i < 2; i++) {
        xn_read *read = ops->next(r);
        ck_assert_msg(read->error == 0, "%s: %s", ops->name, xn_read_why(read->error));
        ck_assert_msg(right(0, offset, read->data, bytes), "%s: %zu bytes at %lld, slots of %zu, memory + %d",
                      ops->name, bytes, (long long)offset, largest, skew);
    }
    ck_assert_ptr_null(ops->next(r));
    ck_assert(ops->submit(r, &third)); // the slot of the read with a place is free again
    ck_assert(!ops->submit(r, &to));   // the other one is not yet
    ck_assert_ptr_eq(ops->next(r), &third);
    ops->release(r, &third);
    ops->release(r, &in);
    ck_assert(ops->submit(r, &to) && ops->submit(r, &in));
    ops->close(r); // with reads under way
    free(memory);
}

START_TEST(test_large_reads)
{
    // Reads larger than the reader's memory are whole too, whatever is aligned: offset, length, place, end of the file.
    enum { BYTES = 11 << 20 };
    xn_file *f;
    ck_assert_int_eq(xn_file_open(ctx, make_file(0, BYTES + 77), &f), XANI_OK);
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;) {
        read_one(ops, f, 1, 0, BYTES + 77, 0);
        read_one(ops, f, 1 << 20, 512, BYTES - 512, 0);
        read_one(ops, f, 1 << 20, 4096, BYTES - 4096, 8);
        read_one(ops, f, 4096, 4097, BYTES + 77 - 4097, 1);
        read_one(ops, f, 64 << 20, 8192, 1 << 20, 0);
        read_one(ops, f, 4096, BYTES + 76, 1, 0);
    }
    xn_file_close(&f);
}
END_TEST

START_TEST(test_past_the_end)
{
    // Bytes behind the end of the file, or before its start, are an error by every way of reading.
    static const struct {
        int64_t offset;
        size_t bytes;
        int error;
    } cases[] = {{0, 10001, XN_READ_SHORT},
                 {9999, 2, XN_READ_SHORT},
                 {10000, 1, XN_READ_SHORT},
                 {4096, 5905, XN_READ_SHORT},
                 {-1, 1, EINVAL},
                 {-4096, 8192, EINVAL},
                 {INT64_MAX, 1, XN_READ_SHORT},
                 {50000, 4096, XN_READ_SHORT}};
    xn_file *f;
    ck_assert_int_eq(xn_file_open(ctx, make_file(0, 10000), &f), XANI_OK);
    static uint8_t place[16384];
    int i = 0;
    for (const xn_reader_ops *ops; (ops = reader_working(&i)) != NULL;) {
        xn_reader *r = ops->open(2, 4096);
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
            for (int with = 0; with < 2; with++) {
                xn_read read = {f, cases[k].offset, cases[k].bytes, with ? place : NULL, NULL, NULL, 0, NULL};
                ck_assert(ops->submit(r, &read));
                ck_assert_ptr_eq(ops->next(r), &read);
                bool fits = read.error == cases[k].error || (cases[k].offset == INT64_MAX && read.error == EINVAL);
                ck_assert_msg(fits, "%s, case %zu: %d", ops->name, k, read.error);
                ck_assert_ptr_null(read.data);
                ops->release(r, &read);
            }
        ops->close(r);
    }
    xn_file_close(&f);
}
END_TEST

static int no_cachestat(void *user, const char *call, const char *name, int64_t offset, size_t bytes)
{
    (void)user, (void)name, (void)offset, (void)bytes;
    return strcmp(call, "cachestat") == 0 ? ENOSYS : 0;
}

START_TEST(test_choice)
{
    // pread for what is in the page cache and for what it could keep; past it for cold local files larger than memory,
    // if reads are long and io_uring works. Both ways of asking the page cache tell warm from cold.
    enum { BYTES = 4 << 20 };
    const xn_reader_ops *pread_ops = xn_reader_named("pread"), *uring_ops = xn_reader_named("uring");
    int64_t before = xn_file_all_bytes();
    xn_file *f, *g;
    char why[160];
    ck_assert_int_eq(xn_file_open(ctx, make_file(0, BYTES), &f), XANI_OK);
    ck_assert_int_eq(xn_file_all_bytes() - before, BYTES);
    if (!xn_file_is_local(f)) {
        xn_skip("the folder of the tests is not on a local disk");
        xn_file_close(&f);
        return;
    }
    int error, fd = xn_file_pin(f, &error);
    ck_assert_double_eq(xn_file_cached(f, 0, BYTES), 1.0);
    ck_assert_ptr_eq(xn_reader_choose(f, 0, BYTES), pread_ops);
    ck_assert_int_eq(fdatasync(fd), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ck_assert_double_eq(xn_file_cached(f, 0, BYTES), 0.0);
    ck_assert_ptr_eq(xn_reader_choose(f, 0, BYTES), pread_ops); // memory can keep it

    char name[600];
    snprintf(name, sizeof name, "%s/large.bin", xn_test_dir("reader"));
    int large = open(name, O_CREAT | O_TRUNC | O_RDWR, 0666);
    bool sparse = ftruncate(large, (off_t)1 << 43) == 0; // 8 TiB, all of it a hole
    close(large);
    if (sparse) {
        ck_assert_int_eq(xn_file_open(ctx, name, &g), XANI_OK);
        const xn_reader_ops *past = uring_ops->works(why) ? uring_ops : pread_ops;
        ck_assert_ptr_eq(xn_reader_choose(f, 0, BYTES), past);
        ck_assert_ptr_eq(xn_reader_choose(g, (int64_t)1 << 42, 1 << 20), past);
        ck_assert_ptr_eq(xn_reader_choose(f, 0, 8192), pread_ops);
        xn_file_close(&g);
    }
    unlink(name);
    xn_read_set_hook(no_cachestat, NULL);
    ck_assert_double_lt(xn_file_cached(f, 0, BYTES), 0.5);
    uint8_t *memory = malloc(BYTES);
    ck_assert_int_eq(xn_file_read(f, 0, memory, BYTES), 0);
    ck_assert_double_eq(xn_file_cached(f, 0, BYTES), 1.0);
    free(memory);
    xn_file_unpin(f);
    xn_file_close(&f);
    ck_assert_int_eq(xn_file_all_bytes(), before);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_file);
    tcase_add_test(t, test_file_refused);
    tcase_add_test(t, test_many_files);
    tcase_add_test(t, test_descriptors_gone);
    tcase_add_test(t, test_changed);
    tcase_add_test(t, test_table);
    tcase_add_test(t, test_choice);
    tcase_add_test(t, test_reads);
    tcase_add_test(t, test_large_reads);
    tcase_add_test(t, test_past_the_end);
}
XN_TEST_MAIN("reader", add)
