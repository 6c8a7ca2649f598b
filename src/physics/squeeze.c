// SPDX-License-Identifier: BSD-3-Clause
// squeeze.c -- diffuse scattering after a sudden change of the forces, exact.
//
// At t = 0 the dynamical matrix jumps from D0 to D1.  The thermal covariances of D0 then turn under D1; for a Bravais
// crystal the intensity at Q is a finite sum of lines at w_j + w_k and w_j - w_k of D1 (science.md 13.3; Trigo et al.,
// Nature Physics 9, 790, 2013):
//   y(t) = -1 + (1/s0) sum_jk p_j p_k [(U_jk+V_jk)/2 cos((w_j-w_k)t) + (U_jk-V_jk)/2 cos((w_j+w_k)t)]
// with U = e1^T C_uu e1, V_jk = (e1^T C_pp e1)_jk/(w_j w_k), p = e1^T Q, s0 = p^T U p.
#include <math.h>

#include "physics/crystal.h"

#define HBAR_JS 1.054571817e-34
#define KB_JK 1.380649e-23

// Mass-weighted thermal covariances of displacements and momenta; false where a frequency is not positive.
static bool covariances(const xn_crystal *c, const double q[3], double temperature_k, double cuu[9], double cpp[9])
{
    double w2[3], e[9];
    xn_crystal_modes(c, q, w2, e);
    if (!(w2[0] > 0.0)) return false;
    for (int i = 0; i < 9; i++) cuu[i] = cpp[i] = 0.0;
    for (int j = 0; j < 3; j++) {
        double w = sqrt(w2[j]), coth = 1.0 / tanh(HBAR_JS * w / (2.0 * KB_JK * temperature_k));
        for (int i = 0; i < 9; i++) {
            double ee = e[3 * j + i / 3] * e[3 * j + i % 3];
            cuu[i] += ee * HBAR_JS / (2.0 * w) * coth;
            cpp[i] += ee * HBAR_JS * w / 2.0 * coth;
        }
    }
    return true;
}

static double form(const double a[3], const double m[9], const double b[3]) // a^T M b
{
    double s = 0.0;
    for (int i = 0; i < 9; i++) s += a[i / 3] * m[i] * b[i % 3];
    return s;
}

int xn_crystal_lines(const xn_crystal *before, const xn_crystal *after, const double q_2pi_a[3], double temperature_k,
                     double msd_ang2, double *i1, double *mean, double nu1_thz[3], xn_line lines[9])
{
    double cuu[9], cpp[9], w2[3], e[9], w[3], p[3];
    *i1 = *mean = NAN;
    xn_crystal_modes(after, q_2pi_a, w2, e);
    bool stable = covariances(before, q_2pi_a, temperature_k, cuu, cpp) && w2[0] > 0.0;
    for (int j = 0; j < 3; j++) {
        w[j] = sqrt(fabs(w2[j]));
        nu1_thz[j] = copysign(w[j], w2[j]) / (2.0 * M_PI) * 1e-12;
        p[j] = e[3 * j] * q_2pi_a[0] + e[3 * j + 1] * q_2pi_a[1] + e[3 * j + 2] * q_2pi_a[2];
    }
    if (!stable) return 0;
    double s0 = form(q_2pi_a, cuu, q_2pi_a), to_inv_ang = 2.0 * M_PI / before->a_ang, q2 = 0.0;
    for (int i = 0; i < 3; i++) q2 += q_2pi_a[i] * q_2pi_a[i];
    double q_inv_ang = sqrt(q2) * to_inv_ang, f = xn_crystal_form_factor(before, q_inv_ang);
    *i1 = f * f * exp(-q_inv_ang * q_inv_ang * msd_ang2) * s0 * to_inv_ang * to_inv_ang / before->mass_kg * 1e20;
    *mean = -1.0;
    int n = 0;
    for (int j = 0; j < 3; j++)
        for (int k = 0; k <= j; k++) {
            double u = form(&e[3 * j], cuu, &e[3 * k]), v = form(&e[3 * j], cpp, &e[3 * k]) / (w[j] * w[k]);
            double twice = j == k ? 1.0 : 2.0, weight = twice * p[j] * p[k] / s0;
            lines[n++] = (xn_line){nu1_thz[j] + nu1_thz[k], weight * (u - v) / 2.0, k, j, 0};
            if (j == k)
                *mean += weight * (u + v) / 2.0;
            else
                lines[n++] = (xn_line){nu1_thz[j] - nu1_thz[k], weight * (u + v) / 2.0, k, j, 1};
        }
    return n;
}
