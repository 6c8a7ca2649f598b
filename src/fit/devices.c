// SPDX-License-Identifier: BSD-3-Clause
// devices.c -- see devices.h.
#include "fit/devices.h"

#include <string.h>

static xani_status read_numbers(xn_ctx *ctx, const xn_config *c, int present, xn_fit_devices *d)
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

xani_status xn_fit_devices_find(xn_ctx *ctx, const xn_config *c, const xn_device_driver *driver, int64_t traces,
                                xn_fit_devices *d)
{
    const char *device = xn_config_string(c, "engine.device");
    char why[256] = "this xani was built without CUDA";
    memset(d, 0, sizeof *d);
    d->asked = strcmp(device, "cuda") == 0;
    if (strcmp(device, "cpu") == 0 || (!d->asked && traces < XN_DEVICE_WORTH)) return XANI_OK;
    const int present = driver != NULL ? driver->count(why, sizeof why) : 0;
    if (present == 0 && d->asked) return xn_config_bad(ctx, c, "engine.device", "cuda: %s", why);
    if (present == 0) {
        xn_log(ctx, XANI_LOG_DEBUG, "fit: on the processor, %s", why);
        return XANI_OK;
    }
    d->driver = driver;
    return read_numbers(ctx, c, present, d);
}

int xn_fit_devices_tile(const xn_fit_devices *d, const xn_fit_plan *plan, int lanes, int *failed, char *why,
                        size_t size)
{
    int tile = 0;
    for (int i = 0; i < d->count; i++) {
        const int own = d->driver->tile(d->number[i], plan, lanes, why, size);
        *failed = d->number[i];
        if (own <= 0) return 0;
        tile = i == 0 || own < tile ? own : tile;
    }
    return tile;
}

xani_status xn_fit_devices_lost(xn_ctx *ctx, const xn_fit_devices *d, int number, const char *why)
{
    if (d->asked) return xn_fail(ctx, XANI_ERR_CONFIG, "engine.device: cuda: device %d: %s", number, why);
    xn_warn(ctx, "fit: device %d: %s; the processor goes on", number, why);
    return XANI_OK;
}
