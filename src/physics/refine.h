// SPDX-License-Identifier: BSD-3-Clause
// refine.h -- a small rotation of the crystal that explains the diffuse scattering of mean frames.
#ifndef XN_PHYSICS_REFINE_H
#define XN_PHYSICS_REFINE_H

#include "physics/forces/forces.h"

typedef struct xn_refine_point {
    double q[3];     // R^-1 Q_lab: in the laboratory at zero angles, 1/Angstrom
    double counts;   // photons per shot
    double variance; // of counts
    double factor;   // polarisation times solid angle
    int run;
} xn_refine_point;

typedef struct xn_refine_input {
    const xn_forces *forces;
    const double (*msd)[9]; // of each atom
    double temperature_k;
    double to_q[9]; // from the laboratory at zero angles to the frame of the force constants
    int64_t n;
    const xn_refine_point *point;
    int n_runs; // each has its own scale, background and slope with Q^2
    double range_deg;
    int threads;
} xn_refine_input;

typedef struct xn_refine_result {
    double rotation_deg[3]; // rotation vector in the laboratory at zero angles: UB becomes R(rotation) UB
    double error_deg[3];
    double angle_deg;
    double chi2_before, chi2_after; // per degree of freedom
    double explained;               // 1 - chi^2 over that of a background alone
    bool outside;                   // the best rotation found is beyond the range
    int steps;
    bool converged;
} xn_refine_result;

xani_status xn_refine_orientation(xn_ctx *ctx, const xn_refine_input *in, xn_refine_result *out);
void xn_rotation_vector(const double rotation_deg[3], double r[9]); // right-handed, row-major

#endif
