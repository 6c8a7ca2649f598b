// SPDX-License-Identifier: BSD-3-Clause
// linear_prediction.c -- see linear_prediction.h.  Options, memory of one thread, and the way into the methods.
//
// LPSVD predicts backward, the shift relation of HSVD and HTLS goes forward.  The other direction is the same on the
// reversed trace, whose poles are 1/z.  Dimensions (lp_work.h): half of the samples for HSVD and HTLS, a quarter for
// LPSVD (that is a prediction order of three quarters, near the optimum that Kumaresan and Tufts found), where they are
// not given; no more than MOST_DIMENSION.
#include "fit/lp_work.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#define MOST_DIMENSION 512
#define MOST_RANK 32 // that a rule may choose when the caller does not say more

// ---- OpenBLAS threads

// In OpenBLAS only; another BLAS leaves them NULL.
extern void openblas_set_num_threads(int n) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));

static pthread_mutex_t blas_lock = PTHREAD_MUTEX_INITIALIZER;
static int blas_users, blas_threads;

static void blas_enter(void)
{
    if (openblas_set_num_threads == NULL || openblas_get_num_threads == NULL) return;
    pthread_mutex_lock(&blas_lock);
    if (blas_users++ == 0 && (blas_threads = openblas_get_num_threads()) > 1) openblas_set_num_threads(1);
    pthread_mutex_unlock(&blas_lock);
}

static void blas_leave(void)
{
    if (openblas_set_num_threads == NULL || openblas_get_num_threads == NULL) return;
    pthread_mutex_lock(&blas_lock);
    if (--blas_users == 0 && blas_threads > 1) openblas_set_num_threads(blas_threads);
    pthread_mutex_unlock(&blas_lock);
}

// ---- options

void xn_lp_options_init(xani_lp_options *o)
{
    memset(o, 0, sizeof *o);
    o->size = sizeof *o;
    o->rank_rule = XANI_LP_RANK_MDL;
}

void xn_lp_options_start(xani_lp_options *o, int max_modes, int spare)
{
    xn_lp_options_init(o);
    o->rank_rule = XANI_LP_RANK_FIXED;
    o->rank = 2 * max_modes + 1 + spare;
    o->columns = XN_LP_COLUMNS;
}

xani_status xn_lp_options_check(xn_ctx *ctx, const xani_lp_options *o, int64_t n)
{
    const char *bad = NULL;
    if (o == NULL || o->size != sizeof *o)
        return xn_fail(ctx, XANI_ERR_USAGE, "options were not made by xani_lp_options_init of this version");
    if (o->method < XANI_LP_HSVD || o->method > XANI_LP_LPSVD)
        bad = "method is none of XANI_LP_*";
    else if (o->rank_rule < XANI_LP_RANK_FIXED || o->rank_rule > XANI_LP_RANK_GAP)
        bad = "rank_rule is none of XANI_LP_RANK_*";
    else if (o->rank < 0 || o->rank > XN_LP_MOST_POLES)
        bad = "rank is not 0..64";
    else if (o->rank == 0 && o->rank_rule == XANI_LP_RANK_FIXED)
        bad = "rank_rule XANI_LP_RANK_FIXED needs a rank above 0";
    else if (o->direction < -1 || o->direction > 1)
        bad = "direction is not -1, 0, 1";
    else if (!(o->noise >= 0 && isfinite(o->noise)))
        bad = "noise is not a number from 0";
    else if (!(o->amplitude_threshold >= 0 && o->amplitude_threshold <= 1))
        bad = "amplitude_threshold is not within 0..1";
    else if (o->refine < 0)
        bad = "refine is negative";
    else if (o->threads < 0)
        bad = "threads is negative";
    if (bad != NULL) return xn_fail(ctx, XANI_ERR_USAGE, "linear prediction: %s", bad);
    const int64_t low = o->method == XANI_LP_LPSVD ? (n + 1) / 2 : 2, high = o->method == XANI_LP_LPSVD ? n - 2 : n / 2;
    if (n > 0 && o->columns != 0 && (o->columns < low || o->columns > high))
        return xn_fail(ctx, XANI_ERR_USAGE, "linear prediction: columns is %d, not %lld..%lld for %lld samples",
                       o->columns, (long long)low, (long long)high, (long long)n);
    return XANI_OK;
}

int xn_lp_dimension(const xani_lp_options *o, int n)
{
    const bool lpsvd = o->method == XANI_LP_LPSVD;
    int d = lpsvd ? (n + 3) / 4 : n / 2;
    if (o->columns > 0 && lpsvd) d = o->columns < n - 2 ? n - o->columns : 2;
    if (o->columns > 0 && !lpsvd && o->columns < d) d = o->columns;
    return o->columns == 0 && d > MOST_DIMENSION ? MOST_DIMENSION : d;
}

// ---- memory

static int larger(int a, int b) { return a > b ? a : b; }

// One block for all arrays: lengths in, addresses out.
typedef struct {
    double **where;
    size_t length;
} part;

xani_status xn_lp_work_create(xn_ctx *ctx, int n, const xani_lp_options *options, double tolerance, xn_lp_work **work)
{
    *work = NULL;
    XN_TRY(xn_algebra_room(ctx, 1));
    xn_lp_work *k = xn_calloc(1, sizeof *k);
    if (k == NULL) return xn_fail_memory(ctx, "linear prediction", sizeof *k);
    k->o = *options;
    k->n = larger(n, XN_LP_SHORTEST);
    k->dimension = xn_lp_dimension(&k->o, k->n);
    k->poles = k->o.rank > 0 ? k->o.rank : MOST_RANK;
    if (k->poles > k->dimension) k->poles = k->dimension;
    k->tolerance = tolerance;
    const bool lpsvd = k->o.method == XANI_LP_LPSVD;
    k->order = lpsvd ? k->n - k->dimension : 0;
    if (k->order > XN_LP_COMPANION_MOST) k->order = 0;
    const size_t width = k->o.complex_traces ? 2 : 1, samples = (size_t)k->n, order = (size_t)k->order;
    const size_t l = (size_t)k->dimension, m = (size_t)k->poles;
    const int terms = lpsvd ? XN_LP_MOST_POLES : k->poles; // the companion matrix may give more than asked for
    k->scratch_size =
        (lapack_int)(40 * larger(larger(k->dimension, 2 * terms + 8), k->order)); // blocks of 32, and more
    k->index_size = (lapack_int)(12 * l + 4 * (size_t)terms);
    const part parts[] = {{&k->series, width * samples},
                          {&k->gram, width * l * l},
                          {&k->basis, width * l * l},
                          {&k->vectors, width * l * m},
                          {&k->values, l},
                          {&k->spectrum, l},
                          {&k->diagonal, l},
                          {&k->beside, l},
                          {&k->small_d, l},
                          {&k->small_e, l},
                          {&k->ritz, l * m},
                          {&k->column, width * 2 * l},
                          {&k->prediction, width * samples},
                          {&k->roots, 2 * order},
                          {&k->companion, width * order * order},
                          {&k->shift, width * m * m},
                          {&k->pencil, width * 4 * m * m},
                          {&k->atom, width * (k->o.refine > 0 ? 2 : 1) * ((size_t)terms + 1) * samples},
                          {&k->rest, width * samples},
                          {&k->scratch, width * (size_t)k->scratch_size},
                          {&k->real_scratch, 18 * l + 8 * (size_t)terms}};
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) total += (parts[i].length + 7) / 8 * 8;
    k->block = xn_alloc(total, sizeof(double));
    k->index = xn_alloc((size_t)k->index_size, sizeof(lapack_int));
    if (k->block == NULL || k->index == NULL) {
        xn_free(k->block);
        xn_free(k->index);
        xn_free(k);
        return xn_fail_memory(ctx, "linear prediction", total * sizeof(double));
    }
    total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *parts[i].where = k->block + total;
        total += (parts[i].length + 7) / 8 * 8;
    }
    blas_enter();
    *work = k;
    return XANI_OK;
}

void xn_lp_work_destroy(xn_lp_work **work)
{
    if (work == NULL || *work == NULL) return;
    xn_free((*work)->block);
    xn_free((*work)->index);
    xn_free(*work);
    *work = NULL;
    blas_leave();
}

// ---- poles

int xn_lp_poles(const double *y, int n, xn_lp_work *k, double *re, double *im, int *rank)
{
    const int width = k->o.complex_traces ? 2 : 1, usual = k->o.method == XANI_LP_LPSVD ? -1 : 1;
    const bool reverse = k->o.direction == -usual;
    *rank = 0;
    if (n < XN_LP_SHORTEST || n > k->n) return 0;
    for (int i = 0; i < n; i++)
        memcpy(k->series + width * i, y + width * (reverse ? n - 1 - i : i), (size_t)width * sizeof(double));
    int m = k->o.complex_traces ? xn_lp_poles_complex(n, k, re, im, rank) : xn_lp_poles_real(n, k, re, im, rank),
        kept = 0;
    for (int i = 0; i < m; i++) {
        const double size = re[i] * re[i] + im[i] * im[i];
        if (!(size > 0) || !isfinite(size)) continue;
        re[kept] = reverse ? re[i] / size : re[i];
        im[kept] = reverse ? -im[i] / size : im[i];
        kept++;
    }
    return kept;
}
