// SPDX-License-Identifier: BSD-3-Clause
// fit_lanes.h -- the whole fit kernel over lanes: what a shell includes, and its row of the table of kernels.
//
// Order of reading: lane.h, vmath.h; load.h, prepare.h, start.h (peak), series.h and explicit.h (sums), varpro.h
// (step), lm.h (iteration), block.h (packing), rest.h (what modes leave), greedy.h and order.h (how many modes),
// finish.h (errors), pool.h (traces fitted together).
#ifndef XN_KERNEL_FIT_LANES_H
#define XN_KERNEL_FIT_LANES_H

#include "kernel/grid_lanes.h"
#include "kernel/order.h"
#include "kernel/pool.h"

XN_FN size_t rounded(size_t count) { return (count + 15) & ~(size_t)15; } // whole cache lines of any precision

static size_t grid_rows(const xn_fit_plan *p)
{
    return ((size_t)(p->grid_hi - p->grid_lo + 3) + XN_DIRECT - 1) / XN_DIRECT * XN_DIRECT;
}

static size_t wave_count(const xn_fit_plan *p)
{
    return p->near_grid ? (size_t)p->n_grid : grid_rows(p) * (size_t)p->n;
}

static size_t fit_table_bytes(const xn_fit_plan *p)
{
    size_t n = (size_t)p->n, count = 5 * rounded(n) + rounded(n * XN_B) + 2 * rounded(wave_count(p));
    return rounded(sizeof(struct table)) + count * sizeof(real) +
           (rounded((size_t)p->n_grid) + rounded(n)) * sizeof(int) + grid_bytes(p);
}

// Window of the start at sample i. What a response has not let through is left out.
static double start_window(const xn_fit_plan *p, int i)
{
    if (p->n_near == 0) return exp(-p->window_rate * p->time[i]);
    const double t = p->time[i] - p->t_zero;
    return t < XN_RESPONSE_RISEN * p->response ? 0.0 : exp(-p->window_rate * t);
}

static void fit_tabulate(const xn_fit_plan *p, void *memory)
{
    struct table *t = memory;
    const size_t n = (size_t)p->n, waves = wave_count(p);
    real *next = (void *)((char *)memory + rounded(sizeof *t));
    t->window = next;
    t->scale = t->window + rounded(n);
    t->time = t->scale + rounded(n);
    t->tau = t->time + rounded(n);
    t->rise = t->tau + rounded(n);
    t->column = t->rise + rounded(n);
    t->cosine = t->column + rounded(n * XN_B);
    t->sine = t->cosine + rounded(waves);
    t->place = (void *)(t->sine + rounded(waves));
    t->slot = t->place + rounded((size_t)p->n_grid);
    for (int i = 0; i < p->n; i++) {
        t->window[i] = R(start_window(p, i));
        t->scale[i] = R(p->scale[i]);
        t->time[i] = R(p->time[i] - (p->n_near > 0 ? p->t_zero : 0.0));
        t->slot[i] = (int)lrint(p->time[i]);
    }
    for (int i = 0; i < p->n_near; i++) {
        const double tau = (p->time[i] - p->t_zero) / p->response;
        t->tau[i] = R(tau);
        t->rise[i] = R(fabs(tau) < XN_RESPONSE_SPAN ? 0.5 * exp(-0.5 * tau * tau) : 0.0);
    }
    for (size_t i = 0; i < n * (size_t)p->n_columns; i++)
        t->column[i] = R(p->column[i] * (p->gridded ? p->scale[i % n] : 1.0));
    for (int b = 0; b < XN_B; b++)
        for (int q = 0; q < XN_B; q++) t->monomial[b][q] = R(p->monomial[b][q]);
    t->unit = R(1.0 / p->length);
    t->line = R(6.28318530717958647693 / (p->n_grid * p->start_step));
    t->lo[0] = R(p->g_lo), t->lo[1] = R(p->w_lo), t->lo[2] = R(p->r_lo), t->lo[3] = R(0);
    t->hi[0] = R(p->g_hi), t->hi[1] = R(p->w_hi), t->hi[2] = R(p->r_hi), t->hi[3] = R(0);
    const double unit = 6.28318530717958647693 / p->n_grid;
    for (size_t i = 0; i < waves && p->near_grid; i++) {
        t->cosine[i] = R(cos(unit * (double)i));
        t->sine[i] = R(sin(unit * (double)i));
    }
    for (size_t i = 0; i < waves && !p->near_grid; i++) {
        const int j = (int)(i / n) + p->grid_lo - 1;
        const double w = unit * j, x = p->time[i % n];
        const double weight = p->scale[i % n] * start_window(p, (int)(i % n));
        t->cosine[i] = R(weight * cos(w * x));
        t->sine[i] = R(weight * sin(w * x));
    }
    if (p->near_grid) fourier_places(p->n_grid / 2, t->place);
    grid_tabulate(p, &t->grid, (char *)(t->slot + rounded(n)));
}

static size_t room_of(int traces) { return ((size_t)traces + XN_BLOCK - 1) / XN_BLOCK * XN_BLOCK; }

// Lays the work space out; with memory NULL only its size counts.
static size_t kit_place(struct kit *k, const xn_fit_plan *p, int traces, void *memory)
{
    const size_t room = room_of(traces), group = (size_t)p->n * XN_W;
    const size_t wave = (XN_GROUPS * ((size_t)p->n_grid / 2 + 1) + (size_t)p->n_grid) * XN_W; // powers, transform
    const size_t tile = room / XN_W * group, weights = p->closed ? 0 : tile;
    const size_t grid = p->gridded ? (size_t)xn_grid_points(p, p->grid_step, xn_grid_taps(p, XN_REAL_BITS)) * XN_W : 0;
    const size_t second = grid > group ? grid : group; // beside a block's samples: row scales, or its grid
    const size_t sizes[] = {
        tile, weights,           room / XN_W * grid, XN_GROUPS * (group + second), XN_GROUPS * group + grid,
        wave, PLANE_SLOTS * room};
    real **parts[] = {&k->y, &k->h, &k->s, &k->pack, &k->rest, &k->wave, &k->plane};
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; at += rounded(sizes[i]), i++)
        if (memory != NULL) *parts[i] = (real *)memory + at;
    for (int i = 0; i < 4 && memory != NULL; i++) k->list[i] = (int *)(void *)((real *)memory + at) + (size_t)i * room;
    k->room = (int)room;
    k->plan = p;
    return at * sizeof(real) + 4 * room * sizeof(int);
}

static size_t fit_work_bytes(const xn_fit_plan *p, int traces)
{
    struct kit kit;
    return kit_place(&kit, p, traces, NULL);
}

static struct kit kit_of(const xn_fit_plan *p, const void *table, void *work, const xn_fit_tile *tile)
{
    struct kit kit = {.table = table, .tile = tile, .moments = p->closed ? XN_MOMENTS_GOERTZEL : XN_MOMENTS_EXPLICIT};
    kit_place(&kit, p, tile->count, work);
    if (p->gridded)
        kit.moments = XN_MOMENTS_GRIDDED;
    else if (p->closed && tile->horner)
        kit.moments = XN_MOMENTS_HORNER;
    return kit;
}

static void fit_tile(const xn_fit_plan *p, const void *table, void *work, xn_fit_tile *tile)
{
    const struct kit kit = kit_of(p, table, work, tile);
    greedy(&kit, kit.list[0]);
    finish(&kit, kit.list[0]);
}

static void fit_load(const xn_fit_plan *p, const void *table, void *work, xn_fit_tile *tile)
{
    const struct kit kit = kit_of(p, table, work, tile);
    pool_load(&kit);
}

static void fit_powers(const xn_fit_plan *p, const void *table, void *work, xn_fit_tile *tile, int n_modes,
                       float *powers, int64_t stride)
{
    const struct kit kit = kit_of(p, table, work, tile);
    pool_powers(&kit, n_modes, powers, stride);
}

static void fit_evaluate(const xn_fit_plan *p, const void *table, void *work, xn_fit_tile *tile, int n_modes)
{
    const struct kit kit = kit_of(p, table, work, tile);
    pool_evaluate(&kit, n_modes);
}

// ---- for tests

// The functional and its derivatives at the same (g, w) for each trace of a tile of at most one block.
static void fit_probe(const xn_fit_plan *p, const void *table, void *work, xn_fit_tile *tile, int moments, int n_modes,
                      const double *g, const double *w, xn_fit_probe *probe)
{
    struct kit kit = {.table = table, .tile = tile, .moments = moments};
    struct block b;
    struct eval e[XN_GROUPS];
    vf parameter[XN_GROUPS][XN_Q];
    const vf *at[XN_GROUPS];
    kit_place(&kit, p, tile->count, work);
    prepare_tile(&kit, kit.list[0]);
    for (int i = 0; i < tile->count; i++) kit.list[0][i] = i;
    block_open(&kit, kit.list[0], tile->count, &b);
    for (int a = 0; a < XN_GROUPS; a++) {
        at[a] = parameter[a];
        for (int k = 0; k < n_modes; k++) {
            parameter[a][2 * k] = v_set(R(g[k]));
            parameter[a][2 * k + 1] = v_set(R(w[k]));
        }
    }
    evaluate_modes(n_modes, &b, at, e);
    for (int i = 0; i < tile->count; i++) {
        const int a = i / XN_W, lane = i % XN_W, Q = 2 * n_modes;
        real x[XN_W];
#define XN_LANE(value) (v_store(x, value), (double)x[lane])
        const double unscale = plane_of(&kit, PLANE_UNSCALE)[i], length = p->length;
        probe[i].chi2 = XN_LANE(e[a].chi2) * unscale * unscale;
        for (int j = 0; j < Q; j++) {
            probe[i].beta[j] = XN_LANE(e[a].beta[j]) * unscale;
            probe[i].gradient[j] = XN_LANE(e[a].gradient[j]) * unscale * unscale * length;
            for (int k = 0; k <= j; k++)
                probe[i].schur[j][k] = probe[i].schur[k][j] =
                    XN_LANE(e[a].schur[j][k]) * unscale * unscale * length * length;
        }
#undef XN_LANE
    }
}

// ---- for benchmarks

static void fit_moments(const xn_fit_plan *p, const void *table, void *work, xn_fit_tile *tile, int moments,
                        int n_modes, int passes)
{
    struct kit kit = {.table = table, .tile = tile, .moments = moments};
    struct block b;
    struct sums s[XN_GROUPS];
    vc z[XN_GROUPS][XN_M];
    kit_place(&kit, p, tile->count, work);
    prepare_tile(&kit, kit.list[0]);
    for (int i = 0; i < tile->count; i++) kit.list[0][i] = i;
    block_open(&kit, kit.list[0], tile->count, &b);
    for (int a = 0; a < XN_GROUPS; a++)
        for (int k = 0; k < n_modes; k++) z[a][k] = v_pole(v_set(R(0.01)), v_set(R(0.6 + 0.7 * k)), v_set(R(1)));
    for (int i = 0; i < passes; i++) {
        moments_of[n_modes - 1](&b, z, s);
        __asm__ volatile("" : : "r"(s) : "memory"); // the sums count as used
    }
}

static void fit_math(int which, int n, const double *x, const double *y, double *a, double *b)
{
    for (int i = 0; i < n; i += XN_W) {
        real in[2][XN_W], out[2][XN_W];
        for (int j = 0; j < XN_W; j++) {
            in[0][j] = R(x[i + j < n ? i + j : n - 1]);
            in[1][j] = y != NULL ? R(y[i + j < n ? i + j : n - 1]) : R(0);
        }
        vf first = v_load(in[0]), second = v_set(R(0));
        if (which == XN_MATH_EXP)
            first = v_exp(first);
        else if (which == XN_MATH_SINCOS)
            v_sincos(v_load(in[0]), &first, &second);
        else
            first = v_atan2(v_load(in[1]), first);
        v_store(out[0], first);
        v_store(out[1], second);
        for (int j = 0; j < XN_W && i + j < n; j++) {
            a[i + j] = (double)out[0][j];
            if (b != NULL) b[i + j] = (double)out[1][j];
        }
    }
}

#define XN_FIT_KERNEL(symbol, text)                                                                                    \
    const xn_fit_kernel symbol = {text,           XN_REAL_BITS, XN_W,       fit_table_bytes, fit_tabulate,             \
                                  fit_work_bytes, fit_tile,     fit_load,   fit_powers,      fit_evaluate,             \
                                  fit_probe,      fit_math,     fit_moments}

#endif
