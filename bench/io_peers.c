// SPDX-License-Identifier: BSD-3-Clause
// io_peers.c -- one pass over a file by our reader, by the library, by h5py in a child process; the floors.
//
// CPU seconds are those of the whole process (and of the child).  H5Dread reads XN_IO_RING frames a call on one
// thread: two gain nothing, it works under one lock.  The floors use as many threads as our reader.
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/io_bench.h"
#include "io/library.h"

#define SCRIPT XN_SOURCE_DATA_DIR "/../bench/io_peers.py"

static double process_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    double wall, cpu;
} clock_pair;

static clock_pair start(void) { return (clock_pair){xn_seconds(), process_seconds()}; }

static xn_io_pass stop(clock_pair t, bool good)
{
    if (!good) return (xn_io_pass){NAN, NAN};
    return (xn_io_pass){xn_seconds() - t.wall, process_seconds() - t.cpu};
}

static double first_pixel(const void *frame, xn_type type)
{
    switch (type) {
    case XN_F32:
        return *(const float *)frame;
    case XN_F64:
        return *(const double *)frame;
    case XN_I8:
        return *(const int8_t *)frame;
    case XN_U8:
        return *(const uint8_t *)frame;
    case XN_I16:
        return *(const int16_t *)frame;
    case XN_U16:
        return *(const uint16_t *)frame;
    case XN_I32:
        return *(const int32_t *)frame;
    case XN_U32:
        return *(const uint32_t *)frame;
    case XN_I64:
        return (double)*(const int64_t *)frame;
    case XN_U64:
        return (double)*(const uint64_t *)frame;
    default:
        return NAN;
    }
}

static bool same(double sum, double expected) { return isnan(expected) || sum == expected; }

xn_io_pass xn_io_ours(xani_context *ctx, const xn_io_case *c, xn_io_room *m)
{
    clock_pair t = start();
    xn_frames *f = NULL;
    const char *path = c->path;
    if (xn_frames_open(ctx, &path, 1, c->dataset, &f) != XANI_OK) return stop(t, false);
    double sum = 0;
    int bad = 0;
#pragma omp parallel num_threads(m->threads) reduction(+ : sum, bad)
    {
#pragma omp for schedule(dynamic, 4)
        for (int64_t i = 0; i < c->n; i++) {
            void *dst = m->ring + (size_t)(i % XN_IO_RING) * c->frame_bytes;
            bad += xn_frames_read(ctx, f, i, dst) != XANI_OK;
            sum += first_pixel(dst, c->type);
        }
    }
    xn_frames_close(&f);
    return stop(t, bad == 0 && same(sum, c->first));
}

static uint64_t add_up_pixels(const uint16_t *p, size_t n)
{
    uint64_t all = 0;
    for (size_t i = 0; i < n; i += 4096) {
        uint32_t part = 0;
        for (size_t k = i; k < i + 4096 && k < n; k++) part += p[k];
        all += part;
    }
    return all;
}

static volatile uint64_t sink; // so that sums are not left out

xn_io_pass xn_io_ours_in_place(xani_context *ctx, const xn_io_case *c, xn_io_room *m)
{
    clock_pair t = start();
    xn_frames *f = NULL;
    const char *path = c->path;
    if (xn_frames_open(ctx, &path, 1, c->dataset, &f) != XANI_OK) return stop(t, false);
    double sum = 0;
    uint64_t all = 0;
    int bad = 0;
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, 4) reduction(+ : sum, bad, all)
    for (int64_t i = 0; i < c->n; i++) {
        const uint16_t *frame = xn_frames_view(f, i);
        bad += frame == NULL;
        if (frame == NULL) continue;
        all += add_up_pixels(frame, c->frame_bytes / 2);
        sum += frame[0];
    }
    sink = all;
    xn_frames_close(&f);
    return stop(t, bad == 0 && same(sum, c->first));
}

static bool read_all(hid_t dataset, hid_t space, const xn_io_case *c, xn_io_room *m, bool add_up, double *sum)
{
    hsize_t dims[H5S_MAX_RANK], at[H5S_MAX_RANK] = {0};
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    for (int64_t i = 0; i < c->n; i += XN_IO_RING) {
        int64_t count = xn_min64(XN_IO_RING, c->n - i);
        at[0] = (hsize_t)i;
        dims[0] = (hsize_t)count;
        hid_t memory = H5Screate_simple(rank, dims, NULL);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, dims, NULL);
        herr_t got = H5Dread(dataset, xn_hdf_native(c->type), memory, space, H5P_DEFAULT, m->ring);
        H5Sclose(memory);
        if (got < 0) return false;
        if (add_up) sink = add_up_pixels((const uint16_t *)m->ring, (size_t)count * c->frame_bytes / 2);
        for (int64_t k = 0; k < count; k++) *sum += first_pixel(m->ring + (size_t)k * c->frame_bytes, c->type);
    }
    return true;
}

xn_io_pass xn_io_h5dread(const xn_io_case *c, xn_io_room *m, bool add_up)
{
    H5E_auto2_t print;
    void *data;
    H5Eget_auto2(H5E_DEFAULT, &print, &data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    clock_pair t = start();
    double sum = 0;
    hid_t file = H5Fopen(c->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = file < 0 ? file : H5Dopen2(file, c->dataset, H5P_DEFAULT);
    hid_t space = dataset < 0 ? dataset : H5Dget_space(dataset);
    bool good = space >= 0 && read_all(dataset, space, c, m, add_up, &sum);
    if (space >= 0) H5Sclose(space);
    if (dataset >= 0) H5Dclose(dataset);
    if (file >= 0) H5Fclose(file);
    xn_io_pass pass = stop(t, good && same(sum, c->first));
    H5Eset_auto2(H5E_DEFAULT, print, data);
    return pass;
}

xn_io_pass xn_io_library_index(const xn_io_case *c)
{
    clock_pair t = start();
    hid_t file = H5Fopen(c->path, H5F_ACC_RDONLY, H5P_DEFAULT), dataset = H5Dopen2(file, c->dataset, H5P_DEFAULT);
    hid_t space = H5Dget_space(dataset);
    hsize_t n = 0, at[3], bytes;
    haddr_t address;
    unsigned mask;
    bool good = H5Dget_num_chunks(dataset, space, &n) >= 0;
    for (hsize_t i = 0; good && i < n; i++)
        good = H5Dget_chunk_info(dataset, space, i, at, &mask, &address, &bytes) >= 0;
    H5Sclose(space);
    H5Dclose(dataset);
    H5Fclose(file);
    return stop(t, good);
}

xn_io_pass xn_io_floor_memcpy(const xn_io_case *c, xn_io_room *m)
{
    clock_pair t = start();
    if (m->source == NULL || m->source_bytes < c->frame_bytes) return stop(t, false);
    int64_t in_source = (int64_t)(m->source_bytes / c->frame_bytes);
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, 4)
    for (int64_t i = 0; i < c->n; i++)
        memcpy(m->ring + (size_t)(i % XN_IO_RING) * c->frame_bytes,
               m->source + (size_t)(i % in_source) * c->frame_bytes, c->frame_bytes);
    return stop(t, true);
}

// All bytes of the file, as they are stored.
xn_io_pass xn_io_floor_pread(const xn_io_case *c, xn_io_room *m)
{
    enum { PIECE = 1 << 20 };
    clock_pair t = start();
    struct stat s;
    int fd = open(c->path, O_RDONLY | O_CLOEXEC), bad = 0;
    if (fd < 0 || fstat(fd, &s) != 0) return stop(t, false);
    int64_t pieces = s.st_size / PIECE + 1, in_ring = xn_max64(1, (int64_t)m->ring_bytes / PIECE);
#pragma omp parallel for num_threads(m->threads) schedule(dynamic, 4) reduction(+ : bad)
    for (int64_t i = 0; i < pieces; i++)
        bad += pread(fd, m->ring + (size_t)(i % in_ring) * PIECE, PIECE, i * PIECE) < 0;
    close(fd);
    return stop(t, bad == 0);
}

// ---- Python

struct xn_io_python {
    pid_t pid;
    FILE *to, *from;
    char why[160];
};

static void child(int in, int out, const char *peer, const xn_io_case *c)
{
    char step[16];
    snprintf(step, sizeof step, "%d", XN_IO_RING);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)execlp("python3", "python3", SCRIPT, peer, c->path, c->dataset, step, (char *)NULL);
    _exit(127);
}

xn_io_python *xn_io_python_start(const char *peer, const xn_io_case *c)
{
    int in[2], out[2];
    xn_io_python *p = xn_calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    if (access(SCRIPT, R_OK) != 0) snprintf(p->why, sizeof p->why, "bench/io_peers.py is not there");
    if (p->why[0] || pipe2(in, O_CLOEXEC) != 0) return p;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return p;
    }
    (void)fflush(NULL);
    p->pid = fork();
    if (p->pid == 0) child(in[0], out[1], peer, c);
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    return p;
}

xn_io_pass xn_io_python_pass(xn_io_python *p, const xn_io_case *c)
{
    char line[256] = "", *end = line;
    xn_io_pass none = {NAN, NAN};
    if (p == NULL || p->why[0]) return none;
    snprintf(p->why, sizeof p->why, "python3 is not installed or its script failed");
    if (p->to == NULL || p->from == NULL) return none;
    void (*before)(int) = signal(SIGPIPE, SIG_IGN); // a child that could not start
    bool asked = fprintf(p->to, "pass\n") > 0 && fflush(p->to) == 0;
    (void)signal(SIGPIPE, before);
    if (!asked || fgets(line, sizeof line, p->from) == NULL) return none;
    line[strcspn(line, "\n")] = '\0';
    double wall = strtod(line, &end), cpu = strtod(end, &end), first = strtod(end, &end);
    if (end == line || *end != '\0') { // words instead of numbers: why not
        snprintf(p->why, sizeof p->why, "%.150s", line);
        return none;
    }
    if (!same(first, c->first)) {
        snprintf(p->why, sizeof p->why, "it read other values");
        return none;
    }
    p->why[0] = '\0';
    return (xn_io_pass){wall, cpu};
}

const char *xn_io_python_why(const xn_io_python *p) { return p == NULL ? "out of memory" : p->why[0] ? p->why : NULL; }

void xn_io_python_stop(xn_io_python **python)
{
    xn_io_python *p = *python;
    *python = NULL;
    if (p == NULL) return;
    if (p->to) (void)fclose(p->to); // its standard input ends, and so does it
    if (p->pid > 0) (void)waitpid(p->pid, NULL, 0);
    if (p->from) (void)fclose(p->from);
    xn_free(p);
}
