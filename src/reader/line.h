// SPDX-License-Identifier: BSD-3-Clause
// line.h -- reads that wait in line in the reading thread: what the ways without a queue in the system share.
//
// A read holds a slot from `submit` until it is released, or until it comes back where it has a place of its own.  The
// memory of a slot is made when it is first needed, and kept.
#ifndef XN_READER_LINE_H
#define XN_READER_LINE_H

#include "reader/internal.h"

typedef struct xn_slot {
    uint8_t *memory;
    size_t bytes;
    struct xn_slot *next; // free ones
} xn_slot;

typedef struct xn_line {
    xn_reader base;
    size_t largest;
    int first, n; // reads in line
    xn_read **reads;
    xn_slot *slots, *free;
} xn_line;

xn_reader *xn_line_open(const xn_reader_ops *ops, int depth, size_t largest); // NULL: out of memory
void xn_line_close(xn_reader *reader);
bool xn_line_submit(xn_reader *reader, xn_read *read);
xn_read *xn_line_take(xn_reader *reader); // the first in line, NULL: there is none
void xn_line_release(xn_reader *reader, xn_read *read);
uint8_t *xn_line_room(xn_reader *reader, const xn_read *read); // where its bytes go; NULL: out of memory

#endif
