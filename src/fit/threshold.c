// SPDX-License-Identifier: BSD-3-Clause
// threshold.c -- when a mode is significant.
//
// Preliminary form: see below.
#include "fit/plan.h"

#include <math.h>

double xn_fit_threshold(double asked, double lines, double samples, double *false_alarm)
{
    (void)lines;
    (void)samples;
    *false_alarm = 0.005;
    return asked > 0.0 ? asked : 25.0;
}
