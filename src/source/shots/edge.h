// SPDX-License-Identifier: BSD-3-Clause
// edge.h -- where the edge of one time-tool trace lies.
//
// Private to src/source/shots.  A trace is the light of the laser that came through a sample which X-rays made less (or
// more) transparent: along the pixels, that is along time, a step.  Divided by a reference without X-rays it is
//   q(x) = a + A Phi((x - p)/w),  Phi the normal distribution, p the edge, A/a the amplitude, w the width.
#ifndef XN_SOURCE_SHOTS_EDGE_H
#define XN_SOURCE_SHOTS_EDGE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct xn_edge_rule {
    int64_t first, end; // pixels looked at: [first, end)
    int64_t reach;      // pixels on either side of an edge that it is judged by
    double width_px;    // rms width w
    int sign;           // 1: q rises along the pixels, -1: it falls, 0: either
} xn_edge_rule;

typedef struct xn_edge {
    double position_px; // NaN: no pixels to find one in
    double amplitude;   // A/a; counted positive in the direction of the rule, always positive for either
    double error_px;    // standard deviation of the position from the scatter about the step; NaN when not known
} xn_edge;

// trace: of one shot; weight (inverse variance of q, up to a factor; 0: pixel is out) and reference: as made by
// xn_edge_weights. work: 2 (end - first + 1) numbers.
void xn_edge_find(const xn_edge_rule *rule, const double *trace, const double *reference, const double *weight,
                  double *work, xn_edge *edge);
// Weights for noise of the camera that is the same in all pixels: reference^2, 0 below 5 % of its greatest value.
// False when no pixel is left.
bool xn_edge_weights(const xn_edge_rule *rule, const double *reference, double *weight);

#endif
