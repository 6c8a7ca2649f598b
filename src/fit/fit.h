// SPDX-License-Identifier: BSD-3-Clause
// fit.h -- cube to modes: start, variable projection, order selection, errors.
#ifndef XN_FIT_FIT_H
#define XN_FIT_FIT_H

#include "core/config.h"
#include "data/cube.h"
#include "data/modes.h"

// Fits every unmasked pixel group of the cube with the settings fit.* and engine.*.
xani_status xn_fit(xn_ctx *ctx, const xn_config *config, const xn_cube *cube, xn_modes *modes);

#endif
