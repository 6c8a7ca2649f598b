// SPDX-License-Identifier: BSD-3-Clause
// map.h -- modes of one or more runs to points, volume, path and branches.
#ifndef XN_MAP_MAP_H
#define XN_MAP_MAP_H

#include "core/config.h"
#include "data/modes.h"
#include "data/points.h"

// modes[n]: the runs in order; their angles are inside. Geometry, crystal and grid come from the configuration.
xani_status xn_map(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n, xn_dispersion *out);
// True when the configuration says enough to map (energy, geometry, orientation, crystal); else *why names the first key.
bool xn_map_possible(const xn_config *config, const char **why);

#endif
