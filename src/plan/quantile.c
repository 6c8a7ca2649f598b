// SPDX-License-Identifier: BSD-3-Clause
// quantile.c -- the medians and best tenths of the plan, all by one rule: a number that is there, none between two.
#include <math.h>
#include <stdlib.h>

#include "plan/plan.h"

double xn_plan_quantile(double *v, int64_t n, double share)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(v[i])) v[k++] = v[i];
    if (k == 0) return NAN;
    qsort(v, (size_t)k, sizeof *v, xn_double_compare);
    return v[(int64_t)(share * (double)(k - 1) + 0.5)];
}

double xn_plan_median(double *v, int64_t n) { return xn_plan_quantile(v, n, 0.5); }
