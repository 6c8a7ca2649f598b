// SPDX-License-Identifier: BSD-3-Clause
// io_peers.c -- one pass over a file by our reader and by the library; the floors.
//
// CPU seconds are those of the whole process.  Ours and H5Dread read XN_IO_RING frames a call, H5Dread-frame one; both
// on one thread: two gain nothing, the library works under one lock.  The floors use as many threads as our reader.
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench/io_bench.h"
#include "io/array.h"
#include "io/library.h"

static double process_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    double wall, cpu;
} clock_pair;

// Threads of the pass before wait awake for more work, some milliseconds; then their CPU seconds would count here.
static clock_pair start(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return (clock_pair){xn_seconds(), process_seconds()};
}

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

// XN_IO_RING frames a call, as the library reads them.
xn_io_pass xn_io_ours(xani_context *ctx, const xn_io_case *c, xn_io_room *m, const xn_io_way *way)
{
    clock_pair t = start();
    xn_array *a = NULL;
    const char *path = c->path;
    xn_array_options options = {.reader = way->reader, .threads = way->threads, .depth = way->depth};
    if (xn_array_open(ctx, &path, 1, c->dataset, &options, &a) != XANI_OK) return stop(t, false);
    double sum = 0;
    xani_status st = XANI_OK;
    xn_selection rows;
    xn_selection_all(a, &rows);
    for (int64_t i = 0; st == XANI_OK && i < c->n; i += XN_IO_RING) {
        rows.start[0] = i;
        rows.count[0] = xn_min64(XN_IO_RING, c->n - i);
        st = xn_array_read(ctx, a, &rows, c->type, m->ring, way->threads);
        for (int64_t k = 0; k < rows.count[0]; k++) sum += first_pixel(m->ring + (size_t)k * c->frame_bytes, c->type);
    }
    xn_array_close(&a);
    return stop(t, st == XANI_OK && same(sum, c->first));
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

xn_io_pass xn_io_ours_in_place(xani_context *ctx, const xn_io_case *c, int threads)
{
    clock_pair t = start();
    xn_frames *f = NULL;
    const char *path = c->path;
    if (xn_frames_open(ctx, &path, 1, c->dataset, NULL, &f) != XANI_OK) return stop(t, false);
    double sum = 0;
    uint64_t all = 0;
    int bad = 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4) reduction(+ : sum, bad, all)
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

static bool read_all(hid_t dataset, hid_t space, const xn_io_case *c, xn_io_room *m, int64_t frames, bool add_up,
                     double *sum)
{
    hsize_t dims[H5S_MAX_RANK], at[H5S_MAX_RANK] = {0};
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    for (int64_t i = 0; i < c->n; i += frames) {
        int64_t count = xn_min64(frames, c->n - i);
        at[0] = (hsize_t)i;
        dims[0] = (hsize_t)count;
        hid_t memory = H5Screate_simple(rank, dims, NULL);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, dims, NULL);
        uint8_t *ring = m->ring + (size_t)(i % XN_IO_RING) * c->frame_bytes;
        herr_t got = H5Dread(dataset, xn_hdf_native(c->type), memory, space, H5P_DEFAULT, ring);
        H5Sclose(memory);
        if (got < 0) return false;
        if (add_up) sink = add_up_pixels((const uint16_t *)ring, (size_t)count * c->frame_bytes / 2);
        for (int64_t k = 0; k < count; k++) *sum += first_pixel(ring + (size_t)k * c->frame_bytes, c->type);
    }
    return true;
}

xn_io_pass xn_io_h5dread(const xn_io_case *c, xn_io_room *m, int64_t frames, bool add_up)
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
    bool good = space >= 0 && read_all(dataset, space, c, m, frames, add_up, &sum);
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

xn_io_pass xn_io_floor_memcpy(const xn_io_case *c, xn_io_room *m, int threads)
{
    clock_pair t = start();
    if (m->source == NULL || m->source_bytes < c->frame_bytes) return stop(t, false);
    int64_t in_source = (int64_t)(m->source_bytes / c->frame_bytes);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
    for (int64_t i = 0; i < c->n; i++)
        memcpy(m->ring + (size_t)(i % XN_IO_RING) * c->frame_bytes,
               m->source + (size_t)(i % in_source) * c->frame_bytes, c->frame_bytes);
    return stop(t, true);
}

// Up to `most` bytes of a file, as they are stored; how many, or -1.
static int64_t pread_file(const char *path, xn_io_room *m, int64_t most, int threads)
{
    enum { PIECE = 1 << 20 };
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC), bad = 0;
    if (fd < 0 || fstat(fd, &s) != 0) return -1;
    int64_t bytes = xn_min64(most, s.st_size), pieces = (bytes + PIECE - 1) / PIECE;
    int64_t in_ring = xn_max64(1, (int64_t)m->ring_bytes / PIECE);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4) reduction(+ : bad)
    for (int64_t i = 0; i < pieces; i++)
        bad += pread(fd, m->ring + (size_t)(i % in_ring) * PIECE, PIECE, i * PIECE) < 0;
    close(fd);
    return bad ? -1 : bytes;
}

xn_io_pass xn_io_floor_pread(const xn_io_case *c, xn_io_room *m, int threads)
{
    clock_pair t = start();
    int64_t left = c->stored_bytes > 0 ? c->stored_bytes : INT64_MAX;
    bool good = true;
    for (int k = 0; good && k < c->n_parts && left > 0; k++) {
        int64_t n = pread_file(c->parts[k], m, left, threads);
        good = n >= 0;
        left -= n;
    }
    if (good && c->n_parts == 0) good = pread_file(c->path, m, left, threads) >= 0;
    return stop(t, good);
}
