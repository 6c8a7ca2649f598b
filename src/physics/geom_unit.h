// SPDX-License-Identifier: BSD-3-Clause
// geom_unit.h -- units as geometry files write them.
#ifndef XN_PHYSICS_GEOM_UNIT_H
#define XN_PHYSICS_GEOM_UNIT_H

#include <stdbool.h>

// In metres, radians, keV, Angstrom, pixels.
typedef enum { XN_LENGTH, XN_ANGLE, XN_ENERGY, XN_WAVELENGTH, XN_PIXELS } xn_quantity;

// Size of a unit of this quantity; false: it is none that is known.
bool xn_unit_size(const char *name, xn_quantity what, double *size);

#endif
