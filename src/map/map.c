// SPDX-License-Identifier: BSD-3-Clause
// map.c -- the map stage: modes of one or more runs to points, volume, path and branches.
//
// Read this file first.  Runs may differ in grouping, delay step and angles; the crystal, the photon energy and the
// detector are those of the configuration.  What one run contributes is added to integer counts and to the list of
// points, then volume and path are made from all points (parts.h).
#include "map/map.h"

#include <math.h>
#include <string.h>

#include "map/parts.h"

#define FREQUENCY_GRID 8

bool xn_map_possible(const xn_config *config, const char **why)
{
    const bool file = xn_config_has(config, "geometry.file");
    *why = NULL;
    if (!file && !xn_config_has(config, "geometry.detector"))
        *why = "geometry.file";
    else if (!file && !xn_config_has(config, "geometry.distance_mm"))
        *why = "geometry.distance_mm";
    else if (!file && !xn_config_has(config, "experiment.energy_kev"))
        *why = "experiment.energy_kev";
    else if (!xn_config_has(config, "geometry.ub") && !xn_config_has(config, "geometry.orientation") &&
             !xn_config_has(config, "geometry.reflections"))
        *why = "geometry.ub";
    else if (!xn_config_has(config, "geometry.ub") && !xn_config_has(config, "geometry.cell") &&
             !xn_config_has(config, "map.crystal.cell"))
        *why = "map.crystal.cell";
    else if (!xn_config_has(config, "map.crystal.space_group") && !xn_config_has(config, "map.crystal.centring"))
        *why = "map.crystal.space_group";
    return *why == NULL;
}

// Names and angles of the runs.
static xani_status list_runs(xn_ctx *ctx, const xn_scene *s, const xn_modes *const *modes, int n, xn_dispersion *d)
{
    d->n_angles = s->goniometer.n;
    d->run_names = xn_calloc((size_t)n, sizeof *d->run_names);
    d->run_angles = xn_calloc((size_t)n * (size_t)d->n_angles + 1, sizeof *d->run_angles);
    if (d->run_names == NULL || d->run_angles == NULL) return xn_fail_memory(ctx, "the runs", (size_t)n * 16);
    for (int i = 0; i < n; i++) {
        const char *name = modes[i]->run != NULL ? modes[i]->run : "";
        d->run_names[i] = xn_strdup(name);
        if (d->run_names[i] == NULL) return xn_fail_memory(ctx, "the runs", strlen(name) + 1);
        d->n_runs = i + 1;
        for (int k = 0; k < d->n_angles; k++)
            d->run_angles[i * d->n_angles + k] =
                modes[i]->n_angles > k ? modes[i]->angles_deg[k] : s->goniometer.circle[k].angle_deg;
        for (int j = 0; j < i && xn_other_bins_of(modes, i) < 0; j++)
            if (strcmp(d->run_names[j], name) == 0 && xn_other_bins_of(modes, j) < 0)
                xn_warn(ctx, "modes %d and %d are both of run \"%s\"", j + 1, i + 1, name);
    }
    return XANI_OK;
}

// Only fitted groups count as looked at. Modes on pixels that the geometry does not know cannot be mapped.
static int64_t keep_fitted(const xn_modes *m, xn_view *v)
{
    int64_t lost = 0;
    for (int64_t i = 0; i < v->n; i++) {
        const uint8_t status = m->status[i];
        bool fitted = status == XN_FIT_MODES || status == XN_FIT_NONE || status == XN_FIT_AT_BOUND ||
                      (status == XN_FIT_NOT_CONVERGED && m->count[i] > 0);
        if (!v->seen[i]) lost += m->count[i];
        v->seen[i] = v->seen[i] && fitted;
    }
    return lost;
}

// What n_modes counts and xn_mode_accepted leaves out.
static void report_unusable(xn_ctx *ctx, const xn_modes *const *modes, int n)
{
    int64_t unusable = 0, all = 0;
    for (int run = 0; run < n; run++)
        for (int64_t i = 0; i < modes[run]->ny * modes[run]->nx; i++)
            for (int k = 0; k < modes[run]->count[i]; k++, all++) unusable += !xn_mode_accepted(modes[run], i, k);
    if (unusable == 0) return;
    xn_warn(ctx,
            "%lld of %lld modes are left out: their fit_status has no modes, frequency, amplitude or damping is no "
            "number, or the frequency is above %g THz",
            (long long)unusable, (long long)all, (double)XN_MOST_THZ);
}

// Pixel groups of one run's modes.
static xani_status group_for(xn_ctx *ctx, xn_scene *s, const xn_modes *m)
{
    XN_TRY(xn_scene_group(ctx, s, m->spatial_bin, m->n_modules, m->n_modules > 0 ? m->module_rows : NULL));
    if (s->ny == m->ny && s->nx == m->nx) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_CONFIG,
                   "geometry: %lld x %lld pixels (y, x) make %lld x %lld groups of %d x %d, the modes have %lld x %lld",
                   (long long)s->geometry.ny, (long long)s->geometry.nx, (long long)s->ny, (long long)s->nx,
                   m->spatial_bin, m->spatial_bin, (long long)m->ny, (long long)m->nx);
}

static xani_status add_run(xn_ctx *ctx, const xn_config *config, xn_scene *s, const xn_modes *const *modes, int n,
                           int run, xn_view *v, xn_collection *c, xn_path *p, xn_dispersion *d)
{
    const xn_modes *m = modes[run];
    float *unfolded;
    XN_TRY(group_for(ctx, s, m));
    XN_TRY(xn_scene_view(ctx, config, s, m->angles_deg, m->n_angles, v));
    int64_t lost = keep_fitted(m, v);
    if (lost > 0) xn_warn(ctx, "%lld modes are on pixels that the geometry does not place", (long long)lost);
    XN_TRY(xn_unfold(ctx, s, modes, n, run, c->kind, &unfolded));
    xani_status st = xn_points_add(ctx, s, v, m, run, unfolded, c);
    xn_free(unfolded);
    XN_TRY(st);
    xn_volume_count(s, v, d);
    return xn_path_count(ctx, s, v, p);
}

// Volume and path before the first run; the coarsest grouping sets the bins of the path.
static xani_status plan(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, xn_scene *s,
                        xn_path *p, xn_dispersion *d)
{
    double footprint = 0.0;
    XN_TRY(list_runs(ctx, s, modes, n, d));
    for (int i = 0; i < n; i++) {
        if (i > 0 && modes[i]->spatial_bin == modes[i - 1]->spatial_bin) continue;
        XN_TRY(group_for(ctx, s, modes[i]));
        footprint = fmax(footprint, xn_scene_footprint(s));
    }
    XN_TRY(xn_volume_plan(ctx, config, s, d));
    return xn_path_plan(ctx, config, s, footprint, p, d);
}

// Points above what the crystal can do: of bins that are not even they are marked, of others told.
static void report_beyond(xn_ctx *ctx, const xn_scene *s, const xn_modes *const *modes, const xn_collection *c)
{
    const char *who = isnan(s->max_thz) ? "such atoms" : "the crystal";
    const double reach = xn_scene_reach(s);
    int64_t even = 0, uneven = 0;
    for (int64_t i = 0; i < c->points.n; i++)
        if (c->points.frequency[i] > reach) ++*(modes[c->points.run[i]]->step_ps > 0.0 ? &even : &uneven);
    if (uneven > 0)
        xn_warn(ctx,
                "aliasing: %lld of %lld modes lie above what %s can do (nu = %.4g THz) and are marked: the delays are "
                "not even, so no Nyquist frequency tells which others may be mirrored",
                (long long)uneven, (long long)c->points.n, who, reach);
    if (even > 0)
        xn_note(ctx, "%lld of %lld modes lie above what %s can do (nu = %.4g THz)", (long long)even,
                (long long)c->points.n, who, reach);
}

// Rule of science.md 9: dt <= 1/(4 nu_max) for pairs. One line for all runs.
static void report_aliasing(xn_ctx *ctx, const xn_scene *s, const xn_modes *const *modes, int n, const xn_collection *c,
                            xn_dispersion *d)
{
    d->crystal_max_thz = s->max_thz;
    d->crystal_limit_thz = s->limit_thz;
    d->nyquist_thz = NAN;
    double step = NAN;
    for (int i = 0; i < n; i++)
        if (xn_other_bins_of(modes, i) < 0) step = fmax(step, modes[i]->step_ps);
    if (step > 0.0) d->nyquist_thz = 0.5 / step;
    double reach = (c->kind == XN_KIND_COHERENT ? 1.0 : 2.0) * xn_scene_reach(s);
    if (!(d->nyquist_thz < reach * (1.0 - 1e-9))) return;
    if (isnan(s->max_thz)) {
        if (c->aliased > 0)
            xn_warn(
                ctx,
                "aliasing: bins of %.4g fs show oscillations up to %.4g THz; how far the crystal reaches is not "
                "known (map.crystal.max_thz says it), with such atoms it could be %s = %.3g THz; %lld of %lld modes "
                "may be mirrored (2 f_N - f)",
                1e3 * step, d->nyquist_thz, c->kind == XN_KIND_COHERENT ? "nu" : "2 nu", reach, (long long)c->aliased,
                (long long)c->points.n);
        return;
    }
    xn_log(ctx, c->aliased > 0 ? XANI_LOG_WARNING : XANI_LOG_INFO,
           "aliasing: bins of %.4g fs show oscillations up to %.4g THz, the crystal goes up to %s = %.4g THz; %lld of "
           "%lld modes may be mirrored (2 f_N - f); bins of at most %.3g fs are needed",
           1e3 * step, d->nyquist_thz, c->kind == XN_KIND_COHERENT ? "nu" : "2 nu", reach, (long long)c->aliased,
           (long long)c->points.n, 1e3 * 0.5 / reach);
}

// Upper end of the frequency axes: what the fits could find, as far as there are points or phonons.
static double top_frequency(const xn_scene *s, const xn_modes *const *modes, int n, const xn_collection *c)
{
    double band = 0.0, highest = 1.1 * s->max_thz;
    for (int i = 0; i < n; i++)
        band = fmax(band, modes[i]->band_thz[1] * (c->kind == XN_KIND_PAIR || c->coherent == 0 ? 0.5 : 1.0));
    double points = 0.0; // which lie above the band where other bins told so
    for (int64_t i = 0; i < c->points.n; i++) points = fmax(points, 1.05 * c->points.frequency[i]);
    highest = fmax(highest, points);
    if (!(highest > 0.0)) return band > 0.0 ? band : 10.0;
    return band > points && band < highest ? band : highest;
}

static xani_status finish(xn_ctx *ctx, const xn_scene *s, const xn_known *k, const xn_path *p, xn_collection *c,
                          double top, xn_dispersion *d)
{
    xn_members m = {0};
    XN_TRY(xn_frequency_axis(ctx, top, d->shape[3], &d->axis[3]));
    XN_TRY(xn_volume_fill(ctx, s, c, d));
    XN_TRY(xn_check_interrupt(ctx));
    XN_TRY(xn_members_find(ctx, s, p, &c->points, &m));
    xani_status st = xn_path_fill(ctx, s, p, &m, c, d);
    if (st == XANI_OK && k->given) st = xn_branches_known(ctx, s, k, p, &m, c, d);
    if (st == XANI_OK && !k->given) st = xn_branches_find(ctx, s, p, &m, &c->points, d);
    xn_members_free(&m);
    return st;
}

static xani_status map_runs(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, xn_scene *s,
                            xn_known *k, xn_path *p, xn_collection *c, xn_dispersion *d)
{
    xn_view v = {0};
    xani_status st = XANI_OK;
    XN_TRY(plan(ctx, config, modes, n, s, p, d));
    report_unusable(ctx, modes, n);
    for (int i = 0; i < n && st == XANI_OK; i++) {
        xn_progress(ctx, "map", i, n, "runs");
        if (xn_other_bins_of(modes, i) < 0) st = add_run(ctx, config, s, modes, n, i, &v, c, p, d);
        if (st != XANI_OK && n > 1) xn_context(ctx, st, "run %s", d->run_names[i]);
        if (st == XANI_OK) st = xn_check_interrupt(ctx);
    }
    xn_view_free(&v);
    XN_TRY(st);
    xn_volume_reach(s, d);
    XN_TRY(xn_kinds_report(ctx, s, k, c, d));
    if (k->given && c->aliased > 0) XN_TRY(xn_mirrored_tell(ctx, s, k, modes, c));
    report_aliasing(ctx, s, modes, n, c, d);
    report_beyond(ctx, s, modes, c);
    XN_TRY(xn_known_map(ctx, config, s, c, k, d));
    XN_TRY(finish(ctx, s, k, p, c, top_frequency(s, modes, n, c), d));
    xn_progress(ctx, "map", n, n, "runs");
    return XANI_OK;
}

xani_status xn_map_plan(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, xn_dispersion *out)
{
    memset(out, 0, sizeof *out);
    if (n < 1) return xn_fail(ctx, XANI_ERR_USAGE, "no modes to map");
    xn_scene s;
    xn_path p = {0};
    xn_view v = {0};
    xn_known known = {0};
    XN_TRY(xn_scene_load(ctx, config, &s));
    xani_status st = xn_known_load(ctx, config, &s, &known);
    if (st == XANI_OK) st = plan(ctx, config, modes, n, &s, &p, out);
    if (st == XANI_OK) report_unusable(ctx, modes, n);
    for (int i = 0; i < n && st == XANI_OK; i++) {
        if (xn_other_bins_of(modes, i) >= 0) continue;
        st = group_for(ctx, &s, modes[i]);
        if (st == XANI_OK) st = xn_scene_view(ctx, config, &s, modes[i]->angles_deg, modes[i]->n_angles, &v);
        if (st == XANI_OK) keep_fitted(modes[i], &v);
        if (st == XANI_OK) xn_volume_count(&s, &v, out);
        if (st != XANI_OK && n > 1) xn_context(ctx, st, "run %s", out->run_names[i]);
        if (st == XANI_OK) st = xn_check_interrupt(ctx);
    }
    if (st == XANI_OK) xn_volume_reach(&s, out);
    out->n_branches = known.given ? 3 * known.start.n_atoms : 0;
    out->branches_known = known.given;
    xn_known_free(&known);
    xn_view_free(&v);
    xn_path_free(&p);
    xn_scene_free(&s);
    if (st != XANI_OK) xn_dispersion_free(out);
    return st;
}

// Spectra of averaged traces, run by run.
static xani_status average_runs(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, xn_scene *s,
                                const xn_path *p, const xn_collection *c, const xn_traces *traces, xn_dispersion *d)
{
    xn_average volume = {0}, path = {0};
    xn_view v = {0};
    double used = 0.0, budget = xn_config_memory(config) * 0x1p-30;
    xani_status st = xn_average_open(ctx, d->shape[0] * d->shape[1] * d->shape[2], d->shape[3], &volume);
    if (st == XANI_OK) st = xn_average_open(ctx, d->path_n, d->path_nf, &path);
    for (int i = 0; i < n && st == XANI_OK; i++) {
        if (xn_other_bins_of(modes, i) >= 0) continue;
        XN_GOTO(out, st, group_for(ctx, s, modes[i]));
        XN_GOTO(out, st, xn_scene_view(ctx, config, s, modes[i]->angles_deg, modes[i]->n_angles, &v));
        keep_fitted(modes[i], &v);
        XN_GOTO(out, st, xn_average_run(ctx, s, &v, modes[i], i, c->kind, traces, p, d, budget, &volume, &path));
    }
    for (int64_t i = 0; st == XANI_OK && i < volume.slots; i++) used += volume.count[i];
out:
    xn_view_free(&v);
    xn_average_close(&volume, used > 0.0 ? &d->averaged : NULL, &d->averaged_errors);
    xn_average_close(&path, used > 0.0 ? &d->path_averaged : NULL, &d->path_averaged_errors);
    return st;
}

xani_status xn_map(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, const xn_traces *traces,
                   xn_dispersion *out)
{
    memset(out, 0, sizeof *out);
    if (n < 1) return xn_fail(ctx, XANI_ERR_USAGE, "no modes to map");
    const char *kind = xn_config_string(config, "map.mode_kind");
    xn_collection c = {.kind = strcmp(kind, "pair") == 0       ? XN_KIND_PAIR
                               : strcmp(kind, "coherent") == 0 ? XN_KIND_COHERENT
                                                               : XN_KIND_AUTO};
    xn_scene s;
    xn_path p = {0};
    xn_known known = {0};
    XN_TRY(xn_scene_load(ctx, config, &s));
    out->energy_kev = s.energy_kev;
    xani_status st = xn_known_load(ctx, config, &s, &known);
    double top = known.given ? xn_forces_max_thz(&known.start, FREQUENCY_GRID) : NAN;
    if (top > 0.0 && !xn_config_has(config, "map.crystal.max_thz"))
        s.max_thz = top; // of this crystal, not of its element
    if (st == XANI_OK) st = map_runs(ctx, config, modes, n, &s, &known, &p, &c, out);
    if (st == XANI_OK && traces != NULL) st = average_runs(ctx, config, modes, n, &s, &p, &c, traces, out);
    out->points = c.points;
    out->combinations = c.combinations;
    memset(&c.points, 0, sizeof c.points);
    memset(&c.combinations, 0, sizeof c.combinations);
    xn_known_free(&known);
    xn_collection_free(&c);
    xn_path_free(&p);
    xn_scene_free(&s);
    if (st != XANI_OK) xn_dispersion_free(out);
    return st;
}
