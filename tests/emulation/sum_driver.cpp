// SPDX-License-Identifier: BSD-3-Clause
// sum_driver.cpp -- the sums' own source, compiled for the emulated runtime under another name.
#define XN_DEVICE_SUMS xn_device_sums_emulated
#include "cuda/sum_cuda.cu"
