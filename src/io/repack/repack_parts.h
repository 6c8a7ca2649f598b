// SPDX-License-Identifier: BSD-3-Clause
// repack_parts.h -- what the files of the repacker share.
#ifndef XN_IO_REPACK_PARTS_H
#define XN_IO_REPACK_PARTS_H

#include "io/array.h"
#include "io/repack/repack.h"
#include "io/values.h"
#include "io/write/writer_rows.h"

typedef enum {
    XN_REPACK_COPY,   // as it is stored (H5Ocopy)
    XN_REPACK_CHUNKS, // numbers stored anew: read by the engine, encoded on all cores
    XN_REPACK_ROWS,   // rows of all inputs through the library: small or not numbers
    XN_REPACK_VIRTUAL // refers to the inputs
} xn_repack_how;

// What becomes of one dataset.
typedef struct xn_repack_item {
    const xn_node *node;
    xn_repack_how how;
    bool along;    // one row per frame: cut and joined
    bool foreign;  // virtual or external: its values lie in other files
    bool crumbled; // in very many chunks
    xn_type type;
    int rank;
    int64_t dims[XANI_MAX_RANK];                         // in the first input
    int64_t out[XANI_MAX_RANK], most[XANI_MAX_RANK];     // in the output; most -1: unlimited
    int64_t chunk[XANI_MAX_RANK], stored[XANI_MAX_RANK]; // of the output; of the first input, 0: not chunked
    int axes;                                            // of more than XANI_MAX_RANK; then rank is 0
    int64_t extent[H5S_MAX_RANK];                        // of these
    int64_t first;                                       // row of all inputs that becomes row 0
    int64_t bytes, stored_bytes;                         // decoded; in the inputs
    int64_t expected;                                    // stored in the output
    int64_t n_missing;                                   // chunks never written
    uint8_t *missing;                                    // by chunk of the output, NULL: none
} xn_repack_item;

typedef struct xn_repack_job {
    xn_ctx *ctx;
    const char *const *inputs;
    int n_inputs;
    const char *output;
    const xani_repack_options *options;
    xn_h5 *file;    // the first input
    xn_tree tree;   // of it
    int64_t *rows;  // of the leading dataset, in each input
    int64_t n_rows; // of all inputs
    int64_t first, last;
    xn_repack_item *item;
    int64_t n_items;
    int threads;
    int64_t done, total; // bytes read, for the progress
    xn_writer *writer;
} xn_repack_job;

// repack_plan.c: the list of items, all decided. Inside enter/leave.
xani_status xn_repack_plan(xn_repack_job *job);
void xn_repack_plan_free(xn_repack_job *job);
// repack_estimate.c: fills in `expected` from samples.
xani_status xn_repack_estimate(xn_repack_job *job);
// repack_copy.c: groups, links, attributes, datasets that stay as they are.
xani_status xn_repack_structure(xn_repack_job *job);
xani_status xn_repack_attributes(xn_repack_job *job, hid_t from, hid_t to, const char *path);
xani_status xn_repack_references(xn_repack_job *job); // second pass: values that point to objects
hid_t xn_repack_type(xn_repack_job *job, hid_t type); // the type in the output: a named one there, or a copy
// repack_rows.c: datasets whose rows are written anew. make: like `from`, with its attributes; < 0: failed, and said
// so.
hid_t xn_repack_make(xn_repack_job *job, const xn_repack_item *item, hid_t from);
xani_status xn_repack_chunks(xn_repack_job *job, const xn_repack_item *item);
xani_status xn_repack_rows(xn_repack_job *job, const xn_repack_item *item);
// repack_virtual.c
xani_status xn_repack_virtual(xn_repack_job *job, const xn_repack_item *item);
bool xn_repack_mappings(xn_repack_job *job, const xn_repack_item *item, hid_t created);
xani_status xn_repack_check_virtual(xn_repack_job *job, const xn_h5 *file, const xn_repack_item *item);
char *xn_repack_relative(const char *output, const char *input); // a name that leads from there to it (owned)
// repack_check.c: the output, reopened, against the first input; called before it is published.
xani_status xn_repack_check(xn_ctx *ctx, const xn_h5 *file, void *job);

xani_status xn_repack_fail(xn_repack_job *job, const char *path); // the library's reason, an output error

#endif
