// SPDX-License-Identifier: BSD-3-Clause
// tool.c -- raw traces of the time tool, twice through: the reference, then the edges (edge.h).
//
// The reference is the light without X-rays: the mean over laser-off shots (where the laser still reaches the tool, for
// example delayed away from the sample), over shots without X-rays, or a stored one.  The first two are only known
// after the laser state of every shot is, which is why the traces are read after all other readings.  Edges of all
// shots are found, laser-off ones too: their amplitudes show what the tool finds where there is nothing to find.
#include "source/shots/tool.h"

#include <math.h>
#include <string.h>

#include "data/selection.h"
#include "source/shots/edge.h"

#define KEY "input.delay.time_tool."

const char *const xn_tool_reading[XN_TOOL_READINGS] = {XN_TT_EDGE, XN_TT_AMPLITUDE, XN_TT_ERROR};

typedef struct tool {
    const xn_config *config;
    const xn_tool_input *in;
    const char *name;
    xn_edge_rule rule;
    int64_t shift; // of the ids, input.offsets
    int of;        // class the reference is the mean of, XN_TOOL_OTHER: none
    int64_t width; // 0: not known yet
    double *reference, *weight;
    int64_t *count; // (width) shots in the reference
    int64_t averaged;
    xn_channel *const *channel;
    double *result[XN_TOOL_READINGS]; // of a block
    int64_t room;
    double *work;
    int threads;
} tool;

bool xn_tool_configured(const xn_config *config) { return xn_config_has(config, KEY "trace"); }

// ---- the rule

static xani_status set_rule(xn_ctx *ctx, tool *t)
{
    double roi[2] = {0, (double)t->width};
    (void)xn_config_doubles(t->config, KEY "roi", roi, 2);
    const char *edge = xn_config_string(t->config, KEY "edge");
    double width = xn_config_double(t->config, KEY "edge_px");
    t->rule = (xn_edge_rule){.first = (int64_t)roi[0],
                             .end = (int64_t)roi[1],
                             .width_px = width,
                             .reach = (int64_t)ceil(fmax(8.0, 8.0 * width)),
                             .sign = strcmp(edge, "rise") == 0   ? 1
                                     : strcmp(edge, "fall") == 0 ? -1
                                                                 : 0};
    if (xn_config_has(t->config, KEY "reach_px")) t->rule.reach = xn_config_int(t->config, KEY "reach_px");
    if (t->rule.end > t->width)
        return xn_config_bad(ctx, t->config, KEY "roi", "ends at %lld, the traces have %lld pixels",
                             (long long)t->rule.end, (long long)t->width);
    if (t->rule.end - t->rule.first < 2 * t->rule.reach + 1)
        return xn_config_bad(ctx, t->config, KEY "roi",
                             "%lld pixels are too few: edges are judged by %lld on each side",
                             (long long)(t->rule.end - t->rule.first), (long long)t->rule.reach);
    return XANI_OK;
}

static xani_status set_width(xn_ctx *ctx, int64_t width, tool *t)
{
    if (t->width == width) return XANI_OK;
    if (t->width != 0)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: traces of %lld and of %lld pixels (one may be the reference) do not go together", t->name,
                       (long long)t->width, (long long)width);
    t->width = width;
    size_t n = (size_t)width;
    t->reference = xn_calloc(n, sizeof *t->reference);
    t->weight = xn_calloc(n, sizeof *t->weight);
    t->count = xn_calloc(n, sizeof *t->count);
    if (!t->reference || !t->weight || !t->count) return xn_fail_memory(ctx, t->name, n * 24);
    XN_TRY(set_rule(ctx, t));
    t->work = xn_alloc((size_t)t->threads * 2 * (size_t)(t->rule.end - t->rule.first + 1), sizeof *t->work);
    return t->work != NULL ? XANI_OK : xn_fail_memory(ctx, t->name, n * 16);
}

// ---- the reference

static int class_of(const tool *t, uint64_t id)
{
    int64_t low = 0, high = t->in->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (t->in->id[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->in->n && t->in->id[low] == id ? t->in->class[low] : XN_TOOL_OTHER;
}

static uint64_t shifted(const tool *t, uint64_t id) { return id == 0 ? 0 : (uint64_t)((int64_t)id + t->shift); }

static xani_status average(xn_ctx *ctx, void *user, int64_t n, int64_t width, const uint64_t *id, const double *trace)
{
    tool *t = user;
    XN_TRY(set_width(ctx, width, t));
    for (int64_t i = 0; i < n; i++) {
        if (id[i] == 0 || class_of(t, shifted(t, id[i])) != t->of) continue;
        t->averaged++;
        for (int64_t x = 0; x < width; x++) {
            double v = trace[i * width + x];
            if (!isfinite(v)) continue;
            t->reference[x] += v;
            t->count[x]++;
        }
    }
    return xn_check_interrupt(ctx);
}

static xani_status mean_reference(xn_ctx *ctx, tool *t)
{
    xn_trace_sink sink = {.name = t->name, .take = average, .user = t};
    XN_TRY(t->in->read(ctx, t->in->user, &sink));
    if (t->averaged == 0)
        return xn_fail(ctx, XANI_ERR_INPUT,
                       "%s: no %s has a trace for the reference; see input.delay.time_tool.reference", t->name,
                       t->of == XN_TOOL_OFF ? "laser-off shot" : "shot without X-rays");
    for (int64_t x = 0; x < t->width; x++)
        t->reference[x] = t->count[x] > 0 ? t->reference[x] / (double)t->count[x] : NAN;
    return XANI_OK;
}

// A stored reference: (pixels), or several rows of which the mean is taken.
static xani_status stored_reference(xn_ctx *ctx, const char *dataset, tool *t)
{
    char *path = xn_config_path(t->config, KEY "reference_file");
    xn_h5 *h5 = NULL;
    double *value = NULL;
    int64_t n = 0;
    xn_h5_info d = {0};
    xani_status st = xn_h5_open(ctx, path != NULL ? path : t->in->file, &h5);
    if (st == XANI_OK) st = xn_h5_info_get(ctx, h5, dataset, &d);
    if (st == XANI_OK) st = xn_h5_read_f64(ctx, h5, dataset, &value, &n);
    if (st == XANI_OK && (d.rank < 1 || n == 0))
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is no row of numbers", xn_h5_path(h5), dataset);
    if (st == XANI_OK) st = set_width(ctx, d.dims[d.rank - 1], t);
    for (int64_t i = 0; st == XANI_OK && t->width > 0 && i < n; i++)
        t->reference[i % t->width] += value[i] * (double)t->width / (double)n;
    xn_free(value);
    xn_h5_close(&h5);
    xn_free(path);
    return xn_context(ctx, st, KEY "reference");
}

static xani_status make_reference(xn_ctx *ctx, tool *t)
{
    const char *word = xn_config_string(t->config, KEY "reference");
    if (strcmp(word, "none") == 0) return XANI_OK; // ones, once the width is known
    if (strcmp(word, "off") != 0 && strcmp(word, "dark") != 0) return stored_reference(ctx, word, t);
    t->of = strcmp(word, "off") == 0 ? XN_TOOL_OFF : XN_TOOL_DARK;
    return mean_reference(ctx, t);
}

static xani_status use_reference(xn_ctx *ctx, tool *t)
{
    if (strcmp(xn_config_string(t->config, KEY "reference"), "none") == 0)
        for (int64_t x = 0; x < t->width; x++) t->reference[x] = 1.0;
    if (xn_edge_weights(&t->rule, t->reference, t->weight)) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: the reference has no light in pixels %lld to %lld", t->name,
                   (long long)t->rule.first, (long long)t->rule.end);
}

// ---- the edges

static xani_status make_room(xn_ctx *ctx, int64_t n, tool *t)
{
    if (n <= t->room) return XANI_OK;
    for (int k = 0; k < XN_TOOL_READINGS; k++) {
        xn_free(t->result[k]);
        t->result[k] = xn_alloc((size_t)n, sizeof *t->result[k]);
    }
    t->room = n;
    bool ok = t->result[0] != NULL && t->result[1] != NULL && t->result[2] != NULL;
    return ok ? XANI_OK : xn_fail_memory(ctx, t->name, (size_t)n * 24);
}

static xani_status find_edges(xn_ctx *ctx, void *user, int64_t n, int64_t width, const uint64_t *id,
                              const double *trace)
{
    tool *t = user;
    bool first = t->weight == NULL;
    XN_TRY(set_width(ctx, width, t));
    if (first) XN_TRY(use_reference(ctx, t));
    XN_TRY(make_room(ctx, n, t));
    int64_t stride = 2 * (t->rule.end - t->rule.first + 1);
#pragma omp parallel for num_threads(t->threads) schedule(static)
    for (int k = 0; k < t->threads; k++)
        for (int64_t i = k; i < n; i += t->threads) {
            xn_edge e;
            xn_edge_find(&t->rule, trace + i * width, t->reference, t->weight, t->work + k * stride, &e);
            t->result[XN_TOOL_EDGE][i] = e.position_px;
            t->result[XN_TOOL_AMPLITUDE][i] = e.amplitude;
            t->result[XN_TOOL_ERROR][i] = e.error_px;
        }
    for (int k = 0; k < XN_TOOL_READINGS; k++) {
        xn_channel *c = t->channel[k];
        if (c != NULL) XN_TRY(xn_channel_add(ctx, c, n, id, t->result[k], NULL));
    }
    return xn_check_interrupt(ctx);
}

static void load_shift(tool *t)
{
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(t->config, "input.offsets");
    for (int i = 0; i < n; i++) {
        const char *source = xn_config_string(t->config, xn_key(key, "input.offsets[%d].source", i));
        if (source == NULL || strcmp(source, t->name) != 0) continue;
        t->shift += xn_config_int(t->config, xn_key(key, "input.offsets[%d].shots", i));
    }
}

static void forget(tool *t)
{
    void *all[] = {t->reference, t->weight, t->count, t->work, t->result[0], t->result[1], t->result[2]};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
}

xani_status xn_tool_read(xn_ctx *ctx, const xn_config *config, const xn_tool_input *in,
                         xn_channel *const channel[XN_TOOL_READINGS])
{
    tool t = {.config = config,
              .in = in,
              .name = xn_config_string(config, KEY "trace"),
              .channel = channel,
              .threads = xn_threads((int)xn_config_int(config, "engine.threads"))};
    if (in->read == NULL)
        return xn_config_bad(ctx, config, KEY "trace", "layout %s reads no traces",
                             xn_config_string(config, "input.layout"));
    load_shift(&t);
    xani_status st = make_reference(ctx, &t);
    xn_trace_sink sink = {.name = t.name, .take = find_edges, .user = &t};
    if (st == XANI_OK && t.weight != NULL) st = use_reference(ctx, &t);
    if (st == XANI_OK) st = in->read(ctx, in->user, &sink);
    for (int k = 0; st == XANI_OK && k < XN_TOOL_READINGS; k++) {
        if (channel[k] == NULL) continue;
        for (int64_t i = 0; i < channel[k]->n; i++) channel[k]->id[i] = shifted(&t, channel[k]->id[i]);
        st = xn_channel_seen(ctx, channel[k], t.name);
    }
    forget(&t);
    return st;
}
