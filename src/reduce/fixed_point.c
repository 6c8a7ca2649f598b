// SPDX-License-Identifier: BSD-3-Clause
// fixed_point.c -- I0 in fixed point (data/cube.h): its unit, and the largest intensity that the sums take.
//
// I0 is first rounded to 17 significant bits, 4e-6 of itself at most and far below any monitor's noise: a rule that
// looks at one shot only, so that cubes of other shots can be brought to a common scale exactly.  The scale is the
// finest power of two at which the largest used I0 is below 2^31 and M2 of each class below 2^62.  It follows from the
// readings of the used shots alone, and more shots never make it finer.
//
// S2 of n shots is at most n w^2: `bound` is the w at which it would leave 63 bits in the largest class.  X is at most
// sqrt(S2 M2) and fits then.
//
// What is small beside the largest I0 has fewer bits.  That does not matter as long as the usual shots keep theirs: an
// error of 2^-17 of a usual shot.  One shot whose I0 is ten thousand times the others' (a glitch, a value that stands
// for "none") would take them from all bins: refused.
#include <math.h>
#include <stdlib.h>

#include "kernel/bin.h"
#include "reduce/internal.h"
#include "reduce/windows.h"

#define SIGNIFICANT 17
#define LARGEST_BITS 31
#define SQUARES 0x1p62
#define LEAST_EXPONENT (-900) // of the largest I0: its scale is a number
#define COARSE_BITS 10        // fewer are worth a warning ...
#define COARSE_SHARE 0.05     // ... in so many of the shots

double xn_i0_rounded(double i0)
{
    int exponent;
    double part = frexp(i0, &exponent); // 0.5 <= part < 1
    return ldexp(rint(ldexp(part, SIGNIFICANT)), exponent - SIGNIFICANT);
}

int32_t xn_i0_fixed(double i0, double scale) { return (int32_t)rint(xn_i0_rounded(i0) * scale); }

static bool used(const xn_shots *s, int64_t i) { return s->verdict[i] == XN_CUT_NONE; }

// The shot with the largest I0; -1: none is used.
static int64_t largest_of(const xn_shots *s)
{
    int64_t at = -1;
    for (int64_t i = 0; i < s->n; i++)
        if (used(s, i) && (at < 0 || s->i0[i] > s->i0[at])) at = i;
    return at;
}

static xani_status refuse(xn_ctx *ctx, const xn_shots *s, int64_t largest)
{
    int64_t n = 0;
    double *sorted = xn_alloc((size_t)s->n, sizeof *sorted);
    if (sorted == NULL) return xn_fail_memory(ctx, "I0", (size_t)s->n * sizeof *sorted);
    for (int64_t i = 0; i < s->n; i++)
        if (used(s, i)) sorted[n++] = s->i0[i];
    qsort(sorted, (size_t)n, sizeof *sorted, xn_double_compare);
    const double median = xn_quantile(sorted, n, 0.5);
    xn_free(sorted);
    return xn_fail(ctx, XANI_ERR_INPUT,
                   "shot %llu has an I0 of %g, %.2g times the median of the used shots; theirs would be rounded away "
                   "beside it: cut what is no I0 (select.i0: max, percentile or mad)",
                   (unsigned long long)s->pulse_id[largest], s->i0[largest], s->i0[largest] / median);
}

static xani_status check_bits(xn_ctx *ctx, const xn_shots *s, int64_t largest, double scale)
{
    int64_t n = 0, short_of = 0, coarse = 0;
    for (int64_t i = 0; i < s->n; i++) {
        if (!used(s, i)) continue;
        const int32_t q = xn_i0_fixed(s->i0[i], scale);
        n++;
        short_of += q < 1 << (SIGNIFICANT - 1);
        coarse += q < 1 << (COARSE_BITS - 1);
    }
    if (10 * short_of > 9 * (n - 1)) return refuse(ctx, s, largest);
    if ((double)coarse > COARSE_SHARE * (double)n)
        xn_warn(ctx,
                "the I0 of %lld of %lld used shots is so small beside the largest, %g, that it keeps fewer than %d "
                "bits; is it in one unit in all files? select.i0.min cuts such shots",
                (long long)coarse, (long long)n, s->i0[largest], COARSE_BITS);
    return XANI_OK;
}

xani_status xn_fixed_point_of(xn_ctx *ctx, const xn_shots *s, int nbins, int k, xn_fixed_point *fixed)
{
    const size_t classes = (size_t)nbins + 1; // last: laser off
    const int64_t largest = largest_of(s);
    int64_t most = 1, *count = xn_calloc(classes, sizeof *count);
    double *squares = xn_calloc(classes, sizeof *squares), greatest = 0;
    int exponent = LEAST_EXPONENT;
    if (count == NULL || squares == NULL) {
        xn_free(count);
        xn_free(squares);
        return xn_fail_memory(ctx, "the sizes of the bins", classes * 16);
    }
    if (largest >= 0) (void)frexp(xn_i0_rounded(s->i0[largest]), &exponent); // I0 < 2^exponent
    double scale = ldexp(1.0, LARGEST_BITS - (exponent > LEAST_EXPONENT ? exponent : LEAST_EXPONENT));
    for (int64_t i = 0; i < s->n; i++) {
        if (!used(s, i)) continue;
        const int64_t class = s->bin[i] < 0 ? nbins : s->bin[i];
        const double q = xn_i0_fixed(s->i0[i], scale);
        most = xn_max64(most, ++count[class]);
        greatest = fmax(greatest, squares[class] += q * q);
    }
    xn_free(count);
    xn_free(squares);
    while (greatest > SQUARES) { // of integers: halved, their squares are a quarter
        scale *= 0.5;
        greatest *= 0.25;
    }
    *fixed = (xn_fixed_point){scale, (int64_t)fmin(floor(sqrt(0x1.fffffffffffffp62 / (double)most)), 2147483646.0) *
                                         (1 << xn_bin_shift(k))};
    return largest >= 0 ? check_bits(ctx, s, largest, scale) : XANI_OK;
}
