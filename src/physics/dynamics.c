// SPDX-License-Identifier: BSD-3-Clause
// dynamics.c -- phonons of a monatomic crystal and its thermal diffuse scattering.
//
// D(q) = (1/m) sum_R F(R) (1 - cos(pi q.R)), q in 2 pi/a and R in a/2; eigenvalues (2 pi nu)^2.  The 3 x 3 problem
// is solved by cyclic Jacobi rotations (Golub and Van Loan, section 8.5), whose eigenvectors are orthonormal to
// rounding also where branches are degenerate.  Mean square displacement and form factor: science.md 13.2.
#include <math.h>
#include <string.h>

#include "physics/crystal.h"

#define HBAR_JS 1.054571817e-34
#define KB_JK 1.380649e-23

static void jacobi_rotate(double a[9], double v[9], int p, int q)
{
    double apq = a[3 * p + q];
    if (apq == 0.0) return;
    double theta = (a[3 * q + q] - a[3 * p + p]) / (2.0 * apq);
    double t = (theta >= 0.0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
    for (int k = 0; k < 3; k++) { // columns of A
        double akp = a[3 * k + p], akq = a[3 * k + q];
        a[3 * k + p] = c * akp - s * akq;
        a[3 * k + q] = s * akp + c * akq;
    }
    for (int k = 0; k < 3; k++) { // rows of A; columns of V
        double apk = a[3 * p + k], aqk = a[3 * q + k], vkp = v[3 * k + p], vkq = v[3 * k + q];
        a[3 * p + k] = c * apk - s * aqk;
        a[3 * q + k] = s * apk + c * aqk;
        v[3 * k + p] = c * vkp - s * vkq;
        v[3 * k + q] = s * vkp + c * vkq;
    }
    a[3 * p + q] = a[3 * q + p] = 0.0;
}

// Eigenvalues ascending, e[3*j+i] component i of vector j.
static void eigen3(double a[9], double w[3], double e[9])
{
    double v[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    double scale = fabs(a[0]) + fabs(a[4]) + fabs(a[8]);
    for (int sweep = 0; sweep < 30; sweep++) {
        if (fabs(a[1]) + fabs(a[2]) + fabs(a[5]) <= 1e-18 * scale) break;
        jacobi_rotate(a, v, 0, 1);
        jacobi_rotate(a, v, 0, 2);
        jacobi_rotate(a, v, 1, 2);
    }
    int order[3] = {0, 1, 2};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2 - i; j++)
            if (a[4 * order[j]] > a[4 * order[j + 1]]) {
                int swap = order[j];
                order[j] = order[j + 1];
                order[j + 1] = swap;
            }
    for (int j = 0; j < 3; j++) {
        w[j] = a[4 * order[j]];
        for (int i = 0; i < 3; i++) e[3 * j + i] = v[3 * i + order[j]];
    }
}

void xn_crystal_modes(const xn_crystal *c, const double q[3], double w2[3], double e[9])
{
    double d[9] = {0};
    for (int n = 0; n < c->n_neighbours; n++) {
        const double *r = c->r[n];
        double s = sin(0.5 * M_PI * (q[0] * r[0] + q[1] * r[1] + q[2] * r[2]));
        double weight = 2.0 * s * s / c->mass_kg; // 1 - cos x without cancellation near zone centres
        for (int i = 0; i < 9; i++) d[i] += weight * c->f[n][i];
    }
    eigen3(d, w2, e);
}

void xn_crystal_frequencies(const xn_crystal *c, const double q[3], double nu_thz[3])
{
    double w2[3], e[9];
    xn_crystal_modes(c, q, w2, e);
    for (int j = 0; j < 3; j++) nu_thz[j] = copysign(sqrt(fabs(w2[j])), w2[j]) / (2.0 * M_PI) * 1e-12;
}

double xn_crystal_max_thz(const xn_crystal *c)
{
    // A grid that holds the zone centre's neighbours and the corners X, L, K, W of the fcc zone.
    double top = 0.0;
    for (int i = 0; i <= 16; i++)
        for (int j = 0; j <= i; j++)
            for (int k = 0; k <= j; k++) {
                double nu[3], q[3] = {i / 16.0, j / 16.0, k / 16.0};
                xn_crystal_frequencies(c, q, nu);
                top = fmax(top, nu[2]);
            }
    return top;
}

double xn_crystal_msd(const xn_crystal *c, double temperature_k, int grid)
{
    // Zone mean over the primitive cell, q = B n with the columns of B the reciprocal basis of fcc.
    double sum = 0.0;
    for (int i = 0; i < grid; i++)
        for (int j = 0; j < grid; j++)
            for (int k = 0; k < grid; k++) {
                double x = (i + 0.5) / grid, y = (j + 0.5) / grid, z = (k + 0.5) / grid;
                double q[3] = {-x + y + z, x - y + z, x + y - z}, w2[3], e[9];
                xn_crystal_modes(c, q, w2, e);
                for (int b = 0; b < 3; b++) {
                    double w = sqrt(w2[b]);
                    sum += HBAR_JS / (2.0 * c->mass_kg * w) / tanh(HBAR_JS * w / (2.0 * KB_JK * temperature_k));
                }
            }
    return sum / (3.0 * grid * (double)grid * grid) * 1e20;
}

double xn_crystal_form_factor(const xn_crystal *c, double q_inv_ang)
{
    double s = q_inv_ang / (4.0 * M_PI), f = c->ff_c;
    for (int i = 0; i < 4; i++) f += c->ff_a[i] * exp(-c->ff_b[i] * s * s);
    return f;
}

double xn_element_max_thz(const char *element)
{
    // Zone-centre optical modes from Raman scattering and maxima of neutron dispersions, to two figures, enough for a
    // warning about aliasing: Landolt-Boernstein III/13a (1981) and III/17a (1982); Al and Cu as their shipped tables
    // have it, but no result may depend on whether those are found.
    static const struct {
        const char *element;
        double thz;
    } known[] = {{"Al", 9.72}, {"Cu", 7.29}, {"Si", 15.5}, {"Ge", 9.1}, {"C", 40.0}, {"Ni", 8.9}, {"Pb", 2.2},
                 {"Au", 4.7},  {"Ag", 5.1},  {"Fe", 9.3},  {"W", 6.9},  {"Mo", 8.2}, {"Nb", 6.7}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].element, element) == 0) return known[i].thz;
    return NAN;
}
