// SPDX-License-Identifier: BSD-3-Clause
// virtual_map.c -- see virtual.h: from the stored list to regular selections with known extents.
//
// What is unlimited is worked out as the library does with its defaults (HDF5 1.10, view "last available", gap 0):
//   both sides unlimited: the slices the source has now along its axis are as many slices of the virtual dataset;
//   the virtual side only: block j of its selection is all that is selected of source j (%b in its name), and the
//   series ends at the first source that is missing.
// A cut may fall into a block of a strided selection: such a mapping becomes several, cut at the same slices on both
// sides, which is right where equally many elements follow a slice in both.
#include <string.h>

#include "io/index/virtual_list.h"

enum { PIECES_MAX = 1024, LOOK_AHEAD = 16 };

typedef struct {
    xn_ctx *ctx;
    const xn_h5 *file;
    const char *name, *holder;
    bool fill;
    int rank;
    int64_t dims[XANI_MAX_RANK];
    xn_mappings *out;
    int64_t room;
    // the source looked at last
    char *stored, *path; // name in the list, and the file found (NULL: none)
    xn_h5 *open;         // kept: many mappings lie in one file
} work;

typedef struct {
    bool there;
    int rank;
    int64_t dims[XANI_MAX_RANK];
} source;

// ---- slabs

bool xn_slab_inside(const xn_slab *s, int rank, const int64_t *dims)
{
    if (s->rank != rank) return false;
    for (int k = 0; k < rank; k++) {
        int64_t reach, last;
        if (s->start[k] < 0 || s->stride[k] < 1 || s->count[k] < 1 || s->block[k] < 1) return false;
        if (__builtin_mul_overflow(s->count[k] - 1, s->stride[k], &reach)) return false;
        if (__builtin_add_overflow(reach, s->start[k], &last) || __builtin_add_overflow(last, s->block[k], &last))
            return false;
        if (last > dims[k]) return false;
    }
    return true;
}

// Elements along the axes first ... end - 1; -1: too many to count, or unlimited.
static int64_t elements(const xn_slab *s, int first, int end)
{
    int64_t n = 1;
    for (int k = first; k < end; k++) {
        if (s->count[k] < 0 || s->block[k] < 0) return -1;
        if (__builtin_mul_overflow(n, s->count[k], &n) || __builtin_mul_overflow(n, s->block[k], &n)) return -1;
    }
    return n;
}

static void whole(int rank, const int64_t *dims, xn_slab *s)
{
    s->rank = rank;
    for (int k = 0; k < rank; k++) {
        s->start[k] = 0;
        s->count[k] = 1;
        s->stride[k] = s->block[k] = dims[k];
    }
}

// ---- slices along an unlimited axis

static bool solid(const xn_slab *s, int k) { return s->block[k] == XN_UNLIMITED || s->stride[k] == s->block[k]; }

// How many of them lie below `extent`.
static int64_t slices(const xn_slab *s, int k, int64_t extent)
{
    int64_t room = extent - s->start[k];
    if (room <= 0) return 0;
    if (solid(s, k)) return room;
    int64_t last = room % s->stride[k];
    return room / s->stride[k] * s->block[k] + xn_min64(last, s->block[k]);
}

// The most of n slices from slice `at` on that are a regular selection.
static int64_t regular(const xn_slab *s, int k, int64_t at, int64_t n)
{
    if (solid(s, k)) return n;
    int64_t left = s->block[k] - at % s->block[k];
    if (n <= left) return n;
    return left < s->block[k] ? left : n / s->block[k] * s->block[k];
}

static void cut(xn_slab *s, int k, int64_t at, int64_t n)
{
    if (solid(s, k)) {
        s->start[k] += at;
        s->count[k] = 1;
        s->stride[k] = s->block[k] = n;
        return;
    }
    int64_t block = s->block[k], inner = at % block;
    s->start[k] += at / block * s->stride[k] + inner;
    s->count[k] = inner + n <= block ? 1 : n / block;
    s->block[k] = s->count[k] == 1 ? n : block;
}

// ---- output

static xani_status add(work *w, const char *path, const char *dataset, const xn_slab *to, const xn_slab *from)
{
    xn_mappings *m = w->out;
    if (m->n == w->room) {
        w->room = w->room ? 2 * w->room : 16;
        xn_mapping *list = xn_realloc(m->list, (size_t)w->room, sizeof *list);
        if (list == NULL) return xn_fail_memory(w->ctx, w->name, (size_t)w->room * sizeof *list);
        m->list = list;
    }
    xn_mapping *x = &m->list[m->n];
    memset(x, 0, sizeof *x);
    x->path = path ? xn_strdup(path) : NULL;
    x->dataset = xn_strdup(dataset);
    if ((path && x->path == NULL) || x->dataset == NULL) {
        xn_free(x->path);
        xn_free(x->dataset);
        return xn_fail_memory(w->ctx, w->name, sizeof *x);
    }
    m->n++;
    x->irregular = to == NULL;
    if (to) x->to = *to;
    if (to && from) x->from = *from;
    xn_slab_simplify(&x->to);
    xn_slab_simplify(&x->from);
    return XANI_OK;
}

static xani_status unequal(work *w, const char *path, const char *dataset)
{
    return xn_fail(w->ctx, XANI_ERR_INPUT, "%s: %s: source %s: %s: has not the shape that is mapped", w->file->path,
                   w->name, path, dataset);
}

static xani_status add_checked(work *w, const char *path, const char *dataset, const xn_slab *to, const xn_slab *from)
{
    if (!xn_slab_inside(to, w->rank, w->dims)) return add(w, path, dataset, NULL, NULL);
    if (path == NULL) return add(w, NULL, dataset, to, to); // its shape is as good as any
    int64_t n = elements(from, 0, from->rank);
    if (n < 0 || n != elements(to, 0, to->rank)) return unequal(w, path, dataset);
    return add(w, path, dataset, to, from);
}

// ---- sources

// The file of the stored name; w->path NULL: there is none.
static xani_status look_up(work *w, const char *stored)
{
    if (w->stored && strcmp(w->stored, stored) == 0) return XANI_OK;
    xn_h5_close(&w->open);
    xn_free(w->stored);
    xn_free(w->path);
    w->path = NULL;
    w->stored = xn_strdup(stored);
    if (w->stored == NULL) return xn_fail_memory(w->ctx, w->name, strlen(stored));
    w->path = xn_virtual_find(w->holder, stored);
    return XANI_OK;
}

static xani_status describe(work *w, const char *dataset, source *s)
{
    memset(s, 0, sizeof *s);
    if (w->path == NULL) return XANI_OK;
    if (w->open == NULL) XN_TRY(xn_h5_open_live(w->ctx, w->path, &w->open));
    if (!xn_h5_exists(w->open, dataset)) return XANI_OK;
    hid_t id = H5I_INVALID_HID;
    int64_t size;
    XN_TRY(xn_h5_dataset(w->ctx, w->open, dataset, &id));
    hid_t space = H5Dget_space(id);
    xani_status st = space < 0 ? xn_h5_fail(w->ctx, w->open, dataset, "its shape cannot be read")
                               : xn_h5_shape(w->ctx, w->open, dataset, space, &s->rank, s->dims, &size);
    if (space >= 0) H5Sclose(space);
    H5Dclose(id);
    s->there = st == XANI_OK;
    return st;
}

static xani_status missing(work *w, const char *stored, const char *dataset)
{
    if (w->path == NULL)
        return xn_fail(w->ctx, XANI_ERR_INPUT, "%s: %s: source %s of this virtual dataset is missing", w->file->path,
                       w->name, stored);
    return xn_fail(w->ctx, XANI_ERR_INPUT, "%s: %s: source %s of this virtual dataset has no %s", w->file->path,
                   w->name, w->path, dataset);
}

// ---- the kinds of mappings

static xani_status map_limited(work *w, const char *stored, const char *dataset, const xn_entry *e)
{
    XN_TRY(look_up(w, stored));
    if (e->to.kind == XN_PICK_NONE || e->from.kind == XN_PICK_NONE) return XANI_OK;
    xn_slab to = e->to.slab, from = e->from.slab;
    if (e->to.kind == XN_PICK_ALL) whole(w->rank, w->dims, &to);
    if (elements(&to, 0, to.rank) == 0 && e->to.kind != XN_PICK_OTHER) return XANI_OK;
    source s = {.there = w->path != NULL};
    if (s.there && (w->fill || e->from.kind == XN_PICK_ALL)) XN_TRY(describe(w, dataset, &s));
    if (!s.there && !w->fill) return missing(w, stored, dataset);
    const char *path = s.there ? w->path : NULL;
    if (e->to.kind == XN_PICK_OTHER || e->from.kind == XN_PICK_OTHER) return add(w, path, dataset, NULL, NULL);
    if (e->from.kind == XN_PICK_ALL) whole(s.rank, s.dims, &from);
    return add_checked(w, path, dataset, &to, &from);
}

static xani_status map_unlimited(work *w, const char *stored, const char *dataset, const xn_entry *e)
{
    source s;
    XN_TRY(look_up(w, stored));
    XN_TRY(describe(w, dataset, &s));
    if (!s.there) return w->fill ? XANI_OK : missing(w, stored, dataset); // no extent, so nothing is mapped
    const xn_slab *to = &e->to.slab, *from = &e->from.slab;
    int kt = e->to.unlimited, kf = e->from.unlimited;
    if (s.rank != from->rank) return unequal(w, w->path, dataset);
    int64_t n = xn_min64(slices(from, kf, s.dims[kf]), slices(to, kt, w->dims[kt])); // one may have grown since
    int64_t at = 0, pieces = 0;
    int64_t inner = elements(to, kt + 1, to->rank);
    bool splits = inner > 0 && inner == elements(from, kf + 1, from->rank);
    while (at < n) {
        int64_t length = n - at, before;
        do {
            before = length;
            length = regular(from, kf, at, regular(to, kt, at, length));
        } while (length != before);
        if ((length < n && !splits) || ++pieces > PIECES_MAX) return add(w, w->path, dataset, NULL, NULL);
        xn_slab a = *to, b = *from;
        cut(&a, kt, at, length);
        cut(&b, kf, at, length);
        XN_TRY(add_checked(w, w->path, dataset, &a, &b));
        at += length;
    }
    return XANI_OK;
}

// Source j of a series: its names, and whether it is there.
static xani_status member(work *w, const xn_entry *e, int64_t j, char **dataset, source *s)
{
    char *stored = xn_virtual_name(e->file, j);
    *dataset = xn_virtual_name(e->dataset, j);
    xani_status st = stored && *dataset ? look_up(w, stored) : xn_fail_memory(w->ctx, w->name, 1);
    xn_free(stored);
    if (st == XANI_OK) st = describe(w, *dataset, s);
    if (st != XANI_OK) xn_free(*dataset), *dataset = NULL;
    return st;
}

// Where block j begins. False: beyond all numbers.
static bool block_start(const xn_slab *s, int k, int64_t j, int64_t *at)
{
    int64_t ahead;
    return !__builtin_mul_overflow(j, s->stride[k], &ahead) && !__builtin_add_overflow(s->start[k], ahead, at);
}

// Member j is missing. That ends the series, unless elements of it are wanted or a later one is there.
static xani_status check_end(work *w, const xn_entry *e, int64_t j, const char *dataset)
{
    int k = e->to.unlimited;
    int64_t at;
    bool wanted = j == 0 || (block_start(&e->to.slab, k, j, &at) && at < w->dims[k]);
    char *stored = xn_virtual_name(e->file, j);
    xani_status st = stored ? XANI_OK : xn_fail_memory(w->ctx, w->name, 1);
    if (st == XANI_OK && wanted) st = missing(w, stored, dataset);
    for (int64_t later = j + 1; later <= j + LOOK_AHEAD && st == XANI_OK && !wanted; later++) {
        source s;
        char *other = NULL;
        st = member(w, e, later, &other, &s);
        if (st == XANI_OK && s.there)
            st = xn_fail(w->ctx, XANI_ERR_INPUT,
                         "%s: %s: source %s: %s of this virtual dataset is missing, but %s: %s "
                         "is there",
                         w->file->path, w->name, stored, dataset, w->path, other);
        xn_free(other);
    }
    xn_free(stored);
    return st;
}

static xani_status map_series(work *w, const xn_entry *e)
{
    int k = e->to.unlimited;
    source first = {0};
    bool numbered = xn_virtual_numbered(e->file) || xn_virtual_numbered(e->dataset);
    if (!numbered || e->to.slab.block[k] == XN_UNLIMITED || e->from.kind == XN_PICK_OTHER)
        return add(w, NULL, e->dataset, NULL, NULL);
    for (int64_t j = 0;; j++) {
        source s;
        char *dataset;
        xn_slab to = e->to.slab, from = e->from.slab;
        XN_TRY(member(w, e, j, &dataset, &s));
        xani_status st = XANI_OK;
        if (!s.there) {
            if (!w->fill) st = check_end(w, e, j, dataset);
            xn_free(dataset);
            return st;
        }
        if (j == 0) first = s;
        if (e->from.kind == XN_PICK_ALL) whole(first.rank, first.dims, &from);
        to.count[k] = 1;
        // Beyond the extent: it has appeared since that was asked for.
        bool far = !block_start(&e->to.slab, k, j, &to.start[k]) || to.start[k] > w->dims[k] - to.block[k];
        if (!far && e->from.kind != XN_PICK_NONE) st = add_checked(w, w->path, dataset, &to, &from);
        xn_free(dataset);
        if (st != XANI_OK || far) return st;
    }
}

static xani_status map_named(work *w, const char *stored, const char *dataset, const xn_entry *e)
{
    return e->to.unlimited >= 0 ? map_unlimited(w, stored, dataset, e) : map_limited(w, stored, dataset, e);
}

static xani_status map_entry(work *w, const xn_entry *e)
{
    if (e->to.unlimited >= 0 && e->from.unlimited < 0) return map_series(w, e);
    if (strchr(e->file, '%') == NULL && strchr(e->dataset, '%') == NULL)
        return map_named(w, e->file, e->dataset, e); // thousands of names need no copies
    char *stored = xn_virtual_name(e->file, 0), *dataset = xn_virtual_name(e->dataset, 0);
    xani_status st =
        stored == NULL || dataset == NULL ? xn_fail_memory(w->ctx, w->name, 1) : map_named(w, stored, dataset, e);
    xn_free(stored);
    xn_free(dataset);
    return st;
}

static xani_status map_all(work *w, hid_t dataset, hid_t created)
{
    xn_virtual_list list;
    xani_status st = XANI_OK;
    if (!xn_virtual_list_open(&list, w->holder, dataset, created))
        return xn_h5_fail(w->ctx, w->file, w->name, "its virtual sources cannot be listed");
    for (size_t i = 0; i < list.n && st == XANI_OK; i++) {
        xn_entry e;
        if (xn_virtual_list_next(&list, &e))
            st = map_entry(w, &e);
        else
            st = list.no_memory ? xn_fail_memory(w->ctx, w->name, 1)
                                : xn_h5_fail(w->ctx, w->file, w->name, "a mapping of it cannot be read");
    }
    xn_virtual_list_close(&list);
    return st;
}

xani_status xn_virtual_mappings(xn_ctx *ctx, const xn_h5 *file, const char *name, hid_t dataset, bool fill,
                                xn_mappings *mappings)
{
    memset(mappings, 0, sizeof *mappings);
    char holder[4096]; // behind an external link another file holds the virtual dataset
    if (H5Fget_name(dataset, holder, sizeof holder) <= 0) return xn_h5_fail(ctx, file, name, "its file has no name");
    work w = {.ctx = ctx, .file = file, .name = name, .holder = holder, .fill = fill, .out = mappings};
    int64_t size;
    hid_t space = H5Dget_space(dataset), created = H5Dget_create_plist(dataset);
    xani_status st = space < 0 || created < 0 ? xn_h5_fail(ctx, file, name, "it cannot be described")
                                              : xn_h5_shape(ctx, file, name, space, &w.rank, w.dims, &size);
    if (st == XANI_OK) st = map_all(&w, dataset, created);
    if (created >= 0) H5Pclose(created);
    if (space >= 0) H5Sclose(space);
    xn_h5_close(&w.open);
    xn_free(w.stored);
    xn_free(w.path);
    if (st != XANI_OK) xn_mappings_free(mappings);
    return st;
}

void xn_mappings_free(xn_mappings *mappings)
{
    for (int64_t i = 0; i < mappings->n; i++) {
        xn_free(mappings->list[i].path);
        xn_free(mappings->list[i].dataset);
    }
    xn_free(mappings->list);
    memset(mappings, 0, sizeof *mappings);
}
