// SPDX-License-Identifier: BSD-3-Clause
// wedge.c -- see wedge.h: a grid over one primitive cell of reciprocal space, folded and reduced, marks the cubes.
#include "map/wedge.h"

#include <math.h>
#include <string.h>

#define EDGE 0.05 // of a reciprocal axis
#define FINER 3.0

static int64_t cube_of(const xn_wedge *w, const double hkl[3])
{
    double best[3] = {-INFINITY, 0, 0};
    for (int s = 0; s < w->lattice->n_sym; s++) {
        const int *op = w->lattice->sym[s];
        double h[3];
        bool greater = false, decided = false;
        for (int i = 0; i < 3; i++) {
            h[i] = op[3 * i] * hkl[0] + op[3 * i + 1] * hkl[1] + op[3 * i + 2] * hkl[2];
            if (decided || fabs(h[i] - best[i]) < 1e-9) continue;
            greater = h[i] > best[i];
            decided = true;
        }
        if (greater) memcpy(best, h, sizeof best);
    }
    int64_t index = 0;
    for (int i = 0; i < 3; i++) {
        int64_t j = (int64_t)floor(best[i] / w->edge[i] + 1e-9) + w->n[i] / 2;
        index = index * w->n[i] + xn_max64(0, xn_min64(w->n[i] - 1, j));
    }
    return index;
}

int64_t xn_wedge_voxel(const xn_wedge *w, const double hkl[3]) { return w->number[cube_of(w, hkl)]; }

static void mark(const xn_wedge *w, int threads)
{
    const xn_lattice *l = w->lattice;
    double finest = INFINITY;
    int64_t n[3];
    for (int i = 0; i < 3; i++) finest = fmin(finest, w->edge[i] * xn_lattice_axis_inv_ang(l, i) / FINER);
    for (int i = 0; i < 3; i++) {
        const double *p = l->prim + 3 * i;
        n[i] = (int64_t)ceil(sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) / finest);
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t a = 0; a < n[0]; a++)
        for (int64_t b = 0; b < n[1]; b++)
            for (int64_t c = 0; c < n[2]; c++) {
                const double u[3] = {((double)a + 0.5) / (double)n[0], ((double)b + 0.5) / (double)n[1],
                                     ((double)c + 0.5) / (double)n[2]};
                double hkl[3], q[3];
                int g[3];
                for (int k = 0; k < 3; k++)
                    hkl[k] = u[0] * l->prim_hkl[k] + u[1] * l->prim_hkl[3 + k] + u[2] * l->prim_hkl[6 + k];
                xn_lattice_fold(l, hkl, g, q);
                for (int k = 0; k < 3; k++) hkl[k] -= g[k];
                int32_t *number = &w->number[cube_of(w, hkl)];
#pragma omp atomic write
                *number = 0;
            }
}

xani_status xn_wedge_make(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, int threads, xn_wedge *w)
{
    double step = xn_config_double(config, "map.grid.step_inv_ang"), shape[3], half[3], size = 1.0;
    const bool by_shape = xn_config_has(config, "map.grid.shape");
    memset(w, 0, sizeof *w);
    if (by_shape) xn_config_doubles(config, "map.grid.shape", shape, 3);
    w->lattice = l;
    xn_lattice_zone_box(l, half);
    for (int i = 0; i < 3; i++) {
        w->edge[i] = by_shape ? 2.0 * half[i] / shape[i] : isnan(step) ? EDGE : step / xn_lattice_axis_inv_ang(l, i);
        double n = 2.0 * (ceil(half[i] / w->edge[i]) + 1.0);
        size *= n;
        if (!(size <= 1e8))
            return xn_config_bad(ctx, config, by_shape ? "map.grid.shape" : "map.grid.step_inv_ang",
                                 "divides the zone into more than 1e8 voxels");
        w->n[i] = (int64_t)n;
    }
    w->number = xn_alloc((size_t)size, sizeof *w->number);
    if (w->number == NULL) return xn_fail_memory(ctx, "the voxels of the zone", (size_t)size * sizeof *w->number);
    memset(w->number, 0xff, (size_t)size * sizeof *w->number);
    mark(w, threads);
    for (size_t i = 0; i < (size_t)size; i++)
        if (w->number[i] == 0) w->number[i] = (int32_t)w->voxels++;
    return XANI_OK;
}

void xn_wedge_free(xn_wedge *w)
{
    xn_free(w->number);
    memset(w, 0, sizeof *w);
}
