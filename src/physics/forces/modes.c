// SPDX-License-Identifier: BSD-3-Clause
// modes.c -- dynamical matrix and its eigenvalues: see forces.h.
//
// The matrix is made hermitian by averaging with its adjoint: constants from a file are symmetric to its digits only,
// and the antisymmetric rest is no force.  Eigenvalues by LAPACK's zheev (Anderson et al., LAPACK Users' Guide).
#include "physics/forces/forces.h"

#include <math.h>
#include <string.h>

#define lapack_complex_float float _Complex
#define lapack_complex_double double _Complex
#include <lapacke.h>

#define U_KG 1.66053906660e-27
#define BLOCK 8 // columns LAPACK works on at once

static void divide_by_masses(const xn_forces *f, double complex *d)
{
    int n = 3 * f->n_atoms;
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++) d[a * n + b] /= sqrt(f->mass_u[a / 3] * f->mass_u[b / 3]);
}

static double complex wave(const double q[3], const double r[3])
{
    double phase = q[0] * r[0] + q[1] * r[1] + q[2] * r[2];
    return cos(phase) + I * sin(phase);
}

static void add_pair(const xn_force *one, double complex turn, int n, double complex *d)
{
    double complex *block = d + (size_t)(3 * one->i) * (size_t)n + (size_t)(3 * one->j);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) block[a * n + b] += turn * one->phi[3 * a + b];
}

void xn_forces_matrix(const xn_forces *f, const double q[3], double complex *d)
{
    int n = 3 * f->n_atoms;
    memset(d, 0, (size_t)n * (size_t)n * sizeof *d);
    for (int64_t k = 0; k < f->n; k++) add_pair(&f->force[k], wave(q, f->force[k].r), n, d);
    divide_by_masses(f, d);
}

void xn_forces_matrices(const xn_forces *f, const double q[3], double step[2][3], int side, double complex *d)
{
    int n = 3 * f->n_atoms;
    size_t square = (size_t)n * (size_t)n;
    memset(d, 0, (size_t)(side * side) * square * sizeof *d);
    for (int64_t k = 0; k < f->n; k++) {
        const xn_force *one = &f->force[k];
        double complex middle = wave(q, one->r), u[3] = {1, 1, 1}, v[3] = {1, 1, 1};
        for (int s = 0; s < side && side > 1; s += side - 1) { // waves at -1 and 1
            u[s] = s > 0 ? conj(u[0]) : conj(wave(step[0], one->r));
            v[s] = s > 0 ? conj(v[0]) : conj(wave(step[1], one->r));
        }
        for (int s = 0; s < side * side; s++)
            add_pair(one, middle * u[s / side] * v[s % side], n, d + (size_t)s * square);
    }
    for (int s = 0; s < side * side; s++) divide_by_masses(f, d + (size_t)s * square);
}

// zheev wants columns: the row-major hermitian matrix is the conjugate of the column-major one, so its adjoint is
// given.
static void to_columns(const double complex *d, int n, double complex *columns)
{
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++) columns[b * n + a] = 0.5 * (d[a * n + b] + conj(d[b * n + a]));
}

size_t xn_forces_work(const xn_forces *f) // D, its columns, zheev's two arrays
{
    size_t n = 3 * (size_t)f->n_atoms;
    return 2 * n * n + BLOCK * n + 2 * n;
}

bool xn_forces_diagonalise(const xn_forces *f, const double q[3], const double *towards, double complex *d,
                           double complex *work, double *nu_thz, double complex *e)
{
    int n = 3 * f->n_atoms;
    size_t square = (size_t)n * (size_t)n;
    double complex *columns = work, *scratch = columns + square, *real = scratch + BLOCK * n;
    if (f->polar) xn_forces_polar_add(f, q, towards, d);
    to_columns(d, n, columns);
    lapack_int info = LAPACKE_zheev_work(LAPACK_COL_MAJOR, e != NULL ? 'V' : 'N', 'U', n, columns, n, nu_thz, scratch,
                                         BLOCK * n, (double *)real);
    for (int s = 0; s < n; s++) { // N/m/u -> (rad/s)^2 -> THz
        double w2 = nu_thz[s] / U_KG;
        nu_thz[s] = copysign(sqrt(fabs(w2)), w2) / (2.0 * M_PI) * 1e-12;
    }
    if (e != NULL) memcpy(e, columns, square * sizeof *e); // column s is eigenvector s
    return info == 0;
}

bool xn_forces_solve(const xn_forces *f, const double q[3], const double *towards, double complex *work, double *nu_thz,
                     double complex *e)
{
    size_t square = 9 * (size_t)f->n_atoms * (size_t)f->n_atoms;
    xn_forces_matrix(f, q, work);
    return xn_forces_diagonalise(f, q, towards, work, work + square, nu_thz, e);
}

xani_status xn_forces_modes(xn_ctx *ctx, const xn_forces *f, const double q[3], const double *towards, double *nu_thz,
                            double complex *e)
{
    double complex *work = xn_alloc(xn_forces_work(f), sizeof *work);
    if (work == NULL) return xn_fail_memory(ctx, "the dynamical matrix", xn_forces_work(f) * sizeof *work);
    bool good = xn_forces_solve(f, q, towards, work, nu_thz, e);
    xn_free(work);
    return good ? XANI_OK : xn_fail(ctx, XANI_ERR_INTERNAL, "the dynamical matrix has no eigenvalues");
}

void xn_forces_grid_point(const double b[9], int grid, double shift, int64_t k, double q[3])
{
    const int64_t at[3] = {k / ((int64_t)grid * grid), k / grid % grid, k % grid};
    double part[3];
    for (int c = 0; c < 3; c++) part[c] = ((double)at[c] + shift) / grid;
    xn_mat3_vec(b, part, q);
}

double xn_forces_max_thz(const xn_forces *f, int grid)
{
    double complex *work = xn_alloc(xn_forces_work(f), sizeof *work);
    double *nu = xn_alloc(3 * (size_t)f->n_atoms, sizeof *nu), b[9], q[3], most = NAN;
    xn_forces_reciprocal(f, b);
    for (int k = 1; work != NULL && nu != NULL && k < grid * grid * grid; k++) {
        xn_forces_grid_point(b, grid, 0.0, k, q);
        if (xn_forces_solve(f, q, NULL, work, nu, NULL)) most = fmax(most, nu[3 * f->n_atoms - 1]);
    }
    xn_free(nu);
    xn_free(work);
    return most;
}
