// SPDX-License-Identifier: BSD-3-Clause
// wanted.c -- which readings a run needs, read once each: see wanted.h.
//
// The laser rule, I0 and the sources of cuts are needed by every shot; the parts of the delay, and the time tool
// wherever it is asked for, by laser-on shots only, because without laser there is nothing to measure.
#include "source/shots/wanted.h"

#include <math.h>
#include <string.h>

#include "data/selection.h"

// Index of the channel, added when new.
static xani_status want_channel(xn_ctx *ctx, const xn_term *t, xn_wanted *w, int *index)
{
    for (*index = 0; *index < w->n_channels; ++*index)
        if (w->channel[*index].column == t->column && strcmp(w->name[*index], t->name) == 0) return XANI_OK;
    size_t n = (size_t)w->n_channels + 1;
    xn_channel *c = xn_realloc(w->channel, n, sizeof *c);
    if (c != NULL) w->channel = c;
    char **name = xn_realloc(w->name, n, sizeof *name), *copy = xn_strdup(t->name);
    if (name != NULL) w->name = name;
    if (c == NULL || name == NULL || copy == NULL) {
        xn_free(copy);
        return xn_fail_memory(ctx, "the channels", n * sizeof *c);
    }
    name[n - 1] = copy;
    c[n - 1] = (xn_channel){.name = copy, .column = t->column};
    w->n_channels++;
    return XANI_OK;
}

// Index of the reading, added when new; one asked for twice is read once and needed by the wider group.
static xani_status want(xn_ctx *ctx, const xn_config *config, const char *key, const char *text, xn_need who,
                        xn_wanted *w, int *index)
{
    for (int i = 0; i < w->n; i++) {
        if (strcmp(w->reading[i].text, text) != 0) continue;
        if (who > w->reading[i].who) w->reading[i].who = who;
        *index = i;
        return XANI_OK;
    }
    xn_reading parsed;
    XN_TRY(xn_reading_parse(ctx, config, key, text, &parsed));
    xn_wanted_reading *r = xn_realloc(w->reading, (size_t)w->n + 1, sizeof *r);
    if (r == NULL) return xn_fail_memory(ctx, "the readings", (size_t)(w->n + 1) * sizeof *r);
    w->reading = r;
    r += w->n;
    *r = (xn_wanted_reading){.text = text, .who = who, .n = parsed.n};
    for (int t = 0; t < parsed.n; t++) {
        r->term[t].factor = parsed.term[t].factor;
        XN_TRY(want_channel(ctx, &parsed.term[t], w, &r->term[t].channel));
    }
    *index = w->n++;
    return XANI_OK;
}

// The reading becomes a column of the shot table.
static xani_status want_extra(xn_ctx *ctx, const xn_config *config, const char *key, const char *source, xn_need who,
                              xn_wanted *w)
{
    int index = 0;
    if (strcmp(source, XN_COLUMN_PHOTONS) == 0)
        return xn_config_bad(ctx, config, key, "%s is counted while frames are summed: no cut can use it", source);
    if (xn_selection_on_only(config, source)) who = XN_NEED_ON;
    XN_TRY(want(ctx, config, key, source, who, w, &index));
    for (int j = 0; j < w->n_extra; j++)
        if (w->extra[j] == index) return XANI_OK;
    w->extra[w->n_extra++] = index;
    return XANI_OK;
}

static xani_status want_list(xn_ctx *ctx, const xn_config *config, const char *prefix, const char *list,
                             const char *member, xn_need who, xn_wanted *w)
{
    char at[XN_KEY_LENGTH], key[XN_KEY_LENGTH];
    int n = xn_config_count(config, xn_key(at, "%s.%s", prefix, list));
    for (int i = 0; i < n; i++) {
        XN_TRY(xn_config_require(ctx, config, xn_key(key, "%s.%s[%d].%s", prefix, list, i, member),
                                 "the channel the window is for"));
        XN_TRY(want_extra(ctx, config, key, xn_config_string(config, key), who, w));
    }
    return XANI_OK;
}

static int count_extras(const xn_config *config, const xn_selection *s)
{
    static const char *const lists[] = {"cuts", "time_tool", "linearity", "linearity"}; // two readings each
    char key[XN_KEY_LENGTH];
    int n = XN_TOOL_READINGS;
    for (int i = 0; i < s->n; i++)
        for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++)
            n += xn_config_count(config, xn_key(key, "%s.%s", s->prefix[i], lists[k]));
    return n;
}

static xani_status want_extras(xn_ctx *ctx, const xn_config *config, const xn_selection *s, xn_wanted *w)
{
    for (int i = 0; i < s->n; i++) {
        XN_TRY(want_list(ctx, config, s->prefix[i], "cuts", "source", XN_NEED_ALL, w));
        XN_TRY(want_list(ctx, config, s->prefix[i], "linearity", "a", XN_NEED_ALL, w));
        XN_TRY(want_list(ctx, config, s->prefix[i], "linearity", "b", XN_NEED_ALL, w));
        XN_TRY(want_list(ctx, config, s->prefix[i], "time_tool", "source", XN_NEED_ON, w));
    }
    for (int k = 0; w->tool && k < XN_TOOL_READINGS; k++)
        XN_TRY(want_extra(ctx, config, "input.delay.time_tool.trace", xn_tool_reading[k], XN_NEED_ON, w));
    return XANI_OK;
}

// A shot where one of these is not there is not refused for it: that tells nothing about X-rays.
static xani_status want_xrays(xn_ctx *ctx, const xn_config *config, xn_wanted *w)
{
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(config, "input.xrays");
    w->xrays = xn_calloc((size_t)n + 1, sizeof *w->xrays);
    if (w->xrays == NULL) return xn_fail_memory(ctx, "the readings", (size_t)n * sizeof *w->xrays);
    for (int i = 0; i < n; i++) {
        const char *name = xn_config_string(config, xn_key(key, "input.xrays[%d]", i));
        if (name == NULL || strcmp(name, "none") == 0) continue;
        XN_TRY(want(ctx, config, key, name, XN_NEED_NONE, w, &w->xrays[w->n_xrays]));
        w->n_xrays++;
    }
    return XANI_OK;
}

xani_status xn_wanted_list(xn_ctx *ctx, const xn_config *config, const xn_delay_rule *delay, const xn_laser_rule *laser,
                           xn_wanted *w)
{
    char key[XN_KEY_LENGTH];
    memset(w, 0, sizeof *w);
    w->tt = -1;
    w->tool = xn_tool_configured(config);
    xn_selection selection;
    XN_TRY(xn_selection_load(ctx, config, &selection));
    int extras = count_extras(config, &selection);
    w->n_laser = laser->by_frame ? 0 : laser->n_on + laser->n_drop;
    w->extra = xn_calloc((size_t)extras + 1, sizeof *w->extra);
    w->laser = xn_calloc((size_t)w->n_laser + 1, sizeof *w->laser);
    if (!w->extra || !w->laser) return xn_fail_memory(ctx, "the readings", (size_t)extras * sizeof *w->extra);
    XN_TRY(xn_config_require(ctx, config, "input.i0", "the channel of the incoming intensity"));
    XN_TRY(want(ctx, config, "input.i0", xn_config_string(config, "input.i0"), XN_NEED_ALL, w, &w->i0));
    for (int i = 0; i < delay->n_parts; i++)
        XN_TRY(want(ctx, config, xn_key(key, "input.delay.parts[%d].source", i), delay->source[i], XN_NEED_ON, w,
                    &w->part[i]));
    if (delay->tt_source != NULL)
        XN_TRY(want(ctx, config, "input.delay.time_tool.source", delay->tt_source, XN_NEED_ON, w, &w->tt));
    for (int i = 0; i < w->n_laser; i++)
        XN_TRY(want(ctx, config, "input.laser", laser->reading[i], XN_NEED_ALL, w, &w->laser[i]));
    XN_TRY(want_xrays(ctx, config, w));
    return want_extras(ctx, config, &selection, w);
}

// Readings that belong to a shot `shots` ids later than the id they were stored with.
static void shift_ids(xn_channel *c, int64_t shots)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < c->n; i++) {
        uint64_t id = c->later != NULL ? c->later(c->later_of, c->id[i], shots) : (uint64_t)((int64_t)c->id[i] + shots);
        if (id == 0) continue; // no such shot
        c->id[kept] = id;
        c->value[kept++] = c->value[i];
    }
    c->n = kept;
}

static xani_status apply_offsets(xn_ctx *ctx, const xn_config *config, xn_wanted *w)
{
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(config, "input.offsets");
    for (int i = 0; i < n; i++) {
        XN_TRY(xn_config_require(ctx, config, xn_key(key, "input.offsets[%d].source", i), "the channel that is off"));
        const char *source = xn_config_string(config, key);
        const char *trace = xn_config_string(config, "input.delay.time_tool.trace");
        bool found = trace != NULL && strcmp(trace, source) == 0; // tool.c shifts them
        for (int c = 0; c < w->n_channels; c++) {
            if (strcmp(w->name[c], source) != 0) continue;
            found = true;
            char by[XN_KEY_LENGTH];
            shift_ids(&w->channel[c], xn_config_int(config, xn_key(by, "input.offsets[%d].shots", i)));
        }
        if (!found) return xn_config_bad(ctx, config, key, "no reading is made of channel %s", source);
    }
    return XANI_OK;
}

// XN_TOOL_* when the channel comes from traces, else -1.
static int tool_channel(const xn_wanted *w, int i)
{
    for (int k = 0; w->tool && k < XN_TOOL_READINGS; k++)
        if (strcmp(w->name[i], xn_tool_reading[k]) == 0) return k;
    return -1;
}

xani_status xn_wanted_read(xn_ctx *ctx, const xn_config *config, xn_channel_reader read, void *user, xn_wanted *w)
{
    size_t n = (size_t)w->n_channels;
    w->cursor = xn_calloc(n, sizeof *w->cursor);
    w->value = xn_calloc(n, sizeof *w->value);
    w->hit = xn_calloc(n, sizeof *w->hit);
    if (!w->cursor || !w->value || !w->hit) return xn_fail_memory(ctx, "the channels", n * 24);
    for (int i = 0; i < w->n_channels; i++) {
        if (tool_channel(w, i) >= 0) continue;
        xani_status st = read(ctx, user, &w->channel[i]);
        for (int k = 0; st != XANI_OK && k < w->n_laser; k++)
            if (w->reading[w->laser[k]].term[0].channel == i) return xn_context(ctx, st, "input.laser");
        XN_TRY(st);
    }
    XN_TRY(apply_offsets(ctx, config, w));
    for (int i = 0; i < w->n_channels; i++)
        if (tool_channel(w, i) < 0) XN_TRY(xn_channel_sort(ctx, &w->channel[i]));
    return XANI_OK;
}

xani_status xn_wanted_read_tool(xn_ctx *ctx, const xn_config *config, const xn_tool_input *in, xn_wanted *w)
{
    xn_channel *channel[XN_TOOL_READINGS] = {NULL};
    for (int i = 0; i < w->n_channels; i++)
        if (tool_channel(w, i) >= 0) channel[tool_channel(w, i)] = &w->channel[i];
    XN_TRY(xn_tool_read(ctx, config, in, channel));
    for (int k = 0; k < XN_TOOL_READINGS; k++)
        if (channel[k] != NULL) XN_TRY(xn_channel_sort(ctx, channel[k]));
    memset(w->cursor, 0, (size_t)w->n_channels * sizeof *w->cursor);
    return XANI_OK;
}

void xn_wanted_look_up(xn_wanted *w, uint64_t id)
{
    for (int i = 0; i < w->n_channels; i++)
        w->hit[i] = xn_channel_find(&w->channel[i], id, &w->cursor[i], &w->value[i]);
}

xn_hit xn_wanted_find(const xn_wanted *w, int reading, double *value)
{
    const xn_wanted_reading *r = &w->reading[reading];
    xn_hit hit = XN_HIT;
    double sum = 0.0;
    for (int t = 0; t < r->n; t++) {
        int c = r->term[t].channel;
        if (w->hit[c] != XN_HIT && hit != XN_HIT_MISSING) hit = w->hit[c];
        sum += r->term[t].factor * w->value[c];
    }
    *value = hit == XN_HIT ? sum : NAN;
    return hit;
}

void xn_wanted_free(xn_wanted *w)
{
    for (int i = 0; i < w->n_channels; i++) {
        xn_channel_free(&w->channel[i]);
        xn_free(w->name[i]);
    }
    void *all[] = {w->reading, w->channel, w->name, w->cursor, w->value, w->hit, w->laser, w->xrays, w->extra};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(w, 0, sizeof *w);
}
