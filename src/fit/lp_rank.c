// SPDX-License-Identifier: BSD-3-Clause
// lp_rank.c -- how many singular values of a Hankel matrix belong to the signal.
//
// Eigenvalues l_i are squares of singular values.  With c of them and k taken for signal, the likelihood of the others
// being all alike is compared with the number of parameters (Wax and Kailath, IEEE Trans. ASSP 33, 387 (1985)):
//   MDL  rows ((c - k) ln mean(l_k..) - sum ln l_k..) + k (2c - k)/2 ln rows
//   AIC  the same with k (2c - k) behind the plus
// Neighbouring rows of a Hankel matrix share samples, so its noise is not as alike as assumed, and AIC takes noise for
// signal, sometimes far beyond the limit: then the best rank within it counts.  MDL finds the modes of a trace with
// A/sigma = 10 in 97 of 100 and too few where the noise is stronger.
//   threshold  singular values above 1.3 sigma (sqrt rows + sqrt columns): the largest of pure noise stays below it in
//     99 of 100 traces.  sigma unknown: from the median singular value, as Gavish and Donoho (IEEE Trans. Inf.
//     Theory 60, 5040 (2014)) do for independent elements; of a Hankel matrix of noise with c <= rows it is
//     (1 - MEDIAN c/rows) sigma sqrt(rows), measured for 50 to 1024 samples within 1 % (one trace: 2 to 15 %).
//   gap  the largest ratio of one singular value to the next
#include "fit/lp_work.h"

#include <math.h>

#define ABOVE_NOISE 1.3
#define MEDIAN 0.18
#define FLOOR 1e-15 // of the largest eigenvalue: rounding

static double likelihood_rule(const double *l, int c, int k, int rows, double floor, bool mdl)
{
    double sum = 0, logs = 0;
    for (int i = k; i < c; i++) {
        sum += fmax(l[i], floor);
        logs += log(fmax(l[i], floor));
    }
    const double parameters = k * (2.0 * c - k);
    return rows * ((c - k) * log(sum / (c - k)) - logs) + parameters * (mdl ? 0.5 * log(rows) : 1);
}

int xn_lp_rank_choose(const xani_lp_options *o, const double *l, int c, int rows, int columns, int most)
{
    if (most > c - 1) most = c - 1;
    if (!(l[0] > 0)) return 0;
    const double floor = FLOOR * c * l[0];
    int best = 0;
    if (o->rank_rule == XANI_LP_RANK_GAP) {
        double widest = 0;
        for (int k = 1; k <= most; k++) {
            const double ratio = fmax(l[k - 1], floor) / fmax(l[k], floor);
            if (ratio > widest) widest = ratio, best = k;
        }
    } else if (o->rank_rule == XANI_LP_RANK_THRESHOLD) {
        double sigma = o->noise;
        if (!(sigma > 0)) sigma = sqrt(fmax(l[c / 2], floor) / rows) / (1 - MEDIAN * c / rows);
        const double bar = ABOVE_NOISE * sigma * (sqrt(rows) + sqrt(columns));
        while (best < most && l[best] > fmax(bar * bar, floor)) best++;
    } else {
        double least = INFINITY;
        for (int k = 0; k <= most; k++) {
            const double v = likelihood_rule(l, c, k, rows, floor, o->rank_rule == XANI_LP_RANK_MDL);
            if (v < least) least = v, best = k;
        }
    }
    return best;
}
