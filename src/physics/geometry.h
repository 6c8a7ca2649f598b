// SPDX-License-Identifier: BSD-3-Clause
// geometry.h -- where each detector pixel is, and the momentum transfer it sees.
//
// Laboratory frame right-handed, +z along the beam, +y up, metres.  Q = k (r/|r| - z), k = 2 pi / lambda =
// 0.50677307 E[keV] 1/Angstrom (science.md 10).  Pixel centres at +0.5.  docs/geometry.md has all conventions.
#ifndef XN_PHYSICS_GEOMETRY_H
#define XN_PHYSICS_GEOMETRY_H

#include "core/config.h"

#define XN_ANGSTROM_KEV 12.398419843320026 // wavelength times energy
#define XN_K_PER_KEV 0.5067730716156395    // 1/Angstrom per keV: 2 pi / XN_ANGSTROM_KEV
#define XN_LEAST_KEV 0.1                   // as experiment.energy_kev
#define XN_MOST_KEV 1000.0

// What is wrong with a pixel, in `bad`.
enum { XN_GEOMETRY_GAP = 1, XN_GEOMETRY_BAD = 2 }; // no panel covers it; the file says not to use it

typedef struct xn_geometry {
    const char *kind; // of file: "CrystFEL", ...
    int64_t ny, nx;   // detector pixels, modules stacked along y in stored order
    int n_modules;
    int64_t *module_rows; // (n_modules), sums to ny; 1 module when the file does not say
    float *position;      // (ny, nx, 3) pixel centres in metres; NaN where no panel covers the pixel
    uint8_t *bad;         // (ny, nx) 0 = good, or XN_GEOMETRY_*
    double pixel_m;       // edge of a pixel (of the first panel)
    double pixels_m[2];   // of the smallest and the largest
    double energy_kev;    // of the file, NaN when absent
    double distance_m;    // along the beam; NaN: unknown, which is an error but for pictures
    bool assumed;         // nominal places of quadrants: for pictures only
    bool frame_only;      // no positions
} xn_geometry;

// geometry.file or geometry.detector, turned by geometry.arm; ny, nx > 0: the frames' shape it must match (else
// XANI_ERR_CONFIG). ny == 0 for whatever the configuration gives.
xani_status xn_geometry_load(xn_ctx *ctx, const xn_config *config, int64_t ny, int64_t nx, xn_geometry *g);
// The same for a picture: a distance or quadrant positions that are missing are no error.
xani_status xn_geometry_sketch(xn_ctx *ctx, const xn_config *config, xn_geometry *g);
// Modules and bad pixels of a frame alone, without positions: nothing that only places the detector need be known.
xani_status xn_geometry_frame(xn_ctx *ctx, const xn_config *config, xn_geometry *g);
void xn_geometry_free(xn_geometry *g);
// How frames of ny x nx pixels may come to have another size than g, as the end of a message; text itself.
const char *xn_geometry_misfit(const xn_geometry *g, int64_t ny, int64_t nx, char *text, size_t room);
// Mean position of the pixels of spatial_bin x spatial_bin blocks that never cross a module: out (gy, gx, 3).
// gy = sum over modules of floor(rows/bin), gx = floor(nx/bin).
xani_status xn_geometry_group(xn_ctx *ctx, const xn_geometry *g, int bin, float **position, int64_t *gy, int64_t *gx);
// Solid angles of those blocks, steradians, from the distances of neighbours: (gy, gx), owned; NaN where there are
// none.
xani_status xn_geometry_solid_angles(xn_ctx *ctx, const xn_geometry *g, int bin, const float *position, int64_t gx,
                                     double **omega);
// The same for one pixel of each block, relative to one across the beam at the detector's distance; where neighbours
// say nothing, for pixels that face the sample.
xani_status xn_geometry_shares(xn_ctx *ctx, const xn_geometry *g, int bin, const float *position, int64_t gx,
                               double **share);
// How far the sample is from the planes in which pixels lie, the median; NaN where lines have one pixel.
double xn_geometry_plane_m(const xn_geometry *g);
// Q_lab in 1/Angstrom of n positions (n, 3) metres -> q (n, 3).
void xn_geometry_q(const float *position, int64_t n, double energy_kev, double *q);
// The same for one, in double precision; false where the position is the sample itself.
bool xn_geometry_q_at(const double position[3], double energy_kev, double q[3]);

// ---- geometry_outline.c: rectangles of equally spaced pixels

typedef struct xn_outline {
    int module;
    int64_t row, column, rows, columns; // in the stored array
    double corner[4][2];                // x, y in metres: first pixel, along the row, opposite, along the column
    bool masked;                        // none of its pixels is good
} xn_outline;
xani_status xn_geometry_outlines(xn_ctx *ctx, const xn_geometry *g, xn_outline **outline, int *n);

#endif
