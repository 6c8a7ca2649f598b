// SPDX-License-Identifier: BSD-3-Clause
// test_euxfel.c -- reading European XFEL runs: modules matched and put together, whichever allocation fails said so.
//
// Layouts, faults and counts are tested by tests/cli/layout_euxfel.py; here are the frames' words, reading from many
// threads at once, and the ends of memory.  The run: six trains of a JUNGFRAU of two modules with two memory cells,
// module 2 without the third train; the value of a pixel tells train, cell, module and pixel.
#include "h5write.h"
#include "no_memory.h"
#include "opened_source.h"

#include "data/source.h"
#include "source/recognise.h"

enum { TRAINS = 6, CELLS = 2, NY = 3, NX = 4, PIXELS = NY * NX, LACKS = 2, FIRST = 5000 };

static char dir[512];

static const char *at(const char *name)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static uint16_t value_of(int train, int cell, int module, int pixel)
{
    return (uint16_t)(1000 * train + 400 * cell + 100 * module + pixel);
}

static uint8_t gain_of(int train, int pixel) { return (const uint8_t[]){0, 1, 3}[(train + pixel) % 3]; }

static void write_list(const char *file, const char *source_name)
{
    // one string of fixed length, as simple files have them
    char list[2][256] = {"", ""};
    snprintf(list[0], sizeof list[0], "%s", source_name);
    hid_t f = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT), text = H5Tcopy(H5T_C_S1);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), space = H5Screate_simple(1, (hsize_t[]){2}, NULL);
    H5Tset_size(text, sizeof list[0]);
    H5Pset_create_intermediate_group(links, 1);
    hid_t d = H5Dcreate2(f, "METADATA/dataSources/dataSourceId", text, space, links, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(d >= 0 && H5Dwrite(d, text, H5S_ALL, H5S_ALL, H5P_DEFAULT, list) >= 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(links);
    H5Tclose(text);
    H5Fclose(f);
}

static void write_index(const char *file, const char *name, int n)
{
    uint64_t first[TRAINS], count[TRAINS];
    char path[200];
    for (int i = 0; i < n; i++) first[i] = (uint64_t)i, count[i] = 1;
    snprintf(path, sizeof path, "INDEX/%s/first", name);
    h5_put(file, path, H5T_NATIVE_UINT64, H5_SHAPE((hsize_t)n), first);
    snprintf(path, sizeof path, "INDEX/%s/count", name);
    h5_put(file, path, H5T_NATIVE_UINT64, H5_SHAPE((hsize_t)n), count);
}

static void write_module(int m)
{
    uint64_t train[TRAINS];
    uint16_t value[TRAINS * CELLS * PIXELS];
    uint8_t gain[TRAINS * CELLS * PIXELS], cell[TRAINS * CELLS];
    int n = 0;
    for (int t = 0; t < TRAINS; t++) {
        if (m == 2 && t == LACKS) continue;
        train[n] = FIRST + (uint64_t)t;
        for (int c = 0; c < CELLS; c++) {
            cell[n * CELLS + c] = (uint8_t)(15 - c);
            for (int p = 0; p < PIXELS; p++) {
                value[(n * CELLS + c) * PIXELS + p] = value_of(t, c, m, p);
                gain[(n * CELLS + c) * PIXELS + p] = gain_of(t, p);
            }
        }
        n++;
    }
    char name[64], file[700], path[200];
    hsize_t rows = (hsize_t)n;
    snprintf(name, sizeof name, "RAW-R0001-JNGFR%02d-S00000.h5", m);
    snprintf(file, sizeof file, "%s", at(name));
    h5_make(file);
    h5_put(file, "INDEX/trainId", H5T_NATIVE_UINT64, H5_SHAPE(rows), train);
    snprintf(name, sizeof name, "FXE_XAD_JF/DET/JNGFR%02d:daqOutput/data", m);
    write_index(file, name, n);
    snprintf(path, sizeof path, "INSTRUMENT/%s/adc", name);
    h5_put(file, path, H5T_NATIVE_UINT16, H5_SHAPE(rows, CELLS, NY, NX), value);
    snprintf(path, sizeof path, "INSTRUMENT/%s/gain", name);
    h5_put(file, path, H5T_NATIVE_UINT8, H5_SHAPE(rows, CELLS, NY, NX), gain);
    snprintf(path, sizeof path, "INSTRUMENT/%s/memoryCell", name);
    h5_put(file, path, H5T_NATIVE_UINT8, H5_SHAPE(rows, CELLS), cell);
    snprintf(path, sizeof path, "INSTRUMENT/%s", name);
    write_list(file, path);
}

static void write_readings(void)
{
    uint64_t train[TRAINS];
    double energy[TRAINS * 4], stage[TRAINS];
    char file[700];
    snprintf(file, sizeof file, "%s", at("RAW-R0001-DA01-S00000.h5"));
    for (int t = 0; t < TRAINS; t++) {
        train[t] = FIRST + (uint64_t)t;
        stage[t] = 100 + t;
        for (int k = 0; k < 4; k++) energy[t * 4 + k] = k < CELLS ? 10 * t + k + 0.5 : 1.0;
    }
    h5_make(file);
    h5_put(file, "INDEX/trainId", H5T_NATIVE_UINT64, H5_SHAPE(TRAINS), train);
    write_index(file, "SA1_XTD2_XGM/XGM/DOOCS:output/data", TRAINS);
    h5_put(file, "INSTRUMENT/SA1_XTD2_XGM/XGM/DOOCS:output/data/intensityTD", H5T_NATIVE_DOUBLE, H5_SHAPE(TRAINS, 4),
           energy);
    write_index(file, "FXE_LAS/MOTOR/DL", TRAINS);
    h5_put(file, "CONTROL/FXE_LAS/MOTOR/DL/actualPosition/value", H5T_NATIVE_DOUBLE, H5_SHAPE(TRAINS), stage);
    // no METADATA: sources are found by their indexes
}

static void write_calibration(const char *name, double value)
{
    double plane[3 * 2 * PIXELS];
    for (size_t i = 0; i < sizeof plane / sizeof *plane; i++) plane[i] = value;
    h5_make(at(name));
    h5_put(at(name), "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, 2 * NY, NX), plane);
}

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("euxfel"));
    write_module(1);
    write_module(2);
    write_readings();
    write_calibration("gains.h5", 40);
    write_calibration("pedestal.h5", 0);
    xani_status st =
        xn_config_parse(ctx,
                        "experiment: {energy_kev: 10}\n"
                        "input:\n"
                        "  layout: euxfel\n"
                        "  files: [RAW-*.h5]\n"
                        "  frames: FXE_XAD_JF\n"
                        "  i0: SA1_XTD2_XGM/XGM/DOOCS:output/data.intensityTD\n"
                        "  laser: {pulses: 0}\n"
                        "  delay: {sign: 1, parts: [{source: FXE_LAS/MOTOR/DL/actualPosition, origin: 100}]}\n"
                        "  calibration: {pedestal: pedestal.h5, gain: gains.h5}\n",
                        "exp.yaml", dir, &config);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
}

START_TEST(test_shots)
{
    // Ids are train and pulse; readings of trains and of pulses find their shots; a lost module is a refused shot.
    const xn_shots *s = opens();
    ck_assert_int_eq(s->n, TRAINS * CELLS);
    for (int i = 0; i < s->n; i++) {
        int train = i / CELLS, cell = i % CELLS;
        ck_assert_uint_eq(s->pulse_id[i], (uint64_t)(FIRST + train) << 12 | (uint64_t)cell);
        ck_assert_int_eq(s->laser[i], cell == 0 ? XN_LASER_ON : XN_LASER_OFF);
        ck_assert_double_eq_tol(s->i0[i], 10 * train + cell + 0.5, 1e-12);
        if (cell == 0) ck_assert_double_eq_tol(s->delay_ps[i], train, 1e-12);
        ck_assert_int_eq(s->verdict[i], train == LACKS ? XN_CUT_MODULE : XN_CUT_NONE);
    }
    ck_assert_int_eq(source->n_modules, 2);
    ck_assert_int_eq(source->ny, 2 * NY);
    ck_assert_int_eq(source->together, CELLS);
}
END_TEST

static void check_frame(const uint16_t *word, int frame)
{
    int train = frame / CELLS, cell = frame % CELLS;
    for (int m = 1; m <= 2; m++)
        for (int p = 0; p < PIXELS; p++) {
            bool lost = m == 2 && train == LACKS;
            uint16_t want = (uint16_t)(value_of(train, cell, m, p) | gain_of(train, p) << 14);
            ck_assert_uint_eq(word[(m - 1) * PIXELS + p], lost ? 2u << 14 : want);
        }
}

START_TEST(test_frames)
{
    // Value and gain become one word; lists in any order give the same frames; many threads at once too.
    opens();
    uint16_t one[2 * PIXELS], many[5 * 2 * PIXELS];
    for (int64_t f = 0; f < TRAINS * CELLS; f++) {
        ck_assert_int_eq(source->ops->read_frame(ctx, source, f, one, NULL), XANI_OK);
        check_frame(one, (int)f);
    }
    const int64_t list[5] = {3, 2, 10, 11, 4};
    ck_assert_int_eq(source->ops->read_frames(ctx, source, list, 5, many), XANI_OK);
    for (int i = 0; i < 5; i++) check_frame(many + i * 2 * PIXELS, (int)list[i]);
    int bad = 0;
#pragma omp parallel for num_threads(8) reduction(+ : bad)
    for (int i = 0; i < 200; i++) {
        uint16_t own[2 * PIXELS];
        int64_t f = i % (TRAINS * CELLS);
        bad += source->ops->read_frame(ctx, source, f, own, NULL) != XANI_OK;
        bad += own[0] != (value_of((int)f / CELLS, (int)f % CELLS, 1, 0) | gain_of((int)f / CELLS, 0) << 14);
    }
    ck_assert_int_eq(bad, 0);
}
END_TEST

START_TEST(test_left_out)
{
    // A module left out is masked, and shots without it are used; its part of a frame is an invalid code.
    set("input.modules.leave_out=2");
    const xn_shots *s = opens();
    for (int i = 0; i < s->n; i++) ck_assert_int_eq(s->verdict[i], XN_CUT_NONE);
    for (int p = 0; p < 2 * PIXELS; p++) ck_assert_int_eq(source->mask[p] != 0, p >= PIXELS);
    uint16_t word[2 * PIXELS];
    ck_assert_int_eq(source->ops->read_frame(ctx, source, 0, word, NULL), XANI_OK);
    ck_assert_uint_eq(word[PIXELS], 2u << 14);
}
END_TEST

START_TEST(test_reading_fails)
{
    // A frame's memory can fail, and a file that is cut off after opening is named.
    opens();
    uint16_t word[2 * PIXELS];
    ck_assert_int_eq(truncate(at("RAW-R0001-JNGFR02-S00000.h5"), 3000), 0);
    ck_assert_int_eq(source->ops->read_frame(ctx, source, 8, word, NULL), XANI_ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "JNGFR02"));
    xn_clear_error(ctx);
}
END_TEST

START_TEST(test_memory)
{
    // Whichever allocation fails, opening says so, telling goes on without what it lacks; neither leaves anything
    // behind.
    const char *paths[] = {dir};
    for (int question = 0; question < 3; question++) {
        no_memory n = NO_MEMORY;
        int spared = 0;
        xani_status st = XANI_OK;
        for (; n.reached; no_memory_next(&n)) {
            char *text = NULL;
            xn_source_close(&source);
            no_memory_begin(&n);
            st = question == 0   ? xn_source_open(ctx, config, -1, &source)
                 : question == 1 ? xn_source_info(ctx, paths, 1, &text)
                                 : xn_source_init(ctx, paths, 1, &text);
            no_memory_end();
            if (question == 0 && n.reached) // hints and counts do without memory, nothing else
                ck_assert_msg(st == XANI_ERR_MEMORY || (st == XANI_OK && ++spared < 20), "allocation %d: %d %s",
                              (int)n.at, st, xani_error_text(ctx));
            ck_assert_msg(st == XANI_OK || xani_error_text(ctx)[0] != '\0', "allocation %d: no text", (int)n.at);
            xn_free(text);
            xn_clear_error(ctx);
        }
        ck_assert_int_eq(st, XANI_OK);
        ck_assert_uint_gt(n.at, 100);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_shots);
    tcase_add_test(t, test_frames);
    tcase_add_test(t, test_left_out);
    tcase_add_test(t, test_reading_fails);
    tcase_add_test(t, test_memory);
}

XN_TEST_MAIN("euxfel", add)
