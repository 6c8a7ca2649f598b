// SPDX-License-Identifier: BSD-3-Clause
// engine.c -- see engine.h.
//
// One sweep over the ways to fit (ways.h) in order, each with the list of traces that came to it, serves all of them.
// All memory but the plans' tables is laid out before the threads start; a thread owns
// one worker, and with devices each worker owns a lane of one: tiles are handed out to whoever is free, so that several
// devices share them.
#include "fit/engine.h"

#include <math.h>
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "fit/covariance.h"
#include "fit/lp_start.h"
#include "fit/rounds.h"
#include "fit/ways.h"
#include "kernel/grid.h"

#define TWO_PI 6.28318530717958647693
#define TILE_BYTES (512u << 10) // of trace data: a tile stays in the second-level cache
#define TILE_LEAST 64
#define RESULTS_AHEAD 2

typedef struct {
    void *work, *out;
    uint8_t *n_modes, *flags;
    uint8_t *most, *limit; // modes that a trace may have, by place in the tile, and of the traces under way
    int *slot[XN_WAYS];    // traces waiting for each way, by place in the tile
    int waiting[XN_WAYS];
    int64_t *pixel; // of the traces under way
    int *given;
    double *given_w, *given_g;
    xn_lp_start lp;
    double *covariance, *covariance_work;
    xn_rounds rounds;
    xn_device_lane *lane; // NULL: none, or it failed
} worker;

typedef struct {
    xn_ctx *ctx;
    const xn_fit_job *job;
    const xn_fit_plans *plans;
    _Atomic(void *) table[XN_PLANS][2]; // made when first needed: some take longer than a thousand fits
    int tile, part, threads;            // traces of a tile, and of what the processor's kernels take at once
    xn_ways ways;
    bool rounds;                   // traces have weights of their own
    const xn_fit_devices *devices; // NULL: none, or they cannot serve this fit
    atomic_int lost;               // status of a device that was asked for and failed, or of a table without memory
    worker *workers;
    atomic_llong done;
} engine;

// ---- one tile

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

// The modes that the caller gave, those without a frequency left out.
static void take_given(const engine *e, worker *k, const xn_fit_plan *plan, const int64_t *pixel, int count)
{
    const xn_fit_given *given = &e->job->given;
    for (int i = 0; i < count; i++) {
        k->given[i] = 0;
        for (int m = 0; m < given->n_modes; m++) {
            const int64_t from = m * given->stride + (given->shared ? 0 : pixel[i]);
            const double f = given->frequency_thz[from];
            const double g = given->damping_per_ps != NULL ? given->damping_per_ps[from] : NAN;
            if (!(f > 0.0) || !isfinite(f)) continue;
            const int64_t to = (int64_t)k->given[i]++ * e->tile + i;
            k->given_w[to] = TWO_PI * f * e->plans->step_ps;
            k->given_g[to] = g >= 0.0 && isfinite(g) ? g * e->plans->step_ps : plan->window_rate;
        }
    }
}

static int start_of(const engine *e, bool given)
{
    static const int starts[] = {XN_START_PERIODOGRAM, XN_START_GIVEN, XN_START_BOTH, XN_START_BOTH,
                                 XN_START_GIVEN_FIRST};
    return starts[given ? e->job->start : XN_FROM_PERIODOGRAM];
}

static void report(const engine *e, worker *k, const xn_way *w, const xn_fit_tile *tile, int i, const int *slot)
{
    const xn_fit_kernel *kernel = e->ways.kernel[xn_way_deep(*w)];
    // cppcheck-suppress uninitvar ; xn_fit_result_make fills all of it
    xani_fit_result own, *r = e->job->results != NULL ? &e->job->results[tile->pixel[i]] : &own;
    xn_fit_result_make(e->plans, w->plan, kernel, tile, i, r);
    if (e->rounds && xn_fit_sigma(tile, i) == 0.0) r->chi2_reduced *= k->rounds.unit[slot[i]];
    if (e->job->covariance) xn_covariance_trace(e->plans, w->plan, kernel, tile, i, k->covariance_work, k->covariance);
    const xn_fit_more more = {.covariance = k->covariance};
    if (e->job->sink != NULL) e->job->sink(e->job->user, tile->pixel[i], r, &more);
}

static int device_of(const engine *e, const worker *k)
{
    return e->devices->number[(k - e->workers) % e->devices->count];
}

// Fits the tile on the worker's device; false: the processor must.
static bool run_on_device(engine *e, worker *k, xn_way w, xn_fit_tile *tile)
{
    char why[256];
    if (e->devices == NULL || k->lane == NULL || xn_way_deep(w) || tile->start != XN_START_PERIODOGRAM) return false;
    if (tile->weight != NULL || tile->rest != NULL || tile->limit != NULL) return false;
    if (e->devices->driver->fit(k->lane, w.plan, tile, why, sizeof why)) return true;
    e->devices->driver->close(k->lane);
    k->lane = NULL;
    if (xn_fit_devices_lost(e->ctx, e->devices, device_of(e, k), why) != XANI_OK)
        atomic_store(&e->lost, XANI_ERR_CONFIG);
    return false;
}

// The table of a plan; NULL: no memory.
static const void *table_of(engine *e, int plan, bool deep)
{
    void *table = atomic_load(&e->table[plan][deep]);
    if (table != NULL) return table;
#pragma omp critical // unnamed: a name would become a symbol that the library exports
    if ((table = atomic_load(&e->table[plan][deep])) == NULL) {
        const size_t bytes = e->ways.kernel[deep]->table_bytes(&e->plans->plan[plan]);
        if ((table = xn_alloc(bytes, 1)) != NULL)
            e->ways.kernel[deep]->tabulate(&e->plans->plan[plan], table);
        else
            atomic_store(&e->lost, (int)xn_fail_memory(e->ctx, "the tables of the fit", bytes));
        atomic_store(&e->table[plan][deep], table);
    }
    return table;
}

// Results are written once and larger than caches: their lines are fetched before they are needed.
static void result_fetch(const engine *e, const worker *k, int i, int count)
{
    if (e->job->results == NULL || i >= count) return;
    const char *line = (const char *)&e->job->results[k->pixel[i]];
    for (size_t b = 0; b < sizeof(xani_fit_result); b += 64) __builtin_prefetch(line + b, 1);
}

static void run_way(engine *e, worker *k, int64_t begin, int number)
{
    const xn_way w = xn_way_of(number);
    const int count = k->waiting[number], *slot = k->slot[number];
    const xn_fit_kernel *kernel = e->ways.kernel[xn_way_deep(w)];
    const xn_fit_plan *plan = &e->plans->plan[w.plan];
    const void *table = table_of(e, w.plan, xn_way_deep(w));
    int64_t evaluations[XANI_MAX_MODES] = {0};
    bool limited = false;
    if (table == NULL) return;
    k->waiting[number] = 0;
    for (int i = 0; i < count; i++) {
        k->pixel[i] = e->job->pixel ? e->job->pixel[begin + slot[i]] : begin + slot[i];
        k->limit[i] = k->most[slot[i]];
        limited |= k->limit[i] < XANI_MAX_MODES;
    }
    xn_fit_tile tile = {.count = count,
                        .y = e->job->y,
                        .row = e->plans->row[w.plan],
                        .row_stride = e->job->row_stride,
                        .pixel = k->pixel,
                        .sigma = e->job->sigma,
                        .horner = w.depth == XN_DEPTH_HORNER,
                        .start = start_of(e, w.given),
                        .given = k->given,
                        .given_w = k->given_w,
                        .given_g = k->given_g,
                        .given_stride = e->tile,
                        .limit = limited ? k->limit : NULL,
                        .favour = e->job->favour,
                        .out = k->out,
                        .out_stride = e->tile,
                        .n_modes = k->n_modes,
                        .flags = k->flags,
                        .evaluations = e->job->evaluations != NULL ? evaluations : NULL};
    if (e->rounds) xn_rounds_open(&k->rounds, w.plan, w.again, slot, &tile);
    if (w.given && e->job->start >= XN_FROM_NEIGHBOURS)
        take_given(e, k, plan, tile.pixel, count);
    else if (w.given)
        find_poles(e, k, tile.pixel, count);
    if (!run_on_device(e, k, w, &tile)) xn_fit_in_parts(kernel, plan, table, k->work, e->part, &tile);
    for (int m = 0; e->job->evaluations != NULL && m < XANI_MAX_MODES; m++)
#pragma omp atomic
        e->job->evaluations[m] += evaluations[m];
    for (int i = 0; i < count; i++) {
        result_fetch(e, k, i + RESULTS_AHEAD, count);
        int next = xn_way_next(&e->ways, &w, &tile, i);
        const bool fewer = next == number && xn_way_one_too_many(&e->ways, &w, &tile, i);
        if (fewer) k->most[slot[i]] = (uint8_t)(tile.n_modes[i] - 1);
        if (next == number && !fewer && e->rounds && xn_rounds_next(&k->rounds, w.plan, &tile, i, slot[i])) {
            const int depth = xn_way_deep(w) ? XN_DEPTH_DOUBLE : XN_DEPTH_GOERTZEL;
            next = xn_way_number((xn_way){xn_plan_explicit(w.plan), depth, w.given, true});
        }
        if (next != number || fewer)
            k->slot[next][k->waiting[next]++] = slot[i];
        else
            report(e, k, &w, &tile, i, slot);
    }
}

static void run_tile(engine *e, worker *k, int64_t begin)
{
    const xn_fit_job *job = e->job;
    const int count = (int)xn_min64(e->tile, job->count - begin);
    const bool by_sample =
        job->weight != NULL || ((e->devices || e->rounds) && e->plans->plan[e->plans->first].gridded);
    const xn_way first = {by_sample ? xn_plan_explicit(e->plans->first) : e->plans->first,
                          job->precision == 64 ? XN_DEPTH_DOUBLE : XN_DEPTH_GOERTZEL,
                          job->start != XN_FROM_PERIODOGRAM && job->start != XN_FROM_BOTH, false};
    const int number = xn_way_number(first);
    memset(k->waiting, 0, sizeof k->waiting);
    memset(k->most, XANI_MAX_MODES, (size_t)count);
    for (int i = 0; i < count; i++) k->slot[number][i] = i;
    k->waiting[number] = count;
    for (int w = 0; w < XN_WAYS; w++)
        while (k->waiting[w] > 0 && atomic_load(&e->lost) == 0) run_way(e, k, begin, w);
}

// ---- set-up

static bool depth_used(const xn_fit_job *job, int bits) { return job->precision == 0 || job->precision == bits; }

static xani_status worker_create(engine *e, worker *k)
{
    const size_t room = (size_t)e->tile + 2 * 16; // whole blocks of the widest lanes
    size_t bytes = 0;
    for (int p = 0; p < XN_PLANS; p++)
        for (int d = 0; d < 2; d++)
            if (e->plans->has[p] && depth_used(e->job, d ? 64 : 32)) {
                const size_t need = e->ways.kernel[d]->work_bytes(&e->plans->plan[p], e->part);
                bytes = need > bytes ? need : bytes;
            }
    bool ok =
        (k->work = xn_alloc(bytes, 1)) != NULL && (k->out = xn_alloc(XN_OUT_SLOTS * room, sizeof(double))) != NULL;
    ok = ok && (k->n_modes = xn_alloc(room, 1)) != NULL && (k->flags = xn_alloc(room, 1)) != NULL;
    ok = ok && (k->most = xn_alloc(room, 1)) != NULL && (k->limit = xn_alloc(room, 1)) != NULL;
    ok = ok && (k->given = xn_calloc(room, sizeof(int))) != NULL;
    ok = ok && (k->given_w = xn_alloc(room * XANI_MAX_MODES, sizeof(double))) != NULL;
    ok = ok && (k->given_g = xn_alloc(room * XANI_MAX_MODES, sizeof(double))) != NULL;
    ok = ok && (k->pixel = xn_alloc(room, sizeof(int64_t))) != NULL;
    for (int w = 0; ok && w < XN_WAYS; w++) ok = (k->slot[w] = xn_alloc(room, sizeof(int))) != NULL;
    const size_t side = XN_COVARIANCE_SIDE((size_t)e->plans->plan[e->plans->first].modes_max) + 1;
    if (e->job->covariance) {
        ok = ok && (k->covariance = xn_alloc(side * side, sizeof(double))) != NULL;
        ok = ok &&
             (k->covariance_work = xn_alloc((2 + XN_FIT_COLUMNS) * (size_t)e->job->n_delays, sizeof(double))) != NULL;
    }
    if (!ok) return xn_fail_memory(e->ctx, "the work space of the fit", bytes + room * (XN_OUT_SLOTS + XN_WAYS) * 8);
    k->rounds = (xn_rounds){.rule = &e->job->reweight,
                            .y = e->job->y,
                            .given = e->job->weight,
                            .sigma = e->job->sigma,
                            .row_stride = e->job->row_stride,
                            .n_delays = e->job->n_delays,
                            .pitch = e->tile};
    if (e->rounds) XN_TRY(xn_rounds_create(e->ctx, e->plans, &k->rounds));
    if (!e->ways.lp_possible && e->job->start != XN_FROM_PREDICTION) return XANI_OK;
    return xn_lp_start_create(e->ctx, e->plans, e->job->n_delays, e->job->linear_prediction, &k->lp);
}

// Gives worker k a lane of its device.
static xani_status lane_create(engine *e, worker *k)
{
    const xn_fit_plan *plans[XN_PLANS];
    char why[256];
    if (e->devices == NULL) return XANI_OK;
    for (int p = 0; p < XN_PLANS; p++)
        plans[p] = e->plans->has[p] && !e->plans->plan[p].gridded ? &e->plans->plan[p] : NULL;
    k->lane = e->devices->driver->open(device_of(e, k), plans, XN_PLANS, e->tile, why, sizeof why);
    return k->lane != NULL ? XANI_OK : xn_fit_devices_lost(e->ctx, e->devices, device_of(e, k), why);
}

// Devices: in single precision, from the periodogram, no exponential, nothing near time zero, no gaps, evaluations not
// counted.
static bool devices_serve(const xn_fit_job *job)
{
    const bool start = job->start == XN_FROM_PERIODOGRAM || job->start == XN_FROM_BOTH;
    return job->devices != NULL && job->devices->driver != NULL && job->precision != 64 && start &&
           job->weight == NULL && job->evaluations == NULL && job->background != XANI_BACKGROUND_EXPONENTIAL &&
           !job->plans->near && !(job->plans->lobe_thz > 0.0);
}

// Tile and threads of a fit with devices
static xani_status devices_share(engine *e)
{
    const xn_fit_job *job = e->job;
    const xn_fit_plan *p = &e->plans->plan[xn_plan_explicit(e->plans->first)]; // needs most memory
    int tile;
    XN_TRY(xn_fit_devices_share(e->ctx, job->devices, p, job->count, job->tile, &e->threads, &tile));
    if (tile == 0) return XANI_OK;
    e->devices = job->devices;
    e->tile = tile;
    e->part = (int)xn_min64(e->part, tile);
    return XANI_OK;
}

static void engine_free(engine *e)
{
    for (int p = 0; p < XN_PLANS; p++)
        for (int d = 0; d < 2; d++) xn_free(e->table[p][d]);
    for (int i = 0; e->workers != NULL && i < e->threads; i++) {
        worker *k = &e->workers[i];
        void *all[] = {k->work,    k->out,        k->n_modes,         k->flags, k->given, k->given_w,
                       k->given_g, k->covariance, k->covariance_work, k->pixel, k->most,  k->limit};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) xn_free(all[j]);
        for (int w = 0; w < XN_WAYS; w++) xn_free(k->slot[w]);
        xn_rounds_free(&k->rounds);
        if (e->devices != NULL && k->lane != NULL) e->devices->driver->close(k->lane);
        xn_lp_start_free(&k->lp);
    }
    xn_free(e->workers);
}

static xani_status engine_create(engine *e)
{
    const xn_fit_job *job = e->job;
    for (int d = 0; d < 2; d++)
        if ((e->ways.kernel[d] = xn_fit_kernel_find(job->kernels, d ? 64 : 32)) == NULL)
            return xn_fail(e->ctx, XANI_ERR_CONFIG, "engine.kernels: this processor does not have %s", job->kernels);
    const xn_fit_plan *first = &e->plans->plan[e->plans->first];
    const size_t points = first->gridded ? (size_t)xn_grid_points(first, first->grid_step, xn_grid_taps(first, 32)) : 0;
    const size_t trace = ((size_t)first->n + points) * sizeof(float);
    int64_t tile = job->tile > 0 ? job->tile : xn_max64(TILE_LEAST, (int64_t)(TILE_BYTES / trace));
    tile = xn_min64(tile, xn_max64(job->count, 1));
    e->tile = e->part = (int)xn_min64((tile + 31) / 32 * 32, 1 << 20);
    e->threads = xn_threads(job->threads);
    if (devices_serve(job)) XN_TRY(devices_share(e));
    const int64_t tiles = (job->count + e->tile - 1) / e->tile;
    e->threads = (int)xn_max64(1, xn_min64(e->threads, tiles));
    e->ways.plans = e->plans;
    e->ways.precision = job->precision;
    e->ways.on_devices = e->devices != NULL;
    e->ways.lp_possible = job->start == XN_FROM_BOTH && e->plans->grid;
    e->rounds = job->weight != NULL || xn_reweight_wanted(&job->reweight);
    for (int p = 0; p < XN_PLANS; p++) e->ways.demand[p] = pow(200.0 / fmax(e->plans->plan[p].length, 1.0), 3.0);
    e->workers = xn_calloc((size_t)e->threads, sizeof *e->workers);
    if (e->workers == NULL)
        return xn_fail_memory(e->ctx, "the threads of the fit", (size_t)e->threads * sizeof *e->workers);
    if (e->ways.lp_possible || job->start == XN_FROM_PREDICTION) XN_TRY(xn_algebra_room(e->ctx, e->threads));
    for (int i = 0; i < e->threads; i++) XN_TRY(worker_create(e, &e->workers[i]));
    for (int i = 0; i < e->threads; i++) XN_TRY(lane_create(e, &e->workers[i]));
    return XANI_OK;
}

xani_status xn_fit_each(xn_ctx *ctx, const xn_fit_job *job)
{
    engine e = {.ctx = ctx, .job = job, .plans = job->plans};
    atomic_init(&e.done, 0), atomic_init(&e.lost, XANI_OK);
    xani_status st;
    XN_GOTO(out, st, engine_create(&e));
    const int64_t tiles = (job->count + e.tile - 1) / e.tile;
    xn_progress(ctx, "fit", 0, job->count, "traces");
#pragma omp parallel for schedule(dynamic) num_threads(e.threads)
    for (int64_t i = 0; i < tiles; i++) {
        if (xn_interrupted(ctx) || atomic_load(&e.lost) != XANI_OK) continue;
        run_tile(&e, &e.workers[omp_get_thread_num()], i * e.tile);
        const int64_t count = xn_min64(e.tile, job->count - i * e.tile);
        const int64_t done = atomic_fetch_add(&e.done, count) + count;
        if (omp_get_thread_num() == 0 && done < job->count) xn_progress(ctx, "fit", done, job->count, "traces");
    }
    XN_GOTO(out, st, (xani_status)atomic_load(&e.lost));
    XN_GOTO(out, st, xn_check_interrupt(ctx));
    xn_progress(ctx, "fit", job->count, job->count, "traces");
out:
    engine_free(&e);
    return st;
}
