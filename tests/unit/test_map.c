// SPDX-License-Identifier: BSD-3-Clause
// test_map.c -- parts of the map stage: clusters, assignment, images of the path, coverage, other lattices, failures.
#include "map/map.h"
#include "no_memory.h"

#include "core/rng.h"
#include "map/parts.h"
#include "test.h"

// ---- clusters

static void fill(xn_line_sample *s, int64_t *n, xn_rng *rng, int count, double mean, double rms, bool uniform)
{
    for (int i = 0; i < count; i++, ++*n)
        s[*n] = (xn_line_sample){mean + rms * (uniform ? sqrt(12) * (xn_rng_uniform(rng) - 0.5) : xn_rng_normal(rng)),
                                 1, *n, -9};
}

// Separate groups are found, a uniform spread is not cut however many samples it has, and no more than allowed.
START_TEST(clusters)
{
    static xn_line_sample s[5000];
    xn_rng rng;
    int found;
    xn_rng_init(&rng, 1, 1);
    for (int many = 0; many < 2; many++) {
        int64_t n = 0;
        fill(s, &n, &rng, many ? 1500 : 12, 3.0, 0.1, false);
        fill(s, &n, &rng, many ? 700 : 9, 5.0, 0.1, false);
        fill(s, &n, &rng, many ? 1500 : 15, 6.5, 0.1, true);
        ck_assert_int_eq(xn_cluster(NULL, s, n, 6, 0.05, &found), XANI_OK);
        ck_assert_int_eq(found, 3);
        for (int64_t i = 0; i < n; i++) ck_assert_int_eq(s[i].label, s[i].value < 4 ? 0 : s[i].value < 5.75 ? 1 : 2);
        ck_assert_int_eq(xn_cluster(NULL, s, n, 2, 0.05, &found), XANI_OK);
        ck_assert_int_eq(found, 2);
    }
    int64_t n = 0;
    fill(s, &n, &rng, 4000, 3.0, 0.5, true);
    ck_assert_int_eq(xn_cluster(NULL, s, n, 6, 0.01, &found), XANI_OK);
    ck_assert_int_eq(found, 1);
    ck_assert_int_eq(xn_cluster(NULL, s, 0, 6, 0.01, &found), XANI_OK);
    ck_assert_int_eq(found, 0);
    ck_assert_int_eq(xn_cluster(NULL, s, 1, 6, 0.01, &found), XANI_OK);
    ck_assert(found == 1 && s[0].label == 0);
}
END_TEST

// Two lines of each pixel are two branches however near they are; one pixel's second line alone is left out.
START_TEST(pixels_divide)
{
    xn_line_sample s[40];
    int found;
    for (int i = 0; i < 40; i++) s[i] = (xn_line_sample){3.0 + 0.01 * (i % 2) + 1e-4 * i, 1, i / 2, -9};
    ck_assert_int_eq(xn_cluster(NULL, s, 40, 3, 0.1, &found), XANI_OK);
    ck_assert_int_eq(found, 2);
    for (int i = 0; i < 40; i++) ck_assert_int_eq(s[i].label, i % 2);
    for (int i = 0; i < 40; i++) s[i].pixel = i == 7 ? 6 : i;
    ck_assert_int_eq(xn_cluster(NULL, s, 40, 3, 0.1, &found), XANI_OK);
    ck_assert_int_eq(found, 1);
    int left_out = 0;
    for (int i = 0; i < 40; i++) left_out += s[i].label == -1;
    ck_assert(left_out == 1 && (s[6].label == -1 || s[7].label == -1));
}
END_TEST

static double cheapest(int n, const double *cost, int row, unsigned used)
{
    double best = INFINITY;
    if (row == n) return 0;
    for (int j = 0; j < n; j++)
        if (!(used >> j & 1)) best = fmin(best, cost[row * n + j] + cheapest(n, cost, row + 1, used | 1U << j));
    return best;
}

// The assignment costs what a search over all permutations finds.
START_TEST(assignment)
{
    xn_rng rng;
    xn_rng_init(&rng, 2, 2);
    for (int trial = 0; trial < 200; trial++) {
        int n = 1 + trial % 6, column[6];
        double cost[36], total = 0;
        unsigned used = 0;
        for (int i = 0; i < n * n; i++) cost[i] = trial % 3 ? xn_rng_normal(&rng) : floor(3 * xn_rng_uniform(&rng));
        ck_assert_int_eq(xn_assign(NULL, n, cost, column), XANI_OK);
        for (int i = 0; i < n; i++) {
            total += cost[i * n + column[i]];
            used |= 1U << column[i];
        }
        ck_assert_uint_eq(used, (1U << n) - 1);
        ck_assert_double_eq_tol(total, cheapest(n, cost, 0, 0), 1e-9);
    }
}
END_TEST

// ---- a whole experiment on any lattice

static const char detector[] = "experiment: {energy_kev: 12.4}\n"
                               "geometry:\n  detector: {shape: [40, 32], pixel_mm: 1.5, centre_px: [10, 20]}\n"
                               "  distance_mm: 60\n";
static const char turned[] = "  orientation: [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]\n"
                             "  goniometer: [{axis: [0, 1, 0]}]\n";

static xn_config *configure(const char *cell, const char *group, const char *rest)
{
    char *text =
        xn_format("%s  cell: %s\n%smap:\n  crystal: {cell: %s, %s, basis: [{element: X, position: [0, 0, 0]}]}\n%s",
                  detector, cell, turned, cell, group, rest);
    xn_config *config;
    xani_status st = xn_config_parse(NULL, text, "test.yaml", ".", &config);
    ck_assert_int_eq(st, XANI_OK);
    xn_free(text);
    return config;
}

// Scalar springs to the lattice vectors t (fractions of the cell): nu^2 = sum (1 - cos 2 pi h.t) scaled per branch.
typedef struct springs {
    int n;
    double t[8][3];
} springs;

static double frequency(const springs *s, const double hkl[3], int branch)
{
    double sum = 0;
    for (int i = 0; i < s->n; i++)
        sum += 1 - cos(2 * M_PI * (hkl[0] * s->t[i][0] + hkl[1] * s->t[i][1] + hkl[2] * s->t[i][2]));
    return sqrt(sum) * (1.0 + 0.5 * branch);
}

static void make_modes(xn_ctx *ctx, const xn_config *config, const springs *model, double angle, xn_modes *m)
{
    xn_scene s;
    xn_view v = {0};
    ck_assert_int_eq(xn_scene_load(ctx, config, &s), XANI_OK);
    ck_assert_int_eq(xn_scene_group(ctx, &s, 1, 0, NULL), XANI_OK);
    ck_assert_int_eq(xn_scene_view(ctx, config, &s, &angle, 1, &v), XANI_OK);
    ck_assert_int_eq(xn_modes_alloc(NULL, 3, 1, s.ny, s.nx, m), XANI_OK);
    m->n_angles = 1;
    m->angles_deg[0] = angle;
    m->delay_hi_ps = 10;
    m->step_ps = 0.01;
    m->band_thz[1] = 40;
    for (int64_t i = 0; i < v.n; i++) {
        m->count[i] = model != NULL ? 3 : 0;
        m->status[i] = model != NULL ? XN_FIT_MODES : XN_FIT_NONE;
        for (int b = 0; model != NULL && b < 3; b++) {
            m->frequency[b * v.n + i] = (float)(2 * frequency(model, v.hkl + 3 * i, b));
            m->frequency_errors[b * v.n + i] = 1e-4F;
            m->amplitude[b * v.n + i] = 0.01F;
            m->amplitude_errors[b * v.n + i] = 1e-4F;
            m->phase[b * v.n + i] = (float)M_PI;
            m->damping[b * v.n + i] = 0.2F;
        }
    }
    xn_view_free(&v);
    xn_scene_free(&s);
}

// Frequencies on other lattices: every line is a point of its branch, branches follow the springs along the path.
static void check_lattice(const char *cell, const char *group, const springs *model, const char *path)
{
    xn_config *config = configure(cell, group, path);
    xn_modes m[3];
    const xn_modes *list[3] = {&m[0], &m[1], &m[2]};
    xn_dispersion d;
    for (int i = 0; i < 3; i++) make_modes(NULL, config, model, 11.0 * i, &m[i]);
    ck_assert_int_eq(xn_map(NULL, config, list, 3, NULL, &d), XANI_OK);
    ck_assert_int_eq(d.points.n + d.combinations.n, 3 * 3 * 40 * 32);
    ck_assert_int_le(d.combinations.n, 0);
    for (int64_t i = 0; i < d.points.n; i++) {
        double folded[3], best = INFINITY;
        for (int k = 0; k < 3; k++) folded[k] = d.points.hkl[3 * i + k] - d.points.g[3 * i + k];
        for (int b = 0; b < 3; b++) best = fmin(best, fabs(frequency(model, folded, b) - d.points.frequency[i]));
        ck_assert_double_lt(best, 1e-5);
    }
    int seen = 0, good = 0;
    for (int b = 0; b < 3; b++)
        for (int64_t i = 0; i < d.path_n; i++) {
            if (d.branch_count[b * d.path_n + i] < 3) continue;
            double nu = frequency(model, d.path_hkl + 3 * i, b);
            seen++;
            good += fabs(d.branch_frequency[b * d.path_n + i] - nu) < 0.25 + 0.05 * nu;
        }
    ck_assert_msg(seen > 30 && good * 20 > seen * 17, "%s %s: %d of %d", cell, group, good, seen);
    for (int i = 0; i < 3; i++) xn_modes_free(&m[i]);
    xn_dispersion_free(&d);
    xani_config_destroy(&config);
}

START_TEST(lattices)
{
    const springs p = {3, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    const springs i = {4, {{.5, .5, .5}, {-.5, .5, .5}, {.5, -.5, .5}, {.5, .5, -.5}}};
    const springs hexagonal = {4, {{1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {0, 0, 1}}};
    const springs triclinic = {3, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    check_lattice("[3, 3, 3, 90, 90, 90]", "centring: P", &p, "");
    check_lattice("[3.2, 3.2, 3.2, 90, 90, 90]", "centring: I", &i, "");
    check_lattice("[3.2, 3.2, 3.2, 90, 90, 90]", "space_group: 229", &i,
                  "  path: [N, G, {label: H, hkl: [0, 0, 1]}]\n");
    check_lattice("[3, 3, 4.5, 90, 90, 120]", "centring: P", &hexagonal, "");
    check_lattice("[3, 3.4, 3.9, 80, 95, 105]", "centring: P", &triclinic, "");
}
END_TEST

// A pixel on the boundary of the zone keeps its G when the angle changes by rounding.
START_TEST(boundary)
{
    xn_lattice l;
    const double cell[6] = {4, 4, 4, 90, 90, 90};
    ck_assert_int_eq(xn_lattice_make(NULL, cell, 'F', &l), XANI_OK);
    const double on[4][3] = {{1, 0, 0}, {2.5, .5, .5}, {1, .5, 0}, {.75, .75, 0}};
    for (int i = 0; i < 4; i++)
        for (int n = 0; n < 27; n++) {
            int g[3], first[3];
            double q[3], h[3] = {on[i][0] + 1e-12 * (n / 9 - 1), on[i][1] + 1e-12 * (n / 3 % 3 - 1),
                                 on[i][2] + 1e-12 * (n % 3 - 1)};
            xn_lattice_fold(&l, on[i], first, q);
            xn_lattice_fold(&l, h, g, q);
            ck_assert(memcmp(g, first, sizeof g) == 0);
        }
    // the whole stage: a turn by 1e-11 degrees changes no G
    const springs p = {3, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    xn_config *config = configure("[3, 3, 3, 90, 90, 90]", "centring: P", "");
    xn_dispersion d[2];
    for (int i = 0; i < 2; i++) {
        xn_modes m;
        const xn_modes *list = &m;
        make_modes(NULL, config, &p, 5 + 1e-11 * i, &m);
        ck_assert_int_eq(xn_map(NULL, config, &list, 1, NULL, &d[i]), XANI_OK);
        xn_modes_free(&m);
    }
    ck_assert_int_eq(d[0].points.n, d[1].points.n);
    ck_assert(memcmp(d[0].points.g, d[1].points.g, (size_t)d[0].points.n * 3 * sizeof *d[0].points.g) == 0);
    for (int i = 0; i < 2; i++) xn_dispersion_free(&d[i]);
    xani_config_destroy(&config);
}
END_TEST

// Hits of random q are those of a search over all operations and reciprocal lattice vectors.
START_TEST(images)
{
    xn_config *config =
        configure("[3, 3, 4.5, 90, 90, 120]", "space_group: P6/mmm", "  path: [G, M, K, {hkl: [1, 1, 0.3]}]\n");
    xn_scene s;
    xn_path p;
    xn_dispersion d = {0};
    xn_rng rng;
    ck_assert_int_eq(xn_scene_load(NULL, config, &s), XANI_OK);
    ck_assert_int_eq(xn_path_plan(NULL, config, &s, 0.3, &p, &d), XANI_OK);
    xn_hit *hits = xn_alloc((size_t)p.n_images, sizeof *hits);
    xn_rng_init(&rng, 3, 3);
    int64_t total = 0;
    for (int trial = 0; trial < 300; trial++) {
        double hkl[3], q[3];
        int g[3], n;
        uint8_t expected[4096] = {0};
        for (int k = 0; k < 3; k++) hkl[k] = 4 * xn_rng_uniform(&rng) - 2;
        if (trial % 2) hkl[2] *= 0.05;
        xn_lattice_fold(&s.lattice, hkl, g, q);
        n = xn_path_hits(&p, q, hits);
        for (int k = 0; k < 3; k++) hkl[k] -= g[k];
        for (int o = 0; o < s.lattice.n_sym; o++)
            for (int z = 0; z < 343; z++)
                for (int k = 0; k < p.n_segments; k++) {
                    const xn_segment *line = &p.segment[k];
                    const int *op = s.lattice.sym[o], shift[3] = {z / 49 - 3, z / 7 % 7 - 3, z % 7 - 3};
                    double r[3], e[3], x[3], along[3], u = 0, d2 = 0;
                    for (int i = 0; i < 3; i++) {
                        r[i] = op[3 * i] * hkl[0] + op[3 * i + 1] * hkl[1] + op[3 * i + 2] * hkl[2] + shift[i] -
                               line->from[i];
                        e[i] = line->to[i] - line->from[i];
                    }
                    xn_lattice_cartesian(&s.lattice, r, x);
                    xn_lattice_cartesian(&s.lattice, e, along);
                    for (int i = 0; i < 3; i++) u += x[i] * along[i] / line->length;
                    for (int i = 0; i < 3; i++) d2 += pow(x[i] - u * along[i] / line->length, 2);
                    if (u >= 0 && u <= line->length && d2 <= p.tube * p.tube)
                        expected[line->first + xn_min64(line->n - 1, (int64_t)(u * (double)line->n / line->length))] =
                            1;
                }
        for (int i = 0; i < n; i++) {
            ck_assert_msg(expected[hits[i].bin] == 1, "trial %d: bin %ld is wrong or twice", trial, (long)hits[i].bin);
            expected[hits[i].bin] = 2;
        }
        for (int64_t b = 0; b < p.n; b++)
            ck_assert_msg(expected[b] != 1, "trial %d: bin %ld is missing", trial, (long)b);
        total += n;
    }
    ck_assert_int_gt(total, 100);
    xn_free(hits);
    xn_path_free(&p);
    xn_dispersion_free(&d);
    xn_scene_free(&s);
    xani_config_destroy(&config);
}
END_TEST

// ---- empty and wrong input

START_TEST(empty)
{
    xn_config *config = configure("[3, 3, 3, 90, 90, 90]", "centring: P", "");
    for (int masked = 0; masked < 2; masked++) {
        xn_modes m;
        const xn_modes *list = &m;
        xn_dispersion d;
        make_modes(NULL, config, NULL, 0, &m);
        if (masked) memset(m.status, XN_FIT_MASKED, (size_t)(m.ny * m.nx));
        ck_assert_int_eq(xn_map(NULL, config, &list, 1, NULL, &d), XANI_OK);
        ck_assert(d.points.n == 0 && d.points.hkl != NULL && d.combinations.n == 0 && d.combinations.hkl != NULL);
        int64_t looked = 0;
        for (int64_t v = 0; v < d.shape[0] * d.shape[1] * d.shape[2]; v++) {
            looked += d.coverage[v];
            ck_assert(d.coverage[v] > 0 ? d.intensity[v * d.shape[3]] == 0 : isnan(d.intensity[v * d.shape[3]]));
        }
        ck_assert_int_eq(looked, masked ? 0 : m.ny * m.nx);
        ck_assert(d.path_n > 10 && d.n_branches == 3 && d.path_nf > 10 && d.axis[3][1] > d.axis[3][0]);
        for (int64_t i = 0; i < d.path_n * 3; i++) ck_assert(isnan(d.branch_frequency[i]) && d.branch_count[i] == 0);
        xn_dispersion_free(&d);
        xn_modes_free(&m);
    }
    xani_config_destroy(&config);
}
END_TEST

static void refused(const char *group, const char *rest, int change, xani_status status, const char *needle)
{
    xn_config *config = configure("[3, 3, 3, 90, 90, 90]", "centring: P", ""),
              *used = configure("[3, 3, 3, 90, 90, 90]", group, rest);
    xn_modes m;
    const xn_modes *list = &m;
    xn_dispersion d;
    xn_ctx *ctx;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    make_modes(NULL, config, NULL, 0, &m);
    if (change == 1) m.n_angles = 2;
    if (change == 2) m.spatial_bin = 2;
    ck_assert_int_eq(xn_map(ctx, used, &list, change == 3 ? 0 : 1, NULL, &d), status);
    ck_assert_msg(strstr(xani_error_text(ctx), needle) != NULL, "\"%s\" does not name %s", xani_error_text(ctx),
                  needle);
    ck_assert(d.points.hkl == NULL && d.intensity == NULL && d.run_names == NULL);
    xn_modes_free(&m);
    xani_destroy(&ctx);
    xani_config_destroy(&config);
    xani_config_destroy(&used);
}

// Each wrong input gives one line that names the key, and nothing allocated.
START_TEST(errors)
{
    refused("centring: P", "  force_constants: {refine: true}\n", 0, XANI_ERR_CONFIG, "map.force_constants.file");
    refused("centring: P", "  path: [G, Q]\n", 0, XANI_ERR_CONFIG, "map.path[1]");
    refused("centring: P", "  path: [G]\n", 0, XANI_ERR_CONFIG, "map.path");
    refused("centring: P", "  path: [G, G]\n", 0, XANI_ERR_CONFIG, "map.path");
    refused("centring: P", "  path: [G, {hkl: [1e6, 0, 0]}]\n", 0, XANI_ERR_CONFIG, "map.path");
    refused("centring: P", "  grid: {shape: [4000, 4000, 4000]}\n", 0, XANI_ERR_CONFIG, "map.grid.shape");
    refused("centring: P", "", 1, XANI_ERR_CONFIG, "geometry.goniometer");
    refused("centring: P", "", 2, XANI_ERR_CONFIG, "geometry");
    refused("centring: P", "", 3, XANI_ERR_USAGE, "modes");
}
END_TEST

// A configuration that can have no map, and the words that say why.
static void no_map(const char *text, const char *needle)
{
    xn_config *config;
    xn_scene s = {0};
    xn_ctx *ctx;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_status st = xn_config_parse(ctx, text, "test.yaml", ".", &config);
    if (st == XANI_OK) {
        st = xn_scene_load(ctx, config, &s);
        xani_config_destroy(&config);
        if (st == XANI_OK) xn_scene_free(&s);
    }
    ck_assert_msg(st == XANI_ERR_CONFIG, "%s: accepted", needle);
    ck_assert_msg(strstr(xani_error_text(ctx), needle) != NULL, "\"%s\" does not say %s", xani_error_text(ctx), needle);
    xani_destroy(&ctx);
}

// Singular, mirrored or scaled orientation, a detector in the sample, angles in radians: an error that names the key.
START_TEST(degenerate)
{
    static const char head[] = "experiment: {energy_kev: 12.4}\nmap: {crystal: {%s centring: P}}\ngeometry: {%s%s}\n";
    static const char flat[] = "detector: {shape: [4, 4], pixel_mm: 1, centre_px: [0, 0]}, distance_mm: 60, ";
    static const struct {
        const char *crystal, *detector, *orientation, *needle;
    } rows[] = {
        {"", flat, "ub: [1, 0, 0, 0, 1, 0, 0, 0, 0]", "geometry.ub: is singular"},
        {"", flat, "ub: [1, 2, 3, 2, 4, 6, 0, 1, 1]", "geometry.ub: is singular"},
        {"", flat, "ub: [1, 0, 0, 0, 1, 0, 0, 0, -1]", "left-handed"},
        {"cell: [3, 3, 3, 90, 90, 90],", flat, "ub: [0.3333333, 0, 0, 0, 0.3333333, 0, 0, 0, 0.3333333]", "2 pi"},
        {"cell: [3, 3, 3, 1.5707963, 1.5707963, 1.5707963],", flat, "orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1]",
         "map.crystal.cell: an angle of 1.5708 degrees"},
        {"", flat, "cell: [3, 3, 3, 90, 90, 2.0943951], orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1]", "geometry.cell"},
        {"cell: [3, 3, 3, 60, 60, 150],", flat, "orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1]", "is not a cell"},
        {"cell: [3, 3, 3, 90, 90, 90],", flat, "orientation: [1, 0, 0, 0, 1, 0, 0, 0, 0.5]", "is not a rotation"},
        {"cell: [3, 3, 3, 90, 90, 90],", flat, "orientation: [1, 0, 0, 0, 1, 0, 0, 0, -1]", "is a mirror"},
        {"cell: [3, 3, 3, 90, 90, 90],", "detector: {shape: [4, 4], pixel_mm: 1}, distance_mm: 0, ",
         "orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1]", "geometry.distance_mm"},
    };
    char text[1024], path[600];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, head, rows[i].crystal, rows[i].detector, rows[i].orientation);
        no_map(text, rows[i].needle);
    }
    snprintf(path, sizeof path, "%s/zero.geom", xn_test_dir("map"));
    FILE *f = fopen(path, "w");
    fprintf(f, "clen = 0\nres = 1000\nm/min_fs = 0\nm/max_fs = 3\nm/min_ss = 0\nm/max_ss = 3\nm/fs = +1x\nm/ss = +1y\n"
               "m/corner_x = 0\nm/corner_y = 0\n");
    fclose(f);
    char *file = xn_format("file: %s, ", path);
    char *whole = xn_format(head, "cell: [3, 3, 3, 90, 90, 90],", file, "orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1]");
    no_map(whole, "distance 0");
    xn_free(whole);
    xn_free(file);
}
END_TEST

static char warned[1024];

static void listen(void *user, xani_log_level level, const char *text)
{
    (void)user;
    if (level == XANI_LOG_WARNING) snprintf(warned, sizeof warned, "%s", text);
}

// Force constants with imaginary frequencies: said once, written as negative numbers, and no line is given to them.
START_TEST(imaginary)
{
    xn_crystal c;
    ck_assert_int_eq(xn_crystal_load(NULL, "cu_49k", &c), XANI_OK);
    xn_config *config = configure("[3.61, 3.61, 3.61, 90, 90, 90]", "centring: F", "  path: [G, X]\n");
    xn_scene s;
    xn_known k = {.given = true, .match = {.temperature_k = 300, .reach = 5, .least_sigma_thz = 0.01}};
    xn_path p = {0};
    xn_dispersion d = {0};
    xn_collection none = {0};
    xn_ctx *ctx;
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xani_set_log(ctx, listen, NULL);
    ck_assert_int_eq(xn_crystal_scale(NULL, &c, "110", NULL, -0.5), XANI_OK);
    ck_assert_int_eq(xn_forces_from_crystal(NULL, &c, &k.start), XANI_OK);
    ck_assert_int_eq(xn_scene_load(NULL, config, &s), XANI_OK);
    memcpy(k.b, s.lattice.b, sizeof k.b);
    ck_assert_int_eq(xn_path_plan(NULL, config, &s, 0.1, &p, &d), XANI_OK);
    ck_assert_int_eq(xn_known_map(ctx, config, &s, &none, &k, &d), XANI_OK);
    ck_assert_msg(strstr(warned, "imaginary") != NULL, "said: %s", warned);
    int64_t negative = 0, unstable = -1;
    for (int64_t i = 0; i < d.n_reference * d.path_n; i++) {
        ck_assert(isfinite(d.reference_frequency[i]));
        negative += d.reference_frequency[i] < -0.1;
        if (d.reference_frequency[i] < -0.5 && i < d.path_n) unstable = i;
    }
    ck_assert(negative > 0 && unstable >= 0);
    xn_matcher m;
    xn_matched out;
    xn_observed line = {.nu_thz = 0.3, .sigma_thz = 3.0};
    xn_mat3_vec(k.b, d.path_hkl + 3 * unstable, line.q);
    ck_assert(xn_matcher_open(&k.start, &m));
    ck_assert(xn_match(&m, &k.start, &line, 1, &k.match, 0.0, &out));
    ck_assert(out.branch < 0 || m.nu[out.branch] > 0);
    xn_matcher_close(&m);
    xn_known_free(&k);
    xn_path_free(&p);
    xn_dispersion_free(&d);
    xn_scene_free(&s);
    xn_crystal_free(&c);
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}
END_TEST

// What a configuration lacks is named, the first thing first.
START_TEST(doubtful)
{
    // A line between two branches that are seen alike is off by half of their distance if it is the other's; on one of
    // them it is not, unless the branches themselves are uncertain.
    xn_crystal c;
    xn_forces f;
    xn_matcher m;
    xn_matched out;
    xn_match_options options = {.temperature_k = 300, .reach = 5};
    xn_observed line = {.q = {3.0, 2.2, 0.9}, .sigma_thz = 0.02};
    double nu[3];
    ck_assert_int_eq(xn_crystal_load(NULL, "cu_49k", &c), XANI_OK);
    ck_assert_int_eq(xn_forces_from_crystal(NULL, &c, &f), XANI_OK);
    ck_assert_int_eq(xn_forces_modes(NULL, &f, line.q, NULL, nu, NULL), XANI_OK);
    ck_assert(xn_matcher_open(&f, &m));
    line.nu_thz = nu[1];
    ck_assert(xn_match(&m, &f, &line, 1, &options, 0.0, &out) && out.branch >= 0);
    ck_assert_double_lt(out.doubt_thz, 1e-6);
    line.nu_thz = 0.5 * (nu[1] + nu[2]);
    options.reach = 1e3;
    ck_assert(xn_match(&m, &f, &line, 1, &options, 0.3, &out) && out.branch >= 0);
    ck_assert_double_gt(out.doubt_thz, 0.1 * (nu[2] - nu[1]));
    ck_assert_double_lt(out.doubt_thz, nu[2] - nu[0]);
    xn_matcher_close(&m);
    xn_forces_free(&f);
    xn_crystal_free(&c);
}
END_TEST

START_TEST(possible)
{
    const char *parts[5] = {"geometry:\n  detector: {shape: [4, 4], pixel_mm: 1, centre_px: [0, 0]}\n",
                            "  distance_mm: 60\n",
                            "  cell: [3, 3, 3, 90, 90, 90]\n  orientation: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n",
                            "experiment: {energy_kev: 10}\n", "map: {crystal: {centring: P}}\n"};
    const char *missing[6] = {"geometry.file",         "geometry.distance_mm",    "experiment.energy_kev",
                              "experiment.energy_kev", "map.crystal.space_group", NULL};
    char text[2048] = "output: {report: false}\n";
    for (int i = 0; i < 6; i++) {
        xn_config *config;
        const char *why;
        if (i > 0) snprintf(text + strlen(text), sizeof text - strlen(text), "%s", parts[i - 1]);
        ck_assert_int_eq(xn_config_parse(NULL, text, "t.yaml", ".", &config), XANI_OK);
        ck_assert_int_eq(xn_map_possible(config, &why), missing[i] == NULL);
        if (missing[i] != NULL)
            ck_assert_str_eq(why, missing[i]);
        else
            ck_assert_ptr_null(why);
        xani_config_destroy(&config);
    }
}
END_TEST

// Any number of threads gives the same bits.
START_TEST(threads)
{
    const springs p = {3, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    xn_dispersion d[2];
    for (int i = 0; i < 2; i++) {
        xn_config *config =
            configure("[3, 3, 3, 90, 90, 90]", "centring: P", i ? "engine: {threads: 5}\n" : "engine: {threads: 1}\n");
        xn_modes m[2];
        const xn_modes *list[2] = {&m[0], &m[1]};
        for (int k = 0; k < 2; k++) make_modes(NULL, config, &p, 9.0 * k, &m[k]);
        ck_assert_int_eq(xn_map(NULL, config, list, 2, NULL, &d[i]), XANI_OK);
        for (int k = 0; k < 2; k++) xn_modes_free(&m[k]);
        xani_config_destroy(&config);
    }
    const xn_dispersion *a = &d[0], *b = &d[1];
    size_t n = (size_t)a->points.n, voxels = (size_t)(a->shape[0] * a->shape[1] * a->shape[2]),
           bins = (size_t)a->path_n;
    ck_assert_int_eq(a->points.n, b->points.n);
    ck_assert(memcmp(a->points.hkl, b->points.hkl, 3 * n * sizeof(double)) == 0);
    ck_assert(memcmp(a->points.frequency, b->points.frequency, n * sizeof(double)) == 0);
    ck_assert(memcmp(a->points.branch, b->points.branch, n * sizeof(int32_t)) == 0);
    ck_assert(memcmp(a->coverage, b->coverage, voxels * sizeof(int32_t)) == 0);
    ck_assert(memcmp(a->intensity, b->intensity, voxels * (size_t)a->shape[3] * sizeof(float)) == 0);
    ck_assert(memcmp(a->path_intensity, b->path_intensity, bins * (size_t)a->path_nf * sizeof(float)) == 0);
    ck_assert(memcmp(a->branch_frequency, b->branch_frequency, 3 * bins * sizeof(double)) == 0);
    for (int i = 0; i < 2; i++) xn_dispersion_free(&d[i]);
}
END_TEST

// Every single allocation may fail: one error, no leak, no crash.
static double ten[10];

static xani_status open_ten(xn_ctx *ctx, void *user, int run, int *bins, const double **delay_ps)
{
    (void)ctx, (void)user, (void)run;
    for (int b = 0; b < 10; b++) ten[b] = 0.1 * b;
    *bins = 10;
    *delay_ps = ten;
    return XANI_OK;
}

static xani_status flat_planes(xn_ctx *ctx, void *user, int first, int n, float *signal, float *sigma)
{
    const int64_t *pixels = user;
    (void)ctx;
    for (int64_t i = 0; i < n * *pixels; i++) signal[i] = first + i / *pixels == 3 ? NAN : 0.01F, sigma[i] = 0.001F;
    return XANI_OK;
}

START_TEST(memory)
{
    const springs p = {3, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    xn_config *config =
        configure("[3, 3, 3, 90, 90, 90]", "centring: P",
                  "  grid: {shape: [3, 3, 3]}\n  path: [G, X]\n  tube_inv_ang: 0.15\nengine: {threads: 1}\n");
    xn_modes m;
    const xn_modes *list = &m;
    xn_dispersion d;
    int failures = 0;
    make_modes(NULL, config, &p, 0, &m);
    int64_t pixels = m.ny * m.nx;
    m.delay_lo_ps = 0.0, m.delay_hi_ps = 1.0;
    const xn_traces traces = {open_ten, flat_planes, &pixels};
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        no_memory_begin(&n);
        xani_status st = xn_map(NULL, config, &list, 1, &traces, &d);
        no_memory_end();
        if (st == XANI_OK) { // an allocation of the table of elements may fail unseen
            ck_assert(n.reached || (d.points.n > 0 && d.averaged != NULL && d.path_averaged != NULL));
            xn_dispersion_free(&d);
            continue;
        }
        ck_assert(n.reached);
        ck_assert_int_eq(st, XANI_ERR_MEMORY);
        ck_assert_ptr_null(d.points.hkl);
        failures++;
    }
    ck_assert_int_gt(failures, 40);
    xn_modes_free(&m);
    xani_config_destroy(&config);
}
END_TEST

// ---- coverage: the experiment of science.md 11, its counts within 2 %

START_TEST(coverage)
{
    char path[600], text[4096];
    snprintf(path, sizeof path, "%s/turned.geom", xn_test_dir("map"));
    FILE *f = fopen(path, "w");
    double c = cos(50 * M_PI / 180), s = sin(50 * M_PI / 180), pixel = 1.2;
    fprintf(f,
            "photon_energy = 9500\nclen = %.9f\nres = %.9f\nm/min_fs = 0\nm/max_fs = 63\nm/min_ss = 0\nm/max_ss = 63\n",
            1e-3 * (100 * c + 32 * pixel * s), 1000 / pixel);
    fprintf(f, "m/fs = %+.9fx %+.9fz\nm/ss = +1y\nm/corner_x = %.9f\nm/corner_y = -32\n", c, -s,
            100 * s / pixel - 32 * c);
    fclose(f);
    const int angles[3] = {1, 5, 10};
    const double seen[3] = {476, 607, 662};
    double before = 0;
    for (int i = 0; i < 3; i++) {
        int n = snprintf(
            text, sizeof text,
            "geometry: {file: %s, cell: [3.61, 3.61, 3.61, 90, 90, 90], orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1],"
            " goniometer: [{axis: [1, 0, 0]}]}\nmap: {crystal: {centring: F}}\nruns:\n",
            path);
        for (int k = 0; k < angles[i]; k++)
            n += snprintf(text + n, sizeof text - (size_t)n, "- {name: r%d, files: [x.h5], angle_deg: [%d]}\n", k, k);
        xn_config *config;
        double fraction;
        int64_t voxels;
        ck_assert_int_eq(xn_config_parse(NULL, text, "t.yaml", ".", &config), XANI_OK);
        ck_assert_int_eq(xn_map_coverage(NULL, config, &fraction, &voxels), XANI_OK);
        ck_assert_msg(labs((long)voxels - 825) <= 8, "%ld voxels", (long)voxels);
        ck_assert_msg(fabs(fraction * (double)voxels - seen[i]) < 0.02 * seen[i], "%d angles: %g", angles[i],
                      fraction * (double)voxels);
        ck_assert_double_gt(fraction, before);
        before = fraction;
        xani_config_destroy(&config);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, clusters);
    tcase_add_test(t, pixels_divide);
    tcase_add_test(t, assignment);
    tcase_add_test(t, lattices);
    tcase_add_test(t, boundary);
    tcase_add_test(t, images);
    tcase_add_test(t, empty);
    tcase_add_test(t, errors);
    tcase_add_test(t, degenerate);
    tcase_add_test(t, imaginary);
    tcase_add_test(t, doubtful);
    tcase_add_test(t, possible);
    tcase_add_test(t, threads);
    tcase_add_test(t, memory);
    tcase_add_test(t, coverage);
}

XN_TEST_MAIN("map parts", add)
