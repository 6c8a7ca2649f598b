// SPDX-License-Identifier: BSD-3-Clause
// time_unit.c -- times in whatever unit a file says, to the ps that all structs hold.
#include <stdio.h>
#include <string.h>

#include "result/nexus.h"

// Short form, stem of the long one, how many ps.
static const struct {
    const char *name, *stem;
    double ps;
} units[] = {
    {"as", "attosecond", 1e-6}, {"fs", "femtosecond", 1e-3}, {"ps", "picosecond", 1.0},
    {"ns", "nanosecond", 1e3},  {"us", "microsecond", 1e6},  {"\xc2\xb5s", "microsecond", 1e6},
    {"\xce\xbcs", "", 1e6},     {"ms", "millisecond", 1e9},  {"s", "second", 1e12},
    {"sec", "", 1e12},
};

static bool is_unit(const char *text, int i)
{
    const size_t n = strlen(units[i].stem);
    if (strcmp(text, units[i].name) == 0) return true;
    return n > 0 && strncmp(text, units[i].stem, n) == 0 && (text[n] == '\0' || strcmp(text + n, "s") == 0);
}

xani_status xn_nexus_time_unit(xn_ctx *ctx, const xn_h5 *file, const char *dataset, double *ps)
{
    char *text = NULL;
    *ps = 1.0;
    if (!xn_h5_has_attr(file, dataset, "units")) return XANI_OK;
    XN_TRY(xn_h5_read_attr(ctx, file, dataset, "units", &text));
    int i = 0;
    while (i < XN_COUNT(units) && !is_unit(text, i)) i++;
    xani_status st = XANI_OK;
    if (i < XN_COUNT(units))
        *ps = units[i].ps;
    else if (text[0] != '\0')
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is in '%s', which is no unit of time (fs, ps, ns, us, ms, s)",
                     xn_h5_path(file), dataset, text);
    xn_free(text);
    return st;
}
