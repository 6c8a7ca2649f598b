// SPDX-License-Identifier: BSD-3-Clause
// sight.c -- what the pixel groups look at: brightness and lines from the force constants.
//
// A pixel that sees Q counts photons = scale P(Q) cos^3 (I1(Q) + B): one-phonon intensity and static background in
// electron units per atom.  The scale makes the median pixel of the first run as bright as plan.photons says, or
// follows from the photons of a pulse (science.md 15):
//   N0 n L r_e^2 (pixel/distance)^2,   n atoms per volume.
// Lines are those of a sudden change of the constants (scatter.h); amplitudes are of the diffuse intensity alone.
// A frequency changes across a group: its slope is taken from the nearest neighbour along rows and along columns.
#include <math.h>
#include <string.h>

#include "physics/forces/configured.h"
#include "plan/plan.h"

#define WORK_MOST 27e3     // groups of all runs times branches squared: 3000 of a crystal with one atom
#define GROUPS_LEAST 200.0 // looked at in any case
#define FREQUENCY_GRID 16
#define MSD_GRID 16
#define ELECTRON_RADIUS_M 2.8179403262e-15 // CODATA 2018

// ---- scene and crystal

static xani_status soften(xn_plan *p)
{
    if (xn_config_count(p->config, "plan.softening") > 0)
        return xn_forces_soften(p->ctx, p->config, "plan.softening", p->table, &p->before, &p->after);
    char text[64];
    snprintf(text, sizeof text, "plan.softening=[{shell: %s, factor: 0.95}]",
             p->table[0].n_shells > 0 ? p->table[0].shell_name[0] : "1");
    xn_config *c = NULL;
    xani_status st = xn_config_copy(p->ctx, p->config, &c);
    if (st == XANI_OK) st = xani_config_assign(p->ctx, c, text);
    if (st == XANI_OK) st = xn_forces_soften(p->ctx, c, "plan.softening", p->table, &p->before, &p->after);
    xani_config_destroy(&c);
    p->amplitude_from = "assumed";
    return st;
}

// A softening must leave a crystal; what of one with imaginary modes itself can be foretold is.
static xani_status check_stable(xn_plan *p)
{
    xani_status st =
        xn_forces_check_stable(p->ctx, p->config, "map.force_constants.file", "the crystal is", &p->before, p->to_q);
    if (st == XANI_OK)
        return xn_forces_check_stable(p->ctx, p->config, "plan.softening", "makes the crystal", &p->after, p->to_q);
    if (st == XANI_ERR_MEMORY) return st;
    xn_warn(p->ctx, "%s: pixels that see it there are left out", xani_error_text(p->ctx));
    xn_clear_error(p->ctx);
    return XANI_OK;
}

static xani_status load_crystal(xn_plan *p)
{
    int64_t unstable = 0;
    XN_TRY(xn_forces_configured(p->ctx, p->config, &p->scene.lattice, &p->table[0], &p->before, &p->has_crystal));
    if (!p->has_crystal) {
        if (xn_config_count(p->config, "plan.softening") > 0)
            return xn_config_require(p->ctx, p->config, "map.force_constants.file",
                                     "plan.softening changes the force constants of the crystal");
        if (xn_config_has(p->config, "plan.pulse_photons"))
            return xn_config_require(p->ctx, p->config, "map.force_constants.file",
                                     "plan.pulse_photons needs to know how much the crystal scatters");
        return XANI_OK;
    }
    p->branches = 3 * p->before.n_atoms;
    if (p->branches > XN_PLAN_BRANCHES)
        return xn_config_bad(p->ctx, p->config, "map.force_constants.file",
                             "%d atoms in the primitive cell, xani plan takes at most %d", p->before.n_atoms,
                             XN_PLAN_BRANCHES / 3);
    p->amplitude_from = "given";
    XN_TRY(soften(p));
    XN_TRY(xn_context(p->ctx, xn_forces_align(p->ctx, &p->scene.lattice, &p->before, p->to_q), "map.crystal"));
    XN_TRY(check_stable(p));
    p->msd = xn_calloc((size_t)p->before.n_atoms, sizeof *p->msd);
    if (p->msd == NULL) return xn_fail_memory(p->ctx, "mean squares", (size_t)p->before.n_atoms * sizeof *p->msd);
    p->max_thz = xn_forces_max_thz(&p->before, FREQUENCY_GRID);
    return xn_forces_msd(p->ctx, &p->before, p->temperature_k, MSD_GRID, p->threads, p->msd, &unstable);
}

// Solid angle of a pixel of each group, relative to one at the detector's distance across the beam.
static xani_status look_at_pixels(xn_plan *p)
{
    const xn_geometry *geometry = &p->scene.geometry;
    float *position = NULL;
    int64_t gy, gx;
    XN_TRY(xn_geometry_group(p->ctx, geometry, p->bin, &position, &gy, &gx));
    xani_status st = xn_geometry_shares(p->ctx, geometry, p->bin, position, gx, &p->solid);
    xn_free(position);
    return st;
}

xani_status xn_plan_scene(xn_plan *p)
{
    p->n_runs = xn_config_count(p->config, "runs");
    if (p->n_runs == 0) p->n_runs = 1;
    p->measured = xn_calloc((size_t)p->n_runs, sizeof *p->measured);
    if (p->measured == NULL) return xn_fail_memory(p->ctx, "the runs", (size_t)p->n_runs * sizeof *p->measured);
    p->has_scene = xn_map_possible(p->config, &p->missing);
    if (!p->has_scene) return XANI_OK;
    XN_TRY(xn_scene_load(p->ctx, p->config, &p->scene));
    p->max_thz = p->scene.max_thz;
    XN_TRY(xn_scene_group(p->ctx, &p->scene, p->bin, 0, NULL));
    XN_TRY(look_at_pixels(p));
    XN_TRY(xn_beam_load(p->ctx, p->config, p->scene.energy_kev, &p->beam));
    return load_crystal(p);
}

int xn_plan_angles_of(const xn_plan *p, int run, double angles_deg[8])
{
    char key[XN_KEY_LENGTH];
    if (xn_config_count(p->config, "runs") == 0) return 0;
    return xn_config_doubles(p->config, xn_key(key, "runs[%d].angle_deg", run), angles_deg, 8);
}

// ---- one group

struct xn_plan_eye {
    xn_scattering *room;
    xn_squeezed *lines;
    double *nu[3];
};

xn_plan_eye *xn_plan_eye_open(const xn_plan *p)
{
    xn_plan_eye *e = xn_calloc(1, sizeof *e);
    if (e == NULL) return NULL;
    e->room = xn_scattering_open(p->before.n_atoms);
    e->lines = xn_alloc((size_t)xn_squeezed_count(p->branches), sizeof *e->lines);
    bool ok = e->room != NULL && e->lines != NULL;
    for (int i = 0; i < 3; i++) ok = (e->nu[i] = xn_alloc((size_t)p->branches, sizeof(double))) != NULL && ok;
    if (!ok) xn_plan_eye_close(&e);
    return e;
}

void xn_plan_eye_close(xn_plan_eye **e)
{
    if (*e == NULL) return;
    xn_scattering_close(&(*e)->room);
    xn_free((*e)->lines);
    for (int i = 0; i < 3; i++) xn_free((*e)->nu[i]);
    xn_free(*e);
    *e = NULL;
}

// The nearer of two neighbours in hkl, -1: none. Beside a gap the other side is taken.
static int64_t neighbour(const xn_view *v, int64_t at, int64_t before, int64_t behind)
{
    double best = INFINITY;
    int64_t found = -1;
    const int64_t both[2] = {before, behind};
    for (int i = 0; i < 2; i++) {
        if (both[i] < 0 || both[i] >= v->n || !v->seen[both[i]]) continue;
        double d = 0.0;
        for (int k = 0; k < 3; k++) d += pow(v->hkl[3 * both[i] + k] - v->hkl[3 * at + k], 2.0);
        if (d < best) best = d, found = both[i];
    }
    return found;
}

static int lines_at(const xn_plan *p, xn_plan_eye *e, const double *hkl, double *i1, double *nu)
{
    double q[3], mean;
    xn_mat3_vec(p->to_q, hkl, q);
    return xn_scattering_lines(e->room, &p->before, &p->after, q, p->temperature_k, (const double(*)[9])p->msd, i1,
                               &mean, nu, e->lines);
}

bool xn_plan_see(const xn_plan *p, xn_plan_eye *e, const xn_view *v, int64_t at, xn_plan_group *g, xn_plan_sight *s)
{
    int64_t nx = p->scene.nx, x = at % nx;
    const int64_t beside[2] = {neighbour(v, at, at - nx, at + nx),
                               neighbour(v, at, x > 0 ? at - 1 : -1, x + 1 < nx ? at + 1 : -1)};
    double i1 = NAN, ignore;
    int n = lines_at(p, e, v->hkl + 3 * at, &i1, e->nu[0]);
    if (n == 0 || !(i1 > 0.0)) return false;
    for (int b = 0; b < p->branches; b++) {
        const xn_squeezed *l = &e->lines[b * b + 2 * b]; // the pair line
        s[b] = (xn_plan_sight){p->frequency_scale * l->f_thz, l->amplitude, {0.0, 0.0}};
    }
    for (int k = 0; k < 2; k++) {
        if (beside[k] < 0 || lines_at(p, e, v->hkl + 3 * beside[k], &ignore, e->nu[k + 1]) == 0) continue;
        for (int b = 0; b < p->branches; b++)
            s[b].slope_thz[k] = p->frequency_scale * 2.0 * (e->nu[k + 1][b] - e->nu[0][b]) / p->bin;
    }
    g->at = at;
    g->intensity = i1 / p->before.n_atoms;
    g->factor = xn_beam_polarisation(&p->beam, p->scene.q_lab + 3 * at) * p->solid[at];
    return true;
}

// ---- all groups

static xani_status look_at_run(xn_plan *p, int run, int64_t most, xn_view *v)
{
    double angles[8];
    int given = xn_plan_angles_of(p, run, angles);
    XN_TRY(xn_scene_view(p->ctx, p->config, &p->scene, angles, given, v));
    int64_t seen = 0, stride, first = p->n_groups;
    for (int64_t i = 0; i < v->n; i++) seen += v->seen[i];
    stride = xn_max64(1, (seen + most - 1) / most);
    p->all_groups += (double)seen;
    for (int64_t i = 0, k = 0; i < v->n; i++)
        if (v->seen[i] && k++ % stride == stride / 2) p->group[p->n_groups++] = (xn_plan_group){.run = run, .at = i};
    bool memory = false;
#pragma omp parallel num_threads(p->threads)
    {
        xn_plan_eye *eye = xn_plan_eye_open(p);
        if (eye == NULL) {
#pragma omp atomic write
            memory = true;
        }
#pragma omp for schedule(dynamic, 16)
        for (int64_t i = first; i < p->n_groups; i++) {
            xn_plan_group *g = &p->group[i];
            if (eye != NULL && !xn_plan_see(p, eye, v, g->at, g, p->sight + i * p->branches)) g->intensity = 0.0;
        }
        xn_plan_eye_close(&eye);
    }
    return memory ? xn_fail_memory(p->ctx, "phonons of a pixel", (size_t)p->branches * 80) : XANI_OK;
}

// Background and scale from the medians of the first run, as the simulator defines them.
static xani_status set_scale(xn_plan *p)
{
    double *work = xn_alloc((size_t)p->n_groups + 1, sizeof *work);
    if (work == NULL) return xn_fail_memory(p->ctx, "pixel intensities", (size_t)p->n_groups * 8);
    int64_t n = 0;
    for (int64_t i = 0; i < p->n_groups && p->group[i].run == 0; i++)
        if (p->group[i].intensity > 0.0) work[n++] = p->group[i].intensity;
    double middle = xn_plan_median(work, n);
    xn_plan_measured(p, XN_PLAN_BACKGROUND, xn_plan_background(p) / middle, "brightness");
    p->background_eu = xn_plan_v(p, XN_PLAN_BACKGROUND) * middle;
    if (n == 0) {
        xn_free(work);
        return xn_fail(p->ctx, XANI_ERR_CONFIG, "%s: geometry: no pixel of the first run sees the crystal",
                       xn_config_name(p->config));
    }
    n = 0;
    for (int64_t i = 0; i < p->n_groups && p->group[i].run == 0; i++)
        if (p->group[i].intensity > 0.0) work[n++] = p->group[i].factor * (p->group[i].intensity + p->background_eu);
    double typical = xn_plan_median(work, n);
    xn_free(work);
    double pulse = xn_config_double(p->config, "plan.pulse_photons");
    if (isfinite(pulse)) {
        double length = xn_config_double(p->config, "plan.thickness_um") * 1e-6;
        double volume = fabs(xn_mat3_determinant(p->before.cell)) * 1e-30 / p->before.n_atoms; // of an atom
        double angle = p->scene.geometry.pixel_m / p->scene.geometry.distance_m;
        p->photons_per_eu = pulse * length / volume * ELECTRON_RADIUS_M * ELECTRON_RADIUS_M * angle * angle;
        p->value[XN_PLAN_PHOTONS] = (xn_plan_value){p->photons_per_eu * typical, "force constants"};
    } else {
        p->photons_per_eu = xn_plan_v(p, XN_PLAN_PHOTONS) / typical;
    }
    return XANI_OK;
}

void xn_plan_light(const xn_plan *p, xn_plan_group *g)
{
    double total = g->intensity + p->background_eu;
    g->dilution = total > 0.0 ? g->intensity / total : 0.0;
    g->photons = p->photons_per_eu * g->factor * total;
}

static void set_photons(xn_plan *p)
{
    for (int64_t i = 0; i < p->n_groups; i++) {
        xn_plan_group *g = &p->group[i];
        xn_plan_light(p, g);
        const float *measured = p->measured[g->run];
        if (measured != NULL) g->photons = (double)measured[g->at] > 0.0 ? (double)measured[g->at] : 0.0;
    }
}

// Without force constants: the modes expected, in every group alike.
static xani_status assume_modes(xn_plan *p)
{
    static const double amplitudes[] = {0.05, 0.01, 0.002};
    char key[XN_KEY_LENGTH];
    int n = xn_config_count(p->config, "plan.modes");
    p->branches = n > 0 ? n : 3;
    p->amplitude_from = n > 0 ? "given" : "assumed";
    if (p->branches > XN_PLAN_BRANCHES)
        return xn_config_bad(p->ctx, p->config, "plan.modes", "%d modes, at most %d", n, XN_PLAN_BRANCHES);
    p->group = xn_calloc(1, sizeof *p->group);
    p->sight = xn_calloc((size_t)p->branches, sizeof *p->sight);
    if (p->group == NULL || p->sight == NULL) return xn_fail_memory(p->ctx, "the modes", (size_t)p->branches * 40);
    for (int i = 0; i < p->branches; i++) {
        xn_plan_sight *s = &p->sight[i];
        if (n > 0) {
            for (int k = 0; k < 2; k++)
                XN_TRY(xn_config_require(p->ctx, p->config,
                                         xn_key(key, "plan.modes[%d].%s", i, k ? "frequency_thz" : "amplitude"),
                                         "a mode has a frequency and an amplitude"));
            s->f_thz = xn_config_double(p->config, xn_key(key, "plan.modes[%d].frequency_thz", i));
            s->amplitude = xn_config_double(p->config, xn_key(key, "plan.modes[%d].amplitude", i));
            p->damping_per_ps[i] = xn_config_double(p->config, xn_key(key, "plan.modes[%d].damping_per_ps", i));
            p->damping_from[i] = "given";
            continue;
        }
        // a transverse mode, half as high as the highest phonon: its pair oscillates as fast as that
        s->f_thz = isfinite(p->max_thz) ? p->max_thz : 0.25 * (p->trace.band_thz[0] + p->trace.band_thz[1]);
        s->amplitude = amplitudes[i];
    }
    p->n_groups = 1;
    p->group[0] = (xn_plan_group){.photons = xn_plan_v(p, XN_PLAN_PHOTONS), .dilution = 1.0, .intensity = NAN};
    if (p->has_scene) {
        double seen = 0.0;
        for (int64_t i = 0; i < p->scene.ny * p->scene.nx; i++) seen += !isnan(p->scene.q_lab[3 * i]);
        p->all_groups = seen * p->n_runs;
    }
    return XANI_OK;
}

xani_status xn_plan_look(xn_plan *p)
{
    if (!p->has_crystal) return assume_modes(p);
    if (xn_config_count(p->config, "plan.modes") > 0)
        xn_warn(p->ctx, "plan.modes: the force constants say what modes there are; plan.softening says how strong");
    double affordable = WORK_MOST / ((double)p->branches * p->branches);
    int64_t most = (int64_t)fmax(affordable, GROUPS_LEAST) / p->n_runs + 1;
    size_t room = (size_t)(most + 1) * (size_t)p->n_runs;
    p->group = xn_calloc(room, sizeof *p->group);
    p->sight = xn_calloc(room * (size_t)p->branches, sizeof *p->sight);
    if (p->group == NULL || p->sight == NULL)
        return xn_fail_memory(p->ctx, "the pixel groups", room * (size_t)p->branches * sizeof *p->sight);
    xn_view v = {0};
    xani_status st = XANI_OK;
    for (int run = 0; run < p->n_runs && st == XANI_OK; run++) {
        st = look_at_run(p, run, most, &v);
        if (st == XANI_OK) st = xn_check_interrupt(p->ctx);
    }
    xn_view_free(&v);
    if (st == XANI_OK) st = set_scale(p);
    if (st == XANI_OK) set_photons(p);
    return st;
}
