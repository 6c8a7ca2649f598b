// SPDX-License-Identifier: BSD-3-Clause
// mirrored.c -- points that bins too wide may have mirrored, told from the others by force constants.
//
// Bins of width dt show an oscillation f above f_N = 1 / (2 dt) at its distance from the nearest multiple of 2 f_N.  A
// crystal that reaches beyond f_N makes every line below it ambiguous (points.c); where its constants are known, most
// are not: a line is its own when branches at its Q explain it better, by far, than the images of those above f_N do,
// by the cost of match.h, -2 ln of the odds.  Bins leave sin(pi f dt) / (pi f dt) of a line, which makes images faint.
// What the laser changed is not yet known here: phonons count as uncertain by XN_CHANGE of themselves.
#include <math.h>
#include <string.h>

#include "map/parts.h"

#define BETTER 10.0 // odds of 150 to 1
#define REACH 25.0  // what costs more explains nothing

static double visible(double f, double nyquist)
{
    double x = M_PI * f / (2.0 * nyquist);
    return x > 1e-6 ? fabs(sin(x)) / x : 1.0;
}

static double cost(const xn_observed *line, double expected, double sigma, double share)
{
    double z = (line->nu_thz - expected) / sqrt(line->sigma_thz * line->sigma_thz + sigma * sigma);
    return xn_match_cost(z, share);
}

// After xn_match of the line: whether it is that of a branch below f_N.
static bool is_own(const xn_matcher *m, const xn_observed *line, double nyquist)
{
    double own = REACH, image = INFINITY;
    for (int b = 0; b < m->branches; b++) {
        double f = line->f_per_nu * m->nu[b], share = m->share[b] * visible(f, nyquist), sigma = XN_CHANGE * m->nu[b];
        if (!(f > 0.0)) continue;
        double *least = f <= nyquist ? &own : &image;
        *least = fmin(*least, cost(line, xn_shown_at(f, nyquist) / line->f_per_nu, sigma, share));
    }
    return own + BETTER < image;
}

xani_status xn_mirrored_tell(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_modes *const *modes,
                             xn_collection *c)
{
    int64_t told = 0;
    bool good = true;
#pragma omp parallel num_threads(s->threads) reduction(&& : good) reduction(+ : told)
    {
        xn_matcher m;
        good = xn_matcher_open(&k->start, &m);
#pragma omp for schedule(static, 256)
        for (int64_t i = 0; i < c->points.n; i++) {
            xn_observed line;
            xn_matched out;
            if (!good || !c->points.alias[i] || !(modes[c->points.run[i]]->step_ps > 0.0)) continue;
            uint8_t mark = c->points.alias[i];
            c->points.alias[i] = XN_ALIAS_NO; // else it is not observed
            bool seen = xn_known_observe(k, c, i, &line);
            memset(line.edge, 0, sizeof line.edge); // branches at the middle of the group, each a line of its own:
            line.window_ps = 0.0;                   // maxima of a filter are not asked for
            bool own = seen && xn_match(&m, &k->start, &line, 1, &k->match, XN_CHANGE, &out) &&
                       is_own(&m, &line, 0.5 / modes[c->points.run[i]]->step_ps);
            c->points.alias[i] = own ? XN_ALIAS_NO : mark;
            told += own;
        }
        xn_matcher_close(&m);
    }
    if (!good) return xn_fail_memory(ctx, "the lines of branches", (size_t)c->points.n);
    c->aliased -= told;
    if (told > 0)
        xn_note(ctx, "aliasing: force constants tell %lld modes from mirrored ones, %lld not", (long long)told,
                (long long)c->aliased);
    return XANI_OK;
}
