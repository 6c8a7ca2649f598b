// SPDX-License-Identifier: BSD-3-Clause
// engine.c -- see engine.h.
//
// A way to fit is (plan, depth, linear prediction).  A trace that needs more gets a way with a larger number, so one
// sweep over the ways in order, each with the list of traces that came to it, serves all of them.  All memory is
// laid out before the threads start; a thread owns one worker.
#include "fit/engine.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "fit/lp_start.h"

#define TWO_PI 6.28318530717958647693
#define HARMLESS 0.2            // timing error in units of sigma
#define SNR_FLOAT 100.0         // A/sigma of 200 samples: above, rounding in float begins to look like further modes
#define TILE_BYTES (512u << 10) // of trace data: a tile stays in the second-level cache
#define TILE_LEAST 64

enum { DEPTH_GOERTZEL = 0, DEPTH_HORNER, DEPTH_DOUBLE, DEPTHS };
#define WAYS (XN_PLANS * DEPTHS * 2)

typedef struct {
    int plan, depth;
    bool lp;
} way;

static int way_number(way w) { return w.plan + XN_PLANS * (w.depth + DEPTHS * w.lp); }
static way way_of(int number)
{
    return (way){number % XN_PLANS, number / XN_PLANS % DEPTHS, number / XN_PLANS / DEPTHS != 0};
}

typedef struct {
    void *work, *out;
    uint8_t *n_modes, *flags;
    int64_t *pixel[WAYS]; // traces waiting for each way
    int waiting[WAYS];
    int *given;
    double *given_w, *given_g;
    xn_lp_start lp;
} worker;

typedef struct {
    xn_ctx *ctx;
    const xn_fit_job *job;
    const xn_fit_plans *plans;
    const xn_fit_kernel *kernel[2]; // float, double
    void *table[XN_PLANS][2];
    int tile, threads;
    double demand[XN_PLANS]; // (200 samples/length)^3: an error of w shrinks as length^-3/2, its rounding not
    bool lp_possible;
    worker *workers;
    atomic_llong done;
} engine;

// ---- one tile

static bool deep(const way *w) { return w->depth == DEPTH_DOUBLE; }

// The way on which this trace must be fitted again; its own number when the result stands.
static int next_way(const engine *e, way w, const xn_fit_tile *tile, int i)
{
    const xn_fit_kernel *k = e->kernel[deep(&w)];
    const xn_fit_plan *p = &e->plans->plan[w.plan];
    const way before = w;
    if (tile->flags[i] & XN_FLAG_MISSING) {
        if (w.plan == XN_PLAN_CLOSED) w.plan = XN_PLAN_EXPLICIT;
        return way_number(w);
    }
    double f;
    const double snr2 = xn_fit_result_snr2(e->plans, w.plan, k, tile, i, &f);
    const double timing = TWO_PI * f * e->plans->jitter_ps / HARMLESS;
    if (w.plan != XN_PLAN_EXACT && e->plans->has[XN_PLAN_EXACT] && timing * timing * snr2 > 1.0) w.plan = XN_PLAN_EXACT;
    const bool strong = snr2 > SNR_FLOAT * SNR_FLOAT * e->demand[w.plan];
    if (strong && e->job->precision != 32)
        w.depth = DEPTH_DOUBLE;
    else if (strong && w.plan == XN_PLAN_CLOSED)
        w.depth = DEPTH_HORNER;
    if (!w.lp && e->lp_possible && way_number(w) == way_number(before)) w.lp = xn_lp_start_matters(p, k, tile, i);
    return way_number(w);
}

static void find_poles(const engine *e, worker *k, const int64_t *pixel, int count)
{
    for (int i = 0; i < count; i++) {
        double w[XANI_MAX_MODES], g[XANI_MAX_MODES];
        k->given[i] = xn_lp_start_trace(&k->lp, e->job->y + pixel[i], e->job->row_stride, e->plans->weight, w, g);
        for (int m = 0; m < k->given[i]; m++) {
            k->given_w[(int64_t)m * e->tile + i] = w[m];
            k->given_g[(int64_t)m * e->tile + i] = g[m];
        }
    }
}

static void run_way(engine *e, worker *k, int number)
{
    const way w = way_of(number);
    const int count = k->waiting[number];
    const xn_fit_kernel *kernel = e->kernel[deep(&w)];
    int64_t evaluations[XANI_MAX_MODES] = {0};
    xn_fit_tile tile = {.count = count,
                        .y = e->job->y,
                        .row = e->plans->row[w.plan],
                        .row_stride = e->job->row_stride,
                        .pixel = k->pixel[number],
                        .sigma = e->job->sigma,
                        .horner = w.depth == DEPTH_HORNER,
                        .start = !w.lp ? XN_START_PERIODOGRAM : e->job->start,
                        .given = k->given,
                        .given_w = k->given_w,
                        .given_g = k->given_g,
                        .given_stride = e->tile,
                        .out = k->out,
                        .out_stride = e->tile,
                        .n_modes = k->n_modes,
                        .flags = k->flags,
                        .evaluations = e->job->evaluations != NULL ? evaluations : NULL};
    if (w.lp) find_poles(e, k, tile.pixel, count);
    kernel->fit(&e->plans->plan[w.plan], e->table[w.plan][deep(&w)], k->work, &tile);
    for (int m = 0; tile.evaluations != NULL && m < XANI_MAX_MODES; m++)
#pragma omp atomic
        e->job->evaluations[m] += evaluations[m];
    for (int i = 0; i < count; i++) {
        const int next = next_way(e, w, &tile, i);
        if (next != number) {
            k->pixel[next][k->waiting[next]++] = tile.pixel[i];
            continue;
        }
        xani_fit_result own = {0}, *r = e->job->results != NULL ? &e->job->results[tile.pixel[i]] : &own;
        xn_fit_result_make(e->plans, w.plan, kernel, &tile, i, r);
        if (r == &own) e->job->sink(e->job->user, tile.pixel[i], r);
    }
}

static void run_tile(engine *e, worker *k, int64_t begin)
{
    const xn_fit_job *job = e->job;
    const int count = (int)xn_min64(e->tile, job->count - begin);
    const way first = {e->plans->first, job->precision == 64 ? DEPTH_DOUBLE : DEPTH_GOERTZEL,
                       job->start == XN_START_GIVEN};
    const int number = way_number(first);
    memset(k->waiting, 0, sizeof k->waiting);
    for (int i = 0; i < count; i++) k->pixel[number][i] = job->pixel != NULL ? job->pixel[begin + i] : begin + i;
    k->waiting[number] = count;
    for (int w = 0; w < WAYS; w++)
        if (k->waiting[w] > 0) run_way(e, k, w);
}

// ---- set-up

static bool depth_used(const xn_fit_job *job, int bits) { return job->precision == 0 || job->precision == bits; }

static xani_status tables_create(engine *e)
{
    for (int p = 0; p < XN_PLANS; p++)
        for (int d = 0; d < 2; d++) {
            if (!e->plans->has[p] || !depth_used(e->job, d ? 64 : 32)) continue;
            const size_t bytes = e->kernel[d]->table_bytes(&e->plans->plan[p]);
            e->table[p][d] = xn_alloc(bytes, 1);
            if (e->table[p][d] == NULL) return xn_fail_memory(e->ctx, "the tables of the fit", bytes);
            e->kernel[d]->tabulate(&e->plans->plan[p], e->table[p][d]);
        }
    return XANI_OK;
}

static xani_status worker_create(engine *e, worker *k)
{
    const size_t room = (size_t)e->tile + 2 * 16; // whole blocks of the widest lanes
    size_t bytes = 0;
    for (int p = 0; p < XN_PLANS; p++)
        for (int d = 0; d < 2; d++)
            if (e->table[p][d] != NULL) {
                const size_t need = e->kernel[d]->work_bytes(&e->plans->plan[p], e->tile);
                bytes = need > bytes ? need : bytes;
            }
    bool ok =
        (k->work = xn_alloc(bytes, 1)) != NULL && (k->out = xn_alloc(XN_OUT_SLOTS * room, sizeof(double))) != NULL;
    ok = ok && (k->n_modes = xn_alloc(room, 1)) != NULL && (k->flags = xn_alloc(room, 1)) != NULL;
    ok = ok && (k->given = xn_calloc(room, sizeof(int))) != NULL;
    ok = ok && (k->given_w = xn_alloc(room * XANI_MAX_MODES, sizeof(double))) != NULL;
    ok = ok && (k->given_g = xn_alloc(room * XANI_MAX_MODES, sizeof(double))) != NULL;
    for (int w = 0; ok && w < WAYS; w++) ok = (k->pixel[w] = xn_alloc(room, sizeof(int64_t))) != NULL;
    if (!ok) return xn_fail_memory(e->ctx, "the work space of the fit", bytes + room * (XN_OUT_SLOTS + WAYS) * 8);
    if (!e->lp_possible && e->job->start != XN_START_GIVEN) return XANI_OK;
    return xn_lp_start_create(e->ctx, e->job->n_delays, e->plans->plan[e->plans->first].modes_max, e->job->background,
                              &k->lp);
}

static void engine_free(engine *e)
{
    for (int p = 0; p < XN_PLANS; p++)
        for (int d = 0; d < 2; d++) xn_free(e->table[p][d]);
    for (int i = 0; e->workers != NULL && i < e->threads; i++) {
        worker *k = &e->workers[i];
        void *all[] = {k->work, k->out, k->n_modes, k->flags, k->given, k->given_w, k->given_g};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) xn_free(all[j]);
        for (int w = 0; w < WAYS; w++) xn_free(k->pixel[w]);
        xn_lp_start_free(&k->lp);
    }
    xn_free(e->workers);
}

static xani_status engine_create(engine *e)
{
    const xn_fit_job *job = e->job;
    for (int d = 0; d < 2; d++)
        if ((e->kernel[d] = xn_fit_kernel_find(job->kernels, d ? 64 : 32)) == NULL)
            return xn_fail(e->ctx, XANI_ERR_CONFIG, "engine.kernels: this processor does not have %s", job->kernels);
    const size_t trace = (size_t)e->plans->plan[e->plans->first].n * sizeof(float);
    int64_t tile = job->tile > 0 ? job->tile : xn_max64(TILE_LEAST, (int64_t)(TILE_BYTES / trace));
    tile = xn_min64(tile, xn_max64(job->count, 1));
    e->tile = (int)xn_min64((tile + 31) / 32 * 32, 1 << 20);
    const int64_t tiles = (job->count + e->tile - 1) / e->tile;
    e->threads = (int)xn_max64(1, xn_min64(xn_threads(job->threads), tiles));
    e->lp_possible = job->start == XN_START_BOTH && e->plans->grid;
    for (int p = 0; p < XN_PLANS; p++) e->demand[p] = pow(200.0 / fmax(e->plans->plan[p].length, 1.0), 3.0);
    XN_TRY(tables_create(e));
    e->workers = xn_calloc((size_t)e->threads, sizeof *e->workers);
    if (e->workers == NULL)
        return xn_fail_memory(e->ctx, "the threads of the fit", (size_t)e->threads * sizeof *e->workers);
    for (int i = 0; i < e->threads; i++) XN_TRY(worker_create(e, &e->workers[i]));
    return XANI_OK;
}

xani_status xn_fit_run(xn_ctx *ctx, const xn_fit_job *job)
{
    engine e = {.ctx = ctx, .job = job, .plans = job->plans};
    atomic_init(&e.done, 0);
    xani_status st;
    XN_GOTO(out, st, engine_create(&e));
    const int64_t tiles = (job->count + e.tile - 1) / e.tile;
    xn_progress(ctx, "fit", 0, job->count, "traces");
#pragma omp parallel for schedule(dynamic) num_threads(e.threads)
    for (int64_t i = 0; i < tiles; i++) {
        if (xn_interrupted(ctx)) continue;
        run_tile(&e, &e.workers[omp_get_thread_num()], i * e.tile);
        const int64_t count = xn_min64(e.tile, job->count - i * e.tile);
        const int64_t done = atomic_fetch_add(&e.done, count) + count;
        if (omp_get_thread_num() == 0 && done < job->count) xn_progress(ctx, "fit", done, job->count, "traces");
    }
    XN_GOTO(out, st, xn_check_interrupt(ctx));
    xn_progress(ctx, "fit", job->count, job->count, "traces");
out:
    engine_free(&e);
    return st;
}
