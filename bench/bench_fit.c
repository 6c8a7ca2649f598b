// SPDX-License-Identifier: BSD-3-Clause
// bench_fit.c -- fits per CPU-second of one thread, on the standard traces, beside other codes on the same ones.
//
// Ours is the whole fit as a user calls it: start, refinement, errors, significance.  Peers that refine only
// (lmder) are given HSVD starts for nothing.  Success is the fraction of traces whose every frequency is within
// 2 % of the truth; it stands in `why`, because a rate means little without it.  Each repetition runs ours and
// then each peer; medians are reported.
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/fit_peers.h"
#include "core/core.h"
#include "fit/engine.h"
#include "fit/linear_prediction.h"

#define TRACES 16384
#define MOST_REPEATS 31
#define MOST_PEERS 10

typedef struct state state;

typedef struct bench_case {
    const char *name;
    int modes;
    double snr;
    bool jitter;         // delays not uniform
    bool peak;           // also against the peak of multiply-adds
    int precision;       // 0, 64
    const char *kernels; // "auto", "avx2"
    xani_status (*own)(state *s, const struct bench_case *c, xn_peer_answer *out);
    const char *peers; // names, separated by blanks
} bench_case;

struct state {
    const xn_bench *bench;
    xn_peer_traces t;
    float *by_delay; // [delay][trace], as a cube has them
    double delay_ps[XN_TRACE_SAMPLES], uniform_ps[XN_TRACE_SAMPLES];
    float *plain; // the same modes at uniform delays: what "ours" as a peer fits
    xani_fit_result *results;
    xn_peer_python *python;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

// ---- traces and starts

// Cosine and sine amplitudes of given modes, and an offset, by least squares (normal equations, Gauss-Jordan).
static void amplitudes(const float *y, int n, double step_ps, int modes, const double *f, const double *g,
                       double *start)
{
    double m[2 * XN_TRACE_MODES + 1][2 * XN_TRACE_MODES + 2] = {{0}};
    int q = 2 * modes + 1;
    for (int i = 0; i < n; i++) {
        double column[2 * XN_TRACE_MODES + 2];
        for (int k = 0; k < modes; k++) {
            double e = exp(-g[k] * i * step_ps), angle = 2 * XN_TRACE_PI * f[k] * i * step_ps;
            column[2 * k] = e * cos(angle);
            column[2 * k + 1] = e * sin(angle);
        }
        column[q - 1] = 1;
        column[q] = (double)y[i];
        for (int a = 0; a < q; a++)
            for (int b = 0; b <= q; b++) m[a][b] += column[a] * column[b];
    }
    for (int c = 0; c < q; c++) {
        m[c][c] += 1e-12;
        for (int a = 0; a < q; a++) {
            double s = a == c ? 0 : m[a][c] / m[c][c];
            for (int b = c; b <= q && s != 0; b++) m[a][b] -= s * m[c][b];
        }
    }
    for (int k = 0; k < modes; k++) {
        double a = m[2 * k][q] / m[2 * k][2 * k], b = m[2 * k + 1][q] / m[2 * k + 1][2 * k + 1];
        start[4 * k] = hypot(a, b);
        start[4 * k + 1] = f[k];
        start[4 * k + 2] = g[k];
        start[4 * k + 3] = atan2(-b, a);
    }
    start[q * 2 - 2] = m[q - 1][q] / m[q - 1][q - 1];
}

// HSVD of trace i into (f, g); modes that were not found get a guess.
static void poles(const xn_peer_traces *t, int64_t i, xn_lp_work *work, double *f, double *g)
{
    double y[XN_TRACE_SAMPLES], w[XN_TRACE_MODES], decay[XN_TRACE_MODES], a[XN_TRACE_MODES], mean = 0;
    for (int s = 0; s < t->samples; s++) mean += (double)t->y[i * t->samples + s] / t->samples;
    for (int s = 0; s < t->samples; s++) y[s] = (double)t->y[i * t->samples + s] - mean;
    int found = xn_lp_hsvd(y, t->samples, t->modes, XN_LP_SPARE, work, w, decay, a);
    for (int k = 0; k < t->modes; k++) {
        f[k] = k < found ? w[k] / (2 * XN_TRACE_PI * t->step_ps) : 1 + k;
        g[k] = fmin(fmax(k < found ? decay[k] / t->step_ps : 0.3, 0.03), 5);
    }
}

static xani_status make_starts(state *s)
{
    xn_lp_work *work;
    XN_TRY(xn_lp_work_create(s->bench->context, s->t.samples, s->t.modes, XN_LP_SPARE, &work));
    for (int64_t i = 0; i < s->t.n; i++) {
        double f[XN_TRACE_MODES], g[XN_TRACE_MODES];
        poles(&s->t, i, work, f, g);
        amplitudes(s->t.y + i * s->t.samples, s->t.samples, s->t.step_ps, s->t.modes, f, g,
                   s->t.start + i * (4 * s->t.modes + 1));
    }
    xn_lp_work_destroy(&work);
    return XANI_OK;
}

static void free_traces(state *s)
{
    xn_peer_python_stop(&s->python);
    xn_free(s->t.y);
    xn_free(s->t.truth);
    xn_free(s->t.start);
    xn_free(s->by_delay);
    xn_free(s->plain);
    xn_free(s->results);
    s->t.y = NULL;
    s->t.truth = NULL;
    s->t.start = NULL;
    s->by_delay = s->plain = NULL;
    s->results = NULL;
}

static xani_status make_traces(state *s, const bench_case *c)
{
    const size_t n = TRACES, samples = XN_TRACE_SAMPLES;
    s->t = (xn_peer_traces){.modes = c->modes, .samples = XN_TRACE_SAMPLES, .n = TRACES, .step_ps = XN_TRACE_STEP_PS};
    s->t.y = xn_alloc(n * samples, sizeof(float));
    s->t.truth = xn_alloc(n, sizeof(xn_truth));
    s->t.start = xn_alloc(n * (size_t)(4 * c->modes + 1), sizeof(double));
    s->by_delay = xn_alloc(n * samples, sizeof(float));
    s->plain = xn_alloc(n * samples, sizeof(float));
    s->results = xn_alloc(n, sizeof(xani_fit_result));
    if (!s->plain || !s->t.y || !s->t.truth || !s->t.start || !s->by_delay || !s->results)
        return xn_fail_memory(s->bench->context, "traces of the benchmark", n * samples * 8);
    xn_traces_delays(XN_TRACE_SAMPLES, s->delay_ps);
    xn_traces_delays(XN_TRACE_SAMPLES, s->uniform_ps);
    xn_rng r;
    xn_rng_init(&r, 77, 0);
    for (size_t i = 0; i < samples && c->jitter; i++)
        s->delay_ps[i] += 0.4 * XN_TRACE_STEP_PS * (xn_rng_uniform(&r) - 0.5);
    uint64_t seed = 7 + (uint64_t)c->modes;
    xn_traces_make(seed, c->modes, c->snr, s->uniform_ps, XN_TRACE_SAMPLES, TRACES, s->plain, s->t.truth);
    xn_traces_make(seed, c->modes, c->snr, s->delay_ps, XN_TRACE_SAMPLES, TRACES, s->by_delay, s->t.truth);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < samples; d++) s->t.y[i * samples + d] = s->by_delay[d * n + i];
    return make_starts(s);
}

// ---- ours

static xani_status run_fit(state *s, const float *y, const double *delay_ps, int modes, int precision,
                           const char *kernels, xn_peer_answer *out)
{
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = modes;
    o.background = 0;
    o.significance = 1e-9; // always all modes, like the peers
    o.start = 0;
    o.kernels = kernels;
    o.threads = 1;
    o.precision = precision;
    double start = xn_bench_cpu_seconds();
    XN_TRY(xani_fit_traces(s->bench->context, &o, y, delay_ps, XN_TRACE_SAMPLES, TRACES, NULL, s->results));
    out->rate = TRACES / (xn_bench_cpu_seconds() - start);
    int64_t good = 0;
    for (int64_t i = 0; i < TRACES; i++) {
        int order[XN_TRACE_MODES];
        good += s->results[i].n_modes == modes && xn_truth_found(&s->t.truth[i], s->results[i].frequency_thz, order);
    }
    out->success = (double)good / TRACES;
    out->why[0] = '\0';
    return XANI_OK;
}

static xani_status run_case_fit(state *s, const bench_case *c, xn_peer_answer *out)
{
    return run_fit(s, s->by_delay, s->delay_ps, c->modes, c->precision, c->kernels, out);
}

// The linear prediction alone.
static xani_status run_hsvd(state *s, const bench_case *c, xn_peer_answer *out)
{
    const int64_t n = 1500;
    xn_lp_work *work;
    int64_t good = 0;
    XN_TRY(xn_lp_work_create(s->bench->context, s->t.samples, c->modes, XN_LP_SPARE, &work));
    double start = xn_bench_cpu_seconds();
    for (int64_t i = 0; i < n; i++) {
        double f[XN_TRACE_MODES], g[XN_TRACE_MODES];
        int order[XN_TRACE_MODES];
        poles(&s->t, i, work, f, g);
        good += xn_truth_found(&s->t.truth[i], f, order);
    }
    out->rate = (double)n / (xn_bench_cpu_seconds() - start);
    out->success = (double)good / (double)n;
    out->why[0] = '\0';
    xn_lp_work_destroy(&work);
    return XANI_OK;
}

// "ours" as a peer: the plain fast path on the same modes at uniform delays.
static xani_status run_peer(state *s, const bench_case *c, const char *peer, xn_peer_answer *out)
{
    const int64_t slow = 60, quick = 1500;
    if (strcmp(peer, "ours") == 0) return run_fit(s, s->plain, s->uniform_ps, c->modes, 0, "auto", out);
    if (strcmp(peer, "lmder") == 0)
        xn_peer_lmder(&s->t, quick, out);
    else if (strcmp(peer, "prototype") == 0)
        xn_peer_prototype(&s->t, out);
    else
        xn_peer_python_ask(s->python, peer, slow, out);
    return XANI_OK;
}

// ---- one case

typedef struct {
    char name[24];
    double rate[MOST_REPEATS], success;
    char why[160];
    int n;
} peer_record;

static int split_peers(const char *names, peer_record *peers)
{
    int n = 0;
    for (const char *p = names; *p != '\0' && n < MOST_PEERS; n++) {
        size_t length = strcspn(p, " ");
        peers[n] = (peer_record){.success = NAN};
        snprintf(peers[n].name, sizeof peers[n].name, "%.*s", (int)length, p);
        p += length;
        p += strspn(p, " ");
    }
    return n;
}

static void emit(const state *s, const char *name, double ours, double ours_success, peer_record *p)
{
    char why[224];
    xn_bench_line line = {.bench = "fit",
                          .name = name,
                          .peer = p->name,
                          .ours = ours,
                          .theirs = NAN,
                          .unit = "traces/s",
                          .ratio = NAN,
                          .ratio_cpu = NAN,
                          .why = why};
    if (p->n > 0) {
        line.theirs = median(p->rate, p->n);
        line.ratio = ours / line.theirs;
        snprintf(why, sizeof why, "success %.4f, theirs %.4f", ours_success, p->success);
    } else {
        snprintf(why, sizeof why, "%s (ours: success %.4f)", p->why, ours_success);
    }
    s->bench->emit(s->bench->user, &line);
}

// ---- the share of the machine's peak

static void ignore(void *user, int64_t i, const xani_fit_result *r)
{
    (void)user;
    (void)i;
    (void)r;
}

// Floating-point operations of one trace that no implementation of this algorithm can do without: two moments per
// evaluation and mode (4 multiply-adds per sample), counted in the fit, and one real Fourier transform of 256 points
// per mode.  Gram sums, algebra, centring and errors come on top and are not counted.
static xani_status needed_flops(state *s, const bench_case *c, double *flops)
{
    int64_t evaluations[XANI_MAX_MODES] = {0};
    const xn_fit_setup setup = {
        .delay_ps = s->delay_ps, .n = XN_TRACE_SAMPLES, .background = 0, .modes_max = c->modes, .significance = 1e-9};
    xn_fit_plans plans;
    XN_TRY(xn_fit_plans_create(s->bench->context, &setup, &plans));
    const xn_fit_job job = {.plans = &plans,
                            .n_delays = XN_TRACE_SAMPLES,
                            .y = s->by_delay,
                            .row_stride = TRACES,
                            .count = TRACES,
                            .start = XN_START_PERIODOGRAM,
                            .kernels = c->kernels,
                            .threads = 1,
                            .sink = ignore,
                            .evaluations = evaluations};
    xani_status st = xn_fit_run(s->bench->context, &job);
    xn_fit_plans_free(&plans);
    double sum = c->modes * 2.5 * 256 * 8;
    for (int k = 0; k < XANI_MAX_MODES; k++) sum += (double)evaluations[k] / TRACES * (k + 1) * 8 * XN_TRACE_SAMPLES;
    *flops = sum;
    return st;
}

static xani_status emit_peak(state *s, const bench_case *c, double rate)
{
    char why[160];
    const char *kernels;
    double flops, peak = xn_peer_fma_peak(&kernels);
    XN_TRY(needed_flops(s, c, &flops));
    xn_bench_line line = {.bench = "fit",
                          .name = c->name,
                          .peer = "floor:fma",
                          .ours = rate * flops / 1e9,
                          .theirs = peak,
                          .unit = "GFLOP/s",
                          .ratio = rate * flops / 1e9 / peak,
                          .ratio_cpu = NAN,
                          .why = why};
    snprintf(why, sizeof why, "%.0f traces/s x %.0f flop (moments and transform only), peak of %s", rate, flops,
             isfinite(peak) ? kernels : "none: not measured on this processor");
    s->bench->emit(s->bench->user, &line);
    return XANI_OK;
}

static xani_status run_case(state *s, const bench_case *c, int repeats)
{
    peer_record peers[MOST_PEERS];
    double ours[MOST_REPEATS];
    xn_peer_answer mine = {0}, other;
    int n_peers = split_peers(c->peers, peers);
    XN_TRY(make_traces(s, c));
    if (strstr(c->peers, "hsvd") != NULL) s->python = xn_peer_python_start(&s->t);
    XN_TRY(c->own(s, c, &mine)); // first touch
    for (int r = 0; r < repeats; r++) {
        XN_TRY(xn_check_interrupt(s->bench->context));
        XN_TRY(c->own(s, c, &mine));
        ours[r] = mine.rate;
        for (int p = 0; p < n_peers; p++) {
            if (r > 0 && peers[p].n == 0) continue; // absent: asked once
            XN_TRY(run_peer(s, c, peers[p].name, &other));
            snprintf(peers[p].why, sizeof peers[p].why, "%s", other.why);
            if (!isfinite(other.rate)) continue;
            peers[p].rate[peers[p].n++] = other.rate;
            peers[p].success = other.success;
        }
    }
    double rate = median(ours, repeats);
    for (int p = 0; p < n_peers; p++) emit(s, c->name, rate, mine.success, &peers[p]);
    return c->peak ? emit_peak(s, c, rate) : XANI_OK;
}

#define PYTHON "hsvd+curve_fit lmfit cpufit jaxfit nmrglue cuphoton"

static const bench_case cases[] = {
    {"K1-snr3", 1, 3, false, true, 0, "auto", run_case_fit, "prototype lmder " PYTHON},
    {"K1-snr10", 1, 10, false, true, 0, "auto", run_case_fit, "prototype lmder " PYTHON},
    {"K2-snr10", 2, 10, false, true, 0, "auto", run_case_fit, "prototype lmder " PYTHON},
    {"K1-snr10-nonuniform", 1, 10, true, false, 0, "auto", run_case_fit, "ours"},
    {"K1-snr10-double", 1, 10, false, false, 64, "auto", run_case_fit, "ours"},
    {"K1-snr10-avx2", 1, 10, false, false, 0, "avx2", run_case_fit, "ours"},
    {"hsvd", 1, 10, false, false, 0, "auto", run_hsvd, "numpy-hsvd nmrglue ours"},
};

xani_status xn_bench_fit(const xn_bench *bench)
{
    state s = {.bench = bench};
    int repeats = bench->repeats < MOST_REPEATS ? bench->repeats : MOST_REPEATS;
    xani_status st = XANI_OK;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && st == XANI_OK; i++) {
        st = run_case(&s, &cases[i], repeats);
        free_traces(&s);
    }
    return st;
}
