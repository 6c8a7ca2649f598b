// SPDX-License-Identifier: BSD-3-Clause
// reduce_kernels.h -- the row kernels of reduce and the table they are chosen from at run time.
//
// One source (reduce_body.h) is compiled for each instruction set; all variants give the same bits.
#ifndef XN_KERNEL_REDUCE_KERNELS_H
#define XN_KERNEL_REDUCE_KERNELS_H

#include "core/core.h"
#include "core/type.h"
#include "kernel/calib.h"

typedef struct xn_reduce_kernels {
    const char *name;
    // Adds n calibrated pixels to col. pedestal and factor: per gain stage, already at the row's first pixel.
    // Returns true when a pixel had no valid number (it was added as XN_CALIB_BAD).
    bool (*jungfrau)(const uint16_t *words, const float *const pedestal[3], const float *const factor[3], int64_t n,
                     int32_t threshold, int32_t *col);
    // Sets col to the sum of at most XN_CALIB_ROWS rows; words and planes of the next row lie word_next and next
    // behind.
    bool (*jungfrau_rows)(const uint16_t *words, int64_t word_next, const float *const pedestal[3],
                          const float *const factor[3], int64_t next, int rows, int64_t n, int32_t threshold,
                          int32_t *col);
    // The same where all pixels are fixed in the gain stage of that code.
    bool (*fixed_gain)(const uint16_t *words, unsigned code, const float *pedestal, const float *factor, int64_t n,
                       int32_t threshold, int32_t *col);
    bool (*epix10ka)(const uint16_t *words, const float *const pedestal[2], const float *const factor[2], int64_t n,
                     int32_t threshold, int32_t *col);
    // (value - pedestal) * factor of stored numbers of any type; full: INFINITY for none.
    bool (*linear)(const void *values, xn_type type, const float *pedestal, const float *factor, double full, int64_t n,
                   int32_t threshold, int32_t *col);
    // The same without a pedestal: value * factor, factor 0 = masked.
    bool (*scale)(const void *values, xn_type type, const float *factor, int64_t n, int32_t threshold, int32_t *col);
    // As jungfrau_rows.
    bool (*scale_rows)(const void *values, int64_t value_next, xn_type type, const float *factor, int64_t next,
                       int rows, int64_t n, int32_t threshold, int32_t *col);
    // The same of pixels that are photons in fixed point already.
    bool (*add)(const int32_t *q, int64_t n, int32_t threshold, int32_t *col);
    // v[g] += sum of the k columns of group g.
    void (*gather)(const int32_t *col, int k, int64_t groups, int64_t *v);
    // Adds one shot to a row of sums (bin.h); peak keeps the largest |v|. Returns the sum of v.
    int64_t (*bin)(const int64_t *v, int64_t groups, int32_t i0q, int shift, int64_t *s1, int64_t *s2, int64_t *x,
                   int64_t *peak);
} xn_reduce_kernels;

extern const xn_reduce_kernels xn_reduce_scalar, xn_reduce_avx2, xn_reduce_avx512;

// name: auto, scalar, avx2 or avx512 (engine.kernels); NULL when this processor lacks it.
const xn_reduce_kernels *xn_reduce_kernels_find(const char *name);
// True for the types `scale` takes.
bool xn_reduce_type_known(xn_type type);

#endif
