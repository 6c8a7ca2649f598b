// SPDX-License-Identifier: BSD-3-Clause
// facts.c -- what can be told about small data without a configuration: see survey/survey.h.
//
// Roles of channels come from the table of presets.c and, among several of one role, from its order.  An encoder that
// is named like a delay is in ps or in seconds, which its spread tells: the facility's own rule.  Gaps between events
// are looked for in nanoseconds, because event times are not evenly spaced numbers.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/lcls/lcls.h"
#include "source/survey/init_parts.h"

#define ENCODER_POSITIONS 10 // more make an encoder that was scanned

// ---- what a file is

static bool claims(const xn_h5 *h5, bool second, const char *path, char *key, size_t bytes)
{
    bool is_second;
    if (!xn_lcls_is(h5, &is_second) || is_second != second) return false;
    xn_run_key(path, false, key, bytes);
    return true;
}

bool xn_lcls_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    (void)ctx;
    return claims(h5, false, path, key, bytes);
}

// "x_part3.h5", which a server of psana wrote: the length of its name without that; 0 for other names.
static int without_part(const char *path)
{
    const char *dot = strrchr(path, '.'), *end = dot;
    while (end != NULL && end > path && end[-1] >= '0' && end[-1] <= '9') end--;
    bool part = dot != NULL && end < dot && end - path > 5 && strncmp(end - 5, "_part", 5) == 0;
    return part ? (int)(end - path) - 5 : 0;
}

// The master file has all parts; without it they are the run.
bool xn_lcls2_claims(xn_ctx *ctx, const xn_h5 *h5, const char *path, char *key, size_t bytes)
{
    (void)ctx;
    if (!claims(h5, true, path, key, bytes)) return false;
    int n = without_part(path);
    char *master = n > 0 ? xn_format("%.*s%s", n, path, strrchr(path, '.')) : NULL;
    if (n > 0) snprintf(key, bytes, "%.*s", n, path);
    if (master != NULL && access(master, F_OK) == 0) key[0] = '\0';
    xn_free(master);
    return true;
}

// ---- detectors

typedef struct {
    xn_lcls *l;
    int file;
    xn_run_facts *f;
} visitor;

static bool is_id(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(path, "event_time") == 0 || strcmp(path, "fiducials") == 0 || strncmp(path, "EvtID/", 6) == 0 ||
           strcmp(slash ? slash + 1 : path, "timestamp") == 0;
}

// True when the dataset has a row for each event of its file.
static xani_status has_events(xn_ctx *ctx, const visitor *v, const char *path, const xn_h5_info *info, bool *yes)
{
    const xn_lcls_rows *r = NULL;
    XN_TRY(xn_lcls_rows_of(ctx, v->l, path, &r));
    *yes = !is_id(path) && info->dims[0] == r->first[v->file + 1] - r->first[v->file];
    return XANI_OK;
}

static xani_status note_detector(xn_ctx *ctx, const char *path, const xn_h5_info *info, void *user)
{
    visitor *v = user;
    bool events = false;
    if (!xn_lcls_is_frames(info) || info->rank > 4) return XANI_OK;
    XN_TRY(has_events(ctx, v, path, info, &events));
    for (int k = 0; events && k < v->f->n_detectors; k++)
        if (strcmp(v->f->detector[k].name, path) == 0) events = false;
    if (!events) return XANI_OK;
    int last = info->rank - 1;
    xn_detector_facts d = {.name = (char *)(uintptr_t)path,
                           .ny = info->dims[last - 1] * (last == 3 ? info->dims[1] : 1),
                           .nx = info->dims[last],
                           .type = info->type};
    if (last == 3) d.modules = d.modules_on = (int)info->dims[1];
    snprintf(d.filters, sizeof d.filters, "%s", info->filters);
    return xn_facts_detector(ctx, v->f, &d, NULL);
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Step, gaps and frames lost, in nanoseconds: a gap is half a step more than the usual one.
static xani_status find_gaps(xn_ctx *ctx, xn_run_facts *f)
{
    uint64_t *ns = xn_alloc((size_t)f->n_ids + 1, sizeof *ns);
    if (ns == NULL) return xn_fail_memory(ctx, "the event times", (size_t)f->n_ids * sizeof *ns);
    for (int64_t i = 0; i < f->n_ids; i++) ns[i] = xn_lcls_ns(f->id[i]);
    if (f->n_ids > 1) qsort(ns, (size_t)f->n_ids, sizeof *ns, ascending);
    f->step = xn_id_step(ns, f->n_ids);
    f->gaps = f->lost = 0;
    for (int64_t i = 1; i < f->n_ids; i++) {
        uint64_t step = ns[i] - ns[i - 1];
        if (2 * step <= 3 * f->step) continue;
        f->gaps++;
        f->lost += (int64_t)((step + f->step / 2) / f->step) - 1;
    }
    xn_free(ns);
    return XANI_OK;
}

static xani_status stored_bytes(xn_ctx *ctx, const xn_lcls_frames *d, int64_t *bytes)
{
    xn_frames *frames = NULL;
    xani_status st = xn_frames_open(ctx, (const char *const *)d->file, d->n_files, d->name, NULL, &frames);
    if (st == XANI_OK) *bytes = xn_frames_get_info(frames)->stored_bytes;
    xn_frames_close(&frames);
    return st;
}

// ---- the laser

// Counts by lightStatus/laser, else by the codes of the hutch; true when some are on and some off.
static xani_status count_laser(xn_ctx *ctx, xn_lcls *l, const xn_lcls_codes *codes, const xn_lcls_frames *d,
                               xn_run_facts *f, bool *tells)
{
    uint8_t *state = xn_alloc((size_t)d->n + 1, 1);
    if (state == NULL) return xn_fail_memory(ctx, "the laser states", (size_t)d->n);
    xani_status st = xn_lcls_laser(ctx, NULL, codes, l, d->id, d->n, state);
    f->on = f->off = f->dark = f->unknown = 0;
    for (int64_t i = 0; st == XANI_OK && i < d->n; i++) {
        if (d->id[i] == 0) continue;
        int64_t *count = d->refused[i] == XN_CUT_DARK ? &f->dark
                         : state[i] == XN_LASER_ON    ? &f->on
                         : state[i] == XN_LASER_OFF   ? &f->off
                                                      : &f->unknown;
        ++*count;
    }
    *tells = f->on > 0 && f->off > 0;
    xn_free(state);
    if (st == XANI_ERR_INPUT) { // there is no such dataset: a finding
        xn_clear_error(ctx);
        return XANI_OK;
    }
    return st;
}

static void name_codes(const xn_lcls_codes *c, char *text, size_t bytes)
{
    if (c->n_required > 0)
        snprintf(text, bytes, "{codes: [%d]}", c->required[0]);
    else
        snprintf(text, bytes, "{drop: [%d]}", c->drop[0]);
}

static xani_status guess_laser(xn_ctx *ctx, const struct xn_found_run *run, xn_lcls *l, const xn_lcls_frames *d,
                               xn_run_facts *f)
{
    const xn_lcls_codes *codes = xn_lcls_hutch_codes(run->file[0], l->second);
    char by_codes[64] = "{codes, drop}";
    bool tells = false;
    if (codes != NULL) name_codes(codes, by_codes, sizeof by_codes);
    snprintf(f->other_rules, sizeof f->other_rules, XN_LCLS_LASER ", %s%s", by_codes,
             codes != NULL ? " (the hutch's default)" : "");
    XN_TRY(count_laser(ctx, l, NULL, d, f, &tells));
    if (tells) snprintf(f->rule, sizeof f->rule, XN_LCLS_LASER);
    if (tells || codes == NULL) return XANI_OK;
    XN_TRY(count_laser(ctx, l, codes, d, f, &tells));
    if (tells) snprintf(f->rule, sizeof f->rule, "%s", by_codes);
    return XANI_OK;
}

// The bounds of a region as geometry.region has them.
static xani_status name_region(xn_ctx *ctx, const xn_lcls *l, const char *frames, char *text, size_t bytes)
{
    xn_region r;
    XN_TRY(xn_lcls_region(ctx, l->h5[0], frames, &r));
    size_t used = 0;
    for (int k = 0; k < r.rank && used < bytes; k++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%lld, %lld%s", k == 0 ? "[" : ", ",
                                 (long long)r.first[k], (long long)r.end[k], k + 1 < r.rank ? "" : "]");
    return XANI_OK;
}

static xani_status chosen_detector(xn_ctx *ctx, const struct xn_found_run *run, xn_lcls *l, xn_run_facts *f)
{
    xn_lcls_frames d;
    xn_detector_facts *facts = &f->detector[f->chosen];
    uint8_t *good = NULL;
    xani_status st;
    XN_TRY(xn_lcls_frames_read(ctx, l, facts->name, false, &d));
    facts->n = d.n;
    XN_GOTO(out, st, stored_bytes(ctx, &d, &facts->stored_bytes));
    XN_GOTO(out, st, name_region(ctx, l, facts->name, f->region, sizeof f->region));
    XN_GOTO(out, st, xn_lcls_dark(ctx, l, d.id, d.n, d.refused));
    good = xn_alloc((size_t)d.n + 1, 1);
    if (good == NULL) {
        st = xn_fail_memory(ctx, "the frames", (size_t)d.n);
        goto out;
    }
    for (int64_t i = 0; i < d.n; i++) good[i] = d.refused[i] != XN_CUT_BAD_FRAME;
    XN_GOTO(out, st, xn_facts_ids(ctx, f, d.id, good, NULL, d.n));
    XN_GOTO(out, st, find_gaps(ctx, f));
    st = guess_laser(ctx, run, l, &d, f);
out:
    xn_free(good);
    xn_lcls_frames_free(&d);
    return st;
}

// ---- channels

static xani_status note_channel(xn_ctx *ctx, const char *path, const xn_h5_info *info, void *user)
{
    visitor *v = user;
    xn_channel *value = NULL;
    bool events = false;
    if (xn_lcls_is_frames(info)) return XANI_OK;
    XN_TRY(has_events(ctx, v, path, info, &events));
    if (!events) return XANI_OK;
    XN_TRY(xn_facts_channel(ctx, v->f, path, info, &value));
    xn_channel_facts *c = v->f->channel;
    while (strcmp(c->name, path) != 0) c++;
    const xn_lcls_role *role = xn_lcls_role_of(path);
    c->role = role != NULL ? (xn_role)role->role : XN_ROLE_NONE;
    c->scale_ps = role != NULL ? role->scale_ps : NAN;
    return value != NULL && value->n_files == 0 ? xn_lcls_read_channel(ctx, v->l, value) : XANI_OK;
}

// The facility's rule: seconds where the spread is below a nanosecond's worth of seconds, else ps.
static void encoder_units(xn_channel_facts *c)
{
    if (c->scale_ps != 0.0) return;
    double spread = (c->max - c->min) / sqrt(12.0);
    c->scale_ps = spread < 1e-9 && spread > 1e-15 ? 1e12 : 1.0;
}

// The channel of this role that stands first in the table, moves, and has readings.
static int preferred(const xn_run_facts *f, xn_role role)
{
    int best = -1;
    const xn_lcls_role *first = NULL;
    for (int i = 0; i < f->n_channels; i++) {
        const xn_channel_facts *c = &f->channel[i];
        if (c->role != role || !c->scalar || c->matched == 0) continue;
        bool encoder = strncmp(c->name, "enc/", 4) == 0;
        bool idle = encoder ? c->distinct <= ENCODER_POSITIONS : !(c->max > c->min);
        const xn_lcls_role *own = xn_lcls_role_of(c->name);
        if (idle || (first != NULL && own >= first)) continue;
        first = own;
        best = i;
    }
    return best;
}

static int channel_named(const xn_run_facts *f, const char *name)
{
    for (int i = 0; i < f->n_channels; i++)
        if (strcmp(f->channel[i].name, name) == 0 && f->channel[i].scalar && f->channel[i].matched > 0) return i;
    return -1;
}

// The laser's own phase moves the delay too, unless it is what is scanned.
static void choose_delay(xn_run_facts *f)
{
    f->stage = preferred(f, XN_ROLE_DELAY);
    if (f->stage >= 0 && strstr(f->channel[f->stage].name, "/lxt") != NULL) return;
    int phase = channel_named(f, "epics/lxt_ttc");
    if (phase < 0) phase = channel_named(f, "epics/lxt");
    if (f->stage < 0)
        f->stage = phase;
    else
        f->stage_too = phase;
}

// ---- the whole

static xani_status each(xn_ctx *ctx, xn_lcls *l, xn_run_facts *f, xn_lcls_visit visit)
{
    visitor v = {l, 0, f};
    for (; v.file < l->n_files; v.file++) XN_TRY(xn_lcls_each(ctx, l->h5[v.file], visit, &v));
    return XANI_OK;
}

xani_status xn_lcls_facts(xn_ctx *ctx, const struct xn_found_run *run, xn_run_facts *f)
{
    xn_lcls l;
    bool second = strcmp(run->layout->ops->layout, "lcls2_smalldata") == 0;
    xani_status st;
    XN_GOTO(out, st, xn_lcls_open(ctx, second, run->file, &l));
    XN_GOTO(out, st, each(ctx, &l, f, note_detector));
    if (f->chosen >= 0) XN_GOTO(out, st, chosen_detector(ctx, run, &l, f));
    XN_GOTO(out, st, each(ctx, &l, f, note_channel));
    XN_GOTO(out, st, xn_facts_finish(ctx, f));
    for (int i = 0; i < f->n_channels; i++) encoder_units(&f->channel[i]);
    f->i0 = preferred(f, XN_ROLE_I0);
    f->edge = preferred(f, XN_ROLE_EDGE);
    f->quality = preferred(f, XN_ROLE_QUALITY);
    choose_delay(f);
out:
    xn_lcls_close(&l);
    return st;
}

// ---- init

// A mask of the files as an entry of input.mask.
static void put_mask(xn_text *t, bool *any, const char *path, const char *good)
{
    if (!*any) xn_text_add(t, "  mask:\n");
    *any = true;
    xn_text_add(t, "    - ");
    xn_text_quoted(t, 0, "dataset", path, "of the small data");
    xn_text_entry(t, 6, "good", good, NULL);
}

// The detector's own masks (1: good), where they have the shape of its frames or the region of these is known.
static void put_masks(xn_init_writer *w)
{
    static const char *const names[] = {"mask", "cmask"};
    xn_text *t = &w->text;
    const xn_detector_facts *d = w->detector;
    xn_h5 *h5 = NULL;
    xani_status st = d != NULL ? xn_h5_open(w->ctx, w->first->file[0], &h5) : XANI_OK;
    xn_region region = {.rank = 0};
    if (h5 != NULL) st = xn_lcls_region(w->ctx, h5, d->name, &region);
    if (st == XANI_ERR_MEMORY) t->short_of_memory = true;
    bool any = false;
    for (int i = 0; h5 != NULL && i < 2; i++) {
        char path[XN_KEY_LENGTH];
        xn_h5_info info;
        snprintf(path, sizeof path, "UserDataCfg/%.*s/%s", (int)strcspn(d->name, "/"), d->name, names[i]);
        if (!xn_h5_exists(h5, path) || xn_h5_info_get(w->ctx, h5, path, &info) != XANI_OK) continue;
        bool whole = info.rank >= 2 && info.size == d->ny * d->nx && info.dims[info.rank - 1] == d->nx;
        if (!info.is_group && (whole || (region.rank > 0 && region.rank == info.rank)))
            put_mask(t, &any, path, "nonzero");
    }
    xn_clear_error(w->ctx);
    xn_h5_close(&h5);
}

void xn_lcls_init_calibration(xn_init_writer *w)
{
    xn_init_scale(w);
    put_masks(w);
}
