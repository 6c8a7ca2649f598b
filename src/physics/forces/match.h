// SPDX-License-Identifier: BSD-3-Clause
// match.h -- which branch of given force constants a measured line belongs to, and what it should then read.
//
// A pixel group looks at a patch of the Ewald sphere, so its trace holds all pair lines of all places of the patch,
// sum_i w_i cos(k nu_i t), k = 2 pi f/nu, which begin with one phase; w: the visibility |a.e|^2 coth / nu (a:
// scatter.h). A fitted line A exp(-g t) cos(k nu t + phi) over a window T stands where
//   |P(nu)|^2,  P(nu) = sum_i w_i h(g + i k (nu - nu_i)),  h(z) = (1 - exp(-z T)) / z
// has a maximum: the fit is a matched filter.  So what a line should read follows without a fit, and with it the share
// d nu / d nu_i that each place and branch has in it (implicit differentiation; the shares add up to 1).  What is
// nearer to another line of the same group was fitted by that one and is left out.
//
// The patch is taken at 1, 4 or 9 places (Gauss-Legendre), as it is wide for the window.  A line is explained by a
// maximum at the cost (nu - nu_max)^2 / s^2 - 2 ln |P|, P relative to the strongest branch; its branch is the one with
// the largest share.
#ifndef XN_PHYSICS_FORCES_MATCH_H
#define XN_PHYSICS_FORCES_MATCH_H

#include <math.h>

#include "physics/forces/scatter.h"

#define XN_MATCH_LINES 16 // of one pixel group
#define XN_MATCH_PLACES 9
#define XN_MATCH_FAINT 1e-3 // least visibility: what is nearly invisible may still be seen by its neighbours

// -2 ln of the odds of a line that is z errors away from where something of this strength should be seen.
static inline double xn_match_cost(double z, double strength) { return z * z - 2.0 * log(strength + XN_MATCH_FAINT); }

// Lines that follow each other with the same q are of one pixel group.
typedef struct xn_observed {
    double q[3]; // total Q, 1/Angstrom, in the frame of the crystal: phases and visibility
    double nu_thz, sigma_thz;
    double window_ps;                // of the delays fitted; 0: every branch is a line of its own
    double damping_per_ps, f_per_nu; // of the line's amplitude; 2 for a pair
    double edge[2][3];               // edges of the pixel group, 1/Angstrom, in that frame; 0: a point
    int run;                         // lines of one run may be off together
} xn_observed;

static inline bool xn_same_group(const xn_observed *a, const xn_observed *b)
{
    return a->q[0] == b->q[0] && a->q[1] == b->q[1] && a->q[2] == b->q[2];
}

typedef struct xn_match_options {
    double temperature_k;   // visibility of a branch goes with its occupation
    double reach;           // lines that cost more than its square are refused
    double least_sigma_thz; // what the model itself is worth: added to the lines' own errors in quadrature
} xn_match_options;

typedef struct xn_matched {
    int branch;        // -1: refused
    double nu_thz;     // to be expected
    double model_thz;  // what nu_thz may be wrong by; the line's own error comes on top
    double spread_thz; // rms of the branch within the group
    double doubt_thz;  // rms of what the line would be off by, were it the other branches' that also explain it
    const double *mix; // (places, branches) d nu_thz / d nu; in the matcher's memory
} xn_matched;

typedef struct xn_component xn_component;

// Room of one thread.
typedef struct xn_matcher {
    int branches, places;
    double at[XN_MATCH_PLACES][3]; // Q of the places
    double *nu, *share;            // (places, branches); share: of the strongest branch's visibility
    double *mix;                   // (lines + 1, places, branches): the last is room
    double complex *e, *d, *work;  // e, d (places, branches, branches)
    xn_component *component;
} xn_matcher;

bool xn_matcher_open(const xn_forces *f, xn_matcher *m); // false: no memory; close it all the same
void xn_matcher_close(xn_matcher *m);
// n lines of one group, at most XN_MATCH_LINES. slack: a doubt about the branches, of their frequency, is added to
// the errors. False: no eigenvalues.
// m->at, nu and e belong to the group's places afterwards.
bool xn_match(xn_matcher *m, const xn_forces *f, const xn_observed *line, int n, const xn_match_options *o,
              double slack, xn_matched *out);

#endif
