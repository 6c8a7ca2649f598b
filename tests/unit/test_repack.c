// SPDX-License-Identifier: BSD-3-Clause
// test_repack.c -- what is repacked equals its source or is not there: for any threads, shapes and chunks, with memory,
// disk and interruptions failing anywhere.  What h5py sees in the output: tests/cli/repack.py.
#include "disk_full.h"
#include "h5write.h"
#include "no_memory.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>

#include "io/repack/repack_parts.h"
#include "io/write/publish.h"

static xani_context *ctx;
static char dir[512], in[600], out[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("repack"));
    snprintf(in, sizeof in, "%s/in.h5", dir);
    snprintf(out, sizeof out, "%s/out.h5", dir);
    unlink(out);
}
static void tear_down(void)
{
    xn_io_set_hook(NULL, NULL);
    xn_mem_set_hook(NULL, NULL);
    xani_destroy(&ctx);
}

enum { N = 24, H = 100, W = 320 };
static uint16_t frames[N * H * W], back[N * H * W];

static void make_input(void)
{
    for (int i = 0; i < N * H * W; i++) frames[i] = (uint16_t)(i / 7 % 300);
    h5_make(in);
    h5_put(in, "entry/frames", H5T_NATIVE_UINT16, H5_SHAPE(N, H, W), frames);
    double few[5] = {1, 2, 3, 4, 5};
    h5_put(in, "entry/few", H5T_NATIVE_DOUBLE, H5_SHAPE(5), few);
    h5_put(in, "entry/pulse", H5T_NATIVE_UINT16, H5_SHAPE(N), frames);
    h5_put(in, "entry/title", H5T_C_S1, 0, NULL, "germanium");
    hid_t f = H5Fopen(in, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    hid_t d = H5Dopen2(f, "entry/frames", H5P_DEFAULT), attr;
    hobj_ref_t reference;
    ck_assert_int_ge(H5Rcreate(&reference, f, "/entry/few", H5R_OBJECT, -1), 0);
    attr = H5Acreate2(d, "few", H5T_STD_REF_OBJ, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attr, H5T_STD_REF_OBJ, &reference);
    H5Aclose(attr);
    H5Lcreate_hard(f, "entry/frames", f, "again", H5P_DEFAULT, H5P_DEFAULT);
    H5Dclose(d);
    H5Sclose(space);
    H5Fclose(f);
}

static xani_status run(const xani_repack_options *o, json_t **answer)
{
    const char *name = in;
    char *text = NULL;
    xani_status st = xani_repack(ctx, &name, 1, out, o, &text);
    if (answer) *answer = text ? json_loads(text, 0, NULL) : NULL;
    xani_free(text);
    return st;
}

static int temporaries(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));) n += strncmp(e->d_name, ".out", 4) == 0;
    closedir(d);
    return n;
}

static void check_output(void)
{
    hid_t f = H5Fopen(out, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, "again", H5P_DEFAULT);
    ck_assert(d >= 0);
    memset(back, 0, sizeof back);
    ck_assert_int_ge(H5Dread(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, back), 0);
    ck_assert_mem_eq(back, frames, sizeof back);
    hobj_ref_t reference = 0;
    char name[64] = "";
    hid_t attr = H5Aopen(d, "few", H5P_DEFAULT);
    ck_assert_int_ge(H5Aread(attr, H5T_STD_REF_OBJ, &reference), 0);
    hid_t object = H5Rdereference2(f, H5P_DEFAULT, H5R_OBJECT, &reference);
    ck_assert_int_gt(H5Iget_name(object, name, sizeof name), 0);
    ck_assert_str_eq(name, "/entry/few");
    H5Oclose(object);
    H5Aclose(attr);
    H5Dclose(d);
    H5Fclose(f);
}

START_TEST(test_any_threads_same_bytes)
{
    // One thread and five give the same file; NULL options are the defaults.
    make_input();
    uint64_t hash[3] = {0};
    int64_t bytes;
    for (int k = 0; k < 3; k++) {
        xani_repack_options o;
        xani_repack_options_init(&o);
        o.threads = k == 0 ? 1 : 5;
        ck_assert_msg(run(k == 2 ? NULL : &o, NULL) == XANI_OK, "%s", xani_error_text(ctx));
        check_output();
        ck_assert_int_eq(xn_hash_file(ctx, out, &hash[k], &bytes), XANI_OK);
    }
    ck_assert_uint_eq(hash[0], hash[1]);
    ck_assert_uint_eq(hash[0], hash[2]);
    ck_assert_int_eq(xn_publish_verify(ctx, out), XANI_OK);
}
END_TEST

START_TEST(test_chunks)
{
    // Frames of 1 to 16 MiB one by one, small ones together, large ones in equal parts; never more than there is.
    static const struct {
        int rank;
        hsize_t dims[4];
        int64_t chunk[4];
    } cases[] = {
        {3, {50, 1024, 512}, {1, 1024, 512}},        {3, {500, 64, 64}, {256, 64, 64}},
        {3, {3, 8192, 8192}, {1, 1024, 8192}},       {4, {9, 16, 512, 1024}, {1, 16, 512, 1024}},
        {4, {2, 32, 512, 1024}, {1, 16, 512, 1024}}, {1, {3000000}, {1048576}},
        {3, {7, 300, 300}, {7, 300, 300}},           {3, {1, 2, 20000000}, {1, 1, 6666667}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        h5_make(in);
        hid_t f = H5Fopen(in, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate_simple(cases[i].rank, cases[i].dims, NULL);
        hid_t created = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_alloc_time(created, H5D_ALLOC_TIME_EARLY); // a sparse file: no values need be written
        H5Pset_fill_time(created, H5D_FILL_TIME_NEVER);
        hid_t d = H5Dcreate2(f, "d", H5T_NATIVE_UINT16, space, H5P_DEFAULT, created, H5P_DEFAULT);
        ck_assert(d >= 0);
        H5Dclose(d);
        H5Pclose(created);
        H5Sclose(space);
        H5Fclose(f);
        const char *name = in;
        xani_repack_options o;
        xani_repack_options_init(&o);
        o.filter = "none";
        xn_repack_job job = {.ctx = ctx, .inputs = &name, .n_inputs = 1, .output = out, .options = &o, .threads = 1};
        ck_assert_int_eq(xn_h5_open(ctx, in, &job.file), XANI_OK);
        xn_hdf_guard guard = xn_hdf_enter();
        ck_assert_int_eq(xn_repack_plan(&job), XANI_OK);
        xn_hdf_leave(guard);
        ck_assert_int_eq(job.n_items, 1);
        ck_assert_int_eq(job.item[0].how, XN_REPACK_CHUNKS);
        for (int k = 0; k < cases[i].rank; k++)
            ck_assert_msg(job.item[0].chunk[k] == cases[i].chunk[k], "case %zu axis %d: %lld", i, k,
                          (long long)job.item[0].chunk[k]);
        xn_repack_plan_free(&job);
        xn_h5_close(&job.file);
    }
}
END_TEST

START_TEST(test_relative_names)
{
    // A name that leads from the folder of the output to the input, wherever both are.
    char here[700], below[700], deep[800];
    snprintf(below, sizeof below, "%s/x", dir);
    mkdir(below, 0777);
    snprintf(below, sizeof below, "%s/x/y", dir);
    mkdir(below, 0777);
    make_input();
    char *name = xn_repack_relative(out, in);
    ck_assert_str_eq(name, "in.h5");
    xn_free(name);
    snprintf(deep, sizeof deep, "%s/o.h5", below);
    name = xn_repack_relative(deep, in);
    ck_assert_str_eq(name, "../../in.h5");
    xn_free(name);
    snprintf(here, sizeof here, "%s/x/../x/y/../../in.h5", dir);
    name = xn_repack_relative(out, here);
    ck_assert_str_eq(name, "in.h5");
    xn_free(name);
    snprintf(deep, sizeof deep, "%s/in.h5", below);
    h5_make(deep);
    name = xn_repack_relative(out, deep);
    ck_assert_str_eq(name, "x/y/in.h5");
    xn_free(name);
    name = xn_repack_relative("/o.h5", in);
    ck_assert(name != NULL && name[0] != '/' && name[0] != '.');
    xn_free(name);
    ck_assert_ptr_null(xn_repack_relative("/no/such/o.h5", in));
}
END_TEST

// ---- failures

START_TEST(test_out_of_memory)
{
    // Any allocation of ours may fail: an error or a whole result, never a damaged one, nothing left behind.
    make_input();
    xani_repack_options o;
    xani_repack_options_init(&o);
    o.threads = 1;
    xani_status st = XANI_ERR_MEMORY;
    int failures = 0;
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        unlink(out);
        xn_clear_error(ctx);
        no_memory_begin(&n);
        st = run(&o, NULL);
        no_memory_end();
        ck_assert_int_eq(temporaries(), 0);
        if (st == XANI_OK) {
            check_output();
            continue;
        }
        failures++;
        ck_assert_int_ne(access(out, F_OK), 0);
        ck_assert_msg(xani_error_text(ctx)[0] != '\0', "%llu: no text", (unsigned long long)n.at);
    }
    ck_assert_int_ge(failures, 20);
    ck_assert_int_eq(run(&o, NULL), XANI_OK);
    check_output();
}
END_TEST

START_TEST(test_full_disk)
{
    // Each operation on the way may fail: the former output stays, byte by byte.
    make_input();
    ck_assert_int_eq(run(NULL, NULL), XANI_OK);
    uint64_t before, after;
    int64_t bytes;
    ck_assert_int_eq(xn_hash_file(ctx, out, &before, &bytes), XANI_OK);
    xani_repack_options o;
    xani_repack_options_init(&o);
    o.filter = "gzip"; // another file, if it were published
    int failures = 0;
    for (disk_full d = DISK_FULL(false); d.reached; d.at += 1 + d.at / 30) {
        xn_clear_error(ctx);
        disk_full_begin(&d);
        xani_status st = run(&o, NULL);
        disk_full_end();
        ck_assert_int_eq(temporaries(), 0);
        if (st == XANI_OK) break;
        failures++;
        ck_assert_msg(st == XANI_ERR_OUTPUT, "%llu: %s", (unsigned long long)d.at, xani_error_text(ctx));
        ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "No space left"));
        ck_assert_int_eq(xn_hash_file(ctx, out, &after, &bytes), XANI_OK);
        ck_assert_uint_eq(before, after);
    }
    ck_assert_int_ge(failures, 10);
}
END_TEST

static void interrupt_at(void *user, const char *stage, int64_t done, int64_t total, const char *unit, double seconds)
{
    (void)user, (void)stage, (void)total, (void)unit, (void)seconds;
    if (done > 0) xani_interrupt(ctx);
}

START_TEST(test_interrupted)
{
    // An interrupt ends the work with its own status, without an output.
    make_input();
    xani_set_progress(ctx, interrupt_at, NULL);
    xani_status st = run(NULL, NULL);
    ck_assert_msg(st == XANI_INTERRUPTED, "%d %s", (int)st, xani_error_text(ctx));
    ck_assert_int_ne(access(out, F_OK), 0);
    ck_assert_int_eq(temporaries(), 0);
}
END_TEST

// What was written is changed on the disk before it is read back.
static int damage(void *user, const char *operation, const char *path, uint64_t number)
{
    (void)number;
    if (strcmp(operation, "read back") != 0) return 0;
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    fseek(f, *(long *)user, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, *(long *)user, SEEK_SET);
    fputc(byte ^ 0x20, f);
    fclose(f);
    return 0;
}

START_TEST(test_damaged_before_it_is_published)
{
    // A bit that flips between writing and publishing in any array or in the file's structure keeps it from its name.
    make_input();
    xani_repack_options o;
    xani_repack_options_init(&o);
    o.filter = "none";
    ck_assert_int_eq(run(&o, NULL), XANI_OK);
    hid_t f = H5Fopen(out, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, "again", H5P_DEFAULT);
    hid_t few = H5Dopen2(f, "entry/few", H5P_DEFAULT), space = H5Dget_space(d);
    haddr_t address = 0;
    hsize_t n, offset[3];
    unsigned mask;
    ck_assert_int_ge(H5Dget_chunk_info(d, space, 0, offset, &mask, &address, &n), 0);
    long where[3] = {(long)address + 12345, (long)H5Dget_offset(few) + 3, 30};
    H5Sclose(space);
    H5Dclose(few);
    H5Dclose(d);
    H5Fclose(f);
    for (int k = 0; k < 3; k++) {
        unlink(out);
        xn_clear_error(ctx);
        xn_io_set_hook(damage, &where[k]);
        xani_status st = run(&o, NULL);
        xn_io_set_hook(NULL, NULL);
        ck_assert_msg(st == XANI_ERR_OUTPUT, "%d: %d %s", k, (int)st, xani_error_text(ctx));
        ck_assert_int_ne(access(out, F_OK), 0);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_any_threads_same_bytes);
    tcase_add_test(t, test_chunks);
    tcase_add_test(t, test_relative_names);
    tcase_add_test(t, test_out_of_memory);
    tcase_add_test(t, test_full_disk);
    tcase_add_test(t, test_interrupted);
    tcase_add_test(t, test_damaged_before_it_is_published);
}
XN_TEST_MAIN("repack", add)
