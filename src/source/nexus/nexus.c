// SPDX-License-Identifier: BSD-3-Clause
// nexus.c -- the readers of NXmx masters and of plain NeXus files: see nexus.h.
//
// Nothing in these files is made for pump-probe: ids, intensity, laser state and delay are whatever datasets of one
// number per frame a beamline writes, in the same files or beside them; the configuration names them by path.
#include "source/nexus/nexus.h"

#include <math.h>
#include <string.h>

#include "source/source.h"

#define LASER_WORDS "the dataset that is not 0 for laser-on shots"

static bool is_nxmx(const xn_source *s) { return strcmp(s->ops->layout, "nxmx") == 0; }

// Chunks of several frames are read once when they begin at multiples of their length in the whole run.
static int64_t together(const xn_nx_run *run)
{
    int64_t k = run->part[0].together;
    for (int i = 0; i < run->n_parts; i++)
        if (run->part[i].together != k || run->part[i].first % xn_max64(k, 1) != 0) return 0;
    return k;
}

// frames of channels are not next to each other, so a chunk may hold parts of several; together still counts frames
static void describe(const xn_nx_run *run, xn_source *s)
{
    s->ny = run->ny;
    s->nx = run->nx;
    s->type = run->type; // as stored: which detectors' words they can be
    s->together = together(run);
    for (int i = 0; i < run->n_parts; i++) s->stored_bytes += run->part[i].stored_bytes;
}

// Modules as stored, whatever a geometry makes of them; without an axis of their own those of the geometry.
static xani_status set_modules(xn_ctx *ctx, const xn_config *config, const xn_nx_run *run, xn_source *s)
{
    if (run->modules > 1) return xn_modules_set(ctx, s, (int)run->modules, run->ny / run->modules);
    return xn_modules_from_geometry(ctx, config, s);
}

static xani_status check_laser(xn_ctx *ctx, const xn_config *config)
{
    bool frames_only = xn_config_bool(config, "input.frames_only");
    if (frames_only || xn_config_string(config, "input.laser") != NULL) return XANI_OK;
    return xn_config_bad(ctx, config, "input.laser", "event codes are not known here; name " LASER_WORDS);
}

static xani_status join(xn_ctx *ctx, const xn_config *config, const xn_nx_run *run, xn_shots *shots)
{
    xn_laser_rule rule = {0};
    xn_nx_readings readings = {run, config};
    xani_status st;
    XN_GOTO(out, st, xn_laser_rule_load(ctx, config, "#", &rule));
    const xn_join_input in = {.detector = run->part[0].dataset,
                              .file = run->file[0],
                              .ids = "ids",
                              .n = run->n,
                              .id = run->id,
                              .rule = &rule,
                              .read = xn_nx_read_channel,
                              .read_traces = xn_nx_read_traces,
                              .user = &readings};
    st = xn_join(ctx, config, &in, shots);
out:
    xn_laser_rule_free(&rule);
    return st;
}

static xani_status nexus_open(xn_ctx *ctx, const xn_config *config, int run, xn_source *s)
{
    char **files = NULL;
    XN_TRY(xn_join_check(ctx, config, LASER_WORDS));
    XN_TRY(check_laser(ctx, config));
    xn_nx_run *m = s->impl = xn_calloc(1, sizeof *m);
    if (m == NULL) return xn_fail_memory(ctx, "the source", sizeof *m);
    m->nxmx = is_nxmx(s);
    XN_TRY(xn_source_files(ctx, config, run, &files));
    xani_status st = xn_nx_open(ctx, config, files, m);
    xn_h5_names_free(files);
    if (st != XANI_OK) return st;
    describe(m, s);
    XN_TRY(set_modules(ctx, config, m, s));
    XN_TRY(xn_scale_load(ctx, config, NAN, s));
    if (s->cal.kind != XN_CAL_JUNGFRAU && s->cal.kind != XN_CAL_EPIX10KA) XN_TRY(xn_nx_limits(ctx, m));
    s->type = xn_nx_read_type(m, s->cal.photons_per_unit);
    XN_TRY(xn_nx_mask(ctx, m, s));
    XN_TRY(xn_mask_load(ctx, config, m->file[0], s));
    XN_TRY(xn_nx_ids(ctx, config, m));
    XN_TRY(join(ctx, config, m, &s->shots));
    if (s->shots.missing + s->shots.duplicate > 0)
        xn_note(ctx, "%s: %lld frames; %lld lost by the detector, %lld repeated ids", m->part[0].dataset,
                (long long)s->shots.n, (long long)s->shots.missing, (long long)s->shots.duplicate);
    return XANI_OK;
}

static void nexus_close(xn_source *s)
{
    if (s->impl == NULL) return;
    xn_nx_close(s->impl);
    xn_free(s->impl);
    s->impl = NULL;
}

static xani_status nexus_read(xn_ctx *ctx, xn_source *s, int64_t frame, void *dst, void *scratch)
{
    (void)scratch;
    return xn_nx_read(ctx, s->impl, &frame, 1, dst);
}

static xani_status nexus_read_list(xn_ctx *ctx, xn_source *s, const int64_t *frames, int64_t n, void *dst)
{
    return xn_nx_read(ctx, s->impl, frames, n, dst);
}

static const xn_source_ops nxmx_ops = {
    .layout = "nxmx",
    .open = nexus_open,
    .close = nexus_close,
    .read_frame = nexus_read,
    .read_frames = nexus_read_list,
};

static const xn_source_ops nexus_ops = {
    .layout = "nexus",
    .open = nexus_open,
    .close = nexus_close,
    .read_frame = nexus_read,
    .read_frames = nexus_read_list,
};

const xn_input_layout xn_layout_nxmx = {
    .ops = &nxmx_ops,
    .files = "NXmx masters",
    .has_masters = true,
    .has_readings = true,
    .has_geometry = true,
    .claims = xn_nx_claims_nxmx,
    .facts = xn_nx_facts,
    .init_calibration = xn_nx_init_calibration,
};

const xn_input_layout xn_layout_nexus = {
    .ops = &nexus_ops,
    .files = "NeXus files with frames",
    .has_masters = true,
    .has_readings = true,
    .has_geometry = true,
    .claims = xn_nx_claims_nexus,
    .facts = xn_nx_facts,
    .init_calibration = xn_nx_init_calibration,
};
