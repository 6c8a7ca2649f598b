// SPDX-License-Identifier: BSD-3-Clause
// test_result_modes.c -- modes.h5 and dispersion.h5: modes survive writing and reading bit for bit; columns,
// axes and attributes are those of the contract, also with no mode and no point; damage is named.
#include "no_memory.h"
#include "result_common.h"

static xn_ctx *ctx;
static xn_modes modes, back;
static xn_dispersion disp;
static char path[600];

static void ok(xani_status st) { ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx)); }

static void set_up(void)
{
    xn_rng_init(&rng, 21, 1);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(path, sizeof path, "%s/result.h5", xn_test_dir("result-modes"));
    unlink(path);
}

static void tear_down(void)
{
    xn_modes_free(&modes);
    xn_modes_free(&back);
    xn_dispersion_free(&disp);
    xani_destroy(&ctx);
}

static void fill(float *p, size_t n)
{
    float *v = random_f32(n);
    memcpy(p, v, n * sizeof *p);
    xn_free(v);
}

static void make_modes(int n_modes, int n_background, int64_t ny, int64_t nx)
{
    ok(xn_modes_alloc(ctx, n_modes, n_background, ny, nx, &modes));
    size_t plane = (size_t)(ny * nx), all = plane * (size_t)n_modes;
    float *planes[] = {modes.frequency,   modes.frequency_errors, modes.amplitude, modes.amplitude_errors,
                       modes.phase,       modes.phase_errors,     modes.damping,   modes.damping_errors,
                       modes.significance};
    for (size_t i = 0; i < sizeof planes / sizeof planes[0]; i++) fill(planes[i], all);
    fill(modes.chi2_reduced, plane);
    fill(modes.background, plane * (size_t)n_background);
    for (size_t i = 0; i < plane; i++) {
        modes.count[i] = (uint8_t)(n_modes ? i % (size_t)(n_modes + 1) : 0);
        modes.status[i] = (uint8_t)(i % 6);
    }
    modes.spatial_bin = 4;
    modes.n_modules = 1;
    modes.module_rows = xn_alloc(1, sizeof(int64_t));
    modes.module_rows[0] = ny;
    modes.errors_counting = true;
    modes.delay_lo_ps = -0.25;
    modes.delay_hi_ps = 9.95;
    modes.step_ps = NAN;
    modes.band_thz[0] = 0.1;
    modes.band_thz[1] = 9.5;
    modes.n_delays = 205;
    modes.threshold = 25.25;
    modes.false_alarm = 0.004;
    modes.kernels = xn_strdup("avx512");
    modes.run = xn_strdup("phi 12.5");
    modes.n_angles = 2;
    modes.angles_deg[0] = 12.5;
    modes.angles_deg[1] = -1;
}

static void same_modes(const xn_modes *a, const xn_modes *b)
{
    size_t plane = (size_t)(a->ny * a->nx), all = 4 * plane * (size_t)a->n_modes;
    ck_assert(a->n_modes == b->n_modes && a->n_background == b->n_background && a->ny == b->ny && a->nx == b->nx);
    ck_assert(a->spatial_bin == b->spatial_bin && a->n_modules == b->n_modules && a->n_delays == b->n_delays);
    same_bits(a->module_rows, b->module_rows, 8 * (size_t)a->n_modules, "module_rows");
    same_bits(a->frequency, b->frequency, all, "frequency");
    same_bits(a->frequency_errors, b->frequency_errors, all, "frequency_errors");
    same_bits(a->amplitude, b->amplitude, all, "amplitude");
    same_bits(a->amplitude_errors, b->amplitude_errors, all, "amplitude_errors");
    same_bits(a->phase, b->phase, all, "phase");
    same_bits(a->phase_errors, b->phase_errors, all, "phase_errors");
    same_bits(a->damping, b->damping, all, "damping");
    same_bits(a->damping_errors, b->damping_errors, all, "damping_errors");
    same_bits(a->significance, b->significance, all, "significance");
    same_bits(a->count, b->count, plane, "n_modes");
    same_bits(a->status, b->status, plane, "fit_status");
    same_bits(a->chi2_reduced, b->chi2_reduced, 4 * plane, "chi2_reduced");
    same_bits(a->background, b->background, 4 * plane * (size_t)a->n_background, "background");
    ck_assert(a->errors_counting == b->errors_counting && a->n_angles == b->n_angles);
    same_bits(&a->delay_lo_ps, &b->delay_lo_ps, 3 * sizeof(double), "delays");
    same_bits(a->band_thz, b->band_thz, sizeof a->band_thz, "band");
    same_bits(&a->threshold, &b->threshold, 2 * sizeof(double), "threshold");
    same_bits(a->angles_deg, b->angles_deg, 8 * (size_t)a->n_angles, "angles");
    ck_assert_str_eq(a->kernels, b->kernels);
    ck_assert_str_eq(a->run, b->run);
}

START_TEST(test_modes_round_trip)
{
    // All planes and how they were made come back bit for bit, for none to four modes, no or four background columns.
    static const int sizes[][4] = {{0, 1, 3, 4}, {1, 0, 1, 1}, {3, 3, 17, 21}, {4, 4, 40, 33}};
    for (int i = 0; i < 4; i++) {
        make_modes(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
        ok(xn_result_write_modes(ctx, path, &modes, NULL));
        ok(xn_result_read_modes(ctx, path, &back));
        same_modes(&modes, &back);
        hid_t file = open_result(path);
        check_default(file, "/entry/modes");
        H5Fclose(file);
        xn_modes_free(&modes);
        xn_modes_free(&back);
    }
}
END_TEST

START_TEST(test_modes_attributes)
{
    // Units, the source of the errors, and the names of fit_status stand in attributes; auxiliary signals exist.
    char text[128], other[256];
    int count;
    bool numeric;
    hsize_t dims[8];
    make_modes(2, 1, 5, 6);
    modes.errors_counting = false;
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    hid_t file = open_result(path);
    static const char *const units[][2] = {{"frequency", "THz"}, {"phase", "rad"}, {"damping", "1/ps"}};
    for (int i = 0; i < 3; i++) {
        snprintf(other, sizeof other, "/entry/modes/%s", units[i][0]);
        attribute(file, other, "units", 0, text, &count);
        ck_assert_str_eq(text, units[i][1]);
    }
    attribute(file, "/entry/modes", "errors_from", 0, text, &count);
    ck_assert_str_eq(text, "residual");
    for (int i = 0; i < 4; i++) {
        attribute(file, "/entry/modes", "auxiliary_signals", i, text, &count);
        snprintf(other, sizeof other, "/entry/modes/%s", text);
        ck_assert_int_eq(shape_of(file, other, dims, &numeric), 3);
    }
    attribute(file, "/entry/fit_status", "names", XN_FIT_AT_BOUND, text, &count);
    ck_assert_int_eq(count, 6);
    ck_assert_str_eq(text, "at a bound");
    H5Fclose(file);
}
END_TEST

static void refused(const char *object)
{
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_result_read_modes(ctx, path, &back), XANI_ERR_INPUT);
    const char *text = xani_error_text(ctx);
    ck_assert_msg(strstr(text, "result.h5") && strstr(text, object), "text: %s; wanted: %s", text, object);
    ck_assert_ptr_null(back.frequency);
}

START_TEST(test_modes_damage)
{
    // Missing or misshapen datasets and impossible counts are refused, naming file and dataset.
    static const char *const needed[] = {"/entry/modes/frequency", "/entry/modes/phase_errors", "/entry/n_modes",
                                         "/entry/fit_status",      "/entry/background",         "/entry/spatial_bin"};
    static const char *const others[] = {"/entry/fit", "/entry/run", "/entry/angle_deg"}; // not the contract's
    make_modes(2, 1, 5, 6);
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) remove_object(path, others[i]);
    ok(xn_result_read_modes(ctx, path, &back));
    ck_assert(isnan(back.threshold) && isnan(back.step_ps) && back.n_angles == 0 && back.frequency != NULL);
    xn_modes_free(&back);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        ok(xn_result_write_modes(ctx, path, &modes, NULL));
        remove_object(path, needed[i]);
        refused(needed[i]);
    }
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    replace_object(path, "/entry/modes/damping", 3, (hsize_t[]){2, 5, 6});
    refused("/entry/modes/damping");
    modes.count[3] = 3;
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    refused("/entry/n_modes");
    modes.count[3] = 1;
    modes.module_rows[0] = 6;
    ok(xn_result_write_modes(ctx, path, &modes, NULL));
    refused("/entry/module_rows");
    modes.n_modes = 5;
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_result_write_modes(ctx, path, &modes, NULL), XANI_ERR_INTERNAL);
}
END_TEST

static void make_points(xn_points *p, int64_t n)
{
    size_t s = (size_t)n;
    *p = (xn_points){.n = n, .capacity = n};
    if (n == 0) return; // as the map leaves them: no arrays at all
    p->hkl = random_f64(3 * s);
    p->g = random_bytes(3 * s, 4);
    p->q = random_f64(3 * s);
    p->frequency = ascending(s, 0);
    p->frequency_errors = random_f64(s);
    p->amplitude = random_f64(s);
    p->amplitude_errors = random_f64(s);
    p->coherent = xn_calloc(s, 1);
    p->branch = random_bytes(s, 4);
    p->pixel = random_bytes(2 * s, 4);
    p->run = xn_calloc(s, 4);
    p->weight = random_f64(s);
    p->alias = xn_calloc(s, 1);
    for (int64_t i = 0; i < n; i++) {
        p->coherent[i] = i % 3 == 0;
        p->run[i] = (int32_t)(i % 2);
    }
}

static void make_dispersion(int64_t n, int64_t n_combinations, int64_t path_n, int branches)
{
    memset(&disp, 0, sizeof disp);
    make_points(&disp.points, n);
    make_points(&disp.combinations, n_combinations);
    disp.n_runs = 2;
    disp.run_names = xn_calloc(2, sizeof(char *));
    disp.run_names[0] = xn_strdup("first");
    disp.run_names[1] = xn_strdup("second \xc2\xb0");
    disp.n_angles = 2;
    disp.run_angles = ascending(4, 10);
    size_t voxels = 1;
    for (int i = 0; i < 4; i++) {
        disp.shape[i] = 3 + i;
        disp.axis[i] = ascending((size_t)disp.shape[i], -1);
        if (i < 3) voxels *= (size_t)disp.shape[i];
    }
    disp.intensity = random_f32(voxels * (size_t)disp.shape[3]);
    disp.coverage = random_bytes(voxels, 4);
    size_t steps = (size_t)path_n, b = (size_t)branches;
    disp.path_n = path_n;
    disp.path_nf = 7;
    disp.path_frequency = ascending(7, 0);
    if (path_n > 0) {
        disp.n_labels = 2;
        disp.labels = xn_calloc(2, sizeof *disp.labels);
        snprintf(disp.labels[0].name, sizeof disp.labels[0].name, "\xce\x93");
        snprintf(disp.labels[1].name, sizeof disp.labels[1].name, "X");
        disp.labels[1].hkl[0] = 1;
        disp.label_distance = ascending(2, 0);
        disp.path_distance = ascending(steps, 0);
        disp.path_hkl = random_f64(3 * steps);
        disp.path_intensity = random_f32(7 * steps);
    }
    disp.n_branches = branches;
    disp.branch_frequency = random_f64(b * steps);
    disp.branch_errors = random_f64(b * steps);
    disp.branch_count = random_bytes(b * steps, 4);
    disp.tube_inv_ang = 0.05;
    disp.nyquist_thz = 10;
    disp.crystal_max_thz = NAN;
}

static void expect_f64(const xn_h5 *h5, const char *dataset, const double *want, int64_t n)
{
    double *v;
    int64_t got;
    ok(xn_h5_read_f64(ctx, h5, dataset, &v, &got));
    ck_assert_msg(got == n, "%s has %lld", dataset, (long long)got);
    same_bits(v, want ? want : v, 8 * (size_t)n, dataset);
    xn_free(v);
}

static void expect_i32(const xn_h5 *h5, const char *dataset, const int32_t *want, int64_t n)
{
    int64_t *v, got;
    ok(xn_h5_read_i64(ctx, h5, dataset, &v, &got));
    ck_assert_msg(got == n, "%s has %lld", dataset, (long long)got);
    for (int64_t i = 0; i < n; i++) ck_assert_msg(v[i] == want[i], "%s[%lld]", dataset, (long long)i);
    xn_free(v);
}

static void check_group(const xn_h5 *h5, const char *group, const xn_points *p)
{
    char name[128];
    char **text;
    double *angle;
    int64_t n;
#define IN(column) (snprintf(name, sizeof name, "%s/" column, group), name)
    expect_f64(h5, IN("hkl"), p->hkl, 3 * p->n);
    expect_f64(h5, IN("q"), p->q, 3 * p->n);
    expect_f64(h5, IN("frequency"), p->frequency, p->n);
    expect_f64(h5, IN("frequency_errors"), p->frequency_errors, p->n);
    expect_f64(h5, IN("amplitude"), p->amplitude, p->n);
    expect_f64(h5, IN("amplitude_errors"), p->amplitude_errors, p->n);
    expect_f64(h5, IN("weight"), p->weight, p->n);
    expect_i32(h5, IN("G"), p->g, 3 * p->n);
    expect_i32(h5, IN("branch"), p->branch, p->n);
    expect_i32(h5, IN("pixel"), p->pixel, 2 * p->n);
    ok(xn_h5_read_strings(ctx, h5, IN("kind"), &text, &n));
    ck_assert_int_eq(n, p->n);
    for (int64_t i = 0; i < n; i++) ck_assert_str_eq(text[i], p->coherent[i] ? "coherent" : "pair");
    xn_h5_names_free(text);
    ok(xn_h5_read_strings(ctx, h5, IN("run"), &text, &n));
    ck_assert_int_eq(n, p->n);
    for (int64_t i = 0; i < n; i++) ck_assert_str_eq(text[i], disp.run_names[p->run[i]]);
    xn_h5_names_free(text);
    ok(xn_h5_read_f64(ctx, h5, IN("angle_deg"), &angle, &n));
    ck_assert_int_eq(n, 2 * p->n);
    for (int64_t i = 0; i < n; i++) ck_assert_double_eq(angle[i], disp.run_angles[2 * p->run[i / 2] + i % 2]);
    xn_free(angle);
#undef IN
}

START_TEST(test_dispersion)
{
    // Columns hold the points; volume, path and branches follow the NXdata rules; all of it also with nothing found.
    static const int sizes[][4] = {{1000, 7, 11, 3}, {5, 0, 11, 0}, {0, 0, 0, 0}};
    for (int i = 0; i < 3; i++) {
        make_dispersion(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
        ok(xn_result_write_dispersion(ctx, path, &disp, NULL));
        hid_t file = open_result(path);
        check_default(file, disp.path_n > 0 ? "/entry/path" : "/entry/volume");
        check_nxdata(file, "/entry/volume");
        check_nxdata(file, "/entry/path");
        check_nxdata(file, "/entry/branches");
        char text[128];
        int count;
        if (disp.path_n > 0) {
            attribute(file, "/entry/path", "labels", 0, text, &count);
            ck_assert_int_eq(count, 2);
            ck_assert_str_eq(text, "\xce\x93");
        }
        H5Fclose(file);
        xn_h5 *h5;
        ok(xn_h5_open(ctx, path, &h5));
        check_group(h5, "/entry/points", &disp.points);
        check_group(h5, "/entry/combination_points", &disp.combinations);
        expect_f64(h5, "/entry/branches/frequency", disp.branch_frequency, disp.n_branches * disp.path_n);
        expect_f64(h5, "/entry/branches/hkl", disp.path_hkl, 3 * disp.path_n);
        expect_f64(h5, "/entry/volume/l", disp.axis[2], disp.shape[2]);
        if (disp.path_n > 0) expect_f64(h5, "/entry/path_labels/distance", disp.label_distance, disp.n_labels);
        ck_assert_int_eq(xn_h5_exists(h5, "/entry/path_labels/name"), disp.path_n > 0);
        xn_h5_close(&h5);
        xn_dispersion_free(&disp);
    }
    make_dispersion(3, 0, 4, 1);
    disp.points.run[1] = 2;
    ck_assert_int_eq(xn_result_write_dispersion(ctx, path, &disp, NULL), XANI_ERR_INTERNAL);
}
END_TEST

// The status says so, or the text does (an allocation of the manifest's writer is an output error).
static bool says_memory(xani_status st)
{
    return st == XANI_ERR_MEMORY || strstr(xani_error_text(ctx), "Cannot allocate memory") != NULL;
}

START_TEST(test_memory)
{
    // Whichever allocation fails while writing or reading, either it is reported and nothing is published or kept, or
    // it was one that can be done without (HDF5 tries to open a file before it makes one; old temporaries are looked
    // for).
    make_modes(2, 1, 3, 4);
    make_dispersion(6, 2, 5, 2);
    for (int kind = 0; kind < 3; kind++) {
        no_memory n = NO_MEMORY;
        int tried = 0, excused = 0;
        for (;; no_memory_next(&n), tried++) {
            if (kind < 2) unlink(path);
            no_memory_begin(&n);
            xani_status st = kind == 0   ? xn_result_write_dispersion(ctx, path, &disp, NULL)
                             : kind == 1 ? xn_result_write_modes(ctx, path, &modes, NULL)
                                         : xn_result_read_modes(ctx, path, &back);
            no_memory_end();
            if (!n.reached) {
                ck_assert_int_eq(st, XANI_OK);
                break;
            }
            ck_assert(st != XANI_OK || xn_test_exists(path));
            if (st == XANI_OK) {
                excused++;
                if (kind == 2) xn_modes_free(&back);
                continue;
            }
            ck_assert_msg(says_memory(st), "allocation %d: %s", (int)n.at, xani_error_text(ctx));
            ck_assert(kind == 2 || !xn_test_exists(path));
            xn_clear_error(ctx);
        }
        ck_assert_int_gt(tried, 10);
        ck_assert_int_lt(excused, tried / 2);
    }
    same_modes(&modes, &back);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_modes_round_trip);
    tcase_add_test(t, test_modes_attributes);
    tcase_add_test(t, test_modes_damage);
    tcase_add_test(t, test_dispersion);
    tcase_add_test(t, test_memory);
}

XN_TEST_MAIN("result: modes, dispersion", add)
