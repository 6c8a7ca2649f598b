// SPDX-License-Identifier: BSD-3-Clause
// truth_band.c -- the true dispersion along the path, from the force constants a simulation stores.
//
// truth.h5 keeps the Born-von Karman tables before and after the change: neighbours r in a/2 and their tensors
// Phi in N/m.  For one atom per primitive cell the dynamical matrix at hkl (conventional units) is
//   D(hkl) = sum_r Phi_r (1 - cos(pi hkl . r)) / m,   nu = sqrt(eigenvalue) / 2 pi
// (Born and Huang, Dynamical Theory of Crystal Lattices, 1954).  Eigenvalues of the symmetric 3x3 matrix by
// Jacobi rotations.  The report draws nu1 (after) beside the branches found and nu0 (before) for comparison.
#include <math.h>
#include <stdlib.h>

#include "cli/report.h"

#define SWEEPS 30

// Rotates so that a[p][q] becomes 0.
static void rotate(double a[3][3], int p, int q)
{
    if (a[p][q] == 0) return;
    double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]),
           t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < 3; k++) {
        double x = a[k][p], y = a[k][q];
        a[k][p] = c * x - s * y;
        a[k][q] = s * x + c * y;
    }
    for (int k = 0; k < 3; k++) {
        double x = a[p][k], y = a[q][k];
        a[p][k] = c * x - s * y;
        a[q][k] = s * x + c * y;
    }
}

static void eigenvalues(double a[3][3], double value[3])
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        rotate(a, 0, 1);
        rotate(a, 0, 2);
        rotate(a, 1, 2);
    }
    for (int i = 0; i < 3; i++) value[i] = a[i][i];
    for (int i = 0; i < 2; i++) // ascending
        for (int k = 0; k < 2 - i; k++)
            if (value[k] > value[k + 1]) {
                double v = value[k];
                value[k] = value[k + 1];
                value[k + 1] = v;
            }
}

// nu (branch, sample) along hkl (n, 3); NULL when the file has no such table. Owned.
static double *band(report *r, const char *group, const double *hkl, int64_t n)
{
    int64_t shape[2], other[3];
    double *nu = NULL, mass = report_attribute_number(r, r->truth.path, group, "mass_kg");
    char *name = cli_format("%s/neighbour", group);
    double *at = report_numbers(r, r->truth.path, name, 2, shape);
    free(name);
    name = cli_format("%s/tensor", group);
    double *tensor = at != NULL ? report_numbers(r, r->truth.path, name, 3, other) : NULL;
    free(name);
    if (tensor != NULL && mass > 0 && shape[1] == 3 && other[0] == shape[0] && other[1] == 3 && other[2] == 3) {
        nu = cli_alloc((size_t)(3 * n), sizeof *nu);
        for (int64_t i = 0; i < n; i++) {
            double d[3][3] = {{0}}, value[3];
            for (int64_t k = 0; k < shape[0]; k++) {
                double phase =
                    M_PI * (hkl[3 * i] * at[3 * k] + hkl[3 * i + 1] * at[3 * k + 1] + hkl[3 * i + 2] * at[3 * k + 2]);
                for (int e = 0; e < 9; e++) d[e / 3][e % 3] += tensor[9 * k + e] * (1 - cos(phase)) / mass;
            }
            eigenvalues(d, value);
            for (int b = 0; b < 3; b++) nu[b * n + i] = value[b] > 0 ? sqrt(value[b]) / (2e12 * M_PI) : 0;
        }
    }
    free(at);
    free(tensor);
    return nu;
}

void truth_bands(report *r)
{
    const report_dispersion *d = &r->dispersion;
    if (r->truth.n_runs == 0 || d->branch_hkl == NULL) return;
    r->truth.band_n = d->branch_n;
    r->truth.band_before = band(r, "/entry/force_constants_before", d->branch_hkl, d->branch_n);
    r->truth.band_after = band(r, "/entry/force_constants_after", d->branch_hkl, d->branch_n);
}
