// SPDX-License-Identifier: BSD-3-Clause
// frame_double.c -- the wide pixels between the chips of a JUNGFRAU, brought to the area of the others.
//
// Two chips lie 2 pixels apart; the pixels at their edges reach over the gap and have twice the area, those in corners
// four times (formats.md 4.1).  Between the last normal pixel, v1, and the wide one beyond the gap, v3 (twice the
// intensity), a linear profile puts  (4 v1 + v3) / (6 v1 + 3 v3)  of the wide pixel's charge into its own place and
// the rest into the gap, which has no pixel here.  Without two positive neighbours the share is a half; corners
// get a quarter.  Calibrated values only: pedestals are not shared.
#include "kernel/frame.h"

// Whether position i of n, in chips of `chip`, has a chip beside it: 1 before, 2 behind.
static unsigned edge(int64_t i, int64_t n, int64_t chip)
{
    return (i % chip == 0 && i > 0 ? 1u : 0) | (i % chip == chip - 1 && i + 1 < n ? 2u : 0);
}

unsigned xn_frame_wide(int64_t y, int64_t x, int64_t ny, int64_t nx, int64_t chip_ny, int64_t chip_nx)
{
    return (edge(x, nx, chip_nx) != 0 ? 1u : 0) | (edge(y, ny, chip_ny) != 0 ? 2u : 0);
}

// inner: v1, outer: v3
static int32_t own_share(int32_t q, int32_t inner, int32_t outer)
{
    if (q == XN_CALIB_BAD) return q;
    bool known = inner > 0 && inner != XN_CALIB_BAD && outer > 0 && outer != XN_CALIB_BAD;
    double share = known ? (4.0 * inner + outer) / (6.0 * inner + 3.0 * outer) : 0.5;
    return (int32_t)rint(q * share);
}

static int32_t value(const int32_t *q, const uint32_t *mask, int64_t i) { return mask[i] != 0 ? 0 : q[i]; }

// The two wide lines at offsets 0 and `step` share nothing but look at each other: both are read before they change.
static void pair(int32_t *q, const uint32_t *mask, int64_t i, int64_t step)
{
    int32_t before = value(q, mask, i), behind = value(q, mask, i + step);
    int32_t first = own_share(q[i], value(q, mask, i - step), behind);
    q[i + step] = own_share(q[i + step], value(q, mask, i + 2 * step), before);
    q[i] = first;
}

void xn_frame_double_pixels(int32_t *q, const uint32_t *mask, int64_t ny, int64_t nx, int64_t chip_ny, int64_t chip_nx)
{
    for (int64_t x = chip_nx - 1; x + 1 < nx; x += chip_nx) // gaps between columns, corners left out
        for (int64_t y = 0; y < ny; y++)
            if (edge(y, ny, chip_ny) == 0) pair(q, mask, y * nx + x, 1);
    for (int64_t y = chip_ny - 1; y + 1 < ny; y += chip_ny)
        for (int64_t x = 0; x < nx; x++)
            if (edge(x, nx, chip_nx) == 0) pair(q, mask, y * nx + x, nx);
    for (int64_t y = chip_ny - 1; y + 1 < ny; y += chip_ny)
        for (int64_t x = chip_nx - 1; x + 1 < nx; x += chip_nx) {
            int64_t corner[] = {y * nx + x, y * nx + x + 1, (y + 1) * nx + x, (y + 1) * nx + x + 1};
            for (int k = 0; k < 4; k++)
                if (q[corner[k]] != XN_CALIB_BAD) q[corner[k]] = (int32_t)rint(q[corner[k]] * 0.25);
        }
}
