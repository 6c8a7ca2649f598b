// SPDX-License-Identifier: BSD-3-Clause
// test_worker.c -- what kills, stops or starves the helper is an error here; what it survives is opened as always.
#include "io/worker/worker.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "h5write.h"
#include "io/h5.h"
#include "test.h"

static xn_ctx *ctx;
static char dir[512], path[600], script[600];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("worker"));
    snprintf(path, sizeof path, "%s/good.h5", dir);
    snprintf(script, sizeof script, "%s/helper", dir);
    setenv("XANI_WORKER", "../xani-worker", 1);
}
static void tear_down(void)
{
    xn_worker_use(false, NULL);
    xani_destroy(&ctx);
}

static void make_good(int datasets)
{
    double values[100] = {1, 2, 3};
    h5_make(path);
    for (int i = 0; i < datasets; i++) {
        char name[32];
        snprintf(name, sizeof name, "g/d%03d", i);
        h5_put(path, name, H5T_NATIVE_DOUBLE, H5_SHAPE(10, 10), values);
    }
}

// Good files read the same; each object costs little, and nothing the second time.
START_TEST(test_good)
{
    make_good(100);
    xn_h5 *f;
    double *v, first = 0, again = 0;
    int64_t n;
    ck_assert(xn_worker_use(true, NULL));
    for (int turn = 0; turn < 2; turn++) {
        double start = xn_seconds();
        ck_assert_msg(xn_h5_open(ctx, path, &f) == XANI_OK, "%s", xani_error_text(ctx));
        for (int i = 0; i < 100; i++) {
            char name[32];
            snprintf(name, sizeof name, "g/d%03d", i);
            ck_assert_msg(xn_h5_read_f64(ctx, f, name, &v, &n) == XANI_OK, "%s", xani_error_text(ctx));
            ck_assert(n == 100 && v[1] == 2);
            xn_free(v);
        }
        xn_h5_close(&f);
        *(turn ? &again : &first) = xn_seconds() - start;
    }
    ck_assert(xn_worker_used());
    fprintf(stderr, "a file of 100 datasets: %.2f ms at first with the helper's start, %.2f ms again\n", first * 1e3,
            again * 1e3);
}
END_TEST

static void write_script(const char *text)
{
    FILE *f = fopen(script, "w");
    fprintf(f, "#!/bin/sh\n%s\n", text);
    fclose(f);
    chmod(script, 0755);
    setenv("XANI_WORKER", script, 1);
}

static void expect_refusal(const char *text)
{
    xn_h5 *f;
    ck_assert(xn_worker_use(true, NULL));
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_ERR_INPUT);
    ck_assert_msg(strstr(xani_error_text(ctx), text) && strstr(xani_error_text(ctx), path), "%s", xani_error_text(ctx));
    ck_assert_ptr_null(f);
    xn_worker_use(false, NULL);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_OK); // off: nothing is asked
    xn_h5_close(&f);
}

START_TEST(test_crash)
{
    make_good(1);
    write_script("kill -SEGV $$");
    expect_refusal("file refused: the HDF5 library crashed on it (signal 11)");
    write_script("exit 0");
    expect_refusal("file refused: the HDF5 library ended the process");
}
END_TEST

START_TEST(test_hang)
{
    make_good(1);
    xn_worker_set_seconds(0.3);
    write_script("exec sleep 100");
    expect_refusal("file refused: the HDF5 library took longer than 0.3 s over it");
}
END_TEST

// One that dies over a file before this one is not held against this one.
START_TEST(test_second_chance)
{
    make_good(1);
    char text[2500], worker[1000], marker[700];
    ck_assert_ptr_nonnull(getcwd(worker, 900));
    memcpy(worker + strlen(worker), "/../xani-worker", 16);
    snprintf(marker, sizeof marker, "%s/died-once", dir);
    unlink(marker);
    snprintf(text, sizeof text, "if [ -e %s ]; then exec %s; fi; touch %s; kill -SEGV $$", marker, worker, marker);
    write_script(text);
    xn_h5 *f;
    ck_assert(xn_worker_use(true, NULL));
    ck_assert_msg(xn_h5_open(ctx, path, &f) == XANI_OK, "%s", xani_error_text(ctx));
    xn_h5_close(&f);
    ck_assert(xn_test_exists(marker));
}
END_TEST

START_TEST(test_missing_helper)
{
    char why[XN_WORKER_TEXT];
    setenv("XANI_WORKER", "/nowhere/xani-worker", 1);
    ck_assert(!xn_worker_use(true, why) && strstr(why, "xani-worker") && !xn_worker_used());
    ck_assert_int_eq(xani_set_isolation(ctx, 1), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "xani-worker"));
    ck_assert_int_eq(xani_set_isolation(ctx, 0), XANI_OK);
    make_good(1);
    setenv("XANI_WORKER", "../xani-worker", 1);
    struct rlimit whole,
        part; // a batch system's limit: what the helper would refuse for lack of room is read without it
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &whole), 0);
    part = (struct rlimit){.rlim_cur = (rlim_t)4 << 30, .rlim_max = whole.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &part), 0);
    bool limited = xn_worker_use(true, why);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &whole), 0);
    ck_assert(!limited && strstr(why, "address space") && !xn_worker_used());
    ck_assert_int_eq(xani_set_isolation(ctx, 1), XANI_OK);
    setenv("XANI_WORKER", "/nowhere/xani-worker", 1); // gone between asking and using
    xn_h5 *f;
    ck_assert_int_eq(xn_h5_open(ctx, path, &f), XANI_ERR_INPUT);
}
END_TEST

// A file that changed is looked at again, one that did not is not.
START_TEST(test_memory)
{
    make_good(1);
    ck_assert(xn_worker_use(true, NULL));
    ck_assert_int_eq(xn_worker_look(ctx, path, "g/d000"), XANI_OK);
    setenv("XANI_WORKER", "/nowhere", 1);
    pid_t child = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; (e = readdir(d)) != NULL;) { // the helper: ends, and cannot be started again
        char name[300], line[256] = "";
        int parent = 0;
        snprintf(name, sizeof name, "/proc/%.200s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '0' && e->d_name[0] <= '9' ? fopen(name, "r") : NULL;
        if (f == NULL) continue;
        if (fgets(line, sizeof line, f) && sscanf(line, "%*d (xani-worker) %*c %d", &parent) == 1 && parent == getpid())
            child = (pid_t)strtol(e->d_name, NULL, 10);
        fclose(f);
    }
    closedir(d);
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(xn_worker_look(ctx, path, "g/d000"), XANI_OK); // remembered
    ck_assert_int_eq(xn_worker_look(ctx, path, "g"), XANI_ERR_INPUT);
    double one = 1;
    h5_put(path, "g/more", H5T_NATIVE_DOUBLE, H5_SHAPE(1), &one);
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_worker_look(ctx, path, "g/d000"), XANI_ERR_INPUT); // no longer the same
}
END_TEST

static int number_in(const char *file, const char *key)
{
    char line[256];
    int value = -1;
    size_t n = strlen(key);
    FILE *f = fopen(file, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, n) == 0) value = (int)strtol(line + n, NULL, 10);
    if (f) fclose(f);
    return value;
}

// The helper holds no file for writing, makes none, and has no way to the network or to other programs.
START_TEST(test_confined)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        xn_worker_confine();
        char name[620];
        snprintf(name, sizeof name, "%s/made", dir);
        int bad = 0;
        FILE *f = fopen(path, "rb");
        bad |= f == NULL ? 1 : 0;
        bad |= fopen(name, "wb") != NULL ? 2 : 0;
        bad |= fopen(path, "r+b") != NULL ? 4 : 0;
        bad |= fork() >= 0 ? 8 : 0;
        bad |= execl("/bin/true", "true", (char *)NULL) == 0 ? 16 : 0;
        bad |= kill(getppid(), 0) == 0 ? 32 : 0;
        bad |= unlink(path) == 0 ? 64 : 0;
        bad |= number_in("/proc/self/status", "NoNewPrivs:") == 1 ? 0 : 128;
        _exit(bad);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
#ifdef XN_SANITIZED
    xn_skip("confinement of the helper: not with sanitizers");
#else
    if (number_in("/proc/self/status", "Seccomp:") < 0)
        xn_skip("confinement of the helper: no seccomp here");
    else
        ck_assert_int_eq(WEXITSTATUS(status), 0);
#endif
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_good);
    tcase_add_test(t, test_crash);
    tcase_add_test(t, test_hang);
    tcase_add_test(t, test_second_chance);
    tcase_add_test(t, test_missing_helper);
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_confined);
}
XN_TEST_MAIN("worker", add)
