// SPDX-License-Identifier: BSD-3-Clause
// results.c -- what was measured so far: cubes and modes below plan.results, else below output.directory.
//
// Results of another energy or cell are refused: they say nothing of this experiment.  A cube gives brightness, noise
// and shots as they are, and the error of its own samples before time zero, which replaces the formula's (noise_scale).
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "io/h5.h"
#include "plan/plan.h"
#include "result/result.h"

#define ENOUGH 20
#define SAME 0.01 // relative, of energies and cells

// ---- finding

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

const char *xn_plan_run_name(const xn_plan *p, int run)
{
    char key[XN_KEY_LENGTH];
    const char *name = xn_config_string(p->config, xn_key(key, "runs[%d].name", run));
    return name != NULL ? name : "";
}

static xani_status take(xn_plan *p, char **place, const char *path)
{
    if (*place != NULL) return XANI_OK; // the first counts
    *place = xn_strdup(path);
    return *place != NULL ? XANI_OK : xn_fail_memory(p->ctx, path, strlen(path));
}

static xani_status look_below(xn_plan *p, const char *folder, int *found)
{
    static const char *const names[2] = {"cube.h5", "modes.h5"};
    for (int run = 0; run < p->n_runs; run++)
        for (int k = 0; k < 2; k++) {
            const char *name = xn_plan_run_name(p, run);
            char *path = xn_format("%s/%s%s%s", folder, name, name[0] ? "/" : "", names[k]);
            if (path == NULL) return xn_fail_memory(p->ctx, folder, strlen(folder));
            xani_status st = XANI_OK;
            if (is_file(path)) {
                ++*found;
                st = take(p, k == 0 ? &p->cube_path[run] : &p->modes_path[run], path);
            }
            xn_free(path);
            XN_TRY(st);
        }
    return XANI_OK;
}

// A single file: its contents say what it is, the run's name in it where it belongs.
static xani_status look_into(xn_plan *p, const char *path, int *found)
{
    xn_h5 *file = NULL;
    XN_TRY(xn_h5_open(p->ctx, path, &file));
    bool cube = xn_h5_exists(file, "/entry/cube"), modes = xn_h5_exists(file, "/entry/modes");
    xn_h5_close(&file);
    if (!cube && !modes)
        return xn_fail(p->ctx, XANI_ERR_INPUT, "plan.results: %s is neither a cube.h5 nor a modes.h5", path);
    int run = 0;
    char *name = NULL;
    if (cube) {
        xn_cube c;
        XN_TRY(xn_result_read_cube_head(p->ctx, path, &c));
        name = xn_strdup(c.run != NULL ? c.run : "");
        xn_cube_free(&c);
    } else {
        xn_modes m;
        XN_TRY(xn_result_read_modes(p->ctx, path, &m));
        name = xn_strdup(m.run != NULL ? m.run : "");
        xn_modes_free(&m);
    }
    if (name == NULL) return xn_fail_memory(p->ctx, path, 16);
    while (run < p->n_runs && strcmp(xn_plan_run_name(p, run), name) != 0) run++;
    xani_status st = XANI_OK;
    if (run == p->n_runs && name[0] == '\0') run = 0;
    if (run == p->n_runs)
        st = xn_fail(p->ctx, XANI_ERR_INPUT, "plan.results: %s is of run '%s', which the configuration does not have",
                     path, name);
    xn_free(name);
    ++*found;
    return st == XANI_OK ? take(p, cube ? &p->cube_path[run] : &p->modes_path[run], path) : st;
}

// The folder of one run of several: its files say which.
static xani_status look_inside(xn_plan *p, const char *folder, int *found)
{
    static const char *const names[2] = {"cube.h5", "modes.h5"};
    for (int k = 0; k < 2; k++) {
        char *path = xn_format("%s/%s", folder, names[k]);
        if (path == NULL) return xn_fail_memory(p->ctx, folder, strlen(folder));
        xani_status st = is_file(path) ? look_into(p, path, found) : XANI_OK;
        xn_free(path);
        XN_TRY(st);
    }
    return XANI_OK;
}

static xani_status look_at(xn_plan *p, char *path, bool must)
{
    int found = 0;
    xani_status st = path == NULL ? xn_fail_memory(p->ctx, "plan.results", 1) : XANI_OK;
    if (st == XANI_OK && must && !is_folder(path) && !is_file(path))
        st = xn_fail(p->ctx, XANI_ERR_INPUT, "plan.results: there is no %s", path);
    if (st == XANI_OK) st = is_folder(path) ? look_below(p, path, &found) : must ? look_into(p, path, &found) : XANI_OK;
    if (st == XANI_OK && must && found == 0 && is_folder(path)) st = look_inside(p, path, &found);
    if (st == XANI_OK && must && found == 0)
        st = xn_fail(p->ctx, XANI_ERR_INPUT, "plan.results: there is no cube.h5 or modes.h5 of these runs below %s",
                     path);
    xn_free(path);
    return st;
}

static xani_status same(xn_plan *p, const char *key, const double *ours, const double *theirs, int n, const char *path)
{
    for (int i = 0; i < n; i++)
        if (fabs(ours[i] - theirs[i]) > SAME * fabs(ours[i]))
            return xn_config_bad(p->ctx, p->config, key, "%g, but the results in %s are of %g", ours[i], path,
                                 theirs[i]);
    return XANI_OK;
}

static xani_status same_experiment(xn_plan *p, const xn_config *theirs, const char *path)
{
    static const char energy[] = "experiment.energy_kev", cell[] = "map.crystal.cell";
    double a[6] = {xn_config_double(p->config, energy)}, b[6] = {xn_config_double(theirs, energy)};
    XN_TRY(same(p, energy, a, b, 1, path)); // what is not there is NaN, and like everything
    if (xn_config_doubles(p->config, cell, a, 6) != 6 || xn_config_doubles(theirs, cell, b, 6) != 6) return XANI_OK;
    return same(p, cell, a, b, 6, path);
}

static xani_status check_same(xn_plan *p, const char *path)
{
    char *yaml = NULL, *base = NULL;
    xn_config *theirs = NULL;
    if (path == NULL) return XANI_OK;
    xani_status st = xn_result_read_config(p->ctx, path, &yaml, &base);
    if (st == XANI_OK && yaml != NULL) st = xn_config_parse(p->ctx, yaml, path, base ? base : ".", &theirs);
    if (st == XANI_OK && theirs != NULL) st = same_experiment(p, theirs, path);
    xani_config_destroy(&theirs);
    xn_free(yaml);
    xn_free(base);
    return st;
}

static xani_status find(xn_plan *p)
{
    char key[XN_KEY_LENGTH];
    p->cube_path = xn_calloc((size_t)p->n_runs, sizeof *p->cube_path);
    p->modes_path = xn_calloc((size_t)p->n_runs, sizeof *p->modes_path);
    if (p->cube_path == NULL || p->modes_path == NULL)
        return xn_fail_memory(p->ctx, "the runs", (size_t)p->n_runs * sizeof *p->cube_path);
    int n = xn_config_count(p->config, "plan.results");
    for (int i = 0; i < n; i++) XN_TRY(look_at(p, xn_config_path(p->config, xn_key(key, "plan.results[%d]", i)), true));
    if (n == 0 && xn_config_has(p->config, "output.directory"))
        return look_at(p, xn_config_path(p->config, "output.directory"), false);
    return XANI_OK;
}

xani_status xn_plan_results(xn_plan *p)
{
    XN_TRY(find(p));
    for (int run = 0; run < p->n_runs; run++) {
        XN_TRY(check_same(p, p->cube_path[run]));
        XN_TRY(check_same(p, p->modes_path[run]));
    }
    return XANI_OK;
}

// ---- cubes

xani_status xn_plan_cubes(xn_plan *p, bool *measured)
{
    static const char where[] = "cube.h5";
    *measured = false;
    for (int run = 0; run < p->n_runs; run++) {
        xn_cube c;
        if (p->cube_path[run] == NULL) continue;
        XN_TRY(xn_result_read_cube_head(p->ctx, p->cube_path[run], &c));
        xani_status st = XANI_OK;
        if (!*measured && c.shots.n > 0 && c.edges_ps != NULL)
            st = xn_plan_shots(p, &c.shots, c.nbins, c.edges_ps, where);
        else if (!*measured && c.nbins > 1)
            st = xn_plan_bins_between(p, c.nbins, c.delay_ps, c.on_count != NULL ? c.on_count : c.weight);
        if (st == XANI_OK) st = xn_plan_from_cube(p, *measured ? run : 0, &c, where);
        *measured = true;
        xn_cube_free(&c);
        XN_TRY(st);
    }
    return XANI_OK;
}

static double shots_of(const xn_cube *c, int bin)
{
    return c->on.shots != NULL ? (double)c->on.shots[bin] : c->on_count[bin];
}

// Upper edge, half-way to the next delay where only these are known.
static double end_of(const xn_cube *c, int bin)
{
    if (c->edges_ps != NULL) return c->edges_ps[bin + 1];
    return 0.5 * (c->delay_ps[bin] + c->delay_ps[bin + 1 < c->nbins ? bin + 1 : bin]);
}

// The bin with most shots of those before time zero, else of all.
static int fullest(const xn_plan *p, const xn_cube *c, bool *quiet)
{
    int best[2] = {-1, 0};
    double zero = xn_config_double(p->config, "fit.time_zero_ps") - 3.0 * xn_plan_v(p, XN_PLAN_TIMING);
    for (int b = 0; b < c->nbins; b++) {
        bool before = end_of(c, b) < zero && shots_of(c, b) > 2.0;
        if (before && (best[0] < 0 || shots_of(c, b) > shots_of(c, best[0]))) best[0] = b;
        if (shots_of(c, b) > shots_of(c, best[1])) best[1] = b;
    }
    *quiet = best[0] >= 0;
    return *quiet ? best[0] : best[1];
}

// Errors of the fullest bin over what the formula says of each group: the median of the variances' ratio.
static xani_status compare_errors(xn_plan *p, const char *path, const xn_cube *c)
{
    int64_t n = c->ny * c->nx, k = 0;
    bool quiet = false; // nothing oscillates in that bin
    int bin = fullest(p, c, &quiet);
    double shots = shots_of(c, bin);
    float *e = xn_alloc((size_t)n, sizeof *e);
    double *ratio = xn_alloc(3 * (size_t)n, sizeof *ratio), *seen = ratio + n, *expected = seen + n;
    xani_status st = e != NULL && ratio != NULL ? XANI_OK : xn_fail_memory(p->ctx, "errors", (size_t)n * 28);
    if (st == XANI_OK) st = xn_result_read_errors(p->ctx, path, bin, c, e);
    for (int64_t i = 0; st == XANI_OK && i < n; i++) {
        double mu = (double)c->mean_frame[i], sigma = (double)e[i];
        if (c->mask[i] != 0 || !(mu > 0.0) || !(sigma > 0.0)) continue;
        double v = xn_plan_shot_variance(p, mu, c->spatial_bin * c->spatial_bin, 0.0) / shots;
        seen[k] = sigma;
        expected[k] = sqrt(v);
        ratio[k++] = sigma * sigma / v;
    }
    if (st == XANI_OK && k >= ENOUGH) {
        p->sigma_measured = xn_plan_median(seen, k);
        p->sigma_expected = xn_plan_median(expected, k);
        // a variance from `shots` shots scatters about its mean like chi^2, whose median is lower
        if (quiet) p->noise_scale = xn_plan_median(ratio, k) / pow(1.0 - 2.0 / (9.0 * (shots - 1.0)), 3.0);
    }
    xn_free(e);
    xn_free(ratio);
    return st;
}

xani_status xn_plan_errors(xn_plan *p)
{
    for (int run = 0; run < p->n_runs; run++) {
        xn_cube c;
        if (p->cube_path[run] == NULL) continue;
        XN_TRY(xn_result_read_cube_head(p->ctx, p->cube_path[run], &c));
        xani_status st = XANI_OK;
        if (c.errors_counting && (c.on.shots != NULL || c.on_count != NULL) && c.mean_frame != NULL)
            st = compare_errors(p, p->cube_path[run], &c);
        xn_cube_free(&c);
        return st; // one is enough
    }
    return XANI_OK;
}
