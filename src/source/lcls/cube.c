// SPDX-License-Identifier: BSD-3-Clause
// cube.c -- the reader of LCLS-I cubes: Cube_<run>_<name>_on.h5 and _off.h5 (formats.md 1.2).
//
//   <det>_data             sums of frames (bins, y, x) or (bins, module, y, x); NaN: an empty bin
//   <det>_nEntries         frames summed, which may be fewer than the shots nEntries
//   binVar, binVar_bins    sum of the delay over the shots of a bin, and left edges; of several axes bins_<var>, right
//   ones <monitor>__<name>      sums over the shots
// Frames are divided by the monitor's mean per shot times the frames summed.  The delay is the mean binVar / nEntries,
// without binVar the centre of the bin.  Bins along other axes than the delay are added up.  cuPhoton's "legate-cube"
// is the same under fixed names; it divides by ipm2, or ipm4 where ipm5 is there, which is the choice where input.i0 is
// missing.  What it is divided by is said.
#include "source/lcls/cube.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/lcls.h"
#include "source/source.h"

#define ENTRIES "nEntries"

// ---- what a file holds

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

// The detector: the given one, or the only "<det>_data".
static xani_status find_detector(xn_ctx *ctx, const xn_h5 *h5, char *const *names, const char *given, xn_lcls_cube *c)
{
    char dataset[XN_KEY_LENGTH + 8], have[256] = "";
    int n = 0;
    for (int i = 0; given == NULL && names[i] != NULL; i++) {
        if (!ends_with(names[i], "_data")) continue;
        snprintf(c->detector, sizeof c->detector, "%.*s", (int)strlen(names[i]) - 5, names[i]);
        size_t used = strlen(have);
        snprintf(have + used, sizeof have - used, "%s%s", n++ > 0 ? ", " : "", names[i]);
    }
    if (given != NULL) {
        given = xn_lcls_path(given);
        int length = (int)strlen(given) - (ends_with(given, "_data") ? 5 : 0);
        snprintf(c->detector, sizeof c->detector, "%.*s", length, given);
        snprintf(dataset, sizeof dataset, "%s_data", c->detector);
        if (!xn_h5_exists(h5, dataset))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: has no %s (input.frames: %s)", xn_h5_path(h5), dataset, given);
        return XANI_OK;
    }
    if (n == 1) return XANI_OK;
    if (n == 0) return xn_fail(ctx, XANI_ERR_INPUT, "%s: has no <detector>_data", xn_h5_path(h5));
    return xn_fail(ctx, XANI_ERR_CONFIG, "input.frames is missing: %s has several detectors: %s", xn_h5_path(h5), have);
}

static bool means_delay(const char *name)
{
    static const char *const words[] = {"delay", "lxt", "binVar", "ttCorr", NULL};
    for (int i = 0; words[i] != NULL; i++)
        if (strcasestr(name, words[i]) != NULL) return true;
    return false;
}

// The axis of delays: binVar_bins of a single axis, else the bins_<var> that is named like a delay or is the only one.
static xani_status find_axis(xn_ctx *ctx, const xn_h5 *h5, char *const *names, xn_lcls_cube *c)
{
    xn_h5_info info;
    if (c->lead == 1 && xn_h5_exists(h5, "binVar_bins")) {
        snprintf(c->edges, sizeof c->edges, "binVar_bins");
        return XANI_OK;
    }
    int n = 0, best = -1;
    for (int i = 0; names[i] != NULL; i++) {
        if (strncmp(names[i], "bins_", 5) != 0) continue;
        n++;
        if (best < 0 || (means_delay(names[i]) && !means_delay(names[best]))) best = i;
    }
    if (best < 0 || (n > 1 && !means_delay(names[best])))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s", xn_h5_path(h5),
                       best < 0 ? "has neither binVar_bins nor bins_<var>: the delays of its bins are not known"
                                : "none of its axes bins_<var> is named like a delay");
    snprintf(c->edges, sizeof c->edges, "%s", names[best]);
    XN_TRY(xn_h5_info_get(ctx, h5, c->edges, &info));
    while (c->axis < c->lead && c->dims[c->axis] != info.size) c->axis++;
    if (c->axis == c->lead)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries, which is the length of no axis of %s",
                       xn_h5_path(h5), c->edges, (long long)info.size, ENTRIES);
    c->right = c->axis == 0; // the first axis is the one that was binned by edges
    c->centres = c->axis > 0;
    return XANI_OK;
}

xani_status xn_lcls_cube_look(xn_ctx *ctx, const xn_h5 *h5, const char *detector, xn_lcls_cube *c)
{
    xn_h5_info info;
    char shape[128], **names = NULL;
    memset(c, 0, sizeof *c);
    XN_TRY(xn_h5_info_get(ctx, h5, ENTRIES, &info));
    if (info.is_group || !xn_is_number(info.type) || info.rank < 1 || info.rank > XN_LCLS_AXES || info.size == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: " ENTRIES " is %s %s; shots of each bin are needed", xn_h5_path(h5),
                       info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims));
    c->lead = info.rank;
    c->bins = info.size;
    memcpy(c->dims, info.dims, (size_t)info.rank * sizeof *c->dims);
    XN_TRY(xn_h5_names(ctx, h5, "/", &names));
    xani_status st = find_detector(ctx, h5, names, detector, c);
    if (st == XANI_OK) st = find_axis(ctx, h5, names, c);
    xn_h5_names_free(names);
    return st;
}

xani_status xn_lcls_cube_centres(xn_ctx *ctx, const xn_h5 *h5, const xn_lcls_cube *c, double **centre)
{
    int64_t n = c->dims[c->axis];
    XN_TRY(xn_lcls_cube_numbers(ctx, h5, c->edges, n, centre));
    double *e = *centre, width = 0.0;
    for (int64_t b = 0; b < n; b++)
        if (!isfinite(e[b]) || (b > 0 && e[b] <= e[b - 1]))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s does not ascend at bin %lld", xn_h5_path(h5), c->edges,
                           (long long)b);
    if (c->centres || n == 1) return XANI_OK; // the width of a single bin is not known
    if (c->right) {
        for (int64_t b = n - 1; b >= 0; b--) {
            if (b > 0) width = e[b] - e[b - 1];
            e[b] -= 0.5 * width;
        }
        return XANI_OK;
    }
    for (int64_t b = 0; b < n; b++) {
        if (b + 1 < n) width = e[b + 1] - e[b];
        e[b] += 0.5 * width;
    }
    return XANI_OK;
}

void xn_lcls_cube_monitor(xn_ctx *ctx, const xn_h5 *h5, char name[XN_KEY_LENGTH])
{
    char **names = NULL;
    int n = 0;
    name[0] = '\0';
    if (xn_h5_exists(h5, "ipm3__sum") && xn_h5_exists(h5, "ipm2__sum"))
        snprintf(name, XN_KEY_LENGTH, "ipm2__sum");
    else if (xn_h5_exists(h5, "ipm5__sum") && xn_h5_exists(h5, "ipm4__sum"))
        snprintf(name, XN_KEY_LENGTH, "ipm4__sum");
    if (name[0] != '\0' || xn_h5_names(ctx, h5, "/", &names) != XANI_OK) return;
    for (int i = 0; names[i] != NULL; i++) {
        if (!ends_with(names[i], "__sum")) continue;
        n++;
        snprintf(name, XN_KEY_LENGTH, "%s", names[i]);
    }
    if (n != 1) name[0] = '\0';
    xn_h5_names_free(names);
}

// ---- one file as a part

typedef struct {
    xn_ctx *ctx;
    const xn_config *config;
    const xn_delay_rule *rule;
    const char *monitor;
    const xn_h5 *h5;
    xn_lcls_cube cube;
} reader;

// Index along the delay axis of bin b of all.
static int64_t along_axis(const xn_lcls_cube *c, int64_t b)
{
    for (int k = c->lead - 1; k > c->axis; k--) b /= c->dims[k];
    return b % c->dims[c->axis];
}

static double corrected(const xn_delay_rule *rule, double ps) { return rule->sign * ps - rule->zero_ps; }

// Places and mean delays. shots: nEntries.
static xani_status read_delays(const reader *r, const double *shots, xn_binned_part *p)
{
    const xn_lcls_cube *c = &r->cube;
    double *centre = NULL, *sum = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_lcls_cube_centres(r->ctx, r->h5, c, &centre));
    if (c->axis == 0 && xn_h5_exists(r->h5, "binVar"))
        XN_GOTO(out, st, xn_lcls_cube_numbers(r->ctx, r->h5, "binVar", c->bins, &sum));
    p->place_ps = xn_alloc((size_t)c->bins, sizeof *p->place_ps);
    p->delay_ps = xn_alloc((size_t)c->bins, sizeof *p->delay_ps);
    if (p->place_ps == NULL || p->delay_ps == NULL) {
        st = xn_fail_memory(r->ctx, "the delays", (size_t)c->bins * 16);
        goto out;
    }
    for (int64_t b = 0; b < c->bins; b++) {
        p->place_ps[b] = corrected(r->rule, centre[along_axis(c, b)]);
        double mean = sum != NULL && shots[b] > 0.0 ? sum[b] / shots[b] : NAN;
        p->delay_ps[b] = isfinite(mean) ? corrected(r->rule, mean) : p->place_ps[b];
    }
out:
    xn_free(centre);
    xn_free(sum);
    return st;
}

static xani_status read_small(const reader *r, xn_binned_part *p)
{
    const xn_lcls_cube *c = &r->cube;
    char entries[XN_KEY_LENGTH + 16];
    double *shots = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_lcls_cube_numbers(r->ctx, r->h5, ENTRIES, c->bins, &shots));
    snprintf(entries, sizeof entries, "%s_" ENTRIES, c->detector);
    const char *frames = xn_h5_exists(r->h5, entries) ? entries : ENTRIES;
    XN_GOTO(out, st, xn_lcls_cube_numbers(r->ctx, r->h5, frames, c->bins, &p->count));
    p->i0 = xn_alloc((size_t)c->bins, sizeof *p->i0);
    if (p->i0 == NULL) {
        st = xn_fail_memory(r->ctx, "the monitor", (size_t)c->bins * sizeof *p->i0);
        goto out;
    }
    XN_GOTO(out, st, xn_lcls_cube_means(r->ctx, r->config, r->monitor, r->h5, "", false, c->bins, shots, p->i0));
    for (int64_t b = 0; b < c->bins; b++) p->i0[b] *= p->count[b];
    if (!p->off) st = read_delays(r, shots, p);
out:
    xn_free(shots);
    return st;
}

static xani_status read_part(reader *r, const char *path, bool off, const char *detector, xn_source *s)
{
    xn_h5 *h5 = NULL;
    char dataset[XN_KEY_LENGTH + 8], usual[XN_KEY_LENGTH];
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(r->ctx, path, &h5));
    r->h5 = h5;
    XN_GOTO(out, st, xn_lcls_cube_look(r->ctx, h5, detector, &r->cube));
    r->monitor = xn_config_string(r->config, "input.i0");
    if (r->monitor == NULL) {
        xn_lcls_cube_monitor(r->ctx, h5, usual);
        if (usual[0] == '\0')
            XN_GOTO(out, st, xn_config_require(r->ctx, r->config, "input.i0", "the monitor to divide by (ipm2/sum)"));
        r->monitor = usual;
    }
    if (!off) xn_note(r->ctx, "%s: frames are divided by %s", path, r->monitor);
    if (!off && r->cube.lead > 1) xn_note(r->ctx, "%s: bins of all axes but %s are added up", path, r->cube.edges);
    snprintf(dataset, sizeof dataset, "%s_data", r->cube.detector);
    xn_binned_part *p = xn_binned_add(r->ctx, path, dataset, off, s->impl);
    st = p == NULL ? XANI_ERR_MEMORY : xn_binned_shape(r->ctx, h5, r->cube.lead, p, s);
    if (st == XANI_OK) st = read_small(r, p);
out:
    xn_h5_close(&h5);
    return st;
}

// ---- the source

static xani_status read_pairs(xn_ctx *ctx, const xn_config *config, int run, const xn_delay_rule *rule, xn_source *s)
{
    char **files = NULL;
    xn_pair *pair = NULL;
    int n = 0;
    reader r = {.ctx = ctx, .config = config, .rule = rule};
    const char *detector = xn_config_string(config, "input.frames");
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = xn_pairs_find(ctx, files, "lcls_cube", "Cube_run_name", &pair, &n);
    xn_h5_names_free(files);
    for (int i = 0; st == XANI_OK && i < n; i++) {
        st = read_part(&r, pair[i].on, false, detector, s);
        if (st == XANI_OK) st = read_part(&r, pair[i].off, true, detector, s);
    }
    xn_pairs_free(&pair, n);
    return st;
}

static xani_status cube_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    xn_delay_rule rule;
    xn_binned *b = NULL;
    XN_TRY(xn_delay_rule_load(ctx, config, true, &rule));
    XN_TRY(xn_binned_start(ctx, s, &b));
    XN_TRY(read_pairs(ctx, config, run, &rule, s));
    return xn_binned_finish(ctx, config, (const char *const[]){"input.i0", "input.frames", NULL}, s);
}

static const xn_source_ops ops = {.layout = "lcls_cube",
                                  .open = cube_open,
                                  .close = xn_binned_close,
                                  .read_cube = xn_binned_read,
                                  .probe_cube = xn_binned_probe};

const xn_input_layout xn_layout_lcls_cube = {.ops = &ops,
                                             .facility = "LCLS",
                                             .files = "cubes of LCLS",
                                             .has_geometry = true, // <det>_cfg
                                             .claims = xn_lcls_cube_claims,
                                             .facts = xn_lcls_cube_facts,
                                             .init_binned = xn_lcls_cube_init};
