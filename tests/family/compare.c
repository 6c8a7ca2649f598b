// SPDX-License-Identifier: BSD-3-Clause
// compare.c -- see family.h: what a reader says about one dataset against H5Dread and against what was written.
//
// The library is asked for the whole dataset once; each part a reader gives is compared with that part of the whole,
// byte by byte.  NaN and the sign of zero count, so bytes are compared and not numbers.
#include "family.h"
#include "io/array.h"
#include "io/frames.h"
#include "io/library.h"

typedef struct {
    hid_t file, dataset;
    xn_type type;
    int rank;
    int64_t dims[XANI_MAX_RANK], n;
    size_t elem;
    bool complete; // all of it was written
    bool refused;  // by the library
    bool is_virtual, fill_given;
    uint8_t *values;
} referee;

static hid_t memory_type(hid_t type)
{
    hid_t native = H5I_INVALID_HID;
    H5T_class_t class = H5Tget_class(type);
    size_t size = H5Tget_size(type);
    if (class == H5T_BITFIELD)
        native = size == 1 ? H5T_NATIVE_B8 : size == 2 ? H5T_NATIVE_B16 : size == 4 ? H5T_NATIVE_B32 : H5T_NATIVE_B64;
    else if (class == H5T_ENUM)
        return H5Tget_native_type(type, H5T_DIR_DEFAULT);
    else
        native = xn_hdf_native(xn_hdf_type(type));
    return H5Tcopy(native);
}

static bool all_written(hid_t dataset, hid_t created, hid_t space, const referee *t)
{
    hsize_t stored = 0, chunk[H5S_MAX_RANK], n = 1;
    switch (H5Pget_layout(created)) {
    case H5D_CHUNKED:
        H5Pget_chunk(created, H5S_MAX_RANK, chunk);
        for (int k = 0; k < t->rank; k++) n *= ((hsize_t)t->dims[k] + chunk[k] - 1) / chunk[k];
        return H5Dget_num_chunks(dataset, space, &stored) >= 0 && stored == n;
    case H5D_VIRTUAL:
        return false; // its sources know
    default:
        return t->n == 0 || H5Dget_storage_size(dataset) > 0;
    }
}

static bool referee_open(const family_reading *reading, referee *t)
{
    memset(t, 0, sizeof *t);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, true, true); // as src/io does: the library wants all who open a file to agree
    t->file = H5Fopen(reading->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    t->dataset = H5Dopen2(t->file, reading->name, H5P_DEFAULT);
    if (t->dataset < 0) return false;
    hid_t space = H5Dget_space(t->dataset), type = H5Dget_type(t->dataset), created = H5Dget_create_plist(t->dataset);
    hid_t memory = memory_type(type);
    hsize_t dims[H5S_MAX_RANK];
    t->rank = H5Sget_simple_extent_dims(space, dims, NULL);
    t->n = H5Sget_simple_extent_npoints(space);
    for (int k = 0; k < t->rank; k++) t->dims[k] = (int64_t)dims[k];
    t->type = xn_hdf_type(type);
    t->elem = H5Tget_size(type);
    t->complete = all_written(t->dataset, created, space, t);
    t->is_virtual = H5Pget_layout(created) == H5D_VIRTUAL;
    H5D_fill_value_t fill = H5D_FILL_VALUE_UNDEFINED;
    H5Pfill_value_defined(created, &fill);
    t->fill_given = fill == H5D_FILL_VALUE_USER_DEFINED;
    t->values = malloc((size_t)t->n * t->elem + 1);
    if (reading->referee) t->refused = H5Dread(t->dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->values) < 0;
    if (!reading->referee) memcpy(t->values, reading->truth, (size_t)t->n * t->elem);
    H5Tclose(memory);
    H5Tclose(type);
    H5Pclose(created);
    H5Sclose(space);
    return !t->refused || reading->may_refuse;
}

static void referee_close(referee *t)
{
    if (t->dataset >= 0) H5Dclose(t->dataset);
    if (t->file >= 0) H5Fclose(t->file);
    free(t->values);
}

static bool same(const void *got, const void *want, size_t n, const char *what, char why[512])
{
    const uint8_t *a = got, *b = want;
    size_t i = 0;
    if (n == 0 || memcmp(a, b, n) == 0) return true;
    while (a[i] == b[i]) i++;
    snprintf(why, 512, "%s: byte %zu of %zu is %d, not %d", what, i, n, a[i], b[i]);
    return false;
}

// ---- frames.h: whole rows of the slowest axis, for two axes or more

static bool compare_frames(xn_ctx *ctx, const family_reading *reading, const referee *t, char why[512])
{
    xn_frames *f;
    const char *paths[1] = {reading->path};
    xn_rng r;
    if (t->rank < 2 || t->n == 0 || !t->complete) return true;
    xn_rng_init(&r, reading->seed, 3);
    if (xn_frames_open(ctx, paths, 1, reading->name, NULL, &f) != XANI_OK) {
        snprintf(why, 512, "frames: %s", xani_error_text(ctx));
        return false;
    }
    const xn_frames_info *info = xn_frames_get_info(f);
    bool good = info->n == t->dims[0] && info->type == t->type &&
                (int64_t)info->frame_bytes * info->n == t->n * (int64_t)t->elem;
    if (!good) snprintf(why, 512, "frames: other shape or type");
    uint8_t *frame = malloc(info->frame_bytes);
    int64_t tries = info->direct ? xn_min64(info->n, 40) : 0;
    for (int64_t i = 0; i < tries && good; i++) {
        int64_t k = xn_rng_u32(&r) % info->n;
        good = xn_frames_read(ctx, f, k, frame) == XANI_OK;
        if (!good) snprintf(why, 512, "frames: %s", xani_error_text(ctx));
        good = good && same(frame, t->values + (size_t)k * info->frame_bytes, info->frame_bytes, "frame", why);
    }
    free(frame);
    xn_frames_close(&f);
    return good;
}

// ---- array.h: any part, on several threads, in all ways of reading, converted

typedef struct {
    xn_ctx *ctx;
    const family_reading *reading;
    const referee *t;
    xn_array *array;
    xn_rng r;
    int threads;
    char how[96];
    char *why; // 512
} trial;

enum { GUARD = 64 };

static unsigned below(trial *x, int64_t n) { return n > 0 ? xn_rng_u32(&x->r) % (unsigned)n : 0; }

static bool refused(trial *x, const char *what)
{
    snprintf(x->why, 512, "%s: %s: %s", x->how, what, xani_error_text(x->ctx));
    xn_clear_error(x->ctx);
    return false;
}

// Elements of the selection out of the referee's values, C order; returns how many.
static int64_t cut_out(const referee *t, const xn_selection *s, uint8_t *dst)
{
    int64_t n = 1;
    for (int k = 0; k < t->rank; k++) n *= s->count[k];
    for (int64_t i = 0; i < n; i++) {
        int64_t rest = i, index = 0, pace = 1;
        for (int k = t->rank - 1; k >= 0; k--) {
            int64_t at = s->start[k] + rest % s->count[k];
            if (k == 0 && s->list) at = s->list[at];
            rest /= s->count[k];
            index += at * pace;
            pace *= t->dims[k];
        }
        memcpy(dst + (size_t)i * t->elem, t->values + (size_t)index * t->elem, t->elem);
    }
    return n;
}

static bool check_part(trial *x, const xn_selection *s, const char *what)
{
    int64_t most = 1;
    for (int k = 0; k < x->t->rank; k++) most *= s->count[k];
    size_t bytes = (size_t)most * x->t->elem;
    uint8_t *want = malloc(bytes + 1), *got = malloc(bytes + GUARD);
    char text[200];
    cut_out(x->t, s, want);
    memset(got, 0x5a, bytes + GUARD);
    bool good = xn_array_read(x->ctx, x->array, s, x->t->type, got, x->threads) == XANI_OK || refused(x, what);
    snprintf(text, sizeof text, "%s: %s", x->how, what);
    good = good && same(got, want, bytes, text, x->why);
    for (int i = 0; i < GUARD && good; i++)
        if (got[bytes + (size_t)i] != 0x5a) good = refused(x, "wrote past the end");
    free(want);
    free(got);
    return good;
}

static void any_box(trial *x, xn_selection *s)
{
    memset(s, 0, sizeof *s);
    for (int k = 0; k < x->t->rank; k++) {
        s->start[k] = below(x, x->t->dims[k]);
        s->count[k] = below(x, x->t->dims[k] - s->start[k]) + (x->t->dims[k] > 0 && below(x, 16) > 0);
    }
}

static bool check_parts(trial *x)
{
    xn_selection s;
    int64_t list[12];
    char what[160];
    xn_selection_all(x->array, &s);
    if (!check_part(x, &s, "whole")) return false;
    for (int i = 0; i < 4; i++) {
        any_box(x, &s);
        int n = snprintf(what, sizeof what, "box");
        for (int k = 0; k < x->t->rank; k++)
            n += snprintf(what + n, sizeof what - (size_t)n, " %d+%d", (int)s.start[k], (int)s.count[k]);
        if (!check_part(x, &s, what)) return false;
    }
    for (int i = 0; i < 2 && x->t->rank > 0 && x->t->dims[0] > 0; i++) { // rows in any order, some twice
        any_box(x, &s);
        for (int k = 0; k < 12; k++) list[k] = below(x, x->t->dims[0]);
        s.list = list;
        s.start[0] = below(x, 4);
        s.count[0] = below(x, 8);
        if (!check_part(x, &s, "list of rows")) return false;
    }
    for (int i = 0; i < 2 && x->t->rank > 0 && x->t->dims[0] > 0; i++) {
        xn_selection_all(x->array, &s);
        s.start[0] = below(x, x->t->dims[0]);
        s.count[0] = 1;
        if (!check_part(x, &s, "row")) return false;
        const void *view = xn_array_view(x->array, s.start[0]);
        size_t row = (size_t)(x->t->n / x->t->dims[0]) * x->t->elem;
        if (view && !same(view, x->t->values + (size_t)s.start[0] * row, row, "view", x->why)) return false;
    }
    return true;
}

// The value as a long double, which holds all of int64, uint64 and double.
static long double value_of(xn_type type, const void *p)
{
#define CASE(name, ctype)                                                                                              \
    case name:                                                                                                         \
        return (long double)*(const ctype *)p;
    switch (type) {
        CASE(XN_U8, uint8_t)
        CASE(XN_I8, int8_t)
        CASE(XN_U16, uint16_t)
        CASE(XN_I16, int16_t)
        CASE(XN_U32, uint32_t)
        CASE(XN_I32, int32_t)
        CASE(XN_U64, uint64_t)
        CASE(XN_I64, int64_t)
        CASE(XN_F32, float)
    default:
        return (long double)*(const double *)p;
    }
#undef CASE
}

// Into dst as `to`; false: it does not fit.
static bool convert(long double v, xn_type to, void *dst)
{
#define CASE(name, ctype, least, most)                                                                                 \
    case name:                                                                                                         \
        if (!(v >= (least) && v <= (most)) || v != truncl(v)) return false;                                            \
        *(ctype *)dst = (ctype)v;                                                                                      \
        return true;
    switch (to) {
        CASE(XN_U8, uint8_t, 0, UINT8_MAX)
        CASE(XN_I8, int8_t, INT8_MIN, INT8_MAX)
        CASE(XN_U16, uint16_t, 0, UINT16_MAX)
        CASE(XN_I16, int16_t, INT16_MIN, INT16_MAX)
        CASE(XN_U32, uint32_t, 0, UINT32_MAX)
        CASE(XN_I32, int32_t, INT32_MIN, INT32_MAX)
        CASE(XN_U64, uint64_t, 0, UINT64_MAX)
        CASE(XN_I64, int64_t, INT64_MIN, INT64_MAX)
    case XN_F32:
        *(float *)dst = (float)v;
        return true;
    default:
        *(double *)dst = (double)v;
        return true;
    }
#undef CASE
}

static bool check_conversion(trial *x)
{
    static const xn_type types[] = {XN_U8, XN_I8, XN_U16, XN_I16, XN_U32, XN_I32, XN_U64, XN_I64, XN_F32, XN_F64};
    xn_type to = types[below(x, 10)];
    size_t size = xn_type_size(to), n = (size_t)x->t->n;
    uint8_t *want = malloc(n * size + 1), *got = malloc(n * size + 1);
    xn_selection all;
    bool fits = true;
    char text[160];
    xn_selection_all(x->array, &all);
    for (size_t i = 0; i < n && fits; i++)
        fits = convert(value_of(x->t->type, x->t->values + i * x->t->elem), to, want + i * size);
    snprintf(text, sizeof text, "%s: %s as %s", x->how, xn_type_name(x->t->type), xn_type_name(to));
    bool read = xn_array_read(x->ctx, x->array, &all, to, got, x->threads) == XANI_OK, good = read == fits;
    if (!good && read) snprintf(x->why, 512, "%s: a value that does not fit was read", text);
    if (!good && !read) refused(x, text);
    good = good && (!fits || to == x->t->type || same(got, want, n * size, text, x->why));
    xn_clear_error(x->ctx);
    free(want);
    free(got);
    return good;
}

static bool same_shape(const trial *x)
{
    const xn_array_info *info = xn_array_get_info(x->array);
    bool good = info->type == x->t->type && info->rank == x->t->rank;
    for (int k = 0; k < info->rank && good; k++) good = info->dims[k] == x->t->dims[k];
    if (!good) snprintf(x->why, 512, "%s: other shape or type", x->how);
    return good;
}

// What was never written is an error unless the writer gave a value for it, or the reader asks for fill values.
static bool check_strict(trial *x, xn_array_options options)
{
    const char *paths[1] = {x->reading->path};
    uint8_t *got = malloc((size_t)x->t->n * x->t->elem + 1);
    xn_selection all;
    options.fill = false;
    bool good = true, read = xn_array_open(x->ctx, paths, 1, x->reading->name, &options, &x->array) == XANI_OK;
    if (read) {
        xn_selection_all(x->array, &all);
        read = xn_array_read(x->ctx, x->array, &all, x->t->type, got, x->threads) == XANI_OK;
        if (read && !x->t->refused) good = same(got, x->t->values, (size_t)x->t->n * x->t->elem, "strictly", x->why);
    }
    bool must = x->t->complete || (x->t->fill_given && !x->t->is_virtual);
    bool must_not = x->t->refused || x->reading->gap || (!must && !x->t->is_virtual);
    if (good && !read && must) good = refused(x, "strictly");
    if (good && read && must_not) {
        snprintf(x->why, 512, "%s: missing data were read without a word", x->how);
        good = false;
    }
    xn_clear_error(x->ctx);
    xn_array_close(&x->array);
    free(got);
    return good;
}

static bool compare_array(xn_ctx *ctx, const family_reading *reading, const referee *t, char why[512])
{
    static const char *const readers[] = {"auto", "pread", "uring", "mmap", "library"};
    const char *paths[1] = {reading->path};
    trial x = {.ctx = ctx, .reading = reading, .t = t, .why = why};
    xn_rng_init(&x.r, reading->seed, 4);
    char text[160];
    const char *reader = readers[below(&x, 5)];
    if (xn_reader_named(reader) && !xn_reader_named(reader)->works(text)) reader = "pread";
    x.threads = 1 + (int)below(&x, 3);
    xn_array_options options = {.reader = reader, .threads = x.threads, .depth = (int)below(&x, 3) * 2, .fill = true};
    snprintf(x.how, sizeof x.how, "%s, %d threads", reader, x.threads);
    if (t->refused) return check_strict(&x, options);
    if (xn_array_open(ctx, paths, 1, reading->name, &options, &x.array) != XANI_OK) return refused(&x, "open");
    bool good = same_shape(&x) && check_parts(&x) && check_conversion(&x) && check_conversion(&x);
    xn_array_close(&x.array);
    return good && check_strict(&x, options);
}

bool family_compare(xn_ctx *ctx, const family_reading *reading, char why[512])
{
    referee t;
    bool good = referee_open(reading, &t);
    if (!good) snprintf(why, 512, "the library cannot read it");
    if (good && reading->truth)
        good = same(t.values, reading->truth, (size_t)t.n * t.elem, "the library against what was written", why);
    xn_clear_error(ctx);
    good = good && (t.refused || compare_frames(ctx, reading, &t, why)) && compare_array(ctx, reading, &t, why);
    referee_close(&t);
    return good;
}
