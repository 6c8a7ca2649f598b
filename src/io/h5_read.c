// SPDX-License-Identifier: BSD-3-Clause
// h5_read.c -- numeric datasets, whole, by rows, or one column, converted to the type asked for.
//
// The library converts too, but it clips: 5e9 read as 32 bits gives 4294967295 and success.  So integers are
// read in the widest type of their kind and narrowed here, and a value that does not fit is an error naming
// where it stands.  Booleans (enumerations) and bit fields are read as integers, floating-point numbers as
// integers only where they are whole.  What is not there (chunks never written, virtual sources that are
// missing, a file that shrank) reads as zeros and success in the library; here it is an error.
#include <string.h>
#include <sys/stat.h>

#include "io/array.h"
#include "io/convert.h"
#include "io/index/virtual.h"
#include "io/library.h"

// ---- completeness

xani_status xn_h5_unchanged(xn_ctx *ctx, const xn_h5 *file, const char *name)
{
    struct stat s;
    if (stat(file->path, &s) == 0 && s.st_size >= file->bytes) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: the file shrank or vanished while it was read", file->path, name);
}

static bool fill_is_data(hid_t created)
{
    H5D_fill_value_t defined;
    return H5Pfill_value_defined(created, &defined) >= 0 && defined == H5D_FILL_VALUE_USER_DEFINED;
}

static xani_status complete_contiguous(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t created)
{
    if (H5Pget_external_count(created) > 0) return XANI_OK;
    hsize_t stored = H5Dget_storage_size(dataset);
    if (stored == 0) // the offset of an unallocated dataset means nothing
        return fill_is_data(created) ? XANI_OK
                                     : xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: was never written", file->path, name);
    char path[4096]; // behind an external link the data lie in another file
    struct stat s;
    if (H5Fget_name(dataset, path, sizeof path) <= 0 || stat(path, &s) != 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its file cannot be examined", file->path, name);
    haddr_t offset = H5Dget_offset(dataset);
    if (offset == HADDR_UNDEF || stored > (hsize_t)s.st_size || offset > (hsize_t)s.st_size - stored)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: reaches beyond the end of the file (truncated)", path, name);
    return XANI_OK;
}

static xani_status complete_chunked(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t created)
{
    hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK], expected = 1, stored = 0;
    hid_t space = H5Dget_space(dataset);
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    bool known = rank >= 0 && H5Pget_chunk(created, H5S_MAX_RANK, chunk) == rank;
    for (int i = 0; known && i < rank; i++) expected *= (dims[i] + chunk[i] - 1) / chunk[i];
    known = known && (expected == 0 || H5Dget_num_chunks(dataset, space, &stored) >= 0);
    H5Sclose(space);
    if (!known) return xn_h5_fail(ctx, file, name, "its chunks cannot be counted");
    if (stored < expected && !fill_is_data(created))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: %llu of %llu chunks were never written", file->path, name,
                       (unsigned long long)(expected - stored), (unsigned long long)expected);
    return XANI_OK;
}

xani_status xn_h5_complete(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset)
{
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return xn_h5_fail(ctx, file, name, "its layout cannot be read");
    H5D_layout_t layout = H5Pget_layout(created);
    xani_status st = XANI_OK;
    if (layout == H5D_CONTIGUOUS) st = complete_contiguous(ctx, file, name, dataset, created);
    if (layout == H5D_CHUNKED) st = complete_chunked(ctx, file, name, dataset, created);
    if (layout == H5D_VIRTUAL) st = xn_virtual_check(ctx, file, name, dataset);
    H5Pclose(created);
    return st;
}

// ---- conversion

herr_t xn_hdf_read(hid_t dataset, hid_t type, hid_t memory, hid_t space, void *dst)
{
    hid_t created = H5Dget_create_plist(dataset);
    H5D_fill_time_t when;
    uint8_t value[64];
    if (created >= 0 && H5Pget_fill_time(created, &when) >= 0 && when == H5D_FILL_TIME_NEVER) {
        bool given = H5Tget_size(type) <= sizeof value && H5Pget_fill_value(created, type, value) >= 0;
        H5Dfill(given ? value : NULL, type, dst, type, memory);
    }
    if (created >= 0) H5Pclose(created);
    return H5Dread(dataset, type, memory, space, H5P_DEFAULT, dst);
}

static xani_status narrow(xn_ctx *ctx, const xn_h5 *file, const char *name, xn_type from, const void *values, int64_t n,
                          xn_type type, void *dst)
{
    char text[48];
    int64_t bad = xn_converter_for(from, type)(values, dst, n);
    if (bad < 0) return XANI_OK;
    xn_value_text(from, (const uint64_t *)values + bad, text);
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: value %s (number %lld) does not fit %s", file->path, name, text,
                   (long long)bad, xn_type_name(type));
}

static bool is_float(xn_type t) { return t == XN_F32 || t == XN_F64; }

// The type in memory to read the stored one in before it is narrowed; `wanted` itself: no narrowing.
static xn_type read_type(H5T_class_t class, xn_type stored, xn_type wanted)
{
    if (class != H5T_BITFIELD && (is_float(wanted) || stored == wanted)) return wanted;
    if (class == H5T_FLOAT) return XN_F64;
    return stored == XN_I8 || stored == XN_I16 || stored == XN_I32 || stored == XN_I64 ? XN_I64 : XN_U64;
}

static void widen_bits(void *values, int64_t n, size_t size) // in place, from the end
{
    for (int64_t i = n - 1; i >= 0; i--) {
        uint64_t v = 0;
        memcpy(&v, (char *)values + (size_t)i * size, size);
        ((uint64_t *)values)[i] = v;
    }
}

static xani_status read_narrowed(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t spaces[2],
                                 int64_t n, hid_t stored, xn_type from, xn_type type, void *dst)
{
    bool bits = H5Tget_class(stored) == H5T_BITFIELD;
    void *wide = xn_alloc((size_t)n, sizeof(uint64_t));
    if (wide == NULL) return xn_fail_memory(ctx, name, (size_t)n * sizeof(uint64_t));
    hid_t memory = bits ? H5Tget_native_type(stored, H5T_DIR_DEFAULT) : xn_hdf_native(from);
    xani_status st = XANI_OK;
    if (memory < 0 || xn_hdf_read(dataset, memory, spaces[0], spaces[1], wide) < 0)
        st = xn_h5_fail(ctx, file, name, "cannot be read");
    if (st == XANI_OK && bits) widen_bits(wide, n, H5Tget_size(memory));
    if (bits && memory >= 0) H5Tclose(memory);
    if (st == XANI_OK) st = narrow(ctx, file, name, from, wide, n, type, dst);
    xn_free(wide);
    return st;
}

xani_status xn_h5_read_as(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, hid_t space, int64_t n,
                          xn_type type, void *dst)
{
    hid_t stored = H5Dget_type(dataset);
    if (stored < 0) return xn_h5_fail(ctx, file, name, "its type cannot be read");
    H5T_class_t class = H5Tget_class(stored);
    xn_type kind = xn_hdf_type(stored);
    if (kind == XN_OTHER && class == H5T_INTEGER) kind = H5Tget_sign(stored) == H5T_SGN_2 ? XN_I64 : XN_U64; // 24 bits
    hsize_t count = (hsize_t)n;
    hid_t spaces[2] = {H5I_INVALID_HID, space};
    xani_status st = XANI_OK;
    if (kind == XN_STR || (kind == XN_OTHER && class != H5T_FLOAT)) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s, not numbers", file->path, name, xn_hdf_class_name(stored));
    } else if (n > 0) {
        spaces[0] = H5Screate_simple(1, &count, NULL);
        xn_type from = read_type(class, kind, type);
        if (spaces[0] < 0)
            st = xn_h5_fail(ctx, file, name, "cannot be read");
        else if (from != type || class == H5T_BITFIELD)
            st = read_narrowed(ctx, file, name, dataset, spaces, n, stored, from, type, dst);
        else if (xn_hdf_read(dataset, xn_hdf_native(type), spaces[0], space, dst) < 0)
            st = xn_h5_fail(ctx, file, name, "cannot be read");
        if (st == XANI_OK) st = xn_h5_unchanged(ctx, file, name);
    }
    if (spaces[0] >= 0) H5Sclose(spaces[0]);
    H5Tclose(stored);
    return st;
}

// ---- what h5.h offers

typedef struct {
    hid_t dataset, space;
    int rank;
    int64_t dims[XANI_MAX_RANK], size;
} opened;

static void shut(opened *o)
{
    if (o->space >= 0) H5Sclose(o->space);
    if (o->dataset >= 0) H5Oclose(o->dataset);
}

static xani_status open_unchecked(xn_ctx *ctx, const xn_h5 *file, const char *name, opened *o)
{
    *o = (opened){.dataset = H5I_INVALID_HID, .space = H5I_INVALID_HID};
    XN_TRY(xn_h5_dataset(ctx, file, name, &o->dataset));
    o->space = H5Dget_space(o->dataset);
    if (o->space < 0) return xn_h5_fail(ctx, file, name, "its shape cannot be read");
    return xn_h5_shape(ctx, file, name, o->space, &o->rank, o->dims, &o->size);
}

static xani_status open_checked(xn_ctx *ctx, const xn_h5 *file, const char *name, opened *o)
{
    XN_TRY(open_unchecked(ctx, file, name, o));
    return o->size == 0 ? XANI_OK : xn_h5_complete(ctx, file, name, o->dataset);
}

// The chunk that begins at `at`, and those behind it along the axes from 1 on, were written.
static bool row_of_chunks_is_there(const opened *o, const hsize_t *chunk, hsize_t row)
{
    hsize_t at[XANI_MAX_RANK] = {row}, stored = 0;
    for (;;) {
        unsigned mask = 0;
        haddr_t address = HADDR_UNDEF;
        bool told = H5Dget_chunk_info_by_coord(o->dataset, at, &mask, &address, &stored) >= 0;
        if (!told || address == HADDR_UNDEF) return false;
        int k = o->rank - 1;
        while (k > 0 && (at[k] += chunk[k]) >= (hsize_t)o->dims[k]) at[k--] = 0;
        if (k == 0) return true;
    }
}

// Rows first ... first + count - 1 were written: files of some facilities are padded with rows that never were.
static xani_status rows_complete(xn_ctx *ctx, const xn_h5 *file, const char *name, const opened *o, int64_t first,
                                 int64_t count)
{
    hsize_t chunk[XANI_MAX_RANK];
    hid_t created = H5Dget_create_plist(o->dataset);
    bool chunked =
        created >= 0 && H5Pget_layout(created) == H5D_CHUNKED && H5Pget_chunk(created, XANI_MAX_RANK, chunk) == o->rank;
    bool whole = !chunked || count >= o->dims[0] || fill_is_data(created);
    xani_status st = XANI_OK;
    if (created >= 0) H5Pclose(created);
    if (count <= 0) return XANI_OK;
    if (whole) return xn_h5_complete(ctx, file, name, o->dataset);
    hsize_t row = (hsize_t)first / chunk[0] * chunk[0], end = (hsize_t)first + (hsize_t)count;
    for (; st == XANI_OK && row < end; row += chunk[0])
        if (!row_of_chunks_is_there(o, chunk, row))
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: row %lld was never written", file->path, name,
                         (long long)xn_max64((int64_t)row, first));
    return st;
}

// Large ones go past the library, on all cores: a cube of some GiB is compressed, and the library decodes on one.  So
// do those in many chunks, over each of which it takes some microseconds.
enum { LARGE = 1 << 20 };

static bool is_large(const opened *o, int64_t n)
{
    if (n < LARGE) return xn_hdf_many_chunks(o->dataset);
    hid_t stored = H5Dget_type(o->dataset);
    bool numbers = stored >= 0 && xn_type_size(xn_hdf_type(stored)) > 0;
    if (stored >= 0) H5Tclose(stored);
    return numbers;
}

static xani_status read_large(xn_ctx *ctx, const xn_h5 *file, const char *name, xn_type type, int64_t first,
                              int64_t count, void *dst)
{
    const char *path = file->path;
    xn_array *array = NULL;
    XN_TRY(xn_array_open(ctx, &path, 1, name, &(xn_array_options){.fill = true}, &array)); // complete: looked at before
    xn_selection s;
    xn_selection_all(array, &s);
    if (count >= 0) s.start[0] = first, s.count[0] = count;
    xani_status st = xn_array_read(ctx, array, &s, type, dst, 0);
    xn_array_close(&array);
    return st;
}

static xani_status read_selected(xn_ctx *ctx, const xn_h5 *file, const char *name, opened *o, xn_type type, void **data,
                                 int64_t n)
{
    size_t size = xn_type_size(type);
    void *values = xn_alloc((size_t)xn_max64(n, 1), size);
    if (values == NULL) return xn_fail_memory(ctx, name, (size_t)n * size);
    bool large = n == o->size && is_large(o, n);
    xani_status st = large ? read_large(ctx, file, name, type, 0, -1, values)
                           : xn_h5_read_as(ctx, file, name, o->dataset, o->space, n, type, values);
    if (st == XANI_OK)
        *data = values;
    else
        xn_free(values);
    return st;
}

static xani_status read_whole(xn_ctx *ctx, const xn_h5 *file, const char *name, xn_type type, void **data, int64_t *n)
{
    *data = NULL;
    if (n) *n = 0;
    xn_hdf_guard guard = xn_hdf_enter();
    opened o;
    xani_status st = open_checked(ctx, file, name, &o);
    if (st == XANI_OK) st = read_selected(ctx, file, name, &o, type, data, o.size);
    if (st == XANI_OK && n) *n = o.size;
    shut(&o);
    xn_hdf_leave(guard);
    return st;
}

#define READ_WHOLE(suffix, ctype, type)                                                                                \
    xani_status xn_h5_read_##suffix(xn_ctx *ctx, const xn_h5 *file, const char *name, ctype **data, int64_t *n)        \
    {                                                                                                                  \
        void *values = NULL;                                                                                           \
        xani_status st = read_whole(ctx, file, name, type, &values, n);                                                \
        *data = values;                                                                                                \
        return st;                                                                                                     \
    }
READ_WHOLE(f64, double, XN_F64)
READ_WHOLE(f32, float, XN_F32)
READ_WHOLE(i64, int64_t, XN_I64)
READ_WHOLE(u64, uint64_t, XN_U64)
READ_WHOLE(u32, uint32_t, XN_U32)
READ_WHOLE(u8, uint8_t, XN_U8)

// Selects rows [first, first+count) of axis 0, or of all axes but `column` of axis 1.
static xani_status select_part(xn_ctx *ctx, const xn_h5 *file, const char *name, opened *o, int64_t first,
                               int64_t count, int64_t column, int64_t *n)
{
    hsize_t start[XANI_MAX_RANK] = {0}, counts[XANI_MAX_RANK];
    for (int i = 0; i < o->rank; i++) counts[i] = (hsize_t)o->dims[i];
    start[0] = (hsize_t)first;
    counts[0] = (hsize_t)count;
    if (column >= 0 && o->rank == 2) {
        start[1] = (hsize_t)column;
        counts[1] = 1;
    }
    *n = 1;
    for (int i = 0; i < o->rank; i++) *n *= (int64_t)counts[i];
    if (*n == 0) return XANI_OK;
    if (H5Sselect_hyperslab(o->space, H5S_SELECT_SET, start, NULL, counts, NULL) < 0)
        return xn_h5_fail(ctx, file, name, "rows cannot be selected");
    return XANI_OK;
}

static xani_status rows(xn_ctx *ctx, const xn_h5 *file, const char *name, opened *o, xn_type type, int64_t first,
                        int64_t count, void *dst)
{
    XN_TRY(open_unchecked(ctx, file, name, o));
    int64_t have = o->rank > 0 ? o->dims[0] : 0, n;
    if (o->rank == 0 || first < 0 || count < 0 || first > have - count)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: rows wanted: %lld from %lld on; it has %lld", file->path, name,
                       (long long)count, (long long)first, (long long)have);
    XN_TRY(rows_complete(ctx, file, name, o, first, count));
    XN_TRY(select_part(ctx, file, name, o, first, count, -1, &n));
    if (is_large(o, n)) return read_large(ctx, file, name, type, first, count, dst);
    return xn_h5_read_as(ctx, file, name, o->dataset, o->space, n, type, dst);
}

xani_status xn_h5_read_rows(xn_ctx *ctx, const xn_h5 *file, const char *name, xn_type type, int64_t first,
                            int64_t count, void *dst)
{
    opened o;
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = rows(ctx, file, name, &o, type, first, count, dst);
    shut(&o);
    xn_hdf_leave(guard);
    return st;
}

static xani_status one_column(xn_ctx *ctx, const xn_h5 *file, const char *name, opened *o, int64_t column,
                              double **data, int64_t *n)
{
    XN_TRY(open_checked(ctx, file, name, o));
    int64_t width = o->rank == 1 ? 1 : o->rank == 2 ? o->dims[1] : 0, count;
    if (width == 0 && o->rank != 2)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: has %d axes, a column needs 1 or 2", file->path, name, o->rank);
    if (column < 0 || column >= width)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: column %lld wanted, it has %lld", file->path, name,
                       (long long)column, (long long)width);
    XN_TRY(select_part(ctx, file, name, o, 0, o->dims[0], column, &count));
    void *values = NULL;
    XN_TRY(read_selected(ctx, file, name, o, XN_F64, &values, count));
    *data = values;
    if (n) *n = count;
    return XANI_OK;
}

xani_status xn_h5_read_column(xn_ctx *ctx, const xn_h5 *file, const char *name, int64_t column, double **data,
                              int64_t *n)
{
    *data = NULL;
    if (n) *n = 0;
    opened o;
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = one_column(ctx, file, name, &o, column, data, n);
    shut(&o);
    xn_hdf_leave(guard);
    return st;
}
