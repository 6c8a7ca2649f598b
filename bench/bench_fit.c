// SPDX-License-Identifier: BSD-3-Clause
// bench_fit.c -- fits per CPU-second of one thread, on the standard traces, beside other codes on the same ones.
//
// Ours is the whole fit as a user calls it: start, refinement, errors, significance.  Peers that refine only (lmder,
// cpufit, curve_fit, jax-vmap …) are given HSVD starts for nothing.  Success is the fraction of traces whose every
// frequency is within 2 % of the truth; it stands in `why`, because a rate means little without it.  Each repetition
// runs ours and then each peer; medians are reported.  fit_bench.h says what is where.
#include <stdio.h>
#include <stdlib.h>

#include "bench/figures.h"
#include "bench/fit_bench.h"
#include "bench/io_device.h"
#include "bench/reduce_device.h"

#define MOST_PEERS 16

// ---- ours

// One fit of all traces; plain: of those at uniform delays.
static xani_status run_own(xn_fit_bench *s, const xn_fit_case *c, bool plain, xn_peer_answer *out)
{
    const int64_t n = XN_FIT_BENCH_TRACES;
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = c->modes;
    o.background = 0;
    o.significance = 1e-9; // always all modes, like the peers
    o.start = 0;
    o.kernels = plain ? "auto" : c->kernels;
    o.threads = 1;
    o.precision = plain ? 0 : c->precision;
    o.weight = plain ? NULL : s->t.weight;
    const double start = xn_bench_cpu_seconds();
    XN_TRY(xani_fit_traces(s->bench->context, &o, plain ? s->plain : s->by_delay, plain ? s->uniform_ps : s->delay_ps,
                           XN_TRACE_SAMPLES, n, NULL, s->results));
    out->rate = (double)n / (xn_bench_cpu_seconds() - start);
    int64_t good = 0;
    for (int64_t i = 0; i < n; i++) {
        int order[XN_TRACE_MODES];
        good += s->results[i].n_modes == c->modes && xn_truth_found(&s->t.truth[i], s->results[i].frequency_thz, order);
    }
    out->success = (double)good / (double)n;
    out->why[0] = '\0';
    return XANI_OK;
}

static xani_status run_fit(xn_fit_bench *s, const xn_fit_case *c, xn_peer_answer *out)
{
    return run_own(s, c, false, out);
}

// The linear prediction alone.
static xani_status run_hsvd(xn_fit_bench *s, const xn_fit_case *c, xn_peer_answer *out)
{
    const int64_t n = 1500;
    xn_lp_work *work;
    int64_t good = 0;
    xani_lp_options o;
    xn_lp_options_start(&o, c->modes, XN_LP_SPARE);
    XN_TRY(xn_lp_work_create(s->bench->context, s->t.samples, &o, XN_LP_LOOSE, &work));
    double start = xn_bench_cpu_seconds();
    for (int64_t i = 0; i < n; i++) {
        double f[XN_TRACE_MODES], g[XN_TRACE_MODES];
        int order[XN_TRACE_MODES];
        xn_fit_bench_poles(&s->t, i, work, f, g);
        good += xn_truth_found(&s->t.truth[i], f, order);
    }
    out->rate = (double)n / (xn_bench_cpu_seconds() - start);
    out->success = (double)good / (double)n;
    out->why[0] = '\0';
    xn_lp_work_destroy(&work);
    return XANI_OK;
}

// "ours" as a peer: the plain fast path on the same modes at uniform delays.
static xani_status run_peer(xn_fit_bench *s, const xn_fit_case *c, const char *peer, xn_peer_answer *out)
{
    const int64_t slow = 60, quick = 1500;
    if (strcmp(peer, "ours") == 0) return run_own(s, c, true, out);
    if (strcmp(peer, "lmder") == 0)
        xn_peer_lmder(&s->t, quick, out);
    else if (strcmp(peer, "cpufit") == 0)
        xn_peer_cpufit(&s->t, quick, out);
    else if (strcmp(peer, "prototype") == 0)
        xn_peer_prototype(&s->t, out);
    else
        xn_peer_python_ask(s->python, peer, slow, out);
    return XANI_OK;
}

// ---- one case

typedef struct {
    char name[24];
    double rate[XN_FIT_BENCH_REPEATS], success;
    char why[160];
    int n;
} peer_record;

static int split_peers(const char *names, peer_record *peers)
{
    int n = 0;
    for (const char *p = names; *p != '\0' && n < MOST_PEERS; n++) {
        size_t length = strcspn(p, " ");
        peers[n] = (peer_record){.success = 0};
        snprintf(peers[n].name, sizeof peers[n].name, "%.*s", (int)length, p);
        p += length;
        p += strspn(p, " ");
    }
    return n;
}

static void emit(const xn_fit_bench *s, const char *name, double ours, double ours_success, peer_record *p)
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
        line.theirs = xn_bench_median(p->rate, p->n);
        line.ratio = ours / line.theirs;
        snprintf(why, sizeof why, "success %.4f, theirs %.4f", ours_success, p->success / p->n);
    } else {
        snprintf(why, sizeof why, "%s (ours: success %.4f)", p->why, ours_success);
    }
    s->bench->emit(s->bench->user, &line);
}

static xani_status run_case(xn_fit_bench *s, const xn_fit_case *c, int repeats)
{
    peer_record peers[MOST_PEERS];
    double ours[XN_FIT_BENCH_REPEATS];
    xn_peer_answer mine = {0}, other;
    int n_peers = split_peers(c->peers, peers);
    XN_TRY(xn_fit_bench_make(s, c));
    if (strstr(c->peers, "hsvd") != NULL || strstr(c->peers, "curve_fit") != NULL)
        s->python = xn_peer_python_start(&s->t);
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
            peers[p].success += other.success;
        }
    }
    double rate = xn_bench_median(ours, repeats);
    for (int p = 0; p < n_peers; p++) emit(s, c->name, rate, mine.success, &peers[p]);
    return c->peak ? xn_fit_bench_peak(s, c, rate) : XANI_OK;
}

#define PYTHON "hsvd+curve_fit curve_fit curve_fit-jacobian lmfit jaxfit nlsq jax-vmap nmrglue cuphoton"
#define MODEL "lmder curve_fit-jacobian lmfit"
#define ALL "prototype lmder cpufit " PYTHON

static const xn_fit_case cases[] = {
    {"K1-snr1", 1, 1, false, false, false, 0, "auto", run_fit, "prototype lmder"},
    {"K1-snr3", 1, 3, false, false, true, 0, "auto", run_fit, ALL},
    {"K1-snr10", 1, 10, false, false, true, 0, "auto", run_fit, ALL},
    {"K2-snr1", 2, 1, false, false, false, 0, "auto", run_fit, "prototype lmder"},
    {"K2-snr3", 2, 3, false, false, false, 0, "auto", run_fit, "prototype lmder"},
    {"K2-snr10", 2, 10, false, false, true, 0, "auto", run_fit, ALL},
    {"K3-snr10", 3, 10, false, false, false, 0, "auto", run_fit, "lmder hsvd+curve_fit"},
    {"K4-snr10", 4, 10, false, false, false, 0, "auto", run_fit, "lmder hsvd+curve_fit"},
    {"K1-snr10-nonuniform", 1, 10, true, false, false, 0, "auto", run_fit, "ours lmder"},
    {"K1-snr10-nonuniform-weights", 1, 10, true, true, false, 0, "auto", run_fit, "ours lmder"},
    {"K1-snr10-weights", 1, 10, false, true, false, 0, "auto", run_fit, "ours lmder"},
    {"K1-snr10-double", 1, 10, false, false, false, 64, "auto", run_fit, "ours"},
    {"K1-snr10-avx2", 1, 10, false, false, false, 0, "avx2", run_fit, "ours"},
    {"K1-snr10-model", 1, 10, false, false, false, 0, "auto", xn_fit_bench_model, MODEL},
    {"K2-snr10-model", 2, 10, false, false, false, 0, "auto", xn_fit_bench_model, MODEL},
    {"hsvd", 1, 10, false, false, false, 0, "auto", run_hsvd, "numpy-hsvd nmrglue ours"},
};

// Cases whose peer is the machine, on the traces of K1-snr10
static xani_status run_floors(xn_fit_bench *s, int repeats)
{
    static const xn_fit_case row = {.modes = 1, .snr = 10};
    XN_TRY(xn_fit_bench_make(s, &row));
    XN_TRY(xn_fit_bench_moments(s, repeats));
    return xn_fit_bench_threads(s, repeats);
}

xani_status xn_bench_fit(const xn_bench *bench)
{
    xn_fit_bench s = {.bench = bench};
    int repeats = bench->repeats < XN_FIT_BENCH_REPEATS ? bench->repeats : XN_FIT_BENCH_REPEATS;
    xani_status st = XANI_OK;
    const char *only = getenv("XANI_BENCH_CASE"); // part of a name, while working on something
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && st == XANI_OK; i++) {
        if (only != NULL && strstr(cases[i].name, only) == NULL) continue;
        st = run_case(&s, &cases[i], repeats);
        xn_fit_bench_free(&s);
    }
    if (st == XANI_OK && (only == NULL || strcmp(only, "floor") == 0)) st = run_floors(&s, repeats);
    xn_fit_bench_free(&s);
    return st == XANI_OK ? xn_fit_bench_device(bench, xn_device_driver_built(), false) : st;
}

xani_status xn_bench_device(const xn_bench *bench)
{
    if (getenv("XANI_BENCH_CUFILE") == NULL) XN_TRY(xn_fit_bench_device(bench, xn_device_driver_built(), true));
    XN_TRY(xn_io_bench_device(bench, xn_device_io_built(), true));
    if (getenv("XANI_BENCH_CUFILE") != NULL) return XANI_OK;
    const xn_sum_tables tables = {xn_device_io_built(), xn_device_sums_built(), 1};
    return xn_reduce_bench_device(bench, &tables, true);
}
