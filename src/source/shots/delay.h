// SPDX-License-Identifier: BSD-3-Clause
// delay.h -- the corrected delay of a laser-on shot from its readings.
//
//   delay_ps = sign (sum_i scale_i (x_i - origin_i) + tt_sign sum_k c_k (x_tt - tt_origin)^k) - zero_ps
//
// Private to src/source.
#ifndef XN_SOURCE_SHOTS_DELAY_H
#define XN_SOURCE_SHOTS_DELAY_H

#include "core/config.h"

#define XN_DELAY_PARTS 16
#define XN_DELAY_COEFFICIENTS 16

typedef struct xn_delay_rule {
    double sign, zero_ps;
    int n_parts;
    const char *source[XN_DELAY_PARTS]; // borrowed from the configuration
    double scale_ps[XN_DELAY_PARTS], origin[XN_DELAY_PARTS];
    const char *tt_source; // NULL: no time tool
    double tt_sign, tt_origin;
    int n_c;
    double c_ps[XN_DELAY_COEFFICIENTS];
} xn_delay_rule;

// Sign and zero; binned: parts and time tool must be absent (the bins hold the delay), else there must be some.
xani_status xn_delay_rule_load(xn_ctx *ctx, const xn_config *config, bool binned, xn_delay_rule *rule);
// What the time tool adds to the delay, both signs included; NaN where the reading is.
double xn_delay_tool_ps(const xn_delay_rule *rule, double x_tt);
// x: one reading per part; x_tt is not looked at without a time tool.
double xn_delay_ps(const xn_delay_rule *rule, const double *x, double x_tt);

#endif
