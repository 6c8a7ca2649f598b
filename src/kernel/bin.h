// SPDX-License-Identifier: BSD-3-Clause
// bin.h -- adding one shot of one pixel group to the sums of its delay bin.
//
// v is the group's intensity in 2^-16 photons, i0q the shot's I0 in its own fixed point (data/cube.h):
//   S1 += v,   S2 += w^2,   X += w i0q,   w = v / 2^shift rounded, in 32 bits,
// with a shift of 8 for groups of one pixel and of one more for each doubling of their side k: w is rounded to the same
// fraction of a pixel's noise whatever k is, and holds groups of k^2 pixels.
// Additions are modulo 2^64 and never undefined; the largest |v| of each group is kept, so that the caller can drop the
// groups whose sums may have left 63 bits, whatever the number of shots turns out to be.
#ifndef XN_KERNEL_BIN_H
#define XN_KERNEL_BIN_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/side.h"

// 8 + log2 k rounded down; of k up to 1024 a group of full pixels fits w.
XN_FORMULA int xn_bin_shift(int k)
{
    int shift = 8;
    for (; k > 1; k /= 2) shift++;
    return shift;
}

// Rounding shift. The logical shift has the same low 32 bits as the arithmetic one, and AVX2 knows it.
XN_FORMULA int32_t xn_bin_half(int64_t v, int shift)
{
    return (int32_t)(uint32_t)(((uint64_t)v + ((uint64_t)1 << (shift - 1))) >> shift);
}

XN_FORMULA int64_t xn_bin_peak(int64_t v, int64_t peak)
{
    int64_t size = v < 0 ? -v : v;
    return size > peak ? size : peak;
}

XN_FORMULA void xn_bin_add(int64_t v, int32_t i0q, int shift, int64_t *s1, int64_t *s2, int64_t *x)
{
    int32_t w = xn_bin_half(v, shift);
    *s1 = (int64_t)((uint64_t)*s1 + (uint64_t)v);
    *s2 = (int64_t)((uint64_t)*s2 + (uint64_t)((int64_t)w * w));
    *x = (int64_t)((uint64_t)*x + (uint64_t)((int64_t)w * i0q));
}

#endif
