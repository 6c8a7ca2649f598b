// SPDX-License-Identifier: BSD-3-Clause
// init_find.c -- the calibration and geometry files that fit a detector, for `xani init`.
//
// Only files of the detector's shape are taken.  Among several, one with the detector's name in its own name comes
// first, then the last by name: pedestals carry their date.  What was found is a proposal, written where a person
// sees it.
#include <math.h>
#include <string.h>

#include "physics/panel.h"
#include "source/survey/init_parts.h"

typedef struct {
    xn_ctx *ctx;
    const char *detector;
    int64_t ny, nx, rows;
} fitting;

static bool calibration_fits(const fitting *f, const char *path, bool *pixel_mask)
{
    xn_h5 *h5 = NULL;
    xn_h5_info info;
    bool fits = false;
    if (xn_h5_open(f->ctx, path, &h5) == XANI_OK && xn_h5_info_get(f->ctx, h5, "gains", &info) == XANI_OK &&
        info.rank >= 3) {
        int64_t rows = 1;
        for (int i = 1; i < info.rank - 1; i++) rows *= info.dims[i];
        fits = info.dims[0] >= 3 && info.dims[info.rank - 1] == f->nx && (rows == f->ny || rows == f->rows);
    }
    *pixel_mask = fits && xn_h5_exists(h5, "pixel_mask");
    xn_h5_close(&h5);
    xn_clear_error(f->ctx);
    return fits;
}

static bool geometry_fits(const fitting *f, const char *path, double *energy_kev, bool *distance, bool *quadrants)
{
    const xn_geometry_options o = {.distance_m = NAN, .anywhere = true, .pixel_mm = NAN, .detector = f->detector};
    xn_geometry g = {0};
    bool fits = xn_geometry_file(f->ctx, path, &o, &g) == XANI_OK && g.ny == f->ny && g.nx == f->nx;
    xn_clear_error(f->ctx);
    if (fits) {
        *energy_kev = g.energy_kev;
        *distance = isfinite(g.distance_m);
        *quadrants = !g.assumed;
    }
    xn_geometry_free(&g);
    return fits;
}

// True when b is to be preferred to a (a NULL: nothing yet).
static bool better(const fitting *f, const char *a, const char *b)
{
    if (a == NULL) return true;
    if (f->detector != NULL) {
        bool named_a = strstr(a, f->detector) != NULL, named_b = strstr(b, f->detector) != NULL;
        if (named_a != named_b) return named_b;
    }
    return strcmp(a, b) < 0;
}

static void take_geometry(const fitting *f, const char *path, xn_init_finds *finds)
{
    bool distance = false, quadrants = true;
    double energy = NAN;
    if (!geometry_fits(f, path, &energy, &distance, &quadrants)) return;
    finds->geometry = path;
    finds->energy_kev = energy;
    finds->distance = distance;
    finds->quadrants = quadrants;
}

// The files of a run may tell where their pixels are; a geometry file is preferred, for it was refined.
static void look_in_runs(const fitting *f, const xn_survey *s, xn_init_finds *finds)
{
    for (int i = 0; i < s->n && finds->geometry == NULL; i++)
        if (s->file[i].kind == XN_FOUND_RUN && s->file[i].layout->has_geometry)
            take_geometry(f, s->file[i].path, finds);
}

xani_status xn_init_find(xn_ctx *ctx, const xn_survey *s, const char *detector, int64_t ny, int64_t nx, int64_t rows,
                         xn_init_finds *finds)
{
    fitting f = {ctx, detector, ny, nx, rows};
    *finds = (xn_init_finds){.energy_kev = NAN};
    for (int i = 0; i < s->n; i++) {
        const char *path = s->file[i].path;
        bool mask = false;
        switch (s->file[i].kind) {
        case XN_FOUND_GAIN:
            if (better(&f, finds->gain, path) && calibration_fits(&f, path, &mask)) finds->gain = path;
            break;
        case XN_FOUND_PEDESTAL:
            if (!better(&f, finds->pedestal, path) || !calibration_fits(&f, path, &mask)) break;
            finds->pedestal = path;
            finds->pixel_mask = mask;
            break;
        case XN_FOUND_GEOMETRY:
            if (better(&f, finds->geometry, path)) take_geometry(&f, path, finds);
            break;
        default:
            break;
        }
    }
    look_in_runs(&f, s, finds);
    return xn_check_interrupt(ctx);
}
