// SPDX-License-Identifier: BSD-3-Clause
// test_device.c -- the device driver finds what the scalar kernel finds.
//
// Compiled twice: for the emulated runtime, where memory, failures and the number of devices are the test's own, and
// with XN_REAL_DEVICE for the devices of the machine (`make gpu-test`), whose bits are then those of the emulation too.
#include "test.h"

#include "core/rng.h"
#include "emulation/emulation.h"
#include "fit/engine.h"

#define TWO_PI 6.28318530717958647693
enum { N = 200, P = 2000, FEW = 300 };

static float y[N * P];
static double t[N], uneven; // steps by which delays leave the grid
static double response_ps, time_zero_ps;
static int row[N];
static int64_t pixel[P];
static xn_ctx *ctx;

#ifdef XN_REAL_DEVICE
#define REAL true
static const xn_device_driver *driver(void) { return xn_device_driver_built(); }
// Whether this machine has no device; says so.
static bool absent(void)
{
    char why[256] = "this xani was built without CUDA";
    if (driver() != NULL && driver()->count(why, sizeof why) > 0) return false;
    xn_skip(why);
    return true;
}
#else
#define REAL false
static const xn_device_driver *driver(void) { return &xn_device_emulated; }
static bool absent(void) { return false; }
#endif

static void set_up(void)
{
    ck_assert_int_eq(xani_create(&ctx), XANI_OK);
    xn_emulation_reset();
    for (int i = 0; i < N; i++) row[i] = i;
    for (int p = 0; p < P; p++) pixel[p] = p;
}

static void tear_down(void) { xani_destroy(&ctx); }

// Damped cosines: f 0.5-6 THz, tau 1-10 ps, offset +-1, a second mode 0.5-1 as strong and 0.5 THz apart.
static void make_traces(int n_modes, double snr, uint64_t seed)
{
    for (int i = 0; i < N; i++) t[i] = 0.05 * (i + uneven * sin(1.7 * i));
    for (int p = 0; p < P; p++) {
        xn_rng r;
        xn_rng_init(&r, seed, (uint64_t)p);
        double f[3], g[3], phase[3], a[3] = {1, 0.5 + 0.5 * xn_rng_uniform(&r), 0.7};
        for (int k = 0; k < 3; k++) {
            bool apart;
            do {
                f[k] = 0.5 + 5.5 * xn_rng_uniform(&r);
                apart = true;
                for (int j = 0; j < k; j++) apart &= fabs(f[k] - f[j]) > 0.5;
            } while (!apart);
            g[k] = 1 / (1 + 9 * xn_rng_uniform(&r));
            phase[k] = TWO_PI * xn_rng_uniform(&r);
        }
        const double offset = 2 * xn_rng_uniform(&r) - 1;
        for (int i = 0; i < N; i++) {
            double v = offset + xn_rng_normal(&r) / snr;
            for (int k = 0; k < n_modes; k++) v += a[k] * exp(-g[k] * t[i]) * cos(TWO_PI * f[k] * t[i] + phase[k]);
            y[i * P + p] = (float)v;
        }
    }
}

static void make_plans(int modes_max, int background, double tolerance, xn_fit_plans *plans)
{
    const xn_fit_setup s = {
        .delay_ps = t, .n = N, .background = background, .modes_max = modes_max, .tolerance = tolerance};
    ck_assert_int_eq(xn_fit_plans_create(ctx, &s, plans), XANI_OK);
}

typedef struct {
    uint8_t n_modes[P], flags[P];
    float out[XN_OUT_SLOTS][P];
} fits;

static xn_fit_tile tile_of(int first, int count, bool horner)
{
    return (xn_fit_tile){.count = count, .y = y, .row = row, .row_stride = P, .pixel = pixel + first, .horner = horner};
}

static void keep(const xn_fit_tile *tile, int first, fits *f)
{
    for (int i = 0; i < tile->count; i++) {
        f->n_modes[first + i] = tile->n_modes[i];
        f->flags[first + i] = tile->flags[i];
        for (int s = 0; s < XN_OUT_SLOTS; s++)
            f->out[s][first + i] = ((const float *)tile->out)[s * tile->out_stride + i];
    }
}

static void fit_scalar(const xn_fit_plan *plan, bool horner, fits *f)
{
    const xn_fit_kernel *k = xn_fit_kernel_find("scalar", 32);
    xn_fit_tile tile = tile_of(0, P, horner);
    void *table = xn_alloc(k->table_bytes(plan), 1), *work = xn_alloc(k->work_bytes(plan, P), 1);
    tile.out = xn_alloc(XN_OUT_SLOTS * (P + 32), sizeof(float));
    tile.out_stride = P + 32;
    tile.n_modes = xn_alloc(P + 32, 1);
    tile.flags = xn_alloc(P + 32, 1);
    k->tabulate(plan, table);
    k->fit(plan, table, work, &tile);
    keep(&tile, 0, f);
    xn_free(table), xn_free(work), xn_free(tile.out), xn_free(tile.n_modes), xn_free(tile.flags);
}

// Traces [0, count) in tiles of `tile` traces.
static void fit_on(const xn_device_driver *d, const xn_fit_plan *plan, bool horner, int count, int tile_size, fits *f)
{
    char why[256] = "";
    const xn_fit_plan *plans[] = {NULL, plan};
    xn_device_lane *lane = d->open(d == &xn_device_emulated ? 1 : 0, plans, 2, tile_size, why, sizeof why);
    ck_assert_msg(lane != NULL, "%s", why);
    for (int first = 0; first < count; first += tile_size) {
        xn_fit_tile tile = tile_of(first, count - first < tile_size ? count - first : tile_size, horner);
        ck_assert_msg(d->fit(lane, 1, &tile, why, sizeof why), "%s", why);
        keep(&tile, first, f);
    }
    ck_assert(d->kernel_seconds(lane) > 0.0);
    d->close(lane);
    ck_assert_int_eq(xn_emulated.alive, 0);
    ck_assert_int_eq(xn_emulated.launches_on[0], 0);
}

static void fit_device(const xn_fit_plan *plan, bool horner, int count, int tile_size, fits *f)
{
    fit_on(driver(), plan, horner, count, tile_size, f);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, z = *(const double *)b;
    return (x > z) - (x < z);
}

// Share of traces with the same modes, each within 0.1 of its error; where they are, how far apart they lie: the
// median and the 99 % quantile of all frequencies, in errors.
static double same_minimum(const fits *a, const fits *b, double *median, double *most)
{
    static double d[4 * P];
    int n = 0, same = 0;
    for (int p = 0; p < P; p++) {
        bool close = a->n_modes[p] == b->n_modes[p] && a->flags[p] == b->flags[p];
        for (int k = 0; close && k < a->n_modes[p]; k++)
            close = fabs(a->out[XN_OUT_W + k][p] - b->out[XN_OUT_W + k][p]) < 0.1 * b->out[XN_OUT_W_ERROR + k][p];
        same += close;
        for (int k = 0; close && k < a->n_modes[p]; k++) {
            d[n++] = fabs(a->out[XN_OUT_W + k][p] - b->out[XN_OUT_W + k][p]) / b->out[XN_OUT_W_ERROR + k][p];
            const double errors = a->out[XN_OUT_W_ERROR + k][p] / b->out[XN_OUT_W_ERROR + k][p];
            ck_assert_msg(fabs(errors - 1) < 0.02, "trace %d: error %g of the scalar's", p, errors);
            ck_assert_double_eq_tol(a->out[XN_OUT_AMPLITUDE + k][p], b->out[XN_OUT_AMPLITUDE + k][p],
                                    0.1 * b->out[XN_OUT_AMPLITUDE_ERROR + k][p]);
        }
    }
    ck_assert_int_gt(n, P / 2);
    qsort(d, (size_t)n, sizeof *d, ascending);
    *median = d[n / 2], *most = d[n * 99 / 100];
    return (double)same / P;
}

static void agree(const xn_fit_plan *plan, bool horner, const char *what, int n_modes, int snr)
{
    static fits device, scalar;
    double median, most;
    fit_scalar(plan, horner, &scalar);
    fit_device(plan, horner, P, 1500, &device);
    const double same = same_minimum(&device, &scalar, &median, &most);
    ck_assert_msg(same >= 0.999 && median < 2e-3 && most < 0.05,
                  "%s, %d modes, SNR %d: same minimum %.4f, median %.2g, 99 %% %.2g of an error", what, n_modes, snr,
                  same, median, most);
}

START_TEST(test_parity)
{
    // The same minimum as the scalar kernel in 99.9 % of traces, for 1, 2 and 3 modes at signal to noise 3 and 10, by
    // Goertzel's and Horner's moments and by explicit sums; frequencies within 2e-3 (median), 0.05 (99 %) of an error.
    if (absent()) return;
    const int n_modes = 1 + _i % 3, snr = _i < 3 ? 3 : 10;
    xn_fit_plans plans;
    make_traces(n_modes, snr, 21);
    make_plans(n_modes, _i % 4, 1e-5, &plans);
    agree(&plans.plan[XN_PLAN_CLOSED], false, "Goertzel", n_modes, snr);
    agree(&plans.plan[XN_PLAN_CLOSED], true, "Horner", n_modes, snr);
    for (int p = 0; p < P; p += 3)
        for (int i = p % 50; i < N; i += 50) y[i * P + p] = NAN;
    agree(&plans.plan[XN_PLAN_EXPLICIT], false, "explicit", n_modes, snr);
    xn_fit_plans_free(&plans);
}
END_TEST

START_TEST(test_tiles)
{
    // A trace has the same bits whatever tile it stands in, whoever its neighbours are, in whatever order threads run.
    if (absent()) return;
    static fits a, b;
    xn_fit_plans plans;
    make_traces(3, 4, 22);
    make_plans(4, 2, 0, &plans);
    for (int p = 0; p < FEW; p += 17) y[7 * P + p] = INFINITY;
    for (int p = 5; p < FEW; p += 19)
        for (int i = 0; i < N; i++) y[i * P + p] = 3;
    for (int plan = XN_PLAN_CLOSED; plan <= XN_PLAN_EXPLICIT; plan += XN_PLAN_EXPLICIT - XN_PLAN_CLOSED) {
        memset(&a, 0, sizeof a);
        fit_device(&plans.plan[plan], false, FEW, FEW, &a);
        const int sizes[] = {1, 31, 128, 129};
        for (int i = 0; i < 4; i++) {
            memset(&b, 0, sizeof b);
            fit_device(&plans.plan[plan], false, FEW, sizes[i], &b);
            for (int p = 0; p < FEW; p++) {
                ck_assert(a.n_modes[p] == b.n_modes[p] && a.flags[p] == b.flags[p]);
                for (int s = 0; s < XN_OUT_SLOTS && !(a.flags[p] & (XN_FLAG_MISSING | XN_FLAG_FEW)); s++) {
                    if (s < XN_OUT_BACKGROUND && s % XANI_MAX_MODES >= a.n_modes[p]) continue;
                    if (s >= XN_OUT_BACKGROUND + 3 && s < XN_OUT_MEAN) continue; // three columns
                    if (s > XN_OUT_UNSCALE && a.n_modes[p] == 0) continue;       // some are told of modes only
                    ck_assert_msg(memcmp(&a.out[s][p], &b.out[s][p], 4) == 0, "tiles of %d: trace %d slot %d: %g, %g",
                                  sizes[i], p, s, (double)a.out[s][p], (double)b.out[s][p]);
                }
            }
        }
    }
    xn_fit_plans_free(&plans);
}
END_TEST

START_TEST(test_missing_and_constant)
{
    // Under a closed plan a trace with a missing sample is only flagged, its neighbours do not notice; a constant has
    // no mode; too few samples are told.
    if (absent()) return;
    static fits a, b;
    xn_fit_plans plans;
    make_traces(1, 10, 23);
    make_plans(1, 0, 0, &plans);
    fit_device(&plans.plan[XN_PLAN_CLOSED], false, FEW, FEW, &a);
    y[3 * P + 7] = NAN;
    for (int i = 0; i < N; i++) y[i * P + 9] = 1e6f;
    for (int i = 6; i < N; i++) y[i * P + 11] = NAN;
    fit_device(&plans.plan[XN_PLAN_CLOSED], false, FEW, FEW, &b);
    ck_assert(b.flags[7] == XN_FLAG_MISSING && b.n_modes[7] == 0);
    ck_assert(b.flags[9] == 0 && b.n_modes[9] == 0 && b.out[XN_OUT_MEAN][9] == 1e6f);
    for (int p = 0; p < FEW; p++)
        if (p != 7 && p != 9 && p != 11)
            ck_assert(a.n_modes[p] == b.n_modes[p] && a.out[XN_OUT_W][p] == b.out[XN_OUT_W][p]);
    fit_device(&plans.plan[XN_PLAN_EXPLICIT], false, FEW, FEW, &b);
    ck_assert(b.flags[11] == XN_FLAG_FEW && b.n_modes[11] == 0);
    ck_assert(b.flags[7] == 0 && b.n_modes[7] == 1);
    ck_assert_double_eq_tol(a.out[XN_OUT_W][7], b.out[XN_OUT_W][7], b.out[XN_OUT_W_ERROR][7]);
    xn_fit_plans_free(&plans);
}
END_TEST

#ifdef XN_REAL_DEVICE
START_TEST(test_bits)
{
    // The device's bits are those of the emulation, which proves the same source against the scalar kernel.
    static fits real, emulated;
    if (absent()) return;
    for (int n_modes = 1; n_modes <= 4; n_modes++) {
        xn_fit_plans plans;
        make_traces(n_modes < 3 ? n_modes : 3, 5, 30 + (uint64_t)n_modes);
        make_plans(n_modes, 2, 0, &plans);
        for (int plan = XN_PLAN_CLOSED; plan <= XN_PLAN_EXPLICIT; plan += XN_PLAN_EXPLICIT - XN_PLAN_CLOSED) {
            fit_on(driver(), &plans.plan[plan], false, FEW, FEW, &real);
            fit_on(&xn_device_emulated, &plans.plan[plan], false, FEW, FEW, &emulated);
            for (int p = 0; p < FEW; p++) {
                ck_assert(real.n_modes[p] == emulated.n_modes[p] && real.flags[p] == emulated.flags[p]);
                for (int s = 0; s < XN_OUT_BACKGROUND; s++)
                    if (s % XANI_MAX_MODES < real.n_modes[p])
                        ck_assert_msg(memcmp(&real.out[s][p], &emulated.out[s][p], 4) == 0,
                                      "%d modes, plan %d, trace %d, slot %d: %.9g, emulated %.9g", n_modes, plan, p, s,
                                      (double)real.out[s][p], (double)emulated.out[s][p]);
            }
        }
        xn_fit_plans_free(&plans);
    }
}
END_TEST
#endif

#ifndef XN_REAL_DEVICE
START_TEST(test_transform_anywhere)
{
    // Transforms in memory of the block or, where a device has too little of it, in its own: the same bits.
    static fits near, far;
    make_traces(2, 5, 26);
    for (uneven = 0; uneven < 0.2; uneven += 0.1) { // near a grid, but not on it
        xn_fit_plans plans;
        make_traces(2, 5, 26);
        make_plans(2, 1, 0, &plans);
        const int plan = uneven > 0 ? XN_PLAN_EXACT : XN_PLAN_CLOSED;
        xn_emulation_reset();
        fit_device(&plans.plan[plan], false, FEW, FEW, &near);
        xn_emulated.block_memory = 0;
        fit_device(&plans.plan[plan], false, FEW, FEW, &far);
        for (int p = 0; p < FEW; p++) {
            ck_assert(near.n_modes[p] == far.n_modes[p] && near.flags[p] == far.flags[p]);
            for (int s = 0; s < XN_OUT_BACKGROUND; s++)
                if (s % XANI_MAX_MODES < near.n_modes[p])
                    ck_assert(near.out[s][p] == far.out[s][p] || s >= XN_OUT_W_ERROR);
        }
        xn_fit_plans_free(&plans);
    }
    uneven = 0;
}
END_TEST

START_TEST(test_lanes_of_other_plans)
{
    // A lane whose transforms need much of a block's memory still has it after one with fewer samples was opened.
    enum { LONG = 300, FEW_LONG = 32 };
    static float samples[LONG * FEW_LONG];
    static double delays[LONG];
    static int rows[LONG];
    char why[256];
    xn_fit_plans plans[2];
    xn_emulated.block_memory = 80 << 10;
    for (int i = 0; i < LONG; i++) {
        rows[i] = i, delays[i] = 0.05 * i;
        for (int p = 0; p < FEW_LONG; p++)
            samples[i * FEW_LONG + p] = (float)(exp(-0.2 * delays[i]) * cos(TWO_PI * (1 + 0.1 * p) * delays[i]));
    }
    xn_device_lane *lane[2];
    for (int k = 0; k < 2; k++) {
        const xn_fit_setup s = {.delay_ps = delays, .n = k == 0 ? LONG : N, .background = 0, .modes_max = 1};
        ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans[k]), XANI_OK);
        const xn_fit_plan *list[] = {&plans[k].plan[XN_PLAN_CLOSED]};
        lane[k] = xn_device_emulated.open(0, list, 1, FEW_LONG, why, sizeof why);
        ck_assert_msg(lane[k] != NULL, "%s", why);
    }
    xn_fit_tile tile = {.count = FEW_LONG, .y = samples, .row = rows, .row_stride = FEW_LONG, .pixel = pixel};
    ck_assert_msg(xn_device_emulated.fit(lane[0], 0, &tile, why, sizeof why), "%s", why);
    for (int p = 0; p < FEW_LONG; p++) ck_assert_int_eq(tile.n_modes[p], 1);
    for (int k = 0; k < 2; k++) {
        xn_device_emulated.close(lane[k]);
        xn_fit_plans_free(&plans[k]);
    }
}
END_TEST

START_TEST(test_far_elements)
{
    // A trace whose samples lie beyond 2^31 elements of the device's arrays has the bits of one at their beginning.
    static float trace[N], near[XN_OUT_SLOTS], far[XN_OUT_SLOTS];
    xn_fit_plans plans;
    make_traces(1, 10, 24);
    make_plans(1, 1, 0, &plans);
    for (int i = 0; i < N; i++) trace[i] = y[i * P];
    for (int plan = XN_PLAN_CLOSED; plan <= XN_PLAN_EXPLICIT; plan += XN_PLAN_EXPLICIT - XN_PLAN_CLOSED) {
        ck_assert(xn_emulated_one(&plans.plan[plan], trace, 32, 5, near));
        if (!xn_emulated_one(&plans.plan[plan], trace, 24000000, 23999999, far)) {
            xn_skip("device: no address space for 2^31 elements");
            break;
        }
        for (int s = 0; s < XN_OUT_SLOTS; s++)
            if (s >= XN_OUT_BACKGROUND || s % XANI_MAX_MODES == 0) ck_assert(memcmp(near + s, far + s, 4) == 0);
    }
    xn_fit_plans_free(&plans);
}
END_TEST

START_TEST(test_failures)
{
    // Whichever call of the runtime fails, open or fit says so in one line, and nothing is left behind.
    char why[256];
    xn_fit_plans plans;
    make_traces(1, 10, 25);
    make_plans(2, 0, 0, &plans);
    const xn_fit_plan *list[] = {&plans.plan[XN_PLAN_CLOSED]};
    bool done = false;
    int failures = 0;
    for (int at = 1; !done; at++) {
        xn_emulation_reset();
        xn_emulated.fail_at = at;
        why[0] = 0;
        xn_device_lane *lane = xn_device_emulated.open(0, list, 1, 32, why, sizeof why);
        xn_fit_tile tile = tile_of(0, 32, false);
        const bool ok = lane != NULL && xn_device_emulated.fit(lane, 0, &tile, why, sizeof why);
        done = xn_emulated.calls < at;
        if (!ok) {
            ck_assert_msg(why[0] != 0 && strchr(why, '\n') == NULL, "call %d: no reason", at);
            failures++;
        }
        if (lane != NULL) xn_device_emulated.close(lane);
        ck_assert_msg(xn_emulated.alive == 0, "call %d: %ld left", at, xn_emulated.alive);
        if (done) ck_assert_msg(ok, "%s", why);
    }
    ck_assert_int_gt(failures, 40);
    xn_fit_plans_free(&plans);
}
END_TEST

START_TEST(test_devices)
{
    // Without a driver, with an old one and without a device, the reason is told; tiles shrink with the memory.
    char why[256] = "";
    xn_device_info info;
    ck_assert_int_eq(xn_device_emulated.count(why, sizeof why), 2);
    ck_assert(xn_device_emulated.describe(1, &info, why, sizeof why));
    ck_assert(info.capability == 90 && info.multiprocessors == 2 && info.cache_bytes == 1 << 20);
    ck_assert(!xn_device_emulated.describe(2, &info, why, sizeof why) && why[0] != 0);
    xn_emulated.driver = 12040;
    ck_assert_int_eq(xn_device_emulated.count(why, sizeof why), 0);
    ck_assert_msg(strstr(why, "12.4") != NULL && strstr(why, "13.0") != NULL, "%s", why);
    xn_emulated.driver = 0;
    ck_assert_int_eq(xn_device_emulated.count(why, sizeof why), 0);
    ck_assert_msg(strstr(why, "no CUDA driver") != NULL, "%s", why);
    xn_emulation_reset();
    xn_emulated.devices = 0;
    ck_assert_int_eq(xn_device_emulated.count(why, sizeof why), 0);
    ck_assert_msg(strstr(why, "no CUDA device") != NULL, "%s", why);
    xn_emulation_reset();
    xn_fit_plans plans;
    for (int i = 0; i < N; i++) t[i] = 0.05 * i;
    make_plans(2, 0, 0, &plans);
    const int wide = xn_device_emulated.tile(0, &plans.plan[0], 4, why, sizeof why);
    xn_emulated.memory = 1 << 20;
    const int narrow = xn_device_emulated.tile(0, &plans.plan[0], 4, why, sizeof why);
    ck_assert_msg(wide >= 256 && narrow >= 1 && narrow < wide, "%d, %d", wide, narrow);
    xn_fit_plans_free(&plans);
}
END_TEST
#endif

// ---- the engine and the configuration

static void collect(void *user, int64_t i, const xani_fit_result *r, const xn_fit_more *more)
{
    (void)more;
    ((xani_fit_result *)user)[i] = *r;
}

static xani_status run(const xn_fit_devices *devices, int start, int precision, int threads, int64_t tile,
                       const float *sigma, xani_fit_result *r)
{
    const xn_fit_setup s = {.delay_ps = t,
                            .n = N,
                            .background = 1,
                            .modes_max = 2,
                            .response_ps = response_ps,
                            .time_zero_ps = time_zero_ps};
    xn_fit_plans plans;
    ck_assert_int_eq(xn_fit_plans_create(ctx, &s, &plans), XANI_OK);
    const xn_fit_job job = {.plans = &plans,
                            .n_delays = N,
                            .background = 1,
                            .y = y,
                            .row_stride = P,
                            .count = P,
                            .sigma = sigma,
                            .start = start,
                            .precision = precision,
                            .kernels = "scalar",
                            .devices = devices,
                            .threads = threads,
                            .tile = tile,
                            .sink = collect,
                            .user = r};
    const xani_status st = xn_fit_run(ctx, &job);
    xn_fit_plans_free(&plans);
    ck_assert_int_eq(xn_emulated.alive, 0);
    return st;
}

// Both emulated devices, or the first of the machine
static xn_fit_devices two(void)
{
    return REAL ? (xn_fit_devices){driver(), {0}, 1, true} : (xn_fit_devices){driver(), {1, 0}, 2, true};
}

// Traces with the same modes and status, frequencies within 0.1 of an error
static int alike(const xani_fit_result *a, const xani_fit_result *b)
{
    int same = 0;
    for (int p = 0; p < P; p++) {
        bool close = a[p].n_modes == b[p].n_modes && a[p].status == b[p].status;
        for (int k = 0; close && k < a[p].n_modes; k++)
            close = fabs(a[p].frequency_thz[k] - b[p].frequency_thz[k]) < 0.1 * a[p].frequency_error[k];
        same += close;
    }
    return same;
}

START_TEST(test_engine)
{
    // The whole fit with two devices against the processor alone: the same minimum in 99.9 % of traces, those with
    // missing samples, constants, and strong ones, which go on to double precision, among them; the same bits for any
    // tile and number of threads. Both devices get work.
    if (absent()) return;
    const xn_fit_devices both = two();
    static xani_fit_result cpu[P], gpu[P], again[P];
    static float sigma[P];
    make_traces(2, 5, 26);
    for (int p = 0; p < P; p += 37)
        for (int i = 3; i < N; i += 50) y[i * P + p] = NAN;
    for (int p = 5; p < P; p += 41)
        for (int i = 0; i < N; i++) y[i * P + p] = (float)(exp(-0.02 * i) * cos(0.3 * i + p)); // to double precision
    for (int p = 6; p < P; p += 97)
        for (int i = 0; i < N; i++) y[i * P + p] = 7;
    for (int p = 0; p < P; p++) sigma[p] = 0.2f + 0.0001f * (float)(p % 7);
    for (int with_sigma = 0; with_sigma < 2; with_sigma++) {
        const float *s = with_sigma ? sigma : NULL;
        ck_assert_int_eq(run(NULL, XN_FROM_PERIODOGRAM, 0, 1, 0, s, cpu), XANI_OK);
        xn_emulation_reset();
        ck_assert_int_eq(run(&both, XN_FROM_PERIODOGRAM, 0, 8, 257, s, gpu), XANI_OK);
        ck_assert(REAL || (xn_emulated.launches_on[0] > 0 && xn_emulated.launches_on[1] > 0));
        for (int p = 5; p < P && !with_sigma; p += 41)
            ck_assert_msg(memcmp(&cpu[p], &gpu[p], sizeof cpu[p]) == 0, "double trace %d", p);
        ck_assert_msg(alike(cpu, gpu) >= 0.999 * P, "same minimum %d", alike(cpu, gpu));
        for (int threads = 1; threads <= 3; threads += 2) {
            ck_assert_int_eq(run(&both, XN_FROM_PERIODOGRAM, 0, threads, 100 * threads, s, again), XANI_OK);
            for (int p = 0; p < P; p++) ck_assert_msg(memcmp(&gpu[p], &again[p], sizeof gpu[p]) == 0, "trace %d", p);
        }
    }

    // Delays off the grid: the processor spreads them onto a finer one, devices visit every sample.
    uneven = 0.3;
    make_traces(2, 5, 29);
    ck_assert_int_eq(run(NULL, XN_FROM_PERIODOGRAM, 0, 2, 0, NULL, cpu), XANI_OK);
    ck_assert_int_eq(run(&both, XN_FROM_PERIODOGRAM, 0, 2, 500, NULL, gpu), XANI_OK);
    uneven = 0;
    ck_assert_msg(alike(cpu, gpu) >= 0.999 * P, "same minimum at uneven delays %d", alike(cpu, gpu));

    // Delays long after time zero: amplitudes and phases before a response of 0.06 ps, on devices too.
    make_traces(1, 10, 30);
    ck_assert_int_eq(run(&both, XN_FROM_PERIODOGRAM, 32, 2, 500, NULL, again), XANI_OK);
    response_ps = 0.06, time_zero_ps = -0.7;
    ck_assert_int_eq(run(NULL, XN_FROM_PERIODOGRAM, 32, 2, 0, NULL, cpu), XANI_OK);
    xn_emulation_reset();
    ck_assert_int_eq(run(&both, XN_FROM_PERIODOGRAM, 32, 2, 500, NULL, gpu), XANI_OK);
    response_ps = time_zero_ps = 0;
    ck_assert(REAL || xn_emulated.launches > 0);
    ck_assert_msg(alike(cpu, gpu) >= 0.999 * P, "same minimum of late delays %d", alike(cpu, gpu));
    for (int p = 0; p < P; p++) {
        if (gpu[p].n_modes != 1 || cpu[p].n_modes != 1 || again[p].n_modes != 1) continue;
        const double w = TWO_PI * gpu[p].frequency_thz[0], g = gpu[p].damping_per_ps[0];
        const double grow = exp(0.5 * 0.06 * 0.06 * (w * w - g * g) + 0.7 * g);
        ck_assert_double_eq_tol(gpu[p].amplitude[0] / again[p].amplitude[0], grow, 1e-3 * grow);
        ck_assert_double_eq_tol(gpu[p].amplitude[0], cpu[p].amplitude[0], 0.1 * cpu[p].amplitude_error[0]);
        ck_assert_double_eq_tol(gpu[p].phase_error[0] / cpu[p].phase_error[0], 1, 0.01);
    }
}
END_TEST

#ifndef XN_REAL_DEVICE
START_TEST(test_engine_declines)
{
    // What devices cannot serve the processor does: double precision from the start, starts given by prediction, delays
    // near time zero.
    const xn_fit_devices both = two();
    static xani_fit_result cpu[P], gpu[P];
    make_traces(1, 10, 27);
    for (int i = 0; i < 3; i++) {
        const int start = i != 1 ? XN_FROM_PERIODOGRAM : XN_FROM_PREDICTION, precision = i == 0 ? 64 : 0;
        response_ps = i == 2 ? 0.06 : 0;
        ck_assert_int_eq(run(NULL, start, precision, 2, 0, NULL, cpu), XANI_OK);
        xn_emulation_reset();
        ck_assert_int_eq(run(&both, start, precision, 2, 0, NULL, gpu), XANI_OK);
        ck_assert_int_eq(xn_emulated.launches, 0);
        for (int p = 0; p < P; p++) ck_assert(memcmp(&cpu[p], &gpu[p], sizeof cpu[p]) == 0);
    }
    response_ps = 0;
}
END_TEST

START_TEST(test_engine_failures)
{
    // Whatever call fails: asked for, the fit fails and says which device; else every trace is fitted all the same.
    const xn_fit_devices both = two();
    static xani_fit_result gpu[P];
    make_traces(1, 10, 28);
    for (int at = 1; at < 400; at += 13) {
        xn_emulation_reset();
        xn_emulated.fail_at = at;
        const xani_status st = run(&both, XN_FROM_PERIODOGRAM, 0, 2, 1000, NULL, gpu);
        if (xn_emulated.calls < at) break;
        if (st != XANI_OK)
            ck_assert_msg(strstr(xani_error_text(ctx), "engine.device: cuda: device") != NULL, "%s",
                          xani_error_text(ctx));
        xn_clear_error(ctx);
        xn_emulation_reset();
        xn_emulated.fail_at = at;
        xn_fit_devices spared = both;
        spared.asked = false;
        for (int p = 0; p < P; p++) gpu[p].status = -1;
        ck_assert_int_eq(run(&spared, XN_FROM_PERIODOGRAM, 0, 2, 1000, NULL, gpu), XANI_OK);
        for (int p = 0; p < P; p++) ck_assert_msg(gpu[p].status >= 0, "call %d: trace %d", at, p);
    }
}
END_TEST

static xani_status find(const char *text, const xn_device_driver *driver, int64_t traces, xn_fit_devices *d)
{
    xn_config *c = NULL;
    xn_clear_error(ctx);
    ck_assert_msg(xn_config_parse(ctx, text, "test.yaml", ".", &c) == XANI_OK, "%s", xani_error_text(ctx));
    const xani_status st = xn_fit_devices_find(ctx, c, driver, traces, d);
    xani_config_destroy(&c);
    return st;
}

START_TEST(test_settings)
{
    // engine.device and engine.devices: all, some, none; an error names its key and says why.
    xn_fit_devices d;
    const xn_device_driver *e = &xn_device_emulated;
    const int64_t many = XN_DEVICE_WORTH;
    ck_assert_int_eq(find("engine: {device: cuda}", e, 1, &d), XANI_OK);
    ck_assert(d.driver == e && d.asked && d.count == 2 && d.number[0] == 0 && d.number[1] == 1);
    ck_assert_int_eq(find("engine: {device: auto, devices: [1]}", e, many, &d), XANI_OK);
    ck_assert(d.driver == e && !d.asked && d.count == 1 && d.number[0] == 1);
    ck_assert_int_eq(find("engine: {device: cpu}", e, many, &d), XANI_OK);
    ck_assert(d.driver == NULL);
    ck_assert_int_eq(find("engine: {device: auto}", e, many - 1, &d), XANI_OK);
    ck_assert_msg(d.driver == NULL, "a small fit is not worth a device");
    ck_assert_int_eq(find("engine: {device: cuda, devices: [0, 2]}", e, 1, &d), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "engine.devices") != NULL, "%s", xani_error_text(ctx));
    ck_assert_int_eq(find("engine: {device: cuda, devices: [1, 1]}", e, 1, &d), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "twice") != NULL, "%s", xani_error_text(ctx));
    ck_assert_int_eq(find("engine: {device: cuda}", NULL, 1, &d), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "engine.device") != NULL &&
                      strstr(xani_error_text(ctx), "without CUDA") != NULL,
                  "%s", xani_error_text(ctx));
    ck_assert_int_eq(find("engine: {device: auto}", NULL, many, &d), XANI_OK);
    ck_assert(d.driver == NULL);
    xn_emulated.driver = 0;
    ck_assert_int_eq(find("engine: {device: cuda}", e, 1, &d), XANI_ERR_CONFIG);
    ck_assert_msg(strstr(xani_error_text(ctx), "no CUDA driver") != NULL, "%s", xani_error_text(ctx));
    ck_assert_int_eq(find("engine: {device: auto}", e, many, &d), XANI_OK);
    ck_assert_msg(d.driver == NULL, "silently the processor");
}
END_TEST
#endif

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, test_parity, 0, 6);
    tcase_add_test(tc, test_tiles);
    tcase_add_test(tc, test_missing_and_constant);
    tcase_add_test(tc, test_engine);
#ifdef XN_REAL_DEVICE
    tcase_add_test(tc, test_bits);
#else
    tcase_add_test(tc, test_transform_anywhere);
    tcase_add_test(tc, test_lanes_of_other_plans);
    tcase_add_test(tc, test_far_elements);
    tcase_add_test(tc, test_failures);
    tcase_add_test(tc, test_devices);
    tcase_add_test(tc, test_engine_declines);
    tcase_add_test(tc, test_engine_failures);
    tcase_add_test(tc, test_settings);
#endif
}
XN_TEST_MAIN("device", add)
