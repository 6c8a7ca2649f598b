// SPDX-License-Identifier: BSD-3-Clause
// h5_table.c -- one column of a table whose rows are compound values, as PyTables, pandas and MATLAB write them.
//
// The library takes members out of compounds by name: a compound of the one member wanted is asked for, and only its
// bytes are copied.  Members of several numbers (an array type) come as rows of that width.  Booleans that are stored
// as enumerations or bit fields are counted as the integers that hold them.
#include <string.h>

#include "io/library.h"

typedef struct {
    hid_t dataset, type, space, member;
    int64_t rows, width;
    xn_type stored; // of one number
    bool array;     // the member is an array type, also where it has one number only
} table;

static void shut(table *t)
{
    if (t->member >= 0) H5Tclose(t->member);
    if (t->type >= 0) H5Tclose(t->type);
    if (t->space >= 0) H5Sclose(t->space);
    if (t->dataset >= 0) H5Oclose(t->dataset);
}

static xani_status open_table(xn_ctx *ctx, const xn_h5 *file, const char *name, table *t)
{
    *t = (table){H5I_INVALID_HID, H5I_INVALID_HID, H5I_INVALID_HID, H5I_INVALID_HID, 0, 0, XN_OTHER, false};
    XN_TRY(xn_h5_dataset(ctx, file, name, &t->dataset));
    int rank;
    int64_t dims[XANI_MAX_RANK];
    t->type = H5Dget_type(t->dataset);
    t->space = H5Dget_space(t->dataset);
    if (t->type < 0 || t->space < 0) return xn_h5_fail(ctx, file, name, "cannot be described");
    XN_TRY(xn_h5_shape(ctx, file, name, t->space, &rank, dims, &t->rows));
    if (H5Tget_class(t->type) != H5T_COMPOUND || rank != 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s on %d axes; a table of compound values is needed",
                       file->path, name, xn_hdf_class_name(t->type), rank);
    return XANI_OK;
}

// Width and type of a member; takes `member`.
static void describe_member(table *t, hid_t member)
{
    t->member = member;
    t->width = 1;
    t->array = member >= 0 && H5Tget_class(member) == H5T_ARRAY;
    if (t->array) {
        hsize_t dims[H5S_MAX_RANK];
        int rank = H5Tget_array_dims2(member, dims);
        for (int i = 0; i < rank; i++) t->width *= (int64_t)dims[i];
        t->member = H5Tget_super(member);
        H5Tclose(member);
    }
    t->stored = t->member < 0 ? XN_OTHER : xn_hdf_type(t->member);
}

// ---- what there is

static xani_status list_members(xn_ctx *ctx, const char *name, table *t, xn_h5_member **list, int *n)
{
    int count = H5Tget_nmembers(t->type);
    xn_h5_member *m = count < 0 ? NULL : xn_calloc((size_t)count + 1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, name, (size_t)(count + 1) * sizeof *m);
    *list = m;
    for (int i = 0; i < count; i++) {
        char *text = H5Tget_member_name(t->type, (unsigned)i);
        m[i].name = text != NULL ? xn_strdup(text) : NULL;
        if (text != NULL) H5free_memory(text);
        if (m[i].name == NULL) return xn_fail_memory(ctx, name, 64);
        *n = i + 1;
        describe_member(t, H5Tget_member_type(t->type, (unsigned)i));
        m[i].type = t->stored;
        m[i].width = t->width;
        if (t->member >= 0) H5Tclose(t->member);
        t->member = H5I_INVALID_HID;
    }
    return XANI_OK;
}

void xn_h5_members_free(xn_h5_member *members, int n)
{
    for (int i = 0; i < n; i++) xn_free(members[i].name);
    xn_free(members);
}

xani_status xn_h5_members(xn_ctx *ctx, const xn_h5 *file, const char *dataset, xn_h5_member **members, int *n,
                          int64_t *rows)
{
    table t;
    *members = NULL;
    *n = 0;
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = open_table(ctx, file, dataset, &t);
    if (st == XANI_OK) st = list_members(ctx, dataset, &t, members, n);
    *rows = t.rows;
    shut(&t);
    xn_hdf_leave(guard);
    if (st == XANI_OK) return XANI_OK;
    xn_h5_members_free(*members, *n);
    *members = NULL;
    *n = 0;
    return st;
}

// ---- reading

// Integers of `size` bytes in place as 64 bits, from the end.
static void widen(void *values, int64_t n, size_t size)
{
    for (int64_t i = n - 1; i >= 0; i--) {
        uint64_t v = 0;
        memcpy(&v, (char *)values + (size_t)i * size, size);
        ((uint64_t *)values)[i] = v;
    }
}

// The compound of the one member in memory, each of its numbers of type `element`.
static hid_t memory_type(const table *t, const char *member, hid_t element)
{
    const hsize_t width = (hsize_t)t->width;
    size_t bytes = H5Tget_size(element) * (size_t)t->width;
    hid_t inner = !t->array ? H5Tcopy(element) : H5Tarray_create2(element, 1, &width);
    hid_t memory = inner < 0 ? inner : H5Tcreate(H5T_COMPOUND, bytes);
    if (memory >= 0 && H5Tinsert(memory, member, 0, inner) < 0) {
        H5Tclose(memory);
        memory = H5I_INVALID_HID;
    }
    if (inner >= 0) H5Tclose(inner);
    return memory;
}

static xani_status read_member(xn_ctx *ctx, const xn_h5 *file, const char *name, const char *member, xn_type type,
                               table *t, void *values)
{
    H5T_class_t class = H5Tget_class(t->member);
    bool held = class == H5T_ENUM || class == H5T_BITFIELD;
    hid_t element = held ? H5Tget_native_type(t->member, H5T_DIR_DEFAULT) : H5Tcopy(xn_hdf_native(type));
    hid_t memory = element < 0 ? element : memory_type(t, member, element);
    xani_status st = XANI_OK;
    if (memory < 0 || H5Dread(t->dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        st = xn_h5_fail(ctx, file, name, "cannot be read");
    int64_t n = t->rows * t->width;
    if (st == XANI_OK && held) {
        widen(values, n, H5Tget_size(element));
        for (int64_t i = 0; type == XN_F64 && i < n; i++) ((double *)values)[i] = (double)((uint64_t *)values)[i];
    }
    if (memory >= 0) H5Tclose(memory);
    if (element >= 0) H5Tclose(element);
    return st == XANI_OK ? xn_h5_unchanged(ctx, file, name) : st;
}

static xani_status take_member(xn_ctx *ctx, const xn_h5 *file, const char *name, const char *member, xn_type type,
                               table *t, void **data)
{
    int i = H5Tget_member_index(t->type, member);
    if (i < 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: has no column %s", file->path, name, member);
    describe_member(t, H5Tget_member_type(t->type, (unsigned)i));
    bool whole = t->stored != XN_F32 && t->stored != XN_F64;
    if (t->stored == XN_STR || t->stored == XN_OTHER || (type == XN_I64 && !whole))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: column %s holds %s, not %s", file->path, name, member,
                       t->member < 0 ? "nothing readable" : xn_hdf_class_name(t->member),
                       type == XN_I64 ? "whole numbers" : "numbers");
    int64_t n;
    if (__builtin_mul_overflow(t->rows, t->width, &n) || n > INT64_MAX / 8)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: claims an impossible size", file->path, name);
    XN_TRY(t->rows > 0 ? xn_h5_complete(ctx, file, name, t->dataset) : XANI_OK);
    *data = xn_alloc((size_t)xn_max64(n, 1), sizeof(uint64_t));
    if (*data == NULL) return xn_fail_memory(ctx, name, (size_t)n * sizeof(uint64_t));
    return t->rows > 0 ? read_member(ctx, file, name, member, type, t, *data) : XANI_OK;
}

static xani_status read_whole(xn_ctx *ctx, const xn_h5 *file, const char *name, const char *member, xn_type type,
                              void **data, int64_t *rows, int64_t *width)
{
    table t;
    *data = NULL;
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = open_table(ctx, file, name, &t);
    if (st == XANI_OK) st = take_member(ctx, file, name, member, type, &t, data);
    *rows = t.rows;
    *width = t.width;
    shut(&t);
    xn_hdf_leave(guard);
    if (st == XANI_OK) return XANI_OK;
    xn_free(*data);
    *data = NULL;
    return st;
}

xani_status xn_h5_read_member_f64(xn_ctx *ctx, const xn_h5 *file, const char *dataset, const char *member,
                                  double **data, int64_t *rows, int64_t *width)
{
    void *values;
    xani_status st = read_whole(ctx, file, dataset, member, XN_F64, &values, rows, width);
    *data = values;
    return st;
}

xani_status xn_h5_read_member_i64(xn_ctx *ctx, const xn_h5 *file, const char *dataset, const char *member,
                                  int64_t **data, int64_t *rows, int64_t *width)
{
    void *values;
    xani_status st = read_whole(ctx, file, dataset, member, XN_I64, &values, rows, width);
    *data = values;
    return st;
}
