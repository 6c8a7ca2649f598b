// SPDX-License-Identifier: BSD-3-Clause
// report_read.c -- reads the results of a folder through the public interface.
//
// DIR holds cube.h5 and modes.h5 of a single run, or DIR/<name>/ those of each of several, and one
// dispersion.h5; which of them belong together says results.json, where it is there.  A file or dataset that is missing
// leaves NULL; one that is damaged is noted in words.
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"

// ---- one run

// A column of the shot table by its name, NULL: none.
static double *read_extra(report *r, report_run *run, const char *name)
{
    int64_t n = 0;
    char **names = report_strings(r, run->cube, "/entry/shots/extra_names", &n), *path = NULL;
    for (int64_t i = 0; names != NULL && i < n && path == NULL; i++)
        if (strcmp(names[i], name) == 0) path = cli_format("/entry/shots/extra_%d", (int)i);
    double *values = path != NULL ? report_exactly(r, run->cube, path, 1, run->shots.n) : NULL;
    free(path);
    report_strings_free(names, n);
    return values;
}

static void read_shots(report *r, report_run *run)
{
    report_shots *s = &run->shots;
    s->i0 = report_numbers(r, run->cube, "/entry/shots/i0", 1, &s->n);
    if (s->i0 == NULL) return;
    s->delay_ps = report_exactly(r, run->cube, "/entry/shots/delay", 1, s->n);
    s->verdict = report_exactly(r, run->cube, "/entry/shots/verdict", 1, s->n);
    s->laser = report_exactly(r, run->cube, "/entry/shots/laser", 1, s->n);
    s->photons = read_extra(r, run, "frame/photons");
    s->i0_read = read_extra(r, run, "i0/as_read");
}

static void read_cuts(report *r, report_run *run)
{
    report_cuts *k = &run->cuts;
    k->name = report_strings(r, run->cube, "/entry/cut_flow/name", &k->n);
    k->on = report_exactly(r, run->cube, "/entry/cut_flow/on_left", 1, k->n);
    k->off = report_exactly(r, run->cube, "/entry/cut_flow/off_left", 1, k->n);
    k->unknown = report_exactly(r, run->cube, "/entry/cut_flow/unknown_left", 1, k->n);
}

// Rows of the modules, and the angles of the sample; both stand in either file.
static void read_modules(report *r, report_run *run, const char *file)
{
    if (run->angles_deg == NULL) run->angles_deg = report_numbers(r, file, "/entry/angle_deg", 1, &run->n_angles);
    if (run->module_rows != NULL) return;
    run->module_rows = report_numbers(r, file, "/entry/module_rows", 1, &run->n_modules);
    double rows = 0.0;
    for (int64_t m = 0; run->module_rows != NULL && m < run->n_modules; m++) // a negative number spoils the sum
        rows += run->module_rows[m] >= 0.0 ? run->module_rows[m] : NAN;
    if (run->module_rows != NULL && rows == (double)run->ny) return;
    free(run->module_rows); // one block
    run->module_rows = cli_alloc(1, sizeof *run->module_rows);
    run->module_rows[0] = (double)run->ny;
    run->n_modules = 1;
}

// Pictures are drawn over ps.
static bool is_in_ps(report *r, const char *cube)
{
    char *units = report_attribute(r, cube, "/entry/cube/delay", "units");
    const bool ps =
        units == NULL || units[0] == '\0' || strcmp(units, "ps") == 0 || strncmp(units, "picosecond", 10) == 0;
    if (!ps) report_note(r, "%s has delays in %s, not ps, and is left out", cube, units);
    free(units);
    return ps;
}

// How many shots the sums hold; 0 of a cube whose counts nobody knows.
static void read_counts(report *r, report_run *run)
{
    int64_t n = 0;
    double *off = report_numbers(r, run->cube, "/entry/sums/off/shots", 1, &n), sum = 0.0;
    run->shots_off = off != NULL && n > 0 ? off[0] : report_scalar(r, run->cube, "/entry/sums/off/count");
    for (int64_t b = 0; run->shots_per_bin != NULL && b < run->nb; b++) sum += run->shots_per_bin[b];
    run->shots_on = sum > 0.0 ? sum : NAN;
    if (!(run->shots_off > 0.0)) run->shots_off = NAN;
    free(off);
}

static void read_cube(report *r, report_run *run)
{
    int64_t shape[2];
    if (!is_in_ps(r, run->cube)) {
        free(run->cube);
        run->cube = NULL;
        return;
    }
    run->mask = report_required(r, run->cube, "/entry/mask", 2, shape);
    run->delay_ps = run->mask != NULL ? report_required(r, run->cube, "/entry/cube/delay", 1, &run->nb) : NULL;
    if (run->mask == NULL || run->delay_ps == NULL) {
        free(run->cube);
        run->cube = NULL;
        return;
    }
    run->ny = shape[0];
    run->nx = shape[1];
    run->spatial_bin = (int64_t)report_scalar(r, run->cube, "/entry/spatial_bin");
    read_modules(r, run, run->cube);
    run->mean_frame = report_exactly(r, run->cube, "/entry/mean_frame/photons", 2, run->ny * run->nx);
    run->edges_ps = report_exactly(r, run->cube, "/entry/bins/edges", 1, run->nb + 1);
    run->shots_per_bin = report_exactly(r, run->cube, "/entry/sums/on/shots", 1, run->nb);
    if (run->shots_per_bin == NULL)
        run->shots_per_bin = report_exactly(r, run->cube, "/entry/sums/on/count", 1, run->nb);
    read_counts(r, run);
    run->time_resolution_ps = report_scalar(r, run->cube, "/entry/time_resolution");
    read_cuts(r, run);
    read_shots(r, run);
}

static void read_modes(report *r, report_run *run)
{
    int64_t shape[3], n;
    run->frequency = report_required(r, run->modes, "/entry/modes/frequency", 3, shape);
    if (run->frequency == NULL || (run->ny > 0 && (run->ny != shape[1] || run->nx != shape[2]))) {
        if (run->frequency != NULL) report_note(r, "%s has another shape than its cube and is left out", run->modes);
        free(run->frequency);
        free(run->modes);
        run->frequency = NULL;
        run->modes = NULL;
        return;
    }
    run->n_modes = shape[0];
    run->ny = shape[1];
    run->nx = shape[2];
    n = run->n_modes * run->ny * run->nx;
    read_modules(r, run, run->modes);
    if (run->spatial_bin <= 0) run->spatial_bin = (int64_t)report_scalar(r, run->modes, "/entry/spatial_bin");
    struct {
        double **to;
        const char *name;
    } rows[] = {{&run->frequency_errors, "frequency_errors"}, {&run->amplitude, "amplitude"},
                {&run->amplitude_errors, "amplitude_errors"}, {&run->phase, "phase"},
                {&run->phase_errors, "phase_errors"},         {&run->damping, "damping"},
                {&run->damping_errors, "damping_errors"},     {&run->significance, "significance"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *name = cli_format("/entry/modes/%s", rows[i].name);
        *rows[i].to = report_exactly(r, run->modes, name, 3, n);
        free(name);
    }
    run->count = report_exactly(r, run->modes, "/entry/n_modes", 2, run->ny * run->nx);
    run->status = report_exactly(r, run->modes, "/entry/fit_status", 2, run->ny * run->nx);
    run->chi2 = report_exactly(r, run->modes, "/entry/chi2_reduced", 2, run->ny * run->nx);
    run->sigma = report_exactly(r, run->modes, "/entry/sigma", 2, run->ny * run->nx);
    if (run->nb > 0) run->weight = report_exactly(r, run->modes, "/entry/fit/weight", 1, run->nb);
    run->background = report_numbers(r, run->modes, "/entry/background", 3, shape);
    run->n_background = run->background != NULL ? shape[0] : 0;
    run->errors_from = report_attribute(r, run->modes, "/entry/modes", "errors_from");
    char *terms = report_attribute(r, run->modes, "/entry/modes", "background");
    run->level_before = terms != NULL && strstr(terms, "before time zero") != NULL && run->n_background > 0;
    run->exponential = terms != NULL && strncmp(terms, "offset", 6) == 0 && run->n_background == 3 + run->level_before;
    free(terms);
    run->response_ps = report_scalar(r, run->modes, "/entry/fit/response_fwhm") / 2.35482004503094938202;
    run->time_zero_ps = report_scalar(r, run->modes, "/entry/fit/time_zero");
    if (!isfinite(run->time_zero_ps)) run->time_zero_ps = 0; // a file of an earlier version
    run->lo_ps = report_scalar(r, run->modes, "/entry/fit/delay_first");
    run->hi_ps = report_scalar(r, run->modes, "/entry/fit/delay_last");
    run->n_delays = report_scalar(r, run->modes, "/entry/fit/n_delays");
    run->band_thz[0] = report_scalar(r, run->modes, "/entry/fit/band_low");
    run->band_thz[1] = report_scalar(r, run->modes, "/entry/fit/band_high");
    run->threshold = report_scalar(r, run->modes, "/entry/fit/threshold");
    run->false_alarm = report_scalar(r, run->modes, "/entry/fit/false_alarm");
}

static char *file_in(const char *dir, const char *name, const char *file)
{
    char *path = name[0] ? cli_format("%s/%s/%s", dir, name, file) : cli_format("%s/%s", dir, file);
    if (access(path, F_OK) == 0) return path;
    free(path);
    return NULL;
}

static void add_run(report *r, const char *name)
{
    char *cube = file_in(r->dir, name, "cube.h5"), *modes = file_in(r->dir, name, "modes.h5");
    if (cube == NULL && modes == NULL) return;
    report_run *more = cli_alloc((size_t)r->n_runs + 1, sizeof *more);
    if (r->n_runs > 0) memcpy(more, r->runs, (size_t)r->n_runs * sizeof *more);
    free(r->runs);
    r->runs = more;
    report_run *run = &r->runs[r->n_runs++];
    run->name = cli_format("%s", name);
    run->cube = cube;
    run->modes = modes;
    run->shots_on = run->shots_off = NAN;
    run->time_resolution_ps = run->lo_ps = run->hi_ps = run->n_delays = run->threshold = run->false_alarm = NAN;
}

// The only run of a list has its results in a folder of its own; those beside it are links to them.
static bool is_linked(const report *r, const char *file)
{
    struct stat s;
    char *path = cli_format("%s/%s", r->dir, file);
    bool linked = lstat(path, &s) == 0 && S_ISLNK(s.st_mode);
    free(path);
    return linked;
}

// What the last `xani run` says is its own. False: there is no such list.
static bool listed_runs(report *r)
{
    char *path = cli_format("%s/results.json", r->dir);
    json_t *list = json_load_file(path, 0, NULL), *runs = json_object_get(list, "runs"), *name;
    size_t i;
    const bool there = json_is_array(runs);
    json_array_foreach(runs, i, name) if (json_is_string(name) && strchr(json_string_value(name), '/') == NULL)
        add_run(r, json_string_value(name));
    r->not_mapped = there && json_is_false(json_object_get(list, "dispersion"));
    json_decref(list);
    free(path);
    return there;
}

static void find_runs(report *r)
{
    if (listed_runs(r)) return;
    if (!is_linked(r, "cube.h5") && !is_linked(r, "modes.h5")) add_run(r, "");
    struct dirent **entries = NULL;
    int n = r->n_runs > 0 ? 0 : scandir(r->dir, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') add_run(r, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

// ---- dispersion

static void read_labels(report *r, report_dispersion *d)
{
    int64_t n = 0, m = 0;
    d->label = report_strings(r, d->path, "/entry/path_labels/name", &n);
    d->label_distance = report_numbers(r, d->path, "/entry/path_labels/distance", 1, &m);
    d->n_labels = (int)n;
    if (d->label != NULL && d->label_distance != NULL && n == m) return;
    report_strings_free(d->label, n);
    free(d->label_distance);
    d->label = NULL;
    d->label_distance = NULL;
    d->n_labels = 0;
}

static void read_dispersion(report *r, report_dispersion *d)
{
    int64_t shape[2], n;
    d->path = r->not_mapped ? NULL : file_in(r->dir, "", "dispersion.h5");
    if (d->path == NULL) return;
    report_read_points(r, d->path, &d->points);
    if (d->points.frequency == NULL) {
        free(d->path);
        d->path = NULL;
        return;
    }
    double *combinations = report_numbers(r, d->path, "/entry/combination_points/frequency", 1, &n);
    d->n_combinations = combinations != NULL ? n : 0;
    free(combinations);
    d->nyquist_thz = report_scalar(r, d->path, "/entry/nyquist");
    d->zone_voxels = report_scalar(r, d->path, "/entry/zone_voxels");
    d->coverage = report_numbers(r, d->path, "/entry/volume/coverage", 3, d->shape);
    static const char *const axis[3] = {"/entry/volume/h", "/entry/volume/k", "/entry/volume/l"};
    for (int k = 0; k < 3 && d->coverage != NULL; k++) d->axis[k] = report_exactly(r, d->path, axis[k], 1, d->shape[k]);
    d->path_intensity = report_numbers(r, d->path, "/entry/path/intensity", 2, shape);
    if (d->path_intensity != NULL) {
        d->path_n = shape[0];
        d->path_nf = shape[1];
        d->path_distance = report_exactly(r, d->path, "/entry/path/distance", 1, d->path_n);
        d->path_frequency = report_exactly(r, d->path, "/entry/path/frequency", 1, d->path_nf);
        read_labels(r, d);
        report_read_forces(r, d);
    }
    d->branch_frequency = report_numbers(r, d->path, "/entry/branches/frequency", 2, shape);
    if (d->branch_frequency != NULL) {
        d->n_branches = shape[0];
        d->branch_n = shape[1];
        n = d->n_branches * d->branch_n;
        d->branch_distance = report_exactly(r, d->path, "/entry/branches/distance", 1, d->branch_n);
        d->branch_errors = report_exactly(r, d->path, "/entry/branches/frequency_errors", 2, n);
        d->branch_count = report_exactly(r, d->path, "/entry/branches/count", 2, n);
        d->branch_hkl = report_exactly(r, d->path, "/entry/branches/hkl", 2, 3 * d->branch_n);
    }
}

xani_status report_read(report *r, const char *truth_path)
{
    find_runs(r);
    for (int i = 0; i < r->n_runs; i++) {
        if (r->runs[i].cube != NULL) read_cube(r, &r->runs[i]);
        if (r->runs[i].modes != NULL) read_modes(r, &r->runs[i]);
    }
    read_dispersion(r, &r->dispersion);
    bool anything = r->dispersion.path != NULL;
    for (int i = 0; i < r->n_runs; i++) anything |= r->runs[i].cube != NULL || r->runs[i].modes != NULL;
    const char *why = json_string_value(json_array_get(r->notes, 0));
    if (!anything && why != NULL) return cli_fail(r->c, XANI_ERR_INPUT, "%s", why);
    if (!anything)
        return cli_fail(r->c, XANI_ERR_INPUT, "%s: no result here; cube.h5, modes.h5 or dispersion.h5 is needed",
                        r->dir);
    xani_status st = truth_find(r, truth_path);
    if (st == XANI_OK) truth_bands(r);
    return st;
}

// ---- the end

static void forget_run(report_run *run)
{
    void *const owned[] = {run->name,
                           run->cube,
                           run->modes,
                           run->module_rows,
                           run->angles_deg,
                           run->delay_ps,
                           run->edges_ps,
                           run->shots_per_bin,
                           run->mask,
                           run->mean_frame,
                           run->shots.i0,
                           run->shots.delay_ps,
                           run->shots.verdict,
                           run->shots.laser,
                           run->shots.photons,
                           run->shots.i0_read,
                           run->cuts.on,
                           run->cuts.off,
                           run->cuts.unknown,
                           run->frequency,
                           run->frequency_errors,
                           run->amplitude,
                           run->amplitude_errors,
                           run->phase,
                           run->phase_errors,
                           run->damping,
                           run->damping_errors,
                           run->significance,
                           run->count,
                           run->status,
                           run->chi2,
                           run->background,
                           run->sigma,
                           run->weight,
                           run->errors_from};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) free(owned[i]);
    report_strings_free(run->cuts.name, run->cuts.n);
}

void report_forget(report *r)
{
    for (int i = 0; i < r->n_runs; i++) forget_run(&r->runs[i]);
    report_dispersion *d = &r->dispersion;
    void *const owned[] = {r->runs,           r->title,           r->energy,           r->created,
                           d->path,           d->coverage,        d->axis[0],          d->axis[1],
                           d->axis[2],        d->path_distance,   d->path_frequency,   d->path_intensity,
                           d->label_distance, d->branch_distance, d->branch_frequency, d->branch_errors,
                           d->branch_count,   d->branch_hkl,      d->reference,        d->refined};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) free(owned[i]);
    report_forget_points(&d->points);
    report_strings_free(d->label, d->n_labels);
    truth_free(&r->truth);
    truth_score_free(&r->score);
    text_free(&r->page);
    json_decref(r->json);
    json_decref(r->notes);
    json_decref(r->pictures);
}
