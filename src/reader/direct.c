// SPDX-License-Identifier: BSD-3-Clause
// direct.c -- see direct.h.
//
// HDF5 aligns nothing unless told to, so a request is widened to whole pages and lands in memory of the reader; where a
// place is given the bytes are copied there, or come straight where offset, length and place are aligned.  That memory
// lies in huge pages: ordinary ones, which the system pins and lists one by one, cost 0.06 CPU seconds per GB where
// huge ones cost 0.008, at half the speed (conditions: choose.c).  The same holds for the places of straight reads.
#include "reader/direct.h"

#include <string.h>
#include <sys/mman.h>

enum {
    PAGE = 4096,
    HUGE_PAGE = 2 << 20,
    LEAST_SHARE = (1 << 20) + PAGE, // what is not used of it is not taken from the system
    BOUNCE = 4 << 20,               // bytes of a request at most that are copied to a place
    REQUEST = 1 << 30               // of any request
};

static uint8_t *huge(uint8_t **raw, size_t bytes)
{
    *raw = xn_alloc(bytes + HUGE_PAGE, 1);
    if (*raw == NULL) return NULL;
    uint8_t *memory = *raw + (HUGE_PAGE - (uintptr_t)*raw % HUGE_PAGE) % HUGE_PAGE;
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

// A share of the memory of all, which the first read sizes, or memory of its own. Reads with a place make do with a
// share.
static bool make_room(xn_direct *d, xn_direct_memory *all, size_t bytes, int index, int n)
{
    if (all->memory == NULL) {
        all->share = bytes > LEAST_SHARE ? bytes : LEAST_SHARE;
        all->memory = huge(&all->raw, (size_t)n * all->share);
        if (all->memory == NULL) return false;
    }
    if (d->memory == NULL) {
        d->memory = all->memory + (size_t)index * all->share;
        d->room = all->share;
    }
    if (d->room >= bytes || d->read->dst) return true;
    xn_free(d->raw);
    d->memory = huge(&d->raw, bytes);
    d->room = d->memory ? bytes : 0;
    return d->memory != NULL;
}

bool xn_direct_start(xn_direct *d, xn_read *read, xn_alignment need, xn_direct_memory *all, int index, int n)
{
    d->read = read;
    d->need = need;
    d->done = 0;
    d->base = need.offset > 0 ? read->offset / PAGE * PAGE : read->offset;
    if (read->dst && need.offset == 0) return true;
    size_t bytes = read->bytes > all->largest ? read->bytes : all->largest;
    if (read->dst && bytes > BOUNCE) bytes = BOUNCE;
    return make_room(d, all, (bytes + PAGE - 1) / PAGE * PAGE + PAGE, index, n);
}

uint8_t *xn_direct_place(const xn_direct *d)
{
    const xn_read *read = d->read;
    return read->dst ? read->dst + d->done : d->memory + (read->offset - d->base) + d->done;
}

void xn_direct_plan(xn_direct *d)
{
    const xn_read *read = d->read;
    int64_t where = read->offset + (int64_t)d->done;
    size_t left = read->bytes - d->done, block = d->need.offset;
    d->at = where;
    d->asked = left;
    d->to = xn_direct_place(d);
    if (block > 0) {
        bool aligned = where % (int64_t)block == 0 && (uintptr_t)d->to % PAGE == 0; // so by intention
        if (read->dst && aligned && (left % block == 0 || left > BOUNCE)) {
            d->asked = left - left % block; // straight
        } else {
            d->at = where / PAGE * PAGE;
            d->asked = ((size_t)(where - d->at) + left + PAGE - 1) / PAGE * PAGE;
            d->to = read->dst ? d->memory : d->memory + (d->at - d->base);
            size_t space = d->room - (size_t)(d->to - d->memory);
            if (d->asked > space) d->asked = space;
        }
    }
    if (d->asked > REQUEST) d->asked = REQUEST;
}

size_t xn_direct_got(xn_direct *d, int got)
{
    const xn_read *read = d->read;
    int64_t where = read->offset + (int64_t)d->done, fresh = d->at + got - where;
    size_t left = read->bytes - d->done, n = fresh <= 0 ? 0 : (size_t)fresh < left ? (size_t)fresh : left;
    bool copied = read->dst && d->need.offset > 0 && d->to == d->memory;
    if (copied && n > 0) memcpy(read->dst + d->done, d->memory + (where - d->at), n);
    d->done += n;
    return n;
}
