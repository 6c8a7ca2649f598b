// SPDX-License-Identifier: BSD-3-Clause
// frame.c -- pandas data frames: see frame.h.
//
// pandas writes its arrays transposed, so that rows are rows in the file; an array without elements becomes a
// placeholder of extent 1 with the true shape in @shape.  Columns that are whole numbers have their digits as names.
#include "source/pal/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH (XN_KEY_LENGTH + 64)

static const char *member(const xn_pd_frame *f, const char *name, char path[PATH])
{
    snprintf(path, PATH, "%s/%s", f->group, name);
    return path;
}

bool xn_pd_is_empty(const xn_h5 *h5, const char *dataset) { return xn_h5_has_attr(h5, dataset, "shape"); }

static bool of_type(xn_ctx *ctx, const xn_h5 *h5, const char *group, const char *type)
{
    char *text = NULL;
    if (!xn_h5_has_attr(h5, group, "pandas_type")) return false;
    bool same = xn_h5_read_attr(ctx, h5, group, "pandas_type", &text) == XANI_OK && strcmp(text, type) == 0;
    xn_free(text);
    return same;
}

// Also a group with the arrays of a fixed frame that lost pandas' mark, as copies made by other programs do.
static bool is_fixed(xn_ctx *ctx, const xn_h5 *h5, const char *group)
{
    char path[XN_KEY_LENGTH + 16];
    if (xn_h5_has_attr(h5, group, "pandas_type")) return of_type(ctx, h5, group, "frame");
    snprintf(path, sizeof path, "%s/axis1", group);
    bool index = xn_h5_exists(h5, path);
    snprintf(path, sizeof path, "%s/block0_values", group);
    return index && xn_h5_exists(h5, path);
}

bool xn_pd_is_frame(xn_ctx *ctx, const xn_h5 *h5, const char *group)
{
    return is_fixed(ctx, h5, group) || of_type(ctx, h5, group, "frame_table");
}

void xn_pd_close(xn_pd_frame *f)
{
    for (int i = 0; i < f->n_blocks; i++) xn_free(f->block[i].name);
    for (int i = 0; i < f->n_columns; i++) xn_free(f->column[i].name);
    xn_free(f->block);
    xn_free(f->column);
    memset(f, 0, sizeof *f);
}

// ---- blocks and columns

static xani_status add_block(xn_ctx *ctx, xn_pd_frame *f, const char *name, xn_type type, int64_t width)
{
    xn_pd_block *p = xn_realloc(f->block, (size_t)f->n_blocks + 1, sizeof *p);
    if (p != NULL) f->block = p;
    char *copy = xn_strdup(name);
    if (p == NULL || copy == NULL) {
        xn_free(copy);
        return xn_fail_memory(ctx, "the blocks of a data frame", (size_t)(f->n_blocks + 1) * sizeof *p);
    }
    p[f->n_blocks++] = (xn_pd_block){.name = copy, .type = type, .width = width};
    return XANI_OK;
}

static xani_status add_column(xn_ctx *ctx, xn_pd_frame *f, const char *name, int64_t place)
{
    if ((f->n_columns & (f->n_columns - 1)) == 0) { // room doubles
        size_t room = f->n_columns > 0 ? 2 * (size_t)f->n_columns : 1;
        xn_pd_column *p = xn_realloc(f->column, room, sizeof *p);
        if (p == NULL) return xn_fail_memory(ctx, "the columns of a data frame", room * sizeof *p);
        f->column = p;
    }
    char *copy = xn_strdup(name);
    if (copy == NULL) return xn_fail_memory(ctx, "the name of a column", strlen(name));
    f->column[f->n_columns++] = (xn_pd_column){.name = copy, .block = f->n_blocks - 1, .place = place};
    return XANI_OK;
}

// ---- fixed

// Names of the columns of a block: texts, or whole numbers as texts.
static xani_status add_items(xn_ctx *ctx, const xn_h5 *h5, xn_pd_frame *f, const char *items)
{
    xn_h5_info info;
    xani_status st = XANI_OK;
    int64_t n = 0;
    if (xn_pd_is_empty(h5, items)) return XANI_OK;
    XN_TRY(xn_h5_info_get(ctx, h5, items, &info));
    if (info.type == XN_STR) {
        char **name = NULL;
        XN_TRY(xn_h5_read_strings(ctx, h5, items, &name, &n));
        for (int64_t i = 0; st == XANI_OK && i < n; i++) st = add_column(ctx, f, name[i], i);
        xn_h5_names_free(name);
        return st;
    }
    int64_t *number = NULL;
    char text[32];
    XN_TRY(xn_h5_read_i64(ctx, h5, items, &number, &n));
    for (int64_t i = 0; st == XANI_OK && i < n; i++) {
        snprintf(text, sizeof text, "%lld", (long long)number[i]);
        st = add_column(ctx, f, text, i);
    }
    xn_free(number);
    return st;
}

static xani_status open_block(xn_ctx *ctx, const xn_h5 *h5, xn_pd_frame *f, int i)
{
    char items[PATH], values[PATH], name[32], shape[128];
    xn_h5_info info;
    snprintf(name, sizeof name, "block%d_items", i);
    member(f, name, items);
    snprintf(name, sizeof name, "block%d_values", i);
    XN_TRY(xn_h5_info_get(ctx, h5, member(f, name, values), &info));
    bool objects = info.type == XN_OTHER;
    if (!objects && f->n > 0 && !xn_pd_is_empty(h5, values) && (info.rank < 2 || info.dims[0] != f->n))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s; the frame has %lld rows", xn_h5_path(h5), values,
                       xn_shape_text(shape, info.rank, info.dims), (long long)f->n);
    XN_TRY(add_block(ctx, f, name, info.type, objects || info.rank < 2 ? 1 : info.size / xn_max64(info.dims[0], 1)));
    return xn_h5_exists(h5, items) ? add_items(ctx, h5, f, items) : XANI_OK;
}

static xani_status open_fixed(xn_ctx *ctx, const xn_h5 *h5, xn_pd_frame *f)
{
    char path[PATH], name[32], shape[128];
    xn_h5_info info;
    if (!xn_h5_exists(h5, member(f, "axis1", path)))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its index (axis1) has several levels; one is read", xn_h5_path(h5),
                       f->group);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    if (info.rank != 1)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s; one entry per row is needed", xn_h5_path(h5), path,
                       xn_shape_text(shape, info.rank, info.dims));
    f->n = xn_pd_is_empty(h5, path) ? 0 : info.dims[0];
    for (int i = 0;; i++) {
        snprintf(name, sizeof name, "block%d_values", i);
        if (!xn_h5_exists(h5, member(f, name, path))) return XANI_OK;
        XN_TRY(open_block(ctx, h5, f, i));
    }
}

// ---- table

static xani_status add_kind(xn_ctx *ctx, const xn_h5 *h5, xn_pd_frame *f, const char *table, const xn_h5_member *m)
{
    char attribute[XN_KEY_LENGTH], *pickled = NULL;
    int64_t n = 0;
    snprintf(attribute, sizeof attribute, "%s_kind", m->name);
    if (!xn_h5_has_attr(h5, table, attribute)) return m->width == 1 ? add_column(ctx, f, m->name, 0) : XANI_OK;
    XN_TRY(xn_h5_read_attr(ctx, h5, table, attribute, &pickled));
    char **name = xn_pickled_names(pickled, strlen(pickled), &n);
    xn_free(pickled);
    xani_status st = XANI_OK;
    if (name == NULL || n != m->width)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: @%s does not name the %lld columns of %s", xn_h5_path(h5), table,
                     attribute, (long long)m->width, m->name);
    for (int64_t i = 0; st == XANI_OK && name != NULL && i < n; i++) st = add_column(ctx, f, name[i], i);
    xn_h5_names_free(name);
    return st;
}

static xani_status open_table(xn_ctx *ctx, const xn_h5 *h5, xn_pd_frame *f)
{
    char path[PATH];
    xn_h5_member *m = NULL;
    int n = 0;
    XN_TRY(xn_h5_members(ctx, h5, member(f, "table", path), &m, &n, &f->n));
    xani_status st = XANI_OK;
    bool index = false;
    for (int i = 0; st == XANI_OK && i < n; i++) {
        bool is_index = strcmp(m[i].name, "index") == 0;
        index = index || is_index;
        if (is_index) continue;
        st = add_block(ctx, f, m[i].name, m[i].type, m[i].width);
        if (st == XANI_OK) st = add_kind(ctx, h5, f, path, &m[i]);
    }
    if (st == XANI_OK && !index) st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has no index", xn_h5_path(h5), path);
    xn_h5_members_free(m, n);
    return st;
}

xani_status xn_pd_open(xn_ctx *ctx, const xn_h5 *h5, const char *group, xn_pd_frame *f)
{
    memset(f, 0, sizeof *f);
    snprintf(f->group, sizeof f->group, "%s", group);
    f->table = of_type(ctx, h5, group, "frame_table");
    if (!f->table && !is_fixed(ctx, h5, group))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is no pandas data frame", xn_h5_path(h5), group);
    xani_status st = f->table ? open_table(ctx, h5, f) : open_fixed(ctx, h5, f);
    if (st != XANI_OK) xn_pd_close(f);
    return st;
}

// ---- values

xani_status xn_pd_index(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *f, uint64_t **id)
{
    char path[PATH];
    int64_t *v = NULL, n = 0, width = 1;
    *id = NULL;
    if (f->n == 0) return XANI_OK;
    member(f, f->table ? "table" : "axis1", path);
    XN_TRY(f->table ? xn_h5_read_member_i64(ctx, h5, path, "index", &v, &n, &width)
                    : xn_h5_read_i64(ctx, h5, path, &v, &n));
    for (int64_t i = 0; i < n * width; i++) {
        if (v[i] >= 0 && width == 1) continue;
        xn_free(v);
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its index is no timestamp (entry %lld)", xn_h5_path(h5), path,
                       (long long)i);
    }
    *id = (uint64_t *)v;
    return XANI_OK;
}

const xn_pd_column *xn_pd_column_named(const xn_pd_frame *f, const char *name)
{
    for (int i = 0; i < f->n_columns; i++)
        if (strcmp(f->column[i].name, name) == 0) return &f->column[i];
    return NULL;
}

xani_status xn_pd_read(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *f, const xn_pd_column *c, double **value)
{
    char path[PATH];
    const xn_pd_block *b = &f->block[c->block];
    int64_t rows = 0, width = 1;
    *value = NULL;
    if (b->type == XN_OTHER || b->type == XN_STR)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: %s: column %s holds %s; write it as numbers (DataFrame.astype) before storing it",
                       xn_h5_path(h5), f->group, c->name,
                       b->type == XN_STR ? "text" : "pickled Python objects, which only pandas can read");
    if (f->n == 0) return XANI_OK;
    if (!f->table) return xn_h5_read_column(ctx, h5, member(f, b->name, path), c->place, value, &rows);
    double *all = NULL;
    XN_TRY(xn_h5_read_member_f64(ctx, h5, member(f, "table", path), b->name, &all, &rows, &width));
    for (int64_t i = 0; i < rows; i++) all[i] = all[i * width + c->place];
    *value = all;
    return XANI_OK;
}
