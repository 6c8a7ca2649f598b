// SPDX-License-Identifier: BSD-3-Clause
// pieces.c -- see pieces.h.
//
// The library is asked as little as possible for each dataset: its type and shape, to compare, and the offset that it
// gives of contiguous ones alone.  Only where there is no offset it is asked for the layout, and the chunks of whole
// rows and their filters are noted.
#include <stdio.h>
#include <string.h>

#include "io/pieces_parts.h"
#include "io/plugin.h"
#include "io/worker/worker.h"

enum { CHUNKS_MOST = 64 }; // of a piece; one with more is an array of its own

typedef struct {
    xn_ctx *ctx;
    xn_pieces *p;
    const xn_h5 *h5;
    const char *path; // of the dataset, for messages
    hid_t dataset;
    int32_t file;
} adding;

xani_status xn_pieces_open(xn_ctx *ctx, const xn_array_options *how, xn_pieces **pieces)
{
    xn_pieces *p = *pieces = xn_calloc(1, sizeof *p);
    if (p == NULL) return xn_fail_memory(ctx, "pieces of frames", sizeof *p);
    if (how != NULL) p->how = *how;
    p->info.rank = -1;
    p->info.filters = p->filters;
    p->type = H5I_INVALID_HID;
    pthread_mutex_init(&p->lock, NULL);
    return XANI_OK;
}

void xn_hand_free(xn_hand *h)
{
    if (h == NULL) return;
    xn_codec_close(&h->codec);
    xn_free(h->bytes);
    xn_free(h->block);
    xn_free(h);
}

void xn_pieces_close(xn_pieces **pieces)
{
    xn_pieces *p = *pieces;
    *pieces = NULL;
    if (p == NULL) return;
    for (xn_hand *h = p->idle, *next; h != NULL; h = next) {
        next = h->next;
        xn_hand_free(h);
    }
    for (int i = 0; i < p->n_files; i++) xn_file_close(&p->file[i]);
    for (int64_t i = 0; i < p->info.others; i++) xn_array_close(&p->other[i]);
    xn_hdf_guard guard = xn_hdf_enter();
    if (p->type >= 0) H5Tclose(p->type);
    xn_hdf_leave(guard);
    pthread_mutex_destroy(&p->lock);
    void *all[] = {p->file, p->piece, p->chunk, p->memory, p->other, p};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
}

const xn_pieces_info *xn_pieces_get_info(const xn_pieces *pieces) { return &pieces->info; }

// Room for one more of `n`; lists double.
static xani_status room_for(xn_ctx *ctx, void **list, int64_t *room, int64_t n, size_t size)
{
    if (n < *room) return XANI_OK;
    int64_t more = *room > 0 ? 2 * *room : 64;
    void *p = xn_realloc(*list, (size_t)more, size);
    if (p == NULL) return xn_fail_memory(ctx, "pieces of frames", (size_t)more * size);
    *list = p;
    *room = more;
    return XANI_OK;
}

// ---- one dataset

static xani_status take_type(const adding *a, hid_t type, int rank, const int64_t *dims)
{
    xn_pieces *p = a->p;
    xn_pieces_info *info = &p->info;
    info->type = xn_hdf_type(type);
    p->elem = xn_type_size(info->type);
    if (p->elem == 0)
        return xn_fail(a->ctx, XANI_ERR_INPUT, "%s: %s: holds %s, not numbers xani can read", a->h5->path, a->path,
                       xn_hdf_class_name(type));
    p->swap = p->elem > 1 && H5Tget_order(type) == H5T_ORDER_BE;
    info->rank = rank;
    memcpy(info->dims, dims, sizeof info->dims);
    info->bytes = p->row_bytes = p->elem;
    for (int k = 0; k < rank; k++) info->bytes *= (size_t)dims[k];
    for (int k = 1; k < rank; k++) p->row_bytes *= (size_t)dims[k];
    p->type = H5Tcopy(type);
    return info->bytes > 0 ? XANI_OK : xn_fail(a->ctx, XANI_ERR_INPUT, "%s: %s: has no elements", a->h5->path, a->path);
}

// Of the same type and shape as the others; *plain: a byte swap decodes it.
static xani_status compare(const adding *a, bool *plain)
{
    xn_pieces *p = a->p;
    int rank = 0;
    int64_t dims[XANI_MAX_RANK] = {0}, size = 0;
    hid_t type = H5Dget_type(a->dataset), space = H5Dget_space(a->dataset);
    xani_status st = type < 0 || space < 0 ? xn_h5_fail(a->ctx, a->h5, a->path, "cannot be described")
                                           : xn_h5_shape(a->ctx, a->h5, a->path, space, &rank, dims, &size);
    if (st == XANI_OK && p->info.rank < 0) st = take_type(a, type, rank, dims);
    bool same = st == XANI_OK && rank == p->info.rank && memcmp(dims, p->info.dims, sizeof dims) == 0 &&
                xn_hdf_type(type) == p->info.type;
    if (st == XANI_OK && !same) {
        char here[128], before[128];
        st = xn_fail(a->ctx, XANI_ERR_INPUT, "%s: %s is %s of shape %s; those before it are %s of shape %s",
                     a->h5->path, a->path, xn_type_name(xn_hdf_type(type)), xn_shape_text(here, rank, dims),
                     xn_type_name(p->info.type), xn_shape_text(before, p->info.rank, p->info.dims));
    }
    *plain = same && xn_hdf_type_plain(type) && H5Tequal(type, p->type) > 0;
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return st;
}

static xani_status add_other(const adding *a, xn_piece *q)
{
    xn_pieces *p = a->p;
    XN_TRY(room_for(a->ctx, (void **)&p->other, &p->others_room, p->info.others, sizeof(xn_array *)));
    q->kind = XN_PIECE_OTHER;
    q->at = p->info.others;
    XN_TRY(xn_array_open(a->ctx, (const char *const *)&a->h5->path, 1, a->path, &p->how, &p->other[q->at]));
    p->info.others++;
    return XANI_OK;
}

static xani_status add_compact(const adding *a, xn_piece *q)
{
    xn_pieces *p = a->p;
    if (H5Dget_storage_size(a->dataset) < p->info.bytes) return add_other(a, q); // says what is wrong
    uint8_t *more = xn_realloc(p->memory, p->memory_bytes + p->info.bytes, 1);
    if (more == NULL) return xn_fail_memory(a->ctx, a->path, p->info.bytes);
    p->memory = more;
    q->kind = XN_PIECE_IN_MEMORY;
    q->at = (int64_t)p->memory_bytes;
    if (H5Dread(a->dataset, p->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, more + p->memory_bytes) < 0)
        return xn_h5_fail(a->ctx, a->h5, a->path, "cannot be read");
    p->memory_bytes += p->info.bytes;
    return XANI_OK;
}

static bool same_filters(const xn_pipeline *a, const xn_pipeline *b)
{
    bool same = a->n == b->n;
    for (int i = 0; same && i < a->n; i++)
        same = a->filter[i].id == b->filter[i].id && a->filter[i].n_values == b->filter[i].n_values &&
               memcmp(a->filter[i].values, b->filter[i].values, a->filter[i].n_values * sizeof(unsigned)) == 0;
    return same;
}

// Chunks of whole rows, filtered as those of the first such piece; false: an array of its own can read it.
static bool usual_chunks(const adding *a, hid_t created, hsize_t *n)
{
    xn_pieces *p = a->p;
    hsize_t chunk[H5S_MAX_RANK];
    xn_pipeline pipeline;
    if (p->info.rank < 1 || H5Pget_chunk(created, H5S_MAX_RANK, chunk) != p->info.rank || chunk[0] == 0) return false;
    for (int k = 1; k < p->info.rank; k++)
        if ((int64_t)chunk[k] != p->info.dims[k]) return false;
    *n = ((hsize_t)p->info.dims[0] + chunk[0] - 1) / chunk[0];
    xn_pipeline_get(created, &pipeline);
    if (*n > CHUNKS_MOST || !pipeline.known) return false;
    if (p->chunk_rows == 0) {
        if (!xn_plugin_agrees(a->dataset, &pipeline)) return false;
        p->chunk_rows = (int64_t)chunk[0];
        p->pipeline = pipeline;
        xn_h5_filters(a->dataset, p->filters, sizeof p->filters);
    }
    return p->chunk_rows == (int64_t)chunk[0] && same_filters(&p->pipeline, &pipeline);
}

// Notes where its n chunks lie. *found: all of them are there.
static xani_status note_chunks(const adding *a, hid_t space, hsize_t n, xn_piece *q, bool *found)
{
    xn_pieces *p = a->p;
    hsize_t have = 0, at[H5S_MAX_RANK], bytes = 0;
    haddr_t address = 0;
    unsigned mask = 0;
    int64_t first = p->n_chunks, size = xn_file_bytes(p->file[a->file]);
    *found = H5Dget_num_chunks(a->dataset, space, &have) >= 0 && have == n;
    for (hsize_t i = 0; i < n && *found; i++) {
        XN_TRY(room_for(a->ctx, (void **)&p->chunk, &p->chunks_room, p->n_chunks, sizeof *p->chunk));
        *found = H5Dget_chunk_info(a->dataset, space, i, at, &mask, &address, &bytes) >= 0 &&
                 at[0] == i * (hsize_t)p->chunk_rows && bytes > 0 && bytes < UINT32_MAX && bytes <= (hsize_t)size &&
                 address <= (hsize_t)size - bytes;
        if (!*found) break;
        p->chunk[p->n_chunks++] = (xn_stored){(int64_t)address, (uint32_t)bytes, mask};
        p->largest = (size_t)xn_max64((int64_t)p->largest, (int64_t)bytes);
    }
    q->kind = XN_PIECE_IN_CHUNKS;
    q->at = first;
    q->n_chunks = (uint8_t)n;
    if (!*found) p->n_chunks = first;
    return XANI_OK;
}

static bool has_user_block(hid_t file)
{
    hsize_t base = 1;
    hid_t made = H5Fget_create_plist(file);
    if (made >= 0) H5Pget_userblock(made, &base);
    if (made >= 0) H5Pclose(made);
    return base != 0;
}

// Not contiguous, or never written.
static xani_status add_unusual(const adding *a, bool plain, xn_piece *q)
{
    hid_t created = H5Dget_create_plist(a->dataset);
    if (created < 0) return xn_h5_fail(a->ctx, a->h5, a->path, "its layout cannot be read");
    H5D_layout_t layout = H5Pget_layout(created);
    hsize_t n = 0;
    bool compact = layout == H5D_COMPACT && plain;
    bool chunks = layout == H5D_CHUNKED && plain && !has_user_block(a->h5->id) && usual_chunks(a, created, &n);
    H5Pclose(created);
    if (compact) return add_compact(a, q);
    if (!chunks) return add_other(a, q);
    hid_t space = H5Dget_space(a->dataset);
    xani_status st = note_chunks(a, space, n, q, &chunks);
    if (space >= 0) H5Sclose(space);
    return st == XANI_OK && !chunks ? add_other(a, q) : st;
}

static xani_status add_dataset(const adding *a, int64_t *index)
{
    xn_pieces *p = a->p;
    bool plain = false;
    XN_TRY(compare(a, &plain));
    XN_TRY(room_for(a->ctx, (void **)&p->piece, &p->room, p->info.n, sizeof *p->piece));
    xn_piece q = {.file = a->file, .kind = XN_PIECE_AT};
    haddr_t offset = plain ? H5Dget_offset(a->dataset) : HADDR_UNDEF;
    hsize_t bytes = H5Dget_storage_size(a->dataset);
    q.at = (int64_t)offset;
    if (offset == HADDR_UNDEF)
        XN_TRY(add_unusual(a, plain, &q));
    else if (bytes != p->info.bytes || (int64_t)(offset + bytes) > xn_file_bytes(p->file[a->file]))
        return xn_fail(a->ctx, XANI_ERR_INPUT, "%s: %s: reaches beyond the end of the file (truncated)", a->h5->path,
                       a->path);
    p->info.stored_bytes += (int64_t)bytes;
    *index = p->info.n;
    p->piece[p->info.n++] = q;
    return XANI_OK;
}

// ---- those of a group

// Number of the file, added when new.
static xani_status file_of(xn_ctx *ctx, xn_pieces *p, const char *path, int32_t *number)
{
    for (int i = 0; i < p->n_files; i++)
        if (strcmp(xn_file_path(p->file[i]), path) == 0) return *number = i, XANI_OK;
    xn_file **list = xn_realloc(p->file, (size_t)p->n_files + 1, sizeof(xn_file *));
    if (list == NULL) return xn_fail_memory(ctx, path, sizeof(xn_file *));
    p->file = list;
    XN_TRY(xn_file_open(ctx, path, &list[p->n_files]));
    *number = p->n_files++;
    return XANI_OK;
}

static xani_status add_all(const adding *given, hid_t group, const char *name, const char *const *names, int64_t n,
                           const char *member, int64_t *index)
{
    xani_status st = XANI_OK;
    for (int64_t i = 0; i < n && st == XANI_OK; i++) {
        char path[1024];
        adding a = *given;
        a.path = path;
        int length = snprintf(path, sizeof path, "%s/%s/%s", name, names[i], member);
        index[i] = -1;
        if (length < 0 || (size_t)length >= sizeof path)
            return xn_fail(a.ctx, XANI_ERR_INPUT, "%s: %s: a name in it is too long", a.h5->path, name);
        a.dataset = H5Dopen2(group, path + strlen(name) + 1, H5P_DEFAULT);
        if (a.dataset < 0) continue;
        if (!a.p->any) xn_filters_make_available(a.dataset);
        a.p->any = true;
        st = add_dataset(&a, &index[i]);
        H5Dclose(a.dataset);
    }
    return st;
}

xani_status xn_pieces_add(xn_ctx *ctx, xn_pieces *p, const xn_h5 *file, const char *group, const char *const *names,
                          int64_t n, const char *member, int64_t *index)
{
    adding a = {.ctx = ctx, .p = p, .h5 = file};
    XN_TRY(file_of(ctx, p, file->path, &a.file));
    XN_TRY(xn_worker_look_all(ctx, file->path, group, member));
    xani_status st;
    xn_hdf_guard guard = xn_hdf_enter();
    hid_t id = H5Gopen2(file->id, group, H5P_DEFAULT);
    if (id < 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: no such group", file->path, group);
    else
        st = add_all(&a, id, group, names, n, member, index);
    if (id >= 0) H5Gclose(id);
    xn_hdf_leave(guard);
    return st;
}
