// SPDX-License-Identifier: BSD-3-Clause
// layouts.c -- the table of what `xani sim` writes.
#include <string.h>

#include "source/sim/parts.h"

extern const xn_sim_layout xn_sim_swissfel, xn_sim_cube, xn_sim_cube_noiseless;
extern const xn_sim_layout xn_sim_euxfel;
extern const xn_sim_layout xn_sim_lcls_smalldata, xn_sim_lcls2_smalldata, xn_sim_lcls_cube, xn_sim_lcls2_cube;
extern const xn_sim_layout xn_sim_nxmx, xn_sim_nexus, xn_sim_pal, xn_sim_sacla;

const xn_sim_layout *const xn_sim_layouts[] = {
    &xn_sim_swissfel,
    &xn_sim_cube,
    &xn_sim_cube_noiseless,
    &xn_sim_nxmx,
    &xn_sim_nexus,
    &xn_sim_euxfel,
    &xn_sim_lcls_smalldata,
    &xn_sim_lcls2_smalldata,
    &xn_sim_lcls_cube,
    &xn_sim_lcls2_cube,
    &xn_sim_pal,
    &xn_sim_sacla,
    NULL, // one a line
};

bool xn_sim_writes(const xn_sim_settings *s, const char *name)
{
    for (int i = 0; xn_sim_layouts[i] != NULL; i++)
        if (s->layouts >> i & 1 && strcmp(xn_sim_layouts[i]->name, name) == 0) return true;
    return false;
}

bool xn_sim_writes_shots(const xn_sim_settings *s)
{
    for (int i = 0; xn_sim_layouts[i] != NULL; i++)
        if (s->layouts >> i & 1 && xn_sim_layouts[i]->shots) return true;
    return false;
}
