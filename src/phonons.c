// SPDX-License-Identifier: BSD-3-Clause
// phonons.c -- the public interface of physics/forces: see xani/phonons.h.
#include <math.h>
#include <string.h>

#include "physics/forces/forces.h"
#include "xani/xani.h"

struct xani_phonons {
    xn_forces f;
};

void xani_phonons_options_init(xani_phonons_options *options)
{
    if (options == NULL) return;
    memset(options, 0, sizeof *options);
    options->size = sizeof *options;
}

xani_status xani_phonons_open(xani_context *context, const char *path, const xani_phonons_options *options,
                              xani_phonons **phonons)
{
    xani_phonons_options o;
    xani_phonons_options_init(&o);
    XN_BEGIN(context);
    XN_NEED(context, phonons);
    *phonons = NULL;
    XN_NEED(context, path);
    if (options != NULL && options->size != sizeof o)
        return xn_fail(context, XANI_ERR_USAGE, "xani_phonons_options of another version: size %zu, not %zu",
                       options->size, sizeof o);
    if (options != NULL) o = *options;
    xani_phonons *p = xn_calloc(1, sizeof *p);
    if (p == NULL) return xn_fail_memory(context, "the phonons", sizeof *p);
    xani_status st =
        xn_forces_load(context, path, o.format, o.born, o.mixed_space ? XN_POLAR_MIXED : XN_POLAR_DIPOLES, &p->f);
    if (st == XANI_OK && o.sum_rule) (void)xn_forces_sum_rule(&p->f);
    if (st == XANI_OK)
        *phonons = p;
    else
        xn_free(p);
    return st;
}

void xani_phonons_close(xani_phonons **phonons)
{
    if (phonons == NULL || *phonons == NULL) return;
    xn_forces_free(&(*phonons)->f);
    xn_free(*phonons);
    *phonons = NULL;
}

int xani_phonons_atoms(const xani_phonons *phonons) { return phonons != NULL ? phonons->f.n_atoms : 0; }
int xani_phonons_polar(const xani_phonons *phonons) { return phonons != NULL ? phonons->f.polar : 0; }

int xani_phonons_conventional(const xani_phonons *phonons, double hkl_to_q[9])
{
    if (phonons == NULL || hkl_to_q == NULL) return 0;
    if (phonons->f.conventional) memcpy(hkl_to_q, phonons->f.hkl_to_q, sizeof phonons->f.hkl_to_q);
    return phonons->f.conventional;
}

void xani_phonons_crystal(const xani_phonons *phonons, double cell[9], double *positions, double *masses_u,
                          char *elements)
{
    if (phonons == NULL) return;
    const xn_forces *f = &phonons->f;
    size_t n = (size_t)f->n_atoms;
    if (cell != NULL) memcpy(cell, f->cell, sizeof f->cell);
    if (positions != NULL) memcpy(positions, f->position, n * sizeof *f->position);
    if (masses_u != NULL) memcpy(masses_u, f->mass_u, n * sizeof *f->mass_u);
    if (elements != NULL) memcpy(elements, f->element, n * sizeof *f->element);
}

static xani_status one_point(xn_ctx *ctx, const xn_forces *f, const double *q, const double *towards, double *nu,
                             double *vectors)
{
    size_t n = 3 * (size_t)f->n_atoms;
    double complex *e = vectors != NULL ? xn_alloc(n * n, sizeof *e) : NULL;
    if (vectors != NULL && e == NULL) return xn_fail_memory(ctx, "eigenvectors", n * n * sizeof *e);
    xani_status st = xn_forces_modes(ctx, f, q, towards, nu, e);
    for (size_t i = 0; st == XANI_OK && e != NULL && i < n * n; i++) {
        vectors[2 * i] = creal(e[i]);
        vectors[2 * i + 1] = cimag(e[i]);
    }
    xn_free(e);
    return st;
}

xani_status xani_phonons_at(xani_context *context, const xani_phonons *phonons, int64_t n, const double *q,
                            const double *towards, double *nu_thz, double *vectors)
{
    XN_BEGIN(context);
    XN_NEED(context, phonons);
    if (n < 0) return xn_fail(context, XANI_ERR_USAGE, "xani_phonons_at: n is negative");
    if (n == 0) return XANI_OK;
    XN_NEED(context, q);
    XN_NEED(context, nu_thz);
    const xn_forces *f = &phonons->f;
    const int64_t branches = 3 * (int64_t)f->n_atoms;
    int failed = XANI_OK;
    for (int64_t i = 0; i < 3 * n; i++)
        if (!isfinite(q[i])) return xn_fail(context, XANI_ERR_USAGE, "point %lld is no number", (long long)(i / 3));
#pragma omp parallel for schedule(dynamic, 16) num_threads(xn_threads(0)) if (n > 64)
    for (int64_t i = 0; i < n; i++) {
        int before;
#pragma omp atomic read
        before = failed;
        if (before != XANI_OK) continue;
        xani_status st = one_point(context, f, q + 3 * i, towards, nu_thz + i * branches,
                                   vectors != NULL ? vectors + 2 * i * branches * branches : NULL);
        if (st == XANI_OK) continue;
#pragma omp atomic write
        failed = (int)st;
    }
    return (xani_status)failed;
}
