// SPDX-License-Identifier: BSD-3-Clause
// array_parts.h -- what the files of the reading engine share: parts of an array, and workers.
//
// A part is a box of the array that equals a box of a store.  Its axes are the store's but for axes of extent 1 that
// only one of the two has (single frames of files put together).
#ifndef XN_IO_ARRAY_PARTS_H
#define XN_IO_ARRAY_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/array.h"

typedef struct xn_part {
    xn_store *store;                                 // NULL: no source, fill values
    int64_t at[XANI_MAX_RANK], count[XANI_MAX_RANK]; // box of the array
    int64_t from[XANI_MAX_RANK];                     // first element in the store, along its axes
    int axis[XANI_MAX_RANK];                         // of the array, for each axis of the store; -1: extent 1
} xn_part;

typedef struct xn_parts {
    xn_part *list;
    int64_t n, room;
} xn_parts;

typedef struct xn_stores {
    xn_store **list;
    int64_t n, room;
} xn_stores;

enum { XN_READERS = 8 };

// What a thread needs to read: kept from call to call.
typedef struct xn_worker {
    struct xn_worker *next;
    xn_reader *reader[XN_READERS]; // of the table, opened when needed
    int depth[XN_READERS];         // as asked for
    size_t largest[XN_READERS];
    uint8_t *block; // one, decoded
    size_t block_bytes;
    xn_codec *codec;
} xn_worker;

struct xn_array {
    xn_array_info info;
    xn_array_options options;
    char **paths;
    char *dataset;
    int n_paths;
    xn_stores stores;
    xn_parts parts;   // sorted by at[0]
    int64_t *reach;   // [parts.n]: largest end along axis 0 of parts 0..i
    uint8_t fill[16]; // of a virtual dataset, where nothing maps to
    bool fill_given;
    pthread_mutex_t lock; // of the idle workers and lanes
    xn_worker *idle;
    struct xn_device_lane *lanes; // idle ones (device_lane.h)
    xn_device_report device_report;
    atomic_bool no_cufile; // it was found that it cannot read these files
};

// array_virtual.c: the parts of one dataset of one file, virtual ones taken apart; appended.
xani_status xn_parts_of(xn_ctx *ctx, xn_array *a, const char *path, const char *dataset, xn_parts *parts,
                        xn_array_info *shape);
xn_part *xn_parts_add(xn_ctx *ctx, xn_parts *parts);
void xn_parts_sort(xn_part *parts, int64_t n); // by their first row
// First part that may reach row `row`, by bisection.
int64_t xn_parts_first(const xn_array *a, int64_t row);

// A box of n elements of a block (or dataset) of shape `whole` is one run of bytes.
bool xn_box_is_run(int rank, const int64_t *n, const int64_t *whole);
// Box [lo, lo + n) of the array within part p, as a box of its store.
void xn_part_box(const xn_part *p, const int64_t *lo, const int64_t *n, int64_t *store_lo, int64_t *store_n);
// array_view.c: a row that lies in one part, as a box of its store; NULL: it does not.
const xn_part *xn_part_row(const xn_array *a, int64_t row, int64_t *lo, int64_t *n);
// Where in the file the bytes of a box lie and nothing else; -1: they are filtered or in pieces.
int64_t xn_part_run(const xn_store *s, const int64_t *lo, const int64_t *n);

xn_worker *xn_worker_take(xn_array *a); // NULL: out of memory
void xn_worker_give(xn_array *a, xn_worker *w);
void xn_workers_free(xn_array *a);

#endif
