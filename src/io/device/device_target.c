// SPDX-License-Identifier: BSD-3-Clause
// device_target.c -- which device and which way: see device.h.
#include <stdio.h>
#include <string.h>

#include "io/device/device.h"

xani_status xn_device_target_find(xn_ctx *ctx, const xn_config *config, const xn_device_io *io, int number,
                                  const char *reader, xn_device_target *t)
{
    char why[200] = "this xani was built without CUDA";
    memset(t, 0, sizeof *t);
    const int present = io != NULL ? io->count(why, sizeof why) : 0;
    if (present == 0) return xn_fail(ctx, XANI_ERR_USAGE, "device %d: %s", number, why);
    if (number < 0 || number >= present)
        return xn_fail(ctx, XANI_ERR_USAGE, "device %d: this machine has %d, numbered from 0", number, present);
    const bool asked = reader != NULL && strcmp(reader, "cufile") == 0;
    const bool open = reader == NULL || strcmp(reader, "auto") == 0;
    if (!asked && !open && strcmp(reader, "ring") != 0)
        return xn_fail(ctx, XANI_ERR_USAGE, "reader: \"%s\" does not read into devices; \"ring\" and \"cufile\" do",
                       reader);
    t->io = io;
    t->number = number;
    if (!asked && !open) return XANI_OK;
    const xn_cufile_settings settings = xn_cufile_settings_of(config);
    const int before = io->current();
    bool works = io->use(number, why, sizeof why) && xn_cufile_works(&settings, why, sizeof why);
    char text[200];
    if (before >= 0 && before != number) (void)io->use(before, text, sizeof text);
    if (works && open && strncmp(xn_cufile_mode(), "nvidia-fs", 9) != 0) { // the ring does the same with less
        works = false;
        snprintf(why, sizeof why, "cuFile: %s", xn_cufile_mode());
    }
    t->cufile = works;
    if (works) return XANI_OK;
    memcpy(t->note, why, sizeof t->note);
    xn_log(ctx, asked ? XANI_LOG_WARNING : XANI_LOG_DEBUG, "%s; pinned ring used", why);
    return XANI_OK;
}
