// SPDX-License-Identifier: BSD-3-Clause
// device.h -- fits of whole tiles on graphics processors, as the engine sees them.
//
// A driver is a table of functions, as a kernel is: the one of CUDA (cuda/fit_cuda.cu) where it was built in, and in
// tests the same source on an emulated device.  A device's kernels are the single precision kernels of this folder, one
// thread a trace; plans, tiles and results mean what they mean in kernels.h.  A `lane` of a device is one stream with
// memory of its own, for one thread of the host at a time: several lanes of one device overlap copies and work.
// Functions that fail leave one line in `why` and no other trace.
#ifndef XN_KERNEL_DEVICE_H
#define XN_KERNEL_DEVICE_H

#include "kernel/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xn_device_lane xn_device_lane;

typedef struct xn_device_info {
    char name[256];
    int capability; // 90: sm_90
    int multiprocessors;
    int driver, runtime; // 13000: CUDA 13.0
    int64_t memory_bytes, cache_bytes;
    double memory_bytes_per_s, flop_per_s; // peak of the memory, of single precision; 0: not known
} xn_device_info;

typedef struct xn_device_driver {
    const char *name;
    // Devices that can be used; 0: `why` says why there are none.
    int (*count)(char *why, size_t size);
    bool (*describe)(int device, xn_device_info *info, char *why, size_t size);
    // Traces of a tile that suit the device's cache and memory when `lanes` of them work on plans like this.
    int (*tile)(int device, const xn_fit_plan *plan, int lanes, char *why, size_t size);
    // Memory for tiles of up to `traces` traces, and the plans' tables; entries of plans may be NULL.
    xn_device_lane *(*open)(int device, const xn_fit_plan *const *plans, int n_plans, int traces, char *why,
                            size_t size);
    // Fits a tile under plan number `plan` of those given to `open`, which is not gridded. Start XN_START_PERIODOGRAM
    // alone, no weights of single traces, no residuals.  `out`, `out_stride`, `n_modes`, `flags` of the tile are set to
    // the lane's memory, valid until its next tile; only slots of modes the plan allows are filled.
    bool (*fit)(xn_device_lane *lane, int plan, xn_fit_tile *tile, char *why, size_t size);
    double (*kernel_seconds)(const xn_device_lane *lane); // time its kernels took so far, copies not included
    // Bytes per second of copies of a full tile's samples to the device and of results back, alone on the bus.
    bool (*copy_rates)(xn_device_lane *lane, double *to, double *from, char *why, size_t size);
    void (*close)(xn_device_lane *lane);
} xn_device_driver;

// The driver this library was built with; NULL: none.
const xn_device_driver *xn_device_driver_built(void);

#ifdef __cplusplus
}
#endif

#endif
