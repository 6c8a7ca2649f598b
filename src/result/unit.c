// SPDX-License-Identifier: BSD-3-Clause
// unit.c -- numbers in whatever unit a file says, to the one that all structs hold.
//
// A damping in THz or meV is refused: half width, full width, or a rate over 2 pi, nobody can tell.
#include <math.h>
#include <string.h>

#include "result/nexus.h"

#define THZ_PER_MEV 0.24179892420849 // 1 meV/h
#define THZ_PER_INV_CM 0.0299792458  // c/(1 cm)

// The unit wanted, short form, stem of the long one, how many of the unit wanted.
static const struct {
    const char *want, *name, *stem;
    double factor;
} units[] = {
    {"ps", "as", "attosecond", 1e-6},     {"ps", "fs", "femtosecond", 1e-3},
    {"ps", "ps", "picosecond", 1.0},      {"ps", "ns", "nanosecond", 1e3},
    {"ps", "us", "microsecond", 1e6},     {"ps", "\xc2\xb5s", "microsecond", 1e6},
    {"ps", "\xce\xbcs", "", 1e6},         {"ps", "ms", "millisecond", 1e9},
    {"ps", "s", "second", 1e12},          {"ps", "sec", "", 1e12},
    {"THz", "PHz", "petahertz", 1e3},     {"THz", "THz", "terahertz", 1.0},
    {"THz", "GHz", "gigahertz", 1e-3},    {"THz", "MHz", "megahertz", 1e-6},
    {"THz", "kHz", "kilohertz", 1e-9},    {"THz", "Hz", "hertz", 1e-12},
    {"THz", "meV", "", THZ_PER_MEV},      {"THz", "1/cm", "", THZ_PER_INV_CM},
    {"THz", "cm^-1", "", THZ_PER_INV_CM}, {"THz", "cm-1", "", THZ_PER_INV_CM},
    {"rad", "rad", "radian", 1.0},        {"rad", "deg", "degree", M_PI / 180.0},
    {"degree", "deg", "degree", 1.0},     {"degree", "rad", "radian", 180.0 / M_PI},
    {"1", "1", "dimensionless", 1.0},     {"1", "relative", "fraction", 1.0},
    {"1", "%", "percent", 1e-2},
};

// What each unit wanted is of, and examples.
static const struct {
    const char *want, *of, *known;
} kinds[] = {
    {"ps", "time", "fs, ps, ns, us, ms, s"},
    {"1/ps", "rate", "1/fs, 1/ps, 1/ns, 1/s"},
    {"THz", "frequency", "THz, GHz, Hz, meV, 1/cm"},
    {"rad", "angle", "rad, degree"},
    {"degree", "angle", "degree, rad"},
    {"1", "relative change", "1, %"},
};

// NAN: not known.
static double factor_of(const char *want, const char *text)
{
    for (int i = 0; i < XN_COUNT(units); i++) {
        const size_t n = strlen(units[i].stem);
        if (strcmp(want, units[i].want) != 0) continue;
        if (strcmp(text, units[i].name) == 0) return units[i].factor;
        if (n > 0 && strncmp(text, units[i].stem, n) == 0 && (text[n] == '\0' || strcmp(text + n, "s") == 0))
            return units[i].factor;
    }
    return NAN;
}

// 1/fs, fs^-1, fs-1.
static double rate_of(const char *text)
{
    char time[24];
    size_t n = strlen(text);
    if (n >= sizeof time) return NAN;
    if (strncmp(text, "1/", 2) == 0) return 1.0 / factor_of("ps", text + 2);
    if (n < 3 || strcmp(text + n - 2, "-1") != 0) return NAN;
    n -= text[n - 3] == '^' ? 3 : 2;
    memcpy(time, text, n);
    time[n] = '\0';
    return 1.0 / factor_of("ps", time);
}

static const char amplitude[] = "/entry/modes/amplitude"; // and its errors: no other without a unit has one elsewhere

xani_status xn_nexus_unit(xn_ctx *ctx, const xn_h5 *file, const char *dataset, const char *want, double *factor)
{
    char *text = NULL;
    int kind = 0;
    *factor = 1.0;
    if (want[0] == '\0' && strncmp(dataset, amplitude, strlen(amplitude)) == 0) want = "1";
    while (kind < XN_COUNT(kinds) && strcmp(kinds[kind].want, want) != 0) kind++;
    if (kind == XN_COUNT(kinds) || !xn_h5_has_attr(file, dataset, "units")) return XANI_OK;
    XN_TRY(xn_h5_read_attr(ctx, file, dataset, "units", &text));
    xani_status st = XANI_OK;
    const double found = strcmp(want, "1/ps") == 0 ? rate_of(text) : factor_of(want, text);
    if (!isnan(found))
        *factor = found;
    else if (text[0] != '\0')
        st = xn_fail(ctx, XANI_ERR_INPUT, "%s: %s is in '%s', which is no unit of %s (%s)", xn_h5_path(file), dataset,
                     text, kinds[kind].of, kinds[kind].known);
    xn_free(text);
    return st;
}
