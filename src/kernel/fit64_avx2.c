// SPDX-License-Identifier: BSD-3-Clause
// fit64_avx2.c -- the fit kernel for AVX2, double precision; all of it stands in fit_lanes.h.
//
// One shell per instruction set and precision: it only says what a lane is.  The build gives files named
// *_avx2.c and *_avx512.c their compiler flags; kernels.c chooses at run time what the processor has.
#define XN_REAL_BITS 64
#define XN_VECTOR_BYTES 32
#include "kernel/fit_lanes.h"

extern const xn_fit_kernel xn_fit_kernel_avx2_64;
XN_FIT_KERNEL(xn_fit_kernel_avx2_64, "avx2");
