// SPDX-License-Identifier: BSD-3-Clause
// neighbours.c -- see neighbours.h.
//
// Work is done in windows of 32 x 16 pixels, whose inner pixels have all their neighbours inside.  A window is one tile
// of the fit kernel, place = 32 y + x, so that rows of lanes are neighbours in memory.  Results do not depend on how
// windows fall: sums over a neighbourhood always run in the order of its rows.
#include "fit/neighbours.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "data/modes.h"
#include "fit/joint.h"

#define TWO_PI 6.28318530717958647693
#define WIDE 32
#define HIGH 16
#define PLACES (WIDE * HIGH)
#define STRETCH 2048 // pixels of one piece of step 3

typedef struct {
    const xn_fit_job *job;
    const xn_fit_kernel *kernel;
    int reach;
    int64_t height;
    int64_t *module_of; // (row) first row of its module
    int64_t *module_to; // (row) the row after its last
    uint8_t *usable;    // by pixel: fitted, may be taken into a neighbourhood
    uint8_t *open;      // by pixel: nothing found in step 2
    float *start_thz;   // by pixel
    double threshold[XN_JOINT_MOST + 1];
    int64_t windows_x, windows;
} image;

static int64_t pixel_at(const image *m, int64_t i) { return m->job->pixel != NULL ? m->job->pixel[i] : i; }

static void image_free(image *m)
{
    void *all[] = {m->module_of, m->module_to, m->usable, m->open, m->start_thz};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
}

static xani_status image_create(xn_ctx *ctx, const xn_fit_job *job, image *m)
{
    *m = (image){.job = job, .reach = job->side / 2};
    m->kernel = xn_fit_kernel_find(job->kernels, job->precision == 64 ? 64 : 32);
    if (m->kernel == NULL) {
        xn_fail(ctx, XANI_ERR_CONFIG, "engine.kernels: this processor does not have %s", job->kernels);
        return XANI_ERR_CONFIG;
    }
    m->height = job->width > 0 ? job->row_stride / job->width : 0;
    const size_t plane = (size_t)job->row_stride, rows = (size_t)m->height + 1;
    m->module_of = xn_alloc(rows, sizeof(int64_t)), m->module_to = xn_alloc(rows, sizeof(int64_t));
    m->usable = xn_calloc(plane, 1), m->open = xn_calloc(plane, 1);
    m->start_thz = xn_alloc(plane, sizeof(float));
    if (!m->module_of || !m->module_to || !m->usable || !m->open || !m->start_thz) {
        image_free(m);
        xn_fail_memory(ctx, "the image of neighbours", plane * 6 + rows * 16);
        return XANI_ERR_MEMORY;
    }
    int64_t row = 0;
    const int n_modules = job->module_rows != NULL ? job->n_modules : 1;
    for (int i = 0; i < n_modules; i++) {
        const int64_t begin = row, end = job->module_rows != NULL ? row + job->module_rows[i] : m->height;
        for (; row < end && row < m->height; row++) m->module_of[row] = begin, m->module_to[row] = end;
    }
    for (; row < m->height; row++) m->module_of[row] = row, m->module_to[row] = row + 1; // of no module
    for (int64_t i = 0; i < job->count; i++) m->usable[pixel_at(m, i)] = 1;
    for (int i = 0; i <= XN_JOINT_MOST; i++) m->threshold[i] = i > 0 ? xn_joint_threshold(job->plans, i) : INFINITY;
    const int64_t inner_x = WIDE - 2 * m->reach, inner_y = HIGH - 2 * m->reach;
    m->windows_x = (job->width + inner_x - 1) / inner_x;
    m->windows = m->windows_x * ((m->height + inner_y - 1) / inner_y);
    return XANI_OK;
}

// The plan that neighbours are added up in, and that of traces with missing samples.
static int first_plan(const image *m)
{
    const xn_fit_plans *plans = m->job->plans;
    return plans->plan[plans->first].gridded ? xn_plan_explicit(plans->first) : plans->first;
}

// Left upper corner of a window, margin included
static void corner(const image *m, int64_t window, int64_t *x0, int64_t *y0)
{
    *x0 = window % m->windows_x * (WIDE - 2 * m->reach) - m->reach;
    *y0 = window / m->windows_x * (HIGH - 2 * m->reach) - m->reach;
}

static bool inside(const image *m, int64_t x, int64_t y)
{
    return x >= 0 && y >= 0 && x < m->job->width && y < m->height;
}

// ---- step 1

typedef struct {
    void *table[XN_PLANS], *work;
    float *powers, *row; // (grid, place); (place) sums along x
    double *best, *at;   // (place)
    int64_t pixel[PLACES];
    uint8_t use[PLACES], flags[PLACES], again[PLACES];
} pooling;

static void pooling_free(pooling *p)
{
    for (int i = 0; i < XN_PLANS; i++) xn_free(p->table[i]);
    void *all[] = {p->work, p->powers, p->row, p->best, p->at};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) xn_free(all[i]);
}

static size_t grid_of(const image *m) // of any plan a window is loaded in
{
    size_t most = 0;
    for (int i = 0; i < XN_PLANS; i++) {
        const size_t need = (size_t)m->job->plans->plan[i].n_grid / 2 + 2;
        if (m->job->plans->has[i] && need > most) most = need;
    }
    return most;
}

static xani_status pooling_create(xn_ctx *ctx, const image *m, pooling *p)
{
    const xn_fit_plans *plans = m->job->plans;
    size_t bytes = 0;
    bool ok = true;
    for (int i = 0; i < XN_PLANS && ok; i++) {
        if (!plans->has[i]) continue;
        const size_t need = m->kernel->work_bytes(&plans->plan[i], PLACES);
        bytes = need > bytes ? need : bytes;
        ok = (p->table[i] = xn_alloc(m->kernel->table_bytes(&plans->plan[i]), 1)) != NULL;
        if (ok) m->kernel->tabulate(&plans->plan[i], p->table[i]);
    }
    ok = ok && (p->work = xn_alloc(bytes, 1)) != NULL;
    ok = ok && (p->powers = xn_calloc(2 * grid_of(m) * PLACES, sizeof(float))) != NULL;
    ok = ok && (p->row = xn_alloc(PLACES, sizeof(float))) != NULL;
    ok = ok && (p->best = xn_alloc(PLACES, sizeof(double))) != NULL;
    ok = ok && (p->at = xn_alloc(PLACES, sizeof(double))) != NULL;
    return ok ? XANI_OK : xn_fail_memory(ctx, "the powers of neighbours", bytes + 2 * grid_of(m) * PLACES * 4);
}

// Powers of all places of a window in one plan.
static void window_powers(const image *m, pooling *p, int plan, float *powers)
{
    const xn_fit_job *job = m->job;
    xn_fit_tile tile = {.count = PLACES,
                        .y = job->y,
                        .row = job->plans->row[plan],
                        .row_stride = job->row_stride,
                        .pixel = p->pixel,
                        .sigma = job->sigma,
                        .n_modes = p->use,
                        .flags = p->flags};
    m->kernel->load(&job->plans->plan[plan], p->table[plan], p->work, &tile);
    for (int i = 0; i < PLACES; i++) p->again[i] = (p->flags[i] & XN_FLAG_MISSING) != 0;
    m->kernel->powers(&job->plans->plan[plan], p->table[plan], p->work, &tile, 0, powers, PLACES);
}

// Adds up a plane of powers over neighbourhoods that stay in one module. A row's sum along x first.
static void add_neighbours(const image *m, int64_t y0, float *power, float *row)
{
    for (int y = 0; y < HIGH; y++)
        for (int x = m->reach; x < WIDE - m->reach; x++) {
            float sum = 0.0F;
            for (int d = -m->reach; d <= m->reach; d++) sum += power[y * WIDE + x + d];
            row[y * WIDE + x] = sum;
        }
    for (int y = m->reach; y < HIGH - m->reach; y++) {
        if (y0 + y < 0 || y0 + y >= m->height) continue;
        const int64_t lo = m->module_of[y0 + y] - y0, hi = m->module_to[y0 + y] - y0;
        for (int x = m->reach; x < WIDE - m->reach; x++) {
            float sum = 0.0F;
            for (int d = -m->reach; d <= m->reach; d++)
                if (y + d >= lo && y + d < hi) sum += row[(y + d) * WIDE + x];
            power[y * WIDE + x] = sum;
        }
    }
}

// Where between its neighbours a peak has its top, in steps: a parabola through the logarithms, which comes nearer to
// the shape of a line than one through the powers (0.973 instead of 0.967 of the starts of test_neighbours.c within 2
// %).
static double top(float before, float now, float after)
{
    const double a = log(fmax((double)before, 1e-30)), b = log((double)now), c = log(fmax((double)after, 1e-30));
    return 0.5 * (a - c) / (a - 2.0 * b + c);
}

// The highest local maximum of each inner place.
static void peaks(const xn_fit_plan *plan, pooling *p, const float *powers)
{
    for (int i = 0; i < PLACES; i++) p->best[i] = 0.0, p->at[i] = NAN;
    for (int j = plan->grid_lo; j <= plan->grid_hi; j++) {
        const float *before = powers + (size_t)(j - 1) * PLACES, *now = before + PLACES, *after = now + PLACES;
        for (int i = 0; i < PLACES; i++)
            if (now[i] > before[i] && now[i] >= after[i] && (double)now[i] > p->best[i]) {
                p->best[i] = (double)now[i];
                p->at[i] = j + top(before[i], now[i], after[i]);
            }
    }
}

static void pool_window(const image *m, pooling *p, int64_t window, float *start_thz)
{
    const xn_fit_plans *plans = m->job->plans;
    const int first = first_plan(m);
    const xn_fit_plan *plan = &plans->plan[first];
    const size_t grid = grid_of(m);
    int64_t x0, y0;
    bool any = false;
    corner(m, window, &x0, &y0);
    for (int i = 0; i < PLACES; i++) {
        const int64_t x = xn_max64(0, xn_min64(x0 + i % WIDE, m->job->width - 1));
        p->pixel[i] = xn_max64(0, xn_min64(y0 + i / WIDE, m->height - 1)) * m->job->width + x;
        any |= m->usable[p->pixel[i]] != 0;
    }
    if (!any) return;
    window_powers(m, p, first, p->powers);
    bool missing = false;
    for (int i = 0; i < PLACES; i++) missing |= p->again[i] != 0;
    if (missing && first == XN_PLAN_CLOSED) { // the same grid
        uint8_t again[PLACES];
        memcpy(again, p->again, sizeof again);
        float *other = p->powers + grid * PLACES;
        window_powers(m, p, xn_plan_explicit(first), other);
        for (int j = plan->grid_lo - 1; j <= plan->grid_hi + 1; j++)
            for (int i = 0; i < PLACES; i++)
                if (again[i]) p->powers[(size_t)j * PLACES + (size_t)i] = other[(size_t)j * PLACES + (size_t)i];
    }
    for (int j = plan->grid_lo - 1; j <= plan->grid_hi + 1; j++) {
        float *power = p->powers + (size_t)j * PLACES;
        for (int i = 0; i < PLACES; i++)
            if (!inside(m, x0 + i % WIDE, y0 + i / WIDE) || !m->usable[p->pixel[i]]) power[i] = 0.0F;
        add_neighbours(m, y0, power, p->row);
    }
    peaks(plan, p, p->powers);
    for (int y = m->reach; y < HIGH - m->reach; y++)
        for (int x = m->reach; x < WIDE - m->reach; x++) {
            const int i = y * WIDE + x;
            if (!inside(m, x0 + x, y0 + y) || !m->usable[p->pixel[i]]) continue;
            start_thz[p->pixel[i]] = (float)(p->at[i] / (plan->n_grid * plans->step_ps));
        }
}

static xani_status start_all(xn_ctx *ctx, const image *m, float *start_thz)
{
    const int threads = (int)xn_max64(1, xn_min64(xn_threads(m->job->threads), m->windows));
    pooling *all = xn_calloc((size_t)threads, sizeof *all);
    if (all == NULL) return xn_fail_memory(ctx, "the powers of neighbours", (size_t)threads * sizeof *all);
    xani_status st = XANI_OK;
    for (int i = 0; i < threads && st == XANI_OK; i++) st = pooling_create(ctx, m, &all[i]);
    for (int64_t i = 0; i < m->job->row_stride; i++) start_thz[i] = NAN;
    if (st == XANI_OK) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int64_t i = 0; i < m->windows; i++)
            if (!xn_interrupted(ctx)) pool_window(m, &all[omp_get_thread_num()], i, start_thz);
        st = xn_check_interrupt(ctx);
    }
    for (int i = 0; i < threads; i++) pooling_free(&all[i]);
    xn_free(all);
    return st;
}

xani_status xn_neighbours_start(xn_ctx *ctx, const xn_fit_job *job, float *frequency_thz)
{
    image m;
    XN_TRY(image_create(ctx, job, &m));
    const xani_status st = start_all(ctx, &m, frequency_thz);
    image_free(&m);
    return st;
}

// ---- step 2

static void keep_own(void *user, int64_t pixel, const xani_fit_result *r, const xn_fit_more *more)
{
    image *m = user;
    m->open[pixel] = r->status == XN_FIT_NONE;
    if (m->job->results != NULL) m->job->results[pixel] = *r;
    if (m->job->sink != NULL) m->job->sink(m->job->user, pixel, r, more);
}

// ---- step 3

// Lists of pixels that wait for a batch to be full: for a trial, then for the fit, each in two plans.
enum { TRIAL, FIT, STEPS };

typedef struct {
    xn_joint joint;
    int plan[2];
    int count[STEPS][2];
    xn_joint_pixel list[STEPS][2][XN_JOINT_PIXELS];
} joining;

static void run_list(const image *m, joining *g, int step, int which);

static void add_to_list(const image *m, joining *g, int step, int which, const xn_joint_pixel *p)
{
    g->list[step][which][g->count[step][which]++] = *p;
    if (g->count[step][which] == XN_JOINT_PIXELS) run_list(m, g, step, which);
}

static void report(const image *m, const joining *g, const xn_joint_pixel *p)
{
    const int64_t pixel = p->neighbour[g->joint.neighbours / 2];
    const xn_fit_more more = {m->job->covariance ? p->covariance : NULL, true};
    if (m->job->results != NULL) m->job->results[pixel] = p->result;
    if (m->job->sink != NULL) m->job->sink(m->job->user, pixel, &p->result, &more);
}

// Traces with missing samples go on by explicit sums (list 1), what is worth it from the trial to the fit.
static void run_list(const image *m, joining *g, int step, int which)
{
    xn_joint_pixel *list = g->list[step][which];
    const int count = g->count[step][which];
    if (count == 0) return;
    g->count[step][which] = 0;
    xn_joint_fit(&g->joint, g->plan[which], step == TRIAL, list, count);
    for (int i = 0; i < count; i++) {
        if (list[i].missing && g->plan[0] == XN_PLAN_CLOSED && which == 0)
            add_to_list(m, g, step, 1, &list[i]);
        else if (list[i].promising)
            add_to_list(m, g, FIT, which, &list[i]);
        else if (list[i].found)
            report(m, g, &list[i]);
    }
}

static void neighbours_of(const image *m, int64_t pixel, int64_t *neighbour)
{
    const int64_t width = m->job->width, x = pixel % width, y = pixel / width;
    for (int64_t v = y - m->reach; v <= y + m->reach; v++)
        for (int64_t u = x - m->reach; u <= x + m->reach; u++) {
            const bool there = inside(m, u, v) && v >= m->module_of[y] && v < m->module_to[y];
            *neighbour++ = there && m->usable[v * width + u] ? v * width + u : -1;
        }
}

// The open ones of STRETCH pixels.
static void fit_stretch(const image *m, joining *g, int64_t begin)
{
    for (int64_t i = begin; i < xn_min64(begin + STRETCH, m->job->count); i++) {
        const int64_t pixel = pixel_at(m, i);
        if (!m->open[pixel] || !isfinite(m->start_thz[pixel])) continue;
        xn_joint_pixel p = {.start_w = TWO_PI * (double)m->start_thz[pixel] * m->job->plans->step_ps};
        neighbours_of(m, pixel, p.neighbour);
        add_to_list(m, g, TRIAL, 0, &p);
    }
    for (int step = TRIAL; step < STEPS; step++)
        for (int which = 0; which < 2; which++) run_list(m, g, step, which);
}

static xani_status join_all(xn_ctx *ctx, const image *m)
{
    const xn_fit_job *job = m->job;
    const int threads = (int)xn_max64(1, xn_min64(xn_threads(job->threads), job->count / STRETCH + 1));
    joining *all = xn_calloc((size_t)threads, sizeof *all);
    if (all == NULL) return xn_fail_memory(ctx, "the fit of neighbourhoods", (size_t)threads * sizeof *all);
    xani_status st = XANI_OK;
    for (int i = 0; i < threads && st == XANI_OK; i++) {
        all[i].joint = (xn_joint){.kernel = m->kernel,
                                  .plans = job->plans,
                                  .y = job->y,
                                  .sigma = job->sigma,
                                  .row_stride = job->row_stride,
                                  .threshold = m->threshold,
                                  .neighbours = job->side * job->side,
                                  .covariance = job->covariance};
        all[i].plan[0] = first_plan(m);
        all[i].plan[1] = xn_plan_explicit(first_plan(m));
        st = xn_joint_create(ctx, &all[i].joint);
    }
    if (st == XANI_OK) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (int64_t i = 0; i < job->count; i += STRETCH)
            if (!xn_interrupted(ctx)) fit_stretch(m, &all[omp_get_thread_num()], i);
        st = xn_check_interrupt(ctx);
    }
    for (int i = 0; i < threads; i++) xn_joint_free(&all[i].joint);
    xn_free(all);
    return st;
}

xani_status xn_fit_neighbours(xn_ctx *ctx, const xn_fit_job *job)
{
    image m;
    XN_TRY(image_create(ctx, job, &m));
    xn_fit_job own = *job;
    own.given = (xn_fit_given){.n_modes = 1, .stride = job->row_stride, .frequency_thz = m.start_thz};
    own.favour = 0.5 * job->plans->threshold;
    own.results = NULL;
    own.sink = keep_own;
    own.user = &m;
    xani_status st = start_all(ctx, &m, m.start_thz);
    if (st == XANI_OK) st = xn_fit_each(ctx, &own);
    if (st == XANI_OK && job->plans->plan[job->plans->first].modes_max > 0) st = join_all(ctx, &m);
    image_free(&m);
    return st;
}
