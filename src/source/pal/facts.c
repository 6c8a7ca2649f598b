// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about a PAL-XFEL run without a configuration: see survey/survey.h.
//
// The pump comes at a fraction of the 60 Hz of the machine, and every fraction has a flag, so that files cannot tell
// which one was the laser's.  Proposed is the highest rate that tells some shots from others; the rest stands beside
// it.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/pal/pal.h"
#include "source/survey/init_parts.h"

#define KEV_ANGSTROM 12.398419843 // h c

// ---- whose files these are

bool xn_pal_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    char group[XN_KEY_LENGTH], **names = NULL;
    bool rayonix = xn_pal_rayonix(ctx, h5, group), ours = rayonix || xn_pal_metadata(ctx, h5, group);
    if (!ours && xn_h5_exists(h5, "detector") && xn_pal_detectors(ctx, h5, &names) == XANI_OK) ours = names[0] != NULL;
    xn_h5_names_free(names);
    if (!ours) return false;
    xn_run_key(path, !rayonix, key, bytes);
    // .../type=raw/run=001/scan=001/ and .../type=measurement/run=001/scan=001/ are one run
    char *type = strstr(key, "/type="), *after = type ? strchr(type + 1, '/') : NULL;
    if (after != NULL) memmove(type, after, strlen(after) + 1);
    return true;
}

// ---- detectors

static xani_status note_detectors(xn_ctx *ctx, const xn_h5 *h5, xn_run_facts *f)
{
    char **names = NULL, dataset[XN_KEY_LENGTH];
    xn_h5_info info;
    XN_TRY(xn_pal_detectors(ctx, h5, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        bool known = !xn_pal_dataset(ctx, h5, names[i], dataset) || xn_pd_is_empty(h5, dataset);
        for (int k = 0; k < f->n_detectors; k++) known = known || strcmp(f->detector[k].name, names[i]) == 0;
        if (known) continue;
        XN_GOTO(out, st, xn_h5_info_get(ctx, h5, dataset, &info));
        if (info.rank != 3 || !xn_is_number(info.type)) continue;
        xn_detector_facts d = {.name = names[i], .ny = info.dims[1], .nx = info.dims[2], .type = info.type};
        snprintf(d.filters, sizeof d.filters, "%s", info.filters);
        st = xn_facts_detector(ctx, f, &d, NULL);
    }
out:
    xn_h5_names_free(names);
    return st;
}

static xani_status chosen_detector(xn_ctx *ctx, const xn_pal_files *run, xn_run_facts *f)
{
    xn_detector_facts *facts = &f->detector[f->chosen];
    xn_pal_detector d;
    xn_frames *frames = NULL;
    XN_TRY(xn_pal_detector_read(ctx, run, facts->name, &d));
    facts->n = d.n;
    xani_status st = xn_frames_open(ctx, (const char *const *)d.file, d.n_files, d.dataset, NULL, &frames);
    if (st == XANI_OK) facts->stored_bytes = xn_frames_get_info(frames)->stored_bytes;
    xn_frames_close(&frames);
    if (st == XANI_OK) st = xn_facts_ids(ctx, f, d.id, NULL, d.point, d.n);
    xn_pal_detector_free(&d);
    return st;
}

// ---- channels

static xani_status note_metadata(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *m, xn_run_facts *f)
{
    for (int i = 0; i < m->n_columns; i++) {
        xn_channel *value = NULL;
        const xn_h5_info info = {.type = m->block[m->column[i].block].type, .rank = 1, .dims = {m->n}, .size = m->n};
        XN_TRY(xn_facts_channel(ctx, f, m->column[i].name, &info, &value));
        if (value != NULL) XN_TRY(xn_pal_append(ctx, h5, m, 0, value));
    }
    return XANI_OK;
}

// The readings of one waveform, added to those of the waveforms of the monitor before it.
static xani_status add_waveform(xn_ctx *ctx, const xn_h5 *h5, const char *name, const xn_pd_frame *m, xn_channel *total)
{
    xn_channel one = {.name = name, .column = XN_COLUMN_SUM};
    xani_status st = xn_pal_append(ctx, h5, m, 0, &one);
    if (st == XANI_OK && total->n == 0) { // the first: its ids
        xn_channel_free(total);
        *total = one;
        total->name = "";
        return XANI_OK;
    }
    for (int64_t i = 0; st == XANI_OK && i < total->n; i++)
        total->value[i] += i < one.n && one.id[i] == total->id[i] ? one.value[i] : NAN;
    xn_channel_free(&one);
    return st;
}

// A waveform as a channel of its own; its name is appended to the reading that sums them all.
static xani_status note_waveform(xn_ctx *ctx, const xn_h5 *h5, const char *name, char **sum, xn_run_facts *f)
{
    xn_h5_info info;
    xn_channel *value = NULL;
    char *path = xn_format("%s/block0_values", name),
         *longer = xn_format("%s%ssum(%s)", *sum ? *sum : "", *sum ? " + " : "", name);
    xani_status st = path && longer ? xn_h5_info_get(ctx, h5, path, &info) : xn_fail_memory(ctx, name, 256);
    if (st == XANI_OK) st = xn_facts_channel(ctx, f, name, &info, &value);
    xn_free(path);
    xn_free(*sum);
    *sum = longer;
    return st;
}

// The waveforms of one beam position monitor, and their sum.
static xani_status note_monitor(xn_ctx *ctx, const xn_h5 *h5, const char *monitor, const xn_pd_frame *m,
                                xn_run_facts *f)
{
    char **names = NULL, *sum = NULL;
    xn_channel total = {0}, *value = NULL;
    XN_TRY(xn_h5_names(ctx, h5, monitor, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        char *name = xn_format("%s/%s", monitor, names[i]);
        if (name == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, monitor, 256));
        if (strncmp(names[i], "waveforms.", 10) == 0 && xn_pd_is_frame(ctx, h5, name)) {
            st = note_waveform(ctx, h5, name, &sum, f);
            if (st == XANI_OK) st = add_waveform(ctx, h5, name, m, &total);
        }
        xn_free(name);
    }
    const xn_h5_info info = {.type = XN_F64, .rank = 1, .dims = {total.n}, .size = total.n};
    if (st == XANI_OK && total.n > 0) st = xn_facts_channel(ctx, f, sum, &info, &value);
    if (st == XANI_OK && value != NULL) st = xn_channel_add(ctx, value, total.n, total.id, total.value, NULL);
out:
    xn_channel_free(&total);
    xn_free(sum);
    xn_h5_names_free(names);
    return st;
}

static xani_status note_monitors(xn_ctx *ctx, const xn_h5 *h5, const xn_pd_frame *m, xn_run_facts *f)
{
    char **hutch = NULL, **name = NULL;
    xani_status st = XANI_OK;
    if (!xn_h5_exists(h5, "qbpm")) return XANI_OK;
    XN_TRY(xn_h5_names(ctx, h5, "qbpm", &hutch));
    for (int i = 0; st == XANI_OK && hutch[i] != NULL; i++) {
        char *path = xn_format("qbpm/%s", hutch[i]);
        st = path ? xn_h5_names(ctx, h5, path, &name) : xn_fail_memory(ctx, "a monitor", 256);
        for (int k = 0; st == XANI_OK && name[k] != NULL; k++) {
            char *monitor = xn_format("%s/%s", path, name[k]);
            st = monitor ? note_monitor(ctx, h5, monitor, m, f) : xn_fail_memory(ctx, "a monitor", 256);
            xn_free(monitor);
        }
        xn_free(path);
        xn_h5_names_free(name);
        name = NULL;
    }
    xn_h5_names_free(hutch);
    return st;
}

// Rayonix: photon energy of the first shot's wavelength (1/Angstrom to keV), distance in mm.
static xani_status note_place(xn_ctx *ctx, const xn_h5 *h5, const char *group, xn_run_facts *f)
{
    char path[2 * XN_KEY_LENGTH];
    double *value = NULL;
    int64_t n = 0;
    xani_status st = XANI_OK;
    snprintf(path, sizeof path, "%s/photon_wavelength", group);
    if (xn_h5_exists(h5, path)) st = xn_h5_read_f64(ctx, h5, path, &value, &n);
    if (st == XANI_OK && n > 0 && value[0] > 0) f->place.energy_kev = KEV_ANGSTROM / value[0];
    xn_free(value);
    value = NULL;
    snprintf(path, sizeof path, "%.*s/header/detector_0_distance", (int)strcspn(group, "/"), group);
    if (st == XANI_OK && xn_h5_exists(h5, path)) st = xn_h5_read_f64(ctx, h5, path, &value, &n);
    if (st == XANI_OK && value != NULL && n > 0 && value[0] > 0) f->place.distance_mm = value[0];
    xn_free(value);
    return st;
}

// Rayonix: what stands beside the frames, with as many rows.
static xani_status note_rows(xn_ctx *ctx, const xn_h5 *h5, int64_t first, int64_t *rows, xn_run_facts *f)
{
    char group[XN_KEY_LENGTH], path[2 * XN_KEY_LENGTH], **names = NULL;
    static const xn_pd_frame none;
    xn_h5_info info;
    *rows = 0;
    if (!xn_pal_rayonix(ctx, h5, group)) return XANI_OK;
    snprintf(path, sizeof path, "%s/raymx_data", group);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    *rows = info.rank > 0 ? info.dims[0] : 0;
    XN_TRY(xn_h5_names(ctx, h5, group, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        xn_channel *value = NULL;
        snprintf(path, sizeof path, "%s/%s", group, names[i]);
        st = xn_h5_info_get(ctx, h5, path, &info);
        if (st != XANI_OK || info.is_group || info.rank == 0 || info.rank > 2 || info.dims[0] != *rows) continue;
        st = xn_facts_channel(ctx, f, names[i], &info, &value);
        if (st == XANI_OK && value != NULL) st = xn_pal_append(ctx, h5, &none, first, value);
    }
    xn_h5_names_free(names);
    return st == XANI_OK ? note_place(ctx, h5, group, f) : st;
}

// ---- laser

// Rate of a flag's name in Hz; 0: it is none. Older names are words.
static int rate_of(const char *name)
{
    static const struct {
        const char *word;
        int hz;
    } words[] = {{"SIXTY_HERTZ", 60},  {"THIRTY_HERTZ", 30}, {"TWENTY_HERTZ", 20}, {"FIFTEEN_HERTZ", 15},
                 {"TWELVE_HERTZ", 12}, {"TEN_HERTZ", 10},    {"FIVE_HERTZ", 5},    {"ONE_HERTZ", 1}};
    const char *rate = strstr(name, "RATE_"), *digits = rate ? strrchr(rate, '_') : NULL;
    if (digits != NULL && isdigit((unsigned char)digits[1])) return (int)strtol(digits + 1, NULL, 10);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(name, "event_info.", 11) == 0 && strcmp(name + 11, words[i].word) == 0) return words[i].hz;
    return 0;
}

static void guess_laser(xn_run_facts *f)
{
    int below = 1000;
    snprintf(f->other_rules, sizeof f->other_rules, "{codes: [RATE]}");
    for (;;) { // from the highest rate down
        int best = -1, rate = 0;
        for (int i = 0; i < f->n_channels; i++) {
            int hz = f->channel[i].scalar ? rate_of(f->channel[i].name) : 0;
            if (hz > rate && hz < below) best = i, rate = hz;
        }
        if (best < 0) return;
        below = rate;
        const xn_channel_facts *c = &f->channel[best];
        if (f->rule[0] == '\0' && xn_facts_laser(f, &c->value, false)) {
            snprintf(f->rule, sizeof f->rule, "%s", c->name);
            continue;
        }
        size_t used = strlen(f->other_rules);
        if (used + strlen(c->name) + 3 < sizeof f->other_rules)
            snprintf(f->other_rules + used, sizeof f->other_rules - used, ", %s", c->name);
    }
}

// ---- the whole

xani_status xn_pal_facts(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f)
{
    xn_pal_files files;
    int64_t first = 0, rows = 0;
    xani_status st = xn_pal_files_open(ctx, run->file, false, &files);
    for (int pass = 0; pass < 2; pass++) { // the detector's timestamps before the channels
        for (int i = 0; st == XANI_OK && i < files.n; i++) {
            xn_h5 *h5 = NULL;
            st = xn_h5_open(ctx, run->file[i], &h5);
            if (st == XANI_OK && pass == 0) st = note_detectors(ctx, h5, f);
            if (st == XANI_OK && pass == 1) st = note_metadata(ctx, h5, &files.metadata[i], f);
            if (st == XANI_OK && pass == 1) st = note_monitors(ctx, h5, &files.metadata[i], f);
            if (st == XANI_OK && pass == 1) st = note_rows(ctx, h5, first, &rows, f);
            first += rows;
            xn_h5_close(&h5);
        }
        if (st == XANI_OK && pass == 0 && f->chosen >= 0) st = chosen_detector(ctx, &files, f);
    }
    if (st == XANI_OK) st = xn_facts_finish(ctx, f);
    if (st == XANI_OK) guess_laser(f);
    xn_pal_files_close(&files);
    return st;
}
