// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about a European XFEL run without a configuration: see survey/survey.h.
//
// A run has some ten thousand slow values.  Those are looked at that can be an intensity, a delay or an energy: numbers
// per pulse of the fast data, and of the slow data positions, delays, energies and fluxes.
//
// Corrected frames (proc/r0348) and the readings (raw/r0348) are one run; its key is the folder above both.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/euxfel/euxfel.h"
#include "source/survey/init_parts.h"

// ---- whose files these are

// R0348 of a file's name; false: it has none.
static bool run_number(const char *base, int *number)
{
    const char *r = strstr(base, "-R");
    char *end;
    if (r == NULL) return false;
    long n = strtol(r + 2, &end, 10);
    *number = (int)n;
    return end == r + 6 && (*end == '-' || *end == '.');
}

// Folder without a last part that is the run (r0348) and one before it that says how far the data have come.
static int run_folder(const char *path, int length, int number)
{
    static const char *const kinds[] = {"/raw", "/proc"};
    char part[32];
    int n = snprintf(part, sizeof part, "/r%04d", number);
    if (length >= n && strncasecmp(path + length - n, part, (size_t)n) == 0) length -= n;
    for (int i = 0; i < 2; i++) {
        n = (int)strlen(kinds[i]);
        if (length >= n && strncmp(path + length - n, kinds[i], (size_t)n) == 0) return length - n;
    }
    return length;
}

bool xn_xf_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    bool cxi = xn_xf_is_cxi(h5);
    if (!cxi && !xn_xf_is_exdf(h5)) return false;
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    double number_told = NAN;
    int number = -1, length = slash ? (int)(slash - path) : 0;
    bool told = run_number(base, &number);
    if (!told && cxi && xn_h5_read_attr_f64(ctx, h5, "entry_1", "euxfelRunNumber", &number_told) == XANI_OK) {
        number = (int)number_told;
        told = true;
    }
    if (!told && xn_h5_exists(h5, "METADATA/runNumber")) {
        double *value = NULL;
        int64_t n = 0;
        if (xn_h5_read_f64(ctx, h5, "METADATA/runNumber", &value, &n) == XANI_OK && n > 0) {
            number = (int)value[0];
            told = true;
        }
        xn_free(value);
    }
    xn_clear_error(ctx);
    if (told)
        snprintf(key, bytes, "%.*s/run%04d/", run_folder(path, length, number), path, number);
    else
        xn_run_key(path, false, key, bytes);
    return true;
}

// ---- channels

typedef struct {
    xn_ctx *ctx;
    xn_xf_readings *r;
    xn_run_facts *f;
} teller;

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_wanted(const char *name, bool control)
{
    static const char *const slow[] = {"/actualPosition", "/actualDelay",  "/currentOpticalDelay",
                                       "/photonFlux",     "/photonEnergy", "/actualEnergy"};
    static const char *const fast[] = {"/intensityTD", "/lowChargeArrivalTime", "/absoluteTD"};
    const char *const *list = control ? slow : fast;
    size_t n = control ? sizeof slow / sizeof *slow : sizeof fast / sizeof *fast;
    for (size_t i = 0; i < n; i++)
        if (ends_with(name, list[i])) return true;
    return !control && strcasestr(name, "delay") != NULL;
}

// ps per unit of readings whose unit the facility fixes (formats.md 1.4): stages in mm go there and back.
static double scale_of(const char *name)
{
    if (strstr(name, "/PPL_PHASE_SHIFTER/") || strstr(name, "/TRGDLY/") || ends_with(name, "/currentOpticalDelay"))
        return -1.0; // the trigger's part has a minus
    return NAN;
}

static xani_status note(const teller *t, const char *name, const xn_h5_info *info)
{
    xn_h5_info as_scalar = {.type = info->type, .rank = 1, .dims = {info->dims[0]}, .size = info->dims[0]};
    xn_channel *value = NULL;
    XN_TRY(xn_facts_channel(t->ctx, t->f, name, &as_scalar, &value));
    xn_channel_facts *c = &t->f->channel[t->f->n_channels - 1];
    if (value == NULL || value->n > 0 || strcmp(c->name, name) != 0) return XANI_OK;
    c->scale_ps = scale_of(name);
    xani_status st = xn_xf_read_channel(t->ctx, t->r, value);
    c->readings = value->n;
    return st;
}

// All wanted datasets below a group of a file; `behind`: where the reading's name begins in the path.
static xani_status walk(const teller *t, const xn_h5 *h5, const char *group, size_t behind, bool control, int depth)
{
    char **names = NULL, path[XN_KEY_LENGTH];
    XN_TRY(xn_h5_names(t->ctx, h5, group, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        xn_h5_info info;
        int n = snprintf(path, sizeof path, "%s/%s", group, names[i]);
        if (n < 0 || (size_t)n + 8 >= sizeof path || xn_h5_info_get(t->ctx, h5, path, &info) != XANI_OK) {
            xn_clear_error(t->ctx);
            continue;
        }
        bool value = control && strcmp(names[i], "value") == 0;
        if (value) path[strlen(group)] = '\0';
        if (info.is_group)
            st = depth > 0 ? walk(t, h5, path, behind, control, depth - 1) : XANI_OK;
        else if (xn_is_number(info.type) && info.rank >= 1 && info.rank <= 2 && is_wanted(path, control))
            st = note(t, path + behind, &info);
    }
    xn_h5_names_free(names);
    return st;
}

// An earlier file has the source: its readings are known.
static bool seen_before(const teller *t, const xn_xf_file *file, const char *source)
{
    for (const xn_xf_file *f = t->r->run->file; f < file; f++)
        if (xn_xf_file_has(f, source)) return true;
    return false;
}

static xani_status channels_of(const teller *t, const xn_xf_file *file)
{
    xn_h5 *h5 = NULL;
    XN_TRY(xn_h5_open(t->ctx, file->path, &h5));
    xani_status st = XANI_OK;
    for (int k = 0; st == XANI_OK && k < file->n_sources; k++) {
        bool control = strncmp(file->source[k], "CONTROL/", 8) == 0;
        if (seen_before(t, file, file->source[k]) || !xn_h5_exists(h5, file->source[k])) continue;
        if (strstr(file->source[k], ":xtdf") || ends_with(file->source[k], "/image")) continue;
        st = walk(t, h5, file->source[k], (size_t)(strchr(file->source[k], '/') + 1 - file->source[k]), control, 3);
        if (st == XANI_ERR_INPUT) xn_clear_error(t->ctx), st = XANI_OK; // a source that cannot be told about
    }
    xn_h5_close(&h5);
    return st;
}

// ---- detectors

static xani_status tell_detector(teller *t, const xn_xf_detector *d, bool *chosen)
{
    int on = 0;
    for (int m = 0; m < d->n_modules; m++) on += !d->module[m].absent;
    xn_detector_facts facts = {.name = (char *)(uintptr_t)d->name,
                               .n = d->n,
                               .ny = d->ny * d->n_modules,
                               .nx = d->nx,
                               .type = d->type,
                               .modules = d->n_modules,
                               .modules_on = on,
                               .converted = !d->words};
    snprintf(facts.filters, sizeof facts.filters, "%s", d->filters);
    for (int m = 0; m < d->n_modules; m++) {
        xn_array *a = NULL;
        const xn_array_options how = {.fill = true};
        const xn_xf_module *p = &d->module[m];
        if (p->absent || p->n_files == 0 || (m > 0 && p->file == d->files)) continue;
        XN_TRY(xn_array_open(t->ctx, (const char *const *)p->file, p->n_files, p->frames, &how, &a));
        facts.stored_bytes += xn_array_get_info(a)->stored_bytes;
        xn_array_close(&a);
    }
    return xn_facts_detector(t->ctx, t->f, &facts, chosen);
}

// What the name of a detector says of its pixels (formats.md 7).
static void tell_pixels(teller *t, const char *name)
{
    if (strstr(name, "AGIPD") != NULL) t->f->place.pixel_mm = 0.2;
    if (strstr(name, "LPD") != NULL) t->f->place.pixel_mm = 0.5;
}

static xani_status tell_ids(teller *t, const xn_xf_detector *d)
{
    uint8_t *good = xn_alloc((size_t)d->n, 1);
    if (good == NULL) return xn_fail_memory(t->ctx, "the frames", (size_t)d->n);
    for (int64_t i = 0; i < d->n; i++) good[i] = d->refused[i] == XN_CUT_NONE;
    t->f->train_bits = XN_XF_PULSE_BITS;
    xani_status st = xn_facts_ids(t->ctx, t->f, d->id, good, NULL, d->n);
    xn_free(good);
    return st;
}

static xani_status read_detector(teller *t, const char *name, xn_xf_detector *d)
{
    if (name == NULL) return xn_xf_cxi_read(t->ctx, NULL, t->r->run, d);
    return xn_xf_detector_read(t->ctx, NULL, t->r->run, name, d);
}

// All detectors; the largest stays in *kept.
static xani_status detectors(teller *t, xn_xf_detector *kept)
{
    char **names = NULL;
    bool cxi = t->r->run->cxi >= 0;
    if (!cxi) XN_TRY(xn_xf_detectors(t->ctx, t->r->run, &names));
    xani_status st = XANI_OK;
    for (int i = 0; st == XANI_OK && (cxi ? i < 1 : names[i] != NULL); i++) {
        xn_xf_detector d;
        bool chosen = false;
        st = read_detector(t, cxi ? NULL : names[i], &d);
        if (st == XANI_ERR_INPUT || st == XANI_ERR_CONFIG) { // one that cannot be read does not hide the others
            xn_warn(t->ctx, "%s", xani_error_text(t->ctx));
            xn_clear_error(t->ctx);
            st = XANI_OK;
            continue;
        }
        if (st == XANI_OK) st = tell_detector(t, &d, &chosen);
        if (st == XANI_OK && chosen) {
            xn_xf_detector_free(kept);
            *kept = d;
        } else {
            xn_xf_detector_free(&d);
        }
    }
    xn_h5_names_free(names);
    return st;
}

// ---- laser

static void by_pattern(teller *t)
{
    const xn_xf_detector *d = t->r->detector;
    xn_run_facts *f = t->f;
    f->on = f->off = f->dark = f->unknown = 0;
    for (int64_t i = 0; i < d->n; i++) {
        int64_t row, position = xn_xf_position(t->r->pattern, &t->r->numbers, d->id[i], &row);
        if (position == XN_XF_NO_TRAIN)
            f->unknown++;
        else if (position < 0 || xn_xf_fel_number(t->r->pattern, row, position) < 0)
            f->dark++;
        else if (xn_xf_is_pump(t->r->pattern, row, position))
            f->on++;
        else
            f->off++;
    }
}

// Where pulse ids do not begin at position 0: the first pulse of a train is its first FEL pulse.
static bool guess_offset(teller *t)
{
    const xn_xf_detector *d = t->r->detector;
    const xn_xf_pattern *p = t->r->pattern;
    for (int64_t i = 0; i < d->n; i++) {
        int64_t row;
        if (i > 0 && xn_xf_train(d->id[i]) == xn_xf_train(d->id[i - 1])) continue;
        if (xn_xf_position(p, &t->r->numbers, d->id[i], &row) == XN_XF_NO_TRAIN || p->fel[row + 1] == p->fel[row])
            continue;
        t->r->numbers.offset = p->fel_at[p->fel[row]] - xn_xf_pulse(d->id[i]);
        return t->r->numbers.offset != 0;
    }
    return false;
}

static void tell_laser(teller *t)
{
    xn_run_facts *f = t->f;
    by_pattern(t);
    int64_t dark = f->dark;
    if (2 * dark > t->r->detector->n && !t->r->numbers.by_fel && guess_offset(t)) {
        by_pattern(t);
        if (2 * f->dark <= dark)
            snprintf(f->more, sizeof f->more,
                     "  pulses: {offset: %lld}  # bunch position of pulse id 0, by the first FEL pulse; check\n",
                     (long long)t->r->numbers.offset);
        else
            t->r->numbers.offset = 0;
        if (f->more[0] == '\0') by_pattern(t);
    }
    if (f->on > 0 && f->off > 0) snprintf(f->rule, sizeof f->rule, "pattern");
}

// ---- the whole

xani_status xn_xf_facts(xn_ctx *ctx, const struct xn_found_run *found, xn_run_facts *f)
{
    xn_xf_run run = {0};
    xn_xf_detector d = {0};
    xn_xf_pattern pattern = {0};
    xn_xf_readings readings = {.run = &run, .pattern = &pattern};
    teller t = {ctx, &readings, f};
    bool there = false;
    xani_status st;
    char **paths = xn_calloc((size_t)found->n + 1, sizeof *paths);
    if (paths == NULL) return xn_fail_memory(ctx, "the list of files", (size_t)found->n * sizeof *paths);
    for (int i = 0; i < found->n; i++)
        if ((paths[i] = xn_strdup(found->file[i])) == NULL) {
            xn_h5_names_free(paths);
            return xn_fail_memory(ctx, "a file name", strlen(found->file[i]));
        }
    snprintf(f->other_rules, sizeof f->other_rules, "pattern, even_trains, odd_trains, {pulses: [0:400:2]}");
    XN_GOTO(out, st, xn_xf_run_open(ctx, paths, true, &run));
    XN_GOTO(out, st, detectors(&t, &d));
    if (f->chosen >= 0) {
        readings.detector = &d;
        tell_pixels(&t, d.name);
        XN_GOTO(out, st, tell_ids(&t, &d));
        XN_GOTO(out, st, xn_xf_numbers_load(ctx, NULL, d.cells, &readings.numbers));
        XN_GOTO(out, st, xn_xf_pattern_read(ctx, NULL, &run, d.name, &pattern, &there));
        if (there) tell_laser(&t);
    }
    for (int i = 0; st == XANI_OK && i < run.n; i++)
        if (i != run.cxi) st = channels_of(&t, &run.file[i]);
    if (st == XANI_OK) st = xn_facts_finish(ctx, f);
out:
    xn_xf_pattern_free(&pattern);
    xn_xf_detector_free(&d);
    xn_xf_run_close(&run);
    return st;
}

void xn_xf_init_calibration(xn_init_writer *w)
{
    xn_text *t = &w->text;
    const xn_detector_facts *d = w->detector;
    if (d != NULL && d->converted) {
        xn_text_add(t, "  calibration:\n");
        xn_text_entry(t, 4, "kev_per_unit", "1", "corrected frames are in keV; photonised ones: photons_per_unit: 1");
        return;
    }
    xn_text_add(t, "  calibration:\n");
    xn_text_quoted(t, 4, "pedestal", w->finds.pedestal, w->finds.pedestal ? NULL : "pedestal file of the detector");
    xn_text_quoted(t, 4, "gain", w->finds.gain, w->finds.gain ? NULL : "gain file of the detector");
}
