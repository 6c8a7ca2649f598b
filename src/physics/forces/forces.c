// SPDX-License-Identifier: BSD-3-Clause
// forces.c -- the list of force constants: made, completed, freed; images of a supercell: see forces.h.
#include "physics/forces/forces.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "physics/lattice.h"

#define SAME_DISTANCE 1e-4 // Angstrom: images of a pair that are equally near within the digits of the files

void xn_forces_free(xn_forces *f)
{
    void *all[] = {f->position, f->form_factor, f->mass_u, f->element,    f->force,
                   f->born,     f->image,       f->g,      f->dipole_self};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(f, 0, sizeof *f);
}

xani_status xn_forces_begin(xn_ctx *ctx, const double cell[9], int n_atoms, xn_forces *f)
{
    memset(f, 0, sizeof *f);
    size_t n = (size_t)n_atoms;
    memcpy(f->cell, cell, sizeof f->cell);
    if (n_atoms < 1 || !(fabs(xn_mat3_determinant(cell)) > 1e-6))
        return xn_fail(ctx, XANI_ERR_INPUT, "%d atoms in a cell of %g cubic Angstrom are no crystal", n_atoms,
                       fabs(xn_mat3_determinant(cell)));
    f->position = xn_calloc(n, sizeof *f->position);
    f->mass_u = xn_calloc(n, sizeof *f->mass_u);
    f->element = xn_calloc(n, sizeof *f->element);
    f->n_atoms = n_atoms;
    if (f->position != NULL && f->mass_u != NULL && f->element != NULL) return XANI_OK;
    xn_forces_free(f);
    return xn_fail_memory(ctx, "the atoms of a crystal", n * sizeof *f->position);
}

xani_status xn_forces_add(xn_ctx *ctx, xn_forces *f, int i, int j, const double r[3], const double phi[9])
{
    if (f->n == f->room) {
        int64_t room = xn_max64(256, 2 * f->room);
        xn_force *p = xn_realloc(f->force, (size_t)room, sizeof *p);
        if (p == NULL) return xn_fail_memory(ctx, "the force constants", (size_t)room * sizeof *p);
        f->force = p;
        f->room = room;
    }
    xn_force *one = &f->force[f->n++];
    one->i = i;
    one->j = j;
    memcpy(one->r, r, sizeof one->r);
    memcpy(one->phi, phi, sizeof one->phi);
    return XANI_OK;
}

// ---- images of a supercell

// v less whole steps of super, so that the nearest images are a step or two away.
static void wrap(const double super[9], const double inverse[9], double v[3])
{
    for (int k = 0; k < 3; k++) {
        double n = rint(v[0] * inverse[k] + v[1] * inverse[3 + k] + v[2] * inverse[6 + k]);
        for (int c = 0; c < 3; c++) v[c] -= n * super[3 * k + c];
    }
}

int xn_nearest_images(const double from[3], const double to[3], const double super[9], double image[XN_IMAGES][3])
{
    enum { REACH = 2 };
    double inverse[9], v[3] = {to[0] - from[0], to[1] - from[1], to[2] - from[2]}, least = INFINITY;
    int n = 0;
    if (!xn_mat3_inverse(super, inverse)) return 0;
    wrap(super, inverse, v);             // rows of super as basis: coefficients are v times its inverse
    for (int pass = 0; pass < 2; pass++) // the distance first, then all that have it
        for (int m = 0; m < XN_IMAGES; m++) {
            int a = m / 25 - REACH, b = m / 5 % 5 - REACH, c = m % 5 - REACH;
            double r[3];
            for (int k = 0; k < 3; k++) r[k] = v[k] + a * super[k] + b * super[3 + k] + c * super[6 + k];
            double length = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
            if (pass == 0) least = fmin(least, length);
            if (pass == 1 && length <= least + SAME_DISTANCE) memcpy(image[n++], r, sizeof r);
        }
    return n;
}

xani_status xn_forces_add_images(xn_ctx *ctx, xn_forces *f, int i, int j, const double from[3], const double to[3],
                                 const double super[9], const double phi[9])
{
    double image[XN_IMAGES][3], share[9];
    int n = xn_nearest_images(from, to, super, image);
    if (n == 0) return xn_fail(ctx, XANI_ERR_INPUT, "the supercell has no volume");
    for (int k = 0; k < 9; k++) share[k] = phi[k] / n;
    for (int m = 0; m < n; m++) XN_TRY(xn_forces_add(ctx, f, i, j, image[m], share));
    return XANI_OK;
}

void xn_forces_reciprocal(const xn_forces *f, double b[9])
{
    double inverse[9];
    if (!xn_mat3_inverse(f->cell, inverse)) return; // xn_forces_begin saw to it
    for (int k = 0; k < 9; k++) b[k] = 2 * M_PI * inverse[k];
}

// ---- sum rule

double xn_forces_sum_rule(xn_forces *f)
{
    double largest = 0.0;
    for (int atom = 0; atom < f->n_atoms; atom++) {
        double sum[9] = {0};
        xn_force *self = NULL;
        for (int64_t k = 0; k < f->n; k++) {
            xn_force *one = &f->force[k];
            if (one->i != atom) continue;
            for (int c = 0; c < 9; c++) sum[c] += one->phi[c];
            bool own = one->j == atom && fabs(one->r[0]) + fabs(one->r[1]) + fabs(one->r[2]) < SAME_DISTANCE;
            if (own && self == NULL) self = one;
        }
        for (int c = 0; self != NULL && c < 9; c++) {
            self->phi[c] -= sum[c];
            largest = fmax(largest, fabs(sum[c]));
        }
    }
    return largest;
}

// ---- shells

#define SAME_SHELL 1e-3 // Angstrom

static double length_of(const xn_force *one)
{
    return sqrt(one->r[0] * one->r[0] + one->r[1] * one->r[1] + one->r[2] * one->r[2]);
}

int64_t xn_forces_scale_shell(xn_forces *f, int shell, double factor)
{
    double inner = 0.0, distance = 0.0;
    for (int k = 0; k < shell; k++) { // the least distance beyond the shell before
        distance = INFINITY;
        for (int64_t i = 0; i < f->n; i++) {
            double d = length_of(&f->force[i]);
            if (d > inner + SAME_SHELL) distance = fmin(distance, d);
        }
        if (!isfinite(distance)) return 0;
        inner = distance;
    }
    int64_t scaled = 0;
    for (int64_t i = 0; shell > 0 && i < f->n; i++) {
        if (fabs(length_of(&f->force[i]) - distance) > SAME_SHELL) continue;
        for (int c = 0; c < 9; c++) f->force[i].phi[c] *= factor;
        scaled++;
    }
    (void)xn_forces_sum_rule(f);
    return scaled;
}

// ---- copies

static void *copy_of(const void *from, size_t n, size_t size)
{
    void *to = from != NULL ? xn_alloc(n, size) : NULL;
    if (to != NULL && n > 0) memcpy(to, from, n * size);
    return to;
}

xani_status xn_forces_copy(xn_ctx *ctx, const xn_forces *from, xn_forces *to)
{
    size_t n = (size_t)from->n_atoms;
    *to = *from;
    to->position = copy_of(from->position, n, sizeof *to->position);
    to->mass_u = copy_of(from->mass_u, n, sizeof *to->mass_u);
    to->element = copy_of(from->element, n, sizeof *to->element);
    to->form_factor = copy_of(from->form_factor, n, sizeof *to->form_factor);
    to->force = copy_of(from->force, (size_t)from->n, sizeof *to->force);
    to->born = copy_of(from->born, n, sizeof *to->born);
    to->image = copy_of(from->image, (size_t)from->n_images, sizeof *to->image);
    to->g = copy_of(from->g, (size_t)from->n_g, sizeof *to->g);
    to->dipole_self = copy_of(from->dipole_self, n, sizeof *to->dipole_self);
    to->room = from->n;
    bool whole = to->position && to->mass_u && to->element && to->force && (!from->form_factor || to->form_factor) &&
                 (!from->born || to->born) && (!from->image || to->image) && (!from->g || to->g) &&
                 (!from->dipole_self || to->dipole_self);
    if (whole) return XANI_OK;
    xn_forces_free(to);
    return xn_fail_memory(ctx, "a copy of the force constants", (size_t)from->n * sizeof *to->force);
}

// ---- elements

double xn_element_mass_u(const char *element)
{
    // Standard atomic weights, abridged (IUPAC 2021); radioactive elements without one are left out.
    static const struct {
        const char *element;
        double mass;
    } table[] = {
        {"H", 1.008},   {"He", 4.0026}, {"Li", 6.94},   {"Be", 9.0122}, {"B", 10.81},   {"C", 12.011},  {"N", 14.007},
        {"O", 15.999},  {"F", 18.998},  {"Ne", 20.180}, {"Na", 22.990}, {"Mg", 24.305}, {"Al", 26.982}, {"Si", 28.085},
        {"P", 30.974},  {"S", 32.06},   {"Cl", 35.45},  {"Ar", 39.95},  {"K", 39.098},  {"Ca", 40.078}, {"Sc", 44.956},
        {"Ti", 47.867}, {"V", 50.942},  {"Cr", 51.996}, {"Mn", 54.938}, {"Fe", 55.845}, {"Co", 58.933}, {"Ni", 58.693},
        {"Cu", 63.546}, {"Zn", 65.38},  {"Ga", 69.723}, {"Ge", 72.630}, {"As", 74.922}, {"Se", 78.971}, {"Br", 79.904},
        {"Kr", 83.798}, {"Rb", 85.468}, {"Sr", 87.62},  {"Y", 88.906},  {"Zr", 91.224}, {"Nb", 92.906}, {"Mo", 95.95},
        {"Ru", 101.07}, {"Rh", 102.91}, {"Pd", 106.42}, {"Ag", 107.87}, {"Cd", 112.41}, {"In", 114.82}, {"Sn", 118.71},
        {"Sb", 121.76}, {"Te", 127.60}, {"I", 126.90},  {"Xe", 131.29}, {"Cs", 132.91}, {"Ba", 137.33}, {"La", 138.91},
        {"Ce", 140.12}, {"Pr", 140.91}, {"Nd", 144.24}, {"Sm", 150.36}, {"Eu", 151.96}, {"Gd", 157.25}, {"Tb", 158.93},
        {"Dy", 162.50}, {"Ho", 164.93}, {"Er", 167.26}, {"Tm", 168.93}, {"Yb", 173.05}, {"Lu", 174.97}, {"Hf", 178.49},
        {"Ta", 180.95}, {"W", 183.84},  {"Re", 186.21}, {"Os", 190.23}, {"Ir", 192.22}, {"Pt", 195.08}, {"Au", 196.97},
        {"Hg", 200.59}, {"Tl", 204.38}, {"Pb", 207.2},  {"Bi", 208.98}, {"Th", 232.04}, {"U", 238.03}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].element, element) == 0) return table[i].mass;
    return NAN;
}
