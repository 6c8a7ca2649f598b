// SPDX-License-Identifier: BSD-3-Clause
// target_geometry.c -- any text, as CrystFEL's or psana's file, is a geometry of panels that are in order, or an error
// with a text.
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "physics/panel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static xn_ctx *ctx;
    if (ctx == NULL && xani_create(&ctx) != XANI_OK) return 0;
    char path[64];
    xn_panels panels = {0};
    int fd = memfd_create("geometry", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    xn_clear_error(ctx);
    const xn_geometry_options o = {.distance_m = n % 2 ? NAN : 0.1, .pixel_mm = NAN, .anywhere = n % 4 > 1};
    xani_status st = n % 8 < 5 ? xn_panels_crystfel(ctx, path, &o, &panels) : xn_panels_psana(ctx, path, &o, &panels);
    (void)xn_geometry_kind(ctx, path, NULL);
    FUZZ_HOLDS(st == XANI_OK || xani_error_text(ctx)[0] != '\0');
    for (int i = 0; st == XANI_OK && i < panels.n; i++) {
        const xn_panel *p = &panels.panel[i];
        FUZZ_HOLDS(p->min_fs <= p->max_fs && p->min_ss <= p->max_ss && p->min_fs >= 0 && p->min_ss >= 0);
        FUZZ_HOLDS(memchr(p->name, '\0', sizeof p->name) != NULL);
    }
    if (st == XANI_OK) xn_panels_free(&panels);
    close(fd);
    return 0;
}
