// SPDX-License-Identifier: BSD-3-Clause
// array_view.c -- rows where they lie: mapped into memory, and asked for ahead of time.
#include <fcntl.h>
#include <string.h>

#include "io/array_parts.h"

bool xn_box_is_run(int rank, const int64_t *n, const int64_t *whole)
{
    int k = rank - 1;
    while (k >= 0 && n[k] == whole[k]) k--;
    for (k--; k >= 0; k--)
        if (n[k] != 1) return false;
    return true;
}

void xn_part_box(const xn_part *p, const int64_t *lo, const int64_t *n, int64_t *store_lo, int64_t *store_n)
{
    for (int k = 0; k < p->store->rank; k++) {
        int axis = p->axis[k];
        store_lo[k] = p->from[k] + (axis < 0 ? 0 : lo[axis] - p->at[axis]);
        store_n[k] = axis < 0 ? 1 : n[axis];
    }
}

const xn_part *xn_part_row(const xn_array *a, int64_t row, int64_t *lo, int64_t *n)
{
    int64_t from[XANI_MAX_RANK] = {row}, count[XANI_MAX_RANK] = {1};
    for (int k = 1; k < a->info.rank; k++) count[k] = a->info.dims[k];
    for (int64_t i = xn_parts_first(a, row); i < a->parts.n && a->parts.list[i].at[0] <= row; i++) {
        const xn_part *p = &a->parts.list[i];
        if (row >= p->at[0] + p->count[0]) continue;
        for (int k = 1; k < a->info.rank; k++)
            if (p->count[k] != a->info.dims[k]) return NULL;
        if (p->store) xn_part_box(p, from, count, lo, n);
        return p->store ? p : NULL;
    }
    return NULL;
}

int64_t xn_part_run(const xn_store *s, const int64_t *lo, const int64_t *n)
{
    int64_t first = 0, block = 0, at[XANI_MAX_RANK] = {0};
    if (s->kind == XN_STORE_CONTIGUOUS) {
        if (s->offset < 0 || !xn_box_is_run(s->rank, n, s->dims)) return -1;
        for (int k = 0; k < s->rank; k++) first = first * s->dims[k] + lo[k];
        return s->offset + first * (int64_t)s->elem;
    }
    if (s->kind != XN_STORE_CHUNKED || s->pipeline.n > 0 || !xn_box_is_run(s->rank, n, s->block)) return -1;
    for (int k = 0; k < s->rank; k++) {
        at[k] = lo[k] % s->block[k];
        block = block * s->grid[k] + lo[k] / s->block[k];
        first = first * s->block[k] + at[k];
        if (at[k] + n[k] > s->block[k]) return -1;
    }
    xn_place place = xn_store_place(s, block);
    return place.bytes == s->block_bytes ? place.offset + first * (int64_t)s->elem : -1;
}

const void *xn_array_view(xn_array *a, int64_t row)
{
    int64_t lo[XANI_MAX_RANK], n[XANI_MAX_RANK], bytes = (int64_t)xn_type_size(a->info.type);
    if (a->info.rank < 1 || row < 0 || row >= a->info.dims[0]) return NULL;
    const xn_part *p = xn_part_row(a, row, lo, n);
    for (int k = 1; k < a->info.rank; k++) bytes *= a->info.dims[k];
    if (p == NULL || p->store->swap) return NULL;
    int64_t offset = xn_part_run(p->store, lo, n), file = xn_file_bytes(p->store->file);
    if (offset < 0 || bytes > file || offset > file - bytes || offset % (int64_t)p->store->elem) return NULL;
    const uint8_t *map = xn_file_map(p->store->file);
    return map ? map + offset : NULL;
}

// ---- ahead of time

// Pieces that follow each other are left to the system's own reading ahead: asked for explicitly, they come in
// small pages and cost three times the processor time (measured on ext4). What helps is to name the jumps.
static void ask(const xn_store *s, xn_place place)
{
    static _Thread_local const xn_file *last_file;
    static _Thread_local int64_t last_end;
    if (place.bytes == 0) return;
    int64_t gap = place.offset - last_end;
    bool follows = s->file == last_file && gap >= 0 && gap < 128 << 10;
    last_file = s->file;
    last_end = place.offset + (int64_t)place.bytes;
    int error, fd = follows ? -1 : xn_file_pin(s->file, &error);
    if (fd < 0) return;
    posix_fadvise(fd, place.offset, (off_t)place.bytes, POSIX_FADV_WILLNEED);
    xn_file_unpin(s->file);
}

void xn_array_prefetch(xn_array *a, const int64_t *list, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t lo[XANI_MAX_RANK] = {0}, count[XANI_MAX_RANK] = {0}, at[XANI_MAX_RANK] = {0}, end[XANI_MAX_RANK] = {0};
        if (a->info.rank < 1 || list[i] < 0 || list[i] >= a->info.dims[0]) continue;
        const xn_part *p = xn_part_row(a, list[i], lo, count);
        if (p == NULL || p->store->kind > XN_STORE_CHUNKED) continue;
        const xn_store *s = p->store;
        for (int k = 0; k < s->rank; k++) {
            at[k] = lo[k] / s->block[k];
            end[k] = (lo[k] + count[k] - 1) / s->block[k];
        }
        for (int k = s->rank - 1; k >= 0;) { // all blocks of the box
            int64_t block = 0;
            for (int j = 0; j < s->rank; j++) block = block * s->grid[j] + at[j];
            ask(s, xn_store_place(s, block));
            for (k = s->rank - 1; k >= 0 && ++at[k] > end[k]; k--) at[k] = lo[k] / s->block[k];
        }
    }
}

// ---- shares

// The row nearest to `row` at which a block of some part begins.
static int64_t nearest_edge(const xn_array *a, int64_t row)
{
    int64_t i = xn_parts_first(a, row);
    if (i >= a->parts.n || a->parts.list[i].at[0] > row) return row; // nothing has it
    const xn_part *p = &a->parts.list[i];
    int64_t begin = p->at[0], end = begin + p->count[0], lower = begin, upper = end;
    for (int k = 0; p->store && k < p->store->rank; k++) {
        if (p->axis[k] != 0) continue;
        int64_t block = p->store->block[k], at = p->from[k] + row - begin;
        lower = xn_max64(begin, begin + at / block * block - p->from[k]);
        upper = xn_min64(end, begin + (at / block + 1) * block - p->from[k]);
    }
    return row - lower <= upper - row ? lower : upper;
}

int64_t xn_array_share(const xn_array *a, int64_t part, int64_t parts)
{
    int64_t rows = a->info.rank > 0 ? a->info.dims[0] : 0;
    if (part <= 0) return 0;
    if (part >= parts) return rows;
    return nearest_edge(a, (int64_t)((__int128)rows * part / parts));
}
