// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about SACLA runs without a configuration: see survey/survey.h.
//
// The laser is told by laser_pulse_selector_status.  The photodiode's upper and lower half are proposed as one I0,
// their sum; time-tool tables are found in the run's folder by its number.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/sacla/sacla.h"
#include "source/survey/init_parts.h"

// DataConvert's file of one run and Cheetah's frames of it are one run, by its number: that of a file of Cheetah stands
// in its name alone. 0: none does.
static int64_t number_in(const char *path)
{
    const char *slash = strrchr(path, '/'), *s = slash != NULL ? slash + 1 : path;
    int64_t number = 0;
    while (*s != '\0' && *s != '.') {
        if (*s >= '0' && *s <= '9') {
            char *end;
            number = strtoll(s, &end, 10);
            s = end;
        } else {
            s++;
        }
    }
    return number;
}

static void key_of(const char *path, int64_t number, char *key, size_t bytes)
{
    xn_run_key(path, true, key, bytes);
    const size_t n = strlen(key);
    snprintf(key + n, bytes - n, "run_%lld", (long long)number);
}

bool xn_sacla_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    int64_t *number = NULL, n = 0;
    char group[64];
    bool ours = xn_sacla_is_cheetah(h5);
    const int64_t cheetah = ours ? number_in(path) : 0;
    if (!ours && xn_sacla_numbers(ctx, h5, &number, &n) == XANI_OK && n > 0) {
        snprintf(group, sizeof group, "run_%lld/event_info", (long long)number[0]);
        ours = xn_h5_exists(h5, "file_info/run_number_list") || xn_h5_exists(h5, group);
    }
    if (ours) xn_run_key(path, false, key, bytes);
    if (cheetah > 0 || (ours && n == 1)) key_of(path, cheetah > 0 ? cheetah : number[0], key, bytes);
    xn_free(number);
    return ours;
}

xani_status xn_sacla_beside(xn_ctx *ctx, const char *path, char ***others)
{
    xn_h5 *h5 = NULL;
    int64_t *number = NULL, n = 0;
    size_t found = 0;
    *others = NULL;
    XN_TRY(xn_h5_open(ctx, path, &h5));
    xani_status st = xn_sacla_numbers(ctx, h5, &number, &n);
    for (int64_t i = 0; st == XANI_OK && i < n; i++) {
        char **tables = NULL;
        st = xn_sacla_tables_beside(ctx, path, number[i], &tables);
        size_t more = 0;
        while (st == XANI_OK && tables[more] != NULL) more++;
        char **all = more > 0 ? xn_realloc(*others, found + more + 1, sizeof *all) : NULL;
        if (all != NULL) {
            *others = all;
            memcpy(all + found, tables, (more + 1) * sizeof *all);
            found += more;
            xn_free(tables);
        } else {
            xn_h5_names_free(tables);
            if (more > 0) st = xn_fail_memory(ctx, "the tables of a run", more * sizeof *all);
        }
    }
    xn_free(number);
    xn_h5_close(&h5);
    return st;
}

// ---- detectors

static xani_status note_detectors(xn_ctx *ctx, const xn_sacla *x, xn_run_facts *f)
{
    for (int i = 0; i < x->n_runs; i++) {
        xn_h5 *h5 = NULL;
        xn_sacla_detector *d = NULL;
        int n = 0;
        XN_TRY(xn_h5_open(ctx, x->run[i].file, &h5));
        xani_status st = xn_sacla_detectors(ctx, h5, &x->run[i], &d, &n);
        for (int k = 0; st == XANI_OK && k < n; k++) {
            bool known = false;
            for (int j = 0; j < f->n_detectors; j++) known = known || strcmp(f->detector[j].name, d[k].name) == 0;
            // shapes stand with the frames; until then raw panels count more than an image made of them
            bool assembled = strncmp(d[k].name, "detector_2d_assembled", 21) == 0;
            xn_detector_facts one = {.name = d[k].name, .ny = assembled ? 1 : 1 + d[k].n_panels, .nx = 1};
            if (!known) st = xn_facts_detector(ctx, f, &one, NULL);
        }
        xn_free(d);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

static xani_status chosen_detector(xn_ctx *ctx, const xn_sacla *x, xn_run_facts *f, xn_sacla_detector *d)
{
    xn_detector_facts *facts = &f->detector[f->chosen];
    XN_TRY(xn_sacla_detector_find(ctx, x, NULL, facts->name, d));
    XN_TRY(xn_sacla_detector_read(ctx, x, NULL, d));
    const xn_pieces_info *info = xn_pieces_get_info(d->pieces);
    facts->n = d->n;
    facts->ny = d->n_panels * info->dims[0];
    facts->nx = info->dims[1];
    facts->type = info->type;
    facts->stored_bytes = info->stored_bytes;
    facts->modules = facts->modules_on = d->n_panels > 1 ? d->n_panels : 0;
    facts->converted = d->panel[0].group[0] == '\0';
    snprintf(facts->filters, sizeof facts->filters, "%s", info->filters);
    f->place.pixel_mm = d->pixel_mm;
    uint8_t *good = xn_alloc((size_t)d->n, 1);
    if (good == NULL) return xn_fail_memory(ctx, "the list of frames", (size_t)d->n);
    for (int64_t i = 0; i < d->n; i++) {
        good[i] = !d->bad[i];
        for (int k = 0; k < d->n_panels; k++) good[i] = good[i] && d->piece[i * d->n_panels + k] >= 0;
    }
    xani_status st = xn_facts_ids(ctx, f, d->tag, good, d->run, d->n);
    xn_free(good);
    return st;
}

// ---- channels

static xani_status note_channel(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, const char *name,
                                xn_run_facts *f)
{
    xn_h5_info info;
    xn_channel *value = NULL;
    char *path = xn_format("%s/event_info/%s", run->group, name);
    if (path == NULL) return xn_fail_memory(ctx, name, strlen(name));
    xani_status st = xn_h5_info_get(ctx, h5, path, &info);
    xn_free(path);
    if (st != XANI_OK) return st;
    if (info.type == XN_STR && info.rank == 1) info.type = XN_F64; // numbers written as text
    XN_TRY(xn_facts_channel(ctx, f, name, &info, &value));
    return value != NULL ? xn_sacla_append(ctx, h5, run, value) : XANI_OK;
}

// Lower and upper half of a photodiode, "…lower…" and the same with "upper", as one reading.
static xani_status note_sum(xn_ctx *ctx, const xn_h5 *h5, const xn_sacla_run *run, char *const *names, int lower,
                            xn_run_facts *f)
{
    const char *at = strstr(names[lower], "lower");
    size_t before = (size_t)(at - names[lower]), word = before;
    while (word > 0 && names[lower][word - 1] != '/') word--;
    for (int i = 0; names[i] != NULL; i++) {
        // the user numbers of the halves differ: photodiode_I0_lower_user_7, photodiode_I0_upper_user_8
        if (strncmp(names[i], names[lower], before) != 0 || strncmp(names[i] + before, "upper", 5) != 0) continue;
        xn_channel a = {.name = names[lower]}, b = {.name = names[i]}, *value = NULL;
        char *sum = xn_format("%s + %s", names[lower], names[i]);
        xani_status st = sum != NULL ? xn_sacla_append(ctx, h5, run, &a) : xn_fail_memory(ctx, names[i], 64);
        if (st == XANI_OK) st = xn_sacla_append(ctx, h5, run, &b);
        if (st == XANI_OK && a.n == b.n) {
            const xn_h5_info info = {.type = XN_F64, .rank = 1, .dims = {a.n}, .size = a.n};
            for (int64_t k = 0; k < a.n; k++) a.value[k] += b.id[k] == a.id[k] ? b.value[k] : NAN;
            st = xn_facts_channel(ctx, f, sum, &info, &value);
            if (st == XANI_OK && value != NULL) st = xn_channel_add(ctx, value, a.n, a.id, a.value, NULL);
            for (int k = 0; k < f->n_channels; k++)
                if (strcmp(f->channel[k].name, sum) == 0) f->channel[k].role = XN_ROLE_I0;
        }
        xn_channel_free(&a);
        xn_channel_free(&b);
        xn_free(sum);
        return st;
    }
    return XANI_OK;
}

static xani_status note_run(xn_ctx *ctx, const xn_sacla_run *run, xn_run_facts *f)
{
    xn_h5 *h5 = NULL;
    char **names = NULL;
    if (run->group[0] == '\0') return XANI_OK;
    XN_TRY(xn_h5_open(ctx, run->file, &h5));
    xani_status st = xn_sacla_channels(ctx, h5, run, &names);
    for (int i = 0; st == XANI_OK && names[i] != NULL; i++) {
        st = note_channel(ctx, h5, run, names[i], f);
        if (st == XANI_OK && strstr(names[i], "lower") != NULL) st = note_sum(ctx, h5, run, names, i, f);
    }
    char path[128];
    double *ev = NULL;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/run_info/sacla_config/photon_energy_in_eV", run->group);
    if (st == XANI_OK && xn_h5_exists(h5, path)) st = xn_h5_read_f64(ctx, h5, path, &ev, &n);
    if (n > 0 && ev[0] > 0) f->place.energy_kev = 1e-3 * ev[0];
    xn_free(ev);
    xn_h5_names_free(names);
    xn_h5_close(&h5);
    return st;
}

static xani_status note_tables(xn_ctx *ctx, const xn_sacla *x, xn_run_facts *f)
{
    xn_channel *value = NULL;
    for (int i = 0; i < x->n_tables; i++) {
        xn_channel one = {.name = XN_SACLA_TOOL};
        xani_status st = xn_sacla_table_append(ctx, x->table[i], 0, &one);
        const xn_h5_info info = {.type = XN_F64, .rank = 1, .dims = {one.n}, .size = one.n};
        if (st == XANI_OK) st = xn_facts_channel(ctx, f, XN_SACLA_TOOL, &info, &value);
        if (st == XANI_OK && value != NULL) st = xn_channel_add(ctx, value, one.n, one.id, one.value, NULL);
        xn_channel_free(&one);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

// ---- laser, dark shots

static void guess_laser(xn_run_facts *f)
{
    snprintf(f->other_rules, sizeof f->other_rules, "any reading below event_info that is 1 for them");
    for (int i = 0; i < f->n_channels; i++) {
        const xn_channel_facts *c = &f->channel[i];
        if (!c->scalar || strstr(c->name, "laser_pulse_selector_status") == NULL) continue;
        if (xn_facts_laser(f, &c->value, false)) snprintf(f->rule, sizeof f->rule, "%s", c->name);
        return;
    }
}

static xani_status count_dark(xn_ctx *ctx, const xn_sacla *x, const xn_sacla_detector *d, xn_run_facts *f)
{
    uint8_t *refused = xn_calloc((size_t)d->n + 1, 1);
    if (refused == NULL) return xn_fail_memory(ctx, "dark shots", (size_t)d->n);
    xani_status st = xn_sacla_dark(ctx, NULL, x, d, refused);
    for (int64_t i = 0; i < d->n; i++) f->dark += refused[i] == XN_CUT_DARK;
    xn_free(refused);
    return st;
}

xani_status xn_sacla_facts(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f)
{
    xn_sacla x;
    xn_sacla_detector d = {0};
    xani_status st;
    XN_GOTO(out, st, xn_sacla_open(ctx, run->file, NULL, 0, false, &x));
    XN_GOTO(out, st, note_detectors(ctx, &x, f));
    if (f->chosen >= 0) XN_GOTO(out, st, chosen_detector(ctx, &x, f, &d));
    for (int i = 0; i < x.n_runs; i++) XN_GOTO(out, st, note_run(ctx, &x.run[i], f));
    XN_GOTO(out, st, note_tables(ctx, &x, f));
    XN_GOTO(out, st, xn_facts_finish(ctx, f));
    guess_laser(f);
    st = count_dark(ctx, &x, &d, f);
out:
    xn_sacla_detector_free(&d);
    xn_sacla_close(&x);
    return st;
}

// ---- init

void xn_sacla_init_calibration(xn_init_writer *w)
{
    if (w->detector != NULL && w->detector->converted)
        xn_text_add(&w->text, "  # the frames are tenths of photons already\n");
    else
        xn_text_add(&w->text, "  # calibration: the panels' own absolute_gain, 3.65 eV per electron; a dark image as "
                              "{pedestal: FILE}, see xani dark\n");
}
