// SPDX-License-Identifier: BSD-3-Clause
// match.h -- which branch of given force constants a measured line belongs to, and what it should then read.
//
// A line is explained by a branch at the cost (nu - nu_b)^2 / s^2 - 2 ln v_b, with the visibility v_b = |a.e_b|^2
// coth / nu_b of the branch's pair line among all branches at that Q (a: scatter.h).  Lines of one pixel group are
// different branches.  A branch that is too weak, or too near, to be fitted by a line of its own pulls the line beside
// it: all lines begin with one phase, so to first order sin(dw t) times its relative visibility is fitted by a shift of
// the frequency (and the phase), with weights exp(-2 g t) over the delay window.  A branch that no line was fitted to
// cannot be stronger than what would have been significant.  What a group of
// pixels sees is spread over its extent: half of the rms of nu within it is added to the error in quadrature.
#ifndef XN_PHYSICS_FORCES_MATCH_H
#define XN_PHYSICS_FORCES_MATCH_H

#include "physics/forces/scatter.h"

#define XN_MATCH_LINES 16 // of one pixel group

// Lines that follow each other with the same q are of one pixel group.
typedef struct xn_observed {
    double q[3]; // total Q, 1/Angstrom, in the frame of the crystal: phases and visibility
    double nu_thz, sigma_thz;
    double window_ps;                // of the delays fitted; 0: lines do not pull each other
    double noise;                    // error of the amplitude over the amplitude
    double damping_per_ps, f_per_nu; // of the line's amplitude; 2 for a pair
    double extent;                   // edge of the pixel group, 1/Angstrom; 0: a point
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
    int branch;       // -1: refused
    double nu_thz;    // to be expected
    double sigma_thz; // of the difference
    double *mix;      // (branches) d nu_thz / d nu_b; in the matcher's memory
} xn_matched;

// Room of one thread.
typedef struct xn_matcher {
    int branches;
    double *nu, *share, *mix; // (branches), (branches), (lines, branches)
    double complex *e, *work, *d, *shifted;
} xn_matcher;

bool xn_matcher_open(const xn_forces *f, xn_matcher *m); // false: no memory; close it all the same
void xn_matcher_close(xn_matcher *m);
// n lines of one group, at most XN_MATCH_LINES. spread[n]: rms of nu within the group, as xn_match_spread has it, or
// NULL. width: errors are taken so many times as large. False: no eigenvalues. m->nu and m->e belong to q afterwards.
bool xn_match(xn_matcher *m, const xn_forces *f, const xn_observed *line, int n, const double *spread,
              const xn_match_options *o, double width, xn_matched *out);
// After xn_match: rms of nu of a branch over the extent of its pixel group, from its gradient.
double xn_match_spread(xn_matcher *m, const xn_forces *f, const xn_observed *line, int branch);

#endif
