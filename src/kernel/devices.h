// SPDX-License-Identifier: BSD-3-Clause
// devices.h -- which graphics processors a stage may use: engine.device and engine.devices.
//
// `cpu`: none.  `cuda`: those listed, else all; where there is none, an error that says why.  `auto`: the same where
// there are any and the work is large enough to repay their start-up, else the processor without a word above debug
// level.
#ifndef XN_KERNEL_DEVICES_H
#define XN_KERNEL_DEVICES_H

#include "core/config.h"

#define XN_DEVICES_MOST 64

typedef struct xn_devices {
    int number[XN_DEVICES_MOST], count; // 0: the processor alone
    bool asked;                         // by name: a failure is an error; else the processor goes on
} xn_devices;

// count: devices of the machine, or 0 and why; NULL: this library was built without. stage: for messages.
xani_status xn_devices_choose(xn_ctx *ctx, const xn_config *config, const char *stage,
                              int (*count)(char *why, size_t size), bool worth, xn_devices *devices);
// A device that fails takes no more work: asked for by name, an error; else a warning, and the processor goes on.
xani_status xn_devices_lost(xn_ctx *ctx, const char *stage, bool asked, int number, const char *why);

#endif
