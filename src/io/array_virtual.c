// SPDX-License-Identifier: BSD-3-Clause
// array_virtual.c -- a dataset as boxes of stored ones: virtual datasets are taken apart, nested ones too.
//
// A mapping joins two regular selections element by element, in C order.  Where their extents agree axis by axis (axes
// of extent 1 left out), element i of an axis here is element i of an axis there; each axis is cut into runs that are
// consecutive on both sides, and the boxes are all combinations of runs.  Selections that do not agree in this way,
// irregular ones, and mappings that overlap are left to the library.
#include <stdlib.h>
#include <string.h>

#include "io/array_parts.h"
#include "io/index/virtual.h"

enum { DEEPEST = 8, BOXES_MAX = 50000000, PAIRS_MAX = 100000000 };

xn_part *xn_parts_add(xn_ctx *ctx, xn_parts *p)
{
    if (p->n == p->room) {
        int64_t room = p->room ? 2 * p->room : 4;
        xn_part *more = xn_realloc(p->list, (size_t)room, sizeof *more);
        if (more == NULL) return xn_fail_memory(ctx, "parts of a dataset", (size_t)room * sizeof *more), NULL;
        p->list = more;
        p->room = room;
    }
    xn_part *part = &p->list[p->n++];
    memset(part, 0, sizeof *part);
    for (int k = 0; k < XANI_MAX_RANK; k++) part->axis[k] = -1;
    return part;
}

static xani_status add_store(xn_ctx *ctx, xn_stores *s, xn_store *store)
{
    if (s->n == s->room) {
        int64_t room = s->room ? 2 * s->room : 4;
        xn_store **more = xn_realloc(s->list, (size_t)room, sizeof(void *));
        if (more == NULL) {
            xn_store_close(&store);
            return xn_fail_memory(ctx, "sources of a dataset", (size_t)room * sizeof(void *));
        }
        s->list = more;
        s->room = room;
    }
    s->list[s->n++] = store;
    return XANI_OK;
}

// ---- mappings

// Element i along an axis of a selection.
static int64_t element(const xn_slab *s, int k, int64_t i)
{
    return s->start[k] + i / s->block[k] * s->stride[k] + i % s->block[k];
}

// Elements from i on that follow each other.
static int64_t run_from(const xn_slab *s, int k, int64_t i)
{
    int64_t all = s->count[k] * s->block[k];
    return s->stride[k] == s->block[k] ? all - i : s->block[k] - i % s->block[k];
}

static int64_t extent(const xn_slab *s, int k) { return s->count[k] * s->block[k]; }

// Axes of the source for those of the array; false: they do not agree.
static bool match_axes(const xn_slab *to, const xn_slab *from, int *axis_of_source)
{
    int i = 0;
    for (int k = 0; k < from->rank; k++) {
        axis_of_source[k] = -1;
        if (extent(from, k) == 1) continue;
        while (i < to->rank && extent(to, i) == 1) i++;
        if (i == to->rank || extent(to, i) != extent(from, k)) return false;
        axis_of_source[k] = i++;
    }
    while (i < to->rank && extent(to, i) == 1) i++;
    return i == to->rank;
}

// The box [at, at + n) of the mapped selection, in the source's coordinates `from`, in terms of the source's own parts.
static xani_status place_box(xn_ctx *ctx, const xn_parts *source, const int *axis, int rank, int source_rank,
                             const int64_t *at, const int64_t *n, const int64_t *from, xn_parts *parts)
{
    for (int64_t i = 0; i < source->n; i++) {
        const xn_part *p = &source->list[i];
        int64_t lo[XANI_MAX_RANK] = {0}, count[XANI_MAX_RANK] = {0};
        bool meets = true;
        for (int k = 0; k < source_rank && meets; k++) {
            int64_t length = axis[k] < 0 ? 1 : n[axis[k]];
            lo[k] = xn_max64(from[k], p->at[k]);
            count[k] = xn_min64(from[k] + length, p->at[k] + p->count[k]) - lo[k];
            meets = count[k] > 0;
        }
        if (!meets) continue;
        xn_part *q = xn_parts_add(ctx, parts);
        if (q == NULL) return XANI_ERR_MEMORY;
        q->store = p->store;
        for (int k = 0; k < rank; k++) {
            q->at[k] = at[k];
            q->count[k] = n[k];
        }
        for (int k = 0; k < source_rank; k++) {
            if (axis[k] < 0) continue;
            q->at[axis[k]] = at[axis[k]] + lo[k] - from[k];
            q->count[axis[k]] = count[k];
        }
        for (int k = 0; p->store && k < p->store->rank; k++) { // axis k of the store, axis m of the source
            int m = p->axis[k];
            q->from[k] = p->from[k] + (m < 0 ? 0 : lo[m] - p->at[m]);
            q->axis[k] = m < 0 ? -1 : axis[m];
        }
    }
    return XANI_OK;
}

// All boxes of one mapping. *boxes counts down.
static xani_status place_mapping(xn_ctx *ctx, const xn_mapping *m, const xn_parts *source, const int *axis,
                                 int64_t *boxes, xn_parts *parts)
{
    int source_axis[XANI_MAX_RANK]; // the other way round
    int64_t i[XANI_MAX_RANK] = {0}, n[XANI_MAX_RANK] = {0}, at[XANI_MAX_RANK] = {0}, from[XANI_MAX_RANK] = {0};
    for (int k = 0; k < XANI_MAX_RANK; k++) source_axis[k] = -1;
    for (int k = 0; k < m->from.rank; k++)
        if (axis[k] >= 0) source_axis[axis[k]] = k;
    for (int k = 0; k < m->to.rank; k++)
        if (extent(&m->to, k) == 0) return XANI_OK;
    for (;;) {
        if (--*boxes < 0) return XANI_OK;
        for (int k = 0; k < m->from.rank; k++) from[k] = axis[k] < 0 ? m->from.start[k] : 0;
        for (int k = 0; k < m->to.rank; k++) {
            int s = source_axis[k];
            at[k] = element(&m->to, k, i[k]);
            n[k] = run_from(&m->to, k, i[k]);
            if (s >= 0) {
                n[k] = xn_min64(n[k], run_from(&m->from, s, i[k]));
                from[s] = element(&m->from, s, i[k]);
            }
        }
        XN_TRY(place_box(ctx, source, axis, m->to.rank, m->from.rank, at, n, from, parts));
        int k = m->to.rank - 1;
        while (k >= 0 && (i[k] += n[k]) >= extent(&m->to, k)) i[k--] = 0;
        if (k < 0) return XANI_OK;
    }
}

static xani_status of_path(xn_ctx *ctx, xn_array *a, const char *path, const char *name, int depth, xn_parts *parts,
                           xn_array_info *shape);

// The source of the mapping before is at hand where it is the same.
typedef struct {
    const xn_mapping *of;
    xn_parts parts;
    xn_array_info shape;
} source_parts;

static xani_status find_source(xn_ctx *ctx, xn_array *a, const xn_mapping *m, int depth, source_parts *s)
{
    if (s->of && strcmp(s->of->path, m->path) == 0 && strcmp(s->of->dataset, m->dataset) == 0) return XANI_OK;
    s->parts.n = 0;
    s->of = NULL;
    memset(&s->shape, 0, sizeof s->shape);
    XN_TRY(of_path(ctx, a, m->path, m->dataset, depth + 1, &s->parts, &s->shape));
    s->of = m;
    return XANI_OK;
}

static xani_status place_missing(xn_ctx *ctx, const xn_mapping *m, const int *axis, int64_t *boxes, xn_parts *parts)
{
    xn_part nothing = {.store = NULL}; // as large as the selection may ask for
    for (int k = 0; k < XANI_MAX_RANK; k++) nothing.count[k] = INT64_MAX;
    xn_parts source = {&nothing, 1, 1};
    return place_mapping(ctx, m, &source, axis, boxes, parts);
}

// *simple false: the library has to read it.
static xani_status take_apart(xn_ctx *ctx, xn_array *a, const xn_mappings *list, const xn_array_info *shape, int depth,
                              xn_parts *parts, bool *simple)
{
    source_parts source = {0};
    int64_t boxes = BOXES_MAX;
    xani_status st = XANI_OK;
    for (int64_t i = 0; i < list->n && st == XANI_OK && *simple; i++) {
        const xn_mapping *m = &list->list[i];
        int axis[XANI_MAX_RANK] = {0};
        *simple = !m->irregular && match_axes(&m->to, &m->from, axis);
        if (!*simple) break;
        if (m->path == NULL) {
            st = place_missing(ctx, m, axis, &boxes, parts);
            continue;
        }
        st = find_source(ctx, a, m, depth, &source);
        bool whole =
            source.shape.rank != m->from.rank || xn_slab_inside(&m->from, source.shape.rank, source.shape.dims);
        if (st == XANI_OK && !whole) a->fill_given = false; // what is beyond the source's end was to be data
        *simple = st != XANI_OK || (source.shape.type == shape->type && source.shape.rank == m->from.rank);
        if (st == XANI_OK && *simple) st = place_mapping(ctx, m, &source.parts, axis, &boxes, parts);
        *simple = *simple && boxes >= 0;
    }
    xn_free(source.parts.list);
    return st;
}

static int by_row(const void *a, const void *b)
{
    int64_t x = ((const xn_part *)a)->at[0], y = ((const xn_part *)b)->at[0];
    return (x > y) - (x < y);
}

void xn_parts_sort(xn_part *parts, int64_t n)
{
    if (n > 1) qsort(parts, (size_t)n, sizeof *parts, by_row);
}

// Where mappings overlap, the order in which they count is the library's own affair.
static bool overlapping(xn_part *p, int64_t n, int rank)
{
    int64_t pairs = PAIRS_MAX;
    xn_parts_sort(p, n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n && p[j].at[0] < p[i].at[0] + p[i].count[0]; j++) {
            bool meet = true;
            for (int k = 0; k < rank; k++)
                meet = meet && p[j].at[k] < p[i].at[k] + p[i].count[k] && p[i].at[k] < p[j].at[k] + p[j].count[k];
            if (meet || --pairs < 0) return true;
        }
    return false;
}

static void outline(const xn_store *s, xn_array_info *shape)
{
    shape->type = s->type;
    shape->rank = s->rank;
    shape->layout = s->layout;
    for (int k = 0; k < s->rank; k++) {
        shape->dims[k] = s->dims[k];
        shape->tile[k] = xn_min64(s->block[k], xn_max64(1, s->dims[k]));
    }
}

static xani_status whole_store(xn_ctx *ctx, xn_array *a, xn_h5 *file, const char *name, hid_t dataset, bool library,
                               xn_parts *parts, xn_array_info *shape)
{
    xn_store *s = NULL;
    XN_TRY(xn_store_open(ctx, file, name, dataset, library ? XN_STORE_BY_LIBRARY : XN_STORE_AS_IT_IS, a->options.fill,
                         &s));
    XN_TRY(add_store(ctx, &a->stores, s));
    if (s->kind == XN_STORE_LIBRARY && s->fill_undefined && a->options.fill && a->options.known)
        XN_TRY(xn_h5_complete(ctx, file, name, dataset)); // the library gives whatever was in memory
    xn_part *p = xn_parts_add(ctx, parts);
    if (p == NULL) return XANI_ERR_MEMORY;
    p->store = s;
    for (int k = 0; k < s->rank; k++) {
        p->count[k] = s->dims[k];
        p->axis[k] = k;
    }
    outline(s, shape);
    return XANI_OK;
}

static xani_status of_virtual(xn_ctx *ctx, xn_array *a, xn_h5 *file, const char *name, hid_t dataset, int depth,
                              xn_parts *parts, xn_array_info *shape)
{
    if (depth >= DEEPEST)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: virtual datasets nested too deep", file->path, name);
    int64_t stores = a->stores.n, n = parts->n;
    bool simple = true;
    xn_mappings list = {0};
    xn_store *s = NULL;
    XN_TRY(xn_store_open(ctx, file, name, dataset, XN_STORE_OUTLINE, a->options.fill, &s));
    outline(s, shape);
    if (depth == 0) {
        memcpy(a->fill, s->fill, sizeof a->fill);
        a->fill_given = s->fill_given;
    }
    xn_store_close(&s);
    xani_status st = xn_virtual_mappings(ctx, file, name, dataset, a->options.fill, &list);
    if (st == XANI_OK) st = take_apart(ctx, a, &list, shape, depth, parts, &simple);
    xn_mappings_free(&list);
    simple = simple && (parts->n == n || !overlapping(parts->list + n, parts->n - n, shape->rank));
    if (st != XANI_OK || simple) return st;
    while (a->stores.n > stores) xn_store_close(&a->stores.list[--a->stores.n]);
    parts->n = n;
    return whole_store(ctx, a, file, name, dataset, true, parts, shape);
}

static xani_status of_path(xn_ctx *ctx, xn_array *a, const char *path, const char *name, int depth, xn_parts *parts,
                           xn_array_info *shape)
{
    xn_h5 *file = NULL;
    hid_t dataset = H5I_INVALID_HID, created = H5I_INVALID_HID;
    bool library = a->options.reader && strcmp(a->options.reader, "library") == 0;
    xani_status st = xn_h5_open_live(ctx, path, &file);
    if (st == XANI_OK) st = xn_h5_dataset(ctx, file, name, &dataset);
    if (st == XANI_OK && file->live && H5Drefresh(dataset) < 0) // the library may have it open from before
        st = xn_h5_fail(ctx, file, name, "cannot be looked at again");
    if (st == XANI_OK) created = H5Dget_create_plist(dataset);
    if (st == XANI_OK && created < 0) st = xn_h5_fail(ctx, file, name, "its layout cannot be read");
    if (st == XANI_OK && H5Pget_layout(created) == H5D_VIRTUAL && !library)
        st = of_virtual(ctx, a, file, name, dataset, depth, parts, shape);
    else if (st == XANI_OK)
        st = whole_store(ctx, a, file, name, dataset, library, parts, shape);
    if (created >= 0) H5Pclose(created);
    if (dataset >= 0) H5Oclose(dataset);
    xn_h5_close(&file);
    return st;
}

xani_status xn_parts_of(xn_ctx *ctx, xn_array *a, const char *path, const char *dataset, xn_parts *parts,
                        xn_array_info *shape)
{
    xn_hdf_guard guard = xn_hdf_enter();
    xani_status st = of_path(ctx, a, path, dataset, 0, parts, shape);
    xn_hdf_leave(guard);
    return st;
}
