// SPDX-License-Identifier: BSD-3-Clause
// wedge.h -- the irreducible part of the zone in voxels: what there is to be covered.
//
// Every folded q is replaced by its greatest image under the point symmetry of nu(q) (lexicographic in hkl: for a
// cubic crystal |h|, |k|, |l| in descending order), and cubes of this wedge are numbered: those that a grid three times
// finer than the cubes meets.  science.md 11 counts the same way, with 0.05 * 2 pi/a along h, k and l.
#ifndef XN_MAP_WEDGE_H
#define XN_MAP_WEDGE_H

#include "core/config.h"
#include "physics/lattice.h"

typedef struct xn_wedge {
    const xn_lattice *lattice;
    double edge[3]; // hkl
    int64_t n[3];
    int32_t *number; // of a cube of the box: its voxel, -1: not in the wedge
    int64_t voxels;
} xn_wedge;

// Voxels as large as those of map.grid, else 0.05 of a reciprocal axis.  The lattice is borrowed.
xani_status xn_wedge_make(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, int threads, xn_wedge *w);
void xn_wedge_free(xn_wedge *w);
// Voxel of a folded hkl (hkl less its G); -1 where rounding leaves it outside.
int64_t xn_wedge_voxel(const xn_wedge *w, const double hkl[3]);

#endif
