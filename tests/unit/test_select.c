// SPDX-License-Identifier: BSD-3-Clause
// test_select.c -- every cut refuses what it should and nothing else, and the cut-flow adds up.
#include "no_memory.h"
#include "said_context.h"

#include "data/source.h"
#include "reduce/internal.h"

#define BINS "reduce: {delay_bins_ps: {start: 0, stop: 4.16, step: 0.04}}\n"

static xn_config *parse(const char *yaml)
{
    xn_config *c = NULL;
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", ".", &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
    return c;
}

// n shots, every fourth laser-off, I0 1 .. n / 10, delays inside the bins.
static void make(int64_t n, xn_shots *s)
{
    ck_assert_int_eq(xn_shots_alloc(ctx, n, 2, s), XANI_OK);
    s->extra_name[0] = xn_strdup("tool");
    s->extra_name[1] = xn_strdup("valve");
    for (int64_t i = 0; i < n; i++) {
        s->pulse_id[i] = 100 + (uint64_t)i;
        s->frame[i] = i;
        s->laser[i] = i % 4 == 3 ? XN_LASER_OFF : XN_LASER_ON;
        s->i0[i] = 1 + 0.1 * (double)(i % 10);
        s->delay_ps[i] = s->laser[i] == XN_LASER_ON ? 0.04 * (double)(i % 104) + 0.02 : NAN;
        s->extra[0][i] = s->laser[i] == XN_LASER_ON ? 1 : NAN;
        s->extra[1][i] = (double)i;
    }
}

typedef struct selected {
    xani_status status;
    xn_cutflow flow;
    double *edges;
    int nbins;
} selected;

static selected run(const char *yaml, xn_shots *s)
{
    selected out = {0};
    xn_config *c = parse(yaml);
    out.status = xn_select(ctx, c, s, &out.flow, &out.edges, &out.nbins);
    xani_config_destroy(&c);
    return out;
}

static void drop(selected *r, xn_shots *s)
{
    xn_cutflow_free(&r->flow);
    xn_free(r->edges);
    xn_shots_free(s);
}

static int row_of(const xn_cutflow *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->name[i], name) == 0) return i;
    ck_abort_msg("no row %s", name);
    return -1;
}

START_TEST(test_order_and_cutflow)
{
    // Each shot carries the first cut that refused it; each row counts what is left by class; laser-off shots pass
    // the time tool although it saw nothing, and have no bin.
    xn_shots s;
    make(400, &s);
    s.verdict[0] = XN_CUT_JOIN;
    s.verdict[1] = XN_CUT_BAD_FRAME;
    s.verdict[3] = XN_CUT_DARK; // off
    s.laser[4] = XN_LASER_UNKNOWN;
    s.i0[5] = NAN;
    s.delay_ps[6] = NAN;
    s.i0[7] = -1; // off
    s.i0[8] = 0;
    s.extra[1][9] = NAN;
    s.extra[0][10] = 0.1; // tool
    s.extra[0][12] = NAN;
    s.delay_ps[13] = 4.16;
    s.delay_ps[14] = -0.001;
    s.i0[16] = 99;
    selected r = run(BINS "select: {i0: {min: 0.5, max: 50}, time_tool: {source: tool, min: 0.5}, max_shots: 380,\n"
                          "  cuts: [{source: valve, min: 0, max: 1e6, name: open}]}\n",
                     &s);
    ck_assert_msg(r.status == XANI_OK, "%s", xani_error_text(ctx));
    static const struct {
        int shot, verdict;
    } expected[] = {{0, XN_CUT_JOIN},
                    {1, XN_CUT_BAD_FRAME},
                    {3, XN_CUT_DARK},
                    {4, XN_CUT_LASER},
                    {5, XN_CUT_NAN},
                    {6, XN_CUT_NAN},
                    {7, XN_CUT_I0},
                    {8, XN_CUT_I0},
                    {9, XN_CUT_CUSTOM},
                    {10, XN_CUT_TIME_TOOL},
                    {12, XN_CUT_TIME_TOOL},
                    {13, XN_CUT_BIN},
                    {14, XN_CUT_BIN},
                    {16, XN_CUT_I0},
                    {2, 0},
                    {11, 0},
                    {399, XN_CUT_MAX_SHOTS}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        ck_assert_int_eq(s.verdict[expected[i].shot], expected[i].verdict);
    static const struct {
        const char *name;
        int on, off, unknown;
    } rows[] = {{"seen", 299, 100, 1},          {"join", 298, 100, 1},    {"modules", 298, 100, 1},
                {"good frame", 297, 100, 1},    {"X-rays", 297, 99, 1},   {"laser known", 297, 99, 0},
                {"values present", 295, 99, 0}, {"I0", 293, 98, 0},       {"open", 292, 98, 0},
                {"time tool", 290, 98, 0},      {"delay bin", 288, 98, 0}};
    ck_assert_int_eq(r.flow.n, 12);
    for (int i = 0; i < 11; i++) {
        ck_assert_str_eq(r.flow.name[i], rows[i].name);
        ck_assert_int_eq(r.flow.on_left[i], rows[i].on);
        ck_assert_int_eq(r.flow.off_left[i], rows[i].off);
        ck_assert_int_eq(r.flow.unknown_left[i], rows[i].unknown);
    }
    ck_assert_int_eq(r.flow.on_left[11] + r.flow.off_left[11], 380);
    for (int64_t i = 0; i < s.n; i++) {
        bool in = s.verdict[i] == 0 && s.laser[i] == XN_LASER_ON;
        ck_assert_int_eq(s.bin[i] >= 0, in);
        if (in) ck_assert_int_eq(s.bin[i], (int)floor(s.delay_ps[i] / 0.04));
    }
    drop(&r, &s);
}
END_TEST

START_TEST(test_off_shots_never_meet_the_time_tool)
{
    // Whatever the time tool says on laser-off shots, none of them is refused by it (science.md S6).
    static const double value[] = {NAN, 0, -5, 1e9};
    for (int k = 0; k < 4; k++) {
        xn_shots s;
        make(200, &s);
        for (int64_t i = 3; i < 200; i += 4) s.extra[0][i] = value[k];
        selected r =
            run(BINS "select: {time_tool: [{source: tool, min: 0.5, max: 2}, {source: tool, min: 0.1}]}\n", &s);
        ck_assert_int_eq(r.status, XANI_OK);
        ck_assert_int_eq(r.flow.off_left[r.flow.n - 1], 50);
        drop(&r, &s);
    }
}
END_TEST

START_TEST(test_i0_windows)
{
    // Percentiles are NumPy's (linear), over shots with I0 above 0; MAD is scaled to a standard deviation.
    xn_shots s;
    make(404, &s);
    for (int64_t i = 0; i < 404; i++) s.i0[i] = i < 3 ? -1 : (double)(i - 2); // 1 .. 401
    selected r = run(BINS "select: {i0: {percentile: [10, 90]}}\n", &s);
    ck_assert_int_eq(r.status, XANI_OK);
    for (int64_t i = 0; i < 404; i++) ck_assert_int_eq(s.verdict[i] == XN_CUT_I0, !(s.i0[i] >= 41 && s.i0[i] <= 361));
    drop(&r, &s);
    make(404, &s);
    for (int64_t i = 0; i < 404; i++) s.i0[i] = i < 3 ? NAN : (double)(i - 2);
    r = run(BINS "select: {i0: {mad: 1}}\n", &s); // median 201, MAD 100
    ck_assert_int_eq(r.status, XANI_OK);
    for (int64_t i = 3; i < 404; i++) ck_assert_int_eq(s.verdict[i] == XN_CUT_I0, fabs(s.i0[i] - 201) > 148.26022);
    drop(&r, &s);
}
END_TEST

START_TEST(test_bins)
{
    // 4.16 / 0.04 is 104 bins; bins are half-open; a remainder of the range is cut and said; edges are searched.
    xn_shots s;
    make(400, &s);
    selected r = run(BINS, &s);
    ck_assert_int_eq(r.nbins, 104);
    ck_assert_double_eq_tol(r.edges[104], 4.16, 1e-12);
    ck_assert_str_eq(said, "");
    drop(&r, &s);
    make(400, &s);
    r = run("reduce: {delay_bins_ps: {start: 0, stop: 4.1, step: 0.4}}\n", &s);
    ck_assert_int_eq(r.nbins, 10);
    ck_assert_ptr_nonnull(strstr(said, "not a whole number of steps"));
    drop(&r, &s);
    make(400, &s);
    s.delay_ps[0] = 0.5;
    s.delay_ps[1] = 1.0;
    s.delay_ps[2] = 3.0;
    s.delay_ps[4] = 2.9999;
    r = run("reduce: {delay_bins_ps: {edges: [0.5, 1, 1.5, 3]}}\n", &s);
    ck_assert_int_eq(r.nbins, 3);
    ck_assert_int_eq(s.bin[0], 0);
    ck_assert_int_eq(s.bin[1], 1);
    ck_assert_int_eq(s.bin[2], -1);
    ck_assert_int_eq(s.bin[4], 2);
    drop(&r, &s);
}
END_TEST

START_TEST(test_equal_count)
{
    // Bins of equal numbers of shots; repeated delays cannot be split and give fewer bins, with a warning.
    xn_shots s;
    make(400, &s);
    for (int64_t i = 0; i < 400; i++)
        if (s.laser[i] == XN_LASER_ON) s.delay_ps[i] = sin((double)i * 1.7) * 3;
    selected r = run("reduce: {delay_bins_ps: {equal_count: 30}}\n", &s);
    ck_assert_int_eq(r.status, XANI_OK);
    ck_assert_int_eq(r.nbins, 30);
    int count[30] = {0};
    for (int64_t i = 0; i < 400; i++)
        if (s.bin[i] >= 0) count[s.bin[i]]++;
    for (int b = 0; b < 30; b++) ck_assert_int_eq(count[b], 10);
    ck_assert_str_eq(said, "");
    drop(&r, &s);
    make(400, &s);
    for (int64_t i = 0; i < 400; i++)
        if (s.laser[i] == XN_LASER_ON) s.delay_ps[i] = (double)(i % 4);
    r = run("reduce: {delay_bins_ps: {equal_count: 30}}\n", &s);
    ck_assert_int_eq(r.status, XANI_OK);
    ck_assert_int_eq(r.nbins, 3);
    ck_assert_ptr_nonnull(strstr(said, "delays repeat; 3 bins instead of 30"));
    drop(&r, &s);
}
END_TEST

START_TEST(test_wrong_sign_is_said)
{
    // Most shots outside the bins, but inside with the other sign: a warning names the key; not so the other way.
    for (int sign = -1; sign <= 1; sign += 2) {
        xn_shots s;
        make(400, &s);
        for (int64_t i = 0; i < 400; i++) s.delay_ps[i] = sign * (s.delay_ps[i] - 0.2 + 0.3) - 0.3; // zero_ps 0.3
        selected r =
            run("input: {delay: {zero_ps: 0.3}}\nreduce: {delay_bins_ps: {start: -0.6, stop: 4, step: 0.04}}\n", &s);
        ck_assert_int_eq(r.status, XANI_OK);
        ck_assert_int_eq(strstr(said, "input.delay.sign may be reversed") != NULL, sign < 0);
        said[0] = '\0';
        drop(&r, &s);
    }
}
END_TEST

static const struct {
    const char *yaml;
    int what; // 1: no off shots; 2: off shots all refused by the valve; 3: no on shots; 4: no shots
    xani_status status;
    const char *text;
} bad[] = {
    {"select: {max_shots: 5}\n", 0, XANI_ERR_CONFIG, "exp.yaml: reduce.delay_bins_ps is missing"},
    {"reduce: {delay_bins_ps: {start: 0, stop: 1}}\n", 0, XANI_ERR_CONFIG, "reduce.delay_bins_ps.step is missing"},
    {"reduce: {delay_bins_ps: {start: 2, stop: 1, step: 0.1}}\n", 0, XANI_ERR_CONFIG, "must be above start"},
    {"reduce: {delay_bins_ps: {start: 0, stop: 1, step: 3}}\n", 0, XANI_ERR_CONFIG, "larger than the range"},
    {"reduce: {delay_bins_ps: {start: 0, stop: 1e6, step: 0.001}}\n", 0, XANI_ERR_CONFIG, "more than 100000 bins"},
    {"reduce: {delay_bins_ps: {edges: [1]}}\n", 0, XANI_ERR_CONFIG, "at least two edges"},
    {"reduce: {delay_bins_ps: {equal_count: 5000}}\n", 0, XANI_ERR_INPUT, "only 300 laser-on shots"},
    {"reduce: {delay_bins_ps: {start: 10, stop: 11, step: 0.1}}\n", 0, XANI_ERR_INPUT,
     "every delay bin is empty: reduce.delay_bins_ps covers 10 to 11 ps"},
    {BINS "select: {cuts: {source: nothing, min: 1}}\n", 0, XANI_ERR_CONFIG, "no reading \"nothing\""},
    {BINS "select: {cuts: {min: 1}}\n", 0, XANI_ERR_CONFIG, "select.cuts[0].source is missing"},
    {BINS "select: {cuts: {source: tool}}\n", 0, XANI_ERR_CONFIG, "select.cuts[0]: has no window: give min, max"},
    {BINS "select: {time_tool: [{source: tool, min: null}]}\n", 0, XANI_ERR_CONFIG,
     "select.time_tool[0]: has no window"},
    {BINS "select: {time_tool: {source: tool, min: 2}}\n", 0, XANI_ERR_INPUT,
     "no laser-on shots are left of 300: the cut \"time tool\" refused the last 300"},
    {BINS, 1, XANI_ERR_INPUT, "no laser-off shots among 400 shots"},
    {BINS "select: {cuts: {source: valve, max: 0}}\n", 2, XANI_ERR_INPUT,
     "no laser-off shots are left of 100: the cut \"valve\" refused the last 100"},
    {BINS, 3, XANI_ERR_INPUT, "no laser-on shots among 400 shots"},
    {BINS, 4, XANI_ERR_INPUT, "no shots in the input"},
    {BINS "select: {max_shots: 3}\n", 0, XANI_ERR_INPUT, "\"max shots\""},
    {BINS "select: {max_shots: 4}\n", 0, XANI_ERR_INPUT, "only one laser-off shot"},
};

START_TEST(test_refusals)
{
    // Each unusable input or setting gives its status and one line that names key, cut or class; nothing leaks out.
    xn_shots s;
    make(bad[_i].what == 4 ? 0 : 400, &s);
    for (int64_t i = 0; i < s.n; i++) {
        if (bad[_i].what == 1) s.laser[i] = XN_LASER_ON, s.delay_ps[i] = 1;
        if (bad[_i].what == 2) s.extra[1][i] = s.laser[i] == XN_LASER_OFF ? 1 : 0;
        if (bad[_i].what == 3) s.laser[i] = i % 2 ? XN_LASER_OFF : XN_LASER_UNKNOWN;
    }
    selected r = run(bad[_i].yaml, &s);
    ck_assert_int_eq(r.status, bad[_i].status);
    ck_assert_msg(strstr(xani_error_text(ctx), bad[_i].text) != NULL, "%s", xani_error_text(ctx));
    ck_assert_ptr_null(r.edges);
    ck_assert_int_eq(r.flow.n, 0);
    drop(&r, &s);
}
END_TEST

START_TEST(test_memory)
{
    // Each allocation fails once: a clean error, and the next run works.
    xn_config *c = parse("reduce: {delay_bins_ps: {equal_count: 7}}\nselect: {i0: {mad: 4}}\n");
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        xn_shots s;
        make(100, &s);
        selected r = {0};
        no_memory_begin(&n);
        r.status = xn_select(ctx, c, &s, &r.flow, &r.edges, &r.nbins);
        no_memory_end();
        ck_assert_int_eq(r.status, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        xn_clear_error(ctx);
        drop(&r, &s);
    }
    xani_config_destroy(&c);
}
END_TEST

START_TEST(test_named_rows)
{
    // A cut without a name goes by its source.
    xn_shots s;
    make(400, &s);
    selected r = run(BINS "select: {cuts: [{source: valve, max: 300}]}\n", &s);
    ck_assert_int_eq(r.status, XANI_OK);
    int row = row_of(&r.flow, "valve");
    ck_assert_int_eq(r.flow.on_left[row] + r.flow.off_left[row], 301);
    drop(&r, &s);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_order_and_cutflow);
    tcase_add_test(t, test_off_shots_never_meet_the_time_tool);
    tcase_add_test(t, test_i0_windows);
    tcase_add_test(t, test_bins);
    tcase_add_test(t, test_equal_count);
    tcase_add_test(t, test_wrong_sign_is_said);
    tcase_add_loop_test(t, test_refusals, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_named_rows);
}
XN_TEST_MAIN("select", add)
