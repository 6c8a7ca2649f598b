// SPDX-License-Identifier: BSD-3-Clause
// limits.c -- how much memory this process may still take, and how many processors.
//
// What the system says is available, and no more than the control groups of the process leave: a job of a batch system
// or a container is stopped at its group's limit, whatever else is free.  Limits stand at any level above the process.
// Files in the page cache count as used memory there but are given up when memory is asked for, so they are taken off:
// else nothing would be left after the first large file was read.  Processors are limited by their share of time, which
// affinity does not show: more threads than that would be made to wait.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/config.h"

static FILE *open_in(const char *folder, const char *file)
{
    char path[1024];
    return snprintf(path, sizeof path, "%s/%s", folder, file) < (int)sizeof path ? fopen(path, "re") : NULL;
}

// The number behind `field` at the start of a line of a file; -1: none ("max": no limit).
static int64_t number_in(const char *folder, const char *file, const char *field)
{
    FILE *f = open_in(folder, file);
    if (f == NULL) return -1;
    char line[256];
    int64_t value = -1;
    const size_t n = strlen(field);
    while (value < 0 && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, field, n) != 0) continue;
        char *end;
        const long long number = strtoll(line + n, &end, 10);
        if (end == line + n) break;
        value = number;
    }
    (void)fclose(f);
    return value;
}

// What one group leaves; -1: it has no limit.
typedef int64_t (*rule)(const char *folder);

static int64_t memory_of(const char *folder, const char *limit_file, const char *used_file, const char *active,
                         const char *inactive)
{
    const int64_t limit = number_in(folder, limit_file, ""), used = number_in(folder, used_file, "");
    if (limit <= 0 || used < 0) return -1;
    const int64_t cache =
        xn_max64(number_in(folder, "memory.stat", active), 0) + xn_max64(number_in(folder, "memory.stat", inactive), 0);
    return xn_max64(limit - xn_max64(used - cache, 0), 0);
}

static int64_t memory_2(const char *folder)
{
    return memory_of(folder, "memory.max", "memory.current", "active_file ", "inactive_file ");
}

static int64_t memory_1(const char *folder)
{
    return memory_of(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file ",
                     "total_inactive_file ");
}

// Whole processors, at least one.
static int64_t processors(int64_t quota, int64_t period)
{
    return quota > 0 && period > 0 ? xn_max64(quota / period, 1) : -1;
}

static int64_t processors_2(const char *folder)
{
    char line[64] = "", *end = line;
    FILE *f = open_in(folder, "cpu.max");
    if (f == NULL) return -1;
    const bool read = fgets(line, sizeof line, f) != NULL; // "200000 100000", or "max 100000"
    (void)fclose(f);
    const long long quota = read ? strtoll(line, &end, 10) : 0;
    return end == line ? -1 : processors(quota, strtoll(end, NULL, 10));
}

static int64_t processors_1(const char *folder)
{
    return processors(number_in(folder, "cpu.cfs_quota_us", ""), number_in(folder, "cpu.cfs_period_us", ""));
}

// The two versions of control groups: the controller that /proc/self/cgroup lists with the process's own group ("":
// version 2, all of them), and where the groups stand.
typedef struct {
    const char *controller, *mount;
    rule left;
} hierarchy;

static const hierarchy memory_groups[] = {{"", "/sys/fs/cgroup", memory_2},
                                          {"memory", "/sys/fs/cgroup/memory", memory_1}},
                       processor_groups[] = {{"", "/sys/fs/cgroup", processors_2},
                                             {"cpu", "/sys/fs/cgroup/cpu", processors_1}};

// The least that the group of the path and those above it leave.
static int64_t least_above(const hierarchy *h, const char *root, const char *path)
{
    char folder[1024];
    int64_t least = INT64_MAX;
    const size_t top = strlen(root) + strlen(h->mount);
    if (snprintf(folder, sizeof folder, "%s%s%s", root, h->mount, path) >= (int)sizeof folder) return least;
    for (;;) {
        const int64_t left = h->left(folder);
        if (left >= 0) least = xn_min64(least, left);
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + top) return least;
        *slash = '\0';
    }
}

// Path of the process's group in a line "number:controllers:path"; NULL: the line is of other controllers.
static const char *path_of(const char *line, const char *controller)
{
    const char *list = strchr(line, ':'), *path = list != NULL ? strchr(list + 1, ':') : NULL;
    const size_t n = strlen(controller);
    for (const char *at = list, *end; path != NULL && at < path; at = end) {
        end = at + 1 + strcspn(at + 1, ",:");
        if ((size_t)(end - at) == n + 1 && strncmp(at + 1, controller, n) == 0) return path + 1;
    }
    return NULL;
}

static int64_t least_of(const hierarchy *both, const char *root)
{
    char path[1024], line[1024];
    int64_t least = INT64_MAX;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < 2; i++) {
            const char *own = path_of(line, both[i].controller);
            if (own != NULL) least = xn_min64(least, least_above(&both[i], root, own));
        }
    }
    if (f != NULL) (void)fclose(f);
    return least;
}

int64_t xn_memory_free_below(const char *root)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/proc", root);
    const int64_t kib = number_in(path, "meminfo", "MemAvailable:");
    const int64_t all = kib < 0 ? (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) : kib * 1024;
    return xn_min64(all, least_of(memory_groups, root));
}

int64_t xn_memory_free(void) { return xn_memory_free_below(""); }

int64_t xn_processors_below(const char *root) { return least_of(processor_groups, root); }

static int64_t quota = INT64_MAX;
static void ask_quota(void) { quota = xn_processors_below(""); }

int xn_threads(int asked)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (asked > 0) return asked;
    cpu_set_t set;
    const int affine = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    pthread_once(&once, ask_quota);
    return (int)xn_max64(1, xn_min64(affine, quota));
}

double xn_config_memory(const xn_config *c)
{
    if (xn_config_has(c, "engine.memory_gib")) return xn_config_double(c, "engine.memory_gib") * 0x1p30;
    return (double)xn_memory_free() / 2;
}

// Threads that were found to have room: OpenBLAS keeps its buffers, which then are no longer free.
static atomic_int algebra_threads;

xani_status xn_algebra_room(xn_ctx *ctx, int threads)
{
    enum { MOST = 1024 };
    static const size_t buffer = ((size_t)128 << 20) + 65536; // of a thread
    struct rlimit limit;
    void *block[MOST];
    int n = 0, want = (int)xn_min64(threads, MOST) - atomic_load(&algebra_threads);
    if (want <= 0 || getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return XANI_OK;
    while (n < want && (block[n] = xn_alloc(buffer, 1)) != NULL) n++; // addresses only, the pages are never touched
    for (int i = 0; i < n; i++) xn_free(block[i]);
    if (n == want) atomic_fetch_add(&algebra_threads, want);
    if (n == want) return XANI_OK;
    return xn_fail(
        ctx, XANI_ERR_MEMORY,
        "out of memory: linear algebra needs 128 MiB of addresses for each thread, %d in all; the limit of %.0f "
        "MiB (ulimit -v) has room for %d; fewer engine.threads need less",
        threads, (double)limit.rlim_cur / 1048576.0, threads - want + n);
}
