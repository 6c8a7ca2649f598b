// SPDX-License-Identifier: BSD-3-Clause
// model.c -- crystal, detector and beam; brightness and lines of every pixel of a run.
//
// A pixel that sees Q counts, in a laser-off shot of mean intensity,
//   photons = scale P(Q) omega (I1(Q) + B)
// with the one-phonon intensity I1 and the static background B in electron units per atom, the polarisation factor
// P = p (1 - (k.e)^2) + (1-p) (1 - (k.e')^2), e' = z x e, and the pixel's share of solid angle omega (science.md 13.2,
// 10). The scale is such that the median pixel of the first run has sim.photons.  After the laser (science.md 13.3)
//   y(t) = sum_l A_l [exp(-g_l t) cos(2 pi f_l t) - exp(-t/T_r)] + h d (1 - exp(-t/T_h)),   t >= 0
// where A_l are the exact squeezing amplitudes times the dilution d = I1/(I1 + B), g of a pair line that of its branch
// and of a combination line the mean of its two branches'.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "source/sim/parts.h"

// ---- scattering geometry

static double polarisation(const xn_sim_model *m, const float *r)
{
    double x = (double)r[0], y = (double)r[1], z = (double)r[2];
    return xn_beam_polarisation_towards(&m->beam, x, y, sqrt(x * x + y * y + z * z));
}

// ---- one run

static xani_status run_angles(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, int run, xn_sim_view *v)
{
    v->n_angles = m->goniometer.n;
    for (int i = 0; i < v->n_angles; i++) v->angles_deg[i] = m->goniometer.circle[i].angle_deg;
    char key[XN_KEY_LENGTH];
    if (!m->s.has_runs || !xn_config_has(config, xn_key(key, "runs[%d].angle_deg", run))) return XANI_OK;
    int n = xn_config_doubles(config, key, v->angles_deg, 8);
    if (n != m->goniometer.n)
        return xn_config_bad(ctx, config, key, "has %d angles, geometry.goniometer has %d circles", n, m->goniometer.n);
    return XANI_OK;
}

static xani_status view_allocate(xn_ctx *ctx, xn_sim_view *v)
{
    size_t n = (size_t)v->model->npix, padded = xn_sim_padded(v->model->npix), lines = (size_t)v->model->n_lines;
    v->hkl = xn_alloc(3 * n, sizeof(double));
    v->nu = xn_alloc((size_t)v->model->branches * n, sizeof(double));
    v->photons = xn_alloc(n, sizeof(double));
    v->dilution = xn_alloc(n, sizeof(double));
    v->fast_photons = xn_calloc(padded, sizeof(float));
    v->fast_offset = xn_calloc(padded, sizeof(float));
    v->fast_dilution = xn_calloc(padded, sizeof(float));
    v->active = xn_calloc(padded / XN_SIM_BLOCK, lines);
    v->f = xn_calloc(lines, sizeof *v->f);
    v->amplitude = xn_calloc(lines, sizeof *v->amplitude);
    v->fast_f = xn_calloc(lines, sizeof *v->fast_f);
    v->fast_a = xn_calloc(lines, sizeof *v->fast_a);
    bool ok = v->hkl && v->nu && v->photons && v->dilution && v->fast_photons && v->fast_offset && v->fast_dilution &&
              v->active && v->f && v->amplitude && v->fast_f && v->fast_a;
    for (size_t l = 0; ok && l < lines; l++) {
        v->f[l] = xn_alloc(n, sizeof(double));
        v->amplitude[l] = xn_alloc(n, sizeof(double));
        v->fast_f[l] = xn_calloc(padded, sizeof(float));
        v->fast_a[l] = xn_calloc(padded, sizeof(float));
        ok = v->f[l] && v->amplitude[l] && v->fast_f[l] && v->fast_a[l];
    }
    return ok ? XANI_OK : xn_fail_memory(ctx, "the pixels of a simulated run", n * (lines + 4) * 24);
}

// hkl of each pixel: (R UB)^-1 Q_lab.
static xani_status view_hkl(xn_ctx *ctx, xn_sim_view *v)
{
    const xn_sim_model *m = v->model;
    xn_goniometer g = m->goniometer;
    for (int i = 0; i < g.n; i++) g.circle[i].angle_deg = v->angles_deg[i];
    double r[9], rub[9], inverse[9];
    xn_goniometer_matrix(&g, r);
    xn_mat3_mul(r, m->lattice.ub, rub);
    if (!xn_mat3_inverse(rub, inverse)) return xn_fail(ctx, XANI_ERR_CONFIG, "geometry.ub: is singular");
    xn_geometry_q(m->detector.geometry.position, m->npix, m->s.energy_kev, v->hkl);
    for (int64_t i = 0; i < m->npix; i++) {
        double q[3] = {v->hkl[3 * i], v->hkl[3 * i + 1], v->hkl[3 * i + 2]};
        xn_mat3_vec(inverse, q, v->hkl + 3 * i);
    }
    return XANI_OK;
}

// Lines of one pixel; returns the one-phonon intensity per atom. A pixel exactly on a reciprocal lattice point, or that
// no panel covers, has none.
static double pixel_lines(xn_sim_view *v, int64_t i, xn_scattering *room, xn_squeezed *lines)
{
    const xn_sim_model *m = v->model;
    double i1 = 0.0, mean, q[3], *nu = v->nu + m->branches * i;
    int n = 0;
    for (int b = 0; b < m->branches; b++) nu[b] = NAN;
    xn_mat3_vec(m->to_q, v->hkl + 3 * i, q);
    if (isfinite(q[0]))
        n = xn_scattering_lines(room, &m->before, &m->after, q, m->s.temperature_k, (const double(*)[9])m->msd, &i1,
                                &mean, nu, lines);
    for (int l = 0; l < m->n_lines; l++) { // all of them, or the pair lines
        const xn_sim_line *one = &m->line[l];
        const xn_squeezed *found = &lines[one->j * one->j + 2 * one->i + one->difference];
        v->f[l][i] = n > 0 ? found->f_thz : 0.0;
        v->amplitude[l][i] = n > 0 ? found->amplitude : 0.0;
    }
    return n > 0 && isfinite(i1) ? i1 / m->before.n_atoms : 0.0;
}

static xani_status view_lines(xn_ctx *ctx, xn_sim_view *v)
{
    const xn_sim_model *m = v->model;
    bool memory = false;
#pragma omp parallel num_threads(m->threads)
    {
        xn_scattering *room = xn_scattering_open(m->before.n_atoms);
        xn_squeezed *lines = xn_alloc((size_t)xn_squeezed_count(m->branches), sizeof *lines);
        bool ok = room != NULL && lines != NULL;
        if (!ok) {
#pragma omp atomic write
            memory = true;
        }
#pragma omp for schedule(dynamic, 256)
        for (int64_t i = 0; i < m->npix; i++)
            if (ok) v->photons[i] = pixel_lines(v, i, room, lines);
        xn_scattering_close(&room);
        xn_free(lines);
    }
    return memory ? xn_fail_memory(ctx, "phonons of a pixel", (size_t)m->branches * (size_t)m->branches * 80) : XANI_OK;
}

static void pixel_fast(xn_sim_view *v, int64_t i)
{
    double strongest = 0.0;
    for (int l = 0; l < v->model->n_lines; l++) strongest = fmax(strongest, fabs(v->amplitude[l][i]));
    double sum = 0.0;
    for (int l = 0; l < v->model->n_lines; l++) {
        if (!(fabs(v->amplitude[l][i]) > 1e-5 * strongest)) continue;
        v->fast_f[l][i] = (float)v->f[l][i];
        v->fast_a[l][i] = (float)v->amplitude[l][i];
        v->active[i / XN_SIM_BLOCK * v->model->n_lines + l] = 1;
        sum += v->amplitude[l][i];
    }
    v->fast_offset[i] = (float)sum;
    v->fast_photons[i] = (float)v->photons[i];
    v->fast_dilution[i] = (float)v->dilution[i];
}

// v->photons holds the one-phonon intensity on entry, photons on return.
static void view_finish(xn_sim_view *v)
{
    const xn_sim_model *m = v->model;
    const float *r = m->detector.geometry.position;
    for (int64_t i = 0; i < m->npix; i++) {
        double i1 = v->photons[i], total = i1 + m->background_eu;
        v->dilution[i] = total > 0.0 ? i1 / total : 0.0;
        v->photons[i] = isnan(r[3 * i]) ? 0.0 : m->photons_per_eu * polarisation(m, r + 3 * i) * m->solid[i] * total;
        for (int l = 0; l < v->model->n_lines; l++) v->amplitude[l][i] *= v->dilution[i];
        pixel_fast(v, i);
    }
}

static xani_status view_start(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, int run, xn_sim_view *v)
{
    memset(v, 0, sizeof *v);
    v->model = m;
    v->run = run;
    v->name = xn_sim_run_name(config, run);
    if (v->name == NULL) return xn_fail_memory(ctx, "a run's name", 16);
    XN_TRY(run_angles(ctx, config, m, run, v));
    XN_TRY(view_allocate(ctx, v));
    XN_TRY(view_hkl(ctx, v));
    return view_lines(ctx, v);
}

xani_status xn_sim_view_make(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, int run, xn_sim_view *v)
{
    xani_status st = view_start(ctx, config, m, run, v);
    if (st == XANI_OK)
        view_finish(v);
    else
        xn_sim_view_free(v);
    return st;
}

void xn_sim_view_free(xn_sim_view *v)
{
    for (int l = 0; v->model != NULL && l < v->model->n_lines; l++) {
        void *lines[] = {v->f ? v->f[l] : NULL, v->amplitude ? v->amplitude[l] : NULL, v->fast_f ? v->fast_f[l] : NULL,
                         v->fast_a ? v->fast_a[l] : NULL};
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) xn_free(lines[i]);
    }
    void *all[] = {v->name,          v->hkl,    v->nu, v->photons,   v->dilution, v->fast_photons, v->fast_offset,
                   v->fast_dilution, v->active, v->f,  v->amplitude, v->fast_f,   v->fast_a};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    memset(v, 0, sizeof *v);
}

// ---- scale

static double median(double *values, int64_t n) // of those above 0; reorders
{
    qsort(values, (size_t)n, sizeof *values, xn_double_compare);
    int64_t first = 0;
    while (first < n && !(values[first] > 0.0)) first++;
    return first < n ? values[first + (n - first) / 2] : 0.0;
}

// Background and photon scale follow from the medians of the first run.
static xani_status set_scale(xn_ctx *ctx, const xn_config *config, xn_sim_model *m)
{
    xn_sim_view v;
    double *work = xn_alloc((size_t)m->npix, sizeof *work);
    if (work == NULL) return xn_fail_memory(ctx, "pixel intensities", (size_t)m->npix * sizeof *work);
    xani_status st = view_start(ctx, config, m, 0, &v);
    if (st == XANI_OK && v.photons != NULL) {
        memcpy(work, v.photons, (size_t)m->npix * sizeof *work);
        double typical = median(work, m->npix);
        m->background_eu = m->s.background_is_fraction ? m->s.background * typical : m->s.background;
        m->photons_per_eu = 1.0;
        view_finish(&v);
        memcpy(work, v.photons, (size_t)m->npix * sizeof *work);
        typical = median(work, m->npix);
        if (typical > 0.0)
            m->photons_per_eu = m->s.photons / typical;
        else
            st = xn_fail(ctx, XANI_ERR_CONFIG, "%s: geometry: no pixel of the first run sees the crystal",
                         xn_config_name(config));
    }
    xn_sim_view_free(&v);
    xn_free(work);
    return st;
}

xani_status xn_sim_model_make(xn_ctx *ctx, const xn_config *config, xn_sim_model *m)
{
    memset(m, 0, sizeof *m);
    xani_status st;
    m->threads = xn_threads((int)xn_config_int(config, "engine.threads"));
    XN_GOTO(out, st, xn_sim_settings_load(ctx, config, &m->s));
    XN_GOTO(out, st, xn_beam_load(ctx, config, m->s.energy_kev, &m->beam));
    XN_GOTO(out, st, xn_sim_crystals(ctx, config, m));
    XN_GOTO(out, st, xn_goniometer_load(ctx, config, &m->goniometer));
    XN_GOTO(out, st, xn_sim_detector_make(ctx, config, &m->s, &m->detector));
    m->npix = m->detector.geometry.ny * m->detector.geometry.nx;
    XN_GOTO(out, st,
            xn_geometry_shares(ctx, &m->detector.geometry, 1, m->detector.geometry.position, m->detector.geometry.nx,
                               &m->solid));
    XN_GOTO(out, st, set_scale(ctx, config, m));
out:
    if (st != XANI_OK) xn_sim_model_free(m);
    return st;
}

void xn_sim_model_free(xn_sim_model *m)
{
    for (int i = 0; i < 2; i++) xn_crystal_free(&m->table[i]);
    xn_forces_free(&m->before);
    xn_forces_free(&m->after);
    xn_free(m->msd);
    xn_free(m->line);
    xn_free(m->solid);
    xn_sim_detector_free(&m->detector);
    memset(m, 0, sizeof *m);
}
