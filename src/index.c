// SPDX-License-Identifier: BSD-3-Clause
// index.c -- `xani index`: the orientation refined against the diffuse scattering of the mean frames.
//
// Laser-off shots of every run are averaged as the reduction does it; the force constants are those of
// map.force_constants.file, else a shipped table of the basis' element.  Pixel groups so near to a Bragg peak that the
// intensity varies within them are left out.  What comes out is a rotation of the crystal, with errors, and the
// orientation it gives; nothing is written.  A wrong geometry turns the crystal too: a rotation is offered only where
// it explains the frames, and where it does not a shift of the detector is tried in its place.
#include <math.h>
#include <string.h>

#include "physics/beam.h"
#include "physics/forces/configured.h"
#include "physics/forces/scatter.h"
#include "physics/geometry.h"
#include "physics/lattice.h"
#include "physics/refine.h"
#include "pipeline.h"
#include "reduce/reduce.h"
#include "source/source.h"

#define MSD_GRID 16
#define NEAR_BRAGG 3.0 // half diagonals of a group
#define MODEL_SHARE 0.02
#define LEAST_EXPLAINED 0.5 // of how the frames differ from an even background
#define GOOD 1.0            // chi^2 that noise and MODEL_SHARE leave
#define GAIN 0.5            // of chi^2 before: what a rotation or a shift must leave at most to be called the reason
#define BETTER 0.8          // of chi^2 of a rotation: what a shift must leave at most to go before it
#define SURE 5.0            // errors
#define MOSTLY 3.0          // a shift along the detector's normal over that across it, or the other way round

typedef struct {
    xn_ctx *ctx;
    const xn_config *config;
    xn_lattice lattice;
    xn_goniometer goniometer;
    xn_geometry geometry;
    double energy_kev;
    int threads;
    xn_forces forces;
    double (*msd)[9];
    xn_beam beam;
    int64_t n, room;
    xn_refine_point *point;
    int n_runs;
    double (*back)[9]; // R^-1 of each run's circles
} job;

// Pixel groups of one run's mean frame.
typedef struct {
    float *position; // (n, 3) metres
    double *q_lab;   // (n, 3) 1/Angstrom
    double *omega;   // solid angles
    double half;     // half the diagonal of a group, 1/Angstrom
    double shots;
    int run;
} groups;

// ---- the crystal

static xani_status load_forces(job *j)
{
    bool found = false;
    XN_TRY(xn_forces_configured(j->ctx, j->config, &j->lattice, NULL, &j->forces, &found));
    if (found) return XANI_OK;
    return xn_config_require(j->ctx, j->config, "map.force_constants.file",
                             "the diffuse scattering of this crystal follows from its force constants");
}

static xani_status load_msd(job *j, double temperature_k)
{
    int64_t unstable = 0;
    j->msd = xn_calloc((size_t)j->forces.n_atoms, sizeof *j->msd);
    if (j->msd == NULL) return xn_fail_memory(j->ctx, "mean squares", (size_t)j->forces.n_atoms * sizeof *j->msd);
    return xn_forces_msd(j->ctx, &j->forces, temperature_k, MSD_GRID, j->threads, j->msd, &unstable);
}

// ---- mean frames

static xani_status mean_frame(job *j, int run, xn_cube *cube)
{
    xn_config *c = NULL;
    xn_source *s = NULL;
    char most[64];
    snprintf(most, sizeof most, "select.max_shots=%lld", (long long)xn_config_int(j->config, "geometry.index.shots"));
    xani_status st;
    XN_GOTO(out, st, xn_config_copy(j->ctx, j->config, &c));
    XN_GOTO(out, st, xn_source_open(j->ctx, c, run, &s));
    if (s->ops->read_frame != NULL) { // else binned already
        xn_source_close(&s);
        XN_GOTO(out, st, xani_config_assign(j->ctx, c, "reduce.delay_bins_ps={edges: [-1e9, 1e9]}"));
        if (!xn_config_has(j->config, "select.max_shots")) XN_GOTO(out, st, xani_config_assign(j->ctx, c, most));
        XN_GOTO(out, st, xn_source_open(j->ctx, c, run, &s));
    }
    st = xn_reduce(j->ctx, c, s, cube);
out:
    xn_source_close(&s);
    xani_config_destroy(&c);
    return st;
}

static xani_status add_point(job *j, const xn_refine_point *p)
{
    if (j->n == j->room) {
        int64_t room = j->room > 0 ? 2 * j->room : 4096;
        void *more = xn_realloc(j->point, (size_t)room, sizeof *j->point);
        if (more == NULL) return xn_fail_memory(j->ctx, "pixels of the mean frames", (size_t)room * sizeof *j->point);
        j->point = more;
        j->room = room;
    }
    j->point[j->n++] = *p;
    return XANI_OK;
}

// The frame's modules, as the reduction grouped them, for the geometry: full ones, or equal parts with rows left over.
static xani_status match_modules(job *j, const xn_cube *cube)
{
    xn_geometry *g = &j->geometry;
    int64_t rows = 0;
    for (int i = 0; i < cube->n_modules; i++) rows += cube->module_rows[i] * cube->spatial_bin;
    bool full = rows == g->ny, equal = cube->n_modules > 0 && g->ny % cube->n_modules == 0;
    if (!full && !equal) return XANI_OK; // as the geometry has them
    int64_t *own = xn_alloc((size_t)cube->n_modules, sizeof *own);
    if (own == NULL) return xn_fail_memory(j->ctx, "module rows", (size_t)cube->n_modules * sizeof *own);
    for (int i = 0; i < cube->n_modules; i++)
        own[i] = full ? cube->module_rows[i] * cube->spatial_bin : g->ny / cube->n_modules;
    xn_free(g->module_rows);
    g->module_rows = own;
    g->n_modules = cube->n_modules;
    return XANI_OK;
}

static xani_status find_groups(job *j, const xn_cube *cube, groups *g)
{
    int64_t gy = 0, gx = 0, n = cube->ny * cube->nx;
    XN_TRY(match_modules(j, cube));
    XN_TRY(xn_geometry_group(j->ctx, &j->geometry, cube->spatial_bin, &g->position, &gy, &gx));
    if (gy != cube->ny || gx != cube->nx || cube->mean_frame == NULL)
        return xn_fail(j->ctx, XANI_ERR_CONFIG, "geometry: %lld x %lld groups (y, x), the frames have %lld x %lld",
                       (long long)gy, (long long)gx, (long long)cube->ny, (long long)cube->nx);
    g->q_lab = xn_alloc(3 * (size_t)n, sizeof *g->q_lab);
    if (g->q_lab == NULL) return xn_fail_memory(j->ctx, "momentum transfers", (size_t)n * 24);
    double nearest = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const float *r = g->position + 3 * i;
        double d = sqrt((double)r[0] * r[0] + (double)r[1] * r[1] + (double)r[2] * r[2]);
        if (d < nearest) nearest = d;
    }
    g->half = M_SQRT1_2 * cube->spatial_bin * j->geometry.pixel_m * XN_K_PER_KEV * j->energy_kev / nearest;
    g->shots = cube->off.shots != NULL ? (double)cube->off.shots[0] : cube->off_count;
    xn_geometry_q(g->position, n, j->energy_kev, g->q_lab);
    return xn_geometry_solid_angles(j->ctx, &j->geometry, cube->spatial_bin, g->position, gx, &g->omega);
}

static xani_status add_group(job *j, const groups *g, const double inverse[9], int64_t i, double value)
{
    const double *q_lab = g->q_lab + 3 * i, polarisation = xn_beam_polarisation(&j->beam, q_lab);
    double hkl[3], q[3];
    int nearest[3];
    xn_refine_point p = {.counts = value, .run = g->run, .factor = g->omega[i] * polarisation, .solid = g->omega[i]};
    p.variance = value / fmax(g->shots, 1.0) + MODEL_SHARE * MODEL_SHARE * value * value;
    memcpy(p.at_m, g->position + 3 * i, sizeof p.at_m);
    xn_mat3_vec(j->back[g->run], q_lab, p.q);
    xn_mat3_vec(inverse, p.q, hkl);
    xn_lattice_fold(&j->lattice, hkl, nearest, q);
    bool far = sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]) > NEAR_BRAGG * g->half;
    return far ? add_point(j, &p) : XANI_OK;
}

static xani_status add_run(job *j, int index, int run)
{
    xn_cube cube = {0};
    groups g = {.run = run};
    xn_goniometer circles = j->goniometer;
    double r[9], inverse[9];
    xani_status st = mean_frame(j, index, &cube);
    if (st == XANI_OK) st = find_groups(j, &cube, &g);
    for (int i = 0; i < circles.n && i < cube.n_angles; i++) circles.circle[i].angle_deg = cube.angles_deg[i];
    xn_goniometer_matrix(&circles, r);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) j->back[run][3 * a + b] = r[3 * b + a];
    bool regular = xn_mat3_inverse(j->lattice.ub, inverse);
    if (st == XANI_OK && !regular) st = xn_config_bad(j->ctx, j->config, "geometry.ub", "is singular");
    for (int64_t i = 0; i < cube.ny * cube.nx && st == XANI_OK; i++)
        if (cube.mask[i] == 0 && cube.mean_frame[i] > 0.0F && isfinite(g.q_lab[3 * i]) && g.omega[i] > 0.0)
            st = add_group(j, &g, inverse, i, (double)cube.mean_frame[i]);
    xn_free(g.position);
    xn_free(g.q_lab);
    xn_free(g.omega);
    xn_cube_free(&cube);
    return st;
}

// As many as are asked for, evenly.
static void thin_out(job *j, int64_t most)
{
    int64_t kept = 0, n = j->n;
    if (n <= most) return;
    for (int64_t k = 0; k < most; k++) j->point[kept++] = j->point[k * n / most];
    j->n = kept;
}

// ---- the answer

static json_t *matrix(const double m[9])
{
    return json_pack("[[f, f, f], [f, f, f], [f, f, f]]", m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8]);
}

// The rotation says by how much the orientation is off, unless a shift of the detector explains the frames better.
typedef struct {
    xn_refine_result turn, shift;
    bool tried;                    // the shift
    double shift_m[3], error_m[3]; // laboratory
    double along_m, across_m;      // the detector's normal, farther is positive
} finding;

static bool is_reason(const xn_refine_result *r, double before)
{
    return r->converged && (r->chi2_after < GOOD || r->chi2_after < GAIN * before);
}

static bool is_shifted(const finding *f)
{
    return f->tried && f->shift.explained > LEAST_EXPLAINED && is_reason(&f->shift, f->turn.chi2_before) &&
           f->shift.chi2_after < BETTER * f->turn.chi2_after;
}

static double largest(const double v[3]) { return fmax(v[0], fmax(v[1], v[2])); }

static bool is_off(const xn_refine_result *r) { return r->angle_deg > SURE * largest(r->error_deg); }

static const char *verdict_of(const finding *f)
{
    const xn_refine_result *r = &f->turn;
    if (is_shifted(f))
        return fabs(f->along_m) > MOSTLY * f->across_m
                   ? "a rotation does not explain the frames, another distance of the detector (or another photon "
                     "energy) does; do not take the orientation below"
               : f->across_m > MOSTLY * fabs(f->along_m)
                   ? "a rotation does not explain the frames, another beam centre does; do not take the orientation "
                     "below"
                   : "a rotation does not explain the frames, another beam centre and distance (or photon energy) do; "
                     "do not take the orientation below";
    if (!r->converged) return "not converged; do not take the one below";
    if (r->outside)
        return "not found within geometry.index.range_deg: the orientation is farther off, or a sign, an angle or the "
               "geometry is wrong; do not take the one below";
    if (r->explained < LEAST_EXPLAINED)
        return "the frames are not the diffuse scattering of these force constants; do not take the one below";
    if (!is_off(r)) return "the orientation is right within its error";
    if (is_reason(r, r->chi2_before)) return "the orientation is off; take the one below";
    return "a rotation does not explain the frames: look at the beam centre, the distance, the photon energy and the "
           "angles; do not take the orientation below";
}

static json_t *shift_json(const finding *f)
{
    if (!f->tried) return json_null();
    return json_pack("{s:[f, f, f], s:[f, f, f], s:f, s:f, s:f}", "mm", 1e3 * f->shift_m[0], 1e3 * f->shift_m[1],
                     1e3 * f->shift_m[2], "errors_mm", 1e3 * f->error_m[0], 1e3 * f->error_m[1], 1e3 * f->error_m[2],
                     "along_normal_mm", 1e3 * f->along_m, "across_mm", 1e3 * f->across_m, "chi2_after",
                     f->shift.chi2_after);
}

static xani_status answer_of(const job *j, const finding *f, json_t **answer)
{
    const xn_refine_result *r = &f->turn;
    double turn[9], ub[9], b_inv[9], u[9];
    xn_rotation_vector(r->rotation_deg, turn);
    xn_mat3_mul(turn, j->lattice.ub, ub);
    memcpy(b_inv, j->lattice.b_inv, sizeof b_inv);
    xn_mat3_mul(ub, b_inv, u);
    *answer =
        json_pack("{s:s, s:f, s:f, s:[f, f, f], s:[f, f, f], s:f, s:f, s:f, s:i, s:I, s:i, s:o, s:o, s:o}", "verdict",
                  verdict_of(f), "off_by_deg", r->angle_deg, "error_deg", largest(r->error_deg), "rotation_deg",
                  r->rotation_deg[0], r->rotation_deg[1], r->rotation_deg[2], "rotation_errors_deg", r->error_deg[0],
                  r->error_deg[1], r->error_deg[2], "chi2_before", r->chi2_before, "chi2_after", r->chi2_after,
                  "explained", r->explained, "runs", j->n_runs, "points", (json_int_t)j->n, "steps", r->steps,
                  "orientation", matrix(u), "ub", matrix(ub), "detector_shift", shift_json(f));
    return *answer ? XANI_OK : xn_fail_memory(j->ctx, "the answer", 4096);
}

// Mean normal of the panels, away from the sample, and the mean position.
static void look_at_detector(const xn_geometry *g, double normal[3], double centre[3])
{
    double n = 0.0, size = 0.0;
    for (int k = 0; k < 3; k++) normal[k] = centre[k] = 0.0;
    for (int64_t i = 0; i < g->ny * g->nx; i++) {
        if (i % g->nx + 1 == g->nx || i + g->nx >= g->ny * g->nx) continue;
        const float *p = g->position + 3 * i, *right = p + 3, *below = p + 3 * g->nx;
        double a[3], b[3];
        for (int k = 0; k < 3; k++) {
            a[k] = (double)right[k] - (double)p[k];
            b[k] = (double)below[k] - (double)p[k];
        }
        double c[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
        double length = sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]);
        double away = c[0] * (double)p[0] + c[1] * (double)p[1] + c[2] * (double)p[2];
        if (!(length > 0.0)) continue; // no pixel
        for (int k = 0; k < 3; k++) {
            normal[k] += copysign(c[k] / length, c[k] * away);
            centre[k] += (double)p[k];
        }
        n += 1.0;
    }
    for (int k = 0; k < 3; k++) size += normal[k] * normal[k];
    for (int k = 0; k < 3; k++) {
        normal[k] /= fmax(sqrt(size), 1e-9);
        centre[k] /= fmax(n, 1.0);
    }
}

static xani_status try_shift(job *j, xn_refine_input *in, finding *f)
{
    double centre[3], along = 0.0, square = 0.0;
    look_at_detector(&j->geometry, in->normal, centre);
    in->distance_m = sqrt(centre[0] * centre[0] + centre[1] * centre[1] + centre[2] * centre[2]);
    XN_TRY(xn_refine_shift(j->ctx, in, &f->shift));
    for (int k = 0; k < 3; k++) {
        f->shift_m[k] = f->shift.rotation_deg[k] * M_PI / 180.0 * in->distance_m;
        f->error_m[k] = f->shift.error_deg[k] * M_PI / 180.0 * in->distance_m;
        along += in->normal[k] * f->shift_m[k];
        square += f->shift_m[k] * f->shift_m[k];
    }
    f->along_m = along;
    f->across_m = sqrt(fmax(0.0, square - along * along));
    f->tried = true;
    return XANI_OK;
}

static double temperature_of(const xn_config *config)
{
    static const char *const keys[] = {"geometry.index.temperature_k", "map.force_constants.temperature_k"};
    for (int k = 0; k < 2; k++)
        if (xn_config_has(config, keys[k])) return xn_config_double(config, keys[k]);
    return 296.0;
}

static xani_status refine(job *j, json_t **answer)
{
    double inverse[9];
    xn_refine_input in = {.forces = &j->forces,
                          .n_runs = j->n_runs,
                          .range_deg = xn_config_double(j->config, "geometry.index.range_deg"),
                          .temperature_k = temperature_of(j->config),
                          .back = (const double(*)[9])j->back,
                          .beam = &j->beam,
                          .threads = j->threads};
    XN_TRY(load_msd(j, in.temperature_k));
    double to_q[9];
    XN_TRY(xn_forces_align(j->ctx, &j->lattice, &j->forces, to_q));
    if (!xn_mat3_inverse(j->lattice.ub, inverse)) return xn_config_bad(j->ctx, j->config, "geometry.ub", "is singular");
    xn_mat3_mul(to_q, inverse, in.to_q);
    thin_out(j, xn_config_int(j->config, "geometry.index.points"));
    in.msd = (const double(*)[9])j->msd;
    in.n = j->n;
    in.point = j->point;
    finding f = {.tried = false};
    XN_TRY(xn_refine_orientation(j->ctx, &in, &f.turn));
    if (is_off(&f.turn) || !(f.turn.chi2_after < GOOD)) XN_TRY(try_shift(j, &in, &f));
    return answer_of(j, &f, answer);
}

xani_status xn_index(xn_ctx *ctx, const xn_config *config, json_t **answer)
{
    *answer = NULL;
    job j = {.ctx = ctx, .config = config};
    int runs = xn_source_runs(config);
    j.threads = xn_threads((int)xn_config_int(config, "engine.threads"));
    XN_TRY(xn_lattice_load(ctx, config, true, &j.lattice));
    XN_TRY(xn_goniometer_load(ctx, config, &j.goniometer));
    XN_TRY(xn_geometry_load(ctx, config, 0, 0, &j.geometry));
    j.energy_kev = xn_config_double(config, "experiment.energy_kev");
    if (isnan(j.energy_kev)) j.energy_kev = j.geometry.energy_kev;
    xani_status st = XANI_OK;
    if (isnan(j.energy_kev))
        st = xn_config_require(ctx, config, "experiment.energy_kev", "momentum transfer needs the photon energy");
    if (st == XANI_OK) st = load_forces(&j);
    if (st == XANI_OK) st = xn_beam_load(ctx, config, j.energy_kev, &j.beam);
    int n = runs > 0 ? runs : 1;
    j.back = xn_calloc((size_t)n, sizeof *j.back);
    if (st == XANI_OK && j.back == NULL) st = xn_fail_memory(ctx, "the runs", (size_t)n * sizeof *j.back);
    for (int i = 0; i < n && st == XANI_OK; i++) {
        st = add_run(&j, runs > 0 ? i : -1, i);
        j.n_runs = i + 1;
    }
    if (st == XANI_OK) st = refine(&j, answer);
    xn_free(j.point);
    xn_free(j.back);
    xn_free(j.msd);
    xn_forces_free(&j.forces);
    xn_geometry_free(&j.geometry);
    return st;
}
