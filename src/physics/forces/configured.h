// SPDX-License-Identifier: BSD-3-Clause
// configured.h -- the force constants that a configuration names, and how they change when the laser hits.
#ifndef XN_PHYSICS_FORCES_CONFIGURED_H
#define XN_PHYSICS_FORCES_CONFIGURED_H

#include "core/config.h"
#include "physics/forces/forces.h"

// The file that a key names, from the configuration's folder; the name as it is where it is that of a shipped table,
// which has neither a folder nor an ending. NULL: out of memory.
char *xn_forces_path(const xn_config *config, const char *key);

// map.force_constants.file, a file or the name of a shipped table; without it the shipped table of the lattice's only
// element, where there is one.  table (may be NULL): that of a Born-von Karman crystal, else left empty.
// *found false, and nothing else, where no constants are known.
xani_status xn_forces_configured(xn_ctx *ctx, const xn_config *config, const xn_lattice *l, xn_crystal *table,
                                 xn_forces *f, bool *found);

// Constants `after` from those before by a list {shell, element, factor} of the configuration (sim.softening). table[0]
// of a Born-von Karman crystal (else empty): shells have its names and single elements may change, table[1] becomes the
// changed one.  Of other constants a shell has a number, 1 the nearest.
xani_status xn_forces_soften(xn_ctx *ctx, const xn_config *config, const char *list, xn_crystal table[2],
                             const xn_forces *before, xn_forces *after);

// XANI_ERR_CONFIG, "KEY: WHAT unstable at q", where a mode of the zone is imaginary: the squeezing law (scatter.h) has
// no answer there. to_q: of xn_forces_align.
xani_status xn_forces_check_stable(xn_ctx *ctx, const xn_config *config, const char *key, const char *what,
                                   const xn_forces *f, const double to_q[9]);

#endif
