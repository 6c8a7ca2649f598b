// SPDX-License-Identifier: BSD-3-Clause
// coverage.c -- how much of the irreducible zone an experiment sees, from geometry and angles alone.
//
// Every folded q is replaced by its greatest image under the point symmetry of nu(q) (lexicographic in hkl: for a
// cubic crystal |h|, |k|, |l| in descending order), and cubes of this wedge are counted: those of the whole wedge,
// which a grid three times finer than the cubes meets, and those that some pixel group of some run looks at.
// science.md 11 counts the same way, with 0.05 * 2 pi/a along h, k and l.
#include "map/map.h"

#include <math.h>
#include <string.h>

#include "map/parts.h"

#define EDGE 0.05 // of a reciprocal axis
#define FINER 3.0

typedef struct wedge {
    const xn_lattice *lattice;
    double edge[3], half[3]; // hkl
    int64_t n[3];
    uint8_t *is; // bit 0: belongs to the wedge; bit 1: seen
} wedge;

// Cube of a folded hkl after reduction by symmetry.
static int64_t cube_of(const wedge *w, const double hkl[3])
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

static xani_status make_wedge(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, wedge *w)
{
    double step = xn_config_double(config, "map.grid.step_inv_ang");
    memset(w, 0, sizeof *w);
    w->lattice = l;
    xn_lattice_zone_box(l, w->half);
    double size = 1.0;
    for (int i = 0; i < 3; i++) {
        double length = sqrt(l->b[i] * l->b[i] + l->b[3 + i] * l->b[3 + i] + l->b[6 + i] * l->b[6 + i]);
        w->edge[i] = isnan(step) ? EDGE : step / length;
        double n = 2.0 * (ceil(w->half[i] / w->edge[i]) + 1.0);
        size *= n;
        if (!(size <= 1e8))
            return xn_config_bad(ctx, config, "map.grid.step_inv_ang", "%g divides the zone into more than 1e8 voxels",
                                 step);
        w->n[i] = (int64_t)n;
    }
    w->is = xn_calloc((size_t)size, 1);
    return w->is != NULL ? XANI_OK : xn_fail_memory(ctx, "the voxels of the zone", (size_t)size);
}

static void mark(uint8_t *is, uint8_t bit)
{
#pragma omp atomic update
    *is |= bit;
}

// All cubes of the wedge: a grid over one primitive cell of reciprocal space, folded.
static void mark_wedge(const wedge *w, int threads)
{
    const xn_lattice *l = w->lattice;
    double finest = INFINITY;
    int64_t n[3];
    for (int i = 0; i < 3; i++) {
        double length = sqrt(l->b[i] * l->b[i] + l->b[3 + i] * l->b[3 + i] + l->b[6 + i] * l->b[6 + i]);
        finest = fmin(finest, w->edge[i] * length / FINER);
    }
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
                mark(&w->is[cube_of(w, hkl)], 1);
            }
}

static void mark_view(const wedge *w, const xn_view *v, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < v->n; i++) {
        if (!v->seen[i]) continue;
        double hkl[3];
        for (int k = 0; k < 3; k++) hkl[k] = v->hkl[3 * i + k] - v->g[3 * i + k];
        mark(&w->is[cube_of(w, hkl)], 3);
    }
}

static xani_status mark_runs(xn_ctx *ctx, const xn_config *config, xn_scene *s, const wedge *w)
{
    int n = xn_config_count(config, "runs");
    xn_view v = {0};
    xani_status st = xn_scene_group(ctx, s, (int)xn_config_int(config, "reduce.spatial_bin"), 0, NULL);
    for (int i = 0; i < (n > 0 ? n : 1) && st == XANI_OK; i++) {
        char key[XN_KEY_LENGTH];
        double angles[8];
        int given = n > 0 ? xn_config_doubles(config, xn_key(key, "runs[%d].angle_deg", i), angles, 8) : 0;
        st = xn_scene_view(ctx, config, s, angles, given, &v);
        if (st == XANI_OK) mark_view(w, &v, s->threads);
        if (st == XANI_OK) st = xn_check_interrupt(ctx);
    }
    xn_view_free(&v);
    return st;
}

xani_status xn_map_coverage(xn_ctx *ctx, const xn_config *config, double *fraction, int64_t *voxels)
{
    xn_scene s;
    wedge w;
    *fraction = NAN;
    *voxels = 0;
    XN_TRY(xn_scene_load(ctx, config, &s));
    xani_status st = make_wedge(ctx, config, &s.lattice, &w);
    if (st == XANI_OK) {
        mark_wedge(&w, s.threads);
        st = mark_runs(ctx, config, &s, &w);
    }
    if (st == XANI_OK) {
        int64_t seen = 0;
        for (int64_t i = 0; i < w.n[0] * w.n[1] * w.n[2]; i++) {
            *voxels += w.is[i] & 1;
            seen += w.is[i] >> 1;
        }
        *fraction = (double)seen / (double)*voxels;
    }
    xn_free(w.is);
    xn_scene_free(&s);
    return st;
}
