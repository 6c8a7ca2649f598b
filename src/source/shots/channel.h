// SPDX-License-Identifier: BSD-3-Clause
// channel.h -- one reading per shot id: collected from any number of files, sorted, looked up.
//
// Private to src/source.  An id is a number that two readings of one shot have in common: pulse id, tag, timestamp, or
// train id << bits | pulse.  A channel read once per train has `shift` bits: it is looked up by id >> shift.
#ifndef XN_SOURCE_SHOTS_CHANNEL_H
#define XN_SOURCE_SHOTS_CHANNEL_H

#include "io/h5.h"

#define XN_COLUMN_SUM (-1) // of all columns

typedef enum { XN_HIT, XN_HIT_MISSING, XN_HIT_CONFLICT } xn_hit;

enum { XN_MARK_REPEATED = 1, XN_MARK_CONFLICT = 2 }; // the id came more than once; with values that differ

typedef struct xn_channel {
    const char *name; // as configured, borrowed
    int64_t column;   // of rows with several numbers; XN_COLUMN_SUM: their sum; scalars per shot: 0
    // The id of the shot that comes so many later, 0: none; for input.offsets. NULL: that is the sum.
    uint64_t (*later)(const void *of, uint64_t id, int64_t shots);
    const void *later_of;
    int shift; // ids of this channel are those of the shots shifted right so far
    int64_t n, capacity;
    uint64_t *id;     // as read; after xn_channel_sort ascending and unique
    double *value;    // of each id
    uint8_t *mark;    // after xn_channel_sort: XN_MARK_*
    int64_t repeated; // ids that came more than once
    int n_files;      // how many files hold it
    char *file;       // the first of them, owned
} xn_channel;

// n readings; those with id 0, or where present (NULL: all are) is 0, are none.
xani_status xn_channel_add(xn_ctx *ctx, xn_channel *channel, int64_t n, const uint64_t *id, const double *value,
                           const uint8_t *present);
// c->column of the rows of a dataset (n, ...), as float64 (owned); *n rows. XANI_ERR_INPUT when it has no such column
// or no numbers.
xani_status xn_channel_values(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t column, double **value,
                              int64_t *n);
// once[i] 0: an earlier frame has the same id. Readings stored frame by frame are added with it, so that a repeated
// frame does not count as a repeated reading as well.
xani_status xn_ids_once(xn_ctx *ctx, const uint64_t *id, int64_t n, uint8_t *once);
// Notes that the file holds the channel.
xani_status xn_channel_seen(xn_ctx *ctx, xn_channel *channel, const char *file);
xani_status xn_channel_sort(xn_ctx *ctx, xn_channel *channel);
// Value of a shot; *cursor (0 at first) makes ascending look-ups linear.
xn_hit xn_channel_find(const xn_channel *channel, uint64_t id, int64_t *cursor, double *value);
void xn_channel_free(xn_channel *channel);

#endif
