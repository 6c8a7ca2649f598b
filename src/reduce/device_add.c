// SPDX-License-Identifier: BSD-3-Clause
// device_add.c -- batches to devices, and their sums back: device.h.
//
// A batch is sent without waiting: while the devices add it, the threads of the host read the next one.  Collecting
// goes through two halves of pinned memory, one filled by the copy engine while the other is added; only bins that were
// touched since the last time are copied, and cleared afterwards.
#include <stdio.h>
#include <string.h>

#include "reduce/device.h"

_Static_assert((int)XN_SUM_NONE == (int)XN_FLAG_INVALID && (int)XN_SUM_FULL == (int)XN_FLAG_FULL, "the same bits");

// ---- a device that fails

// Shots of a batch that one device can take, so many that every device that is left can take its share.
static void shrink_batch(xn_sum_devices *s, const xn_source *source)
{
    int64_t shared = (s->room - xn_max64(source->together, 1)) * s->alive;
    if (s->alive > 0) s->batch_frames = xn_min64(s->batch_frames, s->alive > 1 ? xn_max64(s->room, shared) : s->room);
}

xani_status xn_sum_lose(xn_accumulator *a, xn_sum_device *d, const char *why)
{
    xn_sum_devices *s = a->devices;
    for (int64_t i = 0; i < d->n_debt; i++) s->lost[s->n_lost++] = d->debt[i];
    d->n_debt = 0;
    d->lost = true;
    s->alive--;
    shrink_batch(s, a->source);
    xn_sum_device_close(s, d);
    return xn_devices_lost(a->ctx, "reduce", s->choice->devices.asked, d->number, why);
}

// ---- reading straight into devices

void xn_sum_split(const xn_accumulator *a, xn_batch *b)
{
    const xn_sum_devices *s = a->devices;
    int alive[XN_DEVICES_MOST] = {0}, n = 0, now = -1;
    b->direct = s != NULL && s->direct && s->alive > 0 && b->n > 0;
    memset(b->begin, 0, sizeof b->begin);
    memset(b->end, 0, sizeof b->end);
    if (!b->direct) return;
    for (int i = 0; i < s->count; i++)
        if (!s->device[i].lost) alive[n++] = i;
    int64_t together = xn_max64(a->source->together, 1), piece = xn_max64(b->n / (2 * a->threads), 1), start = 0;
    b->n_reads = 0;
    for (int64_t i = 0; i < b->n; i++) {
        int wanted = (int)(i * n / b->n);
        if (i > 0 && b->frame[i] / together == b->frame[i - 1] / together) continue; // of the same chunk
        if (i > 0 && wanted == now && i - start < piece) continue;
        b->reads[b->n_reads++] = (int32_t)i;
        start = i;
        if (wanted == now) continue;
        if (now >= 0) b->end[alive[now]] = i;
        now = wanted;
        b->begin[alive[now]] = i;
    }
    b->end[alive[now]] = b->n;
    b->reads[b->n_reads] = (int32_t)b->n;
}

static xn_sum_device *device_of(const xn_accumulator *a, const xn_batch *b, int64_t frame, int64_t *begin)
{
    int i = 0;
    while (frame < b->begin[i] || frame >= b->end[i]) i++;
    *begin = b->begin[i];
    return &a->devices->device[i];
}

xani_status xn_sum_read(const xn_accumulator *a, const xn_batch *b, int64_t read)
{
    int64_t first = b->reads[read], begin;
    xn_sum_device *d = device_of(a, b, first, &begin);
    if (d->lost) return XANI_OK; // with the batch before; add_part finds its shots
    uint8_t *to = d->batch[b->half] + (first - begin) * a->devices->frame_step;
    return xn_frames_read_list(a->ctx, d->frames, b->frame + first, b->reads[read + 1] - first, to, 1);
}

xani_status xn_sum_read_failed(xn_accumulator *a, const xn_batch *b, int64_t frame, const char *why)
{
    int64_t begin;
    return xn_sum_lose(a, device_of(a, b, frame, &begin), why);
}

// ---- a batch

// Shots [begin, end) of the batch, sorted by bin, become the device's list and its debt.
static void list_shots(const xn_accumulator *a, const xn_pass *pass, const xn_batch *b, int64_t begin, int64_t end,
                       xn_sum_device *d)
{
    const xn_groups *g = a->groups;
    d->n = 0;
    for (int64_t k = 0; k < b->n; k++) {
        int32_t i = b->order[k];
        if (i < begin || i >= end) continue;
        xn_work_shot *shot = b->shots[i];
        int32_t slot = shot->bin < 0 ? 0 : 1 + shot->bin - pass->first;
        d->host_shot[d->n] = (xn_sum_shot){.frame = (int32_t)(i - begin),
                                           .slot = slot,
                                           .i0q = shot->i0q,
                                           .cell = g->cell != NULL ? g->cell[b->frame[i]] : 0};
        d->order[d->n++] = i;
        d->touched[slot] = 1;
        d->debt[d->n_debt++] = shot;
    }
}

static xn_sum_detector detector_of(const xn_groups *g, const xn_sum_device *d)
{
    static const int32_t kinds[] = {[XN_CAL_JUNGFRAU] = XN_SUM_JUNGFRAU,
                                    [XN_CAL_SCALE] = XN_SUM_SCALE,
                                    [XN_CAL_EPIX10KA] = XN_SUM_EPIX10KA,
                                    [XN_CAL_LINEAR] = XN_SUM_LINEAR};
    xn_sum_detector t = {.kind = g->fixed_stage > 0 ? (int32_t)XN_SUM_FIXED_GAIN : kinds[g->kind],
                         .type = (int32_t)g->type,
                         .code = g->fixed_stage > 0 ? xn_words_code(g) : 0,
                         .k = g->k,
                         .threshold = g->threshold,
                         .full = g->full,
                         .det_ny = g->det_ny,
                         .det_nx = g->det_nx,
                         .ny = g->ny,
                         .nx = g->nx,
                         .first_row = d->first_row};
    for (int i = 0; i < g->n_stages; i++) {
        t.pedestal[i] = g->pedestal[i] != NULL ? d->pedestal[i] : NULL;
        t.factor[i] = d->factor[i];
    }
    return t;
}

static bool send_batch(const xn_accumulator *a, const xn_batch *b, int64_t begin, xn_sum_device *d, char *why)
{
    const xn_sum_devices *s = a->devices;
    const xn_device_io *io = s->choice->tables.io;
    size_t n = (size_t)d->n, step = (size_t)s->frame_step;
    const xn_sum_job job = {.detector = detector_of(a->groups, d),
                            .frames = d->batch[b->direct ? b->half : 0],
                            .frame_step = s->frame_step,
                            .shot = d->shot,
                            .n = (uint32_t)d->n,
                            .s1 = d->s1,
                            .s2 = d->s2,
                            .x = d->x,
                            .peak = d->peak,
                            .flags = d->flags,
                            .parts = d->parts,
                            .photons = d->photons};
    return (b->direct ||
            io->copy_in(d->stream, d->batch[0], b->frames + (size_t)begin * step, n * step, why, XN_SUM_WHY)) &&
           io->copy_in(d->stream, d->shot, d->host_shot, n * sizeof *d->shot, why, XN_SUM_WHY) &&
           s->choice->tables.sums->add(d->stream, &job, why, XN_SUM_WHY) &&
           io->copy_out(d->stream, d->host_photons, d->photons, n * sizeof *d->photons, why, XN_SUM_WHY) &&
           io->mark(d->stream, d->done, why, XN_SUM_WHY);
}

static xani_status add_part(xn_accumulator *a, const xn_pass *pass, const xn_batch *b, int64_t begin, int64_t end,
                            xn_sum_device *d)
{
    xn_sum_devices *s = a->devices;
    char why[XN_SUM_WHY] = "";
    int before;
    if (d->lost || end - begin > s->room) { // it was lost after the batch had been read
        for (int64_t i = begin; i < end; i++) s->lost[s->n_lost++] = b->shots[i];
        return XANI_OK;
    }
    list_shots(a, pass, b, begin, end, d);
    bool ok = xn_sum_enter(s, d, &before, why);
    if (ok) {
        ok = send_batch(a, b, begin, d, why);
        xn_sum_leave(s, d, before);
    }
    return ok ? XANI_OK : xn_sum_lose(a, d, why);
}

xani_status xn_sum_add(xn_accumulator *a, const xn_pass *pass, const xn_batch *b)
{
    xn_sum_devices *s = a->devices;
    int64_t n = s->alive, turn = 0;
    for (int i = 0; i < s->count; i++) {
        int64_t begin = b->begin[i], end = b->end[i];
        if (!b->direct && s->device[i].lost) continue;
        if (!b->direct) { // equal shares
            begin = turn * b->n / n;
            end = ++turn * b->n / n;
        }
        if (end > begin) XN_TRY(add_part(a, pass, b, begin, end, &s->device[i]));
    }
    return XANI_OK;
}

static void add_photons(const xn_accumulator *a, const xn_pass *pass, const xn_batch *b, const xn_sum_device *d)
{
    for (int64_t k = 0; a->photons != NULL && k < d->n; k++) {
        const xn_work_shot *shot = b->shots[d->order[k]];
        if (xn_rows_counts(pass, shot)) a->photons[shot->row] += d->host_photons[k];
    }
}

xani_status xn_sum_wait(xn_accumulator *a, const xn_pass *pass, const xn_batch *b)
{
    xn_sum_devices *s = a->devices;
    for (int i = 0; i < s->count; i++) {
        xn_sum_device *d = &s->device[i];
        char why[XN_SUM_WHY] = "";
        int before;
        if (d->lost || d->n == 0) continue;
        bool ok = xn_sum_enter(s, d, &before, why);
        if (ok) {
            ok = s->choice->tables.io->wait(d->done, why, XN_SUM_WHY);
            xn_sum_leave(s, d, before);
        }
        if (ok) add_photons(a, pass, b, d);
        d->n = 0;
        if (!ok) XN_TRY(xn_sum_lose(a, d, why));
    }
    return XANI_OK;
}

// ---- collecting

typedef enum { ADD, LARGEST, BITS } how;

typedef struct drain {
    const xn_accumulator *a;
    xn_sum_device *d;
    int turn;
    how what[2];
    bool any; // something was added already
    char *why;
} drain;

static void take_in(how what, const void *from, void *to, int64_t n, int threads)
{
    const int64_t *v = from;
    const uint8_t *bits = from;
    if (what == BITS) {
        for (int64_t i = 0; i < n; i++) ((uint8_t *)to)[i] |= bits[i];
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < n; i++) {
        int64_t *sum = (int64_t *)to + i;
        if (what == ADD)
            *sum = (int64_t)((uint64_t)*sum + (uint64_t)v[i]);
        else
            *sum = xn_max64(*sum, v[i]);
    }
}

static bool settle(drain *w, int half)
{
    const xn_device_io *io = w->a->devices->choice->tables.io;
    int64_t n = w->d->count[half];
    w->d->count[half] = 0;
    if (n == 0) return true;
    if (!io->wait(w->d->copied[half], w->why, XN_SUM_WHY)) return false;
    take_in(w->what[half], w->d->staging[half], w->d->to[half], n, w->a->threads);
    w->any = w->any || w->what[half] == ADD;
    return true;
}

// n elements from the device, to be taken in when the half is needed again.
static bool fetch(drain *w, const void *from, void *to, int64_t n, how what)
{
    const xn_device_io *io = w->a->devices->choice->tables.io;
    size_t size = what == BITS ? 1 : sizeof(int64_t);
    for (int64_t at = 0, some; at < n; at += some) {
        int half = w->turn ^= 1;
        some = xn_min64(n - at, w->a->devices->staging / (int64_t)size);
        if (!settle(w, half)) return false;
        if (!io->copy_out(w->d->stream, w->d->staging[half], (const uint8_t *)from + (size_t)at * size,
                          (size_t)some * size, w->why, XN_SUM_WHY) ||
            !io->mark(w->d->stream, w->d->copied[half], w->why, XN_SUM_WHY))
            return false;
        w->d->to[half] = (int64_t *)(void *)((uint8_t *)to + (size_t)at * size);
        w->d->count[half] = some;
        w->what[half] = what;
    }
    return true;
}

static bool fetch_slot(drain *w, const xn_pass *pass, int64_t slot)
{
    const int64_t n = w->a->devices->groups, at = slot * n;
    xn_sums_row to = xn_rows_sums(w->a, pass, slot == 0 ? -1 : (int32_t)(slot - 1) + pass->first);
    return fetch(w, w->d->s1 + at, to.s1, n, ADD) && fetch(w, w->d->s2 + at, to.s2, n, ADD) &&
           fetch(w, w->d->x + at, to.x, n, ADD);
}

static bool fetch_all(drain *w, const xn_pass *pass)
{
    const xn_sum_devices *s = w->a->devices;
    const xn_groups *g = w->a->groups;
    bool ok = fetch(w, w->d->flags, g->pixel_flags, g->det_ny * g->det_nx, BITS) &&
              fetch(w, w->d->peak, w->a->peak, s->groups, LARGEST);
    for (int64_t slot = 0; ok && slot < s->slots; slot++)
        if (w->d->touched[slot]) ok = fetch_slot(w, pass, slot);
    ok = ok && settle(w, 0) && settle(w, 1);
    w->d->count[0] = w->d->count[1] = 0;
    return ok;
}

static bool clear_touched(const xn_sum_devices *s, xn_sum_device *d, char *why)
{
    const xn_device_io *io = s->choice->tables.io;
    size_t bytes = (size_t)s->groups * sizeof *d->s1;
    for (int64_t slot = 0; slot < s->slots; slot++) {
        int64_t at = slot * s->groups;
        if (!d->touched[slot]) continue;
        if (!io->clear(d->stream, d->s1 + at, bytes, why, XN_SUM_WHY) ||
            !io->clear(d->stream, d->s2 + at, bytes, why, XN_SUM_WHY) ||
            !io->clear(d->stream, d->x + at, bytes, why, XN_SUM_WHY))
            return false;
    }
    memset(d->touched, 0, (size_t)s->slots);
    return true;
}

xani_status xn_sum_collect(xn_accumulator *a, const xn_pass *pass, bool *torn)
{
    xn_sum_devices *s = a->devices;
    for (int i = 0; s != NULL && i < s->count && !*torn; i++) {
        xn_sum_device *d = &s->device[i];
        char why[XN_SUM_WHY] = "";
        drain w = {.a = a, .d = d, .why = why};
        int before;
        if (d->lost || d->n_debt == 0) continue;
        bool ok = xn_sum_enter(s, d, &before, why);
        if (ok) {
            ok = fetch_all(&w, pass);
            if (ok) d->n_debt = 0;
            *torn = !ok && w.any;
            ok = ok && clear_touched(s, d, why);
            xn_sum_leave(s, d, before);
        }
        if (!ok) XN_TRY(xn_sum_lose(a, d, why));
    }
    return XANI_OK;
}
