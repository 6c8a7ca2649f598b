// SPDX-License-Identifier: BSD-3-Clause
// cube.c -- the field's binned cubes: run%04d_on.h5 with run%04d_off.h5 beside it (formats.md 1.8).
//
// Root datasets scan_var (ps), imgs (bin, y, x), i0 and bin_counts, or bin_count in the other spelling; imgs,
// i0 and counts are sums, so files of one run are combined by adding what has the same delay, and all
// bins of the off files make one reference.  An empty bin (count 0, or no number in its plane) counts as
// nothing.  A pixel that is no number in any bin that is not empty is masked.
// delay = sign scan_var - zero_ps; bins come out in ascending order whatever the sign.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source/cube/cube.h"
#include "source/shots/delay.h"
#include "source/source.h"

#define SAME_DELAY_PS 1e-9
#define BLOCK_BYTES ((int64_t)256 << 20) // chunks that hold many bins are decoded once when they fit into this

typedef struct {
    char *path;
    int64_t bins;
    double *delay_ps; // corrected; NULL for off files
    double *i0, *count;
    int64_t rank;  // of imgs: 2 is one bin without its axis
    int64_t block; // bins read at once
} part;

typedef struct {
    int n; // pairs
    part *on, *off;
    int nbins;
    double *delay_ps; // of the whole, ascending
} impl;

// ---- names

// "x_on.h5" <-> "x_off.h5". *is_on: which of them path is.
static xani_status partner(xn_ctx *ctx, const char *path, bool *is_on, char **other)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    *is_on = dot != NULL && dot - base >= 3 && strncmp(dot - 3, "_on", 3) == 0;
    bool is_off = dot != NULL && dot - base >= 4 && strncmp(dot - 4, "_off", 4) == 0;
    if (!*is_on && !is_off)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: layout cube needs pairs named like run0001_on.h5 and run0001_off.h5",
                       path);
    int stem = (int)(dot - path) - (*is_on ? 3 : 4);
    *other = xn_format("%.*s%s%s", stem, path, *is_on ? "_off" : "_on", dot); // NULL: no memory
    return XANI_OK;
}

static xani_status add_pair(xn_ctx *ctx, impl *m, char *on, char *off)
{
    for (int i = 0; i < m->n; i++) { // both halves of a pair may be listed
        if (strcmp(m->on[i].path, on) != 0) continue;
        xn_free(on);
        xn_free(off);
        return XANI_OK;
    }
    part *p = xn_realloc(m->on, (size_t)m->n + 1, sizeof *p);
    if (p != NULL) m->on = p;
    part *q = xn_realloc(m->off, (size_t)m->n + 1, sizeof *q);
    if (q != NULL) m->off = q;
    if (p == NULL || q == NULL) {
        xn_free(on);
        xn_free(off);
        return xn_fail_memory(ctx, "the list of cubes", (size_t)(m->n + 1) * sizeof *p);
    }
    m->on[m->n] = (part){.path = on};
    m->off[m->n++] = (part){.path = off};
    return XANI_OK;
}

static xani_status find_pairs(xn_ctx *ctx, char *const *files, impl *m)
{
    for (int i = 0; files[i] != NULL; i++) {
        bool is_on = false;
        char *other = NULL, *own = NULL;
        XN_TRY(partner(ctx, files[i], &is_on, &other));
        own = xn_strdup(files[i]);
        if (own == NULL || other == NULL) {
            xn_free(own);
            xn_free(other);
            return xn_fail_memory(ctx, "a file name", strlen(files[i]));
        }
        if (access(other, F_OK) != 0) {
            xani_status st = xn_fail(ctx, XANI_ERR_INPUT, "%s: its laser-%s half %s is missing", files[i],
                                     is_on ? "off" : "on", other);
            xn_free(other);
            xn_free(own);
            return st;
        }
        XN_TRY(is_on ? add_pair(ctx, m, own, other) : add_pair(ctx, m, other, own));
    }
    return XANI_OK;
}

// ---- small datasets of one file

static xani_status read_vector(xn_ctx *ctx, const xn_h5 *h5, const char *dataset, int64_t bins, double **out)
{
    int64_t n = 0;
    XN_TRY(xn_h5_read_f64(ctx, h5, dataset, out, &n));
    if (n == bins) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has %lld entries, imgs %lld bins", xn_h5_path(h5), dataset,
                   (long long)n, (long long)bins);
}

static xani_status read_shape(xn_ctx *ctx, const xn_h5 *h5, bool off, part *p, xn_source *s)
{
    xn_h5_info info;
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, "imgs", &info));
    bool plane = off && info.rank == 2;
    if (info.is_group || !xn_is_number(info.type) || (info.rank != 3 && !plane) || info.size == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: imgs is %s %s; sums of frames (bin, y, x) are needed", p->path,
                       info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims));
    p->rank = info.rank;
    p->bins = plane ? 1 : info.dims[0];
    int64_t ny = info.dims[info.rank - 2], nx = info.dims[info.rank - 1];
    if (s->ny > 0 && (ny != s->ny || nx != s->nx))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: imgs has shape %s, the cubes before it (bin, %lld, %lld)", p->path,
                       xn_shape_text(shape, info.rank, info.dims), (long long)s->ny, (long long)s->nx);
    s->ny = ny;
    s->nx = nx;
    p->block = 1;
    if (info.chunked && !plane)
        p->block = xn_max64(1, xn_min64(xn_min64(info.chunk[0], p->bins), BLOCK_BYTES / (8 * ny * nx)));
    s->stored_bytes += info.size * (int64_t)xn_type_size(info.type);
    return XANI_OK;
}

static xani_status read_part(xn_ctx *ctx, bool off, const xn_delay_rule *rule, part *p, xn_source *s)
{
    xn_h5 *h5 = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(ctx, p->path, &h5));
    XN_GOTO(out, st, read_shape(ctx, h5, off, p, s));
    XN_GOTO(out, st, read_vector(ctx, h5, "i0", p->bins, &p->i0));
    const char *counts = xn_h5_exists(h5, "bin_counts") ? "bin_counts" : "bin_count"; // both spellings exist
    XN_GOTO(out, st, read_vector(ctx, h5, counts, p->bins, &p->count));
    for (int64_t b = 0; b < p->bins; b++)
        if (!isfinite(p->count[b]) || !isfinite(p->i0[b])) p->count[b] = p->i0[b] = 0.0;
    if (off) goto out;
    XN_GOTO(out, st, read_vector(ctx, h5, "scan_var", p->bins, &p->delay_ps));
    for (int64_t b = 0; b < p->bins; b++) {
        if (!isfinite(p->delay_ps[b])) {
            st = xn_fail(ctx, XANI_ERR_INPUT, "%s: scan_var of bin %lld is not a number", p->path, (long long)b);
            goto out;
        }
        p->delay_ps[b] = rule->sign * p->delay_ps[b] - rule->zero_ps;
    }
out:
    xn_h5_close(&h5);
    return st;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// All delays of all on files, ascending, each once.
static xani_status merge_delays(xn_ctx *ctx, impl *m)
{
    int64_t n = 0, kept = 0;
    for (int i = 0; i < m->n; i++) n += m->on[i].bins;
    if (n > INT32_MAX) return xn_fail(ctx, XANI_ERR_INPUT, "%s: too many bins", m->on[0].path);
    double *d = m->delay_ps = xn_alloc((size_t)n, sizeof *d);
    if (d == NULL) return xn_fail_memory(ctx, "the delays", (size_t)n * sizeof *d);
    n = 0;
    for (int i = 0; i < m->n; i++) {
        memcpy(d + n, m->on[i].delay_ps, (size_t)m->on[i].bins * sizeof *d);
        n += m->on[i].bins;
    }
    qsort(d, (size_t)n, sizeof *d, ascending);
    for (int64_t i = 0; i < n; i++)
        if (kept == 0 || d[i] - d[kept - 1] > SAME_DELAY_PS) d[kept++] = d[i];
    m->nbins = (int)kept;
    return XANI_OK;
}

static int bin_of(const impl *m, double delay_ps)
{
    int lo = 0, hi = m->nbins - 1; // the last bin whose delay is not above
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (m->delay_ps[mid] <= delay_ps)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo;
}

// ---- open

static void say_ignored(xn_ctx *ctx, const xn_config *config)
{
    static const char *const keys[] = {"input.i0",    "input.laser",      "input.frames", "select.time_tool",
                                       "select.cuts", "select.linearity", "select.use"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (xn_config_count(config, keys[i]) > 0)
            xn_warn(ctx, "%s is not used: cubes hold sums of shots selected before", keys[i]);
    if (xn_config_map_key(config, "select.i0", 0) != NULL)
        xn_warn(ctx, "select.i0 is not used: cubes hold sums of shots selected before");
}

static xani_status cube_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    xn_delay_rule rule;
    XN_TRY(xn_delay_rule_load(ctx, config, true, &rule));
    impl *m = s->impl = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "the source", sizeof *m);
    char **files = NULL;
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = find_pairs(ctx, files, m);
    xn_h5_names_free(files);
    for (int i = 0; st == XANI_OK && i < m->n; i++) {
        st = read_part(ctx, false, &rule, &m->on[i], s);
        if (st == XANI_OK) st = read_part(ctx, true, &rule, &m->off[i], s);
    }
    if (st != XANI_OK) return st;
    XN_TRY(merge_delays(ctx, m));
    s->type = XN_F64;
    s->cal.kind = XN_CAL_SCALE;
    s->cal.photons_per_unit = 1.0;
    XN_TRY(xn_modules_from_geometry(ctx, config, s));
    XN_TRY(xn_mask_load(ctx, config, m->on[0].path, s));
    say_ignored(ctx, config);
    if (m->n > 1) xn_note(ctx, "%d cubes are added to one (%s, ...)", m->n, m->on[0].path);
    return XANI_OK;
}

static void cube_close(xn_source *s)
{
    impl *m = s->impl;
    if (m == NULL) return;
    for (int i = 0; i < m->n; i++) {
        part *both[2] = {&m->on[i], &m->off[i]};
        for (int k = 0; k < 2; k++) {
            void *all[] = {both[k]->path, both[k]->delay_ps, both[k]->i0, both[k]->count};
            for (int j = 0; j < 4; j++) xn_free(all[j]);
        }
    }
    xn_free(m->on);
    xn_free(m->off);
    xn_free(m->delay_ps);
    xn_free(m);
    s->impl = NULL;
}

// ---- the sums

typedef struct {
    xn_ctx *ctx;
    impl *m;
    xn_cube *cube;
    size_t plane;  // pixels
    double *block; // planes as read
    int64_t used_on, used_off, done, total;
} adder;

// Adds the plane to sum; pixels that are no number are masked. False: no pixel is one, nothing was added.
static bool add_plane(adder *a, const double *one, double *sum)
{
    size_t numbers = 0;
    for (size_t i = 0; i < a->plane; i++) numbers += isfinite(one[i]) != 0;
    if (numbers == 0) return false;
    for (size_t i = 0; i < a->plane; i++) {
        if (isfinite(one[i]))
            sum[i] += one[i];
        else
            a->cube->mask[i] |= XN_PIXEL_UNDEFINED;
    }
    return true;
}

static void add_bin(adder *a, const part *p, bool off, int64_t b, const double *one)
{
    xn_cube *c = a->cube;
    if (!(p->count[b] > 0.0 && p->i0[b] > 0.0)) return;
    int bin = off ? 0 : bin_of(a->m, p->delay_ps[b]);
    if (!add_plane(a, one, off ? c->off_float : c->on_float + (size_t)bin * a->plane)) return;
    *(off ? &c->off_i0 : &c->on_i0[bin]) += p->i0[b];
    *(off ? &c->off_count : &c->on_count[bin]) += p->count[b];
    *(off ? &a->used_off : &a->used_on) += 1;
}

static xani_status add_part(adder *a, const part *p, bool off)
{
    xn_h5 *h5 = NULL;
    xani_status st;
    XN_GOTO(out, st, xn_h5_open(a->ctx, p->path, &h5));
    for (int64_t b = 0; b < p->bins; b += p->block) {
        int64_t n = xn_min64(p->block, p->bins - b);
        xn_progress(a->ctx, "cube", a->done, a->total, "bins");
        XN_GOTO(out, st, xn_check_interrupt(a->ctx));
        XN_GOTO(out, st, xn_h5_read_rows(a->ctx, h5, "imgs", XN_F64, b, p->rank == 2 ? a->cube->ny : n, a->block));
        for (int64_t i = 0; i < n; i++) add_bin(a, p, off, b + i, a->block + (size_t)i * a->plane);
        a->done += n;
    }
out:
    xn_h5_close(&h5);
    return st;
}

static xani_status allocate(xn_ctx *ctx, const impl *m, const xn_source *s, xn_cube *c)
{
    size_t plane = (size_t)(s->ny * s->nx), bins = (size_t)m->nbins;
    memset(c, 0, sizeof *c);
    c->nbins = m->nbins;
    c->ny = s->ny;
    c->nx = s->nx;
    c->spatial_bin = 1;
    c->n_modules = s->n_modules;
    c->time_resolution_ps = NAN;
    c->module_rows = xn_alloc((size_t)s->n_modules, sizeof *c->module_rows);
    c->delay_ps = xn_alloc(bins, sizeof *c->delay_ps);
    c->mask = xn_alloc(plane, sizeof *c->mask);
    c->on_float = xn_calloc(bins * plane, sizeof *c->on_float);
    c->off_float = xn_calloc(plane, sizeof *c->off_float);
    c->on_i0 = xn_calloc(bins, sizeof *c->on_i0);
    c->on_count = xn_calloc(bins, sizeof *c->on_count);
    if (!c->module_rows || !c->delay_ps || !c->mask || !c->on_float || !c->off_float || !c->on_i0 || !c->on_count)
        return xn_fail_memory(ctx, "the cube", (bins + 1) * plane * sizeof *c->on_float);
    memcpy(c->module_rows, s->module_rows, (size_t)s->n_modules * sizeof *c->module_rows);
    memcpy(c->delay_ps, m->delay_ps, bins * sizeof *c->delay_ps);
    memcpy(c->mask, s->mask, plane * sizeof *c->mask);
    return XANI_OK;
}

static xani_status cube_read(xn_ctx *ctx, xn_source *s, xn_cube *c)
{
    impl *m = s->impl;
    adder a = {.ctx = ctx, .m = m, .cube = c, .plane = (size_t)(s->ny * s->nx)};
    size_t planes = 1;
    for (int i = 0; i < m->n; i++) {
        a.total += m->on[i].bins + m->off[i].bins;
        planes = (size_t)xn_max64((int64_t)planes, xn_max64(m->on[i].block, m->off[i].block));
    }
    xani_status st = allocate(ctx, m, s, c);
    if (st == XANI_OK && (a.block = xn_alloc(planes * a.plane, sizeof *a.block)) == NULL)
        st = xn_fail_memory(ctx, "planes of the cube", planes * a.plane * sizeof *a.block);
    for (int i = 0; st == XANI_OK && i < m->n; i++) {
        st = add_part(&a, &m->on[i], false);
        if (st == XANI_OK) st = add_part(&a, &m->off[i], true);
    }
    xn_free(a.block);
    if (st == XANI_OK) xn_progress(ctx, "cube", a.total, a.total, "bins");
    if (st == XANI_OK && a.used_off == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no laser-off shots: every bin is empty", m->off[0].path);
    if (st == XANI_OK && a.used_on == 0)
        st =
            xn_fail(ctx, XANI_ERR_INPUT, "%s: every bin is empty (bin_counts or i0 are 0, or imgs NaN)", m->on[0].path);
    if (st != XANI_OK) xn_cube_free(c);
    return st;
}

static const xn_source_ops ops = {.layout = "cube", .open = cube_open, .close = cube_close, .read_cube = cube_read};

const xn_input_layout xn_layout_cube = {
    .ops = &ops,
    .files = "pairs run0001_on.h5, run0001_off.h5",
    .claims = xn_cube_claims,
    .facts = xn_cube_facts_read,
};
