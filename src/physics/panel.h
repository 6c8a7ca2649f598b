// SPDX-License-Identifier: BSD-3-Clause
// panel.h -- flat panels as geometry files describe them; what the readers hand to geometry.c.
//
// The centre of pixel (i, j), counted from the panel's first pixel along fast and slow scan, lies at
// corner + (i + 0.5) fs + (j + 0.5) ss, in metres in the laboratory frame.
#ifndef XN_PHYSICS_PANEL_H
#define XN_PHYSICS_PANEL_H

#include "physics/geometry.h"

typedef struct xn_panel {
    char name[64];
    int64_t min_fs, max_fs, min_ss, max_ss; // inclusive, in the stored array
    int64_t plane;                          // index along a stacking axis of the stored array; -1: there is none
    double corner[3], fs[3], ss[3];         // metres; outer corner of the first pixel, steps per pixel
    double res;                             // pixels per metre
    bool unused;                            // the file says not to use it
} xn_panel;

// Pixels not to be used: a box in the laboratory (pixels, any panel) or in one panel's fs and ss (inclusive).
typedef struct xn_bad_region {
    char name[64], panel[64];
    bool lab;
    double lo[2], hi[2]; // x, y or fs, ss
} xn_bad_region;

typedef struct xn_panels {
    int n, n_bad;
    xn_panel *panel;    // owned
    xn_bad_region *bad; // owned
    double energy_kev;  // NaN when the file does not say
} xn_panels;

// Each reads one kind of file. distance_m NaN: the file's own distance, which then must be there.
xani_status xn_panels_crystfel(xn_ctx *ctx, const char *path, double distance_m, xn_panels *panels);
void xn_panels_free(xn_panels *panels);
// The pixel map of panels. allocate: positions NaN, all pixels bad, module_rows 0, for the ny, nx, n_modules in g.
xani_status xn_geometry_from_panels(xn_ctx *ctx, const xn_panels *panels, xn_geometry *g);
xani_status xn_geometry_allocate(xn_ctx *ctx, xn_geometry *g);

#endif
