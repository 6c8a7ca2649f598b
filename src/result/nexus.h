// SPDX-License-Identifier: BSD-3-Clause
// nexus.h -- tables of datasets, and the NeXus rules that all results share. Private to src/result.
//
// Each result struct has one table of fields, used for writing and for reading alike, so that what is
// written is what is read.  A field is an array that hangs on a pointer in the struct; its dimensions are
// numbers of a list of extents (bins, rows, ...), which reading fills from the first dataset that has them.
// Rules (NXdata base class; what silx and h5web ask for): @default from the root down to one NXdata; @signal
// a scalar string; @axes one name per dimension, each a numeric child; errors are NAME_errors.
#ifndef XN_RESULT_NEXUS_H
#define XN_RESULT_NEXUS_H

#include "io/h5.h"
#include "io/write/publish.h"
#include "result/result.h"

#define XN_EXTENT_UNKNOWN (-1)

typedef struct xn_field {
    const char *path;
    size_t offset; // of the pointer in the struct
    xn_type type;
    int rank;
    int dims[4];                   // numbers of extents
    bool optional;                 // NULL is not written; absent reads as NULL
    const char *units, *long_name; // attributes, NULL: none
} xn_field;

typedef struct xn_scalar {
    const char *path;
    size_t offset; // of the value in the struct
    xn_type type;  // XN_I32 (an int), XN_I64 or XN_F64
    bool optional; // absent leaves what stood there
    const char *units;
} xn_scalar;

#define XN_COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

#define XN_PROCESS "/entry/process"

// ---- writing. Errors are kept by the writer and come out of xn_writer_publish.

// Root and /entry with @default, title, program, instrument and /entry/process (provenance).
xani_status xn_nexus_create(xn_ctx *ctx, const char *path, const char *group, const char *what, const xn_provenance *p,
                            xn_writer **w);
// Parts of it that do not belong to what a stage depends on: title, notes and facility; the configuration.
xani_status xn_nexus_experiment(xn_ctx *ctx, xn_writer *w, const xn_config *config, const char *what);
xani_status xn_nexus_config(xn_ctx *ctx, xn_writer *w, const xn_config *config);
void xn_nexus_fields(xn_writer *w, const xn_field *fields, int n, const void *base, const int64_t *extent);
void xn_nexus_scalars(xn_writer *w, const xn_scalar *scalars, int n, const void *base);
// An NXdata group: @signal, @axes, indices of the axes, a title for the plot.
void xn_nexus_data(xn_writer *w, const char *group, const char *signal, const char *const *axes, int n,
                   const char *title);
// The axes y and x of a group: indices of pixels after spatial grouping. XANI_ERR_MEMORY.
xani_status xn_nexus_pixel_axes(xn_ctx *ctx, xn_writer *w, const char *group, int64_t ny, int64_t nx);
// A scalar text dataset, "" for NULL.
void xn_nexus_text(xn_writer *w, const char *path, const char *text);
// What a run has beside its arrays: name and goniometer angles.
void xn_nexus_run(xn_writer *w, const char *run, const double *angles_deg, int n);

// ---- reading. Missing datasets, other shapes and what is no number are XANI_ERR_INPUT naming file and dataset.
// Numbers of any type are taken that the wanted one can hold; times, frequencies, rates and angles in any unit.

xani_status xn_nexus_read_fields(xn_ctx *ctx, const xn_h5 *file, const xn_field *fields, int n, void *base,
                                 int64_t *extent);
xani_status xn_nexus_read_scalars(xn_ctx *ctx, const xn_h5 *file, const xn_scalar *scalars, int n, void *base);
xani_status xn_nexus_read_run(xn_ctx *ctx, const xn_h5 *file, char **run, double *angles_deg, int most, int *n);
// Rows of modules: none negative, together those of the data.
xani_status xn_nexus_check_modules(xn_ctx *ctx, const xn_h5 *file, const int64_t *rows, int n, int64_t ny);
// How many `want` (ps, 1/ps, THz, rad, degree; others are not converted) the unit of a dataset is, by its attribute
// `units`; 1 where there is none (unit.c).
xani_status xn_nexus_unit(xn_ctx *ctx, const xn_h5 *file, const char *dataset, const char *want, double *factor);
// The word of attribute `name`: true when it is `yes`, false when it is `no`.
xani_status xn_nexus_read_choice(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *name, const char *yes,
                                 const char *no, bool *value);

#endif
