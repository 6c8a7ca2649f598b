// SPDX-License-Identifier: BSD-3-Clause
// crystal.c -- the simulated crystal before and after the laser, its lines, and how the lattice lies in its frame.
//
// A shipped Born-von Karman table (al_80k, ...) or force constants of another program (physics/forces): both become one
// form.  What changes is a shell: of a table by its name ("110"), of other constants by its number, nearest first.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "physics/forces/configured.h"
#include "source/sim/parts.h"

#define MSD_GRID 32 // the zone mean converges as 1/n (science.md 13.2)

// ---- loading

static xani_status load_crystal(xn_ctx *ctx, const xn_config *config, xn_sim_model *m)
{
    const char *name = xn_config_string(config, "sim.crystal");
    char *path = xn_forces_path(config, "sim.crystal");
    char *born = xn_config_path(config, "sim.born");
    if (path == NULL) return xn_fail_memory(ctx, "sim.crystal", strlen(name));
    xani_status st;
    if (xn_forces_known(path)) {
        st = xn_forces_load(ctx, path, NULL, born, XN_POLAR_DIPOLES, &m->before);
    } else {
        st = xn_crystal_load(ctx, path, &m->table[0]);
        if (st == XANI_OK) st = xn_forces_from_crystal(ctx, &m->table[0], &m->before);
    }
    xn_free(path);
    xn_free(born);
    XN_TRY(xn_context(ctx, st, "%s: sim.crystal", xn_config_name(config)));
    m->branches = 3 * m->before.n_atoms;
    if (m->branches > XN_SIM_BRANCHES)
        return xn_config_bad(ctx, config, "sim.crystal", "has %d atoms in its primitive cell, at most %d are simulated",
                             m->before.n_atoms, XN_SIM_BRANCHES / 3);
    for (int i = 0; i < m->before.n_atoms; i++)
        if (isnan(xn_form_factor(&m->before, i, 1.0)))
            return xn_config_bad(ctx, config, "sim.crystal", "the form factor of atom %d ('%s') is not known", i + 1,
                                 m->before.element[i]);
    return XANI_OK;
}

// ---- the lattice in the crystal's frame

static xani_status check_table_cell(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m)
{
    const double *cell = m->lattice.cell, a = m->table[0].a_ang;
    bool cubic = fabs(cell[3] - 90) + fabs(cell[4] - 90) + fabs(cell[5] - 90) < 1e-6;
    if (!cubic || fabs(cell[0] - a) + fabs(cell[1] - a) + fabs(cell[2] - a) > 1e-3 * a)
        return xn_config_bad(ctx, config,
                             xn_config_has(config, "map.crystal.cell") ? "map.crystal.cell" : "sim.crystal",
                             "the cell is not that of %s, cubic with a = %g Angstrom", m->table[0].name, a);
    if (m->lattice.centring != 'F')
        return xn_config_bad(ctx, config, "map.crystal", "%s is face-centred (F), not %c", m->table[0].name,
                             m->lattice.centring);
    return XANI_OK;
}

// ---- lines

// In the order of xn_scattering_lines; the pair lines only where combinations are not wanted.
static xani_status list_lines(xn_ctx *ctx, xn_sim_model *m)
{
    const double *g = m->s.damping_per_ps;
    m->line = xn_calloc((size_t)xn_squeezed_count(m->branches), sizeof *m->line);
    if (m->line == NULL) return xn_fail_memory(ctx, "the lines", (size_t)m->branches * (size_t)m->branches * 24);
    for (int j = 0; j < m->branches; j++)
        for (int i = m->s.combinations ? 0 : j; i <= j; i++) {
            m->line[m->n_lines++] = (xn_sim_line){i, j, false, 0.5 * (g[i] + g[j])};
            if (i < j) m->line[m->n_lines++] = (xn_sim_line){i, j, true, 0.5 * (g[i] + g[j])};
        }
    return XANI_OK;
}

xani_status xn_sim_crystals(xn_ctx *ctx, const xn_config *config, xn_sim_model *m)
{
    int64_t unstable = 0;
    XN_TRY(load_crystal(ctx, config, m));
    XN_TRY(xn_forces_soften(ctx, config, "sim.softening", m->table, &m->before, &m->after));
    XN_TRY(xn_lattice_load(ctx, config, true, &m->lattice));
    if (m->table[0].n_shells > 0) XN_TRY(check_table_cell(ctx, config, m));
    XN_TRY(xn_context(ctx, xn_forces_align(ctx, &m->lattice, &m->before, m->to_q), "%s: map.crystal",
                      xn_config_name(config)));
    XN_TRY(xn_forces_check_stable(ctx, config, "sim.crystal", "is", &m->before, m->to_q));
    if (xn_config_count(config, "sim.softening") > 0)
        XN_TRY(xn_forces_check_stable(ctx, config, "sim.softening", "makes the crystal", &m->after, m->to_q));
    m->msd = xn_calloc((size_t)m->before.n_atoms, sizeof *m->msd);
    if (m->msd == NULL) return xn_fail_memory(ctx, "mean squares", (size_t)m->before.n_atoms * sizeof *m->msd);
    XN_TRY(xn_forces_msd(ctx, &m->before, m->s.temperature_k, MSD_GRID, m->threads, m->msd, &unstable));
    return list_lines(ctx, m);
}
