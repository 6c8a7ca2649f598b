/* SPDX-License-Identifier: BSD-3-Clause */
/* arrays.h -- arrays of HDF5 files at the speed of the storage. Part of <xani/xani.h>, which is what programs include.
   How it works, and what to choose when: docs/reading.md. */
#ifndef XANI_ARRAYS_H
#define XANI_ARRAYS_H

#include <xani/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types of elements; booleans (enumerations) and bit fields count as the integers that hold them: h5py's booleans are
   int8. */
typedef enum xani_type {
    XANI_FLOAT64 = 0,
    XANI_INT64,
    XANI_STRING,
    XANI_FLOAT32,
    XANI_INT8,
    XANI_UINT8,
    XANI_INT16,
    XANI_UINT16,
    XANI_INT32,
    XANI_UINT32,
    XANI_UINT64,
    XANI_STORED = 100 /* as it is stored, in the machine's byte order */
} xani_type;

XANI_API size_t xani_type_size(xani_type type);      /* bytes; 0 for strings and XANI_STORED */
XANI_API const char *xani_type_name(xani_type type); /* "uint16", static */

/* A whole dataset in memory, numbers widened to float64 or int64. Owned by the caller. One without a space for elements
   (null) has one axis of 0. */
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
/* Text of an attribute (numbers are printed), of several elements the first; object "/" for the root. */
XANI_API xani_status xani_attribute_read(xani_context *context, const char *file, const char *object, const char *name,
                                         char **text);

/* ---- any part of a dataset, read and decoded on all cores -------------------------------------- */

typedef struct xani_dataset xani_dataset;

enum { XANI_MISSING_IS_ERROR = 0, XANI_MISSING_IS_FILL = 1 };

typedef struct xani_read_options {
    size_t size;        /* sizeof(xani_read_options), set by xani_read_options_init */
    const char *reader; /* "auto"; "pread", "uring" (past the page cache), "mmap"; "library" (H5Dread); for memory of a
                           device "ring", "cufile": xani_machine says whether that works here, and why not */
    int threads;        /* 0: all */
    int depth;          /* reads under way per thread; 0: the reader's default */
    int missing;        /* what was never written, or has no source file: an error that names it, or the fill value */
    int device;         /* -1: dst is host memory; else the number of the CUDA device that holds it: docs/cuda.md */
    const xani_config *config; /* engine.cufile.*, looked at once per process; NULL: the defaults */
} xani_read_options;

typedef struct xani_dataset_info {
    size_t size;    /* set by xani_dataset_info_init */
    xani_type type; /* as stored */
    int rank;
    int64_t shape[XANI_MAX_RANK];
    int64_t tile[XANI_MAX_RANK]; /* the least box that is never decoded twice: a chunk, or a run of rows */
    int64_t stored_bytes;        /* in the files */
    int64_t sources;             /* stored datasets behind it: 1, or those of a virtual one */
    int direct;                  /* 0: some of it only the HDF5 library can read, on one core */
    const char *layout;  /* "contiguous", "chunked", "compact", "external", "virtual"; valid as the dataset is */
    const char *filters; /* "bitshuffle+lz4", "" */
} xani_dataset_info;

XANI_API void xani_read_options_init(xani_read_options *options);
XANI_API void xani_dataset_info_init(xani_dataset_info *info);
/* Opens `dataset` of files that follow one another along the slowest axis (n_files 1: one). options may be NULL. A file
   that another one replaces, or that is removed, is read on as it was while it is open here, and where it had to be
   closed meanwhile that is an error; what is written over it in place is read as it is then: xani_dataset_refresh. */
XANI_API xani_status xani_dataset_open(xani_context *context, const char *const *files, size_t n_files,
                                       const char *dataset, const xani_read_options *options, xani_dataset **d);
XANI_API void xani_dataset_destroy(xani_dataset **d);
XANI_API xani_status xani_dataset_describe(xani_context *context, const xani_dataset *d, xani_dataset_info *info);

/* Each call reads a part into dst, C order, converted to `type`; a value that does not fit is an error that names its
   file, dataset and row there. dst has room for the part and is the caller's: reuse it, fresh memory costs as much as
   the reading. box: elements start[k] ... start[k] + count[k] - 1 along axis k; NULL, NULL: all. */
XANI_API xani_status xani_dataset_read(xani_context *context, xani_dataset *d, const int64_t *start,
                                       const int64_t *count, xani_type type, void *dst);
/* rows list[0] ... list[n - 1] of the slowest axis, in any order; start, count: of the other axes, or NULL, NULL. */
XANI_API xani_status xani_dataset_read_list(xani_context *context, xani_dataset *d, const int64_t *list, int64_t n,
                                            const int64_t *start, const int64_t *count, xani_type type, void *dst);
/* Share `part` of `parts` nearly equal ones along the slowest axis, cut where chunks or source files end. Shares may
   have no rows. */
XANI_API xani_status xani_dataset_share(xani_context *context, const xani_dataset *d, int64_t part, int64_t parts,
                                        int64_t *first, int64_t *rows);
/* Row `row` where it lies in the mapped file, without a copy; NULL where it is filtered, in pieces, in the other byte
   order or at an address that is no multiple of its elements' size. Valid as the dataset is; a file that is truncated
   meanwhile kills the process. */
XANI_API const void *xani_dataset_view(xani_dataset *d, int64_t row);
/* Looks at a growing file (SWMR, or flushed by its writer) again: shape and chunks are those of now. */
XANI_API xani_status xani_dataset_refresh(xani_context *context, xani_dataset *d);

/* Batches of rows, read ahead by a thread of their own while the caller works on the one before; memory is bounded by
   `ahead` + 1 batches. */
typedef struct xani_batches xani_batches;
typedef struct xani_batch_options {
    size_t size;                  /* set by xani_batch_options_init */
    int64_t rows;                 /* of a batch; 0: about 64 MiB */
    int ahead;                    /* batches read ahead; 0: 2 */
    const int64_t *list;          /* the rows in this order (copied); NULL: all from first to first + n - 1 */
    int64_t first, n;             /* n -1: to the end; with a list its length */
    const int64_t *start, *count; /* of the other axes (copied); NULL: all */
    xani_type type;               /* XANI_STORED */
} xani_batch_options;
typedef struct xani_batch {
    const void *data; /* valid until the next call; memory of the device, where the dataset was opened with one */
    int64_t first;    /* number of its first row in the sequence */
    int64_t rows;     /* 0: there is no further one */
} xani_batch;

XANI_API void xani_batch_options_init(xani_batch_options *options);
XANI_API xani_status xani_batches_create(xani_context *context, xani_dataset *d, const xani_batch_options *options,
                                         xani_batches **batches);
XANI_API xani_status xani_batches_next(xani_context *context, xani_batches *batches, xani_batch *batch);
XANI_API void xani_batches_destroy(xani_batches **batches);

#ifdef __cplusplus
}
#endif
#endif
