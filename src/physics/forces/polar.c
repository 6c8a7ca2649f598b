// SPDX-License-Identifier: BSD-3-Clause
// polar.c -- the part of the dynamical matrix of a polar crystal that depends on the direction of q.
//
// Long-range dipoles make D non-analytic at q = 0 (Born and Huang 1954, section 33; Pick, Cohen and Martin, Phys. Rev.
// B 1, 910 (1970)).  Two ways to add them between the q points that fit into the supercell:
//
// dipoles (the default)   Gonze and Lee, Phys. Rev. B 55, 10355 (1997): their part of the constants is the sum over
//     reciprocal lattice vectors, K = q + G,
//       4 pi e^2 / V  sum_G (K.Z_i)_a (K.Z_j)_b / (K.eps.K) exp(-K.eps.K / 4 L^2) exp(-i G.(r_j - r_i))
//     less its sum at q = 0 for the atom with itself.  It is taken off the constants at the points of the supercell
//     (dipoles.c) and put back at any q; what remains is short.
// mixed space             Wang et al., J. Phys. Condens. Matter 22, 202201 (2010): one term, K = q, spread over the N
//     cells of the supercell,
//       4 pi e^2 / V  (q.Z_i)_a (q.Z_j)_b / (q.eps.q)  (1/N) sum_R exp(i q.(R + r_j - r_i)),
//     which vanishes at those points except q = 0.  q is folded into the zone first for the charges, because the term
//     is not periodic; the phases keep the full q.
#include <math.h>
#include <string.h>

#include "physics/forces/forces.h"
#include "physics/lattice.h"

#define COULOMB_EV_ANG 14.3996454784255 // e^2 / (4 pi eps_0), CODATA 2018
#define AT_CENTRE 1e-6                  // 1/Angstrom

// q less the nearest reciprocal lattice vector.
static void fold(const double cell[9], const double q[3], double out[3])
{
    double inverse[9], base[3], least = INFINITY;
    if (!xn_mat3_inverse(cell, inverse)) return;
    memcpy(base, q, sizeof base);
    for (int k = 0; k < 3; k++) { // columns of the inverse, times 2 pi, are the reciprocal vectors
        double n = rint((q[0] * cell[3 * k] + q[1] * cell[3 * k + 1] + q[2] * cell[3 * k + 2]) / (2 * M_PI));
        for (int c = 0; c < 3; c++) base[c] -= 2 * M_PI * n * inverse[3 * c + k];
    }
    for (int m = 0; m < 27; m++) {
        int n[3] = {m / 9 - 1, m / 3 % 3 - 1, m % 3 - 1};
        double p[3];
        for (int c = 0; c < 3; c++)
            p[c] = base[c] + 2 * M_PI * (n[0] * inverse[3 * c] + n[1] * inverse[3 * c + 1] + n[2] * inverse[3 * c + 2]);
        double square = p[0] * p[0] + p[1] * p[1] + p[2] * p[2];
        if (square >= least - 1e-12) continue;
        least = square;
        memcpy(out, p, sizeof p);
    }
}

double xn_forces_cells(const xn_forces *f)
{
    double m[9];
    for (int k = 0; k < 9; k++) m[k] = f->supercell[k];
    return fabs(xn_mat3_determinant(m));
}

// (k.Z)_a: rows of Z belong to the field, columns to the displacement.
void xn_born_along(const xn_forces *f, int atom, const double k[3], double z[3])
{
    const double *born = f->born[atom];
    for (int a = 0; a < 3; a++) z[a] = k[0] * born[a] + k[1] * born[3 + a] + k[2] * born[6 + a];
}

static void add_mixed(const xn_forces *f, const double q[3], const double *towards, double complex *d)
{
    double k[3] = {0}, ek[3];
    fold(f->cell, q, k);
    if (sqrt(k[0] * k[0] + k[1] * k[1] + k[2] * k[2]) < AT_CENTRE) {
        if (towards == NULL) return;
        memcpy(k, towards, sizeof k);
    }
    xn_mat3_vec(f->epsilon, k, ek);
    double screened = k[0] * ek[0] + k[1] * ek[1] + k[2] * ek[2];
    if (!(screened > 0)) return;
    double cells = xn_forces_cells(f);
    double scale =
        4 * M_PI * COULOMB_EV_ANG * XN_NEWTON_PER_EV_ANG2 / fabs(xn_mat3_determinant(f->cell)) / screened / cells;
    int n = 3 * f->n_atoms;
    for (int64_t m = 0; m < f->n_images; m++) {
        const xn_pair_image *one = &f->image[m];
        double phase = q[0] * one->r[0] + q[1] * one->r[1] + q[2] * one->r[2], zi[3], zj[3];
        double complex turn =
            scale * one->share * (cos(phase) + I * sin(phase)) / sqrt(f->mass_u[one->i] * f->mass_u[one->j]);
        xn_born_along(f, one->i, k, zi);
        xn_born_along(f, one->j, k, zj);
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                d[(size_t)(3 * one->i + a) * (size_t)n + (size_t)(3 * one->j + b)] += turn * zi[a] * zj[b];
    }
}

// ---- dipoles

// exp(-K.eps.K / 4 L^2) falls to this at the ends of the sum.
#define LAST_TERM 1e-10

// The term of G, K = k; damping L^2, 0: none.
static void add_term(const xn_forces *f, const double g[3], const double k[3], double scale, double damping,
                     bool masses, double complex *d)
{
    int n = 3 * f->n_atoms;
    double ek[3], z[2][3];
    xn_mat3_vec(f->epsilon, k, ek);
    double screened = k[0] * ek[0] + k[1] * ek[1] + k[2] * ek[2];
    double weight = damping > 0 ? scale / screened * exp(-screened / (4 * damping)) : scale / screened;
    if (!(screened > 0) || weight < scale / screened * LAST_TERM) return;
    for (int i = 0; i < f->n_atoms; i++)
        for (int j = 0; j < f->n_atoms; j++) {
            double phase = 0, share = masses ? weight / sqrt(f->mass_u[i] * f->mass_u[j]) : weight;
            for (int c = 0; c < 3; c++) phase -= g[c] * (f->position[j][c] - f->position[i][c]);
            double complex turn = share * (cos(phase) + I * sin(phase));
            xn_born_along(f, i, k, z[0]);
            xn_born_along(f, j, k, z[1]);
            for (int a = 0; a < 3; a++)
                for (int b = 0; b < 3; b++)
                    d[(size_t)(3 * i + a) * (size_t)n + (size_t)(3 * j + b)] += turn * z[0][a] * z[1][b];
        }
}

void xn_forces_dipoles(const xn_forces *f, const double q[3], const double *towards, bool masses, double complex *d)
{
    double scale = 4 * M_PI * COULOMB_EV_ANG * XN_NEWTON_PER_EV_ANG2 / fabs(xn_mat3_determinant(f->cell)), k[3];
    for (int64_t g = 0; g < f->n_g; g++) {
        double square = 0;
        for (int c = 0; c < 3; c++) {
            k[c] = q[c] + f->g[g][c];
            square += k[c] * k[c];
        }
        if (square > AT_CENTRE * AT_CENTRE)
            add_term(f, f->g[g], k, scale, f->lambda_sq, masses, d);
        else if (towards != NULL)
            add_term(f, f->g[g], towards, scale, 0.0, masses, d);
    }
}

static void add_dipoles(const xn_forces *f, const double q[3], const double *towards, double complex *d)
{
    xn_forces_dipoles(f, q, towards, true, d);
    int n = 3 * f->n_atoms;
    for (int i = 0; i < f->n_atoms; i++)
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++)
                d[(size_t)(3 * i + a) * (size_t)n + (size_t)(3 * i + b)] -= f->dipole_self[i][3 * a + b] / f->mass_u[i];
}

void xn_forces_polar_add(const xn_forces *f, const double q[3], const double *towards, double complex *d)
{
    if (f->n_g > 0)
        add_dipoles(f, q, towards, d);
    else
        add_mixed(f, q, towards, d);
}
