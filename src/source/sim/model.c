// SPDX-License-Identifier: BSD-3-Clause
// model.c -- crystal, detector and beam; brightness and lines of every pixel of a run.
//
// A pixel that sees Q counts, in a laser-off shot of mean intensity,
//   photons = scale P(Q) cos^3(2 theta) (I1(Q) + B)
// with the one-phonon intensity I1 and the static background B in electron units per atom, the polarisation factor
// P = p (1 - (k.e)^2) + (1-p) (1 - (k.e')^2), e' = z x e, and the solid angle of a flat detector (science.md 13.2, 10).
// The scale is such that the median pixel of the first run has sim.photons.  After the laser (science.md 13.3)
//   y(t) = sum_l A_l [exp(-g_l t) cos(2 pi f_l t) - exp(-t/T_r)] + h d (1 - exp(-t/T_h)),   t >= 0
// where A_l are the exact squeezing amplitudes times the dilution d = I1/(I1 + B), g of a pair line that of its branch
// and of a combination line the mean of its two branches'.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "source/sim/parts.h"

#define MSD_GRID 32 // the zone mean converges as 1/n (science.md 13.2)

// ---- crystal before and after

static xani_status load_crystal(xn_ctx *ctx, const xn_config *config, xn_crystal *c)
{
    const char *name = xn_config_string(config, "sim.crystal");
    bool relative = strchr(name, '/') != NULL && name[0] != '/';
    char *path = relative ? xn_format("%s/%s", xn_config_dir(config), name) : xn_strdup(name);
    if (path == NULL) return xn_fail_memory(ctx, "sim.crystal", strlen(name));
    xani_status st = xn_crystal_load(ctx, path, c);
    xn_free(path);
    return xn_context(ctx, st, "%s: sim.crystal", xn_config_name(config));
}

static xani_status soften(xn_ctx *ctx, const xn_config *config, xn_crystal *c)
{
    int n = xn_config_count(config, "sim.softening");
    for (int i = 0; i < n; i++) {
        char shell_key[XN_KEY_LENGTH], factor_key[XN_KEY_LENGTH], element_key[XN_KEY_LENGTH];
        xn_key(shell_key, "sim.softening[%d].shell", i);
        xn_key(factor_key, "sim.softening[%d].factor", i);
        XN_TRY(xn_config_require(ctx, config, shell_key, "a shell of the crystal's table"));
        XN_TRY(xn_config_require(ctx, config, factor_key, "what its force constants are multiplied by"));
        const char *shell = xn_config_string(config, shell_key);
        bool known = false;
        for (int k = 0; k < c->n_shells; k++) known = known || strcmp(c->shell_name[k], shell) == 0;
        if (!known) return xn_config_bad(ctx, config, shell_key, "crystal %s has no shell %s", c->name, shell);
        const char *element = xn_config_string(config, xn_key(element_key, "sim.softening[%d].element", i));
        XN_TRY(xn_crystal_scale(ctx, c, shell, element, xn_config_double(config, factor_key)));
    }
    return XANI_OK;
}

// Softening may not take any mode of the zone below zero: the squeezing law has no answer there.
static xani_status check_stable(xn_ctx *ctx, const xn_config *config, const xn_crystal *c)
{
    for (int i = 0; i <= 16; i++)
        for (int j = 0; j <= i; j++)
            for (int k = 0; k <= j; k++) {
                double nu[3], q[3] = {i / 16.0, j / 16.0, k / 16.0};
                xn_crystal_frequencies(c, q, nu);
                if (i > 0 && !(nu[0] > 0.0))
                    return xn_config_bad(ctx, config, "sim.softening", "makes the crystal unstable at q = (%g %g %g)",
                                         q[0], q[1], q[2]);
            }
    return XANI_OK;
}

static xani_status make_crystals(xn_ctx *ctx, const xn_config *config, xn_sim_model *m)
{
    XN_TRY(load_crystal(ctx, config, &m->before));
    XN_TRY(xn_crystal_copy(ctx, &m->before, &m->after));
    XN_TRY(soften(ctx, config, &m->after));
    if (xn_config_count(config, "sim.softening") > 0) XN_TRY(check_stable(ctx, config, &m->after));
    XN_TRY(xn_lattice_load(ctx, config, true, &m->lattice));
    const double *cell = m->lattice.cell, a = m->before.a_ang;
    bool cubic = fabs(cell[3] - 90) + fabs(cell[4] - 90) + fabs(cell[5] - 90) < 1e-6;
    if (!cubic || fabs(cell[0] - a) + fabs(cell[1] - a) + fabs(cell[2] - a) > 1e-3 * a)
        return xn_config_bad(ctx, config,
                             xn_config_has(config, "map.crystal.cell") ? "map.crystal.cell" : "sim.crystal",
                             "the cell is not that of %s, cubic with a = %g Angstrom", m->before.name, a);
    if (m->lattice.centring != 'F')
        return xn_config_bad(ctx, config, "map.crystal", "%s is face-centred (F), not %c", m->before.name,
                             m->lattice.centring);
    return XANI_OK;
}

// ---- scattering geometry

static double beam_factor(const xn_sim_model *m, const float *r)
{
    const double *e = m->polarisation;
    double x = (double)r[0], y = (double)r[1], z = (double)r[2], length = sqrt(x * x + y * y + z * z);
    double along = (x * e[0] + y * e[1] + z * e[2]) / length, across = (-x * e[1] + y * e[0]) / length;
    double p = m->polarised * (1.0 - along * along) + (1.0 - m->polarised) * (1.0 - across * across);
    double cosine = z / length;
    return p * fabs(cosine * cosine * cosine);
}

static xani_status load_beam(xn_ctx *ctx, const xn_config *config, xn_sim_model *m)
{
    xn_config_doubles(config, "geometry.polarisation.direction", m->polarisation, 3);
    double length = sqrt(m->polarisation[0] * m->polarisation[0] + m->polarisation[1] * m->polarisation[1]);
    if (!(length > 0.0)) return xn_config_bad(ctx, config, "geometry.polarisation.direction", "is not across the beam");
    for (int i = 0; i < 2; i++) m->polarisation[i] /= length;
    m->polarisation[2] = 0.0; // a field is transverse to its beam
    m->polarised = xn_config_double(config, "geometry.polarisation.fraction");
    return XANI_OK;
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
    size_t n = (size_t)v->model->npix, padded = xn_sim_padded(v->model->npix);
    v->hkl = xn_alloc(3 * n, sizeof(double));
    v->nu = xn_alloc(3 * n, sizeof(double));
    v->photons = xn_alloc(n, sizeof(double));
    v->dilution = xn_alloc(n, sizeof(double));
    v->fast_photons = xn_calloc(padded, sizeof(float));
    v->fast_offset = xn_calloc(padded, sizeof(float));
    v->fast_dilution = xn_calloc(padded, sizeof(float));
    v->active = xn_calloc(padded / XN_SIM_BLOCK, sizeof *v->active);
    bool ok = v->hkl && v->nu && v->photons && v->dilution && v->fast_photons && v->fast_offset && v->fast_dilution &&
              v->active;
    for (int l = 0; l < XN_SIM_LINES; l++) {
        v->f[l] = xn_alloc(n, sizeof(double));
        v->amplitude[l] = xn_alloc(n, sizeof(double));
        v->fast_f[l] = xn_calloc(padded, sizeof(float));
        v->fast_a[l] = xn_calloc(padded, sizeof(float));
        ok = ok && v->f[l] && v->amplitude[l] && v->fast_f[l] && v->fast_a[l];
    }
    return ok ? XANI_OK : xn_fail_memory(ctx, "the pixels of a simulated run", n * 300);
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

// Lines of one pixel; returns the one-phonon intensity. A pixel exactly on a reciprocal lattice point, or that no
// panel covers, has none.
static double pixel_lines(xn_sim_view *v, int64_t i)
{
    const xn_sim_model *m = v->model;
    double i1 = 0.0, mean, *nu = v->nu + 3 * i;
    xn_line lines[XN_SIM_LINES];
    int n = 0;
    nu[0] = nu[1] = nu[2] = NAN;
    if (isfinite(v->hkl[3 * i]))
        n = xn_crystal_lines(&m->before, &m->after, v->hkl + 3 * i, m->s.temperature_k, m->msd_ang2, &i1, &mean, nu,
                             lines);
    for (int l = 0; l < XN_SIM_LINES; l++) {
        bool kept = l < n && (m->s.combinations || lines[l].i == lines[l].j);
        v->f[l][i] = l < n ? lines[l].f_thz : 0.0;
        v->amplitude[l][i] = kept ? lines[l].amplitude : 0.0;
    }
    return n > 0 && isfinite(i1) ? i1 : 0.0;
}

static void view_lines(xn_sim_view *v)
{
    int64_t n = v->model->npix;
#pragma omp parallel for num_threads(v->model->threads) schedule(static)
    for (int64_t i = 0; i < n; i++) v->photons[i] = pixel_lines(v, i);
}

static void pixel_fast(xn_sim_view *v, int64_t i)
{
    double strongest = 0.0;
    for (int l = 0; l < XN_SIM_LINES; l++) strongest = fmax(strongest, fabs(v->amplitude[l][i]));
    double sum = 0.0;
    for (int l = 0; l < XN_SIM_LINES; l++) {
        if (!(fabs(v->amplitude[l][i]) > 1e-5 * strongest)) continue;
        v->fast_f[l][i] = (float)v->f[l][i];
        v->fast_a[l][i] = (float)v->amplitude[l][i];
        v->active[i / XN_SIM_BLOCK] |= (uint16_t)(1u << l);
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
        v->photons[i] = isnan(r[3 * i]) ? 0.0 : m->photons_per_eu * beam_factor(m, r + 3 * i) * total;
        for (int l = 0; l < XN_SIM_LINES; l++) v->amplitude[l][i] *= v->dilution[i];
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
    view_lines(v);
    return XANI_OK;
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
    void *all[] = {v->name,        v->hkl,           v->nu,    v->photons, v->dilution, v->fast_photons,
                   v->fast_offset, v->fast_dilution, v->active};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
    for (int l = 0; l < XN_SIM_LINES; l++) {
        void *lines[] = {v->f[l], v->amplitude[l], v->fast_f[l], v->fast_a[l]};
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) xn_free(lines[i]);
    }
    memset(v, 0, sizeof *v);
}

// ---- scale

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int64_t n) // of those above 0; reorders
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
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
    XN_GOTO(out, st, load_beam(ctx, config, m));
    XN_GOTO(out, st, make_crystals(ctx, config, m));
    XN_GOTO(out, st, xn_goniometer_load(ctx, config, &m->goniometer));
    XN_GOTO(out, st, xn_sim_detector_make(ctx, config, &m->s, &m->detector));
    m->npix = m->detector.geometry.ny * m->detector.geometry.nx;
    m->msd_ang2 = xn_crystal_msd(&m->before, m->s.temperature_k, MSD_GRID);
    XN_GOTO(out, st, set_scale(ctx, config, m));
out:
    if (st != XANI_OK) xn_sim_model_free(m);
    return st;
}

void xn_sim_model_free(xn_sim_model *m)
{
    xn_crystal_free(&m->before);
    xn_crystal_free(&m->after);
    xn_sim_detector_free(&m->detector);
    memset(m, 0, sizeof *m);
}
