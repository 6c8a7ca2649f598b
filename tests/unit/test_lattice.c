// SPDX-License-Identifier: BSD-3-Clause
// test_lattice.c -- B, UB, goniometer signs, folding against brute force, symmetry.
#include "physics/lattice.h"

#include "core/rng.h"
#include "test.h"

static const double cubic[6] = {4, 4, 4, 90, 90, 90};

// B has the direct cell's metric: 2 pi B^-1 has rows a, b, c with the lengths and angles asked for; z row is
// (0,0,2pi/c)
START_TEST(b_matrix)
{
    const double cell[6] = {5.1, 6.2, 7.3, 81, 97, 112};
    xn_lattice l;
    double back[6];
    ck_assert_int_eq(xn_lattice_make(NULL, cell, 'P', &l), XANI_OK);
    ck_assert(xn_lattice_cell_of(l.b, back));
    for (int i = 0; i < 6; i++) ck_assert_double_eq_tol(back[i], cell[i], 1e-9);
    ck_assert_double_eq_tol(l.b[8], 2 * M_PI / 7.3, 1e-12);
    ck_assert(l.b[3] == 0 && l.b[6] == 0 && l.b[7] == 0);
    ck_assert_double_gt(xn_mat3_determinant(l.b), 0);
    xn_lattice_make(NULL, cubic, 'P', &l);
    ck_assert_double_eq_tol(l.b[0], M_PI / 2, 1e-14);
}
END_TEST

// +90 degrees about y takes z to x and x to -z; the first circle of the list is the outermost
START_TEST(goniometer)
{
    xn_goniometer g = {.n = 1, .circle = {{{0, 1, 0}, 1, 90}}};
    double r[9], v[3], z[3] = {0, 0, 1}, x[3] = {1, 0, 0};
    xn_goniometer_matrix(&g, r);
    xn_mat3_vec(r, z, v);
    ck_assert_double_eq_tol(v[0], 1, 1e-12);
    xn_mat3_vec(r, x, v);
    ck_assert_double_eq_tol(v[2], -1, 1e-12);
    g.circle[0].sign = -1;
    xn_goniometer_matrix(&g, r);
    xn_mat3_vec(r, z, v);
    ck_assert_double_eq_tol(v[0], -1, 1e-12);
    // R = Ry(90) Rz(90): z stays under the inner circle, then goes to x; x goes to y and stays
    xn_goniometer two = {.n = 2, .circle = {{{0, 1, 0}, 1, 90}, {{0, 0, 1}, 1, 90}}};
    xn_goniometer_matrix(&two, r);
    xn_mat3_vec(r, z, v);
    ck_assert_double_eq_tol(v[0], 1, 1e-12);
    xn_mat3_vec(r, x, v);
    ck_assert_double_eq_tol(v[1], 1, 1e-12);
}
END_TEST

static const struct {
    double cell[6];
    char centring;
} lattices[] = {
    {{4, 4, 4, 90, 90, 90}, 'P'},   {{4, 4, 4, 90, 90, 90}, 'I'},    {{4, 4, 4, 90, 90, 90}, 'F'},
    {{3, 3, 9, 90, 90, 90}, 'I'},   {{3, 5, 7, 90, 90, 90}, 'F'},    {{3, 5, 7, 90, 90, 90}, 'A'},
    {{3, 5, 7, 90, 90, 90}, 'B'},   {{3, 5, 7, 90, 90, 90}, 'C'},    {{3, 3, 5, 90, 90, 120}, 'P'},
    {{4, 4, 12, 90, 90, 120}, 'R'}, {{4, 4, 3, 90, 90, 120}, 'R'},   {{4, 6, 9, 90, 125, 90}, 'P'},
    {{4, 6, 9, 90, 125, 90}, 'C'},  {{5, 5.5, 6, 75, 82, 110}, 'P'}, {{5, 5.5, 6, 100, 95, 91}, 'P'},
    {{5, 5, 5, 40, 40, 40}, 'P'},   {{5, 5, 5, 112, 112, 112}, 'P'}, {{5, 6, 4, 90, 140, 90}, 'A'},
};
#define LATTICES (int)(sizeof lattices / sizeof lattices[0])

// The same for 100,000 points of each lattice against the neighbours within +-3 in the reduced primitive basis.
START_TEST(fold_many)
{
    enum { POINTS = 100000, REACH = 3, SIDE = 2 * REACH + 1 };
    xn_lattice l;
    ck_assert_int_eq(xn_lattice_make(NULL, lattices[_i].cell, lattices[_i].centring, &l), XANI_OK);
    double near[SIDE * SIDE * SIDE][3];
    for (int m = 0; m < SIDE * SIDE * SIDE; m++)
        for (int c = 0; c < 3; c++)
            near[m][c] = (m / (SIDE * SIDE) - REACH) * l.prim[c] + (m / SIDE % SIDE - REACH) * l.prim[3 + c] +
                         (m % SIDE - REACH) * l.prim[6 + c];
    xn_rng rng;
    xn_rng_init(&rng, 11, (uint64_t)_i);
    double worst = 0;
    for (int n = 0; n < POINTS; n++) {
        double hkl[3], q[3], whole[3], back[3];
        int g[3];
        for (int k = 0; k < 3; k++) hkl[k] = 30 * xn_rng_uniform(&rng) - 15;
        xn_lattice_fold(&l, hkl, g, q);
        for (int k = 0; k < 3; k++) back[k] = hkl[k] - g[k];
        xn_lattice_cartesian(&l, back, whole);
        double own = q[0] * q[0] + q[1] * q[1] + q[2] * q[2], least = own;
        for (int m = 0; m < SIDE * SIDE * SIDE; m++) {
            double d[3] = {q[0] - near[m][0], q[1] - near[m][1], q[2] - near[m][2]};
            least = fmin(least, d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
        }
        worst = fmax(worst, (own - least) / own);
        for (int k = 0; k < 3; k++) worst = fmax(worst, fabs(whole[k] - q[k]));
    }
    ck_assert_double_lt(worst, 1e-9);
}
END_TEST

// folding gives the shortest q and an allowed G: nothing within +-8 of G is nearer, however skewed the cell
START_TEST(fold_brute_force)
{
    xn_lattice l;
    ck_assert_int_eq(xn_lattice_make(NULL, lattices[_i].cell, lattices[_i].centring, &l), XANI_OK);
    xn_rng rng;
    xn_rng_init(&rng, 7, (uint64_t)_i);
    for (int n = 0; n < 300; n++) {
        double hkl[3], q[3], best = INFINITY;
        int g[3];
        for (int k = 0; k < 3; k++) hkl[k] = 12 * xn_rng_uniform(&rng) - 6;
        xn_lattice_fold(&l, hkl, g, q);
        ck_assert(xn_lattice_allowed(&l, g));
        for (int a = -8; a <= 8; a++)
            for (int b = -8; b <= 8; b++)
                for (int c = -8; c <= 8; c++) {
                    int t[3] = {g[0] + a, g[1] + b, g[2] + c};
                    if (!xn_lattice_allowed(&l, t)) continue;
                    double d[3] = {hkl[0] - t[0], hkl[1] - t[1], hkl[2] - t[2]}, v[3];
                    xn_mat3_vec(l.b, d, v);
                    best = fmin(best, v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
                }
        ck_assert_double_le(q[0] * q[0] + q[1] * q[1] + q[2] * q[2], best * (1 + 1e-9));
    }
}
END_TEST

// points on the zone boundary fold to the lexicographically smallest G, also after rounding noise
START_TEST(fold_ties)
{
    xn_lattice l;
    xn_lattice_make(NULL, cubic, 'F', &l);
    const double x[3] = {1, 0, 0}, w[3] = {1, .5, 0}, lp[3] = {1.5, -.5, .5};
    int g[3];
    double q[3];
    for (int n = 0; n < 50; n++) {
        double noise = (n - 25) * 1e-13, p[3] = {x[0] + noise, x[1] - noise, x[2] + 2 * noise};
        xn_lattice_fold(&l, p, g, q);
        ck_assert(g[0] == 0 && g[1] == 0 && g[2] == 0);
        double pw[3] = {w[0] - noise, w[1] + noise, w[2] + noise};
        xn_lattice_fold(&l, pw, g, q);
        ck_assert(g[0] == 0 && g[1] == 0 && g[2] == 0);
        double pl[3] = {lp[0] + noise, lp[1] + noise, lp[2] + noise};
        xn_lattice_fold(&l, pl, g, q);
        ck_assert(g[0] == 1 && g[1] == -1 && g[2] == 1);
    }
    xn_lattice_make(NULL, cubic, 'P', &l);
    const double corner[3] = {-.5, .5, .5}; // eight equally near G, that differ in all three indices
    xn_lattice_fold(&l, corner, g, q);
    ck_assert(g[0] == -1 && g[1] == 0 && g[2] == 0);
}
END_TEST

// the zone of F reaches X = 1 along each axis and that of P one half; all folded points stay in the box
START_TEST(zone_box)
{
    xn_lattice l;
    double half[3];
    xn_lattice_make(NULL, cubic, 'F', &l);
    ck_assert_int_eq(l.n_voronoi, 14);
    xn_lattice_zone_box(&l, half);
    for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(half[k], 1, 1e-9);
    xn_lattice_make(NULL, cubic, 'P', &l);
    ck_assert_int_eq(l.n_voronoi, 26);
    xn_lattice_zone_box(&l, half);
    for (int k = 0; k < 3; k++) ck_assert_double_eq_tol(half[k], .5, 1e-9);
    xn_lattice_make(NULL, lattices[_i].cell, lattices[_i].centring, &l);
    xn_lattice_zone_box(&l, half);
    xn_rng rng;
    xn_rng_init(&rng, 8, 1);
    double reached[3] = {0};
    for (int n = 0; n < 20000; n++) {
        double hkl[3], q[3], h[3];
        int g[3];
        for (int k = 0; k < 3; k++) hkl[k] = 8 * xn_rng_uniform(&rng) - 4;
        xn_lattice_fold(&l, hkl, g, q);
        xn_mat3_vec(l.b_inv, q, h);
        for (int k = 0; k < 3; k++) reached[k] = fmax(reached[k], fabs(h[k]));
    }
    for (int k = 0; k < 3; k++) {
        ck_assert_double_le(reached[k], half[k] + 1e-9);
        ck_assert_double_gt(reached[k], 0.8 * half[k]); // and the box is not too wide
    }
}
END_TEST

// the bare lattice has its holohedry, and every operation keeps lengths and allowed reflections
START_TEST(symmetry)
{
    static const int order[] = {48, 48, 48, 16, 8, 8, 8, 8, 24, 12, 12, 4, 4, 2, 2, 12, 12, 4};
    xn_lattice l;
    xn_lattice_make(NULL, lattices[_i].cell, lattices[_i].centring, &l);
    ck_assert_int_eq(l.n_sym, order[_i]);
    for (int s = 0; s < l.n_sym; s++)
        for (int p = 0; p < 3; p++) {
            int moved[3];
            for (int k = 0; k < 3; k++) {
                moved[k] = 0;
                for (int m = 0; m < 3; m++) moved[k] += l.sym[s][3 * k + m] * l.prim_hkl[3 * p + m];
            }
            ck_assert(xn_lattice_allowed(&l, moved));
            double h[3] = {moved[0], moved[1], moved[2]}, q[3], sum = 0, length = 0;
            xn_lattice_cartesian(&l, h, q);
            for (int k = 0; k < 3; k++) sum += q[k] * q[k], length += l.prim[3 * p + k] * l.prim[3 * p + k];
            ck_assert_double_eq_tol(sum, length, 1e-6 * length);
        }
}
END_TEST

// names and numbers of space groups give centring and Laue group; a basis may lower the symmetry of a lattice
START_TEST(space_groups)
{
    static const struct {
        const char *name;
        double cell[6];
        char centring;
        int order;
    } groups[] = {
        {"Fm-3m", {4, 4, 4, 90, 90, 90}, 'F', 48},    {"225", {4, 4, 4, 90, 90, 90}, 'F', 48},
        {"F m -3 m", {4, 4, 4, 90, 90, 90}, 'F', 48}, {"F-43m", {4, 4, 4, 90, 90, 90}, 'F', 48},
        {"Im-3m", {3, 3, 3, 90, 90, 90}, 'I', 48},    {"Pa-3", {5, 5, 5, 90, 90, 90}, 'P', 24},
        {"R-3m", {4, 4, 12, 90, 90, 120}, 'R', 12},   {"P6_3/mmc", {3, 3, 5, 90, 90, 120}, 'P', 24},
        {"P2_1/c", {4, 6, 9, 90, 125, 90}, 'P', 4},   {"148", {4, 4, 12, 90, 90, 120}, 'R', 6},
    };
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        xn_lattice l;
        ck_assert(xn_lattice_set_cell(groups[i].cell, 'P', &l));
        ck_assert_int_eq(xn_lattice_set_group(groups[i].name, &l), XN_GROUP_OK);
        ck_assert_int_eq(l.centring, groups[i].centring);
        ck_assert_int_eq(l.n_sym, groups[i].order);
    }
    xn_lattice l;
    xn_lattice_set_cell(groups[8].cell, 'P', &l);
    ck_assert_int_eq(xn_lattice_set_group("Fm-3m", &l), XN_GROUP_MISFIT);
    ck_assert_int_eq(xn_lattice_set_group("231", &l), XN_GROUP_UNKNOWN);
    ck_assert_int_eq(xn_lattice_set_group("Fm3x", &l), XN_GROUP_UNKNOWN);
    ck_assert(!xn_lattice_set_cell(groups[8].cell, 'R', &l)); // of hexagonal axes; a rhombohedral cell is primitive
    // an atom off the inversion centre along z only: 4/mmm of a cubic cell
    xn_lattice_set_cell(cubic, 'P', &l);
    l.n_basis = 2;
    memcpy(l.element[0], "Ba", 3);
    memcpy(l.element[1], "Ti", 3);
    l.position[1][0] = l.position[1][1] = .5, l.position[1][2] = .53;
    ck_assert_int_eq(xn_lattice_find_symmetry(NULL, &l), XANI_OK);
    ck_assert_int_eq(l.n_sym, 16);
}
END_TEST

// A group with two origins: named, each has its own atoms; left open, the one in which the positions are special.
START_TEST(origins)
{
    static const char form[] = "map: {crystal: {cell: [5, 5, 5, 90, 90, 90], space_group: '%s', basis: [{element: Ge, "
                               "position: [%g, %g, %g]}]}}\n";
    static const struct {
        const char *name;
        double at;
        int atoms;
    } rows[] = {{"227:1", 0.125, 4}, {"227:2", 0.125, 2}, {"227", 0.125, 2}, {"Fd-3m", 0.125, 2}, {"Fd-3m:1", 0.125, 4},
                {"227:1", 0, 2},     {"227:2", 0, 4},     {"227", 0, 2},     {"225", 0, 1}};
    for (int i = 0; i < (int)(sizeof rows / sizeof rows[0]); i++) {
        char text[400];
        xn_config *config;
        xn_lattice l;
        snprintf(text, sizeof text, form, rows[i].name, rows[i].at, rows[i].at, rows[i].at);
        ck_assert_int_eq(xn_config_parse(NULL, text, "t.yaml", ".", &config), XANI_OK);
        ck_assert_int_eq(xn_lattice_load(NULL, config, false, &l), XANI_OK);
        ck_assert_msg(xn_lattice_atoms(&l) == rows[i].atoms && l.n_sym == 48, "%s, %g: %d atoms", rows[i].name,
                      rows[i].at, xn_lattice_atoms(&l));
        xani_config_destroy(&config);
    }
    xn_lattice l;
    xn_lattice_set_cell(cubic, 'P', &l);
    ck_assert_int_eq(xn_lattice_set_group("227:3", &l), XN_GROUP_UNKNOWN);
    ck_assert_int_eq(xn_lattice_set_group("225:2", &l), XN_GROUP_UNKNOWN);
}
END_TEST

// How far a point lies inside the zone: 0 on its boundary, below 0 outside.
static double slack_of(const xn_lattice *l, const double hkl[3])
{
    int g[3];
    double q[3], slack = INFINITY;
    xn_lattice_fold(l, hkl, g, q);
    for (int v = 0; v < l->n_voronoi; v++) {
        double dot = q[0] * l->voronoi[v][0] + q[1] * l->voronoi[v][1] + q[2] * l->voronoi[v][2];
        slack = fmin(slack, l->voronoi_sq[v] / 2 - dot);
    }
    return slack;
}

// The names any lattice has, and cells of every form of zone with how many of them it has.
static const char *const names[] = {"A",  "A1", "B",  "B1", "C",  "C1", "D", "D1", "E",  "F",  "F1",    "F2",
                                    "F3", "H",  "H1", "H2", "I",  "I1", "K", "L",  "L1", "L2", "M",     "M1",
                                    "M2", "N",  "N1", "P",  "P1", "P2", "Q", "Q1", "R",  "S",  "Sigma", "Sigma1",
                                    "T",  "U",  "W",  "X",  "X1", "X2", "Y", "Y1", "Y2", "Y3", "Z",     "Z1"};
static const struct {
    double cell[6];
    char centring;
    int points;
} zones[] = {
    {{4, 4, 4, 90, 90, 90}, 'F', 5},     {{4, 4, 4, 90, 90, 90}, 'I', 3},    {{4, 4, 4, 90, 90, 90}, 'P', 3},
    {{4, 4, 5, 90, 90, 90}, 'P', 5},     {{4, 4, 3, 90, 90, 90}, 'I', 6},    {{4, 4, 7, 90, 90, 90}, 'I', 8},
    {{3, 5, 7, 90, 90, 90}, 'P', 7},     {{3, 5, 7, 90, 90, 90}, 'F', 8},    {{7, 5, 6, 90, 90, 90}, 'F', 10},
    {{7, 3, 5, 90, 90, 90}, 'I', 12},    {{5, 3, 7, 90, 90, 90}, 'C', 9},    {{5, 3, 7, 90, 90, 90}, 'A', 9},
    {{3, 5, 7, 90, 90, 90}, 'B', 9},     {{4, 4, 6, 90, 90, 120}, 'P', 5},   {{4, 4, 9, 90, 90, 120}, 'R', 12},
    {{4, 4, 4.2, 90, 90, 120}, 'R', 7},  {{4, 5, 6, 90, 100, 90}, 'P', 15},  {{4, 5, 6, 80, 100, 110}, 'P', 7},
    {{4, 5, 6, 62, 71, 80}, 'P', 7},     {{4, 5, 6, 90, 90, 100}, 'F', 0},   {{4, 4, 4, 70, 70, 70}, 'P', 12},
    {{4, 4, 4, 70, 70, 70}, 'R', 12},    {{4, 4, 4, 104, 104, 104}, 'P', 7}, {{6, 4, 4.5, 90, 104, 90}, 'C', 16},
    {{6, 7, 4.5, 90, 104, 90}, 'C', 18}, {{5, 7, 6, 90, 104, 90}, 'C', 16},  {{9, 4.5, 5, 90, 87, 90}, 'A', 16},
    {{5, 6, 7, 90, 95, 90}, 'B', 15},    {{5, 9, 7, 110, 90, 90}, 'I', 16},  {{5, 3.1, 7, 90, 125, 90}, 'P', 15},
    {{3, 5, 9, 90, 90, 35}, 'P', 15},    {{5, 6, 7, 90, 90, 90}, 'F', 10},   {{4, 4, 4.89, 90, 90, 120}, 'R', 7},
    {{3, 5, 5, 90, 90, 90}, 'I', 6},     {{4, 7, 4, 90, 90, 90}, 'I', 8},    {{5, 3, 3, 90, 90, 90}, 'F', 8},
    {{3, 5, 3, 90, 90, 90}, 'F', 8},     {{3, 5, 5, 90, 90, 90}, 'F', 6},    {{3, 5, 5, 90, 90, 90}, 'A', 5},
    {{5, 3, 5, 90, 90, 90}, 'B', 5},     {{5, 5, 3, 90, 90, 90}, 'A', 9},    {{4, 4, 4, 90, 90, 90}, 'C', 5},
    {{5, 3, 3, 90, 90, 90}, 'P', 5},     {{4, 4, 6, 90, 90, 60}, 'P', 5},    {{6, 4, 4, 120, 90, 90}, 'P', 5},
    {{4, 6, 4, 90, 60, 90}, 'P', 5}};

START_TEST(labels)
{
    // Every named point lies on the boundary of the zone; every name of the default path is known; zones have the
    // points of the article (Setyawan and Curtarolo 2010).
    xn_lattice l;
    double hkl[3];
    int n = 0;
    ck_assert_int_eq(xn_lattice_make(NULL, zones[_i].cell, zones[_i].centring, &l), XANI_OK);
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (!xn_lattice_label(&l, names[k], hkl)) continue;
        n++;
        ck_assert_msg(fabs(slack_of(&l, hkl)) < 1e-9, "%s = (%g %g %g) is %g off the boundary", names[k], hkl[0],
                      hkl[1], hkl[2], slack_of(&l, hkl));
    }
    ck_assert_int_eq(n, zones[_i].points);
    const char *path = xn_lattice_default_path(&l);
    ck_assert(path == NULL || n > 0);
    char copy[128], *save = NULL;
    snprintf(copy, sizeof copy, "%s", path != NULL ? path : "G");
    for (char *name = strtok_r(copy, " ", &save); name != NULL; name = strtok_r(NULL, " ", &save))
        ck_assert_msg(xn_lattice_label(&l, name, hkl), "%s", name);
    ck_assert(xn_lattice_label(&l, "\xce\x93", hkl) && slack_of(&l, hkl) > 0);
    ck_assert(!xn_lattice_label(&l, "nowhere", hkl));
}
END_TEST

START_TEST(label_axes)
{
    // The order of the given axes does not matter: the same point of the same crystal, its indices permuted.
    static const double cells[2][6] = {{3, 5, 7, 90, 90, 90}, {7, 3, 5, 90, 90, 90}};
    static const int axis[3] = {1, 2, 0}; // of the second cell
    static const char *const some[] = {"X", "X1", "L", "Y1"};
    for (int k = 0; k < 4; k++) {
        xn_lattice l;
        double hkl[2][3];
        for (int c = 0; c < 2; c++) {
            ck_assert_int_eq(xn_lattice_make(NULL, cells[c], 'I', &l), XANI_OK);
            ck_assert(xn_lattice_label(&l, some[k], hkl[c]));
        }
        for (int i = 0; i < 3; i++) ck_assert_double_eq_tol(hkl[0][i], hkl[1][axis[i]], 1e-12);
    }
}
END_TEST

// One crystal each in axes of another order, of another angle, or of twice the square: the same points.
static const struct {
    double cell[2][6];
    char centring[2];
} alike[] = {{{{4, 4, 7, 90, 90, 90}, {7, 4, 4, 90, 90, 90}}, {'I', 'I'}},
             {{{4, 4, 3, 90, 90, 90}, {4, 3, 4, 90, 90, 90}}, {'I', 'I'}},
             {{{4, 4, 5, 90, 90, 90}, {4, 5, 4, 90, 90, 90}}, {'P', 'P'}},
             {{{4, 4, 5, 90, 90, 90}, {5, 4 * M_SQRT2, 4 * M_SQRT2, 90, 90, 90}}, {'P', 'A'}},
             {{{4, 4, 7, 90, 90, 90}, {4 * M_SQRT2, 7, 4 * M_SQRT2, 90, 90, 90}}, {'I', 'F'}},
             {{{4, 4, 3, 90, 90, 90}, {4 * M_SQRT2, 4 * M_SQRT2, 3, 90, 90, 90}}, {'I', 'F'}},
             {{{4, 4, 6, 90, 90, 120}, {4, 4, 6, 90, 90, 60}}, {'P', 'P'}},
             {{{4, 4, 6, 90, 90, 120}, {6, 4, 4, 120, 90, 90}}, {'P', 'P'}},
             {{{4, 4, 6, 90, 90, 120}, {4, 6, 4, 90, 60, 90}}, {'P', 'P'}}};

START_TEST(label_alike)
{
    xn_lattice l[2];
    int n = 0;
    for (int c = 0; c < 2; c++)
        ck_assert_int_eq(xn_lattice_make(NULL, alike[_i].cell[c], alike[_i].centring[c], &l[c]), XANI_OK);
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        double length[2];
        for (int c = 0; c < 2; c++) {
            double hkl[3] = {0}, q[3];
            bool there = xn_lattice_label(&l[c], names[k], hkl);
            xn_lattice_cartesian(&l[c], hkl, q);
            length[c] = there ? sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]) : -1;
            n += there;
        }
        ck_assert_msg(fabs(length[0] - length[1]) < 1e-9, "%s: %g and %g", names[k], length[0], length[1]);
    }
    ck_assert_int_ge(n, 10);
    ck_assert_str_eq(xn_lattice_default_path(&l[0]), xn_lattice_default_path(&l[1]));
}
END_TEST

START_TEST(label_settings)
{
    // One monoclinic crystal in three settings: C centred; I centred with a' = a + c; its axes renamed, c first.
    double cosine = cos(108 * M_PI / 180), sum = sqrt(49 + 25 + 2 * 35 * cosine);
    double beta = acos((35 * cosine + 25) / (5 * sum)) * 180 / M_PI;
    const double cells[3][6] = {{7, 4, 5, 90, 108, 90}, {sum, 4, 5, 90, beta, 90}, {5, 7, 4, 90, 90, 108}};
    static const char centring[3] = {'C', 'I', 'A'};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        double length[3];
        for (int c = 0; c < 3; c++) {
            xn_lattice l;
            double hkl[3] = {0}, q[3];
            ck_assert_int_eq(xn_lattice_make(NULL, cells[c], centring[c], &l), XANI_OK);
            bool there = xn_lattice_label(&l, names[k], hkl);
            xn_lattice_cartesian(&l, hkl, q);
            length[c] = there ? sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2]) : -1;
            ck_assert_double_eq_tol(length[c], length[0], 1e-9);
        }
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, b_matrix);
    tcase_add_test(t, goniometer);
    tcase_add_loop_test(t, fold_brute_force, 0, LATTICES);
    tcase_add_loop_test(t, fold_many, 0, LATTICES);
    tcase_add_test(t, fold_ties);
    tcase_add_loop_test(t, zone_box, 0, LATTICES);
    tcase_add_loop_test(t, symmetry, 0, LATTICES);
    tcase_add_test(t, space_groups);
    tcase_add_test(t, origins);
    tcase_add_loop_test(t, labels, 0, (int)(sizeof zones / sizeof zones[0]));
    tcase_add_test(t, label_axes);
    tcase_add_loop_test(t, label_alike, 0, (int)(sizeof alike / sizeof alike[0]));
    tcase_add_test(t, label_settings);
}

XN_TEST_MAIN("lattice", add)
