// SPDX-License-Identifier: BSD-3-Clause
// devices.c -- see devices.h.
#include "kernel/devices.h"

#include <string.h>

static xani_status read_numbers(xn_ctx *ctx, const xn_config *c, int present, xn_devices *d)
{
    char key[XN_KEY_LENGTH];
    const int n = xn_config_count(c, "engine.devices");
    if (n > XN_DEVICES_MOST)
        return xn_config_bad(ctx, c, "engine.devices", "%d devices are more than the %d that can be used", n,
                             XN_DEVICES_MOST);
    for (int i = 0; i < n; i++) {
        const int number = (int)xn_config_int(c, xn_key(key, "engine.devices[%d]", i));
        if (number >= present)
            return xn_config_bad(ctx, c, "engine.devices", "%d is not a device of this machine, which has %d: 0 to %d",
                                 number, present, present - 1);
        for (int j = 0; j < i; j++)
            if (d->number[j] == number) return xn_config_bad(ctx, c, "engine.devices", "%d is listed twice", number);
        d->number[i] = number;
    }
    d->count = n;
    for (int i = 0; n == 0 && i < present && i < XN_DEVICES_MOST; i++) d->number[d->count++] = i;
    return XANI_OK;
}

xani_status xn_devices_choose(xn_ctx *ctx, const xn_config *c, const char *stage, int (*count)(char *, size_t),
                              bool worth, xn_devices *d)
{
    const char *device = xn_config_string(c, "engine.device");
    char why[256] = "this xani was built without CUDA";
    memset(d, 0, sizeof *d);
    d->asked = strcmp(device, "cuda") == 0;
    if (strcmp(device, "cpu") == 0 || (!d->asked && !worth)) return XANI_OK;
    const int present = count != NULL ? count(why, sizeof why) : 0;
    if (present == 0 && d->asked) return xn_config_bad(ctx, c, "engine.device", "cuda: %s", why);
    if (present == 0) {
        xn_log(ctx, XANI_LOG_DEBUG, "%s: on the processor, %s", stage, why);
        return XANI_OK;
    }
    return read_numbers(ctx, c, present, d);
}

xani_status xn_devices_lost(xn_ctx *ctx, const char *stage, bool asked, int number, const char *why)
{
    if (asked) return xn_fail(ctx, XANI_ERR_CONFIG, "engine.device: cuda: device %d: %s", number, why);
    xn_warn(ctx, "%s: device %d: %s; the processor goes on", stage, number, why);
    return XANI_OK;
}
