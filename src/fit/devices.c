// SPDX-License-Identifier: BSD-3-Clause
// devices.c -- see devices.h.
#include "fit/devices.h"

#include <string.h>

#define LANES 16         // of a device at most: most of the time goes into gathering samples and reporting results
#define TILE_LEAST 16384 // traces, if there are as many

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

// The tile that suits all of them, the smallest; 0: device `failed` cannot be used, for the reason in `why`.
static int tile_of(const xn_fit_devices *d, const xn_fit_plan *plan, int lanes, int *failed, char *why, size_t size)
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

xani_status xn_fit_devices_share(xn_ctx *ctx, const xn_fit_devices *d, const xn_fit_plan *plan, int64_t count,
                                 int64_t most, int *threads, int *tile)
{
    char why[256];
    int failed = 0;
    const int all = (int)xn_min64(xn_max64(d->count, *threads), (int64_t)LANES * d->count);
    *tile = tile_of(d, plan, (all + d->count - 1) / d->count, &failed, why, sizeof why);
    if (*tile == 0) return xn_fit_devices_lost(ctx, d, failed, why);
    const int64_t fair = (count + all - 1) / all; // no lane should be idle
    *threads = all;
    *tile = (int)xn_min64(*tile, xn_min64(xn_max64(fair, TILE_LEAST), xn_max64(count, 1)));
    if (most > 0) *tile = (int)xn_min64(*tile, most);
    return XANI_OK;
}

xani_status xn_fit_devices_lost(xn_ctx *ctx, const xn_fit_devices *d, int number, const char *why)
{
    return xn_devices_lost(ctx, "fit", d->asked, number, why);
}
