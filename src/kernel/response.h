// SPDX-License-Identifier: BSD-3-Clause
// response.h -- one damped oscillation switched on at time zero and seen through a Gaussian response, for one number.
//
// The kernels' formula (response_lanes.h) in double, for what is done once per result: covariances.
#ifndef XN_KERNEL_RESPONSE_H
#define XN_KERNEL_RESPONSE_H

// U(t) = exp(z t) from t = 0 on, z = -g + i w, convolved with a Gaussian of rms s > 0, and dU/dz: real, imaginary part.
// All in one unit of time. w s up to 30, g s up to 6; t: any.
void xn_response(double g, double w, double s, double t, double u[2], double slope[2]);

#endif
