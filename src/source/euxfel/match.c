// SPDX-License-Identifier: BSD-3-Clause
// match.c -- frames of the detector from the frames of its modules: see euxfel.h.
//
// Modules have different sets of trains and different numbers of frames in a train (formats.md 10.2, nos. 2 to 4).  A
// frame of the detector is an id that any module has; a module without it is missing there, and the shot is refused and
// counted.  Ids of a module that come twice make as many frames, which the join then refuses together, because nothing
// says which is right.  A module whose memory cell differs from that of the others has recorded another pulse: it is
// missing too.
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/euxfel.h"

xani_status xn_xf_list_add(xn_ctx *ctx, xn_xf_list *l, const xn_xf_entry *e)
{
    if (l->n == l->room) {
        int64_t more = 2 * l->room + 1024;
        xn_xf_entry *p = xn_realloc(l->entry, (size_t)more, sizeof *p);
        if (p == NULL) return xn_fail_memory(ctx, "the frames of a module", (size_t)more * sizeof *p);
        l->entry = p;
        l->room = more;
    }
    l->entry[l->n++] = *e;
    return XANI_OK;
}

static int by_id(const void *a, const void *b)
{
    const xn_xf_entry *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static void sort_list(xn_xf_list *l)
{
    for (int64_t i = 1; i < l->n; i++)
        if (by_id(&l->entry[i - 1], &l->entry[i]) > 0) {
            qsort(l->entry, (size_t)l->n, sizeof *l->entry, by_id);
            return;
        }
}

// ---- walking all lists at once

typedef struct {
    const xn_xf_list *list;
    const xn_xf_module *module;
    int n;
    int64_t *at; // (n) next entry
} walk;

static bool next_id(const walk *w, uint64_t *id)
{
    bool any = false;
    for (int m = 0; m < w->n; m++) {
        if (w->at[m] >= w->list[m].n) continue;
        uint64_t one = w->list[m].entry[w->at[m]].id;
        if (!any || one < *id) *id = one;
        any = true;
    }
    return any;
}

// Entries of this id in module m.
static int64_t entries(const walk *w, int m, uint64_t id)
{
    int64_t n = 0;
    while (w->at[m] + n < w->list[m].n && w->list[m].entry[w->at[m] + n].id == id) n++;
    return n;
}

// How many frames the id makes.
static int64_t times(const walk *w, uint64_t id)
{
    int64_t most = 0;
    for (int m = 0; m < w->n; m++) most = xn_max64(most, entries(w, m, id));
    return most;
}

static int64_t count_frames(walk *w)
{
    int64_t n = 0;
    uint64_t id = 0;
    while (next_id(w, &id)) {
        n += times(w, id);
        for (int m = 0; m < w->n; m++) w->at[m] += entries(w, m, id);
    }
    memset(w->at, 0, (size_t)w->n * sizeof *w->at);
    return n;
}

// The memory cell most modules have.
static uint16_t common_cell(const walk *w, uint64_t id, int64_t k)
{
    uint16_t best = 0;
    int most = 0;
    for (int m = 0; m < w->n; m++) {
        if (entries(w, m, id) <= k) continue;
        uint16_t cell = w->list[m].entry[w->at[m] + k].cell;
        int votes = 0;
        for (int o = 0; o < w->n; o++) votes += entries(w, o, id) > k && w->list[o].entry[w->at[o] + k].cell == cell;
        if (votes > most) {
            most = votes;
            best = cell;
        }
    }
    return best;
}

// Frame f of d: the k-th of its id.
static void put_frame(const walk *w, uint64_t id, int64_t k, int64_t f, xn_xf_detector *d)
{
    bool complete = true, good = true;
    d->id[f] = id;
    d->cell[f] = common_cell(w, id, k);
    for (int m = 0; m < w->n; m++) {
        int64_t *place = &d->place[f * w->n + m];
        *place = -1;
        const xn_xf_entry *e = entries(w, m, id) > k ? &w->list[m].entry[w->at[m] + k] : NULL;
        if (e != NULL && e->cell == d->cell[f]) *place = (int64_t)e->place;
        if (e != NULL) good = good && e->good;
        complete = complete && (*place >= 0 || w->module[m].absent);
    }
    d->incomplete += !complete;
    d->bad += !good;
    d->refused[f] = !complete ? XN_CUT_MODULE : !good ? XN_CUT_BAD_FRAME : XN_CUT_NONE;
}

static xani_status make_table(xn_ctx *ctx, int64_t n, xn_xf_detector *d)
{
    size_t frames = (size_t)n, modules = (size_t)d->n_modules;
    d->id = xn_alloc(frames, sizeof *d->id);
    d->place = xn_alloc(frames * modules, sizeof *d->place);
    d->refused = xn_alloc(frames, 1);
    d->cell = xn_alloc(frames, sizeof *d->cell);
    if (d->id && d->place && d->refused && d->cell) return XANI_OK;
    return xn_fail_memory(ctx, "the table of frames", frames * (modules + 2) * 8);
}

xani_status xn_xf_match(xn_ctx *ctx, xn_xf_list *list, xn_xf_detector *d)
{
    walk w = {list, d->module, d->n_modules, xn_calloc((size_t)d->n_modules, sizeof(int64_t))};
    if (w.at == NULL) return xn_fail_memory(ctx, "the modules", (size_t)d->n_modules * 8);
    for (int m = 0; m < w.n; m++) sort_list(&list[m]);
    int64_t n = count_frames(&w), f = 0;
    xani_status st = make_table(ctx, n, d);
    uint64_t id = 0;
    while (st == XANI_OK && next_id(&w, &id)) {
        int64_t k = times(&w, id);
        for (int64_t i = 0; i < k; i++) put_frame(&w, id, i, f++, d);
        for (int m = 0; m < w.n; m++) w.at[m] += entries(&w, m, id);
    }
    d->n = f;
    xn_free(w.at);
    return st;
}
