// SPDX-License-Identifier: BSD-3-Clause
// cube.c -- the field's binned cubes: run%04d_on.h5 with run%04d_off.h5 beside it (formats.md 1.8).
//
// Root datasets scan_var (ps), imgs (bin, y, x), i0 and bin_counts, or bin_count in the other spelling (both: then they
// agree); imgs, i0 and counts are sums, so files of one run are combined by adding what is the same bin
// (binned/bins.c), and all bins of the off files make one reference.  An empty bin (count 0, or no number in its plane)
// counts as nothing.  A pixel that is no number in any bin that is not empty is masked. delay = sign scan_var -
// zero_ps; bins come out in ascending order whatever the sign. input.i0 names another monitor of the file (i0_ipm3 of
// the second spelling).  input.background is a file of img, a sum of frames without signal, and count, how many: its
// mean is subtracted for every frame of a bin.
#include "source/cube/cube.h"

#include <math.h>
#include <string.h>

#include "source/binned/binned.h"
#include "source/shots/delay.h"
#include "source/source.h"

// ---- small datasets of one file

static xani_status read_vector(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t bins, double **out)
{
    int64_t n = 0;
    XN_TRY(xn_h5_read_f64(ctx, h5, dataset, out, &n));
    if (n == bins) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries, imgs %lld bins", xn_h5_path(h5), dataset,
                   (long long)n, (long long)bins);
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

xani_status xn_cube_counts(xn_ctx *ctx, const xn_h5 *h5, double **count, int64_t *n)
{
    static const char *const name[2] = {"bin_counts", "bin_count"}; // both spellings exist
    const bool first = xn_h5_exists(h5, name[0]), second = xn_h5_exists(h5, name[1]);
    double *other = NULL;
    int64_t m = 0;
    if (!first && !second)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: has neither %s nor %s: the shots of each bin are needed",
                       xn_h5_path(h5), name[0], name[1]);
    XN_TRY(xn_h5_read_f64(ctx, h5, name[first ? 0 : 1], count, n));
    if (!first || !second) return XANI_OK;
    xani_status st = xn_h5_read_f64(ctx, h5, name[1], &other, &m);
    if (st == XANI_OK && m != *n)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries, %s %lld", xn_h5_path(h5), name[0], (long long)*n,
                     name[1], (long long)m);
    for (int64_t b = 0; st == XANI_OK && b < m; b++)
        if (!same((*count)[b], other[b]))
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s and %s contradict each other: %.10g and %.10g shots in bin %lld",
                         xn_h5_path(h5), name[0], name[1], (*count)[b], other[b], (long long)b);
    xn_free(other);
    return st;
}

static xani_status read_counts(xn_ctx *ctx, const xn_h5 *h5, int64_t bins, double **count)
{
    int64_t n = 0;
    XN_TRY(xn_cube_counts(ctx, h5, count, &n));
    if (n == bins) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries, imgs %lld bins", xn_h5_path(h5),
                   xn_h5_exists(h5, "bin_counts") ? "bin_counts" : "bin_count", (long long)n, (long long)bins);
}

// What the configuration says about the files.
typedef struct {
    xn_delay_rule delay;
    const char *monitor; // dataset
} reading;

static xani_status check_unit(xn_ctx *ctx, const xn_h5 *h5)
{
    char *unit = NULL;
    xani_status st = xn_h5_read_attr(ctx, h5, "scan_var", "units", &unit);
    if (st == XANI_ERR_MEMORY) return st;
    if (st != XANI_OK) xn_clear_error(ctx); // most do not say
    if (unit != NULL && unit[0] != '\0' && strcmp(unit, "ps") != 0)
        xn_warn(ctx, "%s: scan_var says its unit is %s; it is taken as ps all the same", xn_h5_path(h5), unit);
    xn_free(unit);
    return XANI_OK;
}

// Means are those of delays in fixed point: they may lie beside an edge by a little.
static bool are_edges(const double *edge, const xn_binned_part *p)
{
    for (int64_t b = 0; b < p->bins; b++) {
        const double room = 1e-3 * (edge[b + 1] - edge[b]), mean = p->place_ps[b];
        if (!(room > 0.0) || !(edge[b] - room <= mean && mean <= edge[b + 1] + room)) return false;
    }
    return true;
}

// Edges of the bins, as xani writes them: bins of several cubes that have the same are the same, whatever the mean
// delay of their shots.  What is no list of edges around scan_var is not used.
static xani_status read_edges(xn_ctx *ctx, const xn_h5 *h5, xn_binned_part *p)
{
    double *edge = NULL;
    int64_t n = 0;
    if (!xn_h5_exists(h5, "bin_edges")) return XANI_OK;
    xani_status st = xn_h5_read_f64(ctx, h5, "bin_edges", &edge, &n);
    if (st == XANI_ERR_MEMORY) return st;
    if (st != XANI_OK) xn_clear_error(ctx);
    if (st == XANI_OK && n == p->bins + 1 && are_edges(edge, p)) {
        p->delay_ps = p->place_ps;
        p->place_ps = edge; // its first entries become the middles
        for (int64_t b = 0; b < p->bins; b++) edge[b] = 0.5 * (edge[b] + edge[b + 1]);
    } else {
        xn_free(edge);
    }
    return XANI_OK;
}

static xani_status read_whole(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t **v, int64_t *n)
{
    *v = NULL;
    *n = 0;
    return xn_h5_exists(h5, dataset) ? xn_h5_read_i64(ctx, h5, dataset, v, n) : XANI_OK;
}

// What xani says of its images: groups of how many pixels they are of, and how many rows each module has.
static xani_status read_grouping(xn_ctx *ctx, const xn_h5 *h5, xn_source *s)
{
    int64_t *v = NULL, n = 0, rows = 0;
    XN_TRY(read_whole(ctx, h5, "spatial_bin", &v, &n));
    const int64_t grouped = n == 1 ? v[0] : 0;
    xn_free(v);
    if (n > 0 && (grouped < 1 || grouped > INT16_MAX))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: spatial_bin is no number of pixels", xn_h5_path(h5));
    if (s->grouped > 0 && n > 0 && grouped != s->grouped)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: its pixels are groups of %lld x %lld, before it of %d x %d",
                       xn_h5_path(h5), (long long)grouped, (long long)grouped, s->grouped, s->grouped);
    if (n > 0) s->grouped = (int)grouped;
    XN_TRY(read_whole(ctx, h5, "module_rows", &v, &n));
    bool good = n > 0 && n <= s->ny;
    for (int64_t i = 0; good && i < n; i++) {
        good = v[i] > 0 && v[i] <= s->ny;
        rows += v[i];
    }
    xani_status st = XANI_OK;
    if (good && rows == s->ny && s->module_rows == NULL && (st = xn_modules_set(ctx, s, (int)n, 0)) == XANI_OK)
        memcpy(s->module_rows, v, (size_t)n * sizeof *v);
    xn_free(v);
    return st;
}

static xani_status read_small(xn_ctx *ctx, const xn_h5 *h5, const reading *how, xn_binned_part *p, xn_source *s)
{
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, h5, "imgs", &info));
    bool plane = p->off && info.rank == 2; // one bin without its axis
    XN_TRY(xn_binned_shape(ctx, h5, plane ? 0 : 1, p, s));
    XN_TRY(read_grouping(ctx, h5, s));
    XN_TRY(read_vector(ctx, h5, how->monitor, p->bins, &p->i0));
    XN_TRY(read_counts(ctx, h5, p->bins, &p->count));
    if (p->off) return XANI_OK;
    XN_TRY(read_vector(ctx, h5, "scan_var", p->bins, &p->place_ps));
    XN_TRY(check_unit(ctx, h5));
    for (int64_t b = 0; b < p->bins; b++) {
        if (!isfinite(p->place_ps[b]))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: scan_var of bin %lld is not a number", p->path, (long long)b);
    }
    XN_TRY(read_edges(ctx, h5, p));
    double *of[] = {p->place_ps, p->delay_ps};
    for (int k = 0; k < 2 && of[k] != NULL; k++)
        for (int64_t b = 0; b < p->bins; b++) of[k][b] = how->delay.sign * of[k][b] - how->delay.zero_ps;
    return XANI_OK;
}

static xani_status read_part(xn_ctx *ctx, const char *path, bool off, const reading *how, xn_binned *b, xn_source *s)
{
    xn_h5 *h5 = NULL;
    xn_binned_part *p = xn_binned_add(ctx, path, "imgs", off, b);
    if (p == NULL) return XANI_ERR_MEMORY;
    xani_status st = xn_h5_open(ctx, path, &h5);
    if (st == XANI_OK) st = read_small(ctx, h5, how, p, s);
    xn_h5_close(&h5);
    return st;
}

// ---- open

static xani_status read_pairs(xn_ctx *ctx, const xn_config *config, int run, const reading *how, xn_source *s)
{
    char **files = NULL;
    xn_pair *pair = NULL;
    int n = 0;
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = xn_pairs_find(ctx, files, "cube", "run0001", &pair, &n);
    xn_h5_names_free(files);
    for (int i = 0; st == XANI_OK && i < n; i++) {
        st = read_part(ctx, pair[i].on, false, how, s->impl, s);
        if (st == XANI_OK) st = read_part(ctx, pair[i].off, true, how, s->impl, s);
    }
    xn_pairs_free(&pair, n);
    return st;
}

// ---- background

static xani_status mean_frame(xn_ctx *ctx, const xn_h5 *h5, const xn_source *s, double **mean)
{
    xn_h5_info info;
    char shape[128];
    double *count = NULL, *img = NULL;
    int64_t n = 0, pixels = 0;
    xani_status st;
    XN_GOTO(out, st, xn_h5_info_get(ctx, h5, "img", &info));
    if (info.is_group || info.rank < 2 || info.dims[info.rank - 1] != s->nx || info.size != s->ny * s->nx)
        XN_GOTO(out, st,
                xn_fail(ctx, XANI_ERR_INPUT, "%s: img has shape %s, the frames have (%lld, %lld)", xn_h5_path(h5),
                        xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims), (long long)s->ny,
                        (long long)s->nx));
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, "count", &count, &n));
    if (n != 1 || !(count[0] > 0.0))
        XN_GOTO(out, st, xn_fail(ctx, XANI_ERR_INPUT, "%s: count must be one number above 0", xn_h5_path(h5)));
    XN_GOTO(out, st, xn_h5_read_f64(ctx, h5, "img", &img, &pixels));
    for (int64_t i = 0; i < pixels; i++) img[i] /= count[0];
    *mean = img;
    img = NULL;
out:
    xn_free(count);
    xn_free(img);
    return st;
}

// Pixels whose background is no number are masked.
static xani_status read_background(xn_ctx *ctx, const xn_config *config, xn_source *s)
{
    xn_binned *b = s->impl;
    xn_h5 *h5 = NULL;
    if (!xn_config_has(config, "input.background")) return XANI_OK;
    char *path = xn_config_path(config, "input.background");
    if (path == NULL) return xn_fail_memory(ctx, "input.background", 1);
    xani_status st = xn_h5_open(ctx, path, &h5);
    if (st == XANI_OK) st = mean_frame(ctx, h5, s, &b->background);
    for (int64_t i = 0; st == XANI_OK && i < s->ny * s->nx; i++) {
        if (isfinite(b->background[i])) continue;
        b->background[i] = 0.0;
        s->mask[i] |= XN_PIXEL_UNDEFINED;
    }
    xn_h5_close(&h5);
    xn_free(path);
    return xn_context(ctx, st, "input.background");
}

static xani_status cube_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    xn_binned *b = NULL;
    reading how = {.monitor = xn_config_string(config, "input.i0")};
    if (how.monitor == NULL) how.monitor = "i0";
    XN_TRY(xn_delay_rule_load(ctx, config, true, &how.delay));
    XN_TRY(xn_binned_start(ctx, s, &b));
    XN_TRY(read_pairs(ctx, config, run, &how, s));
    XN_TRY(xn_binned_finish(ctx, config, (const char *const[]){"input.i0", "input.background", NULL}, s));
    return read_background(ctx, config, s);
}

static const xn_source_ops ops = {.layout = "cube",
                                  .open = cube_open,
                                  .close = xn_binned_close,
                                  .read_cube = xn_binned_read,
                                  .probe_cube = xn_binned_probe};

const xn_input_layout xn_layout_cube = {
    .ops = &ops,
    .files = "pairs run0001_on.h5, run0001_off.h5",
    .claims = xn_cube_claims,
    .facts = xn_cube_facts_read,
};
