// SPDX-License-Identifier: BSD-3-Clause
// frames_read.c -- one frame: read by pread, decoded in the calling thread, put in place.
//
// Scratch holds, in this order, the stored chunk and a decoded chunk where it is not the frame itself; nothing is kept
// in it between calls.  A read that comes back short means that the file was truncated: it is an error naming file and
// frame.
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/frames_dataset.h"

static size_t rounded(size_t n) { return (n + 63) & ~(size_t)63; }

size_t xn_frameset_scratch(const xn_frameset *s)
{
    if (s->kind != XN_CHUNKED) return 0;
    size_t stored = s->pipeline.n > 0 || !s->one_to_one ? rounded(s->largest) : 0;
    size_t decoded = s->one_to_one ? 0 : rounded(s->map.chunk_bytes);
    return stored + decoded;
}

static xani_status fail(xn_ctx *ctx, const xn_frameset *s, int64_t frame, const char *what)
{
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: frame %lld: %s", s->path, s->dataset, (long long)frame, what);
}

static xani_status read_bytes(xn_ctx *ctx, const xn_frameset *s, int64_t frame, int64_t offset, size_t n, uint8_t *dst)
{
    int fd = s->fd >= 0 ? s->fd : open(s->path, O_RDONLY | O_CLOEXEC);
    xani_status st = fd < 0 ? fail(ctx, s, frame, strerror(errno)) : XANI_OK;
    while (st == XANI_OK && n > 0) {
        ssize_t got = pread(fd, dst, n, offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            st = fail(ctx, s, frame, strerror(errno));
        else if (got == 0)
            st = fail(ctx, s, frame, "the file ends before it (truncated)");
        else
            n -= (size_t)got, dst += got, offset += got;
    }
    if (s->fd < 0 && fd >= 0) close(fd);
    return st;
}

static void swap_bytes(uint8_t *p, size_t n, size_t elem)
{
    switch (elem) {
    case 2:
        for (uint16_t *v = (uint16_t *)p, *end = v + n; v < end; v++) *v = __builtin_bswap16(*v);
        break;
    case 4:
        for (uint32_t *v = (uint32_t *)p, *end = v + n; v < end; v++) *v = __builtin_bswap32(*v);
        break;
    case 8:
        for (uint64_t *v = (uint64_t *)p, *end = v + n; v < end; v++) *v = __builtin_bswap64(*v);
        break;
    default:
        break;
    }
}

// Decodes chunk `index` to dst (chunk_bytes); stored: part of the scratch.
static xani_status read_chunk(xn_ctx *ctx, xn_frameset *s, int64_t frame, int64_t index, uint8_t *dst, uint8_t *stored)
{
    const xn_chunk *c = &s->map.table[index];
    if (c->bytes == 0) return fail(ctx, s, frame, "was never written");
    if (s->pipeline.n == 0) {
        if (c->bytes != s->map.chunk_bytes) return fail(ctx, s, frame, "chunk has the wrong size");
        return read_bytes(ctx, s, frame, c->offset, c->bytes, dst);
    }
    XN_TRY(read_bytes(ctx, s, frame, c->offset, c->bytes, stored));
    xn_codec *codec = xn_codec_take(&s->codecs);
    if (codec == NULL) return xn_fail_memory(ctx, s->dataset, 1);
    const char *why = xn_pipeline_decode(codec, &s->pipeline, c->mask, stored, c->bytes, dst, s->map.chunk_bytes);
    xn_codec_give(&s->codecs, &codec);
    if (why == xn_codec_no_memory) return xn_fail_memory(ctx, s->dataset, s->map.chunk_bytes);
    return why ? fail(ctx, s, frame, why) : XANI_OK;
}

// Copies the part of a chunk that lies in the dataset. at: its first element; layer: first frame of dst.
static void place(const xn_frameset *s, const uint8_t *chunk, const int64_t *at, int64_t layer, uint8_t *dst)
{
    int rank = s->rank, last = rank - 1;
    const int64_t *dims = s->dims, *size = s->map.chunk;
    int64_t count[XANI_MAX_RANK] = {0}, i[XANI_MAX_RANK] = {0};
    for (int k = 0; k < rank; k++) count[k] = xn_min64(size[k], dims[k] - at[k]);
    size_t row = (size_t)count[last] * s->elem;
    for (;;) {
        int64_t from = 0, to = 0;
        for (int k = 0; k < rank; k++) {
            from = from * size[k] + i[k];
            to = k == 0 ? at[0] + i[0] - layer : to * dims[k] + at[k] + i[k];
        }
        memcpy(dst + (size_t)to * s->elem, chunk + (size_t)from * s->elem, row);
        int k = last - 1;
        while (k >= 0 && ++i[k] == count[k]) i[k--] = 0;
        if (k < 0) return;
    }
}

// All chunks of layer `group` of the grid to dst, which holds the frames from group * depth on.
static xani_status read_layer(xn_ctx *ctx, xn_frameset *s, int64_t frame, int64_t group, uint8_t *dst, uint8_t *scratch)
{
    const xn_chunk_map *m = &s->map;
    int64_t per_layer = m->n / m->grid[0];
    uint8_t *stored = scratch, *decoded = scratch + rounded(s->largest);
    for (int64_t j = 0; j < per_layer; j++) {
        int64_t at[XANI_MAX_RANK], rest = j;
        for (int k = s->rank - 1; k > 0; k--) {
            at[k] = rest % m->grid[k] * m->chunk[k];
            rest /= m->grid[k];
        }
        at[0] = group * s->depth;
        XN_TRY(read_chunk(ctx, s, frame, group * per_layer + j, decoded, stored));
        place(s, decoded, at, group * s->depth, dst);
    }
    return XANI_OK;
}

static xani_status read_grouped(xn_ctx *ctx, xn_frameset *s, int64_t frame, uint8_t *dst, uint8_t *scratch)
{
    int64_t group = frame / s->depth;
    xn_frame_group *slot = &s->groups[group % XN_GROUPS];
    xani_status st = XANI_OK;
    pthread_mutex_lock(&slot->lock);
    if (slot->frames == NULL) slot->frames = xn_alloc((size_t)s->depth, s->frame_bytes);
    if (slot->frames == NULL) {
        st = xn_fail_memory(ctx, s->dataset, (size_t)s->depth * s->frame_bytes);
    } else if (slot->group != group) {
        slot->group = -1;
        st = read_layer(ctx, s, frame, group, slot->frames, scratch);
        if (st == XANI_OK) slot->group = group;
    }
    if (slot->frames && slot->group == group)
        memcpy(dst, slot->frames + (size_t)(frame % s->depth) * s->frame_bytes, s->frame_bytes);
    pthread_mutex_unlock(&slot->lock);
    return st;
}

static xani_status read_library(xn_ctx *ctx, const xn_frameset *s, int64_t frame, uint8_t *dst)
{
    hsize_t start[XANI_MAX_RANK] = {(hsize_t)frame}, count[XANI_MAX_RANK];
    for (int k = 0; k < s->rank; k++) count[k] = k == 0 ? 1 : (hsize_t)s->dims[k];
    xn_hdf_guard guard = xn_hdf_enter();
    hid_t space = H5Dget_space(s->h5_dataset), memory = H5Screate_simple(s->rank, count, NULL);
    herr_t got = -1;
    if (space >= 0 && memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0)
        got = H5Dread(s->h5_dataset, xn_hdf_native(s->type), memory, space, H5P_DEFAULT, dst);
    char reason[XN_HDF_REASON] = "";
    if (got < 0) xn_hdf_reason(reason);
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    xani_status st = got < 0 ? fail(ctx, s, frame, reason[0] ? reason : "cannot be read")
                             : xn_h5_unchanged(ctx, s->file, s->dataset);
    xn_hdf_leave(guard);
    return st;
}

xani_status xn_frameset_read(xn_ctx *ctx, xn_frameset *s, int64_t frame, uint8_t *dst, uint8_t *scratch)
{
    if (s->kind == XN_LIBRARY) return read_library(ctx, s, frame, dst); // in native order already
    if (s->kind == XN_CONTIGUOUS)
        XN_TRY(read_bytes(ctx, s, frame, s->offset + frame * (int64_t)s->frame_bytes, s->frame_bytes, dst));
    else if (s->one_to_one)
        XN_TRY(read_chunk(ctx, s, frame, frame, dst, scratch));
    else if (s->depth == 1)
        XN_TRY(read_layer(ctx, s, frame, frame, dst, scratch));
    else
        XN_TRY(read_grouped(ctx, s, frame, dst, scratch));
    if (s->swap) swap_bytes(dst, s->frame_bytes / s->elem, s->elem);
    return XANI_OK;
}

void xn_frameset_pieces(const xn_frameset *s, int64_t frame, void (*fn)(int fd, int64_t offset, int64_t bytes))
{
    if (s->fd < 0) return;
    if (s->kind == XN_CONTIGUOUS) fn(s->fd, s->offset + frame * (int64_t)s->frame_bytes, (int64_t)s->frame_bytes);
    if (s->kind != XN_CHUNKED) return;
    int64_t per_layer = s->map.n / s->map.grid[0], group = frame / s->depth;
    for (int64_t j = group * per_layer; j < (group + 1) * per_layer; j++)
        if (s->map.table[j].bytes) fn(s->fd, s->map.table[j].offset, s->map.table[j].bytes);
}

const void *xn_frameset_view(xn_frameset *s, int64_t frame)
{
    int64_t offset = s->offset + frame * (int64_t)s->frame_bytes;
    bool plain = s->kind == XN_CONTIGUOUS;
    if (s->kind == XN_CHUNKED && s->one_to_one && s->pipeline.n == 0) {
        offset = s->map.table[frame].offset;
        plain = s->map.table[frame].bytes == s->frame_bytes;
    }
    bool inside = offset >= 0 && offset <= s->file_bytes - (int64_t)s->frame_bytes;
    if (!plain || s->swap || s->fd < 0 || !inside || offset % (int64_t)s->elem) return NULL;
    uint8_t *view = atomic_load(&s->view);
    if (view == NULL) {
        uint8_t *mine = mmap(NULL, (size_t)s->file_bytes, PROT_READ, MAP_SHARED, s->fd, 0);
        if (mine == MAP_FAILED) return NULL;
        if (atomic_compare_exchange_strong(&s->view, &view, mine))
            view = mine;
        else
            munmap(mine, (size_t)s->file_bytes); // another thread was first
    }
    return view + offset;
}
