// SPDX-License-Identifier: BSD-3-Clause
// type.h -- element types of datasets, independent of HDF5.
#ifndef XN_CORE_TYPE_H
#define XN_CORE_TYPE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { XN_F32, XN_F64, XN_I8, XN_U8, XN_I16, XN_U16, XN_I32, XN_U32, XN_I64, XN_U64, XN_STR, XN_OTHER } xn_type;
size_t xn_type_size(xn_type t);                                          // bytes; 0 for XN_STR and XN_OTHER
const char *xn_type_name(xn_type t);                                     // "uint16"
const char *xn_shape_text(char buf[128], int rank, const int64_t *dims); // "(128, 1024, 512)"; returns buf

#ifdef __cplusplus
}
#endif

#endif
