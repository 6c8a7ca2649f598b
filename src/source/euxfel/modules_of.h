// SPDX-License-Identifier: BSD-3-Clause
// modules_of.h -- which sources are the modules of a detector; private to detector.c and modules_of.c.
#ifndef XN_SOURCE_EUXFEL_MODULES_OF_H
#define XN_SOURCE_EUXFEL_MODULES_OF_H

#include "source/euxfel/euxfel.h"

typedef enum { XN_XF_BY_PULSE, XN_XF_BY_CELL, XN_XF_BY_ORDER } xn_xf_ids; // in the order of input.pulses.ids

// Name, number, frames of d's modules, in the order of their numbers; absent ones included.
xani_status xn_xf_modules_of(xn_ctx *ctx, const xn_config *config, const xn_xf_run *run, const char *name,
                             xn_xf_detector *d);
// "DEVICE:CHANNEL/GROUP" of a module's frames.
void xn_xf_group_of(const char *name, const char *frames, char group[XN_KEY_LENGTH]);
// The file's list names the group, or the source without it.
bool xn_xf_file_holds(const xn_xf_file *file, const char *name, const char *group);

#endif
