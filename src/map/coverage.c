// SPDX-License-Identifier: BSD-3-Clause
// coverage.c -- how much of the irreducible zone an experiment sees, from geometry and angles alone: voxels of the
// wedge (wedge.h) that some pixel group of some run looks at.  A pixel group may look at a voxel that the wedge's own
// grid just missed, at its rim: it counts in neither number.
#include <math.h>

#include "map/map.h"
#include "map/parts.h"
#include "map/wedge.h"

static void mark_view(const xn_wedge *w, const xn_view *v, int threads, uint8_t *seen)
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < v->n; i++) {
        if (!v->seen[i]) continue;
        double hkl[3];
        for (int k = 0; k < 3; k++) hkl[k] = v->hkl[3 * i + k] - v->g[3 * i + k];
        int64_t voxel = xn_wedge_voxel(w, hkl);
        if (voxel < 0) continue;
#pragma omp atomic write
        seen[voxel] = 1;
    }
}

static xani_status mark_runs(xn_ctx *ctx, const xn_config *config, xn_scene *s, const xn_wedge *w, uint8_t *seen)
{
    int n = xn_config_count(config, "runs");
    xn_view v = {0};
    xani_status st = xn_scene_group(ctx, s, (int)xn_config_int(config, "reduce.spatial_bin"), 0, NULL);
    for (int i = 0; i < (n > 0 ? n : 1) && st == XANI_OK; i++) {
        char key[XN_KEY_LENGTH];
        double angles[8];
        int given = n > 0 ? xn_config_doubles(config, xn_key(key, "runs[%d].angle_deg", i), angles, 8) : 0;
        st = xn_scene_view(ctx, config, s, angles, given, &v);
        if (st == XANI_OK) mark_view(w, &v, s->threads, seen);
        if (st == XANI_OK) st = xn_check_interrupt(ctx);
    }
    xn_view_free(&v);
    return st;
}

xani_status xn_map_coverage(xn_ctx *ctx, const xn_config *config, double *fraction, int64_t *voxels)
{
    xn_scene s;
    xn_wedge w;
    *fraction = NAN;
    *voxels = 0;
    XN_TRY(xn_scene_load(ctx, config, &s));
    xani_status st = xn_wedge_make(ctx, config, &s.lattice, s.threads, &w);
    uint8_t *seen = st == XANI_OK ? xn_calloc((size_t)w.voxels, 1) : NULL;
    if (st == XANI_OK && seen == NULL) st = xn_fail_memory(ctx, "the voxels of the zone", (size_t)w.voxels);
    if (st == XANI_OK) st = mark_runs(ctx, config, &s, &w, seen);
    if (st == XANI_OK) {
        int64_t covered = 0;
        for (int64_t i = 0; i < w.voxels; i++) covered += seen[i];
        *voxels = w.voxels;
        *fraction = (double)covered / (double)w.voxels;
    }
    xn_free(seen);
    xn_wedge_free(&w);
    xn_scene_free(&s);
    return st;
}
