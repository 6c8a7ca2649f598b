// SPDX-License-Identifier: BSD-3-Clause
// select.c -- which shots are used: a fixed order of cuts, the verdict on each shot, the cut-flow.
//
// join, modules, bad frame, dark (set by the reader), laser known, values present, I0 window, configured cuts and
// monitor linearity, time tool, delay bin, max_shots.  A shot keeps the number of the first cut that refused it, so the
// cut-flow adds up exactly: seen = left + all refused.  Both ends of a window belong to it.  Two rules protect the
// laser-off class: it has no delay, and the time tool, which sees no laser on those shots, never judges it (science.md
// 2), also where a cut on its readings stands among select.cuts.  Windows by percentile or MAD are taken over the shots
// that are still in when their turn comes.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/selection.h"
#include "reduce/internal.h"
#include "reduce/windows.h"

static xani_status add_row(xn_ctx *ctx, const xn_shots *s, const char *name, xn_cutflow *flow)
{
    int64_t left[3] = {0, 0, 0};
    for (int64_t i = 0; i < s->n; i++)
        if (s->verdict[i] == XN_CUT_NONE) left[s->laser[i]]++;
    return xn_cutflow_add(ctx, flow, name, left[XN_LASER_ON], left[XN_LASER_OFF], left[XN_LASER_UNKNOWN]);
}

// Verdicts of the reader: shots refused there are put back one cut after the other, to count each.
static xani_status reader_rows(xn_ctx *ctx, xn_shots *s, xn_cutflow *flow)
{
    static const char *const names[] = {"seen", "join", "modules", "good frame", "X-rays", "laser known"};
    enum { ROWS = sizeof names / sizeof names[0] };
    int64_t left[ROWS][3] = {{0}};
    for (int64_t i = 0; i < s->n; i++) {
        if (s->laser[i] > XN_LASER_UNKNOWN) s->laser[i] = XN_LASER_UNKNOWN;
        if (s->verdict[i] == XN_CUT_NONE && s->laser[i] == XN_LASER_UNKNOWN) s->verdict[i] = XN_CUT_LASER;
        for (int c = 0; c < ROWS; c++) left[c][s->laser[i]] += s->verdict[i] == XN_CUT_NONE || s->verdict[i] > c;
    }
    for (int c = 0; c < ROWS; c++)
        XN_TRY(xn_cutflow_add(ctx, flow, names[c], left[c][XN_LASER_ON], left[c][XN_LASER_OFF],
                              left[c][XN_LASER_UNKNOWN]));
    return XANI_OK;
}

static void cut_missing(xn_shots *s)
{
    for (int64_t i = 0; i < s->n; i++) {
        bool on = s->laser[i] == XN_LASER_ON;
        if (s->verdict[i] == XN_CUT_NONE && (!isfinite(s->i0[i]) || (on && !isfinite(s->delay_ps[i]))))
            s->verdict[i] = XN_CUT_NAN;
    }
}

// ---- windows

// A cut: the window `at` (a key) on one number per shot, for all shots or the laser-on ones only.
typedef struct cut {
    const char *at;
    const double *values;
    bool on_only, positive; // positive: 0 and below are refused, and out of the statistics
    uint8_t verdict;
} cut;

static bool judged(const cut *c, const xn_shots *s, int64_t i)
{
    return s->verdict[i] == XN_CUT_NONE && (!c->on_only || s->laser[i] == XN_LASER_ON);
}

static xani_status cut_window(xn_ctx *ctx, const xn_config *config, const cut *c, xn_shots *s)
{
    double window[2], *kept = NULL;
    int64_t n = 0;
    if (c->values == NULL) return XANI_OK;
    if (xn_window_needs_values(config, c->at)) {
        kept = xn_alloc((size_t)s->n, sizeof *kept);
        if (kept == NULL) return xn_fail_memory(ctx, c->at, (size_t)s->n * sizeof *kept);
        for (int64_t i = 0; i < s->n; i++)
            if (judged(c, s, i) && isfinite(c->values[i]) && !(c->positive && c->values[i] <= 0))
                kept[n++] = c->values[i];
    }
    xn_window_make(config, c->at, kept, n, window);
    xn_free(kept);
    for (int64_t i = 0; i < s->n; i++) {
        if (!judged(c, s, i)) continue;
        double v = c->values[i]; // NaN is refused
        if (!(v >= window[0] && v <= window[1]) || (c->positive && v <= 0)) s->verdict[i] = c->verdict;
    }
    return XANI_OK;
}

static xani_status cut_i0(xn_ctx *ctx, const xn_config *config, xn_shots *s)
{
    const cut c = {.at = "select.i0", .values = s->i0, .positive = true, .verdict = XN_CUT_I0};
    return cut_window(ctx, config, &c, s);
}

static xani_status find_reading(xn_ctx *ctx, const xn_config *config, const xn_shots *s, const char *key,
                                const double **values)
{
    XN_TRY(xn_config_require(ctx, config, key, "name the channel or dataset"));
    const char *source = xn_config_string(config, key);
    for (int i = 0; i < s->n_extra; i++)
        if (strcmp(s->extra_name[i], source) == 0) {
            *values = s->extra[i];
            return XANI_OK;
        }
    return xn_config_bad(ctx, config, key, "no reading \"%s\" comes with these files", source);
}

// ---- the configured cuts, in the order of the configuration: select's own, then those of the sets in use

typedef struct judge {
    xn_ctx *ctx;
    const xn_config *config;
    xn_shots *s;
    xn_cutflow *flow;
    int next; // verdict of the next cut
} judge;

static xani_status next_verdict(judge *j, const char *key, uint8_t *verdict)
{
    if (j->next > UINT8_MAX)
        return xn_config_bad(j->ctx, j->config, key, "more than %d cuts", UINT8_MAX - XN_CUT_CUSTOM + 1);
    *verdict = (uint8_t)j->next++;
    return XANI_OK;
}

// The row of a cut: "set: name"; the name is at.name, else what it is of.
static xani_status named_row(judge *j, const char *at, const char *set, const char *of)
{
    char key[XN_KEY_LENGTH], row[4 * XN_KEY_LENGTH];
    const char *name = xn_config_string(j->config, xn_key(key, "%s.name", at));
    snprintf(row, sizeof row, "%s%s%s", set != NULL ? set : "", set != NULL ? ": " : "", name != NULL ? name : of);
    return add_row(j->ctx, j->s, row, j->flow);
}

// A cut without a window refuses nothing that anybody asked for: something was forgotten.
static xani_status require_window(judge *j, const char *at)
{
    static const char *const ends[] = {"min", "max", "percentile", "mad"};
    char key[XN_KEY_LENGTH];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (xn_config_has(j->config, xn_key(key, "%s.%s", at, ends[i]))) return XANI_OK;
    return xn_config_bad(j->ctx, j->config, at, "has no window: give min, max or both, percentile, or mad");
}

static xani_status cut_custom(judge *j, const char *prefix, const char *set)
{
    char list[XN_KEY_LENGTH], at[XN_KEY_LENGTH], key[XN_KEY_LENGTH];
    int n = xn_config_count(j->config, xn_key(list, "%s.cuts", prefix));
    for (int i = 0; i < n; i++) {
        cut c = {.at = xn_key(at, "%s[%d]", list, i)};
        XN_TRY(next_verdict(j, at, &c.verdict));
        XN_TRY(find_reading(j->ctx, j->config, j->s, xn_key(key, "%s.source", at), &c.values));
        const char *source = xn_config_string(j->config, key);
        XN_TRY(require_window(j, at));
        c.on_only = xn_selection_on_only(j->config, source);
        XN_TRY(cut_window(j->ctx, j->config, &c, j->s));
        XN_TRY(named_row(j, at, set, source));
    }
    return XANI_OK;
}

// Shots whose second monitor is farther than k sigma from the line, or that lack a value of either.
static xani_status refuse_off_line(judge *j, const double *a, const double *b, double k, uint8_t verdict)
{
    xn_shots *s = j->s;
    double *x = xn_alloc((size_t)s->n, sizeof *x), *y = xn_alloc((size_t)s->n, sizeof *y);
    xani_status st = XANI_OK;
    xn_line line;
    bool found = false;
    int64_t n = 0;
    if (x == NULL || y == NULL) {
        st = xn_fail_memory(j->ctx, "select.linearity", (size_t)s->n * 16);
        goto out;
    }
    for (int64_t i = 0; i < s->n; i++) {
        if (s->verdict[i] != XN_CUT_NONE || !isfinite(a[i]) || !isfinite(b[i])) continue;
        x[n] = a[i];
        y[n++] = b[i];
    }
    XN_GOTO(out, st, xn_line_robust(j->ctx, x, y, n, &line, &found));
    for (int64_t i = 0; i < s->n; i++) {
        if (s->verdict[i] != XN_CUT_NONE) continue;
        double off = fabs(b[i] - (found ? line.intercept + line.slope * a[i] : a[i]));
        if (!isfinite(off) || (found && off > k * line.sigma + 1e-12 * fabs(b[i]))) s->verdict[i] = verdict;
    }
out:
    xn_free(x);
    xn_free(y);
    return st;
}

static xani_status cut_linearity(judge *j, const char *prefix, const char *set)
{
    char list[XN_KEY_LENGTH], at[XN_KEY_LENGTH], key[2][XN_KEY_LENGTH], k[XN_KEY_LENGTH];
    int n = xn_config_count(j->config, xn_key(list, "%s.linearity", prefix));
    for (int i = 0; i < n; i++) {
        const double *value[2] = {NULL, NULL};
        uint8_t verdict = 0;
        (void)xn_key(at, "%s[%d]", list, i);
        XN_TRY(next_verdict(j, at, &verdict));
        for (int m = 0; m < 2; m++)
            XN_TRY(find_reading(j->ctx, j->config, j->s, xn_key(key[m], "%s.%c", at, 'a' + m), &value[m]));
        XN_TRY(refuse_off_line(j, value[0], value[1], xn_config_double(j->config, xn_key(k, "%s.k", at)), verdict));
        char of[2 * XN_KEY_LENGTH + 16];
        snprintf(of, sizeof of, "%s against %s", xn_config_string(j->config, key[1]),
                 xn_config_string(j->config, key[0]));
        XN_TRY(named_row(j, at, set, of));
    }
    return XANI_OK;
}

static xani_status cut_time_tool(judge *j, const char *prefix)
{
    char list[XN_KEY_LENGTH], at[XN_KEY_LENGTH], key[XN_KEY_LENGTH];
    int n = xn_config_count(j->config, xn_key(list, "%s.time_tool", prefix));
    for (int i = 0; i < n; i++) {
        cut c = {.at = xn_key(at, "%s[%d]", list, i), .on_only = true, .verdict = XN_CUT_TIME_TOOL};
        XN_TRY(find_reading(j->ctx, j->config, j->s, xn_key(key, "%s.source", at), &c.values));
        XN_TRY(require_window(j, at));
        XN_TRY(cut_window(j->ctx, j->config, &c, j->s));
    }
    return XANI_OK;
}

// input.delay.time_tool.min_amplitude, on the edges found in raw traces.
static xani_status cut_amplitude(judge *j)
{
    const char *key = "input.delay.time_tool.min_amplitude";
    xn_shots *s = j->s;
    if (!xn_config_has(j->config, key)) return XANI_OK;
    double least = xn_config_double(j->config, key);
    for (int e = 0; e < s->n_extra; e++) {
        if (strcmp(s->extra_name[e], XN_TT_AMPLITUDE) != 0) continue;
        for (int64_t i = 0; i < s->n; i++)
            if (s->verdict[i] == XN_CUT_NONE && s->laser[i] == XN_LASER_ON && !(s->extra[e][i] >= least))
                s->verdict[i] = XN_CUT_TIME_TOOL;
        return XANI_OK;
    }
    return xn_config_bad(j->ctx, j->config, key, "needs input.delay.time_tool.trace");
}

static xani_status configured_cuts(xn_ctx *ctx, const xn_config *config, xn_shots *s, xn_cutflow *flow)
{
    judge j = {ctx, config, s, flow, XN_CUT_CUSTOM};
    xn_selection chosen;
    XN_TRY(xn_selection_load(ctx, config, &chosen));
    for (int i = 0; i < chosen.n; i++) {
        XN_TRY(cut_custom(&j, chosen.prefix[i], chosen.set[i]));
        XN_TRY(cut_linearity(&j, chosen.prefix[i], chosen.set[i]));
    }
    XN_TRY(cut_amplitude(&j));
    for (int i = 0; i < chosen.n; i++) XN_TRY(cut_time_tool(&j, chosen.prefix[i]));
    return add_row(ctx, s, "time tool", flow);
}

// ---- delay bins

static xani_status make_bins(xn_ctx *ctx, const xn_config *config, const xn_shots *s, xn_bins *bins)
{
    double *delays = xn_alloc((size_t)s->n, sizeof *delays);
    if (delays == NULL) return xn_fail_memory(ctx, "the delays", (size_t)s->n * sizeof *delays);
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (s->verdict[i] == XN_CUT_NONE && s->laser[i] == XN_LASER_ON) delays[n++] = s->delay_ps[i];
    xani_status st = xn_bins_make(ctx, config, delays, n, bins);
    xn_free(delays);
    return st;
}

// Shots in range, and how many would be with the other sign in front of the delay (zero_ps stays subtracted).
static xani_status cut_bins(xn_ctx *ctx, const xn_config *config, const xn_bins *bins, xn_shots *s)
{
    double zero = xn_config_double(config, "input.delay.zero_ps"), least = INFINITY, most = -INFINITY;
    int64_t seen = 0, in = 0, mirrored = 0;
    for (int64_t i = 0; i < s->n; i++) {
        s->bin[i] = -1;
        if (s->verdict[i] != XN_CUT_NONE || s->laser[i] != XN_LASER_ON) continue;
        double d = s->delay_ps[i];
        s->bin[i] = xn_bins_find(bins, d);
        if (s->bin[i] < 0) s->verdict[i] = XN_CUT_BIN;
        seen++;
        in += s->bin[i] >= 0;
        mirrored += xn_bins_find(bins, -(d + zero) - zero) >= 0;
        least = fmin(least, d);
        most = fmax(most, d);
    }
    if (seen > 0 && 2 * in < seen && mirrored > 2 * in)
        xn_warn(ctx,
                "only %lld of %lld laser-on shots fall into the delay bins, but %lld would with the other sign: "
                "input.delay.sign may be reversed",
                (long long)in, (long long)seen, (long long)mirrored);
    if (seen > 0 && in == 0)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "every delay bin is empty: reduce.delay_bins_ps covers %g to %g ps, the "
                       "laser-on shots have %g to %g ps",
                       bins->edges_ps[0], bins->edges_ps[bins->n], least, most);
    return XANI_OK;
}

static void cut_max_shots(const xn_config *config, xn_shots *s)
{
    int64_t left = xn_config_has(config, "select.max_shots") ? xn_config_int(config, "select.max_shots") : INT64_MAX;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->verdict[i] != XN_CUT_NONE) continue;
        if (left > 0)
            left--;
        else {
            s->verdict[i] = XN_CUT_MAX_SHOTS;
            s->bin[i] = -1;
        }
    }
}

// At least two shots of each class are needed; the text says which cut took the last ones.
static xani_status require_class(xn_ctx *ctx, const xn_cutflow *flow, bool on)
{
    const int64_t *left = on ? flow->on_left : flow->off_left;
    const char *name = on ? "laser-on" : "laser-off";
    if (left[flow->n - 1] >= (on ? 1 : 2)) return XANI_OK;
    int64_t all = flow->on_left[0] + flow->off_left[0] + flow->unknown_left[0];
    if (left[0] == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "no %s shots among %lld shots: check input.laser", name, (long long)all);
    if (left[flow->n - 1] == 1) return xn_fail(ctx, XANI_ERR_INPUT, "only one %s shot is left, two are needed", name);
    int last = 0;
    while (left[last] > 0) last++;
    bool configured = !on && last > XN_CUT_I0 && strcmp(flow->name[last], "time tool") != 0;
    return xn_fail(ctx, XANI_ERR_INPUT, "no %s shots are left of %lld: the cut \"%s\" refused the last %lld%s", name,
                   (long long)left[0], flow->name[last], (long long)left[last - 1],
                   configured ? "; a cut on the time tool belongs to select.time_tool" : "");
}

static xani_status apply(xn_ctx *ctx, const xn_config *config, xn_shots *s, xn_cutflow *flow, xn_bins *bins)
{
    XN_TRY(reader_rows(ctx, s, flow));
    cut_missing(s);
    XN_TRY(add_row(ctx, s, "values present", flow));
    XN_TRY(cut_i0(ctx, config, s));
    XN_TRY(add_row(ctx, s, "I0", flow));
    XN_TRY(configured_cuts(ctx, config, s, flow));
    XN_TRY(require_class(ctx, flow, true));
    XN_TRY(make_bins(ctx, config, s, bins));
    XN_TRY(cut_bins(ctx, config, bins, s));
    XN_TRY(add_row(ctx, s, "delay bin", flow));
    cut_max_shots(config, s);
    XN_TRY(add_row(ctx, s, "max shots", flow));
    XN_TRY(require_class(ctx, flow, true));
    return require_class(ctx, flow, false);
}

xani_status xn_select(xn_ctx *ctx, const xn_config *config, xn_shots *shots, xn_cutflow *flow, double **edges_ps,
                      int *nbins)
{
    xn_bins bins = {0};
    *edges_ps = NULL;
    *nbins = 0;
    xani_status st = xn_config_require(ctx, config, "reduce.delay_bins_ps",
                                       "give {start, stop, step}, {edges: [...]} or {equal_count: n} in ps");
    if (st == XANI_OK && shots->n == 0) st = xn_fail(ctx, XANI_ERR_INPUT, "there are no shots in the input");
    if (st == XANI_OK) st = apply(ctx, config, shots, flow, &bins);
    if (st != XANI_OK) {
        xn_cutflow_free(flow);
        xn_bins_free(&bins);
        return st;
    }
    *edges_ps = bins.edges_ps; // ownership moves
    *nbins = bins.n;
    return XANI_OK;
}
