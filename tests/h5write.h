// SPDX-License-Identifier: BSD-3-Clause
// h5write.h -- small HDF5 files for tests, written with the library itself, independent of src/io.
//
//   h5_make("a.h5");                          a new, empty file
//   h5_put("a.h5", "data/X/data", H5T_NATIVE_DOUBLE, H5_SHAPE(3, 4), values);   replaces what was there
//   h5_drop("a.h5", "data/X/data");
//
// Groups on the way are made.  Any failure of the library fails the test.
#ifndef XN_TEST_H5WRITE_H
#define XN_TEST_H5WRITE_H

#include <fcntl.h>
#include <hdf5.h>
#include <unistd.h>

#include "test.h"

#define H5_SHAPE(...)                                                                                                  \
    (int)(sizeof((hsize_t[]){__VA_ARGS__}) / sizeof(hsize_t)), (const hsize_t[]) { __VA_ARGS__ }

static inline void h5_make(const char *path)
{
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_msg(f >= 0, "%s cannot be made", path);
    H5Fclose(f);
}

static inline void h5_drop(const char *path, const char *name)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_msg(f >= 0 && H5Ldelete(f, name, H5P_DEFAULT) >= 0, "%s: %s cannot be removed", path, name);
    H5Fclose(f);
}

static inline bool h5_has(hid_t f, const char *name)
{
    char part[512];
    for (const char *s = name; (s = strchr(s, '/')) != NULL; s++) {
        snprintf(part, sizeof part, "%.*s", (int)(s - name), name);
        if (H5Lexists(f, part, H5P_DEFAULT) <= 0) return false;
    }
    return H5Lexists(f, name, H5P_DEFAULT) > 0;
}

// Where the chunk of (n, h, w) lies that begins with frame `frame`.
static inline int64_t h5_chunk(const char *path, const char *name, int frame, size_t *bytes)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(f, name, H5P_DEFAULT);
    haddr_t at = HADDR_UNDEF;
    hsize_t n = 0;
    unsigned mask;
    ck_assert_int_ge(H5Dget_chunk_info_by_coord(d, (hsize_t[]){(hsize_t)frame, 0, 0}, &mask, &at, &n), 0);
    H5Dclose(d);
    H5Fclose(f);
    *bytes = (size_t)n;
    return (int64_t)at;
}

// n bytes of the file from `at` on become `byte`.
static inline void h5_damage(const char *path, int64_t at, uint8_t byte, size_t n)
{
    uint8_t *bad = malloc(n);
    memset(bad, byte, n);
    int fd = open(path, O_WRONLY);
    ck_assert(fd >= 0 && pwrite(fd, bad, n, at) == (ssize_t)n);
    close(fd);
    free(bad);
}

// type: of memory and file; H5T_C_S1 for one string.
static inline void h5_put(const char *path, const char *name, hid_t type, int rank, const hsize_t *dims,
                          const void *data)
{
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_msg(f >= 0, "%s cannot be opened", path);
    if (h5_has(f, name)) H5Ldelete(f, name, H5P_DEFAULT);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space, text = -1;
    H5Pset_create_intermediate_group(links, 1);
    if (H5Tequal(type, H5T_C_S1) > 0) {
        type = text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, strlen(data) + 1);
    }
    space = rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, dims, NULL);
    hid_t d = H5Dcreate2(f, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = d >= 0 &&
              (H5Sget_simple_extent_npoints(space) == 0 || H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    ck_assert_msg(ok, "%s: %s cannot be written", path, name);
    if (text >= 0) H5Tclose(text);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(links);
    H5Fclose(f);
}

#endif
