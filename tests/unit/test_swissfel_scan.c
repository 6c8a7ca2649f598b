// SPDX-License-Identifier: BSD-3-Clause
// test_swissfel_scan.c -- readings of SwissFEL runs that stand once per step or change: scan.json, process variables.
#include "no_memory.h"
#include "opened_source.h"
#include "swissfel_run.h"

#define PV "SLAAR-LGEN:DELAY"

static char dir[512], det[600], bs[600], pv[600], scan[600];

static void write_scan(const char *json)
{
    FILE *f = fopen(scan, "w");
    ck_assert_ptr_nonnull(f);
    fputs(json, f);
    fclose(f);
}

static void set_up(void)
{
    char gains[600], pedestals[600];
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    snprintf(dir, sizeof dir, "%s", xn_test_dir("swissfel-scan"));
    snprintf(det, sizeof det, "%s/acq0001." SF_DET ".h5", dir);
    snprintf(bs, sizeof bs, "%s/acq0001.BSDATA.h5", dir);
    snprintf(pv, sizeof pv, "%s/acq0001.PVDATA.h5", dir);
    snprintf(scan, sizeof scan, "%s/scan.json", dir);
    snprintf(gains, sizeof gains, "%s/gains.h5", dir);
    snprintf(pedestals, sizeof pedestals, "%s/pedestal.h5", dir);
    sf_detector(det, 0, SF_SHOTS);
    sf_channels(bs);
    sf_calibration(gains, pedestals);
    h5_make(pv);
    ck_assert_msg(xn_config_parse(ctx, SF_YAML, "exp.yaml", dir, &config) == XANI_OK, "%s", xani_error_text(ctx));
    set("input.scan=scan.json");
    set("input.delay={sign: 1, parts: [{source: scan/delay}]}");
    set("select.time_tool=null");
}

static void fails(const char *text)
{
    xn_source_close(&source);
    xani_status st = xn_source_open(ctx, config, -1, &source);
    ck_assert_msg(st == XANI_ERR_INPUT, "status %d: %s", st, xani_error_text(ctx));
    ck_assert_msg(strstr(xani_error_text(ctx), text) != NULL, "\"%s\" is not in \"%s\"", text, xani_error_text(ctx));
    xn_clear_error(ctx);
}

// Delay of every laser-on shot of a table; NaN stands for a shot that the join refuses.
static void delays(const xn_shots *s, double (*want)(int shot))
{
    ck_assert_int_eq(s->n, SF_SHOTS);
    for (int i = 0; i < SF_SHOTS; i++) {
        if (!sf_laser(i)) continue;
        double d = want(i);
        ck_assert_msg(isnan(d) ? s->verdict[i] == XN_CUT_JOIN : fabs(s->delay_ps[i] - d) < 1e-12 && s->verdict[i] == 0,
                      "shot %d: %g, verdict %d, not %g", i, s->delay_ps[i], s->verdict[i], d);
    }
}

static double two_steps(int shot) { return shot < 12 ? 1.5 : -2.5; }
static double second_only(int shot) { return shot < 12 ? NAN : -2.5; }
static double read_back(int shot) { return shot < 12 ? 1.25 : -2.25; }
static double step(int shot) { return shot < 12 ? 0 : 1; }

#define RANGES "\"pulseIds\": [[1000, 1022], [1024, 1046]]"
#define VALUES "\"scan_values\": [[1.5, 7], [-2.5, 8]], \"scan_readbacks\": [[1.25], [-2.25]]"

START_TEST(test_steps)
{
    // Values, values read back and numbers of steps, by name or Id; names and numbers that are no lists of lists.
    write_scan("{\"scan_parameters\": {\"name\": [\"delay\", \"other\"], \"Id\": [\"A:B\", \"C\"]}, " VALUES ", " RANGES
               "}");
    delays(opens(), two_steps);
    set("input.delay.parts=[{source: 'scan/A:B'}]");
    delays(opens(), two_steps);
    set("input.delay.parts=[{source: scan_readback/delay}]");
    delays(opens(), read_back);
    set("input.delay.parts=[{source: scan/step}]");
    delays(opens(), step);
    set("input.delay.parts=[{source: scan/C, origin: 7}]");
    delays(opens(), step);
    set("input.delay.parts=[{source: scan_readback/other}]"); // was not read back: NaN, which is no missing reading
    ck_assert(isnan(opens()->delay_ps[0]));
    set("input.delay.parts=[{source: scan/dely}]");
    fails("nearest name is delay");
    set("input.delay.parts=[{source: scan/delay}]");
    write_scan("{\"scan_parameters\": {\"name\": \"delay\"}, \"scan_values\": [1.5, -2.5], " RANGES "}");
    delays(opens(), two_steps);
    set("input.delay.parts=[{source: scan_readback/delay}]");
    fails("scan_readbacks");
}
END_TEST

START_TEST(test_ranges)
{
    // Frames of no step have no reading; ranges and files that tell nothing are named.
    write_scan("{\"scan_parameters\": {\"Id\": [\"delay\"]}, " VALUES ", \"pulseIds\": [[1, 2], [1024, 1046]]}");
    delays(opens(), second_only);
    write_scan("{\"scan_parameters\": {\"name\": [\"delay\"]}, " VALUES ", \"pulseIds\": [[5, 2], [1024, 1046]]}");
    fails("pulseIds of step 0");
    write_scan("{\"scan_parameters\": {\"name\": [\"delay\"]}, " VALUES ", \"pulseIds\": [[1, 2]]}");
    fails("has no readings");
    write_scan("{\"scan_parameters\": {\"name\": [\"delay\"]}, " VALUES "}");
    fails("neither pulseIds nor scan_files");
    write_scan("{\"scan_parameters\": {\"name\": [\"delay\"]}, " RANGES "}");
    fails("scan_values");
    write_scan("[1, 2");
    fails("is no JSON");
    unlink(scan);
    fails("scan.json");
    write_scan("{\"scan_parameters\": {\"name\": [\"delay\"]}, \"scan_values\": [[0], [1.5]], "
               "\"scan_files\": [[\"x/acq0009.BSDATA.h5\"], [\"x/acq0001.BSDATA.h5\", 7]]}");
    ck_assert_double_eq(opens()->delay_ps[20], 1.5);
}
END_TEST

// ---- process variables

static void write_slow(int n, const int64_t *ns, const double *value)
{
    uint64_t id[SF_SHOTS];
    int64_t times[SF_SHOTS];
    for (int i = 0; i < SF_SHOTS; i++) { // pulses are 10 ms apart; the channel is stored backwards
        id[i] = sf_pulse(SF_SHOTS - 1 - i);
        times[i] = 1700000000000000000 + 10000000 * (int64_t)(id[i] - 1000);
    }
    h5_put(bs, "data/" SF_I0 "/timestamp", H5T_NATIVE_INT64, H5_SHAPE(SF_SHOTS), times);
    h5_put(bs, "data/" SF_I0 "/pulse_id", H5T_NATIVE_UINT64, H5_SHAPE(SF_SHOTS), id);
    h5_put(pv, PV "/data", H5T_NATIVE_DOUBLE, H5_SHAPE((hsize_t)n), value);
    h5_put(pv, PV "/timestamp", H5T_NATIVE_INT64, H5_SHAPE((hsize_t)n), ns);
    unlink(scan);
    set("input.scan=null");
    set("input.delay.parts=[{source: '" PV "'}]");
}

#define AT(pulse) (1700000000000000000 + 10000000 * (int64_t)(pulse)-3000000)

START_TEST(test_slow)
{
    // A variable holds from its change to the next, in any stored order; before the first there is none.
    write_slow(2, (int64_t[]){AT(24), AT(-1000)}, (double[]){-2.5, 1.5});
    delays(opens(), two_steps);
    write_slow(1, (int64_t[]){AT(24)}, (double[]){-2.5});
    delays(opens(), second_only);
    write_slow(1, (int64_t[]){AT(10000)}, (double[]){1});
    fails("has no readings");
    h5_put(pv, PV "/timestamp", H5T_NATIVE_INT64, H5_SHAPE(3), (int64_t[]){1, 2, 3});
    fails("3 entries");
    write_slow(1, (int64_t[]){AT(0)}, (double[]){1});
    h5_drop(bs, "data/" SF_I0 "/timestamp");
    fails("no channel of the other files has timestamps");
    h5_drop(pv, PV);
    fails(PV);
}
END_TEST

START_TEST(test_no_memory)
{
    // Whichever allocation fails, opening says so and leaves nothing behind.
    for (int slow = 0; slow < 2; slow++) {
        write_scan("{\"scan_parameters\": {\"name\": [\"delay\"]}, " VALUES ", " RANGES "}");
        if (slow) write_slow(2, (int64_t[]){AT(24), AT(-1000)}, (double[]){-2.5, 1.5});
        xani_status st = XANI_OK;
        no_memory n = NO_MEMORY;
        for (; n.reached; no_memory_next(&n)) {
            xn_source_close(&source);
            no_memory_begin(&n);
            st = xn_source_open(ctx, config, -1, &source);
            no_memory_end();
            if (st != XANI_OK)
                ck_assert_msg(st == XANI_ERR_MEMORY, "allocation %d: %s", (int)n.at, xani_error_text(ctx));
            xn_clear_error(ctx);
        }
        ck_assert_int_eq(st, XANI_OK);
        ck_assert_uint_ge(n.at, 60);
        delays(&source->shots, two_steps);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_steps);
    tcase_add_test(t, test_ranges);
    tcase_add_test(t, test_slow);
    tcase_add_test(t, test_no_memory);
}

XN_TEST_MAIN("swissfel scan", add)
