// SPDX-License-Identifier: BSD-3-Clause
// detectors.c -- what a detector looks like: facts about geometry files, the answer of xani_detector.
//
// Lengths in mm in the laboratory frame.  What is missing to place it (distance, quadrants) is null or said, no error.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "physics/panel.h"
#include "source/recognise.h"
#include "source/survey/survey.h"

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static void put(json_t *o, const char *key, json_t *value) { json_object_set_new(o, key, value); }

static json_t *pair(double a, double b) { return json_pack("[o, o]", number(a), number(b)); }

static json_t *detector_facts(const xn_geometry *g)
{
    double lo[3] = {INFINITY, INFINITY, INFINITY}, hi[3] = {-INFINITY, -INFINITY, -INFINITY};
    int64_t gaps = 0, bad = 0, n = g->ny * g->nx;
    for (int64_t i = 0; i < n; i++) {
        gaps += g->bad[i] == XN_GEOMETRY_GAP;
        bad += g->bad[i] == XN_GEOMETRY_BAD;
        for (int k = 0; k < 3; k++) {
            lo[k] = fmin(lo[k], (double)g->position[3 * i + k]);
            hi[k] = fmax(hi[k], (double)g->position[3 * i + k]);
        }
    }
    json_t *o = json_pack("{s:s, s:i, s:[I, I]}", "kind", g->kind ? g->kind : "", "modules", g->n_modules, "shape",
                          (json_int_t)g->ny, (json_int_t)g->nx);
    put(o, "pixels", json_integer(n - gaps));
    put(o, "masked", json_integer(bad));
    bool alike = !(g->pixels_m[1] > (1.0 + 1e-3) * g->pixels_m[0]); // panels of a file may differ
    put(o, "pixel_mm", alike ? number(1e3 * g->pixel_m) : pair(1e3 * g->pixels_m[0], 1e3 * g->pixels_m[1]));
    put(o, "x_mm", pair(1e3 * lo[0], 1e3 * hi[0]));
    put(o, "y_mm", pair(1e3 * lo[1], 1e3 * hi[1]));
    bool placed = isfinite(g->distance_m);
    put(o, "z_mm", placed ? pair(1e3 * lo[2], 1e3 * hi[2]) : json_null());
    put(o, "distance_mm", number(1e3 * g->distance_m));
    put(o, "energy_kev", number(g->energy_kev));
    const char *missing = g->assumed && !placed ? "geometry.distance_mm, geometry.quadrants_mm (nominal here)"
                          : g->assumed          ? "geometry.quadrants_mm (nominal here)"
                          : !placed             ? "geometry.distance_mm"
                                                : NULL;
    put(o, "missing", missing ? json_string(missing) : json_null());
    return o;
}

static json_t *rectangle(const xn_outline *r)
{
    json_t *corners = json_array();
    for (int i = 0; i < 4; i++) json_array_append_new(corners, pair(1e3 * r->corner[i][0], 1e3 * r->corner[i][1]));
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:b, s:o}", "module", r->module, "row", (json_int_t)r->row, "column",
                     (json_int_t)r->column, "rows", (json_int_t)r->rows, "columns", (json_int_t)r->columns, "masked",
                     (int)r->masked, "corners_mm", corners);
}

xani_status xn_detector_of_file(xn_ctx *ctx, const char *path, json_t **facts)
{
    const xn_geometry_options o = {.distance_m = NAN, .anywhere = true, .pixel_mm = NAN};
    xn_geometry g;
    *facts = NULL;
    XN_TRY(xn_geometry_file(ctx, path, &o, &g));
    *facts = detector_facts(&g);
    xn_geometry_free(&g);
    return XANI_OK;
}

xani_status xn_source_detector(xn_ctx *ctx, const xn_config *config, char **json)
{
    xn_geometry g;
    xn_outline *outline = NULL;
    int n = 0;
    *json = NULL;
    XN_TRY(xn_geometry_sketch(ctx, config, &g));
    xani_status st = xn_geometry_outlines(ctx, &g, &outline, &n);
    if (st == XANI_OK) {
        json_t *o = detector_facts(&g), *panels = json_array();
        for (int i = 0; i < n; i++) json_array_append_new(panels, rectangle(&outline[i]));
        put(o, "panels", panels);
        char *dump = json_dumps(o, JSON_COMPACT);
        *json = dump ? xn_strdup(dump) : NULL;
        if (*json == NULL) st = xn_fail_memory(ctx, "the answer", 4096);
        free(dump); // from json_dumps
        json_decref(o);
    }
    xn_free(outline);
    xn_geometry_free(&g);
    return st;
}
