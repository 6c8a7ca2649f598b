// SPDX-License-Identifier: BSD-3-Clause
// windows.c -- quantiles, windows by percentile or MAD, and a robust line: see windows.h.
//
// The median absolute deviation times 1.4826 estimates the standard deviation of a Gaussian and does not see outliers
// up to half of the shots.
// Line: slopes between all pairs of up to 401 points spread evenly over the ranks of x, their median (Theil-Sen; Sen,
// J. Am. Stat. Assoc. 63, 1379 (1968); breakdown 29 %), then Tukey's biweight on all points with tuning constant 4.685
// (95 % efficient for a Gaussian), the scale from the MAD of each round.
#include "reduce/windows.h"

#include <math.h>
#include <stdlib.h>

#include "reduce/internal.h"

#define SEN_POINTS 401
#define BIWEIGHT 4.685
#define ROUNDS 50

double xn_quantile(const double *v, int64_t n, double p)
{
    if (n < 1) return NAN;
    double at = p * (double)(n - 1);
    int64_t i = (int64_t)floor(at);
    if (i >= n - 1) return v[n - 1];
    return v[i] + (at - (double)i) * (v[i + 1] - v[i]);
}

double xn_median_spread(double *v, int64_t n, double *median)
{
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    *median = xn_quantile(v, n, 0.5);
    for (int64_t i = 0; i < n; i++) v[i] = fabs(v[i] - *median);
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    return XN_MAD_TO_SIGMA * xn_quantile(v, n, 0.5);
}

// ---- windows

bool xn_window_needs_values(const xn_config *config, const char *at)
{
    char key[XN_KEY_LENGTH];
    return xn_config_has(config, xn_key(key, "%s.percentile", at)) || xn_config_has(config, xn_key(key, "%s.mad", at));
}

void xn_window_make(const xn_config *config, const char *at, double *values, int64_t n, double window[2])
{
    char key[XN_KEY_LENGTH];
    double percent[2] = {0, 100};
    window[0] = -INFINITY;
    window[1] = INFINITY;
    if (n > 0 && xn_config_has(config, xn_key(key, "%s.percentile", at))) {
        (void)xn_config_doubles(config, key, percent, 2);
        qsort(values, (size_t)n, sizeof *values, xn_double_compare);
        for (int i = 0; i < 2; i++) window[i] = xn_quantile(values, n, percent[i] / 100.0);
    } else if (n > 0 && xn_config_has(config, xn_key(key, "%s.mad", at))) {
        double k = xn_config_double(config, key), median, sigma = xn_median_spread(values, n, &median);
        window[0] = median - k * sigma;
        window[1] = median + k * sigma;
    }
    if (xn_config_has(config, xn_key(key, "%s.min", at))) window[0] = xn_config_double(config, key);
    if (xn_config_has(config, xn_key(key, "%s.max", at))) window[1] = xn_config_double(config, key);
}

// ---- a line

typedef struct point {
    double x, y;
} point;

static int by_x(const void *a, const void *b) // then y, so that the order is one
{
    const point *p = a, *q = b;
    return p->x != q->x ? (p->x > q->x) - (p->x < q->x) : (p->y > q->y) - (p->y < q->y);
}

// Median slope between the points; 0 pairs with different x: false.
static bool sen(const point *p, int n, double *slopes, double *slope)
{
    int64_t pairs = 0;
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            if (p[j].x > p[i].x) slopes[pairs++] = (p[j].y - p[i].y) / (p[j].x - p[i].x);
    qsort(slopes, (size_t)pairs, sizeof *slopes, xn_double_compare);
    *slope = xn_quantile(slopes, pairs, 0.5);
    return pairs > 0;
}

// Intercept as the median of the residuals, sigma by their MAD.
static void centre(const point *p, int64_t n, double *work, xn_line *l)
{
    for (int64_t i = 0; i < n; i++) work[i] = p[i].y - l->slope * p[i].x;
    l->sigma = xn_median_spread(work, n, &l->intercept);
}

// One round of the biweight; false: nothing left to fit, or nothing changed.
static bool refine(const point *p, int64_t n, double *work, xn_line *l)
{
    for (int64_t i = 0; i < n; i++) work[i] = p[i].y - l->intercept - l->slope * p[i].x;
    double median, w1 = 0, wx = 0, wy = 0, xx = 0, xy = 0, reach;
    l->sigma = xn_median_spread(work, n, &median);
    reach = BIWEIGHT * l->sigma;
    for (int pass = 0; pass < 2; pass++) // means first, so that sums of squares are about them
        for (int64_t i = 0; i < n; i++) {
            double u = (p[i].y - l->intercept - l->slope * p[i].x) / reach, w = 1.0 - u * u;
            if (!(fabs(u) < 1.0)) continue;
            w *= w;
            if (pass == 0) {
                w1 += w;
                wx += w * p[i].x;
                wy += w * p[i].y;
            } else {
                xx += w * (p[i].x - wx / w1) * (p[i].x - wx / w1);
                xy += w * (p[i].x - wx / w1) * (p[i].y - wy / w1);
            }
        }
    if (!(xx > 0)) return false;
    double slope = xy / xx, change = fabs(slope - l->slope) * sqrt(xx / w1);
    l->slope = slope;
    l->intercept = wy / w1 - slope * (wx / w1);
    return change > 1e-6 * l->sigma;
}

xani_status xn_line_robust(xn_ctx *ctx, const double *x, const double *y, int64_t n, xn_line *line, bool *found)
{
    *found = false;
    *line = (xn_line){NAN, NAN, NAN};
    if (n < 3) return XANI_OK;
    point some[SEN_POINTS];
    size_t pairs = (size_t)SEN_POINTS * SEN_POINTS / 2;
    point *p = xn_alloc((size_t)n, sizeof *p);
    double *work = xn_alloc((size_t)n, sizeof *work), *slopes = xn_alloc(pairs, sizeof *slopes);
    xani_status st = XANI_OK;
    if (p == NULL || work == NULL || slopes == NULL) {
        st = xn_fail_memory(ctx, "the line through two monitors", (size_t)n * 24);
        goto out;
    }
    for (int64_t i = 0; i < n; i++) p[i] = (point){x[i], y[i]};
    qsort(p, (size_t)n, sizeof *p, by_x);
    int m = (int)xn_min64(n, SEN_POINTS);
    for (int64_t i = 0; i < m; i++) some[i] = p[m > 1 ? i * (n - 1) / (m - 1) : 0];
    *found = sen(some, m, slopes, &line->slope);
    if (!*found) goto out;
    centre(p, n, work, line);
    for (int round = 0; round < ROUNDS && line->sigma > 0 && refine(p, n, work, line);) round++;
    centre(p, n, work, line);
out:
    xn_free(p);
    xn_free(work);
    xn_free(slopes);
    return st;
}
