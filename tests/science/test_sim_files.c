// SPDX-License-Identifier: BSD-3-Clause
// test_sim_files.c -- what xani sim writes: the same bytes for any number of threads, readable as the layouts they
// claim to be, and equal to the shots, traces and truth they were made from.
#include <dirent.h>

#include "io/frames.h"
#include "io/h5.h"
#include "no_memory.h"
#include "source/sim/parts.h"
#include "source/sim/sim.h"
#include "source/source.h"
#include "test.h"

static const char yaml[] =
    "experiment: {energy_kev: 11}\n"
    "geometry: {distance_mm: 60, orientation: [1, 0, 0, 0, 1, 0, 0, 0, 1], goniometer: [{axis: [0, 1, 0]}]}\n"
    "runs: [{name: first, angle_deg: [12]}, {name: second, angle_deg: [40]}]\n"
    "map: {crystal: {cell: [3.61, 3.61, 3.61, 90, 90, 90], space_group: Fm-3m}}\n"
    "reduce: {delay_bins_ps: {start: -0.1, stop: 2, step: 0.05}, spatial_bin: 4}\n"
    "sim: {layouts: [swissfel, cube_noiseless], delay: {start: -0.3, stop: 3}, shots: 150,\n"
    "  softening: [{shell: 110, factor: 0.85}], losses: {frames: 0.03, not_good: 0.03, no_xrays: 0.03, readings: "
    "0.03},\n"
    "  detector: {modules: [2, 1], shape: [24, 40], gap_px: [3, 3], pixel_mm: 1, centre_px: [5, -8], tilt_deg: 0.3}}\n";

static xani_context *ctx;

static xani_config *parse(const char *assignment)
{
    xani_config *c;
    ck_assert_int_eq(xn_config_parse(ctx, yaml, "t.yaml", ".", &c), XANI_OK);
    if (assignment != NULL) ck_assert_int_eq(xani_config_assign(ctx, c, assignment), XANI_OK);
    return c;
}

static void clear(const char *dir)
{
    DIR *d = opendir(dir);
    if (d == NULL) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[2048];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.') unlink(path);
    }
    closedir(d);
}

// Writes the experiment into a fresh folder; *dir stays valid.
static void simulate(const char *name, const char *threads, const char *assignment, char dir[512])
{
    xani_config *c = parse(threads);
    if (assignment != NULL) ck_assert_int_eq(xani_config_assign(ctx, c, assignment), XANI_OK);
    snprintf(dir, 512, "%s", xn_test_dir(name));
    clear(dir);
    ck_assert_msg(xn_sim_write(ctx, c, dir) == XANI_OK, "%s", xani_error_text(ctx));
    xani_config_destroy(&c);
}

static char *file_bytes(const char *dir, const char *name, size_t *n)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is missing", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n + 1);
    ck_assert_uint_eq(fread(bytes, 1, *n, f), *n);
    bytes[*n] = '\0';
    fclose(f);
    return bytes;
}

static bool same_file(const char *a, const char *b, const char *name)
{
    size_t na, nb;
    char *x = file_bytes(a, name, &na), *y = file_bytes(b, name, &nb);
    bool same = na == nb && memcmp(x, y, na) == 0;
    free(x);
    free(y);
    return same;
}

static const char *const data_files[] = {
    "first.JF07T04V01.h5", "first.BSDATA.h5", "second.JF07T04V01.h5",
    "second.BSDATA.h5",    "gains.h5",        "pedestal_20260101_000000.JF07T04V01.res.h5",
    "run0001_on.h5",       "run0001_off.h5",  "run0002_on.h5",
    "run0002_off.h5"};
#define N_DATA (sizeof data_files / sizeof data_files[0])

// One and two threads, and a second run, write the same bytes; another seed writes other shots and frames.
START_TEST(reproducible)
{
    char one[512], two[512], other[512];
    xani_create(&ctx);
    simulate("sim-one", "engine.threads=1", NULL, one);
    simulate("sim-two", "engine.threads=2", NULL, two);
    simulate("sim-other", "engine.threads=2", "sim.seed=2", other);
    for (size_t i = 0; i < N_DATA; i++) ck_assert_msg(same_file(one, two, data_files[i]), "%s differs", data_files[i]);
    ck_assert(same_file(one, two, "detector.geom"));
    for (size_t i = 0; i < 6; i++)
        ck_assert_msg(!same_file(one, other, data_files[i]), "%s is the same", data_files[i]);
    for (size_t i = 6; i < N_DATA; i++)
        ck_assert_msg(same_file(one, other, data_files[i]), "%s differs", data_files[i]);
    xani_destroy(&ctx);
}
END_TEST

static xani_config *open_written(const char *dir, const char *name)
{
    char path[2048];
    xani_config *c;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    ck_assert_msg(xani_config_open(ctx, path, &c) == XANI_OK, "%s", xani_error_text(ctx));
    return c;
}

static void compare_shots(const xn_shots *a, const xn_shots *b)
{
    ck_assert_int_eq(a->n, b->n);
    int verdicts[XN_CUT_CUSTOM] = {0};
    for (int64_t i = 0; i < a->n; i++) {
        ck_assert_uint_eq(a->pulse_id[i], b->pulse_id[i]);
        ck_assert_int_eq(a->frame[i], b->frame[i]);
        ck_assert_int_eq(a->laser[i], b->laser[i]);
        ck_assert_int_eq(a->verdict[i], b->verdict[i]);
        verdicts[a->verdict[i]]++;
        ck_assert(a->i0[i] == b->i0[i] || (isnan(a->i0[i]) && isnan(b->i0[i])));
        ck_assert(a->delay_ps[i] == b->delay_ps[i] || (isnan(a->delay_ps[i]) && isnan(b->delay_ps[i])));
        ck_assert(isnan(a->delay_ps[i]) == 0 || a->laser[i] != XN_LASER_ON || a->verdict[i] == XN_CUT_JOIN);
    }
    // the experiment is lossy enough for each of them to occur
    ck_assert(verdicts[XN_CUT_JOIN] > 0 && verdicts[XN_CUT_BAD_FRAME] > 0 && verdicts[XN_CUT_DARK] > 0);
}

// The written configuration opens the written files as a SwissFEL run, and what they hold is what the source without
// files gives: shots, verdicts, delays to the last bit, words, calibration, mask, modules, angles.
START_TEST(files_are_the_source)
{
    char dir[512];
    xani_create(&ctx);
    simulate("sim-one", "engine.threads=2", NULL, dir);
    xani_config *written = open_written(dir, "xani.yaml"), *given = parse(NULL);
    for (int run = 0; run < 2; run++) {
        xn_source *a = NULL, *b = NULL;
        ck_assert_msg(xn_source_open(ctx, written, run, &a) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_int_eq(xn_sim_open(ctx, given, run, &b), XANI_OK);
        ck_assert(a->ny == 48 && a->nx == 40 && b->ny == 48 && b->nx == 40 && a->type == b->type);
        ck_assert(a->n_modules == 2 && b->n_modules == 2 && a->module_rows[1] == 24 && b->module_rows[1] == 24);
        ck_assert_str_eq(a->run, b->run);
        ck_assert(a->n_angles == 1 && b->n_angles == 1 && a->angles_deg[0] == b->angles_deg[0]);
        compare_shots(&a->shots, &b->shots);
        ck_assert_mem_eq(a->mask, b->mask, 48 * 40 * sizeof *a->mask);
        for (int g = 0; g < 3; g++)
            for (int i = 0; i < 48 * 40; i++) {
                ck_assert_float_eq(a->cal.pedestal[g][i], b->cal.pedestal[g][i]);
                ck_assert_float_eq_tol(a->cal.factor[g][i] / b->cal.factor[g][i], 1.0F, 3e-7F);
            }
        uint16_t x[48 * 40], y[48 * 40];
        void *sx = xn_alloc(a->scratch_bytes + 1, 1), *sy = xn_alloc(b->scratch_bytes, 1);
        for (int64_t i = 0; i < a->shots.n; i++) {
            ck_assert_int_eq(a->ops->read_frame(ctx, a, a->shots.frame[i], x, sx), XANI_OK);
            ck_assert_int_eq(b->ops->read_frame(ctx, b, b->shots.frame[i], y, sy), XANI_OK);
            ck_assert_mem_eq(x, y, sizeof x);
        }
        xn_free(sx);
        xn_free(sy);
        xn_source_close(&a);
        xn_source_close(&b);
    }
    xani_config_destroy(&written);
    xani_config_destroy(&given);
    xani_destroy(&ctx);
}
END_TEST

static double *read_all(const char *dir, const char *name, const char *dataset, int64_t expected)
{
    char path[1024];
    xn_h5 *h5 = NULL;
    double *data = NULL;
    int64_t n = 0;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    ck_assert_msg(xn_h5_open(ctx, path, &h5) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_msg(xn_h5_read_f64(ctx, h5, dataset, &data, &n) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(n, expected);
    xn_h5_close(&h5);
    return data;
}

// The noiseless cube is the exact formula at the centres of the bins, off is the laser-off intensity.
START_TEST(noiseless_cube)
{
    char dir[512];
    xani_create(&ctx);
    simulate("sim-one", "engine.threads=2", NULL, dir);
    xani_config *given = parse(NULL);
    xn_sim_model m;
    xn_sim_view v;
    ck_assert_int_eq(xn_sim_model_make(ctx, given, &m), XANI_OK);
    ck_assert_int_eq(xn_sim_view_make(ctx, given, &m, 1, &v), XANI_OK);
    const int64_t bins = 42, npix = 48 * 40;
    double *delay = read_all(dir, "run0002_on.h5", "scan_var", bins), *i0 = read_all(dir, "run0002_on.h5", "i0", bins);
    double *counts = read_all(dir, "run0002_on.h5", "bin_counts", bins),
           *count = read_all(dir, "run0002_on.h5", "bin_count", bins);
    double *on = read_all(dir, "run0002_on.h5", "imgs", bins * npix),
           *off = read_all(dir, "run0002_off.h5", "imgs", npix);
    double swing = 0;
    for (int64_t b = 0; b < bins; b++) {
        ck_assert_double_eq_tol(delay[b], -0.075 + 0.05 * (double)b, 1e-12);
        ck_assert(i0[b] == 1 && counts[b] == 1 && count[b] == 1);
        for (int64_t i = 0; i < npix; i++) {
            double y = xn_sim_y(&v, i, delay[b]);
            ck_assert_double_eq(on[b * npix + i], v.photons[i] * (1 + y));
            swing = fmax(swing, fabs(y));
        }
    }
    for (int64_t i = 0; i < npix; i++) ck_assert_double_eq(off[i], v.photons[i]);
    ck_assert(swing > 0.05);
    double *all[] = {delay, i0, counts, count, on, off};
    for (int k = 0; k < 6; k++) xn_free(all[k]);
    // read as a source by the configuration beside it
    xani_config *written = open_written(dir, "xani_noiseless.yaml");
    xn_source *s = NULL;
    ck_assert_msg(xn_source_open(ctx, written, 1, &s) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert(s->ny == 48 && s->nx == 40);
    xn_source_close(&s);
    xani_config_destroy(&written);
    xn_sim_view_free(&v);
    xn_sim_model_free(&m);
    xani_config_destroy(&given);
    xani_destroy(&ctx);
}
END_TEST

// truth.h5 holds what the contract lists, with units, equal to the model; hkl follows from the written geometry file.
START_TEST(truth)
{
    char dir[512], path[1024];
    xani_create(&ctx);
    simulate("sim-one", "engine.threads=2", NULL, dir);
    xani_config *given = parse(NULL), *written = open_written(dir, "xani.yaml");
    const int64_t npix = 48 * 40;
    xn_sim_model m;
    ck_assert_int_eq(xn_sim_model_make(ctx, given, &m), XANI_OK);
    static const char *const runs[2] = {"first", "second"};
    for (int run = 0; run < 2; run++) {
        xn_sim_view v;
        ck_assert_int_eq(xn_sim_view_make(ctx, given, &m, run, &v), XANI_OK);
        static const char *const names[] = {"hkl", "nu", "amplitude", "damping"};
        double *data[4];
        for (int k = 0; k < 4; k++) {
            snprintf(path, sizeof path, "/entry/%s/%s", runs[run], names[k]);
            data[k] = read_all(dir, "truth.h5", path, 3 * npix);
        }
        const int pair[3] = {0, 3, 8};
        const double g[3] = {0.3, 0.3, 0.4};
        for (int64_t i = 0; i < npix; i++)
            for (int j = 0; j < 3; j++) {
                double nu[3];
                ck_assert_double_eq(data[0][3 * i + j], v.hkl[3 * i + j]);
                xn_crystal_frequencies(&m.table[1], v.hkl + 3 * i, nu);
                ck_assert_double_eq_tol(data[1][3 * i + j], nu[j], 1e-9);
                ck_assert_double_eq(data[2][3 * i + j], v.amplitude[pair[j]][i]);
                ck_assert_double_le(data[2][3 * i + j], 1e-4); // softening: negative
                ck_assert_double_eq(data[3][3 * i + j], g[j]);
            }
        xn_geometry geometry;
        ck_assert_int_eq(xn_geometry_load(ctx, written, 48, 40, &geometry), XANI_OK);
        ck_assert_mem_eq(geometry.position, m.detector.geometry.position, 3 * (size_t)npix * sizeof(float));
        xn_geometry_free(&geometry);
        for (int k = 0; k < 4; k++) xn_free(data[k]);
        xn_sim_view_free(&v);
    }
    double *before = read_all(dir, "truth.h5", "/entry/force_constants_before/tensor", (12 + 6 + 24 + 12 + 24 + 8) * 9);
    double *after = read_all(dir, "truth.h5", "/entry/force_constants_after/tensor", (12 + 6 + 24 + 12 + 24 + 8) * 9);
    for (int i = 0; i < 86 * 9; i++) ck_assert_double_eq_tol(after[i], before[i] * (i < 12 * 9 ? 0.85 : 1), 1e-12);
    xn_free(before);
    xn_free(after);
    xn_h5 *h5;
    char *text;
    snprintf(path, sizeof path, "%s/truth.h5", dir);
    ck_assert_int_eq(xn_h5_open(ctx, path, &h5), XANI_OK);
    ck_assert_int_eq(xn_h5_read_string(ctx, h5, "/entry/configuration", &text), XANI_OK);
    xani_config *stored;
    ck_assert_int_eq(xn_config_parse(ctx, text, "stored", ".", &stored), XANI_OK);
    ck_assert_int_eq(xn_config_int(stored, "sim.shots"), 150);
    ck_assert_str_eq(xn_config_string(stored, "runs[1].name"), "second");
    xani_config_destroy(&stored);
    xn_free(text);
    ck_assert_int_eq(xn_h5_read_attr(ctx, h5, "/entry/second/nu", "units", &text), XANI_OK);
    ck_assert_str_eq(text, "THz");
    xn_free(text);
    ck_assert_int_eq(xn_h5_read_attr(ctx, h5, "/entry/second/damping", "units", &text), XANI_OK);
    ck_assert_str_eq(text, "1/ps");
    xn_free(text);
    xn_h5_close(&h5);
    xn_sim_model_free(&m);
    xani_config_destroy(&written);
    xani_config_destroy(&given);
    xani_destroy(&ctx);
}
END_TEST

// A single experiment without a runs list uses input.files and the goniometer's own angle.
START_TEST(single_run)
{
    char dir[512];
    xani_create(&ctx);
    simulate("sim-single", "runs=null", "geometry.goniometer[0].angle_deg=12", dir);
    xani_config *written = open_written(dir, "xani.yaml");
    ck_assert_str_eq(xn_config_string(written, "input.files[0]"), "run0001.JF07T04V01.h5");
    xn_source *s = NULL;
    ck_assert_msg(xn_source_open(ctx, written, -1, &s) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_str_eq(s->run, "");
    ck_assert_double_eq(s->angles_deg[0], 12);
    xn_source_close(&s);
    xn_free(read_all(dir, "truth.h5", "/entry/run0001/nu", 3 * 48 * 40));
    xani_config_destroy(&written);
    xani_destroy(&ctx);
}
END_TEST

static int calls;
static char last_prefix[512];
static xani_status count_bins(xn_ctx *c, const xn_config *config, xn_source *source, const char *prefix)
{
    (void)c;
    calls++;
    snprintf(last_prefix, sizeof last_prefix, "%s", prefix);
    ck_assert_int_eq(xn_config_int(config, "reduce.spatial_bin"), 1);
    ck_assert(source->shots.n > 100 && source->ops->read_frame != NULL);
    return XANI_OK;
}

// Cubes of the same shots: the lent function is called once per run, with full resolution, and the noiseless cube
// then moves to a folder of its own.
START_TEST(binned_layout)
{
    char dir[512];
    xani_create(&ctx);
    simulate("sim-binned", "sim.layouts=[cube, cube_noiseless, swissfel]", NULL, dir);
    xani_config *c = parse("sim.layouts=[cube, cube_noiseless, swissfel]");
    calls = 0;
    ck_assert_int_eq(xn_sim_write_binned(ctx, c, dir, count_bins), XANI_OK);
    ck_assert_int_eq(calls, 2);
    ck_assert_str_eq(strrchr(last_prefix, '/'), "/run0002");
    xani_config *written = open_written(dir, "xani.yaml"); // the first layout named
    ck_assert_str_eq(xn_config_string(written, "runs[1].files[0]"), "run0002_on.h5");
    ck_assert_str_eq(xn_config_string(written, "input.layout"), "cube");
    ck_assert(!xn_config_has(written, "select"));
    ck_assert_int_eq(xn_config_int(written, "reduce.spatial_bin"), 4);
    xani_config_destroy(&written);
    written = open_written(dir, "xani_noiseless.yaml");
    ck_assert_str_eq(xn_config_string(written, "runs[1].files[0]"), "noiseless/run0002_on.h5");
    xani_config_destroy(&written);
    written = open_written(dir, "xani_swissfel.yaml");
    xani_config_destroy(&written);
    xani_config_destroy(&c);
    c = parse(NULL); // no cube asked for: nothing happens
    calls = 0;
    ck_assert_int_eq(xn_sim_write_binned(ctx, c, dir, count_bins), XANI_OK);
    ck_assert_int_eq(calls, 0);
    xani_config_destroy(&c);
    xani_destroy(&ctx);
}
END_TEST

static void interrupt(void *user, const char *stage, int64_t done, int64_t total, const char *unit, double seconds)
{
    (void)user, (void)stage, (void)total, (void)unit, (void)seconds;
    if (done > 0) xani_interrupt(ctx);
}

// An interrupted simulation says so and leaves the earlier one as it was, and nothing of its own.
START_TEST(interrupted)
{
    char dir[512], *place;
    bool made;
    size_t n[2];
    xani_create(&ctx);
    simulate("sim-interrupted", "engine.threads=2", NULL, dir);
    char *before = file_bytes(dir, "gains.h5", &n[0]);
    xani_config *c = parse(NULL);
    ck_assert_int_eq(xani_config_assign(ctx, c, "sim.seed=77"), XANI_OK);
    xani_set_progress(ctx, interrupt, NULL);
    ck_assert_int_eq(xn_sim_begin(ctx, c, dir, &place, &made), XANI_OK);
    ck_assert_int_eq(xn_sim_end(ctx, c, dir, &place, made, xn_sim_write(ctx, c, place)), XANI_INTERRUPTED);
    char *after = file_bytes(dir, "gains.h5", &n[1]);
    ck_assert(n[0] == n[1] && memcmp(before, after, n[0]) == 0);
    free(before);
    free(after);
    xani_config *written = open_written(dir, "xani.yaml");
    xani_config_destroy(&written);
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        ck_assert_msg(strstr(e->d_name, "tmp") == NULL, "%s is left", e->d_name);
    closedir(d);
    xani_config_destroy(&c);
    xani_destroy(&ctx);
}
END_TEST

// A folder that cannot be made is an output error that names it.
START_TEST(unwritable)
{
    xani_create(&ctx);
    xani_config *c = parse(NULL);
    FILE *f = fopen("scratch-a-file", "w");
    fclose(f);
    ck_assert_int_eq(xn_sim_write(ctx, c, "scratch-a-file/sub"), XANI_ERR_OUTPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "scratch-a-file"));
    xani_config_destroy(&c);
    xani_destroy(&ctx);
}
END_TEST

// A geometry that is given is used, and the written configuration finds it from its own folder.
START_TEST(given_geometry)
{
    char dir[512], text[1400], path[1024];
    xani_create(&ctx);
    simulate("sim-one", "engine.threads=2", NULL, dir);
    snprintf(text, sizeof text, "geometry.file=%s/detector.geom", dir);
    xani_config *c = parse("sim.detector={name: JF01}");
    ck_assert_int_eq(xani_config_assign(ctx, c, text), XANI_OK);
    snprintf(path, sizeof path, "%s", xn_test_dir("sim-given"));
    clear(path);
    ck_assert_msg(xn_sim_write(ctx, c, path) == XANI_OK, "%s", xani_error_text(ctx));
    snprintf(text, sizeof text, "%s/detector.geom", path);
    ck_assert(!xn_test_exists(text));
    xani_config *written = open_written(path, "xani.yaml");
    ck_assert_int_eq(xn_config_string(written, "geometry.file")[0], '/');
    xn_geometry g;
    ck_assert_msg(xn_geometry_load(ctx, written, 48, 40, &g) == XANI_OK, "%s", xani_error_text(ctx));
    xn_geometry_free(&g);
    double *here = read_all(path, "truth.h5", "/entry/first/hkl", 3 * 48 * 40);
    double *there = read_all(dir, "truth.h5", "/entry/first/hkl", 3 * 48 * 40);
    ck_assert_mem_eq(here, there, 3 * 48 * 40 * sizeof *here);
    xn_free(here);
    xn_free(there);
    xani_config_destroy(&written);
    xani_config_destroy(&c);
    xani_destroy(&ctx);
}
END_TEST

// Whatever allocation fails while files are written: an error that says so, and no configuration that claims a whole;
// but a few can be done without (HDF5 tries to open a file before it makes one), and then everything is there.
START_TEST(memory)
{
    char path[1024];
    xani_create(&ctx);
    xani_config *c = parse("sim.detector={shape: [8, 8]}");
    ck_assert_int_eq(xani_config_assign(ctx, c, "sim.shots=5"), XANI_OK);
    ck_assert_int_eq(xani_config_assign(ctx, c, "runs=[{name: only, angle_deg: [12]}]"), XANI_OK);
    const char *dir = xn_test_dir("sim-memory");
    int failures = 0;
    no_memory n = {90, true}; // the first ones are the model's: test_sim.c
    for (; n.reached; n.at += 1 + n.at / 12) {
        clear(dir);
        no_memory_begin(&n);
        xani_status st = xn_sim_write(ctx, c, dir);
        no_memory_end();
        snprintf(path, sizeof path, "%s/xani.yaml", dir);
        bool done = st == XANI_OK;
        failures += !done;
        bool told = st == XANI_ERR_MEMORY || (st == XANI_ERR_OUTPUT && strstr(xani_error_text(ctx), "memory") != NULL);
        ck_assert_msg(done || told, "allocation %d: %d %s", (int)n.at, st, xani_error_text(ctx));
        if (!done) snprintf(path, sizeof path, "%s/xani_noiseless.yaml", dir);
        ck_assert(xn_test_exists(path) == done);
        xn_clear_error(ctx);
    }
    ck_assert(n.at > 500 && failures > 10);
    xani_config_destroy(&c);
    xani_destroy(&ctx);
}
END_TEST

// The experiments that are shipped are accepted, and bins are fine enough for their crystal: dt <= 1/(4 nu_max).
START_TEST(shipped_experiments)
{
    static const char *const names[] = {"demo", "noiseless", "null"};
    for (int i = 0; i < 3; i++) {
        char path[512];
        xani_config *c;
        xn_sim_model m;
        xani_create(&ctx);
        snprintf(path, sizeof path, XN_SOURCE_DATA_DIR "/sim/%s.yaml", names[i]);
        ck_assert_msg(xani_config_open(ctx, path, &c) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_msg(xn_sim_model_make(ctx, c, &m) == XANI_OK, "%s", xani_error_text(ctx));
        double step = xn_config_double(c, "reduce.delay_bins_ps.step");
        ck_assert_double_le(step, 1 / (4 * xn_crystal_max_thz(&m.table[0])));
        ck_assert_int_eq(xn_config_count(c, "sim.softening"), i == 2 ? 0 : 1);
        xn_sim_model_free(&m);
        xani_config_destroy(&c);
        xani_destroy(&ctx);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_test(t, reproducible);
    tcase_add_test(t, files_are_the_source);
    tcase_add_test(t, noiseless_cube);
    tcase_add_test(t, truth);
    tcase_add_test(t, single_run);
    tcase_add_test(t, binned_layout);
    tcase_add_test(t, interrupted);
    tcase_add_test(t, unwritable);
    tcase_add_test(t, given_geometry);
    tcase_add_test(t, memory);
    tcase_add_test(t, shipped_experiments);
}
XN_TEST_MAIN("sim files", add)
