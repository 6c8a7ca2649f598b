// SPDX-License-Identifier: BSD-3-Clause
// side.h -- for which side a formula is compiled: the processor, or a thread of a graphics processor.
//
// Formulas of reduce (calib.h, bin.h) are one source for both.  They hold no sum of a product that a compiler could
// fuse, and only operations that IEEE 754 rounds in one way, so that both sides give the same bits.  XN_DEVICE is set
// by src/cuda before it includes them, as for the formulas of the fit (lane.h).
#ifndef XN_KERNEL_SIDE_H
#define XN_KERNEL_SIDE_H

#ifdef XN_DEVICE
#define XN_FORMULA static __device__ __forceinline__
#else
#define XN_FORMULA static inline
#endif

#endif
