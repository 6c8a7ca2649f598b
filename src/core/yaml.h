// SPDX-License-Identifier: BSD-3-Clause
// yaml.h -- YAML text as a tree of nodes, and back (config_yaml.c; libyaml is included there only).
//
// For configurations, and for files of other programs that are YAML.
#ifndef XN_CORE_YAML_H
#define XN_CORE_YAML_H

#include "core/core.h"

typedef enum { XN_NODE_NULL, XN_NODE_SCALAR, XN_NODE_LIST, XN_NODE_MAP } xn_node_kind;

// One value. Maps and lists keep their members, in order, as a chain from `child` over `next`.
typedef struct xn_node {
    xn_node_kind kind;
    bool plain;      // written without quotes
    int line;        // in the file; 0 when it came by an assignment
    char *key;       // name in the map that holds it, else NULL
    char *text;      // of a scalar, else NULL
    double number;   // of a checked scalar whose setting is a number or a whole number
    int64_t integer; // of a checked scalar whose setting is a whole number
    struct xn_node *child, *next;
} xn_node;

// *root: owned tree, NULL for text without content.  name stands in messages; line0: number lines from
// the text (else 0, "came by an assignment").
xani_status xn_yaml_parse(xn_ctx *ctx, const char *yaml, size_t bytes, const char *name, bool lines, xn_node **root);
xani_status xn_yaml_text(xn_ctx *ctx, const xn_node *root, char **yaml);
xn_node *xn_node_create(xn_node_kind kind, int line, const char *key, const char *text); // NULL: no memory
xn_node *xn_node_copy(const xn_node *node);                                              // NULL: no memory
void xn_node_destroy(xn_node *node); // with all it holds and all that follows it
int xn_node_count(const xn_node *node);
xn_node *xn_node_member(const xn_node *map, const char *key); // NULL: no such member, or no map
xn_node *xn_node_element(const xn_node *list, int index);
// Whole file, at most `most` bytes. XANI_ERR_INPUT names it.
xani_status xn_yaml_read(xn_ctx *ctx, const char *path, size_t most, xn_node **root);
// Number of a scalar; false when it is none.
bool xn_node_number(const xn_node *node, double *value);
// n numbers of a list, nested lists flattened; false when there are others or not so many.
bool xn_node_numbers(const xn_node *node, double *values, int n);

#endif
