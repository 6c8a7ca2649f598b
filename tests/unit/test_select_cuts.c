// SPDX-License-Identifier: BSD-3-Clause
// test_select_cuts.c -- windows by percentile and MAD, two monitors, named sets; whatever is cut, the counts balance.
#include "no_memory.h"
#include "said_context.h"

#include "core/rng.h"
#include "reduce/internal.h"
#include "reduce/windows.h"

#define BINS "reduce: {delay_bins_ps: {start: 0, stop: 4, step: 0.04}}\n"
enum { TOOL, A, B, N_EXTRA };

// n shots, every fourth laser-off. Monitor b = 2 a + 0.5 within 1 %; the tool sees laser-on shots only.
static void make(int64_t n, uint64_t seed, xn_shots *s)
{
    static const char *const names[N_EXTRA] = {"tool", "a", "b"};
    xn_rng r;
    xn_rng_init(&r, seed, 1);
    ck_assert_int_eq(xn_shots_alloc(ctx, n, N_EXTRA, s), XANI_OK);
    for (int e = 0; e < N_EXTRA; e++) s->extra_name[e] = xn_strdup(names[e]);
    for (int64_t i = 0; i < n; i++) {
        s->pulse_id[i] = 100 + (uint64_t)i;
        s->frame[i] = i;
        s->laser[i] = i % 4 == 3 ? XN_LASER_OFF : XN_LASER_ON;
        s->i0[i] = 0.5 + xn_rng_uniform(&r);
        s->delay_ps[i] = s->laser[i] == XN_LASER_ON ? 4 * xn_rng_uniform(&r) : NAN;
        s->extra[TOOL][i] = s->laser[i] == XN_LASER_ON ? xn_rng_uniform(&r) : NAN;
        s->extra[A][i] = s->i0[i];
        s->extra[B][i] = 0.5 + 2 * s->i0[i] + 0.01 * xn_rng_normal(&r);
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
    xn_config *c = NULL;
    xani_status st = xn_config_parse(ctx, yaml, "exp.yaml", ".", &c);
    ck_assert_msg(st == XANI_OK, "%s", xani_error_text(ctx));
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

static int64_t count(const xn_shots *s, int verdict, int laser)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) n += s->verdict[i] == verdict && (laser < 0 || s->laser[i] == laser);
    return n;
}

START_TEST(test_percentile_and_mad)
{
    // A cut's percentiles are of all shots that are left, a time-tool window's of the laser-on ones; ends are kept.
    xn_shots s;
    make(804, 1, &s);
    for (int64_t i = 0; i < 804; i++) s.extra[A][i] = i < 2 ? NAN : i < 3 ? INFINITY : (double)(i - 3); // 0 .. 800
    selected r = run(BINS "select: {cuts: {source: a, percentile: [10, 90]}}\n", &s);
    ck_assert_msg(r.status == XANI_OK, "%s", xani_error_text(ctx));
    for (int64_t i = 0; i < 804; i++)
        ck_assert_int_eq(s.verdict[i] == XN_CUT_CUSTOM, !(s.extra[A][i] >= 80 && s.extra[A][i] <= 720));
    drop(&r, &s);

    make(804, 1, &s);
    double on[804];
    int64_t n = 0;
    for (int64_t i = 0; i < 804; i++) {
        s.extra[TOOL][i] = s.laser[i] == XN_LASER_ON ? (double)(i % 50) : 1000; // off shots would spoil the median
        if (s.laser[i] == XN_LASER_ON) on[n++] = s.extra[TOOL][i];
    }
    r = run(BINS "select: {time_tool: {source: tool, mad: 1}}\n", &s);
    ck_assert_int_eq(r.status, XANI_OK);
    double median, sigma = xn_median_spread(on, n, &median);
    ck_assert_double_eq_tol(median, 24.5, 0.6);
    for (int64_t i = 0; i < 804; i++)
        ck_assert_int_eq(s.verdict[i] == XN_CUT_TIME_TOOL,
                         s.laser[i] == XN_LASER_ON && fabs(s.extra[TOOL][i] - median) > sigma);
    ck_assert_int_eq(count(&s, 0, XN_LASER_OFF), 201);
    drop(&r, &s);
}
END_TEST

START_TEST(test_ends_belong_to_a_window)
{
    xn_shots s;
    make(400, 2, &s);
    for (int64_t i = 0; i < 400; i++) s.extra[A][i] = (double)(i % 5);
    selected r = run(BINS "select: {cuts: {source: a, min: 1, max: 3}}\n", &s);
    ck_assert_int_eq(r.status, XANI_OK);
    for (int64_t i = 0; i < 400; i++) ck_assert_int_eq(s.verdict[i] != 0, i % 5 == 0 || i % 5 == 4);
    drop(&r, &s);
}
END_TEST

START_TEST(test_time_tool_among_the_cuts)
{
    // A cut on a reading of the time tool leaves laser-off shots alone wherever it is written (science.md S6); a cut on
    // anything else judges them.
    static const char *const yaml[] = {
        BINS "input: {delay: {sign: 1, time_tool: {source: tool, coefficients_ps: [0, 1]}}}\n"
             "select: {cuts: {source: tool, min: 0.1}}\n",
        BINS "select: {cuts: {source: tool, min: 0.1}, time_tool: {source: tool, max: 2}}\n",
        BINS "select: {cuts: {source: tt/amplitude, min: 0.1}}\n",
        BINS "select: {sets: {good: [{source: /tt/amplitude, min: 0.1}]}, use: good}\n",
        BINS "select: {cuts: {source: tool, min: 0.1}}\n"};
    for (size_t k = 0; k < 5; k++) {
        xn_shots s;
        make(400, 3, &s);
        xn_free(s.extra_name[TOOL]);
        s.extra_name[TOOL] = xn_strdup(k == 2 ? "tt/amplitude" : k == 3 ? "/tt/amplitude" : "tool");
        selected r = run(yaml[k], &s);
        ck_assert_int_eq(r.status == XANI_OK, k < 4); // the last: all laser-off shots have NaN there
        ck_assert_int_eq(count(&s, XN_CUT_CUSTOM, XN_LASER_OFF), k < 4 ? 0 : 100);
        ck_assert_int_gt(count(&s, XN_CUT_CUSTOM, XN_LASER_ON), 10);
        drop(&r, &s);
    }
}
END_TEST

START_TEST(test_linearity)
{
    // Shots off the common line of two monitors are refused, the rest is not, also when a quarter of all are outliers
    // on one side and some values are missing.
    for (int spoiled = 0; spoiled <= 25; spoiled += 5) {
        xn_shots s;
        make(2000, 4, &s);
        for (int64_t i = 0; i < 2000; i++)
            if (i % 100 < spoiled) s.extra[B][i] += 1 + s.extra[A][i];
        s.extra[A][50] = NAN;
        s.extra[B][51] = INFINITY;
        selected r = run(BINS "select: {linearity: {a: a, b: b, k: 6}}\n", &s);
        ck_assert_msg(r.status == XANI_OK, "%s", xani_error_text(ctx));
        for (int64_t i = 0; i < 2000; i++)
            ck_assert_msg((s.verdict[i] == XN_CUT_CUSTOM) == (i % 100 < spoiled || i == 50 || i == 51),
                          "%d %%: shot %lld has verdict %d", spoiled, (long long)i, s.verdict[i]);
        ck_assert_str_eq(r.flow.name[8], "b against a");
        drop(&r, &s);
    }
}
END_TEST

START_TEST(test_robust_line)
{
    // Slope and scatter come out unbiased over 200 draws; an exact line and equal x are no trouble.
    double slope = 0, slope2 = 0, sigma = 0, x[400], y[400];
    xn_line l;
    bool found;
    for (int k = 0; k < 200; k++) {
        xn_rng r;
        xn_rng_init(&r, 77, (uint64_t)k);
        for (int i = 0; i < 400; i++) {
            x[i] = xn_rng_gamma(&r, 4);
            y[i] = 3 - 0.5 * x[i] + 0.1 * xn_rng_normal(&r) + (i % 5 == 0 ? 2 : 0);
        }
        ck_assert_int_eq(xn_line_robust(ctx, x, y, 400, &l, &found), XANI_OK);
        ck_assert(found);
        slope += l.slope / 200;
        slope2 += (l.slope + 0.5) * (l.slope + 0.5) / 200;
        sigma += l.sigma / 200;
    }
    double expected = 0.1 / 2 / sqrt(320); // of the clean four fifths, rms of x is 2
    ck_assert_double_eq_tol(slope, -0.5, 4 * expected / sqrt(200));
    ck_assert_double_lt(sqrt(slope2), 1.3 * expected);
    ck_assert_double_eq_tol(sigma, 0.1, 0.05); // the MAD sees a fifth of outliers as some
    for (int i = 0; i < 400; i++) y[i] = 1 + 2 * x[i];
    ck_assert_int_eq(xn_line_robust(ctx, x, y, 400, &l, &found), XANI_OK);
    ck_assert_double_eq_tol(l.slope, 2, 1e-12);
    for (int i = 0; i < 400; i++) x[i] = 5;
    ck_assert_int_eq(xn_line_robust(ctx, x, y, 400, &l, &found), XANI_OK);
    ck_assert(!found);
    ck_assert_int_eq(xn_line_robust(ctx, x, y, 2, &l, &found), XANI_OK);
    ck_assert(!found);
}
END_TEST

#define SETS                                                                                                           \
    BINS "select:\n"                                                                                                   \
         "  cuts: [{source: a, min: 0.55}]\n"                                                                          \
         "  sets:\n"                                                                                                   \
         "    narrow: [{source: a, max: 1.0, name: low}]\n"                                                            \
         "    strict: {linearity: {a: a, b: b, k: 2}, time_tool: {source: tool, min: 0.5}, cuts: {source: b, max: "    \
         "3}}\n"                                                                                                       \
         "    unused: [{source: nowhere, max: 1}]\n"

START_TEST(test_named_sets)
{
    // Sets lie side by side in one configuration; select.use says which of them judge, in its order.
    static const struct {
        const char *yaml, *rows[4];
    } cases[] = {{SETS, {"a"}},
                 {SETS "  use: narrow\n", {"a", "narrow: low"}},
                 {SETS "  use: [strict, narrow]\n", {"a", "strict: b", "strict: b against a", "narrow: low"}}};
    for (size_t k = 0; k < 3; k++) {
        xn_shots s;
        make(400, 5, &s);
        selected r = run(cases[k].yaml, &s);
        ck_assert_msg(r.status == XANI_OK, "%s", xani_error_text(ctx));
        int n = 0;
        while (n < 4 && cases[k].rows[n] != NULL) {
            ck_assert_str_eq(r.flow.name[8 + n], cases[k].rows[n]);
            n++;
        }
        ck_assert_str_eq(r.flow.name[8 + n], "time tool");
        ck_assert_int_eq(count(&s, XN_CUT_TIME_TOOL, -1) > 0, k == 2);
        for (int64_t i = 0; i < 400; i++)
            ck_assert_int_eq(s.verdict[i] == XN_CUT_CUSTOM + 1 + (k == 2 ? 2 : 0),
                             k > 0 && s.extra[A][i] > 1.0 && s.extra[A][i] >= 0.55 &&
                                 !(k == 2 && s.verdict[i] != XN_CUT_CUSTOM + 3));
        drop(&r, &s);
    }
}
END_TEST

static const struct {
    const char *yaml, *text;
} refused[] = {
    {SETS "  use: strickt\n",
     "exp.yaml:8: select.use[0]: there is no set \"strickt\" in select.sets (narrow, strict, unused)"},
    {BINS "select: {use: x}\n", "there is no set \"x\" in select.sets (which is empty)"},
    {SETS "  use: [narrow, narrow]\n", "\"narrow\" is named twice"},
    {SETS "  use: unused\n", "select.sets[2].cuts[0].source: no reading \"nowhere\" comes with these files"},
    {BINS "select: {linearity: {a: a}}\n", "select.linearity[0].b is missing"},
    {BINS "select: {linearity: {a: a, b: c}}\n", "select.linearity[0].b: no reading \"c\""},
    {BINS "select: {cuts: {source: a, min: 100}}\n", "the cut \"a\" refused the last"},
};

START_TEST(test_refusals)
{
    // A selection that cannot be applied is refused with the line, the key and the names there are.
    xn_shots s;
    make(400, 6, &s);
    selected r = run(refused[_i].yaml, &s);
    ck_assert_int_ne(r.status, XANI_OK);
    ck_assert_msg(strstr(xani_error_text(ctx), refused[_i].text) != NULL, "%s", xani_error_text(ctx));
    drop(&r, &s);
}
END_TEST

static const struct {
    const char *yaml, *text;
} ill[] = {
    {"select: {sets: {x: 3}}\n", "a list or keys are expected"},
    {"select: {sets: {x: {cutz: 1}}}\n", "the nearest known key is select.sets[].cuts"},
    {"select: {cuts: {source: a, min: 1, mad: 3}}\n", "alternatives"},
    {"select: {cuts: {source: a, mad: 0}}\n", "select.cuts.mad"},
    {"select: {time_tool: {source: a, percentile: [90, 10]}}\n", "percentile"},
};

START_TEST(test_ill_written)
{
    xn_config *c = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, ill[_i].yaml, "exp.yaml", ".", &c), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), ill[_i].text) != NULL, "%s", xani_error_text(ctx));
}
END_TEST

// ---- counts

// A random configuration and a random table: shots of all classes and verdicts, NaN and infinities everywhere.
static void random_case(uint64_t seed, xn_shots *s, char *yaml, size_t bytes)
{
    xn_rng r;
    xn_rng_init(&r, seed, 9);
    int64_t n = 50 + (int64_t)(450 * xn_rng_uniform(&r));
    make(n, seed, s);
    static const uint8_t reader[] = {XN_CUT_JOIN, XN_CUT_MODULE, XN_CUT_BAD_FRAME, XN_CUT_DARK};
    double *columns[] = {s->i0, s->delay_ps, s->extra[TOOL], s->extra[A], s->extra[B]};
    for (int64_t i = 0; i < n; i++) {
        double u = xn_rng_uniform(&r);
        if (u < 0.1) s->verdict[i] = reader[xn_rng_u32(&r) % 4];
        if (u > 0.95) s->laser[i] = xn_rng_u32(&r) % 2 ? XN_LASER_UNKNOWN : 77;
        for (size_t c = 0; c < 5; c++)
            if (xn_rng_uniform(&r) < 0.02) columns[c][i] = xn_rng_u32(&r) % 2 ? NAN : -INFINITY;
        if (xn_rng_uniform(&r) < 0.05) s->delay_ps[i] += 3;
    }
    static const char *const i0[] = {"min: 0.6", "percentile: [2, 97]", "mad: 2", "min: 0.2, max: 1.4"};
    snprintf(yaml, bytes,
             "reduce: {delay_bins_ps: {%s}}\nselect: {i0: {%s}, %s%s use: [%s]%s,\n"
             "  sets: {p: [{source: a, percentile: [5, 95]}], q: {linearity: {a: b, b: a, k: 3},\n"
             "         time_tool: {source: tool, mad: 1.5}}}}\n",
             xn_rng_u32(&r) % 2 ? "equal_count: 5" : "start: 0.5, stop: 3.5, step: 0.25", i0[xn_rng_u32(&r) % 4],
             xn_rng_u32(&r) % 2 ? "cuts: [{source: b, mad: 3}, {source: tool, max: 0.9}]," : "",
             xn_rng_u32(&r) % 2 ? "time_tool: {source: tool, min: 0.05}," : "", xn_rng_u32(&r) % 2 ? "p, q" : "q",
             xn_rng_u32(&r) % 2 ? ", max_shots: 40" : "");
}

START_TEST(test_counts_balance)
{
    // Random tables and selections: every shot is used or carries the cut that refused it; each row of the cut-flow is
    // the row before less its own cut, class by class; bins belong to used laser-on shots and to no other; no laser-off
    // shot is refused by the time tool or the bins.
    int passed = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        xn_shots s;
        char yaml[1024];
        random_case(seed, &s, yaml, sizeof yaml);
        selected r = run(yaml, &s);
        if (r.status != XANI_OK) { // too few shots of a class are left
            ck_assert_int_eq(r.status, XANI_ERR_INPUT);
            xn_clear_error(ctx);
            drop(&r, &s);
            continue;
        }
        passed++;
        const xn_cutflow *f = &r.flow;
        int64_t *left[3] = {f->off_left, f->on_left, f->unknown_left}; // by XN_LASER_*
        for (int c = 0; c < 3; c++) {
            int64_t seen = 0, used = 0, cut[256] = {0}, refused_in_all = 0;
            for (int64_t i = 0; i < s.n; i++) {
                ck_assert_int_le(s.laser[i], XN_LASER_UNKNOWN);
                if (s.laser[i] != c) continue;
                seen++;
                cut[s.verdict[i]]++;
                used += s.verdict[i] == XN_CUT_NONE;
            }
            for (int k = 1; k < 256; k++) refused_in_all += cut[k];
            ck_assert_int_eq(seen, used + refused_in_all);
            ck_assert_int_eq(left[c][0], seen);
            ck_assert_int_eq(left[c][f->n - 1], used);
            // rows after "seen": verdicts 1 .. 7, the configured ones, then time tool, bins, max shots
            for (int k = 1; k < f->n; k++) {
                int verdict = k <= XN_CUT_I0 ? k
                              : k < f->n - 3 ? XN_CUT_CUSTOM + k - 8
                                             : XN_CUT_TIME_TOOL + k - (f->n - 3);
                ck_assert_msg(left[c][k - 1] - left[c][k] == cut[verdict], "seed %d class %d row %s", (int)seed, c,
                              f->name[k]);
            }
            if (c == XN_LASER_OFF) ck_assert_int_eq(cut[XN_CUT_TIME_TOOL] + cut[XN_CUT_BIN], 0);
            if (c == XN_LASER_UNKNOWN) ck_assert_int_eq(used, 0);
        }
        for (int64_t i = 0; i < s.n; i++)
            ck_assert_int_eq(s.bin[i] >= 0, s.verdict[i] == XN_CUT_NONE && s.laser[i] == XN_LASER_ON);
        drop(&r, &s);
    }
    ck_assert_int_gt(passed, 300);
}
END_TEST

START_TEST(test_table_in_words)
{
    // The printed table holds every row with what is left and removed, and the balance of frames and readings.
    xn_shots s;
    make(400, 8, &s);
    s.missing = 3;
    s.duplicate = 2;
    s.unmatched = 7;
    s.laser[0] = XN_LASER_UNKNOWN;
    for (int64_t i = 1; i < 21; i++) s.extra[A][i] = 9;
    selected r = run(BINS "select: {cuts: {source: a, max: 5, name: I₀ µJ}}\n", &s);
    ck_assert_int_eq(r.status, XANI_OK);
    said[0] = '\0';
    xn_cutflow_say(ctx, &r.flow, &s);
    ck_assert_msg(strstr(said, "  I₀ µJ                        284 (-15)             95 (-5)") != NULL, "%s", said);
    ck_assert_ptr_nonnull(
        strstr(said, "  seen                               299                 100                   1"));
    ck_assert_msg(
        strstr(said, "400 frames seen, 379 used, 21 cut; frames lost 3, repeated ids 2, readings without a frame 7") !=
            NULL,
        "%s", said);
    drop(&r, &s);
}
END_TEST

START_TEST(test_memory)
{
    // Each allocation fails once: a clean error, and the next run works.
    xn_config *c = NULL;
    ck_assert_int_eq(xn_config_parse(ctx, SETS "  use: [strict, narrow]\n", "exp.yaml", ".", &c), XANI_OK);
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) {
        xn_shots s;
        make(100, 7, &s);
        selected r = {0};
        no_memory_begin(&n);
        r.status = xn_select(ctx, c, &s, &r.flow, &r.edges, &r.nbins);
        no_memory_end();
        ck_assert_int_eq(r.status, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        xn_clear_error(ctx);
        drop(&r, &s);
    }
    xani_config_destroy(&c);
    for (no_memory n = NO_MEMORY; n.reached; no_memory_next(&n)) { // reading it
        no_memory_begin(&n);
        xani_status st = xn_config_parse(ctx, SETS, "exp.yaml", ".", &c);
        no_memory_end();
        ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
        xn_clear_error(ctx);
    }
    xani_config_destroy(&c);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_percentile_and_mad);
    tcase_add_test(t, test_ends_belong_to_a_window);
    tcase_add_test(t, test_time_tool_among_the_cuts);
    tcase_add_test(t, test_linearity);
    tcase_add_test(t, test_robust_line);
    tcase_add_test(t, test_named_sets);
    tcase_add_loop_test(t, test_refusals, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_loop_test(t, test_ill_written, 0, (int)(sizeof ill / sizeof ill[0]));
    tcase_add_test(t, test_counts_balance);
    tcase_add_test(t, test_table_in_words);
    tcase_add_test(t, test_memory);
}
XN_TEST_MAIN("select cuts", add)
