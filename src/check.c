// SPDX-License-Identifier: BSD-3-Clause
// check.c -- `xani check`: what a run would read and need.
//
// Every input and geometry is opened, so that what would stop a run stops here, and a few frames tell what reading
// costs on this machine.
#include <math.h>

#include "core/text.h"
#include "map/map.h"
#include "physics/forces/configured.h"
#include "physics/geometry.h"
#include "physics/lattice.h"
#include "pipeline.h"
#include "reduce/reduce.h"
#include "source/source.h"

#define PROBE_FRAMES 8 // read to measure what a frame costs

// Wall seconds one thread needs for a frame, from the first few; NaN when there are none.
static xani_status frame_seconds(xn_ctx *ctx, xn_source *s, double *seconds)
{
    *seconds = NAN;
    int64_t n = xn_min64(s->shots.n, PROBE_FRAMES);
    if (s->ops->read_frame == NULL || n == 0) return XANI_OK;
    size_t bytes = (size_t)(s->ny * s->nx) * xn_type_size(s->type);
    void *frame = xn_alloc(bytes, 1), *scratch = xn_alloc(s->scratch_bytes, 1);
    xani_status st = frame && scratch ? XANI_OK : xn_fail_memory(ctx, "a frame", bytes + s->scratch_bytes);
    double start = xn_seconds();
    for (int64_t i = 0; i < n && st == XANI_OK; i++) st = s->ops->read_frame(ctx, s, s->shots.frame[i], frame, scratch);
    *seconds = (xn_seconds() - start) / (double)n;
    xn_free(frame);
    xn_free(scratch);
    return st;
}

static void count_shots(const xn_source *s, const xn_reduce_plan *p, json_t *o)
{
    int64_t on = 0, off = 0;
    for (int64_t i = 0; i < s->shots.n; i++)
        on += s->shots.laser[i] == XN_LASER_ON, off += s->shots.laser[i] == XN_LASER_OFF;
    bool binned = s->ops->read_cube != NULL;
    if (binned) on = llround(s->binned.on), off = llround(s->binned.off);
    int64_t n = binned ? on + off : s->shots.n;
    json_object_set_new(o, "shots", json_integer(n));
    json_object_set_new(o, "laser_on", json_integer(on));
    json_object_set_new(o, "laser_off", json_integer(off));
    if (n > 0) json_object_set_new(o, "used", json_integer(p->shots)); // what the cuts leave; bins that have I0
}

static xani_status read_seconds(xn_ctx *ctx, const xn_config *config, xn_source *s, const xn_reduce_plan *p,
                                double *seconds)
{
    *seconds = NAN;
    if (s->ops->read_cube != NULL) return s->ops->probe_cube != NULL ? s->ops->probe_cube(ctx, s, seconds) : XANI_OK;
    XN_TRY(frame_seconds(ctx, s, seconds));
    *seconds *= (double)p->frames_read / xn_threads((int)xn_config_int(config, "engine.threads"));
    return XANI_OK;
}

static xani_status check_run(xn_ctx *ctx, const xn_config *config, int index, json_t *list, int64_t *ny, int64_t *nx,
                             int *grouped)
{
    xn_source *s = NULL;
    xn_reduce_plan p = {0};
    double seconds = NAN;
    xani_status st;
    XN_GOTO(out, st, xn_source_open(ctx, config, index, &s));
    XN_GOTO(out, st, xn_reduce_plan_make(ctx, config, s, &p));
    XN_GOTO(out, st, read_seconds(ctx, config, s, &p, &seconds));
    *ny = s->ny, *nx = s->nx, *grouped = s->grouped;
    json_t *o = json_object();
    if (s->run != NULL && s->run[0]) json_object_set_new(o, "run", json_string(s->run));
    count_shots(s, &p, o);
    json_object_set_new(o, "stored_bytes", json_integer(p.stored_bytes));
    json_object_set_new(o, "memory_bytes", json_integer(xn_max64(p.memory_bytes, p.write_bytes)));
    json_object_set_new(o, "write_bytes", json_integer(p.write_bytes));
    json_object_set_new(o, "passes", json_integer(p.passes));
    json_object_set_new(o, "delay_bins_per_pass", json_integer(p.bins_per_pass));
    json_object_set_new(o, "file_bytes", json_integer(p.file_bytes));
    json_object_set_new(o, "delay_bins", json_integer(p.nbins));
    json_object_set_new(o, "spatial_bin", json_integer(p.spatial_bin));
    json_object_set_new(o, "groups_y", json_integer(p.ny));
    json_object_set_new(o, "groups_x", json_integer(p.nx));
    if (isfinite(seconds)) json_object_set_new(o, "read_and_decode_seconds", json_real(seconds));
    json_array_append_new(list, o);
out:
    xn_source_close(&s);
    return index >= 0 ? xn_context(ctx, st, "run %d", index + 1) : st;
}

// The constants fit the crystal: found out before hours of reduction, not after.
static xani_status check_forces(xn_ctx *ctx, const xn_config *config, const xn_lattice *lattice)
{
    xn_forces f;
    double b[9];
    bool found;
    if (!xn_config_has(config, "map.force_constants.file")) return XANI_OK;
    XN_TRY(xn_forces_configured(ctx, config, lattice, NULL, &f, &found));
    xani_status st = xn_context(ctx, xn_forces_align(ctx, lattice, &f, b), "map.force_constants.file");
    xn_forces_free(&f);
    return st;
}

// Rows of modules that do not fill a group were dropped; the map finds out how many.
static xani_status check_groups(xn_ctx *ctx, const xn_config *config, const xn_geometry *g, int64_t ny, int64_t nx,
                                int grouped)
{
    if (g->nx / grouped == nx && g->ny / grouped >= ny && g->ny / grouped < 2 * ny) return XANI_OK;
    return xn_config_bad(ctx, config, xn_config_has(config, "geometry.file") ? "geometry.file" : "geometry.detector",
                         "describes %lld x %lld pixels (y, x), the cubes have %lld x %lld groups of %d x %d",
                         (long long)g->ny, (long long)g->nx, (long long)ny, (long long)nx, grouped, grouped);
}

xani_status xn_plan_check_map(xn_ctx *ctx, const xn_config *config, int64_t ny, int64_t nx, int grouped)
{
    const char *why = NULL;
    if (!xn_map_possible(config, &why)) return XANI_OK;
    xn_geometry g = {0};
    xn_lattice lattice;
    xn_goniometer circles;
    XN_TRY(xn_geometry_load(ctx, config, grouped > 1 ? 0 : ny, nx, &g));
    xani_status st = grouped > 1 ? check_groups(ctx, config, &g, ny, nx, grouped) : XANI_OK;
    xn_geometry_free(&g);
    XN_TRY(st);
    XN_TRY(xn_lattice_load(ctx, config, true, &lattice));
    XN_TRY(xn_map_check_path(ctx, config, &lattice));
    XN_TRY(check_forces(ctx, config, &lattice));
    return xn_goniometer_load(ctx, config, &circles);
}

static void say_map(const xn_config *config, json_t *answer)
{
    const char *why = NULL;
    bool possible = xn_map_possible(config, &why);
    json_object_set_new(answer, "dispersion", json_string(possible ? "possible" : "not possible"));
    if (!possible) json_object_set_new(answer, "missing_for_dispersion", json_string(why));
}

xani_status xn_plan_check(xn_ctx *ctx, const xn_config *config, json_t **answer)
{
    *answer = NULL;
    json_t *o = json_object(), *list = json_array();
    int64_t ny = 0, nx = 0;
    int grouped = 0;
    int n = xn_source_runs(config);
    xani_status st;
    json_object_set_new(o, "configuration", xn_json_text(xn_config_name(config)));
    json_object_set_new(o, "threads", json_integer(xn_threads((int)xn_config_int(config, "engine.threads"))));
    json_object_set_new(o, "runs", list);
    st = xn_second_axis_check(ctx, config);
    for (int i = 0; i < (n > 0 ? n : 1) && st == XANI_OK; i++)
        st = check_run(ctx, config, n > 0 ? i : -1, list, &ny, &nx, &grouped);
    if (st == XANI_OK) st = xn_stage_check_fit(ctx, config);
    if (st == XANI_OK) st = xn_plan_check_map(ctx, config, ny, nx, grouped);
    say_map(config, o);
    if (st != XANI_OK) {
        json_decref(o);
        return st;
    }
    *answer = o;
    return XANI_OK;
}
