// SPDX-License-Identifier: BSD-3-Clause
// test_lp_batch.c -- xani_linear_prediction: exact without noise for each method, direction and rank rule, real and
// complex; wrong options and delays are named; bad traces are flagged and leave the others alone; threads change
// nothing; LPSVD's roots are those of the companion matrix.
#include "no_memory.h"
#include "test.h"

#include <complex.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/rng.h"
#include "fit/lp_work.h"

#define PI 3.14159265358979323846
enum { N = 100, MOST = 8 };

static xani_context *ctx;
static double delay[N];

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    for (int i = 0; i < N; i++) delay[i] = 0.3 + 0.05 * i;
}

static void tear_down(void) { xani_destroy(&ctx); }

static xani_lp_options options(int method, int rule, int rank)
{
    xani_lp_options o;
    xani_lp_options_init(&o);
    o.method = method;
    o.rank_rule = rule;
    o.rank = rank;
    return o;
}

static void add_cosine(double *y, int traces, xani_lp_component c)
{
    for (int i = 0; i < N; i++)
        y[i * traces] +=
            c.amplitude * exp(-c.damping_per_ps * delay[i]) * cos(2 * PI * c.frequency_thz * delay[i] + c.phase);
}

static double noise_at(int trace, int i)
{
    xn_rng r;
    xn_rng_init(&r, 41, (uint64_t)(trace * N + i));
    return xn_rng_normal(&r);
}

static void same_component(xani_lp_component a, xani_lp_component b, double tolerance)
{
    ck_assert_double_eq_tol(a.frequency_thz, b.frequency_thz, tolerance);
    ck_assert_double_eq_tol(a.damping_per_ps, b.damping_per_ps, tolerance);
    ck_assert_double_eq_tol(a.amplitude / b.amplitude, 1, tolerance);
    ck_assert_double_eq_tol(remainder(a.phase - b.phase, 2 * PI), 0, tolerance);
}

START_TEST(test_exact_real)
{
    // One mode anywhere from 1.5 periods per trace to 0.95 of Nyquist on an offset: frequency, damping, amplitude and
    // phase at delay zero to 1e-6, the offset as a component of frequency 0 and damping 0; refinement changes nothing.
    for (int method = XANI_LP_HSVD; method <= XANI_LP_LPSVD; method++)
        for (int direction = -1; direction <= 1; direction++)
            for (int k = 0; k <= 40; k++) {
                const double f = 0.3 + (9.5 - 0.3) * k / 40;
                const xani_lp_component mode = {f, 0.1 + 0.02 * k, 0.7, -3 + 0.15 * k};
                double y[N] = {0};
                add_cosine(y, 1, mode);
                for (int i = 0; i < N; i++) y[i] -= 2.5;
                xani_lp_options o = options(method, k % 5, k % 5 == 0 ? 3 : 0);
                o.direction = direction;
                o.refine = k % 2 * 3;
                xani_lp_component c[MOST];
                xani_lp_result r;
                if (o.rank_rule == XANI_LP_RANK_GAP) o.rank_rule = XANI_LP_RANK_MDL; // may see the offset only
                ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, 1, MOST, c, &r), XANI_OK);
                ck_assert_int_eq(r.status, XANI_LP_FOUND);
                ck_assert_int_eq(r.rank, 3);
                ck_assert_int_eq(r.n_components, 2);
                ck_assert_double_le(r.residual, 1e-7);
                same_component(c[1], mode, 1e-6);
                same_component(c[0], (xani_lp_component){0, 0, 2.5, PI}, 1e-6);
            }
}
END_TEST

START_TEST(test_exact_complex)
{
    // Three lines, one of negative frequency, one growing slightly: all to 1e-6 with their signs.
    static const xani_lp_component lines[] = {{-7.3, 0.4, 1.5, 0.3}, {0.9, -0.05, 0.5, -2}, {3.1, 0.9, 1, 1.2}};
    double complex y[N];
    for (int i = 0; i < N; i++) {
        y[i] = 0;
        for (int l = 0; l < 3; l++)
            y[i] += lines[l].amplitude * cexp(-lines[l].damping_per_ps * delay[i] +
                                              I * (2 * PI * lines[l].frequency_thz * delay[i] + lines[l].phase));
    }
    for (int method = XANI_LP_HSVD; method <= XANI_LP_LPSVD; method++)
        for (int direction = -1; direction <= 1; direction++) {
            xani_lp_options o = options(method, XANI_LP_RANK_FIXED, 3);
            xani_lp_component c[MOST];
            xani_lp_result r;
            o.complex_traces = 1;
            o.direction = direction;
            ck_assert_int_eq(xani_linear_prediction(ctx, &o, (const double *)y, delay, N, 1, MOST, c, &r), XANI_OK);
            int seen = 0;
            for (int i = 0; i < r.n_components; i++)
                for (int l = 0; l < 3; l++)
                    if (fabs(c[i].frequency_thz - lines[l].frequency_thz) < 1e-6) {
                        same_component(c[i], lines[l], 1e-6);
                        seen |= 1 << l;
                    }
            ck_assert_int_eq(seen, 7);
        }
}
END_TEST

START_TEST(test_threshold_and_room)
{
    // Components below the fraction of the strongest are left out; with little room the strongest stay, as they were.
    double y[N] = {0};
    add_cosine(y, 1, (xani_lp_component){2, 0.2, 1, 0});
    add_cosine(y, 1, (xani_lp_component){5, 0.2, 0.3, 1});
    add_cosine(y, 1, (xani_lp_component){8, 0.2, 0.05, 2});
    xani_lp_component all[MOST], some[MOST];
    xani_lp_result r;
    xani_lp_options o = options(XANI_LP_HSVD, XANI_LP_RANK_FIXED, 6);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, 1, MOST, all, &r), XANI_OK);
    ck_assert_int_eq(r.n_components, 3);
    for (int i = 1; i < 3; i++) ck_assert_double_lt(all[i].amplitude, all[i - 1].amplitude);
    o.amplitude_threshold = 0.1;
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, 1, MOST, some, &r), XANI_OK);
    ck_assert_int_eq(r.n_components, 2);
    ck_assert(memcmp(some, all, 2 * sizeof *all) == 0);
    o.amplitude_threshold = 0;
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, 1, 1, some, &r), XANI_OK);
    ck_assert_int_eq(r.n_components, 1);
    ck_assert(memcmp(some, all, sizeof *all) == 0);
}
END_TEST

START_TEST(test_wrong_input)
{
    // Each option out of range is named, and so is the delay that is off the grid; nothing is written.
    double y[N] = {1, 2, 3}, off[N];
    xani_lp_component c[MOST] = {{.frequency_thz = -1}};
    xani_lp_result r = {.status = -1};
    const struct {
        const char *word;
        xani_lp_options o;
    } rows[] = {
#define WITH(field, value, text)                                                                                       \
    {                                                                                                                  \
        text, { .size = sizeof(xani_lp_options), .rank_rule = XANI_LP_RANK_MDL, .field = value }                       \
    }
        WITH(method, 3, "method"),
        WITH(method, -1, "method"),
        WITH(rank, 65, "rank"),
        WITH(rank, -1, "rank"),
        WITH(columns, 1, "columns is 1, not 2..50"),
        WITH(columns, 51, "columns"),
        WITH(direction, 2, "direction"),
        WITH(noise, NAN, "noise"),
        WITH(noise, -1, "noise"),
        WITH(amplitude_threshold, 1.5, "amplitude_threshold"),
        WITH(refine, -1, "refine"),
        WITH(threads, -1, "threads"),
        {"rank_rule", {.size = sizeof(xani_lp_options), .rank_rule = 5}},
        {"xani_lp_options_init", {.size = 8}},
        {"needs a rank", {.size = sizeof(xani_lp_options), .rank_rule = XANI_LP_RANK_FIXED}},
        {"columns is 30, not 50..98",
         {.size = sizeof(xani_lp_options), .rank_rule = 1, .method = XANI_LP_LPSVD, .columns = 30}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_int_eq(xani_linear_prediction(ctx, &rows[i].o, y, delay, N, 1, MOST, c, &r), XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), rows[i].word) != NULL, "%s: %s", rows[i].word, xani_error_text(ctx));
    }
    const xani_lp_options o = options(XANI_LP_HSVD, XANI_LP_RANK_MDL, 0);
    static const int places[] = {1, 17, N - 1};
    for (int p = 0; p < 3; p++) {
        char word[40];
        memcpy(off, delay, sizeof off);
        off[places[p]] += 0.01;
        snprintf(word, sizeof word, "delay %d (", places[p]);
        ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, off, N, 1, MOST, c, &r), XANI_ERR_USAGE);
        ck_assert_msg(strstr(xani_error_text(ctx), word) != NULL, "%s: %s", word, xani_error_text(ctx));
    }
    for (int i = 0; i < N; i++) off[i] = delay[i] + (i > 0 ? 0.05 : 0); // the first step doubled
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, off, N, 1, MOST, c, &r), XANI_ERR_USAGE);
    for (int i = 0; i < N; i++) off[i] = -delay[i];
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, off, N, 1, MOST, c, &r), XANI_ERR_USAGE);
    off[3] = NAN;
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, off, N, 1, MOST, c, &r), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, 7, 1, MOST, c, &r), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, -1, MOST, c, &r), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, 1, 0, c, &r), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, NULL, delay, N, 1, MOST, c, &r), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_linear_prediction(ctx, NULL, y, delay, N, 1, MOST, c, &r), XANI_ERR_USAGE);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, NULL, NULL, N, 0, MOST, NULL, NULL), XANI_OK);
    ck_assert_double_eq(c[0].frequency_thz, -1);
    ck_assert_int_eq(r.status, -1);
}
END_TEST

enum { BATCH = 60 };

// Noisy traces; every tenth is bad in its own way: NaN, Inf, zero, constant, one spike, huge, tiny.
static void fill_batch(double *y, bool bad)
{
    for (int k = 0; k < BATCH; k++) {
        for (int i = 0; i < N; i++) y[i * BATCH + k] = 0.1 * noise_at(k, i);
        add_cosine(y + k, BATCH, (xani_lp_component){0.5 + 0.15 * k, 0.3, 1, 0.1 * k});
        for (int i = 0; bad && k % 10 == 0 && i < N; i++) {
            double *v = &y[i * BATCH + k];
            if (k == 0 && i == 20) *v = NAN;
            if (k == 10 && i == 0) *v = -INFINITY;
            if (k == 20) *v = 0;
            if (k == 30) *v = 5;
            if (k == 40) *v = i == 50;
            if (k == 50) *v *= 1e300;
        }
    }
}

START_TEST(test_bad_traces)
{
    // Bad traces are flagged, hold no NaN in what is said to be found, and leave the others as they were to the last
    // bit, for each method, and for any number of threads.
    static double clean[N * BATCH], dirty[N * BATCH];
    static xani_lp_component a[BATCH * MOST], b[BATCH * MOST];
    static xani_lp_result ra[BATCH], rb[BATCH];
    fill_batch(clean, false);
    fill_batch(dirty, true);
    for (int method = XANI_LP_HSVD; method <= XANI_LP_LPSVD; method++)
        for (int rule = XANI_LP_RANK_FIXED; rule <= XANI_LP_RANK_GAP; rule++) {
            xani_lp_options o = options(method, rule, rule == XANI_LP_RANK_FIXED ? 5 : 0);
            o.refine = rule % 2 * 5;
            o.threads = 1;
            ck_assert_int_eq(xani_linear_prediction(ctx, &o, clean, delay, N, BATCH, MOST, a, ra), XANI_OK);
            o.threads = 3;
            ck_assert_int_eq(xani_linear_prediction(ctx, &o, dirty, delay, N, BATCH, MOST, b, rb), XANI_OK);
            for (int k = 0; k < BATCH; k++) {
                if (k % 10 != 0) {
                    ck_assert(memcmp(&ra[k], &rb[k], sizeof ra[k]) == 0);
                    ck_assert(memcmp(&a[k * MOST], &b[k * MOST], sizeof *a * (size_t)ra[k].n_components) == 0);
                }
                for (int i = 0; i < rb[k].n_components; i++) {
                    const xani_lp_component *c = &b[k * MOST + i];
                    ck_assert(isfinite(c->frequency_thz) && isfinite(c->damping_per_ps) && isfinite(c->amplitude));
                    ck_assert(isfinite(c->phase) && c->frequency_thz >= 0 && c->amplitude > 0);
                }
                ck_assert_int_eq(rb[k].status == XANI_LP_FOUND, rb[k].n_components > 0);
            }
            ck_assert_int_eq(rb[0].status, XANI_LP_NOT_FINITE);
            ck_assert_int_eq(rb[10].status, XANI_LP_NOT_FINITE);
            ck_assert_int_eq(rb[20].status, XANI_LP_NOTHING);
            ck_assert_double_eq(rb[20].residual, 0);
            ck_assert_int_eq(rb[30].status, XANI_LP_FOUND); // a constant is a component of frequency 0
            ck_assert_double_eq_tol(b[30 * MOST].amplitude, 5, 1e-6);
            ck_assert_double_eq_tol(b[30 * MOST].frequency_thz, 0, 1e-6);
            if (rule == XANI_LP_RANK_FIXED) ck_assert_int_eq(rb[50].status, XANI_LP_FOUND);
        }
}
END_TEST

START_TEST(test_scale)
{
    // A factor on the trace is a factor on amplitudes and residual, also where the noise is given for the rank.
    double y[N], z[N];
    xani_lp_component a[MOST], b[MOST];
    xani_lp_result ra, rb;
    for (int i = 0; i < N; i++) y[i] = 0.1 * noise_at(1, i);
    add_cosine(y, 1, (xani_lp_component){3, 0.2, 1, 1});
    for (double scale = 1e-150; scale < 1e151; scale *= 1e150) {
        xani_lp_options o = options(XANI_LP_HTLS, XANI_LP_RANK_THRESHOLD, 0);
        o.noise = 0.1;
        ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, 1, MOST, a, &ra), XANI_OK);
        for (int i = 0; i < N; i++) z[i] = scale * y[i];
        o.noise = 0.1 * scale;
        ck_assert_int_eq(xani_linear_prediction(ctx, &o, z, delay, N, 1, MOST, b, &rb), XANI_OK);
        ck_assert_int_eq(ra.rank, 2);
        ck_assert_int_eq(rb.rank, 2);
        b[0].amplitude /= scale;
        same_component(a[0], b[0], 1e-9);
        ck_assert_double_eq_tol(rb.residual / scale / ra.residual, 1, 1e-9);
    }
}
END_TEST

START_TEST(test_roots)
{
    // LPSVD's quick roots are those of the companion matrix, all of them and no others, at any signal to noise, real
    // and complex.
    for (int is_complex = 0; is_complex < 2; is_complex++)
        for (int trial = 0; trial < 60; trial++) {
            const double snr = trial % 3 == 0 ? 1 : trial % 3 == 1 ? 3 : 10;
            xani_lp_options o = options(XANI_LP_LPSVD, XANI_LP_RANK_FIXED, 2 + trial % 4);
            o.complex_traces = is_complex;
            o.compensate = trial % 2;
            xn_lp_work *w;
            ck_assert_int_eq(xn_lp_work_create(ctx, N, &o, XN_LP_TIGHT, &w), XANI_OK);
            double y[2 * N] = {0}, re[2][XN_LP_MOST_POLES], im[2][XN_LP_MOST_POLES];
            for (int i = 0; i < N; i++) {
                const double angle = (0.1 + 0.04 * trial) * i, e = exp(-0.02 * i);
                y[(1 + is_complex) * i] = e * cos(angle) + noise_at(trial, 2 * i) / snr;
                if (is_complex) y[2 * i + 1] = e * sin(angle) + noise_at(trial, 2 * i + 1) / snr;
            }
            int count[2], rank;
            for (int all = 0; all < 2; all++) {
                w->companion_only = all != 0;
                count[all] = xn_lp_poles(y, N, w, re[all], im[all], &rank);
            }
            ck_assert_int_eq(count[0], count[1]);
            for (int i = 0; i < count[1]; i++) {
                int same = 0;
                for (int j = 0; j < count[0]; j++) same += hypot(re[0][j] - re[1][i], im[0][j] - im[1][i]) < 1e-8;
                ck_assert_int_eq(same, 1);
            }
            xn_lp_work_destroy(&w);
        }
}
END_TEST

extern int openblas_get_num_threads(void) __attribute__((weak));
extern void openblas_set_num_threads(int n) __attribute__((weak));

START_TEST(test_memory)
{
    // Any allocation that fails is reported; OpenBLAS keeps the number of threads it had.
    static double y[N * BATCH];
    static xani_lp_component c[BATCH * MOST];
    static xani_lp_result r[BATCH];
    fill_batch(y, false);
    if (openblas_set_num_threads != NULL) openblas_set_num_threads(2);
    xani_lp_options o = options(XANI_LP_LPSVD, XANI_LP_RANK_MDL, 0);
    o.threads = 3;
    no_memory n = NO_MEMORY;
    for (; n.reached; no_memory_next(&n)) {
        no_memory_begin(&n);
        xani_status st = xani_linear_prediction(ctx, &o, y, delay, N, BATCH, MOST, c, r);
        no_memory_end();
        ck_assert_int_eq(st, n.reached ? XANI_ERR_MEMORY : XANI_OK);
    }
    ck_assert_uint_ge(n.at, 9);
    ck_assert_uint_lt(n.at, 100);
    if (openblas_get_num_threads != NULL) ck_assert_int_eq(openblas_get_num_threads(), 2);
}
END_TEST

START_TEST(test_interrupt)
{
    // An interrupted call says so.
    static double y[N * BATCH];
    static xani_lp_component c[BATCH * MOST];
    static xani_lp_result r[BATCH];
    fill_batch(y, false);
    const xani_lp_options o = options(XANI_LP_HSVD, XANI_LP_RANK_MDL, 0);
    xani_interrupt(ctx);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, BATCH, MOST, c, r), XANI_INTERRUPTED);
}
END_TEST

START_TEST(test_addresses)
{
    // Where addresses are limited the library of linear algebra would ask for its buffers for ever.
#ifdef XN_SANITIZED
    return; // sanitizers take more addresses than there are
#endif
    static double y[N * BATCH];
    static xani_lp_component c[BATCH * MOST];
    static xani_lp_result r[BATCH];
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    ck_assert(f != NULL && fscanf(f, "%ld", &pages) == 1);
    fclose(f);
    fill_batch(y, false);
    const rlim_t most = (rlim_t)(pages * sysconf(_SC_PAGESIZE)) + (64 << 20);
    const xani_lp_options o = options(XANI_LP_HSVD, XANI_LP_RANK_MDL, 0);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){most, RLIM_INFINITY}), 0);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, BATCH, MOST, c, r), XANI_ERR_MEMORY);
    ck_assert_ptr_nonnull(strstr(xani_error_text(ctx), "ulimit -v"));
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}), 0);
    ck_assert_int_eq(xani_linear_prediction(ctx, &o, y, delay, N, BATCH, MOST, c, r), XANI_OK);
}
END_TEST

static void add(TCase *t)
{
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, test_exact_real);
    tcase_add_test(t, test_exact_complex);
    tcase_add_test(t, test_threshold_and_room);
    tcase_add_test(t, test_wrong_input);
    tcase_add_test(t, test_bad_traces);
    tcase_add_test(t, test_scale);
    tcase_add_test(t, test_roots);
    tcase_add_test(t, test_memory);
    tcase_add_test(t, test_interrupt);
    tcase_add_test(t, test_addresses);
}

XN_TEST_MAIN("linear prediction of batches", add)
