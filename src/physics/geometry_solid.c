// SPDX-License-Identifier: BSD-3-Clause
// geometry_solid.c -- the solid angle of pixel groups, from where their neighbours are.
//
// With s and t the steps to the neighbours along and across the rows, and r the place of a group, metres, a group
// covers
//     omega = |(s x t) . r| / |r|^3     steradians
// whatever way its module stands.  Of the two neighbours on a line the nearer one counts: the other may lie beyond a
// gap. Steps stay in the module; in a row or column of one group there are none.
#include <math.h>
#include <stdlib.h>

#include "physics/geometry.h"

// The shorter step from `at` to a neighbour `stride` groups away, where there is one; false: none.
static bool step_to(const float *position, int64_t at, int64_t stride, bool before, bool after, double step[3])
{
    double best = INFINITY;
    for (int side = -1; side <= 1; side += 2) {
        if (!(side < 0 ? before : after)) continue;
        const float *a = position + 3 * at, *b = position + 3 * (at + side * stride);
        double d[3], length2 = 0.0;
        for (int k = 0; k < 3; k++) d[k] = side * ((double)b[k] - (double)a[k]), length2 += d[k] * d[k];
        if (!(length2 < best)) continue; // NaN too
        best = length2;
        for (int k = 0; k < 3; k++) step[k] = d[k];
    }
    return isfinite(best);
}

xani_status xn_geometry_solid_angles(xn_ctx *ctx, const xn_geometry *g, int bin, const float *position, int64_t gx,
                                     double **omega)
{
    int64_t gy = 0, top = 0;
    for (int m = 0; m < g->n_modules; m++) gy += g->module_rows[m] / bin;
    *omega = xn_alloc((size_t)(gy * gx), sizeof **omega);
    if (*omega == NULL) return xn_fail_memory(ctx, "solid angles", (size_t)(gy * gx) * sizeof **omega);
    for (int m = 0; m < g->n_modules; m++) {
        int64_t rows = g->module_rows[m] / bin;
        for (int64_t y = 0; y < rows; y++)
            for (int64_t x = 0; x < gx; x++) {
                int64_t at = (top + y) * gx + x;
                double s[3] = {0.0}, t[3] = {0.0},
                       r[3] = {position[3 * at], position[3 * at + 1], position[3 * at + 2]};
                bool known =
                    step_to(position, at, 1, x > 0, x + 1 < gx, s) && step_to(position, at, gx, y > 0, y + 1 < rows, t);
                double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
                double volume = known ? r[0] * (s[1] * t[2] - s[2] * t[1]) + r[1] * (s[2] * t[0] - s[0] * t[2]) +
                                            r[2] * (s[0] * t[1] - s[1] * t[0])
                                      : NAN;
                (*omega)[at] = fabs(volume) / (d * d * d);
            }
        top += rows;
    }
    return XANI_OK;
}

xani_status xn_geometry_shares(xn_ctx *ctx, const xn_geometry *g, int bin, const float *position, int64_t gx,
                               double **share)
{
    int64_t n = 0;
    double edge = bin * g->pixel_m / g->distance_m;
    XN_TRY(xn_geometry_solid_angles(ctx, g, bin, position, gx, share));
    for (int m = 0; m < g->n_modules; m++) n += g->module_rows[m] / bin * gx;
    for (int64_t i = 0; i < n; i++) {
        const float *r = position + 3 * i;
        double away = sqrt((double)r[0] * r[0] + (double)r[1] * r[1] + (double)r[2] * r[2]) / g->distance_m;
        (*share)[i] = !((*share)[i] > 0.0) ? 1.0 / (away * away) : (*share)[i] / (edge * edge);
    }
    return XANI_OK;
}

double xn_geometry_plane_m(const xn_geometry *g)
{
    enum { MOST = 1024 };
    double away[MOST];
    int n = 0;
    int64_t cells = (g->ny - 1) * (g->nx - 1), stride = xn_max64(1, cells / MOST);
    for (int64_t i = 0; i < cells && n < MOST; i += stride) {
        const float *r = g->position + 3 * (i / (g->nx - 1) * g->nx + i % (g->nx - 1)), *right = r + 3,
                    *down = r + 3 * g->nx;
        double s[3], t[3], normal2 = 0.0, along = 0.0;
        for (int k = 0; k < 3; k++) {
            s[k] = (double)right[k] - (double)r[k];
            t[k] = (double)down[k] - (double)r[k];
        }
        for (int k = 0; k < 3; k++) {
            double cross = s[(k + 1) % 3] * t[(k + 2) % 3] - s[(k + 2) % 3] * t[(k + 1) % 3];
            normal2 += cross * cross;
            along += cross * (double)r[k];
        }
        double d = fabs(along) / sqrt(normal2);
        if (isfinite(d)) away[n++] = d;
    }
    if (n == 0) return NAN;
    qsort(away, (size_t)n, sizeof *away, xn_double_compare);
    return away[n / 2];
}
