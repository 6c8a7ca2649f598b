// SPDX-License-Identifier: BSD-3-Clause
// devices.h -- which graphics processors a fit may use: engine.device and engine.devices.
//
// kernel/devices.h says what they mean; here stands how large a fit must be, and what its driver makes of the devices.
#ifndef XN_FIT_DEVICES_H
#define XN_FIT_DEVICES_H

#include "kernel/device.h"
#include "kernel/devices.h"

#define XN_DEVICE_WORTH 65536 // traces from which `auto` looks for a device: the processor fits them in about 0.1 s

typedef struct xn_fit_devices {
    const xn_device_driver *driver; // NULL: the processor alone
    int number[XN_DEVICES_MOST], count;
    bool asked; // by name: a failure is an error; else the processor goes on
} xn_fit_devices;

// From the configuration, for a fit of so many traces, with the driver built in (or NULL).
xani_status xn_fit_devices_find(xn_ctx *ctx, const xn_config *config, const xn_device_driver *driver, int64_t traces,
                                xn_fit_devices *devices);
// The tile that suits all of them, the smallest; 0: device `failed` cannot be used, for the reason in `why`.
int xn_fit_devices_tile(const xn_fit_devices *devices, const xn_fit_plan *plan, int lanes, int *failed, char *why,
                        size_t size);

// A device that fails takes no more tiles: asked for by name, an error; else a warning, and the processor goes on.
xani_status xn_fit_devices_lost(xn_ctx *ctx, const xn_fit_devices *devices, int number, const char *why);

#endif
