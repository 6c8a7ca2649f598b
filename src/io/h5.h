// SPDX-License-Identifier: BSD-3-Clause
// h5.h -- thin reading layer over HDF5: metadata and small arrays.  HDF5 is included only in src/io.
//
// Every call takes the library's lock; errors name file and dataset.  Frames go through frames.h.
#ifndef XN_IO_H5_H
#define XN_IO_H5_H

#include "core/core.h"
#include "core/type.h"

typedef struct xn_h5 xn_h5; // an open file, read-only

typedef struct xn_h5_info {
    xn_type type; // XN_OTHER: compound, opaque, ...
    int rank;
    int64_t dims[XANI_MAX_RANK];
    int64_t size; // elements
    bool is_group;
    bool chunked, is_virtual;
    int64_t chunk[XANI_MAX_RANK];
    char filters[128]; // "bitshuffle+lz4", "shuffle+gzip", "" (for messages and xani info)
} xn_h5_info;

xani_status xn_h5_open(xn_ctx *ctx, const char *path, xn_h5 **file); // missing or damaged: XANI_ERR_INPUT
// Also one that another program is writing and lets others read meanwhile (SWMR): what is read is what there was.
xani_status xn_h5_open_live(xn_ctx *ctx, const char *path, xn_h5 **file);
void xn_h5_close(xn_h5 **file);
const char *xn_h5_path(const xn_h5 *file);
bool xn_h5_exists(const xn_h5 *file, const char *object); // group or dataset, never an error
xani_status xn_h5_info_get(xn_ctx *ctx, const xn_h5 *file, const char *object, xn_h5_info *info);
// Names of the members of a group, sorted; owned: free with xn_h5_names_free. NULL-terminated.
xani_status xn_h5_names(xn_ctx *ctx, const xn_h5 *file, const char *group, char ***names);
void xn_h5_names_free(char **names);
typedef struct {
    char **name; // as above, NULL where empty
    size_t n;
} xn_h5_list;
// Takes name, also where that fails (NULL: no memory). One that is there already is not added twice.
xani_status xn_h5_list_add(xn_ctx *ctx, xn_h5_list *l, char *name);

// Whole datasets converted to the named type; *data owned by the caller (xn_free). n may be NULL.
xani_status xn_h5_read_f64(xn_ctx *ctx, const xn_h5 *file, const char *dataset, double **data, int64_t *n);
xani_status xn_h5_read_f32(xn_ctx *ctx, const xn_h5 *file, const char *dataset, float **data, int64_t *n);
xani_status xn_h5_read_i64(xn_ctx *ctx, const xn_h5 *file, const char *dataset, int64_t **data, int64_t *n);
xani_status xn_h5_read_u64(xn_ctx *ctx, const xn_h5 *file, const char *dataset, uint64_t **data, int64_t *n);
xani_status xn_h5_read_u32(xn_ctx *ctx, const xn_h5 *file, const char *dataset, uint32_t **data, int64_t *n);
xani_status xn_h5_read_u8(xn_ctx *ctx, const xn_h5 *file, const char *dataset, uint8_t **data, int64_t *n);
xani_status xn_h5_read_string(xn_ctx *ctx, const xn_h5 *file, const char *dataset, char **text); // scalar or first
xani_status xn_h5_read_strings(xn_ctx *ctx, const xn_h5 *file, const char *dataset, char ***texts, int64_t *n);
// Rows [first, first+count) along the slowest axis into caller's memory, converted to `type`.
xani_status xn_h5_read_rows(xn_ctx *ctx, const xn_h5 *file, const char *dataset, xn_type type, int64_t first,
                            int64_t count, void *dst);
// One column of a 2-D dataset (rank 1: column must be 0) as float64.
xani_status xn_h5_read_column(xn_ctx *ctx, const xn_h5 *file, const char *dataset, int64_t column, double **data,
                              int64_t *n);
// Paths of the objects a dataset of object references points to (xn_h5_names_free), NULL-terminated.
xani_status xn_h5_read_references(xn_ctx *ctx, xn_h5 *file, const char *dataset, char ***paths, int64_t *n);
// covered[i * dims[1] + k] = 1 where elements (i, k, ...) of a virtual dataset of two axes or more have a source that
// is there; the rest stays. A dataset that is not virtual covers everything.
xani_status xn_h5_covered(xn_ctx *ctx, const xn_h5 *file, const char *dataset, uint8_t *covered);
xani_status xn_h5_read_attr(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, char **text);
xani_status xn_h5_read_attr_texts(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, char ***texts,
                                  int64_t *n); // NULL-terminated; n may be NULL
xani_status xn_h5_read_attr_f64(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, double *value);
xani_status xn_h5_read_attr_f64s(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, int n,
                                 double *value); // the first n
// Where `name` is an external link: the file it leads to, which need not exist, found as the library does first,
// beside this one; owned. NULL when it is none.
xani_status xn_h5_external(xn_ctx *ctx, const xn_h5 *file, const char *name, char **target);
// The files that its virtual datasets and external links lead to, where they are there; all: and those behind these.
// Owned, NULL-terminated (xn_h5_names_free). Of what is no HDF5 or cannot be listed: none. h5_behind.c
xani_status xn_h5_behind(xn_ctx *ctx, const char *path, bool all, char ***files);
bool xn_h5_has_attr(const xn_h5 *file, const char *object, const char *name); // never an error

// ---- tables: datasets (rows) of compound values

typedef struct xn_h5_member {
    char *name;
    xn_type type;  // of its numbers; XN_STR, XN_OTHER: it has none
    int64_t width; // numbers in a row
} xn_h5_member;

xani_status xn_h5_members(xn_ctx *ctx, const xn_h5 *file, const char *dataset, xn_h5_member **members, int *n,
                          int64_t *rows);
void xn_h5_members_free(xn_h5_member *members, int n);
// One member of all rows, (rows, width); owned by the caller. i64: of members that hold whole numbers.
xani_status xn_h5_read_member_f64(xn_ctx *ctx, const xn_h5 *file, const char *dataset, const char *member,
                                  double **data, int64_t *rows, int64_t *width);
xani_status xn_h5_read_member_i64(xn_ctx *ctx, const xn_h5 *file, const char *dataset, const char *member,
                                  int64_t **data, int64_t *rows, int64_t *width);

#endif
