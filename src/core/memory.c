// SPDX-License-Identifier: BSD-3-Clause
// memory.c -- how much memory this process may still take.
//
// What the system says is available, and no more than the control groups of the process leave: a job of a batch system
// or a container is stopped at its group's limit, whatever else is free.  Limits stand at any level above the process
// (version 2: memory.max; version 1: memory.limit_in_bytes).  Files in the page cache count as used there but are given
// up when memory is asked for, so they are taken off: else nothing would be left after the first large file was read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"

// The number behind `field` at the start of a line of a file; -1: none ("max": no limit).
static int64_t read_number(const char *path, const char *field)
{
    FILE *f = fopen(path, "re");
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

static int64_t number_in(const char *folder, const char *file, const char *field)
{
    char path[1024];
    if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path) return -1;
    return read_number(path, field);
}

typedef struct {
    const char *controller, *mount, *limit, *used, *active, *inactive; // line of /proc/self/cgroup, files, fields
} version;

static const version versions[] = {
    {"0::", "/sys/fs/cgroup", "memory.max", "memory.current", "active_file ", "inactive_file "},
    {"memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file ",
     "total_inactive_file "}};

// What one group leaves; -1: it has no limit.
static int64_t left_in(const version *v, const char *folder)
{
    const int64_t limit = number_in(folder, v->limit, ""), used = number_in(folder, v->used, "");
    if (limit <= 0 || used < 0) return -1;
    const int64_t cache = xn_max64(number_in(folder, "memory.stat", v->active), 0) +
                          xn_max64(number_in(folder, "memory.stat", v->inactive), 0);
    return xn_max64(limit - xn_max64(used - cache, 0), 0);
}

// The least that the group of the path and those above it leave.
static int64_t left_above(const version *v, const char *root, const char *path)
{
    char folder[1024];
    int64_t least = INT64_MAX;
    const size_t top = strlen(root) + strlen(v->mount);
    if (snprintf(folder, sizeof folder, "%s%s%s", root, v->mount, path) >= (int)sizeof folder) return least;
    for (;;) {
        const int64_t left = left_in(v, folder);
        if (left >= 0) least = xn_min64(least, left);
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + top) return least;
        *slash = '\0';
    }
}

int64_t xn_memory_free_below(const char *root)
{
    char path[1024], line[1024];
    snprintf(path, sizeof path, "%s/proc", root);
    const int64_t kib = number_in(path, "meminfo", "MemAvailable:");
    int64_t bytes = kib < 0 ? (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) : kib * 1024;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
            const char *at = strstr(line, versions[i].controller);
            if (at == NULL || (i == 0 ? at != line : at == line || strchr(":,", at[-1]) == NULL)) continue;
            bytes = xn_min64(bytes, left_above(&versions[i], root, at + strlen(versions[i].controller)));
        }
    }
    if (f != NULL) (void)fclose(f);
    return bytes;
}

int64_t xn_memory_free(void) { return xn_memory_free_below(""); }

double xn_config_memory(const xn_config *c)
{
    if (xn_config_has(c, "engine.memory_gib")) return xn_config_double(c, "engine.memory_gib") * 0x1p30;
    return (double)xn_memory_free() / 2;
}
