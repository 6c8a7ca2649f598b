// SPDX-License-Identifier: BSD-3-Clause
// line.c -- see line.h.
#include "reader/line.h"

enum { DEPTH = 4, DEEPEST = 4096 };

void xn_line_close(xn_reader *reader)
{
    xn_line *r = (xn_line *)reader;
    if (r == NULL) return;
    for (int i = 0; r->slots && i < r->base.depth; i++) xn_free(r->slots[i].memory);
    xn_free(r->slots);
    xn_free(r->reads);
    xn_free(r);
}

xn_reader *xn_line_open(const xn_reader_ops *ops, int depth, size_t largest)
{
    depth = depth <= 0 ? DEPTH : depth > DEEPEST ? DEEPEST : depth;
    xn_line *r = xn_calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->base = (xn_reader){ops, depth};
    r->largest = largest;
    r->reads = xn_alloc((size_t)depth, sizeof(xn_read *));
    r->slots = xn_calloc((size_t)depth, sizeof *r->slots);
    if (r->reads == NULL || r->slots == NULL) {
        xn_line_close(&r->base);
        return NULL;
    }
    for (int i = depth - 1; i >= 0; i--) {
        r->slots[i].next = r->free;
        r->free = &r->slots[i];
    }
    return &r->base;
}

bool xn_line_submit(xn_reader *reader, xn_read *read)
{
    xn_line *r = (xn_line *)reader;
    xn_slot *s = r->free;
    if (s == NULL) return false;
    r->free = s->next;
    read->slot = s;
    read->data = NULL;
    read->error = 0;
    r->reads[(r->first + r->n++) % r->base.depth] = read;
    return true;
}

xn_read *xn_line_take(xn_reader *reader)
{
    xn_line *r = (xn_line *)reader;
    if (r->n == 0) return NULL;
    xn_read *read = r->reads[r->first];
    r->first = (r->first + 1) % r->base.depth;
    r->n--;
    return read;
}

void xn_line_release(xn_reader *reader, xn_read *read)
{
    xn_line *r = (xn_line *)reader;
    xn_slot *s = read->slot;
    read->slot = NULL;
    if (s == NULL) return;
    s->next = r->free;
    r->free = s;
}

uint8_t *xn_line_room(xn_reader *reader, const xn_read *read)
{
    xn_slot *s = read->slot;
    if (read->dst != NULL) return read->dst;
    if (s->memory == NULL || s->bytes < read->bytes) {
        const xn_line *r = (const xn_line *)reader;
        xn_free(s->memory);
        s->bytes = read->bytes > r->largest ? read->bytes : r->largest;
        s->memory = xn_alloc(s->bytes, 1);
    }
    return s->memory;
}
