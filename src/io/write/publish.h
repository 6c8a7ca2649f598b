// SPDX-License-Identifier: BSD-3-Clause
// publish.h -- writing results: whole or not at all.
//
// A file is written under a temporary name in its own folder, closed, read back and compared hash by
// hash, synced, renamed, and a manifest FILE.manifest.json with one XXH3 hash per dataset and one of
// the whole file is put beside it.  The first error is kept; nothing with the final name appears unless
// xn_writer_publish returned XANI_OK.  Every dataset is chunked with Fletcher32.
#ifndef XN_IO_PUBLISH_H
#define XN_IO_PUBLISH_H

#include "io/h5.h"

typedef struct xn_writer xn_writer;

typedef enum {
    XN_LAYOUT_RESULT = 0, // HDF5 1.10 format, Fletcher32, shuffle+gzip(4) where larger than 64 KiB
    XN_LAYOUT_PLAIN       // contiguous, oldest readable format: field cubes for MATLAB and others
} xn_layout;

xani_status xn_writer_create(xn_ctx *ctx, const char *path, xn_layout layout, xn_writer **w);
void xn_writer_kind(xn_writer *w, const char *kind); // once, for the manifest: what may replace the file
// Group with @NX_class (NULL: none); parents are made.
xani_status xn_writer_group(xn_writer *w, const char *group, const char *nx_class);
// A published file with its manifest, to be published again with some datasets others: remove, then write anew.
// writer_amend.c
xani_status xn_writer_amend(xn_ctx *ctx, const char *path, xn_writer **w);
xani_status xn_writer_remove(xn_writer *w, const char *dataset); // full name; nothing where it is not there
// Dataset from memory. dims[rank]; chunk NULL: chosen. rank 0 = scalar.
xani_status xn_writer_data(xn_writer *w, const char *dataset, xn_type type, int rank, const int64_t *dims,
                           const int64_t *chunk, const void *data);
xani_status xn_writer_text(xn_writer *w, const char *dataset, const char *text); // scalar UTF-8
xani_status xn_writer_texts(xn_writer *w, const char *dataset, const char *const *texts, int64_t n);
xani_status xn_writer_attr_text(xn_writer *w, const char *object, const char *name, const char *text);
xani_status xn_writer_attr_texts(xn_writer *w, const char *object, const char *name, const char *const *texts, int n);
xani_status xn_writer_attr_f64(xn_writer *w, const char *object, const char *name, const double *v,
                               int n); // n==0: scalar of v[0]
xani_status xn_writer_attr_i64(xn_writer *w, const char *object, const char *name, const int64_t *v, int n);
xani_status xn_writer_link(xn_writer *w, const char *target, const char *link); // hard link
// A dataset whose rows along the slowest axis are handed over in order, as many at a time as one likes but whole chunks
// (the last ones may be fewer).  They are encoded on all cores and written in order.
typedef struct xn_rows_layout {
    xn_type type;
    int rank;
    int64_t dims[XANI_MAX_RANK], chunk[XANI_MAX_RANK]; // chunk 0: one row, whole along the other axes
    const char *filter;                                // of codec/encode.h; NULL: "bslz4"
    int level, threads;                                // 0: the default, all
} xn_rows_layout;
xani_status xn_writer_rows_begin(xn_writer *w, const char *dataset, const xn_rows_layout *layout);
xani_status xn_writer_rows(xn_writer *w, const char *dataset, int64_t n, const void *values);
// Verify, sync, rename, manifest. Destroys w in every case.
xani_status xn_writer_publish(xn_writer **w);
void xn_writer_abort(xn_writer **w); // removes the temporary; NULL is fine

// Text files (reports, configurations): temporary name, sync, rename; with a kind, manifest like the above.
xani_status xn_publish_text(xn_ctx *ctx, const char *path, const void *bytes, size_t n, const char *kind);
// Compares a published file with its manifest. XANI_ERR_VERIFY with text when it differs,
// XANI_ERR_INPUT when file or manifest is missing.
xani_status xn_publish_verify(xn_ctx *ctx, const char *path);
bool xn_published(const char *path); // file and manifest both exist
// What stands at a path: nothing or an empty file, one whose manifest says this kind (or, of earlier versions, none), a
// file without a manifest, anything else.
typedef enum { XN_STANDS_NOTHING, XN_STANDS_SAME, XN_STANDS_UNKNOWN, XN_STANDS_OTHER } xn_stands;
xn_stands xn_what_stands(const char *path, const char *kind);
// XANI_ERR_USAGE with text, where a file of this kind may not take the name: of anything; of what stands there.
xani_status xn_stands_in_the_way(xn_ctx *ctx, const char *path, const char *kind);
xani_status xn_publish_room(xn_ctx *ctx, const char *path); // XANI_ERR_OUTPUT where a manifest has none for its name
xani_status xn_publish_spare(xn_ctx *ctx, const char *path, const char *kind);
bool xn_same_file(const char *a, const char *b);        // also under another name (a link); false: one is not there
xani_status xn_make_dirs(xn_ctx *ctx, const char *dir); // mkdir -p; XANI_ERR_OUTPUT names the folder

// Test hook: called before each write, sync, rename and removal on the way to a published file; a number other
// than 0 is taken as the errno with which the operation fails. number counts from 1 since the hook was set.
typedef int (*xn_io_hook)(void *user, const char *operation, const char *path, uint64_t number);
void xn_io_set_hook(xn_io_hook hook, void *user);

#endif
