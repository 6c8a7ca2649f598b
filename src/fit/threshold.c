// SPDX-License-Identifier: BSD-3-Clause
// threshold.c -- when a mode is significant.
//
// D = delta chi^2/s^2 of one mode in pure noise is the largest of many peaks, so its tail is that of chi^2 with a
// factor for the number of frequencies searched and for the freedom in damping and amplitude:
//   P(D > x) = 1 - exp( -lines (0.29 x - 0.5) tail(x) ),     tail(x) = (1 + x/m)^(-m/2),
// lines = band times length of the trace, m = samples less parameters; tail is exp(-x/2) for known sigma and many
// samples, and heavier where s^2 comes from few residuals (the ratio of sums of squares).  The two constants were
// fitted to noise runs of this program (20 000 to 60 000 traces each): 50 to 800 samples, bands of 5 to 380 lines,
// backgrounds of degree 0 and 2.  Quantiles 99 % and 99.9 % of D measured / from the formula:
//   200 samples, 94 lines   23.0, 28.3 / 23.2, 29.0        50 samples, 23 lines    22.6, 30.4 / 23.9, 32.5
//   100 samples, 46 lines   22.5, 29.3 / 22.9, 29.4       200 samples, 20 lines    19.3, 24.9 / 19.4, 25.1
// tests/science/test_false_alarms.c repeats some of them.  With known sigma the true share is smaller.
#include "fit/plan.h"

#include <math.h>

#define FALSE_ALARM 0.005 // of the calibrated threshold: one noise trace in 200

static double share_above(double x, double lines, double freedom)
{
    const double peaks = lines * fmax(0.29 * x - 0.5, 0.1) * exp(-0.5 * freedom * log1p(x / freedom));
    return -expm1(-peaks);
}

double xn_fit_threshold(double asked, double lines, double samples, int tests, double *false_alarm)
{
    const double freedom = XN_FIT_FREEDOM(samples);
    if (asked > 0.0) {
        *false_alarm = tests * share_above(asked, lines, freedom);
        return asked;
    }
    double lo = 4.0, hi = 1000.0; // the share falls with the threshold
    for (int i = 0; i < 60; i++) {
        const double middle = 0.5 * (lo + hi);
        if (tests * share_above(middle, lines, freedom) > FALSE_ALARM)
            lo = middle;
        else
            hi = middle;
    }
    *false_alarm = tests * share_above(hi, lines, freedom);
    return hi;
}
