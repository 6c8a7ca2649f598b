// SPDX-License-Identifier: BSD-3-Clause
// test_swissfel_calibration.c -- gain and pedestal files, masks and switched-off modules of SwissFEL detectors.
#include "opened_source.h"
#include "swissfel_run.h"

static char dir[512], det[600], bs[600], gains[600], pedestals[600];

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("swissfel-calibration"));
    snprintf(det, sizeof det, "%s/acq0001." SF_DET ".h5", dir);
    snprintf(bs, sizeof bs, "%s/acq0001.BSDATA.h5", dir);
    snprintf(gains, sizeof gains, "%s/gains.h5", dir);
    snprintf(pedestals, sizeof pedestals, "%s/pedestal.h5", dir);
    sf_detector(det, 0, SF_SHOTS);
    sf_channels(bs);
    sf_calibration(gains, pedestals);
    ck_assert_int_eq(xn_config_parse(ctx, SF_YAML, "exp.yaml", dir, &config), XANI_OK);
}

static void fails(xani_status status, const char *text)
{
    xn_source_close(&source);
    xani_status st = xn_source_open(ctx, config, -1, &source);
    ck_assert_msg(st == status, "%d, not %d: %s", st, status, xani_error_text(ctx));
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    xn_clear_error(ctx);
}

START_TEST(test_planes)
{
    // factor = 1 / (gain energy), pedestals as they are; the pixel mask of the pedestal file becomes NXmx bits.
    opens();
    ck_assert_int_eq(source->cal.kind, XN_CAL_JUNGFRAU);
    for (int g = 0; g < 3; g++)
        for (int p = 0; p < SF_PLANE; p++) {
            ck_assert_float_eq(source->cal.factor[g][p], (float)(1 / (sf_gain(g) * 10)));
            ck_assert_float_eq(source->cal.pedestal[g][p], (float)sf_pedestal(g));
        }
    for (int p = 0; p < SF_PLANE; p++) ck_assert_int_eq((source->mask[p] & 0xffff) != 0, p == 7 || p == 9);
    ck_assert_uint_eq(source->mask[7], 1u << 8); // set by the user
    ck_assert_uint_eq(source->mask[9], 1u << 1); // dead
}
END_TEST

START_TEST(test_high_gain)
{
    // Bit 0 of daq_rec: planes 3, 4, 5 of the gains where there are so many, plane 3 of the pedestals for all.
    uint32_t daq[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) daq[i] = (sf_laser(i) ? 1u << 16 : 0) | 1u << 18 | 1;
    h5_put(det, "data/" SF_DET "/daq_rec", H5T_NATIVE_UINT32, H5_SHAPE(SF_SHOTS, 1), daq);
    opens();
    ck_assert_float_eq(source->cal.factor[0][3], (float)(1 / 500.0));
    ck_assert_float_eq(source->cal.factor[1][3], (float)(1 / (sf_gain(1) * 10)));
    ck_assert_float_eq(source->cal.pedestal[0][3], 100.0f); // three planes are used as they are
    double g[6 * SF_PLANE];
    for (int i = 0; i < 6 * SF_PLANE; i++) g[i] = sf_gain(i / SF_PLANE);
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(6, 2, 4, SF_NX), g);
    double p[4 * SF_PLANE];
    for (int i = 0; i < 4 * SF_PLANE; i++) p[i] = sf_pedestal(i / SF_PLANE);
    h5_put(pedestals, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(4, SF_NY, SF_NX), p);
    opens();
    ck_assert_float_eq(source->cal.factor[2][3], (float)(1 / (sf_gain(5) * 10)));
    for (int k = 0; k < 3; k++) ck_assert_float_eq(source->cal.pedestal[k][3], 90.0f);
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, SF_NY, SF_NX), g);
    fails(XANI_ERR_INPUT, "gains.h5: gains has no plane 3, which frames in high gain need");
    daq[4] &= ~1u;
    h5_put(det, "data/" SF_DET "/daq_rec", H5T_NATIVE_UINT32, H5_SHAPE(SF_SHOTS, 1), daq);
    fails(XANI_ERR_INPUT, "daq_rec says high gain for 23 of 24 frames");
}
END_TEST

START_TEST(test_bad_gains)
{
    // A pixel without a usable gain or pedestal is masked and counts nothing; no usable gain at all is an error.
    double g[4 * SF_PLANE], p[3 * SF_PLANE];
    for (int i = 0; i < 4 * SF_PLANE; i++) g[i] = sf_gain(i / SF_PLANE);
    for (int i = 0; i < 3 * SF_PLANE; i++) p[i] = sf_pedestal(i / SF_PLANE);
    g[2] = NAN;
    g[SF_PLANE + 3] = 0;
    p[2 * SF_PLANE + 4] = INFINITY;
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(4, SF_NY, SF_NX), g);
    h5_put(pedestals, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, SF_NY, SF_NX), p);
    opens();
    for (int i = 0; i < SF_PLANE; i++) {
        bool bad = i == 2 || i == 3 || i == 4;
        ck_assert_int_eq((source->mask[i] & 0xffff) != 0, bad || i == 7 || i == 9);
        for (int k = 0; bad && k < 3; k++) ck_assert(source->cal.factor[k][i] == 0 && source->cal.pedestal[k][i] == 0);
    }
    for (int i = 0; i < SF_PLANE; i++) g[SF_PLANE + i] = NAN;
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(4, SF_NY, SF_NX), g);
    fails(XANI_ERR_INPUT, "gains.h5: gains are NaN in all pixels of plane 1");
    for (int i = 0; i < SF_PLANE; i++) g[SF_PLANE + i] = 0;
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(4, SF_NY, SF_NX), g);
    fails(XANI_ERR_INPUT, "gains.h5: gains are NaN or zero");
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(2, SF_NY, SF_NX), g);
    fails(XANI_ERR_INPUT, "gains.h5: gains is float64 (2, 8, 6); detector " SF_DET " needs (3 or more, 8, 6)");
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(4, SF_NX, SF_NY), g);
    fails(XANI_ERR_INPUT, "gains.h5: gains is float64 (4, 6, 8)");
    h5_drop(gains, "gains");
    fails(XANI_ERR_INPUT, "gains.h5");
    unlink(gains);
    fails(XANI_ERR_INPUT, "input.calibration.gain: ");
}
END_TEST

// Pedestals of a detector of three modules, plane 0 the number of the module.
static void three_modules(void)
{
    double g[3 * 3 * 24], p[3 * 3 * 24];
    for (int i = 0; i < 3 * 3 * 24; i++) {
        g[i] = 40;
        p[i] = i / 24 % 3;
    }
    h5_put(gains, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, 12, SF_NX), g);
    h5_put(pedestals, "gains", H5T_NATIVE_DOUBLE, H5_SHAPE(3, 12, SF_NX), p);
    h5_put(pedestals, "pixel_mask", H5T_NATIVE_INT32, H5_SHAPE(12, SF_NX), (int32_t[72]){[2 * 24 + 5] = 1 << 20});
}

START_TEST(test_modules_left_out)
{
    // Data of the modules that were on, calibration of all of them: each module finds its own constants.
    three_modules();
    h5_put(det, "data/" SF_DET "/module_map", H5T_NATIVE_INT8, H5_SHAPE(3), (int8_t[]){0, -1, 1});
    opens();
    ck_assert_int_eq(source->n_modules, 2);
    for (int p = 0; p < SF_PLANE; p++) {
        ck_assert_float_eq(source->cal.pedestal[0][p], p < 24 ? 0.0f : 2.0f);
        ck_assert_uint_eq(source->mask[p], p == 24 + 5 ? 1u : 0u); // gap
    }
    h5_put(det, "data/" SF_DET "/module_map", H5T_NATIVE_INT8, H5_SHAPE(5), (int8_t[]){0, -1, 1, 2, -1});
    fails(XANI_ERR_INPUT, "module_map (5 modules, 3 on) does not fit frames of 8 rows");
}
END_TEST

START_TEST(test_modules_off)
{
    // Data of all modules, one of them off: its pixels are a gap.  The old map with one row per frame is read too.
    int8_t map[SF_SHOTS * 2];
    for (int i = 0; i < SF_SHOTS; i++) {
        map[2 * i] = -1;
        map[2 * i + 1] = 1;
    }
    h5_put(det, "data/" SF_DET "/module_map", H5T_NATIVE_INT8, H5_SHAPE(SF_SHOTS, 2), map);
    opens();
    ck_assert_int_eq(source->n_modules, 2);
    for (int p = 0; p < SF_PLANE; p++) ck_assert_int_eq(source->mask[p] & 1, p < 24);
    map[7] = 0;
    h5_put(det, "data/" SF_DET "/module_map", H5T_NATIVE_INT8, H5_SHAPE(SF_SHOTS, 2), map);
    fails(XANI_ERR_INPUT, "module_map changes within the run");
    h5_drop(det, "data/" SF_DET "/module_map");
    opens();
    ck_assert_int_eq(source->n_modules, 1);
}
END_TEST

START_TEST(test_scale)
{
    // keV or photons per unit instead of files; the word's gain bits are then no business of ours.
    set("input.calibration={kev_per_unit: 0.5}");
    opens();
    ck_assert_int_eq(source->cal.kind, XN_CAL_SCALE);
    ck_assert_double_eq(source->cal.photons_per_unit, 0.05);
    ck_assert_ptr_null(source->cal.factor[0]);
    set("input.calibration={photons_per_unit: 0.125}");
    set("experiment.energy_kev=null");
    opens();
    ck_assert_double_eq(source->cal.photons_per_unit, 0.125);
    set("input.calibration={kev_per_unit: 0.5}");
    fails(XANI_ERR_CONFIG, "experiment.energy_kev is missing");
}
END_TEST

START_TEST(test_converted)
{
    // Files already converted to keV need no calibration; their own mask says True for good.
    static float kev[SF_SHOTS * SF_PLANE];
    uint8_t good[SF_PLANE];
    memset(good, 1, sizeof good);
    good[13] = 0;
    h5_put(det, "data/" SF_DET "/data", H5T_NATIVE_FLOAT, H5_SHAPE(SF_SHOTS, SF_NY, SF_NX), kev);
    fails(XANI_ERR_INPUT, "data has type float32; pedestal and gain files need uint16 words");
    h5_put(det, "data/" SF_DET "/meta/conversion_factor", H5T_NATIVE_DOUBLE, 0, NULL, (double[]){NAN});
    h5_put(det, "data/" SF_DET "/meta/pixel_mask", H5T_NATIVE_UINT8, H5_SHAPE(SF_NY, SF_NX), good);
    fails(XANI_ERR_CONFIG, "is converted to keV already; leave pedestal and gain out");
    set("input.calibration=null");
    opens();
    ck_assert_double_eq(source->cal.photons_per_unit, 0.1);
    ck_assert_int_eq(source->type, XN_F32);
    for (int p = 0; p < SF_PLANE; p++) ck_assert_int_eq(source->mask[p] != 0, p == 13);
    h5_put(det, "data/" SF_DET "/meta/conversion_factor", H5T_NATIVE_DOUBLE, 0, NULL, (double[]){0.05});
    opens();
    ck_assert_double_eq_tol(source->cal.photons_per_unit, 0.005, 1e-15);
}
END_TEST

START_TEST(test_mask)
{
    // Masks of the configuration are combined with the calibration's.
    char file[600];
    snprintf(file, sizeof file, "%s/mask.h5", dir);
    h5_make(file);
    h5_put(file, "mask", H5T_NATIVE_UINT8, H5_SHAPE(SF_NY, SF_NX), (uint8_t[SF_PLANE]){[0] = 1, [47] = 255});
    set("input.mask={file: mask.h5, dataset: mask}");
    opens();
    for (int p = 0; p < SF_PLANE; p++)
        ck_assert_int_eq((source->mask[p] & 0xffff) != 0, p == 0 || p == 47 || p == 7 || p == 9);
    h5_put(file, "mask", H5T_NATIVE_UINT8, H5_SHAPE(SF_NX, SF_NY), (uint8_t[SF_PLANE]){0});
    fails(XANI_ERR_INPUT, "mask.h5: mask: the mask has shape (6, 8), the frames have (8, 6)");
    set("input.mask={file: absent.h5, dataset: mask}");
    fails(XANI_ERR_INPUT, "absent.h5");
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_planes);
    tcase_add_test(t, test_high_gain);
    tcase_add_test(t, test_bad_gains);
    tcase_add_test(t, test_modules_left_out);
    tcase_add_test(t, test_modules_off);
    tcase_add_test(t, test_scale);
    tcase_add_test(t, test_converted);
    tcase_add_test(t, test_mask);
}

XN_TEST_MAIN("swissfel calibration", add)
