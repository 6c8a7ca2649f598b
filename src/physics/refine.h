// SPDX-License-Identifier: BSD-3-Clause
// refine.h -- a small rotation of the crystal, or a small shift of the detector, that explains the diffuse scattering
// of mean frames.
#ifndef XN_PHYSICS_REFINE_H
#define XN_PHYSICS_REFINE_H

#include "physics/beam.h"
#include "physics/forces/forces.h"

typedef struct xn_refine_point {
    double q[3];     // R^-1 Q_lab: in the laboratory at zero angles, 1/Angstrom
    double counts;   // photons per shot
    double variance; // of counts
    double factor;   // polarisation times solid angle
    double solid;    // solid angle
    float at_m[3];   // where the pixel group is, laboratory
    int run;
} xn_refine_point;

typedef struct xn_refine_input {
    const xn_forces *forces;
    const double (*msd)[9]; // of each atom
    double temperature_k;
    double to_q[9]; // from the laboratory at zero angles to the frame of the force constants
    int64_t n;
    const xn_refine_point *point;
    int n_runs;              // each has its own scale, backgrounds and slope with Q^2
    const double (*back)[9]; // R^-1 of each run, as in point.q
    const xn_beam *beam;
    double distance_m; // from the sample to the detector, to one figure
    double normal[3];  // of the detector
    double range_deg;
    int threads;
} xn_refine_input;

typedef struct xn_refine_result {
    double rotation_deg[3]; // rotation vector in the laboratory at zero angles: UB becomes R(rotation) UB
    double error_deg[3];    // of a shift: shift / distance_m, taken as an angle
    double angle_deg;
    double chi2_before, chi2_after; // per degree of freedom
    double explained;               // 1 - chi^2 over that of a background alone
    bool outside;                   // the best rotation found is beyond the range
    int steps;
    bool converged;
} xn_refine_result;

xani_status xn_refine_orientation(xn_ctx *ctx, const xn_refine_input *in, xn_refine_result *out);
// The same for a shift of the detector in the laboratory. It tells a wrong geometry from a wrong orientation.
xani_status xn_refine_shift(xn_ctx *ctx, const xn_refine_input *in, xn_refine_result *out);
void xn_rotation_vector(const double rotation_deg[3], double r[9]); // right-handed, row-major

#endif
