// SPDX-License-Identifier: BSD-3-Clause
// frames.c -- see frames.h: files that follow one another, and virtual datasets, as one list of frames.
//
// Every frame is a pair (source, frame in it).  A virtual dataset is taken apart where each mapping selects
// whole frames at regular steps on both sides; the sources of its parts may be virtual again.  Mappings of
// other kinds (tiles of a frame, unlimited selections) are read through the library after their sources were
// looked up, since it would give fill values for what is missing.
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "io/frames_dataset.h"
#include "io/virtual.h"

enum { DEEPEST = 8 };

typedef struct {
    int32_t source; // -1: nothing maps to this frame
    int64_t frame;
} reference;

struct xn_frames {
    xn_frames_info info;
    xn_frameset **source; // pointers: locks inside must not move
    int n_sources, room;
    reference *list;     // [info.n]
    int held, held_most; // descriptors
};

void xn_frames_close(xn_frames **frames)
{
    if (frames == NULL || *frames == NULL) return;
    xn_frames *f = *frames;
    for (int i = 0; i < f->n_sources; i++) {
        xn_frameset_close(f->source[i]);
        xn_free(f->source[i]);
    }
    xn_free(f->source);
    xn_free(f->list);
    xn_free(f);
    *frames = NULL;
}

const xn_frames_info *xn_frames_get_info(const xn_frames *frames) { return &frames->info; }

// A further source, closed; NULL: out of memory, said.
static xn_frameset *new_source(xn_ctx *ctx, xn_frames *f)
{
    if (f->n_sources == f->room) {
        int room = f->room ? 2 * f->room : 16;
        xn_frameset **more = xn_realloc(f->source, (size_t)room, sizeof(void *));
        if (more == NULL) {
            xn_fail_memory(ctx, "list of frame files", (size_t)room * sizeof(void *));
            return NULL;
        }
        f->source = more;
        f->room = room;
    }
    xn_frameset *s = xn_calloc(1, sizeof *s);
    if (s == NULL) {
        xn_fail_memory(ctx, "a frame file", sizeof *s);
        return NULL;
    }
    s->fd = -1;
    s->h5_dataset = H5I_INVALID_HID;
    f->source[f->n_sources++] = s;
    return s;
}

// The frames of one dataset, before they are appended.
typedef struct {
    reference *list;
    int64_t n;
    int rank;
    int64_t dims[XANI_MAX_RANK];
} span;

static xani_status span_make(xn_ctx *ctx, span *sp, int rank, const int64_t *dims, int32_t source)
{
    sp->n = dims[0];
    sp->rank = rank;
    memcpy(sp->dims, dims, (size_t)rank * sizeof *dims);
    sp->list = xn_alloc((size_t)xn_max64(sp->n, 1), sizeof *sp->list);
    if (sp->list == NULL) {
        xn_fail_memory(ctx, "list of frames", (size_t)sp->n * sizeof *sp->list);
        return XANI_ERR_MEMORY;
    }
    for (int64_t i = 0; i < sp->n; i++) sp->list[i] = (reference){source, i};
    return XANI_OK;
}

static xani_status add_path(xn_ctx *ctx, xn_frames *f, const char *path, const char *name, int depth, span *sp);

// ---- virtual datasets

// Frames first, first + step, ... in runs of `block`; whole in all other axes.
typedef struct {
    int64_t first, step, count, block;
} steps;

static bool whole_frames(hid_t space, const int64_t *dims, int rank, steps *s)
{
    hsize_t start[H5S_MAX_RANK], stride[H5S_MAX_RANK], count[H5S_MAX_RANK], block[H5S_MAX_RANK], extent[H5S_MAX_RANK];
    if (H5Sget_simple_extent_dims(space, extent, NULL) != rank) return false;
    if (H5Sget_select_type(space) == H5S_SEL_ALL) return *s = (steps){0, 1, (int64_t)extent[0], 1}, true;
    if (H5Sget_select_type(space) != H5S_SEL_HYPERSLABS || H5Sis_regular_hyperslab(space) <= 0) return false;
    if (H5Sget_regular_hyperslab(space, start, stride, count, block) < 0) return false;
    for (int k = 0; k < rank; k++) {
        if (count[k] == H5S_UNLIMITED || block[k] == H5S_UNLIMITED) return false;
        bool solid = count[k] == 1 || stride[k] == block[k];
        if (k > 0 && !(start[k] == 0 && solid && (int64_t)(count[k] * block[k]) == dims[k])) return false;
    }
    *s = (steps){(int64_t)start[0], (int64_t)stride[0], (int64_t)count[0], (int64_t)block[0]};
    return true;
}

static int64_t step_at(const steps *s, int64_t i) { return s->first + i / s->block * s->step + i % s->block; }

// One mapping; *simple is set to false where it does not select whole frames.
static xani_status map_one(xn_ctx *ctx, xn_frames *f, const xn_virtual_source *source, hid_t created, size_t i,
                           int depth, span *sp, bool *simple)
{
    steps to, from;
    span inner = {0};
    hid_t vspace = H5Pget_virtual_vspace(created, i), sspace = H5Pget_virtual_srcspace(created, i);
    *simple = !source->printf_name && whole_frames(vspace, sp->dims, sp->rank, &to);
    xani_status st = *simple ? add_path(ctx, f, source->path, source->dataset, depth + 1, &inner) : XANI_OK;
    if (*simple && st == XANI_OK) {
        *simple = inner.rank == sp->rank && memcmp(inner.dims + 1, sp->dims + 1, (size_t)(sp->rank - 1) * 8) == 0;
        if (*simple && H5Sget_select_type(sspace) == H5S_SEL_ALL)
            from = (steps){0, 1, inner.n, 1};
        else
            *simple = *simple && whole_frames(sspace, inner.dims, inner.rank, &from);
        int64_t n = *simple ? to.count * to.block : 0;
        *simple = *simple && n == from.count * from.block;
        for (int64_t k = 0; *simple && k < n; k++) {
            int64_t v = step_at(&to, k), s = step_at(&from, k);
            if (v < sp->n) sp->list[v] = s < inner.n ? inner.list[s] : (reference){-1, v};
        }
    }
    if (vspace >= 0) H5Sclose(vspace);
    if (sspace >= 0) H5Sclose(sspace);
    xn_free(inner.list);
    return st;
}

static xani_status map_all(xn_ctx *ctx, xn_frames *f, const xn_h5 *file, const char *name, hid_t dataset, hid_t created,
                           int depth, span *sp, bool *simple)
{
    size_t n = 0;
    if (H5Pget_virtual_count(created, &n) < 0)
        return xn_h5_fail(ctx, file, name, "its virtual sources cannot be listed");
    for (int64_t i = 0; i < sp->n; i++) sp->list[i].source = -1;
    xani_status st = XANI_OK;
    for (size_t i = 0; i < n && st == XANI_OK && *simple; i++) {
        xn_virtual_source source;
        st = xn_virtual_get(ctx, file, name, dataset, created, i, &source);
        if (st == XANI_OK) st = map_one(ctx, f, &source, created, i, depth, sp, simple);
        xn_virtual_free(&source);
    }
    for (int64_t i = 0; i < sp->n && st == XANI_OK && *simple; i++)
        if (sp->list[i].source < 0)
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: frame %lld: no source of this virtual dataset has it",
                         file->path, name, (long long)i);
    return xn_context(ctx, st, "%s: %s", file->path, name);
}

static void drop_sources(xn_frames *f, int from)
{
    while (f->n_sources > from) {
        xn_frameset *s = f->source[--f->n_sources];
        f->held -= s->fd >= 0;
        xn_frameset_close(s);
        xn_free(s);
    }
}

static xani_status add_virtual(xn_ctx *ctx, xn_frames *f, xn_h5 *file, const char *name, hid_t dataset, hid_t created,
                               int depth, span *sp)
{
    if (depth >= DEEPEST)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: virtual datasets nested too deep", file->path, name);
    bool simple = true;
    int before = f->n_sources;
    xn_frameset *s = new_source(ctx, f); // described as any other; used only if the library is to read it
    if (s == NULL) return XANI_ERR_MEMORY;
    XN_TRY(xn_frameset_open(ctx, file, name, dataset, false, s));
    XN_TRY(span_make(ctx, sp, s->rank, s->dims, before));
    XN_TRY(map_all(ctx, f, file, name, dataset, created, depth, sp, &simple));
    if (simple) return XANI_OK;
    drop_sources(f, before + 1);
    for (int64_t i = 0; i < sp->n; i++) sp->list[i] = (reference){before, i};
    return XANI_OK;
}

// ---- any dataset

// A source described before, of the same dataset of the same file (several mappings of one source).
static int find_source(const xn_frames *f, const char *path, const char *name)
{
    for (int i = f->n_sources - 1; i >= 0 && i >= f->n_sources - 4; i--) {
        const xn_frameset *s = f->source[i];
        if (s->path && s->kind != XN_LIBRARY && strcmp(s->path, path) == 0 && strcmp(s->dataset, name) == 0) return i;
    }
    return -1;
}

static xani_status add_dataset(xn_ctx *ctx, xn_frames *f, xn_h5 *file, const char *name, hid_t dataset, int depth,
                               span *sp)
{
    hid_t created = H5Dget_create_plist(dataset);
    if (created < 0) return xn_h5_fail(ctx, file, name, "its layout cannot be read");
    xani_status st;
    if (H5Pget_layout(created) == H5D_VIRTUAL) {
        st = add_virtual(ctx, f, file, name, dataset, created, depth, sp);
    } else {
        int32_t at = f->n_sources;
        xn_frameset *s = new_source(ctx, f);
        st = s ? XANI_OK : XANI_ERR_MEMORY;
        if (s) st = xn_frameset_open(ctx, file, name, dataset, f->held < f->held_most, s);
        if (s) f->held += s->fd >= 0;
        if (s && st == XANI_OK) st = span_make(ctx, sp, s->rank, s->dims, at);
    }
    H5Pclose(created);
    return st;
}

static xani_status add_path(xn_ctx *ctx, xn_frames *f, const char *path, const char *name, int depth, span *sp)
{
    int known = find_source(f, path, name);
    if (known >= 0) return span_make(ctx, sp, f->source[known]->rank, f->source[known]->dims, known);
    xn_h5 *file = NULL;
    hid_t dataset = H5I_INVALID_HID;
    xani_status st = xn_h5_open(ctx, path, &file);
    if (st == XANI_OK) st = xn_h5_dataset(ctx, file, name, &dataset);
    if (st == XANI_OK) st = add_dataset(ctx, f, file, name, dataset, depth, sp);
    if (dataset >= 0) H5Oclose(dataset);
    xn_h5_close(&file);
    return st;
}

// ---- opening

static xani_status append(xn_ctx *ctx, xn_frames *f, const char *path, const char *name, const span *sp)
{
    int64_t pixels = 1;
    for (int k = 1; k < sp->rank; k++) pixels *= sp->dims[k];
    const xn_frameset *s = sp->n > 0 ? f->source[sp->list[0].source] : f->source[f->n_sources - 1];
    int64_t w = sp->dims[sp->rank - 1], h = pixels / w;
    xn_frames_info *info = &f->info;
    if (info->frame_bytes == 0) {
        info->type = s->type;
        info->h = h;
        info->w = w;
        info->frame_bytes = (size_t)pixels * xn_type_size(s->type);
    } else if (info->type != s->type || info->h != h || info->w != w) {
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: frames are %s, %lld x %lld; in the files before %s, %lld x %lld",
                       path, name, xn_type_name(s->type), (long long)h, (long long)w, xn_type_name(info->type),
                       (long long)info->h, (long long)info->w);
    }
    reference *more = xn_realloc(f->list, (size_t)xn_max64(info->n + sp->n, 1), sizeof *more);
    if (more == NULL) return xn_fail_memory(ctx, "list of frames", (size_t)(info->n + sp->n) * sizeof *more);
    f->list = more;
    if (sp->n > 0) memcpy(more + info->n, sp->list, (size_t)sp->n * sizeof *more);
    info->n += sp->n;
    return XANI_OK;
}

// All frames have one type also inside a virtual dataset, whose sources may differ from it.
static xani_status summarise(xn_ctx *ctx, xn_frames *f, const char *name)
{
    xn_frames_info *info = &f->info;
    info->direct = true;
    info->filters = "";
    for (int64_t i = 0; i < info->n; i++) {
        const xn_frameset *s = f->source[f->list[i].source];
        if (s->type != info->type || s->frame_bytes != info->frame_bytes)
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: frames are %s, elsewhere in %s %s", s->path, s->dataset,
                           xn_type_name(s->type), name, xn_type_name(info->type));
        if (s->kind == XN_LIBRARY) info->direct = false;
    }
    for (int i = f->n_sources - 1; i >= 0; i--) {
        const xn_frameset *s = f->source[i];
        info->stored_bytes += s->stored_bytes;
        if (s->filters[0]) info->filters = s->filters;
        size_t scratch = xn_frameset_scratch(s);
        if (scratch > info->scratch_bytes) info->scratch_bytes = scratch;
    }
    return XANI_OK;
}

// Half of the descriptors this process may have, so that others find some.
static int descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 512;
    return (int)xn_min64(512, (int64_t)limit.rlim_cur / 2);
}

xani_status xn_frames_open(xn_ctx *ctx, const char *const *paths, int n_paths, const char *dataset, xn_frames **frames)
{
    *frames = NULL;
    xn_frames *f = xn_calloc(1, sizeof *f);
    if (f == NULL) return xn_fail_memory(ctx, dataset, sizeof *f);
    f->held_most = descriptors();
    xani_status st = n_paths > 0 ? XANI_OK : xn_fail(ctx, XANI_ERR_INPUT, "%s: no files", dataset);
    xn_hdf_guard guard = xn_hdf_enter();
    for (int i = 0; i < n_paths && st == XANI_OK; i++) {
        span sp = {0};
        st = add_path(ctx, f, paths[i], dataset, 0, &sp);
        if (st == XANI_OK) st = append(ctx, f, paths[i], dataset, &sp);
        xn_free(sp.list);
    }
    xn_hdf_leave(guard);
    if (st == XANI_OK) st = summarise(ctx, f, dataset);
    if (st == XANI_OK)
        *frames = f;
    else
        xn_frames_close(&f);
    return st;
}

xani_status xn_frames_read(xn_ctx *ctx, xn_frames *frames, int64_t frame, void *dst, void *scratch)
{
    if (frame < 0 || frame >= frames->info.n)
        return xn_fail(ctx, XANI_ERR_INPUT, "frame %lld wanted, there are %lld", (long long)frame,
                       (long long)frames->info.n);
    const reference *r = &frames->list[frame];
    return xn_frameset_read(ctx, frames->source[r->source], r->frame, dst, scratch);
}

const void *xn_frames_view(xn_frames *frames, int64_t frame)
{
    if (frame < 0 || frame >= frames->info.n) return NULL;
    const reference *r = &frames->list[frame];
    return xn_frameset_view(frames->source[r->source], r->frame);
}

// Pieces that follow each other are left to the system's own reading ahead: asked for explicitly, they come in
// small pages and cost three times the processor time (measured on ext4). What helps is to name the jumps.
static void read_ahead(int fd, int64_t offset, int64_t bytes)
{
    static _Thread_local int last_fd = -1;
    static _Thread_local int64_t last_end;
    int64_t gap = offset - last_end;
    bool follows = fd == last_fd && gap >= 0 && gap < 128 << 10;
    last_fd = fd;
    last_end = offset + bytes;
    if (!follows) posix_fadvise(fd, offset, bytes, POSIX_FADV_WILLNEED);
}

void xn_frames_prefetch(xn_frames *frames, const int64_t *list, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (list[i] < 0 || list[i] >= frames->info.n) continue;
        const reference *r = &frames->list[list[i]];
        xn_frameset_pieces(frames->source[r->source], r->frame, read_ahead);
    }
}
