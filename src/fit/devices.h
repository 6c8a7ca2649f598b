// SPDX-License-Identifier: BSD-3-Clause
// devices.h -- which graphics processors a fit may use: engine.device and engine.devices.
//
// kernel/devices.h says what they mean; here stands how large a fit must be, and what its driver makes of the devices.
#ifndef XN_FIT_DEVICES_H
#define XN_FIT_DEVICES_H

#include "kernel/device.h"
#include "kernel/devices.h"

#define XN_DEVICE_WORTH                                                                                                \
    1000000 // traces from which `auto` looks for a device, whose context alone takes a good part of a second

typedef struct xn_fit_devices {
    const xn_device_driver *driver; // NULL: the processor alone
    int number[XN_DEVICES_MOST], count;
    bool asked; // by name: a failure is an error; else the processor goes on
} xn_fit_devices;

// From the configuration, for a fit of so many traces, with the driver built in (or NULL).
xani_status xn_fit_devices_find(xn_ctx *ctx, const xn_config *config, const xn_device_driver *driver, int64_t traces,
                                xn_fit_devices *devices);
// How a fit of `count` traces is shared: *threads of the host (in: those there are), each with a lane of its own, and
// the traces of a tile, at most `most` unless that is 0. *tile 0: a device cannot be used, and the processor goes on.
xani_status xn_fit_devices_share(xn_ctx *ctx, const xn_fit_devices *devices, const xn_fit_plan *plan, int64_t count,
                                 int64_t most, int *threads, int *tile);

// A device that fails takes no more tiles: asked for by name, an error; else a warning, and the processor goes on.
xani_status xn_fit_devices_lost(xn_ctx *ctx, const xn_fit_devices *devices, int number, const char *why);

#endif
