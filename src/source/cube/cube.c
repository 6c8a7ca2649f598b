// SPDX-License-Identifier: BSD-3-Clause
// cube.c -- the field's binned cubes: run%04d_on.h5 with run%04d_off.h5 beside it (formats.md 1.8).
//
// Root datasets scan_var (ps), imgs (bin, y, x), i0 and bin_counts, or bin_count in the other spelling; imgs,
// i0 and counts are sums, so files of one run are combined by adding what has the same delay, and all
// bins of the off files make one reference.  An empty bin (count 0, or no number in its plane) counts as
// nothing.  A pixel that is no number in any bin that is not empty is masked.
// delay = sign scan_var - zero_ps; bins come out in ascending order whatever the sign.
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

static xani_status read_small(xn_ctx *ctx, const xn_h5 *h5, const xn_delay_rule *rule, xn_binned_part *p, xn_source *s)
{
    xn_h5_info info;
    XN_TRY(xn_h5_info_get(ctx, h5, "imgs", &info));
    bool plane = p->off && info.rank == 2; // one bin without its axis
    XN_TRY(xn_binned_shape(ctx, h5, plane ? 0 : 1, p, s));
    XN_TRY(read_vector(ctx, h5, "i0", p->bins, &p->i0));
    const char *counts = xn_h5_exists(h5, "bin_counts") ? "bin_counts" : "bin_count"; // both spellings exist
    XN_TRY(read_vector(ctx, h5, counts, p->bins, &p->count));
    for (int64_t b = 0; b < p->bins; b++)
        if (!isfinite(p->count[b]) || !isfinite(p->i0[b])) p->count[b] = p->i0[b] = 0.0;
    if (p->off) return XANI_OK;
    XN_TRY(read_vector(ctx, h5, "scan_var", p->bins, &p->place_ps));
    for (int64_t b = 0; b < p->bins; b++) {
        if (!isfinite(p->place_ps[b]))
            return xn_fail(ctx, XANI_ERR_INPUT, "%s: scan_var of bin %lld is not a number", p->path, (long long)b);
        p->place_ps[b] = rule->sign * p->place_ps[b] - rule->zero_ps;
    }
    return XANI_OK;
}

static xani_status read_part(xn_ctx *ctx, const char *path, bool off, const xn_delay_rule *rule, xn_binned *b,
                             xn_source *s)
{
    xn_h5 *h5 = NULL;
    xn_binned_part *p = xn_binned_add(ctx, path, "imgs", off, b);
    if (p == NULL) return XANI_ERR_MEMORY;
    xani_status st = xn_h5_open(ctx, path, &h5);
    if (st == XANI_OK) st = read_small(ctx, h5, rule, p, s);
    xn_h5_close(&h5);
    return st;
}

// ---- open

static xani_status read_pairs(xn_ctx *ctx, const xn_config *config, int run, const xn_delay_rule *rule, xn_source *s)
{
    char **files = NULL;
    xn_pair *pair = NULL;
    int n = 0;
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = xn_pairs_find(ctx, files, "cube", "run0001", &pair, &n);
    xn_h5_names_free(files);
    for (int i = 0; st == XANI_OK && i < n; i++) {
        st = read_part(ctx, pair[i].on, false, rule, s->impl, s);
        if (st == XANI_OK) st = read_part(ctx, pair[i].off, true, rule, s->impl, s);
    }
    if (st == XANI_OK && n > 1) xn_note(ctx, "%d cubes are added to one (%s, ...)", n, pair[0].on);
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
    return xn_binned_finish(ctx, config, (const char *const[]){NULL}, s);
}

static const xn_source_ops ops = {
    .layout = "cube", .open = cube_open, .close = xn_binned_close, .read_cube = xn_binned_read};

const xn_input_layout xn_layout_cube = {
    .ops = &ops,
    .files = "pairs run0001_on.h5, run0001_off.h5",
    .claims = xn_cube_claims,
    .facts = xn_cube_facts_read,
};
