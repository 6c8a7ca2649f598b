// SPDX-License-Identifier: BSD-3-Clause
// h5_text.c -- strings and attributes.
//
// Strings of variable and of fixed length are given as C strings.  Fixed ones end at the first NUL; trailing
// blanks of space-padded (Fortran) ones are cut.  Numbers where text is wanted, and the reverse, are errors
// that say what is there.
#include <stdlib.h>
#include <string.h>

#include "io/library.h"
#include "io/worker/worker.h"

#if H5_VERSION_GE(1, 12, 0)
typedef H5L_info1_t link_info;
#define H5Lget_info H5Lget_info1
#else
typedef H5L_info_t link_info;
#endif

// Copies string i of `raw`, which holds char * (variable) or fields of `size` bytes.
static char *copy_string(const void *raw, int64_t i, bool variable, size_t size, H5T_str_t padding)
{
    if (variable) {
        const char *s = ((char *const *)raw)[i];
        return xn_strdup(s ? s : "");
    }
    const char *s = (const char *)raw + (size_t)i * size;
    size_t n = strnlen(s, size);
    while (padding == H5T_STR_SPACEPAD && n > 0 && s[n - 1] == ' ') n--;
    char *text = xn_alloc(n + 1, 1);
    if (text == NULL) return NULL;
    memcpy(text, s, n);
    text[n] = '\0';
    return text;
}

typedef struct {
    hid_t id, type, space, memory;
    bool attribute;
} text_source;

static herr_t read_raw(const text_source *s, void *raw)
{
    return s->attribute ? H5Aread(s->id, s->memory, raw)
                        : H5Dread(s->id, s->memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw);
}

// All n strings of s, owned; `what` names it in errors.
static xani_status take_strings(xn_ctx *ctx, const xn_h5 *file, const char *what, text_source *s, int64_t n,
                                char **texts)
{
    bool variable = H5Tis_variable_str(s->type) > 0;
    s->memory = H5Tcopy(s->type);
    size_t size = variable ? sizeof(char *) : H5Tget_size(s->type);
    void *raw = xn_calloc((size_t)xn_max64(n, 1), size);
    if (raw == NULL) return xn_fail_memory(ctx, what, (size_t)n * size);
    xani_status st = XANI_OK;
    if (n > 0 && (s->memory < 0 || read_raw(s, raw) < 0)) {
        st = xn_h5_fail(ctx, file, what, "cannot be read");
        variable = false; // nothing to reclaim
    }
    H5T_str_t padding = H5Tget_strpad(s->type);
    for (int64_t i = 0; i < n && st == XANI_OK; i++) {
        texts[i] = copy_string(raw, i, variable, size, padding);
        if (texts[i] == NULL) st = xn_fail_memory(ctx, what, size);
    }
    if (variable && n > 0) H5Dvlen_reclaim(s->memory, s->space, H5P_DEFAULT, raw);
    xn_free(raw);
    return st;
}

static void shut(text_source *s)
{
    if (s->memory >= 0) H5Tclose(s->memory);
    if (s->type >= 0) H5Tclose(s->type);
    if (s->space >= 0) H5Sclose(s->space);
    if (s->id >= 0) s->attribute ? H5Aclose(s->id) : H5Oclose(s->id);
}

static text_source nothing(bool attribute)
{
    return (text_source){H5I_INVALID_HID, H5I_INVALID_HID, H5I_INVALID_HID, H5I_INVALID_HID, attribute};
}

static xani_status read_texts(xn_ctx *ctx, const xn_h5 *file, const char *what, text_source *s, char ***texts,
                              int64_t *n)
{
    int rank;
    int64_t dims[XANI_MAX_RANK], size;
    s->type = s->attribute ? H5Aget_type(s->id) : H5Dget_type(s->id);
    s->space = s->attribute ? H5Aget_space(s->id) : H5Dget_space(s->id);
    if (s->type < 0 || s->space < 0) return xn_h5_fail(ctx, file, what, "cannot be described");
    if (H5Tget_class(s->type) != H5T_STRING)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s, not text", file->path, what, xn_hdf_class_name(s->type));
    XN_TRY(xn_h5_shape(ctx, file, what, s->space, &rank, dims, &size));
    if (!s->attribute && size > 0) XN_TRY(xn_h5_complete(ctx, file, what, s->id));
    *texts = xn_calloc((size_t)size + 1, sizeof **texts);
    if (*texts == NULL) return xn_fail_memory(ctx, what, (size_t)size * sizeof **texts);
    *n = size;
    XN_TRY(take_strings(ctx, file, what, s, size, *texts));
    return s->attribute ? XANI_OK : xn_h5_unchanged(ctx, file, what);
}

static void free_texts(char ***texts, int64_t n)
{
    for (int64_t i = 0; *texts && i < n; i++) xn_free((*texts)[i]);
    xn_free(*texts);
    *texts = NULL;
}

xani_status xn_h5_read_strings(xn_ctx *ctx, const xn_h5 *file, const char *dataset, char ***texts, int64_t *n)
{
    int64_t count = 0;
    *texts = NULL;
    text_source s = nothing(false);
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = xn_h5_dataset(ctx, file, dataset, &s.id);
    if (st == XANI_OK) st = read_texts(ctx, file, dataset, &s, texts, &count);
    shut(&s);
    xn_hdf_leave(guard);
    if (st != XANI_OK) free_texts(texts, count), count = 0;
    if (n) *n = count;
    return st;
}

// The first of several; none at all is an error.
static xani_status first_of(xn_ctx *ctx, const xn_h5 *file, const char *what, char **texts, int64_t n, char **text)
{
    if (n == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is empty", file->path, what);
    *text = texts[0];
    texts[0] = NULL;
    return XANI_OK;
}

xani_status xn_h5_read_string(xn_ctx *ctx, const xn_h5 *file, const char *dataset, char **text)
{
    char **texts;
    int64_t n;
    *text = NULL;
    XN_TRY(xn_h5_read_strings(ctx, file, dataset, &texts, &n));
    xani_status st = first_of(ctx, file, dataset, texts, n, text);
    free_texts(&texts, n);
    return st;
}

// Opens attribute `name` of `object`; `what` = "object@name" for errors, owned.
static xani_status open_attribute(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, hid_t *id,
                                  char **what)
{
    const char *on = object[0] ? object : "/";
    *what = xn_format("%s@%s", on, name);
    if (*what == NULL) return xn_fail_memory(ctx, "name of an attribute", 1);
    XN_TRY(xn_worker_look(ctx, file->path, on));
    if (!xn_h5_exists(file, on))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: no such group or dataset", file->path, on);
    *id = H5Aopen_by_name(file->id, on, name, H5P_DEFAULT, H5P_DEFAULT);
    return *id >= 0 ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: no such attribute", file->path, *what);
}

xani_status xn_h5_read_attr_texts(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, char ***texts,
                                  int64_t *n)
{
    char *what = NULL;
    int64_t count = 0;
    *texts = NULL;
    text_source s = nothing(true);
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = open_attribute(ctx, file, object, name, &s.id, &what);
    if (st == XANI_OK) st = read_texts(ctx, file, what, &s, texts, &count);
    shut(&s);
    xn_hdf_leave(guard);
    if (st != XANI_OK) free_texts(texts, count), count = 0;
    if (n) *n = count;
    xn_free(what);
    return st;
}

bool xn_h5_has_attr(const xn_h5 *file, const char *object, const char *name)
{
    if (!xn_h5_exists(file, object)) return false;
    xn_hdf_guard guard = xn_hdf_enter();
    bool there = H5Aexists_by_name(file->id, object[0] ? object : "/", name, H5P_DEFAULT) > 0;
    xn_hdf_leave(guard);
    return there;
}

xani_status xn_h5_read_attr(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, char **text)
{
    char **texts = NULL;
    int64_t n = 0;
    *text = NULL;
    XN_TRY(xn_h5_read_attr_texts(ctx, file, object, name, &texts, &n));
    xani_status st = first_of(ctx, file, name, texts, n, text);
    free_texts(&texts, n);
    return st;
}

// The first `most` numbers; fewer are an error.
static xani_status first_numbers(xn_ctx *ctx, const xn_h5 *file, const char *what, text_source *s, int most,
                                 double *value)
{
    s->type = H5Aget_type(s->id);
    s->space = H5Aget_space(s->id);
    xn_type kind = s->type < 0 ? XN_OTHER : xn_hdf_type(s->type);
    int64_t n = s->space < 0 ? 0 : (int64_t)H5Sget_simple_extent_npoints(s->space);
    if (kind == XN_STR || kind == XN_OTHER)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: holds %s, not numbers", file->path, what,
                       xn_hdf_class_name(s->type));
    if (n < most || n > 65536)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: is too short or too long", file->path, what);
    double *values = xn_alloc((size_t)n, sizeof *values);
    if (values == NULL) return xn_fail_memory(ctx, what, (size_t)n * sizeof *values);
    xani_status st = XANI_OK;
    if (H5Aread(s->id, H5T_NATIVE_DOUBLE, values) < 0)
        st = xn_h5_fail(ctx, file, what, "cannot be read");
    else
        memcpy(value, values, (size_t)most * sizeof *value);
    xn_free(values);
    return st;
}

xani_status xn_h5_read_attr_f64s(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, int n,
                                 double *value)
{
    char *what = NULL;
    text_source s = nothing(true);
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = open_attribute(ctx, file, object, name, &s.id, &what);
    if (st == XANI_OK) st = first_numbers(ctx, file, what, &s, n, value);
    shut(&s);
    xn_hdf_leave(guard);
    xn_free(what);
    return st;
}

xani_status xn_h5_read_attr_f64(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, double *value)
{
    return xn_h5_read_attr_f64s(ctx, file, object, name, 1, value);
}

// ---- links

xani_status xn_h5_external(xn_ctx *ctx, const xn_h5 *file, const char *name, char **target)
{
    link_info info;
    char *value = NULL;
    const char *other = NULL, *object = NULL, *slash = strrchr(file->path, '/');
    xani_status st = XANI_OK;
    *target = NULL;
    XN_TRY(xn_worker_look(ctx, file->path, ""));
    xn_hdf_guard guard = xn_hdf_enter();
    bool external = H5Lget_info(file->id, name, &info, H5P_DEFAULT) >= 0 && info.type == H5L_TYPE_EXTERNAL;
    if (external && (value = xn_calloc(info.u.val_size + 1, 1)) == NULL)
        st = xn_fail_memory(ctx, "a link", info.u.val_size);
    bool read = value != NULL && H5Lget_val(file->id, name, value, info.u.val_size, H5P_DEFAULT) >= 0 &&
                H5Lunpack_elink_val(value, info.u.val_size, NULL, &other, &object) >= 0;
    xn_hdf_leave(guard);
    if (external && st == XANI_OK && !read)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its link cannot be read", file->path, name);
    if (read) {
        bool beside = other[0] != '/' && slash != NULL;
        *target = xn_format("%.*s%s", beside ? (int)(slash - file->path) + 1 : 0, file->path, other);
        if (*target == NULL) st = xn_fail_memory(ctx, "a link", info.u.val_size);
    }
    xn_free(value);
    return st;
}
