// SPDX-License-Identifier: BSD-3-Clause
// lp_batch.c -- linear prediction of many traces: poles, then amplitudes and phases, in parallel.
//
// A thread owns one work space and takes traces in small portions; BLAS stays in the calling thread, so the number of
// threads is what was asked for.  A trace is divided by its largest sample first, so results do not depend on units.
#include "fit/lp_work.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#define PI 3.14159265358979323846
#define OFF_GRID 1e-3 // of a step
#define PORTION 8     // traces
#define MOST_DELAYS (1 << 20)

typedef struct {
    const xani_lp_options *o;
    const double *traces, *delay_ps;
    double step_ps;
    int n, most;
    int64_t count;
    xani_lp_component *components;
    xani_lp_result *results;
} job;

typedef struct { // of one thread
    xn_lp_work *work;
    double *trace;
} worker;

// ---- one trace

static xani_lp_component make_component(const job *j, bool is_complex, const xn_lp_term *t, double scale)
{
    const double first = j->delay_ps[0], g = t->g / j->step_ps, f = t->w / (2 * PI * j->step_ps);
    const double phase = is_complex ? atan2(t->b, t->a) : t->single ? (t->a < 0 ? PI : 0) : atan2(-t->b, t->a);
    return (xani_lp_component){.frequency_thz = f,
                               .damping_per_ps = g,
                               .amplitude = scale * hypot(t->a, t->b) * exp(g * first),
                               .phase = remainder(phase - 2 * PI * f * first, 2 * PI)};
}

static int by_energy(const void *a, const void *b)
{
    const double x = ((const xn_lp_term *)a)->energy, y = ((const xn_lp_term *)b)->energy;
    return (x < y) - (x > y);
}

// Gathers trace i, divided by its largest sample, which is returned: 0 for nothing, NaN where a sample is not finite.
static double gather(const job *j, int64_t i, double *y)
{
    const int width = j->o->complex_traces ? 2 : 1;
    double largest = 0;
    for (int s = 0; s < j->n; s++)
        for (int h = 0; h < width; h++) {
            const double v = j->traces[((int64_t)s * j->count + i) * width + h];
            if (!isfinite(v)) return NAN;
            largest = fmax(largest, fabs(v));
            y[width * s + h] = v;
        }
    for (int s = 0; s < width * j->n && largest > 0; s++) y[s] /= largest;
    return largest;
}

static void predict(const job *j, xn_lp_work *k, double *y, int64_t i)
{
    xani_lp_result *r = &j->results[i];
    const double scale = gather(j, i, y);
    double re[XN_LP_MOST_POLES], im[XN_LP_MOST_POLES], largest = 0;
    xn_lp_term t[XN_LP_MOST_POLES];
    *r = (xani_lp_result){.status = isnan(scale) ? XANI_LP_NOT_FINITE : XANI_LP_NOTHING, .residual = scale};
    if (!(scale > 0)) return;
    k->o.noise = j->o->noise / scale;
    const int poles = xn_lp_poles(y, j->n, k, re, im, &r->rank), count = xn_lp_terms_make(k, j->n, re, im, poles, t);
    r->residual = scale * sqrt(xn_lp_terms_fit(k, y, j->n, t, count));
    if (isnan(r->residual)) return;
    qsort(t, (size_t)count, sizeof *t, by_energy);
    for (int c = 0; c < count; c++) largest = fmax(largest, hypot(t[c].a, t[c].b));
    for (int c = 0; c < count && r->n_components < j->most; c++) {
        const double a = hypot(t[c].a, t[c].b);
        if (!(a > 0 && a >= j->o->amplitude_threshold * largest)) continue;
        const xani_lp_component made = make_component(j, j->o->complex_traces, &t[c], scale);
        if (!(made.amplitude > 0 && isfinite(made.amplitude))) continue; // far from time zero it is no number
        j->components[i * j->most + r->n_components++] = made;
    }
    if (r->n_components > 0) r->status = XANI_LP_FOUND;
}

// ---- all

// The delay to blame where they do not lie on one grid: after the first step unlike the one in the middle, or, where
// the steps change slowly, the one farthest off.
static int64_t delay_off(const double *delay_ps, int64_t n, double step_ps)
{
    const double usual = delay_ps[n / 2] - delay_ps[n / 2 - 1];
    int64_t worst = 0;
    for (int64_t i = 1; i < n; i++)
        if (!(fabs(delay_ps[i] - delay_ps[i - 1] - usual) <= OFF_GRID * fabs(usual))) return i;
    for (int64_t i = 1; i < n; i++)
        if (fabs(delay_ps[i] - delay_ps[0] - (double)i * step_ps) >
            fabs(delay_ps[worst] - delay_ps[0] - (double)worst * step_ps))
            worst = i;
    return worst;
}

static xani_status check_delays(xn_ctx *ctx, const double *delay_ps, int64_t n, double *step_ps)
{
    *step_ps = (delay_ps[n - 1] - delay_ps[0]) / (double)(n - 1);
    bool even = *step_ps > 0 && isfinite(*step_ps);
    for (int64_t i = 0; i < n && even; i++)
        even = fabs(delay_ps[i] - delay_ps[0] - (double)i * *step_ps) <= OFF_GRID * *step_ps;
    if (even) return XANI_OK;
    const int64_t off = delay_off(delay_ps, n, *step_ps);
    return xn_fail(ctx, XANI_ERR_USAGE,
                   "linear prediction: delay %lld (%.9g ps) is not one of equal, rising steps from %.9g ps",
                   (long long)off, delay_ps[off], delay_ps[0]);
}

static xani_status run(xn_ctx *ctx, const job *j, int threads, const worker *workers)
{
    const int64_t portions = (j->count + PORTION - 1) / PORTION;
    xn_progress(ctx, "linear prediction", 0, j->count, "traces");
    atomic_llong done;
    atomic_init(&done, 0);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t p = 0; p < portions; p++) {
        const int me = omp_get_thread_num();
        if (xn_interrupted(ctx)) continue;
        const int64_t end = xn_min64((p + 1) * PORTION, j->count);
        for (int64_t i = p * PORTION; i < end; i++) predict(j, workers[me].work, workers[me].trace, i);
        const int64_t now = atomic_fetch_add(&done, end - p * PORTION) + end - p * PORTION;
        if (me == 0 && now < j->count) xn_progress(ctx, "linear prediction", now, j->count, "traces");
    }
    XN_TRY(xn_check_interrupt(ctx));
    xn_progress(ctx, "linear prediction", j->count, j->count, "traces");
    return XANI_OK;
}

xani_status xn_linear_prediction(xn_ctx *ctx, const xani_lp_options *o, const double *traces, const double *delay_ps,
                                 int64_t n_delays, int64_t n_traces, int components_max, xani_lp_component *components,
                                 xani_lp_result *results)
{
    if (n_delays < XN_LP_SHORTEST || n_delays > MOST_DELAYS)
        return xn_fail(ctx, XANI_ERR_USAGE, "linear prediction: n_delays is %lld, not %d..%d", (long long)n_delays,
                       XN_LP_SHORTEST, MOST_DELAYS);
    if (n_traces < 0) return xn_fail(ctx, XANI_ERR_USAGE, "linear prediction: n_traces is negative");
    if (components_max < 1) return xn_fail(ctx, XANI_ERR_USAGE, "linear prediction: components_max is not above 0");
    XN_TRY(xn_lp_options_check(ctx, o, n_delays));
    if (n_traces == 0) return XANI_OK;
    job j = {.o = o,
             .traces = traces,
             .delay_ps = delay_ps,
             .n = (int)n_delays,
             .most = components_max,
             .count = n_traces,
             .components = components,
             .results = results};
    XN_TRY(check_delays(ctx, delay_ps, n_delays, &j.step_ps));
    const int64_t portions = (n_traces + PORTION - 1) / PORTION;
    const int threads = (int)xn_min64(xn_threads(o->threads), portions);
    const size_t samples = (size_t)n_delays * (o->complex_traces ? 2 : 1);
    XN_TRY(xn_algebra_room(ctx, threads));
    worker *workers = xn_calloc((size_t)threads, sizeof *workers);
    if (workers == NULL) return xn_fail_memory(ctx, "linear prediction", (size_t)threads * sizeof *workers);
    xani_status st = XANI_OK;
    for (int i = 0; i < threads && st == XANI_OK; i++) {
        workers[i].trace = xn_alloc(samples, sizeof(double));
        st = workers[i].trace != NULL ? xn_lp_work_create(ctx, j.n, o, XN_LP_TIGHT, &workers[i].work)
                                      : xn_fail_memory(ctx, "linear prediction", samples * sizeof(double));
    }
    if (st == XANI_OK) st = run(ctx, &j, threads, workers);
    for (int i = 0; i < threads; i++) {
        xn_lp_work_destroy(&workers[i].work);
        xn_free(workers[i].trace);
    }
    xn_free(workers);
    return st;
}
