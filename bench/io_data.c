// SPDX-License-Identifier: BSD-3-Clause
// io_data.c -- the files of the I/O benchmark: 512 frames of 1024 x 512 uint16, Poisson counts in rings.
//
// Means between 0.5 and 12 as on a detector far from the beam; 16 different frames in turn.  Chunks are encoded
// once per different frame and written as they are.  537 MB decoded per case; index-32768 has 32,768 chunks of
// 512 bytes.
#include <fcntl.h>
#include <hdf5.h>
#include <libdeflate.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/io_bench.h"
#include "codec/bitshuffle.h"
#include "io/pipeline.h"
#include "io/write/publish.h"

enum { PIXELS = XN_IO_H * XN_IO_W, BYTES = 2 * PIXELS, TILE = 64, INDEX_TILE = 16 };

static const char *const file_names[] = {"contiguous",   "chunked",     "vds",   "gzip",  "shuffle+gzip", "bslz4",
                                         "small-chunks", "index-32768", "part0", "part1", "part2",        "part3"};

static uint16_t *frames; // XN_IO_UNIQUE of them

static bool make_frames(void)
{
    if (frames) return true;
    frames = xn_alloc(XN_IO_UNIQUE, BYTES);
    if (frames == NULL) return false;
    uint32_t state = 1;
    for (int i = 0; i < XN_IO_UNIQUE; i++)
        for (int p = 0; p < PIXELS; p++) {
            int row = p / XN_IO_W;
            double y = row - 511.5, x = p % XN_IO_W - 255.5;
            double s = sin(0.05 * sqrt(x * x + y * y)), mean = 0.5 + 11.5 * s * s * s * s, left = exp(-mean);
            int k = -1; // Knuth's product of uniforms
            for (double product = 1; product > left; k++) {
                state = state * 1664525u + 1013904223u;
                product *= ((state >> 8) + 1) / 16777217.0;
            }
            frames[(size_t)i * PIXELS + (size_t)p] = (uint16_t)k;
        }
    return true;
}

static size_t encode(const char *name, const uint16_t *frame, uint8_t *dst, size_t room)
{
    if (strcmp(name, "bslz4") == 0) return xn_encode_bslz4(frame, PIXELS, 2, dst);
    struct libdeflate_compressor *z = libdeflate_alloc_compressor(1);
    uint8_t *planes = xn_alloc(BYTES, 1);
    size_t n = 0;
    if (z && planes) {
        bool shuffle = strncmp(name, "shuffle", 7) == 0;
        if (shuffle) xn_bytes_shuffle((const uint8_t *)frame, planes, PIXELS, 2);
        n = libdeflate_zlib_compress(z, shuffle ? (const void *)planes : frame, BYTES, dst, room);
    }
    if (z) libdeflate_free_compressor(z);
    xn_free(planes);
    return n;
}

static bool write_encoded(hid_t dataset, const char *name)
{
    size_t room = xn_encode_bslz4_bound(PIXELS, 2) + BYTES / 8, n[XN_IO_UNIQUE] = {0};
    uint8_t *stored = xn_alloc(XN_IO_UNIQUE, room);
    bool good = stored != NULL;
#pragma omp parallel for
    for (int i = 0; i < XN_IO_UNIQUE; i++)
        if (good) n[i] = encode(name, frames + (size_t)i * PIXELS, stored + (size_t)i * room, room);
    for (hsize_t i = 0; good && i < XN_IO_FRAMES; i++) {
        size_t k = i % XN_IO_UNIQUE;
        good = n[k] > 0 && H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, (hsize_t[]){i, 0, 0}, n[k], stored + k * room) >= 0;
    }
    xn_free(stored);
    return good;
}

static bool write_plain(hid_t dataset, int first, int count, int h, int w)
{
    hsize_t one[3] = {1, (hsize_t)h, (hsize_t)w};
    hid_t space = H5Dget_space(dataset), memory = H5Screate_simple(3, one, NULL);
    bool good = space >= 0 && memory >= 0;
    for (int i = 0; good && i < count; i++) {
        H5Sselect_hyperslab(space, H5S_SELECT_SET, (hsize_t[]){(hsize_t)i, 0, 0}, NULL, one, NULL);
        const uint16_t *frame = frames + (size_t)((first + i) % XN_IO_UNIQUE) * PIXELS;
        good = H5Dwrite(dataset, H5T_NATIVE_UINT16, memory, space, H5P_DEFAULT, frame) >= 0;
    }
    H5Sclose(space);
    H5Sclose(memory);
    return good;
}

static void set_layout(hid_t p, const char *name)
{
    bool index = strcmp(name, "index-32768") == 0, small = strcmp(name, "small-chunks") == 0;
    hsize_t h = index ? INDEX_TILE : small ? TILE : XN_IO_H, w = index ? INDEX_TILE : small ? TILE : XN_IO_W;
    if (strcmp(name, "contiguous") == 0 || strncmp(name, "part", 4) == 0) return;
    H5Pset_chunk(p, 3, (hsize_t[]){1, h, w});
    if (strncmp(name, "shuffle", 7) == 0) H5Pset_shuffle(p);
    if (strstr(name, "gzip")) H5Pset_deflate(p, 1);
    if (strcmp(name, "bslz4") == 0) {
        xn_filter_make_available(32008);
        H5Pset_filter(p, 32008, H5Z_FLAG_MANDATORY, 2, (unsigned[]){0, 2});
    }
}

static bool write_file(const char *path, const char *name, int first, int count)
{
    bool index = strcmp(name, "index-32768") == 0;
    int h = index ? XN_IO_H / 2 : XN_IO_H, w = index ? XN_IO_W / 2 : XN_IO_W;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), p = H5Pcreate(H5P_DATASET_CREATE);
    if (index) count = 64; // 64 frames of 512 x 256 in tiles of 16 x 16 are 32,768 chunks
    hid_t space = H5Screate_simple(3, (hsize_t[]){(hsize_t)count, (hsize_t)h, (hsize_t)w}, NULL);
    set_layout(p, name);
    hid_t dataset = file < 0 ? file : H5Dcreate2(file, "x", H5T_STD_U16LE, space, H5P_DEFAULT, p, H5P_DEFAULT);
    bool encoded = strstr(name, "gzip") != NULL || strcmp(name, "bslz4") == 0;
    bool good = dataset >= 0 && (encoded ? write_encoded(dataset, name) : write_plain(dataset, first, count, h, w));
    good = dataset >= 0 && H5Dclose(dataset) >= 0 && good;
    H5Sclose(space);
    H5Pclose(p);
    return file >= 0 && H5Fclose(file) >= 0 && good;
}

static bool write_virtual(const xn_io_case *c)
{
    hsize_t part[3] = {XN_IO_FRAMES / XN_IO_PARTS, XN_IO_H, XN_IO_W}, all[3] = {XN_IO_FRAMES, XN_IO_H, XN_IO_W};
    hid_t p = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(3, all, NULL),
          source = H5Screate_simple(3, part, NULL);
    bool good = true;
    for (int k = 0; good && k < XN_IO_PARTS; k++) {
        char name[16];
        snprintf(name, sizeof name, "part%d.h5", k);
        good = write_file(c->parts[k], "part", k * (int)part[0], (int)part[0]);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, (hsize_t[]){(hsize_t)k * part[0], 0, 0}, NULL, part, NULL);
        good = good && H5Pset_virtual(p, space, name, "x", source) >= 0;
    }
    H5Sselect_all(space);
    hid_t file = H5Fcreate(c->path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t dataset = file < 0 ? file : H5Dcreate2(file, "x", H5T_STD_U16LE, space, H5P_DEFAULT, p, H5P_DEFAULT);
    good = dataset >= 0 && H5Dclose(dataset) >= 0 && good;
    H5Sclose(space);
    H5Sclose(source);
    H5Pclose(p);
    return file >= 0 && H5Fclose(file) >= 0 && good;
}

bool xn_io_make(const char *folder, const char *name, const char *file, xn_io_case *c, char why[160])
{
    bool index = strcmp(file, "index-32768") == 0;
    *c = (xn_io_case){.name = name, .n = XN_IO_FRAMES, .h = XN_IO_H, .w = XN_IO_W, .type = XN_U16};
    c->cold = strncmp(name, "cold-", 5) == 0;
    snprintf(c->path, sizeof c->path, "%.500s/%s.h5", folder, file);
    snprintf(c->dataset, sizeof c->dataset, "x");
    if (index) c->n = 64, c->h /= 2, c->w /= 2;
    c->frame_bytes = (size_t)(c->h * c->w) * 2;
    if (strcmp(file, "vds") == 0) {
        c->parts = xn_alloc(XN_IO_PARTS, sizeof *c->parts);
        c->n_parts = c->parts ? XN_IO_PARTS : 0;
        for (int k = 0; k < c->n_parts; k++) snprintf(c->parts[k], sizeof c->parts[k], "%.500s/part%d.h5", folder, k);
        if (c->parts == NULL) return snprintf(why, 160, "out of memory"), false;
    }
    if (!make_frames()) return snprintf(why, 160, "out of memory"), false;
    for (int64_t i = 0; i < c->n; i++) c->first += frames[(size_t)(i % XN_IO_UNIQUE) * PIXELS];
    if (access(c->path, R_OK) == 0) return true; // made for another case
    H5E_auto2_t print;
    void *data;
    H5Eget_auto2(H5E_DEFAULT, &print, &data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    bool good = strcmp(file, "vds") == 0 ? write_virtual(c) : write_file(c->path, file, 0, XN_IO_FRAMES);
    H5Eset_auto2(H5E_DEFAULT, print, data);
    if (!good) snprintf(why, 160, "%.100s: cannot be written (disk full?)", c->path);
    return good;
}

void xn_io_remove_all(const char *folder)
{
    char path[600];
    for (size_t i = 0; i < sizeof file_names / sizeof file_names[0]; i++) {
        snprintf(path, sizeof path, "%.500s/%s.h5", folder, file_names[i]);
        unlink(path);
    }
    rmdir(folder);
    xn_free(frames);
    frames = NULL;
}

static void for_files(const xn_io_case *c, void (*fn)(const char *path))
{
    fn(c->path);
    for (int k = 0; k < c->n_parts; k++) fn(c->parts[k]);
}

void xn_io_case_free(xn_io_case *c)
{
    xn_free(c->parts);
    c->parts = NULL;
}

static void drop_one(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    fdatasync(fd); // pages that are still to be written cannot be dropped
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

// Pages as writing left them read slower than pages that were read: always drop first.
static void warm_one(const char *path)
{
    static char block[1 << 20];
    drop_one(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    while (read(fd, block, sizeof block) > 0) continue;
    close(fd);
}

void xn_io_drop(const xn_io_case *c) { for_files(c, drop_one); }
void xn_io_warm(const xn_io_case *c) { for_files(c, warm_one); }
