// SPDX-License-Identifier: BSD-3-Clause
// frames.c -- see frames.h: an array whose slowest axis counts frames.
//
// A dataset of rank r >= 2 is (n, h, w) with h the product of the axes between the first and the last, so a
// stack of modules (n, module, y, x) reads as one tall frame.
#include "io/frames.h"

#include "io/array_parts.h"

struct xn_frames {
    xn_frames_info info;
    xn_array *array;
};

void xn_frames_close(xn_frames **frames)
{
    if (frames == NULL || *frames == NULL) return;
    xn_array_close(&(*frames)->array);
    xn_free(*frames);
    *frames = NULL;
}

const xn_frames_info *xn_frames_get_info(const xn_frames *frames) { return &frames->info; }
const xn_array *xn_frames_array(const xn_frames *frames) { return frames->array; }

static xani_status describe(xn_ctx *ctx, const char *path, const char *dataset, xn_frames *f)
{
    const xn_array_info *a = xn_array_get_info(f->array);
    if (a->rank < 2)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: has %d axes; frames need (n, h, w)", path, dataset, a->rank);
    int64_t pixels = 1;
    for (int k = 1; k < a->rank; k++) pixels *= a->dims[k];
    if (pixels == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: its frames have no pixels", path, dataset);
    f->info = (xn_frames_info){.type = a->type,
                               .n = a->dims[0],
                               .h = pixels / a->dims[a->rank - 1],
                               .w = a->dims[a->rank - 1],
                               .frame_bytes = (size_t)pixels * xn_type_size(a->type),
                               .direct = a->direct,
                               .together = a->chunked_rows,
                               .filters = a->filters,
                               .stored_bytes = a->stored_bytes};
    return XANI_OK;
}

xani_status xn_frames_open(xn_ctx *ctx, const char *const *paths, int n_paths, const char *dataset,
                           const xn_array_options *options, xn_frames **frames)
{
    *frames = NULL;
    if (n_paths < 1) return xn_fail(ctx, XANI_ERR_INPUT, "%s: no files", dataset);
    xn_frames *f = xn_calloc(1, sizeof *f);
    if (f == NULL) return xn_fail_memory(ctx, dataset, sizeof *f);
    xani_status st = xn_array_open(ctx, paths, n_paths, dataset, options, &f->array);
    if (st == XANI_OK) st = describe(ctx, paths[0], dataset, f);
    if (st == XANI_OK)
        *frames = f;
    else
        xn_frames_close(&f);
    return st;
}

xani_status xn_frames_open_on(xn_ctx *ctx, const xn_frames *frames, const xn_device_target *target, xn_frames **out)
{
    const xn_array *a = frames->array;
    xn_array_options options = a->options;
    options.device = *target;
    return xn_frames_open(ctx, (const char *const *)a->paths, a->n_paths, a->dataset, &options, out);
}

xani_status xn_frames_read_list(xn_ctx *ctx, xn_frames *frames, const int64_t *list, int64_t n, void *dst, int threads)
{
    xn_selection all;
    xn_selection_all(frames->array, &all);
    all.list = list;
    all.start[0] = 0;
    all.count[0] = n;
    return xn_array_read(ctx, frames->array, &all, frames->info.type, dst, threads);
}

xani_status xn_frames_read(xn_ctx *ctx, xn_frames *frames, int64_t frame, void *dst)
{
    return xn_frames_read_list(ctx, frames, &frame, 1, dst, 1);
}

const void *xn_frames_view(xn_frames *frames, int64_t frame) { return xn_array_view(frames->array, frame); }

void xn_frames_prefetch(xn_frames *frames, const int64_t *list, int64_t n)
{
    xn_array_prefetch(frames->array, list, n);
}
