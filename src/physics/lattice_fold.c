// SPDX-License-Identifier: BSD-3-Clause
// lattice_fold.c -- reduced primitive reciprocal basis, Voronoi vectors and exact folding.
//
// A point q lies in the first zone if and only if no reciprocal lattice vector v satisfies |q - v| < |q|, and it
// is enough to ask the Voronoi-relevant v (Voronoi 1908).  So descent over them ends at the nearest lattice
// point, for any cell however skewed.  The vectors kept are the shortest of each non-zero class modulo 2: two
// lattice points that are equally near to q always differ by such a vector, so one pass over them finds all ties.
// Method: Conway and Sloane, Proc. R. Soc. A 436, 55 (1992); Minkowski reduction by pairwise and triple steps.
#include "physics/lattice.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define TIE 1e-9 // relative; also the slack with which two lengths count as equal

static double dot3(const double a[3], const double b[3]) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Primitive reciprocal vectors in conventional hkl (rows); R in hexagonal axes, obverse (-h + k + l = 3n).
static const struct {
    char centring;
    int rows[9];
} primitive[] = {{'P', {1, 0, 0, 0, 1, 0, 0, 0, 1}},  {'A', {1, 0, 0, 0, 1, 1, 0, -1, 1}},
                 {'B', {1, 0, 1, 0, 1, 0, -1, 0, 1}}, {'C', {1, 1, 0, -1, 1, 0, 0, 0, 1}},
                 {'I', {0, 1, 1, 1, 0, 1, 1, 1, 0}},  {'F', {-1, 1, 1, 1, -1, 1, 1, 1, -1}},
                 {'R', {1, 0, 1, -1, 1, 1, 0, -1, 1}}};

bool xn_lattice_allowed(const xn_lattice *l, const int hkl[3])
{
    int h = hkl[0], k = hkl[1], m = hkl[2];
    switch (l->centring) {
    case 'A':
        return (k + m) % 2 == 0;
    case 'B':
        return (h + m) % 2 == 0;
    case 'C':
        return (h + k) % 2 == 0;
    case 'I':
        return (h + k + m) % 2 == 0;
    case 'F':
        return (h + k) % 2 == 0 && (k + m) % 2 == 0;
    case 'R':
        return (-h + k + m) % 3 == 0;
    default:
        return true;
    }
}

static void cartesian(const xn_lattice *l, const int hkl[3], double v[3])
{
    const double d[3] = {hkl[0], hkl[1], hkl[2]};
    xn_mat3_vec(l->b, d, v);
}

// Shortens basis vector i by integer multiples of the two others until nothing helps. True when it changed.
static bool shorten(const xn_lattice *l, int hkl[9], int i)
{
    const int *u = hkl + 3 * ((i + 1) % 3), *w = hkl + 3 * ((i + 2) % 3);
    bool changed = false;
    for (bool again = true; again;) {
        again = false;
        double v[3], best;
        cartesian(l, hkl + 3 * i, v);
        best = dot3(v, v) * (1.0 - TIE);
        int winner[3] = {0};
        for (int a = -2; a <= 2; a++)
            for (int b = -2; b <= 2; b++) {
                int t[3];
                for (int k = 0; k < 3; k++) t[k] = hkl[3 * i + k] + a * u[k] + b * w[k];
                cartesian(l, t, v);
                if (dot3(v, v) >= best) continue;
                best = dot3(v, v);
                memcpy(winner, t, sizeof t);
                again = true;
            }
        if (again) memcpy(hkl + 3 * i, winner, sizeof winner);
        changed = changed || again;
    }
    return changed;
}

static void add_voronoi(xn_lattice *l, const int hkl[3], const double v[3])
{
    if (l->n_voronoi == 32) return; // at most 26 exist in three dimensions
    memcpy(l->voronoi[l->n_voronoi], v, 3 * sizeof *v);
    memcpy(l->voronoi_hkl[l->n_voronoi], hkl, 3 * sizeof *hkl);
    l->voronoi_sq[l->n_voronoi++] = dot3(v, v);
}

// In a reduced basis the shortest vectors of a class modulo 2 have coefficients within +-2.
static void find_voronoi(xn_lattice *l)
{
    l->n_voronoi = 0;
    for (int class = 1; class < 8; class ++) {
        double shortest = INFINITY;
        for (int pass = 0; pass < 2; pass++)
            for (int n = 0; n < 343; n++) {
                int c[3] = {n / 49 - 3, n / 7 % 7 - 3, n % 7 - 3}, hkl[3] = {0};
                if (((c[0] & 1) | (c[1] & 1) << 1 | (c[2] & 1) << 2) != class) continue;
                for (int i = 0; i < 3; i++)
                    for (int k = 0; k < 3; k++) hkl[k] += c[i] * l->prim_hkl[3 * i + k];
                double v[3];
                cartesian(l, hkl, v);
                if (pass == 0)
                    shortest = fmin(shortest, dot3(v, v));
                else if (dot3(v, v) <= shortest * (1.0 + TIE))
                    add_voronoi(l, hkl, v);
            }
    }
}

void xn_lattice_reduce(xn_lattice *l)
{
    for (size_t i = 0; i < sizeof primitive / sizeof primitive[0]; i++)
        if (primitive[i].centring == l->centring) memcpy(l->prim_hkl, primitive[i].rows, sizeof l->prim_hkl);
    while (shorten(l, l->prim_hkl, 0) | shorten(l, l->prim_hkl, 1) | shorten(l, l->prim_hkl, 2)) {}
    double columns[9];
    for (int i = 0; i < 3; i++) {
        cartesian(l, l->prim_hkl + 3 * i, l->prim + 3 * i);
        for (int k = 0; k < 3; k++) columns[3 * k + i] = l->prim_hkl[3 * i + k];
    }
    xn_mat3_inverse(columns, l->prim_inv); // columns has determinant 1, 2, 3 or 4
    find_voronoi(l);
}

static bool smaller(const int a[3], const int b[3])
{
    for (int i = 0; i < 3; i++)
        if (a[i] != b[i]) return a[i] < b[i];
    return false;
}

void xn_lattice_fold(const xn_lattice *l, const double hkl[3], int g[3], double q[3])
{
    double c[3], rest[3], r[3];
    int best[3] = {0};
    xn_mat3_vec(l->prim_inv, hkl, c);
    for (int i = 0; i < 3; i++) {
        int n = (int)lrint(c[i]);
        for (int k = 0; k < 3; k++) best[k] += n * l->prim_hkl[3 * i + k];
    }
    for (int k = 0; k < 3; k++) rest[k] = hkl[k] - best[k];
    xn_mat3_vec(l->b, rest, r);
    // descent: each step shortens r, so it ends; the slack only stops steps that gain less than rounding
    for (;;) {
        int step = -1;
        double gain = 0.0;
        for (int i = 0; i < l->n_voronoi; i++) {
            double d = 2.0 * dot3(r, l->voronoi[i]) - l->voronoi_sq[i];
            if (d > TIE * l->voronoi_sq[i] && d > gain) gain = d, step = i;
        }
        if (step < 0) break;
        for (int k = 0; k < 3; k++) {
            best[k] += l->voronoi_hkl[step][k];
            r[k] -= l->voronoi[step][k];
        }
    }
    memcpy(g, best, sizeof best);
    for (int i = 0; i < l->n_voronoi; i++) {
        if (2.0 * dot3(r, l->voronoi[i]) - l->voronoi_sq[i] < -TIE * l->voronoi_sq[i]) continue;
        int other[3];
        for (int k = 0; k < 3; k++) other[k] = best[k] + l->voronoi_hkl[i][k];
        if (smaller(other, g)) memcpy(g, other, sizeof other);
    }
    for (int k = 0; k < 3; k++) rest[k] = hkl[k] - g[k];
    xn_mat3_vec(l->b, rest, q);
}

static bool inside(const xn_lattice *l, const double p[3])
{
    for (int i = 0; i < l->n_voronoi; i++)
        if (2.0 * dot3(p, l->voronoi[i]) > l->voronoi_sq[i] * (1.0 + 1e-7)) return false;
    return true;
}

void xn_lattice_zone_box(const xn_lattice *l, double half[3])
{
    half[0] = half[1] = half[2] = 0.0;
    for (int i = 0; i < l->n_voronoi; i++)
        for (int j = i + 1; j < l->n_voronoi; j++)
            for (int k = j + 1; k < l->n_voronoi; k++) {
                double m[9], inv[9], p[3], h[3];
                memcpy(m, l->voronoi[i], sizeof l->voronoi[i]);
                memcpy(m + 3, l->voronoi[j], sizeof l->voronoi[j]);
                memcpy(m + 6, l->voronoi[k], sizeof l->voronoi[k]);
                if (!xn_mat3_inverse(m, inv)) continue;
                const double d[3] = {l->voronoi_sq[i] / 2, l->voronoi_sq[j] / 2, l->voronoi_sq[k] / 2};
                xn_mat3_vec(inv, d, p);
                if (!inside(l, p)) continue;
                xn_mat3_vec(l->b_inv, p, h);
                for (int a = 0; a < 3; a++) half[a] = fmax(half[a], fabs(h[a]));
            }
}
