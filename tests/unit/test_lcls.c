// SPDX-License-Identifier: BSD-3-Clause
// test_lcls.c -- LCLS small data: ids of events, laser rules, frames that are not there, offsets, failures.
#include "h5write.h"
#include "no_memory.h"

#include "source/lcls/lcls.h"
#include "source/recognise.h"
#include "source/source.h"
#include "source/survey/survey.h"

enum { N = 8, NY = 2, NX = 3, PLANE = NY * NX, CODES = 288 };
#define SEC ((int64_t)1700000000)
#define TIME(s, ns) (((SEC + (s)) << 32) | (int64_t)(ns))

static xn_ctx *ctx;
static xn_config *config;
static char dir[512], first[600], second[600];
static const int64_t times[N] = {TIME(0, 999000000), TIME(1, 7333333),  TIME(1, 15666666), TIME(1, 24000000),
                                 TIME(1, 32333333),  TIME(1, 40666666), TIME(1, 49000000), TIME(1, 57333333)};
static const int64_t on[N] = {1, 0, 1, 1, 0, 1, 1, 0};

static void put_common(const char *path)
{
    double i0[N], lxt[N];
    float frames[N * PLANE];
    int64_t xray[N];
    for (int i = 0; i < N; i++) {
        i0[i] = 1.0 + 0.1 * i;
        lxt[i] = 1e-12 * i;
        xray[i] = 1;
        for (int p = 0; p < PLANE; p++) frames[i * PLANE + p] = p == 0 ? NAN : (float)(10 * i + p);
    }
    h5_put(path, "lightStatus/laser", H5T_NATIVE_INT64, H5_SHAPE(N), on);
    h5_put(path, "lightStatus/xray", H5T_NATIVE_INT64, H5_SHAPE(N), xray);
    h5_put(path, "ipm2/sum", H5T_NATIVE_DOUBLE, H5_SHAPE(N), i0);
    h5_put(path, "epics/lxt", H5T_NATIVE_DOUBLE, H5_SHAPE(N), lxt);
    h5_put(path, "epics/gon_h", H5T_NATIVE_DOUBLE, H5_SHAPE(N), lxt);
    h5_put(path, "cam/ROI_0_area", H5T_NATIVE_FLOAT, H5_SHAPE(N, NY, NX), frames);
    h5_put(path, "UserDataCfg/cam/mask", H5T_NATIVE_INT, H5_SHAPE(NY, NX), (int[PLANE]){0, 1, 1, 1, 1, 1});
}

static void configure(const char *layout, const char *files, const char *laser)
{
    char yaml[2000];
    xani_config_destroy(&config);
    snprintf(yaml, sizeof yaml,
             "input:\n  layout: %s\n  files: %s\n  frames: cam/ROI_0_area\n  i0: ipm2/sum\n  laser: %s\n"
             "  calibration: {photons_per_unit: 1}\n  mask: {dataset: UserDataCfg/cam/mask, good: nonzero}\n"
             "  delay: {sign: 1, parts: [{source: epics/lxt, scale_ps: 1e12}]}\n",
             layout, files, laser);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", dir, &config) == XANI_OK, "%s", xani_error_text(ctx));
}

static void set_up(void)
{
    uint8_t codes[N * CODES] = {0};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("lcls"));
    snprintf(first, sizeof first, "%s/xppx_Run0001.h5", dir);
    snprintf(second, sizeof second, "%s/rixx_Run0001.h5", dir);
    h5_make(first);
    h5_put(first, "event_time", H5T_NATIVE_INT64, H5_SHAPE(N), times);
    h5_put(first, "fiducials", H5T_NATIVE_INT64, H5_SHAPE(N), (int64_t[N]){3, 6, 9, 12, 15, 18, 21, 24});
    put_common(first);
    h5_make(second);
    h5_put(second, "timestamp", H5T_NATIVE_INT64, H5_SHAPE(N), times);
    for (int i = 0; i < N; i++) codes[i * CODES + 203] = (uint8_t)on[i];
    h5_put(second, "timing/eventcodes", H5T_NATIVE_UINT8, H5_SHAPE(N, CODES), codes);
    put_common(second);
    configure("lcls_smalldata", "xppx_Run0001.h5", "lightStatus/laser");
}

static void tear_down(void)
{
    xani_config_destroy(&config);
    xani_destroy(&ctx);
}

static xn_source *opened(void)
{
    xn_source *s = NULL;
    xani_status st = xn_source_open(ctx, config, -1, &s);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    return s;
}

static void fails(xani_status status, const char *text)
{
    xn_source *s = NULL;
    xani_status st = xn_source_open(ctx, config, -1, &s);
    ck_assert_msg(st == status, "status %d (%s), not %d", st, xani_error_text(ctx), status);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    ck_assert_ptr_null(s);
    xn_clear_error(ctx);
}

static int count(const xn_shots *s, int verdict)
{
    int n = 0;
    for (int64_t i = 0; i < s->n; i++) n += s->verdict[i] == verdict;
    return n;
}

START_TEST(test_plain)
{
    // Ids are event times, delays ps, frames come as they are stored; the mask is the detector's own.
    xn_source *s = opened();
    float frame[PLANE];
    ck_assert_int_eq(s->shots.n, N);
    ck_assert_int_eq(count(&s->shots, XN_CUT_NONE), N);
    for (int i = 0; i < N; i++) {
        ck_assert_uint_eq(s->shots.pulse_id[i], (uint64_t)times[i]);
        ck_assert_int_eq(s->shots.laser[i], on[i] ? XN_LASER_ON : XN_LASER_OFF);
        if (on[i]) ck_assert_double_eq_tol(s->shots.delay_ps[i], i, 1e-9);
    }
    ck_assert_uint_ne(s->mask[0], 0);
    ck_assert_uint_eq(s->mask[1], 0);
    ck_assert_int_eq(s->ops->read_frame(ctx, s, 3, frame, NULL), XANI_OK);
    ck_assert_float_eq(frame[4], 34.0f);
    xn_source_close(&s);
}
END_TEST

START_TEST(test_ids)
{
    // Equal times and other fiducials are other events; equal both are one event twice; no time is no id.
    int64_t t[N], fid[N] = {3, 6, 9, 12, 15, 18, 21, 24};
    memcpy(t, times, sizeof t);
    t[2] = t[1]; // another event
    t[4] = t[3]; // the same one
    fid[4] = fid[3];
    t[6] = -99999;
    t[7] = 0;
    h5_put(first, "event_time", H5T_NATIVE_INT64, H5_SHAPE(N), t);
    h5_put(first, "fiducials", H5T_NATIVE_INT64, H5_SHAPE(N), fid);
    xn_source *s = opened();
    ck_assert_int_eq(s->shots.n, 6);
    ck_assert_int_eq(s->shots.duplicate, 1);
    ck_assert_int_eq(count(&s->shots, XN_CUT_JOIN), 2);
    ck_assert_int_eq(count(&s->shots, XN_CUT_NONE), 4);
    uint64_t other = (uint64_t)times[1] | 1u << 30;
    bool found = false;
    for (int64_t i = 0; i < s->shots.n; i++) found = found || s->shots.pulse_id[i] == other;
    ck_assert(found);
    ck_assert_uint_eq(xn_lcls_ns(other), xn_lcls_ns((uint64_t)times[1]));
    xn_source_close(&s);
    for (int i = 0; i < 5; i++) t[i] = times[0]; // more than two bits can tell apart
    h5_put(first, "event_time", H5T_NATIVE_INT64, H5_SHAPE(N), t);
    h5_put(first, "fiducials", H5T_NATIVE_INT64, H5_SHAPE(N), (int64_t[N]){1, 2, 3, 4, 5, 6, 7, 8});
    fails(XANI_ERR_INPUT, "more than four events have the time");
    h5_put(first, "fiducials", H5T_NATIVE_INT64, H5_SHAPE(N - 1), fid);
    fails(XANI_ERR_INPUT, "fiducials has 7 rows");
    h5_put(first, "event_time", H5T_NATIVE_DOUBLE, H5_SHAPE(N), (double[N]){1, 2, 3, 4, 5, 6, 7, 8});
    fails(XANI_ERR_INPUT, "event_time is float64");
    h5_drop(first, "event_time");
    fails(XANI_ERR_INPUT, "is no small data of LCLS-I");
    int64_t pairs[2 * N]; // before 2018
    for (int i = 0; i < N; i++) {
        pairs[2 * i] = times[i] >> 32;
        pairs[2 * i + 1] = times[i] & 0xffffffff;
    }
    h5_drop(first, "fiducials");
    h5_put(first, "EvtID/time", H5T_NATIVE_INT64, H5_SHAPE(N, 2), pairs);
    s = opened();
    for (int i = 0; i < N; i++) ck_assert_uint_eq(s->shots.pulse_id[i], (uint64_t)times[i]);
    xn_source_close(&s);
    h5_put(first, "EvtID/time", H5T_NATIVE_INT64, H5_SHAPE(N), times);
    fails(XANI_ERR_INPUT, "EvtID/time has 1 numbers per event, not 2");
}
END_TEST

static void check_laser(const char *rule, const int want[N])
{
    char text[200];
    snprintf(text, sizeof text, "input.laser=%s", rule);
    ck_assert_int_eq(xani_config_assign(ctx, config, text), XANI_OK);
    xn_source *s = opened();
    for (int i = 0; i < N; i++)
        ck_assert_msg(s->shots.laser[i] == want[i], "%s: shot %d is %d", rule, i, s->shots.laser[i]);
    xn_source_close(&s);
}

START_TEST(test_laser)
{
    // Drop and required codes, both generations; -1, missing and odd values are unknown; 0 X-rays are a dark shot.
    enum { F = XN_LASER_OFF, L = XN_LASER_ON, U = XN_LASER_UNKNOWN };
    h5_put(first, "evr/code_90", H5T_NATIVE_INT, H5_SHAPE(N), (int[N]){1, 0, 1, 1, 0, 0, -99999, -1});
    h5_put(first, "evr/code_91", H5T_NATIVE_INT, H5_SHAPE(N), (int[N]){0, 1, 0, 1, 0, 0, 0, 0});
    h5_put(first, "evr/code_92", H5T_NATIVE_INT, H5_SHAPE(N), (int[N]){0, 0, 0, 0, 1, 0, 0, 0});
    check_laser("{drop: [91]}", (int[N]){L, F, L, F, L, L, L, L});
    check_laser("{codes: [90]}", (int[N]){L, F, L, L, F, F, U, U});
    check_laser("{codes: [90], drop: [91]}", (int[N]){L, F, L, F, F, F, U, U});
    check_laser("{codes: [90, 92]}", (int[N]){L, F, L, L, L, F, U, U});
    check_laser("{drop: [91, 92]}", (int[N]){L, F, L, F, F, L, L, L});
    check_laser("lightStatus", (int[N]){L, F, L, L, F, L, L, F});
    check_laser("evr/code_91 + evr/code_92", (int[N]){F, L, F, L, L, F, F, F});
    h5_put(first, "lightStatus/laser", H5T_NATIVE_DOUBLE, H5_SHAPE(N), (double[N]){1, 0, -1, NAN, -99999, 2, 1, 0});
    check_laser("lightStatus/laser", (int[N]){L, F, U, U, U, L, L, F});
    h5_put(first, "lightStatus/xray", H5T_NATIVE_INT, H5_SHAPE(N), (int[N]){1, 0, 0, 1, -1, -99999, 1, 1});
    xn_source *s = opened();
    ck_assert_int_eq(count(&s->shots, XN_CUT_DARK), 2);
    xn_source_close(&s);
    configure("lcls2_smalldata", "rixx_Run0001.h5", "{codes: [203]}");
    check_laser("{codes: [203]}", (int[N]){L, F, L, L, F, L, L, F});
    check_laser("{drop: [203]}", (int[N]){F, L, F, F, L, F, F, L});
    uint8_t codes[N * CODES] = {0};
    codes[0 * CODES + 203] = 1;
    codes[1 * CODES + 203] = 97; // -99999 in eight bits
    h5_put(second, "timing/eventcodes", H5T_NATIVE_UINT8, H5_SHAPE(N, CODES), codes);
    check_laser("{codes: [203]}", (int[N]){L, U, F, F, F, F, F, F});
    ck_assert_int_eq(xani_config_assign(ctx, config, "input.laser={codes: [300]}"), XANI_OK);
    fails(XANI_ERR_INPUT, "column 300 does not exist");
    ck_assert_int_eq(xani_config_assign(ctx, config, "input.laser={codes: []}"), XANI_OK);
    fails(XANI_ERR_CONFIG, "needs codes");
}
END_TEST

START_TEST(test_frames_not_there)
{
    // Damage 0, a missing damage, frames of NaN or -99999 only; a pixel that is NaN in all frames is no reason.
    float frames[N * PLANE];
    for (int i = 0; i < N * PLANE; i++) frames[i] = i % PLANE == 0 ? NAN : (float)i;
    for (int p = 0; p < PLANE; p++) frames[2 * PLANE + p] = NAN;
    for (int p = 0; p < PLANE; p++) frames[5 * PLANE + p] = -99999.0f;
    frames[6 * PLANE + PLANE - 1] = NAN; // one of many
    h5_put(first, "cam/ROI_0_area", H5T_NATIVE_FLOAT, H5_SHAPE(N, NY, NX), frames);
    xn_source *s = opened();
    ck_assert_int_eq(count(&s->shots, XN_CUT_BAD_FRAME), 2);
    ck_assert_int_eq(s->shots.verdict[2], XN_CUT_BAD_FRAME);
    ck_assert_int_eq(s->shots.verdict[5], XN_CUT_BAD_FRAME);
    xn_source_close(&s);
    h5_put(first, "damage/cam", H5T_NATIVE_INT, H5_SHAPE(N), (int[N]){1, 0, 1, 1, -99999, 1, 1, 1});
    s = opened();
    ck_assert_int_eq(count(&s->shots, XN_CUT_BAD_FRAME), 4);
    xn_source_close(&s);
    for (int i = 0; i < N * PLANE; i++) frames[i] = NAN;
    h5_put(first, "cam/ROI_0_area", H5T_NATIVE_FLOAT, H5_SHAPE(N, NY, NX), frames);
    s = opened();
    ck_assert_int_eq(count(&s->shots, XN_CUT_BAD_FRAME), N);
    xn_source_close(&s);
    h5_put(first, "cam/ROI_0_area", H5T_NATIVE_FLOAT, H5_SHAPE(N - 1, NY, NX), frames);
    fails(XANI_ERR_INPUT, "has 7 frames, there are 8 events");
    h5_put(first, "cam/ROI_0_area", H5T_NATIVE_FLOAT, H5_SHAPE(N, 0, NX), frames);
    fails(XANI_ERR_INPUT, "have no pixels");
    h5_put(first, "cam/ROI_0_area", H5T_NATIVE_FLOAT, H5_SHAPE(N), frames);
    fails(XANI_ERR_INPUT, "frames (event, y, x)");
    h5_drop(first, "cam/ROI_0_area");
    h5_put(first, "cam/ROI_1_area", H5T_NATIVE_FLOAT, H5_SHAPE(N, NY, NX), frames);
    fails(XANI_ERR_INPUT, "the nearest name is cam/ROI_1_area");
}
END_TEST

START_TEST(test_missing_readings)
{
    // NaN and -99999, also what is left of it in unsigned numbers, are no readings; sums need all columns.
    unsigned u[N] = {1, 2, 3, 4, (unsigned)-99999, 6, 7, 8};
    int64_t columns[N * 2];
    for (int i = 0; i < 2 * N; i++) columns[i] = i / 2 == 3 ? -99999 : 5;
    h5_put(first, "ipm2/u", H5T_NATIVE_UINT, H5_SHAPE(N), u);
    h5_put(first, "ipm2/columns", H5T_NATIVE_INT64, H5_SHAPE(N, 2), columns);
    static const struct {
        const char *i0;
        int missing;
    } cases[] = {{"ipm2/u", 4}, {"sum(ipm2/columns)", 3}, {"ipm2/columns[1]", 3}, {"ipm2/sum", -1}};
    for (int k = 0; k < 4; k++) {
        char text[100];
        snprintf(text, sizeof text, "input.i0=%s", cases[k].i0);
        ck_assert_int_eq(xani_config_assign(ctx, config, text), XANI_OK);
        xn_source *s = opened();
        ck_assert_int_eq(count(&s->shots, XN_CUT_JOIN), cases[k].missing >= 0);
        if (cases[k].missing >= 0) ck_assert_int_eq(s->shots.verdict[cases[k].missing], XN_CUT_JOIN);
        xn_source_close(&s);
    }
    h5_put(first, "ipm2/sum", H5T_NATIVE_DOUBLE, H5_SHAPE(N - 2), (double[N]){0});
    fails(XANI_ERR_INPUT, "ipm2/sum has 6 rows, there are 8 events");
}
END_TEST

START_TEST(test_offsets)
{
    // A reading that stands a shot late belongs to the event before; to none where that was lost.
    int64_t t[N];
    memcpy(t, times, sizeof t);
    for (int i = 4; i < N; i++) t[i] = times[i] + 2 * 8333333; // two events are lost
    h5_put(first, "event_time", H5T_NATIVE_INT64, H5_SHAPE(N), t);
    ck_assert_int_eq(xani_config_assign(ctx, config, "input.offsets=[{source: ipm2/sum, shots: -1}]"), XANI_OK);
    xn_source *s = opened();
    for (int i = 0; i < N; i++) {
        bool there = i != 3 && i != N - 1;
        ck_assert_int_eq(s->shots.verdict[i], there ? XN_CUT_NONE : XN_CUT_JOIN);
        if (there) ck_assert_double_eq_tol(s->shots.i0[i], 1.0 + 0.1 * (i + 1), 1e-12);
    }
    xn_source_close(&s);
}
END_TEST

START_TEST(test_presets)
{
    // Codes by hutch and generation; roles by path, in the order of preference.
    ck_assert_int_eq(xn_lcls_hutch_codes("/a/xppx1_Run0001.h5", false)->drop[0], 91);
    ck_assert_int_eq(xn_lcls_hutch_codes("/a/xppl1_Run0001.h5", true)->drop[0], 89);
    ck_assert_int_eq(xn_lcls_hutch_codes("ldat_mecx_Run001.h5", false)->required[0], 182);
    ck_assert_int_eq(xn_lcls_hutch_codes("mfxx_Run001.h5", true)->required[0], 203);
    ck_assert_ptr_null(xn_lcls_hutch_codes("/xpp/run.h5", false));
    const xn_lcls_role *scan = xn_lcls_role_of("scan/lxt_ttc"), *encoder = xn_lcls_role_of("enc/lasDelay");
    ck_assert(scan != NULL && encoder != NULL && scan < encoder && encoder < xn_lcls_role_of("epics/lxt"));
    ck_assert_double_eq(scan->scale_ps, 1e12);
    ck_assert_int_eq(xn_lcls_role_of("ipm_dg2/sum")->role, XN_ROLE_I0);
    ck_assert_int_eq(xn_lcls_role_of("tt/ttCorr")->role, XN_ROLE_EDGE);
    ck_assert_ptr_null(xn_lcls_role_of("ipm2/xpos"));
    ck_assert_ptr_null(xn_lcls_role_of(""));
}
END_TEST

// A mask of the whole detector, of which the frames are a corner.
static void put_region(const char *path, const int64_t bounds[4])
{
    int mask[(NY + 1) * (NX + 2)];
    for (int i = 0; i < (NY + 1) * (NX + 2); i++) mask[i] = i != NX + 3; // row 1, column 1
    h5_put(path, "UserDataCfg/cam/mask", H5T_NATIVE_INT, H5_SHAPE(NY + 1, NX + 2), mask);
    h5_put(path, "UserDataCfg/cam/ROI_0__ROI_0_bound", H5T_NATIVE_INT64, H5_SHAPE(2, 2), bounds);
}

START_TEST(test_region)
{
    // The detector's mask is cut to the region by its bounds; bounds that do not give the frames' shape serve nothing.
    put_region(first, (int64_t[4]){2, 2 + NY, 0, NX}); // the end beyond the detector: at its edge
    fails(XANI_ERR_INPUT, "the mask has shape (3, 5)");
    put_region(first, (int64_t[4]){0, NY, 1, 1 + NX});
    xn_source *s = opened();
    for (int p = 0; p < PLANE; p++) ck_assert_int_eq(s->mask[p] != 0, p == NX); // row 1, column 0 of the region
    xn_source_close(&s);
    put_region(first, (int64_t[4]){NY, 0, 1 + NX, 1}); // either order
    s = opened();
    ck_assert_uint_ne(s->mask[NX], 0);
    xn_source_close(&s);
    put_region(first, (int64_t[4]){0, 0, 1, 4});
    fails(XANI_ERR_INPUT, "the mask has shape");
    put_region(first, (int64_t[4]){-1, 1, 1, 4});
    fails(XANI_ERR_INPUT, "the mask has shape");
    char detector[64], region[64];
    ck_assert(xn_lcls_region_name("a/ROI_0_area", detector, region));
    ck_assert_str_eq(detector, "a");
    ck_assert_str_eq(region, "ROI_0");
    ck_assert(!xn_lcls_region_name("a/_area", detector, region) &&
              !xn_lcls_region_name("ROI_0_area", detector, region));
    ck_assert(!xn_lcls_region_name("intg/a/ROI_0_area", detector, region));
}
END_TEST

// Opens with each allocation failing in turn: told as memory, never a crash or a leak.
static void no_memory_opening(void)
{
    int unharmed = 0;
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_source *s = NULL;
        no_memory_begin(&n);
        xani_status st = xn_source_open(ctx, config, -1, &s);
        no_memory_end();
        if (st != XANI_OK) ck_assert_msg(st == XANI_ERR_MEMORY, "allocation %d: %s", (int)n.at, xani_error_text(ctx));
        unharmed += n.reached && st == XANI_OK;
        xn_source_close(&s);
        xn_clear_error(ctx);
    }
    ck_assert_int_le(unharmed, 3); // the steps of ids, on which only counts hang
    ck_assert_uint_gt(n.at, 60);
}

START_TEST(test_no_memory)
{
    h5_put(first, "damage/cam", H5T_NATIVE_INT, H5_SHAPE(N), (int[N]){1, 1, 1, 1, 1, 1, 1, 1});
    put_region(first, (int64_t[4]){0, NY, 1, 1 + NX});
    no_memory_opening();
    configure("lcls2_smalldata", "rixx_Run0001.h5", "{codes: [203]}");
    no_memory_opening();
}
END_TEST

START_TEST(test_no_memory_recognising)
{
    // info and init: an answer, or an error; what could not be read is not taken for something else.
    const char *paths[] = {first, second};
    for (int k = 0; k < 4; k++) {
        const char *layout = k / 2 ? "lcls2_smalldata" : "lcls_smalldata";
        no_memory n = NO_MEMORY;
        for (; n.reached; no_memory_next(&n)) {
            char *text = NULL;
            no_memory_begin(&n);
            xani_status st =
                k % 2 ? xn_source_init(ctx, &paths[k / 2], 1, &text) : xn_source_info(ctx, &paths[k / 2], 1, &text);
            no_memory_end();
            ck_assert((st == XANI_OK) == (text != NULL));
            if (st != XANI_OK) ck_assert(xani_error_text(ctx)[0] != '\0');
            if (!n.reached) ck_assert(st == XANI_OK && strstr(text, layout) != NULL);
            xn_free(text);
            xn_clear_error(ctx);
        }
        ck_assert_uint_gt(n.at, 100);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_plain);
    tcase_add_test(t, test_ids);
    tcase_add_test(t, test_laser);
    tcase_add_test(t, test_frames_not_there);
    tcase_add_test(t, test_missing_readings);
    tcase_add_test(t, test_offsets);
    tcase_add_test(t, test_presets);
    tcase_add_test(t, test_region);
    tcase_add_test(t, test_no_memory);
    tcase_add_test(t, test_no_memory_recognising);
}

XN_TEST_MAIN("lcls", add)
