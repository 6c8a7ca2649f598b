// SPDX-License-Identifier: BSD-3-Clause
// binned.c -- sums of several cubes added up: see binned.h.
//
// Images, monitor and counts are sums, so cubes of one experiment are combined by adding what is the same bin (bins.c),
// and all bins of laser-off parts make one reference.  An empty bin (count or monitor 0, or no number in its plane)
// counts as nothing.  A pixel that is no number in any bin that is not empty is masked.  Bins come out in ascending
// order.
#include "source/binned/binned.h"

#include <math.h>
#include <string.h>

#include "io/array.h"

#define BLOCK_BYTES ((int64_t)256 << 20) // chunks that hold many rows are decoded once when they fit into this

// ---- parts

xn_binned_part *xn_binned_add(xn_ctx *ctx, const char *path, const char *dataset, bool off, xn_binned *b)
{
    xn_binned_part *p = xn_realloc(b->part, (size_t)b->n + 1, sizeof *p);
    char *own = xn_strdup(path), *name = xn_strdup(dataset);
    if (p != NULL) b->part = p;
    if (p == NULL || own == NULL || name == NULL) {
        xn_free(own);
        xn_free(name);
        (void)xn_fail_memory(ctx, "the list of cubes", (size_t)(b->n + 1) * sizeof *p);
        return NULL;
    }
    p[b->n] = (xn_binned_part){.path = own, .dataset = name, .off = off};
    return &p[b->n++];
}

// Bytes in the file; where they lie in a way that cannot be told, those of its numbers.
static xani_status add_stored(xn_ctx *ctx, const xn_binned_part *p, const xn_h5_info *info, xn_source *s)
{
    xn_array *a = NULL;
    const xn_array_options how = {.fill = true};
    const char *path = p->path;
    xani_status st = xn_array_open(ctx, &path, 1, p->dataset, &how, &a);
    if (st == XANI_ERR_MEMORY || st == XANI_INTERRUPTED) return st;
    if (st != XANI_OK) xn_clear_error(ctx);
    s->stored_bytes += a != NULL ? xn_array_get_info(a)->stored_bytes : info->size * (int64_t)xn_type_size(info->type);
    xn_array_close(&a);
    return XANI_OK;
}

xani_status xn_binned_shape(xn_ctx *ctx, const xn_h5 *h5, int lead, xn_binned_part *p, xn_source *s)
{
    xn_h5_info info;
    char shape[128];
    XN_TRY(xn_h5_info_get(ctx, h5, p->dataset, &info));
    int axes = info.is_group ? 0 : info.rank - lead;
    if (!xn_is_number(info.type) || axes < 2 || axes > 3 || info.size == 0)
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is %s %s; sums of frames (bin, y, x) are needed", p->path,
                       p->dataset, info.is_group ? "a group" : xn_type_name(info.type),
                       xn_shape_text(shape, info.is_group ? 0 : info.rank, info.dims));
    int64_t modules = axes == 3 ? info.dims[lead] : 1;
    int64_t ny = modules * info.dims[info.rank - 2], nx = info.dims[info.rank - 1], bins = 1;
    if (s->ny > 0 && (ny != s->ny || nx != s->nx))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: %s has shape %s, the cubes before it (bin, %lld, %lld)", p->path,
                       p->dataset, xn_shape_text(shape, info.rank, info.dims), (long long)s->ny, (long long)s->nx);
    s->ny = ny;
    s->nx = nx;
    if (modules > 1 && s->module_rows == NULL) XN_TRY(xn_modules_set(ctx, s, (int)modules, info.dims[info.rank - 2]));
    for (int k = 0; k < lead; k++) bins *= info.dims[k];
    p->bins = bins;
    p->per_row = lead > 0 ? bins / info.dims[0] : 0;
    p->plane_rows = info.dims[0];
    p->block = 1;
    if (info.chunked && lead > 0)
        p->block =
            xn_max64(1, xn_min64(xn_min64(info.chunk[0], info.dims[0]), BLOCK_BYTES / (8 * p->per_row * ny * nx)));
    return add_stored(ctx, p, &info, s);
}

// ---- the sums

typedef struct {
    xn_ctx *ctx;
    const xn_binned *b;
    xn_cube *cube;
    size_t plane;  // pixels
    double *block; // planes as read
    int64_t used_on, used_off, done, total;
    int64_t blank; // bins with shots, without a number in their plane
    double blank_shots;
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

static void add_bin(adder *a, const xn_binned_part *p, int64_t b, const double *one)
{
    xn_cube *c = a->cube;
    if (!(p->count[b] > 0.0 && p->i0[b] > 0.0)) return;
    int bin = p->off ? 0 : p->bin[b];
    if (!add_plane(a, one, p->off ? c->off_float : c->on_float + (size_t)bin * a->plane)) {
        a->blank++;
        a->blank_shots += p->count[b];
        return;
    }
    *(p->off ? &a->used_off : &a->used_on) += 1;
    if (p->off) {
        c->off_i0 += p->i0[b];
        c->off_count += p->count[b];
        return;
    }
    // the mean moves by its share, so that equal delays stay what they are
    double delay = p->delay_ps != NULL ? p->delay_ps[b] : p->place_ps[b];
    c->on_i0[bin] += p->i0[b];
    c->on_count[bin] += p->count[b];
    double before = c->on_count[bin] > p->count[b] ? c->delay_ps[bin] : delay;
    c->delay_ps[bin] = before + (delay - before) * (p->count[b] / c->on_count[bin]);
}

static xani_status add_part(adder *a, const xn_binned_part *p)
{
    xn_h5 *h5 = NULL;
    xani_status st;
    int64_t per_row = xn_max64(p->per_row, 1), rows = p->bins / per_row;
    XN_GOTO(out, st, xn_h5_open(a->ctx, p->path, &h5));
    for (int64_t r = 0; r < rows; r += p->block) {
        int64_t n = xn_min64(p->block, rows - r);
        xn_progress(a->ctx, "cube", a->done, a->total, "bins");
        XN_GOTO(out, st, xn_check_interrupt(a->ctx));
        int64_t count = p->per_row == 0 ? p->plane_rows : n;
        XN_GOTO(out, st, xn_h5_read_rows(a->ctx, h5, p->dataset, XN_F64, r, count, a->block));
        for (int64_t i = 0; i < n * per_row; i++) add_bin(a, p, r * per_row + i, a->block + (size_t)i * a->plane);
        a->done += n * per_row;
    }
out:
    xn_h5_close(&h5);
    return st;
}

static xani_status allocate(xn_ctx *ctx, const xn_binned *b, const xn_source *s, xn_cube *c)
{
    size_t plane = (size_t)(s->ny * s->nx), bins = (size_t)b->nbins;
    memset(c, 0, sizeof *c);
    c->nbins = b->nbins;
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
    memcpy(c->delay_ps, b->place_ps, bins * sizeof *c->delay_ps); // of the empty ones it stays
    memcpy(c->mask, s->mask, plane * sizeof *c->mask);
    return XANI_OK;
}

// What every frame has on top, as often as frames were added.
static void subtract_background(const xn_binned *b, size_t plane, xn_cube *c)
{
    if (b->background == NULL) return;
    for (int bin = 0; bin < c->nbins; bin++)
        for (size_t i = 0; i < plane; i++) c->on_float[(size_t)bin * plane + i] -= c->on_count[bin] * b->background[i];
    for (size_t i = 0; i < plane; i++) c->off_float[i] -= c->off_count * b->background[i];
}

static const xn_binned_part *first_of(const xn_binned *b, bool off)
{
    int i = 0;
    while (i + 1 < b->n && b->part[i].off != off) i++;
    return &b->part[i];
}

xani_status xn_binned_read(xn_ctx *ctx, xn_source *s, xn_cube *c)
{
    const xn_binned *b = s->impl;
    adder a = {.ctx = ctx, .b = b, .cube = c, .plane = (size_t)(s->ny * s->nx)};
    size_t planes = 1;
    for (int i = 0; i < b->n; i++) {
        a.total += b->part[i].bins;
        planes = (size_t)xn_max64((int64_t)planes, b->part[i].block * b->part[i].per_row);
    }
    xani_status st = allocate(ctx, b, s, c);
    if (st == XANI_OK && (a.block = xn_alloc(planes * a.plane, sizeof *a.block)) == NULL)
        st = xn_fail_memory(ctx, "planes of the cube", planes * a.plane * sizeof *a.block);
    for (int i = 0; st == XANI_OK && i < b->n; i++) st = add_part(&a, &b->part[i]);
    if (st == XANI_OK && a.blank > 0)
        xn_warn(ctx, "%s: %s is no number in any pixel of %lld bins with shots: their %.10g shots are left out",
                b->part[0].path, b->part[0].dataset, (long long)a.blank, a.blank_shots);
    xn_free(a.block);
    if (st == XANI_OK) subtract_background(b, a.plane, c);
    if (st == XANI_OK) xn_progress(ctx, "cube", a.total, a.total, "bins");
    if (st == XANI_OK && a.used_off == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: no laser-off shots: every bin is empty", first_of(b, true)->path);
    if (st == XANI_OK && a.used_on == 0)
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: every bin is empty (counts or monitor are 0, or %s NaN)",
                     first_of(b, false)->path, first_of(b, false)->dataset);
    if (st != XANI_OK) xn_cube_free(c);
    return st;
}

// ---- the source

// What its bins hold. Bins with shots but without an I0 to divide by are told and count as empty.
static void settle_part(xn_ctx *ctx, xn_binned_part *p, xn_binned_facts *facts)
{
    int64_t filled = 0, bare = 0;
    double lost = 0.0;
    for (int64_t b = 0; b < p->bins; b++) {
        const double n = p->count[b], i0 = p->i0[b];
        const bool any = isfinite(n) && n > 0.0, whole = any && isfinite(i0) && i0 > 0.0;
        filled += any;
        bare += any && !whole;
        if (any) *(p->off ? &facts->off : &facts->on) += n;
        if (whole) *(p->off ? &facts->off_used : &facts->on_used) += n;
        if (any && !whole) lost += n;
        if (!whole) p->count[b] = p->i0[b] = 0.0;
    }
    facts->bytes += p->bins;
    if (bare > 0)
        xn_warn(ctx,
                "%s: I0 is 0, negative or no number in %lld of %lld bins with shots: their %.10g shots are left out",
                p->path, (long long)bare, (long long)filled, lost);
}

static xani_status settle(xn_ctx *ctx, xn_binned *b, xn_source *s)
{
    const int64_t plane = s->ny * s->nx * (int64_t)sizeof(double);
    s->binned = (xn_binned_facts){.bins = b->nbins};
    for (int i = 0; i < b->n; i++) {
        settle_part(ctx, &b->part[i], &s->binned);
        s->binned.block_bytes =
            xn_max64(s->binned.block_bytes, xn_max64(1, b->part[i].block * b->part[i].per_row) * plane);
    }
    s->binned.bytes *= plane;
    b->shots = xn_calloc((size_t)b->nbins + 1, sizeof *b->shots);
    if (b->shots == NULL) return xn_fail_memory(ctx, "the bins", (size_t)b->nbins * sizeof *b->shots);
    for (int i = 0; i < b->n; i++)
        for (int64_t k = 0; !b->part[i].off && k < b->part[i].bins; k++)
            b->shots[b->part[i].bin[k]] += b->part[i].count[k];
    s->binned.delay_ps = b->place_ps;
    s->binned.shots = b->shots;
    return XANI_OK;
}

// Before any plane is read, so that `xani check` finds it too.
static xani_status check_used(xn_ctx *ctx, const xn_binned *b, const xn_source *s)
{
    if (!(s->binned.off_used > 0.0))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: no laser-off shots: every bin is empty or has no I0",
                       first_of(b, true)->path);
    if (!(s->binned.on_used > 0.0))
        return xn_fail(ctx, XANI_ERR_INPUT, "%s: every bin is empty or has no I0", first_of(b, false)->path);
    return XANI_OK;
}

xani_status xn_binned_start(xn_ctx *ctx, xn_source *s, xn_binned **b)
{
    *b = s->impl = xn_calloc(1, sizeof **b);
    return *b != NULL ? XANI_OK : xn_fail_memory(ctx, "the source", sizeof **b);
}

xani_status xn_binned_finish(xn_ctx *ctx, const xn_config *config, const char *const *used, xn_source *s)
{
    xn_binned *b = s->impl;
    XN_TRY(xn_binned_join(ctx, b));
    s->type = XN_F64;
    s->cal.kind = XN_CAL_SCALE;
    s->cal.photons_per_unit = 1.0;
    XN_TRY(xn_binned_grouping(ctx, config, s));
    XN_TRY(xn_mask_load(ctx, config, b->part[0].path, s));
    xn_binned_say_ignored(ctx, config, used);
    XN_TRY(settle(ctx, b, s));
    return check_used(ctx, b, s);
}

xani_status xn_binned_probe(xn_ctx *ctx, xn_source *s, double *seconds)
{
    const xn_binned *b = s->impl;
    const xn_binned_part *p = &b->part[0];
    const int64_t rows = p->per_row == 0 ? p->plane_rows : p->block, planes = xn_max64(1, p->block * p->per_row);
    const size_t numbers = (size_t)(planes * s->ny * s->nx);
    xn_h5 *h5 = NULL;
    double *block = xn_alloc(numbers, sizeof *block), start = xn_seconds();
    xani_status st = block != NULL ? XANI_OK : xn_fail_memory(ctx, "planes of the cube", numbers * sizeof *block);
    if (st == XANI_OK) st = xn_h5_open(ctx, p->path, &h5);
    if (st == XANI_OK) st = xn_h5_read_rows(ctx, h5, p->dataset, XN_F64, 0, rows, block);
    *seconds = (xn_seconds() - start) * (double)s->binned.bytes / (double)(numbers * sizeof *block);
    xn_h5_close(&h5);
    xn_free(block);
    return st;
}

void xn_binned_close(xn_source *s)
{
    xn_binned *b = s->impl;
    for (int i = 0; b != NULL && i < b->n; i++) {
        xn_binned_part *p = &b->part[i];
        void *all[] = {p->path, p->dataset, p->place_ps, p->delay_ps, p->bin, p->i0, p->count};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) xn_free(all[k]);
    }
    if (b != NULL) xn_free(b->part);
    if (b != NULL) xn_free(b->place_ps);
    if (b != NULL) xn_free(b->shots);
    if (b != NULL) xn_free(b->background);
    xn_free(b);
    s->impl = NULL;
}
