// SPDX-License-Identifier: BSD-3-Clause
// virtual_list.h -- the list of mappings of a virtual dataset as it is stored, one entry after the other.
//
// An entry names its source, in which %b stands for the number of a block and %% for %, and selects the elements of
// both sides; a selection may be unlimited along one axis.  What that comes to is worked out in virtual_map.c.
#ifndef XN_IO_VIRTUAL_LIST_H
#define XN_IO_VIRTUAL_LIST_H

#include "io/index/chunk_index.h"
#include "io/index/virtual.h"

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

typedef struct xn_virtual_list {
    size_t n, next;
    hid_t created;          // entries come from the library's properties,
    char *file, *dataset;   // names of the last one (owned)
    bool no_memory;         // for a name
    uint8_t *bytes;         // or, where this is set, from the stored list (owned)
    size_t size, first, at; // first entry, next entry
} xn_virtual_list;

// The list of a dataset with creation properties `created` in the file `holder`: long ones from its bytes, if the
// library says the same of the number, the first and the last entry.
bool xn_virtual_list_open(xn_virtual_list *list, const char *holder, hid_t dataset, hid_t created);
// From the file: the object header at `header` leads to it. false: not understood, or damaged.
bool xn_virtual_list_read(xn_virtual_list *list, const xn_chunk_file *f, uint64_t header);
// From its bytes (xn_alloc), which are the list's from now on; the last four, a checksum, are not looked at.
// length_bytes: of the file's lengths. false: not a list from its beginning to its end.
bool xn_virtual_list_parse(xn_virtual_list *list, uint8_t *bytes, size_t n, int length_bytes);
bool xn_virtual_list_next(xn_virtual_list *list, xn_entry *entry); // false: the library refused
void xn_virtual_list_close(xn_virtual_list *list);
bool xn_virtual_bytes_next(xn_virtual_list *list, xn_entry *entry); // next, of bytes
void xn_slab_simplify(xn_slab *s);

// A name with its blocks filled in: %b -> block, %% -> %. NULL: out of memory.
char *xn_virtual_name(const char *stored, int64_t block);
bool xn_virtual_numbered(const char *stored); // has a %b

// The file `name` as the library finds it for a virtual dataset in the file `holder`; NULL: there is none (owned).
char *xn_virtual_find(const char *holder, const char *name);

#endif
