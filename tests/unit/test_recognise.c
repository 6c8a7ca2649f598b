// SPDX-License-Identifier: BSD-3-Clause
// test_recognise.c -- what files are without a configuration, and the configuration made from them.
#include "no_memory.h"
#include "swissfel_run.h"

#include <jansson.h>

#include "source/recognise.h"
#include "source/source.h"

static xn_ctx *ctx;
static char dir[512], path[1400];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

// A fresh folder with the tiny run and its calibration in it.
static void make_run(const char *name)
{
    char gains[1400], command[1200];
    snprintf(dir, sizeof dir, "%s", xn_test_dir(name));
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", dir, dir);
    ck_assert_int_eq(system(command), 0);
    sf_detector(at("acq0001." SF_DET ".h5"), 0, SF_SHOTS);
    sf_channels(at("acq0001.BSDATA.h5"));
    snprintf(gains, sizeof gains, "%s/gains.h5", dir);
    sf_calibration(gains, at("pedestal_2026." SF_DET ".res.h5"));
}

static void make_cube(const char *prefix, const char *counts)
{
    for (int off = 0; off < 2; off++) {
        char name[200];
        hsize_t bins = off ? 1 : 3;
        snprintf(name, sizeof name, "%s_%s.h5", prefix, off ? "off" : "on");
        h5_make(at(name));
        h5_put(path, "scan_var", H5T_NATIVE_DOUBLE, H5_SHAPE(bins), (double[]){-0.5, 0, 0.5});
        h5_put(path, "imgs", H5T_NATIVE_DOUBLE, H5_SHAPE(bins, SF_NY, SF_NX),
               (double[3 * SF_PLANE]){[0] = 1, [60] = 2});
        h5_put(path, "i0", H5T_NATIVE_DOUBLE, H5_SHAPE(bins), (double[]){1, 2, 3});
        h5_put(path, counts, H5T_NATIVE_DOUBLE, H5_SHAPE(bins), (double[]){10, 0, 30});
    }
}

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
}

static void tear_down(void) { xani_destroy(&ctx); }

static json_t *info(void)
{
    const char *paths[] = {dir};
    char *text = NULL;
    ck_assert_msg(xn_source_info(ctx, paths, 1, &text) == XANI_OK, "%s", xani_error_text(ctx));
    json_t *o = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(o);
    xn_free(text);
    return o;
}

static xn_config *init(const char *from, char **yaml)
{
    const char *paths[] = {from};
    xn_config *config = NULL;
    ck_assert_msg(xn_source_init(ctx, paths, 1, yaml) == XANI_OK, "%s", xani_error_text(ctx));
    xani_status st = xn_config_parse(ctx, *yaml, "init.yaml", ".", &config);
    ck_assert_msg(st == XANI_OK, "%s\n%s", xani_error_text(ctx), *yaml);
    return config;
}

// Row `index` of a table of the answer.
static const json_t *row(const json_t *o, const char *table, size_t index)
{
    const json_t *r = json_array_get(json_object_get(o, table), index);
    ck_assert_msg(r != NULL, "%s[%d]", table, (int)index);
    return r;
}

static double value(const json_t *r, const char *key)
{
    ck_assert_msg(json_is_number(json_object_get(r, key)), "%s", key);
    return json_number_value(json_object_get(r, key));
}

static const char *word(const json_t *r, const char *key)
{
    const char *s = json_string_value(json_object_get(r, key));
    return s ? s : "(none)";
}

START_TEST(test_info_swissfel)
{
    // Detector, laser, pulse ids with their gaps, delays and channels are told, without a configuration.
    make_run("recognise-info");
    uint64_t id[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) id[i] = sf_pulse(i < 10 ? i : i + 3);
    id[4] = 0;
    h5_put(at("acq0001." SF_DET ".h5"), "data/" SF_DET "/pulse_id", H5T_NATIVE_UINT64, H5_SHAPE(SF_SHOTS), id);
    json_t *o = info();
    ck_assert_str_eq(word(o, "layout"), "swissfel");
    ck_assert_uint_eq(json_array_size(json_object_get(o, "runs")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "files")), 4);
    const json_t *run = row(o, "runs", 0), *detector = row(o, "detectors", 0), *ids = row(o, "pulse_ids", 0);
    ck_assert_str_eq(word(run, "laser_rule"), "daq_rec");
    ck_assert_double_eq(value(run, "shots"), SF_SHOTS - 1);
    ck_assert_double_eq(value(run, "laser_on"), 18);
    ck_assert_double_eq(value(run, "laser_off"), 6);
    ck_assert_str_eq(word(detector, "name"), SF_DET);
    ck_assert_double_eq(value(detector, "frames"), SF_SHOTS);
    ck_assert_double_eq(value(detector, "modules"), SF_MODULES);
    ck_assert_double_eq(value(ids, "step"), 2);
    ck_assert_double_eq(value(ids, "gaps"), 2);
    ck_assert_double_eq(value(ids, "frames_lost"), 1 + 3);
    ck_assert_double_eq(value(ids, "without_id"), 1);
    ck_assert_str_eq(word(row(o, "delays", 0), "source"), SF_STAGE);
    ck_assert_double_eq_tol(value(row(o, "delays", 0), "step"), 0.1, 1e-9);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "channels")), 5);
    ck_assert_str_eq(word(row(o, "channels", 3), "role"), "i0");
    ck_assert_double_eq(value(row(o, "channels", 3), "readings"), SF_SHOTS);
    ck_assert_double_eq(value(row(o, "channels", 3), "min"), 1.0);
    json_decref(o);
}
END_TEST

START_TEST(test_info_odd)
{
    // What cannot be read stands under problems and hides nothing; event codes tell the laser where daq_rec does not.
    make_run("recognise-odd");
    FILE *f = fopen(at("acq0002.BSDATA.h5"), "w");
    fputs("not a file of this kind", f);
    fclose(f);
    h5_make(at("foreign.h5"));
    make_cube("run0007", "bin_count");
    h5_put(at("acq0001." SF_DET ".h5"), "data/" SF_DET "/daq_rec", H5T_NATIVE_UINT32, H5_SHAPE(SF_SHOTS),
           (uint32_t[SF_SHOTS]){0});
    json_t *o = info();
    ck_assert_str_eq(word(o, "layout"), "swissfel and cube");
    ck_assert_uint_eq(json_array_size(json_object_get(o, "problems")), 1);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "files")), 8);
    ck_assert_uint_eq(json_array_size(json_object_get(o, "runs")), 2);
    const json_t *raw = row(o, "runs", 0), *cube = row(o, "runs", 1), *delay = row(o, "delays", 1);
    ck_assert_str_eq(word(raw, "laser_rule"), "evtset20");
    ck_assert_double_eq(value(raw, "laser_on"), 18);
    ck_assert_str_eq(word(cube, "run"), "run0007");
    ck_assert_double_eq(value(cube, "laser_on"), 40);
    ck_assert_str_eq(word(delay, "source"), "scan_var");
    ck_assert_double_eq(value(delay, "values"), 3);
    ck_assert_double_eq(value(delay, "empty"), 1);
    ck_assert_double_eq(value(delay, "step"), 0.5);
    json_decref(o);
}
END_TEST

START_TEST(test_nothing)
{
    // Files of no known layout, an empty folder and an absent one are each an error that says so.
    make_run("recognise-nothing");
    char *text = NULL, foreign[1400];
    snprintf(foreign, sizeof foreign, "%s", at("foreign.h5"));
    h5_make(foreign);
    const char *paths[] = {foreign};
    ck_assert_int_eq(xn_source_info(ctx, paths, 1, &text), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "foreign.h5: not of a known layout"));
    xn_clear_error(ctx);
    ck_assert_int_eq(truncate(at("acq0001." SF_DET ".h5"), 900), 0);
    char cut[1400];
    snprintf(cut, sizeof cut, "%s", at("acq0001." SF_DET ".h5"));
    paths[0] = cut;
    ck_assert_int_eq(xn_source_info(ctx, paths, 1, &text), XANI_ERR_INPUT);
    const char *named = strstr(xani_error_text(ctx), SF_DET ".h5: is truncated: 900 bytes of ");
    ck_assert_msg(named != NULL && strstr(xani_error_text(ctx), SF_DET) == named, "%s", xani_error_text(ctx)); // once
    ck_assert_ptr_null(strstr(xani_error_text(ctx), "known"));
    xn_clear_error(ctx);
    char empty[1400];
    snprintf(empty, sizeof empty, "%s", at("empty"));
    mkdir(empty, 0777);
    paths[0] = empty;
    ck_assert_int_eq(xn_source_init(ctx, paths, 1, &text), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "no HDF5 files of a run"));
    xn_clear_error(ctx);
    paths[0] = "absent-folder";
    ck_assert_int_eq(xn_source_info(ctx, paths, 1, &text), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "absent-folder: No such file"));
    ck_assert_ptr_null(text);
}
END_TEST

static void assign(xn_config *config, const char *assignment)
{
    ck_assert_msg(xani_config_assign(ctx, config, assignment) == XANI_OK, "%s", xani_error_text(ctx));
}

START_TEST(test_init_swissfel)
{
    // The configuration lacks only what no file can know, and opens the run as soon as that is filled in.
    make_run("recognise-init: a 'b' #c");
    char *yaml = NULL;
    xn_config *config = init(dir, &yaml);
    static const char *const open_keys[] = {"input.delay.sign", "input.delay.zero_ps", "geometry.orientation",
                                            "map.crystal.cell", "experiment.energy_kev"};
    for (size_t i = 0; i < sizeof open_keys / sizeof open_keys[0]; i++) {
        ck_assert_msg(!xn_config_has(config, open_keys[i]), "%s", open_keys[i]);
        char name[64]; // a line of its own, not a comment
        snprintf(name, sizeof name, "  %s:", strrchr(open_keys[i], '.') + 1);
        const char *line = strstr(yaml, name);
        ck_assert_msg(line && memmem(line, strcspn(line, "\n"), "FILL IN", 7), "%s is not marked", name);
    }
    ck_assert_str_eq(xn_config_string(config, "input.layout"), "swissfel");
    ck_assert_str_eq(xn_config_string(config, "input.frames"), SF_DET);
    ck_assert_str_eq(xn_config_string(config, "input.i0"), SF_I0);
    ck_assert_str_eq(xn_config_string(config, "input.laser"), "daq_rec");
    ck_assert_str_eq(xn_config_string(config, "input.delay.parts[0].source"), SF_STAGE);
    ck_assert_int_eq(xn_config_count(config, "input.files"), 2);
    ck_assert_ptr_nonnull(strstr(yaml, "#   source: \"" SF_EDGE "\""));
    ck_assert_ptr_nonnull(strstr(yaml, "{source: \"" SF_AMPLITUDE "\""));
    ck_assert_int_ge(xn_config_int(config, "reduce.delay_bins_ps.equal_count"), 1);
    double shape[2];
    ck_assert_int_eq(xn_config_doubles(config, "geometry.detector.shape", shape, 2), 2);
    ck_assert(shape[0] == SF_NY && shape[1] == SF_NX);
    xn_source *s = NULL;
    ck_assert_int_eq(xn_source_open(ctx, config, -1, &s), XANI_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "input.delay.sign is missing"));
    xn_clear_error(ctx);
    assign(config, "input.delay.sign=-1");
    assign(config, "experiment.energy_kev=10");
    ck_assert_msg(xn_source_open(ctx, config, -1, &s) == XANI_OK, "%s", xani_error_text(ctx));
    ck_assert_int_eq(s->shots.n, SF_SHOTS);
    ck_assert_int_eq(s->cal.kind, XN_CAL_JUNGFRAU);
    ck_assert_double_eq_tol(s->shots.delay_ps[1] - s->shots.delay_ps[0], 0.1 * 6.6712819039630412, 1e-9);
    xn_source_close(&s);
    xani_config_destroy(&config);
    xn_free(yaml);
}
END_TEST

static const char geom[] = "photon_energy = 9500\nclen = 0.1\nres = 13333\n"
                           "m0/min_fs = 0\nm0/max_fs = 5\nm0/min_ss = 0\nm0/max_ss = 7\nm0/fs = x\nm0/ss = y\n"
                           "m0/corner_x = -3\nm0/corner_y = -4\n";

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    fputs(text, f);
    fclose(f);
}

START_TEST(test_init_finds)
{
    // Geometry and calibration of the detector's shape are found around the run, others are left alone.
    make_run("recognise-finds");
    write_text("a.geom", geom);
    char other[sizeof geom];
    memcpy(other, geom, sizeof geom);
    *strstr(other, "max_fs = 5") = 'M'; // of no use
    write_text("b.geom", other);
    h5_make(at("gains_zz.h5"));
    h5_put(path, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, 2, 2), (double[12]){1});
    h5_make(at("pedestal_2025." SF_DET ".res.h5"));
    h5_put(path, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, SF_NY, SF_NX), (double[3 * SF_PLANE]){1});
    char raw[1400], *yaml = NULL;
    snprintf(raw, sizeof raw, "%s", at("data"));
    mkdir(raw, 0777);
    sf_detector(at("data/acq0001." SF_DET ".h5"), 0, SF_SHOTS);
    sf_channels(at("data/acq0001.BSDATA.h5"));
    xn_config *config = init(raw, &yaml);
    ck_assert_double_eq_tol(xn_config_double(config, "experiment.energy_kev"), 9.5, 1e-9);
    ck_assert_ptr_nonnull(strstr(xn_config_string(config, "geometry.file"), "/a.geom"));
    ck_assert(!xn_config_has(config, "geometry.distance_mm"));
    ck_assert_ptr_nonnull(strstr(xn_config_string(config, "input.calibration.gain"), "/gains.h5"));
    ck_assert_ptr_nonnull(strstr(xn_config_string(config, "input.calibration.pedestal"), "/pedestal_2026."));
    xani_config_destroy(&config);
    xn_free(yaml);
}
END_TEST

START_TEST(test_init_cubes)
{
    // Several cubes become runs with their own files; either spelling and either half will do.
    snprintf(dir, sizeof dir, "%s", xn_test_dir("recognise-cubes"));
    make_cube("run0001", "bin_count");
    make_cube("run0012", "bin_counts");
    char *yaml = NULL;
    xn_config *config = init(dir, &yaml);
    ck_assert_str_eq(xn_config_string(config, "input.layout"), "cube");
    ck_assert_int_eq(xn_config_count(config, "runs"), 2);
    ck_assert_str_eq(xn_config_string(config, "runs[1].name"), "run0012");
    ck_assert(!xn_config_has(config, "input.delay.sign"));
    assign(config, "input.delay.sign=1");
    for (int i = 0; i < 2; i++) {
        xn_source *s = NULL;
        xn_cube cube;
        ck_assert_msg(xn_source_open(ctx, config, i, &s) == XANI_OK, "%s", xani_error_text(ctx));
        ck_assert_int_eq(s->ops->read_cube(ctx, s, &cube), XANI_OK);
        ck_assert_int_eq(cube.nbins, 3);
        xn_cube_free(&cube);
        xn_source_close(&s);
    }
    xani_config_destroy(&config);
    xn_free(yaml);
    char half[1400];
    snprintf(half, sizeof half, "%s", at("run0001_off.h5"));
    config = init(half, &yaml);
    ck_assert_int_eq(xn_config_count(config, "runs"), 0);
    ck_assert_int_eq(xn_config_count(config, "input.files"), 2);
    ck_assert_ptr_nonnull(strstr(yaml, "scan_var: 3 bins from -0.5 to 0.5, taken as ps in steps of 0.5"));
    xani_config_destroy(&config);
    xn_free(yaml);
}
END_TEST

START_TEST(test_many_files)
{
    // Many acquisitions of a run are written as a glob that finds just them, now and later; runs by name are kept
    // apart.
    make_run("recognise-many");
    for (int i = 2; i <= 9; i++) {
        char name[100];
        snprintf(name, sizeof name, "acq%04d.BSDATA.h5", i);
        sf_channels(at(name));
    }
    char *yaml = NULL;
    xn_config *config = init(dir, &yaml);
    char **files = NULL;
    ck_assert_int_eq(xn_config_count(config, "input.files"), 2);
    ck_assert_ptr_nonnull(strstr(yaml, "/acq000[0-9].BSDATA.h5"));
    ck_assert_int_eq(xn_source_files(ctx, config, -1, &files), XANI_OK);
    int n = 0;
    for (; files[n] != NULL; n++) xn_free(files[n]);
    xn_free(files);
    ck_assert_int_eq(n, 10);
    xani_config_destroy(&config);
    xn_free(yaml);
    make_run("recognise-named");
    for (int i = 1; i <= 2; i++) {
        char name[100];
        snprintf(name, sizeof name, "run_00004%d." SF_DET ".h5", i);
        sf_detector(at(name), 0, SF_SHOTS);
        snprintf(name, sizeof name, "run_00004%d.BSREAD.h5", i);
        sf_channels(at(name));
    }
    ck_assert_int_eq(unlink(at("acq0001.BSDATA.h5")) + unlink(at("acq0001." SF_DET ".h5")), 0);
    config = init(dir, &yaml);
    ck_assert_int_eq(xn_config_count(config, "runs"), 2);
    ck_assert_str_eq(xn_config_string(config, "runs[0].name"), "run_000041");
    ck_assert_int_eq(xn_config_count(config, "runs[1].files"), 2);
    xani_config_destroy(&config);
    xn_free(yaml);
}
END_TEST

START_TEST(test_no_memory)
{
    // Whichever allocation fails, both questions end with that error and leave nothing behind.
    make_run("recognise-memory");
    write_text("a.geom", geom);
    const char *paths[] = {dir};
    for (int question = 0; question < 2; question++) {
        no_memory n = NO_MEMORY;
        for (; n.reached; no_memory_next(&n)) {
            char *text = NULL;
            no_memory_begin(&n);
            xani_status st =
                question == 0 ? xn_source_info(ctx, paths, 1, &text) : xn_source_init(ctx, paths, 1, &text);
            no_memory_end();
            ck_assert((st == XANI_OK) == (text != NULL));
            ck_assert_msg(st == XANI_OK || (n.reached && st == XANI_ERR_MEMORY), "allocation %d: %s", (int)n.at,
                          xani_error_text(ctx));
            xn_free(text);
            xn_clear_error(ctx);
        }
        ck_assert_uint_ge(n.at, 60);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_info_swissfel);
    tcase_add_test(t, test_info_odd);
    tcase_add_test(t, test_nothing);
    tcase_add_test(t, test_init_swissfel);
    tcase_add_test(t, test_init_finds);
    tcase_add_test(t, test_init_cubes);
    tcase_add_test(t, test_many_files);
    tcase_add_test(t, test_no_memory);
}

XN_TEST_MAIN("recognise", add)
