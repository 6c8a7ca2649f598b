// SPDX-License-Identifier: BSD-3-Clause
// writer_rows.h -- the parallel writer under publish.h's rows, for those who make the dataset themselves.
#ifndef XN_IO_WRITER_ROWS_H
#define XN_IO_WRITER_ROWS_H

#include "io/team.h"
#include "io/write/value_hash.h"
#include "io/write/writer.h"

struct xn_rows {
    hid_t dataset;                                              // open while rows are being written
    int64_t chunk[XANI_MAX_RANK], grid[XANI_MAX_RANK], per_row; // per_row: chunks of one layer along axis 0
    size_t elem, row_bytes, chunk_bytes, bound;                 // bound: of a stored chunk
    xn_pipeline pipeline;
    bool swap;              // stored in the other byte order
    const uint8_t *missing; // by the number of the chunk: not to be written (borrowed); NULL: all are
    int threads;
    int64_t done; // rows
    xn_value_hash *hash;
    bool whole_rows; // a chunk has all values of its rows
    uint64_t *line;  // hashes of the lines of the rows at hand, where chunks are of whole rows
    size_t line_room;
    xn_team *team;
    struct xn_rows_work *work;
};

bool xn_rows_set_filters(hid_t created, const xn_pipeline *pipeline);
// Takes `dataset`, chunked, made for record r, also when it fails. Its values are r->type in native order.
xani_status xn_rows_open(xn_writer *w, xn_record *r, hid_t dataset, int threads);
// The next n rows: whole chunks but at the end.
xani_status xn_rows_put(xn_writer *w, xn_record *r, int64_t n, const void *values);
xani_status xn_rows_end(xn_writer *w, xn_record *r); // closes the dataset, keeps the hash in r
void xn_rows_free(xn_rows **rows);

#endif
