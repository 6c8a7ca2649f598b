// SPDX-License-Identifier: BSD-3-Clause
// pieces_read.c -- pieces read by any number of threads: plain reads, decoded in the thread that reads.
//
// What a thread decodes with is kept from call to call; there are as many as ever decoded at once.
#include <string.h>

#include "io/convert.h"
#include "io/pieces_parts.h"

static xn_hand *take_hand(xn_pieces *p)
{
    pthread_mutex_lock(&p->lock);
    xn_hand *h = p->idle;
    if (h != NULL) p->idle = h->next;
    pthread_mutex_unlock(&p->lock);
    if (h != NULL) return h;
    h = xn_calloc(1, sizeof *h);
    if (h == NULL) return NULL;
    h->codec = xn_codec_open();
    h->bytes = xn_alloc(p->largest, 1);
    h->block = xn_alloc((size_t)p->chunk_rows, p->row_bytes);
    if (h->codec != NULL && h->bytes != NULL && h->block != NULL) return h;
    xn_hand_free(h);
    return NULL;
}

static void give_hand(xn_pieces *p, xn_hand *h)
{
    pthread_mutex_lock(&p->lock);
    h->next = p->idle;
    p->idle = h;
    pthread_mutex_unlock(&p->lock);
}

static xani_status read_chunk(xn_ctx *ctx, xn_pieces *p, const xn_piece *q, int k, xn_hand *h, uint8_t *dst)
{
    const xn_stored *c = &p->chunk[q->at + k];
    size_t whole = (size_t)p->chunk_rows * p->row_bytes, first = (size_t)k * whole;
    size_t wanted = p->info.bytes - first < whole ? p->info.bytes - first : whole;
    xn_file *file = p->file[q->file];
    uint8_t *to = wanted == whole ? dst + first : h->block;
    int error = xn_file_read(file, c->offset, h->bytes, c->bytes);
    if (error) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", xn_file_path(file), xn_read_why(error));
    const char *why = xn_pipeline_decode(h->codec, &p->pipeline, c->mask, h->bytes, c->bytes, to, whole);
    if (why == xn_codec_no_memory) return xn_fail_memory(ctx, xn_file_path(file), whole);
    if (why) return xn_fail(ctx, XANI_ERR_INPUT, "%s: chunk %d: %s", xn_file_path(file), k, why);
    if (to == h->block) memcpy(dst + first, h->block, wanted);
    return XANI_OK;
}

static xani_status read_chunks(xn_ctx *ctx, xn_pieces *p, const xn_piece *q, uint8_t *dst)
{
    xn_hand *h = take_hand(p);
    if (h == NULL) return xn_fail_memory(ctx, "decoding a frame", p->largest);
    xani_status st = XANI_OK;
    for (int k = 0; k < q->n_chunks && st == XANI_OK; k++) st = read_chunk(ctx, p, q, k, h, dst);
    give_hand(p, h);
    return st;
}

static xani_status read_other(xn_ctx *ctx, xn_array *array, xn_type type, void *dst)
{
    xn_selection all;
    xn_selection_all(array, &all);
    return xn_array_read(ctx, array, &all, type, dst, 1);
}

xani_status xn_pieces_read(xn_ctx *ctx, xn_pieces *p, int64_t index, void *dst)
{
    const xn_piece *q = &p->piece[index];
    if (q->kind == XN_PIECE_OTHER) return read_other(ctx, p->other[q->at], p->info.type, dst);
    if (q->kind == XN_PIECE_IN_CHUNKS) XN_TRY(read_chunks(ctx, p, q, dst));
    if (q->kind == XN_PIECE_IN_MEMORY) memcpy(dst, p->memory + q->at, p->info.bytes);
    int error = q->kind == XN_PIECE_AT ? xn_file_read(p->file[q->file], q->at, dst, p->info.bytes) : 0;
    if (error) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", xn_file_path(p->file[q->file]), xn_read_why(error));
    if (p->swap) xn_swap_bytes(dst, p->info.bytes / p->elem, p->elem);
    return XANI_OK;
}
