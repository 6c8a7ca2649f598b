// SPDX-License-Identifier: BSD-3-Clause
// device.c -- the table of reader/device.h that this library was built with, if any.
//
// The build defines XN_HAVE_CUDA where it found a compiler for devices (cmake/cuda.cmake).
#include "reader/device.h"

#ifdef XN_HAVE_CUDA
extern const xn_device_io xn_device_io_cuda;
const xn_device_io *xn_device_io_built(void) { return &xn_device_io_cuda; }
#else
const xn_device_io *xn_device_io_built(void) { return NULL; }
#endif
