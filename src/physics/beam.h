// SPDX-License-Identifier: BSD-3-Clause
// beam.h -- how the polarisation of the beam weakens light that is scattered by Q (science.md 10).
//
// With u the direction of the scattered light, P = p (1 - (u.e)^2) + (1 - p) (1 - (u.e')^2),  e' = z x e.  Solid angles
// of pixels: geometry_solid.c.
#ifndef XN_PHYSICS_BEAM_H
#define XN_PHYSICS_BEAM_H

#include "core/config.h"

typedef struct xn_beam {
    double k;                // 2 pi / wavelength, 1/Angstrom
    double field[3], linear; // of the electric field, and the share polarised along it
} xn_beam;

// geometry.polarisation.
xani_status xn_beam_load(xn_ctx *ctx, const xn_config *config, double energy_kev, xn_beam *beam);
double xn_beam_polarisation(const xn_beam *beam, const double q_lab[3]);
// The same of light that goes along (x, y, .), a vector of this length.
double xn_beam_polarisation_towards(const xn_beam *beam, double x, double y, double length);

#endif
