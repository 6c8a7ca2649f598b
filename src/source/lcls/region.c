// SPDX-License-Identifier: BSD-3-Clause
// region.c -- where a region of interest lies in its detector: see lcls.h.
//
// The frames of <det>/ROI_0_area are a box of the detector's arrays.  The program that cut them out keeps its bounds as
// UserDataCfg/<det>/ROI_0__ROI_0_bound, or _ROI: (axes, 2), first and end along each.  With them the detector's own
// masks serve a region too.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "source/lcls/lcls.h"

bool xn_lcls_region_name(const char *frames, char detector[64], char region[64])
{
    static const char area[] = "_area";
    const char *slash = strchr(frames, '/');
    size_t n = slash != NULL ? strlen(slash + 1) : 0, tail = sizeof area - 1;
    if (n <= tail || slash - frames >= 64 || n - tail >= 64 || strcmp(slash + 1 + n - tail, area) != 0) return false;
    snprintf(detector, 64, "%.*s", (int)(slash - frames), frames);
    snprintf(region, 64, "%.*s", (int)(n - tail), slash + 1);
    return strchr(region, '/') == NULL;
}

// Whole numbers, first and end of each axis in either order.
static bool take_bounds(const double *v, int64_t n, xn_region *r)
{
    if (n != 4 && n != 6) return false;
    r->rank = (int)(n / 2);
    for (int k = 0; k < r->rank; k++) {
        double lo = fmin(v[2 * k], v[2 * k + 1]), hi = fmax(v[2 * k], v[2 * k + 1]);
        if (!(lo >= 0.0 && hi > lo && hi < 1e12)) return false;
        r->first[k] = (int64_t)lo;
        r->end[k] = (int64_t)hi;
    }
    return true;
}

xani_status xn_lcls_region(xn_ctx *ctx, const xn_h5 *h5, const char *frames, xn_region *r)
{
    static const char *const ends[] = {"bound", "ROI"};
    char detector[64], name[64], path[256];
    r->rank = 0;
    if (!xn_lcls_region_name(frames, detector, name)) return XANI_OK;
    for (int i = 0; i < 2 && r->rank == 0; i++) {
        double *v = NULL;
        int64_t n = 0;
        snprintf(path, sizeof path, "UserDataCfg/%s/%s__%s_%s", detector, name, name, ends[i]);
        if (!xn_h5_exists(h5, path)) continue;
        XN_TRY(xn_h5_read_f64(ctx, h5, path, &v, &n));
        if (!take_bounds(v, n, r)) r->rank = 0;
        xn_free(v);
    }
    return XANI_OK;
}
