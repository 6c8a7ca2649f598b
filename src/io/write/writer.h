// SPDX-License-Identifier: BSD-3-Clause
// writer.h -- what the files behind publish.h share.
#ifndef XN_IO_WRITER_H
#define XN_IO_WRITER_H

#include <jansson.h>

#include "io/library.h"
#include "io/pipeline.h"
#include "io/write/publish.h"
#include "io/write/value_hash.h"

typedef struct xn_rows xn_rows;

// A dataset as it was handed over: what reading back must give.
typedef struct xn_record {
    char *name; // with a leading '/'
    xn_type type;
    int rank;
    int64_t dims[XANI_MAX_RANK];
    uint64_t hash;  // XXH3 of the values in C order, native bytes; of texts with their closing NUL
    bool partial;   // has chunks that were never written: they count as the fill value
    bool stoppable; // an interrupt ends its reading
    xn_rows *rows;  // written row by row (writer_rows.h)
} xn_record;

// The first failure of the file below, shared with the driver: 0, or an errno.
typedef struct xn_latch {
    int number, users;
} xn_latch;
xn_latch *xn_latch_make(void);
void xn_latch_release(xn_latch *latch);
bool xn_latch_set_driver(hid_t access, xn_latch *latch); // files opened with `access` go through our driver

struct xn_writer {
    xn_ctx *ctx;
    char *path, *temporary; // final name, and the one in the same folder
    char *kind;             // for the manifest; NULL: none
    hid_t file;
    xn_layout layout;
    xn_latch *latch;    // of the file
    xani_status status; // the first failure; nothing is done after it
    xn_record *record;
    size_t n_records, room;
    json_t *kept; // of an amended file: the manifest's datasets that stay; else NULL
    // Further comparison of the file, closed and opened again; NULL: none.
    xani_status (*check)(xn_ctx *ctx, const xn_h5 *file, void *user);
    void *check_user;
};

// publish.c: operations of the system behind the test hook. 0, or -1 with errno.
int xn_io_check(const char *operation, const char *path); // -1 with errno when the hook says so
int xn_io_write(int fd, const void *bytes, size_t n, const char *path);
int xn_io_sync(int fd, const char *path);
char *xn_io_folder(const char *path);    // that holds path; owned
int xn_io_sync_folder(const char *path); // of the folder that holds path
int xn_io_rename(const char *from, const char *to);
int xn_io_remove(const char *path);
char *xn_io_temporary(const char *path);  // ".<name>.tmp-<host>-<pid>-<number>" beside it, owned
void xn_io_remove_tree(const char *path); // a folder with all it holds, as far as that can be
void xn_io_sweep(const char *path);       // removes what processes of this host that are no more left beside it
// A new file `temporary` with these bytes, synced; errors name `path`, which it is to become.
xani_status xn_write_new(xn_ctx *ctx, const char *temporary, const char *path, const void *bytes, size_t n);

// Flags of the library (H5P_CRT_ORDER_...) for the root group.
typedef struct xn_creation_order {
    unsigned links, attributes;
} xn_creation_order;
// root: NULL: as xani's results have it.
xani_status xn_writer_create_as(xn_ctx *ctx, const char *path, xn_layout layout, const xn_creation_order *root,
                                xn_writer **writer);

// All but the file, which is not yet there.
xani_status xn_writer_open(xn_ctx *ctx, const char *path, xn_layout layout, xn_writer **writer);
hid_t xn_writer_access(const xn_writer *w); // properties of its file's access

// "path: cannot be written: <why>"; number 0: the library's reason, else strerror.
xani_status xn_output_fail(xn_ctx *ctx, const char *path, int number);
xani_status xn_writer_fail(xn_writer *w, const char *name); // of the library, kept
xani_status xn_writer_status(xn_writer *w);                 // after a step: w->status, with what the file tells

// manifest.c
char *xn_manifest_path(const char *path); // owned
xani_status xn_hash_file(xn_ctx *ctx, const char *path, uint64_t *hash, int64_t *bytes);
// Moves `temporary` to `path` with a manifest beside it; all or nothing. kind: NULL: none; datasets: borrowed, NULL for
// text.
xani_status xn_manifest_publish(xn_ctx *ctx, const char *temporary, const char *path, const char *kind,
                                json_t *datasets);
// Moves it without a manifest.
xani_status xn_replace_file(xn_ctx *ctx, const char *temporary, const char *path);
json_t *xn_manifest_datasets(const xn_record *record, size_t n);

// writer_check.c
xani_status xn_writer_compare(xn_writer *w); // reopens the temporary, compares all
// The hash of a dataset in a file; type and dims are filled in.
xani_status xn_hash_dataset(xn_ctx *ctx, const xn_h5 *file, xn_record *record);

xn_record *xn_writer_record(xn_writer *w, const char *name, xn_type type, int rank, const int64_t *dims);
hid_t xn_writer_dataset(xn_writer *w, const char *name, hid_t type, int rank, const int64_t *dims, hid_t created);

#endif
