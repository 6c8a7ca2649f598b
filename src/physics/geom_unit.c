// SPDX-License-Identifier: BSD-3-Clause
// geom_unit.c -- see geom_unit.h.
#include "physics/geom_unit.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

bool xn_unit_size(const char *name, xn_quantity what, double *size)
{
    static const struct {
        xn_quantity what;
        const char *name;
        double size;
    } units[] = {{XN_LENGTH, "m", 1.0},
                 {XN_LENGTH, "metre", 1.0},
                 {XN_LENGTH, "meter", 1.0},
                 {XN_LENGTH, "cm", 1e-2},
                 {XN_LENGTH, "mm", 1e-3},
                 {XN_LENGTH, "millimetre", 1e-3},
                 {XN_LENGTH, "millimeter", 1e-3},
                 {XN_LENGTH, "um", 1e-6},
                 {XN_LENGTH, "\xc2\xb5m", 1e-6},
                 {XN_LENGTH, "micron", 1e-6},
                 {XN_LENGTH, "nm", 1e-9},
                 {XN_ANGLE, "rad", 1.0},
                 {XN_ANGLE, "radian", 1.0},
                 {XN_ANGLE, "mrad", 1e-3},
                 {XN_ANGLE, "deg", M_PI / 180.0},
                 {XN_ANGLE, "degree", M_PI / 180.0},
                 {XN_ENERGY, "eV", 1e-3},
                 {XN_ENERGY, "keV", 1.0},
                 {XN_ENERGY, "MeV", 1e3},
                 {XN_WAVELENGTH, "angstrom", 1.0},
                 {XN_WAVELENGTH, "Angstrom", 1.0},
                 {XN_WAVELENGTH, "A", 1.0},
                 {XN_WAVELENGTH, "\xc3\x85", 1.0},
                 {XN_WAVELENGTH, "pm", 1e-2},
                 {XN_WAVELENGTH, "nm", 10.0},
                 {XN_WAVELENGTH, "m", 1e10},
                 {XN_PIXELS, "pixel", 1.0},
                 {XN_PIXELS, "px", 1.0}};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t own = strlen(units[i].name); // "metres", "degrees"
        if (units[i].what != what || strncmp(name, units[i].name, own) != 0) continue;
        if (n != own && !(own > 2 && n == own + 1 && name[own] == 's')) continue;
        *size = units[i].size;
        return true;
    }
    return false;
}
