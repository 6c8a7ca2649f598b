// SPDX-License-Identifier: BSD-3-Clause
// map.h -- modes of one or more runs to points, volume, path and branches.
//
// Points: every accepted mode at the momentum transfer of its pixel group.  weight = 1/(sigma_nu^2 + s^2) in
// 1/THz^2, with s the rms of a box as wide as the frequency resolution 1/T of the delay window (in nu): no line is
// trusted to better than that, because the pixels of a branch differ in q.  Without an error, or with one that is no
// positive number, sigma_nu counts as 1/T in nu, and is NaN in the points.  The frequency of a branch in a bin of
// the path is the mean, with these weights, of the points that lie in the bin and belong to the branch; with force
// constants given, of what these points say about the frequency on the path (known.c).
#ifndef XN_MAP_MAP_H
#define XN_MAP_MAP_H

#include "core/config.h"
#include "data/modes.h"
#include "data/points.h"
#include "physics/lattice.h"

// The traces behind the modes. open: delays of a run, valid until the next is opened; 0 bins where there are none.
// planes: signal and errors (n, y, x) of n bins from `first` of the run opened. Many at once: where a chunk holds all
// delays of some pixels, each call unpacks the whole cube.
typedef struct xn_traces {
    xani_status (*open)(xn_ctx *ctx, void *user, int run, int *bins, const double **delay_ps);
    xani_status (*planes)(xn_ctx *ctx, void *user, int first, int n, float *signal, float *errors);
    void *user;
} xn_traces;

// modes[n]: the runs in order; their angles are inside. Geometry, crystal and grid come from the configuration. traces
// may be NULL.
xani_status xn_map(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, const xn_traces *traces,
                   xn_dispersion *out);
// What xn_map refuses before it calculates: modes that the geometry does not fit, angles, path, volume, force
// constants. plan: runs, axes, coverage and path of the result, without points.
xani_status xn_map_plan(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, xn_dispersion *plan);
// True when the configuration says enough to map (energy, geometry, orientation, crystal); else *why names the first
// key.
bool xn_map_possible(const xn_config *config, const char **why);
// map.path, where it is given: labels that this lattice has, corners that differ.
xani_status xn_map_check_path(xn_ctx *ctx, const xn_config *config, const xn_lattice *lattice);
// From geometry and angles alone: how much of the irreducible zone the runs see. voxels: all of them, of
// map.grid, else 0.05 * 2 pi/a in size; fraction of them that at least one pixel group looks at.
xani_status xn_map_coverage(xn_ctx *ctx, const xn_config *config, double *fraction, int64_t *voxels);

#endif
