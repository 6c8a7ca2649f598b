// SPDX-License-Identifier: BSD-3-Clause
// background.c -- static scattering from brightness, where the crystal's own is known.
//
// Photons over polarisation and solid angle, y, are a straight line of the one-phonon intensity, y = a (I1 + B).
// Relative errors are alike, so that the sum of (a I1/y + a B/y - 1)^2 is least; pixel groups farther off than three
// spreads (saturated, beside a Bragg peak, shadowed) are left out and the line is drawn again.  B is believed where it
// stands out by three standard errors; what else depends on Q (several phonons, air) is in it, or in the slope.
#include <math.h>
#include <string.h>

#include "plan/plan.h"

#define ROUNDS 4
#define FARTHEST 3.0 // spreads
#define ENOUGH 50

typedef struct {
    double a, ab; // slope, intercept
    double b, b_error, spread;
    int64_t n;
} line;

static bool point(const xn_plan *p, int64_t i, double *x, double *z)
{
    const xn_plan_group *g = &p->group[i];
    const float *measured = p->measured[g->run];
    if (measured == NULL || !(g->intensity > 0.0) || !((double)measured[g->at] > 0.0)) return false;
    *z = g->factor / (double)measured[g->at];
    *x = g->intensity * *z;
    return true;
}

// The line through groups that lie within `farthest` of the line before; false where there is none.
static bool draw(const xn_plan *p, double farthest, line *l)
{
    double xx = 0.0, xz = 0.0, zz = 0.0, sx = 0.0, sz = 0.0, x, z;
    int64_t n = 0;
    const line old = *l;
    for (int64_t i = 0; i < p->n_groups; i++) {
        if (!point(p, i, &x, &z) || fabs(old.a * x + old.ab * z - 1.0) > farthest) continue;
        xx += x * x;
        xz += x * z;
        zz += z * z;
        sx += x;
        sz += z;
        n++;
    }
    double determinant = xx * zz - xz * xz;
    if (n < ENOUGH || !(determinant > 1e-12 * xx * zz)) return false;
    l->a = (sx * zz - sz * xz) / determinant;
    l->ab = (sz * xx - sx * xz) / determinant;
    double squares = (double)n - l->a * sx - l->ab * sz, variance = fmax(squares, 0.0) / (double)(n - 2);
    l->n = n;
    l->spread = sqrt(variance);
    l->b = l->ab / l->a;
    // of ab/a: (zz-, xx- and xz-elements of the covariance are xx, zz, -xz over the determinant)
    l->b_error = sqrt(variance * (xx + 2.0 * l->b * xz + l->b * l->b * zz) / determinant) / fabs(l->a);
    return l->a > 0.0;
}

double xn_plan_background(const xn_plan *p)
{
    line l = {.a = 0.0, .ab = 0.0};
    if (!draw(p, INFINITY, &l)) return NAN;
    for (int round = 0; round < ROUNDS; round++)
        if (!draw(p, FARTHEST * l.spread, &l)) return NAN;
    return l.b > 3.0 * l.b_error ? l.b : NAN;
}
