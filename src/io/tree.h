// SPDX-License-Identifier: BSD-3-Clause
// tree.h -- everything a file links to, in order: groups, datasets, named types, links.
//
// Groups are visited level by level, the links of each in the order of their creation where the file keeps that, else
// by name; so a tree read from a copy that made its links in this order names every object alike.
#ifndef XN_IO_TREE_H
#define XN_IO_TREE_H

#include "io/library.h"

typedef enum {
    XN_NODE_GROUP,
    XN_NODE_DATASET,
    XN_NODE_TYPE,
    XN_NODE_ALIAS,    // a hard link to an object that has a name before
    XN_NODE_SOFT,     // to a path, which need not exist
    XN_NODE_EXTERNAL, // to a path of another file
    XN_NODE_OTHER     // of a kind that only its own program understands
} xn_node_kind;

typedef struct xn_node {
    xn_node_kind kind;
    char *path;       // "/entry/data"
    char *target;     // alias, soft, external: a path
    char *file;       // external
    haddr_t address;  // of objects
    H5T_cset_t names; // character set of the link's name
} xn_node;

typedef struct xn_tree {
    xn_node *node; // [0] is the root group
    int64_t n, room;
    int64_t *slot; // hash table of objects by address: number of the node + 1
    size_t slots;
} xn_tree;

// Inside enter/leave.
xani_status xn_tree_read(xn_ctx *ctx, const xn_h5 *file, xn_tree *tree);
void xn_tree_free(xn_tree *tree);
const xn_node *xn_tree_at(const xn_tree *tree, haddr_t address); // NULL: no such object
haddr_t xn_object_address(hid_t object);                         // HADDR_UNDEF: failed

#endif
