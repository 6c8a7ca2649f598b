// SPDX-License-Identifier: BSD-3-Clause
// test_fit_pool.c -- powers and functional of a loaded tile, each trace with its own modes, against single evaluations.
#include "test.h"

#include "core/rng.h"
#include "fit/plan.h"

enum { N = 130, P = 45, ROOM = 64 }; // one whole block of any lane width and more
static float y[N * P];
static double delay[N];
static double g[2 * ROOM], w[2 * ROOM];

static void make(bool uneven)
{
    xn_rng r;
    xn_rng_init(&r, 3, 7);
    for (int i = 0; i < N; i++) delay[i] = 0.05 * (i + (uneven ? 0.9 * (xn_rng_uniform(&r) - 0.5) : 0.0));
    for (int p = 0; p < P; p++)
        for (int k = 0; k < 2; k++) {
            g[k * ROOM + p] = 0.01 + 0.03 * xn_rng_uniform(&r);
            w[k * ROOM + p] = (k == 0 ? 0.4 : 1.6) + 0.8 * xn_rng_uniform(&r);
        }
    for (int p = 0; p < P; p++)
        for (int i = 0; i < N; i++) {
            const double t = delay[i] / 0.05;
            double v = 0.5 + 0.3 * xn_rng_normal(&r);
            for (int k = 0; k < 2; k++) v += (2.0 - k) * exp(-g[k * ROOM + p] * t) * cos(w[k * ROOM + p] * t + p);
            y[i * P + p] = (float)v;
        }
    for (int i = 0; i < N; i++) y[i * P + 11] = 3.0F; // nothing can be fitted here
}

typedef struct {
    const xn_fit_kernel *kernel;
    xn_fit_plans plans;
    const xn_fit_plan *plan;
    int64_t pixel[P];
    uint8_t n_modes[P], flags[P];
    void *table, *work, *out;
    xn_fit_tile tile;
} loaded;

static void load(const xn_fit_kernel *k, loaded *l)
{
    const xn_fit_setup s = {.delay_ps = delay, .n = N, .background = 1, .modes_max = 2};
    l->kernel = k;
    ck_assert_int_eq(xn_fit_plans_create(NULL, &s, &l->plans), XANI_OK);
    const int first = l->plans.first, plan = l->plans.plan[first].gridded ? xn_plan_explicit(first) : first;
    l->plan = &l->plans.plan[plan];
    for (int p = 0; p < P; p++) l->pixel[p] = p;
    l->table = xn_alloc(k->table_bytes(l->plan), 1);
    l->work = xn_alloc(k->work_bytes(l->plan, P), 1);
    l->out = xn_alloc((size_t)XN_POOL_SLOTS * ROOM, sizeof(double));
    k->tabulate(l->plan, l->table);
    l->tile = (xn_fit_tile){.count = P,
                            .y = y,
                            .row = l->plans.row[plan],
                            .row_stride = P,
                            .pixel = l->pixel,
                            .given_w = w,
                            .given_g = g,
                            .given_stride = ROOM,
                            .out = l->out,
                            .out_stride = ROOM,
                            .n_modes = l->n_modes,
                            .flags = l->flags};
    k->load(l->plan, l->table, l->work, &l->tile);
    for (int p = 0; p < P; p++) ck_assert_int_eq(l->n_modes[p], p != 11);
}

static void unload(loaded *l)
{
    xn_free(l->table);
    xn_free(l->work);
    xn_free(l->out);
    xn_fit_plans_free(&l->plans);
}

static int moments_of(const xn_fit_plan *p)
{
    return p->gridded ? XN_MOMENTS_GRIDDED : p->closed ? XN_MOMENTS_GOERTZEL : XN_MOMENTS_EXPLICIT;
}

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * (fabs(a) + fabs(b)) + 1e-12;
}

START_TEST(test_evaluate)
{
    // chi^2, amplitudes, gradient and Schur matrix of trace p at its own modes are those of a tile of this trace alone.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    loaded l;
    for (int uneven = 0; uneven < 2; uneven++) {
        make(uneven == 1);
        load(k, &l);
        k->evaluate(l.plan, l.table, l.work, &l.tile, 2);
        void *work = xn_alloc(k->work_bytes(l.plan, 1), 1);
        for (int p = 0; p < P; p++) {
            if (p == 11) continue;
            const double own_g[2] = {g[p], g[ROOM + p]}, own_w[2] = {w[p], w[ROOM + p]};
            const double s = xn_fit_out(k, &l.tile, XN_POOL_UNSCALE, p), n = l.plan->length;
            int64_t pixel = p;
            uint8_t one[2];
            xn_fit_tile single = l.tile;
            single.count = 1;
            single.pixel = &pixel;
            single.n_modes = one;
            single.flags = one + 1;
            xn_fit_probe q;
            k->probe(l.plan, l.table, work, &single, moments_of(l.plan), 2, own_g, own_w, &q);
            ck_assert(near(xn_fit_out(k, &l.tile, XN_POOL_CHI2, p) * s * s, q.chi2, 1e-6));
            ck_assert(near(xn_fit_out(k, &l.tile, XN_POOL_VARIANCE, p) * s * s, q.chi2 / (N - 10), 1e-5));
            for (int j = 0; j < 4; j++) {
                ck_assert(near(xn_fit_out(k, &l.tile, XN_POOL_BETA + j, p) * s, q.beta[j], 1e-5));
                ck_assert(near(xn_fit_out(k, &l.tile, XN_POOL_GRADIENT + j, p) * s * s * n, q.gradient[j], 1e-5));
                for (int i = 0; i <= j; i++)
                    ck_assert(near(xn_fit_out(k, &l.tile, XN_POOL_SCHUR + j * (j + 1) / 2 + i, p) * s * s * n * n,
                                   q.schur[j][i], 1e-5));
            }
        }
        xn_free(work);
        unload(&l);
    }
}
END_TEST

START_TEST(test_powers)
{
    // Powers peak at each trace's strong mode, and with that one taken out at the other; they are over the variance, so
    // that they do not depend on the trace's scale; a constant trace has none.
    const xn_fit_kernel *k = xn_fit_kernel_list(_i);
    if (k == NULL) return;
    static float power[2][4096 * ROOM];
    loaded l;
    for (int uneven = 0; uneven < 2; uneven++) {
        make(uneven == 1);
        for (int i = 0; i < N; i++) y[i * P + 5] = 1000.0F * y[i * P + 4];
        g[5] = g[4], w[5] = w[4], g[ROOM + 5] = g[ROOM + 4], w[ROOM + 5] = w[ROOM + 4];
        load(k, &l);
        for (int K = 0; K < 2; K++) k->powers(l.plan, l.table, l.work, &l.tile, K, power[K], ROOM);
        for (int p = 0; p < P; p++) {
            for (int K = 0; K < 2; K++) {
                int best = l.plan->grid_lo;
                for (int j = l.plan->grid_lo; j <= l.plan->grid_hi; j++) {
                    if (power[K][j * ROOM + p] > power[K][best * ROOM + p]) best = j;
                    if (p == 11) ck_assert(power[K][j * ROOM + p] == 0.0F);
                    if (p == 5) ck_assert(near(power[K][j * ROOM + 5], power[K][j * ROOM + 4], 1e-3));
                }
                const double found = 6.28318530717958647693 * best / (l.plan->n_grid * l.plan->start_step);
                if (p != 11) ck_assert_double_eq_tol(found, w[K * ROOM + p], 0.04);
            }
        }
        unload(&l);
    }
}
END_TEST

static void add(TCase *t)
{
    tcase_add_loop_test(t, test_evaluate, 0, 6);
    tcase_add_loop_test(t, test_powers, 0, 6);
}
XN_TEST_MAIN("fit pool", add)
