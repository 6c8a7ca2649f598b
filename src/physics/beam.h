// SPDX-License-Identifier: BSD-3-Clause
// beam.h -- what a pixel of a flat detector sees of light scattered by Q, besides what the crystal scatters.
//
// Polarisation times solid angle, 1 in forward direction (science.md 10): with u the direction of the scattered light,
//   P = p (1 - (u.e)^2) + (1 - p) (1 - (u.e')^2),  e' = z x e;     cos^3 of the angle to the detector's normal.
#ifndef XN_PHYSICS_BEAM_H
#define XN_PHYSICS_BEAM_H

#include "core/config.h"

typedef struct xn_beam {
    double k;                           // 2 pi / wavelength, 1/Angstrom
    double normal[3], field[3], linear; // of the detector; of the electric field, and the share polarised along it
} xn_beam;

// geometry.arm, geometry.polarisation.
xani_status xn_beam_load(xn_ctx *ctx, const xn_config *config, double energy_kev, xn_beam *beam);
double xn_beam_factor(const xn_beam *beam, const double q_lab[3]);
double xn_beam_polarisation(const xn_beam *beam, const double q_lab[3]); // P alone

#endif
