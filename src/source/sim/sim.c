// SPDX-License-Identifier: BSD-3-Clause
// sim.c -- xani sim: everything that is written for a simulated experiment, in order.
//
// Files appear whole or not at all, one after the other, the configurations last; folder.c makes one of them.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/write/publish.h"
#include "source/sim/parts.h"
#include "source/sim/sim.h"
#include "source/source.h"

xani_status xn_sim_create(xn_ctx *ctx, const char *path, xn_layout layout, xn_writer **w)
{
    XN_TRY(xn_writer_create(ctx, path, layout, w));
    xn_writer_kind(*w, XN_SIM_KIND);
    return XANI_OK;
}

static xani_status write_geometry(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *dir)
{
    if (m->detector.panels.n == 0) return XANI_OK; // the geometry was given
    char *path = xn_format("%s/%s", dir, XN_SIM_GEOMETRY_FILE);
    char *text =
        xn_sim_geometry_text(&m->detector, m->s.energy_kev, 1e-3 * xn_config_double(config, "geometry.distance_mm"));
    xani_status st = XANI_OK;
    if (path == NULL || text == NULL)
        st = xn_fail_memory(ctx, "the geometry file", 4096);
    else
        st = xn_publish_text(ctx, path, text, strlen(text), NULL);
    xn_free(path);
    xn_free(text);
    return st;
}

static xani_status write_runs(xn_ctx *ctx, const xn_config *config, const xn_sim_model *m, const char *dir)
{
    for (int run = 0; run < m->s.n_runs; run++) {
        xn_sim_view v;
        XN_TRY(xn_sim_view_make(ctx, config, m, run, &v));
        xani_status st = XANI_OK;
        for (int k = 0; st == XANI_OK && xn_sim_layouts[k] != NULL; k++)
            if (m->s.layouts >> k & 1 && xn_sim_layouts[k]->write != NULL)
                st = xn_sim_layouts[k]->write(ctx, config, &v, dir);
        if (st != XANI_OK) xn_context(ctx, st, "run %s", v.name);
        xn_sim_view_free(&v);
        if (st != XANI_OK) return st;
    }
    return XANI_OK;
}

xani_status xn_sim_check(xn_ctx *ctx, const xn_config *config)
{
    xn_sim_model m;
    XN_TRY(xn_sim_model_make(ctx, config, &m));
    xn_sim_model_free(&m);
    return XANI_OK;
}

xani_status xn_sim_write(xn_ctx *ctx, const xn_config *config, const char *dir)
{
    xn_sim_model m;
    XN_TRY(xn_sim_model_make(ctx, config, &m));
    xani_status st;
    XN_GOTO(out, st, xn_make_dirs(ctx, dir));
    XN_GOTO(out, st, write_geometry(ctx, config, &m, dir));
    if (xn_sim_writes_shots(&m.s)) XN_GOTO(out, st, xn_sim_write_calibration(ctx, &m, dir));
    XN_GOTO(out, st, write_runs(ctx, config, &m, dir));
    XN_GOTO(out, st, xn_sim_write_truth(ctx, config, &m, dir));
    for (int k = 0; xn_sim_layouts[k] != NULL; k++)
        if (m.s.layouts >> k & 1 && xn_sim_layouts[k]->write != NULL)
            XN_GOTO(out, st, xn_sim_write_config(ctx, config, &m, xn_sim_layouts[k], dir));
out:
    xn_sim_model_free(&m);
    return st;
}

// ---- binned cubes, with the pipeline's help

static bool asked_for(const xn_sim_settings *s, int k)
{
    return (s->layouts >> k & 1) != 0 && xn_sim_layouts[k]->write == NULL;
}

static xani_status any_asked_for(xn_ctx *ctx, const xn_config *config, bool *any)
{
    xn_sim_settings s;
    XN_TRY(xn_sim_settings_load(ctx, config, &s));
    for (int k = 0; xn_sim_layouts[k] != NULL; k++) *any = *any || asked_for(&s, k);
    return XANI_OK;
}

// Cubes that only serve to make others of them.
static void remove_cubes(const char *prefix)
{
    static const char *const ends[] = {"_on.h5", "_off.h5", "_on.h5.manifest.json", "_off.h5.manifest.json"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *path = xn_format("%s%s", prefix, ends[i]);
        if (path != NULL) unlink(path);
        xn_free(path);
    }
}

static xani_status write_cubes(xn_ctx *ctx, const xn_config *full, const xn_sim_model *m, const char *dir, int run,
                               xn_sim_bin bin)
{
    xn_source *source = NULL;
    bool keep = xn_sim_writes(&m->s, "cube");
    char *name = xn_sim_cube_prefix(&m->s, false, run);
    char *prefix = name != NULL ? xn_format("%s/%s%s", dir, keep ? "" : ".binned-", name) : NULL;
    xani_status st = prefix != NULL ? XANI_OK : xn_fail_memory(ctx, "a path", strlen(dir));
    if (st == XANI_OK) st = xn_sim_open(ctx, full, m->s.has_runs ? run : -1, &source);
    if (st == XANI_OK) st = bin(ctx, full, source, prefix);
    for (int k = 0; st == XANI_OK && xn_sim_layouts[k] != NULL; k++)
        if (asked_for(&m->s, k) && xn_sim_layouts[k]->from_cube != NULL)
            st = xn_sim_layouts[k]->from_cube(ctx, full, m, prefix, dir, run);
    if (prefix != NULL && !keep) remove_cubes(prefix);
    xn_source_close(&source);
    xn_free(name);
    xn_free(prefix);
    return st;
}

xani_status xn_sim_write_binned(xn_ctx *ctx, const xn_config *config, const char *dir, xn_sim_bin bin)
{
    xn_sim_model m;
    xn_config *full = NULL;
    bool any = false;
    xani_status st;
    XN_TRY(any_asked_for(ctx, config, &any));
    if (!any) return XANI_OK;
    XN_TRY(xn_sim_model_make(ctx, config, &m));
    XN_GOTO(out, st, xn_sim_config_copy(ctx, config, &full));
    XN_GOTO(out, st, xani_config_assign(ctx, full, "reduce.spatial_bin=1"));
    XN_GOTO(out, st,
            xn_sim_set_window(ctx, xn_sim_channel[XN_SIM_EDGE_AMPLITUDE], full)); // as the shots' own configuration
    for (int run = 0; run < m.s.n_runs; run++) XN_GOTO(out, st, write_cubes(ctx, full, &m, dir, run, bin));
    for (int k = 0; xn_sim_layouts[k] != NULL; k++)
        if (asked_for(&m.s, k)) XN_GOTO(out, st, xn_sim_write_config(ctx, config, &m, xn_sim_layouts[k], dir));
out:
    xani_config_destroy(&full);
    xn_sim_model_free(&m);
    return st;
}
