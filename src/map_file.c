// SPDX-License-Identifier: BSD-3-Clause
// map_file.c -- xani map: modes of one or more files, and the configuration that says where they look.
//
// There is one crystal, energy and detector for all files.  A configuration that is given goes before the stored ones;
// stored ones must agree.  The angles are the file's own, else those of its run in the configuration.
#include <math.h>
#include <string.h>

#include "io/write/publish.h"
#include "map/map.h"
#include "pipeline.h"
#include "source/source.h"

// ---- stored configurations

static xani_status stored_config(xn_ctx *ctx, const char *path, xn_config **config)
{
    XN_TRY(xn_result_stored(ctx, path, config));
    if (*config != NULL) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_CONFIG, "%s: no configuration is stored in it; give one with --config", path);
}

static xani_status same_part(xn_ctx *ctx, const xn_config *a, const xn_config *b, const char *key, const char *path)
{
    bool same;
    XN_TRY(xn_config_same_part(ctx, a, b, key, &same));
    if (same) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_CONFIG, "%s: %s differs from that of %s; give one configuration with --config", path,
                   key, xn_config_name(a));
}

// A geometry file named from two folders may be one.
static xani_status same_geometry_file(xn_ctx *ctx, const xn_config *a, const xn_config *b, const char *path)
{
    static const char key[] = "geometry.file";
    char *x = xn_config_has(a, key) ? xn_config_path(a, key) : NULL;
    char *y = xn_config_has(b, key) ? xn_config_path(b, key) : NULL;
    const bool same = x != NULL && y != NULL ? strcmp(x, y) == 0 || xn_same_file(x, y) : x == y;
    xn_free(x);
    xn_free(y);
    if (same) return XANI_OK;
    return xn_fail(ctx, XANI_ERR_CONFIG, "%s: %s differs from that of %s; give one configuration with --config", path,
                   key, xn_config_name(a));
}

// Circles but for their angles, which are the run's own.
static xani_status same_circles(xn_ctx *ctx, const xn_config *a, const xn_config *b, const char *path)
{
    static const char *const words[] = {"axis", "sign"};
    const int n = xn_config_count(a, "geometry.goniometer");
    char key[XN_KEY_LENGTH];
    if (n != xn_config_count(b, "geometry.goniometer")) return same_part(ctx, a, b, "geometry.goniometer", path);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 2; k++)
            XN_TRY(same_part(ctx, a, b, xn_key(key, "geometry.goniometer[%d].%s", i, words[k]), path));
    return XANI_OK;
}

// The configuration of the first file; the others must have the same crystal, energy and geometry.
static xani_status common_config(xn_ctx *ctx, const char *const *paths, size_t n, xn_config **config)
{
    static const char *const keys[] = {"map.crystal",          "experiment.energy_kev", "geometry.detector",
                                       "geometry.distance_mm", "geometry.arm",          "geometry.region",
                                       "geometry.map",         "geometry.quadrants_mm", "geometry.inverted",
                                       "geometry.wide_pixels", "geometry.ub",           "geometry.cell",
                                       "geometry.orientation", "geometry.reflections"};
    XN_TRY(stored_config(ctx, paths[0], config));
    for (size_t i = 1; i < n; i++) {
        xn_config *other = NULL;
        xani_status st = stored_config(ctx, paths[i], &other);
        for (size_t k = 0; k < sizeof keys / sizeof *keys && st == XANI_OK; k++)
            st = same_part(ctx, *config, other, keys[k], paths[i]);
        if (st == XANI_OK) st = same_geometry_file(ctx, *config, other, paths[i]);
        if (st == XANI_OK) st = same_circles(ctx, *config, other, paths[i]);
        xani_config_destroy(&other);
        XN_TRY(st);
    }
    return XANI_OK;
}

// ---- a configuration and modes made with another

// The entry of `runs` that modes are of: that of their name, else the only one where either has no name; -1: none.
static int run_of(const xn_config *config, const xn_modes *m)
{
    char key[XN_KEY_LENGTH];
    const int n = xn_source_runs(config);
    const char *own = m->run != NULL ? m->run : "", *name = NULL;
    for (int i = 0; i < n; i++) {
        name = xn_config_string(config, xn_key(key, "runs[%d].name", i));
        if (name != NULL && strcmp(name, own) == 0) return i;
    }
    return n == 1 && (name == NULL || own[0] == '\0') ? 0 : -1;
}

// Modes that do not know their angles get those of their run.
static xani_status give_angles(xn_ctx *ctx, const xn_config *config, xn_modes *m, const char *path)
{
    const int axes = xn_config_count(config, "geometry.goniometer"), run = run_of(config, m);
    const int most = (int)(sizeof m->angles_deg / sizeof *m->angles_deg);
    char key[XN_KEY_LENGTH];
    if (m->n_angles > 0 || axes == 0) return XANI_OK;
    if (!xn_source_angles_by_run(config)) return XANI_OK; // those of geometry.goniometer hold
    if (run < 0)
        return xn_fail(
            ctx, XANI_ERR_CONFIG,
            "%s: has no /entry/angle_deg, and its /entry/run \"%s\" is none of `runs` of %s, which would say "
            "at which angles it was measured",
            path, m->run != NULL ? m->run : "", xn_config_name(config));
    if (!xn_config_has(config, xn_key(key, "runs[%d].angle_deg", run))) return XANI_OK;
    const int n = xn_config_doubles(config, key, m->angles_deg, most);
    if (n != axes)
        return xn_config_bad(ctx, config, key, "%d angles are given, geometry.goniometer has %d axes", n, axes);
    m->n_angles = n;
    return XANI_OK;
}

// Modes know at which angles they were measured; a configuration that says others is told so.
static void compare_angles(xn_ctx *ctx, const xn_config *config, const xn_modes *m, const char *path)
{
    char key[XN_KEY_LENGTH], angles[XN_KEY_LENGTH] = "";
    const int run = run_of(config, m);
    if (run >= 0) xn_key(angles, "runs[%d].angle_deg", run);
    const bool by_run = angles[0] != '\0' && xn_config_has(config, angles);
    if (!by_run && xn_source_runs(config) > 0) return;
    for (int k = 0; k < m->n_angles && k < xn_config_count(config, "geometry.goniometer"); k++) {
        double angle = xn_config_double(config, by_run ? xn_key(key, "%s[%d]", angles, k)
                                                       : xn_key(key, "geometry.goniometer[%d].angle_deg", k));
        if (fabs(angle - m->angles_deg[k]) > 1e-9)
            xn_warn(ctx,
                    "%s: measured at %.9g degrees of circle %d, which is taken; %s says %.9g: for that, reduce and fit "
                    "again",
                    path, m->angles_deg[k], k + 1, xn_config_name(config), angle);
    }
}

// The energy of a configuration that is given is taken: the modes do not depend on it.
static xani_status compare_energy(xn_ctx *ctx, const xn_config *config, const char *path)
{
    static const char key[] = "experiment.energy_kev";
    char *yaml = NULL, *base = NULL;
    xn_config *stored = NULL;
    XN_TRY(xn_result_read_config(ctx, path, &yaml, &base));
    if (yaml != NULL && xn_config_parse(ctx, yaml, path, base ? base : ".", &stored) == XANI_OK) {
        const double own = xn_config_double(stored, key), given = xn_config_double(config, key);
        if (fabs(own - given) > 1e-9 * given)
            xn_warn(ctx, "%s: was measured at %.9g keV; %s says %.9g, which is taken", path, own,
                    xn_config_name(config), given);
    }
    xn_clear_error(ctx);
    xani_config_destroy(&stored);
    xn_free(yaml);
    xn_free(base);
    return XANI_OK;
}

// Their points would count twice.
static xani_status check_twice(xn_ctx *ctx, const char *const *paths, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (xn_same_file(paths[i], paths[k])) return xn_fail(ctx, XANI_ERR_USAGE, "%s: is given twice", paths[i]);
    return XANI_OK;
}

static bool same_plane(const float *a, const float *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

// One run's modes under two names, too.
static xani_status check_copies(xn_ctx *ctx, const xn_modes *const *modes, const char *const *paths, size_t at)
{
    const xn_modes *m = modes[at];
    const size_t n = (size_t)(m->n_modes * m->ny * m->nx);
    for (size_t i = 0; i < at; i++) {
        const xn_modes *o = modes[i];
        bool same = strcmp(o->run != NULL ? o->run : "", m->run != NULL ? m->run : "") == 0 && o->ny == m->ny &&
                    o->nx == m->nx && o->n_modes == m->n_modes && o->spatial_bin == m->spatial_bin &&
                    o->n_angles == m->n_angles;
        for (int k = 0; same && k < m->n_angles; k++) same = o->angles_deg[k] == m->angles_deg[k];
        if (same && same_plane(o->frequency, m->frequency, n) && same_plane(o->amplitude, m->amplitude, n) &&
            memcmp(o->count, m->count, (size_t)(m->ny * m->nx)) == 0)
            return xn_fail(ctx, XANI_ERR_USAGE,
                           "%s: holds the same modes of the same run as %s: they would count twice", paths[at],
                           paths[i]);
    }
    return XANI_OK;
}

xani_status xn_pipeline_map(xn_ctx *ctx, const xn_config *given, const char *const *paths, size_t n,
                            const char *dispersion_path, json_t **plan)
{
    xn_config *config = NULL;
    const char *why = NULL;
    xn_modes *modes = xn_calloc(n, sizeof *modes);
    const xn_modes **list = xn_calloc(n, sizeof(xn_modes *));
    const char **inputs = xn_calloc(n + 1, sizeof(char *));
    xani_status st = n == 0 ? xn_fail(ctx, XANI_ERR_USAGE, "no modes to map") : XANI_OK;
    if (modes == NULL || list == NULL || inputs == NULL) st = xn_fail_memory(ctx, "the modes", n * sizeof *modes);
    if (st == XANI_OK) st = check_twice(ctx, paths, n);
    if (st == XANI_OK && given == NULL) st = common_config(ctx, paths, n, &config);
    if (st != XANI_OK) goto out;
    const xn_config *used = given ? given : config;
    if (!xn_map_possible(used, &why)) {
        st = xn_fail(ctx, XANI_ERR_CONFIG, "%s: %s is missing: the map needs it", xn_config_name(used), why);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        XN_GOTO(out, st, xn_result_read_modes(ctx, paths[i], &modes[i]));
        list[i] = &modes[i];
        inputs[i] = paths[i];
        if (given != NULL) compare_angles(ctx, given, &modes[i], paths[i]);
        if (given != NULL) XN_GOTO(out, st, compare_energy(ctx, given, paths[i]));
        XN_GOTO(out, st, give_angles(ctx, used, &modes[i], paths[i]));
        XN_GOTO(out, st, check_copies(ctx, list, paths, i));
    }
    st = plan != NULL ? xn_stage_map_plan(ctx, used, list, (int)n, inputs, dispersion_path, plan)
                      : xn_stage_map(ctx, used, list, (int)n, inputs, NULL, dispersion_path, NULL);
out:
    for (size_t i = 0; modes != NULL && i < n; i++) xn_modes_free(&modes[i]);
    xn_free(modes);
    xn_free(list);
    xn_free(inputs);
    xani_config_destroy(&config);
    return st;
}
