// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about a SwissFEL run without a configuration: see survey/survey.h.
//
// The laser rule proposed is the first of daq_rec, evtset20, evtset25 that tells some shots from others.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/survey/init_parts.h"
#include "source/swissfel/swissfel.h"

bool xn_sf_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    char **names = NULL;
    if (xn_sf_names(ctx, h5, &names) != XANI_OK) return false;
    bool any = names[0] != NULL;
    xn_h5_names_free(names);
    const char *slash = strrchr(path, '/');
    if (any) xn_run_key(path, strncmp(slash ? slash + 1 : path, "acq", 3) == 0, key, bytes);
    return any;
}

// ---- detectors

// Adds the detector of one file, unless it is known.
static xani_status note_detector(xn_ctx *ctx, const xn_h5 *h5, const char *name, xn_run_facts *f)
{
    char group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16];
    if (!xn_sf_is_detector(ctx, h5, name) || !xn_sf_group(h5, name, group)) return XANI_OK;
    for (int k = 0; k < f->n_detectors; k++)
        if (strcmp(f->detector[k].name, name) == 0) return XANI_OK;
    xn_h5_info info;
    snprintf(path, sizeof path, "%s/data", group);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    xn_detector_facts d = {.name = (char *)(uintptr_t)name, .ny = info.dims[1], .nx = info.dims[2], .type = info.type};
    snprintf(d.filters, sizeof d.filters, "%s", info.filters);
    return xn_facts_detector(ctx, f, &d, NULL);
}

static void count_by_daq_rec(const xn_sf_detector *d, xn_run_facts *f)
{
    for (int64_t i = 0; i < d->n; i++) {
        uint64_t bits = d->daq_rec[i];
        if (d->daq_mixed[i])
            f->unknown++;
        else if (bits & XN_DAQ_DARK)
            f->dark++;
        else if (bits & XN_DAQ_LASER)
            f->on++;
        else
            f->off++;
        if (bits & XN_DAQ_HIGH_GAIN) f->detector[f->chosen].high_gain = true;
    }
    if (f->on > 0 && f->off > 0) snprintf(f->rule, sizeof f->rule, "daq_rec");
}

static xani_status stored_bytes(xn_ctx *ctx, const xn_sf_detector *d, int64_t *bytes)
{
    char dataset[XN_KEY_LENGTH + 8];
    xn_frames *frames = NULL;
    snprintf(dataset, sizeof dataset, "%s/data", d->group);
    xani_status st = xn_frames_open(ctx, (const char *const *)d->file, d->n_files, dataset, NULL, &frames);
    if (st == XANI_OK) *bytes = xn_frames_get_info(frames)->stored_bytes;
    xn_frames_close(&frames);
    return st;
}

static xani_status chosen_detector(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f)
{
    xn_sf_detector d;
    xn_detector_facts *facts = &f->detector[f->chosen];
    xani_status st;
    XN_TRY(xn_sf_detector_read(ctx, run->file, facts->name, &d));
    facts->n = d.n;
    facts->converted = d.processed;
    facts->modules = d.n_map;
    for (int i = 0; i < d.n_map; i++) facts->modules_on += d.map[i] >= 0;
    if (facts->modules_on > 0 && d.ny % facts->modules_on == 0) facts->rows_all = d.ny / facts->modules_on * d.n_map;
    XN_GOTO(out, st, stored_bytes(ctx, &d, &facts->stored_bytes));
    XN_GOTO(out, st, xn_facts_ids(ctx, f, d.pulse_id, d.good, d.n));
    if (d.has_daq_rec) count_by_daq_rec(&d, f);
out:
    xn_sf_detector_free(&d);
    return st;
}

// ---- channels

static xani_status note_channel(xn_ctx *ctx, const xn_h5 *h5, const char *name, xn_run_facts *f)
{
    char group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16];
    xn_h5_info info;
    xn_channel *value = NULL;
    if (xn_sf_is_detector(ctx, h5, name) || !xn_sf_group(h5, name, group)) return XANI_OK;
    snprintf(path, sizeof path, "%s/data", group);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    XN_TRY(xn_facts_channel(ctx, f, name, &info, &value));
    return value != NULL ? xn_sf_append(ctx, h5, value) : XANI_OK;
}

// Calls `note` for every channel or detector of every file.
static xani_status each_name(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f,
                             xani_status (*note)(xn_ctx *, const xn_h5 *, const char *, xn_run_facts *))
{
    for (int i = 0; i < run->n; i++) {
        xn_h5 *h5 = NULL;
        char **names = NULL;
        XN_TRY(xn_h5_open(ctx, run->file[i], &h5));
        xani_status st = xn_sf_names(ctx, h5, &names);
        for (int j = 0; st == XANI_OK && names[j] != NULL; j++) st = note(ctx, h5, names[j], f);
        xn_h5_names_free(names);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

static xani_status try_events(xn_ctx *ctx, const struct xn_found_run *run, int64_t column, bool inverted,
                              const char *rule, xn_run_facts *f)
{
    xn_channel events = {.name = XN_SF_EVENTS, .column = column};
    xani_status st = f->rule[0] == '\0' ? xn_sf_read_channel(ctx, run->file, &events) : XANI_OK;
    if (st == XANI_OK && events.n > 0) st = xn_channel_sort(ctx, &events);
    if (st == XANI_OK && events.n > 0 && xn_facts_laser(f, &events, inverted))
        snprintf(f->rule, sizeof f->rule, "%s", rule);
    xn_channel_free(&events);
    return st;
}

static xani_status guess_laser(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f)
{
    int64_t columns = 0;
    for (int i = 0; i < f->n_channels; i++)
        if (strcmp(f->channel[i].name, XN_SF_EVENTS) == 0 && f->channel[i].rank == 2) columns = f->channel[i].dims[1];
    if (columns > 20) XN_TRY(try_events(ctx, run, 20, false, "evtset20", f));
    return columns > 25 ? try_events(ctx, run, 25, true, "evtset25", f) : XANI_OK;
}

xani_status xn_sf_facts(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f)
{
    snprintf(f->other_rules, sizeof f->other_rules, "daq_rec, evtset20, evtset25, {codes, drop}");
    XN_TRY(each_name(ctx, run, f, note_detector));
    if (f->chosen >= 0) XN_TRY(chosen_detector(ctx, run, f));
    XN_TRY(each_name(ctx, run, f, note_channel));
    XN_TRY(xn_facts_finish(ctx, f));
    return guess_laser(ctx, run, f);
}

// ---- init

void xn_sf_init_calibration(xn_init_writer *w)
{
    xn_text *t = &w->text;
    const xn_detector_facts *d = w->detector;
    if (d != NULL && d->converted) {
        xn_text_add(t, "  # the frames are converted to keV already: no pedestals, no gains\n");
        return;
    }
    bool words = d == NULL || d->type == XN_U16;
    if (!words) {
        xn_init_scale(w);
        return;
    }
    xn_text_add(t, "  calibration:\n");
    xn_text_quoted(t, 4, "pedestal", w->finds.pedestal, w->finds.pedestal ? NULL : "pedestal file of the detector");
    xn_text_quoted(t, 4, "gain", w->finds.gain, w->finds.gain ? NULL : "gain file of the detector");
    if (w->finds.pixel_mask) xn_text_add(t, "  # bad pixels: the pixel_mask of the pedestal file\n");
    if (d != NULL && d->high_gain) xn_text_add(t, "  # the run is in high gain: planes 3 and up are taken\n");
}
