// SPDX-License-Identifier: BSD-3-Clause
// virtual_list.h -- the list of mappings of a virtual dataset as it is stored, one entry after the other.
//
// An entry names its source, in which %b stands for the number of a block and %% for %, and selects the elements of
// both sides; a selection may be unlimited along one axis.  What that comes to is worked out in virtual_map.c.
#ifndef XN_IO_VIRTUAL_LIST_H
#define XN_IO_VIRTUAL_LIST_H

#include "io/virtual.h"

enum { XN_UNLIMITED = -1 };

typedef enum { XN_PICK_NONE, XN_PICK_ALL, XN_PICK_SLAB, XN_PICK_OTHER } xn_pick_kind;

// Elements of one side. slab: as it is stored (not made simple); count or block of one axis may be XN_UNLIMITED.
typedef struct xn_pick {
    xn_pick_kind kind;
    xn_slab slab;
    int unlimited; // its axis, -1: none
} xn_pick;

typedef struct xn_entry {
    const char *file, *dataset; // as stored; valid until the next entry
    xn_pick to, from;
} xn_entry;

// The list through the library's calls.
typedef struct xn_virtual_list {
    hid_t created;
    size_t n, next;
    char *file, *dataset; // of the last entry (owned)
} xn_virtual_list;

bool xn_virtual_list_open(xn_virtual_list *list, hid_t created);
bool xn_virtual_list_next(xn_virtual_list *list, xn_entry *entry); // false: the library refused
void xn_virtual_list_close(xn_virtual_list *list);

// A name with its blocks filled in: %b -> block, %% -> %. NULL: out of memory.
char *xn_virtual_name(const char *stored, int64_t block);
bool xn_virtual_numbered(const char *stored); // has a %b

// The file `name` as the library finds it for a virtual dataset in the file `holder`; NULL: there is none (owned).
char *xn_virtual_find(const char *holder, const char *name);

#endif
