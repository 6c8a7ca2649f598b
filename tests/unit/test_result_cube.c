// SPDX-License-Identifier: BSD-3-Clause
// test_result_cube.c -- cube.h5 and the field's cubes: every bit of a cube survives writing and reading,
// files follow the NXdata rules, damage gives one line naming file and dataset, memory may run out anywhere.
#include "no_memory.h"
#include "result_common.h"

static xn_ctx *ctx;
static xn_cube cube, back;
static char path[600];

static int64_t *random_i64(size_t n) { return random_bytes(n, sizeof(int64_t)); }

static xn_sums random_sums(int nbins, int64_t npix)
{
    size_t b = (size_t)nbins, n = b * (size_t)npix;
    xn_sums s = {.nbins = nbins, .npix = npix};
    s.shots = random_i64(b);
    s.i0_sum = random_i64(b);
    s.i0_sq_sum = random_i64(b);
    s.delay_sum = random_i64(b);
    s.delay_sq_sum = random_i64(b);
    s.s1 = random_i64(n);
    s.s2 = random_i64(n);
    s.x = random_i64(n);
    return s;
}

static void random_shots(xn_shots *s, int64_t n, int extras)
{
    ck_assert_int_eq(xn_shots_alloc(ctx, n, extras, s), XANI_OK);
    for (int64_t i = 0; i < n; i++) {
        s->pulse_id[i] = UINT64_MAX - (uint64_t)(n - i);
        s->frame[i] = (int64_t)xn_rng_u32(&rng) << 20;
        s->laser[i] = (uint8_t)(i % 3);
        s->i0[i] = xn_rng_normal(&rng);
        s->delay_ps[i] = i % 3 == 1 ? xn_rng_normal(&rng) : NAN;
        s->bin[i] = (int32_t)(i % 5) - 1;
        s->verdict[i] = (uint8_t)(i % 12);
    }
    static const char *const names[] = {"SARES20-CVME:TT/ampl", "a b\xc3\xa4", "/tt/AMPL"};
    for (int k = 0; k < extras; k++) {
        s->extra_name[k] = xn_strdup(names[k]);
        xn_free(s->extra[k]);
        s->extra[k] = random_f64((size_t)n);
    }
    s->missing = 3;
    s->duplicate = INT64_C(5000000000);
    s->unmatched = 7;
    s->time_resolution_ps = 0.025;
}

// Shots with integer sums, or what comes from binned input.
static void make_cube(int nbins, int64_t ny, int64_t nx, bool binned)
{
    size_t n = (size_t)nbins, plane = (size_t)(ny * nx);
    memset(&cube, 0, sizeof cube);
    cube.nbins = nbins;
    cube.ny = ny;
    cube.nx = nx;
    cube.spatial_bin = 3;
    cube.n_modules = 2;
    cube.module_rows = xn_alloc(2, sizeof(int64_t));
    cube.module_rows[0] = ny / 3;
    cube.module_rows[1] = ny - ny / 3;
    cube.delay_ps = ascending(n, -1);
    cube.weight = random_f64(n);
    for (size_t i = 0; i < n; i++) cube.weight[i] = fabs(cube.weight[i]);
    cube.signal = random_f32(n * plane);
    cube.errors = random_f32(n * plane);
    cube.mask = random_bytes(plane, sizeof(uint32_t));
    cube.errors_counting = !binned;
    cube.time_resolution_ps = binned ? NAN : 0.031;
    cube.run = xn_strdup(binned ? "" : "r0042");
    cube.n_angles = binned ? 0 : 8;
    for (int i = 0; i < cube.n_angles; i++) cube.angles_deg[i] = 1.5 * i - 0.1;
    cube.i0_scale = binned ? 1 : 4096;
    if (binned) {
        cube.on_float = random_f64(n * plane);
        cube.off_float = random_f64(plane);
        cube.on_i0 = random_f64(n);
        cube.on_count = random_f64(n);
        cube.off_i0 = 12345.678;
        cube.off_count = 99;
        cube.shots.time_resolution_ps = NAN;
        return;
    }
    cube.edges_ps = ascending(n + 1, -1.02);
    cube.mean_frame = random_f32(plane);
    cube.on = random_sums(nbins, ny * nx);
    cube.off = random_sums(1, ny * nx);
    random_shots(&cube.shots, 40, 3);
    ck_assert_int_eq(xn_cutflow_add(ctx, &cube.cutflow, "seen", 1000, 900, 80), XANI_OK);
    ck_assert_int_eq(xn_cutflow_add(ctx, &cube.cutflow, "join", 990, 890, 70), XANI_OK);
    ck_assert_int_eq(xn_cutflow_add(ctx, &cube.cutflow, "I0 (\xc2\xb5J)", 900, 800, 0), XANI_OK);
}

static void set_up(void)
{
    xn_rng_init(&rng, 20, 1);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(path, sizeof path, "%s/cube.h5", xn_test_dir("result-cube"));
    unlink(path);
}

static void tear_down(void)
{
    xn_cube_free(&cube);
    xn_cube_free(&back);
    xani_destroy(&ctx);
}

static void same_sums(const xn_sums *a, const xn_sums *b)
{
    size_t bins = (size_t)a->nbins * sizeof(int64_t), all = bins * (size_t)a->npix;
    ck_assert_int_eq(a->nbins, b->nbins);
    ck_assert_int_eq(a->npix, b->npix);
    same_bits(a->shots, b->shots, bins, "shots");
    same_bits(a->i0_sum, b->i0_sum, bins, "i0_sum");
    same_bits(a->i0_sq_sum, b->i0_sq_sum, bins, "i0_sq_sum");
    same_bits(a->delay_sum, b->delay_sum, bins, "delay_sum");
    same_bits(a->delay_sq_sum, b->delay_sq_sum, bins, "delay_sq_sum");
    same_bits(a->s1, b->s1, all, "s1");
    same_bits(a->s2, b->s2, all, "s2");
    same_bits(a->x, b->x, all, "x");
}

static void same_shots(const xn_shots *a, const xn_shots *b)
{
    size_t n = (size_t)a->n;
    ck_assert_int_eq(a->n, b->n);
    if (n > 0) {
        same_bits(a->pulse_id, b->pulse_id, 8 * n, "pulse_id");
        same_bits(a->frame, b->frame, 8 * n, "frame");
        same_bits(a->laser, b->laser, n, "laser");
        same_bits(a->i0, b->i0, 8 * n, "i0");
        same_bits(a->delay_ps, b->delay_ps, 8 * n, "delay");
        same_bits(a->bin, b->bin, 4 * n, "bin");
        same_bits(a->verdict, b->verdict, n, "verdict");
    }
    ck_assert_int_eq(a->n_extra, b->n_extra);
    for (int k = 0; k < a->n_extra; k++) {
        ck_assert_str_eq(a->extra_name[k], b->extra_name[k]);
        same_bits(a->extra[k], b->extra[k], 8 * n, "extra");
    }
    ck_assert_int_eq(a->missing, b->missing);
    ck_assert_int_eq(a->duplicate, b->duplicate);
    ck_assert_int_eq(a->unmatched, b->unmatched);
    same_bits(&a->time_resolution_ps, &b->time_resolution_ps, 8, "time resolution");
}

static void same_cube(const xn_cube *a, const xn_cube *b)
{
    size_t bins = (size_t)a->nbins, plane = (size_t)(a->ny * a->nx);
    ck_assert_int_eq(a->nbins, b->nbins);
    ck_assert_int_eq(a->ny, b->ny);
    ck_assert_int_eq(a->nx, b->nx);
    ck_assert_int_eq(a->spatial_bin, b->spatial_bin);
    ck_assert_int_eq(a->n_modules, b->n_modules);
    same_bits(a->module_rows, b->module_rows, 8 * (size_t)a->n_modules, "module_rows");
    same_bits(a->delay_ps, b->delay_ps, 8 * bins, "delay");
    same_bits(a->edges_ps, b->edges_ps, 8 * (bins + 1), "edges");
    same_bits(a->weight, b->weight, 8 * bins, "weight");
    same_bits(a->signal, b->signal, 4 * bins * plane, "signal");
    same_bits(a->errors, b->errors, 4 * bins * plane, "errors");
    same_bits(a->mask, b->mask, 4 * plane, "mask");
    same_bits(a->mean_frame, b->mean_frame, 4 * plane, "mean_frame");
    same_bits(&a->i0_scale, &b->i0_scale, 8, "i0_scale");
    same_sums(&a->on, &b->on);
    same_sums(&a->off, &b->off);
    same_bits(a->on_float, b->on_float, 8 * bins * plane, "on_float");
    same_bits(a->off_float, b->off_float, 8 * plane, "off_float");
    same_bits(a->on_i0, b->on_i0, 8 * bins, "on_i0");
    same_bits(a->on_count, b->on_count, 8 * bins, "on_count");
    same_bits(&a->off_i0, &b->off_i0, 8, "off_i0");
    same_bits(&a->off_count, &b->off_count, 8, "off_count");
    ck_assert_int_eq(a->errors_counting, b->errors_counting);
    same_bits(&a->time_resolution_ps, &b->time_resolution_ps, 8, "time resolution");
    ck_assert_str_eq(a->run, b->run);
    ck_assert_int_eq(a->n_angles, b->n_angles);
    same_bits(a->angles_deg, b->angles_deg, 8 * (size_t)a->n_angles, "angles");
    same_shots(&a->shots, &b->shots);
    ck_assert_int_eq(a->cutflow.n, b->cutflow.n);
    for (int i = 0; i < a->cutflow.n; i++) {
        ck_assert_str_eq(a->cutflow.name[i], b->cutflow.name[i]);
        ck_assert_int_eq(a->cutflow.on_left[i], b->cutflow.on_left[i]);
        ck_assert_int_eq(a->cutflow.off_left[i], b->cutflow.off_left[i]);
        ck_assert_int_eq(a->cutflow.unknown_left[i], b->cutflow.unknown_left[i]);
    }
}

static void ok(xani_status st) { ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx)); }

START_TEST(test_round_trip)
{
    // A cube of shots, and one of binned input, come back bit for bit, NaN included; also larger than a chunk.
    static const int sizes[][3] = {{1, 3, 1}, {6, 9, 7}, {25, 40, 33}};
    for (int i = 0; i < 3; i++)
        for (int binned = 0; binned < 2; binned++) {
            make_cube(sizes[i][0], sizes[i][1], sizes[i][2], binned);
            ok(xn_result_write_cube(ctx, path, &cube, NULL));
            ok(xn_result_read_cube(ctx, path, &back));
            same_cube(&cube, &back);
            xn_cube_free(&cube);
            xn_cube_free(&back);
        }
}
END_TEST

START_TEST(test_nexus)
{
    // @default leads to /entry/cube; it and the mean frame follow the NXdata rules; traces lie in chunks of 16 x 16
    // pixels.
    make_cube(12, 20, 18, false);
    ok(xn_result_write_cube(ctx, path, &cube, NULL));
    hid_t file = open_result(path);
    check_default(file, "/entry/cube");
    check_nxdata(file, "/entry/mean_frame");
    char text[128];
    int count;
    attribute(file, "/entry/cube", "errors_from", 0, text, &count);
    ck_assert_str_eq(text, "counting");
    attribute(file, "/entry/cube/delay", "units", 0, text, &count);
    ck_assert_str_eq(text, "ps");
    hid_t d = H5Dopen2(file, "/entry/cube/signal", H5P_DEFAULT), plist = H5Dget_create_plist(d);
    hsize_t chunk[3];
    ck_assert_int_eq(H5Pget_chunk(plist, 3, chunk), 3);
    ck_assert(chunk[0] == 12 && chunk[1] == 16 && chunk[2] == 16);
    H5Pclose(plist);
    H5Dclose(d);
    H5Fclose(file);
    // Cuts are the differences of what is left.
    xn_h5 *h5;
    int64_t *cut, n;
    ok(xn_h5_open(ctx, path, &h5));
    ok(xn_h5_read_i64(ctx, h5, "/entry/cut_flow/on_cut", &cut, &n));
    ck_assert(n == 3 && cut[0] == 0 && cut[1] == 10 && cut[2] == 90);
    xn_free(cut);
    xn_h5_close(&h5);
}
END_TEST

START_TEST(test_provenance)
{
    // Configuration as given, its folder, identity, command line and inputs with sizes are inside and can be read back.
    const char *yaml =
        "experiment: {title: \"Cu at 49 K\", facility: SwissFEL, energy_kev: 9.5, notes: why}\n# comment\n";
    xn_config *config;
    ok(xn_config_parse(ctx, yaml, "exp.yaml", ".", &config));
    const char *inputs[] = {path, "no-such-file.h5", NULL};
    xn_provenance p = {.config = config, .inputs = inputs, .identity = "abc123"};
    xani_set_command(ctx, "xani run exp.yaml -o out");
    make_cube(2, 3, 4, false);
    ok(xn_result_write_cube(ctx, path, &cube, NULL));
    char *text, *dir;
    ok(xn_result_read_config(ctx, path, &text, &dir));
    ck_assert_ptr_null(text);
    ck_assert_ptr_null(dir);
    ok(xn_result_read_identity(ctx, path, &text));
    ck_assert_ptr_null(text);
    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    ok(xn_result_write_cube(ctx, path, &cube, &p));
    ok(xn_result_read_config(ctx, path, &text, &dir));
    ck_assert_str_eq(text, yaml);
    ck_assert_int_eq(dir[0], '/');
    xn_free(text);
    xn_free(dir);
    ok(xn_result_read_identity(ctx, path, &text));
    ck_assert_str_eq(text, "abc123");
    xn_free(text);
    xn_h5 *h5;
    int64_t *bytes, n;
    double *energy;
    ok(xn_h5_open(ctx, path, &h5));
    ok(xn_h5_read_string(ctx, h5, "/entry/process/command_line", &text));
    ck_assert_str_eq(text, "xani run exp.yaml -o out");
    xn_free(text);
    ok(xn_h5_read_string(ctx, h5, "/entry/process/version", &text));
    ck_assert_str_eq(text, xani_version());
    xn_free(text);
    ok(xn_h5_read_string(ctx, h5, "/entry/title", &text));
    ck_assert_ptr_nonnull(strstr(text, "Cu at 49 K"));
    xn_free(text);
    ok(xn_h5_read_i64(ctx, h5, "/entry/process/inputs/bytes", &bytes, &n));
    ck_assert(n == 2 && bytes[0] == (int64_t)s.st_size && bytes[1] == -1);
    xn_free(bytes);
    ok(xn_h5_read_f64(ctx, h5, "/entry/instrument/beam/incident_energy", &energy, &n));
    ck_assert_double_eq(energy[0], 9.5);
    xn_free(energy);
    xn_h5_close(&h5);
    xani_config_destroy(&config);
}
END_TEST

// The cube at `path` must be refused as input with a text that names the file and `object`.
static void refused(const char *object)
{
    xn_clear_error(ctx);
    ck_assert_int_eq(xn_result_read_cube(ctx, path, &back), XANI_ERR_INPUT);
    const char *text = xani_error_text(ctx);
    ck_assert_msg(strstr(text, "cube.h5") && strstr(text, object), "text: %s; wanted: %s", text, object);
    ck_assert_ptr_null(back.signal);
    ck_assert_ptr_null(back.run);
}

START_TEST(test_damage)
{
    // A missing file, no HDF5, a missing dataset, another shape or type, numbers that disagree: one line with file and
    // dataset.
    static const char *const needed[] = {"/entry/cube/signal", "/entry/cube/delay", "/entry/mask", "/entry/spatial_bin",
                                         "/entry/shots/extra_1"};
    unlink(path);
    refused("cube.h5");
    FILE *f = fopen(path, "w");
    fputs("no HDF5 at all", f);
    fclose(f);
    refused("cube.h5");
    make_cube(3, 4, 5, false);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        ok(xn_result_write_cube(ctx, path, &cube, NULL));
        remove_object(path, needed[i]);
        refused(needed[i]);
    }
    static const hsize_t shapes[][3] = {{3, 4, 5}, {3, 4, 6}, {4, 0, 0}, {3, 0, 0}};
    static const struct {
        const char *object;
        int rank, shape;
    } wrong[] = {{"/entry/cube/signal", 3, 0}, {"/entry/sums/on/intensity", 3, 1},
                 {"/entry/cube/delay", 1, 2},  {"/entry/bins/edges", 1, 3},
                 {"/entry/mask", 1, 3},        {"/entry/spatial_bin", 1, 3},
                 {"/entry/module_rows", 1, 3}, {"/entry/sums/on/s1", 3, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ok(xn_result_write_cube(ctx, path, &cube, NULL));
        bool there = strstr(wrong[i].object, "intensity") == NULL;
        if (!there) { // optional for shots: put one that does not fit
            xn_free(cube.on_float);
            cube.on_float = random_f64(60);
            ok(xn_result_write_cube(ctx, path, &cube, NULL));
        }
        replace_object(path, wrong[i].object, wrong[i].rank, shapes[wrong[i].shape]);
        refused(wrong[i].object);
    }
    ok(xn_result_write_cube(ctx, path, &cube, NULL)); // truncated in the middle
    struct stat s;
    ck_assert_int_eq(stat(path, &s), 0);
    ck_assert_int_eq(truncate(path, s.st_size / 2), 0);
    refused("cube.h5");
    ok(xn_result_write_cube(ctx, path, &cube, NULL));
    cube.module_rows[0]++;
    ok(xn_result_write_cube(ctx, path, &cube, NULL));
    refused("/entry/module_rows");
}
END_TEST

static void read_f64(const char *file, const char *dataset, double **v, int64_t *n)
{
    xn_h5 *h5;
    ok(xn_h5_open(ctx, file, &h5));
    ok(xn_h5_read_f64(ctx, h5, dataset, v, n));
    xn_h5_close(&h5);
}

START_TEST(test_field_cubes)
{
    // Sums in photons under the field's names, both spellings of the counts; off bins add up to the true totals and
    // have the right ratio each; the file is plain (contiguous, no filter).
    char prefix[560], on[600], off[600];
    snprintf(prefix, sizeof prefix, "%s/run0007", xn_test_dir("result-cube"));
    snprintf(on, sizeof on, "%s_on.h5", prefix);
    snprintf(off, sizeof off, "%s_off.h5", prefix);
    for (int binned = 0; binned < 2; binned++) {
        make_cube(4, 3, 5, binned);
        for (int i = 0; i < 15; i++) cube.mask[i] = i == 4 ? 1u << 8 : 0; // one pixel is out
        for (int i = 0; i < 60 && !binned; i++) cube.on.s1[i] = 65536 * i + 32768;
        for (int i = 0; i < 15 && !binned; i++) cube.off.s1[i] = 65536 * 8 * i;
        if (!binned) {
            cube.off.i0_sum[0] = 4096 * 100;
            cube.off.shots[0] = 50;
        }
        ok(xn_result_write_field_cubes(ctx, prefix, XN_RESULT_FIELD, &cube));
        double *v, *w;
        int64_t n;
        read_f64(on, "imgs", &v, &n);
        ck_assert_int_eq(n, 60);
        for (int i = 0; i < 60; i++) {
            double want = cube.mask[i % 15] != 0 ? NAN : binned ? cube.on_float[i] : i + 0.5;
            ck_assert(isnan(want) == isnan(v[i])); // masked pixels
            same_bits(&want, &v[i], isnan(want) ? 0 : 8, "imgs");
        }
        xn_free(v);
        read_f64(on, "bin_counts", &v, &n);
        read_f64(on, "bin_count", &w, &n);
        same_bits(v, w, 32, "bin_counts");
        if (!binned) ck_assert_double_eq(v[2], (double)cube.on.shots[2]);
        xn_free(v);
        xn_free(w);
        read_f64(on, "scan_var", &v, &n);
        same_bits(v, cube.delay_ps, 32, "scan_var");
        xn_free(v);
        read_f64(off, "imgs", &v, &n);
        read_f64(off, "i0", &w, &n);
        ck_assert_int_eq(n, 4);
        if (!binned) {
            ck_assert_double_eq(v[7] + v[22] + v[37] + v[52], 8 * 7);
            ck_assert_double_eq(v[7] / w[0], 56 / 100.0);
            ck_assert_double_eq(w[0] + w[1] + w[2] + w[3], 100);
        }
        xn_free(v);
        xn_free(w);
        hid_t file = open_result(on), d = H5Dopen2(file, "/imgs", H5P_DEFAULT), plist = H5Dget_create_plist(d);
        ck_assert_int_eq(H5Pget_layout(plist), H5D_CONTIGUOUS);
        ck_assert(H5Lexists(file, "/ROI", H5P_DEFAULT) > 0 && H5Lexists(file, "/i0_ipm3", H5P_DEFAULT) > 0);
        H5Pclose(plist);
        H5Dclose(d);
        H5Fclose(file);
        xn_cube_free(&cube);
    }
    make_cube(4, 3, 5, true);
    xn_free(cube.on_float);
    cube.on_float = NULL;
    ck_assert_int_eq(xn_result_write_field_cubes(ctx, prefix, XN_RESULT_FIELD, &cube), XANI_ERR_INPUT);
}
END_TEST

// The status says so, or the text does (an allocation of the manifest's writer is an output error).
static bool says_memory(xani_status st)
{
    return st == XANI_ERR_MEMORY || strstr(xani_error_text(ctx), "Cannot allocate memory") != NULL;
}

START_TEST(test_memory)
{
    // Whichever allocation fails, it is reported, nothing is published, nothing is kept.
    make_cube(2, 3, 4, false);
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        unlink(path);
        no_memory_begin(&n);
        xani_status st = xn_result_write_cube(ctx, path, &cube, NULL);
        no_memory_end();
        ck_assert(xn_test_exists(path) == (st == XANI_OK));
        if (st == XANI_OK) continue; // old temporaries are looked for without memory, too
        ck_assert_msg(n.reached && says_memory(st), "allocation %d: %s", (int)n.at, xani_error_text(ctx));
        xn_clear_error(ctx);
    }
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        no_memory_begin(&n);
        xani_status st = xn_result_read_cube(ctx, path, &back);
        no_memory_end();
        if (!n.reached) ck_assert_int_eq(st, XANI_OK);
        ck_assert_msg(st == XANI_OK || says_memory(st), "allocation %d: %s", (int)n.at, xani_error_text(ctx));
        ck_assert((back.signal == NULL) == (st != XANI_OK));
        if (n.reached) xn_cube_free(&back);
        xn_clear_error(ctx);
    }
    ck_assert_uint_gt(n.at, 20);
    same_cube(&cube, &back);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_round_trip);
    tcase_add_test(t, test_nexus);
    tcase_add_test(t, test_provenance);
    tcase_add_test(t, test_damage);
    tcase_add_test(t, test_field_cubes);
    tcase_add_test(t, test_memory);
}

XN_TEST_MAIN("result: cube", add)
