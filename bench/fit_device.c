// SPDX-License-Identifier: BSD-3-Clause
// fit_device.c -- see fit_bench.h: the fit on a graphics processor, beside what the device and the bus allow.
//
// Two rates.  Kernels alone: the time between the first and the last kernel of each tile, one lane, copies not counted;
// XANI_BENCH_TILE, while working on something: of tiles of so many traces instead of the driver's own choice.
// End to end: from samples in the host's memory to results there, all lanes, their opening included.  Beside them the
// roofline: the device's memory if every pass read its samples anew from it (samples in cache may beat that), the peak
// of single precision for the operations that cannot be left out (fit_floor.c), the bus for samples that go in, and the
// processor, with all its threads, on the same traces; and what a user of JAX would write, on the same device with the
// samples there and HSVD starts given.
#include <stdio.h>
#include <stdlib.h>

#include "bench/figures.h"
#include "bench/fit_bench.h"
#include "fit/engine.h"

enum { TIMES = 64, ROUNDS = 33, PEER = 1 << 18 }; // copies of the traces in memory; fits of each end to end; of a peer

typedef struct {
    const xn_device_driver *driver;
    xn_device_info info;
    xn_fit_plans plans;
    int64_t count; // of traces in memory
    float *y;      // (delay, count)
    int64_t *pixel;
    int tile;                                           // traces
    double kernel_rate, end_rate, host_rate, to_device; // traces/s, bytes/s
    char why[256];
} device_bench;

static void emit(const xn_bench *bench, const char *name, const char *peer, double ours, double theirs, const char *why)
{
    const xn_bench_line line = {.bench = "fit",
                                .name = name,
                                .peer = peer,
                                .ours = ours,
                                .theirs = theirs,
                                .unit = "traces/s",
                                .ratio = theirs > 0.0 ? ours / theirs : NAN,
                                .ratio_cpu = NAN,
                                .why = why};
    bench->emit(bench->user, &line);
}

static xani_status lay_out(xn_fit_bench *s, device_bench *d)
{
    const int64_t n = XN_FIT_BENCH_TRACES;
    d->count = n * TIMES;
    d->y = xn_alloc((size_t)(XN_TRACE_SAMPLES * d->count), sizeof *d->y);
    d->pixel = xn_alloc((size_t)(d->count * ROUNDS), sizeof *d->pixel);
    if (d->y == NULL || d->pixel == NULL)
        return xn_fail_memory(s->bench->context, "the traces", (size_t)(XN_TRACE_SAMPLES * d->count) * sizeof *d->y);
    for (int64_t i = 0; i < XN_TRACE_SAMPLES; i++)
        for (int64_t k = 0; k < TIMES; k++)
            memcpy(d->y + i * d->count + k * n, s->by_delay + i * n, (size_t)n * sizeof *d->y);
    for (int64_t i = 0; i < d->count * ROUNDS; i++) d->pixel[i] = i % d->count;
    return XANI_OK;
}

// All traces once to warm up, then `repeats` times.
static xani_status measure_kernels(const xn_bench *bench, device_bench *d, int repeats)
{
    const xn_fit_plan *plans[] = {&d->plans.plan[XN_PLAN_CLOSED]};
    const char *asked = getenv("XANI_BENCH_TILE");
    const int own = d->driver->tile(0, plans[0], 1, d->why, sizeof d->why),
              tile_size = asked ? (int)strtol(asked, NULL, 10) : own;
    double rate[XN_FIT_BENCH_REPEATS], back;
    xn_device_lane *lane = tile_size > 0 ? d->driver->open(0, plans, 1, tile_size, d->why, sizeof d->why) : NULL;
    bool ok = lane != NULL && d->driver->copy_rates(lane, &d->to_device, &back, d->why, sizeof d->why);
    for (int r = -1; ok && r < repeats; r++) {
        const double before = d->driver->kernel_seconds(lane);
        for (int64_t at = 0; ok && at < d->count; at += tile_size) {
            xn_fit_tile tile = {.count = (int)xn_min64(tile_size, d->count - at),
                                .y = d->y,
                                .row = d->plans.row[XN_PLAN_CLOSED],
                                .row_stride = d->count,
                                .pixel = d->pixel + at};
            ok = d->driver->fit(lane, 0, &tile, d->why, sizeof d->why);
        }
        if (r >= 0) rate[r] = (double)d->count / (d->driver->kernel_seconds(lane) - before);
    }
    if (lane != NULL) d->driver->close(lane);
    if (!ok) return xn_fail(bench->context, XANI_ERR_INTERNAL, "device 0: %s", d->why);
    d->tile = tile_size;
    d->kernel_rate = xn_bench_median(rate, repeats);
    return XANI_OK;
}

static void ignore(void *user, int64_t i, const xani_fit_result *r, const xn_fit_more *more)
{
    (void)user, (void)i, (void)r, (void)more;
}

// On the device, or by the processor.
static xani_status measure_end_to_end(const xn_bench *bench, device_bench *d, bool device, int repeats, double *median)
{
    const xn_fit_devices devices = {.driver = d->driver, .count = 1, .asked = true};
    const xn_fit_job job = {.plans = &d->plans,
                            .n_delays = XN_TRACE_SAMPLES,
                            .y = d->y,
                            .row_stride = d->count,
                            .pixel = d->pixel,
                            .count = d->count * ROUNDS,
                            .start = XN_FROM_PERIODOGRAM,
                            .kernels = "auto",
                            .devices = device ? &devices : NULL,
                            .threads = bench->threads,
                            .sink = ignore};
    double rate[XN_FIT_BENCH_REPEATS];
    for (int r = 0; r < repeats; r++) {
        const double start = xn_seconds();
        XN_TRY(xn_fit_run(bench->context, &job));
        rate[r] = (double)job.count / (xn_seconds() - start);
    }
    *median = xn_bench_median(rate, repeats);
    return XANI_OK;
}

static xani_status report(xn_fit_bench *s, const xn_fit_case *c, const device_bench *d)
{
    char name[64], end[64], why[512];
    double flops, passes;
    xn_peer_answer jax;
    snprintf(name, sizeof name, "%s-device", c->name);
    snprintf(end, sizeof end, "%s-device-end", c->name);
    XN_TRY(xn_fit_bench_flops(s, c, &flops, &passes));
    const double read = 4.0 * XN_TRACE_SAMPLES,
                 bytes = read * (passes + 2 + 2 * c->modes); // prepare, starts, residuals
    snprintf(why, sizeof why, "%s, sm_%d: kernels alone, %.1f passes, tiles of %d", d->info.name, d->info.capability,
             passes, d->tile);
    emit(s->bench, name, "floor:memory", d->kernel_rate, d->info.memory_bytes_per_s / bytes, why);
    snprintf(why, sizeof why, "%s, sm_%d: kernels alone, %.0f flop", d->info.name, d->info.capability, flops);
    emit(s->bench, name, "floor:fma", d->kernel_rate, d->info.flop_per_s / flops, why);
    snprintf(why, sizeof why, "%s: end to end, bus %.1f GB/s", d->info.name, d->to_device / 1e9);
    emit(s->bench, end, "floor:bus", d->end_rate, d->to_device / read, why);
    snprintf(why, sizeof why, "%s: end to end; theirs: the processor with all threads", d->info.name);
    emit(s->bench, end, "processor", d->end_rate, d->host_rate, why);
    xn_peer_python *python = xn_peer_python_start(&s->t);
    xn_peer_python_ask(python, "jax-vmap-device", PEER, &jax);
    xn_peer_python_stop(&python);
    snprintf(why, sizeof why, "kernels alone; theirs: success %.4f", jax.success);
    emit(s->bench, name, "jax-vmap-device", d->kernel_rate, jax.rate, jax.why[0] ? jax.why : why);
    return XANI_OK;
}

static xani_status run(xn_fit_bench *s, const xn_fit_case *c, const xn_device_driver *driver)
{
    device_bench d = {.driver = driver};
    const int repeats = s->bench->repeats < XN_FIT_BENCH_REPEATS ? s->bench->repeats : XN_FIT_BENCH_REPEATS;
    xani_status st = XANI_OK;
    if (!driver->describe(0, &d.info, d.why, sizeof d.why))
        return xn_fail(s->bench->context, XANI_ERR_INTERNAL, "device 0: %s", d.why);
    const xn_fit_setup setup = {
        .delay_ps = s->delay_ps, .n = XN_TRACE_SAMPLES, .background = 0, .modes_max = c->modes, .significance = 1e-9};
    XN_TRY(xn_fit_plans_create(s->bench->context, &setup, &d.plans));
    XN_GOTO(out, st, lay_out(s, &d));
    XN_GOTO(out, st, measure_kernels(s->bench, &d, repeats));
    XN_GOTO(out, st, measure_end_to_end(s->bench, &d, true, repeats, &d.end_rate));
    XN_GOTO(out, st, measure_end_to_end(s->bench, &d, false, 1, &d.host_rate));
    XN_GOTO(out, st, report(s, c, &d));
out:
    xn_fit_plans_free(&d.plans);
    xn_free(d.y);
    xn_free(d.pixel);
    return st;
}

xani_status xn_fit_bench_device(const xn_bench *bench, const xn_device_driver *driver, bool aloud)
{
    static const xn_fit_case cases[] = {{.name = "K1-snr10", .modes = 1, .snr = 10, .kernels = "auto"},
                                        {.name = "K2-snr10", .modes = 2, .snr = 10, .kernels = "auto"}};
    char why[256] = "this xani was built without CUDA";
    xani_status st = XANI_OK;
    const bool there = driver != NULL && driver->count(why, sizeof why) > 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && st == XANI_OK; i++) {
        xn_fit_bench s = {.bench = bench};
        if (!there) {
            if (aloud) emit(bench, cases[i].name, "device", NAN, NAN, why);
            continue;
        }
        st = xn_fit_bench_make(&s, &cases[i]);
        if (st == XANI_OK) st = run(&s, &cases[i], driver);
        xn_fit_bench_free(&s);
    }
    return st;
}
