// SPDX-License-Identifier: BSD-3-Clause
// test_faults.c -- a fault of the system at any of its calls ends in an error that names the file, or in the right
// data.
//
// Datasets of the family, and a virtual one, are read through the public interface in every way of reading, while one
// system call after the other fails, returns less than asked for, or is interrupted; while files shrink or are
// replaced between opening and reading and during it; and repacked while the disk is full.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>

#include "disk_full.h"
#include "family.h"
#include "io/write/publish.h"
#include "reader/reader.h"

static xani_context *ctx;
static char folder[512], path[600];
enum { ROWS = 24, H = 12, W = 20, SIZE = ROWS * H * W };
static uint16_t truth[SIZE];
static const char *const readers[] = {"pread", "uring", "mmap"};

static void put(hid_t f, const char *name, bool chunked, bool packed)
{
    const hsize_t dims[3] = {ROWS, H, W}, chunk[3] = {2, 7, W};
    hid_t created = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, dims, NULL);
    if (chunked) H5Pset_chunk(created, 3, chunk);
    if (packed) {
        H5Pset_shuffle(created);
        H5Pset_deflate(created, 3);
    }
    hid_t d = H5Dcreate2(f, name, H5T_STD_U16LE, space, H5P_DEFAULT, created, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, truth), 0);
    H5Dclose(d), H5Sclose(space), H5Pclose(created);
}

static const char *const names[] = {"contiguous", "chunked", "packed", "virtual"};

static void make_file(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    hid_t f = family_file(path, true, 0);
    put(f, "contiguous", false, false);
    put(f, "chunked", true, false);
    put(f, "packed", true, true);
    // Rows of two sources in turn.
    const hsize_t dims[3] = {ROWS, H, W}, half[3] = {ROWS / 2, H, W}, stride[3] = {2, 1, 1};
    hid_t to = H5Screate_simple(3, dims, NULL), from = H5Screate_simple(3, dims, NULL);
    hid_t created = H5Pcreate(H5P_DATASET_CREATE);
    for (hsize_t i = 0; i < 2; i++) {
        const hsize_t start[3] = {i, 0, 0};
        H5Sselect_hyperslab(to, H5S_SELECT_SET, start, stride, half, NULL);
        H5Sselect_hyperslab(from, H5S_SELECT_SET, start, stride, half, NULL);
        ck_assert_int_ge(H5Pset_virtual(created, to, ".", i ? "packed" : "chunked", from), 0);
    }
    H5Sselect_all(to);
    hid_t d = H5Dcreate2(f, "virtual", H5T_STD_U16LE, to, H5P_DEFAULT, created, H5P_DEFAULT);
    H5Dclose(d), H5Sclose(to), H5Sclose(from), H5Pclose(created), H5Fclose(f);
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(folder, sizeof folder, "%s", xn_test_dir("faults"));
    for (int i = 0; i < SIZE; i++) truth[i] = (uint16_t)(1 + i * 31 % 900); // no zeros
    make_file("whole.h5");
}
static void tear_down(void)
{
    xn_read_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

// ---- one call fails

typedef struct {
    atomic_long calls;
    long at;   // this call
    long last; // and those up to this one
    int with;
} plan;

static int fault(void *user, const char *call, const char *file, int64_t offset, size_t bytes)
{
    plan *p = user;
    (void)call, (void)file, (void)offset, (void)bytes;
    long n = atomic_fetch_add(&p->calls, 1);
    return n >= p->at && n <= p->last ? p->with : 0;
}

// Right data, or an error that names what it is about. Returns whether it was right.
static bool read_once(const char *name, const char *reader, int threads, const char *what)
{
    const char *files[1] = {path};
    xani_dataset *d = NULL;
    xani_read_options options;
    uint16_t *got = malloc(sizeof truth);
    memset(got, 0, sizeof truth);
    xani_read_options_init(&options);
    options.reader = reader;
    options.threads = threads;
    xani_status st = xani_dataset_open(ctx, files, 1, name, &options, &d);
    if (st == XANI_OK) st = xani_dataset_read(ctx, d, NULL, NULL, XANI_UINT16, got);
    const char *text = xani_error_text(ctx);
    if (st == XANI_OK)
        ck_assert_msg(memcmp(got, truth, sizeof truth) == 0, "%s, %s, %s: wrong data and no error", name, reader, what);
    else
        ck_assert_msg(strstr(text, ".h5") || strstr(text, reader) || strstr(text, "out of memory"),
                      "%s, %s, %s: the error names neither file nor dataset nor reader: %s", name, reader, what, text);
    xani_dataset_destroy(&d);
    free(got);
    return st == XANI_OK;
}

START_TEST(test_each_call)
{
    static const struct {
        int with;
        const char *name;
        bool harmless; // reading goes on
    } faults[] = {{EIO, "EIO", false},
                  {EINTR, "EINTR", true},
                  {XN_READ_SHORT, "half of it", true},
                  {EAGAIN, "EAGAIN", false},
                  {ENOMEM, "ENOMEM", false}};
    const char *reader = readers[_i];
    char why[160];
    if (!xn_reader_named(reader)->works(why)) {
        snprintf(why, sizeof why, "faults of %s", reader);
        xn_skip(why);
        return;
    }
    long tried = 0, right = 0;
    for (size_t k = 0; k < sizeof faults / sizeof faults[0]; k++)
        for (int n = 0; n < 4; n++)
            for (int for_ever = 0; for_ever < 2; for_ever++) {
                if (for_ever && faults[k].harmless) continue; // would never end
                long calls = 1;
                for (long at = 0; at < calls && at < 60; at++, tried++) {
                    // Told to try again, a reader does, for a while.
                    long last = !for_ever ? at : faults[k].with == EAGAIN ? at + 50 : LONG_MAX;
                    plan p = {.at = at, .last = last, .with = faults[k].with};
                    xn_read_set_hook(fault, &p);
                    bool good = read_once(names[n], reader, 1 + (int)(at % 2), faults[k].name);
                    xn_read_set_hook(NULL, NULL);
                    if (at == 0) calls = for_ever ? 8 : 60;
                    if (atomic_load(&p.calls) <= at) break; // there was no such call
                    bool unusable = strstr(xani_error_text(ctx), "does not work here") != NULL; // asked before reading
                    ck_assert_msg(good || !faults[k].harmless || unusable, "%s at call %ld of %s: %s", faults[k].name,
                                  at, names[n], xani_error_text(ctx));
                    right += good;
                }
            }
    fprintf(stderr, "%s: %ld faults, %ld of them without harm, %ld errors\n", reader, tried, right, tried - right);
    ck_assert_int_gt(tried, 30);
}
END_TEST

// ---- files that change

static void copy_file(const char *to, off_t bytes)
{
    char from[600], buffer[4096];
    snprintf(from, sizeof from, "%s/whole.h5", folder);
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert(in >= 0 && out >= 0);
    for (ssize_t n; bytes > 0 && (n = read(in, buffer, sizeof buffer)) > 0; bytes -= n)
        ck_assert(write(out, buffer, (size_t)(n < bytes ? n : bytes)) > 0);
    close(in), close(out);
}

static off_t size_of(const char *name)
{
    struct stat s;
    ck_assert_int_eq(stat(name, &s), 0);
    return s.st_size;
}

typedef struct {
    atomic_long calls;
    long at;
    off_t to;
} shrink;

static int shrink_now(void *user, const char *call, const char *file, int64_t offset, size_t bytes)
{
    shrink *s = user;
    (void)call, (void)offset, (void)bytes;
    if (atomic_fetch_add(&s->calls, 1) == s->at) truncate(file, s->to);
    return 0;
}

// The file is cut at the n-th call: what was read before it is right, and all of it is an error.
START_TEST(test_shrinking)
{
    const char *reader = readers[_i];
    char why[160];
    if (strcmp(reader, "mmap") == 0 || !xn_reader_named(reader)->works(why)) return; // a mapped file must stay as it is
    off_t whole = size_of(path);
    long cuts = 0, errors = 0;
    snprintf(path, sizeof path, "%s/shrinks.h5", folder);
    for (int n = 0; n < 4; n++)
        for (int part = 0; part < 8; part++)
            for (long at = 0; at < 6; at++, cuts++) {
                copy_file(path, whole);
                shrink s = {.at = at, .to = whole * part / 8};
                xn_read_set_hook(shrink_now, &s);
                bool good = read_once(names[n], reader, 1, "shrinking");
                xn_read_set_hook(NULL, NULL);
                errors += !good;
            }
    fprintf(stderr, "%s: %ld files cut while they were read, %ld errors\n", reader, cuts, errors);
    ck_assert_int_gt(errors, cuts / 4);
}
END_TEST

// Between opening and reading: cut, emptied, replaced by another of the same size, removed.
START_TEST(test_changed_between)
{
    const char *reader = readers[_i];
    char why[160];
    if (strcmp(reader, "mmap") == 0 || !xn_reader_named(reader)->works(why)) return;
    off_t whole = size_of(path);
    snprintf(path, sizeof path, "%s/changes.h5", folder);
    for (int n = 0; n < 4; n++)
        for (int how = 0; how < 4; how++) {
            const char *files[1] = {path};
            char other[640];
            xani_dataset *d = NULL;
            xani_read_options options;
            uint16_t *got = malloc(sizeof truth);
            copy_file(path, whole);
            xani_read_options_init(&options);
            options.reader = reader;
            ck_assert_msg(xani_dataset_open(ctx, files, 1, names[n], &options, &d) == XANI_OK, "%s",
                          xani_error_text(ctx));
            snprintf(other, sizeof other, "%s/other.h5", folder);
            if (how < 2) ck_assert_int_eq(truncate(path, how ? whole / 2 : 0), 0);
            if (how == 2) {
                copy_file(other, whole);
                ck_assert_int_eq(rename(other, path), 0);
            }
            if (how == 3) unlink(path);
            xani_status st = xani_dataset_read(ctx, d, NULL, NULL, XANI_UINT16, got);
            if (st == XANI_OK)
                ck_assert_msg(memcmp(got, truth, sizeof truth) == 0, "%s: %d: wrong data and no error", names[n], how);
            else
                ck_assert_msg(strstr(xani_error_text(ctx), ".h5"), "%s", xani_error_text(ctx));
            if (how == 0) ck_assert_int_ne(st, XANI_OK);
            xani_dataset_destroy(&d);
            free(got);
        }
}
END_TEST

// ---- writing

static bool temporary_left(void)
{
    DIR *d = opendir(folder);
    bool left = false;
    for (struct dirent *e; (e = readdir(d)) != NULL;) left = left || strstr(e->d_name, ".tmp") != NULL;
    closedir(d);
    return left;
}

// No space at any step of repacking: an error that names the output, and nothing under its name, or the whole.
START_TEST(test_full_disk)
{
    char output[600], input[600];
    const char *inputs[1] = {input};
    snprintf(output, sizeof output, "%s/repacked.h5", folder);
    memcpy(input, path, sizeof input);
    int errors = 0, done = 0;
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (disk_full d = DISK_FULL(for_ever); d.reached; d.at++) {
            char *summary = NULL;
            xani_repack_options options;
            unlink(output);
            xani_repack_options_init(&options);
            disk_full_begin(&d);
            xani_status st = xani_repack(ctx, inputs, 1, output, &options, &summary);
            disk_full_end();
            xani_free(summary);
            if (st != XANI_OK) {
                ck_assert_msg(strstr(xani_error_text(ctx), "repacked.h5") || strstr(xani_error_text(ctx), folder), "%s",
                              xani_error_text(ctx));
                ck_assert_msg(access(output, F_OK) != 0, "step %d: an error, and a file under the final name",
                              (int)d.at);
                errors++;
            } else {
                memcpy(path, output, sizeof path);
                for (int n = 0; n < 3; n++) ck_assert(read_once(names[n], "pread", 1, "repacked"));
                memcpy(path, input, sizeof path);
                done++;
            }
            ck_assert(!temporary_left());
        }
    fprintf(stderr, "repack on a full disk: %d errors, %d finished\n", errors, done);
    ck_assert_int_gt(errors, 5);
    ck_assert_int_gt(done, 0);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, test_each_call, 0, 3);
    tcase_add_loop_test(t, test_shrinking, 0, 2);
    tcase_add_loop_test(t, test_changed_between, 0, 2);
    tcase_add_test(t, test_full_disk);
}
XN_TEST_MAIN("injected faults", add)
