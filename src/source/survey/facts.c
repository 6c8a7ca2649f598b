// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about a run without a configuration, for all layouts: see survey.h.
//
// Roles of channels are guessed from their names (formats.md 1 lists the customs) and, among several, from their
// values: an I0 is positive and varies, a delay stage takes several values.  All of it is a proposal for a person to
// check, never an input to a reduction.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/shots/join.h"
#include "source/survey/survey.h"

// ---- names

static bool has_word(const char *name, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcasestr(name, *words) != NULL) return true;
    return false;
}

static xn_role role_of(const char *name)
{
    static const char *const events[] = {":EvtSet", NULL};
    static const char *const tool[] = {"edge", "PSEN", "timetool", "time_tool", "arrival", NULL};
    static const char *const quality[] = {"ampl", "quality", "fwhm", "width", "height", NULL};
    static const char *const energy[] = {"FELPHOTENE", "photon_energy", "photon-energy", "PHOTONENERGY", NULL};
    static const char *const place[] = {"XPOS", "YPOS", "X-POS", "Y-POS", "pos_X", "pos_Y", NULL};
    static const char *const intensity[] = {"PBPS", "GMD",  "INTENSITY",  "PBIG",         ":I0",
                                            "_I0",  "qbpm", "photodiode", "pulse_energy", NULL};
    static const char *const delay[] = {"LMOT", "delay", "MOTOR", "STAGE", "PHASE_SHIFTER", "scan/", NULL};
    if (has_word(name, events)) return XN_ROLE_EVENTS;
    if (has_word(name, tool)) return has_word(name, quality) ? XN_ROLE_QUALITY : XN_ROLE_EDGE;
    if (has_word(name, energy)) return XN_ROLE_ENERGY;
    if (has_word(name, place)) return XN_ROLE_NONE;
    if (has_word(name, delay)) return XN_ROLE_DELAY;
    if (has_word(name, intensity)) return XN_ROLE_I0;
    return XN_ROLE_NONE;
}

// ---- detectors and their ids

xani_status xn_facts_detector(xn_ctx *ctx, xn_run_facts *f, const xn_detector_facts *detector, bool *chosen)
{
    size_t n = (size_t)f->n_detectors + 1;
    xn_detector_facts *d = xn_realloc(f->detector, n, sizeof *d);
    if (d != NULL) f->detector = d;
    char *name = xn_strdup(detector->name);
    if (d == NULL || name == NULL) {
        xn_free(name);
        return xn_fail_memory(ctx, "the detectors", n * sizeof *d);
    }
    d[n - 1] = *detector;
    d[n - 1].name = name;
    const xn_detector_facts *best = f->n_detectors > 0 && f->chosen >= 0 ? &d[f->chosen] : NULL;
    bool larger = best == NULL || detector->ny * detector->nx > best->ny * best->nx;
    if (larger) f->chosen = f->n_detectors;
    if (chosen != NULL) *chosen = larger;
    f->n_detectors++;
    return XANI_OK;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

xani_status xn_facts_ids(xn_ctx *ctx, xn_run_facts *f, const uint64_t *id, const uint8_t *good, const int32_t *part,
                         int64_t n)
{
    xn_free(f->id);
    f->id = xn_alloc((size_t)n, sizeof *f->id);
    f->n_ids = f->bad = 0;
    if (f->id == NULL) return xn_fail_memory(ctx, "the ids", (size_t)n * sizeof *f->id);
    for (int64_t i = 0; i < n; i++) {
        if (id[i] != 0) f->id[f->n_ids++] = id[i];
        f->bad += good != NULL && !good[i];
    }
    f->without_id = n - f->n_ids;
    qsort(f->id, (size_t)f->n_ids, sizeof *f->id, by_size);
    f->step = xn_id_step(f->id, f->n_ids);
    if (f->n_ids > 0) {
        f->first = f->id[0];
        f->last = f->id[f->n_ids - 1];
    }
    return xn_facts_gaps(ctx, id, part, n, f);
}

// ---- channels

static bool is_scalar(const xn_h5_info *info)
{
    return xn_is_number(info->type) && (info->rank == 1 || (info->rank == 2 && info->dims[1] == 1));
}

xani_status xn_facts_channel(xn_ctx *ctx, xn_run_facts *f, const char *name, const xn_h5_info *info, xn_channel **value)
{
    int i = 0;
    while (i < f->n_channels && strcmp(f->channel[i].name, name) != 0) i++;
    if (i == f->n_channels) {
        xn_channel_facts *p = xn_realloc(f->channel, (size_t)i + 1, sizeof *p);
        if (p != NULL) f->channel = p;
        char *copy = xn_strdup(name);
        if (p == NULL || copy == NULL) {
            xn_free(copy);
            return xn_fail_memory(ctx, "the list of channels", (size_t)(i + 1) * sizeof *p);
        }
        p[i] = (xn_channel_facts){
            .name = copy, .role = role_of(name), .type = info->type, .rank = info->rank, .scale_ps = NAN};
        p[i].value.name = copy;
        memcpy(p[i].dims, info->dims, sizeof p[i].dims);
        f->n_channels++;
    }
    xn_channel_facts *c = &f->channel[i];
    c->readings += info->rank > 0 ? info->dims[0] : 0;
    c->scalar = is_scalar(info);
    *value = c->scalar ? &c->value : NULL;
    return XANI_OK;
}

// Statistics of the values at shots with a frame (all values when there are no frames).
static xani_status summarise(xn_ctx *ctx, const xn_run_facts *facts, xn_channel_facts *f)
{
    if (!f->scalar) return XANI_OK;
    xn_channel *v = &f->value;
    XN_TRY(xn_channel_sort(ctx, v));
    size_t most = (size_t)xn_max64(facts->n_ids, v->n);
    double *x = xn_alloc(most, sizeof *x), *gap = xn_alloc(most, sizeof *gap), one, sum = 0;
    int64_t cursor = 0, n = 0;
    for (int64_t i = 0; x != NULL && i < facts->n_ids; i++) {
        if (i > 0 && facts->id[i] == facts->id[i - 1]) continue;
        bool found = xn_channel_find(v, facts->id[i], &cursor, &one) == XN_HIT;
        f->matched += found;
        if (found && isfinite(one)) x[n++] = one;
    }
    for (int64_t i = 0; x != NULL && facts->n_ids == 0 && i < v->n; i++)
        if (isfinite(v->value[i])) x[n++] = v->value[i];
    f->min = f->max = f->mean = f->low = f->median = f->high = f->step = NAN;
    if (x != NULL && gap != NULL && n > 0) {
        qsort(x, (size_t)n, sizeof *x, xn_double_compare);
        int64_t gaps = 0;
        for (int64_t i = 0; i < n; i++) sum += x[i];
        for (int64_t i = 1; i < n; i++)
            if (x[i] > x[i - 1]) gap[gaps++] = x[i] - x[i - 1];
        f->min = x[0];
        f->max = x[n - 1];
        f->mean = sum / (double)n;
        f->low = x[n / 200];
        f->median = x[n / 2];
        f->high = x[n - 1 - n / 200];
        f->distinct = gaps + 1;
        qsort(gap, (size_t)gaps, sizeof *gap, xn_double_compare);
        if (gaps > 0) f->step = gap[gaps / 2];
    }
    bool memory = x == NULL || gap == NULL;
    xn_free(x);
    xn_free(gap);
    return memory ? xn_fail_memory(ctx, f->name, most * 16) : XANI_OK;
}

// ---- guesses

// How well a channel fills its role; -1: not at all.
static double fitness(const xn_channel_facts *f, xn_role role)
{
    if (f->role != role || !f->scalar || f->matched == 0) return -1;
    double score = (double)f->matched / (double)xn_max64(f->readings, 1);
    bool varies = f->max > f->min;
    switch (role) {
    case XN_ROLE_I0:
        return f->mean > 0 && varies
                   ? score + (strcasestr(f->name, "INTENSITY") || strcasestr(f->name, "sum") || strstr(f->name, " + "))
                   : -1;
    case XN_ROLE_DELAY:
        return varies ? score + (strcasestr(f->name, "LMOT") || strcasestr(f->name, "delay")) : -1;
    case XN_ROLE_ENERGY:
        return isfinite(f->median) && f->median > 0 ? score : -1;
    default:
        return varies ? score : -1;
    }
}

static int best(const xn_run_facts *f, xn_role role)
{
    int index = -1;
    double most = 0;
    for (int i = 0; i < f->n_channels; i++) {
        double score = fitness(&f->channel[i], role);
        if (score <= most) continue;
        most = score;
        index = i;
    }
    return index;
}

bool xn_facts_laser(xn_run_facts *f, const xn_channel *channel, bool inverted)
{
    int64_t cursor = 0, on = 0, off = 0, unknown = 0;
    for (int64_t i = 0; i < f->n_ids; i++) {
        double value;
        if (xn_channel_find(channel, f->id[i], &cursor, &value) != XN_HIT || isnan(value))
            unknown++;
        else if ((value != 0) != inverted)
            on++;
        else
            off++;
    }
    if (on == 0 || off == 0) return false;
    f->on = on;
    f->off = off;
    f->unknown = unknown;
    f->dark = 0;
    return true;
}

// ---- the whole

xani_status xn_facts_finish(xn_ctx *ctx, xn_run_facts *f)
{
    for (int i = 0; i < f->n_channels; i++) XN_TRY(summarise(ctx, f, &f->channel[i]));
    f->i0 = best(f, XN_ROLE_I0);
    f->stage = best(f, XN_ROLE_DELAY);
    f->edge = best(f, XN_ROLE_EDGE);
    f->quality = best(f, XN_ROLE_QUALITY);
    f->energy = best(f, XN_ROLE_ENERGY);
    return XANI_OK;
}

xani_status xn_run_facts_read(xn_ctx *ctx, const xn_found_run *run, xn_run_facts *f)
{
    memset(f, 0, sizeof *f);
    f->chosen = f->i0 = f->stage = f->stage_too = f->edge = f->quality = f->energy = -1;
    f->place = (xn_place_facts){NAN, NAN, NAN, {NAN, NAN}, ""};
    xani_status st = run->layout->facts(ctx, run, f);
    if (st != XANI_OK) xn_facts_free(f);
    return st;
}

void xn_facts_free(xn_run_facts *f)
{
    for (int i = 0; i < f->n_channels; i++) {
        xn_channel_free(&f->channel[i].value);
        xn_free(f->channel[i].name);
    }
    for (int i = 0; i < f->n_detectors; i++) xn_free(f->detector[i].name);
    xn_free(f->channel);
    xn_free(f->detector);
    xn_free(f->id);
    memset(f, 0, sizeof *f);
}
