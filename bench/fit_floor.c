// SPDX-License-Identifier: BSD-3-Clause
// fit_floor.c -- see fit_bench.h: the fit beside the ceiling of the machine, measured in the same run.
//
// The ceiling is that of fused multiply-adds (fma.c).  Three questions: what share of it a whole fit uses, counting
// only what no implementation of the algorithm can do without; what share one pass over the data reaches (8
// multiply-adds per sample and mode by Horner's rule, 4 by Goertzel's); and whether a second thread costs the first
// anything, beside what it costs a loop of multiply-adds alone (clock, shared units).
#include <stdio.h>

#include "bench/figures.h"
#include "bench/fit_bench.h"
#include "fit/engine.h"

static void emit(const xn_fit_bench *s, const char *name, const char *peer, double ours, double theirs,
                 const char *unit, const char *why)
{
    const xn_bench_line line = {.bench = "fit",
                                .name = name,
                                .peer = peer,
                                .ours = ours,
                                .theirs = theirs,
                                .unit = unit,
                                .ratio = ours / theirs,
                                .ratio_cpu = NAN,
                                .why = why};
    s->bench->emit(s->bench->user, &line);
}

static const char *peak_name(double peak, const char *kernels)
{
    return isfinite(peak) ? kernels : "none: not measured on this processor";
}

// ---- a whole fit

static void ignore(void *user, int64_t i, const xani_fit_result *r, const xn_fit_more *more)
{
    (void)more;
    (void)user;
    (void)i;
    (void)r;
}

// Floating-point operations of one trace: two moments per evaluation and mode by Goertzel's rule, counted in the fit,
// and one real Fourier transform of 256 points per mode.  Gram sums, algebra, centring and errors come on top and are
// not counted.
xani_status xn_fit_bench_flops(xn_fit_bench *s, const xn_fit_case *c, double *flops, double *passes)
{
    int64_t evaluations[XANI_MAX_MODES] = {0};
    const xn_fit_setup setup = {
        .delay_ps = s->delay_ps, .n = XN_TRACE_SAMPLES, .background = 0, .modes_max = c->modes, .significance = 1e-9};
    xn_fit_plans plans;
    XN_TRY(xn_fit_plans_create(s->bench->context, &setup, &plans));
    const xn_fit_job job = {.plans = &plans,
                            .n_delays = XN_TRACE_SAMPLES,
                            .y = s->by_delay,
                            .row_stride = XN_FIT_BENCH_TRACES,
                            .count = XN_FIT_BENCH_TRACES,
                            .start = XN_FROM_PERIODOGRAM,
                            .kernels = c->kernels,
                            .threads = 1,
                            .sink = ignore,
                            .evaluations = evaluations};
    xani_status st = xn_fit_run(s->bench->context, &job);
    xn_fit_plans_free(&plans);
    double sum = c->modes * 2.5 * 256 * 8;
    *passes = 0;
    for (int k = 0; k < XANI_MAX_MODES; k++) *passes += (double)evaluations[k] / XN_FIT_BENCH_TRACES;
    for (int k = 0; k < XANI_MAX_MODES; k++)
        sum += (double)evaluations[k] / XN_FIT_BENCH_TRACES * (k + 1) * 8 * XN_TRACE_SAMPLES;
    *flops = sum;
    return st;
}

xani_status xn_fit_bench_peak(xn_fit_bench *s, const xn_fit_case *c, double rate)
{
    char why[160];
    const char *kernels;
    double flops, passes, peak = xn_peer_fma_peak(&kernels);
    XN_TRY(xn_fit_bench_flops(s, c, &flops, &passes));
    snprintf(why, sizeof why, "%.0f traces/s x %.0f flop (moments and transform only), peak of %s", rate, flops,
             peak_name(peak, kernels));
    emit(s, c->name, "floor:fma", rate * flops / 1e9, peak, "GFLOP/s", why);
    return XANI_OK;
}

// ---- one pass over the data

typedef struct {
    const xn_fit_kernel *kernel;
    const xn_fit_plan *plan;
    void *table, *work;
    xn_fit_tile tile;
    uint8_t counts[2][64];
    int64_t pixel[64];
    int row[XN_TRACE_SAMPLES];
} pass;

static xani_status pass_create(xn_fit_bench *s, const xn_fit_plan *plan, pass *p)
{
    p->kernel = xn_fit_kernel_find("auto", 32);
    p->plan = plan;
    const int count = 2 * p->kernel->width; // one block
    p->table = xn_alloc(p->kernel->table_bytes(plan), 1);
    p->work = xn_alloc(p->kernel->work_bytes(plan, count), 1);
    if (p->table == NULL || p->work == NULL) return xn_fail_memory(s->bench->context, "a block of traces", 1 << 20);
    p->kernel->tabulate(plan, p->table);
    for (int i = 0; i < XN_TRACE_SAMPLES; i++) p->row[i] = i;
    for (int i = 0; i < count; i++) p->pixel[i] = i;
    p->tile = (xn_fit_tile){.count = count,
                            .y = s->plain,
                            .row = p->row,
                            .row_stride = XN_FIT_BENCH_TRACES,
                            .pixel = p->pixel,
                            .n_modes = p->counts[0],
                            .flags = p->counts[1]};
    return XANI_OK;
}

// GFLOP/s of one way to sum the moments, and of multiply-adds, each the best of the short runs of this repetition.
static void pass_measure(pass *p, int moments, int modes, double *ours, double *theirs)
{
    const int passes = 2000, runs = 20;
    const double samples = moments == XN_MOMENTS_HORNER ? 16.0 * XN_TRACE_SAMPLES : 8.0 * (XN_TRACE_SAMPLES - 1);
    const char *name;
    double best = INFINITY;
    for (int i = 0; i < runs; i++) {
        const double start = xn_seconds();
        p->kernel->moments(p->plan, p->table, p->work, &p->tile, moments, modes, passes);
        best = fmin(best, xn_seconds() - start);
    }
    *ours = samples * modes * p->tile.count * passes / best / 1e9;
    *theirs = xn_peer_fma_peak(&name);
}

static xani_status moments_cases(xn_fit_bench *s, pass *p, int repeats)
{
    static const struct {
        const char *name;
        int moments, modes;
    } rows[] = {{"horner-K1", XN_MOMENTS_HORNER, 1},
                {"horner-K2", XN_MOMENTS_HORNER, 2},
                {"goertzel-K1", XN_MOMENTS_GOERTZEL, 1},
                {"goertzel-K2", XN_MOMENTS_GOERTZEL, 2}};
    for (size_t c = 0; c < sizeof rows / sizeof rows[0]; c++) {
        double ours[XN_FIT_BENCH_REPEATS], theirs[XN_FIT_BENCH_REPEATS];
        char why[96];
        for (int r = 0; r < repeats; r++) {
            XN_TRY(xn_check_interrupt(s->bench->context));
            pass_measure(p, rows[c].moments, rows[c].modes, &ours[r], &theirs[r]);
        }
        const double own = xn_bench_median(ours, repeats), peak = xn_bench_median(theirs, repeats);
        const double flop = (rows[c].moments == XN_MOMENTS_HORNER ? 16 : 8) * XN_TRACE_SAMPLES * rows[c].modes;
        snprintf(why, sizeof why, "one pass over the data in %.1f ns per trace, kernel %s", flop / own,
                 p->kernel->name);
        emit(s, rows[c].name, "floor:fma", own, peak, "GFLOP/s", why);
    }
    return XANI_OK;
}

xani_status xn_fit_bench_moments(xn_fit_bench *s, int repeats)
{
    const xn_fit_setup setup = {.delay_ps = s->uniform_ps, .n = XN_TRACE_SAMPLES, .modes_max = 2};
    xn_fit_plans plans;
    pass p = {0};
    XN_TRY(xn_fit_plans_create(s->bench->context, &setup, &plans));
    xani_status st = pass_create(s, &plans.plan[XN_PLAN_CLOSED], &p);
    if (st == XANI_OK) st = moments_cases(s, &p, repeats);
    xn_free(p.table);
    xn_free(p.work);
    xn_fit_plans_free(&plans);
    return st;
}

// ---- a second thread

enum { COPIES = 8 }; // of the traces, so that tiles are many and a run is long

typedef struct {
    float *y;
    xani_fit_result *results;
} crowd;

// Traces per second by the clock on the wall, of runs that last a quarter of a second together.
static xani_status crowd_rate(xn_fit_bench *s, const crowd *w, int threads, double *rate)
{
    const int64_t n = COPIES * (int64_t)XN_FIT_BENCH_TRACES;
    xani_fit_options o;
    xani_fit_options_init(&o);
    o.modes_max = 1;
    o.background = 0;
    o.significance = 1e-9;
    o.threads = threads;
    const double start = xn_seconds();
    int runs = 0;
    for (; runs == 0 || xn_seconds() - start < 0.25; runs++)
        XN_TRY(xani_fit_traces(s->bench->context, &o, w->y, s->uniform_ps, XN_TRACE_SAMPLES, n, NULL, w->results));
    *rate = (double)(runs * n) / (xn_seconds() - start);
    return XANI_OK;
}

static xani_status crowd_measure(xn_fit_bench *s, const crowd *w, int repeats)
{
    double ours[XN_FIT_BENCH_REPEATS], theirs[XN_FIT_BENCH_REPEATS], one, two;
    for (int r = 0; r < repeats; r++) {
        XN_TRY(xn_check_interrupt(s->bench->context));
        XN_TRY(crowd_rate(s, w, 1, &one));
        XN_TRY(crowd_rate(s, w, 2, &two));
        ours[r] = two / one / 2;
        theirs[r] = xn_peer_fma_sustained(2) / xn_peer_fma_sustained(1) / 2;
    }
    emit(s, "K1-snr10-2threads", "floor:fma", xn_bench_median(ours, repeats), xn_bench_median(theirs, repeats),
         "of 1 thread", "rate per core with two threads over the rate with one, both by the clock on the wall");
    return XANI_OK;
}

xani_status xn_fit_bench_threads(xn_fit_bench *s, int repeats)
{
    const size_t n = XN_FIT_BENCH_TRACES, all = COPIES * n;
    crowd w = {xn_alloc(all * XN_TRACE_SAMPLES, sizeof(float)), xn_alloc(all, sizeof(xani_fit_result))};
    xani_status st = XANI_OK;
    for (size_t i = 0; w.y != NULL && i < COPIES * XN_TRACE_SAMPLES; i++)
        memcpy(w.y + i * n, s->plain + i / COPIES * n, n * sizeof(float));
    if (w.y == NULL || w.results == NULL)
        st = xn_fail_memory(s->bench->context, "traces for two threads", all * XN_TRACE_SAMPLES * sizeof(float));
    else
        st = crowd_measure(s, &w, repeats);
    xn_free(w.y);
    xn_free(w.results);
    return st;
}
