// SPDX-License-Identifier: BSD-3-Clause
// pread.c -- reading by pread(2) in the thread that asks: what is in the page cache costs one copy and nothing else.
//
// There is no queue in the system behind it, so a read waits in line until `next` does it.  Memory for reads without a
// place of their own is made when it is first needed, and kept.
#include <errno.h>

#include "reader/internal.h"

enum { DEPTH = 4, DEEPEST = 4096 };

typedef struct slot {
    uint8_t *memory;
    size_t bytes;
    struct slot *next; // free ones
} slot;

typedef struct pread_reader {
    xn_reader base;
    size_t largest;
    int first, n; // reads in line
    xn_read **line;
    slot *slots, *free;
} pread_reader;

static bool works(char why[160])
{
    why[0] = '\0';
    return true;
}

static void close_reader(xn_reader *reader)
{
    pread_reader *r = (pread_reader *)reader;
    if (r == NULL) return;
    for (int i = 0; r->slots && i < r->base.depth; i++) xn_free(r->slots[i].memory);
    xn_free(r->slots);
    xn_free(r->line);
    xn_free(r);
}

static xn_reader *open_reader(int depth, size_t largest)
{
    depth = depth <= 0 ? DEPTH : depth > DEEPEST ? DEEPEST : depth;
    pread_reader *r = xn_calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->base = (xn_reader){&xn_reader_pread, depth};
    r->largest = largest;
    r->line = xn_alloc((size_t)depth, sizeof(xn_read *));
    r->slots = xn_calloc((size_t)depth, sizeof *r->slots);
    if (r->line == NULL || r->slots == NULL) {
        close_reader(&r->base);
        return NULL;
    }
    for (int i = depth - 1; i >= 0; i--) {
        r->slots[i].next = r->free;
        r->free = &r->slots[i];
    }
    return &r->base;
}

static bool submit(xn_reader *reader, xn_read *read)
{
    pread_reader *r = (pread_reader *)reader;
    if (r->free == NULL) return false;
    slot *s = r->free;
    r->free = s->next;
    read->slot = s;
    read->data = NULL;
    read->error = 0;
    r->line[(r->first + r->n++) % r->base.depth] = read;
    return true;
}

static void release(xn_reader *reader, xn_read *read)
{
    pread_reader *r = (pread_reader *)reader;
    slot *s = read->slot;
    read->slot = NULL;
    if (s == NULL) return;
    s->next = r->free;
    r->free = s;
}

// Where the bytes go; NULL: out of memory.
static uint8_t *room(const pread_reader *r, const xn_read *read)
{
    slot *s = read->slot;
    if (read->dst != NULL) return read->dst;
    if (s->memory == NULL || s->bytes < read->bytes) {
        xn_free(s->memory);
        s->bytes = read->bytes > r->largest ? read->bytes : r->largest;
        s->memory = xn_alloc(s->bytes, 1);
    }
    return s->memory;
}

static xn_read *next(xn_reader *reader)
{
    pread_reader *r = (pread_reader *)reader;
    if (r->n == 0) return NULL;
    xn_read *read = r->line[r->first];
    r->first = (r->first + 1) % r->base.depth;
    r->n--;
    uint8_t *to = room(r, read);
    read->error = to ? xn_file_read(read->file, read->offset, to, read->bytes) : ENOMEM;
    read->data = read->error ? NULL : to;
    if (read->dst != NULL) release(reader, read);
    return read;
}

const xn_reader_ops xn_reader_pread = {"pread", works, open_reader, close_reader, submit, next, release};
