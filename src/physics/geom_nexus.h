// SPDX-License-Identifier: BSD-3-Clause
// geom_nexus.h -- numbers with units of NeXus files.
#ifndef XN_PHYSICS_GEOM_NEXUS_H
#define XN_PHYSICS_GEOM_NEXUS_H

#include "io/h5.h"
#include "physics/geom_unit.h"

// The unit in an attribute; without one `otherwise`. One that is not known, or of something else, is an error.
xani_status xn_nxmx_unit(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *attribute, xn_quantity what,
                         double otherwise, double *size);
// The first number of a dataset, with its unit or this one; NaN where there is none.
xani_status xn_nxmx_number(xn_ctx *ctx, const xn_h5 *file, const char *name, xn_quantity what, double unit,
                           double *value);

#endif
