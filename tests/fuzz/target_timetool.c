// SPDX-License-Identifier: BSD-3-Clause
// target_timetool.c -- any text as a time-tool table of SACLA gives edges that are numbers, by tags, or an error with a
// text.
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "source/sacla/sacla.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static xn_ctx *ctx;
    if (ctx == NULL && xani_create(&ctx) != XANI_OK) return 0;
    char path[64];
    int fd = memfd_create("timetool", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (int column = 0; column < 3; column++) {
        xn_channel c = {.name = XN_SACLA_TOOL};
        xn_clear_error(ctx);
        xani_status st = xn_sacla_table_append(ctx, path, column, &c);
        FUZZ_HOLDS(st == XANI_OK || xani_error_text(ctx)[0] != '\0');
        for (int64_t i = 0; i < c.n; i++) FUZZ_HOLDS(c.id[i] > 0 && !isnan(c.value[i]));
        xn_channel_free(&c);
    }
    close(fd);
    return 0;
}
