/* SPDX-License-Identifier: BSD-3-Clause */
/* arrays.h -- arrays of HDF5 files, read whole. Part of <xani/xani.h>, which is what programs include.
 */
#ifndef XANI_ARRAYS_H
#define XANI_ARRAYS_H

#include <xani/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XANI_MAX_RANK 8

typedef enum xani_type { XANI_FLOAT64 = 0, XANI_INT64, XANI_STRING } xani_type;

/* A whole dataset in memory, numbers widened to float64 or int64. Owned by the caller. */
typedef struct xani_array {
    xani_type type;
    int rank;
    int64_t shape[XANI_MAX_RANK];
    int64_t size;   /* number of elements */
    double *f64;    /* XANI_FLOAT64: size elements, C order, else NULL */
    int64_t *i64;   /* XANI_INT64 */
    char **strings; /* XANI_STRING */
} xani_array;

XANI_API xani_status xani_array_read(xani_context *context, const char *file, const char *dataset, xani_array *array);
XANI_API void xani_array_free(xani_array *array);
/* 1 if the object (group or dataset) exists, else 0 (also when the file cannot be opened). */
XANI_API int xani_array_exists(xani_context *context, const char *file, const char *object);
/* Text of an attribute (numbers are printed); object "/" for the root. */
XANI_API xani_status xani_attribute_read(xani_context *context, const char *file, const char *object, const char *name,
                                         char **text);

#ifdef __cplusplus
}
#endif
#endif
