// SPDX-License-Identifier: BSD-3-Clause
// geometry_q.c -- momentum transfer of positions: Q = k (r/|r| - z).
//
// In blocks of separate x, y, z, so that root and division run in vector registers; built with -fno-math-errno for
// that. One division serves all three components, and z/r - 1 is made from rho^2 in front of the sample, where the
// difference would lose all digits near the beam.
#include <math.h>

#include "physics/geometry.h"

#define BLOCK 256

static void q_block(const float *position, int n, double k, double *q)
{
    double x[BLOCK], y[BLOCK], z[BLOCK];
    for (int i = 0; i < n; i++) {
        x[i] = (double)position[3 * i];
        y[i] = (double)position[3 * i + 1];
        z[i] = (double)position[3 * i + 2];
    }
    for (int i = 0; i < n; i++) {
        double rho2 = x[i] * x[i] + y[i] * y[i], r = sqrt(rho2 + z[i] * z[i]);
        double sum = r + fabs(z[i]), t = k / (r * sum), s = t * sum; // s = k/r
        x[i] *= s;
        y[i] *= s;
        z[i] = z[i] > 0.0 ? -rho2 * t : z[i] * s - k;
    }
    for (int i = 0; i < n; i++) {
        q[3 * i] = x[i];
        q[3 * i + 1] = y[i];
        q[3 * i + 2] = z[i];
    }
}

void xn_geometry_q(const float *position, int64_t n, double energy_kev, double *q)
{
    const double k = XN_K_PER_KEV * energy_kev;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += BLOCK) q_block(position + 3 * i, (int)xn_min64(BLOCK, n - i), k, q + 3 * i);
}

bool xn_geometry_q_at(const double r[3], double energy_kev, double q[3])
{
    const double k = XN_K_PER_KEV * energy_kev, rho2 = r[0] * r[0] + r[1] * r[1], length = sqrt(rho2 + r[2] * r[2]);
    if (!(length > 0.0)) return false;
    q[0] = k * r[0] / length;
    q[1] = k * r[1] / length;
    q[2] = r[2] > 0.0 ? -k * rho2 / (length * (length + r[2])) : k * (r[2] / length - 1.0);
    return true;
}
