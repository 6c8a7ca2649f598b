// SPDX-License-Identifier: BSD-3-Clause
// io_repack.c -- `xani repack` beside `h5repack` of the HDF5 library with its bitshuffle plugin, in GB/s of decoded
// bytes.
//
// Both read a file of the I/O benchmark (warm) and write bitshuffle+LZ4 in chunks of one frame.  Ours also reads
// everything back, compares it, syncs it and writes a manifest; h5repack does none of that.  Medians, in turn.
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/io_bench.h"

static double process_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

xn_io_pass xn_io_repack_ours(xani_context *ctx, const xn_io_case *c, const char *out, int threads)
{
    static const int64_t chunk[] = {1};
    const char *in = c->path;
    xani_repack_options o;
    xani_repack_options_init(&o);
    o.chunk = chunk;
    o.chunk_rank = 1;
    o.threads = threads;
    double wall = xn_seconds(), cpu = process_cpu_s();
    if (xani_repack(ctx, &in, 1, out, &o, NULL) != XANI_OK) return (xn_io_pass){NAN, NAN};
    return (xn_io_pass){xn_seconds() - wall, process_cpu_s() - cpu};
}

// *why: static text when it is not installed or failed.
xn_io_pass xn_io_repack_library(const xn_io_case *c, const char *out, const char **why)
{
    char layout[64];
    snprintf(layout, sizeof layout, "CHUNK=1x%lldx%lld", (long long)c->h, (long long)c->w);
    char *const arguments[] = {"h5repack", "-f", "UD=32008,0,2,0,2", "-l", layout, (char *)c->path, (char *)out, NULL};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child;
    double wall = xn_seconds();
    int error = posix_spawnp(&child, "h5repack", &files, NULL, arguments, environ), status = 0;
    posix_spawn_file_actions_destroy(&files);
    struct rusage used;
    if (error != 0) return *why = "h5repack is not installed (Debian: hdf5-tools)", (xn_io_pass){NAN, NAN};
    if (wait4(child, &status, 0, &used) != child || status != 0)
        return *why = "h5repack failed (is its bitshuffle plugin installed?)", (xn_io_pass){NAN, NAN};
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return (xn_io_pass){xn_seconds() - wall, cpu};
}
