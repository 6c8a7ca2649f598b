// SPDX-License-Identifier: BSD-3-Clause
// volume.c -- the folded volume: oscillating intensity against hkl and frequency, with coverage.
//
// Voxels divide the bounding box of the first zone, in conventional units, so the zone centre is the centre of a
// voxel when their number is odd.  A voxel's spectrum is the sum of A^2 times a Lorentzian of area 1 over the modes
// of its samples, divided by the number of samples looked at (coverage), so that it does not grow with exposure;
// half width at half maximum: the largest of sigma_nu, the damping's width in nu, one frequency bin (science.md 12).
// No symmetry is applied: the oscillation depends on G and the pump, only nu(q) has the symmetry of the lattice.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "map/parts.h"

#define VOXELS_PER_ZONE 32      // along the cube root of the zone's volume: 0.05 * 2 pi/a for an fcc crystal
#define MOST_CELLS (32LL << 20) // of (h, k, l, frequency) by default: 128 MiB
#define FREQUENCIES 128
#define ROUNDS 200

// Odd number of voxels of edge `step` across a box of half width `half` (hkl) along axis i.
static int64_t voxels_along(const xn_lattice *l, int i, double half, double step)
{
    double n = ceil(2.0 * half * xn_lattice_axis_inv_ang(l, i) / step - 1e-9);
    return n < 1.0 ? 1 : n > 4096.0 ? 4097 : (int64_t)n | 1;
}

static xani_status choose_shape(xn_ctx *ctx, const xn_config *config, const xn_scene *s, const double half[3],
                                int64_t shape[3])
{
    double given[3], step = xn_config_double(config, "map.grid.step_inv_ang");
    bool by_shape = xn_config_has(config, "map.grid.shape"), by_step = !isnan(step);
    if (by_shape) xn_config_doubles(config, "map.grid.shape", given, 3);
    if (!by_step) step = s->zone_scale / VOXELS_PER_ZONE;
    bool fits = false;
    while (!fits) {
        for (int i = 0; i < 3; i++)
            shape[i] = by_shape ? (int64_t)given[i] : voxels_along(&s->lattice, i, half[i], step);
        fits = by_shape || by_step || shape[0] * shape[1] * shape[2] * FREQUENCIES <= MOST_CELLS;
        step *= 1.25;
    }
    double gib = (double)shape[0] * (double)shape[1] * (double)shape[2] * FREQUENCIES * sizeof(float) / 0x1p30;
    double budget = xn_config_memory(config) * 0x1p-30;
    if (gib > budget)
        return xn_config_bad(ctx, config, by_shape ? "map.grid.shape" : "map.grid.step_inv_ang",
                             "makes a volume of %lld x %lld x %lld voxels, %.3g GiB; %.3g GiB are allowed",
                             (long long)shape[0], (long long)shape[1], (long long)shape[2], gib, budget);
    return XANI_OK;
}

xani_status xn_volume_plan(xn_ctx *ctx, const xn_config *config, const xn_scene *s, xn_dispersion *d)
{
    double half[3];
    xn_lattice_zone_box(&s->lattice, half);
    XN_TRY(choose_shape(ctx, config, s, half, d->shape));
    d->shape[3] = FREQUENCIES;
    for (int i = 0; i < 3; i++) {
        d->axis[i] = xn_alloc((size_t)d->shape[i], sizeof *d->axis[i]);
        if (d->axis[i] == NULL) return xn_fail_memory(ctx, "an axis of the volume", (size_t)d->shape[i] * 8);
        for (int64_t j = 0; j < d->shape[i]; j++)
            d->axis[i][j] = half[i] * (double)(2 * j + 1 - d->shape[i]) / (double)d->shape[i];
    }
    size_t voxels = (size_t)(d->shape[0] * d->shape[1] * d->shape[2]);
    d->coverage = xn_calloc(voxels, sizeof *d->coverage);
    return d->coverage != NULL ? XANI_OK : xn_fail_memory(ctx, "the coverage of the volume", voxels * 4);
}

// Voxel of a folded hkl. The box is recovered from the outermost voxel centres.
static int64_t voxel_of(const xn_dispersion *d, const double hkl[3])
{
    int64_t index = 0;
    for (int i = 0; i < 3; i++) {
        int64_t n = d->shape[i];
        double half = n > 1 ? d->axis[i][n - 1] * (double)n / (double)(n - 1) : 1.0;
        int64_t j = (int64_t)floor((hkl[i] / half + 1.0) * 0.5 * (double)n);
        index = index * n + xn_max64(0, xn_min64(n - 1, j));
    }
    return index;
}

int64_t xn_volume_voxel(const xn_dispersion *d, const double *hkl, const int32_t *g)
{
    const double folded[3] = {hkl[0] - g[0], hkl[1] - g[1], hkl[2] - g[2]};
    return voxel_of(d, folded);
}

// Does a part of the voxel lie in the zone? Projections onto the worst of its half-spaces and onto the voxel in turn
// end in a common point where there is one (Agmon 1954). plane (n, 4): normal in hkl and distance.
static bool in_zone(const double (*plane)[4], int n, const double centre[3], const double half[3])
{
    double x[3];
    for (int k = 0; k < 3; k++) x[k] = fmax(centre[k] - half[k], fmin(centre[k] + half[k], 0.0));
    for (int round = 0; round < ROUNDS; round++) {
        double worst = 0.0;
        const double *most = NULL;
        for (int v = 0; v < n; v++) {
            const double *p = plane[v], reach = fabs(p[0]) * half[0] + fabs(p[1]) * half[1] + fabs(p[2]) * half[2];
            const double off = p[0] * x[0] + p[1] * x[1] + p[2] * x[2] - p[3];
            if (round == 0 && p[0] * centre[0] + p[1] * centre[1] + p[2] * centre[2] - reach > p[3]) return false;
            if (off > worst) worst = off, most = p;
        }
        if (most == NULL || worst < 1e-9) return true;
        const double step = worst / (most[0] * most[0] + most[1] * most[1] + most[2] * most[2]);
        for (int k = 0; k < 3; k++) x[k] = fmax(centre[k] - half[k], fmin(centre[k] + half[k], x[k] - step * most[k]));
    }
    return false;
}

void xn_volume_reach(const xn_scene *s, xn_dispersion *d)
{
    const int64_t *n = d->shape, voxels = n[0] * n[1] * n[2];
    const xn_lattice *l = &s->lattice;
    double half[3], plane[sizeof s->lattice.voronoi / sizeof s->lattice.voronoi[0]][4];
    int64_t inside = 0;
    xn_lattice_zone_box(l, half);
    for (int k = 0; k < 3; k++) half[k] *= (1.0 - 1e-6) / (double)n[k]; // what only touches the zone is not in it
    for (int v = 0; v < l->n_voronoi; v++) {
        for (int k = 0; k < 3; k++)
            plane[v][k] = l->voronoi[v][0] * l->b[k] + l->voronoi[v][1] * l->b[3 + k] + l->voronoi[v][2] * l->b[6 + k];
        plane[v][3] = 0.5 * l->voronoi_sq[v];
    }
#pragma omp parallel for schedule(static) num_threads(s->threads) reduction(+ : inside)
    for (int64_t i = 0; i < voxels; i++) {
        const double centre[3] = {d->axis[0][i / n[2] / n[1]], d->axis[1][i / n[2] % n[1]], d->axis[2][i % n[2]]};
        inside += d->coverage[i] > 0 || in_zone((const double(*)[4])plane, l->n_voronoi, centre, half);
    }
    d->zone_voxels = inside;
}

void xn_volume_count(const xn_scene *s, const xn_view *v, xn_dispersion *d)
{
#pragma omp parallel for schedule(static) num_threads(s->threads)
    for (int64_t i = 0; i < v->n; i++) {
        if (!v->seen[i]) continue;
        int64_t voxel = xn_volume_voxel(d, v->hkl + 3 * i, v->g + 3 * i);
#pragma omp atomic update
        d->coverage[voxel]++;
    }
}

xani_status xn_frequency_axis(xn_ctx *ctx, double top_thz, int64_t n, double **axis)
{
    *axis = xn_alloc((size_t)n, sizeof **axis);
    if (*axis == NULL) return xn_fail_memory(ctx, "a frequency axis", (size_t)n * 8);
    for (int64_t i = 0; i < n; i++) (*axis)[i] = top_thz * ((double)i + 0.5) / (double)n;
    return XANI_OK;
}

void xn_lorentzian_add(const double *axis, int64_t n, double nu, double width, double area, double *sum)
{
    double w = fmax(width, n > 1 ? axis[1] - axis[0] : 0.0), scale = area * w / M_PI;
    for (int64_t i = 0; i < n; i++) sum[i] += scale / ((axis[i] - nu) * (axis[i] - nu) + w * w);
}

// Points sorted by voxel (counting sort, so in their own order inside a voxel): order[first[v] .. first[v + 1] - 1].
static xani_status sort_points(xn_ctx *ctx, const xn_points *p, const xn_dispersion *d, int64_t voxels, int64_t **first,
                               int64_t **order)
{
    *first = xn_calloc((size_t)voxels + 2, sizeof **first);
    *order = xn_alloc((size_t)p->n + 1, sizeof **order);
    if (*first == NULL || *order == NULL)
        return xn_fail_memory(ctx, "the points of the voxels", (size_t)(voxels + p->n) * 8);
    // first[v + 2] counts voxel v; summed, first[v + 1] is where v begins, and after filling where it ends
    for (int64_t i = 0; i < p->n; i++) (*first)[xn_volume_voxel(d, p->hkl + 3 * i, p->g + 3 * i) + 2]++;
    for (int64_t v = 1; v < voxels + 2; v++) (*first)[v] += (*first)[v - 1];
    for (int64_t i = 0; i < p->n; i++) (*order)[(*first)[xn_volume_voxel(d, p->hkl + 3 * i, p->g + 3 * i) + 1]++] = i;
    return XANI_OK;
}

xani_status xn_volume_fill(xn_ctx *ctx, const xn_scene *s, const xn_collection *c, xn_dispersion *d)
{
    int64_t voxels = d->shape[0] * d->shape[1] * d->shape[2], nf = d->shape[3], *first = NULL, *order = NULL;
    double *sums = NULL;
    xani_status st = XANI_OK;
    const xn_points *p = &c->points;
    d->intensity = xn_alloc((size_t)voxels * (size_t)nf, sizeof *d->intensity);
    sums = xn_alloc((size_t)s->threads * (size_t)nf, sizeof *sums);
    if (d->intensity == NULL || sums == NULL) {
        st = xn_fail_memory(ctx, "the volume", (size_t)voxels * (size_t)nf * 4);
        goto out;
    }
    XN_GOTO(out, st, sort_points(ctx, p, d, voxels, &first, &order));
#pragma omp parallel for schedule(dynamic, 64) num_threads(s->threads)
    for (int64_t v = 0; v < voxels; v++) {
        float *spectrum = d->intensity + v * nf;
        double *sum = sums + nf * omp_get_thread_num();
        memset(sum, 0, (size_t)nf * sizeof *sum);
        for (int64_t k = first[v]; k < first[v + 1]; k++) {
            int64_t i = order[k];
            xn_lorentzian_add(d->axis[3], nf, p->frequency[i], (double)c->width[i], p->amplitude[i] * p->amplitude[i],
                              sum);
        }
        for (int64_t f = 0; f < nf; f++) spectrum[f] = d->coverage[v] > 0 ? (float)(sum[f] / d->coverage[v]) : NAN;
    }
out:
    xn_free(first);
    xn_free(order);
    xn_free(sums);
    return st;
}
