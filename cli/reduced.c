// SPDX-License-Identifier: BSD-3-Clause
// reduced.c -- what `xani fit --json` tells of modes: how many pixels ended how; `xani reduce --json` of a cube: its
// bins and pixels, how many shots each cut left, and the balance of frames and readings; and `xani map --json` of a
// dispersion.  Read from the file, so that it is what others will find there.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

static void put_count(json_t *o, const char *key, double n)
{
    if (isfinite(n)) json_object_set_new(o, key, json_integer((json_int_t)llround(n)));
}

static double total(const double *v, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; v != NULL && i < n; i++) sum += v[i];
    return v != NULL ? sum : NAN;
}

static void put_pixels(report *r, const char *cube, json_t *o)
{
    int64_t shape[2], masked = 0;
    double *mask = report_numbers(r, cube, "/entry/mask", 2, shape);
    if (mask == NULL) return;
    for (int64_t i = 0; i < shape[0] * shape[1]; i++) masked += mask[i] != 0;
    put_count(o, "pixels", (double)(shape[0] * shape[1]));
    put_count(o, "masked", (double)masked);
    free(mask);
}

// Shots in the sums; of cubes that were binned before the counts they came with.
static void put_shots(report *r, const char *cube, json_t *o)
{
    int64_t on = 0, off = 0, bins = 0;
    double *of_on = report_numbers(r, cube, "/entry/sums/on/shots", 1, &on), *of_off = NULL;
    if (of_on == NULL) of_on = report_numbers(r, cube, "/entry/sums/on/count", 1, &on);
    of_off = report_numbers(r, cube, "/entry/sums/off/shots", 1, &off);
    double *delay = report_numbers(r, cube, "/entry/cube/delay", 1, &bins);
    if (delay != NULL) put_count(o, "delay_bins", (double)bins);
    put_count(o, "laser_on", total(of_on, on));
    put_count(o, "laser_off", of_off != NULL ? total(of_off, off) : report_scalar(r, cube, "/entry/sums/off/count"));
    free(of_on);
    free(of_off);
    free(delay);
}

static void put_cut_flow(report *r, const char *cube, json_t *o)
{
    static const char *const classes[] = {"on", "off", "unknown"};
    int64_t n = 0;
    char **name = report_strings(r, cube, "/entry/cut_flow/name", &n);
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_pack("{s:s}", "cut", name[i]));
    for (int k = 0; n > 0 && k < 3; k++) {
        char *dataset = cli_format("/entry/cut_flow/%s_left", classes[k]);
        double *left = report_exactly(r, cube, dataset, 1, n);
        for (int64_t i = 0; left != NULL && i < n; i++) put_count(json_array_get(list, (size_t)i), classes[k], left[i]);
        free(left);
        free(dataset);
    }
    report_strings_free(name, n);
    json_object_set_new(o, "cut_flow", list);
}

json_t *cli_reduced(cli *c, const char *cube)
{
    static const char *const balance[][2] = {{"frames", "/entry/shots/frames"},
                                             {"frames_lost", "/entry/shots/missing"},
                                             {"repeated_ids", "/entry/shots/duplicate"},
                                             {"without_frame", "/entry/shots/unmatched"}};
    report r = {.c = c, .notes = json_array()};
    json_t *o = json_object();
    put_shots(&r, cube, o);
    put_pixels(&r, cube, o);
    const bool framed = report_scalar(&r, cube, balance[0][1]) > 0.0; // not those that were binned before
    for (size_t i = 0; framed && i < sizeof balance / sizeof balance[0]; i++)
        put_count(o, balance[i][0], report_scalar(&r, cube, balance[i][1]));
    put_cut_flow(&r, cube, o);
    json_decref(r.notes);
    return o;
}

json_t *cli_fitted(cli *c, const char *modes)
{
    static const char *const names[] = {"modes", "none", "masked", "few_delays", "not_converged", "at_bound"};
    report r = {.c = c, .notes = json_array()};
    int64_t shape[2], count[sizeof names / sizeof names[0]] = {0};
    json_t *o = json_object(), *by_status = json_object();
    double *status = report_numbers(&r, modes, "/entry/fit_status", 2, shape);
    for (int64_t i = 0; status != NULL && i < shape[0] * shape[1]; i++)
        if (status[i] >= 0.0 && status[i] < (double)(sizeof names / sizeof names[0])) count[(int)status[i]]++;
    if (status != NULL) put_count(o, "pixels", (double)(shape[0] * shape[1]));
    for (size_t i = 0; status != NULL && i < sizeof names / sizeof names[0]; i++)
        put_count(by_status, names[i], (double)count[i]);
    json_object_set_new(o, "fit_status", by_status);
    free(status);
    json_decref(r.notes);
    return o;
}

json_t *cli_mapped(cli *c, const char *dispersion)
{
    report r = {.c = c, .notes = json_array()};
    report_points p = {0};
    json_t *o = json_object();
    int64_t shape[3] = {0}, runs = 0, combinations = 0, on_branch = 0, values = 0, seen = 0;
    report_read_points(&r, dispersion, &p);
    double *frequency = report_numbers(&r, dispersion, "/entry/branches/frequency", 2, shape);
    put_count(o, "branches", frequency != NULL ? (double)shape[0] : NAN);
    if (frequency != NULL) values = numbers_finite(frequency, shape[0] * shape[1]);
    free(frequency);
    free(report_numbers(&r, dispersion, "/entry/combination_points/frequency", 1, &combinations));
    double *coverage = report_numbers(&r, dispersion, "/entry/volume/coverage", 3, shape);
    for (int64_t i = 0; coverage != NULL && i < shape[0] * shape[1] * shape[2]; i++) seen += coverage[i] > 0;
    free(coverage);
    char **names = report_strings(&r, dispersion, "/entry/runs/name", &runs);
    report_strings_free(names, runs);
    for (int64_t i = 0; p.branch != NULL && i < p.n; i++) on_branch += p.branch[i] >= 0;
    if (runs > 0) put_count(o, "runs", (double)runs);
    put_count(o, "points", (double)p.n);
    put_count(o, "points_pair", (double)p.pairs);
    put_count(o, "points_coherent", (double)(p.n - p.pairs));
    put_count(o, "points_on_branches", (double)on_branch);
    put_count(o, "points_aliased", (double)p.mirrored);
    put_count(o, "points_alias_unknown", (double)p.unjudged);
    put_count(o, "combination_points", (double)combinations);
    put_count(o, "branch_values", (double)values);
    put_count(o, "voxels_seen", (double)seen);
    put_count(o, "voxels_in_zone", report_scalar(&r, dispersion, "/entry/zone_voxels"));
    report_forget_points(&p);
    json_decref(r.notes);
    return o;
}
