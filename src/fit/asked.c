// SPDX-License-Identifier: BSD-3-Clause
// asked.c -- settings of the fit that more than it must understand: a plan foretells what the fit will do.
#include <string.h>

#include "fit/fit.h"

int xn_fit_background_asked(const xn_config *c)
{
    static const char *const names[] = {"none", "constant", "polynomial1", "polynomial2", "polynomial3"};
    const char *s = xn_config_string(c, "fit.background");
    for (int i = 0; i < 5; i++)
        if (strcmp(s, names[i]) == 0) return i - 1;
    return XANI_BACKGROUND_EXPONENTIAL;
}

int xn_fit_tests_asked(const xn_config *c)
{
    return strcmp(xn_config_string(c, "fit.start"), "neighbours") == 0 ? 2 : 1;
}

double xn_fit_significance_asked(const xn_config *c)
{
    const double d = xn_config_double(c, "fit.significance");
    if (d == 0.0) return 1e-300; // accept everything
    return d > 0.0 ? d : 0.0;
}
