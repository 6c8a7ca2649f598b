// SPDX-License-Identifier: BSD-3-Clause
// device_open.c -- which devices add the shots of a pass, their memory, and how batches are shared among them:
// device.h.
//
// All memory of a device is one piece, laid out once the number of shots of a batch is known: as many as the plan says,
// halved until frames and sums fit into what is free.  Sums that do not fit at all are left to the processor, unless
// the device was asked for by name.
#include <stdio.h>
#include <string.h>

#include "reduce/device.h"

enum { STAGING = 8 << 20, ALIGNED = 256 };
#define RING_BYTES ((int64_t)1 << 30) // left free for what reads straight into the device

static const char *const said_by = "reduce";

// ---- which

xani_status xn_sum_choose(xn_ctx *ctx, const xn_config *config, const xn_sum_tables *t, const xn_source *source,
                          const xn_groups *g, const xn_work *work, xn_sum_choice *choice)
{
    *choice = (xn_sum_choice){.tables = *t, .config = config};
    bool built = t->io != NULL && t->sums != NULL, worth = work->n * source->ny * source->nx >= t->worth;
    XN_TRY(xn_devices_choose(ctx, config, said_by, built ? t->io->count : NULL, worth, &choice->devices));
    if (choice->devices.count == 0 || !g->correct.by_frame) return XANI_OK;
    xn_log(ctx, choice->devices.asked ? XANI_LOG_INFO : XANI_LOG_DEBUG,
           "reduce: on the processor, which makes the corrections of whole frames");
    choice->devices.count = 0;
    return XANI_OK;
}

bool xn_sum_enter(const xn_sum_devices *s, const xn_sum_device *d, int *before, char *why)
{
    const xn_device_io *io = s->choice->tables.io;
    *before = io->current();
    return io->use(d->number, why, XN_SUM_WHY);
}

void xn_sum_leave(const xn_sum_devices *s, const xn_sum_device *d, int before)
{
    char why[XN_SUM_WHY];
    if (before >= 0 && before != d->number) (void)s->choice->tables.io->use(before, why, sizeof why);
}

// ---- memory

static void *piece(uint8_t *block, size_t *at, int64_t n, size_t size)
{
    void *p = block != NULL ? block + *at : NULL;
    *at += ((size_t)n * size + ALIGNED - 1) / ALIGNED * ALIGNED;
    return p;
}

// Pieces of device memory one behind the other, for batches of `room` shots; returns their size.
static size_t lay_out(const xn_sum_devices *s, const xn_groups *g, int64_t room, uint8_t *block, xn_sum_device *d)
{
    size_t at = 0;
    int64_t plane = g->n_cells * g->det_ny * g->det_nx, sums = s->slots * s->groups;
    d->first_row = piece(block, &at, g->ny, sizeof *d->first_row);
    for (int i = 0; i < g->n_stages; i++) {
        d->pedestal[i] = piece(block, &at, g->pedestal[i] != NULL ? plane : 0, sizeof(float));
        d->factor[i] = piece(block, &at, plane, sizeof(float));
    }
    d->s1 = piece(block, &at, sums, sizeof *d->s1);
    d->s2 = piece(block, &at, sums, sizeof *d->s2);
    d->x = piece(block, &at, sums, sizeof *d->x);
    d->peak = piece(block, &at, s->groups, sizeof *d->peak);
    d->flags = piece(block, &at, s->words, sizeof *d->flags);
    for (int i = 0; i < 2; i++) d->batch[i] = piece(block, &at, i == 0 || s->direct ? room : 0, (size_t)s->frame_step);
    d->shot = piece(block, &at, room, sizeof *d->shot);
    d->parts = piece(block, &at, (int64_t)xn_sum_parts(s->groups, (uint64_t)room), sizeof *d->parts);
    d->photons = piece(block, &at, room, sizeof *d->photons);
    return at;
}

static size_t lay_out_pinned(const xn_sum_devices *s, int64_t room, uint8_t *block, xn_sum_device *d)
{
    size_t at = 0;
    d->host_shot = piece(block, &at, room, sizeof *d->host_shot);
    d->host_photons = piece(block, &at, room, sizeof *d->host_photons);
    for (int i = 0; i < 2; i++) d->staging[i] = piece(block, &at, s->staging, 1);
    return at;
}

// Shots of a batch that one device may get of `batch`: its share, and what ends with a chunk.
static int64_t share_of(const xn_sum_devices *s, const xn_source *source, int64_t batch)
{
    int64_t share = (batch + s->count - 1) / s->count + xn_max64(source->together, 1);
    return s->count == 1 ? batch : xn_min64(batch, share);
}

// s->batch_frames and s->room that every device has memory for; 0: too little for one shot.
static void fit_batch(xn_sum_devices *s, const xn_accumulator *a, int64_t left)
{
    xn_sum_device d;
    int64_t spare = s->direct ? xn_min64(RING_BYTES, left / 4) : left / 16;
    memset(&d, 0, sizeof d);
    for (s->batch_frames = a->plan->batch_frames; s->batch_frames > 0; s->batch_frames /= 2) {
        s->room = share_of(s, a->source, s->batch_frames);
        int64_t host = s->direct ? 0 : 2 * s->batch_frames * s->frame_step;
        bool fits = left <= 0 || (int64_t)lay_out(s, a->groups, s->room, NULL, &d) <= left - spare;
        if (fits && (host <= XN_SUM_PINNED || s->batch_frames == 1)) return;
    }
    s->room = 0;
}

// ---- one device

void xn_sum_device_close(const xn_sum_devices *s, xn_sum_device *d)
{
    const xn_device_io *io = s->choice->tables.io;
    char why[XN_SUM_WHY];
    int before;
    xn_frames_close(&d->frames);
    bool in = xn_sum_enter(s, d, &before, why);
    if (d->stream != NULL) io->close(d->stream); // waits
    if (d->done != NULL) io->mark_destroy(d->done);
    for (int i = 0; i < 2; i++)
        if (d->copied[i] != NULL) io->mark_destroy(d->copied[i]);
    if (d->memory != NULL) io->give(d->memory);
    if (d->pinned != NULL) io->unpin(d->pinned);
    if (in) xn_sum_leave(s, d, before);
    d->stream = NULL;
    d->done = d->copied[0] = d->copied[1] = NULL;
    d->memory = d->pinned = NULL;
    d->n = 0;
}

// Bytes of the host to the device, through the first of the staging halves.
static bool send(const xn_sum_devices *s, xn_sum_device *d, void *to, const void *from, size_t bytes, char *why)
{
    const xn_device_io *io = s->choice->tables.io;
    const size_t most = (size_t)s->staging;
    for (size_t at = 0; at < bytes; at += most) {
        size_t n = bytes - at < most ? bytes - at : most;
        memcpy(d->staging[0], (const uint8_t *)from + at, n);
        if (!io->copy_in(d->stream, (uint8_t *)to + at, d->staging[0], n, why, XN_SUM_WHY) ||
            !io->mark(d->stream, d->done, why, XN_SUM_WHY) || !io->wait(d->done, why, XN_SUM_WHY))
            return false;
    }
    return true;
}

static bool send_planes(const xn_sum_devices *s, xn_sum_device *d, const xn_groups *g, char *why)
{
    size_t plane = (size_t)(g->n_cells * g->det_ny * g->det_nx) * sizeof(float);
    bool ok = send(s, d, d->first_row, g->first_row, (size_t)g->ny * sizeof *g->first_row, why);
    for (int i = 0; ok && i < g->n_stages; i++) {
        ok = send(s, d, d->factor[i], g->factor[i], plane, why);
        if (ok && g->pedestal[i] != NULL) ok = send(s, d, d->pedestal[i], g->pedestal[i], plane, why);
    }
    return ok;
}

static bool clear_sums(const xn_sum_devices *s, xn_sum_device *d, char *why)
{
    const xn_device_io *io = s->choice->tables.io;
    size_t sums = (size_t)(s->slots * s->groups) * sizeof *d->s1;
    return io->clear(d->stream, d->s1, sums, why, XN_SUM_WHY) && io->clear(d->stream, d->s2, sums, why, XN_SUM_WHY) &&
           io->clear(d->stream, d->x, sums, why, XN_SUM_WHY) &&
           io->clear(d->stream, d->peak, (size_t)s->groups * sizeof *d->peak, why, XN_SUM_WHY) &&
           io->clear(d->stream, d->flags, (size_t)s->words * sizeof *d->flags, why, XN_SUM_WHY) &&
           io->mark(d->stream, d->done, why, XN_SUM_WHY) && io->wait(d->done, why, XN_SUM_WHY);
}

static bool open_there(const xn_sum_devices *s, xn_sum_device *d, const xn_groups *g, char *why)
{
    const xn_device_io *io = s->choice->tables.io;
    size_t bytes = lay_out(s, g, s->room, NULL, d), host = lay_out_pinned(s, s->room, NULL, d);
    bool ok = (d->stream = io->open(why, XN_SUM_WHY)) != NULL && (d->done = io->mark_create(why, XN_SUM_WHY)) != NULL &&
              (d->copied[0] = io->mark_create(why, XN_SUM_WHY)) != NULL &&
              (d->copied[1] = io->mark_create(why, XN_SUM_WHY)) != NULL &&
              (d->memory = io->take(bytes, why, XN_SUM_WHY)) != NULL &&
              (d->pinned = io->pin(host, why, XN_SUM_WHY)) != NULL;
    if (!ok) return false;
    (void)lay_out(s, g, s->room, d->memory, d);
    (void)lay_out_pinned(s, s->room, d->pinned, d);
    return send_planes(s, d, g, why) && clear_sums(s, d, why);
}

// Frames straight into the device; where that does not work, false and why.
static bool open_frames(const xn_accumulator *a, xn_sum_device *d, char *why)
{
    xn_device_target target;
    const xn_sum_choice *c = a->devices->choice;
    xani_status st = xn_device_target_find(a->ctx, c->config, c->tables.io, d->number, c->reader, &target);
    if (st == XANI_OK) st = xn_frames_open_on(a->ctx, a->source->ops->frames(a->source), &target, &d->frames);
    if (st == XANI_OK) return true;
    (void)snprintf(why, XN_SUM_WHY, "%s", xani_error_text(a->ctx));
    xn_clear_error(a->ctx);
    return false;
}

static xani_status open_device(xn_accumulator *a, xn_sum_device *d, int64_t shots)
{
    xn_sum_devices *s = a->devices;
    char why[XN_SUM_WHY] = "";
    int before;
    d->order = xn_alloc((size_t)s->room, sizeof *d->order);
    d->touched = xn_calloc((size_t)s->slots, 1);
    d->debt = xn_alloc((size_t)shots, sizeof(xn_work_shot *));
    if (d->order == NULL || d->touched == NULL || d->debt == NULL)
        return xn_fail_memory(a->ctx, "the shots of a device", (size_t)shots * sizeof(xn_work_shot *));
    bool ok = xn_sum_enter(s, d, &before, why);
    if (ok) {
        ok = open_there(s, d, a->groups, why);
        xn_sum_leave(s, d, before);
    }
    if (ok && s->direct && a->source->ops->frames != NULL) ok = open_frames(a, d, why);
    return ok ? XANI_OK : xn_sum_lose(a, d, why);
}

// ---- all of them

// Free memory of the device that has least of it; 0: not known.
static int64_t least_room(const xn_sum_devices *s)
{
    int64_t least = 0;
    for (int i = 0; i < s->count; i++) {
        char why[XN_SUM_WHY];
        int before;
        if (!xn_sum_enter(s, &s->device[i], &before, why)) continue;
        int64_t room = s->choice->tables.io->room();
        xn_sum_leave(s, &s->device[i], before);
        if (room > 0 && (least == 0 || room < least)) least = room;
    }
    return least;
}

static xani_status too_large(const xn_accumulator *a, int64_t left)
{
    xn_sum_device d;
    memset(&d, 0, sizeof d);
    const xn_sum_devices *s = a->devices;
    double need = (double)lay_out(s, a->groups, 1, NULL, &d) / 0x1p30;
    if (s->choice->devices.asked)
        return xn_fail(a->ctx, XANI_ERR_CONFIG,
                       "engine.device: cuda: the sums need %.3g GiB of a device, %.3g GiB are free; give a smaller "
                       "engine.memory_gib (more passes) or a larger reduce.spatial_bin",
                       need, (double)left / 0x1p30);
    xn_note(a->ctx, "reduce: on the processor, the sums need %.3g GiB of a device and %.3g GiB are free", need,
            (double)left / 0x1p30);
    return XANI_OK;
}

static xani_status open_all(xn_accumulator *a, const xn_pass *pass, int64_t shots)
{
    xn_sum_devices *s = a->devices;
    const xn_groups *g = a->groups;
    s->count = a->choice->devices.count;
    s->direct = a->source->ops->frames != NULL && a->source->ops->frames(a->source) != NULL;
    s->frame_step = s->direct ? g->det_ny * g->det_nx * (int64_t)xn_type_size(g->type) : a->plan->frame_bytes;
    s->slots = pass->n + 1;
    s->groups = g->ny * g->nx;
    s->staging = xn_min64(STAGING, (xn_max64(8 * s->groups, 4 * g->det_ny * g->det_nx) + 4095) / 4096 * 4096);
    s->words = (g->det_ny * g->det_nx + 3) / 4;
    s->device = xn_calloc((size_t)s->count, sizeof *s->device);
    s->lost = xn_alloc((size_t)shots, sizeof(xn_work_shot *));
    if (s->device == NULL || s->lost == NULL)
        return xn_fail_memory(a->ctx, "the devices", (size_t)shots * sizeof(xn_work_shot *));
    for (int i = 0; i < s->count; i++) s->device[i].number = s->choice->devices.number[i];
    int64_t left = least_room(s);
    fit_batch(s, a, left);
    if (s->room == 0) return too_large(a, left);
    s->alive = s->count;
    for (int i = 0; i < s->count; i++) XN_TRY(open_device(a, &s->device[i], shots));
    return XANI_OK;
}

xani_status xn_sum_open(xn_accumulator *a, const xn_pass *pass, int64_t shots)
{
    if (a->choice == NULL || a->choice->devices.count == 0 || shots == 0) return XANI_OK;
    a->devices = xn_calloc(1, sizeof *a->devices);
    if (a->devices == NULL) return xn_fail_memory(a->ctx, "the devices", sizeof *a->devices);
    a->devices->choice = a->choice;
    xani_status st = open_all(a, pass, shots);
    if (st != XANI_OK || a->devices->alive == 0) xn_sum_close(a);
    return st;
}

void xn_sum_stop(xn_accumulator *a)
{
    xn_sum_devices *s = a->devices;
    for (int i = 0; s != NULL && s->device != NULL && i < s->count; i++) {
        xn_sum_device *d = &s->device[i];
        char why[XN_SUM_WHY];
        int before;
        if (d->stream == NULL) continue;
        bool in = xn_sum_enter(s, d, &before, why);
        s->choice->tables.io->close(d->stream); // waits
        d->stream = NULL;
        if (in) xn_sum_leave(s, d, before);
    }
}

void xn_sum_close(xn_accumulator *a)
{
    xn_sum_devices *s = a->devices;
    if (s == NULL) return;
    for (int i = 0; s->device != NULL && i < s->count; i++) {
        xn_sum_device_close(s, &s->device[i]);
        xn_free(s->device[i].order);
        xn_free(s->device[i].touched);
        xn_free(s->device[i].debt);
    }
    xn_free(s->device);
    xn_free(s->lost);
    xn_free(s);
    a->devices = NULL;
}

uint8_t *xn_sum_frames_alloc(xn_accumulator *a, size_t bytes)
{
    char why[XN_SUM_WHY];
    if (a->devices == NULL || a->devices->direct) return xn_alloc_large(bytes, 1);
    return a->devices->choice->tables.io->pin(bytes, why, sizeof why);
}

void xn_sum_frames_free(xn_accumulator *a, uint8_t *frames)
{
    if (a->devices == NULL || a->devices->direct)
        xn_free(frames);
    else if (frames != NULL)
        a->devices->choice->tables.io->unpin(frames);
}
