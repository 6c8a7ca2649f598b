// SPDX-License-Identifier: BSD-3-Clause
// tree.c -- see tree.h.  The list of nodes is its own queue: groups append what they link to behind it.  An object is
// known by the address of its header; the table of addresses is kept at most half full.
#include "io/tree.h"

#include <string.h>

#if H5_VERSION_GE(1, 12, 0)
typedef H5O_info1_t object_info;
typedef H5L_info1_t link_info;
#define H5Literate H5Literate1
#else
typedef H5O_info_t object_info;
typedef H5L_info_t link_info;
#endif

haddr_t xn_object_address(hid_t object)
{
    object_info info;
    return H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0 ? HADDR_UNDEF : info.addr;
}

static size_t place_of(const xn_tree *t, haddr_t address)
{
    size_t i = (size_t)(address * 0x9e3779b97f4a7c15u) % t->slots;
    while (t->slot[i] != 0 && t->node[t->slot[i] - 1].address != address) i = (i + 1) % t->slots;
    return i;
}

const xn_node *xn_tree_at(const xn_tree *t, haddr_t address)
{
    if (t->slots == 0) return NULL;
    size_t i = place_of(t, address);
    return t->slot[i] ? &t->node[t->slot[i] - 1] : NULL;
}

static bool is_object(const xn_node *node) { return node->kind <= XN_NODE_TYPE; }

static bool grow(xn_tree *t)
{
    int64_t room = t->room ? 2 * t->room : 64;
    xn_node *more = xn_realloc(t->node, (size_t)room, sizeof *more);
    if (more == NULL) return false;
    t->node = more;
    int64_t *slot = xn_calloc((size_t)room * 2, sizeof *slot);
    if (slot == NULL) return false;
    xn_free(t->slot);
    t->slot = slot;
    t->slots = (size_t)room * 2;
    t->room = room;
    for (int64_t i = 0; i < t->n; i++)
        if (is_object(&t->node[i])) t->slot[place_of(t, t->node[i].address)] = i + 1;
    return true;
}

// Takes what the node owns.
static xani_status add(xn_ctx *ctx, xn_tree *t, xn_node node)
{
    bool owned = node.path && (node.kind < XN_NODE_ALIAS || node.kind == XN_NODE_OTHER || node.target) &&
                 (node.kind != XN_NODE_EXTERNAL || node.file);
    if (owned && (t->n < t->room || grow(t))) {
        t->node[t->n++] = node;
        if (is_object(&node)) t->slot[place_of(t, node.address)] = t->n;
        return XANI_OK;
    }
    xn_free(node.path);
    xn_free(node.target);
    xn_free(node.file);
    return xn_fail_memory(ctx, "the list of objects", (size_t)t->room * sizeof node);
}

static xani_status add_object(xn_ctx *ctx, const xn_h5 *file, hid_t group, const char *name, xn_tree *t, xn_node node)
{
    object_info info;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    bool good = object >= 0 && H5Oget_info2(object, &info, H5O_INFO_BASIC) >= 0;
    xani_status st = good ? XANI_OK : xn_h5_fail(ctx, file, node.path ? node.path : name, "cannot be opened");
    if (object >= 0) H5Oclose(object);
    if (!good) return xn_free(node.path), st;
    const xn_node *known = xn_tree_at(t, info.addr);
    if (known) {
        node.kind = XN_NODE_ALIAS;
        node.target = xn_strdup(known->path);
    } else {
        node.address = info.addr;
        node.kind = info.type == H5O_TYPE_GROUP     ? XN_NODE_GROUP
                    : info.type == H5O_TYPE_DATASET ? XN_NODE_DATASET
                                                    : XN_NODE_TYPE;
    }
    return add(ctx, t, node);
}

// The value of a soft or external link.
static xani_status add_link(xn_ctx *ctx, const xn_h5 *file, hid_t group, const char *name, const link_info *info,
                            xn_tree *t, xn_node node)
{
    size_t size = info->u.val_size;
    char *value = xn_calloc(size + 1, 1);
    const char *other = NULL, *path = NULL;
    xani_status st = XANI_OK;
    if (value == NULL)
        st = xn_fail_memory(ctx, "a link", size);
    else if (H5Lget_val(group, name, value, size, H5P_DEFAULT) < 0)
        st = xn_h5_fail(ctx, file, node.path ? node.path : name, "its link cannot be read");
    else if (info->type == H5L_TYPE_SOFT)
        node.kind = XN_NODE_SOFT, node.target = xn_strdup(value);
    else if (info->type == H5L_TYPE_EXTERNAL && H5Lunpack_elink_val(value, size, NULL, &other, &path) >= 0)
        node.kind = XN_NODE_EXTERNAL, node.target = xn_strdup(path), node.file = xn_strdup(other);
    else
        node.kind = XN_NODE_OTHER;
    xn_free(value);
    if (st == XANI_OK) return add(ctx, t, node);
    xn_free(node.path);
    return st;
}

typedef struct members {
    xn_ctx *ctx;
    const xn_h5 *file;
    const char *above;
    xn_tree *tree;
    xani_status status;
} members;

static herr_t add_one(hid_t group, const char *name, const link_info *info, void *user)
{
    members *m = user;
    xn_node node = {.names = info->cset, .address = HADDR_UNDEF};
    node.path = xn_format("%s%s%s", m->above, m->above[1] ? "/" : "", name);
    m->status = info->type == H5L_TYPE_HARD ? add_object(m->ctx, m->file, group, name, m->tree, node)
                                            : add_link(m->ctx, m->file, group, name, info, m->tree, node);
    return m->status == XANI_OK ? 0 : -1;
}

static H5_index_t order_of(hid_t group)
{
    unsigned flags = 0;
    hid_t created = H5Gget_create_plist(group);
    if (created >= 0) {
        H5Pget_link_creation_order(created, &flags);
        H5Pclose(created);
    }
    return flags & H5P_CRT_ORDER_TRACKED ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
}

static xani_status add_members(xn_ctx *ctx, const xn_h5 *file, const char *path, xn_tree *t)
{
    char *above = xn_strdup(path); // the list may move
    if (above == NULL) return xn_fail_memory(ctx, "a path", strlen(path));
    hid_t group = H5Gopen2(file->id, above, H5P_DEFAULT);
    members m = {ctx, file, above, t, XANI_OK};
    bool listed = group >= 0 && H5Literate(group, order_of(group), H5_ITER_INC, NULL, add_one, &m) >= 0;
    if (!listed && m.status == XANI_OK) m.status = xn_h5_fail(ctx, file, above, "its members cannot be listed");
    if (group >= 0) H5Gclose(group);
    xn_free(above);
    return m.status;
}

xani_status xn_tree_read(xn_ctx *ctx, const xn_h5 *file, xn_tree *t)
{
    memset(t, 0, sizeof *t);
    xn_node root = {.kind = XN_NODE_GROUP, .path = xn_strdup("/")};
    hid_t group = H5Gopen2(file->id, "/", H5P_DEFAULT);
    root.address = group < 0 ? HADDR_UNDEF : xn_object_address(group);
    if (group >= 0) H5Gclose(group);
    xani_status st = add(ctx, t, root);
    for (int64_t i = 0; st == XANI_OK && i < t->n; i++)
        if (t->node[i].kind == XN_NODE_GROUP) st = add_members(ctx, file, t->node[i].path, t);
    if (st != XANI_OK) xn_tree_free(t);
    return st;
}

void xn_tree_free(xn_tree *t)
{
    for (int64_t i = 0; i < t->n; i++) {
        xn_free(t->node[i].path);
        xn_free(t->node[i].target);
        xn_free(t->node[i].file);
    }
    xn_free(t->node);
    xn_free(t->slot);
    memset(t, 0, sizeof *t);
}
