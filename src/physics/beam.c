// SPDX-License-Identifier: BSD-3-Clause
// beam.c -- see beam.h.  The direction of the scattered light follows from Q alone: u = Q/k + z.
#include "physics/beam.h"

#include <math.h>
#include <string.h>

#include "physics/geometry.h"

xani_status xn_beam_load(xn_ctx *ctx, const xn_config *config, double energy_kev, xn_beam *beam)
{
    memset(beam, 0, sizeof *beam);
    beam->k = XN_K_PER_KEV * energy_kev;
    xn_config_doubles(config, "geometry.polarisation.direction", beam->field, 3);
    double length = hypot(beam->field[0], beam->field[1]);
    if (!(length > 0.0)) return xn_config_bad(ctx, config, "geometry.polarisation.direction", "is not across the beam");
    for (int i = 0; i < 2; i++) beam->field[i] /= length;
    beam->field[2] = 0.0; // a field is transverse to its beam
    beam->linear = xn_config_double(config, "geometry.polarisation.fraction");
    return XANI_OK;
}

double xn_beam_polarisation(const xn_beam *b, const double q[3])
{
    return xn_beam_polarisation_towards(b, q[0] / b->k, q[1] / b->k, 1.0);
}

double xn_beam_polarisation_towards(const xn_beam *b, double x, double y, double length)
{
    double along = (x * b->field[0] + y * b->field[1]) / length, across = (y * b->field[0] - x * b->field[1]) / length;
    return b->linear * (1.0 - along * along) + (1.0 - b->linear) * (1.0 - across * across);
}
