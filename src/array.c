// SPDX-License-Identifier: BSD-3-Clause
// array.c -- whole datasets and attributes of HDF5 files for programs that use the library.
//
// Floating-point datasets become float64, whole numbers int64, text strings; other types are refused by name.
#include <string.h>

#include "io/h5.h"
#include "xani/arrays.h"

static xani_status read_data(xn_ctx *ctx, const xn_h5 *file, const char *dataset, xani_array *a)
{
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, file, dataset, &info));
    if (info.is_group) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is a group", xn_h5_path(file), dataset);
    a->rank = info.rank;
    memcpy(a->shape, info.dims, sizeof a->shape);
    switch (info.type) {
    case XN_F32:
    case XN_F64:
        a->type = XANI_FLOAT64;
        return xn_h5_read_f64(ctx, file, dataset, &a->f64, &a->size);
    case XN_STR:
        a->type = XANI_STRING;
        return xn_h5_read_strings(ctx, file, dataset, &a->strings, &a->size);
    case XN_OTHER:
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: neither numbers nor text", xn_h5_path(file), dataset);
    default:
        a->type = XANI_INT64;
        return xn_h5_read_i64(ctx, file, dataset, &a->i64, &a->size);
    }
}

xani_status xani_array_read(xani_context *context, const char *file, const char *dataset, xani_array *array)
{
    XN_BEGIN(context);
    XN_NEED(context, array);
    memset(array, 0, sizeof *array);
    XN_NEED(context, file);
    XN_NEED(context, dataset);
    xn_h5 *h5 = NULL;
    xani_status st = xn_h5_open(context, file, &h5);
    if (st == XANI_OK) st = read_data(context, h5, dataset, array);
    xn_h5_close(&h5);
    if (st != XANI_OK) xani_array_free(array);
    return xn_answer(context, st);
}

void xani_array_free(xani_array *array)
{
    if (array == NULL) return;
    xn_free(array->f64);
    xn_free(array->i64);
    if (array->strings != NULL) xn_h5_names_free(array->strings);
    memset(array, 0, sizeof *array);
}

int xani_array_exists(xani_context *context, const char *file, const char *object)
{
    if (context == NULL || file == NULL || object == NULL) return 0;
    xn_h5 *h5 = NULL;
    bool there = xn_h5_open(context, file, &h5) == XANI_OK && xn_h5_exists(h5, object);
    xn_h5_close(&h5);
    xn_clear_error(context); // a missing file is an answer here
    return there;
}

// Text as it is, a number with all its digits; of several the first.
static xani_status read_attribute(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, char **text)
{
    double number;
    xani_status st = xn_h5_read_attr(ctx, file, object, name, text);
    if (st != XANI_ERR_INPUT) return st;
    xn_clear_error(ctx);
    XN_TRY(xn_h5_read_attr_f64(ctx, file, object, name, &number));
    *text = xn_format("%.17g", number);
    return *text != NULL ? XANI_OK : xn_fail_memory(ctx, name, 32);
}

xani_status xani_attribute_read(xani_context *context, const char *file, const char *object, const char *name,
                                char **text)
{
    XN_BEGIN(context);
    XN_NEED(context, text);
    *text = NULL;
    XN_NEED(context, file);
    XN_NEED(context, object);
    XN_NEED(context, name);
    xn_h5 *h5 = NULL;
    xani_status st = xn_h5_open(context, file, &h5);
    if (st == XANI_OK) st = read_attribute(context, h5, object, name, text);
    xn_h5_close(&h5);
    return st;
}
