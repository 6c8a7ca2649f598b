// SPDX-License-Identifier: BSD-3-Clause
// weights.c -- how much each delay counts, the same for all pixels: that is what the fast sums of the kernels can take.
//
// /entry/bins/weight says it (I0 of the bin) where it is there.  The errors say it too: with variances
//   ln e_ip^2 = a_p + b_i + scatter       (pixel p, delay i)
// the weights are exp(-b_i).  a and b are Tukey's medians of rows and columns (Exploratory Data Analysis, 1977), so
// that pixels that are broken at some delays, or at all, do not matter.  They are taken where the file has no weights,
// and where its weights w contradict them: the information that weights w leave of noise of variances v,
//   (sum w)^2/(sum w^2 v sum 1/v),
// falls short of 1 by more than a tenth, and by a tenth of the squared scatter: errors that are estimates from few
// shots scatter, and their medians then depend on the number of shots (chi^2 of one degree: scatter 1.6).  What shots
// have in common, their I0 and delay, scatters alike in all pixels: weights by such errors would themselves lose
// 2/(n - 1) of the information with n shots in a delay, which the weights of the file are allowed too.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fit/samples.h"

#define PIXELS 512       // looked at, evenly spread
#define ENOUGH (1 << 20) // numbers looked at
#define ROUNDS 3
#define LOSS 0.1
#define NORMAL 1.4826 // standard deviation over median of the absolute

const char *const xn_fit_weights_names[3] = {"none", "bins", "errors"};

typedef struct {
    int64_t n; // pixels
    int bins;
    double *v;      // (pixel, bin) ln e^2; NaN: unknown
    double *row;    // (pixel) a
    double *column; // (bin) b
    double *work;   // (n * bins)
} pattern;

static double median(double *v, int64_t n)
{
    if (n == 0) return NAN;
    qsort(v, (size_t)n, sizeof *v, xn_double_compare);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

static void take_pixels(const xn_cube *c, pattern *p)
{
    const int64_t plane = c->ny * c->nx, step = xn_max64(1, plane / p->n);
    int64_t k = 0;
    for (int64_t i = 0; i < plane && k < p->n; i++) {
        if (c->mask[i] != 0 || i % step != 0) continue;
        int known = 0;
        for (int b = 0; b < c->nbins; b++) {
            const double e = (double)c->errors[(int64_t)b * plane + i];
            const bool good = e > 0.0 && isfinite(e);
            p->v[k * c->nbins + b] = good ? 2.0 * log(e) : NAN;
            known += good;
        }
        k += known > 0;
    }
    p->n = k;
}

static double row_median(const pattern *p, int64_t k)
{
    int64_t n = 0;
    for (int b = 0; b < p->bins; b++)
        if (!isnan(p->v[k * p->bins + b] - p->column[b])) p->work[n++] = p->v[k * p->bins + b] - p->column[b];
    return median(p->work, n);
}

static double column_median(const pattern *p, int b)
{
    int64_t n = 0;
    for (int64_t k = 0; k < p->n; k++)
        if (!isnan(p->v[k * p->bins + b])) p->work[n++] = p->v[k * p->bins + b] - p->row[k];
    return median(p->work, n);
}

// The columns' mean becomes 0: only their differences count.
static void centre(pattern *p)
{
    double sum = 0.0, n = 0.0;
    for (int b = 0; b < p->bins; b++)
        if (!isnan(p->column[b])) sum += p->column[b], n += 1.0;
    for (int b = 0; b < p->bins; b++) p->column[b] -= sum / n;
}

// Rows and columns; returns the scatter about them.
static double polish(pattern *p)
{
    memset(p->column, 0, (size_t)p->bins * sizeof *p->column);
    for (int round = 0; round < ROUNDS; round++) {
        for (int64_t k = 0; k < p->n; k++) p->row[k] = row_median(p, k);
        for (int b = 0; b < p->bins; b++) p->column[b] = column_median(p, b);
    }
    int64_t n = 0;
    for (int64_t k = 0; k < p->n; k++)
        for (int b = 0; b < p->bins; b++) {
            const double rest = fabs(p->v[k * p->bins + b] - p->row[k] - p->column[b]);
            if (!isnan(rest)) p->work[n++] = rest;
        }
    centre(p);
    return n > 0 ? NORMAL * median(p->work, n) : 0.0;
}

// What of the information is lost to the weights of the file.
static double loss(const xn_cube *c, const double *column)
{
    double w1 = 0.0, w2v = 0.0, best = 0.0;
    for (int b = 0; b < c->nbins; b++) {
        const double w = c->weight[b], v = exp(column[b]);
        if (!(w > 0.0) || !isfinite(w) || isnan(v)) continue;
        w1 += w, w2v += w * w * v, best += 1.0 / v;
    }
    return w1 > 0.0 ? 1.0 - w1 / w2v * w1 / best : 0.0;
}

// What errors from so few shots would lose by their own scatter.
static double lost_by_chance(const xn_cube *c)
{
    double sum = 0.0;
    int n = 0;
    for (int b = 0; b < c->nbins; b++) {
        const double shots = c->on.shots != NULL   ? (double)c->on.shots[b]
                             : c->on_count != NULL ? c->on_count[b]
                                                   : INFINITY;
        if (!(c->weight[b] > 0.0)) continue;
        sum += shots > 3.0 ? 2.0 / (shots - 1.0) : 1.0;
        n++;
    }
    return n > 0 ? sum / n : 0.0;
}

static bool has_signal(const xn_cube *c, int bin)
{
    const int64_t plane = c->ny * c->nx;
    for (int64_t i = 0; i < plane; i++)
        if (c->mask[i] == 0 && isfinite(c->signal[(int64_t)bin * plane + i])) return true;
    return false;
}

// exp(-b), about 1; delays whose error no pixel knows are left out.
static void from_errors(const pattern *p, double *weight)
{
    for (int b = 0; b < p->bins; b++) weight[b] = isnan(p->column[b]) || weight[b] <= 0.0 ? 0.0 : exp(-p->column[b]);
}

static void from_file(const xn_cube *c, double *weight)
{
    for (int b = 0; b < c->nbins; b++)
        if (c->weight != NULL)
            weight[b] = c->weight[b] > 0.0 && isfinite(c->weight[b]) ? c->weight[b] : 0.0;
        else
            weight[b] = has_signal(c, b) ? 1.0 : 0.0;
}

static xani_status look_at_errors(xn_ctx *ctx, const xn_cube *c, pattern *p, double *weight, int *from)
{
    const size_t numbers = (size_t)p->n * (size_t)p->bins;
    p->v = xn_alloc(2 * numbers + (size_t)p->n + (size_t)p->bins, sizeof *p->v);
    if (p->v == NULL) return xn_fail_memory(ctx, "the weights of the delays", 2 * numbers * sizeof *p->v);
    p->work = p->v + numbers;
    p->row = p->work + numbers;
    p->column = p->row + p->n;
    take_pixels(c, p);
    const double scatter = p->n > 0 ? polish(p) : 0.0;
    const double lost = p->n > 0 && c->weight != NULL ? loss(c, p->column) : 0.0;
    if (p->n > 0 && (c->weight == NULL || lost > LOSS * (1.0 + scatter * scatter) + lost_by_chance(c))) {
        from_errors(p, weight);
        *from = XN_WEIGHTS_ERRORS;
    }
    if (*from == XN_WEIGHTS_ERRORS && c->weight != NULL)
        xn_warn(ctx,
                "fit: the weights of the delays, /entry/bins/weight, contradict /entry/cube/signal_errors, they would "
                "lose %.0f %% of the information; the fit takes those that follow from the errors",
                100.0 * lost);
    xn_free(p->v);
    return XANI_OK;
}

xani_status xn_fit_weights(xn_ctx *ctx, const xn_cube *c, double *weight, int *from)
{
    pattern p = {.bins = c->nbins};
    p.n = xn_min64(c->ny * c->nx, xn_max64(32, xn_min64(PIXELS, ENOUGH / xn_max64(c->nbins, 1))));
    from_file(c, weight);
    bool any = c->weight == NULL;
    for (int b = 0; b < c->nbins; b++) any = any || weight[b] > 0.0;
    if (!any)
        return xn_fail(ctx, XANI_ERR_INPUT, "/entry/bins/weight: no weight of %d delays is above 0: nothing to fit",
                       c->nbins);
    *from = c->weight != NULL ? XN_WEIGHTS_BINS : XN_WEIGHTS_ALIKE;
    if (c->weight != NULL && !c->errors_counting) return XANI_OK; // errors of unknown scale, or none
    return look_at_errors(ctx, c, &p, weight, from);
}
