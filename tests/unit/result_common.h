// SPDX-License-Identifier: BSD-3-Clause
// result_common.h -- for the tests of results: structs of random content, and the NXdata rules checked
// with HDF5 itself rather than with xani's own reader.
#ifndef XN_RESULT_COMMON_H
#define XN_RESULT_COMMON_H

#include "test.h"

#include <hdf5.h>

#include "core/rng.h"
#include "io/h5.h"
#include "result/result.h"

static xn_rng rng;

static inline void *random_bytes(size_t n, size_t size)
{
    unsigned char *p = xn_alloc(n, size);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n * size; i++) p[i] = (unsigned char)(xn_rng_u32(&rng) >> 24);
    return p;
}

// Random values with some NaN and infinities among them.
static inline float *random_f32(size_t n)
{
    float *p = xn_alloc(n, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++) p[i] = i % 7 == 3 ? NAN : i % 11 == 5 ? INFINITY : (float)xn_rng_normal(&rng);
    return p;
}

static inline double *random_f64(size_t n)
{
    double *p = xn_alloc(n, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++) p[i] = i % 9 == 4 ? NAN : xn_rng_normal(&rng);
    return p;
}

static inline double *ascending(size_t n, double start)
{
    double *p = xn_alloc(n, sizeof *p);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < n; i++) p[i] = start += 0.05 + 0.01 * xn_rng_uniform(&rng);
    return p;
}

// Same bits, or both absent.
static inline void same_bits(const void *a, const void *b, size_t bytes, const char *what)
{
    ck_assert_msg((a == NULL) == (b == NULL), "%s: present in one only", what);
    if (a != NULL) ck_assert_msg(memcmp(a, b, bytes) == 0, "%s differs", what);
}

// ---- NeXus by HDF5 alone

// First string of a scalar or array attribute; fails the test when it is absent.
static inline void attribute(hid_t file, const char *object, const char *name, int index, char text[128], int *count)
{
    hid_t o = H5Oopen(file, object, H5P_DEFAULT);
    ck_assert_msg(o >= 0, "%s is missing", object);
    ck_assert_msg(H5Aexists(o, name) > 0, "%s@%s is missing", object, name);
    hid_t a = H5Aopen(o, name, H5P_DEFAULT), type = H5Aget_type(a), space = H5Aget_space(a);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    ck_assert_int_eq(H5Tget_class(type), H5T_STRING);
    *count = H5Sget_simple_extent_type(space) == H5S_SCALAR ? 0 : (int)n;
    ck_assert_int_lt(index, (int)n);
    if (H5Tis_variable_str(type)) {
        char **v = calloc((size_t)n, sizeof *v);
        ck_assert_int_ge(H5Aread(a, type, v), 0);
        snprintf(text, 128, "%s", v[index]);
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, v);
        free(v);
    } else {
        size_t size = H5Tget_size(type);
        char *v = calloc((size_t)n, size + 1);
        ck_assert_int_ge(H5Aread(a, type, v), 0);
        snprintf(text, 128, "%.*s", (int)size, v + (size_t)index * size);
        free(v);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(a);
    H5Oclose(o);
}

static inline int shape_of(hid_t file, const char *dataset, hsize_t dims[8], bool *numeric)
{
    hid_t d = H5Dopen2(file, dataset, H5P_DEFAULT);
    ck_assert_msg(d >= 0, "%s is missing", dataset);
    hid_t space = H5Dget_space(d), type = H5Dget_type(d);
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    H5T_class_t class = H5Tget_class(type);
    *numeric = class == H5T_INTEGER || class == H5T_FLOAT;
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(d);
    return rank;
}

// @signal scalar and a child, @axes one numeric child of the right length per dimension, errors of the same shape.
static inline void check_nxdata(hid_t file, const char *group)
{
    char text[128], path[512];
    int count, axes;
    bool numeric;
    hsize_t dims[8], other[8];
    attribute(file, group, "NX_class", 0, text, &count);
    ck_assert_str_eq(text, "NXdata");
    attribute(file, group, "signal", 0, text, &count);
    ck_assert_int_eq(count, 0);
    snprintf(path, sizeof path, "%s/%s", group, text);
    int rank = shape_of(file, path, dims, &numeric);
    ck_assert(numeric);
    snprintf(path, sizeof path, "%s/%s_errors", group, text);
    if (H5Lexists(file, path, H5P_DEFAULT) > 0) {
        ck_assert_int_eq(shape_of(file, path, other, &numeric), rank);
        ck_assert(memcmp(dims, other, (size_t)rank * sizeof dims[0]) == 0);
    }
    attribute(file, group, "axes", 0, text, &axes);
    ck_assert_int_eq(axes, rank);
    for (int d = 0; d < rank; d++) {
        attribute(file, group, "axes", d, text, &axes);
        snprintf(path, sizeof path, "%s/%s", group, text);
        ck_assert_int_eq(shape_of(file, path, other, &numeric), 1);
        ck_assert_msg(numeric && (other[0] == dims[d] || other[0] == dims[d] + 1), "axis %s", path);
    }
}

// Follows @default from the root to an NXdata group and checks it is `group`.
static inline void check_default(hid_t file, const char *group)
{
    char text[128], at[512] = "/";
    int count;
    attribute(file, "/", "NX_class", 0, text, &count);
    ck_assert_str_eq(text, "NXroot");
    attribute(file, "/entry", "NX_class", 0, text, &count);
    ck_assert_str_eq(text, "NXentry");
    for (int step = 0; step < 2; step++) {
        attribute(file, at, "default", 0, text, &count);
        ck_assert_int_eq(count, 0);
        size_t n = strlen(at);
        snprintf(at + n, sizeof at - n, "%s%s", n > 1 ? "/" : "", text);
    }
    ck_assert_str_eq(at, group);
    check_nxdata(file, at);
}

static inline hid_t open_result(const char *path)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_msg(file >= 0, "%s does not open", path);
    return file;
}

static inline void remove_object(const char *path, const char *object)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_int_ge(H5Ldelete(file, object, H5P_DEFAULT), 0);
    H5Fclose(file);
}

// Puts a float64 dataset of another shape in place of one.
static inline void replace_object(const char *path, const char *object, int rank, const hsize_t *dims)
{
    remove_object(path, object);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate_simple(rank, dims, NULL);
    hid_t d = H5Dcreate2(file, object, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Fclose(file);
}

#endif
