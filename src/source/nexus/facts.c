// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about NeXus files without a configuration: see survey/survey.h.
//
// Files that the frames of a master lie in are no runs of their own.  Every dataset of as many rows as its file has
// frames is a reading.  Energy, distance, pixel size and beam centre come from the groups NXbeam and NXdetector, in
// whatever unit they say.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/nexus/nexus.h"
#include "source/survey/init_parts.h"

#define KEV_ANGSTROM 12.398419843320026 // h c
#define COLUMNS_MOST 4096               // more are an image, not a reading

extern const xn_input_layout xn_layout_nxmx;

// ---- whose files these are

// "series_7_data_000001.h5" beside "series_7_master.h5", "scan_000001.h5" beside "scan.nxs": the master's business.
static bool has_master(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    static const char *const ends[] = {"_master.h5", ".nxs", ".h5"};
    if (dot == NULL) return false;
    const char *end = dot;
    while (end > base && isdigit((unsigned char)end[-1])) end--;
    if (end == dot || end == base || end[-1] != '_') return false;
    end--;
    if (end - base > 5 && strncmp(end - 5, "_data", 5) == 0) end -= 5;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *name = xn_format("%.*s%s", (int)(end - path), path, ends[i]);
        bool there = name != NULL && strcmp(name, path) != 0 && access(name, F_OK) == 0;
        xn_free(name);
        if (there) return true;
    }
    return false;
}

// Links data_000001, ... make a master even where the definition is not told (the first file writers).
static bool has_numbered(const xn_h5 *h5, const char *group)
{
    char **names = NULL, *target = NULL, path[2 * XN_KEY_LENGTH];
    bool found = false;
    if (xn_h5_names(NULL, h5, group[0] ? group : "/", &names) != XANI_OK) return false;
    for (int i = 0; names[i] != NULL && !found; i++) {
        if (strncmp(names[i], "data_", 5) != 0 || !isdigit((unsigned char)names[i][5])) continue;
        snprintf(path, sizeof path, "%s/%s", group, names[i]);
        found = xn_h5_external(NULL, h5, path, &target) == XANI_OK && target != NULL;
        xn_free(target);
        target = NULL;
    }
    xn_h5_names_free(names);
    return found;
}

bool xn_nx_claims_nxmx(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH];
    bool is = false;
    if (xn_nx_default(ctx, h5, entry, group) != XANI_OK || xn_nx_is_nxmx(ctx, h5, &is) != XANI_OK) return false;
    is = is || (entry[0] != '\0' && (has_numbered(h5, group) || has_numbered(h5, entry)));
    if (is) xn_run_key(path, false, key, bytes);
    return is;
}

bool xn_nx_claims_nexus(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    char **datasets = NULL;
    if (has_master(path)) return false;
    bool is = xn_nx_find_frames(ctx, h5, false, NULL, &datasets) != XANI_OK || datasets != NULL;
    xn_h5_names_free(datasets);
    if (is) xn_run_key(path, false, key, bytes);
    return is;
}

// ---- energy and place

// A number in the unit wanted: its own unit times the factor of the first that matches. NaN: it is not there.
typedef struct {
    const char *unit;
    double factor;
} unit;

static double number_in(const xn_h5 *h5, const char *group, const char *name, const unit *units)
{
    char path[2 * XN_KEY_LENGTH], *own = NULL;
    double *value = NULL, result = NAN;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/%s", group, name);
    if (group[0] == '\0' || !xn_h5_exists(h5, path) || xn_h5_read_f64(NULL, h5, path, &value, &n) != XANI_OK)
        return NAN;
    bool told = xn_h5_read_attr(NULL, h5, path, "units", &own) == XANI_OK;
    const unit *u = units;
    while (u->unit != NULL && told && strcasecmp(u->unit, own) != 0) u++; // untold: the first, which NXmx wants
    if (n > 0 && u->unit != NULL) result = value[0] * u->factor;
    xn_free(own);
    xn_free(value);
    return isfinite(result) && result > 0 ? result : NAN;
}

static const unit to_kev[] = {{"eV", 1e-3}, {"keV", 1}, {"J", 6.241509074460763e15}, {NULL, 0}};
static const unit to_angstrom[] = {{"angstrom", 1}, {"A", 1},    {"Å", 1}, {"nm", 10},
                                   {"pm", 0.01},    {"m", 1e10}, {NULL, 0}};
static const unit to_mm[] = {{"m", 1e3},   {"mm", 1},        {"cm", 10}, {"um", 1e-3},
                             {"µm", 1e-3}, {"micron", 1e-3}, {NULL, 0}};
static const unit to_pixels[] = {{"pixel", 1}, {"pixels", 1}, {"px", 1}, {"", 1}, {NULL, 0}};

static double energy_of(const xn_h5 *h5, const char *entry)
{
    static const char *const groups[] = {"instrument/beam", "sample/beam", "beam", "instrument/source",
                                         "instrument/monochromator"};
    char group[2 * XN_KEY_LENGTH];
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        snprintf(group, sizeof group, "%s/%s", entry, groups[i]);
        double energy = number_in(h5, group, "incident_energy", to_kev);
        if (isnan(energy) && i >= 3) energy = number_in(h5, group, "energy", to_kev);
        double length = number_in(h5, group, "incident_wavelength", to_angstrom);
        if (isnan(length) && i >= 3) length = number_in(h5, group, "wavelength", to_angstrom);
        if (isfinite(energy)) return energy;
        if (isfinite(length)) return KEV_ANGSTROM / length;
    }
    return NAN;
}

// The simple detector's x grows with the column, y with the row, in the frame NeXus uses as well.
static void tell_directions(const xn_h5 *h5, const char *detector, xn_place_facts *p)
{
    char path[2 * XN_KEY_LENGTH];
    double fast[3], slow[3];
    snprintf(path, sizeof path, "%s/module/fast_pixel_direction", detector);
    bool told = xn_h5_read_attr_f64s(NULL, h5, path, "vector", 3, fast) == XANI_OK;
    snprintf(path, sizeof path, "%s/module/slow_pixel_direction", detector);
    told = told && xn_h5_read_attr_f64s(NULL, h5, path, "vector", 3, slow) == XANI_OK;
    if (!told || (fast[0] > 0.999 && slow[1] > 0.999)) return;
    snprintf(
        p->turned, sizeof p->turned,
        "the files say: columns go along [%.4g, %.4g, %.4g], rows along [%.4g, %.4g, %.4g]; here [1, 0, 0], [0, 1, 0]",
        fast[0], fast[1], fast[2], slow[0], slow[1], slow[2]);
}

static xani_status find_place(xn_ctx *ctx, const xn_h5 *h5, xn_place_facts *p)
{
    char entry[XN_KEY_LENGTH], group[XN_KEY_LENGTH], detector[XN_KEY_LENGTH];
    XN_TRY(xn_nx_default(ctx, h5, entry, group));
    XN_TRY(xn_nx_detector(ctx, h5, detector));
    p->energy_kev = energy_of(h5, entry);
    p->distance_mm = number_in(h5, detector, "distance", to_mm);
    if (isnan(p->distance_mm)) p->distance_mm = number_in(h5, detector, "detector_distance", to_mm);
    p->pixel_mm = number_in(h5, detector, "x_pixel_size", to_mm);
    p->centre_px[0] = number_in(h5, detector, "beam_center_x", to_pixels);
    p->centre_px[1] = number_in(h5, detector, "beam_center_y", to_pixels);
    if (isnan(p->centre_px[1])) p->centre_px[0] = NAN;
    if (detector[0] != '\0') tell_directions(h5, detector, p);
    return XANI_OK;
}

// ---- readings

typedef struct {
    const xn_nx_run *run;
    xn_run_facts *facts;
    int64_t first, n; // frames that the rows belong to
} noting;

static xani_status note(xn_ctx *ctx, void *user, const xn_h5 *h5, const char *dataset, const xn_h5_info *info)
{
    const noting *w = user;
    xn_channel *value = NULL;
    double *all = NULL;
    int64_t rows = 0;
    if (info->rank < 1 || info->rank > 2 || info->dims[0] != w->n || (info->rank == 2 && info->dims[1] > COLUMNS_MOST))
        return XANI_OK;
    XN_TRY(xn_facts_channel(ctx, w->facts, dataset, info, &value));
    if (value == NULL) return XANI_OK;
    XN_TRY(xn_channel_values(ctx, h5, dataset, 0, &all, &rows));
    xani_status st = xn_channel_add(ctx, value, rows, w->run->id + w->first, all, w->run->once + w->first);
    xn_free(all);
    return st;
}

static xani_status note_file(xn_ctx *ctx, const char *path, noting *w)
{
    xn_h5 *h5 = NULL;
    if (w->n < 2) return XANI_OK; // everything has one row
    XN_TRY(xn_h5_open(ctx, path, &h5));
    xani_status st = xn_nx_walk(ctx, h5, note, w);
    xn_h5_close(&h5);
    return st;
}

static xani_status note_all(xn_ctx *ctx, const xn_nx_run *m, xn_run_facts *f)
{
    for (int i = 0; i < m->n_files; i++) {
        noting w = {m, f, m->file_first[i], m->file_first[i + 1] - m->file_first[i]};
        XN_TRY(note_file(ctx, m->file[i], &w));
    }
    for (int i = 0; i < m->n_parts; i++) {
        noting w = {m, f, m->part[i].first, m->part[i].n};
        if (m->part[i].home != NULL) XN_TRY(note_file(ctx, m->part[i].home, &w));
    }
    return XANI_OK;
}

// A dataset that is 0 or 1 and has the laser in its name.
static void guess_laser(xn_run_facts *f)
{
    snprintf(f->other_rules, sizeof f->other_rules, "a dataset that is not 0 for laser-on shots");
    for (int i = 0; i < f->n_channels && f->rule[0] == '\0'; i++) {
        const xn_channel_facts *c = &f->channel[i];
        bool named = strcasestr(c->name, "laser") || strcasestr(c->name, "pump");
        bool plain =
            strspn(c->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-") == strlen(c->name);
        if (named && plain && c->scalar && c->distinct == 2 && c->min == 0 && xn_facts_laser(f, &c->value, false))
            snprintf(f->rule, sizeof f->rule, "%s", c->name);
    }
}

// ---- the whole

static xani_status tell_detector(xn_ctx *ctx, const xn_nx_run *m, xn_run_facts *f)
{
    char name[XN_KEY_LENGTH];
    const char *dataset = m->part[0].dataset, *slash = strrchr(dataset, '/');
    bool several = m->n_parts > 1 && m->part[1].file == 0 && slash != NULL;
    snprintf(name, sizeof name, "%.*s", several ? (int)(slash - dataset) : (int)strlen(dataset), dataset);
    xn_detector_facts d = {.name = name, .n = m->n, .ny = m->ny, .nx = m->nx, .type = m->type};
    for (int i = 0; i < m->n_parts; i++) d.stored_bytes += m->part[i].stored_bytes;
    snprintf(d.filters, sizeof d.filters, "%s", m->filters);
    XN_TRY(xn_facts_detector(ctx, f, &d, NULL));
    return xn_facts_ids(ctx, f, m->id, NULL, NULL, m->n);
}

xani_status xn_nx_facts(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f)
{
    xn_nx_run m = {.nxmx = run->layout == &xn_layout_nxmx};
    xn_h5 *h5 = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_nx_open(ctx, NULL, run->file, &m));
    XN_GOTO(out, st, xn_nx_ids(ctx, NULL, &m));
    XN_GOTO(out, st, tell_detector(ctx, &m, f));
    XN_GOTO(out, st, note_all(ctx, &m, f));
    XN_GOTO(out, st, xn_h5_open(ctx, run->file[0], &h5));
    XN_GOTO(out, st, find_place(ctx, h5, &f->place));
    XN_GOTO(out, st, xn_facts_finish(ctx, f));
    guess_laser(f);
out:
    xn_h5_close(&h5);
    xn_nx_close(&m);
    return st;
}

// Whole numbers, all different, one per frame, with a name that says id, pulse or train.
static bool are_ids(const xn_channel_facts *c, int64_t n)
{
    static const char *const words[] = {"id", "pulse", "train", "tag"};
    const char *slash = strrchr(c->name, '/'), *last = slash ? slash + 1 : c->name;
    bool named = false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) named = named || strcasestr(last, words[i]) != NULL;
    return named && c->scalar && c->type != XN_F32 && c->type != XN_F64 && c->distinct == n && n > 1;
}

// Files named beside the frames that are none themselves.
static void put_readings(xn_init_writer *w)
{
    bool any = false;
    for (int i = 0; i < w->survey->n; i++) {
        if (!xn_init_is_loose(&w->survey->file[i])) continue;
        if (!any) xn_text_add(&w->text, "  readings:  # further channels for i0, laser and delay\n");
        any = true;
        xn_text_add(&w->text, "    - ");
        xn_text_quoted(&w->text, 0, "file", w->survey->file[i].path, NULL);
        xn_text_entry(&w->text, 6, "ids", NULL, "dataset of their ids there, whose values are ids of frames");
    }
}

void xn_nx_init_calibration(xn_init_writer *w)
{
    const xn_detector_facts *d = w->detector;
    put_readings(w);
    for (int i = 0; d != NULL && i < w->facts.n_channels; i++)
        if (are_ids(&w->facts.channel[i], d->n))
            xn_text_add(&w->text, "  # ids: %s  # one per frame: what readings of other files are joined by\n",
                        w->facts.channel[i].name);
    bool counts = d != NULL && d->type != XN_F32 && d->type != XN_F64;
    if (!counts) {
        xn_init_scale(w);
        return;
    }
    xn_text_add(&w->text, "  calibration:\n");
    xn_text_entry(&w->text, 4, "photons_per_unit", "1", "of a counting detector; check");
}
