// SPDX-License-Identifier: BSD-3-Clause
// geometry.c -- panels to a position for each pixel, grouping, momentum transfer.
//
// The pixel map has the shape of a stored frame, modules stacked along y.  Panels whose rows touch or overlap
// (chips side by side) belong to one module; where the file names a stacking axis, each index of it is a module.
// Positions are single precision: 3e-8 m at half a metre, a thousandth of a pixel and less.
#include "physics/geometry.h"

#include <math.h>
#include <string.h>

#include "physics/panel.h"

#define MOST_PIXELS INT64_C(4000000000) // a hundred times today's largest; a damaged file must not take all memory
#define SLANT 0.05                      // cosine of the least angle between fast and slow scan

void xn_panels_free(xn_panels *p)
{
    xn_free(p->panel);
    xn_free(p->bad);
    memset(p, 0, sizeof *p);
}

xn_panel *xn_panels_add(xn_ctx *ctx, xn_panels *p)
{
    if ((p->n & (p->n - 1)) == 0) { // grows at powers of two
        size_t room = p->n > 0 ? 2 * (size_t)p->n : 1;
        void *more = xn_realloc(p->panel, room, sizeof *p->panel);
        if (more == NULL) {
            (void)xn_fail_memory(ctx, "panels", room * sizeof *p->panel);
            return NULL;
        }
        p->panel = more;
    }
    xn_panel *panel = &p->panel[p->n++];
    *panel = (xn_panel){.plane = -1};
    return panel;
}

void xn_geometry_free(xn_geometry *g)
{
    xn_free(g->module_rows);
    xn_free(g->position);
    xn_free(g->bad);
    memset(g, 0, sizeof *g);
}

xani_status xn_geometry_allocate(xn_ctx *ctx, xn_geometry *g)
{
    size_t n = (size_t)g->ny * (size_t)g->nx;
    if (!g->frame_only) g->position = xn_alloc(3 * n, sizeof *g->position);
    g->bad = xn_alloc(n, 1);
    g->module_rows = xn_calloc((size_t)g->n_modules, sizeof *g->module_rows);
    if ((g->position == NULL && !g->frame_only) || g->bad == NULL || g->module_rows == NULL)
        return xn_fail_memory(ctx, "pixel positions", n * (g->frame_only ? 1 : 13));
    for (size_t i = 0; i < 3 * n && !g->frame_only; i++) g->position[i] = NAN;
    memset(g->bad, XN_GEOMETRY_GAP, n);
    return XANI_OK;
}

// ---- panels

// Boxes in fs and ss of this panel, a row at a time.
static void mark_panel_regions(const xn_panels *p, const xn_panel *panel, int64_t first_row, xn_geometry *g)
{
    for (int i = 0; i < p->n_bad; i++) {
        const xn_bad_region *b = &p->bad[i];
        if (b->lab || (b->panel[0] != '\0' && strcmp(b->panel, panel->name) != 0)) continue;
        double fs0 = fmax(ceil(b->lo[0]), (double)panel->min_fs), fs1 = fmin(floor(b->hi[0]), (double)panel->max_fs);
        double ss0 = fmax(ceil(b->lo[1]), (double)panel->min_ss), ss1 = fmin(floor(b->hi[1]), (double)panel->max_ss);
        if (!(fs0 <= fs1)) continue;
        for (int64_t ss = (int64_t)ss0; (double)ss <= ss1; ss++)
            memset(g->bad + (first_row + ss) * g->nx + (int64_t)fs0, XN_GEOMETRY_BAD, (size_t)(fs1 - fs0) + 1);
    }
}

static bool in_lab_region(const xn_panels *p, const xn_panel *panel, const double r[3])
{
    double x = r[0] * panel->res, y = r[1] * panel->res;
    for (int i = 0; i < p->n_bad; i++) {
        const xn_bad_region *b = &p->bad[i];
        if (b->lab && (b->panel[0] == '\0' || strcmp(b->panel, panel->name) == 0) && x >= b->lo[0] && x <= b->hi[0] &&
            y >= b->lo[1] && y <= b->hi[1])
            return true;
    }
    return false;
}

// Returns how many of its pixels another panel has too, the first at row and column `at`: these are masked.
static int64_t place_panel(const xn_panels *p, const xn_panel *panel, int64_t first_row, bool lab, xn_geometry *g,
                           int64_t at[2])
{
    int64_t shared = 0;
    for (int64_t ss = panel->min_ss; ss <= panel->max_ss; ss++) {
        double j = (double)(ss - panel->min_ss) + 0.5, shift = (ss - panel->min_ss) % 2 == 1 ? panel->odd_shift : 0.0;
        j += (ss == panel->max_ss ? panel->wide[3] : 0.0) - (ss == panel->min_ss ? panel->wide[2] : 0.0);
        for (int64_t fs = panel->min_fs; fs <= panel->max_fs; fs++) {
            double i = (double)(fs - panel->min_fs) + 0.5 + shift, r[3];
            i += (fs == panel->max_fs ? panel->wide[1] : 0.0) - (fs == panel->min_fs ? panel->wide[0] : 0.0);
            int64_t pixel = (first_row + ss) * g->nx + fs;
            const bool taken = g->bad[pixel] == 0 && !panel->unused;
            if (taken && shared++ == 0) at[0] = ss, at[1] = fs;
            for (int k = 0; k < 3; k++) {
                r[k] = panel->corner[k] + i * panel->fs[k] + j * panel->ss[k];
                if (g->position != NULL) g->position[3 * pixel + k] = (float)r[k];
            }
            g->bad[pixel] = taken || panel->unused || (lab && in_lab_region(p, panel, r)) ? XN_GEOMETRY_BAD : 0;
        }
    }
    mark_panel_regions(p, panel, first_row, g);
    return shared;
}

// Number of modules: a new one begins where no panel spans the border above the row (inner[row] = 0).
static int find_modules(const xn_panels *p, int64_t ny, uint8_t *inner)
{
    memset(inner, 0, (size_t)ny);
    for (int i = 0; i < p->n; i++)
        for (int64_t r = p->panel[i].min_ss + 1; r <= p->panel[i].max_ss; r++) inner[r] = 1;
    int n = 0;
    for (int64_t r = 0; r < ny; r++) n += !inner[r];
    return n;
}

static int64_t first_row(const xn_panel *panel, int64_t rows) { return panel->plane > 0 ? panel->plane * rows : 0; }

// Pixels are rectangles: refined directions are off by thousandths, not parallel nor of no length.
static xani_status check_directions(xn_ctx *ctx, const xn_panel *panel)
{
    double ff = 0.0, ss = 0.0, fs = 0.0;
    for (int k = 0; k < 3; k++) {
        ff += panel->fs[k] * panel->fs[k];
        ss += panel->ss[k] * panel->ss[k];
        fs += panel->fs[k] * panel->ss[k];
    }
    if (ff > 0.0 && ss > 0.0 && fabs(fs) < SLANT * sqrt(ff * ss)) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_CONFIG, "panel %s: fast and slow directions are not at right angles", panel->name);
}

// A pixel has one place: what two panels claim is placed wrongly by one of them, unless the file does not use it. Some
// files have bounds that are one too far: such an edge is masked. More than that is another mistake.
static xani_status place_panels(xn_ctx *ctx, const xn_panels *p, int64_t rows, bool lab, xn_geometry *g)
{
    for (int i = 0; i < p->n; i++) {
        const xn_panel *panel = &p->panel[i];
        int64_t at[2] = {0, 0};
        XN_TRY(check_directions(ctx, panel));
        const int64_t shared = place_panel(p, panel, first_row(panel, rows), lab, g, at);
        if (shared == 0) continue;
        const xn_panel *other = p->panel;
        while (other->unused || other->plane != panel->plane || at[0] < other->min_ss || at[0] > other->max_ss ||
               at[1] < other->min_fs || at[1] > other->max_fs)
            other++; // ends at the panel itself
        if (shared > xn_max64(panel->max_fs - panel->min_fs, panel->max_ss - panel->min_ss) + 1)
            return xn_fail(ctx, XANI_ERR_CONFIG, "panels %s and %s both have the pixel in row %lld, column %lld",
                           other->name, panel->name, (long long)at[0], (long long)at[1]);
        xn_warn(ctx, "geometry: panels %s and %s both have %lld pixels, from row %lld, column %lld: they are masked",
                other->name, panel->name, (long long)shared, (long long)at[0], (long long)at[1]);
    }
    return XANI_OK;
}

xani_status xn_geometry_from_panels(xn_ctx *ctx, const xn_panels *p, xn_geometry *g)
{
    int64_t rows = 1, columns = 1, planes = 0;
    bool lab = false;
    for (int i = 0; i < p->n; i++) {
        columns = xn_max64(columns, p->panel[i].max_fs + 1);
        rows = xn_max64(rows, p->panel[i].max_ss + 1);
        planes = xn_max64(planes, p->panel[i].plane + 1);
    }
    for (int i = 0; i < p->n_bad; i++) lab = lab || p->bad[i].lab;
    memset(g, 0, sizeof *g);
    if (rows > MOST_PIXELS / columns || (planes > 0 && rows * columns > MOST_PIXELS / planes))
        return xn_fail(ctx, XANI_ERR_CONFIG, "%lld x %lld pixels in %lld modules are no detector", (long long)rows,
                       (long long)columns, (long long)xn_max64(1, planes));
    g->nx = columns;
    g->ny = planes > 0 ? planes * rows : rows;
    g->energy_kev = p->energy_kev;
    g->distance_m = p->distance_m;
    g->assumed = p->assumed;
    g->frame_only = p->frame_only;
    g->pixel_m = g->pixels_m[0] = g->pixels_m[1] = 1.0 / p->panel[0].res;
    for (int i = 1; i < p->n; i++) {
        g->pixels_m[0] = fmin(g->pixels_m[0], 1.0 / p->panel[i].res);
        g->pixels_m[1] = fmax(g->pixels_m[1], 1.0 / p->panel[i].res);
    }
    uint8_t *inner = xn_alloc((size_t)rows, 1);
    if (inner == NULL) return xn_fail_memory(ctx, "detector rows", (size_t)rows);
    int found = find_modules(p, rows, inner);
    g->n_modules = planes > 0 ? (int)planes : found;
    xani_status st = xn_geometry_allocate(ctx, g);
    if (st == XANI_OK) {
        int m = -1;
        for (int64_t r = 0; planes == 0 && r < rows; r++) g->module_rows[m += !inner[r]]++;
        for (int i = 0; i < planes; i++) g->module_rows[i] = rows;
        st = place_panels(ctx, p, rows, lab, g);
    }
    xn_free(inner);
    if (st != XANI_OK) xn_geometry_free(g);
    return st;
}

// ---- groups of pixels

xani_status xn_geometry_group(xn_ctx *ctx, const xn_geometry *g, int bin, float **position, int64_t *gy, int64_t *gx)
{
    *gx = g->nx / bin;
    *gy = 0;
    for (int m = 0; m < g->n_modules; m++) *gy += g->module_rows[m] / bin;
    *position = xn_alloc((size_t)(*gy * *gx) * 3, sizeof **position);
    if (*position == NULL) return xn_fail_memory(ctx, "grouped pixel positions", (size_t)(*gy * *gx) * 12);
    float *out = *position;
    int64_t top = 0;
    for (int m = 0; m < g->n_modules; top += g->module_rows[m++])
        for (int64_t y = 0; y < g->module_rows[m] / bin; y++)
            for (int64_t x = 0; x < *gx; x++, out += 3) {
                double sum[3] = {0.0, 0.0, 0.0};
                int n = 0;
                for (int j = 0; j < bin; j++)
                    for (int i = 0; i < bin; i++) {
                        const float *r = g->position + 3 * ((top + y * bin + j) * g->nx + x * bin + i);
                        if (isnan(r[0])) continue;
                        for (int k = 0; k < 3; k++) sum[k] += (double)r[k];
                        n++;
                    }
                for (int k = 0; k < 3; k++) out[k] = n > 0 ? (float)(sum[k] / n) : NAN;
            }
    return XANI_OK;
}
