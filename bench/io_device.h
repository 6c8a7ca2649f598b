// SPDX-License-Identifier: BSD-3-Clause
// io_device.h -- the part of the I/O benchmark that needs a device.
#ifndef XN_BENCH_IO_DEVICE_H
#define XN_BENCH_IO_DEVICE_H

#include "bench/bench.h"
#include "reader/device.h"

// All ways of reading files of the benchmark into memory of device 0 of `io`, beside the bus, the device's memory and
// the same read into that of the host. aloud: where there is no device, one line says why.
xani_status xn_io_bench_device(const xn_bench *bench, const xn_device_io *io, bool aloud);

#endif
