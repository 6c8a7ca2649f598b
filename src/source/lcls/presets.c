// SPDX-License-Identifier: BSD-3-Clause
// presets.c -- what differs between instruments and beamtimes of LCLS, as data: see lcls.h (formats.md 1.1, 1.3).
//
// `xani init` writes from these tables what a person then checks; no reader looks at them.  Laser codes: the facility's
// defaults per hutch, in its lists +n for "the laser is off where code n is there" (drop), -n for "on only where it is"
// (required).  Delay sources stand in the order in which the facility's own analysis takes the first it finds.
#include <math.h>
#include <string.h>
#include <strings.h>

#include "source/lcls/lcls.h"
#include "source/survey/survey.h"

// ---- laser codes

typedef struct {
    char hutch[4];
    bool second;
    xn_lcls_codes codes;
} hutch;

#define DROP(code)                                                                                                     \
    {                                                                                                                  \
        .n_drop = 1, .drop = { code }                                                                                  \
    }
#define REQUIRED(code)                                                                                                 \
    {                                                                                                                  \
        .n_required = 1, .required = { code }                                                                          \
    }

static const hutch hutches[] = {
    {"xpp", false, DROP(91)},      {"xcs", false, DROP(89)}, {"mfx", false, DROP(204)}, {"cxi", false, DROP(184)},
    {"mec", false, REQUIRED(182)}, {"amo", false, DROP(91)}, {"sxr", false, DROP(91)},  {"mfx", true, REQUIRED(203)},
    {"rix", true, DROP(273)},      {"xpp", true, DROP(89)},
};

const xn_lcls_codes *xn_lcls_hutch_codes(const char *path, bool second)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strncasecmp(name, "ldat_", 5) == 0) name += 5; // before 2018
    for (size_t i = 0; i < sizeof hutches / sizeof hutches[0]; i++)
        if (hutches[i].second == second && strncasecmp(name, hutches[i].hutch, 3) == 0) return &hutches[i].codes;
    return NULL;
}

// ---- channels

#define SECONDS 1e12

static const xn_lcls_role roles[] = {
    {"scan/lxt*", XN_ROLE_DELAY, SECONDS},
    {"enc/lasDelay", XN_ROLE_DELAY, 0},
    {"enc/lasDelay2", XN_ROLE_DELAY, 0},
    {"enc/ch0", XN_ROLE_DELAY, 0},
    {"epics/lxt_ttc", XN_ROLE_DELAY, SECONDS},
    {"epics/lxt", XN_ROLE_DELAY, SECONDS},
    {"epics/lxt_*", XN_ROLE_DELAY, SECONDS},
    {"*UsbEncoder*/lasDelay*", XN_ROLE_DELAY, 0},
    {"scan/varStep", XN_ROLE_NONE, NAN},
    {"scan/step_*", XN_ROLE_NONE, NAN},
    {"scan/*", XN_ROLE_DELAY, NAN},
    {"*tt/ttCorr", XN_ROLE_EDGE, 1},
    {"ttCorr/tt", XN_ROLE_EDGE, 1},
    {"*FLTPOS_PS", XN_ROLE_EDGE, 1},
    {"*FLTPOS", XN_ROLE_EDGE, NAN},
    {"*tt/AMPL", XN_ROLE_QUALITY, NAN},
    {"tt/*AMPL", XN_ROLE_QUALITY, NAN},
    {"timing/eventcodes", XN_ROLE_EVENTS, NAN},
    {"ipm*/sum", XN_ROLE_I0, NAN},
    {"*BmMon/totalIntensityJoules", XN_ROLE_I0, NAN},
    {"gmd/milliJoulesPerPulse", XN_ROLE_I0, NAN},
    {"xgmd/milliJoulesPerPulse", XN_ROLE_I0, NAN},
    {"dio*/sum", XN_ROLE_I0, NAN},
    {"*_mon/sum", XN_ROLE_I0, NAN},
    {"gas_detector/*_ENRC", XN_ROLE_I0, NAN},
    {"epics/ccm_E", XN_ROLE_ENERGY, NAN},
};

// Shell pattern with * only, letters of either case.
static bool fits(const char *pattern, const char *s)
{
    while (*pattern != '\0') {
        if (*pattern == '*') {
            while (pattern[1] == '*') pattern++;
            for (; *s != '\0'; s++)
                if (fits(pattern + 1, s)) return true;
            return pattern[1] == '\0';
        }
        if (strncasecmp(pattern++, s++, 1) != 0) return false;
    }
    return *s == '\0';
}

const xn_lcls_role *xn_lcls_role_of(const char *path)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (fits(roles[i].name, path)) return &roles[i];
    return NULL;
}
