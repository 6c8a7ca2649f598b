// SPDX-License-Identifier: BSD-3-Clause
// slow.c -- process variables of the control system (PVDATA, PVCHANNELS files): a value holds until the next one.
//
// Such files have the changes of each variable with their times in ns, from the last one before the acquisition on
// (sf_daq_broker, epics_writer.py); older ones have pulse ids instead.  The time of a pulse comes from any
// beam-synchronous channel that has timestamps; between and beyond its pulses the machine's 100 Hz is counted on.
// A frame before the first value has no reading.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/swissfel/swissfel.h"

#define PULSE_NS 1e7

bool xn_sf_is_slow(const char *path)
{
    return strstr(path, ".PVDATA.") != NULL || strstr(path, ".PVCHANNELS.") != NULL;
}

static bool has(const xn_h5 *h5, const char *group, const char *name)
{
    char path[XN_KEY_LENGTH + 32];
    snprintf(path, sizeof path, "%s/%s", group, name);
    return xn_h5_exists(h5, path);
}

bool xn_sf_slow_group(const xn_h5 *h5, const char *name, char group[XN_KEY_LENGTH])
{
    if (strlen(name) + 6 >= XN_KEY_LENGTH) return false;
    for (int below = 1; below >= 0; below--) {
        snprintf(group, XN_KEY_LENGTH, "%s%s", below ? "data/" : "", name);
        if (has(h5, group, "data") && (has(h5, group, "timestamp") || has(h5, group, "pulse_id"))) return true;
    }
    return false;
}

// ---- changes, ascending in time or pulse id

typedef struct {
    double when; // ns, or pulse id
    int64_t order;
    double value;
} change;

typedef struct {
    change *list;
    int64_t n;
    bool timed; // when is a time
} changes;

static int by_time(const void *a, const void *b)
{
    const change *x = a, *y = b;
    if (x->when != y->when) return x->when < y->when ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static xani_status append(xn_ctx *ctx, const xn_h5 *h5, const char *group, int64_t column, changes *all)
{
    char data[XN_KEY_LENGTH + 16], when[XN_KEY_LENGTH + 16];
    double *value = NULL, *time = NULL;
    int64_t n = 0, times = 0;
    xani_status st;
    bool timed = has(h5, group, "timestamp");
    if (all->n > 0 && timed != all->timed)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %s, in other files it has none", xn_h5_path(h5), group,
                       timed ? "times" : "pulse ids");
    all->timed = timed;
    snprintf(data, sizeof data, "%s/data", group);
    snprintf(when, sizeof when, "%s/%s", group, timed ? "timestamp" : "pulse_id");
    XN_GOTO(out, st, xn_channel_values(ctx, h5, data, column, &value, &n));
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, when, &time, &times));
    if (times != n) // a variable without any value is stored as one NaN without a time
        n = times == 0 ? 0 : n;
    if (n != times)
        XN_GOTO(out, st,
                xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries, %s %lld", xn_h5_path(h5), when, (long long)times,
                        data, (long long)n));
    change *p = xn_realloc(all->list, (size_t)(all->n + n) + 1, sizeof *p);
    if (p == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, group, (size_t)(all->n + n) * sizeof *p));
    all->list = p;
    for (int64_t i = 0; i < n; i++, all->n++) p[all->n] = (change){time[i], all->n, value[i]};
out:
    xn_free(value);
    xn_free(time);
    return st;
}

// ---- the time of a pulse

static xani_status append_clock(xn_ctx *ctx, const xn_h5 *h5, xn_channel *clock)
{
    char **names = NULL, group[XN_KEY_LENGTH], ids[XN_KEY_LENGTH + 16], times[XN_KEY_LENGTH + 16];
    uint64_t *id = NULL;
    double *ns = NULL;
    int64_t n = 0, m = 0, before = clock->n;
    xani_status st = XANI_OK;
    XN_TRY(xn_sf_names(ctx, h5, &names));
    for (int i = 0; st == XANI_OK && names[i] != NULL && clock->n == before; i++) {
        if (!xn_sf_group(h5, names[i], group) || !has(h5, group, "timestamp")) continue;
        snprintf(ids, sizeof ids, "%s/pulse_id", group);
        snprintf(times, sizeof times, "%s/timestamp", group);
        st = xn_h5_read_u64(ctx, h5, ids, &id, &n);
        if (st == XANI_OK) st = xn_h5_read_f64(ctx, h5, times, &ns, &m);
        if (st == XANI_OK && m == n) st = xn_channel_add(ctx, clock, n, id, ns, NULL);
        xn_free(id);
        xn_free(ns);
        id = NULL;
        ns = NULL;
    }
    xn_h5_names_free(names);
    return st;
}

static xani_status read_clock(xn_ctx *ctx, char *const *files, xn_channel *clock)
{
    for (int i = 0; files[i] != NULL; i++) {
        xn_h5 *h5 = NULL;
        if (xn_sf_is_slow(files[i])) continue;
        XN_TRY(xn_h5_open(ctx, files[i], &h5));
        xani_status st = append_clock(ctx, h5, clock);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return clock->n > 0 ? xn_channel_sort(ctx, clock) : XANI_OK;
}

// Of the nearest pulse that has one, counted on from there.
static double time_of(const xn_channel *clock, uint64_t id)
{
    int64_t lo = 0, hi = clock->n - 1; // the last that is not above
    while (lo < hi) {
        int64_t middle = (lo + hi + 1) / 2;
        if (clock->id[middle] <= id)
            lo = middle;
        else
            hi = middle - 1;
    }
    return clock->value[lo] + ((double)id - (double)clock->id[lo]) * PULSE_NS;
}

// ---- the reading

static double held(const changes *all, double when, bool *there)
{
    int64_t lo = 0, hi = all->n; // changes before `lo` are not after
    while (lo < hi) {
        int64_t middle = (lo + hi) / 2;
        if (all->list[middle].when <= when)
            lo = middle + 1;
        else
            hi = middle;
    }
    *there = lo > 0;
    return lo > 0 ? all->list[lo - 1].value : NAN;
}

static xani_status hold(xn_ctx *ctx, const xn_sf_input *in, changes *all, xn_channel *c)
{
    const xn_sf_detector *d = in->detector;
    xn_channel clock = {.name = "timestamp"};
    double *value = xn_alloc((size_t)d->n, sizeof *value);
    uint8_t *there = xn_alloc((size_t)d->n, 1);
    xani_status st = XANI_OK;
    if (value == NULL || there == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, c->name, (size_t)d->n * 9));
    if (all->timed) XN_GOTO(out, st, read_clock(ctx, in->files, &clock));
    if (all->timed && clock.n == 0)
        XN_GOTO(out, st,
                xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has times, but no channel of the other files has timestamps",
                        in->files[0], c->name));
    if (all->n > 1) qsort(all->list, (size_t)all->n, sizeof *all->list, by_time);
    for (int64_t i = 0; i < d->n; i++) {
        bool found = false;
        uint64_t id = d->pulse_id[i];
        value[i] = held(all, all->timed ? time_of(&clock, id) : (double)id, &found);
        there[i] = found;
    }
    st = xn_sf_add_frames(ctx, c, d, value, there);
out:
    xn_free(value);
    xn_free(there);
    xn_channel_free(&clock);
    return st;
}

xani_status xn_sf_slow_read(xn_ctx *ctx, const xn_sf_input *in, xn_channel *c)
{
    changes all = {0};
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && in->files[i] != NULL; i++) {
        char group[XN_KEY_LENGTH];
        xn_h5 *h5 = NULL;
        if (!xn_sf_is_slow(in->files[i])) continue;
        st = xn_h5_open(ctx, in->files[i], &h5);
        if (st == XANI_OK && xn_sf_slow_group(h5, c->name, group)) {
            st = append(ctx, h5, group, c->column, &all);
            if (st == XANI_OK) st = xn_channel_seen(ctx, c, in->files[i]);
        }
        xn_h5_close(&h5);
    }
    if (st == XANI_OK && c->n_files > 0) st = hold(ctx, in, &all, c);
    xn_free(all.list);
    return st;
}
