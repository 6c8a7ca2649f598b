// SPDX-License-Identifier: BSD-3-Clause
// devices.c -- see devices.h.
#include "fit/devices.h"

#include <string.h>

xani_status xn_fit_devices_find(xn_ctx *ctx, const xn_config *c, const xn_device_driver *driver, int64_t traces,
                                xn_fit_devices *d)
{
    xn_devices chosen;
    memset(d, 0, sizeof *d);
    XN_TRY(xn_devices_choose(ctx, c, "fit", driver != NULL ? driver->count : NULL, traces >= XN_DEVICE_WORTH, &chosen));
    d->driver = chosen.count > 0 ? driver : NULL;
    memcpy(d->number, chosen.number, sizeof d->number);
    d->count = chosen.count;
    d->asked = chosen.asked;
    return XANI_OK;
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
    return xn_devices_lost(ctx, "fit", d->asked, number, why);
}
