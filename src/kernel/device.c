// SPDX-License-Identifier: BSD-3-Clause
// device.c -- the driver for graphics processors, and the sums on them, that this library was built with, if any.
//
// The build defines XN_HAVE_CUDA where it found a compiler for devices (cmake/cuda.cmake); nothing else in the C source
// knows of one.
#include "kernel/device.h"
#include "kernel/sum_device.h"

#ifdef XN_HAVE_CUDA
extern const xn_device_driver xn_device_cuda;
extern const xn_device_sums xn_device_sums_cuda;
const xn_device_driver *xn_device_driver_built(void) { return &xn_device_cuda; }
const xn_device_sums *xn_device_sums_built(void) { return &xn_device_sums_cuda; }
#else
const xn_device_driver *xn_device_driver_built(void) { return NULL; }
const xn_device_sums *xn_device_sums_built(void) { return NULL; }
#endif
