// SPDX-License-Identifier: BSD-3-Clause
// geom_nexus_number.c -- see geom_nexus.h.  A unit that is not known is an error: taken as another it would move
// pixels.
#include "physics/geom_nexus.h"

#include <math.h>
#include <string.h>

xani_status xn_nxmx_unit(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *attribute, xn_quantity what,
                          double otherwise, double *size)
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
    static const char *const kinds[] = {"a length", "an angle", "an energy", "a wavelength", "pixels"};
    char *text = NULL;
    *size = otherwise;
    if (!xn_h5_has_attr(file, object, attribute)) return XANI_OK;
    XN_TRY(xn_h5_read_attr(ctx, file, object, attribute, &text));
    size_t n = strlen(text);
    bool known = n == 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t own = strlen(units[i].name); // "metres", "degrees"
        if (units[i].what != what || strncmp(text, units[i].name, own) != 0) continue;
        if (n != own && !(own > 3 && n == own + 1 && text[own] == 's')) continue;
        known = true;
        *size = units[i].size;
    }
    xani_status st = known ? XANI_OK
                           : xn_fail(ctx, XANI_ERR_INPUT, "%s: %s: %s = \"%s\" is no unit of %s", xn_h5_path(file),
                                     object, attribute, text, kinds[what]);
    xn_free(text);
    return st;
}

xani_status xn_nxmx_number(xn_ctx *ctx, const xn_h5 *file, const char *name, xn_quantity what, double unit,
                            double *value)
{
    double *v = NULL, size;
    int64_t n = 0;
    *value = NAN;
    if (!xn_h5_exists(file, name)) return XANI_OK;
    XN_TRY(xn_h5_read_f64(ctx, file, name, &v, &n));
    bool same = true;
    for (int64_t i = 1; i < n; i++) same = same && !(fabs(v[i] - v[0]) > 1e-6 * fabs(v[0]));
    if (n > 0 && isfinite(v[0])) *value = v[0];
    xn_free(v);
    if (!same) xn_warn(ctx, "%s: %s: holds several values, the first is taken", xn_h5_path(file), name);
    XN_TRY(xn_nxmx_unit(ctx, file, name, "units", what, unit, &size));
    *value *= size;
    return XANI_OK;
}
