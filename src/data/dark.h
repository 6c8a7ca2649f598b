// SPDX-License-Identifier: BSD-3-Clause
// dark.h -- what dark runs tell of a detector: pedestals, noise and bad pixels of each gain stage (xani dark).
#ifndef XN_DATA_DARK_H
#define XN_DATA_DARK_H

#include "core/core.h"

typedef struct xn_dark {
    int n_stages; // planes, in the order of the files of constants (formats.md 4)
    int64_t cells, ny, nx;
    const char *const *stage; // (n_stages) names, static
    float *pedestal, *rms;    // (stage, cell, y, x), stored units; NaN where no frame counted
    int32_t *count;           // (stage, cell, y, x) frames behind each
    uint32_t *stage_mask;     // (stage, y, x) NXmx bits, 0 = good
    uint32_t *mask;           // (y, x) of all stages that were measured
    int64_t *used, *rejected; // (stage) frames
    int n_modules;
    int64_t *module_rows;
} xn_dark;

void xn_dark_free(xn_dark *dark);

#endif
