// SPDX-License-Identifier: BSD-3-Clause
// emulation.h -- what tests ask of the emulated devices, beside the driver itself.
#ifndef XN_EMULATION_H
#define XN_EMULATION_H

#include "kernel/device.h"
#include "kernel/sum_device.h"
#include "reader/device.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const xn_device_driver xn_device_emulated;    // src/cuda/fit_cuda.cu on the emulated runtime
extern const xn_device_io xn_device_io_emulated;     // src/cuda/io_cuda.cu on it
extern const xn_device_sums xn_device_sums_emulated; // src/cuda/sum_cuda.cu on it

typedef struct xn_emulation {
    int devices;         // there are; 0: none
    int driver;          // its version; 0: none
    size_t memory;       // of each device in bytes
    int cache;           // in bytes
    int block_memory;    // of a block at most, in bytes
    long fail_at;        // this call of the runtime fails, counted from 1; 0: none
    long calls;          // made so far
    long launches;       // of kernels
    long alive;          // pieces of memory, streams and events not given back
    long launches_on[8]; // by device
} xn_emulation;

extern xn_emulation xn_emulated;
void xn_emulation_reset(void); // two devices, all counters at zero

// A trace of one mode as number `at` of a tile of `room`, most of which is only reserved; XN_OUT_SLOTS results. False:
// no mode was found, or memory could not be reserved.
bool xn_emulated_one(const xn_fit_plan *plan, const float *y, int room, int at, float *out);

#ifdef __cplusplus
}
#endif
#endif
