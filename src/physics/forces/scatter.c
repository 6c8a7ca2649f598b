// SPDX-License-Identifier: BSD-3-Clause
// scatter.c -- diffuse scattering and its lines after a sudden change of the force constants: see scatter.h.
//
// Units inside: masses in u, constants in N/m, so that w^2 comes in N/m/u; covariances are in Angstrom^2 u.  Form
// factors: International Tables' coefficients where the crystal brings them, else xraylib (Schoonjans et al.,
// Spectrochim. Acta B 66, 776 (2011)).
#include "physics/forces/scatter.h"

#include <math.h>
#include <string.h>
#include <xraylib.h>

#include "physics/forces/symmetry.h"

#define U_KG 1.66053906660e-27
#define HBAR_JS 1.054571817e-34
#define KB_JK 1.380649e-23

double xn_form_factor(const xn_forces *f, int atom, double q_inv_ang)
{
    double s = q_inv_ang / (4.0 * M_PI);
    if (f->form_factor != NULL) {
        const double *c = f->form_factor[atom];
        double sum = c[8];
        for (int i = 0; i < 4; i++) sum += c[i] * exp(-c[4 + i] * s * s);
        return sum;
    }
    int z = SymbolToAtomicNumber(f->element[atom], NULL);
    return z > 0 ? FF_Rayl(z, s, NULL) : NAN;
}

static double angular(double nu_thz) { return 2.0 * M_PI * 1e12 * nu_thz; } // rad/s

// Variance of a mode's mass-weighted displacement: hbar / 2 w coth(hbar w / 2 kB T), in Angstrom^2 u.
static double variance(double nu_thz, double temperature_k)
{
    double w = angular(nu_thz);
    return HBAR_JS / (2.0 * w) / tanh(HBAR_JS * w / (2.0 * KB_JK * temperature_k)) / U_KG * 1e20;
}

// ---- mean squares

typedef struct {
    const xn_forces *f;
    double temperature_k, reciprocal[9]; // columns
    int grid;
} zone;

// One point of the grid, added to msd.
static bool add_point(const zone *z, int64_t number, double *nu, double complex *e, double complex *work, double *msd,
                      int64_t *unstable)
{
    int n = z->f->n_atoms;
    double q[3];
    xn_forces_grid_point(z->reciprocal, z->grid, 0.5, number, q);
    if (!xn_forces_solve(z->f, q, NULL, work, nu, e)) return false;
    for (int s = 0; s < 3 * n; s++) {
        if (!(nu[s] > 0.0)) {
            ++*unstable;
            continue;
        }
        double v = variance(nu[s], z->temperature_k);
        for (int i = 0; i < n; i++) {
            const double complex *u = e + (size_t)s * 3 * (size_t)n + 3 * (size_t)i;
            for (int a = 0; a < 3; a++)
                for (int b = 0; b < 3; b++) msd[9 * i + 3 * a + b] += v * creal(u[a] * conj(u[b])) / z->f->mass_u[i];
        }
    }
    return true;
}

// Points first, first + step, ...: one thread's share, so that the sum does not depend on their order in time.
static xani_status add_share(xn_ctx *ctx, const zone *z, int first, int step, double *msd, int64_t *unstable)
{
    size_t branches = 3 * (size_t)z->f->n_atoms;
    double *nu = xn_alloc(branches, sizeof *nu);
    double complex *e = xn_alloc(branches * branches, sizeof *e), *work = xn_alloc(xn_forces_work(z->f), sizeof *work);
    xani_status st = nu != NULL && e != NULL && work != NULL
                         ? XANI_OK
                         : xn_fail_memory(ctx, "phonons", branches * branches * sizeof *e);
    int64_t points = (int64_t)z->grid * z->grid * z->grid;
    for (int64_t k = first; st == XANI_OK && k < points; k += step)
        if (!add_point(z, k, nu, e, work, msd, unstable))
            st = xn_fail(ctx, XANI_ERR_INTERNAL, "the dynamical matrix has no eigenvalues");
    xn_free(work);
    xn_free(nu);
    xn_free(e);
    return st;
}

#define SHARES 16 // fixed: the result has the same bits for any number of threads

xani_status xn_forces_msd(xn_ctx *ctx, const xn_forces *f, double temperature_k, int grid, int threads,
                          double (*msd)[9], int64_t *unstable)
{
    size_t n = 9 * (size_t)f->n_atoms;
    zone z = {.f = f, .temperature_k = temperature_k, .grid = grid};
    int64_t bad[SHARES] = {0};
    double *share = xn_calloc(SHARES * n, sizeof *share);
    if (share == NULL) return xn_fail_memory(ctx, "mean squares", SHARES * n * sizeof *share);
    xn_forces_reciprocal(f, z.reciprocal);
    int failed = XANI_OK;
#pragma omp parallel for num_threads(threads)
    for (int k = 0; k < SHARES; k++) {
        xani_status st = add_share(ctx, &z, k, SHARES, share + (size_t)k * n, &bad[k]);
        if (st != XANI_OK) {
#pragma omp atomic write
            failed = (int)st;
        }
    }
    double points = (double)grid * grid * grid, *out = msd[0];
    *unstable = 0;
    for (size_t i = 0; i < n; i++) {
        out[i] = 0.0;
        for (size_t k = 0; k < SHARES; k++) out[i] += share[k * n + i] / points;
    }
    for (int k = 0; k < SHARES; k++) *unstable += bad[k];
    xn_free(share);
    // the grid is not as symmetric as the crystal
    return failed == XANI_OK ? xn_symmetry_average(ctx, f, msd) : (xani_status)failed;
}

// ---- lines

struct xn_scattering {
    int n; // branches
    double *nu0;
    double complex *e0, *e1, *u, *v; // n x n each; rows of e: eigenvectors
    double complex *overlap, *p, *work;
    double *a;
};

int xn_squeezed_count(int branches) { return branches * branches; }

xn_scattering *xn_scattering_open(int n_atoms)
{
    xn_scattering *s = xn_calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    size_t n = 3 * (size_t)n_atoms;
    s->n = (int)n;
    s->nu0 = xn_alloc(n, sizeof *s->nu0);
    s->a = xn_alloc(n, sizeof *s->a);
    s->p = xn_alloc(n, sizeof *s->p);
    double complex **all[] = {&s->e0, &s->e1, &s->u, &s->v, &s->overlap};
    s->work = xn_alloc(xn_forces_work(&(xn_forces){.n_atoms = n_atoms}), sizeof *s->work);
    bool ok = s->nu0 != NULL && s->a != NULL && s->p != NULL && s->work != NULL;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        ok = (*all[i] = xn_alloc(n * n, sizeof **all[i])) != NULL && ok;
    if (!ok) xn_scattering_close(&s);
    return s;
}

void xn_scattering_close(xn_scattering **s_)
{
    xn_scattering *s = *s_;
    if (s == NULL) return;
    void *all[] = {s->nu0, s->a, s->p, s->work, s->e0, s->e1, s->u, s->v, s->overlap};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    xn_free(s);
    *s_ = NULL;
}

// a_i = f_i exp(-M_i) Q / sqrt(m_i), 2 M_i = Q^T <u u> Q.
static void set_amplitudes(xn_scattering *s, const xn_forces *f, const double q[3], const double (*msd)[9])
{
    double length = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]);
    for (int i = 0; i < f->n_atoms; i++) {
        double twice_m = 0.0;
        for (int k = 0; k < 9; k++) twice_m += q[k / 3] * msd[i][k] * q[k % 3];
        double factor = xn_form_factor(f, i, length) * exp(-0.5 * twice_m) / sqrt(f->mass_u[i]);
        for (int c = 0; c < 3; c++) s->a[3 * i + c] = factor * q[c];
    }
}

// U and V: covariances before the change in the eigenvectors after it, V over w_j w_k.
static void covariances(xn_scattering *s, double temperature_k, const double *nu1)
{
    size_t n = (size_t)s->n;
    for (size_t j = 0; j < n; j++) // <e1_j | e0_m>
        for (size_t m = 0; m < n; m++) {
            double complex sum = 0.0;
            for (size_t k = 0; k < n; k++) sum += conj(s->e1[j * n + k]) * s->e0[m * n + k];
            s->overlap[j * n + m] = sum;
        }
    for (size_t j = 0; j < n; j++)
        for (size_t k = 0; k < n; k++) {
            double complex u = 0.0, v = 0.0;
            for (size_t m = 0; m < n; m++) {
                double width = variance(s->nu0[m], temperature_k);
                double complex both = s->overlap[j * n + m] * conj(s->overlap[k * n + m]);
                u += both * width;
                v += both * width * s->nu0[m] * s->nu0[m];
            }
            s->u[j * n + k] = u;
            s->v[j * n + k] = v / (nu1[j] * nu1[k]);
        }
}

static int collect(const xn_scattering *s, const double *nu1, double i1, double *mean, xn_squeezed *lines)
{
    int count = 0, n = s->n;
    *mean = -1.0;
    for (int j = 0; j < n; j++)
        for (int i = 0; i <= j; i++) {
            size_t at = (size_t)j * (size_t)n + (size_t)i;
            double complex pp = s->p[j] * conj(s->p[i]) * (i == j ? 1.0 : 2.0) / i1;
            double sum = creal(pp * (s->u[at] - s->v[at])) / 2.0, difference = creal(pp * (s->u[at] + s->v[at])) / 2.0;
            lines[count++] = (xn_squeezed){nu1[j] + nu1[i], sum, i, j, false};
            if (i == j)
                *mean += difference;
            else
                lines[count++] = (xn_squeezed){nu1[j] - nu1[i], difference, i, j, true};
        }
    return count;
}

int xn_scattering_lines(xn_scattering *s, const xn_forces *before, const xn_forces *after, const double q[3],
                        double temperature_k, const double (*msd)[9], double *i1, double *mean, double *nu_thz,
                        xn_squeezed *lines)
{
    size_t n = (size_t)s->n;
    *i1 = *mean = NAN;
    for (size_t k = 0; k < n; k++) nu_thz[k] = NAN;
    if (!xn_forces_solve(before, q, NULL, s->work, s->nu0, s->e0)) return 0;
    if (!xn_forces_solve(after, q, NULL, s->work, nu_thz, s->e1)) return 0;
    if (!(s->nu0[0] > 0.0) || !(nu_thz[0] > 0.0)) return 0;
    set_amplitudes(s, before, q, msd);
    covariances(s, temperature_k, nu_thz);
    double total = 0.0;
    for (size_t m = 0; m < n; m++) { // I1 in the old eigenvectors
        double complex p = 0.0;
        for (size_t k = 0; k < n; k++) p += s->a[k] * s->e0[m * n + k];
        total += creal(p * conj(p)) * variance(s->nu0[m], temperature_k);
    }
    for (size_t j = 0; j < n; j++) {
        s->p[j] = 0.0;
        for (size_t k = 0; k < n; k++) s->p[j] += s->a[k] * s->e1[j * n + k];
    }
    *i1 = total;
    return total > 0.0 ? collect(s, nu_thz, total, mean, lines) : 0;
}
