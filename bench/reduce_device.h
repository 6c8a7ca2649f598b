// SPDX-License-Identifier: BSD-3-Clause
// reduce_device.h -- the part of the benchmark of reduce that needs a device.
#ifndef XN_BENCH_REDUCE_DEVICE_H
#define XN_BENCH_REDUCE_DEVICE_H

#include "bench/bench.h"
#include "reduce/device.h"

// The cases of `xani bench reduce` on device 0, beside the processor, the device's memory and the bus. aloud: where
// there is no device, one line says why.
xani_status xn_reduce_bench_device(const xn_bench *bench, const xn_sum_tables *tables, bool aloud);

#endif
