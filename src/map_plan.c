// SPDX-License-Identifier: BSD-3-Clause
// map_plan.c -- xani map --dry-run: what the map refuses is refused, what it would make is told, nothing is calculated.
#include "core/text.h"
#include "identity.h"
#include "io/h5.h"
#include "map/parts.h"
#include "pipeline.h"

static json_t *row_of(const xn_modes *m, const char *path)
{
    int64_t fitted = 0, modes = 0;
    json_t *angles = json_array();
    for (int64_t i = 0; i < m->ny * m->nx; i++) {
        fitted += m->status[i] != XN_FIT_MASKED;
        for (int k = 0; k < m->n_modes; k++) modes += xn_mode_accepted(m, i, k);
    }
    for (int k = 0; k < m->n_angles; k++) json_array_append_new(angles, json_real(m->angles_deg[k]));
    return json_pack("{s:o, s:o, s:o, s:i, s:I, s:I}", "file", xn_json_text(path), "run",
                     xn_json_text(m->run != NULL ? m->run : ""), "angle_deg", angles, "spatial_bin", m->spatial_bin,
                     "groups", (json_int_t)fitted, "modes", (json_int_t)modes);
}

static json_t *answer(const xn_config *config, const xn_modes *const *modes, int n, const char *const *inputs,
                      const xn_dispersion *d)
{
    json_t *runs = json_array(), *path = json_array(), *shape = json_array();
    int64_t seen = 0;
    for (int i = 0; i < n; i++) json_array_append_new(runs, row_of(modes[i], inputs[i]));
    for (int i = 0; i < d->n_labels; i++)
        json_array_append_new(path, json_pack("{s:o, s:[f, f, f], s:f}", "label", xn_json_text(d->labels[i].name),
                                              "hkl", d->labels[i].hkl[0], d->labels[i].hkl[1], d->labels[i].hkl[2],
                                              "distance_inv_ang", d->label_distance[i]));
    for (int k = 0; k < 3; k++) json_array_append_new(shape, json_integer(d->shape[k]));
    for (int64_t i = 0; i < d->shape[0] * d->shape[1] * d->shape[2]; i++) seen += d->coverage[i] > 0;
    return json_pack("{s:o, s:s, s:o, s:o, s:I, s:f, s:o, s:I, s:I}", "runs", runs, "mode_kind",
                     xn_config_string(config, "map.mode_kind"), "branches",
                     d->branches_known ? json_integer(d->n_branches) : json_null(), "path", path, "path_bins",
                     (json_int_t)d->path_n, "tube_inv_ang", d->tube_inv_ang, "volume_shape", shape, "voxels_in_zone",
                     (json_int_t)d->zone_voxels, "voxels_seen", (json_int_t)seen);
}

xani_status xn_stage_map_plan(xn_ctx *ctx, const xn_config *config, const xn_modes *const *modes, int n,
                              const char *const *inputs, const char *path, json_t **plan)
{
    xn_dispersion d = {0};
    char **all = NULL;
    XN_TRY(xn_inputs_map(ctx, config, inputs, &all));
    xani_status st = xn_trace_files_spare(ctx, inputs, path);
    if (st == XANI_OK) st = xn_inputs_spare(ctx, path, XN_RESULT_DISPERSION, config, (const char *const *)all);
    if (st == XANI_OK) st = xn_map_plan(ctx, config, modes, n, &d);
    if (st == XANI_OK) *plan = answer(config, modes, n, inputs, &d);
    xn_dispersion_free(&d);
    xn_h5_names_free(all);
    return st;
}
