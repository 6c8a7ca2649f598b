// SPDX-License-Identifier: BSD-3-Clause
// dark.h (reduce) -- pedestals from the frames of dark runs, one gain stage at a time.
#ifndef XN_REDUCE_DARK_H
#define XN_REDUCE_DARK_H

#include "data/dark.h"
#include "data/source.h"

// How words in a stage are told: (word & select) == state; what of them is the value.
typedef struct xn_dark_stage {
    const char *name;
    int family, plane; // stages of one family belong to one detector
    uint16_t select, state, value;
} xn_dark_stage;

enum { XN_DARK_FAMILIES = 3 };

// The stage of that name (config.def: dark.runs[].stage), NULL: none.
const xn_dark_stage *xn_dark_find(const char *name);
// Makes the planes of a family for frames as those of the source; high: with those of the high gain.
xani_status xn_dark_make(xn_ctx *ctx, int family, bool high, const xn_source *source, xn_dark *dark);
// Adds the run whose frames are in that stage.
xani_status xn_dark_add(xn_ctx *ctx, const xn_config *config, xn_source *source, const xn_dark_stage *stage,
                        xn_dark *dark);

// dark_pixels.c: stage_mask of a plane, and its bits into the mask of all. used: frames that counted, of each cell.
xani_status xn_dark_judge(xn_ctx *ctx, const xn_config *config, int plane, const int64_t *used, xn_dark *dark);

#endif
