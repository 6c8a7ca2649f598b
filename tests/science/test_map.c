// SPDX-License-Identifier: BSD-3-Clause
// test_map.c -- modes made from a crystal with a known answer come back as its points, volume, path and branches.
//
// The momentum transfer of each pixel is written out here, independently of the library's geometry; frequencies are
// those of the lattice dynamics of copper after a sudden change of its force constants, so that every point's
// branch is known.
#include "map/map.h"

#include "core/rng.h"
#include "physics/crystal.h"
#include "test.h"

#define NY 48
#define NX 40
#define ENERGY 11.0
#define DISTANCE_MM 70.0
#define A_CU 3.61
#define PER_ANG (2 * M_PI / A_CU)

static const char geometry[] = "experiment: {energy_kev: 11.0}\n"
                               "geometry:\n"
                               "  detector: {shape: [48, 40], pixel_mm: %.17g, centre_px: [17, 24]}\n"
                               "  distance_mm: 70\n"
                               "  cell: [3.61, 3.61, 3.61, 90, 90, 90]\n"
                               "  orientation: [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]\n"
                               "  goniometer: [{axis: [0, 1, 0], sign: 1}, {axis: [1, 0, 0], sign: -1}]\n"
                               "map:\n  grid: {shape: [21, 21, 21]}\n";

static const char copper[] = "  crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], centring: F, basis: [{element: Cu, "
                             "position: [0, 0, 0]}]}\n";
static const char two_lines[] = "  path: [{label: G, hkl: [0, 0, 0]}, {label: X, hkl: [1, 0, 0]}, {label: Z, hkl: [1, "
                                "1, 0]}]\n";

// A synthetic experiment: what is seen, and how an ideal fit reports it.
typedef struct experiment {
    xn_crystal before, after;
    double pixel_mm, noise; // rms error of f
    double false_lines;     // fraction of the lines that are somewhere else
    int runs, n_modes;
    bool combinations; // combination lines are seen too
    bool mirror;       // lines above the Nyquist frequency of the bins appear below it
    const char *map;   // more lines of the configuration
} experiment;

// The pump multiplies the first shell's tensor, or one element of it.
static void soften(experiment *e, const char *element, double factor)
{
    xn_crystal_free(&e->after);
    ck_assert_int_eq(xn_crystal_copy(NULL, &e->before, &e->after), XANI_OK);
    ck_assert_int_eq(xn_crystal_scale(NULL, &e->after, "110", element, factor), XANI_OK);
}

static experiment make(const char *map)
{
    experiment e = {.pixel_mm = 2.2, .runs = 2, .n_modes = 3, .map = map};
    ck_assert_int_eq(xn_crystal_load(NULL, "cu_49k", &e.before), XANI_OK);
    soften(&e, NULL, 0.92);
    return e;
}

static void end(experiment *e)
{
    xn_crystal_free(&e->before);
    xn_crystal_free(&e->after);
}

static void angles_of(int run, double angles[2])
{
    angles[0] = 12.0 * (run % 2) + 3.0 * (run / 2);
    angles[1] = run % 2 ? -7.0 : 4.0;
}

static void rotate(int axis, double degrees, double v[3])
{
    double c = cos(degrees * M_PI / 180), s = sin(degrees * M_PI / 180);
    double a = v[(axis + 1) % 3], b = v[(axis + 2) % 3];
    v[(axis + 1) % 3] = c * a - s * b;
    v[(axis + 2) % 3] = s * a + c * b;
}

// hkl of a pixel: undo R = Ry(phi) Rx(-chi), then the orientation.
static void pixel_hkl(const experiment *e, int y, int x, int run, double hkl[3])
{
    double r[3] = {(x + 0.5 - 17) * e->pixel_mm, (y + 0.5 - 24) * e->pixel_mm, DISTANCE_MM}, angles[2];
    double length = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), k = 2 * M_PI * ENERGY / 12.398419843320026;
    double q[3] = {k * r[0] / length, k * r[1] / length, k * (r[2] / length - 1)};
    const double u[3][3] = {{.8, 0, .6}, {0, 1, 0}, {-.6, 0, .8}};
    angles_of(run, angles);
    rotate(1, -angles[0], q);
    rotate(0, angles[1], q);
    for (int i = 0; i < 3; i++) hkl[i] = (u[0][i] * q[0] + u[1][i] * q[1] + u[2][i] * q[2]) / PER_ANG;
}

static void put_line(const experiment *e, const xn_line *line, int64_t at, xn_rng *rng, xn_modes *m)
{
    m->frequency[at] = (float)(line->f_thz + e->noise * xn_rng_normal(rng));
    m->frequency_errors[at] = (float)fmax(1e-5, e->noise);
    m->amplitude[at] = (float)fabs(line->amplitude);
    m->amplitude_errors[at] = 1e-6F;
    m->phase[at] = line->amplitude < 0 ? (float)M_PI : 0;
    m->phase_errors[at] = 1e-3F;
    m->damping[at] = 0.3F;
}

// One run as an ideal fit would return it: the strongest lines above 1e-3 of the strongest.
static void make_modes(const experiment *e, int run, xn_modes *m)
{
    ck_assert_int_eq(xn_modes_alloc(NULL, e->n_modes, 1, NY, NX, m), XANI_OK);
    m->run = xn_format("r%d", run);
    m->n_angles = 2;
    angles_of(run, m->angles_deg);
    m->delay_hi_ps = 10;
    m->step_ps = 0.02;
    m->band_thz[1] = 24;
    xn_rng rng;
    xn_rng_init(&rng, 7, (uint64_t)run);
    for (int64_t i = 0; i < NY * NX; i++) {
        double hkl[3], i1, mean, nu1[3], strongest = 0;
        xn_line lines[9];
        pixel_hkl(e, (int)(i / NX), (int)(i % NX), run, hkl);
        int n = xn_crystal_lines(&e->before, &e->after, hkl, 300, 0.003, &i1, &mean, nu1, lines), count = 0;
        for (int k = 0; k < n; k++) strongest = fmax(strongest, fabs(lines[k].amplitude));
        for (; count < e->n_modes; count++) {
            int best = -1;
            for (int k = 0; k < n; k++) {
                if ((lines[k].i != lines[k].j || lines[k].difference) && !e->combinations) continue;
                if (fabs(lines[k].amplitude) < 1e-3 * strongest) continue;
                if (best < 0 || fabs(lines[k].amplitude) > fabs(lines[best].amplitude)) best = k;
            }
            if (best < 0) break;
            if (xn_rng_uniform(&rng) < e->false_lines) lines[best].f_thz = 24 * xn_rng_uniform(&rng);
            put_line(e, &lines[best], count * NY * NX + i, &rng, m);
            lines[best].amplitude = 0;
        }
        m->count[i] = (uint8_t)count;
        m->status[i] = count > 0 ? XN_FIT_MODES : XN_FIT_NONE;
    }
}

static xn_config *configure(const experiment *e, const char *crystal)
{
    char *head = xn_format(geometry, e->pixel_mm), *text = xn_format("%s%s%s", head, crystal, e->map);
    xn_config *config;
    ck_assert_int_eq(xn_config_parse(NULL, text, "test.yaml", ".", &config), XANI_OK);
    xn_free(head);
    xn_free(text);
    return config;
}

static void run(const experiment *e, xn_ctx *ctx, const char *crystal, double step_ps, xn_dispersion *d)
{
    xn_modes modes[8];
    const xn_modes *list[8];
    xn_config *config = configure(e, crystal);
    for (int i = 0; i < e->runs; i++) {
        make_modes(e, i, &modes[i]);
        modes[i].step_ps = step_ps;
        for (int64_t k = 0; e->mirror && k < e->n_modes * NY * NX; k++)
            modes[i].frequency[k] = (float)fmin(modes[i].frequency[k], 1.0 / step_ps - modes[i].frequency[k]);
        list[i] = &modes[i];
    }
    ck_assert_int_eq(xn_map(ctx, config, list, e->runs, NULL, d), XANI_OK);
    for (int i = 0; i < e->runs; i++) xn_modes_free(&modes[i]);
    xani_config_destroy(&config);
}

// The phonon frequency of the changed crystal that is nearest to v; *branch (may be NULL): which.
static double true_nu(const experiment *e, const double hkl[3], double v, int *branch)
{
    double nu[3];
    int best = 0;
    xn_crystal_frequencies(&e->after, hkl, nu);
    for (int j = 1; j < 3; j++)
        if (fabs(nu[j] - v) < fabs(nu[best] - v)) best = j;
    if (branch != NULL) *branch = best;
    return nu[best];
}

static double miss(const experiment *e, const double hkl[3], double v) { return fabs(true_nu(e, hkl, v, NULL) - v); }

// Every pair line becomes a point, at the hkl of its pixel, with nu = f/2, the nearest allowed G and q = B (hkl - G).
START_TEST(points)
{
    experiment e = make(two_lines);
    xn_dispersion d;
    run(&e, NULL, copper, 0.02, &d);
    int64_t lines = 0;
    for (int r = 0; r < 2; r++) {
        xn_modes m;
        make_modes(&e, r, &m);
        for (int64_t i = 0; i < NY * NX; i++) lines += m.count[i];
        xn_modes_free(&m);
        ck_assert_str_eq(d.run_names[r], r ? "r1" : "r0");
    }
    ck_assert_int_eq(d.points.n, lines);
    ck_assert_int_eq(d.combinations.n, 0);
    ck_assert(d.n_angles == 2 && d.run_angles[2] == 12 && d.run_angles[3] == -7);
    for (int64_t i = 0; i < d.points.n; i++) {
        const int32_t *pixel = d.points.pixel + 2 * i, *g = d.points.g + 3 * i;
        double hkl[3], size = 0;
        pixel_hkl(&e, pixel[0], pixel[1], d.points.run[i], hkl);
        for (int k = 0; k < 3; k++) {
            ck_assert_double_eq_tol(d.points.hkl[3 * i + k], hkl[k], 1e-5);
            ck_assert_double_eq_tol(d.points.q[3 * i + k], PER_ANG * (d.points.hkl[3 * i + k] - g[k]), 1e-12);
            size += (hkl[k] - g[k]) * (hkl[k] - g[k]);
        }
        for (int n = 0; n < 343; n++) { // no allowed reflection is nearer
            int h[3] = {g[0] + n / 49 - 3, g[1] + n / 7 % 7 - 3, g[2] + n % 7 - 3};
            if ((h[0] + h[1]) % 2 != 0 || (h[1] + h[2]) % 2 != 0) continue;
            double other = 0;
            for (int k = 0; k < 3; k++) other += (hkl[k] - h[k]) * (hkl[k] - h[k]);
            ck_assert_double_ge(other, size - 1e-6);
        }
        ck_assert_double_lt(miss(&e, hkl, d.points.frequency[i]), 1e-5);
        ck_assert(!d.points.coherent[i] && !d.points.alias[i] && d.points.frequency_errors[i] < 1e-5);
        // 1/T = 0.1 THz in f, 0.05 in nu: box of rms 0.05/sqrt(12)
        ck_assert_double_eq_tol(d.points.weight[i], 12 / (0.05 * 0.05), 1.0);
    }
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

static void count_lines(const experiment *e, const xn_dispersion *d, int64_t pairs[2], int64_t combinations[2])
{
    for (int set = 0; set < 2; set++) {
        const xn_points *p = set ? &d->combinations : &d->points;
        for (int64_t i = 0; i < p->n; i++) {
            double half = set ? 0.5 * p->frequency[i] : p->frequency[i];
            if (miss(e, p->hkl + 3 * i, half) < 1e-5 + 2 * e->noise)
                pairs[set]++;
            else
                combinations[set]++;
        }
    }
}

// Without combination lines none is found, with and without noise, however often three lines meet the relation.
START_TEST(pairs_stay)
{
    const double noise[3] = {0, 0.02, 0.06};
    for (int i = 0; i < 6; i++) {
        experiment e = make(two_lines);
        xn_dispersion d;
        e.noise = noise[i % 3];
        e.pixel_mm = i < 3 ? 2.2 : 0.3;
        run(&e, NULL, copper, 0.02, &d);
        ck_assert_msg(d.combinations.n <= (e.noise > 0 ? d.points.n / 200 : 0),
                      "%g THz, %g mm: %ld of %ld lines taken away", e.noise, e.pixel_mm, (long)d.combinations.n,
                      (long)(d.points.n + d.combinations.n));
        xn_dispersion_free(&d);
        end(&e);
    }
}
END_TEST

// Bond-selective softening mixes branches. Most of the lines put aside are combinations, hardly any pair is lost.
START_TEST(combinations)
{
    for (int i = 0; i < 2; i++) {
        experiment e = make(two_lines);
        xn_dispersion d;
        e.combinations = true;
        e.pixel_mm = 0.44;
        e.n_modes = i ? 8 : 3;
        e.noise = i ? 0.01 : 0;
        soften(&e, "zz", i ? 2.0 : 0.7);
        run(&e, NULL, copper, 0.02, &d);
        int64_t pairs[2] = {0, 0}, other[2] = {0, 0};
        count_lines(&e, &d, pairs, other);
        ck_assert_msg(pairs[1] * 100 <= pairs[0], "%ld pairs put aside, %ld kept", (long)pairs[1], (long)pairs[0]);
        ck_assert_msg(other[1] > other[0] && other[1] > 1000, "%ld combinations found, %ld missed", (long)other[1],
                      (long)other[0]);
        for (int64_t k = 0; k < d.combinations.n; k++) ck_assert_int_eq(d.combinations.branch[k], -1);
        xn_dispersion_free(&d);
        end(&e);
    }
}
END_TEST

// coherent: nu = f. auto: coherent only at Bragg peaks, and only where the cell has more than one atom.
START_TEST(kinds)
{
    experiment e = make("  mode_kind: coherent\n");
    xn_dispersion d, pair;
    e.runs = 1;
    run(&e, NULL, copper, 0.02, &d);
    e.map = "  mode_kind: pair\n";
    run(&e, NULL, copper, 0.02, &pair);
    ck_assert_int_eq(d.points.n, pair.points.n);
    for (int64_t i = 0; i < d.points.n; i++) {
        ck_assert_double_eq(d.points.frequency[i], 2 * pair.points.frequency[i]);
        ck_assert(d.points.coherent[i] && !pair.points.coherent[i]);
    }
    xn_dispersion_free(&d);
    e.map = "";
    run(&e, NULL, copper, 0.02, &d);
    for (int64_t i = 0; i < d.points.n; i++) ck_assert(!d.points.coherent[i]);
    xn_dispersion_free(&d);
    e.runs = 4;
    e.map = "  mode_kind: pair\n";
    xn_dispersion_free(&pair);
    run(&e, NULL, copper, 0.02, &pair);
    e.map = "";
    const char rocksalt[] =
        "  crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], space_group: Fm-3m, basis: [{element: Cu, "
        "position: [0, 0, 0]}, {element: O, position: [0.5, 0.5, 0.5]}]}\n";
    run(&e, NULL, rocksalt, 0.02, &d);
    int64_t coherent = 0;
    for (int64_t i = 0; i < d.points.n; i++) {
        double q = 0, near = 0.71 * 2.2 / 70 * 5.6; // half the diagonal of a pixel in 1/Angstrom, at most
        for (int k = 0; k < 3; k++) q += d.points.q[3 * i + k] * d.points.q[3 * i + k];
        coherent += d.points.coherent[i];
        if (d.points.coherent[i])
            ck_assert_double_le(sqrt(q), near);
        else
            ck_assert_double_gt(sqrt(q), 0.02 * 1.587 * PER_ANG);
        ck_assert_double_eq(d.points.frequency[i], (d.points.coherent[i] ? 2 : 1) * pair.points.frequency[i]);
    }
    ck_assert_int_gt(coherent, 0);
    ck_assert_int_eq(d.n_branches, 6);
    xn_dispersion_free(&d);
    xn_dispersion_free(&pair);
    end(&e);
}
END_TEST

// NaN exactly where no pixel looks; coverage counts all fitted pixels; the spectra integrate to sum A^2 / coverage.
START_TEST(volume)
{
    experiment e = make(two_lines);
    xn_dispersion d;
    run(&e, NULL, copper, 0.02, &d);
    int64_t voxels = d.shape[0] * d.shape[1] * d.shape[2], looked = 0, empty = 0;
    ck_assert_double_gt(d.points.amplitude[0], 1e-3);
    double sum = 0, expected = 0, df = d.axis[3][1] - d.axis[3][0];
    ck_assert(d.shape[0] == 21 && d.axis[0][10] == 0 && fabs(d.axis[0][20] + d.axis[0][0]) < 1e-12);
    ck_assert_double_eq_tol(d.axis[1][20] + 0.5 * (d.axis[1][1] - d.axis[1][0]), 1.0, 1e-9); // the box of the fcc zone
    for (int64_t v = 0; v < voxels; v++) {
        looked += d.coverage[v];
        empty += d.coverage[v] == 0;
        for (int64_t f = 0; f < d.shape[3]; f++) {
            float value = d.intensity[v * d.shape[3] + f];
            ck_assert_int_eq(isnan(value), d.coverage[v] == 0);
            if (d.coverage[v] > 0) sum += (double)value * d.coverage[v] * df;
        }
    }
    ck_assert_int_eq(looked, 2 * NY * NX);
    ck_assert(empty > 0 && empty < voxels);
    for (int64_t i = 0; i < d.points.n; i++) expected += d.points.amplitude[i] * d.points.amplitude[i];
    ck_assert_double_gt(sum, 0.9 * expected); // the far wings of the lines lie beyond the axis
    ck_assert_double_lt(sum, 1.01 * expected);
    for (int64_t i = 0; i < d.points.n; i++) { // each point's voxel has its line
        int64_t v = 0;
        for (int k = 0; k < 3; k++) {
            double h = d.points.hkl[3 * i + k] - d.points.g[3 * i + k], step = d.axis[k][1] - d.axis[k][0];
            v = v * 21 + (int64_t)floor((h - d.axis[k][0]) / step + 0.5);
        }
        ck_assert_int_gt(d.coverage[v], 0);
    }
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

// ---- path and branches, against a search over all images written out here

// Is some image of q (units of 2 pi/a) in this bin's part of the tube? All signed permutations, all near G.
static bool in_bin(const xn_dispersion *d, const double from[3], const double along[3], double lo, double hi,
                   const double q[3])
{
    static const int perm[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int s = 0; s < 48; s++)
        for (int n = 0; n < 125; n++) {
            int g[3] = {n / 25 - 2, n / 5 % 5 - 2, n % 5 - 2};
            if ((g[0] + g[1]) % 2 != 0 || (g[1] + g[2]) % 2 != 0) continue;
            double r[3], u = 0, d2 = 0;
            for (int k = 0; k < 3; k++) {
                r[k] = (s >> k & 1 ? -1 : 1) * q[perm[s / 8][k]] + g[k] - from[k];
                u += r[k] * along[k];
            }
            for (int k = 0; k < 3; k++) d2 += (r[k] - u * along[k]) * (r[k] - u * along[k]);
            if (u >= lo && u < hi && sqrt(d2) * PER_ANG <= d->tube_inv_ang) return true;
        }
    return false;
}

typedef struct tally {
    int64_t bins, seen, pure, branches_seen, exact;
    double worst_truth;
} tally;

// One bin: its points by the search, their branches, and what the result says.
static void check_bin(const experiment *e, const xn_dispersion *d, int64_t bin, const double from[3],
                      const double along[3], double lo, double hi, tally *t)
{
    double w[3] = {0}, mean[3] = {0}, truth[3] = {0};
    int64_t n[3] = {0}, of[3][3] = {{0}};
    for (int64_t i = 0; i < d->points.n; i++) {
        const double q[3] = {d->points.q[3 * i] / PER_ANG, d->points.q[3 * i + 1] / PER_ANG,
                             d->points.q[3 * i + 2] / PER_ANG};
        int b = d->points.branch[i], true_branch;
        if (b < 0 || !in_bin(d, from, along, lo, hi, q)) continue;
        double nu = true_nu(e, d->points.hkl + 3 * i, d->points.frequency[i], &true_branch);
        w[b] += d->points.weight[i];
        mean[b] += d->points.weight[i] * d->points.frequency[i];
        truth[b] += nu;
        n[b]++;
        of[b][true_branch]++;
    }
    t->bins++;
    for (int b = 0; b < 3; b++) {
        int64_t at = b * d->path_n + bin, most = 0;
        ck_assert_int_eq(isnan(d->branch_frequency[at]), d->branch_count[at] == 0);
        ck_assert_int_eq(isnan(d->branch_errors[at]), d->branch_count[at] == 0);
        if (d->branch_count[at] == 0) continue;
        t->branches_seen++;
        // a point has one label, that of the bin whose line it is nearest to: where a doublet or a crossing was sorted
        // otherwise in another bin, its points are not found again by their label
        if (n[b] != d->branch_count[at] || fabs(mean[b] / w[b] - d->branch_frequency[at]) > 1e-9) continue;
        t->exact++;
        t->worst_truth = fmax(t->worst_truth, fabs(truth[b] / (double)n[b] - d->branch_frequency[at]));
        for (int j = 0; j < 3; j++) most = of[b][j] > most ? of[b][j] : most;
        t->seen += n[b];
        t->pure += most;
    }
}

// Gamma-X and X-W in copper, exact data: the frequency of a branch is the mean of its points, and that of the true
// frequencies at the same samples within 0.02 THz; branches are not mixed.
START_TEST(branches)
{
    experiment e =
        make("  path: [{label: G, hkl: [0, 0, 0]}, {label: X, hkl: [1, 0, 0]}, {label: W, hkl: [1, 0.5, 0]}]\n");
    xn_dispersion d;
    tally t = {0};
    e.pixel_mm = 1.1;
    e.runs = 4;
    run(&e, NULL, copper, 0.02, &d);
    ck_assert_int_eq(d.n_branches, 3);
    ck_assert(d.n_labels == 3 && strcmp(d.labels[1].name, "X") == 0);
    ck_assert_double_eq_tol(d.label_distance[2], 1.5 * PER_ANG, 1e-9);
    const double from[2][3] = {{0, 0, 0}, {1, 0, 0}}, along[2][3] = {{1, 0, 0}, {0, 1, 0}};
    double width = (d.path_distance[1] - d.path_distance[0]) / PER_ANG, worst_line = 0;
    int far = 0, seen = 0;
    for (int64_t bin = 0; bin < d.path_n; bin++) {
        int s = d.path_distance[bin] > PER_ANG;
        double u = d.path_distance[bin] / PER_ANG - s, nu[3];
        check_bin(&e, &d, bin, from[s], along[s], u - 0.5 * width, u + 0.5 * width, &t);
        for (int k = 0; k < 3; k++)
            ck_assert_double_eq_tol(d.path_hkl[3 * bin + k], from[s][k] + u * along[s][k], 1e-9);
        xn_crystal_frequencies(&e.after, d.path_hkl + 3 * bin, nu);
        for (int b = 0; b < 3; b++) {
            if (d.branch_count[b * d.path_n + bin] < 5) continue;
            double off = miss(&e, d.path_hkl + 3 * bin, d.branch_frequency[b * d.path_n + bin]);
            seen++;
            far += off > 0.1;
            worst_line = fmax(worst_line, off);
        }
    }
    ck_assert_int_gt(t.branches_seen, d.path_n);
    ck_assert_msg(t.exact * 100 >= 95 * t.branches_seen, "%ld of %ld", (long)t.exact, (long)t.branches_seen);
    ck_assert_double_lt(t.worst_truth, 0.02);
    ck_assert_msg(t.pure * 100 >= 99 * t.seen, "%ld of %ld lines are with others of their branch", (long)t.pure,
                  (long)t.seen);
    ck_assert_msg(seen > 30 && far * 4 < seen, "%d of %d far from the line, worst %g", far, seen, worst_line);
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

// From X over W to the next X, L and the upper transverse branch cross: each keeps its slope.
START_TEST(crossing)
{
    experiment e = make(two_lines);
    xn_dispersion d;
    int up = 0, down = 0;
    e.pixel_mm = 1.1;
    e.runs = 4;
    run(&e, NULL, copper, 0.02, &d);
    int64_t w = d.path_n * 3 / 4;
    for (int b = 0; b < 3; b++) {
        const double *nu = d.branch_frequency + b * d.path_n;
        double before = NAN, after = NAN;
        for (int64_t i = 3; i < 7; i++) {
            if (isnan(before)) before = nu[w - i];
            if (isnan(after)) after = nu[w + i - 1];
        }
        up += after - before > 0.2;
        down += before - after > 0.2;
    }
    ck_assert(up == 1 && down == 1);
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

// Two lines in a hundred are noise: the branches do not follow them, hardly a bin is far from every phonon.
START_TEST(false_lines)
{
    experiment e = make("  path: [G, X, K, G, L]\n");
    xn_dispersion d;
    e.pixel_mm = 1.1;
    e.runs = 4;
    e.noise = 0.04;
    e.false_lines = 0.02;
    run(&e, NULL, copper, 0.02, &d);
    int seen = 0, far = 0, above = 0;
    for (int64_t i = 0; i < d.path_n * 3; i++) {
        if (d.branch_count[i] == 0) continue;
        seen++;
        far += miss(&e, d.path_hkl + 3 * (i % d.path_n), d.branch_frequency[i]) > 0.6;
        above += d.branch_frequency[i] > 7.6;
    }
    ck_assert_msg(seen > 150 && far * 50 <= seen && above == 0, "%d groups, %d far from any phonon, %d above all", seen,
                  far, above);
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

// One line per pixel along a doublet is one branch, however it spreads inside the tube.
START_TEST(doublets)
{
    experiment e = make("  path: [G, X]\n  tube_inv_ang: 0.12\n");
    xn_dispersion d;
    e.pixel_mm = 2.0;
    e.runs = 8;
    e.n_modes = 1;
    run(&e, NULL, copper, 0.02, &d);
    int whole = 0, split = 0;
    for (int64_t i = 4; i < d.path_n; i++) {
        double nu[3];
        int low = 0;
        xn_crystal_frequencies(&e.after, d.path_hkl + 3 * i, nu);
        for (int b = 0; b < 3; b++) low += d.branch_frequency[b * d.path_n + i] < 0.5 * (nu[1] + nu[2]);
        whole += low == 1;
        split += low > 1;
    }
    ck_assert_msg(whole > 10 && split * 10 <= whole, "%d doublets are one branch, %d are two", whole, split);
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

// The default path of an fcc crystal; X - K leaves from the X nearest to K, (1,1,0), along the zone's symmetry line.
START_TEST(labels)
{
    experiment e = make("");
    xn_dispersion d;
    const char *name[5] = {"G", "X", "K", "G", "L"};
    e.runs = 1;
    run(&e, NULL, copper, 0.02, &d);
    ck_assert_int_eq(d.n_labels, 5);
    for (int i = 0; i < 5; i++) ck_assert_str_eq(d.labels[i].name, name[i]);
    ck_assert_double_eq_tol(d.label_distance[2] - d.label_distance[1], PER_ANG * sqrt(0.125), 1e-9);
    ck_assert_double_eq_tol(d.label_distance[3] - d.label_distance[2], PER_ANG * sqrt(1.125), 1e-9);
    for (int64_t i = 0; i < d.path_n; i++) {
        if (d.path_distance[i] < d.label_distance[1] || d.path_distance[i] > d.label_distance[2]) continue;
        // two coordinates equal, the third an integer: on the line X-U = X-K
        const double *h = d.path_hkl + 3 * i;
        bool line = false;
        for (int k = 0; k < 3; k++)
            line = line || (fabs(h[k] - rint(h[k])) < 1e-9 && fabs(fabs(h[(k + 1) % 3]) - fabs(h[(k + 2) % 3])) < 1e-9);
        ck_assert(line);
    }
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

// ---- aliasing

static char warned[4096];

static void listen(void *user, xani_log_level level, const char *text)
{
    (void)user;
    if (level == XANI_LOG_WARNING) snprintf(warned + strlen(warned), sizeof warned - strlen(warned), "%s\n", text);
}

// Aluminium reaches 9.7 THz: 50 fs bins alias its pairs and are reported once, 20 fs bins are fine.
START_TEST(aliasing)
{
    const char aluminium[] = "  crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], centring: F, basis: [{element: Al, "
                             "position: [0, 0, 0]}]}\n";
    experiment e = make("");
    xn_dispersion d;
    xn_ctx *ctx;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, listen, NULL);
    warned[0] = '\0';
    run(&e, ctx, aluminium, 0.02, &d);
    ck_assert_str_eq(warned, "");
    ck_assert_double_eq_tol(d.nyquist_thz, 25, 1e-9);
    ck_assert_double_eq_tol(d.crystal_max_thz, 9.72, 0.05);
    for (int64_t i = 0; i < d.points.n; i++) ck_assert(!d.points.alias[i]);
    xn_dispersion_free(&d);
    run(&e, ctx, aluminium, 0.05, &d);
    const char *first = strstr(warned, "alias");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "aliasing:"));
    ck_assert_double_eq_tol(d.nyquist_thz, 10, 1e-9);
    for (int64_t i = 0; i < d.points.n; i++)
        ck_assert_int_eq(d.points.alias[i], 20 - 2 * d.points.frequency[i] <= 2 * d.crystal_max_thz);
    xn_dispersion_free(&d);
    warned[0] = '\0';
    run(&e, ctx, aluminium, NAN, &d); // unequal bins: nothing can be said
    ck_assert_str_eq(warned, "");
    ck_assert(isnan(d.nyquist_thz));
    xn_dispersion_free(&d);
    xani_destroy(&ctx);
    end(&e);
}
END_TEST

// Copper in bins of 50 fs shows oscillations above 10 THz at 20 THz less theirs. Its constants, before the laser, tell
// most lines below from those.
START_TEST(mirrored)
{
    experiment e = make("  force_constants: {file: cu_49k}\n");
    xn_dispersion d;
    e.noise = 0.01;
    e.mirror = true;
    run(&e, NULL, copper, 0.05, &d);
    int64_t own = 0, told = 0, wrong = 0, images = 0;
    for (int64_t i = 0; i < d.points.n; i++) {
        bool is_own = miss(&e, d.points.hkl + 3 * i, d.points.frequency[i]) < 0.03;
        own += is_own;
        images += !is_own;
        told += is_own && !d.points.alias[i];
        wrong += !is_own && !d.points.alias[i];
    }
    ck_assert_int_gt(images, 300);
    ck_assert_msg(told > 0.5 * (double)own && wrong < 0.03 * (double)told, "%lld of %lld told, %lld of %lld wrongly",
                  (long long)told, (long long)own, (long long)wrong, (long long)images);
    xn_dispersion_free(&d);
    end(&e);
}
END_TEST

// The same run in bins of 50 and of 41 fs: every line finds its own frequency, above or below 10 THz, and none is
// invented.
START_TEST(two_widths)
{
    experiment e = make("");
    xn_modes modes[2];
    const xn_modes *list[2] = {&modes[0], &modes[1]};
    xn_config *config = configure(&e, copper);
    xn_dispersion d, alone;
    int64_t high = 0, open = 0, wrong = 0, images = 0;
    for (int i = 0; i < 2; i++) {
        make_modes(&e, 0, &modes[i]);
        modes[i].step_ps = i == 0 ? 0.05 : 0.041;
        for (int64_t k = 0; k < e.n_modes * NY * NX; k++)
            modes[i].frequency[k] = (float)fmin(modes[i].frequency[k], 1.0 / modes[i].step_ps - modes[i].frequency[k]);
    }
    ck_assert_int_eq(xn_map(NULL, config, list, 1, NULL, &alone), XANI_OK);
    ck_assert_int_eq(xn_map(NULL, config, list, 2, NULL, &d), XANI_OK);
    ck_assert_int_eq(d.points.n + d.combinations.n, alone.points.n + alone.combinations.n);
    for (int64_t i = 0; i < d.points.n; i++) {
        bool right = miss(&e, d.points.hkl + 3 * i, d.points.frequency[i]) < 1e-4;
        high += d.points.frequency[i] > 5;
        open += d.points.alias[i];
        wrong += !d.points.alias[i] && (!right || !isnan(d.points.images[2 * i]));
    }
    for (int64_t i = 0; i < alone.points.n; i++) {
        double image = (double)alone.points.images[2 * i];
        images += miss(&e, alone.points.hkl + 3 * i, image) < 1e-4;
    }
    ck_assert_msg(high > 300 && images > 300 && wrong == 0 && open < d.points.n / 50, "%lld %lld %lld %lld",
                  (long long)high, (long long)images, (long long)wrong, (long long)open);
    ck_assert_double_gt(d.axis[3][d.shape[3] - 1], 7.0);
    ck_assert_mem_eq(d.coverage, alone.coverage, 21 * 21 * 21 * sizeof *d.coverage);
    xn_dispersion_free(&d);
    xn_dispersion_free(&alone);
    for (int i = 0; i < 2; i++) xn_modes_free(&modes[i]);
    xani_config_destroy(&config);
    end(&e);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, points);
    tcase_add_test(t, pairs_stay);
    tcase_add_test(t, combinations);
    tcase_add_test(t, kinds);
    tcase_add_test(t, volume);
    tcase_add_test(t, branches);
    tcase_add_test(t, crossing);
    tcase_add_test(t, false_lines);
    tcase_add_test(t, doublets);
    tcase_add_test(t, labels);
    tcase_add_test(t, aliasing);
    tcase_add_test(t, mirrored);
    tcase_add_test(t, two_widths);
}

XN_TEST_MAIN("map", add)
