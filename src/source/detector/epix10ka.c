// SPDX-License-Identifier: BSD-3-Clause
// epix10ka.c -- which of the seven gain ranges a pixel of an ePix10ka is in (formats.md 4.2).
//
// The pixel's configuration, bits 4 and 8 of the ASIC's pixel configuration and bit 16 for its trbit, fixes one range
// or lets the pixel switch between two, which bit 14 of its word tells:
//     bits & 28   28 FH   12 FM   8, 24 FL   16 AHL: high, low   0 AML: medium, low
// So each pixel has at most two ranges, and the kernels two planes.  Bits 4 alone do not exist.
#include <string.h>

#include "source/detector/detector.h"

enum { FH, FM, FL, AHL_H, AML_M, AHL_L, AML_L };

int xn_epix10ka_range(unsigned bits, unsigned switched)
{
    switch (bits & 28u) {
    case 28:
        return FH;
    case 12:
        return FM;
    case 8:
    case 24:
        return FL;
    case 16:
        return switched ? AHL_L : AHL_H;
    case 0:
        return switched ? AML_L : AML_M;
    default:
        return -1;
    }
}

static xani_status by_name(xn_ctx *ctx, const xn_config *config, size_t n, uint8_t *bits)
{
    static const struct {
        const char *name;
        uint8_t bits;
    } modes[] = {{"fh", 28}, {"fm", 12}, {"fl", 8}, {"ahl", 16}, {"aml", 0}};
    const char *name = xn_config_string(config, "input.calibration.ranges");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(name, modes[i].name) == 0) {
            memset(bits, modes[i].bits, n);
            return XANI_OK;
        }
    return xn_config_bad(ctx, config, "input.calibration.ranges", "%s is no range: fh, fm, fl, ahl or aml", name);
}

static xani_status from_file(xn_ctx *ctx, const xn_config *config, const xn_detector_ask *ask, const xn_source *s,
                             uint8_t *bits)
{
    static const char *const names[] = {"configuration", "/entry/calibration/configuration", "gain_configuration",
                                        NULL};
    xn_planes p;
    XN_TRY(xn_planes_open(ctx, xn_config_path(config, "input.calibration.ranges_file"), names, 0, ask, s, &p));
    size_t n = (size_t)(s->ny * s->nx);
    float *plane = xn_alloc(n, sizeof *plane);
    xani_status st = plane == NULL ? xn_fail_memory(ctx, "the configuration", n * 4) : xn_planes_read(&p, 0, 0, plane);
    for (size_t i = 0; i < n && st == XANI_OK; i++) bits[i] = plane[i] >= 0 && plane[i] < 256 ? (uint8_t)plane[i] : 4;
    xn_free(plane);
    xn_planes_close(&p);
    return st;
}

xani_status xn_epix10ka_bits(xn_ctx *ctx, const xn_config *config, const xn_detector_ask *ask, const xn_source *s,
                             uint8_t **bits)
{
    size_t n = (size_t)(s->ny * s->nx);
    *bits = xn_calloc(n, 1);
    if (*bits == NULL) return xn_fail_memory(ctx, "the configuration", n);
    if (xn_config_has(config, "input.calibration.ranges_file")) return from_file(ctx, config, ask, s, *bits);
    XN_TRY(xn_config_require(ctx, config, "input.calibration.ranges",
                             "the gain range of the pixels (fh, fm, fl, ahl, aml), or ranges_file"));
    return by_name(ctx, config, n, *bits);
}
