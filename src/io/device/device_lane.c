// SPDX-License-Identifier: BSD-3-Clause
// device_lane.c -- see device_lane.h.
//
// Memory registered with cuFile is deregistered before it is given back: the other order can hang the driver.
#include "io/device/device_lane.h"

#include <string.h>

bool xn_device_enter(const xn_device_target *t, int *before, char *why, size_t size)
{
    *before = t->io->current();
    return t->io->use(t->number, why, size);
}

void xn_device_leave(const xn_device_target *t, int before)
{
    char why[200];
    if (before >= 0 && before != t->number) (void)t->io->use(before, why, sizeof why);
}

static void slot_close(xn_device_lane *l, xn_device_slot *s)
{
    const xn_device_io *io = l->io;
    if (l->registered && s->stored != NULL) xn_cufile_deregister(s->stored);
    void *device[] = {s->stored, s->work, s->chunk, s->box, s->where, s->bad};
    void *host[] = {s->pinned, s->host_chunk, s->host_box, s->host_bad};
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        if (device[i] != NULL) io->give(device[i]);
    for (size_t i = 0; i < sizeof host / sizeof host[0]; i++)
        if (host[i] != NULL) io->unpin(host[i]);
    io->mark_destroy(s->done);
}

static void lane_close(xn_device_lane *l)
{
    l->io->close(l->stream);
    for (int i = 0; i < XN_DEVICE_SLOTS; i++) slot_close(l, &l->slot[i]);
    xn_free(l->host.view);
    xn_free(l->host.job);
    xn_free(l->host.task);
    xn_free(l);
}

static bool slot_open(const xn_device_lane *l, xn_device_slot *s, char *why, size_t size)
{
    const xn_device_io *io = l->io;
    const xn_device_room *r = &l->room;
    s->done = io->mark_create(why, size);
    if (s->done == NULL) return false;
    if ((s->stored = io->take(r->bytes, why, size)) == NULL) return false;
    if ((s->box = io->take(r->boxes * sizeof *s->box, why, size)) == NULL) return false;
    if ((s->host_box = io->pin(r->boxes * sizeof *s->box, why, size)) == NULL) return false;
    if (r->work > 0 && (s->work = io->take(r->work, why, size)) == NULL) return false;
    if (r->chunks == 0) return true;
    if ((s->chunk = io->take(r->chunks * sizeof *s->chunk, why, size)) == NULL) return false;
    if ((s->host_chunk = io->pin(r->chunks * sizeof *s->chunk, why, size)) == NULL) return false;
    if ((s->where = io->take(r->where * sizeof *s->where, why, size)) == NULL) return false;
    if ((s->bad = io->take(r->chunks * sizeof *s->bad, why, size)) == NULL) return false;
    return (s->host_bad = io->pin(r->chunks * sizeof *s->bad, why, size)) != NULL;
}

static xn_device_lane *lane_open(const xn_device_target *t, const xn_device_room *room, char *why, size_t size)
{
    xn_device_lane *l = xn_calloc(1, sizeof *l);
    if (l == NULL) {
        snprintf(why, size, "out of memory");
        return NULL;
    }
    l->io = t->io;
    l->room = *room;
    bool ok = (l->stream = t->io->open(why, size)) != NULL;
    for (int i = 0; ok && i < XN_DEVICE_SLOTS; i++) ok = slot_open(l, &l->slot[i], why, size);
    if (!ok) {
        lane_close(l);
        return NULL;
    }
    if (!t->cufile) return l;
    char text[200]; // without it reads go through buffers of the library: slower, not wrong
    l->registered = true;
    for (int i = 0; i < XN_DEVICE_SLOTS && l->registered; i++) {
        l->registered = xn_cufile_register(l->slot[i].stored, room->bytes, text, sizeof text);
        for (int k = 0; !l->registered && k < i; k++) xn_cufile_deregister(l->slot[k].stored);
    }
    return l;
}

static bool has_room(const xn_device_room *r, const xn_device_room *wanted)
{
    return r->bytes >= wanted->bytes && r->work >= wanted->work && r->chunks >= wanted->chunks &&
           r->boxes >= wanted->boxes && r->where >= wanted->where;
}

xn_device_lane *xn_device_lane_take(xn_array *a, const xn_device_room *room, char *why, size_t size)
{
    const xn_device_target *t = &a->options.device;
    pthread_mutex_lock(&a->lock);
    xn_device_lane *l = a->lanes;
    if (l != NULL) a->lanes = l->next;
    pthread_mutex_unlock(&a->lock);
    if (l != NULL && has_room(&l->room, room)) return l;
    if (l != NULL) lane_close(l);
    return lane_open(t, room, why, size);
}

void xn_device_lane_give(xn_array *a, xn_device_lane *l)
{
    pthread_mutex_lock(&a->lock);
    l->next = a->lanes;
    a->lanes = l;
    pthread_mutex_unlock(&a->lock);
}

void xn_device_lanes_free(xn_array *a)
{
    char why[200];
    int before = -1;
    if (a->lanes == NULL) return;
    (void)xn_device_enter(&a->options.device, &before, why, sizeof why);
    while (a->lanes != NULL) {
        xn_device_lane *l = a->lanes;
        a->lanes = l->next;
        lane_close(l);
    }
    if (a->options.device.cufile) xn_cufile_rest();
    xn_device_leave(&a->options.device, before);
}

uint8_t *xn_device_slot_pinned(xn_device_lane *l, xn_device_slot *s, char *why, size_t size)
{
    if (s->pinned == NULL) s->pinned = l->io->pin(l->room.bytes, why, size);
    return s->pinned;
}

// ---- memory of the caller's

void *xn_array_memory(xn_ctx *ctx, const xn_array *a, size_t bytes)
{
    const xn_device_target *t = &a->options.device;
    char why[200] = "";
    if (t->io == NULL) {
        void *p = xn_alloc(bytes > 0 ? bytes : 1, 1);
        if (p == NULL) (void)xn_fail_memory(ctx, a->dataset, bytes);
        return p;
    }
    int before;
    void *p = xn_device_enter(t, &before, why, sizeof why) ? t->io->take(bytes, why, sizeof why) : NULL;
    xn_device_leave(t, before);
    if (p == NULL) (void)xn_fail(ctx, XANI_ERR_MEMORY, "%s: device %d: %s", a->dataset, t->number, why);
    return p;
}

void xn_array_memory_free(const xn_array *a, void *memory)
{
    if (memory == NULL) return;
    if (a->options.device.io != NULL)
        a->options.device.io->give(memory);
    else
        xn_free(memory);
}
