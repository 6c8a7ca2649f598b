// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about a SwissFEL run without a configuration: see survey/survey.h.
//
// The laser rule proposed is the first of daq_rec, evtset20, evtset25 that tells some shots from others.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/survey/init_parts.h"
#include "source/swissfel/swissfel.h"

// Calls `note` for every process variable of a file; its names are those of the groups.
static xani_status each_slow(xn_ctx *ctx, const xn_h5 *h5, void *user,
                             xani_status (*note)(xn_ctx *, const xn_h5 *, const char *name, const char *group, void *))
{
    char **names = NULL, group[XN_KEY_LENGTH];
    xn_h5_info info;
    bool below = xn_h5_exists(h5, "data") && xn_h5_info_get(NULL, h5, "data", &info) == XANI_OK && info.is_group;
    XN_TRY(xn_h5_names(ctx, h5, below ? "data" : "/", &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++)
        if (xn_sf_slow_group(h5, names[i], group)) st = note(ctx, h5, names[i], group, user);
    xn_h5_names_free(names);
    return st;
}

static xani_status count_slow(xn_ctx *ctx, const xn_h5 *h5, const char *name, const char *group, void *user)
{
    (void)ctx, (void)h5, (void)name, (void)group;
    ++*(int *)user;
    return XANI_OK;
}

static bool has_slow(const xn_h5 *h5)
{
    int n = 0;
    return each_slow(NULL, h5, &n, count_slow) == XANI_OK && n > 0;
}

bool xn_sf_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    char **names = NULL;
    if (xn_sf_names(ctx, h5, &names) != XANI_OK) return false;
    bool any = names[0] != NULL;
    xn_h5_names_free(names);
    const char *slash = strrchr(path, '/');
    any = any || (xn_sf_is_slow(path) && has_slow(h5));
    if (any) xn_run_key(path, strncmp(slash ? slash + 1 : path, "acq", 3) == 0, key, bytes);
    return any;
}

// ---- detectors

// Adds the detector of one file, unless it is known. Cameras count where there is no JUNGFRAU.
static xani_status note_stack(xn_ctx *ctx, const xn_h5 *h5, const char *name, xn_run_facts *f)
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

static xani_status note_jungfrau(xn_ctx *ctx, const xn_h5 *h5, const char *name, xn_run_facts *f)
{
    return xn_sf_is_jungfrau(name) ? note_stack(ctx, h5, name, f) : XANI_OK;
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

// The acquisition, which is a step of the scan, of each frame: between two of them none are due.
static xani_status tell_ids(xn_ctx *ctx, const xn_sf_detector *d, xn_run_facts *f)
{
    int32_t *step = xn_alloc((size_t)d->n + 1, sizeof *step);
    if (step == NULL) return xn_fail_memory(ctx, "the frames", (size_t)d->n * sizeof *step);
    for (int32_t k = 0; k < d->n_files; k++)
        for (int64_t i = d->file_first[k]; i < d->file_first[k + 1]; i++) step[i] = k;
    xani_status st = xn_facts_ids(ctx, f, d->pulse_id, d->good, step, d->n);
    xn_free(step);
    return st;
}

// d: freed by the caller, also after a failure.
static xani_status chosen_detector(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f, xn_sf_detector *d)
{
    xn_detector_facts *facts = &f->detector[f->chosen];
    XN_TRY(xn_sf_detector_read(ctx, run->file, facts->name, d));
    facts->n = d->n;
    facts->converted = d->processed;
    facts->modules = d->assembled ? 0 : d->n_map;
    for (int i = 0; i < facts->modules; i++) facts->modules_on += d->map[i] >= 0;
    if (facts->modules_on > 0 && d->ny % facts->modules_on == 0) facts->rows_all = d->ny / facts->modules_on * d->n_map;
    XN_TRY(stored_bytes(ctx, d, &facts->stored_bytes));
    XN_TRY(tell_ids(ctx, d, f));
    if (d->has_daq_rec) count_by_daq_rec(d, f);
    return XANI_OK;
}

// ---- channels

static xani_status note_channel(xn_ctx *ctx, const xn_h5 *h5, const char *name, xn_run_facts *f)
{
    char group[XN_KEY_LENGTH], path[XN_KEY_LENGTH + 16];
    xn_h5_info info;
    xn_channel *value = NULL;
    for (int k = 0; k < f->n_detectors; k++)
        if (strcmp(f->detector[k].name, name) == 0) return XANI_OK;
    if (xn_sf_is_slow(xn_h5_path(h5)) || !xn_sf_group(h5, name, group)) return XANI_OK;
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

typedef struct {
    xn_run_facts *facts;
    const xn_sf_input *input;
} noting;

static xani_status note_slow(xn_ctx *ctx, const xn_h5 *h5, const char *name, const char *group, void *user)
{
    const noting *w = user;
    char path[XN_KEY_LENGTH + 16];
    xn_h5_info info;
    xn_channel *value = NULL;
    for (int i = 0; i < w->facts->n_channels; i++) // known from an earlier file, which read all
        if (strcmp(w->facts->channel[i].name, name) == 0) return XANI_OK;
    snprintf(path, sizeof path, "%s/data", group);
    XN_TRY(xn_h5_info_get(ctx, h5, path, &info));
    XN_TRY(xn_facts_channel(ctx, w->facts, name, &info, &value));
    if (value == NULL) return XANI_OK;
    XN_TRY(xn_sf_slow_read(ctx, w->input, value));
    w->facts->channel[w->facts->n_channels - 1].readings = value->n; // one per frame, whatever is stored
    return XANI_OK;
}

static xani_status note_all_slow(xn_ctx *ctx, const struct xn_found_run *run, noting *w)
{
    for (int i = 0; i < run->n; i++) {
        xn_h5 *h5 = NULL;
        if (!xn_sf_is_slow(run->file[i])) continue;
        XN_TRY(xn_h5_open(ctx, run->file[i], &h5));
        xani_status st = each_slow(ctx, h5, w, note_slow);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

// scan/NAME of every parameter of the run's own scan.json.
static xani_status note_scan(xn_ctx *ctx, const struct xn_found_run *run, noting *w)
{
    char *path = NULL, name[XN_KEY_LENGTH];
    xn_sf_scan scan = {0};
    XN_TRY(xn_sf_scan_beside(ctx, run->file[0], &path));
    if (path == NULL) return XANI_OK;
    xani_status st = xn_sf_scan_open(ctx, path, &scan);
    for (size_t i = 0; st == XANI_OK && xn_sf_scan_name(&scan, i) != NULL; i++) {
        const xn_h5_info info = {.type = XN_F64, .rank = 1, .dims = {w->input->detector->n}};
        xn_channel *value = NULL;
        snprintf(name, sizeof name, "scan/%s", xn_sf_scan_name(&scan, i));
        st = xn_facts_channel(ctx, w->facts, name, &info, &value);
        if (st == XANI_OK) st = xn_sf_scan_read(ctx, &scan, w->input->detector, value);
    }
    if (st != XANI_OK && st != XANI_ERR_MEMORY) { // a file beside the run, not of it
        xn_clear_error(ctx);
        st = XANI_OK;
    }
    xn_sf_scan_close(&scan);
    xn_free(path);
    return st;
}

static xani_status try_events(xn_ctx *ctx, const struct xn_found_run *run, int64_t column, bool inverted,
                              const char *rule, xn_run_facts *f)
{
    xn_channel events = {.name = XN_SF_EVENTS, .column = column};
    xn_sf_input input = {.files = run->file};
    xani_status st = f->rule[0] == '\0' ? xn_sf_read_channel(ctx, &input, &events) : XANI_OK;
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
    xn_sf_detector d = {0};
    xn_sf_input input = {.files = run->file, .detector = &d};
    noting w = {f, &input};
    xani_status st;
    snprintf(f->other_rules, sizeof f->other_rules, "daq_rec, evtset20, evtset25, {codes, drop}");
    XN_TRY(each_name(ctx, run, f, note_jungfrau));
    if (f->n_detectors == 0) XN_TRY(each_name(ctx, run, f, note_stack));
    if (f->chosen >= 0) XN_GOTO(out, st, chosen_detector(ctx, run, f, &d));
    XN_GOTO(out, st, each_name(ctx, run, f, note_channel));
    if (d.n > 0) XN_GOTO(out, st, note_all_slow(ctx, run, &w));
    if (d.n > 0) XN_GOTO(out, st, note_scan(ctx, run, &w));
    XN_GOTO(out, st, xn_facts_finish(ctx, f));
    st = guess_laser(ctx, run, f);
out:
    xn_sf_detector_free(&d);
    return st;
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
