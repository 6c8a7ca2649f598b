// SPDX-License-Identifier: BSD-3-Clause
// fit_traces.c -- see fit_bench.h: the traces of a case, and the start values that peers are given.
//
// Starts come from HSVD (this library's own, two spare poles), amplitudes from linear least squares beside them. Delays
// that are not uniform lie within a fifth of a step of the grid, so that linear prediction still gives a start.
#include "bench/fit_bench.h"

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

void xn_fit_bench_poles(const xn_peer_traces *t, int64_t i, xn_lp_work *work, double *f, double *g)
{
    double y[XN_TRACE_SAMPLES], w[XN_TRACE_MODES], decay[XN_TRACE_MODES], a[XN_TRACE_MODES], mean = 0;
    for (int s = 0; s < t->samples; s++) mean += (double)t->y[i * t->samples + s] / t->samples;
    for (int s = 0; s < t->samples; s++) y[s] = (double)t->y[i * t->samples + s] - mean;
    int found = xn_lp_modes(y, t->samples, t->modes, work, w, decay, a);
    for (int k = 0; k < t->modes; k++) {
        f[k] = k < found ? w[k] / (2 * XN_TRACE_PI * t->step_ps) : 1 + k;
        g[k] = fmin(fmax(k < found ? decay[k] / t->step_ps : 0.3, 0.03), 5);
    }
}

static xani_status make_starts(xn_fit_bench *s)
{
    xn_lp_work *work;
    xani_lp_options o;
    xn_lp_options_start(&o, s->t.modes, XN_LP_SPARE);
    XN_TRY(xn_lp_work_create(s->bench->context, s->t.samples, &o, XN_LP_LOOSE, &work));
    for (int64_t i = 0; i < s->t.n; i++) {
        double f[XN_TRACE_MODES], g[XN_TRACE_MODES];
        xn_fit_bench_poles(&s->t, i, work, f, g);
        amplitudes(s->t.y + i * s->t.samples, s->t.samples, s->t.step_ps, s->t.modes, f, g,
                   s->t.start + i * (4 * s->t.modes + 1));
    }
    xn_lp_work_destroy(&work);
    return XANI_OK;
}

void xn_fit_bench_free(xn_fit_bench *s)
{
    xn_peer_python_stop(&s->python);
    xn_free(s->t.y);
    xn_free(s->t.truth);
    xn_free(s->t.start);
    xn_free(s->by_delay);
    xn_free(s->plain);
    xn_free(s->results);
    *s = (xn_fit_bench){.bench = s->bench};
}

// Shots per bin that spread by half of their mean
static void make_delays(xn_fit_bench *s, const xn_fit_case *c)
{
    xn_rng r;
    xn_rng_init(&r, 77, 0);
    xn_traces_delays(XN_TRACE_SAMPLES, s->delay_ps);
    xn_traces_delays(XN_TRACE_SAMPLES, s->uniform_ps);
    double sum = 0;
    for (int i = 0; i < XN_TRACE_SAMPLES; i++) {
        if (c->jitter) s->delay_ps[i] += 0.4 * XN_TRACE_STEP_PS * (xn_rng_uniform(&r) - 0.5);
        s->weight[i] = c->weighted ? 0.15 + 1.7 * xn_rng_uniform(&r) : 1;
        sum += s->weight[i] / XN_TRACE_SAMPLES;
    }
    for (int i = 0; i < XN_TRACE_SAMPLES; i++) s->weight[i] /= sum;
}

xani_status xn_fit_bench_make(xn_fit_bench *s, const xn_fit_case *c)
{
    const size_t n = XN_FIT_BENCH_TRACES, samples = XN_TRACE_SAMPLES;
    s->t = (xn_peer_traces){.modes = c->modes,
                            .samples = XN_TRACE_SAMPLES,
                            .n = XN_FIT_BENCH_TRACES,
                            .step_ps = XN_TRACE_STEP_PS,
                            .delay_ps = s->delay_ps,
                            .weight = c->weighted ? s->weight : NULL};
    s->t.y = xn_alloc(n * samples, sizeof(float));
    s->t.truth = xn_alloc(n, sizeof(xn_truth));
    s->t.start = xn_alloc(n * (size_t)(4 * c->modes + 1), sizeof(double));
    s->by_delay = xn_alloc(n * samples, sizeof(float));
    s->plain = xn_alloc(n * samples, sizeof(float));
    s->results = xn_alloc(n, sizeof(xani_fit_result));
    if (!s->plain || !s->t.y || !s->t.truth || !s->t.start || !s->by_delay || !s->results)
        return xn_fail_memory(s->bench->context, "traces of the benchmark", n * samples * 8);
    make_delays(s, c);
    uint64_t seed = 7 + (uint64_t)c->modes;
    xn_traces_make(seed, c->modes, c->snr, s->uniform_ps, XN_TRACE_SAMPLES, XN_FIT_BENCH_TRACES, s->plain, s->t.truth);
    xn_traces_make_weighted(seed, c->modes, c->snr, s->delay_ps, s->t.weight, XN_TRACE_SAMPLES, XN_FIT_BENCH_TRACES,
                            s->by_delay, s->t.truth);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < samples; d++) s->t.y[i * samples + d] = s->by_delay[d * n + i];
    return make_starts(s);
}
