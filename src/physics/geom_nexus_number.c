// SPDX-License-Identifier: BSD-3-Clause
// geom_nexus_number.c -- see geom_nexus.h.  A unit that is not known is an error: taken as another it would move
// pixels.
#include "physics/geom_nexus.h"

#include <math.h>
#include <string.h>

xani_status xn_nxmx_unit(xn_ctx *ctx, const xn_h5 *file, const char *object, const char *attribute, xn_quantity what,
                         double otherwise, double *size)
{
    static const char *const kinds[] = {"a length", "an angle", "an energy", "a wavelength", "pixels"};
    char *text = NULL;
    *size = otherwise;
    if (!xn_h5_has_attr(file, object, attribute)) return XANI_OK;
    XN_TRY(xn_h5_read_attr(ctx, file, object, attribute, &text));
    bool known = text[0] == '\0' || xn_unit_size(text, what, size);
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
