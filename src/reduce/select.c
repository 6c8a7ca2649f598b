// SPDX-License-Identifier: BSD-3-Clause
// select.c -- which shots are used: a fixed order of cuts, the verdict on each shot, the cut-flow.
//
// join, bad frame, dark (set by the reader), laser known, values present, I0 window, configured cuts, time tool,
// delay bin, max_shots.  A shot keeps the number of the first cut that refused it, so the cut-flow adds up exactly:
// seen = left + all refused.  Two rules protect the laser-off class: it has no delay, and the time tool, which sees
// no laser on those shots, never judges it (science.md 2).  The I0 window by percentile or by median absolute
// deviation (times 1.4826, the standard deviation of a Gaussian) is taken over the shots that are still in.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/internal.h"

#define MAD_TO_SIGMA 1.4826022185056018

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

// ---- I0

// Value at fraction p of sorted v[n], linear between neighbours.
static double quantile(const double *v, int64_t n, double p)
{
    double at = p * (double)(n - 1);
    int64_t i = (int64_t)floor(at);
    if (i >= n - 1) return v[n - 1];
    return v[i] + (at - (double)i) * (v[i + 1] - v[i]);
}

static void window_percentile(const double *sorted, int64_t n, const double percent[2], double window[2])
{
    for (int i = 0; i < 2; i++) window[i] = quantile(sorted, n, percent[i] / 100.0);
}

static void window_mad(double *sorted, int64_t n, double k, double window[2])
{
    double median = quantile(sorted, n, 0.5);
    for (int64_t i = 0; i < n; i++) sorted[i] = fabs(sorted[i] - median);
    qsort(sorted, (size_t)n, sizeof *sorted, xn_double_compare);
    double reach = k * MAD_TO_SIGMA * quantile(sorted, n, 0.5);
    window[0] = median - reach;
    window[1] = median + reach;
}

static xani_status window_of_data(xn_ctx *ctx, const xn_config *config, const xn_shots *s, double window[2])
{
    double *sorted = xn_alloc((size_t)s->n, sizeof *sorted);
    if (sorted == NULL) return xn_fail_memory(ctx, "sorting I0", (size_t)s->n * sizeof *sorted);
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (s->verdict[i] == XN_CUT_NONE && s->i0[i] > 0) sorted[n++] = s->i0[i];
    qsort(sorted, (size_t)n, sizeof *sorted, xn_double_compare);
    double percent[2] = {0, 100};
    if (n > 0 && xn_config_doubles(config, "select.i0.percentile", percent, 2) == 2)
        window_percentile(sorted, n, percent, window);
    else if (n > 0)
        window_mad(sorted, n, xn_config_double(config, "select.i0.mad"), window);
    xn_free(sorted);
    return XANI_OK;
}

static xani_status cut_i0(xn_ctx *ctx, const xn_config *config, xn_shots *s)
{
    double window[2] = {-INFINITY, INFINITY};
    if (xn_config_has(config, "select.i0.percentile") || xn_config_has(config, "select.i0.mad"))
        XN_TRY(window_of_data(ctx, config, s, window));
    if (xn_config_has(config, "select.i0.min")) window[0] = xn_config_double(config, "select.i0.min");
    if (xn_config_has(config, "select.i0.max")) window[1] = xn_config_double(config, "select.i0.max");
    for (int64_t i = 0; i < s->n; i++)
        if (s->verdict[i] == XN_CUT_NONE && !(s->i0[i] > 0 && s->i0[i] >= window[0] && s->i0[i] <= window[1]))
            s->verdict[i] = XN_CUT_I0;
    return XANI_OK;
}

// ---- windows on other readings

static xani_status find_reading(xn_ctx *ctx, const xn_config *config, const xn_shots *s, const char *list, int index,
                                const double **values)
{
    char key[XN_KEY_LENGTH];
    xn_key(key, "%s[%d].source", list, index);
    XN_TRY(xn_config_require(ctx, config, key, "name the channel or dataset"));
    const char *source = xn_config_string(config, key);
    for (int i = 0; i < s->n_extra; i++)
        if (strcmp(s->extra_name[i], source) == 0) {
            *values = s->extra[i];
            return XANI_OK;
        }
    return xn_config_bad(ctx, config, key, "no reading \"%s\" comes with these files", source);
}

static xani_status cut_window(xn_ctx *ctx, const xn_config *config, const char *list, int index, bool on_only,
                              uint8_t verdict, xn_shots *s)
{
    const double *values = NULL;
    XN_TRY(find_reading(ctx, config, s, list, index, &values));
    char low_key[XN_KEY_LENGTH], high_key[XN_KEY_LENGTH];
    xn_key(low_key, "%s[%d].min", list, index);
    xn_key(high_key, "%s[%d].max", list, index);
    double low = xn_config_has(config, low_key) ? xn_config_double(config, low_key) : -INFINITY;
    double high = xn_config_has(config, high_key) ? xn_config_double(config, high_key) : INFINITY;
    for (int64_t i = 0; i < s->n; i++) {
        if (s->verdict[i] != XN_CUT_NONE || (on_only && s->laser[i] != XN_LASER_ON)) continue;
        if (!(values[i] >= low && values[i] <= high)) s->verdict[i] = verdict; // NaN is refused
    }
    return XANI_OK;
}

static xani_status cut_custom(xn_ctx *ctx, const xn_config *config, xn_shots *s, xn_cutflow *flow)
{
    int n = xn_config_count(config, "select.cuts");
    if (n > 255 - XN_CUT_CUSTOM)
        return xn_config_bad(ctx, config, "select.cuts", "more than %d cuts", 255 - XN_CUT_CUSTOM);
    for (int i = 0; i < n; i++) {
        XN_TRY(cut_window(ctx, config, "select.cuts", i, false, (uint8_t)(XN_CUT_CUSTOM + i), s));
        char key[XN_KEY_LENGTH];
        const char *name = xn_config_string(config, xn_key(key, "select.cuts[%d].name", i));
        if (name == NULL) name = xn_config_string(config, xn_key(key, "select.cuts[%d].source", i));
        XN_TRY(add_row(ctx, s, name, flow));
    }
    return XANI_OK;
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
    return xn_fail(ctx, XANI_ERR_INPUT, "no %s shots are left of %lld: the cut \"%s\" refused the last %lld", name,
                   (long long)left[0], flow->name[last], (long long)left[last - 1]);
}

static xani_status apply(xn_ctx *ctx, const xn_config *config, xn_shots *s, xn_cutflow *flow, xn_bins *bins)
{
    XN_TRY(reader_rows(ctx, s, flow));
    cut_missing(s);
    XN_TRY(add_row(ctx, s, "values present", flow));
    XN_TRY(cut_i0(ctx, config, s));
    XN_TRY(add_row(ctx, s, "I0", flow));
    XN_TRY(cut_custom(ctx, config, s, flow));
    int tools = xn_config_count(config, "select.time_tool");
    for (int i = 0; i < tools; i++) XN_TRY(cut_window(ctx, config, "select.time_tool", i, true, XN_CUT_TIME_TOOL, s));
    XN_TRY(add_row(ctx, s, "time tool", flow));
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
