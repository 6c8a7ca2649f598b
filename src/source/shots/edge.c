// SPDX-License-Identifier: BSD-3-Clause
// edge.c -- the edge of a time-tool trace: see edge.h (science.md 3, formats.md 14).
//
// 1. Matched filter for a step of unknown height on an unknown level: at every pixel the weighted mean of `reach`
// pixels
//    to the right less that to the left, over its standard deviation.  Running sums make it cost two additions a pixel,
//    whatever the reach.  Its greatest value is the edge within a few pixels.
// 2. Least squares with the smooth step, a + A Phi((x - p)/w), over the pixels within reach: Gauss-Newton from there.
//    For white noise this reaches the bound of Cramer and Rao, and its curvature gives the error.  A wrong w hardly
//    moves p, because the step is antisymmetric.
// A parabola through the three highest values of a filter, the field's usual refinement, pulls towards whole pixels.
// Where the fit does not settle the edge is that of the filter, without an error: nothing is dropped silently, the
// amplitude says what the edge is worth.
#include "source/shots/edge.h"

#include <math.h>

#define LEAST_LIGHT 0.05
#define ROUNDS 30
#define SETTLED_PX 1e-5

bool xn_edge_weights(const xn_edge_rule *rule, const double *reference, double *weight)
{
    double most = 0;
    for (int64_t i = rule->first; i < rule->end; i++)
        if (isfinite(reference[i])) most = fmax(most, reference[i]);
    for (int64_t i = rule->first; i < rule->end; i++) {
        double r = isfinite(reference[i]) ? reference[i] / most : 0.0;
        weight[i] = most > 0 && r > LEAST_LIGHT ? r * r : 0.0;
    }
    return most > 0;
}

// Weight and weighted sum of the pixels before each: w[k], wq[k] of the first k pixels of the rule.
static void running_sums(const xn_edge_rule *rule, const double *trace, const double *reference, const double *weight,
                         double *w, double *wq)
{
    w[0] = wq[0] = 0;
    for (int64_t k = 0; k < rule->end - rule->first; k++) {
        int64_t i = rule->first + k;
        double q = trace[i] / reference[i];
        bool good = weight[i] > 0 && isfinite(q);
        w[k + 1] = w[k] + (good ? weight[i] : 0.0);
        wq[k + 1] = wq[k] + (good ? weight[i] * q : 0.0);
    }
}

// Step 1: the pixel before which the edge lies, -1: none; the level before it and the step.
static int64_t coarse(const xn_edge_rule *rule, const double *w, const double *wq, double *level, double *step)
{
    int64_t n = rule->end - rule->first, reach = rule->reach, best = -1;
    double highest = 0;
    for (int64_t k = reach; k + reach <= n; k++) {
        double left = w[k] - w[k - reach], right = w[k + reach] - w[k];
        if (!(left > 0) || !(right > 0)) continue;
        double before = (wq[k] - wq[k - reach]) / left, after = (wq[k + reach] - wq[k]) / right;
        double rise = (after - before) / sqrt(1.0 / left + 1.0 / right);
        double score = rule->sign == 0 ? fabs(rise) : rule->sign * rise;
        if (best >= 0 && !(score > highest)) continue;
        best = k;
        highest = score;
        *level = before;
        *step = after - before;
    }
    return best;
}

// Normal equations of a + A Phi((x - p)/w) at the present values: 3 x 3, right side, sum of squares; pixels counted.
typedef struct normal {
    double m[3][3], g[3], squares;
    int n;
} normal;

static void add_pixels(const xn_edge_rule *rule, const double *trace, const double *reference, const double *weight,
                       int64_t from, int64_t to, const double z[3], normal *e)
{
    *e = (normal){0};
    for (int64_t i = from; i < to; i++) {
        double q = trace[i] / reference[i];
        if (!(weight[i] > 0) || !isfinite(q)) continue;
        double u = ((double)i - z[2]) / rule->width_px, phi = 0.5 * erfc(-u * M_SQRT1_2);
        double d[3] = {1.0, phi, -z[1] / rule->width_px * exp(-0.5 * u * u) / sqrt(2.0 * M_PI)};
        double r = q - z[0] - z[1] * phi;
        for (int a = 0; a < 3; a++) {
            for (int b = 0; b < 3; b++) e->m[a][b] += weight[i] * d[a] * d[b];
            e->g[a] += weight[i] * d[a] * r;
        }
        e->squares += weight[i] * r * r;
        e->n++;
    }
}

// Inverse by cofactors; false when singular.
static bool invert(const double m[3][3], double inverse[3][3])
{
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            int r0 = (b + 1) % 3, r1 = (b + 2) % 3, c0 = (a + 1) % 3, c1 = (a + 2) % 3;
            inverse[a][b] = m[r0][c0] * m[r1][c1] - m[r0][c1] * m[r1][c0];
        }
    double det = m[0][0] * inverse[0][0] + m[0][1] * inverse[1][0] + m[0][2] * inverse[2][0];
    if (!(fabs(det) > 1e-12 * fabs(m[0][0] * m[1][1] * m[2][2]))) return false;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) inverse[a][b] /= det;
    return true;
}

// Step 2 from z = {level, step, position}; true when it settled within reach of the start.
static bool refine(const xn_edge_rule *rule, const double *trace, const double *reference, const double *weight,
                   double z[3], double *error)
{
    double start = z[2], inverse[3][3];
    int64_t middle = (int64_t)ceil(start), from = middle - rule->reach, to = middle + rule->reach;
    for (int round = 0; round < ROUNDS; round++) {
        normal e;
        add_pixels(rule, trace, reference, weight, from, to, z, &e);
        if (e.n < 4 || !invert(e.m, inverse)) return false;
        double change[3] = {0};
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) change[a] += inverse[a][b] * e.g[b];
        change[2] = fmax(-rule->width_px, fmin(rule->width_px, change[2]));
        for (int a = 0; a < 3; a++) z[a] += change[a];
        if (!(fabs(z[2] - start) < 0.5 * (double)rule->reach)) return false;
        if (fabs(change[2]) > SETTLED_PX) continue;
        *error = sqrt(e.squares / (e.n - 3) * inverse[2][2]);
        return true;
    }
    return false;
}

void xn_edge_find(const xn_edge_rule *rule, const double *trace, const double *reference, const double *weight,
                  double *work, xn_edge *edge)
{
    double level = 0, step = 0, error = NAN, *w = work, *wq = work + (rule->end - rule->first + 1);
    *edge = (xn_edge){NAN, NAN, NAN};
    running_sums(rule, trace, reference, weight, w, wq);
    int64_t at = coarse(rule, w, wq, &level, &step);
    if (at < 0) return;
    double position = (double)(rule->first + at) - 0.5; // between this pixel's centre and the one before
    double z[3] = {level, step, position};
    if (refine(rule, trace, reference, weight, z, &error)) {
        level = z[0];
        step = z[1];
        position = z[2];
        edge->error_px = error;
    }
    edge->position_px = position;
    edge->amplitude = step / level;
    if (rule->sign == 0) edge->amplitude = fabs(edge->amplitude);
    if (rule->sign < 0) edge->amplitude = -edge->amplitude;
}
