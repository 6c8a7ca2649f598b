// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about a SwissFEL run without a configuration: see survey.h.
//
// Roles of channels are guessed from their names (formats.md 1.5 lists the customs) and, among several, from
// their values: an I0 is positive and varies, a delay stage takes several values.  The laser rule is the first
// of daq_rec, evtset20, evtset25 that tells some shots from others.  All of it is a proposal for a person to
// check, never an input to a reduction.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/survey.h"

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
    static const char *const place[] = {"XPOS", "YPOS", "X-POS", "Y-POS", NULL};
    static const char *const intensity[] = {"PBPS", "GMD", "INTENSITY", "PBIG", ":I0", "_I0", NULL};
    static const char *const delay[] = {"LMOT", "delay", "MOTOR", "STAGE", "PHASE_SHIFTER", NULL};
    if (has_word(name, events)) return XN_ROLE_EVENTS;
    if (has_word(name, tool)) return has_word(name, quality) ? XN_ROLE_QUALITY : XN_ROLE_EDGE;
    if (has_word(name, energy)) return XN_ROLE_ENERGY;
    if (has_word(name, place)) return XN_ROLE_NONE;
    if (has_word(name, delay)) return XN_ROLE_DELAY;
    if (has_word(name, intensity)) return XN_ROLE_I0;
    return XN_ROLE_NONE;
}

// ---- channels: one pass over the files

typedef struct {
    xn_ctx *ctx;
    xn_run_facts *facts;
    xn_channel *value; // beside facts->channel: the readings of scalar channels
    uint64_t *id;      // ascending pulse ids of the frames
    int64_t n;
} collector;

static xani_status find_or_add(collector *c, const char *name, int *index)
{
    xn_run_facts *f = c->facts;
    for (*index = 0; *index < f->n_channels; ++*index)
        if (strcmp(f->channel[*index].name, name) == 0) return XANI_OK;
    size_t n = (size_t)f->n_channels + 1;
    xn_channel_facts *p = xn_realloc(f->channel, n, sizeof *p);
    if (p != NULL) f->channel = p;
    xn_channel *v = xn_realloc(c->value, n, sizeof *v);
    if (v != NULL) c->value = v;
    char *copy = xn_strdup(name);
    if (p == NULL || v == NULL || copy == NULL) {
        xn_free(copy);
        return xn_fail_memory(c->ctx, "the list of channels", n * sizeof *p);
    }
    p[n - 1] = (xn_channel_facts){.name = copy, .role = role_of(name)};
    v[n - 1] = (xn_channel){.name = copy};
    f->n_channels++;
    return XANI_OK;
}

static xani_status collect_one(collector *c, const xn_h5 *h5, const char *name)
{
    char group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16];
    xn_h5_info info;
    int i;
    if (!xn_sf_group(h5, name, group)) return XANI_OK;
    snprintf(path, sizeof path, "%s/data", group);
    XN_TRY(xn_h5_info_get(c->ctx, h5, path, &info));
    XN_TRY(find_or_add(c, name, &i));
    xn_channel_facts *f = &c->facts->channel[i];
    if (f->rank == 0) {
        f->type = info.type;
        f->rank = info.rank;
        memcpy(f->dims, info.dims, sizeof f->dims);
    }
    f->readings += info.rank > 0 ? info.dims[0] : 0;
    f->scalar = xn_is_number(info.type) && (info.rank == 1 || (info.rank == 2 && info.dims[1] == 1));
    return f->scalar ? xn_channel_append(c->ctx, h5, &c->value[i]) : XANI_OK;
}

static xani_status collect(collector *c, char *const *files)
{
    for (; *files != NULL; files++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        XN_TRY(xn_h5_open(c->ctx, *files, &h5));
        xani_status st = xn_sf_names(c->ctx, h5, &names);
        for (int i = 0; st == XANI_OK && names[i] != NULL; i++)
            if (!xn_sf_is_detector(c->ctx, h5, names[i])) st = collect_one(c, h5, names[i]);
        xn_h5_names_free(names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Statistics of the values at pulses with a frame (all values when there are no frames).
static xani_status summarise(collector *c, int index)
{
    xn_channel_facts *f = &c->facts->channel[index];
    if (!f->scalar || c->value == NULL) return XANI_OK;
    xn_channel *v = &c->value[index];
    XN_TRY(xn_channel_sort(c->ctx, v));
    size_t most = (size_t)xn_max64(c->n, v->n);
    double *x = xn_alloc(most, sizeof *x), *gap = xn_alloc(most, sizeof *gap), one, sum = 0;
    int64_t cursor = 0, n = 0;
    for (int64_t i = 0; x != NULL && i < c->n; i++) {
        if (i > 0 && c->id[i] == c->id[i - 1]) continue;
        bool found = xn_channel_find(v, c->id[i], &cursor, &one) == XN_HIT;
        f->matched += found;
        if (found && isfinite(one)) x[n++] = one;
    }
    for (int64_t i = 0; x != NULL && c->n == 0 && i < v->n; i++)
        if (isfinite(v->value[i])) x[n++] = v->value[i];
    f->min = f->max = f->mean = f->low = f->median = f->high = f->step = NAN;
    if (x != NULL && gap != NULL && n > 0) {
        qsort(x, (size_t)n, sizeof *x, ascending);
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
        qsort(gap, (size_t)gaps, sizeof *gap, ascending);
        if (gaps > 0) f->step = gap[gaps / 2];
    }
    bool memory = x == NULL || gap == NULL;
    xn_free(x);
    xn_free(gap);
    return memory ? xn_fail_memory(c->ctx, f->name, most * 16) : XANI_OK;
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
        return f->mean > 0 && varies ? score + (strcasestr(f->name, "INTENSITY") != NULL) : -1;
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

static void count_by_daq_rec(xn_run_facts *f)
{
    for (int64_t i = 0; i < f->d.n; i++) {
        uint64_t bits = f->d.daq_rec[i];
        if (f->d.daq_mixed[i])
            f->unknown++;
        else if (bits & XN_DAQ_DARK)
            f->dark++;
        else if (bits & XN_DAQ_LASER)
            f->on++;
        else
            f->off++;
        if (bits & XN_DAQ_HIGH_GAIN) f->high_gain = true;
    }
    if (f->on > 0 && f->off > 0) f->rule = "daq_rec";
}

static xani_status count_by_events(collector *c, char *const *files, int64_t column, bool inverted, const char *rule)
{
    xn_channel events = {.name = XN_SF_EVENTS, .column = column};
    xn_run_facts *f = c->facts;
    xani_status st = XANI_OK;
    for (; st == XANI_OK && *files != NULL; files++) {
        xn_h5 *h5 = NULL;
        st = xn_h5_open(c->ctx, *files, &h5);
        if (st == XANI_OK) st = xn_channel_append(c->ctx, h5, &events);
        xn_h5_close(&h5);
    }
    if (st == XANI_OK) st = xn_channel_sort(c->ctx, &events);
    int64_t cursor = 0, on = 0, off = 0, unknown = 0;
    for (int64_t i = 0; st == XANI_OK && i < c->n; i++) {
        double value;
        if (xn_channel_find(&events, c->id[i], &cursor, &value) != XN_HIT)
            unknown++;
        else if ((value != 0) != inverted)
            on++;
        else
            off++;
    }
    if (st == XANI_OK && on > 0 && off > 0) {
        f->rule = rule;
        f->on = on;
        f->off = off;
        f->unknown = unknown;
        f->dark = 0;
    }
    xn_channel_free(&events);
    return st;
}

static xani_status guess_laser(collector *c, char *const *files)
{
    xn_run_facts *f = c->facts;
    if (f->d.has_daq_rec) count_by_daq_rec(f);
    int64_t columns = 0;
    for (int i = 0; i < f->n_channels; i++)
        if (strcmp(f->channel[i].name, XN_SF_EVENTS) == 0 && f->channel[i].rank == 2) columns = f->channel[i].dims[1];
    if (f->rule == NULL && columns > 20) XN_TRY(count_by_events(c, files, 20, false, "evtset20"));
    if (f->rule == NULL && columns > 25) XN_TRY(count_by_events(c, files, 25, true, "evtset25"));
    return XANI_OK;
}

// ---- the detector

static xani_status find_detectors(xn_ctx *ctx, const xn_found_run *run, xn_run_facts *f)
{
    int64_t largest = 0;
    for (int i = 0; i < run->n; i++) {
        xn_h5 *h5 = NULL;
        char **names = NULL, group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16];
        XN_TRY(xn_h5_open(ctx, run->file[i], &h5));
        xani_status st = xn_sf_names(ctx, h5, &names);
        for (int j = 0; st == XANI_OK && names[j] != NULL; j++) {
            if (!xn_sf_is_detector(ctx, h5, names[j]) || !xn_sf_group(h5, names[j], group)) continue;
            bool known = false;
            for (int k = 0; k < f->n_detectors; k++) known = known || strcmp(f->detectors[k], names[j]) == 0;
            if (known) continue;
            xn_h5_info info = {0};
            snprintf(path, sizeof path, "%s/data", group);
            char **list = xn_realloc(f->detectors, (size_t)f->n_detectors + 1, sizeof *list);
            if (list != NULL) f->detectors = list;
            char *copy = list ? xn_strdup(names[j]) : NULL;
            st = copy ? xn_h5_info_get(ctx, h5, path, &info) : xn_fail_memory(ctx, "the detectors", 64);
            if (copy != NULL) f->detectors[f->n_detectors++] = copy;
            if (st != XANI_OK || info.dims[1] * info.dims[2] <= largest) continue;
            largest = info.dims[1] * info.dims[2];
            f->detector = copy;
            snprintf(f->filters, sizeof f->filters, "%s", info.filters);
        }
        xn_h5_names_free(names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static xani_status pulse_facts(collector *c)
{
    xn_run_facts *f = c->facts;
    c->id = xn_alloc((size_t)f->d.n, sizeof *c->id);
    if (c->id == NULL) return xn_fail_memory(c->ctx, "the pulse ids", (size_t)f->d.n * sizeof *c->id);
    for (int64_t i = 0; i < f->d.n; i++) {
        if (f->d.pulse_id[i] != 0) c->id[c->n++] = f->d.pulse_id[i];
        f->bad += !f->d.good[i];
    }
    f->without_id = f->d.n - c->n;
    qsort(c->id, (size_t)c->n, sizeof *c->id, by_size);
    f->step = xn_sf_step(c->id, c->n);
    if (c->n > 0) {
        f->first = c->id[0];
        f->last = c->id[c->n - 1];
    }
    for (int64_t i = 1; i < c->n; i++) {
        uint64_t step = c->id[i] - c->id[i - 1];
        f->duplicates += step == 0;
        if (step <= f->step) continue;
        f->gaps++;
        f->lost += (int64_t)(step / f->step) - 1;
    }
    return XANI_OK;
}

static xani_status frame_facts(xn_ctx *ctx, xn_run_facts *f)
{
    char dataset[XN_KEY_LENGTH + 8];
    xn_frames *frames = NULL;
    snprintf(dataset, sizeof dataset, "%s/data", f->d.group);
    xani_status st = xn_frames_open(ctx, (const char *const *)f->d.file, f->d.n_files, dataset, NULL, &frames);
    if (st == XANI_OK) f->stored_bytes = xn_frames_get_info(frames)->stored_bytes;
    xn_frames_close(&frames);
    return st;
}

// ---- the whole

xani_status xn_run_facts_read(xn_ctx *ctx, const xn_found_run *run, xn_run_facts *f)
{
    memset(f, 0, sizeof *f);
    collector c = {ctx, f, NULL, NULL, 0};
    xani_status st;
    XN_GOTO(out, st, find_detectors(ctx, run, f));
    if (f->detector != NULL) {
        XN_GOTO(out, st, xn_sf_detector_read(ctx, run->file, f->detector, &f->d));
        XN_GOTO(out, st, frame_facts(ctx, f));
        XN_GOTO(out, st, pulse_facts(&c));
    }
    XN_GOTO(out, st, collect(&c, run->file));
    for (int i = 0; i < f->n_channels; i++) XN_GOTO(out, st, summarise(&c, i));
    XN_GOTO(out, st, guess_laser(&c, run->file));
    f->i0 = best(f, XN_ROLE_I0);
    f->stage = best(f, XN_ROLE_DELAY);
    f->edge = best(f, XN_ROLE_EDGE);
    f->quality = best(f, XN_ROLE_QUALITY);
    f->energy = best(f, XN_ROLE_ENERGY);
out:
    for (int i = 0; c.value != NULL && i < f->n_channels; i++) xn_channel_free(&c.value[i]);
    xn_free(c.value);
    xn_free(c.id);
    if (st != XANI_OK) xn_run_facts_free(f);
    return st;
}

void xn_run_facts_free(xn_run_facts *f)
{
    for (int i = 0; i < f->n_channels; i++) xn_free(f->channel[i].name);
    for (int i = 0; i < f->n_detectors; i++) xn_free(f->detectors[i]);
    xn_free(f->channel);
    xn_free(f->detectors);
    xn_sf_detector_free(&f->d);
    memset(f, 0, sizeof *f);
}
