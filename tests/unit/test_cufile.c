// SPDX-License-Identifier: BSD-3-Clause
// test_cufile.c -- cuFile is found or declined with the reason; reads, handles, settings and errors are as told.
//
// With a stand-in for the library (tests/emulation/fake_cufile.c), which says what it has seen.
#include "test.h"

#include <dlfcn.h>
#include <errno.h>

#include "emulation/fake_cufile.h"
#include "reader/cufile.h"

static xn_ctx *ctx;
static fake_cufile_state *fake;
static void *library;
static char why[256];
static uint8_t bytes[100000], got[200000];

// The stand-in of this name, in a fresh state.
static void use(const char *name)
{
    char path[1024];
    xn_cufile_shut();
    if (library != NULL) dlclose(library);
    snprintf(path, sizeof path, "%s/lib%s.so", XN_FAKE_CUFILE, name);
    setenv("XANI_CUFILE", path, 1);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(library != NULL, "%s", dlerror());
    fake = dlsym(library, "fake_cufile");
    ck_assert(fake != NULL);
    memset(fake, 0, sizeof *fake);
}

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + i / 251);
    FILE *f = fopen("cufile.bin", "w");
    ck_assert(f != NULL && fwrite(bytes, 1, sizeof bytes, f) == sizeof bytes && fclose(f) == 0);
    use("fakecufile");
}

static void tear_down(void)
{
    xn_cufile_shut();
    ck_assert_int_eq(fake->wrong, 0);
    ck_assert_int_eq(fake->handles, 0);
    ck_assert_int_eq(fake->buffers, 0);
    ck_assert_int_eq(fake->opens, fake->closes);
    xani_destroy(&ctx);
}

START_TEST(test_found)
{
    // There, too old, without a symbol, not there, with a driver that does not open: told in one line, once.
    ck_assert_msg(xn_cufile_works(NULL, why, sizeof why), "%s", why);
    ck_assert_int_eq(xn_cufile_version(), 1150);
    ck_assert_msg(strstr(xn_cufile_mode(), "no nvidia-fs") != NULL, "%s", xn_cufile_mode());
    ck_assert(xn_cufile_works(NULL, why, sizeof why));
    ck_assert_int_eq(fake->opens, 1);
    xn_cufile_shut();
    fake->nvfs_major = 2;
    ck_assert(xn_cufile_works(NULL, why, sizeof why));
    ck_assert_str_eq(xn_cufile_mode(), "nvidia-fs 2.20");
    xn_cufile_shut();
    fake->driver_error = 5001;
    for (int i = 0; i < 2; i++) {
        ck_assert(!xn_cufile_works(NULL, why, sizeof why));
        ck_assert_msg(strstr(why, "driver") != NULL && strstr(why, "5001") != NULL, "%s", why);
    }
    use("fakecufile_old");
    ck_assert(!xn_cufile_works(NULL, why, sizeof why));
    ck_assert_msg(strstr(why, "1.6 is older than 1.7") != NULL, "%s", why);
    use("fakecufile_missing");
    ck_assert(!xn_cufile_works(NULL, why, sizeof why));
    ck_assert_msg(strstr(why, "no cuFileRead") != NULL, "%s", why);
    xn_cufile_shut();
    setenv("XANI_CUFILE", "no-such-library.so", 1);
    ck_assert(!xn_cufile_works(NULL, why, sizeof why));
    ck_assert_msg(strstr(why, "no-such-library.so is not there") != NULL, "%s", why);
    ck_assert_int_eq(xn_cufile_version(), 0);
}
END_TEST

START_TEST(test_reads)
{
    // Any range, in pieces of what the library gives at a time, to any place; the end of the file ends a read.
    xn_file *file = NULL;
    int error = 7;
    ck_assert_int_eq(xn_file_open(ctx, "cufile.bin", &file), XANI_OK);
    ck_assert(xn_cufile_works(NULL, why, sizeof why));
    xn_cufile_handle *h = xn_cufile_take(file, &error, why, sizeof why), *same = NULL;
    ck_assert_msg(h != NULL && error == 0, "%s", why);
    same = xn_cufile_take(file, &error, why, sizeof why);
    ck_assert(same == h);
    ck_assert_int_eq(fake->handles, 1);
    ck_assert(xn_cufile_register(got, sizeof got, why, sizeof why));
    fake->most = 1000;
    memset(got, 0, sizeof got);
    ck_assert_int_eq(xn_cufile_read(h, got, 5000, 123, 4096, &error, why, sizeof why), 5000);
    ck_assert(memcmp(got + 4096, bytes + 123, 5000) == 0 && got[4095] == 0 && got[4096 + 5000] == 0);
    ck_assert_int_eq(fake->reads, 5);
    ck_assert_int_eq(xn_cufile_read(h, got, 5000, sizeof bytes - 77, 0, &error, why, sizeof why), 77);
    ck_assert_int_eq(error, 0);
    fake->fails_from = fake->reads + 2, fake->fails_errno = EIO;
    ck_assert_int_eq(xn_cufile_read(h, got, 5000, 0, 0, &error, why, sizeof why), -1);
    ck_assert_int_eq(error, EIO);
    fake->fails_errno = 0, fake->fails_error = 5008;
    ck_assert_int_eq(xn_cufile_read(h, got, 5000, 0, 0, &error, why, sizeof why), -1);
    ck_assert_int_eq(error, 0);
    ck_assert_msg(strstr(why, "file system is not supported") && strstr(why, "cufile.bin"), "%s", why);
    xn_cufile_deregister(got);
    xn_cufile_give(h);
    xn_cufile_give(same);
    xn_file_close(&file);
}
END_TEST

START_TEST(test_handles)
{
    // Of many files those used last stay registered; a registration refused, or a file replaced, is told.
    enum { FILES = 100 };
    xn_file *file[FILES];
    char path[64];
    int error;
    ck_assert(xn_cufile_works(NULL, why, sizeof why));
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "cufile-%d.bin", i);
        FILE *f = fopen(path, "w");
        ck_assert(f != NULL && fputc(i, f) == i && fclose(f) == 0);
        ck_assert_int_eq(xn_file_open(ctx, path, &file[i]), XANI_OK);
        xn_cufile_handle *h = xn_cufile_take(file[i], &error, why, sizeof why);
        ck_assert_msg(h != NULL, "%s", why);
        ck_assert_int_eq(xn_cufile_read(h, got, 1, 0, 0, &error, why, sizeof why), 1);
        ck_assert_int_eq(got[0], i);
        xn_cufile_give(h);
    }
    ck_assert_msg(fake->handles >= 32 && fake->handles < FILES, "%d handles", fake->handles);
    for (int i = 0; i < FILES; i++) xn_file_close(&file[i]);
    xn_cufile_shut();
    ck_assert_int_eq(fake->handles, 0);
    ck_assert(xn_cufile_works(NULL, why, sizeof why));
    fake->register_error = 5008;
    ck_assert_int_eq(xn_file_open(ctx, "cufile.bin", &file[0]), XANI_OK);
    ck_assert(xn_cufile_take(file[0], &error, why, sizeof why) == NULL && error == 0);
    ck_assert_msg(strstr(why, "not supported") != NULL, "%s", why);
    ck_assert(!xn_cufile_register(got, 1, why, sizeof why) || fake->buffers == 1);
    xn_cufile_deregister(got);
    fake->buffer_error = 5036;
    ck_assert(!xn_cufile_register(got, 1, why, sizeof why));
    ck_assert_msg(strstr(why, "pinned") != NULL, "%s", why);
    xn_file_close(&file[0]);
}
END_TEST

static bool no_memory(void *user, uint64_t number)
{
    (void)number;
    return *(bool *)user;
}

START_TEST(test_memory)
{
    // Without memory for a handle: ENOMEM, and the next time it works.
    xn_file *file = NULL;
    int error = 0;
    bool short_of = true;
    ck_assert_int_eq(xn_file_open(ctx, "cufile.bin", &file), XANI_OK);
    ck_assert(xn_cufile_works(NULL, why, sizeof why));
    xn_mem_set_hook(no_memory, &short_of);
    ck_assert(xn_cufile_take(file, &error, why, sizeof why) == NULL);
    xn_mem_set_hook(NULL, NULL);
    ck_assert_int_eq(error, ENOMEM);
    xn_cufile_handle *h = xn_cufile_take(file, &error, why, sizeof why);
    ck_assert(h != NULL && error == 0);
    xn_cufile_give(h);
    xn_file_close(&file);
}
END_TEST

START_TEST(test_settings)
{
    // engine.cufile.* by parameters, and as a file where the library has none of these; a value refused names its key.
    xn_config *c = NULL;
    ck_assert_int_eq(
        xn_config_parse(ctx,
                        "engine: {cufile: {parallel_io: on, max_io_threads: 4, max_request_parallelism: 8,\n"
                        "  max_direct_io_kb: 4096, buffer_kb: 2048, compat: force, p2p: off}}",
                        "t.yaml", ".", &c),
        XANI_OK);
    const xn_cufile_settings s = xn_cufile_settings_of(c);
    xani_config_destroy(&c);
    ck_assert(xn_cufile_works(&s, why, sizeof why));
    ck_assert(fake->sizes[2] == 4 && fake->sizes[4] == 8 && fake->sizes[5] == 4096 && fake->sizes[7] == 2048);
    ck_assert_int_eq(fake->bools_set, 1 << 4 | 1 << 1 | 1 << 2 | 1 << 7);
    ck_assert(fake->bools[4] == 1 && fake->bools[1] == 1 && fake->bools[2] == 1 && fake->bools[7] == 0);
    ck_assert_str_eq(fake->json, "");

    use("fakecufile"); // the defaults: one thing only is asked for
    ck_assert(xn_cufile_works(NULL, why, sizeof why));
    ck_assert(fake->bools_set == 1 << 4 && fake->bools[4] == 0 && fake->sizes[2] == 0);

    use("fakecufile_json");
    ck_assert(xn_cufile_works(&s, why, sizeof why));
    ck_assert_str_eq(fake->json,
                     "{\"execution\": {\"parallel_io\": true, \"max_io_threads\": 4, \"max_request_parallelism\": 8}, "
                     "\"properties\": {\"max_direct_io_size_kb\": 4096, \"per_buffer_cache_size_kb\": 2048, "
                     "\"allow_compat_mode\": true, \"force_compat_mode\": true, \"use_pci_p2pdma\": false}}\n");
    ck_assert(getenv("CUFILE_ENV_PATH_JSON") == NULL);

    use("fakecufile_json"); // the user's own file stays
    setenv("CUFILE_ENV_PATH_JSON", "cufile.bin", 1);
    ck_assert(xn_cufile_works(&s, why, sizeof why));
    ck_assert_str_eq(getenv("CUFILE_ENV_PATH_JSON"), "cufile.bin");
    unsetenv("CUFILE_ENV_PATH_JSON");

    use("fakecufile");
    ck_assert(xn_cufile_works(NULL, why, sizeof why)); // open: nothing can be set any more
    fake->closes = -1;
    xn_cufile_shut();
    ck_assert(!xn_cufile_works(&s, why, sizeof why));
    ck_assert_msg(strstr(why, "engine.cufile.parallel_io") != NULL, "%s", why);
    fake->closes = fake->opens;
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_found);
    tcase_add_test(tc, test_reads);
    tcase_add_test(tc, test_handles);
    tcase_add_test(tc, test_memory);
    tcase_add_test(tc, test_settings);
}
XN_TEST_MAIN("cuFile", add)
