// SPDX-License-Identifier: BSD-3-Clause
// reweight.c -- see reweight.h.  Plain double: some microseconds for a trace, on traces that are fitted twice anyway.
#include "fit/reweight.h"

#include <math.h>

#define MAD_SIGMA 1.4826 // standard deviation over the median of |r|, normal noise
#define HUBER 1.345
#define TUKEY 4.685
#define LEAST_MU 0.1    // of the mean: model values near zero counts must not carry the whole fit
#define LEAST_SLOPE 0.2 // mean psi' below this: there is no core of the residual to hold on to

static bool here(const xn_reweight_trace *t, int i)
{
    return t->scale2[i] > 0.0 && t->weight[i * t->stride] > 0.0F && isfinite(t->y[i * t->y_stride]);
}

// The middle of x (Hoare's selection); x is put out of order.
static double median(double *x, int n)
{
    const int middle = n / 2;
    for (int lo = 0, hi = n - 1; lo < hi;) {
        const double pivot = x[middle];
        int i = lo, j = hi;
        while (i <= j) {
            while (x[i] < pivot) i++;
            while (x[j] > pivot) j--;
            if (i > j) break;
            const double swap = x[i];
            x[i++] = x[j];
            x[j--] = swap;
        }
        if (j < middle) lo = i;
        if (i > middle) hi = j;
    }
    return x[middle];
}

double xn_reweight_mean(const xn_reweight_rule *rule, const xn_reweight_trace *t)
{
    double sum = 0.0;
    int n = 0;
    for (int i = 0; i < t->n; i++)
        if (here(t, i)) sum += t->y[i * t->y_stride] + rule->zero, n++;
    return n > 0 ? sum / n : 0.0;
}

// Variances of the samples that are there, up to the weights of the first fit. False: not counts.
static bool variances(const xn_reweight_rule *rule, const xn_reweight_trace *t, double *variance)
{
    const double least = LEAST_MU * xn_reweight_mean(rule, t);
    if (rule->counting && !(least > 0.0)) return false;
    for (int i = 0; i < t->n; i++) {
        variance[i] = 1.0;
        if (!rule->counting || !here(t, i)) continue;
        const double root = sqrt(t->scale2[i] * (double)t->weight[i * t->stride]);
        variance[i] = fmax(t->y[i * t->y_stride] - t->rest[i * t->stride] / root + rule->zero, least);
    }
    return true;
}

static double robust_weight(int kind, double u)
{
    const double x = fabs(u);
    if (kind == XN_ROBUST_HUBER) return x <= HUBER ? 1.0 : HUBER / x;
    const double v = u / TUKEY, rest = 1.0 - v * v;
    return x < TUKEY ? rest * rest : 0.0;
}

// psi'(u)
static double robust_slope(int kind, double u)
{
    const double x = fabs(u);
    if (kind == XN_ROBUST_HUBER) return x <= HUBER ? 1.0 : 0.0;
    const double v = u / TUKEY, rest = 1.0 - v * v;
    return x < TUKEY ? rest * (1.0 - 5.0 * v * v) : 0.0;
}

// Robust weights of the n residuals u; false: they have no scale, or the weights no sense.
static bool robust(int kind, int n, double *u, double *work, double *inflate)
{
    double psi2 = 0.0, slope = 0.0, weight = 0.0, weighted = 0.0;
    int kept = 0;
    for (int i = 0; i < n; i++) work[i] = fabs(u[i]);
    const double scale = n > 0 ? MAD_SIGMA * median(work, n) : 0.0;
    if (!(scale > 0.0)) return false;
    for (int i = 0; i < n; i++) {
        const double x = u[i] / scale, w = robust_weight(kind, x);
        psi2 += w * x * w * x;
        slope += robust_slope(kind, x);
        weight += w;
        weighted += w * x * x;
        kept += w > 0.0;
        u[i] = w;
    }
    if (!(slope > LEAST_SLOPE * n)) return false;
    // over the samples kept, as the fit will count them
    *inflate = psi2 * n / (slope * slope) * (weight / n) / (weighted / kept);
    return true;
}

bool xn_reweight(const xn_reweight_rule *rule, xn_reweight_trace *t)
{
    double *variance = t->work, *u = t->work + t->n, *work = t->work + 2 * (size_t)t->n, sum = 0.0;
    int n = 0;
    t->inflate = t->unit = 1.0;
    if (!variances(rule, t, variance)) return false;
    for (int i = 0; i < t->n; i++) {
        if (!here(t, i)) continue;
        u[n++] = t->rest[i * t->stride] / sqrt(variance[i]);
        sum += (double)t->weight[i * t->stride] / variance[i];
    }
    const bool held = rule->robust != XN_ROBUST_NONE && robust(rule->robust, n, u, work, &t->inflate);
    if (n == 0 || (!held && !rule->counting)) return false;
    if (rule->counting) t->unit = sum / n;
    for (int i = 0, k = 0; i < t->n; i++) {
        float *w = &t->weight[i * t->stride];
        if (!here(t, i)) {
            *w = 0.0F;
            continue;
        }
        *w = (float)((double)*w / variance[i] / t->unit * (held ? u[k] : 1.0));
        k++;
    }
    return true;
}
