// SPDX-License-Identifier: BSD-3-Clause
// test_swissfel.c -- reading SwissFEL runs: the join by pulse id, laser rules, calibration.
#include "no_memory.h"
#include "opened_source.h"
#include "swissfel_run.h"

#include "reader/reader.h"

static char dir[512], det[600], bs[600], gains[600], pedestals[600];

static void configure(const char *yaml)
{
    xani_config_destroy(&config);
    ck_assert_msg(xn_config_parse(ctx, yaml, "exp.yaml", dir, &config) == XANI_OK, "%s", xani_error_text(ctx));
}

static void write_all(void)
{
    sf_detector(det, 0, SF_SHOTS);
    sf_channels(bs);
    sf_calibration(gains, pedestals);
}

static void set_up(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("swissfel"));
    snprintf(det, sizeof det, "%s/acq0001." SF_DET ".h5", dir);
    snprintf(bs, sizeof bs, "%s/acq0001.BSDATA.h5", dir);
    snprintf(gains, sizeof gains, "%s/gains.h5", dir);
    snprintf(pedestals, sizeof pedestals, "%s/pedestal.h5", dir);
    write_all();
    configure(SF_YAML);
}

static void fails(xani_status status, const char *text)
{
    xn_source_close(&source);
    xani_status st = xn_source_open(ctx, config, -1, &source);
    ck_assert_msg(st == status, "%d, not %d: %s", st, status, xani_error_text(ctx));
    ck_assert_ptr_null(source);
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    xn_clear_error(ctx);
}

static double delay(int shot)
{
    double tool = 0.01 + 0.002 * shot + 0.0001 * shot * shot;
    return -1 * (6.67 * (-0.1 * shot) - tool) - 0.5;
}

START_TEST(test_join)
{
    // Every frame finds its readings whatever their order; the delay is the contract's formula; laser-off has none.
    const xn_shots *s = opens();
    ck_assert_int_eq(s->n, SF_SHOTS);
    for (int i = 0; i < SF_SHOTS; i++) {
        ck_assert_uint_eq(s->pulse_id[i], sf_pulse(i));
        ck_assert_int_eq(s->frame[i], i);
        ck_assert_int_eq(s->laser[i], sf_laser(i) ? XN_LASER_ON : XN_LASER_OFF);
        ck_assert_double_eq(s->i0[i], 1 + 0.1 * i);
        ck_assert_int_eq(s->verdict[i], XN_CUT_NONE);
        ck_assert_int_eq(s->bin[i], -1);
        if (sf_laser(i))
            ck_assert_double_eq_tol(s->delay_ps[i], delay(i), 1e-12);
        else
            ck_assert(isnan(s->delay_ps[i]));
    }
    ck_assert_int_eq(s->n_extra, 2); // and what the time tool adds
    ck_assert_str_eq(s->extra_name[0], SF_AMPLITUDE);
    ck_assert_double_eq(s->extra[0][2], 1.0);
    ck_assert_double_eq(s->extra[0][3], 0.0);
    ck_assert(isnan(s->time_resolution_ps));
    ck_assert_int_eq(s->missing + s->duplicate + s->unmatched, 0);
    ck_assert_int_eq(source->n_modules, 2);
    ck_assert_int_eq(source->module_rows[1], 4);
    ck_assert_int_eq(source->type, XN_U16);
    ck_assert_int_eq(source->stored_bytes, SF_SHOTS * SF_PLANE * 2);
    uint16_t frame[SF_PLANE];
    void *scratch = xn_alloc(source->scratch_bytes, 1);
    ck_assert_int_eq(source->ops->read_frame(ctx, source, 5, frame, scratch), XANI_OK);
    ck_assert_uint_eq(frame[11], 105);
    xn_free(scratch);
}
END_TEST

static int system_calls;
static int count_calls(void *user, const char *call, const char *path, int64_t offset, size_t bytes)
{
    (void)user, (void)call, (void)path, (void)offset, (void)bytes;
    system_calls++;
    return 0;
}

START_TEST(test_reader)
{
    // engine.reader chooses how frames are read; all ways give the same frame, the library alone no call of ours.
    static const char *const readers[] = {"auto", "pread", "mmap", "library"};
    for (int k = 0; k < 4; k++) {
        char assignment[64];
        uint16_t frame[SF_PLANE];
        snprintf(assignment, sizeof assignment, "engine.reader=%s", readers[k]);
        ck_assert_int_eq(xani_config_assign(ctx, config, assignment), XANI_OK);
        opens();
        system_calls = 0;
        xn_read_set_hook(count_calls, NULL);
        xani_status st = source->ops->read_frame(ctx, source, 5, frame, NULL);
        xn_read_set_hook(NULL, NULL);
        ck_assert_msg(st == XANI_OK, "%s: %s", readers[k], xani_error_text(ctx));
        ck_assert_uint_eq(frame[11], 105);
        ck_assert_int_eq(system_calls == 0, k == 3);
    }
}
END_TEST

START_TEST(test_gaps)
{
    // Only what a shot needs refuses it: I0 all shots, stage, time tool and its windows laser-on shots; NaN is a value.
    const int no_i0[] = {4, 7}, no_stage[] = {8, 11}, no_edge[] = {12, 15}, no_amplitude[] = {16, 19};
    const struct {
        const char *name;
        const int *without;
    } cases[] = {{SF_I0, no_i0}, {SF_STAGE, no_stage}, {SF_EDGE, no_edge}, {SF_AMPLITUDE, no_amplitude}};
    for (int c = 0; c < 4; c++) {
        uint64_t id[SF_SHOTS];
        double value[SF_SHOTS];
        int n = 0;
        for (int i = 0; i < SF_SHOTS; i++) {
            if (i == cases[c].without[0] || i == cases[c].without[1]) continue;
            id[n] = sf_pulse(i);
            value[n++] = c == 0 && i == 2 ? NAN : sf_value(cases[c].name, i);
        }
        sf_channel(bs, cases[c].name, n, id, value);
    }
    const xn_shots *s = opens();
    for (int i = 0; i < SF_SHOTS; i++) {
        bool refused = i == 4 || i == 7 || i == 8 || i == 12 || i == 16; // 11, 15, 19 are laser-off
        ck_assert_msg((s->verdict[i] == XN_CUT_JOIN) == refused, "shot %d", i);
    }
    ck_assert(isnan(s->i0[2]) && s->verdict[2] == XN_CUT_NONE);
    ck_assert(isnan(s->i0[4]));
    ck_assert(isnan(s->delay_ps[8]) && isnan(s->delay_ps[12]));
    ck_assert(isnan(s->extra[0][16]));
}
END_TEST

START_TEST(test_cuts_need_all)
{
    // The source of select.cuts is needed by laser-off shots too (where it is not the time tool's), and is read once
    // when it is asked for twice.
    set("select.time_tool=[]");
    set("select.cuts=[{source: 'SAROP21-ATT01:edge_amplitude', max: 5, name: amplitude}, {source: "
        "'SAROP21-PBPS133:INTENSITY', min: 0}]");
    uint64_t id[SF_SHOTS];
    double value[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) {
        id[i] = i == 19 ? 5 : sf_pulse(i);
        value[i] = sf_value(SF_AMPLITUDE, i);
    }
    sf_channel(bs, SF_AMPLITUDE, SF_SHOTS, id, value);
    const xn_shots *s = opens();
    ck_assert_int_eq(s->n_extra, 3);
    ck_assert_str_eq(s->extra_name[0], SF_AMPLITUDE);
    ck_assert_str_eq(s->extra_name[1], SF_I0);
    ck_assert_double_eq(s->extra[1][6], 1.6);
    for (int i = 0; i < SF_SHOTS; i++) ck_assert_int_eq(s->verdict[i], i == 19 ? XN_CUT_JOIN : XN_CUT_NONE);
}
END_TEST

START_TEST(test_duplicates)
{
    // Equal repeats are one reading, differing ones refuse the shot; ids without a frame and lost frames are counted.
    uint64_t id[SF_SHOTS + 6];
    double value[SF_SHOTS + 6];
    for (int i = 0; i < SF_SHOTS; i++) {
        id[i] = sf_pulse(i);
        value[i] = sf_value(SF_I0, i);
    }
    const struct {
        uint64_t id;
        double value;
    } more[] = {{sf_pulse(3), 1.3},   {sf_pulse(9), 99}, {0, 5},
                {sf_pulse(6) + 1, 1}, {sf_pulse(90), 1}, {sf_pulse(9), 99}};
    for (int i = 0; i < 6; i++) {
        id[SF_SHOTS + i] = more[i].id;
        value[SF_SHOTS + i] = more[i].value;
    }
    value[3] = 1.3;
    sf_channel(bs, SF_I0, SF_SHOTS + 6, id, value);
    uint64_t frame_id[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) frame_id[i] = sf_pulse(i);
    frame_id[14] = 0;           // a frame without id: no row
    frame_id[20] = sf_pulse(2); // a detector id twice: neither is used, and pulse 20 is lost
    h5_put(det, "data/" SF_DET "/pulse_id", H5T_NATIVE_UINT64, H5_SHAPE(SF_SHOTS), frame_id);
    const xn_shots *s = opens();
    ck_assert_int_eq(s->n, SF_SHOTS - 1);
    ck_assert_int_eq(s->duplicate, 3); // pulses 2, 3 and 9, which comes three times
    ck_assert_int_eq(s->missing, 2);   // 14 and 20
    ck_assert_int_eq(s->unmatched, 2); // between two pulses of the detector, and after its end
    for (int64_t i = 0; i < s->n; i++) {
        bool refused = s->pulse_id[i] == sf_pulse(9) || s->pulse_id[i] == sf_pulse(2);
        ck_assert_msg((s->verdict[i] == XN_CUT_JOIN) == refused, "pulse %d", (int)s->pulse_id[i]);
        if (i > 0) ck_assert_uint_ge(s->pulse_id[i], s->pulse_id[i - 1]);
        if (!refused && s->laser[i] == XN_LASER_ON) ck_assert(isfinite(s->delay_ps[i]));
    }
}
END_TEST

START_TEST(test_older_files)
{
    // Channels at the root, their first column, rows marked absent, and a name given as the path of its dataset.
    uint64_t id[SF_SHOTS];
    float two[SF_SHOTS][2];
    uint8_t present[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) {
        id[i] = sf_pulse(i);
        two[i][0] = (float)i + 1;
        two[i][1] = -7;
        present[i] = i != 6;
    }
    char old[600];
    snprintf(old, sizeof old, "%s/acq0001.BSREAD.h5", dir);
    h5_make(old);
    h5_put(old, "OLD:I0/data", H5T_NATIVE_FLOAT, H5_SHAPE(SF_SHOTS, 2), two);
    h5_put(old, "OLD:I0/pulse_id", H5T_NATIVE_UINT64, H5_SHAPE(SF_SHOTS, 1), id);
    h5_put(old, "OLD:I0/is_data_present", H5T_NATIVE_UINT8, H5_SHAPE(SF_SHOTS), present);
    h5_put(old, "pulse_id", H5T_NATIVE_UINT64, H5_SHAPE(SF_SHOTS), id); // stray
    static const char *const names[] = {"OLD:I0", "OLD:I0/data", "/OLD:I0"};
    for (int k = 0; k < 3; k++) {
        char assignment[100];
        snprintf(assignment, sizeof assignment, "input.i0=%s", names[k]);
        set(assignment);
        const xn_shots *s = opens();
        for (int i = 0; i < SF_SHOTS; i++) {
            ck_assert_int_eq(s->verdict[i], i == 6 ? XN_CUT_JOIN : XN_CUT_NONE);
            if (i != 6) ck_assert_double_eq(s->i0[i], i + 1);
        }
    }
    set("input.i0=OLD:I");
    fails(XANI_ERR_INPUT, "the nearest name is OLD:I0");
    unlink(old);
}
END_TEST

START_TEST(test_acquisitions)
{
    // Several files of a run follow one another; frames are counted through; channels come from any file.
    char second[600];
    snprintf(second, sizeof second, "%s/acq0002." SF_DET ".h5", dir);
    sf_detector(det, 10, 14); // the later pulses first: rows follow the pulse ids all the same
    sf_detector(second, 0, 10);
    const xn_shots *s = opens();
    ck_assert_int_eq(s->n, SF_SHOTS);
    for (int i = 0; i < SF_SHOTS; i++) {
        ck_assert_uint_eq(s->pulse_id[i], sf_pulse(i));
        ck_assert_int_eq(s->frame[i], i < 10 ? 14 + i : i - 10);
        ck_assert_int_eq(s->verdict[i], XN_CUT_NONE);
        ck_assert_int_eq(s->laser[i], sf_laser(i) ? XN_LASER_ON : XN_LASER_OFF);
    }
    uint16_t frame[SF_PLANE];
    void *scratch = xn_alloc(source->scratch_bytes, 1);
    ck_assert_int_eq(source->ops->read_frame(ctx, source, s->frame[3], frame, scratch), XANI_OK);
    ck_assert_uint_eq(frame[0], 103);
    xn_free(scratch);
    h5_put(second, "data/" SF_DET "/module_map", H5T_NATIVE_INT64, H5_SHAPE(SF_MODULES), (int64_t[]){1, 0});
    fails(XANI_ERR_INPUT, "module_map changes within the run");
    h5_put(second, "data/" SF_DET "/data", H5T_NATIVE_UINT16, H5_SHAPE(10, 4, 6), (uint16_t[240]){0});
    fails(XANI_ERR_INPUT, "acq0002." SF_DET ".h5: data/" SF_DET "/data is uint16 (10, 4, 6)");
    unlink(second);
}
END_TEST

START_TEST(test_laser_rules)
{
    // All rules tell the same laser state; a missing event set refuses the shot, a drop code calls it dark.
    static const char *const rules[] = {"daq_rec", "evtset20", "evtset25", "{codes: [20, 21]}", "'ON'"};
    uint64_t id[SF_SHOTS];
    double on[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) {
        id[i] = sf_pulse(i);
        on[i] = sf_laser(i);
    }
    sf_channel(bs, "ON", SF_SHOTS, id, on);
    for (int r = 0; r < 5; r++) {
        char assignment[100];
        snprintf(assignment, sizeof assignment, "input.laser=%s", rules[r]);
        set(assignment);
        const xn_shots *s = opens();
        for (int i = 0; i < SF_SHOTS; i++) ck_assert_int_eq(s->laser[i], sf_laser(i) ? XN_LASER_ON : XN_LASER_OFF);
    }
    set("input.laser={codes: [20], drop: [30]}");
    const xn_shots *s = opens();
    for (int i = 0; i < SF_SHOTS; i++) ck_assert_int_eq(s->verdict[i], i == 5 ? XN_CUT_DARK : XN_CUT_NONE);
    set("input.laser=ON");
    on[6] = NAN;
    id[7] = 3;
    sf_channel(bs, "ON", SF_SHOTS, id, on);
    s = opens();
    ck_assert_int_eq(s->laser[6], XN_LASER_UNKNOWN);
    ck_assert_int_eq(s->verdict[6], XN_CUT_NONE); // select refuses it by name
    ck_assert_int_eq(s->laser[7], XN_LASER_UNKNOWN);
    ck_assert_int_eq(s->verdict[7], XN_CUT_JOIN);
    set("input.laser=evtset25");
    h5_put(bs, "data/" SF_EVENTS "/data", H5T_NATIVE_UINT8, H5_SHAPE(SF_SHOTS, 22), (uint8_t[SF_SHOTS * 22]){0});
    fails(XANI_ERR_INPUT, SF_EVENTS "/data has shape (24, 22); column 25 does not exist");
    h5_drop(bs, "data/" SF_EVENTS);
    fails(XANI_ERR_INPUT, "channel " SF_EVENTS);
    set("input.laser=daqrec");
    fails(XANI_ERR_INPUT, "channel daqrec");
    set("input.laser=null");
    fails(XANI_ERR_CONFIG, "input.laser is missing");
}
END_TEST

START_TEST(test_daq_rec)
{
    // Bit 17 is a dark shot, a module that was off (0) does not count, modules that disagree leave the state unknown.
    uint32_t daq[SF_SHOTS * 2];
    for (int i = 0; i < SF_SHOTS; i++) daq[2 * i] = daq[2 * i + 1] = 1u << 16 | 1u << 18;
    daq[2 * 4] |= 1u << 17;
    daq[2 * 4 + 1] |= 1u << 17;
    daq[2 * 5] = 0;
    daq[2 * 6] = 1u << 18;
    h5_put(det, "data/" SF_DET "/daq_rec", H5T_NATIVE_UINT32, H5_SHAPE(SF_SHOTS, 2), daq);
    uint8_t good[SF_SHOTS * 2];
    for (int i = 0; i < SF_SHOTS * 2; i++) good[i] = i != 2 * 9 + 1;
    h5_put(det, "data/" SF_DET "/is_good_frame", H5T_NATIVE_UINT8, H5_SHAPE(SF_SHOTS, 2), good);
    const xn_shots *s = opens();
    for (int i = 0; i < SF_SHOTS; i++) {
        ck_assert_int_eq(s->laser[i], i == 6 ? XN_LASER_UNKNOWN : XN_LASER_ON);
        int verdict = i == 4 ? XN_CUT_DARK : i == 9 ? XN_CUT_BAD_FRAME : XN_CUT_NONE;
        ck_assert_int_eq(s->verdict[i], verdict);
    }
    h5_drop(det, "data/" SF_DET "/daq_rec");
    fails(XANI_ERR_INPUT, "there is no data/" SF_DET "/daq_rec, which input.laser: daq_rec needs");
    h5_put(det, "data/" SF_DET "/daq_rec", H5T_NATIVE_UINT32, H5_SHAPE(SF_SHOTS - 1, 2), daq);
    fails(XANI_ERR_INPUT, "daq_rec is uint32 (23, 2); whole numbers for each of the 24 frames are needed");
    h5_put(det, "data/" SF_DET "/daq_rec", H5T_NATIVE_DOUBLE, H5_SHAPE(SF_SHOTS), (double[SF_SHOTS]){0});
    fails(XANI_ERR_INPUT, "daq_rec is float64 (24)");
}
END_TEST

START_TEST(test_input_errors)
{
    // Each defect of the input names file, dataset or channel, and the nearest name where a name is wrong.
    set("input.i0=SAROP21-PBPS133:INTENSTY");
    fails(XANI_ERR_INPUT, "has channel SAROP21-PBPS133:INTENSTY; the nearest name is " SF_I0);
    set("input.i0=" SF_I0);
    set("input.frames=JF07T02V02");
    fails(XANI_ERR_INPUT, "JF07T02V02; the nearest name is " SF_DET);
    set("input.frames=" SF_I0);
    fails(XANI_ERR_INPUT, "data is float64 (24); frames (n, y, x) of numbers are needed");
    set("input.frames=null"); // the only detector is found
    ck_assert_int_eq(opens()->n, SF_SHOTS);
    set("input.frames=" SF_DET);
    uint64_t id[SF_SHOTS];
    double value[SF_SHOTS] = {0};
    for (int i = 0; i < SF_SHOTS; i++) id[i] = 900000 + (uint64_t)i;
    sf_channel(bs, SF_I0, SF_SHOTS, id, value);
    fails(XANI_ERR_INPUT, "pulse ids do not overlap: " SF_I0 " has 900000 ... 900023");
    sf_channel(bs, SF_I0, 0, id, value);
    fails(XANI_ERR_INPUT, "channel " SF_I0 " has no readings");
    h5_put(bs, "data/" SF_I0 "/data", H5T_C_S1, 0, NULL, "text");
    fails(XANI_ERR_INPUT, SF_I0 "/data has type string; a number per shot is needed");
    h5_put(bs, "data/" SF_I0 "/data", H5T_NATIVE_FLOAT, H5_SHAPE(1, 2, 3), (float[6]){0});
    fails(XANI_ERR_INPUT, SF_I0 "/data has shape (1, 2, 3); one number per shot is needed");
    h5_put(bs, "data/" SF_I0 "/data", H5T_NATIVE_FLOAT, H5_SHAPE(2), (float[2]){0});
    fails(XANI_ERR_INPUT, SF_I0 "/pulse_id is uint64 (0); whole numbers, one for each of the 2 rows");
    write_all();
    h5_put(det, "data/" SF_DET "/pulse_id", H5T_NATIVE_UINT64, H5_SHAPE(SF_SHOTS), (uint64_t[SF_SHOTS]){0});
    fails(XANI_ERR_INPUT, "no frame has an id");
    sf_detector(det, 0, 0);
    fails(XANI_ERR_INPUT, "holds no frames");
    write_all();
    ck_assert_int_eq(truncate(det, 4000), 0);
    fails(XANI_ERR_INPUT, "acq0001." SF_DET ".h5");
}
END_TEST

START_TEST(test_configuration_errors)
{
    // What no file can know is asked for with its reason; contradictions are told apart from bad files.
    static const struct {
        const char *key, *text;
    } missing[] = {{"input.delay.sign", "input.delay.sign is missing: no file says"},
                   {"input.i0", "input.i0 is missing"},
                   {"input.delay.time_tool.coefficients_ps", "coefficients_ps is missing"},
                   {"input.delay.time_tool.source", "input.delay.time_tool.source is missing"},
                   {"experiment.energy_kev", "experiment.energy_kev is missing"},
                   {"input.calibration.gain", "input.calibration.gain is missing"},
                   {"input.calibration.pedestal", "input.calibration.pedestal is missing"},
                   {"input.calibration", "raw frames need pedestal and gain files"},
                   {"input.delay.parts[0].source", "input.delay.parts[0].source is missing"},
                   {"select.time_tool.source", "source is missing"}};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        char assignment[200];
        configure(SF_YAML);
        snprintf(assignment, sizeof assignment, "%s=null", missing[i].key);
        set(assignment);
        fails(XANI_ERR_CONFIG, missing[i].text);
    }
    configure(SF_YAML);
    set("input.delay={sign: 1}");
    fails(XANI_ERR_CONFIG, "input.delay.parts is missing");
}
END_TEST

START_TEST(test_time_tool_alone)
{
    // A delay of several parts without time tool, and one of a time tool alone; NaN readings give NaN.
    set("input.delay={sign: 1, zero_ps: -2, parts: [{source: 'SLAAR21-LMOT-M523:MOTOR_1.VAL', scale_ps: 2}, {source: "
        "'SAROP21-PBPS133:INTENSITY', scale_ps: -3, origin: 1}]}");
    const xn_shots *s = opens();
    ck_assert_double_eq_tol(s->delay_ps[10], 2 * 149 - 3 * 1.0 + 2, 1e-12);
    set("input.delay={sign: -1, time_tool: {source: 'SAROP21-ATT01:edge_position', coefficients_ps: [0.5]}}");
    double value[SF_SHOTS];
    uint64_t id[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) {
        id[i] = sf_pulse(i);
        value[i] = i == 8 ? NAN : 1;
    }
    sf_channel(bs, SF_EDGE, SF_SHOTS, id, value);
    s = opens();
    ck_assert_double_eq(s->delay_ps[10], -0.5);
    ck_assert(isnan(s->delay_ps[8]) && s->verdict[8] == XN_CUT_NONE);
}
END_TEST

START_TEST(test_no_memory)
{
    // Whichever allocation fails, opening says so and leaves nothing behind.
    set("input.laser={codes: [20], drop: [30]}");
    xani_status st = XANI_OK;
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        xn_source_close(&source);
        no_memory_begin(&n);
        st = xn_source_open(ctx, config, -1, &source);
        no_memory_end();
        if (st != XANI_OK) ck_assert_msg(st == XANI_ERR_MEMORY, "allocation %d: %s", (int)n.at, xani_error_text(ctx));
        xn_clear_error(ctx);
    }
    ck_assert_int_eq(st, XANI_OK);
    ck_assert_uint_ge(n.at, 60);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_join);
    tcase_add_test(t, test_reader);
    tcase_add_test(t, test_gaps);
    tcase_add_test(t, test_cuts_need_all);
    tcase_add_test(t, test_duplicates);
    tcase_add_test(t, test_older_files);
    tcase_add_test(t, test_acquisitions);
    tcase_add_test(t, test_laser_rules);
    tcase_add_test(t, test_daq_rec);
    tcase_add_test(t, test_input_errors);
    tcase_add_test(t, test_configuration_errors);
    tcase_add_test(t, test_time_tool_alone);
    tcase_add_test(t, test_no_memory);
}

XN_TEST_MAIN("swissfel", add)
