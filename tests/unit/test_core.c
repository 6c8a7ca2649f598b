// SPDX-License-Identifier: BSD-3-Clause
// test_core.c -- status, error text, log, progress, interruption, memory.
#include "context.h"

#include <jansson.h>
#include <omp.h>
#include <sys/stat.h>

START_TEST(test_status_table)
{
    // Each status has its documented exit code, a cause word and a text; an unknown one is an internal error.
    static const int codes[XANI_STATUS_COUNT] = {0, 1, 1, 1, 1, 2, 2, 3, 4, 75};
    for (int s = 0; s < XANI_STATUS_COUNT; s++) {
        ck_assert_int_eq(xani_exit_code((xani_status)s), codes[s]);
        ck_assert_str_ne(xani_status_name((xani_status)s), "");
        ck_assert_str_ne(xani_status_text((xani_status)s), "");
        for (int t = 0; t < s; t++)
            ck_assert_str_ne(xani_status_name((xani_status)s), xani_status_name((xani_status)t));
    }
    ck_assert_int_eq(xani_exit_code((xani_status)99), 1);
    ck_assert_str_eq(xani_status_name((xani_status)-1), "internal");
}
END_TEST

START_TEST(test_error_text)
{
    // The first error is kept, on one line; outer callers add what they were doing; clearing empties it.
    ck_assert_str_eq(xani_error_text(ctx), "");
    ck_assert_int_eq(xn_fail(ctx, XANI_ERR_INPUT, "a\nb: %d", 3), XANI_ERR_INPUT);
    ck_assert_int_eq(xn_fail(ctx, XANI_ERR_OUTPUT, "later"), XANI_ERR_OUTPUT);
    ck_assert_str_eq(xani_error_text(ctx), "a b: 3");
    ck_assert_int_eq(xn_context(ctx, XANI_ERR_INPUT, "while reading %s", "x.h5"), XANI_ERR_INPUT);
    ck_assert_str_eq(xani_error_text(ctx), "while reading x.h5: a b: 3");
    char once[256];
    snprintf(once, sizeof once, "%s", xani_error_text(ctx));
    xn_context(ctx, XANI_ERR_INPUT, "while reading %s", "x.h5"); // what was said last is not said twice
    ck_assert_str_eq(xani_error_text(ctx), once);
    ck_assert_int_eq(xn_context(ctx, XANI_OK, "nothing wrong"), XANI_OK);
    ck_assert_str_eq(xani_error_text(ctx), "while reading x.h5: a b: 3");
    xn_clear_error(ctx);
    ck_assert_str_eq(xani_error_text(ctx), "");
    ck_assert_int_eq(xn_fail(NULL, XANI_ERR_MEMORY, "no context"), XANI_ERR_MEMORY);
}
END_TEST

START_TEST(test_error_text_long)
{
    // Text longer than its room is cut, also when it is prefixed again and again.
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    xn_fail(ctx, XANI_ERR_INPUT, "%s", text);
    for (int i = 0; i < 200; i++) xn_context(ctx, XANI_ERR_INPUT, "level %d", i);
    ck_assert_uint_lt(strlen(xani_error_text(ctx)), 1100);
    ck_assert_int_eq(strncmp(xani_error_text(ctx), "level 199: level 198: ", 22), 0);
    xn_context(ctx, XANI_ERR_INPUT, "%s", text);
    ck_assert_uint_lt(strlen(xani_error_text(ctx)), 1100);
}
END_TEST

START_TEST(test_error_text_ends)
{
    // Of a long path the middle goes, between characters: what it begins with and the reason stay.
    char path[6000] = "/begin/";
    for (size_t n = strlen(path); n + 4 < sizeof path; n += 3) snprintf(path + n, 4, "…");
    for (int shift = 0; shift < 4; shift++) {
        xn_clear_error(ctx);
        xn_fail(ctx, XANI_ERR_INPUT, "%.*s%s: no such file", shift, "abc", path);
        xn_context(ctx, XANI_ERR_INPUT, "run 1");
        const char *text = xani_error_text(ctx);
        ck_assert_int_eq(strncmp(text, "run 1: ", 7), 0);
        ck_assert_ptr_nonnull(strstr(text, "/begin/…"));
        ck_assert_str_eq(text + strlen(text) - 17, "…: no such file");
        ck_assert_uint_gt(strlen(text), 1000);
        json_t *valid = json_string(text);
        ck_assert_ptr_nonnull(valid);
        json_decref(valid);
    }
}
END_TEST

START_TEST(test_utf8)
{
    // Valid characters stay, every other byte is named.
    static const char *const texts[][2] = {{"", ""},
                                           {"aÅ…𝜈", "aÅ…𝜈"},
                                           {"m\xff.h5", "m\\xff.h5"},
                                           {"\xc3", "\\xc3"},
                                           {"\xed\xa0\x80z", "\\xed\\xa0\\x80z"}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *valid = xani_utf8(texts[i][0]);
        ck_assert_str_eq(valid, texts[i][1]);
        xani_free(valid);
    }
}
END_TEST

START_TEST(test_errors_of_threads)
{
    // When several threads fail at once, exactly one whole text remains.
#pragma omp parallel num_threads(4)
    xn_fail(ctx, XANI_ERR_INPUT, "thread %d of 4 failed", omp_get_thread_num());
    int thread;
    ck_assert_int_eq(sscanf(xani_error_text(ctx), "thread %d of 4 failed", &thread), 1);
    ck_assert_uint_eq(strlen(xani_error_text(ctx)), strlen("thread 0 of 4 failed"));
}
END_TEST

typedef struct {
    int calls;
    xani_log_level level;
    char text[64];
} heard;

static void on_log(void *user, xani_log_level level, const char *text)
{
    heard *h = user;
    h->calls++;
    h->level = level;
    snprintf(h->text, sizeof h->text, "%s", text);
}

START_TEST(test_log)
{
    // Log lines reach the caller's function on one line with their level; without a function nothing happens.
    heard h = {0};
    xn_warn(ctx, "unheard");
    xani_set_log(ctx, on_log, &h);
    xn_warn(ctx, "bins of %d fs\nare coarse", 50);
    ck_assert_int_eq(h.calls, 1);
    ck_assert_int_eq(h.level, XANI_LOG_WARNING);
    ck_assert_str_eq(h.text, "bins of 50 fs are coarse");
}
END_TEST

static void on_progress(void *user, const char *stage, int64_t done, int64_t total, const char *unit, double seconds)
{
    int64_t *seen = user;
    ck_assert_str_eq(stage, "reduce");
    ck_assert_str_eq(unit, "shots");
    ck_assert_int_eq(total, 1000000);
    ck_assert(seconds >= 0.0);
    seen[0]++;
    seen[1] = done;
}

START_TEST(test_warnings)
{
    // Kept once each, in order, without a log too; notes are not; the first XN_WARNINGS; forgotten when told.
    const char *const *texts;
    ck_assert_int_eq(xn_warnings(ctx, &texts), 0);
    for (int i = 0; i < 2; i++) xn_warn(ctx, "sign %d", 1);
    xn_note(ctx, "a note");
    xn_warn(ctx, "two\nlines");
    ck_assert_int_eq(xn_warnings(ctx, &texts), 2);
    ck_assert_str_eq(texts[0], "sign 1");
    ck_assert_str_eq(texts[1], "two lines");
    for (int i = 0; i < 2 * XN_WARNINGS; i++) xn_warn(ctx, "number %d", i);
    ck_assert_int_eq(xn_warnings(ctx, &texts), XN_WARNINGS);
    ck_assert_str_eq(texts[XN_WARNINGS - 1], "number 29");
    xn_warnings_forget(ctx);
    ck_assert_int_eq(xn_warnings(ctx, &texts), 0);
    xn_warn(ctx, "left for the end");
    ck_assert_int_eq(xn_warnings(NULL, &texts), 0);
}
END_TEST

START_TEST(test_progress)
{
    // Progress is passed on a few times a second at most, but always at the first and the last call.
    int64_t seen[2] = {0, -1};
    xani_set_progress(ctx, on_progress, seen);
    xn_progress(ctx, "reduce", 0, 1000000, "shots");
    ck_assert_int_eq(seen[0], 1);
    double begin = xn_seconds();
    for (int64_t i = 1; i <= 1000000; i++) xn_progress(ctx, "reduce", i, 1000000, "shots");
    ck_assert_int_eq(seen[1], 1000000);
    ck_assert_double_le((double)seen[0], 3.0 + 10.0 * (xn_seconds() - begin));
}
END_TEST

START_TEST(test_interrupt)
{
    // An interrupt is seen at the next safe point and says how to go on.
    ck_assert_int_eq(xn_check_interrupt(ctx), XANI_OK);
    xani_interrupt(ctx);
    ck_assert(xn_interrupted(ctx));
    ck_assert_int_eq(xn_check_interrupt(ctx), XANI_INTERRUPTED);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "run the same command again"));
    ck_assert(!xn_interrupted(NULL));
}
END_TEST

START_TEST(test_command_line)
{
    // The command line is copied, and empty when none was given.
    char line[] = "xani run x.yaml";
    ck_assert_str_eq(xn_command_line(ctx), "");
    xani_set_command(ctx, line);
    line[0] = 'X';
    ck_assert_str_eq(xn_command_line(ctx), "xani run x.yaml");
}
END_TEST

static bool refuse_second(void *user, uint64_t number)
{
    ++*(int *)user;
    return number == 1;
}

START_TEST(test_memory)
{
    // Memory is aligned, products that overflow are refused, and the hook fails exactly the allocation it names.
    void *p = xn_alloc(3, 7);
    ck_assert_uint_eq((uintptr_t)p % 64, 0);
    xn_free(p);
    unsigned char *z = xn_calloc(100, 1);
    for (int i = 0; i < 100; i++) ck_assert_int_eq(z[i], 0);
    z[99] = 7;
    z = xn_realloc(z, 1000, 1);
    ck_assert_int_eq(z[99], 7);
    xn_free(z);
    ck_assert_ptr_null(xn_alloc(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(xn_alloc(SIZE_MAX - 10, 1));
    ck_assert_ptr_null(xn_alloc_large(SIZE_MAX / 2, 3));
    ck_assert_ptr_null(xn_alloc_large(SIZE_MAX - 10, 1));
    static const size_t sizes[] = {0, 7, 8 << 20, (9 << 20) + 5}; // small ones, whole huge pages, and a rest
    for (int i = 0; i < 4; i++) {
        uint8_t *large = xn_alloc_large(sizes[i], 1);
        ck_assert_ptr_nonnull(large);
        ck_assert_uint_eq((uintptr_t)large % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++) large[k] = (uint8_t)k;
        xn_free(large);
    }
    ck_assert_ptr_null(xn_calloc(SIZE_MAX / 4, 8));
    ck_assert_ptr_null(xn_strdup(NULL));
    char *s = xn_format("%s-%03d", "run", 7);
    ck_assert_str_eq(s, "run-007");
    xn_free(s);
    int calls = 0;
    xn_mem_set_hook(refuse_second, &calls);
    void *a = xn_alloc(1, 1), *b = xn_alloc(1, 1), *c = xn_calloc(1, 1);
    xn_mem_set_hook(NULL, NULL);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_null(b);
    ck_assert_ptr_nonnull(c);
    ck_assert_int_eq(calls, 3);
    xn_free(a);
    xn_free(c);
}
END_TEST

START_TEST(test_machine)
{
    // Asked-for threads are taken as they are; else at least one; clocks run forward.
    ck_assert_int_eq(xn_threads(7), 7);
    ck_assert_int_ge(xn_threads(0), 1);
    double a = xn_seconds(), cpu = xn_cpu_seconds(), sum = 0;
    for (int i = 1; i < 3000000; i++) sum += 1.0 / i;
    ck_assert(sum > 1.0 && xn_seconds() > a && xn_cpu_seconds() > cpu);
}
END_TEST

static void put(const char *root, const char *path, const char *text)
{
    char name[700];
    snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *p = name + 1; *p != '\0'; p++)
        if (*p == '/') *p = '\0', mkdir(name, 0755), *p = '/';
    FILE *f = fopen(name, "w");
    ck_assert_msg(f != NULL, "%s", name);
    fputs(text, f);
    fclose(f);
}

static void fresh(char root[600])
{
    snprintf(root, 600, "%s/XXXXXX", xn_test_dir("limits"));
    ck_assert(mkdtemp(root) != NULL);
}

START_TEST(test_memory_free)
{
    // What the system has, and no more than any control group above the process leaves, the page cache taken off; both
    // versions of groups, and a container that sees its own group as the root.
    char root[600];
    fresh(root);
    put(root, "proc/meminfo", "MemTotal:  9999999 kB\nMemAvailable:    8000 kB\n");
    ck_assert_int_eq(xn_memory_free_below(root), 8000 * 1024);
    put(root, "proc/self/cgroup", "0::/slurm/job_7/step_0\n");
    put(root, "sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
    put(root, "sys/fs/cgroup/slurm/job_7/step_0/memory.current", "1000000\n");
    ck_assert_int_eq(xn_memory_free_below(root), 8000 * 1024);
    put(root, "sys/fs/cgroup/slurm/job_7/memory.max", "5000000\n");
    put(root, "sys/fs/cgroup/slurm/job_7/memory.current", "4900000\n");
    put(root, "sys/fs/cgroup/slurm/job_7/memory.stat", "anon 400000\ninactive_file 4000000\nactive_file 500000\n");
    ck_assert_int_eq(xn_memory_free_below(root), 5000000 - 400000);
    put(root, "sys/fs/cgroup/slurm/memory.max", "6000000\n");
    put(root, "sys/fs/cgroup/slurm/memory.current", "6500000\n");
    ck_assert_int_eq(xn_memory_free_below(root), 0);

    fresh(root);
    put(root, "proc/meminfo", "MemAvailable:    8000 kB\n");
    put(root, "proc/self/cgroup", "9:cpu,cpuacct:/\n4:cpuset,memory:/docker/1\n0::/\n");
    put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000\n");
    put(root, "sys/fs/cgroup/memory/memory.usage_in_bytes", "2000000\n");
    put(root, "sys/fs/cgroup/memory/memory.stat", "cache 9\ntotal_inactive_file 1500000\ntotal_active_file 0\n");
    ck_assert_int_eq(xn_memory_free_below(root), 2500000);
    ck_assert_int_gt(xn_memory_free(), 1 << 20);
}
END_TEST

START_TEST(test_processors)
{
    // The least share of any group above the process, in whole processors and at least one; none: no limit.
    char root[600];
    fresh(root);
    put(root, "proc/self/cgroup", "0::/kubepods/pod_3\n");
    put(root, "sys/fs/cgroup/kubepods/cpu.max", "max 100000\n");
    ck_assert(xn_processors_below(root) == INT64_MAX);
    put(root, "sys/fs/cgroup/kubepods/pod_3/cpu.max", "250000 100000\n");
    ck_assert_int_eq(xn_processors_below(root), 2);
    put(root, "sys/fs/cgroup/kubepods/pod_3/cpu.max", "50000 100000\n");
    ck_assert_int_eq(xn_processors_below(root), 1);

    fresh(root);
    put(root, "proc/self/cgroup", "4:memory:/a\n2:cpu,cpuacct:/docker/1\n");
    put(root, "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
    put(root, "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
    ck_assert(xn_processors_below(root) == INT64_MAX);
    put(root, "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "400000\n");
    ck_assert_int_eq(xn_processors_below(root), 4);
    put(root, "proc/self/cgroup", "3:cpuacct:/b\n2:cpu:/docker/1\n");
    ck_assert_int_eq(xn_processors_below(root), 4);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_status_table);
    tcase_add_test(t, test_memory_free);
    tcase_add_test(t, test_processors);
    tcase_add_test(t, test_error_text);
    tcase_add_test(t, test_error_text_long);
    tcase_add_test(t, test_error_text_ends);
    tcase_add_test(t, test_utf8);
    tcase_add_test(t, test_errors_of_threads);
    tcase_add_test(t, test_log);
    tcase_add_test(t, test_progress);
    tcase_add_test(t, test_interrupt);
    tcase_add_test(t, test_warnings);
    tcase_add_test(t, test_command_line);
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_machine);
}
XN_TEST_MAIN("core", add)
