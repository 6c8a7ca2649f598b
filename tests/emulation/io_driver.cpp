// SPDX-License-Identifier: BSD-3-Clause
// io_driver.cpp -- the table of reader/device.h on CUDA, its own source, compiled for the emulated runtime.
#define XN_DEVICE_IO xn_device_io_emulated
#include "cuda/io_cuda.cu"
