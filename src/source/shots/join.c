// SPDX-License-Identifier: BSD-3-Clause
// join.c -- frames and readings joined by id into the shot table: see join.h (formats.md 1, science.md 2-3).
//
// A shot is refused by the join when a reading it needs (wanted.c) is missing for its id, or differs between two
// entries.  A frame's id that comes twice is refused with all its frames: nothing says which is right.  Every frame
// gets a row, so that the counts of the cut-flow add up to the frames that were seen.
#include "source/shots/join.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "source/shots/wanted.h"

// ---- frames in the order of their ids

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

static xani_status list_frames(xn_ctx *ctx, const xn_join_input *in, framed **rows, int64_t *n)
{
    framed *r = xn_alloc((size_t)in->n, sizeof *r);
    if (r == NULL) return xn_fail_memory(ctx, "the list of frames", (size_t)in->n * sizeof *r);
    *n = 0;
    for (int64_t i = 0; i < in->n; i++)
        if (in->id[i] != 0) r[(*n)++] = (framed){in->id[i], i};
    *rows = r;
    if (*n == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: no frame has an id; %s are needed", in->file, in->detector,
                       in->ids);
    qsort(r, (size_t)*n, sizeof *r, by_id);
    return XANI_OK;
}

// ---- the rows

typedef struct {
    const xn_join_input *in;
    const xn_delay_rule *delay;
    xn_wanted *w;
    double *tool_ps; // column of the table; NULL without a time tool
} joiner;

// XN_LASER_* by readings. *refused becomes XN_CUT_JOIN or XN_CUT_DARK where that holds.
static int laser_of_readings(const joiner *j, int *refused)
{
    const xn_laser_rule *rule = j->in->rule;
    int laser = XN_LASER_UNKNOWN;
    double value;
    for (int i = 0; i < j->w->n_laser; i++) {
        if (xn_wanted_find(j->w, j->w->laser[i], &value) != XN_HIT) {
            *refused = XN_CUT_JOIN;
            return XN_LASER_UNKNOWN;
        }
        if (isnan(value)) return XN_LASER_UNKNOWN;
        bool set = value != 0.0;
        if (i >= rule->n_on && set && *refused == XN_CUT_NONE) *refused = XN_CUT_DARK;
        if (i < rule->n_on && laser != XN_LASER_ON) laser = set != rule->inverted ? XN_LASER_ON : XN_LASER_OFF;
    }
    return laser;
}

// Row i of the table. value: one double per reading.
static void join_row(const joiner *j, const framed *f, int64_t i, double *value, xn_shots *s)
{
    xn_wanted *w = j->w;
    int refused = XN_CUT_NONE, own = j->in->refused != NULL ? j->in->refused[f->frame] : XN_CUT_NONE;
    xn_wanted_look_up(w, f->id);
    int laser = j->in->rule->by_frame ? j->in->laser[f->frame] : laser_of_readings(j, &refused);
    for (int r = 0; r < w->n; r++) {
        xn_hit hit = xn_wanted_find(w, r, &value[r]);
        w->reading[r].hits += hit != XN_HIT_MISSING;
        bool needed = w->reading[r].who == XN_NEED_ALL || (w->reading[r].who == XN_NEED_ON && laser == XN_LASER_ON);
        if (hit != XN_HIT && needed) refused = XN_CUT_JOIN;
    }
    for (int k = 0; k < w->n_xrays; k++)
        if (value[w->xrays[k]] == 0.0 && own == XN_CUT_NONE) own = XN_CUT_DARK;
    s->pulse_id[i] = f->id;
    s->frame[i] = f->frame;
    s->laser[i] = (uint8_t)laser;
    s->i0[i] = value[w->i0];
    s->bin[i] = -1;
    for (int e = 0; e < w->n_extra; e++) s->extra[e][i] = value[w->extra[e]];
    double x[XN_DELAY_PARTS] = {0};
    for (int p = 0; p < j->delay->n_parts; p++) x[p] = value[w->part[p]];
    s->delay_ps[i] = laser == XN_LASER_ON ? xn_delay_ps(j->delay, x, w->tt >= 0 ? value[w->tt] : 0.0) : NAN;
    if (j->tool_ps != NULL && laser == XN_LASER_ON) j->tool_ps[i] = xn_delay_tool_ps(j->delay, value[w->tt]);
    if (own != XN_CUT_NONE && (refused == XN_CUT_NONE || own < refused)) refused = own; // the earlier cut counts
    s->verdict[i] = (uint8_t)refused;
}

static void refuse_duplicates(const framed *rows, int64_t n, xn_shots *s)
{
    for (int64_t i = 1; i < n; i++) {
        if (rows[i].id != rows[i - 1].id) continue;
        s->verdict[i - 1] = s->verdict[i] = XN_CUT_JOIN;
    }
}

// ---- counts

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Ids that come more than once, among the frames or in any channel: each counts once, wherever it does. w NULL: frames.
static xani_status count_repeated(xn_ctx *ctx, const framed *rows, int64_t n, const xn_wanted *w, xn_shots *s)
{
    int64_t room = 0, k = 0;
    for (int64_t i = 1; i < n; i++) room += rows[i].id == rows[i - 1].id;
    for (int c = 0; w != NULL && c < w->n_channels; c++) room += w->channel[c].repeated;
    if (room == 0) return XANI_OK;
    uint64_t *id = xn_alloc((size_t)room, sizeof *id);
    if (id == NULL) return xn_fail_memory(ctx, "the repeated ids", (size_t)room * sizeof *id);
    for (int64_t i = 1; i < n; i++)
        if (rows[i].id == rows[i - 1].id) id[k++] = rows[i].id;
    for (int c = 0; w != NULL && c < w->n_channels; c++) {
        const xn_channel *channel = &w->channel[c];
        for (int64_t i = 0; i < channel->n && channel->repeated > 0; i++)
            if (channel->mark[i] & XN_MARK_REPEATED) id[k++] = channel->id[i] << channel->shift;
    }
    qsort(id, (size_t)k, sizeof *id, by_size);
    for (int64_t i = 0; i < k; i++) s->duplicate += i == 0 || id[i] != id[i - 1];
    xn_free(id);
    return XANI_OK;
}

// Of times: by their clock
static uint64_t step_by(uint64_t (*clock)(uint64_t), const uint64_t *id, int64_t n)
{
    uint64_t *step = n > 1 ? xn_alloc((size_t)n, sizeof *step) : NULL, median = 1;
    if (step == NULL) return 1; // only counts hang on it
    int64_t steps = 0;
    for (int64_t i = 1; i < n; i++)
        if (id[i] != id[i - 1]) step[steps++] = clock != NULL ? clock(id[i]) - clock(id[i - 1]) : id[i] - id[i - 1];
    qsort(step, (size_t)steps, sizeof *step, by_size);
    if (steps > 0) median = step[steps / 2];
    xn_free(step);
    return median;
}

uint64_t xn_id_step(const uint64_t *id, int64_t n) { return step_by(NULL, id, n); }

// Whether an id `past` the last frame is one that a detector of this step has a frame for. own: step of the ids; times
// jitter by less than a quarter of it.
static bool is_due(bool times, uint64_t past, uint64_t step, uint64_t own)
{
    const uint64_t off = past % step, away = off < step - off ? off : step - off;
    return times ? 2 * past > step && 4 * away <= (own < step ? own : step) : off == 0;
}

// Ids of the I0 channel without a frame: missing where the detector's own rhythm has a frame due, else unmatched.
static void count_frameless(const xn_channel *i0, xn_shots *s)
{
    if (i0->shift > 0) return; // read once per train
    const bool times = s->clock != NULL;
    const uint64_t step = step_by(s->clock, s->pulse_id, s->n), own = times ? step_by(s->clock, i0->id, i0->n) : step;
    int64_t r = 0;
    for (int64_t i = 0; i < i0->n; i++) {
        uint64_t id = i0->id[i];
        while (r < s->n && s->pulse_id[r] < id) r++;
        if (r < s->n && s->pulse_id[r] == id) continue;
        bool due = r > 0 && r < s->n;
        if (due) {
            const uint64_t before = s->pulse_id[r - 1];
            due = is_due(times, times ? s->clock(id) - s->clock(before) : id - before, step, own);
        }
        *(due ? &s->missing : &s->unmatched) += 1;
    }
}

static xani_status check_overlap(xn_ctx *ctx, const joiner *j, const framed *rows, int64_t n)
{
    for (int r = 0; r < j->w->n; r++) {
        const xn_wanted_reading *reading = &j->w->reading[r];
        if (reading->hits > 0) continue;
        for (int t = 0; t < reading->n; t++) {
            const xn_channel *c = &j->w->channel[reading->term[t].channel];
            if (c->n == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: channel %s has no readings", c->file, c->name);
            if (c->id[0] <= rows[n - 1].id >> c->shift && c->id[c->n - 1] >= rows[0].id >> c->shift &&
                t + 1 < reading->n)
                continue; // another term may be the reason
            return xn_fail(ctx, XANI_ERR_INPUT,
                           "%s do not overlap: %s has %llu ... %llu in %s, the frames of %s have %llu ... %llu",
                           j->in->ids, c->name, (unsigned long long)c->id[0], (unsigned long long)c->id[c->n - 1],
                           c->file, j->in->detector, (unsigned long long)(rows[0].id >> c->shift),
                           (unsigned long long)(rows[n - 1].id >> c->shift));
        }
    }
    return XANI_OK;
}

static xani_status check_laser(xn_ctx *ctx, const xn_config *config, const joiner *j, const xn_shots *s)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->laser[i] != XN_LASER_UNKNOWN) return XANI_OK;
    const char *word = xn_config_string(config, "input.laser");
    return xn_fail(ctx, XANI_ERR_INPUT, "input.laser: %s tells the laser state of no shot",
                   j->w->n_laser > 0 ? j->w->reading[j->w->laser[0]].text
                   : word != NULL    ? word
                                     : "the rule");
}

// ---- the whole

// The time tool's traces are read once the laser state of each shot is known, for the reference.
static xani_status read_tool(xn_ctx *ctx, const xn_config *config, const joiner *j, const framed *rows, int64_t n)
{
    uint64_t *id = xn_alloc((size_t)n, sizeof *id);
    uint8_t *class = xn_calloc((size_t)n, sizeof *class);
    xani_status st = id != NULL && class != NULL ? XANI_OK : xn_fail_memory(ctx, "the join", (size_t)n * 9);
    for (int64_t i = 0; st == XANI_OK && i < n; i++) {
        int refused = j->in->refused != NULL ? j->in->refused[rows[i].frame] : XN_CUT_NONE;
        bool dark = refused == XN_CUT_DARK;
        refused = XN_CUT_NONE;
        xn_wanted_look_up(j->w, rows[i].id);
        int laser = j->in->rule->by_frame ? j->in->laser[rows[i].frame] : laser_of_readings(j, &refused);
        id[i] = rows[i].id;
        dark = dark || refused == XN_CUT_DARK;
        class[i] = dark ? XN_TOOL_DARK : laser == XN_LASER_OFF ? XN_TOOL_OFF : XN_TOOL_OTHER;
    }
    const xn_tool_input in = {n, id, class, j->in->file, j->in->read_traces, j->in->user};
    if (st == XANI_OK) st = xn_wanted_read_tool(ctx, config, &in, j->w);
    xn_free(id);
    xn_free(class);
    return st;
}

static xani_status fill_table(xn_ctx *ctx, const xn_config *config, joiner *j, const framed *rows, int64_t n,
                              double *value, xn_shots *s)
{
    xn_wanted *w = j->w;
    XN_TRY(xn_shots_alloc(ctx, n, w->n_extra, s));
    s->frames = j->in->n;
    s->clock = j->in->clock;
    for (int e = 0; e < w->n_extra; e++) {
        s->extra_name[e] = xn_strdup(w->reading[w->extra[e]].text);
        if (s->extra_name[e] == NULL) return xn_fail_memory(ctx, "a name", 1);
    }
    if (w->tt >= 0) XN_TRY(xn_shots_column(ctx, XN_COLUMN_TOOL, s, &j->tool_ps));
    for (int64_t i = 0; i < n; i++) join_row(j, &rows[i], i, value, s);
    refuse_duplicates(rows, n, s);
    XN_TRY(count_repeated(ctx, rows, n, w, s));
    count_frameless(&w->channel[w->reading[w->i0].term[0].channel], s);
    XN_TRY(check_overlap(ctx, j, rows, n));
    return check_laser(ctx, config, j, s);
}

// Frames without readings: each is a laser-off shot of intensity 1; that there are no X-rays is what dark runs want.
static xani_status frames_only(xn_ctx *ctx, const xn_join_input *in, xn_shots *s)
{
    framed *rows = NULL;
    int64_t n = 0;
    XN_TRY(list_frames(ctx, in, &rows, &n));
    xani_status st = xn_shots_alloc(ctx, n, 0, s);
    for (int64_t i = 0; i < n && st == XANI_OK; i++) {
        int refused = in->refused != NULL ? in->refused[rows[i].frame] : XN_CUT_NONE;
        s->pulse_id[i] = rows[i].id;
        s->frame[i] = rows[i].frame;
        s->laser[i] = XN_LASER_OFF;
        s->i0[i] = 1.0;
        s->delay_ps[i] = NAN;
        s->bin[i] = -1;
        s->verdict[i] = (uint8_t)(refused == XN_CUT_DARK ? XN_CUT_NONE : refused);
    }
    if (st == XANI_OK) refuse_duplicates(rows, n, s);
    if (st == XANI_OK) st = count_repeated(ctx, rows, n, NULL, s);
    xn_free(rows);
    return st;
}

xani_status xn_join(xn_ctx *ctx, const xn_config *config, const xn_join_input *in, xn_shots *shots)
{
    xn_delay_rule delay;
    xn_wanted w = {0};
    framed *rows = NULL;
    double *value = NULL;
    int64_t n = 0;
    xani_status st;
    if (xn_config_bool(config, "input.frames_only")) return frames_only(ctx, in, shots);
    XN_TRY(xn_delay_rule_load(ctx, config, false, &delay));
    XN_GOTO(out, st, xn_wanted_list(ctx, config, &delay, in->rule, &w));
    XN_GOTO(out, st, xn_wanted_read(ctx, config, in->read, in->user, &w));
    XN_GOTO(out, st, list_frames(ctx, in, &rows, &n));
    value = xn_calloc((size_t)w.n, sizeof *value);
    if (value == NULL) XN_GOTO(out, st, xn_fail_memory(ctx, "the join", (size_t)w.n * sizeof *value));
    joiner j = {in, &delay, &w, NULL};
    if (w.tool) XN_GOTO(out, st, read_tool(ctx, config, &j, rows, n));
    st = fill_table(ctx, config, &j, rows, n, value, shots);
out:
    xn_free(rows);
    xn_free(value);
    xn_wanted_free(&w);
    return st;
}

xani_status xn_join_check(xn_ctx *ctx, const xn_config *config, const char *laser)
{
    xn_delay_rule rule;
    if (xn_config_bool(config, "input.frames_only")) return XANI_OK;
    XN_TRY(xn_delay_rule_load(ctx, config, false, &rule));
    XN_TRY(xn_config_require(ctx, config, "input.i0", "the channel of the incoming intensity"));
    return xn_config_require(ctx, config, "input.laser", laser);
}
