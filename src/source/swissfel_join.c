// SPDX-License-Identifier: BSD-3-Clause
// swissfel_join.c -- detector and channels of a SwissFEL run joined by pulse id into the shot table.
//
// One row per detector frame with a pulse id, in the order of the ids (formats.md 1.5, science.md 2-3).  A
// shot is refused by the join when a channel it needs has no reading for its id, or readings that differ:
// the laser rule, I0 and the sources of select.cuts are needed by every shot; the parts of the delay, the
// time tool and the sources of select.time_tool by laser-on shots only, because without laser there is
// nothing to measure.  A detector id that comes twice is refused: nothing says which frame is right.
// Of a 2-D channel the first column is taken.
#include "source/swissfel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- which channels, and who needs them

typedef enum { NEED_ALL, NEED_ON } need;

typedef struct {
    int n;
    xn_channel *channel;
    need *who;
    int i0, part[XN_DELAY_PARTS], tt; // indices; tt -1: none
    int n_extra;
    int *extra; // indices
} wanted;

// Index of the channel, added when new; a channel asked for twice is read once and needed by the wider group.
static int want(wanted *w, const char *name, need who)
{
    for (int i = 0; i < w->n; i++) {
        if (strcmp(w->channel[i].name, name) != 0) continue;
        if (who == NEED_ALL) w->who[i] = NEED_ALL;
        return i;
    }
    w->channel[w->n].name = name;
    w->who[w->n] = who;
    return w->n++;
}

static xani_status want_extras(xn_ctx *ctx, const xn_config *config, const char *list, need who, wanted *w)
{
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(config, list);
    for (int i = 0; i < n; i++) {
        XN_TRY(xn_config_require(ctx, config, xn_key(key, "%s[%d].source", list, i), "the channel the window is for"));
        int index = want(w, xn_config_string(config, key), who);
        bool known = false;
        for (int j = 0; j < w->n_extra; j++) known = known || w->extra[j] == index;
        if (!known) w->extra[w->n_extra++] = index;
    }
    return XANI_OK;
}

static xani_status list_wanted(xn_ctx *ctx, const xn_config *config, const xn_delay_rule *rule, wanted *w)
{
    memset(w, 0, sizeof *w);
    XN_TRY(xn_config_require(ctx, config, "input.i0", "the channel of the incoming intensity"));
    int extras = xn_config_count(config, "select.cuts") + xn_config_count(config, "select.time_tool");
    size_t most = 2 + (size_t)rule->n_parts + (size_t)extras;
    w->channel = xn_calloc(most, sizeof *w->channel);
    w->who = xn_calloc(most, sizeof *w->who);
    w->extra = xn_calloc((size_t)extras + 1, sizeof *w->extra);
    if (!w->channel || !w->who || !w->extra) return xn_fail_memory(ctx, "the channels", most * sizeof *w->channel);
    w->i0 = want(w, xn_config_string(config, "input.i0"), NEED_ALL);
    for (int i = 0; i < rule->n_parts; i++) w->part[i] = want(w, rule->source[i], NEED_ON);
    w->tt = rule->tt_source != NULL ? want(w, rule->tt_source, NEED_ON) : -1;
    XN_TRY(want_extras(ctx, config, "select.cuts", NEED_ALL, w));
    return want_extras(ctx, config, "select.time_tool", NEED_ON, w);
}

static void free_wanted(wanted *w)
{
    for (int i = 0; i < w->n; i++) xn_channel_free(&w->channel[i]);
    xn_free(w->channel);
    xn_free(w->who);
    xn_free(w->extra);
}

static xani_status read_wanted(xn_ctx *ctx, char *const *files, wanted *w)
{
    for (int f = 0; files[f] != NULL; f++) {
        xn_h5 *h5 = NULL;
        XN_TRY(xn_h5_open(ctx, files[f], &h5));
        xani_status st = XANI_OK;
        for (int i = 0; st == XANI_OK && i < w->n; i++) st = xn_channel_append(ctx, h5, &w->channel[i]);
        xn_h5_close(&h5);
        if (st != XANI_OK) return st;
    }
    for (int i = 0; i < w->n; i++) {
        if (w->channel[i].n_files == 0) return xn_channel_missing(ctx, files, w->channel[i].name);
        XN_TRY(xn_channel_sort(ctx, &w->channel[i]));
    }
    return XANI_OK;
}

// ---- the join

typedef struct {
    uint64_t id;
    int64_t frame;
} framed;

static int by_id(const void *a, const void *b)
{
    const framed *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->frame > y->frame) - (x->frame < y->frame);
}

static xani_status list_frames(xn_ctx *ctx, const xn_sf_detector *d, framed **rows, int64_t *n)
{
    framed *r = xn_alloc((size_t)d->n, sizeof *r);
    if (r == NULL) return xn_fail_memory(ctx, "the list of frames", (size_t)d->n * sizeof *r);
    *n = 0;
    for (int64_t i = 0; i < d->n; i++)
        if (d->pulse_id[i] != 0) r[(*n)++] = (framed){d->pulse_id[i], i};
    *rows = r;
    if (*n == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s/pulse_id: no frame has a pulse id", d->file[0], d->group);
    qsort(r, (size_t)*n, sizeof *r, by_id);
    return XANI_OK;
}

typedef struct {
    const xn_sf_detector *d;
    const xn_delay_rule *delay;
    const xn_laser_rule *laser;
    const wanted *w;
    int64_t *cursor;       // of each wanted channel
    int64_t *laser_cursor; // of each channel of the laser rule
    int64_t *hits;         // readings found, of each wanted channel
} joiner;

static int laser_of_frame(const joiner *j, const framed *f, int *refused)
{
    if (!j->laser->daq_rec) return xn_laser_of(j->laser, f->id, j->laser_cursor, refused);
    if (j->d->daq_mixed[f->frame]) return XN_LASER_UNKNOWN;
    uint64_t bits = j->d->daq_rec[f->frame];
    if (bits & XN_DAQ_DARK) *refused = XN_CUT_DARK;
    return bits & XN_DAQ_LASER ? XN_LASER_ON : XN_LASER_OFF;
}

// Row i of the table. value: one double per wanted channel.
static void join_row(const joiner *j, const framed *f, int64_t i, double *value, xn_shots *s)
{
    const wanted *w = j->w;
    int refused = XN_CUT_NONE;
    int laser = laser_of_frame(j, f, &refused);
    for (int c = 0; c < w->n; c++) {
        xn_hit hit = xn_channel_find(&w->channel[c], f->id, &j->cursor[c], &value[c]);
        j->hits[c] += hit != XN_HIT_MISSING;
        if (hit != XN_HIT && (w->who[c] == NEED_ALL || laser == XN_LASER_ON)) refused = XN_CUT_JOIN;
    }
    s->pulse_id[i] = f->id;
    s->frame[i] = f->frame;
    s->laser[i] = (uint8_t)laser;
    s->i0[i] = value[w->i0];
    s->bin[i] = -1;
    for (int e = 0; e < w->n_extra; e++) s->extra[e][i] = value[w->extra[e]];
    double x[XN_DELAY_PARTS] = {0};
    for (int p = 0; p < j->delay->n_parts; p++) x[p] = value[w->part[p]];
    s->delay_ps[i] = laser == XN_LASER_ON ? xn_delay_ps(j->delay, x, w->tt >= 0 ? value[w->tt] : 0.0) : NAN;
    if (refused != XN_CUT_JOIN && !j->d->good[f->frame]) refused = XN_CUT_BAD_FRAME;
    s->verdict[i] = (uint8_t)refused;
}

static void refuse_duplicates(const framed *rows, int64_t n, xn_shots *s)
{
    for (int64_t i = 1; i < n; i++) {
        if (rows[i].id != rows[i - 1].id) continue;
        s->duplicate++;
        s->verdict[i - 1] = s->verdict[i] = XN_CUT_JOIN;
    }
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

uint64_t xn_sf_step(const uint64_t *id, int64_t n)
{
    uint64_t *step = n > 1 ? xn_alloc((size_t)n, sizeof *step) : NULL, median = 1;
    if (step == NULL) return 1; // only counts hang on it
    int64_t steps = 0;
    for (int64_t i = 1; i < n; i++)
        if (id[i] != id[i - 1]) step[steps++] = id[i] - id[i - 1];
    qsort(step, (size_t)steps, sizeof *step, by_size);
    if (steps > 0) median = step[steps / 2];
    xn_free(step);
    return median;
}

// Ids of the I0 channel without a frame: missing where the detector's own rhythm has a frame due, else unmatched.
static void count_frameless(const xn_channel *i0, xn_shots *s)
{
    uint64_t step = xn_sf_step(s->pulse_id, s->n);
    int64_t r = 0;
    for (int64_t i = 0; i < i0->n; i++) {
        uint64_t id = i0->id[i];
        while (r < s->n && s->pulse_id[r] < id) r++;
        if (r < s->n && s->pulse_id[r] == id) continue;
        bool due = r > 0 && r < s->n && (id - s->pulse_id[r - 1]) % step == 0;
        *(due ? &s->missing : &s->unmatched) += 1;
    }
}

static xani_status check_overlap(xn_ctx *ctx, const joiner *j, const framed *rows, int64_t n)
{
    for (int c = 0; c < j->w->n; c++) {
        const xn_channel *ch = &j->w->channel[c];
        if (j->hits[c] > 0) continue;
        if (ch->n == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: channel %s has no readings", ch->file, ch->name);
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "pulse ids do not overlap: %s has %llu ... %llu in %s, the frames of %s have %llu ... %llu",
                       ch->name, (unsigned long long)ch->id[0], (unsigned long long)ch->id[ch->n - 1], ch->file,
                       j->d->name, (unsigned long long)rows[0].id, (unsigned long long)rows[n - 1].id);
    }
    return XANI_OK;
}

static xani_status check_laser(xn_ctx *ctx, const joiner *j, const xn_shots *s)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->laser[i] != XN_LASER_UNKNOWN) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "input.laser: %s tells the laser state of no shot",
                   j->laser->daq_rec ? "daq_rec" : j->laser->channel[0].name);
}

static xani_status fill_table(xn_ctx *ctx, joiner *j, const framed *rows, int64_t n, double *value, xn_shots *s)
{
    const wanted *w = j->w;
    XN_TRY(xn_shots_alloc(ctx, n, w->n_extra, s));
    for (int e = 0; e < w->n_extra; e++) {
        s->extra_name[e] = xn_strdup(w->channel[w->extra[e]].name);
        if (s->extra_name[e] == NULL) return xn_fail_memory(ctx, "a name", 1);
    }
    for (int64_t i = 0; i < n; i++) join_row(j, &rows[i], i, value, s);
    refuse_duplicates(rows, n, s);
    for (int c = 0; c < w->n; c++) s->duplicate += w->channel[c].duplicates;
    count_frameless(&w->channel[w->i0], s);
    XN_TRY(check_overlap(ctx, j, rows, n));
    return check_laser(ctx, j, s);
}

static xani_status join(xn_ctx *ctx, joiner *j, xn_shots *s)
{
    size_t n_channels = (size_t)j->w->n, n_laser = (size_t)j->laser->n_on + (size_t)j->laser->n_drop;
    framed *rows = NULL;
    int64_t n = 0;
    double *value = xn_calloc(n_channels, sizeof *value);
    j->cursor = xn_calloc(n_channels, sizeof *j->cursor);
    j->hits = xn_calloc(n_channels, sizeof *j->hits);
    j->laser_cursor = xn_calloc(n_laser + 1, sizeof *j->laser_cursor);
    xani_status st = XANI_ERR_MEMORY;
    if (value == NULL || j->cursor == NULL || j->hits == NULL || j->laser_cursor == NULL)
        xn_fail_memory(ctx, "the join", n_channels * 24);
    else
        st = list_frames(ctx, j->d, &rows, &n);
    if (st == XANI_OK && rows != NULL) st = fill_table(ctx, j, rows, n, value, s);
    xn_free(rows);
    xn_free(value);
    xn_free(j->cursor);
    xn_free(j->hits);
    xn_free(j->laser_cursor);
    return st;
}

xani_status xn_sf_join(xn_ctx *ctx, const xn_config *config, char *const *files, const xn_sf_detector *d,
                       xn_shots *shots)
{
    xn_delay_rule delay;
    xn_laser_rule laser = {0};
    wanted w = {0};
    xani_status st;
    XN_TRY(xn_delay_rule_load(ctx, config, false, &delay));
    XN_GOTO(out, st, list_wanted(ctx, config, &delay, &w));
    XN_GOTO(out, st, xn_laser_rule_load(ctx, config, files, &laser));
    if (laser.daq_rec && !d->has_daq_rec) {
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: there is no %s/daq_rec, which input.laser: daq_rec needs", d->file[0],
                     d->group);
        goto out;
    }
    XN_GOTO(out, st, read_wanted(ctx, files, &w));
    joiner j = {d, &delay, &laser, &w, NULL, NULL, NULL};
    st = join(ctx, &j, shots);
out:
    free_wanted(&w);
    xn_laser_rule_free(&laser);
    return st;
}
