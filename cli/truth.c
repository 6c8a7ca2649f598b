// SPDX-License-Identifier: BSD-3-Clause
// truth.c -- the known answer of a simulated experiment, and how the points compare with it.
//
// truth.h5 holds, per run and detector pixel, nu of every branch after the change and the amplitude of its
// pair line.  A group of pixels sees the sum of their photons, so its truth is the mean of nu weighted with
// amplitude times photons.
// A point is compared with the branch nearest to it among those with at least VISIBLE of its amplitude.  Pulls
// (nu - nu1)/sigma are taken over strong lines (A > STRONG sigma_A) that no other line of the group with at least
// BESIDE of their amplitude comes nearer than ISOLATED/T, T the delay window, because closer lines overlap within
// their resolution, and whose nu varies by less than sigma over the pixels of the group: only then has the group one
// frequency to be compared with.  Mean and width are those of the pulls within OUTLIER.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"

#define VISIBLE 0.1
#define BESIDE 0.05
#define STRONG 5.0
#define ISOLATED 2.0
#define OUTLIER 5.0
#define ROUNDING 1e-6 // THz; smaller errors are those of noiseless data

// ---- reading

// First detector row of each row of groups and the row behind it; false when the shapes cannot belong together.
static bool group_rows(const report_run *run, int64_t detector_rows, int64_t *first, int64_t *end)
{
    int64_t k = run->spatial_bin > 0 ? run->spatial_bin : 1, per_module = detector_rows / run->n_modules, row = 0;
    if (detector_rows % run->n_modules != 0) return false;
    for (int64_t m = 0; m < run->n_modules; m++) {
        for (int64_t j = 0; j < (int64_t)run->module_rows[m]; j++, row++) {
            first[row] = m * per_module + j * k;
            end[row] = first[row] + k < (m + 1) * per_module ? first[row] + k : (m + 1) * per_module;
            if (first[row] >= (m + 1) * per_module) return false;
        }
    }
    return row == run->ny;
}

// One kind of lines of a run: frequency and amplitude (detector y, x, line), and what a pixel weighs in its group.
typedef struct lines {
    int64_t shape[3];
    double *frequency, *amplitude;
} lines;

static bool read_lines(report *r, const char *run, const char *frequency, const char *amplitude, lines *l)
{
    int64_t other[3];
    char *at = cli_format("/entry/%s/%s", run, frequency);
    l->frequency = report_numbers(r, r->truth.path, at, 3, l->shape);
    free(at);
    at = cli_format("/entry/%s/%s", run, amplitude);
    l->amplitude = l->frequency != NULL ? report_numbers(r, r->truth.path, at, 3, other) : NULL;
    free(at);
    return l->amplitude != NULL && memcmp(l->shape, other, sizeof other) == 0;
}

static void free_lines(lines *l)
{
    free(l->frequency);
    free(l->amplitude);
}

// Lines first.. of the groups from the lines of their pixels; scale: nu per frequency.
static void group(const report_run *run, truth_run *t, int64_t first, const lines *l, double scale,
                  const double *photons, const int64_t *top, const int64_t *end)
{
    int64_t k = run->spatial_bin > 0 ? run->spatial_bin : 1, nx = l->shape[1], n = l->shape[2];
    for (int64_t j = 0; j < t->ny; j++) {
        for (int64_t i = 0; i < t->nx * n; i++) {
            int64_t column = i / n, line = i % n;
            double sum = 0, squares = 0, weight = 0, all = 0;
            for (int64_t y = top[j]; y < end[j]; y++) {
                for (int64_t x = column * k; x < (column + 1) * k && x < nx; x++) {
                    int64_t p = (y * nx + x) * n + line;
                    double counts = photons != NULL ? photons[y * nx + x] : 1, w = fabs(l->amplitude[p]) * counts;
                    if (!isfinite(l->frequency[p]) || !isfinite(w)) continue;
                    all += counts;
                    sum += w * l->frequency[p];
                    squares += w * l->frequency[p] * l->frequency[p];
                    weight += w;
                }
            }
            int64_t to = (j * t->nx + column) * t->nl + first + line;
            t->nu[to] = weight > 0 ? scale * sum / weight : NAN;
            t->amplitude[to] = all > 0 ? weight / all : 0;
            double mean = sum / weight, variance = squares / weight - mean * mean;
            t->spread[to] = weight > 0 ? scale * sqrt(variance > 0 ? variance : 0) : NAN;
        }
    }
}

static bool read_run(report *r, const report_run *run, const char *name, truth_run *t)
{
    lines pairs = {0}, sums = {0};
    int64_t *top = cli_alloc((size_t)run->ny, sizeof *top), *end = cli_alloc((size_t)run->ny, sizeof *end), shape[2];
    char *at = cli_format("/entry/%s/photons", name);
    double *photons = report_numbers(r, r->truth.path, at, 2, shape);
    bool there = read_lines(r, name, "nu", "amplitude", &pairs), fits = false;
    if (there) {
        bool more = read_lines(r, name, "combination_frequency", "combination_amplitude", &sums) &&
                    sums.shape[0] == pairs.shape[0] && sums.shape[1] == pairs.shape[1];
        bool weighted = photons != NULL && shape[0] == pairs.shape[0] && shape[1] == pairs.shape[1];
        fits = run->n_modules > 0 && group_rows(run, pairs.shape[0], top, end) &&
               pairs.shape[1] > (run->nx - 1) * run->spatial_bin && pairs.shape[1] <= run->nx * run->spatial_bin;
        if (fits) {
            *t = (truth_run){.name = cli_format("%s", run->name), .ny = run->ny, .nx = run->nx, .nb = pairs.shape[2]};
            t->nl = t->nb + (more ? sums.shape[2] : 0);
            t->nu = cli_alloc((size_t)(run->ny * run->nx * t->nl), sizeof *t->nu);
            t->amplitude = cli_alloc((size_t)(run->ny * run->nx * t->nl), sizeof *t->amplitude);
            t->spread = cli_alloc((size_t)(run->ny * run->nx * t->nl), sizeof *t->spread);
            group(run, t, 0, &pairs, 1, weighted ? photons : NULL, top, end);
            if (more) group(run, t, t->nb, &sums, 0.5, weighted ? photons : NULL, top, end);
        } else {
            report_note(r, "%s: run %s has another shape than the result; it is not compared", r->truth.path, name);
        }
    }
    free_lines(&pairs);
    free_lines(&sums);
    free(photons);
    free(at);
    free(top);
    free(end);
    return fits;
}

static char *find_file(const report *r, const char *path)
{
    static const char *const places[] = {"truth.h5", "../raw/truth.h5"};
    if (path != NULL) return cli_format("%s", path);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *candidate = cli_format("%s/%s", r->dir, places[i]);
        if (access(candidate, F_OK) == 0) return candidate;
        free(candidate);
    }
    return NULL;
}

xani_status truth_find(report *r, const char *path)
{
    truth *t = &r->truth;
    t->path = find_file(r, path);
    if (t->path == NULL) return XANI_OK;
    t->runs = cli_alloc((size_t)r->n_runs, sizeof *t->runs);
    for (int i = 0; i < r->n_runs; i++) {
        const char *name = r->runs[i].name[0] ? r->runs[i].name : "run0001"; // what the simulation calls a single run
        if (r->runs[i].ny > 0 && read_run(r, &r->runs[i], name, &t->runs[t->n_runs])) t->n_runs++;
    }
    if (t->n_runs > 0) return XANI_OK;
    if (path != NULL && !xani_array_exists(r->c->context, path, "/entry"))
        return cli_fail(r->c, XANI_ERR_INPUT, "%s: not a readable truth file", path);
    report_note(r, "%s does not belong to this result: no run of it fits", t->path);
    return XANI_OK;
}

// ---- comparison

static const report_run *run_of(const report *r, int64_t point, const truth_run **t)
{
    const report_points *p = &r->dispersion.points;
    *t = NULL;
    for (int i = 0; i < r->truth.n_runs; i++)
        if (r->truth.n_runs == 1 || (p->run != NULL && strcmp(r->truth.runs[i].name, p->run[point]) == 0))
            *t = &r->truth.runs[i];
    for (int i = 0; *t != NULL && i < r->n_runs; i++)
        if (strcmp(r->runs[i].name, (*t)->name) == 0) return &r->runs[i];
    return NULL;
}

// Distance in nu of the nearest line to that of branch b that is not much weaker, sums and differences included.
static double nearest_other(const truth_run *t, int64_t at, int64_t b)
{
    double nearest = INFINITY;
    for (int64_t o = 0; o < t->nl; o++) {
        double d = fabs(t->nu[at + o] - t->nu[at + b]);
        if (o != b && t->amplitude[at + o] > BESIDE * t->amplitude[at + b] && d < nearest) nearest = d;
    }
    return nearest;
}

static void compare_point(const report *r, int64_t i, truth_score *s)
{
    const report_points *p = &r->dispersion.points;
    const truth_run *t;
    const report_run *run = run_of(r, i, &t);
    if (run == NULL) return;
    int64_t y = (int64_t)p->pixel[2 * i], x = (int64_t)p->pixel[2 * i + 1];
    if (y < 0 || y >= t->ny || x < 0 || x >= t->nx) return;
    int64_t at = (y * t->nx + x) * t->nl, b = -1;
    double least = p->amplitude != NULL ? VISIBLE * p->amplitude[i] : 0;
    for (int64_t k = 0; k < t->nb; k++) {
        if (!(t->amplitude[at + k] > least)) continue;
        if (b < 0 || fabs(p->frequency[i] - t->nu[at + k]) < fabs(p->frequency[i] - t->nu[at + b])) b = k;
    }
    if (b < 0) return;
    double d = p->frequency[i] - t->nu[at + b];
    s->nu1[s->n] = t->nu[at + b];
    s->difference[s->n++] = d;
    bool strong =
        p->amplitude != NULL && p->amplitude_errors != NULL && p->amplitude[i] > STRONG * p->amplitude_errors[i];
    bool alone = nearest_other(t, at, b) > ISOLATED / (run->hi_ps - run->lo_ps);
    double sigma = p->frequency_errors != NULL ? p->frequency_errors[i] : NAN;
    if (strong && alone && sigma > ROUNDING && t->spread[at + b] < sigma) s->pulls[s->n_pulls++] = d / sigma;
}

// Each sample of a branch against the nearest nu1 there.
static void compare_branches(const report *r, truth_score *s)
{
    const report_dispersion *d = &r->dispersion;
    if (r->truth.band_after == NULL || r->truth.band_n != d->branch_n) return;
    double *off = cli_alloc((size_t)(d->n_branches * d->branch_n), sizeof *off);
    for (int64_t i = 0; i < d->n_branches * d->branch_n; i++) {
        off[i] = NAN;
        for (int64_t b = 0; b < r->truth.band_branches; b++) {
            double x = fabs(d->branch_frequency[i] - r->truth.band_after[b * d->branch_n + i % d->branch_n]);
            if (!(x > off[i])) off[i] = x;
        }
    }
    s->branches = numbers_median(off, d->n_branches * d->branch_n);
    free(off);
}

// Mean and width of the bulk; what lies far outside is another line or none, and counted for itself.
static void score_pulls(truth_score *s)
{
    int64_t within = 0, outside = 0;
    double *bulk = cli_alloc((size_t)s->n_pulls, sizeof *bulk);
    for (int64_t i = 0; i < s->n_pulls; i++) {
        double size = fabs(s->pulls[i]);
        within += size < 3;
        outside += size >= OUTLIER;
        bulk[i] = size < OUTLIER ? s->pulls[i] : NAN;
    }
    numbers_moments(bulk, s->n_pulls, &s->pull_mean, &s->pull_width);
    s->within3 = s->n_pulls > 0 ? (double)within / (double)s->n_pulls : NAN;
    s->outliers = s->n_pulls > 0 ? (double)outside / (double)s->n_pulls : NAN;
    free(bulk);
}

void truth_compare(report *r, truth_score *s)
{
    const report_points *p = &r->dispersion.points;
    *s = (truth_score){.median = NAN,
                       .p90 = NAN,
                       .pull_mean = NAN,
                       .pull_width = NAN,
                       .within3 = NAN,
                       .outliers = NAN,
                       .branches = NAN};
    compare_branches(r, s);
    if (r->truth.n_runs == 0 || p->n == 0 || p->pixel == NULL) return;
    s->nu1 = cli_alloc((size_t)p->n, sizeof *s->nu1);
    s->difference = cli_alloc((size_t)p->n, sizeof *s->difference);
    s->pulls = cli_alloc((size_t)p->n, sizeof *s->pulls);
    for (int64_t i = 0; i < p->n; i++) compare_point(r, i, s);
    double *size = cli_alloc((size_t)s->n, sizeof *size);
    for (int64_t i = 0; i < s->n; i++) size[i] = fabs(s->difference[i]);
    s->median = numbers_quantile(size, s->n, 0.5);
    s->p90 = numbers_quantile(size, s->n, 0.9);
    free(size);
    score_pulls(s);
}

void truth_score_free(truth_score *s)
{
    free(s->nu1);
    free(s->difference);
    free(s->pulls);
    memset(s, 0, sizeof *s);
}

void truth_free(truth *t)
{
    for (int i = 0; i < t->n_runs; i++) {
        free(t->runs[i].name);
        free(t->runs[i].nu);
        free(t->runs[i].amplitude);
        free(t->runs[i].spread);
    }
    free(t->runs);
    free(t->band_before);
    free(t->band_after);
    free(t->path);
    memset(t, 0, sizeof *t);
}
